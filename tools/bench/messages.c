#include "messages.h"

#include <openssl/rand.h>
#include <string.h>
#include <time.h>

enum { VARINT = 0, DELIMITED = 2, NUMBER = 1 << 3, LONGEST_VARINT = 10 }; // NUMBER: the tag of field 1

static size_t varint_length(uint64_t number) {
    size_t length = 1;
    while (number >>= 7) {
        length++;
    }
    return length;
}

static void add_varint(struct bytes *to, uint64_t number) {
    for (; number >= 0x80; number >>= 7) {
        bytes_add(to, (uint8_t[]){(uint8_t)(number | 0x80)}, 1);
    }
    bytes_add(to, (uint8_t[]){(uint8_t)number}, 1);
}

static void add_head(struct bytes *to, unsigned field, size_t length) {
    add_varint(to, field << 3 | DELIMITED);
    add_varint(to, length);
}

static size_t use_length(const struct use *use) {
    size_t input = 1 + varint_length(use->input_length) + use->input_length;
    return 2 + strlen(use->session) + 2 + REQUEST_ID + use->count * input;
}

static void add_prefix(struct bytes *to, size_t length) {
    uint8_t prefix[PREFIX] = {0, (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                              (uint8_t)(length >> 8), (uint8_t)length};
    bytes_add(to, prefix, PREFIX);
}

static void add_fields(struct bytes *to, const struct use *use) {
    uint8_t request_id[REQUEST_ID];
    if (RAND_bytes(request_id, REQUEST_ID) != 1) {
        fail("OpenSSL has no random bytes");
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t milliseconds = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (size_t at = TIME; at-- > 0; milliseconds >>= 8) {
        request_id[at] = (uint8_t)milliseconds;
    }
    add_head(to, 1, strlen(use->session));
    bytes_add(to, use->session, strlen(use->session));
    add_head(to, 2, REQUEST_ID);
    bytes_add(to, request_id, REQUEST_ID);
    for (size_t each = 0; each < use->count; each++) {
        add_head(to, 3, use->input_length);
        bytes_add(to, use->inputs + each * use->input_length, use->input_length);
    }
}

void use_add(struct bytes *to, const struct use *use) {
    add_prefix(to, use_length(use));
    add_fields(to, use);
}

void numbered_use_add(struct bytes *to, uint32_t number, const struct use *use) {
    size_t length = use_length(use);
    add_prefix(to, 1 + varint_length(number) + 1 + varint_length(length) + length);
    add_varint(to, NUMBER);
    add_varint(to, number);
    add_head(to, 2, length);
    add_fields(to, use);
}

size_t message_take(const uint8_t *data, size_t length, struct part *message) {
    if (length < PREFIX) {
        return 0;
    }
    size_t whole = (size_t)data[1] << 24 | (size_t)data[2] << 16 | (size_t)data[3] << 8 | data[4];
    if (data[0] != 0 || whole > LONGEST_ANSWER) {
        fail("an answer is compressed, or longer than any that was asked for");
    }
    if (length - PREFIX < whole) {
        return 0;
    }
    *message = (struct part){data + PREFIX, whole};
    return PREFIX + whole;
}

static uint64_t take_varint(struct part *from) {
    uint64_t number = 0;
    for (size_t at = 0; at < from->length && at < LONGEST_VARINT; at++) {
        number |= (uint64_t)(from->data[at] & 0x7f) << 7 * at;
        if (from->data[at] < 0x80) {
            from->data += at + 1;
            from->length -= at + 1;
            return number;
        }
    }
    fail("an answer has a number without an end");
}

// Takes the next field: a number or a part. Returns its own number, 0 at the end.
static uint64_t take_field(struct part *from, uint64_t *number, struct part *value) {
    if (from->length == 0) {
        return 0;
    }
    uint64_t tag = take_varint(from);
    *number = take_varint(from);
    *value = (struct part){from->data, 0};
    if ((tag & 7) == DELIMITED) {
        if (*number > from->length) {
            fail("an answer ends within a field");
        }
        value->length = (size_t)*number;
        from->data += value->length;
        from->length -= value->length;
    } else if ((tag & 7) != VARINT) {
        fail("an answer has a field of an unknown type");
    }
    return tag;
}

void results_read(struct part message, struct part *results, size_t count) {
    struct part value;
    uint64_t tag, number;
    size_t found = 0;
    while ((tag = take_field(&message, &number, &value)) != 0) {
        if (tag == (1 << 3 | DELIMITED)) {
            if (found == count) {
                fail("an answer has more than the %zu results that were asked for", count);
            }
            results[found++] = value;
        }
    }
    if (found != count) {
        fail("an answer has %zu results, not %zu", found, count);
    }
}

static _Noreturn void fail_refused(struct part refusal) {
    struct part value, text = {(const uint8_t *)"", 0};
    uint64_t tag, number, code = 0;
    while ((tag = take_field(&refusal, &number, &value)) != 0) {
        if (tag == NUMBER) {
            code = number;
        } else if (tag == (3 << 3 | DELIMITED)) {
            text = value;
        }
    }
    fail("a use is refused with %u: %.*s", (unsigned)code, (int)text.length, text.data);
}

uint32_t numbered_read(struct part message, struct part *used) {
    struct part value;
    uint64_t tag, number, own = 0;
    *used = (struct part){0};
    while ((tag = take_field(&message, &number, &value)) != 0) {
        if (tag == NUMBER) {
            own = number;
        } else if (tag == (2 << 3 | DELIMITED)) {
            *used = value;
        } else if (tag == (3 << 3 | DELIMITED)) {
            fail_refused(value);
        }
    }
    if (used->data == NULL) {
        fail("an answer has no outcome");
    }
    return (uint32_t)own;
}

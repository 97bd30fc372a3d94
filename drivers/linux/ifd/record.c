#include "record.h"

#include <string.h>

static uint32_t read_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void write_u32(uint8_t *bytes, uint32_t value) {
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

static bool is_atr(const uint8_t *bytes, size_t length) {
    // The initial character TS is one of two (ISO/IEC 7816-3, 8.1).
    return length >= ATR_SHORTEST && length <= ATR_LONGEST &&
           (bytes[0] == 0x3B || bytes[0] == 0x3F);
}

bool hello_read(const uint8_t *record, size_t length, struct hello *hello) {
    *hello = (struct hello){0};
    if (length < 2 || record[0] != RECORD_HELLO) {
        return false;
    }
    hello->version = record[1];
    if (hello->version != PROTOCOL_VERSION || length < HELLO_HEADER ||
        !is_atr(record + HELLO_HEADER, length - HELLO_HEADER)) {
        return false;
    }
    hello->capabilities = read_u32(record + 2);
    hello->slot = record[6];
    hello->atr_length = length - HELLO_HEADER;
    memcpy(hello->atr, record + HELLO_HEADER, hello->atr_length);
    return true;
}

void welcome_write(uint8_t *record, uint32_t capabilities, uint8_t slot) {
    record[0] = RECORD_WELCOME;
    record[1] = PROTOCOL_VERSION;
    write_u32(record + 2, capabilities);
    record[6] = slot;
}

enum agent_word agent_word(const uint8_t *header, size_t length) {
    if (length == 0) {
        return AGENT_ERRS;
    }
    switch (header[0]) {
    case RECORD_WAIT:
        return length == 1 ? AGENT_WORKS : AGENT_ERRS;
    case RECORD_EJECT:
        return length == EJECT_LENGTH ? AGENT_LEAVES : AGENT_ERRS;
    case RECORD_RESPONSE:
        return length >= EXCHANGE_HEADER + RESPONSE_SHORTEST &&
                       length <= EXCHANGE_HEADER + RESPONSE_LONGEST
                   ? AGENT_RESPONDS
                   : AGENT_ERRS;
    default:
        return AGENT_ERRS;
    }
}

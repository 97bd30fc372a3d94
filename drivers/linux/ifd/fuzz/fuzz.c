// Malformed records against the whole handler in one process: a hostile agent says what it likes to
// slot 0, before and after its greeting and while commands wait, and an application in slot 1 must
// get each of its responses all the while.
//
//     fuzz RECORDS [SEED]
//
// Under clang's -fsanitize=fuzzer (-DLIBFUZZER) the fuzzer makes the records instead.

#include <pcsclite.h>
#include <ifdhandler.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../record.h"

enum { HOSTILE = 0, NEIGHBOUR = 1, RECORD_MOST = 512, RECORDS_OF_ONE = 8 };

static char folder[] = "/tmp/cloudcard-fuzz-XXXXXX";
static char path[sizeof folder + sizeof "/reader.sock"];
static atomic_bool ending;
static atomic_ulong neighbours; // answers that the neighbour's application got
static atomic_ulong answered;   // answers that the hostile agent gave

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

static int knock(void) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    memcpy(place.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&place, sizeof place) != 0) {
        fail("cannot connect");
    }
    return fd;
}

static size_t write_hello(uint8_t *record, uint8_t slot) {
    const uint8_t hello[] = {RECORD_HELLO, PROTOCOL_VERSION, 0, 0, 0, CAPABILITY_CANCEL,
                             slot,         0x3B,             0x80, 0x80, 0x01, 0x01};
    memcpy(record, hello, sizeof hello);
    return sizeof hello;
}

// An agent as it should be: it answers each command with its first byte and 9000.
static void *serve(void *nothing) {
    uint8_t record[EXCHANGE_HEADER + 16];
    int fd = knock();
    if (send(fd, record, write_hello(record, NEIGHBOUR), MSG_NOSIGNAL) < 0) {
        fail("the neighbour was not heard");
    }
    ssize_t length;
    while ((length = recv(fd, record, sizeof record, 0)) > 0) {
        if (record[0] == RECORD_APDU) {
            const uint8_t response[] = {RECORD_RESPONSE, record[1], record[2], 0x90, 0x00};
            if (send(fd, response, sizeof response, MSG_NOSIGNAL) < 0) {
                break;
            }
        }
    }
    if (!ending) {
        fail("the neighbour lost its card");
    }
    close(fd);
    return nothing;
}

// What pcscd does for an application that connects and sends one command.
static bool command(DWORD lun, uint8_t byte, uint8_t *response, DWORD *length) {
    SCARD_IO_HEADER header = {.Protocol = 1};
    SCARD_IO_HEADER received = {.Protocol = 0};
    UCHAR atr[MAX_ATR_SIZE];
    DWORD atr_length = sizeof atr;
    UCHAR apdu[] = {byte, 0xA4, 0x00, 0x00};
    return IFDHICCPresence(lun) == IFD_ICC_PRESENT &&
           IFDHPowerICC(lun, IFD_POWER_UP, atr, &atr_length) == IFD_SUCCESS &&
           IFDHSetProtocolParameters(lun, 2, 0, 0, 0, 0) == IFD_SUCCESS &&
           IFDHTransmitToICC(lun, header, apdu, sizeof apdu, response, length, &received) ==
               IFD_SUCCESS;
}

static void *use_neighbour(void *nothing) {
    while (!ending) {
        uint8_t response[MAX_BUFFER_SIZE];
        DWORD length = sizeof response;
        uint8_t byte = (uint8_t)neighbours;
        if (!command(NEIGHBOUR << 16, byte, response, &length)) {
            if (!ending && neighbours > 0) {
                fail("the neighbour's application lost its card");
            }
            continue;
        }
        if (length != 3 || response[0] != byte || response[1] != 0x90) {
            fail("the neighbour's application got another response");
        }
        neighbours++;
    }
    return nothing;
}

static void *use_hostile(void *nothing) {
    while (!ending) {
        uint8_t response[MAX_BUFFER_SIZE];
        DWORD length = sizeof response;
        if (command(HOSTILE << 16, 0x00, response, &length)) {
            answered++;
            if (length < RESPONSE_SHORTEST || length > sizeof response) {
                fail("a response of no length that a response can have");
            }
        }
    }
    return nothing;
}

// pcscd's polling thread.
static void *poll_hostile(void *nothing) {
    RESPONSECODE (*await)(DWORD, int);
    DWORD length = sizeof await;
    if (IFDHGetCapabilities(HOSTILE << 16, TAG_IFD_POLLING_THREAD_WITH_TIMEOUT, &length,
                            (PUCHAR)&await) != IFD_SUCCESS) {
        fail("there is no polling thread");
    }
    while (!ending) {
        await(HOSTILE << 16, 100);
    }
    return nothing;
}

static pthread_t threads[4];

static void start(void) {
    void *(*const work[])(void *) = {serve, use_neighbour, use_hostile, poll_hostile};
    char device[sizeof path + 4];
    if (mkdtemp(folder) == NULL) {
        fail("no folder");
    }
    snprintf(path, sizeof path, "%s/reader.sock", folder);
    for (DWORD slot = HOSTILE; slot <= NEIGHBOUR; slot++) {
        snprintf(device, sizeof device, "%s:%lu", path, slot);
        if (IFDHCreateChannelByName(slot << 16, device) != IFD_SUCCESS) {
            fail("the handler does not start");
        }
    }
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, work[i], NULL);
    }
    while (neighbours == 0) {
        usleep(1000);
    }
}

// Says a good HELLO, and answers the application's first command if it comes soon.
static void begin_well(int fd, bool answers) {
    const struct timeval soon = {.tv_usec = 2000};
    uint8_t record[HELLO_HEADER + ATR_LONGEST];
    (void)!send(fd, record, write_hello(record, HOSTILE), MSG_NOSIGNAL);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    while (answers && recv(fd, record, sizeof record, 0) > 0) {
        if (record[0] == RECORD_APDU) {
            const uint8_t response[] = {RECORD_RESPONSE, record[1], 0x90, 0x00};
            (void)!send(fd, response, sizeof response, MSG_NOSIGNAL);
            break;
        }
    }
}

// One hostile connection. The data are records, each behind its length; the first byte says whether
// the agent begins well. Returns the number of records.
static unsigned attack(const uint8_t *data, size_t size) {
    unsigned count = 0;
    int fd = knock();
    if (size > 0 && data[0] & 1) {
        begin_well(fd, (data[0] & 0xE) == 0);
    }
    for (size_t at = 1; at + 2 < size;) {
        size_t length = (size_t)data[at] << 8 | data[at + 1];
        at += 2;
        length = length < size - at ? length : size - at;
        (void)!send(fd, data + at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        at += length;
        count++;
    }
    close(fd);
    return count;
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    attack(data, size);
    return 0;
}
#else
static uint64_t seed;

static uint32_t chance(uint32_t below) {
    seed ^= seed << 13; // xorshift64, so that a seed finds the same records again
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % below;
}

// A record that is nearly right: of a type that there is, with a length and bytes by chance.
static size_t write_record(uint8_t *record) {
    static const uint16_t lengths[] = {0, 1, 2, 3, 4, 6, 7, 8, 9, 12, 39, 40, 41, 66, 300, 511};
    size_t length = lengths[chance(sizeof lengths / sizeof *lengths)];
    for (size_t i = 0; i < length; i++) {
        record[i] = (uint8_t)chance(256);
    }
    if (length > 0 && chance(8) != 0) {
        record[0] = (uint8_t)(RECORD_HELLO + chance(RECORD_EJECT));
    }
    if (length > 1 && chance(2) != 0) {
        record[1] = (uint8_t)chance(4);
    }
    if (record[0] == RECORD_HELLO && length > HELLO_HEADER && chance(2) != 0) {
        record[6] = (uint8_t)(chance(2) ? HOSTILE : 2 + chance(253)); // the neighbour has its own
        record[HELLO_HEADER] = 0x3B;
    }
    return length;
}

static size_t write_attack(uint8_t *data) {
    size_t size = 0;
    data[size++] = (uint8_t)chance(256);
    for (uint32_t left = 1 + chance(RECORDS_OF_ONE); left > 0; left--) {
        size_t length = write_record(data + size + 2);
        data[size] = (uint8_t)(length >> 8);
        data[size + 1] = (uint8_t)length;
        size += 2 + length;
    }
    return size;
}

int main(int count, char **arguments) {
    static uint8_t data[1 + RECORDS_OF_ONE * (2 + RECORD_MOST)];
    const unsigned long wanted = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
    unsigned long records = 0;
    unsigned long connections = 0;
    seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    start();
    for (; records < wanted; connections++) {
        records += attack(data, write_attack(data));
    }
    ending = true;
    for (DWORD slot = HOSTILE; slot <= NEIGHBOUR; slot++) {
        IFDHCloseChannel(slot << 16);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    if (access(path, F_OK) == 0 || rmdir(folder) != 0) {
        fail("the socket is still there");
    }
    printf("%lu records on %lu connections, %lu answers; the neighbour had %lu\n", records,
           connections, (unsigned long)answered, (unsigned long)neighbours);
    return 0;
}
#endif

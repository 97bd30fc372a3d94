// An application that measures. It is in C, as an interpreter takes longer than pcscd.
//
//     application transmit READER    for each line "COUNT HEX" sends the command so often, and
//                                    prints the nanoseconds of each on one line
//     application watch READER       prints each insertion ("in") and removal ("out") with its time
//                                    in nanoseconds of CLOCK_MONOTONIC; at first how the reader is
//
// READER is how the reader's name begins.

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <winscard.h>

enum { COMMAND_MOST = 300, NAMES_MOST = 4096 };

static SCARDCONTEXT context;

static int64_t now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

static void require(LONG result, const char *what) {
    if (result != SCARD_S_SUCCESS) {
        fprintf(stderr, "%s: %s\n", what, pcsc_stringify_error(result));
        exit(EXIT_FAILURE);
    }
}

static const char *find(const char *beginning) {
    static char names[NAMES_MOST];
    DWORD length = sizeof names;
    require(SCardListReaders(context, NULL, names, &length), "SCardListReaders");
    for (const char *name = names; *name != '\0'; name += strlen(name) + 1) {
        if (strncmp(name, beginning, strlen(beginning)) == 0) {
            return name;
        }
    }
    fprintf(stderr, "there is no reader %s\n", beginning);
    exit(EXIT_FAILURE);
}

static DWORD read_hex(const char *text, BYTE *bytes) {
    DWORD length = 0;
    unsigned byte;
    while (length < COMMAND_MOST && sscanf(text + 2 * length, "%2x", &byte) == 1) {
        bytes[length++] = (BYTE)byte;
    }
    return length;
}

static void transmit(const char *reader) {
    static BYTE response[MAX_BUFFER_SIZE_EXTENDED];
    static char line[2 * COMMAND_MOST + 32];
    BYTE command[COMMAND_MOST];
    SCARDHANDLE card;
    DWORD protocol;
    require(SCardConnect(context, reader, SCARD_SHARE_SHARED, SCARD_PROTOCOL_ANY, &card, &protocol),
            "SCardConnect");
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *hex = NULL;
        long count = strtol(line, &hex, 10);
        DWORD length = read_hex(hex + strspn(hex, " "), command);
        for (long i = 0; i < count; i++) {
            DWORD received = sizeof response;
            int64_t begun = now();
            require(SCardTransmit(card, SCARD_PCI_T1, command, length, NULL, response, &received),
                    "SCardTransmit");
            printf("%" PRId64 " ", now() - begun);
        }
        puts("");
        fflush(stdout);
    }
    SCardDisconnect(card, SCARD_LEAVE_CARD);
}

static void watch(const char *reader) {
    SCARD_READERSTATE state = {.szReader = reader, .dwCurrentState = SCARD_STATE_UNAWARE};
    bool was = false;
    DWORD timeout = 0; // the first call tells how it is
    for (;;) {
        LONG result = SCardGetStatusChange(context, timeout, &state, 1);
        int64_t when = now();
        require(result, "SCardGetStatusChange");
        bool is = (state.dwEventState & SCARD_STATE_PRESENT) != 0;
        if (is != was || timeout == 0) {
            printf("%s %" PRId64 "\n", is ? "in" : "out", when);
            fflush(stdout);
        }
        was = is;
        timeout = INFINITE;
        state.dwCurrentState = state.dwEventState;
    }
}

int main(int count, char **arguments) {
    if (count != 3) {
        fputs("application transmit|watch READER\n", stderr);
        return EXIT_FAILURE;
    }
    require(SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context),
            "SCardEstablishContext");
    const char *reader = find(arguments[2]);
    if (strcmp(arguments[1], "transmit") == 0) {
        transmit(reader);
    } else {
        watch(reader);
    }
    return EXIT_SUCCESS;
}

// Sends the longest command of ISO/IEC 7816-4 to the card in the first reader, with 65,535 bytes of
// data, and prints how long the response is and its FNV-1a hash: tools/vm/run.py knows both.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winscard.h>

enum { DATA = 65535, LENGTH = 7 + DATA + 2, NAMES_MOST = 4096 };

static void require(LONG result, const char *what) {
    if (result != SCARD_S_SUCCESS) {
        printf("%s: %s\n", what, pcsc_stringify_error(result));
        exit(EXIT_FAILURE);
    }
}

int main(void) {
    static BYTE command[LENGTH] = {0x00, 0xDB, 0x3F, 0xFF, 0x00, 0xFF, 0xFF};
    static BYTE response[MAX_BUFFER_SIZE_EXTENDED];
    for (size_t i = 0; i < DATA; i++) {
        command[7 + i] = (BYTE)i;
    }
    SCARDCONTEXT context;
    require(SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context),
            "SCardEstablishContext");
    char reader[NAMES_MOST];
    DWORD length = sizeof reader;
    require(SCardListReaders(context, NULL, reader, &length), "SCardListReaders");
    SCARDHANDLE card;
    DWORD protocol;
    require(SCardConnect(context, reader, SCARD_SHARE_SHARED, SCARD_PROTOCOL_T1, &card, &protocol),
            "SCardConnect");
    DWORD received = sizeof response;
    require(SCardTransmit(card, SCARD_PCI_T1, command, LENGTH, NULL, response, &received),
            "SCardTransmit");
    uint64_t hash = 0xCBF29CE484222325;
    for (DWORD i = 0; i < received; i++) {
        hash = (hash ^ response[i]) * 0x100000001B3;
    }
    printf("%lu %016" PRIx64 "\n", (unsigned long)received, hash);
    return EXIT_SUCCESS;
}

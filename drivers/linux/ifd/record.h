// The records that pass between this handler and the agent which holds a card, as
// docs/reader-protocol.md describes them. Pure: nothing here opens, reads or waits.
#ifndef CLOUDCARD_RECORD_H
#define CLOUDCARD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The first byte of a record.
enum record_type {
    RECORD_HELLO = 0x01,
    RECORD_WELCOME = 0x02,
    RECORD_APDU = 0x03,
    RECORD_RESPONSE = 0x04,
    RECORD_WAIT = 0x05,
    RECORD_ON = 0x06,
    RECORD_OFF = 0x07,
    RECORD_RESET = 0x08,
    RECORD_CANCEL = 0x09,
    RECORD_EJECT = 0x0A,
};

// Why a connection ends: the second byte of an EJECT.
enum eject_reason {
    EJECT_REMOVED = 0x00,   // the agent takes its card out
    EJECT_MALFORMED = 0x01, // a record that the protocol does not have, or not at this moment
    EJECT_VERSION = 0x02,   // the other end speaks another version
    EJECT_FORBIDDEN = 0x03, // this user may not put cards into this computer's readers
    EJECT_TAKEN = 0x04,     // another card is in the slot, or in every slot
    EJECT_NO_SLOT = 0x05,   // there is no such slot
    EJECT_SILENT = 0x06,    // the agent has said nothing for too long
    EJECT_CLOSING = 0x07,   // the reader ends
    EJECT_FULL = 0x08,      // too many connections wait for their greeting
};

// Bits of HELLO and WELCOME. An end uses what both have announced.
enum capability {
    CAPABILITY_CANCEL = 0x00000001, // the agent can withdraw a command
};

enum {
    PROTOCOL_VERSION = 1,
    ANY_SLOT = 0xFF,
    ATR_SHORTEST = 2,
    ATR_LONGEST = 33,         // ISO/IEC 7816-3, 8.2.1, with TS
    HELLO_HEADER = 7,         // before the ATR
    WELCOME_LENGTH = 7,
    EXCHANGE_HEADER = 2,      // of APDU and RESPONSE: the type and the number of the exchange
    EJECT_LENGTH = 2,
    COMMAND_LONGEST = 65544,  // header, extended Lc, 65,535 bytes, extended Le
    RESPONSE_SHORTEST = 2,    // a status word
    RESPONSE_LONGEST = 65538, // 65,536 bytes and a status word
};

// What an agent says first.
struct hello {
    uint8_t version;
    uint32_t capabilities;
    uint8_t slot; // or ANY_SLOT
    uint8_t atr[ATR_LONGEST];
    size_t atr_length;
};

// What an agent says once its card is in a slot, as far as it can be told from a record's header.
enum agent_word {
    AGENT_RESPONDS,
    AGENT_WORKS,
    AGENT_LEAVES,
    AGENT_ERRS,
};

// Reads a HELLO. The version is valid even if false is returned, unless the record is empty of it.
bool hello_read(const uint8_t *record, size_t length, struct hello *hello);

// Writes a WELCOME of WELCOME_LENGTH bytes.
void welcome_write(uint8_t *record, uint32_t capabilities, uint8_t slot);

// Tells what a record of an agent is. `header` holds its first bytes, EXCHANGE_HEADER at most, and
// `length` is that of the whole record.
enum agent_word agent_word(const uint8_t *header, size_t length);

#endif

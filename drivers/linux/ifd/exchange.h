// One command to a card, and its response.
#ifndef CLOUDCARD_EXCHANGE_H
#define CLOUDCARD_EXCHANGE_H

#include "slot.h"

enum outcome {
    OUTCOME_RESPONSE,
    OUTCOME_NO_CARD,  // or it went meanwhile
    OUTCOME_TOO_LONG, // the response does not fit; the card stays
};

// Sends a command and waits for the response, however long the agent works. `length` is the room
// for the response, then its length. An agent that is silent for too long loses the card.
enum outcome exchange(struct slot *slot, const uint8_t *command, size_t command_length,
                      uint8_t *response, size_t *length);

#endif

// The messages of WorkstationService that this client knows, in protobuf, with gRPC's prefix.
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stdbool.h>

#include "bytes.h"
#include "keys.h"

enum { PREFIX = 5, LONGEST_ID = 64, MOST_INPUTS = 250, LONGEST_ANSWER = 1 << 17 };
enum { REQUEST_ID = 16, TIME = 6 }; // a request's identifier, and the time at its beginning

// A part of a message that somebody else has sent.
struct part {
    const uint8_t *data;
    size_t length;
};

// A use of a session. `inputs` are one after another.
struct use {
    const char *session;
    const uint8_t *inputs;
    size_t input_length, count;
};

void use_add(struct bytes *to, const struct use *use);                         // UseSessionRequest
void numbered_use_add(struct bytes *to, uint32_t number, const struct use *use); // UseSessionsRequest

// Takes a whole message from the beginning. 0 if it is not there yet, else its length with prefix;
// fails if it is compressed or too long.
size_t message_take(const uint8_t *data, size_t length, struct part *message);

// The results in a UseSessionResponse: exactly `count`, or it fails.
void results_read(struct part message, struct part *results, size_t count);

// A UseSessionsResponse: its number and the UseSessionResponse in it; fails if it is a refusal.
uint32_t numbered_read(struct part message, struct part *used);

#endif

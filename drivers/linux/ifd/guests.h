// Connections that have no slot yet: each has to say HELLO soon. For one thread.
#ifndef CLOUDCARD_GUESTS_H
#define CLOUDCARD_GUESTS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    GUESTS = 32,
    GREETING_MILLISECONDS = 2000,
};

// Lets in who has the right; a guest who has waited longest makes room. False if the system has no
// descriptor for the connection.
bool guests_accept(int listener, int64_t now);

// Writes what to poll for, at most GUESTS entries, and returns how many there are.
unsigned guests_watch(struct pollfd *watched);

// Gives cards to slots and sends others away, after a poll of what guests_watch has written.
void guests_attend(const struct pollfd *watched, unsigned count, int64_t now);

// When the next guest has waited for too long, or INT64_MAX.
int64_t guests_deadline(void);

// Sends everybody away, because the reader ends.
void guests_dismiss(void);

#endif

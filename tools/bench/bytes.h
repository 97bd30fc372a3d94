// Bytes that grow, and the end of the program.
#ifndef BYTES_H
#define BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t length, room;
};

// Ends the program with 1, and says why. A client that goes on after a fault measures nothing.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *checked(void *memory); // fails if there is none
void bytes_add(struct bytes *to, const void *data, size_t length);
void bytes_drop(struct bytes *from, size_t length); // from the beginning

#endif

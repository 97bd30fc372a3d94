// Time that no change of the clock moves and that stands still while the computer sleeps.
#ifndef CLOUDCARD_CLOCK_H
#define CLOUDCARD_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline struct timespec clock_moment(int64_t milliseconds) {
    return (struct timespec){.tv_sec = (time_t)(milliseconds / 1000),
                             .tv_nsec = (long)(milliseconds % 1000) * 1000000L};
}

#endif

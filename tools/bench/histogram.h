// Durations, kept to 0.4 percent.
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_FINE = 256, HISTOGRAM_POWERS = 40 };

struct histogram {
    uint64_t count;
    uint64_t counts[HISTOGRAM_POWERS * HISTOGRAM_FINE];
};

void histogram_add(struct histogram *to, uint64_t nanoseconds);
double histogram_ms(const struct histogram *of, double share); // 0 if it is empty

#endif

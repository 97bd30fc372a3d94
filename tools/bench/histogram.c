#include "histogram.h"

// Below HISTOGRAM_FINE each number has its own place; above, each power of two has half as many.
void histogram_add(struct histogram *to, uint64_t nanoseconds) {
    unsigned power = 0;
    while (nanoseconds >> power >= HISTOGRAM_FINE && power < HISTOGRAM_POWERS - 1) {
        power++;
    }
    uint64_t fine = nanoseconds >> power;
    to->counts[power * HISTOGRAM_FINE + (fine < HISTOGRAM_FINE ? fine : HISTOGRAM_FINE - 1)]++;
    to->count++;
}

double histogram_ms(const struct histogram *of, double share) {
    uint64_t seen = 0;
    for (unsigned at = 0; at < HISTOGRAM_POWERS * HISTOGRAM_FINE; at++) {
        seen += of->counts[at];
        if (seen > 0 && (double)seen >= share * (double)of->count) {
            uint64_t one = (uint64_t)1 << (at / HISTOGRAM_FINE);
            return ((double)(at % HISTOGRAM_FINE) + 0.5) * (double)one / 1e6;
        }
    }
    return 0;
}

// A closed loop: so many calls in flight, each answer followed by the next call.
#ifndef LOAD_H
#define LOAD_H

#include "line.h"

enum { ALGORITHMS = 2, MOST_SESSIONS = 1 << 16, MOST_WORKSTATIONS = 1024, MOST_IN_FLIGHT = 4096 };

struct session {
    char id[LONGEST_ID];
    struct line *line;
    struct key key;
};

// Sessions are used in their order, and so are workstations by empty calls.
struct town {
    struct line lines[MOST_WORKSTATIONS];
    struct call streams[MOST_WORKSTATIONS]; // UseSessions, while they are open
    size_t line_count;
    struct session sessions[ALGORITHMS][MOST_SESSIONS]; // P-256, RSA
    size_t session_counts[ALGORITHMS];
};

struct plan {
    enum { EMPTY, UNARY, STREAM } kind;
    enum input input;
    size_t batch, in_flight;
    double seconds;  // after which no more calls are begun
    size_t least;    // calls, however long they take
    uint64_t checks; // one signature in so many is checked
};

// Connects all workstations, says "ready", waits for a line, does as planned, and says as JSON what
// it was; fails at the first answer that is not right.
void load_run(struct town *town, const struct plan *plan);

#endif

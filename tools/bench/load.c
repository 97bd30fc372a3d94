#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "histogram.h"

enum { PATIENCE_MS = 60000, GREETINGS = 16 };

// One of the calls in flight, or of the requests on a stream.
struct flight {
    struct call call;
    struct session *session;
    uint8_t *inputs;
    uint64_t begun;
    uint32_t number;
    bool is_waiting;
};

static struct {
    struct town *town;
    struct plan plan;
    struct flight *flights;
    uint64_t start, end, last, begun, answered, signatures, checked; // times in nanoseconds
    size_t waiting, closing;
    struct histogram durations;
} run;

static uint64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void begin(struct flight *flight) {
    struct town *town = run.town;
    bool is_rsa = run.plan.input != INPUT_P256;
    size_t length = input_length(run.plan.input);
    size_t turn = (size_t)run.begun++;
    struct call *call = &flight->call;
    flight->number += MOST_IN_FLIGHT; // the rest of the division is its place
    flight->is_waiting = true;
    run.waiting++;
    call->sending.length = call->received.length = 0;
    if (run.plan.kind == EMPTY) {
        flight->begun = now(CLOCK_MONOTONIC);
        call->line = &town->lines[turn % town->line_count];
        bytes_add(&call->sending, (uint8_t[PREFIX]){0}, PREFIX);
        call_begin(call, "Ping");
        return;
    }
    flight->session = &town->sessions[is_rsa][turn % town->session_counts[is_rsa]];
    call->line = flight->session->line;
    for (size_t each = 0; each < run.plan.batch; each++) {
        input_make(run.plan.input, flight->inputs + each * length);
    }
    struct use use = {flight->session->id, flight->inputs, length, run.plan.batch};
    flight->begun = now(CLOCK_MONOTONIC);
    if (run.plan.kind == UNARY) {
        use_add(&call->sending, &use);
        call_begin(call, "UseSession");
    } else {
        struct call *stream = &town->streams[call->line - town->lines];
        numbered_use_add(&stream->sending, flight->number, &use);
        call_send(stream);
    }
}

static void check(struct flight *flight, struct part used) {
    struct part results[MOST_INPUTS];
    size_t length = input_length(run.plan.input);
    struct key *key = &flight->session->key;
    results_read(used, results, run.plan.batch);
    for (size_t each = 0; each < run.plan.batch; each++) {
        const uint8_t *input = flight->inputs + each * length;
        bool is_looked_at = run.signatures++ % run.plan.checks == 0;
        if (!signature_fits(key, results[each].length) ||
            (is_looked_at &&
             !signature_holds(key, input, results[each].data, results[each].length))) {
            fail("an answer has a result that is no signature of its input");
        }
        run.checked += is_looked_at;
    }
}

static void answered(struct flight *flight) {
    uint64_t time = now(CLOCK_MONOTONIC);
    flight->is_waiting = false;
    run.waiting--;
    run.answered++;
    run.last = time;
    histogram_add(&run.durations, time - flight->begun);
    if (time < run.end || run.begun < run.plan.least) {
        begin(flight);
    }
}

static void on_answer(struct call *call, struct part message) {
    struct flight *flight = (struct flight *)call; // its first member
    if (!flight->is_waiting) {
        fail("a call is answered twice");
    }
    flight->is_waiting = false;
    if (run.plan.kind != EMPTY) {
        check(flight, message);
    } else if (message.length > 0) {
        fail("an empty call has an answer that is not empty");
    }
}

static void on_end(struct call *call) {
    struct flight *flight = (struct flight *)call;
    if (flight->is_waiting) {
        fail("a call has ended without an answer");
    }
    answered(flight);
}

static void on_outcome(struct call *stream, struct part message) {
    struct part used;
    uint32_t number = numbered_read(message, &used);
    if (number % MOST_IN_FLIGHT >= run.plan.in_flight) {
        fail("an answer has a number that was never asked for, or that does not wait any more");
    }
    struct flight *flight = &run.flights[number % MOST_IN_FLIGHT];
    if (flight->number != number || !flight->is_waiting || flight->session->line != stream->line) {
        fail("an answer has a number that does not wait for one");
    }
    check(flight, used);
    answered(flight);
}

static void on_stream_end(struct call *stream) {
    (void)stream;
    run.closing--;
}

static void open_streams(struct town *town) {
    for (size_t each = 0; each < town->line_count; each++) {
        struct call *stream = &town->streams[each];
        stream->line = &town->lines[each];
        stream->stays_open = true;
        stream->message = on_outcome;
        stream->ended = on_stream_end;
        call_begin(stream, "UseSessions");
    }
}

static void close_streams(struct town *town) {
    run.closing = town->line_count;
    for (size_t each = 0; each < town->line_count; each++) {
        town->streams[each].stays_open = false;
        call_send(&town->streams[each]);
    }
    while (run.closing > 0) {
        lines_turn(PATIENCE_MS);
    }
}

// Does as planned. Returns the client's own nanoseconds of processor time.
static uint64_t measure(struct town *town, const struct plan *plan) {
    memset(&run, 0, sizeof run);
    run.town = town;
    run.plan = *plan;
    run.flights = checked(calloc(plan->in_flight, sizeof *run.flights));
    uint64_t cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    run.start = now(CLOCK_MONOTONIC);
    run.end = run.start + (uint64_t)(plan->seconds * 1e9);
    for (size_t each = 0; each < plan->in_flight; each++) {
        struct flight *flight = &run.flights[each];
        flight->number = (uint32_t)each;
        flight->inputs = checked(malloc(plan->batch * LONGEST_INPUT));
        flight->call.message = on_answer;
        flight->call.ended = on_end;
        begin(flight);
    }
    while (run.waiting > 0) {
        lines_turn(PATIENCE_MS);
    }
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    for (size_t each = 0; each < plan->in_flight; each++) {
        free(run.flights[each].inputs);
        free(run.flights[each].call.sending.data);
        free(run.flights[each].call.received.data);
    }
    free(run.flights);
    run.plan.in_flight = 0; // what a stream still brings is not waited for
    return cpu;
}

void load_run(struct town *town, const struct plan *plan) {
    lines_open(town->lines, town->line_count);
    // Each connection has to bring a call soon, or the keystore takes it for a stranger's.
    size_t at_once = town->line_count < GREETINGS ? town->line_count : GREETINGS;
    measure(town, &(struct plan){.kind = EMPTY, .in_flight = at_once, .batch = 1,
                                 .least = town->line_count, .checks = 1});
    if (plan->kind == STREAM) {
        open_streams(town);
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != '\n' && !feof(stdin)) {
    }
    uint64_t cpu = measure(town, plan);
    if (plan->kind == STREAM) {
        close_streams(town);
    }
    printf("{\"answered\": %" PRIu64 ", \"checked\": %" PRIu64 ", \"elapsed_s\": %.6f, \"cpu_s\": %.6f, "
           "\"p50_ms\": %.6f, \"p99_ms\": %.6f}\n",
           run.answered, run.checked, (double)(run.last - run.start) / 1e9, (double)cpu / 1e9,
           histogram_ms(&run.durations, 0.5), histogram_ms(&run.durations, 0.99));
    fflush(stdout);
    lines_close();
}

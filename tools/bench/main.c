// A client of the keystore that loads it. Standard input says what there is, one a line:
//
//     workstation HOST:PORT CA CERTIFICATE KEY       the files of its identity
//     session WORKSTATION rsa2048|p256 ID KEY        by the workstation's number from 0; a public key
//     run empty|unary|stream pkcs1|pss|p256 BATCH IN_FLIGHT SECONDS LEAST CHECKS
//
// A run is answered by "ready", and after one more line by JSON. Words are separated by tabs, since paths can have blanks.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { MOST_WORDS = 8, LONGEST_LINE = 4096 };

static struct town town;

static size_t place_of(const char *word, const char *const *names, size_t count) {
    for (size_t each = 0; each < count; each++) {
        if (strcmp(word, names[each]) == 0) {
            return each;
        }
    }
    fail("%s is not known", word);
}

static size_t number(const char *word, size_t least, size_t most) {
    char *end;
    unsigned long long value = strtoull(word, &end, 10);
    if (*end != '\0' || value < least || value > most) {
        fail("%s is no number from %zu to %zu", word, least, most);
    }
    return (size_t)value;
}

static void add_workstation(char **words) {
    if (town.line_count == MOST_WORKSTATIONS) {
        fail("there are more than %d workstations", MOST_WORKSTATIONS);
    }
    struct line *line = &town.lines[town.line_count++];
    snprintf(line->address, sizeof line->address, "%s", words[1]);
    line_identify(line, words[2], words[3], words[4]);
}

static void add_session(char **words) {
    static const char *const ALGORITHM_NAMES[ALGORITHMS] = {"p256", "rsa2048"};
    size_t algorithm = place_of(words[2], ALGORITHM_NAMES, ALGORITHMS);
    if (town.line_count == 0 || town.session_counts[algorithm] == MOST_SESSIONS) {
        fail("there is no workstation yet, or there are more than %d sessions", MOST_SESSIONS);
    }
    struct session *session = &town.sessions[algorithm][town.session_counts[algorithm]++];
    session->line = &town.lines[number(words[1], 0, town.line_count - 1)];
    snprintf(session->id, sizeof session->id, "%s", words[3]);
    session->key = key_read(algorithm == 1, words[4]);
}

static void run_plan(char **words) {
    static const char *const KINDS[] = {"empty", "unary", "stream"};
    static const char *const INPUTS[] = {"pkcs1", "pss", "p256"};
    struct plan plan = {
        .kind = place_of(words[1], KINDS, 3),
        .input = place_of(words[2], INPUTS, 3),
        .batch = number(words[3], 1, MOST_INPUTS),
        .in_flight = number(words[4], 1, MOST_IN_FLIGHT),
        .seconds = strtod(words[5], NULL),
        .least = number(words[6], 0, SIZE_MAX),
        .checks = number(words[7], 1, SIZE_MAX),
    };
    if (town.line_count == 0 ||
        (plan.kind != EMPTY && town.session_counts[plan.input != INPUT_P256] == 0)) {
        fail("there is nothing to call");
    }
    load_run(&town, &plan);
}

static const struct {
    const char *name;
    size_t words;
    void (*act)(char **words);
} LINES[] = {{"workstation", 5, add_workstation},
             {"session", 5, add_session},
             {"run", 8, run_plan}};

static void act(char **words, size_t count) {
    for (size_t row = 0; row < sizeof LINES / sizeof *LINES; row++) {
        if (strcmp(words[0], LINES[row].name) == 0 && count == LINES[row].words) {
            LINES[row].act(words);
            return;
        }
    }
    fail("a line is not understood: %s", words[0]);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); // a connection that is lost is told as such
    for (;;) {
        static char line[LONGEST_LINE];
        if (fgets(line, sizeof line, stdin) == NULL) {
            return 0;
        }
        line[strcspn(line, "\n")] = '\0';
        char *words[MOST_WORDS + 1], *rest = line;
        size_t count = 0;
        while (count <= MOST_WORDS && (words[count] = strsep(&rest, "\t")) != NULL) {
            count++;
        }
        act(words, count);
    }
}

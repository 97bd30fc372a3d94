#include "keeper.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "door.h"
#include "guests.h"
#include "log.h"
#include "owners.h"
#include "slots.h"

enum {
    LOOK_MILLISECONDS = SILENCE_MILLISECONDS / 10, // how often the keeper hears idle agents
    SCARCE_MILLISECONDS = 100, // after which it tries again to accept without descriptors left
};

static struct {
    bool runs;
    pthread_t thread;
    int stop; // becomes readable when the thread must end
    int listener;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
} keeper;

// What one turn of the loop polls for.
struct watch {
    struct pollfd fds[2 + GUESTS + SLOTS];
    unsigned guests;
    unsigned slots;
    unsigned index[SLOTS]; // of the slots
    unsigned generation[SLOTS];
};

enum { STOP, LISTENER, FIRST_GUEST };

static struct pollfd *first_slot(struct watch *watch) {
    return &watch->fds[FIRST_GUEST + watch->guests];
}

static void prepare(struct watch *watch, bool listens) {
    watch->fds[STOP] = (struct pollfd){.fd = keeper.stop, .events = POLLIN};
    watch->fds[LISTENER] = (struct pollfd){.fd = listens ? keeper.listener : -1, .events = POLLIN};
    watch->guests = guests_watch(&watch->fds[FIRST_GUEST]);
    watch->slots = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned generation;
        int fd = slot_watched(slots_at(i), &generation);
        if (fd != NO_CONNECTION) {
            // Not for what agents say: each response to a command would wake this thread.
            first_slot(watch)[watch->slots] = (struct pollfd){.fd = fd, .events = POLLRDHUP};
            watch->index[watch->slots] = i;
            watch->generation[watch->slots++] = generation;
        }
    }
}

static int patience(const struct watch *watch, bool listens, int64_t now) {
    int64_t deadline = guests_deadline();
    int64_t left = deadline == INT64_MAX ? INT64_MAX : deadline > now ? deadline - now : 0;
    if (watch->slots > 0 && left > LOOK_MILLISECONDS) {
        left = LOOK_MILLISECONDS;
    }
    if (!listens && left > SCARCE_MILLISECONDS) {
        left = SCARCE_MILLISECONDS;
    }
    return left == INT64_MAX ? -1 : (int)left;
}

static void attend_slots(struct watch *watch, bool all, int64_t now) {
    for (unsigned i = 0; i < watch->slots; i++) {
        bool hung_up = first_slot(watch)[i].revents != 0;
        if (hung_up || all) {
            slot_attend(slots_at(watch->index[i]), watch->generation[i], hung_up, now);
        }
    }
}

static void *keep(void *nothing) {
    int64_t looked = clock_milliseconds();
    bool listens = true;
    struct watch watch;
    for (;;) {
        prepare(&watch, listens);
        int timeout = patience(&watch, listens, clock_milliseconds());
        if (poll(watch.fds, FIRST_GUEST + watch.guests + watch.slots, timeout) < 0) {
            continue;
        }
        if (watch.fds[STOP].revents != 0) {
            return nothing;
        }
        int64_t now = clock_milliseconds();
        // A new card is greeted after the old one was missed, or its slot would seem taken.
        bool all = watch.guests > 0 || now - looked >= LOOK_MILLISECONDS;
        attend_slots(&watch, all, now);
        looked = all ? now : looked;
        guests_attend(&watch.fds[FIRST_GUEST], watch.guests, now);
        listens = watch.fds[LISTENER].revents == 0 || guests_accept(keeper.listener, now);
    }
}

// Starts the thread without signals, which are pcscd's.
static bool start_thread(void) {
    sigset_t every;
    sigset_t before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    bool started = pthread_create(&keeper.thread, NULL, keep, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

bool keeper_start(const char *path) {
    if (keeper.runs) {
        return strcmp(path, keeper.path) == 0;
    }
    keeper.listener = door_open(path);
    if (keeper.listener < 0) {
        return false;
    }
    strcpy(keeper.path, path); // door_open has measured it
    owners_settle(path);
    keeper.stop = eventfd(0, EFD_CLOEXEC);
    keeper.runs = keeper.stop >= 0 && start_thread();
    if (!keeper.runs) {
        LOG(PCSC_LOG_CRITICAL, "no thread for the socket");
        door_close(keeper.listener, keeper.path);
        if (keeper.stop >= 0) {
            close(keeper.stop);
        }
    }
    return keeper.runs;
}

void keeper_stop(void) {
    if (!keeper.runs) {
        return;
    }
    eventfd_write(keeper.stop, 1);
    pthread_join(keeper.thread, NULL);
    guests_dismiss();
    door_close(keeper.listener, keeper.path);
    close(keeper.stop);
    keeper.runs = false;
}

#include "slot.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "line.h"
#include "log.h"
#include "owners.h"

enum { HEARD_AT_ONCE = 64 }; // records, so that a talkative agent does not hold the lock

static bool is_shown(const struct slot *slot) {
    return slot->fd != NO_CONNECTION && slot->absence == ABSENCE_NONE;
}

static void tell(struct slot *slot) {
    slot->news = true;
    pthread_cond_broadcast(&slot->changed);
}

// Takes the card out. While an exchange runs, its thread closes the connection.
static void take_out(struct slot *slot, enum eject_reason reason) {
    LOG(PCSC_LOG_INFO, "a card leaves, reason %d", (int)reason);
    if (slot->absence == ABSENCE_NONE) {
        slot->absence = ABSENCE_DUE;
        tell(slot);
    }
    owners_forget(slot->index);
    line_end(slot->fd, reason);
    if (!slot->busy) {
        close(slot->fd);
    }
    slot->fd = NO_CONNECTION;
    slot->generation++;
}

void slot_initialize(struct slot *slot, uint8_t index) {
    pthread_condattr_t monotonic;
    *slot = (struct slot){.index = index, .fd = NO_CONNECTION};
    pthread_mutex_init(&slot->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&slot->changed, &monotonic);
    pthread_cond_init(&slot->quiet, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void slot_open(struct slot *slot, unsigned long lun) {
    pthread_mutex_lock(&slot->lock);
    owners_forget(slot->index); // of a pcscd that was killed
    slot->lun = lun;
    slot->open = true;
    slot->used = false;
    slot->absence = ABSENCE_NONE;
    slot->news = false;
    slot->stop = false;
    pthread_mutex_unlock(&slot->lock);
}

void slot_close(struct slot *slot) {
    pthread_mutex_lock(&slot->lock);
    slot->open = false;
    if (slot->fd != NO_CONNECTION) {
        if (slot->busy && slot->capabilities & CAPABILITY_CANCEL) {
            line_cancel(slot->fd, slot->number);
        }
        take_out(slot, EJECT_CLOSING);
    }
    slot->stop = true;
    pthread_cond_broadcast(&slot->changed);
    while (slot->busy) {
        pthread_cond_wait(&slot->quiet, &slot->lock);
    }
    pthread_mutex_unlock(&slot->lock);
}

static bool send_welcome(int fd, uint32_t capabilities, uint8_t index) {
    uint8_t record[WELCOME_LENGTH];
    welcome_write(record, capabilities, index);
    return send(fd, record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof record;
}

bool slot_insert(struct slot *slot, int fd, uid_t owner, const struct hello *hello) {
    bool inserted = false;
    pthread_mutex_lock(&slot->lock);
    if (slot->open && slot->fd == NO_CONNECTION) {
        slot->capabilities = hello->capabilities & CAPABILITY_CANCEL;
        // Under the lock, so that nothing is sent before WELCOME.
        inserted = send_welcome(fd, slot->capabilities, slot->index);
    }
    if (inserted) {
        slot->fd = fd;
        slot->owner = owner;
        slot->used = true;
        owners_note(slot->index, owner);
        slot->atr_length = hello->atr_length;
        memcpy(slot->atr, hello->atr, hello->atr_length);
        slot->heard = clock_milliseconds();
        slot->connected = false;
        if (slot->absence == ABSENCE_NONE) {
            tell(slot);
        }
    }
    pthread_mutex_unlock(&slot->lock);
    return inserted;
}

int slot_watched(struct slot *slot, unsigned *generation) {
    pthread_mutex_lock(&slot->lock);
    int fd = slot->fd;
    *generation = slot->generation;
    pthread_mutex_unlock(&slot->lock);
    return fd;
}

// Hears one record. False if nothing more is to be heard.
static bool hear(struct slot *slot, int64_t now) {
    uint8_t header[EXCHANGE_HEADER];
    ssize_t length = recv(slot->fd, header, sizeof header, MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            take_out(slot, EJECT_REMOVED);
        }
        return false;
    }
    if (length == 0) {
        take_out(slot, EJECT_REMOVED);
        return false;
    }
    switch (agent_word(header, (size_t)length)) {
    case AGENT_WORKS:
        slot->heard = now;
        return true;
    case AGENT_LEAVES:
        take_out(slot, EJECT_REMOVED);
        return false;
    case AGENT_RESPONDS: // to nothing
    case AGENT_ERRS:
    default:
        take_out(slot, EJECT_MALFORMED);
        return false;
    }
}

void slot_attend(struct slot *slot, unsigned generation, bool hung_up, int64_t now) {
    pthread_mutex_lock(&slot->lock);
    if (slot->fd != NO_CONNECTION && slot->generation == generation) {
        if (slot->busy) { // its thread hears the agent, and notices silence
            if (hung_up) {
                take_out(slot, EJECT_REMOVED);
            }
        } else {
            for (int i = 0; i < HEARD_AT_ONCE && hear(slot, now); i++) {
            }
            if (slot->fd != NO_CONNECTION && now - slot->heard >= SILENCE_MILLISECONDS) {
                take_out(slot, EJECT_SILENT);
            }
        }
    }
    pthread_mutex_unlock(&slot->lock);
}

void slot_await_change(struct slot *slot, int milliseconds) {
    const struct timespec until = clock_moment(clock_milliseconds() + milliseconds);
    int waited = 0;
    pthread_mutex_lock(&slot->lock);
    if (slot->absence == ABSENCE_SHOWN) { // the polling thread has looked
        slot->absence = ABSENCE_NONE;
        slot->news = slot->fd != NO_CONNECTION;
    }
    // To return without a change could make pcscd switch off a card that it has just seen.
    while (!slot->news && !slot->stop && waited == 0) {
        waited = pthread_cond_timedwait(&slot->changed, &slot->lock, &until);
    }
    if (slot->absence == ABSENCE_DUE) {
        slot->absence = ABSENCE_SHOWN;
    }
    slot->news = false;
    // pcscd asks for a stop at each last disconnect, too: a flag that stayed would make its polling
    // thread run without a pause.
    slot->stop = false;
    pthread_mutex_unlock(&slot->lock);
}

void slot_stop_waiting(struct slot *slot) {
    pthread_mutex_lock(&slot->lock);
    slot->stop = true;
    pthread_cond_broadcast(&slot->changed);
    pthread_mutex_unlock(&slot->lock);
}

bool slot_is_occupied(struct slot *slot) {
    pthread_mutex_lock(&slot->lock);
    bool shown = is_shown(slot);
    pthread_mutex_unlock(&slot->lock);
    return shown;
}

size_t slot_atr(struct slot *slot, uint8_t *atr) {
    size_t length = 0;
    pthread_mutex_lock(&slot->lock);
    if (is_shown(slot)) {
        length = slot->atr_length;
        memcpy(atr, slot->atr, length);
    }
    pthread_mutex_unlock(&slot->lock);
    return length;
}

bool slot_power(struct slot *slot, enum record_type power) {
    bool done = false;
    pthread_mutex_lock(&slot->lock);
    if (is_shown(slot)) {
        done = line_send(slot->fd, power);
        if (!done) {
            take_out(slot, EJECT_SILENT);
        }
    }
    pthread_mutex_unlock(&slot->lock);
    return done;
}

bool slot_connect(struct slot *slot) {
    pthread_mutex_lock(&slot->lock);
    bool shown = is_shown(slot);
    slot->connected = shown;
    pthread_mutex_unlock(&slot->lock);
    return shown;
}

bool slot_begin(struct slot *slot, struct turn *turn) {
    pthread_mutex_lock(&slot->lock);
    bool ready = is_shown(slot) && slot->connected && !slot->busy;
    if (ready) {
        slot->busy = true;
        *turn = (struct turn){slot->fd, slot->generation, ++slot->number};
    }
    pthread_mutex_unlock(&slot->lock);
    return ready;
}

static void end(struct slot *slot, const struct turn *turn, bool removal, enum eject_reason reason) {
    pthread_mutex_lock(&slot->lock);
    slot->busy = false;
    if (slot->generation != turn->generation) {
        close(turn->fd); // the card was taken out meanwhile
    } else if (removal) {
        take_out(slot, reason);
    } else {
        slot->heard = clock_milliseconds();
    }
    pthread_cond_broadcast(&slot->quiet);
    pthread_mutex_unlock(&slot->lock);
}

void slot_end(struct slot *slot, const struct turn *turn) {
    end(slot, turn, false, EJECT_REMOVED);
}

void slot_end_by_removal(struct slot *slot, const struct turn *turn, enum eject_reason reason) {
    end(slot, turn, true, reason);
}

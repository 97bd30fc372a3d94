#include "guests.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "line.h"
#include "log.h"
#include "rights.h"
#include "slots.h"

struct guest {
    int fd;
    uid_t user;
    int64_t deadline;
};

static struct guest guests[GUESTS]; // in the order in which they came
static unsigned present;

static void send_away(int fd, enum eject_reason reason) {
    line_end(fd, reason);
    close(fd);
}

bool guests_accept(int listener, int64_t now) {
    uid_t user = 0;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    }
    if (!rights_may_attach(fd, &user)) {
        LOG(PCSC_LOG_INFO, "user %lu may not put cards into readers", (unsigned long)user);
        send_away(fd, EJECT_FORBIDDEN);
        return true;
    }
    if (present == GUESTS) {
        send_away(guests[0].fd, EJECT_FULL);
        present--;
        memmove(guests, guests + 1, present * sizeof *guests);
    }
    guests[present++] = (struct guest){fd, user, now + GREETING_MILLISECONDS};
    return true;
}

unsigned guests_watch(struct pollfd *watched) {
    for (unsigned i = 0; i < present; i++) {
        watched[i] = (struct pollfd){.fd = guests[i].fd, .events = POLLIN};
    }
    return present;
}

// The connection is now read by exchanges, which wait no longer than an agent may be silent, and
// written without waiting.
static bool prepare(int fd) {
    const struct timeval silence = {.tv_sec = SILENCE_MILLISECONDS / 1000,
                                    .tv_usec = SILENCE_MILLISECONDS % 1000 * 1000};
    const int room = 2 * (EXCHANGE_HEADER + COMMAND_LONGEST);
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0;
}

// Whether the guest's card is in a slot, or why not.
static bool greet(const struct guest *guest, enum eject_reason *why_not) {
    uint8_t record[HELLO_HEADER + ATR_LONGEST + 1]; // one more, which is too long
    struct hello hello;
    ssize_t length = recv(guest->fd, record, sizeof record, MSG_DONTWAIT);
    if (length <= 0) {
        *why_not = EJECT_REMOVED;
        return false;
    }
    if (!hello_read(record, (size_t)length, &hello)) {
        bool other = hello.version != 0 && hello.version != PROTOCOL_VERSION;
        *why_not = other ? EJECT_VERSION : EJECT_MALFORMED;
        return false;
    }
    if (!prepare(guest->fd)) {
        *why_not = EJECT_CLOSING;
        return false;
    }
    return slots_insert(guest->fd, guest->user, &hello, why_not);
}

// Whether the guest goes on waiting for its HELLO.
static bool attend(const struct guest *guest, bool speaks, int64_t now) {
    enum eject_reason why_not = EJECT_SILENT;
    if (!speaks && now < guest->deadline) {
        return true;
    }
    if (!speaks || !greet(guest, &why_not)) {
        LOG(PCSC_LOG_INFO, "user %lu is sent away, reason %d", (unsigned long)guest->user,
            (int)why_not);
        send_away(guest->fd, why_not);
    }
    return false;
}

void guests_attend(const struct pollfd *watched, unsigned count, int64_t now) {
    unsigned stay = 0;
    for (unsigned i = 0; i < count; i++) {
        if (attend(&guests[i], watched[i].revents != 0, now)) {
            guests[stay++] = guests[i];
        }
    }
    present = stay;
}

int64_t guests_deadline(void) {
    return present > 0 ? guests[0].deadline : INT64_MAX;
}

void guests_dismiss(void) {
    for (unsigned i = 0; i < present; i++) {
        send_away(guests[i].fd, EJECT_CLOSING);
    }
    present = 0;
}

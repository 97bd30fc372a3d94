#include "exchange.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

static bool send_command(const struct turn *turn, const uint8_t *command, size_t length) {
    uint8_t header[EXCHANGE_HEADER] = {RECORD_APDU, turn->number};
    struct iovec parts[] = {{header, sizeof header}, {(void *)(uintptr_t)command, length}};
    struct msghdr record = {.msg_iov = parts, .msg_iovlen = 2};
    return sendmsg(turn->fd, &record, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

// Receives one record: its header, and the rest behind. Returns its whole length, 0 at the end, -1
// after a silence that is too long (SO_RCVTIMEO, which the keeper sets) or an error.
static ssize_t receive(int fd, uint8_t *header, uint8_t *rest, size_t room) {
    struct iovec parts[] = {{header, EXCHANGE_HEADER}, {rest, room}};
    struct msghdr record = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t length;
    do {
        length = recvmsg(fd, &record, MSG_TRUNC);
    } while (length < 0 && errno == EINTR);
    return length;
}

static enum outcome leave(struct slot *slot, const struct turn *turn, enum eject_reason reason) {
    slot_end_by_removal(slot, turn, reason);
    return OUTCOME_NO_CARD;
}

static enum outcome await_response(struct slot *slot, const struct turn *turn, uint8_t *response,
                                   size_t *length) {
    const size_t room = *length;
    for (;;) {
        uint8_t header[EXCHANGE_HEADER] = {0};
        ssize_t received = receive(turn->fd, header, response, room);
        if (received < 0) {
            return leave(slot, turn, errno == EAGAIN ? EJECT_SILENT : EJECT_REMOVED);
        }
        if (received == 0) {
            return leave(slot, turn, EJECT_REMOVED);
        }
        switch (agent_word(header, (size_t)received)) {
        case AGENT_WORKS:
            continue;
        case AGENT_LEAVES:
            return leave(slot, turn, EJECT_REMOVED);
        case AGENT_RESPONDS:
            if (header[1] != turn->number) { // of no command that waits
                return leave(slot, turn, EJECT_MALFORMED);
            }
            slot_end(slot, turn);
            *length = (size_t)received - EXCHANGE_HEADER;
            return *length <= room ? OUTCOME_RESPONSE : OUTCOME_TOO_LONG;
        case AGENT_ERRS:
        default:
            return leave(slot, turn, EJECT_MALFORMED);
        }
    }
}

enum outcome exchange(struct slot *slot, const uint8_t *command, size_t command_length,
                      uint8_t *response, size_t *length) {
    struct turn turn;
    if (command_length == 0 || command_length > COMMAND_LONGEST || !slot_begin(slot, &turn)) {
        return OUTCOME_NO_CARD;
    }
    if (!send_command(&turn, command, command_length)) {
        return leave(slot, &turn, EJECT_SILENT);
    }
    return await_response(slot, &turn, response, length);
}

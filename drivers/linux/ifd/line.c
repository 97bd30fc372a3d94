#include "line.h"

#include <sys/socket.h>

enum { UNREAD_MOST = 64 }; // records that are thrown away at the end

static bool send_now(int fd, const uint8_t *record, size_t length) {
    // An agent whose queue is full does not read: to wait for it would block pcscd.
    return send(fd, record, length, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length;
}

bool line_send(int fd, enum record_type type) {
    const uint8_t record[] = {(uint8_t)type};
    return send_now(fd, record, sizeof record);
}

void line_cancel(int fd, uint8_t number) {
    const uint8_t record[] = {RECORD_CANCEL, number};
    send_now(fd, record, sizeof record);
}

void line_end(int fd, enum eject_reason reason) {
    const uint8_t record[EJECT_LENGTH] = {RECORD_EJECT, (uint8_t)reason};
    uint8_t unread[1];
    send_now(fd, record, sizeof record);
    // What is unread when the descriptor is closed would reach the agent as an error that comes
    // before our last record.
    for (int i = 0; i < UNREAD_MOST && recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0; i++) {
    }
    shutdown(fd, SHUT_RDWR);
}

#include "door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

enum { WAITING = 64 }; // connections that the kernel keeps for us

// The folder of a path. False if the path is not absolute.
static bool folder_of(const char *path, char *folder, size_t room) {
    const char *last = strrchr(path, '/');
    if (path[0] != '/' || last == path || (size_t)(last - path) >= room) {
        return false;
    }
    memcpy(folder, path, (size_t)(last - path));
    folder[last - path] = '\0';
    return true;
}

// Whether nobody but root and this process's user can put another socket into the folder. It is
// made if it is missing: there is no systemd everywhere to do so.
static bool is_safe(const char *folder) {
    struct stat found;
    if (mkdir(folder, 0755) == 0 && chmod(folder, 0755) != 0) { // whatever the umask
        return false;
    }
    return lstat(folder, &found) == 0 && S_ISDIR(found.st_mode) &&
           (found.st_uid == 0 || found.st_uid == geteuid()) &&
           (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Removes a socket of before, and nothing else.
static bool clear(const char *path) {
    struct stat found;
    if (lstat(path, &found) != 0) {
        return errno == ENOENT;
    }
    return S_ISSOCK(found.st_mode) && unlink(path) == 0;
}

static bool listen_at(int listener, const char *path) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    memcpy(place.sun_path, path, strlen(path) + 1);
    return bind(listener, (const struct sockaddr *)&place, sizeof place) == 0 &&
           // Everybody may knock; who is let in is decided by the user at the other end.
           chmod(path, 0666) == 0 && listen(listener, WAITING) == 0;
}

int door_open(const char *path) {
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    if (strlen(path) >= sizeof folder || !folder_of(path, folder, sizeof folder)) {
        LOG(PCSC_LOG_CRITICAL, "%s is no place for a socket", path);
        return -1;
    }
    if (!is_safe(folder) || !clear(path)) {
        LOG(PCSC_LOG_CRITICAL, "others could put a socket at %s", path);
        return -1;
    }
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener >= 0 && !listen_at(listener, path)) {
        LOG(PCSC_LOG_CRITICAL, "cannot listen at %s: error %d", path, errno);
        close(listener);
        listener = -1;
    }
    return listener;
}

void door_close(int listener, const char *path) {
    unlink(path);
    close(listener);
}

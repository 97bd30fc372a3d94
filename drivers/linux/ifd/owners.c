#include "owners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

enum {
    FOLDER_ROOM = sizeof((struct sockaddr_un *)0)->sun_path,
    FILE_ROOM = FOLDER_ROOM + 32,
};

static char folder[FOLDER_ROOM]; // with the last slash

static void place(char *path, unsigned slot) {
    snprintf(path, FILE_ROOM, "%sowner.%u", folder, slot);
}

void owners_settle(const char *socket) {
    const char *last = strrchr(socket, '/');
    size_t length = last == NULL ? 0 : (size_t)(last + 1 - socket);
    if (length < sizeof folder) {
        memcpy(folder, socket, length);
        folder[length] = '\0';
    }
}

void owners_note(unsigned slot, uid_t owner) {
    char path[FILE_ROOM];
    place(path, slot);
    owners_forget(slot);
    // Nobody is told of the owner by a file that is not complete, so that nobody gets in by it.
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool noted = file >= 0 && dprintf(file, "%lu\n", (unsigned long)owner) > 0 &&
                 fchmod(file, 0644) == 0; // whatever the umask
    if (!noted) {
        LOG(PCSC_LOG_CRITICAL, "cannot tell whose card is in a slot, in %s: error %d", path, errno);
    }
    if (file >= 0) {
        close(file);
    }
}

void owners_forget(unsigned slot) {
    char path[FILE_ROOM];
    place(path, slot);
    unlink(path);
}

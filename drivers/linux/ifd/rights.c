#include "rights.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUP "cloudcard"
// The file alone is asked, so that no module of the name service is loaded into pcscd, and no
// directory server that is away delays the other slots.
#ifndef GROUP_FILE
#define GROUP_FILE "/etc/group"
#endif
#ifndef SESSIONS
#define SESSIONS "/run/systemd/users"
#endif

enum {
    STATE_LONGEST = 4096,
    LINE_LONGEST = 65536, // of GROUP_FILE
};

// Stands for every user whom a namespace does not show, so it is nobody in particular
// (user_namespaces(7)).
static const uid_t OVERFLOW_USER = 65534;
static const uid_t NO_USER = (uid_t)-1;

// Whether a line of the text is `name=value`, or has any value but none.
static bool says(const char *text, const char *name, const char *value) {
    const size_t length = strlen(name);
    while (text != NULL) {
        if (strncmp(text, name, length) == 0 && text[length] == '=') {
            const char *found = text + length + 1;
            const size_t rest = strcspn(found, "\n");
            return value == NULL ? rest > 0
                                 : rest == strlen(value) && strncmp(found, value, rest) == 0;
        }
        text = strchr(text, '\n');
        text = text == NULL ? NULL : text + 1;
    }
    return false;
}

bool rights_is_at_seat(const char *state) {
    // A session of ssh is active too, but at no seat.
    return says(state, "STATE", "active") && says(state, "ACTIVE_SEATS", NULL);
}

static bool sits_here(uid_t user) {
    char path[sizeof SESSIONS + 24];
    char state[STATE_LONGEST + 1];
    snprintf(path, sizeof path, SESSIONS "/%lu", (unsigned long)user);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    state[fread(state, 1, STATE_LONGEST, file)] = '\0';
    fclose(file);
    return rights_is_at_seat(state);
}

// The number of the group, or false if this computer has none of that name.
static bool find_group(gid_t *number) {
    bool found = false;
    struct group entry;
    struct group *read = NULL;
    char *line = malloc(LINE_LONGEST);
    FILE *file = fopen(GROUP_FILE, "re");
    if (line != NULL && file != NULL) {
        while (!found && fgetgrent_r(file, &entry, line, LINE_LONGEST, &read) == 0) {
            found = strcmp(entry.gr_name, GROUP) == 0;
            *number = entry.gr_gid;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    free(line);
    return found;
}

// The further groups of the program at the other end; the caller frees them.
static gid_t *further_groups(int fd, size_t *count) {
    socklen_t size = 0;
    *count = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE) {
        return NULL;
    }
    gid_t *groups = malloc(size);
    if (groups != NULL && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
        *count = size / sizeof *groups;
    }
    return groups;
}

static bool is_member(int fd, gid_t main_group) {
    gid_t wanted = 0;
    if (!find_group(&wanted)) {
        return false;
    }
    size_t count = 0;
    gid_t *groups = further_groups(fd, &count);
    bool member = main_group == wanted;
    for (size_t i = 0; i < count; i++) {
        member = member || groups[i] == wanted;
    }
    free(groups);
    return member;
}

bool rights_may_attach(int fd, uid_t *user) {
    struct ucred peer = {.uid = NO_USER};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return false;
    }
    *user = peer.uid;
    if (peer.uid == NO_USER || peer.uid == OVERFLOW_USER) {
        return false;
    }
    return peer.uid == 0 || peer.uid == geteuid() || sits_here(peer.uid) ||
           is_member(fd, peer.gid);
}

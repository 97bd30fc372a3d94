// The socket at which agents knock.
#ifndef CLOUDCARD_DOOR_H
#define CLOUDCARD_DOOR_H

#include <stdbool.h>

// Listens at a path, in place of a socket that an earlier pcscd has left there. Returns the
// descriptor, or -1 if the place is not safe or the system refuses.
int door_open(const char *path);

// Ends listening and removes the socket.
void door_close(int listener, const char *path);

#endif

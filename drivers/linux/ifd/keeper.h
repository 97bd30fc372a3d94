// The thread that lets agents in, and notices when they go.
#ifndef CLOUDCARD_KEEPER_H
#define CLOUDCARD_KEEPER_H

#include <stdbool.h>

// Starts the thread and listens at a path. True also if it runs already, at the same path.
bool keeper_start(const char *path);

// Ends the thread, if it runs, and removes the socket.
void keeper_stop(void);

#endif

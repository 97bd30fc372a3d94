// Sending on a connection to an agent, which never waits for the agent.
#ifndef CLOUDCARD_LINE_H
#define CLOUDCARD_LINE_H

#include "record.h"

// Sends one record of a type alone, such as ON. False if the agent does not take it.
bool line_send(int fd, enum record_type type);

// Sends CANCEL for the exchange of this number.
void line_cancel(int fd, uint8_t number);

// Tells the agent why the connection ends, and shuts it down. The caller closes the descriptor.
void line_end(int fd, enum eject_reason reason);

#endif

// What applications ask about a reader: attributes and features.
#ifndef CLOUDCARD_ATTRIBUTES_H
#define CLOUDCARD_ATTRIBUTES_H

#include <pcsclite.h>
#include <ifdhandler.h>

#include "slot.h"

// Answers SCardGetAttrib, and pcscd's questions about the handler.
RESPONSECODE attributes_get(struct slot *slot, DWORD tag, PUCHAR value, PDWORD length);

// Answers SCardControl: the features of PC/SC part 10, and their properties.
RESPONSECODE attributes_control(DWORD code, PUCHAR out, DWORD room, LPDWORD length);

// Copies an answer if there is room for it.
RESPONSECODE attributes_give(const void *answer, DWORD answer_length, PUCHAR value, PDWORD length);

#endif

// Whose card is in a slot, told to everybody in a file beside the socket: `owner.` and the slot's
// number, with the user's number and a line feed in it. A slot without a card has no file. pcscd asks
// polkit who may reach a card and names the reader alone; polkit's rule reads the file.
#ifndef CLOUDCARD_OWNERS_H
#define CLOUDCARD_OWNERS_H

#include <sys/types.h>

// The socket beside which the files are from now on.
void owners_settle(const char *socket);

void owners_note(unsigned slot, uid_t owner);
void owners_forget(unsigned slot);

#endif

// All slots of this handler: each is a reader of its own for pcscd.
#ifndef CLOUDCARD_SLOTS_H
#define CLOUDCARD_SLOTS_H

#include "slot.h"

enum { SLOTS = 16 }; // pcscd up to 2.4 holds no more readers

// Slot `index`, which is below SLOTS.
struct slot *slots_at(unsigned index);

// The open slot that pcscd calls `lun`, or NULL.
struct slot *slots_named(unsigned long lun);

// The number of a slot.
unsigned slots_index(const struct slot *slot);

// Whether a slot is open.
bool slots_any_open(void);

// Puts a card into the slot that it wants, or into any: into the one that was this user's last, else
// into one that nobody has used. True, or why not.
bool slots_insert(int fd, uid_t owner, const struct hello *hello, enum eject_reason *why_not);

#endif

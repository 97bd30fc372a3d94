// One slot: the card that an agent holds in it, and how much of that pcscd has been shown.
//
// pcscd learns of cards from its polling thread, which waits in slot_await_change, looks with
// slot_is_occupied, and waits again. A card that is taken out and replaced between two looks would
// be taken for the same card, and an application would keep its handle on another person's card.
// Therefore a slot is shown empty after a removal until the polling thread has looked once, which is
// when it waits again; and no command reaches a new card until an application has connected to it,
// which is when pcscd sets the protocol.
#ifndef CLOUDCARD_SLOT_H
#define CLOUDCARD_SLOT_H

#include <pthread.h>
#include <sys/types.h>

#include "record.h"

#ifndef SILENCE_MILLISECONDS
#define SILENCE_MILLISECONDS 5000 // an agent that says nothing for so long is gone
#endif
enum { NO_CONNECTION = -1 };

// What pcscd is shown of a removal.
enum absence {
    ABSENCE_NONE,  // nothing: the slot is shown as it is
    ABSENCE_DUE,   // the polling thread has to look
    ABSENCE_SHOWN, // the polling thread looks, until it waits again
};

struct slot {
    pthread_mutex_t lock;
    pthread_cond_t changed; // for the polling thread
    pthread_cond_t quiet;   // the exchange has ended

    unsigned long lun; // pcscd's name of the slot
    uint8_t index;     // its number
    bool open;

    int fd;              // of the agent's connection, or NO_CONNECTION: no card
    unsigned generation; // counts the cards
    uid_t owner;         // the user whose card is in the slot, or was last
    bool used;           // whether there was an owner
    uint32_t capabilities;
    uint8_t atr[ATR_LONGEST];
    size_t atr_length;
    int64_t heard; // when the agent has last said anything

    bool busy;      // an exchange runs
    uint8_t number; // of the last exchange

    bool connected; // an application has connected to this card
    enum absence absence;
    bool news;
    bool stop; // the polling thread must return, once
};

// An exchange's hold on the connection, which outlives the card's removal.
struct turn {
    int fd;
    unsigned generation;
    uint8_t number;
};

void slot_initialize(struct slot *slot, uint8_t index);
void slot_open(struct slot *slot, unsigned long lun);

// Takes the card out, waits for the exchange, and lets the polling thread return.
void slot_close(struct slot *slot);

// Puts a card in and sends WELCOME. False if the slot is taken or closed.
bool slot_insert(struct slot *slot, int fd, uid_t owner, const struct hello *hello);

// The connection of the agent, for whoever watches it, and its generation.
int slot_watched(struct slot *slot, unsigned *generation);

// Hears what the agent says between exchanges, and takes the card out if the agent has hung up, has
// been silent for too long, or talks nonsense.
void slot_attend(struct slot *slot, unsigned generation, bool hung_up, int64_t now);

// For pcscd's polling thread.
void slot_await_change(struct slot *slot, int milliseconds);
void slot_stop_waiting(struct slot *slot);

bool slot_is_occupied(struct slot *slot);

// Copies the ATR, at least ATR_LONGEST bytes, and returns its length; 0 if there is no card.
size_t slot_atr(struct slot *slot, uint8_t *atr);

// Tells the agent that its card is switched on, off, or reset. False if there is no card.
bool slot_power(struct slot *slot, enum record_type power);

// Notes that an application connects to the card. False if there is no card.
bool slot_connect(struct slot *slot);

// Begins an exchange. False if there is no card that an application has connected to.
bool slot_begin(struct slot *slot, struct turn *turn);

// Ends an exchange after which the card stays, or goes for a reason.
void slot_end(struct slot *slot, const struct turn *turn);
void slot_end_by_removal(struct slot *slot, const struct turn *turn, enum eject_reason reason);

#endif

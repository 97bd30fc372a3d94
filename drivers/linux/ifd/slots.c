#include "slots.h"

static struct slot table[SLOTS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void initialize(void) {
    for (unsigned i = 0; i < SLOTS; i++) {
        slot_initialize(&table[i], (uint8_t)i);
    }
}

struct slot *slots_at(unsigned index) {
    pthread_once(&once, initialize);
    return &table[index];
}

unsigned slots_index(const struct slot *slot) {
    return (unsigned)(slot - table);
}

static bool is_named(struct slot *slot, unsigned long lun) {
    pthread_mutex_lock(&slot->lock);
    bool named = slot->open && slot->lun == lun;
    pthread_mutex_unlock(&slot->lock);
    return named;
}

struct slot *slots_named(unsigned long lun) {
    for (unsigned i = 0; i < SLOTS; i++) {
        if (is_named(slots_at(i), lun)) {
            return slots_at(i);
        }
    }
    return NULL;
}

static bool is_open(struct slot *slot) {
    pthread_mutex_lock(&slot->lock);
    bool open = slot->open;
    pthread_mutex_unlock(&slot->lock);
    return open;
}

bool slots_any_open(void) {
    for (unsigned i = 0; i < SLOTS; i++) {
        if (is_open(slots_at(i))) {
            return true;
        }
    }
    return false;
}

// How well a free slot suits a user; 0 if it is not free.
static int suits(struct slot *slot, uid_t owner) {
    pthread_mutex_lock(&slot->lock);
    bool is_free = slot->open && slot->fd == NO_CONNECTION;
    int score = !is_free ? 0 : !slot->used ? 2 : slot->owner == owner ? 3 : 1;
    pthread_mutex_unlock(&slot->lock);
    return score;
}

static unsigned best_for(uid_t owner) {
    unsigned best = 0;
    int score = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        int found = suits(slots_at(i), owner);
        if (found > score) {
            best = i;
            score = found;
        }
    }
    return best;
}

bool slots_insert(int fd, uid_t owner, const struct hello *hello, enum eject_reason *why_not) {
    unsigned index = hello->slot == ANY_SLOT ? best_for(owner) : hello->slot;
    if (index >= SLOTS || !is_open(slots_at(index))) {
        *why_not = EJECT_NO_SLOT;
        return false;
    }
    *why_not = EJECT_TAKEN;
    return slot_insert(slots_at(index), fd, owner, hello);
}

// Who may put a card into this computer's readers.
#ifndef CLOUDCARD_RIGHTS_H
#define CLOUDCARD_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

// Whether the program at the other end may: root, pcscd's own user, a user who sits at this
// computer's screen now, or a member of the group `cloudcard`. Tells its user.
bool rights_may_attach(int fd, uid_t *user);

// Whether a text of systemd-logind's says that the user has an active session at a seat, as
// sd_uid_get_state and sd_uid_get_seats would.
bool rights_is_at_seat(const char *state);

#endif

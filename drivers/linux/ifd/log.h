// Messages in pcscd's log.
#ifndef CLOUDCARD_LOG_H
#define CLOUDCARD_LOG_H

#include <debuglog.h>

// pcscd exports it. It is missing where something else loads this handler, as tests do.
#pragma weak log_msg

#define LOG(priority, ...)                                                                         \
    do {                                                                                           \
        if (log_msg) {                                                                             \
            log_msg(priority, "cloudcard: " __VA_ARGS__);                                          \
        }                                                                                          \
    } while (0)

#endif

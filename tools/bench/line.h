// Workstations' connections to a keystore: gRPC over HTTP/2 and mutual TLS, all in one thread.
#ifndef LINE_H
#define LINE_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#include "messages.h"

struct line {
    char address[64];
    SSL_CTX *identity;
    int socket;
    SSL *tls;
    nghttp2_session *http;
    struct bytes out;
    bool is_full; // the kernel takes no more for now
};

// A call of gRPC: `sending` goes out, and `message` is called for each message that comes in.
struct call {
    struct line *line;
    bool stays_open; // more can be added to `sending` later, until it is cleared
    bool is_paused, is_success;
    int32_t stream;
    struct bytes sending, received;
    char refusal[128];
    void (*message)(struct call *call, struct part message);
    void (*ended)(struct call *call); // with success; anything else fails
};

// Takes an identity from its files; fails.
void line_identify(struct line *line, const char *ca, const char *certificate, const char *key);

// Connects all lines, one after another, and checks the keystore's name; fails.
void lines_open(struct line *all, size_t number);
void lines_close(void);

void call_begin(struct call *call, const char *method);
void call_send(struct call *call); // what was added to `sending` of a call that stays open

// Sends what is there to send, waits, and takes in what has come. Fails if that is nothing for so
// many milliseconds.
void lines_turn(int milliseconds);

#endif

#include "line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { WINDOW = 1 << 24, MOST_EVENTS = 64, CHUNK = 1 << 14 };

static int poller = -1;
static struct line *lines;
static size_t count;

static ssize_t on_read(nghttp2_session *http, int32_t stream, uint8_t *to, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *user) {
    (void)http, (void)stream, (void)user;
    struct call *call = source->ptr;
    size_t length = call->sending.length < room ? call->sending.length : room;
    if (length == 0 && call->stays_open) {
        call->is_paused = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (length > 0) {
        memcpy(to, call->sending.data, length);
        bytes_drop(&call->sending, length);
    }
    if (call->sending.length == 0 && !call->stays_open) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)length;
}

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                     void *user) {
    (void)flags, (void)user, (void)name_length;
    struct call *call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
    if (call == NULL) {
        return 0;
    }
    const char *said = (const char *)value; // nghttp2 ends names and values with a zero
    if (strcmp((const char *)name, "grpc-status") == 0) {
        call->is_success = strcmp(said, "0") == 0;
        if (!call->is_success && call->refusal[0] == '\0') {
            snprintf(call->refusal, sizeof call->refusal, "status %s", said);
        }
    } else if (strcmp((const char *)name, "grpc-message") == 0 && length > 0) {
        snprintf(call->refusal, sizeof call->refusal, "%s", said);
    } else if (strcmp((const char *)name, ":status") == 0 && strcmp(said, "200") != 0) {
        fail("a call is answered by HTTP's %s", said);
    }
    return 0;
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *user) {
    (void)flags, (void)user;
    struct call *call = nghttp2_session_get_stream_user_data(http, stream);
    if (call == NULL) {
        return 0;
    }
    bytes_add(&call->received, data, length);
    struct part message;
    size_t taken, done = 0;
    while ((taken = message_take(call->received.data + done, call->received.length - done,
                                 &message)) > 0) {
        call->message(call, message);
        done += taken;
    }
    bytes_drop(&call->received, done);
    return 0;
}

static int on_close(nghttp2_session *http, int32_t stream, uint32_t error, void *user) {
    (void)user;
    struct call *call = nghttp2_session_get_stream_user_data(http, stream);
    if (call == NULL) {
        return 0;
    }
    if (error != NGHTTP2_NO_ERROR || !call->is_success || call->received.length > 0) {
        fail("a call has ended without success: HTTP/2 says %s, gRPC %s",
             nghttp2_http2_strerror(error), call->refusal[0] ? call->refusal : "nothing more");
    }
    call->ended(call);
    return 0;
}

static int on_frame(nghttp2_session *http, const nghttp2_frame *frame, void *user) {
    (void)user;
    struct call *call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        fail("the keystore closes a connection: %s", nghttp2_http2_strerror(frame->goaway.error_code));
    }
    if (call != NULL && call->stays_open && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        fail("a call has ended too early: %s", call->refusal);
    }
    return 0;
}

void line_identify(struct line *line, const char *ca, const char *certificate, const char *key) {
    SSL_CTX *context = line->identity = checked(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_alpn_protos(context, (const uint8_t *)"\2h2", 3) != 0) {
        fail("an identity cannot be read: %s, %s, %s", ca, certificate, key);
    }
}

static void http_begin(struct line *line) {
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        fail("there is no more memory");
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}};
    if (nghttp2_session_client_new(&line->http, callbacks, line) != 0 ||
        nghttp2_submit_settings(line->http, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
        nghttp2_session_set_local_window_size(line->http, NGHTTP2_FLAG_NONE, 0, WINDOW) != 0) {
        fail("HTTP/2 cannot be begun");
    }
    nghttp2_session_callbacks_del(callbacks);
}

static void watch(struct line *line, int operation) {
    uint32_t events = line->is_full ? EPOLLIN | EPOLLOUT : EPOLLIN;
    struct epoll_event event = {.events = events, .data = {.ptr = line}};
    if (epoll_ctl(poller, operation, line->socket, &event) != 0) {
        fail("epoll does not take a connection");
    }
}

static void line_open(struct line *line) {
    char host[sizeof line->address];
    struct sockaddr_in place = {.sin_family = AF_INET};
    unsigned port;
    int one = 1;
    if (sscanf(line->address, "%63[^:]:%u", host, &port) != 2 ||
        inet_pton(AF_INET, host, &place.sin_addr) != 1) {
        fail("%s is no IPv4 address and port", line->address);
    }
    place.sin_port = htons((uint16_t)port);
    line->is_full = false;
    line->out.length = 0;
    line->tls = checked(SSL_new(line->identity));
    line->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(line->tls), host) != 1 ||
        connect(line->socket, (const struct sockaddr *)&place, sizeof place) != 0 ||
        setsockopt(line->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        SSL_set_fd(line->tls, line->socket) != 1 || SSL_connect(line->tls) != 1) {
        const char *why = ERR_reason_error_string(ERR_peek_error());
        fail("no TLS with %s: %s", line->address, why != NULL ? why : strerror(errno));
    }
    fcntl(line->socket, F_SETFL, O_NONBLOCK);
    http_begin(line);
    watch(line, EPOLL_CTL_ADD);
}

void lines_open(struct line *all, size_t number) {
    if (poller < 0) {
        poller = epoll_create1(EPOLL_CLOEXEC);
    }
    lines = all;
    for (count = 0; count < number; count++) {
        line_open(&lines[count]);
    }
}

void lines_close(void) {
    for (; count > 0; count--) {
        struct line *line = &lines[count - 1];
        nghttp2_session_del(line->http);
        SSL_shutdown(line->tls);
        SSL_free(line->tls);
        close(line->socket);
    }
}

#define HEADER(name, value) \
    {(uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value), 0}

void call_begin(struct call *call, const char *method) {
    char path[128];
    snprintf(path, sizeof path, "/cloudcard.workstation.v1.WorkstationService/%s", method);
    nghttp2_nv headers[] = {HEADER(":method", "POST"), HEADER(":scheme", "https"),
                            HEADER(":path", path), HEADER(":authority", call->line->address),
                            HEADER("te", "trailers"), HEADER("content-type", "application/grpc")};
    nghttp2_data_provider source = {{.ptr = call}, on_read};
    call->is_paused = call->is_success = false;
    call->refusal[0] = '\0';
    call->stream = nghttp2_submit_request(call->line->http, NULL, headers,
                                          sizeof headers / sizeof *headers, &source, call);
    if (call->stream < 0) {
        fail("no call can be begun: %s", nghttp2_strerror(call->stream));
    }
}

void call_send(struct call *call) {
    if (call->is_paused) {
        call->is_paused = false;
        nghttp2_session_resume_data(call->line->http, call->stream);
    }
}

static void line_write(struct line *line) {
    const uint8_t *frames;
    ssize_t length;
    while ((length = nghttp2_session_mem_send(line->http, &frames)) > 0) {
        bytes_add(&line->out, frames, (size_t)length);
    }
    bool was_full = line->is_full;
    line->is_full = false;
    ERR_clear_error();
    while (line->out.length > 0 && !line->is_full) {
        int written = SSL_write(line->tls, line->out.data, (int)line->out.length);
        if (written > 0) {
            bytes_drop(&line->out, (size_t)written);
        } else if (SSL_get_error(line->tls, written) == SSL_ERROR_WANT_WRITE) {
            line->is_full = true;
        } else {
            fail("the connection to %s is lost", line->address);
        }
    }
    if (length < 0) {
        fail("HTTP/2 to %s: %s", line->address, nghttp2_strerror((int)length));
    }
    if (line->is_full != was_full) {
        watch(line, EPOLL_CTL_MOD);
    }
}

static void line_read(struct line *line) {
    static uint8_t chunk[CHUNK];
    int length;
    ERR_clear_error(); // SSL_get_error would take an older one for this connection's
    while ((length = SSL_read(line->tls, chunk, sizeof chunk)) > 0) {
        ssize_t taken = nghttp2_session_mem_recv(line->http, chunk, (size_t)length);
        if (taken != length) {
            fail("%s speaks no HTTP/2: %s", line->address, nghttp2_strerror((int)taken));
        }
    }
    if (SSL_get_error(line->tls, length) != SSL_ERROR_WANT_READ) {
        fail("the connection to %s is lost", line->address);
    }
}

void lines_turn(int milliseconds) {
    struct epoll_event events[MOST_EVENTS];
    for (size_t each = 0; each < count; each++) {
        if (lines[each].out.length > 0 || nghttp2_session_want_write(lines[each].http)) {
            line_write(&lines[each]);
        }
        if (!nghttp2_session_want_read(lines[each].http)) {
            fail("%s speaks no HTTP/2 that is understood", lines[each].address);
        }
    }
    int found = epoll_wait(poller, events, MOST_EVENTS, milliseconds);
    if (found == 0) {
        fail("the keystore has not answered for %d seconds", milliseconds / 1000);
    }
    for (int each = 0; each < found; each++) {
        line_read(events[each].data.ptr);
    }
}

#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, rest);
    fputc('\n', stderr);
    va_end(rest);
    exit(1);
}

void *checked(void *memory) {
    if (memory == NULL) {
        fail("there is no more memory");
    }
    return memory;
}

void bytes_add(struct bytes *to, const void *data, size_t length) {
    if (length > to->room - to->length) {
        to->room = 2 * (to->length + length);
        to->data = checked(realloc(to->data, to->room));
    }
    if (length > 0) {
        memcpy(to->data + to->length, data, length);
        to->length += length;
    }
}

void bytes_drop(struct bytes *from, size_t length) {
    from->length -= length;
    if (length > 0 && from->length > 0) {
        memmove(from->data, from->data + length, from->length);
    }
}

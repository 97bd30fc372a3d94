// What keys sign, fresh each time, and whether they have signed it.
#ifndef KEYS_H
#define KEYS_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum input { INPUT_PKCS1, INPUT_PSS, INPUT_P256 };
enum { DIGEST = 32, RSA_BLOCK = 256, LONGEST_INPUT = RSA_BLOCK, LONGEST_ECDSA = 72 };

struct key {
    bool is_rsa;
    EVP_PKEY_CTX *context; // for raw RSA (RFC 8017, 5.2.2) or ECDSA
};

struct key key_read(bool is_rsa, const char *hex); // a SubjectPublicKeyInfo; fails
size_t input_length(enum input input);
void input_make(enum input input, uint8_t *block);
bool signature_fits(const struct key *key, size_t length); // cheap, for each signature
bool signature_holds(struct key *key, const uint8_t *block, const uint8_t *signature, size_t length);

#endif

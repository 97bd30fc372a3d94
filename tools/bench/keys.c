#include "keys.h"

#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>

#include "bytes.h"

// DigestInfo of SHA-256 before the digest (RFC 8017, 9.2, note 1).
static const uint8_t SHA256_INFO[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

struct key key_read(bool is_rsa, const char *hex) {
    long length;
    unsigned char *der = OPENSSL_hexstr2buf(hex, &length);
    const unsigned char *at = der;
    EVP_PKEY *public = der != NULL ? d2i_PUBKEY(NULL, &at, length) : NULL;
    OPENSSL_free(der);
    struct key key = {is_rsa, public != NULL ? EVP_PKEY_CTX_new(public, NULL) : NULL};
    EVP_PKEY_free(public); // the context keeps it
    bool ready = key.context != NULL &&
                 (is_rsa ? EVP_PKEY_encrypt_init(key.context) == 1 &&
                               EVP_PKEY_CTX_set_rsa_padding(key.context, RSA_NO_PADDING) == 1
                         : EVP_PKEY_verify_init(key.context) == 1);
    if (!ready) {
        fail("a session's public key cannot be read");
    }
    return key;
}

static void draw(uint8_t *to, size_t length) {
    if (RAND_bytes(to, (int)length) != 1) {
        fail("OpenSSL has no random bytes");
    }
}

static void make_pkcs1(uint8_t *block) {
    size_t info = RSA_BLOCK - DIGEST - sizeof SHA256_INFO;
    memset(block, 0xff, info);
    block[0] = 0;
    block[1] = 1;
    block[info - 1] = 0;
    memcpy(block + info, SHA256_INFO, sizeof SHA256_INFO);
    draw(block + RSA_BLOCK - DIGEST, DIGEST);
}

// EMSA-PSS of a random digest, with SHA-256 and a salt as long (RFC 8017, 9.1.1).
static void make_pss(uint8_t *block) {
    enum { MASKED = RSA_BLOCK - DIGEST - 1 };
    uint8_t covered[8 + 2 * DIGEST] = {0}; // eight zeros, the digest, the salt
    uint8_t seed[DIGEST + 4], mask[DIGEST];
    draw(covered + 8, 2 * DIGEST);
    SHA256(covered, sizeof covered, seed);
    memset(block, 0, MASKED);
    block[MASKED - DIGEST - 1] = 1;
    memcpy(block + MASKED - DIGEST, covered + 8 + DIGEST, DIGEST);
    for (size_t at = 0; at < MASKED; at++) { // MGF1 (RFC 8017, B.2.1)
        if (at % DIGEST == 0) {
            memcpy(seed + DIGEST, (uint8_t[]){0, 0, 0, (uint8_t)(at / DIGEST)}, 4);
            SHA256(seed, sizeof seed, mask);
        }
        block[at] ^= mask[at % DIGEST];
    }
    block[0] &= 0x7f;
    memcpy(block + MASKED, seed, DIGEST);
    block[RSA_BLOCK - 1] = 0xbc;
}

size_t input_length(enum input input) {
    return input == INPUT_P256 ? DIGEST : RSA_BLOCK;
}

void input_make(enum input input, uint8_t *block) {
    if (input == INPUT_P256) {
        draw(block, DIGEST);
    } else if (input == INPUT_PSS) {
        make_pss(block);
    } else {
        make_pkcs1(block);
    }
}

bool signature_fits(const struct key *key, size_t length) {
    return key->is_rsa ? length == RSA_BLOCK : length > 0 && length <= LONGEST_ECDSA;
}

bool signature_holds(struct key *key, const uint8_t *block, const uint8_t *signature, size_t length) {
    if (!key->is_rsa) {
        return EVP_PKEY_verify(key->context, signature, length, block, DIGEST) == 1;
    }
    uint8_t opened[RSA_BLOCK];
    size_t room = sizeof opened;
    return EVP_PKEY_encrypt(key->context, opened, &room, signature, length) == 1 &&
           room == RSA_BLOCK && memcmp(opened, block, RSA_BLOCK) == 0;
}

/* BLAKE2b-256 over bytes that come piece by piece; amend_digest (core/pack.h) is for those at hand. */
#ifndef AMEND_CORE_DIGEST_H
#define AMEND_CORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/pack.h"

enum { AMEND_DIGEST_HEX = 2 * AMEND_DIGEST_SIZE + 1 };

struct amend_hasher;

/* NULL when there is no memory. */
struct amend_hasher *amend_hasher_new(void);
void amend_hasher_add(struct amend_hasher *hasher, const void *bytes, size_t size);
/* The digest of all that was added so far; more may follow. */
void amend_hasher_digest(const struct amend_hasher *hasher, unsigned char digest[AMEND_DIGEST_SIZE]);
void amend_hasher_free(struct amend_hasher *hasher);

/* Lower case, terminated; and back: false when it is anything else. */
void amend_digest_hex(const unsigned char digest[AMEND_DIGEST_SIZE], char hex[AMEND_DIGEST_HEX]);
bool amend_digest_parse(const char *hex, size_t size, unsigned char digest[AMEND_DIGEST_SIZE]);

#endif

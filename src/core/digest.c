/*
 * A digest piece by piece, and digests as text.
 * Leaves what is digested to its users.
 */
#include "core/digest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

/* libsodium wants its state at a multiple of 64; malloc promises less. */
enum { ALIGN = 64 };

struct amend_hasher {
	unsigned char room[sizeof(crypto_generichash_state) + ALIGN];
};

static size_t shift_of(const struct amend_hasher *hasher)
{
	return (ALIGN - (uintptr_t)hasher->room % ALIGN) % ALIGN;
}

static crypto_generichash_state *state_of(struct amend_hasher *hasher)
{
	return (void *)(hasher->room + shift_of(hasher));
}

struct amend_hasher *amend_hasher_new(void)
{
	struct amend_hasher *hasher = calloc(1, sizeof(*hasher));

	if (hasher)
		crypto_generichash_init(state_of(hasher), NULL, 0, AMEND_DIGEST_SIZE);
	return hasher;
}

void amend_hasher_add(struct amend_hasher *hasher, const void *bytes, size_t size)
{
	crypto_generichash_update(state_of(hasher), bytes, size);
}

void amend_hasher_digest(const struct amend_hasher *hasher, unsigned char digest[AMEND_DIGEST_SIZE])
{
	/* Finishing spoils the state: it is done to a copy, which may be aligned otherwise. */
	struct amend_hasher copy;

	memcpy(state_of(&copy), hasher->room + shift_of(hasher), sizeof(crypto_generichash_state));
	crypto_generichash_final(state_of(&copy), digest, AMEND_DIGEST_SIZE);
}

void amend_hasher_free(struct amend_hasher *hasher)
{
	free(hasher);
}

void amend_digest_hex(const unsigned char digest[AMEND_DIGEST_SIZE], char hex[AMEND_DIGEST_HEX])
{
	sodium_bin2hex(hex, AMEND_DIGEST_HEX, digest, AMEND_DIGEST_SIZE);
}

bool amend_digest_parse(const char *hex, size_t size, unsigned char digest[AMEND_DIGEST_SIZE])
{
	size_t n = 0;

	return size == AMEND_DIGEST_HEX - 1 &&
	       sodium_hex2bin(digest, AMEND_DIGEST_SIZE, hex, size, NULL, &n, NULL) == 0 &&
	       n == AMEND_DIGEST_SIZE;
}

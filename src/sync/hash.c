/*
 * A hash table with SipHash under a key of its own.
 * Leaves keys and things to the caller.
 */
#include "sync/hash.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct amend_hash_slot {
	const void *key; /* NULL: free */
	size_t size;
	uint64_t code;
	void *thing;
};

enum { FIRST_ROOM = 64 };

static uint64_t code_of(const struct amend_hash *hash, const void *key, size_t size)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t code;

	_Static_assert(crypto_shorthash_KEYBYTES == sizeof(hash->secret), "SipHash-2-4's key");
	crypto_shorthash(out, key, size, hash->secret);
	memcpy(&code, out, sizeof(code));
	return code;
}

/* The slot with this key, or the free one where it would be. */
static struct amend_hash_slot *find(const struct amend_hash *hash, const void *key, size_t size,
				    uint64_t code)
{
	size_t i = (size_t)code & (hash->room - 1);

	for (;; i = (i + 1) & (hash->room - 1)) {
		struct amend_hash_slot *slot = &hash->slots[i];

		if (!slot->key ||
		    (slot->code == code && slot->size == size && memcmp(slot->key, key, size) == 0))
			return slot;
	}
}

static bool grow(struct amend_hash *hash)
{
	struct amend_hash bigger = *hash;

	if (hash->room > SIZE_MAX / 2 / sizeof(*hash->slots))
		return false;
	bigger.room = hash->room ? hash->room * 2 : FIRST_ROOM;
	bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	if (!hash->slots)
		randombytes_buf(bigger.secret, sizeof(bigger.secret));
	for (size_t i = 0; hash->slots && i < hash->room; i++) {
		const struct amend_hash_slot *slot = &hash->slots[i];

		if (slot->key)
			*find(&bigger, slot->key, slot->size, slot->code) = *slot;
	}
	free(hash->slots);
	*hash = bigger;
	return true;
}

void **amend_hash_put(struct amend_hash *hash, const void *key, size_t size)
{
	struct amend_hash_slot *slot;
	uint64_t code;

	if (hash->n >= hash->room / 2 && !grow(hash))
		return NULL;
	code = code_of(hash, key, size);
	slot = find(hash, key, size, code);
	if (!slot->key) {
		*slot = (struct amend_hash_slot){key, size, code, NULL};
		hash->n++;
	}
	return &slot->thing;
}

void *amend_hash_get(const struct amend_hash *hash, const void *key, size_t size)
{
	return hash->n ? find(hash, key, size, code_of(hash, key, size))->thing : NULL;
}

void amend_hash_release(struct amend_hash *hash)
{
	free(hash->slots);
	*hash = (struct amend_hash){0};
}

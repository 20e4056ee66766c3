/*
 * From bytes to a thing: open addressing, a keyed hash, so that no input makes
 * it slow. Keys and things are borrowed.
 */
#ifndef AMEND_SYNC_HASH_H
#define AMEND_SYNC_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct amend_hash_slot;

struct amend_hash {
	struct amend_hash_slot *slots;
	size_t n, room;
	unsigned char secret[16];
};

/* All zero is an empty one. */
void amend_hash_release(struct amend_hash *hash);

/* Where the thing under this key is kept; made (NULL in it) when missing. NULL: no memory. */
void **amend_hash_put(struct amend_hash *hash, const void *key, size_t size);

/* NULL: there is none. */
void *amend_hash_get(const struct amend_hash *hash, const void *key, size_t size);

#endif

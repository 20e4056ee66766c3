/*
 * A packed list of named values: what a base is stored as, and what a digest
 * is taken over. Each part is length-prefixed and NULL is marked, so that no
 * two lists have the same bytes; kinds and the bits of reals are kept.
 *
 * One entry: name length, name, kind (one byte), then INTEGER and REAL: 8
 * bytes, little endian; TEXT and BLOB: length, bytes. Lengths are LEB128.
 */
#ifndef AMEND_CORE_PACK_H
#define AMEND_CORE_PACK_H

#include "core/buffer.h"

#include <amend/value.h>

enum { AMEND_DIGEST_SIZE = 32 };

void amend_pack_add(struct amend_buffer *pack, const char *name, const struct amend_value *value);
/* Its two halves, for whoever packs the same names again and again. */
void amend_pack_name(struct amend_buffer *pack, const char *name);
void amend_pack_value(struct amend_buffer *pack, const struct amend_value *value);

struct amend_pack_reader {
	const unsigned char *at, *end;
};

/* `*name` is not terminated. False at the end, or when the rest is malformed: then at != end. */
bool amend_pack_next(struct amend_pack_reader *reader, const char **name, size_t *name_size,
		     struct amend_value *value);

/* The value under `name`; false when there is none. */
bool amend_pack_find(const void *pack, size_t size, const char *name, struct amend_value *value);

/* BLAKE2b-256 of the bytes. */
void amend_digest(const void *bytes, size_t size, unsigned char digest[AMEND_DIGEST_SIZE]);

#endif

/*
 * Many small entries of one size, kept in a private file in parts: a part is read into memory at a time.
 * What an entry holds, and which part it belongs to, is the caller's; a code's first byte is a good one.
 */
#ifndef AMEND_SYNC_PARTS_H
#define AMEND_SYNC_PARTS_H

#include <stdio.h>

#include <amend/error.h>

#include <stddef.h>
#include <stdint.h>

enum { AMEND_PARTS = 256 };

struct amend_part;

struct amend_parts {
	size_t size;           /* of an entry */
	struct amend_part *of; /* NULL: it is not made */
	unsigned char *last;   /* what is not yet in the file: a block of each part */
	unsigned char *block;  /* the one last read */
	uint64_t n_blocks;
	FILE *file; /* NULL: all is in memory */
};

/* All zero before. */
enum amend_status amend_parts_init(struct amend_parts *parts, size_t size,
				   struct amend_error *err) AMEND_CHECK;
void amend_parts_release(struct amend_parts *parts);

enum amend_status amend_parts_add(struct amend_parts *parts, size_t part, const void *entry,
				  struct amend_error *err) AMEND_CHECK;

/* How many entries the part has. */
size_t amend_parts_count(const struct amend_parts *parts, size_t part);
/* In so many blocks. */
size_t amend_parts_blocks(const struct amend_parts *parts, size_t part);
/* The `n` entries of one of its blocks, one behind the other, until the next is asked for. */
enum amend_status amend_parts_read(struct amend_parts *parts, size_t part, size_t block,
				   const unsigned char **entries, size_t *n,
				   struct amend_error *err) AMEND_CHECK;

#endif

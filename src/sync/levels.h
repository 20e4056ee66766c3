/*
 * What of a large input must be written before what, where that is for parents and
 * children alone: by levels, with one byte of memory a record. In each planning pass it is
 * noted who refers to which value and who gives it; when the pass ends levels are known.
 */
#ifndef AMEND_SYNC_LEVELS_H
#define AMEND_SYNC_LEVELS_H

#include "core/buffer.h"

#include <amend/error.h>

struct amend_levels;

enum amend_kinship {
	AMEND_KIN_PARENT, /* a record gives the value that children refer to; a child has it from then on */
	AMEND_KIN_LEAVING, /* a parent is deleted; others turn away from it, or to it */
};

/* The records that are written as one slice, before all levels. */
struct amend_apart {
	bool (*is)(void *context, uint64_t index);
	void (*put)(void *context, uint64_t index);
	void *context;
};

/* `n` records of the input: those above are missing ones. */
enum amend_status amend_levels_new(uint64_t n, struct amend_levels **out,
				   struct amend_error *err) AMEND_CHECK;
/* Takes NULL. */
void amend_levels_free(struct amend_levels *levels);

/* A planning pass begins: all are of level 0. */
enum amend_status amend_levels_begin(struct amend_levels *levels,
				     struct amend_error *err) AMEND_CHECK;
enum amend_status amend_levels_note(struct amend_levels *levels, enum amend_kinship kinship,
				    uint64_t index, bool is_parent, const struct amend_buffer *value,
				    struct amend_error *err) AMEND_CHECK;
/* It is through. Whoever cannot have a level (circles, depths, deletions) is put apart. */
enum amend_status amend_levels_end(struct amend_levels *levels, const struct amend_apart *apart,
				   struct amend_error *err) AMEND_CHECK;

unsigned amend_levels_highest(const struct amend_levels *levels);
unsigned amend_levels_of(const struct amend_levels *levels, uint64_t index);

#endif

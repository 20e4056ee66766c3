/* Additions that are written together: combine.c gathers them, combine_unit.c writes them. */
#ifndef AMEND_RECORD_COMBINE_H
#define AMEND_RECORD_COMBINE_H

#include <amend/combine.h>

#include "record/call.h"

/* One caller's. Its result and its memory are its own; while it waits, the writer fills them in. */
struct amend_addition {
	struct amend_call call; /* resolved, with canonical puts and their bounds */
	const char *who, *why, *program;
	enum amend_status status; /* OK, or CONSTRAINT: its own bound was in the way */
	struct amend_error error;
};

/* Whether the call is one that may be combined, as amend/combine.h says; fills in `call.puts`. */
bool amend_addition_fits(struct amend_addition *addition);

/*
 * Writes them in one unit of db's, in this order. `*alone`: it was not possible
 * (or failed without being in), and each is to go the road by itself.
 */
enum amend_status amend_additions_write(struct amend_conn *db, struct amend_addition *const *items,
					size_t n, bool *alone, struct amend_error *err) AMEND_CHECK;

#endif

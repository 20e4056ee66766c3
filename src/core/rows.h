/* What stands behind amend_rows.owner: the memory of one result; and reading and writing single values. */
#ifndef AMEND_CORE_ROWS_H
#define AMEND_CORE_ROWS_H

#include <amend/value.h>

#include "core/arena.h"

struct amend_rows_owner {
	struct amend_arena arena;
	void *extra;                  /* e.g. the engine's own result that the values borrow from */
	void (*release)(void *extra); /* NULL when there is none */
};

/* A new owner on the heap, zeroed; NULL when there is no memory. amend_rows_release frees it. */
struct amend_rows_owner *amend_rows_owner_new(void);

/* A whole number, whether the engine hands it out as INTEGER or as text of digits; false when it is neither. */
bool amend_value_number(const struct amend_value *value, int64_t *out);

/*
 * TEXT with a character that is in no number, or a sign where none can be: dates and words above all. False: it may be
 * a number; who must know asks the database.
 */
bool amend_value_no_number(const struct amend_value *value);

/* BLOB as it is; text `\x6869` (how PostgreSQL prints bytea) decoded into the arena. False when it is neither, or for want of memory. */
bool amend_value_bytes(const struct amend_value *value, struct amend_arena *arena,
		       struct amend_value *out);

enum { AMEND_REAL_TEXT = 32 };

/* The shortest of 15 to 17 digits that reads back as the same number; NaN, Infinity, -Infinity. In no locale. */
void amend_real_text(char text[AMEND_REAL_TEXT], double real);

#endif

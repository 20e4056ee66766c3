/* What a single write came to, as bytes that a repeat of it reads; for src/record. */
#ifndef AMEND_RECORD_ANSWER_H
#define AMEND_RECORD_ANSWER_H

#include "core/pack.h"
#include "record/result.h"

/* `err` is looked at where `status` is not OK. */
void amend_answer_write(struct amend_buffer *pack, const struct amend_table *table,
			enum amend_status status, const struct amend_error *err,
			const struct amend_result *result);

/*
 * Fills `result` in and returns the status that was stored, with its text; INTERNAL: the bytes are
 * damaged. A record of a table whose columns have changed since is left out.
 */
enum amend_status amend_answer_read(const void *answer, size_t size, const struct amend_table *table,
				    struct amend_arena *arena, struct amend_result *result,
				    struct amend_error *err) AMEND_CHECK;

#endif

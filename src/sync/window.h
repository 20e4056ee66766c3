/*
 * The part of an input that is needed at once: the record being read, whole, and what
 * has been read behind it. Formats read in place here: they may overwrite bytes that they are past.
 */
#ifndef AMEND_SYNC_WINDOW_H
#define AMEND_SYNC_WINDOW_H

#include "sync/source.h"

enum { AMEND_WINDOW_SPARE = 16 }; /* bytes behind `end` that may be read and written */

struct amend_window {
	struct amend_input *input; /* borrowed */
	char *bytes;
	size_t room;
	size_t begin; /* what is before it may be dropped */
	size_t end;
	bool at_end; /* of the input: `end` is where it ends */
};

void amend_window_init(struct amend_window *window, struct amend_input *input);
void amend_window_release(struct amend_window *window);

/*
 * Reads more behind `end`. What stands before `begin` is dropped and `begin`
 * becomes 0: indices that count from `begin` stay right, pointers do not. Sets
 * `at_end` where there is no more. INVALID when more than AMEND_RECORD_LIMIT bytes stand behind
 * `begin`; the message begins with `where`.
 */
enum amend_status amend_window_more(struct amend_window *window, const char *path, int64_t line,
				    struct amend_error *err) AMEND_CHECK;

/*
 * At the beginning of a text: skips UTF-8's mark; UTF-16, which would look like
 * text full of NULs, is INVALID. A pipe may hand over the first bytes one by one.
 */
enum amend_status amend_window_skip_mark(struct amend_window *window, const char *path,
					 struct amend_error *err) AMEND_CHECK;

#endif

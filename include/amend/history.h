/*
 * A record's past: how it was at a moment, and what differs between two. What
 * changed at all is amend_log's (amend/ledger.h).
 *
 *	struct amend_moment then;
 *	struct amend_result result = AMEND_RESULT_INIT;
 *
 *	status = amend_moment_parse("2026-11-21", &then, &err);
 *	if (status == AMEND_OK)
 *		status = amend_get_at(db, table, &key, &then, &result, &err);
 *	... result.record ...
 *	amend_result_release(&result);
 *
 * The past is what history says: of a field that a program changed without
 * taking the road, history knows the value before and after, not when. Generated
 * columns are not in it: they are NULL in a past record.
 */
#ifndef AMEND_HISTORY_H
#define AMEND_HISTORY_H

#include <amend/ledger.h>

#ifdef __cplusplus
extern "C" {
#endif

enum amend_moment_kind {
	AMEND_NOW,
	AMEND_AT_REVISION,     /* when it had committed */
	AMEND_BEFORE_REVISION, /* just before it */
	AMEND_AT_TIME,         /* the last change, in the order of history, that is not later */
};

enum { AMEND_MOMENT_TIME = 27 };

struct amend_moment {
	enum amend_moment_kind kind;
	int64_t revision;
	/* UTC, as amend_log_entry.at or its beginning: the end of that second, minute, hour or day. */
	char time[AMEND_MOMENT_TIME];
};

/*
 * `now`; `7` and `7^`, after and before revision 7; `2026-11-21`, `2026-11-21 21:30`,
 * `2026-11-21T21:30:04.5`, with `Z` or an offset as in +01:00 behind it, else UTC. INVALID.
 */
AMEND_API enum amend_status amend_moment_parse(const char *text, struct amend_moment *out,
					       struct amend_error *err) AMEND_CHECK;

/*
 * The record as it was. `key` finds it as it is now, or was when it was deleted. In the
 * result: the outcome found, `record`, and of the last change that it includes `revision`, `by`,
 * `at`, `because` (0 and NULL where history begins later). NOT_FOUND: no such record or revision, it did
 * not exist then, or its history of that time was pruned.
 */
AMEND_API enum amend_status amend_get_at(struct amend_conn *db, const struct amend_table *table,
					 const struct amend_match *key,
					 const struct amend_moment *moment,
					 struct amend_result *result,
					 struct amend_error *err) AMEND_CHECK;

/*
 * What differs between two moments: `changes`, and `base` and `record`, the record at `from` and
 * at `to`, NULL where it did not exist; `revision`, `by`, `at`, `because` are of the last change before `to`. Outcome:
 * updated, unchanged, created (it did not exist at `from`), deleted. NOT_FOUND as above; it existed at neither.
 */
AMEND_API enum amend_status amend_diff(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_match *key,
				       const struct amend_moment *from,
				       const struct amend_moment *to, struct amend_result *result,
				       struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

/* What a caller saw, held against what is there; for src/record alone. */
#ifndef AMEND_RECORD_EXPECT_H
#define AMEND_RECORD_EXPECT_H

#include "record/request.h"
#include "record/result.h"
#include "record/token.h"

/* The expectations of a call, resolved. */
struct amend_seen {
	bool any;
	bool has_token;
	struct amend_token token;
	bool has_version;
	struct amend_value version;  /* as given */
	struct amend_put *originals; /* as given; value: the original */
	size_t n_originals;
	bool only_changed;
};

enum amend_status amend_seen_resolve(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_expect *expect, struct amend_arena *arena,
				     struct amend_seen *out, struct amend_error *err) AMEND_CHECK;

/*
 * OK, or STALE with base, incoming, by and at in the result. `puts`: what the call
 * would write, for `only_changed` and for the report; what is to be added is there as the value it
 * makes of what the caller saw. INVALID: the token is for another record.
 */
enum amend_status amend_seen_check(struct amend_conn *db, const struct amend_table *table,
				   struct amend_seen *seen, const struct amend_row *row,
				   const struct amend_put *puts, size_t n_puts,
				   const char *key_text, struct amend_outcome_work *work,
				   struct amend_error *err) AMEND_CHECK;

/*
 * There is no record: says whether it was deleted since it was seen, by whom
 * and when, with base and incoming in the result. Returns NOT_FOUND.
 */
enum amend_status amend_seen_missing(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_seen *seen, const char *key_text,
				     const struct amend_put *puts, size_t n_puts,
				     struct amend_outcome_work *work, struct amend_error *err);

#endif

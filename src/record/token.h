/*
 * Tokens: a record's version, signed, so that a program or form cannot claim
 * to have seen what it has not. docs/token.md describes them byte by byte.
 */
#ifndef AMEND_RECORD_TOKEN_H
#define AMEND_RECORD_TOKEN_H

#include "record/road.h"

enum { AMEND_STATE_SIZE = 16 };

struct amend_token {
	int64_t issued; /* seconds since 1970 */
	int64_t change; /* the record's history, at least up to here, was in when it was read */
	bool has_version;
	uint64_t version; /* the version column's value; of a timestamp: a digest */
	unsigned char state[AMEND_STATE_SIZE]; /* digest of the stored state */
	unsigned char record[12];              /* digest of table and primary key */
};

/* What `row` is now; `change` as above. */
enum amend_status amend_token_of(const struct amend_table *table, const struct amend_row *row,
				 int64_t change, struct amend_token *out,
				 struct amend_error *err) AMEND_CHECK;

/* Signs it; the text lives in the arena. DENIED, INVALID: there is no key. */
enum amend_status amend_token_write(struct amend_conn *db, const struct amend_table *table,
				    const struct amend_token *token, struct amend_arena *arena,
				    const char **out, struct amend_error *err) AMEND_CHECK;

/* INVALID: not ours, not in its one canonical spelling, for another table, expired. */
enum amend_status amend_token_read(struct amend_conn *db, const struct amend_table *table,
				   const char *text, struct amend_token *out,
				   struct amend_error *err) AMEND_CHECK;

/* Whether the token is for the record of this name. */
bool amend_token_names(const struct amend_token *token, const struct amend_table *table,
		       const char *pk);

/* Whether the record is still what the token saw: the same state and, where there is a version column, the same version. */
bool amend_token_holds(const struct amend_token *seen, const struct amend_token *now);

#endif

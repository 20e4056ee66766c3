/* What a caller asks for, resolved against the table: names to columns, values to canonical form. */
#ifndef AMEND_RECORD_REQUEST_H
#define AMEND_RECORD_REQUEST_H

#include "record/road.h"

/* One key: its columns, and the values as given (the database converts them where they are compared). */
struct amend_request_key {
	uint32_t *columns;
	struct amend_value *values;
	size_t n;
	bool blank;                     /* a part is NULL or blank: it never matches */
	const struct amend_key *unique; /* the index that makes it unique; NULL: none */
};

enum amend_status amend_request_key(struct amend_conn *db, const struct amend_table *table,
				    const struct amend_match *match, struct amend_arena *arena,
				    struct amend_request_key *out,
				    struct amend_error *err) AMEND_CHECK;

/* "code=FR, year=2017": for messages. Never NULL. */
const char *amend_request_text(const struct amend_table *table, const struct amend_request_key *key,
			       struct amend_arena *arena);

/* INVALID: the key finds several records. */
enum amend_status amend_request_several(const struct amend_table *table,
					const struct amend_request_key *key,
					struct amend_error *err);

/* INVALID: the key cannot create, for two could do so at once; shows the index that is missing. */
enum amend_status amend_request_not_unique(const struct amend_conn *db,
					   const struct amend_table *table,
					   const struct amend_request_key *key,
					   struct amend_error *err);

/*
 * Once the engine has refused to look for a key: `err` names the column that cannot hold its part of it, and what
 * that expects. Where the refusal is of something else it stays; in a unit that it ended it gets the key in front.
 */
void amend_request_key_refused(struct amend_conn *db, const struct amend_table *table,
			       const struct amend_request_key *key, struct amend_error *err);

/* The record's name if the key is its identity, canonical; else NULL. */
enum amend_status amend_request_pk(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_request_key *key, struct amend_arena *arena,
				   const char **pk, struct amend_error *err) AMEND_CHECK;

/*
 * Assignments with their columns found and checked; values as given. A column
 * that is already in `puts` is replaced when `replace`, else INVALID.
 * `puts` has room for n_columns entries.
 */
enum amend_status amend_request_puts(const struct amend_table *table,
				     const struct amend_assign *assigns, size_t n, bool replace,
				     struct amend_put *puts, size_t *n_puts,
				     struct amend_error *err) AMEND_CHECK;

/* INVALID, UNSUPPORTED: the column is one that amend does not write. */
enum amend_status amend_request_writable(const struct amend_table *table, size_t column,
					 struct amend_error *err) AMEND_CHECK;

/* One more column to set, unless it is there already. */
void amend_request_put(struct amend_put *puts, size_t *n_puts, uint32_t column,
		       const struct amend_value *value);

/* Text that is not UTF-8, or has a NUL byte: nobody writes such. */
bool amend_request_is_no_text(const struct amend_value *value);

/*
 * Brings the values into canonical form, all that are not byte for byte what
 * `current` holds (NULL: all), in one trip; those that cannot be: INVALID.
 */
enum amend_status amend_request_canonical(struct amend_conn *db, const struct amend_table *table,
					  const struct amend_value *current, struct amend_put *puts,
					  size_t n, struct amend_arena *arena,
					  struct amend_error *err) AMEND_CHECK;

#endif

/* Settling a conflict, in its parts; for src/sync/resolve*.c. */
#ifndef AMEND_SYNC_RESOLVE_H
#define AMEND_SYNC_RESOLVE_H

#include "record/result.h"
#include "sync/sync.h"

/* What is to be done about a field. */
enum amend_field_verdict {
	AMEND_FIELD_OPEN, /* nobody has decided */
	AMEND_FIELD_ANEW, /* decided against something that is there no more */
	AMEND_FIELD_STAY, /* it is as decided, or stays as somebody has made it since */
	AMEND_FIELD_WRITE,
};

struct amend_field_plan {
	enum amend_field_verdict verdict;
	uint32_t column;
	struct amend_value value;
};

/* One conflict that is being settled. */
struct amend_settlement {
	const struct amend_resolution *how;
	struct amend_outcome_work work;

	/* Of the try under way; in the result's arena. */
	struct amend_arena *arena;
	struct amend_conflict_row conflict;
	struct amend_table *table;
	struct amend_value *given; /* the decisions' values, canonical */
	uint32_t *given_columns;
	struct amend_field *key; /* the first key's columns, as the source has them */
	size_t n_key;
	const struct amend_value **incoming;   /* by table column; NULL: not in the conflict */
	struct amend_conflict_choice *choices; /* one a field: what is kept if the conflict goes on */
	struct amend_field_plan *plan;         /* one a field */
	struct amend_put *puts;
	size_t n_puts;
	bool shown; /* the decisions are about what is there now: it is the version that they name */
	struct amend_row now; /* as it was found; `values` NULL: it is not there */
	bool tried; /* to write `puts`; or they are what was given, and cannot be written */
	enum amend_status waits; /* not OK: it goes on, and the call ends so.. */
	const char *why;         /* ..for this reason */
};

/* ---- resolve_values.c: what is given ---- */

/* It came from a source, which has a base; not from a save. */
bool amend_settle_synced(const struct amend_settlement *s);
/* There is no row: whatever is set belongs to a new one. */
bool amend_settle_is_absent(const struct amend_settlement *s);

/* The decisions' values into `given`: canonical, of columns that may be set here. */
enum amend_status amend_settle_read_given(struct amend_conn *db, struct amend_settlement *s,
					  struct amend_error *err) AMEND_CHECK;

/* Which of the decisions is about the column; -1: none. */
int amend_settle_given(const struct amend_settlement *s, uint32_t column);

/* The conflict's field that is this column; NULL: it has none. */
const struct amend_conflict_field *amend_settle_field(const struct amend_settlement *s,
						      uint32_t column);

/* One more column to write. */
void amend_settle_put(struct amend_settlement *s, uint32_t column, const struct amend_value *value);

/* ---- resolve_decide.c: what becomes of each field ---- */

/*
 * Of the record as it is, NULL: there is none. `plan` and `choices` are filled in, and `waits` where the conflict
 * goes on; `incoming` has what the source said. INVALID: nothing is decided, or what is cannot be.
 */
enum amend_status amend_settle_decide(struct amend_conn *db, struct amend_settlement *s,
				      const struct amend_value *now,
				      struct amend_error *err) AMEND_CHECK;

/*
 * The conflict goes on: the call ends with CONFLICT for this reason, or with STALE where `hint` says what is to be decided
 * of it as it is by then (either NULL: no memory); the record is as it is now, NULL: gone.
 */
enum amend_status amend_settle_wait(struct amend_settlement *s, const struct amend_value *now,
				    const char *why, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_settle_stale(struct amend_settlement *s, const struct amend_value *now,
				     const char *why, const char *hint,
				     struct amend_error *err) AMEND_CHECK;

/* What was decided of the fields one by one counts no more: the record as a whole goes, or stays away. */
enum amend_status amend_settle_void(struct amend_settlement *s, struct amend_error *err) AMEND_CHECK;

/* ---- resolve_terms.c: what a save asked for beside its values ---- */

/* What `incoming` comes to where it counts: its difference to base, added to what is there now. `*sums` false: it does not count, or cannot. */
enum amend_status amend_settle_sum(struct amend_conn *db, struct amend_settlement *s, size_t field,
				   const struct amend_value *now, struct amend_value *out,
				   bool *sums, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_settle_in_bounds(struct amend_conn *db, const struct amend_settlement *s,
					 size_t field, const struct amend_value *value, bool *hold,
					 struct amend_error *err) AMEND_CHECK;
/* CONSTRAINT */
enum amend_status amend_settle_out_of_bounds(const struct amend_settlement *s, size_t field,
					     const struct amend_value *value,
					     struct amend_error *err) AMEND_CHECK;

/* ---- resolve_show.c ---- */

/* What the conflict is now, of a record with these values (NULL: there is none), as one word in the arena; NULL: no memory. */
const char *amend_settle_version(const struct amend_settlement *s, const struct amend_value *now);

/* ---- resolve_write.c: the record ---- */

/* What is planned of the fields; `row` is as it is then. `seen`: the base that goes with it. */
enum amend_status amend_settle_write_fields(struct amend_conn *db, struct amend_settlement *s,
					    const struct amend_base *seen, struct amend_row *row,
					    struct amend_error *err) AMEND_CHECK;

/* `puts` of a row, or of a new one (NULL); none: it is deleted. As in amend_rows_write, of one. */
enum amend_status amend_settle_write(struct amend_conn *db, struct amend_settlement *s,
				     const struct amend_base *seen, const struct amend_row *row,
				     const struct amend_key *key, struct amend_bulk *out,
				     struct amend_error *err) AMEND_CHECK;

/* ---- resolve_base.c ---- */

/* By the first key, or by the name of the row; NULL: there is none. */
enum amend_status amend_settle_find_base(struct amend_conn *db, const struct amend_settlement *s,
					 bool by_first_key, const char *key, struct amend_base **out,
					 struct amend_error *err) AMEND_CHECK;

/* The base is the record's by its name, or the row's (NULL: none) as it stood: what a sync goes by. */
enum amend_status amend_settle_base_agrees(struct amend_conn *db, const struct amend_settlement *s,
					   const struct amend_base *seen,
					   const struct amend_value *row, bool *out,
					   struct amend_error *err) AMEND_CHECK;

/* The row's values of the first key's columns, spelled as the key is; "" where one is blank. */
enum amend_status amend_settle_key_now(const struct amend_settlement *s,
				       const struct amend_value *row, const char **out,
				       struct amend_error *err) AMEND_CHECK;

/* Writes `base` with that pack, which is released, in place of `seen`; RETRY: that is not there any more. */
enum amend_status amend_settle_put_base(struct amend_conn *db, const struct amend_settlement *s,
					const struct amend_base *seen, struct amend_base *base,
					struct amend_buffer *pack,
					struct amend_error *err) AMEND_CHECK;

/* base := incoming, for the fields of the conflict; the others' stay if `ours`. `tied`: the key of a row that is to be this record's. */
enum amend_status amend_settle_write_base(struct amend_conn *db, const struct amend_settlement *s,
					  const struct amend_base *seen, bool ours, const char *pk,
					  const char *tied, struct amend_error *err) AMEND_CHECK;

/* ---- resolve_find.c ---- */

/* The conflict's table and first key, made ready; NOT_FOUND: there is no such table any more. */
enum amend_status amend_settle_open(struct amend_conn *db, struct amend_settlement *s,
				    struct amend_error *err) AMEND_CHECK;
/*
 * The row that the conflict is about, by its primary key, or where there was none by the first key. `lock` NULL: just
 * read.
 */
enum amend_status amend_settle_find_row(struct amend_conn *db, const struct amend_settlement *s,
					const struct amend_lock *lock, struct amend_row *out,
					bool *found, struct amend_error *err) AMEND_CHECK;
/* By a name in the ledger, or by the first key. */
enum amend_status amend_settle_row_of(struct amend_conn *db, const struct amend_settlement *s,
				      const char *pk, const struct amend_lock *lock,
				      struct amend_row *out, bool *found,
				      struct amend_error *err) AMEND_CHECK;

/* ---- resolve.c, resolve_missing.c, resolve_absent.c: the kinds, each of a row that is held ---- */

enum amend_status amend_settle_row(struct amend_conn *db, struct amend_settlement *s,
				   struct amend_row *row, struct amend_error *err) AMEND_CHECK;
/* The source has no record of the row any more; `row` NULL: nor has the table. */
enum amend_status amend_settle_missing(struct amend_conn *db, struct amend_settlement *s,
				       struct amend_row *row, struct amend_error *err) AMEND_CHECK;
/* There is no row. */
enum amend_status amend_settle_absent(struct amend_conn *db, struct amend_settlement *s,
				      struct amend_error *err) AMEND_CHECK;

#endif

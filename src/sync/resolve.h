/* Settling a conflict, in its parts; for src/sync/resolve*.c. */
#ifndef AMEND_SYNC_RESOLVE_H
#define AMEND_SYNC_RESOLVE_H

#include "record/result.h"
#include "sync/sync.h"

/* One conflict that is being settled. */
struct amend_settlement {
	int64_t id;
	enum amend_take take;
	const struct amend_assign *set;
	size_t n_set;
	struct amend_outcome_work work;

	/* Of the try under way; in the result's arena. */
	struct amend_arena *arena;
	struct amend_conflict_row conflict;
	struct amend_table *table;
	struct amend_value *given; /* `set`, canonical */
	uint32_t *given_columns;
	struct amend_field *key; /* the first key's columns, as the source has them */
	size_t n_key;
	const struct amend_value **incoming; /* by table column; NULL: not in the conflict */
	struct amend_put *puts;
	size_t n_puts;
};

/* ---- resolve_values.c ---- */

/* The row is not there (any more): whatever is set belongs to the new one. */
bool amend_settle_is_absent(const struct amend_settlement *s);

/* `set` into `given`: canonical values of columns that may be set here. */
enum amend_status amend_settle_read_given(struct amend_conn *db, struct amend_settlement *s,
					  struct amend_error *err) AMEND_CHECK;

/* Which of `given` is for the column; -1: none. */
int amend_settle_given(const struct amend_settlement *s, uint32_t column);

/* The conflict's field that is this column; NULL: it has none. */
const struct amend_conflict_field *amend_settle_field(const struct amend_settlement *s,
						      uint32_t column);

/* INVALID, naming the fields that nothing is given for. */
enum amend_status amend_settle_undecided(const struct amend_settlement *s, struct amend_error *err,
					 const char *before, const char *after) AMEND_CHECK;

/* What a field of the conflict becomes. */
enum amend_status amend_settle_value(const struct amend_settlement *s,
				     const struct amend_conflict_field *field, uint32_t column,
				     struct amend_value *out, struct amend_error *err) AMEND_CHECK;

/* One more column to write. */
void amend_settle_put(struct amend_settlement *s, uint32_t column, const struct amend_value *value);

/* The fields are as the conflict has them: else STALE. */
enum amend_status amend_settle_check_fields(struct amend_settlement *s, const struct amend_row *row,
					    struct amend_error *err) AMEND_CHECK;

/* ..and what they become is in `puts`, what the source said in `incoming`. */
enum amend_status amend_settle_decide_fields(struct amend_settlement *s, const struct amend_row *row,
					     struct amend_error *err) AMEND_CHECK;

/* Writes what was decided; `row` is as it is then. */
enum amend_status amend_settle_write_fields(struct amend_conn *db, struct amend_settlement *s,
					    struct amend_row *row,
					    struct amend_error *err) AMEND_CHECK;

/* STALE, with the record as it is now, NULL: it is gone. */
enum amend_status amend_settle_stale(struct amend_settlement *s, const struct amend_row *row,
				     const char *what, struct amend_error *err) AMEND_CHECK;

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

/* ---- resolve.c, resolve_missing.c, resolve_absent.c ---- */

/* The row of the conflict, held. */
enum amend_status amend_settle_find_row(struct amend_conn *db, const struct amend_settlement *s,
					struct amend_row *out, bool *found,
					struct amend_error *err) AMEND_CHECK;

/* The source has no record of the row any more; there is no row. */
enum amend_status amend_settle_missing(struct amend_conn *db, struct amend_settlement *s,
				       struct amend_error *err) AMEND_CHECK;
enum amend_status amend_settle_absent(struct amend_conn *db, struct amend_settlement *s,
				      struct amend_error *err) AMEND_CHECK;

#endif

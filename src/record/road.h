/*
 * The road's parts, for this layer and for sync: rows as they are read, and
 * the writes that change one row, prove that it is still what was read, and
 * record it. amend/record.h is the public half.
 */
#ifndef AMEND_RECORD_ROAD_H
#define AMEND_RECORD_ROAD_H

#include <amend/record.h>

#include "ledger/ledger.h"
#include "sql/table.h"

/* A row as it was read. Everything lives in the arena it was read into. */
struct amend_row {
	const struct amend_value *values; /* in column order */
	struct amend_value rowid;         /* where the rowid identifies it */
	struct amend_value version;       /* dialect.row_version, or NULL kind */
	const char *pk;                   /* its name in the ledger */
	bool held; /* read under a hold in the open unit: nobody else can write to it */
};

/* How rows are locked while they are read. */
struct amend_lock {
	bool hold;
	enum amend_strength strength;
	enum amend_wait wait;
};

/* Appends the columns and, where it identifies the row, the rowid, each behind `prefix` ("u."). */
void amend_row_columns(struct amend_sql *sql, const struct amend_conn *db,
		       const struct amend_table *table, const char *prefix);
/* Appends " WHERE <the row's identity>". */
void amend_row_identity(struct amend_sql *sql, const struct amend_table *table,
			const struct amend_row *row);

/* Appends "SELECT <columns, rowid, row version> FROM table" and " WHERE key AND ..." for one key. */
void amend_row_select(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table);
void amend_row_where(struct amend_sql *sql, const struct amend_table *table,
		     const uint32_t *columns, const struct amend_value *values, size_t n);
/* " FOR UPDATE NOWAIT" and the like; nothing on an engine that holds the database. */
void amend_row_lock(struct amend_sql *sql, const struct amend_conn *db,
		    const struct amend_lock *lock);

/* The same of the table that `alias` stands for (NULL: of all). */
void amend_row_lock_of(struct amend_sql *sql, const struct amend_conn *db,
		       const struct amend_lock *lock, const char *alias);
/* Appends the names of what identifies a row, each behind `prefix`. */
void amend_row_names(struct amend_sql *sql, const struct amend_table *table, const char *prefix);

/* What amend_row_select returned of one row, as a row that borrows it all; it has no `pk` yet. */
struct amend_row amend_row_borrow(const struct amend_conn *db, const struct amend_table *table,
				  const struct amend_value *values, size_t n_values);
/* Takes row `index` of what amend_row_select returned; copies into the arena. */
enum amend_status amend_row_take(const struct amend_conn *db, const struct amend_table *table,
				 const struct amend_rows *rows, size_t index,
				 struct amend_arena *arena, struct amend_row *out,
				 struct amend_error *err) AMEND_CHECK;

/*
 * Finds rows by a key (canonical values, none blank), at most `limit`, ordered by
 * identity. With a hold: inside a unit only.
 */
enum amend_status amend_row_find(struct amend_conn *db, const struct amend_table *table,
				 const uint32_t *columns, const struct amend_value *values,
				 size_t n, const struct amend_lock *lock, size_t limit,
				 struct amend_arena *arena, struct amend_row **out, size_t *n_out,
				 struct amend_error *err) AMEND_CHECK;

/*
 * As amend_row_find with limit 2 for many keys over the same columns, in few
 * trips: `values` has n_keys * n entries. out[i] has n_found[i] (0, 1, 2) rows;
 * only the first is filled in. With a hold rows are locked in the order of their identity where the
 * engine has ARRAYS and the key is unique, else in that of the keys.
 */
enum amend_status amend_row_find_many(struct amend_conn *db, const struct amend_table *table,
				      const uint32_t *columns, size_t n,
				      const struct amend_value *values, size_t n_keys,
				      const struct amend_lock *lock, struct amend_arena *arena,
				      struct amend_row *out, unsigned char *n_found,
				      struct amend_error *err) AMEND_CHECK;

/*
 * Reads all rows of the table, in pages where a long read is in others' way: a row that
 * stands all the while is read once, whatever others write. `row` lives during the call, which runs
 * no statement, and has no `pk` yet: amend_row_keep makes it whole.
 */
typedef enum amend_status (*amend_row_scan_fn)(void *context, const struct amend_row *row,
					       struct amend_error *err);
enum amend_status amend_row_scan(struct amend_conn *db, const struct amend_table *table,
				 amend_row_scan_fn each, void *context,
				 struct amend_error *err) AMEND_CHECK;

/*
 * The same of the rows whose columns are one of the keys (`values` has n_keys * n entries), in one pass over the
 * table that only those leave the server of. For many keys, where so many may be asked for at once: not of each engine, and not of
 * columns of all types.
 */
bool amend_row_scans_keys(const struct amend_conn *db, const struct amend_table *table,
			  const uint32_t *columns, size_t n);
enum amend_status amend_row_scan_keys(struct amend_conn *db, const struct amend_table *table,
				      const uint32_t *columns, size_t n,
				      const struct amend_value *values, size_t n_keys,
				      amend_row_scan_fn each, void *context,
				      struct amend_error *err) AMEND_CHECK;

/* One that lives in the arena, named. UNSUPPORTED: NULL in its identity, so that nothing names it. */
enum amend_status amend_row_keep(const struct amend_table *table, const struct amend_row *row,
				 struct amend_arena *arena, struct amend_row *out,
				 struct amend_error *err) AMEND_CHECK;

/* Reads the same row again by its identity. `*found` false: it is gone. */
enum amend_status amend_row_again(struct amend_conn *db, const struct amend_table *table,
				  const struct amend_row *row, const struct amend_lock *lock,
				  struct amend_arena *arena, struct amend_row *out, bool *found,
				  struct amend_error *err) AMEND_CHECK;

/* Whether `now` is still the state that was read as `then`: no write came between that changed it. */
bool amend_row_same(const struct amend_conn *db, const struct amend_table *table,
		    const struct amend_row *then, const struct amend_row *now);

/* The digest of a row's state: all columns but generated ones. */
enum amend_status amend_row_digest(const struct amend_table *table, const struct amend_value *values,
				   unsigned char digest[AMEND_DIGEST_SIZE],
				   struct amend_error *err) AMEND_CHECK;

/* A column's new value, canonical; or a number to add. */
struct amend_put {
	uint32_t column;
	enum amend_op op;
	struct amend_value value;
	struct amend_value min, max; /* NULL: open */
};

/* What a write did. */
struct amend_written {
	bool moved; /* the row is no longer what was read (or the key was taken): nothing was written */
	bool out_of_bounds;               /* a bound would be broken: nothing was written */
	struct amend_row row;             /* after the write (a deletion: before it) */
	const struct amend_value *before; /* the values replaced; NULL for a creation */
	int64_t revision;
	int64_t change; /* its position in history */
};

/*
 * Each writes one row and records the change in the open unit's revision, in
 * one statement where the engine can; outside a unit that statement is its
 * own transaction, or (engines that cannot) the call makes a unit of its own.
 * The ledger must be there (amend_ledger_need). The version column, if any,
 * moves by itself. `row` is as read; puts must not be empty. ADD needs a row that is held.
 */
enum amend_status amend_row_update(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, const struct amend_put *puts,
				   size_t n_puts, struct amend_arena *arena,
				   struct amend_written *out, struct amend_error *err) AMEND_CHECK;

/* `key`: the unique key on which a rival's creation counts as `moved`; any other clash is CONSTRAINT. NULL: every clash is. */
enum amend_status amend_row_insert(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_key *key, const struct amend_put *puts,
				   size_t n_puts, struct amend_arena *arena,
				   struct amend_written *out, struct amend_error *err) AMEND_CHECK;

/* One of many rows that are written together. */
struct amend_bulk {
	const struct amend_row *row; /* as it was read; NULL: it is created */
	const struct amend_put *puts; /* AMEND_SET, without bounds; none, with `row`: it is deleted */
	size_t n_puts;
	/* of a sync, for the change's record: as in amend_change_spec */
	const char *source;
	const struct amend_base *seen;
	bool skip_locked; /* leave it where another has a mandatory lease of it; else LOCKED fails them all */
	/* what became of it */
	bool moved;             /* as in amend_written */
	bool locked;            /* ..for that lease, and nothing was written */
	const char *why;        /* of the first that is locked, who has it */
	struct amend_row after; /* the row after the write; after a deletion without values */
};

/*
 * As amend_row_update, amend_row_insert or amend_row_delete for each, in the
 * open unit, with few round trips: rows are locked in the order of their names, those that were
 * not `held` are proved to be what was read by the write itself, and all changes are recorded in
 * the order of `items`, deletions first (a new row may bear the name of one that went). What deletes goes first, then updates, then creations: the caller sees to it
 * that no value stands twice in between. The first row that the database refuses fails them all; so does one with
 * which others would go unrecorded (record/cascade.h).
 */
enum amend_status amend_rows_write(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_key *key, struct amend_bulk *items, size_t n,
				   struct amend_arena *arena, struct amend_error *err) AMEND_CHECK;

enum amend_status amend_row_delete(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, struct amend_arena *arena,
				   struct amend_written *out, struct amend_error *err) AMEND_CHECK;

#endif

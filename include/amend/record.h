/*
 * One record, the one road: match, hold, expect, compare, write, record, outcome.
 *
 *	struct amend_field key_field = {"email", amend_text("ada@example.org")};
 *	struct amend_match key = {&key_field, 1};
 *	struct amend_assign set = {"name", AMEND_SET, amend_text("Ada")};
 *	struct amend_write write = AMEND_WRITE_INIT;
 *	struct amend_result result = AMEND_RESULT_INIT;
 *
 *	write.keys = &key, write.n_keys = 1;
 *	write.set = &set, write.n_set = 1;
 *	write.mode = AMEND_UPDATE_OR_CREATE;
 *	status = amend_write(db, table, &write, &result, &err);
 *	... result.outcome, result.changes ...
 *	amend_result_release(&result);
 *
 * Outside a unit a call is its own unit. What is equal is not written; what is
 * written is recorded (amend/ledger.h) in the same transaction.
 */
#ifndef AMEND_RECORD_H
#define AMEND_RECORD_H

#include <amend/table.h>
#include <amend/violation.h>

#ifdef __cplusplus
extern "C" {
#endif

struct amend_field {
	const char *column;
	struct amend_value value;
};

/* One key: these columns have these values. A key with a blank part never matches. */
struct amend_match {
	const struct amend_field *fields;
	size_t n_fields;
};

enum amend_op {
	AMEND_SET,
	AMEND_ADD, /* column = column + value, computed by the database */
};

struct amend_assign {
	const char *column;
	enum amend_op op;
	struct amend_value value;
};

/* The column's value after the write must lie within; NULL leaves a side open. */
struct amend_bound {
	const char *column;
	struct amend_value min, max;
};

enum amend_wait {
	AMEND_WAIT,        /* as long as the unit or connection allows */
	AMEND_NOWAIT,      /* LOCKED at once */
	AMEND_SKIP_LOCKED, /* as if it were not there: outcome skipped */
};

enum amend_strength {
	AMEND_FOR_UPDATE,
	AMEND_FOR_NO_KEY_UPDATE, /* PostgreSQL only; elsewhere UNSUPPORTED */
	AMEND_FOR_SHARE,         /* PostgreSQL only; elsewhere UNSUPPORTED */
};

enum amend_mode {
	AMEND_UPDATE, /* the record must exist */
	AMEND_UPDATE_OR_CREATE,
	AMEND_GET_OR_CREATE, /* an existing record is returned as it is */
	AMEND_CREATE,        /* the record must not exist: EXISTS */
};

/* What the caller saw. Everything given is checked, in the write itself or under its lock. */
struct amend_expect {
	const char *token;                   /* amend_result.token of an earlier call */
	const struct amend_value *version;   /* the version column's value */
	const struct amend_field *originals; /* what these columns held */
	size_t n_originals;
	bool only_changed; /* check only originals of columns that this write changes */
	/*
	 * The operation's id: what is asked for is done once under it (amend/once.h), and a call that
	 * repeats it gets the stored answer. "": one is made up where the engine may lose the answer of a
	 * COMMIT and the unit is amend's own, so that it can be told whether it is in. NULL: none.
	 */
	const char *once;
	/*
	 * The token of a lease (amend/lease.h), of this record or of a plain name: LOCKED where it is lost, also when
	 * there is nothing to change. INVALID: it is of another record.
	 */
	const char *lease;
};

/* Values that a callback computes while the record is held. */
struct amend_compute;
AMEND_API enum amend_status amend_compute_set(struct amend_compute *compute, const char *column,
					      const struct amend_value *value,
					      struct amend_error *err) AMEND_CHECK;

/*
 * `current`: the held record's values, in the table's column order, or NULL
 * when it is about to be created. Runs again when the unit reruns. What it
 * sets comes after `set` and `on_create`, and wins over them.
 */
typedef enum amend_status (*amend_compute_fn)(struct amend_compute *compute,
					      const struct amend_value *current, void *context,
					      struct amend_error *err);

/* How a column is merged that the caller and others have both changed; without a rule: a conflict, or by key in a column of JSON. */
enum amend_merge_by {
	AMEND_MERGE_ADD, /* what was added counts: incoming - base is added to current, within the call's bounds */
	AMEND_MERGE_LINES, /* text, line by line; UNSUPPORTED in a build without libgit2 */
	AMEND_MERGE_KEYS,  /* JSON objects, key by key */
};

struct amend_merge_rule {
	const char *column;
	enum amend_merge_by by;
};

struct amend_write {
	enum amend_mode mode;
	const struct amend_match *keys; /* tried in order: a later one only when the earlier missed */
	size_t n_keys;
	const struct amend_assign *set; /* on creation (ADD counts from 0) and update */
	size_t n_set;
	const struct amend_assign *on_create; /* in addition, on creation; wins over `set` */
	size_t n_on_create;
	const struct amend_bound *bounds;
	size_t n_bounds;
	amend_compute_fn compute; /* NULL: none */
	void *compute_context;
	struct amend_expect expect;
	enum amend_wait wait;
	bool want_token; /* fill in amend_result.token: costs a look at the ledger */
	/*
	 * Where the record is no longer what `expect` says: merge, field by field, with what it is now (docs/merge.md),
	 * instead of STALE. Needs a token, or originals. CONFLICT: both changed a field, or the record
	 * was deleted; nothing of it is written, and the ledger keeps what was asked for until it is settled
	 * (amend_result.conflict); inside a unit, if that commits. STALE as ever where nobody knows what the token saw.
	 */
	bool merge;
	const struct amend_merge_rule *rules; /* may name columns that are not set */
	size_t n_rules;
};

#define AMEND_WRITE_INIT                                                                          \
	{                                                                                         \
		AMEND_UPDATE, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, NULL,                     \
			{NULL, NULL, NULL, 0, false, NULL, NULL}, AMEND_WAIT, false, false, NULL, \
			0                                                                         \
	}

enum amend_outcome {
	AMEND_IS_NOTHING, /* the call failed before there was an outcome */
	AMEND_IS_FOUND,
	AMEND_IS_CREATED,
	AMEND_IS_UPDATED,
	AMEND_IS_UNCHANGED,
	AMEND_IS_MERGED, /* written, and what others changed since stays */
	AMEND_IS_DELETED,
	AMEND_IS_STALE,    /* status STALE */
	AMEND_IS_MISSING,  /* status NOT_FOUND; with a token: deleted since it was seen */
	AMEND_IS_LOCKED,   /* status LOCKED */
	AMEND_IS_SKIPPED,  /* status OK: held by another, with AMEND_SKIP_LOCKED */
	AMEND_IS_CONFLICT, /* status CONFLICT or EXISTS */
	AMEND_IS_REJECTED, /* status CONSTRAINT or INVALID */
};

/* "found", "created", ... as the command prints it. */
AMEND_API const char *amend_outcome_name(enum amend_outcome outcome);

struct amend_change {
	const char *column;
	struct amend_value before, after; /* NULL before a creation, after a deletion */
};

/* Whose a field is in the merged record. */
enum amend_merge_from {
	AMEND_FROM_CURRENT,  /* others changed it: it stays */
	AMEND_FROM_INCOMING, /* the caller changed it */
	AMEND_FROM_BOTH,     /* both made the same change */
	AMEND_FROM_SUM,      /* others changed it, and what the caller added is added to that */
	AMEND_FROM_LINES,    /* both, line by line */
	AMEND_FROM_KEYS,     /* both, key by key */
	AMEND_FROM_NEITHER,  /* a conflict */
};

/* "current", "incoming", "both", "sum", "lines", "keys", "conflict" */
AMEND_API const char *amend_merge_from_name(enum amend_merge_from from);

struct amend_merge_field {
	const char *column;
	enum amend_merge_from from;
	const char *why; /* of a conflict within the field, in a few words; else NULL */
	/* Of a conflict: who changed it last, when (UTC) and why, as far as history knows; else NULL. */
	const char *by, *at, *because;
};

struct amend_result {
	enum amend_outcome outcome;
	const struct amend_value *
		record; /* table->n_columns values, or NULL: there is none (a deletion: what it was) */
	const struct amend_change *changes;
	size_t n_changes;
	const char *token;    /* NULL unless wanted and there is a key to sign it with.. */
	const char *no_token; /* ..and then why not, where it was wanted */
	int64_t revision;     /* that recorded the change; 0: nothing was recorded */
	/*
	 * When stale (then `token` is one of what is there now, if it was wanted) or missing: what the caller had seen, in column order (`base`
	 * NULL where it cannot be proved; its values then are unknown, not NULL), what it wanted, and the change that
	 * came between, as far as the ledger knows (by and at NULL where it does not:
	 * a program that does not take the road).
	 */
	const struct amend_value *base;
	const struct amend_field *incoming;
	size_t n_incoming;
	const char *by, *at, *because;
	/*
	 * Of a merge, with `base`, `incoming` and what came between as above: every field that either side has changed,
	 * and the id of the conflict that keeps what was asked for; 0: there is none.
	 */
	const struct amend_merge_field *merged;
	size_t n_merged;
	int64_t conflict;
	const char *once; /* the operation's id, given or made up; NULL: it has none */
	const char *repeated; /* UTC, when another call was given this answer; NULL: it is this call's own */
	/* Rejected: all that is in the way, not only what `err` says; see amend/violation.h for when there is nothing. */
	const struct amend_violation *violations;
	size_t n_violations;
	void *owner; /* private */
};

#define AMEND_RESULT_INIT                                                                        \
	{                                                                                        \
		AMEND_IS_NOTHING, NULL, NULL, 0, NULL, NULL, 0, NULL, NULL, 0, NULL, NULL, NULL, \
			NULL, 0, 0, NULL, NULL, NULL, 0, NULL                                    \
	}

/* Everything in a result lives until here. Takes a zeroed struct. */
AMEND_API void amend_result_release(struct amend_result *result);

/*
 * NOT_FOUND: no such record. INVALID: no such column, a value the column
 * cannot hold, or a key that finds several records.
 */
AMEND_API enum amend_status amend_get(struct amend_conn *db, const struct amend_table *table,
				      const struct amend_match *key, bool want_token,
				      struct amend_result *result,
				      struct amend_error *err) AMEND_CHECK;

/*
 * Creates or changes one record. A key without a unique index never creates:
 * INVALID, the text shows the statement that would add it. A record found by a
 * later key gets the earlier keys' values where it has NULL (they are
 * learned); where it holds another value: CONFLICT. CONSTRAINT also where the write changes a value that others
 * refer to, so that they would lose it (ON UPDATE SET NULL, SET DEFAULT; CASCADE to NULL), and no guard's triggers
 * would record that: looked for as amend_delete does. What ON UPDATE CASCADE takes along still refers to the record.
 */
AMEND_API enum amend_status amend_write(struct amend_conn *db, const struct amend_table *table,
					const struct amend_write *write, struct amend_result *result,
					struct amend_error *err) AMEND_CHECK;

/*
 * NOT_FOUND when there is none. `expect` may be NULL. CONSTRAINT also where the database would delete or
 * change others with it (ON DELETE CASCADE, SET NULL) and no guard's triggers would record that. It is looked
 * for with the rights of who writes: DENIED where these may not read the other table; what row security hides is not seen.
 */
AMEND_API enum amend_status amend_delete(struct amend_conn *db, const struct amend_table *table,
					 const struct amend_match *key,
					 const struct amend_expect *expect, enum amend_wait wait,
					 struct amend_result *result,
					 struct amend_error *err) AMEND_CHECK;

/*
 * Holds a record until the outermost unit ends, and returns it; INVALID
 * outside a unit (of amend's, or of the application on an adopted connection).
 * On SQLite the hold is the database's write lock, taken when the unit began.
 */
AMEND_API enum amend_status amend_hold(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_match *key, enum amend_strength strength,
				       enum amend_wait wait, struct amend_result *result,
				       struct amend_error *err) AMEND_CHECK;

/* Keeps all others from writing to the table (with AMEND_FOR_SHARE: they may hold the same) until the unit ends. */
AMEND_API enum amend_status amend_hold_table(struct amend_conn *db, const struct amend_table *table,
					     enum amend_strength strength, enum amend_wait wait,
					     struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

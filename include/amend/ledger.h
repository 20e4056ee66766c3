/*
 * What amend remembers beside the user's tables: revisions, the values a
 * source had last time, open conflicts, token keys. Tables `amend_*` (SQLite) or in the schema
 * `amend` (PostgreSQL), described in docs/ledger.md.
 */
#ifndef AMEND_LEDGER_H
#define AMEND_LEDGER_H

#include <amend/record.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Installs the ledger, or brings an older one up to this version; does nothing
 * where it is current. `changed` (may be NULL) tells which. Safe when several
 * install at once. DENIED: the text says what to hand to the administrator.
 * Other calls install it on first need.
 */
AMEND_API enum amend_status amend_init(struct amend_conn *db, bool *changed,
				       struct amend_error *err) AMEND_CHECK;

/*
 * The statements that amend_init would run, and those by which an owner lets
 * this connection's role use the ledger, one call of `emit` each, without the
 * closing semicolon.
 */
AMEND_API enum amend_status amend_init_script(struct amend_conn *db,
					      void (*emit)(void *context, const char *statement),
					      void *context, struct amend_error *err) AMEND_CHECK;

/* Makes a new token key; tokens signed with older ones are accepted until their lifetime ends. */
AMEND_API enum amend_status amend_rotate_key(struct amend_conn *db,
					     struct amend_error *err) AMEND_CHECK;

/* One change of one record, as history holds it. Lives during the callback. */
struct amend_log_entry {
	int64_t change;                  /* position in history: order by it, never by time */
	int64_t revision;                /* what committed together */
	int64_t run;                     /* 0: not part of a sync */
	const char *at;                  /* UTC, "2026-11-21 21:30:04.123456" */
	const char *who, *why, *program; /* "" where not given */
	const char *table;
	const char *op;                /* "create", "update", "delete" */
	const struct amend_field *key; /* the primary key's columns */
	size_t n_key;
	const struct amend_change *changes;
	size_t n_changes;
};

struct amend_moment; /* amend/history.h */

struct amend_log_filter {
	const struct amend_table *table; /* NULL: any */
	const struct amend_match *
		key; /* one record by any key, also a deleted one by a key it had then; NULL: any */
	int64_t revision;                 /* 0: any */
	int64_t run;                      /* 0: any */
	int64_t limit;                    /* newest entries to show; 0: all */
	const char *by;                   /* who; NULL: anybody */
	const struct amend_moment *since; /* from this revision, or time, on; NULL: the beginning */
	const struct amend_moment *until; /* up to the end of it */
	const char *text; /* that why, the key or an old or new value holds, byte for byte; NULL: any */
};

/* The connection may be used inside the callback; what it returns other than OK ends the listing. */
typedef enum amend_status (*amend_log_fn)(const struct amend_log_entry *entry, void *context,
					  struct amend_error *err);

/* Newest first (a revision or run: oldest first; one record: newest first). NOT_FOUND: no such revision, run or record. A database without ledger has no entries. */
AMEND_API enum amend_status amend_log(struct amend_conn *db, const struct amend_log_filter *filter,
				      amend_log_fn each, void *context,
				      struct amend_error *err) AMEND_CHECK;

/* One sync that changed something, or found a conflict. Lives during the callback. */
struct amend_run {
	int64_t id;
	const char *at;                  /* UTC, when it began to write */
	const char *source, *table;      /* the source's name; the table as history names it */
	const char *who, *why, *program; /* "" where not given */
	uint64_t revisions;
	uint64_t created, updated, deleted; /* records, as its revisions have them */
};

typedef enum amend_status (*amend_run_fn)(const struct amend_run *run, void *context,
					  struct amend_error *err);

/* The run `id`, by one call of `each`; its changes are amend_log's. NOT_FOUND: there is none. */
AMEND_API enum amend_status amend_run_show(struct amend_conn *db, int64_t id, amend_run_fn each,
					   void *context, struct amend_error *err) AMEND_CHECK;

enum amend_conflict_kind {
	AMEND_CONFLICT_FIELDS,
	AMEND_CONFLICT_IDENTITY, /* keys of one record point to two, or the row has another first key */
	AMEND_CONFLICT_UNIQUE,  /* a unique value would stand twice */
	AMEND_CONFLICT_DELETED, /* deleted here, changed by the source, or by a save */
	AMEND_CONFLICT_MISSING, /* gone from the source, edited here, or kept by the database */
	AMEND_CONFLICT_SAVE,    /* fields that a save and others since changed differently */
};

AMEND_API const char *amend_conflict_kind_name(enum amend_conflict_kind kind);

struct amend_conflict_field {
	const char *column;
	bool has_base; /* the source had this column last time */
	struct amend_value base, current, incoming;
};

struct amend_conflict {
	int64_t id;
	const char *source, *table;
	enum amend_conflict_kind kind;
	const struct amend_field *key; /* the record's primary key; none where there is no row */
	size_t n_key;
	const char *first_key; /* the input record's first key, as text "code=FR" */
	const struct amend_conflict_field *fields;
	size_t n_fields;
	const char *note;     /* what clashes, in words; "" for kind fields */
	const char *at, *who; /* when it was found, by whom the incoming values came */
	int64_t line; /* of the input, the last time it was found; 0: it is not in it (kind missing) */
};

/* As amend_log_fn. */
typedef enum amend_status (*amend_conflict_fn)(const struct amend_conflict *conflict, void *context,
					       struct amend_error *err);

/* The open conflicts, oldest first; `table` NULL: of all tables. `id` not 0: that one, NOT_FOUND when it is not open. */
AMEND_API enum amend_status amend_conflicts(struct amend_conn *db, const char *table, int64_t id,
					    amend_conflict_fn each, void *context,
					    struct amend_error *err) AMEND_CHECK;

enum amend_take { AMEND_TAKE_NOTHING, AMEND_TAKE_CURRENT, AMEND_TAKE_INCOMING, AMEND_TAKE_BASE };

/*
 * Settles an open conflict: takes one side, and `set` for single columns, which
 * wins over it; every clashing column needs a decision (INVALID names those
 * without). What changes is a revision; the base becomes the incoming values;
 * the conflict is closed, all in one unit. STALE: the record moved since the
 * conflict was stored; `result` shows it. NOT_FOUND: no open conflict of this id.
 */
AMEND_API enum amend_status amend_resolve(struct amend_conn *db, int64_t id, enum amend_take take,
					  const struct amend_assign *set, size_t n_set,
					  struct amend_result *result,
					  struct amend_error *err) AMEND_CHECK;

enum amend_level { AMEND_LEVEL_OK, AMEND_LEVEL_ADVICE, AMEND_LEVEL_PROBLEM };

/* Looks at settings, ledger, locks. One call of `each` for every finding, good ones too. Writes nothing. */
AMEND_API enum amend_status amend_check(struct amend_conn *db,
					void (*each)(void *context, enum amend_level level,
						     const char *topic, const char *text),
					void *context, struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

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
	int64_t reverted; /* the revision that last said "revert of run ID"; 0: none */
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

enum amend_take { AMEND_TAKE_NOTHING, AMEND_TAKE_CURRENT, AMEND_TAKE_INCOMING, AMEND_TAKE_BASE };

/* What else is known of a field of a conflict. */
struct amend_conflict_more {
	struct amend_value
		found; /* what the database held when the conflict was found, or a sync found it again */
	struct amend_value seen;  /* ..or when the field was decided */
	bool chosen;              /* it is decided, or the conflict is over.. */
	enum amend_take take;     /* ..as this side (NOTHING: a value of its own).. */
	struct amend_value value; /* ..which was this.. */
	const char *who;          /* ..by whom */
	/* Of a save's: what it asked for, which holds for whoever settles it. */
	bool adds;                   /* what incoming adds to base is added to what is there */
	struct amend_value min, max; /* what is written lies between them; NULL: open */
};

/* A version's length, with its end. */
enum { AMEND_CONFLICT_VERSION = 13 };

struct amend_conflict {
	int64_t id;
	/*
	 * What stands here: the record, its sides, what is decided so far, as one word: a decision on this, and on nothing else,
	 * gives it (amend_resolution.version). "" when it is over.
	 */
	const char *version;
	bool as_found; /* it is what it was when it was found: a decision needs no version */
	const char *mark; /* no other conflict has it, in whatever database; "" of one of an old ledger */
	const char *source, *table; /* source "": a save of one record */
	enum amend_conflict_kind kind;
	const struct amend_field *key; /* the record's primary key; none where there is no row */
	size_t n_key;
	const char *first_key; /* the input record's first key, as text "code=FR" */
	/* `current` is what the database holds now; where the record is not there, or the conflict is over: what it held then. */
	const struct amend_conflict_field *fields;
	const struct amend_conflict_more *more; /* one a field */
	size_t n_fields;
	bool there;                 /* the record is; of one that is over nobody looks */
	const char *note;           /* what clashes, in words; "" for kind fields */
	const char *at, *who, *why; /* when it was found, by whom and why the incoming values came */
	int64_t line; /* of the input, the last time it was found; 0: it is not in it (kind missing) */
	const char *state; /* "open", "settled" (by a person or a policy), "closed" (it went away by itself) */
	const char *taken; /* how it was settled: "current", "incoming", "base", "values"; "" */
	const char *ended_at, *ended_by, *because; /* NULL or "" while it is open */
};

/* As amend_log_fn. */
typedef enum amend_status (*amend_conflict_fn)(const struct amend_conflict *conflict, void *context,
					       struct amend_error *err);

struct amend_conflict_filter {
	const char *table; /* NULL: of all tables */
	const char *state; /* NULL: any */
	int64_t id;        /* not 0: this one, NOT_FOUND where there is none */
};

/* Oldest first. */
AMEND_API enum amend_status amend_conflicts(struct amend_conn *db,
					    const struct amend_conflict_filter *filter,
					    amend_conflict_fn each, void *context,
					    struct amend_error *err) AMEND_CHECK;

/* What becomes of one field. */
struct amend_decision {
	const char *column;
	enum amend_take take; /* a side; NOTHING: `value` */
	struct amend_value value;
	const struct amend_value *
		seen; /* what the database held when this was decided; NULL: what the conflict has */
	bool unseen; /* not what it holds now, or that it holds nothing, and not known any more; `seen` does not count */
	bool outdated; /* decided against another incoming value than the conflict has now: it clashes anew */
};

struct amend_resolution {
	int64_t id;
	enum amend_take take; /* for each field that is not decided, here or before */
	const struct amend_decision *decisions;
	size_t n_decisions;
	bool anew; /* what was decided before does not count */
	/*
	 * Of the conflict as it was shown (amend_conflict.version): STALE if it is anything else by now. NULL:
	 * as it was found, which is STALE where a sync, or a decision, has brought it up to date since.
	 */
	const char *version;
};

/*
 * Settles an open conflict. When all its fields are decided, what changes is a revision, the base becomes the incoming
 * values, and the conflict is over, all in one unit. A decision is about what its maker saw, and is written only over
 * that: where somebody has changed the field since, it clashes anew unless both came to the same, or `current` was chosen.
 * Then nothing is written to the record, the conflict stays, and what was decided of its other fields is kept in it:
 * STALE where fields clash anew (what is there now is for who names its version), CONFLICT where some
 * have no decision yet; INVALID where nothing was decided at all. NOT_FOUND: no such conflict, or what became of it.
 * CONSTRAINT also where a value breaks the bounds that a save was made with.
 *
 *	struct amend_decision name = {.column = "name", .value = amend_text("Czechia")};
 *	struct amend_resolution how = {.id = 1, .take = AMEND_TAKE_CURRENT, .decisions = &name, .n_decisions = 1};
 *	struct amend_result result = AMEND_RESULT_INIT;
 *
 *	status = amend_resolve(db, &how, &result, &err);
 *	amend_result_release(&result);
 */
AMEND_API enum amend_status amend_resolve(struct amend_conn *db, const struct amend_resolution *how,
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

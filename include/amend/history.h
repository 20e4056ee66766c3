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
#include <amend/violation.h>

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

/*
 * Undoing: what a revision or a run changed becomes what it was, as a new revision. Three-way: base
 * is what it wrote, current what is there, incoming what it replaced. Where current
 * is still base it becomes incoming; what was edited since, other fields, stays. A record that it
 * created goes, one that it deleted comes back under its key, in the order that foreign keys
 * ask for; of a sync the bases that it wrote become what they were, unless written since.
 * All of it or nothing. A revert is a revision like any other, and can be reverted.
 *
 *	struct amend_revert revert = AMEND_REVERT_INIT;
 *	struct amend_revert_report report;
 *
 *	revert.run = 3;
 *	revert.each = show, revert.confirm = ask;
 *	status = amend_revert(db, &revert, &report, &err);
 */
enum amend_revert_problem {
	AMEND_REVERT_EDITED, /* the field was changed since */
	AMEND_REVERT_TAKEN,  /* another record has the unique value now */
	AMEND_REVERT_GONE,   /* the record was deleted since */
	AMEND_REVERT_EXISTS, /* it was to come back, and is there, with another value in this field */
	AMEND_REVERT_USED, /* it was to go, and was edited since, is not the one that was created, or others would go or change with it */
	AMEND_REVERT_NO_FIELD, /* the table has no such column any more */
};

/* "edited", "taken", ... */
AMEND_API const char *amend_revert_problem_name(enum amend_revert_problem problem);

struct amend_revert_conflict {
	enum amend_revert_problem problem;
	const char *column; /* NULL: the record as a whole */
	struct amend_value base, current, incoming;
	const char *note; /* in words; "" where the values say it */
};

/* What becomes, or would become, of one record. Lives during the call. */
struct amend_revert_entry {
	const struct amend_table *table;
	const struct amend_field *key; /* the primary key as it is now */
	size_t n_key;
	enum amend_outcome
		outcome; /* updated; created: it comes back; deleted; unchanged: undone already; skipped: it stays as it is */
	const struct amend_change *changes;
	size_t n_changes;
	const struct amend_revert_conflict *conflicts;
	size_t n_conflicts;
	/* What the database would refuse of it, or has refused: all of it, as far as it can be known. */
	const struct amend_violation *violations;
	size_t n_violations;
};

typedef enum amend_status (*amend_revert_fn)(const struct amend_revert_entry *entry, void *context,
					     struct amend_error *err);

/*
 * Records: of a dry run what would be done. After a failure nothing is, and only what tells why is counted; but where
 * `revision` is above 0 all was done, and only telling it failed (`each`, or no memory).
 */
struct amend_revert_report {
	uint64_t updated, created, deleted, unchanged;
	uint64_t conflicts; /* records with any: among the others only if what is left of them is done */
	uint64_t open; /* of these, those for which `on_conflict` has no answer: above 0 nothing is written */
	uint64_t refused; /* records with violations, not among those done; of the first two hundred */
	uint64_t bases;   /* that became what they were */
	int64_t revision; /* that recorded it; 0: nothing was written */
};

enum amend_revert_policy {
	AMEND_REVERT_REFUSE,  /* nothing is written where there is a conflict */
	AMEND_REVERT_CURRENT, /* what is in conflict stays as it is, the rest is undone */
	AMEND_REVERT_INCOMING, /* later edits are overwritten; what is taken or gone stays a conflict */
};

struct amend_revert {
	int64_t revision, run;           /* one of both */
	const struct amend_table *table; /* with `key`: only this record's part; else NULL */
	const struct amend_match *key;
	enum amend_revert_policy on_conflict;
	const char *const *
		ignore; /* columns that stay as they are and whose later edits do not count (of any table) */
	size_t n_ignore;
	bool dry_run;
	/*
	 * Once for each record, before `confirm`; without that, after all is written, or tried: where the database
	 * refused it, for those records alone that are to blame. NULL: nobody looks.
	 */
	amend_revert_fn each;
	/* false: nothing is written, INTERRUPTED. Nothing is held meanwhile: if it is another plan afterwards, STALE. */
	bool (*confirm)(const struct amend_revert_report *report, void *context);
	void *context;
};

#define AMEND_REVERT_INIT                                                               \
	{                                                                               \
		0, 0, NULL, NULL, AMEND_REVERT_REFUSE, NULL, 0, false, NULL, NULL, NULL \
	}

/*
 * NOT_FOUND: no such revision or run, or it has no part in this record. CONFLICT: see `open`; the
 * conflicts, all of them, have been shown. CONSTRAINT, INVALID: the database refuses it, see `violations`.
 */
AMEND_API enum amend_status amend_revert(struct amend_conn *db, const struct amend_revert *revert,
					 struct amend_revert_report *report,
					 struct amend_error *err) AMEND_CHECK;

/*
 * Old history removed, from its beginning on: what is left of a record has no gap. A change goes if it is older than
 * `older_than` and not among the newest `keep` of its record; what a version token that is
 * still accepted, an open conflict or a lease may need stays. In pieces, each a unit.
 */
struct amend_prune {
	const struct amend_table *table; /* NULL: all */
	int64_t older_than;              /* seconds; 0: any age (that no token needs) */
	int64_t keep; /* 0: none. A record whose primary key has changed keeps all */
	bool dry_run; /* only `changes` is counted */
};

#define AMEND_PRUNE_INIT          \
	{                         \
		NULL, 0, 0, false \
	}

struct amend_pruned {
	uint64_t changes, revisions, runs;
};

/* INVALID: neither an age nor a number. DENIED: on a server it takes the ledger's owner. After a failure `done` says what is gone. */
AMEND_API enum amend_status amend_prune(struct amend_conn *db, const struct amend_prune *prune,
					struct amend_pruned *done,
					struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

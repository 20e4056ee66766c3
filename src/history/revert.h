/*
 * What the parts of a revert share. The order of one:
 *
 *	undo_read.c    the changes to be undone, put together record by record; where the records are now
 *	undo_rows.c    the rows and bases as they are
 *	undo_decide.c  what becomes of each record, three-way
 *	undo_unique.c  values that would stand twice
 *	undo_children.c what would go with records that are removed
 *	undo_refused.c what else the database would refuse
 *	undo_write.c   all of it written, in an order that foreign keys allow
 *	revert.c       the call: planning, showing, asking, doing
 *
 * A plan is made twice where somebody is asked: without a hold, to be shown, and under
 * it, to be carried out if it is still the same.
 */
#ifndef AMEND_HISTORY_REVERT_H
#define AMEND_HISTORY_REVERT_H

#include <amend/history.h>

#include "record/road.h"
#include "sql/violations.h"
#include "sync/hash.h"

struct undo_table;

/* One column of a record: what the changes replaced, and what they left. */
struct undo_field {
	const char *name;
	int column; /* -1: the table has none of this name any more */
	struct amend_value before, after;
};

/* Why a base is restored: a sync wrote it. Each pack has the first key under no name. */
struct undo_base {
	const char *source;               /* NULL: no sync's change */
	const struct amend_value *before; /* NULL: there was none */
	bool later_known;                 /* the same source changed the record again.. */
	const struct amend_value *later;  /* ..and this was the base until then; NULL: none */
	struct amend_base now;            /* `pack` NULL: there is none */
};

struct undo_record {
	struct undo_table *table;
	const char *pk; /* its name now */
	int64_t last;   /* the last of its changes that are undone */
	bool existed;   /* before these changes */
	bool left;      /* after them */
	bool again;     /* deleted or created since */
	struct undo_field *fields;
	size_t n_fields, room;
	struct undo_base base;

	/* as it is */
	struct amend_row row; /* `values` NULL: it is not there */

	/* what becomes of it */
	enum amend_outcome outcome;
	struct amend_put *puts;
	size_t n_puts;
	struct amend_revert_conflict *conflicts;
	size_t n_conflicts, conflicts_room;
	bool open;   /* a conflict for which the policy has no answer */
	bool *parks; /* by key of the table: it makes way with its value; NULL: with none */
	const struct amend_violation *violations;
	size_t n_violations;
	size_t mark; /* undo_write.c */
	const char *after_pk;
};

struct undo_table {
	const char *name;
	struct amend_table *table;
	bool *ignored; /* by column */
	struct undo_record **list;
	size_t n, room;
	struct amend_hash by_pk; /* names as they are now */
	int64_t first;           /* the least `last` of its records */
	bool synced;             /* some have a source */
	unsigned mark;           /* undo_write.c */
};

struct undo {
	struct amend_conn *db;
	const struct amend_revert *revert;
	struct amend_arena *arena; /* of all that a plan has */
	struct undo_table **tables;
	size_t n_tables, tables_room;
	const int64_t *only; /* positions in history, rising; NULL: all of the revision or run */
	size_t n_only;
	bool hold; /* rows are locked as they are read */
	struct amend_revert_report report;
};

/* undo_read.c */
enum amend_status amend_undo_read(struct undo *undo, struct amend_error *err) AMEND_CHECK;
void amend_undo_release(struct undo *undo);

/* undo_rows.c */
enum amend_status amend_undo_rows(struct undo *undo, struct amend_error *err) AMEND_CHECK;

/* undo_decide.c */
enum amend_status amend_undo_decide(struct undo *undo, struct amend_error *err) AMEND_CHECK;
/* Adds a conflict; values that are not given are NULL. */
enum amend_status amend_undo_conflict(struct undo *undo, struct undo_record *record,
				      const struct amend_revert_conflict *conflict,
				      struct amend_error *err) AMEND_CHECK;
/* Whether the column takes part: not the version column, not one the database writes, not ignored. */
bool amend_undo_counts(const struct undo_table *table, size_t column);

/* undo_unique.c */
enum amend_status amend_undo_unique(struct undo *undo, struct amend_error *err) AMEND_CHECK;
/* The column's value once the record is written; NULL: it will be gone, or is left to the database. */
const struct amend_value *amend_undo_final(const struct undo_record *record, size_t column);

/* undo_children.c; `*again`: a record stays for their sake, which may be in the way of others. */
enum amend_status amend_undo_children(struct undo *undo, bool *again,
				      struct amend_error *err) AMEND_CHECK;

/* undo_refused.c: what stands in the way of each record, for who looks; of the first two hundred that would be written. */
enum amend_status amend_undo_refused(struct undo *undo, struct amend_error *err) AMEND_CHECK;

/* undo_write.c: inside a unit, of a plan whose rows are held. */
enum amend_status amend_undo_write(struct undo *undo, struct amend_error *err) AMEND_CHECK;

/* undo_base.c: the base that the record is to have; `pack` NULL: none; *same: the one it has. */
enum amend_status amend_undo_base(struct undo *undo, struct undo_record *record,
				  struct amend_base *out, bool *same,
				  struct amend_error *err) AMEND_CHECK;

#endif

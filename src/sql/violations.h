/*
 * A row as somebody wants it, held against all that its table demands; the public half is in
 * amend/violation.h. Drivers look (driver.violations), violations.c collects and words it.
 *
 *	struct amend_wish wish = {.table = table, .before = row, .after = values, .known = known};
 *	struct amend_violations list = {.arena = arena};
 *
 *	status = amend_violations_look(db, &wish, &list, err);
 *	... list.all, list.n ...
 */
#ifndef AMEND_SQL_VIOLATIONS_H
#define AMEND_SQL_VIOLATIONS_H

#include <amend/record.h>
#include <amend/violation.h>

#include "sql/conn.h"

/* What is known of a column's value. */
enum amend_known {
	AMEND_KNOWN,   /* it is canonical */
	AMEND_DEFAULT, /* not given: of a row to be created, the column's own */
	AMEND_UNFIT,   /* as it was given; `problem` says why the column cannot hold it */
	AMEND_UNKNOWN, /* used by drivers */
};

struct amend_wish {
	const struct amend_table *table;
	const struct amend_value *before; /* in column order; NULL: it is to be created */
	struct amend_value rowid; /* of the row before, where that identifies it; else NULL */
	const struct amend_value *after; /* in column order; NULL: it is to be deleted */
	const enum amend_known *known;   /* of `after` */
	const char *const *problem;      /* of what is UNFIT */
};

struct amend_violations {
	struct amend_arena *arena; /* where all of it lives */
	struct amend_violation *all;
	size_t n, room;
	bool unfit;  /* a value was given that its column cannot hold */
	bool failed; /* sticky: no memory */
};

/*
 * Adds one, copied, without its text: violations.c words it from the rest. `detail` (may be NULL) goes
 * behind: what the engine says where the value or expression cannot be worked out.
 */
void amend_violations_add(struct amend_violations *list, const struct amend_wish *wish,
			  const struct amend_violation *violation, const char *detail);
/* The names of those of the table's columns that are marked. */
const char *const *amend_violations_columns(struct amend_violations *list,
					    const struct amend_table *table, const bool *marked,
					    size_t *n);
/* Whether the column's value would be another one: of a creation always. */
bool amend_wish_changes(const struct amend_wish *wish, size_t column);

/*
 * Looks in a unit of its own that writes nothing; inside another unit, or an application's
 * transaction, in a savepoint that is undone. Not in a unit that has failed.
 */
enum amend_status amend_violations_look(struct amend_conn *db, const struct amend_wish *wish,
					struct amend_violations *list,
					struct amend_error *err) AMEND_CHECK;

#endif

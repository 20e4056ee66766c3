/*
 * Records that the database deletes or changes with one that is deleted or changed: foreign keys ON DELETE and
 * ON UPDATE CASCADE, SET NULL, SET DEFAULT. Nobody has seen them, and unless their table is guarded nobody records
 * them; for src/record and the layers above.
 */
#ifndef AMEND_RECORD_CASCADE_H
#define AMEND_RECORD_CASCADE_H

#include "record/road.h"

enum { AMEND_CASCADE_SHOWN = 3, AMEND_CASCADE_MOST = 1000 };

/* Whether there is anything to look for: false for most tables, and most updates of the others. */
bool amend_cascades_by_delete(const struct amend_conn *db, const struct amend_table *table);
bool amend_cascades_by_update(const struct amend_conn *db, const struct amend_table *table,
			      const struct amend_put *puts, size_t n);

/* Whether other rows of the table itself may change with the row: nobody's proof of them stands after it. */
bool amend_cascades_within(const struct amend_conn *db, const struct amend_table *table,
			   const struct amend_put *puts, size_t n);

/* What depends on one row by one foreign key. Lives during the call. */
struct amend_cascade {
	size_t row;                           /* its index */
	const char *table;                    /* whose records they are, as the ledger names it */
	uint64_t n;                           /* how many */
	bool more;                            /* there may be more */
	const char *pks[AMEND_CASCADE_SHOWN]; /* the first of them; NULL: no more, or nothing names them */
	bool goes;                            /* they are deleted; else changed */
	bool recorded; /* by the triggers of `amend guard`, and all that goes with them */
};

struct amend_cascade_search {
	/* Whether the record of that table goes anyway, or will not depend on it any more. NULL: none does. */
	bool (*apart)(void *context, const struct amend_dependent *key,
		      const struct amend_table *table, const char *pk);
	enum amend_status (*each)(void *context, const struct amend_cascade *found,
				  struct amend_error *err);
	void *context;
	/* NULL, or: set where others depend on a row and are recorded; `each` is told of the rest alone, and of none that follows. */
	bool *recorded;
};

/*
 * Calls `each` for each row and foreign key by which others depend on it. Of the items row and puts count: all are
 * deleted, or all are changed. Rows without values are left out.
 */
enum amend_status amend_cascades_find(struct amend_conn *db, const struct amend_table *table,
				      const struct amend_bulk *const *items, size_t n,
				      const struct amend_cascade_search *search,
				      struct amend_error *err) AMEND_CHECK;

/* "2 records of orders refer to it, and would be deleted with it: {"id":5}, {"id":6}" */
void amend_cascade_text(struct amend_buffer *text, const struct amend_cascade *found);

/*
 * Of rows that are held and about to be deleted, or changed, together. CONSTRAINT: others would go or lose what they
 * refer to, and nothing would record it. What follows a change (ON UPDATE CASCADE) does not. `*recorded`: triggers record
 * some, and are to be handed the revision. NULL: then that, and what follows, is refused too.
 */
enum amend_status amend_cascades_check(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_bulk *const *items, size_t n,
				       bool *recorded, struct amend_error *err) AMEND_CHECK;

/*
 * Around the write of one row that is held: the same, and the revision is handed to triggers that record others,
 * unless it is to those of the table itself anyway. `*handed` is for amend_cascades_end.
 */
enum amend_status amend_cascades_begin(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_row *row, const struct amend_put *puts,
				       size_t n, bool *handed, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_cascades_end(struct amend_conn *db, bool handed,
				     struct amend_error *err) AMEND_CHECK;

#endif

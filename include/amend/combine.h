/*
 * Hot rows: additions to one record that several threads make at the same time
 * are written together and committed once.
 *
 *	struct amend_combiner *combiner = NULL;
 *	status = amend_combiner_new(&combiner, &err);
 *
 *	... in each thread, with a connection of its own:
 *	struct amend_assign sold = {"stock", AMEND_ADD, amend_integer(-1)};
 *	struct amend_bound left = {"stock", amend_integer(0), amend_null()};
 *	write.set = &sold, write.n_set = 1, write.bounds = &left, write.n_bounds = 1;
 *	status = amend_write_combined(combiner, db, table, &write, &result, &err);
 *
 * A row stays locked until its commit is on disk, so that threads which add to
 * one row wait for each other's disk. Here the first commits alone and at once;
 * what comes meanwhile waits in the process, and the next one writes all of it in one unit.
 * Nobody waits for company: a lonely call costs what amend_write costs.
 */
#ifndef AMEND_COMBINE_H
#define AMEND_COMBINE_H

#include <amend/record.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Shared by threads whose connections go to the same database as the same
 * role, for one of them writes what the others ask for.
 */
struct amend_combiner;

AMEND_API enum amend_status amend_combiner_new(struct amend_combiner **out,
					       struct amend_error *err) AMEND_CHECK;

/* No call may be under way. Takes NULL. */
AMEND_API void amend_combiner_free(struct amend_combiner *combiner);

/*
 * As amend_write, with the same meaning and the same results. Each caller has
 * its own outcome, before and after, and its own revision with its own author,
 * in the order in which they were added; bounds are tested for each in that
 * order, and what breaks its own is refused alone. It returns after the COMMIT.
 *
 * Combined is what only adds whole numbers to integer columns of a record that a
 * unique key finds, without a token, an expectation or a callback, waiting for
 * locks (AMEND_WAIT), outside a unit, on an opened connection, in a table without triggers that act
 * after the row is written and without generated columns. All else goes the
 * road alone, as does each call of a unit that failed, unless it waited in vain (LOCKED) or
 * nobody knows whether it is in: OUTCOME_UNKNOWN is then everybody's.
 * `combiner` NULL: amend_write.
 */
AMEND_API enum amend_status amend_write_combined(struct amend_combiner *combiner,
						 struct amend_conn *db,
						 const struct amend_table *table,
						 const struct amend_write *write,
						 struct amend_result *result,
						 struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

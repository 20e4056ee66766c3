/* What became of a COMMIT that nobody answered; for src/ledger alone. */
#ifndef AMEND_LEDGER_FATE_H
#define AMEND_LEDGER_FATE_H

#include "sql/conn.h"

/*
 * In a transaction that is undone: whether what the lost one wrote is there. By writing the same once
 * more, which waits for a transaction that is still under way, where a look would come too early.
 */
typedef enum amend_status (*amend_fate_look_fn)(struct amend_conn *db, void *context, bool *in,
						struct amend_error *err);

/* Opens the lost connection again, and looks until `until` (monotonic ms). As amend_fate_fn; `err` has why it was lost. */
enum amend_status amend_fate_find_out(struct amend_conn *db, int64_t until, amend_fate_look_fn look,
				      void *context, struct amend_error *err) AMEND_CHECK;

/*
 * What is read here may be in on this server alone, where a COMMIT was interrupted while it waited for a standby. Waits as that
 * one should have: OUTCOME_UNKNOWN. Inside a transaction its COMMIT will.
 */
enum amend_status amend_fate_confirm(struct amend_conn *db, struct amend_error *err) AMEND_CHECK;

/* amend_fate_fn of every unit that has no other: by the number of the revision that it recorded. */
enum amend_status amend_revision_fate(struct amend_conn *db, void *context,
				      struct amend_error *err) AMEND_CHECK;

#endif

/*
 * How far back history was removed.
 * Leaves removing it to src/history/prune.c.
 */
#include "ledger/prune.h"

#include "core/rows.h"

enum amend_status amend_ledger_pruned(struct amend_conn *db, int64_t *out, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	bool present;
	enum amend_status status = amend_ledger_look(db, &present, err);

	*out = 0;
	if (status != AMEND_OK || !present)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT value FROM ");
	amend_sql_ledger(&sql, "meta");
	amend_sql_text(&sql, " WHERE name = 'pruned'");
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows > 0 &&
	    !amend_value_number(amend_rows_at(&rows, 0, 0), out))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/*
 * What a run was: its head, and how much it changed.
 * Leaves making one to revision.c, and its changes to record/history.c.
 */
#include <stdio.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/ledger.h"

enum { AT, SOURCE, TBL, WHO, WHY, PROGRAM };
enum { REVISIONS, CREATED, UPDATED, DELETED };

static enum amend_status read_head(struct amend_conn *db, int64_t id, struct amend_rows *rows,
				   struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT at, source, tbl, who, why, program FROM ");
	amend_sql_ledger(&sql, "run");
	amend_sql_text(&sql, " WHERE id = ");
	amend_sql_integer(&sql, id);
	status = amend_exec(db, &sql, rows, err);
	amend_sql_release(&sql);
	if (status == AMEND_OK && rows->n_rows == 0)
		status = amend_error_set(err, AMEND_NOT_FOUND, "no run %lld is known here",
					 (long long)id);
	return status;
}

enum amend_status amend_run_known(struct amend_conn *db, int64_t id, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	bool present;
	enum amend_status status = amend_ledger_look(db, &present, err);

	if (status == AMEND_OK && !present)
		return amend_error_set(err, AMEND_NOT_FOUND, "no run %lld is known here",
				       (long long)id);
	if (status == AMEND_OK)
		status = read_head(db, id, &rows, err);
	amend_rows_release(&rows);
	return status;
}

static enum amend_status read_counts(struct amend_conn *db, int64_t id, struct amend_rows *rows,
				     struct amend_error *err)
{
	static const char *const ops[] = {"create", "update", "delete"};
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT count(DISTINCT r.id)");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		amend_sql_printf(&sql, ", count(CASE WHEN c.op = '%s' THEN 1 END)", ops[i]);
	amend_sql_text(&sql, " FROM ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " r LEFT JOIN ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " c ON c.revision = r.id WHERE r.run = ");
	amend_sql_integer(&sql, id);
	status = amend_exec(db, &sql, rows, err);
	amend_sql_release(&sql);
	return status;
}

/* By what it says of itself, as `amend revert` does: a revision has no other tie to what it undid. */
static enum amend_status read_reverted(struct amend_conn *db, int64_t id, struct amend_rows *rows,
				       struct amend_error *err)
{
	char said[64], more[80];
	struct amend_sql sql;
	enum amend_status status;

	snprintf(said, sizeof(said), "revert of run %lld", (long long)id);
	snprintf(more, sizeof(more), "%s: %%", said);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT coalesce(max(id), 0) FROM ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " WHERE why = ");
	amend_sql_string(&sql, said);
	amend_sql_text(&sql, " OR why LIKE ");
	amend_sql_string(&sql, more);
	status = amend_exec(db, &sql, rows, err);
	amend_sql_release(&sql);
	return status;
}

static uint64_t number(const struct amend_rows *rows, size_t column)
{
	int64_t n = 0;

	return amend_value_number(amend_rows_at(rows, 0, column), &n) && n > 0 ? (uint64_t)n : 0;
}

static const char *text(const struct amend_rows *rows, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, 0, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

enum amend_status amend_run_show(struct amend_conn *db, int64_t id, amend_run_fn each,
				 void *context, struct amend_error *err)
{
	struct amend_rows head = AMEND_ROWS_INIT, counts = AMEND_ROWS_INIT;
	struct amend_rows reverted = AMEND_ROWS_INIT;
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = amend_run_known(db, id, err);
	if (status == AMEND_OK)
		status = read_head(db, id, &head, err);
	if (status == AMEND_OK)
		status = read_counts(db, id, &counts, err);
	if (status == AMEND_OK)
		status = read_reverted(db, id, &reverted, err);
	if (status == AMEND_OK) {
		const struct amend_run run = {
			.id = id,
			.at = text(&head, AT),
			.source = text(&head, SOURCE),
			.table = text(&head, TBL),
			.who = text(&head, WHO),
			.why = text(&head, WHY),
			.program = text(&head, PROGRAM),
			.revisions = number(&counts, REVISIONS),
			.created = number(&counts, CREATED),
			.updated = number(&counts, UPDATED),
			.deleted = number(&counts, DELETED),
			.reverted = (int64_t)number(&reverted, 0),
		};

		status = each(&run, context, err);
	}
	amend_rows_release(&head);
	amend_rows_release(&counts);
	amend_rows_release(&reverted);
	return amend_leave(db, status, err);
}

/*
 * amend_check: is all well with the engine's settings and the ledger?
 * Leaves what is an engine's to its driver.
 */
#include <stdio.h>

#include "core/rows.h"
#include "ledger/guard.h"
#include "ledger/state.h"

struct finding {
	void (*each)(void *context, enum amend_level level, const char *topic, const char *text);
	void *context;
};

static enum amend_status count(struct amend_conn *db, const char *table, const char *where,
			       int64_t *out, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT count(*) FROM ");
	amend_sql_ledger(&sql, table);
	amend_sql_text(&sql, where);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && !amend_value_number(amend_rows_at(&rows, 0, 0), out))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status check_ledger(struct amend_conn *db, const struct finding *finding,
				      struct amend_error *err)
{
	int64_t revisions = 0, conflicts = 0, orphans = 0, keys = 0;
	enum amend_status status;
	char text[200];
	bool present;

	status = amend_ledger_look(db, &present, err);
	if (status == AMEND_DENIED || status == AMEND_UNSUPPORTED) {
		finding->each(finding->context, AMEND_LEVEL_PROBLEM, "ledger", err->text);
		return AMEND_OK;
	}
	if (status != AMEND_OK)
		return status;
	if (!present) {
		finding->each(
			finding->context, AMEND_LEVEL_ADVICE, "ledger",
			"not installed yet (hint: amend init, or the first change installs it)");
		return AMEND_OK;
	}
	status = count(db, "revision", "", &revisions, err);
	if (status == AMEND_OK)
		status = count(db, "conflict", " WHERE state = 'open'", &conflicts, err);
	if (status == AMEND_OK) {
		char where[160];

		snprintf(where, sizeof(where), " WHERE revision NOT IN (SELECT id FROM %srevision)",
			 db->dialect->ledger);
		status = count(db, "change", where, &orphans, err);
	}
	if (status == AMEND_DENIED) {
		finding->each(finding->context, AMEND_LEVEL_PROBLEM, "ledger", err->text);
		return AMEND_OK;
	}
	if (status != AMEND_OK)
		return status;
	/* Its owner alone may look. */
	status = count(db, "token_key", "", &keys, err);
	if (status == AMEND_OK && keys == 0)
		finding->each(
			finding->context, AMEND_LEVEL_PROBLEM, "tokens",
			"there is no key to sign them with (hint: amend init DB --rotate-key)");
	else if (status != AMEND_OK && status != AMEND_DENIED)
		return status;
	snprintf(text, sizeof(text), "installed, version %d, %lld revision%s", db->ledger->version,
		 (long long)revisions, revisions == 1 ? "" : "s");
	finding->each(finding->context, AMEND_LEVEL_OK, "ledger", text);
	if (conflicts > 0) {
		snprintf(text, sizeof(text),
			 "%lld wait%s for a decision (hint: amend conflicts, amend resolve)",
			 (long long)conflicts, conflicts == 1 ? "s" : "");
		finding->each(finding->context, AMEND_LEVEL_ADVICE, "conflicts", text);
	}
	if (orphans > 0) {
		snprintf(text, sizeof(text),
			 "%lld change%s belong%s to no revision: rows were deleted from the ledger",
			 (long long)orphans, orphans == 1 ? "" : "s", orphans == 1 ? "s" : "");
		finding->each(finding->context, AMEND_LEVEL_PROBLEM, "ledger", text);
	}
	return AMEND_OK;
}

enum amend_status amend_check(struct amend_conn *db,
			      void (*each)(void *context, enum amend_level level, const char *topic,
					   const char *text),
			      void *context, struct amend_error *err)
{
	const struct finding finding = {each, context};
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = db->driver->check(db->session, each, context, err);
	if (status == AMEND_OK)
		status = check_ledger(db, &finding, err);
	if (status == AMEND_OK)
		status = amend_guard_check(db, each, context, err);
	return amend_leave(db, status, err);
}

/*
 * amend_check: is all well with the engine's settings and the ledger?
 * Leaves what is an engine's to its driver.
 */
#include <stdio.h>

#include "core/rows.h"
#include "ledger/guard.h"
#include "ledger/lease_row.h"
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

struct leases {
	int held, mandatory; /* the second: of those that are held */
	int over,
		unguarded; /* ended without being given back; the second: of those, mandatory ones */
	char first[400];   /* of these */
};

static enum amend_status count_lease(struct leases *leases, const struct amend_value *values,
				     struct amend_error *err)
{
	struct amend_lease lease;
	bool held = false;
	enum amend_status status = amend_lease_of_row(values + 2, &lease, &held, err);

	if (status != AMEND_OK)
		return status;
	leases->held += held;
	leases->mandatory += held && lease.mandatory;
	leases->over += !held;
	leases->unguarded += !held && lease.mandatory;
	if (!held && lease.mandatory && !*leases->first && values[0].kind == AMEND_TEXT &&
	    values[1].kind == AMEND_TEXT)
		snprintf(leases->first, sizeof(leases->first), "%s %s, of %s since %s",
			 values[0].as.text, values[1].as.text, lease.holder, lease.since);
	return AMEND_OK;
}

static void tell_leases(const struct finding *finding, const struct leases *leases)
{
	char text[800];

	if (leases->held > 0 || leases->over > 0) {
		snprintf(text, sizeof(text),
			 "%d held, %d of them mandatory; %d ended without being given back",
			 leases->held, leases->mandatory, leases->over);
		finding->each(finding->context, AMEND_LEVEL_OK, "leases", text);
	}
	if (leases->unguarded > 0) {
		snprintf(text, sizeof(text),
			 "%d mandatory %s ended without being given back (%s%s): its holder may have died, and "
			 "writes pass again (hint: amend lease list --history says more; taking and "
			 "releasing it settles this)",
			 leases->unguarded, leases->unguarded == 1 ? "lease" : "leases",
			 leases->unguarded == 1 ? "" : "the first: ", leases->first);
		finding->each(finding->context, AMEND_LEVEL_ADVICE, "leases", text);
	}
}

/* Who may not look into the ledger has been told so; an older one has no leases. */
static enum amend_status check_leases(struct amend_conn *db, const struct finding *finding,
				      struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct leases leases = {0};
	struct amend_instant now;
	struct amend_sql sql;
	int version = 0;
	enum amend_status status = amend_ledger_version(db, &version, err);

	if (status == AMEND_OK && version < AMEND_LEDGER_LEASES)
		return AMEND_OK;
	amend_clock_instant(&now);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT tbl, pk, ");
	amend_lease_columns(&sql, &now);
	amend_sql_text(&sql, " FROM ");
	amend_sql_ledger(&sql, "lease");
	amend_sql_text(&sql, " WHERE digest IS NOT NULL ORDER BY tbl, pk");
	if (status == AMEND_OK)
		status = amend_exec(db, &sql, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++)
		status = count_lease(&leases, amend_rows_at(&rows, i, 0), err);
	if (status == AMEND_OK)
		tell_leases(finding, &leases);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status == AMEND_DENIED || status == AMEND_UNSUPPORTED ? AMEND_OK : status;
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
		status = check_leases(db, &finding, err);
	if (status == AMEND_OK)
		status = amend_guard_check(db, each, context, err);
	return amend_leave(db, status, err);
}

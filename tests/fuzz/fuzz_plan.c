/*
 * A saved plan, perhaps forged: read without its checksum, and applied to a table where it may.
 * Refused, stale or done; a second time nothing is done, and a dry run changes nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <amend/amend.h>

#include "sync/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(struct amend_conn *db, const char *sql)
{
	struct amend_error err;

	if (amend_query(db, sql, NULL, 0, NULL, &err) != AMEND_OK)
		abort();
}

static struct amend_conn *fresh(void)
{
	struct amend_conn *db = NULL;
	struct amend_error err;

	if (amend_open(":memory:", NULL, &db, &err) != AMEND_OK)
		abort();
	must(db, "CREATE TABLE country (id integer PRIMARY KEY, code text UNIQUE, name text, people "
		 "integer, note text)");
	must(db,
	     "INSERT INTO country VALUES (1, 'FR', 'France', 65, NULL), (2, 'DE', 'Germany', 80, "
	     "NULL)");
	return db;
}

static int64_t changes_of(struct amend_conn *db)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	int64_t n = 0;

	if (amend_query(db, "SELECT total_changes()", NULL, 0, &rows, &err) != AMEND_OK)
		abort();
	n = rows.values[0].as.integer;
	amend_rows_release(&rows);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct amend_apply_options options = AMEND_APPLY_OPTIONS_INIT;
	struct amend_sync_report report = {0};
	struct amend_plan *plan = NULL;
	struct amend_conn *db;
	struct amend_error err;
	enum amend_status status;
	char *text = malloc(size + 1);
	int64_t before;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (amend_plan_parse(text, size, "plan", false, &plan, &err) != AMEND_OK)
		return 0;
	db = fresh();
	before = changes_of(db);
	options.dry_run = true;
	status = amend_apply(db, plan, &options, &report, &err);
	amend_sync_report_release(&report);
	if (changes_of(db) != before)
		abort();
	options.dry_run = false;
	if (status == AMEND_OK)
		status = amend_apply(db, plan, &options, &report, &err);
	amend_sync_report_release(&report);
	if (status == AMEND_OK) {
		uint64_t sum;

		before = changes_of(db);
		if (amend_apply(db, plan, &options, &report, &err) != AMEND_OK)
			abort();
		sum = report.unchanged + report.stale + report.rejected + report.conflicts;
		/* What is not there by now never will be. */
		if (report.created || report.n_revisions || sum > report.read)
			abort();
		amend_sync_report_release(&report);
	}
	amend_plan_close(plan);
	amend_close(db);
	return 0;
}

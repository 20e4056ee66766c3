/*
 * amend_prune: old history removed, from its beginning on, so that what stays has no gap.
 * Leaves how far it went to src/ledger/prune.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <amend/history.h>

#include "core/rows.h"
#include "ledger/prune.h"
#include "record/road.h"

enum { CHUNK = 10000 }; /* positions: a writer of other programs waits no longer than for these */

/* One call under way. */
struct pruning {
	struct amend_conn *db;
	const struct amend_prune *asked;
	struct amend_pruned *done;
	char before[AMEND_MOMENT_TIME]; /* what is as young as this stays */
	int64_t end;                    /* positions in history: below it is what may go */
	int64_t from, to;               /* of the chunk */
};

static enum amend_status read_number(struct amend_conn *db, struct amend_sql *sql, int64_t *out,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_exec(db, sql, &rows, err);

	*out = 0;
	if (status == AMEND_OK && rows.n_rows > 0 &&
	    !amend_value_number(amend_rows_at(&rows, 0, 0), out))
		*out = 0; /* NULL: there is none */
	amend_rows_release(&rows);
	amend_sql_release(sql);
	return status;
}

/* By the database's clock, which is that of the revisions. */
static enum amend_status find_time(struct pruning *pruning, struct amend_error *err)
{
	int64_t lifetime = pruning->db->options.token_lifetime, age = pruning->asked->older_than;
	struct amend_sql sql;
	enum amend_status status;
	int64_t now;
	struct tm tm;
	time_t then;

	amend_sql_init(&sql, pruning->db);
	amend_sql_printf(&sql, "SELECT %s", pruning->db->dialect->epoch);
	status = read_number(pruning->db, &sql, &now, err);
	if (status != AMEND_OK)
		return status;
	/* A token that is still accepted may be of a state that only history can tell. */
	then = (time_t)(now - (age > lifetime ? age : lifetime));
	if (!gmtime_r(&then, &tm) || strftime(pruning->before, sizeof(pruning->before),
					      "%Y-%m-%d %H:%M:%S.000000", &tm) == 0)
		return amend_error_set(err, AMEND_INVALID, "that long ago there was no time");
	return AMEND_OK;
}

/* Behind the first change that is young nothing goes, whatever the clocks said later. */
static enum amend_status find_end(struct pruning *pruning, struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, pruning->db);
	amend_sql_text(&sql, "SELECT min(c.id) FROM ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " c JOIN ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " r ON r.id = c.revision WHERE r.at >= ");
	amend_sql_string(&sql, pruning->before);
	status = read_number(pruning->db, &sql, &pruning->end, err);
	if (status != AMEND_OK || pruning->end > 0)
		return status;
	amend_sql_init(&sql, pruning->db);
	amend_sql_text(&sql, "SELECT max(id) + 1 FROM ");
	amend_sql_ledger(&sql, "change");
	return read_number(pruning->db, &sql, &pruning->end, err);
}

/* A column by its table's whole name: not every engine has another name for what it deletes from. */
static void of(struct amend_sql *sql, const char *table, const char *column)
{
	amend_sql_ledger(sql, table);
	amend_sql_text(sql, ".");
	amend_sql_text(sql, column);
}

/* " WHERE o.tbl = ... AND o.pk = ...": what tells of the record that the change is of. */
static void same_record(struct amend_sql *sql, const char *name)
{
	amend_sql_printf(sql, " WHERE %s.tbl = ", name);
	of(sql, "change", "tbl");
	amend_sql_printf(sql, " AND %s.pk = ", name);
	of(sql, "change", "pk");
}

/* The newest `keep` of each record stay; of one whose key has changed all, for they lie under two names. */
static void add_keep(struct amend_sql *sql, const struct pruning *pruning)
{
	amend_sql_text(sql, " AND (SELECT d.id FROM ");
	amend_sql_ledger(sql, "change");
	amend_sql_text(sql, " d");
	same_record(sql, "d");
	amend_sql_text(sql, " AND d.id > ");
	of(sql, "change", "id");
	amend_sql_text(sql, " ORDER BY d.id LIMIT 1 OFFSET ");
	amend_sql_integer(sql, pruning->asked->keep - 1);
	amend_sql_text(sql, ") IS NOT NULL");
	for (int i = 0; i < 2; i++) {
		amend_sql_text(sql, " AND ");
		of(sql, "change", "pk");
		amend_sql_text(sql, i ? " NOT IN (SELECT was FROM " : " NOT IN (SELECT pk FROM ");
		amend_sql_ledger(sql, "change");
		amend_sql_text(sql, " WHERE was IS NOT NULL)");
	}
}

/* A record that waits for a decision, or is held, keeps all that it has. */
static void add_needed(struct amend_sql *sql)
{
	amend_sql_text(sql, " AND NOT EXISTS (SELECT 1 FROM ");
	amend_sql_ledger(sql, "conflict");
	amend_sql_text(sql, " o");
	same_record(sql, "o");
	amend_sql_text(sql, " AND o.state = 'open')");
	amend_sql_text(sql, " AND NOT EXISTS (SELECT 1 FROM ");
	amend_sql_ledger(sql, "lease");
	amend_sql_text(sql, " l");
	same_record(sql, "l");
	amend_sql_text(sql, " AND l.digest IS NOT NULL)");
}

static void add_where(struct amend_sql *sql, const struct pruning *pruning)
{
	amend_sql_text(sql, " WHERE id >= ");
	amend_sql_integer(sql, pruning->from);
	amend_sql_text(sql, " AND id < ");
	amend_sql_integer(sql, pruning->to);
	if (pruning->asked->table) {
		amend_sql_text(sql, " AND tbl = ");
		amend_sql_string(sql, pruning->asked->table->qualified);
	}
	if (pruning->asked->keep > 0)
		add_keep(sql, pruning);
	add_needed(sql);
}

static enum amend_status count_changes(struct pruning *pruning, struct amend_error *err)
{
	struct amend_sql sql;
	int64_t n = 0;
	enum amend_status status;

	pruning->from = 0;
	pruning->to = pruning->end;
	amend_sql_init(&sql, pruning->db);
	amend_sql_text(&sql, "SELECT count(*) FROM ");
	amend_sql_ledger(&sql, "change");
	add_where(&sql, pruning);
	status = read_number(pruning->db, &sql, &n, err);
	pruning->done->changes = (uint64_t)n;
	return status;
}

/* Runs a deletion; how much it removed. */
static enum amend_status remove_rows(struct amend_conn *db, struct amend_sql *sql, int64_t *n,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_exec(db, sql, &rows, err);

	*n = rows.changes;
	amend_rows_release(&rows);
	amend_sql_release(sql);
	return status;
}

/* Whoever asks for a moment before this is told that it is not known. */
static enum amend_status mark(struct pruning *pruning, struct amend_error *err)
{
	static const char *const set[] = {"value", NULL};
	char text[32];
	struct amend_sql sql;
	enum amend_status status;
	int64_t before;

	status = amend_ledger_pruned(pruning->db, &before, err);
	if (status != AMEND_OK || before >= pruning->to - 1)
		return status;
	snprintf(text, sizeof(text), "%" PRId64, pruning->to - 1);
	amend_sql_init(&sql, pruning->db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "meta");
	amend_sql_text(&sql, " (name, value) VALUES ('pruned', ");
	amend_sql_string(&sql, text);
	amend_sql_text(&sql, ")");
	amend_sql_or_set(&sql, "name", set);
	status = amend_exec(pruning->db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status prune_chunk(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct pruning *pruning = context;
	struct amend_sql sql;
	enum amend_status status;
	int64_t n = 0;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "change");
	add_where(&sql, pruning);
	status = remove_rows(db, &sql, &n, err);
	if (status == AMEND_OK && n > 0)
		status = mark(pruning, err);
	if (status == AMEND_OK)
		pruning->done->changes += (uint64_t)n;
	return status;
}

/* Revisions without changes, then runs without revisions; conflicts name their run. */
static enum amend_status prune_heads(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct pruning *pruning = context;
	struct amend_sql sql;
	enum amend_status status;
	int64_t revisions = 0, runs = 0;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " WHERE at < ");
	amend_sql_string(&sql, pruning->before);
	amend_sql_text(&sql, " AND NOT EXISTS (SELECT 1 FROM ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " c WHERE c.revision = ");
	of(&sql, "revision", "id");
	amend_sql_text(&sql, ")");
	status = remove_rows(db, &sql, &revisions, err);
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "run");
	amend_sql_text(&sql, " WHERE at < ");
	amend_sql_string(&sql, pruning->before);
	amend_sql_text(&sql, " AND NOT EXISTS (SELECT 1 FROM ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " r WHERE r.run = ");
	of(&sql, "run", "id");
	amend_sql_text(&sql, ") AND NOT EXISTS (SELECT 1 FROM ");
	amend_sql_ledger(&sql, "conflict");
	amend_sql_text(&sql, " o WHERE o.run = ");
	of(&sql, "run", "id");
	amend_sql_text(&sql, ")");
	status = remove_rows(db, &sql, &runs, err);
	if (status == AMEND_OK) {
		pruning->done->revisions = (uint64_t)revisions;
		pruning->done->runs = (uint64_t)runs;
	}
	return status;
}

static enum amend_status prune_all(struct pruning *pruning, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	struct amend_sql sql;
	int64_t first = 0;

	amend_sql_init(&sql, pruning->db);
	amend_sql_text(&sql, "SELECT min(id) FROM ");
	amend_sql_ledger(&sql, "change");
	status = read_number(pruning->db, &sql, &first, err);
	/* From the oldest on: what is interrupted has left no gap. */
	for (; first < pruning->end && status == AMEND_OK; first += CHUNK) {
		uint64_t before = pruning->done->changes;

		pruning->from = first;
		pruning->to = first + CHUNK < pruning->end ? first + CHUNK : pruning->end;
		status = amend_atomic(pruning->db, NULL, prune_chunk, pruning, err);
		if (status != AMEND_OK)
			pruning->done->changes = before;
	}
	return status == AMEND_OK ? amend_atomic(pruning->db, NULL, prune_heads, pruning, err)
				  : status;
}

static enum amend_status prune(struct pruning *pruning, struct amend_error *err)
{
	enum amend_status status;
	bool present;

	if (pruning->asked->older_than <= 0 && pruning->asked->keep <= 0)
		return amend_error_set(err, AMEND_INVALID,
				       "expected an age or a number of changes to keep");
	status = amend_ledger_look(pruning->db, &present, err);
	if (status != AMEND_OK || !present)
		return status;
	/* An older ledger has no leases to look at. */
	if (!pruning->asked->dry_run)
		status = amend_ledger_need(pruning->db, err);
	if (status == AMEND_OK)
		status = find_time(pruning, err);
	if (status == AMEND_OK)
		status = find_end(pruning, err);
	if (status != AMEND_OK)
		return status;
	return pruning->asked->dry_run ? count_changes(pruning, err) : prune_all(pruning, err);
}

enum amend_status amend_prune(struct amend_conn *db, const struct amend_prune *asked,
			      struct amend_pruned *done, struct amend_error *err)
{
	struct pruning pruning = {.db = db, .asked = asked, .done = done};
	enum amend_status status = amend_enter(db, err);

	*done = (struct amend_pruned){0};
	if (status != AMEND_OK)
		return status;
	status = prune(&pruning, err);
	return amend_leave(db, status, err);
}

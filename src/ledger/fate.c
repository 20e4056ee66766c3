/*
 * Finding out what became of a COMMIT that nobody answered.
 * Leaves operations, which have an id of their own for it, to operation.c.
 */
#include "ledger/fate.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/rows.h"
#include "ledger/state.h"

/* A server that has no such thing, or does not give it to this role. */
static bool lacks_it(enum amend_status status)
{
	return status == AMEND_INVALID || status == AMEND_UNSUPPORTED || status == AMEND_DENIED;
}

/* In the transaction that is open, or as one of its own. */
static enum amend_status confirm(struct amend_conn *db, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = db->dialect->confirm, .once = true};
	enum amend_status status = AMEND_OK;

	if (statement.sql)
		status = db->driver->run(db->session, &statement, 1, NULL, &(size_t){0}, err);
	return lacks_it(status) ? AMEND_OK : status;
}

static enum amend_status confirm_within(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	(void)context;
	return amend_exec_text(db, db->dialect->confirm, err);
}

enum amend_status amend_fate_confirm(struct amend_conn *db, struct amend_error *err)
{
	enum amend_status status;

	/* Under a savepoint: where it is refused, the transaction goes on. */
	if (amend_in_transaction(db)) {
		status = db->dialect->confirm ? amend_atomic(db, NULL, confirm_within, NULL, err)
					      : AMEND_OK;
		return lacks_it(status) ? AMEND_OK : status;
	}
	if (confirm(db, err) == AMEND_OK)
		return AMEND_OK;
	err->status = AMEND_OUTCOME_UNKNOWN;
	return amend_error_wrap(err, "it is in here, and not known to be at the standby");
}

/* ---- looking ---- */

struct search {
	amend_fate_look_fn look;
	void *context;
	bool in;
	int64_t lacks; /* a revision that was in before, and is not; 0: none */
};

/*
 * Whether the last that this connection was told to be in is there. A server that crashed, or follows one that died, may lack
 * what it acknowledged; and then all that came after it.
 */
static enum amend_status look_for_told(struct amend_conn *db, int64_t *lacks,
				       struct amend_error *err)
{
	const struct amend_told *told = db->ledger ? &db->ledger->told : NULL;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	*lacks = 0;
	if (!told || !told->revision)
		return AMEND_OK;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT id FROM ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " WHERE id = ");
	amend_sql_integer(&sql, told->revision);
	amend_sql_text(&sql, told->alone ? " AND xact = " : " AND mark = ");
	amend_sql_integer(&sql, told->mark);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 0)
		*lacks = told->revision;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* Without amend_atomic: the lost unit's hooks are still waiting for what this finds out. `late`: behind who installs the ledger. */
static enum amend_status look_once(struct amend_conn *db, int64_t until, struct search *search,
				   bool late, struct amend_error *err)
{
	int64_t left = until - amend_clock_ms();
	const struct amend_begin begin = {.lock_timeout_ms = left > 1 ? (int)left : 1};
	struct amend_error ignored;
	enum amend_status status = db->driver->begin(db->session, &begin, err);

	search->in = false;
	search->lacks = 0;
	if (status != AMEND_OK)
		return status;
	if (late)
		status = amend_ledger_await(db, err);
	if (status == AMEND_OK)
		status = search->look(db, search->context, &search->in, err);
	if (status == AMEND_OK && !search->in)
		status = look_for_told(db, &search->lacks, err);
	/* What is in may be in on this server alone: a COMMIT of ours, of nothing else, waits as that one should have. */
	if (status == AMEND_OK && search->in)
		status = confirm(db, err);
	if (status == AMEND_OK && search->in && db->driver->state(db->session) == AMEND_TX_ACTIVE)
		status = db->driver->commit(db->session, err);
	/* Should this fail, the connection is gone, and with it what was written. */
	(void)!db->driver->rollback(db->session, &ignored);
	return status;
}

/*
 * Where there is no ledger it would have come with the lost unit, which may be under way: what that one took in order to install
 * it is waited for. Where there is none after that, nothing is in.
 */
static enum amend_status look(struct amend_conn *db, int64_t until, struct search *search,
			      struct amend_error *err)
{
	enum amend_status status = look_once(db, until, search, false, err);

	if (status == AMEND_NOT_FOUND && amend_has(db, AMEND_HAS_DDL_ROLLBACK))
		status = look_once(db, until, search, true, err);
	if (status != AMEND_NOT_FOUND)
		return status;
	search->lacks = db->ledger ? db->ledger->told.revision : 0;
	return AMEND_OK;
}

/* Why it stays unknown, behind what is known of it. */
static enum amend_status in_vain(struct amend_error *err, const struct amend_error *why)
{
	size_t size = strlen(err->text);

	if (*why->text)
		snprintf(err->text + size, sizeof(err->text) - size, "; looked for in vain: %s",
			 why->text);
	return err->status;
}

/* That nothing of it is in does not always mean that it may be done again. */
static enum amend_status found_out(struct amend_conn *db, const struct search *search,
				   struct amend_error *err)
{
	if (search->in)
		return AMEND_OK;
	if (search->lacks)
		return amend_error_set(
			err, AMEND_UNREACHABLE,
			"the connection broke during COMMIT, and nothing of it is in, nor is "
			"revision %lld, which had been committed before: this server has lost "
			"it, or somebody has deleted it",
			(long long)search->lacks);
	if (db->bare)
		return amend_error_set(
			err, AMEND_UNREACHABLE,
			"the connection broke during COMMIT, and nothing of it is in; " AMEND_BARE);
	return amend_error_set(err, AMEND_RETRY,
			       "the connection broke during COMMIT, and nothing of it is in");
}

enum amend_status amend_fate_find_out(struct amend_conn *db, int64_t until,
				      amend_fate_look_fn look_fn, void *context,
				      struct amend_error *err)
{
	struct amend_error why = {.text = ""};
	struct search search = {.look = look_fn, .context = context};
	enum amend_status status;
	bool lost = db->driver->state(db->session) != AMEND_TX_IDLE;
	unsigned anew = db->anew;

	if (amend_settings_lead_away(db)) {
		amend_error_set(&why, AMEND_UNREACHABLE,
				"the program had turned its session to another database");
		return in_vain(err, &why);
	}
	do {
		status = lost ? amend_reconnect(db, until, &why) : AMEND_OK;
		if (status == AMEND_OK)
			status = look(db, until, &search, &why);
		if (status == AMEND_OK)
			break;
		if (status != AMEND_INTERRUPTED)
			amend_clock_sleep_ms(20);
		lost = db->driver->state(db->session) == AMEND_TX_LOST;
	} while (status != AMEND_INTERRUPTED && amend_clock_ms() < until);
	/* Numbers may have begun again below it. */
	if (db->ledger)
		db->ledger->latest = 0;
	if (db->ledger && search.lacks)
		db->ledger->told.revision = 0;
	/* It may have been unanswered on a connection that is well. */
	if (status == AMEND_OK && search.in && db->anew != anew)
		amend_settings_gone(db);
	return status == AMEND_OK ? found_out(db, &search, err) : in_vain(err, &why);
}

struct unit {
	int64_t revision, mark;
};

/* A server that crashed gives the number out again, and then it is another's: the mark tells. */
static enum amend_status look_whose(struct amend_conn *db, const struct unit *unit, bool *in,
				    struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT id FROM ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " WHERE id = ");
	amend_sql_integer(&sql, unit->revision);
	amend_sql_text(&sql, " AND mark = ");
	amend_sql_integer(&sql, unit->mark);
	status = amend_exec(db, &sql, &rows, err);
	*in = status == AMEND_OK && rows.n_rows == 1;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status look_for_revision(struct amend_conn *db, void *context, bool *in,
					   struct amend_error *err)
{
	const struct unit *unit = context;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " (id, at, who, why, program) VALUES (");
	amend_sql_integer(&sql, unit->revision);
	amend_sql_text(&sql, ", ");
	amend_sql_text(&sql, db->dialect->now);
	amend_sql_text(&sql, ", '', '', '')");
	amend_sql_unless_there(&sql, "id");
	status = amend_exec(db, &sql, &rows, err);
	*in = status == AMEND_OK && rows.changes == 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return *in ? look_whose(db, unit, in, err) : status;
}

enum amend_status amend_revision_fate(struct amend_conn *db, void *context, struct amend_error *err)
{
	int64_t id = db->ledger ? db->ledger->revision : 0, run = db->ledger ? db->ledger->run : 0;
	struct unit unit = {id, db->ledger ? db->ledger->unit_mark : 0};
	enum amend_status status = err->status;

	(void)context;
	if (db->ledger)
		db->ledger->mark_sent = false;
	if (id == 0)
		return status;
	if (amend_may_reconnect(db))
		status = amend_fate_find_out(db, amend_clock_ms() + db->options.resolve_ms,
					     look_for_revision, &unit, err);
	if (status != AMEND_OUTCOME_UNKNOWN)
		return status;
	if (run)
		return amend_error_wrap(err, "run %lld, revision %lld", (long long)run,
					(long long)id);
	return amend_error_wrap(err, "revision %lld", (long long)id);
}

/* ---- by a mark ---- */

struct marked {
	const struct amend_mark *mark;
	int64_t revision;
};

/* Nobody has claimed its number, so to write it once more would wait for nothing: its process must be gone. */
static enum amend_status look_for_mark(struct amend_conn *db, void *context, bool *in,
				       struct amend_error *err)
{
	struct marked *marked = context;
	const struct amend_value peers[] = {amend_integer(marked->mark->peer),
					    amend_integer(db->driver->peer(db->session))};
	const struct amend_statement there = {
		.sql = db->dialect->peer_there, .values = peers, .n_values = 2};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status = amend_exec_many(db, &there, 1, &rows, NULL, err);
	int64_t there_still = 1;
	bool gone = status == AMEND_OK && rows.n_rows == 1 &&
		    amend_value_number(amend_rows_at(&rows, 0, 0), &there_still) &&
		    there_still == 0;

	amend_rows_release(&rows);
	if (status != AMEND_OK)
		return status;
	if (!gone)
		return amend_error_set(err, AMEND_LOCKED, "the server may still be at it");
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT id FROM ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " WHERE id > ");
	amend_sql_integer(&sql, db->ledger->latest);
	amend_sql_text(&sql, " AND xact = ");
	amend_sql_integer(&sql, marked->mark->number);
	status = amend_exec(db, &sql, &rows, err);
	*in = status == AMEND_OK && rows.n_rows > 0 &&
	      amend_value_number(amend_rows_at(&rows, 0, 0), &marked->revision);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_mark_fate(struct amend_conn *db, const struct amend_mark *mark,
				  int64_t *revision, struct amend_error *err)
{
	struct marked marked = {.mark = mark};
	enum amend_status status;

	if (!mark->number || !mark->peer || !db->ledger || !db->ledger->mark_sent)
		return err->status;
	status = amend_fate_find_out(db, amend_clock_ms() + db->options.resolve_ms, look_for_mark,
				     &marked, err);
	*revision = marked.revision;
	if (status == AMEND_OK)
		db->ledger->told = (struct amend_told){marked.revision, mark->number, true};
	return status;
}

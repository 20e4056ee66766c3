/*
 * Running statements: one by one, or many in a pipeline.
 * Leaves their names on the server to postgres_names.c, values to postgres_value.c and the meaning of errors to postgres_error.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sql/driver/postgres.h"

enum {
	SLICE_BYTES = 1 << 20, /* of values sent before results are waited for */
	SLICE_STATEMENTS = 4096,
	MOST_VALUES = 65535, /* the protocol counts them in 16 bits */
};

bool amend_postgres_lost(const struct amend_session *session)
{
	return session->broken || PQstatus(session->conn) != CONNECTION_OK;
}

enum amend_tx amend_postgres_state(const struct amend_session *session)
{
	if (amend_postgres_lost(session))
		return AMEND_TX_LOST;
	switch (PQtransactionStatus(session->conn)) {
	case PQTRANS_IDLE:
		return AMEND_TX_IDLE;
	case PQTRANS_ACTIVE:
	case PQTRANS_INTRANS:
		return AMEND_TX_ACTIVE;
	case PQTRANS_INERROR:
		return AMEND_TX_FAILED;
	case PQTRANS_UNKNOWN:
		break;
	}
	return AMEND_TX_LOST;
}

/* --- interrupt ---------------------------------------------------------- */

/* A request to cancel that is still on its way was for what ran before: let it arrive first. */
void amend_postgres_enter(struct amend_session *session)
{
	while (atomic_load(&session->cancelling) > 0)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	atomic_store(&session->busy, true);
}

void amend_postgres_leave(struct amend_session *session)
{
	atomic_store(&session->busy, false);
}

/* --- sending ------------------------------------------------------------ */

enum step_kind { STEP_EVICT, STEP_PREPARE, STEP_RUN };

struct step {
	enum step_kind kind;
	size_t statement;
	struct amend_postgres_prepared *entry;
	unsigned number; /* of the entry, which may meanwhile be another's */
};

/* One slice: what was sent, and what came of it. */
struct slice {
	const struct amend_statement *statements;
	size_t n; /* statements sent */
	struct amend_rows *rows;
	struct amend_arena arena;
	struct step *steps;
	size_t n_steps;
	size_t failed; /* the first statement that failed; n: none */
	bool renew;    /* ..because its name or plan was gone */
	bool untold;   /* ..because there is no memory for what it returned: it has run */
	enum amend_status status;
};

static bool send_statement(struct amend_session *session, struct slice *slice,
			   const struct amend_statement *statement,
			   const struct amend_postgres_prepared *entry, size_t *bytes)
{
	struct amend_postgres_params params;
	int n = (int)statement->n_values;

	if (!amend_postgres_params(&slice->arena, statement, &params))
		return false;
	*bytes += params.bytes + strlen(statement->sql);
	if (!entry)
		return PQsendQueryParams(session->conn, statement->sql, n, NULL, params.values,
					 params.lengths, params.formats, 0) == 1;
	return PQsendQueryPrepared(session->conn, entry->name, n, params.values, params.lengths,
				   params.formats, 0) == 1;
}

static bool send_step(struct amend_session *session, struct slice *slice, enum step_kind kind,
		      const struct amend_postgres_plan *plan, size_t *bytes)
{
	const struct amend_statement *statement = &slice->statements[slice->n];
	struct step *step = &slice->steps[slice->n_steps];
	char text[64];
	bool sent = false;

	*step = (struct step){
		.kind = kind,
		.statement = slice->n,
		.entry = plan->entry,
		.number = plan->entry ? plan->entry->number : 0,
	};
	switch (kind) {
	case STEP_EVICT:
		snprintf(text, sizeof(text), "DEALLOCATE amend_%u", plan->evict);
		sent = PQsendQueryParams(session->conn, text, 0, NULL, NULL, NULL, NULL, 0) == 1;
		break;
	case STEP_PREPARE:
		sent = PQsendPrepare(session->conn, plan->entry->name, statement->sql, 0, NULL) == 1;
		break;
	case STEP_RUN:
		sent = send_statement(session, slice, statement, plan->entry, bytes);
		break;
	}
	if (sent)
		slice->n_steps++;
	return sent;
}

static bool send_plan(struct amend_session *session, struct slice *slice,
		      const struct amend_postgres_plan *plan, size_t *bytes)
{
	bool sent = true;

	if (plan->evict)
		sent = send_step(session, slice, STEP_EVICT, plan, bytes);
	if (sent && plan->prepare)
		sent = send_step(session, slice, STEP_PREPARE, plan, bytes);
	if (sent)
		sent = send_step(session, slice, STEP_RUN, plan, bytes);
	if (!sent && plan->prepare)
		plan->entry->prepared = false;
	slice->n += sent;
	return sent;
}

/* --- receiving ---------------------------------------------------------- */

/*
 * Writes and reads in turn until a result can be had: a server that cannot get
 * its answers rid stops reading, so waiting for one direction alone may never end.
 */
static void settle(PGconn *conn)
{
	for (;;) {
		int unsent = PQflush(conn);
		struct pollfd wait = {.fd = PQsocket(conn), .events = POLLIN};

		if (unsent < 0 || wait.fd < 0 || !PQisBusy(conn))
			return;
		if (unsent > 0)
			wait.events |= POLLOUT;
		if (poll(&wait, 1, -1) < 0 && errno != EINTR)
			return;
		if ((wait.revents & ~POLLOUT) != 0 && !PQconsumeInput(conn))
			return;
	}
}

static void fail_slice(struct amend_session *session, struct slice *slice, const struct step *step,
		       const PGresult *result, struct amend_error *err)
{
	if (slice->status != AMEND_OK)
		return; /* the first one counts */
	slice->failed = step->statement;
	slice->renew = (step->kind != STEP_RUN || step->entry) &&
		       amend_postgres_renew(session, step->entry, result);
	slice->status = amend_postgres_error(session, result, err);
}

/* What the statement did to the session itself. */
static void watch_tag(struct amend_session *session, PGresult *result)
{
	const char *tag = PQcmdStatus(result);

	if (strcmp(tag, "DISCARD ALL") == 0 || strcmp(tag, "DEALLOCATE ALL") == 0)
		amend_postgres_forget(session);
	if (strcmp(tag, "DISCARD ALL") == 0 || strcmp(tag, "RESET") == 0 || strcmp(tag, "SET") == 0)
		session->stale_pins = true;
}

/* Takes `result` over. */
static void take_result(struct amend_session *session, struct slice *slice, const struct step *step,
			PGresult *result, struct amend_error *err)
{
	switch (PQresultStatus(result)) {
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
	case PGRES_EMPTY_QUERY:
		watch_tag(session, result);
		if (step->kind == STEP_RUN && slice->rows && slice->status == AMEND_OK) {
			struct amend_rows *rows = &slice->rows[step->statement];

			if (amend_postgres_rows(result, rows, err) != AMEND_OK) {
				slice->status = AMEND_NO_MEMORY;
				slice->failed = step->statement;
				slice->untold = true;
			}
			return;
		}
		break;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		/* In a pipeline there is no way out of it; next_slice() sees to it that it stands alone. */
		session->broken = PQpipelineStatus(session->conn) != PQ_PIPELINE_OFF;
		if (slice->status == AMEND_OK) {
			slice->failed = step->statement;
			slice->status = amend_postgres_fail(
				err, AMEND_UNSUPPORTED, "0A000",
				"COPY from or to the client cannot be run as a statement");
		}
		break;
	default:
		if (step->kind == STEP_PREPARE && step->entry->number == step->number)
			step->entry->prepared = false;
		if (PQresultStatus(result) != PGRES_PIPELINE_ABORTED)
			fail_slice(session, slice, step, result, err);
		break;
	}
	PQclear(result);
}

static void no_answer(struct amend_session *session, struct slice *slice, size_t statement,
		      struct amend_error *err)
{
	session->broken = true;
	if (slice->status != AMEND_OK)
		return;
	slice->failed = statement;
	slice->status = amend_postgres_error(session, NULL, err);
}

static void receive_slice(struct amend_session *session, struct slice *slice,
			  struct amend_error *err)
{
	PGconn *conn = session->conn;
	PGresult *result;

	for (size_t i = 0; i < slice->n_steps; i++) {
		const struct step *step = &slice->steps[i];

		settle(conn);
		result = PQgetResult(conn);
		if (!result) {
			no_answer(session, slice, step->statement, err);
			return;
		}
		take_result(session, slice, step, result, err);
		if (amend_postgres_lost(session))
			return;
		/* A NULL ends each statement's results. A FATAL one may come in between. */
		while (settle(conn), (result = PQgetResult(conn)) != NULL) {
			take_result(session, slice, step, result, err);
			if (amend_postgres_lost(session))
				return;
		}
	}
	settle(conn);
	result = PQgetResult(conn);
	if (!result || PQresultStatus(result) != PGRES_PIPELINE_SYNC)
		no_answer(session, slice, slice->n, err);
	PQclear(result);
}

/* --- one slice ---------------------------------------------------------- */

static void pipeline(struct amend_session *session, struct slice *slice, size_t n,
		     const struct amend_postgres_plan *first, struct amend_error *err)
{
	PGconn *conn = session->conn;
	int nonblocking = PQisnonblocking(conn);
	size_t bytes = 0;
	bool sent = PQsetnonblocking(conn, 1) == 0 && PQenterPipelineMode(conn) == 1;

	while (sent && slice->n < n && slice->n_steps < SLICE_STATEMENTS && bytes < SLICE_BYTES) {
		struct amend_postgres_plan plan =
			slice->n == 0 ? *first
				      : amend_postgres_plan(session, &slice->statements[slice->n]);

		sent = send_plan(session, slice, &plan, &bytes);
	}
	slice->failed = slice->n;
	if (sent || slice->n_steps > 0) {
		if (PQpipelineSync(conn) == 1)
			receive_slice(session, slice, err);
		else
			no_answer(session, slice, 0, err);
	}
	if (!sent && slice->status == AMEND_OK) {
		slice->failed = slice->n;
		slice->status = amend_postgres_lost(session)
					? amend_postgres_error(session, NULL, err)
					: amend_no_memory(err);
	}
	if (PQpipelineStatus(conn) != PQ_PIPELINE_OFF && PQexitPipelineMode(conn) != 1)
		session->broken = true;
	PQsetnonblocking(conn, nonblocking);
}

/* Ends a COPY that the statement turned out to be, so that the connection stays usable. */
static void end_copy(PGconn *conn, ExecStatusType kind)
{
	char *line = NULL;

	if (kind == PGRES_COPY_IN || kind == PGRES_COPY_BOTH)
		PQputCopyEnd(conn, "amend does not copy");
	if (kind == PGRES_COPY_OUT || kind == PGRES_COPY_BOTH) {
		while (PQgetCopyData(conn, &line, 0) > 0)
			PQfreemem(line);
	}
}

static void direct(struct amend_session *session, struct slice *slice,
		   const struct amend_postgres_plan *plan, struct amend_error *err)
{
	PGconn *conn = session->conn;
	size_t bytes = 0;
	PGresult *result;

	if (!send_plan(session, slice, plan, &bytes)) {
		slice->status = amend_postgres_lost(session)
					? amend_postgres_error(session, NULL, err)
					: amend_no_memory(err);
		return;
	}
	slice->failed = slice->n;
	while ((result = PQgetResult(conn)) != NULL) {
		ExecStatusType kind = PQresultStatus(result);

		take_result(session, slice, &slice->steps[0], result, err);
		end_copy(conn, kind);
	}
}

/* Runs as many of the `n` statements as make one round trip; `together` or in a transaction more than one. */
static void run_slice(struct amend_session *session, struct slice *slice, size_t n,
		      struct amend_error *err)
{
	struct amend_postgres_plan first = amend_postgres_plan(session, &slice->statements[0]);

	slice->steps = amend_arena_array(&slice->arena,
					 3 * (n < SLICE_STATEMENTS ? n : SLICE_STATEMENTS) + 3,
					 sizeof(*slice->steps));
	if (!slice->steps) {
		if (first.prepare)
			first.entry->prepared = false;
		slice->status = amend_no_memory(err);
		return;
	}
	amend_postgres_enter(session);
	if (n == 1 && !first.evict && !first.prepare)
		direct(session, slice, &first, err);
	else
		pipeline(session, slice, n, &first, err);
	amend_postgres_leave(session);
}

/* --- the whole ---------------------------------------------------------- */

enum amend_status amend_postgres_check_values(const struct amend_statement *statement,
					      struct amend_error *err)
{
	if (statement->n_values > MOST_VALUES)
		return amend_error_set(err, AMEND_INVALID,
				       "a statement has %zu values; PostgreSQL takes at most %d",
				       statement->n_values, MOST_VALUES);
	for (size_t i = 0; i < statement->n_values; i++) {
		const struct amend_value *value = &statement->values[i];

		if (value->kind == AMEND_TEXT && value->size > 0 &&
		    memchr(value->as.text, '\0', value->size)) {
			amend_error_set(err, AMEND_INVALID,
					"value %zu holds a NUL byte, which PostgreSQL cannot store "
					"in text",
					i + 1);
			snprintf(err->sqlstate, sizeof(err->sqlstate), "%s",
				 AMEND_SQLSTATE_BAD_ENCODING);
			return err->status;
		}
	}
	return AMEND_OK;
}

/* Whether it commits, or may. */
static bool commits(const struct amend_statement *statement, enum amend_tx before)
{
	static const char *const ends[] = {"COMMIT", "END", "PREPARE", NULL};
	static const char *const reads[] = {"SELECT", "VALUES", "TABLE", "SHOW",  "EXPLAIN",
					    "BEGIN",  "START",  "SET",   "RESET", NULL};

	return before == AMEND_TX_ACTIVE
		       ? amend_postgres_begins(statement->sql, ends)
		       : before == AMEND_TX_IDLE && !amend_postgres_begins(statement->sql, reads);
}

/*
 * A connection that broke while a COMMIT was under way, or outside a
 * transaction a statement that commits by itself: it is in, or it is not.
 */
void amend_postgres_judge_loss(const struct amend_session *session,
			       const struct amend_statement *statement, enum amend_tx before,
			       struct amend_error *err)
{
	if (!amend_postgres_lost(session) || err->status != AMEND_UNREACHABLE ||
	    !commits(statement, before))
		return;
	err->status = AMEND_OUTCOME_UNKNOWN;
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", AMEND_SQLSTATE_UNKNOWN);
	amend_error_wrap(err, "the connection broke while a change was being committed");
}

/* Who is told that there was no memory does it again. */
static void judge_untold(const struct amend_statement *statement, enum amend_tx before,
			 struct amend_error *err)
{
	if (!commits(statement, before))
		return;
	err->status = AMEND_OUTCOME_UNKNOWN;
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", AMEND_SQLSTATE_UNKNOWN);
	amend_error_wrap(err, "what it changed may be in, and what it returned cannot be told");
}

static enum amend_status lost(struct amend_error *err)
{
	return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
				   "the connection to the server is gone");
}

/* How many may go together. Outside a transaction a pipeline could not stop at the first that fails. */
static size_t next_slice(const struct amend_statement *statements, size_t n, bool alone)
{
	static const char *const copy[] = {"COPY", NULL};
	size_t end = 1;

	if (alone || amend_postgres_begins(statements[0].sql, copy))
		return 1;
	while (end < n && end < SLICE_STATEMENTS &&
	       !amend_postgres_begins(statements[end].sql, copy))
		end++;
	return end;
}

enum amend_status amend_postgres_ready(struct amend_session *session, struct amend_error *err)
{
	if (amend_postgres_state(session) == AMEND_TX_LOST)
		return lost(err);
	if (PQtransactionStatus(session->conn) == PQTRANS_ACTIVE ||
	    PQpipelineStatus(session->conn) != PQ_PIPELINE_OFF)
		return amend_error_set(err, AMEND_INVALID,
				       "the application has left a statement or pipeline under way "
				       "on its connection");
	if (!session->adopted && amend_postgres_state(session) == AMEND_TX_IDLE &&
	    !amend_postgres_pins_stand(session))
		return amend_postgres_pin_opened(session, err);
	return AMEND_OK;
}

enum amend_status amend_postgres_run(struct amend_session *session,
				     const struct amend_statement *statements, size_t n,
				     struct amend_rows *rows, size_t *failed, bool together,
				     struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	size_t at = 0;

	for (size_t i = 0; rows && i < n; i++)
		rows[i] = (struct amend_rows)AMEND_ROWS_INIT;
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		status = amend_postgres_check_values(&statements[i], err);
		at = i;
	}
	if (status == AMEND_OK) {
		at = 0;
		status = amend_postgres_ready(session, err);
	}
	while (at < n && status == AMEND_OK) {
		enum amend_tx before = amend_postgres_state(session);
		struct slice slice = {
			.statements = statements + at,
			.rows = rows ? rows + at : NULL,
			.arena = AMEND_ARENA_INIT,
		};

		session->unconfirmed = false;
		run_slice(session, &slice,
			  next_slice(statements + at, n - at, before == AMEND_TX_IDLE && !together),
			  err);
		amend_arena_release(&slice.arena);
		at += slice.status == AMEND_OK ? slice.n : slice.failed;
		status = slice.status;
		if (status != AMEND_OK && slice.renew && before == AMEND_TX_IDLE && !together) {
			status = AMEND_OK; /* nothing happened: again, with a new plan */
		} else if (status != AMEND_OK && slice.renew) {
			err->status = status = AMEND_RETRY;
			amend_error_wrap(err, "a prepared statement went out of date");
		} else if (status != AMEND_OK && at < n) {
			if (slice.untold && !together)
				judge_untold(&statements[at], before, err);
			else
				amend_postgres_judge_loss(session, &statements[at], before, err);
			status = err->status;
		} else if (status == AMEND_OK) {
			status = amend_postgres_confirmed(session, err);
		}
	}
	if (failed)
		*failed = status == AMEND_OK ? n : at;
	return status;
}

enum amend_status amend_postgres_exec_last(struct amend_session *session, const char *sql,
					   PGresult **last, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	PGresult *result = NULL, *kept = NULL;

	if (last)
		*last = NULL;
	if (amend_postgres_lost(session))
		return lost(err);
	amend_postgres_enter(session);
	if (PQsendQuery(session->conn, sql) != 1)
		status = amend_postgres_error(session, NULL, err);
	while ((result = PQgetResult(session->conn)) != NULL) {
		if (PQresultStatus(result) != PGRES_COMMAND_OK &&
		    PQresultStatus(result) != PGRES_TUPLES_OK && status == AMEND_OK)
			status = amend_postgres_error(session, result, err);
		PQclear(kept);
		kept = result;
	}
	amend_postgres_leave(session);
	if (last && status == AMEND_OK)
		*last = kept;
	else
		PQclear(kept);
	return status;
}

enum amend_status amend_postgres_exec(struct amend_session *session, const char *sql, char *tag,
				      struct amend_error *err)
{
	PGresult *last = NULL;
	enum amend_status status = amend_postgres_exec_last(session, sql, &last, err);

	if (tag && last)
		snprintf(tag, 32, "%s", PQcmdStatus(last));
	PQclear(last);
	return status;
}

/*
 * The tracing driver: hooks, counters, faults around an open session.
 * Leaves every real operation to the driver inside.
 */
#include "sql/driver/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "sql/sqlstate.h"

struct amend_session {
	struct amend_driver driver; /* the inner table, our functions in it */
	struct amend_dialect dialect;
	const struct amend_driver *inner;
	struct amend_session *session;
	struct amend_trace *trace; /* the caller's, or `own` */
	struct amend_trace own;
	bool cut;     /* by a fault: the connection counts as gone */
	bool aborted; /* by a fault: the transaction accepts only its undoing */
};

const char *amend_trace_op_name(enum amend_trace_op op)
{
	switch (op) {
	case AMEND_TRACE_RUN:
		return "run";
	case AMEND_TRACE_SCAN:
		return "scan";
	case AMEND_TRACE_REPEAT:
		return "repeat";
	case AMEND_TRACE_LOAD:
		return "load";
	case AMEND_TRACE_DATA_VERSION:
		return "data version";
	case AMEND_TRACE_BEGIN:
		return "begin";
	case AMEND_TRACE_COMMIT:
		return "commit";
	case AMEND_TRACE_ROLLBACK:
		return "rollback";
	case AMEND_TRACE_SET_LOCK_TIMEOUT:
		return "set lock timeout";
	case AMEND_TRACE_BECOME_WRITER:
		return "become writer";
	case AMEND_TRACE_PIN:
		return "pin";
	case AMEND_TRACE_UNPIN:
		return "unpin";
	case AMEND_TRACE_DESCRIBE:
		return "describe";
	case AMEND_TRACE_CANONICALISE:
		return "canonicalise";
	case AMEND_TRACE_CHECK:
		return "check";
	case AMEND_TRACE_RECONNECT:
		return "reconnect";
	case AMEND_TRACE_ANY:
		return "any";
	case AMEND_TRACE_STATEMENT:
		return "statement";
	}
	return "?";
}

static const char *usual_sqlstate(enum amend_status status)
{
	switch (status) {
	case AMEND_RETRY:
		return AMEND_SQLSTATE_SERIALIZATION;
	case AMEND_LOCKED:
		return AMEND_SQLSTATE_LOCKED;
	case AMEND_CONSTRAINT:
		return AMEND_SQLSTATE_CHECK;
	case AMEND_EXISTS:
		return AMEND_SQLSTATE_UNIQUE;
	case AMEND_INVALID:
		return AMEND_SQLSTATE_DATA;
	case AMEND_NOT_FOUND:
		return AMEND_SQLSTATE_NO_TABLE;
	case AMEND_OUTCOME_UNKNOWN:
		return AMEND_SQLSTATE_UNKNOWN;
	case AMEND_UNREACHABLE:
		return AMEND_SQLSTATE_LOST;
	case AMEND_DENIED:
		return AMEND_SQLSTATE_DENIED;
	case AMEND_INTERRUPTED:
		return AMEND_SQLSTATE_INTERRUPTED;
	case AMEND_INTERNAL:
		return AMEND_SQLSTATE_DISK_FULL;
	case AMEND_OK:
	case AMEND_STALE:
	case AMEND_CONFLICT:
	case AMEND_UNSUPPORTED:
	case AMEND_NO_MEMORY:
		break;
	}
	return "";
}

static enum amend_status error_with_state(struct amend_error *err, enum amend_status status,
					  const char *sqlstate, const char *text)
{
	amend_error_set(err, status, "%s", text);
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
	return status;
}

/* --- Hooks and counters --- */

static void log_text(const struct amend_trace *trace, const char *text)
{
	if (trace->statement)
		trace->statement(trace->context, text);
}

static void enter(struct amend_session *self, struct amend_trace_event *event)
{
	struct amend_trace *trace = self->trace;

	event->index = trace->operations++;
	trace->by_op[event->op]++;
	trace->statements += event->n_statements;
	if (trace->before)
		trace->before(trace->context, event);
	switch (event->op) {
	case AMEND_TRACE_RUN:
	case AMEND_TRACE_SCAN:
	case AMEND_TRACE_REPEAT:
		for (size_t i = 0; i < event->n_statements; i++)
			log_text(trace, event->statements[i].sql);
		break;
	case AMEND_TRACE_BEGIN:
		log_text(trace, "BEGIN");
		break;
	case AMEND_TRACE_COMMIT:
		log_text(trace, "COMMIT");
		break;
	case AMEND_TRACE_ROLLBACK:
		log_text(trace, "ROLLBACK");
		break;
	case AMEND_TRACE_SET_LOCK_TIMEOUT:
		log_text(trace, "-- set lock timeout");
		break;
	case AMEND_TRACE_BECOME_WRITER:
		log_text(trace, "-- become writer");
		break;
	case AMEND_TRACE_PIN:
		log_text(trace, "-- pin");
		break;
	case AMEND_TRACE_UNPIN:
		log_text(trace, "-- unpin");
		break;
	case AMEND_TRACE_CANONICALISE:
		log_text(trace, "-- canonicalise");
		break;
	case AMEND_TRACE_LOAD:
		log_text(trace, "-- load");
		break;
	case AMEND_TRACE_DATA_VERSION:
		log_text(trace, "-- data version");
		break;
	case AMEND_TRACE_CHECK:
		log_text(trace, "-- check");
		break;
	case AMEND_TRACE_RECONNECT:
		log_text(trace, "-- reconnect");
		break;
	case AMEND_TRACE_DESCRIBE: /* names what it describes: by itself */
	case AMEND_TRACE_ANY:
	case AMEND_TRACE_STATEMENT:
		break;
	}
}

static enum amend_status leave(struct amend_session *self, struct amend_trace_event *event,
			       enum amend_status status, const struct amend_error *err)
{
	struct amend_trace *trace = self->trace;

	event->error = status == AMEND_OK ? NULL : err;
	if (trace->after)
		trace->after(trace->context, event);
	return status;
}

/* --- Faults --- */

/* Whether the armed fault is for this; counts it. */
static bool strikes(struct amend_trace_fault *fault, enum amend_trace_op op, const char *sql)
{
	unsigned nth = fault->nth ? fault->nth : 1;

	if (fault->status == AMEND_OK || fault->fired)
		return false;
	if (fault->op != op && !(fault->op == AMEND_TRACE_ANY && op != AMEND_TRACE_STATEMENT))
		return false;
	if (fault->sql && (!sql || !strstr(sql, fault->sql)))
		return false;
	fault->fired = ++fault->seen == nth;
	return fault->fired;
}

static enum amend_trace_aftermath aftermath_of(const struct amend_session *self,
					       enum amend_trace_op op)
{
	const struct amend_trace_fault *fault = &self->trace->fault;

	if (fault->aftermath != AMEND_TRACE_NATURAL)
		return fault->aftermath;
	if (fault->status == AMEND_UNREACHABLE || fault->status == AMEND_OUTCOME_UNKNOWN)
		return AMEND_TRACE_CUT;
	if (op == AMEND_TRACE_COMMIT)
		return AMEND_TRACE_UNDONE;
	if (self->inner->state(self->session) == AMEND_TX_IDLE)
		return AMEND_TRACE_AS_IS;
	return AMEND_TRACE_ABORTED;
}

/* Rolls back inside, as the engine would when it undoes or loses a transaction. */
static void undo(struct amend_session *self)
{
	struct amend_error ignored;

	if (self->inner->rollback(self->session, &ignored) != AMEND_OK)
		return; /* then it is undone already, or lost in earnest */
}

static enum amend_status fail(struct amend_session *self, enum amend_trace_op op,
			      struct amend_error *err)
{
	const struct amend_trace_fault *fault = &self->trace->fault;

	switch (aftermath_of(self, op)) {
	case AMEND_TRACE_CUT:
		undo(self);
		self->cut = true;
		break;
	case AMEND_TRACE_UNDONE:
		undo(self);
		break;
	case AMEND_TRACE_ABORTED:
		self->aborted = true;
		break;
	case AMEND_TRACE_AS_IS:
	case AMEND_TRACE_NATURAL:
		break;
	}
	amend_error_set(err, fault->status, "injected failure in %s", amend_trace_op_name(op));
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s",
		 fault->sqlstate ? fault->sqlstate : usual_sqlstate(fault->status));
	return fault->status;
}

/* Before an operation: what an earlier fault left of the session. */
static enum amend_status usable(const struct amend_session *self, struct amend_error *err)
{
	if (self->cut)
		return error_with_state(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					"the connection was cut by an injected failure");
	if (self->aborted)
		return error_with_state(err, AMEND_INVALID, "25P02",
					"the transaction was aborted by an injected failure: it "
					"accepts nothing but its undoing");
	return AMEND_OK;
}

/* --- Operations --- */

/*
 * The frame of every operation but RUN, SCAN and REPEAT: the inner driver is called unless a
 * fault strikes before it; one that strikes after it takes its answer's place.
 */
#define AROUND(self, op_, err, call)                                                        \
	do {                                                                                \
		struct amend_trace_event event_ = {.op = (op_)};                            \
		enum amend_status status_;                                                  \
		bool struck_;                                                               \
                                                                                            \
		enter(self, &event_);                                                       \
		status_ = usable(self, err);                                                \
		struck_ = status_ == AMEND_OK && strikes(&(self)->trace->fault, op_, NULL); \
		if (status_ == AMEND_OK && (!struck_ || (self)->trace->fault.after))        \
			status_ = (call);                                                   \
		if (struck_ && status_ == AMEND_OK)                                         \
			status_ = fail(self, op_, err);                                     \
		return leave(self, &event_, status_, err);                                  \
	} while (0)

/* What a fault has cut is mended by it. */
static enum amend_status trace_reconnect(struct amend_session *self, int limit_ms,
					 bool (*stop)(const void *context), const void *context,
					 struct amend_error *err)
{
	struct amend_trace_event event = {.op = AMEND_TRACE_RECONNECT};
	enum amend_status status;

	enter(self, &event);
	if (strikes(&self->trace->fault, AMEND_TRACE_RECONNECT, NULL))
		return leave(self, &event, fail(self, AMEND_TRACE_RECONNECT, err), err);
	status = self->inner->reconnect(self->session, limit_ms, stop, context, err);
	if (status == AMEND_OK)
		self->cut = self->aborted = false;
	return leave(self, &event, status, err);
}

static int64_t trace_peer(const struct amend_session *self)
{
	return self->inner->peer(self->session);
}

static enum amend_status trace_pin(struct amend_session *self, struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_PIN, err, self->inner->pin(self->session, err));
}

static enum amend_status trace_unpin(struct amend_session *self, struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_UNPIN, err, self->inner->unpin(self->session, err));
}

static enum amend_status trace_begin(struct amend_session *self, const struct amend_begin *begin,
				     struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_BEGIN, err, self->inner->begin(self->session, begin, err));
}

static enum amend_status trace_set_lock_timeout(struct amend_session *self, int ms,
						struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_SET_LOCK_TIMEOUT, err,
	       self->inner->set_lock_timeout(self->session, ms, err));
}

static enum amend_status trace_become_writer(struct amend_session *self, struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_BECOME_WRITER, err, self->inner->become_writer(self->session, err));
}

static enum amend_status trace_canonicalise(struct amend_session *self, struct amend_canon *items,
					    size_t n, struct amend_arena *arena,
					    struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_CANONICALISE, err,
	       self->inner->canonicalise(self->session, items, n, arena, err));
}

static enum amend_status trace_check(struct amend_session *self,
				     void (*each)(void *context, enum amend_level level,
						  const char *topic, const char *text),
				     void *context, struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_CHECK, err, self->inner->check(self->session, each, context, err));
}

static enum amend_status trace_guard_parts(struct amend_session *self,
					   const struct amend_guard_spec *spec,
					   struct amend_arena *arena, struct amend_guard_part **out,
					   size_t *n, struct amend_error *err)
{
	return self->inner->guard_parts(self->session, spec, arena, out, n, err);
}

static enum amend_status trace_guard_found(struct amend_session *self,
					   const struct amend_table *table,
					   struct amend_arena *arena, struct amend_guard_found **out,
					   size_t *n, struct amend_error *err)
{
	return self->inner->guard_found(self->session, table, arena, out, n, err);
}

static enum amend_status trace_violations(struct amend_session *self, const struct amend_wish *wish,
					  struct amend_violations *list, struct amend_error *err)
{
	return self->inner->violations(self->session, wish, list, err);
}

static enum amend_status trace_describe(struct amend_session *self, const char *schema,
					const char *name, struct amend_arena *arena,
					struct amend_table *table, bool *visible,
					struct amend_error *err)
{
	if (self->trace->statement) {
		struct amend_buffer text = AMEND_BUFFER_INIT;

		amend_buffer_printf(&text, "-- describe %s%s%s", schema ? schema : "",
				    schema ? "." : "", name);
		log_text(self->trace, text.failed ? "-- describe" : amend_buffer_string(&text));
		amend_buffer_release(&text);
	}
	AROUND(self, AMEND_TRACE_DESCRIBE, err,
	       self->inner->describe(self->session, schema, name, arena, table, visible, err));
}

/* A transaction that a fault has aborted ends in an undoing, as PostgreSQL's COMMIT would. */
static enum amend_status trace_commit(struct amend_session *self, struct amend_error *err)
{
	if (self->aborted && !self->cut) {
		struct amend_trace_event event = {.op = AMEND_TRACE_COMMIT};

		enter(self, &event);
		undo(self);
		self->aborted = false;
		return leave(self, &event,
			     error_with_state(err, AMEND_INVALID, "25P02",
					      "commit of a transaction that had failed: it is "
					      "undone"),
			     err);
	}
	AROUND(self, AMEND_TRACE_COMMIT, err, self->inner->commit(self->session, err));
}

static enum amend_status trace_rollback(struct amend_session *self, struct amend_error *err)
{
	self->aborted = false;
	AROUND(self, AMEND_TRACE_ROLLBACK, err, self->inner->rollback(self->session, err));
}

static bool undoes(const char *sql)
{
	return strncmp(sql, "ROLLBACK", strlen("ROLLBACK")) == 0;
}

/* The first `n`, the last of which is struck: it fails before or after the engine has it. */
static enum amend_status run_struck(struct amend_session *self,
				    const struct amend_statement *statements, size_t n,
				    struct amend_rows *rows, size_t *failed, struct amend_error *err)
{
	size_t reach = self->trace->fault.after ? n : n - 1;
	enum amend_status status = AMEND_OK;

	*failed = reach;
	if (reach > 0)
		status = self->inner->run(self->session, statements, reach, rows, failed, err);
	if (status != AMEND_OK)
		return status;
	*failed = n - 1;
	if (rows && reach == n)
		amend_rows_release(&rows[n - 1]);
	return fail(self, AMEND_TRACE_RUN, err);
}

static enum amend_status run_inner(struct amend_session *self,
				   const struct amend_statement *statements, size_t n,
				   struct amend_rows *rows, size_t *failed, struct amend_error *err)
{
	struct amend_trace_fault *fault = &self->trace->fault;
	enum amend_status status;

	if (n > 0 && self->aborted && !self->cut && undoes(statements[0].sql))
		self->aborted = false;
	status = usable(self, err);
	if (status != AMEND_OK) {
		*failed = 0;
		return status;
	}
	for (size_t i = 0; i < n; i++) {
		if (strikes(fault, AMEND_TRACE_STATEMENT, statements[i].sql))
			return run_struck(self, statements, i + 1, rows, failed, err);
	}
	if (n > 0 && strikes(fault, AMEND_TRACE_RUN, statements[0].sql)) {
		if (fault->after) {
			status = self->inner->run(self->session, statements, n, rows, failed, err);
			for (size_t i = 0; rows && i < n; i++)
				amend_rows_release(&rows[i]);
			if (status != AMEND_OK)
				return status;
		}
		*failed = 0;
		return fail(self, AMEND_TRACE_RUN, err);
	}
	return self->inner->run(self->session, statements, n, rows, failed, err);
}

static enum amend_status trace_run(struct amend_session *self,
				   const struct amend_statement *statements, size_t n,
				   struct amend_rows *rows, size_t *failed, struct amend_error *err)
{
	struct amend_trace_event event = {
		.op = AMEND_TRACE_RUN, .statements = statements, .n_statements = n};

	for (size_t i = 0; rows && i < n; i++)
		rows[i] = (struct amend_rows)AMEND_ROWS_INIT;
	enter(self, &event);
	return leave(self, &event, run_inner(self, statements, n, rows, failed, err), err);
}

/* Of one statement: whether a fault is for it, or for what it is an operation of. */
static bool strikes_whole(struct amend_session *self, const struct amend_trace_event *event)
{
	struct amend_trace_fault *fault = &self->trace->fault;
	const char *sql = event->statements[0].sql;

	return strikes(fault, AMEND_TRACE_STATEMENT, sql) || strikes(fault, event->op, sql);
}

static enum amend_status trace_scan(struct amend_session *self,
				    const struct amend_statement *statement, amend_row_fn each,
				    void *context, struct amend_error *err)
{
	struct amend_trace_event event = {
		.op = AMEND_TRACE_SCAN, .statements = statement, .n_statements = 1};
	enum amend_status status;
	bool struck;

	enter(self, &event);
	status = usable(self, err);
	struck = status == AMEND_OK && strikes_whole(self, &event);
	if (status == AMEND_OK && (!struck || self->trace->fault.after))
		status = self->inner->scan(self->session, statement, each, context, err);
	if (struck && status == AMEND_OK)
		status = fail(self, AMEND_TRACE_SCAN, err);
	return leave(self, &event, status, err);
}

static enum amend_status trace_columns(struct amend_session *self, const char *sql,
				       amend_name_fn each, void *context, struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_DESCRIBE, err,
	       self->inner->columns(self->session, sql, each, context, err));
}

static enum amend_status trace_repeat(struct amend_session *self, struct amend_repeat *repeat,
				      struct amend_error *err)
{
	const struct amend_statement first = {
		.sql = repeat->sql, .values = repeat->values, .n_values = repeat->n_values};
	struct amend_trace_event event = {
		.op = AMEND_TRACE_REPEAT, .statements = &first, .n_statements = 1};
	enum amend_status status;
	bool struck;

	repeat->failed = 0;
	enter(self, &event);
	status = usable(self, err);
	struck = status == AMEND_OK && strikes_whole(self, &event);
	if (status == AMEND_OK && (!struck || self->trace->fault.after))
		status = self->inner->repeat(self->session, repeat, err);
	if (struck && status == AMEND_OK) {
		repeat->failed = 0;
		status = fail(self, AMEND_TRACE_REPEAT, err);
	}
	return leave(self, &event, status, err);
}

static enum amend_status trace_load(struct amend_session *self, const struct amend_load *load,
				    struct amend_error *err)
{
	const struct amend_statement into = {.sql = load->into};
	struct amend_trace_event event = {
		.op = AMEND_TRACE_LOAD, .statements = &into, .n_statements = 1};
	enum amend_status status;
	bool struck;

	enter(self, &event);
	status = usable(self, err);
	struck = status == AMEND_OK && strikes_whole(self, &event);
	if (status == AMEND_OK && (!struck || self->trace->fault.after))
		status = self->inner->load(self->session, load, err);
	if (struck && status == AMEND_OK)
		status = fail(self, AMEND_TRACE_LOAD, err);
	return leave(self, &event, status, err);
}

static enum amend_status trace_data_version(struct amend_session *self, int64_t *out,
					    struct amend_error *err)
{
	AROUND(self, AMEND_TRACE_DATA_VERSION, err,
	       self->inner->data_version(self->session, out, err));
}

/* Questions of the driver's own: not counted. */
static bool trace_enforces_keys(struct amend_session *self)
{
	return self->inner->enforces_keys(self->session);
}

static bool trace_reads_freely(struct amend_session *self, const char *schema)
{
	return self->inner->reads_freely(self->session, schema);
}

static enum amend_tx trace_state(const struct amend_session *self)
{
	if (self->cut)
		return AMEND_TX_LOST;
	if (self->aborted)
		return AMEND_TX_FAILED;
	return self->inner->state(self->session);
}

/* Nothing but the call: this may be a signal handler, or another thread. */
static void trace_interrupt(struct amend_session *self)
{
	self->inner->interrupt(self->session);
}

static void trace_close(struct amend_session *self)
{
	if (!self)
		return;
	self->inner->close(self->session);
	free(self);
}

/* --- Wrapping --- */

static void hide(struct amend_session *self, unsigned bits)
{
	struct amend_dialect *dialect = &self->dialect;

	self->driver.features &= ~bits;
	if (bits & AMEND_HAS_KEY_STRENGTHS)
		dialect->for_no_key_update = "";
	if (bits & AMEND_HAS_SHARE)
		dialect->for_share = "";
	if (bits & AMEND_HAS_TABLE_LOCK)
		dialect->lock_table_update = dialect->lock_table_share =
			dialect->lock_table_update_mode = dialect->lock_table_share_mode = "";
	if (bits & AMEND_HAS_ROW_VERSION)
		dialect->row_version = NULL, dialect->row_version_parts = NULL;
}

enum amend_status amend_trace_wrap(const struct amend_driver *driver, struct amend_session *session,
				   struct amend_trace *trace, const struct amend_driver **out_driver,
				   struct amend_session **out_session, struct amend_error *err)
{
	struct amend_session *self = calloc(1, sizeof(*self));

	if (!self)
		return amend_no_memory(err);
	self->inner = driver;
	self->session = session;
	self->trace = trace;
	self->dialect = *driver->dialect;
	self->driver = *driver; /* what takes no session stays the inner driver's */
	self->driver.dialect = &self->dialect;
	self->driver.accepts = NULL;
	self->driver.open = NULL;
	self->driver.adopt = NULL;
	self->driver.twin = NULL; /* nobody would see what it does */
	self->driver.reconnect = driver->reconnect ? trace_reconnect : NULL;
	self->driver.peer = driver->peer ? trace_peer : NULL;
	self->driver.close = trace_close;
	self->driver.pin = trace_pin;
	self->driver.unpin = trace_unpin;
	self->driver.run = trace_run;
	self->driver.scan = trace_scan;
	self->driver.columns = trace_columns;
	self->driver.repeat = driver->repeat ? trace_repeat : NULL;
	self->driver.load = driver->load ? trace_load : NULL;
	self->driver.data_version = driver->data_version ? trace_data_version : NULL;
	self->driver.reads_freely = driver->reads_freely ? trace_reads_freely : NULL;
	self->driver.enforces_keys = driver->enforces_keys ? trace_enforces_keys : NULL;
	self->driver.begin = trace_begin;
	self->driver.commit = trace_commit;
	self->driver.rollback = trace_rollback;
	self->driver.state = trace_state;
	self->driver.set_lock_timeout = trace_set_lock_timeout;
	self->driver.become_writer = driver->become_writer ? trace_become_writer : NULL;
	self->driver.describe = trace_describe;
	self->driver.guard_parts = driver->guard_parts ? trace_guard_parts : NULL;
	self->driver.guard_found = driver->guard_found ? trace_guard_found : NULL;
	self->driver.canonicalise = trace_canonicalise;
	self->driver.check = trace_check;
	self->driver.violations = driver->violations ? trace_violations : NULL;
	self->driver.interrupt = trace_interrupt;
	hide(self, trace->hide);
	*out_driver = &self->driver;
	*out_session = self;
	return AMEND_OK;
}

enum amend_status amend_trace_log(const struct amend_driver **driver, struct amend_session **session,
				  void (*statement)(void *context, const char *sql), void *context,
				  struct amend_error *err)
{
	struct amend_trace none = {.hide = 0};
	enum amend_status status;

	status = amend_trace_wrap(*driver, *session, &none, driver, session, err);
	if (status != AMEND_OK) {
		(*driver)->close(*session);
		return status;
	}
	(*session)->own = (struct amend_trace){.statement = statement, .context = context};
	(*session)->trace = &(*session)->own;
	return AMEND_OK;
}

struct amend_session *amend_trace_inner(struct amend_session *session)
{
	return session->session;
}

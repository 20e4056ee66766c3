/*
 * Units that are done once under an id, for the layers above and for applications.
 * Leaves the rows and the fate of a lost COMMIT to operation.c, single writes to record/once.c.
 */
#include <amend/once.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/rows.h"
#include "ledger/fate.h"
#include "ledger/operation.h"
#include "ledger/state.h"

struct run {
	struct amend_operation *operation;
	amend_unit_fn fn;
	void *context;
};

/* The id is taken: by the same request, or by another one. */
static enum amend_status repeat(struct amend_conn *db, struct amend_operation *operation,
				struct amend_error *err)
{
	bool found = false;
	enum amend_status status = amend_operation_find(db, operation->id, operation->arena, &found,
							&operation->found, err);

	if (status != AMEND_OK)
		return status;
	if (!found) {
		status = amend_error_set(err, AMEND_RETRY,
					 "operation %s was forgotten while it was repeated",
					 operation->id);
		amend_conn_fail(db, err);
		return status;
	}
	if (memcmp(operation->found.digest, operation->digest, sizeof(operation->digest)) != 0)
		return amend_error_set(
			err, AMEND_INVALID,
			"operation %s is another request, done by %s at %.19s UTC; nothing was written "
			"(hint: a new request needs a new id)",
			operation->id, operation->found.who, operation->found.at);
	operation->repeated = true;
	operation->own = strcmp(operation->found.maker, operation->maker) == 0;
	return AMEND_OK;
}

static enum amend_status under_id(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct run *run = context;
	struct amend_operation *operation = run->operation, *outer;
	enum amend_status status = amend_ledger_need(db, err);
	bool claimed = false;

	operation->repeated = operation->own = operation->lookup = false;
	amend_buffer_reset(&operation->answer);
	if (status == AMEND_OK)
		status = amend_hold_database(db, err);
	if (status != AMEND_OK)
		return status;
	status = amend_operation_claim(db, operation, &claimed, err);
	if (status == AMEND_LOCKED) {
		operation->lookup = true;
		return amend_error_set(err, AMEND_LOCKED,
				       "operation %s is under way elsewhere (hint: run again to get "
				       "its answer)",
				       operation->id);
	}
	if (status != AMEND_OK || !claimed)
		return status == AMEND_OK ? repeat(db, operation, err) : status;
	outer = db->ledger->operation;
	db->ledger->operation = operation;
	status = run->fn(db, run->context, err);
	db->ledger->operation = outer;
	return status == AMEND_OK ? amend_operation_answer(db, operation, &operation->answer, err)
				  : status;
}

enum amend_status amend_operation_run(struct amend_conn *db,
				      const struct amend_unit_options *options,
				      struct amend_operation *operation, amend_unit_fn fn,
				      void *context, struct amend_error *err)
{
	struct run run = {operation, fn, context};
	enum amend_status status;

	amend_operation_begin(operation);
	operation->until = 0;
	if (amend_may_reconnect(db) && !amend_in_transaction(db)) {
		db->fate = amend_operation_fate;
		db->fate_context = operation;
	}
	status = amend_atomic(db, options, under_id, &run, err);
	db->fate = NULL;
	/* An answer from before is given as what is in for good. */
	if (status == AMEND_OK && operation->repeated)
		status = amend_fate_confirm(db, err);
	if (status != AMEND_OUTCOME_UNKNOWN)
		return status;
	return amend_error_wrap(err, "operation %s", operation->id);
}

enum amend_status amend_operation_run_made_up(struct amend_conn *db,
					      char id[static AMEND_OPERATION_ID], amend_unit_fn fn,
					      void *context, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_operation operation = {.id = id, .arena = &arena};
	enum amend_status status;

	*id = '\0';
	if (!amend_may_reconnect(db) || amend_in_transaction(db))
		return amend_atomic(db, NULL, fn, context, err);
	amend_operation_make_id(id);
	/* If it is there already then by this call, whose earlier run has got through after all. */
	status = amend_operation_run(db, NULL, &operation, fn, context, err);
	amend_buffer_release(&operation.answer);
	amend_arena_release(&arena);
	return status;
}

/* ---- for applications ---- */

/* Told from the digests of single writes by its first bytes. */
static void digest_request(const char *request, unsigned char digest[AMEND_DIGEST_SIZE],
			   struct amend_buffer *pack)
{
	const struct amend_value value = amend_text(request);

	amend_pack_add(pack, "amend_once", &value);
	amend_digest(pack->data, pack->size, digest);
}

static enum amend_status begin_result(struct amend_once_result *result, struct amend_error *err)
{
	*result = (struct amend_once_result)AMEND_ONCE_RESULT_INIT;
	result->owner = calloc(1, sizeof(struct amend_arena));
	return result->owner ? AMEND_OK : amend_no_memory(err);
}

void amend_once_result_release(struct amend_once_result *result)
{
	if (result->owner) {
		amend_arena_release(result->owner);
		free(result->owner);
	}
	*result = (struct amend_once_result)AMEND_ONCE_RESULT_INIT;
}

/* "t" and a text, as amend_once_answer leaves it; else the pack of a single write. */
enum { TEXT_ANSWER = 't' };

static enum amend_status take(struct amend_once_result *result, const void *answer, size_t size,
			      int64_t revision, struct amend_error *err)
{
	struct amend_value outcome;
	const char *text = answer;

	result->revision = revision;
	if (size > 0 && *text == TEXT_ANSWER) {
		result->answer = amend_arena_text_n(result->owner, text + 1, size - 1);
		return result->answer ? AMEND_OK : amend_no_memory(err);
	}
	if (size == 0 || !amend_pack_find(answer, size, "outcome", &outcome) ||
	    outcome.kind != AMEND_TEXT)
		return AMEND_OK;
	result->outcome = amend_arena_text_n(result->owner, outcome.as.text, outcome.size);
	return result->outcome ? AMEND_OK : amend_no_memory(err);
}

static enum amend_status take_found(struct amend_once_result *result,
				    const struct amend_operation_row *found, struct amend_error *err)
{
	result->at = found->at;
	result->who = found->who;
	return take(result, found->answer, found->size, found->revision, err);
}

struct handling {
	amend_unit_fn fn;
	void *context;
	int64_t revision;
};

static enum amend_status handle(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct handling *handling = context;
	enum amend_status status = handling->fn(db, handling->context, err);

	handling->revision = amend_revision_current(db);
	return status;
}

static enum amend_status run_once(struct amend_conn *db, struct amend_operation *operation,
				  struct handling *handling, enum amend_wait wait,
				  struct amend_once_result *result, struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	enum amend_status status = amend_operation_check(operation->id, err);

	if (status == AMEND_OK && wait == AMEND_SKIP_LOCKED)
		status = amend_error_set(err, AMEND_INVALID,
					 "an operation cannot be skipped (hint: AMEND_NOWAIT)");
	if (wait == AMEND_NOWAIT)
		options.lock_timeout_ms = 1;
	if (status == AMEND_OK)
		status = amend_operation_run(db, &options, operation, handle, handling, err);
	if (status != AMEND_OK)
		return status;
	result->repeated = operation->repeated && !operation->own;
	if (operation->repeated)
		return take_found(result, &operation->found, err);
	return take(result, operation->answer.data, operation->answer.size, handling->revision, err);
}

enum amend_status amend_once(struct amend_conn *db, const char *id, amend_unit_fn fn, void *context,
			     const struct amend_once_options *options,
			     struct amend_once_result *result, struct amend_error *err)
{
	struct amend_once_result own, *to = result ? result : &own;
	struct handling handling = {.fn = fn, .context = context};
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_operation operation = {.id = id};
	enum amend_status status = begin_result(to, err);

	if (status == AMEND_OK)
		status = amend_enter(db, err);
	if (status != AMEND_OK) {
		amend_once_result_release(to);
		return status;
	}
	operation.arena = to->owner;
	digest_request(options ? options->request : NULL, operation.digest, &pack);
	status = pack.failed ? amend_no_memory(err)
			     : run_once(db, &operation, &handling,
					options ? options->wait : AMEND_WAIT, to, err);
	amend_buffer_release(&pack);
	amend_buffer_release(&operation.answer);
	if (!result || status != AMEND_OK)
		amend_once_result_release(to);
	return amend_leave(db, status, err);
}

enum amend_status amend_once_answer(struct amend_conn *db, const char *answer,
				    struct amend_error *err)
{
	struct amend_operation *operation = db->ledger ? db->ledger->operation : NULL;

	if (!operation)
		return amend_error_set(err, AMEND_INVALID,
				       "an answer is an operation's, and none is under way (hint: "
				       "call it inside amend_once)");
	amend_buffer_reset(&operation->answer);
	amend_buffer_char(&operation->answer, TEXT_ANSWER);
	amend_buffer_text(&operation->answer, answer);
	return operation->answer.failed ? amend_no_memory(err) : AMEND_OK;
}

static enum amend_status find(struct amend_conn *db, const char *id,
			      struct amend_once_result *result, struct amend_error *err)
{
	struct amend_operation_row row;
	bool found = false;
	int version = 0;
	enum amend_status status = amend_operation_check(id, err);

	if (status == AMEND_OK)
		status = amend_ledger_version(db, &version, err);
	if (status == AMEND_OK && version >= AMEND_LEDGER_HAS_OPERATIONS)
		status = amend_operation_find(db, id, result->owner, &found, &row, err);
	if (status != AMEND_OK)
		return status;
	if (!found)
		return amend_error_set(err, AMEND_NOT_FOUND,
				       "nothing that is committed was done as operation %s", id);
	return take_found(result, &row, err);
}

enum amend_status amend_once_find(struct amend_conn *db, const char *id,
				  struct amend_once_result *result, struct amend_error *err)
{
	enum amend_status status = begin_result(result, err);

	if (status == AMEND_OK)
		status = amend_enter(db, err);
	if (status != AMEND_OK) {
		amend_once_result_release(result);
		return status;
	}
	status = find(db, id, result, err);
	if (status != AMEND_OK)
		amend_once_result_release(result);
	return amend_leave(db, status, err);
}

/* ---- forgetting ---- */

static enum amend_status database_clock(struct amend_conn *db, int64_t *now, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT ");
	amend_sql_text(&sql, db->dialect->epoch);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK &&
	    (rows.n_rows != 1 || !amend_value_number(amend_rows_at(&rows, 0, 0), now)))
		status = amend_error_set(err, AMEND_INTERNAL, "the database does not tell the time");
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status forget(struct amend_conn *db, int64_t age, int64_t *n,
				struct amend_error *err)
{
	int version = 0;
	int64_t now = 0;
	time_t seconds;
	struct tm utc;
	char before[32];
	enum amend_status status = amend_ledger_version(db, &version, err);

	if (status != AMEND_OK || version < AMEND_LEDGER_HAS_OPERATIONS)
		return status;
	status = database_clock(db, &now, err);
	if (status != AMEND_OK)
		return status;
	seconds = (time_t)(age < now ? now - age : 0);
	if (!gmtime_r(&seconds, &utc) ||
	    strftime(before, sizeof(before), "%Y-%m-%d %H:%M:%S", &utc) == 0)
		return amend_error_set(err, AMEND_INTERNAL, "the database's time is out of range");
	return amend_operation_forget(db, before, n, err);
}

enum amend_status amend_once_forget(struct amend_conn *db, int64_t age, int64_t *n,
				    struct amend_error *err)
{
	int64_t ignored;
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	if (!n)
		n = &ignored;
	*n = 0;
	if (age < 0)
		status = amend_error_set(err, AMEND_INVALID, "expected an age of 0 or more seconds");
	else
		status = forget(db, age, n, err);
	return amend_leave(db, status, err);
}

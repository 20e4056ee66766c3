/*
 * A write under an operation's id: done once, and a repeat gets its answer.
 * Leaves the write to the road, the id to the ledger, and the answer's bytes to answer.c.
 */
#include "record/once.h"

#include "ledger/operation.h"
#include "record/answer.h"

struct once {
	struct amend_call *call;
	amend_unit_fn run;
	struct amend_operation operation;
	char made[AMEND_OPERATION_ID];
	bool made_up;
	bool nothing; /* the unit is undone for want of anything to keep: its answer stands */
};

/* ---- the request ---- */

static void add_text(struct amend_buffer *pack, const char *name, const char *text)
{
	const struct amend_value value = amend_text(text);

	amend_pack_add(pack, name, &value);
}

static void add_number(struct amend_buffer *pack, const char *name, int64_t number)
{
	const struct amend_value value = amend_integer(number);

	amend_pack_add(pack, name, &value);
}

static void add_assigns(struct amend_buffer *pack, const char *name,
			const struct amend_assign *assigns, size_t n)
{
	add_number(pack, name, (int64_t)n);
	for (size_t i = 0; i < n; i++) {
		add_number(pack, "op", assigns[i].op);
		amend_pack_add(pack, assigns[i].column, &assigns[i].value);
	}
}

static void add_fields(struct amend_buffer *pack, const char *name,
		       const struct amend_field *fields, size_t n)
{
	add_number(pack, name, (int64_t)n);
	for (size_t i = 0; i < n; i++)
		amend_pack_add(pack, fields[i].column, &fields[i].value);
}

/* What is asked for; not who asks, how long to wait, or what is to be told of it. */
static void add_request(struct amend_buffer *pack, const struct amend_call *call,
			const struct amend_match *keys, size_t n_keys,
			const struct amend_expect *expect)
{
	const struct amend_write *write = call->write;

	add_text(pack, call->deleting ? "delete" : "write", call->table->qualified);
	add_number(pack, "mode", write->mode);
	for (size_t i = 0; i < n_keys; i++)
		add_fields(pack, "key", keys[i].fields, keys[i].n_fields);
	add_assigns(pack, "set", write->set, write->n_set);
	add_assigns(pack, "on create", write->on_create, write->n_on_create);
	for (size_t i = 0; i < write->n_bounds; i++) {
		add_text(pack, "bound", write->bounds[i].column);
		amend_pack_add(pack, "min", &write->bounds[i].min);
		amend_pack_add(pack, "max", &write->bounds[i].max);
	}
	add_number(pack, "computes", write->compute != NULL);
	add_text(pack, "token", expect->token);
	add_number(pack, "has version", expect->version != NULL);
	if (expect->version)
		amend_pack_add(pack, "version", expect->version);
	add_fields(pack, "originals", expect->originals, expect->n_originals);
	add_number(pack, "only changed", expect->only_changed);
	if (!write->merge)
		return; /* as it was before there was merging: ids that are there already stay good */
	add_number(pack, "merge", (int64_t)write->n_rules);
	for (size_t i = 0; i < write->n_rules; i++)
		add_number(pack, write->rules[i].column, write->rules[i].by);
}

static enum amend_status digest(struct once *once, const struct amend_match *keys, size_t n_keys,
				const struct amend_expect *expect, struct amend_error *err)
{
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	add_request(&pack, once->call, keys, n_keys, expect);
	if (pack.failed)
		status = amend_no_memory(err);
	else
		amend_digest(pack.data, pack.size, once->operation.digest);
	amend_buffer_release(&pack);
	return status;
}

/* ---- the unit ---- */

static enum amend_status write_under_id(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	struct once *once = context;
	struct amend_call *call = once->call;
	struct amend_result *result = call->work.result;
	enum amend_status status;

	once->nothing = false;
	amend_result_reset(&call->work);
	call->at_hand = call->moved = call->clashed = false;
	call->refused = 0;
	status = once->run(db, call, err);
	if (status != AMEND_OK)
		return status;
	/* The unit commits, and with it the conflict: a repeat is refused as this call will be. */
	if (call->clashed) {
		amend_answer_write(&once->operation.answer, call->table, call->clash.status,
				   &call->clash, result);
		return AMEND_OK;
	}
	/* Skipped is not done; and what changed nothing need not be told again under an id that nobody knows. */
	once->nothing = result->outcome == AMEND_IS_SKIPPED ||
			(once->made_up && result->revision == 0);
	if (once->nothing)
		return amend_error_set(err, AMEND_LOCKED, "there is nothing to keep");
	amend_answer_write(&once->operation.answer, call->table, AMEND_OK, err, result);
	return AMEND_OK;
}

static enum amend_status give_again(struct once *once, struct amend_error *err)
{
	struct amend_call *call = once->call;
	const struct amend_operation *operation = &once->operation;
	enum amend_status status;

	amend_result_reset(&call->work);
	status = amend_answer_read(operation->found.answer, operation->found.size, call->table,
				   call->work.arena, call->work.result, err);
	call->work.result->repeated = operation->own ? NULL : operation->found.at;
	if (status == AMEND_OK && call->write->want_token && !call->work.result->token &&
	    !call->work.result->no_token)
		call->work.result->no_token = "none was asked for when it was done";
	return status;
}

/* Decided by what the database holds: asked again, it must not come out otherwise behind somebody's back. */
static bool decided(enum amend_status status, const struct amend_error *err)
{
	switch (status) {
	case AMEND_NOT_FOUND:
		return err->sqlstate[0] == '\0'; /* else it is the table */
	case AMEND_STALE:
	case AMEND_EXISTS:
	case AMEND_CONFLICT:
	case AMEND_CONSTRAINT:
		return true;
	case AMEND_OK:
	case AMEND_LOCKED:
	case AMEND_INVALID:
	case AMEND_RETRY:
	case AMEND_OUTCOME_UNKNOWN:
	case AMEND_UNREACHABLE:
	case AMEND_DENIED:
	case AMEND_UNSUPPORTED:
	case AMEND_INTERRUPTED:
	case AMEND_NO_MEMORY:
	case AMEND_INTERNAL:
		break;
	}
	return false;
}

struct refusal {
	struct once *once;
	enum amend_status status;
	const struct amend_error *err;
};

static enum amend_status keep_refusal(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct refusal *refusal = context;
	struct once *once = refusal->once;

	(void)db, (void)err;
	amend_answer_write(&once->operation.answer, once->call->table, refusal->status,
			   refusal->err, once->call->work.result);
	return AMEND_OK;
}

/* In a unit of its own, for the work's is undone. Somebody else's answer that came between is the answer. */
static enum amend_status refuse(struct once *once, const struct amend_unit_options *options,
				enum amend_status status, struct amend_error *err)
{
	struct refusal refusal = {once, status, err};
	struct amend_error later;
	enum amend_status kept = amend_operation_run(once->call->db, options, &once->operation,
						     keep_refusal, &refusal, &later);

	/* Another did it meanwhile, and nobody knows whether that lasts. */
	if (kept == AMEND_OUTCOME_UNKNOWN && once->operation.repeated) {
		*err = later;
		return kept;
	}
	if (kept != AMEND_OK)
		return status; /* nothing is kept, and nothing was written */
	if (once->operation.repeated && !once->operation.own)
		return give_again(once, err);
	return status;
}

static enum amend_status run(struct once *once, struct amend_error *err)
{
	struct amend_call *call = once->call;
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	enum amend_status status;

	if (call->write->wait != AMEND_WAIT)
		options.lock_timeout_ms = 1;
	status = amend_operation_run(call->db, &options, &once->operation, write_under_id, once,
				     err);
	if (status == AMEND_OK && once->operation.repeated)
		return give_again(once, err);
	if (status == AMEND_LOCKED && once->nothing)
		return AMEND_OK;
	/* The hold was the database's. */
	if (status == AMEND_LOCKED && call->write->wait == AMEND_SKIP_LOCKED &&
	    !once->operation.lookup) {
		amend_result_reset(&call->work);
		call->work.result->outcome = AMEND_IS_SKIPPED;
		return AMEND_OK;
	}
	if (!once->made_up && decided(status, err))
		return refuse(once, &options, status, err);
	return status;
}

bool amend_call_wants_once(const struct amend_call *call, const struct amend_expect *expect)
{
	if (!expect || !expect->once)
		return false;
	return *expect->once || (amend_may_reconnect(call->db) && !amend_in_transaction(call->db));
}

enum amend_status amend_call_once(struct amend_call *call, const struct amend_match *keys,
				  size_t n_keys, const struct amend_expect *expect,
				  amend_unit_fn road, struct amend_error *err)
{
	struct once once = {.call = call, .run = road, .made_up = !*expect->once};
	struct amend_result *result = call->work.result;
	enum amend_status status = AMEND_OK;
	const char *id;

	if (once.made_up)
		amend_operation_make_id(once.made);
	else
		status = amend_operation_check(expect->once, err);
	if (status != AMEND_OK)
		return status;
	id = amend_arena_text(call->work.arena, once.made_up ? once.made : expect->once);
	if (!id)
		return amend_no_memory(err);
	once.operation.id = id;
	once.operation.arena = call->work.arena;
	status = digest(&once, keys, n_keys, expect, err);
	if (status == AMEND_OK)
		status = run(&once, err);
	amend_buffer_release(&once.operation.answer);
	amend_result_status(result, status);
	result->once = id;
	return status;
}

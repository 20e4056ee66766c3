/*
 * Units of work: transactions, savepoints, reruns and hooks.
 * Leaves the engine's own BEGIN and COMMIT, and what an error means, to the drivers.
 */
#include <amend/unit.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "sql/conn.h"

enum { MAX_TRIES = 10, MAX_DEPTH = 200, LONGEST_PAUSE_MS = 200 };

static const struct amend_unit_options defaults = AMEND_UNIT_OPTIONS_INIT;

bool amend_in_unit(const struct amend_conn *db)
{
	return db->depth > 0;
}

static enum amend_status add_hook(struct amend_conn *db, const struct amend_hook *hook,
				  struct amend_error *err)
{
	if (db->n_hooks == db->hooks_room) {
		size_t room = db->hooks_room ? db->hooks_room * 2 : 8;
		struct amend_hook *hooks = realloc(db->hooks, room * sizeof(*hooks));

		if (!hooks)
			return amend_no_memory(err);
		db->hooks = hooks;
		db->hooks_room = room;
	}
	db->hooks[db->n_hooks++] = *hook;
	return AMEND_OK;
}

/* A hook's failure must not read as if the unit before it had failed: nobody shall run that again. */
static enum amend_status run_hook(struct amend_conn *db, const struct amend_hook *hook,
				  struct amend_error *err)
{
	struct amend_error own = {.status = AMEND_OK};
	enum amend_status status = hook->fn(db, hook->context, &own);

	if (status == AMEND_OK)
		return AMEND_OK;
	if (own.status != status)
		amend_error_set(&own, status, "the hook returned %s", amend_status_name(status));
	if (status == AMEND_RETRY || status == AMEND_UNREACHABLE || status == AMEND_OUTCOME_UNKNOWN)
		own.status = AMEND_INTERNAL;
	*err = own;
	return err->status;
}

enum amend_status amend_on_commit(struct amend_conn *db, amend_hook_fn fn, void *context,
				  bool robust, struct amend_error *err)
{
	const struct amend_hook hook = {.fn = fn, .context = context, .robust = robust};
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	if (!fn)
		status = amend_error_set(err, AMEND_INVALID,
					 "expected a function to call, found NULL");
	else if (db->borrowed)
		status = amend_error_set(
			err, AMEND_INVALID,
			"the transaction is the application's: amend does not see its "
			"COMMIT and cannot call a hook after it");
	else if (db->depth > 0 && db->levels[db->depth - 1].failed)
		status = amend_error_set(
			err, AMEND_INVALID,
			"this unit has failed: it will not commit, so no hook is taken");
	else if (db->depth > 0)
		status = add_hook(db, &hook, err);
	else if (run_hook(db, &hook, err) != AMEND_OK && !robust)
		status = err->status;
	return amend_leave(db, status, err);
}

enum amend_status amend_on_end(struct amend_conn *db, amend_ended_fn ended, void *context,
			       struct amend_error *err)
{
	const struct amend_hook hook = {.ended = ended, .context = context};

	return add_hook(db, &hook, err);
}

/* Newest first: each finds what it saw when it was registered. */
void amend_hooks_undo(struct amend_conn *db, size_t first)
{
	while (db->n_hooks > first) {
		struct amend_hook hook = db->hooks[--db->n_hooks];

		if (hook.ended)
			hook.ended(db, hook.context, false);
	}
}

/*
 * After COMMIT. The list is taken out first, so that a hook may open units with
 * hooks of their own; amend's own bookkeeping ends before any hook runs.
 */
enum amend_status amend_hooks_run(struct amend_conn *db, struct amend_error *err)
{
	struct amend_hook *hooks = db->hooks;
	size_t n = db->n_hooks;
	enum amend_status status = AMEND_OK;

	db->hooks = NULL;
	db->n_hooks = db->hooks_room = 0;
	for (size_t i = 0; i < n; i++) {
		if (hooks[i].ended)
			hooks[i].ended(db, hooks[i].context, true);
	}
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (hooks[i].ended || run_hook(db, &hooks[i], err) == AMEND_OK || hooks[i].robust)
			continue;
		status = amend_error_wrap(err, "the unit is committed, but a hook after it failed");
	}
	free(hooks);
	return status;
}

static enum amend_status push_level(struct amend_conn *db, bool savepoint, struct amend_error *err)
{
	if (db->depth == db->levels_room) {
		size_t room = db->levels_room ? db->levels_room * 2 : 4;
		struct amend_open_unit *levels = realloc(db->levels, room * sizeof(*levels));

		if (!levels)
			return amend_no_memory(err);
		db->levels = levels;
		db->levels_room = room;
	}
	db->levels[db->depth] = (struct amend_open_unit){.savepoint = savepoint,
							 .first_hook = db->n_hooks};
	db->depth++;
	return AMEND_OK;
}

/* The function said OK, yet a statement in it had failed: what it did is not whole. */
static enum amend_status check_whole(const struct amend_open_unit *level, struct amend_error *err)
{
	if (!level->failed)
		return AMEND_OK;
	*err = level->reason;
	return err->status;
}

/* A status other than OK whatever the function forgot to fill in. */
static enum amend_status run_function(struct amend_conn *db, amend_unit_fn fn, void *context,
				      struct amend_error *err)
{
	size_t depth = db->depth;
	enum amend_status status;

	err->status = AMEND_OK;
	err->text[0] = '\0';
	status = fn(db, context, err);
	if (status != AMEND_OK && err->status != status)
		amend_error_set(err, status, "the unit's function returned %s",
				amend_status_name(status));
	if (status == AMEND_OK)
		status = check_whole(&db->levels[depth - 1], err);
	return status;
}

static enum amend_status savepoint(struct amend_conn *db, const char *verb, size_t number,
				   struct amend_error *err)
{
	char text[64];
	struct amend_statement statement = {.sql = text};

	snprintf(text, sizeof(text), "%s amend_%zu", verb, number);
	return db->driver->run(db->session, &statement, 1, NULL, &(size_t){0}, err);
}

/* Ends a nested level that failed; what cannot be undone dooms the unit around it. */
static enum amend_status undo_nested(struct amend_conn *db, size_t number, bool other_timeout,
				     struct amend_error *err)
{
	struct amend_open_unit level = db->levels[db->depth - 1];
	struct amend_error undo;

	amend_hooks_undo(db, level.first_hook);
	db->depth--;
	if (!level.savepoint || (err->status == AMEND_RETRY && !db->borrowed) ||
	    (!db->borrowed && db->driver->state(db->session) == AMEND_TX_IDLE)) {
		amend_conn_fail(db, err);
		return err->status;
	}
	if (savepoint(db, "ROLLBACK TO SAVEPOINT", number, &undo) == AMEND_OK &&
	    savepoint(db, "RELEASE SAVEPOINT", number, &undo) == AMEND_OK &&
	    /* Not every engine's limit is part of what a savepoint brings back. */
	    (!other_timeout ||
	     db->driver->set_lock_timeout(db->session, db->lock_timeout_ms, &undo) == AMEND_OK))
		return err->status;
	/* The first error counts, unless it turns out here that all is undone, or the connection gone. */
	if (undo.status == AMEND_RETRY || undo.status == AMEND_UNREACHABLE)
		*err = undo;
	amend_conn_fail(db, err);
	return err->status;
}

static enum amend_status check_nested_options(const struct amend_conn *db,
					      const struct amend_unit_options *options,
					      struct amend_error *err)
{
	if (options->durable)
		return amend_error_set(
			err, AMEND_INVALID,
			"a durable unit must be the outermost one, and a transaction is "
			"open already");
	if (options->isolation != AMEND_ISOLATION_DEFAULT &&
	    (db->depth == 0 || options->isolation != db->isolation))
		return amend_error_set(
			err, AMEND_INVALID,
			"the isolation of the open transaction cannot be changed (hint: "
			"ask for it in the outermost unit)");
	if (options->read_only && (db->depth == 0 || !db->read_only))
		return amend_error_set(err, AMEND_INVALID,
				       "the open transaction may write, and cannot be made read-only "
				       "(hint: ask for it in the outermost unit)");
	if (options->time_limit_ms > 0)
		return amend_error_set(
			err, AMEND_INVALID,
			"a time limit is the outermost unit's, and a transaction is open "
			"already");
	if (db->depth == MAX_DEPTH)
		return amend_error_set(err, AMEND_INVALID, "units are nested more than %d deep",
				       MAX_DEPTH);
	if (db->depth > 0 && db->levels[db->depth - 1].failed) {
		*err = db->levels[db->depth - 1].reason;
		if (err->status == AMEND_RETRY)
			return AMEND_RETRY;
		err->status = AMEND_INVALID;
		return amend_error_wrap(err, "this unit has failed and takes no other unit until "
					     "it is undone");
	}
	return AMEND_OK;
}

static int lock_timeout(const struct amend_conn *db, const struct amend_unit_options *options)
{
	return options->lock_timeout_ms ? options->lock_timeout_ms : db->lock_timeout_ms;
}

static enum amend_status run_nested(struct amend_conn *db, const struct amend_unit_options *options,
				    amend_unit_fn fn, void *context, struct amend_error *err)
{
	bool merged = options->merged && db->depth > 0;
	size_t number = db->depth; /* names it */
	int outer_timeout = db->lock_timeout_ms, timeout = lock_timeout(db, options);
	enum amend_status status = check_nested_options(db, options, err);

	if (status == AMEND_OK && !merged)
		status = savepoint(db, "SAVEPOINT", number, err);
	if (status != AMEND_OK) {
		if (status != AMEND_INVALID)
			amend_conn_fail(db, err);
		return status;
	}
	status = push_level(db, !merged, err);
	if (status != AMEND_OK)
		return status;
	if (timeout != outer_timeout)
		status = db->driver->set_lock_timeout(db->session, timeout, err);
	if (status == AMEND_OK) {
		db->lock_timeout_ms = timeout;
		status = run_function(db, fn, context, err);
		db->lock_timeout_ms = outer_timeout;
	}
	if (status == AMEND_OK && timeout != outer_timeout)
		status = db->driver->set_lock_timeout(db->session, outer_timeout, err);
	if (status == AMEND_OK && !merged)
		status = savepoint(db, "RELEASE SAVEPOINT", number, err);
	if (status != AMEND_OK)
		return undo_nested(db, number, timeout != outer_timeout, err);
	db->depth--;
	/* Inside the application's transaction this is the last amend sees of it: whether it commits stays unknown. */
	if (db->depth == 0)
		amend_hooks_undo(db, 0);
	return AMEND_OK;
}

struct fate {
	amend_fate_fn fn;
	void *context;
};

static enum amend_status run_once(struct amend_conn *db, const struct amend_unit_options *options,
				  amend_unit_fn fn, void *context, const struct fate *fate,
				  struct amend_error *err)
{
	struct amend_begin begin = {
		.isolation = options->isolation,
		.read_only = options->read_only || db->options.read_only,
		.lock_timeout_ms = db->lock_timeout_ms,
	};
	struct amend_error undo;
	enum amend_status status;

	status = amend_check_deadline(db, err);
	if (status != AMEND_OK)
		return status;
	if (db->deadline) {
		int64_t left = db->deadline - amend_clock_ms();

		begin.time_limit_ms = left > 0 ? (int)left : 1;
	}
	status = db->driver->begin(db->session, &begin, err);
	if (status != AMEND_OK)
		return status;
	db->isolation = options->isolation;
	db->read_only = begin.read_only;
	status = push_level(db, false, err);
	if (status == AMEND_OK) {
		status = run_function(db, fn, context, err);
		/* The engine may have undone it while the function went on. */
		if (status == AMEND_OK && db->driver->state(db->session) != AMEND_TX_ACTIVE)
			status = amend_error_set(err, AMEND_INTERNAL,
						 "the engine ended the transaction inside its unit");
		db->depth = 0;
	}
	if (status == AMEND_OK)
		status = amend_check_deadline(db, err);
	if (status == AMEND_OK)
		status = db->driver->commit(db->session, err);
	/* Before the hooks are dropped: it may be in. */
	if (status == AMEND_OUTCOME_UNKNOWN && fate->fn)
		status = fate->fn(db, fate->context, err);
	else if (status == AMEND_OUTCOME_UNKNOWN && db->witness)
		status = db->witness(db, NULL, err);
	if (status == AMEND_OK)
		return AMEND_OK;
	amend_hooks_undo(db, 0);
	if (db->driver->rollback(db->session, &undo) != AMEND_OK && status == AMEND_RETRY)
		return (*err = undo).status; /* a rerun needs a connection */
	return status;
}

/* Full jitter below a bound that doubles: rivals that met once should not meet again. */
static void pause_before_rerun(int attempt)
{
	int most = attempt < 7 ? 2 << attempt : LONGEST_PAUSE_MS;

	amend_clock_sleep_ms((int)(amend_clock_random() % (uint32_t)(most + 1)));
}

static enum amend_status run_outermost(struct amend_conn *db,
				       const struct amend_unit_options *options, amend_unit_fn fn,
				       void *context, struct amend_error *err)
{
	int tries = options->max_tries > 0 ? options->max_tries : MAX_TRIES;
	int outer_timeout = db->lock_timeout_ms;
	/* This unit's alone: not of those that its hooks run. */
	const struct fate fate = {db->fate, db->fate_context};
	enum amend_status status = AMEND_OK;

	db->fate = NULL;
	if (db->n_hooks > 0)
		amend_hooks_undo(db, 0);
	db->lock_timeout_ms = lock_timeout(db, options);
	db->deadline = options->time_limit_ms > 0 ? amend_clock_ms() + options->time_limit_ms : 0;
	for (int attempt = 0; attempt < tries; attempt++) {
		if (attempt > 0)
			pause_before_rerun(attempt);
		status = run_once(db, options, fn, context, &fate, err);
		if (status != AMEND_RETRY || options->no_rerun)
			break;
	}
	db->lock_timeout_ms = outer_timeout;
	db->deadline = 0;
	db->altered = db->altering > db->altered ? db->altering : db->altered;
	db->altering = AMEND_ALTERS_NOTHING;
	if (status == AMEND_RETRY && !options->no_rerun)
		amend_error_wrap(err, "given up after %d tries", tries);
	if (status == AMEND_OK)
		status = amend_hooks_run(db, err);
	return status;
}

enum amend_status amend_atomic(struct amend_conn *db, const struct amend_unit_options *options,
			       amend_unit_fn fn, void *context, struct amend_error *err)
{
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	if (!options)
		options = &defaults;
	if (db->depth > 0 || db->borrowed)
		status = run_nested(db, options, fn, context, err);
	else
		status = run_outermost(db, options, fn, context, err);
	return amend_leave(db, status, err);
}

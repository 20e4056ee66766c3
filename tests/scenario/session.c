/*
 * A session: a thread that runs its steps when it is told to, and keeps a unit open between them.
 * Leaves what a step does to operation.c, who goes next to run.c.
 */
#include "scenario.h"

#include <stdlib.h>

/* --- Steps in, results out --- */

/* Waits for the next step; NULL: stop. */
static const struct step *wait_step(struct session *session)
{
	struct run *run = session->run;
	const struct step *step = NULL;

	pthread_mutex_lock(&run->mutex);
	while (!run->stop && (!session->now || session->finished))
		pthread_cond_wait(&run->changed, &run->mutex);
	if (!run->stop)
		step = session->now;
	pthread_mutex_unlock(&run->mutex);
	return step;
}

void session_say(struct session *session, size_t place, const struct step *step, const char *text)
{
	bool again = place < COUNT(session->reported) && session->reported[place];

	pthread_mutex_lock(&session->run->mutex);
	amend_buffer_printf(&session->output, "%s.%s%s: %s\n", session->plan->name, step->name,
			    again ? " again" : "", text);
	if (place < COUNT(session->reported))
		session->reported[place] = true;
	if (!again)
		session->finished = true;
	pthread_cond_broadcast(&session->run->changed);
	pthread_mutex_unlock(&session->run->mutex);
}

/* --- Units --- */

/* In a unit: what was done already when it runs again, then what comes. */
static const struct step *next_step(struct session *session, size_t *place)
{
	const struct step *step;

	if (session->replay < session->n_done) {
		*place = session->replay++;
		return session->done[*place];
	}
	step = wait_step(session);
	if (!step || session->n_done == MAX_STEPS)
		return NULL;
	*place = session->n_done;
	session->reported[*place] = false;
	session->done[session->n_done++] = step;
	session->replay = session->n_done;
	return step;
}

static void drop_pending(struct session *session, size_t from)
{
	facts_drop(session->pending + from, session->n_pending - from);
	session->n_pending = from;
}

struct nested {
	struct session *session;
	const struct step *begin; /* NULL: has been said */
	size_t place, mark;
};

static bool is(const struct step *step, const char *word)
{
	return strncmp(step->text, word, strlen(word)) == 0;
}

static enum amend_status run_unit(struct amend_conn *db, void *context, struct amend_error *err);

/* What a unit came to. `ending`: the step that ended it; NULL: it ended by itself. */
static void say_end(struct session *session, size_t place, const struct step *step,
		    enum amend_status status)
{
	char text[64];

	if (status == AMEND_OK)
		snprintf(text, sizeof(text), "committed");
	else if (is(step, "rollback"))
		snprintf(text, sizeof(text), "rolled back");
	else
		snprintf(text, sizeof(text), "undone %s", amend_status_name(status));
	session_say(session, place, step, text);
}

static enum amend_status nest(struct session *session, const struct step *begin, size_t place,
			      struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct nested nested = {session, begin, place, session->n_pending};
	const struct step *step;
	enum amend_status status;

	options.merged = strstr(begin->text, "merged") != NULL;
	session->depth++;
	status = amend_atomic(session->db, &options, run_unit, &nested, err);
	session->depth--;
	step = session->ending;
	if (status != AMEND_OK)
		drop_pending(session, nested.mark);
	if (status == AMEND_RETRY || !step)
		return status == AMEND_OK ? AMEND_INTERNAL : status;
	say_end(session, session->replay - 1, step, status);
	return AMEND_OK; /* the outer one goes on */
}

/* The unit's function: runs steps until one ends it. */
static enum amend_status run_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct nested *nested = context;
	struct session *session = nested->session;

	(void)db;
	if (session->depth == 1) { /* from the start */
		session->replay = 0;
		drop_pending(session, 0);
	}
	if (nested->begin) {
		session_say(session, nested->place, nested->begin, "begun");
		if (session->depth == 1)
			nested->begin = NULL;
	}
	for (;;) {
		struct amend_buffer said = AMEND_BUFFER_INIT;
		size_t place = 0;
		const struct step *step = next_step(session, &place);
		enum amend_status status = AMEND_OK;

		session->ending = step;
		if (!step)
			return amend_error_set(err, AMEND_INTERNAL, "stopped");
		if (is(step, "commit"))
			return AMEND_OK;
		if (is(step, "rollback"))
			return amend_error_set(err, AMEND_CONFLICT, "rolled back");
		session->ending = NULL;
		if (is(step, "begin")) {
			status = nest(session, step, place, err);
		} else {
			status = operation_run(session, step, &said, err);
			if (status != AMEND_RETRY)
				session_say(session, place, step, amend_buffer_string(&said));
		}
		amend_buffer_release(&said);
		if (status == AMEND_RETRY || (is(step, "begin") && status != AMEND_OK))
			return status;
	}
}

static void open_unit(struct session *session, const struct step *begin)
{
	static const char *const names[] = {"default", "read-committed", "repeatable-read",
					    "serializable"};
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct nested nested = {.session = session, .begin = begin, .place = SIZE_MAX};
	struct amend_error err;
	enum amend_status status;

	for (size_t i = 1; i < COUNT(names); i++) {
		if (strstr(begin->text, names[i]))
			options.isolation = (enum amend_isolation)i;
	}
	options.read_only = strstr(begin->text, "read-only") != NULL;
	options.lock_timeout_ms = strstr(begin->text, "nowait") ? 1 : 0;
	session->n_done = session->replay = 0;
	session->ending = NULL;
	session->depth = 1;
	status = amend_atomic(session->db, &options, run_unit, &nested, &err);
	session->depth = 0;
	if (status == AMEND_OK)
		facts_add(&session->run->facts, session->pending, session->n_pending);
	else
		facts_drop(session->pending, session->n_pending);
	session->n_pending = 0;
	if (session->ending)
		say_end(session, SIZE_MAX, session->ending, status);
	else if (nested.begin) /* it has not even begun */
		say_end(session, SIZE_MAX, begin, status);
	else if (session->n_done > 0)
		say_end(session, session->n_done - 1, session->done[session->n_done - 1], status);
}

/* --- Outside of units --- */

static void run_alone(struct session *session, const struct step *step)
{
	struct amend_buffer said = AMEND_BUFFER_INIT;
	struct amend_error err;

	if (is(step, "commit") || is(step, "rollback")) {
		session_say(session, SIZE_MAX, step, "no unit is open");
		return;
	}
	/* What a sync that failed says it has changed, it has. */
	if (operation_run(session, step, &said, &err) == AMEND_OK || import_is(step))
		facts_add(&session->run->facts, session->pending, session->n_pending);
	else
		facts_drop(session->pending, session->n_pending);
	session->n_pending = 0;
	session_say(session, SIZE_MAX, step, amend_buffer_string(&said));
	amend_buffer_release(&said);
}

/* A program that is not amend: SQL. */
static void run_sql(struct session *session, const struct step *step)
{
	const struct engine_ops *ops = session->run->engine->private_->ops;
	bool done;

	atomic_store(&session->waiting, false);
	amend_buffer_reset(&session->result.text);
	session->result.n_rows = 0;
	done = ops->query(session->handle, step->text, &session->result);
	if (strncmp(step->text, "BEGIN", 5) == 0)
		atomic_store(&session->holds, done);
	else if (strncmp(step->text, "COMMIT", 6) == 0 || strncmp(step->text, "ROLLBACK", 8) == 0)
		atomic_store(&session->holds, false);
	if (!done)
		session_say(session, SIZE_MAX, step, "failed");
	else if (session->result.n_rows > 0)
		session_say(session, SIZE_MAX, step, amend_buffer_string(&session->result.text));
	else
		session_say(session, SIZE_MAX, step, "done");
}

/* "updated A -> B", "created B", "deleted A", A and B being states; "wrote": on what is not known. */
static void take_answer(struct session *session, const char *answer)
{
	const char *arrow = strstr(answer, " -> ");
	char before[512] = "none", after[512] = "none", key[64];
	int size;

	if (strncmp(answer, "wrote", 5) == 0) {
		session->n_blind++;
		session->run->facts.foreign = true;
		return;
	}
	if (strncmp(answer, "updated ", 8) == 0 && arrow) {
		snprintf(before, sizeof(before), "%.*s", (int)(arrow - answer - 8), answer + 8);
		snprintf(after, sizeof(after), "%s", arrow + 4);
	} else if (strncmp(answer, "created ", 8) == 0) {
		snprintf(after, sizeof(after), "%s", answer + 8);
	} else if (strncmp(answer, "deleted ", 8) == 0) {
		snprintf(before, sizeof(before), "%s", answer + 8);
	} else {
		return;
	}
	size = (int)strcspn(answer + 8, "|");
	snprintf(key, sizeof(key), "%.*s", size, answer + 8);
	facts_edge(&session->pending[session->n_pending++], 0, key, before, after);
}

/* What was acknowledged counts when it is committed: at once, or with the transaction. */
static void settle_client(struct session *session, const struct step *step, const char *answer)
{
	bool ends = is(step, "commit") || is(step, "rollback");

	if (is(step, "begin"))
		session->depth = 1;
	else if (ends)
		session->depth = 0;
	if (session->depth > 0)
		return;
	if (!ends || strcmp(answer, "committed") == 0) {
		facts_add(&session->run->facts, session->pending, session->n_pending);
		session->run->facts.n_blind += session->n_blind;
	} else {
		facts_drop(session->pending, session->n_pending);
	}
	session->n_pending = session->n_blind = 0;
}

/* A program of its own. "writing": it asks for SQLite's write lock; "held": it is done, and has it still. */
static void run_client(struct session *session, const struct step *step)
{
	struct client *client = session->plan->client;
	const char *line;
	char answer[512];

	client_tell(client, step->text);
	while (strcmp(line = client_hear(client), "writing") == 0)
		atomic_store(&session->waiting, true);
	atomic_store(&session->waiting, false);
	atomic_store(&session->holds, strncmp(line, "held ", 5) == 0);
	snprintf(answer, sizeof(answer), "%s", line + 5);
	take_answer(session, answer);
	settle_client(session, step, answer);
	session_say(session, SIZE_MAX, step, answer);
}

static void *live(void *context)
{
	struct session *session = context;
	const struct step *step;

	while ((step = wait_step(session))) {
		if (session->plan->client)
			run_client(session, step);
		else if (session->plan->program)
			run_sql(session, step);
		else if (is(step, "begin"))
			open_unit(session, step);
		else
			run_alone(session, step);
	}
	return NULL;
}

void session_start(struct session *session)
{
	assert_int_equal(pthread_create(&session->thread, NULL, live, session), 0);
	session->started = true;
}

void session_stop(struct session *session)
{
	if (session->started)
		pthread_join(session->thread, NULL);
	session->started = false;
	for (size_t i = 0; i < MAX_TABLES; i++) {
		struct seen *seen = &session->seen[i];

		for (size_t k = 0; k < seen->n; k++)
			free(seen->values[k]);
		free(seen->values);
		free(seen->state);
		free(seen->token);
	}
	facts_drop(session->pending, session->n_pending);
	amend_buffer_release(&session->output);
	result_release(&session->result);
}

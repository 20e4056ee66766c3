/*
 * Runs one order of the steps: hands them out one by one, sees from the engine who
 * waits, collects what they say.
 * Leaves what must hold in every order to facts.c, comparing the output to scenario_test.c.
 */
#include "scenario.h"

#include <stdlib.h>

enum { STUCK_MS = 20000 };

/* --- Who waits --- */

/* SQLite: its write lock is one session's alone; who begins meanwhile waits. */
static bool waits_for_writer(struct run *run, const struct session *session)
{
	if (session->db ? !atomic_load(&session->beginning) : !atomic_load(&session->waiting))
		return false;
	for (size_t i = 0; i < run->n; i++) {
		const struct session *other = &run->sessions[i];

		if (other != session && !other->now && atomic_load(&other->holds))
			return true;
	}
	return false;
}

static bool waits_in_server(struct run *run, const struct session *session)
{
	const struct engine_ops *ops = run->engine->private_->ops;
	struct foreign_result result = {.n_rows = 0};
	char sql[160];
	bool waits;

	if (ops->waits_for_row)
		return ops->waits_for_row(run->monitor, strtoul(session->pid, NULL, 10));
	snprintf(sql, sizeof(sql), "SELECT cardinality(pg_blocking_pids(%s)) > 0", session->pid);
	waits = ops->query(run->monitor, sql, &result) &&
		strcmp(amend_buffer_string(&result.text), "t") == 0;
	result_release(&result);
	return waits;
}

static bool waits(struct run *run, const struct session *session)
{
	/* Who does not wait for locks is only not finished yet. */
	if (strstr(session->now->text, "nowait") || strstr(session->now->text, " skip"))
		return false;
	return engine_is(run->engine, "sqlite") ? waits_for_writer(run, session)
						: waits_in_server(run, session);
}

/* As the driver's trace tells of SQLite's lock. */
static void before(void *context, const struct amend_trace_event *event)
{
	struct session *session = context;

	if (event->op == AMEND_TRACE_BEGIN)
		atomic_store(&session->beginning, true);
}

static void after(void *context, const struct amend_trace_event *event)
{
	struct session *session = context;

	if (event->op == AMEND_TRACE_BEGIN && !event->error)
		atomic_store(&session->holds, true);
	if (event->op == AMEND_TRACE_BEGIN)
		atomic_store(&session->beginning, false);
	if (event->op == AMEND_TRACE_COMMIT || event->op == AMEND_TRACE_ROLLBACK)
		atomic_store(&session->holds, false);
}

/* --- One step after another --- */

/* Takes in what has finished; returns whether any had, `*undecided`: some neither finished nor wait. */
static bool look(struct run *run, bool *undecided)
{
	bool any = false;

	*undecided = false;
	pthread_mutex_lock(&run->mutex);
	for (size_t i = 0; i < run->n; i++) {
		struct session *session = &run->sessions[i];

		if (!session->finished)
			continue;
		any = true;
		session->finished = session->said_waiting = false;
		session->now = NULL;
	}
	pthread_mutex_unlock(&run->mutex);
	for (size_t i = 0; i < run->n; i++) {
		struct session *session = &run->sessions[i];

		if (session->now && !waits(run, session))
			*undecided = true;
	}
	return any;
}

/* The one that acted first, then those that it let go on. */
static void say_all(struct run *run, struct amend_buffer *output)
{
	pthread_mutex_lock(&run->mutex);
	for (size_t i = 0; i < run->n; i++) {
		struct session *session = &run->sessions[(run->acting + i) % run->n];

		amend_buffer_text(output, amend_buffer_string(&session->output));
		amend_buffer_reset(&session->output);
		if (!session->now || session->finished || session->said_waiting)
			continue;
		session->said_waiting = true;
		amend_buffer_printf(output, "%s.%s: waits\n", session->plan->name,
				    session->now->name);
	}
	pthread_mutex_unlock(&run->mutex);
}

/* Whether some idle session has a step to do. */
static bool is_ready(const struct run *run)
{
	for (size_t i = 0; i < run->n; i++) {
		if (!run->sessions[i].now && run->sessions[i].taken < run->sessions[i].n_queue)
			return true;
	}
	return false;
}

/* Until every session is idle or waits for another. False: stuck. */
static bool settle(struct run *run, struct amend_buffer *output, bool to_the_end)
{
	int64_t end = now_ms() + STUCK_MS;
	bool undecided, any;

	for (;;) {
		bool busy = false;

		any = look(run, &undecided);
		for (size_t i = 0; i < run->n; i++)
			busy = busy || run->sessions[i].now;
		if (!any && !undecided && (!busy || !to_the_end || is_ready(run)))
			break;
		if (now_ms() > end)
			break;
		if (!any)
			sleep_ms(1);
	}
	say_all(run, output);
	return now_ms() <= end;
}

/* Hands the next step of some idle session out. */
static bool hand_out(struct run *run)
{
	for (size_t i = 0; i < run->n; i++) {
		struct session *session = &run->sessions[i];

		if (session->now || session->taken == session->n_queue)
			continue;
		pthread_mutex_lock(&run->mutex);
		session->now = session->queue[session->taken++];
		run->acting = i;
		pthread_cond_broadcast(&run->changed);
		pthread_mutex_unlock(&run->mutex);
		return true;
	}
	return false;
}

/* A session that waits does its next step when it is done with this one. */
static bool advance(struct run *run, struct amend_buffer *output)
{
	while (hand_out(run)) {
		if (!settle(run, output, false))
			return false;
	}
	return true;
}

static const struct step *find_step(struct run *run, const struct plan *plan, const char *name,
				    size_t size)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct step *step = &plan->steps[i];

		if (strlen(step->name) == size && strncmp(step->name, name, size) == 0 &&
		    scenario_for(run->scenario, run->engine, step->mark))
			return step;
	}
	return NULL;
}

/* "ada.load" into ada's queue; a step that this engine lacks is left out. */
static void enqueue(struct run *run, const char *word, size_t size)
{
	const char *dot = memchr(word, '.', size);

	for (size_t i = 0; dot && i < run->n; i++) {
		struct session *session = &run->sessions[i];
		const struct step *step;

		if (strlen(session->plan->name) != (size_t)(dot - word) ||
		    strncmp(session->plan->name, word, (size_t)(dot - word)) != 0)
			continue;
		step = find_step(run, session->plan, dot + 1, size - (size_t)(dot - word) - 1);
		if (step)
			session->queue[session->n_queue++] = step;
		return;
	}
	facts_wrong(&run->facts, "no session has the step %.*s", (int)size, word);
}

static bool play(struct run *run, const char *order, struct amend_buffer *output)
{
	bool fine = true;

	while (*order && fine) {
		size_t size = strcspn(order, " ");

		enqueue(run, order, size);
		order += size + strspn(order + size, " ");
		fine = advance(run, output);
	}
	/* Whoever still waits for another, waits for a deadlock to be found, or for good. */
	for (;;) {
		bool more = false;

		fine = fine && settle(run, output, true) && advance(run, output);
		for (size_t i = 0; i < run->n; i++)
			more = more || run->sessions[i].now;
		if (!fine || !more)
			break;
	}
	if (!fine)
		facts_wrong(&run->facts, "stuck: a step neither finished nor waits for another's");
	return fine;
}

/* --- Setting up and tearing down --- */

static void must(struct run *run, const char *sql)
{
	struct foreign_result result = {.n_rows = 0};

	if (!run->engine->private_->ops->query(run->monitor, sql, &result))
		fail_at(__FILE__, __LINE__, "%s\n  in %s", amend_buffer_string(&result.text), sql);
	result_release(&result);
}

static void set_up(struct run *run)
{
	static unsigned count;
	struct engine *engine = run->engine;
	struct foreign_result result = {.n_rows = 0};

	if (engine_is(engine, "sqlite"))
		engine->url = engine_printf(engine, "%s/order%u.db", engine->folder, count++);
	else
		engine->url = engine->private_->ops->fresh(engine);
	run->monitor = engine->private_->ops->connect(engine, &run->asking, &result);
	assert_non_null(run->monitor);
	if (engine_is(engine, "sqlite"))
		must(run, "PRAGMA journal_mode = WAL");
	for (size_t i = 0; i < run->scenario->setup.n; i++) {
		if (scenario_for(run->scenario, engine, run->scenario->setup.mark[i]))
			must(run, run->scenario->setup.text[i]);
	}
}

static void guard_table(struct run *run, struct amend_conn *db)
{
	static const enum amend_stale_rule rules[] = {AMEND_STALE_EQUAL, AMEND_STALE_EITHER,
						      AMEND_STALE_NEXT};
	const struct guarding *guard = &run->scenario->guard;
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;
	struct amend_error err;

	options.history = true;
	options.version_column = guard->version_column;
	for (size_t i = 0; i < COUNT(rules); i++) {
		if (strcmp(amend_stale_rule_name(rules[i]), run->scenario->rule) == 0)
			options.stale = rules[i];
	}
	expect_ok(amend_guard(db, guard->table, &options, NULL, &err), &err);
}

static void open_tables(struct run *run, struct amend_conn *db)
{
	struct amend_error err;

	expect_ok(amend_init(db, NULL, &err), &err);
	if (run->scenario->guard.table)
		guard_table(run, db);
	for (size_t i = 0; i < run->scenario->n_tables; i++)
		expect_ok(amend_table_open(db, run->scenario->tables[i], &run->tables[i], &err),
			  &err);
}

/* Lets the client connect; it answers with its process on the server. */
static void open_client(struct run *run, struct session *session)
{
	struct client *client = session->plan->client;
	struct amend_buffer line = AMEND_BUFFER_INIT;
	const char *answer;

	amend_buffer_printf(&line, "open %s %s", run->engine->url, session->plan->name);
	client_tell(client, amend_buffer_string(&line));
	amend_buffer_release(&line);
	answer = client_hear(client);
	if (strncmp(answer, "done ", 5) != 0 || strspn(answer + 5, "-0123456789") == 0)
		fail_at(__FILE__, __LINE__, "%s: %s", session->plan->name, answer);
	snprintf(session->pid, sizeof(session->pid), "%s", answer + 5);
	session_start(session);
}

static void close_session(struct run *run, struct session *session)
{
	if (session->db) {
		connect_close(run->engine, session->db);
	} else if (session->plan->client) {
		client_tell(session->plan->client, "close");
		client_hear(session->plan->client);
	} else {
		run->engine->private_->ops->disconnect(session->handle);
	}
}

static void open_session(struct run *run, struct session *session)
{
	const struct engine_ops *ops = run->engine->private_->ops;
	struct foreign_result result = {.n_rows = 0};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	const char *ask = engine_pick3(run->engine, NULL, "SELECT pg_backend_pid()",
				       "SELECT connection_id()");

	if (session->plan->client) {
		open_client(run, session);
		return;
	}
	if (session->plan->program) {
		run->facts.foreign = true;
		session->handle = ops->connect(run->engine, &session->waiting, &result);
		assert_non_null(session->handle);
		if (ask) {
			assert_true(ops->query(session->handle, ask, &result));
			snprintf(session->pid, sizeof(session->pid), "%s",
				 amend_buffer_string(&result.text));
		}
		result_release(&result);
		session_start(session);
		return;
	}
	session->db = connect_open(run->engine);
	expect_ok(amend_set_author(session->db, session->plan->name, NULL, "scenario", &err), &err);
	if (ask) {
		expect_ok(amend_query(session->db, ask, NULL, 0, &rows, &err), &err);
		snprintf(session->pid, sizeof(session->pid), "%s",
			 amend_rows_at(&rows, 0, 0)->as.text);
		amend_rows_release(&rows);
	}
	connect_trace(run->engine, session->db)->context = session;
	connect_trace(run->engine, session->db)->before = before;
	connect_trace(run->engine, session->db)->after = after;
	session_start(session);
}

static void close_all(struct run *run, bool stuck)
{
	pthread_mutex_lock(&run->mutex);
	run->stop = true;
	pthread_cond_broadcast(&run->changed);
	pthread_mutex_unlock(&run->mutex);
	for (size_t i = 0; stuck && i < run->n; i++) {
		if (run->sessions[i].db)
			amend_interrupt(run->sessions[i].db);
		else if (run->sessions[i].plan->client)
			client_kill(run->sessions[i].plan->client);
		else
			run->engine->private_->ops->cancel(run->sessions[i].handle);
	}
	for (size_t i = 0; i < run->n; i++) {
		session_stop(&run->sessions[i]);
		close_session(run, &run->sessions[i]);
	}
}

bool run_order(struct engine *engine, const struct scenario *scenario, const char *order,
	       struct amend_buffer *output)
{
	struct run *run = calloc(1, sizeof(*run));
	char *first[MAX_TABLES] = {NULL};
	struct amend_conn *watch;
	bool fine;

	run->engine = engine;
	run->scenario = scenario;
	run->n = scenario->n_plans;
	pthread_mutex_init(&run->mutex, NULL);
	pthread_mutex_init(&run->facts.mutex, NULL);
	pthread_cond_init(&run->changed, NULL);
	set_up(run);
	watch = connect_open(engine);
	open_tables(run, watch);
	for (size_t i = 0; i < scenario->n_tables; i++)
		first[i] = facts_dump(watch, run->tables[i]);
	for (size_t i = 0; i < run->n; i++) {
		run->sessions[i].run = run;
		run->sessions[i].plan = &scenario->plans[i];
		open_session(run, &run->sessions[i]);
	}
	fine = play(run, order, output);
	close_all(run, !fine);
	for (size_t i = 0; i < scenario->n_tables; i++) {
		char *last = facts_dump(watch, run->tables[i]);

		facts_check(&run->facts, i, scenario->tables[i], first[i], last);
		for (const char *line = last; *line; line += strcspn(line, "\n") + 1)
			amend_buffer_printf(output, "%s: %.*s\n", scenario->tables[i],
					    (int)strcspn(strchr(line, '\t') + 1, "\n"),
					    strchr(line, '\t') + 1);
		free(last);
		free(first[i]);
		amend_table_close(run->tables[i]);
	}
	facts_history(run);
	facts_finals(run);
	connect_close(engine, watch);
	engine->private_->ops->disconnect(run->monitor);
	fine = run->facts.wrong.size == 0;
	amend_buffer_text(output, amend_buffer_string(&run->facts.wrong));
	facts_release(&run->facts);
	free(run);
	return fine;
}

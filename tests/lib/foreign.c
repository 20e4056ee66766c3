/*
 * SQL outside amend: engine_exec and the foreign connections, on threads where asked.
 * Leaves the client libraries to engine_*.c.
 */
#include "engines_private.h"

#include <stdlib.h>
#include <string.h>

/* --- Results --- */

void result_value(struct foreign_result *result, size_t row, size_t column, const char *text,
		  size_t size)
{
	if (column > 0)
		amend_buffer_char(&result->text, '|');
	else if (row > 0)
		amend_buffer_char(&result->text, '\n');
	if (row == 0 && column == 0) {
		result->first_null = !text;
		result->first_size = text ? size : 0;
	}
	if (text)
		amend_buffer_add(&result->text, text, size);
	else
		amend_buffer_text(&result->text, "NULL");
	result->n_rows = row + 1;
}

void result_fail(struct foreign_result *result, const char *message)
{
	amend_buffer_reset(&result->text);
	amend_buffer_text(&result->text, message);
	while (result->text.size > 0 && result->text.data[result->text.size - 1] == '\n')
		result->text.data[--result->text.size] = '\0';
}

void result_release(struct foreign_result *result)
{
	amend_buffer_release(&result->text);
	*result = (struct foreign_result){.n_rows = 0};
}

/* --- Opening and closing --- */

static void close_foreign(void *thing)
{
	struct foreign *foreign = thing;
	const struct engine_ops *ops = foreign->engine->private_->ops;

	if (foreign->started) {
		ops->cancel(foreign->handle);
		pthread_join(foreign->thread, NULL);
	}
	ops->disconnect(foreign->handle);
	result_release(&foreign->result);
	free(foreign);
}

struct foreign *foreign_open(struct engine *engine)
{
	const struct engine_ops *ops = engine->private_->ops;
	struct foreign *foreign = calloc(1, sizeof(*foreign));

	if (!foreign)
		fail_at(__FILE__, __LINE__, "out of memory");
	foreign->engine = engine;
	foreign->handle = ops->connect(engine, &foreign->waiting, &foreign->result);
	if (!foreign->handle) {
		const char *message = engine_copy(engine,
						  amend_buffer_string(&foreign->result.text));

		result_release(&foreign->result);
		free(foreign);
		fail_at(__FILE__, __LINE__, "no foreign connection: %s", message);
	}
	engine_defer(engine, close_foreign, foreign);
	return foreign;
}

void foreign_close(struct foreign *foreign)
{
	engine_end(foreign->engine, foreign);
}

void *foreign_handle(struct foreign *foreign)
{
	return foreign->handle;
}

/* --- Running --- */

static bool run(struct foreign *foreign, const char *sql)
{
	struct foreign_result *result = &foreign->result;

	amend_buffer_reset(&result->text);
	result->n_rows = 0;
	result->first_null = true;
	return foreign->engine->private_->ops->query(foreign->handle, sql, result);
}

static void must_run(struct foreign *foreign, const char *sql)
{
	if (foreign->started)
		fail_at(__FILE__, __LINE__, "a foreign connection is busy: foreign_finish first");
	if (!run(foreign, sql))
		fail_at(__FILE__, __LINE__, "%s: %s\n  in %s", foreign->engine->name,
			amend_buffer_string(&foreign->result.text), sql);
}

static const char *text_of(struct foreign *foreign)
{
	return engine_copy(foreign->engine, amend_buffer_string(&foreign->result.text));
}

void foreign_exec(struct foreign *foreign, const char *sql)
{
	must_run(foreign, sql);
}

const char *foreign_rows(struct foreign *foreign, const char *sql)
{
	must_run(foreign, sql);
	return text_of(foreign);
}

const char *foreign_try(struct foreign *foreign, const char *sql)
{
	return run(foreign, sql) ? NULL : text_of(foreign);
}

/* --- In a thread --- */

static void *run_started(void *thing)
{
	struct foreign *foreign = thing;

	if (foreign->delay_ms > 0)
		sleep_ms(foreign->delay_ms);
	foreign->ok = run(foreign, foreign->sql);
	return NULL;
}

void foreign_start(struct foreign *foreign, int delay_ms, const char *sql)
{
	if (foreign->started)
		fail_at(__FILE__, __LINE__, "a foreign connection is busy: foreign_finish first");
	foreign->sql = engine_copy(foreign->engine, sql);
	foreign->delay_ms = delay_ms;
	if (pthread_create(&foreign->thread, NULL, run_started, foreign) != 0)
		fail_at(__FILE__, __LINE__, "no thread");
	foreign->started = true;
}

const char *foreign_finish(struct foreign *foreign)
{
	if (!foreign->started)
		fail_at(__FILE__, __LINE__, "foreign_finish of what was not started");
	pthread_join(foreign->thread, NULL);
	foreign->started = false;
	return foreign->ok ? NULL : text_of(foreign);
}

void foreign_wait_blocked(struct foreign *foreign)
{
	const struct engine_ops *ops = foreign->engine->private_->ops;
	int64_t end = now_ms() + 10000;

	while (now_ms() < end) {
		if (ops->blocked ? ops->blocked(foreign->engine, foreign->handle)
				 : atomic_load(&foreign->waiting))
			return;
		sleep_ms(2);
	}
	fail_at(__FILE__, __LINE__, "%s: expected to wait for a lock: %s", foreign->engine->name,
		foreign->sql);
}

/* --- The engine's main foreign connection --- */

static struct foreign *main_of(struct engine *engine)
{
	if (!engine->private_->main)
		engine->private_->main = foreign_open(engine);
	return engine->private_->main;
}

void engine_exec(struct engine *engine, const char *sql)
{
	foreign_exec(main_of(engine), sql);
}

const char *engine_printf(struct engine *engine, const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) >= (int)sizeof(text))
		fail_at(__FILE__, __LINE__, "longer than %zu bytes", sizeof(text));
	va_end(args);
	return engine_copy(engine, text);
}

void engine_execf(struct engine *engine, const char *format, ...)
{
	char sql[8192];
	va_list args;

	va_start(args, format);
	if (vsnprintf(sql, sizeof(sql), format, args) >= (int)sizeof(sql))
		fail_at(__FILE__, __LINE__, "longer than %zu bytes", sizeof(sql));
	va_end(args);
	engine_exec(engine, sql);
}

const char *engine_scalar(struct engine *engine, const char *sql)
{
	struct foreign *foreign = main_of(engine);

	must_run(foreign, sql);
	if (foreign->result.n_rows == 0 || foreign->result.first_null)
		return NULL;
	return amend_arena_text_n(engine_arena(engine), foreign->result.text.data,
				  foreign->result.first_size);
}

const char *engine_rows(struct engine *engine, const char *sql)
{
	return foreign_rows(main_of(engine), sql);
}

void engine_expect_at(struct engine *engine, const char *sql, const char *expected,
		      const char *file, int line)
{
	expect_text_at(engine_rows(engine, sql), expected, sql, file, line);
}

void engine_await_at(struct engine *engine, const char *sql, const char *expected, const char *file,
		     int line)
{
	const int64_t until = now_ms() + 30000;

	while (strcmp(engine_rows(engine, sql), expected) != 0 && now_ms() < until)
		sleep_ms(5);
	engine_expect_at(engine, sql, expected, file, line);
}

/* --- What only servers have --- */

void engine_await_left_at(struct engine *engine, const char *file, int line)
{
	const char *sql = engine_pick3(
		engine, "SELECT 0",
		"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
		"application_name = 'amend-test'",
		"SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND "
		"id <> connection_id()");

	engine_await_at(engine, sql, "0", file, line);
}

void engine_kill_sessions(struct engine *engine)
{
	if (!engine->private_->ops->kill_sessions)
		fail_at(__FILE__, __LINE__, "%s has no sessions to kill", engine->name);
	engine->private_->ops->kill_sessions(engine);
}

const char *engine_url_of_role(struct engine *engine, const char **role)
{
	if (!engine->private_->ops->url_of_role)
		fail_at(__FILE__, __LINE__, "%s has no roles", engine->name);
	return engine->private_->ops->url_of_role(engine, role);
}

/* --- Dialects --- */

const char *engine_sql(struct engine *engine, const char *sql)
{
	const struct engine_ops *ops = engine->private_->ops;
	struct amend_buffer translated = AMEND_BUFFER_INIT;
	char *copy;

	if (ops->translate)
		ops->translate(&translated, sql);
	copy = amend_arena_text(engine_arena(engine), translated.data ? translated.data : sql);
	amend_buffer_release(&translated);
	if (!copy)
		fail_at(__FILE__, __LINE__, "out of memory");
	for (char *c = copy; *c; c++) {
		if (c[0] != '?' || c[1] < '1' || c[1] > '9')
			continue;
		c[0] = engine->driver->dialect->placeholder;
		if (!engine->driver->dialect->numbered) {
			size_t digits = strspn(c + 1, "0123456789");

			memmove(c + 1, c + 1 + digits, strlen(c + 1 + digits) + 1);
		}
	}
	return copy;
}

const char *engine_pick3(const struct engine *engine, const char *sqlite, const char *postgres,
			 const char *mariadb)
{
	return engine_is(engine, "mariadb") ? mariadb : engine_pick(engine, sqlite, postgres);
}

const char *engine_pick(const struct engine *engine, const char *sqlite, const char *postgres)
{
	return engine_is(engine, "sqlite") || engine_is(engine, "fake") ? sqlite : postgres;
}

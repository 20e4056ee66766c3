/*
 * The PostgreSQL driver with every allocation of its own failing in turn: NO_MEMORY, nothing
 * leaked, and the connection as good as before. libpq's own allocations do not fail here.
 * Skipped without AMEND_TEST_POSTGRES.
 */
#include "checks.h"
#include "memory.h"

#include <stdlib.h>

#include "core/arena.h"
#include "sql/driver.h"

static enum amend_status look(struct amend_session *session, struct amend_arena *arena,
			      struct amend_error *err)
{
	const struct amend_driver *driver = amend_driver_postgres;
	const struct amend_value values[] = {amend_text("1"), amend_integer(1)};
	const struct amend_statement statements[] = {
		{.sql = "SELECT 1 AS one"},
		{.sql = "SELECT $1::text, $2::text", .values = values, .n_values = 2},
		{.sql = "SELECT 1 AS one"},
	};
	struct amend_rows rows[3];
	struct amend_table table = {0};
	struct amend_canon items[4];
	enum amend_status status;
	size_t failed;
	bool visible;

	status = driver->run(session, statements, 1, rows, &failed, err);
	amend_rows_release(&rows[0]);
	if (status == AMEND_OK) {
		status = driver->run(session, statements, 3, rows, &failed, err);
		if (status == AMEND_OK)
			expect_text(amend_rows_at(&rows[1], 0, 1)->as.text, "1");
		for (size_t i = 0; i < 3; i++)
			amend_rows_release(&rows[i]);
	}
	if (status == AMEND_OK)
		status = driver->describe(session, "amend_memory", "t", arena, &table, &visible,
					  err);
	if (status != AMEND_OK)
		return status;
	items[0] = (struct amend_canon){.column = &table.columns[0], .in = amend_text("007")};
	items[1] = (struct amend_canon){.column = &table.columns[1], .in = amend_text("1.005")};
	items[2] = (struct amend_canon){.column = &table.columns[1], .in = amend_text("x")};
	items[3] = (struct amend_canon){.column = &table.columns[2], .in = amend_text("a")};
	status = driver->canonicalise(session, items, 4, arena, err);
	if (status == AMEND_OK) {
		expect_text(items[0].out.as.text, "7");
		expect_text(items[1].out.as.text, "1.01");
		assert_non_null(items[2].problem);
		expect_text(items[3].out.as.text, "a  ");
	}
	return status;
}

static enum amend_status use(const char *url, bool inside, struct amend_error *err)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const struct amend_begin begin = {.lock_timeout_ms = 100};
	const struct amend_driver *driver = amend_driver_postgres;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_session *session = NULL;
	enum amend_status status = driver->open(url, &options, &session, err);

	if (status != AMEND_OK)
		return status;
	if (inside)
		status = driver->begin(session, &begin, err);
	if (status == AMEND_OK)
		status = look(session, &arena, err);
	if (status == AMEND_OK && inside)
		status = driver->commit(session, err);
	if (status != AMEND_OK) { /* what is left is sound */
		const struct amend_statement select = {.sql = "SELECT 2", .once = true};
		struct amend_rows rows = AMEND_ROWS_INIT;
		struct amend_error after;
		size_t failed;

		expect_ok(driver->rollback(session, &after), &after);
		expect_ok(driver->run(session, &select, 1, &rows, &failed, &after), &after);
		expect_text(rows.values[0].as.text, "2");
		amend_rows_release(&rows);
	}
	amend_arena_release(&arena);
	driver->close(session);
	return status;
}

static void run_alone(const char *url, const char *sql)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const struct amend_statement statement = {.sql = sql, .once = true};
	struct amend_session *session = NULL;
	struct amend_error err;
	size_t failed;

	expect_ok(amend_driver_postgres->open(url, &options, &session, &err), &err);
	expect_ok(amend_driver_postgres->run(session, &statement, 1, NULL, &failed, &err), &err);
	amend_driver_postgres->close(session);
}

static void every_failed_allocation_is_survived(void **state)
{
	const char *url = getenv("AMEND_TEST_POSTGRES");

	(void)state;
	if (!url || !*url) {
		say_left_out(__func__, "no server");
		return;
	}
	run_alone(url, "DROP SCHEMA IF EXISTS amend_memory CASCADE");
	run_alone(url, "CREATE SCHEMA amend_memory CREATE TABLE t (id integer PRIMARY KEY "
		       "REFERENCES t, n numeric(6,2) UNIQUE DEFAULT 1, c char(3) COLLATE \"C\")");
	for (int inside = 0; inside < 2; inside++) {
		unsigned survived = 0;
		long live = memory_live();

		for (unsigned n = 1;; n++) {
			struct amend_error err;
			enum amend_status status;

			memory_fail(n);
			status = use(url, inside, &err);
			if (!memory_failed()) {
				expect_ok(status, &err);
				assert_true(n > 10);
				break;
			}
			/* Without memory for a statement's name it has none. */
			if (status == AMEND_OK)
				survived++;
			else
				expect_status(AMEND_NO_MEMORY, status, &err);
			assert_int_equal(memory_live(), live);
		}
		assert_true(survived <= 10);
	}
	run_alone(url, "DROP SCHEMA amend_memory CASCADE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

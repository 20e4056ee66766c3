/*
 * The SQLite driver with every allocation of its own failing in turn: NO_MEMORY, nothing leaked,
 * and the connection as good as before. SQLite's own allocations do not fail here.
 */
#include "checks.h"
#include "memory.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/arena.h"
#include "sql/driver.h"

static enum amend_status look(struct amend_session *session, struct amend_arena *arena,
			      struct amend_error *err)
{
	const struct amend_driver *driver = amend_driver_sqlite;
	const struct amend_statement select = {.sql = "SELECT * FROM t"};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_table table = {0}, other = {0};
	struct amend_canon items[3];
	enum amend_status status;
	size_t failed;
	bool visible;

	status = driver->run(session, &select, 1, &rows, &failed, err);
	if (status == AMEND_OK)
		assert_int_equal(rows.n_rows, 2);
	amend_rows_release(&rows);
	if (status == AMEND_OK)
		status = driver->describe(session, NULL, "t", arena, &table, &visible, err);
	if (status == AMEND_OK &&
	    driver->describe(session, NULL, "tt", arena, &other, &visible, err) != AMEND_NOT_FOUND)
		status = err->status;
	if (status != AMEND_OK)
		return status;
	items[0] = (struct amend_canon){.column = &table.columns[0], .in = amend_text("1e2")};
	items[1] = (struct amend_canon){.column = &table.columns[1], .in = amend_real(2)};
	items[2] = (struct amend_canon){.column = &table.columns[0], .in = amend_text("x")};
	status = driver->canonicalise(session, items, 3, arena, err);
	if (status == AMEND_OK) {
		assert_int_equal(items[0].out.as.integer, 100);
		assert_non_null(items[2].problem);
	}
	return status;
}

static enum amend_status use(const char *path, struct amend_error *err)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const struct amend_begin begin = {.lock_timeout_ms = 100};
	const struct amend_driver *driver = amend_driver_sqlite;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_session *session = NULL;
	enum amend_status status = driver->open(path, &options, &session, err);

	if (status != AMEND_OK)
		return status;
	status = driver->begin(session, &begin, err);
	if (status == AMEND_OK)
		status = look(session, &arena, err);
	if (status == AMEND_OK)
		status = driver->commit(session, err);
	amend_arena_release(&arena);
	driver->close(session);
	return status;
}

static void make_table(const char *path)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const struct amend_statement statements[] = {
		{.sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE DEFAULT 'x',"
			" c UNIQUE REFERENCES t)"},
		{.sql = "INSERT INTO t VALUES (1, 'one', NULL), (2, 'two', 1)"},
	};
	struct amend_session *session = NULL;
	struct amend_error err;
	size_t failed;

	expect_ok(amend_driver_sqlite->open(path, &options, &session, &err), &err);
	expect_ok(amend_driver_sqlite->run(session, statements, 2, NULL, &failed, &err), &err);
	amend_driver_sqlite->close(session);
}

static void every_failed_allocation_is_survived(void **state)
{
	const char *tmp = getenv("AMEND_TEST_TMP");
	char folder[200], path[256];
	unsigned survived = 0;
	long live;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/memory.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/app.db", folder);
	make_table(path);
	live = memory_live();
	for (unsigned n = 1;; n++) {
		struct amend_error err;
		enum amend_status status;

		memory_fail(n);
		status = use(path, &err);
		if (!memory_failed()) {
			expect_ok(status, &err);
			assert_true(n > 10);
			break;
		}
		/* Without memory for the turn there is none; without it for a hint, neither. */
		if (status == AMEND_OK)
			survived++;
		else
			expect_status(AMEND_NO_MEMORY, status, &err);
		assert_int_equal(memory_live(), live);
	}
	assert_true(survived <= 2);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

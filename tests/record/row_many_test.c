/*
 * The whole table, and the rows of many keys: whatever the identity, whoever writes meanwhile.
 * Leaves single rows to row_test.c.
 */
#include "ask.h"

#include <stdlib.h>

#include "record/road.h"

enum { ROWS = 2500 };

struct kept {
	struct road *road;
	struct amend_row rows[2 * ROWS];
	size_t n;
};

static enum amend_status keep(void *context, const struct amend_row *row, struct amend_error *err)
{
	struct kept *kept = context;

	assert_null(row->pk);
	assert_in_range(kept->n, 0, 2 * ROWS - 1);
	return amend_row_keep(kept->road->table, row, engine_arena(kept->road->engine),
			      &kept->rows[kept->n++], err);
}

static int by_pk(const void *a, const void *b)
{
	return strcmp(((const struct amend_row *)a)->pk, ((const struct amend_row *)b)->pk);
}

static struct kept *scan(struct road *road)
{
	struct kept *kept = amend_arena_alloc(engine_arena(road->engine), sizeof(*kept));

	kept->road = road;
	expect_ok(amend_row_scan(road->db, road->table, keep, kept, &road->err), &road->err);
	qsort(kept->rows, kept->n, sizeof(kept->rows[0]), by_pk);
	for (size_t i = 1; i < kept->n; i++)
		assert_string_not_equal(kept->rows[i].pk, kept->rows[i - 1].pk);
	return kept;
}

/* Each row once, as amend_row_again finds it. */
static void expect_all(struct road *road, size_t n)
{
	struct kept *kept = scan(road);

	assert_int_equal(kept->n, n);
	for (size_t i = 0; i < kept->n; i += i % 50 == 49 ? 50 : 1) {
		struct amend_row now;
		bool there;

		expect_ok(amend_row_again(road->db, road->table, &kept->rows[i], NULL,
					  engine_arena(road->engine), &now, &there, &road->err),
			  &road->err);
		assert_true(there);
		expect_text(now.pk, kept->rows[i].pk);
		assert_true(amend_value_equal(&now.version, &kept->rows[i].version));
		assert_true(amend_value_equal(&now.rowid, &kept->rows[i].rowid));
		for (size_t j = 0; j < road->table->n_columns; j++)
			assert_true(amend_value_equal(&now.values[j], &kept->rows[i].values[j]));
	}
}

static void fill(struct engine *engine, const char *create, const char *select)
{
	engine_exec(engine, create);
	engine_execf(
		engine, "INSERT INTO t %s",
		engine_printf(engine,
			      engine_is(engine, "sqlite")
				      ? "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1"
					" FROM n WHERE i < %d) SELECT %s FROM n"
			      : engine_is(engine, "mariadb")
				      ? "WITH n (i) AS (SELECT seq FROM seq_1_to_%d) SELECT %s"
					" FROM n"
				      : "WITH n (i) AS (SELECT generate_series(1, %d)) SELECT %s"
					" FROM n",
			      ROWS, select));
}

static void every_identity_of(struct engine *engine)
{
	static const struct {
		const char *create, *select, *only;
	} tables[] = {
		{"CREATE TABLE t (id integer PRIMARY KEY, v text)", "i * 3, 'v' || i", NULL},
		{"CREATE TABLE t (v text, k text PRIMARY KEY)",
		 "CASE WHEN i % 2 = 0 THEN 'even' END, 'k' || (i * 7919 % 2500)", NULL},
		/* Only the second column tells rows of one page from those of the next. */
		{"CREATE TABLE t (a text, b integer, v text, PRIMARY KEY (a, b))",
		 "'a' || (i % 2), i, ''", NULL},
		{"CREATE TABLE t (a text NOT NULL, b integer NOT NULL, v text, UNIQUE (b, a))",
		 "'a' || i, i % 2, NULL", NULL},
		{"CREATE TABLE t (k text PRIMARY KEY, v text) WITHOUT ROWID", "'k' || i, i",
		 "sqlite"},
		{"CREATE TABLE t (v text)", "'v' || (i % 3)", "sqlite"},
		{"CREATE TABLE t (k text PRIMARY KEY COLLATE NOCASE, v text)",
		 "CASE i % 2 WHEN 0 THEN 'k' ELSE 'K' END || i, i", "sqlite"},
		{"CREATE TABLE t (k PRIMARY KEY, v text)",
		 "CASE i % 4 WHEN 0 THEN i WHEN 1 THEN i + 0.5 WHEN 2 THEN 't' || i"
		 " ELSE CAST('b' || i AS blob) END, i",
		 "sqlite"},
	};

	for (size_t i = 0; i < COUNT(tables); i++) {
		struct road *road;

		if (tables[i].only && !engine_is(engine, tables[i].only))
			continue;
		fill(engine, tables[i].create, tables[i].select);
		road = road_open(engine, "t");
		expect_all(road, ROWS);
		/* As many as pages hold, one more, one less, one, none. */
		if (road->table->n_identity && i == 0) {
			static const int sizes[] = {2000, 1999, 1001, 1000, 999, 1, 0};

			for (size_t j = 0; j < COUNT(sizes); j++) {
				engine_execf(engine, "DELETE FROM t WHERE id > %d", 3 * sizes[j]);
				expect_all(road, (size_t)sizes[j]);
			}
		}
		road_close(road);
		engine_exec(engine, "DROP TABLE t");
	}
}

/* SQLite reads in pages, and in one go. */
static void every_identity(struct engine *engine)
{
	every_identity_of(engine);
	if (!engine_is(engine, "sqlite"))
		return;
	engine_exec(engine, "PRAGMA journal_mode = wal");
	every_identity_of(engine);
}

static enum amend_status count(void *context, const struct amend_row *row, struct amend_error *err)
{
	size_t *counts = context;
	bool null = row->values[0].kind == AMEND_NULL || row->values[1].kind == AMEND_NULL;

	(void)err;
	counts[null]++;
	return AMEND_OK;
}

/* SQLite lets primary keys be NULL: such rows are handed out, and cannot be named. */
static void nulls(struct engine *engine)
{
	size_t counts[2] = {0, 0};
	struct road *road;
	struct kept *kept;

	fill(engine, "CREATE TABLE t (a text, b text, PRIMARY KEY (a, b))",
	     "CASE WHEN i % 100 = 0 THEN NULL ELSE i END, CASE WHEN i % 90 = 1 THEN NULL ELSE 'b' END");
	road = road_open(engine, "t");
	expect_ok(amend_row_scan(road->db, road->table, count, counts, &road->err), &road->err);
	assert_int_equal(counts[0] + counts[1], ROWS);
	assert_int_equal(counts[1], 25 + 28);
	kept = amend_arena_alloc(engine_arena(engine), sizeof(*kept));
	kept->road = road;
	expect_status(AMEND_UNSUPPORTED,
		      amend_row_scan(road->db, road->table, keep, kept, &road->err), &road->err);
	expect_contains(road->err.text, "NULL in its primary key");
}

struct meddler {
	struct engine *engine;
	unsigned scans;
};

static void meddle(void *context, const struct amend_trace_event *event)
{
	struct meddler *meddler = context;

	if (event->op != AMEND_TRACE_SCAN || ++meddler->scans < 2)
		return;
	/* Between two pages nothing is open that another's commit would wait for. */
	engine_execf(meddler->engine, "DELETE FROM t WHERE id = %u", meddler->scans);
	engine_execf(meddler->engine, "DELETE FROM t WHERE id = %u", ROWS - meddler->scans);
	engine_execf(meddler->engine, "INSERT INTO t VALUES (-%u, 'new')", meddler->scans);
}

static void others_write_meanwhile(struct engine *engine)
{
	struct meddler meddler = {.engine = engine};
	struct road *road;
	struct kept *kept;

	fill(engine, "PRAGMA journal_mode = delete; CREATE TABLE t (id integer PRIMARY KEY, v text)",
	     "i, 'v'");
	road = road_open(engine, "t");
	road->trace.before = meddle;
	road->trace.context = &meddler;
	kept = scan(road);
	assert_int_equal(meddler.scans, 3);
	assert_int_equal(kept->n, ROWS - 2);
}

/* --- the rows of many keys ---------------------------------------------- */

static void find(struct road *road, const char *column, const char *const *keys, size_t n,
		 const struct amend_lock *lock, const char *expected)
{
	struct amend_arena *arena = engine_arena(road->engine);
	struct amend_value *values = amend_arena_array(arena, n, sizeof(*values));
	struct amend_row *rows = amend_arena_array(arena, n, sizeof(*rows));
	unsigned char *found = amend_arena_alloc(arena, n);
	const uint32_t which = (uint32_t)amend_table_column(road->table, column);
	struct amend_buffer text = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < n; i++)
		values[i] = amend_text(keys[i]);
	memset(found, 9, n);
	expect_ok(amend_row_find_many(road->db, road->table, &which, 1, values, n, lock, arena,
				      rows, found, &road->err),
		  &road->err);
	for (size_t i = 0; i < n; i++)
		amend_buffer_printf(&text, "%s%d%s", i ? " " : "", found[i],
				    found[i] == 1 ? rows[i].pk : "");
	expect_text(amend_buffer_string(&text), expected);
	amend_buffer_release(&text);
}

/* Equal is what the column says. */
static void columns_own_rule(struct engine *engine)
{
	static const char *const keys[] = {"Ada", "ada", "ada ", "bob", "nobody"};
	static const char *const numbers[] = {"1.5", "1.50", "2"};
	static const char *const moods[] = {"ok", "sad"};
	static const char *const lists[] = {"{1,2}", "{2}"};
	struct road *road;

	engine_exec(engine,
		    "CREATE TYPE mood AS ENUM ('ok', 'sad');"
		    "CREATE TABLE t (id integer PRIMARY KEY, c char(5) UNIQUE, n numeric UNIQUE,"
		    " m mood, l integer[] UNIQUE, v varchar(3));"
		    "INSERT INTO t VALUES (1, 'ada', 1.5, 'ok', '{1,2}', 'abc'),"
		    " (2, 'bob', 2, 'ok', '{}', 'ab'), (3, NULL, NULL, 'sad', NULL, NULL)");
	road = road_open(engine, "t");
	find(road, "c", keys, 5, NULL, "0 1{\"id\":1} 1{\"id\":1} 1{\"id\":2} 0");
	find(road, "n", numbers, 3, NULL, "1{\"id\":1} 1{\"id\":1} 1{\"id\":2}");
	find(road, "m", moods, 2, NULL, "2 1{\"id\":3}");
	find(road, "l", lists, 2, NULL, "1{\"id\":1} 0");
	/* Not cut to three characters. */
	find(road, "v", (const char *const[]){"abcd", "abc"}, 2, NULL, "0 1{\"id\":1}");
}

/* The same; and what a column cannot hold is found nowhere, where the server would cut or round it to what is there. */
static void columns_own_width(struct engine *engine)
{
	static const char *const keys[] = {"Ada", "\303\241da", "ada ", "adab", "nobody", ""};
	static const char *const small[] = {"-1", "0", "255", "300", "65535"};
	static const char *const large[] = {"18446744073709551615", "9223372036854775807",
					    "18446744073709551616", "-1"};
	static const char *const times[] = {"2024-02-29 07:05:06.5", "2024-02-29 07:05:06",
					    "2024-02-29 07:05:06.51"};
	const struct amend_lock lock = {true, AMEND_FOR_UPDATE, AMEND_WAIT};
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, c varchar(3) COLLATE "
		    "utf8mb4_general_ci UNIQUE, s tinyint unsigned UNIQUE, b bigint unsigned "
		    "UNIQUE, at datetime(1) UNIQUE, p decimal(6,2) UNIQUE, f char(3) UNIQUE);"
		    "INSERT INTO t VALUES (1, 'ada', 0, 18446744073709551615, "
		    "'2024-02-29 07:05:06.5', 1.5, 'x'), "
		    "(2, '', 255, 9223372036854775807, '2024-02-29 07:05:06', 2, 'xyz')");
	road = road_open(engine, "t");
	find(road, "c", keys, 6, NULL, "1{\"id\":1} 1{\"id\":1} 1{\"id\":1} 0 0 1{\"id\":2}");
	find(road, "s", small, 5, NULL, "0 1{\"id\":1} 1{\"id\":2} 0 0");
	find(road, "b", large, 4, NULL, "1{\"id\":1} 1{\"id\":2} 0 0");
	find(road, "at", times, 3, NULL, "1{\"id\":1} 1{\"id\":2} 0");
	find(road, "p", (const char *const[]){"1.50", "1.51", "99999"}, 3, NULL, "1{\"id\":1} 0 0");
	find(road, "f", (const char *const[]){"x", "xy", "xyzz"}, 3, &lock, "1{\"id\":1} 0 0");
}

static void nocase(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, k text COLLATE NOCASE UNIQUE, v);"
		    "INSERT INTO t VALUES (1, 'Ada', 1), (2, 'bob', 1), (3, NULL, NULL)");
	road = road_open(engine, "t");
	find(road, "k", (const char *const[]){"ADA", "ada", "", "Bob"}, 4, NULL,
	     "1{\"id\":1} 1{\"id\":1} 0 1{\"id\":2}");
}

/* More rows of one key than a byte counts, more keys than a statement takes. */
static void many_and_several(struct engine *engine)
{
	enum { KEYS = 11000 };
	struct amend_arena *arena = engine_arena(engine);
	const char **keys = amend_arena_array(arena, KEYS, sizeof(*keys));
	struct amend_buffer expected = AMEND_BUFFER_INIT;
	struct road *road;

	fill(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)",
	     "i, CASE WHEN i > 1000 THEN 'same' ELSE 'v' || i END");
	road = road_open(engine, "t");
	for (int i = 0; i < KEYS; i++) {
		keys[i] = i % 1000 == 7 ? "same" : engine_printf(engine, "v%d", i);
		amend_buffer_text(&expected, i ? " " : "");
		if (i % 1000 == 7)
			amend_buffer_text(&expected, "2");
		else if (i == 0 || i > 1000)
			amend_buffer_text(&expected, "0");
		else
			amend_buffer_printf(&expected, "1{\"id\":%d}", i);
	}
	find(road, "v", keys, KEYS, NULL, amend_buffer_string(&expected));
	amend_buffer_release(&expected);
}

static enum amend_status lock_all(struct amend_conn *db, void *context, struct amend_error *err)
{
	static const struct amend_lock lock = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

	(void)db;
	(void)err;
	find(context, "id", (const char *const[]){"3", "2", "1", "4"}, 4, &lock,
	     "1{\"id\":3} 1{\"id\":2} 1{\"id\":1} 0");
	return AMEND_OK;
}

static enum amend_status lock_some(struct amend_conn *db, void *context, struct amend_error *err)
{
	static const struct amend_lock skip = {true, AMEND_FOR_UPDATE, AMEND_SKIP_LOCKED};
	static const struct amend_lock nowait = {true, AMEND_FOR_UPDATE, AMEND_NOWAIT};
	struct road *road = context;
	struct amend_value value = amend_text("1");
	struct amend_row row;
	unsigned char found;
	const uint32_t id = 0;

	find(road, "id", (const char *const[]){"3", "1", "2"}, 3, &skip,
	     "1{\"id\":3} 0 1{\"id\":2}");
	return amend_row_find_many(db, road->table, &id, 1, &value, 1, &nowait,
				   engine_arena(road->engine), &row, &found, err);
}

/* While the first row is waited for, those behind it are still free. */
static void locks_in_order(struct engine *engine)
{
	struct foreign *holder, *other;
	struct road *road;

	/* Inserted, and found on the page, in the opposite order. */
	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text);"
			    "INSERT INTO t VALUES (3, 'c'), (2, 'b'), (1, 'a')");
	holder = foreign_open(engine);
	other = foreign_open(engine);
	road = road_open(engine, "t");
	foreign_exec(holder, "BEGIN; UPDATE t SET v = 'held' WHERE id = 1");
	foreign_start(other, 300, "SELECT id FROM t WHERE id IN (2, 3) FOR UPDATE NOWAIT");
	foreign_start(holder, 3000, "COMMIT");
	expect_ok(amend_atomic(road->db, NULL, lock_all, road, &road->err), &road->err);
	assert_null(foreign_finish(other));
	assert_null(foreign_finish(holder));
	foreign_exec(holder, "BEGIN; UPDATE t SET v = 'held' WHERE id = 1");
	expect_status(AMEND_LOCKED, amend_atomic(road->db, NULL, lock_some, road, &road->err),
		      &road->err);
	foreign_exec(holder, "COMMIT");
}

static const struct engine_test tests[] = {
	{"scan: each row once, whatever identifies it", every_identity},
	{"scan: rows that nothing names", nulls, .only = "sqlite"},
	{"scan: others write between its pages", others_write_meanwhile, .only = "sqlite"},
	{"find many: equal is what the column says", columns_own_rule, .only = "postgresql"},
	{"find many: equal is what the column says, however wide", columns_own_width,
	 .only = "mariadb"},
	{"find many: equal without letter case", nocase, .only = "sqlite"},
	{"find many: many keys, of several rows", many_and_several},
	{"find many: locks in the order of identity", locks_in_order,
	 .needs = AMEND_HAS_ROW_LOCK | AMEND_HAS_ARRAYS},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

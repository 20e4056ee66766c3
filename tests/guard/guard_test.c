/*
 * Guarded tables: what every writer's statement does to version and history, on each engine.
 * Leaves other programs' client libraries to clients.py, and amend's own road to guarded_road_test.c.
 */
#include "ask.h"

#include <stdlib.h>

#include "core/buffer.h"

/* ---- helpers ---- */

static void guard_with(struct road *road, const char *table,
		       const struct amend_guard_options *options)
{
	expect_ok(amend_guard(road->db, table, options, NULL, &road->err), &road->err);
}

/* Options NULL: once more, as it stands. */
#define guard(road, table, ...) \
	guard_with(road, table, &(const struct amend_guard_options){__VA_ARGS__})

/* A table of one row, id 1, name Ada, n 1, and its version called v; `more` goes into the table's definition. */
static struct road *open_guarded(struct engine *engine, const struct amend_guard_options *options)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, name text, n integer, "
			    "v integer NOT NULL DEFAULT 1)");
	engine_exec(engine, "INSERT INTO t (id, name, n) VALUES (1, 'Ada', 1)");
	road = road_open(engine, NULL);
	guard_with(road, "t", options);
	road_table(road, "t");
	return road;
}

#define open_t(engine, ...)                                       \
	open_guarded(engine, &(const struct amend_guard_options){ \
				     .version_column = "v", .history = true, __VA_ARGS__})

static const char *tried(struct engine *engine, const char *sql)
{
	struct foreign *foreign = foreign_open(engine);
	const char *message = foreign_try(foreign, sql);

	message = message ? engine_printf(engine, "%s", message) : NULL;
	foreign_close(foreign);
	return message;
}

static void passes(struct engine *engine, const char *sql)
{
	const char *message = tried(engine, sql);

	if (message)
		fail_at(__FILE__, __LINE__, "%s: %s", sql, message);
}

static void is_stale(struct engine *engine, const char *sql)
{
	const char *message = tried(engine, sql);

	if (!message)
		fail_at(__FILE__, __LINE__, "%s: it passed", sql);
	expect_contains(message,
			engine_pick(engine, "was changed after it was read", "was written"));
}

/* "update {"id":1} {"n":[1,2],...}", oldest first; versions left out where `plain`. */
static const char *changes(struct engine *engine)
{
	return engine_rows(engine,
			   engine_pick(engine,
				       "SELECT op, pk, was, fields FROM amend_change ORDER BY id",
				       "SELECT op, pk, was, fields FROM amend.change ORDER BY id"));
}

static const char *revisions(struct engine *engine)
{
	return engine_scalar(engine, engine_pick(engine, "SELECT count(*) FROM amend_revision",
						 "SELECT count(*) FROM amend.revision"));
}

#define expect_changes(engine, text) \
	expect_text_at(changes(engine), text, "changes", __FILE__, __LINE__)

/* MariaDB's, of this database. */
#define TRIGGERS                                                                   \
	"SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = " \
	"DATABASE() AND trigger_name LIKE 'amend_guard%'"

/* ---- versions ---- */

static void every_write_moves(struct engine *engine)
{
	open_guarded(engine, &(const struct amend_guard_options){.version_column = "v"});
	passes(engine, "UPDATE t SET n = 2");
	engine_expect(engine, "SELECT n, v FROM t", "2|2");
	passes(engine, "UPDATE t SET n = 2");
	engine_expect(engine, "SELECT n, v FROM t", "2|3");
	passes(engine,
	       "INSERT INTO t (id, n) VALUES (1, 7) ON CONFLICT (id) DO UPDATE SET n = excluded.n");
	engine_expect(engine, "SELECT n, v FROM t", "7|4");
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_change",
				  "SELECT count(*) FROM amend.change"),
		      "0");
}

/* What a rule lets pass, with the version there being 5: as read, the next, another; and none. */
static void rule(struct engine *engine, enum amend_stale_rule stale, const char *as_read,
		 const char *next, const char *other)
{
	static const char reset[] = "UPDATE t SET n = 0";
	const char *const expected[] = {as_read, next, other};
	const char *const written[] = {"v", "v + 1", "v - 1"};
	struct road *road = open_guarded(
		engine, &(const struct amend_guard_options){.version_column = "v", .stale = stale});

	(void)road;
	passes(engine, "UPDATE t SET n = 1");
	for (size_t i = 0; i < COUNT(expected); i++) {
		const char *sql = engine_printf(engine, "UPDATE t SET n = 9, v = %s", written[i]);
		long before;

		passes(engine, reset);
		before = atol(engine_scalar(engine, "SELECT v FROM t"));
		if (!expected[i]) {
			is_stale(engine, sql);
			engine_expect(engine, "SELECT n FROM t", "0");
			continue;
		}
		passes(engine, sql);
		assert_int_equal(atol(engine_scalar(engine, "SELECT v FROM t")), before + 1);
	}
}

static void equal_rule(struct engine *engine)
{
	rule(engine, AMEND_STALE_EQUAL, "passes", NULL, NULL);
}

static void either_rule(struct engine *engine)
{
	rule(engine, AMEND_STALE_EITHER, "passes", "passes", NULL);
}

static void next_rule(struct engine *engine)
{
	rule(engine, AMEND_STALE_NEXT, NULL, "passes", NULL);
}

static void the_error_says_who(struct engine *engine)
{
	struct attempt attempt;
	struct amend_session *session = NULL;

	open_t(engine, .stale = AMEND_STALE_EQUAL);
	passes(engine,
	       engine_pick(engine, "UPDATE t SET n = 2",
			   "BEGIN; SET LOCAL amend.actor = 'Anna'; UPDATE t SET n = 2; COMMIT"));
	session = session_open(engine);
	attempt = session_try(engine, session, "UPDATE t SET n = 3, v = 1");
	expect_error(AMEND_STALE, "ZV409", attempt);
	expect_contains(attempt.error.text,
			engine_pick(engine, "t was changed after it was read",
				    "t: version 1 was written, 2 is there, changed by Anna at 20"));
}

/* Hibernate, Rails, SQLAlchemy under the rule `equal`: always refused, so they are told why. */
static void who_counts_is_told_the_rule(struct engine *engine)
{
	bool mariadb = engine_is(engine, "mariadb");
	const char *hint = mariadb ? "needs amend guard --stale either"
				   : "needs amend guard --stale next";
	struct road *road = open_t(engine, .stale = AMEND_STALE_EQUAL);

	expect_contains(tried(engine, "UPDATE t SET n = 2, v = v + 1"), hint);
	assert_null(strstr(tried(engine, "UPDATE t SET n = 2, v = v + 2"), hint));
	guard(road, "t", .version_column = "v",
	      .stale = mariadb ? AMEND_STALE_EITHER : AMEND_STALE_NEXT, .history = true);
	passes(engine, "UPDATE t SET n = 2, v = v + 1");
	assert_null(strstr(tried(engine, "UPDATE t SET n = 2, v = v + 2"), hint));
}

/* The ledger writes such names in quotes. */
static void names_that_need_quotes(struct engine *engine)
{
	static const char *const names[] = {"a b",   "it's",  "a.b",  "\u00fcn\u00ef",
					    "order", "Stock", "\"q\""};

	for (size_t i = 0; i < COUNT(names); i++) {
		struct amend_buffer quoted = AMEND_BUFFER_INIT;
		struct road *road;

		amend_buffer_char(&quoted, '"');
		for (const char *at = names[i]; *at; at++) {
			amend_buffer_char(&quoted, *at);
			if (*at == '"')
				amend_buffer_char(&quoted, *at);
		}
		amend_buffer_char(&quoted, '"');
		engine_execf(engine, "CREATE TABLE %s (id integer PRIMARY KEY, n integer)",
			     amend_buffer_string(&quoted));
		engine_execf(engine, "INSERT INTO %s VALUES (1, 1)", amend_buffer_string(&quoted));
		road = road_open(engine, NULL);
		guard(road, amend_buffer_string(&quoted), .history = true);
		road_close(road);
		road = road_open(engine, amend_buffer_string(&quoted));
		ok(road, .keys = "id=1", .set = "n=2");
		ok(road, .keys = "id=1", .set = "n=3");
		road_close(road);
		amend_buffer_release(&quoted);
	}
}

static void added_column(struct engine *engine)
{
	struct road *road;
	long first;
	bool changed = true;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 1)");
	road = road_open(engine, NULL);
	guard(road, "t", .version_column = "rev", .history = true);
	expect_ok(amend_guard(road->db, "t", NULL, &changed, &road->err), &road->err);
	assert_false(changed);
	first = atol(engine_scalar(engine, "SELECT rev FROM t"));
	assert_true(first > 1700000000000);
	/* Made anew, a record gets no version that it had before. */
	passes(engine, "UPDATE t SET n = 2; DELETE FROM t; INSERT INTO t (id, n) VALUES (1, 5)");
	assert_true(atol(engine_scalar(engine, "SELECT rev FROM t")) > first + 1);
	expect_contains(changes(engine), engine_printf(engine,
						       "create|{\"id\":1}|NULL|{\"id\":[null,1],"
						       "\"n\":[null,5],\"rev\":[null,%s]}",
						       engine_scalar(engine, "SELECT rev FROM t")));
}

static void columns_that_cannot(struct engine *engine)
{
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, name text, n integer)");
	road = road_open(engine, NULL);
	options.version_column = "name";
	expect_status(AMEND_INVALID, amend_guard(road->db, "t", &options, NULL, &road->err),
		      &road->err);
	expect_contains(road->err.text, "a version is an integer");
	options.version_column = "n";
	expect_status(AMEND_INVALID, amend_guard(road->db, "t", &options, NULL, &road->err),
		      &road->err);
	expect_contains(road->err.text, "may be NULL");
	options.version_column = "id";
	expect_status(AMEND_INVALID, amend_guard(road->db, "t", &options, NULL, &road->err),
		      &road->err);
	expect_contains(road->err.text, "part of a key");
	options = (struct amend_guard_options){
		.history = true, .ignore = &(const char *){"nmae"}, .n_ignore = 1};
	expect_status(AMEND_INVALID, amend_guard(road->db, "t", &options, NULL, &road->err),
		      &road->err);
	expect_contains(road->err.text, "has no column 'nmae'");
	options = (struct amend_guard_options){.additive = &(const char *){"name"}, .n_additive = 1};
	expect_status(AMEND_INVALID, amend_guard(road->db, "t", &options, NULL, &road->err),
		      &road->err);
	expect_contains(road->err.text, "expected a number");
	options.additive = &(const char *){"id"};
	expect_status(AMEND_INVALID, amend_guard(road->db, "t", &options, NULL, &road->err),
		      &road->err);
	expect_contains(road->err.text, "part of a key");
	/* Nothing of it is there. */
	engine_expect(engine,
		      engine_pick3(engine,
				   "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' "
				   "AND name LIKE 'amend_guard%'",
				   "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzz_amend%'",
				   TRIGGERS),
		      "0");
}

static void no_statement(void *context, const char *statement)
{
	(void)context;
	fail_at(__FILE__, __LINE__, "a statement: %s", statement);
}

static void say_additive(void *context, const struct amend_guard_state *state)
{
	struct amend_buffer *text = context;

	amend_buffer_reset(text);
	for (size_t i = 0; i < state->n_additive; i++)
		amend_buffer_printf(text, "%s ", state->additive[i]);
}

static const char *additive(struct road *road, const struct amend_guard_options *options)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	expect_ok(amend_guard_plan(road->db, "t", options, false, say_additive, no_statement, &text,
				   &road->err),
		  &road->err);
	copy = engine_printf(road->engine, "%s", amend_buffer_string(&text));
	amend_buffer_release(&text);
	return copy;
}

/* They are no triggers' business: naming them changes none. */
static void additive_columns(struct engine *engine)
{
	const struct amend_guard_options as_it_stands = AMEND_GUARD_OPTIONS_INIT;
	struct road *road;
	bool changed;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer, m numeric, "
			    "v integer NOT NULL DEFAULT 1)");
	road = road_open(engine, NULL);
	guard(road, "t", .version_column = "v");
	expect_text(additive(road, &as_it_stands), "");
	expect_ok(amend_guard(road->db, "t",
			      &(const struct amend_guard_options){
				      .additive = (const char *const[]){"n", "m"}, .n_additive = 2},
			      &changed, &road->err),
		  &road->err);
	assert_true(changed);
	expect_text(additive(road, &as_it_stands), "n m ");
	expect_ok(amend_guard(road->db, "t", &as_it_stands, &changed, &road->err), &road->err);
	assert_false(changed);
	guard(road, "t", .additive = &(const char *){"m"}, .n_additive = 1);
	expect_text(additive(road, &as_it_stands), "m ");
}

/* ---- history ---- */

static void what_is_recorded(struct engine *engine)
{
	open_t(engine, .stale = AMEND_STALE_EQUAL);
	passes(engine, "UPDATE t SET name = 'Eve', n = NULL");
	passes(engine, "UPDATE t SET name = 'Eve'");
	passes(engine, "INSERT INTO t (id, name) VALUES (2, 'Bob')");
	passes(engine, "DELETE FROM t WHERE id = 1");
	expect_changes(
		engine,
		"update|{\"id\":1}|NULL|{\"name\":[\"Ada\",\"Eve\"],\"n\":[1,null],\"v\":[1,2]}\n"
		"create|{\"id\":2}|NULL|{\"id\":[null,2],\"name\":[null,\"Bob\"],\"v\":[null,1]}\n"
		"delete|{\"id\":1}|NULL|{\"id\":[1,null],\"name\":[\"Eve\",null],\"v\":[3,null]}");
	expect_text(revisions(engine), "3");
}

static void one_revision(struct engine *engine)
{
	open_t(engine, .stale = AMEND_STALE_EQUAL);
	passes(engine, "INSERT INTO t (id, n) VALUES (2, 1), (3, 2), (4, 2)");
	passes(engine, "UPDATE t SET n = 2"); /* two of them not */
	passes(engine, "DELETE FROM t");
	expect_text(revisions(engine), "3");
	passes(engine,
	       engine_pick(engine,
			   "PRAGMA foreign_keys = ON; BEGIN; INSERT INTO amend_session (who, why) "
			   "VALUES ('Anna', 'stock-taking'); INSERT INTO t (id) VALUES (7); "
			   "INSERT INTO t (id) VALUES (8); DELETE FROM amend_session; COMMIT",
			   "BEGIN; SET LOCAL amend.actor = 'Anna'; SET LOCAL amend.why = "
			   "'stock-taking'; INSERT INTO t (id) VALUES (7); INSERT INTO t (id) "
			   "VALUES (8); COMMIT"));
	engine_expect(
		engine,
		engine_pick(engine,
			    "SELECT who, why, count(*) FROM amend_change c JOIN amend_revision r ON "
			    "r.id = c.revision WHERE r.id = 4 GROUP BY r.id",
			    "SELECT who, why, count(*) FROM amend.change c JOIN amend.revision r ON "
			    "r.id = c.revision WHERE r.id = (SELECT max(id) FROM amend.revision) "
			    "GROUP BY r.id"),
		"Anna|stock-taking|2");
	passes(engine, "INSERT INTO t (id) VALUES (9)");
	expect_text(revisions(engine), "5");
	if (!engine_is(engine, "sqlite"))
		return;
	/* A row that would outlive its transaction is not committed, nor taken where nothing keeps it from that. */
	assert_non_null(tried(engine,
			      "PRAGMA foreign_keys = ON; BEGIN; INSERT INTO amend_session (who) "
			      "VALUES ('Anna'); COMMIT"));
	expect_contains(tried(engine,
			      "PRAGMA foreign_keys = OFF; INSERT INTO amend_session (who) VALUES "
			      "('Anna')"),
			"foreign_keys");
}

static void ignored_columns(struct engine *engine)
{
	const char *ignore[] = {"n"};

	open_t(engine, .ignore = ignore, .n_ignore = 1);
	passes(engine, "UPDATE t SET n = 2");
	expect_changes(engine, "");
	passes(engine, "UPDATE t SET n = 3, name = 'Eve'");
	expect_changes(engine, "update|{\"id\":1}|NULL|{\"name\":[\"Ada\",\"Eve\"],\"v\":[2,3]}");
}

static void keys_move(struct engine *engine)
{
	open_t(engine, .stale = AMEND_STALE_EQUAL);
	passes(engine, "INSERT INTO t (id, name) VALUES (3, 'Bob')");
	passes(engine, "UPDATE t SET id = id + 10");
	engine_expect(
		engine,
		engine_pick(engine,
			    "SELECT pk, was FROM amend_change WHERE op = 'update' ORDER BY pk",
			    "SELECT pk, was FROM amend.change WHERE op = 'update' ORDER BY pk"),
		"{\"id\":11}|{\"id\":1}\n{\"id\":13}|{\"id\":3}");
}

static void cascades(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE p (id integer PRIMARY KEY)");
	engine_exec(engine,
		    "CREATE TABLE c (id integer PRIMARY KEY, p integer REFERENCES p (id) ON DELETE "
		    "CASCADE ON UPDATE CASCADE, v integer NOT NULL DEFAULT 1)");
	engine_exec(engine,
		    "INSERT INTO p VALUES (1), (2); INSERT INTO c (id, p) VALUES (7, 1), (8, 2)");
	road = road_open(engine, NULL);
	guard(road, "c", .version_column = "v", .history = true);
	passes(engine, engine_pick(engine,
				   "PRAGMA foreign_keys = ON; UPDATE p SET id = 5 WHERE id = 1; "
				   "DELETE FROM p WHERE id = 2",
				   "UPDATE p SET id = 5 WHERE id = 1; DELETE FROM p WHERE id = 2"));
	expect_changes(engine,
		       "update|{\"id\":7}|NULL|{\"p\":[1,5],\"v\":[1,2]}\n"
		       "delete|{\"id\":8}|NULL|{\"id\":[8,null],\"p\":[2,null],\"v\":[1,null]}");
}

static void odd_names(struct engine *engine)
{
	const char *ignore[] = {"x'y"};
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE \"odd \"\"t'\\.x\" (\"a \"\"b\\\" integer, \"c'd\" text, \"x'y\" "
		    "text, name text, \"old\" text, \"new\" text, kept integer, "
		    "PRIMARY KEY (\"a \"\"b\\\", \"c'd\"))");
	engine_exec(engine, "INSERT INTO \"odd \"\"t'\\.x\" VALUES (1, 'k', 'i', 'n', 'o', 'w', 1)");
	road = road_open(engine, NULL);
	guard(road, "\"odd \"\"t'\\.x\"", .version_column = "v \"v'\\", .history = true,
	      .ignore = ignore, .n_ignore = 1);
	passes(engine,
	       "UPDATE \"odd \"\"t'\\.x\" SET name = 'N', \"old\" = 'O', \"new\" = 'W', kept = 2, "
	       "\"x'y\" = 'j'");
	expect_contains(
		changes(engine),
		"update|{\"a \\\"b\\\\\":1,\"c'd\":\"k\"}|NULL|{\"name\":[\"n\",\"N\"],\"old\":[\"o\","
		"\"O\"],\"new\":[\"w\",\"W\"],\"kept\":[1,2],\"v \\\"v'\\\\\":[");
	is_stale(engine, "UPDATE \"odd \"\"t'\\.x\" SET name = 'M', \"v \"\"v'\\\" = 3");
}

/* The triggers spell values as amend does: one history, whoever wrote. */
static void values_are_spelled_alike(struct engine *engine)
{
	const char *columns = engine_pick3(
		engine, "a TEXT, b INTEGER, c REAL, d BLOB, e",
		"a text, b bigint, c double precision, d bytea, e timestamptz, f numeric(20,4), g boolean, "
		"h char(4), i interval, j jsonb, k uuid, l int[], m real, o date, p varchar(9)",
		"a text, b bigint, c double, d bytea, e timestamp(6) NULL, f numeric(20,4), g boolean, "
		"h char(4), i timestamp NULL, j jsonb, k varchar(20) CHARACTER SET latin1, l bigint unsigned, "
		"m float, o date, p datetime(3), q time(2), r year, s int(6) zerofill, w enum('x', 'y z'), "
		"x decimal(6,2) zerofill, y varbinary(9), z numeric(9,0)");
	const char *const sqlite[] = {
		"'x', 1, 1.5, x'00ff', 7",
		"'tab' || char(9) || 'quote\" back\\ ' || char(1) || char(31) || 'e\xcc\x81', -9223372036854775808, "
		"123456.789, x'', 1.0",
		"'nul' || char(0) || 'x', 0, 9e999, zeroblob(3), '42'",
		"'', 9223372036854775807, -9e999, NULL, x'41'",
		"NULL, NULL, 0.1, NULL, 1e14",
		"char(8) || char(10) || char(12) || char(13), 2, 0.0, x'22', 123456789012345678",
		"'\xf0\x9f\x98\x80', 3, 1e-5, NULL, -2.5",
	};
	const char *const postgres[] = {
		"'x', 1, 1.5, '\\x00ff', '2026-01-01 12:00+02', 1.5, true, 'ab', '1 day 2 hours', '{\"b\": 1}', "
		"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{1,NULL,3}', 0.1, '2026-02-28', 'v'",
		"E'tab\\tquote\" back\\\\ \\x01\\x1fe\xcc\x81', -9223372036854775808, 1e300, '', '-infinity', "
		"-0.0001, false, '', '-1 mon', '[]', NULL, '{}', 'NaN', 'infinity', ''",
		"E'\\b\\n\\f\\r', 9223372036854775807, 'Infinity', NULL, '0044-03-15 00:00 BC', 'NaN', NULL, "
		"'\"\\', '00:00:00.000001', 'null', NULL, '{{1,2},{3,4}}', 1e-30, '0001-01-01 BC', E'\\t'",
		"'\xf0\x9f\x98\x80', 0, -0.0, '\\x22', NULL, 0, NULL, NULL, NULL, '\"\"', NULL, NULL, -0.0, "
		"NULL, NULL",
	};
	const char *const mariadb[] = {
		"'x', 1, 1.5, x'00ff', '2026-01-01 12:00:00', 1.5, true, 'ab', '2026-10-25 00:30:00', "
		"'{\"b\": 1}', 'm\xc3\xbc"
		"d', 18446744073709551615, 0.1, '2026-02-28', '2026-01-01 01:02:03.5', "
		"'-12:00:01.25', 2026, 7, 'y z', 1.5, 'v', 12",
		"concat('tab', char(9), 'quote\" back\\ ', char(1), char(8), 'e\xcc\x81'), -9223372036854775808, "
		"123456.789, '', '1970-01-01 00:00:01.000001', -0.0001, false, '', '2038-01-19 03:14:07', '[]', "
		"'', 0, 16777217, '0001-01-01', '9999-12-31 23:59:59.999', '838:59:59', 0, 0, 'x', 0, '', -1",
		"concat(char(8), char(10), char(12), char(13), '% _'), 9223372036854775807, 0, NULL, NULL, 0, "
		"NULL, 'a b', NULL, '\"\\\\\"', NULL, NULL, -2.5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
		"'\xf0\x9f\x98\x80', 0, 0.001, x'22', NULL, 99999999999999.9999, NULL, NULL, NULL, '\"\"', 'A ', "
		"9223372036854775808, 0, '2026-12-31', '2026-01-01', '00:00:00', 1901, 999999, NULL, 9999.99, x'80', 0",
		"concat('nul', char(0), 'x'), 2, 1e14, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
		"NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
	};
	const char *const *rows = engine_is(engine, "sqlite")    ? sqlite
				  : engine_is(engine, "mariadb") ? mariadb
								 : postgres;
	size_t n = engine_is(engine, "sqlite")    ? COUNT(sqlite)
		   : engine_is(engine, "mariadb") ? COUNT(mariadb)
						  : COUNT(postgres);
	const char *ledger = engine_pick(engine, "amend_change", "amend.change"), *by_triggers,
		   *by_amend;
	struct road *road;

	/* The same deletions: from a table that is guarded, and through amend from one that is not. */
	engine_execf(engine, "CREATE TABLE g (id integer PRIMARY KEY, %s)", columns);
	engine_execf(engine, "CREATE TABLE u (id integer PRIMARY KEY, %s)", columns);
	for (size_t i = 0; i < n; i++) {
		engine_execf(engine, "INSERT INTO g VALUES (%zu, %s)", i, rows[i]);
		engine_execf(engine, "INSERT INTO u VALUES (%zu, %s)", i, rows[i]);
	}
	road = road_open(engine, NULL);
	guard(road, "g", .version_column = "v", .history = true);
	passes(engine,
	       engine_pick3(
		       engine, "DELETE FROM g",
		       "SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; SET intervalstyle "
		       "= 'iso_8601'; SET bytea_output = 'escape'; SET extra_float_digits = 0; "
		       "SET search_path = pg_temp; DELETE FROM public.g",
		       "SET time_zone = '+09:00'; SET sql_mode = ''; SET NAMES latin1 COLLATE "
		       "latin1_german2_ci; SET lc_time_names = 'de_DE'; DELETE FROM g"));
	road_table(road, "u");
	for (size_t i = 0; i < n; i++)
		expect_ok(road_delete(road, ask(.keys = engine_printf(engine, "id=%zu", i))),
			  &road->err);
	by_amend = engine_rows(
		engine,
		engine_printf(engine, "SELECT op, pk, fields FROM %s WHERE tbl = 'u' ORDER BY pk",
			      ledger));
	by_triggers = engine_rows(
		engine,
		engine_pick3(
			engine,
			"SELECT op, pk, substr(fields, 1, instr(fields, ',\"v\":[') - 1) || '}' FROM "
			"amend_change WHERE tbl = 'g' ORDER BY pk",
			"SELECT op, pk, regexp_replace(fields, ',\"v\":\\[\\d+,null\\]', '') FROM "
			"amend.change WHERE tbl = 'g' ORDER BY pk",
			"SELECT op, pk, substr(fields, 1, instr(fields, ',\"v\":[') - 1) || '}' FROM "
			"amend_change WHERE tbl = 'g' ORDER BY pk"));
	expect_text(by_triggers, by_amend);
}

/* Numbers whose digits SQLite does not count as C does: others, of the same number. */
static void extreme_numbers(struct engine *engine)
{
	const double numbers[] = {1e300,   5e-324, 1.7976931348623157e308, -3e-200, 1e16,
				  123e-17, 4e22};
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, x real)");
	road = road_open(engine, NULL);
	guard(road, "t", .history = true);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		const char *fields;
		const char *at;

		passes(engine, engine_printf(engine, "INSERT INTO t (id, x) VALUES (%zu, %.17g)", i,
					     numbers[i]));
		fields = engine_scalar(engine, "SELECT fields FROM amend_change ORDER BY id DESC");
		at = strstr(fields, "\"x\":[null,");
		assert_non_null(at);
		assert_true(strtod(at + strlen("\"x\":[null,"), NULL) == numbers[i]);
	}
}

/* ---- what becomes of it ---- */

static void add_finding(void *context, enum amend_level level, const char *topic, const char *text)
{
	if (strcmp(topic, "guard") == 0)
		amend_buffer_printf(context, "%d %s\n", (int)level, text);
}

static const char *check(struct road *road)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	expect_ok(amend_check(road->db, add_finding, &text, &road->err), &road->err);
	copy = engine_printf(road->engine, "%s", amend_buffer_string(&text));
	amend_buffer_release(&text);
	return copy;
}

static void a_column_is_added(struct engine *engine)
{
	struct road *road = open_t(engine, .stale = AMEND_STALE_EQUAL);

	expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
	engine_exec(engine, "ALTER TABLE t ADD COLUMN more text");
	expect_text(check(road),
		    "2 t: history does not cover columns that were added since: more (hint: "
		    "amend guard once more)\n");
	passes(engine, "UPDATE t SET more = 'x'");
	expect_changes(engine, "");
	guard_with(road, "t", NULL);
	expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
	passes(engine, "UPDATE t SET more = 'y'");
	expect_changes(engine, "update|{\"id\":1}|NULL|{\"v\":[2,3],\"more\":[\"x\",\"y\"]}");
}

/* Writes go on as before; SQLite refuses to drop the column; on MariaDB they fail until it is guarded again. */
static void a_column_is_dropped(struct engine *engine)
{
	struct road *road = open_t(engine, .stale = AMEND_STALE_EQUAL);

	if (engine_is(engine, "sqlite")) {
		expect_contains(tried(engine, "ALTER TABLE t DROP COLUMN name"), "amend_guard");
		return;
	}
	engine_exec(engine, "ALTER TABLE t DROP COLUMN name");
	if (engine_is(engine, "mariadb")) {
		expect_contains(tried(engine, "UPDATE t SET n = 2"), "Unknown column 'name'");
		expect_contains(check(road), "2 t: columns were dropped since: name: writes fail");
		guard_with(road, "t", NULL);
		passes(engine, "UPDATE t SET n = 2");
		expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
		return;
	}
	passes(engine, "UPDATE t SET n = 2");
	passes(engine,
	       "UPDATE t SET id = 2; INSERT INTO t (id, n) VALUES (5, 5); DELETE FROM t WHERE id = 5");
	expect_contains(changes(engine),
			"update|{\"id\":1}|NULL|{\"n\":[1,2],\"v\":[1,2]}\n"
			"update|{\"id\":2}|{\"id\":1}|{\"id\":[1,2],\"v\":[2,3]}\n"
			"create|{\"id\":5}|NULL|{\"id\":[null,5],\"n\":[null,5],\"v\":[null,1]}\n"
			"delete|{\"id\":5}|NULL|{\"id\":[5,null],\"n\":[5,null],\"v\":[1,null]}");
	expect_contains(check(road), "1 t: columns were dropped since: name");
	assert_non_null(tried(engine, "ALTER TABLE t DROP COLUMN v"));
}

static void by_statement(struct engine *engine)
{
	struct road *road = open_t(engine, .by_statement = true);

	passes(engine, "INSERT INTO t (id, n) VALUES (2, 1), (3, 2)");
	passes(engine, "UPDATE t SET n = 2");
	passes(engine, "UPDATE t SET id = id + 10 WHERE id > 1");
	passes(engine, "UPDATE t SET n = 5 WHERE id = 99; DELETE FROM t WHERE id = 99");
	passes(engine, "DELETE FROM t");
	engine_expect(engine, "SELECT op, count(*) FROM amend.change GROUP BY op ORDER BY op",
		      "create|2\ndelete|3\nupdate|4");
	engine_expect(engine,
		      "SELECT pk, was, fields FROM amend.change WHERE was IS NOT NULL ORDER BY pk",
		      "{\"id\":12}|{\"id\":2}|{\"id\":[2,12],\"v\":[2,3]}\n"
		      "{\"id\":13}|{\"id\":3}|{\"id\":[3,13],\"v\":[2,3]}");
	engine_expect(engine, "SELECT count(DISTINCT revision) FROM amend.change", "4");
	engine_exec(engine, "INSERT INTO t (id, n) VALUES (1, 1); ALTER TABLE t DROP COLUMN name");
	passes(engine, "UPDATE t SET n = 7; UPDATE t SET id = 6");
	engine_expect(
		engine, "SELECT pk, was, fields FROM amend.change ORDER BY id DESC LIMIT 2",
		"{\"id\":6}|{\"id\":1}|{\"id\":[1,6],\"v\":[2,3]}\n{\"id\":1}|NULL|{\"n\":[1,7],\"v\":[1,2]}");
	guard(road, "t", .by_row = true);
	expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
}

static void triggers_go(struct engine *engine)
{
	struct road *road = open_t(engine, .stale = AMEND_STALE_EQUAL);

	engine_exec(engine, engine_pick3(engine, "DROP TRIGGER amend_guard_delete_t",
					 "DROP TRIGGER zzz_amend_history_truncate ON t",
					 "DROP TRIGGER amend_guard_delete_t"));
	expect_contains(check(road), "2 t: triggers are gone: ");
	if (engine_is(engine, "mariadb")) {
		engine_exec(engine,
			    "CREATE OR REPLACE TRIGGER amend_guard_insert_t AFTER INSERT ON t "
			    "FOR EACH ROW SET @nothing = 1");
		expect_contains(check(road),
				"not as amend would make them now: amend_guard_insert_t");
	}
	if (engine_is(engine, "postgresql")) {
		engine_exec(engine, "ALTER TABLE t DISABLE TRIGGER zzz_amend_version");
		expect_contains(check(road), "2 t: trigger zzz_amend_version is disabled");
		engine_exec(
			engine,
			"CREATE OR REPLACE FUNCTION amend.\"history t\"() RETURNS trigger LANGUAGE "
			"plpgsql AS 'BEGIN RETURN NULL; END'");
		expect_contains(check(road), "not as amend would make them now: zzz_amend_history");
	}
	guard_with(road, "t", NULL);
	expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
	/* What a migration does that cannot alter: a new table in the old one's place. */
	engine_execf(
		engine,
		"CREATE TABLE %snew_t (id integer PRIMARY KEY, name text, n integer, "
		"v integer NOT NULL DEFAULT 1); INSERT INTO new_t SELECT * FROM t; DROP TABLE t; "
		"ALTER TABLE new_t RENAME TO t",
		engine_pick3(engine, "", "public.", ""));
	expect_contains(check(road), "2 t: NOT GUARDED ANY MORE: all its triggers are gone");
	road_table(road, "t");
	ok(road, .keys = "id=1", .set = "n=9");
	said(road, "updated n: 1 -> 9");
	guard_with(road, "t", NULL);
	expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
	engine_exec(engine, "DROP TABLE t");
	expect_contains(check(road), "2 t cannot be guarded as it was: ");
}

/* As data that is loaded on top of its own history is recorded. */
static void created_again(struct engine *engine)
{
	struct road *road = open_t(engine, .stale = AMEND_STALE_EQUAL);

	passes(engine, "UPDATE t SET name = 'x' WHERE id = 1");
	passes(engine, "DELETE FROM t WHERE id = 1");
	passes(engine, "INSERT INTO t (id, name) VALUES (1, 'again')");
	passes(engine, "UPDATE t SET id = 7 WHERE id = 1");
	passes(engine, "INSERT INTO t (id, name) VALUES (1, 'and again')");
	expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
	engine_exec(engine, engine_pick(engine, "DELETE FROM amend_change WHERE op = 'delete'",
					"DELETE FROM amend.change WHERE op = 'delete'"));
	expect_contains(check(road), "1 t: history has 1 creation of what it had already");
}

static void off(struct engine *engine)
{
	struct road *road = open_t(engine, .stale = AMEND_STALE_EQUAL);
	bool changed = false;

	expect_ok(amend_unguard(road->db, "t", &changed, &road->err), &road->err);
	assert_true(changed);
	expect_text(check(road), "");
	passes(engine, "UPDATE t SET n = 5, v = 77");
	expect_changes(engine, "");
	expect_ok(amend_unguard(road->db, "t", &changed, &road->err), &road->err);
	assert_false(changed);
	engine_expect(
		engine,
		engine_pick3(engine,
			     "SELECT count(*) FROM sqlite_master WHERE name LIKE "
			     "'amend_guard\\_%' ESCAPE '\\'",
			     "SELECT count(*) FROM pg_proc WHERE pronamespace = 'amend'::regnamespace "
			     "AND proname LIKE '% t'",
			     TRIGGERS),
		"0");
}

/* ---- PostgreSQL ---- */

static void postgres_statements(struct engine *engine)
{
	open_t(engine, .stale = AMEND_STALE_EQUAL);
	passes(engine,
	       "WITH a AS (UPDATE t SET n = 2 WHERE id = 1 RETURNING id), b AS (INSERT INTO t (id, n) "
	       "VALUES (2, 1) RETURNING id) SELECT * FROM a, b");
	passes(engine,
	       "WITH a AS (UPDATE t SET n = 3 WHERE id = 1), b AS (UPDATE t SET n = 3 WHERE id = 2) "
	       "SELECT 1");
	engine_expect(engine, "SELECT pk, op, fields FROM amend.change ORDER BY revision, pk, id",
		      "{\"id\":1}|update|{\"n\":[1,2],\"v\":[1,2]}\n"
		      "{\"id\":2}|create|{\"id\":[null,2],\"n\":[null,1],\"v\":[null,1]}\n"
		      "{\"id\":1}|update|{\"n\":[2,3],\"v\":[2,3]}\n"
		      "{\"id\":2}|update|{\"n\":[1,3],\"v\":[1,2]}");
	passes(engine,
	       "MERGE INTO t USING (VALUES (1, 10), (3, 30)) AS s(id, n) ON t.id = s.id "
	       "WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES "
	       "(s.id, s.n)");
	engine_expect(engine,
		      "SELECT pk, op, fields FROM amend.change WHERE revision = (SELECT max(id) FROM "
		      "amend.revision) ORDER BY pk",
		      "{\"id\":1}|update|{\"n\":[3,10],\"v\":[3,4]}\n"
		      "{\"id\":3}|create|{\"id\":[null,3],\"n\":[null,30],\"v\":[null,1]}");
	passes(engine, "TRUNCATE t");
	engine_expect(engine,
		      "SELECT pk, op FROM amend.change WHERE revision = (SELECT max(id) FROM "
		      "amend.revision) ORDER BY pk",
		      "{\"id\":1}|delete\n{\"id\":2}|delete\n{\"id\":3}|delete");
}

static void lastval_is_the_programs(struct engine *engine)
{
	struct foreign *foreign;

	engine_exec(
		engine,
		"CREATE TABLE s (id serial PRIMARY KEY, n integer); SELECT setval('s_id_seq', 40)");
	open_t(engine, .stale = AMEND_STALE_EQUAL);
	foreign = foreign_open(engine);
	foreign_exec(foreign, "INSERT INTO s (n) VALUES (1)");
	foreign_exec(foreign, "UPDATE t SET n = 5");
	foreign_exec(foreign, "INSERT INTO t (id) VALUES (9)");
	expect_text(foreign_rows(foreign, "SELECT lastval()"), "41");
	foreign_exec(foreign, "INSERT INTO s (n) VALUES (1)");
	expect_text(foreign_rows(foreign, "SELECT lastval(), currval('s_id_seq')"), "42|42");
}

static void a_role_without_rights(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role);
	struct amend_session *session = NULL;
	struct amend_error err;

	open_t(engine, .stale = AMEND_STALE_EQUAL);
	engine_execf(engine, "GRANT SELECT, INSERT, UPDATE, DELETE ON t TO %s", role);
	expect_ok(engine->driver->open(url, &(struct amend_open_options)AMEND_OPEN_OPTIONS_INIT,
				       &session, &err),
		  &err);
	session_exec(engine, session, "UPDATE t SET n = 2");
	session_exec(engine, session, "INSERT INTO t (id) VALUES (2)");
	session_exec(engine, session, "DELETE FROM t WHERE id = 2");
	expect_error(AMEND_STALE, "ZV409",
		     session_try(engine, session, "UPDATE t SET n = 3, v = 1"));
	/* It can neither read nor write what is recorded, nor make the triggers' functions record. */
	expect_error(AMEND_DENIED, NULL, session_try(engine, session, "SELECT * FROM amend.change"));
	expect_error(AMEND_DENIED, NULL,
		     session_try(engine, session, "SELECT amend.guard_revision()"));
	/* Another transaction's revision is not believed. */
	session_exec(engine, session, "SET amend.revision = '1'");
	session_exec(engine, session, "UPDATE t SET n = 3");
	engine->driver->close(session);
	engine_expect(engine, "SELECT count(*), count(DISTINCT revision) FROM amend.change", "4|4");
	engine_expect(engine,
		      engine_printf(engine, "SELECT DISTINCT who = '%s' FROM amend.revision", role),
		      "t");
}

static void a_definer_without_rights(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role);
	struct road *road = open_t(engine, .stale = AMEND_STALE_EQUAL);

	(void)url;
	engine_execf(engine, "ALTER FUNCTION amend.\"history t\"() OWNER TO %s", role);
	expect_contains(check(road), "2 t: trigger zzz_amend_history runs as ");
	engine_execf(engine, "ALTER FUNCTION amend.\"history t\"() OWNER TO CURRENT_USER");
	engine_exec(engine, "DROP FUNCTION amend.guard_revision()");
	expect_contains(check(road), "needs functions of amend's that are gone");
	engine_execf(engine, "DROP OWNED BY %s", role);
}

static void partitions(struct engine *engine)
{
	struct road *road;

	engine_exec(
		engine,
		"CREATE TABLE t (id integer, n integer, v integer NOT NULL DEFAULT 1, PRIMARY KEY "
		"(id)) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) "
		"TO (10); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20); "
		"INSERT INTO t (id, n) VALUES (1, 1)");
	road = road_open(engine, NULL);
	guard(road, "t", .version_column = "v", .history = true);
	passes(engine, "UPDATE t1 SET n = 2");
	passes(engine, "UPDATE t SET id = 11");
	engine_expect(engine, "SELECT pk, op, fields FROM amend.change ORDER BY id",
		      "{\"id\":1}|update|{\"n\":[1,2],\"v\":[1,2]}\n"
		      "{\"id\":1}|delete|{\"id\":[1,null],\"n\":[2,null],\"v\":[2,null]}\n"
		      "{\"id\":11}|create|{\"id\":[null,11],\"n\":[null,2],\"v\":[null,3]}");
}

/* ---- SQLite ---- */

static void or_replace(struct engine *engine)
{
	static const char *const recursion[] = {"OFF", "ON"};

	engine_exec(
		engine,
		"CREATE TABLE t (id integer PRIMARY KEY, sku text UNIQUE, v integer NOT NULL DEFAULT 1)");
	guard(road_open(engine, NULL), "t", .version_column = "v", .history = true);
	for (size_t i = 0; i < COUNT(recursion); i++) {
		const char *pragma = engine_printf(engine, "PRAGMA recursive_triggers = %s",
						   recursion[i]);

		passes(engine,
		       engine_printf(engine,
				     "%s; DELETE FROM t; INSERT INTO t (id, sku) VALUES (1, 'a'), "
				     "(2, 'b'); DELETE FROM amend_change",
				     pragma));
		passes(engine,
		       engine_printf(engine,
				     "%s; INSERT OR REPLACE INTO t (id, sku, v) VALUES (1, 'b', 1)",
				     pragma));
		engine_expect(engine,
			      "SELECT op, pk FROM amend_change WHERE op = 'delete' ORDER BY pk",
			      "delete|{\"id\":1}\ndelete|{\"id\":2}");
		engine_expect(
			engine, "SELECT op, pk, fields FROM amend_change WHERE op = 'create'",
			"create|{\"id\":1}|{\"id\":[null,1],\"sku\":[null,\"b\"],\"v\":[null,2]}");
		engine_expect(engine, "SELECT * FROM t", "1|b|2");
		is_stale(engine,
			 engine_printf(engine,
				       "%s; INSERT OR REPLACE INTO t (id, sku, v) VALUES (1, 'c', 7)",
				       pragma));
		/* It does not speak of the version: it passes, and the version still rises. */
		passes(engine, engine_printf(engine, "%s; REPLACE INTO t (id, sku) VALUES (1, 'd')",
					     pragma));
		engine_expect(engine, "SELECT * FROM t", "1|d|3");
	}
}

static void without_rowid(struct engine *engine)
{
	engine_exec(
		engine,
		"CREATE TABLE t (a text COLLATE NOCASE, b integer, n, v integer NOT NULL DEFAULT 1, "
		"PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO t VALUES ('x', 1, 1, 1), ('x', 2, 1, 1)");
	guard(road_open(engine, NULL), "t", .version_column = "v", .history = true);
	passes(engine, "UPDATE t SET n = 2 WHERE b = 1; UPDATE t SET a = 'X' WHERE b = 1");
	engine_expect(engine, "SELECT * FROM t ORDER BY b", "X|1|2|3\nx|2|1|1");
	expect_changes(
		engine,
		"update|{\"a\":\"x\",\"b\":1}|NULL|{\"n\":[1,2],\"v\":[1,2]}\n"
		"update|{\"a\":\"X\",\"b\":1}|{\"a\":\"x\",\"b\":1}|{\"a\":[\"x\",\"X\"],\"v\":[2,3]}");
}

static void rowid_tables(struct engine *engine)
{
	engine_exec(
		engine,
		"CREATE TABLE t (n, v integer NOT NULL DEFAULT 1); INSERT INTO t (n) VALUES (1)");
	guard(road_open(engine, NULL), "t", .version_column = "v", .history = true);
	passes(engine, "UPDATE t SET n = 2; DELETE FROM t");
	expect_changes(engine, "update|{\"rowid\":1}|NULL|{\"n\":[1,2],\"v\":[1,2]}\n"
			       "delete|{\"rowid\":1}|NULL|{\"n\":[2,null],\"v\":[2,null]}");
}

static void other_files(struct engine *engine)
{
	struct road *road = road_open(engine, NULL);
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY)");
	options.history = options.by_statement = true;
	expect_status(AMEND_UNSUPPORTED, amend_guard(road->db, "t", &options, NULL, &road->err),
		      &road->err);
	expect_contains(road->err.text, "never once a statement");
}

static const struct engine_test tests[] = {
	{"versions: every write moves them, a no-op and an upsert too", every_write_moves},
	{"stale rule equal: the version as read passes", equal_rule},
	{"a table whose name needs quotes", names_that_need_quotes},
	{"stale rule equal: a program that counts is told of the other rule",
	 who_counts_is_told_the_rule},
	{"stale rule either: the version as read and the next pass", either_rule},
	{"stale rule next: the next version passes", next_rule, .not_on = "mariadb"},
	{"a refusal is STALE ZV409, and says who and when", the_error_says_who},
	{"a column that is missing is added, and begins with the clock", added_column},
	{"columns that cannot be the version, or be ignored, are refused", columns_that_cannot},
	{"additive columns are remembered, and change no trigger", additive_columns},
	{"history: changed fields alone, old and new; none of a no-op", what_is_recorded},
	{"history: a statement, or a named transaction, is one revision", one_revision},
	{"history: ignored columns make no change", ignored_columns},
	{"history: a key that moves", keys_move},
	{"history: foreign keys that cascade", cascades, .not_on = "mariadb"},
	{"history: odd names", odd_names},
	{"history: values spelled as amend spells them, whatever the session's settings",
	 values_are_spelled_alike},
	{"check: a column that is added is not covered until guard is run again", a_column_is_added},
	{"check: a column that is dropped breaks no write", a_column_is_dropped},
	{"check: triggers that are gone, disabled, changed; a table that was rebuilt", triggers_go},
	{"check: creations of what history has already", created_again},
	{"off: nothing is left", off},
	{"statement level: the same history", by_statement, .only = "postgresql"},
	{"two writes in one WITH, MERGE, TRUNCATE", postgres_statements, .only = "postgresql"},
	{"lastval() stays the writing program's own", lastval_is_the_programs, .only = "postgresql"},
	{"a role without rights on amend's tables writes, and cannot forge", a_role_without_rights,
	 .only = "postgresql"},
	{"check: an owner of the functions without rights", a_definer_without_rights,
	 .only = "postgresql"},
	{"partitions, written directly and moved between", partitions, .only = "postgresql"},
	{"INSERT OR REPLACE: what it sweeps away is recorded, a stale one refused", or_replace,
	 .only = "sqlite"},
	{"history: very large and very small numbers", extreme_numbers, .only = "sqlite"},
	{"WITHOUT ROWID", without_rowid, .only = "sqlite"},
	{"a table without a key", rowid_tables, .only = "sqlite"},
	{"what SQLite's triggers cannot", other_files, .only = "sqlite"},
};

ENGINE_MAIN(tests)

/*
 * What a sync leaves alone as unchanged: for each type and at random, writing the input would have changed nothing;
 * and what it writes had changed. The judge is the engine itself, which is given each input in a statement.
 * tests/lib/spellings.h says how a run is repeated, and how more inputs are tried.
 */
#include "feed.h"

#include <stdlib.h>

#include "core/json_text.h"
#include "spellings.h"

enum { VERSIONS = 4 };

struct field {
	const char *text; /* of the last version */
	bool rejected;    /* by the sync, and not only by the engine */
};

static const char *spelled_in_json(struct engine *engine, const struct spelled *kind)
{
	const char *text;

	/* JSON is Unicode. */
	do
		text = spelled_input(engine, kind, spelled_random(3) == 0);
	while (!amend_utf8_valid(text, strlen(text)));
	return text;
}

/* One field after another in a statement each; refused ones stay as they are. */
static void judge(struct engine *engine, struct amend_conn *db, const struct field *fields, size_t n)
{
	const char *sql = engine_sql(engine, "UPDATE judge SET v = ?1 WHERE k = ?2");

	for (size_t i = 0; i < n; i++) {
		const struct amend_value values[] = {
			amend_text(fields[i].text),
			amend_text(engine_printf(engine, "k%zu", i)),
		};
		struct amend_error err;

		if (fields[i].rejected)
			continue;
		/* hstore calls it a syntax error that its text is none. */
		if (amend_query(db, sql, values, 2, NULL, &err) != AMEND_OK &&
		    (err.status == AMEND_UNREACHABLE || err.status == AMEND_LOCKED))
			fail_msg("%s", err.text);
	}
}

static const char *as_json(struct engine *engine, const struct field *fields, size_t n)
{
	struct amend_buffer json = AMEND_BUFFER_INIT;
	const char *copy;

	for (size_t i = 0; i < n; i++) {
		amend_buffer_printf(&json, "{\"k\":\"k%zu\",\"v\":", i);
		amend_json_string(&json, fields[i].text, strlen(fields[i].text));
		amend_buffer_text(&json, "}\n");
	}
	copy = amend_arena_text_n(engine_arena(engine), json.data, json.size);
	amend_buffer_release(&json);
	assert_non_null(copy);
	return copy;
}

/* Of rows of the two tables that are not the same bits. */
static const char *differing(struct engine *engine, const struct spelled *kind, const char *a,
			     const char *b, const char *what)
{
	const char *differ = engine_pick3(
		engine, "typeof(a.v) <> typeof(b.v) OR a.v IS NOT b.v COLLATE BINARY",
		"record_image_ne(ROW(a.v), ROW(b.v))", "NOT BINARY a.v <=> BINARY b.v");

	/* A float prints fewer digits than it has. */
	if (engine_is(engine, "mariadb") && strcmp(kind->type, "float") == 0)
		differ = "NOT a.v + 0e0 <=> b.v + 0e0";
	return engine_rows(
		engine, engine_printf(engine, "SELECT %s FROM %s a JOIN %s b ON a.k = b.k WHERE %s",
				      what, a, b, differ));
}

static int different(struct engine *engine, const struct spelled *kind, const char *a, const char *b)
{
	return atoi(differing(engine, kind, a, b, "count(*)"));
}

/* Which records the sync has rejected, from what it told. */
static void note_rejected(const struct feed *feed, struct field *fields, size_t n)
{
	const char *at = feed->told.size ? feed->told.data : NULL;

	for (size_t i = 0; i < n; i++)
		fields[i].rejected = false;
	for (; at && (at = strstr(at, "reject ")) != NULL; at++) {
		if (at == feed->told.data || at[-1] == '\n')
			fields[strtoul(at + strlen("reject "), NULL, 10) - 1].rejected = true;
	}
}

static void check_kind(struct engine *engine, const struct spelled *kind, size_t n)
{
	struct field *fields = amend_arena_array(engine_arena(engine), n, sizeof(*fields));
	struct amend_conn *judging;
	struct feed *feed;

	assert_non_null(fields);
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = {"t", "judge", "earlier"};

		engine_execf(engine, "DROP TABLE IF EXISTS %s", names[i]);
		engine_execf(engine, "CREATE TABLE %s (k varchar(20) PRIMARY KEY, v %s)", names[i],
			     kind->type);
	}
	for (size_t i = 0; i < n; i++) {
		engine_execf(engine, "INSERT INTO judge (k) VALUES ('k%zu')", i);
		fields[i].text = spelled_in_json(engine, kind);
	}
	feed = feed_open(engine, "t", "k");
	feed->format = AMEND_FORMAT_NDJSON;
	feed->options.source_name = kind->type;
	feed->options.adopt = AMEND_ADOPT_INCOMING;
	feed->quiet = !kind->narrow;
	judging = connect_open(engine);
	if (engine_is(engine, "sqlite"))
		expect_ok(
			amend_query(judging, "PRAGMA synchronous = OFF", NULL, 0, NULL, &feed->err),
			&feed->err);
	judge(engine, judging, fields, n);
	engine_exec(engine, "INSERT INTO t SELECT k, v FROM judge");
	for (int version = 0; version < VERSIONS; version++) {
		for (size_t i = 0; i < n; i++) {
			if (spelled_random(3) > 0)
				fields[i].text = spelled_in_json(engine, kind);
		}
		engine_exec(engine, "DELETE FROM earlier");
		engine_exec(engine, "INSERT INTO earlier SELECT k, v FROM judge");
		expect_ok(feed_text(feed, as_json(engine, fields, n)), &feed->err);
		if (kind->narrow)
			note_rejected(feed, fields, n);
		judge(engine, judging, fields, n);
		if (different(engine, kind, "t", "judge") != 0)
			fail_msg("%s: what is in the table is not what the input means:\n%s\n%s",
				 kind->type, differing(engine, kind, "t", "judge", "a.k, a.v, b.v"),
				 as_json(engine, fields, n));
		assert_int_equal(feed->report.updated, different(engine, kind, "earlier", "judge"));
		assert_int_equal(feed->report.created + feed->report.conflicts, 0);
	}
}

static void every_type(struct engine *engine)
{
	spelled_prepare(engine);
	spelled_begin();
	for (const struct spelled *kind = NULL; (kind = spelled_next(engine, kind));)
		check_kind(engine, kind, spelled_rounds(40));
}

/* Types whose text proves nothing (COMPARE): no input is compared with them, and none is written. */
static void off(struct engine *engine)
{
	static const char *const postgres[] = {"xml", "tsquery", "xml[]"};
	static const char *const mariadb[] = {"bit(3)", "point", "enum('a','')",
					      "varchar(3) CHARACTER SET sjis"};
	bool maria = engine_is(engine, "mariadb");
	const char *const *types = maria ? mariadb : postgres;

	for (size_t i = 0; i < (maria ? COUNT(mariadb) : COUNT(postgres)); i++) {
		struct feed *feed;

		engine_execf(engine,
			     "DROP TABLE IF EXISTS t; CREATE TABLE t (k text PRIMARY KEY, v %s)",
			     types[i]);
		engine_exec(engine, "INSERT INTO t VALUES ('a', NULL)");
		feed = feed_open(engine, "t", "k");
		refused(feed, AMEND_UNSUPPORTED, "k,v\na,x\n", "column v");
		engine_expect(engine, "SELECT count(*) FROM t WHERE v IS NULL", "1");
	}
}

static const struct engine_test tests[] = {
	{"unchanged is what writing it would not change, for every type", every_type},
	{"and off where the text proves nothing", off, .not_on = "sqlite"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

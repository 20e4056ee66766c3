/*
 * What a feed's text becomes in a column of SQLite, and when it is no change: the statements of
 * docs/decisions on SQLite's types, one case each. tests/sync/equality_test.c holds the rule itself against
 * the engine, at random and for every kind of column.
 */
#include "feed.h"

#include "core/buffer.h"

static struct feed *typed(struct engine *engine, const char *type)
{
	engine_execf(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v %s)", type);
	return feed_open(engine, "t", "id");
}

/* What stands there, and of which class. */
#define holds(engine, expected) \
	engine_expect(engine, "SELECT typeof(v), quote(v) FROM t ORDER BY id", expected)

static void notice(void *context, int64_t line, const char *text)
{
	struct amend_buffer *notices = context;

	amend_buffer_printf(notices, "%lld %s\n", (long long)line, text);
}

/* The run, and what it notes. */
static const char *noted(struct feed *feed, const char *csv, const char *report)
{
	struct amend_buffer notices = AMEND_BUFFER_INIT;
	void *context = feed->options.context;
	const char *copy;

	feed->options.on_notice = notice;
	feed->options.context = &notices;
	feed->options.on_change = NULL;
	feed->options.on_reject = NULL;
	feed->options.on_progress = NULL;
	fed_once(feed, csv, report);
	feed->options.on_notice = NULL;
	feed->options.context = context;
	copy = amend_arena_text_n(engine_arena(feed->engine), notices.size ? notices.data : "",
				  notices.size);
	amend_buffer_release(&notices);
	assert_non_null(copy);
	return copy;
}

static void spellings_of_a_whole_number(struct engine *engine)
{
	struct feed *feed = typed(engine, "INTEGER");

	fed(feed, "id,v\n1,7\n2, 7\n3,+7\n4,007\n5,7.0\n6,7e0\n", "created=6");
	holds(engine, "integer|7\ninteger|7\ninteger|7\ninteger|7\ninteger|7\ninteger|7");
	fed(feed, "id,v\n1,7.00\n2,7\n3,7\n4,7\n5,7\n6,7\n", "unchanged=6");
}

/* By the letters INT in it. */
static void floating_point_is_integer(struct engine *engine)
{
	struct feed *feed = typed(engine, "FLOATING POINT");

	fed(feed, "id,v\n1,7.0\n2,1.5\n", "created=2");
	holds(engine, "integer|7\nreal|1.5");
}

static void reals(struct engine *engine)
{
	struct feed *feed = typed(engine, "DOUBLE PRECISION");

	expect_text(
		noted(feed, "id,v\n1,7\n2,0.1\n3,x\n", "created=3"),
		"4 column v is DOUBLE PRECISION, and \"x\" is stored in it as text, as the database does "
		"(hint: a STRICT table, or a CHECK, refuses it)\n");
	holds(engine, "real|7.0\nreal|0.1\ntext|'x'");
	fed(feed, "id,v\n1,7.00\n2,1e-1\n3,x\n", "unchanged=3");
}

static void text_where_a_number_should_be(struct engine *engine)
{
	struct feed *feed = typed(engine, "INTEGER");
	const char *notes = noted(feed, "id,v\n1,7\n2,seven\n3,eight\n", "created=3");

	expect_text(notes,
		    "3 column v is INTEGER, and \"seven\" is stored in it as text, as the database "
		    "does (hint: a STRICT table, or a CHECK, refuses it)\n");
	holds(engine, "integer|7\ntext|'seven'\ntext|'eight'");
	/* Where it stands already nothing is said, and nothing is done. */
	expect_text(noted(feed, "id,v\n1,7\n2,seven\n3,eight\n", "unchanged=3"), "");
}

static void a_strict_table_refuses(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER) STRICT");
	feed = feed_open(engine, "t", "id");
	fed_once(feed, "id,v\n1,7\n2,seven\n3,7.5\n", "created=1 rejected=2");
	expect_contains(feed->told.data, "reject 3 column v: expected integer, found \"seven\"");
	expect_contains(feed->told.data, "reject 4 column v: expected integer, found \"7.5\"");
}

static void an_empty_field(struct engine *engine)
{
	struct feed *feed = typed(engine, "INTEGER");

	fed(feed, "id,v\n1,\n2,\"\"\n", "created=2");
	holds(engine, "null|NULL\ntext|''");
}

static void decimals_lose_their_zeros(struct engine *engine)
{
	struct feed *feed = typed(engine, "DECIMAL(10,2)");

	fed(feed, "id,v\n1,1.50\n2,2.00\n", "created=2");
	holds(engine, "real|1.5\ninteger|2");
	fed(feed, "id,v\n1,1.5\n2,2\n", "unchanged=2");
	/* The scale of the declaration rounds nothing. */
	fed(feed, "id,v\n1,1.505\n2,2\n", "updated=1 unchanged=1");
	holds(engine, "real|1.505\ninteger|2");
}

static void numbers_beyond_64_bits(struct engine *engine)
{
	struct feed *feed = typed(engine, "INTEGER");
	const char *notes = noted(feed, "id,v\n1,9223372036854775807\n2,9223372036854775808\n",
				  "created=2");

	expect_text(notes,
		    "3 column v is INTEGER, and \"9223372036854775808\" is stored in it as "
		    "9.2233720368547758e+18, as the database does (hint: a TEXT column keeps every "
		    "digit)\n");
	holds(engine, "integer|9223372036854775807\nreal|9.2233720368547758078e+18");
	/* So this is no change: what would be stored is what is stored. */
	fed(feed, "id,v\n1,9223372036854775807\n2,9223372036854775809\n", "unchanged=2");
}

static void text_keeps_all(struct engine *engine)
{
	struct feed *feed = typed(engine, "VARCHAR(3)");

	fed(feed, "id,v\n1,007\n2,1.50\n3,12345678901234567890\n", "created=3");
	holds(engine, "text|'007'\ntext|'1.50'\ntext|'12345678901234567890'");
	fed(feed, "id,v\n1,7\n2,1.5\n3,12345678901234567890\n", "updated=2 unchanged=1");
	/* A number of a JSON document keeps its text. */
	feed->format = AMEND_FORMAT_NDJSON;
	fed(feed, "{\"id\":1,\"v\":1.50}\n", "updated=1");
	engine_expect(engine, "SELECT quote(v) FROM t WHERE id = 1", "'1.50'");
}

static void without_a_type_text_stays(struct engine *engine)
{
	struct feed *feed = typed(engine, "");

	fed(feed, "id,v\n1,7\n2,7\n", "created=2");
	holds(engine, "text|'7'\ntext|'7'");
	/* An edit made it a number: storing the text would change it. */
	engine_exec(engine, "UPDATE t SET v = 7 WHERE id = 2");
	fed(feed, "id,v\n1,7\n2,7\n", "kept=1 unchanged=1");
	holds(engine, "text|'7'\ninteger|7");
}

static void dates_are_text(struct engine *engine)
{
	struct feed *feed = typed(engine, "DATE");

	fed(feed, "id,v\n1,2024-02-29\n2,20240229\n3,2024-02-29T10:00\n4,2024\n", "created=4");
	holds(engine, "text|'2024-02-29'\ninteger|20240229\ntext|'2024-02-29T10:00'\ninteger|2024");
	/* Another spelling of an instant is another text, and so a change. */
	fed(feed, "id,v\n1,2024-02-29\n2,20240229\n3,2024-02-29 10:00\n4,2024\n",
	    "updated=1 unchanged=3");
}

static void booleans_are_what_is_sent(struct engine *engine)
{
	struct feed *feed = typed(engine, "BOOLEAN");

	expect_text(
		noted(feed, "id,v\n1,1\n2,true\n", "created=2"),
		"3 column v is BOOLEAN, and \"true\" is stored in it as text, as the database does "
		"(hint: a STRICT table, or a CHECK, refuses it)\n");
	holds(engine, "integer|1\ntext|'true'");
	fed(feed, "id,v\n1,true\n2,true\n", "updated=1 unchanged=1");
	/* A JSON document's is the same text. */
	feed->format = AMEND_FORMAT_NDJSON;
	fed(feed, "{\"id\":1,\"v\":true}\n", "unchanged=1");
}

/* The column is of another type by now, and its texts are as they were. */
static void what_another_type_left(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
	engine_exec(engine, "INSERT INTO t VALUES (1, '7')");
	engine_exec(engine, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
			    "replace(sql, 'TEXT', 'INTEGER') WHERE name = 't'; "
			    "PRAGMA writable_schema = RESET");
	feed = feed_open(engine, "t", "id");
	feed->options.adopt = AMEND_ADOPT_INCOMING;
	holds(engine, "text|'7'");
	fed(feed, "id,v\n1,7\n", "updated=1");
	holds(engine, "integer|7");
}

static void collations_hide_no_change(struct engine *engine)
{
	struct feed *feed = typed(engine, "TEXT COLLATE NOCASE");

	fed(feed, "id,v\n1,Ada\n", "created=1");
	fed(feed, "id,v\n1,ADA\n", "updated=1");
	holds(engine, "text|'ADA'");
}

/* As the row has it, not as it is compared, also where the first base is all that is to be written. */
static void a_key_keeps_its_case(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE word (w TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER)");
	engine_exec(engine, "INSERT INTO word VALUES ('Ada', 1), ('Bo', 2)");
	feed = feed_open(engine, "word", "w");
	fed(feed, "w,n\nAda,1\nBo,2\n", "unchanged=2");
	engine_expect(engine, "SELECT first_key FROM amend_base ORDER BY pk",
		      "{\"w\":\"Ada\"}\n{\"w\":\"Bo\"}");
	fed(feed, "w,n\nAda,1\nBo,3\n", "updated=1 unchanged=1");
}

static const struct engine_test tests[] = {
	{"INTEGER: 7, +7, 007, 7.0 and 7e0 are one number", spellings_of_a_whole_number,
	 .only = "sqlite"},
	{"FLOATING POINT is a column of integers", floating_point_is_integer, .only = "sqlite"},
	{"REAL: a number is a REAL; what is none is kept as text, and noted", reals,
	 .only = "sqlite"},
	{"INTEGER: what is no number is kept as text, and noted once a column",
	 text_where_a_number_should_be, .only = "sqlite"},
	{"STRICT: what is no number is rejected", a_strict_table_refuses, .only = "sqlite"},
	{"INTEGER: an empty field is NULL, a quoted one is text", an_empty_field, .only = "sqlite"},
	{"NUMERIC: zeros behind the point are not kept, a scale rounds nothing",
	 decimals_lose_their_zeros, .only = "sqlite"},
	{"INTEGER: beyond 64 bits digits are lost, which is noted", numbers_beyond_64_bits,
	 .only = "sqlite"},
	{"TEXT: every digit and zero is kept", text_keeps_all, .only = "sqlite"},
	{"no type: text stays text, and a number is another value", without_a_type_text_stays,
	 .only = "sqlite"},
	{"DATE: text as it is spelled; all digits are a number", dates_are_text, .only = "sqlite"},
	{"BOOLEAN: true is a text, of JSON too, which is noted; 1 is a number",
	 booleans_are_what_is_sent, .only = "sqlite"},
	{"text that another type left in a column of numbers is no number", what_another_type_left,
	 .only = "sqlite"},
	{"a collation finds records, and hides no change", collations_hide_no_change,
	 .only = "sqlite"},
	{"a base names its record as the row does, whatever the collation", a_key_keeps_its_case,
	 .only = "sqlite"},
};

ENGINE_MAIN(tests)

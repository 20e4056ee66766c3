/* Mapping, --create-table, and values of every kind on their way into columns. */
#include "feed.h"

static struct feed *countries(struct engine *engine)
{
	engine_exec(engine,
		    engine_pick(engine,
				"CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT, note TEXT, "
				"version INTEGER NOT NULL DEFAULT 1, "
				"up TEXT GENERATED ALWAYS AS (upper(name)) STORED)",
				"CREATE TABLE country (code text PRIMARY KEY, name text, note text, "
				"version integer NOT NULL DEFAULT 1, "
				"up text GENERATED ALWAYS AS (upper(name)) STORED)"));
	return feed_open(engine, "country", "code");
}

static void maps(struct engine *engine)
{
	struct feed *feed = countries(engine);
	const struct amend_pair map[] = {{"code", "Alpha 2"}, {"name", "title"}, {"note", "title"}};

	feed->options.map = map;
	feed->options.n_map = 3;
	fed(feed, "Alpha 2,title\nFR,France\n", "created=1");
	engine_expect(engine, "SELECT code, name, note, up FROM country", "FR|France|France|FRANCE");
	refused(feed, AMEND_INVALID, "alpha,title\nFR,France\n",
		"expected the column that --map names, Alpha 2, found alpha, title");
	/* The map fills `name`: the source's own column of that name is not used. */
	fed(feed, "Alpha 2,title,name\nFR,Francia,x\n", "updated=1");
	engine_expect(engine, "SELECT name FROM country", "Francia");
}

static void the_version_moves(struct engine *engine)
{
	struct feed *feed = countries(engine);

	fed(feed, "code,name\nFR,France\nDE,Germany\n", "created=2");
	fed(feed, "code,name\nFR,Francia\nDE,Germany\n", "updated=1 unchanged=1");
	engine_expect(engine, "SELECT code, version FROM country ORDER BY code", "DE|1\nFR|2");
}

static void chooses_columns(struct engine *engine)
{
	struct feed *feed = countries(engine);
	static const char *const columns[] = {"name"};

	refused(feed, AMEND_INVALID, "code,name,area\nFR,France,1\n",
		"table country has no column area, which the source has (hint: --map COL=area sends it "
		"elsewhere, --columns leaves it out, --create-table makes a new table)");
	feed->options.columns = columns;
	feed->options.n_columns = 1;
	/* What is matched by is used without being named. */
	fed(feed, "code,name,area\nFR,France,1\n", "created=1");
}

static void refuses(struct engine *engine)
{
	const char *unsound = engine_pick3(engine, "", "xml", "bit(3)");
	struct feed *feed = countries(engine);
	static const char *const nowhere[] = {"nowhere"};

	refused(feed, AMEND_INVALID, "code,up\nFR,x\n", "column up of country is generated");
	refused(feed, AMEND_INVALID, "code,version\nFR,3\n",
		"is its version, which moves by itself");
	refused(feed, AMEND_INVALID, "name\nFrance\n",
		"expected the column to match by, code, found name");
	feed->options.columns = nowhere;
	feed->options.n_columns = 1;
	refused(feed, AMEND_INVALID, "code,name\nFR,x\n", "--columns names column nowhere");
	feed->options.n_columns = 0;
	feed->options.update = nowhere;
	feed->options.n_update = 1;
	refused(feed, AMEND_INVALID, "code,name\nFR,x\n", "--update names column nowhere");
	feed->options.n_update = 0;
	feed->options.n_match = 0;
	refused(feed, AMEND_INVALID, "code,name\nFR,x\n", "--match");
	feed = feed_open(engine, "kountry", "code");
	refused(feed, AMEND_NOT_FOUND, "code,name\nFR,x\n", "kountry");
	if (engine_is(engine, "sqlite"))
		return;
	engine_execf(engine, "CREATE TABLE doc (id integer PRIMARY KEY, x %s)", unsound);
	feed = feed_open(engine, "doc", "id");
	refused(feed, AMEND_UNSUPPORTED, "id,x\n1,<a/>\n",
		engine_printf(engine, "is of type %s", unsound));
}

/* Where a table that is made stays made. */
static void creates_no_table(struct engine *engine)
{
	struct feed *feed = feed_open(engine, "country", "code");

	feed->options.create_table = true;
	for (int dry = 0; dry < 2; dry++) {
		feed->options.dry_run = dry;
		refused(feed, AMEND_UNSUPPORTED, "code,name\nFR,France\n",
			engine_printf(engine,
				      "--create-table is not available on %s, where a table that is "
				      "made cannot be undone with what went wrong (hint: CREATE "
				      "TABLE first)",
				      engine->driver->name));
	}
}

static void creates_a_table(struct engine *engine)
{
	struct feed *feed = feed_open(engine, "country", "code");
	const char *before = feed_snapshot(engine);

	feed->options.create_table = true;
	feed->options.dry_run = true;
	fed_once(feed, "code,name\n001,France\n", "created=1");
	expect_text(feed_snapshot(engine), before);
	feed->options.dry_run = false;
	fed(feed, "code,name\n001,France\n", "created=1");
	engine_expect(engine, "SELECT id, code, name FROM country", "1|001|France");
	/* It is there now: columns are checked, nothing is made. */
	refused(feed, AMEND_INVALID, "code,name,x\n001,France,1\n", "has no column x");
	feed = feed_open(engine, "empty", "code");
	feed->options.create_table = true;
	fed(feed, "code,name\n", "");
	engine_expect(engine, "SELECT count(*) FROM empty", "0");
}

static void creates_with_its_own_id(struct engine *engine)
{
	struct feed *feed = feed_open(engine, "a", "id");

	feed->options.create_table = true;
	fed(feed, "id,name\n7,x\n", "created=1");
	engine_expect(engine, "SELECT * FROM a", "7|x");
	feed = feed_open(engine, "b", "code");
	feed->options.create_table = true;
	fed(feed, "id,code\n7,x\n", "created=1");
	engine_expect(engine, "SELECT row_id, id, code FROM b", "1|7|x");
}

static void detects_types(struct engine *engine)
{
	struct feed *feed = feed_open(engine, "d", "code");
	const struct amend_pair type = {"w", "varchar(9)"};

	feed->options.create_table = true;
	feed->options.detect_types = true;
	feed->options.types = &type;
	feed->options.n_types = 1;
	fed(feed,
	    "code,n,big,dec,day,zip,mix,none,w\n"
	    "a,1,9007199254740993,1.5,2020-02-29,01234,1,,1\n"
	    "b,-20,,12.25,,99999,x,,2\n"
	    "c,,,,,,,,\n",
	    "created=3");
	engine_expect(
		engine,
		engine_pick(
			engine,
			"SELECT group_concat(name || ' ' || lower(type), ', ') FROM pragma_table_info('d')",
			"SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' "
			"ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'd'::regclass AND attnum > 0"),
		engine_pick(
			engine,
			"id integer, code text, n integer, big integer, dec numeric, day text, zip "
			"text, mix text, none text, w varchar(9)",
			"id bigint, code text, n bigint, big bigint, dec numeric, day date, zip "
			"text, mix text, none text, w character varying(9)"));
	engine_expect(engine, "SELECT n, big, zip FROM d WHERE code = 'a'",
		      "1|9007199254740993|01234");
}

static struct feed *typed(struct engine *engine)
{
	engine_exec(
		engine,
		engine_pick(
			engine,
			"CREATE TABLE v (id INTEGER PRIMARY KEY, n INTEGER, d NUMERIC, f REAL, t TEXT)",
			"CREATE TABLE v (id integer PRIMARY KEY, n bigint, d numeric(10,2), f "
			"double precision, t text)"));
	return feed_open(engine, "v", "id");
}

static void values_keep(struct engine *engine)
{
	struct feed *feed = typed(engine);

	fed(feed, "id,n,d,f,t\n1,9007199254740993,1.50,0.1,007\n", "created=1");
	engine_expect(engine, "SELECT n, t FROM v", "9007199254740993|007");
	/* Other spellings of the same are no change. */
	fed(feed, "id,n,d,f,t\n001,+9007199254740993,1.5,1e-1,007\n", "unchanged=1");
	fed(feed, "id,n,d,f,t\n1,9007199254740992,1.5,0.1,7\n", "updated=1");
	engine_expect(engine, "SELECT n, t FROM v", "9007199254740992|7");
	/* An equal number is no local edit, another is. */
	engine_exec(engine, "UPDATE v SET d = 1.500");
	fed(feed, "id,n,d,f,t\n1,9007199254740992,1.5,0.1,7\n", "unchanged=1");
}

static void values_round(struct engine *engine)
{
	struct feed *feed = typed(engine);

	/* To the column's scale, never through a double. */
	fed(feed, "id,d\n1,12345678.125\n2,0.005\n", "created=2");
	engine_expect(engine, "SELECT d FROM v ORDER BY id", "12345678.13\n0.01");
	fed(feed, "id,d\n1,12345678.13\n2,0.01\n", "unchanged=2");
}

static void values_refused(struct engine *engine)
{
	struct feed *feed = typed(engine);

	/* A column of SQLite takes any text, unless its table is STRICT. */
	fed_once(feed, "id,n,d\n1,abc,1\n2,99999999999999999999,1\nx,1,1\n3,1,1\n",
		 engine_pick(engine, "created=3 rejected=1", "created=1 rejected=3"));
	expect_contains(feed->told.data, "reject 4 column id: ");
	if (engine_is(engine, "postgresql")) {
		expect_contains(feed->told.data, "reject 2 column n: ");
		expect_contains(feed->told.data, "reject 3 column n: ");
	}
	engine_expect(engine, "SELECT id FROM v", engine_pick(engine, "1\n2\n3", "3"));
}

static void dates(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, d date, ts timestamp, tz timestamptz, b "
		    "boolean, j jsonb, u uuid, c char(4), v varchar(3))");
	feed = feed_open(engine, "t", "id");
	fed(feed,
	    "id,d,ts,tz,b,j,u,c,v\n"
	    "1,2020-02-29,2020-01-01T10:00,2020-01-01 10:00:00+02,yes,\"{\"\"b\"\":1,\"\"a\"\":2}\","
	    "A0EEBC999C0B4EF8BB6D6BB9BD380A11,ab,abc\n",
	    "created=1");
	fed(feed,
	    "id,d,ts,tz,b,j,u,c,v\n"
	    "1,2020-02-29,2020-01-01 10:00:00,2020-01-01 08:00:00Z,t,\"{\"\"a\"\": 2, \"\"b\"\": 1}\","
	    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,ab,abc\n",
	    "unchanged=1");
	fed_once(feed, "id,d,v\n2,2021-02-29,a\n3,2021-02-28,abcd\n4,2021-02-28,abc\n",
		 "created=1 rejected=2");
}

static void null_and_not_null(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE n (id integer PRIMARY KEY, a text NOT NULL, b text)");
	feed = feed_open(engine, "n", "id");
	fed_once(feed, "id,a,b\n1,,x\n2,\"\",\n", "created=1 rejected=1");
	expect_contains(feed->told.data, "reject 2 ");
	engine_expect(engine, "SELECT * FROM n", "2||NULL");
}

static void hostile_names(struct engine *engine)
{
	struct feed *feed;
	const struct amend_pair map[] = {{"select", "c;--"}, {"a\"b", "x'y"}};

	engine_exec(engine,
		    "CREATE TABLE \"odd \"\"t\" (\"select\" text PRIMARY KEY, \"a\"\"b\" text)");
	feed = feed_open(engine, "\"odd \"\"t\"", "select");
	feed->options.map = map;
	feed->options.n_map = 2;
	fed(feed, "c;--,x'y\n'; DROP TABLE x;--,\"\"\"\"\n", "created=1");
	fed(feed, "c;--,x'y\n'; DROP TABLE x;--,é\n", "updated=1");
	engine_expect(engine, "SELECT * FROM \"odd \"\"t\"", "'; DROP TABLE x;--|é");
}

static void rows_without_a_key(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE r (code TEXT UNIQUE, name TEXT)");
	feed = feed_open(engine, "r", "code");
	fed(feed, "code,name\na,1\nb,2\n", "created=2");
	engine_exec(engine, "UPDATE r SET name = 'x' WHERE code = 'b'");
	fed(feed, "code,name\na,3\nb,4\n", "updated=1 conflicts=1 new_conflicts=1 open_conflicts=1");
	engine_exec(engine, "UPDATE r SET code = 'c' WHERE code = 'a'");
	fed(feed, "code,name\na,3\nb,4\n", "conflicts=2 new_conflicts=1 open_conflicts=2");
}

static const struct engine_test tests[] = {
	{"--map sends columns elsewhere", maps},
	{"the version moves with what is written, and only then", the_version_moves},
	{"--columns leaves columns out", chooses_columns},
	{"unknown, generated, unsound and version columns are refused by name", refuses},
	{"--create-table makes it with the first write, or not in a dry run", creates_a_table,
	 .needs = AMEND_HAS_DDL_ROLLBACK},
	{"--create-table where the source has a column id", creates_with_its_own_id,
	 .needs = AMEND_HAS_DDL_ROLLBACK},
	{"--detect-types looks at all values, conservatively", detects_types,
	 .needs = AMEND_HAS_DDL_ROLLBACK},
	{"--create-table is refused where it could not be undone", creates_no_table,
	 .lacks = AMEND_HAS_DDL_ROLLBACK},
	{"2^53+1, leading zeros, decimals: as the column's type has them", values_keep},
	{"decimals are rounded to the column's scale", values_round, .only = "postgresql"},
	{"a value that the column cannot hold rejects the record", values_refused},
	{"dates, instants, booleans, json, uuid, char: by value", dates, .only = "postgresql"},
	{"NULL where it is not allowed rejects the record; '' does not", null_and_not_null},
	{"hostile names", hostile_names},
	{"a table whose rows only the rowid names", rows_without_a_key, .only = "sqlite"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

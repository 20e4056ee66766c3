/*
 * Arithmetic in the database: bounds, ranges, NULL, text, decimals, creation.
 * Leaves races to tests/race.
 */
#include "ask.h"

static struct road *open_stock(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE stock (id integer PRIMARY KEY, qty integer, "
			    "big bigint, price numeric(10,2), weight double precision, note text)");
	engine_exec(engine, "INSERT INTO stock VALUES (1, 10, 100, 1.50, 0.5, 'n'), "
			    "(2, NULL, NULL, NULL, NULL, NULL)");
	return road_open(engine, "stock");
}

static void adds_and_subtracts(struct engine *engine)
{
	struct road *road = open_stock(engine);

	ok(road, .keys = "id=1", .set = "qty+=5");
	said(road, "updated qty: 10 -> 15");
	ok(road, .keys = "id=1", .set = "qty-=20, big+=1");
	said(road, "updated qty: 15 -> -5, big: 100 -> 101");
	ok(road, .keys = "id=1", .set = "qty+=1, note=with a text");
	said(road, "updated qty: -5 -> -4, note: n -> with a text");
	history(road, "id=1",
		"update id=1 qty: -5 -> -4, note: n -> with a text\n"
		"update id=1 qty: 15 -> -5, big: 100 -> 101\nupdate id=1 qty: 10 -> 15");
}

static void adds_to_what_is_there_now(struct engine *engine)
{
	struct road *road = open_stock(engine);

	expect_ok(road_get(road, "id=1"), &road->err);
	engine_exec(engine, "UPDATE stock SET qty = 1000 WHERE id = 1");
	ok(road, .keys = "id=1", .set = "qty+=1");
	said(road, "updated qty: 1000 -> 1001");
}

/* What is equal is not written, whatever spelling nothing has. */
static void adds_nothing(struct engine *engine)
{
	struct road *road = open_stock(engine);

	ok(road, .keys = "id=1", .set = "qty+=0");
	said(road, "unchanged");
	ok(road, .keys = "id=1", .set = "qty-=0, big+=1");
	said(road, "updated big: 100 -> 101");
	engine_expect(engine, "SELECT qty, big FROM stock WHERE id = 1", "10|101");
}

/* The single statement names the row before by names of its own. */
static void odd_columns(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE odd (id integer PRIMARY KEY, o0 integer, o1 integer, n integer);"
		    "INSERT INTO odd VALUES (1, 5, 6, 7)");
	road = road_open(engine, "odd");
	ok(road, .keys = "id=1", .set = "n+=1, o1+=2");
	said(road, "updated o1: 6 -> 8, n: 7 -> 8");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "id+=1");
	expect_contains(road->err.text, "identifies the record");
}

/* SQLite would store what no program can read, or a number without its last digits. */
static void sqlite_values(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE v (id integer PRIMARY KEY, t text, n integer, r real);"
			    "INSERT INTO v VALUES (1, 'a', 1, 1e308)");
	road = road_open(engine, "v");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "t=\xff");
	expect_contains(road->err.text, "UTF-8");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "n=9223372036854775808");
	expect_contains(road->err.text, "64 bits");
	ok(road, .keys = "id=1", .set = "n=-9223372036854775808");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "r+=1e308");
	expect_contains(road->err.text, "range");
	engine_expect(engine, "SELECT t, n, r FROM v", "a|-9223372036854775808|1.0e+308");
}

/* What the key would not find again is not created, or it is created once more each time. */
static void key_columns_of_a_creation(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE k (id integer PRIMARY KEY, code text UNIQUE)");
	road = road_open(engine, "k");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "code=q",
		.set = "code=NULL, id=1");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "code=q",
		.set = "code=r, id=1");
	expect_contains(road->err.text, "the key would not find it");
	refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .keys = "code=q", .set = "id=1",
		.on_create = "code=r");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "code=q", .set = "code=q, id=1");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "code=q", .set = "code=r");
	engine_expect(engine, "SELECT id, code FROM k", "1|r");
}

static void bounds(struct engine *engine)
{
	struct road *road = open_stock(engine);

	ok(road, .keys = "id=1", .set = "qty-=10", .bounds = "qty>=0");
	said(road, "updated qty: 10 -> 0");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty-=1", .bounds = "qty>=0");
	said(road, "rejected");
	expect_contains(road->err.text, "qty is 0, adding -1 would break its bounds (at least 0)");
	ok(road, .keys = "id=1", .set = "qty+=9", .bounds = "qty>=0, qty<=9");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty+=1", .bounds = "qty<=9");
	/* One of two columns: neither is written, and that one is named. */
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty+=1, big+=1",
		.bounds = "qty<=9, big<=1000");
	expect_contains(road->err.text, "qty is 9, adding 1");
	assert_null(strstr(road->err.text, "big"));
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty+=1, big+=1",
		.bounds = "qty<=9, big<=100");
	expect_contains(road->err.text, "qty is 9, adding 1");
	expect_contains(road->err.text, "big is 100, adding 1");
	engine_expect(engine, "SELECT qty, big FROM stock WHERE id = 1", "9|100");
	/* Of values that are set, too. */
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty=10, note=x", .bounds = "qty<=9");
	ok(road, .keys = "id=1", .set = "qty=8, note=x", .bounds = "qty<=9");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "note=y", .bounds = "qty<=9");
	expect_contains(road->err.text, "not assigned");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty+=1", .bounds = "qtty<=9");
	history(road, "id=1",
		"update id=1 qty: 9 -> 8, note: n -> x\nupdate id=1 qty: 0 -> 9\n"
		"update id=1 qty: 10 -> 0");
}

static void bounds_of_integers_as_numbers(struct engine *engine)
{
	struct road *road = open_stock(engine);

	/* As text 9 would be more than 10. */
	ok(road, .keys = "id=1", .set = "qty-=1", .bounds = "qty<=10");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty+=2", .bounds = "qty<=10");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty+=2", .bounds = "qty<=ten");
}

static void bounds_on_creation(struct engine *engine)
{
	struct road *road = open_stock(engine);

	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "id=3", .set = "qty-=1",
		.bounds = "qty>=0");
	engine_expect(engine, "SELECT count(*) FROM stock", "2");
	history(road, NULL, "");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=3", .set = "qty+=4", .bounds = "qty>=0");
	said(road, "created id: NULL -> 3, qty: NULL -> 4");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=3", .set = "qty-=1", .on_create = "qty=100",
	   .bounds = "qty>=0");
	said(road, "updated qty: 4 -> 3");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=4", .set = "qty-=1", .on_create = "qty=100",
	   .bounds = "qty>=0");
	said(road, "created id: NULL -> 4, qty: NULL -> 100");
}

static void null_is_no_number(struct engine *engine)
{
	struct road *road = open_stock(engine);

	refused(AMEND_CONSTRAINT, road, .keys = "id=2", .set = "qty+=1");
	expect_contains(road->err.text, "stock.qty is NULL");
	refused(AMEND_CONSTRAINT, road, .keys = "id=2", .set = "qty+=1", .bounds = "qty>=0");
	expect_contains(road->err.text, "stock.qty is NULL");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty+=NULL");
	engine_expect(engine, "SELECT id, qty FROM stock ORDER BY id", "1|10\n2|NULL");
	history(road, NULL, "");
}

static void only_numbers_are_added(struct engine *engine)
{
	static const char *const amounts[] = {"qty+=x",   "qty+=",      "qty+= ",  "qty+=1x",
					      "qty+=0.5", "qty+=1e400", "note+=1", "nothing+=1"};
	struct road *road = open_stock(engine);

	for (size_t i = 0; i < COUNT(amounts); i++)
		refused(AMEND_INVALID, road, .keys = "id=1", .set = amounts[i]);
	engine_expect(engine, "SELECT qty, note FROM stock WHERE id = 1", "10|n");
	/* Whole, however it is spelled. */
	ok(road, .keys = "id=1", .set = "qty+=007");
	said(road, "updated qty: 10 -> 17");
}

static void integers_do_not_overflow(struct engine *engine)
{
	struct road *road = open_stock(engine);

	engine_exec(engine,
		    "UPDATE stock SET qty = 2147483647, big = 9223372036854775807 WHERE id = 1");
	refused(engine_is(engine, "sqlite") ? AMEND_CONSTRAINT : AMEND_INVALID, road,
		.keys = "id=1", .set = "big+=1");
	expect_contains(road->err.text, "range");
	engine_exec(engine, "UPDATE stock SET big = -9223372036854775807 WHERE id = 1");
	refused(engine_is(engine, "sqlite") ? AMEND_CONSTRAINT : AMEND_INVALID, road,
		.keys = "id=1", .set = "big-=2");
	ok(road, .keys = "id=1", .set = "big-=1");
	expect_contains(road_said(road), "big: -9223372036854775807 -> -9223372036854775808");
	if (!engine_is(engine, "sqlite"))
		refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty+=1");
	engine_expect(engine, "SELECT qty, big FROM stock WHERE id = 1",
		      "2147483647|-9223372036854775808");
}

/* What does not lead to a record leaves the unit usable where it wrote nothing. */
static enum amend_status sell(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty-=100", .bounds = "qty>=0");
	return road_write(road, ask(.keys = "id=1", .set = "note=sold out"));
}

static void out_of_bounds_in_a_unit(struct engine *engine)
{
	struct road *road = open_stock(engine);

	expect_ok(road_atomic(road, sell, road), &road->err);
	engine_expect(engine, "SELECT qty, note FROM stock WHERE id = 1", "10|sold out");
}

/* Where it is known only behind the write, the unit must be undone: the write is in it. */
static enum amend_status make(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "id=9", .set = "qty=-1",
		.bounds = "qty>=0");
	return AMEND_OK;
}

static enum amend_status overflow(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	assert_int_not_equal(road_write(road, ask(.keys = "id=1", .set = "big+=1")), AMEND_OK);
	return AMEND_OK;
}

static void too_late_in_a_unit(struct engine *engine)
{
	struct road *road = open_stock(engine);

	expect_status(AMEND_CONSTRAINT, road_atomic(road, make, road), &road->err);
	engine_exec(engine, "UPDATE stock SET big = 9223372036854775807 WHERE id = 1");
	assert_int_not_equal(road_atomic(road, overflow, road), AMEND_OK);
	engine_expect(engine, "SELECT id, big FROM stock ORDER BY id",
		      "1|9223372036854775807\n2|NULL");
}

static void exact_decimals(struct engine *engine)
{
	struct road *road = open_stock(engine);

	for (int i = 0; i < 10; i++)
		ok(road, .keys = "id=1", .set = "price+=0.10");
	engine_expect(engine, "SELECT price FROM stock WHERE id = 1", "2.50");
	/* Rounded as the column rounds. */
	ok(road, .keys = "id=1", .set = "price+=0.005");
	engine_expect(engine, "SELECT price FROM stock WHERE id = 1", "2.51");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "price+=99999999");
	ok(road, .keys = "id=1", .set = "weight+=0.25");
	said(road, "updated weight: 0.5 -> 0.75");
}

static void sqlite_decimals(struct engine *engine)
{
	struct road *road = open_stock(engine);

	ok(road, .keys = "id=1", .set = "weight+=0.25");
	said(road, "updated weight: 0.5r -> 0.75r");
	/* Binary fractions: what SQLite computes is what is stored and recorded. */
	engine_exec(engine, "UPDATE stock SET weight = 0.1 WHERE id = 1");
	ok(road, .keys = "id=1", .set = "weight+=0.2");
	engine_expect(engine, "SELECT weight = 0.1 + 0.2, typeof(weight) FROM stock WHERE id = 1",
		      "1|real");
	/* Text in a column of numbers is not guessed at. */
	engine_exec(engine, "UPDATE stock SET qty = 'many' WHERE id = 1");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty+=1");
	expect_contains(road->err.text, "does not hold a number");
	engine_expect(engine, "SELECT qty FROM stock WHERE id = 1", "many");
}

static void domains(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE DOMAIN amount AS integer CHECK (VALUE >= 0); "
			    "CREATE TABLE d (id integer PRIMARY KEY, n amount NOT NULL); "
			    "INSERT INTO d VALUES (1, 5)");
	road = road_open(engine, "d");
	ok(road, .keys = "id=1", .set = "n-=3");
	said(road, "updated n: 5 -> 2");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "n-=3");
	engine_expect(engine, "SELECT n FROM d", "2");
}

/* What was there before is counted back from what is there now: version column, bounds, keys of several columns. */
static void counts_back(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE v (a integer, b integer, small smallint, big bigint, "
			    "version integer NOT NULL, note text, PRIMARY KEY (a, b));"
			    "INSERT INTO v VALUES (1, 2, -5, 9223372036854775806, 7, 'x'), "
			    "(1, 3, NULL, 1, 1, NULL)");
	road = road_open(engine, "v");
	ok(road, .keys = "a=1, b=2", .set = "small-=2, big+=1", .bounds = "small>=-7");
	said(road, "updated small: -5 -> -7, big: 9223372036854775806 -> 9223372036854775807, "
		   "version: 7 -> 8");
	expect_text(road_record(road), "a=1 b=2 small=-7 big=9223372036854775807 version=8 note=x");
	refused(AMEND_CONSTRAINT, road, .keys = "a=1, b=2", .set = "small-=1",
		.bounds = "small>=-7");
	expect_contains(road->err.text, "small is -7, adding -1");
	refused(AMEND_CONSTRAINT, road, .keys = "a=1, b=3", .set = "small+=1");
	expect_contains(road->err.text, "small is NULL");
	refused(AMEND_NOT_FOUND, road, .keys = "a=1, b=4", .set = "small+=1");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "a=1, b=4", .set = "small+=1",
	   .on_create = "big=0");
	said(road, "created a: NULL -> 1, b: NULL -> 4, small: NULL -> 1, big: NULL -> 0, "
		   "version: NULL -> 1");
	history(road, "a=1, b=2",
		"update a=1 b=2 small: -5 -> -7, big: 9223372036854775806 -> 9223372036854775807, "
		"version: 7 -> 8");
}

/* A bound that is in the way may make way: what is not yet committed is waited for. */
static void a_bound_waits(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct foreign *other = foreign_open(engine);
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;

	ok(road, .keys = "id=1", .set = "qty-=10", .bounds = "qty>=0");
	options.lock_timeout_ms = 50;
	road = road_open_with(engine, engine->url, &options, "stock");
	foreign_exec(other, "BEGIN; UPDATE stock SET qty = 9 WHERE id = 1");
	refused(AMEND_LOCKED, road, .keys = "id=1", .set = "qty-=1", .bounds = "qty>=0");
	foreign_exec(other, "COMMIT");
	ok(road, .keys = "id=1", .set = "qty-=1", .bounds = "qty>=0");
	said(road, "updated qty: 9 -> 8");
}

static void inherited(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE p (id integer PRIMARY KEY, n integer);"
			    "CREATE TABLE c () INHERITS (p);"
			    "INSERT INTO p VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1, 5)");
	road = road_open(engine, "p");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "n+=1");
	expect_contains(road->err.text, "several");
	engine_expect(engine, "SELECT n FROM p ORDER BY n", "1\n2\n5");
	ok(road, .keys = "id=2", .set = "n+=1");
	history(road, NULL, "update id=2 n: 2 -> 3");
}

static const struct engine_test tests[] = {
	{"adds and subtracts, several at once, beside other values", adds_and_subtracts},
	{"adds to what is there now, not to what was read", adds_to_what_is_there_now},
	{"adding nothing is no change", adds_nothing},
	{"columns of any name; the identity is not added to", odd_columns},
	{"SQLite: what it would store but nobody could use", sqlite_values, .only = "sqlite"},
	{"a creation is found by its key", key_columns_of_a_creation},
	{"bounds of what is added and of what is set", bounds},
	{"bounds compare numbers", bounds_of_integers_as_numbers},
	{"bounds on creation: nothing is created", bounds_on_creation},
	{"NULL plus something is refused", null_is_no_number},
	{"only numbers are added, and whole ones to integers", only_numbers_are_added},
	{"integers do not overflow into something else", integers_do_not_overflow},
	{"out of bounds in a unit leaves the unit usable", out_of_bounds_in_a_unit},
	{"what breaks a bound or a range behind the write undoes the unit", too_late_in_a_unit},
	{"decimals are exact", exact_decimals, .only = "postgresql"},
	{"SQLite: reals, and text in a column of numbers", sqlite_decimals, .only = "sqlite"},
	{"what was there before is counted back", counts_back},
	{"a bound that is in the way waits for what may make room", a_bound_waits,
	 .only = "postgresql"},
	{"a record that a table has and one that inherits from it", inherited, .only = "postgresql"},
	{"domains: the amount is not a value of the domain", domains, .only = "postgresql"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

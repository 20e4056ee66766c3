/*
 * Writes under an operation's id: done once, a repeat gets the same answer, another request is refused.
 * Leaves handlers to handler_test.c, lost commits to lost_commit_test.c, the wire to cut_test.c.
 */
#include "ask.h"

#include "core/buffer.h"
#include "sql/conn.h"

static struct road *open_stock(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE stock (sku integer PRIMARY KEY, qty integer, note text)");
	engine_exec(engine, "INSERT INTO stock VALUES (42, 5, NULL)");
	return road_open(engine, "stock");
}

static const char *count_of(struct engine *engine, const char *table)
{
	return engine_scalar(engine, engine_printf(engine, "SELECT count(*) FROM %s%s",
						   engine_pick(engine, "amend_", "amend."), table));
}

#define counts(engine, table, n) \
	expect_text_at(count_of(engine, table), n, table, __FILE__, __LINE__)

/* What a caller is told, all of it. */
static const char *answer(struct road *road)
{
	return engine_printf(road->engine, "%s; %s; revision %lld; token %s; record %s",
			     amend_status_name(road->status), road_said(road),
			     (long long)road->result.revision,
			     road->result.token ? road->result.token : "none", road_record(road));
}

static void the_same_answer(struct engine *engine)
{
	struct road *road = open_stock(engine);
	const char *first;

	ok(road, .keys = "sku=42", .set = "qty-=3, note=sold", .once = "order-77",
	   .want_token = true);
	said(road, "updated qty: 5 -> 2, note: NULL -> sold");
	expect_text(road->result.once, "order-77");
	assert_null(road->result.repeated);
	assert_non_null(road->result.token);
	first = answer(road);
	/* Whoever has been at it meanwhile. */
	engine_exec(engine, "UPDATE stock SET qty = 100");
	for (int i = 0; i < 2; i++) {
		ok(road, .keys = "sku=42", .set = "qty-=3, note=sold", .once = "order-77",
		   .want_token = true);
		expect_text(answer(road), first);
		assert_non_null(road->result.repeated);
	}
	/* On another connection, and without a wish for the token. */
	road_close(road);
	road = road_open(engine, "stock");
	ok(road, .keys = "sku=42", .set = "qty-=3, note=sold", .once = "order-77");
	expect_text(answer(road), first);
	engine_expect(engine, "SELECT qty FROM stock", "100");
	counts(engine, "revision", "1");
	counts(engine, "operation", "1");
}

static void creations_and_deletions(struct engine *engine)
{
	struct road *road = open_stock(engine);

	for (int i = 0; i < 2; i++) {
		ok(road, AMEND_UPDATE_OR_CREATE, .keys = "sku=1", .set = "qty=7", .once = "c");
		said(road, "created sku: NULL -> 1, qty: NULL -> 7");
	}
	for (int i = 0; i < 2; i++) {
		expect_ok(road_delete(road, ask(.keys = "sku=1", .once = "d")), &road->err);
		said(road, "deleted sku: 1 -> NULL, qty: 7 -> NULL");
		expect_text(road_record(road), "sku=1 qty=7 note=NULL");
	}
	/* A creation that is repeated after the deletion creates nothing. */
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "sku=1", .set = "qty=7", .once = "c");
	said(road, "created sku: NULL -> 1, qty: NULL -> 7");
	ok(road, AMEND_GET_OR_CREATE, .keys = "sku=42", .set = "qty=9", .once = "g");
	said(road, "found");
	ok(road, .keys = "sku=42", .set = "qty=5", .once = "u");
	said(road, "unchanged");
	engine_exec(engine, "UPDATE stock SET qty = 6");
	ok(road, .keys = "sku=42", .set = "qty=5", .once = "u");
	said(road, "unchanged");
	engine_expect(engine, "SELECT sku, qty FROM stock", "42|6");
	counts(engine, "revision", "2");
}

/* Each differs in one respect from sku=42, qty=5 under the id x. */
static void another_request_is_refused(struct engine *engine)
{
	struct road *road = open_stock(engine);
	const struct asked others[] = {
		{.keys = "sku=43", .set = "qty-=3"},
		{.keys = "sku=42", .set = "qty-=4"},
		{.keys = "sku=42", .set = "qty=2"},
		{.keys = "sku=42", .set = "qty-=3, note=a"},
		{.keys = "sku=42", .set = "qty-=3", .bounds = "qty>=0"},
		{.keys = "sku=42", .set = "qty-=3", .originals = "note=NULL"},
		{.keys = "sku=42", .set = "qty-=3", .on_create = "note=a"},
		{AMEND_UPDATE_OR_CREATE, .keys = "sku=42", .set = "qty-=3"},
		{AMEND_GET_OR_CREATE, .keys = "sku=42", .set = "qty-=3"},
		{.keys = "sku=42, note=a", .set = "qty-=3"},
		{.keys = "sku=42; note=a", .set = "qty-=3"},
	};

	ok(road, .keys = "sku=42", .set = "qty-=3", .once = "x");
	for (size_t i = 0; i < COUNT(others); i++) {
		struct asked asked = others[i];

		asked.once = "x";
		expect_status(AMEND_INVALID, road_write(road, &asked), &road->err);
		expect_contains(road->err.text, "operation x is another request");
		assert_int_equal(road->result.outcome, AMEND_IS_REJECTED);
	}
	expect_status(AMEND_INVALID, road_delete(road, ask(.keys = "sku=42", .once = "x")),
		      &road->err);
	engine_exec(engine, "CREATE TABLE other (sku integer PRIMARY KEY, qty integer, note text)");
	road_table(road, "other");
	refused(AMEND_INVALID, road, .keys = "sku=42", .set = "qty-=3", .once = "x");
	/* Who waits how, and for what, is not the request. */
	road_table(road, "stock");
	ok(road, .keys = "sku=42", .set = "qty-=3", .once = "x", .wait = AMEND_NOWAIT,
	   .want_token = true);
	engine_expect(engine, "SELECT qty FROM stock", "2");
}

/* A refusal that somebody has acted upon stays one. */
static void refusals_are_answers(struct engine *engine)
{
	struct road *road = open_stock(engine);
	const char *text;

	refused(AMEND_CONSTRAINT, road, .keys = "sku=42", .set = "qty-=9", .bounds = "qty>=0",
		.once = "sale");
	text = engine_printf(engine, "%s", road->err.text);
	assert_null(road->result.repeated);
	engine_exec(engine, "UPDATE stock SET qty = 100");
	refused(AMEND_CONSTRAINT, road, .keys = "sku=42", .set = "qty-=9", .bounds = "qty>=0",
		.once = "sale");
	expect_text(road->err.text, text);
	assert_non_null(road->result.repeated);
	assert_int_equal(road->result.outcome, AMEND_IS_REJECTED);
	/* No such record: also when there is one now. */
	refused(AMEND_NOT_FOUND, road, .keys = "sku=1", .set = "qty=1", .once = "none");
	engine_exec(engine, "INSERT INTO stock VALUES (1, 0, NULL)");
	refused(AMEND_NOT_FOUND, road, .keys = "sku=1", .set = "qty=1", .once = "none");
	assert_int_equal(road->result.outcome, AMEND_IS_MISSING);
	ok(road, .keys = "sku=1", .set = "qty=1", .once = "none-2");
	refused(AMEND_EXISTS, road, AMEND_CREATE, .keys = "sku=1", .set = "qty=1", .once = "e");
	engine_exec(engine, "DELETE FROM stock WHERE sku = 1");
	refused(AMEND_EXISTS, road, AMEND_CREATE, .keys = "sku=1", .set = "qty=1", .once = "e");
	engine_expect(engine, "SELECT sku, qty FROM stock", "42|100");
}

static void stale_is_told_again_with_all_sides(struct engine *engine)
{
	struct road *road = open_stock(engine);
	const char *token, *first;

	token = road_token(road, "sku=42");
	ok(road, .keys = "sku=42", .set = "note=b");
	for (int i = 0; i < 2; i++) {
		refused(AMEND_STALE, road, .keys = "sku=42", .set = "note=c", .token = token,
			.once = "s", .want_token = true);
		assert_int_equal(road->result.outcome, AMEND_IS_STALE);
		expect_text(road_state(road, road->result.base), "sku=42 qty=5 note=NULL");
		expect_text(road_record(road), "sku=42 qty=5 note=b");
		expect_text(road_incoming(road), "note=c");
		assert_non_null(road->result.by);
		if (i == 0)
			first = answer(road);
		else
			expect_text(answer(road), first);
		/* The state that the token stands for is there again: still the same answer. */
		engine_exec(engine, "UPDATE stock SET note = NULL");
	}
	engine_expect(engine, "SELECT note FROM stock", "NULL");
}

/* Nothing was decided: the id is free. */
static void what_did_not_come_to_an_answer(struct engine *engine)
{
	struct road *road = open_stock(engine);

	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	refused(AMEND_INVALID, road, .keys = "sku=42", .set = "qty+=many", .once = "x");
	counts(engine, "operation", "0");
	ok(road, .keys = "sku=42", .set = "qty=6", .once = "x");
	refused(AMEND_INVALID, road, .keys = "sku=42", .set = "nothere=6", .once = "y");
	ok(road, .keys = "sku=42", .set = "qty=7", .once = "y");
	engine_expect(engine, "SELECT qty FROM stock", "7");
}

static void ids(struct engine *engine)
{
	struct road *road = open_stock(engine);
	char longest[202];

	memset(longest, 'x', sizeof(longest));
	longest[201] = '\0';
	refused(AMEND_INVALID, road, .keys = "sku=42", .set = "qty=6", .once = longest);
	longest[200] = '\0';
	ok(road, .keys = "sku=42", .set = "qty=6", .once = longest);
	refused(AMEND_INVALID, road, .keys = "sku=42", .set = "qty=6", .once = "a\nb");
	refused(AMEND_INVALID, road, .keys = "sku=42", .set = "qty=6", .once = "\xff");
	/* Case and accents count: compared by bytes. */
	ok(road, .keys = "sku=42", .set = "qty+=1",
	   .once = "Gr\xc3\xb6\xc3\x9f"
		   "e 'x'");
	ok(road, .keys = "sku=42", .set = "qty+=1",
	   .once = "gr\xc3\xb6\xc3\x9f"
		   "e 'x'");
	engine_expect(engine, "SELECT qty FROM stock", "8");
}

static enum amend_status twice_and_fail(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "in");
	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "in");
	assert_non_null(road->result.repeated);
	return amend_error_set(err, AMEND_CONFLICT, "on purpose");
}

static enum amend_status twice(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "in");
	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "in");
	/* A refusal does not harm the unit. */
	refused(AMEND_CONSTRAINT, road, .keys = "sku=42", .set = "qty-=99", .bounds = "qty>=0",
		.once = "no");
	ok(road, .keys = "sku=42", .set = "note=b");
	return AMEND_OK;
}

static void inside_a_unit(struct engine *engine)
{
	struct road *road = open_stock(engine);

	expect_status(AMEND_CONFLICT, road_atomic(road, twice_and_fail, road), &road->err);
	engine_expect(engine, "SELECT qty, note FROM stock", "5|NULL");
	expect_ok(road_atomic(road, twice, road), &road->err);
	engine_expect(engine, "SELECT qty, note FROM stock", "6|b");
	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "in");
	assert_non_null(road->result.repeated);
	refused(AMEND_CONSTRAINT, road, .keys = "sku=42", .set = "qty-=99", .bounds = "qty>=0",
		.once = "no");
	assert_non_null(road->result.repeated);
	counts(engine, "operation", "2");
	counts(engine, "revision", "1");
}

/* Sent since the last COMMIT. */
static int confirmed;

static void watch_for_confirmation(void *context, const struct amend_trace_event *event)
{
	(void)context;
	for (size_t i = 0; i < event->n_statements; i++)
		confirmed += strstr(event->statements[i].sql, "pg_logical_emit_message") != NULL;
}

static enum amend_status repeat_it(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "x");
	assert_int_equal(confirmed, road->result.repeated ? 1 : 0);
	return AMEND_OK;
}

/* A standby may lack what is answered again: the COMMIT of what the answer is for waits until it has it. */
static void confirmed_inside(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct road *road = open_stock(engine);

	road->trace.before = watch_for_confirmation;
	confirmed = 0;
	expect_ok(road_atomic(road, repeat_it, road), &road->err);
	expect_ok(road_atomic(road, repeat_it, road), &road->err);
	assert_non_null(road->result.repeated);
	/* To a role that may not, in a transaction that goes on. */
	engine_exec(engine, "REVOKE EXECUTE ON FUNCTION "
			    "pg_logical_emit_message(boolean, text, text) FROM PUBLIC");
	road = road_adopt(engine, application, "stock");
	foreign_exec(application, "BEGIN");
	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "x");
	assert_non_null(road->result.repeated);
	foreign_exec(application, "UPDATE stock SET note = 'goes on'; COMMIT");
	engine_expect(engine, "SELECT qty, note FROM stock", "6|goes on");
}

/* It waits for the one under way, and gets its answer; or does the work when that one is undone. */
static void waits_for_the_one_under_way(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct foreign *other = foreign_open(engine);

	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	foreign_exec(other, "BEGIN");
	foreign_exec(other, "INSERT INTO amend.operation (id, digest, at, who, maker) VALUES ('x', "
			    "'\\x00', '2026-01-01 00:00:00.000000', 'somebody', 'm')");
	refused(AMEND_LOCKED, road, .keys = "sku=42", .set = "qty=1", .once = "x",
		.wait = AMEND_NOWAIT);
	expect_contains(road->err.text, "operation x is under way elsewhere");
	refused(AMEND_LOCKED, road, .keys = "sku=42", .set = "qty=1", .once = "x",
		.wait = AMEND_SKIP_LOCKED);
	foreign_start(other, 300, "ROLLBACK");
	ok(road, .keys = "sku=42", .set = "qty=1", .once = "x");
	said(road, "updated qty: 5 -> 1");
	expect_text(foreign_finish(other), NULL);
	foreign_exec(other, "BEGIN");
	foreign_exec(other, "INSERT INTO amend.operation (id, digest, at, who, maker) VALUES ('y', "
			    "'\\x00', '2026-01-01 00:00:00.000000', 'somebody', 'm')");
	foreign_start(other, 300, "COMMIT");
	refused(AMEND_INVALID, road, .keys = "sku=42", .set = "qty=9", .once = "y");
	expect_contains(road->err.text, "done by somebody at 2026-01-01 00:00:00 UTC");
	expect_text(foreign_finish(other), NULL);
	engine_expect(engine, "SELECT qty FROM stock", "1");
}

static void a_held_record_leaves_the_id_free(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct foreign *other = foreign_open(engine);

	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	foreign_exec(other, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(other, "UPDATE stock SET note = 'held'");
	refused(AMEND_LOCKED, road, .keys = "sku=42", .set = "qty=1", .once = "x",
		.wait = AMEND_NOWAIT);
	assert_int_equal(road->result.outcome, AMEND_IS_LOCKED);
	ok(road, .keys = "sku=42", .set = "qty=1", .once = "x", .wait = AMEND_SKIP_LOCKED);
	said(road, "skipped");
	foreign_exec(other, "ROLLBACK");
	counts(engine, "operation", "0");
	ok(road, .keys = "sku=42", .set = "qty=1", .once = "x", .wait = AMEND_SKIP_LOCKED);
	said(road, "updated qty: 5 -> 1");
}

/* The answer is the one of then; of columns that nobody knew then it says nothing. */
static void another_shape_of_the_table(struct engine *engine)
{
	struct road *road = open_stock(engine);

	ok(road, .keys = "sku=42", .set = "qty=6", .once = "x");
	engine_exec(engine, "ALTER TABLE stock ADD COLUMN place text");
	road_table(road, "stock");
	ok(road, .keys = "sku=42", .set = "qty=6", .once = "x");
	said(road, "updated qty: 5 -> 6");
	assert_null(road->result.record);
}

static void a_damaged_answer(struct engine *engine)
{
	struct road *road = open_stock(engine);

	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "x");
	engine_execf(engine, "UPDATE %soperation SET answer = %s'",
		     engine_pick(engine, "amend_", "amend."),
		     engine_pick(engine, "x'0102", "'\\x0102"));
	refused(AMEND_INTERNAL, road, .keys = "sku=42", .set = "qty+=1", .once = "x");
	engine_execf(engine, "UPDATE %soperation SET answer = NULL",
		     engine_pick(engine, "amend_", "amend."));
	refused(AMEND_INTERNAL, road, .keys = "sku=42", .set = "qty+=1", .once = "x");
	engine_expect(engine, "SELECT qty FROM stock", "6");
}

/* Made up where the engine can lose an answer; what changed nothing leaves nothing. */
static void made_up(struct engine *engine)
{
	struct road *road = open_stock(engine);
	bool loses = amend_may_reconnect(road->db);

	ok(road, .keys = "sku=42", .set = "qty=5", .once = "");
	said(road, "unchanged");
	ok(road, .keys = "sku=42", .set = "qty=6", .once = "");
	said(road, "updated qty: 5 -> 6");
	ok(road, .keys = "sku=42", .set = "qty+=1", .once = "");
	refused(AMEND_CONSTRAINT, road, .keys = "sku=42", .set = "qty-=99", .bounds = "qty>=0",
		.once = "");
	counts(engine, "operation", loses ? "2" : "0");
	assert_int_equal(road->result.once != NULL, loses);
	engine_expect(engine, "SELECT qty FROM stock", "7");
}

static void typed_values_come_back(struct engine *engine)
{
	struct road *road;
	const char *first;

	engine_exec(engine,
		    engine_pick(engine,
				"CREATE TABLE v (id integer PRIMARY KEY, r real, b blob, t text)",
				"CREATE TABLE v (id integer PRIMARY KEY, r float8, b bytea, "
				"t numeric(9,2))"));
	engine_exec(engine, engine_pick(engine, "INSERT INTO v VALUES (1, 0.1, x'00ff', 'a')",
					"INSERT INTO v VALUES (1, 0.1, '\\x00ff', 1.50)"));
	road = road_open(engine, "v");
	ok(road, .keys = "id=1", .set = "t=12, r=NULL", .once = "x");
	first = answer(road);
	ok(road, .keys = "id=1", .set = "t=12, r=NULL", .once = "x");
	expect_text(answer(road), first);
	assert_non_null(road->result.repeated);
}

static void the_ledger_is_not_for_editing(struct engine *engine)
{
	struct road *road = open_stock(engine);

	ok(road, .keys = "sku=42", .set = "qty=6", .once = "x");
	road_table(road,
		   engine_pick3(engine, "amend_operation", "amend.operation", "amend_operation"));
	refused(AMEND_INVALID, road, .keys = "id=x", .set = "who=nobody");
	expect_contains(road->err.text, "amend's own");
}

static const struct engine_test tests[] = {
	{"a repeat gets the same answer, and nothing is done again", the_same_answer},
	{"creations, deletions, what is found or unchanged", creations_and_deletions},
	{"another request under the same id is refused", another_request_is_refused},
	{"a refusal is an answer too", refusals_are_answers},
	{"stale: all sides are told again", stale_is_told_again_with_all_sides},
	{"what came to no answer leaves the id free", what_did_not_come_to_an_answer},
	{"what an id may be", ids},
	{"inside a unit: undone with it, and told within it", inside_a_unit},
	{"..where a repeat is as much as in, once the unit is", confirmed_inside,
	 .only = "postgresql"},
	{"a repeat waits for the one under way", waits_for_the_one_under_way,
	 .needs = AMEND_HAS_ROW_LOCK},
	{"a held record leaves the id free", a_held_record_leaves_the_id_free},
	{"a table that has other columns by now", another_shape_of_the_table},
	{"an answer that cannot be read is no licence to do it again", a_damaged_answer},
	{"an id that is made up", made_up},
	{"values of all kinds come back as they were", typed_values_come_back},
	{"the table of operations takes no road", the_ledger_is_not_for_editing},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

/*
 * Merging through the road: a save against a record that has moved since, and what becomes of what
 * it asked for. Leaves the rules by themselves to tests/unit/merge_test.c, random edits to merge_model_test.c.
 */
#include "ask.h"

#include "core/buffer.h"
#include "merge/merge.h"

static const char doc_sql[] =
	"CREATE TABLE doc (id integer PRIMARY KEY, title text, body text, qty integer, "
	"price numeric(10,2), meta %s, CHECK (qty < 1000))";

static struct road *open_docs(struct engine *engine)
{
	struct road *road;

	engine_execf(engine, doc_sql, engine_pick(engine, "text", "jsonb"));
	engine_exec(engine,
		    "INSERT INTO doc (id, title, body, qty, price) VALUES (1, 'old', 'text', 10, "
		    "1.50), (2, 'other', NULL, NULL, NULL)");
	road = road_open(engine, "doc");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

static struct road *open_bob(struct engine *engine)
{
	struct road *bob = road_open(engine, "doc");

	expect_ok(amend_set_author(bob->db, "bob", "a better title", NULL, &bob->err), &bob->err);
	return bob;
}

struct lines {
	struct engine *engine;
	struct amend_buffer text;
};

static enum amend_status add_conflict(const struct amend_conflict *conflict, void *context,
				      struct amend_error *err)
{
	struct lines *lines = context;

	(void)err;
	amend_buffer_printf(&lines->text, "%s%s %s%s", lines->text.size ? "\n" : "",
			    amend_conflict_kind_name(conflict->kind), conflict->who,
			    *conflict->source ? conflict->source : "");
	for (size_t i = 0; i < conflict->n_fields; i++) {
		const struct amend_conflict_field *field = &conflict->fields[i];

		amend_buffer_printf(&lines->text, " %s: %s|%s|%s", field->column,
				    field->has_base ? road_value(lines->engine, &field->base) : "-",
				    road_value(lines->engine, &field->current),
				    road_value(lines->engine, &field->incoming));
	}
	return AMEND_OK;
}

/* "save ada title: old|bobs|mine", a line each, oldest first. */
static const char *kept(struct road *road)
{
	const struct amend_conflict_filter open = {.state = "open"};
	struct lines lines = {road->engine, AMEND_BUFFER_INIT};
	const char *text;

	expect_ok(amend_conflicts(road->db, &open, add_conflict, &lines, &road->err), &road->err);
	text = engine_printf(road->engine, "%s", amend_buffer_string(&lines.text));
	amend_buffer_release(&lines.text);
	return text;
}

/* --- What merges --- */

static void disjoint_fields_merge_and_it_is_reported(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=bobs");
	ok(road, .keys = "id=1", .set = "title=old, body=mine", .token = token, .merge = true,
	   .want_token = true);
	said(road, "merged body: text -> mine");
	expect_text(road_merge(road), "title=current body=incoming");
	expect_contains(road_state(road, road->result.base), "title=old body=text");
	expect_text(road->result.by, "bob");
	expect_text(road->result.because, "a better title");
	assert_true(road->result.revision > 0);
	history(road, "id=1", "update id=1 body: text -> mine\nupdate id=1 title: old -> bobs");
	/* The answer's token is the next base. */
	token = engine_printf(engine, "%s", road->result.token);
	ok(road, .keys = "id=1", .set = "qty=11", .token = token);
	said(road, "updated qty: 10 -> 11");
	expect_text(kept(road), "");
}

static void what_has_not_moved_is_no_merge(struct engine *engine)
{
	struct road *road = open_docs(engine);
	const char *token = road_token(road, "id=1");

	ok(road, .keys = "id=1", .set = "title=mine, qty+=1", .token = token, .merge = true);
	said(road, "updated title: old -> mine, qty: 10 -> 11");
	assert_int_equal(road->result.n_merged, 0);
}

static void the_same_change_on_both_sides_is_clean(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=new");
	ok(road, .keys = "id=1", .set = "title=new", .token = token, .merge = true);
	said(road, "unchanged");
	expect_text(road_merge(road), "title=both");
	assert_int_equal(road->result.revision, 0);
	ok(road, .keys = "id=1", .set = "title=new, body=mine", .token = token, .merge = true);
	said(road, "merged body: text -> mine");
	expect_text(road_merge(road), "title=both body=incoming");
}

static void the_current_value_stays_where_the_writer_kept_the_base(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=bobs, qty=NULL");
	ok(road, .keys = "id=1", .set = "title=old, qty=10", .token = token, .merge = true);
	said(road, "unchanged");
	expect_text(road_merge(road), "title=current qty=current");
	engine_expect(engine, "SELECT title, qty FROM doc WHERE id = 1", "bobs|NULL");
}

static void arithmetic_is_applied_again(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "qty-=3, price=2.00");
	ok(road, .keys = "id=1", .set = "qty+=5, title=mine", .token = token, .merge = true);
	said(road, "merged title: old -> mine, qty: 7 -> 12");
	expect_text(road_merge(road), "title=incoming qty=sum price=current");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "qty-=13", .bounds = "qty>=0",
		.token = token, .merge = true);
	expect_text(kept(road), "");
}

static void additive_columns_merge_by_difference(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "qty=7, price=1.70");
	ok(road, .keys = "id=1", .set = "qty=12, price=1.60", .token = token, .merge = true,
	   .additive = "qty, price");
	expect_text(road_merge(road), "qty=sum price=sum");
	engine_expect(engine, "SELECT qty, round(price, 2) FROM doc WHERE id = 1",
		      engine_pick(engine, "9|1.8", "9|1.80"));
	/* The same change on both sides is two changes. */
	token = road_token(road, "id=1");
	ok(bob, .keys = "id=1", .set = "qty=6");
	ok(road, .keys = "id=1", .set = "qty=6", .token = token, .merge = true, .additive = "qty");
	said(road, "merged qty: 6 -> 3");
}

static void an_additive_sum_out_of_its_bounds_is_a_conflict(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "qty=3");
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "qty=5, title=mine",
		.bounds = "qty>=0", .token = token, .merge = true, .additive = "qty");
	said(road, "conflict");
	expect_text(road_merge(road), "title=incoming qty=conflict");
	expect_text(road->result.merged[1].why,
		    "it is 3, adding -5 would break its bounds (at least 0)");
	expect_text(kept(road), "save ada qty: 10|3|5 title: old|old|mine");
	engine_expect(engine, "SELECT title, qty FROM doc WHERE id = 1", "old|3");
	ok(road, .keys = "id=1", .set = "qty=7", .bounds = "qty>=0", .token = token, .merge = true,
	   .additive = "qty");
	said(road, "merged qty: 3 -> 0");
}

static void additive_needs_numbers(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "qty=NULL");
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "qty=11", .token = token,
		.merge = true, .additive = "qty");
	expect_text(kept(road), "save ada qty: 10|NULL|11");
	/* Nobody else has touched it: it is written as it is. */
	token = road_token(road, "id=2");
	ok(bob, .keys = "id=2", .set = "title=bobs");
	ok(road, .keys = "id=2", .set = "qty=4", .token = token, .merge = true, .additive = "qty");
	said(road, "merged qty: NULL -> 4");
}

static void text_merges_by_line_where_asked_for(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token;

	if (!amend_merge_has_text()) {
		token = road_token(road, "id=1");
		refused(AMEND_UNSUPPORTED, road, .keys = "id=1", .set = "body=x", .token = token,
			.merge = true, .by_line = "body");
		return;
	}
	/* No newline is invented behind the last line, and those of Windows stay. */
	ok(road, .keys = "id=1", .set = "body=a\r\nb\r\nc\r\nd");
	token = road_token(road, "id=1");
	ok(bob, .keys = "id=1", .set = "body=A\r\nb\r\nc\r\nd");
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "body=a\r\nb\r\nc\r\nD",
		.token = token, .merge = true);
	ok(road, .keys = "id=1", .set = "body=a\r\nb\r\nc\r\nD", .token = token, .merge = true,
	   .by_line = "body");
	expect_text(road_merge(road), "body=lines");
	engine_expect(engine, "SELECT body FROM doc WHERE id = 1", "A\r\nb\r\nc\r\nD");
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "body=x\r\nb\r\nc\r\nd",
		.token = token, .merge = true, .by_line = "body");
	expect_text(road->result.merged[0].why, "both changed the same lines");
}

static void json_merges_by_key(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *by_key = engine_pick(engine, "meta", NULL); /* a column of JSON needs no rule */
	const char *token;

	ok(road, .keys = "id=1", .set = "meta={\"n\":1.50,\"a\":1,\"l\":[1]}");
	token = road_token(road, "id=1");
	ok(bob, .keys = "id=1", .set = "meta={\"n\":1.50,\"a\":2,\"l\":[1]}");
	ok(road, .keys = "id=1", .set = "meta={\"n\":1.50,\"a\":1,\"b\":null}", .token = token,
	   .merge = true, .by_key = by_key);
	expect_text(road_merge(road), "meta=keys");
	engine_expect(engine, "SELECT meta FROM doc WHERE id = 1",
		      engine_pick3(engine, "{\"n\":1.50,\"a\":2,\"b\":null}",
				   "{\"a\": 2, \"b\": null, \"n\": 1.50}",
				   "{\"n\":1.50,\"a\":2,\"b\":null}"));
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "meta={\"n\":1.50,\"a\":3,\"l\":[1]}",
		.token = token, .merge = true, .by_key = by_key);
	expect_text(road->result.merged[0].why, "both changed a");
}

static void null_and_empty_are_two_things(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=NULL");
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "title=", .token = token,
		.merge = true);
	expect_text(kept(road), "save ada title: old|NULL|''");
}

static void originals_are_a_base(struct engine *engine)
{
	struct road *road = open_docs(engine);

	engine_exec(engine, "UPDATE doc SET title = 'foreign' WHERE id = 1");
	ok(road, .keys = "id=1", .set = "title=old, body=mine", .originals = "title=old, body=text",
	   .merge = true);
	said(road, "merged body: text -> mine");
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "title=mine", .originals = "title=old",
		.merge = true);
	expect_text(kept(road), "save ada title: old|foreign|mine");
}

/* --- Conflicts --- */

static void both_changed_a_field_nothing_is_written_all_is_kept(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=bobs, price=2.00, qty=11");
	refused(AMEND_CONFLICT, road, .keys = "id=1",
		.set = "title=mine, body=too, price=2.00, qty+=1", .token = token, .merge = true,
		.want_token = true);
	said(road, "conflict");
	expect_text(road_merge(road), "title=conflict body=incoming qty=sum price=both");
	expect_text(road_incoming(road), engine_pick(engine, "title=mine body=too price=2 qty=11",
						     "title=mine body=too price=2.00 qty=11"));
	expect_contains(road->err.text, "title of the record");
	expect_contains(road->err.text, "bob");
	assert_int_equal(road->result.conflict, 1);
	assert_int_equal(road->result.revision, 0);
	/* What clashes has its base; the rest is as it would have been written, base and current alike. */
	expect_text(kept(road), "save ada title: old|bobs|mine body: text|text|too qty: 11|11|12");
	engine_expect(engine, "SELECT title, body, qty FROM doc WHERE id = 1", "bobs|text|11");
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_change",
				  "SELECT count(*) FROM amend.change"),
		      "1");
	/* Who has looked at both sides can save again. */
	token = engine_printf(engine, "%s", road->result.token);
	ok(road, .keys = "id=1", .set = "title=mine", .token = token);
}

static void several_losers_each_have_their_own(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=bobs");
	for (int i = 1; i <= 3; i++) {
		refused(AMEND_CONFLICT, road, .keys = "id=1",
			.set = engine_printf(engine, "title=mine%d", i), .token = token,
			.merge = true);
		assert_int_equal(road->result.conflict, i);
	}
	expect_text(kept(road), "save ada title: old|bobs|mine1\nsave ada title: old|bobs|mine2\n"
				"save ada title: old|bobs|mine3");
}

static void update_against_delete_is_a_conflict(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "qty=8");
	expect_ok(road_delete(bob, ask(.keys = "id=1")), &bob->err);
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "title=mine, qty+=2, body=text",
		.token = token, .merge = true);
	said(road, "conflict");
	expect_text(road->result.by, "bob");
	expect_contains(road->err.text, "deleted by bob");
	assert_null(road->result.record);
	expect_text(kept(road), "deleted ada title: old|NULL|mine qty: 10|NULL|12");
	engine_expect(engine, "SELECT count(*) FROM doc", "1");
	/* A save that changes nothing has nothing to keep. */
	refused(AMEND_NOT_FOUND, road, .keys = "id=1", .set = "title=old", .token = token,
		.merge = true);
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "title=mine", .originals = "title=old",
		.merge = true);
	/* Nor is it of another record. */
	refused(AMEND_NOT_FOUND, road, .keys = "id=9", .set = "title=mine", .token = token,
		.merge = true);
}

struct in_unit {
	struct road *road;
	const char *token;
	bool fail;
};

static enum amend_status save_in_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct in_unit *in = context;
	enum amend_status status = road_write(in->road, ask(.keys = "id=1", .set = "title=mine",
							    .token = in->token, .merge = true));

	(void)db;
	assert_int_equal(status, AMEND_CONFLICT);
	if (!in->fail)
		return AMEND_OK;
	*err = in->road->err;
	return status;
}

static void a_conflict_goes_with_its_unit(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	struct in_unit in = {road, road_token(road, "id=1"), true};

	ok(bob, .keys = "id=1", .set = "title=bobs");
	assert_int_equal(road_atomic(road, save_in_unit, &in), AMEND_CONFLICT);
	expect_text(kept(road), "");
	in.fail = false;
	expect_ok(road_atomic(road, save_in_unit, &in), &road->err);
	expect_text(kept(road), "save ada title: old|bobs|mine");
}

static void a_repeat_gets_the_answer_of_then(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=bobs");
	for (int i = 0; i < 2; i++) {
		refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "title=mine", .token = token,
			.merge = true, .once = "a");
		assert_int_equal(road->result.conflict, 1);
		expect_text(road_merge(road), "title=conflict");
		assert_true((i == 1) == (road->result.repeated != NULL));
	}
	expect_text(kept(road), "save ada title: old|bobs|mine");
	for (int i = 0; i < 2; i++) {
		ok(road, .keys = "id=1", .set = "qty+=1", .token = token, .merge = true,
		   .once = "b");
		said(road, "merged qty: 10 -> 11");
		expect_text(road_merge(road), "title=current qty=incoming");
	}
	/* Merging is part of what is asked for. */
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty+=1", .token = token, .once = "b");
}

/* --- What cannot be merged --- */

static void an_unknown_base_is_said_plainly(struct engine *engine)
{
	struct road *road = open_docs(engine);
	const char *token = road_token(road, "id=1");

	engine_exec(engine, "UPDATE doc SET title = 'foreign' WHERE id = 1");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "body=mine", .token = token,
		.merge = true);
	said(road, "stale");
	expect_contains(road->err.text, "nothing to merge from");
	expect_text(kept(road), "");
	engine_exec(engine, "DELETE FROM doc WHERE id = 1");
	refused(AMEND_NOT_FOUND, road, .keys = "id=1", .set = "body=mine", .token = token,
		.merge = true);
	expect_text(kept(road), "");
}

static void a_pruned_base_is_said_plainly(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=bobs");
	engine_exec(engine,
		    engine_pick(engine, "DELETE FROM amend_change", "DELETE FROM amend.change"));
	refused(AMEND_STALE, road, .keys = "id=1", .set = "body=mine", .token = token,
		.merge = true);
	expect_contains(road->err.text, "nothing to merge from");
}

static enum amend_status compute(struct amend_compute *compute, const struct amend_value *current,
				 void *context, struct amend_error *err)
{
	(void)compute, (void)current, (void)context, (void)err;
	return AMEND_OK;
}

static void what_cannot_be_merged_is_refused(struct engine *engine)
{
	struct road *road = open_docs(engine);
	const char *token = road_token(road, "id=1");

	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty=1", .merge = true);
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty=1", .token = token, .merge = true,
		.additive = "title");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty=1", .token = token, .merge = true,
		.additive = "nowhere");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty=1", .token = token, .merge = true,
		.additive = "qty", .by_key = "qty");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "qty=1", .token = token, .merge = true,
		.compute = compute);
	/* A rule may name what is not set. */
	ok(road, .keys = "id=1", .set = "qty=1", .token = token, .merge = true, .additive = "price",
	   .by_key = "meta");
}

/* "check ordered, unique": what is said to be in the way. */
static const char *broken(struct road *road)
{
	const char *text = "";

	for (size_t i = 0; i < road->result.n_violations; i++) {
		const struct amend_violation *one = &road->result.violations[i];
		bool named = one->kind == AMEND_VIOLATES_CHECK && one->constraint;

		text = engine_printf(road->engine, "%s%s%s%s%s", text, i ? ", " : "",
				     amend_violation_name(one->kind), named ? " " : "",
				     named ? one->constraint : "");
	}
	return text;
}

/* Each side by itself is right; together they are not, in each way there is. The database names one. */
static void every_rule_that_a_merge_breaks_is_listed(struct engine *engine)
{
	struct road *road, *bob;
	const char *token;

	engine_exec(
		engine,
		"CREATE TABLE land (code text PRIMARY KEY); INSERT INTO land VALUES ('NO'), ('SE');"
		"CREATE TABLE doc (id integer PRIMARY KEY, "
		"low integer CONSTRAINT \"not --low\" CHECK (low >= 0), "
		"high integer, first text, last text, land text REFERENCES land (code), "
		"UNIQUE (first, last), CONSTRAINT ordered CHECK (low <= high /* ) */), "
		"CHECK (first <> 'x)' OR last <> 'y'))");
	engine_exec(engine, "INSERT INTO doc VALUES (1, 1, 9, 'a', 'b', 'NO'), (2, 1, 2, 'x)', 'q', "
			    "NULL), (3, 1, 2, 'p', 'q', NULL)");
	road = road_open(engine, "doc");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	bob = open_bob(engine);
	token = road_token(road, "id=1");
	ok(bob, .keys = "id=1", .set = "high=3, first=p");
	/* A form that sends all it showed: what others have changed is not taken back in what is looked at. */
	refused(AMEND_CONSTRAINT, road, .keys = "id=1",
		.set = "low=5, high=9, first=a, last=q, land=XX", .token = token, .merge = true);
	expect_text(broken(road), "check ordered, unique, missing_parent");
	engine_expect(engine, "SELECT low, high, first, last, land FROM doc WHERE id = 1",
		      "1|3|p|b|NO");
	/* A CHECK without a name, and a sum. */
	ok(bob, .keys = "id=1", .set = "first=x)");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "low-=2, last=y", .token = token,
		.merge = true);
	expect_contains(broken(road), "check not --low");
	assert_int_equal(road->result.n_violations, 2);
	expect_text(kept(road), "");
}

/* --- In company --- */

static void a_lost_lease_merges_nothing(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");
	const struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
	const struct amend_lease_name name = {.name = "desk"};
	struct amend_lease lease, broken;

	ok(bob, .keys = "id=1", .set = "title=bobs");
	expect_ok(amend_lease_acquire(road->db, &name, &options, &lease, &road->err), &road->err);
	ok(road, .keys = "id=1", .set = "qty=11", .token = token, .merge = true,
	   .lease = lease.token);
	said(road, "merged qty: 10 -> 11");
	expect_ok(amend_lease_break(road->db, &name, "test", &broken, &road->err), &road->err);
	refused(AMEND_LOCKED, road, .keys = "id=1", .set = "title=mine", .token = token,
		.merge = true, .lease = lease.token);
	said(road, "locked");
	expect_text(kept(road), "");
}

static void in_the_applications_transaction_the_conflict_is_its_own(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine), *app;
	struct foreign *foreign = foreign_open(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=bobs");
	app = road_adopt(engine, foreign, "doc");
	for (int i = 0; i < 2; i++) {
		foreign_exec(foreign, "BEGIN");
		refused(AMEND_CONFLICT, app, .keys = "id=1", .set = "title=mine", .token = token,
			.merge = true);
		ok(app, .keys = "id=1", .set = "body=mine", .token = token, .merge = true);
		foreign_exec(foreign, i ? "COMMIT" : "ROLLBACK");
		engine_expect(engine, "SELECT title, body FROM doc WHERE id = 1",
			      i ? "bobs|mine" : "bobs|text");
	}
	expect_contains(kept(road), "title: old|bobs|mine");
	assert_null(strchr(kept(road), '\n'));
}

/* --- Guarded tables --- */

static void a_guarded_table_merges_and_its_version_is_no_conflict(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob;
	struct amend_guard_options options = {.history = true};
	const char *token;

	expect_ok(amend_guard(road->db, "doc", &options, NULL, &road->err), &road->err);
	road_table(road, "doc");
	bob = open_bob(engine);
	token = road_token(road, "id=1");
	ok(bob, .keys = "id=1", .set = "title=bobs");
	/* What other programs write is in the history that the base is found by. */
	engine_exec(engine, "UPDATE doc SET qty = 9 WHERE id = 1");
	ok(road, .keys = "id=1", .set = "title=old, body=mine, qty=11", .token = token,
	   .merge = true, .additive = "qty");
	expect_text(road_merge(road), "title=current body=incoming qty=sum");
	engine_expect(engine, "SELECT title, body, qty FROM doc WHERE id = 1", "bobs|mine|10");
	refused(AMEND_CONFLICT, road, .keys = "id=1", .set = "title=mine", .token = token,
		.merge = true);
	expect_text(kept(road), "save ada title: old|bobs|mine");
}

/* Where nobody else has moved it, it becomes what was asked for: 0.1 + 0.2 is something else in binary. */
static void an_additive_column_alone_becomes_what_is_wanted(struct engine *engine)
{
	struct road *road, *bob;
	const char *token;

	engine_execf(engine, "CREATE TABLE gauge (id integer PRIMARY KEY, name text, level %s)",
		     engine_pick(engine, "real", "double precision"));
	engine_exec(engine, "INSERT INTO gauge VALUES (1, 'a', 0.1)");
	road = road_open(engine, "gauge");
	bob = road_open(engine, "gauge");
	token = road_token(road, "id=1");
	ok(bob, .keys = "id=1", .set = "name=b");
	ok(road, .keys = "id=1", .set = "level=0.3", .token = token, .merge = true,
	   .additive = "level");
	expect_text(road_merge(road), "name=current level=incoming");
	engine_expect(engine, "SELECT count(*) FROM gauge WHERE level = 0.3", "1");
}

/* Declared with the guard it need not be said with each save; what is said goes before it. */
static void a_guarded_tables_additive_columns_need_no_naming(struct engine *engine)
{
	struct road *road = open_docs(engine), *bob = open_bob(engine);
	const struct amend_guard_options options = {.additive = &(const char *){"qty"},
						    .n_additive = 1};
	const char *token;

	expect_ok(amend_guard(road->db, "doc", &options, NULL, &road->err), &road->err);
	road_table(road, "doc");
	road_table(bob, "doc");
	token = road_token(road, "id=1");
	ok(bob, .keys = "id=1", .set = "qty=7, title=new");
	ok(road, .keys = "id=1", .set = "qty=12", .token = token, .merge = true);
	expect_text(road_merge(road), "title=current qty=sum");
	engine_expect(engine, "SELECT title, qty FROM doc WHERE id = 1", "new|9");
}

static const struct engine_test tests[] = {
	{"disjoint fields merge, and it is reported", disjoint_fields_merge_and_it_is_reported},
	{"what has not moved is no merge", what_has_not_moved_is_no_merge},
	{"the same change on both sides is clean", the_same_change_on_both_sides_is_clean},
	{"the current value stays where the writer kept the base",
	 the_current_value_stays_where_the_writer_kept_the_base},
	{"arithmetic is applied again", arithmetic_is_applied_again},
	{"additive columns merge by difference, exact in decimal",
	 additive_columns_merge_by_difference},
	{"an additive sum out of its bounds is a conflict",
	 an_additive_sum_out_of_its_bounds_is_a_conflict},
	{"additive needs numbers", additive_needs_numbers},
	{"text merges by line where asked for: no final newline invented, CRLF kept",
	 text_merges_by_line_where_asked_for},
	{"JSON merges by key", json_merges_by_key},
	{"NULL and empty are two things", null_and_empty_are_two_things},
	{"originals are a base", originals_are_a_base},
	{"both changed a field: nothing is written, all is kept",
	 both_changed_a_field_nothing_is_written_all_is_kept},
	{"several losers of one record each have their own conflict",
	 several_losers_each_have_their_own},
	{"update against delete is a conflict", update_against_delete_is_a_conflict},
	{"a conflict in a unit is kept if that commits", a_conflict_goes_with_its_unit},
	{"a repeat gets the answer of then", a_repeat_gets_the_answer_of_then},
	{"an unknown base is said plainly, and is stale", an_unknown_base_is_said_plainly},
	{"a pruned base is said plainly, and is stale", a_pruned_base_is_said_plainly},
	{"what cannot be merged is refused", what_cannot_be_merged_is_refused},
	{"an additive column that one side has moved becomes what is wanted, to the last bit",
	 an_additive_column_alone_becomes_what_is_wanted},
	{"a guarded table's additive columns need no naming",
	 a_guarded_tables_additive_columns_need_no_naming, .not_on = "mariadb"},
	{"merged fields can be jointly invalid: every rule that is broken is listed",
	 every_rule_that_a_merge_breaks_is_listed, .not_on = "mariadb"},
	{"a lost lease merges nothing", a_lost_lease_merges_nothing},
	{"in the application's transaction the conflict is its own",
	 in_the_applications_transaction_the_conflict_is_its_own},
	{"a guarded table merges, and its version is no conflict",
	 a_guarded_table_merges_and_its_version_is_no_conflict, .not_on = "mariadb"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

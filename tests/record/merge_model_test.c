/*
 * Random saves of one record by several writers, all from one base, in random order, through the road: after each
 * save the record is what a model says, slot by slot, so nothing both agree on is lost, and nothing is invented.
 * Leaves single cases to merge_test.c.
 */
#include "ask.h"

#include <stdlib.h>

#include "core/buffer.h"
#include "merge/merge.h"

enum {
	ROUNDS = 40,
	WRITERS = 4,
	WHOLE = 3, /* columns merged as a whole: a b c */
	PARTS = 4, /* blocks of the text, keys of the document */
	SLOTS = WHOLE + 2 * PARTS,
	SUMS = 2, /* n, and p in hundredths */
};

/* A record: what each slot holds (0 is NULL, or nothing), and what counts. */
struct state {
	int slots[SLOTS];
	int sums[SUMS];
};

static uint64_t state_of_chance;

static int chance(int below)
{
	state_of_chance = state_of_chance * UINT64_C(6364136223846793005) +
			  UINT64_C(1442695040888963407);
	return (int)((state_of_chance >> 33) % (uint64_t)below);
}

/* --- The model --- */

static struct state random_state(void)
{
	struct state state;

	for (int i = 0; i < SLOTS; i++)
		state.slots[i] = chance(3);
	for (int i = 0; i < SUMS; i++)
		state.sums[i] = chance(2000) - 1000;
	return state;
}

static struct state edited(const struct state *base)
{
	struct state state = *base;

	for (int i = 0; i < SLOTS; i++) {
		bool line = i >= WHOLE && i < WHOLE + PARTS;

		if (chance(5) == 0 && (!line || amend_merge_has_text()))
			state.slots[i] = chance(4);
	}
	for (int i = 0; i < SUMS; i++) {
		if (chance(2))
			state.sums[i] += chance(200) - 100;
	}
	return state;
}

/* False: they clash. */
static bool merged(const struct state *base, const struct state *current,
		   const struct state *incoming, struct state *out)
{
	*out = *current;
	for (int i = 0; i < SLOTS; i++) {
		bool theirs = current->slots[i] != base->slots[i];
		bool mine = incoming->slots[i] != base->slots[i];

		if (theirs && mine && current->slots[i] != incoming->slots[i])
			return false;
		if (mine)
			out->slots[i] = incoming->slots[i];
	}
	for (int i = 0; i < SUMS; i++)
		out->sums[i] += incoming->sums[i] - base->sums[i];
	return true;
}

/* --- As a record --- */

/* "a=v1, b=NULL, ... body=..., meta={...}" */
static const char *assignments(struct engine *engine, const struct state *state)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;
	bool first = true;

	for (int i = 0; i < WHOLE; i++) {
		amend_buffer_printf(&text, "%c=", 'a' + i);
		if (state->slots[i])
			amend_buffer_printf(&text, "v%d, ", state->slots[i]);
		else
			amend_buffer_text(&text, "NULL, ");
	}
	amend_buffer_printf(&text, "n=%d, p=%s%d.%02d, body=", state->sums[0],
			    state->sums[1] < 0 ? "-" : "", abs(state->sums[1]) / 100,
			    abs(state->sums[1]) % 100);
	/* Lines that stay keep what is changed apart. */
	for (int i = 0; i < PARTS; i++) {
		amend_buffer_printf(&text, "part %d\n", i);
		for (int k = 0; k < state->slots[WHOLE + i]; k++)
			amend_buffer_printf(&text, "line %d of %d\n", i, state->slots[WHOLE + i]);
		amend_buffer_printf(&text, "--\nend of %d\n", i);
	}
	amend_buffer_text(&text, ", meta={");
	for (int i = 0; i < PARTS; i++) {
		if (!state->slots[WHOLE + PARTS + i])
			continue;
		amend_buffer_printf(&text, "%s\"k%d\":%d.0", first ? "" : ",", i,
				    state->slots[WHOLE + PARTS + i]);
		first = false;
	}
	amend_buffer_char(&text, '}');
	copy = engine_printf(engine, "%s", amend_buffer_string(&text));
	amend_buffer_release(&text);
	return copy;
}

static struct road *open_records(struct engine *engine)
{
	struct road *road;

	engine_execf(engine,
		     "CREATE TABLE r (id integer PRIMARY KEY, a text, b text, c text, n integer, p "
		     "numeric(10,2), body text, meta %s)",
		     engine_pick(engine, "text", "jsonb"));
	road = road_open(engine, "r");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

static void set(struct road *road, int id, const struct state *state)
{
	ok(road, .mode = AMEND_UPDATE_OR_CREATE, .keys = engine_printf(road->engine, "id=%d", id),
	   .set = assignments(road->engine, state));
}

static enum amend_status save(struct road *road, int id, const struct state *state,
			      const char *token)
{
	return road_write(road,
			  ask(.keys = engine_printf(road->engine, "id=%d", id),
			      .set = assignments(road->engine, state), .token = token,
			      .merge = true, .additive = "n, p",
			      .by_line = amend_merge_has_text() ? "body" : NULL, .by_key = "meta"));
}

/* By writing it again: what is equal is not written. SQLite's and MariaDB's documents are text, so these are put in order. */
static void expect_state(struct road *road, int id, const struct state *state)
{
	struct engine *engine = road->engine;
	const char *in_order = "UPDATE r SET meta = (SELECT coalesce(json_group_object(key, value), "
			       "'{}') FROM (SELECT * FROM json_each(meta) ORDER BY key))";
	const char *columns = engine_is(engine, "mariadb")
				      ? "a, b, c, n, p, body, json_normalize(meta)"
				      : "a, b, c, n, p, body, meta";
	const char *found, *expected;

	if (engine_is(engine, "sqlite"))
		engine_execf(engine, "%s WHERE id = %d", in_order, id);
	found = engine_rows(engine,
			    engine_printf(engine, "SELECT %s FROM r WHERE id = %d", columns, id));
	set(road, 0, state);
	if (engine_is(engine, "sqlite"))
		engine_execf(engine, "%s WHERE id = 0", in_order);
	expected = engine_rows(engine,
			       engine_printf(engine, "SELECT %s FROM r WHERE id = 0", columns));
	expect_text(found, expected);
}

static const char *count_kept(struct engine *engine)
{
	return engine_scalar(engine, engine_pick(engine, "SELECT count(*) FROM amend_conflict",
						 "SELECT count(*) FROM amend.conflict"));
}

/* --- What must hold --- */

static void random_saves_in_random_order(struct engine *engine)
{
	struct road *road = open_records(engine);
	int refused_saves = 0, merged_saves = 0;

	state_of_chance = 5;
	for (int round = 1; round <= ROUNDS; round++) {
		struct state base = random_state(), current, next, wants[WRITERS];
		const char *token;

		set(road, round, &base);
		current = base;
		token = road_token(road, engine_printf(engine, "id=%d", round));
		/* Whom chance names first comes first. */
		for (int i = 0; i < WRITERS; i++)
			wants[i] = edited(&base);
		for (int i = 0; i < WRITERS; i++) {
			const struct state *mine = &wants[i];
			bool clean = merged(&base, &current, mine, &next);
			enum amend_status status = save(road, round, mine, token);

			expect_status(clean ? AMEND_OK : AMEND_CONFLICT, status, &road->err);
			refused_saves += !clean;
			merged_saves += road->result.outcome == AMEND_IS_MERGED;
			if (clean)
				current = next;
			if (engine_is(engine, "sqlite") && clean)
				continue; /* looking puts the document in order, which is a write */
			if (clean)
				expect_state(road, round, &current);
		}
		expect_state(road, round, &current);
		expect_text(count_kept(engine), engine_printf(engine, "%d", refused_saves));
	}
	assert_true(refused_saves > ROUNDS / 4);
	assert_true(merged_saves > ROUNDS / 2);
}

/* Two writers, and the same two the other way round: the same record, or a conflict both ways. */
static void swapped_sides_swap_the_result(struct engine *engine)
{
	struct road *road = open_records(engine);
	int clean = 0;

	state_of_chance = 9;
	for (int round = 1; round <= ROUNDS; round++) {
		struct state base = random_state(), wants[2], end = base;
		bool clash[2];

		for (int i = 0; i < 2; i++)
			wants[i] = edited(&base);
		for (int order = 0; order < 2; order++) {
			int id = 2 * round + order;
			const char *token;

			set(road, id, &base);
			token = road_token(road, engine_printf(engine, "id=%d", id));
			expect_ok(save(road, id, &wants[order], token), &road->err);
			clash[order] = save(road, id, &wants[1 - order], token) == AMEND_CONFLICT;
			if (!clash[order])
				expect_ok(road->status, &road->err);
		}
		assert_int_equal(clash[0], clash[1]);
		assert_int_equal(clash[0], !merged(&base, &wants[0], &wants[1], &end));
		for (int order = 0; order < 2; order++)
			expect_state(road, 2 * round + order, clash[0] ? &wants[order] : &end);
		clean += !clash[0];
	}
	assert_true(clean > ROUNDS / 4 && clean < ROUNDS);
}

static const struct engine_test tests[] = {
	{"random saves in random order: the record is what the model says",
	 random_saves_in_random_order},
	{"swapped sides swap the result", swapped_sides_swap_the_result},
};

ENGINE_MAIN(tests)

/*
 * Random edits, seen and unseen, and random reverts, also of reverts, against a model that knows
 * nothing but the tables of docs/history.md. Leaves unique values and moved keys to revert_test.c.
 *
 *	AMEND_TEST_SEED=17 model_test     one seed
 */
#include <stdlib.h>

#include "revert.h"

#include "core/buffer.h"

enum { RECORDS = 5, FIELDS = 3, REVISIONS = 200, STEPS = 40, SEEDS = 12 };

/* Values are one letter each; a record that is not there has none. */
struct state {
	bool there;
	char fields[FIELDS];
};

struct revision {
	int64_t id;
	bool touched[RECORDS], flips[RECORDS]; /* flips: created or deleted in it */
	struct state before[RECORDS], after[RECORDS];
};

struct model {
	struct road *road;
	uint64_t random;
	struct state now[RECORDS];
	struct revision revisions[REVISIONS];
	size_t n;
};

static unsigned any(struct model *model, unsigned n)
{
	model->random = model->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(model->random >> 33) % n;
}

static const char *text_of(struct model *model, const struct state *states)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	for (int i = 0; i < RECORDS; i++) {
		if (states[i].there)
			amend_buffer_printf(&text, "%s%d|%c|%c|%c", text.size ? "\n" : "", i,
					    states[i].fields[0], states[i].fields[1],
					    states[i].fields[2]);
	}
	copy = amend_arena_text(engine_arena(model->road->engine), text.data ? text.data : "");
	amend_buffer_release(&text);
	return copy;
}

/* ---- edits ---- */

static void change(struct model *model, struct revision *revision, int i)
{
	struct state *now = &model->now[i];
	const struct state was = *now;
	const char *key = engine_printf(model->road->engine, "id=%d", i);
	bool flips = false;

	if (now->there && any(model, 5) == 0) {
		expect_ok(road_delete(model->road, ask(.keys = key)), &model->road->err);
		*now = (struct state){false, ""};
		flips = true;
	} else {
		const char *set = "";

		flips = !now->there;
		for (int f = 0; f < FIELDS; f++) {
			if (now->there && any(model, 2))
				continue;
			now->fields[f] = (char)('a' + any(model, 3));
			set = engine_printf(model->road->engine, "%s%sf%d=%c", set,
					    *set ? ", " : "", f, now->fields[f]);
		}
		now->there = true;
		if (*set)
			ok(model->road, AMEND_UPDATE_OR_CREATE, .keys = key, .set = set);
	}
	if (!flips && memcmp(&was, now, sizeof(was)) == 0)
		return;
	if (!revision->touched[i])
		revision->before[i] = was;
	revision->touched[i] = true;
	revision->flips[i] = revision->flips[i] || flips;
	revision->after[i] = *now;
}

static int64_t last_revision(struct model *model)
{
	struct engine *engine = model->road->engine;
	const char *text = engine_scalar(engine,
					 engine_pick(engine, "SELECT max(id) FROM amend_revision",
						     "SELECT max(id) FROM amend.revision"));

	return text ? strtoll(text, NULL, 10) : 0;
}

static enum amend_status edit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct model *model = context;
	struct revision *revision = &model->revisions[model->n];

	(void)db, (void)err;
	for (unsigned n = 1 + any(model, 4); n > 0; n--)
		change(model, revision, (int)any(model, RECORDS));
	return AMEND_OK;
}

static bool touches(const struct revision *revision)
{
	bool any = false;

	for (int i = 0; i < RECORDS; i++)
		any = any || revision->touched[i];
	return any;
}

static void keep_revision(struct model *model)
{
	struct revision *revision = &model->revisions[model->n];

	if (!touches(revision))
		return;
	revision->id = last_revision(model);
	assert_true(model->n == 0 || revision->id > model->revisions[model->n - 1].id);
	model->n++;
}

/* Another program, which writes no history. */
static void edit_unseen(struct model *model)
{
	int i = (int)any(model, RECORDS), f = (int)any(model, FIELDS);

	model->now[i].fields[f] = model->now[i].there ? (char)('a' + any(model, 3)) : '\0';
	engine_execf(model->road->engine, "UPDATE t SET f%d = '%c' WHERE id = %d", f,
		     model->now[i].there ? model->now[i].fields[f] : 'x', i);
}

/* ---- reverts ---- */

static bool same(const struct state *a, const struct state *b)
{
	return a->there == b->there &&
	       (!a->there || memcmp(a->fields, b->fields, sizeof(a->fields)) == 0);
}

static bool again(const struct model *model, const struct revision *revision, int i)
{
	for (const struct revision *later = revision + 1; later < model->revisions + model->n;
	     later++) {
		if (later->flips[i])
			return true;
	}
	return false;
}

/* What becomes of one record; false: there is a conflict, and what can be done without it is in `out`. */
static bool undo_one(const struct model *model, const struct revision *revision, int i,
		     enum amend_revert_policy policy, struct state *out)
{
	const struct state *before = &revision->before[i], *after = &revision->after[i];
	const struct state *now = &model->now[i];
	bool incoming = policy == AMEND_REVERT_INCOMING, clean = true;

	*out = *now;
	if (!before->there && !after->there)
		return true;
	if (!before->there && !now->there)
		return true;
	if (!before->there) {
		clean = same(now, after) && !again(model, revision, i);
		if (clean || (incoming && !again(model, revision, i)))
			*out = (struct state){false, ""};
		return clean;
	}
	if (!after->there) {
		clean = !now->there || same(now, before);
		if (clean || incoming)
			*out = *before;
		return clean;
	}
	for (int f = 0; f < FIELDS; f++) {
		if (before->fields[f] == after->fields[f])
			continue;
		if (!now->there)
			return false;
		if (now->fields[f] != before->fields[f] && now->fields[f] != after->fields[f])
			clean = false;
		if (now->fields[f] == after->fields[f] || incoming)
			out->fields[f] = before->fields[f];
	}
	return clean;
}

/* Of a conflict that `incoming` cannot answer: the record is gone, or is another. */
static bool hopeless(const struct model *model, const struct revision *revision, int i)
{
	bool both = revision->before[i].there && revision->after[i].there;

	return both ? !model->now[i].there : !revision->before[i].there && again(model, revision, i);
}

static void revert(struct model *model)
{
	const struct revision *revision = &model->revisions[any(model, (unsigned)model->n)];
	struct revision *undone = &model->revisions[model->n];
	const struct asked_revert asked = {.revision = revision->id,
					   .on_conflict = (enum amend_revert_policy)any(model, 3)};
	struct state expected[RECORDS];
	bool refused = false;
	enum amend_status status;

	memcpy(expected, model->now, sizeof(expected));
	for (int i = 0; i < RECORDS; i++) {
		if (!revision->touched[i] ||
		    undo_one(model, revision, i, asked.on_conflict, &expected[i]))
			continue;
		refused = refused || asked.on_conflict == AMEND_REVERT_REFUSE ||
			  (asked.on_conflict == AMEND_REVERT_INCOMING &&
			   hopeless(model, revision, i));
	}
	road_revert(model->road, &asked, &status, NULL);
	expect_status(refused ? AMEND_CONFLICT : AMEND_OK, status, &model->road->err);
	if (refused)
		return;
	for (int i = 0; i < RECORDS; i++) {
		undone->touched[i] = !same(&model->now[i], &expected[i]);
		undone->flips[i] = model->now[i].there != expected[i].there;
		undone->before[i] = model->now[i];
		undone->after[i] = expected[i];
	}
	memcpy(model->now, expected, sizeof(expected));
	keep_revision(model);
}

static void run(struct engine *engine, struct model *model, uint64_t seed)
{
	*model = (struct model){.road = model->road, .random = seed};
	engine_exec(engine, "DELETE FROM t");
	for (int step = 0; step < STEPS; step++) {
		unsigned what = any(model, 8);

		model->revisions[model->n] = (struct revision){0};
		if (what == 0) {
			edit_unseen(model);
		} else if (what < 4 || model->n == 0) {
			expect_ok(road_atomic(model->road, edit, model), &model->road->err);
			keep_revision(model);
		} else {
			revert(model);
		}
		expect_text_at(
			engine_rows(engine, "SELECT id, f0, f1, f2 FROM t ORDER BY id"),
			text_of(model, model->now),
			engine_printf(engine, "seed %llu, step %d", (unsigned long long)seed, step),
			__FILE__, __LINE__);
	}
}

static void against_a_model(struct engine *engine)
{
	struct model *model = amend_arena_alloc(engine_arena(engine), sizeof(*model));
	const char *given = getenv("AMEND_TEST_SEED");
	uint64_t first = given ? strtoull(given, NULL, 10) : (uint64_t)now_ms();

	static const uint64_t found[] = {66602627}; /* they failed once */

	assert_non_null(model);
	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, f0 text, f1 text, f2 text)");
	model->road = road_open(engine, "t");
	for (size_t i = 0; i < COUNT(found) && !given; i++)
		run(engine, model, found[i]);
	for (uint64_t seed = first; seed < first + (given ? 1 : SEEDS); seed++) {
		print_message("# AMEND_TEST_SEED=%llu\n", (unsigned long long)seed);
		run(engine, model, seed);
	}
}

static const struct engine_test tests[] = {
	{"random edits and reverts, as a model has them", against_a_model},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

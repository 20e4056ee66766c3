/*
 * Many versions of a feed, with edits in between, against a model of docs/sync.md: what is in the table, in the
 * bases and in the report after each. AMEND_TEST_SEED repeats one; it is printed.
 */
#include "feed.h"

#include <stdlib.h>
#include <time.h>

enum { CODES = 24, VERSIONS = 60, NAMES = 3 };

/* -1: NULL; status: 0 live, 1 gone, 2 other */
struct state {
	bool row, based, named; /* `named`: the base has a name */
	int name, status, base;
	bool marked;
	int before;
	const char *conflict; /* its kind, or NULL */
};

struct model {
	struct state states[CODES];
	int deleted, marked, missing, created;
};

static const char *const statuses[] = {"live", "gone", "other"};
static unsigned chance;

static int pick(int n)
{
	chance = chance * 1103515245u + 12345u;
	return (int)(chance >> 16 & 0x7fff) % n;
}

static const char *quoted(struct engine *engine, int name)
{
	return name < 0 ? "NULL" : engine_printf(engine, "'n%d'", name);
}

/* --- somebody edits --- */

static void edit(struct engine *engine, struct state *state, int code)
{
	int what = pick(6);

	if (!state->row) {
		/* Where a base waits for its row a new row would be another story. */
		if (!state->based && pick(4) == 0) {
			*state = (struct state){.row = true, .name = pick(NAMES + 1) - 1};
			engine_exec(
				engine,
				engine_printf(engine,
					      "INSERT INTO item (code, name) VALUES ('c%02d', %s)",
					      code, quoted(engine, state->name)));
		}
		return;
	}
	if (what <= 1) {
		state->name = what == 0 && state->named ? state->base : pick(NAMES + 1) - 1;
		engine_exec(engine,
			    engine_printf(engine, "UPDATE item SET name = %s WHERE code = 'c%02d'",
					  quoted(engine, state->name), code));
	} else if (what == 2) {
		state->status = pick(3);
		engine_exec(engine,
			    engine_printf(engine,
					  "UPDATE item SET status = '%s' WHERE code = 'c%02d'",
					  statuses[state->status], code));
	} else if (what == 3) {
		state->row = false;
		engine_exec(engine,
			    engine_printf(engine, "DELETE FROM item WHERE code = 'c%02d'", code));
	}
}

/* --- what a sync makes of it --- */

static void forget_base(struct state *state)
{
	state->based = state->named = state->marked = false;
}

static void present(struct model *model, struct state *state, int incoming)
{
	if (!state->row && !state->based) {
		*state = (struct state){.row = true,
					.based = true,
					.named = true,
					.name = incoming,
					.base = incoming};
		model->created++;
		return;
	}
	if (!state->row) {
		state->conflict = state->named && state->base != incoming ? "deleted" : NULL;
		return;
	}
	if (state->marked && state->status == 1)
		state->status = state->before;
	state->marked = false;
	state->based = true;
	state->conflict = NULL;
	if (state->name == incoming) {
		state->base = incoming;
		state->named = true;
	} else if (state->named && state->base == incoming) {
		/* a local edit */
	} else if (state->named ? state->base == state->name : state->name < 0) {
		state->name = state->base = incoming;
		state->named = true;
	} else {
		state->conflict = "fields";
	}
}

static void absent(struct model *model, struct state *state, enum amend_missing what)
{
	bool edited;

	if (!state->based)
		return;
	if (!state->row) {
		forget_base(state);
		state->conflict = NULL;
		return;
	}
	if (what == AMEND_MISSING_KEEP) {
		if (state->conflict && strcmp(state->conflict, "missing") == 0)
			state->conflict = NULL;
		return;
	}
	edited = state->named ? state->name != state->base : state->conflict && state->name >= 0;
	edited = edited || (state->marked && state->status != 1);
	if (edited) {
		state->conflict = "missing";
		model->missing++;
	} else if (what == AMEND_MISSING_DELETE) {
		*state = (struct state){.row = false};
		model->deleted++;
	} else {
		state->conflict = NULL;
		if (state->status == 1)
			return;
		state->before = state->status;
		state->status = 1;
		state->marked = true;
		model->marked++;
	}
}

/* --- comparing --- */

static void compare(struct feed *feed, const struct model *model, const char *version)
{
	struct amend_buffer rows = AMEND_BUFFER_INIT;
	int bases = 0, open = 0, known;

	for (int i = 0; i < CODES; i++) {
		const struct state *state = &model->states[i];

		if (state->row)
			amend_buffer_printf(
				&rows, "%sc%02d|%s|%s", rows.size ? "\n" : "", i,
				state->name < 0 ? "NULL"
						: engine_printf(feed->engine, "n%d", state->name),
				statuses[state->status]);
		bases += state->based;
		open += state->conflict != NULL;
	}
	expect_text(engine_rows(feed->engine, "SELECT code, name, status FROM item ORDER BY code"),
		    rows.data ? rows.data : "");
	amend_buffer_release(&rows);
	known = atoi(engine_scalar(feed->engine,
				   engine_pick(feed->engine, "SELECT count(*) FROM amend_base",
					       "SELECT count(*) FROM amend.base")));
	if (known != bases || (int)feed->report.open_conflicts != open ||
	    (int)feed->report.deleted != model->deleted ||
	    (int)feed->report.marked != model->marked ||
	    (int)feed->report.missing_conflicts != model->missing ||
	    (int)feed->report.created != model->created)
		expect_text(
			engine_printf(feed->engine, "%s: %d bases, %s", version, known,
				      feed_report(feed)),
			engine_printf(
				feed->engine,
				"%s: %d bases, deleted=%d marked=%d missing_conflicts=%d created=%d "
				"open_conflicts=%d",
				version, bases, model->deleted, model->marked, model->missing,
				model->created, open));
}

static void against_the_model(struct engine *engine)
{
	static const struct amend_assign gone = {
		"status", AMEND_SET, {.kind = AMEND_TEXT, .size = 4, .as.text = "gone"}};
	const char *given = getenv("AMEND_TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	struct model model = {0};
	struct feed *feed;

	print_message("# AMEND_TEST_SEED=%u\n", seed);
	chance = seed;
	engine_exec(
		engine,
		engine_pick(
			engine,
			"CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT UNIQUE, "
			"name TEXT, status TEXT DEFAULT 'live')",
			"CREATE TABLE item (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "
			"code text UNIQUE, name text, status text DEFAULT 'live')"));
	feed = feed_open(engine, "item", "code");
	feed->quiet = true;
	expect_ok(amend_init(feed->db, NULL, &feed->err), &feed->err);
	feed->options.adopt = AMEND_ADOPT_CONFLICT;
	feed->options.max_missing = 100;
	feed->options.mark = &gone;
	for (int version = 1; version <= VERSIONS; version++) {
		struct amend_buffer csv = AMEND_BUFFER_INIT;
		enum amend_missing what = (enum amend_missing)pick(3);
		const char *name = engine_printf(engine, "seed %u, version %d, %s", seed, version,
						 what == AMEND_MISSING_KEEP     ? "keep"
						 : what == AMEND_MISSING_DELETE ? "delete"
										: "mark");
		int share = pick(10);

		model.deleted = model.marked = model.missing = model.created = 0;
		for (int i = pick(8); i > 0; i--) {
			int code = pick(CODES);

			edit(engine, &model.states[code], code);
		}
		amend_buffer_text(&csv, "code,name\n");
		for (int i = 0; i < CODES; i++) {
			int incoming = pick(4) ? i % NAMES : pick(NAMES + 1) - 1;

			if (pick(10) < share) {
				amend_buffer_printf(
					&csv, "c%02d,%s\n", i,
					incoming < 0 ? "" : engine_printf(engine, "n%d", incoming));
				present(&model, &model.states[i], incoming);
			} else {
				absent(&model, &model.states[i], what);
			}
		}
		feed->options.missing = what;
		feed->options.atomic = pick(4) == 0;
		expect_ok(feed_text(feed, csv.data), &feed->err);
		compare(feed, &model, name);
		/* And a second run writes nothing. */
		expect_ok(feed_text(feed, csv.data), &feed->err);
		if (feed->report.run != 0)
			expect_text(name, "a second run wrote something");
		amend_buffer_release(&csv);
	}
}

static const struct engine_test tests[] = {
	{"versions of a feed, edits in between, keep, delete and mark: as the model says",
	 against_the_model},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

/*
 * The proof by experiment behind "unchanged" on PostgreSQL (COMPARE): for each
 * type, random inputs are stored in a real column; what the column then prints
 * must be what canonicalise foretold, and it must refuse what canonicalise
 * calls a problem. Storing the canonical form, and what was printed, must give
 * the same stored value again, byte for byte (record_image_eq).
 * tests/lib/spellings.h says how it is repeated, and how more inputs are tried.
 */
#include "describe.h"
#include "spellings.h"

/* What the column prints after the text was stored; NULL: it was refused. */
static const char *store(struct engine *engine, struct amend_session *session, const char *sql,
			 const struct amend_value *value)
{
	struct amend_statement statement = {.sql = sql, .values = value, .n_values = 1};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	const char *text = NULL;

	if (engine->driver->run(session, &statement, 1, &rows, NULL, &err) == AMEND_OK)
		text = amend_arena_text(engine_arena(engine), rows.values[0].as.text);
	amend_rows_release(&rows);
	return text;
}

static void expect_same(const struct spelled *kind, const char *in, const char *what,
			const char *found, const char *expected)
{
	if (!found || !expected ? found != expected : strcmp(found, expected) != 0)
		fail_msg("%s \"%s\": %s gives %s, the column holds %s", kind->type, in, what,
			 found ? found : "a problem", expected ? expected : "nothing");
}

/* The two lemmas of COMPARE: the input, its canonical form and what the column prints are stored as the same bytes. */
static void expect_same_image(struct engine *engine, struct amend_session *session,
			      const struct spelled *kind, const char *cast,
			      const struct amend_canon *item, const char *held)
{
	const struct amend_value values[] = {item->in, item->out, amend_text(held)};
	const struct amend_statement statement = {
		.sql = engine_printf(engine,
				     "WITH a AS (INSERT INTO t VALUES ($1::%s) RETURNING v),"
				     " b AS (INSERT INTO t VALUES ($2::%s) RETURNING v),"
				     " c AS (INSERT INTO t VALUES ($3::%s) RETURNING v)"
				     " SELECT pg_catalog.record_image_eq(ROW(a.v), ROW(b.v)),"
				     " pg_catalog.record_image_eq(ROW(a.v), ROW(c.v)) FROM a, b, c",
				     cast, cast, cast),
		.values = values,
		.n_values = 3,
	};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;

	expect_ok(engine->driver->run(session, &statement, 1, &rows, NULL, &err), &err);
	if (*rows.values[0].as.text != 't' || *rows.values[1].as.text != 't')
		fail_msg("%s \"%s\": %s is stored as other bytes", kind->type, item->in.as.text,
			 *rows.values[0].as.text == 't' ? "what is printed" : "the canonical form");
	amend_rows_release(&rows);
}

static void check_kind(struct engine *engine, struct amend_session *session,
		       const struct spelled *kind, size_t rounds)
{
	struct amend_arena *arena = engine_arena(engine);
	struct amend_canon *items = amend_arena_array(arena, rounds, sizeof(*items));
	const char *const bare = "INSERT INTO t VALUES ($1) RETURNING v";
	const struct amend_table *table;
	const char *cast;
	struct amend_error err;

	engine_execf(engine, "DROP TABLE IF EXISTS t; CREATE TABLE t (v %s)", kind->type);
	table = describe(engine, session, NULL, "t");
	assert_false(table->columns[0].unsound);
	cast = engine_printf(engine, "INSERT INTO t VALUES ($1::%s) RETURNING v",
			     table->columns[0].cast);
	for (size_t i = 0; i < rounds; i++) {
		items[i].column = &table->columns[0];
		items[i].in = amend_text(spelled_input(engine, kind, i < COUNT(kind->seeds)));
	}
	if (spelled_random(2)) {
		session_begin(engine, session);
		expect_ok(engine->driver->canonicalise(session, items, rounds, arena, &err), &err);
		session_expect_state(engine, session, AMEND_TX_ACTIVE);
		session_rollback(engine, session);
	} else {
		expect_ok(engine->driver->canonicalise(session, items, rounds, arena, &err), &err);
	}
	for (size_t i = 0; i < rounds; i++) {
		const char *in = items[i].in.as.text;
		const char *out = items[i].problem ? NULL : items[i].out.as.text;
		const char *held = store(engine, session, spelled_random(2) ? bare : cast,
					 &items[i].in);

		/* A value that PostgreSQL prints but does not read may be refused (timetz "7:05x26"). */
		if (!out && held && strcmp(kind->type, "timetz") == 0) {
			const struct amend_value again = amend_text(held);
			const char *back = store(engine, session, cast, &again);

			if (!back || strcmp(back, held) != 0)
				continue;
		}
		expect_same(kind, in, "canonicalise", out, held);
		if (out)
			expect_same_image(engine, session, kind, table->columns[0].cast, &items[i],
					  held);
		else
			assert_true(*items[i].problem != '\0');
	}
}

static void every_type(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	spelled_prepare(engine);
	spelled_begin();
	for (const struct spelled *kind = NULL; (kind = spelled_next(engine, kind));)
		check_kind(engine, session, kind, spelled_rounds(400));
}

static const struct engine_test tests[] = {
	{"canonical(input) is what the column holds, for every type", every_type,
	 .only = "postgresql"},
};

ENGINE_MAIN(tests)

/*
 * All that stands in a record's way is listed: held against the truth, which is got by asking the
 * engine with one rule at a time. Leaves how the command prints it to tests/cli.
 */
#include "ask.h"

#include <stdlib.h>

#include "core/buffer.h"

/* --- What is listed, as text --- */

/* One word for each, in the list's order: "check positive", "parent supplier". */
static const char *identity(struct engine *engine, const struct amend_violation *violation)
{
	struct amend_buffer columns = AMEND_BUFFER_INIT;
	const char *text = "";

	for (size_t i = 0; i < violation->n_columns; i++)
		amend_buffer_printf(&columns, "%s%s", i ? "," : "", violation->columns[i]);
	switch (violation->kind) {
	case AMEND_VIOLATES_TYPE:
	case AMEND_VIOLATES_NOT_NULL:
	case AMEND_VIOLATES_PARENT:
		text = engine_printf(engine, "%s %s", amend_violation_name(violation->kind),
				     amend_buffer_string(&columns));
		break;
	case AMEND_VIOLATES_CHILDREN:
		text = engine_printf(engine, "children %s", violation->table);
		break;
	case AMEND_VIOLATES_CHECK:
	case AMEND_VIOLATES_UNIQUE:
	case AMEND_VIOLATES_EXCLUSION:
		text = engine_printf(
			engine, "%s %s", amend_violation_name(violation->kind),
			violation->constraint
				? violation->constraint
				: engine_printf(engine, "(%s)", amend_buffer_string(&columns)));
		break;
	}
	amend_buffer_release(&columns);
	return text;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once, parted by "; ". */
static const char *join(struct engine *engine, const char **list, size_t n)
{
	const char *text = "";

	qsort(list, n, sizeof(*list), compare_texts);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(list[i], list[i - 1]) != 0)
			text = engine_printf(engine, "%s%s%s", text, i ? "; " : "", list[i]);
	}
	return text;
}

/* What the table refers to in itself is broken on either side: `self` is the word for both. */
static const char *listed_as(struct road *road, const char *self)
{
	const struct amend_violation *all = road->result.violations;
	const char *list[64];
	size_t n = road->result.n_violations;

	assert_true(n <= COUNT(list));
	for (size_t i = 0; i < n; i++) {
		bool itself = self && all[i].table && strcmp(all[i].table, road->table->name) == 0;

		assert_non_null(all[i].text);
		list[i] = itself ? self : identity(road->engine, &all[i]);
	}
	return join(road->engine, list, n);
}

static const char *listed(struct road *road)
{
	return listed_as(road, NULL);
}

#define lists(road, text) expect_text_at(listed(road), text, #road, __FILE__, __LINE__)

static const char *line_of(struct road *road, size_t i)
{
	assert_true(i < road->result.n_violations);
	return road->result.violations[i].text;
}

/* --- Against the truth --- */

/*
 * A rule: what is added to the table's definition, and by what statements it is made. {t} is the
 * table; in `listed` it stands too.
 */
struct rule {
	const char *listed, *inside, *after, *only;
};

static const struct rule rules[] = {
	{"not_null a", NULL, NULL, NULL}, /* in the column's own definition */
	{"check small", "CONSTRAINT small CHECK (a < 5)", NULL, NULL},
	{"check two", "CONSTRAINT two CHECK ((a + 1) <> length(b) OR (b = 'x)''' /* ) */))", NULL,
	 NULL},
	{"check odd \"name\", CHECK",
	 "CONSTRAINT \"odd \"\"name\"\", CHECK\" CHECK (/* , */ c IS NULL OR (c <> 3 -- )\n))",
	 NULL, NULL},
	{"check doubled", "CONSTRAINT doubled CHECK (g <> 4)", NULL, NULL},
	{"unique {t}_b", NULL, "CREATE UNIQUE INDEX {t}_b ON {t} (b)", NULL},
	{"unique {t}_cd", NULL, "CREATE UNIQUE INDEX {t}_cd ON {t} (c DESC, d)", NULL},
	{"unique {t}_low", NULL,
	 "CREATE UNIQUE INDEX {t}_low ON {t} (lower(b), (a - a)) WHERE c > 1", "sqlite postgresql"},
	{"missing_parent c", "FOREIGN KEY (c) REFERENCES parent (id)", NULL, NULL},
	{"missing_parent c,d", "FOREIGN KEY (c, d) REFERENCES two (x, y)", NULL, NULL},
	{"itself", "FOREIGN KEY (boss) REFERENCES {t} (k)", NULL, NULL},
	{"children {t}_child", NULL,
	 "CREATE TABLE {t}_child (id integer PRIMARY KEY, k integer, FOREIGN KEY (k) REFERENCES {t} (k)); "
	 "INSERT INTO {t}_child VALUES (1, 1), (2, 2)",
	 NULL},
	{"exclusion {t}_near",
	 "CONSTRAINT {t}_near EXCLUDE USING gist (int4range(a, a + 2) WITH &&)", NULL, "postgresql"},
	{"unique {t}_nulls", "CONSTRAINT {t}_nulls UNIQUE NULLS NOT DISTINCT (d, c)", NULL,
	 "postgresql"},
	{"check tiny", NULL, "ALTER TABLE {t} ALTER e TYPE tiny", "postgresql"},
	{"unique {t}_case", NULL, "CREATE UNIQUE INDEX {t}_case ON {t} (b COLLATE NOCASE)",
	 "sqlite"},
};

static const char *fill(struct engine *engine, const char *pattern, const char *table)
{
	const char *at, *done = "";

	while ((at = strstr(pattern, "{t}"))) {
		done = engine_printf(engine, "%s%.*s%s", done, (int)(at - pattern), pattern, table);
		pattern = at + 3;
	}
	return engine_printf(engine, "%s%s", done, pattern);
}

static bool has_rule(const struct engine *engine, size_t i)
{
	return !rules[i].only || strstr(rules[i].only, engine->driver->name);
}

/* With one rule, or with all. */
static void make_table(struct engine *engine, const char *table, size_t only)
{
	const char *inside = "", *after = "";

	for (size_t i = 0; i < COUNT(rules); i++) {
		if (!has_rule(engine, i) || (only != COUNT(rules) && only != i))
			continue;
		if (rules[i].inside)
			inside = engine_printf(engine, "%s, %s", inside,
					       fill(engine, rules[i].inside, table));
		if (rules[i].after)
			after = engine_printf(engine, "%s; %s", after,
					      fill(engine, rules[i].after, table));
	}
	/* Rows that keep all rules, before what refers to them is made. */
	engine_execf(
		engine,
		"CREATE TABLE %s (id integer PRIMARY KEY, k integer UNIQUE, a integer%s, b text, "
		"c integer, d text, e integer DEFAULT 1, boss integer, "
		"g integer GENERATED ALWAYS AS (a * 2) STORED%s); "
		"INSERT INTO %s (id, k, a, b, c, d, e, boss) VALUES "
		"(1, 1, 1, 'x', 1, 'p', 1, NULL), (2, 2, 3, 'yy', 2, 'q', 2, 1), "
		"(3, 3, -4, NULL, NULL, 'r', 3, 3)%s",
		table, only == 0 || only == COUNT(rules) ? " NOT NULL" : "", inside, table, after);
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

struct field {
	const char *name;
	const char *values[7]; /* as SQL; NULL-ended */
};

static const struct field fields[] = {
	{"a", {"0", "1", "2", "3", "7", "NULL"}},
	{"b", {"'x'", "'X'", "'yy'", "'Yy'", "'x)'''", "NULL"}},
	{"c", {"1", "2", "3", "9", "NULL"}},
	{"d", {"'p'", "'q'", "'zzz'", "NULL"}},
	{"e", {"1", "8", "9"}},
	{"boss", {"1", "2", "50", "NULL"}},
};

/* What is asked of the full table, and of each of the others: {t}, and the same as an asked. */
struct attempt_of {
	const char *sql;
	struct asked asked;
	bool deletes;
};

static const char *pick(const struct field *field, uint64_t *state)
{
	size_t n = 0;

	while (n < COUNT(field->values) && field->values[n])
		n++;
	return field->values[next_random(state) % n];
}

/* An SQL literal as an asked spells it: without its quotes. */
static const char *plain(struct engine *engine, const char *literal)
{
	const char *text = "";

	if (*literal != '\'')
		return literal;
	/* A doubled quote is one, and the last one is the end. */
	for (literal++; literal[0] != '\'' || literal[1] == '\''; literal++) {
		text = engine_printf(engine, "%s%c", text, *literal);
		literal += *literal == '\'';
	}
	return text;
}

static void make_attempt(struct engine *engine, uint64_t *state, unsigned new_id,
			 struct attempt_of *out)
{
	unsigned id = 1 + next_random(state) % 4;
	bool creates = id == 4 || next_random(state) % 4 == 0;
	const char *set = "", *names = "", *values = "", *asked = "";

	out->deletes = !creates && next_random(state) % 6 == 0;
	if (creates)
		id = new_id;
	out->asked = (struct asked){.mode = creates ? AMEND_UPDATE_OR_CREATE : AMEND_UPDATE,
				    .keys = engine_printf(engine, "id=%u", id)};
	if (out->deletes) {
		out->sql = engine_printf(engine, "DELETE FROM {t} WHERE id = %u", id);
		return;
	}
	/* The children's key moves now and then; it never meets another one. */
	if (creates || next_random(state) % 3 == 0) {
		unsigned k = 10000 + next_random(state) % 100000;

		set = engine_printf(engine, ", k = %u", k);
		names = ", k";
		values = engine_printf(engine, ", %u", k);
		asked = engine_printf(engine, ", k=%u", k);
	}
	for (size_t i = 0; i < COUNT(fields); i++) {
		const char *value = pick(&fields[i], state);

		if (next_random(state) % 3 == 0)
			continue;
		set = engine_printf(engine, "%s, %s = %s", set, fields[i].name, value);
		names = engine_printf(engine, "%s, %s", names, fields[i].name);
		values = engine_printf(engine, "%s, %s", values, value);
		asked = engine_printf(engine, "%s, %s=%s", asked, fields[i].name,
				      plain(engine, value));
	}
	if (!*set)
		set = asked = ", e=1", names = ", e", values = ", 1";
	out->asked.set = asked + 2;
	out->sql = creates ? engine_printf(engine, "INSERT INTO {t} (id%s) VALUES (%u%s)", names,
					   id, values)
			   : engine_printf(engine, "UPDATE {t} SET %s WHERE id = %u", set + 2, id);
}

/* What the engine refuses with each rule alone. */
static const char *truth(struct engine *engine, struct foreign *foreign,
			 const struct attempt_of *attempt, const char *table)
{
	const char *list[COUNT(rules)];
	size_t n = 0;

	for (size_t i = 0; i < COUNT(rules); i++) {
		const char *alone = engine_printf(engine, "r%zu", i);

		if (!has_rule(engine, i))
			continue;
		foreign_exec(foreign, "BEGIN");
		if (foreign_try(foreign, fill(engine, attempt->sql, alone)))
			list[n++] = fill(engine, rules[i].listed, table);
		foreign_exec(foreign, "ROLLBACK");
	}
	return join(engine, list, n);
}

static enum amend_status go(struct road *road, const struct attempt_of *attempt)
{
	return attempt->deletes ? road_delete(road, &attempt->asked)
				: road_write(road, &attempt->asked);
}

static void held_against_the_truth(struct engine *engine)
{
	const char *seed = getenv("AMEND_TEST_SEED"), *turns = getenv("AMEND_TEST_TURNS");
	uint64_t state = seed ? strtoull(seed, NULL, 10) : 7;
	long n = turns ? strtol(turns, NULL, 10) : 60;
	struct foreign *foreign = foreign_open(engine);
	size_t several = 0;
	struct road *road;

	engine_exec(engine, "CREATE TABLE parent (id integer PRIMARY KEY); "
			    "INSERT INTO parent VALUES (1), (2), (3); "
			    "CREATE TABLE two (x integer, y text, PRIMARY KEY (x, y)); "
			    "INSERT INTO two VALUES (1, 'p'), (2, 'q'), (2, 'zzz'), (9, 'p')");
	if (engine_is(engine, "postgresql"))
		engine_exec(engine,
			    "CREATE DOMAIN tiny AS integer CONSTRAINT tiny CHECK (VALUE < 9)");
	for (size_t i = 0; i <= COUNT(rules); i++) {
		if (i == COUNT(rules) || has_rule(engine, i))
			make_table(engine,
				   i == COUNT(rules) ? "every" : engine_printf(engine, "r%zu", i),
				   i);
	}
	foreign_exec(foreign, engine_pick(engine, "PRAGMA foreign_keys = ON", "SELECT 1"));
	road = road_open(engine, "every");
	for (long i = 0; i < n; i++) {
		struct attempt_of attempt;
		const char *expected;
		enum amend_status status;

		make_attempt(engine, &state, 10 + (unsigned)i, &attempt);
		expected = truth(engine, foreign, &attempt, "every");
		status = go(road, &attempt);
		/* Of a record that is not there no rule speaks. */
		if (attempt.asked.mode == AMEND_UPDATE &&
		    !engine_scalar(engine, engine_printf(engine, "SELECT id FROM every WHERE %s",
							 attempt.asked.keys)) &&
		    !attempt.deletes && status != AMEND_OK)
			continue;
		if (status == AMEND_NOT_FOUND)
			continue;
		if ((status == AMEND_OK) != (*expected == '\0') ||
		    (status != AMEND_OK && strcmp(listed_as(road, "itself"), expected) != 0))
			fail_at(__FILE__, __LINE__, "%ld: %s\nlisted:   %s\nexpected: %s\n%s", i,
				attempt.sql, listed_as(road, "itself"), expected,
				status == AMEND_OK ? "" : road->err.text);
		several += road->result.n_violations > 1;
		/* The others go the same way. */
		for (size_t j = 0; j < COUNT(rules) && status == AMEND_OK; j++) {
			if (has_rule(engine, j))
				foreign_exec(foreign, fill(engine, attempt.sql,
							   engine_printf(engine, "r%zu", j)));
		}
	}
	/* Else it says nothing. */
	assert_true(several > (size_t)n / 4);
}

/* --- One by one --- */

/* Two edits that merge field by field, each valid by itself. */
static void jointly_invalid(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE span (id integer PRIMARY KEY, low integer, high integer, "
			    "name text UNIQUE, CONSTRAINT rises CHECK (low < high)); "
			    "INSERT INTO span VALUES (1, 1, 5, 'a'), (2, 1, 5, 'b')");
	road = road_open(engine, "span");
	ok(road, .keys = "id=1", .set = "high=3");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "low=4, name=b");
	lists(road, engine_pick3(engine, "check rises; unique (name)",
				 "check rises; unique span_name_key", "check rises; unique name"));
	expect_contains(line_of(road, 1), "name=b is taken by id=2");
	assert_int_equal(road->result.violations[1].n_record, 1);
	expect_text(road->result.violations[1].record[0].column, "id");
	engine_expect(engine, "SELECT * FROM span WHERE id = 1", "1|1|3|a");
}

/* Each save is valid; it is what the merge makes of both that is not. */
static void a_merge_that_is_invalid(struct engine *engine)
{
	const struct amend_field key_field = {"id", amend_text("1")};
	const struct amend_match key = {&key_field, 1};
	const struct amend_assign set[] = {{"low", AMEND_SET, amend_text("4")},
					   {"name", AMEND_SET, amend_text("b")},
					   {"qty", AMEND_SET, amend_text("3")}};
	const struct amend_merge_rule sum = {"qty", AMEND_MERGE_ADD};
	struct amend_write write = AMEND_WRITE_INIT;
	struct road *road;

	engine_exec(engine, "CREATE TABLE span (id integer PRIMARY KEY, low integer, high integer, "
			    "name text UNIQUE, qty integer, CONSTRAINT few CHECK (qty < 6), "
			    "CONSTRAINT rises CHECK (low < high)); "
			    "INSERT INTO span VALUES (1, 1, 5, 'a', 1), (2, 1, 5, 'b', 1)");
	road = road_open(engine, "span");
	write.expect.token = road_token(road, "id=1");
	ok(road, .keys = "id=1", .set = "high=3, qty=5");
	write.keys = &key, write.n_keys = 1;
	write.set = set, write.n_set = COUNT(set);
	write.merge = true;
	write.rules = &sum, write.n_rules = 1;
	amend_result_release(&road->result);
	expect_status(AMEND_CONSTRAINT,
		      amend_write(road->db, road->table, &write, &road->result, &road->err),
		      &road->err);
	lists(road, engine_pick3(engine, "check few; check rises; unique (name)",
				 "check few; check rises; unique span_name_key",
				 "check few; check rises; unique name"));
	engine_expect(engine, "SELECT * FROM span WHERE id = 1", "1|1|3|a|5");
}

static void nothing_is_listed_where_nothing_is_refused(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer CHECK (n < 9)); "
			    "INSERT INTO t VALUES (1, 1)");
	road = road_open(engine, "t");
	ok(road, .keys = "id=1", .set = "n=2");
	assert_int_equal(road->result.n_violations, 0);
	/* A bound is amend's own, and said whole. */
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "n+=20", .bounds = "n<=8");
	assert_int_equal(road->result.n_violations, 0);
	refused(AMEND_NOT_FOUND, road, .keys = "id=7", .set = "n=20");
	assert_int_equal(road->result.n_violations, 0);
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "n+=20");
	lists(road, engine_pick3(engine, "check (n)", "check t_n_check", "check n"));
}

/* Values of types that only the server can spell: it is asked in a scratch table. */
static void types_of_mariadbs(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, kind enum('a', 'b') NOT NULL, "
		    "at time, n integer CHECK (n < 5), UNIQUE KEY once (kind, at)); INSERT INTO t "
		    "VALUES (1, 'a', '10:00:00', 1), (2, 'b', '11:00:00', 1)");
	road = road_open(engine, "t");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "kind=b, at=11:00:00, n=9");
	lists(road, "check n; unique once");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "kind=c, at=11:00:00, n=9");
	lists(road, "check n; type kind");
}

static const struct engine_test tests[] = {
	{"fields that are jointly invalid: every violation is listed", jointly_invalid},
	{"a merge that is jointly invalid: every violation is listed", a_merge_that_is_invalid},
	{"nothing is listed where the database refuses nothing",
	 nothing_is_listed_where_nothing_is_refused},
	{"values that only the server can spell", types_of_mariadbs, .only = "mariadb"},
	{"random writes: the list is what the engine refuses rule by rule", held_against_the_truth},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

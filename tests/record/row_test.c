/*
 * Single rows, as sync uses them: read without a hold, and written only if they are still what was read.
 * Leaves the road for one record to the other tests of this folder.
 */
#include "ask.h"

#include "record/road.h"
#include "sql/conn.h"

static struct road *open_t(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, k text UNIQUE, v text, w text)");
	engine_exec(
		engine,
		"INSERT INTO t VALUES (1, 'a', 'x', NULL), (2, 'b', 'x', ''), (3, 'c', 'y', 'w')");
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

static struct amend_row find(struct road *road, int64_t id)
{
	const uint32_t column = 0;
	const struct amend_value value = engine_is(road->engine, "sqlite")
						 ? amend_integer(id)
						 : amend_text(engine_printf(road->engine, "%lld",
									    (long long)id));
	struct amend_row *rows;
	size_t n;

	expect_ok(amend_row_find(road->db, road->table, &column, &value, 1, NULL, 2,
				 engine_arena(road->engine), &rows, &n, &road->err),
		  &road->err);
	assert_int_equal(n, 1);
	return rows[0];
}

static const struct amend_put new_v = {.column = 2, .value = {AMEND_TEXT, 3, {.text = "new"}}};

static struct amend_written update(struct road *road, const struct amend_row *row)
{
	struct amend_written written;

	expect_ok(amend_row_update(road->db, road->table, row, &new_v, 1,
				   engine_arena(road->engine), &written, &road->err),
		  &road->err);
	return written;
}

static struct amend_written delete_row(struct road *road, const struct amend_row *row)
{
	struct amend_written written;

	expect_ok(amend_row_delete(road->db, road->table, row, engine_arena(road->engine), &written,
				   &road->err),
		  &road->err);
	return written;
}

static void what_stands_is_written(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct amend_row row = find(road, 1);
	struct amend_written written = update(road, &row);

	assert_false(written.moved);
	expect_text(road_state(road, written.row.values), "id=1 k=a v=new w=NULL");
	expect_text(road_state(road, written.before), "id=1 k=a v=x w=NULL");
	assert_true(written.revision > 0 && written.change > 0);
	row = find(road, 2);
	written = delete_row(road, &row);
	assert_false(written.moved);
	engine_expect(engine, "SELECT id, v FROM t ORDER BY id", "1|new\n3|y");
	history(road, NULL,
		"delete id=2 id: 2 -> NULL, k: b -> NULL, v: x -> NULL, w: '' -> NULL\n"
		"update id=1 v: x -> new");
}

static void what_moved_is_not(struct engine *engine)
{
	/* Another column, NULL made empty, the row gone, the row another one's. */
	static const char *const rivals[] = {
		"UPDATE t SET w = 'r' WHERE id = 1",
		"UPDATE t SET w = '' WHERE id = 1",
		"UPDATE t SET v = 'r' WHERE id = 1",
		"DELETE FROM t WHERE id = 1",
		"UPDATE t SET id = 11 WHERE id = 1",
		"DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'z', 'x', NULL)",
	};
	struct road *road = open_t(engine);

	for (size_t i = 0; i < COUNT(rivals); i++) {
		struct amend_row row;
		const char *after;

		engine_exec(engine, "DELETE FROM t; INSERT INTO t VALUES (1, 'a', 'x', NULL)");
		row = find(road, 1);
		engine_exec(engine, rivals[i]);
		after = engine_rows(engine, "SELECT * FROM t");
		assert_true(update(road, &row).moved);
		assert_true(delete_row(road, &row).moved);
		engine_expect(engine, "SELECT * FROM t", after);
	}
	history(road, NULL, "");
}

static void a_rivals_creation(struct engine *engine)
{
	struct road *road = open_t(engine);
	const struct amend_put puts[] = {
		{.column = 0, .value = {AMEND_TEXT, 1, {.text = "9"}}},
		{.column = 1, .value = {AMEND_TEXT, 1, {.text = "a"}}},
	};
	const uint32_t k = 1, id = 0;
	struct amend_written written;

	/* On the key that is named it is a rival; on another one it is a broken constraint. */
	expect_ok(amend_row_insert(road->db, road->table, amend_table_unique_key(road->table, &k, 1),
				   puts, 2, engine_arena(engine), &written, &road->err),
		  &road->err);
	assert_true(written.moved);
	expect_status(AMEND_CONSTRAINT,
		      amend_row_insert(road->db, road->table,
				       amend_table_unique_key(road->table, &id, 1), puts, 2,
				       engine_arena(engine), &written, &road->err),
		      &road->err);
	expect_status(AMEND_CONSTRAINT,
		      amend_row_insert(road->db, road->table, NULL, puts, 2, engine_arena(engine),
				       &written, &road->err),
		      &road->err);
	engine_expect(engine, "SELECT count(*) FROM t", "3");
	history(road, NULL, "");
}

static void many_keys_at_once(struct engine *engine)
{
	enum { ALL = 1300 };
	struct road *road = open_t(engine);
	struct amend_arena *arena = engine_arena(engine);
	struct amend_value *values = amend_arena_array(arena, ALL, sizeof(*values));
	struct amend_row *rows = amend_arena_array(arena, ALL, sizeof(*rows));
	unsigned char found[ALL];
	const uint32_t v = 2;

	for (size_t i = 0; i < ALL; i++)
		values[i] = amend_text(i % 3 == 0 ? "x" : i % 3 == 1 ? "y" : "nowhere");
	expect_ok(amend_row_find_many(road->db, road->table, &v, 1, values, ALL, NULL, arena, rows,
				      found, &road->err),
		  &road->err);
	for (size_t i = 0; i < ALL; i++) {
		assert_int_equal(found[i], i % 3 == 0 ? 2 : i % 3 == 1 ? 1 : 0);
		if (i % 3 == 1)
			expect_text(rows[i].pk, "{\"id\":3}");
	}
}

static void again(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct amend_row row = find(road, 1), now;
	bool there = false;

	expect_ok(amend_row_again(road->db, road->table, &row, NULL, engine_arena(engine), &now,
				  &there, &road->err),
		  &road->err);
	assert_true(there);
	assert_true(amend_row_same(road->db, road->table, &row, &now));
	engine_exec(engine, "UPDATE t SET w = '' WHERE id = 1");
	expect_ok(amend_row_again(road->db, road->table, &row, NULL, engine_arena(engine), &now,
				  &there, &road->err),
		  &road->err);
	assert_false(amend_row_same(road->db, road->table, &row, &now));
	engine_exec(engine, "DELETE FROM t WHERE id = 1");
	expect_ok(amend_row_again(road->db, road->table, &row, NULL, engine_arena(engine), &now,
				  &there, &road->err),
		  &road->err);
	assert_false(there);
}

/* A server that has taken another's place gives the same version to another state. */
static void versions_of_another_server(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct amend_row row = find(road, 1), now;
	bool there = false;

	engine_exec(engine, "UPDATE t SET w = 'else' WHERE id = 1");
	expect_ok(amend_row_again(road->db, road->table, &row, NULL, engine_arena(engine), &now,
				  &there, &road->err),
		  &road->err);
	now.version = row.version;
	road->db->anew++;
	assert_false(amend_row_same(road->db, road->table, &row, &now));
}

/* Neither where one value ends and the next begins, nor NULL, can be mistaken. */
static void digests(struct engine *engine)
{
	static const char *const states[][2] = {
		{"ab", "c"},  {"a", "bc"}, {"", "abc"}, {"abc", ""}, {NULL, "abc"},   {"abc", NULL},
		{NULL, NULL}, {"", ""},    {NULL, ""},  {"", NULL},  {"NULL", "NULL"}};
	unsigned char digest[COUNT(states)][AMEND_DIGEST_SIZE];
	struct road *road = open_t(engine);
	struct amend_row row = find(road, 1);
	struct amend_value *values = amend_arena_array(engine_arena(engine), 4, sizeof(*values));

	memcpy(values, row.values, 4 * sizeof(*values));
	for (size_t i = 0; i < COUNT(states); i++) {
		values[2] = amend_text(states[i][0]);
		values[3] = amend_text(states[i][1]);
		expect_ok(amend_row_digest(road->table, values, digest[i], &road->err), &road->err);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(digest[i], digest[j], AMEND_DIGEST_SIZE);
	}
}

static const struct engine_test tests[] = {
	{"a row that stands as it was read is written", what_stands_is_written},
	{"a row that moved is not", what_moved_is_not},
	{"a rival's creation on the named key", a_rivals_creation},
	{"many keys at once: none, one, several rows", many_keys_at_once},
	{"a row read again", again},
	{"a row's version is none once the connection was opened anew", versions_of_another_server},
	{"digests tell apart what lies apart", digests},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

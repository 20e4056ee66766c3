/*
 * Many rows written together: what moved is left out, what is written is
 * recorded in order. Leaves single rows to row_test.c, and who writes what to tests/sync.
 */
#include "ask.h"

#include "core/buffer.h"
#include "core/rows.h"
#include "record/road.h"
#include "sql/conn.h"
#include "sql/table.h"

/*
 * Items as text, a line each:
 *	id=1: v=new, w=NULL	an update of the row found by id=1
 *	+ id=9, k=z		a creation
 *	- id=2			a deletion
 */
struct batch {
	struct road *road;
	const struct amend_key *key;
	struct amend_bulk *items;
	size_t n;
	bool isolated; /* the write is a unit of its own */
};

static struct amend_put take_put(struct road *road, const char *text, size_t size)
{
	const char *sign = memchr(text, '=', size);
	struct amend_canon canon = {0};
	struct amend_put put = {0};
	const char *name, *value;

	assert_non_null(sign);
	name = engine_printf(road->engine, "%.*s", (int)(sign - text), text);
	value = engine_printf(road->engine, "%.*s", (int)(text + size - sign - 1), sign + 1);
	assert_true(amend_table_column(road->table, name) >= 0);
	put.column = (uint32_t)amend_table_column(road->table, name);
	canon.column = &road->table->columns[put.column];
	canon.in = strcmp(value, "NULL") == 0 ? amend_null() : amend_text(value);
	expect_ok(amend_canonicalise(road->db, &canon, 1, engine_arena(road->engine), &road->err),
		  &road->err);
	if (canon.problem)
		fail_at(__FILE__, __LINE__, "%s: %s", name, canon.problem);
	put.value = canon.out;
	return put;
}

/* "v=new, w=NULL" */
static size_t take_puts(struct road *road, const char *text, size_t size, struct amend_put **out)
{
	struct amend_put *puts = amend_arena_array(engine_arena(road->engine), 16, sizeof(*puts));
	const char *end = text + size;
	size_t n = 0;

	*out = puts;
	while (text < end) {
		const char *comma = strstr(text, ", ");
		const char *stop = comma && comma < end ? comma : end;

		assert_true(n < 16);
		puts[n++] = take_put(road, text, (size_t)(stop - text));
		text = stop + (stop < end ? 2 : 0);
	}
	return n;
}

static const struct amend_row *find_row(struct road *road, const char *text, size_t size)
{
	struct amend_put put = take_put(road, text, size);
	struct amend_row *rows;
	size_t n;

	expect_ok(amend_row_find(road->db, road->table, &put.column, &put.value, 1, NULL, 2,
				 engine_arena(road->engine), &rows, &n, &road->err),
		  &road->err);
	if (n != 1)
		fail_at(__FILE__, __LINE__, "%.*s: found %zu rows", (int)size, text, n);
	return &rows[0];
}

static struct batch *plan(struct road *road, const char *text)
{
	struct batch *batch = amend_arena_alloc(engine_arena(road->engine), sizeof(*batch));

	batch->road = road;
	batch->items = amend_arena_array(engine_arena(road->engine), 64, sizeof(*batch->items));
	while (*text) {
		size_t size = strcspn(text, "\n");
		struct amend_bulk *item = &batch->items[batch->n++];
		struct amend_put *puts = NULL;

		assert_true(batch->n <= 64);
		if (*text == '-') {
			item->row = find_row(road, text + 2, size - 2);
		} else if (*text == '+') {
			item->n_puts = size < 2 ? 0 : take_puts(road, text + 2, size - 2, &puts);
		} else {
			size_t key = (size_t)(strstr(text, ": ") - text);

			item->row = find_row(road, text, key);
			item->n_puts = take_puts(road, text + key + 2, size - key - 2, &puts);
		}
		item->puts = puts;
		text += size + (text[size] == '\n');
	}
	return batch;
}

static enum amend_status write_batch(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct batch *batch = context;

	return amend_rows_write(db, batch->road->table, batch->key, batch->items, batch->n,
				engine_arena(batch->road->engine), err);
}

static enum amend_status try_batch(struct batch *batch)
{
	return road_atomic(batch->road, write_batch, batch);
}

/* "id=1 v=new; moved; deleted": what became of each. */
static const char *done(struct batch *batch)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	expect_ok(try_batch(batch), &batch->road->err);
	for (size_t i = 0; i < batch->n; i++) {
		const struct amend_bulk *item = &batch->items[i];

		amend_buffer_text(&text, i ? "; " : "");
		amend_buffer_text(&text, item->moved ? "moved"
					 : item->after.values
						 ? road_state(batch->road, item->after.values)
						 : "deleted");
		if (item->after.values) {
			struct amend_buffer pk = AMEND_BUFFER_INIT;

			amend_pk_text(&pk, batch->road->table, item->after.values,
				      &item->after.rowid);
			expect_text(item->after.pk, amend_buffer_string(&pk));
			amend_buffer_release(&pk);
			assert_true(item->after.held);
		}
	}
	copy = engine_printf(batch->road->engine, "%s", amend_buffer_string(&text));
	amend_buffer_release(&text);
	return copy;
}

static const struct amend_key *unique_on(struct road *road, const char *column)
{
	uint32_t at = (uint32_t)amend_table_column(road->table, column);
	const struct amend_key *key = amend_table_unique_key(road->table, &at, 1);

	assert_non_null(key);
	return key;
}

static struct road *open_with(struct engine *engine, const char *sql)
{
	struct road *road;

	engine_exec(engine, sql);
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

static struct road *open_t(struct engine *engine)
{
	return open_with(engine,
			 "CREATE TABLE t (id integer PRIMARY KEY, k text UNIQUE, v text, w text);"
			 "INSERT INTO t VALUES (1, 'a', 'x', NULL), (2, 'b', 'x', ''), "
			 "(3, 'c', 'y', 'w'), (10, 'd', 'z', 'w'), (11, 'e', 'z', 'w')");
}

static void all_kinds_at_once(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct batch *batch = plan(road, "id=10: v=new, w=NULL\n"
					 "+ id=7, k=b, v=v\n"
					 "id=1: v=o'ne\n"
					 "- id=2\n"
					 "id=3: w=\n"
					 "+ id=8, k=h");

	expect_text(done(batch), "id=10 k=d v=new w=NULL; id=7 k=b v=v w=NULL; id=1 k=a v=o'ne "
				 "w=NULL; deleted; id=3 k=c v=y w=''; id=8 k=h v=NULL w=NULL");
	engine_expect(engine, "SELECT * FROM t ORDER BY id",
		      "1|a|o'ne|NULL\n3|c|y|\n7|b|v|NULL\n8|h|NULL|NULL\n10|d|new|NULL\n11|e|z|w");
	/* Newest first: the order of the items, but for the deletion. */
	history(road, NULL,
		"create id=8 id: NULL -> 8, k: NULL -> h\n"
		"update id=3 w: w -> ''\n"
		"update id=1 v: x -> o'ne\n"
		"create id=7 id: NULL -> 7, k: NULL -> b, v: NULL -> v\n"
		"update id=10 v: z -> new, w: w -> NULL\n"
		"delete id=2 id: 2 -> NULL, k: b -> NULL, v: x -> NULL, w: '' -> NULL");
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_revision",
				  "SELECT count(*) FROM amend.revision"),
		      "1");
}

/* A server that has taken another's place gives a row's version to another state, too. */
static void versions_of_another_server(struct engine *engine)
{
	static const char *const keys[][2] = {{"id=1", "id=10"}, {"id=1", "id=2"}};
	static const char *const plans[] = {"id=1: v=old\n- id=10", "id=1: v=new\n- id=2"};
	struct road *road = open_t(engine);

	for (int anew = 0; anew < 2; anew++) {
		struct batch *batch = plan(road, plans[anew]);
		struct amend_row rows[2];

		engine_exec(engine, anew ? "UPDATE t SET w = 'r' WHERE id IN (1, 2)"
					 : "UPDATE t SET k = k WHERE id IN (1, 10)");
		for (int i = 0; i < 2; i++) {
			const char *key = keys[anew][i];

			rows[i] = *batch->items[i].row;
			rows[i].version = find_row(road, key, strlen(key))->version;
			batch->items[i].row = &rows[i];
		}
		road->db->anew = (unsigned)anew;
		expect_text(done(batch), anew ? "moved; moved" : "id=1 k=a v=old w=NULL; deleted");
	}
	/* What is still as it was is written, whatever its version. */
	expect_text(done(plan(road, "id=3: v=new\n- id=11")), "id=3 k=c v=new w=w; deleted");
}

/* Another writer between the reading and the writing: that one alone is left out. */
static void what_moved_is_left_out(struct engine *engine)
{
	static const char *const rivals[] = {
		"UPDATE t SET w = 'r' WHERE id = 1",
		"UPDATE t SET w = '' WHERE id = 1",
		"UPDATE t SET v = 'r' WHERE id = 1",
		"DELETE FROM t WHERE id = 1",
		"UPDATE t SET id = 12 WHERE id = 1",
		"DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'q', 'x', NULL)",
	};
	struct road *road = open_t(engine);

	for (size_t i = 0; i < 2 * COUNT(rivals); i++) {
		struct batch *batch;

		engine_exec(engine, "DELETE FROM t; INSERT INTO t VALUES (1, 'a', 'x', NULL), (2, "
				    "'b', 'x', ''), (3, 'c', 'y', 'w')");
		batch = plan(road, i % 2 ? "id=2: w=b\n- id=1\n- id=3"
					 : "id=2: w=b\nid=1: v=new\nid=3: v=c");
		engine_exec(engine, rivals[i / 2]);
		expect_text(done(batch), i % 2 ? "id=2 k=b v=x w=b; moved; deleted"
					       : "id=2 k=b v=x w=b; moved; id=3 k=c v=c w=w");
		assert_null(strstr(engine_scalar(engine, "SELECT coalesce(max(v), '') FROM t WHERE "
							 "k = 'a'"),
				   "new"));
	}
}

static void a_rivals_creation(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct batch *batch = plan(road, "+ id=20, k=m, v=1\n+ id=21, k=n, v=2\n+ id=22, k=o, v=3\n"
					 "+ id=23, k=n, v=4");

	batch->key = unique_on(road, "k");
	engine_exec(engine, "INSERT INTO t VALUES (30, 'm', 'rival', NULL)");
	/* And two of the same key: the second finds the first. */
	expect_text(done(batch), "moved; id=21 k=n v=2 w=NULL; id=22 k=o v=3 w=NULL; moved");
	history(road, NULL,
		"create id=22 id: NULL -> 22, k: NULL -> o, v: NULL -> 3\n"
		"create id=21 id: NULL -> 21, k: NULL -> n, v: NULL -> 2");
	/* On another key than the one that is named it is a broken constraint, and nothing is written. */
	batch = plan(road, "id=1: v=1\n+ id=1, k=p");
	batch->key = unique_on(road, "k");
	expect_status(AMEND_CONSTRAINT, try_batch(batch), &road->err);
	expect_text(road->err.sqlstate, "23505");
	batch = plan(road, "id=1: v=1\n+ id=24, k=m");
	expect_status(AMEND_CONSTRAINT, try_batch(batch), &road->err);
	engine_expect(engine, "SELECT v FROM t WHERE id = 1", "x");
}

static void one_is_refused(struct engine *engine)
{
	struct road *road = open_with(
		engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer CHECK (n < 10));"
			"INSERT INTO t VALUES (1, 1), (2, 2)");

	expect_status(AMEND_CONSTRAINT, try_batch(plan(road, "id=1: n=3\nid=2: n=12\n+ id=3, n=1")),
		      &road->err);
	expect_text(road->err.sqlstate, "23514");
	expect_status(AMEND_CONSTRAINT, try_batch(plan(road, "id=1: n=3\n+ id=3, n=11")),
		      &road->err);
	engine_expect(engine, "SELECT * FROM t ORDER BY id", "1|1\n2|2");
	history(road, NULL, "");
}

static void the_version_moves(struct engine *engine)
{
	struct road *road = open_with(
		engine, "CREATE TABLE t (id integer PRIMARY KEY, v text, version integer NOT NULL);"
			"INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 7)");

	expect_text(done(plan(road, "id=2: v=x\n+ id=3, v=c\nid=1: v=y\n+ id=4, version=9")),
		    "id=2 v=x version=8; id=3 v=c version=1; id=1 v=y version=2; id=4 v=NULL "
		    "version=9");
	history(road, "id=2", "update id=2 v: b -> x, version: 7 -> 8");
}

/* A key that moves, into the place of one that is deleted in the same call. */
static void the_primary_key_moves(struct engine *engine)
{
	struct road *road = open_t(engine);

	expect_text(done(plan(road, "id=1: id=2\n- id=2\nid=3: v=q\nid=10: id=12, v=r")),
		    "id=2 k=a v=x w=NULL; deleted; id=3 k=c v=q w=w; id=12 k=d v=r w=w");
	engine_expect(engine, "SELECT id, k, v FROM t ORDER BY id", "2|a|x\n3|c|q\n11|e|z\n12|d|r");
	history(road, NULL,
		"update id=12 id: 10 -> 12, v: z -> r\n"
		"update id=3 v: y -> q\n"
		"update id=2 id: 1 -> 2\n"
		"delete id=2 id: 2 -> NULL, k: b -> NULL, v: x -> NULL, w: '' -> NULL");
	history(road, "id=2", "update id=2 id: 1 -> 2");
}

static void keys_of_several_columns(struct engine *engine)
{
	struct road *road = open_with(
		engine, "CREATE TABLE t (a text, v text, b integer, PRIMARY KEY (b, a));"
			"INSERT INTO t VALUES ('x', '1', 1), ('y', '2', 1), ('x', '3', 2)");

	expect_text(done(plan(road, "v=3: v=4\nv=1: v=5\n- v=2\n+ a=z, b=3")),
		    "a=x v=4 b=2; a=x v=5 b=1; deleted; a=z v=NULL b=3");
	engine_expect(engine, "SELECT * FROM t ORDER BY b, a", "x|5|1\nx|4|2\nz|NULL|3");
}

/* Values that nobody gave: what the database gave is known and recorded. */
static void defaults(struct engine *engine)
{
	struct road *road = open_with(
		engine,
		engine_pick(engine,
			    "CREATE TABLE t (id integer PRIMARY KEY, v text DEFAULT 'none', "
			    "n integer DEFAULT 7, g text GENERATED ALWAYS AS (v || '!') STORED)",
			    "CREATE TABLE t (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY "
			    "KEY, v text DEFAULT 'none', n integer DEFAULT 7, g text GENERATED "
			    "ALWAYS AS (v || '!') STORED)"));

	expect_text(done(plan(road, "+ v=a\n+ n=1\n+\n+ v=b, n=2\n+ v=c")),
		    "id=1 v=a n=7 g=a!; id=3 v=none n=1 g=none!; id=4 v=none n=7 g=none!; "
		    "id=5 v=b n=2 g=b!; id=2 v=c n=7 g=c!");
	expect_text(done(plan(road, "id=1: v=x\nid=2: n=4")),
		    "id=1 v=x n=7 g=x!; id=2 v=c n=4 g=c!");
	history(road, "id=1",
		"update id=1 v: a -> x\ncreate id=1 id: NULL -> 1, v: NULL -> a, n: "
		"NULL -> 7");
}

static void no_rows(struct engine *engine)
{
	struct road *road = open_t(engine);

	expect_text(done(plan(road, "")), "");
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_revision",
				  "SELECT count(*) FROM amend.revision"),
		      "0");
}

/* What a later revert needs: who said so, and what it said before. */
static void the_base_before(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct batch *batch = plan(road, "id=1: v=new\nid=2: v=new\n+ id=7\nid=3: v=new");
	struct amend_base base = {.source = "feed", .first_key = "{\"k\":\"a\"}", .pack_size = 4};
	struct amend_value value;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	const struct amend_value old = amend_text("o\0d");

	amend_pack_add(&pack, "v", &old);
	base.pack = pack.data;
	base.pack_size = pack.size;
	for (size_t i = 0; i < 3; i++)
		batch->items[i].source = "feed";
	batch->items[0].seen = &base;
	done(batch);
	engine_expect(engine,
		      engine_pick(engine,
				  "SELECT pk, source, base IS NULL FROM amend_change ORDER BY id",
				  "SELECT pk, source, (base IS NULL)::int FROM amend.change ORDER "
				  "BY id"),
		      "{\"id\":1}|feed|0\n{\"id\":2}|feed|1\n{\"id\":7}|feed|1\n{\"id\":3}|NULL|1");
	expect_ok(
		amend_query(
			road->db,
			engine_sql(engine,
				   engine_pick(engine,
					       "SELECT base FROM amend_change ORDER BY id LIMIT 1",
					       "SELECT base FROM amend.change ORDER BY id LIMIT 1")),
			NULL, 0, &rows, &road->err),
		&road->err);
	assert_true(amend_value_bytes(amend_rows_at(&rows, 0, 0), engine_arena(engine), &value));
	amend_rows_release(&rows);
	base.pack = value.as.blob;
	base.pack_size = value.size;
	assert_true(amend_pack_find(base.pack, base.pack_size, "", &value));
	expect_text(engine_printf(engine, "%.*s", (int)value.size, value.as.text), base.first_key);
	assert_true(amend_pack_find(base.pack, base.pack_size, "v", &value));
	assert_true(amend_value_equal(&value, &old));
	amend_buffer_release(&pack);
}

/* --- Tables with a mind of their own --- */

static void add_trigger(struct engine *engine, const char *name, const char *when, const char *body)
{
	engine_execf(engine,
		     "CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $f$BEGIN %s END$f$",
		     name, body);
	engine_execf(engine, "CREATE TRIGGER %s %s ON t FOR EACH ROW EXECUTE FUNCTION %s()", name,
		     when, name);
}

/* What is stored in the end, also where it is done behind the statement. */
static void triggers_have_a_say(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, k text UNIQUE, v text, n integer)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'a', 'x', 1), (2, 'b', 'x', 2)");
	if (engine_is(engine, "sqlite")) {
		engine_exec(engine,
			    "CREATE TRIGGER i AFTER INSERT ON t BEGIN UPDATE t SET n = 77, v = "
			    "upper(v) WHERE id = NEW.id; END");
		engine_exec(engine,
			    "CREATE TRIGGER u AFTER UPDATE OF v ON t WHEN NEW.v <> upper(NEW.v) "
			    "BEGIN UPDATE t SET n = OLD.n + 10, v = upper(v) WHERE id = NEW.id; "
			    "END");
	} else {
		add_trigger(engine, "before_", "BEFORE INSERT OR UPDATE",
			    "NEW.v := upper(NEW.v); "
			    "RETURN NEW;");
		add_trigger(engine, "after_", "AFTER INSERT OR UPDATE OF v",
			    "IF TG_OP = 'INSERT' THEN UPDATE t SET n = 77 WHERE id = NEW.id; ELSE "
			    "UPDATE t SET n = OLD.n + 10 WHERE id = NEW.id; END IF; RETURN NULL;");
	}
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	expect_text(done(plan(road, "id=1: v=new\n+ id=7, k=g, v=g\nid=2: v=newer")),
		    "id=1 k=a v=NEW n=11; id=7 k=g v=G n=77; id=2 k=b v=NEWER n=12");
	history(road, NULL,
		"update id=2 v: x -> NEWER, n: 2 -> 12\n"
		"create id=7 id: NULL -> 7, k: NULL -> g, v: NULL -> G, n: NULL -> 77\n"
		"update id=1 v: x -> NEW, n: 1 -> 11");
}

/* The key that came back is not the one that was sent, and one of three was there. */
static void a_trigger_changes_the_key(struct engine *engine)
{
	struct road *road;
	struct batch *batch;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, k text UNIQUE, v text)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'B', 'there')");
	add_trigger(engine, "before_", "BEFORE INSERT", "NEW.k := upper(NEW.k); RETURN NEW;");
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	batch = plan(road, "+ id=2, k=a, v=1\n+ id=3, k=b, v=2\n+ id=4, k=A, v=3\n+ id=5, k=c, v=4");
	batch->key = unique_on(road, "k");
	expect_text(done(batch), "id=2 k=A v=1; moved; moved; id=5 k=C v=4");
	batch = plan(road, "+ id=6, k=d, v=1\n+ id=7, k=e, v=2");
	batch->key = unique_on(road, "k");
	expect_text(done(batch), "id=6 k=D v=1; id=7 k=E v=2");
	engine_expect(engine, "SELECT * FROM t ORDER BY id",
		      "1|B|there\n2|A|1\n5|C|4\n6|D|1\n7|E|2");
}

static void a_trigger_refuses(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'a'), (2, 'b')");
	if (engine_is(engine, "sqlite"))
		engine_exec(engine,
			    "CREATE TRIGGER r BEFORE UPDATE ON t WHEN OLD.id = 2 BEGIN SELECT "
			    "RAISE(IGNORE); END");
	else
		add_trigger(engine, "refuse", "BEFORE UPDATE",
			    "IF OLD.id = 2 THEN RETURN NULL; END IF; "
			    "RETURN NEW;");
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	expect_status(AMEND_CONSTRAINT, try_batch(plan(road, "id=1: v=x\nid=2: v=y")), &road->err);
	expect_contains(road->err.text, "trigger");
	engine_expect(engine, "SELECT v FROM t ORDER BY id", "a\nb");
	history(road, NULL, "");
}

static void partitions(struct engine *engine)
{
	struct road *road = open_with(
		engine, "CREATE TABLE t (id integer, part text, v text, PRIMARY KEY (id, part)) "
			"PARTITION BY LIST (part);"
			"CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a');"
			"CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b');"
			"INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'a', 'z')");
	struct batch *batch;

	/* Also from one into the other. */
	expect_text(done(plan(road, "v=x: v=n\nv=y: part=a, v=m\n+ id=4, part=b, v=o\n- v=z")),
		    "id=1 part=a v=n; id=2 part=a v=m; id=4 part=b v=o; deleted");
	engine_expect(engine, "SELECT tableoid::regclass, id, v FROM t ORDER BY id",
		      "t_a|1|n\nt_a|2|m\nt_b|4|o");
	batch = plan(road, "v=n: v=q\nv=m: v=r");
	engine_exec(engine, "UPDATE t SET v = 'rival' WHERE id = 2");
	expect_text(done(batch), "id=1 part=a v=q; moved");
}

/* A table that others inherit from: one name may stand in both. */
static void inherited(struct engine *engine)
{
	struct road *road = open_with(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text);"
					      "CREATE TABLE c () INHERITS (t);"
					      "INSERT INTO t VALUES (1, 'parent');"
					      "INSERT INTO c VALUES (1, 'child')");

	if (amend_has(road->db, AMEND_HAS_ROW_VERSION))
		expect_text(done(plan(road, "v=child: v=new")), "id=1 v=new");
	else
		return;
	engine_expect(engine, "SELECT v FROM ONLY t", "parent");
	engine_expect(engine, "SELECT v FROM c", "new");
}

static void types(struct engine *engine)
{
	struct road *road = open_with(
		engine,
		"CREATE DOMAIN code AS text CHECK (VALUE <> 'bad');"
		"CREATE TYPE mood AS ENUM ('sad', 'happy');"
		"CREATE TYPE pair AS (a integer, b text);"
		"CREATE TABLE t (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, k code UNIQUE, "
		"a integer[], b text[], j json, jb jsonb, m mood, p pair, n numeric(6,2), "
		"c char(4), d bytea, e timestamptz, f double precision, o boolean)");

	expect_text(
		done(plan(road, "+ k=one, a={1,NULL,3}, j={\"x\": \"y\"}, m=happy, n=1.5, c=ab, "
				"d=\\x00ff, f=0.1, o=true\n"
				"+ k=two, a={{1,2},{3,4}}, j=NULL, m=NULL, n=NULL, c=NULL, d=NULL, "
				"f=-Infinity, o=NULL")),
		"id=1 k=one a={1,NULL,3} b=NULL j={\"x\": \"y\"} jb=NULL m=happy p=NULL n=1.50 "
		"c=ab   d=\\x00ff e=NULL f=0.1 o=t; "
		"id=2 k=two a={{1,2},{3,4}} b=NULL j=NULL jb=NULL m=NULL p=NULL n=NULL c=NULL "
		"d=NULL e=NULL f=-Infinity o=NULL");
	expect_text(done(plan(road, "k=two: a={}, b={\"q\\\"u\",\"\\\\\"}, p=(1,\"x y\"), "
				    "jb={\"k\": [1]}\n"
				    "k=one: a=NULL, b={NULL,n}, p=(,), jb=[]")),
		    "id=2 k=two a={} b={\"q\\\"u\",\"\\\\\"} j=NULL jb={\"k\": [1]} m=NULL "
		    "p=(1,\"x y\") n=NULL c=NULL d=NULL e=NULL f=-Infinity o=NULL; "
		    "id=1 k=one a=NULL b={NULL,n} j={\"x\": \"y\"} jb=[] m=happy p=(,) n=1.50 c=ab   "
		    "d=\\x00ff e=NULL f=0.1 o=t");
	engine_expect(engine, "SELECT a[2][1] IS NULL, array_length(b, 1) FROM t ORDER BY id",
		      "t|2\nt|2");
}

static void another_alphabet(struct engine *engine)
{
	struct road *road;
	struct batch *batch;

	engine_exec(engine, "CREATE EXTENSION IF NOT EXISTS citext");
	road = open_with(engine,
			 "CREATE TABLE t (k citext PRIMARY KEY, c text COLLATE \"POSIX\" UNIQUE, "
			 "v text); INSERT INTO t VALUES ('Aa', 'x', '1'), ('Bb', 'y', '2')");
	batch = plan(road, "c=x: v=n\n+ k=BB, c=q, v=3\n+ k=cC, c=z\n+ k=CC, c=w\nc=y: v=m");
	batch->key = unique_on(road, "k");
	expect_text(done(batch), "k=Aa c=x v=n; moved; k=cC c=z v=NULL; moved; k=Bb c=y v=m");
}

/* So many that they are tried at once: one was there, and one is twice among them. */
static void many_creations(struct engine *engine)
{
	enum { ALL = 300 };
	struct road *road = open_t(engine);
	struct amend_arena *arena = engine_arena(engine);
	struct batch batch = {.road = road, .key = unique_on(road, "k"), .n = ALL};

	batch.items = amend_arena_array(arena, ALL, sizeof(*batch.items));
	for (int i = 0; i < ALL; i++) {
		struct amend_put *puts;
		const char *text = engine_printf(engine, "id=%d, k=%s", 100 + i,
						 i == 7   ? "a"
						 : i == 9 ? "k8"
							  : engine_printf(engine, "k%d", i));

		batch.items[i].n_puts = take_puts(road, text, strlen(text), &puts);
		batch.items[i].puts = puts;
	}
	expect_ok(try_batch(&batch), &road->err);
	for (int i = 0; i < ALL; i++) {
		assert_int_equal(batch.items[i].moved, i == 7 || i == 9);
		if (!batch.items[i].moved)
			expect_text(batch.items[i].after.pk,
				    engine_printf(engine, "{\"id\":%d}", 100 + i));
	}
	engine_expect(engine, "SELECT count(*) FROM t WHERE id >= 100", "298");
	/* In the order of the items. */
	engine_expect(
		engine,
		engine_pick3(
			engine,
			"SELECT count(*) FROM amend_change a JOIN amend_change b ON b.id = "
			"a.id + 1 WHERE json_extract(b.pk, '$.id') > json_extract(a.pk, '$.id')",
			"SELECT count(*) FROM amend.change a JOIN amend.change b ON b.id = a.id "
			"+ 1 WHERE (b.pk::json ->> 'id')::int > (a.pk::json ->> 'id')::int",
			"SELECT count(*) FROM amend_change a JOIN amend_change b ON b.id = a.id "
			"+ 1 WHERE json_value(b.pk, '$.id') + 0 > json_value(a.pk, '$.id') + 0"),
		"297");
}

/* What does not go together goes alone: one of them is refused by its own name, and large ones by no limit of a statement's. */
static void creations_that_do_not_go_together(struct engine *engine)
{
	enum { ALL = 40, SIZE = 100 * 1024 };
	struct road *road = open_with(
		engine,
		engine_printf(engine,
			      "CREATE TABLE t (id integer PRIMARY KEY, k varchar(20) UNIQUE, v %s, "
			      "CONSTRAINT low CHECK (id < 1000))",
			      engine_pick3(engine, "text", "text", "longtext")));
	struct batch batch = {.road = road, .key = unique_on(road, "k"), .n = ALL};
	char *large = amend_arena_alloc(engine_arena(engine), SIZE);
	struct amend_put *refused = NULL;

	assert_non_null(large);
	memset(large, 'x', SIZE);
	batch.items = amend_arena_array(engine_arena(engine), ALL, sizeof(*batch.items));
	for (int i = 0; i < ALL; i++) {
		struct amend_put *puts;
		const char *text = engine_printf(engine, "id=%d, k=k%d, v=x", i == 30 ? 1000 : i, i);

		batch.items[i].n_puts = take_puts(road, text, strlen(text), &puts);
		batch.items[i].puts = puts;
		puts[2].value = amend_text_n(large, SIZE);
		refused = i == 30 ? puts : refused;
	}
	expect_status(AMEND_CONSTRAINT, try_batch(&batch), &road->err);
	assert_non_null(strstr(road->err.text, "low"));
	engine_expect(engine, "SELECT count(*) FROM t", "0");
	assert_non_null(refused);
	refused->value = amend_integer(30);
	expect_ok(try_batch(&batch), &road->err);
	engine_expect(engine, "SELECT count(*) FROM t WHERE length(v) = 102400", "40");
}

/* --- Two at once --- */

/* Another writer holds the one that is locked last: nothing is locked across, whoever comes first. */
static void locks_in_order(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct foreign *rival = foreign_open(engine);
	struct batch *batch = plan(road, "id=3: v=n\nid=2: v=n\nid=1: w=n");

	foreign_exec(rival, "BEGIN");
	foreign_exec(rival, "SELECT 1 FROM t WHERE id = 1 FOR UPDATE");
	foreign_start(rival, 500, "UPDATE t SET w = 'r' WHERE id = 3; COMMIT");
	/* It waits for row 1 and holds none of the others meanwhile: rival gets row 3. */
	expect_text(done(batch), "moved; id=2 k=b v=n w=''; id=1 k=a v=x w=n");
	assert_null(foreign_finish(rival));
}

/* Of a plain name, so it is carried by all of them: none may be left out instead. */
static void a_carried_lease_is_lost(struct engine *engine)
{
	const struct amend_lease_name name = {.name = "import"};
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
	struct road *road = open_t(engine), *other = road_open(engine, "t");
	const char *before = engine_rows(engine, "SELECT * FROM t ORDER BY id");
	struct batch *batch = plan(road, "id=1: v=new\n- id=2\n+ id=7, k=q");
	struct amend_lease lease, was;

	expect_ok(amend_lease_acquire(road->db, &name, &options, &lease, &road->err), &road->err);
	expect_ok(amend_use_lease(road->db, lease.token, &road->err), &road->err);
	expect_ok(amend_lease_break(other->db, &name, "test", &was, &other->err), &other->err);
	for (int skips = 0; skips < 2; skips++) {
		for (size_t i = 0; i < batch->n; i++)
			batch->items[i].skip_locked = skips;
		expect_status(AMEND_LOCKED, try_batch(batch), &road->err);
		expect_contains(road->err.text, "the lease is lost");
		engine_expect(engine, "SELECT * FROM t ORDER BY id", before);
		history(road, NULL, "");
	}
	/* Without it they are written. */
	expect_ok(amend_use_lease(road->db, NULL, &road->err), &road->err);
	expect_text(done(batch), "id=1 k=a v=new w=NULL; deleted; id=7 k=q v=NULL w=NULL");
}

static const struct engine_test tests[] = {
	{"updates, creations and deletions, recorded in order", all_kinds_at_once},
	{"what moved since it was read is left out, alone", what_moved_is_left_out},
	{"versions of rows are none once the connection was opened anew",
	 versions_of_another_server},
	{"a rival's creation on the named key", a_rivals_creation},
	{"one that is refused fails them all", one_is_refused},
	{"the version moves", the_version_moves},
	{"the primary key moves", the_primary_key_moves},
	{"keys of several columns", keys_of_several_columns},
	{"defaults, identity and generated columns", defaults},
	{"nothing to write makes no revision", no_rows},
	{"many creations, some of which were there", many_creations},
	{"creations that do not go together go alone", creations_that_do_not_go_together},
	{"triggers have a say in what is stored", triggers_have_a_say, .not_on = "mariadb"},
	{"a trigger changes the key of what is created", a_trigger_changes_the_key,
	 .only = "postgresql"},
	{"a trigger refuses one", a_trigger_refuses, .not_on = "mariadb"},
	{"partitions", partitions, .only = "postgresql"},
	{"a table that others inherit from", inherited, .only = "postgresql"},
	{"types that are no plain ones", types, .only = "postgresql"},
	{"keys that fold case, columns with a collation", another_alphabet, .only = "postgresql"},
	{"rows are locked in the order of their names", locks_in_order, .needs = AMEND_HAS_ROW_LOCK},
	{"the base before is kept with the change", the_base_before},
	{"a lease that they carry is lost: none is written", a_carried_lease_is_lost},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

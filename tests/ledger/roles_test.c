/*
 * An ordinary role of PostgreSQL: refused with what to hand to the
 * administrator, and able to write after that; the token keys stay the owner's.
 */
#include "ask.h"

#include <sys/stat.h>

struct hand_over {
	struct engine *engine;
	int n;
};

static void run_as_owner(void *context, const char *statement)
{
	struct hand_over *hand_over = context;

	hand_over->n++;
	engine_exec(hand_over->engine, statement);
}

static struct road *open_as_role(struct engine *engine, const char **role,
				 const struct amend_open_options *options)
{
	const char *url = engine_url_of_role(engine, role);

	engine_exec(
		engine,
		"CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')");
	engine_execf(engine, "GRANT SELECT, INSERT, UPDATE, DELETE ON t TO %s", *role);
	return road_open_with(engine, url, options, "t");
}

static void denied_with_the_hint(struct engine *engine)
{
	const char *role;
	struct road *road = open_as_role(engine, &role, NULL);

	refused(AMEND_DENIED, road, .keys = "id=1", .set = "v=b");
	expect_contains(road->err.text, "hint:");
	expect_contains(road->err.text, "--print");
	refused(AMEND_DENIED, road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "v=b");
	expect_status(AMEND_DENIED, road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_status(AMEND_DENIED, amend_init(road->db, NULL, &road->err), &road->err);
	expect_contains(road->err.text, "--print");
	engine_expect(engine, "SELECT * FROM t", "1|a");
	/* What needs no ledger is not refused. */
	ok(road, .keys = "id=1", .set = "v=a");
	said(road, "unchanged");
	expect_ok(road_get(road, "id=1"), &road->err);
}

static enum amend_status get_and_write(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;
	const struct amend_field field = {"id", amend_text("1")};
	const struct amend_match key = {&field, 1};

	/* No right to the keys, and the unit goes on all the same. */
	amend_result_release(&road->result);
	expect_ok(amend_get(db, road->table, &key, true, &road->result, err), err);
	assert_null(road->result.token);
	return road_write(road, ask(.keys = "id=1", .set = "v=unit", .want_token = true));
}

static void after_the_script(struct engine *engine)
{
	const char *role;
	struct road *road = open_as_role(engine, &role, NULL);
	struct hand_over hand_over = {engine, 0};
	struct foreign *other = foreign_open(engine);
	static const char *const forbidden[] = {
		"SELECT * FROM amend.token_key",
		"INSERT INTO amend.token_key (created, secret) VALUES (0, '00')",
		"UPDATE amend.change SET fields = '{}'",
		"DELETE FROM amend.change",
		"UPDATE amend.revision SET who = 'somebody else'",
		"DELETE FROM amend.revision",
		"UPDATE amend.meta SET value = '7'",
		"DROP TABLE amend.change",
		"CREATE TABLE amend.mine (a integer)",
		"SELECT setval('amend.change_id_seq', 1)",
	};

	expect_ok(amend_init_script(road->db, run_as_owner, &hand_over, &road->err), &road->err);
	assert_true(hand_over.n > 5);
	ok(road, .keys = "id=1", .set = "v=b", .want_token = true);
	said(road, "updated v: a -> b");
	assert_null(road->result.token);
	expect_contains(road->result.no_token, "no key to sign tokens with");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "v=c");
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	expect_ok(road_atomic(road, get_and_write, road), &road->err);
	history(road, "id=1", "update id=1 v: b -> unit\nupdate id=1 v: a -> b");
	foreign_exec(other, engine_printf(engine, "SET ROLE %s", role));
	for (size_t i = 0; i < COUNT(forbidden); i++) {
		const char *message = foreign_try(other, forbidden[i]);

		if (!message)
			fail_at(__FILE__, __LINE__, "allowed: %s", forbidden[i]);
	}
	/* Asked again it is only about rights. */
	hand_over.n = 0;
	expect_ok(amend_init_script(road->db, run_as_owner, &hand_over, &road->err), &road->err);
	assert_true(hand_over.n > 0);
}

static void installed_by_somebody_else(struct engine *engine)
{
	const char *role;
	struct road *road = open_as_role(engine, &role, NULL), *owner = road_open(engine, "t");
	struct hand_over hand_over = {engine, 0};

	ok(owner, .keys = "id=1", .set = "v=owners");
	refused(AMEND_DENIED, road, .keys = "id=1", .set = "v=b");
	expect_contains(road->err.text, "--print");
	expect_ok(amend_init_script(road->db, run_as_owner, &hand_over, &road->err), &road->err);
	ok(road, .keys = "id=1", .set = "v=b");
	history(owner, "id=1", "update id=1 v: owners -> b\nupdate id=1 v: a -> owners");
}

static void a_key_file_serves_instead(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const char *path = engine_printf(engine, "%s/key", engine->folder), *role, *token;
	struct hand_over hand_over = {engine, 0};
	FILE *file = fopen(path, "w");
	struct road *road;

	assert_non_null(file);
	fputs("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	options.key_file = path;
	road = open_as_role(engine, &role, &options);
	expect_ok(amend_init_script(road->db, run_as_owner, &hand_over, &road->err), &road->err);
	token = road_token(road, "id=1");
	ok(road, .keys = "id=1", .set = "v=b", .token = token);
	refused(AMEND_STALE, road, .keys = "id=1", .set = "v=c", .token = token);
	expect_text(road->result.by, "ada");
}

static void a_token_cannot_be_checked(struct engine *engine)
{
	const char *role, *token;
	struct road *road = open_as_role(engine, &role, NULL), *owner = road_open(engine, "t");
	struct hand_over hand_over = {engine, 0};

	expect_ok(amend_init_script(road->db, run_as_owner, &hand_over, &road->err), &road->err);
	token = road_token(owner, "id=1");
	refused(AMEND_DENIED, road, .keys = "id=1", .set = "v=b", .token = token);
	expect_contains(road->err.text, "--key-file");
	ok(road, .keys = "id=1", .set = "v=b", .originals = "v=a");
}

static void write_each_way(struct road *road, const char *v)
{
	ok(road, .keys = "id=1", .set = engine_printf(road->engine, "v=%s", v));
	ok(road, .keys = "id=1", .set = engine_printf(road->engine, "v=%s again", v));
	ok(road, .keys = "id=1", .set = "n+=1");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "v=c");
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	expect_ok(road_atomic(road, get_and_write, road), &road->err);
}

/* Who may draw the ledger's numbers, and who was given no right to: the same history. */
static void numbers(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role), *first;
	struct hand_over hand_over = {engine, 0};
	struct road *road;

	engine_execf(engine,
		     "CREATE TABLE t (id integer PRIMARY KEY, v text, n integer DEFAULT 0); "
		     "INSERT INTO t VALUES (1, 'a'); GRANT ALL ON t TO %s",
		     role);
	road = road_open_with(engine, url, NULL, "t");
	expect_ok(amend_init_script(road->db, run_as_owner, &hand_over, &road->err), &road->err);
	write_each_way(road, "b");
	first = engine_rows(engine, "SELECT tbl, pk, was, op, fields, c.id - first, c.revision - "
				    "first FROM amend.change c, (SELECT min(id) AS first FROM "
				    "amend.change) f ORDER BY c.id");
	engine_expect(engine, "SELECT count(*), count(DISTINCT revision) FROM amend.change", "6|6");
	engine_execf(engine,
		     "REVOKE ALL ON ALL SEQUENCES IN SCHEMA amend FROM %s; "
		     "UPDATE t SET v = 'a', n = 0; "
		     "TRUNCATE amend.change, amend.revision",
		     role);
	road = road_open_with(engine, url, NULL, "t");
	write_each_way(road, "b");
	engine_expect(engine,
		      "SELECT tbl, pk, was, op, fields, c.id - first, c.revision - first FROM "
		      "amend.change c, (SELECT min(id) AS first FROM amend.change) f ORDER BY c.id",
		      first);
	engine_expect(engine,
		      "SELECT count(*) FROM amend.change c JOIN amend.revision r ON r.id = "
		      "c.revision WHERE c.id = r.id",
		      "6");
}

static const struct engine_test tests[] = {
	{"a role without rights is DENIED, with what to hand to the administrator",
	 denied_with_the_hint, .only = "postgresql"},
	{"after the script it writes, but reads no keys and changes no history", after_the_script,
	 .only = "postgresql"},
	{"who may draw the ledger's numbers and who may not write the same history", numbers,
	 .only = "postgresql"},
	{"a ledger installed by somebody else", installed_by_somebody_else, .only = "postgresql"},
	{"a key file serves a role that may not read the keys", a_key_file_serves_instead,
	 .only = "postgresql"},
	{"a token that cannot be checked is not taken on trust", a_token_cannot_be_checked,
	 .only = "postgresql"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)

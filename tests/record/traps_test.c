/*
 * What is easily got wrong on MariaDB: counted rows, what an error undoes, gaps between keys, any unique key.
 * Leaves what every engine does alike to the other tests; statements that commit to driver/mariadb_test.c.
 */
#include "ask.h"

#include <mariadb/mysql.h>

static struct road *make(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer AUTO_INCREMENT PRIMARY KEY, "
		    "k varchar(20) UNIQUE, name varchar(20) UNIQUE, n integer, note text);"
		    "INSERT INTO t VALUES (1, 'k1', 'ada', 1, 'x'), (2, 'k3', 'ben', 1, 'y'), "
		    "(3, 'k9', 'eve', 1, 'z')");
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

/* --- rows are counted as found, not as changed -------------------------- */

static void counted_as_found(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	struct amend_error err;
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;
	const char *socket = strstr(engine->url, "socket=") + strlen("socket=");
	MYSQL *bare = mysql_init(NULL);

	make(engine);
	assert_int_equal(session_exec(engine, session, "UPDATE t SET n = 1"), 3);
	assert_int_equal(session_exec(engine, session, "UPDATE t SET n = 1 WHERE id = 9"), 0);
	assert_non_null(bare);
	assert_non_null(mysql_real_connect(bare, "localhost", "amend", NULL, NULL, 0, socket, 0));
	expect_status(AMEND_INVALID, engine->driver->adopt(bare, &defaults, &session, &err), &err);
	expect_contains(err.text, "CLIENT_FOUND_ROWS");
	mysql_close(bare);
}

/* --- what an error undoes ----------------------------------------------- */

/* 1205: the statement alone. The rest is there until somebody ends it, and is not committed by accident. */
static void a_limit_undoes_the_statement(struct engine *engine)
{
	static const struct amend_begin begin = {.lock_timeout_ms = 1000};
	struct amend_session *session;
	struct foreign *holder;

	make(engine);
	session = session_open(engine);
	holder = foreign_open(engine);
	foreign_exec(holder, "BEGIN; UPDATE t SET n = 5 WHERE id = 1");
	expect_done(session_begin_with(engine, session, &begin));
	session_exec(engine, session, "UPDATE t SET n = 7 WHERE id = 2");
	expect_error(AMEND_LOCKED, "55P03",
		     session_try(engine, session, "UPDATE t SET n = 7 ORDER BY id DESC"));
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	session_expect(engine, session, "SELECT n FROM t ORDER BY id", "1\n7\n1");
	session_rollback(engine, session);
	foreign_exec(holder, "ROLLBACK");
	engine_expect(engine, "SELECT n FROM t", "1\n1\n1");
}

struct crossing {
	struct foreign *rival;
	int runs;
};

static enum amend_status write_1_then_2(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	struct crossing *crossing = context;
	enum amend_status status = amend_query(db, "UPDATE t SET n = n + 1 WHERE id = 1", NULL, 0,
					       NULL, err);

	if (status == AMEND_OK && crossing->runs == 1) {
		foreign_start(crossing->rival, 0, "UPDATE t SET n = n + 100 WHERE id = 1");
		foreign_wait_blocked(crossing->rival);
	}
	return status == AMEND_OK
		       ? amend_query(db, "UPDATE t SET n = n + 1 WHERE id = 2", NULL, 0, NULL, err)
		       : status;
}

/* Who goes on after the nested unit has failed would commit its statements one by one. */
static enum amend_status nested(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct crossing *crossing = context;
	struct amend_error ignored;
	enum amend_status status;

	if (crossing->runs++ > 0) {
		expect_text(foreign_finish(crossing->rival), NULL);
		foreign_exec(crossing->rival, "COMMIT");
	}
	status = amend_query(db, "UPDATE t SET n = n + 10 WHERE id = 3", NULL, 0, NULL, err);
	if (status == AMEND_OK)
		status = amend_atomic(db, NULL, write_1_then_2, crossing, err);
	if (status == AMEND_RETRY)
		(void)!amend_query(db, "UPDATE t SET n = 999", NULL, 0, NULL, &ignored);
	return status;
}

/* 1213: all of it, savepoints too. */
static void a_deadlock_undoes_all(struct engine *engine)
{
	struct crossing crossing = {.runs = 0};
	struct road *road = make(engine);

	engine_exec(engine, "CREATE TABLE many (n integer)");
	crossing.rival = foreign_open(engine);
	foreign_exec(crossing.rival, "BEGIN; INSERT INTO many VALUES (1), (2), (3), (4), (5), (6);"
				     "UPDATE t SET n = n + 100 WHERE id = 2");
	expect_ok(road_atomic(road, nested, &crossing), &road->err);
	assert_int_equal(crossing.runs, 2);
	engine_expect(engine, "SELECT n FROM t ORDER BY id", "102\n102\n11");
}

/* --- what is locked ----------------------------------------------------- */

struct neighbour {
	struct road *road;
	const struct asked *asked;
	const char *others; /* what others do meanwhile */
};

static enum amend_status write_beside(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct neighbour *neighbour = context;
	enum amend_status status = road_write(neighbour->road, neighbour->asked);

	(void)db;
	if (status == AMEND_OK)
		engine_exec(neighbour->road->engine, neighbour->others);
	*err = neighbour->road->err;
	return status;
}

/* Neither a key that was looked for, nor all that was looked through: others write beside it, as long as it is open. */
static void neighbours_stay_free(struct engine *engine)
{
	struct road *road = make(engine);
	struct neighbour cases[] = {
		{road, ask(AMEND_UPDATE_OR_CREATE, .keys = "k=k5", .set = "n=2"),
		 "INSERT INTO t (k) VALUES ('k4'), ('k6')"},
		{road, ask(AMEND_GET_OR_CREATE, .keys = "k=k7", .set = "n=2"),
		 "UPDATE t SET n = 3 WHERE k = 'k9'"},
		/* Of no index: all of them are read. */
		{road, ask(.keys = "note=x", .set = "n=4", .wait = AMEND_NOWAIT),
		 "UPDATE t SET n = 4 WHERE k = 'k9'"},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		expect_ok(road_atomic(road, write_beside, &cases[i]), &road->err);
	engine_expect(engine, "SELECT k, n FROM t ORDER BY k",
		      "k1|4\nk3|1\nk4|NULL\nk5|2\nk6|NULL\nk7|2\nk9|4");
}

/* --- a record is found by its key, not by any that clashes -------------- */

static void another_unique_key(struct engine *engine)
{
	struct road *road = make(engine);

	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "k=new",
		.set = "name=ada, n=9");
	refused(AMEND_CONSTRAINT, road, AMEND_GET_OR_CREATE, .keys = "k=new", .set = "name=ada");
	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "k=k3", .set = "name=ada");
	engine_expect(engine, "SELECT k, name, n FROM t ORDER BY id",
		      "k1|ada|1\nk3|ben|1\nk9|eve|1");
	engine_expect(engine, "SELECT count(*) FROM amend_change", "0");
}

/* --- reading alone ------------------------------------------------------ */

static enum amend_status get_by_each(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	expect_ok(road_get(road, "e=a"), &road->err);
	expect_ok(road_get(road, "u=00000000-0000-0000-0000-00000000000A"), &road->err);
	expect_ok(road_get(road, "d=1:02:03.50"), &road->err);
	expect_status(AMEND_NOT_FOUND, road_get(road, "e=b"), &road->err);
	return AMEND_OK;
}

/* What form a value has in its column is asked of the server, also where nothing may be written. */
static void keys_of_a_reader(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, e enum('a', 'b') UNIQUE, u uuid "
		    "UNIQUE, d time(2) UNIQUE); INSERT INTO t VALUES (1, 'a', "
		    "'00000000-0000-0000-0000-00000000000a', '01:02:03.5')");
	options.read_only = true;
	road = road_open_with(engine, engine->url, &options, "t");
	expect_ok(get_by_each(road->db, road, &road->err), &road->err);
	expect_ok(road_atomic(road, get_by_each, road), &road->err);
}

static const struct engine_test tests[] = {
	{"rows are counted as found, also where nothing differs", counted_as_found,
	 .only = "mariadb"},
	{"a limit on waiting undoes the statement, and ROLLBACK the rest",
	 a_limit_undoes_the_statement, .only = "mariadb"},
	{"a deadlock undoes all, and the whole unit is run again, not its savepoint",
	 a_deadlock_undoes_all, .only = "mariadb"},
	{"a key that is not there, or no index: neighbours stay free", neighbours_stay_free,
	 .only = "mariadb"},
	{"keys of any type, on a connection that may only read", keys_of_a_reader,
	 .only = "mariadb"},
	{"another record's unique value is CONSTRAINT, not that record", another_unique_key,
	 .only = "mariadb"},
};

ENGINE_MAIN(tests)

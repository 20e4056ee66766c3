/*
 * What is MariaDB's own: statements that commit, procedures, settings of adopted connections, fork, sizes.
 * Leaves what every engine promises to the other tests beside it.
 */
#include "engines.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <amend/unit.h>

#include "sql/conn.h"
#include "proxy.h"
#include "sql/driver/mariadb.h"

/* --- what a statement does ---------------------------------------------- */

static void words(struct engine *engine)
{
	static const struct {
		const char *sql;
		enum amend_mariadb_kind kind;
	} cases[] = {
		{"SELECT 1", AMEND_MA_READS},
		{" \n(select 1)", AMEND_MA_READS},
		{"/* a */ -- b\n# c\n SELECT 1", AMEND_MA_READS},
		{"/* SELECT */ DELETE FROM t", AMEND_MA_COUNTS},
		{"-- SELECT 1\nINSERT INTO t VALUES (1)", AMEND_MA_COUNTS},
		{"/*! SELECT */ DELETE FROM t", AMEND_MA_COMMITS},
		{"/*M!100100 DROP */ TABLE t", AMEND_MA_COMMITS},
		{"CREATE /*!50000 TEMPORARY */ TABLE t (a int)", AMEND_MA_COMMITS},
		{"WITH a AS (SELECT 1) SELECT * FROM a", AMEND_MA_READS},
		{"WITH a (x) AS (SELECT 'update' AS \"delete\"), b AS (SELECT 1) DELETE FROM t",
		 AMEND_MA_COUNTS},
		{"WITH a AS (SELECT ')') UPDATE t SET a = 1", AMEND_MA_COUNTS},
		{"WITH a AS (SELECT 1) /*! DELETE */ FROM t", AMEND_MA_CHANGES},
		{"WITH a AS (SELECT 'it', 'unended", AMEND_MA_CHANGES},
		{"REPLACE INTO t VALUES (1)", AMEND_MA_COUNTS},
		{"SET @a = 1", AMEND_MA_READS},
		{"SET @@session.`AutoCommit` = 1", AMEND_MA_COMMITS},
		{"SET PASSWORD = 'x'", AMEND_MA_COMMITS},
		{"SET STATEMENT max_statement_time = 1 FOR SELECT 1", AMEND_MA_READS},
		{"SET STATEMENT max_statement_time = 1 FOR DROP TABLE t", AMEND_MA_COMMITS},
		{"CREATE TEMPORARY TABLE t (a int)", AMEND_MA_CHANGES},
		{"CREATE OR REPLACE TEMPORARY TABLE t (a int)", AMEND_MA_CHANGES},
		{"CREATE OR REPLACE TABLE t (a int)", AMEND_MA_COMMITS},
		{"DROP TEMPORARY TABLE t", AMEND_MA_CHANGES},
		{"DROP TABLE t", AMEND_MA_COMMITS},
		{"ANALYZE TABLE t", AMEND_MA_COMMITS},
		{"ANALYZE FORMAT=JSON DELETE FROM t", AMEND_MA_CHANGES},
		{"LOAD DATA INFILE 'x' INTO TABLE t", AMEND_MA_CHANGES},
		{"LOAD INDEX INTO CACHE t", AMEND_MA_COMMITS},
		{"CALL p()", AMEND_MA_CALLS},
		{"DO sleep(1)", AMEND_MA_CHANGES},
		{"ROLLBACK TO SAVEPOINT s", AMEND_MA_READS},
		{"ROLLBACK WORK TO s", AMEND_MA_READS},
		{"ROLLBACK", AMEND_MA_COMMITS},
		{"TRUNCATE t", AMEND_MA_COMMITS},
		{"SELECTED", AMEND_MA_COMMITS},
		{"", AMEND_MA_COMMITS},
	};

	(void)engine;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (amend_mariadb_kind(cases[i].sql) != cases[i].kind)
			fail_msg("%s: expected %d, found %d", cases[i].sql, (int)cases[i].kind,
				 (int)amend_mariadb_kind(cases[i].sql));
	}
}

static void alters(struct engine *engine)
{
	static const struct {
		const char *sql;
		enum amend_alters alters;
	} cases[] = {
		{"SELECT 1", AMEND_ALTERS_NOTHING},
		{"UPDATE t SET a = 1", AMEND_ALTERS_NOTHING},
		{"CREATE TABLE t (a int)", AMEND_ALTERS_NOTHING},
		{"SET STATEMENT max_statement_time = 1 FOR SELECT 1", AMEND_ALTERS_NOTHING},
		{"SELECT a INTO OUTFILE 'x' FROM t", AMEND_ALTERS_NOTHING},
		{"SELECT budget_lock FROM t", AMEND_ALTERS_NOTHING},
		{"SELECT target_locked (1)", AMEND_ALTERS_NOTHING},
		{"SELECT get_lock FROM t WHERE get_lock = 1", AMEND_ALTERS_NOTHING},
		{"SELECT 'get_lock(''a'', 1)'", AMEND_ALTERS_NOTHING},
		{"INSERT INTO t VALUES ('a := 1')", AMEND_ALTERS_NOTHING},
		{"UPDATE t SET a = 'it''s :=', b = 'c:\\'", AMEND_ALTERS_NOTHING},
		{"SELECT 1 -- @a := 1\n, 2 /* INTO @a */ # get_lock(1)", AMEND_ALTERS_NOTHING},
		{"CREATE TABLE c (temporary_until date)", AMEND_ALTERS_NOTHING},
		{"CREATE TABLE c (temporary date)", AMEND_ALTERS_NOTHING},
		{"CREATE OR REPLACE TABLE temporary_x (a int)", AMEND_ALTERS_NOTHING},
		{"DROP TABLE temporary_x", AMEND_ALTERS_NOTHING},
		{"CREATE /*!32312 TABLE */ t (a int)", AMEND_ALTERS_NOTHING},
		{"set @a = 1", AMEND_ALTERS_SESSION},
		{"/* a */ SET ROLE r", AMEND_ALTERS_SESSION},
		{"SET STATEMENT max_statement_time = 1 FOR DO 1", AMEND_ALTERS_SESSION},
		{"CREATE OR REPLACE TEMPORARY TABLE t (a int)", AMEND_ALTERS_SESSION},
		{"CREATE TEMPORARY TABLE t (a int)", AMEND_ALTERS_SESSION},
		{"create /* a */\n temporary table t (a int)", AMEND_ALTERS_SESSION},
		{"CREATE /*!32312 TEMPORARY */ TABLE t (a int)", AMEND_ALTERS_SESSION},
		{"DROP TEMPORARY TABLE t", AMEND_ALTERS_SESSION},
		{"SELECT @a := 1", AMEND_ALTERS_SESSION},
		{"SET @x := 1", AMEND_ALTERS_SESSION},
		{"SELECT 'c:\\', @a := 1, ''", AMEND_ALTERS_SESSION},
		{"SELECT (SELECT max(@a:=b) FROM t)", AMEND_ALTERS_SESSION},
		{"SELECT /*!50000 @a := */ 1", AMEND_ALTERS_SESSION},
		{"SELECT /*!40001 SQL_NO_CACHE */ 1 INTO @a", AMEND_ALTERS_SESSION},
		{"SELECT GET_LOCK /* a */ ('a', 1)", AMEND_ALTERS_SESSION},
		{"SELECT 1+`get_lock`('a', 1)", AMEND_ALTERS_SESSION},
		{"SELECT /*M!100000get_lock('a', 1) */", AMEND_ALTERS_SESSION},
		{"INSERT INTO t SELECT get_lock('a', 1)", AMEND_ALTERS_SESSION},
		{"SELECT get_lock('a', 1)", AMEND_ALTERS_SESSION},
		{"SELECT 1 INTO @a", AMEND_ALTERS_SESSION},
		{"CALL p()", AMEND_ALTERS_SESSION},
		{"LOCK TABLES t READ", AMEND_ALTERS_SESSION},
		{"USE other", AMEND_ALTERS_DATABASE},
		{"EXECUTE IMMEDIATE 'USE other'", AMEND_ALTERS_DATABASE},
		{"/*! USE other */", AMEND_ALTERS_DATABASE},
	};

	(void)engine;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (amend_mariadb_alters(cases[i].sql) != cases[i].alters)
			fail_msg("%s: expected %d, found %d", cases[i].sql, (int)cases[i].alters,
				 (int)amend_mariadb_alters(cases[i].sql));
	}
}

/* --- what commits by itself --------------------------------------------- */

static void ddl_in_a_transaction(struct engine *engine)
{
	static const char *const commits[] = {
		"CREATE TABLE u (a integer)",
		"/* a note */ CREATE TABLE u (a integer)",
		"/*! CREATE TABLE u (a integer) */",
		"-- a note\nALTER TABLE t ADD COLUMN b integer",
		"DROP TABLE t",
		"TRUNCATE TABLE t",
		"RENAME TABLE t TO u",
		"CREATE INDEX i ON t (a)",
		"CREATE VIEW v AS SELECT 1",
		"ANALYZE TABLE t",
		"SET autocommit = 1",
		"SET STATEMENT max_statement_time = 9 FOR DROP TABLE t",
		"COMMIT",
		"ROLLBACK",
	};
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	for (size_t i = 0; i < COUNT(commits); i++) {
		session_begin(engine, session);
		session_exec(engine, session, "INSERT INTO t VALUES (1)");
		expect_error(AMEND_INVALID, "25001", session_try(engine, session, commits[i]));
		session_expect_state(engine, session, AMEND_TX_ACTIVE);
		session_rollback(engine, session);
		engine_expect(engine, "SELECT * FROM t", "");
	}
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	session_exec(engine, session, "CREATE TEMPORARY TABLE s (a integer)");
	session_exec(engine, session, "INSERT INTO s VALUES (2)");
	session_exec(engine, session, "DROP TEMPORARY TABLE s");
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	session_rollback(engine, session);
	engine_expect(engine, "SELECT * FROM t", "");
	session_exec(engine, session, "CREATE INDEX i ON t (a)"); /* outside of one */
}

static void make_procedures(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (a integer)");
	engine_exec(engine, "CREATE PROCEDURE ends() COMMIT");
	engine_exec(engine, "CREATE PROCEDURE undoes() ROLLBACK");
	engine_exec(engine, "CREATE PROCEDURE adds() INSERT INTO t VALUES (7)");
	engine_exec(engine, "CREATE PROCEDURE shows() SELECT a FROM t");
}

/* Its body has semicolons, of which the test's own client knows nothing. */
static void make_long_procedures(struct engine *engine, struct amend_session *session)
{
	(void)engine;
	session_exec(engine, session,
		     "CREATE PROCEDURE begins_anew() BEGIN COMMIT; START TRANSACTION; "
		     "INSERT INTO t VALUES (8); END");
	session_exec(engine, session,
		     "CREATE PROCEDURE fails_undone() BEGIN ROLLBACK; SIGNAL SQLSTATE '45000' SET "
		     "MESSAGE_TEXT = 'no'; END");
	session_exec(engine, session,
		     "CREATE PROCEDURE shows_twice() BEGIN SELECT a FROM t; SELECT 2; END");
}

static void procedures(struct engine *engine)
{
	static const char *const ends[] = {"CALL ends()", "CALL undoes()", "CALL begins_anew()",
					   "/* note */ CALL ends()"};
	struct amend_session *session = session_open(engine);

	make_procedures(engine);
	make_long_procedures(engine, session);
	for (size_t i = 0; i < COUNT(ends); i++) {
		session_begin(engine, session);
		session_exec(engine, session, "INSERT INTO t VALUES (1)");
		expect_error(AMEND_INVALID, "25000", session_try(engine, session, ends[i]));
		if (strstr(ends[i], "anew") == NULL)
			expect_error(AMEND_INVALID, "25000",
				     session_try(engine, session, "INSERT INTO t VALUES (2)"));
		session_rollback(engine, session);
		engine_expect(engine, "SELECT count(*) FROM t WHERE a > 1", "0");
	}
	session_exec(engine, session, "DELETE FROM t");
	session_begin(engine, session);
	session_exec(engine, session, "CALL adds()");
	session_expect(engine, session, "CALL shows()", "7");
	session_expect(engine, session, "CALL shows_twice()", "7");
	session_expect(engine, session, "SELECT count(*) FROM t", "1");
	expect_done(session_commit(engine, session));
	session_exec(engine, session, "CALL adds()");
	engine_expect(engine, "SELECT count(*) FROM t", "2");
}

static enum amend_status go_on_regardless(struct amend_conn *db, void *context,
					  struct amend_error *err)
{
	struct amend_error ignored;

	(void)!amend_query(db, "INSERT INTO t VALUES (1)", NULL, 0, NULL, &ignored);
	(void)!amend_query(db, context, NULL, 0, NULL, &ignored);
	if (amend_query(db, "INSERT INTO t VALUES (2)", NULL, 0, NULL, err) == AMEND_OK)
		fail_msg("a statement ran on a transaction that had ended");
	return AMEND_OK;
}

/* What it has committed is in, and nothing comes behind it. */
static void unit_is_dead(struct engine *engine)
{
	char call[] = "CALL ends()", failing[] = "CALL fails_undone()", ddl[] = "DROP TABLE t";
	struct amend_conn *db = connect_open(engine);
	struct amend_error err;

	make_procedures(engine);
	make_long_procedures(engine, session_open(engine));
	expect_status(AMEND_INVALID, amend_atomic(db, NULL, go_on_regardless, call, &err), &err);
	engine_expect(engine, "SELECT * FROM t", "1");
	engine_exec(engine, "DELETE FROM t");
	expect_status(AMEND_CONSTRAINT, amend_atomic(db, NULL, go_on_regardless, failing, &err),
		      &err);
	engine_expect(engine, "SELECT * FROM t", "");
	expect_status(AMEND_INVALID, amend_atomic(db, NULL, go_on_regardless, ddl, &err), &err);
	engine_expect(engine, "SELECT * FROM t", "");
	connect_exec(engine, db, "INSERT INTO t VALUES (3)"); /* and the connection is well */
	engine_expect(engine, "SELECT * FROM t", "3");
}

/* As a server does that is set up to undo all where a lock was not to be had. */
static void borrowed_transaction_undone(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct amend_error err;

	make_procedures(engine);
	make_long_procedures(engine, session_open(engine));
	foreign_exec(application, "BEGIN; INSERT INTO t VALUES (1)");
	expect_status(AMEND_RETRY, amend_query(db, "CALL fails_undone()", NULL, 0, NULL, &err),
		      &err);
	expect_contains(err.text, "the server has ended the whole transaction");
	engine_expect(engine, "SELECT * FROM t", "");
	foreign_exec(application, "BEGIN; INSERT INTO t VALUES (1)");
	expect_status(AMEND_INVALID, amend_query(db, "CREATE TABLE u (a int)", NULL, 0, NULL, &err),
		      &err);
	foreign_exec(application, "ROLLBACK");
	engine_expect(engine, "SELECT * FROM t", "");
}

/* --- what is lost ------------------------------------------------------- */

static void change_behind_a_comment(struct engine *engine)
{
	static const char *const changes[] = {
		"/* a note */ INSERT INTO t SELECT 1 FROM (SELECT sleep(5)) s",
		"# a note\nDELETE FROM t WHERE a = sleep(5)", "DO sleep(5)"};

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (3)");
	for (size_t i = 0; i <= COUNT(changes); i++) {
		struct amend_session *session = session_open(engine);
		struct foreign *killer = foreign_open(engine);

		foreign_start(
			killer, 1500,
			engine_printf(engine, "KILL %s",
				      session_rows(engine, session, "SELECT connection_id()")));
		if (i < COUNT(changes))
			expect_error(AMEND_OUTCOME_UNKNOWN, "08007",
				     session_try(engine, session, changes[i]));
		else
			expect_error(AMEND_UNREACHABLE, "08006",
				     session_try(engine, session, "/* a note */ SELECT sleep(5)"));
		expect_text(foreign_finish(killer), NULL);
		session_close(engine, session);
	}
}

/* --- adopted ------------------------------------------------------------ */

static void pin(struct engine *engine, struct amend_session *session)
{
	struct amend_error err;

	expect_ok(engine->driver->pin(session, &err), &err);
}

static void unpin(struct engine *engine, struct amend_session *session)
{
	struct amend_error err;

	expect_ok(engine->driver->unpin(session, &err), &err);
}

/* The server looks anew only when nobody has asked for a tenth of a second. */
static const char level[] = "SELECT trx_isolation_level FROM information_schema.innodb_trx "
			    "WHERE trx_mysql_thread_id = connection_id()";

static const char *level_of(struct foreign *application)
{
	sleep_ms(150);
	return foreign_rows(application, level);
}

/* Their transaction begins with the first statement that reads or writes, here ours, and at their level. */
static void autocommit_off(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	foreign_exec(application, "SET tx_isolation = 'REPEATABLE-READ', autocommit = 0");
	session = session_adopt(engine, application);
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	pin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	unpin(engine, session);
	expect_text(level_of(application), "REPEATABLE READ");
	foreign_exec(application, "ROLLBACK");
	engine_expect(engine, "SELECT * FROM t", "");
	foreign_exec(application, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
	pin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	unpin(engine, session);
	expect_text(level_of(application), "SERIALIZABLE");
	foreign_exec(application, "ROLLBACK");
}

/* With autocommit it is the next statement's, as the server has it: amend's, which is READ COMMITTED all the same. */
static void next_transactions_level(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_adopt(engine, application);
	foreign_exec(application, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
	pin(engine, session);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	sleep_ms(150);
	session_expect(engine, session, level, "READ COMMITTED");
	expect_done(session_commit(engine, session));
	unpin(engine, session);
}

static void dirty_reads_are_refused(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;
	struct amend_error err;

	foreign_exec(application, "SET tx_isolation = 'READ-UNCOMMITTED'; BEGIN");
	session = session_adopt(engine, application);
	expect_status(AMEND_UNSUPPORTED, engine->driver->pin(session, &err), &err);
	expect_contains(err.text, "what may be undone decides nothing");
	foreign_exec(application, "COMMIT");
	pin(engine, session);
	unpin(engine, session);
	expect_text(foreign_rows(application, "SELECT @@tx_isolation"), "READ-UNCOMMITTED");
}

/* Neither a chain of transactions nor a connection that ends with each of them. */
static void completion_type(struct engine *engine)
{
	static const char *const types[] = {"CHAIN", "RELEASE"};
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_adopt(engine, application);
	for (size_t i = 0; i < COUNT(types); i++) {
		foreign_exec(application,
			     engine_printf(engine, "SET completion_type = '%s'", types[i]));
		pin(engine, session);
		session_begin(engine, session);
		session_exec(engine, session, "INSERT INTO t VALUES (1)");
		expect_done(session_commit(engine, session));
		session_expect_state(engine, session, AMEND_TX_IDLE);
		unpin(engine, session);
		expect_text(foreign_rows(application, "SELECT @@completion_type"), types[i]);
	}
	engine_expect(engine, "SELECT count(*) FROM t", "2");
}

static void last_insert_id(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (id integer AUTO_INCREMENT PRIMARY KEY, a integer);"
			    "CREATE TABLE u (id integer AUTO_INCREMENT PRIMARY KEY);"
			    "INSERT INTO t VALUES (41, 1)");
	session = session_adopt(engine, application);
	foreign_exec(application, "INSERT INTO t (a) VALUES (1)");
	pin(engine, session);
	session_exec(engine, session, "INSERT INTO u VALUES ()");
	unpin(engine, session);
	assert_int_equal(mysql_insert_id(foreign_handle(application)), 42);
	expect_text(foreign_rows(application, "SELECT last_insert_id()"), "42");
}

/* The n-th text that is sent from now on is not understood; 0: none. */
static unsigned spoil;

int __real_mysql_real_query(MYSQL *conn, const char *sql, unsigned long size);
int __wrap_mysql_real_query(MYSQL *conn, const char *sql, unsigned long size);

int __wrap_mysql_real_query(MYSQL *conn, const char *sql, unsigned long size)
{
	if (spoil > 0 && --spoil == 0)
		return __real_mysql_real_query(conn, "SPOILT", 6);
	return __real_mysql_real_query(conn, sql, size);
}

static const char settings[] =
	"SELECT concat_ws(' ', @@sql_mode, @@tx_isolation, @@time_zone, @@innodb_lock_wait_timeout, "
	"@@sql_select_limit, @@innodb_snapshot_isolation, @@lc_messages)";

/* Whichever of its steps fails, the application has its settings: then, or with the next call that is made. */
static void pin_fails_half_way(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	const char *before;
	unsigned failures = 0;

	foreign_exec(application, "SET sql_mode = '', tx_isolation = 'REPEATABLE-READ', time_zone = "
				  "'+09:00', innodb_lock_wait_timeout = 7, sql_select_limit = 5, "
				  "lc_messages = 'de_DE'");
	before = foreign_rows(application, settings);
	for (unsigned nth = 1; nth <= 6; nth++) {
		struct amend_session *session = session_adopt(engine, application);
		struct amend_error err;
		enum amend_status status;

		spoil = nth;
		status = engine->driver->pin(session, &err);
		if (status != AMEND_OK)
			failures++;
		else if (engine->driver->unpin(session, &err) != AMEND_OK)
			unpin(engine, session);
		spoil = 0;
		expect_text(foreign_rows(application, settings), before);
		session_close(engine, session);
	}
	assert_true(failures >= 3);
}

static void keys_that_are_not_enforced(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session = session_adopt(engine, application);

	pin(engine, session);
	assert_true(engine->driver->enforces_keys(session));
	unpin(engine, session);
	foreign_exec(application, "SET foreign_key_checks = 0");
	pin(engine, session);
	assert_false(engine->driver->enforces_keys(session));
	unpin(engine, session);
}

/* --- fork --------------------------------------------------------------- */

static void use_in_a_child(struct engine *engine, struct amend_session *opened,
			   struct amend_session *adopted)
{
	struct amend_error err;
	const struct amend_statement statement = {.sql = "SELECT 1"};
	size_t failed;

	if (engine->driver->run(opened, &statement, 1, NULL, &failed, &err) != AMEND_INVALID ||
	    engine->driver->rollback(opened, &err) != AMEND_INVALID)
		_exit(1);
	engine->driver->close(opened);
	engine->driver->close(adopted);
	_exit(0);
}

static void closed_in_a_child(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *opened, *adopted = session_adopt(engine, application);
	int status = -1;
	pid_t child;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	opened = session_open(engine);
	session_begin(engine, opened);
	session_exec(engine, opened, "INSERT INTO t VALUES (1)");
	session_expect(engine, opened, "SELECT count(*) FROM t", "1"); /* prepared */
	pin(engine, adopted);
	session_expect(engine, adopted, "SELECT 2", "2");
	child = fork();
	if (child == 0)
		use_in_a_child(engine, opened, adopted);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	session_expect(engine, opened, "SELECT count(*) FROM t", "1");
	session_expect(engine, adopted, "SELECT 2", "2");
	unpin(engine, adopted);
	expect_done(session_commit(engine, opened));
	engine_expect(engine, "SELECT count(*) FROM t", "1");
}

/* --- interrupting ------------------------------------------------------- */

static void *interrupt_soon(void *session)
{
	sleep_ms(100);
	amend_mariadb_interrupt(session);
	return NULL;
}

/* As if the name of the host led to another one now. */
static void not_the_same_server(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	int64_t begun = now_ms();
	pthread_t thread;

	expect_contains(session->server, "/");
	snprintf(session->server, sizeof(session->server), "another");
	assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, session), 0);
	expect_done(session_try(engine, session, "DO sleep(0.6)"));
	pthread_join(thread, NULL);
	assert_in_range(now_ms() - begun, 550, 10000);
}

/* --- sizes and limits --------------------------------------------------- */

static void too_large(struct engine *engine)
{
	struct amend_session *session;
	struct amend_value value;
	char *bytes;

	engine_exec(engine, "CREATE TABLE t (a longblob)");
	session = session_open(engine);
	bytes = calloc(1, session->most);
	assert_non_null(bytes);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES ('x')");
	value = amend_blob(bytes, session->most);
	expect_error(AMEND_INVALID, "54000",
		     session_with(engine, session, "INSERT INTO t VALUES (?1)", &value, 1));
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	expect_done(session_commit(engine, session));
	engine_expect(engine, "SELECT a FROM t", "x");
	free(bytes);
}

/* A user who may run so many statements an hour: the connection is there, and what it has begun is undone. */
static void user_limit(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session = NULL;
	struct amend_error err;
	const char *role, *url = engine_url_of_role(engine, &role);
	enum amend_status status = AMEND_OK;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	engine_execf(engine,
		     "GRANT ALL ON t TO %s@localhost;"
		     "GRANT USAGE ON *.* TO %s@localhost WITH MAX_QUERIES_PER_HOUR 20",
		     role, role);
	expect_ok(engine->driver->open(url, &options, &session, &err), &err);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	for (int s = 20; s < 50 && status == AMEND_OK; s++)
		status = engine->driver->set_lock_timeout(session, s * 1000, &err);
	expect_status(AMEND_DENIED, status, &err);
	expect_text(err.sqlstate, "53300");
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	expect_error(AMEND_DENIED, "53300", session_commit(engine, session));
	if (engine->driver->rollback(session, &err) == AMEND_OK)
		fail_msg("expected that ROLLBACK is refused as well");
	session_expect_state(engine, session, AMEND_TX_LOST);
	for (int i = 0; i < 100 && strcmp(engine_scalar(engine, "SELECT count(*) FROM "
								"information_schema.innodb_trx"),
					  "0") != 0;
	     i++)
		sleep_ms(20);
	engine_exec(engine, "SET lock_wait_timeout = 5; ALTER TABLE t ADD COLUMN b integer");
	engine_expect(engine, "SELECT * FROM t", "");
	engine->driver->close(session);
}

static enum amend_status repeat_it(struct amend_conn *db, void *context, struct amend_error *err)
{
	return amend_repeat(db, context, err);
}

/* What goes as arrays goes one by one where they are not known, and says as much. */
static void no_arrays_on_the_way(struct engine *engine)
{
	enum { MANY = 20 };
	struct proxy *proxy = proxy_open(engine);
	struct amend_value values[MANY];
	int64_t changes[MANY] = {0};
	struct amend_repeat repeat = {.sql = "UPDATE t SET n = 1 WHERE id = ?",
				      .n_values = 1,
				      .values = values,
				      .n = MANY,
				      .changes = changes};
	struct amend_conn *db;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer);"
			    "INSERT INTO t SELECT seq, 0 FROM seq_1_to_19");
	proxy_hide_arrays(proxy);
	expect_ok(amend_open(proxy_url(proxy), NULL, &db, &err), &err);
	for (int i = 0; i < MANY; i++)
		values[i] = amend_integer(i + 1);
	expect_ok(amend_atomic(db, NULL, repeat_it, &repeat, &err), &err);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(changes[i], i < MANY - 1);
	engine_expect(engine, "SELECT sum(n) FROM t", "19");
	/* Beyond what would have gone as arrays: proof that none has. */
	assert_true(proxy_messages(proxy, PROXY_CLIENT) > MANY);
	amend_close(db);
	proxy_settle(proxy);
}

static const struct engine_test tests[] = {
	{"what a statement does is told by its words, not by its first bytes", words,
	 .only = "mariadb"},
	{"what a statement leaves in its session", alters, .only = "mariadb"},
	{"what commits by itself is refused inside a transaction: INVALID 25001",
	 ddl_in_a_transaction, .only = "mariadb"},
	{"a procedure that ends the transaction is found out", procedures, .only = "mariadb"},
	{"no statement runs in a unit whose transaction has ended", unit_is_dead, .only = "mariadb"},
	{"the application is told that the server has undone its transaction: RETRY",
	 borrowed_transaction_undone, .only = "mariadb"},
	{"a lost change is OUTCOME_UNKNOWN also behind a comment", change_behind_a_comment,
	 .only = "mariadb"},
	{"with autocommit off the transaction begins at the application's level", autocommit_off,
	 .only = "mariadb"},
	{"SET TRANSACTION is the next transaction's, and amend's own is READ COMMITTED",
	 next_transactions_level, .only = "mariadb"},
	{"a transaction that reads what is not committed is UNSUPPORTED", dirty_reads_are_refused,
	 .only = "mariadb"},
	{"COMMIT is neither chained nor the connection's end", completion_type, .only = "mariadb"},
	{"LAST_INSERT_ID() stays the application's", last_insert_id, .only = "mariadb"},
	{"settings are put back where pinning fails half way", pin_fails_half_way,
	 .only = "mariadb"},
	{"foreign_key_checks = 0 is seen", keys_that_are_not_enforced, .only = "mariadb"},
	{"closed in a child, the parent's connection and transaction stay", closed_in_a_child,
	 .only = "mariadb"},
	{"a statement of another server is not ended", not_the_same_server, .only = "mariadb"},
	{"more than the server takes is INVALID 54000, and the connection stays", too_large,
	 .only = "mariadb"},
	{"where arrays are not known, statements go one by one", no_arrays_on_the_way,
	 .only = "mariadb"},
	{"a user's limit is DENIED 53300, and what was begun is undone", user_limit,
	 .only = "mariadb"},
};

ENGINE_MAIN(tests)

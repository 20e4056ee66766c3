/*
 * The MariaDB driver's function table and dialect; its ledger's tables; checking a server's settings.
 * Leaves the work itself to the other mariadb_*.c files.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_MARIADB

#include <stdio.h>
#include <string.h>

#include "sql/driver/mariadb_guard.h"

/*
 * The ledger as of version 9, in one. DDL commits by itself here, so each statement may find its table
 * there already. Names are compared byte by byte. What is in an index is bounded: 3,072 bytes, four a
 * character, which leaves 600 for a record's key as JSON beside 150 for its table.
 */
#define NAME_OF "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
#define TEXT "longtext " NAME_OF " NOT NULL"
#define TABLE_NAME "varchar(150) " NAME_OF
#define RECORD "varchar(600) " NAME_OF
#define ID "id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY"
#define ENGINE " ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT " NAME_OF
#define TABLE "CREATE TABLE IF NOT EXISTS amend_"

static const char *const ledger_whole[] = {
	TABLE "meta (name varchar(50) " NAME_OF " NOT NULL PRIMARY KEY, value " TEXT ")" ENGINE,
	TABLE "run (" ID ", at " TEXT ", source " TEXT ", tbl " TEXT ", who " TEXT ", why " TEXT
	      ", program " TEXT ")" ENGINE,
	TABLE "revision (" ID ", at " TEXT ", who " TEXT ", why " TEXT ", program " TEXT
	      ", run bigint, xact bigint, KEY revision_run (run))" ENGINE,
	TABLE
	"change (" ID ", revision bigint NOT NULL, tbl " TABLE_NAME " NOT NULL, pk " RECORD
	" NOT NULL, was " RECORD ", op " TEXT ", fields " TEXT ", source longtext " NAME_OF
	", base longblob, KEY change_record (tbl, pk, id), KEY change_revision (revision))" ENGINE,
	TABLE "feed (" ID ", source varchar(600) " NAME_OF " NOT NULL, tbl " TABLE_NAME
	      " NOT NULL, salt longtext " NAME_OF ", UNIQUE KEY feed_source (source, tbl))" ENGINE,
	TABLE "feed_sum (" ID ", feed bigint NOT NULL, n bigint, code bigint NOT NULL, "
	      "KEY feed_sum_feed (feed))" ENGINE,
	TABLE "base (feed bigint NOT NULL, pk " RECORD " NOT NULL, first_key " RECORD
	      " NOT NULL, digest longblob NOT NULL, pack longblob NOT NULL, PRIMARY KEY (feed, pk), "
	      "KEY base_first_key (first_key))" ENGINE,
	TABLE "seen (feed bigint NOT NULL PRIMARY KEY, asked longblob NOT NULL, etag " TEXT
	      ", modified " TEXT ", records bigint NOT NULL, bases longblob NOT NULL, "
	      "names longblob NOT NULL)" ENGINE,
	TABLE "conflict (" ID ", source " TEXT ", tbl " TABLE_NAME " NOT NULL, pk " RECORD
	      ", first_key " RECORD " NOT NULL, open_key varchar(768) " NAME_OF
	      " UNIQUE, kind " TEXT ", fields " TEXT ", note " TEXT ", line bigint NOT NULL, "
	      "run bigint, at " TEXT ", who " TEXT ", state varchar(50) " NAME_OF
	      " NOT NULL, taken " TEXT ", ended_at longtext " NAME_OF ", ended_by longtext " NAME_OF
	      ", mark " TEXT " DEFAULT '', why " TEXT " DEFAULT '', choices " TEXT
	      " DEFAULT '{}', because " TEXT " DEFAULT '', found " TEXT " DEFAULT ''"
	      ", KEY conflict_table (tbl, state))" ENGINE,
	TABLE "token_key (" ID ", created bigint NOT NULL, secret " TEXT ")" ENGINE,
	TABLE "lease (tbl " TABLE_NAME " NOT NULL, pk " RECORD " NOT NULL, fence bigint NOT NULL, "
	      "digest varchar(100) " NAME_OF ", holder " TEXT ", place " TEXT ", since " TEXT
	      ", ttl bigint NOT NULL, clock " TEXT
	      ", expires bigint NOT NULL, wall bigint NOT NULL, "
	      "mandatory bigint NOT NULL, PRIMARY KEY (tbl, pk), KEY lease_digest (digest), "
	      "KEY lease_mandatory (mandatory, tbl))" ENGINE,
	TABLE "lease_event (" ID ", tbl " TABLE_NAME " NOT NULL, pk " RECORD
	      " NOT NULL, fence bigint NOT NULL, op " TEXT ", at " TEXT ", who " TEXT
	      ", place " TEXT ", why " TEXT ", KEY lease_event_lease (tbl, pk, id))" ENGINE,
	TABLE "operation (id varchar(700) " NAME_OF
	      " NOT NULL PRIMARY KEY, digest longblob NOT NULL, at " TEXT ", who " TEXT
	      ", maker " TEXT ", revision bigint, answer longblob)" ENGINE,
	TABLE "guard (tbl " TABLE_NAME " NOT NULL PRIMARY KEY, version " TEXT ", stale " TEXT
	      ", history " TEXT ", columns " TEXT ", ignored " TEXT ", at " TEXT ", who " TEXT
	      ", additive " TEXT " DEFAULT '[]')" ENGINE,
	NULL,
};

/* The session's, for DDL would end a transaction's; DO looks at no result: a minute, then side by side, which harms nothing. */
static const char *const ledger_lock[] = {"DO GET_LOCK(concat('amend ', DATABASE()), 60)", NULL};
static const char *const ledger_unlock[] = {"DO RELEASE_LOCK(concat('amend ', DATABASE()))", NULL};

/* Not token_key: who can read it can claim to have seen anything. */
static const char *const ledger_grants[] = {
	"GRANT SELECT ON {ledger}meta TO {role}",
	"GRANT SELECT, INSERT ON {ledger}run TO {role}",
	"GRANT SELECT, INSERT ON {ledger}revision TO {role}",
	"GRANT SELECT, INSERT ON {ledger}change TO {role}",
	"GRANT SELECT, INSERT ON {ledger}feed TO {role}",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON {ledger}feed_sum TO {role}",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON {ledger}base TO {role}",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON {ledger}conflict TO {role}",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON {ledger}seen TO {role}",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON {ledger}operation TO {role}",
	"GRANT SELECT, INSERT, UPDATE ON {ledger}lease TO {role}",
	"GRANT SELECT, INSERT ON {ledger}lease_event TO {role}",
	"GRANT SELECT ON {ledger}guard TO {role}",
	NULL,
};

/* For who guards tables as well; their triggers run as him. ON *: the session's own database. */
static const char *const guard_grants[] = {
	"GRANT LOCK TABLES ON * TO {role}",
	"GRANT INSERT, DELETE ON {ledger}guard TO {role}",
	NULL,
};

static const struct amend_dialect dialect = {
	.quote = '`',
	.placeholder = '?',
	.numbered = false,
	.untyped = true,
	.cast_around = true,
	.on_duplicate_key = true,
	.same = "<=>",
	.same_text = {"CONVERT(", " USING utf8mb4) COLLATE utf8mb4_nopad_bin"},
	.in_order = "STRAIGHT_JOIN ",
	.by_key = "FORCE INDEX",
	.default_row = " () VALUES ()",
	.for_update = "FOR UPDATE",
	.for_no_key_update = "",
	.for_share = "LOCK IN SHARE MODE",
	.nowait = "NOWAIT",
	.skip_locked = "SKIP LOCKED",
	.lock_table_update = "",
	.lock_table_share = "",
	.lock_table_update_mode = "",
	.lock_table_share_mode = "",
	.row_version = NULL,
	.row_estimate = {"", ""},
	/* sysdate: the clock, where now() is the statement's beginning, before it has waited. */
	.now = "date_format(sysdate(6), '%Y-%m-%d %H:%i:%s.%f')",
	.next_time = {"", ""},
	.default_schema = "",
	.tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND "
		  "table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_name NOT LIKE "
		  "'amend#_%' ESCAPE '#' ORDER BY table_name",
	.ledger = "amend_",
	.ledger_index = "",
	.ledger_present =
		"SELECT substr(table_name, 7) FROM information_schema.tables WHERE table_schema = "
		"DATABASE() AND table_name IN ('amend_meta', 'amend_feed_sum') ORDER BY table_name DESC",
	.ledger_lock = ledger_lock,
	.ledger_unlock = ledger_unlock,
	.ledger_whole = ledger_whole,
	.ledger_whole_version = 9,
	.ledger_grants = ledger_grants,
	.guard_grants = guard_grants,
	/* For triggers to tell whose a revision is; which transaction's, the session remembers. */
	.revision_xact = "connection_id()",
	.guard_hold = {"LOCK TABLES ", " WRITE, amend_guard WRITE"},
	.guard_let_go = "UNLOCK TABLES",
	.guard_needs_columns = true,
	.hand_over =
		"SET @amend_statement = NULL, @amend_revision = ?, @amend_ends = " AMEND_MA_GUARD_ENDS,
	.ledger_rights = "",
	.random_secret = "lower(hex(random_bytes(32)))",
	.epoch = "CAST(floor(unix_timestamp(sysdate(6))) AS SIGNED)",
	.clock_ms = "CAST(floor(unix_timestamp(sysdate(6)) * 1000) AS SIGNED)",
	.for_key_share = "LOCK IN SHARE MODE",
	.role = "SELECT concat(quote(substring_index(current_user(), '@', 1)), '@', "
		"quote(substring_index(current_user(), '@', -1)))",
	.serial_type = "bigint NOT NULL AUTO_INCREMENT PRIMARY KEY",
	.integer_type = "bigint",
	.text_type = "longtext",
	.bytes_type = "longblob",
	.name_type = "varchar(600) " NAME_OF,
	.lookup_index = "",
	.may_number = "",
	.if_no_column = "IF NOT EXISTS ",
	.rewritten_table = "",
};

/* --- checking ----------------------------------------------------------- */

enum amend_status amend_mariadb_check(struct amend_session *session,
				      void (*each)(void *context, enum amend_level level,
						   const char *topic, const char *text),
				      void *context, struct amend_error *err)
{
	static const char sql[] = "SELECT @@innodb_flush_log_at_trx_commit, @@read_only, "
				  "@@innodb_rollback_on_timeout";
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_mariadb_ask(session, sql, NULL, 0, &rows, err);

	if (status == AMEND_OK && rows.n_rows == 1) {
		bool durable = strcmp(amend_rows_at(&rows, 0, 0)->as.text, "1") == 0;

		each(context, durable ? AMEND_LEVEL_OK : AMEND_LEVEL_ADVICE, "durability",
		     durable ? "what is committed survives power loss"
			     : "power loss may undo the last commits (hint: "
			       "innodb_flush_log_at_trx_commit = 1)");
		if (strcmp(amend_rows_at(&rows, 0, 1)->as.text, "0") != 0)
			each(context, AMEND_LEVEL_ADVICE, "access", "the server is read-only");
		else
			each(context, AMEND_LEVEL_OK, "access", "the server can be written");
		if (strcmp(amend_rows_at(&rows, 0, 2)->as.text, "0") != 0)
			each(context, AMEND_LEVEL_ADVICE, "locks",
			     "who does not get a lock loses all of his unit (hint: "
			     "innodb_rollback_on_timeout = OFF)");
		if (!session->snapshots)
			each(context, AMEND_LEVEL_ADVICE, "isolation",
			     "units at REPEATABLE READ are refused (hint: a server with "
			     "innodb_snapshot_isolation)");
	}
	amend_rows_release(&rows);
	return status;
}

/* Who turns it off writes what refers to nothing, and takes nothing along. */
static bool enforces_keys(struct amend_session *session)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error ignored;
	bool off = amend_mariadb_ask(session, "SELECT @@foreign_key_checks", NULL, 0, &rows,
				     &ignored) == AMEND_OK &&
		   rows.n_rows == 1 && strcmp(amend_rows_at(&rows, 0, 0)->as.text, "0") == 0;

	amend_rows_release(&rows);
	return !off;
}

static const struct amend_driver driver = {
	.name = "mariadb",
	.features = AMEND_HAS_ROW_LOCK | AMEND_HAS_SHARE | AMEND_HAS_SNAPSHOT_MOVES |
		    AMEND_HAS_TYPED_STORAGE | AMEND_HAS_MANY_VALUES,
	.dialect = &dialect,
	.accepts = amend_mariadb_accepts,
	.open = amend_mariadb_open,
	.reconnect = amend_mariadb_reconnect,
	.alters = amend_mariadb_alters,
	.adopt = amend_mariadb_adopt,
	.close = amend_mariadb_close,
	.pin = amend_mariadb_pin,
	.unpin = amend_mariadb_unpin,
	.run = amend_mariadb_run,
	.scan = amend_mariadb_scan,
	.columns = amend_mariadb_columns,
	.repeat = amend_mariadb_repeat,
	.set_type = amend_mariadb_set_type,
	.enforces_keys = enforces_keys,
	.begin = amend_mariadb_begin,
	.commit = amend_mariadb_commit,
	.rollback = amend_mariadb_rollback,
	.state = amend_mariadb_state,
	.set_lock_timeout = amend_mariadb_set_lock_timeout,
	.describe = amend_mariadb_describe,
	.canonicalise = amend_mariadb_canonicalise,
	.check = amend_mariadb_check,
	.guard_column = amend_mariadb_guard_column,
	.guard_parts = amend_mariadb_guard_parts,
	.guard_state = amend_mariadb_guard_state,
	.guard_recording = AMEND_MA_GUARD_RECORDING,
	.schema_version = amend_mariadb_guard_moment,
	.guard_found = amend_mariadb_guard_found,
	.violations = amend_mariadb_violations,
	.interrupt = amend_mariadb_interrupt,
};

const struct amend_driver *const amend_driver_mariadb = &driver;

#else

const struct amend_driver *const amend_driver_mariadb = NULL;

#endif

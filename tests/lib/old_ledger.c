/*
 * The steps of a ledger, backwards. Each entry takes back what the step of its version did.
 * Leaves what is asked of an old ledger to the tests.
 */
#include "old_ledger.h"

#include "ledger/ledger.h"

struct back {
	const char *sqlite, *postgres;
};

/* [n]: from version n + 2 to n + 1. */
static const struct back steps[] = {
	{"DROP TABLE amend_base; DROP TABLE amend_feed; "
	 "CREATE TABLE amend_base (source text NOT NULL, tbl text NOT NULL, pk text NOT NULL, "
	 "first_key text NOT NULL, digest blob NOT NULL, pack blob NOT NULL, "
	 "PRIMARY KEY (source, tbl, pk)); "
	 "CREATE INDEX amend_base_first_key ON amend_base (source, tbl, first_key)",
	 "DROP TABLE amend.base; DROP TABLE amend.feed; "
	 "CREATE TABLE amend.base (source text NOT NULL, tbl text NOT NULL, pk text NOT NULL, "
	 "first_key text NOT NULL, digest bytea NOT NULL, pack bytea NOT NULL, "
	 "PRIMARY KEY (source, tbl, pk)); "
	 "CREATE INDEX base_first_key ON amend.base (source, tbl, first_key)"},
	{"DROP TABLE amend_lease; DROP TABLE amend_lease_event",
	 "DROP TABLE amend.lease; DROP TABLE amend.lease_event"},
	{"DROP TABLE amend_operation", "DROP TABLE amend.operation"},
	{"DROP TABLE amend_guard; ALTER TABLE amend_revision DROP COLUMN xact; "
	 "DROP TABLE amend_session; DROP TABLE amend_statement; DROP TABLE amend_stash",
	 "DROP TABLE amend.guard; ALTER TABLE amend.revision DROP COLUMN xact; "
	 "DROP FUNCTION amend.guard_revision; DROP FUNCTION amend.guard_bases; "
	 "DROP SEQUENCE amend.guard_lastval"},
	{"DROP TABLE amend_seen; DROP TABLE amend_feed_sum; "
	 "ALTER TABLE amend_feed DROP COLUMN salt; "
	 "DROP INDEX amend_base_first_key; DROP INDEX amend_revision_run; "
	 "CREATE INDEX amend_base_first_key ON amend_base (first_key); "
	 "CREATE INDEX amend_revision_run ON amend_revision (run)",
	 "DROP TABLE amend.seen; DROP TABLE amend.feed_sum; "
	 "ALTER TABLE amend.feed DROP COLUMN salt; "
	 "DROP INDEX amend.base_first_key; DROP INDEX amend.revision_run; "
	 "CREATE INDEX base_first_key ON amend.base (first_key); "
	 "CREATE INDEX revision_run ON amend.revision (run)"},
	{"ALTER TABLE amend_conflict DROP COLUMN mark; ALTER TABLE amend_conflict DROP COLUMN why; "
	 "ALTER TABLE amend_conflict DROP COLUMN choices; "
	 "ALTER TABLE amend_conflict DROP COLUMN because",
	 "ALTER TABLE amend.conflict DROP COLUMN mark, DROP COLUMN why, DROP COLUMN choices, "
	 "DROP COLUMN because"},
	{"ALTER TABLE amend_guard DROP COLUMN additive",
	 "ALTER TABLE amend.guard DROP COLUMN additive"},
	{"ALTER TABLE amend_conflict DROP COLUMN found",
	 "ALTER TABLE amend.conflict DROP COLUMN found"},
	{"ALTER TABLE amend_revision DROP COLUMN mark",
	 "ALTER TABLE amend.revision DROP COLUMN mark"},
};

_Static_assert(sizeof(steps) / sizeof(steps[0]) == AMEND_LEDGER_VERSION - 1, "a step was added");

void old_ledger(struct engine *engine, int version)
{
	for (int n = AMEND_LEDGER_VERSION; n > version; n--)
		engine_exec(engine, engine_pick(engine, steps[n - 2].sqlite, steps[n - 2].postgres));
	engine_execf(engine, "UPDATE %smeta SET value = '%d' WHERE name = 'version'",
		     engine_pick(engine, "amend_", "amend."), version);
}

void old_ledger_with_sums(struct engine *engine)
{
	engine_exec(
		engine,
		engine_pick(
			engine,
			"CREATE TABLE amend_made (id integer PRIMARY KEY AUTOINCREMENT, source text NOT NULL, "
			"tbl text NOT NULL, salt text NOT NULL DEFAULT (lower(hex(randomblob(32)))), "
			"UNIQUE (source, tbl)); "
			"INSERT INTO amend_made (id, source, tbl) SELECT id, source, tbl FROM amend_feed; "
			"DROP TABLE amend_feed; ALTER TABLE amend_made RENAME TO amend_feed; "
			"CREATE TABLE amend_feed_sum (id integer PRIMARY KEY AUTOINCREMENT, "
			"feed integer NOT NULL, n integer, code integer NOT NULL); "
			"CREATE TABLE amend_seen (feed integer NOT NULL PRIMARY KEY, asked blob NOT NULL, "
			"etag text NOT NULL, modified text NOT NULL, records integer NOT NULL, "
			"bases blob NOT NULL, names blob NOT NULL); "
			"INSERT INTO amend_feed_sum (feed, n, code) SELECT id, NULL, 0 FROM amend_feed; "
			"DROP INDEX amend_base_first_key; DROP INDEX amend_revision_run; "
			"CREATE INDEX amend_base_first_key ON amend_base (first_key) "
			"WHERE first_key <> ''; "
			"CREATE INDEX amend_revision_run ON amend_revision (run) WHERE run IS NOT NULL",
			"ALTER TABLE amend.feed ADD COLUMN salt text NOT NULL "
			"DEFAULT encode(sha256(gen_random_uuid()::text::bytea), 'hex'); "
			"CREATE TABLE amend.feed_sum (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
			"feed bigint NOT NULL, n bigint, code bigint NOT NULL); "
			"CREATE TABLE amend.seen (feed bigint NOT NULL PRIMARY KEY, asked bytea NOT NULL, "
			"etag text NOT NULL, modified text NOT NULL, records bigint NOT NULL, "
			"bases bytea NOT NULL, names bytea NOT NULL); "
			"INSERT INTO amend.feed_sum (feed, n, code) SELECT id, NULL, 0 FROM amend.feed; "
			"DROP INDEX amend.base_first_key; DROP INDEX amend.revision_run; "
			"CREATE INDEX base_first_key ON amend.base USING hash (first_key) "
			"WHERE first_key <> ''; "
			"CREATE INDEX revision_run ON amend.revision (run) WHERE run IS NOT NULL"));
}

/*
 * The ledger's tables: what they are, version by version.
 * Leaves making them to install.c, and their content to the files named after them.
 */
#include <string.h>
#include <strings.h>

#include "ledger/state.h"

/*
 * A step brings the ledger from the version before to `version`. Released
 * steps never change; a new need is a new step. Words in braces are the
 * dialect's: {ledger} is the prefix of a table's name, the others are types.
 *
 * `pk` names a record: its primary key as JSON. `open_key` is unique among open
 * conflicts and NULL in ended ones, which is a partial unique index for engines that have none.
 * `change.base` keeps the packed base that a sync's change replaced, so that
 * undoing the change can restore it.
 */
static const char *const step_1[] = {
	"CREATE TABLE {ledger}meta (name {text} NOT NULL PRIMARY KEY, value {text} NOT NULL)",
	"CREATE TABLE {ledger}run (id {serial}, at {text} NOT NULL, source {text} NOT NULL, "
	"tbl {text} NOT NULL, who {text} NOT NULL, why {text} NOT NULL, program {text} NOT NULL)",
	"CREATE TABLE {ledger}revision (id {serial}, at {text} NOT NULL, who {text} NOT NULL, "
	"why {text} NOT NULL, program {text} NOT NULL, run {integer})",
	"CREATE INDEX {index}revision_run ON {ledger}revision (run)",
	"CREATE TABLE {ledger}change (id {serial}, revision {integer} NOT NULL, tbl {text} NOT NULL, "
	"pk {text} NOT NULL, was {text}, op {text} NOT NULL, fields {text} NOT NULL, "
	"source {text}, base {bytes})",
	"CREATE INDEX {index}change_record ON {ledger}change (tbl, pk, id)",
	"CREATE INDEX {index}change_revision ON {ledger}change (revision)",
	"CREATE TABLE {ledger}base (source {text} NOT NULL, tbl {text} NOT NULL, pk {text} NOT NULL, "
	"first_key {text} NOT NULL, digest {bytes} NOT NULL, pack {bytes} NOT NULL, "
	"PRIMARY KEY (source, tbl, pk))",
	"CREATE INDEX {index}base_first_key ON {ledger}base (source, tbl, first_key)",
	"CREATE TABLE {ledger}conflict (id {serial}, source {text} NOT NULL, tbl {text} NOT NULL, "
	"pk {text}, first_key {text} NOT NULL, open_key {text} UNIQUE, kind {text} NOT NULL, "
	"fields {text} NOT NULL, note {text} NOT NULL, line {integer} NOT NULL, run {integer}, "
	"at {text} NOT NULL, who {text} NOT NULL, state {text} NOT NULL, taken {text} NOT NULL, "
	"ended_at {text}, ended_by {text})",
	"CREATE INDEX {index}conflict_table ON {ledger}conflict (tbl, state)",
	"CREATE TABLE {ledger}token_key (id {serial}, created {integer} NOT NULL, secret {text} NOT NULL)",
	NULL,
};

/*
 * Bases narrower, for there are many: source and table by number, half of the
 * digest. By way of a copy, so that the table and what belongs to it keep their names.
 */
static const char *const step_2[] = {
	"CREATE TABLE {ledger}feed (id {serial}, source {text} NOT NULL, tbl {text} NOT NULL, "
	"UNIQUE (source, tbl))",
	"INSERT INTO {ledger}feed (source, tbl) SELECT DISTINCT source, tbl FROM {ledger}base",
	"CREATE TABLE {ledger}base_1 AS SELECT f.id AS feed, b.pk, b.first_key, b.digest, b.pack "
	"FROM {ledger}base b JOIN {ledger}feed f ON f.source = b.source AND f.tbl = b.tbl",
	"DROP TABLE {ledger}base",
	"CREATE TABLE {ledger}base (feed {integer} NOT NULL, pk {name} NOT NULL, "
	"first_key {name} NOT NULL, digest {bytes} NOT NULL, pack {bytes} NOT NULL, "
	"PRIMARY KEY (feed, pk)){rewritten}",
	"INSERT INTO {ledger}base (feed, pk, first_key, digest, pack) SELECT feed, pk, first_key, "
	"substr(digest, 1, 16), pack FROM {ledger}base_1 ORDER BY feed, pk",
	"DROP TABLE {ledger}base_1",
	/* Not (feed, first_key): SQLite would then prefer the primary key to it. */
	"CREATE INDEX {index}base_first_key ON {ledger}base (first_key)",
	NULL,
};

/*
 * Leases. `tbl` "" is a plain name, in `pk`. A row stays when its lease is over: its fence must
 * never come again. (tbl, pk, fence) is unique for what that does to locks: who raises a fence waits
 * for those who share the row, who moves `expires` does not.
 */
static const char *const step_3[] = {
	"CREATE TABLE {ledger}lease (tbl {name} NOT NULL, pk {name} NOT NULL, fence {integer} NOT NULL, "
	"digest {text}, holder {text} NOT NULL, place {text} NOT NULL, since {text} NOT NULL, "
	"ttl {integer} NOT NULL, clock {text} NOT NULL, expires {integer} NOT NULL, "
	"wall {integer} NOT NULL, mandatory {integer} NOT NULL, "
	"PRIMARY KEY (tbl, pk), UNIQUE (tbl, pk, fence)){rewritten}",
	"CREATE INDEX {index}lease_digest ON {ledger}lease (digest)",
	"CREATE INDEX {index}lease_mandatory ON {ledger}lease (mandatory, tbl)",
	"CREATE TABLE {ledger}lease_event (id {serial}, tbl {name} NOT NULL, pk {name} NOT NULL, "
	"fence {integer} NOT NULL, op {text} NOT NULL, at {text} NOT NULL, who {text} NOT NULL, "
	"place {text} NOT NULL, why {text} NOT NULL)",
	"CREATE INDEX {index}lease_event_lease ON {ledger}lease_event (tbl, pk, id)",
	NULL,
};

/* What is done once: each row is written by the transaction whose id it is. */
static const char *const step_4[] = {
	"CREATE TABLE {ledger}operation (id {name} NOT NULL PRIMARY KEY, digest {bytes} NOT NULL, "
	"at {text} NOT NULL, who {text} NOT NULL, maker {text} NOT NULL, revision {integer}, "
	"answer {bytes}){rewritten}",
	NULL,
};

/*
 * Guarded tables: what was asked for, for who looks whether it stands; and which transaction a revision is
 * of, where triggers must tell it from others'. What the triggers share is the dialect's.
 */
static const char *const step_5[] = {
	"CREATE TABLE {ledger}guard (tbl {name} NOT NULL PRIMARY KEY, version {text} NOT NULL, "
	"stale {text} NOT NULL, history {text} NOT NULL, columns {text} NOT NULL, ignored {text} NOT NULL, "
	"at {text} NOT NULL, who {text} NOT NULL)",
	"ALTER TABLE {ledger}revision ADD COLUMN xact {integer}",
	NULL,
};

/*
 * What a feed's bases come to, and which version of a remote source they are of. Of bases that were there
 * no sum is known: `n` is NULL. Indexes hold only what is looked for: few first keys are "", few revisions are a run's.
 * For a while a step 2 made all this: a ledger of version 2 to 5 that has it gets it no second time.
 */
static const char *const step_6[] = {
	"ALTER TABLE {ledger}feed ADD COLUMN salt {text}",
	"UPDATE {ledger}feed SET salt = {secret}",
	"CREATE TABLE {ledger}feed_sum (id {serial}, feed {integer} NOT NULL, n {integer}, "
	"code {integer} NOT NULL)",
	"INSERT INTO {ledger}feed_sum (feed, n, code) SELECT id, NULL, 0 FROM {ledger}feed",
	"CREATE TABLE {ledger}seen (feed {integer} NOT NULL PRIMARY KEY, asked {bytes} NOT NULL, "
	"etag {text} NOT NULL, modified {text} NOT NULL, records {integer} NOT NULL, "
	"bases {bytes} NOT NULL, names {bytes} NOT NULL)",
	"DROP INDEX {ledger}base_first_key",
	"CREATE INDEX {index}base_first_key ON {ledger}base {lookup}(first_key) "
	"WHERE first_key <> ''",
	"DROP INDEX {ledger}revision_run",
	"CREATE INDEX {index}revision_run ON {ledger}revision (run) WHERE run IS NOT NULL",
	NULL,
};

/* Which conflict it is in whatever copy of the database, why there is one and why it was settled so; and what is decided of it by now. */
static const char *const step_7[] = {
	"ALTER TABLE {ledger}conflict ADD COLUMN mark {text} NOT NULL DEFAULT ''",
	"ALTER TABLE {ledger}conflict ADD COLUMN why {text} NOT NULL DEFAULT ''",
	"ALTER TABLE {ledger}conflict ADD COLUMN choices {text} NOT NULL DEFAULT '{}'",
	"ALTER TABLE {ledger}conflict ADD COLUMN because {text} NOT NULL DEFAULT ''",
	NULL,
};

/* Guarded tables: the columns in which what is added counts. */
static const char *const step_8[] = {
	"ALTER TABLE {ledger}guard ADD COLUMN additive {text} NOT NULL DEFAULT '[]'",
	NULL,
};

/* A conflict's digest when it was found: whether it still is what it was then. */
static const char *const step_9[] = {
	"ALTER TABLE {ledger}conflict ADD COLUMN found {text} NOT NULL DEFAULT ''",
	NULL,
};

/* A unit's own, drawn by its writer: numbers of revisions and of transactions come again after a server's crash. */
static const char *const step_10[] = {
	"ALTER TABLE {ledger}revision ADD COLUMN {if_no_column}mark {integer}",
	NULL,
};

const struct amend_ledger_step amend_ledger_steps[] = {{1, step_1},
						       {2, step_2},
						       {3, step_3},
						       {4, step_4},
						       {AMEND_LEDGER_HAS_GUARDS, step_5},
						       {AMEND_LEDGER_HAS_SUMS, step_6},
						       {AMEND_LEDGER_HAS_CHOICES, step_7},
						       {AMEND_LEDGER_HAS_ADDITIVE, step_8},
						       {AMEND_LEDGER_HAS_FOUND, step_9},
						       {AMEND_LEDGER_HAS_MARKS, step_10}};

_Static_assert(sizeof(amend_ledger_steps) / sizeof(amend_ledger_steps[0]) == AMEND_LEDGER_VERSION,
	       "a step was added");

enum amend_status amend_ledger_refuse(const struct amend_conn *db, const struct amend_table *table,
				      struct amend_error *err)
{
	static const char *const names[] = {
		"meta",     "run",       "revision",  "change",      "feed",      "base",
		"conflict", "token_key", "lease",     "lease_event", "operation", "seen",
		"guard",    "session",   "statement", "stash",       "feed_sum"};
	size_t prefix = strlen(db->dialect->ledger);

	if (strncasecmp(table->qualified, db->dialect->ledger, prefix) != 0)
		return AMEND_OK;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(table->qualified + prefix, names[i]) == 0)
			return amend_error_set(
				err, AMEND_INVALID,
				"%s is amend's own: history that can be edited is none "
				"(hint: amend log, amend conflicts)",
				table->qualified);
	}
	return AMEND_OK;
}

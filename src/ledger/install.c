/*
 * The ledger's tables: what they are, installing them, bringing old ones up.
 * Leaves their content to the files named after them.
 */
#include <amend/guard.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/rows.h"
#include "ledger/fate.h"
#include "ledger/state.h"
#include "sql/sqlstate.h"

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
struct step {
	int version;
	const char *const *statements;
};

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

enum { GUARD_STEP = 5 };

static const struct step steps[] = {{1, step_1},
				    {2, step_2},
				    {3, step_3},
				    {4, step_4},
				    {GUARD_STEP, step_5},
				    {AMEND_LEDGER_HAS_SUMS, step_6},
				    {AMEND_LEDGER_HAS_CHOICES, step_7},
				    {AMEND_LEDGER_HAS_ADDITIVE, step_8},
				    {AMEND_LEDGER_HAS_FOUND, step_9}};

enum { LATEST = sizeof(steps) / sizeof(steps[0]) };
_Static_assert((int)LATEST == (int)AMEND_LEDGER_VERSION, "a step was added");

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

static bool word_is(const char *at, const char *word)
{
	return strncmp(at, word, strlen(word)) == 0;
}

void amend_ledger_expand(struct amend_buffer *out, const struct amend_dialect *dialect,
			 const char *role, const char *text)
{
	const struct {
		const char *word, *value;
	} words[] = {
		{"{ledger}", dialect->ledger},
		{"{index}", dialect->ledger_index},
		{"{serial}", dialect->serial_type},
		{"{integer}", dialect->integer_type},
		{"{text}", dialect->text_type},
		{"{bytes}", dialect->bytes_type},
		{"{name}", dialect->name_type},
		{"{lookup}", dialect->lookup_index},
		{"{rewritten}", dialect->rewritten_table},
		{"{secret}", dialect->random_secret},
		{"{epoch}", dialect->epoch},
		{"{role}", role},
	};

	while (*text) {
		size_t i, n = sizeof(words) / sizeof(words[0]);

		for (i = 0; *text == '{' && i < n; i++) {
			if (word_is(text, words[i].word))
				break;
		}
		if (*text != '{' || i == n) {
			amend_buffer_char(out, *text++);
			continue;
		}
		amend_buffer_text(out, words[i].value);
		text += strlen(words[i].word);
	}
}

struct amend_ledger *amend_ledger_state(struct amend_conn *db, struct amend_error *err)
{
	if (!db->ledger) {
		db->ledger = calloc(1, sizeof(*db->ledger));
		db->ledger_free = amend_ledger_free;
		db->witness = amend_revision_fate;
		if (!db->ledger)
			amend_no_memory(err);
	}
	return db->ledger;
}

static enum amend_status explain_denied(struct amend_error *err, enum amend_status status)
{
	static const char hint[] = " (hint: an owner of the database can run what `amend init DB "
				   "--print` shows)";
	size_t size = strlen(err->text);

	if (status == AMEND_DENIED && !strstr(err->text, "(hint:") &&
	    size + sizeof(hint) <= sizeof(err->text))
		memcpy(err->text + size, hint, sizeof(hint));
	return status;
}

/* `version` 0: there is none. `sums`: it has them, whatever its version says. */
static enum amend_status read_version(struct amend_conn *db, int *version, bool *sums,
				      struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;
	int64_t number = 0;

	*version = 0;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, db->dialect->ledger_present);
	status = amend_exec(db, &sql, &rows, err);
	*sums = rows.n_rows > 1;
	if (status != AMEND_OK || rows.n_rows == 0)
		goto out;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT value");
	if (*db->dialect->may_number)
		amend_sql_printf(&sql, ", CASE WHEN %s THEN 1 END", db->dialect->may_number);
	amend_sql_text(&sql, " FROM ");
	amend_sql_ledger(&sql, "meta");
	amend_sql_text(&sql, " WHERE name = 'version'");
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1 &&
	    amend_value_number(amend_rows_at(&rows, 0, 0), &number) && number > 0 &&
	    number < INT_MAX)
		*version = (int)number;
	/* Its tables are made one by one, and this last: somebody is at it, or was. */
	else if (status == AMEND_OK && rows.n_rows == 0 && !amend_has(db, AMEND_HAS_DDL_ROLLBACK))
		goto out;
	else if (status == AMEND_OK)
		status = amend_error_set(err, AMEND_INTERNAL,
					 "the ledger does not know its version");
	if (status == AMEND_OK && db->ledger)
		db->ledger->numbers = rows.n_columns > 1 &&
				      amend_rows_at(&rows, 0, 1)->kind != AMEND_NULL;
out:
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return explain_denied(err, status);
}

static enum amend_status check_version(int version, struct amend_error *err)
{
	if (version <= LATEST)
		return AMEND_OK;
	return amend_error_set(err, AMEND_UNSUPPORTED,
			       "the ledger was made by a newer amend (version %d, this one knows %d) "
			       "(hint: use the newer program)",
			       version, LATEST);
}

static void forget(struct amend_conn *db, void *context, bool committed)
{
	(void)context;
	db->ledger->version = committed ? db->ledger->version : 0;
}

/* What the application's transaction sees, its rollback may take away: known until the call ends. */
static enum amend_status remember(struct amend_conn *db, int version, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (db->ledger->installing || (db->borrowed && db->depth == 0))
		return AMEND_OK;
	if (db->borrowed && version > 0)
		status = amend_on_end(db, forget, NULL, err);
	if (status == AMEND_OK)
		db->ledger->version = version;
	return status;
}

enum amend_status amend_ledger_version(struct amend_conn *db, int *version, struct amend_error *err)
{
	struct amend_ledger *ledger = amend_ledger_state(db, err);
	enum amend_status status;
	bool sums;

	*version = 0;
	if (!ledger)
		return AMEND_NO_MEMORY;
	*version = ledger->version;
	if (ledger->version == LATEST)
		return AMEND_OK;
	status = read_version(db, version, &sums, err);
	if (status == AMEND_OK)
		status = check_version(*version, err);
	/* In a transaction that may see what it will undo, do not remember. */
	return status == AMEND_OK ? remember(db, *version, err) : status;
}

enum amend_status amend_ledger_look(struct amend_conn *db, bool *present, struct amend_error *err)
{
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*present = status == AMEND_OK && version > 0;
	return status;
}

bool amend_ledger_numbers(const struct amend_conn *db)
{
	return db->ledger && db->ledger->numbers;
}

typedef enum amend_status (*statement_fn)(void *context, const char *statement,
					  struct amend_error *err);

static enum amend_status emit_all(const struct amend_dialect *dialect, const char *role,
				  const char *const *statements, statement_fn each, void *context,
				  struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (; statements && *statements && status == AMEND_OK; statements++) {
		amend_buffer_reset(&text);
		amend_ledger_expand(&text, dialect, role, *statements);
		status = text.failed ? amend_no_memory(err) : each(context, text.data, err);
	}
	amend_buffer_release(&text);
	return status;
}

/* All at once, where the engine's ledger begins with a later version than the first. */
static bool is_whole(const struct amend_dialect *dialect, int version)
{
	return version == 0 && dialect->ledger_whole;
}

/* Everything from `version` to the latest, but for saying so. `sums`: what step 6 makes is there. */
static enum amend_status emit_tables(const struct amend_dialect *dialect, int version, bool sums,
				     statement_fn each, void *context, struct amend_error *err)
{
	static const char *const first[] = {
		"INSERT INTO {ledger}meta (name, value) VALUES ('version', '0')", NULL};
	bool whole = is_whole(dialect, version);
	int from = whole ? dialect->ledger_whole_version : version;
	enum amend_status status = AMEND_OK;

	if (whole)
		status = emit_all(dialect, "", dialect->ledger_whole, each, context, err);
	for (size_t i = 0; i < LATEST && status == AMEND_OK; i++) {
		if (steps[i].version <= from || (steps[i].version == AMEND_LEDGER_HAS_SUMS && sums))
			continue;
		status = emit_all(dialect, "", steps[i].statements, each, context, err);
		if (status == AMEND_OK && steps[i].version == 1)
			status = emit_all(dialect, "", first, each, context, err);
		if (status == AMEND_OK && steps[i].version == GUARD_STEP)
			status = emit_all(dialect, "", dialect->ledger_guard, each, context, err);
	}
	return status;
}

/* That it is the latest now. */
static enum amend_status emit_version(const struct amend_dialect *dialect, int version,
				      statement_fn each, void *context, struct amend_error *err)
{
	char text[96];
	const char *const last[] = {text, NULL};

	if (is_whole(dialect, version))
		snprintf(text, sizeof(text),
			 "INSERT INTO {ledger}meta (name, value) VALUES ('version', '%d')", LATEST);
	else
		snprintf(text, sizeof(text),
			 "UPDATE {ledger}meta SET value = '%d' WHERE name = 'version'", LATEST);
	return version < LATEST ? emit_all(dialect, "", last, each, context, err) : AMEND_OK;
}

static enum amend_status emit_steps(const struct amend_dialect *dialect, int version, bool sums,
				    statement_fn each, void *context, struct amend_error *err)
{
	enum amend_status status = emit_tables(dialect, version, sums, each, context, err);

	return status == AMEND_OK ? emit_version(dialect, version, each, context, err) : status;
}

/* Who had rights on tables that are made anew: statements that give them back. */
static enum amend_status read_rights(struct amend_conn *db, struct amend_rows *rights,
				     struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	if (!*db->dialect->ledger_rights)
		return AMEND_OK;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, db->dialect->ledger_rights);
	status = amend_exec(db, &sql, rights, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status emit_rights(const struct amend_rows *rights, statement_fn each,
				     void *context, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < rights->n_rows && status == AMEND_OK; i++)
		status = each(context, amend_rows_at(rights, i, 0)->as.text, err);
	return status;
}

static enum amend_status run_statement(void *context, const char *statement, struct amend_error *err)
{
	return amend_exec_text(context, statement, err);
}

static void install_ended(struct amend_conn *db, void *context, bool committed)
{
	(void)context;
	db->ledger->installing = false;
	db->ledger->version = committed ? LATEST : 0;
}

/* One after another: the first statements of the dialect make later installers wait for this one. */
static enum amend_status install(struct amend_conn *db, void *context, struct amend_error *err)
{
	bool *changed = context;
	struct amend_rows rights = AMEND_ROWS_INIT;
	int version = 0;
	enum amend_status status;
	bool sums = false;

	status = emit_all(db->dialect, "", db->dialect->ledger_lock, run_statement, db, err);
	if (status == AMEND_OK)
		status = read_version(db, &version, &sums, err);
	if (status == AMEND_OK)
		status = check_version(version, err);
	if (status != AMEND_OK || version == LATEST)
		return status;
	if (version == 0)
		status = emit_all(db->dialect, "", db->dialect->ledger_before, run_statement, db,
				  err);
	else
		status = read_rights(db, &rights, err);
	if (status == AMEND_OK)
		status = emit_steps(db->dialect, version, sums, run_statement, db, err);
	if (status == AMEND_OK && version == 0)
		status = amend_secret_make(db, err);
	if (status == AMEND_OK && version > 0)
		status = emit_rights(&rights, run_statement, db, err);
	amend_rows_release(&rights);
	if (status == AMEND_OK)
		status = amend_on_end(db, install_ended, NULL, err);
	if (status == AMEND_OK) {
		db->ledger->installing = true;
		/* Who makes the tables owns what numbers them. */
		db->ledger->numbers = version == 0 ? *db->dialect->may_number != '\0'
						   : db->ledger->numbers;
		*changed = true;
	}
	return explain_denied(err, status);
}

/* ---- where DDL is no part of a transaction ---- */

/* The tables are there: what makes them a ledger, in a transaction. */
static enum amend_status finish(struct amend_conn *db, void *context, struct amend_error *err)
{
	const int *version = context;
	enum amend_status status = emit_version(db->dialect, *version, run_statement, db, err);

	return status == AMEND_OK && *version == 0 ? amend_secret_make(db, err) : status;
}

/* Outside of a transaction. What an earlier one left half done is found well; two at once make the same. */
static enum amend_status install_plainly(struct amend_conn *db, bool *changed,
					 struct amend_error *err)
{
	int version = 0;
	bool sums;
	struct amend_error ignored;
	enum amend_status status;

	if (!amend_ledger_state(db, err))
		return AMEND_NO_MEMORY;
	status = emit_all(db->dialect, "", db->dialect->ledger_lock, run_statement, db, err);
	if (status != AMEND_OK)
		return status;
	status = read_version(db, &version, &sums, err);
	if (status == AMEND_OK)
		status = check_version(version, err);
	if (status == AMEND_OK && version < LATEST) {
		*changed = true;
		status = emit_tables(db->dialect, version, sums, run_statement, db, err);
		if (status == AMEND_OK)
			status = amend_atomic(db, NULL, finish, &version, err);
		/* Another was first. */
		if (status == AMEND_CONSTRAINT && strcmp(err->sqlstate, AMEND_SQLSTATE_UNIQUE) == 0)
			status = AMEND_OK;
	}
	(void)!emit_all(db->dialect, "", db->dialect->ledger_unlock, run_statement, db, &ignored);
	return explain_denied(err, status);
}

/* On a connection of its own, so that no DDL ends the transaction that is open on this one. */
static enum amend_status install_aside(struct amend_conn *db, bool *changed, struct amend_error *err)
{
	struct amend_conn *aside = NULL;
	enum amend_status status;

	if (!amend_in_transaction(db))
		return install_plainly(db, changed, err);
	if (!db->url)
		return amend_error_set(
			err, AMEND_INVALID,
			"amend's tables are not there yet, and making them would commit "
			"the open transaction (hint: amend_init, once, outside of it)");
	status = amend_open(db->url, &db->options, &aside, err);
	if (status == AMEND_OK)
		status = install_plainly(aside, changed, err);
	amend_close(aside);
	return status;
}

static enum amend_status need(struct amend_conn *db, bool *changed, struct amend_error *err)
{
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*changed = false;
	if (status != AMEND_OK || version == LATEST || db->ledger->installing)
		return status;
	if (!amend_has(db, AMEND_HAS_DDL_ROLLBACK)) {
		status = install_aside(db, changed, err);
		return status == AMEND_OK ? remember(db, LATEST, err) : status;
	}
	status = amend_atomic(db, NULL, install, changed, err);
	return status == AMEND_OK ? status : explain_denied(err, status);
}

enum amend_status amend_ledger_need(struct amend_conn *db, struct amend_error *err)
{
	bool changed;

	return need(db, &changed, err);
}

enum amend_status amend_init(struct amend_conn *db, bool *changed, struct amend_error *err)
{
	enum amend_status status = amend_enter(db, err);
	bool ignored;

	if (status != AMEND_OK)
		return status;
	status = need(db, changed ? changed : &ignored, err);
	return amend_leave(db, status, err);
}

struct script {
	void (*emit)(void *context, const char *statement);
	void *context;
};

static enum amend_status emit_statement(void *context, const char *statement,
					struct amend_error *err)
{
	const struct script *script = context;

	(void)err;
	script->emit(script->context, statement);
	return AMEND_OK;
}

static enum amend_status read_role(struct amend_conn *db, struct amend_buffer *role,
				   struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	if (!*db->dialect->role)
		return AMEND_OK;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, db->dialect->role);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1)
		amend_buffer_text(role, amend_rows_at(&rows, 0, 0)->as.text);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_guard_script(struct amend_conn *db,
				     void (*emit)(void *context, const char *statement),
				     void *context, struct amend_error *err)
{
	struct script script = {emit, context};
	struct amend_buffer role = AMEND_BUFFER_INIT;
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = read_role(db, &role, err);
	if (status == AMEND_OK && role.failed)
		status = amend_no_memory(err);
	if (status == AMEND_OK && role.size > 0 && db->dialect->guard_grants)
		status = emit_all(db->dialect, role.data, db->dialect->guard_grants, emit_statement,
				  &script, err);
	amend_buffer_release(&role);
	return amend_leave(db, status, err);
}

enum amend_status amend_init_script(struct amend_conn *db,
				    void (*emit)(void *context, const char *statement),
				    void *context, struct amend_error *err)
{
	struct script script = {emit, context};
	struct amend_buffer role = AMEND_BUFFER_INIT;
	struct amend_rows rights = AMEND_ROWS_INIT;
	int version = 0;
	bool sums = false;
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = read_version(db, &version, &sums, err);
	/* Not allowed to look: then it is there, and the grants are what is missing. */
	if (status == AMEND_DENIED) {
		version = LATEST;
		status = AMEND_OK;
	}
	if (status == AMEND_OK)
		status = check_version(version, err);
	if (status == AMEND_OK && version == 0)
		status = emit_all(db->dialect, "", db->dialect->ledger_before, emit_statement,
				  &script, err);
	else if (status == AMEND_OK && version < LATEST)
		status = read_rights(db, &rights, err);
	if (status == AMEND_OK)
		status = emit_steps(db->dialect, version, sums, emit_statement, &script, err);
	if (status == AMEND_OK)
		status = emit_rights(&rights, emit_statement, &script, err);
	if (status == AMEND_OK && version == 0)
		status = amend_secret_emit(db, emit, context, err);
	if (status == AMEND_OK)
		status = read_role(db, &role, err);
	if (status == AMEND_OK && role.failed)
		status = amend_no_memory(err);
	if (status == AMEND_OK && role.size > 0)
		status = emit_all(db->dialect, role.data, db->dialect->ledger_grants,
				  emit_statement, &script, err);
	amend_rows_release(&rights);
	amend_buffer_release(&role);
	return amend_leave(db, status, err);
}

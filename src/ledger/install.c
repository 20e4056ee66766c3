/*
 * Installing the ledger, and bringing old ones up.
 * Leaves what its tables are to steps.c.
 */
#include <amend/guard.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/fate.h"
#include "ledger/state.h"
#include "sql/sqlstate.h"

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
		{"{if_no_column}", dialect->if_no_column},
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
	if (version <= AMEND_LEDGER_VERSION)
		return AMEND_OK;
	return amend_error_set(err, AMEND_UNSUPPORTED,
			       "the ledger was made by a newer amend (version %d, this one knows %d) "
			       "(hint: use the newer program)",
			       version, AMEND_LEDGER_VERSION);
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

/*
 * A serializable transaction locks what it reads; where the ledger is made on another connection, that
 * would wait for this one. So another reads, too.
 */
static enum amend_status read_version_aside(struct amend_conn *db, int *version,
					    struct amend_error *err)
{
	struct amend_conn *aside = NULL;
	enum amend_status status = amend_open(db->url, &db->options, &aside, err);
	bool sums;

	if (status == AMEND_OK && !amend_ledger_state(aside, err))
		status = AMEND_NO_MEMORY;
	if (status == AMEND_OK)
		status = read_version(aside, version, &sums, err);
	if (status == AMEND_OK)
		db->ledger->numbers = aside->ledger->numbers;
	amend_close(aside);
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
	if (ledger->version == AMEND_LEDGER_VERSION)
		return AMEND_OK;
	if (db->url && db->isolation == AMEND_SERIALIZABLE && amend_in_transaction(db))
		status = read_version_aside(db, version, err);
	else
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
	for (size_t i = 0; i < AMEND_LEDGER_VERSION && status == AMEND_OK; i++) {
		if (amend_ledger_steps[i].version <= from ||
		    (amend_ledger_steps[i].version == AMEND_LEDGER_HAS_SUMS && sums))
			continue;
		status = emit_all(dialect, "", amend_ledger_steps[i].statements, each, context, err);
		if (status == AMEND_OK && amend_ledger_steps[i].version == 1)
			status = emit_all(dialect, "", first, each, context, err);
		if (status == AMEND_OK && amend_ledger_steps[i].version == AMEND_LEDGER_HAS_GUARDS)
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
			 "INSERT INTO {ledger}meta (name, value) VALUES ('version', '%d')",
			 AMEND_LEDGER_VERSION);
	else
		snprintf(text, sizeof(text),
			 "UPDATE {ledger}meta SET value = '%d' WHERE name = 'version'",
			 AMEND_LEDGER_VERSION);
	return version < AMEND_LEDGER_VERSION ? emit_all(dialect, "", last, each, context, err)
					      : AMEND_OK;
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
	db->ledger->version = committed ? AMEND_LEDGER_VERSION : 0;
}

/* Whether tables are there that were not when this transaction began, whose state it goes on reading. */
static bool is_behind(const struct amend_conn *db, const struct amend_error *err)
{
	return (db->isolation == AMEND_REPEATABLE_READ || db->isolation == AMEND_SERIALIZABLE) &&
	       strcmp(err->sqlstate, AMEND_SQLSTATE_TABLE_EXISTS) == 0;
}

enum amend_status amend_ledger_await(struct amend_conn *db, struct amend_error *err)
{
	return emit_all(db->dialect, "", db->dialect->ledger_lock, run_statement, db, err);
}

/* One after another: the first statements of the dialect make later installers wait for this one. */
static enum amend_status install(struct amend_conn *db, void *context, struct amend_error *err)
{
	bool *changed = context;
	struct amend_rows rights = AMEND_ROWS_INIT;
	int version = 0;
	enum amend_status status;
	bool sums = false;

	status = amend_ledger_await(db, err);
	if (status == AMEND_OK)
		status = read_version(db, &version, &sums, err);
	if (status == AMEND_OK)
		status = check_version(version, err);
	if (status != AMEND_OK || version == AMEND_LEDGER_VERSION)
		return status;
	if (version == 0)
		status = emit_all(db->dialect, "", db->dialect->ledger_before, run_statement, db,
				  err);
	else
		status = read_rights(db, &rights, err);
	if (status == AMEND_OK)
		status = emit_steps(db->dialect, version, sums, run_statement, db, err);
	if (status != AMEND_OK && is_behind(db, err))
		status = amend_error_set(
			err, AMEND_RETRY,
			"the ledger was installed by another since this transaction began");
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
	enum amend_status status;

	if (!amend_ledger_state(db, err))
		return AMEND_NO_MEMORY;
	status = amend_ledger_await(db, err);
	if (status == AMEND_OK)
		status = read_version(db, &version, &sums, err);
	if (status == AMEND_OK)
		status = check_version(version, err);
	if (status == AMEND_OK && version < AMEND_LEDGER_VERSION) {
		*changed = true;
		status = emit_tables(db->dialect, version, sums, run_statement, db, err);
		if (status == AMEND_OK)
			status = amend_atomic(db, NULL, finish, &version, err);
		/* Another was first. */
		if (status == AMEND_CONSTRAINT && strcmp(err->sqlstate, AMEND_SQLSTATE_UNIQUE) == 0)
			status = AMEND_OK;
	}
	/* Also where taking it was interrupted: it may be taken. */
	for (const char *const *unlock = db->dialect->ledger_unlock; unlock && *unlock; unlock++)
		amend_let_go(db, *unlock);
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
	if (status != AMEND_OK || version == AMEND_LEDGER_VERSION || db->ledger->installing)
		return status;
	if (!amend_has(db, AMEND_HAS_DDL_ROLLBACK)) {
		status = install_aside(db, changed, err);
		return status == AMEND_OK ? remember(db, AMEND_LEDGER_VERSION, err) : status;
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
		version = AMEND_LEDGER_VERSION;
		status = AMEND_OK;
	}
	if (status == AMEND_OK)
		status = check_version(version, err);
	if (status == AMEND_OK && version == 0)
		status = emit_all(db->dialect, "", db->dialect->ledger_before, emit_statement,
				  &script, err);
	else if (status == AMEND_OK && version < AMEND_LEDGER_VERSION)
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

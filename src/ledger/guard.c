/*
 * Guarding tables: what is asked for, what stands, and making the one into the other.
 * Leaves the triggers' texts to the drivers, and finding out what has become of them to guard_check.c.
 */
#include "ledger/guard.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/rows.h"
#include "sql/conn.h"
#include "sql/table.h"

/* Versions begin here, and rise from there: a record that is made anew gets none that it had before. */
static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what is wanted ---- */

static bool in_a_key(const struct amend_table *table, uint32_t column)
{
	for (size_t i = 0; i < table->n_keys; i++) {
		for (size_t j = 0; j < table->keys[i].n_columns; j++) {
			if (table->keys[i].columns[j] == column)
				return true;
		}
	}
	return false;
}

static enum amend_status check_version(const struct amend_table *table, size_t at,
				       struct amend_error *err)
{
	const struct amend_column *column = &table->columns[at];

	if (column->class_ != AMEND_CLASS_INTEGER)
		return amend_error_set(err, AMEND_INVALID,
				       "%s.%s is %s, and a version is an integer (hint: "
				       "--version-column names another column, or a new one)",
				       table->qualified, column->name,
				       *column->type ? column->type : "of no type");
	if (column->generated || column->identity || in_a_key(table, (uint32_t)at))
		return amend_error_set(
			err, AMEND_INVALID,
			"%s.%s is generated, or part of a key, and cannot be the version column",
			table->qualified, column->name);
	if (!column->not_null)
		return amend_error_set(
			err, AMEND_INVALID,
			"%s.%s may be NULL, which is no version (hint: give its rows one, "
			"and make it NOT NULL)",
			table->qualified, column->name);
	return AMEND_OK;
}

static enum amend_status plan_version(struct amend_conn *db, struct amend_guarding *guarding,
				      const char *name, struct amend_error *err)
{
	struct amend_table *planned = &guarding->planned;
	struct amend_column *columns;
	int at = amend_table_column(planned, name);
	enum amend_status status;

	if (at >= 0) {
		planned->version = at;
		planned->version_is_time = false;
		guarding->wanted.version = planned->columns[at].name;
		return check_version(planned, (size_t)at, err);
	}
	columns = amend_arena_array(&guarding->arena, planned->n_columns + 1, sizeof(*columns));
	name = amend_arena_text(&guarding->arena, name);
	if (!columns || !name)
		return amend_no_memory(err);
	memcpy(columns, planned->columns, planned->n_columns * sizeof(*columns));
	status = db->driver->guard_column(guarding->table, name, clock_ms(), &guarding->arena,
					  &columns[planned->n_columns], guarding->column, err);
	planned->columns = columns;
	planned->version = (int)planned->n_columns++;
	planned->version_is_time = false;
	guarding->wanted.version = name;
	return status;
}

static enum amend_status plan_ignored(struct amend_guarding *guarding, const char *const *names,
				      size_t n, bool *covered, struct amend_error *err)
{
	const struct amend_table *planned = &guarding->planned;
	struct amend_guard_record *wanted = &guarding->wanted;

	wanted->ignored = amend_arena_array(&guarding->arena, n, sizeof(*wanted->ignored));
	if (!wanted->ignored)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		size_t at;
		enum amend_status status = amend_table_find(planned, names[i], &at, err);

		if (status != AMEND_OK)
			return status;
		if ((int)at == planned->version || in_a_key(planned, (uint32_t)at))
			return amend_error_set(
				err, AMEND_INVALID,
				"%s.%s is the version, or part of a key, and cannot be "
				"left out of history",
				planned->qualified, planned->columns[at].name);
		covered[at] = false;
		wanted->ignored[wanted->n_ignored++] = planned->columns[at].name;
	}
	return AMEND_OK;
}

static bool can_be_added_to(const struct amend_table *table, size_t at)
{
	switch (table->columns[at].class_) {
	case AMEND_CLASS_INTEGER:
	case AMEND_CLASS_NUMBER:
	case AMEND_CLASS_REAL:
	case AMEND_CLASS_ANY:
		return (int)at != table->version && !table->columns[at].generated &&
		       !in_a_key(table, (uint32_t)at);
	case AMEND_CLASS_TEXT:
	case AMEND_CLASS_BOOLEAN:
	case AMEND_CLASS_BLOB:
	case AMEND_CLASS_JSON:
	case AMEND_CLASS_TIME:
	case AMEND_CLASS_OTHER:
		break;
	}
	return false;
}

static enum amend_status plan_additive(struct amend_guarding *guarding, const char *const *names,
				       size_t n, struct amend_error *err)
{
	const struct amend_table *planned = &guarding->planned;
	struct amend_guard_record *wanted = &guarding->wanted;

	wanted->additive = amend_arena_array(&guarding->arena, n, sizeof(*wanted->additive));
	if (!wanted->additive)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		size_t at;
		enum amend_status status = amend_table_find(planned, names[i], &at, err);

		if (status != AMEND_OK)
			return status;
		if (!can_be_added_to(planned, at))
			return amend_error_set(
				err, AMEND_INVALID,
				"what is added to %s.%s cannot count: expected a number that is "
				"neither the version nor part of a key",
				planned->qualified, planned->columns[at].name);
		wanted->additive[wanted->n_additive++] = planned->columns[at].name;
	}
	return AMEND_OK;
}

/* Those that were named once and are gone since need not be named; NULL: no memory. */
static const char **still_there(struct amend_guarding *guarding, const char *const *names, size_t *n)
{
	const char **there = amend_arena_array(&guarding->arena, *n, sizeof(*there));
	size_t left = 0;

	for (size_t i = 0; there && i < *n; i++) {
		if (amend_table_column(guarding->table, names[i]) >= 0)
			there[left++] = names[i];
	}
	*n = left;
	return there;
}

static enum amend_status plan_columns(struct amend_guarding *guarding,
				      const struct amend_guard_options *options, bool *covered,
				      struct amend_error *err)
{
	const struct amend_table *planned = &guarding->planned;
	const struct amend_guard_record *stood = &guarding->stood;
	struct amend_guard_record *wanted = &guarding->wanted;
	size_t n_ignored = stood->n_ignored, n_additive = stood->n_additive;
	const char **ignored = still_there(guarding, stood->ignored, &n_ignored);
	const char **additive = still_there(guarding, stood->additive, &n_additive);
	enum amend_status status;

	if (!ignored || !additive)
		return amend_no_memory(err);
	for (size_t i = 0; i < planned->n_columns; i++)
		covered[i] = !planned->columns[i].generated;
	status = options->n_ignore > 0
			 ? plan_ignored(guarding, options->ignore, options->n_ignore, covered, err)
			 : plan_ignored(guarding, ignored, n_ignored, covered, err);
	if (status == AMEND_OK)
		status = options->n_additive > 0
				 ? plan_additive(guarding, options->additive, options->n_additive,
						 err)
				 : plan_additive(guarding, additive, n_additive, err);
	wanted->covered = amend_arena_array(&guarding->arena, planned->n_columns,
					    sizeof(*wanted->covered));
	if (status == AMEND_OK && !wanted->covered)
		status = amend_no_memory(err);
	for (size_t i = 0; i < planned->n_columns && status == AMEND_OK; i++) {
		if (covered[i])
			wanted->covered[wanted->n_covered++] = planned->columns[i].name;
	}
	return status;
}

/* A default that only a guard would give: a time in milliseconds, which no counter begins with. */
static bool from_clock(const struct amend_column *version)
{
	enum { SECONDS = 1000000000 };

	return version->default_ &&
	       strspn(version->default_, "0123456789") == strlen(version->default_) &&
	       strtoll(version->default_, NULL, 10) > (long long)SECONDS * 1000;
}

static enum amend_status plan(struct amend_conn *db, struct amend_guarding *guarding,
			      const struct amend_guard_options *options, struct amend_error *err)
{
	const struct amend_guard_record *stood = &guarding->stood;
	struct amend_guard_record *wanted = &guarding->wanted;
	struct amend_guard_spec spec = {.table = &guarding->planned};
	const char *version = options->version_column ? options->version_column : stood->version;
	bool *covered = NULL;
	enum amend_status status;

	if (!version)
		version = guarding->table->version >= 0 && !guarding->table->version_is_time
				  ? guarding->table->columns[guarding->table->version].name
				  : "version";
	*wanted = (struct amend_guard_record){.table = guarding->table->qualified};
	wanted->stale = options->stale ? options->stale : stood->stale;
	if (!wanted->stale)
		wanted->stale = AMEND_STALE_EQUAL;
	wanted->history = options->history || stood->history;
	wanted->by_statement = options->by_statement || (stood->by_statement && !options->by_row);
	if (!wanted->history && (options->by_statement || options->by_row || options->n_ignore > 0))
		return amend_error_set(err, AMEND_INVALID,
				       "what is recorded, and how, needs history");
	status = plan_version(db, guarding, version, err);
	if (status == AMEND_OK) {
		covered = amend_arena_array(&guarding->arena, guarding->planned.n_columns,
					    sizeof(*covered));
		status = covered ? plan_columns(guarding, options, covered, err)
				 : amend_no_memory(err);
	}
	if (status != AMEND_OK)
		return status;
	spec.clock = from_clock(&guarding->planned.columns[guarding->planned.version]);
	spec.stale = wanted->stale;
	spec.history = wanted->history;
	spec.by_statement = wanted->by_statement;
	spec.covered = covered;
	return db->driver->guard_parts(db->session, &spec, &guarding->arena, &guarding->parts,
				       &guarding->n_parts, err);
}

const struct amend_guard_options amend_guard_nothing = AMEND_GUARD_OPTIONS_INIT;

enum amend_status amend_guarding_open(struct amend_conn *db, const char *table, bool recorded,
				      const struct amend_guard_options *options,
				      struct amend_guarding *out, struct amend_error *err)
{
	static const struct amend_guard_options as_it_stands = AMEND_GUARD_OPTIONS_INIT;
	enum amend_status status;

	*out = (struct amend_guarding){0};
	if (!db->driver->guard_parts)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "amend guard is not available on %s yet", db->driver->name);
	status = recorded ? amend_table_open_recorded(db, table, &out->table, err)
			  : amend_table_open(db, table, &out->table, err);
	if (status == AMEND_OK)
		status = amend_ledger_refuse(db, out->table, err);
	if (status != AMEND_OK)
		return status;
	out->planned = *out->table;
	status = amend_guard_record_read(db, out->table->qualified, &out->arena, &out->stood, err);
	if (status == AMEND_OK)
		status = db->driver->guard_found(db->session, out->table, &out->arena, &out->found,
						 &out->n_found, err);
	if (status == AMEND_OK && options != &amend_guard_nothing && (options || out->stood.version))
		status = plan(db, out, options ? options : &as_it_stands, err);
	return status;
}

void amend_guarding_close(struct amend_guarding *guarding)
{
	amend_table_close(guarding->table);
	amend_arena_release(&guarding->arena);
	*guarding = (struct amend_guarding){0};
}

const struct amend_guard_found *amend_guarding_stands(const struct amend_guarding *guarding,
						      const struct amend_guard_part *part)
{
	for (size_t i = 0; i < guarding->n_found; i++) {
		if (strcmp(guarding->found[i].name, part->name) == 0 &&
		    strcmp(guarding->found[i].mark, part->mark) == 0)
			return &guarding->found[i];
	}
	return NULL;
}

bool amend_guarding_wanted(const struct amend_guarding *guarding,
			   const struct amend_guard_found *found)
{
	for (size_t i = 0; i < guarding->n_parts; i++) {
		if (strcmp(guarding->parts[i].name, found->name) == 0)
			return true;
	}
	return false;
}

/* ---- from the one to the other ---- */

typedef enum amend_status (*statement_fn)(void *context, const char *statement,
					  struct amend_error *err);

static enum amend_status each_of(const char *const statements[AMEND_GUARD_STATEMENTS],
				 statement_fn each, void *context, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < AMEND_GUARD_STATEMENTS && statements[i] && status == AMEND_OK; i++)
		status = each(context, statements[i], err);
	return status;
}

static enum amend_status each_trigger(const struct amend_guarding *guarding, statement_fn each,
				      void *context, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < guarding->n_found && status == AMEND_OK; i++) {
		if (!amend_guarding_wanted(guarding, &guarding->found[i]))
			status = each_of(guarding->found[i].drop, each, context, err);
	}
	for (size_t i = 0; i < guarding->n_parts && status == AMEND_OK; i++) {
		const struct amend_guard_found *found = amend_guarding_stands(guarding,
									      &guarding->parts[i]);

		if (!found || found->problem)
			status = each_of(guarding->parts[i].make, each, context, err);
	}
	return status;
}

static bool same_names(const char *const *a, size_t n_a, const char *const *b, size_t n_b)
{
	for (size_t i = 0; i < n_a && n_a == n_b; i++) {
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return n_a == n_b;
}

static bool same_record(const struct amend_guard_record *a, const struct amend_guard_record *b)
{
	return a->version && b->version && strcmp(a->version, b->version) == 0 &&
	       a->stale == b->stale && a->history == b->history &&
	       a->by_statement == b->by_statement &&
	       same_names(a->covered, a->n_covered, b->covered, b->n_covered) &&
	       same_names(a->ignored, a->n_ignored, b->ignored, b->n_ignored) &&
	       same_names(a->additive, a->n_additive, b->additive, b->n_additive);
}

struct plan_out {
	void (*each)(void *context, const char *statement);
	void *context;
};

static enum amend_status show(void *context, const char *statement, struct amend_error *err)
{
	const struct plan_out *out = context;

	(void)err;
	out->each(out->context, statement);
	return AMEND_OK;
}

enum amend_status amend_guard_plan(
	struct amend_conn *db, const char *table, const struct amend_guard_options *options,
	bool off, void (*state)(void *context, const struct amend_guard_state *state),
	void (*each)(void *context, const char *statement), void *context, struct amend_error *err)
{
	struct plan_out out = {each, context};
	struct amend_guarding guarding = {0};
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = amend_guarding_open(db, table, false, off ? &amend_guard_nothing : options,
				     &guarding, err);
	if (status == AMEND_OK && guarding.table && state) {
		const struct amend_guard_record *is = off ? &guarding.stood : &guarding.wanted;
		const struct amend_guard_state told = {
			.table = guarding.table->qualified,
			.version_column = is->version,
			.stale = is->stale,
			.history = is->history,
			.by_statement = is->by_statement,
			.ignored = is->ignored,
			.n_ignored = is->n_ignored,
			.additive = is->additive,
			.n_additive = is->n_additive,
		};

		state(context, &told);
	}
	if (status == AMEND_OK && guarding.column[0])
		status = each_of(guarding.column, show, &out, err);
	if (status == AMEND_OK)
		status = each_trigger(&guarding, show, &out, err);
	amend_guarding_close(&guarding);
	return amend_leave(db, status, err);
}

struct work {
	const char *table;
	const struct amend_guard_options *options; /* NULL: it is taken away */
	bool changed;
};

static enum amend_status execute(void *context, const char *statement, struct amend_error *err)
{
	return amend_exec_text(context, statement, err);
}

static enum amend_status note(void *context, const char *statement, struct amend_error *err)
{
	bool *any = context;

	(void)statement;
	(void)err;
	*any = true;
	return AMEND_OK;
}

/* One after another: who guards at the same time waits for this one. */
static enum amend_status take_turn(struct amend_conn *db, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (const char *const *lock = db->dialect->ledger_lock;
	     lock && *lock && status == AMEND_OK; lock++)
		status = amend_exec_text(db, *lock, err);
	return status;
}

/* Nobody sees half of it; else the transaction sees to that. */
static enum amend_status hold(struct amend_conn *db, const struct amend_guarding *guarding,
			      struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status;

	if (!db->dialect->guard_hold[0])
		return AMEND_OK;
	amend_buffer_text(&text, db->dialect->guard_hold[0]);
	amend_buffer_text(&text, guarding->table->sql);
	amend_buffer_text(&text, db->dialect->guard_hold[1]);
	status = text.failed ? amend_no_memory(err) : amend_exec_text(db, text.data, err);
	amend_buffer_release(&text);
	return status;
}

/* Rather no guard than one by which every write fails, for its owner may not do what the triggers do. */
static enum amend_status look_again(struct amend_conn *db, const struct work *work,
				    struct amend_error *err)
{
	struct amend_guarding guarding = {0};
	enum amend_status status = amend_guarding_open(db, work->table, false, work->options,
						       &guarding, err);

	for (size_t i = 0; status == AMEND_OK && i < guarding.n_found; i++) {
		if (guarding.found[i].problem)
			status = amend_error_set(err, AMEND_DENIED, "trigger %s %s",
						 guarding.found[i].name, guarding.found[i].problem);
	}
	amend_guarding_close(&guarding);
	return status;
}

static enum amend_status install(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct work *work = context;
	struct amend_guarding guarding = {0};
	bool any = false;
	enum amend_status status = amend_ledger_need(db, err);

	work->changed = false;
	if (status == AMEND_OK)
		status = take_turn(db, err);
	if (status == AMEND_OK)
		status = amend_guarding_open(db, work->table, false, work->options, &guarding, err);
	if (status == AMEND_OK && guarding.column[0]) {
		status = each_of(guarding.column, execute, db, err);
		any = true;
		/* Triggers are made for the table as it is then. */
		amend_guarding_close(&guarding);
		if (status == AMEND_OK)
			status = amend_guarding_open(db, work->table, false, work->options,
						     &guarding, err);
	}
	if (status == AMEND_OK)
		status = each_trigger(&guarding, note, &any, err);
	work->changed = any || !same_record(&guarding.stood, &guarding.wanted);
	if (status == AMEND_OK && work->changed)
		status = hold(db, &guarding, err);
	/* First of all: no trigger stands of which nothing is known, wherever this ends. */
	if (status == AMEND_OK && work->changed)
		status = amend_guard_record_write(db, &guarding.wanted, err);
	if (status == AMEND_OK)
		status = each_trigger(&guarding, execute, db, err);
	amend_guarding_close(&guarding);
	if (status == AMEND_OK && any)
		status = look_again(db, work, err);
	return status;
}

static enum amend_status take_away(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct work *work = context;
	struct amend_guarding guarding = {0};
	bool any = false;
	bool recorded;
	enum amend_status status = take_turn(db, err);

	if (status == AMEND_OK)
		status = amend_guarding_open(db, work->table, false, &amend_guard_nothing,
					     &guarding, err);
	recorded = guarding.stood.version != NULL;
	if (status == AMEND_OK)
		status = each_trigger(&guarding, note, &any, err);
	if (status == AMEND_OK && recorded)
		status = hold(db, &guarding, err);
	if (status == AMEND_OK)
		status = each_trigger(&guarding, execute, db, err);
	if (status == AMEND_OK && recorded)
		status = amend_guard_record_delete(db, guarding.table->qualified, err);
	work->changed = any || recorded;
	amend_guarding_close(&guarding);
	return status;
}

/* Where each statement commits by itself. */
static enum amend_status run_plainly(struct amend_conn *db, struct work *work, amend_unit_fn fn,
				     struct amend_error *err)
{
	enum amend_status status;

	if (amend_in_transaction(db))
		return amend_error_set(err, AMEND_INVALID,
				       "triggers are made outside of transactions here: they would "
				       "commit the open one (hint: end it first)");
	status = fn(db, work, err);
	/* What was not taken, or is lost with the connection, is not there to be given up. */
	amend_let_go(db, db->dialect->guard_let_go);
	for (const char *const *unlock = db->dialect->ledger_unlock; unlock && *unlock; unlock++)
		amend_let_go(db, *unlock);
	return status;
}

static enum amend_status run(struct amend_conn *db, struct work *work, amend_unit_fn fn,
			     bool *changed, struct amend_error *err)
{
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = amend_has(db, AMEND_HAS_DDL_ROLLBACK) ? amend_atomic(db, NULL, fn, work, err)
						       : run_plainly(db, work, fn, err);
	if (status == AMEND_DENIED && !strstr(err->text, "(hint:")) {
		size_t size = strlen(err->text);

		snprintf(
			err->text + size, sizeof(err->text) - size,
			" (hint: it is for the table's owner, with the rights that `amend init DB --print --guard` shows)");
	}
	if (changed)
		*changed = status == AMEND_OK && work->changed;
	return amend_leave(db, status, err);
}

enum amend_status amend_guard(struct amend_conn *db, const char *table,
			      const struct amend_guard_options *options, bool *changed,
			      struct amend_error *err)
{
	static const struct amend_guard_options usual = AMEND_GUARD_OPTIONS_INIT;
	struct work work = {.table = table, .options = options ? options : &usual};

	return run(db, &work, install, changed, err);
}

enum amend_status amend_unguard(struct amend_conn *db, const char *table, bool *changed,
				struct amend_error *err)
{
	struct work work = {.table = table};

	return run(db, &work, take_away, changed, err);
}

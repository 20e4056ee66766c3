/*
 * Revisions, runs and changes: who, when, why, and each field's old and new value.
 * Leaves what a change is to the road, and reading history to record/history.c.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/json_text.h"
#include "core/rows.h"
#include "ledger/state.h"

const char *amend_author_who(struct amend_conn *db)
{
	struct amend_ledger *ledger = db->ledger;
	struct passwd entry, *found = NULL;
	char text[1024];

	if (db->who)
		return db->who;
	if (!ledger)
		return "";
	if (*ledger->who)
		return ledger->who;
	if (getpwuid_r(getuid(), &entry, text, sizeof(text), &found) == 0 && found)
		snprintf(ledger->who, sizeof(ledger->who), "%s", found->pw_name);
	else
		snprintf(ledger->who, sizeof(ledger->who), "%ld", (long)getuid());
	return ledger->who;
}

const char *amend_author_why(const struct amend_conn *db)
{
	return db->why ? db->why : "";
}

/* `now, who, why, program`: what a revision and a run have in common. */
static void add_author(struct amend_sql *sql, struct amend_conn *db)
{
	amend_sql_text(sql, db->dialect->now);
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, amend_author_who(db));
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, amend_author_why(db));
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, db->program ? db->program : "");
}

/* splitmix64 from a random start: the system is asked once, not for each write. */
static uint64_t next_random(struct amend_ledger *ledger)
{
	uint64_t z;

	if (ledger->mark_seed == 0)
		ledger->mark_seed = (uint64_t)amend_clock_random() << 32 | amend_clock_random();
	z = ledger->mark_seed += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void amend_revision_insert(struct amend_sql *sql, struct amend_conn *db, const char *source,
			   const char *number)
{
	struct amend_ledger *ledger = db->ledger;
	int64_t run = ledger ? ledger->run : 0;
	bool alone = ledger && amend_marked(db);
	bool in_unit = ledger && !alone && amend_may_reconnect(db);

	amend_sql_text(sql, "INSERT INTO ");
	amend_sql_ledger(sql, "revision");
	amend_sql_text(sql, *number ? " (id, at, who, why, program, run"
				    : " (at, who, why, program, run");
	if (db->dialect->revision_xact)
		amend_sql_text(sql, ", xact");
	amend_sql_text(sql, in_unit ? ", mark) SELECT " : ") SELECT ");
	if (*number) {
		amend_sql_text(sql, number);
		amend_sql_text(sql, ", ");
	}
	add_author(sql, db);
	amend_sql_text(sql, ", ");
	if (run)
		amend_sql_integer(sql, run);
	else
		amend_sql_no_integer(sql);
	if (alone) {
		amend_sql_text(sql, ", ");
		amend_sql_integer(sql, ledger->mark);
		ledger->mark_sent = true;
	} else if (db->dialect->revision_xact) {
		amend_sql_text(sql, ", ");
		amend_sql_text(sql, db->dialect->revision_xact);
	}
	if (in_unit) {
		ledger->unit_mark = (int64_t)(next_random(ledger) >> 1);
		amend_sql_text(sql, ", ");
		amend_sql_integer(sql, ledger->unit_mark);
	}
	if (*source) {
		amend_sql_text(sql, " FROM ");
		amend_sql_text(sql, source);
	}
	if (!*number)
		amend_sql_text(sql, " RETURNING id");
}

/* The one number that a statement returned, whatever the engine's kind for it. */
static enum amend_status number_at(const struct amend_rows *rows, int64_t *out,
				   struct amend_error *err)
{
	const struct amend_value *value = rows->n_rows == 1 ? amend_rows_at(rows, 0, 0) : NULL;

	if (value && amend_value_number(value, out))
		return AMEND_OK;
	return amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
}

static enum amend_status exec_number(struct amend_conn *db, const struct amend_sql *sql,
				     int64_t *out, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_exec(db, sql, &rows, err);

	if (status == AMEND_OK)
		status = number_at(&rows, out, err);
	amend_rows_release(&rows);
	return status;
}

static void revision_ended(struct amend_conn *db, void *context, bool committed)
{
	struct amend_ledger *ledger = db->ledger;

	(void)context;
	if (committed && amend_may_reconnect(db))
		ledger->told = (struct amend_told){ledger->revision, ledger->unit_mark, false};
	ledger->revision = 0;
}

int64_t amend_revision_current(const struct amend_conn *db)
{
	return db->ledger ? db->ledger->revision : 0;
}

enum amend_status amend_mark_begin(struct amend_conn *db, struct amend_mark *mark,
				   struct amend_error *err)
{
	struct amend_ledger *ledger;

	*mark = (struct amend_mark){0};
	if (!amend_may_reconnect(db) || amend_in_transaction(db) || !db->driver->peer ||
	    !db->dialect->revision_xact)
		return AMEND_OK;
	ledger = amend_ledger_state(db, err);
	if (!ledger)
		return AMEND_NO_MEMORY;
	/* Below 0, where no transaction has its number: no trigger takes it for its own. */
	mark->number = -1 - (int64_t)(next_random(ledger) >> 2);
	mark->peer = db->driver->peer(db->session);
	ledger->mark = mark->number;
	ledger->mark_sent = false;
	return AMEND_OK;
}

void amend_mark_end(struct amend_conn *db)
{
	if (db->ledger)
		db->ledger->mark = 0;
}

bool amend_marked(const struct amend_conn *db)
{
	return db->ledger && db->ledger->mark && db->depth == 0;
}

enum amend_status amend_revision_made(struct amend_conn *db, int64_t id, struct amend_error *err)
{
	enum amend_status status;

	/* A statement outside a unit was a transaction of its own: nothing to go on with. */
	if (db->depth == 0) {
		if (db->ledger)
			db->ledger->latest = id;
		if (amend_marked(db))
			db->ledger->told = (struct amend_told){id, db->ledger->mark, true};
		return AMEND_OK;
	}
	status = amend_on_end(db, revision_ended, NULL, err);
	if (status == AMEND_OK)
		db->ledger->revision = id;
	return status;
}

enum amend_status amend_revision_need(struct amend_conn *db, int64_t *id, struct amend_error *err)
{
	struct amend_ledger *ledger = amend_ledger_state(db, err);
	struct amend_sql sql;
	enum amend_status status;
	int64_t run;

	if (!ledger)
		return AMEND_NO_MEMORY;
	*id = ledger->revision;
	if (*id)
		return AMEND_OK;
	status = amend_run_need(db, &run, err);
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, db);
	amend_revision_insert(&sql, db, "", "");
	status = exec_number(db, &sql, id, err);
	amend_sql_release(&sql);
	return status == AMEND_OK ? amend_revision_made(db, *id, err) : status;
}

void amend_run_begin(struct amend_conn *db, const struct amend_run_spec *spec)
{
	struct amend_error ignored;
	struct amend_ledger *ledger = amend_ledger_state(db, &ignored);

	if (!ledger)
		return; /* the first write fails for want of memory */
	ledger->run_copy = *spec;
	ledger->run_spec = &ledger->run_copy;
	ledger->run = 0;
}

enum amend_status amend_run_join(struct amend_conn *db, const struct amend_run_spec *spec,
				 int64_t id, struct amend_error *err)
{
	if (!amend_ledger_state(db, err))
		return AMEND_NO_MEMORY;
	amend_run_begin(db, spec);
	db->ledger->run = id;
	return AMEND_OK;
}

void amend_run_end(struct amend_conn *db)
{
	if (!db->ledger)
		return;
	db->ledger->run_spec = NULL;
	db->ledger->run = 0;
}

bool amend_run_pending(const struct amend_conn *db)
{
	return db->ledger && db->ledger->run_spec && !db->ledger->run;
}

int64_t amend_run_current(const struct amend_conn *db)
{
	return db->ledger ? db->ledger->run : 0;
}

static void run_ended(struct amend_conn *db, void *context, bool committed)
{
	(void)context;
	if (!committed)
		db->ledger->run = 0;
}

enum amend_status amend_run_need(struct amend_conn *db, int64_t *id, struct amend_error *err)
{
	struct amend_ledger *ledger = amend_ledger_state(db, err);
	struct amend_sql sql;
	enum amend_status status;

	if (!ledger)
		return AMEND_NO_MEMORY;
	*id = ledger->run;
	if (*id || !ledger->run_spec)
		return AMEND_OK;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "run");
	amend_sql_text(&sql, " (at, who, why, program, source, tbl) SELECT ");
	add_author(&sql, db);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, ledger->run_spec->source);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, ledger->run_spec->table);
	amend_sql_text(&sql, " RETURNING id");
	status = exec_number(db, &sql, id, err);
	amend_sql_release(&sql);
	if (status == AMEND_OK)
		status = amend_on_end(db, run_ended, NULL, err);
	if (status == AMEND_OK)
		ledger->run = *id;
	return status;
}

/* What can be restored: the base's first key, under no name, and its pack. NULL: there was none. */
void amend_change_pack_base(struct amend_buffer *pack, const struct amend_base *base)
{
	const struct amend_value first_key = amend_text(base->first_key);

	amend_pack_add(pack, "", &first_key);
	amend_buffer_add(pack, base->pack, base->pack_size);
}

enum amend_status amend_change_record(struct amend_conn *db, const struct amend_change_spec *spec,
				      int64_t *id, struct amend_error *err)
{
	struct amend_buffer base = AMEND_BUFFER_INIT;
	struct amend_sql sql;
	enum amend_status status;
	int64_t revision = 0;

	status = amend_revision_need(db, &revision, err);
	if (status == AMEND_OK && spec->base) {
		amend_change_pack_base(&base, spec->base);
		if (base.failed)
			status = amend_no_memory(err);
	}
	if (status != AMEND_OK)
		goto out;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " (revision, tbl, pk, was, op, fields, source, base) VALUES (");
	amend_sql_integer(&sql, revision);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->table->qualified);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->pk);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->was);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->op);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->fields);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->source);
	amend_sql_text(&sql, ", ");
	if (spec->base)
		amend_sql_bytes(&sql, base.data, base.size);
	else
		amend_sql_text(&sql, "NULL");
	amend_sql_text(&sql, ") RETURNING id");
	status = exec_number(db, &sql, id, err);
	amend_sql_release(&sql);
out:
	amend_buffer_release(&base);
	return status;
}

enum { REVISION, TBL, PK, WAS, OP, FIELDS, SOURCE, BASE, WIDTH };

/* A row for each change; what they say of bases goes into `packs`. */
static bool fill_changes(const struct amend_change_spec *specs, size_t n, int64_t revision,
			 struct amend_value *values, struct amend_buffer *packs)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		struct amend_value *row = values + i * WIDTH;
		size_t start = packs->size;

		row[REVISION] = amend_integer(revision);
		row[TBL] = amend_text(specs[i].table->qualified);
		row[PK] = amend_text(specs[i].pk);
		row[WAS] = amend_text(specs[i].was);
		row[OP] = amend_text(specs[i].op);
		row[FIELDS] = amend_text(specs[i].fields);
		row[SOURCE] = amend_text(specs[i].source);
		row[BASE] = amend_null();
		if (specs[i].base) {
			amend_change_pack_base(packs, specs[i].base);
			row[BASE] = amend_blob(NULL, packs->size - start);
		}
	}
	/* Only now do they stay where they are. */
	for (size_t i = 0; i < n && !packs->failed; i++) {
		struct amend_value *base = &values[i * WIDTH + BASE];

		if (base->kind == AMEND_BLOB)
			base->as.blob = packs->data + at;
		at += base->size;
	}
	return !packs->failed;
}

/* One statement: a set is read in its order, so that is the order of the ids. */
static enum amend_status record_arrays(struct amend_conn *db, const struct amend_value *values,
				       size_t n, struct amend_error *err)
{
	const char *text = db->dialect->text_type;
	const struct amend_sql_array arrays[] = {
		{.type = text, .values = values + PK, .stride = WIDTH},
		{.type = text, .values = values + WAS, .stride = WIDTH},
		{.type = text, .values = values + OP, .stride = WIDTH},
		{.type = text, .values = values + FIELDS, .stride = WIDTH},
		{.type = text, .values = values + SOURCE, .stride = WIDTH},
		{.type = db->dialect->bytes_type, .values = values + BASE, .stride = WIDTH},
	};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " (revision, tbl, pk, was, op, fields, source, base) SELECT ");
	amend_sql_integer(&sql, values[REVISION].as.integer);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, values[TBL].as.text);
	amend_sql_text(&sql, ", w.* FROM ");
	amend_sql_unnest(&sql, arrays, sizeof(arrays) / sizeof(arrays[0]), n);
	amend_sql_text(&sql, " AS w");
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status record_load(struct amend_conn *db, const struct amend_value *values,
				     size_t n, struct amend_error *err)
{
	static const size_t columns[] = {REVISION, TBL, PK, WAS, OP, FIELDS, SOURCE, BASE};
	struct amend_load load = {
		.columns = columns, .n_columns = WIDTH, .values = values, .stride = WIDTH, .n = n};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " (revision, tbl, pk, was, op, fields, source, base)");
	load.into = amend_buffer_string(&sql.text);
	status = load.into ? amend_load(db, &load, err) : amend_no_memory(err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status record_each(struct amend_conn *db, const struct amend_value *values,
				     size_t n, struct amend_error *err)
{
	struct amend_repeat repeat = {.n_values = WIDTH, .values = values, .n = n};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " (revision, tbl, pk, was, op, fields, source, base) VALUES (");
	amend_sql_integer(&sql, 0);
	for (size_t i = TBL; i < BASE; i++) {
		amend_sql_text(&sql, ", ");
		amend_sql_string(&sql, NULL);
	}
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, NULL, 0);
	amend_sql_text(&sql, ")");
	repeat.sql = amend_buffer_string(&sql.text);
	status = amend_repeat(db, &repeat, err);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_changes_record(struct amend_conn *db, const struct amend_change_spec *specs,
				       size_t n, struct amend_error *err)
{
	enum { SLICE = 4096, MANY = 32 /* worth a load's second trip */ };
	struct amend_value *values = NULL;
	struct amend_buffer packs = AMEND_BUFFER_INIT;
	enum amend_status status;
	int64_t revision = 0;

	if (n == 0)
		return AMEND_OK;
	status = amend_revision_need(db, &revision, err);
	if (status == AMEND_OK) {
		values = calloc(n < SLICE ? n : SLICE, WIDTH * sizeof(*values));
		status = values ? AMEND_OK : amend_no_memory(err);
	}
	for (size_t at = 0; at < n && status == AMEND_OK; at += SLICE) {
		size_t size = n - at < SLICE ? n - at : SLICE;

		amend_buffer_reset(&packs);
		if (!fill_changes(specs + at, size, revision, values, &packs))
			status = amend_no_memory(err);
		else if (size >= MANY && amend_loads(db))
			status = record_load(db, values, size, err);
		else if (amend_has(db, AMEND_HAS_ARRAYS))
			status = record_arrays(db, values, size, err);
		else
			status = record_each(db, values, size, err);
	}
	amend_buffer_release(&packs);
	free(values);
	return status;
}

size_t amend_fields_text(struct amend_buffer *buffer, const struct amend_table *table,
			 const struct amend_value *before, const struct amend_value *after)
{
	static const struct amend_value nothing = {.kind = AMEND_NULL};
	size_t n = 0;

	amend_buffer_char(buffer, '{');
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];
		const struct amend_value *from = before ? &before[i] : &nothing;
		const struct amend_value *to = after ? &after[i] : &nothing;

		if (column->generated || amend_value_equal(from, to))
			continue;
		if (n++ > 0)
			amend_buffer_char(buffer, ',');
		amend_json_string(buffer, column->name, strlen(column->name));
		amend_buffer_text(buffer, ":[");
		amend_json_value(buffer, from, column->class_);
		amend_buffer_char(buffer, ',');
		amend_json_value(buffer, to, column->class_);
		amend_buffer_char(buffer, ']');
	}
	amend_buffer_char(buffer, '}');
	return n;
}

void amend_pk_text(struct amend_buffer *buffer, const struct amend_table *table,
		   const struct amend_value *values, const struct amend_value *rowid)
{
	amend_buffer_char(buffer, '{');
	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		if (i > 0)
			amend_buffer_char(buffer, ',');
		amend_json_string(buffer, column->name, strlen(column->name));
		amend_buffer_char(buffer, ':');
		amend_json_value(buffer, &values[table->identity[i]], column->class_);
	}
	if (table->n_identity == 0 && rowid) {
		amend_json_string(buffer, table->rowid, strlen(table->rowid));
		amend_buffer_char(buffer, ':');
		amend_json_value(buffer, rowid, AMEND_CLASS_INTEGER);
	}
	amend_buffer_char(buffer, '}');
}

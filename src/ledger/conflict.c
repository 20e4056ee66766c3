/*
 * Conflicts that wait for a decision: storing, listing, ending them.
 * Leaves when there is one, and settling it, to sync.
 */
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/json_text.h"
#include "core/rows.h"
#include "ledger/conflict.h"
#include "ledger/state.h"

const char *amend_conflict_kind_name(enum amend_conflict_kind kind)
{
	switch (kind) {
	case AMEND_CONFLICT_FIELDS:
		return "fields";
	case AMEND_CONFLICT_IDENTITY:
		return "identity";
	case AMEND_CONFLICT_UNIQUE:
		return "unique";
	case AMEND_CONFLICT_DELETED:
		return "deleted";
	case AMEND_CONFLICT_MISSING:
		return "missing";
	case AMEND_CONFLICT_SAVE:
		return "save";
	}
	return "?";
}

bool amend_conflict_kind_of(const char *name, enum amend_conflict_kind *out)
{
	static const enum amend_conflict_kind kinds[] = {
		AMEND_CONFLICT_FIELDS,  AMEND_CONFLICT_IDENTITY, AMEND_CONFLICT_UNIQUE,
		AMEND_CONFLICT_DELETED, AMEND_CONFLICT_MISSING,  AMEND_CONFLICT_SAVE};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		*out = kinds[i];
		if (strcmp(amend_conflict_kind_name(kinds[i]), name) == 0)
			return true;
	}
	return false;
}

static const char *keep(struct amend_arena *arena, const struct amend_value *value, bool *ok)
{
	const char *text;

	if (value->kind != AMEND_TEXT)
		return NULL;
	text = amend_arena_text_n(arena, value->as.text, value->size);
	*ok = *ok && text;
	return text;
}

enum {
	ID,
	SOURCE,
	TBL,
	PK,
	FIRST_KEY,
	KIND,
	FIELDS,
	NOTE,
	LINE,
	AT,
	WHO,
	STATE,
	TAKEN,
	ENDED_AT,
	ENDED_BY,
	MARK,
	WHY,
	CHOICES,
	BECAUSE,
	FOUND
};

/* "SELECT <columns>", for `more` to follow, " FROM conflict". What an older ledger has not is empty. */
static void select_conflicts(struct amend_sql *sql, const struct amend_conn *db, int version,
			     const char *more)
{
	amend_sql_init(sql, db);
	amend_sql_text(sql,
		       "SELECT id, source, tbl, pk, first_key, kind, fields, note, line, at, who, "
		       "state, taken, ended_at, ended_by, ");
	amend_sql_text(sql, version < AMEND_LEDGER_HAS_CHOICES ? "'', '', '{}', ''"
							       : "mark, why, choices, because");
	amend_sql_text(sql, version < AMEND_LEDGER_HAS_FOUND ? ", ''" : ", found");
	amend_sql_printf(sql, "%s FROM ", more);
	amend_sql_ledger(sql, "conflict");
}

static void select_open(struct amend_sql *sql, const struct amend_conn *db, int version)
{
	select_conflicts(sql, db, version, "");
	amend_sql_text(sql, " WHERE state = 'open'");
}

/* What tells a conflict as it was found from what became of it. False: no memory. */
static bool digest_of(const char *kind, const char *pk, const char *fields,
		      char hex[AMEND_DIGEST_HEX])
{
	const struct amend_value parts[] = {amend_text(kind), amend_text(pk), amend_text(fields)};
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	unsigned char digest[AMEND_DIGEST_SIZE];
	bool ok;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		amend_pack_add(&pack, "", &parts[i]);
	ok = !pack.failed;
	if (ok) {
		amend_digest(pack.data, pack.size, digest);
		amend_digest_hex(digest, hex);
	}
	amend_buffer_release(&pack);
	return ok;
}

static enum amend_status take_row(const struct amend_rows *rows, size_t row, bool typed,
				  struct amend_arena *arena, struct amend_conflict_row *out,
				  struct amend_error *err)
{
	bool ok = amend_value_number(amend_rows_at(rows, row, ID), &out->id) &&
		  amend_value_number(amend_rows_at(rows, row, LINE), &out->line);
	const char *kind = amend_rows_at(rows, row, KIND)->as.text;
	const char *fields = amend_rows_at(rows, row, FIELDS)->as.text, *found;
	char digest[AMEND_DIGEST_HEX];
	enum amend_status status;

	if (!ok || !amend_conflict_kind_of(kind, &out->kind))
		return amend_error_set(err, AMEND_INTERNAL,
				       "the ledger holds a conflict of unknown kind '%s'", kind);
	out->source = keep(arena, amend_rows_at(rows, row, SOURCE), &ok);
	out->table = keep(arena, amend_rows_at(rows, row, TBL), &ok);
	out->pk = keep(arena, amend_rows_at(rows, row, PK), &ok);
	out->first_key = keep(arena, amend_rows_at(rows, row, FIRST_KEY), &ok);
	out->note = keep(arena, amend_rows_at(rows, row, NOTE), &ok);
	out->at = keep(arena, amend_rows_at(rows, row, AT), &ok);
	out->who = keep(arena, amend_rows_at(rows, row, WHO), &ok);
	out->state = keep(arena, amend_rows_at(rows, row, STATE), &ok);
	out->taken = keep(arena, amend_rows_at(rows, row, TAKEN), &ok);
	out->ended_at = keep(arena, amend_rows_at(rows, row, ENDED_AT), &ok);
	out->ended_by = keep(arena, amend_rows_at(rows, row, ENDED_BY), &ok);
	out->mark = keep(arena, amend_rows_at(rows, row, MARK), &ok);
	out->why = keep(arena, amend_rows_at(rows, row, WHY), &ok);
	out->because = keep(arena, amend_rows_at(rows, row, BECAUSE), &ok);
	found = keep(arena, amend_rows_at(rows, row, FOUND), &ok);
	if (!ok || !digest_of(kind, out->pk, fields, digest))
		return amend_no_memory(err);
	out->as_found = found && strcmp(found, digest) == 0;
	status = amend_conflict_fields_parse(fields, typed, arena, out, err);
	if (status == AMEND_OK)
		status = amend_conflict_choices_parse(amend_rows_at(rows, row, CHOICES)->as.text,
						      typed, arena, out, err);
	return status;
}

/* `sql` is select_conflicts with conditions; it is released. */
static enum amend_status read_all(struct amend_conn *db, struct amend_sql *sql,
				  struct amend_arena *arena, struct amend_conflict_row **out,
				  size_t *n, struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;

	*out = NULL;
	*n = 0;
	status = amend_exec(db, sql, &rows, err);
	if (status == AMEND_OK) {
		*out = amend_arena_array(arena, rows.n_rows, sizeof(**out));
		if (!*out)
			status = amend_no_memory(err);
	}
	for (size_t i = 0; *out && i < rows.n_rows && status == AMEND_OK; i++) {
		status = take_row(&rows, i, typed, arena, &(*out)[i], err);
		*n = i + 1;
	}
	amend_rows_release(&rows);
	amend_sql_release(sql);
	return status;
}

enum amend_status amend_conflict_open(struct amend_conn *db, const char *source,
				      const struct amend_table *table, struct amend_arena *arena,
				      struct amend_conflict_row **out, size_t *n,
				      struct amend_error *err)
{
	struct amend_sql sql;
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*out = NULL;
	*n = 0;
	if (status != AMEND_OK || version == 0)
		return status;
	select_open(&sql, db, version);
	amend_sql_text(&sql, " AND source = ");
	amend_sql_string(&sql, source);
	amend_sql_text(&sql, " AND tbl = ");
	amend_sql_string(&sql, table->qualified);
	amend_sql_text(&sql, " ORDER BY id");
	return read_all(db, &sql, arena, out, n, err);
}

/* Unique among open conflicts. */
static void add_open_key(struct amend_buffer *buffer, const char *source,
			 const struct amend_table *table, const char *first_key)
{
	amend_json_string(buffer, source, strlen(source));
	amend_json_string(buffer, table->qualified, strlen(table->qualified));
	amend_buffer_text(buffer, first_key);
}

struct finding {
	struct amend_conflict_row *out;
	int version;
	bool typed;
	struct amend_arena *arena;
};

static enum amend_status take_found(void *context, size_t i, const struct amend_value *values,
				    size_t n_columns, struct amend_error *err)
{
	const struct finding *finding = context;
	const struct amend_rows row = {.n_rows = 1, .n_columns = n_columns, .values = values};

	return take_row(&row, 0, finding->typed, finding->arena, &finding->out[i], err);
}

static enum amend_status find_arrays(struct amend_conn *db, const struct amend_value *keys,
				     size_t n, struct finding *finding, struct amend_error *err)
{
	const struct amend_sql_array array = {
		.type = db->dialect->text_type, .values = keys, .stride = 1, .lookup = true};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;

	select_conflicts(&sql, db, finding->version, ", i");
	amend_sql_text(&sql, " JOIN ");
	amend_sql_unnest(&sql, &array, 1, n);
	amend_sql_text(&sql, " WITH ORDINALITY AS w (k, i) ON open_key = k WHERE state = 'open'");
	status = amend_exec(db, &sql, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		int64_t place = 0;

		if (!amend_value_number(amend_rows_at(&rows, i, rows.n_columns - 1), &place) ||
		    place < 1 || (size_t)place > n)
			status = amend_error_set(err, AMEND_INTERNAL,
						 "the ledger returned no number");
		else
			status = take_found(finding, (size_t)place - 1, amend_rows_at(&rows, i, 0),
					    rows.n_columns, err);
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status find_each(struct amend_conn *db, const struct amend_value *keys, size_t n,
				   struct finding *finding, struct amend_error *err)
{
	struct amend_repeat repeat = {
		.n_values = 1, .values = keys, .n = n, .each = take_found, .context = finding};
	enum amend_status status;
	struct amend_sql sql;

	select_open(&sql, db, finding->version);
	amend_sql_text(&sql, " AND open_key = ");
	amend_sql_string(&sql, NULL);
	repeat.sql = amend_buffer_string(&sql.text);
	status = amend_repeat(db, &repeat, err);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_conflict_find(struct amend_conn *db, const char *source,
				      const struct amend_table *table, const char *const *first_keys,
				      size_t n, struct amend_conflict_row *out,
				      struct amend_arena *arena, struct amend_error *err)
{
	struct finding finding = {out, 0, amend_has(db, AMEND_HAS_TYPED_STORAGE), arena};
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_value *keys = NULL;
	enum amend_status status = amend_ledger_version(db, &finding.version, err);
	size_t at = 0;

	memset(out, 0, n * sizeof(*out));
	if (status != AMEND_OK || finding.version == 0 || n == 0)
		return status;
	keys = calloc(n, sizeof(*keys));
	if (!keys)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		size_t start = text.size;

		add_open_key(&text, source, table, first_keys[i]);
		keys[i] = amend_text_n("", text.size - start);
	}
	/* Only now do they stay where they are. */
	for (size_t i = 0; i < n && !text.failed; i++, at += keys[i - 1].size)
		keys[i].as.text = text.data + at;
	if (text.failed)
		status = amend_no_memory(err);
	else
		status = amend_has(db, AMEND_HAS_ARRAYS) ? find_arrays(db, keys, n, &finding, err)
							 : find_each(db, keys, n, &finding, err);
	free(keys);
	amend_buffer_release(&text);
	return status;
}

/* `hold`: the rows are locked as they are read. */
static enum amend_status list(struct amend_conn *db, const char *table, const char *state,
			      int64_t id, bool hold, struct amend_arena *arena,
			      struct amend_conflict_row **out, size_t *n, struct amend_error *err)
{
	struct amend_sql sql;
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);
	const char *word = " WHERE ";

	*out = NULL;
	*n = 0;
	if (status != AMEND_OK || version == 0)
		return status;
	select_conflicts(&sql, db, version, "");
	if (table) {
		amend_sql_printf(&sql, "%stbl = ", word);
		amend_sql_string(&sql, table);
		word = " AND ";
	}
	if (state) {
		amend_sql_printf(&sql, "%sstate = ", word);
		amend_sql_string(&sql, state);
		word = " AND ";
	}
	if (id) {
		amend_sql_printf(&sql, "%sid = ", word);
		amend_sql_integer(&sql, id);
	}
	amend_sql_text(&sql, " ORDER BY id");
	if (hold && amend_has(db, AMEND_HAS_ROW_LOCK))
		amend_sql_printf(&sql, " %s", db->dialect->for_update);
	return read_all(db, &sql, arena, out, n, err);
}

enum amend_status amend_conflict_list(struct amend_conn *db, const char *table, const char *state,
				      int64_t id, struct amend_arena *arena,
				      struct amend_conflict_row **out, size_t *n,
				      struct amend_error *err)
{
	return list(db, table, state, id, false, arena, out, n, err);
}

/* What became of one that is not open. */
static enum amend_status explain_ended(const struct amend_conflict_row *row, struct amend_error *err)
{
	const char *by = row->ended_by ? row->ended_by : "",
		   *at = row->ended_at ? row->ended_at : "";

	if (strcmp(row->state, "settled") != 0)
		return amend_error_set(
			err, AMEND_NOT_FOUND,
			"conflict %lld went away by itself at %.19s UTC: a sync found none any more",
			(long long)row->id, at);
	return amend_error_set(err, AMEND_NOT_FOUND,
			       "conflict %lld was settled (%s) by %.80s at %.19s UTC",
			       (long long)row->id, row->taken, by, at);
}

enum amend_status amend_conflict_by_id(struct amend_conn *db, int64_t id, bool hold,
				       struct amend_arena *arena, struct amend_conflict_row *out,
				       struct amend_error *err)
{
	struct amend_conflict_row *rows = NULL;
	size_t n = 0;
	/* 0 would be any. */
	enum amend_status status = id > 0 ? list(db, NULL, NULL, id, hold, arena, &rows, &n, err)
					  : AMEND_OK;

	if (status != AMEND_OK)
		return status;
	if (!rows || n == 0)
		return amend_error_set(err, AMEND_NOT_FOUND,
				       "there is no conflict %lld (hint: see `amend conflicts`)",
				       (long long)id);
	*out = rows[0];
	return strcmp(out->state, "open") == 0 ? AMEND_OK : explain_ended(out, err);
}

enum amend_status amend_conflict_store(struct amend_conn *db, const struct amend_conflict_spec *spec,
				       int64_t *id, struct amend_error *err)
{
	static const char *const set[] = {"pk",  "kind", "fields", "note", "line",
					  "run", "at",   "who",    "why",  NULL};
	const char *kind = amend_conflict_kind_name(spec->kind);
	struct amend_buffer fields = AMEND_BUFFER_INIT, open_key = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	char found[AMEND_DIGEST_HEX];
	struct amend_sql sql;
	enum amend_status status;
	int64_t run = 0;

	amend_sql_init(&sql, db);
	status = amend_run_need(db, &run, err);
	if (status != AMEND_OK)
		goto out;
	amend_conflict_fields_text(&fields, spec->table, spec->fields, spec->terms, spec->n_fields);
	if (*spec->source)
		add_open_key(&open_key, spec->source, spec->table, spec->first_key);
	if (fields.failed || open_key.failed || !digest_of(kind, spec->pk, fields.data, found)) {
		status = amend_no_memory(err);
		goto out;
	}
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "conflict");
	amend_sql_text(&sql,
		       " (source, tbl, pk, first_key, open_key, kind, fields, note, line, run, at, "
		       "who, why, mark, state, taken, found) VALUES (");
	amend_sql_string(&sql, spec->source);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->table->qualified);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->pk);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->first_key);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, *spec->source ? open_key.data : NULL);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, kind);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, fields.data);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, spec->note ? spec->note : "");
	amend_sql_text(&sql, ", ");
	amend_sql_integer(&sql, spec->line);
	amend_sql_text(&sql, ", ");
	amend_sql_integer(&sql, run);
	amend_sql_printf(&sql, ", %s, ", db->dialect->now);
	amend_sql_string(&sql, amend_author_who(db));
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, amend_author_why(db));
	amend_sql_printf(&sql, ", %s", db->dialect->random_secret);
	amend_sql_text(&sql, ", 'open', '', ");
	amend_sql_string(&sql, found);
	amend_sql_text(&sql, ")");
	/* What was chosen stays: choices against other values than these count no more. And so does what it was found as. */
	amend_sql_or_set(&sql, "open_key", set);
	amend_sql_text(&sql, " RETURNING id");
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && !amend_value_number(amend_rows_at(&rows, 0, 0), id))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
out:
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	amend_buffer_release(&fields);
	amend_buffer_release(&open_key);
	return status;
}

enum amend_status amend_conflict_change(struct amend_conn *db, const struct amend_conflict_row *row,
					const struct amend_table *table, bool *moved,
					struct amend_error *err)
{
	struct amend_buffer fields = AMEND_BUFFER_INIT, choices = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_conflict_fields_text(&fields, table, row->fields, row->terms, row->n_fields);
	amend_conflict_choices_text(&choices, table, row);
	if (fields.failed || choices.failed) {
		status = amend_no_memory(err);
		goto out;
	}
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "conflict");
	amend_sql_text(&sql, " SET kind = ");
	amend_sql_string(&sql, amend_conflict_kind_name(row->kind));
	amend_sql_text(&sql, ", pk = ");
	amend_sql_string(&sql, row->pk);
	amend_sql_text(&sql, ", note = ");
	amend_sql_string(&sql, row->note);
	amend_sql_text(&sql, ", fields = ");
	amend_sql_string(&sql, fields.data);
	amend_sql_text(&sql, ", choices = ");
	amend_sql_string(&sql, choices.data);
	amend_sql_text(&sql, " WHERE state = 'open' AND id = ");
	amend_sql_integer(&sql, row->id);
	status = amend_exec(db, &sql, &rows, err);
	*moved = rows.changes != 1;
out:
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	amend_buffer_release(&fields);
	amend_buffer_release(&choices);
	return status;
}

enum amend_status amend_conflict_end(struct amend_conn *db, int64_t id, const char *state,
				     const char *how, bool *moved, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "conflict");
	amend_sql_text(&sql, " SET open_key = NULL, state = ");
	amend_sql_string(&sql, state);
	amend_sql_text(&sql, ", taken = ");
	amend_sql_string(&sql, how);
	amend_sql_printf(&sql, ", ended_at = %s, ended_by = ", db->dialect->now);
	amend_sql_string(&sql, amend_author_who(db));
	if (strcmp(state, "settled") == 0) {
		amend_sql_text(&sql, ", because = ");
		amend_sql_string(&sql, amend_author_why(db));
	}
	amend_sql_text(&sql, " WHERE state = 'open' AND id = ");
	amend_sql_integer(&sql, id);
	status = amend_exec(db, &sql, &rows, err);
	*moved = rows.changes != 1;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

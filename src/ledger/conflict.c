/*
 * Conflicts that wait for a decision: storing, listing, ending them.
 * Leaves when there is one, and settling it, to sync.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"
#include "ledger/json_read.h"
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

/* {"name":{"base":..,"current":..,"incoming":..}}; no base: the member is absent. */
static void write_fields(struct amend_buffer *buffer, const struct amend_conflict_spec *spec)
{
	amend_buffer_char(buffer, '{');
	for (size_t i = 0; i < spec->n_fields; i++) {
		const struct amend_conflict_field *field = &spec->fields[i];
		int at = amend_table_column(spec->table, field->column);
		enum amend_class class_ = at < 0 ? AMEND_CLASS_TEXT
						 : spec->table->columns[at].class_;

		amend_buffer_text(buffer, i ? "," : "");
		amend_json_string(buffer, field->column, strlen(field->column));
		amend_buffer_text(buffer, ":{");
		if (field->has_base) {
			amend_buffer_text(buffer, "\"base\":");
			amend_json_value(buffer, &field->base, class_);
			amend_buffer_char(buffer, ',');
		}
		amend_buffer_text(buffer, "\"current\":");
		amend_json_value(buffer, &field->current, class_);
		amend_buffer_text(buffer, ",\"incoming\":");
		amend_json_value(buffer, &field->incoming, class_);
		amend_buffer_char(buffer, '}');
	}
	amend_buffer_char(buffer, '}');
}

static enum amend_status read_fields(const char *text, bool typed, struct amend_arena *arena,
				     struct amend_conflict_row *out, struct amend_error *err)
{
	struct json_object *json = json_tokener_parse(text), *part;
	struct amend_conflict_field *fields;
	enum amend_status status = AMEND_OK;
	size_t i = 0;

	if (!json_object_is_type(json, json_type_object)) {
		status = amend_json_malformed(err, text);
		goto out;
	}
	fields = amend_arena_array(arena, (size_t)json_object_object_length(json), sizeof(*fields));
	if (!fields) {
		status = amend_no_memory(err);
		goto out;
	}
	json_object_object_foreach(json, name, sides)
	{
		struct amend_conflict_field *field = &fields[i++];
		bool ok = json_object_is_type(sides, json_type_object);

		field->column = amend_arena_text(arena, name);
		ok = ok && field->column;
		field->has_base = ok && json_object_object_get_ex(sides, "base", &part);
		if (field->has_base)
			ok = amend_json_read(part, typed, arena, &field->base);
		ok = ok && json_object_object_get_ex(sides, "current", &part) &&
		     amend_json_read(part, typed, arena, &field->current);
		ok = ok && json_object_object_get_ex(sides, "incoming", &part) &&
		     amend_json_read(part, typed, arena, &field->incoming);
		if (!ok) {
			status = amend_json_malformed(err, text);
			goto out;
		}
	}
	out->fields = fields;
	out->n_fields = i;
out:
	json_object_put(json);
	return status;
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

enum { ID, SOURCE, TBL, PK, FIRST_KEY, KIND, FIELDS, NOTE, LINE, AT, WHO };

#define COLUMNS "id, source, tbl, pk, first_key, kind, fields, note, line, at, who"

static void select_open(struct amend_sql *sql, const struct amend_conn *db)
{
	amend_sql_init(sql, db);
	amend_sql_text(sql, "SELECT " COLUMNS " FROM ");
	amend_sql_ledger(sql, "conflict");
	amend_sql_text(sql, " WHERE state = 'open'");
}

static enum amend_status take_row(const struct amend_rows *rows, size_t row, bool typed,
				  struct amend_arena *arena, struct amend_conflict_row *out,
				  struct amend_error *err)
{
	bool ok = amend_value_number(amend_rows_at(rows, row, ID), &out->id) &&
		  amend_value_number(amend_rows_at(rows, row, LINE), &out->line);
	const char *kind = amend_rows_at(rows, row, KIND)->as.text;

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
	if (!ok)
		return amend_no_memory(err);
	return read_fields(amend_rows_at(rows, row, FIELDS)->as.text, typed, arena, out, err);
}

/* `sql` is select_open with further conditions; it is released. */
static enum amend_status read_open(struct amend_conn *db, struct amend_sql *sql,
				   struct amend_arena *arena, struct amend_conflict_row **out,
				   size_t *n, struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;

	*out = NULL;
	*n = 0;
	amend_sql_text(sql, " ORDER BY id");
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
	bool present;
	enum amend_status status = amend_ledger_look(db, &present, err);

	*out = NULL;
	*n = 0;
	if (status != AMEND_OK || !present)
		return status;
	select_open(&sql, db);
	amend_sql_text(&sql, " AND source = ");
	amend_sql_string(&sql, source);
	amend_sql_text(&sql, " AND tbl = ");
	amend_sql_string(&sql, table->qualified);
	return read_open(db, &sql, arena, out, n, err);
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

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT " COLUMNS ", i FROM ");
	amend_sql_ledger(&sql, "conflict");
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

	select_open(&sql, db);
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
	struct finding finding = {out, amend_has(db, AMEND_HAS_TYPED_STORAGE), arena};
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_value *keys = NULL;
	bool present;
	enum amend_status status = amend_ledger_look(db, &present, err);
	size_t at = 0;

	memset(out, 0, n * sizeof(*out));
	if (status != AMEND_OK || !present || n == 0)
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

enum amend_status amend_conflict_by_id(struct amend_conn *db, int64_t id, struct amend_arena *arena,
				       struct amend_conflict_row *out, struct amend_error *err)
{
	struct amend_conflict_row *rows = NULL;
	struct amend_sql sql;
	bool present;
	size_t n = 0;
	enum amend_status status = amend_ledger_look(db, &present, err);

	if (status != AMEND_OK)
		return status;
	if (present) {
		select_open(&sql, db);
		amend_sql_text(&sql, " AND id = ");
		amend_sql_integer(&sql, id);
		status = read_open(db, &sql, arena, &rows, &n, err);
	}
	if (status != AMEND_OK)
		return status;
	if (!rows || n == 0)
		return amend_error_set(
			err, AMEND_NOT_FOUND,
			"there is no open conflict %lld (hint: see `amend conflicts`)",
			(long long)id);
	*out = rows[0];
	return AMEND_OK;
}

enum amend_status amend_conflict_store(struct amend_conn *db, const struct amend_conflict_spec *spec,
				       int64_t *id, struct amend_error *err)
{
	struct amend_buffer fields = AMEND_BUFFER_INIT, open_key = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;
	int64_t run = 0;

	amend_sql_init(&sql, db);
	status = amend_run_need(db, &run, err);
	if (status != AMEND_OK)
		goto out;
	write_fields(&fields, spec);
	add_open_key(&open_key, spec->source, spec->table, spec->first_key);
	if (fields.failed || open_key.failed) {
		status = amend_no_memory(err);
		goto out;
	}
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "conflict");
	amend_sql_text(&sql,
		       " (source, tbl, pk, first_key, open_key, kind, fields, note, line, run, at, "
		       "who, state, taken) VALUES (");
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
	amend_sql_string(&sql, amend_conflict_kind_name(spec->kind));
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
	amend_sql_text(&sql,
		       ", 'open', '') ON CONFLICT (open_key) DO UPDATE SET pk = excluded.pk, kind = "
		       "excluded.kind, fields = excluded.fields, note = excluded.note, line = "
		       "excluded.line, run = excluded.run, at = excluded.at, who = excluded.who "
		       "RETURNING id");
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
	amend_sql_text(&sql, " WHERE state = 'open' AND id = ");
	amend_sql_integer(&sql, id);
	status = amend_exec(db, &sql, &rows, err);
	*moved = rows.changes != 1;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status show(const struct amend_conflict_row *row, bool typed,
			      struct amend_arena *arena, amend_conflict_fn each, void *context,
			      struct amend_error *err)
{
	struct amend_conflict conflict = {
		.id = row->id,
		.source = row->source,
		.table = row->table,
		.kind = row->kind,
		.fields = row->fields,
		.n_fields = row->n_fields,
		.note = row->note,
		.at = row->at,
		.who = row->who,
		.line = row->line,
	};
	struct amend_buffer first_key = AMEND_BUFFER_INIT;
	struct amend_field *key = NULL;
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	if (row->pk) {
		status = amend_pk_parse(row->pk, typed, arena, &key, &n, err);
		conflict.key = key;
		conflict.n_key = n;
	}
	if (status == AMEND_OK)
		status = amend_pk_parse(row->first_key, typed, arena, &key, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		amend_buffer_text(&first_key, i ? "," : "");
		amend_buffer_text(&first_key, key[i].column);
		amend_buffer_char(&first_key, '=');
		if (key[i].value.kind == AMEND_TEXT)
			amend_buffer_add(&first_key, key[i].value.as.text, key[i].value.size);
		else
			amend_json_value(&first_key, &key[i].value, AMEND_CLASS_TEXT);
	}
	if (status == AMEND_OK && first_key.failed)
		status = amend_no_memory(err);
	if (status == AMEND_OK) {
		conflict.first_key = amend_buffer_string(&first_key);
		status = each(&conflict, context, err);
	}
	amend_buffer_release(&first_key);
	return status;
}

static enum amend_status find_conflicts(struct amend_conn *db, const char *table, int64_t id,
					struct amend_arena *arena, struct amend_conflict_row **out,
					size_t *n, struct amend_error *err)
{
	struct amend_table *described = NULL;
	struct amend_sql sql;
	enum amend_status status;
	bool present;

	if (id) {
		*out = amend_arena_array(arena, 1, sizeof(**out));
		*n = 1;
		return *out ? amend_conflict_by_id(db, id, arena, *out, err) : amend_no_memory(err);
	}
	*n = 0;
	if (table) {
		status = amend_table_open(db, table, &described, err);
		if (status != AMEND_OK)
			return status;
	}
	status = amend_ledger_look(db, &present, err);
	if (status == AMEND_OK && present) {
		select_open(&sql, db);
		if (described) {
			amend_sql_text(&sql, " AND tbl = ");
			amend_sql_string(&sql, described->qualified);
		}
		status = read_open(db, &sql, arena, out, n, err);
	}
	amend_table_close(described);
	return status;
}

enum amend_status amend_conflicts(struct amend_conn *db, const char *table, int64_t id,
				  amend_conflict_fn each, void *context, struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_conflict_row *rows = NULL;
	enum amend_status status = amend_enter(db, err);
	size_t n = 0;

	if (status != AMEND_OK)
		return status;
	status = find_conflicts(db, table, id, &arena, &rows, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = show(&rows[i], typed, &arena, each, context, err);
	amend_arena_release(&arena);
	return amend_leave(db, status, err);
}

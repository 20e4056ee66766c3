/*
 * The changes that are to be undone, put together record by record, and what became
 * of the records' names since. Leaves the rows themselves to undo_rows.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "history/revert.h"
#include "record/history.h"

enum { PAGE = 1000 };
enum { ID, TBL, PK, WAS, OP, FIELDS, SOURCE, BASE };

static const char *keep(struct undo *undo, const struct amend_value *value)
{
	return value->kind == AMEND_TEXT
		       ? amend_arena_text_n(undo->arena, value->as.text, value->size)
		       : NULL;
}

static bool is(const struct amend_value *value, const char *text)
{
	return value->kind == AMEND_TEXT && strcmp(value->as.text, text) == 0;
}

/* ---- tables ---- */

static enum amend_status mark_ignored(struct undo *undo, struct undo_table *table,
				      struct amend_error *err)
{
	table->ignored = amend_arena_array(undo->arena, table->table->n_columns,
					   sizeof(*table->ignored));
	if (!table->ignored)
		return amend_no_memory(err);
	for (size_t i = 0; i < undo->revert->n_ignore; i++) {
		int at = amend_table_column(table->table, undo->revert->ignore[i]);

		if (at >= 0)
			table->ignored[at] = true;
	}
	return AMEND_OK;
}

static enum amend_status open_table(struct undo *undo, const struct amend_value *name,
				    struct undo_table **out, struct amend_error *err)
{
	struct undo_table *table = NULL;
	enum amend_status status;

	for (size_t i = 0; i < undo->n_tables && !table; i++) {
		if (is(name, undo->tables[i]->name))
			table = undo->tables[i];
	}
	*out = table;
	if (table)
		return AMEND_OK;
	if (undo->n_tables == undo->tables_room) {
		size_t room = undo->tables_room ? undo->tables_room * 2 : 8;
		struct undo_table **tables = realloc(undo->tables,
						     room * sizeof(struct undo_table *));

		if (!tables)
			return amend_no_memory(err);
		undo->tables = tables;
		undo->tables_room = room;
	}
	table = amend_arena_alloc(undo->arena, sizeof(*table));
	if (!table)
		return amend_no_memory(err);
	*table = (struct undo_table){.name = keep(undo, name), .first = INT64_MAX};
	if (!table->name)
		return amend_no_memory(err);
	status = amend_table_open_recorded(undo->db, table->name, &table->table, err);
	if (status != AMEND_OK)
		return amend_error_wrap(err, "a change of %s cannot be undone", table->name);
	undo->tables[undo->n_tables++] = table;
	*out = table;
	return mark_ignored(undo, table, err);
}

void amend_undo_release(struct undo *undo)
{
	for (size_t i = 0; i < undo->n_tables; i++) {
		amend_table_close(undo->tables[i]->table);
		amend_hash_release(&undo->tables[i]->by_pk);
		free(undo->tables[i]->list);
	}
	free(undo->tables);
	undo->tables = NULL;
	undo->n_tables = undo->tables_room = 0;
}

/* ---- records ---- */

static enum amend_status add_record(struct undo *undo, struct undo_table *table,
				    struct undo_record **out, struct amend_error *err)
{
	struct undo_record *record = amend_arena_alloc(undo->arena, sizeof(*record));

	if (!record)
		return amend_no_memory(err);
	if (table->n == table->room) {
		size_t room = table->room ? table->room * 2 : 64;
		struct undo_record **list = realloc(table->list,
						    room * sizeof(struct undo_record *));

		if (!list)
			return amend_no_memory(err);
		table->list = list;
		table->room = room;
	}
	record->table = table;
	table->list[table->n++] = record;
	*out = record;
	return AMEND_OK;
}

/* The record has this name from now on; who had it before is forgotten under it. */
static enum amend_status name_record(struct undo *undo, struct undo_record *record,
				     const struct amend_value *pk, struct amend_error *err)
{
	struct amend_hash *names = &record->table->by_pk;
	void **slot;

	if (record->pk && amend_hash_get(names, record->pk, strlen(record->pk)) == record) {
		slot = amend_hash_put(names, record->pk, strlen(record->pk));
		if (!slot)
			return amend_no_memory(err);
		*slot = NULL;
	}
	record->pk = keep(undo, pk);
	slot = record->pk ? amend_hash_put(names, record->pk, strlen(record->pk)) : NULL;
	if (!slot)
		return amend_no_memory(err);
	*slot = record;
	return AMEND_OK;
}

static struct undo_field *field_of(const struct undo_record *record, const char *name)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		if (strcmp(record->fields[i].name, name) == 0)
			return &record->fields[i];
	}
	return NULL;
}

/* The first change says what was before, the last what is after. */
static enum amend_status add_fields(struct undo *undo, struct undo_record *record,
				    const struct amend_change *changes, size_t n,
				    struct amend_error *err)
{
	bool first = record->n_fields == 0;

	if (record->n_fields + n > record->room) {
		size_t room = record->n_fields + n;
		struct undo_field *fields = amend_arena_array(undo->arena, room, sizeof(*fields));

		if (!fields)
			return amend_no_memory(err);
		if (record->n_fields > 0)
			memcpy(fields, record->fields, record->n_fields * sizeof(*fields));
		record->fields = fields;
		record->room = room;
	}
	for (size_t i = 0; i < n; i++) {
		struct undo_field *field = first ? NULL : field_of(record, changes[i].column);

		if (field) {
			field->after = changes[i].after;
			continue;
		}
		record->fields[record->n_fields++] = (struct undo_field){
			.name = changes[i].column,
			.column = amend_table_column(record->table->table, changes[i].column),
			.before = changes[i].before,
			.after = changes[i].after,
		};
	}
	return AMEND_OK;
}

/* A pack as it was stored; NULL: there was none. */
static enum amend_status take_pack(struct undo *undo, const struct amend_value *value,
				   const struct amend_value **out, struct amend_error *err)
{
	struct amend_value *pack = NULL, bytes;

	*out = NULL;
	if (value->kind == AMEND_NULL)
		return AMEND_OK;
	pack = amend_arena_alloc(undo->arena, sizeof(*pack));
	if (!pack || !amend_value_bytes(value, undo->arena, &bytes) ||
	    !amend_arena_value(undo->arena, &bytes, pack))
		return amend_no_memory(err);
	*out = pack;
	return AMEND_OK;
}

static enum amend_status take_source(struct undo *undo, struct undo_record *record,
				     const struct amend_value *values, struct amend_error *err)
{
	if (record->base.source || values[SOURCE].kind != AMEND_TEXT)
		return AMEND_OK;
	record->base.source = keep(undo, &values[SOURCE]);
	record->table->synced = true;
	return record->base.source ? take_pack(undo, &values[BASE], &record->base.before, err)
				   : amend_no_memory(err);
}

static bool wanted(const struct undo *undo, int64_t id)
{
	for (size_t i = 0; i < undo->n_only; i++) {
		if (undo->only[i] == id)
			return true;
	}
	return !undo->only;
}

static enum amend_status take_change(struct undo *undo, int64_t id,
				     const struct amend_value *values, struct amend_error *err)
{
	bool typed = amend_has(undo->db, AMEND_HAS_TYPED_STORAGE);
	const struct amend_value *name = values[WAS].kind == AMEND_TEXT ? &values[WAS] : &values[PK];
	struct amend_change *changes = NULL;
	struct undo_record *record = NULL;
	struct undo_table *table = NULL;
	enum amend_status status;
	size_t n = 0;

	if (!wanted(undo, id))
		return AMEND_OK;
	status = open_table(undo, &values[TBL], &table, err);
	if (status != AMEND_OK || !table)
		return status;
	record = amend_hash_get(&table->by_pk, name->as.text, name->size);
	if (!record) {
		status = add_record(undo, table, &record, err);
		if (status != AMEND_OK)
			return status;
		record->existed = !is(&values[OP], "create");
	}
	record->left = !is(&values[OP], "delete");
	record->last = id;
	if (!record->pk || !is(&values[PK], record->pk))
		status = name_record(undo, record, &values[PK], err);
	if (status == AMEND_OK)
		status = amend_fields_parse(values[FIELDS].as.text, typed, undo->arena, &changes,
					    &n, err);
	if (status == AMEND_OK)
		status = add_fields(undo, record, changes, n, err);
	return status == AMEND_OK ? take_source(undo, record, values, err) : status;
}

static void select_changes(struct amend_sql *sql, const struct undo *undo, int64_t last)
{
	const struct amend_revert *revert = undo->revert;

	amend_sql_init(sql, undo->db);
	amend_sql_text(sql,
		       "SELECT c.id, c.tbl, c.pk, c.was, c.op, c.fields, c.source, c.base FROM ");
	amend_sql_ledger(sql, "change");
	amend_sql_text(sql, " c");
	if (revert->run) {
		amend_sql_text(sql, " JOIN ");
		amend_sql_ledger(sql, "revision");
		amend_sql_text(sql, " r ON r.id = c.revision WHERE r.run = ");
		amend_sql_integer(sql, revert->run);
	} else {
		amend_sql_text(sql, " WHERE c.revision = ");
		amend_sql_integer(sql, revert->revision);
	}
	if (revert->key) {
		amend_sql_text(sql, " AND c.tbl = ");
		amend_sql_string(sql, revert->table->qualified);
	}
	amend_sql_text(sql, " AND c.id > ");
	amend_sql_integer(sql, last);
	amend_sql_printf(sql, " ORDER BY c.id LIMIT %d", PAGE);
}

static enum amend_status read_changes(struct undo *undo, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	int64_t last = 0;
	bool more = true;

	while (more && status == AMEND_OK) {
		struct amend_rows rows = AMEND_ROWS_INIT;
		struct amend_sql sql;

		select_changes(&sql, undo, last);
		status = amend_exec(undo->db, &sql, &rows, err);
		more = status == AMEND_OK && rows.n_rows == PAGE;
		for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
			if (!amend_value_number(amend_rows_at(&rows, i, ID), &last))
				status = amend_error_set(err, AMEND_INTERNAL,
							 "the ledger returned no number");
			else
				status = take_change(undo, last, amend_rows_at(&rows, i, 0), err);
		}
		amend_rows_release(&rows);
		amend_sql_release(&sql);
	}
	return status;
}

/* ---- since then ---- */

static enum amend_status take_later(struct undo *undo, struct undo_table *table, int64_t id,
				    const struct amend_value *values, struct amend_error *err)
{
	const struct amend_value *name = values[WAS].kind == AMEND_TEXT ? &values[WAS] : &values[PK];
	struct undo_record *record = amend_hash_get(&table->by_pk, name->as.text, name->size);
	struct undo_base *base;

	if (!record || id <= record->last)
		return AMEND_OK;
	record->again = record->again || !is(&values[OP], "update");
	base = &record->base;
	if (base->source && !base->later_known && is(&values[SOURCE], base->source)) {
		enum amend_status status = take_pack(undo, &values[BASE], &base->later, err);

		if (status != AMEND_OK)
			return status;
		base->later_known = true;
	}
	return values[WAS].kind == AMEND_TEXT ? name_record(undo, record, &values[PK], err)
					      : AMEND_OK;
}

/* What the records of a table went through since: other names, other lives, other bases. */
static enum amend_status read_later(struct undo *undo, struct undo_table *table,
				    struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	int64_t last = INT64_MAX;
	bool more = true;

	for (size_t i = 0; i < table->n; i++)
		last = table->list[i]->last < last ? table->list[i]->last : last;
	while (more && status == AMEND_OK) {
		struct amend_rows rows = AMEND_ROWS_INIT;
		struct amend_sql sql;

		amend_sql_init(&sql, undo->db);
		amend_sql_text(&sql, "SELECT id, tbl, pk, was, op, NULL, source, base FROM ");
		amend_sql_ledger(&sql, "change");
		/* The table is no reason to use the records' index: what is wanted lies behind a position. */
		amend_sql_text(&sql, " WHERE tbl || '' = ");
		amend_sql_string(&sql, table->name);
		amend_sql_text(&sql, " AND id > ");
		amend_sql_integer(&sql, last);
		amend_sql_text(&sql, " AND (was IS NOT NULL OR op <> 'update'");
		amend_sql_text(&sql, table->synced ? " OR source IS NOT NULL)" : ")");
		amend_sql_printf(&sql, " ORDER BY id LIMIT %d", PAGE);
		status = amend_exec(undo->db, &sql, &rows, err);
		more = status == AMEND_OK && rows.n_rows == PAGE;
		for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
			if (!amend_value_number(amend_rows_at(&rows, i, ID), &last))
				status = amend_error_set(err, AMEND_INTERNAL,
							 "the ledger returned no number");
			else
				status = take_later(undo, table, last, amend_rows_at(&rows, i, 0),
						    err);
		}
		amend_rows_release(&rows);
		amend_sql_release(&sql);
	}
	return status;
}

/* ---- the whole ---- */

/* Which changes are the one record's, whatever its names were. */
static enum amend_status find_only(struct undo *undo, struct amend_error *err)
{
	const struct amend_revert *revert = undo->revert;
	struct amend_history *entries = NULL;
	struct amend_row row;
	int64_t *only;
	size_t n = 0;
	enum amend_status status = amend_history_of(undo->db, revert->table, revert->key,
						    undo->arena, &row, &entries, &n, err);

	if (status != AMEND_OK)
		return status;
	only = amend_arena_array(undo->arena, n, sizeof(*only));
	if (!only)
		return amend_no_memory(err);
	undo->only = only;
	undo->n_only = 0;
	for (size_t i = n; i-- > 0;) {
		if (revert->run ? entries[i].run == revert->run
				: entries[i].revision == revert->revision)
			only[undo->n_only++] = entries[i].change;
	}
	if (undo->n_only > 0)
		return AMEND_OK;
	return amend_error_set(err, AMEND_NOT_FOUND, "%s %lld changed nothing in this record",
			       revert->run ? "run" : "revision",
			       (long long)(revert->run ? revert->run : revert->revision));
}

static enum amend_status check_found(struct undo *undo, struct amend_error *err)
{
	if (undo->n_tables > 0)
		return AMEND_OK;
	if (!undo->revert->run)
		return amend_error_set(err, AMEND_NOT_FOUND, "no revision %lld is known here",
				       (long long)undo->revert->revision);
	return amend_run_known(undo->db, undo->revert->run, err);
}

enum amend_status amend_undo_read(struct undo *undo, struct amend_error *err)
{
	bool present;
	enum amend_status status = amend_ledger_look(undo->db, &present, err);

	if (status == AMEND_OK && undo->revert->key)
		status = find_only(undo, err);
	if (status == AMEND_OK && present)
		status = read_changes(undo, err);
	if (status == AMEND_OK)
		status = check_found(undo, err);
	for (size_t i = 0; i < undo->n_tables && status == AMEND_OK; i++)
		status = read_later(undo, undo->tables[i], err);
	return status;
}

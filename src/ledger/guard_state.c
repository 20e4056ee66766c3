/*
 * Guards as the ledger remembers them: one row a table.
 * Leaves making them so to guard.c.
 */
#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"
#include "ledger/guard.h"
#include "ledger/json_read.h"
#include "ledger/state.h"

static const char *const rules[] = {
	[AMEND_STALE_AS_IT_STANDS] = "",
	[AMEND_STALE_EQUAL] = "equal",
	[AMEND_STALE_EITHER] = "either",
	[AMEND_STALE_NEXT] = "next",
};

const char *amend_stale_rule_name(enum amend_stale_rule rule)
{
	return rules[rule];
}

static enum amend_stale_rule rule_of(const char *name)
{
	for (int rule = AMEND_STALE_EQUAL; rule <= AMEND_STALE_NEXT; rule++) {
		if (strcmp(rules[rule], name) == 0)
			return (enum amend_stale_rule)rule;
	}
	return AMEND_STALE_EQUAL;
}

static void add_names(struct amend_buffer *json, const char *const *names, size_t n)
{
	amend_buffer_char(json, '[');
	for (size_t i = 0; i < n; i++) {
		amend_buffer_text(json, i ? "," : "");
		amend_json_string(json, names[i], strlen(names[i]));
	}
	amend_buffer_char(json, ']');
}

static enum amend_status read_names(const char *text, struct amend_arena *arena, const char ***out,
				    size_t *n, struct amend_error *err)
{
	struct json_object *json = amend_json_parse(text);
	size_t count = json && json_object_is_type(json, json_type_array)
			       ? json_object_array_length(json)
			       : 0;
	enum amend_status status = json ? AMEND_OK : amend_json_malformed(err, text);
	const char **names = amend_arena_array(arena, count, sizeof(*names));

	*n = 0;
	*out = names;
	if (status == AMEND_OK && !names)
		status = amend_no_memory(err);
	for (; names && *n < count && status == AMEND_OK; ++*n) {
		names[*n] = amend_arena_text(
			arena, json_object_get_string(json_object_array_get_idx(json, *n)));
		if (!names[*n])
			status = amend_no_memory(err);
	}
	json_object_put(json);
	return status;
}

enum { TBL, VERSION, STALE, HISTORY, COLUMNS, IGNORED, ADDITIVE };

static enum amend_status take(const struct amend_rows *rows, size_t i, struct amend_arena *arena,
			      struct amend_guard_record *out, struct amend_error *err)
{
	const char *history = amend_rows_at(rows, i, HISTORY)->as.text;
	enum amend_status status;

	out->table = amend_arena_text(arena, amend_rows_at(rows, i, TBL)->as.text);
	out->version = amend_arena_text(arena, amend_rows_at(rows, i, VERSION)->as.text);
	if (!out->table || !out->version)
		return amend_no_memory(err);
	out->stale = rule_of(amend_rows_at(rows, i, STALE)->as.text);
	out->history = strcmp(history, "none") != 0;
	out->by_statement = strcmp(history, "statement") == 0;
	status = read_names(amend_rows_at(rows, i, COLUMNS)->as.text, arena, &out->covered,
			    &out->n_covered, err);
	if (status == AMEND_OK)
		status = read_names(amend_rows_at(rows, i, IGNORED)->as.text, arena, &out->ignored,
				    &out->n_ignored, err);
	if (status == AMEND_OK)
		status = read_names(amend_rows_at(rows, i, ADDITIVE)->as.text, arena,
				    &out->additive, &out->n_additive, err);
	return status;
}

/* `table` NULL: of all. */
static enum amend_status read_records(struct amend_conn *db, const char *table,
				      struct amend_arena *arena, struct amend_guard_record **out,
				      size_t *n, struct amend_error *err)
{
	enum { SINCE = 5 };
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*n = 0;
	*out = NULL;
	if (status != AMEND_OK || version < SINCE)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT tbl, version, stale, history, columns, ignored, ");
	amend_sql_text(&sql, version >= AMEND_LEDGER_HAS_ADDITIVE ? "additive FROM " : "'[]' FROM ");
	amend_sql_ledger(&sql, "guard");
	if (table) {
		amend_sql_text(&sql, " WHERE tbl = ");
		amend_sql_string(&sql, table);
	}
	amend_sql_text(&sql, " ORDER BY tbl");
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		*out = amend_arena_array(arena, rows.n_rows, sizeof(**out));
		if (!*out)
			status = amend_no_memory(err);
	}
	for (; *n < rows.n_rows && status == AMEND_OK; ++*n)
		status = take(&rows, *n, arena, &(*out)[*n], err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_guard_record_read(struct amend_conn *db, const char *table,
					  struct amend_arena *arena, struct amend_guard_record *out,
					  struct amend_error *err)
{
	struct amend_guard_record *records;
	size_t n;
	enum amend_status status = read_records(db, table, arena, &records, &n, err);

	*out = (struct amend_guard_record){.table = table};
	if (status == AMEND_OK && n > 0)
		*out = records[0];
	return status;
}

enum amend_status amend_guard_additive(struct amend_conn *db, const struct amend_table *table,
				       struct amend_arena *arena, const bool **out,
				       struct amend_error *err)
{
	struct amend_guard_record record;
	enum amend_status status = AMEND_OK;
	bool *columns;

	*out = NULL;
	if (!table->guard_version)
		return AMEND_OK;
	status = amend_guard_record_read(db, table->qualified, arena, &record, err);
	if (status != AMEND_OK || record.n_additive == 0)
		return status;
	columns = amend_arena_array(arena, table->n_columns, sizeof(*columns));
	if (!columns)
		return amend_no_memory(err);
	for (size_t i = 0; i < record.n_additive; i++) {
		int at = amend_table_column(table, record.additive[i]);

		if (at >= 0)
			columns[at] = true;
	}
	*out = columns;
	return AMEND_OK;
}

enum amend_status amend_guard_record_all(struct amend_conn *db, struct amend_arena *arena,
					 struct amend_guard_record **out, size_t *n,
					 struct amend_error *err)
{
	return read_records(db, NULL, arena, out, n, err);
}

enum amend_status amend_guard_record_delete(struct amend_conn *db, const char *table,
					    struct amend_error *err)
{
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "guard");
	amend_sql_text(&sql, " WHERE tbl = ");
	amend_sql_string(&sql, table);
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_guard_record_write(struct amend_conn *db,
					   const struct amend_guard_record *record,
					   struct amend_error *err)
{
	struct amend_buffer covered = AMEND_BUFFER_INIT, ignored = AMEND_BUFFER_INIT,
			    additive = AMEND_BUFFER_INIT;
	enum amend_status status = amend_guard_record_delete(db, record->table, err);
	struct amend_sql sql;

	add_names(&covered, record->covered, record->n_covered);
	add_names(&ignored, record->ignored, record->n_ignored);
	add_names(&additive, record->additive, record->n_additive);
	if (status == AMEND_OK && (covered.failed || ignored.failed || additive.failed))
		status = amend_no_memory(err);
	if (status != AMEND_OK)
		goto out;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "guard");
	amend_sql_text(&sql, " (tbl, version, stale, history, columns, ignored, additive, at, "
			     "who) SELECT ");
	amend_sql_string(&sql, record->table);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, record->version);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, rules[record->stale]);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, !record->history       ? "none"
			       : record->by_statement ? "statement"
						      : "row");
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, covered.data);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, ignored.data);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, additive.data);
	amend_sql_text(&sql, ", ");
	amend_sql_text(&sql, db->dialect->now);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, amend_author_who(db));
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
out:
	amend_buffer_release(&covered);
	amend_buffer_release(&ignored);
	amend_buffer_release(&additive);
	return status;
}

/*
 * Tables that record by themselves: handing their triggers the revision, and taking up what they recorded.
 * Leaves changes that amend records itself to revision.c, and the triggers to guard.c.
 *
 * They write their changes with the writes that they see. What they cannot know is which sync a change
 * is of, and which base it replaced: that is added afterwards, in the same unit.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/ledger.h"

enum amend_status amend_handover_begin(struct amend_conn *db, struct amend_error *err)
{
	struct amend_value value = amend_integer(0);
	const struct amend_statement statement = {
		.sql = db->dialect->hand_over, .values = &value, .n_values = 1};
	enum amend_status status = amend_revision_need(db, &value.as.integer, err);

	if (status != AMEND_OK)
		return status;
	return amend_exec_many(db, &statement, 1, NULL, NULL, err);
}

enum amend_status amend_handover_end(struct amend_conn *db, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = db->dialect->hand_back};

	return statement.sql ? amend_exec_many(db, &statement, 1, NULL, NULL, err) : AMEND_OK;
}

enum amend_status amend_handover_change(struct amend_conn *db, const struct amend_table *table,
					const char *pk, int64_t *id, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	*id = 0;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT coalesce(max(id), 0) FROM ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " WHERE tbl = ");
	amend_sql_string(&sql, table->qualified);
	amend_sql_text(&sql, " AND pk = ");
	amend_sql_string(&sql, pk);
	amend_sql_text(&sql, " AND revision = ");
	amend_sql_integer(&sql, amend_revision_current(db));
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && !amend_value_number(amend_rows_at(&rows, 0, 0), id))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* The names, sources and bases of the changes, three values each; bases lie in `packs`. */
static bool fill(const struct amend_change_spec *specs, size_t n, struct amend_value *values,
		 struct amend_buffer *packs)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		struct amend_value *row = values + 3 * i;
		size_t start = packs->size;

		row[0] = amend_text(specs[i].pk);
		row[1] = amend_text(specs[i].source);
		row[2] = amend_null();
		if (specs[i].base) {
			amend_change_pack_base(packs, specs[i].base);
			row[2] = amend_blob(NULL, packs->size - start);
		}
	}
	/* Only now do they stay where they are. */
	for (size_t i = 0; i < n && !packs->failed; i++) {
		struct amend_value *base = &values[3 * i + 2];

		if (base->kind == AMEND_BLOB)
			base->as.blob = packs->data + at;
		at += base->size;
	}
	return !packs->failed;
}

/* By a function that may do what the role may not: change what is recorded, in this transaction's revision alone. */
static enum amend_status add_by_function(struct amend_conn *db, const struct amend_table *table,
					 const struct amend_value *values, size_t n,
					 struct amend_error *err)
{
	const char *text = db->dialect->text_type;
	const struct amend_sql_array arrays[] = {
		{.type = text, .values = values, .stride = 3},
		{.type = text, .values = values + 1, .stride = 3},
		{.type = db->dialect->bytes_type, .values = values + 2, .stride = 3},
	};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT ");
	amend_sql_text(&sql, db->dialect->hand_bases);
	amend_sql_text(&sql, "(");
	amend_sql_integer(&sql, amend_revision_current(db));
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, table->qualified);
	amend_sql_text(&sql, ", array_agg(w.pk), array_agg(w.source), array_agg(w.base)) FROM ");
	amend_sql_unnest(&sql, arrays, sizeof(arrays) / sizeof(arrays[0]), n);
	amend_sql_text(&sql, " AS w (pk, source, base)");
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status add_each(struct amend_conn *db, const struct amend_table *table,
				  const struct amend_value *values, size_t n,
				  struct amend_error *err)
{
	enum { WIDTH = 5 };
	struct amend_repeat repeat = {.n_values = WIDTH, .n = n};
	struct amend_value *rows = calloc(n, WIDTH * sizeof(*rows));
	enum amend_status status;
	struct amend_sql sql;

	if (!rows)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		rows[WIDTH * i] = values[3 * i + 1];
		rows[WIDTH * i + 1] = values[3 * i + 2];
		rows[WIDTH * i + 2] = amend_integer(amend_revision_current(db));
		rows[WIDTH * i + 3] = amend_text(table->qualified);
		rows[WIDTH * i + 4] = values[3 * i];
	}
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " SET source = ");
	amend_sql_string(&sql, NULL);
	amend_sql_text(&sql, ", base = ");
	amend_sql_bytes(&sql, NULL, 0);
	amend_sql_text(&sql, " WHERE source IS NULL AND revision = ");
	amend_sql_integer(&sql, 0);
	amend_sql_text(&sql, " AND tbl = ");
	amend_sql_string(&sql, NULL);
	amend_sql_text(&sql, " AND pk = ");
	amend_sql_string(&sql, NULL);
	repeat.sql = amend_buffer_string(&sql.text);
	repeat.values = rows;
	status = repeat.sql ? amend_repeat(db, &repeat, err) : amend_no_memory(err);
	amend_sql_release(&sql);
	free(rows);
	return status;
}

enum amend_status amend_handover_bases(struct amend_conn *db, const struct amend_change_spec *specs,
				       size_t n, struct amend_error *err)
{
	enum { SLICE = 4096 };
	struct amend_buffer packs = AMEND_BUFFER_INIT;
	struct amend_value *values = calloc(n < SLICE ? n + 1 : SLICE, 3 * sizeof(*values));
	enum amend_status status = values ? AMEND_OK : amend_no_memory(err);

	for (size_t at = 0; at < n && status == AMEND_OK; at += SLICE) {
		size_t size = n - at < SLICE ? n - at : SLICE;

		amend_buffer_reset(&packs);
		if (!fill(specs + at, size, values, &packs))
			status = amend_no_memory(err);
		else if (db->dialect->hand_bases)
			status = add_by_function(db, specs[at].table, values, size, err);
		else
			status = add_each(db, specs[at].table, values, size, err);
	}
	amend_buffer_release(&packs);
	free(values);
	return status;
}

/*
 * The rows and bases that a revert is about, as they are.
 * Leaves what follows from them to undo_decide.c.
 */
#include <stdlib.h>
#include <string.h>

#include "history/revert.h"

static const struct amend_lock for_update = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

/* The identity's values of the record's name; false: the table is no longer identified that way. */
static enum amend_status parse_name(const struct undo *undo, const struct undo_record *record,
				    struct amend_value *values, bool *whole, struct amend_error *err)
{
	const struct amend_table *table = record->table->table;
	size_t width = table->n_identity ? table->n_identity : 1, found = 0, n = 0;
	struct amend_field *fields = NULL;
	enum amend_status status = amend_pk_parse(record->pk,
						  amend_has(undo->db, AMEND_HAS_TYPED_STORAGE),
						  undo->arena, &fields, &n, err);

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		int at = amend_table_column(table, fields[i].column);

		if (table->n_identity == 0 && at < 0) {
			values[0] = fields[i].value;
			found++;
		}
		for (size_t j = 0; j < table->n_identity; j++) {
			if ((int)table->identity[j] != at)
				continue;
			values[j] = fields[i].value;
			found++;
		}
	}
	*whole = status == AMEND_OK && n == width && found == width;
	if (status == AMEND_OK && !*whole)
		return amend_error_set(err, AMEND_INVALID,
				       "%s is identified in another way since: what has the name "
				       "%.80s is not known any more",
				       table->qualified, record->pk);
	return status;
}

static enum amend_status read_by_rowid(struct undo *undo, struct undo_table *table,
				       const struct amend_value *values, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n && status == AMEND_OK; i++) {
		const struct amend_row by_rowid = {.rowid = values[i]};
		struct undo_record *record = table->list[i];
		bool found = false;

		status = amend_row_again(undo->db, table->table, &by_rowid, NULL, undo->arena,
					 &record->row, &found, err);
		if (status == AMEND_OK && !found)
			record->row = (struct amend_row){0};
	}
	return status;
}

static enum amend_status read_by_identity(struct undo *undo, struct undo_table *table,
					  const struct amend_value *values, struct amend_error *err)
{
	const struct amend_table *described = table->table;
	struct amend_row *rows = calloc(table->n, sizeof(*rows));
	unsigned char *n_found = calloc(table->n, 1);
	enum amend_status status = rows && n_found ? AMEND_OK : amend_no_memory(err);

	if (status == AMEND_OK && rows && n_found)
		status = amend_row_find_many(
			undo->db, described, described->identity, described->n_identity, values,
			table->n, undo->hold ? &for_update : NULL, undo->arena, rows, n_found, err);
	for (size_t i = 0; i < table->n && status == AMEND_OK; i++) {
		if (rows && n_found && n_found[i])
			table->list[i]->row = rows[i];
	}
	free(rows);
	free(n_found);
	return status;
}

static enum amend_status read_rows(struct undo *undo, struct undo_table *table,
				   struct amend_error *err)
{
	size_t width = table->table->n_identity ? table->table->n_identity : 1;
	struct amend_value *values = calloc(table->n, width * sizeof(*values));
	enum amend_status status = values ? AMEND_OK : amend_no_memory(err);
	bool whole = true;

	for (size_t i = 0; i < table->n && values && status == AMEND_OK && whole; i++)
		status = parse_name(undo, table->list[i], values + i * width, &whole, err);
	if (status == AMEND_OK && values)
		status = table->table->n_identity ? read_by_identity(undo, table, values, err)
						  : read_by_rowid(undo, table, values, err);
	free(values);
	for (size_t i = 0; i < table->n && status == AMEND_OK; i++)
		table->list[i]->row.held = undo->hold && table->list[i]->row.values;
	return status;
}

/* Those of one source: as a rule there is but one. */
static enum amend_status read_bases_of(struct undo *undo, struct undo_table *table,
				       const char *source, struct amend_error *err)
{
	const char **names = calloc(table->n, sizeof(const char *));
	struct amend_base *bases = calloc(table->n, sizeof(*bases));
	enum amend_status status = names && bases ? AMEND_OK : amend_no_memory(err);
	size_t n = 0;

	for (size_t i = 0; names && i < table->n; i++) {
		const struct undo_record *record = table->list[i];

		if (record->base.source && strcmp(record->base.source, source) == 0)
			names[n++] = record->pk;
	}
	if (status == AMEND_OK && names && bases)
		status = amend_base_find(undo->db, source, table->table, false, names, n, bases,
					 undo->arena, err);
	n = 0;
	for (size_t i = 0; i < table->n && status == AMEND_OK && bases; i++) {
		struct undo_record *record = table->list[i];

		if (record->base.source && strcmp(record->base.source, source) == 0)
			record->base.now = bases[n++];
	}
	free(names);
	free(bases);
	return status;
}

/* Sources are few; records that follow each other mostly have the same. */
static enum amend_status read_bases(struct undo *undo, struct undo_table *table,
				    struct amend_error *err)
{
	const char **sources = NULL;
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	for (size_t i = 0; i < table->n && status == AMEND_OK; i++) {
		const char *source = table->list[i]->base.source;
		const char **more;
		size_t at = 0;

		while (source && at < n && strcmp(sources[at], source) != 0)
			at++;
		if (!source || at < n)
			continue;
		more = realloc(sources, (n + 1) * sizeof(const char *));
		if (!more) {
			status = amend_no_memory(err);
			break;
		}
		sources = more;
		sources[n++] = source;
		status = read_bases_of(undo, table, source, err);
	}
	free(sources);
	return status;
}

enum amend_status amend_undo_rows(struct undo *undo, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < undo->n_tables && status == AMEND_OK; i++) {
		status = read_rows(undo, undo->tables[i], err);
		if (status == AMEND_OK && undo->tables[i]->synced)
			status = read_bases(undo, undo->tables[i], err);
	}
	return status;
}

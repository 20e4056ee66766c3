/*
 * A plan carried out, many rows at a time, all of it in the open unit: parents come back
 * before their children, children go before their parents, and whoever holds a value that another is to
 * have makes way first. Leaves what is written to undo_decide.c, and single rows to src/record.
 */
#include <stdlib.h>
#include <string.h>

#include "core/pack.h"
#include "history/revert.h"
#include "record/cascade.h"
#include "record/write.h"
#include "sync/park.h"

enum { SLICE = 5000 };
enum { FRESH, ON_THE_WAY, PLACED };

/* ---- tables in the order of their foreign keys ---- */

static struct undo_table *referred(const struct undo *undo, const struct amend_table *table,
				   const struct amend_foreign_key *key)
{
	for (size_t i = 0; i < undo->n_tables; i++) {
		const struct amend_table *other = undo->tables[i]->table;
		bool schema = !key->schema || !*key->schema || !other->schema ||
			      strcmp(key->schema, other->schema) == 0;

		if (other != table && schema && strcmp(key->table, other->name) == 0)
			return undo->tables[i];
	}
	return NULL;
}

/* Parents first; where they refer to each other in a circle the database has the last word. */
static void place_table(const struct undo *undo, struct undo_table *table,
			struct undo_table **order, size_t *n)
{
	if (table->mark != FRESH)
		return;
	table->mark = ON_THE_WAY;
	for (size_t i = 0; i < table->table->n_foreign_keys; i++) {
		struct undo_table *parent = referred(undo, table->table,
						     &table->table->foreign_keys[i]);

		if (parent)
			place_table(undo, parent, order, n);
	}
	table->mark = PLACED;
	order[(*n)++] = table;
}

static void sort_tables(struct undo *undo, struct undo_table **order)
{
	size_t n = 0;

	for (size_t i = 0; i < undo->n_tables; i++)
		undo->tables[i]->mark = FRESH;
	for (size_t i = 0; i < undo->n_tables; i++)
		place_table(undo, undo->tables[i], order, &n);
}

/* ---- records of a table that refers to itself ---- */

/* The value that says where a record belongs: of one that goes what it has, else what it is to have. */
static const struct amend_value *value_of(const struct undo_record *record, size_t column)
{
	return record->outcome == AMEND_IS_DELETED ? &record->row.values[column]
						   : amend_undo_final(record, column);
}

static bool pack_columns(const struct undo_record *record, const uint32_t *columns, size_t n,
			 struct amend_buffer *buffer)
{
	amend_buffer_reset(buffer);
	for (size_t i = 0; i < n; i++) {
		const struct amend_value *value = value_of(record, columns[i]);

		if (!value || value->kind == AMEND_NULL)
			return false;
		amend_pack_add(buffer, "", value);
	}
	return !buffer->failed;
}

static bool find_references(const struct amend_table *table, const struct amend_foreign_key *key,
			    uint32_t *references)
{
	if (strcmp(key->table, table->name) != 0 ||
	    (key->schema && *key->schema && strcmp(key->schema, table->schema) != 0))
		return false;
	for (size_t i = 0; i < key->n_columns; i++) {
		int at = amend_table_column(table, key->references[i]);

		if (at < 0)
			return false;
		references[i] = (uint32_t)at;
	}
	return true;
}

/* From child to parent, each once. `mark` is a record's own index + 1 until it is placed. */
static void place_line(struct undo_record **parents, struct undo_record *record,
		       struct undo_record **order, size_t *n)
{
	while (record && record->mark != SIZE_MAX) {
		struct undo_record *parent = parents[record->mark - 1];

		record->mark = SIZE_MAX;
		order[(*n)++] = record;
		record = parent;
	}
}

/* Sorts records so that each comes behind its parent, by this key. */
static enum amend_status sort_by(struct undo_record **list, size_t n,
				 const struct amend_foreign_key *key, struct amend_error *err)
{
	uint32_t *references = calloc(key->n_columns, sizeof(*references));
	struct undo_record **parents = calloc(n, sizeof(struct undo_record *));
	struct undo_record **order = calloc(n, sizeof(struct undo_record *));
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	struct amend_hash by_key = {0};
	enum amend_status status = references && parents && order ? AMEND_OK : amend_no_memory(err);
	size_t placed = 0;

	if (status != AMEND_OK || !references || !parents || !order ||
	    !find_references(list[0]->table->table, key, references))
		goto out;
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		const char *text;
		void **slot;

		if (!pack_columns(list[i], references, key->n_columns, &buffer))
			continue;
		text = amend_arena_text_n(&arena, buffer.data, buffer.size);
		slot = text ? amend_hash_put(&by_key, text, buffer.size) : NULL;
		if (!slot)
			status = amend_no_memory(err);
		else
			*slot = list[i];
	}
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		parents[i] = pack_columns(list[i], key->columns, key->n_columns, &buffer)
				     ? amend_hash_get(&by_key, buffer.data, buffer.size)
				     : NULL;
		list[i]->mark = i + 1;
	}
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		size_t first = placed;

		place_line(parents, list[i], order, &placed);
		/* And back: a parent is to stand before its children. */
		for (size_t a = first, b = placed; b > a + 1; a++, b--) {
			struct undo_record *other = order[a];

			order[a] = order[b - 1];
			order[b - 1] = other;
		}
	}
	if (status == AMEND_OK)
		memcpy(list, order, n * sizeof(struct undo_record *));
out:
	amend_hash_release(&by_key);
	amend_buffer_release(&buffer);
	amend_arena_release(&arena);
	free(references);
	free(parents);
	free(order);
	return status;
}

/* ---- making way ---- */

static bool puts_column(const struct undo_record *record, uint32_t column)
{
	for (size_t i = 0; i < record->n_puts; i++) {
		if (record->puts[i].column == column)
			return true;
	}
	return record->outcome == AMEND_IS_DELETED;
}

/* The column by which it makes way for another's value of the key, one that is written again; -1: it cannot. */
static int park_column(const struct undo_record *record, const struct amend_key *key)
{
	const struct amend_table *table = record->table->table;
	int best = -1;

	for (size_t i = 0; i < key->n_columns; i++) {
		uint32_t column = key->columns[i];
		bool identity = false;

		for (size_t j = 0; j < table->n_identity; j++)
			identity = identity || table->identity[j] == column;
		if (identity || table->columns[column].generated || !puts_column(record, column))
			continue;
		if (!table->columns[column].not_null && !key->nulls_equal)
			return (int)column;
		if (best < 0)
			best = (int)column;
	}
	return best;
}

static enum amend_status park(struct undo *undo, struct undo_record *record, uint32_t column,
			      struct amend_arena *arena, struct amend_error *err)
{
	const struct amend_table *table = record->table->table;
	struct amend_put put = {.column = column, .value = amend_null()};
	enum amend_status status = AMEND_OK;
	struct amend_sql sql;

	if (table->columns[column].not_null)
		status = amend_park_value(undo->db, table, column, arena, &put.value, err);
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, undo->db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_text(&sql, table->sql);
	amend_sql_text(&sql, " SET ");
	amend_sql_name(&sql, table->columns[column].name);
	amend_sql_text(&sql, " = ");
	amend_sql_value_as(&sql, &table->columns[column], &put.value);
	amend_row_identity(&sql, table, &record->row);
	status = amend_park_row(undo->db, table, &sql, &record->row, &put, 1, err);
	amend_sql_release(&sql);
	/* Held, and not any more in the version that was read. */
	record->row.version = amend_null();
	return status;
}

static enum amend_status park_all(struct undo *undo, struct undo_table *table,
				  struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n; i++) {
		struct undo_record *record = table->list[i];
		struct amend_arena arena = AMEND_ARENA_INIT;

		for (size_t k = 0; record->parks && k < table->table->n_keys && status == AMEND_OK;
		     k++) {
			int column = record->parks[k] ? park_column(record, &table->table->keys[k])
						      : -1;

			if (column >= 0)
				status = park(undo, record, (uint32_t)column, &arena, err);
		}
		amend_arena_release(&arena);
	}
	return status;
}

/* ---- writing ---- */

static enum amend_status write_slice(struct undo *undo, const struct undo_table *table,
				     struct undo_record **list, size_t n, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_bulk *items = amend_arena_array(&arena, n, sizeof(*items));
	enum amend_status status = items ? AMEND_OK : amend_no_memory(err);

	for (size_t i = 0; items && i < n; i++) {
		items[i] = (struct amend_bulk){
			.row = list[i]->outcome == AMEND_IS_CREATED ? NULL : &list[i]->row,
			.puts = list[i]->puts,
			.n_puts = list[i]->n_puts,
			/* So that this change can be undone as well. */
			.source = list[i]->base.source,
			.seen = list[i]->base.now.pack ? &list[i]->base.now : NULL,
		};
	}
	if (status == AMEND_OK)
		status = amend_rows_write(undo->db, table->table, NULL, items, n, &arena, err);
	for (size_t i = 0; i < n && status == AMEND_OK && items; i++) {
		if (items[i].moved) {
			status = amend_error_set(err, AMEND_RETRY,
						 "a record moved while it was held");
			break;
		}
		if (!items[i].after.pk || !list[i]->base.source)
			continue;
		list[i]->after_pk = amend_arena_text(undo->arena, items[i].after.pk);
		if (!list[i]->after_pk)
			status = amend_no_memory(err);
	}
	amend_arena_release(&arena);
	return status;
}

/* Others of the table may follow what it gets: they are held, and not any more in the version that was read. */
static bool moves_others(const struct undo *undo, const struct undo_record *record)
{
	return record->outcome == AMEND_IS_UPDATED &&
	       amend_cascades_within(undo->db, record->table->table, record->puts, record->n_puts);
}

/* In slices; of those that others follow each is one of its own. */
static enum amend_status write_list(struct undo *undo, const struct undo_table *table,
				    struct undo_record **list, size_t n, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	bool forgotten = false;

	for (size_t at = 0, to; at < n && status == AMEND_OK; at = to) {
		bool alone = moves_others(undo, list[at]);

		for (to = at + 1; !alone && to < n && to - at < SLICE; to++) {
			if (moves_others(undo, list[to]))
				break;
		}
		status = write_slice(undo, table, list + at, to - at, err);
		for (size_t i = to; alone && !forgotten && i < n; i++)
			list[i]->row.version = amend_null();
		forgotten = forgotten || alone;
	}
	return status;
}

/* All of the table that end this way, in order; those that go in the opposite one. */
static enum amend_status write_table(struct undo *undo, struct undo_table *table,
				     enum amend_outcome outcome, struct amend_error *err)
{
	struct undo_record **list = calloc(table->n, sizeof(struct undo_record *));
	const struct amend_table *described = table->table;
	enum amend_status status = list ? AMEND_OK : amend_no_memory(err);
	bool sorts = outcome != AMEND_IS_UPDATED;
	size_t n = 0;

	for (size_t i = 0; list && i < table->n; i++) {
		if (table->list[i]->outcome != outcome)
			continue;
		list[n++] = table->list[i];
		sorts = sorts || moves_others(undo, table->list[i]);
	}
	for (size_t i = 0;
	     list && n > 1 && sorts && i < described->n_foreign_keys && status == AMEND_OK; i++)
		status = sort_by(list, n, &described->foreign_keys[i], err);
	for (size_t i = 0; list && outcome == AMEND_IS_DELETED && i < n / 2; i++) {
		struct undo_record *other = list[i];

		list[i] = list[n - 1 - i];
		list[n - 1 - i] = other;
	}
	if (list && status == AMEND_OK)
		status = write_list(undo, table, list, n, err);
	free(list);
	return status;
}

static enum amend_status write_bases(struct undo *undo, struct undo_table *table,
				     struct amend_error *err)
{
	struct amend_base_bulk *items = calloc(table->n, sizeof(*items));
	struct amend_base *bases = calloc(table->n, sizeof(*bases));
	enum amend_status status = items && bases ? AMEND_OK : amend_no_memory(err);
	size_t n = 0;

	for (size_t i = 0; i < table->n && status == AMEND_OK && items && bases; i++) {
		struct undo_record *record = table->list[i];
		bool same = true;

		if (!record->base.source)
			continue;
		status = amend_undo_base(undo, record, &bases[n], &same, err);
		if (status != AMEND_OK || same)
			continue;
		items[n] = (struct amend_base_bulk){record->base.now.pack ? &record->base.now : NULL,
						    bases[n].pack ? &bases[n] : NULL, false};
		n++;
	}
	if (status == AMEND_OK && n > 0 && items)
		status = amend_bases_write(undo->db, table->table, items, n, err);
	for (size_t i = 0; i < n && status == AMEND_OK && items; i++) {
		if (items[i].moved)
			status = amend_error_set(err, AMEND_RETRY,
						 "a sync changed a base meanwhile");
	}
	undo->report.bases += n;
	free(items);
	free(bases);
	return status;
}

/* What refers to a table's records may have moved with them: held, and not any more in the version that was read. */
static void forget_versions(struct undo *undo, const struct undo_table *written)
{
	for (size_t i = 0; written->table->n_dependents > 0 && i < undo->n_tables; i++) {
		for (size_t j = 0; j < undo->tables[i]->n; j++)
			undo->tables[i]->list[j]->row.version = amend_null();
	}
}

enum amend_status amend_undo_write(struct undo *undo, struct amend_error *err)
{
	struct undo_table **order = amend_arena_array(undo->arena, undo->n_tables,
						      sizeof(struct undo_table *));
	size_t n = undo->n_tables;
	enum amend_status status = AMEND_OK;

	if (!order)
		return amend_no_memory(err);
	sort_tables(undo, order);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = park_all(undo, order[i], err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = write_table(undo, order[i], AMEND_IS_CREATED, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		status = write_table(undo, order[i], AMEND_IS_UPDATED, err);
		forget_versions(undo, order[i]);
	}
	for (size_t i = n; i-- > 0 && status == AMEND_OK;)
		status = write_table(undo, order[i], AMEND_IS_DELETED, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (order[i]->synced)
			status = write_bases(undo, order[i], err);
	}
	return status;
}

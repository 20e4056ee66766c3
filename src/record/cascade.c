/*
 * What the database would delete or change with a record, looked for before that is deleted.
 * Leaves what to do about it to those who delete.
 */
#include "record/cascade.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"

/* How far what is recorded is followed: who goes with those that go. */
enum { DEEPEST = 16 };

/* One foreign key. */
struct looking {
	struct amend_conn *db;
	const struct amend_table *parent;
	const struct amend_dependent *key;
	const struct amend_cascade_search *search;
	struct amend_table *child; /* NULL: it has nothing that names its rows */
	uint32_t *columns;         /* of the child */
	const char *name;          /* of it, as it is asked for */
	bool recorded;
	struct amend_arena arena;
};

static enum amend_status open_child(struct amend_conn *db, const struct amend_dependent *key,
				    struct amend_arena *arena, const char **name,
				    struct amend_table **out, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status;

	*out = NULL;
	amend_quote_name(&text, db->dialect, key->schema);
	amend_buffer_char(&text, '.');
	amend_quote_name(&text, db->dialect, key->table);
	*name = text.failed ? NULL : amend_arena_text_n(arena, text.data, text.size);
	amend_buffer_release(&text);
	if (!*name)
		return amend_no_memory(err);
	status = amend_table_open(db, *name, out, err);
	/* Its rows can be counted all the same. */
	return status == AMEND_UNSUPPORTED ? AMEND_OK : status;
}

/* Tables whose records go with each other's, the one that was asked for last. */
struct chain {
	const struct amend_table *table;
	const struct chain *up;
	int length;
};

static bool is_on(const struct chain *chain, const struct amend_dependent *key)
{
	for (; chain; chain = chain->up) {
		if (strcmp(key->schema, chain->table->schema) == 0 &&
		    strcmp(key->table, chain->table->name) == 0)
			return true;
	}
	return false;
}

/* By triggers, and so are those that go with its records. What is on the chain is answered for where it stands. */
static enum amend_status is_recorded(struct amend_conn *db, const struct amend_table *table,
				     bool goes, const struct chain *up, bool *yes,
				     struct amend_error *err)
{
	const struct chain here = {table, up, up ? up->length + 1 : 1};
	struct amend_arena arena = AMEND_ARENA_INIT;
	enum amend_status status = AMEND_OK;

	*yes = table && table->guard_history && here.length <= DEEPEST;
	for (size_t i = 0; *yes && goes && i < table->n_dependents && status == AMEND_OK; i++) {
		const struct amend_dependent *key = &table->dependents[i];
		struct amend_table *child = NULL;
		const char *name;

		if (is_on(&here, key))
			continue;
		status = open_child(db, key, &arena, &name, &child, err);
		if (status == AMEND_OK)
			status = is_recorded(db, child, key->goes, &here, yes, err);
		amend_table_close(child);
	}
	amend_arena_release(&arena);
	return status;
}

/* What the child's columns would hold; false: it is NULL in one of them, and nothing refers to that. */
static bool values_of(const struct looking *looking, const struct amend_row *row,
		      struct amend_value *out)
{
	for (size_t i = 0; row->values && i < looking->key->n_columns; i++) {
		out[i] = row->values[looking->key->references[i]];
		if (out[i].kind == AMEND_NULL)
			return false;
	}
	return row->values != NULL;
}

static enum amend_status list_named(struct looking *looking, const struct amend_value *values,
				    struct amend_arena *arena, struct amend_cascade *found,
				    struct amend_error *err)
{
	const struct amend_cascade_search *search = looking->search;
	enum amend_status status;
	size_t limit = AMEND_CASCADE_MOST, n;

	/* All of the first may go anyway: what comes behind them may not. */
	for (;; limit *= 8) {
		struct amend_row *rows = NULL;

		status = amend_row_find(looking->db, looking->child, looking->columns, values,
					looking->key->n_columns, NULL, limit, arena, &rows, &n, err);
		for (size_t i = 0; status == AMEND_OK && i < n; i++) {
			if (search->apart && search->apart(search->context, looking->key,
							   looking->child, rows[i].pk))
				continue;
			if (found->n < AMEND_CASCADE_SHOWN)
				found->pks[found->n] = rows[i].pk;
			found->n++;
		}
		found->more = status == AMEND_OK && n == limit;
		if (!found->more || found->n > 0)
			return status;
		amend_arena_release(arena);
	}
}

static enum amend_status count_nameless(struct looking *looking, const struct amend_row *row,
					struct amend_cascade *found, struct amend_error *err)
{
	const struct amend_dependent *key = looking->key;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;
	int64_t number = 0;

	amend_sql_init(&sql, looking->db);
	amend_sql_text(&sql, "SELECT count(*) FROM (SELECT 1 FROM ");
	amend_sql_text(&sql, looking->name);
	for (size_t i = 0; i < key->n_columns; i++) {
		amend_sql_text(&sql, i ? " AND " : " WHERE ");
		amend_sql_name(&sql, key->columns[i]);
		amend_sql_text(&sql, " = ");
		amend_sql_value_as(&sql, &looking->parent->columns[key->references[i]],
				   &row->values[key->references[i]]);
	}
	amend_sql_printf(&sql, " LIMIT %d) AS held", AMEND_CASCADE_MOST);
	status = amend_exec(looking->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1 &&
	    amend_value_number(amend_rows_at(&rows, 0, 0), &number))
		found->n = (uint64_t)number;
	found->more = found->n == AMEND_CASCADE_MOST;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status tell(struct looking *looking, const struct amend_row *row, size_t index,
			      const struct amend_value *values, struct amend_error *err)
{
	struct amend_cascade found = {.row = index,
				      .table = looking->child ? looking->child->qualified
							      : looking->key->table,
				      .goes = looking->key->goes,
				      .recorded = looking->recorded};
	struct amend_arena arena = AMEND_ARENA_INIT;
	enum amend_status status = looking->child ? list_named(looking, values, &arena, &found, err)
						  : count_nameless(looking, row, &found, err);

	if (status == AMEND_OK && found.n > 0)
		status = looking->search->each(looking->search->context, &found, err);
	amend_arena_release(&arena);
	return status;
}

/* In few trips those that have any. */
static enum amend_status which(struct looking *looking, const struct amend_value *values, size_t n,
			       unsigned char *has, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_row *rows = amend_arena_array(&arena, n, sizeof(*rows));
	enum amend_status status;

	memset(has, 1, n);
	if (!rows)
		status = amend_no_memory(err);
	else
		status = amend_row_find_many(looking->db, looking->child, looking->columns,
					     looking->key->n_columns, values, n, NULL, &arena, rows,
					     has, err);
	amend_arena_release(&arena);
	return status;
}

/* 2 says that there are several. */
static bool any(const unsigned char *has, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (has[i])
			return true;
	}
	return false;
}

static enum amend_status by_key(struct looking *looking, const struct amend_row *const *rows,
				size_t n, struct amend_error *err)
{
	size_t width = looking->key->n_columns, count = 0;
	struct amend_value *values = calloc(n * width + 1, sizeof(*values));
	size_t *indices = calloc(n + 1, sizeof(*indices));
	unsigned char *has = calloc(n + 1, 1);
	enum amend_status status = AMEND_OK;

	if (!values || !indices || !has) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		if (values_of(looking, rows[i], values + count * width))
			indices[count++] = i;
	}
	memset(has, looking->child == NULL, n);
	if (count > 0 && looking->child)
		status = which(looking, values, count, has, err);
	if (status == AMEND_OK && any(has, count))
		status = is_recorded(looking->db, looking->child, looking->key->goes, NULL,
				     &looking->recorded, err);
	/* Who only refuses what nothing records need not be told of each. */
	if (status == AMEND_OK && looking->recorded && looking->search->recorded) {
		*looking->search->recorded = true;
		goto out;
	}
	for (size_t i = 0; i < count && status == AMEND_OK; i++) {
		if (has[i])
			status = tell(looking, rows[indices[i]], indices[i], values + i * width,
				      err);
	}
out:
	free(values);
	free(indices);
	free(has);
	return status;
}

static enum amend_status open_looking(struct looking *looking, struct amend_error *err)
{
	const struct amend_dependent *key = looking->key;
	enum amend_status status = open_child(looking->db, key, &looking->arena, &looking->name,
					      &looking->child, err);

	if (status != AMEND_OK || !looking->child)
		return status;
	looking->columns = amend_arena_array(&looking->arena, key->n_columns,
					     sizeof(*looking->columns));
	if (!looking->columns)
		return amend_no_memory(err);
	for (size_t i = 0; i < key->n_columns; i++) {
		int at = amend_table_column(looking->child, key->columns[i]);

		if (at < 0)
			return amend_error_set(err, AMEND_INVALID,
					       "%s was changed since it was described (hint: open "
					       "its table again)",
					       looking->child->qualified);
		looking->columns[i] = (uint32_t)at;
	}
	return AMEND_OK;
}

enum amend_status amend_cascades_find(struct amend_conn *db, const struct amend_table *table,
				      const struct amend_row *const *rows, size_t n,
				      const struct amend_cascade_search *search,
				      struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; n > 0 && i < table->n_dependents && status == AMEND_OK; i++) {
		struct looking looking = {.db = db,
					  .parent = table,
					  .key = &table->dependents[i],
					  .search = search,
					  .arena = AMEND_ARENA_INIT};

		status = open_looking(&looking, err);
		if (status == AMEND_OK)
			status = by_key(&looking, rows, n, err);
		amend_table_close(looking.child);
		amend_arena_release(&looking.arena);
	}
	return status;
}

void amend_cascade_text(struct amend_buffer *text, const struct amend_cascade *found)
{
	amend_buffer_printf(
		text, "%s%" PRIu64 " record%s of %s refer%s to it, and would be %s with it",
		found->more ? "at least " : "", found->n, found->n == 1 ? "" : "s", found->table,
		found->n == 1 ? "s" : "", found->goes ? "deleted" : "changed");
	for (size_t i = 0; i < AMEND_CASCADE_SHOWN && found->pks[i]; i++)
		amend_buffer_printf(text, "%s%s", i ? ", " : ": ", found->pks[i]);
	if (found->pks[0] && found->n > AMEND_CASCADE_SHOWN)
		amend_buffer_text(text, ", ...");
}

/* ---- before a deletion ---- */

struct deletion {
	const struct amend_table *table;
	const char **pks; /* of those that are deleted, sorted */
	size_t n;
	const struct amend_row *const *rows;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool goes_too(void *context, const struct amend_dependent *key,
		     const struct amend_table *table, const char *pk)
{
	const struct deletion *deletion = context;

	(void)key;
	return strcmp(table->qualified, deletion->table->qualified) == 0 &&
	       bsearch(&pk, deletion->pks, deletion->n, sizeof(*deletion->pks), by_text);
}

static enum amend_status refuse(void *context, const struct amend_cascade *found,
				struct amend_error *err)
{
	const struct deletion *deletion = context;
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *words;

	amend_cascade_text(&text, found);
	words = text.failed ? "others refer to it" : text.data;
	amend_error_set(err, AMEND_CONSTRAINT,
			"%s %s is not deleted: %s; nothing would record that (hint: see to them "
			"first, or have `amend guard --history` record what becomes of %s)",
			deletion->table->qualified, deletion->rows[found->row]->pk, words,
			found->table);
	amend_buffer_release(&text);
	return err->status;
}

enum amend_status amend_cascades_check(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_row *const *rows, size_t n,
				       bool *recorded, struct amend_error *err)
{
	struct deletion deletion = {.table = table, .n = n, .rows = rows};
	const struct amend_cascade_search search = {goes_too, refuse, &deletion, recorded};
	enum amend_status status;

	*recorded = false;
	if (table->n_dependents == 0 || n == 0)
		return AMEND_OK;
	deletion.pks = calloc(n, sizeof(*deletion.pks));
	if (!deletion.pks)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++)
		deletion.pks[i] = rows[i]->pk;
	qsort(deletion.pks, n, sizeof(*deletion.pks), by_text);
	status = amend_cascades_find(db, table, rows, n, &search, err);
	free(deletion.pks);
	return status;
}

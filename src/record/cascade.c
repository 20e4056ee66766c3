/*
 * Records that the database would delete or change with a record, looked for before that is deleted or changed.
 * Leaves what to do about it to those who write.
 */
#include "record/cascade.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/rows.h"
#include "record/call.h"

/* How far what is recorded is followed: who goes with those that go. */
enum { DEEPEST = 16 };

/* One foreign key, and rows that it refers to: all of them are deleted, or all are changed. */
struct looking {
	struct amend_conn *db;
	const struct amend_table *parent;
	const struct amend_dependent *key;
	const struct amend_cascade_search *search;
	const char *name;          /* the child's, as it is asked for */
	struct amend_table *child; /* NULL: it has nothing that names its rows */
	uint32_t *columns;         /* of the child */
	bool deleted;              /* the rows; else changed */
	bool goes;                 /* what refers to them would be deleted; else changed */
	bool recorded;
	bool parents_rule; /* SQLite: it is the parent's collation that tells what refers to a value */
	bool other_rule; /* and the child's is another */
	bool follows;    /* ON UPDATE CASCADE, also of all that follows what follows */
	struct amend_arena arena;
};

static enum amend_status name_child(const struct amend_conn *db, const struct amend_dependent *key,
				    struct amend_arena *arena, const char **name,
				    struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	amend_quote_name(&text, db->dialect, key->schema);
	amend_buffer_char(&text, '.');
	amend_quote_name(&text, db->dialect, key->table);
	*name = text.failed ? NULL : amend_arena_text_n(arena, text.data, text.size);
	amend_buffer_release(&text);
	return *name ? AMEND_OK : amend_no_memory(err);
}

static enum amend_status open_child(struct amend_conn *db, const char *name,
				    struct amend_table **out, struct amend_error *err)
{
	enum amend_status status = amend_table_open(db, name, out, err);

	/* Its rows can be counted all the same. */
	return status == AMEND_UNSUPPORTED ? AMEND_OK : status;
}

/* ---- what becomes of those further on ---- */

/* Tables whose records go, or change, with each other's: the one that was asked for last. */
struct chain {
	const struct amend_table *table;
	bool goes;
	const struct amend_dependent
		*by; /* its foreign key: of records that do not go its columns change */
	const struct chain *up;
	int length;
};

static bool has_column(const struct amend_dependent *key, const char *column)
{
	for (size_t i = 0; i < key->n_columns; i++) {
		if (strcmp(key->columns[i], column) == 0)
			return true;
	}
	return false;
}

/* Whether what becomes of the chain's records makes the key act. */
static bool reaches(const struct chain *chain, const struct amend_dependent *key)
{
	if (chain->goes)
		return key->on_delete != AMEND_KEY_REFUSES;
	for (size_t i = 0; key->on_update != AMEND_KEY_REFUSES && i < key->n_columns; i++) {
		if (has_column(chain->by, chain->table->columns[key->references[i]].name))
			return true;
	}
	return false;
}

static bool same_columns(const struct amend_dependent *a, const struct amend_dependent *b)
{
	for (size_t i = 0; i < a->n_columns; i++) {
		if (!has_column(b, a->columns[i]))
			return false;
	}
	return a->n_columns == b->n_columns;
}

static bool is_on(const struct chain *chain, const struct amend_dependent *key, bool goes)
{
	for (; chain; chain = chain->up) {
		if (strcmp(key->schema, chain->table->schema) == 0 &&
		    strcmp(key->table, chain->table->name) == 0 && goes == chain->goes &&
		    (goes || same_columns(key, chain->by)))
			return true;
	}
	return false;
}

/* Whether its triggers record what a foreign key does to its rows. */
static bool records(const struct amend_conn *db, const struct amend_table *table)
{
	return table->guard_history && amend_has(db, AMEND_HAS_KEY_TRIGGERS);
}

enum question {
	IS_RECORDED, /* by triggers */
	KEEPS_ALL,   /* nothing that depends on them loses what it refers to: it follows */
};

/* Of the chain's records, and of those that go or change with them. What is on the chain is answered for where it stands. */
static enum amend_status ask(struct amend_conn *db, enum question question,
			     const struct chain *here, bool *yes, struct amend_error *err)
{
	const struct amend_table *table = here->table;
	struct amend_arena arena = AMEND_ARENA_INIT;
	enum amend_status status = AMEND_OK;

	*yes = table && here->length <= DEEPEST && (question == KEEPS_ALL || records(db, table));
	for (size_t i = 0; *yes && i < table->n_dependents && status == AMEND_OK; i++) {
		const struct amend_dependent *key = &table->dependents[i];
		struct chain next = {
			.goes = here->goes && key->on_delete == AMEND_KEY_CASCADES,
			.by = key,
			.up = here,
			.length = here->length + 1,
		};
		struct amend_table *child = NULL;
		const char *name;

		if (!reaches(here, key) || is_on(here, key, next.goes))
			continue;
		if (question == KEEPS_ALL && key->on_update != AMEND_KEY_CASCADES) {
			*yes = false;
			break;
		}
		status = name_child(db, key, &arena, &name, err);
		if (status == AMEND_OK)
			status = open_child(db, name, &child, err);
		next.table = child;
		if (status == AMEND_OK)
			status = ask(db, question, &next, yes, err);
		amend_table_close(child);
	}
	amend_arena_release(&arena);
	return status;
}

/* ---- what only follows ---- */

/* A row that refers to itself would change in fields that nobody asked for. */
static bool refers_to_itself(const struct looking *looking, const struct amend_row *row)
{
	bool same = strcmp(looking->child->qualified, looking->parent->qualified) == 0;

	for (size_t i = 0; same && i < looking->key->n_columns; i++)
		same = amend_value_equal(&row->values[looking->columns[i]],
					 &row->values[looking->key->references[i]]);
	return same;
}

/* What refers to the row still does, whatever value that gets; but NULL, which refers to nothing. */
static bool follows(const struct looking *looking, const struct amend_bulk *item)
{
	if (!looking->follows || refers_to_itself(looking, item->row))
		return false;
	for (size_t i = 0; i < item->n_puts; i++) {
		for (size_t j = 0; j < looking->key->n_columns; j++) {
			if (item->puts[i].column == looking->key->references[j] &&
			    item->puts[i].op == AMEND_SET && item->puts[i].value.kind == AMEND_NULL)
				return false;
		}
	}
	return true;
}

/* ---- what refers to a row ---- */

static bool puts_another(const struct amend_bulk *item, uint32_t column)
{
	for (size_t i = 0; i < item->n_puts; i++) {
		const struct amend_put *put = &item->puts[i];

		if (put->column == column)
			return put->op == AMEND_SET
				       ? !amend_value_equal(&put->value, &item->row->values[column])
				       : !amend_put_adds_nothing(put);
	}
	return false;
}

/* What the child's columns hold; false: nothing refers to it, or what does stays as it is. */
static bool values_of(const struct looking *looking, const struct amend_bulk *item,
		      struct amend_value *out)
{
	bool acts = item->n_puts == 0;

	for (size_t i = 0; item->row->values && i < looking->key->n_columns; i++) {
		uint32_t column = looking->key->references[i];

		out[i] = item->row->values[column];
		if (out[i].kind == AMEND_NULL)
			return false;
		acts = acts || puts_another(item, column);
	}
	return acts && item->row->values;
}

/* " FROM child AS c WHERE .."; what the columns of `c` are compared with is, where that matters, the row's own column. */
static void add_referring(struct amend_sql *sql, const struct looking *looking,
			  const struct amend_value *values)
{
	const struct amend_dependent *key = looking->key;

	amend_sql_text(sql, " FROM ");
	amend_sql_text(sql, looking->name);
	amend_sql_text(sql, " AS c");
	if (looking->parents_rule) {
		amend_sql_text(sql, ", ");
		amend_sql_text(sql, looking->parent->sql);
		amend_sql_text(sql, " AS p");
	}
	for (size_t i = 0; i < key->n_columns; i++) {
		const struct amend_column *column = &looking->parent->columns[key->references[i]];

		amend_sql_text(sql, i ? " AND " : " WHERE ");
		if (looking->parents_rule) {
			amend_sql_text(sql, "p.");
			amend_sql_name(sql, column->name);
			amend_sql_text(sql, " = c.");
			amend_sql_name(sql, key->columns[i]);
			amend_sql_text(sql, " AND p.");
			amend_sql_name(sql, column->name);
		} else {
			amend_sql_text(sql, "c.");
			amend_sql_name(sql, key->columns[i]);
		}
		amend_sql_text(sql, " = ");
		amend_sql_value_as(sql, column, &values[i]);
	}
}

/* Most single rows have nobody: to see that, the child need not be described, which takes longer than all the rest. */
static enum amend_status any_refers(const struct looking *looking, const struct amend_value *values,
				    bool *yes, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, looking->db);
	amend_sql_text(&sql, "SELECT 1");
	add_referring(&sql, looking, values);
	amend_sql_text(&sql, " LIMIT 1");
	status = amend_exec(looking->db, &sql, &rows, err);
	*yes = rows.n_rows > 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status find_referring(struct looking *looking, const struct amend_value *values,
					size_t limit, struct amend_arena *arena,
					struct amend_row **out, size_t *n, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;

	*n = 0;
	if (!looking->other_rule)
		return amend_row_find(looking->db, looking->child, looking->columns, values,
				      looking->key->n_columns, NULL, limit, arena, out, n, err);
	amend_sql_init(&sql, looking->db);
	amend_sql_text(&sql, "SELECT ");
	amend_row_columns(&sql, looking->db, looking->child, "c.");
	add_referring(&sql, looking, values);
	amend_sql_printf(&sql, " LIMIT %zu", limit);
	status = amend_exec(looking->db, &sql, &rows, err);
	*out = amend_arena_array(arena, rows.n_rows + 1, sizeof(**out));
	if (status == AMEND_OK && !*out)
		status = amend_no_memory(err);
	for (; *out && *n < rows.n_rows && status == AMEND_OK; (*n)++)
		status = amend_row_take(looking->db, looking->child, &rows, *n, arena, &(*out)[*n],
					err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
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

		status = find_referring(looking, values, limit, arena, &rows, &n, err);
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

static enum amend_status count_nameless(struct looking *looking, const struct amend_value *values,
					struct amend_cascade *found, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;
	int64_t number = 0;

	amend_sql_init(&sql, looking->db);
	amend_sql_text(&sql, "SELECT count(*) FROM (SELECT 1");
	add_referring(&sql, looking, values);
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

static enum amend_status tell(struct looking *looking, size_t index,
			      const struct amend_value *values, struct amend_error *err)
{
	struct amend_cascade found = {.row = index,
				      .table = looking->child ? looking->child->qualified
							      : looking->key->table,
				      .goes = looking->goes,
				      .recorded = looking->recorded};
	struct amend_arena arena = AMEND_ARENA_INIT;
	enum amend_status status = looking->child ? list_named(looking, values, &arena, &found, err)
						  : count_nameless(looking, values, &found, err);

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

static bool compares_otherwise(const struct looking *looking, size_t i)
{
	const struct amend_column *here = &looking->parent->columns[looking->key->references[i]];
	const struct amend_column *there = &looking->child->columns[looking->columns[i]];

	return looking->parents_rule && (strcasecmp(here->collation, there->collation) != 0 ||
					 here->class_ != there->class_);
}

static enum amend_status describe_child(struct looking *looking, struct amend_error *err)
{
	const struct amend_dependent *key = looking->key;
	enum amend_status status = open_child(looking->db, looking->name, &looking->child, err);

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
		looking->other_rule = looking->other_rule || compares_otherwise(looking, i);
	}
	return AMEND_OK;
}

/* Rows to which something may refer: which of them it does, and whether that is recorded. */
static enum amend_status look(struct looking *looking, const struct amend_value *values, size_t n,
			      unsigned char *has, struct amend_error *err)
{
	struct chain first = {.goes = looking->goes, .by = looking->key, .length = 1};
	enum amend_status status = AMEND_OK;
	bool maybe = true;

	memset(has, 0, n);
	if (n == 1)
		status = any_refers(looking, values, &maybe, err);
	if (status == AMEND_OK && maybe)
		status = describe_child(looking, err);
	if (status != AMEND_OK || !maybe)
		return status;
	memset(has, 1, n);
	if (looking->child && !looking->other_rule)
		status = which(looking, values, n, has, err);
	first.table = looking->child;
	if (status == AMEND_OK && any(has, n))
		status = ask(looking->db, IS_RECORDED, &first, &looking->recorded, err);
	if (status == AMEND_OK && any(has, n) && !looking->recorded && !looking->deleted &&
	    looking->search->recorded && looking->key->on_update == AMEND_KEY_CASCADES)
		status = ask(looking->db, KEEPS_ALL, &first, &looking->follows, err);
	return status;
}

static enum amend_status by_key(struct looking *looking, const struct amend_bulk *const *items,
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
		if (values_of(looking, items[i], values + count * width))
			indices[count++] = i;
	}
	if (count > 0)
		status = look(looking, values, count, has, err);
	/* Who only refuses what nothing records need not be told of each. */
	if (status == AMEND_OK && looking->recorded && looking->search->recorded) {
		*looking->search->recorded = true;
		goto out;
	}
	for (size_t i = 0; i < count && status == AMEND_OK; i++) {
		if (!has[i])
			continue;
		if (!follows(looking, items[indices[i]]))
			status = tell(looking, indices[i], values + i * width, err);
		else if (records(looking->db, looking->child) && looking->search->recorded)
			*looking->search->recorded = true;
	}
out:
	free(values);
	free(indices);
	free(has);
	return status;
}

static bool acts(const struct amend_dependent *key, bool deleted)
{
	return (deleted ? key->on_delete : key->on_update) != AMEND_KEY_REFUSES;
}

/* Without that the database leaves them as they are. */
static bool keeps_keys(const struct amend_conn *db)
{
	return !db->driver->enforces_keys || db->driver->enforces_keys(db->session);
}

bool amend_cascades_by_delete(const struct amend_conn *db, const struct amend_table *table)
{
	for (size_t i = 0; i < table->n_dependents; i++) {
		if (acts(&table->dependents[i], true))
			return keeps_keys(db);
	}
	return false;
}

static bool is_changed(const struct amend_dependent *key, const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < n * key->n_columns; i++) {
		if (puts[i / key->n_columns].column == key->references[i % key->n_columns])
			return true;
	}
	return false;
}

bool amend_cascades_by_update(const struct amend_conn *db, const struct amend_table *table,
			      const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < table->n_dependents; i++) {
		const struct amend_dependent *key = &table->dependents[i];

		if (acts(key, false) && is_changed(key, puts, n))
			return keeps_keys(db);
	}
	return false;
}

bool amend_cascades_within(const struct amend_conn *db, const struct amend_table *table,
			   const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < table->n_dependents; i++) {
		const struct amend_dependent *key = &table->dependents[i];

		/* Also by way of other tables: what has foreign keys may follow one. */
		if (table->n_foreign_keys > 0 && acts(key, false) && is_changed(key, puts, n))
			return keeps_keys(db);
	}
	return false;
}

enum amend_status amend_cascades_find(struct amend_conn *db, const struct amend_table *table,
				      const struct amend_bulk *const *items, size_t n,
				      const struct amend_cascade_search *search,
				      struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (n == 0 || table->n_dependents == 0 || !keeps_keys(db))
		return AMEND_OK;
	for (size_t i = 0; i < table->n_dependents && status == AMEND_OK; i++) {
		const struct amend_dependent *key = &table->dependents[i];
		bool deleted = items[0]->n_puts == 0;
		struct looking looking = {
			.db = db,
			.parent = table,
			.key = key,
			.search = search,
			.deleted = deleted,
			.goes = deleted && key->on_delete == AMEND_KEY_CASCADES,
			.parents_rule = !amend_has(db, AMEND_HAS_TYPED_STORAGE),
			.arena = AMEND_ARENA_INIT,
		};

		if (!acts(key, deleted))
			continue;
		status = name_child(db, key, &looking.arena, &looking.name, err);
		if (status == AMEND_OK)
			status = by_key(&looking, items, n, err);
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

/*
 * The rows of many keys, in few trips.
 * Leaves reading a table through to row_scan.c; single rows, and what a row is, to row.c.
 */
#include <string.h>

#include "core/rows.h"
#include "record/road.h"

enum {
	SLICE = 5000,       /* keys in a statement .. */
	BYTES = 256 * 1024, /* .. and of their texts: a statement has its limit */
};

struct finding {
	struct amend_conn *db;
	const struct amend_table *table;
	const uint32_t *columns;
	size_t n;
	const struct amend_lock *lock;
	struct amend_arena *arena;
	struct amend_row *out;
	unsigned char *n_found;
	const struct amend_key *key;    /* unique; NULL: of a key several rows may be found */
	struct amend_sql_array *arrays; /* n */
};

static enum amend_status found(struct finding *finding, size_t i, const struct amend_value *values,
			       size_t n_values, struct amend_error *err)
{
	struct amend_row row;

	if (finding->n_found[i] == 2 || finding->n_found[i]++ == 1)
		return AMEND_OK;
	row = amend_row_borrow(finding->db, finding->table, values, n_values);
	return amend_row_keep(finding->table, &row, finding->arena, &finding->out[i], err);
}

static enum amend_status found_by_one(void *context, size_t i, const struct amend_value *values,
				      size_t n_values, struct amend_error *err)
{
	return found(context, i, values, n_values, err);
}

/* One text for all keys: only the values differ. */
static enum amend_status find_one_by_one(struct finding *finding, const struct amend_value *values,
					 size_t n_keys, struct amend_error *err)
{
	struct amend_repeat repeat = {
		.n_values = finding->n,
		.values = values,
		.n = n_keys,
		.each = found_by_one,
		.context = finding,
	};
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, finding->db);
	amend_row_select(&sql, finding->db, finding->table);
	amend_row_where(&sql, finding->table, finding->columns, values, finding->n);
	amend_sql_text(&sql, " LIMIT 2");
	amend_row_lock(&sql, finding->db, finding->lock);
	repeat.sql = amend_sql_statement(&sql).sql;
	status = amend_repeat(finding->db, &repeat, err);
	amend_sql_release(&sql);
	return status;
}

static void join_keys(struct amend_sql *sql, const struct finding *finding,
		      const struct amend_value *values, size_t n_keys)
{
	struct amend_sql_array *arrays = finding->arrays;

	for (size_t i = 0; i < finding->n; i++)
		arrays[i].values = values + i;
	amend_sql_text(sql, " FROM ");
	amend_sql_set(sql, finding->db, arrays, finding->n, n_keys, "k");
	/* No JOIN: the row version's system columns have no prefix, and are not seen through one. */
	amend_sql_text(sql, ", ");
	amend_sql_text(sql, finding->table->sql);
	amend_sql_text(sql, " AS t");
	if (finding->key)
		amend_sql_by_key(sql, finding->key->name);
	amend_sql_text(sql, " WHERE ");
	for (size_t i = 0; i < finding->n; i++) {
		amend_sql_and(sql, i);
		amend_sql_text(sql, "t.");
		amend_sql_name(sql, arrays[i].column->name);
		amend_sql_printf(sql, " = k.c%zu", i);
	}
}

/*
 * Locks are taken in the order of the rows' identity where the engine sorts before it locks, and else in that of the
 * keys: whoever joins in the order of the text locks what it meets.
 */
static enum amend_status find_joined(struct finding *finding, const struct amend_value *values,
				     size_t n_keys, struct amend_error *err)
{
	const char *in_order = finding->db->dialect->in_order;
	bool unique = finding->key != NULL;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, finding->db);
	/* Of a key that is not unique two rows are enough, of however many. */
	amend_sql_text(&sql, unique ? "SELECT " : "SELECT * FROM (SELECT ");
	amend_sql_text(&sql, in_order);
	amend_sql_text(&sql, "k.n, ");
	amend_row_columns(&sql, finding->db, finding->table, "t.");
	if (amend_has(finding->db, AMEND_HAS_ROW_VERSION)) {
		amend_sql_text(&sql, ", ");
		amend_sql_text(&sql, finding->db->dialect->row_version);
	}
	if (!unique)
		amend_sql_text(&sql, ", row_number() OVER (PARTITION BY k.n) AS \"amend nth\"");
	join_keys(&sql, finding, values, n_keys);
	if (!unique)
		amend_sql_text(&sql, ") AS found WHERE \"amend nth\" <= 2");
	if (finding->lock && finding->lock->hold && *in_order) {
		amend_row_lock(&sql, finding->db, finding->lock);
	} else if (finding->lock && finding->lock->hold) {
		amend_sql_text(&sql, " ORDER BY ");
		amend_row_names(&sql, finding->table, "t.");
		amend_row_lock_of(&sql, finding->db, finding->lock, "t");
	}
	status = amend_exec(finding->db, &sql, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		int64_t number = 0;

		if (!amend_value_number(amend_rows_at(&rows, i, 0), &number) || number < 1 ||
		    (size_t)number > n_keys)
			status = amend_error_set(err, AMEND_INTERNAL,
						 "expected the number of a key");
		else
			status = found(finding, (size_t)number - 1, amend_rows_at(&rows, i, 1),
				       rows.n_columns - 1, err);
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* How many keys from `values` on make a statement. */
static size_t slice_of(const struct finding *finding, const struct amend_value *values,
		       size_t n_keys, bool locks)
{
	size_t bytes = 0, n = 0;

	/* Locks of one call are taken by one statement, for it knows the order; or it is the caller's. */
	if (locks && !*finding->db->dialect->in_order)
		return n_keys;
	while (n < n_keys && n < SLICE && bytes < BYTES) {
		for (size_t i = 0; i < finding->n; i++)
			bytes += values[n * finding->n + i].size;
		n++;
	}
	return n;
}

/* Which way: joined to a set, if there is one of such columns. */
static bool joins(struct finding *finding, bool locks, bool *ok)
{
	finding->arrays = amend_arena_array(finding->arena, finding->n, sizeof(*finding->arrays));
	*ok = finding->arrays != NULL;
	for (size_t i = 0; *ok && i < finding->n; i++)
		finding->arrays[i] = (struct amend_sql_array){
			.column = &finding->table->columns[finding->columns[i]],
			.stride = finding->n};
	return *ok && (finding->key || (!locks && amend_has(finding->db, AMEND_HAS_ARRAYS))) &&
	       amend_sql_has_set(finding->db, finding->arrays, finding->n);
}

enum amend_status amend_row_find_many(struct amend_conn *db, const struct amend_table *table,
				      const uint32_t *columns, size_t n,
				      const struct amend_value *values, size_t n_keys,
				      const struct amend_lock *lock, struct amend_arena *arena,
				      struct amend_row *out, unsigned char *n_found,
				      struct amend_error *err)
{
	struct finding finding = {.db = db,
				  .table = table,
				  .columns = columns,
				  .n = n,
				  .lock = lock,
				  .arena = arena,
				  .out = out,
				  .n_found = n_found,
				  .key = amend_table_unique_key(table, columns, n)};
	bool locks = lock && lock->hold && amend_has(db, AMEND_HAS_ROW_LOCK), ok = true;
	enum amend_status status = AMEND_OK;

	if (n_keys == 0)
		return AMEND_OK;
	memset(n_found, 0, n_keys);
	if (!joins(&finding, locks, &ok))
		return ok ? find_one_by_one(&finding, values, n_keys, err) : amend_no_memory(err);
	for (size_t at = 0, size; at < n_keys && status == AMEND_OK; at += size) {
		size = slice_of(&finding, values + at * n, n_keys - at, locks);
		finding.out = out + at;
		finding.n_found = n_found + at;
		status = find_joined(&finding, values + at * n, size, err);
	}
	return status;
}

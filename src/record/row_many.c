/*
 * Many rows at once: the whole table, or those of many keys.
 * Leaves single rows, and what a row is, to row.c.
 */
#include <string.h>

#include "core/rows.h"
#include "record/road.h"

enum {
	PAGE = 1000,        /* rows: see amend_row_scan */
	SLICE = 5000,       /* keys in a statement .. */
	BYTES = 256 * 1024, /* .. and of their texts: a statement has its limit */
};

/* --- the whole table ---------------------------------------------------- */

struct reading {
	struct amend_conn *db;
	const struct amend_table *table;
	amend_row_scan_fn each;
	void *context;
	bool apart;                  /* the row's version comes in parts */
	struct amend_buffer version; /* of the row at hand, put together */
	size_t n;                    /* rows of this page */
	struct amend_arena arena;    /* holds `last` */
	struct amend_value *last;    /* the identity of the page's last row */
};

static size_t identity_width(const struct amend_table *table)
{
	return table->n_identity ? table->n_identity : 1;
}

static const struct amend_value *identity_of(const struct amend_table *table,
					     const struct amend_row *row, size_t i)
{
	return table->n_identity ? &row->values[table->identity[i]] : &row->rowid;
}

/* What row_version would be: for a hundred thousand rows, three columns cost half of what one expression does. */
static enum amend_status join_version(struct reading *reading, const struct amend_value *values,
				      size_t n_values, struct amend_row *row,
				      struct amend_error *err)
{
	size_t first = reading->table->n_columns + (reading->table->n_identity == 0);

	amend_buffer_reset(&reading->version);
	for (size_t i = first; i < n_values; i++) {
		if (values[i].kind == AMEND_TEXT)
			amend_buffer_add(&reading->version, values[i].as.text, values[i].size);
	}
	if (reading->version.failed)
		return amend_no_memory(err);
	row->version = amend_text_n(reading->version.data, reading->version.size);
	return AMEND_OK;
}

static enum amend_status take_row(void *context, const struct amend_value *values, size_t n_values,
				  struct amend_error *err)
{
	struct reading *reading = context;
	struct amend_row row = amend_row_borrow(reading->db, reading->table, values, n_values);

	if (reading->apart && join_version(reading, values, n_values, &row, err) != AMEND_OK)
		return err->status;

	if (++reading->n == PAGE && reading->last) {
		for (size_t i = 0; i < identity_width(reading->table); i++) {
			if (!amend_arena_value(&reading->arena, identity_of(reading->table, &row, i),
					       &reading->last[i]))
				return amend_no_memory(err);
		}
	}
	return reading->each(reading->context, &row, err);
}

static bool is_nullable(const struct amend_table *table)
{
	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		if (!column->not_null && !column->identity)
			return true;
	}
	return false;
}

/* "a IS NOT NULL AND b IS NOT NULL", or "a IS NULL OR b IS NULL". */
static void add_nulls(struct amend_sql *sql, const struct amend_table *table, bool null)
{
	for (size_t i = 0; i < table->n_identity; i++) {
		if (i > 0)
			amend_sql_text(sql, null ? " OR " : " AND ");
		amend_sql_name(sql, table->columns[table->identity[i]].name);
		amend_sql_text(sql, null ? " IS NULL" : " IS NOT NULL");
	}
}

/* The rows behind `last`, in order; NULL: the first ones. */
static void page_select(struct amend_sql *sql, struct reading *reading,
			const struct amend_value *last)
{
	const struct amend_table *table = reading->table;
	bool nullable = is_nullable(table);

	amend_row_select(sql, reading->db, table);
	amend_sql_text(sql, last || nullable ? " WHERE " : "");
	if (nullable)
		add_nulls(sql, table, false);
	if (last) {
		amend_sql_text(sql, nullable ? " AND (" : "(");
		amend_row_names(sql, table, "");
		amend_sql_text(sql, ") > (");
		for (size_t i = 0; i < identity_width(table); i++) {
			amend_sql_comma(sql, i);
			if (table->n_identity)
				amend_sql_value_as(sql, &table->columns[table->identity[i]],
						   &last[i]);
			else
				amend_sql_value(sql, &last[i]);
		}
		amend_sql_text(sql, ")");
	}
	amend_sql_text(sql, " ORDER BY ");
	amend_row_names(sql, table, "");
	amend_sql_printf(sql, " LIMIT %d", PAGE);
}

/* Behind NULL comes nothing, so rows that have one in their identity are read by themselves: SQLite's primary keys allow it. */
static enum amend_status read_nulls(struct reading *reading, struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, reading->db);
	amend_row_select(&sql, reading->db, reading->table);
	amend_sql_text(&sql, " WHERE ");
	add_nulls(&sql, reading->table, true);
	status = amend_scan(reading->db, &sql, take_row, reading, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status read_pages(struct reading *reading, struct amend_error *err)
{
	const size_t width = identity_width(reading->table);
	enum amend_status status = AMEND_OK;
	struct amend_value *before = NULL;

	if (is_nullable(reading->table))
		status = read_nulls(reading, err);
	do {
		/* What the page before ended with is needed until this one's statement has begun. */
		struct amend_arena old = reading->arena;
		struct amend_sql sql;

		if (status != AMEND_OK)
			break;
		reading->arena = (struct amend_arena)AMEND_ARENA_INIT;
		reading->last = amend_arena_array(&reading->arena, width, sizeof(*reading->last));
		reading->n = 0;
		amend_sql_init(&sql, reading->db);
		page_select(&sql, reading, before);
		status = reading->last ? amend_scan(reading->db, &sql, take_row, reading, err)
				       : amend_no_memory(err);
		amend_sql_release(&sql);
		amend_arena_release(&old);
		before = reading->last;
	} while (reading->n == PAGE);
	amend_arena_release(&reading->arena);
	return status;
}

/*
 * Pages follow the identity, for nothing else stays the same while others write (VACUUM gives new
 * rowids); where its order is not that of the rows, as with text in SQLite, that costs several times
 * what reading them as they lie does. So they are for where a long read is in others' way.
 */
enum amend_status amend_row_scan(struct amend_conn *db, const struct amend_table *table,
				 amend_row_scan_fn each, void *context, struct amend_error *err)
{
	struct reading reading = {.db = db, .table = table, .each = each, .context = context};
	enum amend_status status;
	struct amend_sql sql;

	if (!amend_reads_freely(db, table->schema))
		return read_pages(&reading, err);
	amend_sql_init(&sql, db);
	reading.apart = amend_has(db, AMEND_HAS_ROW_VERSION);
	amend_sql_text(&sql, "SELECT ");
	amend_row_columns(&sql, db, table, "");
	for (const char *const *part = db->dialect->row_version_parts; reading.apart && *part;
	     part++) {
		amend_sql_text(&sql, ", ");
		amend_sql_text(&sql, *part);
	}
	amend_sql_text(&sql, " FROM ");
	amend_sql_text(&sql, table->sql);
	status = amend_scan(db, &sql, take_row, &reading, err);
	amend_sql_release(&sql);
	amend_buffer_release(&reading.version);
	return status;
}

/* --- the rows of many keys ---------------------------------------------- */

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

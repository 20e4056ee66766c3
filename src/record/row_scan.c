/*
 * A table read through: all its rows, or those that have one of many keys.
 * Leaves looking keys up to row_many.c; single rows, and what a row is, to row.c.
 */
#include <string.h>

#include "core/rows.h"
#include "record/road.h"

enum { PAGE = 1000 }; /* rows: see amend_row_scan */

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

/* Every row, as they lie. */
static void scan_select(struct amend_sql *sql, const struct reading *reading)
{
	const char *const *part = reading->db->dialect->row_version_parts;

	amend_sql_text(sql, "SELECT ");
	amend_row_columns(sql, reading->db, reading->table, "");
	for (; reading->apart && *part; part++) {
		amend_sql_text(sql, ", ");
		amend_sql_text(sql, *part);
	}
	amend_sql_text(sql, " FROM ");
	amend_sql_text(sql, reading->table->sql);
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
	reading.apart = amend_has(db, AMEND_HAS_ROW_VERSION);
	amend_sql_init(&sql, db);
	scan_select(&sql, &reading);
	status = amend_scan(db, &sql, take_row, &reading, err);
	amend_sql_release(&sql);
	amend_buffer_release(&reading.version);
	return status;
}

/* --- those that have one of many keys ----------------------------------- */

/* Whose values the engine can find by a hash; of others it would compare each row with each key. */
static bool is_hashed(const struct amend_column *column)
{
	return column->class_ == AMEND_CLASS_INTEGER ||
	       (column->class_ == AMEND_CLASS_TEXT && column->bytewise && column->delimiter);
}

bool amend_row_scans_keys(const struct amend_conn *db, const struct amend_table *table,
			  const uint32_t *columns, size_t n)
{
	bool can = amend_has(db, AMEND_HAS_ARRAYS) && amend_has(db, AMEND_HAS_ROW_VERSION);

	for (size_t i = 0; can && i < n; i++)
		can = is_hashed(&table->columns[columns[i]]);
	return can;
}

/*
 * The keys become a hash in the server, and each row is looked up there. A plain IN would be planned as a
 * join, which takes the keys for few and so runs over the index, or sorts the whole table: IS TRUE forbids it.
 */
enum amend_status amend_row_scan_keys(struct amend_conn *db, const struct amend_table *table,
				      const uint32_t *columns, size_t n,
				      const struct amend_value *values, size_t n_keys,
				      amend_row_scan_fn each, void *context, struct amend_error *err)
{
	struct reading reading = {
		.db = db, .table = table, .each = each, .context = context, .apart = true};
	struct amend_sql_array *arrays = amend_arena_array(&reading.arena, n, sizeof(*arrays));
	enum amend_status status;
	struct amend_sql sql;

	if (!arrays)
		return amend_no_memory(err);
	amend_sql_init(&sql, db);
	scan_select(&sql, &reading);
	amend_sql_text(&sql, " WHERE ((");
	for (size_t i = 0; i < n; i++) {
		arrays[i] = (struct amend_sql_array){.column = &table->columns[columns[i]],
						     .values = values + i,
						     .stride = n,
						     .lookup = true};
		amend_sql_comma(&sql, i);
		amend_sql_name(&sql, arrays[i].column->name);
	}
	amend_sql_text(&sql, ") IN (SELECT ");
	for (size_t i = 0; i < n; i++) {
		amend_sql_comma(&sql, i);
		amend_sql_printf(&sql, "k.c%zu", i);
	}
	amend_sql_text(&sql, " FROM ");
	amend_sql_set(&sql, db, arrays, n, n_keys, "k");
	amend_sql_text(&sql, ")) IS TRUE");
	status = amend_scan(db, &sql, take_row, &reading, err);
	amend_sql_release(&sql);
	amend_buffer_release(&reading.version);
	amend_arena_release(&reading.arena);
	return status;
}

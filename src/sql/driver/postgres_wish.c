/*
 * The row as it is wanted, and as it is, of the table's own type: a WITH in front of each statement that asks about it.
 * Leaves what stands in its way to postgres_violations.c and postgres_refers.c.
 */
#include "sql/driver/postgres_violations.h"

#include "core/rows.h"

static const char columns_sql[] =
	"SELECT a.attnum, CASE WHEN a.attgenerated <> '' "
	"THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, t.typtype = 'd', c.relkind = 'r' "
	"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
	"JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
	"LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
	"WHERE a.attrelid = $1::pg_catalog.text::pg_catalog.regclass "
	"AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/* What a domain is made of is checked first. */
static const char domain_sql[] =
	"WITH RECURSIVE d(oid, depth) AS (SELECT a.atttypid, 0 FROM pg_catalog.pg_attribute a "
	"WHERE a.attrelid = $1::pg_catalog.text::pg_catalog.regclass "
	"AND a.attnum = $2::pg_catalog.text::pg_catalog.int2 "
	"UNION ALL SELECT t.typbasetype, d.depth + 1 FROM d JOIN pg_catalog.pg_type t "
	"ON t.oid = d.oid WHERE t.typtype = 'd') "
	"SELECT o.conname, pg_catalog.pg_get_expr(o.conbin, 0) FROM d "
	"JOIN pg_catalog.pg_constraint o ON o.contypid = d.oid AND o.contype = 'c' "
	"ORDER BY d.depth DESC, o.conname";

/* ---- the values ---- */

static enum amend_status read_columns(struct amend_postgres_asking *asking, bool *same,
				      struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_postgres_catalogue(asking, columns_sql, &rows, err);

	asking->attnums = amend_arena_array(asking->arena, table->n_columns, sizeof(char *));
	asking->generated = amend_arena_array(asking->arena, table->n_columns, sizeof(char *));
	asking->domain = amend_arena_array(asking->arena, table->n_columns, sizeof(bool));
	asking->as_base = amend_arena_array(asking->arena, table->n_columns, sizeof(bool));
	asking->values = amend_arena_array(asking->arena, table->n_columns, sizeof(*asking->values));
	asking->known = amend_arena_array(asking->arena, table->n_columns, sizeof(*asking->known));
	asking->params = amend_arena_array(asking->arena, 2 * table->n_columns + 1,
					   sizeof(*asking->params));
	if (status == AMEND_OK &&
	    (!asking->attnums || !asking->generated || !asking->domain || !asking->as_base ||
	     !asking->values || !asking->known || !asking->params))
		status = amend_no_memory(err);
	/* Else the description is of another day. */
	*same = rows.n_rows == table->n_columns;
	for (size_t i = 0; status == AMEND_OK && *same && i < rows.n_rows; i++) {
		const char *expression = amend_postgres_cell(&rows, i, 1);

		asking->attnums[i] = amend_postgres_copy(asking, amend_postgres_cell(&rows, i, 0));
		asking->generated[i] = *expression ? amend_postgres_copy(asking, expression) : NULL;
		asking->domain[i] = amend_postgres_is_true(&rows, i, 2);
		asking->only = amend_postgres_is_true(&rows, i, 3) ? "ONLY " : "";
	}
	if (status == AMEND_OK && asking->list->failed)
		status = amend_no_memory(err);
	amend_rows_release(&rows);
	return status;
}

/* What a column has where nothing is given. Nothing is drawn from a sequence to know it. */
static enum amend_status default_of(struct amend_postgres_asking *asking, size_t i,
				    struct amend_error *err)
{
	const struct amend_column *column = &asking->wish->table->columns[i];
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error why;
	bool answered = true;
	enum amend_status status = AMEND_OK;

	if (column->identity) {
		asking->known[i] = AMEND_UNKNOWN;
		return AMEND_OK;
	}
	if (!column->default_)
		return AMEND_OK;
	amend_buffer_printf(&sql, "SELECT (%s)::%s", column->default_, column->cast);
	status = amend_postgres_ask(asking, sql.failed ? NULL : sql.data, NULL, 0, &rows, &answered,
				    &why, err);
	if (!answered || rows.n_rows != 1)
		asking->known[i] = AMEND_UNKNOWN;
	else if (!amend_arena_value(asking->arena, amend_rows_at(&rows, 0, 0), &asking->values[i]))
		asking->list->failed = true;
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

/* One CHECK of a domain, on the value alone, which its text calls VALUE. */
static enum amend_status domain_check(struct amend_postgres_asking *asking, size_t i,
				      const char *name, const char *expression, bool *broken,
				      struct amend_error *err)
{
	const struct amend_column *column = &asking->wish->table->columns[i];
	struct amend_violation violation = {.kind = AMEND_VIOLATES_CHECK,
					    .constraint = amend_postgres_copy(asking, name),
					    .expression = amend_postgres_copy(asking, expression),
					    .columns = &column->name,
					    .n_columns = 1};
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error why;
	bool answered = true;
	enum amend_status status;

	amend_buffer_printf(&sql, "SELECT (%s) IS FALSE FROM (SELECT $1::%s AS value) AS domain",
			    expression, column->number_cast);
	status = amend_postgres_ask(asking, sql.failed ? NULL : sql.data, &asking->wish->after[i],
				    1, &rows, &answered, &why, err);
	if (status == AMEND_OK && answered && rows.n_rows == 1 &&
	    amend_postgres_is_true(&rows, 0, 0)) {
		const char *detail = amend_arena_printf(asking->arena, "%s is %s", column->name,
							column->type);

		*broken = true;
		amend_violations_add(asking->list, asking->wish, &violation, detail);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

/* A value that the column cannot hold: it may be its domain alone that forbids it, and then each rule of it is told. */
static enum amend_status unfit(struct amend_postgres_asking *asking, size_t i,
			       struct amend_error *err)
{
	const struct amend_wish *wish = asking->wish;
	const struct amend_column *column = &wish->table->columns[i];
	const struct amend_value about[] = {amend_text(wish->table->sql),
					    amend_text(asking->attnums[i])};
	struct amend_violation violation = {
		.kind = AMEND_VIOLATES_TYPE, .columns = &column->name, .n_columns = 1};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error why;
	bool answered = true, broken = false;
	enum amend_status status = AMEND_OK;

	asking->known[i] = AMEND_UNKNOWN;
	if (asking->domain[i])
		status = amend_postgres_ask(asking, domain_sql, about, 2, &rows, &answered, &why,
					    err);
	for (size_t j = 0; j < rows.n_rows && status == AMEND_OK; j++)
		status = domain_check(asking, i, amend_postgres_cell(&rows, j, 0),
				      amend_postgres_cell(&rows, j, 1), &broken, err);
	amend_rows_release(&rows);
	if (broken) {
		asking->known[i] = AMEND_KNOWN;
		asking->as_base[i] = true;
		asking->values[i] = wish->after[i];
	} else if (status == AMEND_OK) {
		amend_violations_add(asking->list, wish, &violation, wish->problem[i]);
	}
	return status;
}

static enum amend_status fill_in(struct amend_postgres_asking *asking, struct amend_error *err)
{
	const struct amend_wish *wish = asking->wish;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < wish->table->n_columns && status == AMEND_OK; i++) {
		const struct amend_column *column = &wish->table->columns[i];

		asking->values[i] = amend_null();
		asking->known[i] = wish->known[i] == AMEND_UNKNOWN ? AMEND_UNKNOWN : AMEND_KNOWN;
		if (asking->generated[i])
			continue;
		if (wish->known[i] == AMEND_KNOWN)
			asking->values[i] = wish->after[i];
		else if (wish->known[i] == AMEND_DEFAULT)
			status = default_of(asking, i, err);
		else if (wish->known[i] == AMEND_UNFIT)
			status = unfit(asking, i, err);
		/* A domain that is NOT NULL has no such value. */
		if (asking->domain[i] && column->not_null && asking->values[i].kind == AMEND_NULL)
			asking->as_base[i] = true;
	}
	return status;
}

/* ---- the rows ---- */

static void add_cell(struct amend_postgres_asking *asking, struct amend_buffer *sql, size_t i,
		     const struct amend_value *value, bool base)
{
	const struct amend_column *column = &asking->wish->table->columns[i];

	asking->params[asking->n_params++] = *value;
	amend_buffer_printf(sql, "$%zu::%s", asking->n_params,
			    base ? column->number_cast : column->cast);
}

/* "ROW(...)::t", or where a value fits no such row "a AS name, ..." */
static void add_cells(struct amend_postgres_asking *asking, struct amend_buffer *sql,
		      const struct amend_value *values, bool whole)
{
	const struct amend_table *table = asking->wish->table;

	amend_buffer_text(sql, whole ? "ROW(" : "");
	for (size_t i = 0; i < table->n_columns; i++) {
		amend_buffer_text(sql, i ? ", " : "");
		add_cell(asking, sql, i, &values[i], asking->as_base[i] && values == asking->values);
		if (whole)
			continue;
		amend_buffer_text(sql, " AS ");
		amend_postgres_name(sql, table->columns[i].name);
	}
	if (whole)
		amend_buffer_printf(sql, ")::%s", table->sql);
}

/* The columns of "t", generated ones worked out. */
static void add_generated(const struct amend_postgres_asking *asking, struct amend_buffer *sql,
			  bool whole)
{
	const struct amend_table *table = asking->wish->table;

	amend_buffer_text(sql, whole ? "ROW(" : "");
	for (size_t i = 0; i < table->n_columns; i++) {
		amend_buffer_text(sql, i ? ", " : "");
		if (asking->generated[i])
			amend_buffer_printf(sql, "(%s)", asking->generated[i]);
		else
			amend_postgres_name(sql, table->columns[i].name);
		if (whole)
			continue;
		amend_buffer_text(sql, " AS ");
		amend_postgres_name(sql, table->columns[i].name);
	}
	if (whole)
		amend_buffer_printf(sql, ")::%s", table->sql);
}

#define ROW_OF(name) "pg_catalog.unnest(ARRAY[(SELECT r FROM " name ")]) AS "

static const char *row_named(struct amend_postgres_asking *asking, const char *from)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	amend_buffer_text(&text, from);
	amend_postgres_name(&text, asking->wish->table->name);
	return amend_postgres_kept(asking, &text);
}

/* Of the table's own type where it can be: an expression may take the row as a whole. */
static void add_new_row(struct amend_postgres_asking *asking, struct amend_buffer *sql,
			bool generated, bool whole)
{
	const char *name = asking->wish->table->name;

	amend_buffer_printf(sql, "amend_new%s AS (SELECT ", whole ? "(r)" : "");
	if (!generated) {
		add_cells(asking, sql, asking->values, whole);
	} else if (whole) {
		amend_buffer_text(sql, "(SELECT ");
		add_generated(asking, sql, true);
		amend_buffer_text(sql, " FROM pg_catalog.unnest(ARRAY[");
		add_cells(asking, sql, asking->values, true);
		amend_buffer_text(sql, "]) AS ");
		amend_postgres_name(sql, name);
		amend_buffer_text(sql, ")");
	} else {
		add_generated(asking, sql, false);
		amend_buffer_text(sql, " FROM (SELECT ");
		add_cells(asking, sql, asking->values, false);
		amend_buffer_text(sql, ") AS ");
		amend_postgres_name(sql, name);
	}
	amend_buffer_text(sql, ")");
	asking->new_row = row_named(asking, whole ? ROW_OF("amend_new") : "amend_new AS ");
}

/* `generated` false: nothing is known of those columns. */
static void make_rows(struct amend_postgres_asking *asking, bool generated)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	bool whole = true, any = false, doubt = false;

	asking->n_params = 0;
	for (size_t i = 0; i < table->n_columns; i++) {
		whole = whole && !asking->as_base[i];
		any = any || asking->generated[i];
		doubt = doubt || (asking->known[i] != AMEND_KNOWN && !asking->generated[i]);
	}
	for (size_t i = 0; i < table->n_columns; i++) {
		if (asking->generated[i])
			asking->known[i] = generated && !doubt ? AMEND_KNOWN : AMEND_UNKNOWN;
	}
	amend_buffer_text(&sql, "WITH ");
	if (asking->wish->after)
		add_new_row(asking, &sql, generated && any, whole);
	if (asking->wish->before) {
		amend_buffer_text(&sql, asking->wish->after ? ", amend_old(r) AS (SELECT "
							    : "amend_old(r) AS (SELECT ");
		add_cells(asking, &sql, asking->wish->before, true);
		amend_buffer_text(&sql, ")");
		asking->old_row = row_named(asking, ROW_OF("amend_old"));
	}
	asking->with = amend_postgres_kept(asking, &sql);
}

/* Whether the row can be made at all: a generated column may fail. */
static enum amend_status try_rows(struct amend_postgres_asking *asking, bool *made,
				  struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error why;
	enum amend_status status;

	if (asking->list->failed)
		return amend_no_memory(err);
	amend_buffer_printf(&sql, "%s SELECT 1 FROM %s", asking->with,
			    asking->new_row ? asking->new_row : asking->old_row);
	status = amend_postgres_ask_rows(asking, &sql, &rows, made, &why, err);
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

enum amend_status amend_postgres_wish(struct amend_postgres_asking *asking, bool *same, bool *made,
				      struct amend_error *err)
{
	enum amend_status status = read_columns(asking, same, err);

	*made = false;
	if (status != AMEND_OK || !*same)
		return status;
	if (asking->wish->after)
		status = fill_in(asking, err);
	for (int tries = 0; tries < 2 && status == AMEND_OK && !*made; tries++) {
		make_rows(asking, tries == 0);
		status = try_rows(asking, made, err);
	}
	return status;
}

/*
 * Pieces of SQL that guarded tables' triggers are made of: a record's name, its changed fields.
 * Leaves the functions to postgres_guard_body.c, and must spell as core/json_text.c does.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_POSTGRES

#include "sql/driver/postgres_guard.h"

#include <string.h>

void amend_pg_guard_literal(struct amend_sql *sql, const char *text)
{
	bool escapes = strchr(text, '\\') != NULL;

	amend_sql_text(sql, escapes ? "E'" : "'");
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			amend_buffer_char(&sql->text, *text);
		amend_buffer_char(&sql->text, *text);
	}
	amend_sql_text(sql, "'");
}

void amend_pg_guard_column(struct amend_sql *sql, const struct amend_column *column,
			   const char *prefix)
{
	amend_sql_text(sql, prefix);
	amend_sql_name(sql, column->name);
}

void amend_pg_guard_pk(struct amend_sql *sql, const struct amend_guard_spec *spec,
		       const char *prefix)
{
	const struct amend_table *table = spec->table;

	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		amend_sql_json_name(sql, i ? "," : "{", column->name, ":", amend_pg_guard_literal);
		amend_sql_text(sql, " || ");
		amend_postgres_json_of(sql, column, prefix);
		amend_sql_text(sql, " || ");
	}
	amend_sql_text(sql, "'}'");
}

static bool in_identity(const struct amend_table *table, size_t column)
{
	for (size_t i = 0; i < table->n_identity; i++) {
		if (table->identity[i] == column)
			return true;
	}
	return false;
}

/* Types whose = is true for one spelling only. */
static bool equal_is_same(const struct amend_column *column)
{
	switch (column->class_) {
	case AMEND_CLASS_INTEGER:
	case AMEND_CLASS_BOOLEAN:
	case AMEND_CLASS_BLOB:
		return true;
	case AMEND_CLASS_TIME:
		return column->number_id != AMEND_PG_TIMETZ;
	case AMEND_CLASS_TEXT:
	case AMEND_CLASS_NUMBER:
	case AMEND_CLASS_REAL:
	case AMEND_CLASS_JSON:
	case AMEND_CLASS_ANY:
	case AMEND_CLASS_OTHER:
		break;
	}
	return column->number_id == AMEND_PG_UUID;
}

static void add_text_of(struct amend_sql *sql, const struct amend_column *column, const char *prefix)
{
	amend_pg_guard_column(sql, column, prefix);
	amend_sql_text(sql, "::pg_catalog.text");
}

static void add_same(struct amend_sql *sql, const struct amend_column *column, const char *from,
		     const char *to)
{
	if (equal_is_same(column)) {
		amend_pg_guard_column(sql, column, from);
		amend_sql_text(sql, " IS NOT DISTINCT FROM ");
		amend_pg_guard_column(sql, column, to);
	} else if (column->class_ == AMEND_CLASS_TEXT) {
		add_text_of(sql, column, from);
		amend_sql_text(sql, " COLLATE \"C\" IS NOT DISTINCT FROM ");
		add_text_of(sql, column, to);
	} else {
		amend_postgres_json_of(sql, column, from);
		amend_sql_text(sql, " = ");
		amend_postgres_json_of(sql, column, to);
	}
}

void amend_pg_guard_moved(struct amend_sql *sql, const struct amend_guard_spec *spec,
			  const char *from, const char *to)
{
	const struct amend_table *table = spec->table;

	amend_sql_text(sql, "NOT (");
	for (size_t i = 0; i < table->n_identity; i++) {
		amend_sql_and(sql, i);
		add_same(sql, &table->columns[table->identity[i]], from, to);
	}
	amend_sql_text(sql, ")");
}

/* `',"name":[' || old || ',' || new || ']'`; a side that is not there is null. */
static void add_pair(struct amend_sql *sql, const struct amend_column *column, const char *from,
		     const char *to)
{
	amend_sql_json_name(sql, ",", column->name, from ? ":[" : ":[null,", amend_pg_guard_literal);
	amend_sql_text(sql, " || ");
	if (from)
		amend_postgres_json_of(sql, column, from);
	if (from && to)
		amend_sql_text(sql, " || ',' || ");
	if (to)
		amend_postgres_json_of(sql, column, to);
	amend_sql_text(sql, to ? " || ']'" : " || ',null]'");
}

void amend_pg_guard_changed(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    enum amend_pg_guard_side side, const char *from, const char *to)
{
	const struct amend_table *table = spec->table;
	size_t version = (size_t)table->version, n = 0;

	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];

		if (!spec->covered[i] || i == version ||
		    (i < version) != (side == AMEND_PG_GUARD_BEFORE))
			continue;
		amend_sql_text(sql, n++ ? "\n\t\t\t|| CASE WHEN " : "CASE WHEN ");
		add_same(sql, column, from, to);
		amend_sql_text(sql, " THEN '' ELSE ");
		add_pair(sql, column, from, to);
		amend_sql_text(sql, " END");
	}
	if (n == 0)
		amend_sql_text(sql, "''");
}

void amend_pg_guard_version(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    const char *from, const char *to)
{
	add_pair(sql, &spec->table->columns[spec->table->version], from, to);
}

void amend_pg_guard_whole(struct amend_sql *sql, const struct amend_guard_spec *spec,
			  const char *from, const char *to)
{
	const struct amend_table *table = spec->table;
	size_t n = 0;

	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];

		if (!spec->covered[i])
			continue;
		amend_sql_text(sql, n++ ? "\n\t\t\t|| CASE WHEN " : "CASE WHEN ");
		amend_pg_guard_column(sql, column, from ? from : to);
		amend_sql_text(sql, " IS NOT DISTINCT FROM NULL THEN '' ELSE ");
		add_pair(sql, column, from, to);
		amend_sql_text(sql, " END");
	}
}

static bool used(const struct amend_guard_spec *spec, size_t i)
{
	return spec->covered[i] || in_identity(spec->table, i);
}

static void add_absent(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	const struct amend_table *table = spec->table;
	size_t n = 0;

	amend_sql_text(sql, "(SELECT ");
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!used(spec, i))
			continue;
		amend_sql_comma(sql, n++);
		amend_sql_text(sql, "NULL::");
		amend_sql_text(sql, table->columns[i].cast);
		amend_sql_text(sql, " AS ");
		amend_sql_name(sql, table->columns[i].name);
	}
	amend_sql_text(sql, ") AS absent");
}

void amend_pg_guard_present(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    const char *source, const char *alias, bool numbered)
{
	const struct amend_table *table = spec->table;
	size_t n = 0;

	amend_sql_text(sql, "(SELECT present.* FROM ");
	add_absent(sql, spec);
	amend_sql_text(sql, " CROSS JOIN LATERAL (SELECT ");
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!used(spec, i))
			continue;
		amend_sql_comma(sql, n++);
		amend_sql_name(sql, table->columns[i].name);
	}
	amend_sql_text(sql, numbered ? ", row_number() OVER () AS \"amend place\" FROM " : " FROM ");
	amend_sql_text(sql, source);
	amend_sql_text(sql, ") AS present) AS ");
	amend_sql_text(sql, alias);
}

/* What PostgreSQL's output functions look at; postgres_pins.c pins the same for amend's own sessions. */
void amend_pg_guard_settings(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	const struct amend_table *table = spec->table;
	bool times = false, reals = false, blobs = false, others = false;

	for (size_t i = 0; i < table->n_columns; i++) {
		if (!used(spec, i))
			continue;
		times |= table->columns[i].class_ == AMEND_CLASS_TIME;
		reals |= table->columns[i].class_ == AMEND_CLASS_REAL;
		blobs |= table->columns[i].class_ == AMEND_CLASS_BLOB;
		others |= table->columns[i].class_ == AMEND_CLASS_OTHER &&
			  table->columns[i].number_id != AMEND_PG_UUID;
	}
	amend_sql_text(sql, "\n\tSET search_path = pg_catalog, pg_temp");
	if (times || others)
		amend_sql_text(sql, "\n\tSET datestyle = 'ISO, YMD'\n\tSET timezone = 'UTC'");
	if (reals || others)
		amend_sql_text(sql, "\n\tSET extra_float_digits = 1");
	if (blobs || others)
		amend_sql_text(sql, "\n\tSET bytea_output = 'hex'");
	if (others)
		amend_sql_text(sql, "\n\tSET intervalstyle = 'postgres'");
}

#endif

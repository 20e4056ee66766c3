/*
 * Pieces of SQL that guarded tables' triggers are made of: a record's name, its changed fields.
 * Leaves the triggers to mariadb_guard_body.c, and must spell as core/json_text.c does what mariadb_fetch.c reads.
 */
#include "sql/driver/mariadb_guard.h"

#include <stdlib.h>
#include <string.h>

void amend_mariadb_guard_literal(struct amend_sql *sql, const char *text)
{
	if (!strchr(text, '\\')) {
		amend_sql_literal(sql, text);
		return;
	}
	/* Whether a backslash escapes is for the sql_mode to say. */
	amend_sql_text(sql, "convert(x'");
	for (; *text; text++)
		amend_sql_printf(sql, "%02x", (unsigned)(unsigned char)*text);
	amend_sql_text(sql, "' USING utf8mb4) COLLATE utf8mb4_nopad_bin");
}

void amend_mariadb_guard_field(struct amend_sql *sql, const struct amend_column *column,
			       const char *prefix)
{
	amend_sql_text(sql, prefix);
	amend_sql_name(sql, column->name);
}

static bool is_type(const struct amend_column *column, const char *type)
{
	size_t size = strlen(type);

	return strncmp(column->type, type, size) == 0 &&
	       (column->type[size] == '\0' || strchr("( ", column->type[size]));
}

/* `$` stands for the value, `#` for what is said of the type. */
static void add_template(struct amend_sql *sql, const struct amend_column *column,
			 const char *prefix, const char *text, int number)
{
	for (; *text; text++) {
		if (*text == '$')
			amend_mariadb_guard_field(sql, column, prefix);
		else if (*text == '#')
			amend_sql_printf(sql, "%d", number);
		else
			amend_buffer_char(&sql->text, *text);
	}
}

/* Of `(n)`; 0: there is none. */
static int length_of(const struct amend_column *column)
{
	const char *at = strchr(column->type, '(');

	return at ? (int)strtol(at + 1, NULL, 10) : 0;
}

/* The value as it stands in JSON; it is not NULL. */
static void add_json(struct amend_sql *sql, const struct amend_column *column, const char *prefix)
{
	/* The client reads numbers without the zeros that a display width puts in front. */
	bool zeros = is_type(column, "year") || strstr(column->type, "zerofill");
	const char *text = "concat('\"', $, '\"')";
	int number = 0;

	switch (column->class_) {
	case AMEND_CLASS_INTEGER:
		text = zeros ? "$ + 0" : "$";
		break;
	case AMEND_CLASS_REAL:
		/* A float is the double that it is. */
		text = "concat('\"', CAST($ AS double), '\"')";
		break;
	case AMEND_CLASS_TEXT:
	case AMEND_CLASS_JSON:
		text = "CASE WHEN instr(CAST($ AS binary), x'00') THEN concat('{\"text\":\"', "
		       "lower(hex(convert($ USING utf8mb4))), '\"}') ELSE "
		       "json_quote(convert($ USING utf8mb4)) COLLATE utf8mb4_nopad_bin END";
		break;
	case AMEND_CLASS_BLOB:
		text = "concat('{\"blob\":\"', lower(hex($)), '\"}')";
		break;
	case AMEND_CLASS_TIME:
		/* The session's time zone is the program's; an instant in UTC. 0 is what no instant is. */
		number = length_of(column);
		if (is_type(column, "timestamp"))
			text = "concat('\"', CASE unix_timestamp($) WHEN 0 THEN $ ELSE CAST("
			       "timestamp'1970-01-01 00:00:00' + INTERVAL unix_timestamp($) SECOND AS "
			       "datetime(#)) END, '\"')";
		break;
	case AMEND_CLASS_OTHER:
		/* Bits come as bytes, all of them. */
		number = (length_of(column) + 7) / 8 * 2;
		if (is_type(column, "bit"))
			text = "concat('{\"blob\":\"', lower(lpad(hex($), #, '0')), '\"}')";
		break;
	case AMEND_CLASS_NUMBER:
		text = zeros ? "concat('\"', $ + 0, '\"')" : text;
		break;
	case AMEND_CLASS_BOOLEAN:
	case AMEND_CLASS_ANY:
		break;
	}
	add_template(sql, column, prefix, text, number);
}

void amend_mariadb_guard_pk(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    const char *prefix)
{
	const struct amend_table *table = spec->table;

	amend_sql_text(sql, "concat(");
	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		amend_sql_json_name(sql, i ? "," : "{", column->name, ":",
				    amend_mariadb_guard_literal);
		amend_sql_text(sql, ", ");
		add_json(sql, column, prefix);
		amend_sql_text(sql, ", ");
	}
	amend_sql_text(sql, "'}')");
}

/* By bytes, not by the column's collation. */
static void add_same(struct amend_sql *sql, const struct amend_column *column)
{
	bool text = column->class_ == AMEND_CLASS_TEXT || column->class_ == AMEND_CLASS_JSON;

	amend_sql_text(sql, text ? "CAST(" : "");
	amend_mariadb_guard_field(sql, column, "OLD.");
	amend_sql_text(sql, text ? " AS binary) <=> CAST(" : " <=> ");
	amend_mariadb_guard_field(sql, column, "NEW.");
	amend_sql_text(sql, text ? " AS binary)" : "");
}

void amend_mariadb_guard_moved(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	const struct amend_table *table = spec->table;

	amend_sql_text(sql, "NOT (");
	for (size_t i = 0; i < table->n_identity; i++) {
		amend_sql_and(sql, i);
		add_same(sql, &table->columns[table->identity[i]]);
	}
	amend_sql_text(sql, ")");
}

static void add_or_null(struct amend_sql *sql, const struct amend_column *column, const char *prefix)
{
	if (column->not_null) {
		add_json(sql, column, prefix);
		return;
	}
	amend_sql_text(sql, "coalesce(");
	add_json(sql, column, prefix);
	amend_sql_text(sql, ", 'null')");
}

/* `concat(',"name":[', old, ',', new, ']')`; a side that is not there is null. */
static void add_pair(struct amend_sql *sql, const struct amend_column *column, const char *from,
		     const char *to)
{
	amend_sql_text(sql, "concat(");
	amend_sql_json_name(sql, ",", column->name, from ? ":[" : ":[null,",
			    amend_mariadb_guard_literal);
	amend_sql_text(sql, ", ");
	if (from)
		add_or_null(sql, column, from);
	if (from && to)
		amend_sql_text(sql, ", ',', ");
	if (to)
		add_or_null(sql, column, to);
	amend_sql_text(sql, to ? ", ']')" : ", ',null]')");
}

void amend_mariadb_guard_changed(struct amend_sql *sql, const struct amend_guard_spec *spec,
				 bool behind)
{
	const struct amend_table *table = spec->table;
	size_t version = (size_t)table->version;

	amend_sql_text(sql, "concat(''");
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!spec->covered[i] || i == version || (i > version) != behind)
			continue;
		amend_sql_text(sql, ",\n\t\tCASE WHEN ");
		add_same(sql, &table->columns[i]);
		amend_sql_text(sql, " THEN '' ELSE ");
		add_pair(sql, &table->columns[i], "OLD.", "NEW.");
		amend_sql_text(sql, " END");
	}
	amend_sql_text(sql, ")");
}

void amend_mariadb_guard_version(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	add_pair(sql, &spec->table->columns[spec->table->version], "OLD.", "NEW.");
}

void amend_mariadb_guard_whole(struct amend_sql *sql, const struct amend_guard_spec *spec,
			       const char *from, const char *to)
{
	const struct amend_table *table = spec->table;

	amend_sql_text(sql, "concat(''");
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];

		if (!spec->covered[i])
			continue;
		amend_sql_text(sql, ",\n\t\t");
		if (!column->not_null) {
			amend_sql_text(sql, "CASE WHEN ");
			amend_mariadb_guard_field(sql, column, from ? from : to);
			amend_sql_text(sql, " IS NULL THEN '' ELSE ");
		}
		add_pair(sql, column, from, to);
		amend_sql_text(sql, column->not_null ? "" : " END");
	}
	amend_sql_text(sql, ")");
}

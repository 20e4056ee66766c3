/*
 * Pieces of SQL that guarded tables' triggers are made of: a record's name, its changed fields.
 * Leaves the triggers to sqlite_guard.c, and must spell as core/json_text.c does.
 *
 * They run in every program that writes, be its SQLite older or smaller than ours: nothing newer
 * than 3.8.3, and no JSON functions, which it may lack.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_SQLITE

#include "sql/driver/sqlite_guard.h"

void amend_sqlite_guard_field(struct amend_sql *sql, const struct amend_column *column,
			      const char *prefix)
{
	amend_sql_text(sql, prefix);
	amend_sql_name(sql, column->name);
}

/* What most texts are without: control characters, " and \. The pattern is *[<01>-<1f>"\]* */
static const char special[] = "CAST(X'2A5B012D1F225C5D2A' AS TEXT)";

/* `$` stands for the value. */
static const char json_of[] =
	"CASE typeof($) WHEN 'integer' THEN $ WHEN 'text' THEN "
	"CASE WHEN instr($, char(0)) THEN '{\"text\":\"' || lower(hex($)) || '\"}' "
	"WHEN $ GLOB # THEN '\"' || (WITH RECURSIVE e(i, s) AS (SELECT 1, replace(replace($, '\\', '\\\\'), "
	"'\"', '\\\"') UNION ALL SELECT i + 1, replace(s, char(i), CASE i WHEN 8 THEN '\\b' "
	"WHEN 9 THEN '\\t' WHEN 10 THEN '\\n' WHEN 12 THEN '\\f' WHEN 13 THEN '\\r' "
	"ELSE printf('\\u%04x', i) END) FROM e WHERE i < 32) SELECT s FROM e WHERE i = 32) || '\"' "
	"ELSE '\"' || $ || '\"' END "
	"WHEN 'null' THEN 'null' "
	"WHEN 'real' THEN CASE $ WHEN 9e999 THEN '{\"real\":\"Infinity\"}' "
	"WHEN -9e999 THEN '{\"real\":\"-Infinity\"}' "
	/* SQLite's 17 digits are not always enough for what is very large or small. */
	"ELSE replace(printf(CASE WHEN abs($) BETWEEN 1e-15 AND 1e15 THEN '%!.17g' WHEN $ = 0 THEN '%!.17g' "
	"ELSE '%!.20e' END, $), '.0e', 'e') END "
	"ELSE '{\"blob\":\"' || lower(hex($)) || '\"}' END";

static void add_json_of(struct amend_sql *sql, const char *value)
{
	for (const char *at = json_of; *at; at++) {
		if (*at == '$')
			amend_sql_text(sql, value);
		else if (*at == '#')
			amend_sql_text(sql, special);
		else
			amend_buffer_char(&sql->text, *at);
	}
}

static void add_json(struct amend_sql *sql, const struct amend_column *column, const char *prefix)
{
	struct amend_sql value = {.dialect = sql->dialect};
	const char *text;

	if (column->type_id & AMEND_SQLITE_ROWID) {
		amend_sqlite_guard_field(sql, column, prefix);
		return;
	}
	amend_sqlite_guard_field(&value, column, prefix);
	text = amend_buffer_string(&value.text);
	if (text)
		add_json_of(sql, text);
	else
		sql->text.failed = true;
	amend_sql_release(&value);
}

void amend_sqlite_guard_this(struct amend_sql *sql, const struct amend_guard_spec *spec,
			     const char *prefix)
{
	const struct amend_table *table = spec->table;

	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		amend_sql_and(sql, i);
		amend_sql_name(sql, column->name);
		amend_sql_text(sql, column->type_id & AMEND_SQLITE_ROWID ? " = " : " IS ");
		amend_sqlite_guard_field(sql, column, prefix);
	}
	if (table->n_identity == 0)
		amend_sql_printf(sql, "%s = %s%s", table->rowid, prefix, table->rowid);
}

void amend_sqlite_guard_pk(struct amend_sql *sql, const struct amend_guard_spec *spec,
			   const char *prefix)
{
	const struct amend_table *table = spec->table;

	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		amend_sql_json_name(sql, i ? "," : "{", column->name, ":", amend_sql_literal);
		amend_sql_text(sql, " || ");
		add_json(sql, column, prefix);
		amend_sql_text(sql, " || ");
	}
	if (table->n_identity == 0)
		amend_sql_printf(sql, "'{\"%s\":' || %s%s || ", table->rowid, prefix, table->rowid);
	amend_sql_text(sql, "'}'");
}

/* By bytes, not by the column's collation, and by kind: 1 is not 1.0. */
static void add_differs(struct amend_sql *sql, const struct amend_column *column)
{
	amend_sql_text(sql, "(");
	amend_sqlite_guard_field(sql, column, "OLD.");
	amend_sql_text(sql, " COLLATE BINARY IS NOT ");
	amend_sqlite_guard_field(sql, column, "NEW.");
	amend_sql_text(sql, " OR typeof(");
	amend_sqlite_guard_field(sql, column, "OLD.");
	amend_sql_text(sql, ") <> typeof(");
	amend_sqlite_guard_field(sql, column, "NEW.");
	amend_sql_text(sql, "))");
}

void amend_sqlite_guard_differs(struct amend_sql *sql, const struct amend_guard_spec *spec,
				bool covered)
{
	const struct amend_table *table = spec->table;
	size_t n = 0;

	amend_sql_text(sql, "(");
	for (size_t i = 0; i < table->n_columns; i++) {
		if ((int)i == table->version ||
		    (covered ? !spec->covered[i] : table->columns[i].generated))
			continue;
		amend_sql_text(sql, n++ ? " OR " : "");
		add_differs(sql, &table->columns[i]);
	}
	amend_sql_text(sql, n ? ")" : "0)");
}

/*
 * The fields as rows, n the name, o and v the values, so that what spells them stands here once: text
 * that every program parses when it opens the file. `version`: in place of the version column's new value.
 */
static void add_rows(struct amend_sql *sql, const struct amend_guard_spec *spec, const char *from,
		     const char *to, const char *version)
{
	const struct amend_table *table = spec->table;
	size_t n = 0;

	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];

		if (!spec->covered[i])
			continue;
		amend_sql_text(sql, n++ ? " UNION ALL SELECT " : "SELECT ");
		amend_sql_json_name(sql, "", column->name, "", amend_sql_literal);
		amend_sql_text(sql, n == 1 ? " AS n, " : ", ");
		if (from) {
			amend_sqlite_guard_field(sql, column, from);
			amend_sql_text(sql, n == 1 ? " AS o" : "");
			amend_sql_text(sql, to ? ", " : "");
		}
		if (to && version && (int)i == table->version)
			amend_sql_text(sql, version);
		else if (to)
			amend_sqlite_guard_field(sql, column, to);
		amend_sql_text(sql, to && n == 1 ? " AS v" : "");
	}
}

void amend_sqlite_guard_changed(struct amend_sql *sql, const struct amend_guard_spec *spec,
				const char *version)
{
	amend_sql_text(sql, "(SELECT group_concat(',' || n || ':[' || ");
	add_json_of(sql, "o");
	amend_sql_text(sql, " || ',' || ");
	add_json_of(sql, "v");
	amend_sql_text(sql, " || ']', '') FROM (");
	add_rows(sql, spec, "OLD.", "NEW.", version);
	amend_sql_text(sql, ") WHERE o COLLATE BINARY IS NOT v OR typeof(o) <> typeof(v))");
}

void amend_sqlite_guard_whole(struct amend_sql *sql, const struct amend_guard_spec *spec,
			      const char *from, const char *to, const char *version)
{
	const char *value = from ? "o" : "v";

	amend_sql_text(sql, from ? "(SELECT group_concat(',' || n || ':[' || "
				 : "(SELECT group_concat(',' || n || ':[null,' || ");
	add_json_of(sql, value);
	amend_sql_text(sql, from ? " || ',null]', '') FROM (" : " || ']', '') FROM (");
	add_rows(sql, spec, from, to, version);
	amend_sql_printf(sql, ") WHERE %s IS NOT NULL)", value);
}

#endif

/*
 * Building statement text with bound values.
 * Leaves running it to conn.c, and texts that come again to text.c.
 */
#include "sql/sql.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "sql/conn.h"

void amend_sql_init(struct amend_sql *sql, const struct amend_conn *db)
{
	*sql = (struct amend_sql){.dialect = db->dialect};
}

void amend_sql_release(struct amend_sql *sql)
{
	amend_sql_forget(sql);
	amend_buffer_release(&sql->text);
	free(sql->values);
	amend_arena_release(&sql->kept);
	sql->values = NULL;
	sql->n_values = sql->room = 0;
}

void amend_sql_text(struct amend_sql *sql, const char *text)
{
	if (!sql->known)
		amend_buffer_text(&sql->text, text);
}

void amend_sql_printf(struct amend_sql *sql, const char *format, ...)
{
	char text[256];
	va_list args;
	int size;

	if (sql->known)
		return;
	va_start(args, format);
	size = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (size < 0 || (size_t)size >= sizeof(text))
		sql->text.failed = true;
	else
		amend_buffer_add(&sql->text, text, (size_t)size);
}

void amend_quote_name(struct amend_buffer *buffer, const struct amend_dialect *dialect,
		      const char *name)
{
	amend_buffer_char(buffer, dialect->quote);
	for (const char *end; (end = strchr(name, dialect->quote)) != NULL; name = end + 1) {
		amend_buffer_add(buffer, name, (size_t)(end - name) + 1);
		amend_buffer_char(buffer, dialect->quote);
	}
	amend_buffer_text(buffer, name);
	amend_buffer_char(buffer, dialect->quote);
}

void amend_sql_name(struct amend_sql *sql, const char *name)
{
	if (!sql->known)
		amend_quote_name(&sql->text, sql->dialect, name);
}

void amend_sql_ledger(struct amend_sql *sql, const char *table)
{
	amend_sql_text(sql, sql->dialect->ledger);
	amend_sql_text(sql, table);
}

void amend_sql_value(struct amend_sql *sql, const struct amend_value *value)
{
	if (sql->n_values == sql->room) {
		size_t room = sql->room ? sql->room * 2 : 16;
		struct amend_value *values = realloc(sql->values, room * sizeof(*values));

		if (!values) {
			sql->text.failed = true;
			return;
		}
		sql->values = values;
		sql->room = room;
	}
	sql->values[sql->n_values++] = *value;
	if (sql->known)
		return;
	amend_buffer_char(&sql->text, sql->dialect->placeholder);
	if (sql->dialect->numbered)
		amend_sql_printf(sql, "%zu", sql->n_values);
}

static void cast_to(struct amend_sql *sql, const char *type, const struct amend_value *value)
{
	bool around = *type && sql->dialect->cast_around;

	if (around)
		amend_sql_text(sql, "CAST(");
	amend_sql_value(sql, value);
	if (*type)
		amend_sql_text(sql, around ? " AS " : "::");
	amend_sql_text(sql, type);
	if (around)
		amend_sql_text(sql, ")");
}

void amend_sql_value_as(struct amend_sql *sql, const struct amend_column *column,
			const struct amend_value *value)
{
	cast_to(sql, column->cast, value);
}

void amend_sql_number_as(struct amend_sql *sql, const struct amend_column *column,
			 const struct amend_value *value)
{
	cast_to(sql, column->number_cast, value);
}

static void typed(struct amend_sql *sql, const struct amend_value *value, const char *type)
{
	if (sql->dialect->untyped) {
		amend_sql_value(sql, value);
		return;
	}
	amend_sql_text(sql, "CAST(");
	amend_sql_value(sql, value);
	amend_sql_printf(sql, " AS %s)", type);
}

void amend_sql_integer(struct amend_sql *sql, int64_t integer)
{
	const struct amend_value value = amend_integer(integer);

	typed(sql, &value, sql->dialect->integer_type);
}

void amend_sql_no_integer(struct amend_sql *sql)
{
	if (sql->dialect->untyped)
		amend_sql_text(sql, "NULL");
	else
		amend_sql_printf(sql, "CAST(NULL AS %s)", sql->dialect->integer_type);
}

void amend_sql_string(struct amend_sql *sql, const char *text)
{
	const struct amend_value value = amend_text(text);

	typed(sql, &value, sql->dialect->text_type);
}

void amend_sql_bytes(struct amend_sql *sql, const void *bytes, size_t size)
{
	const struct amend_value value = amend_blob(bytes, size);

	typed(sql, &value, sql->dialect->bytes_type);
}

void amend_sql_literal(struct amend_sql *sql, const char *text)
{
	if (sql->known)
		return;
	amend_sql_text(sql, "'");
	for (; *text; text++) {
		if (*text == '\'')
			amend_sql_text(sql, "'");
		amend_buffer_char(&sql->text, *text);
	}
	amend_sql_text(sql, "'");
}

void amend_sql_json_name(struct amend_sql *sql, const char *before, const char *name,
			 const char *after, void (*literal)(struct amend_sql *sql, const char *text))
{
	struct amend_buffer json = AMEND_BUFFER_INIT;

	amend_buffer_text(&json, before);
	amend_json_string(&json, name, strlen(name));
	amend_buffer_text(&json, after);
	if (json.failed)
		sql->text.failed = true;
	else
		literal(sql, json.data);
	amend_buffer_release(&json);
}

void amend_sql_kept(struct amend_sql *sql, const struct amend_buffer *text)
{
	const char *copy = text->failed ? NULL
					: amend_arena_text_n(&sql->kept, text->data, text->size);

	if (copy)
		amend_sql_string(sql, copy);
	else
		sql->text.failed = true;
}

void amend_sql_same(struct amend_sql *sql, const struct amend_column *column,
		    const struct amend_value *value)
{
	const char *const *around = sql->dialect->same_text;
	bool text = around[0] && *column->collation;

	amend_sql_text(sql, text ? around[0] : "");
	amend_sql_name(sql, column->name);
	amend_sql_text(sql, text ? around[1] : "");
	amend_sql_printf(sql, " %s ", sql->dialect->same);
	amend_sql_value_as(sql, column, value);
}

void amend_sql_unless_there(struct amend_sql *sql, const char *key)
{
	sql->unless_there = true;
	if (!sql->dialect->on_duplicate_key)
		amend_sql_printf(sql, " ON CONFLICT (%s) DO NOTHING", key);
}

void amend_sql_unless_key(struct amend_sql *sql, const struct amend_table *table,
			  const struct amend_key *key)
{
	sql->unless_there = true;
	sql->unless_key = key->name;
	if (sql->dialect->on_duplicate_key)
		return;
	amend_sql_text(sql, " ON CONFLICT (");
	for (size_t i = 0; i < key->n_columns; i++) {
		amend_sql_comma(sql, i);
		amend_sql_name(sql, table->columns[key->columns[i]].name);
	}
	amend_sql_text(sql, ") DO NOTHING");
}

void amend_sql_or_set(struct amend_sql *sql, const char *key, const char *const *columns)
{
	bool duplicate = sql->dialect->on_duplicate_key;

	if (duplicate)
		amend_sql_text(sql, " ON DUPLICATE KEY UPDATE ");
	else
		amend_sql_printf(sql, " ON CONFLICT (%s) DO UPDATE SET ", key);
	for (size_t i = 0; columns[i]; i++) {
		amend_sql_comma(sql, i);
		amend_sql_printf(sql, duplicate ? "%s = VALUES(%s)" : "%s = excluded.%s",
				 columns[i], columns[i]);
	}
}

void amend_sql_comma(struct amend_sql *sql, size_t index)
{
	if (index > 0)
		amend_sql_text(sql, ", ");
}

void amend_sql_and(struct amend_sql *sql, size_t index)
{
	if (index > 0)
		amend_sql_text(sql, " AND ");
}

struct amend_statement amend_sql_statement(const struct amend_sql *sql)
{
	struct amend_statement statement = {
		.values = sql->values,
		.n_values = sql->n_values,
		.binary = sql->binary,
		.once = sql->once,
		.raw = sql->raw,
		.unless_there = sql->unless_there,
		.unless_key = sql->unless_key,
	};

	statement.sql = amend_sql_whole(sql, &statement.hash);
	return statement;
}

/*
 * Many rows of parameters that a query reads from like a table: as arrays, or as one text of JSON.
 * Leaves arrays to array.c, and what the text's columns are to the drivers.
 */
#include <inttypes.h>
#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"
#include "sql/conn.h"

bool amend_sql_has_set(const struct amend_conn *db, const struct amend_sql_array *arrays, size_t n)
{
	struct amend_sql ignored;
	bool has = db->driver->set_type != NULL;

	if (amend_has(db, AMEND_HAS_ARRAYS))
		return true;
	amend_sql_init(&ignored, db);
	for (size_t i = 0; i < n && has; i++)
		has = db->driver->set_type(&ignored, arrays[i].column);
	amend_sql_release(&ignored);
	return has;
}

static void add_value(struct amend_buffer *json, const struct amend_value *value)
{
	char number[AMEND_REAL_TEXT];

	switch (value->kind) {
	case AMEND_NULL:
		amend_buffer_text(json, "null");
		break;
	case AMEND_INTEGER:
		amend_buffer_printf(json, "\"%" PRId64 "\"", value->as.integer);
		break;
	case AMEND_REAL:
		amend_real_text(number, value->as.real);
		amend_json_string(json, number, strlen(number));
		break;
	case AMEND_TEXT:
	case AMEND_BLOB:
		amend_json_string(json, value->as.text, value->size);
		break;
	}
}

/* JSON_TABLE('[["a","b"],["c",null]]', '$[*]' COLUMNS (n FOR ORDINALITY, c0 int PATH '$[0]', ..)) */
static void from_json(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_sql_array *arrays, size_t n_arrays, size_t n_rows)
{
	struct amend_buffer json = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < n_rows; i++) {
		for (size_t j = 0; j < n_arrays; j++) {
			amend_buffer_text(&json, j > 0 ? "," : i > 0 ? "],[" : "[[");
			add_value(&json, arrays[j].values + i * arrays[j].stride);
		}
	}
	amend_buffer_text(&json, "]]");
	amend_sql_text(sql, "JSON_TABLE(");
	amend_sql_kept(sql, &json);
	amend_sql_text(sql, ", '$[*]' COLUMNS (n FOR ORDINALITY");
	for (size_t j = 0; j < n_arrays; j++) {
		amend_sql_printf(sql, ", c%zu ", j);
		(void)db->driver->set_type(sql, arrays[j].column);
		amend_sql_printf(sql, " PATH '$[%zu]'", j);
	}
	amend_sql_text(sql, "))");
	amend_buffer_release(&json);
}

void amend_sql_set(struct amend_sql *sql, const struct amend_conn *db,
		   const struct amend_sql_array *arrays, size_t n_arrays, size_t n_rows,
		   const char *alias)
{
	if (!amend_has(db, AMEND_HAS_ARRAYS)) {
		from_json(sql, db, arrays, n_arrays, n_rows);
		amend_sql_printf(sql, " AS %s", alias);
		return;
	}
	amend_sql_unnest(sql, arrays, n_arrays, n_rows);
	amend_sql_printf(sql, " WITH ORDINALITY AS %s (", alias);
	for (size_t j = 0; j < n_arrays; j++)
		amend_sql_printf(sql, "c%zu, ", j);
	amend_sql_text(sql, "n)");
}

void amend_sql_by_key(struct amend_sql *sql, const char *key)
{
	if (!sql->dialect->by_key)
		return;
	amend_sql_printf(sql, " %s (", sql->dialect->by_key);
	amend_sql_name(sql, key);
	amend_sql_text(sql, ")");
}

/*
 * Turns descriptions into text that a test can compare.
 * Leaves the expectations to describe_test.c.
 */
#include "describe.h"

#include <stdlib.h>

#include "core/buffer.h"

struct amend_table *describe(struct engine *engine, struct amend_session *session,
			     const char *schema, const char *name)
{
	struct amend_table *table = amend_arena_alloc(engine_arena(engine), sizeof(*table));
	struct amend_error err;
	bool visible;

	assert_non_null(table);
	expect_ok(engine->driver->describe(session, schema, name, engine_arena(engine), table,
					   &visible, &err),
		  &err);
	return table;
}

static const char *class_name(enum amend_class class_)
{
	switch (class_) {
	case AMEND_CLASS_TEXT:
		return "TEXT";
	case AMEND_CLASS_INTEGER:
		return "INTEGER";
	case AMEND_CLASS_NUMBER:
		return "NUMBER";
	case AMEND_CLASS_REAL:
		return "REAL";
	case AMEND_CLASS_BOOLEAN:
		return "BOOLEAN";
	case AMEND_CLASS_BLOB:
		return "BLOB";
	case AMEND_CLASS_JSON:
		return "JSON";
	case AMEND_CLASS_TIME:
		return "TIME";
	case AMEND_CLASS_ANY:
		return "ANY";
	case AMEND_CLASS_OTHER:
		return "OTHER";
	}
	return "?";
}

static const char *finish(struct engine *engine, struct amend_buffer *text)
{
	const char *copy = amend_arena_text(engine_arena(engine), amend_buffer_string(text));

	amend_buffer_release(text);
	assert_non_null(copy);
	return copy;
}

const char *describe_columns(struct engine *engine, const struct amend_table *table)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];

		amend_buffer_printf(&text, "%s%s|%s|%s|", i ? "\n" : "", column->name, column->type,
				    class_name(column->class_));
		if (column->not_null)
			amend_buffer_text(&text, " not null");
		if (column->generated)
			amend_buffer_text(&text, " generated");
		if (column->identity)
			amend_buffer_text(&text, " identity");
		if (column->has_default && !column->identity && !column->generated)
			amend_buffer_printf(&text, " default=%s", column->default_);
		if (*column->collation)
			amend_buffer_printf(&text, " collation=%s", column->collation);
		if (column->unsound)
			amend_buffer_text(&text, " unsound");
	}
	return finish(engine, &text);
}

static void add_columns(struct amend_buffer *text, const struct amend_table *table,
			const uint32_t *columns, size_t n)
{
	amend_buffer_char(text, '(');
	for (size_t i = 0; i < n; i++) {
		assert_in_range(columns[i], 0, table->n_columns - 1);
		amend_buffer_printf(text, "%s%s", i ? ", " : "", table->columns[columns[i]].name);
	}
	amend_buffer_char(text, ')');
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Joins lines, those from `first` on sorted. */
static const char *join(struct engine *engine, const char **lines, size_t n, size_t first)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	if (n > first)
		qsort(lines + first, n - first, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < n; i++)
		amend_buffer_printf(&text, "%s%s", i ? "\n" : "", lines[i]);
	return finish(engine, &text);
}

const char *describe_keys(struct engine *engine, const struct amend_table *table)
{
	const char **lines = amend_arena_array(engine_arena(engine), table->n_keys + 1,
					       sizeof(*lines));

	for (size_t i = 0; i < table->n_keys; i++) {
		const struct amend_key *key = &table->keys[i];
		struct amend_buffer text = AMEND_BUFFER_INIT;

		assert_non_null(key->name);
		assert_true(!key->primary || i == 0);
		add_columns(&text, table, key->columns, key->n_columns);
		if (key->primary)
			amend_buffer_text(&text, " primary");
		if (key->partial)
			amend_buffer_text(&text, " partial");
		if (key->expression)
			amend_buffer_text(&text, " expression");
		if (key->deferrable)
			amend_buffer_text(&text, " deferrable");
		if (key->nulls_equal)
			amend_buffer_text(&text, " nulls equal");
		lines[i] = finish(engine, &text);
	}
	return join(engine, lines, table->n_keys, table->n_keys && table->keys[0].primary ? 1 : 0);
}

const char *describe_foreign_keys(struct engine *engine, const struct amend_table *table)
{
	const char **lines = amend_arena_array(engine_arena(engine), table->n_foreign_keys + 1,
					       sizeof(*lines));

	for (size_t i = 0; i < table->n_foreign_keys; i++) {
		const struct amend_foreign_key *key = &table->foreign_keys[i];
		struct amend_buffer text = AMEND_BUFFER_INIT;

		assert_non_null(key->name);
		add_columns(&text, table, key->columns, key->n_columns);
		amend_buffer_printf(&text, " -> %s.%s (", key->schema, key->table);
		for (size_t c = 0; c < key->n_columns; c++)
			amend_buffer_printf(&text, "%s%s", c ? ", " : "", key->references[c]);
		amend_buffer_char(&text, ')');
		lines[i] = finish(engine, &text);
	}
	return join(engine, lines, table->n_foreign_keys, 0);
}

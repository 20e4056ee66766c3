/*
 * What stands in a row's way: the list, and one line for each of it.
 * Leaves looking to the drivers, and when it is worth it to the layers above.
 */
#include "sql/violations.h"

#include <string.h>

#include "core/json_text.h"

enum { LONGEST_SHOWN = 80 };

const char *amend_violation_name(enum amend_violation_kind kind)
{
	switch (kind) {
	case AMEND_VIOLATES_TYPE:
		return "type";
	case AMEND_VIOLATES_NOT_NULL:
		return "not_null";
	case AMEND_VIOLATES_CHECK:
		return "check";
	case AMEND_VIOLATES_UNIQUE:
		return "unique";
	case AMEND_VIOLATES_EXCLUSION:
		return "exclusion";
	case AMEND_VIOLATES_PARENT:
		return "missing_parent";
	case AMEND_VIOLATES_CHILDREN:
		return "children";
	}
	return "?";
}

bool amend_wish_changes(const struct amend_wish *wish, size_t column)
{
	if (!wish->before || !wish->after)
		return true;
	return wish->known[column] != AMEND_KNOWN ||
	       !amend_value_equal(&wish->before[column], &wish->after[column]);
}

const char *const *amend_violations_columns(struct amend_violations *list,
					    const struct amend_table *table, const bool *marked,
					    size_t *n)
{
	const char **names = amend_arena_array(list->arena, table->n_columns + 1, sizeof(*names));

	*n = 0;
	list->failed = list->failed || !names;
	for (size_t i = 0; names && i < table->n_columns; i++) {
		if (!marked[i])
			continue;
		names[*n] = amend_arena_text(list->arena, table->columns[i].name);
		list->failed = list->failed || !names[*n];
		++*n;
	}
	return list->failed ? NULL : names;
}

/* ---- its line ---- */

static void add_shortened(struct amend_buffer *line, const char *text, size_t size)
{
	size_t shown = size > LONGEST_SHOWN ? LONGEST_SHOWN : size;

	/* Not within a character. */
	while (shown > 0 && shown < size && ((unsigned char)text[shown] & 0xc0) == 0x80)
		shown--;
	for (size_t i = 0; i < shown; i++)
		amend_buffer_char(line, (unsigned char)text[i] < ' ' ? ' ' : text[i]);
	if (shown < size)
		amend_buffer_text(line, "...");
}

static void add_value(struct amend_buffer *line, const struct amend_value *value,
		      enum amend_class class_)
{
	struct amend_buffer json = AMEND_BUFFER_INIT;

	if (value->kind == AMEND_TEXT) {
		add_shortened(line, value->as.text, value->size);
		return;
	}
	amend_json_value(&json, value, class_);
	if (json.failed)
		line->failed = true;
	else
		add_shortened(line, json.data, json.size);
	amend_buffer_release(&json);
}

/* "a=1, b=2" of the row before, or as it is wanted. */
static void add_fields(struct amend_buffer *line, const struct amend_wish *wish,
		       const struct amend_violation *violation, bool before)
{
	for (size_t i = 0; i < violation->n_columns; i++) {
		int at = amend_table_column(wish->table, violation->columns[i]);
		const struct amend_value *values = before ? wish->before : wish->after;

		amend_buffer_printf(line, "%s%s", i ? ", " : "", violation->columns[i]);
		if (at < 0 || !values || wish->table->columns[at].generated ||
		    (!before && wish->known[at] != AMEND_KNOWN))
			continue;
		amend_buffer_char(line, '=');
		add_value(line, &values[at], wish->table->columns[at].class_);
	}
}

static void add_record(struct amend_buffer *line, const struct amend_violation *violation)
{
	for (size_t i = 0; i < violation->n_record; i++) {
		amend_buffer_printf(line, "%s%s=", i ? ", " : "", violation->record[i].column);
		add_value(line, &violation->record[i].value, AMEND_CLASS_ANY);
	}
}

static void word(struct amend_buffer *line, const struct amend_wish *wish,
		 const struct amend_violation *violation)
{
	const char *name = violation->constraint;
	const char *space = name ? " " : "";

	name = name ? name : "";
	switch (violation->kind) {
	case AMEND_VIOLATES_TYPE:
		amend_buffer_text(line, violation->n_columns ? violation->columns[0] : "a value");
		break;
	case AMEND_VIOLATES_NOT_NULL:
		amend_buffer_printf(line, "not null: %s is NULL",
				    violation->n_columns ? violation->columns[0] : "a value");
		break;
	case AMEND_VIOLATES_CHECK:
		amend_buffer_printf(line, "check%s%s: ", space, name);
		if (violation->expression)
			add_shortened(line, violation->expression, strlen(violation->expression));
		break;
	case AMEND_VIOLATES_UNIQUE:
	case AMEND_VIOLATES_EXCLUSION:
		amend_buffer_printf(line, "%s%s%s: ", amend_violation_name(violation->kind), space,
				    name);
		add_fields(line, wish, violation, false);
		amend_buffer_text(line, violation->kind == AMEND_VIOLATES_UNIQUE ? " is taken by "
										 : " clashes with ");
		if (violation->n_record)
			add_record(line, violation);
		else
			amend_buffer_text(line, "another record");
		break;
	case AMEND_VIOLATES_PARENT:
		amend_buffer_printf(line, "foreign key%s%s: ", space, name);
		add_fields(line, wish, violation, false);
		amend_buffer_printf(line, " is in no record of %s", violation->table);
		break;
	case AMEND_VIOLATES_CHILDREN:
		amend_buffer_printf(line, "foreign key%s%s: ", space, name);
		add_fields(line, wish, violation, true);
		if (violation->n_records == 1)
			amend_buffer_printf(line, " is referred to by %s", violation->table);
		else
			amend_buffer_printf(
				line, " is referred to by %s%llu records of %s",
				violation->n_records >= AMEND_VIOLATION_MOST ? "at least " : "",
				(unsigned long long)violation->n_records, violation->table);
		if (violation->n_record) {
			amend_buffer_text(line, violation->n_records == 1 ? " " : ", such as ");
			add_record(line, violation);
		}
		break;
	}
}

void amend_violations_add(struct amend_violations *list, const struct amend_wish *wish,
			  const struct amend_violation *violation, const char *detail)
{
	struct amend_buffer line = AMEND_BUFFER_INIT;
	struct amend_violation *all = list->all;

	if (list->failed)
		return;
	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 8;
		all = amend_arena_array(list->arena, list->room, sizeof(*all));
		if (!all) {
			list->failed = true;
			return;
		}
		if (list->n > 0)
			memcpy(all, list->all, list->n * sizeof(*all));
		list->all = all;
	}
	word(&line, wish, violation);
	if (detail)
		amend_buffer_printf(&line, "%s%s",
				    violation->kind == AMEND_VIOLATES_CHECK ? "; " : ": ", detail);
	all[list->n] = *violation;
	all[list->n].text = line.failed ? NULL
					: amend_arena_text_n(list->arena, line.data, line.size);
	list->failed = !all[list->n].text;
	list->n++;
	amend_buffer_release(&line);
}

/* ---- looking ---- */

struct look {
	const struct amend_wish *wish;
	struct amend_violations *list;
	bool nested;
};

static enum amend_status look(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct look *look = context;
	enum amend_status status;

	look->list->n = look->list->room = 0;
	look->list->failed = false;
	status = db->driver->violations(db->session, look->wish, look->list, err);
	if (status == AMEND_OK && look->list->failed)
		status = amend_no_memory(err);
	/* The savepoint goes back, whatever a default or a function of a CHECK has done. */
	if (status == AMEND_OK && look->nested)
		status = amend_error_set(err, AMEND_LOCKED, "looked");
	return status;
}

enum amend_status amend_violations_look(struct amend_conn *db, const struct amend_wish *wish,
					struct amend_violations *list, struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct look context = {wish, list, db->depth > 0 || db->borrowed};
	enum amend_status status;

	if (!db->driver->violations)
		return AMEND_OK;
	/* Values may be tried in a scratch table, for which a transaction must be one that writes where DDL is no part of it. */
	options.read_only = !context.nested && amend_has(db, AMEND_HAS_DDL_ROLLBACK);
	options.no_rerun = true;
	status = amend_atomic(db, &options, look, &context, err);
	if (context.nested && status == AMEND_LOCKED && strcmp(err->text, "looked") == 0)
		status = AMEND_OK;
	if (status != AMEND_OK)
		list->n = 0;
	return status;
}

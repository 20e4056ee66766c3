/*
 * The sides of a conflict's fields, and what was chosen of them, as JSON and back.
 * Leaves the rows that hold them to conflict.c.
 */
#include "ledger/conflict.h"

#include <string.h>

#include "core/json_text.h"
#include "ledger/json_read.h"

static enum amend_class class_of(const struct amend_table *table, const char *column)
{
	int at = amend_table_column(table, column);

	return at < 0 ? AMEND_CLASS_TEXT : table->columns[at].class_;
}

static void add_name(struct amend_buffer *buffer, bool first, const char *name)
{
	amend_buffer_text(buffer, first ? "" : ",");
	amend_json_string(buffer, name, strlen(name));
	amend_buffer_char(buffer, ':');
}

static void add_terms(struct amend_buffer *buffer, const struct amend_conflict_terms *terms,
		      enum amend_class class_)
{
	if (terms->min.kind != AMEND_NULL) {
		amend_buffer_text(buffer, ",\"min\":");
		amend_json_value(buffer, &terms->min, class_);
	}
	if (terms->max.kind != AMEND_NULL) {
		amend_buffer_text(buffer, ",\"max\":");
		amend_json_value(buffer, &terms->max, class_);
	}
	if (terms->adds)
		amend_buffer_text(buffer, ",\"adds\":true");
}

void amend_conflict_fields_text(struct amend_buffer *buffer, const struct amend_table *table,
				const struct amend_conflict_field *fields,
				const struct amend_conflict_terms *terms, size_t n)
{
	amend_buffer_char(buffer, '{');
	for (size_t i = 0; i < n; i++) {
		const struct amend_conflict_field *field = &fields[i];
		enum amend_class class_ = class_of(table, field->column);

		add_name(buffer, i == 0, field->column);
		amend_buffer_char(buffer, '{');
		if (field->has_base) {
			amend_buffer_text(buffer, "\"base\":");
			amend_json_value(buffer, &field->base, class_);
			amend_buffer_char(buffer, ',');
		}
		amend_buffer_text(buffer, "\"current\":");
		amend_json_value(buffer, &field->current, class_);
		amend_buffer_text(buffer, ",\"incoming\":");
		amend_json_value(buffer, &field->incoming, class_);
		if (terms)
			add_terms(buffer, &terms[i], class_);
		amend_buffer_char(buffer, '}');
	}
	amend_buffer_char(buffer, '}');
}

static const char *take_name(enum amend_take take)
{
	switch (take) {
	case AMEND_TAKE_NOTHING:
		break;
	case AMEND_TAKE_CURRENT:
		return "current";
	case AMEND_TAKE_INCOMING:
		return "incoming";
	case AMEND_TAKE_BASE:
		return "base";
	}
	return "value";
}

static enum amend_take take_of(const char *name)
{
	static const enum amend_take all[] = {AMEND_TAKE_CURRENT, AMEND_TAKE_INCOMING,
					      AMEND_TAKE_BASE};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(take_name(all[i]), name) == 0)
			return all[i];
	}
	return AMEND_TAKE_NOTHING;
}

void amend_conflict_choices_text(struct amend_buffer *buffer, const struct amend_table *table,
				 const struct amend_conflict_row *row)
{
	bool first = true;

	amend_buffer_char(buffer, '{');
	for (size_t i = 0; i < row->n_fields; i++) {
		const struct amend_conflict_choice *choice = &row->choices[i];
		const struct amend_conflict_field *field = &row->fields[i];
		enum amend_class class_ = class_of(table, field->column);

		if (!choice->chosen)
			continue;
		add_name(buffer, first, field->column);
		first = false;
		amend_buffer_text(buffer, "{\"current\":");
		amend_json_value(buffer, &choice->current, class_);
		amend_buffer_text(buffer, ",\"incoming\":");
		amend_json_value(buffer, &field->incoming, class_);
		amend_buffer_printf(buffer, ",\"take\":\"%s\",\"value\":", take_name(choice->take));
		amend_json_value(buffer, &choice->value, class_);
		amend_buffer_text(buffer, ",\"who\":");
		amend_json_string(buffer, choice->who, strlen(choice->who));
		amend_buffer_char(buffer, '}');
	}
	amend_buffer_char(buffer, '}');
}

static bool read_terms(struct json_object *sides, bool typed, struct amend_arena *arena,
		       struct amend_conflict_terms *out)
{
	struct json_object *part;

	out->adds = json_object_object_get_ex(sides, "adds", NULL);
	return (!json_object_object_get_ex(sides, "min", &part) ||
		amend_json_read(part, typed, arena, &out->min)) &&
	       (!json_object_object_get_ex(sides, "max", &part) ||
		amend_json_read(part, typed, arena, &out->max));
}

enum amend_status amend_conflict_fields_parse(const char *text, bool typed,
					      struct amend_arena *arena,
					      struct amend_conflict_row *out,
					      struct amend_error *err)
{
	struct json_object *json = amend_json_parse(text), *part;
	struct amend_conflict_field *fields;
	struct amend_conflict_terms *terms = NULL;
	enum amend_status status = AMEND_OK;
	bool any = false;
	size_t i = 0;

	if (!json_object_is_type(json, json_type_object)) {
		status = amend_json_malformed(err, text);
		goto out;
	}
	fields = amend_arena_array(arena, (size_t)json_object_object_length(json), sizeof(*fields));
	terms = amend_arena_array(arena, (size_t)json_object_object_length(json), sizeof(*terms));
	if (!fields || !terms) {
		status = amend_no_memory(err);
		goto out;
	}
	json_object_object_foreach(json, name, sides)
	{
		struct amend_conflict_terms *term = &terms[i];
		struct amend_conflict_field *field = &fields[i++];
		bool ok = json_object_is_type(sides, json_type_object);

		field->column = amend_arena_text(arena, name);
		ok = ok && field->column;
		field->has_base = ok && json_object_object_get_ex(sides, "base", &part);
		if (field->has_base)
			ok = amend_json_read(part, typed, arena, &field->base);
		ok = ok && json_object_object_get_ex(sides, "current", &part) &&
		     amend_json_read(part, typed, arena, &field->current);
		ok = ok && json_object_object_get_ex(sides, "incoming", &part) &&
		     amend_json_read(part, typed, arena, &field->incoming) &&
		     read_terms(sides, typed, arena, term);
		any = any || term->adds || term->min.kind || term->max.kind;
		if (!ok) {
			status = amend_json_malformed(err, text);
			goto out;
		}
	}
	out->fields = fields;
	out->terms = any ? terms : NULL;
	out->n_fields = i;
out:
	json_object_put(json);
	return status;
}

/* False: malformed. A choice against another incoming value than the field has is none; nor is what an older amend has shown. */
static bool read_choice(struct json_object *json, bool typed, struct amend_arena *arena,
			const struct amend_conflict_field *field, struct amend_conflict_choice *out)
{
	struct amend_conflict_choice choice = {.who = ""};
	struct amend_value incoming;
	struct json_object *part;

	if (!json_object_is_type(json, json_type_object) ||
	    !json_object_object_get_ex(json, "current", &part) ||
	    !amend_json_read(part, typed, arena, &choice.current) ||
	    !json_object_object_get_ex(json, "incoming", &part) ||
	    !amend_json_read(part, typed, arena, &incoming))
		return false;
	if (json_object_object_get_ex(json, "take", &part)) {
		choice.chosen = true;
		choice.take = take_of(json_object_get_string(part));
		if (!json_object_object_get_ex(json, "value", &part) ||
		    !amend_json_read(part, typed, arena, &choice.value) ||
		    !json_object_object_get_ex(json, "who", &part) ||
		    !json_object_is_type(part, json_type_string))
			return false;
		choice.who = amend_arena_text(arena, json_object_get_string(part));
	}
	if (choice.chosen && choice.who && amend_value_equal(&incoming, &field->incoming))
		*out = choice;
	return choice.who != NULL;
}

enum amend_status amend_conflict_choices_parse(const char *text, bool typed,
					       struct amend_arena *arena,
					       struct amend_conflict_row *out,
					       struct amend_error *err)
{
	struct amend_conflict_choice *choices = amend_arena_array(arena, out->n_fields,
								  sizeof(*choices));
	struct json_object *json = amend_json_parse(text), *part;
	enum amend_status status = AMEND_OK;

	if (!choices)
		status = amend_no_memory(err);
	else if (!json_object_is_type(json, json_type_object))
		status = amend_json_malformed(err, text);
	for (size_t i = 0; choices && i < out->n_fields && status == AMEND_OK; i++) {
		if (json_object_object_get_ex(json, out->fields[i].column, &part) &&
		    !read_choice(part, typed, arena, &out->fields[i], &choices[i]))
			status = amend_json_malformed(err, text);
	}
	out->choices = choices;
	json_object_put(json);
	return status;
}

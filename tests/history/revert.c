/*
 * Reverts, one line a call.
 * Leaves the road itself to tests/record/ask.c.
 */
#include "revert.h"

#include "core/buffer.h"

struct seen {
	struct road *road;
	struct amend_buffer text;
	const struct asked_revert *asked;
};

static const char *value(struct seen *seen, const struct amend_value *value)
{
	return road_value(seen->road->engine, value);
}

static enum amend_status see(const struct amend_revert_entry *entry, void *context,
			     struct amend_error *err)
{
	struct seen *seen = context;
	struct amend_buffer *text = &seen->text;

	(void)err;
	amend_buffer_printf(text, "%s%s %s", text->size ? "\n" : "",
			    amend_outcome_name(entry->outcome), entry->table->qualified);
	for (size_t i = 0; i < entry->n_key; i++)
		amend_buffer_printf(text, " %s=%s", entry->key[i].column,
				    value(seen, &entry->key[i].value));
	for (size_t i = 0; i < entry->n_changes; i++) {
		const struct amend_change *change = &entry->changes[i];

		amend_buffer_printf(text, "%s %s: %s", i ? "," : "", change->column,
				    value(seen, &change->before));
		amend_buffer_printf(text, " -> %s", value(seen, &change->after));
	}
	for (size_t i = 0; i < entry->n_conflicts; i++) {
		const struct amend_revert_conflict *conflict = &entry->conflicts[i];

		amend_buffer_printf(text, "; %s", amend_revert_problem_name(conflict->problem));
		if (conflict->column) {
			amend_buffer_printf(text, " %s: %s", conflict->column,
					    value(seen, &conflict->base));
			amend_buffer_printf(text, "|%s", value(seen, &conflict->current));
			amend_buffer_printf(text, "|%s", value(seen, &conflict->incoming));
		}
		if (*conflict->note)
			amend_buffer_printf(text, " (%s)", conflict->note);
	}
	for (size_t i = 0; i < entry->n_violations; i++) {
		const struct amend_violation *violation = &entry->violations[i];

		amend_buffer_printf(text, "; refused %s", amend_violation_name(violation->kind));
		for (size_t j = 0; j < violation->n_columns; j++)
			amend_buffer_printf(text, "%s%s", j ? "," : " ", violation->columns[j]);
	}
	return AMEND_OK;
}

static bool confirm(const struct amend_revert_report *report, void *context)
{
	struct seen *seen = context;

	return seen->asked->confirm(report, seen->road);
}

const char *road_revert(struct road *road, const struct asked_revert *asked,
			enum amend_status *status, struct amend_revert_report *report)
{
	struct amend_revert revert = AMEND_REVERT_INIT;
	struct amend_revert_report ignored;
	struct seen seen = {.road = road, .asked = asked};
	const char *equals = asked->key ? strchr(asked->key, '=') : NULL;
	struct amend_field field = {NULL, {0}};
	const struct amend_match match = {&field, 1};
	const char *text;

	revert.revision = asked->revision;
	revert.run = asked->run;
	revert.on_conflict = asked->on_conflict;
	revert.ignore = &asked->ignore;
	revert.n_ignore = asked->ignore ? 1 : 0;
	revert.dry_run = asked->dry_run;
	revert.each = see;
	revert.confirm = asked->confirm ? confirm : NULL;
	revert.context = &seen;
	if (equals) {
		field.column = amend_arena_text_n(engine_arena(road->engine), asked->key,
						  (size_t)(equals - asked->key));
		field.value = amend_text(equals + 1);
		revert.table = road->table;
		revert.key = &match;
	}
	*status = amend_revert(road->db, &revert, report ? report : &ignored, &road->err);
	text = amend_arena_text(engine_arena(road->engine), seen.text.data ? seen.text.data : "");
	amend_buffer_release(&seen.text);
	return text;
}

void reverts_at(struct road *road, const struct asked_revert *asked, enum amend_status expected,
		const char *text, const char *file, int line)
{
	enum amend_status status;
	const char *shown = road_revert(road, asked, &status, NULL);

	expect_status_at(expected, NULL, status, &road->err, "revert", file, line);
	if (text)
		expect_text_at(shown, text, "revert", file, line);
}

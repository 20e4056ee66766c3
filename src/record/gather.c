/*
 * What a call would write: assignments, computed values, bounds; and what of it is a change.
 * Leaves writing it to record.c.
 */
#include "record/call.h"

#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"

struct amend_compute {
	struct amend_call *call;
};

enum amend_status amend_compute_set(struct amend_compute *compute, const char *column,
				    const struct amend_value *value, struct amend_error *err)
{
	struct amend_call *call = compute->call;
	struct amend_assign assign = {.column = column, .op = AMEND_SET};

	if (!amend_arena_value(call->work.arena, value, &assign.value))
		return amend_no_memory(err);
	return amend_request_puts(call->table, &assign, 1, true, call->puts, &call->n_puts, err);
}

enum amend_status amend_call_bounds(struct amend_call *call, struct amend_error *err)
{
	const struct amend_write *write = call->write;

	for (size_t i = 0; i < write->n_bounds; i++) {
		size_t at, place = 0;
		enum amend_status status = amend_table_find(call->table, write->bounds[i].column,
							    &at, err);

		if (status != AMEND_OK)
			return status;
		while (place < call->n_puts && call->puts[place].column != at)
			place++;
		if (place == call->n_puts)
			return amend_error_set(err, AMEND_INVALID,
					       "a bound is given for %s, which is not assigned",
					       write->bounds[i].column);
		if (write->bounds[i].min.kind == AMEND_NULL &&
		    write->bounds[i].max.kind == AMEND_NULL)
			return amend_error_set(err, AMEND_INVALID,
					       "the bound of %s is NULL: expected a value",
					       write->bounds[i].column);
		if (write->bounds[i].min.kind != AMEND_NULL)
			call->puts[place].min = write->bounds[i].min;
		if (write->bounds[i].max.kind != AMEND_NULL)
			call->puts[place].max = write->bounds[i].max;
	}
	return AMEND_OK;
}

/* What this try would write: the assignments, what keys teach, what the callback computes. */
enum amend_status amend_call_gather(struct amend_call *call, struct amend_error *err)
{
	const struct amend_write *write = call->write;
	struct amend_compute compute = {call};
	enum amend_status status = AMEND_OK;

	memcpy(call->puts, call->set, call->n_set * sizeof(*call->puts));
	call->n_puts = call->n_set;
	if (call->found)
		status = amend_call_learn(call, err);
	else
		status = amend_request_puts(call->table, write->on_create, write->n_on_create, true,
					    call->puts, &call->n_puts, err);
	if (status == AMEND_OK && write->compute) {
		err->status = AMEND_OK;
		err->text[0] = '\0';
		status = write->compute(&compute, call->found ? call->row.values : NULL,
					write->compute_context, err);
		if (status != AMEND_OK && err->status != status)
			amend_error_set(err, status, "the callback returned %s",
					amend_status_name(status));
	}
	if (status == AMEND_OK)
		status = amend_call_bounds(call, err);
	if (status == AMEND_OK)
		status = amend_request_canonical(call->db, call->table,
						 call->found ? call->row.values : NULL, call->puts,
						 call->n_puts, call->work.arena, err);
	return status;
}

bool amend_put_adds_nothing(const struct amend_put *put)
{
	const struct amend_value *value = &put->value;

	if (put->op != AMEND_ADD)
		return false;
	switch (value->kind) {
	case AMEND_INTEGER:
		return value->as.integer == 0;
	case AMEND_REAL:
		return value->as.real == 0.0;
	case AMEND_TEXT:
		for (size_t i = 0; i < value->size; i++) {
			if (!strchr("+-0.", value->as.text[i]) || value->as.text[i] == '\0')
				return false;
		}
		return value->size > 0;
	case AMEND_NULL:
	case AMEND_BLOB:
		break;
	}
	return false;
}

/* Drops what is equal already. Bounds speak of what is written: an equal value breaks none. */
void amend_call_keep_changes(struct amend_call *call)
{
	size_t kept = 0;

	for (size_t i = 0; i < call->n_puts; i++) {
		const struct amend_put *put = &call->puts[i];

		if (amend_put_adds_nothing(put) ||
		    (put->op == AMEND_SET &&
		     amend_value_equal(&put->value, &call->row.values[put->column])))
			continue;
		call->puts[kept++] = *put;
	}
	call->n_puts = kept;
}

/* NULL plus something is NULL, and text plus something is a guess: neither is what adding means. */
enum amend_status amend_call_check_addends(const struct amend_call *call, struct amend_error *err)
{
	bool typed = amend_has(call->db, AMEND_HAS_TYPED_STORAGE);

	for (size_t i = 0; i < call->n_puts; i++) {
		const struct amend_column *column = &call->table->columns[call->puts[i].column];
		const struct amend_value *current = &call->row.values[call->puts[i].column];

		if (call->puts[i].op != AMEND_ADD)
			continue;
		if (current->kind == AMEND_NULL)
			return amend_error_set(
				err, AMEND_CONSTRAINT,
				"%s.%s is NULL: there is nothing to add to (hint: set it "
				"first)",
				call->table->qualified, column->name);
		if (!typed && current->kind != AMEND_INTEGER && current->kind != AMEND_REAL)
			return amend_error_set(
				err, AMEND_CONSTRAINT,
				"%s.%s does not hold a number: there is nothing to add to",
				call->table->qualified, column->name);
	}
	return AMEND_OK;
}

/* Decimals are text, but to a reader numbers. */
static void add_value(struct amend_buffer *text, const struct amend_value *value,
		      const struct amend_column *column)
{
	if (value->kind == AMEND_TEXT && column->class_ == AMEND_CLASS_NUMBER)
		amend_buffer_add(text, value->as.text, value->size);
	else
		amend_json_value(text, value, column->class_);
}

void amend_call_bound_text(const struct amend_call *call, const struct amend_put *put,
			   struct amend_buffer *text)
{
	const struct amend_column *column = &call->table->columns[put->column];

	if (call->row.values) {
		amend_buffer_text(text, " is ");
		add_value(text, &call->row.values[put->column], column);
	}
	amend_buffer_text(text, put->op == AMEND_ADD ? ", adding " : ", setting ");
	add_value(text, &put->value, column);
	amend_buffer_text(text, " would break its bounds (");
	if (put->min.kind) {
		amend_buffer_text(text, "at least ");
		add_value(text, &put->min, column);
	}
	if (put->max.kind) {
		amend_buffer_text(text, put->min.kind ? ", at most " : "at most ");
		add_value(text, &put->max, column);
	}
	amend_buffer_char(text, ')');
}

/* Of whole numbers it is plain here; of others only the database knows. */
static bool is_kept(const struct amend_call *call, const struct amend_put *put)
{
	int64_t value, before = 0, min = INT64_MIN, max = INT64_MAX;

	if (!amend_value_number(&put->value, &value) ||
	    (put->min.kind && !amend_value_number(&put->min, &min)) ||
	    (put->max.kind && !amend_value_number(&put->max, &max)))
		return false;
	if (put->op == AMEND_ADD && call->row.values &&
	    !amend_value_number(&call->row.values[put->column], &before))
		return false;
	if (put->op == AMEND_ADD && __builtin_add_overflow(before, value, &value))
		return false;
	return min <= value && value <= max;
}

enum amend_status amend_call_out_of_bounds(const struct amend_call *call, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	size_t broken = 0;

	for (size_t i = 0; i < call->n_puts; i++)
		broken += (call->puts[i].min.kind || call->puts[i].max.kind) &&
			  !is_kept(call, &call->puts[i]);
	for (size_t i = 0; i < call->n_puts; i++) {
		const struct amend_put *put = &call->puts[i];

		if (!(put->min.kind || put->max.kind) || (broken > 0 && is_kept(call, put)))
			continue;
		amend_buffer_printf(&text, "%s%s", text.size ? "; " : "",
				    call->table->columns[put->column].name);
		amend_call_bound_text(call, put, &text);
	}
	amend_error_set(err, AMEND_CONSTRAINT, "%s; nothing was written",
			text.failed ? "a value would break its bounds" : amend_buffer_string(&text));
	amend_buffer_release(&text);
	return AMEND_CONSTRAINT;
}

/*
 * What is said of a save that clashed: whose changes are in its way.
 * Leaves what clashes to merge.c, and keeping it to the ledger.
 */
#include <string.h>

#include "record/call.h"
#include "record/history.h"

/* How far back a change is looked for. */
enum { STEPS_BACK = 1000 };

/* The last change of the field, if what it wrote is what is there: else one that nobody has recorded came after it. */
static void name_rival(const struct amend_call *call, const struct amend_history *entries, size_t n,
		       struct amend_merge_field *field)
{
	int at = amend_table_column(call->table, field->column);

	for (size_t i = 0; i < n && at >= 0; i++) {
		for (size_t j = 0; j < entries[i].n_changes; j++) {
			const struct amend_change *change = &entries[i].changes[j];

			if (strcmp(change->column, field->column) != 0)
				continue;
			if (!amend_value_equal(&change->after, &call->row.values[at]))
				return;
			field->by = entries[i].who;
			field->at = entries[i].at;
			field->because = entries[i].why;
			return;
		}
	}
}

enum amend_status amend_call_name_rivals(struct amend_call *call, struct amend_merge_field *fields,
					 size_t n, struct amend_error *err)
{
	struct amend_history *entries = NULL;
	size_t n_entries = 0;
	enum amend_status status = amend_history_since(
		call->db, call->table, call->row.pk,
		call->seen.has_token ? call->seen.token.change : 0, STEPS_BACK, call->work.arena,
		&entries, &n_entries, err);

	for (size_t i = 0; i < n && status == AMEND_OK && entries; i++) {
		if (fields[i].from == AMEND_FROM_NEITHER)
			name_rival(call, entries, n_entries, &fields[i]);
	}
	return status;
}

/* " by bob at ...": programs that amend does not know have no name in history. */
static void add_rival(struct amend_buffer *text, const char *by, const char *at)
{
	amend_buffer_printf(text, "by %s", by && *by ? by : "somebody else");
	if (by && at)
		amend_buffer_printf(text, " at %.19s UTC", at);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* The first field that clashes, if all that do were changed by the same, at the same time; else NULL. */
static const struct amend_merge_field *one_rival(const struct amend_result *result)
{
	const struct amend_merge_field *first = NULL;

	for (size_t i = 0; i < result->n_merged; i++) {
		const struct amend_merge_field *field = &result->merged[i];

		if (field->from != AMEND_FROM_NEITHER)
			continue;
		if (first && (!same_text(first->by, field->by) || !same_text(first->at, field->at)))
			return NULL;
		first = first ? first : field;
	}
	return first;
}

/* "title, body", or "title (by bob at ...), body (by ann at ...)" */
static void add_names(struct amend_buffer *text, const struct amend_result *result, bool rivals)
{
	bool first = true;

	for (size_t i = 0; i < result->n_merged; i++) {
		const struct amend_merge_field *field = &result->merged[i];

		if (field->from != AMEND_FROM_NEITHER)
			continue;
		amend_buffer_printf(text, "%s%s", first ? "" : ", ", field->column);
		first = false;
		if (!rivals)
			continue;
		amend_buffer_text(text, " (");
		add_rival(text, field->by, field->at);
		amend_buffer_char(text, ')');
	}
}

/* "; qty: it is 2, adding -5 would break its bounds (at least 0)" */
static void add_reasons(struct amend_buffer *text, const struct amend_result *result)
{
	for (size_t i = 0; i < result->n_merged; i++) {
		const struct amend_merge_field *field = &result->merged[i];

		if (field->from == AMEND_FROM_NEITHER && field->why)
			amend_buffer_printf(text, "; %s: %s", field->column, field->why);
	}
}

void amend_call_say_clash(struct amend_call *call)
{
	const struct amend_result *result = call->work.result;
	const struct amend_merge_field *one = one_rival(result);
	struct amend_buffer text = AMEND_BUFFER_INIT;

	add_names(&text, result, !one);
	amend_buffer_printf(&text, " of the record %s in %s: changed by you, and otherwise ",
			    amend_call_key(call), call->table->qualified);
	if (one)
		add_rival(&text, one->by, one->at);
	else
		amend_buffer_text(&text, "by others");
	add_reasons(&text, result);
	amend_error_set(&call->clash, AMEND_CONFLICT,
			"%s; nothing was written, what you sent is kept as conflict %lld",
			text.failed ? "fields were changed by both" : amend_buffer_string(&text),
			(long long)result->conflict);
	amend_buffer_release(&text);
}

void amend_call_say_gone(struct amend_call *call)
{
	const struct amend_result *result = call->work.result;
	struct amend_buffer text = AMEND_BUFFER_INIT;

	add_rival(&text, result->by, result->at);
	amend_error_set(&call->clash, AMEND_CONFLICT,
			"the record %s in %s was deleted %s, after you loaded it; what you sent is "
			"kept as conflict %lld",
			amend_call_key(call), call->table->qualified,
			text.failed ? "by others" : amend_buffer_string(&text),
			(long long)result->conflict);
	amend_buffer_release(&text);
}

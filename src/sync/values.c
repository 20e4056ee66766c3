/*
 * Brings the fields of records into the form their columns store.
 * Asks the database only for what is not plainly equal to what it holds already.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "sync/sync.h"

bool amend_sync_reads_digits(const struct amend_column *column)
{
	return column->class_ == AMEND_CLASS_INTEGER || column->class_ == AMEND_CLASS_NUMBER ||
	       column->numeric;
}

/*
 * The text is what the database itself printed for `stored`: storing it again
 * changes nothing (docs/decisions/0027). Without typed storage that is so for text in
 * a text column, for a whole number, and for text that no column takes for a number.
 */
bool amend_sync_plainly(const struct amend_sync *sync, const struct amend_column *column,
			const struct amend_value *text, const struct amend_value *stored)
{
	char digits[AMEND_INTEGER_ROOM];
	size_t size;

	if (text->kind != AMEND_TEXT)
		return amend_value_equal(text, stored);
	switch (stored->kind) {
	case AMEND_TEXT:
		return (amend_has(sync->db, AMEND_HAS_TYPED_STORAGE) ||
			column->class_ == AMEND_CLASS_TEXT ||
			(column->numeric && amend_value_no_number(text))) &&
		       amend_value_equal(text, stored);
	case AMEND_INTEGER:
		if (!amend_sync_reads_digits(column))
			return false;
		size = amend_integer_digits(digits, stored->as.integer);
		return size == text->size && memcmp(digits, text->as.text, size) == 0;
	case AMEND_NULL:
	case AMEND_REAL:
	case AMEND_BLOB:
		break;
	}
	return false;
}

static bool settle(const struct amend_sync *sync, struct amend_record *record, uint32_t used)
{
	const struct amend_used *u = &sync->used[used];
	const struct amend_column *column = &sync->table->columns[u->column];
	struct amend_value *value = &record->values[used];
	struct amend_value base;

	if (value->kind == AMEND_NULL)
		return true;
	if (record->row && amend_sync_plainly(sync, column, value, &record->row->values[u->column])) {
		*value = record->row->values[u->column];
		return true;
	}
	if (record->based &&
	    amend_pack_find(record->seen->pack, record->seen->pack_size, column->name, &base) &&
	    amend_sync_plainly(sync, column, value, &base)) {
		*value = base;
		return true;
	}
	return false;
}

/* Sign and digits: a whole number, however long. */
static bool is_whole(const struct amend_value *text)
{
	size_t i = text->size > 0 && (text->as.text[0] == '-' || text->as.text[0] == '+');

	if (text->kind != AMEND_TEXT || i == text->size)
		return false;
	while (i < text->size && text->as.text[i] >= '0' && text->as.text[i] <= '9')
		i++;
	return i == text->size;
}

/*
 * A database without typed storage takes any value into any column: its own rule, and rarely meant of a text
 * where numbers or truth should be, or of a whole number of which it keeps the first digits.
 */
void amend_sync_notice(struct amend_sync *sync, const struct amend_record *record, uint32_t used,
		       const struct amend_value *given, const struct amend_value *stored)
{
	const struct amend_column *column = &sync->table->columns[sync->used[used].column];
	bool odd_text = amend_column_odd_text(sync->db, column, stored);
	bool cut = stored->kind == AMEND_REAL && column->class_ != AMEND_CLASS_REAL &&
		   is_whole(given);
	int shown = given->size < 40 ? (int)given->size : 40;
	struct amend_error text;

	if ((!odd_text && !cut) || sync->used[used].noticed || !sync->options->on_notice ||
	    amend_has(sync->db, AMEND_HAS_TYPED_STORAGE))
		return;
	/* It stands there already. */
	if (record->row && amend_value_equal(stored, &record->row->values[sync->used[used].column]))
		return;
	sync->used[used].noticed = true;
	if (cut)
		amend_error_set(&text, AMEND_INVALID,
				"column %s is %s, and \"%.*s\" is stored in it as %.17g, as the "
				"database does (hint: a TEXT column keeps every digit)",
				column->name, column->type, shown, given->as.text, stored->as.real);
	else
		amend_error_set(&text, AMEND_INVALID,
				"column %s is %s, and \"%.*s\" is stored in it as text, as the "
				"database does (hint: a STRICT table, or a CHECK, refuses it)",
				column->name, column->type, shown, given->as.text);
	sync->options->on_notice(sync->options->context, record->line, text.text);
}

static enum amend_status take(struct amend_sync *sync, const struct amend_canon *canon,
			      const size_t *which, size_t n, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[which[i] / sync->n_used];

		if (!canon[i].problem) {
			record->values[which[i] % sync->n_used] = canon[i].out;
			amend_sync_notice(sync, record, (uint32_t)(which[i] % sync->n_used),
					  &canon[i].in, &canon[i].out);
		} else if (record->fate == AMEND_FATE_OPEN)
			status = amend_sync_reject(sync, record, err, "column %s: %s",
						   canon[i].column->name, canon[i].problem);
	}
	return status;
}

enum amend_status amend_sync_values(struct amend_sync *sync, struct amend_error *err)
{
	size_t room = AMEND_SYNC_BATCH + sync->n_used, n = 0;
	struct amend_canon *canon = calloc(room, sizeof(*canon));
	size_t *which = calloc(room, sizeof(*which));
	enum amend_status status = AMEND_OK;

	if (!canon || !which) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i <= sync->n_list && status == AMEND_OK; i++) {
		bool last = i == sync->n_list;

		if (n > 0 && (last || n >= AMEND_SYNC_BATCH)) {
			status = amend_canonicalise(sync->db, canon, n, &sync->arena, err);
			if (status == AMEND_OK)
				status = take(sync, canon, which, n, err);
			n = 0;
		}
		if (last || status != AMEND_OK || sync->list[i]->fate != AMEND_FATE_OPEN)
			continue;
		for (uint32_t u = 0; u < sync->n_used; u++) {
			/* Keys are canonical already. */
			if (sync->used[u].key || settle(sync, sync->list[i], u))
				continue;
			canon[n].column = &sync->table->columns[sync->used[u].column];
			canon[n].in = sync->list[i]->values[u];
			canon[n].out = amend_null();
			canon[n].problem = NULL;
			which[n++] = i * sync->n_used + u;
		}
	}
out:
	free(canon);
	free(which);
	return status;
}

/*
 * Missing rows whose bases have one first key: a row was given another key here, and the record was tied to a second row.
 * Leaves what becomes of each row to missing_decide.c.
 *
 * A record has one open conflict. It is about one of the rows, the same one in whatever order they are
 * decided; the others wait until it is over, and none of them ends it.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sync.h"

static int by_key(const void *a, const void *b)
{
	const struct amend_record *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

/* The row has the key that its base goes by, still. */
static bool holds_key(const struct amend_sync *sync, const struct amend_record *record)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	bool holds = false;

	for (uint32_t k = 0; k < sync->n_keys && record->row && !holds; k++)
		holds = amend_sync_key_text(&text, sync, k, NULL, record->row->values) &&
			!text.failed && strlen(record->key) == text.size &&
			memcmp(record->key, text.data, text.size) == 0;
	amend_buffer_release(&text);
	return holds;
}

static bool clashes(const struct amend_record *record)
{
	return record->action && record->action->conflict;
}

static bool is_about(const struct amend_record *record)
{
	return record->open && record->open->pk && strcmp(record->open->pk, record->seen->pk) == 0;
}

/* Whether the conflict is a's rather than b's. */
static bool comes_first(const struct amend_sync *sync, const struct amend_record *a,
			const struct amend_record *b)
{
	bool x = clashes(a), y = clashes(b);

	if (x == y) {
		x = a->told;
		y = b->told;
	}
	if (x == y) {
		x = is_about(a);
		y = is_about(b);
	}
	if (x == y) {
		x = holds_key(sync, a);
		y = holds_key(sync, b);
	}
	return x == y ? strcmp(a->seen->pk, b->seen->pk) < 0 : x;
}

/* What is told is written. */
static void stand_back(struct amend_record *record)
{
	if (!record->action || record->told)
		return;
	record->action->store = record->action->is_new = false;
	record->action->end = NULL;
}

enum amend_status amend_sync_settle_twins(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_record **records = calloc(sync->n_missing + 1, sizeof(struct amend_record *));
	size_t n = 0, end;

	if (!records)
		return amend_no_memory(err);
	for (size_t i = 0; i < sync->n_missing; i++) {
		if (sync->missing[i].seen)
			records[n++] = &sync->missing[i];
	}
	qsort(records, n, sizeof(struct amend_record *), by_key);
	for (size_t i = 0; i < n; i = end) {
		const struct amend_record *first = records[i];

		for (end = i + 1; end < n && by_key(&records[i], &records[end]) == 0; end++) {
			if (comes_first(sync, records[end], first))
				first = records[end];
		}
		for (size_t j = i; j < end; j++) {
			if (records[j] != first)
				stand_back(records[j]);
		}
	}
	free(records);
	return AMEND_OK;
}

enum amend_status amend_sync_note_twins(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_buffer thing = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_missing && status == AMEND_OK; i++) {
		const struct amend_record *record = &sync->missing[i];

		if (!record->seen)
			continue;
		amend_buffer_reset(&thing);
		amend_buffer_text(&thing, "missing ");
		amend_buffer_text(&thing, record->key);
		status = amend_slices_note(sync->slices, record->index, false, &thing, err);
	}
	amend_buffer_release(&thing);
	return status;
}

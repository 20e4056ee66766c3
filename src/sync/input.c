/*
 * Reads every record of the source and keeps the fields that are used; loads one to be decided.
 * Leaves what they mean to the table's columns.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/early.h"
#include "sync/sync.h"

enum { PROGRESS = 1000 };

enum amend_status amend_sync_reject(struct amend_sync *sync, struct amend_record *record,
				    struct amend_error *err, const char *format, ...)
{
	struct amend_error text;
	char line[sizeof(text.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* amend_error_set cuts at a character and keeps it one line. */
	amend_error_set(&text, AMEND_INVALID, "%s", line);
	record->fate = AMEND_FATE_REJECTED;
	record->action = NULL;
	record->problem = amend_arena_text(&sync->arena, text.text);
	return record->problem ? AMEND_OK : amend_no_memory(err);
}

static struct amend_value trimmed(const struct amend_value *value)
{
	const char *begin = value->as.text, *end;

	if (value->kind != AMEND_TEXT)
		return *value;
	end = begin + value->size;
	while (begin < end && *begin && strchr(" \t\r\n\v\f", *begin))
		begin++;
	while (end > begin && end[-1] && strchr(" \t\r\n\v\f", end[-1]))
		end--;
	return amend_text_n(begin, (size_t)(end - begin));
}

static enum amend_status keep(struct amend_sync *sync, const struct amend_source_record *from,
			      struct amend_value *fields, struct amend_error *err)
{
	for (uint32_t i = 0; i < sync->n_used && !from->problem; i++) {
		fields[i] = from->fields[sync->used[i].source];
		if (from->absent && from->absent[sync->used[i].source])
			fields[i] = (struct amend_value){.kind = AMEND_STORE_ABSENT};
		else if (sync->used[i].key)
			fields[i] = trimmed(&fields[i]);
	}
	return amend_store_add(&sync->store, from->line, from->problem, fields, sync->n_used, err);
}

enum amend_status amend_sync_read(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_source *source = sync->source;
	struct amend_source_record from;
	struct amend_value *fields;
	enum amend_status status = AMEND_OK;
	bool end = false;

	if (source->used)
		return amend_error_set(err, AMEND_INVALID,
				       "%s has been read already: open it again for another run",
				       source->path);
	source->used = true;
	fields = calloc(sync->n_used, sizeof(*fields));
	if (!fields)
		return amend_no_memory(err);
	while (status == AMEND_OK) {
		status = source->ops->next(source, &from, &end, err);
		if (status != AMEND_OK || end)
			break;
		status = keep(sync, &from, fields, err);
		if (sync->store.n % PROGRESS != 0)
			continue;
		amend_sync_progress(sync, "read", sync->store.n, 0);
		if (status == AMEND_OK)
			status = amend_check_interrupted(sync->db, err);
		if (status == AMEND_OK && !sync->early)
			status = amend_early_begin(sync, err);
	}
	free(fields);
	return status;
}

enum amend_status amend_sync_load(struct amend_sync *sync, const unsigned char *bytes,
				  uint64_t index, struct amend_record **out, struct amend_error *err)
{
	struct amend_record *record = amend_arena_alloc(&sync->arena, sizeof(*record));
	struct amend_value *values = amend_arena_array(&sync->arena, sync->n_used, sizeof(*values));
	const unsigned char *kept = bytes;
	bool *absent = NULL;

	if (sync->store.file) {
		char *copy = amend_arena_alloc(&sync->arena, amend_store_size(bytes));

		if (copy)
			memcpy(copy, bytes, amend_store_size(bytes));
		kept = (const unsigned char *)copy;
	}
	if (!record || !values || !kept)
		return amend_no_memory(err);
	*record = (struct amend_record){.index = index, .first = -1, .found_by = AMEND_FOUND_NOT};
	record->line = amend_store_decode(kept, values, sync->n_used, &record->problem);
	if (record->problem)
		record->fate = AMEND_FATE_REJECTED;
	else
		record->values = values;
	for (uint32_t u = 0; u < sync->n_used && record->values; u++) {
		if (values[u].kind != AMEND_STORE_ABSENT)
			continue;
		if (!absent)
			absent = amend_arena_array(&sync->arena, sync->n_used, sizeof(bool));
		if (!absent)
			return amend_no_memory(err);
		absent[u] = true;
		values[u] = amend_null();
	}
	record->absent = absent;
	*out = record;
	return AMEND_OK;
}

/*
 * Reads every record of the source and keeps the fields that are used.
 * Leaves what they mean to the table's columns.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static struct amend_record *add_record(struct amend_sync *sync)
{
	struct amend_record *record;

	if (sync->n_records == sync->room) {
		size_t room = sync->room ? sync->room * 2 : 256;
		struct amend_record *records;

		if (room > SIZE_MAX / sizeof(*records))
			return NULL;
		records = realloc(sync->records, room * sizeof(*records));
		if (!records)
			return NULL;
		sync->records = records;
		sync->room = room;
	}
	record = &sync->records[sync->n_records++];
	*record = (struct amend_record){.first = -1, .found_by = AMEND_FOUND_NOT};
	return record;
}

/* One piece of memory for the values and their bytes. */
static enum amend_status keep(struct amend_sync *sync, const struct amend_source_record *from,
			      struct amend_record *record, struct amend_error *err)
{
	size_t size = sync->n_used * sizeof(*record->values);
	char *bytes;

	for (uint32_t i = 0; i < sync->n_used; i++) {
		if (from->absent && from->absent[sync->used[i].source])
			return amend_sync_reject(sync, record, err, "it has no member %s",
						 sync->source->names[sync->used[i].source]);
	}
	for (uint32_t i = 0; i < sync->n_used; i++)
		size += from->fields[sync->used[i].source].size + 1;
	record->values = amend_arena_alloc(&sync->arena, size);
	if (!record->values)
		return amend_no_memory(err);
	bytes = (char *)(record->values + sync->n_used);
	for (uint32_t i = 0; i < sync->n_used; i++) {
		struct amend_value value = from->fields[sync->used[i].source];

		if (sync->used[i].key)
			value = trimmed(&value);
		record->values[i] = value;
		if (value.kind != AMEND_TEXT)
			continue;
		memcpy(bytes, value.as.text, value.size);
		record->values[i].as.text = bytes;
		bytes += value.size + 1;
	}
	return AMEND_OK;
}

enum amend_status amend_sync_read(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_source *source = sync->source;
	struct amend_source_record from;
	enum amend_status status = AMEND_OK;
	bool end = false;

	if (source->used)
		return amend_error_set(err, AMEND_INVALID,
				       "%s has been read already: open it again for another run",
				       source->path);
	source->used = true;
	while (status == AMEND_OK) {
		struct amend_record *record;

		status = source->ops->next(source, &from, &end, err);
		if (status != AMEND_OK || end)
			break;
		record = add_record(sync);
		if (!record)
			return amend_no_memory(err);
		record->line = from.line;
		status = from.problem ? amend_sync_reject(sync, record, err, "%s", from.problem)
				      : keep(sync, &from, record, err);
		if (sync->n_records % PROGRESS == 0)
			amend_sync_progress(sync, "read", sync->n_records, 0);
	}
	return status;
}

/*
 * Keeps an input's records until they are decided.
 * Leaves what their fields mean to the rest of sync.
 */
#include "sync/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"

enum { RECORD_LEAST = 200, BLOCK = 1 << 20, HEAD = 4 + 8 + 1, BUFFER = 1 << 16 };

struct amend_store_block {
	struct amend_store_block *next;
	size_t used, room;
	unsigned char bytes[];
};

static void free_blocks(struct amend_store *store)
{
	while (store->first) {
		struct amend_store_block *next = store->first->next;

		free(store->first);
		store->first = next;
	}
	store->last = NULL;
	store->in_memory = 0;
}

void amend_store_release(struct amend_store *store)
{
	free_blocks(store);
	free(store->scratch);
	if (store->file)
		fclose(store->file);
	*store = (struct amend_store){.limit = store->limit};
}

enum amend_status amend_store_failed(const char *what, struct amend_error *err)
{
	const char *folder = getenv("TMPDIR");

	amend_error_set(err, AMEND_INTERNAL,
			"the input is large and its temporary file in %s could not be %s: %s "
			"(hint: TMPDIR names another folder)",
			folder && *folder ? folder : P_tmpdir, what, strerror(errno));
	return AMEND_INTERNAL;
}

FILE *amend_store_file(struct amend_error *err)
{
	const char *folder = getenv("TMPDIR");
	char path[4096];
	FILE *out = NULL;
	int file = -1;

	if (snprintf(path, sizeof(path), "%s/amend-XXXXXX", folder && *folder ? folder : P_tmpdir) <
	    (int)sizeof(path))
		file = mkstemp(path);
	else
		errno = ENAMETOOLONG;
	if (file >= 0) {
		unlink(path);
		out = fdopen(file, "w+");
	}
	if (!out) {
		amend_store_failed("made", err);
		if (file >= 0)
			close(file);
		return NULL;
	}
	setvbuf(out, NULL, _IOFBF, BUFFER);
	return out;
}

static enum amend_status spill(struct amend_store *store, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	store->file = amend_store_file(err);
	if (!store->file)
		return err->status;
	for (const struct amend_store_block *block = store->first; block && status == AMEND_OK;
	     block = block->next) {
		if (fwrite(block->bytes, 1, block->used, store->file) != block->used)
			status = amend_store_failed("written", err);
	}
	free_blocks(store);
	return status;
}

static struct amend_store_block *add_block(struct amend_store *store, size_t size)
{
	size_t room = size > BLOCK ? size : BLOCK;
	struct amend_store_block *block = malloc(sizeof(*block) + room);

	if (!block)
		return NULL;
	block->next = NULL;
	block->used = 0;
	block->room = room;
	if (store->last)
		store->last->next = block;
	else
		store->first = block;
	store->last = block;
	store->in_memory += room;
	return block;
}

static size_t field_size(const struct amend_value *field)
{
	switch (field->kind) {
	case AMEND_INTEGER:
	case AMEND_REAL:
		return 1 + 8;
	case AMEND_TEXT:
	case AMEND_BLOB:
		return 1 + 4 + field->size + 1;
	case AMEND_NULL:
		break;
	}
	return 1;
}

static unsigned char *put_field(unsigned char *at, const struct amend_value *field)
{
	uint32_t size = (uint32_t)field->size;

	*at++ = (unsigned char)field->kind;
	switch (field->kind) {
	case AMEND_INTEGER:
		memcpy(at, &field->as.integer, 8);
		return at + 8;
	case AMEND_REAL:
		memcpy(at, &field->as.real, 8);
		return at + 8;
	case AMEND_TEXT:
	case AMEND_BLOB:
		memcpy(at, &size, 4);
		if (size > 0)
			memcpy(at + 4, field->as.blob, size);
		at[4 + size] = 0;
		return at + 4 + size + 1;
	case AMEND_NULL:
		break;
	}
	return at;
}

static void put_record(unsigned char *at, uint32_t size, int64_t line, const char *problem,
		       const struct amend_value *fields, size_t n)
{
	memcpy(at, &size, 4);
	memcpy(at + 4, &line, 8);
	at[12] = problem != NULL;
	at += HEAD;
	if (problem) {
		memcpy(at, problem, size - HEAD);
		return;
	}
	for (size_t i = 0; i < n; i++)
		at = put_field(at, &fields[i]);
}

/* Where a record is put: at the end of what is in memory, or, before it is written, in the scratch. */
static unsigned char *room_for(struct amend_store *store, size_t size)
{
	struct amend_store_block *block = store->last;
	unsigned char *at;

	if (store->file) {
		if (store->scratch_room < size) {
			at = realloc(store->scratch, size * 2);
			if (!at)
				return NULL;
			store->scratch = at;
			store->scratch_room = size * 2;
		}
		return store->scratch;
	}
	if (!block || block->room - block->used < size)
		block = add_block(store, size);
	if (!block)
		return NULL;
	at = block->bytes + block->used;
	block->used += size;
	return at;
}

/* A small record costs as much as others once it is taken apart: so they are counted too. */
static bool is_full(const struct amend_store *store, size_t more)
{
	size_t limit = store->limit ? store->limit : AMEND_STORE_LIMIT;

	return store->in_memory + more > limit || store->n >= limit / RECORD_LEAST;
}

enum amend_status amend_store_add(struct amend_store *store, int64_t line, const char *problem,
				  const struct amend_value *fields, size_t n,
				  struct amend_error *err)
{
	size_t size = HEAD + (problem ? strlen(problem) + 1 : 0);
	enum amend_status status = AMEND_OK;
	unsigned char *at;

	for (size_t i = 0; i < n && !problem; i++)
		size += field_size(&fields[i]);
	if (size > UINT32_MAX)
		return amend_error_set(err, AMEND_INVALID,
				       "line %lld: expected a record of less than 4 GiB",
				       (long long)line);
	if (!store->file && is_full(store, size))
		status = spill(store, err);
	if (status != AMEND_OK)
		return status;
	at = room_for(store, size);
	if (!at)
		return amend_no_memory(err);
	put_record(at, (uint32_t)size, line, problem, fields, n);
	if (store->file && fwrite(at, 1, size, store->file) != size)
		return amend_store_failed("written", err);
	store->size += size;
	store->n++;
	return AMEND_OK;
}

void amend_store_begin(struct amend_store *store, struct amend_store_reader *reader)
{
	*reader = (struct amend_store_reader){.store = store, .block = store->first};
}

static enum amend_status read_bytes(struct amend_store_reader *reader, size_t from, size_t size,
				    struct amend_error *err)
{
	if (reader->room < from + size) {
		unsigned char *buffer = realloc(reader->buffer, (from + size) * 2);

		if (!buffer)
			return amend_no_memory(err);
		reader->buffer = buffer;
		reader->room = (from + size) * 2;
	}
	if (fread(reader->buffer + from, 1, size, reader->store->file) != size)
		return amend_store_failed("read", err);
	reader->offset += size;
	return AMEND_OK;
}

static enum amend_status next_of_file(struct amend_store_reader *reader,
				      const unsigned char **record, struct amend_error *err)
{
	struct amend_store *store = reader->store;
	enum amend_status status;
	uint32_t size;

	/* Others may read at the same time: each goes on where it was. */
	if ((reader->offset == 0 || ftello(store->file) != (off_t)reader->offset) &&
	    fseeko(store->file, (off_t)reader->offset, SEEK_SET) != 0)
		return amend_store_failed("read", err);
	status = read_bytes(reader, 0, 4, err);
	if (status != AMEND_OK)
		return status;
	memcpy(&size, reader->buffer, 4);
	status = read_bytes(reader, 4, size - 4, err);
	*record = status == AMEND_OK ? reader->buffer : NULL;
	return status;
}

enum amend_status amend_store_next(struct amend_store_reader *reader, const unsigned char **record,
				   struct amend_error *err)
{
	*record = NULL;
	if (reader->store->file)
		return reader->offset < reader->store->size ? next_of_file(reader, record, err)
							    : AMEND_OK;
	if (reader->block && reader->at == reader->block->used) {
		reader->block = reader->block->next;
		reader->at = 0;
	}
	if (reader->block) {
		*record = reader->block->bytes + reader->at;
		reader->at += amend_store_size(*record);
	}
	return AMEND_OK;
}

void amend_store_end(struct amend_store_reader *reader)
{
	free(reader->buffer);
	*reader = (struct amend_store_reader){0};
}

size_t amend_store_size(const unsigned char *record)
{
	uint32_t size;

	memcpy(&size, record, 4);
	return size;
}

static const unsigned char *take_field(const unsigned char *at, struct amend_value *field)
{
	uint32_t size;

	field->kind = (enum amend_kind) * at++;
	field->size = 0;
	switch (field->kind) {
	case AMEND_INTEGER:
		memcpy(&field->as.integer, at, 8);
		return at + 8;
	case AMEND_REAL:
		memcpy(&field->as.real, at, 8);
		return at + 8;
	case AMEND_TEXT:
	case AMEND_BLOB:
		memcpy(&size, at, 4);
		field->size = size;
		field->as.blob = at + 4;
		return at + 4 + size + 1;
	case AMEND_NULL:
		break;
	}
	return at;
}

int64_t amend_store_decode(const unsigned char *record, struct amend_value *fields, size_t n,
			   const char **problem)
{
	const unsigned char *at = record + HEAD;
	int64_t line;

	memcpy(&line, record + 4, 8);
	*problem = record[12] ? (const char *)at : NULL;
	for (size_t i = 0; i < n && !*problem; i++)
		at = take_field(at, &fields[i]);
	return line;
}

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

enum {
	RECORD_LEAST = 200,
	BLOCK = 1 << 20,
	SIZE = 4, /* bytes of a record's own */
	BUFFER = 1 << 16,
	GUESS = 1024,  /* bytes: most records are no longer */
	KIND_BITS = 3, /* of what stands before a field: the rest is its size */
	KIND_ABSENT = (1 << KIND_BITS) - 1,
};

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

/* ---- numbers: seven bits a byte, the last one without the eighth ---- */

static size_t number_size(uint64_t number)
{
	size_t size = 1;

	while (number >>= 7)
		size++;
	return size;
}

static unsigned char *put_number(unsigned char *at, uint64_t number)
{
	for (; number >> 7; number >>= 7)
		*at++ = (unsigned char)(number | 0x80);
	*at++ = (unsigned char)number;
	return at;
}

static const unsigned char *take_number(const unsigned char *at, uint64_t *number)
{
	unsigned shift = 0;

	/* Most take one byte. */
	*number = *at & 0x7f;
	while (*at++ & 0x80)
		*number |= (uint64_t)(*at & 0x7f) << (shift += 7);
	return at;
}

/* ---- records ---- */

static uint64_t field_head(const struct amend_value *field)
{
	bool sized = field->kind == AMEND_TEXT || field->kind == AMEND_BLOB;
	uint64_t kind = field->kind == AMEND_STORE_ABSENT ? KIND_ABSENT : (uint64_t)field->kind;

	return (sized ? (uint64_t)field->size << KIND_BITS : 0) | kind;
}

static size_t field_size(const struct amend_value *field)
{
	size_t head = number_size(field_head(field));

	switch (field->kind) {
	case AMEND_INTEGER:
	case AMEND_REAL:
		return head + 8;
	case AMEND_TEXT:
	case AMEND_BLOB:
		return head + field->size + 1;
	case AMEND_NULL:
		break;
	}
	return head;
}

static unsigned char *put_field(unsigned char *at, const struct amend_value *field)
{
	at = put_number(at, field_head(field));
	switch (field->kind) {
	case AMEND_INTEGER:
		memcpy(at, &field->as.integer, 8);
		return at + 8;
	case AMEND_REAL:
		memcpy(at, &field->as.real, 8);
		return at + 8;
	case AMEND_TEXT:
	case AMEND_BLOB:
		if (field->size > 0)
			memcpy(at, field->as.blob, field->size);
		at[field->size] = 0;
		return at + field->size + 1;
	case AMEND_NULL:
		break;
	}
	return at;
}

size_t amend_store_fields_size(const struct amend_value *fields, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += field_size(&fields[i]);
	return size;
}

unsigned char *amend_store_put_fields(unsigned char *at, const struct amend_value *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at = put_field(at, &fields[i]);
	return at;
}

/* Its line, and whether it is a problem. */
static uint64_t record_head(int64_t line, const char *problem)
{
	return (uint64_t)line << 1 | (problem != NULL);
}

static size_t record_size(int64_t line, const char *problem, const struct amend_value *fields,
			  size_t n)
{
	size_t size = SIZE + number_size(record_head(line, problem));

	if (problem)
		return size + strlen(problem) + 1;
	return size + amend_store_fields_size(fields, n);
}

static void put_record(unsigned char *at, uint32_t size, int64_t line, const char *problem,
		       const struct amend_value *fields, size_t n)
{
	memcpy(at, &size, SIZE);
	at = put_number(at + SIZE, record_head(line, problem));
	if (problem) {
		memcpy(at, problem, strlen(problem) + 1);
		return;
	}
	amend_store_put_fields(at, fields, n);
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

static size_t limit_of(const struct amend_store *store)
{
	return store->limit ? store->limit : AMEND_STORE_LIMIT;
}

/* A small record costs as much as others once it is taken apart: so they are counted too. */
static bool is_full(const struct amend_store *store, size_t more)
{
	size_t limit = limit_of(store);

	return store->in_memory + more > limit || store->n >= limit / RECORD_LEAST;
}

bool amend_store_keeps(const struct amend_store *store, uint64_t n)
{
	uint64_t size = store->n > 0 ? store->size / store->n + 1 : 1;

	return !store->file && n < limit_of(store) / RECORD_LEAST && n < limit_of(store) / size;
}

enum amend_status amend_store_add(struct amend_store *store, int64_t line, const char *problem,
				  const struct amend_value *fields, size_t n,
				  struct amend_error *err)
{
	size_t size = record_size(line, problem, fields, n);
	enum amend_status status = AMEND_OK;
	unsigned char *at;

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

static enum amend_status reserve(struct amend_store_reader *reader, size_t size,
				 struct amend_error *err)
{
	unsigned char *buffer;

	if (reader->room >= size)
		return AMEND_OK;
	buffer = realloc(reader->buffer, size * 2);
	if (!buffer)
		return amend_no_memory(err);
	reader->buffer = buffer;
	reader->room = size * 2;
	return AMEND_OK;
}

static enum amend_status read_bytes(struct amend_store_reader *reader, size_t from, size_t size,
				    struct amend_error *err)
{
	enum amend_status status = reserve(reader, from + size, err);

	if (status != AMEND_OK)
		return status;
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
	status = read_bytes(reader, 0, SIZE, err);
	if (status != AMEND_OK)
		return status;
	memcpy(&size, reader->buffer, SIZE);
	status = read_bytes(reader, SIZE, size - SIZE, err);
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

/* Past stdio, which would read much more than a record each time. */
static enum amend_status read_at(struct amend_store_reader *reader, size_t from, size_t size,
				 uint64_t offset, struct amend_error *err)
{
	enum amend_status status = reserve(reader, from + size, err);
	ssize_t got = 1;

	for (size_t done = 0; done < size && status == AMEND_OK; done += (size_t)got) {
		got = pread(fileno(reader->store->file), reader->buffer + from + done, size - done,
			    (off_t)(offset + from + done));
		if (got <= 0)
			status = amend_store_failed("read", err);
	}
	return status;
}

enum amend_status amend_store_at(struct amend_store_reader *reader, uint64_t offset,
				 const unsigned char **record, struct amend_error *err)
{
	uint64_t left = reader->store->size - offset;
	size_t guess = left < GUESS ? (size_t)left : GUESS, size;
	enum amend_status status = AMEND_OK;

	/* What was written last is still with stdio. */
	if (!reader->flushed && fflush(reader->store->file) != 0)
		status = amend_store_failed("written", err);
	reader->flushed = true;
	if (status == AMEND_OK)
		status = read_at(reader, 0, guess, offset, err);
	if (status != AMEND_OK)
		return status;
	size = amend_store_size(reader->buffer);
	if (size > guess)
		status = read_at(reader, guess, size - guess, offset, err);
	*record = reader->buffer;
	return status;
}

void amend_store_end(struct amend_store_reader *reader)
{
	free(reader->buffer);
	*reader = (struct amend_store_reader){0};
}

size_t amend_store_size(const unsigned char *record)
{
	uint32_t size;

	memcpy(&size, record, SIZE);
	return size;
}

static const unsigned char *take_field(const unsigned char *at, struct amend_value *field)
{
	unsigned kind;
	uint64_t head;

	at = take_number(at, &head);
	kind = (unsigned)head & KIND_ABSENT;
	field->kind = kind == KIND_ABSENT ? AMEND_STORE_ABSENT : (enum amend_kind)kind;
	field->size = (size_t)(head >> KIND_BITS);
	switch (field->kind) {
	case AMEND_INTEGER:
		memcpy(&field->as.integer, at, 8);
		return at + 8;
	case AMEND_REAL:
		memcpy(&field->as.real, at, 8);
		return at + 8;
	case AMEND_TEXT:
	case AMEND_BLOB:
		field->as.blob = at;
		return at + field->size + 1;
	case AMEND_NULL:
		break;
	}
	return at;
}

const unsigned char *amend_store_take_fields(const unsigned char *at, struct amend_value *fields,
					     size_t n)
{
	for (size_t i = 0; i < n; i++)
		at = take_field(at, &fields[i]);
	return at;
}

int64_t amend_store_decode(const unsigned char *record, struct amend_value *fields, size_t n,
			   const char **problem)
{
	const unsigned char *at;
	uint64_t head;

	at = take_number(record + SIZE, &head);
	*problem = head & 1 ? (const char *)at : NULL;
	if (!*problem)
		amend_store_take_fields(at, fields, n);
	return (int64_t)(head >> 1);
}

/*
 * The digest of all that a source was read from: an input around another, or its records.
 * Leaves what it is for to saved plans.
 */
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "sync/source.h"
#include "sync/store.h"

struct hashed_input {
	struct amend_input input, *inner;
	struct amend_hasher *hasher; /* NULL: not wanted */
	uint64_t size;
};

static long read_hashed(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct hashed_input *hashed = (struct hashed_input *)input;
	long n = hashed->inner->read(hashed->inner, bytes, size, err);

	input->taken = hashed->inner->taken;
	input->size = hashed->inner->size;
	if (n > 0) {
		hashed->size += (uint64_t)n;
		if (hashed->hasher)
			amend_hasher_add(hashed->hasher, bytes, (size_t)n);
	}
	return n;
}

static enum amend_status next_hashed(struct amend_input *input, bool empty, bool *more,
				     struct amend_error *err)
{
	struct hashed_input *hashed = (struct hashed_input *)input;

	*more = false;
	return hashed->inner->next ? hashed->inner->next(hashed->inner, empty, more, err) : AMEND_OK;
}

static void close_hashed(struct amend_input *input)
{
	struct hashed_input *hashed = (struct hashed_input *)input;

	hashed->inner->close(hashed->inner);
	amend_hasher_free(hashed->hasher);
	free(hashed);
}

struct amend_input *amend_input_hashed(struct amend_input *inner)
{
	struct hashed_input *hashed = calloc(1, sizeof(*hashed));

	if (!hashed)
		return NULL;
	hashed->input = (struct amend_input){.read = read_hashed,
					     .next = next_hashed,
					     .close = close_hashed,
					     .taken = inner->taken,
					     .size = inner->size};
	hashed->inner = inner;
	hashed->hasher = amend_hasher_new();
	if (hashed->hasher)
		return &hashed->input;
	free(hashed);
	return NULL;
}

static void add(struct amend_source *source, const void *bytes, size_t size)
{
	amend_hasher_add(source->hasher, bytes, size);
	source->hashed_size += size;
}

bool amend_source_hash_names(struct amend_source *source)
{
	source->hasher = amend_hasher_new();
	/* With the NUL that ends it: names are told apart. */
	for (size_t i = 0; i < source->n_names && source->hasher; i++)
		add(source, source->names[i], strlen(source->names[i]) + 1);
	return source->hasher != NULL;
}

void amend_source_hash_record(struct amend_source *source, const unsigned char *record)
{
	if (source->hasher)
		add(source, record, amend_store_size(record));
}

void amend_source_hash(struct amend_source *source, bool wanted)
{
	struct hashed_input *hashed = (struct hashed_input *)source->hashed;

	if (wanted)
		return;
	amend_hasher_free(source->hasher);
	source->hasher = NULL;
	if (!hashed)
		return;
	amend_hasher_free(hashed->hasher);
	hashed->hasher = NULL;
}

void amend_source_digest(const struct amend_source *source, uint64_t *size,
			 unsigned char digest[AMEND_DIGEST_SIZE])
{
	const struct hashed_input *hashed = (const struct hashed_input *)source->hashed;

	*size = hashed ? hashed->size : source->hashed_size;
	if (hashed || source->hasher)
		amend_hasher_digest(hashed ? hashed->hasher : source->hasher, digest);
	else
		amend_digest("", 0, digest);
}

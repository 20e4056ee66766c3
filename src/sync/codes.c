/*
 * Codes, sorted a part at a time.
 * Leaves the file to parts.c, and what a code stands for to slices.c.
 */
#include "sync/codes.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"

enum {
	CODE_SIZE = 7,  /* bytes of a code in the file: the part says the first one */
	INDEX_SIZE = 5, /* of an index, and whether it gives */
	SIZE = CODE_SIZE + INDEX_SIZE,
	FILTER_BITS = 10, /* for each code: one in a hundred passes that is not there */
	FILTER_PROBES = 4,
	FILTER_LEAST = 1 << 16,
};

/* As small as in the file nearly: a part of many is large. */
struct amend_codes_loaded {
	uint64_t code;
	uint64_t index; /* twice it, and one more where it gives */
};

enum amend_status amend_codes_init(struct amend_codes *codes, uint64_t expected,
				   struct amend_error *err)
{
	enum amend_status status;

	*codes = (struct amend_codes){.loaded_part = AMEND_PARTS};
	randombytes_buf(codes->secret, sizeof(codes->secret));
	status = amend_parts_init(&codes->parts, SIZE, err);
	if (status != AMEND_OK || expected == 0)
		return status;
	codes->filter_bits = FILTER_LEAST;
	while (codes->filter_bits < expected * FILTER_BITS && codes->filter_bits < (uint64_t)1 << 27)
		codes->filter_bits *= 2;
	codes->filter = calloc(codes->filter_bits / 8, 1);
	return codes->filter ? AMEND_OK : amend_no_memory(err);
}

void amend_codes_release(struct amend_codes *codes)
{
	amend_parts_release(&codes->parts);
	free(codes->loaded);
	free(codes->filter);
	*codes = (struct amend_codes){0};
}

uint64_t amend_codes_of(const struct amend_codes *codes, const void *bytes, size_t size)
{
	uint64_t code;

	crypto_shorthash((unsigned char *)&code, bytes, size, codes->secret);
	return code ? code : 1;
}

static uint64_t filter_bit(const struct amend_codes *codes, uint64_t code, unsigned probe)
{
	return (code + probe * (code >> 31 | 1)) & (codes->filter_bits - 1);
}

static void put_bytes(unsigned char *at, uint64_t number, int size)
{
	for (int i = 0; i < size; i++)
		at[i] = (unsigned char)(number >> 8 * i);
}

static uint64_t take_bytes(const unsigned char *at, int size)
{
	uint64_t number = 0;

	for (int i = 0; i < size; i++)
		number |= (uint64_t)at[i] << 8 * i;
	return number;
}

static struct amend_codes_loaded unpack(const unsigned char *at, size_t part)
{
	return (struct amend_codes_loaded){
		.code = (uint64_t)part << 8 * CODE_SIZE | take_bytes(at, CODE_SIZE),
		.index = take_bytes(at + CODE_SIZE, INDEX_SIZE),
	};
}

static struct amend_code code_at(const struct amend_codes *codes, size_t i)
{
	const struct amend_codes_loaded *loaded = &codes->loaded[i];

	return (struct amend_code){loaded->code, loaded->index >> 1, loaded->index & 1};
}

enum amend_status amend_codes_add(struct amend_codes *codes, const struct amend_code *code,
				  struct amend_error *err)
{
	unsigned char entry[SIZE];

	if (code->index >> (8 * INDEX_SIZE - 1))
		return amend_error_set(err, AMEND_INVALID, "expected fewer than %" PRIu64 " records",
				       (uint64_t)1 << (8 * INDEX_SIZE - 1));
	for (unsigned i = 0; codes->filter && i < FILTER_PROBES; i++) {
		uint64_t bit = filter_bit(codes, code->code, i);

		codes->filter[bit / 8] |= (unsigned char)(1 << bit % 8);
	}
	put_bytes(entry, code->code, CODE_SIZE);
	put_bytes(entry + CODE_SIZE, code->index << 1 | (uint64_t)code->gives, INDEX_SIZE);
	codes->n++;
	codes->loaded_part = AMEND_PARTS;
	return amend_parts_add(&codes->parts, code->code >> 8 * CODE_SIZE, entry, err);
}

static int by_code(const void *a, const void *b)
{
	const struct amend_codes_loaded *x = a, *y = b;

	return (x->code > y->code) - (x->code < y->code);
}

static enum amend_status load(struct amend_codes *codes, size_t which, struct amend_error *err)
{
	size_t n = amend_parts_count(&codes->parts, which);
	enum amend_status status = AMEND_OK;

	if (codes->loaded_part == which)
		return AMEND_OK;
	codes->loaded_part = AMEND_PARTS;
	codes->n_loaded = 0;
	if (codes->loaded_room < n) {
		free(codes->loaded);
		codes->loaded_room = n + n / 8; /* the next part is hardly larger */
		codes->loaded = malloc(codes->loaded_room * sizeof(*codes->loaded));
		if (!codes->loaded) {
			codes->loaded_room = 0;
			return amend_no_memory(err);
		}
	}
	for (size_t i = 0; i < amend_parts_blocks(&codes->parts, which); i++) {
		const unsigned char *entries;

		status = amend_parts_read(&codes->parts, which, i, &entries, &n, err);
		if (status != AMEND_OK)
			return status;
		for (size_t j = 0; j < n; j++)
			codes->loaded[codes->n_loaded++] = unpack(entries + j * SIZE, which);
	}
	if (codes->n_loaded)
		qsort(codes->loaded, codes->n_loaded, sizeof(*codes->loaded), by_code);
	codes->loaded_part = which;
	return AMEND_OK;
}

enum amend_status amend_codes_shared(struct amend_codes *codes,
				     void (*each)(void *context, uint64_t index), void *context,
				     struct amend_error *err)
{
	for (size_t p = 0; p < AMEND_PARTS; p++) {
		enum amend_status status = load(codes, p, err);

		if (status != AMEND_OK)
			return status;
		for (size_t i = 0, to; i < codes->n_loaded; i = to) {
			const struct amend_code first = code_at(codes, i);
			bool several = false, wanted = !first.gives;

			for (to = i + 1;
			     to < codes->n_loaded && codes->loaded[to].code == first.code; to++) {
				const struct amend_code at = code_at(codes, to);

				several = several || at.index != first.index;
				wanted = wanted || !at.gives;
			}
			for (size_t j = i; several && wanted && j < to; j++)
				each(context, code_at(codes, j).index);
		}
	}
	return AMEND_OK;
}

void amend_codes_like(struct amend_codes *like, const struct amend_codes *codes)
{
	memcpy(like->secret, codes->secret, sizeof(like->secret));
}

/* Behind those that have the code of the one at `from`. */
static size_t end_of(const struct amend_codes *codes, size_t from)
{
	size_t to = from + 1;

	while (to < codes->n_loaded && codes->loaded[to].code == codes->loaded[from].code)
		to++;
	return to;
}

static void in_common(const struct amend_codes *a, size_t i, size_t i_end,
		      const struct amend_codes *b, size_t j, size_t j_end,
		      void (*each)(void *context, uint64_t index), void *context)
{
	for (size_t x = i; x < i_end; x++) {
		for (size_t y = j; y < j_end; y++) {
			uint64_t one = code_at(a, x).index, other = code_at(b, y).index;

			if (one == other)
				continue;
			each(context, one);
			each(context, other);
		}
	}
}

enum amend_status amend_codes_common(struct amend_codes *a, struct amend_codes *b,
				     void (*each)(void *context, uint64_t index), void *context,
				     struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t p = 0; p < AMEND_PARTS && a->n > 0 && b->n > 0 && status == AMEND_OK; p++) {
		size_t i = 0, j = 0;

		status = load(a, p, err);
		if (status == AMEND_OK)
			status = load(b, p, err);
		while (status == AMEND_OK && i < a->n_loaded && j < b->n_loaded) {
			size_t i_end = end_of(a, i), j_end = end_of(b, j);
			uint64_t x = a->loaded[i].code, y = b->loaded[j].code;

			if (x == y)
				in_common(a, i, i_end, b, j, j_end, each, context);
			i = x <= y ? i_end : i;
			j = y <= x ? j_end : j;
		}
	}
	return status;
}

enum amend_status amend_codes_pairs(struct amend_codes *codes,
				    enum amend_status (*each)(void *context, uint64_t giver,
							      uint64_t other, bool rivals,
							      struct amend_error *err),
				    void *context, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t p = 0; p < AMEND_PARTS && status == AMEND_OK; p++) {
		status = load(codes, p, err);
		for (size_t i = 0, to; i < codes->n_loaded && status == AMEND_OK; i = to) {
			struct amend_code giver = {0};
			bool found = false, rivals = false;

			for (to = i; to < codes->n_loaded &&
				     codes->loaded[to].code == codes->loaded[i].code;
			     to++) {
				const struct amend_code at = code_at(codes, to);

				rivals = rivals || (at.gives && found && giver.index != at.index);
				giver = !found && at.gives ? at : giver;
				found = found || at.gives;
			}
			for (size_t j = i; found && j < to && status == AMEND_OK; j++) {
				uint64_t other = code_at(codes, j).index;

				if (other != giver.index)
					status = each(context, giver.index, other, rivals, err);
			}
		}
	}
	return status;
}

enum amend_status amend_codes_each(struct amend_codes *codes,
				   enum amend_status (*each)(void *context,
							     const struct amend_code *code,
							     struct amend_error *err),
				   void *context, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t p = 0; p < AMEND_PARTS && status == AMEND_OK; p++) {
		status = load(codes, p, err);
		for (size_t i = 0; i < codes->n_loaded && status == AMEND_OK; i++) {
			const struct amend_code code = code_at(codes, i);

			status = each(context, &code, err);
		}
	}
	return status;
}

enum amend_status amend_codes_find(struct amend_codes *codes, uint64_t code, bool *found,
				   uint64_t *index, struct amend_error *err)
{
	const struct amend_codes_loaded wanted = {.code = code};
	const struct amend_codes_loaded *at;
	enum amend_status status;

	*found = false;
	for (unsigned i = 0; codes->filter && i < FILTER_PROBES; i++) {
		uint64_t bit = filter_bit(codes, code, i);

		if (!(codes->filter[bit / 8] & 1 << bit % 8))
			return AMEND_OK;
	}
	status = load(codes, code >> 8 * CODE_SIZE, err);
	if (status != AMEND_OK || codes->n_loaded == 0)
		return status;
	at = bsearch(&wanted, codes->loaded, codes->n_loaded, sizeof(*at), by_code);
	*found = at != NULL;
	*index = at ? at->index >> 1 : 0;
	return AMEND_OK;
}

/* An input that hands its bytes over in pieces of a size; and what is read of a source, as a digest. */
#ifndef FUZZ_PIECES_H
#define FUZZ_PIECES_H

#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "core/pack.h"
#include "sync/source.h"

struct pieces {
	struct amend_input input;
	const unsigned char *at;
	size_t left, step;
};

static long read_piece(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct pieces *pieces = (struct pieces *)input;
	size_t n = pieces->left < pieces->step ? pieces->left : pieces->step;

	(void)err;
	if (n > size)
		n = size;
	if (n > 0)
		memcpy(bytes, pieces->at, n);
	pieces->at += n;
	pieces->left -= n;
	return (long)n;
}

static void close_pieces(struct amend_input *input)
{
	(void)input;
}

static void check(int ok)
{
	if (!ok)
		abort();
}

/* Takes each record; NULL for none. */
typedef void (*record_fn)(void *context, const struct amend_source *source,
			  const struct amend_source_record *record);

/* A digest of all that was read, of the error too; whether there was none. */
static bool read_all(const unsigned char *data, size_t size, size_t step,
		     const struct amend_source_options *options, record_fn each, void *context,
		     unsigned char digest[AMEND_DIGEST_SIZE])
{
	struct pieces pieces = {{.read = read_piece, .close = close_pieces}, data, size, step};
	struct amend_buffer all = AMEND_BUFFER_INIT;
	struct amend_source *source = NULL;
	struct amend_source_record record;
	struct amend_error err;
	bool end = false;
	int64_t line = 0;
	enum amend_status status = amend_source_new(&pieces.input, "fuzz", options, &source, &err);

	while (status == AMEND_OK) {
		status = source->ops->next(source, &record, &end, &err);
		if (status != AMEND_OK || end)
			break;
		check(record.line > line);
		line = record.line;
		amend_buffer_printf(&all, "%lld %s;", (long long)line,
				    record.problem ? record.problem : "");
		for (size_t i = 0; !record.problem && i < source->n_names; i++) {
			const struct amend_value *value = &record.fields[i];

			check(value->kind == AMEND_NULL || value->kind == AMEND_TEXT);
			check(value->kind == AMEND_NULL ||
			      (amend_utf8_valid(value->as.text, value->size) &&
			       !memchr(value->as.text, '\0', value->size)));
			amend_buffer_char(&all, record.absent && record.absent[i] ? '-' : '+');
			amend_pack_add(&all, source->names[i], value);
		}
		if (each)
			each(context, source, &record);
	}
	/* UNREACHABLE: it ends where it should not. */
	check(status == AMEND_OK || status == AMEND_INVALID || status == AMEND_UNREACHABLE);
	if (status != AMEND_OK)
		amend_buffer_text(&all, err.text);
	check(!all.failed);
	amend_digest(all.data, all.size, digest);
	amend_source_close(source);
	amend_buffer_release(&all);
	return status == AMEND_OK;
}

/* However the bytes arrive, what is read is the same. */
static bool read_in_pieces(const unsigned char *data, size_t size,
			   const struct amend_source_options *options, record_fn each, void *context)
{
	unsigned char whole[AMEND_DIGEST_SIZE], torn[AMEND_DIGEST_SIZE];
	bool fine = read_all(data, size, SIZE_MAX, options, each, context, whole);

	read_all(data, size, 1 + size / 7, options, NULL, NULL, torn);
	check(memcmp(whole, torn, sizeof(whole)) == 0);
	read_all(data, size, 1, options, NULL, NULL, torn);
	check(memcmp(whole, torn, sizeof(whole)) == 0);
	return fine;
}

#endif

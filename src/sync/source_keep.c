/*
 * The text of records as it stood in the input: an input around another that puts all
 * it reads aside, in a private file, and finding records in there again.
 * Leaves which records those are to the caller.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "sync/json_document.h"
#include "sync/source.h"
#include "sync/store.h"

struct kept_input {
	struct amend_input input, *inner;
	FILE *file;
	uint64_t size;
	uint64_t *ends; /* where a text ends and the next one begins (pages) */
	size_t n_ends, room;
};

static long read_kept(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct kept_input *kept = (struct kept_input *)input;
	long n = kept->inner->read(kept->inner, bytes, size, err);

	input->taken = kept->inner->taken;
	input->size = kept->inner->size;
	if (n > 0)
		kept->size += (uint64_t)n;
	if (n <= 0 || fwrite(bytes, 1, (size_t)n, kept->file) == (size_t)n)
		return n;
	amend_error_set(err, AMEND_INTERNAL, "the input could not be put aside: %s",
			strerror(errno));
	return -1;
}

static enum amend_status next_kept(struct amend_input *input, bool empty, bool *more,
				   struct amend_error *err)
{
	struct kept_input *kept = (struct kept_input *)input;
	enum amend_status status = AMEND_OK;

	if (kept->inner->next)
		status = kept->inner->next(kept->inner, empty, more, err);
	if (status != AMEND_OK || !*more)
		return status;
	if (kept->n_ends == kept->room) {
		size_t room = kept->room ? kept->room * 2 : 16;
		uint64_t *ends = realloc(kept->ends, room * sizeof(*ends));

		if (!ends)
			return amend_no_memory(err);
		kept->ends = ends;
		kept->room = room;
	}
	kept->ends[kept->n_ends++] = kept->size;
	return AMEND_OK;
}

static void close_kept(struct amend_input *input)
{
	struct kept_input *kept = (struct kept_input *)input;

	kept->inner->close(kept->inner);
	if (kept->file)
		fclose(kept->file);
	free(kept->ends);
	free(kept);
}

struct amend_input *amend_input_kept(struct amend_input *inner, struct amend_error *err)
{
	struct kept_input *kept = calloc(1, sizeof(*kept));

	if (!kept) {
		amend_no_memory(err);
		return NULL;
	}
	kept->input = (struct amend_input){.read = read_kept,
					   .next = next_kept,
					   .close = close_kept,
					   .taken = inner->taken,
					   .size = inner->size};
	kept->inner = inner;
	kept->file = amend_store_file(err);
	if (kept->file)
		return &kept->input;
	free(kept);
	return NULL;
}

/* ---- finding them ---- */

struct search {
	const int64_t *lines;
	size_t n, next;
	amend_source_text_fn each;
	void *context;
};

static enum amend_status hand_over(struct search *search, int64_t line, const char *text,
				   size_t size, struct amend_error *err)
{
	while (search->next < search->n && search->lines[search->next] < line)
		search->next++;
	if (search->next == search->n || search->lines[search->next] != line)
		return AMEND_OK;
	search->next++;
	return search->each(search->context, line, text, size, err);
}

struct scan {
	struct search *search;
	struct amend_buffer record;
	int64_t line, begin; /* of the next byte, of the record */
	bool quoted, first, header;
	int before;
};

static enum amend_status end_record(struct scan *scan, struct amend_error *err)
{
	struct search *search = scan->search;
	bool header = scan->header;
	enum amend_status status = AMEND_OK;

	scan->quoted = false;
	if (scan->record.size == 0)
		return AMEND_OK;
	amend_buffer_char(&scan->record, '\n');
	scan->header = false;
	if (scan->record.failed)
		return amend_no_memory(err);
	/* Each page has the header of the first. */
	if (!header)
		status = hand_over(search, scan->begin, scan->record.data, scan->record.size, err);
	else if (scan->first)
		status = search->each(search->context, 0, scan->record.data, scan->record.size, err);
	scan->first = scan->first && !header;
	amend_buffer_reset(&scan->record);
	return status;
}

/*
 * The reader has been through it: a quote only ever begins, ends, or is doubled in
 * a field, so that between an odd one and the next nothing ends a record.
 */
static enum amend_status take_byte(struct scan *scan, int c, struct amend_error *err)
{
	int before = scan->before;

	scan->before = c;
	/* The LF of a CRLF has been counted, and belongs to no record but in quotes. */
	if (c == '\n' && before == '\r') {
		if (scan->quoted)
			amend_buffer_char(&scan->record, '\n');
		return AMEND_OK;
	}
	if (c == '"')
		scan->quoted = !scan->quoted;
	if (!scan->quoted && (c == '\n' || c == '\r')) {
		scan->line++;
		return end_record(scan, err);
	}
	if (scan->record.size == 0)
		scan->begin = scan->line;
	amend_buffer_char(&scan->record, (char)c);
	scan->line += c == '\n' || c == '\r';
	return AMEND_OK;
}

static void skip_mark(FILE *file, uint64_t *at)
{
	static const unsigned char mark[] = {0xef, 0xbb, 0xbf};
	unsigned char bytes[sizeof(mark)];

	if (fread(bytes, 1, sizeof(mark), file) == sizeof(mark) &&
	    memcmp(bytes, mark, sizeof(mark)) == 0)
		*at += sizeof(mark);
	else
		fseeko(file, (off_t)*at, SEEK_SET);
}

static enum amend_status search_csv(struct kept_input *kept, struct search *search,
				    struct amend_error *err)
{
	struct scan scan = {.search = search, .line = 1, .begin = 1, .first = true, .header = true};
	enum amend_status status = AMEND_OK;
	uint64_t at = 0;
	size_t page = 0;

	skip_mark(kept->file, &at);
	while (status == AMEND_OK && at < kept->size && (scan.first || search->next < search->n)) {
		int c = getc(kept->file);

		if (c == EOF)
			break;
		at++;
		status = take_byte(&scan, c, err);
		if (status == AMEND_OK && page < kept->n_ends && at == kept->ends[page]) {
			status = end_record(&scan, err);
			scan.header = true;
			page++;
			skip_mark(kept->file, &at);
		}
	}
	if (status == AMEND_OK)
		status = end_record(&scan, err);
	amend_buffer_release(&scan.record);
	return status;
}

/* What was kept as an input again: page after page. */
struct again {
	struct amend_input input;
	const struct kept_input *kept;
	uint64_t at;
	size_t page;
};

static long read_again(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct again *again = (struct again *)input;
	const struct kept_input *kept = again->kept;
	uint64_t end = again->page < kept->n_ends ? kept->ends[again->page] : kept->size;
	size_t n = end - again->at < size ? (size_t)(end - again->at) : size;

	if (n > 0 && fread(bytes, 1, n, kept->file) != n) {
		amend_error_set(err, AMEND_INTERNAL, "the input could not be read again: %s",
				strerror(errno));
		return -1;
	}
	again->at += n;
	return (long)n;
}

static enum amend_status next_again(struct amend_input *input, bool empty, bool *more,
				    struct amend_error *err)
{
	struct again *again = (struct again *)input;

	(void)empty;
	(void)err;
	*more = again->page < again->kept->n_ends;
	again->page += *more;
	return AMEND_OK;
}

/* One line each: JSON's own line ends can be spaces. */
static enum amend_status search_json(const struct amend_source *source, struct search *search,
				     struct amend_error *err)
{
	struct again again = {.input = {.read = read_again, .next = next_again},
			      .kept = (const struct kept_input *)source->kept};
	struct amend_source second = {.input = &again.input, .path = source->path};
	struct amend_json_document document;
	struct amend_buffer record = AMEND_BUFFER_INIT;
	struct amend_json_text text;
	bool end = false;
	enum amend_status status = amend_json_document_init(&document, &second, source->way,
							    !source->numbers_records, err);

	while (status == AMEND_OK && search->next < search->n) {
		status = amend_json_document_next(&document, &text, &end, err);
		if (status != AMEND_OK || end)
			break;
		amend_buffer_reset(&record);
		for (size_t i = 0; i < text.size; i++) {
			char c = text.text[i];

			amend_buffer_char(&record, c == '\n' || c == '\r' ? ' ' : c);
		}
		amend_buffer_char(&record, '\n');
		if (record.failed)
			status = amend_no_memory(err);
		else
			status = hand_over(search, source->numbers_records ? text.number : text.line,
					   record.data, record.size, err);
	}
	amend_json_document_release(&document);
	amend_buffer_release(&record);
	return status;
}

enum amend_status amend_source_texts(struct amend_source *source, const int64_t *lines, size_t n,
				     amend_source_text_fn each, void *context,
				     struct amend_error *err)
{
	struct kept_input *kept = (struct kept_input *)source->kept;
	struct search search = {.lines = lines, .n = n, .each = each, .context = context};

	if (!kept)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "the records of %s have no text of their own to be kept",
				       source->path);
	if (fflush(kept->file) != 0 || fseek(kept->file, 0, SEEK_SET) != 0)
		return amend_error_set(err, AMEND_INTERNAL, "the input could not be read again: %s",
				       strerror(errno));
	return source->json ? search_json(source, &search, err) : search_csv(kept, &search, err);
}

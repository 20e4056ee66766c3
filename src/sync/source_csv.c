/*
 * CSV and TSV through libcsv, in its strict mode: records with the line they begin on.
 * Leaves what a field means to the columns it goes to.
 *
 * RFC 4180, with LF, CRLF or CR behind a record; blank lines are no records;
 * spaces are part of a field. Input is fed to libcsv a line at a time, which is
 * how lines are counted: it knows of none.
 */
#include <csv.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/json_text.h"
#include "sync/source.h"

enum { READ_SIZE = 1 << 16, FIELD_SIZE = 1 << 12 };

/* A field of the record being read: where its bytes are, in `text`. */
struct field {
	size_t at, size;
	bool null;
};

struct csv {
	struct csv_parser parser;
	struct amend_source *source;
	char *bytes; /* READ_SIZE, and what of it is left */
	size_t at, size;
	bool at_end;    /* of the input */
	bool after_cr;  /* the byte before was CR: an LF now ends no other line */
	int64_t line;   /* of the next byte */
	int64_t begin;  /* where the record being read begins */
	bool begun;     /* part of a record has been read */
	bool ended;     /* the record being read is complete */
	size_t pending; /* bytes since the last field ended */

	struct field *fields;
	size_t n_fields, room; /* n_fields counts those past the header's too; they are not kept */
	struct amend_buffer text;
	bool no_memory;
	struct amend_value *values;
	struct amend_buffer problem;
};

static int no_space(unsigned char c)
{
	(void)c;
	return 0;
}

/* libcsv hands over a field. */
static void take_field(void *bytes, size_t size, void *context)
{
	struct csv *csv = context;
	/* While the header is read there is no limit but its own. */
	size_t limit = csv->source->n_names ? csv->source->n_names : (size_t)AMEND_COLUMN_LIMIT + 1;

	csv->pending = 0;
	if (csv->n_fields++ >= limit || csv->no_memory)
		return;
	if (csv->n_fields > csv->room) {
		size_t room = csv->room ? csv->room * 2 : 16;
		struct field *fields = realloc(csv->fields, room * sizeof(*fields));

		if (!fields) {
			csv->no_memory = true;
			return;
		}
		csv->fields = fields;
		csv->room = room;
	}
	csv->fields[csv->n_fields - 1] = (struct field){csv->text.size, size, bytes == NULL};
	if (bytes)
		amend_buffer_add(&csv->text, bytes, size);
	amend_buffer_char(&csv->text, '\0');
}

static void take_end(int terminator, void *context)
{
	struct csv *csv = context;

	(void)terminator;
	csv->ended = true;
}

static enum amend_status fill(struct csv *csv, struct amend_error *err)
{
	struct amend_input *input = csv->source->input;
	long n = input->read(input, csv->bytes, READ_SIZE, err);

	if (n < 0)
		return err->status;
	csv->at = 0;
	csv->size = (size_t)n;
	csv->at_end = n == 0;
	return AMEND_OK;
}

/* Bytes up to the end of the line, or of what has been read. `*ends`: it is a line's end. */
static size_t line_size(const struct csv *csv, bool *ends)
{
	const char *begin = csv->bytes + csv->at;
	size_t size = csv->size - csv->at;
	const char *end = memchr(begin, '\n', size);
	const char *cr = memchr(begin, '\r', end ? (size_t)(end - begin) : size);

	if (cr)
		end = cr;
	*ends = end != NULL;
	return end ? (size_t)(end - begin) + 1 : size;
}

static enum amend_status parse_error(struct csv *csv, struct amend_error *err)
{
	if (csv_error(&csv->parser) != CSV_EPARSE)
		return amend_no_memory(err);
	return amend_error_set(err, AMEND_INVALID,
			       "%s:%lld: a quote in the middle of a field (hint: a field that holds "
			       "quotes is quoted as a whole, with each of them doubled)",
			       csv->source->path, (long long)csv->line);
}

/* Feeds one line, or what has been read of it. */
static enum amend_status feed(struct csv *csv, struct amend_error *err)
{
	const char *begin = csv->bytes + csv->at;
	bool ends;
	size_t size = line_size(csv, &ends);
	char last = begin[size - 1];
	bool blank = size == 1 && ends && !csv->begun;

	if (!csv->begun)
		csv->begin = csv->line;
	csv->pending += size;
	/* libcsv grows its buffer by as much at a time: by a share of a long field, not by a constant. */
	csv_set_blk_size(&csv->parser,
			 csv->pending / 2 > FIELD_SIZE ? csv->pending / 2 : FIELD_SIZE);
	if (csv_parse(&csv->parser, begin, size, take_field, take_end, csv) != size)
		return parse_error(csv, err);
	if (csv->pending > AMEND_FIELD_LIMIT)
		return amend_error_set(err, AMEND_INVALID,
				       "%s:%lld: a field of the record that begins here is longer "
				       "than %d bytes (hint: is a closing quote missing?)",
				       csv->source->path, (long long)csv->begin, AMEND_FIELD_LIMIT);
	csv->begun = !csv->ended && !blank;
	if (!csv->begun)
		csv->pending = 0;
	if (ends && !(last == '\n' && csv->after_cr && size == 1))
		csv->line++;
	csv->after_cr = last == '\r';
	csv->at += size;
	return AMEND_OK;
}

/* The end of the input: what is begun is complete, unless a quote is open. */
static enum amend_status finish(struct csv *csv, struct amend_error *err)
{
	if (csv_fini(&csv->parser, take_field, take_end, csv) == 0)
		return AMEND_OK;
	if (csv_error(&csv->parser) != CSV_EPARSE)
		return amend_no_memory(err);
	return amend_error_set(
		err, AMEND_INVALID,
		"%s:%lld: the input ends inside a quoted field of the record that begins "
		"here: it is cut off, or a closing quote is missing",
		csv->source->path, (long long)csv->begin);
}

/* Reads one record into `fields`; `ended` false: there was none left. */
static enum amend_status read_record(struct csv *csv, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	csv->n_fields = 0;
	csv->ended = false;
	amend_buffer_reset(&csv->text);
	while (!csv->ended && !csv->at_end && status == AMEND_OK) {
		if (csv->at == csv->size)
			status = fill(csv, err);
		else
			status = feed(csv, err);
		if (status == AMEND_OK && csv->at_end)
			status = finish(csv, err);
	}
	if (status == AMEND_OK && (csv->no_memory || csv->text.failed))
		status = amend_no_memory(err);
	return status;
}

/* What of the record cannot be used; NULL: all is well. */
static const char *find_problem(struct csv *csv)
{
	const struct amend_source *source = csv->source;

	amend_buffer_reset(&csv->problem);
	if (csv->n_fields != source->n_names) {
		amend_buffer_printf(&csv->problem, "expected %zu fields as in the header, found %zu",
				    source->n_names, csv->n_fields);
		return amend_buffer_string(&csv->problem);
	}
	for (size_t i = 0; i < csv->n_fields; i++) {
		const struct amend_value *value = &csv->values[i];
		const char *what = NULL;

		if (value->kind != AMEND_TEXT)
			continue;
		if (memchr(value->as.text, '\0', value->size))
			what = "holds a NUL byte";
		else if (!amend_utf8_valid(value->as.text, value->size))
			what = "is not UTF-8";
		if (what) {
			amend_buffer_printf(&csv->problem, "column %s %s", source->names[i], what);
			return amend_buffer_string(&csv->problem);
		}
	}
	return NULL;
}

static enum amend_status next_csv(struct amend_source *source, struct amend_source_record *out,
				  bool *end, struct amend_error *err)
{
	struct csv *csv = source->state;
	enum amend_status status = read_record(csv, err);

	*end = status == AMEND_OK && !csv->ended;
	if (status != AMEND_OK || *end)
		return status;
	for (size_t i = 0; i < source->n_names; i++) {
		csv->values[i] = amend_null();
		if (i < csv->n_fields && !csv->fields[i].null)
			csv->values[i] = amend_text_n(csv->text.data + csv->fields[i].at,
						      csv->fields[i].size);
	}
	*out = (struct amend_source_record){csv->begin, csv->values, find_problem(csv)};
	if (csv->problem.failed)
		return amend_no_memory(err);
	return AMEND_OK;
}

static void close_csv(struct amend_source *source)
{
	struct csv *csv = source->state;

	csv_free(&csv->parser);
	amend_buffer_release(&csv->text);
	amend_buffer_release(&csv->problem);
	free(csv->fields);
	free(csv->values);
	free(csv->bytes);
	free(csv);
}

static const struct amend_source_ops csv_ops = {next_csv, close_csv};

/* UTF-8's mark is skipped; UTF-16 would look like text full of NULs. */
static enum amend_status skip_mark(struct csv *csv, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	size_t size = 0;

	/* A pipe may hand over the first bytes one by one. */
	while (size < 3 && !csv->at_end && status == AMEND_OK) {
		struct amend_input *input = csv->source->input;
		long n = input->read(input, csv->bytes + size, READ_SIZE - size, err);

		if (n < 0)
			return err->status;
		csv->at_end = n == 0;
		size += (size_t)n;
	}
	csv->size = size;
	if (csv->at_end && size > 0)
		csv->at_end = false; /* fill finds it again */
	if (size >= 2 &&
	    (memcmp(csv->bytes, "\xff\xfe", 2) == 0 || memcmp(csv->bytes, "\xfe\xff", 2) == 0))
		return amend_error_set(
			err, AMEND_INVALID,
			"%s: expected UTF-8, found UTF-16 (hint: iconv -f UTF-16 -t UTF-8)",
			csv->source->path);
	if (size >= 3 && memcmp(csv->bytes, "\xef\xbb\xbf", 3) == 0)
		csv->at = 3;
	return status;
}

static enum amend_status read_header(struct csv *csv, struct amend_error *err)
{
	struct amend_source *source = csv->source;
	enum amend_status status = skip_mark(csv, err);

	if (status == AMEND_OK)
		status = read_record(csv, err);
	if (status == AMEND_OK && !csv->ended)
		status = amend_error_set(
			err, AMEND_INVALID,
			"%s: expected a line with the columns' names, found nothing", source->path);
	for (size_t i = 0; i < csv->n_fields && status == AMEND_OK; i++) {
		if (i == AMEND_COLUMN_LIMIT)
			return amend_source_name(source, csv->begin, "", 0, err);
		status = amend_source_name(source, csv->begin, csv->text.data + csv->fields[i].at,
					   csv->fields[i].size, err);
	}
	return status;
}

enum amend_status amend_source_csv(struct amend_source *source, char delimiter,
				   struct amend_error *err)
{
	struct csv *csv = calloc(1, sizeof(*csv));
	enum amend_status status;

	if (!csv)
		return amend_no_memory(err);
	if (csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL) != 0) {
		free(csv);
		return amend_no_memory(err);
	}
	csv_set_delim(&csv->parser, (unsigned char)delimiter);
	csv_set_space_func(&csv->parser, no_space);
	csv_set_blk_size(&csv->parser, FIELD_SIZE);
	source->ops = &csv_ops;
	source->state = csv;
	csv->source = source;
	csv->line = 1;
	csv->bytes = malloc(READ_SIZE);
	if (!csv->bytes)
		return amend_no_memory(err);
	status = read_header(csv, err);
	if (status != AMEND_OK)
		return status;
	csv->values = calloc(source->n_names, sizeof(*csv->values));
	return csv->values ? AMEND_OK : amend_no_memory(err);
}

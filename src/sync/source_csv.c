/*
 * CSV and TSV, read in place: records with the line they begin on.
 * Leaves what a field means to the columns it goes to.
 *
 * RFC 4180, with LF, CRLF or CR behind a record; blank lines are no records;
 * spaces are part of a field. Strict: a quote stands around a whole field, or not at all.
 * Eight bytes are looked at a time (docs/decisions/0012).
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/json_text.h"
#include "sync/source.h"
#include "sync/window.h"

/* A field of the record being read: where its bytes are, counted from the record's first. */
struct field {
	size_t at, size;
	bool null;
};

enum state {
	FIELD_BEGINS,
	PLAIN,
	QUOTED,
	QUOTE_SEEN, /* in a quoted field: its end, or half of a doubled quote */
};

/* Why scanning stopped. */
enum stop { RECORD_ENDS, NEEDS_MORE, BAD_QUOTE, FIELD_TOO_LONG };

struct csv {
	struct amend_source *source;
	struct amend_window window; /* its `begin`: the record being read */
	char delimiter;
	int64_t line;  /* of the next byte */
	int64_t begin; /* where the record being read begins */
	bool empty;    /* the page has had no record so far */
	bool after_cr; /* the byte before was CR: an LF now ends no other line */

	/* Indices count from the window's begin. */
	enum state state;
	size_t at;       /* the next byte */
	size_t field_at; /* where the field being read begins, behind its quote */
	size_t run, out; /* of a quoted one: bytes from `run` on belong at `out` */
	uint64_t seen;   /* all bytes of the record, or-ed: whether one is not ASCII */
	bool nul;

	struct field *fields;
	size_t n_fields, limit; /* n_fields counts those past the limit too; they are not kept */
	struct amend_value *values; /* NULL while the header is read */
	struct amend_buffer problem;
};

#define EACH_BYTE (~UINT64_C(0) / 255)
#define TOP_BITS (EACH_BYTE * 0x80)

/* In each byte that is 0 its top bit; those above the lowest such byte may be wrong. */
static uint64_t zeros(uint64_t word)
{
	return (word - EACH_BYTE) & ~word & TOP_BITS;
}

/*
 * The next quote, control character, or `delimiter` (in each byte of it). There
 * is one: the byte behind the last one read is LF.
 */
static size_t find(const char *bytes, size_t at, uint64_t delimiter, uint64_t *seen)
{
	for (;; at += 8) {
		uint64_t word, hits;

		memcpy(&word, bytes + at, sizeof(word));
		word = le64toh(word);
		*seen |= word;
		hits = ((word - EACH_BYTE * ' ') & ~word & TOP_BITS) |
		       zeros(word ^ EACH_BYTE * '"') | zeros(word ^ delimiter);
		if (hits)
			return at + (size_t)__builtin_ctzll(hits) / 8;
	}
}

/* Ends the field being read, `size` bytes of it; the byte behind them has been looked at. */
static bool take_field(struct csv *csv, char *bytes, size_t size, bool null)
{
	if (csv->n_fields < csv->limit)
		csv->fields[csv->n_fields] = (struct field){csv->field_at, size, null};
	csv->n_fields++;
	bytes[csv->field_at + size] = '\0';
	csv->state = FIELD_BEGINS;
	return csv->at - csv->field_at <= AMEND_FIELD_LIMIT;
}

/* A quote in a quoted field, or what `find` stops at besides. */
static void in_quotes(struct csv *csv, char *bytes, size_t at)
{
	char c = bytes[at];

	if (c == '"') {
		if (csv->out != csv->run)
			memmove(bytes + csv->out, bytes + csv->run, at - csv->run);
		csv->out += at - csv->run;
		csv->state = QUOTE_SEEN;
	} else if (c == '\r' || (c == '\n' && (at == csv->field_at || bytes[at - 1] != '\r'))) {
		csv->line++; /* LF, CRLF and CR each end one line, wherever they stand */
	} else if (c == '\0') {
		csv->nul = true;
	}
}

static enum stop scan(struct csv *csv)
{
	char *bytes = csv->window.bytes + csv->window.begin;
	size_t end = csv->window.end - csv->window.begin;
	const uint64_t delimiter = EACH_BYTE * (unsigned char)csv->delimiter,
		       quote = EACH_BYTE * '"';

	bytes[end] = '\n';
	for (;;) {
		size_t at = csv->at;
		char c;

		if (csv->state == FIELD_BEGINS && at < end) {
			csv->state = bytes[at] == '"' ? QUOTED : PLAIN;
			at += csv->state == QUOTED;
			csv->field_at = csv->run = csv->out = at;
		}
		if (csv->state == PLAIN)
			at = find(bytes, at, delimiter, &csv->seen);
		else if (csv->state == QUOTED)
			at = find(bytes, at, quote, &csv->seen);
		csv->at = at;
		if (at >= end)
			return NEEDS_MORE;
		c = bytes[at];
		csv->at = at + 1;
		if (csv->state == QUOTED) {
			in_quotes(csv, bytes, at);
		} else if (csv->state == QUOTE_SEEN && c == '"') {
			csv->run = at;
			csv->state = QUOTED;
		} else if (c == csv->delimiter || c == '\n' || c == '\r') {
			bool plain = csv->state == PLAIN;
			size_t size = (plain ? at : csv->out) - csv->field_at;

			if (!take_field(csv, bytes, size, plain && size == 0))
				return FIELD_TOO_LONG;
			if (c == csv->delimiter)
				continue;
			csv->line++;
			csv->after_cr = c == '\r';
			return RECORD_ENDS;
		} else if (c == '"' || csv->state == QUOTE_SEEN) {
			return BAD_QUOTE;
		} else if (c == '\0') {
			csv->nul = true;
		}
	}
}

static enum amend_status bad_quote(const struct csv *csv, struct amend_error *err)
{
	return amend_error_set(err, AMEND_INVALID,
			       "%s:%lld: a quote in the middle of a field (hint: a field that holds "
			       "quotes is quoted as a whole, with each of them doubled)",
			       csv->source->path, (long long)csv->line);
}

static enum amend_status too_long(const struct csv *csv, struct amend_error *err)
{
	return amend_error_set(err, AMEND_INVALID,
			       "%s:%lld: a field of the record that begins here is longer "
			       "than %d bytes (hint: is a closing quote missing?)",
			       csv->source->path, (long long)csv->begin, AMEND_FIELD_LIMIT);
}

/* The end of the input: what is begun is complete, unless a quote is open. */
static enum amend_status finish(struct csv *csv, struct amend_error *err)
{
	char *bytes = csv->window.bytes + csv->window.begin;
	size_t size = csv->at - csv->field_at;

	switch (csv->state) {
	case FIELD_BEGINS:
		csv->field_at = csv->at;
		size = 0;
		break;
	case PLAIN:
		break;
	case QUOTE_SEEN:
		size = csv->out - csv->field_at;
		break;
	case QUOTED:
		return amend_error_set(
			err, AMEND_UNREACHABLE,
			"%s:%lld: the input ends inside a quoted field of the record that begins "
			"here: it is cut off, or a closing quote is missing",
			csv->source->path, (long long)csv->begin);
	}
	if (!take_field(csv, bytes, size, csv->state != QUOTE_SEEN && size == 0))
		return too_long(csv, err);
	return AMEND_OK;
}

static enum amend_status more(struct csv *csv, struct amend_error *err)
{
	if (csv->state != FIELD_BEGINS && csv->at - csv->field_at > AMEND_FIELD_LIMIT)
		return too_long(csv, err);
	/* Past the header's last column nothing is kept: a record of too many fields needs no memory. */
	if (csv->values && csv->n_fields > csv->limit) {
		if (csv->state == FIELD_BEGINS)
			csv->field_at = csv->run = csv->out = csv->at;
		csv->window.begin += csv->field_at;
		csv->at -= csv->field_at;
		csv->run -= csv->field_at;
		csv->out -= csv->field_at;
		csv->field_at = 0;
	}
	return amend_window_more(&csv->window, csv->source->path, csv->begin, err);
}

/* Moves on to the first byte of a record: blank lines are none. `*none`: the input ends. */
static enum amend_status skip_blank(struct csv *csv, bool *none, struct amend_error *err)
{
	struct amend_window *window = &csv->window;
	enum amend_status status = AMEND_OK;

	*none = false;
	while (status == AMEND_OK) {
		char c;

		if (window->begin == window->end) {
			*none = window->at_end;
			if (*none)
				break;
			status = amend_window_more(window, csv->source->path, csv->line, err);
			continue;
		}
		c = window->bytes[window->begin];
		if (c != '\n' && c != '\r')
			break;
		csv->line += !(c == '\n' && csv->after_cr);
		csv->after_cr = c == '\r';
		window->begin++;
	}
	return status;
}

/* Reads one record into `fields`; `*none`: there was none left. */
static enum amend_status read_record(struct csv *csv, bool *none, struct amend_error *err)
{
	enum amend_status status;

	csv->window.begin += csv->at;
	csv->at = csv->n_fields = 0;
	csv->state = FIELD_BEGINS;
	csv->seen = 0;
	csv->nul = false;
	status = skip_blank(csv, none, err);
	csv->begin = csv->line;
	while (status == AMEND_OK && !*none) {
		switch (scan(csv)) {
		case RECORD_ENDS:
			return AMEND_OK;
		case BAD_QUOTE:
			return bad_quote(csv, err);
		case FIELD_TOO_LONG:
			return too_long(csv, err);
		case NEEDS_MORE:
			if (csv->window.at_end)
				return finish(csv, err);
			status = more(csv, err);
			break;
		}
	}
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
	if (!csv->nul && (csv->seen & TOP_BITS) == 0)
		return NULL;
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

/* Each page has the header of the first. Lines are counted on. */
static enum amend_status same_header(struct csv *csv, struct amend_error *err)
{
	const struct amend_source *source = csv->source;
	const char *bytes;
	bool none = false, same;
	enum amend_status status;

	csv->window.begin += csv->at;
	csv->at = 0;
	csv->window.at_end = false;
	status = amend_window_skip_mark(&csv->window, source->path, err);
	if (status == AMEND_OK)
		status = read_record(csv, &none, err);
	if (status != AMEND_OK)
		return status;
	bytes = csv->window.bytes + csv->window.begin;
	same = !none && csv->n_fields == source->n_names;
	for (size_t i = 0; i < source->n_names && same; i++) {
		const struct field *field = &csv->fields[i];

		same = strlen(source->names[i]) == field->size &&
		       memcmp(source->names[i], bytes + field->at, field->size) == 0;
	}
	if (same)
		return AMEND_OK;
	return amend_error_set(err, AMEND_INVALID,
			       "%s:%lld: expected the header of the first page, found another",
			       source->path, (long long)csv->begin);
}

static enum amend_status next_in_pages(struct csv *csv, bool *end, struct amend_error *err)
{
	enum amend_status status = read_record(csv, end, err);
	bool more = true;

	while (status == AMEND_OK && *end && more) {
		status = amend_source_next_text(csv->source, csv->empty, &more, err);
		if (status != AMEND_OK || !more)
			break;
		csv->empty = true;
		status = same_header(csv, err);
		if (status == AMEND_OK)
			status = read_record(csv, end, err);
	}
	return status;
}

static enum amend_status next_csv(struct amend_source *source, struct amend_source_record *out,
				  bool *end, struct amend_error *err)
{
	struct csv *csv = source->state;
	enum amend_status status = next_in_pages(csv, end, err);
	const char *bytes = csv->window.bytes + csv->window.begin;

	if (status != AMEND_OK || *end)
		return status;
	csv->empty = false;
	if (csv->n_fields == source->n_names) {
		for (size_t i = 0; i < source->n_names; i++) {
			const struct field *field = &csv->fields[i];

			csv->values[i] = field->null ? amend_null()
						     : amend_text_n(bytes + field->at, field->size);
		}
	}
	*out = (struct amend_source_record){csv->begin, csv->values, find_problem(csv), NULL};
	return csv->problem.failed ? amend_no_memory(err) : AMEND_OK;
}

static void close_csv(struct amend_source *source)
{
	struct csv *csv = source->state;

	amend_window_release(&csv->window);
	amend_buffer_release(&csv->problem);
	free(csv->fields);
	free(csv->values);
	free(csv);
}

static const struct amend_source_ops csv_ops = {next_csv, close_csv};

static enum amend_status read_header(struct csv *csv, struct amend_error *err)
{
	struct amend_source *source = csv->source;
	enum amend_status status = amend_window_skip_mark(&csv->window, source->path, err);
	bool none = false;

	if (status == AMEND_OK)
		status = read_record(csv, &none, err);
	if (status == AMEND_OK && none)
		status = amend_error_set(
			err, AMEND_INVALID,
			"%s: expected a line with the columns' names, found nothing", source->path);
	for (size_t i = 0; i < csv->n_fields && status == AMEND_OK; i++) {
		/* Past the limit fields are not kept: whatever they are, they are one too many. */
		const char *name = i < csv->limit ? csv->window.bytes + csv->window.begin +
							    csv->fields[i].at
						  : "";

		status = amend_source_name(source, csv->begin, name,
					   i < csv->limit ? csv->fields[i].size : 0, err);
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
	source->ops = &csv_ops;
	source->state = csv;
	csv->source = source;
	csv->delimiter = delimiter;
	csv->line = 1;
	csv->empty = true;
	csv->limit = AMEND_COLUMN_LIMIT;
	csv->fields = calloc(csv->limit, sizeof(*csv->fields));
	amend_window_init(&csv->window, source->input);
	if (!csv->fields)
		return amend_no_memory(err);
	status = read_header(csv, err);
	if (status != AMEND_OK)
		return status;
	csv->limit = source->n_names;
	csv->values = calloc(source->n_names, sizeof(*csv->values));
	return csv->values ? AMEND_OK : amend_no_memory(err);
}

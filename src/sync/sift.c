/*
 * Records, rows and bases of a large input, put together by the codes of their first keys.
 * Leaves the files to parts.c, and codes of rows and bases to fingerprint.c.
 *
 * Rows are read before bases, as the sieve does: who writes in between makes the two disagree, and then the record is decided.
 */
#include "sync/sift.h"

#include <stdlib.h>
#include <string.h>

#include "sync/parts.h"
#include "sync/sieve.h"
#include "sync/sync.h"

enum {
	TEXT_SIZE = 16,  /* of a digest of fields */
	FILTER_BITS = 8, /* for each record: one in fifty rows passes that is no record's */
	FILTER_PROBES = 4,
	FILTER_LEAST = 1 << 12,
	PROGRESS = 10000, /* rows between two words of progress */
	PART_SHIFT = 56,  /* a code's first byte */
};

struct record {
	uint64_t code, index, offset;
	unsigned char text[TEXT_SIZE]; /* of its fields; all 0: no row is plainly like it */
};

struct row {
	uint64_t code, name, at;
	unsigned char text[TEXT_SIZE];                /* of the same columns */
	unsigned char digest[AMEND_BASE_DIGEST_SIZE]; /* of the base that would settle its record */
};

struct base {
	uint64_t code, name;
	unsigned char digest[AMEND_BASE_DIGEST_SIZE];
};

struct amend_sift {
	struct amend_sync *sync;
	struct amend_fingerprinter printer;
	unsigned char secret[crypto_generichash_KEYBYTES];
	struct amend_parts records, rows, bases;
	unsigned char *filter; /* of codes of records: rows and bases that are no record's are not taken down */
	uint64_t filter_bits; /* a power of two */
	uint64_t n_rows;
	struct amend_buffer text;
};

/* A record of the part at hand, and what was found for it. */
struct met {
	struct record record;
	struct row row;
	enum { ALONE, MET, EQUAL, SETTLED, DOUBTFUL } state;
};

struct part {
	struct met *met;
	size_t n;
	uint32_t *slots; /* 1 + which, by code; 0: free */
	size_t mask;
};

static enum amend_status make(struct amend_sync *sync, struct amend_sift **out,
			      struct amend_error *err)
{
	struct amend_sift *sift = calloc(1, sizeof(*sift));
	enum amend_status status;

	*out = sift;
	if (!sift)
		return amend_no_memory(err);
	sift->sync = sync;
	amend_fingerprinter_begin(&sift->printer, sync, NULL);
	randombytes_buf(sift->secret, sizeof(sift->secret));
	sift->filter_bits = FILTER_LEAST;
	while (sift->filter_bits < sync->store.n * FILTER_BITS)
		sift->filter_bits *= 2;
	sift->filter = calloc(sift->filter_bits / 8, 1);
	if (!sift->filter)
		return amend_no_memory(err);
	/* Without bases nothing can be settled: where rows lie is all that is to be found out. */
	status = amend_parts_init(
		&sift->records,
		sync->baseless ? offsetof(struct record, text) : sizeof(struct record), err);
	if (status == AMEND_OK)
		status = amend_parts_init(
			&sift->rows,
			sync->baseless ? offsetof(struct row, text) : sizeof(struct row), err);
	return status == AMEND_OK ? amend_parts_init(&sift->bases, sizeof(struct base), err)
				  : status;
}

enum amend_status amend_sift_new(struct amend_sync *sync, bool placing, struct amend_sift **out,
				 struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	bool scan = false;

	*out = NULL;
	/*
	 * A row that has the very text of a unique key is the one that the database finds by it. Without bases nothing can be settled,
	 * and where rows lie may not be of use either.
	 */
	if (sync->store.n > 0 && amend_sieve_may_compare(sync) && sync->keys[0].unique &&
	    (placing || !sync->baseless))
		status = amend_sieve_whole(sync, sync->store.n, &scan, err);
	return status == AMEND_OK && scan ? make(sync, out, err) : status;
}

void amend_sift_free(struct amend_sift *sift)
{
	if (!sift)
		return;
	amend_fingerprinter_release(&sift->printer);
	free(sift->filter);
	amend_parts_release(&sift->records);
	amend_parts_release(&sift->rows);
	amend_parts_release(&sift->bases);
	amend_buffer_release(&sift->text);
	free(sift);
}

const struct amend_fingerprinter *amend_sift_printer(const struct amend_sift *sift)
{
	return sift ? &sift->printer : NULL;
}

/* ---- taking down ---- */

static uint64_t filter_bit(const struct amend_sift *sift, uint64_t code, unsigned probe)
{
	return (code + probe * (code >> 29 | 1)) & (sift->filter_bits - 1);
}

static void pass(struct amend_sift *sift, uint64_t code)
{
	for (unsigned i = 0; i < FILTER_PROBES; i++) {
		uint64_t bit = filter_bit(sift, code, i);

		sift->filter[bit / 8] |= (unsigned char)(1 << bit % 8);
	}
}

/* False: no record has the code. */
static bool passes(const struct amend_sift *sift, uint64_t code)
{
	bool all = true;

	for (unsigned i = 0; i < FILTER_PROBES && all; i++) {
		uint64_t bit = filter_bit(sift, code, i);

		all = sift->filter[bit / 8] & 1 << bit % 8;
	}
	return all;
}

static void add_bytes(struct amend_buffer *text, char kind, const void *bytes, size_t size)
{
	uint64_t length = size;

	amend_buffer_char(text, kind);
	amend_buffer_add(text, &length, sizeof(length));
	amend_buffer_add(text, bytes, size);
}

/*
 * One field or column, so that two come to the same bytes only where amend_sync_plainly says that they are equal: a number that is
 * stored as an integer is its digits, as sources write it. (A source's integer is then also equal to a number that is
 * stored as such a text, which it is.)
 */
static void add_value(struct amend_buffer *text, const struct amend_column *column,
		      const struct amend_value *value)
{
	char digits[AMEND_INTEGER_ROOM];

	switch (value->kind) {
	case AMEND_NULL:
		amend_buffer_char(text, 'n');
		break;
	case AMEND_INTEGER:
		if (amend_sync_reads_digits(column))
			add_bytes(text, 't', digits,
				  amend_integer_digits(digits, value->as.integer));
		else
			add_bytes(text, 'i', &value->as.integer, sizeof(value->as.integer));
		break;
	case AMEND_REAL:
		add_bytes(text, 'r', &value->as.real, sizeof(value->as.real));
		break;
	case AMEND_TEXT:
		add_bytes(text, 't', value->as.text, value->size);
		break;
	case AMEND_BLOB:
		add_bytes(text, 'b', value->as.blob, value->size);
		break;
	}
}

static enum amend_status take_text(struct amend_sift *sift, unsigned char out[TEXT_SIZE],
				   struct amend_error *err)
{
	if (sift->text.failed)
		return amend_no_memory(err);
	crypto_generichash(out, TEXT_SIZE, (const unsigned char *)sift->text.data, sift->text.size,
			   sift->secret, sizeof(sift->secret));
	return AMEND_OK;
}

static const struct amend_column *column_of(const struct amend_sync *sync, uint32_t used)
{
	return &sync->table->columns[sync->used[used].column];
}

enum amend_status amend_sift_record(struct amend_sift *sift, const struct amend_place *place,
				    uint64_t code, const struct amend_value *fields,
				    struct amend_error *err)
{
	const struct amend_sync *sync = sift->sync;
	struct record record = {.code = code, .index = place->index, .offset = place->offset};
	bool whole = !sync->baseless;
	enum amend_status status = AMEND_OK;

	pass(sift, code);
	amend_buffer_reset(&sift->text);
	for (uint32_t u = 0; u < sync->n_used && whole; u++) {
		whole = fields[u].kind != AMEND_STORE_ABSENT;
		if (whole)
			add_value(&sift->text, column_of(sync, u), &fields[u]);
	}
	if (whole)
		status = take_text(sift, record.text, err);
	return status == AMEND_OK
		       ? amend_parts_add(&sift->records, code >> PART_SHIFT, &record, err)
		       : status;
}

/* Every column that is used, also what is not written: a settled record is no other than its row. */
static enum amend_status take_row_text(struct amend_sift *sift, const struct amend_row *row,
				       unsigned char out[TEXT_SIZE], struct amend_error *err)
{
	const struct amend_sync *sync = sift->sync;

	amend_buffer_reset(&sift->text);
	for (uint32_t u = 0; u < sync->n_used; u++) {
		const struct amend_column *column = column_of(sync, u);
		const struct amend_value *value = &row->values[sync->used[u].column];

		/* A text that is plainly no source's, however it is spelled: what is stored decides that. */
		if (value->kind == AMEND_TEXT && !amend_sync_plainly(sync, column, value, value))
			amend_buffer_char(&sift->text, 'x');
		add_value(&sift->text, column, value);
	}
	return take_text(sift, out, err);
}

static enum amend_status each_row(void *context, const struct amend_row *values,
				  struct amend_error *err)
{
	struct amend_sift *sift = context;
	struct amend_sync *sync = sift->sync;
	struct amend_fingerprint print;
	struct row row;
	enum amend_status status;

	status = amend_fingerprint_key(&sift->printer, values, &print, err);
	if (++sift->n_rows % PROGRESS == 0)
		amend_sync_progress(sync, "compare", 0, sync->store.n);
	if (status != AMEND_OK || print.code == 0 || !passes(sift, print.code))
		return status;
	if (!sync->baseless)
		status = amend_fingerprint(&sift->printer, values, &print, err);
	if (status != AMEND_OK)
		return status;
	row = (struct row){.code = print.code, .at = amend_place_of(sync->table, values)};
	if (!sync->baseless) {
		row.name = amend_slices_row_code(sync->slices, sift->printer.name.data);
		memcpy(row.digest, print.digest, sizeof(row.digest));
		status = take_row_text(sift, values, row.text, err);
	}
	return status == AMEND_OK ? amend_parts_add(&sift->rows, row.code >> PART_SHIFT, &row, err)
				  : status;
}

static enum amend_status each_base(void *context, const struct amend_base *taken,
				   struct amend_error *err)
{
	struct amend_sift *sift = context;
	struct base base = {.name = amend_slices_row_code(sift->sync->slices, taken->pk)};

	if (!*taken->first_key)
		return AMEND_OK;
	amend_buffer_reset(&sift->text);
	amend_buffer_text(&sift->text, taken->first_key);
	if (sift->text.failed)
		return amend_no_memory(err);
	base.code = amend_fingerprint_key_code(&sift->printer, sift->text.data, sift->text.size);
	if (!passes(sift, base.code))
		return AMEND_OK;
	memcpy(base.digest, taken->digest, sizeof(base.digest));
	return amend_parts_add(&sift->bases, base.code >> PART_SHIFT, &base, err);
}

/* ---- putting together ---- */

/* The record with this code, or NULL. */
static struct met *find(const struct part *part, uint64_t code)
{
	size_t i = code & part->mask;

	while (part->slots[i] && part->met[part->slots[i] - 1].record.code != code)
		i = (i + 1) & part->mask;
	return part->slots[i] ? &part->met[part->slots[i] - 1] : NULL;
}

static void take_record(struct part *part, const struct record *record)
{
	struct met *met = &part->met[part->n], *same;
	size_t i = record->code & part->mask;

	*met = (struct met){.record = *record, .state = ALONE};
	part->n++;
	same = find(part, record->code);
	if (same) {
		same->state = met->state = DOUBTFUL;
		return;
	}
	while (part->slots[i])
		i = (i + 1) & part->mask;
	part->slots[i] = (uint32_t)part->n;
}

static void take_row(const struct part *part, const struct row *row, bool baseless)
{
	static const unsigned char none[TEXT_SIZE];
	struct met *met = find(part, row->code);

	if (!met)
		return;
	/* Two rows, so that the key is not unique: left to be decided. */
	met->state = met->state == ALONE ? MET : DOUBTFUL;
	met->row = *row;
	if (met->state == MET && !baseless && memcmp(met->record.text, none, TEXT_SIZE) != 0 &&
	    memcmp(met->record.text, row->text, TEXT_SIZE) == 0)
		met->state = EQUAL;
}

static void take_base(const struct part *part, const struct base *base)
{
	struct met *met = find(part, base->code);

	if (met && met->state == EQUAL && met->row.name == base->name &&
	    memcmp(met->row.digest, base->digest, sizeof(base->digest)) == 0)
		met->state = SETTLED;
}

static enum amend_status take_all(struct amend_sift *sift, struct part *part,
				  struct amend_parts *parts, size_t which, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	const unsigned char *entries;
	size_t n;

	for (size_t i = 0; i < amend_parts_blocks(parts, which) && status == AMEND_OK; i++) {
		status = amend_parts_read(parts, which, i, &entries, &n, err);
		for (size_t j = 0; j < n && status == AMEND_OK; j++) {
			const unsigned char *entry = entries + j * parts->size;
			struct record record = {0};
			struct row row = {0};
			struct base base;

			if (parts == &sift->records) {
				memcpy(&record, entry, parts->size);
				take_record(part, &record);
			} else if (parts == &sift->rows) {
				memcpy(&row, entry, parts->size);
				take_row(part, &row, sift->sync->baseless);
			} else {
				memcpy(&base, entry, parts->size);
				take_base(part, &base);
			}
		}
	}
	return status;
}

static enum amend_status tell(const struct part *part, amend_sift_fn each, void *context,
			      struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < part->n && status == AMEND_OK; i++) {
		const struct met *met = &part->met[i];
		bool one = met->state != ALONE && met->state != DOUBTFUL;
		const struct amend_place place = {
			.at = one ? met->row.at : AMEND_NO_PLACE,
			.index = met->record.index,
			.offset = met->record.offset,
		};

		status = each(context, &place, met->state == SETTLED, met->row.name, err);
	}
	return status;
}

static enum amend_status put_together(struct amend_sift *sift, size_t which, amend_sift_fn each,
				      void *context, struct amend_error *err)
{
	size_t n = amend_parts_count(&sift->records, which), room = 64;
	struct part part = {.n = 0};
	enum amend_status status = AMEND_OK;

	while (room < n * 2)
		room *= 2;
	part.mask = room - 1;
	part.met = malloc((n + 1) * sizeof(*part.met));
	part.slots = calloc(room, sizeof(*part.slots));
	if (!part.met || !part.slots)
		status = amend_no_memory(err);
	if (status == AMEND_OK)
		status = take_all(sift, &part, &sift->records, which, err);
	if (status == AMEND_OK)
		status = take_all(sift, &part, &sift->rows, which, err);
	if (status == AMEND_OK)
		status = take_all(sift, &part, &sift->bases, which, err);
	if (status == AMEND_OK)
		status = tell(&part, each, context, err);
	free(part.met);
	free(part.slots);
	return status;
}

enum amend_status amend_sift_run(struct amend_sift *sift, amend_sift_fn each, void *context,
				 struct amend_error *err)
{
	struct amend_sync *sync = sift->sync;
	enum amend_status status = amend_row_scan(sync->db, sync->table, each_row, sift, err);

	if (status == AMEND_OK && !sync->baseless)
		status = amend_base_scan(sync->db, sync->source_name, sync->table, false, each_base,
					 sift, err);
	for (size_t which = 0; which < AMEND_PARTS && status == AMEND_OK; which++)
		status = put_together(sift, which, each, context, err);
	return status;
}

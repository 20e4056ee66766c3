/*
 * A large input, slice by slice.
 * Leaves what becomes of a slice's records to plan.c and apply.c.
 */
#include "sync/slices.h"

#include <stdlib.h>
#include <string.h>

#include "sync/codes.h"
#include "sync/levels.h"
#include "sync/places.h"
#include "sync/sift.h"
#include "sync/sync.h"

enum {
	RECORD = 2048, /* a record being decided takes about so much memory */
	SLICE_LEAST = 2,
	KNOWN_HALVES =
		3, /* half bytes of each record that stay: bits and filters take 0.7 bytes, 1.7 where the table refers to itself */
};

struct amend_slices {
	uint64_t n, n_settled, n_apart;
	unsigned char *settled, *apart; /* bits */
	struct amend_codes keys;        /* the first key of every record */
	struct amend_codes rows;        /* those of settled records */
	struct amend_codes things; /* rows and values that the records to be decided want or have */
	struct amend_levels *levels; /* parents and children among them */
	struct amend_places *places; /* of those to be decided; NULL: as they come in the store */
	bool any_apart;              /* a record is */
	bool noting;                 /* in the pass that collects things */
	struct amend_lost *lost;
	enum {
		NOT_MISSING,
		MISSING_APART,
		MISSING_NEXT,
		MISSING_OVER
	} missing; /* with the slice at hand */
	/* where the slice is */
	unsigned level;
	struct amend_store_reader reader;
	uint64_t next; /* of the store; by place: how many are behind it, settled ones included */
	bool by_place;
};

/* What is known of all records grows with their number, and the slices give way: to a quarter at least. */
static size_t slice_memory(const struct amend_sync *sync)
{
	size_t all = sync->store.limit, least = all / 4;
	uint64_t known = sync->store.n * KNOWN_HALVES / 2;

	return known < all - least ? all - (size_t)known : least;
}

/* Records sieved, or decided, at a time; or about as many bytes of them. */
static uint64_t slice_records(const struct amend_sync *sync)
{
	uint64_t n = slice_memory(sync) / RECORD;

	return n > SLICE_LEAST ? n : SLICE_LEAST;
}

static size_t slice_bytes(const struct amend_sync *sync)
{
	return slice_memory(sync) / 3;
}

static bool bit(const unsigned char *bits, uint64_t index)
{
	return bits[index / 8] & 1 << index % 8;
}

static void put_apart(void *context, uint64_t index)
{
	struct amend_slices *slices = context;

	if (index >= slices->n) {
		slices->n_apart += amend_lost_put_apart(slices->lost, index - slices->n);
		return;
	}
	if (bit(slices->apart, index))
		return;
	slices->any_apart = true;
	slices->apart[index / 8] |= (unsigned char)(1 << index % 8);
	slices->n_apart++;
	if (bit(slices->settled, index)) {
		slices->settled[index / 8] &= (unsigned char)~(1 << index % 8);
		slices->n_settled--;
	}
}

static bool is_apart(void *context, uint64_t index)
{
	return bit(((const struct amend_slices *)context)->apart, index);
}

static enum amend_status make(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_slices *slices = calloc(1, sizeof(*slices));
	enum amend_status status;

	amend_slices_free(sync->slices);
	sync->slices = slices;
	if (!slices)
		return amend_no_memory(err);
	slices->n = sync->store.n;
	slices->settled = calloc(slices->n / 8 + 1, 1);
	slices->apart = calloc(slices->n / 8 + 1, 1);
	/* Asked for one by one only to name a rival: a coarse filter is enough. */
	status = amend_codes_init(&slices->keys, slices->n / 4 + 1, err);
	if (status == AMEND_OK)
		status = amend_codes_init(&slices->rows, 0, err);
	if (status == AMEND_OK)
		status = amend_lost_new(sync, &slices->lost, err);
	if (status == AMEND_OK)
		status = amend_levels_new(slices->n, &slices->levels, err);
	/* Whoever is asked, or reads a plan, expects the input's order. */
	if (status == AMEND_OK && sync->store.file && !sync->options->on_confirm &&
	    !sync->options->on_plan)
		status = amend_places_new(&slices->places, err);
	return slices->settled && slices->apart ? status : amend_no_memory(err);
}

void amend_slices_free(struct amend_slices *slices)
{
	if (!slices)
		return;
	free(slices->settled);
	free(slices->apart);
	amend_codes_release(&slices->keys);
	amend_codes_release(&slices->rows);
	amend_codes_release(&slices->things);
	amend_lost_free(slices->lost);
	amend_levels_free(slices->levels);
	amend_places_free(slices->places);
	amend_store_end(&slices->reader);
	free(slices);
}

struct amend_lost *amend_slices_lost(const struct amend_slices *slices)
{
	return slices ? slices->lost : NULL;
}

bool amend_slices_over(const struct amend_slices *slices)
{
	return slices->missing == MISSING_OVER;
}

enum amend_status amend_slices_missing(struct amend_sync *sync, struct amend_base **out,
				       uint64_t **which, size_t *n, struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;

	*n = 0;
	*out = NULL;
	*which = NULL;
	if (slices->missing == NOT_MISSING || slices->missing == MISSING_OVER)
		return AMEND_OK;
	return amend_lost_take(sync, slices->missing == MISSING_APART, slice_records(sync), out,
			       which, n, err);
}

bool amend_slices_any_apart(const struct amend_slices *slices)
{
	return slices->any_apart;
}

uint64_t amend_slices_settled(const struct amend_slices *slices)
{
	return slices->n_settled;
}

enum amend_status amend_slices_key(struct amend_slices *slices, uint64_t index, const char *key,
				   size_t size, struct amend_error *err)
{
	const struct amend_code code = {amend_codes_of(&slices->keys, key, size), index, false};

	return amend_codes_add(&slices->keys, &code, err);
}

enum amend_status amend_slices_note(struct amend_slices *slices, uint64_t index, bool gives,
				    const struct amend_buffer *thing, struct amend_error *err)
{
	struct amend_code code = {.index = index, .gives = gives};

	if (!slices || !slices->noting)
		return AMEND_OK;
	if (thing->failed)
		return amend_no_memory(err);
	code.code = amend_codes_of(&slices->things, thing->data, thing->size);
	return amend_codes_add(&slices->things, &code, err);
}

enum amend_status amend_slices_note_kin(struct amend_sync *sync, enum amend_kinship kinship,
					const struct amend_record *record, bool is_parent,
					const struct amend_buffer *value, struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;

	/* A child whose parent is answered no is not asked about: they are decided together. */
	if (sync->options->on_confirm)
		return amend_slices_note(slices, record->index, is_parent, value, err);
	return slices && slices->noting ? amend_levels_note(slices->levels, kinship, record->index,
							    is_parent, value, err)
					: AMEND_OK;
}

enum amend_status amend_slices_claims(struct amend_sync *sync, const struct amend_row *row,
				      bool *claimed, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;
	uint64_t index;

	*claimed = false;
	if (sync->slices && amend_sync_key_text(&text, sync, 0, NULL, row->values) && !text.failed) {
		amend_sync_fold_key(sync, 0, text.data, text.size);
		status = amend_codes_find(&sync->slices->keys,
					  amend_codes_of(&sync->slices->keys, text.data, text.size),
					  claimed, &index, err);
	}
	amend_buffer_release(&text);
	return status;
}

/* ---- what is plainly unchanged ---- */

static void settle(struct amend_slices *slices, uint64_t index)
{
	slices->settled[index / 8] |= (unsigned char)(1 << index % 8);
	slices->n_settled++;
}

static enum amend_status add_place(struct amend_slices *slices, const struct amend_place *place,
				   struct amend_error *err)
{
	return slices->places ? amend_places_add(slices->places, place, err) : AMEND_OK;
}

/* What the sieve says of its n records, of which the first lies at `offset` in the store. */
static enum amend_status take_sieve(struct amend_sync *sync, uint64_t from, uint64_t n,
				    uint64_t offset, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (uint64_t i = 0; i < n && status == AMEND_OK; i++) {
		const struct amend_place place = {amend_sieve_place(sync->sieve, i), from + i,
						  offset};
		const struct amend_value *fields = NULL;
		uint64_t code;

		offset += amend_store_size(amend_sieve_bytes(sync->sieve, i));
		if (sync->sift)
			fields = amend_sieve_fresh(sync->sieve, i, &code);
		if (fields)
			status = amend_sift_record(sync->sift, &place, code, fields, err);
		else if (amend_sieve_settled(sync->sieve, i))
			settle(sync->slices, from + i);
		else
			status = add_place(sync->slices, &place, err);
	}
	return status;
}

static enum amend_status take_sifted(void *context, const struct amend_place *place, bool settled,
				     uint64_t row, struct amend_error *err)
{
	struct amend_slices *slices = context;
	const struct amend_code code = {row, place->index, false};

	if (!settled)
		return add_place(slices, place, err);
	settle(slices, place->index);
	return amend_codes_add(&slices->rows, &code, err);
}

/* All of it, some thousands at a time: by their keys, or (sync->sift) taken down for the table to be read once. */
static enum amend_status sieve_all(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;
	const uint64_t most = slice_records(sync);
	struct amend_store_reader reader;
	enum amend_status status = AMEND_OK;

	amend_store_begin(&sync->store, &reader);
	for (uint64_t from = 0; from < slices->n && status == AMEND_OK; from += most) {
		uint64_t n = slices->n - from < most ? slices->n - from : most;
		uint64_t offset = reader.offset;

		status = amend_sieve_run(sync, &reader, from, n, &sync->sieve, err);
		if (status == AMEND_OK)
			status = take_sieve(sync, from, n, offset, err);
		amend_sieve_free(sync->sieve);
		sync->sieve = NULL;
		sync->passed = from + n;
		amend_sync_progress(sync, "compare", 0, slices->n);
	}
	amend_store_end(&reader);
	return status;
}

static enum amend_status find_settled(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;
	enum amend_status status = amend_sync_open_conflicts(sync, err);

	if (status == AMEND_OK)
		status = amend_base_none(sync->db, sync->source_name, sync->table, &sync->baseless,
					 err);
	if (status == AMEND_OK)
		status = amend_sift_new(sync, slices->places != NULL, &sync->sift, err);
	if (status == AMEND_OK)
		status = sieve_all(sync, err);
	if (status == AMEND_OK && sync->sift)
		status = amend_sift_run(sync->sift, take_sifted, slices, err);
	amend_sift_free(sync->sift);
	sync->sift = NULL;
	return status == AMEND_OK ? amend_codes_shared(&slices->keys, put_apart, slices, err)
				  : status;
}

/* ---- slices ---- */

/* Forgets the slice before. */
static void forget(struct amend_sync *sync)
{
	amend_arena_release(&sync->arena);
	amend_hash_release(&sync->claims);
	amend_hash_release(&sync->held);
	amend_hash_release(&sync->open_by_key);
	amend_hash_release(&sync->open_by_name);
	sync->open = NULL;
	sync->n_all = sync->n_list = sync->n_todo = sync->n_edges = 0;
	sync->missing = NULL;
	sync->n_missing = 0;
	sync->round = 0;
}

static bool wanted(const struct amend_slices *slices, uint64_t index, bool apart)
{
	return bit(slices->apart, index) == apart && !bit(slices->settled, index) &&
	       (apart || amend_levels_of(slices->levels, index) == slices->level);
}

/* The next record of those behind which the slice begins; `*bytes` is NULL at the end, or where it is not for now. */
static enum amend_status next_record(struct amend_sync *sync, bool apart,
				     const unsigned char **bytes, struct amend_place *place,
				     struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;
	enum amend_status status;
	bool found;

	*bytes = NULL;
	*place = (struct amend_place){.at = AMEND_NO_PLACE, .index = slices->next++};
	if (!slices->by_place) {
		status = amend_store_next(&slices->reader, bytes, err);
		if (status == AMEND_OK && !wanted(slices, place->index, apart))
			*bytes = NULL;
		return status;
	}
	status = amend_places_next(slices->places, place, &found, err);
	if (status != AMEND_OK)
		return status;
	if (!found) {
		slices->next = slices->n;
		return AMEND_OK;
	}
	return wanted(slices, place->index, apart)
		       ? amend_store_at(&slices->reader, place->offset, bytes, err)
		       : AMEND_OK;
}

/* The next records to be decided; what is apart comes as one slice. */
static enum amend_status load(struct amend_sync *sync, bool apart, struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;
	enum amend_status status = AMEND_OK;

	forget(sync);
	sync->passed = slices->next;
	while (slices->next < slices->n && status == AMEND_OK) {
		const unsigned char *bytes;
		struct amend_record *record;
		struct amend_place place;

		status = next_record(sync, apart, &bytes, &place, err);
		if (status != AMEND_OK || !bytes)
			continue;
		status = amend_sync_load(sync, bytes, place.index, &record, err);
		if (status != AMEND_OK)
			break;
		record->placed = amend_place_number(sync->table, place.at, &record->place);
		status = amend_sync_enlist(sync, record, err);
		if (!apart && sync->n_all >= SLICE_LEAST &&
		    (sync->n_all == slice_records(sync) || sync->arena.total > slice_bytes(sync)))
			break;
	}
	return status;
}

static enum amend_status decide(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = amend_data_version(sync->db, &sync->version, &sync->versioned,
						      err);

	/* By now we may have written some, or another run has. */
	if (status == AMEND_OK && sync->baseless)
		status = amend_base_none(sync->db, sync->source_name, sync->table, &sync->baseless,
					 err);
	if (status == AMEND_OK)
		status = amend_sync_open_conflicts(sync, err);
	return status == AMEND_OK ? amend_sync_plan(sync, err) : status;
}

static enum amend_status rewind_slices(struct amend_sync *sync, bool by_place,
				       struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;

	amend_store_end(&slices->reader);
	amend_store_begin(&sync->store, &slices->reader);
	slices->by_place = by_place && slices->places;
	slices->next = slices->by_place ? slices->n_settled : 0;
	return slices->by_place ? amend_places_rewind(slices->places, err) : AMEND_OK;
}

static enum amend_status decide_slice(struct amend_sync *sync,
				      enum amend_status (*each)(struct amend_sync *sync,
								struct amend_error *err),
				      struct amend_error *err)
{
	enum amend_status status = decide(sync, err);

	return status == AMEND_OK ? each(sync, err) : status;
}

enum amend_status amend_slices_each(struct amend_sync *sync,
				    enum amend_status (*each)(struct amend_sync *sync,
							      struct amend_error *err),
				    struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;
	bool missing = amend_lost_any(slices->lost);
	enum amend_status status;

	if (missing)
		amend_lost_rewind(sync);
	/* First what is apart, records and missing ones together; then the other missing ones. */
	status = rewind_slices(sync, false, err);
	if (status == AMEND_OK && (slices->n_apart > 0 || missing)) {
		slices->missing = missing ? MISSING_APART : NOT_MISSING;
		forget(sync);
		if (slices->any_apart)
			status = load(sync, true, err);
		if (status == AMEND_OK)
			status = decide_slice(sync, each, err);
	}
	slices->missing = MISSING_NEXT;
	while (missing && status == AMEND_OK && !amend_lost_done(sync, slices->noting)) {
		forget(sync);
		status = decide_slice(sync, each, err);
	}
	slices->missing = MISSING_OVER;
	if (missing && status == AMEND_OK && amend_lost_closes(slices->lost)) {
		forget(sync);
		status = decide_slice(sync, each, err);
	}
	slices->missing = NOT_MISSING;
	for (slices->level = 0; slices->level <= amend_levels_highest(slices->levels);
	     slices->level++) {
		if (status == AMEND_OK)
			status = rewind_slices(sync, true, err);
		while (slices->next < slices->n && status == AMEND_OK) {
			status = load(sync, false, err);
			if (status == AMEND_OK)
				status = decide_slice(sync, each, err);
		}
	}
	return status;
}

enum amend_status amend_slices_settled_row(struct amend_slices *slices, uint64_t index,
					   const char *pk, struct amend_error *err)
{
	const struct amend_code code = {amend_codes_of(&slices->rows, pk, strlen(pk)), index, false};

	return amend_codes_add(&slices->rows, &code, err);
}

uint64_t amend_slices_row_code(const struct amend_slices *slices, const char *pk)
{
	return amend_codes_of(&slices->rows, pk, strlen(pk));
}

enum amend_status amend_slices_has_row(struct amend_slices *slices, uint64_t code, bool *has,
				       struct amend_error *err)
{
	uint64_t index;

	return amend_codes_find(&slices->rows, code, has, &index, err);
}

enum amend_status amend_slices_key_code(struct amend_sync *sync, const char *first_key,
					uint64_t *code, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	amend_buffer_text(&text, first_key);
	if (text.failed)
		return amend_no_memory(err);
	amend_sync_fold_key(sync, 0, text.data, text.size);
	*code = amend_codes_of(&sync->slices->keys, text.data, text.size);
	amend_buffer_release(&text);
	return AMEND_OK;
}

enum amend_status amend_slices_has_key(struct amend_slices *slices, uint64_t code, bool *has,
				       struct amend_error *err)
{
	uint64_t index;
	enum amend_status status = amend_codes_find(&slices->keys, code, has, &index, err);

	/* Two of one key are not settled. */
	*has = *has && bit(slices->settled, index);
	return status;
}

/* A row that the record is about, or may be. */
static enum amend_status note_row(struct amend_sync *sync, const struct amend_record *record,
				  const char *pk, struct amend_error *err)
{
	struct amend_slices *slices = sync->slices;
	const struct amend_code code = {amend_slices_row_code(slices, pk), record->index, false};

	return amend_codes_add(&slices->things, &code, err);
}

/*
 * Keys of citext are equal where the database's lower() of them is. What that makes of letters beyond ASCII it alone
 * knows, and also of I and of K, which two of them become: left out of both, such keys are at least as equal.
 */
static void loosen(struct amend_buffer *text)
{
	size_t kept = 0;

	for (size_t i = 0; i < text->size; i++) {
		char c = text->data[i];

		if ((unsigned char)c < 0x80 && !strchr("iIkK", c))
			text->data[kept++] = c;
	}
	text->size = kept;
}

/* Later keys, and a first one of citext: the row that one of two creates is found by the other. */
static enum amend_status note_keys(struct amend_sync *sync, const struct amend_record *record,
				   struct amend_buffer *text, struct amend_buffer *thing,
				   struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (uint32_t k = 0; k < sync->n_keys && record->values && status == AMEND_OK; k++) {
		bool citext = amend_sync_is_citext(sync, k);

		/* Which records have the same first key is known, but for those. */
		if (k == 0 && (!citext || record->row))
			continue;
		if (!amend_sync_key_text(text, sync, k, record, NULL))
			continue;
		if (text->failed)
			return amend_no_memory(err);
		amend_sync_fold_key(sync, k, text->data, text->size);
		if (citext)
			loosen(text);
		amend_buffer_reset(thing);
		amend_buffer_text(thing, "match ");
		amend_buffer_add(thing, text->data, text->size);
		status = amend_slices_note(sync->slices, record->index, false, thing, err);
	}
	return status;
}

/* What this slice's records have in common with others'. */
static enum amend_status note(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_buffer thing = AMEND_BUFFER_INIT, text = AMEND_BUFFER_INIT;
	enum amend_status status = amend_sync_note_parents(sync, err);

	if (status == AMEND_OK)
		status = amend_sync_note_leaving(sync, err);
	if (status == AMEND_OK)
		status = amend_lost_note(sync, err);
	amend_sync_note_blind(sync);

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->list[i];

		status = note_keys(sync, record, &text, &thing, err);
		if (status == AMEND_OK && record->row)
			status = note_row(sync, record, record->row->pk, err);
		if (status == AMEND_OK && record->other)
			status = note_row(sync, record, record->other->pk, err);
		if (status == AMEND_OK && record->seen)
			status = note_row(sync, record, record->seen->pk, err);
	}
	amend_buffer_release(&thing);
	amend_buffer_release(&text);
	return status == AMEND_OK ? amend_sync_examine(sync, err) : status;
}

enum amend_status amend_slices_plan(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = make(sync, err);
	struct amend_slices *slices = sync->slices;
	const struct amend_apart apart = {is_apart, put_apart, slices};
	uint64_t before;
	bool again;

	if (status == AMEND_OK)
		status = find_settled(sync, err);
	do {
		if (status != AMEND_OK)
			return status;
		before = slices->n_apart;
		again = false;
		status = amend_codes_init(&slices->things, 0, err);
		amend_codes_like(&slices->things, &slices->rows);
		if (status == AMEND_OK)
			status = amend_levels_begin(slices->levels, err);
		amend_sync_examine_anew(sync);
		slices->noting = true;
		if (status == AMEND_OK)
			status = amend_slices_each(sync, note, err);
		slices->noting = false;
		if (status == AMEND_OK)
			status = amend_codes_shared(&slices->things, put_apart, slices, err);
		/* A settled record is about the row: by the database's rule the two have one key. */
		if (status == AMEND_OK)
			status = amend_codes_common(&slices->rows, &slices->things, put_apart,
						    slices, err);
		if (status == AMEND_OK)
			status = amend_levels_end(slices->levels, &apart, err);
		amend_codes_release(&slices->things);
		forget(sync);
		if (status == AMEND_OK)
			status = amend_lost_next(sync, &again, err);
	} while (again || slices->n_apart > before); /* at most all of them */
	return status;
}

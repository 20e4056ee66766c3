/*
 * The whole table read once, or by the server for us, and then all bases, unless their sum tells enough.
 * Leaves what a row is compared for to sieve.c, and the sum to sieve_sum.c.
 *
 * Rows and bases come in an order of their own, so that the entry of each is anywhere in memory, and so are
 * its record's bytes. What is read is kept for a moment: while some dozens are on their way
 * from memory, the entries of the others are looked for.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/early.h"
#include "sync/sieve_inside.h"

enum {
	LINE = 64,        /* bytes that come from memory at once */
	LINES = 4,        /* of a record */
	ROOM = 64 * 1024, /* bytes of what waits */
	FEW = 50, /* where not one in so many differs, packs are looked up by those that do */
};

struct waiting {
	struct amend_row row;                  /* of rows .. */
	const struct amend_fingerprint *print; /* .. that were read early */
	struct amend_base base;
	uint64_t code;
	struct amend_sieve_entry *entry;
};

struct ahead {
	struct amend_sieve *sieve;
	struct waiting waiting[AMEND_SIEVE_AHEAD];
	size_t n;
	struct amend_value *values; /* AMEND_SIEVE_AHEAD times the table's columns */
	char *bytes;
	size_t used, room;
	enum amend_status (*take)(struct amend_sieve *sieve, const struct waiting *waiting,
				  struct amend_error *err);
};

/* The first entry that may have the code, without looking at it. */
static struct amend_sieve_entry *candidate(const struct amend_sieve *sieve, uint64_t code)
{
	uint64_t i = code & sieve->mask;

	while (sieve->slots[i].entry && sieve->slots[i].mark != (uint32_t)(code >> 32))
		i = (i + 1) & sieve->mask;
	return sieve->slots[i].entry ? &sieve->entries[sieve->slots[i].entry - 1] : NULL;
}

static enum amend_status take_waiting(struct ahead *ahead, struct amend_error *err)
{
	struct amend_sieve *sieve = ahead->sieve;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < ahead->n; i++) {
		ahead->waiting[i].entry = candidate(sieve, ahead->waiting[i].code);
		if (ahead->waiting[i].entry) {
			amend_sieve_fetch(ahead->waiting[i].entry);
			amend_sieve_fetch((const char *)(ahead->waiting[i].entry + 1) - 1);
		}
	}
	for (size_t i = 0; i < ahead->n; i++) {
		struct waiting *waiting = &ahead->waiting[i];

		if (waiting->entry && waiting->entry->code != waiting->code)
			waiting->entry = amend_sieve_find(sieve, waiting->code);
		for (size_t line = 0; waiting->entry && waiting->row.values && line < LINES; line++)
			amend_sieve_fetch(waiting->entry->bytes + line * LINE);
	}
	for (size_t i = 0; i < ahead->n && status == AMEND_OK; i++)
		status = ahead->take(sieve, &ahead->waiting[i], err);
	ahead->n = ahead->used = 0;
	return status;
}

/* Room for so many bytes more, and for one that waits. */
static enum amend_status make_room(struct ahead *ahead, size_t size, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	char *bytes;

	if (ahead->n == AMEND_SIEVE_AHEAD || ahead->room - ahead->used < size)
		status = take_waiting(ahead, err);
	if (status != AMEND_OK || ahead->room >= size)
		return status;
	bytes = realloc(ahead->bytes, size + ROOM);
	if (!bytes)
		return amend_no_memory(err);
	ahead->bytes = bytes;
	ahead->room = size + ROOM;
	return AMEND_OK;
}

/* A copy with a NUL behind, in the room that was made. */
static const char *keep_bytes(struct ahead *ahead, const void *bytes, size_t size)
{
	char *copy = ahead->bytes + ahead->used;

	if (size > 0)
		memcpy(copy, bytes, size);
	copy[size] = '\0';
	ahead->used += size + 1;
	return copy;
}

static bool has_bytes(const struct amend_value *value)
{
	return value->kind == AMEND_TEXT || value->kind == AMEND_BLOB;
}

static struct amend_value keep_value(struct ahead *ahead, const struct amend_value *value)
{
	struct amend_value copy = *value;

	if (has_bytes(value))
		copy.as.text = keep_bytes(ahead, value->as.text, value->size);
	return copy;
}

static enum amend_status begin(struct ahead *ahead, struct amend_sieve *sieve,
			       struct amend_error *err)
{
	*ahead = (struct ahead){.sieve = sieve, .room = ROOM};
	ahead->values = calloc((size_t)AMEND_SIEVE_AHEAD * sieve->sync->table->n_columns,
			       sizeof(*ahead->values));
	ahead->bytes = malloc(ROOM);
	return ahead->values && ahead->bytes ? AMEND_OK : amend_no_memory(err);
}

static void release(struct ahead *ahead)
{
	free(ahead->values);
	free(ahead->bytes);
}

/* ---- rows ---- */

static enum amend_status take_row(struct amend_sieve *sieve, const struct waiting *waiting,
				  struct amend_error *err)
{
	struct amend_sieve_entry *entry = waiting->entry;

	if (!entry)
		return amend_sieve_set_aside(sieve, &waiting->row, err);
	if (++sieve->n_found % AMEND_SIEVE_PROGRESS == 0)
		amend_sync_progress(sieve->sync, "compare", sieve->n_found, sieve->n);
	if (entry->state == AMEND_SIEVE_FRESH)
		return amend_sieve_take_row(sieve, entry, &waiting->row, waiting->print, err);
	/* Two rows, so that the key is not unique, or an open conflict. */
	sieve->summed = sieve->summed && entry->state == AMEND_SIEVE_OPEN && !entry->row;
	entry->state = AMEND_SIEVE_OPEN;
	entry->row = NULL;
	return amend_sieve_set_aside(sieve, &waiting->row, err);
}

/* Among those that wait. */
static struct waiting *add_row(struct ahead *ahead, uint64_t code)
{
	struct waiting *waiting = &ahead->waiting[ahead->n++];

	waiting->code = code;
	waiting->print = NULL;
	amend_sieve_fetch(&ahead->sieve->slots[code & ahead->sieve->mask]);
	return waiting;
}

static enum amend_status each_row(void *context, const struct amend_row *row,
				  struct amend_error *err)
{
	struct ahead *ahead = context;
	struct amend_sieve *sieve = ahead->sieve;
	size_t n_columns = sieve->sync->table->n_columns, size = row->version.size + 1;
	struct amend_value *values;
	struct waiting *waiting;
	struct amend_fingerprint print;
	enum amend_status status = amend_fingerprint_key(&sieve->printer, row, &print, err);

	if (status != AMEND_OK || print.code == 0)
		return status;
	for (size_t i = 0; i < n_columns; i++)
		size += has_bytes(&row->values[i]) ? row->values[i].size + 1 : 0;
	status = make_room(ahead, size, err);
	if (status != AMEND_OK)
		return status;
	values = ahead->values + ahead->n * n_columns;
	waiting = add_row(ahead, print.code);
	for (size_t i = 0; i < n_columns; i++)
		values[i] = keep_value(ahead, &row->values[i]);
	waiting->row = *row;
	waiting->row.values = values;
	waiting->row.version = keep_value(ahead, &row->version);
	return AMEND_OK;
}

/* Those that were read early stay until the next are asked for. */
static enum amend_status take_early(struct ahead *ahead, struct amend_error *err)
{
	struct amend_early *early = ahead->sieve->sync->early;
	size_t n_columns = ahead->sieve->sync->table->n_columns;
	const struct amend_fingerprint *prints;
	enum amend_status status;
	struct waiting *waiting;
	bool whole;
	size_t n;

	do {
		status = amend_early_next(early, &prints, &whole, &n, err);
		for (size_t i = 0; i < n && status == AMEND_OK; i++) {
			if (prints[i].code == 0)
				continue;
			if (ahead->n == AMEND_SIEVE_AHEAD)
				status = take_waiting(ahead, err);
			waiting = add_row(ahead, prints[i].code);
			amend_early_row(early, i, ahead->values + (ahead->n - 1) * n_columns,
					&waiting->row);
			waiting->print = whole ? &prints[i] : NULL;
		}
		if (status == AMEND_OK)
			status = take_waiting(ahead, err);
	} while (n > 0 && status == AMEND_OK);
	return status;
}

static enum amend_status read_rows(struct amend_sieve *sieve, struct amend_error *err)
{
	struct ahead ahead;
	enum amend_status status = begin(&ahead, sieve, err);

	ahead.take = take_row;
	if (status == AMEND_OK && sieve->sync->early)
		status = take_early(&ahead, err);
	else if (status == AMEND_OK && sieve->keyed)
		status = amend_sieve_read_keys(sieve, each_row, &ahead, err);
	else if (status == AMEND_OK)
		status = amend_row_scan(sieve->sync->db, sieve->sync->table, each_row, &ahead, err);
	if (status == AMEND_OK)
		status = take_waiting(&ahead, err);
	release(&ahead);
	/* What follows asks for bases. */
	amend_early_end(sieve->sync);
	return status;
}

/* ---- bases ---- */

static bool is_base_of(const struct amend_sieve *sieve, const struct amend_sieve_entry *entry,
		       const struct amend_base *base)
{
	return entry->pk == amend_fingerprint_code(&sieve->printer, base->pk, strlen(base->pk));
}

static enum amend_status keep_base(struct amend_sieve *sieve, struct amend_sieve_entry *entry,
				   const struct amend_base *base, struct amend_error *err)
{
	struct amend_arena *arena = &sieve->sync->arena;
	struct amend_base *kept = amend_arena_alloc(arena, sizeof(*kept));
	char *pack = amend_arena_text_n(arena, base->pack, base->pack_size);

	if (!kept || !pack)
		return amend_no_memory(err);
	*kept = *base;
	kept->source = sieve->sync->source_name;
	kept->pk = amend_arena_text(arena, base->pk);
	kept->first_key = amend_arena_text(arena, base->first_key);
	kept->pack = pack;
	entry->base = kept;
	return kept->pk && kept->first_key ? AMEND_OK : amend_no_memory(err);
}

/* No record of the input has its first key. */
static enum amend_status keep_stray(struct amend_sieve *sieve, const struct amend_base *base,
				    struct amend_error *err)
{
	struct amend_arena *arena = &sieve->sync->arena;
	struct amend_base *stray;

	if (sieve->n_strays == sieve->strays_room) {
		size_t room = sieve->strays_room ? sieve->strays_room * 2 : 64;
		struct amend_base *strays = realloc(sieve->strays, room * sizeof(*strays));

		if (!strays)
			return amend_no_memory(err);
		sieve->strays = strays;
		sieve->strays_room = room;
	}
	stray = &sieve->strays[sieve->n_strays++];
	*stray = *base;
	stray->pack = NULL;
	stray->pack_size = 0;
	stray->pk = amend_arena_text(arena, base->pk);
	stray->first_key = amend_arena_text(arena, base->first_key);
	return stray->pk && stray->first_key ? AMEND_OK : amend_no_memory(err);
}

enum amend_status amend_sieve_take_base(struct amend_sieve *sieve, struct amend_sieve_entry *entry,
					const struct amend_base *base, struct amend_error *err)
{
	if (!entry)
		return sieve->sync->slices ? AMEND_OK : keep_stray(sieve, base, err);
	sieve->n_known++;
	if (entry->state == AMEND_SIEVE_EQUAL && is_base_of(sieve, entry, base)) {
		if (memcmp(base->digest, entry->digest, sizeof(entry->digest)) == 0)
			amend_sieve_settle(sieve, entry);
		return AMEND_OK;
	}
	if (entry->state == AMEND_SIEVE_SEEN && entry->row && base->pack &&
	    is_base_of(sieve, entry, base))
		return keep_base(sieve, entry, base, err);
	return AMEND_OK;
}

static enum amend_status take_base(struct amend_sieve *sieve, const struct waiting *waiting,
				   struct amend_error *err)
{
	return amend_sieve_take_base(sieve, waiting->entry, &waiting->base, err);
}

static enum amend_status each_base(void *context, const struct amend_base *base,
				   struct amend_error *err)
{
	struct ahead *ahead = context;
	struct amend_sieve *sieve = ahead->sieve;
	size_t pk_size = strlen(base->pk), key_size = strlen(base->first_key);
	struct waiting *waiting;
	enum amend_status status;
	uint64_t code;

	if (key_size == 0)
		return sieve->sync->slices ? AMEND_OK : keep_stray(sieve, base, err);
	amend_buffer_reset(&sieve->text);
	amend_buffer_add(&sieve->text, base->first_key, key_size);
	if (sieve->text.failed)
		return amend_no_memory(err);
	code = amend_fingerprint_key_code(&sieve->printer, sieve->text.data, sieve->text.size);
	status = make_room(ahead, pk_size + key_size + base->pack_size + 3, err);
	if (status != AMEND_OK)
		return status;
	waiting = &ahead->waiting[ahead->n++];
	waiting->code = code;
	amend_sieve_fetch(&sieve->slots[code & sieve->mask]);
	waiting->base = *base;
	waiting->base.pk = keep_bytes(ahead, base->pk, pk_size);
	waiting->base.first_key = keep_bytes(ahead, base->first_key, key_size);
	if (base->pack)
		waiting->base.pack = keep_bytes(ahead, base->pack, base->pack_size);
	return AMEND_OK;
}

static enum amend_status read_bases(struct amend_sieve *sieve, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	bool packs = sieve->n_seen > sieve->n / FEW;
	struct ahead ahead;
	enum amend_status status = begin(&ahead, sieve, err);

	ahead.take = take_base;
	if (status == AMEND_OK)
		status = amend_base_scan(sync->db, sync->source_name, sync->table, packs, each_base,
					 &ahead, err);
	if (status == AMEND_OK)
		status = take_waiting(&ahead, err);
	release(&ahead);
	return status;
}

enum amend_status amend_sieve_by_scan(struct amend_sieve *sieve, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	struct amend_sieve_bases bases;
	enum amend_status status = AMEND_OK;
	bool settled = false;

	if (sync->early)
		bases = *amend_early_bases(sync->early);
	else
		status = amend_sieve_look(sync, &bases, err);
	sieve->firsts = sync->baseless && amend_sync_may_settle_firsts(sync);
	if (status == AMEND_OK)
		status = amend_sieve_begin_sum(sieve, &bases, err);
	if (status == AMEND_OK)
		status = read_rows(sieve, err);
	if (status == AMEND_OK && sieve->firsts) {
		amend_sieve_settle_equal(sieve);
		sync->n_first = sieve->n_settled;
	}
	amend_sync_progress(sync, "compare", sieve->n_found, sieve->n);
	sieve->scanned = !sync->slices;
	if (status == AMEND_OK && sieve->summed)
		status = amend_sieve_by_sum(sieve, &settled, err);
	if (status == AMEND_OK && !sync->baseless && !settled)
		status = read_bases(sieve, err);
	return status;
}

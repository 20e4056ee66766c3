/*
 * Finds the records that are plainly unchanged, by reading the table once, or by key.
 * Leaves reading to sieve_scan.c and sieve_keys.c; the rest, and every doubt, to match.c and decide.c.
 *
 * Rows are read before bases. Somebody who writes in between may make the two disagree:
 * then the record is decided, and what it writes is proved. Where they agree, row
 * and input were equal when the row was read, and there is nothing to write.
 */
#include "sync/sieve.h"

#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "sync/early.h"
#include "sync/places.h"
#include "sync/sieve_inside.h"
#include "sync/sift.h"

/*
 * A look-up by key costs as much as reading so many rows of the table: all that leave the server, or all that it compares
 * with the keys and mostly keeps, which pays from so many rows a key on. Measured (docs/decisions/0033-where-a-sync-spends-its-time.md), but for the last, which
 * is a guess below the smallest measured, 3.
 */
enum { ROWS_A_LOOKUP = 5, ROWS_A_PROBE = 30, ROWS_A_KEY = 2 };

void amend_sieve_free(struct amend_sieve *sieve)
{
	if (!sieve)
		return;
	free(sieve->entries);
	free(sieve->slots);
	free(sieve->by_name);
	free(sieve->strays);
	free(sieve->rest);
	free(sieve->as_rows);
	free(sieve->fields);
	amend_arena_release(&sieve->bytes);
	amend_buffer_release(&sieve->text);
	amend_fingerprinter_release(&sieve->printer);
	free(sieve);
}

/* The slot of the code: its entry's, or the free one where it would be. */
static struct amend_sieve_slot *slot_of(const struct amend_sieve *sieve, uint64_t code)
{
	uint64_t i = code & sieve->mask;

	while (sieve->slots[i].entry && (sieve->slots[i].mark != (uint32_t)(code >> 32) ||
					 sieve->entries[sieve->slots[i].entry - 1].code != code))
		i = (i + 1) & sieve->mask;
	return &sieve->slots[i];
}

struct amend_sieve_entry *amend_sieve_find(const struct amend_sieve *sieve, uint64_t code)
{
	const struct amend_sieve_slot *slot = slot_of(sieve, code);

	return slot->entry ? &sieve->entries[slot->entry - 1] : NULL;
}

static enum amend_status make(struct amend_sync *sync, uint64_t first, uint64_t n,
			      struct amend_sieve **out, struct amend_error *err)
{
	struct amend_sieve *sieve = calloc(1, sizeof(*sieve));
	uint64_t room = 64;

	*out = sieve;
	if (!sieve)
		return amend_no_memory(err);
	sieve->sync = sync;
	sieve->first = first;
	sieve->n = n;
	while (room < sieve->n * 2)
		room *= 2;
	sieve->mask = room - 1;
	sieve->entries = calloc(sieve->n + 1, sizeof(*sieve->entries));
	sieve->slots = calloc(room, sizeof(*sieve->slots));
	sieve->fields = calloc(sync->n_used, sizeof(*sieve->fields));
	if (sync->early)
		amend_fingerprinter_copy(&sieve->printer, amend_early_printer(sync->early));
	else if (sync->sift)
		amend_fingerprinter_copy(&sieve->printer, amend_sift_printer(sync->sift));
	else
		amend_fingerprinter_begin(&sieve->printer, sync, NULL);
	return sieve->entries && sieve->slots && sieve->fields ? AMEND_OK : amend_no_memory(err);
}

/* The first key of `fields`, as a base spells it; false where it is blank. */
bool amend_sieve_key_text(struct amend_sieve *sieve, const struct amend_value *row)
{
	const struct amend_record record = {.values = sieve->fields};
	const struct amend_sync_key *key = &sieve->sync->keys[0];

	for (uint32_t i = 0; i < key->n && !row; i++) {
		if (sieve->fields[key->used[i]].kind == AMEND_STORE_ABSENT)
			return false;
	}
	return amend_sync_key_text(&sieve->text, sieve->sync, 0, row ? NULL : &record, row) &&
	       !sieve->text.failed;
}

static enum amend_status next_bytes(struct amend_sieve *sieve, struct amend_store_reader *reader,
				    const unsigned char **out, struct amend_error *err)
{
	enum amend_status status = amend_store_next(reader, out, err);
	char *copy;

	if (status != AMEND_OK || !sieve->sync->store.file)
		return status;
	copy = amend_arena_alloc(&sieve->bytes, amend_store_size(*out));
	if (!copy)
		return amend_no_memory(err);
	memcpy(copy, *out, amend_store_size(*out));
	*out = (const unsigned char *)copy;
	return AMEND_OK;
}

/* The code of its first key, if it has one that can be told here. */
static enum amend_status name_entry(struct amend_sieve *sieve, uint64_t i, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	struct amend_sieve_entry *entry = &sieve->entries[i];
	const char *problem;

	entry->state = AMEND_SIEVE_OPEN;
	entry->at = AMEND_NO_PLACE;
	amend_store_decode(entry->bytes, sieve->fields, sync->n_used, &problem);
	if (problem || !amend_sieve_key_text(sieve, NULL))
		return AMEND_OK;
	/* An open conflict may end now. */
	if (!amend_sync_open_of(sync, sieve->text.data, sieve->text.size))
		entry->state = AMEND_SIEVE_FRESH;
	entry->code = amend_fingerprint_key_code(&sieve->printer, sieve->text.data,
						 sieve->text.size);
	return sync->slices ? amend_slices_key(sync->slices, sieve->first + i, sieve->text.data,
					       sieve->text.size, err)
			    : AMEND_OK;
}

/* Several with one key, or what seems to be one, are all left to be decided. */
static void index_entry(struct amend_sieve *sieve, uint64_t i)
{
	struct amend_sieve_entry *entry = &sieve->entries[i];
	struct amend_sieve_slot *slot;

	if (entry->code == 0)
		return;
	slot = slot_of(sieve, entry->code);
	if (slot->entry) {
		sieve->entries[slot->entry - 1].state = AMEND_SIEVE_OPEN;
		entry->state = AMEND_SIEVE_OPEN;
		return;
	}
	*slot = (struct amend_sieve_slot){(uint32_t)(i + 1), (uint32_t)(entry->code >> 32)};
}

/* Some dozens at a time: while one is named, the slots of others are on their way from memory. */
static enum amend_status enter(struct amend_sieve *sieve, struct amend_store_reader *reader,
			       struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (uint64_t from = 0, to; from < sieve->n && status == AMEND_OK; from = to) {
		to = sieve->n - from < AMEND_SIEVE_AHEAD ? sieve->n : from + AMEND_SIEVE_AHEAD;
		for (uint64_t i = from; i < to && status == AMEND_OK; i++) {
			status = next_bytes(sieve, reader, &sieve->entries[i].bytes, err);
			if (status == AMEND_OK)
				status = name_entry(sieve, i, err);
			amend_sieve_fetch(&sieve->slots[sieve->entries[i].code & sieve->mask]);
		}
		for (uint64_t i = from; i < to && status == AMEND_OK; i++)
			index_entry(sieve, i);
	}
	return status;
}

/* Every field that is used, also what is not written: a settled record is no other than its row. */
static bool same_fields(struct amend_sieve *sieve, const struct amend_sieve_entry *entry,
			const struct amend_value *row)
{
	const struct amend_sync *sync = sieve->sync;
	const char *problem;

	amend_store_decode(entry->bytes, sieve->fields, sync->n_used, &problem);
	for (uint32_t u = 0; u < sync->n_used; u++) {
		const struct amend_column *column = &sync->table->columns[sync->used[u].column];

		if (sieve->fields[u].kind == AMEND_STORE_ABSENT)
			return false;
		if (!amend_sync_plainly(sync, column, &sieve->fields[u], &row[sync->used[u].column]))
			return false;
	}
	return true;
}

/* What the base under this row would be if the record were settled: whose, and its digest. */
static void expect_base(struct amend_sieve *sieve, struct amend_sieve_entry *entry,
			const struct amend_fingerprint *print)
{
	entry->pk = print->name;
	memcpy(entry->digest, print->digest, sizeof(entry->digest));
	sieve->n_equal++;
	sieve->sum ^= print->sum;
}

/* The same as a base that is kept, to be written: the record's first. The fingerprint has just been taken. */
static enum amend_status keep_first_base(struct amend_sieve *sieve, struct amend_sieve_entry *entry,
					 struct amend_error *err)
{
	const struct amend_fingerprinter *printer = &sieve->printer;
	struct amend_arena *arena = &sieve->sync->arena;
	struct amend_base *base = amend_arena_alloc(arena, sizeof(*base));

	if (!base)
		return amend_no_memory(err);
	base->source = sieve->sync->source_name;
	base->pk = amend_arena_text_n(arena, printer->name.data, printer->name.size);
	base->pack = amend_arena_text_n(arena, printer->pack.data, printer->pack.size);
	base->pack_size = printer->pack.size;
	base->first_key = amend_arena_text_n(arena, printer->key.data, printer->key.size);
	memcpy(base->digest, entry->digest, sizeof(base->digest));
	entry->base = base;
	return base->pk && base->pack && base->first_key ? AMEND_OK : amend_no_memory(err);
}

void amend_sieve_settle(struct amend_sieve *sieve, struct amend_sieve_entry *entry)
{
	entry->state = AMEND_SIEVE_SETTLED;
	sieve->n_settled++;
}

static enum amend_status keep_row(struct amend_sieve *sieve, struct amend_sieve_entry *entry,
				  const struct amend_row *row, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	struct amend_row *kept;
	enum amend_status status;

	entry->state = AMEND_SIEVE_SEEN;
	/* Slice by slice there is no room to keep it: it is read again. */
	if (sync->slices)
		return AMEND_OK;
	kept = amend_arena_alloc(&sync->arena, sizeof(*kept));
	if (!kept)
		return amend_no_memory(err);
	status = amend_row_keep(sync->table, row, &sync->arena, kept, err);
	if (status != AMEND_OK)
		return status;
	entry->row = kept;
	sieve->n_seen++;
	entry->pk = amend_fingerprint_code(&sieve->printer, kept->pk, strlen(kept->pk));
	return AMEND_OK;
}

/* One row that has the entry's key. */
enum amend_status amend_sieve_take_row(struct amend_sieve *sieve, struct amend_sieve_entry *entry,
				       const struct amend_row *row,
				       const struct amend_fingerprint *print,
				       struct amend_error *err)
{
	struct amend_fingerprint own;
	enum amend_status status = AMEND_OK;

	if (sieve->sync->slices)
		entry->at = amend_place_of(sieve->sync->table, row);
	/* Without a base there is one to write: what differs not even then is kept for that. */
	if ((sieve->sync->baseless && !sieve->firsts) || !same_fields(sieve, entry, row->values))
		return keep_row(sieve, entry, row, err);
	entry->state = AMEND_SIEVE_EQUAL;
	if (!print || sieve->firsts) {
		status = amend_fingerprint(&sieve->printer, row, &own, err);
		print = &own;
	}
	if (status != AMEND_OK)
		return status;
	expect_base(sieve, entry, print);
	return sieve->firsts ? keep_first_base(sieve, entry, err) : AMEND_OK;
}

/* About how many rows the engine takes the table to have; -1: it does not know. */
static enum amend_status estimate_rows(struct amend_sync *sync, int64_t *out,
				       struct amend_error *err)
{
	const char *const *query = sync->db->dialect->row_estimate;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;

	*out = -1;
	if (!*query[0])
		return AMEND_OK;
	amend_sql_init(&sql, sync->db);
	amend_sql_text(&sql, query[0]);
	amend_sql_string(&sql, sync->table->sql);
	amend_sql_text(&sql, query[1]);
	status = amend_exec(sync->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1 &&
	    !amend_value_number(amend_rows_at(&rows, 0, 0), out))
		*out = -1;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* How many rows there are, of so many at most. */
static enum amend_status count_rows(struct amend_sync *sync, uint64_t most, int64_t *out,
				    struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;

	*out = 0;
	amend_sql_init(&sql, sync->db);
	amend_sql_text(&sql, "SELECT count(*) FROM (SELECT 1 FROM ");
	amend_sql_text(&sql, sync->table->sql);
	amend_sql_printf(&sql, " LIMIT %llu) few", (unsigned long long)most);
	status = amend_exec(sync->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1)
		amend_value_number(amend_rows_at(&rows, 0, 0), out);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* Of so many at most, and one more where there are more; or as the engine estimates. */
static enum amend_status rows_up_to(struct amend_sync *sync, uint64_t most, uint64_t *out,
				    struct amend_error *err)
{
	int64_t count = 0;
	enum amend_status status = estimate_rows(sync, &count, err);

	if (status == AMEND_OK && count < 0)
		status = count_rows(sync, most + 1, &count, err);
	*out = (uint64_t)count;
	return status;
}

enum amend_status amend_sieve_choose(struct amend_sync *sync, uint64_t n, enum amend_sieve_way *out,
				     struct amend_error *err)
{
	const struct amend_sync_key *key = &sync->keys[0];
	bool keyed = amend_row_scans_keys(sync->db, sync->table, key->columns, key->n);
	uint64_t all = n * (keyed ? ROWS_A_KEY : ROWS_A_LOOKUP), count;
	uint64_t most = keyed ? n * ROWS_A_PROBE : all;
	enum amend_status status = rows_up_to(sync, most, &count, err);

	*out = AMEND_SIEVE_BY_KEY;
	if (status == AMEND_OK && count <= most)
		*out = count <= all ? AMEND_SIEVE_BY_SCAN : AMEND_SIEVE_BY_KEYED_SCAN;
	return status;
}

enum amend_status amend_sieve_whole(struct amend_sync *sync, uint64_t n, bool *out,
				    struct amend_error *err)
{
	uint64_t most = n * ROWS_A_LOOKUP, count;
	enum amend_status status = rows_up_to(sync, most, &count, err);

	*out = status == AMEND_OK && count <= most;
	return status;
}

bool amend_sieve_may_compare(const struct amend_sync *sync)
{
	return !sync->create_sql && !sync->options->create_only && !amend_sync_trims(sync, 0);
}

enum amend_status amend_sieve_run(struct amend_sync *sync, struct amend_store_reader *reader,
				  uint64_t first, uint64_t n, struct amend_sieve **out,
				  struct amend_error *err)
{
	enum amend_sieve_way way = AMEND_SIEVE_BY_KEY;
	struct amend_sieve *sieve;
	enum amend_status status;

	*out = NULL;
	sync->n_first = 0;
	/* Trailing blanks are not followed here. */
	if (n == 0 || n > UINT32_MAX / 2 || (amend_sync_trims(sync, 0) && !sync->slices))
		return AMEND_OK;
	status = make(sync, first, n, out, err);
	if (status == AMEND_OK)
		status = enter(*out, reader, err);
	/* Without a comparison there is nothing to find out, but which records have the same key. */
	sieve = *out;
	if (status == AMEND_OK)
		sieve->compares = amend_sieve_may_compare(sync) && !sync->sift;
	if (status != AMEND_OK || (!sieve->compares && !sync->slices))
		return status;
	/*
	 * Every slice would read it all; and what only the database compares it is asked. Where the key is unique by its
	 * rule, a row that has the very text is the one that it would find.
	 */
	if (sync->early)
		way = AMEND_SIEVE_BY_SCAN;
	else if (!sync->slices && (!amend_sync_odd(sync) || sync->keys[0].unique))
		status = amend_sieve_choose(sync, n, &way, err);
	if (status != AMEND_OK)
		return status;
	sieve->keyed = way == AMEND_SIEVE_BY_KEYED_SCAN;
	return way == AMEND_SIEVE_BY_KEY ? amend_sieve_by_key(sieve, err)
					 : amend_sieve_by_scan(sieve, err);
}

bool amend_sieve_settled(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve && sieve->entries[index].state == AMEND_SIEVE_SETTLED;
}

uint64_t amend_sieve_count(const struct amend_sieve *sieve)
{
	return sieve ? sieve->n_settled : 0;
}

const struct amend_row *amend_sieve_row(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve && sieve->entries[index].state == AMEND_SIEVE_SEEN ? sieve->entries[index].row
									: NULL;
}

const struct amend_base *amend_sieve_base(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve && sieve->entries[index].state == AMEND_SIEVE_SEEN ? sieve->entries[index].base
									: NULL;
}

const struct amend_base *amend_sieve_first_base(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve && sieve->firsts && sieve->entries[index].state == AMEND_SIEVE_SETTLED
		       ? sieve->entries[index].base
		       : NULL;
}

bool amend_sieve_strays(const struct amend_sieve *sieve, const struct amend_base **out, size_t *n,
			uint64_t *n_known)
{
	if (!sieve || !sieve->scanned)
		return false;
	*out = sieve->strays;
	*n = sieve->n_strays;
	*n_known = sieve->n_known;
	return true;
}

bool amend_sieve_strays_stand(const struct amend_sieve *sieve)
{
	return sieve && sieve->strays_stand;
}

const unsigned char *amend_sieve_bytes(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve->entries[index].bytes;
}

void amend_sieve_pull(struct amend_sieve *sieve, int64_t index)
{
	sieve->entries[index].state = AMEND_SIEVE_OPEN;
	sieve->n_settled--;
}

const struct amend_value *amend_sieve_fresh(struct amend_sieve *sieve, uint64_t index,
					    uint64_t *code)
{
	const struct amend_sieve_entry *entry = &sieve->entries[index];
	const char *problem;

	*code = entry->alias ? entry->alias : entry->code;
	if (entry->state != AMEND_SIEVE_FRESH)
		return NULL;
	amend_store_decode(entry->bytes, sieve->fields, sieve->sync->n_used, &problem);
	return sieve->fields;
}

uint64_t amend_sieve_place(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve->entries[index].at;
}

int64_t amend_sieve_pull_key(struct amend_sieve *sieve, const char *key, size_t size)
{
	struct amend_sieve_entry *entry;

	if (!sieve || sieve->n_settled == 0)
		return -1;
	amend_buffer_reset(&sieve->text);
	amend_buffer_add(&sieve->text, key, size);
	entry = sieve->text.failed
			? NULL
			: amend_sieve_find(sieve, amend_fingerprint_key_code(
							  &sieve->printer, sieve->text.data, size));
	if (!entry || entry->state != AMEND_SIEVE_SETTLED)
		return -1;
	amend_sieve_pull(sieve, entry - sieve->entries);
	return entry - sieve->entries;
}

bool amend_sieve_has_key(struct amend_sieve *sieve, const char *key, size_t size)
{
	const struct amend_sieve_entry *entry;

	if (!sieve || sieve->n_settled == 0)
		return false;
	amend_buffer_reset(&sieve->text);
	amend_buffer_add(&sieve->text, key, size);
	/* Without memory for a look it is said to be there: then nothing is lost. */
	if (sieve->text.failed)
		return true;
	entry = amend_sieve_find(
		sieve, amend_fingerprint_key_code(&sieve->printer, sieve->text.data, size));
	return entry && entry->state == AMEND_SIEVE_SETTLED;
}

/* By base: every settled record has one. */
static enum amend_status index_names(struct amend_sieve *sieve, struct amend_error *err)
{
	sieve->by_name = calloc(sieve->mask + 1, sizeof(*sieve->by_name));
	if (!sieve->by_name)
		return amend_no_memory(err);
	for (uint64_t i = 0; i < sieve->n; i++) {
		uint64_t at = sieve->entries[i].pk & sieve->mask;

		if (sieve->entries[i].state != AMEND_SIEVE_SETTLED)
			continue;
		while (sieve->by_name[at])
			at = (at + 1) & sieve->mask;
		sieve->by_name[at] = (uint32_t)(i + 1);
	}
	return AMEND_OK;
}

enum amend_status amend_sieve_has_pk(struct amend_sieve *sieve, const char *pk, size_t size,
				     bool *has, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	uint64_t code, at;

	*has = false;
	if (!sieve)
		return AMEND_OK;
	if (!sieve->by_name)
		status = index_names(sieve, err);
	if (status != AMEND_OK)
		return status;
	code = amend_fingerprint_code(&sieve->printer, pk, size);
	for (at = code & sieve->mask; sieve->by_name[at] && !*has; at = (at + 1) & sieve->mask) {
		const struct amend_sieve_entry *entry = &sieve->entries[sieve->by_name[at] - 1];

		*has = entry->pk == code && entry->state == AMEND_SIEVE_SETTLED;
	}
	return AMEND_OK;
}

int64_t amend_sieve_claims(const struct amend_sync *sync, const struct amend_row *row)
{
	struct amend_sieve *sieve = sync->sieve;
	const struct amend_sieve_entry *entry;

	if (!sieve || sieve->n_settled == 0 || !amend_sieve_key_text(sieve, row->values))
		return -1;
	entry = amend_sieve_find(sieve, amend_fingerprint_key_code(&sieve->printer, sieve->text.data,
								   sieve->text.size));
	if (!entry || entry->state != AMEND_SIEVE_SETTLED ||
	    entry->pk != amend_fingerprint_code(&sieve->printer, row->pk, strlen(row->pk)))
		return -1;
	return entry - sieve->entries;
}

/*
 * Finds the records that are plainly unchanged, by reading the table once, or by key.
 * Leaves the rest, and every doubt, to match.c and decide.c.
 *
 * Rows are read before bases. Somebody who writes in between may make the two disagree:
 * then the record is decided, and what it writes is proved. Where they agree, row
 * and input were equal when the row was read, and there is nothing to write.
 */
#include "sync/sieve.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "sync/sync.h"

enum {
	BATCH = 4000, /* records looked up by key at a time */
	PROGRESS = 10000,
	/* A look-up by key costs as much as reading so many rows in a row (measured: docs/performance.md). */
	ROWS_A_LOOKUP = 5,
};

enum state {
	FRESH,
	EQUAL, /* one row has its key and is what the record says; its base is yet to be seen */
	SEEN,  /* one row has its key, and differs, or there is no base */
	SETTLED,
	OPEN, /* to be decided without help from here */
};

struct entry {
	const unsigned char *bytes;
	const struct amend_row *row;
	const struct amend_base *base; /* of that row, where it was read with it */
	uint64_t code;                 /* of its first key; 0: it has none that counts here */
	uint64_t pk;                   /* of the row's name */
	unsigned char digest[AMEND_BASE_DIGEST_SIZE]; /* of the base that would settle it */
	unsigned char state;
};

/* So small that looking for a code mostly stays within a line of the processor's cache. */
struct slot {
	uint32_t entry; /* 1 + its index; 0: free */
	uint32_t mark;  /* the code's upper half */
};

struct amend_sieve {
	struct amend_sync *sync;
	struct entry *entries;
	uint64_t first, n, n_settled;
	struct amend_arena bytes; /* copies of the records, where they do not stay in the store */
	struct slot *slots;       /* of entries, by code */
	uint32_t *by_name; /* the same of settled ones, by the code of their row's name; made when asked for */
	uint64_t mask;
	bool folds; /* the first key is compared without ASCII case */
	unsigned char secret[crypto_shorthash_KEYBYTES];
	struct amend_value *fields; /* of the record looked at */
	struct amend_base *strays;  /* bases whose first key no record has */
	size_t n_strays, strays_room;
	uint64_t n_known; /* bases whose first key one has */
	bool compares;    /* with rows; else keys alone are made canonical */
	bool scanned;     /* all bases were read */
	uint64_t n_found; /* rows that have a record's key, so far */
	struct amend_buffer text, pack;
};

void amend_sieve_free(struct amend_sieve *sieve)
{
	if (!sieve)
		return;
	free(sieve->entries);
	free(sieve->slots);
	free(sieve->by_name);
	free(sieve->strays);
	free(sieve->fields);
	amend_arena_release(&sieve->bytes);
	amend_buffer_release(&sieve->text);
	amend_buffer_release(&sieve->pack);
	free(sieve);
}

static uint64_t code_of(const struct amend_sieve *sieve, const char *text, size_t size)
{
	uint64_t code;

	_Static_assert(crypto_shorthash_BYTES == sizeof(code), "SipHash-2-4");
	crypto_shorthash((unsigned char *)&code, (const unsigned char *)text, size, sieve->secret);
	return code ? code : 1;
}

static uint64_t key_code(const struct amend_sieve *sieve, char *text, size_t size)
{
	if (sieve->folds)
		amend_sync_fold_key(sieve->sync, 0, text, size);
	return code_of(sieve, text, size);
}

/* The slot of the code: its entry's, or the free one where it would be. */
static struct slot *slot_of(const struct amend_sieve *sieve, uint64_t code)
{
	uint64_t i = code & sieve->mask;

	while (sieve->slots[i].entry && (sieve->slots[i].mark != (uint32_t)(code >> 32) ||
					 sieve->entries[sieve->slots[i].entry - 1].code != code))
		i = (i + 1) & sieve->mask;
	return &sieve->slots[i];
}

static struct entry *find(const struct amend_sieve *sieve, uint64_t code)
{
	const struct slot *slot = slot_of(sieve, code);

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
	sieve->folds = amend_sync_folds(sync, 0);
	randombytes_buf(sieve->secret, sizeof(sieve->secret));
	return sieve->entries && sieve->slots && sieve->fields ? AMEND_OK : amend_no_memory(err);
}

/* The first key of `fields`, as a base spells it; false where it is blank. */
static bool key_text(struct amend_sieve *sieve, const struct amend_value *row)
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

/* Several with one key, or what seems to be one, are all left to be decided. */
static enum amend_status enter(struct amend_sieve *sieve, struct amend_store_reader *reader,
			       struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	enum amend_status status = AMEND_OK;

	for (uint64_t i = 0; i < sieve->n && status == AMEND_OK; i++) {
		struct entry *entry = &sieve->entries[i];
		const char *problem;
		struct slot *slot;
		bool conflict;

		status = next_bytes(sieve, reader, &entry->bytes, err);
		if (status != AMEND_OK)
			break;
		entry->state = OPEN;
		amend_store_decode(entry->bytes, sieve->fields, sync->n_used, &problem);
		if (problem || !key_text(sieve, NULL))
			continue;
		/* An open conflict may end now. */
		conflict = amend_sync_open_of(sync, sieve->text.data, sieve->text.size) != NULL;
		entry->code = key_code(sieve, sieve->text.data, sieve->text.size);
		if (sync->slices)
			status = amend_slices_key(sync->slices, sieve->first + i, sieve->text.data,
						  sieve->text.size, err);
		slot = slot_of(sieve, entry->code);
		if (slot->entry) {
			sieve->entries[slot->entry - 1].state = OPEN;
			continue;
		}
		*slot = (struct slot){(uint32_t)(i + 1), (uint32_t)(entry->code >> 32)};
		entry->state = conflict ? OPEN : FRESH;
	}
	return status;
}

/* Every field that is used, also what is not written: a settled record is no other than its row. */
static bool same_fields(struct amend_sieve *sieve, const struct entry *entry,
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
static enum amend_status expect_base(struct amend_sieve *sieve, struct entry *entry,
				     const struct amend_row *row, struct amend_error *err)
{
	const struct amend_sync *sync = sieve->sync;
	const struct amend_table *table = sync->table;

	amend_buffer_reset(&sieve->text);
	amend_pk_text(&sieve->text, table, row->values, &row->rowid);
	amend_buffer_reset(&sieve->pack);
	for (uint32_t c = 0; c < table->n_columns; c++) {
		int u = sync->used_of[c];

		if (u >= 0 && (sync->used[u].update || amend_sync_in_key(sync, 0, (uint32_t)u)))
			amend_pack_add(&sieve->pack, table->columns[c].name, &row->values[c]);
	}
	if (sieve->text.failed || sieve->pack.failed)
		return amend_no_memory(err);
	entry->pk = code_of(sieve, sieve->text.data, sieve->text.size);
	amend_base_digest(sieve->pack.data, sieve->pack.size, entry->digest);
	return AMEND_OK;
}

static void settle(struct amend_sieve *sieve, struct entry *entry)
{
	entry->state = SETTLED;
	sieve->n_settled++;
}

static enum amend_status keep_row(struct amend_sieve *sieve, struct entry *entry,
				  const struct amend_row *row, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	struct amend_row *kept;
	enum amend_status status;

	entry->state = SEEN;
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
	entry->pk = code_of(sieve, kept->pk, strlen(kept->pk));
	return AMEND_OK;
}

/* One row that has the entry's key. */
static enum amend_status take_row(struct amend_sieve *sieve, struct entry *entry,
				  const struct amend_row *row, struct amend_error *err)
{
	/* Without a base there is one to write: what differs not even then is kept for that. */
	if (sieve->sync->baseless || !same_fields(sieve, entry, row->values))
		return keep_row(sieve, entry, row, err);
	entry->state = EQUAL;
	return expect_base(sieve, entry, row, err);
}

static enum amend_status each_row(void *context, const struct amend_row *row,
				  struct amend_error *err)
{
	struct amend_sieve *sieve = context;
	struct entry *entry;

	if (!key_text(sieve, row->values))
		return AMEND_OK;
	entry = find(sieve, key_code(sieve, sieve->text.data, sieve->text.size));
	if (!entry)
		return AMEND_OK;
	if (++sieve->n_found % PROGRESS == 0)
		amend_sync_progress(sieve->sync, "compare", sieve->n_found, sieve->n);
	if (entry->state == FRESH)
		return take_row(sieve, entry, row, err);
	/* Two rows: the key is not unique. */
	entry->state = OPEN;
	entry->row = NULL;
	return AMEND_OK;
}

static bool is_base_of(const struct amend_sieve *sieve, const struct entry *entry,
		       const struct amend_base *base)
{
	return entry->pk == code_of(sieve, base->pk, strlen(base->pk));
}

static enum amend_status keep_base(struct amend_sieve *sieve, struct entry *entry,
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

static enum amend_status each_base(void *context, const struct amend_base *base,
				   struct amend_error *err)
{
	struct amend_sieve *sieve = context;
	struct entry *entry;

	amend_buffer_reset(&sieve->text);
	amend_buffer_text(&sieve->text, base->first_key);
	if (sieve->text.failed)
		return amend_no_memory(err);
	entry = sieve->text.size ? find(sieve, key_code(sieve, sieve->text.data, sieve->text.size))
				 : NULL;
	if (!entry)
		return sieve->sync->slices ? AMEND_OK : keep_stray(sieve, base, err);
	sieve->n_known++;
	if (entry->state == EQUAL && is_base_of(sieve, entry, base)) {
		if (memcmp(base->digest, entry->digest, sizeof(entry->digest)) == 0)
			settle(sieve, entry);
		return AMEND_OK;
	}
	if (entry->state == SEEN && entry->row && base->pack && is_base_of(sieve, entry, base))
		return keep_base(sieve, entry, base, err);
	return AMEND_OK;
}

static enum amend_status by_scan(struct amend_sieve *sieve, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	/* Where they need not cross a network they come along for nothing. */
	bool packs = !amend_has(sync->db, AMEND_HAS_ARRAYS);
	enum amend_status status = amend_base_none(sync->db, sync->source_name, sync->table,
						   &sync->baseless, err);

	if (status == AMEND_OK)
		status = amend_row_scan(sync->db, sync->table, each_row, sieve, err);
	amend_sync_progress(sync, "compare", sieve->n_found, sieve->n);
	sieve->scanned = !sync->slices;
	if (status == AMEND_OK && !sync->baseless)
		status = amend_base_scan(sync->db, sync->source_name, sync->table, packs, each_base,
					 sieve, err);
	return status;
}

/* ---- by key ---- */

struct batch {
	struct entry *entries[BATCH];
	struct amend_value *values; /* BATCH times the key's columns */
	struct amend_row rows[BATCH];
	unsigned char n_found[BATCH];
	const char *keys[BATCH];
	struct amend_base bases[BATCH];
	struct amend_arena arena;
	size_t n;
};

/* The keys as the database has them. A record whose key is none drops out. */
static enum amend_status canonical_keys(struct amend_sieve *sieve, struct batch *batch,
					struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	struct amend_canon *canon = amend_arena_array(&batch->arena, batch->n * key->n,
						      sizeof(*canon));
	enum amend_status status;
	size_t n = 0;

	if (!canon)
		return amend_no_memory(err);
	for (size_t i = 0; i < batch->n; i++) {
		const char *problem;

		amend_store_decode(batch->entries[i]->bytes, sieve->fields, sync->n_used, &problem);
		for (uint32_t j = 0; j < key->n; j++)
			canon[i * key->n + j] = (struct amend_canon){
				.column = &sync->table->columns[key->columns[j]],
				.in = sieve->fields[key->used[j]],
			};
	}
	status = amend_canonicalise(sync->db, canon, batch->n * key->n, &batch->arena, err);
	for (size_t i = 0; i < batch->n && status == AMEND_OK; i++) {
		bool good = true;

		for (uint32_t j = 0; j < key->n; j++) {
			good = good && !canon[i * key->n + j].problem;
			batch->values[n * key->n + j] = canon[i * key->n + j].out;
		}
		batch->entries[n] = batch->entries[i];
		n += good;
	}
	batch->n = n;
	return status;
}

/* The bases of those that are equal, by their rows' names. */
static enum amend_status settle_equal(struct amend_sieve *sieve, struct batch *batch,
				      struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	enum amend_status status;
	size_t n = 0;

	for (size_t i = 0; i < batch->n; i++) {
		if (batch->entries[i]->state != EQUAL)
			continue;
		batch->keys[n] = batch->rows[i].pk;
		batch->entries[n++] = batch->entries[i];
	}
	if (n == 0)
		return AMEND_OK;
	status = amend_base_find(sync->db, sync->source_name, sync->table, false, batch->keys, n,
				 batch->bases, &batch->arena, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct entry *entry = batch->entries[i];
		const struct amend_base *base = &batch->bases[i];

		if (!base->pack || memcmp(base->digest, entry->digest, sizeof(entry->digest)) != 0)
			continue;
		amend_buffer_reset(&sieve->text);
		amend_buffer_text(&sieve->text, base->first_key);
		if (sieve->text.failed)
			return amend_no_memory(err);
		if (!sieve->text.size ||
		    key_code(sieve, sieve->text.data, sieve->text.size) != entry->code)
			continue;
		settle(sieve, entry);
		if (sync->slices)
			status = amend_slices_settled_row(
				sync->slices, sieve->first + (uint64_t)(entry - sieve->entries),
				base->pk, err);
	}
	return status;
}

/* "007" is 7: in whatever slice. */
static enum amend_status note_keys(struct amend_sieve *sieve, const struct batch *batch,
				   struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < batch->n && status == AMEND_OK; i++) {
		const struct entry *entry = batch->entries[i];

		for (uint32_t j = 0; j < key->n; j++)
			sieve->fields[key->used[j]] = batch->values[i * key->n + j];
		if (!key_text(sieve, NULL))
			continue;
		if (key_code(sieve, sieve->text.data, sieve->text.size) != entry->code)
			status = amend_slices_key(sync->slices,
						  sieve->first + (uint64_t)(entry - sieve->entries),
						  sieve->text.data, sieve->text.size, err);
	}
	return status;
}

static enum amend_status look_up(struct amend_sieve *sieve, struct batch *batch,
				 struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	enum amend_status status = canonical_keys(sieve, batch, err);

	if (status == AMEND_OK && sync->slices)
		status = note_keys(sieve, batch, err);
	if (!sieve->compares) {
		amend_arena_release(&batch->arena);
		batch->n = 0;
		return status;
	}
	if (status == AMEND_OK && batch->n > 0)
		status = amend_row_find_many(sync->db, sync->table, key->columns, key->n,
					     batch->values, batch->n, NULL, &batch->arena,
					     batch->rows, batch->n_found, err);
	for (size_t i = 0; i < batch->n && status == AMEND_OK; i++) {
		if (batch->n_found[i] > 1)
			batch->entries[i]->state = OPEN;
		else if (batch->n_found[i] == 1)
			status = take_row(sieve, batch->entries[i], &batch->rows[i], err);
	}
	amend_sync_progress(sync, "compare", 0, sieve->n);
	if (status == AMEND_OK)
		status = settle_equal(sieve, batch, err);
	amend_arena_release(&batch->arena);
	batch->n = 0;
	return status;
}

static enum amend_status by_key(struct amend_sieve *sieve, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	struct batch *batch = calloc(1, sizeof(*batch));
	enum amend_status status = AMEND_OK;

	if (batch)
		batch->values = calloc((size_t)BATCH * sync->keys[0].n, sizeof(*batch->values));
	if (!batch || !batch->values)
		status = amend_no_memory(err);
	for (uint64_t i = 0; i <= sieve->n && status == AMEND_OK; i++) {
		struct entry *entry = i < sieve->n ? &sieve->entries[i] : NULL;

		if (batch->n > 0 && (!entry || batch->n == BATCH)) {
			status = look_up(sieve, batch, err);
			amend_sync_progress(sync, "compare", i, sieve->n);
		}
		if (entry && entry->state == FRESH)
			batch->entries[batch->n++] = entry;
	}
	if (batch)
		free(batch->values);
	free(batch);
	return status;
}

/* ---- */

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

/* Whether reading the whole table costs less than looking up every record. */
static enum amend_status choose(struct amend_sync *sync, uint64_t n, bool *scan,
				struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	uint64_t most = n * ROWS_A_LOOKUP;
	int64_t count = 0;
	enum amend_status status = estimate_rows(sync, &count, err);

	*scan = count >= 0 && (uint64_t)count <= most;
	if (status != AMEND_OK || count >= 0)
		return status;
	count = 0;
	amend_sql_init(&sql, sync->db);
	amend_sql_text(&sql, "SELECT count(*) FROM (SELECT 1 FROM ");
	amend_sql_text(&sql, sync->table->sql);
	amend_sql_printf(&sql, " LIMIT %llu) few", (unsigned long long)most + 1);
	status = amend_exec(sync->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1)
		amend_value_number(amend_rows_at(&rows, 0, 0), &count);
	*scan = (uint64_t)count <= most;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_sieve_run(struct amend_sync *sync, struct amend_store_reader *reader,
				  uint64_t first, uint64_t n, struct amend_sieve **out,
				  struct amend_error *err)
{
	struct amend_sieve *sieve;
	enum amend_status status;
	bool scan = false;

	*out = NULL;
	/* Trailing blanks are not followed here. */
	if (n == 0 || n > UINT32_MAX / 2 || (amend_sync_trims(sync, 0) && !sync->slices))
		return AMEND_OK;
	status = make(sync, first, n, out, err);
	if (status == AMEND_OK)
		status = enter(*out, reader, err);
	/* Without a comparison there is nothing to find out, but which records have the same key. */
	sieve = *out;
	if (status == AMEND_OK)
		sieve->compares = !sync->create_sql && !sync->options->create_only &&
				  !amend_sync_trims(sync, 0);
	if (status != AMEND_OK || (!sieve->compares && !sync->slices))
		return status;
	/* Every slice would read it all; and what only the database compares it is asked. */
	if (!sync->slices && !amend_sync_odd(sync))
		status = choose(sync, n, &scan, err);
	if (status != AMEND_OK)
		return status;
	return scan ? by_scan(*out, err) : by_key(*out, err);
}

bool amend_sieve_settled(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve && sieve->entries[index].state == SETTLED;
}

uint64_t amend_sieve_count(const struct amend_sieve *sieve)
{
	return sieve ? sieve->n_settled : 0;
}

const struct amend_row *amend_sieve_row(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve && sieve->entries[index].state == SEEN ? sieve->entries[index].row : NULL;
}

const struct amend_base *amend_sieve_base(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve && sieve->entries[index].state == SEEN ? sieve->entries[index].base : NULL;
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

const unsigned char *amend_sieve_bytes(const struct amend_sieve *sieve, uint64_t index)
{
	return sieve->entries[index].bytes;
}

void amend_sieve_pull(struct amend_sieve *sieve, int64_t index)
{
	sieve->entries[index].state = OPEN;
	sieve->n_settled--;
}

int64_t amend_sieve_pull_key(struct amend_sieve *sieve, const char *key, size_t size)
{
	struct entry *entry;

	if (!sieve || sieve->n_settled == 0)
		return -1;
	amend_buffer_reset(&sieve->text);
	amend_buffer_add(&sieve->text, key, size);
	entry = sieve->text.failed ? NULL : find(sieve, key_code(sieve, sieve->text.data, size));
	if (!entry || entry->state != SETTLED)
		return -1;
	amend_sieve_pull(sieve, entry - sieve->entries);
	return entry - sieve->entries;
}

bool amend_sieve_has_key(struct amend_sieve *sieve, const char *key, size_t size)
{
	const struct entry *entry;

	if (!sieve || sieve->n_settled == 0)
		return false;
	amend_buffer_reset(&sieve->text);
	amend_buffer_add(&sieve->text, key, size);
	/* Without memory for a look it is said to be there: then nothing is lost. */
	if (sieve->text.failed)
		return true;
	entry = find(sieve, key_code(sieve, sieve->text.data, size));
	return entry && entry->state == SETTLED;
}

/* By base: every settled record has one. */
static enum amend_status index_names(struct amend_sieve *sieve, struct amend_error *err)
{
	sieve->by_name = calloc(sieve->mask + 1, sizeof(*sieve->by_name));
	if (!sieve->by_name)
		return amend_no_memory(err);
	for (uint64_t i = 0; i < sieve->n; i++) {
		uint64_t at = sieve->entries[i].pk & sieve->mask;

		if (sieve->entries[i].state != SETTLED)
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
	code = code_of(sieve, pk, size);
	for (at = code & sieve->mask; sieve->by_name[at] && !*has; at = (at + 1) & sieve->mask) {
		const struct entry *entry = &sieve->entries[sieve->by_name[at] - 1];

		*has = entry->pk == code && entry->state == SETTLED;
	}
	return AMEND_OK;
}

int64_t amend_sieve_claims(const struct amend_sync *sync, const struct amend_row *row)
{
	struct amend_sieve *sieve = sync->sieve;
	const struct entry *entry;

	if (!sieve || sieve->n_settled == 0 || !key_text(sieve, row->values))
		return -1;
	entry = find(sieve, key_code(sieve, sieve->text.data, sieve->text.size));
	if (!entry || entry->state != SETTLED ||
	    entry->pk != code_of(sieve, row->pk, strlen(row->pk)))
		return -1;
	return entry - sieve->entries;
}

/*
 * Finds the records that are plainly unchanged, by reading the table once, or by key.
 * Leaves the rest, and every doubt, to match.c and decide.c.
 *
 * Bases are read before rows. Somebody who writes in between makes the pair look
 * as if base and row differed, never as if they agreed by mistake: row and
 * input are equal in what was read last, and what the base says then is at worst old news.
 */
#include "sync/sieve.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "sync/sync.h"

enum {
	BATCH = 4000, /* records looked up by key at a time */
	/* A look-up by key costs as much as reading so many rows in a row (measured: docs/performance.md). */
	ROWS_A_LOOKUP = 5,
};

enum state {
	FRESH,
	SEEN, /* one row has its key, and differs, or its base does */
	SETTLED,
	OPEN, /* to be decided without help from here */
};

struct entry {
	const unsigned char *bytes;
	const struct amend_row *row;
	uint64_t code;    /* of its first key; 0: it has none that counts here */
	uint64_t base_pk; /* of the base with that first key: the code of its row's name */
	unsigned char digest[sizeof(((struct amend_base *)NULL)->digest)];
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
	struct amend_buffer text, pack;
};

void amend_sieve_free(struct amend_sieve *sieve)
{
	if (!sieve)
		return;
	free(sieve->entries);
	free(sieve->slots);
	free(sieve->by_name);
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
		conflict = sync->n_open > 0 &&
			   amend_hash_get(&sync->open_by_key, sieve->text.data, sieve->text.size);
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

static void take_base(struct amend_sieve *sieve, struct entry *entry, const struct amend_base *base)
{
	entry->base_pk = code_of(sieve, base->pk, strlen(base->pk));
	memcpy(entry->digest, base->digest, sizeof(entry->digest));
}

static enum amend_status each_base(void *context, const struct amend_base *base,
				   struct amend_error *err)
{
	struct amend_sieve *sieve = context;
	struct entry *entry;

	sieve->sync->baseless = false;
	amend_buffer_reset(&sieve->text);
	amend_buffer_text(&sieve->text, base->first_key);
	if (sieve->text.failed)
		return amend_no_memory(err);
	if (sieve->text.size == 0)
		return AMEND_OK;
	entry = find(sieve, key_code(sieve, sieve->text.data, sieve->text.size));
	if (!entry || entry->state != FRESH)
		return AMEND_OK;
	if (entry->base_pk)
		entry->state = OPEN; /* two of them */
	else
		take_base(sieve, entry, base);
	return AMEND_OK;
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

/* The base that would be written now is the one that is there. */
static bool same_base(struct amend_sieve *sieve, const struct entry *entry,
		      const struct amend_row *row)
{
	const struct amend_sync *sync = sieve->sync;
	const struct amend_table *table = sync->table;
	unsigned char digest[AMEND_DIGEST_SIZE];

	if (!entry->base_pk)
		return false;
	amend_buffer_reset(&sieve->text);
	amend_pk_text(&sieve->text, table, row->values, &row->rowid);
	if (sieve->text.failed ||
	    code_of(sieve, sieve->text.data, sieve->text.size) != entry->base_pk)
		return false;
	amend_buffer_reset(&sieve->pack);
	for (uint32_t c = 0; c < table->n_columns; c++) {
		int u = sync->used_of[c];

		if (u >= 0 && (sync->used[u].update || amend_sync_in_key(sync, 0, (uint32_t)u)))
			amend_pack_add(&sieve->pack, table->columns[c].name, &row->values[c]);
	}
	if (sieve->pack.failed)
		return false;
	amend_digest(sieve->pack.data, sieve->pack.size, digest);
	return memcmp(digest, entry->digest, sizeof(entry->digest)) == 0;
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
	entry->row = kept;
	return status;
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
	if (entry->state == SETTLED)
		sieve->n_settled--;
	if (entry->state != FRESH) {
		/* Two rows: the key is not unique. */
		entry->state = OPEN;
		entry->row = NULL;
		return AMEND_OK;
	}
	if (same_fields(sieve, entry, row->values) && same_base(sieve, entry, row)) {
		settle(sieve, entry);
		return AMEND_OK;
	}
	return keep_row(sieve, entry, row, err);
}

static enum amend_status by_scan(struct amend_sieve *sieve, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	enum amend_status status;

	sync->baseless = true;
	status = amend_base_scan(sync->db, sync->source_name, sync->table, false, each_base, sieve,
				 err);
	amend_sync_progress(sync, "compare", 0, sieve->n);
	if (status == AMEND_OK)
		status = amend_row_scan(sync->db, sync->table, each_row, sieve, err);
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

static enum amend_status find_bases(struct amend_sieve *sieve, struct batch *batch,
				    struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < batch->n; i++) {
		for (uint32_t j = 0; j < key->n; j++)
			sieve->fields[key->used[j]] = batch->values[i * key->n + j];
		batch->keys[i] = key_text(sieve, NULL)
					 ? amend_arena_text_n(&batch->arena, sieve->text.data,
							      sieve->text.size)
					 : NULL;
		if (!batch->keys[i])
			return amend_no_memory(err);
	}
	status = amend_base_find(sync->db, sync->source_name, sync->table, true, batch->keys,
				 batch->n, batch->bases, &batch->arena, err);
	for (size_t i = 0; i < batch->n && status == AMEND_OK; i++) {
		if (batch->bases[i].pack)
			take_base(sieve, batch->entries[i], &batch->bases[i]);
	}
	return status;
}

static enum amend_status look_up(struct amend_sieve *sieve, struct batch *batch,
				 struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	enum amend_status status = canonical_keys(sieve, batch, err);

	if (status == AMEND_OK && batch->n > 0)
		status = find_bases(sieve, batch, err);
	amend_sync_progress(sync, "compare", 0, sieve->n);
	if (status == AMEND_OK && batch->n > 0)
		status = amend_row_find_many(sync->db, sync->table, key->columns, key->n,
					     batch->values, batch->n, NULL, &batch->arena,
					     batch->rows, batch->n_found, err);
	for (size_t i = 0; i < batch->n && status == AMEND_OK; i++) {
		struct entry *entry = batch->entries[i];
		const struct amend_row *row = &batch->rows[i];

		if (batch->n_found[i] > 1)
			entry->state = OPEN;
		else if (batch->n_found[i] == 1 && same_fields(sieve, entry, row->values) &&
			 same_base(sieve, entry, row))
			settle(sieve, entry);
		else if (batch->n_found[i] == 1)
			status = keep_row(sieve, entry, row, err);
	}
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

/* Whether reading the whole table costs less than looking up every record. */
static enum amend_status choose(struct amend_sync *sync, uint64_t n, bool *scan,
				struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;
	uint64_t most = n * ROWS_A_LOOKUP;
	int64_t count = 0;

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
	enum amend_status status;
	bool scan = false;

	*out = NULL;
	/* Trailing blanks are not followed here. */
	if (n == 0 || n > UINT32_MAX / 2 || (amend_sync_trims(sync, 0) && !sync->slices))
		return AMEND_OK;
	status = make(sync, first, n, out, err);
	if (status == AMEND_OK)
		status = enter(*out, reader, err);
	/* Without a comparison there is nothing to find out. */
	if (status != AMEND_OK || sync->create_sql || sync->options->create_only ||
	    amend_sync_trims(sync, 0))
		return status;
	/* Every slice would read it all. */
	if (!sync->slices)
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
		uint64_t at = sieve->entries[i].base_pk & sieve->mask;

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

		*has = entry->base_pk == code && entry->state == SETTLED;
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
	    entry->base_pk != code_of(sieve, row->pk, strlen(row->pk)))
		return -1;
	return entry - sieve->entries;
}

/*
 * The sum that the ledger keeps of a source's bases: where it is that of the records that were found equal,
 * and of the few bases that others have, no more need be read. Leaves keeping it to ledger/feed.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sieve_inside.h"

enum {
	FEW = 10,   /* to look up one base costs as much as to read so many in a row */
	LEAST = 64, /* of so few it is no matter */
};

/* The pack of a base that was not read. */
static const char supposed[] = "";

void amend_sieve_settle_equal(struct amend_sieve *sieve)
{
	for (uint64_t i = 0; i < sieve->n; i++) {
		if (sieve->entries[i].state == AMEND_SIEVE_EQUAL)
			amend_sieve_settle(sieve, &sieve->entries[i]);
	}
}

enum amend_status amend_sieve_look(struct amend_sync *sync, struct amend_sieve_bases *out,
				   struct amend_error *err)
{
	enum amend_status status = amend_base_none(sync->db, sync->source_name, sync->table,
						   &sync->baseless, err);
	bool salted = false;

	*out = (struct amend_sieve_bases){.known = false};
	if (status != AMEND_OK || sync->baseless)
		return status;
	status = amend_base_sum_read(sync->db, sync->source_name, sync->table, &out->sum, err);
	if (status == AMEND_OK && out->sum.known && out->sum.n >= 0)
		status = amend_base_salt(sync->db, sync->source_name, sync->table, out->salt,
					 &salted, err);
	out->known = salted;
	return status;
}

enum amend_status amend_sieve_begin_sum(struct amend_sieve *sieve,
					const struct amend_sieve_bases *bases,
					struct amend_error *err)
{
	size_t n = bases->known ? (size_t)bases->sum.n : 0;

	if (!bases->known)
		return AMEND_OK;
	sieve->rest_most = n / FEW < LEAST ? LEAST : n / FEW;
	/* What is looked up is about rows that are no record's: fewer than that many. */
	if (n > sieve->n + sieve->rest_most)
		return AMEND_OK;
	sieve->rest = calloc(sieve->rest_most, sizeof(*sieve->rest));
	sieve->as_rows = calloc(sieve->rest_most, sizeof(*sieve->as_rows));
	if (!sieve->rest || !sieve->as_rows)
		return amend_no_memory(err);
	memcpy(sieve->printer.salt, bases->salt, sizeof(sieve->printer.salt));
	sieve->printer.salted = true;
	sieve->summed = true;
	return AMEND_OK;
}

static enum amend_status add(struct amend_sieve *sieve, const char *name, size_t size,
			     struct amend_error *err)
{
	/* Too many: all bases are read. */
	sieve->summed = sieve->summed && sieve->n_rest < sieve->rest_most;
	if (!sieve->summed)
		return AMEND_OK;
	sieve->rest[sieve->n_rest] = amend_arena_text_n(&sieve->sync->arena, name, size);
	return sieve->rest[sieve->n_rest++] ? AMEND_OK : amend_no_memory(err);
}

enum amend_status amend_sieve_set_aside(struct amend_sieve *sieve, const struct amend_row *row,
					struct amend_error *err)
{
	struct amend_fingerprinter *printer = &sieve->printer;
	struct amend_fingerprint print;
	struct amend_base *base;
	enum amend_status status;

	if (!sieve->summed)
		return AMEND_OK;
	status = amend_fingerprint(printer, row, &print, err);
	if (status == AMEND_OK)
		status = add(sieve, printer->name.data, printer->name.size, err);
	if (status != AMEND_OK || !sieve->summed)
		return status;
	base = &sieve->as_rows[sieve->n_as_rows++];
	base->source = sieve->sync->source_name;
	base->pk = sieve->rest[sieve->n_rest - 1];
	base->first_key = amend_arena_text_n(&sieve->sync->arena, printer->key.data,
					     printer->key.size);
	base->pack = supposed;
	memcpy(base->digest, print.digest, sizeof(base->digest));
	return base->first_key ? AMEND_OK : amend_no_memory(err);
}

/* Rows that were kept because they differ. */
static enum amend_status add_differing(struct amend_sieve *sieve, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (uint64_t i = 0; i < sieve->n && status == AMEND_OK && sieve->summed; i++) {
		const struct amend_row *row = sieve->entries[i].row;

		if (row)
			status = add(sieve, row->pk, strlen(row->pk), err);
	}
	return status;
}

/* Records without a row, and those in doubt: what they are called by their bases, if they have some. */
static enum amend_status add_keys(struct amend_sieve *sieve, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (uint64_t i = 0; i < sieve->n && status == AMEND_OK && sieve->summed; i++) {
		const struct amend_sieve_entry *entry = &sieve->entries[i];
		const char *problem;

		if ((entry->state != AMEND_SIEVE_FRESH && entry->state != AMEND_SIEVE_OPEN) ||
		    entry->code == 0)
			continue;
		amend_store_decode(entry->bytes, sieve->fields, sieve->sync->n_used, &problem);
		if (amend_sieve_key_text(sieve, NULL))
			status = add(sieve, sieve->text.data, sieve->text.size, err);
	}
	return status;
}

/* Their bases; those that are not there have no pack. */
static enum amend_status find(struct amend_sieve *sieve, bool by_first_key, size_t from, size_t to,
			      struct amend_base *bases, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;

	return amend_base_find(sync->db, sync->source_name, sync->table, by_first_key,
			       sieve->rest + from, to - from, bases + from, &sync->arena, err);
}

/* Each counts once, by whatever it was found; a second time it has no pack any more. */
static enum amend_status add_up(struct amend_sieve *sieve, struct amend_base *bases, size_t n,
				struct amend_base_sum *sum, struct amend_error *err)
{
	struct amend_hash names = {0};
	enum amend_status status = AMEND_OK;

	*sum = (struct amend_base_sum){.known = true, .n = sieve->n_equal, .code = sieve->sum};
	for (size_t i = n; i-- > 0 && status == AMEND_OK;) {
		void **slot;

		if (!bases[i].pack)
			continue;
		slot = amend_hash_put(&names, bases[i].pk, strlen(bases[i].pk));
		if (!slot) {
			status = amend_no_memory(err);
		} else if (*slot) {
			bases[i].pack = NULL;
		} else {
			*slot = &bases[i];
			sum->n++;
			sum->code ^= amend_base_code(sieve->printer.salt, bases[i].pk,
						     bases[i].first_key, bases[i].digest);
		}
	}
	amend_hash_release(&names);
	return status;
}

static int by_pk(const void *a, const void *b)
{
	const struct amend_base *x = a, *y = b;

	return strcmp(x->pk ? x->pk : "", y->pk ? y->pk : "");
}

/* As if they had been read with all others: in an order that does not depend on where rows lie. */
static enum amend_status take(struct amend_sieve *sieve, struct amend_base *bases, size_t n,
			      struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (n > 0)
		qsort(bases, n, sizeof(*bases), by_pk);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_sieve_entry *entry = NULL;
		struct amend_base base = bases[i];

		if (!base.pack)
			continue;
		if (base.pack == supposed)
			base.pack = NULL;
		amend_buffer_reset(&sieve->text);
		amend_buffer_text(&sieve->text, base.first_key);
		if (sieve->text.failed)
			return amend_no_memory(err);
		if (sieve->text.size > 0)
			entry = amend_sieve_find(
				sieve, amend_fingerprint_key_code(&sieve->printer, sieve->text.data,
								  sieve->text.size));
		status = amend_sieve_take_base(sieve, entry, &base, err);
	}
	return status;
}

/* The sum is that of these bases, and of those that equal entries would have: there are no others. */
static enum amend_status agrees(struct amend_sieve *sieve, struct amend_base *bases, bool *agreed,
				struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	struct amend_base_sum found, sum;
	enum amend_status status = add_up(sieve, bases, sieve->n_rest, &found, err);

	/* Last: who writes one meanwhile makes it disagree. */
	if (status == AMEND_OK)
		status = amend_base_sum_read(sync->db, sync->source_name, sync->table, &sum, err);
	*agreed = status == AMEND_OK && sum.known && sum.n == found.n && sum.code == found.code;
	return status;
}

static int by_first_key(const void *a, const void *b)
{
	return strcmp(((const struct amend_base *)a)->first_key,
		      ((const struct amend_base *)b)->first_key);
}

/*
 * The bases of rows that are no record's come first in `bases`: which of them there are, and that they say what the rows
 * do, for the source has dropped what nobody has touched. It is so if the sum agrees.
 */
static enum amend_status suppose(struct amend_sieve *sieve, struct amend_base *bases,
				 struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	size_t n = sieve->n_as_rows;
	bool *there = calloc(n + 1, sizeof(*there));
	enum amend_status status;

	if (!there)
		return amend_no_memory(err);
	/* In the order of the index: each page of it once. */
	if (n > 0)
		qsort(sieve->as_rows, n, sizeof(*sieve->as_rows), by_first_key);
	status = amend_base_there(sync->db, sync->source_name, sync->table, sieve->as_rows, n,
				  there, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (there[i])
			bases[i] = sieve->as_rows[i];
	}
	free(there);
	return status;
}

enum amend_status amend_sieve_by_sum(struct amend_sieve *sieve, bool *settled,
				     struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	size_t n_as_rows = sieve->n_as_rows, n_rows;
	enum amend_status status = add_differing(sieve, err);
	struct amend_base *bases;

	*settled = false;
	n_rows = sieve->n_rest;
	if (status == AMEND_OK)
		status = add_keys(sieve, err);
	if (status != AMEND_OK || !sieve->summed)
		return status;
	bases = amend_arena_array(&sync->arena, sieve->n_rest, sizeof(*bases));
	if (!bases)
		return amend_no_memory(err);
	status = find(sieve, false, n_as_rows, n_rows, bases, err);
	if (status == AMEND_OK)
		status = find(sieve, true, n_rows, sieve->n_rest, bases, err);
	if (status == AMEND_OK)
		status = suppose(sieve, bases, err);
	if (status == AMEND_OK)
		status = agrees(sieve, bases, settled, err);
	if (status == AMEND_OK && !*settled && n_as_rows > 0) {
		status = find(sieve, false, 0, n_as_rows, bases, err);
		if (status == AMEND_OK)
			status = agrees(sieve, bases, settled, err);
	}
	if (status != AMEND_OK || !*settled)
		return status;
	amend_sieve_settle_equal(sieve);
	sieve->n_known = sieve->n_settled;
	/* What was found by key is a record's. */
	sieve->strays_stand = true;
	return take(sieve, bases, sieve->n_rest, err);
}

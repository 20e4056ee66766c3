/*
 * Fingerprints of rows: codes of their names, and what base they would have.
 * Leaves what they are compared with to sieve.c.
 */
#include "sync/fingerprint.h"

#include <string.h>

#include "sync/sync.h"

void amend_fingerprinter_begin(struct amend_fingerprinter *printer, const struct amend_sync *sync,
			       const unsigned char *salt)
{
	*printer = (struct amend_fingerprinter){
		.sync = sync, .folds = amend_sync_folds(sync, 0), .salted = salt != NULL};
	randombytes_buf(printer->secret, sizeof(printer->secret));
	if (salt)
		memcpy(printer->salt, salt, sizeof(printer->salt));
}

void amend_fingerprinter_copy(struct amend_fingerprinter *printer,
			      const struct amend_fingerprinter *from)
{
	/* Not its buffers, which another thread may be using. */
	*printer = (struct amend_fingerprinter){
		.sync = from->sync, .folds = from->folds, .salted = from->salted};
	memcpy(printer->secret, from->secret, sizeof(printer->secret));
	memcpy(printer->salt, from->salt, sizeof(printer->salt));
}

void amend_fingerprinter_release(struct amend_fingerprinter *printer)
{
	amend_buffer_release(&printer->key);
	amend_buffer_release(&printer->name);
	amend_buffer_release(&printer->pack);
}

uint64_t amend_fingerprint_code(const struct amend_fingerprinter *printer, const char *text,
				size_t size)
{
	uint64_t code;

	_Static_assert(crypto_shorthash_BYTES == sizeof(code), "SipHash-2-4");
	crypto_shorthash((unsigned char *)&code, (const unsigned char *)text, size, printer->secret);
	return code ? code : 1;
}

uint64_t amend_fingerprint_key_code(const struct amend_fingerprinter *printer, char *text,
				    size_t size)
{
	if (printer->folds)
		amend_sync_fold_key(printer->sync, 0, text, size);
	return amend_fingerprint_code(printer, text, size);
}

/* False: blank. */
static bool take_key(struct amend_fingerprinter *printer, const struct amend_row *row)
{
	return amend_sync_key_text(&printer->key, printer->sync, 0, NULL, row->values);
}

enum amend_status amend_fingerprint_key(struct amend_fingerprinter *printer,
					const struct amend_row *row, struct amend_fingerprint *out,
					struct amend_error *err)
{
	memset(out, 0, sizeof(*out));
	if (!take_key(printer, row))
		return AMEND_OK;
	if (printer->key.failed)
		return amend_no_memory(err);
	out->code = amend_fingerprint_key_code(printer, printer->key.data, printer->key.size);
	return AMEND_OK;
}

enum amend_status amend_fingerprint(struct amend_fingerprinter *printer, const struct amend_row *row,
				    struct amend_fingerprint *out, struct amend_error *err)
{
	const struct amend_sync *sync = printer->sync;
	const struct amend_table *table = sync->table;

	memset(out, 0, sizeof(*out));
	if (!take_key(printer, row))
		return AMEND_OK;
	amend_buffer_reset(&printer->name);
	amend_pk_text(&printer->name, table, row->values, &row->rowid);
	amend_buffer_reset(&printer->pack);
	for (uint32_t c = 0; c < table->n_columns; c++) {
		int u = sync->used_of[c];

		if (u >= 0 && (sync->used[u].update || amend_sync_in_key(sync, 0, (uint32_t)u)))
			amend_pack_add(&printer->pack, table->columns[c].name, &row->values[c]);
	}
	if (printer->key.failed || printer->name.failed || printer->pack.failed)
		return amend_no_memory(err);
	out->name = amend_fingerprint_code(printer, printer->name.data, printer->name.size);
	amend_base_digest(printer->pack.data, printer->pack.size, out->digest);
	if (printer->salted)
		out->sum = amend_base_code(printer->salt, printer->name.data, printer->key.data,
					   out->digest);
	out->code = amend_fingerprint_key_code(printer, printer->key.data, printer->key.size);
	/* As a base spells it: not folded. */
	if (printer->folds && (!take_key(printer, row) || printer->key.failed))
		return amend_no_memory(err);
	return AMEND_OK;
}

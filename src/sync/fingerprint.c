/*
 * Fingerprints of rows: codes of their names, and what base they would have.
 * Leaves what they are compared with to sieve.c.
 */
#include "sync/fingerprint.h"

#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "sync/sync.h"

static void end_head(struct amend_fingerprinter *printer, uint32_t column)
{
	printer->parts[printer->n_parts++] = (struct amend_fingerprint_part){column,
									     printer->heads.size};
}

static void add_name_head(struct amend_fingerprinter *printer, const char *name, uint32_t column)
{
	amend_buffer_char(&printer->heads, printer->n_parts ? ',' : '{');
	amend_json_string(&printer->heads, name, strlen(name));
	amend_buffer_char(&printer->heads, ':');
	end_head(printer, column);
}

/* As amend_pk_text and amend_pack_add would write them. */
static void add_heads(struct amend_fingerprinter *printer)
{
	const struct amend_sync *sync = printer->sync;
	const struct amend_table *table = sync->table;

	printer->parts = calloc(table->n_identity + 1 + table->n_columns, sizeof(*printer->parts));
	if (!printer->parts)
		return;
	for (size_t i = 0; i < table->n_identity; i++)
		add_name_head(printer, table->columns[table->identity[i]].name, table->identity[i]);
	if (table->n_identity == 0)
		add_name_head(printer, table->rowid ? table->rowid : "", AMEND_FINGERPRINT_ROWID);
	printer->n_name = printer->n_parts;
	for (uint32_t c = 0; c < table->n_columns; c++) {
		int u = sync->used_of[c];

		if (u < 0 || (!sync->used[u].update && !amend_sync_in_key(sync, 0, (uint32_t)u)))
			continue;
		amend_pack_name(&printer->heads, table->columns[c].name);
		end_head(printer, c);
	}
}

void amend_fingerprinter_begin(struct amend_fingerprinter *printer, const struct amend_sync *sync,
			       const unsigned char *salt)
{
	*printer = (struct amend_fingerprinter){
		.sync = sync, .folds = amend_sync_folds(sync, 0), .salted = salt != NULL};
	add_heads(printer);
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
	add_heads(printer);
	memcpy(printer->secret, from->secret, sizeof(printer->secret));
	memcpy(printer->salt, from->salt, sizeof(printer->salt));
}

void amend_fingerprinter_release(struct amend_fingerprinter *printer)
{
	amend_buffer_release(&printer->key);
	amend_buffer_release(&printer->name);
	amend_buffer_release(&printer->pack);
	amend_buffer_release(&printer->heads);
	free(printer->parts);
	printer->parts = NULL;
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

/* Name and pack of the row. */
static void take_texts(struct amend_fingerprinter *printer, const struct amend_row *row)
{
	const struct amend_column *columns = printer->sync->table->columns;
	const char *heads = printer->heads.data;
	size_t begin = 0;

	amend_buffer_reset(&printer->name);
	amend_buffer_reset(&printer->pack);
	for (size_t i = 0; i < printer->n_parts; i++) {
		const struct amend_fingerprint_part *part = &printer->parts[i];
		bool rowid = part->column == AMEND_FINGERPRINT_ROWID;
		const struct amend_value *value = rowid ? &row->rowid : &row->values[part->column];
		struct amend_buffer *text = i < printer->n_name ? &printer->name : &printer->pack;

		amend_buffer_add(text, heads + begin, part->end - begin);
		begin = part->end;
		if (i < printer->n_name)
			amend_json_value(text, value,
					 rowid ? AMEND_CLASS_INTEGER : columns[part->column].class_);
		else
			amend_pack_value(text, value);
	}
	amend_buffer_char(&printer->name, '}');
}

enum amend_status amend_fingerprint(struct amend_fingerprinter *printer, const struct amend_row *row,
				    struct amend_fingerprint *out, struct amend_error *err)
{
	memset(out, 0, sizeof(*out));
	if (!printer->parts || printer->heads.failed)
		return amend_no_memory(err);
	if (!take_key(printer, row))
		return AMEND_OK;
	take_texts(printer, row);
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

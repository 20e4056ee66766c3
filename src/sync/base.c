/*
 * What the source said last time: whose it is, and what it is after this run.
 * Leaves storing it to the ledger.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "sync/sync.h"

static bool same_text(const struct amend_buffer *buffer, const char *text)
{
	return !buffer->failed && strlen(text) == buffer->size &&
	       memcmp(buffer->data, text, buffer->size) == 0;
}

bool amend_key_names(const char *key, const char *column)
{
	struct amend_buffer name = AMEND_BUFFER_INIT;
	bool named = false;

	amend_json_string(&name, column, strlen(column));
	amend_buffer_char(&name, ':');
	/* Within a value a quote has a backslash before it. */
	for (const char *at = key; !name.failed && !named && (at = strstr(at, name.data)); at++)
		named = at > key && (at[-1] == '{' || at[-1] == ',');
	amend_buffer_release(&name);
	return named;
}

/* Whether the columns of the run's key are those, all of them. */
static bool key_is(const struct amend_sync *sync, const struct amend_sync_key *key,
		   const struct amend_field *fields, size_t n)
{
	bool same = key->n == n;

	for (uint32_t i = 0; i < key->n && same; i++) {
		same = false;
		for (size_t f = 0; f < n && !same; f++)
			same = strcmp(sync->table->columns[key->columns[i]].name,
				      fields[f].column) == 0;
	}
	return same;
}

static bool is_one_of_the_keys(const struct amend_sync *sync, const struct amend_field *fields,
			       size_t n)
{
	bool found = false;

	for (uint32_t k = 0; k < sync->n_keys && !found; k++)
		found = key_is(sync, &sync->keys[k], fields, n);
	return found;
}

static bool is_used(const struct amend_sync *sync, const char *column)
{
	int at = amend_table_column(sync->table, column);

	for (uint32_t u = 0; u < sync->n_used && at >= 0; u++) {
		if (sync->used[u].column == (size_t)at)
			return true;
	}
	return false;
}

enum amend_status amend_sync_known_by(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_buffer names = AMEND_BUFFER_INIT;
	struct amend_field *fields = NULL;
	const char *first_key;
	enum amend_status status = amend_base_example(sync->db, sync->source_name, sync->table,
						      &arena, &first_key, err);
	bool known = first_key == NULL;
	size_t n = 0;

	if (status == AMEND_OK && first_key)
		status = amend_pk_parse(first_key, true, &arena, &fields, &n, err);
	known = known || is_one_of_the_keys(sync, fields, n);
	for (size_t f = 0; f < n && !known; f++) {
		/* The input has it no more: then it is no key that anybody could name. */
		known = !is_used(sync, fields[f].column);
		amend_buffer_printf(&names, "%s%s", f ? "," : "", fields[f].column);
	}
	if (status == AMEND_OK && !known)
		status = names.failed
				 ? amend_no_memory(err)
				 : amend_error_set(
					   err, AMEND_INVALID,
					   "the records of source '%s' in %s are known by %s, "
					   "which is none of the keys: what was edited or deleted "
					   "here since could not be told (hint: --match %s --match "
					   "%s; or another --source, which begins anew)",
					   sync->source_name, sync->table->qualified, names.data,
					   sync->keys[0].name, names.data);
	amend_buffer_release(&names);
	amend_arena_release(&arena);
	return status;
}

/* Key `k` of record or row is what the base calls its first key; also where only the column's rule says so. */
static bool key_agrees(const struct amend_sync *sync, uint32_t k, const struct amend_base *base,
		       const struct amend_record *record, const struct amend_value *row,
		       struct amend_buffer *buffer)
{
	const struct amend_sync_key *key = &sync->keys[k];
	struct amend_value value;

	if (amend_sync_key_text(buffer, sync, k, record, NULL) && same_text(buffer, base->first_key))
		return true;
	if (amend_sync_key_text(buffer, sync, k, NULL, row) && same_text(buffer, base->first_key))
		return true;
	if (k != (uint32_t)record->first)
		return false;
	for (uint32_t i = 0; i < key->n; i++) {
		const struct amend_column *column = &sync->table->columns[key->columns[i]];
		bool same;

		/* The base's own key, of the pack; it is the first key only if the text names its columns. */
		same = amend_key_names(base->first_key, column->name) &&
		       amend_pack_find(base->pack, base->pack_size, column->name, &value) &&
		       (amend_sync_same_key(column, &value, &record->values[key->used[i]]) ||
			amend_sync_same_key(column, &value, &row[key->columns[i]]));
		if (!same)
			return false;
	}
	return true;
}

bool amend_sync_row_holds(const struct amend_table *table, const struct amend_field *fields,
			  size_t n, const struct amend_value *row)
{
	for (size_t i = 0; i < n; i++) {
		int at = amend_table_column(table, fields[i].column);

		if (at < 0 || !amend_sync_same_key(&table->columns[at], &row[at], &fields[i].value))
			return false;
	}
	return n > 0;
}

/* A key that the input has no more, and so is none of the run's: the row alone can agree with it. */
static enum amend_status row_agrees(const struct amend_sync *sync, const struct amend_base *base,
				    const struct amend_value *row, bool *agrees,
				    struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_field *fields = NULL;
	size_t n = 0;
	enum amend_status status = amend_pk_parse(base->first_key,
						  amend_has(sync->db, AMEND_HAS_TYPED_STORAGE),
						  &arena, &fields, &n, err);

	*agrees = status == AMEND_OK && !is_one_of_the_keys(sync, fields, n) &&
		  amend_sync_row_holds(sync->table, fields, n, row);
	amend_arena_release(&arena);
	return status;
}

enum amend_status amend_sync_base_agrees(const struct amend_sync *sync,
					 const struct amend_base *base,
					 const struct amend_record *record,
					 const struct amend_value *row, bool *agrees,
					 struct amend_error *err)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	*agrees = strcmp(base->first_key, record->key) == 0;
	for (uint32_t k = 0; k < sync->n_keys && !*agrees; k++)
		*agrees = key_agrees(sync, k, base, record, row, &buffer);
	/* A base that does not count for want of memory would have an edit overwritten. */
	if (buffer.failed)
		status = amend_no_memory(err);
	else if (!*agrees && *base->first_key)
		status = row_agrees(sync, base, row, agrees, err);
	amend_buffer_release(&buffer);
	return status;
}

void amend_base_merge(struct amend_buffer *pack, const struct amend_table *table,
		      const struct amend_base *old, const struct amend_value *const *incoming,
		      const char *tied)
{
	struct amend_value value;

	for (size_t c = 0; c < table->n_columns; c++) {
		const char *name = table->columns[c].name;

		if (incoming[c])
			amend_pack_add(pack, name, incoming[c]);
		else if (old && amend_pack_find(old->pack, old->pack_size, name, &value))
			amend_pack_add(pack, name, &value);
	}
	if (tied) {
		value = amend_text(tied);
		amend_pack_add(pack, AMEND_BASE_TIED, &value);
	}
}

enum amend_status amend_sync_base(struct amend_sync *sync, struct amend_record *record,
				  const bool *take, struct amend_action *action,
				  struct amend_error *err)
{
	const struct amend_table *table = sync->table;
	const struct amend_base *old = record->based ? record->seen : NULL;
	const struct amend_value **incoming = calloc(table->n_columns,
						     sizeof(const struct amend_value *));
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_base *base = &action->base;
	enum amend_status status = AMEND_OK;
	struct amend_value tied;
	char *tied_to = NULL;

	if (!incoming)
		return amend_no_memory(err);
	for (uint32_t u = 0; u < sync->n_used; u++) {
		if (take[u])
			incoming[sync->used[u].column] = &record->values[u];
	}
	if (record->found_by == AMEND_FOUND_TIED && old &&
	    amend_pack_find(old->pack, old->pack_size, AMEND_BASE_TIED, &tied)) {
		tied_to = amend_arena_text_n(&sync->arena, tied.as.text, tied.size);
		if (!tied_to)
			status = amend_no_memory(err);
	}
	amend_base_merge(&pack, table, old, incoming, tied_to);
	base->source = sync->source_name;
	base->pk = record->row ? record->row->pk : NULL;
	base->first_key = record->key;
	if (old && base->pk && pack.size == old->pack_size &&
	    (pack.size == 0 || memcmp(pack.data, old->pack, pack.size) == 0) &&
	    strcmp(old->pk, base->pk) == 0 && strcmp(old->first_key, base->first_key) == 0)
		goto out;
	base->pack = pack.failed ? NULL : amend_arena_text_n(&sync->arena, pack.data, pack.size);
	base->pack_size = pack.size;
	if (!base->pack)
		status = amend_no_memory(err);
	else
		amend_base_digest(base->pack, base->pack_size, base->digest);
	/* Nothing to say of a row that there was nothing to say of. */
	action->write_base = pack.size > 0 || old;
out:
	amend_buffer_release(&pack);
	free(incoming);
	return status;
}

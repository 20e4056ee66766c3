/*
 * Settling a conflict: the base, which becomes what the source said.
 * Leaves the record itself to resolve_values.c.
 */
#include <string.h>

#include "core/json_text.h"
#include "sync/resolve.h"

enum amend_status amend_settle_key_now(const struct amend_settlement *s,
				       const struct amend_value *row, const char **out,
				       struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	bool blank = false;

	amend_buffer_char(&text, '{');
	for (size_t i = 0; i < s->n_key; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		if (at < 0 || amend_value_blank(&row[at])) {
			blank = true;
			break;
		}
		amend_buffer_text(&text, i ? "," : "");
		amend_json_string(&text, s->table->columns[at].name,
				  strlen(s->table->columns[at].name));
		amend_buffer_char(&text, ':');
		amend_json_value(&text, &row[at], s->table->columns[at].class_);
	}
	amend_buffer_char(&text, '}');
	*out = blank ? "" : text.failed ? NULL : amend_arena_text_n(s->arena, text.data, text.size);
	amend_buffer_release(&text);
	return *out ? AMEND_OK : amend_no_memory(err);
}

enum amend_status amend_settle_find_base(struct amend_conn *db, const struct amend_settlement *s,
					 bool by_first_key, const char *key,
					 struct amend_base **out, struct amend_error *err)
{
	struct amend_base *base = amend_arena_alloc(s->arena, sizeof(*base));
	enum amend_status status;

	*out = NULL;
	if (!base)
		return amend_no_memory(err);
	status = amend_base_find(db, s->conflict.source, s->table, by_first_key, &key, 1, base,
				 s->arena, err);
	if (status == AMEND_OK && base->pack)
		*out = base;
	return status;
}

enum amend_status amend_settle_base_agrees(struct amend_conn *db, const struct amend_settlement *s,
					   const struct amend_base *seen,
					   const struct amend_value *row, bool *out,
					   struct amend_error *err)
{
	struct amend_field *fields;
	enum amend_status status;
	size_t n = 0;

	*out = seen && strcmp(seen->first_key, s->conflict.first_key) == 0;
	if (*out || !seen || !row || !*seen->first_key)
		return AMEND_OK;
	status = amend_pk_parse(seen->first_key, amend_has(db, AMEND_HAS_TYPED_STORAGE), s->arena,
				&fields, &n, err);
	*out = status == AMEND_OK && amend_sync_row_holds(s->table, fields, n, row);
	return status;
}

enum amend_status amend_settle_put_base(struct amend_conn *db, const struct amend_settlement *s,
					const struct amend_base *seen, struct amend_base *base,
					struct amend_buffer *pack, struct amend_error *err)
{
	enum amend_status status;
	bool moved = false;

	base->pack = pack->data;
	base->pack_size = pack->size;
	if (pack->failed) {
		status = amend_no_memory(err);
	} else {
		amend_base_digest(pack->data, pack->size, base->digest);
		status = amend_base_write(db, s->table, seen, base, &moved, err);
	}
	amend_buffer_release(pack);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_RETRY, "a sync changed the base meanwhile");
	return status;
}

enum amend_status amend_settle_write_base(struct amend_conn *db, const struct amend_settlement *s,
					  const struct amend_base *seen, bool ours, const char *pk,
					  const char *tied, struct amend_error *err)
{
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_base base = {
		.source = s->conflict.source, .pk = pk, .first_key = s->conflict.first_key};

	amend_base_merge(&pack, s->table, ours ? seen : NULL, s->incoming, tied);
	return amend_settle_put_base(db, s, seen, &base, &pack, err);
}

/*
 * amend_conflicts: conflicts as they are, beside what the database holds now.
 * Leaves settling them to resolve.c.
 */
#include <string.h>

#include "core/digest.h"
#include "core/json_text.h"
#include "sync/resolve.h"

struct showing {
	struct amend_conn *db;
	struct amend_arena *arena; /* of one conflict */
	struct amend_settlement
		s; /* as far as finding its row takes it; the table stays open for the next */
	amend_conflict_fn each;
	void *context;
};

/* What the database holds of a field; false: there is no record, or no such column any more. */
static bool held_now(const struct amend_settlement *s, const struct amend_value *now, size_t field,
		     struct amend_value *out)
{
	int at = now && s->table ? amend_table_column(s->table, s->conflict.fields[field].column)
				 : -1;

	if (at >= 0)
		*out = now[at];
	return at >= 0;
}

const char *amend_settle_version(const struct amend_settlement *s, const struct amend_value *now)
{
	const struct amend_value kind = amend_text(amend_conflict_kind_name(s->conflict.kind));
	const struct amend_value pk = amend_text(s->conflict.pk), there = amend_integer(now != NULL);
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	unsigned char digest[AMEND_DIGEST_SIZE];
	char hex[AMEND_DIGEST_HEX];
	const char *version = NULL;

	amend_pack_add(&pack, "kind", &kind);
	amend_pack_add(&pack, "pk", &pk);
	amend_pack_add(&pack, "there", &there);
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		struct amend_conflict_field field = s->conflict.fields[i];

		held_now(s, now, i, &field.current);
		if (field.has_base)
			amend_pack_add(&pack, "base", &field.base);
		amend_pack_add(&pack, "current", &field.current);
		amend_pack_add(&pack, field.column, &field.incoming);
		if (s->conflict.choices[i].chosen) {
			const struct amend_value take = amend_integer(s->conflict.choices[i].take);

			amend_pack_add(&pack, "take", &take);
			amend_pack_add(&pack, "value", &s->conflict.choices[i].value);
		}
	}
	if (!pack.failed) {
		amend_digest(pack.data, pack.size, digest);
		amend_digest_hex(digest, hex);
		version = amend_arena_text_n(s->arena, hex, AMEND_CONFLICT_VERSION - 1);
	}
	amend_buffer_release(&pack);
	return version;
}

/* A side of each field, as it is shown. */
static enum amend_status take_fields(struct showing *showing, const struct amend_row *row,
				     struct amend_conflict *out, struct amend_error *err)
{
	const struct amend_conflict_row *stored = &showing->s.conflict;
	struct amend_conflict_field *fields = amend_arena_array(showing->arena, stored->n_fields,
								sizeof(*fields));
	struct amend_conflict_more *more = amend_arena_array(showing->arena, stored->n_fields,
							     sizeof(*more));

	if (!fields || !more)
		return amend_no_memory(err);
	for (size_t i = 0; i < stored->n_fields; i++) {
		const struct amend_conflict_choice *choice = &stored->choices[i];

		fields[i] = stored->fields[i];
		if (held_now(&showing->s, row ? row->values : NULL, i, &fields[i].current) &&
		    !amend_value_equal(&fields[i].current, &stored->fields[i].current))
			out->as_found = false;
		more[i] = (struct amend_conflict_more){
			.found = stored->fields[i].current,
			.seen = choice->chosen ? choice->current : stored->fields[i].current,
			.chosen = choice->chosen,
			.take = choice->take,
			.value = choice->value,
			.who = choice->chosen ? choice->who : "",
		};
		if (!stored->terms)
			continue;
		more[i].adds = stored->terms[i].adds;
		more[i].min = stored->terms[i].min;
		more[i].max = stored->terms[i].max;
	}
	out->fields = fields;
	out->more = more;
	out->n_fields = stored->n_fields;
	return AMEND_OK;
}

/* "code=FR,place=2" */
static enum amend_status take_first_key(struct showing *showing, struct amend_conflict *out,
					struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_field *key = NULL;
	size_t n = 0;
	enum amend_status status = amend_pk_parse(showing->s.conflict.first_key,
						  amend_has(showing->db, AMEND_HAS_TYPED_STORAGE),
						  showing->arena, &key, &n, err);

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		amend_buffer_text(&text, i ? "," : "");
		amend_buffer_text(&text, key[i].column);
		amend_buffer_char(&text, '=');
		if (key[i].value.kind == AMEND_TEXT)
			amend_buffer_add(&text, key[i].value.as.text, key[i].value.size);
		else
			amend_json_value(&text, &key[i].value, AMEND_CLASS_TEXT);
	}
	if (status == AMEND_OK) {
		out->first_key = text.failed ? NULL
					     : amend_arena_text_n(showing->arena,
								  text.size ? text.data : "",
								  text.size);
		if (!out->first_key)
			status = amend_no_memory(err);
	}
	amend_buffer_release(&text);
	return status;
}

/* The row as it is. A table that is not there any more, or has lost the key's columns, has none. */
static enum amend_status look(struct showing *showing, struct amend_row *row, bool *found,
			      struct amend_error *err)
{
	struct amend_settlement *s = &showing->s;
	enum amend_status status;

	*found = false;
	if (strcmp(s->conflict.state, "open") != 0)
		return AMEND_OK;
	if (!s->table || strcmp(s->table->qualified, s->conflict.table) != 0) {
		amend_table_close(s->table);
		s->table = NULL;
	}
	if (s->table)
		status = amend_pk_parse(s->conflict.first_key,
					amend_has(showing->db, AMEND_HAS_TYPED_STORAGE), s->arena,
					&s->key, &s->n_key, err);
	else
		status = amend_settle_open(showing->db, s, err);
	if (status == AMEND_OK)
		status = amend_settle_find_row(showing->db, s, NULL, row, found, err);
	return status == AMEND_NOT_FOUND || status == AMEND_INVALID ? AMEND_OK : status;
}

static enum amend_status show(struct showing *showing, const struct amend_conflict_row *stored,
			      struct amend_error *err)
{
	struct amend_conflict conflict = {
		.id = stored->id,
		.version = "",
		.as_found = stored->as_found,
		.mark = stored->mark,
		.source = stored->source,
		.table = stored->table,
		.kind = stored->kind,
		.note = stored->note,
		.at = stored->at,
		.who = stored->who,
		.why = stored->why,
		.line = stored->line,
		.state = stored->state,
		.taken = stored->taken,
		.ended_at = stored->ended_at,
		.ended_by = stored->ended_by,
		.because = stored->because,
	};
	struct amend_field *key = NULL;
	struct amend_row row = {.values = NULL};
	enum amend_status status;

	showing->s.conflict = *stored;
	showing->s.arena = showing->arena;
	status = look(showing, &row, &conflict.there, err);
	if (status == AMEND_OK && stored->pk) {
		status = amend_pk_parse(stored->pk, amend_has(showing->db, AMEND_HAS_TYPED_STORAGE),
					showing->arena, &key, &conflict.n_key, err);
		conflict.key = key;
	}
	if (status == AMEND_OK)
		status = take_first_key(showing, &conflict, err);
	if (status == AMEND_OK)
		status = take_fields(showing, conflict.there ? &row : NULL, &conflict, err);
	if (status == AMEND_OK && strcmp(stored->state, "open") == 0) {
		/* It was about a record then. */
		if (!conflict.there && !amend_settle_is_absent(&showing->s))
			conflict.as_found = false;
		conflict.version = amend_settle_version(&showing->s,
							conflict.there ? row.values : NULL);
		if (!conflict.version)
			status = amend_no_memory(err);
	}
	return status == AMEND_OK ? showing->each(&conflict, showing->context, err) : status;
}

static enum amend_status list(struct amend_conn *db, const struct amend_conflict_filter *filter,
			      struct amend_arena *arena, struct amend_conflict_row **rows,
			      size_t *n, struct amend_error *err)
{
	struct amend_table *table = NULL;
	enum amend_status status = AMEND_OK;

	if (filter->table)
		status = amend_table_open(db, filter->table, &table, err);
	if (status == AMEND_OK)
		status = amend_conflict_list(db, table ? table->qualified : NULL, filter->state,
					     filter->id, arena, rows, n, err);
	if (status == AMEND_OK && filter->id && *n == 0)
		status = amend_error_set(err, AMEND_NOT_FOUND,
					 "there is no conflict %lld (hint: see `amend conflicts`)",
					 (long long)filter->id);
	amend_table_close(table);
	return status;
}

enum amend_status amend_conflicts(struct amend_conn *db, const struct amend_conflict_filter *filter,
				  amend_conflict_fn each, void *context, struct amend_error *err)
{
	struct showing showing = {.db = db, .each = each, .context = context};
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_conflict_row *rows = NULL;
	enum amend_status status = amend_enter(db, err);
	size_t n = 0;

	if (status != AMEND_OK)
		return status;
	status = list(db, filter, &arena, &rows, &n, err);
	for (size_t i = 0; rows && i < n && status == AMEND_OK; i++) {
		struct amend_arena own = AMEND_ARENA_INIT;

		showing.arena = &own;
		status = show(&showing, &rows[i], err);
		amend_arena_release(&own);
	}
	amend_table_close(showing.s.table);
	amend_arena_release(&arena);
	return amend_leave(db, status, err);
}

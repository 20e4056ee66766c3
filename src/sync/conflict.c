/*
 * A record's conflict: new, known, or over.
 * Leaves when there is one to decide.c and unique.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/plan.h"
#include "sync/sync.h"

/* A first key as its columns compare it; false: it is another key's, or nothing beside its text. */
static bool fold_name(const struct amend_sync *sync, const char *key, struct amend_arena *arena,
		      struct amend_buffer *out)
{
	const struct amend_sync_key *first = &sync->keys[0];
	struct amend_error ignored;
	struct amend_field *fields;
	size_t n;

	amend_buffer_reset(out);
	if (amend_pk_parse(key, amend_has(sync->db, AMEND_HAS_TYPED_STORAGE), arena, &fields, &n,
			   &ignored) != AMEND_OK ||
	    n != first->n)
		return false;
	for (uint32_t i = 0; i < first->n; i++) {
		const struct amend_column *column = &sync->table->columns[first->columns[i]];

		if (strcmp(fields[i].column, column->name) != 0)
			return false;
		amend_sync_fold(out, column, &fields[i].value);
	}
	return !out->failed;
}

enum amend_status amend_sync_open_conflicts(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_buffer name = AMEND_BUFFER_INIT;
	enum amend_status status;

	amend_hash_release(&sync->open_by_key);
	amend_hash_release(&sync->open_by_name);
	status = amend_conflict_open(sync->db, sync->source_name, sync->table, &sync->arena,
				     &sync->open, &sync->n_open, err);
	for (size_t i = 0; i < sync->n_open && !sync->writing; i++) {
		if (sync->open[i].id > sync->last_open)
			sync->last_open = sync->open[i].id;
	}
	for (size_t i = 0; i < sync->n_open && status == AMEND_OK; i++) {
		const char *key = sync->open[i].first_key, *folded;
		void **slot = amend_hash_put(&sync->open_by_key, key, strlen(key));

		if (!slot)
			status = amend_no_memory(err);
		else
			*slot = &sync->open[i];
		if (!amend_sync_folds(sync, 0) || !fold_name(sync, key, &arena, &name))
			continue;
		folded = amend_arena_text_n(&sync->arena, name.data, name.size);
		slot = folded ? amend_hash_put(&sync->open_by_name, folded, name.size) : NULL;
		if (!slot)
			status = amend_no_memory(err);
		else if (!*slot)
			*slot = &sync->open[i];
	}
	amend_buffer_release(&name);
	amend_arena_release(&arena);
	return status;
}

const struct amend_conflict_row *amend_sync_open_of(const struct amend_sync *sync, const char *key,
						    size_t size)
{
	const struct amend_conflict_row *open = NULL;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_buffer name = AMEND_BUFFER_INIT;
	const char *text;

	if (sync->n_open == 0)
		return NULL;
	open = amend_hash_get(&sync->open_by_key, key, size);
	if (open || !amend_sync_folds(sync, 0))
		return open;
	text = amend_arena_text_n(&arena, key, size);
	if (text && fold_name(sync, text, &arena, &name))
		open = amend_hash_get(&sync->open_by_name, name.data, name.size);
	amend_buffer_release(&name);
	amend_arena_release(&arena);
	return open;
}

/* It is this record's under another spelling of the same key, not under a later one. */
static bool spelled_otherwise(const struct amend_sync *sync, const struct amend_record *record)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_buffer one = AMEND_BUFFER_INIT, other = AMEND_BUFFER_INIT;
	bool same = strcmp(record->open->first_key, record->key) != 0 &&
		    amend_sync_folds(sync, 0) &&
		    fold_name(sync, record->open->first_key, &arena, &one) &&
		    fold_name(sync, record->key, &arena, &other) && one.size == other.size &&
		    memcmp(one.data, other.data, one.size) == 0;

	amend_buffer_release(&one);
	amend_buffer_release(&other);
	amend_arena_release(&arena);
	return same;
}

/*
 * Whether a conflict that is stored under a later key of the record can be its own. It is not where
 * it is about another row: who has that row has the conflict, the record of a base that is missing too.
 */
static bool may_take_over(const struct amend_record *record, const struct amend_conflict_row *open)
{
	if (!open->pk)
		return !record->row || open->kind != AMEND_CONFLICT_DELETED;
	return (record->row && strcmp(open->pk, record->row->pk) == 0) ||
	       (record->other && strcmp(open->pk, record->other->pk) == 0) ||
	       (record->seen && strcmp(open->pk, record->seen->pk) == 0);
}

/* By a later key, under which it may have been stored before; not one that is another record's by its first. */
static const struct amend_conflict_row *find_by_later_key(const struct amend_sync *sync,
							  const struct amend_record *record,
							  const struct amend_hash *taken)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	const struct amend_conflict_row *open = NULL;

	for (uint32_t k = (uint32_t)record->first + 1; k < sync->n_keys && !open; k++) {
		if (!amend_sync_key_text(&buffer, sync, k, record, NULL) || buffer.failed ||
		    amend_hash_get(taken, buffer.data, buffer.size))
			continue;
		open = amend_hash_get(&sync->open_by_key, buffer.data, buffer.size);
		/* Or this run has stored it, for another record. */
		if (open && (open->id > sync->last_open || !may_take_over(record, open)))
			open = NULL;
	}
	amend_buffer_release(&buffer);
	return open;
}

enum amend_status amend_sync_find_open(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_hash taken = {0};
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && sync->n_open > 0 && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];
		void **slot;

		if (record->fate != AMEND_FATE_OPEN)
			continue;
		record->open = amend_sync_open_of(sync, record->key, strlen(record->key));
		slot = record->open ? amend_hash_put(&taken, record->key, strlen(record->key))
				    : NULL;
		if (slot)
			*slot = record;
		else if (record->open)
			status = amend_no_memory(err);
	}
	for (size_t i = 0; i < sync->n_list && sync->n_open > 0; i++) {
		struct amend_record *record = sync->list[i];

		/* What a plan saw without a conflict has none: the one found may be of a record that the plan leaves out. */
		if (record->entry && !record->entry->has_open)
			continue;
		if (record->fate == AMEND_FATE_OPEN && !record->open)
			record->open = find_by_later_key(sync, record, &taken);
	}
	amend_hash_release(&taken);
	return status;
}

bool amend_sync_in_open(const struct amend_record *record, const char *column)
{
	if (!record->open || record->open->kind != AMEND_CONFLICT_FIELDS)
		return false;
	for (size_t i = 0; i < record->open->n_fields; i++) {
		if (strcmp(record->open->fields[i].column, column) == 0)
			return true;
	}
	return false;
}

struct amend_action *amend_sync_action(struct amend_sync *sync, struct amend_record *record)
{
	if (!record->action)
		record->action = amend_arena_alloc(&sync->arena, sizeof(*record->action));
	return record->action;
}

struct amend_conflict_field amend_sync_sides(const struct amend_sync *sync,
					     const struct amend_record *record,
					     const struct amend_value *row, uint32_t used)
{
	const struct amend_used *u = &sync->used[used];
	struct amend_conflict_field field = {.column = sync->table->columns[u->column].name};

	field.base = amend_null();
	field.has_base = record->based &&
			 amend_pack_find(record->seen->pack, record->seen->pack_size, field.column,
					 &field.base);
	field.current = !row ? amend_null()
			: record->marked
				? amend_sync_unmarked(sync->table, record->seen, row, u->column)
				: row[u->column];
	field.incoming = record->values[used];
	return field;
}

static const struct amend_conflict_field *stored(const struct amend_conflict_row *open,
						 const char *column)
{
	for (size_t i = 0; i < open->n_fields; i++) {
		if (strcmp(open->fields[i].column, column) == 0)
			return &open->fields[i];
	}
	return NULL;
}

static bool same_field(const struct amend_conflict_field *a, const struct amend_conflict_field *b)
{
	return a->has_base == b->has_base &&
	       (!a->has_base || amend_value_equal(&a->base, &b->base)) &&
	       amend_value_equal(&a->current, &b->current) &&
	       amend_value_equal(&a->incoming, &b->incoming);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* What was decided and counts no more stays in the note, whatever the conflict is by now. */
static bool keep_decided(struct amend_sync *sync, const struct amend_conflict_row *open,
			 struct amend_conflict_spec *spec)
{
	const char *decided = open->note ? strstr(open->note, AMEND_NOTE_DECIDED) : NULL;

	if (decided)
		spec->note = amend_arena_printf(&sync->arena, "%s%s%s", spec->note,
						*spec->note ? "; " : "", decided);
	return spec->note != NULL;
}

/* What the ledger has is compared with what it would be told: the line alone is no reason to write. */
static void compare_stored(const struct amend_conflict_row *open,
			   const struct amend_conflict_spec *spec, struct amend_action *action)
{
	bool same = open->n_fields == spec->n_fields && open->kind == spec->kind &&
		    same_text(open->note, spec->note) && same_text(open->pk, spec->pk) &&
		    same_text(open->first_key, spec->first_key);

	action->is_new = open->kind != spec->kind;
	for (size_t i = 0; i < spec->n_fields; i++) {
		const struct amend_conflict_field *before = stored(open, spec->fields[i].column);

		if (!before)
			action->is_new = true;
		same = same && before && same_field(before, &spec->fields[i]);
	}
	action->store = !same;
}

enum amend_status amend_sync_conflict(struct amend_sync *sync, struct amend_record *record,
				      enum amend_conflict_kind kind,
				      const struct amend_conflict_field *fields, size_t n_fields,
				      const char *note, struct amend_error *err)
{
	struct amend_action *action = amend_sync_action(sync, record);
	struct amend_conflict_spec *spec = amend_arena_alloc(&sync->arena, sizeof(*spec));
	struct amend_conflict_field *copy = amend_arena_array(&sync->arena, n_fields, sizeof(*copy));

	if (!action || !spec || !copy)
		return amend_no_memory(err);
	if (n_fields)
		memcpy(copy, fields, n_fields * sizeof(*copy));
	*spec = (struct amend_conflict_spec){
		.source = sync->source_name,
		.table = sync->table,
		.kind = kind,
		.pk = record->row     ? record->row->pk
		      : record->other ? record->other->pk
				      : NULL,
		.first_key = record->key,
		.fields = copy,
		.n_fields = n_fields,
		.note = note ? note : "",
		.line = record->line > 0 ? record->line : 0,
	};
	if (record->open && spelled_otherwise(sync, record))
		spec->first_key = record->open->first_key;
	if (kind != AMEND_CONFLICT_FIELDS) {
		/* Nothing is written, the base stays, and --on-conflict has settled nothing. */
		action->create = action->settled = false;
		action->puts = NULL;
		action->n_puts = 0;
		action->write_base = false;
	}
	if (record->open && !keep_decided(sync, record->open, spec))
		return amend_no_memory(err);
	action->conflict = spec;
	action->store = action->is_new = true;
	action->end = NULL;
	if (record->open) {
		compare_stored(record->open, spec, action);
		if (strcmp(record->open->first_key, spec->first_key) != 0) {
			/* It is stored under the first key from now on. */
			action->end = "closed";
			action->how = "";
		}
	}
	record->fate = AMEND_FATE_CONFLICT;
	return AMEND_OK;
}

enum amend_status amend_sync_no_conflict(struct amend_sync *sync, struct amend_record *record,
					 const char *end, const char *how, struct amend_error *err)
{
	struct amend_action *action;

	if (!record->open)
		return AMEND_OK;
	action = amend_sync_action(sync, record);
	if (!action)
		return amend_no_memory(err);
	action->end = end;
	action->how = how;
	return AMEND_OK;
}

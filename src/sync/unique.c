/*
 * Values that would stand twice once all is written, and who must write first.
 * Leaves what only the database can judge (partial and expression indexes) to it.
 *
 * A "taker" writes a new value into a unique key. It clashes with another taker
 * of the same value, and with the row that holds it, unless that row's record
 * gives it up in this run: then the holder writes first. A record in conflict
 * writes nothing, so what it holds stays: that may turn others into conflicts.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sync.h"

struct taker {
	struct amend_record *record;
	struct taker *next;    /* of the same value */
	struct taker *waiting; /* next that relies on the same holder to move away */
	bool failed;
};

/* Records that have become conflicts: what their rows hold stays. */
struct stack {
	const struct amend_record **records;
	size_t n, room;
};

/* One unique key of the table, and the values that this run puts into it. */
struct check {
	struct amend_sync *sync;
	const struct amend_key *key;
	struct taker *takers;
	size_t n_takers;
	struct amend_hash by_value; /* folded value to the first taker */
	struct amend_hash relied;   /* primary key of a holder to the takers that wait for it */
	struct stack *stack;        /* of all checks */
};

const struct amend_value *amend_sync_after(const struct amend_sync *sync,
					   const struct amend_record *record, uint32_t column)
{
	static const struct amend_value null = {.kind = AMEND_NULL};
	const struct amend_action *action = record->action;

	for (size_t i = 0; action && i < action->n_puts; i++) {
		if (action->puts[i].column == column)
			return &action->puts[i].value;
	}
	if (record->row)
		return &record->row->values[column];
	if (sync->table->columns[column].has_default || sync->table->columns[column].identity ||
	    sync->table->columns[column].generated)
		return NULL;
	return &null;
}

static bool writes(const struct amend_record *record)
{
	return record->action &&
	       (record->action->create || record->action->n_puts || record->action->remove);
}

/* The record's value of the key after the run, folded; false: NULL in it, or unknown. */
static bool value_after(const struct check *check, const struct amend_record *record,
			struct amend_buffer *buffer)
{
	const struct amend_key *key = check->key;

	amend_buffer_reset(buffer);
	for (size_t i = 0; i < key->n_columns; i++) {
		const struct amend_value *value = amend_sync_after(check->sync, record,
								   key->columns[i]);

		if (!value || (value->kind == AMEND_NULL && !key->nulls_equal))
			return false;
		amend_sync_fold(buffer, &check->sync->table->columns[key->columns[i]], value);
	}
	return true;
}

/* Whether it has another value of the key after the run than its row has now. */
static bool moves(const struct check *check, const struct amend_record *record)
{
	if (!record->row || record->action->remove)
		return true;
	for (size_t i = 0; i < check->key->n_columns; i++) {
		uint32_t column = check->key->columns[i];
		const struct amend_value *after = amend_sync_after(check->sync, record, column);

		if (!amend_sync_same_key(&check->sync->table->columns[column], after,
					 &record->row->values[column]))
			return true;
	}
	return false;
}

/* The note of a clash with a record of the input, or with a row. */
static const char *describe(struct check *check, const char *other)
{
	struct amend_buffer names = AMEND_BUFFER_INIT;
	const char *note = NULL;

	for (size_t i = 0; i < check->key->n_columns; i++) {
		amend_buffer_text(&names, i ? ", " : "");
		amend_buffer_text(&names, check->sync->table->columns[check->key->columns[i]].name);
	}
	if (!names.failed)
		note = amend_arena_printf(&check->sync->arena,
					  "%s would stand twice: %s has it too", names.data, other);
	amend_buffer_release(&names);
	return note;
}

static enum amend_status push(struct stack *stack, const struct amend_record *record,
			      struct amend_error *err)
{
	if (stack->n == stack->room) {
		size_t room = stack->room ? stack->room * 2 : 64;
		const struct amend_record **records = realloc(
			stack->records, room * sizeof(const struct amend_record *));

		if (!records)
			return amend_no_memory(err);
		stack->records = records;
		stack->room = room;
	}
	stack->records[stack->n++] = record;
	return AMEND_OK;
}

static enum amend_status fail(struct check *check, struct taker *taker, const char *other,
			      struct amend_error *err)
{
	struct amend_sync *sync = check->sync;
	struct amend_record *record = taker->record;
	struct amend_conflict_field *fields;
	const char *note;
	size_t n = 0;
	enum amend_status status;

	if (taker->failed)
		return AMEND_OK;
	taker->failed = true;
	if (record->fate == AMEND_FATE_CONFLICT &&
	    record->action->conflict->kind != AMEND_CONFLICT_FIELDS)
		return AMEND_OK;
	note = describe(check, other);
	fields = amend_arena_array(&sync->arena, sync->n_used, sizeof(*fields));
	if (!note || !fields)
		return amend_no_memory(err);
	for (uint32_t u = 0; u < sync->n_used; u++) {
		bool part = !record->row;

		for (size_t i = 0; i < check->key->n_columns; i++)
			part = part || check->key->columns[i] == sync->used[u].column;
		if (part)
			fields[n++] = amend_sync_sides(sync, record,
						       record->row ? record->row->values : NULL, u);
	}
	status = amend_sync_conflict(sync, record, AMEND_CONFLICT_UNIQUE, fields, n, note, err);
	if (status != AMEND_OK)
		return status;
	return push(check->stack, record, err);
}

static const char *name_of(const struct amend_record *record)
{
	return record->key ? record->key : "another record";
}

/* Records of other slices may want this value, or have it. */
static enum amend_status note(const struct check *check, const struct amend_record *record,
			      struct amend_buffer *value, struct amend_error *err)
{
	const struct amend_record as_it_is = {.row = record->row};
	struct amend_sync *sync = check->sync;
	struct amend_buffer thing = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (int gives = 0; gives < 2 && status == AMEND_OK; gives++) {
		if ((gives && !record->row) ||
		    !value_after(check, gives ? &as_it_is : record, value))
			continue;
		amend_buffer_reset(&thing);
		amend_buffer_printf(&thing, "key %zu ", (size_t)(check->key - sync->table->keys));
		amend_buffer_add(&thing, value->data, value->size);
		status = amend_slices_note(sync->slices, record->index, gives, &thing, err);
	}
	amend_buffer_release(&thing);
	return status;
}

/* Takers, and those of the same value. */
static enum amend_status gather(struct check *check, struct amend_error *err)
{
	struct amend_sync *sync = check->sync;
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];
		struct taker *taker, *first;
		const char *value;
		void **slot;

		if (!writes(record) || !moves(check, record))
			continue;
		if (sync->slices)
			status = note(check, record, &buffer, err);
		/* What marks a missing row may clash as well: the database says so. */
		if (status != AMEND_OK || record->fate == AMEND_FATE_MISSING ||
		    !value_after(check, record, &buffer))
			continue;
		value = buffer.failed ? NULL
				      : amend_arena_text_n(&sync->arena, buffer.data, buffer.size);
		slot = value ? amend_hash_put(&check->by_value, value, buffer.size) : NULL;
		if (!slot) {
			status = amend_no_memory(err);
			break;
		}
		taker = &check->takers[check->n_takers++];
		*taker = (struct taker){.record = record};
		first = *slot;
		if (!first) {
			*slot = taker;
			continue;
		}
		taker->next = first->next;
		first->next = taker;
		status = fail(check, first, name_of(record), err);
		if (status == AMEND_OK)
			status = fail(check, taker, name_of(first->record), err);
	}
	amend_buffer_release(&buffer);
	return status;
}

/* The key's columns are a key that this record was looked up by, in vain: no row has the value. */
static bool known_free(const struct check *check, const struct amend_record *record)
{
	const struct amend_sync *sync = check->sync;

	for (uint32_t k = 0; k < sync->n_keys; k++) {
		if ((record->missed & (uint32_t)1 << k) && sync->keys[k].unique == check->key)
			return true;
	}
	return false;
}

/* What the source calls the row, if a record that is not decided here is about it. */
static const char *name_of_row(struct check *check, const struct amend_row *row)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	struct amend_error ignored;
	const char *name = NULL;
	bool claimed = false;

	if (check->sync->slices &&
	    amend_slices_claims(check->sync, row, &claimed, &ignored) != AMEND_OK)
		claimed = false;
	if ((claimed || amend_sieve_claims(check->sync, row) >= 0) &&
	    amend_sync_key_text(&buffer, check->sync, 0, NULL, row->values) && !buffer.failed)
		name = amend_arena_text_n(&check->sync->arena, buffer.data, buffer.size);
	amend_buffer_release(&buffer);
	return name ? name : row->pk;
}

/* A row has the value that the taker wants. */
static enum amend_status meet_holder(struct check *check, struct taker *taker,
				     const struct amend_row *row, struct amend_error *err)
{
	struct amend_sync *sync = check->sync;
	struct amend_record *holder = amend_hash_get(&sync->claims, row->pk, strlen(row->pk));
	void **slot;

	if (!holder)
		holder = amend_sync_leaving(sync, row->pk);
	if (taker->record->row && strcmp(taker->record->row->pk, row->pk) == 0)
		return AMEND_OK;
	if (!holder || holder->told || !holder->row || !writes(holder) || !moves(check, holder))
		return fail(check, taker, holder ? name_of(holder) : name_of_row(check, row), err);
	slot = amend_hash_put(&check->relied, holder->row->pk, strlen(holder->row->pk));
	if (!slot)
		return amend_no_memory(err);
	taker->waiting = *slot;
	*slot = taker;
	return AMEND_OK;
}

static enum amend_status look_up(struct check *check, struct taker **batch, size_t n,
				 struct amend_error *err)
{
	struct amend_sync *sync = check->sync;
	size_t width = check->key->n_columns;
	struct amend_value *values = calloc(n * width, sizeof(*values));
	struct amend_row *rows = amend_arena_array(&sync->arena, n, sizeof(*rows));
	unsigned char *n_found = calloc(n, 1);
	enum amend_status status = AMEND_OK;

	if (!values || !rows || !n_found) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		for (size_t j = 0; j < width; j++)
			values[i * width + j] = *amend_sync_after(sync, batch[i]->record,
								  check->key->columns[j]);
	}
	if (status == AMEND_OK)
		status = amend_row_find_many(sync->db, sync->table, check->key->columns, width,
					     values, n, NULL, &sync->arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (n_found[i])
			status = meet_holder(check, batch[i], &rows[i], err);
	}
out:
	free(values);
	free(n_found);
	return status;
}

static enum amend_status find_holders(struct check *check, struct amend_error *err)
{
	struct taker **batch = calloc(AMEND_SYNC_BATCH, sizeof(struct taker *));
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	if (!batch)
		return amend_no_memory(err);
	for (size_t i = 0; i <= check->n_takers && status == AMEND_OK; i++) {
		struct taker *taker = i < check->n_takers ? &check->takers[i] : NULL;

		if (n > 0 && (!taker || n == AMEND_SYNC_BATCH)) {
			status = look_up(check, batch, n, err);
			n = 0;
		}
		if (taker && !taker->failed && writes(taker->record) &&
		    !known_free(check, taker->record))
			batch[n++] = taker;
	}
	free(batch);
	return status;
}

/* A record that became a conflict keeps its row as it is: who relied on it, by any key, clashes too. */
static enum amend_status spread(struct check *checks, size_t n, struct stack *stack,
				struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	while (stack->n > 0 && status == AMEND_OK) {
		const struct amend_record *record = stack->records[--stack->n];

		for (size_t i = 0; i < n && record->row && status == AMEND_OK; i++) {
			struct taker *taker = amend_hash_get(&checks[i].relied, record->row->pk,
							     strlen(record->row->pk));

			for (; taker && status == AMEND_OK; taker = taker->waiting)
				status = fail(&checks[i], taker, name_of(record), err);
		}
	}
	return status;
}

/* What is parked is written again by these alone. */
static bool puts_column(const struct amend_action *action, uint32_t column)
{
	for (size_t i = 0; i < action->n_puts; i++) {
		if (action->puts[i].column == column)
			return true;
	}
	return false;
}

/* The column by which the holder makes way until its turn comes; -1: it cannot. */
static int park_column(const struct check *check, const struct amend_record *holder)
{
	const struct amend_table *table = check->sync->table;
	const struct amend_action *action = holder->action;
	int best = -1;

	for (size_t i = 0; i < check->key->n_columns; i++) {
		uint32_t column = check->key->columns[i];
		bool identity = false;

		for (size_t j = 0; j < table->n_identity; j++)
			identity = identity || table->identity[j] == column;
		if (identity || table->columns[column].generated ||
		    (!action->remove && !puts_column(action, column)))
			continue;
		if (!table->columns[column].not_null && !check->key->nulls_equal)
			return (int)column;
		if (best < 0)
			best = (int)column;
	}
	return best;
}

static enum amend_status order_writes(struct check *check, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < check->sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *holder = check->sync->list[i];
		struct taker *taker;

		if (!holder->row || !writes(holder))
			continue;
		taker = amend_hash_get(&check->relied, holder->row->pk, strlen(holder->row->pk));
		for (; taker && status == AMEND_OK; taker = taker->waiting) {
			if (writes(taker->record))
				status = amend_sync_edge(check->sync, holder, taker->record,
							 park_column(check, holder), err);
		}
	}
	return status;
}

/* Whether this run can change values of the key at all. */
static bool touched(const struct amend_sync *sync, const struct amend_key *key)
{
	if (key->partial || key->expression || key->n_columns == 0)
		return false;
	for (size_t i = 0; i < key->n_columns; i++) {
		if (sync->used_of[key->columns[i]] >= 0)
			return true;
	}
	return false;
}

enum amend_status amend_sync_edge(struct amend_sync *sync, struct amend_record *before,
				  struct amend_record *after, int park, struct amend_error *err)
{
	if (sync->n_edges == sync->edges_room) {
		size_t room = sync->edges_room ? sync->edges_room * 2 : 64;
		struct amend_edge *edges = realloc(sync->edges, room * sizeof(*edges));

		if (!edges)
			return amend_no_memory(err);
		sync->edges = edges;
		sync->edges_room = room;
	}
	sync->edges[sync->n_edges++] = (struct amend_edge){before, after, park};
	return AMEND_OK;
}

enum amend_status amend_sync_unique(struct amend_sync *sync, struct amend_error *err)
{
	size_t n = sync->table->n_keys;
	struct check *checks = calloc(n + 1, sizeof(*checks));
	struct stack stack = {0};
	enum amend_status status = AMEND_OK;

	sync->n_edges = 0;
	if (!checks)
		return amend_no_memory(err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		checks[i].sync = sync;
		checks[i].key = &sync->table->keys[i];
		checks[i].stack = &stack;
		if (!touched(sync, checks[i].key))
			continue;
		checks[i].takers = calloc(sync->n_list + 1, sizeof(struct taker));
		status = checks[i].takers ? gather(&checks[i], err) : amend_no_memory(err);
		if (status == AMEND_OK)
			status = find_holders(&checks[i], err);
	}
	if (status == AMEND_OK)
		status = spread(checks, n, &stack, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = order_writes(&checks[i], err);
	for (size_t i = 0; i < n; i++) {
		free(checks[i].takers);
		amend_hash_release(&checks[i].by_value);
		amend_hash_release(&checks[i].relied);
	}
	free(checks);
	free(stack.records);
	return status;
}

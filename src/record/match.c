/*
 * Finding the record: keys in order, and what an earlier key that missed can teach.
 * Leaves what to write to gather.c.
 */
#include "record/call.h"

static enum amend_status seen_without_hold(struct amend_call *call,
					   const struct amend_request_key *key, bool *seen,
					   struct amend_error *err)
{
	struct amend_row *rows;
	size_t n;
	enum amend_status status = amend_row_find(call->db, call->table, key->columns, key->values,
						  key->n, NULL, 1, call->work.arena, &rows, &n, err);

	*seen = n > 0;
	return status;
}

/* A record that a plain reader sees but no hold finds came just now, or is not this role's to change. */
static enum amend_status look_without_hold(struct amend_call *call, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	bool seen = false;

	for (size_t i = 0; i < call->n_keys && status == AMEND_OK && !seen; i++) {
		if (!call->keys[i].blank)
			status = seen_without_hold(call, &call->keys[i], &seen, err);
	}
	if (status != AMEND_OK || !seen)
		return status;
	call->moved = true;
	if (++call->refused <= AMEND_REFUSED_TRIES)
		return AMEND_OK;
	return amend_error_set(
		err, AMEND_CONSTRAINT,
		"the record in %s can be seen but not held: a policy of the table does "
		"not let this role change it",
		call->table->qualified);
}

/* SKIPPED is an outcome without being an error: `*skip` ends the call. */
enum amend_status amend_call_match(struct amend_call *call, const struct amend_lock *lock,
				   bool *skip, struct amend_error *err)
{
	bool skips = lock->hold && lock->wait == AMEND_SKIP_LOCKED &&
		     amend_has(call->db, AMEND_HAS_ROW_LOCK);

	call->found = false;
	*skip = false;
	for (size_t i = 0; i < call->n_keys; i++) {
		const struct amend_request_key *key = &call->keys[i];
		struct amend_row *rows;
		enum amend_status status;
		size_t n;

		if (key->blank)
			continue;
		status = amend_row_find(call->db, call->table, key->columns, key->values, key->n,
					lock, 2, call->work.arena, &rows, &n, err);
		if (status == AMEND_OK && n == 0 && skips)
			status = seen_without_hold(call, key, skip, err);
		if (status != AMEND_OK || *skip)
			return status;
		if (n > 1)
			return amend_request_several(call->table, key, err);
		if (n == 0)
			continue;
		call->row = rows[0];
		call->row.held = lock->hold;
		call->found = true;
		call->found_by = i;
		call->refused = 0;
		return AMEND_OK;
	}
	if (lock->hold && amend_has(call->db, AMEND_HAS_ROW_LOCK))
		return look_without_hold(call, err);
	return AMEND_OK;
}

void amend_call_name_key(const struct amend_call *call, struct amend_error *err)
{
	const enum amend_status status = err->status;
	bool named = false;

	for (size_t i = 0; i < call->n_keys && err->status == status && *err->sqlstate && !named;
	     i++) {
		char text[sizeof(err->text)];

		memcpy(text, err->text, sizeof(text));
		if (!call->keys[i].blank)
			amend_request_key_refused(call->db, call->table, &call->keys[i], err);
		named = strcmp(text, err->text) != 0;
	}
}

const char *amend_call_key(const struct amend_call *call)
{
	for (size_t i = 0; i < call->n_keys; i++) {
		if (!call->keys[i].blank)
			return amend_request_text(call->table, &call->keys[i], call->work.arena);
	}
	return "with a blank key (a blank key never matches)";
}

/* Earlier keys missed: where the row has NULL it learns them; where it has another value, the keys contradict. */
enum amend_status amend_call_learn(struct amend_call *call, struct amend_error *err)
{
	for (size_t i = 0; i < call->found_by; i++) {
		const struct amend_request_key *key = &call->keys[i];

		for (size_t j = 0; j < key->n && !key->blank; j++) {
			const struct amend_value *current = &call->row.values[key->columns[j]];
			struct amend_put put = {.column = key->columns[j], .value = key->values[j]};
			enum amend_status status = amend_request_canonical(call->db, call->table,
									   call->row.values, &put,
									   1, call->work.arena, err);

			if (status != AMEND_OK)
				return status;
			if (current->kind == AMEND_NULL) {
				amend_request_put(call->puts, &call->n_puts, put.column, &put.value);
			} else if (!amend_value_equal(current, &put.value)) {
				call->work.result->outcome = AMEND_IS_CONFLICT;
				call->work.result->record = call->row.values;
				return amend_error_set(
					err, AMEND_CONFLICT,
					"%s finds a record of %s whose %s is another one, not the one given",
					amend_request_text(call->table, &call->keys[call->found_by],
							   call->work.arena),
					call->table->qualified,
					call->table->columns[key->columns[j]].name);
			}
		}
	}
	return AMEND_OK;
}

enum amend_status amend_call_resolve(struct amend_call *call, const struct amend_match *keys,
				     size_t n_keys, const struct amend_expect *expect,
				     struct amend_error *err)
{
	struct amend_arena *arena = call->work.arena;
	size_t room = call->table->n_columns + 1;
	enum amend_status status = AMEND_OK;

	call->keys = amend_arena_array(arena, n_keys ? n_keys : 1, sizeof(*call->keys));
	call->set = amend_arena_array(arena, room, sizeof(*call->set));
	call->puts = amend_arena_array(arena, room, sizeof(*call->puts));
	if (!call->keys || !call->set || !call->puts)
		return amend_no_memory(err);
	if (n_keys == 0)
		return amend_error_set(err, AMEND_INVALID, "expected a key");
	status = amend_ledger_refuse(call->db, call->table, err);
	for (size_t i = 0; i < n_keys && status == AMEND_OK; i++)
		status = amend_request_key(call->db, call->table, &keys[i], arena, &call->keys[i],
					   err);
	call->n_keys = n_keys;
	if (status == AMEND_OK)
		status = amend_request_puts(call->table, call->write->set, call->write->n_set,
					    false, call->set, &call->n_set, err);
	if (status == AMEND_OK)
		status = amend_seen_resolve(call->db, call->table, expect, arena, &call->seen, err);
	return status;
}

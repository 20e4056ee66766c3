/*
 * A record's keys: canonical, named, and which records have the same.
 * Leaves finding rows to match.c.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/json_text.h"
#include "sync/sync.h"

enum rule { RULE_BYTES, RULE_NOCASE, RULE_RTRIM };

static bool is_citext(const struct amend_column *column)
{
	return strcasecmp(column->type, "citext") == 0 || strstr(column->type, ".citext");
}

/* The rules that fold ASCII can be followed here; what other collations call equal the database finds. */
static enum rule rule_of(const struct amend_column *column)
{
	if (strcasecmp(column->collation, "NOCASE") == 0)
		return RULE_NOCASE;
	if (strcasecmp(column->collation, "RTRIM") == 0)
		return RULE_RTRIM;
	return column->folds_ascii || is_citext(column) ? RULE_NOCASE : RULE_BYTES;
}

static char folded(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t compared_size(enum rule rule, const struct amend_value *value)
{
	size_t size = value->size;

	while (rule == RULE_RTRIM && size > 0 && value->as.text[size - 1] == ' ')
		size--;
	return size;
}

bool amend_sync_in_key(const struct amend_sync *sync, int key, uint32_t used)
{
	if (key < 0)
		return false;
	for (uint32_t i = 0; i < sync->keys[key].n; i++) {
		if (sync->keys[key].used[i] == used)
			return true;
	}
	return false;
}

bool amend_sync_is_citext(const struct amend_sync *sync, uint32_t key)
{
	bool any = false;

	for (uint32_t i = 0; i < sync->keys[key].n; i++)
		any = any || is_citext(&sync->table->columns[sync->keys[key].columns[i]]);
	return any;
}

bool amend_sync_unknown_rule(const struct amend_sync *sync)
{
	for (uint32_t k = 0; k < sync->n_keys; k++) {
		for (uint32_t i = 0; i < sync->keys[k].n; i++) {
			const struct amend_column *column =
				&sync->table->columns[sync->keys[k].columns[i]];

			if (!column->bytewise && strcasecmp(column->collation, "NOCASE") != 0 &&
			    strcasecmp(column->collation, "RTRIM") != 0)
				return true;
		}
	}
	return false;
}

bool amend_sync_odd(const struct amend_sync *sync)
{
	bool any = amend_sync_unknown_rule(sync);

	for (uint32_t k = 0; k < sync->n_keys; k++)
		any = any || amend_sync_is_citext(sync, k);
	return any;
}

bool amend_sync_folds(const struct amend_sync *sync, uint32_t key)
{
	for (uint32_t i = 0; i < sync->keys[key].n; i++) {
		if (rule_of(&sync->table->columns[sync->keys[key].columns[i]]) == RULE_NOCASE)
			return true;
	}
	return false;
}

void amend_sync_fold_key(const struct amend_sync *sync, uint32_t key, char *text, size_t size)
{
	bool folds = amend_sync_folds(sync, key);

	for (size_t i = 0; folds && i < size; i++)
		text[i] = folded(text[i]);
}

bool amend_sync_trims(const struct amend_sync *sync, uint32_t key)
{
	for (uint32_t i = 0; i < sync->keys[key].n; i++) {
		if (rule_of(&sync->table->columns[sync->keys[key].columns[i]]) == RULE_RTRIM)
			return true;
	}
	return false;
}

void amend_sync_fold(struct amend_buffer *buffer, const struct amend_column *column,
		     const struct amend_value *value)
{
	enum rule rule = value->kind == AMEND_TEXT ? rule_of(column) : RULE_BYTES;
	struct amend_value copy = *value;

	if (rule == RULE_RTRIM)
		copy.size = compared_size(rule, value);
	if (rule != RULE_NOCASE) {
		amend_pack_add(buffer, "", &copy);
		return;
	}
	amend_buffer_printf(buffer, "%zu:", value->size);
	for (size_t i = 0; i < value->size; i++)
		amend_buffer_char(buffer, folded(value->as.text[i]));
}

bool amend_sync_same_key(const struct amend_column *column, const struct amend_value *a,
			 const struct amend_value *b)
{
	enum rule rule = rule_of(column);
	size_t size;

	if (amend_value_equal(a, b))
		return true;
	if (a->kind != AMEND_TEXT || b->kind != AMEND_TEXT || rule == RULE_BYTES)
		return false;
	size = compared_size(rule, a);
	if (size != compared_size(rule, b))
		return false;
	for (size_t i = 0; i < size; i++) {
		char x = a->as.text[i], y = b->as.text[i];

		if (x != y && (rule != RULE_NOCASE || folded(x) != folded(y)))
			return false;
	}
	return true;
}

bool amend_sync_key_text(struct amend_buffer *buffer, const struct amend_sync *sync, uint32_t key,
			 const struct amend_record *record, const struct amend_value *row)
{
	const struct amend_sync_key *k = &sync->keys[key];

	amend_buffer_reset(buffer);
	for (uint32_t i = 0; i < k->n; i++) {
		const struct amend_column *column = &sync->table->columns[k->columns[i]];
		const struct amend_value *value = record ? &record->values[k->used[i]]
							 : &row[k->columns[i]];

		if (amend_value_blank(value))
			return false;
		amend_buffer_text(buffer, k->heads[i]);
		amend_json_value(buffer, value, column->class_);
	}
	amend_buffer_char(buffer, '}');
	return true;
}

static enum amend_status take_canon(struct amend_sync *sync, struct amend_record **list,
				    const struct amend_canon *canon, const size_t *which, size_t n,
				    struct amend_error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct amend_record *record = list[which[i] / sync->n_used];
		uint32_t used = (uint32_t)(which[i] % sync->n_used);
		enum amend_status status;

		if (!canon[i].problem) {
			record->values[used] = canon[i].out;
			amend_sync_notice(sync, record, used, &canon[i].in, &canon[i].out);
			continue;
		}
		if (record->fate == AMEND_FATE_REJECTED)
			continue;
		status = amend_sync_reject(sync, record, err, "column %s: %s",
					   canon[i].column->name, canon[i].problem);
		if (status != AMEND_OK)
			return status;
	}
	return AMEND_OK;
}

/* Key columns of the records, in batches. A blank one becomes NULL where that is allowed. */
static enum amend_status canonical_keys(struct amend_sync *sync, struct amend_record **list,
					size_t n_list, struct amend_error *err)
{
	size_t room = AMEND_SYNC_BATCH + sync->n_used, n = 0;
	struct amend_canon *canon = calloc(room, sizeof(*canon));
	size_t *which = calloc(room, sizeof(*which));
	enum amend_status status = AMEND_OK;

	if (!canon || !which) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i <= n_list && status == AMEND_OK; i++) {
		bool last = i == n_list;

		if (n > 0 && (last || n >= AMEND_SYNC_BATCH)) {
			status = amend_canonicalise(sync->db, canon, n, &sync->arena, err);
			if (status == AMEND_OK)
				status = take_canon(sync, list, canon, which, n, err);
			n = 0;
		}
		if (last || status != AMEND_OK || list[i]->fate != AMEND_FATE_OPEN)
			continue;
		for (uint32_t u = 0; u < sync->n_used; u++) {
			const struct amend_column *column =
				&sync->table->columns[sync->used[u].column];
			struct amend_value *value = &list[i]->values[u];

			if (!sync->used[u].key)
				continue;
			if (amend_value_blank(value)) {
				if (!column->not_null)
					*value = amend_null();
				continue;
			}
			canon[n] = (struct amend_canon){.column = column, .in = *value};
			which[n++] = i * sync->n_used + u;
		}
	}
out:
	free(canon);
	free(which);
	return status;
}

static bool blank_key(const struct amend_sync_key *key, const struct amend_record *record)
{
	for (uint32_t i = 0; i < key->n; i++) {
		if (amend_value_blank(&record->values[key->used[i]]))
			return true;
	}
	return false;
}

static enum amend_status name_record(struct amend_sync *sync, struct amend_record *record,
				     struct amend_buffer *buffer, struct amend_error *err)
{
	for (uint32_t k = 0; k < sync->n_keys && record->first < 0; k++) {
		if (!blank_key(&sync->keys[k], record))
			record->first = (int8_t)k;
	}
	if (record->first < 0)
		return amend_sync_reject(sync, record, err, "the key %s is blank",
					 sync->keys[0].name);
	amend_sync_key_text(buffer, sync, (uint32_t)record->first, record, NULL);
	if (!buffer->failed)
		record->key = amend_arena_text_n(&sync->arena, buffer->data, buffer->size);
	return record->key ? AMEND_OK : amend_no_memory(err);
}

/* The columns by which both are found are the same by the database's rule; the others say. */
static enum amend_status same_content(struct amend_sync *sync, const struct amend_record *a,
				      const struct amend_record *b, bool *same,
				      struct amend_error *err)
{
	const struct amend_sync_key *key = &sync->keys[a->first];

	*same = false;
	for (uint32_t u = 0; u < sync->n_used; u++) {
		const struct amend_column *column = &sync->table->columns[sync->used[u].column];
		struct amend_canon canon[2] = {{.column = column, .in = a->values[u]},
					       {.column = column, .in = b->values[u]}};
		bool matched = false;
		enum amend_status status;

		for (uint32_t i = 0; i < key->n; i++)
			matched = matched || key->used[i] == u;
		if ((a->absent && a->absent[u]) != (b->absent && b->absent[u]))
			return AMEND_OK;
		if (matched || amend_value_equal(&a->values[u], &b->values[u]))
			continue;
		if (a->values[u].kind == AMEND_NULL || b->values[u].kind == AMEND_NULL)
			return AMEND_OK;
		status = amend_canonicalise(sync->db, canon, 2, &sync->arena, err);
		if (status != AMEND_OK)
			return status;
		if (canon[0].problem || canon[1].problem ||
		    !amend_value_equal(&canon[0].out, &canon[1].out))
			return AMEND_OK;
	}
	*same = true;
	return AMEND_OK;
}

void amend_sync_duplicate(struct amend_record *leader, struct amend_record *record)
{
	if (leader->leader)
		leader = leader->leader;
	if (record == leader || record->leader)
		return;
	record->leader = leader;
	record->next = leader->next;
	leader->next = record;
	record->fate = AMEND_FATE_DUPLICATE;
}

static int compare_lines(const void *a, const void *b)
{
	const struct amend_record *const *x = a, *const *y = b;

	return ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

/* They differ, and nobody knows which is right. What has been told before stays as it is. */
static enum amend_status reject_all(struct amend_sync *sync, struct amend_record **members,
				    size_t n, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	amend_buffer_printf(&text, "the key %s stands on %ss ", members[0]->key,
			    amend_source_unit(sync->source));
	for (size_t i = 0; i < n && i < 8; i++)
		amend_buffer_printf(&text, "%s%lld", i ? ", " : "", (long long)members[i]->line);
	if (n > 8)
		amend_buffer_printf(&text, " and %zu more", n - 8);
	amend_buffer_text(&text, ", which differ (hint: --duplicates first or last chooses one)");
	if (text.failed)
		status = amend_no_memory(err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (!members[i]->told)
			status = amend_sync_reject(sync, members[i], err, "%s", text.data);
	}
	amend_buffer_release(&text);
	return status;
}

/* The last one wins: what was found for the leader is its. */
static enum amend_status crown(struct amend_sync *sync, struct amend_record *leader,
			       struct amend_record *winner, struct amend_error *err)
{
	winner->fate = leader->fate;
	winner->row = leader->row;
	winner->found_by = leader->found_by;
	winner->missed = leader->missed;
	leader->fate = AMEND_FATE_DUPLICATE;
	leader->row = NULL;
	if (winner->row) {
		void **slot = amend_hash_put(&sync->claims, winner->row->pk,
					     strlen(winner->row->pk));

		if (!slot)
			return amend_no_memory(err);
		*slot = winner;
	}
	return AMEND_OK;
}

static enum amend_status settle_group(struct amend_sync *sync, struct amend_record *leader,
				      struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	struct amend_record **members;
	bool same = true;
	size_t n = 1;

	for (const struct amend_record *at = leader->next; at; at = at->next)
		n++;
	members = calloc(n, sizeof(struct amend_record *));
	if (!members)
		return amend_no_memory(err);
	n = 0;
	for (struct amend_record *at = leader; at; at = at->next)
		members[n++] = at;
	qsort(members, n, sizeof(struct amend_record *), compare_lines);
	if (sync->options->duplicates == AMEND_DUPLICATES_REJECT) {
		for (size_t i = 0; i < n && same && status == AMEND_OK; i++) {
			if (members[i] != leader)
				status = same_content(sync, leader, members[i], &same, err);
		}
		if (status == AMEND_OK && !same)
			status = reject_all(sync, members, n, err);
	} else if (sync->options->duplicates == AMEND_DUPLICATES_LAST && !leader->told &&
		   leader->fate == AMEND_FATE_OPEN && members[n - 1] != leader) {
		status = crown(sync, leader, members[n - 1], err);
	}
	free(members);
	return status;
}

enum amend_status amend_sync_settle_duplicates(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *leader = sync->list[i];

		if (leader->leader && leader->leader->told)
			leader = leader->leader;
		if (!leader->leader && leader->next)
			status = settle_group(sync, leader, err);
	}
	return status;
}

static enum amend_status find_duplicates(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_hash seen = {0};
	struct amend_buffer folded_key = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];
		const struct amend_sync_key *key;
		const char *name;
		void **slot;

		if (record->fate != AMEND_FATE_OPEN)
			continue;
		key = &sync->keys[record->first];
		amend_buffer_reset(&folded_key);
		amend_buffer_char(&folded_key, (char)('A' + record->first));
		for (uint32_t j = 0; j < key->n; j++)
			amend_sync_fold(&folded_key, &sync->table->columns[key->columns[j]],
					&record->values[key->used[j]]);
		name = folded_key.failed
			       ? NULL
			       : amend_arena_text_n(&sync->arena, folded_key.data, folded_key.size);
		slot = name ? amend_hash_put(&seen, name, folded_key.size) : NULL;
		if (!slot)
			status = amend_no_memory(err);
		else if (*slot)
			amend_sync_duplicate(*slot, record);
		else
			*slot = record;
	}
	amend_buffer_release(&folded_key);
	amend_hash_release(&seen);
	if (status == AMEND_OK)
		status = amend_sync_settle_duplicates(sync, err);
	return status;
}

static enum amend_status name_all(struct amend_sync *sync, struct amend_record **list, size_t n,
				  struct amend_error *err)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	enum amend_status status = canonical_keys(sync, list, n, err);

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (list[i]->fate == AMEND_FATE_OPEN)
			status = name_record(sync, list[i], &buffer, err);
	}
	amend_buffer_release(&buffer);
	return status;
}

enum amend_status amend_sync_recall(struct amend_sync *sync, uint64_t index,
				    struct amend_record **out, struct amend_error *err)
{
	enum amend_status status = amend_sync_load(sync, amend_sieve_bytes(sync->sieve, index),
						   index, out, err);

	if (status == AMEND_OK)
		status = name_all(sync, out, 1, err);
	return status == AMEND_OK ? amend_sync_enlist(sync, *out, err) : status;
}

/* "007" may be the 7 that is settled: they are decided together. */
static enum amend_status recall_same(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->list[i];
		struct amend_record *other;
		int64_t index;

		if (record->fate != AMEND_FATE_OPEN || record->first != 0)
			continue;
		index = amend_sieve_pull_key(sync->sieve, record->key, strlen(record->key));
		if (index >= 0)
			status = amend_sync_recall(sync, (uint64_t)index, &other, err);
	}
	return status;
}

enum amend_status amend_sync_keys(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = name_all(sync, sync->list, sync->n_list, err);

	if (status == AMEND_OK)
		status = recall_same(sync, err);
	if (status == AMEND_OK)
		status = find_duplicates(sync, err);
	return status;
}

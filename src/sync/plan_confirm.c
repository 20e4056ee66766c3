/*
 * Asks before anything is written, one record after the other, those that stand and fall
 * together at once. Leaves asking itself to the caller, carrying out what was answered to apply.c.
 *
 * A record that waits for one that is not written (for the value it would have given up,
 * for its parent) is not written either. Nothing is locked meanwhile: what moves is decided, and
 * asked about, again.
 */
#include <string.h>

#include "sync/sync.h"

/* The changes of a group, copied out of the callback that tells them. */
struct collection {
	struct amend_arena *arena;
	struct amend_sync_change *changes;
	size_t n, room;
	bool no_memory;
};

static void collect(void *context, const struct amend_sync_change *change)
{
	struct collection *all = context;
	struct amend_field *key = amend_arena_array(all->arena, change->n_key, sizeof(*key));
	struct amend_conflict_field *fields = amend_arena_array(all->arena, change->n_fields,
								sizeof(*fields));

	if (all->n == all->room || !key || !fields) {
		all->no_memory = true;
		return;
	}
	if (change->n_key)
		memcpy(key, change->key, change->n_key * sizeof(*key));
	if (change->n_fields)
		memcpy(fields, change->fields, change->n_fields * sizeof(*fields));
	all->changes[all->n] = *change;
	all->changes[all->n].key = key;
	all->changes[all->n].fields = fields;
	all->n++;
}

/* What moves a base alone, or ends a conflict, is no change to be asked about. */
static bool is_asked(const struct amend_record *record)
{
	const struct amend_action *action = record->action;

	return action->create || action->n_puts || action->remove || action->store;
}

static size_t group_end(const struct amend_sync *sync, size_t from)
{
	size_t to = from + 1;

	while (to < sync->n_todo && sync->todo[to]->action->glued)
		to++;
	return to;
}

static bool group_is_asked(const struct amend_sync *sync, size_t from, size_t to)
{
	bool asked = false;

	for (size_t i = from; i < to; i++)
		asked = asked || is_asked(sync->todo[i]);
	return asked;
}

static void skip(struct amend_sync *sync, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct amend_record *record = sync->todo[i];

		for (size_t e = 0; e < sync->n_edges; e++) {
			if (sync->edges[e].before == record)
				sync->edges[e].after->declined = true;
		}
		if (is_asked(record) && record->fate != AMEND_FATE_MISSING)
			record->fate = AMEND_FATE_SKIPPED;
		else if (is_asked(record))
			record->skipped = true;
		record->action = NULL;
	}
}

static bool declined(const struct amend_sync *sync, size_t from, size_t to)
{
	bool any = false;

	for (size_t i = from; i < to; i++)
		any = any || sync->todo[i]->declined;
	return any;
}

static enum amend_status ask(struct amend_sync *sync, size_t from, size_t to,
			     struct amend_confirm *confirm, enum amend_answer *answer,
			     struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct collection all = {.arena = &arena, .room = 2 * (to - from)};
	enum amend_status status = AMEND_OK;

	all.changes = amend_arena_array(&arena, all.room, sizeof(*all.changes));
	if (!all.changes)
		status = amend_no_memory(err);
	for (size_t i = from; i < to && status == AMEND_OK; i++) {
		if (is_asked(sync->todo[i]))
			status = amend_sync_show(sync, sync->todo[i], collect, &all, err);
	}
	if (status == AMEND_OK && all.no_memory)
		status = amend_no_memory(err);
	confirm->changes = all.changes;
	confirm->n_changes = all.n;
	confirm->number++;
	if (status == AMEND_OK)
		status = options->on_confirm(options->context, confirm, answer, err);
	amend_arena_release(&arena);
	return status;
}

/* What was answered no is out of the order of writing. */
static void keep(struct amend_sync *sync, size_t *kept, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		sync->todo[(*kept)++] = sync->todo[i];
}

enum amend_status amend_sync_confirm(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_confirm confirm = {
		.number = sync->n_questions, .total = sync->n_questions, .again = sync->round > 0};
	enum amend_answer answer = AMEND_ANSWER_NO;
	enum amend_status status = AMEND_OK;
	size_t kept = 0;

	if (!sync->options->on_confirm || sync->answered == AMEND_ANSWER_ALL)
		return AMEND_OK;
	for (size_t from = 0, to; from < sync->n_todo; from = to) {
		to = group_end(sync, from);
		confirm.total += group_is_asked(sync, from, to);
	}
	for (size_t from = 0, to; from < sync->n_todo && status == AMEND_OK; from = to) {
		to = group_end(sync, from);
		if (sync->answered == AMEND_ANSWER_QUIT || declined(sync, from, to)) {
			skip(sync, from, to);
			continue;
		}
		if (group_is_asked(sync, from, to) && sync->answered != AMEND_ANSWER_ALL) {
			status = ask(sync, from, to, &confirm, &answer, err);
			if (answer == AMEND_ANSWER_ALL || answer == AMEND_ANSWER_QUIT)
				sync->answered = answer;
			if (status != AMEND_OK || answer == AMEND_ANSWER_NO ||
			    answer == AMEND_ANSWER_QUIT) {
				skip(sync, from, to);
				continue;
			}
		}
		keep(sync, &kept, from, to);
	}
	sync->n_todo = kept;
	sync->n_questions = confirm.number;
	return status;
}

/*
 * Asks before anything is written, one record after the other, those that stand and fall
 * together at once. Leaves asking itself to the caller, carrying out what was answered to apply.c.
 *
 * A record that waits for one that is not written (for the value it would have given up,
 * for its parent) is not written either. Nothing is locked meanwhile: what moves is decided, and
 * asked about, again.
 *
 * A large input is decided slice by slice, once to ask and once to write. So answers are remembered: a
 * no by the record, whatever it is to become; a yes by what was shown, and only of that.
 */
#include <string.h>

#include "sync/plan.h"

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
	/* Of a missing record it lives during the call. */
	for (size_t i = 0; i < change->n_key; i++) {
		key[i].column = amend_arena_text(all->arena, change->key[i].column);
		if (!key[i].column ||
		    !amend_arena_value(all->arena, &change->key[i].value, &key[i].value)) {
			all->no_memory = true;
			return;
		}
	}
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

/* ---- what was answered ---- */

static enum amend_status remember(struct amend_sync *sync, const void *name, size_t size,
				  struct amend_error *err)
{
	const void *copy = amend_arena_text_n(&sync->lasting, name, size);
	void **slot = copy ? amend_hash_put(&sync->answers, copy, size) : NULL;

	if (!slot)
		return amend_no_memory(err);
	*slot = sync; /* anything: it is there */
	return AMEND_OK;
}

/* Of a plan's entries the line. */
static uint64_t number_of(const struct amend_record *record)
{
	return record->entry ? (uint64_t)record->entry->number : record->index;
}

static enum amend_status remember_no(struct amend_sync *sync, size_t from, size_t to,
				     struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = from; i < to && status == AMEND_OK; i++) {
		uint64_t number = number_of(sync->todo[i]);

		if (is_asked(sync->todo[i]))
			status = remember(sync, &number, sizeof(number), err);
	}
	return status;
}

static bool was_refused(const struct amend_sync *sync, size_t from, size_t to)
{
	bool any = false;

	for (size_t i = from; i < to && sync->answers.n > 0; i++) {
		uint64_t number = number_of(sync->todo[i]);

		any = any || amend_hash_get(&sync->answers, &number, sizeof(number));
	}
	return any;
}

static void pack_text(struct amend_buffer *pack, const char *text)
{
	const struct amend_value value = amend_text(text);

	amend_pack_add(pack, "", &value);
}

/* Which records it is about, and all that is shown of them. */
static enum amend_status digest(const struct amend_sync *sync, size_t from, size_t to,
				const struct collection *all, unsigned char out[AMEND_DIGEST_SIZE],
				struct amend_error *err)
{
	struct amend_buffer pack = AMEND_BUFFER_INIT;

	for (size_t i = from; i < to; i++) {
		const struct amend_value number = amend_integer((int64_t)number_of(sync->todo[i]));

		if (is_asked(sync->todo[i]))
			amend_pack_add(&pack, "", &number);
	}
	for (size_t i = 0; i < all->n; i++) {
		const struct amend_sync_change *change = &all->changes[i];

		pack_text(&pack, change->op);
		pack_text(&pack, change->kind);
		pack_text(&pack, change->note);
		for (size_t k = 0; k < change->n_key; k++)
			amend_pack_add(&pack, change->key[k].column, &change->key[k].value);
		for (size_t f = 0; f < change->n_fields; f++) {
			const struct amend_conflict_field *field = &change->fields[f];

			amend_pack_add(&pack, field->column, &field->current);
			amend_pack_add(&pack, "", &field->incoming);
			if (field->has_base)
				amend_pack_add(&pack, "base", &field->base);
		}
	}
	if (!pack.failed)
		amend_digest(pack.data, pack.size, out);
	amend_buffer_release(&pack);
	return pack.failed ? amend_no_memory(err) : AMEND_OK;
}

/* ---- asking ---- */

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

static enum amend_status collect_group(struct amend_sync *sync, size_t from, size_t to,
				       struct collection *all, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	all->room = 2 * (to - from);
	all->changes = amend_arena_array(all->arena, all->room, sizeof(*all->changes));
	if (!all->changes)
		return amend_no_memory(err);
	for (size_t i = from; i < to && status == AMEND_OK; i++) {
		if (is_asked(sync->todo[i]))
			status = amend_sync_show(sync, sync->todo[i], collect, all, err);
	}
	return status == AMEND_OK && all->no_memory ? amend_no_memory(err) : status;
}

/* What was answered before, or is now. */
static enum amend_status ask(struct amend_sync *sync, size_t from, size_t to,
			     struct amend_confirm *confirm, bool *yes, struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct collection all = {.arena = &arena};
	enum amend_answer answer = AMEND_ANSWER_NO;
	unsigned char shown[AMEND_DIGEST_SIZE];
	enum amend_status status = collect_group(sync, from, to, &all, err);

	if (status == AMEND_OK)
		status = digest(sync, from, to, &all, shown, err);
	*yes = false;
	if (status != AMEND_OK)
		goto out;
	*yes = amend_hash_get(&sync->answers, shown, sizeof(shown)) != NULL;
	if (*yes || sync->answered == AMEND_ANSWER_QUIT)
		goto out;
	if (sync->holds) {
		sync->must_ask = true;
		status = amend_error_set(err, AMEND_CONFLICT, "what moved is to be asked about");
		goto out;
	}
	confirm->changes = all.changes;
	confirm->n_changes = all.n;
	if (++confirm->number > confirm->total)
		confirm->total = confirm->number;
	status = options->on_confirm(options->context, confirm, &answer, err);
	if (status != AMEND_OK)
		goto out;
	if (answer == AMEND_ANSWER_ALL || answer == AMEND_ANSWER_QUIT)
		sync->answered = answer;
	*yes = answer == AMEND_ANSWER_YES || answer == AMEND_ANSWER_ALL;
	status = *yes ? remember(sync, shown, sizeof(shown), err) : remember_no(sync, from, to, err);
out:
	amend_arena_release(&arena);
	return status;
}

/* What was answered no is out of the order of writing. */
static void keep(struct amend_sync *sync, size_t *kept, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		sync->todo[(*kept)++] = sync->todo[i];
}

uint64_t amend_sync_questions(const struct amend_sync *sync)
{
	uint64_t n = 0;

	for (size_t from = 0, to; from < sync->n_todo; from = to) {
		to = group_end(sync, from);
		n += group_is_asked(sync, from, to);
	}
	return n;
}

/* How many there will be: as many as were found, and what moved since. */
static uint64_t expected(const struct amend_sync *sync)
{
	bool first = !sync->asked || sync->round > 0;
	uint64_t n = sync->n_questions + (first ? amend_sync_questions(sync) : 0);

	return n > sync->n_to_ask ? n : sync->n_to_ask;
}

enum amend_status amend_sync_confirm(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_confirm confirm = {.number = sync->n_questions,
					.total = expected(sync),
					.again = sync->round > 0 || sync->asked};
	enum amend_status status = AMEND_OK;
	size_t kept = 0;

	if (!sync->options->on_confirm ||
	    (sync->answered == AMEND_ANSWER_ALL && sync->answers.n == 0))
		return AMEND_OK;
	for (size_t from = 0, to; from < sync->n_todo && status == AMEND_OK; from = to) {
		bool yes;

		to = group_end(sync, from);
		yes = !declined(sync, from, to) && !was_refused(sync, from, to);
		if (yes && !group_is_asked(sync, from, to))
			yes = sync->answered != AMEND_ANSWER_QUIT;
		else if (yes && sync->answered != AMEND_ANSWER_ALL)
			status = ask(sync, from, to, &confirm, &yes, err);
		if (yes)
			keep(sync, &kept, from, to);
		else
			skip(sync, from, to);
	}
	sync->n_todo = kept;
	sync->n_questions = confirm.number;
	return status;
}

/*
 * Half of what is to be written, beside the other half: where no record waits for another, chunks can be written
 * in any order, and by two at once. Leaves whatever goes wrong, and telling what is done, to apply.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "ledger/lease.h"
#include "sync/beside.h"
#include "sync/sync.h"

enum { LEAST = 2000 }; /* records that are worth a connection */

struct amend_half {
	struct amend_beside beside;
	const struct amend_sync *whole;
	struct amend_sync sync; /* a copy of it, with that connection and memory of its own */
	int64_t run;
	size_t from, to; /* of todo, what is left */
	size_t size;     /* of the next chunk */
	struct amend_chunk *done;
	size_t n_done;
};

static bool depends(const struct amend_sync *sync, size_t from)
{
	for (size_t i = from; i < sync->n_todo; i++) {
		const struct amend_action *action = sync->todo[i]->action;

		if (action->n_parks || action->glued || action->remove)
			return true;
	}
	return sync->n_edges > 0;
}

/* Nothing that one of the two writes may be in the other's way for longer than it takes to write it. */
static bool may_part(const struct amend_sync *sync, size_t from)
{
	const struct amend_sync_options *options = sync->options;
	const struct amend_table *table = sync->table;

	return from + LEAST <= sync->n_todo && !options->atomic && !options->skip_locked &&
	       !options->on_confirm && sync->round == 0 && !table->has_triggers &&
	       !table->guard_history && !table->settles_late && amend_run_current(sync->db) != 0 &&
	       !amend_lease_claims(sync->db) && /* the other connection would carry none */
	       !depends(sync, from);
}

static void *write_half(void *context)
{
	struct amend_half *half = context;
	struct amend_chunk chunk = {.sync = &half->sync};
	struct amend_error ignored;
	enum amend_status status;

	half->sync.db = half->beside.db;
	status = amend_ledger_need(half->sync.db, &ignored);
	if (status == AMEND_OK)
		status = amend_run_join(half->sync.db, &half->sync.run, half->run, &ignored);
	while (status == AMEND_OK && half->from < half->to &&
	       !amend_beside_stopped(&half->beside, half->whole)) {
		int64_t begun = amend_clock_ms();
		struct amend_chunk *done = realloc(half->done, (half->n_done + 1) * sizeof(*done));

		if (!done)
			break;
		half->done = done;
		chunk.from = half->from;
		chunk.limit = half->to - half->from < half->size ? half->to - half->from
								 : half->size;
		/* What fails is done again, and carefully, by who can say what that means. */
		status = amend_sync_chunk(&chunk, &ignored);
		if (status != AMEND_OK)
			break;
		half->from = chunk.to;
		half->done[half->n_done++] = chunk;
		chunk = (struct amend_chunk){.sync = &half->sync};
		if (!half->sync.options->batch)
			half->size = amend_sync_next_size(half->size, amend_clock_ms() - begun);
	}
	amend_arena_release(&chunk.arena);
	return NULL;
}

struct amend_half *amend_half_begin(struct amend_sync *sync, size_t from, size_t size,
				    size_t *middle)
{
	struct amend_half *half = may_part(sync, from) ? calloc(1, sizeof(*half)) : NULL;

	*middle = sync->n_todo;
	if (!half)
		return NULL;
	half->whole = sync;
	half->sync = *sync;
	half->sync.arena = (struct amend_arena)AMEND_ARENA_INIT;
	half->run = amend_run_current(sync->db);
	half->from = from + (sync->n_todo - from) / 2;
	half->to = sync->n_todo;
	half->size = size;
	*middle = half->from;
	if (amend_beside_begin(&half->beside, sync, write_half, half))
		return half;
	*middle = sync->n_todo;
	free(half);
	return NULL;
}

size_t amend_half_end(struct amend_half *half, struct amend_sync *sync, bool stop,
		      struct amend_chunk **done, size_t *n_done)
{
	size_t from;

	if (stop)
		atomic_store(&half->beside.stop, true);
	amend_beside_end(&half->beside, sync);
	from = half->from;
	for (size_t i = 0; i < half->n_done; i++)
		half->done[i].sync = sync;
	if (!*sync->leased_why)
		memcpy(sync->leased_why, half->sync.leased_why, sizeof(sync->leased_why));
	*done = half->done;
	*n_done = half->n_done;
	amend_arena_release(&half->sync.arena);
	free(half);
	return from;
}

/*
 * Phase 2: chunk after chunk, and again what moved meanwhile.
 * Leaves a chunk's own writes to chunk.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "sync/sync.h"

enum { PAUSE_MS = 5, LONGEST_PAUSE_MS = 200, CAREFUL = 64 };

/* Its row is this record's from now on. */
static enum amend_status claim_created(struct amend_sync *sync, struct amend_record *record,
				       struct amend_error *err)
{
	const char *pk = amend_arena_text(&sync->arena, record->action->after.pk);
	void **slot = pk ? amend_hash_put(&sync->claims, pk, strlen(pk)) : NULL;

	if (!slot)
		return amend_no_memory(err);
	*slot = record;
	record->found_by = record->first;
	return AMEND_OK;
}

/* The chunk is committed: its records are final, or to be decided again. */
static enum amend_status settle(struct amend_chunk *chunk, struct amend_record **moved,
				size_t *n_moved, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	enum amend_status status = amend_sync_revision(sync, chunk->revision, err);

	sync->committed = sync->committed || chunk->revision > 0;
	for (size_t i = chunk->from; i < chunk->to && status == AMEND_OK; i++) {
		struct amend_record *record = sync->todo[i];

		switch ((enum amend_effect)record->effect) {
		case AMEND_EFFECT_NONE:
		case AMEND_EFFECT_MOVED:
		case AMEND_EFFECT_LEASED:
			record->clashed = record->clashed || record->action->clashed;
			record->overflowed = record->overflowed || record->action->overflowed;
			record->refusals = (uint8_t)(record->refusals + record->action->refused);
			moved[(*n_moved)++] = record;
			continue;
		case AMEND_EFFECT_DONE:
			sync->committed = true;
			if (record->action->create)
				status = claim_created(sync, record, err);
			break;
		case AMEND_EFFECT_SKIPPED:
			if (record->fate == AMEND_FATE_MISSING) {
				record->action = NULL;
				record->skipped = true;
			} else {
				record->fate = AMEND_FATE_SKIPPED;
			}
			break;
		case AMEND_EFFECT_REJECTED:
			/* The database keeps it, and says why: that is a conflict, decided again. */
			if (record->fate == AMEND_FATE_MISSING) {
				moved[(*n_moved)++] = record;
				continue;
			}
			record->fate = AMEND_FATE_REJECTED;
			break;
		}
		if (status == AMEND_OK)
			status = amend_sync_tell(sync, record, err);
	}
	/* It is in all the same. */
	if (status != AMEND_OK)
		sync->n_untold = chunk->to - chunk->from;
	return status;
}

static void mark_all(struct amend_chunk *chunk, enum amend_effect effect)
{
	for (size_t i = chunk->from; i < chunk->to; i++)
		chunk->sync->todo[i]->effect = (uint8_t)effect;
	chunk->revision = 0;
}

/* COMMIT itself refused a chunk of one: a deferred constraint. */
static enum amend_status reject_chunk(struct amend_chunk *chunk, struct amend_error *err)
{
	const struct amend_error why = *err;

	mark_all(chunk, AMEND_EFFECT_REJECTED);
	for (size_t i = chunk->from; i < chunk->to; i++) {
		chunk->sync->todo[i]->problem = amend_sync_reason(chunk->sync, chunk->sync->todo[i],
								  &why);
		if (!chunk->sync->todo[i]->problem)
			return amend_no_memory(err);
	}
	return AMEND_OK;
}

static bool isolates(const struct amend_chunk *chunk, const struct amend_error *err)
{
	return chunk->again || ((chunk->culprit || chunk->complete) && amend_sync_isolates(err));
}

/* Fast; then with a savepoint a record, to find the one that fails; then a transaction a record. */
static enum amend_status run_chunk(struct amend_chunk *chunk, struct amend_error *err)
{
	enum amend_status status;

	chunk->careful = false;
	status = amend_sync_chunk(chunk, err);
	/* One of many is to blame: those far from it need no such care. */
	while (status != AMEND_OK && isolates(chunk, err) && chunk->to - chunk->from > CAREFUL) {
		chunk->limit = (chunk->to - chunk->from + 7) / 8;
		status = amend_sync_chunk(chunk, err);
	}
	if (status != AMEND_OK && isolates(chunk, err)) {
		chunk->careful = true;
		status = amend_sync_chunk(chunk, err);
	}
	if (status != AMEND_OK && chunk->complete && amend_sync_isolates(err)) {
		if (chunk->limit > 1) {
			chunk->limit = 1;
			status = amend_sync_chunk(chunk, err);
		}
		if (status != AMEND_OK && chunk->complete && amend_sync_isolates(err))
			status = reject_chunk(chunk, err);
	} else if (status == AMEND_LOCKED && chunk->sync->options->skip_locked) {
		mark_all(chunk, AMEND_EFFECT_SKIPPED);
		status = AMEND_OK;
	}
	return status;
}

size_t amend_sync_next_size(size_t size, int64_t ms)
{
	/* Near to what others may wait at most: each chunk has a price of its own, of which the COMMIT is most. */
	size_t wanted = size * (AMEND_SYNC_CHUNK_MS * 3 / 4) / (size_t)(ms > 0 ? ms : 1);
	size_t least = size / 2 > AMEND_SYNC_CHUNK ? size / 2 : AMEND_SYNC_CHUNK;
	size_t most = size * 4 < AMEND_SYNC_CHUNK_MOST ? size * 4 : AMEND_SYNC_CHUNK_MOST;

	return wanted < least ? least : wanted > most ? most : wanted;
}

/* What the other half did is in, whatever became of this one; returns where it got to. */
static size_t take_half(struct amend_sync *sync, struct amend_half *half,
			struct amend_record **moved, size_t *n_moved, enum amend_status *status,
			struct amend_error *err)
{
	struct amend_chunk *done;
	size_t n, from = amend_half_end(half, sync, *status != AMEND_OK, &done, &n);
	struct amend_error ignored;

	for (size_t i = 0; i < n; i++) {
		if (*status == AMEND_OK)
			*status = settle(&done[i], moved, n_moved, err);
		else
			(void)!settle(&done[i], moved, n_moved, &ignored);
		amend_arena_release(&done[i].arena);
	}
	free(done);
	return from;
}

/* `parts`: a half may be written beside the other. */
static enum amend_status run_chunks(struct amend_sync *sync, bool parts, struct amend_record **moved,
				    size_t *n_moved, struct amend_error *err)
{
	struct amend_chunk chunk = {.sync = sync};
	size_t batch = sync->options->batch, size = batch ? batch : AMEND_SYNC_CHUNK;
	size_t single_until = 0, end = sync->n_todo;
	struct amend_half *half = NULL;
	enum amend_status status = AMEND_OK;

	amend_sync_progress(sync, "apply", sync->n_first, sync->n_first + sync->n_todo);
	while (status == AMEND_OK && (chunk.from < end || sync->create_sql)) {
		size_t from = chunk.from;
		int64_t begun = amend_clock_ms();

		if (sync->db->stopping) {
			status = amend_error_set(err, AMEND_INTERRUPTED, "interrupted");
			break;
		}
		chunk.limit = chunk.from < single_until ? 1 : size;
		if (half && chunk.limit > end - chunk.from)
			chunk.limit = end - chunk.from;
		status = run_chunk(&chunk, err);
		/* Once COMMIT has refused a chunk, what is near goes one by one. */
		if (chunk.limit == 1 && single_until <= from)
			single_until = from + CAREFUL;
		else if (chunk.limit == size && !batch)
			size = amend_sync_next_size(size, amend_clock_ms() - begun);
		if (status == AMEND_OUTCOME_UNKNOWN)
			sync->n_unknown = chunk.to - chunk.from;
		if (status == AMEND_OK) {
			sync->committed = sync->committed || sync->create_sql;
			sync->create_sql = NULL;
			status = settle(&chunk, moved, n_moved, err);
		}
		amend_arena_release(&chunk.arena);
		chunk.from = chunk.to;
		amend_sync_progress(sync, "apply", sync->n_first + chunk.to,
				    sync->n_first + sync->n_todo);
		if (parts && status == AMEND_OK)
			half = amend_half_begin(sync, chunk.from, size, &end);
		parts = parts && !half;
		if (half && (status != AMEND_OK || chunk.from == end)) {
			chunk.from = take_half(sync, half, moved, n_moved, &status, err);
			end = sync->n_todo;
			half = NULL;
			amend_sync_progress(sync, "apply", sync->n_first + chunk.from,
					    sync->n_first + sync->n_todo);
		}
	}
	if (half)
		take_half(sync, half, moved, n_moved, &status, err);
	amend_arena_release(&chunk.arena);
	return status;
}

/* Fates that need no write are final as soon as they are decided. */
static enum amend_status tell_quiet(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_todo; i++)
		sync->todo[i]->effect = AMEND_EFFECT_MOVED; /* not yet */
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		if (sync->list[i]->effect == AMEND_EFFECT_NONE)
			status = amend_sync_tell(sync, sync->list[i], err);
	}
	return status;
}

/* As if it had only been read. */
static void forget(struct amend_sync *sync, struct amend_record *record)
{
	void **slot = NULL;

	if (record->fate == AMEND_FATE_MISSING) {
		record->row = NULL;
		record->open = NULL;
		record->action = NULL;
		record->effect = AMEND_EFFECT_NONE;
		return;
	}
	if (record->row)
		slot = amend_hash_put(&sync->claims, record->row->pk, strlen(record->row->pk));
	if (slot && *slot == record)
		*slot = NULL;
	record->row = record->other = NULL;
	record->seen = NULL;
	record->open = NULL;
	record->action = NULL;
	record->rival = NULL;
	record->missed = 0;
	record->found_by = AMEND_FOUND_NOT;
	record->based = record->shared = record->asks = record->sieved = false;
	record->fate = AMEND_FATE_OPEN;
	record->effect = AMEND_EFFECT_NONE;
}

static enum amend_status plan_again(struct amend_sync *sync, struct amend_record **moved, size_t n,
				    struct amend_error *err)
{
	/* Those who move keep moving others: each round waits a little longer. */
	int pause = PAUSE_MS << (sync->round < 6 ? sync->round : 6);
	enum amend_status status;

	if (sync->round > 0)
		amend_clock_sleep_ms(pause < LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS);
	for (size_t i = 0; i < n; i++)
		forget(sync, moved[i]);
	memmove(sync->list, moved, n * sizeof(struct amend_record *));
	sync->n_list = n;
	sync->round++;
	amend_hash_release(&sync->held);
	status = sync->prepare(sync, err);
	return status == AMEND_OK ? amend_sync_confirm(sync, err) : status;
}

/* Those that others have leases of are tried again as long as that is allowed, and then left as they are. */
static enum amend_status await_leases(struct amend_sync *sync, struct amend_record **moved,
				      size_t *n, struct amend_error *err)
{
	bool any = false, again = false;
	size_t kept = 0;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < *n; i++)
		any = any || moved[i]->effect == AMEND_EFFECT_LEASED;
	/* Nobody is asked anew for every look. */
	if (any && !sync->options->on_confirm)
		status = amend_lease_await(sync->db, &sync->patience, &again, err);
	if (again && status == AMEND_OK) {
		/* Not one of the rounds that are counted. */
		sync->round = 0;
		*sync->leased_why = '\0';
		return AMEND_OK;
	}
	for (size_t i = 0; i < *n; i++) {
		if (moved[i]->effect != AMEND_EFFECT_LEASED) {
			moved[kept++] = moved[i];
			continue;
		}
		moved[i]->told = true;
		sync->n_leased++;
	}
	*n = kept;
	return status;
}

enum amend_status amend_sync_check_leased(const struct amend_sync *sync, struct amend_error *err)
{
	if (sync->n_leased == 0)
		return AMEND_OK;
	return amend_error_set(err, AMEND_LOCKED, "%llu record%s left as %s: %s",
			       (unsigned long long)sync->n_leased,
			       sync->n_leased == 1 ? " is" : "s are",
			       sync->n_leased == 1 ? "it is" : "they are", sync->leased_why);
}

enum amend_status amend_sync_skip_leased(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	const char **pks = amend_arena_array(&arena, sync->n_todo, sizeof(*pks));
	bool *bars = amend_arena_array(&arena, sync->n_todo, sizeof(*bars));
	enum amend_status status = pks && bars ? AMEND_OK : amend_no_memory(err);

	for (size_t i = 0; i < sync->n_todo && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->todo[i];

		pks[i] = record->row && (record->action->n_puts || record->action->remove)
				 ? record->row->pk
				 : NULL;
	}
	if (status == AMEND_OK)
		status = amend_lease_bars(sync->db, sync->table, pks, sync->n_todo, bars, err);
	for (size_t i = 0; i < sync->n_todo && status == AMEND_OK; i++) {
		struct amend_record *record = sync->todo[i];

		if (!bars[i])
			continue;
		if (record->fate == AMEND_FATE_MISSING)
			record->skipped = true;
		else
			record->fate = AMEND_FATE_SKIPPED;
		record->action = NULL;
	}
	amend_arena_release(&arena);
	return status;
}

/* Those whose base was there after all are decided with the others. */
static enum amend_status end_firsts(struct amend_sync *sync, struct amend_firsts **firsts,
				    enum amend_status status, struct amend_record **moved,
				    size_t *n_moved, struct amend_error *err)
{
	size_t n = sync->n_list;

	status = amend_sync_end_firsts(*firsts, status, err);
	*firsts = NULL;
	for (; n < sync->n_list && status == AMEND_OK; n++)
		moved[(*n_moved)++] = sync->list[n];
	return status;
}

enum amend_status amend_sync_apply(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = amend_sync_confirm(sync, err);
	struct amend_firsts *firsts = NULL;
	size_t n_decided;

	if (status == AMEND_OK)
		status = tell_quiet(sync, err);
	/* No table is made for what was answered no. */
	if (status != AMEND_OK || (sync->n_todo == 0 && sync->n_first == 0 &&
				   (!sync->create_sql || sync->options->on_confirm)))
		return status;
	n_decided = sync->n_list;
	status = amend_ledger_need(sync->db, err);
	if (status == AMEND_OK && sync->n_first > 0)
		status = amend_sync_begin_firsts(sync, &firsts, err);
	while (status == AMEND_OK) {
		size_t n_moved = sync->n_list - n_decided;
		struct amend_record **moved = amend_arena_array(
			&sync->arena, sync->n_todo + n_moved + (firsts ? sync->n_first : 0),
			sizeof(struct amend_record *));

		if (!moved) {
			status = amend_no_memory(err);
			break;
		}
		if (n_moved > 0)
			memcpy(moved, sync->list + n_decided,
			       n_moved * sizeof(struct amend_record *));
		status = run_chunks(sync, !firsts, moved, &n_moved, err);
		if (firsts)
			status = end_firsts(sync, &firsts, status, moved, &n_moved, err);
		if (status == AMEND_OK)
			status = await_leases(sync, moved, &n_moved, err);
		if (status != AMEND_OK || n_moved == 0)
			break;
		if (sync->round == AMEND_SYNC_ROUNDS) {
			status = amend_error_set(err, AMEND_RETRY,
						 "%zu records kept changing while they were written "
						 "(hint: run the sync again)",
						 n_moved);
			break;
		}
		status = plan_again(sync, moved, n_moved, err);
		n_decided = sync->n_list;
		if (status == AMEND_OK)
			status = tell_quiet(sync, err);
	}
	return firsts ? amend_sync_end_firsts(firsts, status, err) : status;
}

void amend_sync_run_begin(struct amend_sync *sync)
{
	sync->run = (struct amend_run_spec){sync->source_name, sync->table->qualified};
	amend_run_begin(sync->db, &sync->run);
	/* What is one unit cannot end in the middle. */
	sync->db->stoppable = !sync->options->atomic;
}

void amend_sync_run_end(struct amend_sync *sync)
{
	sync->db->stoppable = 0;
	sync->report->run = amend_run_current(sync->db);
	amend_run_end(sync->db);
}

/*
 * The first bases of a source, for records that are what their rows say: many at a time, each proved by
 * its own insertion. Leaves finding those records to the sieve, and whoever is in the way to apply.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "sync/sync.h"

bool amend_sync_may_settle_firsts(const struct amend_sync *sync)
{
	const struct amend_sync_options *options = sync->options;

	/* What is asked about, saved, or one unit with all else, is decided; so it is slice by slice, where none is kept. */
	return !sync->slices && !options->atomic && !options->on_plan && !options->on_confirm &&
	       !options->skip_locked;
}

struct first {
	const struct amend_base *base;
	uint64_t index; /* of its record */
};

struct firsts {
	struct amend_sync *sync;
	struct first *all; /* by primary key: neighbours of the index are written together */
	struct amend_base_bulk *items; /* all[from] to all[to - 1] */
	size_t n, from, to;
	bool others; /* another source has bases of the table: rows are to be held */
};

/*
 * Who takes up a row of which other sources have bases holds it (missing_order.c). There is none
 * here mostly: then a base that is inserted is proof enough, as in chunk.c.
 */
static enum amend_status look_for_others(struct firsts *firsts, struct amend_error *err)
{
	struct amend_sync *sync = firsts->sync;
	struct amend_arena arena = AMEND_ARENA_INIT;
	const char **sources = NULL;
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	firsts->others = false;
	if (amend_has(sync->db, AMEND_HAS_ROW_LOCK))
		status = amend_base_sources(sync->db, sync->table, &arena, &sources, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		firsts->others = firsts->others || strcmp(sources[i], sync->source_name) != 0;
	amend_arena_release(&arena);
	return status;
}

static enum amend_status write_some(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct firsts *firsts = context;
	enum amend_status status = look_for_others(firsts, err);

	if (status != AMEND_OK || firsts->others)
		return status;
	return amend_bases_write(db, firsts->sync->table, firsts->items, firsts->to - firsts->from,
				 err);
}

/* To be decided, with the others that moved. */
static enum amend_status recall(struct firsts *firsts, size_t i, struct amend_error *err)
{
	struct amend_sync *sync = firsts->sync;
	struct amend_record *record;
	enum amend_status status;

	amend_sieve_pull(sync->sieve, (int64_t)firsts->all[i].index);
	status = amend_sync_recall(sync, firsts->all[i].index, &record, err);
	if (status == AMEND_OK)
		record->effect = AMEND_EFFECT_MOVED;
	return status;
}

/* Nothing of theirs is in: they are not counted. */
static void give_up(const struct firsts *firsts)
{
	for (size_t i = firsts->from; i < firsts->n; i++)
		amend_sieve_pull(firsts->sync->sieve, (int64_t)firsts->all[i].index);
}

static enum amend_status write_all(struct firsts *firsts, struct amend_error *err)
{
	struct amend_sync *sync = firsts->sync;
	size_t batch = sync->options->batch, size = batch ? batch : AMEND_SYNC_CHUNK;
	enum amend_status status = AMEND_OK;

	amend_sync_progress(sync, "apply", 0, firsts->n + sync->n_todo);
	while (firsts->from < firsts->n && status == AMEND_OK && !firsts->others) {
		int64_t begun = amend_clock_ms();

		if (sync->db->stopping)
			return amend_error_set(err, AMEND_INTERRUPTED, "interrupted");
		firsts->to = firsts->n - firsts->from < size ? firsts->n : firsts->from + size;
		for (size_t i = firsts->from; i < firsts->to; i++)
			firsts->items[i - firsts->from].base = firsts->all[i].base;
		status = amend_atomic(sync->db, NULL, write_some, firsts, err);
		if (status == AMEND_OUTCOME_UNKNOWN)
			sync->n_unknown = firsts->to - firsts->from;
		if (status != AMEND_OK || firsts->others)
			break;
		sync->committed = true;
		for (size_t i = 0; firsts->from < firsts->to && status == AMEND_OK; i++) {
			size_t at = firsts->from++;

			if (firsts->items[i].moved)
				status = recall(firsts, at, err);
		}
		if (!batch)
			size = amend_sync_next_size(size, amend_clock_ms() - begun);
		amend_sync_progress(sync, "apply", firsts->from, firsts->n + sync->n_todo);
	}
	for (; firsts->others && firsts->from < firsts->n && status == AMEND_OK; firsts->from++)
		status = recall(firsts, firsts->from, err);
	return status;
}

static int by_pk(const void *a, const void *b)
{
	return strcmp(((const struct first *)a)->base->pk, ((const struct first *)b)->base->pk);
}

enum amend_status amend_sync_write_firsts(struct amend_sync *sync, struct amend_error *err)
{
	struct firsts firsts = {.sync = sync};
	enum amend_status status = AMEND_OK;

	firsts.all = calloc(sync->n_first + 1, sizeof(*firsts.all));
	firsts.items = calloc(sync->n_first + 1, sizeof(*firsts.items));
	if (!firsts.all || !firsts.items)
		status = amend_no_memory(err);
	for (uint64_t i = 0; i < sync->store.n && status == AMEND_OK; i++) {
		const struct amend_base *base = amend_sieve_first_base(sync->sieve, i);

		if (base)
			firsts.all[firsts.n++] = (struct first){base, i};
	}
	if (status == AMEND_OK) {
		qsort(firsts.all, firsts.n, sizeof(*firsts.all), by_pk);
		status = write_all(&firsts, err);
	}
	if (status != AMEND_OK)
		give_up(&firsts);
	free(firsts.all);
	free(firsts.items);
	return status;
}

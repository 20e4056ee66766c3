/*
 * The first bases of a source, for records that are what their rows say: many at a time, each proved by
 * its own insertion. Leaves finding those records to the sieve, and whoever is in the way to apply.c.
 *
 * They depend on nothing that the run writes: where the server can do two things at once they are written beside it
 * (beside.c).
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "sync/beside.h"
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
	bool moved;     /* there was one already */
};

struct amend_firsts {
	struct amend_sync *sync;
	struct amend_beside beside;
	struct first *all; /* by primary key: neighbours of the index are written together */
	struct amend_base_bulk *items; /* all[from] to all[to - 1] */
	size_t n, from, to;
	bool others; /* another source has bases of the table: rows are to be held */
};

enum {
	BESIDE_FIRSTS = 2000, /* so many, beside so many of other records, are worth a connection */
	BESIDE_OTHERS = 200,
};

/*
 * Who takes up a row of which other sources have bases holds it (missing_order.c). There is none
 * here mostly: then a base that is inserted is proof enough, as in chunk.c.
 */
static enum amend_status look_for_others(struct amend_conn *db, struct amend_firsts *firsts,
					 struct amend_error *err)
{
	const struct amend_sync *sync = firsts->sync;
	struct amend_arena arena = AMEND_ARENA_INIT;
	const char **sources = NULL;
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	firsts->others = false;
	if (amend_has(db, AMEND_HAS_ROW_LOCK))
		status = amend_base_sources(db, sync->table, &arena, &sources, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		firsts->others = firsts->others || strcmp(sources[i], sync->source_name) != 0;
	amend_arena_release(&arena);
	return status;
}

static enum amend_status write_some(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_firsts *firsts = context;
	enum amend_status status = look_for_others(db, firsts, err);

	if (status != AMEND_OK || firsts->others)
		return status;
	return amend_bases_write(db, firsts->sync->table, firsts->items, firsts->to - firsts->from,
				 err);
}

/* Chunk after chunk; all[from] is then the first that is not in. */
static enum amend_status write_all(struct amend_conn *db, struct amend_firsts *firsts,
				   struct amend_error *err)
{
	const struct amend_sync *sync = firsts->sync;
	size_t batch = sync->options->batch, size = batch ? batch : AMEND_SYNC_CHUNK;
	enum amend_status status = AMEND_OK;

	while (firsts->from < firsts->n && !firsts->others) {
		int64_t begun = amend_clock_ms();

		if (amend_beside_stopped(&firsts->beside, sync))
			return amend_error_set(err, AMEND_INTERRUPTED, "interrupted");
		firsts->to = firsts->n - firsts->from < size ? firsts->n : firsts->from + size;
		for (size_t i = firsts->from; i < firsts->to; i++)
			firsts->items[i - firsts->from].base = firsts->all[i].base;
		status = amend_atomic(db, NULL, write_some, firsts, err);
		if (status != AMEND_OK || firsts->others)
			break;
		for (size_t i = 0; firsts->from < firsts->to; i++)
			firsts->all[firsts->from++].moved = firsts->items[i].moved;
		if (!batch)
			size = amend_sync_next_size(size, amend_clock_ms() - begun);
		if (db == sync->db)
			amend_sync_progress(sync, "apply", firsts->from, firsts->n + sync->n_todo);
	}
	return status;
}

static void *write_beside(void *context)
{
	struct amend_firsts *firsts = context;
	struct amend_error ignored;

	/* Whatever kept the rest from being written is met again, and told, where that is done. */
	(void)!write_all(firsts->beside.db, firsts, &ignored);
	return NULL;
}

static int by_pk(const void *a, const void *b)
{
	return strcmp(((const struct first *)a)->base->pk, ((const struct first *)b)->base->pk);
}

static struct amend_firsts *collect(struct amend_sync *sync)
{
	struct amend_firsts *firsts = calloc(1, sizeof(*firsts));
	struct first *all = calloc(sync->n_first + 1, sizeof(*all));
	struct amend_base_bulk *items = calloc(sync->n_first + 1, sizeof(*items));

	if (!firsts || !all || !items) {
		free(firsts);
		free(all);
		free(items);
		return NULL;
	}
	*firsts = (struct amend_firsts){.sync = sync, .all = all, .items = items};
	for (uint64_t i = 0; i < sync->store.n; i++) {
		const struct amend_base *base = amend_sieve_first_base(sync->sieve, i);

		if (base)
			all[firsts->n++] = (struct first){base, i, false};
	}
	qsort(all, firsts->n, sizeof(*all), by_pk);
	return firsts;
}

enum amend_status amend_sync_begin_firsts(struct amend_sync *sync, struct amend_firsts **out,
					  struct amend_error *err)
{
	struct amend_firsts *firsts = collect(sync);

	*out = firsts;
	if (!firsts)
		return amend_no_memory(err);
	amend_sync_progress(sync, "apply", 0, firsts->n + sync->n_todo);
	if (firsts->n >= BESIDE_FIRSTS && sync->n_todo >= BESIDE_OTHERS &&
	    amend_beside_begin(&firsts->beside, sync, write_beside, firsts))
		return AMEND_OK;
	*out = NULL;
	return amend_sync_end_firsts(firsts, AMEND_OK, err);
}

/* To be decided, with the others that moved. */
static enum amend_status recall(const struct amend_firsts *firsts, size_t i, struct amend_error *err)
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

enum amend_status amend_sync_end_firsts(struct amend_firsts *firsts, enum amend_status so_far,
					struct amend_error *err)
{
	struct amend_sync *sync = firsts->sync;
	enum amend_status status = so_far;
	size_t known = 0;

	if (so_far != AMEND_OK)
		atomic_store(&firsts->beside.stop, true);
	amend_beside_end(&firsts->beside, sync);
	if (status == AMEND_OK) {
		status = write_all(sync->db, firsts, err);
		if (status == AMEND_OUTCOME_UNKNOWN)
			sync->n_unknown = firsts->to - firsts->from;
	}
	sync->committed = sync->committed || firsts->from > 0;
	for (; known < firsts->n && status == AMEND_OK; known++) {
		if (known >= firsts->from || firsts->all[known].moved)
			status = recall(firsts, known, err);
	}
	/* Nothing of theirs is in: they are not counted. */
	for (size_t i = known; i < firsts->n; i++) {
		if (i >= firsts->from || firsts->all[i].moved)
			amend_sieve_pull(sync->sieve, (int64_t)firsts->all[i].index);
	}
	free(firsts->all);
	free(firsts->items);
	free(firsts);
	return status;
}

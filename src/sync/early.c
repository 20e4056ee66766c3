/*
 * Reads the table in a thread of its own while the input is read.
 * Leaves what the rows are compared with to the sieve, which takes them.
 *
 * The thread runs one statement and keeps its rows in batches, of which so many may wait. Nothing is shared but
 * what stands below `lock`.
 */
#include "sync/early.h"

#include <stdlib.h>

#include "core/thread.h"
#include "sync/sync.h"

enum {
	LEAST = 1000,    /* records that are in before it is known about how many there will be */
	ROWS = 256,      /* of a batch */
	ROOM = 64 << 10, /* bytes that they take, unless one alone takes more */
	/*
	 * Batches. Nothing is taken before the input has been read: until then the thread would wait, and the
	 * whole of what it does would come after. So as much may wait as the records themselves may take.
	 */
	WAITING = AMEND_STORE_LIMIT / ROOM,
	/* So many are a lead: there is time for what the taker could do as well. */
	LEAD = 16,
};

struct batch {
	struct batch *next;
	size_t n, used, room;
	bool whole;      /* the fingerprints are */
	size_t at[ROWS]; /* where a row is in the bytes: packed, as records are, or half of it would be room between values */
	struct amend_fingerprint prints[ROWS];
	unsigned char bytes[];
};

struct amend_early {
	struct amend_conn *db;
	const struct amend_table *table;
	struct amend_sieve_bases bases;
	bool baseless;                      /* there is nothing but codes to be told of its rows */
	struct amend_fingerprinter printer; /* its buffers are the thread's */
	pthread_t thread;
	struct batch *filling; /* the thread's */
	struct batch *taken;   /* the taker's */

	pthread_mutex_t lock;
	pthread_cond_t moved; /* one came, one was taken, or it is over */
	struct batch *first, **last;
	struct batch *empty; /* what was taken is filled again */
	size_t waiting;
	bool stop; /* the taker wants no more */
	bool over; /* the thread has no more: */
	enum amend_status status;
	struct amend_error error;
};

static void free_batches(struct batch *batch)
{
	while (batch) {
		struct batch *next = batch->next;

		free(batch);
		batch = next;
	}
}

/* ---- the thread's half ---- */

/* Waits where too many do. */
static enum amend_status hand_over(struct amend_early *early, struct amend_error *err)
{
	struct batch *batch = early->filling;
	bool stop;

	if (!batch)
		return AMEND_OK;
	early->filling = NULL;
	pthread_mutex_lock(&early->lock);
	while (early->waiting >= WAITING && !early->stop)
		pthread_cond_wait(&early->moved, &early->lock);
	batch->next = NULL;
	*early->last = batch;
	early->last = &batch->next;
	early->waiting++;
	stop = early->stop;
	pthread_cond_signal(&early->moved);
	pthread_mutex_unlock(&early->lock);
	return stop ? amend_error_set(err, AMEND_INTERRUPTED, "no more rows are wanted") : AMEND_OK;
}

static struct batch *make_batch(struct amend_early *early, size_t size)
{
	size_t room = size > ROOM ? size : ROOM;
	struct batch *batch;

	bool leads;

	pthread_mutex_lock(&early->lock);
	batch = early->empty;
	if (batch)
		early->empty = batch->next;
	leads = early->waiting >= LEAD;
	pthread_mutex_unlock(&early->lock);
	if (!batch || batch->room < size) {
		free(batch);
		batch = malloc(sizeof(*batch) + room);
		if (!batch)
			return NULL;
		batch->room = room;
	}
	batch->n = batch->used = 0;
	batch->whole = leads && !early->baseless;
	return batch;
}

/* Its values, and what stands behind them. */
static size_t packed_size(const struct amend_early *early, const struct amend_row *row)
{
	return amend_store_fields_size(row->values, early->table->n_columns) +
	       amend_store_fields_size(&row->rowid, 1) + amend_store_fields_size(&row->version, 1);
}

static void pack(const struct amend_early *early, const struct amend_row *row, unsigned char *at)
{
	at = amend_store_put_fields(at, row->values, early->table->n_columns);
	at = amend_store_put_fields(at, &row->rowid, 1);
	amend_store_put_fields(at, &row->version, 1);
}

static enum amend_status take_row(void *context, const struct amend_row *row,
				  struct amend_error *err)
{
	struct amend_early *early = context;
	struct batch *batch = early->filling;
	size_t size = packed_size(early, row);
	enum amend_status status = AMEND_OK;
	struct amend_fingerprint *print;

	if (batch && (batch->n == ROWS || batch->room - batch->used < size)) {
		status = hand_over(early, err);
		batch = NULL;
	}
	if (status != AMEND_OK)
		return status;
	if (!batch)
		batch = early->filling = make_batch(early, size);
	if (!batch)
		return amend_no_memory(err);
	pack(early, row, batch->bytes + batch->used);
	batch->at[batch->n] = batch->used;
	batch->used += size;
	print = &batch->prints[batch->n++];
	return batch->whole ? amend_fingerprint(&early->printer, row, print, err)
			    : amend_fingerprint_key(&early->printer, row, print, err);
}

static void *read_table(void *context)
{
	struct amend_early *early = context;
	struct amend_error err = {.status = AMEND_OK};
	enum amend_status status = amend_row_scan(early->db, early->table, take_row, early, &err);

	if (status == AMEND_OK)
		status = hand_over(early, &err);
	pthread_mutex_lock(&early->lock);
	early->over = true;
	early->status = status;
	early->error = err;
	pthread_cond_signal(&early->moved);
	pthread_mutex_unlock(&early->lock);
	return NULL;
}

/* ---- the taker's half ---- */

const struct amend_sieve_bases *amend_early_bases(const struct amend_early *early)
{
	return &early->bases;
}

const struct amend_fingerprinter *amend_early_printer(const struct amend_early *early)
{
	return &early->printer;
}

void amend_early_row(const struct amend_early *early, size_t i, struct amend_value *values,
		     struct amend_row *out)
{
	const unsigned char *at = early->taken->bytes + early->taken->at[i];

	*out = (struct amend_row){.values = values};
	at = amend_store_take_fields(at, values, early->table->n_columns);
	at = amend_store_take_fields(at, &out->rowid, 1);
	amend_store_take_fields(at, &out->version, 1);
}

enum amend_status amend_early_next(struct amend_early *early,
				   const struct amend_fingerprint **prints, bool *whole, size_t *n,
				   struct amend_error *err)
{
	struct batch *batch;
	enum amend_status status;

	pthread_mutex_lock(&early->lock);
	if (early->taken) {
		early->taken->next = early->empty;
		early->empty = early->taken;
	}
	while (!early->first && !early->over)
		pthread_cond_wait(&early->moved, &early->lock);
	batch = early->first;
	if (batch) {
		early->first = batch->next;
		if (!early->first)
			early->last = &early->first;
		early->waiting--;
		pthread_cond_signal(&early->moved);
	}
	status = batch ? AMEND_OK : early->status;
	if (status != AMEND_OK)
		*err = early->error;
	pthread_mutex_unlock(&early->lock);
	early->taken = batch;
	*prints = batch ? batch->prints : NULL;
	*whole = batch && batch->whole;
	*n = batch ? batch->n : 0;
	return status;
}

void amend_early_end(struct amend_sync *sync)
{
	struct amend_early *early = sync->early;

	if (!early)
		return;
	sync->early = NULL;
	pthread_mutex_lock(&early->lock);
	early->stop = true;
	pthread_cond_signal(&early->moved);
	pthread_mutex_unlock(&early->lock);
	pthread_join(early->thread, NULL);
	free(early->filling);
	free(early->taken);
	free_batches(early->first);
	free_batches(early->empty);
	pthread_cond_destroy(&early->moved);
	pthread_mutex_destroy(&early->lock);
	amend_fingerprinter_release(&early->printer);
	free(early);
}

/* ---- whether, and when ---- */

/*
 * Not on a connection of the application's, whose functions and callbacks may be bound to its thread; nor of an input
 * that is not at hand, for an open read keeps what it sees from being cleaned up.
 */
static bool may_begin(const struct amend_sync *sync)
{
	const struct amend_sync_options *options = sync->options;
	const struct amend_input *input = sync->source->input;

	return sync->store.n == LEAST && sync->table && !sync->store.file && !sync->create_sql &&
	       !sync->slices && input && input->size > 0 && !sync->source->remote &&
	       !sync->db->adopted && !sync->db->options.trace && !amend_in_transaction(sync->db) &&
	       !options->create_only && !amend_sync_odd(sync) && !amend_sync_trims(sync, 0);
}

/* About how many records there will be; 0: they will not stay in memory. */
static uint64_t foresee(const struct amend_sync *sync)
{
	const struct amend_input *input = sync->source->input;
	uint64_t n = sync->store.n;

	if (input->taken > 0 && input->size > input->taken)
		n = n * (input->size / 1024 + 1) / (input->taken / 1024 + 1);
	return amend_store_keeps(&sync->store, n) ? n : 0;
}

static struct amend_early *make(struct amend_sync *sync, const struct amend_sieve_bases *bases)
{
	struct amend_early *early = calloc(1, sizeof(*early));
	bool locks, waits;

	if (!early)
		return NULL;
	*early = (struct amend_early){
		.db = sync->db, .table = sync->table, .bases = *bases, .baseless = sync->baseless};
	amend_fingerprinter_begin(&early->printer, sync, bases->known ? bases->salt : NULL);
	early->last = &early->first;
	locks = pthread_mutex_init(&early->lock, NULL) == 0;
	waits = locks && pthread_cond_init(&early->moved, NULL) == 0;
	if (waits && amend_thread_start(&early->thread, read_table, early))
		return early;
	if (waits)
		pthread_cond_destroy(&early->moved);
	if (locks)
		pthread_mutex_destroy(&early->lock);
	amend_fingerprinter_release(&early->printer);
	free(early);
	return NULL;
}

enum amend_status amend_early_begin(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_sieve_bases bases;
	enum amend_sieve_way way;
	enum amend_status status;
	uint64_t n;

	if (!may_begin(sync) || (n = foresee(sync)) == 0 ||
	    !amend_reads_freely(sync->db, sync->table->schema))
		return AMEND_OK;
	status = amend_sieve_choose(sync, n, &way, err);
	if (status != AMEND_OK || way != AMEND_SIEVE_BY_SCAN)
		return status;
	status = amend_sync_look(sync, err);
	if (status == AMEND_OK)
		status = amend_sieve_look(sync, &bases, err);
	/* Where their number is not known they would have to be counted, by whoever has the connection. */
	if (status != AMEND_OK || (!sync->baseless && !bases.known))
		return status;
	/* Without a thread rows are read later, as ever. */
	sync->early = make(sync, &bases);
	return AMEND_OK;
}

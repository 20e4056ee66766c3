/*
 * Who adds to the same row at the same time is written together: while one
 * commits, the others queue; then the first of them writes for all.
 * Leaves the unit to combine_unit.c, and everything else to the road.
 */
#include "record/combine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/pack.h"

/* So many in one unit at most: nobody waits for a very long one. */
enum { MOST = 256 };
/* How often who waits looks whether it was interrupted. */
enum { LOOK_NS = 20000000 };

enum state { QUEUED, TAKEN, LEADS, DONE, ALONE };

struct waiting {
	struct waiting *next; /* in the queue; then in the batch */
	struct amend_addition *addition;
	enum state state;
	enum amend_status status; /* DONE */
	struct amend_error error;
	pthread_cond_t news;
};

/* A row that somebody is writing to now. */
struct row {
	struct row *next;
	struct waiting *first, **last;
	size_t size;
	char name[];
};

struct amend_combiner {
	pthread_mutex_t lock;
	struct row *rows;
};

enum amend_status amend_combiner_new(struct amend_combiner **out, struct amend_error *err)
{
	struct amend_combiner *combiner = calloc(1, sizeof(*combiner));

	*out = NULL;
	if (!combiner)
		return amend_no_memory(err);
	if (pthread_mutex_init(&combiner->lock, NULL) != 0) {
		free(combiner);
		return amend_no_memory(err);
	}
	*out = combiner;
	return AMEND_OK;
}

void amend_combiner_free(struct amend_combiner *combiner)
{
	if (!combiner)
		return;
	pthread_mutex_destroy(&combiner->lock);
	free(combiner);
}

/* ---- the queue; with the lock ---- */

/* The same bytes for the same row, asked for the same way; two ways to one row are two queues, and as correct. */
static void name_row(struct amend_buffer *name, const struct amend_call *call)
{
	const struct amend_request_key *key = &call->keys[0];

	amend_buffer_add(name, amend_table_digest(call->table), AMEND_TABLE_DIGEST);
	amend_buffer_add(name, &call->table->version, sizeof(call->table->version));
	for (size_t i = 0; i < key->n; i++) {
		amend_pack_add(name, call->table->columns[key->columns[i]].name, &key->values[i]);
	}
}

static struct row **find(struct amend_combiner *combiner, const struct amend_buffer *name)
{
	struct row **at = &combiner->rows;

	while (*at &&
	       ((*at)->size != name->size || memcmp((*at)->name, name->data, name->size) != 0))
		at = &(*at)->next;
	return at;
}

static bool add_row(struct row **at, const struct amend_buffer *name)
{
	struct row *row = malloc(sizeof(*row) + name->size);

	if (!row)
		return false;
	*row = (struct row){.size = name->size};
	row->last = &row->first;
	memcpy(row->name, name->data, name->size);
	*at = row;
	return true;
}

/* The next writer gets all that wait by now; with nobody waiting the row is no longer hot. */
static void hand_over(struct amend_combiner *combiner, const struct amend_buffer *name)
{
	struct row **at = find(combiner, name), *row = *at;
	struct waiting *end = row ? row->first : NULL;

	if (!row)
		return;
	if (!end) {
		*at = row->next;
		free(row);
		return;
	}
	end->state = LEADS;
	pthread_cond_signal(&end->news);
	for (size_t n = 1; n < MOST && end->next; n++) {
		end = end->next;
		end->state = TAKEN;
	}
	row->first = end->next;
	if (!row->first)
		row->last = &row->first;
	end->next = NULL;
}

static void leave_queue(struct row *row, struct waiting *waiting)
{
	struct waiting **at = &row->first;

	while (*at != waiting)
		at = &(*at)->next;
	*at = waiting->next;
	if (!*at)
		row->last = at;
}

/* Until there is news. Interrupted before anybody took it up: DONE. */
static void wait_for_news(struct amend_combiner *combiner, struct row *row, struct waiting *waiting)
{
	while (waiting->state == QUEUED || waiting->state == TAKEN) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		if (pthread_cond_timedwait(&waiting->news, &combiner->lock, &until) != ETIMEDOUT ||
		    waiting->state != QUEUED)
			continue;
		waiting->status = amend_check_interrupted(waiting->addition->call.db,
							  &waiting->error);
		if (waiting->status == AMEND_OK)
			continue;
		leave_queue(row, waiting);
		waiting->state = DONE;
	}
}

/* ---- writing ---- */

static enum amend_status alone(struct amend_addition *addition, struct amend_error *err)
{
	struct amend_call *call = &addition->call;
	struct amend_result *result = call->work.result;

	amend_result_release(result);
	return amend_write(call->db, call->table, call->write, result, err);
}

/* For all of the batch, this one's own among them; the others learn what became of theirs. */
static enum amend_status lead(struct amend_combiner *combiner, const struct amend_buffer *name,
			      struct waiting *batch, struct amend_error *err)
{
	struct amend_addition *items[MOST], *own = batch->addition;
	struct amend_error error = {.status = AMEND_OK};
	enum amend_status status;
	bool by_itself = true;
	size_t n = 0;

	for (struct waiting *at = batch; at; at = at->next)
		items[n++] = at->addition;
	if (n == 1)
		status = alone(own, &error);
	else
		status = amend_additions_write(own->call.db, items, n, &by_itself, &error);
	pthread_mutex_lock(&combiner->lock);
	hand_over(combiner, name);
	for (struct waiting *at = batch->next, *next; at; at = next) {
		next = at->next;
		at->state = by_itself ? ALONE : DONE;
		at->status = status == AMEND_OK ? at->addition->status : status;
		at->error = status == AMEND_OK ? at->addition->error : error;
		pthread_cond_signal(&at->news);
	}
	pthread_mutex_unlock(&combiner->lock);
	/* An interruption, or a connection that is gone, is this caller's own. */
	if (n > 1 && by_itself && status != AMEND_INTERRUPTED && status != AMEND_UNREACHABLE)
		return alone(own, err);
	if (n > 1 && status == AMEND_OK) {
		status = own->status;
		error = own->error;
	}
	*err = error;
	return status;
}

static enum amend_status combine(struct amend_combiner *combiner, struct amend_addition *addition,
				 struct amend_error *err)
{
	struct waiting waiting = {.addition = addition, .state = LEADS};
	struct amend_buffer name = AMEND_BUFFER_INIT;
	enum amend_status status;
	struct row **at;
	bool queued = false;

	name_row(&name, &addition->call);
	if (name.failed || pthread_cond_init(&waiting.news, NULL) != 0) {
		amend_buffer_release(&name);
		return alone(addition, err);
	}
	pthread_mutex_lock(&combiner->lock);
	at = find(combiner, &name);
	if (*at) {
		waiting.state = QUEUED;
		*(*at)->last = &waiting;
		(*at)->last = &waiting.next;
		wait_for_news(combiner, *at, &waiting);
		queued = true;
	} else {
		queued = add_row(at, &name);
	}
	pthread_mutex_unlock(&combiner->lock);
	if (waiting.state == LEADS && queued) {
		status = lead(combiner, &name, &waiting, err);
	} else if (waiting.state == DONE) {
		status = waiting.status;
		*err = waiting.error;
	} else {
		status = alone(addition, err);
	}
	pthread_cond_destroy(&waiting.news);
	amend_buffer_release(&name);
	return status;
}

enum amend_status amend_write_combined(struct amend_combiner *combiner, struct amend_conn *db,
				       const struct amend_table *table,
				       const struct amend_write *write, struct amend_result *result,
				       struct amend_error *err)
{
	struct amend_addition addition = {
		.call = {.db = db, .table = table, .write = write},
	};
	enum amend_status status;
	bool present, fits;

	if (!combiner || db->adopted || db->depth > 0 || db->options.read_only)
		return amend_write(db, table, write, result, err);
	status = amend_result_begin(result, &addition.call.work, err);
	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	fits = amend_call_resolve(&addition.call, write->keys, write->n_keys, &write->expect,
				  err) == AMEND_OK &&
	       amend_addition_fits(&addition) && amend_ledger_look(db, &present, err) == AMEND_OK;
	if (fits) {
		addition.who = amend_author_who(db);
		addition.why = db->why ? db->why : "";
		addition.program = db->program ? db->program : "";
		status = combine(combiner, &addition, err);
		amend_result_status(result, status);
	} else {
		status = alone(&addition, err);
	}
	return amend_leave(db, status, err);
}

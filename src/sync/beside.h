/*
 * A part of what a run writes, over a connection of its own and by a thread of its own, beside the rest. What the thread
 * works on nobody else touches until it has ended.
 */
#ifndef AMEND_SYNC_BESIDE_H
#define AMEND_SYNC_BESIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "sql/conn.h"

struct amend_sync;

struct amend_beside {
	struct amend_conn *db; /* the thread's; NULL: there is none */
	pthread_t thread;
	atomic_bool stop;
};

/* False where a second connection is of no use, or not to be had: then the caller does all himself. */
bool amend_beside_begin(struct amend_beside *beside, struct amend_sync *sync,
			void *(*work)(void *context), void *context);
/* For the thread, between two of its units: it is to end here. */
bool amend_beside_stopped(const struct amend_beside *beside, const struct amend_sync *sync);
/* Waits for its end; an interruption of the run meanwhile is one of what it waits for. Nothing where it is not under way. */
void amend_beside_end(struct amend_beside *beside, const struct amend_sync *sync);

#endif

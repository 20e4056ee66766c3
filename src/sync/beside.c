/*
 * A second connection and a thread that writes over it: for engines on which two writers do not wait for each other.
 * Leaves what is written to first.c and half.c.
 */
#include "sync/beside.h"

#include <errno.h>
#include <time.h>

#include "core/thread.h"
#include "sync/sync.h"

enum { LOOK_MS = 50 }; /* how often it is looked whether the run is interrupted */

bool amend_beside_begin(struct amend_beside *beside, struct amend_sync *sync,
			void *(*work)(void *context), void *context)
{
	struct amend_error ignored;

	/* Of a remote source it is counted what is written over the run's own connection (seen.c). */
	if (sync->source->remote || sync->db->options.trace ||
	    amend_twin(sync->db, &beside->db, &ignored) != AMEND_OK)
		return false;
	atomic_store(&beside->stop, false);
	if (amend_thread_start(&beside->thread, work, context))
		return true;
	amend_close(beside->db);
	beside->db = NULL;
	return false;
}

bool amend_beside_stopped(const struct amend_beside *beside, const struct amend_sync *sync)
{
	return atomic_load(&beside->stop) || sync->db->stopping || sync->db->interrupted;
}

/* False: it still goes on. */
static bool join(struct amend_beside *beside)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_clockjoin_np(beside->thread, NULL, CLOCK_MONOTONIC, &until) != ETIMEDOUT;
}

void amend_beside_end(struct amend_beside *beside, const struct amend_sync *sync)
{
	if (!beside->db)
		return;
	/* Its statement may wait for a lock, and nobody else knows of its connection. */
	while (!join(beside)) {
		if (sync->db->interrupted)
			amend_interrupt(beside->db);
	}
	amend_close(beside->db);
	beside->db = NULL;
}

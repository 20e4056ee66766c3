/*
 * A second connection and a thread that writes over it: for engines on which two writers do not wait for each other.
 * Leaves what is written to first.c and half.c.
 */
#include "sync/beside.h"

#include "core/thread.h"
#include "sync/sync.h"

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

void amend_beside_end(struct amend_beside *beside)
{
	if (!beside->db)
		return;
	pthread_join(beside->thread, NULL);
	amend_close(beside->db);
	beside->db = NULL;
}

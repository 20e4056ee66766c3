/*
 * Phase 1: classifies the records of `list` without writing anything.
 * Leaves the decisions themselves to the files it calls in turn.
 */
#include "sync/sync.h"

enum amend_status amend_sync_plan(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	sync->n_asks = 0;
	if (sync->round == 0)
		status = amend_sync_keys(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_open_conflicts(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_match(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_values(sync, err);
	if (status != AMEND_OK)
		return status;
	amend_sync_find_open(sync);
	status = amend_sync_decide(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_unique(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_order(sync, err);
	return status;
}

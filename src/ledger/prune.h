/* History that was removed, for the layers above. */
#ifndef AMEND_LEDGER_PRUNE_H
#define AMEND_LEDGER_PRUNE_H

#include "ledger/ledger.h"

/* The last position in history up to which changes may have been removed; 0: none were. */
enum amend_status amend_ledger_pruned(struct amend_conn *db, int64_t *out,
				      struct amend_error *err) AMEND_CHECK;

#endif

/* Feeds, for src/ledger alone: their numbers, and what a write of bases adds to their sums. */
#ifndef AMEND_LEDGER_FEED_H
#define AMEND_LEDGER_FEED_H

#include "ledger/ledger.h"

/* The number of a source and table, *id 0: it has none yet; with `make` it gets one. Inside a unit then. Its salt is in the ledger's state. */
enum amend_status amend_feed_find(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool make, int64_t *id,
				  struct amend_error *err) AMEND_CHECK;
/* By how much the sum of its bases changes in the transaction that is open (`known` does not count). */
enum amend_status amend_feed_add(struct amend_conn *db, int64_t feed,
				 const struct amend_base_sum *difference,
				 struct amend_error *err) AMEND_CHECK;

#endif

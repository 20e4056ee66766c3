/* A source's bases and the sum that is kept of them (src/ledger/feed.c). */
#ifndef AMEND_TESTS_SUMS_H
#define AMEND_TESTS_SUMS_H

#include "ledger/ledger.h"

/* Fails where it is another, unless none is known: of bases that an older ledger has left. */
void expect_sum(struct amend_conn *db, const char *source, const struct amend_table *table);

#endif

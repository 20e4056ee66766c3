/* A ledger of an earlier version, made of today's: for tests of what older programs left. */
#ifndef TESTS_LIB_OLD_LEDGER_H
#define TESTS_LIB_OLD_LEDGER_H

#include "engines.h"

/*
 * Takes back, from the newest on, each step of src/ledger/steps.c above `version` (1 or more). What was in
 * the tables of those steps is gone; bases are kept down to version 2. Connections that have
 * looked at the ledger must be opened again.
 */
void old_ledger(struct engine *engine, int version);

/*
 * Makes of a ledger of version 2 to 5 what it was for a while: with sums and salts already. Bases stay; no
 * sum is known of them.
 */
void old_ledger_with_sums(struct engine *engine);

#endif

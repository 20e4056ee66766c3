/*
 * The table read in a thread of its own while the input is still being read: what is compared then is there
 * sooner. As long as it is under way the connection is the thread's, and nobody else runs a statement on it.
 */
#ifndef AMEND_SYNC_EARLY_H
#define AMEND_SYNC_EARLY_H

#include "record/road.h"
#include "sync/fingerprint.h"
#include "sync/sieve.h"

struct amend_sync;
struct amend_early;

/*
 * Once some records are in the store: begins, as sync->early, where the whole table is to be read, and
 * where reading it is in nobody's way even if it waits for the input; else sync->early stays NULL.
 * What must be looked at before rows are (amend_sync_look, amend_sieve_look) has been by then.
 */
enum amend_status amend_early_begin(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

const struct amend_sieve_bases *amend_early_bases(const struct amend_early *early);

/* How the fingerprints of its rows are taken. */
const struct amend_fingerprinter *amend_early_printer(const struct amend_early *early);

/*
 * The fingerprints of the next rows; they and the rows live until the next call. `*n` 0: there are no more.
 * They are `*whole`, or their codes alone: of a source without bases, and where the taker waits for them.
 */
enum amend_status amend_early_next(struct amend_early *early,
				   const struct amend_fingerprint **prints, bool *whole, size_t *n,
				   struct amend_error *err) AMEND_CHECK;

/* One of these rows; `values`: room for as many as the table has columns. */
void amend_early_row(const struct amend_early *early, size_t i, struct amend_value *values,
		     struct amend_row *out);

/* Ends it, wherever it is: the connection is the caller's again, and sync->early NULL. Nothing where it is NULL. */
void amend_early_end(struct amend_sync *sync);

#endif

/*
 * Leases as rows, for the layers above: taking, renewing, ending, listing, and
 * testing one in the transaction of a write. amend/lease.h is the public half.
 */
#ifndef AMEND_LEDGER_LEASE_H
#define AMEND_LEDGER_LEASE_H

#include <amend/lease.h>

#include "ledger/ledger.h"

/* Which lease: a record's, or (tbl "") the plain name that `pk` is. Borrowed. */
struct amend_lease_at {
	const char *tbl, *pk;
};

/* ---- tokens ---- */

enum { AMEND_LEASE_NAME_SIZE = 12, AMEND_LEASE_SECRET_SIZE = 20, AMEND_LEASE_DIGEST = 65 };

struct amend_lease_token {
	int64_t fence;
	bool plain;                                /* of a plain name, not of a record */
	unsigned char name[AMEND_LEASE_NAME_SIZE]; /* a digest of what it is the lease of */
	unsigned char secret[AMEND_LEASE_SECRET_SIZE];
};

/* With a new secret; the fence is not known yet. */
void amend_lease_token_new(const struct amend_lease_at *at, struct amend_lease_token *out);
void amend_lease_token_write(const struct amend_lease_token *token, char out[80]);
/* INVALID: it is none. */
enum amend_status amend_lease_token_read(const char *text, struct amend_lease_token *out,
					 struct amend_error *err) AMEND_CHECK;
bool amend_lease_token_names(const struct amend_lease_token *token, const struct amend_lease_at *at);
/* What is stored of it, from which nobody learns the token. */
void amend_lease_token_digest(const struct amend_lease_token *token, char out[AMEND_LEASE_DIGEST]);

/* ---- rows; each call is a unit of its own, or is within one ---- */

/* What a holder asks for. */
struct amend_lease_spec {
	struct amend_lease_at at;
	int64_t ttl_ms;
	const char *place;
};

/* One try, in the open unit. LOCKED: another has it, `out` says who. */
enum amend_status amend_lease_take(struct amend_conn *db, const struct amend_lease_spec *spec,
				   struct amend_lease *out, struct amend_error *err) AMEND_CHECK;

/* Whether somebody has it now, without waiting for anybody. `out->fence` 0: nobody ever had it. */
enum amend_status amend_lease_read(struct amend_conn *db, const struct amend_lease_at *at,
				   struct amend_lease *out, struct amend_error *err) AMEND_CHECK;

/* ttl_ms 0: as before. LOCKED: lost. In the open unit. */
enum amend_status amend_lease_prolong(struct amend_conn *db, const struct amend_lease_at *at,
				      const struct amend_lease_token *token, int64_t ttl_ms,
				      struct amend_lease *out, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_lease_end(struct amend_conn *db, const struct amend_lease_at *at,
				  const struct amend_lease_token *token,
				  struct amend_error *err) AMEND_CHECK;
/* NOT_FOUND: nobody has it. */
enum amend_status amend_lease_take_away(struct amend_conn *db, const struct amend_lease_at *at,
					const char *because, struct amend_lease *out,
					struct amend_error *err) AMEND_CHECK;

/* LOCKED, in words: who has it, until when. */
enum amend_status amend_lease_locked(const struct amend_lease *held, struct amend_error *err);

/* `at` NULL: of all. Both are for a ledger that may be old, or missing. */
enum amend_status amend_lease_list(struct amend_conn *db, const struct amend_lease_at *at,
				   amend_held_fn each, void *context,
				   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_lease_history(struct amend_conn *db, const struct amend_lease_at *at,
				      int64_t limit, amend_lease_event_fn each, void *context,
				      struct amend_error *err) AMEND_CHECK;

#endif

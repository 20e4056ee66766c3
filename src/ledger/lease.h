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
	bool mandatory;
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

/* LOCKED, in words: who has it, until when; and why a token counts no more (INVALID: it never did). */
enum amend_status amend_lease_locked(const struct amend_lease *held, struct amend_error *err);
enum amend_status amend_lease_lost(const struct amend_lease *held, bool is_held,
				   const struct amend_lease_token *token, struct amend_error *err);

/* ---- what leases mean for writes ---- */

/* The leases that writes carry: of the connection (amend_use_lease), or, strict, the one of a call, which is about its record alone. */
enum { AMEND_CLAIMS = 8 };
struct amend_claim {
	bool strict;
	size_t n;
	struct amend_lease_token tokens[AMEND_CLAIMS];
};

/* From now on; `before` (or NULL) is what there was. INVALID: `token` is none; several are parted by blanks. */
enum amend_status amend_claim_set(struct amend_conn *db, const char *token, bool strict,
				  struct amend_claim *before, struct amend_error *err) AMEND_CHECK;
void amend_claim_put_back(struct amend_conn *db, const struct amend_claim *before);
bool amend_lease_claims(const struct amend_conn *db);
/* Whether a write to the record is to be tested; `pk` NULL: it is yet to be created. */
bool amend_lease_concerns(const struct amend_conn *db, const struct amend_table *table,
			  const char *pk);

/* Whether the lease that is carried is the record's own. */
bool amend_lease_is_of(const struct amend_conn *db, const struct amend_table *table, const char *pk);
/* Whether a call carries the lease of one record: there was such a record. */
bool amend_lease_wants_record(const struct amend_conn *db);

/*
 * Before a write to the record, in its transaction and with the row held: OK; LOCKED: the lease that
 * the connection carries is lost, or another has a mandatory one. INVALID: it is of another record.
 * What was tested stands until the transaction ends. `pk` NULL: a record is created.
 */
enum amend_status amend_lease_pass(struct amend_conn *db, const struct amend_table *table,
				   const char *pk, struct amend_error *err) AMEND_CHECK;
/* The same of many, in a trip where there are no such leases. LOCKED: of some, locked[i] says which, `err` is about the first. pks[i] may be NULL. */
enum amend_status amend_lease_pass_many(struct amend_conn *db, const struct amend_table *table,
					const char *const *pks, size_t n, bool *locked,
					struct amend_arena *arena,
					struct amend_error *err) AMEND_CHECK;

/* Of records, which another has a mandatory lease of now; nothing is held, and leases that are carried are not tested. */
enum amend_status amend_lease_bars(struct amend_conn *db, const struct amend_table *table,
				   const char *const *pks, size_t n, bool *bars,
				   struct amend_error *err) AMEND_CHECK;

/*
 * For who is LOCKED by such a lease, outside a unit: sleeps until it may be worth another try. `*again` false: as long as the
 * connection waits for leases (amend_open_options.lease_wait_ms) it has waited. INTERRUPTED. Begins as {0}.
 */
struct amend_patience {
	int64_t begun, pause; /* monotonic ms; ms */
};
enum amend_status amend_lease_await(struct amend_conn *db, struct amend_patience *patience,
				    bool *again, struct amend_error *err) AMEND_CHECK;
/*
 * Of a write that ended with `*status`, before which amend_lease_barred was reset. True: it is worth another try; else
 * `*status` is final.
 */
bool amend_lease_try_again(struct amend_conn *db, struct amend_patience *patience,
			   enum amend_status *status, struct amend_error *err);
/* Whether such a lease, and not one that is carried and lost, was in the way since it was last reset. */
bool amend_lease_barred(struct amend_conn *db, bool reset);

/*
 * For a statement that writes without having held the row: appends a condition that fails while there is any
 * mandatory lease on a record of the table. Who then writes nothing goes on under a hold.
 */
void amend_lease_gate(struct amend_sql *sql, const struct amend_table *table);
/* Whether that condition may be what failed. */
enum amend_status amend_lease_gated(struct amend_conn *db, const struct amend_table *table,
				    bool *gated, struct amend_error *err) AMEND_CHECK;

/* `at` NULL: of all. Both are for a ledger that may be old, or missing. */
enum amend_status amend_lease_list(struct amend_conn *db, const struct amend_lease_at *at,
				   amend_held_fn each, void *context,
				   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_lease_history(struct amend_conn *db, const struct amend_lease_at *at,
				      int64_t limit, amend_lease_event_fn each, void *context,
				      struct amend_error *err) AMEND_CHECK;

#endif

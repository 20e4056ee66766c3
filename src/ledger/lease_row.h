/* Pieces of SQL about a lease's row; for src/ledger alone. */
#ifndef AMEND_LEDGER_LEASE_ROW_H
#define AMEND_LEDGER_LEASE_ROW_H

#include "core/clock.h"
#include "ledger/lease.h"
#include "ledger/state.h"

/* The first version of the ledger that has leases. */
enum { AMEND_LEDGER_LEASES = 3 };

/* Appends the ms that are left of it, 0 or less: none. `now` lives until the statement has run. */
void amend_lease_left(struct amend_sql *sql, const struct amend_instant *now, const char *prefix);

/* Appends what amend_lease_of_row reads. */
void amend_lease_columns(struct amend_sql *sql, const struct amend_instant *now);
/* `*held`: somebody has it now. */
enum amend_status amend_lease_of_row(const struct amend_value *values, struct amend_lease *out,
				     bool *held, struct amend_error *err) AMEND_CHECK;

/* The lease as it is; `lock` behind the query. out->fence 0: nobody ever had it. */
enum amend_status amend_lease_look(struct amend_conn *db, const struct amend_lease_at *at,
				   const char *lock, struct amend_lease *out, bool *held,
				   struct amend_error *err) AMEND_CHECK;

#endif

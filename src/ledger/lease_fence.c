/*
 * What leases mean for writes: a lease that a writer carries is tested, and its row shared, in the
 * write's own transaction; a mandatory one stops who does not carry it.
 * Leaves taking leases to lease.c, and calling this to whoever writes rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/lease_row.h"

/* ---- what this connection carries ---- */

static const struct amend_claim *claim_of(const struct amend_conn *db)
{
	return db->ledger && db->ledger->claim.n ? &db->ledger->claim : NULL;
}

bool amend_lease_claims(const struct amend_conn *db)
{
	return claim_of(db) != NULL;
}

enum amend_status amend_claim_set(struct amend_conn *db, const char *token, bool strict,
				  struct amend_claim *before, struct amend_error *err)
{
	struct amend_ledger *ledger = amend_ledger_state(db, err);
	struct amend_claim claim = {.strict = strict};
	enum amend_status status = AMEND_OK;

	if (!ledger)
		return AMEND_NO_MEMORY;
	for (size_t size; token && status == AMEND_OK;
	     token = token[size] ? token + size + 1 : NULL) {
		char one[sizeof(((struct amend_lease *)0)->token)];

		size = strcspn(token, " ");
		if (claim.n == AMEND_CLAIMS)
			return amend_error_set(err, AMEND_INVALID,
					       "expected at most %d leases, found more",
					       AMEND_CLAIMS);
		snprintf(one, sizeof(one), "%.*s", (int)size, token);
		status = amend_lease_token_read(one, &claim.tokens[claim.n++], err);
	}
	if (status != AMEND_OK)
		return status;
	if (before)
		*before = ledger->claim;
	ledger->claim = claim;
	return AMEND_OK;
}

void amend_claim_put_back(struct amend_conn *db, const struct amend_claim *before)
{
	db->ledger->claim = *before;
}

enum amend_status amend_use_lease(struct amend_conn *db, const char *token, struct amend_error *err)
{
	return amend_claim_set(db, token, false, NULL, err);
}

/* The record's own lease among them; NULL: none. */
static const struct amend_lease_token *own(const struct amend_claim *claim,
					   const struct amend_table *table, const char *pk)
{
	const struct amend_lease_at at = {table->qualified, pk};

	for (size_t i = 0; claim && pk && i < claim->n; i++) {
		if (!claim->tokens[i].plain && amend_lease_token_names(&claim->tokens[i], &at))
			return &claim->tokens[i];
	}
	return NULL;
}

static bool any_plain(const struct amend_claim *claim)
{
	for (size_t i = 0; claim && i < claim->n; i++) {
		if (claim->tokens[i].plain)
			return true;
	}
	return false;
}

bool amend_lease_concerns(const struct amend_conn *db, const struct amend_table *table,
			  const char *pk)
{
	const struct amend_claim *claim = claim_of(db);

	return claim && (claim->strict || any_plain(claim) || own(claim, table, pk));
}

bool amend_lease_is_of(const struct amend_conn *db, const struct amend_table *table, const char *pk)
{
	return own(claim_of(db), table, pk) != NULL;
}

bool amend_lease_wants_record(const struct amend_conn *db)
{
	const struct amend_claim *claim = claim_of(db);

	return claim && claim->strict && !any_plain(claim);
}

/* ---- the test ---- */

/*
 * In the open transaction, the lease's row is shared until its end: who takes the lease over, or breaks
 * it, waits for that, and so comes after this write. Who renews it does not wait.
 */
static enum amend_status prove(struct amend_conn *db, const struct amend_lease_at *at,
			       const struct amend_lease_token *token, bool strict,
			       struct amend_error *err)
{
	char digest[AMEND_LEASE_DIGEST];
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_instant now;
	struct amend_lease held;
	struct amend_sql sql;
	enum amend_status status = amend_hold_database(db, err);
	bool is_held;

	if (status != AMEND_OK)
		return status;
	amend_lease_token_digest(token, digest);
	amend_clock_instant(&now);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT 1 FROM ");
	amend_sql_ledger(&sql, "lease");
	amend_sql_text(&sql, " WHERE digest = ");
	amend_sql_string(&sql, digest);
	amend_sql_text(&sql, " AND fence = ");
	amend_sql_integer(&sql, token->fence);
	amend_sql_text(&sql, " AND tbl = ");
	amend_sql_string(&sql, at->tbl);
	amend_sql_text(&sql, " AND ");
	amend_lease_left(&sql, &now, "");
	amend_sql_text(&sql, " > 0 ");
	amend_sql_text(&sql, db->dialect->for_key_share);
	status = amend_exec(db, &sql, &rows, err);
	is_held = rows.n_rows > 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	if (status != AMEND_OK || is_held)
		return status;
	if (token->plain)
		return amend_error_set(err, AMEND_LOCKED,
				       "the lease is lost: it ended, was released, or is another's");
	status = amend_lease_look(db, at, "", &held, &is_held, err);
	/* Never given out here: it is of another database, which the same program writes to. */
	if (status == AMEND_OK && held.fence < token->fence)
		return strict ? amend_error_set(err, AMEND_INVALID,
						"the token is of no lease of this database")
			      : AMEND_OK;
	return status == AMEND_OK ? amend_lease_lost(&held, is_held, token, err) : status;
}

static enum amend_status prove_plain(struct amend_conn *db, const struct amend_claim *claim,
				     struct amend_error *err)
{
	static const struct amend_lease_at plain = {"", ""};
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; claim && i < claim->n && status == AMEND_OK; i++) {
		if (claim->tokens[i].plain)
			status = prove(db, &plain, &claim->tokens[i], claim->strict, err);
	}
	return status;
}

/* A mandatory lease on the record that somebody has. */
static enum amend_status barred(struct amend_conn *db, const struct amend_lease_at *at,
				struct amend_error *err)
{
	struct amend_lease held;
	bool is_held;
	enum amend_status status = amend_lease_look(db, at, "", &held, &is_held, err);

	if (status != AMEND_OK || !is_held || !held.mandatory)
		return status;
	amend_lease_locked(&held, err);
	if (db->ledger)
		db->ledger->barred = true;
	return amend_error_wrap(err, "locked by a lease that every write needs");
}

static void add_mandatory(struct amend_sql *sql, const struct amend_table *table)
{
	amend_sql_text(sql, " FROM ");
	amend_sql_ledger(sql, "lease");
	amend_sql_text(sql, " WHERE mandatory = 1 AND tbl = ");
	amend_sql_string(sql, table->qualified);
}

void amend_lease_gate(struct amend_sql *sql, const struct amend_table *table)
{
	amend_sql_text(sql, " AND NOT EXISTS (SELECT 1");
	add_mandatory(sql, table);
	if (sql->dialect->clock_ms) {
		amend_sql_text(sql, " AND expires > ");
		amend_sql_text(sql, sql->dialect->clock_ms);
	}
	amend_sql_text(sql, ")");
}

/* Only what is marked is looked at closely: mostly there is none, and nobody asks for the time. */
static enum amend_status read_marked(struct amend_conn *db, const struct amend_table *table,
				     const char *pk, struct amend_rows *rows,
				     struct amend_error *err)
{
	struct amend_shape shape;
	struct amend_sql sql;
	bool one = pk != NULL;
	enum amend_status status;

	amend_shape_begin(&shape, "mandatory leases", table);
	amend_shape_add(&shape, &one, sizeof(one));
	amend_sql_init_shape(&sql, db, &shape);
	amend_sql_text(&sql, "SELECT pk");
	add_mandatory(&sql, table);
	if (one) {
		amend_sql_text(&sql, " AND pk = ");
		amend_sql_string(&sql, pk);
	}
	status = amend_exec(db, &sql, rows, err);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_lease_gated(struct amend_conn *db, const struct amend_table *table,
				    bool *gated, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = read_marked(db, table, NULL, &rows, err);

	*gated = rows.n_rows > 0;
	amend_rows_release(&rows);
	return status;
}

enum amend_status amend_lease_pass(struct amend_conn *db, const struct amend_table *table,
				   const char *pk, struct amend_error *err)
{
	const struct amend_claim *claim = claim_of(db);
	const struct amend_lease_token *token = own(claim, table, pk);
	const struct amend_lease_at at = {table->qualified, pk};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = prove_plain(db, claim, err);
	bool marked;

	if (status != AMEND_OK)
		return status;
	if (token)
		return prove(db, &at, token, claim->strict, err);
	if (amend_lease_wants_record(db))
		return amend_error_set(err, AMEND_INVALID,
				       "the lease is of another record than %s %s",
				       table->qualified, pk ? pk : "that is created");
	if (!pk)
		return AMEND_OK;
	status = read_marked(db, table, pk, &rows, err);
	marked = rows.n_rows > 0;
	amend_rows_release(&rows);
	return status == AMEND_OK && marked ? barred(db, &at, err) : status;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum amend_status amend_lease_pass_many(struct amend_conn *db, const struct amend_table *table,
					const char *const *pks, size_t n, bool *locked,
					struct amend_arena *arena, struct amend_error *err)
{
	const struct amend_claim *claim = claim_of(db);
	struct amend_rows rows = AMEND_ROWS_INIT;
	const char **marked = NULL;
	enum amend_status status = prove_plain(db, claim, err);
	struct amend_error first;
	bool any = false;

	if (status == AMEND_OK)
		status = read_marked(db, table, NULL, &rows, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		marked = amend_arena_array(arena, rows.n_rows, sizeof(*marked));
		if (!marked)
			status = amend_no_memory(err);
	}
	for (size_t i = 0; marked && i < rows.n_rows; i++)
		marked[i] = amend_rows_at(&rows, i, 0)->as.text;
	if (marked)
		qsort(marked, rows.n_rows, sizeof(*marked), by_text);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		const struct amend_lease_at at = {table->qualified, pks[i]};
		const struct amend_lease_token *token = own(claim, table, pks[i]);

		locked[i] = false;
		if (token)
			status = prove(db, &at, token, claim->strict, err);
		else if (marked && pks[i] &&
			 bsearch(&pks[i], marked, rows.n_rows, sizeof(*marked), by_text))
			status = barred(db, &at, err);
		if (status == AMEND_LOCKED && !*err->sqlstate) {
			amend_error_wrap(err, "%s %.120s", table->qualified, pks[i]);
			if (!any)
				first = *err;
			locked[i] = any = true;
			status = AMEND_OK;
		}
	}
	amend_rows_release(&rows);
	if (status == AMEND_OK && any) {
		*err = first;
		return AMEND_LOCKED;
	}
	return status;
}

enum amend_status amend_lease_bars(struct amend_conn *db, const struct amend_table *table,
				   const char *const *pks, size_t n, bool *bars,
				   struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = read_marked(db, table, NULL, &rows, err);
	struct amend_error ignored;

	for (size_t i = 0; i < n; i++)
		bars[i] = false;
	for (size_t r = 0; r < rows.n_rows && status == AMEND_OK; r++) {
		const char *pk = amend_rows_at(&rows, r, 0)->as.text;
		const struct amend_lease_at at = {table->qualified, pk};

		if (own(claim_of(db), table, pk) || barred(db, &at, &ignored) != AMEND_LOCKED)
			continue;
		for (size_t i = 0; i < n; i++)
			bars[i] = bars[i] || (pks[i] && strcmp(pks[i], pk) == 0);
	}
	amend_rows_release(&rows);
	return status;
}

enum amend_status amend_lease_await(struct amend_conn *db, struct amend_patience *patience,
				    bool *again, struct amend_error *err)
{
	enum { FIRST_PAUSE = 20, LONGEST_PAUSE = 500, LOOK_MS = 50 };
	int64_t now = amend_clock_ms(), most = db->options.lease_wait_ms, pause;
	enum amend_status status = amend_check_interrupted(db, err);

	if (!patience->pause) {
		patience->begun = now;
		patience->pause = FIRST_PAUSE;
	}
	pause = patience->pause / 2 + amend_clock_random() % (patience->pause / 2 + 1);
	if (most >= 0 && pause > patience->begun + most - now)
		pause = patience->begun + most - now;
	*again = status == AMEND_OK && pause > 0;
	patience->pause = patience->pause < LONGEST_PAUSE / 2 ? patience->pause * 2 : LONGEST_PAUSE;
	while (pause > 0 && status == AMEND_OK && !db->stopping) {
		amend_clock_sleep_ms((int)(pause < LOOK_MS ? pause : LOOK_MS));
		pause -= LOOK_MS;
		status = amend_check_interrupted(db, err);
	}
	return status;
}

bool amend_lease_try_again(struct amend_conn *db, struct amend_patience *patience,
			   enum amend_status *status, struct amend_error *err)
{
	const struct amend_error why = *err;
	bool again = false;

	if (*status != AMEND_LOCKED || db->options.lease_wait_ms == 0 ||
	    !amend_lease_barred(db, true))
		return false;
	*status = amend_lease_await(db, patience, &again, err);
	if (*status != AMEND_OK || again)
		return *status == AMEND_OK;
	*err = why;
	*status = AMEND_LOCKED;
	return false;
}

bool amend_lease_barred(struct amend_conn *db, bool reset)
{
	bool was = db->ledger && db->ledger->barred;

	if (was && reset)
		db->ledger->barred = false;
	return was;
}

/*
 * Leases as callers ask for them: which record, and waiting for another to be through.
 * Leaves the row to ledger/lease.c, and what a lease means for writes to fence.c.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/rows.h"
#include "ledger/lease.h"
#include "record/call.h"

enum { LEAST_TTL = 100 };
static const int64_t most_ttl = INT64_C(366) * 24 * 3600 * 1000;

/* Between two looks while another has it: from, to; each is shortened by chance, so that those who wait do not come at once. */
enum { FIRST_PAUSE = 20, LONGEST_PAUSE = 500 };
/* How often who waits looks whether it was interrupted. */
enum { LOOK_MS = 50 };
/* "At once": for the moment in which another writes to the row. */
enum { AT_ONCE_MS = 200 };
/* For writes that are under way when a mandatory lease is taken. */
enum { DRAIN_MS = 1000 };

/* One call under way. */
struct leasing {
	struct amend_lease_at at;
	struct amend_result result; /* owns what `at` points to */
	struct amend_lease_token token;
	struct amend_lease_spec spec;
	int64_t ttl_ms;
	const char *because;
	struct amend_lease *out;
};

static enum amend_status find_record(struct amend_conn *db, const struct amend_lease_name *name,
				     bool must_exist, struct leasing *leasing,
				     struct amend_error *err)
{
	static const struct amend_lock no_lock = {false, AMEND_FOR_UPDATE, AMEND_WAIT};
	static const struct amend_write nothing = {.mode = AMEND_UPDATE};
	struct amend_call call = {.db = db, .table = name->table, .write = &nothing};
	enum amend_status status = amend_result_begin(&leasing->result, &call.work, err);
	bool skip;

	if (status == AMEND_OK)
		status = amend_call_resolve(&call, name->key, 1, NULL, err);
	if (status == AMEND_OK)
		status = amend_call_match(&call, &no_lock, &skip, err);
	if (status != AMEND_OK)
		amend_call_name_key(&call, err);
	if (status != AMEND_OK)
		return status;
	leasing->at = (struct amend_lease_at){name->table->qualified, call.row.pk};
	if (call.found)
		return AMEND_OK;
	/* It may have gone while it was leased. */
	leasing->at.pk = NULL;
	if (!must_exist)
		status = amend_request_pk(db, name->table, &call.keys[0], call.work.arena,
					  &leasing->at.pk, err);
	if (status == AMEND_OK && !leasing->at.pk)
		status = amend_error_set(err, AMEND_NOT_FOUND, "there is no record %s in %s",
					 amend_call_key(&call), name->table->qualified);
	return status;
}

static enum amend_status find(struct amend_conn *db, const struct amend_lease_name *name,
			      bool must_exist, struct leasing *leasing, struct amend_error *err)
{
	if (!name->name)
		return find_record(db, name, must_exist, leasing, err);
	if (!*name->name)
		return amend_error_set(err, AMEND_INVALID,
				       "expected a name for the lease, found nothing");
	leasing->at = (struct amend_lease_at){"", name->name};
	return AMEND_OK;
}

/* What all calls that change a lease begin with. */
static enum amend_status begin(struct amend_conn *db, const struct amend_lease_name *name,
			       const char *token, bool must_exist, struct leasing *leasing,
			       struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (amend_in_transaction(db))
		return amend_error_set(
			err, AMEND_INVALID,
			"a lease outlives transactions, and one is open (hint: call it "
			"before the unit, or after it)");
	if (token)
		status = amend_lease_token_read(token, &leasing->token, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(db, err);
	if (status == AMEND_OK)
		status = find(db, name, must_exist, leasing, err);
	if (status == AMEND_OK && token && !amend_lease_token_names(&leasing->token, &leasing->at))
		status = amend_error_set(
			err, AMEND_INVALID, "the token is of another lease than %s%s%s",
			leasing->at.tbl, *leasing->at.tbl ? " " : "", leasing->at.pk);
	return status;
}

static enum amend_status check_ttl(int64_t ttl_ms, struct amend_error *err)
{
	if (ttl_ms >= LEAST_TTL && ttl_ms <= most_ttl)
		return AMEND_OK;
	return amend_error_set(err, AMEND_INVALID,
			       "a lease lives from %d ms to 366 days, found %lld ms", LEAST_TTL,
			       (long long)ttl_ms);
}

static enum amend_status pause_ms(const struct amend_conn *db, int64_t ms, struct amend_error *err)
{
	enum amend_status status = amend_check_interrupted(db, err);

	while (ms > 0 && status == AMEND_OK) {
		int64_t slice = ms < LOOK_MS ? ms : LOOK_MS;

		amend_clock_sleep_ms((int)slice);
		ms -= slice;
		status = amend_check_interrupted(db, err);
	}
	return status;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static enum amend_status take(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct leasing *leasing = context;

	memset(leasing->out, 0, sizeof(*leasing->out));
	return amend_lease_take(db, &leasing->spec, leasing->out, err);
}

/* `patience`: how long it may wait for a lock; below 0: without end. */
static enum amend_status try_take(struct amend_conn *db, struct leasing *leasing, int64_t patience,
				  struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct amend_error ignored;
	enum amend_status status;

	if (patience < 0)
		options.lock_timeout_ms = -1;
	else if (patience < INT32_MAX)
		options.lock_timeout_ms = (int)(patience > AT_ONCE_MS ? patience : AT_ONCE_MS);
	status = amend_atomic(db, &options, take, leasing, err);
	if (status != AMEND_LOCKED || leasing->out->fence)
		return status;
	/* Not the lease was in the way, but a transaction: of who takes it now, or writes with it still. */
	amend_error_wrap(err, "the lease is being written to by another, or a write that carries it "
			      "is under way");
	if (amend_lease_read(db, &leasing->at, leasing->out, &ignored) != AMEND_LOCKED)
		memset(leasing->out, 0, sizeof(*leasing->out));
	return status;
}

/* Reads until it looks free: who only looks is in nobody's way. */
static enum amend_status acquire(struct amend_conn *db, struct leasing *leasing, int64_t wait_ms,
				 struct amend_error *err)
{
	int64_t begun = amend_clock_ms(), left = wait_ms, pause = FIRST_PAUSE;
	enum amend_status status = try_take(db, leasing, wait_ms, err);

	while (status == AMEND_LOCKED) {
		int64_t next = pause / 2 + amend_clock_random() % (pause / 2 + 1);

		if (wait_ms >= 0) {
			left = wait_ms - (amend_clock_ms() - begun);
			if (left <= 0)
				break;
			next = least(next, left);
		}
		if (leasing->out->left_ms > 0)
			next = least(next, leasing->out->left_ms);
		pause = least(pause * 2, LONGEST_PAUSE);
		status = pause_ms(db, next, err);
		if (status == AMEND_OK)
			status = amend_lease_read(db, &leasing->at, leasing->out, err);
		if (status == AMEND_OK)
			status = try_take(db, leasing, left, err);
	}
	return status;
}

/* ---- mandatory ones ---- */

static enum amend_status end(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct leasing *leasing = context;

	return amend_lease_end(db, &leasing->at, &leasing->token, err);
}

struct awaiting {
	const struct amend_lease_name *name;
	char since[40];
	bool still;
};

/* The database's time, in the text that `under_way` takes. */
static enum amend_status read_now(struct amend_conn *db, char out[static 40],
				  struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT ");
	amend_sql_text(&sql, db->dialect->now);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK)
		snprintf(out, 40, "%s", amend_rows_at(&rows, 0, 0)->as.text);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status look_under_way(struct amend_conn *db, struct awaiting *awaiting,
					struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, db->dialect->under_way[0]);
	amend_sql_string(&sql, awaiting->name->table->sql);
	amend_sql_text(&sql, db->dialect->under_way[1]);
	amend_sql_string(&sql, awaiting->since);
	amend_sql_text(&sql, db->dialect->under_way[2]);
	status = amend_exec(db, &sql, &rows, err);
	awaiting->still = rows.n_rows > 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* Whoever has written to it, or holds it, is through with it then. */
static enum amend_status touch(struct amend_conn *db, void *context, struct amend_error *err)
{
	static const struct amend_lock hold = {true, AMEND_FOR_UPDATE, AMEND_WAIT};
	static const struct amend_write nothing = {.mode = AMEND_UPDATE};
	const struct amend_lease_name *name = ((struct awaiting *)context)->name;
	struct amend_result result = AMEND_RESULT_INIT;
	struct amend_call call = {.db = db, .table = name->table, .write = &nothing};
	enum amend_status status = amend_result_begin(&result, &call.work, err);
	bool skip;

	if (status == AMEND_OK)
		status = amend_call_resolve(&call, name->key, 1, NULL, err);
	if (status == AMEND_OK)
		status = amend_call_match(&call, &hold, &skip, err);
	if (status == AMEND_OK && !call.found)
		status = amend_error_set(err, AMEND_NOT_FOUND, "there is no record %s in %s",
					 amend_call_key(&call), name->table->qualified);
	amend_result_release(&result);
	return status;
}

/*
 * The lease is committed, and whoever writes from now on sees it. Statements that began before may
 * not; once none of them runs, and the record's own lock was had, all writes to it are in or will see it.
 */
static enum amend_status await_writers(struct amend_conn *db, const struct amend_lease_name *name,
				       int64_t patience, struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct awaiting awaiting = {.name = name};
	int64_t begun = amend_clock_ms(), left = patience;
	enum amend_status status = AMEND_OK;

	if (!amend_has(db, AMEND_HAS_ROW_LOCK))
		return AMEND_OK;
	if (db->dialect->under_way[0]) {
		status = read_now(db, awaiting.since, err);
		if (status == AMEND_OK)
			status = look_under_way(db, &awaiting, err);
		while (status == AMEND_OK && awaiting.still && left != 0) {
			status = pause_ms(db, FIRST_PAUSE / 4, err);
			if (status == AMEND_OK)
				status = look_under_way(db, &awaiting, err);
			if (patience >= 0) {
				left = patience - (amend_clock_ms() - begun);
				left = left > 0 ? left : 0;
			}
		}
		if (status == AMEND_OK && awaiting.still)
			return amend_error_set(err, AMEND_LOCKED,
					       "a write to %s has been under way all the while",
					       name->table->qualified);
	}
	options.lock_timeout_ms = left < 0 ? -1
					   : (int)least(left > AT_ONCE_MS ? left : AT_ONCE_MS,
							INT32_MAX);
	if (status == AMEND_OK)
		status = amend_atomic(db, &options, touch, &awaiting, err);
	if (status == AMEND_LOCKED)
		amend_error_wrap(err, "the record is being written to by another");
	return status;
}

/* It counts already; without what was waited for it is given back. */
static enum amend_status make_sure(struct amend_conn *db, const struct amend_lease_name *name,
				   int64_t wait_ms, struct leasing *leasing, struct amend_error *err)
{
	int64_t patience = wait_ms < 0 || wait_ms > DRAIN_MS ? wait_ms : DRAIN_MS;
	enum amend_status status = await_writers(db, name, patience, err);
	struct amend_error ignored;

	if (status == AMEND_OK)
		return AMEND_OK;
	if (amend_lease_token_read(leasing->out->token, &leasing->token, &ignored) != AMEND_OK ||
	    amend_atomic(db, NULL, end, leasing, &ignored) != AMEND_OK)
		amend_error_wrap(err, "the lease is left to end by itself");
	memset(leasing->out, 0, sizeof(*leasing->out));
	return status;
}

static void name_place(char out[static 128])
{
	char host[64];

	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	snprintf(out, 128, "%s:%ld", host[0] ? host : "?", (long)getpid());
}

enum amend_status amend_lease_acquire(struct amend_conn *db, const struct amend_lease_name *name,
				      const struct amend_lease_options *options,
				      struct amend_lease *out, struct amend_error *err)
{
	static const struct amend_lease_options usual = AMEND_LEASE_OPTIONS_INIT;
	struct leasing leasing = {.result = AMEND_RESULT_INIT, .out = out};
	enum amend_status status = amend_enter(db, err);
	char place[128];

	if (status != AMEND_OK)
		return status;
	memset(out, 0, sizeof(*out));
	if (!options)
		options = &usual;
	name_place(place);
	status = check_ttl(options->ttl_ms, err);
	if (status == AMEND_OK && options->mandatory && name->name)
		status = amend_error_set(
			err, AMEND_INVALID,
			"a record's lease can be mandatory, a plain name has no writes");
	if (status == AMEND_OK)
		status = begin(db, name, NULL, true, &leasing, err);
	if (status == AMEND_OK) {
		leasing.spec = (struct amend_lease_spec){
			.at = leasing.at,
			.ttl_ms = options->ttl_ms,
			.place = options->place ? options->place : place,
			.mandatory = options->mandatory,
		};
		status = acquire(db, &leasing, options->wait_ms, err);
		if (status == AMEND_OK && options->mandatory)
			status = make_sure(db, name, options->wait_ms, &leasing, err);
	}
	amend_result_release(&leasing.result);
	return amend_leave(db, status, err);
}

static enum amend_status prolong(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct leasing *leasing = context;

	return amend_lease_prolong(db, &leasing->at, &leasing->token, leasing->ttl_ms, leasing->out,
				   err);
}

enum amend_status amend_lease_renew(struct amend_conn *db, const struct amend_lease_name *name,
				    const char *token, int64_t ttl_ms, struct amend_lease *out,
				    struct amend_error *err)
{
	struct leasing leasing = {.result = AMEND_RESULT_INIT, .out = out, .ttl_ms = ttl_ms};
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	if (ttl_ms)
		status = check_ttl(ttl_ms, err);
	/* An answer that comes after its time is none. */
	if (ttl_ms && ttl_ms / 2 < db->lock_timeout_ms)
		options.lock_timeout_ms = (int)(ttl_ms / 2);
	/* `token` may be out->token. */
	if (status == AMEND_OK)
		status = begin(db, name, token, false, &leasing, err);
	memset(out, 0, sizeof(*out));
	if (status == AMEND_OK)
		status = amend_atomic(db, &options, prolong, &leasing, err);
	amend_result_release(&leasing.result);
	return amend_leave(db, status, err);
}

enum amend_status amend_lease_release(struct amend_conn *db, const struct amend_lease_name *name,
				      const char *token, struct amend_error *err)
{
	struct leasing leasing = {.result = AMEND_RESULT_INIT};
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = begin(db, name, token, false, &leasing, err);
	if (status == AMEND_OK)
		status = amend_atomic(db, NULL, end, &leasing, err);
	amend_result_release(&leasing.result);
	return amend_leave(db, status, err);
}

static enum amend_status take_away(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct leasing *leasing = context;

	return amend_lease_take_away(db, &leasing->at, leasing->because, leasing->out, err);
}

enum amend_status amend_lease_break(struct amend_conn *db, const struct amend_lease_name *name,
				    const char *because, struct amend_lease *out,
				    struct amend_error *err)
{
	struct leasing leasing = {.result = AMEND_RESULT_INIT, .out = out, .because = because};
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	memset(out, 0, sizeof(*out));
	if (!because || !*because)
		status = amend_error_set(
			err, AMEND_INVALID,
			"expected the reason why the lease is broken, found nothing");
	if (status == AMEND_OK)
		status = begin(db, name, NULL, false, &leasing, err);
	if (status == AMEND_OK)
		status = amend_atomic(db, NULL, take_away, &leasing, err);
	amend_result_release(&leasing.result);
	return amend_leave(db, status, err);
}

enum amend_status amend_lease_events(struct amend_conn *db, const struct amend_lease_name *name,
				     int64_t limit, amend_lease_event_fn each, void *context,
				     struct amend_error *err)
{
	struct leasing leasing = {.result = AMEND_RESULT_INIT};
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	if (name)
		status = find(db, name, false, &leasing, err);
	if (status == AMEND_OK)
		status = amend_lease_history(db, name ? &leasing.at : NULL, limit, each, context,
					     err);
	amend_result_release(&leasing.result);
	return amend_leave(db, status, err);
}

enum amend_status amend_leases(struct amend_conn *db, const struct amend_lease_name *name,
			       amend_held_fn each, void *context, struct amend_error *err)
{
	struct leasing leasing = {.result = AMEND_RESULT_INIT};
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	if (name)
		status = find(db, name, false, &leasing, err);
	if (status == AMEND_OK)
		status = amend_lease_list(db, name ? &leasing.at : NULL, each, context, err);
	amend_result_release(&leasing.result);
	return amend_leave(db, status, err);
}

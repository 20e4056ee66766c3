/*
 * A lease's row: taken, renewed and ended by one conditional write each, on the database's clock.
 * Leaves waiting, and which record a lease is of, to record/lease.c; listing to lease_list.c.
 */
#include "ledger/lease_row.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/rows.h"

/* ---- time ---- */

void amend_lease_left(struct amend_sql *sql, const struct amend_instant *now, const char *prefix)
{
	if (sql->dialect->clock_ms) {
		amend_sql_printf(sql, "(%sexpires - ", prefix);
		amend_sql_text(sql, sql->dialect->clock_ms);
		amend_sql_text(sql, ")");
		return;
	}
	/* Where this machine has been started anew, or is another one, the time of day has to do. */
	amend_sql_printf(sql, "(CASE WHEN %sclock = ", prefix);
	amend_sql_string(sql, now->id);
	amend_sql_printf(sql, " THEN %sexpires - ", prefix);
	amend_sql_integer(sql, now->running);
	amend_sql_printf(sql, " ELSE %swall - ", prefix);
	amend_sql_integer(sql, now->wall);
	amend_sql_text(sql, " END)");
}

/* Now and `ms`: on the clock that counts, or on the one for people. */
static void add_later(struct amend_sql *sql, const struct amend_instant *now, bool wall)
{
	if (sql->dialect->clock_ms)
		amend_sql_text(sql, sql->dialect->clock_ms);
	else
		amend_sql_integer(sql, wall ? now->wall : now->running);
	amend_sql_text(sql, " + ");
}

static void text_of_ms(int64_t ms, char out[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t size = 0;

	out[0] = '\0';
	if (gmtime_r(&seconds, &tm))
		size = strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
	if (size > 0)
		snprintf(out + size, 32 - size, ".%03d000", (int)(ms % 1000));
}

/* ---- reading ---- */

enum { FENCE, HOLDER, PLACE, SINCE, WALL, MANDATORY, LEFT, HELD };

void amend_lease_columns(struct amend_sql *sql, const struct amend_instant *now)
{
	amend_sql_text(sql, "fence, holder, place, since, wall, mandatory, ");
	amend_lease_left(sql, now, "");
	amend_sql_text(sql, ", CASE WHEN digest IS NULL THEN 0 ELSE 1 END");
}

/* Cut between characters: a byte 10xxxxxx never starts one. */
static void copy_text(char *to, size_t room, const struct amend_value *from)
{
	size_t size = from->kind == AMEND_TEXT ? from->size : 0;

	if (size >= room) {
		size = room - 1;
		while (size > 0 && ((unsigned char)from->as.text[size] & 0xc0) == 0x80)
			size--;
	}
	if (size > 0)
		memcpy(to, from->as.text, size);
	to[size] = '\0';
}

enum amend_status amend_lease_of_row(const struct amend_value *values, struct amend_lease *out,
				     bool *held, struct amend_error *err)
{
	int64_t wall, digest, mandatory;

	memset(out, 0, sizeof(*out));
	if (!amend_value_number(&values[FENCE], &out->fence) ||
	    !amend_value_number(&values[WALL], &wall) ||
	    !amend_value_number(&values[MANDATORY], &mandatory) ||
	    !amend_value_number(&values[LEFT], &out->left_ms) ||
	    !amend_value_number(&values[HELD], &digest))
		return amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	out->mandatory = mandatory != 0;
	*held = digest && out->left_ms > 0;
	if (out->left_ms < 0)
		out->left_ms = 0;
	copy_text(out->holder, sizeof(out->holder), &values[HOLDER]);
	copy_text(out->place, sizeof(out->place), &values[PLACE]);
	copy_text(out->since, sizeof(out->since), &values[SINCE]);
	text_of_ms(wall, out->expires);
	return AMEND_OK;
}

static void add_which(struct amend_sql *sql, const struct amend_lease_at *at)
{
	amend_sql_text(sql, " WHERE tbl = ");
	amend_sql_string(sql, at->tbl);
	amend_sql_text(sql, " AND pk = ");
	amend_sql_string(sql, at->pk);
}

enum amend_status amend_lease_look(struct amend_conn *db, const struct amend_lease_at *at,
				   const char *lock, struct amend_lease *out, bool *held,
				   struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_instant now;
	struct amend_sql sql;
	enum amend_status status;

	*held = false;
	memset(out, 0, sizeof(*out));
	amend_clock_instant(&now);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT ");
	amend_lease_columns(&sql, &now);
	amend_sql_text(&sql, " FROM ");
	amend_sql_ledger(&sql, "lease");
	add_which(&sql, at);
	amend_sql_printf(&sql, " %s", lock);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1)
		status = amend_lease_of_row(amend_rows_at(&rows, 0, 0), out, held, err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_lease_locked(const struct amend_lease *held, struct amend_error *err)
{
	if (!held->fence)
		return amend_error_set(err, AMEND_LOCKED, "the lease is being taken by another");
	return amend_error_set(err, AMEND_LOCKED,
			       "held by %.120s (%.120s) since %.19s UTC, until %.19s UTC",
			       held->holder, held->place, held->since, held->expires);
}

enum amend_status amend_lease_read(struct amend_conn *db, const struct amend_lease_at *at,
				   struct amend_lease *out, struct amend_error *err)
{
	enum amend_status status;
	bool held;

	status = amend_lease_look(db, at, "", out, &held, err);
	if (status == AMEND_OK && held)
		status = amend_lease_locked(out, err);
	return status;
}

/* ---- writing ---- */

static enum amend_status add_event(struct amend_conn *db, const struct amend_lease_at *at,
				   int64_t fence, const char *op, const char *place,
				   const char *why, struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "lease_event");
	amend_sql_text(&sql, " (tbl, pk, fence, op, at, who, place, why) VALUES (");
	amend_sql_string(&sql, at->tbl);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, at->pk);
	amend_sql_text(&sql, ", ");
	amend_sql_integer(&sql, fence);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, op);
	amend_sql_printf(&sql, ", %s, ", db->dialect->now);
	amend_sql_string(&sql, amend_author_who(db));
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, place);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, why ? why : "");
	amend_sql_text(&sql, ")");
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

/* Runs what writes the row of `at`, and reads it; `*done` false: no row was changed. */
static enum amend_status run(struct amend_conn *db, struct amend_sql *sql,
			     const struct amend_lease_at *at, const struct amend_instant *now,
			     struct amend_lease *out, bool *done, struct amend_error *err)
{
	bool returns = amend_has(db, AMEND_HAS_UPDATE_RETURNING);
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	bool held;

	if (returns) {
		amend_sql_text(sql, " RETURNING ");
		amend_lease_columns(sql, now);
	}
	status = amend_exec(db, sql, &rows, err);
	amend_sql_release(sql);
	*done = returns ? rows.n_rows == 1 : rows.changes == 1;
	if (status == AMEND_OK && *done && !returns)
		status = amend_lease_look(db, at, "", out, &held, err);
	else if (status == AMEND_OK && *done)
		status = amend_lease_of_row(amend_rows_at(&rows, 0, 0), out, &held, err);
	amend_rows_release(&rows);
	return status;
}

/* The values of a lease that is taken now, behind its key: in this order in either statement. */
struct taking {
	const struct amend_lease_spec *spec;
	const struct amend_instant *now;
	const char *digest;
};

static void add_insertion(struct amend_sql *sql, struct amend_conn *db, const struct taking *taking,
			  const char *alias)
{
	const struct amend_lease_spec *spec = taking->spec;

	amend_sql_text(sql, "INSERT INTO ");
	amend_sql_ledger(sql, "lease");
	amend_sql_text(sql, alias);
	amend_sql_text(sql, " (tbl, pk, fence, mandatory, digest, holder, place, since, ttl, clock, "
			    "expires, wall) VALUES (");
	amend_sql_string(sql, spec->at.tbl);
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, spec->at.pk);
	amend_sql_text(sql, spec->mandatory ? ", 1, 1, " : ", 1, 0, ");
	amend_sql_string(sql, taking->digest);
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, amend_author_who(db));
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, spec->place);
	amend_sql_printf(sql, ", %s, ", db->dialect->now);
	amend_sql_integer(sql, spec->ttl_ms);
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, db->dialect->clock_ms ? "" : taking->now->id);
	for (int wall = 0; wall < 2; wall++) {
		amend_sql_text(sql, ", ");
		add_later(sql, taking->now, wall);
		amend_sql_integer(sql, spec->ttl_ms);
	}
	amend_sql_text(sql, ")");
}

/*
 * One conditional write: a new row, or one whose lease is over, its number raised. What the row
 * says is computed after the wait for it, if there was one.
 */
static enum amend_status take_in_one(struct amend_conn *db, const struct taking *taking,
				     struct amend_lease *out, bool *done, struct amend_error *err)
{
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	add_insertion(&sql, db, taking, " AS l");
	amend_sql_text(
		&sql,
		" ON CONFLICT (tbl, pk) DO UPDATE SET fence = l.fence + 1, "
		"mandatory = excluded.mandatory, digest = excluded.digest, holder = excluded.holder, place = excluded.place, "
		"ttl = excluded.ttl, clock = excluded.clock, since = ");
	amend_sql_text(&sql, db->dialect->now);
	for (int wall = 0; wall < 2; wall++) {
		amend_sql_text(&sql, wall ? ", wall = " : ", expires = ");
		add_later(&sql, taking->now, wall);
		amend_sql_text(&sql, "excluded.ttl");
	}
	amend_sql_text(&sql, " WHERE l.digest IS NULL OR ");
	amend_lease_left(&sql, taking->now, "l.");
	amend_sql_text(&sql, " <= 0");
	return run(db, &sql, &taking->spec->at, taking->now, out, done, err);
}

/* The same by two writes, of which one has an effect: first the row that is there, for who finds it waits. */
static enum amend_status take_in_two(struct amend_conn *db, const struct taking *taking,
				     struct amend_lease *out, bool *done, struct amend_error *err)
{
	const struct amend_lease_spec *spec = taking->spec;
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "lease");
	amend_sql_text(&sql, spec->mandatory ? " SET fence = fence + 1, mandatory = 1, digest = "
					     : " SET fence = fence + 1, mandatory = 0, digest = ");
	amend_sql_string(&sql, taking->digest);
	amend_sql_text(&sql, ", holder = ");
	amend_sql_string(&sql, amend_author_who(db));
	amend_sql_text(&sql, ", place = ");
	amend_sql_string(&sql, spec->place);
	amend_sql_text(&sql, ", ttl = ");
	amend_sql_integer(&sql, spec->ttl_ms);
	amend_sql_text(&sql, ", clock = ");
	amend_sql_string(&sql, db->dialect->clock_ms ? "" : taking->now->id);
	amend_sql_printf(&sql, ", since = %s", db->dialect->now);
	for (int wall = 0; wall < 2; wall++) {
		amend_sql_text(&sql, wall ? ", wall = " : ", expires = ");
		add_later(&sql, taking->now, wall);
		amend_sql_integer(&sql, spec->ttl_ms);
	}
	add_which(&sql, &spec->at);
	amend_sql_text(&sql, " AND (digest IS NULL OR ");
	amend_lease_left(&sql, taking->now, "");
	amend_sql_text(&sql, " <= 0)");
	status = run(db, &sql, &spec->at, taking->now, out, done, err);
	if (status != AMEND_OK || *done)
		return status;
	amend_sql_init(&sql, db);
	add_insertion(&sql, db, taking, "");
	amend_sql_unless_there(&sql, "tbl, pk");
	return run(db, &sql, &spec->at, taking->now, out, done, err);
}

enum amend_status amend_lease_take(struct amend_conn *db, const struct amend_lease_spec *spec,
				   struct amend_lease *out, struct amend_error *err)
{
	char digest[AMEND_LEASE_DIGEST];
	struct amend_lease_token token;
	struct amend_instant now;
	const struct taking taking = {spec, &now, digest};
	enum amend_status status = amend_hold_database(db, err);
	bool done, held;

	if (status != AMEND_OK)
		return status;
	amend_lease_token_new(&spec->at, &token);
	amend_lease_token_digest(&token, digest);
	amend_clock_instant(&now);
	status = amend_has(db, AMEND_HAS_UPDATE_RETURNING)
			 ? take_in_one(db, &taking, out, &done, err)
			 : take_in_two(db, &taking, out, &done, err);
	if (status == AMEND_OK && !done) {
		status = amend_lease_look(db, &spec->at, "", out, &held, err);
		return status == AMEND_OK ? amend_lease_locked(out, err) : status;
	}
	if (status == AMEND_OK)
		status = add_event(db, &spec->at, out->fence, "acquire", spec->place, db->why, err);
	token.fence = out->fence;
	amend_lease_token_write(&token, out->token);
	return status;
}

static void add_token(struct amend_sql *sql, const struct amend_lease_token *token,
		      const char *digest)
{
	amend_sql_text(sql, " AND digest = ");
	amend_sql_string(sql, digest);
	amend_sql_text(sql, " AND fence = ");
	amend_sql_integer(sql, token->fence);
}

enum amend_status amend_lease_lost(const struct amend_lease *held, bool is_held,
				   const struct amend_lease_token *token, struct amend_error *err)
{
	if (is_held && held->fence > token->fence) {
		amend_lease_locked(held, err);
		return amend_error_wrap(err, "the lease is lost");
	}
	if (held->fence > token->fence)
		return amend_error_set(err, AMEND_LOCKED,
				       "the lease is lost: another had it since, or it was broken");
	if (is_held && held->fence == token->fence)
		return amend_error_set(err, AMEND_INVALID, "the token is not the lease's");
	if (held->left_ms > 0)
		return amend_error_set(err, AMEND_LOCKED, "the lease is lost: it was released");
	return amend_error_set(err, AMEND_LOCKED, "the lease is lost: it ended at %.19s UTC",
			       held->expires);
}

static enum amend_status lost(struct amend_conn *db, const struct amend_lease_at *at,
			      const struct amend_lease_token *token, struct amend_lease *out,
			      struct amend_error *err)
{
	enum amend_status status;
	bool held;

	status = amend_lease_look(db, at, "", out, &held, err);
	return status == AMEND_OK ? amend_lease_lost(out, held, token, err) : status;
}

enum amend_status amend_lease_prolong(struct amend_conn *db, const struct amend_lease_at *at,
				      const struct amend_lease_token *token, int64_t ttl_ms,
				      struct amend_lease *out, struct amend_error *err)
{
	char digest[AMEND_LEASE_DIGEST];
	struct amend_instant now;
	struct amend_sql sql;
	enum amend_status status = amend_hold_database(db, err);
	bool done;

	if (status != AMEND_OK)
		return status;
	amend_lease_token_digest(token, digest);
	amend_clock_instant(&now);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "lease");
	amend_sql_text(&sql, " SET clock = ");
	amend_sql_string(&sql, db->dialect->clock_ms ? "" : now.id);
	if (ttl_ms) {
		amend_sql_text(&sql, ", ttl = ");
		amend_sql_integer(&sql, ttl_ms);
	}
	for (int wall = 0; wall < 2; wall++) {
		amend_sql_text(&sql, wall ? ", wall = " : ", expires = ");
		add_later(&sql, &now, wall);
		if (ttl_ms)
			amend_sql_integer(&sql, ttl_ms);
		else
			amend_sql_text(&sql, "ttl");
	}
	add_which(&sql, at);
	add_token(&sql, token, digest);
	amend_sql_text(&sql, " AND ");
	amend_lease_left(&sql, &now, "");
	amend_sql_text(&sql, " > 0");
	status = run(db, &sql, at, &now, out, &done, err);
	if (status == AMEND_OK && !done)
		return lost(db, at, token, out, err);
	amend_lease_token_write(token, out->token);
	return status;
}

enum amend_status amend_lease_end(struct amend_conn *db, const struct amend_lease_at *at,
				  const struct amend_lease_token *token, struct amend_error *err)
{
	char digest[AMEND_LEASE_DIGEST];
	struct amend_instant now;
	struct amend_lease was;
	struct amend_sql sql;
	enum amend_status status = amend_hold_database(db, err);
	bool done;

	if (status != AMEND_OK)
		return status;
	amend_lease_token_digest(token, digest);
	amend_clock_instant(&now);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "lease");
	amend_sql_text(&sql, " SET digest = NULL, mandatory = 0");
	add_which(&sql, at);
	add_token(&sql, token, digest);
	status = run(db, &sql, at, &now, &was, &done, err);
	if (status == AMEND_OK && !done)
		return lost(db, at, token, &was, err);
	if (status == AMEND_OK)
		status = add_event(db, at, token->fence, "release", was.place, db->why, err);
	return status;
}

enum amend_status amend_lease_take_away(struct amend_conn *db, const struct amend_lease_at *at,
					const char *because, struct amend_lease *out,
					struct amend_error *err)
{
	struct amend_instant now;
	struct amend_lease after;
	struct amend_sql sql;
	enum amend_status status = amend_hold_database(db, err);
	bool done, held = false;

	if (status == AMEND_OK)
		status = amend_lease_look(db, at, db->dialect->for_update, out, &held, err);
	if (status == AMEND_OK && !held)
		return amend_error_set(err, AMEND_NOT_FOUND, "nobody has the lease %s%s%s", at->tbl,
				       *at->tbl ? " " : "", at->pk);
	if (status != AMEND_OK)
		return status;
	amend_clock_instant(&now);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "lease");
	/* The number too: whoever shares the row in a write is waited for, and no later write passes. */
	amend_sql_text(&sql, " SET digest = NULL, mandatory = 0, fence = fence + 1");
	add_which(&sql, at);
	status = run(db, &sql, at, &now, &after, &done, err);
	if (status == AMEND_OK)
		status = add_event(db, at, out->fence, "break", "", because, err);
	return status;
}

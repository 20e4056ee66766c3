/*
 * One record on PostgreSQL by hand: each operation is one prepared statement and one round trip.
 * Leaves the order of calls and the clock to one.c.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "contender.h"
#include "one.h"
#include "pg.h"

static const char *const statements[][2] = {
	{"read", "SELECT id, remote_id, slug, name, description, parent_slug, position, updated_at "
		 "FROM taxonomy WHERE slug = $1"},
	{"update",
	 "UPDATE taxonomy SET position = $2 WHERE slug = $1 AND position IS DISTINCT FROM $2"},
	{"recorded",
	 "WITH t AS (SELECT * FROM taxonomy WHERE slug = $1 FOR UPDATE), u AS (UPDATE taxonomy w SET "
	 "position = $2 FROM t WHERE w.id = t.id AND t.position IS DISTINCT FROM $2 RETURNING w.id, "
	 "t::taxonomy AS before, w AS after) INSERT INTO history (record, before, after) SELECT id, "
	 "before, after FROM u"},
};

static void *open_hand(const char *uri)
{
	PGconn *db = pg_open(uri);

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		pg_done(db, PQprepare(db, statements[i][0], statements[i][1], 0, NULL),
			PGRES_COMMAND_OK, statements[i][1]);
	return db;
}

static void hold(void *hand)
{
	PGresult *pids = PQexec(
		hand, "SELECT pid FROM pg_stat_activity WHERE datname = current_database()");
	cpu_set_t one;
	int n = PQntuples(pids);

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	if (n < 2 || sched_setaffinity(0, sizeof(one), &one) != 0)
		die("expected two connections and a processor for them, found %d", n);
	for (int i = 0; i < n; i++) {
		if (sched_setaffinity(atoi(PQgetvalue(pids, i, 0)), sizeof(one), &one) != 0)
			die("the server's process %s is not ours to hold", PQgetvalue(pids, i, 0));
	}
	PQclear(pids);
}

static void run(void *hand, const char *name, const char *slug, const char *position,
		ExecStatusType expected)
{
	const char *const values[] = {slug, position};

	pg_done(hand, PQexecPrepared(hand, name, position ? 2 : 1, values, NULL, NULL, 0), expected,
		name);
}

static void read_one(void *hand, const char *slug)
{
	run(hand, "read", slug, NULL, PGRES_TUPLES_OK);
}

static void write_one(void *hand, const char *name, const char *slug, int position)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", position);
	run(hand, name, slug, text, PGRES_COMMAND_OK);
}

static void update_one(void *hand, const char *slug, int position)
{
	write_one(hand, "update", slug, position);
}

static void record_one(void *hand, const char *slug, int position)
{
	write_one(hand, "recorded", slug, position);
}

static void count(void *hand, uint64_t *own, uint64_t *amend)
{
	*own = pg_number(hand,
			 "SELECT count(*) FROM history WHERE (before).position <> (after).position "
			 "AND (before).id = record");
	*amend = pg_number(hand,
			   "SELECT count(*) FROM amend.change WHERE op = 'update' AND (fields::json "
			   "-> 'position' ->> 0) <> (fields::json -> 'position' ->> 1)");
}

static void close_hand(void *hand)
{
	PQfinish(hand);
}

const struct hand postgres_hand = {open_hand,  hold,  read_one,  update_one,
				   record_one, count, close_hand};

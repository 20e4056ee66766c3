/*
 * The hand-written sync on PostgreSQL: COPY into a staging table, then set-based statements.
 * Leaves the table to postgres_table.c.
 *
 * It is written as somebody would who knows the server well and needs nothing else: no base, so
 * local edits are lost; no check of the input. Matching is by remote_id, then by slug where
 * remote_id is NULL; only rows that differ are written.
 */
#include "pg.h"
#include "table.h"

#define DIFFERS                                                                        \
	"(t.slug, t.name, t.description, t.parent_slug, t.position) IS DISTINCT FROM " \
	"(s.slug, s.name, s.description, s.parent_slug, s.position)"
#define SET_ALL                                                                     \
	"slug = s.slug, name = s.name, description = s.description, parent_slug = " \
	"s.parent_slug, position = s.position"

static const char stage[] = "BEGIN; CREATE TEMP TABLE stage (remote_id text, slug text, name text, "
			    "description text, parent_slug text, position integer) ON COMMIT DROP";

/* What no remote_id finds: only that is looked for by slug, or new. */
static const char rest[] =
	"CREATE TEMP TABLE rest ON COMMIT DROP AS SELECT * FROM stage s WHERE NOT EXISTS (SELECT FROM "
	"taxonomy t WHERE t.remote_id = s.remote_id); ANALYZE rest";

static const char *const plain[] = {
	"UPDATE taxonomy t SET " SET_ALL
	" FROM stage s WHERE t.remote_id = s.remote_id AND " DIFFERS,
	"UPDATE taxonomy t SET remote_id = s.remote_id, " SET_ALL
	" FROM rest s WHERE t.slug = s.slug AND t.remote_id IS NULL",
	"INSERT INTO taxonomy (" DATA_HEADER ") SELECT " DATA_HEADER
	" FROM rest s WHERE NOT EXISTS (SELECT FROM taxonomy t WHERE t.remote_id = s.remote_id)",
};

/* The row as it was comes from a second look at it, by the same join that finds it. */
static const char *const recorded[] = {
	"WITH u AS (UPDATE taxonomy w SET " SET_ALL
	" FROM stage s JOIN taxonomy t ON t.remote_id = s.remote_id WHERE w.id = t.id AND " DIFFERS
	" RETURNING w.id, t AS before, w AS after) "
	"INSERT INTO history (record, before, after) SELECT id, before, after FROM u",
	"WITH u AS (UPDATE taxonomy w SET remote_id = s.remote_id, " SET_ALL
	" FROM rest s JOIN taxonomy t ON t.slug = s.slug WHERE w.id = t.id AND t.remote_id IS NULL "
	"RETURNING w.id, t AS before, w AS after) "
	"INSERT INTO history (record, before, after) SELECT id, before, after FROM u",
	"WITH i AS (INSERT INTO taxonomy AS t (" DATA_HEADER ") SELECT " DATA_HEADER
	" FROM rest s WHERE NOT EXISTS (SELECT FROM taxonomy t WHERE t.remote_id = s.remote_id) "
	"RETURNING t.id, t AS after) "
	"INSERT INTO history (record, after) SELECT id, after FROM i",
};

void postgres_staging(const char *uri, const char *feed, bool history)
{
	const char *const *statements = history ? recorded : plain;
	double opened = seconds(), begun, at;
	PGconn *db = pg_open(uri);

	begun = seconds();
	pg_run(db, stage);
	pg_copy_file(db, "COPY stage FROM STDIN (FORMAT csv, HEADER)", feed);
	say("copy", (at = seconds()) - begun);
	pg_run(db, "ANALYZE stage");
	say("analyze", seconds() - at), at = seconds();
	pg_run(db, statements[0]);
	say("by_remote_id", seconds() - at), at = seconds();
	pg_run(db, rest);
	say("rest", seconds() - at), at = seconds();
	pg_run(db, statements[1]);
	say("by_slug", seconds() - at), at = seconds();
	pg_run(db, statements[2]);
	say("insert", seconds() - at), at = seconds();
	pg_run(db, "COMMIT");
	say("commit", seconds() - at);
	say("seconds", seconds() - begun);
	PQfinish(db);
	say("total", seconds() - opened);
}

/*
 * The hand-written sync on SQLite: one prepared statement into a staging table, then set-based
 * statements, all in one transaction.
 * Leaves the table to sqlite_table.c.
 *
 * As on PostgreSQL: no base, no check of the input; by remote_id, then by slug where remote_id is
 * NULL; only rows that differ are written. What differs is found once, and kept for the history
 * and the update.
 */
#include "feed.h"
#include "lite.h"
#include "table.h"

#define SOURCE "s.remote_id, s.slug, s.name, s.description, s.parent_slug, s.position"
#define OLD "t.remote_id, t.slug, t.name, t.description, t.parent_slug, t.position"
#define DIFFERS                                                                  \
	"(t.slug IS NOT s.slug OR t.name IS NOT s.name OR t.description IS NOT " \
	"s.description OR t.parent_slug IS NOT s.parent_slug OR t.position IS NOT s.position)"
#define BY_REMOTE_ID "stage s CROSS JOIN taxonomy t ON t.remote_id = s.remote_id WHERE " DIFFERS
#define BY_SLUG "rest s CROSS JOIN taxonomy t ON t.slug = s.slug WHERE t.remote_id IS NULL"
#define UPDATE                                                                             \
	"UPDATE taxonomy AS t SET remote_id = s.remote_id, slug = s.slug, name = s.name, " \
	"description = s.description, parent_slug = s.parent_slug, position = s.position " \
	"FROM diff s WHERE t.id = s.id"
#define INSERT_NEW                                                                             \
	"INSERT INTO taxonomy (" DATA_HEADER ") SELECT " DATA_HEADER " FROM rest s WHERE NOT " \
	"EXISTS (SELECT 1 FROM taxonomy t WHERE t.remote_id = s.remote_id)"

/* As any handbook says for a job of this size; without it the same takes a third longer. */
static const char settings[] = "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY";

static const char stage[] = "CREATE TEMP TABLE stage (remote_id TEXT, slug TEXT, name TEXT, "
			    "description TEXT, parent_slug TEXT, position INTEGER)";

static const char diff[] =
	"CREATE TEMP TABLE diff (id INTEGER PRIMARY KEY, b_remote_id, b_slug, b_name, "
	"b_description, b_parent_slug, b_position, remote_id, slug, name, description, parent_slug, "
	"position)";

/* What no remote_id finds: only that is looked for by slug, or new. */
static const char rest[] =
	"CREATE TEMP TABLE rest AS SELECT * FROM stage s WHERE NOT EXISTS (SELECT 1 FROM taxonomy t "
	"WHERE t.remote_id = s.remote_id)";

static void fill_stage(sqlite3 *db, const char *feed)
{
	struct feed_field fields[DATA_COLUMNS];
	size_t size;
	const char *at = map_file(feed, &size), *end = at + size;
	sqlite3_stmt *insert = lite_prepare(db, "INSERT INTO stage VALUES (?, ?, ?, ?, ?, ?)");

	feed_line(&at, end, fields);
	while (feed_line(&at, end, fields) == DATA_COLUMNS) {
		for (int i = 0; i < DATA_COLUMNS; i++)
			sqlite3_bind_text(insert, i + 1, fields[i].null ? NULL : fields[i].text,
					  (int)fields[i].size, SQLITE_STATIC);
		lite_step(insert);
	}
	sqlite3_finalize(insert);
}

/* What the rows of one join were and are to be, in history if wanted, and written. */
static void update(sqlite3 *db, const char *find, bool history)
{
	lite_run(db, "DELETE FROM diff");
	lite_run(db, find);
	if (history)
		lite_run(db,
			 "INSERT INTO history (record, b_remote_id, b_slug, b_name, "
			 "b_description, b_parent_slug, b_position, a_remote_id, a_slug, a_name, "
			 "a_description, a_parent_slug, a_position) SELECT * FROM diff");
	lite_run(db, UPDATE);
}

static void create(sqlite3 *db, bool history)
{
	sqlite3_int64 last = (sqlite3_int64)lite_number(db, "SELECT max(id) FROM taxonomy");
	sqlite3_stmt *record;

	lite_run(db, INSERT_NEW);
	if (!history)
		return;
	record = lite_prepare(
		db,
		"INSERT INTO history (record, a_remote_id, a_slug, a_name, a_description, "
		"a_parent_slug, a_position) SELECT id, " DATA_HEADER " FROM taxonomy WHERE id > ?");
	sqlite3_bind_int64(record, 1, last);
	lite_step(record);
	sqlite3_finalize(record);
}

void sqlite_staging(const char *path, const char *feed, bool history)
{
	double opened = seconds(), begun, at;
	sqlite3 *db = lite_open(path);

	begun = seconds();
	lite_run(db, settings);
	lite_run(db, "BEGIN IMMEDIATE");
	lite_run(db, stage);
	lite_run(db, diff);
	fill_stage(db, feed);
	say("stage", (at = seconds()) - begun);
	update(db, "INSERT INTO diff SELECT t.id, " OLD ", " SOURCE " FROM " BY_REMOTE_ID, history);
	say("by_remote_id", seconds() - at), at = seconds();
	lite_run(db, rest);
	say("rest", seconds() - at), at = seconds();
	update(db, "INSERT INTO diff SELECT t.id, " OLD ", " SOURCE " FROM " BY_SLUG, history);
	say("by_slug", seconds() - at), at = seconds();
	create(db, history);
	say("insert", seconds() - at), at = seconds();
	lite_run(db, "COMMIT");
	say("commit", seconds() - at);
	say("seconds", seconds() - begun);
	sqlite3_close(db);
	say("total", seconds() - opened);
}

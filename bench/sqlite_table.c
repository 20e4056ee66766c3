/*
 * Workload A's table on SQLite: made, filled, read and looked at.
 * Leaves the hand-written sync to sqlite_staging.c.
 */
#include "feed.h"
#include "lite.h"
#include "table.h"

#define UNIQUES                                                           \
	"CREATE UNIQUE INDEX taxonomy_remote_id ON taxonomy (remote_id);" \
	"CREATE UNIQUE INDEX taxonomy_slug ON taxonomy (slug);"
#define INSERT(columns, values) "INSERT INTO taxonomy (" columns DATA_HEADER ") VALUES (" values ")"

static const char tables[] =
	"PRAGMA journal_mode = WAL;"
	"CREATE TABLE taxonomy (id INTEGER PRIMARY KEY, remote_id TEXT, slug TEXT NOT NULL, "
	"name TEXT NOT NULL, description TEXT NOT NULL, parent_slug TEXT, position INTEGER NOT NULL, "
	"updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);"
	"CREATE TABLE history (id INTEGER PRIMARY KEY, record INTEGER NOT NULL, "
	"at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, b_remote_id TEXT, b_slug TEXT, b_name TEXT, "
	"b_description TEXT, b_parent_slug TEXT, b_position INTEGER, a_remote_id TEXT, a_slug TEXT, "
	"a_name TEXT, a_description TEXT, a_parent_slug TEXT, a_position INTEGER);"
	"CREATE INDEX history_record ON history (record);";

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(statement, at);
}

static void fill(sqlite3 *db, const struct data *data)
{
	sqlite3_stmt *insert = lite_prepare(db, INSERT("id, ", "?, ?, ?, ?, ?, ?, ?"));
	struct record record;

	lite_run(db, "BEGIN");
	for (uint64_t i = 0; i < data_count(data, 0); i++) {
		data_row(data, 0, i, &record);
		sqlite3_bind_int64(insert, 1, (sqlite3_int64)record.id);
		bind_text(insert, 2, record.has_remote_id ? record.remote_id : NULL);
		bind_text(insert, 3, record.slug);
		bind_text(insert, 4, record.name);
		bind_text(insert, 5, record.description);
		bind_text(insert, 6, record.has_parent ? record.parent_slug : NULL);
		sqlite3_bind_int(insert, 7, record.position);
		lite_step(insert);
	}
	sqlite3_finalize(insert);
	lite_run(db, "COMMIT");
}

void sqlite_load(const char *path, const struct data *data, bool empty)
{
	sqlite3 *db = lite_open(path);

	lite_run(db, tables);
	if (!empty)
		fill(db, data);
	lite_run(db, UNIQUES "ANALYZE");
	sqlite3_close(db);
}

/* SQLite's COPY: one prepared statement in one transaction. */
void sqlite_copy(const char *path, const char *feed)
{
	sqlite3 *db = lite_open(path);
	double begun = seconds();
	struct feed_field fields[DATA_COLUMNS];
	size_t size;
	const char *at = map_file(feed, &size), *end = at + size;
	sqlite3_stmt *insert = lite_prepare(db, INSERT("", "?, ?, ?, ?, ?, ?"));

	lite_run(db, "BEGIN IMMEDIATE");
	feed_line(&at, end, fields);
	while (feed_line(&at, end, fields) == DATA_COLUMNS) {
		for (int i = 0; i < DATA_COLUMNS; i++)
			sqlite3_bind_text(insert, i + 1, fields[i].null ? NULL : fields[i].text,
					  (int)fields[i].size, SQLITE_STATIC);
		lite_step(insert);
	}
	sqlite3_finalize(insert);
	lite_run(db, "COMMIT");
	say("seconds", seconds() - begun);
	sqlite3_close(db);
}

void sqlite_read(const char *path)
{
	sqlite3 *db = lite_open(path);
	double begun = seconds(), bytes = 0;
	sqlite3_stmt *select = lite_prepare(db, "SELECT id, " DATA_HEADER " FROM taxonomy");

	while (sqlite3_step(select) == SQLITE_ROW) {
		bytes += (double)(sqlite3_column_int64(select, 0) > 0);
		for (int i = 1; i <= DATA_COLUMNS; i++) {
			if (sqlite3_column_text(select, i))
				bytes += sqlite3_column_bytes(select, i);
		}
	}
	sqlite3_finalize(select);
	say("seconds", seconds() - begun);
	say("bytes", bytes);
	sqlite3_close(db);
}

static const char *text_at(sqlite3_stmt *statement, int column)
{
	return (const char *)sqlite3_column_text(statement, column);
}

static void look_at_rows(sqlite3 *db, const struct data *data, struct found *found)
{
	sqlite3_stmt *select = lite_prepare(db, "SELECT id, " DATA_HEADER " FROM taxonomy");
	int rc;

	while ((rc = sqlite3_step(select)) == SQLITE_ROW) {
		const char *texts[DATA_COLUMNS];

		for (int i = 0; i < DATA_COLUMNS; i++)
			texts[i] = text_at(select, i + 1);
		found_row(found, data, (uint64_t)sqlite3_column_int64(select, 0), texts);
	}
	if (rc != SQLITE_DONE)
		die("%s", sqlite3_errmsg(db));
	sqlite3_finalize(select);
}

/* Changes of records that are there; a creation's id is 0, for the database chose it. */
#define OWN_CHANGE(column)                                                              \
	"SELECT CASE WHEN b_slug IS NULL THEN 0 ELSE t.id END, '" column "', b_" column \
	", a_" column " FROM history h JOIN taxonomy t ON t.id = h.record"
static const char own_changes[] =
	OWN_CHANGE("remote_id") " UNION ALL " OWN_CHANGE("slug") " UNION ALL " OWN_CHANGE("name") " UNION ALL " OWN_CHANGE(
		"description") " UNION ALL " OWN_CHANGE("parent_slug") " UNION ALL " OWN_CHANGE("position");

static const char amend_changes[] =
	"SELECT CASE c.op WHEN 'update' THEN t.id ELSE 0 END, f.key, f.value ->> 0, f.value ->> 1 FROM "
	"amend_change c JOIN taxonomy t ON t.id = c.pk ->> 'id', json_each(c.fields) f";

static void look_at_changes(sqlite3 *db, const char *sql, struct found *found)
{
	sqlite3_stmt *select = lite_prepare(db, sql);
	int rc;

	while ((rc = sqlite3_step(select)) == SQLITE_ROW)
		found_change(found, (uint64_t)sqlite3_column_int64(select, 0), text_at(select, 1),
			     text_at(select, 2), text_at(select, 3));
	if (rc != SQLITE_DONE)
		die("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_finalize(select);
}

void sqlite_look(const char *path, const struct data *data, enum history history,
		 struct found *found)
{
	sqlite3 *db = lite_open(path);

	look_at_rows(db, data, found);
	if (history == HISTORY_OWN) {
		look_at_changes(db, own_changes, found);
		found->updates = lite_number(
			db, "SELECT count(*) FROM history WHERE b_slug IS NOT NULL");
		found->creations = lite_number(db,
					       "SELECT count(*) FROM history WHERE b_slug IS NULL");
	} else if (history == HISTORY_AMEND) {
		look_at_changes(db, amend_changes, found);
		found->updates = lite_number(
			db, "SELECT count(*) FROM amend_change WHERE op = 'update'");
		found->creations = lite_number(
			db, "SELECT count(*) FROM amend_change WHERE op = 'create'");
		found->bases = lite_number(db, "SELECT count(*) FROM amend_base");
		found->conflicts = lite_number(
			db, "SELECT count(*) FROM amend_conflict WHERE state = 'open'");
	}
	sqlite3_close(db);
}

int run_sqlite_version(const struct words *words)
{
	(void)words;
	say_text("value", sqlite3_libversion());
	return 0;
}

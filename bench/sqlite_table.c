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

static void look_at_rows(sqlite3 *db, const struct data *data, struct found *found)
{
	sqlite3_stmt *select = lite_prepare(db, "SELECT id, " DATA_HEADER " FROM taxonomy");
	int rc;

	while ((rc = sqlite3_step(select)) == SQLITE_ROW) {
		const char *texts[DATA_COLUMNS];

		for (int i = 0; i < DATA_COLUMNS; i++)
			texts[i] = (const char *)sqlite3_column_text(select, i + 1);
		found_row(found, data, (uint64_t)sqlite3_column_int64(select, 0), texts);
	}
	if (rc != SQLITE_DONE)
		die("%s", sqlite3_errmsg(db));
	sqlite3_finalize(select);
}

/* A change counts where the record that it names is there, and ends in what history says of it. */
void sqlite_look(const char *path, const struct data *data, enum history history,
		 struct found *found)
{
	sqlite3 *db = lite_open(path);

	look_at_rows(db, data, found);
	if (history == HISTORY_OWN) {
		found->updates = lite_number(
			db, "SELECT count(*) FROM history h JOIN taxonomy t ON t.id = h.record "
			    "WHERE b_slug IS NOT NULL AND a_slug = t.slug");
		found->fields = lite_number(
			db,
			"SELECT sum((b_remote_id IS NOT a_remote_id) + (b_slug IS NOT a_slug) + "
			"(b_name IS NOT a_name) + (b_description IS NOT a_description) + "
			"(b_parent_slug IS NOT a_parent_slug) + (b_position IS NOT a_position)) "
			"FROM history WHERE b_slug IS NOT NULL");
		found->creations = lite_number(
			db, "SELECT count(*) FROM history h JOIN taxonomy t ON t.id = h.record "
			    "WHERE b_slug IS NULL AND a_slug = t.slug");
	} else if (history == HISTORY_AMEND) {
		found->updates = lite_number(
			db, "SELECT count(*) FROM amend_change c JOIN taxonomy t ON t.id = "
			    "c.pk ->> 'id' WHERE c.op = 'update'");
		found->fields = lite_number(
			db,
			"SELECT count(*) FROM amend_change c JOIN taxonomy t ON t.id = c.pk ->> 'id', "
			"json_each(c.fields) f WHERE c.op = 'update' AND f.value ->> 0 IS NOT f.value "
			"->> 1 AND f.value ->> 1 = CASE f.key WHEN 'remote_id' THEN t.remote_id WHEN "
			"'slug' THEN t.slug WHEN 'name' THEN t.name WHEN 'description' THEN "
			"t.description WHEN 'parent_slug' THEN t.parent_slug ELSE t.position END");
		found->creations = lite_number(
			db, "SELECT count(*) FROM amend_change c JOIN taxonomy t ON t.id = "
			    "c.pk ->> 'id' WHERE c.op = 'create' AND c.fields ->> "
			    "'$.slug[1]' = t.slug");
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

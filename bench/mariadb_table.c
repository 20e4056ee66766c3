/*
 * Workload A's table on MariaDB: made, filled, read and looked at.
 * Leaves the hand-written sync to mariadb_staging.c, and putting a state back to places.py.
 *
 * Its text is in the collation of the distribution's settings, which folds case.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "maria.h"
#include "table.h"

#define FOLDING " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
#define TEXTS(prefix)                                                           \
	prefix "remote_id varchar(64), " prefix "slug varchar(100), " prefix    \
	       "name varchar(150), " prefix "description varchar(255), " prefix \
	       "parent_slug varchar(100), " prefix "position integer"

static const char table[] =
	"CREATE TABLE taxonomy (id bigint AUTO_INCREMENT PRIMARY KEY, remote_id varchar(64), "
	"slug varchar(100) NOT NULL, name varchar(150) NOT NULL, description varchar(255) NOT NULL, "
	"parent_slug varchar(100), position integer NOT NULL, "
	"updated_at datetime(6) NOT NULL DEFAULT current_timestamp(6))" FOLDING;
static const char uniques[] =
	"ALTER TABLE taxonomy ADD UNIQUE KEY (remote_id), ADD UNIQUE KEY (slug)";
static const char history_table[] =
	"CREATE TABLE history (id bigint AUTO_INCREMENT PRIMARY KEY, record bigint NOT NULL, "
	"at datetime(6) NOT NULL DEFAULT current_timestamp(6), " TEXTS("b_") ", " TEXTS(
		"a_") ", KEY (record))" FOLDING;

static void write_rows(const struct data *data, const char *path)
{
	FILE *file = fopen(path, "w");
	struct record record;
	char line[1024];

	if (!file)
		die("%s cannot be written", path);
	for (uint64_t i = 0; i < data_count(data, 0); i++) {
		data_row(data, 0, i, &record);
		fwrite(line, 1, data_csv(&record, true, line, sizeof(line)), file);
	}
	if (fclose(file) != 0)
		die("%s could not be written", path);
}

/* LOAD DATA of a file as data_csv writes it: nothing between the commas is NULL where a column takes it. */
static void load_file(MYSQL *db, const char *path, bool with_id, bool header)
{
	char sql[1024];

	snprintf(sql, sizeof(sql),
		 "LOAD DATA LOCAL INFILE '%s' INTO TABLE taxonomy CHARACTER SET utf8mb4 FIELDS "
		 "TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY ''%s (%s@r, slug, name, "
		 "description, @p, position) SET remote_id = nullif(@r, ''), "
		 "parent_slug = nullif(@p, '')",
		 path, header ? " IGNORE 1 LINES" : "", with_id ? "id, " : "");
	maria_run(db, sql);
	if (mysql_warning_count(db))
		die("%s: %u warnings", path, mysql_warning_count(db));
}

void mariadb_load(const char *url, const struct data *data, bool empty)
{
	MYSQL *db = maria_open(url);
	char path[] = "/tmp/amend-bench.XXXXXX";

	maria_run(db, table);
	maria_run(db, history_table);
	if (!empty) {
		int fd = mkstemp(path);

		if (fd < 0)
			die("%s cannot be made", path);
		write_rows(data, path);
		load_file(db, path, true, false);
		remove(path);
	}
	maria_run(db, uniques);
	maria_run(db, "ANALYZE TABLE taxonomy, history");
	mysql_close(db);
}

void mariadb_copy(const char *url, const char *feed)
{
	MYSQL *db = maria_open(url);
	double begun = seconds();

	load_file(db, feed, false, true);
	say("seconds", seconds() - begun);
	mysql_close(db);
}

void mariadb_read(const char *url)
{
	MYSQL *db = maria_open(url);
	double begun = seconds(), bytes = 0;
	MYSQL_RES *rows = maria_rows(db, "SELECT id, " DATA_HEADER " FROM taxonomy");

	while (mysql_fetch_row(rows)) {
		const unsigned long *sizes = mysql_fetch_lengths(rows);

		for (int i = 0; i <= DATA_COLUMNS; i++)
			bytes += (double)sizes[i];
	}
	maria_end(db, rows);
	say("seconds", seconds() - begun);
	say("bytes", bytes);
	mysql_close(db);
}

static void look_at_rows(MYSQL *db, const struct data *data, struct found *found)
{
	MYSQL_RES *rows = maria_rows(db, "SELECT id, " DATA_HEADER " FROM taxonomy");
	MYSQL_ROW row;

	while ((row = mysql_fetch_row(rows)) != NULL)
		found_row(found, data, strtoull(row[0], NULL, 10), (const char *const *)row + 1);
	maria_end(db, rows);
}

/* Changes of records that are there; a creation's id is 0, for the database chose it. */
#define OWN_CHANGE(column)                                                          \
	"SELECT if(b_slug IS NULL, 0, t.id), '" column "', b_" column ", a_" column \
	" FROM history h JOIN taxonomy t ON t.id = h.record"
static const char own_changes[] =
	OWN_CHANGE("remote_id") " UNION ALL " OWN_CHANGE("slug") " UNION ALL " OWN_CHANGE("name") " UNION ALL " OWN_CHANGE(
		"description") " UNION ALL " OWN_CHANGE("parent_slug") " UNION ALL " OWN_CHANGE("position");

/* json_value does not tell NULL from what is not there: neither is a change of its own. */
#define AMEND_CHANGE(column)                                                                 \
	"SELECT if(c.op = 'update', t.id, 0), '" column "', json_value(c.fields, '$." column \
	"[0]'), json_value(c.fields, '$." column                                             \
	"[1]') FROM amend_change c JOIN taxonomy t ON t.id = json_value(c.pk, '$.id')"
static const char amend_changes[] =
	AMEND_CHANGE("remote_id") " UNION ALL " AMEND_CHANGE("slug") " UNION ALL " AMEND_CHANGE("name") " UNION ALL " AMEND_CHANGE(
		"description") " UNION ALL " AMEND_CHANGE("parent_slug") " UNION ALL " AMEND_CHANGE("position");

static void look_at_changes(MYSQL *db, const char *sql, struct found *found)
{
	MYSQL_RES *rows = maria_rows(db, sql);
	MYSQL_ROW row;

	while ((row = mysql_fetch_row(rows)) != NULL)
		found_change(found, strtoull(row[0], NULL, 10), row[1], row[2], row[3]);
	maria_end(db, rows);
}

void mariadb_look(const char *url, const struct data *data, enum history history,
		  struct found *found)
{
	MYSQL *db = maria_open(url);

	look_at_rows(db, data, found);
	if (history == HISTORY_OWN) {
		look_at_changes(db, own_changes, found);
		found->updates = maria_number(
			db, "SELECT count(*) FROM history WHERE b_slug IS NOT NULL");
		found->creations = maria_number(
			db, "SELECT count(*) FROM history WHERE b_slug IS NULL");
	} else if (history == HISTORY_AMEND) {
		look_at_changes(db, amend_changes, found);
		found->updates = maria_number(
			db, "SELECT count(*) FROM amend_change WHERE op = 'update'");
		found->creations = maria_number(
			db, "SELECT count(*) FROM amend_change WHERE op = 'create'");
		found->bases = maria_number(db, "SELECT count(*) FROM amend_base");
		found->conflicts = maria_number(
			db, "SELECT count(*) FROM amend_conflict WHERE state = 'open'");
	}
	mysql_close(db);
}

void mariadb_sql(const char *url, const char *sql)
{
	MYSQL *db = maria_open(url);

	maria_say(db, "value", sql);
	mysql_close(db);
}

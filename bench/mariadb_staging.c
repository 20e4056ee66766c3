/*
 * The hand-written sync on MariaDB: LOAD DATA into a temporary table, then set-based statements, all in one
 * transaction.
 * Leaves the table to mariadb_table.c.
 *
 * As on the others: no base, no check of the input; by remote_id, then by slug where remote_id is NULL; only rows
 * that differ are written. What differs is found once, and held, and kept for the history and the update.
 */
#include <stdio.h>

#include "maria.h"
#include "table.h"

#define FOLDING " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
#define COLUMNS                                                                     \
	"remote_id varchar(64), slug varchar(100), name varchar(150), description " \
	"varchar(255), parent_slug varchar(100), position integer"
#define SOURCE "s.remote_id, s.slug, s.name, s.description, s.parent_slug, s.position"
#define OLD "t.remote_id, t.slug, t.name, t.description, t.parent_slug, t.position"
/* Case counts, whatever the collation. */
#define SAME(column) "t." column " <=> s." column " COLLATE utf8mb4_nopad_bin"
#define DIFFERS                                                                             \
	"NOT (" SAME("slug") " AND " SAME("name") " AND " SAME("description") " AND " SAME( \
		"parent_slug") " AND t.position = s.position)"

/* Temporary tables end no transaction. */
static const char stage[] = "CREATE TEMPORARY TABLE stage (" COLUMNS ")" FOLDING;
static const char diff[] =
	"CREATE TEMPORARY TABLE diff (id bigint PRIMARY KEY, b_remote_id varchar(64), "
	"b_slug varchar(100), b_name varchar(150), b_description varchar(255), "
	"b_parent_slug varchar(100), b_position integer, " COLUMNS ")" FOLDING;

/* What no remote_id finds: only that is looked for by slug, or new. */
static const char rest[] =
	"CREATE TEMPORARY TABLE rest SELECT s.* FROM stage s LEFT JOIN taxonomy t ON "
	"t.remote_id = s.remote_id WHERE t.id IS NULL";

static const char by_remote_id[] =
	"INSERT INTO diff SELECT STRAIGHT_JOIN t.id, " OLD ", " SOURCE
	" FROM stage s JOIN taxonomy t ON t.remote_id = s.remote_id WHERE " DIFFERS " FOR UPDATE";
static const char by_slug[] = "INSERT INTO diff SELECT STRAIGHT_JOIN t.id, " OLD ", " SOURCE
			      " FROM rest s JOIN taxonomy t ON t.slug = s.slug WHERE "
			      "t.remote_id IS NULL FOR UPDATE";

/* What the rows of one join were and are to be, in history if wanted, and written. */
static void update(MYSQL *db, const char *find, bool history)
{
	maria_run(db, "DELETE FROM diff");
	maria_run(db, find);
	if (history)
		maria_run(db,
			  "INSERT INTO history (record, b_remote_id, b_slug, b_name, b_description, "
			  "b_parent_slug, b_position, a_remote_id, a_slug, a_name, a_description, "
			  "a_parent_slug, a_position) SELECT * FROM diff");
	maria_run(db, "UPDATE diff s STRAIGHT_JOIN taxonomy t ON t.id = s.id SET t.remote_id = "
		      "s.remote_id, t.slug = s.slug, t.name = s.name, t.description = "
		      "s.description, t.parent_slug = s.parent_slug, t.position = s.position");
}

static void create(MYSQL *db, bool history)
{
	uint64_t last = maria_number(db, "SELECT max(id) FROM taxonomy");
	char sql[512];

	maria_run(db, "INSERT INTO taxonomy (" DATA_HEADER ") SELECT " SOURCE " FROM rest s LEFT "
		      "JOIN taxonomy t ON t.remote_id = s.remote_id WHERE t.id IS NULL");
	if (!history)
		return;
	snprintf(sql, sizeof(sql),
		 "INSERT INTO history (record, a_remote_id, a_slug, a_name, a_description, "
		 "a_parent_slug, a_position) SELECT id, " DATA_HEADER
		 " FROM taxonomy WHERE id > %llu",
		 (unsigned long long)last);
	maria_run(db, sql);
}

static void load_stage(MYSQL *db, const char *feed)
{
	char sql[1024];

	snprintf(sql, sizeof(sql),
		 "LOAD DATA LOCAL INFILE '%s' INTO TABLE stage CHARACTER SET utf8mb4 FIELDS "
		 "TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' IGNORE 1 LINES "
		 "(@r, slug, name, description, @p, position) SET remote_id = nullif(@r, ''), "
		 "parent_slug = nullif(@p, '')",
		 feed);
	maria_run(db, sql);
}

void mariadb_staging(const char *url, const char *feed, bool history)
{
	double opened = seconds(), begun, at;
	MYSQL *db = maria_open(url);

	begun = seconds();
	maria_run(db, stage);
	maria_run(db, diff);
	maria_run(db, "START TRANSACTION");
	load_stage(db, feed);
	say("stage", (at = seconds()) - begun);
	update(db, by_remote_id, history);
	say("by_remote_id", seconds() - at), at = seconds();
	maria_run(db, rest);
	say("rest", seconds() - at), at = seconds();
	update(db, by_slug, history);
	say("by_slug", seconds() - at), at = seconds();
	create(db, history);
	say("insert", seconds() - at), at = seconds();
	maria_run(db, "COMMIT");
	say("commit", seconds() - at);
	say("seconds", seconds() - begun);
	mysql_close(db);
	say("total", seconds() - opened);
}

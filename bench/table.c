/*
 * The commands about workload A's table, and what must stand in it.
 * Leaves each engine's way of doing them to the files named after it.
 */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	void (*load)(const char *db, const struct data *data, bool empty);
	void (*look)(const char *db, const struct data *data, enum history history,
		     struct found *found);
	void (*staging)(const char *db, const char *feed, bool history);
	void (*copy)(const char *db, const char *feed);
	void (*read)(const char *db);
	void (*sql)(const char *db, const char *sql); /* NULL: no server */
} ways[] = {
	[ON_SQLITE] = {sqlite_load, sqlite_look, sqlite_staging, sqlite_copy, sqlite_read, NULL},
	[ON_POSTGRES] = {postgres_load, postgres_look, postgres_staging, postgres_copy,
			 postgres_read, postgres_sql},
#ifdef AMEND_WITH_MARIADB
	[ON_MARIADB] = {mariadb_load, mariadb_look, mariadb_staging, mariadb_copy, mariadb_read,
			mariadb_sql},
#endif
};

int run_load(const struct words *words)
{
	struct data data = data_of(words);
	const char *db = word(words, "db");

	ways[engine_of(db)].load(db, &data, number_or(words, "empty", 0) != 0);
	return 0;
}

int run_staging(const struct words *words)
{
	const char *db = word(words, "db");

	ways[engine_of(db)].staging(db, word(words, "feed"), number(words, "history") != 0);
	return 0;
}

int run_copy(const struct words *words)
{
	const char *db = word(words, "db");

	ways[engine_of(db)].copy(db, word(words, "feed"));
	return 0;
}

int run_read(const struct words *words)
{
	const char *db = word(words, "db");

	ways[engine_of(db)].read(db);
	return 0;
}

int run_sql(const struct words *words)
{
	const char *db = word(words, "db");
	enum engine engine = engine_of(db);

	if (!ways[engine].sql)
		die("%s is no server's", db);
	ways[engine].sql(db, word(words, "sql"));
	return 0;
}

void found_row(struct found *found, const struct data *data, uint64_t id,
	       const char *const texts[DATA_COLUMNS])
{
	found->rows++;
	found->digest += data_digest(id > data->rows ? 0 : id, texts);
}

static const char *const columns[DATA_COLUMNS] = {"remote_id",   "slug",        "name",
						  "description", "parent_slug", "position"};

void found_change(struct found *found, uint64_t id, const char *column, const char *before,
		  const char *after)
{
	if (before && after ? strcmp(before, after) == 0 : before == after)
		return;
	for (int i = 0; i < DATA_COLUMNS; i++) {
		if (strcmp(columns[i], column) == 0)
			found->changes += data_change_digest(id, i, before, after);
	}
}

static void say_digest(const char *name, uint64_t digest)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)digest);
	say_text(name, text);
}

/* Digests as text: JSON's numbers are too short for them. */
int run_expect(const struct words *words)
{
	struct data data = data_of(words);
	int copy = (int)number_or(words, "copy", 0);

	if (copy) {
		say_digest("table", data_feed_digest(&data, copy));
		return 0;
	}
	say_digest("table", data_state_digest(&data, (int)number(words, "state")));
	say_digest("changes", data_history_digest(&data, (int)number(words, "state")));
	return 0;
}

static void expect(const char *what, uint64_t expected, uint64_t found)
{
	if (expected != found)
		die("wrong result: expected %llu %s, found %llu", (unsigned long long)expected,
		    what, (unsigned long long)found);
}

int run_check(const struct words *words)
{
	struct data data = data_of(words);
	int copy = (int)number_or(words, "copy", 0);
	int state = copy ? 0 : (int)number(words, "state");
	const char *db = word(words, "db"), *name = copy ? "none" : word(words, "history");
	enum history history = strcmp(name, "amend") == 0 ? HISTORY_AMEND
			       : strcmp(name, "own") == 0 ? HISTORY_OWN
							  : HISTORY_NONE;
	struct found found = {0};
	uint64_t rows = copy ? data.lines : data_count(&data, state);

	if (copy)
		data.rows = 0; /* the database has numbered all of them */
	ways[engine_of(db)].look(db, &data, history, &found);
	expect("rows", rows, found.rows);
	expect("as the digest of the table's rows", strtoull(word(words, "table"), NULL, 10),
	       found.digest);
	if (history == HISTORY_NONE)
		return 0;
	expect("updates in history", data_updates(&data, state), found.updates);
	expect("creations in history", data_creations(&data, state), found.creations);
	expect("as the digest of history", strtoull(word(words, "changes"), NULL, 10),
	       found.changes);
	if (history == HISTORY_AMEND) {
		expect("bases", data_bases(&data, state), found.bases);
		expect("open conflicts", 0, found.conflicts);
	}
	return 0;
}

/*
 * The commands about workload A's table, and what must stand in it.
 * Leaves each engine's way of doing them to the files named after it.
 */
#include "table.h"

#include <string.h>

int run_load(const struct words *words)
{
	struct data data = data_of(words);
	bool empty = number_or(words, "empty", 0) != 0;
	const char *db = word(words, "db");

	(is_postgres(db) ? postgres_load : sqlite_load)(db, &data, empty);
	return 0;
}

int run_staging(const struct words *words)
{
	const char *db = word(words, "db");

	(is_postgres(db) ? postgres_staging : sqlite_staging)(db, word(words, "feed"),
							      number(words, "history") != 0);
	return 0;
}

int run_copy(const struct words *words)
{
	const char *db = word(words, "db");

	(is_postgres(db) ? postgres_copy : sqlite_copy)(db, word(words, "feed"));
	return 0;
}

int run_read(const struct words *words)
{
	const char *db = word(words, "db");

	(is_postgres(db) ? postgres_read : sqlite_read)(db);
	return 0;
}

void found_row(struct found *found, const struct data *data, uint64_t id,
	       const char *const texts[DATA_COLUMNS])
{
	found->rows++;
	found->digest += data_digest(id > data->rows ? 0 : id, texts);
}

static void expect(const char *what, uint64_t expected, uint64_t found)
{
	if (expected != found)
		die("wrong result: expected %llu %s, found %llu", (unsigned long long)expected,
		    what, (unsigned long long)found);
}

/* What the table must hold: that of a state, or, copy=VERSION, the lines of a feed and nothing else. */
static uint64_t expected_digest(const struct data *data, int state, int copy)
{
	uint64_t digest = 0, n = copy ? data->lines : data_count(data, state);
	struct record record;

	for (uint64_t i = 0; i < n; i++) {
		if (copy)
			data_feed(data, copy, i, &record);
		else
			data_row(data, state, i, &record);
		digest += data_record_digest(&record);
	}
	return digest;
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
	uint64_t digest = expected_digest(&data, state, copy);
	uint64_t rows = copy ? data.lines : data_count(&data, state);

	if (copy)
		data.rows = 0; /* the database has numbered all of them */
	(is_postgres(db) ? postgres_look : sqlite_look)(db, &data, history, &found);
	expect("rows", rows, found.rows);
	expect("as the digest of the table's rows", digest, found.digest);
	if (history == HISTORY_NONE)
		return 0;
	expect("updates in history", data_updates(&data, state), found.updates);
	expect("creations in history", data_creations(&data, state), found.creations);
	expect("changed fields in history", data_updates(&data, state), found.fields);
	if (history == HISTORY_AMEND) {
		expect("bases", data_bases(&data, state), found.bases);
		expect("open conflicts", 0, found.conflicts);
	}
	return 0;
}

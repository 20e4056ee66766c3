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

int run_check(const struct words *words)
{
	struct data data = data_of(words);
	int state = (int)number(words, "state");
	const char *db = word(words, "db"), *name = word(words, "history");
	enum history history = strcmp(name, "amend") == 0 ? HISTORY_AMEND
			       : strcmp(name, "own") == 0 ? HISTORY_OWN
							  : HISTORY_NONE;
	struct found found = {0};
	struct record record;
	uint64_t digest = 0;

	for (uint64_t i = 0; i < data_count(&data, state); i++) {
		data_row(&data, state, i, &record);
		digest += data_record_digest(&record);
	}
	(is_postgres(db) ? postgres_look : sqlite_look)(db, &data, history, &found);
	expect("rows", data_count(&data, state), found.rows);
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

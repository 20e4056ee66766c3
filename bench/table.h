/*
 * What each engine does with the table of workload A; table.c asks the one whose database it is.
 *
 * Beside the table stands `history`, for the hand-written contenders: before and after of each
 * changed record, in the engine's plainest form, with an index by which a record's life is found.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "contender.h"

/* What a table was found to hold. */
struct found {
	uint64_t rows, digest;
	uint64_t updates, creations; /* in the history asked for, of records that are there .. */
	uint64_t changes;            /* .. and the digest of their fields before and after */
	uint64_t bases, conflicts;   /* of amend */
};

enum history { HISTORY_NONE, HISTORY_OWN, HISTORY_AMEND };

/* One row for the digest: rows that the database numbered itself, beyond `rows`, count without id. */
void found_row(struct found *found, const struct data *data, uint64_t id,
	       const char *const texts[DATA_COLUMNS]);

/* One changed field of a history, likewise; columns that the feed has not do not count. */
void found_change(struct found *found, uint64_t id, const char *column, const char *before,
		  const char *after);

void postgres_load(const char *db, const struct data *data, bool empty);
void postgres_look(const char *db, const struct data *data, enum history history,
		   struct found *found);
void postgres_staging(const char *db, const char *feed, bool history);
void postgres_copy(const char *db, const char *feed);
void postgres_read(const char *db);
void postgres_sql(const char *db, const char *sql);

void mariadb_load(const char *db, const struct data *data, bool empty);
void mariadb_look(const char *db, const struct data *data, enum history history,
		  struct found *found);
void mariadb_staging(const char *db, const char *feed, bool history);
void mariadb_copy(const char *db, const char *feed);
void mariadb_read(const char *db);
void mariadb_sql(const char *db, const char *sql);

void sqlite_load(const char *db, const struct data *data, bool empty);
void sqlite_look(const char *db, const struct data *data, enum history history, struct found *found);
void sqlite_staging(const char *db, const char *feed, bool history);
void sqlite_copy(const char *db, const char *feed);
void sqlite_read(const char *db);

#endif

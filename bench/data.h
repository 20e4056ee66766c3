/*
 * The data of workload A, made from numbers: a table of `rows` records, and two versions of a feed
 * of `lines` lines. Any record can be made at any time, so nothing is kept in memory.
 * Leaves files to feed.c, databases to load_*.c and check.c.
 *
 * A feed has, in random order, 80 % unchanged records, 15 % with one changed field, 3 % new ones
 * and 2 % whose row has remote_id NULL, so that only the slug finds it. The second version changes
 * other records, brings other new ones, finds other rows by slug, and leaves out 5 %.
 *
 * The table is in one of three states: as loaded (0), after the first feed (1), after the second (2).
 */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct data {
	uint64_t rows, lines, seed;
};

struct record {
	uint64_t id; /* the row's; 0: the database chooses it */
	char remote_id[32], slug[64], name[96], description[192], parent_slug[64];
	bool has_remote_id, has_parent; /* false: NULL */
	int position;
};

enum { DATA_COLUMNS = 6 }; /* remote_id to position: the feed's */
#define DATA_HEADER "remote_id,slug,name,description,parent_slug,position"

/* Lines are taken by hundreds, at least 100; rows are at least as many as lines. */
bool data_init(struct data *data, uint64_t rows, uint64_t lines);

/* Line `line` (from 0) of the feed's version 1 or 2. */
void data_feed(const struct data *data, int version, uint64_t line, struct record *out);

/* The table's records in a state: how many, and each. */
uint64_t data_count(const struct data *data, int state);
void data_row(const struct data *data, int state, uint64_t index, struct record *out);

/* What a table of that state must have in its history: records changed, created; and bases of the feed. */
uint64_t data_updates(const struct data *data, int state);
uint64_t data_creations(const struct data *data, int state);
uint64_t data_bases(const struct data *data, int state);

/* One record as a line of CSV, NULL as nothing between the commas; returns its length. */
size_t data_csv(const struct record *record, bool with_id, char *out, size_t room);

/* A digest of a record: the sum of them is a table's, whatever the order. NULL texts are NULL; id 0 is left out. */
uint64_t data_digest(uint64_t id, const char *const texts[DATA_COLUMNS]);
uint64_t data_record_digest(const struct record *record);
/* Likewise of one changed field in a history; of a creation id 0 and before NULL, and fields that stay NULL are none. */
uint64_t data_change_digest(uint64_t id, int column, const char *before, const char *after);

/* The sums for a state: of the table's records, and of all changes up to it. */
uint64_t data_state_digest(const struct data *data, int state);
uint64_t data_history_digest(const struct data *data, int state);
/* Of the lines of a feed, as records that the database has numbered. */
uint64_t data_feed_digest(const struct data *data, int version);

/* splitmix64's mixing: any number to a random one. */
uint64_t data_mix(uint64_t z);

#endif

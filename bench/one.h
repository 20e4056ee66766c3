/*
 * Workload C: one record, by hand. Each call is one operation on the record of a slug in workload
 * A's table; one.c calls them in turn with amend's.
 */
#ifndef BENCH_ONE_H
#define BENCH_ONE_H

#include <stdint.h>

struct hand {
	void *(*open)(const char *db);
	/* Where client and server are two processes: keeps them, and all of the server's for this database, on one processor. */
	void (*hold)(void *hand);
	/* Reads the record's columns. */
	void (*read)(void *hand, const char *slug);
	/* Sets `position`: alone, and with before and after in history, in one transaction. */
	void (*update)(void *hand, const char *slug, int position);
	void (*recorded)(void *hand, const char *slug, int position);
	/* How many changes of `position` the histories hold: the hand's own, and amend's. */
	void (*count)(void *hand, uint64_t *own, uint64_t *amend);
	void (*close)(void *hand);
};

extern const struct hand postgres_hand, mariadb_hand, sqlite_hand;

#endif

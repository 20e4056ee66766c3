/*
 * Workload B: many clients add 1 to few counters. An adder is one way of doing it, with a
 * connection of its own; hot.c runs many of them against each other.
 *
 * The table is counter(id, n); hand-written history goes to counter_history(id, record, at, who, before, after).
 */
#ifndef BENCH_HOT_H
#define BENCH_HOT_H

struct adder {
	const char *name;
	/* `setting` is a statement to begin the connection with, or "". */
	void *(*open)(const char *db, const char *setting);
	void (*add)(void *client, long id);
	void (*close)(void *client);
};

extern const struct adder amend_adder; /* every engine, with amend's history */
extern const struct adder postgres_bare, postgres_recorded;
extern const struct adder mariadb_bare, mariadb_recorded;
extern const struct adder sqlite_bare, sqlite_recorded;

void postgres_counters(const char *db, long rows);
void mariadb_counters(const char *db, long rows);
void sqlite_counters(const char *db, long rows);
/* The sum of all counters, and how many entries each history has. */
struct totals {
	long sum, own, amend;
};
struct totals postgres_totals(const char *db);
struct totals mariadb_totals(const char *db);
struct totals sqlite_totals(const char *db);

#endif

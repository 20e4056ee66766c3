/* libmariadb in one line a call: whatever fails ends the program with the server's words. */
#ifndef BENCH_MARIA_H
#define BENCH_MARIA_H

#include <mysql.h>
#include <stdbool.h>
#include <stdint.h>

/* By a URL as amend takes it, with a socket; strict, and READ COMMITTED. */
MYSQL *maria_open(const char *url);
/* One statement, its result thrown away; or, with its first value, said or as a number. */
void maria_run(MYSQL *db, const char *sql);
uint64_t maria_number(MYSQL *db, const char *sql);
void maria_say(MYSQL *db, const char *name, const char *sql);
/* The rows of what may be too much to hold at once: mysql_fetch_row until NULL, then maria_end. */
MYSQL_RES *maria_rows(MYSQL *db, const char *sql);
void maria_end(MYSQL *db, MYSQL_RES *rows);

/* What stands for a ?: a text, or where that is NULL a number. */
struct maria_value {
	const char *text;
	long long number;
};

MYSQL_STMT *maria_prepare(MYSQL *db, const char *sql);
/* With as many values as it has ?; rows are fetched and dropped. Returns how many rows there were. */
uint64_t maria_with(MYSQL_STMT *statement, const struct maria_value *values);

#endif

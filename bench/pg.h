/* libpq in one line a call: whatever fails ends the program with the server's words. */
#ifndef BENCH_PG_H
#define BENCH_PG_H

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

PGconn *pg_open(const char *uri);
/* A statement, or several without parameters. */
void pg_run(PGconn *db, const char *sql);
/* The number in its first row and column. */
uint64_t pg_number(PGconn *db, const char *sql);
/* COPY ... FROM STDIN: `begin` it, `put` text, `end` it. */
void pg_copy_begin(PGconn *db, const char *sql);
void pg_copy_put(PGconn *db, const char *text, size_t size);
void pg_copy_end(PGconn *db);
/* A whole file into COPY ... FROM STDIN. */
void pg_copy_file(PGconn *db, const char *sql, const char *path);
/* Throws away, or dies with, a result that must be of this status. */
void pg_done(PGconn *db, PGresult *result, ExecStatusType expected, const char *sql);

#endif

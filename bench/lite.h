/* SQLite in one line a call: whatever fails ends the program with its words. */
#ifndef BENCH_LITE_H
#define BENCH_LITE_H

#include <sqlite3.h>
#include <stdint.h>

sqlite3 *lite_open(const char *path);
void lite_run(sqlite3 *db, const char *sql);
uint64_t lite_number(sqlite3 *db, const char *sql);
sqlite3_stmt *lite_prepare(sqlite3 *db, const char *sql);
/* One step to the end of a statement that returns nothing, ready for the next. */
void lite_step(sqlite3_stmt *statement);

#endif

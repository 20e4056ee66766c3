/*
 * What the commands of `contender` share: words NAME=VALUE, numbers said as JSON, a stopwatch.
 *
 *	int run_copy(const struct words *words)
 *	{
 *		const char *db = word(words, "db");
 *		double begun = seconds();
 *		...
 *		say("seconds", seconds() - begun);
 *		return 0;
 *	}
 *
 * Anything unexpected ends the program with one line: a measurement that went wrong is none.
 */
#ifndef BENCH_CONTENDER_H
#define BENCH_CONTENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data.h"

struct words {
	char **argv;
	int argc;
};

/* The value of NAME=VALUE; the program ends where it lacks. */
const char *word(const struct words *words, const char *name);
const char *word_or(const struct words *words, const char *name, const char *otherwise);
long number(const struct words *words, const char *name);
long number_or(const struct words *words, const char *name, long otherwise);
/* rows= and lines= */
struct data data_of(const struct words *words);

/* Whose database this is; the program ends where it is built without. */
enum engine { ON_SQLITE, ON_POSTGRES, ON_MARIADB };
enum engine engine_of(const char *db);

/* Adds a number to the object that is printed at the end. */
void say(const char *name, double value);
void say_text(const char *name, const char *text);

double seconds(void); /* monotonic */

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A whole file, mapped. */
const char *map_file(const char *path, size_t *size);

/* The commands, one file each. */
int run_feed(const struct words *words);
int run_load(const struct words *words);
int run_expect(const struct words *words);
int run_check(const struct words *words);
int run_staging(const struct words *words);
int run_copy(const struct words *words);
int run_parse(const struct words *words);
int run_read(const struct words *words);
int run_sync(const struct words *words);
int run_spawn(const struct words *words);
int run_counters(const struct words *words);
int run_hot(const struct words *words);
int run_one(const struct words *words);
int run_sql(const struct words *words);
int run_sqlite_version(const struct words *words);

#endif

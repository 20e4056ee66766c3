/*
 * `contender COMMAND NAME=VALUE...`: one thing done once and measured, told as a line of JSON.
 * Leaves the choice of what is measured, how often, and against what to bench.py.
 */
#include "contender.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name;
	int (*run)(const struct words *words);
	const char *what;
} commands[] = {
	{"feed", run_feed, "rows= lines= version= file=: writes a feed"},
	{"load", run_load, "db= rows= lines= [empty=1]: the table, as it is before the first feed"},
	{"expect", run_expect,
	 "rows= lines= state= or copy=VERSION: digests that the table must have"},
	{"check", run_check,
	 "db= rows= lines= and state= history=amend|own|none or copy=, table= changes="},
	{"staging", run_staging,
	 "db= feed= history=0|1: hand-written staging table and set-based SQL"},
	{"copy", run_copy, "db= feed=: the feed into an empty table with the same indexes"},
	{"parse", run_parse, "feed=: reads the feed in place and drops it"},
	{"read", run_read, "db=: reads the columns of the whole table"},
	{"sync", run_sync, "db= feed=: amend_sync in this process"},
	{"spawn", run_spawn, "tmp= -- COMMAND...: starts it, watches memory and files under tmp"},
	{"counters", run_counters, "db= rows=: the table of workload B"},
	{"hot", run_hot,
	 "db= rows= clients= ms= who=amend|bare|recorded [other=]: adds, and nothing is lost"},
	{"one", run_one, "db= rows= lines= calls=: one record at a time, ours and by hand in turn"},
	{"sql", run_sql, "db= sql=: a statement of the server's administrator; its first value"},
	{"sqlite_version", run_sqlite_version, "of the library that both contenders use"},
};

/* What is said, until the end. */
static char said[4096];
static size_t said_size;

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("contender: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

const char *word_or(const struct words *words, const char *name, const char *otherwise)
{
	size_t size = strlen(name);

	for (int i = 0; i < words->argc && strcmp(words->argv[i], "--") != 0; i++) {
		if (strncmp(words->argv[i], name, size) == 0 && words->argv[i][size] == '=')
			return words->argv[i] + size + 1;
	}
	return otherwise;
}

const char *word(const struct words *words, const char *name)
{
	const char *value = word_or(words, name, NULL);

	if (!value)
		die("expected %s=", name);
	return value;
}

long number_or(const struct words *words, const char *name, long otherwise)
{
	const char *text = word_or(words, name, NULL);

	return text ? strtol(text, NULL, 10) : otherwise;
}

long number(const struct words *words, const char *name)
{
	return strtol(word(words, name), NULL, 10);
}

struct data data_of(const struct words *words)
{
	struct data data;

	if (!data_init(&data, (uint64_t)number(words, "rows"), (uint64_t)number(words, "lines")))
		die("expected lines by hundreds and rows >= lines, found rows=%s lines=%s",
		    word(words, "rows"), word(words, "lines"));
	return data;
}

enum engine engine_of(const char *db)
{
	if (strncmp(db, "postgresql:", 11) == 0)
		return ON_POSTGRES;
	if (strncmp(db, "mariadb:", 8) != 0)
		return ON_SQLITE;
#ifndef AMEND_WITH_MARIADB
	die("built without MariaDB");
#endif
	return ON_MARIADB;
}

void say(const char *name, double value)
{
	int size = snprintf(said + said_size, sizeof(said) - said_size, "%s\"%s\": %.9g",
			    said_size ? ", " : "", name, value);

	said_size += (size_t)size;
	if (said_size >= sizeof(said))
		die("too much to say");
}

void say_text(const char *name, const char *text)
{
	if (strpbrk(text, "\"\\\n"))
		die("%s: %s", name, text);
	said_size += (size_t)snprintf(said + said_size, sizeof(said) - said_size,
				      "%s\"%s\": \"%s\"", said_size ? ", " : "", name, text);
	if (said_size >= sizeof(said))
		die("too much to say");
}

double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

const char *map_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat file;
	void *text;

	if (fd < 0 || fstat(fd, &file) != 0)
		die("%s cannot be opened", path);
	*size = (size_t)file.st_size;
	text = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		die("%s cannot be mapped", path);
	close(fd);
	return text;
}

int main(int argc, char **argv)
{
	struct words words = {argv + 2, argc - 2};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		int status;

		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		status = commands[i].run(&words);
		printf("{%s}\n", said);
		return status;
	}
	fputs("usage: contender COMMAND NAME=VALUE...\n", stderr);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-8s %s\n", commands[i].name, commands[i].what);
	return 2;
}

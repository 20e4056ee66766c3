/*
 * Writes a feed as CSV, and reads one as fast as it can be read.
 * Leaves what stands in it to data.c.
 */
#include "feed.h"

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contender.h"

int run_feed(const struct words *words)
{
	struct data data = data_of(words);
	int version = (int)number(words, "version");
	FILE *file = fopen(word(words, "file"), "w");
	struct record record;
	char line[1024];

	if (!file)
		die("%s cannot be written", word(words, "file"));
	fputs(DATA_HEADER "\n", file);
	for (uint64_t i = 0; i < data.lines; i++) {
		data_feed(&data, version, i, &record);
		fwrite(line, 1, data_csv(&record, false, line, sizeof(line)), file);
	}
	say("bytes", (double)ftell(file));
	if (fclose(file) != 0)
		die("%s could not be written", word(words, "file"));
	return 0;
}

/*
 * In place, without copying: what a quoted field holds is used as it stands, since the feeds have
 * no doubled quotes in them.
 */
size_t feed_line(const char **at, const char *end, struct feed_field fields[DATA_COLUMNS])
{
	const char *p = *at;
	size_t n = 0;

	if (p >= end)
		return 0;
	for (;;) {
		const char *from = p;

		if (p < end && *p == '"') {
			from = ++p;
			p = memchr(p, '"', (size_t)(end - p));
			if (!p)
				die("a quote is not closed");
			fields[n] = (struct feed_field){from, (size_t)(p++ - from), false};
		} else {
			while (p < end && *p != ',' && *p != '\n')
				p++;
			fields[n] = (struct feed_field){from, (size_t)(p - from), p == from};
		}
		n++;
		if (p >= end || *p == '\n' || n == DATA_COLUMNS)
			break;
		p++;
	}
	*at = p < end ? p + 1 : p;
	return n;
}

static volatile size_t seen; /* so that no reading is optimised away */

static void on_field(void *text, size_t size, void *context)
{
	(void)text, (void)context;
	seen += size;
}

static void on_line(int end, void *context)
{
	(void)end, (void)context;
}

/* Buffers as any program would: 64 KiB at a time. */
static void parse_libcsv(const char *path)
{
	static char room[65536];
	FILE *file = fopen(path, "r");
	struct csv_parser parser;
	size_t n;

	if (!file || csv_init(&parser, CSV_STRICT | CSV_APPEND_NULL | CSV_EMPTY_IS_NULL) != 0)
		die("%s cannot be read", path);
	while ((n = fread(room, 1, sizeof(room), file)) > 0) {
		if (csv_parse(&parser, room, n, on_field, on_line, NULL) != n)
			die("%s: %s", path, csv_strerror(csv_error(&parser)));
	}
	csv_fini(&parser, on_field, on_line, NULL);
	csv_free(&parser);
	fclose(file);
}

static void parse_in_place(const char *path)
{
	struct feed_field fields[DATA_COLUMNS];
	size_t size, n;
	const char *at = map_file(path, &size), *end = at + size;

	while ((n = feed_line(&at, end, fields)) > 0) {
		for (size_t i = 0; i < n; i++)
			seen += fields[i].size;
	}
}

int run_parse(const struct words *words)
{
	double begun = seconds();

	if (strcmp(word(words, "with"), "libcsv") == 0)
		parse_libcsv(word(words, "feed"));
	else
		parse_in_place(word(words, "feed"));
	say("seconds", seconds() - begun);
	return 0;
}

/*
 * Writes a feed as CSV, and reads one as fast as it can be read.
 * Leaves what stands in it to data.c.
 */
#include "feed.h"

#include <stdio.h>
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

int run_parse(const struct words *words)
{
	double begun = seconds();
	struct feed_field fields[DATA_COLUMNS];
	size_t size, n;
	const char *at = map_file(word(words, "feed"), &size), *end = at + size;

	while ((n = feed_line(&at, end, fields)) > 0) {
		for (size_t i = 0; i < n; i++)
			seen += fields[i].size;
	}
	say("seconds", seconds() - begun);
	return 0;
}

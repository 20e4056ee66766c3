/* Reading a feed in place: the fields of a line point into the mapped file. */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include <stdbool.h>
#include <stddef.h>

#include "data.h"

struct feed_field {
	const char *text;
	size_t size;
	bool null; /* nothing between the commas */
};

/* The next line's fields; moves `at` behind it. 0: there is none. */
size_t feed_line(const char **at, const char *end, struct feed_field fields[DATA_COLUMNS]);

#endif

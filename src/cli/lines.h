/* Texts line by line: what two have in common, and how three come together. For conflicts. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "pool.h"

struct cli_line {
	const char *text;
	size_t size; /* with its newline; the last one may have none */
};

struct cli_lines {
	struct cli_line *at;
	size_t n;
};

struct cli_lines cli_lines_of(struct cli_pool *pool, const char *text, size_t size);

enum { CLI_NO_LINE = -1 };
/* For each line of `a` the one of `b` that is the same, rising, or CLI_NO_LINE. Few are left out: what both have stays together. */
int64_t *cli_lines_match(struct cli_pool *pool, const struct cli_lines *a,
			 const struct cli_lines *b);

struct cli_three {
	struct cli_lines base, current, incoming;
	int mark; /* how many characters a mark begins with */
};

/*
 * Writes what the three come to: what one side changed as it has it, what both changed differently with git's
 * marks around all three. Returns how many such places there are. Every line is ended.
 */
size_t cli_lines_merge(struct cli_pool *pool, const struct cli_three *three, FILE *out);

/* "<<<<<<< current": one of the marks, of that length? `line` without its newline. */
bool cli_lines_is_mark(const char *line, size_t size, int mark);
/* A length that no line of the text begins like; `least` or more. */
int cli_lines_mark(const struct cli_lines *lines, int least);

/* What differs, as "- old" and "+ new" lines with some around them, each behind `indent`. */
void cli_lines_print(struct cli_pool *pool, FILE *out, const char *indent,
		     const struct cli_lines *from, const struct cli_lines *to);

#endif

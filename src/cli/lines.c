/*
 * Lines in common (the greedy way of Myers: the fewest that differ), three texts brought together.
 * Leaves what is done with clashing lines to conflict_file.c, and merging by itself to the library.
 */
#include "lines.h"

#include <stdlib.h>
#include <string.h>

#include "plain.h"
#include "print.h"

struct cli_lines cli_lines_of(struct cli_pool *pool, const char *text, size_t size)
{
	struct cli_lines lines = {NULL, 0};
	const char *end = text + size, *at = text;
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	lines.at = cli_alloc(pool, n + 1, sizeof(*lines.at));
	while (size > 0 && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *next = newline ? newline + 1 : end;

		lines.at[lines.n++] = (struct cli_line){at, (size_t)(next - at)};
		at = next;
	}
	return lines;
}

static bool same_line(const struct cli_line *a, const struct cli_line *b)
{
	return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

/* --- two --- */

enum { MOST_EDITS = 1500 }; /* beyond that what lies between is taken for all different */

/* The middle of two texts: what they begin and end alike with is left out. */
struct middle {
	const struct cli_line *a, *b;
	int n, m;
	int64_t first_a, first_b;
};

/* From the end back along what each round had reached. */
static void walk_back(const struct middle *middle, int **rounds, int edits, int64_t *match)
{
	int x = middle->n, y = middle->m;

	for (int d = edits; d >= 0; d--) {
		/* rounds[d]: how far round d - 1 had come, by diagonal */
		int k = x - y, from_x = 0, from_y = 0;

		if (d > 0) {
			const int *v = rounds[d] + d;
			int from = k == -d || (k != d && v[k - 1] < v[k + 1]) ? k + 1 : k - 1;

			from_x = v[from];
			from_y = from_x - from;
		}
		while (x > from_x && y > from_y) {
			x--;
			y--;
			match[middle->first_a + x] = middle->first_b + y;
		}
		x = from_x;
		y = from_y;
	}
}

/* Round by round the farthest that so many edits reach; -1: too many. */
static int search(struct cli_pool *pool, const struct middle *middle, int **rounds)
{
	int most = middle->n + middle->m < MOST_EDITS ? middle->n + middle->m : MOST_EDITS;
	int *v = cli_alloc(pool, 2 * (size_t)most + 3, sizeof(*v));
	int *centre = v + most + 1;

	for (int d = 0; d <= most; d++) {
		rounds[d] = cli_alloc(pool, 2 * (size_t)d + 1, sizeof(int));
		memcpy(rounds[d], centre - d, (2 * (size_t)d + 1) * sizeof(int));
		for (int k = -d; k <= d; k += 2) {
			int x = k == -d || (k != d && centre[k - 1] < centre[k + 1])
					? centre[k + 1]
					: centre[k - 1] + 1;

			if (d == 0)
				x = 0;
			while (x < middle->n && x - k < middle->m &&
			       same_line(&middle->a[x], &middle->b[x - k]))
				x++;
			centre[k] = x;
			if (x >= middle->n && x - k >= middle->m)
				return d;
		}
	}
	return -1;
}

int64_t *cli_lines_match(struct cli_pool *pool, const struct cli_lines *a, const struct cli_lines *b)
{
	int64_t *match = cli_alloc(pool, a->n + 1, sizeof(*match));
	size_t first = 0, last = 0, least = a->n < b->n ? a->n : b->n;
	struct middle middle;
	int **rounds, edits;

	for (size_t i = 0; i < a->n; i++)
		match[i] = CLI_NO_LINE;
	while (first < least && same_line(&a->at[first], &b->at[first])) {
		match[first] = (int64_t)first;
		first++;
	}
	while (last < least - first && same_line(&a->at[a->n - 1 - last], &b->at[b->n - 1 - last])) {
		match[a->n - 1 - last] = (int64_t)(b->n - 1 - last);
		last++;
	}
	middle = (struct middle){.a = a->at + first,
				 .b = b->at + first,
				 .n = (int)(a->n - first - last),
				 .m = (int)(b->n - first - last),
				 .first_a = (int64_t)first,
				 .first_b = (int64_t)first};
	if (middle.n == 0 || middle.m == 0)
		return match;
	rounds = cli_alloc(pool, MOST_EDITS + 1, sizeof(int *));
	edits = search(pool, &middle, rounds);
	if (edits >= 0)
		walk_back(&middle, rounds, edits, match);
	return match;
}

/* --- shown --- */

static void print_line(struct cli_pool *pool, FILE *out, const char *indent, const char *sign,
		       enum cli_ink ink, const struct cli_line *line)
{
	bool ended = line->size > 0 && line->text[line->size - 1] == '\n';
	char *text = cli_copy(pool, line->text, line->size - ended);

	fputs(indent, out);
	cli_ink(out, ink, cli_format(pool, "%s%s", sign, cli_plain(pool, text)));
	fputc('\n', out);
	if (!ended)
		fprintf(out, "%s  (and no newline)\n", indent);
}

void cli_lines_print(struct cli_pool *pool, FILE *out, const char *indent,
		     const struct cli_lines *from, const struct cli_lines *to)
{
	const size_t around = 2;
	int64_t *match = cli_lines_match(pool, from, to);
	bool *near = cli_alloc(pool, from->n + 2 * around + 2, sizeof(*near));
	bool skipped = false;
	size_t b = 0;

	/* near[i + around]: line i is close to a change. */
	for (size_t i = 0; i <= from->n; i++) {
		size_t next = i < from->n && match[i] >= 0 ? (size_t)match[i]
			      : i < from->n                ? b
							   : to->n;

		if ((i < from->n && match[i] < 0) || next > b)
			memset(near + i, true,
			       (i < from->n && match[i] < 0) ? 2 * around + 1 : 2 * around);
		if (i < from->n && match[i] >= 0)
			b = next + 1;
	}
	b = 0;
	for (size_t i = 0; i <= from->n; i++) {
		size_t next = i == from->n ? to->n : match[i] < 0 ? b : (size_t)match[i];

		if (i < from->n && match[i] < 0) {
			print_line(pool, out, indent, "- ", CLI_BAD, &from->at[i]);
			continue;
		}
		for (; b < next; b++)
			print_line(pool, out, indent, "+ ", CLI_GOOD, &to->at[b]);
		if (i == from->n)
			break;
		if (near[i + around])
			print_line(pool, out, indent, "  ", CLI_PLAIN, &from->at[i]);
		else if (!skipped)
			fprintf(out, "%s  ...\n", indent);
		skipped = !near[i + around];
		b = next + 1;
	}
}

/* --- marks --- */

static bool begins(const char *line, size_t size, char c, int mark)
{
	size_t n = 0;

	while (n < size && line[n] == c)
		n++;
	return n == (size_t)mark;
}

bool cli_lines_is_mark(const char *line, size_t size, int mark)
{
	size_t length = (size_t)mark;

	if (size > 0 && line[size - 1] == '\r')
		size--;
	if (begins(line, size, '=', mark))
		return size == length;
	return (begins(line, size, '<', mark) || begins(line, size, '|', mark) ||
		begins(line, size, '>', mark)) &&
	       (size == length || line[length] == ' ');
}

int cli_lines_mark(const struct cli_lines *lines, int least)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *text = lines->at[i].text;
		int n = 0;

		while ((size_t)n < lines->at[i].size && strchr("<|=>", text[n]) &&
		       text[n] == text[0])
			n++;
		if (n >= least)
			least = n + 1;
	}
	return least;
}

/* --- three --- */

static void put(FILE *out, const struct cli_lines *lines, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		fwrite(lines->at[i].text, 1, lines->at[i].size, out);
		if (lines->at[i].text[lines->at[i].size - 1] != '\n')
			fputc('\n', out);
	}
}

static void put_mark(FILE *out, char c, int mark, const char *name)
{
	for (int i = 0; i < mark; i++)
		fputc(c, out);
	fprintf(out, "%s%s\n", *name ? " " : "", name);
}

struct span {
	size_t from, to;
};

static bool same_span(const struct cli_lines *a, struct span x, const struct cli_lines *b,
		      struct span y)
{
	if (x.to - x.from != y.to - y.from)
		return false;
	for (size_t i = 0; i < x.to - x.from; i++) {
		if (!same_line(&a->at[x.from + i], &b->at[y.from + i]))
			return false;
	}
	return true;
}

/* One place where a side differs; true: both do. */
static bool put_place(const struct cli_three *three, struct span b, struct span c, struct span i,
		      FILE *out)
{
	if (same_span(&three->base, b, &three->current, c) ||
	    same_span(&three->current, c, &three->incoming, i)) {
		put(out, &three->incoming, i.from, i.to);
		return false;
	}
	if (same_span(&three->base, b, &three->incoming, i)) {
		put(out, &three->current, c.from, c.to);
		return false;
	}
	put_mark(out, '<', three->mark, "current");
	put(out, &three->current, c.from, c.to);
	put_mark(out, '|', three->mark, "base");
	put(out, &three->base, b.from, b.to);
	put_mark(out, '=', three->mark, "");
	put(out, &three->incoming, i.from, i.to);
	put_mark(out, '>', three->mark, "incoming");
	return true;
}

size_t cli_lines_merge(struct cli_pool *pool, const struct cli_three *three, FILE *out)
{
	int64_t *current = cli_lines_match(pool, &three->base, &three->current);
	int64_t *incoming = cli_lines_match(pool, &three->base, &three->incoming);
	struct span b = {0, 0}, c = {0, 0}, i = {0, 0};
	size_t clashes = 0;

	for (size_t k = 0; k <= three->base.n; k++) {
		bool last = k == three->base.n;

		if (!last && (current[k] < 0 || incoming[k] < 0))
			continue;
		b.to = k;
		c.to = last ? three->current.n : (size_t)current[k];
		i.to = last ? three->incoming.n : (size_t)incoming[k];
		clashes += put_place(three, b, c, i, out);
		if (last)
			break;
		put(out, &three->base, k, k + 1);
		b.from = k + 1;
		c.from = c.to + 1;
		i.from = i.to + 1;
	}
	return clashes;
}

/*
 * Writes a conflict as a file to be edited.
 * Leaves reading it back to conflict_read.c, the editor to conflict_edit.c.
 */
#include "conflict_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conflict_show.h"
#include "lines.h"
#include "plain.h"
#include "print.h"

char *cli_conflict_column(struct cli_pool *pool, const char *column)
{
	char *text = cli_alloc(pool, strlen(column) * 2 + 1, 1), *to = text;

	for (; *column; column++) {
		if (strchr("=:+-\\<", *column))
			*to++ = '\\';
		*to++ = *column;
	}
	return text;
}

/* FNV-1a: it tells what a person has seen from what is there now, and nobody gains by forging it. */
uint64_t cli_conflict_hash(const struct amend_value *value)
{
	uint64_t hash = 0xcbf29ce484222325U;
	const unsigned char *bytes = (const unsigned char *)&value->as;
	size_t size = sizeof(value->as.integer);

	if (value->kind == AMEND_NULL)
		size = 0;
	if (value->kind == AMEND_TEXT || value->kind == AMEND_BLOB) {
		bytes = value->as.blob;
		size = value->size;
	}
	hash = (hash ^ (uint64_t)value->kind) * 0x100000001b3U;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3U;
	return hash;
}

uint64_t cli_conflict_now(const struct amend_conflict *conflict, size_t i)
{
	return conflict->there ? cli_conflict_hash(&conflict->fields[i].current) : 0;
}

/* One the library sums up anew, on what is there by then. */
static bool is_sum(const struct amend_conflict_more *more)
{
	return more->chosen && more->adds && more->take == AMEND_TAKE_INCOMING;
}

bool cli_conflict_stands(const struct amend_conflict *conflict, size_t i)
{
	const struct amend_conflict_field *field = &conflict->fields[i];
	const struct amend_conflict_more *more = &conflict->more[i];

	if (!more->chosen || !conflict->there)
		return more->chosen;
	return more->take == AMEND_TAKE_CURRENT || is_sum(more) ||
	       amend_value_equal(&more->seen, &field->current) ||
	       amend_value_equal(&more->value, &field->current);
}

const struct amend_value *cli_conflict_decided(const struct amend_conflict *conflict, size_t i)
{
	return conflict->there && conflict->more[i].take == AMEND_TAKE_CURRENT
		       ? &conflict->fields[i].current
		       : &conflict->more[i].value;
}

uint64_t cli_conflict_decision(const struct amend_conflict *conflict, size_t i)
{
	const struct amend_conflict_more *more = &conflict->more[i];

	if (!cli_conflict_stands(conflict, i))
		return 0;
	/* Never 0. */
	return (cli_conflict_hash(&more->value) * 0x100000001b3U ^ (uint64_t)more->take) | 1;
}

/* --- a value --- */

/* It does not survive on a line of its own, or in an editor's hands. */
static bool needs_block(const struct amend_value *value)
{
	const char *text = value->as.text, *end;
	uint32_t point;

	if (value->kind != AMEND_TEXT || value->size == 0)
		return false;
	end = text + value->size;
	if (*text == ' ' || end[-1] == ' ')
		return true;
	while (text < end) {
		size_t bytes = cli_utf8(text, end, &point);

		if (bytes == 0 || !cli_is_harmless(point))
			return true;
		text += bytes;
	}
	return false;
}

/* Where each text ends with one newline more, a line is a line, whether the last has one or not. */
static struct cli_lines lines_of(struct cli_pool *pool, const struct amend_value *value)
{
	char *text;

	if (value->kind != AMEND_TEXT)
		return cli_lines_of(pool, "", 0);
	text = cli_alloc(pool, value->size + 2, 1);
	memcpy(text, value->as.text, value->size);
	text[value->size] = '\n';
	return cli_lines_of(pool, text, value->size + 1);
}

/* Also with CRLF: who reads the file takes either for the end of a line. */
static bool has_line(const struct cli_lines *lines, const char *word)
{
	size_t size = strlen(word);

	for (size_t i = 0; i < lines->n; i++) {
		const struct cli_line *line = &lines->at[i];

		if ((line->size == size + 1 ||
		     (line->size == size + 2 && line->text[size] == '\r')) &&
		    memcmp(line->text, word, size) == 0)
			return true;
	}
	return false;
}

/* A word that is no line of any of them. */
static const char *end_word(struct cli_pool *pool, const struct cli_lines *const *all, size_t n)
{
	const char *word = "END";

	for (int number = 1;; number++) {
		bool taken = false;

		for (size_t i = 0; i < n; i++)
			taken = taken || has_line(all[i], word);
		if (!taken)
			return word;
		word = cli_format(pool, "END%d", number);
	}
}

const char *cli_conflict_line(struct cli_pool *pool, const char *column,
			      const struct amend_value *value)
{
	struct json_object *json;
	const char *line;

	if (needs_block(value))
		return NULL;
	if (value->kind == AMEND_TEXT)
		return cli_format(pool, "%s=%.*s", column, (int)value->size, value->as.text);
	json = cli_json_value(value, NULL, NULL);
	line = cli_format(
		pool, "%s:=%s", column,
		json ? json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
								    JSON_C_TO_STRING_NOSLASHESCAPE)
		     : "null");
	json_object_put(json);
	return line;
}

static void write_value(struct cli_pool *pool, FILE *out, const char *column,
			const struct amend_value *value)
{
	struct cli_lines lines;
	const struct cli_lines *const all[] = {&lines};
	const char *line = cli_conflict_line(pool, column, value), *word;

	if (line) {
		fprintf(out, "%s\n", line);
		return;
	}
	lines = lines_of(pool, value);
	word = end_word(pool, all, 1);
	fprintf(out, "%s<<%s\n", column, word);
	for (size_t i = 0; i < lines.n; i++)
		fwrite(lines.at[i].text, 1, lines.at[i].size, out);
	fprintf(out, "%s\n", word);
}

/* --- a field --- */

/* Both sides are texts: what only one of them changed is as it has it. */
static void write_merged(struct cli_pool *pool, FILE *out, const char *column,
			 const struct amend_conflict_field *field, int mark)
{
	const struct amend_value none = amend_null();
	struct cli_three three = {.base = lines_of(pool, field->has_base ? &field->base : &none),
				  .current = lines_of(pool, &field->current),
				  .incoming = lines_of(pool, &field->incoming),
				  .mark = mark};
	const struct cli_lines *const all[] = {&three.base, &three.current, &three.incoming};
	const char *word = end_word(pool, all, 3);
	char *text = NULL;
	size_t size = 0;
	FILE *merged = open_memstream(&text, &size);

	if (!merged)
		abort();
	if (cli_lines_merge(pool, &three, merged) == 0)
		fprintf(out,
			"%.*s merged by line, nothing clashes: remove this line if it is right\n",
			mark, ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>");
	fclose(merged);
	fprintf(out, "%s<<%s\n%s%s\n", column, word, text, word);
	free(text);
}

static void write_marked(struct cli_pool *pool, FILE *out, const char *column,
			 const struct amend_conflict_field *field)
{
	fprintf(out, "<<<<<<< current\n");
	write_value(pool, out, column, &field->current);
	if (field->has_base) {
		fprintf(out, "||||||| base\n");
		write_value(pool, out, column, &field->base);
	}
	fprintf(out, "=======\n");
	write_value(pool, out, column, &field->incoming);
	fprintf(out, ">>>>>>> incoming\n");
}

/* How long its marks are: longer than what any of its lines begins with. */
static int mark_of(struct cli_pool *pool, const struct amend_conflict_field *field,
		   const struct amend_conflict_more *more)
{
	struct cli_lines current = lines_of(pool, &field->current);
	struct cli_lines incoming = lines_of(pool, &field->incoming);
	struct cli_lines base = lines_of(pool, &field->base);
	int mark = cli_lines_mark(&incoming, cli_lines_mark(&current, 7));

	if (more->chosen) {
		struct cli_lines value = lines_of(pool, &more->value);

		mark = cli_lines_mark(&value, mark);
	}
	return field->has_base ? cli_lines_mark(&base, mark) : mark;
}

/* The record's name is taken, or it is gone: what stands in the file is what is made of it. */
static bool whole(const struct amend_conflict *conflict)
{
	return !conflict->there || conflict->kind == AMEND_CONFLICT_MISSING;
}

/* Decided, and left as it is it stays that decision. */
static void write_decided(struct cli_pool *pool, FILE *out, const struct amend_conflict *conflict,
			  size_t i, const char *column)
{
	const struct amend_conflict_more *more = &conflict->more[i];
	const struct amend_value *current = &conflict->fields[i].current;

	fprintf(out, "#= decided %016" PRIx64 " %s\n", cli_conflict_decision(conflict, i), column);
	fprintf(out, "# decided by %s: %s\n", cli_show_text(pool, more->who),
		cli_take_name(more->take));
	if (conflict->there && is_sum(more) && !amend_value_equal(&more->seen, current))
		fprintf(out,
			"# it came to this then; current is %s now: left as it is, it is added to "
			"that\n",
			cli_show(pool, current, 80));
	write_value(pool, out, column, cli_conflict_decided(conflict, i));
}

static void write_field(struct cli_pool *pool, FILE *out, const struct amend_conflict *conflict,
			size_t i)
{
	const struct amend_conflict_field *field = &conflict->fields[i];
	const struct amend_conflict_more *more = &conflict->more[i];
	const char *column = cli_conflict_column(pool, field->column);
	int mark = mark_of(pool, field, more);
	/* Decided against what is there no more: to be seen with all its sides. */
	bool again = more->chosen && !cli_conflict_stands(conflict, i);

	fprintf(out, "\n#= field %016" PRIx64 " %016" PRIx64 " %d %s\n",
		cli_conflict_now(conflict, i), cli_conflict_hash(&field->incoming), mark, column);
	if (conflict->there && !amend_value_equal(&more->found, &field->current))
		fprintf(out, "# was %s when the conflict was found\n",
			cli_show(pool, &more->found, 80));
	if (cli_conflict_terms(pool, more))
		fprintf(out, "# %s\n", cli_conflict_terms(pool, more));
	if (again)
		fprintf(out, "# was decided by %s: %s, before current was changed\n",
			cli_show_text(pool, more->who), cli_show(pool, &more->value, 80));
	if (more->chosen && !again) {
		write_decided(pool, out, conflict, i, column);
	} else if (amend_value_equal(&field->current, &field->incoming)) {
		fprintf(out, "# both sides have it so by now\n");
		write_value(pool, out, column, &field->current);
	} else if (!whole(conflict) && !again && field->has_base &&
		   amend_value_equal(&field->base, &field->current)) {
		fprintf(out, "# only incoming has changed it\n");
		write_value(pool, out, column, &field->incoming);
	} else if (!whole(conflict) && !again && field->has_base &&
		   amend_value_equal(&field->base, &field->incoming)) {
		fprintf(out, "# only current has changed it\n");
		write_value(pool, out, column, &field->current);
	} else if (whole(conflict)) {
		write_value(pool, out, column, conflict->there ? &field->current : &field->incoming);
	} else if (field->current.kind == AMEND_TEXT && field->incoming.kind == AMEND_TEXT &&
		   (needs_block(&field->current) || needs_block(&field->incoming))) {
		write_merged(pool, out, column, field, mark);
	} else {
		write_marked(pool, out, column, field);
	}
}

/* --- the file --- */

static void write_head(struct cli_pool *pool, FILE *out, const struct amend_conflict *conflict)
{
	fprintf(out, "# conflict %lld: %s %s\n", (long long)conflict->id,
		cli_plain(pool, conflict->table), cli_show_text(pool, conflict->first_key));
	if (*conflict->note)
		fprintf(out, "# %s: %s\n", amend_conflict_kind_name(conflict->kind),
			cli_show_text(pool, conflict->note));
	fprintf(out, "# incoming is %s%s, by %s, %s%s%s\n",
		*conflict->source ? "of source " : "a save",
		*conflict->source ? cli_show_text(pool, conflict->source) : "",
		cli_show_text(pool, conflict->who), cli_show_time(pool, conflict->at),
		*conflict->why ? ": " : "",
		*conflict->why ? cli_show_text(pool, conflict->why) : "");
	if (conflict->there && conflict->kind == AMEND_CONFLICT_MISSING)
		fprintf(out,
			"# The row stays, with what stands here; --take incoming is for letting "
			"it go.\n");
	else if (!conflict->there)
		fprintf(out, "# There is no such record: it is made anew, with what stands here; "
			     "--take current leaves it away.\n");
	fprintf(out,
		"#\n"
		"# What remains of a field is what it becomes: take out the marks and all sides but\n"
		"# one, or write another value. COL=TEXT; COL:=null, or other JSON; or COL<<END,\n"
		"# lines of text, END. A field of which nothing remains is decided later. A file that\n"
		"# is left as it was, or empty, settles nothing.\n"
		"#\n"
		"#= conflict %lld %s\n",
		(long long)conflict->id, *conflict->mark ? conflict->mark : "-");
}

bool cli_conflict_write(const struct cli_args *args, FILE *out,
			const struct amend_conflict *conflict)
{
	for (size_t i = 0; i < conflict->n_fields; i++) {
		const char *column = conflict->fields[i].column;

		if (strchr("# \t", *column) || strpbrk(column, "\r\n")) {
			cli_usage(args,
				  "column %s cannot stand in a file (hint: --take, or COL=VALUE)",
				  cli_plain(args->pool, column));
			return false;
		}
	}
	write_head(args->pool, out, conflict);
	for (size_t i = 0; i < conflict->n_fields; i++)
		write_field(args->pool, out, conflict, i);
	return true;
}

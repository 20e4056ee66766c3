/*
 * A CREATE text in tokens: where the CHECKs, generated columns and indexed expressions are in it.
 * Leaves all that they mean to SQLite.
 */
#include "sql/driver/sqlite_ddl.h"

#include <string.h>
#include <strings.h>

enum kind { END, WORD, QUOTED, TEXT, OTHER };

struct token {
	enum kind kind;
	const char *at;
	size_t size;
};

static bool is_word(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$' || c >= 0x80;
}

static const char *skip_blank(const char *at)
{
	for (;;) {
		if (*at && strchr(" \t\n\v\f\r", *at)) {
			at++;
		} else if (at[0] == '-' && at[1] == '-') {
			at += strcspn(at, "\n");
		} else if (at[0] == '/' && at[1] == '*') {
			const char *end = strstr(at + 2, "*/");

			at = end ? end + 2 : at + strlen(at);
		} else {
			return at;
		}
	}
}

/* From one quote to the next that is not doubled; [ ends with ]. */
static size_t quoted_size(const char *at)
{
	char quote = *at == '[' ? ']' : *at;
	size_t size = 1;

	while (at[size] && (at[size] != quote || (quote != ']' && at[size + 1] == quote)))
		size += at[size] == quote ? 2 : 1;
	return size + (at[size] != '\0');
}

static struct token next(const char **text)
{
	const char *at = skip_blank(*text);
	struct token token = {.kind = OTHER, .at = at, .size = 1};

	if (*at == '\0') {
		token = (struct token){.kind = END, .at = at};
	} else if (strchr("\"`['", *at)) {
		token.kind = *at == '\'' ? TEXT : QUOTED;
		token.size = quoted_size(at);
	} else if (is_word((unsigned char)*at)) {
		token.kind = WORD;
		while (is_word((unsigned char)at[token.size]))
			token.size++;
	}
	*text = at + token.size;
	return token;
}

static struct token peek(const char *text)
{
	return next(&text);
}

static bool is(const struct token *token, const char *word)
{
	return token->kind == WORD && token->size == strlen(word) &&
	       strncasecmp(token->at, word, token->size) == 0;
}

static bool is_char(const struct token *token, char c)
{
	return token->kind == OTHER && *token->at == c;
}

/* Behind the parenthesis that opens at `text`, with what is between in `*inside`, comments around it left out. */
static const char *enclosed(struct amend_arena *arena, const char *text, const char **inside)
{
	struct token token = next(&text);
	const char *from = NULL, *to = NULL;
	size_t depth = 1;

	while (depth > 0) {
		token = next(&text);
		if (token.kind == END)
			break;
		depth += is_char(&token, '(');
		depth -= is_char(&token, ')');
		if (depth == 0)
			break;
		from = from ? from : token.at;
		to = token.at + token.size;
	}
	*inside = amend_arena_text_n(arena, from ? from : "", from ? (size_t)(to - from) : 0);
	return text;
}

/* A name as it is meant: without its quotes. */
static const char *name_of(struct amend_arena *arena, const struct token *token)
{
	char quote = *token->at, *copy;
	size_t size = 0;

	if (token->kind == WORD)
		return amend_arena_text_n(arena, token->at, token->size);
	copy = amend_arena_alloc(arena, token->size + 1);
	for (size_t i = 1; copy && i + 1 < token->size; i++) {
		copy[size++] = token->at[i];
		if (token->at[i] == quote)
			i++;
	}
	return copy;
}

/* ---- tables ---- */

struct reading {
	struct amend_arena *arena;
	struct amend_sqlite_ddl *out;
	size_t n_columns, column; /* definitions parted by commas: columns come first */
	const char *name;         /* of the constraint; SQLite keeps it until the next comma */
	bool not_null;            /* the last constraint was NOT NULL */
	bool failed;
};

static void on_conflict(struct reading *reading, const char **text)
{
	struct token word = peek(*text);

	if (!is(&word, "conflict"))
		return;
	next(text);
	word = next(text);
	if (!is(&word, "replace") && !is(&word, "ignore"))
		return;
	if (!reading->not_null)
		reading->out->replaces = true;
	else if (reading->column < reading->n_columns)
		reading->out->lenient[reading->column] = true;
}

static void add_check(struct reading *reading, const char **text)
{
	struct amend_sqlite_check *check = &reading->out->checks[reading->out->n_checks++];

	check->name = reading->name;
	*text = enclosed(reading->arena, *text, &check->expression);
	reading->failed = reading->failed || !check->expression;
}

static void add_generated(struct reading *reading, const char **text)
{
	const char **out = &reading->out->generated[reading->out->n_generated++];

	*text = enclosed(reading->arena, *text, out);
	reading->failed = reading->failed || !*out;
}

static void one_token(struct reading *reading, const struct token *token, const char **text)
{
	struct token after = peek(*text);

	if (is_char(token, ',')) {
		reading->column++;
		reading->name = NULL;
		reading->not_null = false;
	} else if (is(token, "constraint")) {
		after = next(text);
		reading->name = name_of(reading->arena, &after);
		reading->failed = reading->failed || !reading->name;
	} else if (is(token, "check") && is_char(&after, '(')) {
		add_check(reading, text);
	} else if (is(token, "as") && is_char(&after, '(')) {
		add_generated(reading, text);
	} else if (is(token, "not") && is(&after, "null")) {
		next(text);
		reading->not_null = true;
	} else if (is(token, "unique") || is(token, "primary")) {
		reading->not_null = false;
	} else if (is(token, "on")) {
		on_conflict(reading, text);
	} else if (is_char(token, '(')) {
		const char *ignored;

		*text = enclosed(reading->arena, token->at, &ignored);
	}
}

/* No more of them than the text has of the word. */
static size_t occurrences(const char *text, const char *word)
{
	size_t n = 0, size = strlen(word);

	for (; *text; text++)
		n += strncasecmp(text, word, size) == 0;
	return n;
}

bool amend_sqlite_ddl(const char *sql, size_t n_columns, struct amend_arena *arena,
		      struct amend_sqlite_ddl *out)
{
	struct reading reading = {.arena = arena, .out = out, .n_columns = n_columns};
	struct token token;

	*out = (struct amend_sqlite_ddl){
		.checks = amend_arena_array(arena, occurrences(sql, "check") + 1,
					    sizeof(*out->checks)),
		.generated = amend_arena_array(arena, occurrences(sql, "as") + 1,
					       sizeof(*out->generated)),
		.lenient = amend_arena_array(arena, n_columns + 1, sizeof(*out->lenient)),
	};
	if (!out->checks || !out->generated || !out->lenient)
		return false;
	do {
		token = next(&sql);
	} while (token.kind != END && !is_char(&token, '('));
	while (token.kind != END && !reading.failed) {
		token = next(&sql);
		if (is_char(&token, ')'))
			break;
		one_token(&reading, &token, &sql);
	}
	return !reading.failed;
}

/* ---- indexes ---- */

/* Without the ASC or DESC behind it, which could be a column's name where it stands alone. */
static const char *part(struct amend_arena *arena, const char *from, size_t size)
{
	const char *copy = amend_arena_text_n(arena, from, size), *at = copy;
	struct token token, last = {.kind = END};
	size_t n = 0;

	while (at && (token = next(&at)).kind != END) {
		last = token;
		n++;
	}
	if (copy && n > 1 && (is(&last, "asc") || is(&last, "desc")))
		return amend_arena_text_n(arena, copy, (size_t)(last.at - copy));
	return copy;
}

bool amend_sqlite_index(const char *sql, struct amend_arena *arena, struct amend_sqlite_index *out)
{
	struct token token;
	const char *from, *to = NULL;
	size_t depth = 0;

	*out = (struct amend_sqlite_index){
		.parts = amend_arena_array(arena, occurrences(sql, ",") + 1, sizeof(*out->parts))};
	if (!out->parts)
		return false;
	do {
		token = next(&sql);
	} while (token.kind != END && !is_char(&token, '('));
	for (from = sql; token.kind != END;) {
		token = next(&sql);
		if (depth == 0 && (is_char(&token, ',') || is_char(&token, ')'))) {
			out->parts[out->n_parts] = part(arena, from, (size_t)(token.at - from));
			if (!out->parts[out->n_parts++])
				return false;
			from = sql;
			if (is_char(&token, ')'))
				break;
		}
		depth += is_char(&token, '(');
		depth -= is_char(&token, ')');
	}
	token = next(&sql);
	if (!is(&token, "where"))
		return true;
	for (from = sql; (token = next(&sql)).kind != END;)
		to = token.at + token.size;
	out->where = to ? amend_arena_text_n(arena, from, (size_t)(to - from)) : NULL;
	return !to || out->where;
}

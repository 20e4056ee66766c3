/*
 * What a statement's words say that it leaves in its session: settings, a role, temporary tables, locks.
 * Leaves settings that are pinned, and what the server says of them, to postgres_pins.c.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "sql/driver/postgres.h"

/* Without its quotes, where it has any. */
struct token {
	char kind; /* WORD, NAME, TEXT; 0: the end; else the sign that it is */
	const char *text;
	size_t size; /* of a word or a name */
};

enum { WORD = 'a', NAME = '"', TEXT = '\'' };

static bool is_letter(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Comments nest. */
static const char *behind_comment(const char *at)
{
	int depth = 0;

	do {
		bool opens = strncmp(at, "/*", 2) == 0, closes = strncmp(at, "*/", 2) == 0;

		depth += opens - closes;
		at += opens || closes ? 2 : 1;
	} while (depth > 0 && *at);
	return at;
}

static const char *behind_blanks(const char *at)
{
	for (;;) {
		at += strspn(at, " \t\r\n\f\v");
		if (strncmp(at, "--", 2) == 0)
			at += strcspn(at, "\r\n");
		else if (strncmp(at, "/*", 2) == 0)
			at = behind_comment(at);
		else
			return at;
	}
}

/* Whether a backslash escapes is said by an E before it: standard_conforming_strings is pinned. */
static const char *behind_text(const char *at, bool escapes)
{
	for (at++; *at && (*at != '\'' || at[1] == '\''); at++) {
		if (*at == '\'' || (escapes && *at == '\\' && at[1]))
			at++;
	}
	return *at ? at + 1 : at;
}

/* $tag$..$tag$; NULL: none begins here. */
static const char *behind_dollars(const char *at)
{
	const char *end;
	size_t size = 1;

	while (is_letter(at[size]))
		size++;
	if (at[size] != '$' || isdigit((unsigned char)at[1]))
		return NULL;
	size++;
	for (end = at + size; (end = strchr(end, '$')); end++) {
		if (strncmp(end, at, size) == 0)
			return end + size;
	}
	return at + strlen(at);
}

static struct token next(const char **from)
{
	struct token token = {.text = behind_blanks(*from)};
	const char *end = token.text + (*token.text ? 1 : 0);

	token.kind = *token.text;
	if (token.kind == '\'') {
		end = behind_text(token.text, false);
	} else if (token.kind == '"') {
		token.size = strcspn(++token.text, "\"");
		end = token.text + token.size + (token.text[token.size] ? 1 : 0);
	} else if (token.kind == '$') {
		const char *dollars = behind_dollars(token.text);

		token.kind = dollars ? TEXT : '$';
		end = dollars ? dollars : end;
	} else if (is_letter(token.kind) && !isdigit((unsigned char)token.kind)) {
		while (is_letter(*end) || *end == '$')
			end++;
		token.size = (size_t)(end - token.text);
		token.kind = token.size == 1 && (*token.text & ~0x20) == 'E' && *end == '\'' ? TEXT
											     : WORD;
		if (token.kind == TEXT)
			end = behind_text(end, true);
	}
	*from = end;
	return token;
}

static bool equals(struct token token, const char *const *words)
{
	for (; *words; words++) {
		if (token.size == strlen(*words) && strncasecmp(token.text, *words, token.size) == 0)
			return true;
	}
	return false;
}

static bool is(struct token token, const char *const *words)
{
	return token.kind == WORD && equals(token, words);
}

static bool is_one(struct token token, const char *word)
{
	return is(token, (const char *const[]){word, NULL});
}

/* As a name, which may have quotes. */
static bool names(struct token token, const char *const *words)
{
	return (token.kind == WORD || token.kind == NAME) && equals(token, words);
}

static bool names_temporary_schema(struct token token, const char *rest)
{
	return names(token, (const char *const[]){"pg_temp", NULL}) && *behind_blanks(rest) == '.';
}

/* set_config(name, value, true): for this transaction alone, and said in so many words. */
static bool is_local(const char *arguments)
{
	struct token token;
	size_t n = 0; /* tokens of the last argument */
	bool local = false;
	int depth = 1;

	while ((token = next(&arguments)).kind) {
		depth += token.kind == '(' ? 1 : token.kind == ')' ? -1 : 0;
		if (depth == 0)
			return local && n == 1;
		n = depth == 1 && token.kind == ',' ? 0 : n + 1;
		local = is_one(token, "true");
	}
	return false;
}

/* SELECT .. INTO TEMP name */
static bool into_temporary(const char *rest)
{
	struct token token = next(&rest);

	if (is(token, (const char *const[]){"GLOBAL", "LOCAL", NULL}))
		token = next(&rest);
	return is(token, (const char *const[]){"TEMP", "TEMPORARY", NULL}) ||
	       names_temporary_schema(token, rest);
}

/* Anywhere in a statement: the server's own functions, and INTO. */
static bool leaves(const char *sql)
{
	static const char *const locks[] = {"pg_advisory_lock", "pg_advisory_lock_shared",
					    "pg_try_advisory_lock", "pg_try_advisory_lock_shared",
					    NULL};
	static const char *const setters[] = {"set_config", NULL};
	static const char *const writers[] = {"INSERT", "MERGE", NULL};
	struct token token, before = {.kind = 0};

	for (; (token = next(&sql)).kind; before = token) {
		if (is_one(token, "INTO") && !is(before, writers) && into_temporary(sql))
			return true;
		if (names(token, locks) && *behind_blanks(sql) == '(')
			return true;
		if (names(token, setters) && *behind_blanks(sql) == '(' &&
		    !is_local(behind_blanks(sql) + 1))
			return true;
	}
	return false;
}

/* ..[ON] COMMIT DROP */
static bool drops(const char *rest)
{
	return is_one(next(&rest), "COMMIT") && is_one(next(&rest), "DROP");
}

/* CREATE [OR REPLACE] [GLOBAL | LOCAL] TEMP, or a name in the schema pg_temp. */
static bool creates(const char *rest)
{
	struct token token = next(&rest);
	bool temporary;
	int depth = 0;

	if (is_one(token, "OR")) {
		(void)next(&rest);
		token = next(&rest);
	}
	if (is(token, (const char *const[]){"GLOBAL", "LOCAL", NULL}))
		token = next(&rest);
	temporary = is(token, (const char *const[]){"TEMP", "TEMPORARY", NULL});
	for (; token.kind && (depth > 0 || !is_one(token, "AS")); token = next(&rest)) {
		depth += token.kind == '(' ? 1 : token.kind == ')' ? -1 : 0;
		if (depth == 0 && is_one(token, "ON") && drops(rest))
			return false;
		temporary = temporary || (depth == 0 && names_temporary_schema(token, rest));
	}
	return temporary;
}

/* DECLARE .. WITH HOLD: any other cursor ends with its transaction. */
static bool holds(const char *rest)
{
	struct token token, before = {.kind = 0};

	for (; (token = next(&rest)).kind && !is_one(token, "FOR"); before = token) {
		if (is_one(before, "WITH") && is_one(token, "HOLD"))
			return true;
	}
	return false;
}

/* SET LOCAL and the like; but SET local.name is a setting as any other. */
static bool sets(const char *rest)
{
	static const char *const local[] = {"LOCAL", "TRANSACTION", "CONSTRAINTS", NULL};
	bool ends = is(next(&rest), local);
	char kind = next(&rest).kind;

	return !ends || (kind != WORD && kind != NAME);
}

/* DO and CALL run what is not known here. */
enum amend_alters amend_postgres_alters(const char *sql)
{
	static const char *const verbs[] = {"RESET", "DISCARD", "PREPARE", "DEALLOCATE", "LISTEN",
					    "LOAD",  "DO",      "CALL",    NULL};
	const char *rest = sql;
	struct token verb;
	bool alters;

	do {
		verb = next(&rest);
	} while (verb.kind == '(' || verb.kind == ';');
	alters = is(verb, verbs) || (is_one(verb, "SET") && sets(rest)) ||
		 (is_one(verb, "CREATE") && creates(rest)) ||
		 (is_one(verb, "DECLARE") && holds(rest)) || leaves(rest);
	return alters ? AMEND_ALTERS_SESSION : AMEND_ALTERS_NOTHING;
}

/*
 * What a statement's words say that it does: read, change, or end the open transaction by itself.
 * Leaves what the server has made of it, which its state tells after each answer, to mariadb_run.c.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "sql/driver/mariadb.h"

/* Of no size: no word, or one that the server's version decides about. */
struct word {
	const char *text;
	size_t size;
};

static bool is_letter(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static const char *behind(const char *text, const char *end)
{
	const char *at = strstr(text, end);

	return at ? at + strlen(end) : text + strlen(text);
}

/* What such a comment says is for some servers alone. */
static bool is_conditional(const char *sql)
{
	return strncmp(sql, "/*!", 3) == 0 || strncmp(sql, "/*M!", 4) == 0;
}

/* Any of `signs`, and comments; a conditional one stays. */
static const char *skip_signs(const char *sql, const char *signs)
{
	for (;;) {
		sql += strspn(sql, signs);
		if (*sql == '#' || strncmp(sql, "--", 2) == 0)
			sql = behind(sql, "\n");
		else if (strncmp(sql, "/*", 2) == 0 && !is_conditional(sql))
			sql = behind(sql + 2, "*/");
		else
			return sql;
	}
}

static const char *skip(const char *sql)
{
	return skip_signs(sql, " \t\r\n\f\v;(");
}

static struct word word_at(const char *text)
{
	struct word word = {.text = text};

	while (is_letter(word.text[word.size]))
		word.size++;
	return word;
}

static struct word next(const char **at)
{
	struct word word = word_at(skip(*at));

	*at = word.text + word.size;
	return word;
}

static bool is(struct word word, const char *const *words)
{
	for (; *words; words++) {
		if (word.size == strlen(*words) && strncasecmp(word.text, *words, word.size) == 0)
			return true;
	}
	return false;
}

static bool is_one(struct word word, const char *name)
{
	return is(word, (const char *const[]){name, NULL});
}

/* Behind a word, what is in quotes, a comment, or one sign. Of a conditional comment: behind its beginning. */
static const char *behind_piece(const char *sql)
{
	struct word word = word_at(sql);

	if (word.size > 0)
		return sql + word.size;
	if (*sql == '\'' || *sql == '"' || *sql == '`')
		/* Doubled inside, it ends and begins again. A backslash is none: the sql_mode is pinned. */
		return behind(sql + 1, (const char[]){*sql, '\0'});
	if (*sql == '#' ||
	    (strncmp(sql, "--", 2) == 0 && (sql[2] == '\0' || isspace((unsigned char)sql[2]))))
		return behind(sql, "\n");
	if (is_conditional(sql)) {
		sql = behind(sql, "!");
		return sql + strspn(sql, "0123456789");
	}
	if (strncmp(sql, "/*", 2) == 0)
		return behind(sql + 2, "*/");
	return sql + 1;
}

/* The first of `words` outside of parentheses and quotes; NULL: there is none, or a conditional comment before it. */
static const char *find(const char *sql, const char *const *words)
{
	int depth = 0;

	for (; *sql; sql = behind_piece(sql)) {
		if (depth == 0 && is(word_at(sql), words))
			return sql;
		if (is_conditional(sql))
			return NULL;
		depth += *sql == '(' ? 1 : *sql == ')' ? -1 : 0;
	}
	return NULL;
}

static bool mentions(const char *sql, const char *name)
{
	size_t size = strlen(name);

	for (; *sql; sql++) {
		if (strncasecmp(sql, name, size) == 0)
			return true;
	}
	return false;
}

static enum amend_mariadb_kind kind_of_set(const char *sql)
{
	const char *rest = sql;
	struct word word = next(&rest);

	if (is_one(word, "STATEMENT")) {
		rest = find(rest, (const char *const[]){"FOR", NULL});
		return rest ? amend_mariadb_kind(rest + strlen("FOR")) : AMEND_MA_COMMITS;
	}
	/* SET PASSWORD, SET DEFAULT ROLE; and autocommit, however it is written. */
	if (is(word, (const char *const[]){"PASSWORD", "DEFAULT", NULL}) ||
	    mentions(sql, "autocommit"))
		return AMEND_MA_COMMITS;
	return AMEND_MA_READS;
}

/* But for OR REPLACE. */
static struct word second_word(struct word first, const char **rest)
{
	struct word second = next(rest);

	if (is_one(first, "CREATE") && is_one(second, "OR")) {
		next(rest);
		second = next(rest);
	}
	return second;
}

/* Those whose meaning is in their second word. */
static enum amend_mariadb_kind kind_of_two(struct word word, const char *rest)
{
	struct word second = second_word(word, &rest);

	if (is(word, (const char *const[]){"CREATE", "DROP", NULL}))
		return is_one(second, "TEMPORARY") ? AMEND_MA_CHANGES : AMEND_MA_COMMITS;
	if (is_one(word, "LOAD"))
		return is(second, (const char *const[]){"DATA", "XML", NULL}) ? AMEND_MA_CHANGES
									      : AMEND_MA_COMMITS;
	if (is_one(word, "ROLLBACK")) {
		if (is_one(second, "WORK"))
			second = next(&rest);
		return is_one(second, "TO") ? AMEND_MA_READS : AMEND_MA_COMMITS;
	}
	/* ANALYZE of a statement runs it. */
	return is(second, (const char *const[]){"FORMAT", "SELECT", "INSERT", "UPDATE", "DELETE",
						"REPLACE", "WITH", NULL})
		       ? AMEND_MA_CHANGES
		       : AMEND_MA_COMMITS;
}

/* What is not known here is taken for what ends a transaction: most of what there is does. */
enum amend_mariadb_kind amend_mariadb_kind(const char *sql)
{
	static const char *const reads[] = {"SELECT",    "VALUES",  "SHOW",     "DESC",
					    "DESCRIBE",  "EXPLAIN", "CHECKSUM", "HELP",
					    "SAVEPOINT", "RELEASE", NULL};
	static const char *const counted[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", NULL};
	static const char *const verbs[] = {"SELECT", "VALUES",  "INSERT", "UPDATE",
					    "DELETE", "REPLACE", NULL};
	static const char *const others[] = {"DO",  "HANDLER", "SIGNAL", "RESIGNAL",
					     "GET", "KILL",    "USE",    NULL};
	static const char *const two[] = {"CREATE", "DROP", "LOAD", "ROLLBACK", "ANALYZE", NULL};
	const char *rest = sql;
	struct word word = next(&rest);

	if (is(word, reads))
		return AMEND_MA_READS;
	if (is(word, counted))
		return AMEND_MA_COUNTS;
	if (is_one(word, "WITH")) {
		rest = find(rest, verbs);
		return rest ? amend_mariadb_kind(rest) : AMEND_MA_CHANGES;
	}
	if (is_one(word, "SET"))
		return kind_of_set(rest);
	if (is_one(word, "CALL"))
		return AMEND_MA_CALLS;
	if (is(word, others))
		return AMEND_MA_CHANGES;
	return is(word, two) ? kind_of_two(word, rest) : AMEND_MA_COMMITS;
}

/* CREATE or DROP TEMPORARY; also where only some servers are told the word. */
static bool is_temporary(struct word first, const char *rest)
{
	struct word second = second_word(first, &rest);

	return is_one(second, "TEMPORARY") || (second.size == 0 && mentions(rest, "TEMPORARY"));
}

/* get_lock(..; the name may have quotes. */
static bool locks(const char *sql)
{
	struct word name = word_at(sql + strspn(sql, "`\""));

	return is_one(name, "GET_LOCK") && *skip_signs(behind_piece(sql), " \t\r\n\f\v") == '(';
}

/* Anywhere in a statement: a variable, as `:=` or INTO @name set it, or a lock. */
static bool leaves(const char *sql)
{
	for (; *sql; sql = behind_piece(sql)) {
		if (strncmp(sql, ":=", 2) == 0 || locks(sql))
			return true;
		if (is_one(word_at(sql), "INTO") && *skip(behind_piece(sql)) == '@')
			return true;
	}
	return false;
}

/* What a procedure, or a prepared statement, does is not known here. */
enum amend_alters amend_mariadb_alters(const char *sql)
{
	static const char *const moves[] = {"USE", "EXECUTE", NULL};
	static const char *const verbs[] = {"CALL", "DO",      "PREPARE", "DEALLOCATE",
					    "LOCK", "HANDLER", "FLUSH",   NULL};
	static const char *const makes[] = {"CREATE", "DROP", NULL};
	const char *rest = sql;
	struct word word = next(&rest);

	/* A comment that some servers run. */
	if (word.size == 0 || is(word, moves))
		return AMEND_ALTERS_DATABASE;
	if (is_one(word, "SET")) {
		const char *second = rest;

		if (!is_one(next(&second), "STATEMENT"))
			return AMEND_ALTERS_SESSION;
		second = find(second, (const char *const[]){"FOR", NULL});
		return second ? amend_mariadb_alters(second + strlen("FOR")) : AMEND_ALTERS_SESSION;
	}
	if (is(word, verbs) || (is(word, makes) && is_temporary(word, rest)))
		return AMEND_ALTERS_SESSION;
	return leaves(rest) ? AMEND_ALTERS_SESSION : AMEND_ALTERS_NOTHING;
}

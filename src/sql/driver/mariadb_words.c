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

/* Blanks, comments, parentheses. What a comment says to some servers alone (it begins with ! or M!) stays. */
static const char *skip(const char *sql)
{
	for (;;) {
		sql += strspn(sql, " \t\r\n\f\v;(");
		if (*sql == '#' || strncmp(sql, "--", 2) == 0)
			sql = behind(sql, "\n");
		else if (strncmp(sql, "/*", 2) == 0 && sql[2] != '!' &&
			 strncmp(sql + 2, "M!", 2) != 0)
			sql = behind(sql + 2, "*/");
		else
			return sql;
	}
}

static struct word next(const char **at)
{
	struct word word = {.text = skip(*at)};

	while (is_letter(word.text[word.size]))
		word.size++;
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

/* The first of `words` outside of parentheses and quotes; NULL: there is none. */
static const char *find(const char *sql, const char *const *words)
{
	int depth = 0;

	for (;;) {
		struct word word = {.text = sql};

		while (is_letter(word.text[word.size]))
			word.size++;
		if (word.size > 0 && depth == 0 && is(word, words))
			return sql;
		if (word.size > 0) {
			sql += word.size;
			continue;
		}
		switch (*sql) {
		case '\0':
			return NULL;
		case '\'':
		case '"':
		case '`':
			/* Doubled inside, it ends and begins again. */
			sql = behind(sql + 1, (const char[]){*sql, '\0'});
			continue;
		case '(':
			depth++;
			break;
		case ')':
			depth--;
			break;
		case '#':
			sql = behind(sql, "\n");
			continue;
		case '-':
			if (sql[1] == '-' && (sql[2] == '\0' || isspace((unsigned char)sql[2]))) {
				sql = behind(sql, "\n");
				continue;
			}
			break;
		case '/':
			if (strncmp(sql, "/*!", 3) == 0 || strncmp(sql, "/*M!", 4) == 0)
				return NULL;
			if (strncmp(sql, "/*", 2) == 0) {
				sql = behind(sql + 2, "*/");
				continue;
			}
			break;
		default:
			break;
		}
		sql++;
	}
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

/* Those whose meaning is in their second word. */
static enum amend_mariadb_kind kind_of_two(struct word word, const char *rest)
{
	struct word second = next(&rest);

	if (is_one(word, "CREATE") && is_one(second, "OR")) {
		next(&rest);
		second = next(&rest);
	}
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

/* ..INTO @name */
static bool keeps(const char *sql)
{
	for (; (sql = find(sql, (const char *const[]){"INTO", NULL})); sql++) {
		if (*skip(sql + strlen("INTO")) == '@')
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
	if (is(word, verbs) || (is(word, makes) && mentions(rest, "TEMPORARY")))
		return AMEND_ALTERS_SESSION;
	return mentions(sql, ":=") || mentions(sql, "GET_LOCK") || keeps(sql)
		       ? AMEND_ALTERS_SESSION
		       : AMEND_ALTERS_NOTHING;
}

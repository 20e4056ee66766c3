/*
 * What a statement's words say that it leaves in its session: settings, a role, temporary tables, locks.
 * Leaves settings that are pinned, and what the server says of them, to postgres_pins.c.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "sql/driver/postgres.h"

static bool is_letter(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* The first place of `name`, in whatever case. */
static const char *find(const char *sql, const char *name)
{
	size_t size = strlen(name);

	for (; *sql; sql++) {
		if ((*sql & ~0x20) == (*name & ~0x20) && strncasecmp(sql, name, size) == 0)
			return sql;
	}
	return NULL;
}

/* The same as a word of its own. */
static bool has_word(const char *sql, const char *word)
{
	size_t size = strlen(word);

	for (const char *at = sql; (at = find(at, word)); at++) {
		if ((at == sql || !is_letter(at[-1])) && !is_letter(at[size]))
			return true;
	}
	return false;
}

/* Behind a text, or a name in quotes. */
static const char *behind_quotes(const char *at)
{
	const char *end = strchr(at + 1, *at);

	return end ? end : at + strlen(at) - 1;
}

/* set_config(name, value, true): for this transaction alone, and said in so many words. */
static bool is_local(const char *arguments)
{
	const char *last = NULL, *at = arguments;
	int depth = 0;

	for (; *at; at++) {
		if (*at == '\'' || *at == '"')
			at = behind_quotes(at);
		else if (*at == '(')
			depth++;
		else if (*at == ',' && depth == 1)
			last = at + 1;
		else if (*at == ')' && --depth == 0)
			break;
	}
	if (!last)
		return false;
	last += strspn(last, " \t\r\n");
	return strncasecmp(last, "true", 4) == 0 && last + 4 + strspn(last + 4, " \t\r\n") == at;
}

static bool sets(const char *sql)
{
	static const char name[] = "set_config";

	for (const char *at = sql; (at = find(at, name)); at++) {
		if (!is_local(at + sizeof(name) - 1))
			return true;
	}
	return false;
}

static bool is_temporary(const char *sql)
{
	static const char *const makes[] = {"CREATE", NULL};

	return (amend_postgres_begins(sql, makes) || has_word(sql, "INTO")) &&
	       (has_word(sql, "TEMP") || has_word(sql, "TEMPORARY") || has_word(sql, "pg_temp"));
}

/* DO and CALL run what is not known here. Of functions two of the server's own are known, by their names. */
enum amend_alters amend_postgres_alters(const char *sql)
{
	static const char *const local[] = {"SET LOCAL", "SET TRANSACTION", "SET CONSTRAINTS", NULL};
	static const char *const verbs[] = {"SET",        "RESET",   "DISCARD", "PREPARE",
					    "DEALLOCATE", "DECLARE", "LISTEN",  "LOAD",
					    "DO",         "CALL",    NULL};
	static const char *const makes[] = {"CREATE", "SELECT", "WITH", NULL};
	bool alters = amend_postgres_begins(sql, verbs) && !amend_postgres_begins(sql, local);

	alters = alters || (amend_postgres_begins(sql, makes) && is_temporary(sql));
	alters = alters || find(sql, "advisory_lock") || sets(sql);
	return alters ? AMEND_ALTERS_SESSION : AMEND_ALTERS_NOTHING;
}

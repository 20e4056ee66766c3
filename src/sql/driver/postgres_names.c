/*
 * The names that statements get on the server from their second use on.
 * Leaves sending them to postgres_run.c.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/driver/postgres.h"
#include "sql/sql.h"

enum { LONGEST_PREPARED = 16384 };

void amend_postgres_forget(struct amend_session *session)
{
	for (size_t i = 0; i < AMEND_PG_PREPARED; i++) {
		free(session->prepared[i].sql);
		session->prepared[i] = (struct amend_postgres_prepared){.sql = NULL};
	}
}

static char *copy_text(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

/* Past white space, comments (which nest) and opening parentheses. */
static const char *first_word(const char *sql)
{
	int depth = 0;

	for (;; sql++) {
		if (sql[0] == '/' && sql[1] == '*') {
			depth++;
			sql++;
		} else if (depth > 0 && sql[0] == '*' && sql[1] == '/') {
			depth--;
			sql++;
		} else if (depth == 0 && sql[0] == '-' && sql[1] == '-') {
			sql += strcspn(sql, "\n");
		} else if (depth == 0 && (!sql[0] || !strchr(" \t\r\n\f(", sql[0]))) {
			return sql;
		}
		if (!*sql)
			return sql;
	}
}

bool amend_postgres_begins(const char *sql, const char *const *words)
{
	const char *word = first_word(sql);

	for (; *words; words++) {
		size_t size = strlen(*words);

		if (strncasecmp(word, *words, size) == 0 && word[size] != '_' &&
		    !isalnum((unsigned char)word[size]))
			return true;
	}
	return false;
}

/*
 * Whether each parameter's type is written with it: `$1::type` or CAST($1 AS
 * type). Where it is not, PREPARE fixes what the columns were on that day: once
 * a `real` column became double precision, or a date a timestamp, a statement
 * kept under a name would go on cutting its values.
 */
static bool is_typed(const char *sql)
{
	const char *at = sql;

	while ((at = strchr(at, '$')) != NULL) {
		const char *end = at + 1 + strspn(at + 1, "0123456789");
		bool cast = at - sql >= 5 && strncasecmp(at - 5, "CAST(", 5) == 0;

		if (end > at + 1 && !cast && strncmp(end, "::", 2) != 0)
			return false;
		at = end;
	}
	return true;
}

/* Utility statements are not planned, so a name gains nothing (and COPY must not be hidden behind one). */
static bool worth_a_name(const char *sql)
{
	static const char *const planned[] = {"SELECT", "INSERT", "UPDATE", "DELETE",
					      "WITH",   "VALUES", "MERGE",  NULL};

	return amend_postgres_begins(sql, planned) && is_typed(sql) &&
	       strlen(sql) <= LONGEST_PREPARED;
}

static struct amend_postgres_prepared *find(struct amend_session *session, const char *sql,
					    uint64_t hash)
{
	for (size_t i = 0; i < AMEND_PG_PREPARED; i++) {
		if (session->hashes[i] == hash && session->prepared[i].sql &&
		    strcmp(session->prepared[i].sql, sql) == 0)
			return &session->prepared[i];
	}
	return NULL;
}

struct amend_postgres_plan amend_postgres_plan(struct amend_session *session,
					       const struct amend_statement *statement)
{
	struct amend_postgres_prepared *entry;
	struct amend_postgres_plan plan = {.entry = NULL};
	size_t oldest = 0;
	uint64_t hash;

	if (session->nameless || statement->once || amend_postgres_state(session) == AMEND_TX_FAILED)
		return plan;
	hash = statement->hash ? statement->hash : amend_sql_hash(statement->sql);
	entry = find(session, statement->sql, hash);
	if (entry) {
		plan.entry = entry;
		plan.prepare = !entry->prepared;
		entry->prepared = true; /* unless its result says otherwise */
		entry->last_use = ++session->uses;
		return plan;
	}
	if (!worth_a_name(statement->sql))
		return plan;
	/* The first use only leaves a note; the place of the longest unused is taken. */
	for (size_t i = 1; i < AMEND_PG_PREPARED; i++) {
		if (session->prepared[i].last_use < session->prepared[oldest].last_use)
			oldest = i;
	}
	entry = &session->prepared[oldest];
	if (entry->prepared)
		plan.evict = entry->number;
	free(entry->sql);
	*entry = (struct amend_postgres_prepared){
		.sql = copy_text(statement->sql),
		.last_use = ++session->uses,
		.number = ++session->last_number,
	};
	snprintf(entry->name, sizeof(entry->name), "amend_%u", entry->number);
	session->hashes[oldest] = hash;
	return plan;
}

/* The engine says that the name, or the plan behind it, is no longer what it was. */
bool amend_postgres_renew(struct amend_session *session, struct amend_postgres_prepared *entry,
			  const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

	if (!state)
		return false;
	/*
	 * 0A000 says "not supported" as well; "cached plan must not change result type" is raised
	 * here alone. The old name stays on the server, for in a failed transaction it cannot be given up.
	 */
	if (entry && strcmp(state, "0A000") == 0 && function &&
	    strcmp(function, "RevalidateCachedQuery") == 0) {
		free(entry->sql);
		*entry = (struct amend_postgres_prepared){.sql = NULL};
		return true;
	}
	if (strcmp(state, "26000") != 0 && strcmp(state, "42P05") != 0)
		return false;
	/* Someone else has a hand in the names: a pooler, or a DEALLOCATE. Do without them. */
	session->nameless = true;
	amend_postgres_forget(session);
	return true;
}

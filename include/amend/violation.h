/*
 * What stands in a record's way: each rule of the database that a record would break as somebody
 * wanted it, not only the one at which the engine stopped.
 *
 *	if (amend_write(db, table, &write, &result, &err) != AMEND_OK) {
 *		fprintf(stderr, "%s\n", err.text);
 *		for (size_t i = 0; i < result.n_violations; i++)
 *			fprintf(stderr, "  %s\n", result.violations[i].text);
 *	}
 *
 * The engine itself is asked, after it has refused and what was begun is undone: what others have
 * mended by then is not listed any more. The list may be empty where the engine's message is
 * all that can be said: inside a unit that goes on (the transaction is broken there), where a trigger refused, where
 * the role may not look. What is listed is of the record as it was given: a BEFORE trigger that would have
 * mended it is not run.
 */
#ifndef AMEND_VIOLATION_H
#define AMEND_VIOLATION_H

#include <amend/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct amend_field;

enum amend_violation_kind {
	AMEND_VIOLATES_TYPE, /* a value that the column cannot hold; `text` says why */
	AMEND_VIOLATES_NOT_NULL,
	AMEND_VIOLATES_CHECK,     /* of the table, or of a column's domain */
	AMEND_VIOLATES_UNIQUE,    /* `record` has the value now */
	AMEND_VIOLATES_EXCLUSION, /* `record` excludes it */
	AMEND_VIOLATES_PARENT, /* a foreign key: it would refer to a record of `table` that is not there */
	AMEND_VIOLATES_CHILDREN, /* a foreign key of `table`: `n_records` refer to it as it is, `record` is one */
};

/* "type", "not_null", "check", "unique", "exclusion", "missing_parent", "children". */
AMEND_API const char *amend_violation_name(enum amend_violation_kind kind);

struct amend_violation {
	enum amend_violation_kind kind;
	const char *constraint;     /* its name, or the unique index's; NULL: it has none */
	const char *expression;     /* of a CHECK, as the engine has it; else NULL */
	const char *const *columns; /* of this record's table: those that it is about */
	size_t n_columns;
	const char *table; /* the other table of a foreign key, as the ledger names tables; else NULL */
	const struct amend_field
		*record; /* the one in the way: what identifies it; NULL: none, or not known */
	size_t n_record;
	uint64_t n_records; /* CHILDREN: how many, or AMEND_VIOLATION_MOST: that many or more */
	const char *text;   /* one line */
};

enum { AMEND_VIOLATION_MOST = 1000 };

#ifdef __cplusplus
}
#endif

#endif

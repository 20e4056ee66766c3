/* A table's description as text, for the describe tests. */
#ifndef TESTS_DRIVER_DESCRIBE_H
#define TESTS_DRIVER_DESCRIBE_H

#include "engines.h"

/* The description; it must succeed. */
struct amend_table *describe(struct engine *engine, struct amend_session *session,
			     const char *schema, const char *name);

/*
 * "a|integer|INTEGER|not null identity default=1 collation=NOCASE", a line each column.
 * Defaults of an identity are left out.
 */
const char *describe_columns(struct engine *engine, const struct amend_table *table);

/* "(a, b) primary" and the other flags, a line each, the primary key first, the others sorted. */
const char *describe_keys(struct engine *engine, const struct amend_table *table);

/* "(p, q) -> main.parent (a, b)", sorted. */
const char *describe_foreign_keys(struct engine *engine, const struct amend_table *table);

#endif

/*
 * Canonical forms of inputs: to come.
 * Leaves everything to the next commit.
 */
#include "sql/driver/postgres.h"
enum amend_status amend_postgres_canonicalise(struct amend_session *s, struct amend_canon *i, size_t n, struct amend_arena *a, struct amend_error *err){(void)s;(void)i;(void)n;(void)a;return amend_error_set(err,AMEND_UNSUPPORTED,"not yet");}

/* What mariadb_violations.c shares with mariadb_refers.c: a row as it is wanted, in a query. */
#ifndef AMEND_SQL_DRIVER_MARIADB_VIOLATIONS_H
#define AMEND_SQL_DRIVER_MARIADB_VIOLATIONS_H

#include "sql/driver/mariadb.h"
#include "sql/sql.h"
#include "sql/violations.h"

struct amend_mariadb_asking {
	struct amend_session *session;
	const struct amend_wish *wish;
	struct amend_violations *list;
	bool *known;            /* by column, of the row as it is wanted */
	const char **generated; /* by column: the expression; NULL: it is none */
	bool checks, keys;      /* whether this session's server enforces them */
};

/* A statement that begins so; it is released by asking. What the server will not answer is left out: no rows. */
struct amend_sql amend_mariadb_begin_sql(const char *text);
enum amend_status amend_mariadb_answer(struct amend_mariadb_asking *asking, struct amend_sql *sql,
				       struct amend_rows *rows, struct amend_error *err);

/* `w.` and the quoted name. */
void amend_mariadb_add_name(struct amend_sql *sql, const char *alias, const char *name);
/* `(SELECT ... ) AS w`: what is known of the row as it is wanted. */
void amend_mariadb_add_wanted(struct amend_sql *sql, const struct amend_mariadb_asking *asking);
/* Whether `alias` is the row as it is; ` AND NOT` that, where there is one. */
void amend_mariadb_add_itself(struct amend_sql *sql, const struct amend_mariadb_asking *asking,
			      const char *alias);
void amend_mariadb_add_not_itself(struct amend_sql *sql, const struct amend_mariadb_asking *asking,
				  const char *alias);

bool amend_mariadb_all_known(const struct amend_mariadb_asking *asking, const uint32_t *columns,
			     size_t n);
bool amend_mariadb_any_changes(const struct amend_mariadb_asking *asking, const uint32_t *columns,
			       size_t n);
const char *const *amend_mariadb_names_of(struct amend_mariadb_asking *asking,
					  const uint32_t *columns, size_t n);
/* The first row's first cells name a record. */
void amend_mariadb_take_record(struct amend_mariadb_asking *asking, const struct amend_rows *rows,
			       const char *const *names, size_t n,
			       struct amend_violation *violation);

/* mariadb_refers.c */

enum amend_status amend_mariadb_parents(struct amend_mariadb_asking *asking,
					struct amend_error *err);
enum amend_status amend_mariadb_children(struct amend_mariadb_asking *asking,
					 struct amend_error *err);

#endif

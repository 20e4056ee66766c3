/*
 * For postgres_wish.c, which makes a row as it is wanted, postgres_violations.c, which holds it against its own
 * table, and postgres_refers.c, which looks at foreign keys. Every statement begins with the same WITH: the row as it is wanted, and as it is,
 * of the table's own type, so that what the catalogue has of an expression can be evaluated on it.
 */
#ifndef AMEND_SQL_DRIVER_POSTGRES_VIOLATIONS_H
#define AMEND_SQL_DRIVER_POSTGRES_VIOLATIONS_H

#include "sql/driver/postgres.h"
#include "sql/violations.h"

struct amend_postgres_asking {
	struct amend_session *session;
	const struct amend_wish *wish;
	struct amend_violations *list;
	struct amend_arena *arena;

	const char **attnums;   /* by column */
	const char **generated; /* by column: its expression, or NULL */
	bool *domain;           /* by column: its type is a domain */
	bool *as_base; /* by column: the value does not fit the domain, but the type it is made of */
	struct amend_value *values;
	enum amend_known *known;

	const char *with; /* "WITH ... " in front of each statement, and its values: */
	struct amend_value *params;
	size_t n_params;
	const char *new_row, *old_row; /* behind FROM; NULL: there is none */
	const char *only;              /* "ONLY ", or "" where the rows are in partitions */
};

/* Text that lives as long as the list; NULL and list->failed without memory. */
const char *amend_postgres_copy(struct amend_postgres_asking *asking, const char *text);
const char *amend_postgres_kept(struct amend_postgres_asking *asking, struct amend_buffer *text);
void amend_postgres_name(struct amend_buffer *sql, const char *name);

/*
 * Runs a query in a savepoint. An error of it is no failure of the call: `*answered` is false, and
 * `why` says what it was. A connection that is lost, an interruption and the like are.
 */
enum amend_status amend_postgres_ask(struct amend_postgres_asking *asking, const char *sql,
				     const struct amend_value *values, size_t n,
				     struct amend_rows *rows, bool *answered,
				     struct amend_error *why, struct amend_error *err) AMEND_CHECK;

/* A query of the catalogue's, about the table. */
enum amend_status amend_postgres_catalogue(struct amend_postgres_asking *asking, const char *sql,
					   struct amend_rows *rows,
					   struct amend_error *err) AMEND_CHECK;
/* On the row as it is wanted: behind the WITH. */
enum amend_status amend_postgres_ask_rows(struct amend_postgres_asking *asking,
					  struct amend_buffer *sql, struct amend_rows *rows,
					  bool *answered, struct amend_error *why,
					  struct amend_error *err) AMEND_CHECK;

/* "1 4 7" (attnums): marks the columns; false: the row's value of one is not known. */
bool amend_postgres_mark(const struct amend_postgres_asking *asking, const char *attnums,
			 bool *marked);
/* Text of a cell, "" where it is NULL. */
const char *amend_postgres_cell(const struct amend_rows *rows, size_t row, size_t column);
bool amend_postgres_is_true(const struct amend_rows *rows, size_t row, size_t column);
/* Appends " AND NOT (<it is the row before>)". */
void amend_postgres_not_itself(struct amend_buffer *sql, const struct amend_postgres_asking *asking);
/* The first row's first values as a record's identity. */
void amend_postgres_take_record(struct amend_postgres_asking *asking, const struct amend_rows *rows,
				const char *const *names, size_t n,
				struct amend_violation *violation);

/* postgres_wish.c. `*same` false: the table is not what it was; `*made` false: there can be no such row. */
enum amend_status amend_postgres_wish(struct amend_postgres_asking *asking, bool *same, bool *made,
				      struct amend_error *err) AMEND_CHECK;

/* postgres_refers.c: both sides of foreign keys */
enum amend_status amend_postgres_refers(struct amend_postgres_asking *asking,
					struct amend_error *err) AMEND_CHECK;

#endif

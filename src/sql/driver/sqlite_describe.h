/* For sqlite_describe.c, which reads a table's description, and sqlite_describe_keys.c, which reads its foreign keys. */
#ifndef AMEND_SQL_DRIVER_SQLITE_DESCRIBE_H
#define AMEND_SQL_DRIVER_SQLITE_DESCRIBE_H

#include "core/rows.h"
#include "sql/driver/sqlite.h"

struct amend_sqlite_reader {
	struct amend_session *session;
	struct amend_arena *arena;
	struct amend_table *table;
	struct amend_column *columns; /* the table's, writable */
	bool without_rowid, strict;
	struct amend_error *err;
};

/* With ?1 and ?2. */
enum amend_status amend_sqlite_query(struct amend_sqlite_reader *reader, const char *sql,
				     const char *first, const char *second,
				     struct amend_rows *rows) AMEND_CHECK;
/* Of a cell; "" and 0 where it is something else. */
const char *amend_sqlite_text_at(const struct amend_rows *rows, size_t row, size_t column);
int64_t amend_sqlite_integer_at(const struct amend_rows *rows, size_t row, size_t column);
bool amend_sqlite_is_null(const struct amend_rows *rows, size_t row, size_t column);

/* From the table, and to it. */
enum amend_status amend_sqlite_foreign_keys(struct amend_sqlite_reader *reader) AMEND_CHECK;
enum amend_status amend_sqlite_dependents(struct amend_sqlite_reader *reader) AMEND_CHECK;

#endif

/* What a guarded table's triggers are made of: pieces of their text, for src/sql/driver/mariadb_guard*.c. */
#ifndef AMEND_SQL_DRIVER_MARIADB_GUARD_H
#define AMEND_SQL_DRIVER_MARIADB_GUARD_H

#include "sql/driver/mariadb.h"
#include "sql/guard.h"
#include "sql/sql.h"

/*
 * How often a transaction of this session may have ended: an expression, the sum of the server's counts of what ends one,
 * or begins the next. SQL has no other name for a transaction.
 */
#define AMEND_MA_GUARD_ENDS                                                             \
	"(SELECT sum(variable_value) FROM information_schema.session_status WHERE "     \
	"variable_name IN ('COM_BEGIN', 'COM_COMMIT', 'COM_ROLLBACK', 'COM_XA_START', " \
	"'COM_XA_COMMIT', 'COM_XA_ROLLBACK', 'COM_LOCK_TABLES', 'COM_TRUNCATE', "       \
	"'COM_CREATE_TABLE', 'COM_ALTER_TABLE', 'COM_DROP_TABLE', 'COM_RENAME_TABLE', " \
	"'COM_CREATE_INDEX', 'COM_DROP_INDEX', 'COM_CREATE_VIEW', 'COM_DROP_VIEW', "    \
	"'COM_CREATE_TRIGGER', 'COM_DROP_TRIGGER'))"

/* mariadb_guard_body.c */

/* In the order of making them. */
enum amend_mariadb_guard_kind {
	AMEND_MA_GUARD_VERSION,
	AMEND_MA_GUARD_INSERTED,
	AMEND_MA_GUARD_DELETED,
	AMEND_MA_GUARD_UPDATED,
};

/* `BEFORE UPDATE` and the like. */
const char *amend_mariadb_guard_when(enum amend_mariadb_guard_kind kind);
/* What the trigger does: the server keeps this text as it stands. */
void amend_mariadb_guard_body(struct amend_sql *sql, const struct amend_guard_spec *spec,
			      enum amend_mariadb_guard_kind kind);

/* mariadb_guard_text.c: texts that mean the same under every sql_mode, for who runs what --print shows. A row is OLD. or NEW. */

void amend_mariadb_guard_literal(struct amend_sql *sql, const char *text);
void amend_mariadb_guard_field(struct amend_sql *sql, const struct amend_column *column,
			       const char *prefix);
/* `concat('{"id":', NEW.`id`, '}')`: the record's name. */
void amend_mariadb_guard_pk(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    const char *prefix);
/* Whether the name differs between the two rows. */
void amend_mariadb_guard_moved(struct amend_sql *sql, const struct amend_guard_spec *spec);
/*
 * Text of fields, each `,"name":[old,new]`: those changed between OLD and NEW, in front of the version
 * column or behind it; of the version column; or all of one row that comes (`from` NULL) or goes (`to` NULL).
 */
void amend_mariadb_guard_changed(struct amend_sql *sql, const struct amend_guard_spec *spec,
				 bool behind);
void amend_mariadb_guard_version(struct amend_sql *sql, const struct amend_guard_spec *spec);
void amend_mariadb_guard_whole(struct amend_sql *sql, const struct amend_guard_spec *spec,
			       const char *from, const char *to);

#endif

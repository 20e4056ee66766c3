/*
 * A column's stored value as the ledger's JSON, as an SQL expression.
 * Must spell what core/json_text.c spells; a test compares them.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_POSTGRES

#include "sql/driver/postgres.h"
#include "sql/sql.h"

static void add_column(struct amend_sql *sql, const struct amend_column *column, const char *prefix)
{
	amend_sql_text(sql, prefix);
	amend_sql_name(sql, column->name);
}

void amend_postgres_json_of(struct amend_sql *sql, const struct amend_column *column,
			    const char *prefix)
{
	if (column->class_ == AMEND_CLASS_INTEGER || column->class_ == AMEND_CLASS_BOOLEAN) {
		amend_sql_text(sql, "coalesce(");
		add_column(sql, column, prefix);
		amend_sql_text(sql, "::text, 'null')");
		return;
	}
	/* format: the type's own output, where a cast to text differs (char(n), inet, xml). The
	 * literal NULL makes this a test of the value itself, also for composite types. */
	amend_sql_text(sql, "CASE WHEN ");
	add_column(sql, column, prefix);
	amend_sql_text(sql, " IS NOT DISTINCT FROM NULL THEN 'null' ELSE "
			    "pg_catalog.to_json(pg_catalog.format('%s', ");
	add_column(sql, column, prefix);
	amend_sql_text(sql, "))::text END");
}

#endif

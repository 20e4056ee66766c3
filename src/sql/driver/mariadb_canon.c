/*
 * The form in which a column hands a value back after storing it.
 *
 * Where the type's rule is plain the answer is given here, in mariadb_local.c; else the value is stored
 * in a temporary table with a column of that type, which commits nothing, and read back.
 */
#include <stdio.h>
#include <string.h>

#include "core/rows.h"
#include "sql/driver/mariadb.h"
#include "sql/driver/mariadb_local.h"

#define SCRATCH "amend_scratch_value"

static bool harmless(const struct amend_error *err)
{
	return err->status == AMEND_INVALID || err->status == AMEND_CONSTRAINT;
}

static enum amend_status make_scratch(struct amend_session *session,
				      const struct amend_column *column, struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_statement statement = {.once = true};
	size_t failed, charset = strcspn(column->collation, "_");
	enum amend_status status;

	amend_buffer_text(&sql, "CREATE OR REPLACE TEMPORARY TABLE " SCRATCH " (v ");
	amend_buffer_text(&sql, column->type);
	if (*column->collation)
		amend_buffer_printf(&sql, " CHARACTER SET %.*s COLLATE %s", (int)charset,
				    column->collation, column->collation);
	/* Without this the first timestamp would get the clock's time for NULL. */
	amend_buffer_text(&sql, " NULL DEFAULT NULL");
	if (column->class_ == AMEND_CLASS_JSON)
		amend_buffer_text(&sql, " CHECK (json_valid(v))");
	amend_buffer_text(&sql, ") ENGINE = InnoDB");
	statement.sql = amend_buffer_string(&sql);
	status = statement.sql ? amend_mariadb_run(session, &statement, 1, NULL, &failed, err)
			       : amend_no_memory(err);
	amend_buffer_release(&sql);
	return status;
}

static enum amend_status ask(struct amend_session *session, struct amend_canon *item,
			     struct amend_arena *arena, struct amend_error *err)
{
	const struct amend_statement statements[] = {
		{.sql = "INSERT INTO " SCRATCH " VALUES (?)",
		 .values = &item->in,
		 .n_values = 1,
		 .once = true},
		{.sql = "SELECT v FROM " SCRATCH, .once = true},
	};
	struct amend_rows rows[2] = {AMEND_ROWS_INIT, AMEND_ROWS_INIT};
	size_t failed;
	enum amend_status status = make_scratch(session, item->column, err);

	if (status != AMEND_OK)
		return status;
	status = amend_mariadb_run(session, statements, 2, rows, &failed, err);
	if (status == AMEND_OK && rows[1].n_rows == 1) {
		if (!amend_arena_value(arena, amend_rows_at(&rows[1], 0, 0), &item->out))
			status = amend_no_memory(err);
	} else if (status != AMEND_OK && failed == 0 && harmless(err)) {
		item->problem = amend_arena_printf(arena, "expected %s: %s", item->column->type,
						   err->text);
		status = item->problem ? AMEND_OK : amend_no_memory(err);
	}
	amend_rows_release(&rows[0]);
	amend_rows_release(&rows[1]);
	return status;
}

enum amend_status amend_mariadb_canonicalise(struct amend_session *session,
					     struct amend_canon *items, size_t n,
					     struct amend_arena *arena, struct amend_error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct amend_canon *item = &items[i];
		enum amend_status status = AMEND_OK;

		item->problem = NULL;
		item->out = item->in;
		if (item->in.kind == AMEND_NULL)
			continue;
		switch (amend_mariadb_local(item, arena)) {
		case AMEND_MA_LOCAL_DONE:
		case AMEND_MA_LOCAL_PROBLEM:
			break;
		case AMEND_MA_LOCAL_ASK:
			status = ask(session, item, arena, err);
			break;
		case AMEND_MA_LOCAL_NO_MEMORY:
			status = amend_no_memory(err);
			break;
		}
		if (status != AMEND_OK)
			return status;
	}
	return AMEND_OK;
}

/*
 * The triggers of a guarded table: their statements, and those that stand.
 * Leaves what their functions do to postgres_guard_body.c, and what to guard to ledger/guard.c.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_POSTGRES

#include "sql/driver/postgres_guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/pack.h"
#include "core/rows.h"

/* Triggers of one kind run in the order of their names: last of all, when nothing changes the row any more. */
#define PREFIX "zzz_amend_"

enum kind { STALE, VERSION, NEXT_VERSION, ROWS, INSERTED, UPDATED, DELETED, TRUNCATED };

static const struct {
	const char *name; /* of the trigger behind PREFIX, and of the function in front of the table's */
	const char *when;
	bool records;
} kinds[] = {
	[STALE] = {"stale", NULL, false},
	[VERSION] = {"version", "BEFORE UPDATE", false},
	[NEXT_VERSION] = {"version", "BEFORE UPDATE", false},
	[ROWS] = {"history", "AFTER INSERT OR UPDATE OR DELETE", true},
	[INSERTED] = {"history_insert", "AFTER INSERT", true},
	[UPDATED] = {"history_update", "AFTER UPDATE", true},
	[DELETED] = {"history_delete", "AFTER DELETE", true},
	[TRUNCATED] = {"history_truncate", "BEFORE TRUNCATE", true},
};

/* --- texts -------------------------------------------------------------- */

/* amend."history shop.country"; what is too long ends with a digest of itself. */
static void add_function(struct amend_sql *sql, const struct amend_table *table, enum kind kind)
{
	enum { LONGEST = 63, HEX = 8 };
	unsigned char digest[AMEND_DIGEST_SIZE];
	char name[LONGEST + 1];
	int size = snprintf(name, sizeof(name), "%s %s", kinds[kind].name, table->qualified);

	if (size > LONGEST) {
		size_t at = LONGEST - HEX;

		amend_digest(table->qualified, strlen(table->qualified), digest);
		while (at > 0 && ((unsigned char)name[at] & 0xc0) == 0x80)
			at--; /* not in the middle of a character */
		snprintf(name + at, sizeof(name) - at, "%02x%02x%02x%02x", digest[0], digest[1],
			 digest[2], digest[3]);
	}
	amend_sql_text(sql, "amend.");
	amend_sql_name(sql, name);
}

static void add_body(struct amend_sql *sql, const struct amend_guard_spec *spec, enum kind kind)
{
	switch (kind) {
	case STALE:
		amend_pg_guard_stale_body(sql, spec);
		break;
	case VERSION:
	case NEXT_VERSION:
		amend_pg_guard_version_body(sql, spec, kind == NEXT_VERSION);
		break;
	case ROWS:
		amend_pg_guard_row_body(sql, spec);
		break;
	case INSERTED:
		amend_pg_guard_statement_body(sql, spec, AMEND_PG_GUARD_INSERT);
		break;
	case UPDATED:
		amend_pg_guard_statement_body(sql, spec, AMEND_PG_GUARD_UPDATE);
		break;
	case DELETED:
		amend_pg_guard_statement_body(sql, spec, AMEND_PG_GUARD_DELETE);
		break;
	case TRUNCATED:
		amend_pg_guard_truncate_body(sql, spec);
		break;
	}
}

/* What records, and looks into history, does so with its owner's rights: who writes needs none. */
static bool as_owner(const struct amend_guard_spec *spec, enum kind kind)
{
	return kinds[kind].records || (spec->history && kind != NEXT_VERSION);
}

static void add_create_function(struct amend_sql *sql, const struct amend_guard_spec *spec,
				enum kind kind, const char *body)
{
	const char *tag = "$amend$";
	char other[32];

	for (unsigned i = 1; strstr(body, tag); i++) {
		snprintf(other, sizeof(other), "$amend%u$", i);
		tag = other;
	}
	amend_sql_text(sql, "CREATE OR REPLACE FUNCTION ");
	add_function(sql, spec->table, kind);
	amend_sql_text(sql, "() RETURNS trigger LANGUAGE plpgsql");
	if (as_owner(spec, kind)) {
		amend_sql_text(sql, " SECURITY DEFINER");
		amend_pg_guard_settings(sql, spec);
	}
	amend_sql_printf(sql, "\n\tAS %s\n", tag);
	amend_sql_text(sql, body);
	amend_sql_printf(sql, "\n%s", tag);
}

static void add_create_trigger(struct amend_sql *sql, const struct amend_guard_spec *spec,
			       enum kind kind)
{
	const struct amend_column *version = &spec->table->columns[spec->table->version];

	amend_sql_printf(sql, "CREATE TRIGGER " PREFIX "%s ", kinds[kind].name);
	if (kind == STALE) {
		amend_sql_text(sql, "BEFORE UPDATE OF ");
		amend_sql_name(sql, version->name);
	} else {
		amend_sql_text(sql, kinds[kind].when);
	}
	amend_sql_text(sql, " ON ");
	amend_sql_text(sql, spec->table->sql);
	if (kind == INSERTED)
		amend_sql_text(sql, " REFERENCING NEW TABLE AS amend_new");
	else if (kind == UPDATED)
		amend_sql_text(sql, " REFERENCING OLD TABLE AS amend_old NEW TABLE AS amend_new");
	else if (kind == DELETED)
		amend_sql_text(sql, " REFERENCING OLD TABLE AS amend_old");
	amend_sql_text(sql, kind >= INSERTED ? " FOR EACH STATEMENT" : " FOR EACH ROW");
	/* Always so: it makes the column one that is not dropped unnoticed. */
	if (kind == VERSION || kind == NEXT_VERSION) {
		amend_sql_text(sql, " WHEN (OLD.");
		amend_sql_name(sql, version->name);
		amend_sql_text(sql, " IS NOT NULL)");
	}
	amend_sql_text(sql, " EXECUTE FUNCTION ");
	add_function(sql, spec->table, kind);
}

static void hex_of(const char *text, char hex[17])
{
	unsigned char digest[AMEND_DIGEST_SIZE];

	amend_digest(text, strlen(text), digest);
	for (size_t i = 0; i < 8; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static const char *keep(struct amend_sql *sql, struct amend_arena *arena)
{
	const char *text = amend_buffer_string(&sql->text);

	text = text ? amend_arena_text(arena, text) : NULL;
	amend_sql_release(sql);
	*sql = (struct amend_sql){.dialect = amend_driver_postgres->dialect};
	return text;
}

/* The trigger's arguments: the version column and the rule, for who describes the table; and what it was made from. */
static bool make_part(const struct amend_guard_spec *spec, enum kind kind,
		      struct amend_arena *arena, struct amend_guard_part *part)
{
	struct amend_sql sql = {.dialect = amend_driver_postgres->dialect};
	const struct amend_column *version = &spec->table->columns[spec->table->version];
	const char *body, *trigger, *whole;
	char made[17], of_body[17];

	add_body(&sql, spec, kind);
	body = keep(&sql, arena);
	if (!body)
		return false;
	add_create_function(&sql, spec, kind, body);
	part->make[0] = keep(&sql, arena);
	amend_sql_text(&sql, "REVOKE EXECUTE ON FUNCTION ");
	add_function(&sql, spec->table, kind);
	amend_sql_text(&sql, "() FROM PUBLIC");
	part->make[1] = keep(&sql, arena);
	amend_sql_printf(&sql, "DROP TRIGGER IF EXISTS " PREFIX "%s ON ", kinds[kind].name);
	amend_sql_text(&sql, spec->table->sql);
	part->make[2] = keep(&sql, arena);
	add_create_trigger(&sql, spec, kind);
	trigger = keep(&sql, arena);
	if (!part->make[0] || !part->make[1] || !part->make[2] || !trigger)
		return false;
	whole = amend_arena_printf(arena, "%s;%s", part->make[0], trigger);
	if (!whole)
		return false;
	hex_of(whole, made);
	/* The server keeps what stands between the tags. */
	body = amend_arena_printf(arena, "\n%s\n", body);
	if (!body)
		return false;
	hex_of(body, of_body);
	amend_sql_text(&sql, trigger);
	amend_sql_text(&sql, "(");
	amend_pg_guard_literal(&sql, version->name);
	amend_sql_printf(&sql, ", '%s', '%s')", amend_stale_rule_name(spec->stale), made);
	part->make[3] = keep(&sql, arena);
	part->name = amend_arena_printf(arena, PREFIX "%s", kinds[kind].name);
	part->mark = amend_arena_printf(arena, "%s %s", made, of_body);
	return part->make[3] && part->name && part->mark;
}

enum amend_status amend_postgres_guard_parts(struct amend_session *session,
					     const struct amend_guard_spec *spec,
					     struct amend_arena *arena,
					     struct amend_guard_part **out, size_t *n,
					     struct amend_error *err)
{
	enum kind wanted[8];
	size_t count = 0;

	(void)session;
	if (spec->stale == AMEND_STALE_NEXT)
		wanted[count++] = STALE;
	wanted[count++] = spec->stale == AMEND_STALE_NEXT ? NEXT_VERSION : VERSION;
	if (spec->history && !spec->by_statement)
		wanted[count++] = ROWS;
	for (int kind = INSERTED; kind <= DELETED && spec->history && spec->by_statement; kind++)
		wanted[count++] = (enum kind)kind;
	if (spec->history)
		wanted[count++] = TRUNCATED;
	*n = 0;
	*out = amend_arena_array(arena, count, sizeof(**out));
	if (!*out)
		return amend_no_memory(err);
	for (; *n < count; ++*n) {
		if (!make_part(spec, wanted[*n], arena, &(*out)[*n]))
			return amend_no_memory(err);
	}
	return AMEND_OK;
}

enum amend_status amend_postgres_guard_column(const struct amend_table *table, const char *name,
					      int64_t ms, struct amend_arena *arena,
					      struct amend_column *column, const char **statements,
					      struct amend_error *err)
{
	struct amend_sql sql = {.dialect = amend_driver_postgres->dialect};

	*column = (struct amend_column){
		.name = name,
		.type = "bigint",
		.cast = "pg_catalog.int8",
		.number_cast = "pg_catalog.int8",
		.class_ = AMEND_CLASS_INTEGER,
		.not_null = true,
		.has_default = true,
		.collation = "",
		.number_id = AMEND_PG_INT8,
		.type_id = AMEND_PG_INT8,
	};
	/* First a constant, which rewrites no row. */
	amend_sql_text(&sql, "ALTER TABLE ");
	amend_sql_text(&sql, table->sql);
	amend_sql_text(&sql, " ADD COLUMN ");
	amend_sql_name(&sql, name);
	amend_sql_printf(&sql, " bigint NOT NULL DEFAULT %" PRId64, ms);
	statements[0] = keep(&sql, arena);
	amend_sql_text(&sql, "ALTER TABLE ");
	amend_sql_text(&sql, table->sql);
	amend_sql_text(&sql, " ALTER COLUMN ");
	amend_sql_name(&sql, name);
	amend_sql_text(&sql, " SET DEFAULT CAST(pg_catalog.date_part('epoch', "
			     "pg_catalog.clock_timestamp()) * 1000 AS bigint)");
	statements[1] = keep(&sql, arena);
	statements[2] = NULL;
	return statements[0] && statements[1] ? AMEND_OK : amend_no_memory(err);
}

/* --- what stands -------------------------------------------------------- */

enum { NAME, ARGUMENTS, ENABLED, SCHEMA, FUNCTION, SOURCE, OWNER, LACKS };

static const char found_sql[] =
	"SELECT t.tgname, pg_catalog.encode(t.tgargs, 'escape'), t.tgenabled, n.nspname, p.proname, "
	"p.prosrc, pg_catalog.pg_get_userbyid(p.proowner), "
	"CASE WHEN NOT p.prosecdef THEN '' "
	"WHEN NOT pg_catalog.has_schema_privilege(p.proowner, a.oid, 'USAGE') THEN 'the schema amend' "
	"WHEN pg_catalog.to_regclass('amend.guard_lastval') IS NULL "
	"OR pg_catalog.to_regprocedure('amend.guard_revision()') IS NULL THEN '-' "
	"WHEN NOT pg_catalog.has_table_privilege(p.proowner, 'amend.change', 'SELECT') "
	"OR NOT pg_catalog.has_table_privilege(p.proowner, 'amend.change', 'INSERT') THEN 'amend.change' "
	"WHEN NOT pg_catalog.has_table_privilege(p.proowner, 'amend.revision', 'SELECT') "
	"OR NOT pg_catalog.has_table_privilege(p.proowner, 'amend.revision', 'INSERT') "
	"THEN 'amend.revision' "
	"WHEN NOT pg_catalog.has_sequence_privilege(p.proowner, 'amend.guard_lastval', 'UPDATE') "
	"THEN 'amend.guard_lastval' "
	"WHEN NOT pg_catalog.has_function_privilege(p.proowner, 'amend.guard_revision()', 'EXECUTE') "
	"THEN 'amend.guard_revision()' ELSE '' END "
	"FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
	"JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid "
	"JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace "
	"LEFT JOIN pg_catalog.pg_namespace a ON a.nspname = 'amend' "
	"WHERE cn.nspname = $1::pg_catalog.text AND c.relname = $2::pg_catalog.text "
	"AND NOT t.tgisinternal AND t.tgname LIKE 'zzz\\_amend\\_%' ORDER BY t.tgname";

static const char *cell(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

/* The last of "version\000equal\0000123456789abcdef\000". */
static void made_of(const char *arguments, char made[17])
{
	size_t size = strlen(arguments);

	snprintf(made, 17, "%s", size > 20 ? arguments + size - 20 : "");
}

static const char *problem_of(const struct amend_rows *rows, size_t i, struct amend_arena *arena)
{
	const char *lacks = cell(rows, i, LACKS);
	char enabled = *cell(rows, i, ENABLED);

	if (enabled == 'D' || enabled == 'R')
		return amend_arena_printf(arena,
					  "is disabled (hint: ALTER TABLE ... ENABLE TRIGGER %s)",
					  cell(rows, i, NAME));
	if (*lacks == '-')
		return "needs functions of amend's that are gone (hint: amend guard once more)";
	if (*lacks)
		return amend_arena_printf(
			arena,
			"runs as %s, who lacks rights on %s: every write fails (hint: "
			"amend init DB --print --guard shows them)",
			cell(rows, i, OWNER), lacks);
	return NULL;
}

static bool take_found(const struct amend_table *table, const struct amend_rows *rows, size_t i,
		       struct amend_arena *arena, struct amend_guard_found *out)
{
	struct amend_sql sql = {.dialect = amend_driver_postgres->dialect};
	char made[17], of_body[17];

	made_of(cell(rows, i, ARGUMENTS), made);
	hex_of(cell(rows, i, SOURCE), of_body);
	out->name = amend_arena_text(arena, cell(rows, i, NAME));
	out->mark = amend_arena_printf(arena, "%s %s", made, of_body);
	out->problem = problem_of(rows, i, arena);
	amend_sql_text(&sql, "DROP TRIGGER ");
	amend_sql_name(&sql, cell(rows, i, NAME));
	amend_sql_text(&sql, " ON ");
	amend_sql_text(&sql, table->sql);
	out->drop[0] = keep(&sql, arena);
	if (strcmp(cell(rows, i, SCHEMA), "amend") == 0) {
		amend_sql_text(&sql, "DROP FUNCTION amend.");
		amend_sql_name(&sql, cell(rows, i, FUNCTION));
		amend_sql_text(&sql, "()");
		out->drop[1] = keep(&sql, arena);
		if (!out->drop[1])
			return false;
	}
	return out->name && out->mark && out->drop[0];
}

enum amend_status amend_postgres_guard_found(struct amend_session *session,
					     const struct amend_table *table,
					     struct amend_arena *arena,
					     struct amend_guard_found **out, size_t *n,
					     struct amend_error *err)
{
	const struct amend_value values[] = {amend_text(table->schema), amend_text(table->name)};
	const struct amend_statement statement = {
		.sql = found_sql, .values = values, .n_values = 2, .once = true};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_postgres_run(session, &statement, 1, &rows, NULL, false,
						      err);

	*n = 0;
	*out = NULL;
	if (status == AMEND_OK && rows.n_rows > 0) {
		*out = amend_arena_array(arena, rows.n_rows, sizeof(**out));
		if (!*out)
			status = amend_no_memory(err);
	}
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++, ++*n) {
		if (!take_found(table, &rows, i, arena, &(*out)[i]))
			status = amend_no_memory(err);
	}
	amend_rows_release(&rows);
	return status;
}

#endif

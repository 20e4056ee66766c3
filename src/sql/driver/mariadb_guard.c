/*
 * The triggers of a guarded table: which there are, and those that stand; what a description says of them.
 * Leaves what they do to mariadb_guard_body.c, and what to guard to ledger/guard.c.
 */
#include "sql/driver/mariadb_guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/pack.h"
#include "core/rows.h"

static const char *const words[] = {
	[AMEND_MA_GUARD_VERSION] = "version",
	[AMEND_MA_GUARD_INSERTED] = "insert",
	[AMEND_MA_GUARD_DELETED] = "delete",
	[AMEND_MA_GUARD_UPDATED] = "update",
};

static const char *keep(struct amend_sql *sql, struct amend_arena *arena)
{
	const char *text = amend_buffer_string(&sql->text);

	text = text ? amend_arena_text(arena, text) : NULL;
	amend_sql_release(sql);
	*sql = (struct amend_sql){.dialect = amend_driver_mariadb->dialect};
	return text;
}

static const char *text_at(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

/* --- parts -------------------------------------------------------------- */

/* amend_guard_update_stock: unique in its database, and at most 64 characters; what is longer ends with a digest. */
static const char *name_of(const struct amend_table *table, enum amend_mariadb_guard_kind kind,
			   struct amend_arena *arena)
{
	enum { LONGEST = 64, HEX = 8 };
	unsigned char digest[AMEND_DIGEST_SIZE];
	const char *whole = amend_arena_printf(arena, "amend_guard_%s_%s", words[kind], table->name);
	size_t at = LONGEST - HEX;

	if (!whole || strlen(whole) <= LONGEST)
		return whole;
	amend_digest(table->name, strlen(table->name), digest);
	while (at > 0 && ((unsigned char)whole[at] & 0xc0) == 0x80)
		at--; /* not in the middle of a character */
	return amend_arena_printf(arena, "%.*s%02x%02x%02x%02x", (int)at, whole, digest[0],
				  digest[1], digest[2], digest[3]);
}

static bool make_part(const struct amend_guard_spec *spec, enum amend_mariadb_guard_kind kind,
		      struct amend_arena *arena, struct amend_guard_part *part)
{
	struct amend_sql sql = {.dialect = amend_driver_mariadb->dialect};

	part->name = name_of(spec->table, kind, arena);
	amend_mariadb_guard_body(&sql, spec, kind);
	part->mark = keep(&sql, arena);
	if (!part->name || !part->mark)
		return false;
	amend_sql_text(&sql, "CREATE OR REPLACE TRIGGER ");
	amend_sql_name(&sql, part->name);
	amend_sql_printf(&sql, " %s ON ", amend_mariadb_guard_when(kind));
	amend_sql_name(&sql, spec->table->name);
	amend_sql_text(&sql, " FOR EACH ROW\n");
	amend_sql_text(&sql, part->mark);
	part->make[0] = keep(&sql, arena);
	return part->make[0];
}

/* InnoDB's foreign keys call no triggers for the rows that they change or delete. */
static enum amend_status refuse_cascades(struct amend_session *session,
					 const struct amend_guard_spec *spec,
					 struct amend_error *err)
{
	static const char sql[] =
		"SELECT constraint_name, delete_rule, update_rule FROM "
		"information_schema.referential_constraints WHERE constraint_schema = ? AND "
		"table_name = ? ORDER BY constraint_name";
	const struct amend_value of[] = {amend_text(spec->table->schema),
					 amend_text(spec->table->name)};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_mariadb_ask(session, sql, of, 2, &rows, err);

	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		const char *on_delete = text_at(&rows, i, 1), *on_update = text_at(&rows, i, 2);
		bool goes = strcmp(on_delete, "CASCADE") == 0;
		bool changes = strncmp(on_delete, "SET ", 4) == 0;
		bool follows = strcmp(on_update, "CASCADE") == 0 ||
			       strncmp(on_update, "SET ", 4) == 0;

		/* A row that goes needs no version. */
		if (!changes && !follows && !(goes && spec->history))
			continue;
		status = amend_error_set(
			err, AMEND_UNSUPPORTED,
			"%s cannot be guarded: its foreign key %s is %s %s, and what MariaDB's "
			"foreign keys do calls no triggers (hint: make it RESTRICT)",
			spec->table->qualified, text_at(&rows, i, 0),
			changes || (goes && spec->history) ? "ON DELETE" : "ON UPDATE",
			changes || (goes && spec->history) ? on_delete : on_update);
	}
	amend_rows_release(&rows);
	return status;
}

static enum amend_status check_spec(struct amend_session *session,
				    const struct amend_guard_spec *spec, struct amend_error *err)
{
	struct amend_buffer bare = AMEND_BUFFER_INIT;
	bool here;

	amend_ledger_name(&bare, spec->table->name);
	here = !bare.failed && strcmp(spec->table->qualified, amend_buffer_string(&bare)) == 0;
	amend_buffer_release(&bare);
	if (!here) /* its triggers would find no ledger */
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "expected a table of the connection's own database, found "
				       "%s (hint: connect to that one)",
				       spec->table->qualified);
	if (spec->by_statement)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "MariaDB's triggers are called for each row, never once a "
				       "statement");
	if (spec->stale == AMEND_STALE_NEXT)
		return amend_error_set(
			err, AMEND_UNSUPPORTED,
			"MariaDB's triggers cannot tell a version that is written as it was from "
			"one that is not written: the rule next would let stale writes pass "
			"(hint: --stale either, with programs that have WHERE version = old)");
	return refuse_cascades(session, spec, err);
}

enum amend_status amend_mariadb_guard_parts(struct amend_session *session,
					    const struct amend_guard_spec *spec,
					    struct amend_arena *arena, struct amend_guard_part **out,
					    size_t *n, struct amend_error *err)
{
	size_t count = spec->history ? AMEND_MA_GUARD_UPDATED + 1 : AMEND_MA_GUARD_VERSION + 1;
	enum amend_status status = check_spec(session, spec, err);

	*n = 0;
	*out = NULL;
	if (status != AMEND_OK)
		return status;
	*out = amend_arena_array(arena, count, sizeof(**out));
	if (!*out)
		return amend_no_memory(err);
	for (; *n < count; ++*n) {
		if (!make_part(spec, (enum amend_mariadb_guard_kind) * n, arena, &(*out)[*n]))
			return amend_no_memory(err);
	}
	return AMEND_OK;
}

enum amend_status amend_mariadb_guard_column(const struct amend_table *table, const char *name,
					     int64_t ms, struct amend_arena *arena,
					     struct amend_column *column, const char **statements,
					     struct amend_error *err)
{
	struct amend_sql sql = {.dialect = amend_driver_mariadb->dialect};

	*column = (struct amend_column){
		.name = name,
		.type = "bigint(20)",
		.cast = "decimal(65,0)",
		.number_cast = "decimal(65,0)",
		.class_ = AMEND_CLASS_INTEGER,
		.type_id = AMEND_MA_INTEGER,
		.not_null = true,
		.has_default = true,
		.collation = "",
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
	/* Without a time of day, which a time zone may have twice. */
	amend_sql_text(&sql, " SET DEFAULT (unix_timestamp() * 1000 + "
			     "microsecond(current_timestamp(3)) DIV 1000)");
	statements[1] = keep(&sql, arena);
	statements[2] = NULL;
	return statements[0] && statements[1] ? AMEND_OK : amend_no_memory(err);
}

/* --- what stands -------------------------------------------------------- */

#define UPDATE "trigger_name LIKE 'amend#_guard#_update#_%' ESCAPE '#'"

/* That of updates first: so they are taken away. The definer is no user any more, where this role sees them all; or the text is not for this role. */
static const char found_sql[] =
	"SELECT t.trigger_name, t.action_statement, t.definer, t.definer IS NOT NULL AND EXISTS "
	"(SELECT 1 FROM information_schema.user_privileges p WHERE p.grantee <> "
	"concat('''', replace(current_user(), '@', '''@'''), '''')) AND NOT EXISTS (SELECT 1 FROM "
	"information_schema.user_privileges p WHERE p.grantee = "
	"concat('''', replace(t.definer, '@', '''@'''), '''')) FROM information_schema.triggers t "
	"WHERE t.event_object_schema = ? AND t.event_object_table = ? AND "
	"t.trigger_name LIKE 'amend#_guard#_%' ESCAPE '#' ORDER BY " UPDATE " DESC, t.trigger_name";

enum { NAME, TEXT, DEFINER, ORPHANED };

static bool take_found(const struct amend_rows *rows, size_t i, struct amend_arena *arena,
		       struct amend_guard_found *out)
{
	struct amend_sql sql = {.dialect = amend_driver_mariadb->dialect};

	amend_sql_text(&sql, "DROP TRIGGER ");
	amend_sql_name(&sql, text_at(rows, i, NAME));
	out->drop[0] = keep(&sql, arena);
	out->name = amend_arena_text(arena, text_at(rows, i, NAME));
	out->mark = amend_arena_text(arena, text_at(rows, i, TEXT));
	out->problem = NULL;
	if (strcmp(text_at(rows, i, ORPHANED), "1") == 0) {
		out->problem = amend_arena_printf(arena,
						  "runs as %s, who is no user any more: every write "
						  "fails (hint: amend guard once more)",
						  text_at(rows, i, DEFINER));
		return out->problem && out->drop[0] && out->name && out->mark;
	}
	if (amend_rows_at(rows, i, TEXT)->kind == AMEND_NULL)
		out->problem = "cannot be looked at (hint: GRANT TRIGGER on the table)";
	return out->drop[0] && out->name && out->mark;
}

enum amend_status amend_mariadb_guard_found(struct amend_session *session,
					    const struct amend_table *table,
					    struct amend_arena *arena,
					    struct amend_guard_found **out, size_t *n,
					    struct amend_error *err)
{
	const struct amend_value of[] = {amend_text(table->schema), amend_text(table->name)};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_mariadb_ask(session, found_sql, of, 2, &rows, err);

	*n = 0;
	*out = NULL;
	if (status == AMEND_OK && rows.n_rows > 0) {
		*out = amend_arena_array(arena, rows.n_rows, sizeof(**out));
		if (!*out)
			status = amend_no_memory(err);
	}
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++, ++*n) {
		if (!take_found(&rows, i, arena, &(*out)[i]))
			status = amend_no_memory(err);
	}
	amend_rows_release(&rows);
	return status;
}

/* --- what a description says -------------------------------------------- */

#define VERSION "trigger_name LIKE 'amend#_guard#_version#_%' ESCAPE '#'"
#define INSERT "trigger_name LIKE 'amend#_guard#_insert#_%' ESCAPE '#'"
#define DELETE "trigger_name LIKE 'amend#_guard#_delete#_%' ESCAPE '#'"
#define STATE                                                      \
	"coalesce(max(" VERSION "), 0) + 2 * coalesce(max(" UPDATE \
	"), 0) + 4 * coalesce(max(" INSERT "), 0) + 8 * coalesce(max(" DELETE "), 0)"

/* By their names, which every role is shown, whatever it may read of them. */
void amend_mariadb_guard_state(struct amend_sql *sql, const struct amend_table *table)
{
	amend_sql_text(sql, "(SELECT " STATE
			    " FROM information_schema.triggers WHERE event_object_schema = ");
	amend_sql_literal(sql, table->schema);
	amend_sql_text(sql, " AND event_object_table = ");
	amend_sql_literal(sql, table->name);
	amend_sql_text(sql, ")");
}

static void add_record(struct amend_sql *sql, const struct amend_table *table)
{
	struct amend_buffer name = AMEND_BUFFER_INIT;
	const char *text;

	amend_ledger_name(&name, table->name);
	text = amend_buffer_string(&name);
	amend_sql_text(sql, " FROM amend_guard WHERE DATABASE() = ");
	amend_sql_literal(sql, table->schema);
	amend_sql_text(sql, " AND tbl = ");
	if (text)
		amend_sql_literal(sql, text);
	else
		sql->text.failed = true;
	amend_buffer_release(&name);
}

/* The ledger's row changes with the guard: while its triggers change it is locked. */
void amend_mariadb_guard_moment(struct amend_sql *sql, const struct amend_table *table)
{
	amend_sql_text(sql, "SELECT coalesce(max(crc32(at)), 0)");
	add_record(sql, table);
}

/* In one statement, which waits for who changes the guard. */
static enum amend_status read_record(struct amend_session *session, struct amend_table *table,
				     struct amend_error *err)
{
	struct amend_sql sql = {.dialect = amend_driver_mariadb->dialect};
	struct amend_rows rows = AMEND_ROWS_INIT;
	const char *text;
	int64_t state = 0;
	enum amend_status status;

	amend_sql_text(&sql, "SELECT version, crc32(at), ");
	amend_mariadb_guard_state(&sql, table);
	add_record(&sql, table);
	text = amend_buffer_string(&sql.text);
	status = text ? amend_mariadb_ask(session, text, NULL, 0, &rows, err) : amend_no_memory(err);
	/* No ledger, or none for this role: nothing is known of the triggers but that they are there. */
	if (status == AMEND_NOT_FOUND || status == AMEND_DENIED)
		status = AMEND_OK;
	else if (status == AMEND_OK && rows.n_rows == 1 &&
		 (!amend_value_number(amend_rows_at(&rows, 0, 1), &table->schema_version) ||
		  !amend_value_number(amend_rows_at(&rows, 0, 2), &state)))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	if (status == AMEND_OK && rows.n_rows == 1)
		table->guard_state = (unsigned)state;
	for (size_t i = 0; i < table->n_columns && rows.n_rows == 1 && table->guard_state & 1u;
	     i++) {
		if (strcasecmp(table->columns[i].name, text_at(&rows, 0, 0)) == 0) {
			table->version = (int)i;
			table->guard_version = true;
		}
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_mariadb_read_triggers(struct amend_session *session,
					      struct amend_table *table, struct amend_error *err)
{
	static const char sql[] = "SELECT " STATE ", count(*)"
				  " FROM information_schema.triggers WHERE "
				  "event_object_schema = ? AND event_object_table = ?";
	const struct amend_value of[] = {amend_text(table->schema), amend_text(table->name)};
	struct amend_rows rows = AMEND_ROWS_INIT;
	int64_t state = 0, count = 0;
	enum amend_status status = amend_mariadb_ask(session, sql, of, 2, &rows, err);

	/* A trigger cannot write to the table that it is on, but BEFORE ones change the row on its way. */
	if (status == AMEND_OK && (!amend_value_number(amend_rows_at(&rows, 0, 0), &state) ||
				   !amend_value_number(amend_rows_at(&rows, 0, 1), &count)))
		status = amend_error_set(err, AMEND_INTERNAL, "the catalogue returned no number");
	table->has_triggers = table->settles_late = count > 0;
	table->guard_state = (unsigned)state;
	table->schema_version = 0;
	amend_rows_release(&rows);
	if (status == AMEND_OK && table->guard_state != 0)
		status = read_record(session, table, err);
	table->guard_history = (table->guard_state & AMEND_MA_GUARD_RECORDING) ==
			       AMEND_MA_GUARD_RECORDING;
	return status;
}

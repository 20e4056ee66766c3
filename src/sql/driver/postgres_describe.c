/*
 * What the catalogs say of a table: columns, keys, foreign keys.
 * Leaves choosing the identity and the version column to sql/table.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"
#include "sql/sql.h"

/*
 * Which relation the name means. Without a schema: the one that the bare name
 * reaches. Indexes and composite types have their names here too, but nobody
 * would take those for tables.
 */
static const char find_sql[] =
	"SELECT c.oid, n.nspname, c.relkind, pg_catalog.pg_table_is_visible(c.oid), "
	/* What acts behind RETURNING: AFTER triggers (tgtype: neither BEFORE nor INSTEAD OF), rules,
	 * a row that refers to itself; and partitions, of which it knows no xmin. */
	"c.relkind = 'p' OR c.relhasrules "
	"OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid "
	"AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 66 = 0) "
	"OR EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid = c.oid "
	"AND o.confrelid = c.oid AND o.contype = 'f' AND o.confupdtype IN ('c', 'n', 'd')), "
	/* What has a hand in what is stored; of tables that inherit it is not looked for. */
	"c.relkind = 'p' OR c.relhasrules OR c.relhassubclass "
	"OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE "
	"t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'), "
	/* amend guard: the version column is the first of its triggers' arguments. */
	"(SELECT pg_catalog.split_part(pg_catalog.encode(t.tgargs, 'escape'), '\\000', 1) "
	"FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'zzz_amend_version' "
	"AND t.tgenabled IN ('O', 'A')), "
	"EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid "
	"AND t.tgname IN ('zzz_amend_history', 'zzz_amend_history_update') "
	"AND t.tgenabled IN ('O', 'A')) "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') "
	"AND c.relname = $1::pg_catalog.text AND CASE WHEN $2::pg_catalog.text IS NULL "
	"THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $2::pg_catalog.text END";

/*
 * base: what a domain stands for in the end. parts: every type of which the
 * value may hold something (elements, fields, bounds), for one part whose text
 * proves nothing spoils the whole. Plain types, which most are, start neither.
 * OFFSET 0 keeps the planner from reading all of pg_type each time.
 */
#define UNSOUND "('xml', 'tsquery', 'seg')"
#define TEXTUAL "x.typcategory IN ('S', 'E', 'U') AND x.typname NOT IN ('bytea', 'uuid')"

static const char columns_sql[] =
	"SELECT a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, "
	"CASE WHEN e.oid IS NULL "
	"THEN pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.typname) "
	"ELSE pg_catalog.quote_ident(en.nspname) || '.' || pg_catalog.quote_ident(e.typname) || '[]' "
	"END, coalesce(base.oid, t.oid), coalesce(base.typcategory, t.typcategory), "
	"a.attnotnull OR coalesce(base.not_null, false), a.attidentity, a.attgenerated, "
	"CASE WHEN a.attgenerated = '' THEN "
	"coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), t.typdefault) END, "
	"CASE WHEN l.collname = 'default' THEN NULL "
	"WHEN pg_catalog.pg_collation_is_visible(l.oid) THEN l.collname::pg_catalog.text "
	"ELSE ln.nspname || '.' || l.collname END, "
	"coalesce(parts.unsound, x.typname IN " UNSOUND "), coalesce(parts.textual, " TEXTUAL "), "
	"(SELECT pg_catalog.quote_ident(bn.nspname) || '.' || pg_catalog.quote_ident(bt.typname) "
	"FROM pg_catalog.pg_type bt JOIN pg_catalog.pg_namespace bn ON bn.oid = bt.typnamespace "
	"WHERE bt.oid = base.oid), "
	/* Arrays and composites in an array do not come apart row by row, one column each. */
	"CASE WHEN t.typarray <> 0 AND e.oid IS NULL "
	"AND coalesce(base.typcategory, t.typcategory) <> 'C' THEN t.typdelim END, "
	"coalesce(l.collisdeterministic, true) "
	"FROM pg_catalog.pg_attribute a "
	"JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
	"CROSS JOIN LATERAL (SELECT t.typname, t.typcategory) x "
	"JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace "
	"LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid "
	"LEFT JOIN pg_catalog.pg_namespace en ON en.oid = e.typnamespace "
	"LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
	"LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation "
	"LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace "
	"LEFT JOIN LATERAL (WITH RECURSIVE b(oid, below, not_null, typcategory, depth) AS ("
	"SELECT t.oid, t.typbasetype, t.typnotnull, t.typcategory, 0 WHERE t.typtype = 'd' "
	"UNION ALL SELECT x.oid, x.typbasetype, b.not_null OR x.typnotnull, x.typcategory, b.depth + 1 "
	"FROM b CROSS JOIN LATERAL (SELECT * FROM pg_catalog.pg_type y WHERE y.oid = b.below OFFSET 0) x) "
	"SELECT * FROM b ORDER BY depth DESC LIMIT 1) base ON true "
	"LEFT JOIN LATERAL (WITH RECURSIVE p(oid) AS ("
	"SELECT t.oid WHERE t.typtype NOT IN ('b', 'e') OR t.typcategory = 'A' "
	"UNION SELECT q.oid FROM p CROSS JOIN LATERAL "
	"(SELECT * FROM pg_catalog.pg_type y WHERE y.oid = p.oid OFFSET 0) x CROSS JOIN LATERAL ("
	"SELECT x.typbasetype UNION ALL SELECT x.typelem WHERE x.typcategory = 'A' "
	"UNION ALL SELECT f.atttypid FROM pg_catalog.pg_attribute f "
	"WHERE f.attrelid = x.typrelid AND f.attnum > 0 AND NOT f.attisdropped "
	"UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = x.oid "
	"OFFSET 0) q(oid) WHERE q.oid <> 0) "
	"SELECT pg_catalog.bool_or(x.typname IN " UNSOUND ") AS unsound, "
	"pg_catalog.bool_or(" TEXTUAL ") AS textual "
	"FROM p CROSS JOIN LATERAL (SELECT * FROM pg_catalog.pg_type y WHERE y.oid = p.oid OFFSET 0) x"
	") parts ON true "
	"WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped "
	"ORDER BY a.attnum";

/* An index in the making, or left invalid by a failed one, proves nothing. INCLUDEd columns are no key. */
static const char keys_sql[] =
	"SELECT c.relname, i.indisprimary, i.indpred IS NOT NULL, NOT i.indimmediate, "
	"coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::pg_catalog.bool, false), "
	"(SELECT pg_catalog.string_agg(k.attnum::pg_catalog.text, ' ' ORDER BY k.place) "
	"FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, place) "
	"WHERE k.place <= i.indnkeyatts) "
	"FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
	"WHERE i.indrelid = $1::pg_catalog.oid AND i.indisunique AND i.indisvalid AND i.indisready "
	"AND i.indislive AND NOT i.indisexclusion "
	"ORDER BY i.indisprimary DESC, i.indexrelid";

static const char foreign_keys_sql[] =
	"SELECT o.oid, o.conname, n.nspname, c.relname, k.attnum, a.attname "
	"FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.confrelid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(o.conkey), pg_catalog.unnest(o.confkey)) "
	"WITH ORDINALITY AS k(attnum, ref, place) "
	"JOIN pg_catalog.pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.ref "
	"WHERE o.conrelid = $1::pg_catalog.oid AND o.contype = 'f' "
	/* PostgreSQL 12 to 17 keep a second one for each partition of the table referred to. */
	"AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint u WHERE u.oid = o.conparentid "
	"AND u.conrelid = o.conrelid) "
	"ORDER BY o.conname, o.oid, k.place";

/* By the triggers of the table that is referred to, for which there is an index. */
static const char dependents_sql[] =
	"SELECT o.oid, n.nspname, c.relname, a.attname, k.ref, o.confdeltype, o.confupdtype "
	"FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid "
	"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(o.conkey), pg_catalog.unnest(o.confkey)) "
	"WITH ORDINALITY AS k(attnum, ref, place) "
	"JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.attnum "
	"WHERE o.oid IN (SELECT t.tgconstraint FROM pg_catalog.pg_trigger t "
	"WHERE t.tgrelid = $1::pg_catalog.oid AND t.tgisinternal) "
	"AND o.confrelid = $1::pg_catalog.oid AND o.contype = 'f' "
	"AND (o.confdeltype IN ('c', 'n', 'd') OR o.confupdtype IN ('c', 'n', 'd')) "
	"AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint u WHERE u.oid = o.conparentid "
	"AND u.confrelid = o.confrelid) "
	"ORDER BY o.conname, o.oid, k.place";

static const char near_sql[] =
	"SELECT c.relname, n.nspname, pg_catalog.pg_table_is_visible(c.oid) "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' "
	"AND n.nspname NOT IN ('information_schema', 'amend') "
	"AND (c.relname = $1::pg_catalog.text OR (CASE WHEN $2::pg_catalog.text IS NULL "
	"THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $2::pg_catalog.text END "
	"AND pg_catalog.abs(pg_catalog.length(c.relname::pg_catalog.text) - "
	"pg_catalog.length($1::pg_catalog.text)) <= 2)) "
	"ORDER BY c.relname = $1::pg_catalog.text DESC, c.relname, n.nspname LIMIT 2000";

static const char *cell(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

static bool cell_true(const struct amend_rows *rows, size_t row, size_t column)
{
	return *cell(rows, row, column) == 't';
}

/* --- a table that is not there ------------------------------------------ */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* At most two insertions, removals and replacements apart, letter case aside. */
static bool near(const char *a, const char *b, int left)
{
	while (*a && lower(*a) == lower(*b))
		a++, b++;
	if (!*a && !*b)
		return true;
	if (left == 0)
		return false;
	return (*a && *b && near(a + 1, b + 1, left - 1)) || (*a && near(a + 1, b, left - 1)) ||
	       (*b && near(a, b + 1, left - 1));
}

static enum amend_status not_found(struct amend_session *session, const char *schema,
				   const char *name, struct amend_error *err)
{
	const struct amend_value values[] = {amend_text(name), amend_text(schema)};
	const struct amend_statement statement = {.sql = near_sql, .values = values, .n_values = 2};
	struct amend_rows rows = AMEND_ROWS_INIT;
	char list[512] = "";
	int listed = 0;
	enum amend_status status = amend_postgres_run(session, &statement, 1, &rows, NULL, false,
						      err);

	if (status != AMEND_OK)
		return status;
	for (size_t i = 0; i < rows.n_rows && listed < 3; i++) {
		const char *found = cell(&rows, i, 0), *where = cell(&rows, i, 1);
		size_t size = strlen(list);

		/* In a name of three letters two changes make anything of anything. */
		if (!near(name, found, strlen(name) < 5 ? 1 : 2))
			continue;
		snprintf(list + size, sizeof(list) - size, "%s%s%s%s", listed++ ? ", " : "",
			 cell_true(&rows, i, 2) && !schema ? "" : where,
			 cell_true(&rows, i, 2) && !schema ? "" : ".", found);
	}
	amend_rows_release(&rows);
	amend_error_set(err, AMEND_NOT_FOUND, "no table %s%s%s%s%s%s", schema ? schema : "",
			schema ? "." : "", name, listed ? " (hint: did you mean " : "", list,
			listed   ? "?)"
			: schema ? ""
				 : " in the search path");
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", AMEND_SQLSTATE_NO_TABLE);
	return err->status;
}

static enum amend_status refuse_kind(char kind, const char *name, struct amend_error *err)
{
	static const struct {
		char kind;
		const char *words;
	} kinds[] = {
		{'v', "a view"},
		{'m', "a materialized view"},
		{'f', "a foreign table"},
		{'S', "a sequence"},
	};
	const char *words = "something else";

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].kind == kind)
			words = kinds[i].words;
	}
	return amend_error_set(err, AMEND_UNSUPPORTED, "expected %s to be a table, found %s", name,
			       words);
}

static bool is_system(const char *schema)
{
	return strcmp(schema, "pg_catalog") == 0 || strcmp(schema, "pg_toast") == 0 ||
	       strcmp(schema, "information_schema") == 0;
}

/* --- columns ------------------------------------------------------------ */

static enum amend_class class_of(uint32_t base, char category)
{
	switch (base) {
	case AMEND_PG_INT2:
	case AMEND_PG_INT4:
	case AMEND_PG_INT8:
	case AMEND_PG_OID:
		return AMEND_CLASS_INTEGER;
	case AMEND_PG_NUMERIC:
		return AMEND_CLASS_NUMBER;
	case AMEND_PG_FLOAT4:
	case AMEND_PG_FLOAT8:
		return AMEND_CLASS_REAL;
	case AMEND_PG_BOOL:
		return AMEND_CLASS_BOOLEAN;
	case AMEND_PG_BYTEA:
		return AMEND_CLASS_BLOB;
	case AMEND_PG_JSON:
	case AMEND_PG_JSONB:
		return AMEND_CLASS_JSON;
	case AMEND_PG_DATE:
	case AMEND_PG_TIME:
	case AMEND_PG_TIMESTAMP:
	case AMEND_PG_TIMESTAMPTZ:
	case AMEND_PG_TIMETZ:
		return AMEND_CLASS_TIME;
	default:
		return category == 'S' ? AMEND_CLASS_TEXT : AMEND_CLASS_OTHER;
	}
}

/* EUC_JP and EUC_TW have characters that come back as others. */
static bool lossy_encoding(const struct amend_session *session)
{
	const char *encoding = PQparameterStatus(session->conn, "server_encoding");

	return encoding && (strcmp(encoding, "EUC_JP") == 0 || strcmp(encoding, "EUC_TW") == 0);
}

static bool read_columns(const struct amend_session *session, const struct amend_rows *rows,
			 struct amend_arena *arena, struct amend_table *table)
{
	struct amend_column *columns = amend_arena_array(arena, rows->n_rows, sizeof(*columns));
	bool lossy = lossy_encoding(session);

	if (!columns)
		return false;
	for (size_t i = 0; i < rows->n_rows; i++) {
		struct amend_column *column = &columns[i];
		const char *default_ = cell(rows, i, 10);
		char identity = *cell(rows, i, 8), generated = *cell(rows, i, 9);

		column->name = amend_arena_text(arena, cell(rows, i, 1));
		column->type = amend_arena_text(arena, cell(rows, i, 2));
		column->type_id = (uint32_t)strtoul(cell(rows, i, 3), NULL, 10);
		column->cast = amend_arena_text(arena, cell(rows, i, 4));
		column->number_id = (uint32_t)strtoul(cell(rows, i, 5), NULL, 10);
		column->number_cast = *cell(rows, i, 14)
					      ? amend_arena_text(arena, cell(rows, i, 14))
					      : column->cast;
		column->delimiter = *cell(rows, i, 15);
		column->bytewise = cell_true(rows, i, 16);
		column->class_ = class_of(column->number_id, *cell(rows, i, 6));
		column->not_null = cell_true(rows, i, 7);
		column->generated = generated != '\0' || identity == 'a';
		/* serial is an identity column of older days */
		column->identity = identity != '\0' || strncmp(default_, "nextval(", 8) == 0;
		column->has_default = *default_ != '\0';
		column->default_ = *default_ ? amend_arena_text(arena, default_) : NULL;
		column->collation = amend_arena_text(arena, cell(rows, i, 11));
		column->unsound = cell_true(rows, i, 12) || (lossy && cell_true(rows, i, 13));
		if (!column->name || !column->type || !column->cast || !column->number_cast ||
		    !column->collation || (*default_ && !column->default_))
			return false;
	}
	table->columns = columns;
	table->n_columns = rows->n_rows;
	return true;
}

/* --- keys --------------------------------------------------------------- */

/* The place of the column with this attnum: dropped columns leave gaps. */
static bool place_of(const struct amend_rows *columns, const char *attnum, uint32_t *place)
{
	for (size_t i = 0; i < columns->n_rows; i++) {
		if (strcmp(cell(columns, i, 0), attnum) == 0) {
			*place = (uint32_t)i;
			return true;
		}
	}
	return false;
}

static bool read_key_columns(const struct amend_rows *columns, const char *list,
			     struct amend_arena *arena, struct amend_key *key)
{
	uint32_t *places = amend_arena_array(arena, strlen(list) / 2 + 1, sizeof(*places));
	char number[16];

	if (!places)
		return false;
	key->columns = places;
	while (*list) {
		size_t size = strcspn(list, " ");

		snprintf(number, sizeof(number), "%.*s", (int)size, list);
		/* attnum 0 is an expression; a system column cannot be in an index */
		if (place_of(columns, number, &places[key->n_columns]))
			key->n_columns++;
		else
			key->expression = true;
		list += size + (list[size] == ' ');
	}
	return true;
}

static bool read_keys(const struct amend_rows *rows, const struct amend_rows *columns,
		      struct amend_arena *arena, struct amend_table *table)
{
	struct amend_key *keys = amend_arena_array(arena, rows->n_rows, sizeof(*keys));

	if (!keys)
		return false;
	for (size_t i = 0; i < rows->n_rows; i++) {
		keys[i].name = amend_arena_text(arena, cell(rows, i, 0));
		keys[i].primary = cell_true(rows, i, 1);
		keys[i].partial = cell_true(rows, i, 2);
		keys[i].deferrable = cell_true(rows, i, 3);
		keys[i].nulls_equal = cell_true(rows, i, 4);
		if (!keys[i].name || !read_key_columns(columns, cell(rows, i, 5), arena, &keys[i]))
			return false;
	}
	table->keys = keys;
	table->n_keys = rows->n_rows;
	return true;
}

/* One row a column of a foreign key; those of one key follow each other. */
static bool read_foreign_keys(const struct amend_rows *rows, const struct amend_rows *columns,
			      struct amend_arena *arena, struct amend_table *table)
{
	struct amend_foreign_key *keys = amend_arena_array(arena, rows->n_rows, sizeof(*keys));
	uint32_t *places = amend_arena_array(arena, rows->n_rows, sizeof(*places));
	const char **references = amend_arena_array(arena, rows->n_rows, sizeof(*references));
	struct amend_foreign_key *key = NULL;

	if (!keys || !places || !references)
		return false;
	for (size_t i = 0; i < rows->n_rows; i++) {
		if (i == 0 || strcmp(cell(rows, i, 0), cell(rows, i - 1, 0)) != 0) {
			key = &keys[table->n_foreign_keys++];
			key->name = amend_arena_text(arena, cell(rows, i, 1));
			key->schema = amend_arena_text(arena, cell(rows, i, 2));
			key->table = amend_arena_text(arena, cell(rows, i, 3));
			key->columns = places + i;
			key->references = references + i;
			if (!key->name || !key->schema || !key->table)
				return false;
		}
		references[i] = amend_arena_text(arena, cell(rows, i, 5));
		if (!key || !references[i] || !place_of(columns, cell(rows, i, 4), &places[i]))
			return false;
		key->n_columns++;
	}
	table->foreign_keys = keys;
	return true;
}

static enum amend_key_action action_of(const char *letter)
{
	switch (*letter) {
	case 'c':
		return AMEND_KEY_CASCADES;
	case 'n':
	case 'd':
		return AMEND_KEY_SETS;
	default:
		return AMEND_KEY_REFUSES;
	}
}

/* Likewise; which columns are set to NULL or their default (PostgreSQL 15) does not matter. */
static bool read_dependents(const struct amend_rows *rows, const struct amend_rows *columns,
			    struct amend_arena *arena, struct amend_table *table)
{
	struct amend_dependent *list = amend_arena_array(arena, rows->n_rows, sizeof(*list));
	uint32_t *places = amend_arena_array(arena, rows->n_rows, sizeof(*places));
	const char **names = amend_arena_array(arena, rows->n_rows, sizeof(*names));
	struct amend_dependent *one = NULL;

	if (!list || !places || !names)
		return false;
	for (size_t i = 0; i < rows->n_rows; i++) {
		if (!one || strcmp(cell(rows, i, 0), cell(rows, i - 1, 0)) != 0) {
			one = &list[table->n_dependents++];
			one->schema = amend_arena_text(arena, cell(rows, i, 1));
			one->table = amend_arena_text(arena, cell(rows, i, 2));
			one->columns = names + i;
			one->references = places + i;
			one->on_delete = action_of(cell(rows, i, 5));
			one->on_update = action_of(cell(rows, i, 6));
			if (!one->schema || !one->table)
				return false;
		}
		names[i] = amend_arena_text(arena, cell(rows, i, 3));
		if (!names[i] || !place_of(columns, cell(rows, i, 4), &places[i]))
			return false;
		one->n_columns++;
	}
	table->dependents = list;
	return true;
}

/* In the arguments of a trigger bytes that are not ASCII stand as \\303. */
static void read_guard(struct amend_table *table, const char *escaped)
{
	char name[256];
	size_t n = 0;

	for (; *escaped && n + 1 < sizeof(name); escaped++) {
		if (escaped[0] == '\\' && escaped[1] == '\\') {
			name[n++] = *escaped++;
		} else if (escaped[0] == '\\' && strlen(escaped) >= 4) {
			name[n++] = (char)((escaped[1] - '0') * 64 + (escaped[2] - '0') * 8 +
					   (escaped[3] - '0'));
			escaped += 3;
		} else {
			name[n++] = *escaped;
		}
	}
	name[n] = '\0';
	for (size_t i = 0; i < table->n_columns; i++) {
		if (strcmp(table->columns[i].name, name) == 0) {
			table->version = (int)i;
			table->guard_version = true;
		}
	}
}

/* --- the whole ---------------------------------------------------------- */

enum amend_status amend_postgres_describe(struct amend_session *session, const char *schema,
					  const char *name, struct amend_arena *arena,
					  struct amend_table *table, bool *visible,
					  struct amend_error *err)
{
	const struct amend_value asked[] = {amend_text(name), amend_text(schema)};
	const struct amend_statement find = {.sql = find_sql, .values = asked, .n_values = 2};
	struct amend_rows found = AMEND_ROWS_INIT;
	struct amend_rows rows[4] = {AMEND_ROWS_INIT, AMEND_ROWS_INIT, AMEND_ROWS_INIT,
				     AMEND_ROWS_INIT};
	enum amend_status status = amend_postgres_run(session, &find, 1, &found, NULL, false, err);
	const char *guarded_by;
	char kind;

	if (status != AMEND_OK)
		return status;
	if (found.n_rows == 0) {
		status = not_found(session, schema, name, err);
		goto out;
	}
	kind = *cell(&found, 0, 2);
	/* Who may write there can undo the database itself. */
	if (is_system(cell(&found, 0, 1))) {
		status = amend_error_set(err, AMEND_UNSUPPORTED,
					 "%s.%s is a table of PostgreSQL's own", cell(&found, 0, 1),
					 name);
		goto out;
	}
	if (kind != 'r' && kind != 'p') {
		status = refuse_kind(kind, name, err);
		goto out;
	}
	*visible = cell_true(&found, 0, 3);
	table->settles_late = cell_true(&found, 0, 4);
	table->has_triggers = cell_true(&found, 0, 5);
	guarded_by = cell(&found, 0, 6);
	table->guard_history = cell_true(&found, 0, 7);
	table->guard_state = (*guarded_by ? 1u : 0u) + (table->guard_history ? 2u : 0u);
	table->schema = amend_arena_text(arena, cell(&found, 0, 1));
	table->name = amend_arena_text(arena, name);
	const struct amend_statement read[] = {
		{.sql = columns_sql, .values = amend_rows_at(&found, 0, 0), .n_values = 1},
		{.sql = keys_sql, .values = amend_rows_at(&found, 0, 0), .n_values = 1},
		{.sql = foreign_keys_sql, .values = amend_rows_at(&found, 0, 0), .n_values = 1},
		{.sql = dependents_sql, .values = amend_rows_at(&found, 0, 0), .n_values = 1},
	};
	status = amend_postgres_run(session, read, 4, rows, NULL, true, err);
	if (status == AMEND_OK &&
	    (!table->schema || !table->name || !read_columns(session, &rows[0], arena, table) ||
	     !read_keys(&rows[1], &rows[0], arena, table) ||
	     !read_foreign_keys(&rows[2], &rows[0], arena, table) ||
	     !read_dependents(&rows[3], &rows[0], arena, table)))
		status = amend_no_memory(err);
	if (status == AMEND_OK && *guarded_by)
		read_guard(table, guarded_by);
out:
	for (size_t i = 0; i < 4; i++)
		amend_rows_release(&rows[i]);
	amend_rows_release(&found);
	return status;
}

void amend_postgres_guard_state(struct amend_sql *sql, const struct amend_table *table)
{
	amend_sql_text(sql,
		       "(SELECT coalesce(pg_catalog.max(CASE WHEN t.tgname = "
		       "'zzz_amend_version' THEN 1 END), 0) + coalesce(pg_catalog.max(CASE "
		       "WHEN t.tgname <> 'zzz_amend_version' THEN 2 END), 0) "
		       "FROM pg_catalog.pg_trigger t WHERE t.tgrelid = pg_catalog.to_regclass(");
	amend_sql_literal(sql, table->sql);
	amend_sql_text(sql, ") AND t.tgname IN ('zzz_amend_version', 'zzz_amend_history', "
			    "'zzz_amend_history_update') AND t.tgenabled IN ('O', 'A'))");
}

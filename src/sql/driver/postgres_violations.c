/*
 * What of its own table stands in a row's way: types and domains, NOT NULL, CHECKs, unique indexes, exclusions.
 *
 * The catalogue has all expressions; the server evaluates them on the row as it is wanted, which
 * is built from parameters. Leaves building it to postgres_wish.c, and foreign keys to postgres_refers.c.
 */
#include "sql/driver/postgres_violations.h"

#include <string.h>

#include "core/rows.h"

/* PostgreSQL 18 has constraints that are not enforced. */
#define ENFORCED "coalesce((pg_catalog.to_jsonb(o) ->> 'conenforced')::pg_catalog.bool, true)"

static const char checks_sql[] =
	"SELECT o.conname, pg_catalog.pg_get_expr(o.conbin, o.conrelid), "
	"pg_catalog.array_to_string(o.conkey, ' ') FROM pg_catalog.pg_constraint o "
	"WHERE o.conrelid = $1::pg_catalog.text::pg_catalog.regclass AND o.contype = 'c' "
	"AND " ENFORCED " ORDER BY o.conname";

/*
 * A row for each part of each index: the operator by which it tells values apart is its opclass's
 * equality (strategy 3 of btree), or what the exclusion names. Which columns an expression or a
 * predicate has to do with is in pg_depend.
 */
static const char indexes_sql[] =
	"SELECT i.indexrelid, c.relname, i.indisexclusion, "
	"coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::pg_catalog.bool, false), "
	"pg_catalog.pg_get_expr(i.indpred, i.indrelid), "
	"pg_catalog.pg_get_indexdef(i.indexrelid, k.place, false), "
	"(SELECT pg_catalog.quote_ident(n.nspname) || '.' || p.oprname FROM pg_catalog.pg_operator p "
	"JOIN pg_catalog.pg_namespace n ON n.oid = p.oprnamespace WHERE p.oid = "
	"CASE WHEN i.indisexclusion THEN o.conexclop[k.place] ELSE (SELECT m.amopopr "
	"FROM pg_catalog.pg_opclass oc JOIN pg_catalog.pg_amop m ON m.amopfamily = oc.opcfamily "
	"AND m.amopstrategy = 3 AND m.amoplefttype = oc.opcintype "
	"AND m.amoprighttype = oc.opcintype WHERE oc.oid = i.indclass[k.place - 1]) END), "
	"(SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(l.collname) "
	"FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace "
	"WHERE l.oid = i.indcollation[k.place - 1]), "
	"(SELECT pg_catalog.string_agg(DISTINCT u.attnum::pg_catalog.text, ' ') FROM ("
	"SELECT x.attnum FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) "
	"WITH ORDINALITY AS x(attnum, place) WHERE x.place <= i.indnkeyatts AND x.attnum > 0 "
	"UNION ALL SELECT e.refobjsubid FROM pg_catalog.pg_depend e "
	"WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = i.indexrelid "
	"AND e.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass "
	"AND e.refobjid = i.indrelid AND e.refobjsubid > 0 "
	"AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)) AS u(attnum)) "
	"FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
	"LEFT JOIN pg_catalog.pg_constraint o ON o.conindid = i.indexrelid "
	"AND o.conrelid = i.indrelid AND o.contype = 'x' "
	"CROSS JOIN LATERAL pg_catalog.generate_series(1, i.indnkeyatts::pg_catalog.int4) "
	"AS k(place) "
	"WHERE i.indrelid = $1::pg_catalog.text::pg_catalog.regclass "
	"AND (i.indisunique OR i.indisexclusion) AND i.indisready AND i.indislive "
	"ORDER BY i.indisexclusion, i.indisprimary DESC, i.indexrelid, k.place";

/* ---- words ---- */

const char *amend_postgres_cell(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

bool amend_postgres_is_true(const struct amend_rows *rows, size_t row, size_t column)
{
	return *amend_postgres_cell(rows, row, column) == 't';
}

void amend_postgres_name(struct amend_buffer *sql, const char *name)
{
	amend_quote_name(sql, amend_driver_postgres->dialect, name);
}

const char *amend_postgres_kept(struct amend_postgres_asking *asking, struct amend_buffer *text)
{
	const char *kept = text->failed
				   ? NULL
				   : amend_arena_text_n(asking->arena, text->data ? text->data : "",
							text->size);

	asking->list->failed = asking->list->failed || !kept;
	amend_buffer_release(text);
	return kept;
}

const char *amend_postgres_copy(struct amend_postgres_asking *asking, const char *text)
{
	const char *kept = amend_arena_text(asking->arena, text);

	asking->list->failed = asking->list->failed || !kept;
	return kept;
}

bool amend_postgres_mark(const struct amend_postgres_asking *asking, const char *attnums,
			 bool *marked)
{
	const struct amend_table *table = asking->wish->table;
	bool known = true;

	while (*attnums) {
		size_t size = strcspn(attnums, " ");
		bool whole_row = size == 1 && *attnums == '0';

		for (size_t i = 0; i < table->n_columns; i++) {
			bool this_one = strlen(asking->attnums[i]) == size &&
					strncmp(asking->attnums[i], attnums, size) == 0;

			marked[i] = marked[i] || this_one;
			if ((this_one || whole_row) && asking->known[i] != AMEND_KNOWN)
				known = false;
		}
		attnums += size;
		attnums += strspn(attnums, " ");
	}
	return known;
}

/* ---- asking ---- */

/* What is an answer, in its way: the statement was wrong, or is not allowed. */
static bool is_answer(const struct amend_error *err)
{
	switch (err->status) {
	case AMEND_INVALID:
	case AMEND_CONSTRAINT:
	case AMEND_NOT_FOUND:
	case AMEND_DENIED:
	case AMEND_UNSUPPORTED:
	case AMEND_INTERNAL:
		return true;
	case AMEND_OK:
	case AMEND_STALE:
	case AMEND_EXISTS:
	case AMEND_CONFLICT:
	case AMEND_LOCKED:
	case AMEND_RETRY:
	case AMEND_OUTCOME_UNKNOWN:
	case AMEND_UNREACHABLE:
	case AMEND_INTERRUPTED:
	case AMEND_NO_MEMORY:
		break;
	}
	return false;
}

enum amend_status amend_postgres_ask(struct amend_postgres_asking *asking, const char *sql,
				     const struct amend_value *values, size_t n,
				     struct amend_rows *rows, bool *answered,
				     struct amend_error *why, struct amend_error *err)
{
	const struct amend_statement statements[] = {
		{.sql = "SAVEPOINT amend_look", .once = true},
		{.sql = sql, .values = values, .n_values = n, .once = true},
		{.sql = "RELEASE SAVEPOINT amend_look", .once = true},
	};
	const struct amend_statement undo[] = {
		{.sql = "ROLLBACK TO SAVEPOINT amend_look", .once = true},
		{.sql = "RELEASE SAVEPOINT amend_look", .once = true},
	};
	struct amend_rows results[3];
	size_t failed = 0;
	enum amend_status status;

	*rows = (struct amend_rows)AMEND_ROWS_INIT;
	*answered = true;
	if (!sql)
		return amend_no_memory(err);
	status = amend_postgres_run(asking->session, statements, 3, results, &failed, false, err);
	*rows = results[1];
	amend_rows_release(&results[0]);
	amend_rows_release(&results[2]);
	if (status == AMEND_OK)
		return AMEND_OK;
	*answered = false;
	*why = *err;
	amend_rows_release(rows);
	*rows = (struct amend_rows)AMEND_ROWS_INIT;
	if (!is_answer(err))
		return status;
	/* A value that cannot even be sent. */
	if (amend_postgres_state(asking->session) == AMEND_TX_ACTIVE)
		return AMEND_OK;
	return amend_postgres_run(asking->session, undo, 2, NULL, NULL, false, err);
}

enum amend_status amend_postgres_catalogue(struct amend_postgres_asking *asking, const char *sql,
					   struct amend_rows *rows, struct amend_error *err)
{
	const struct amend_value table = amend_text(asking->wish->table->sql);
	struct amend_error why;
	bool answered;

	return amend_postgres_ask(asking, sql, &table, 1, rows, &answered, &why, err);
}

enum amend_status amend_postgres_ask_rows(struct amend_postgres_asking *asking,
					  struct amend_buffer *sql, struct amend_rows *rows,
					  bool *answered, struct amend_error *why,
					  struct amend_error *err)
{
	return amend_postgres_ask(asking, sql->failed ? NULL : sql->data, asking->params,
				  asking->n_params, rows, answered, why, err);
}

void amend_postgres_take_record(struct amend_postgres_asking *asking, const struct amend_rows *rows,
				const char *const *names, size_t n,
				struct amend_violation *violation)
{
	struct amend_field *fields = amend_arena_array(asking->arena, n + 1, sizeof(*fields));

	asking->list->failed = asking->list->failed || !fields;
	for (size_t i = 0; fields && i < n; i++) {
		fields[i].column = amend_postgres_copy(asking, names[i]);
		if (!amend_arena_value(asking->arena, amend_rows_at(rows, 0, i), &fields[i].value))
			asking->list->failed = true;
	}
	violation->record = n > 0 ? fields : NULL;
	violation->n_record = n;
}

void amend_postgres_not_itself(struct amend_buffer *sql, const struct amend_postgres_asking *asking)
{
	const struct amend_table *table = asking->wish->table;

	if (!asking->old_row)
		return;
	amend_buffer_text(sql, " AND NOT (true");
	for (size_t i = 0; i < table->n_identity; i++) {
		const char *name = table->columns[table->identity[i]].name;

		amend_buffer_text(sql, " AND ");
		amend_postgres_name(sql, name);
		amend_buffer_text(sql, " IS NOT DISTINCT FROM (SELECT ");
		amend_postgres_name(sql, name);
		amend_buffer_printf(sql, " FROM %s)", asking->old_row);
	}
	amend_buffer_text(sql, ")");
}

/* ---- NOT NULL, CHECK ---- */

static void check_not_null(struct amend_postgres_asking *asking)
{
	const struct amend_wish *wish = asking->wish;

	for (size_t i = 0; i < wish->table->n_columns; i++) {
		const struct amend_column *column = &wish->table->columns[i];
		const struct amend_violation violation = {
			.kind = AMEND_VIOLATES_NOT_NULL, .columns = &column->name, .n_columns = 1};

		if (column->not_null && !asking->generated[i] && asking->known[i] == AMEND_KNOWN &&
		    asking->values[i].kind == AMEND_NULL)
			amend_violations_add(asking->list, wish, &violation, NULL);
	}
}

static enum amend_status one_check(struct amend_postgres_asking *asking,
				   const struct amend_rows *checks, size_t i,
				   struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	const char *expression = amend_postgres_cell(checks, i, 1);
	bool *marked = amend_arena_array(asking->arena, table->n_columns, sizeof(*marked));
	struct amend_violation violation = {.kind = AMEND_VIOLATES_CHECK};
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error why;
	bool answered = true, broken;
	enum amend_status status;

	if (!marked)
		return amend_no_memory(err);
	if (!amend_postgres_mark(asking, amend_postgres_cell(checks, i, 2), marked))
		return AMEND_OK;
	amend_buffer_printf(&sql, "%s SELECT (%s) IS FALSE FROM %s", asking->with, expression,
			    asking->new_row);
	status = amend_postgres_ask_rows(asking, &sql, &rows, &answered, &why, err);
	/* What cannot be evaluated does not hold either, unless it was asked in a wrong way. */
	broken = answered ? rows.n_rows == 1 && amend_postgres_is_true(&rows, 0, 0)
			  : strncmp(why.sqlstate, "42", 2) != 0 && why.status != AMEND_UNSUPPORTED;
	if (status == AMEND_OK && broken) {
		violation.constraint = amend_postgres_copy(asking,
							   amend_postgres_cell(checks, i, 0));
		violation.expression = amend_postgres_copy(asking, expression);
		violation.columns = amend_violations_columns(asking->list, table, marked,
							     &violation.n_columns);
		amend_violations_add(asking->list, asking->wish, &violation,
				     answered ? NULL : why.text);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

static enum amend_status check_checks(struct amend_postgres_asking *asking, struct amend_error *err)
{
	struct amend_rows checks = AMEND_ROWS_INIT;
	enum amend_status status = amend_postgres_catalogue(asking, checks_sql, &checks, err);

	for (size_t i = 0; i < checks.n_rows && status == AMEND_OK; i++)
		status = one_check(asking, &checks, i, err);
	amend_rows_release(&checks);
	return status;
}

/* ---- unique indexes, exclusions ---- */

/* "part OP (SELECT part FROM the new row)" */
static void add_part(struct amend_buffer *sql, const struct amend_postgres_asking *asking,
		     const struct amend_rows *indexes, size_t i)
{
	const char *part = amend_postgres_cell(indexes, i, 5);
	const char *collation = amend_postgres_cell(indexes, i, 7);
	bool nulls_equal = amend_postgres_is_true(indexes, i, 3);

	amend_buffer_printf(sql, " AND (((%s)%s%s OPERATOR(%s) (SELECT %s FROM %s))", part,
			    *collation ? " COLLATE " : "", collation,
			    amend_postgres_cell(indexes, i, 6), part, asking->new_row);
	if (nulls_equal)
		amend_buffer_printf(sql, " OR ((%s) IS NULL AND (SELECT %s FROM %s) IS NULL)", part,
				    part, asking->new_row);
	amend_buffer_text(sql, ")");
}

/* Rows `first` to `end` of the list are one index. */
static enum amend_status one_index(struct amend_postgres_asking *asking,
				   const struct amend_rows *indexes, size_t first, size_t end,
				   struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	const char *predicate = amend_postgres_cell(indexes, first, 4);
	const char **names = amend_arena_array(asking->arena, table->n_identity + 1, sizeof(*names));
	bool *marked = amend_arena_array(asking->arena, table->n_columns, sizeof(*marked));
	struct amend_violation violation = {.kind = amend_postgres_is_true(indexes, first, 2)
							    ? AMEND_VIOLATES_EXCLUSION
							    : AMEND_VIOLATES_UNIQUE};
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error why;
	bool answered = true;
	enum amend_status status;

	if (!names || !marked)
		return amend_no_memory(err);
	if (!amend_postgres_mark(asking, amend_postgres_cell(indexes, first, 8), marked))
		return AMEND_OK;
	amend_buffer_printf(&sql, "%s SELECT ", asking->with);
	for (size_t i = 0; i < table->n_identity; i++) {
		names[i] = table->columns[table->identity[i]].name;
		amend_buffer_text(&sql, i ? ", " : "");
		amend_postgres_name(&sql, names[i]);
	}
	amend_buffer_printf(&sql, "%s FROM %s%s AS ", table->n_identity ? "" : "1", asking->only,
			    table->sql);
	amend_postgres_name(&sql, table->name);
	amend_buffer_text(&sql, " WHERE true");
	for (size_t i = first; i < end; i++)
		add_part(&sql, asking, indexes, i);
	if (*predicate)
		amend_buffer_printf(&sql, " AND (%s) AND (SELECT (%s) FROM %s)", predicate,
				    predicate, asking->new_row);
	amend_postgres_not_itself(&sql, asking);
	amend_buffer_text(&sql, " LIMIT 1");
	status = amend_postgres_ask_rows(asking, &sql, &rows, &answered, &why, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		violation.constraint = amend_postgres_copy(asking,
							   amend_postgres_cell(indexes, first, 1));
		violation.columns = amend_violations_columns(asking->list, table, marked,
							     &violation.n_columns);
		amend_postgres_take_record(asking, &rows, names, table->n_identity, &violation);
		amend_violations_add(asking->list, asking->wish, &violation, NULL);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

static enum amend_status check_unique(struct amend_postgres_asking *asking, struct amend_error *err)
{
	struct amend_rows indexes = AMEND_ROWS_INIT;
	enum amend_status status = amend_postgres_catalogue(asking, indexes_sql, &indexes, err);

	for (size_t i = 0, end; i < indexes.n_rows && status == AMEND_OK; i = end) {
		end = i + 1;
		while (end < indexes.n_rows && strcmp(amend_postgres_cell(&indexes, end, 0),
						      amend_postgres_cell(&indexes, i, 0)) == 0)
			end++;
		status = one_index(asking, &indexes, i, end, err);
	}
	amend_rows_release(&indexes);
	return status;
}

/* ---- the whole ---- */

/* Nothing that a default or a function does may write, or draw from a sequence. */
static enum amend_status read_only(struct amend_postgres_asking *asking, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = "SET LOCAL transaction_read_only = on",
						  .once = true};

	return amend_postgres_run(asking->session, &statement, 1, NULL, NULL, false, err);
}

enum amend_status amend_postgres_violations(struct amend_session *session,
					    const struct amend_wish *wish,
					    struct amend_violations *list, struct amend_error *err)
{
	struct amend_postgres_asking asking = {
		.session = session, .wish = wish, .list = list, .arena = list->arena, .only = ""};
	bool same = false, made = false;
	enum amend_status status = read_only(&asking, err);

	if (status == AMEND_OK)
		status = amend_postgres_wish(&asking, &same, &made, err);
	if (status != AMEND_OK || !same)
		return status;
	if (wish->after)
		check_not_null(&asking);
	if (status == AMEND_OK && made && wish->after)
		status = check_checks(&asking, err);
	if (status == AMEND_OK && made && wish->after)
		status = check_unique(&asking, err);
	if (status == AMEND_OK && made)
		status = amend_postgres_refers(&asking, err);
	return status;
}

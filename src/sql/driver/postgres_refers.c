/*
 * Foreign keys that stand in a row's way on PostgreSQL: a parent that is not there, children that hold it.
 * Leaves what cascades do further on to the server's own message.
 */
#include <string.h>

#include "core/rows.h"
#include "sql/driver/postgres_violations.h"

/*
 * A row for each column of each foreign key, of the table and to the table. Equality is that of
 * the constraint: of parent and child, and of the parent's old and new key. Of what partitions
 * repeat, only the first. A role that may not see all rows, for row security, is told nothing.
 */
static const char keys_sql[] =
	"SELECT o.oid, o.conname, o.conrelid = o.confrelid, "
	"o.confmatchtype = 'f', o.confupdtype, o.confdeltype, "
	"pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), "
	"CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END, "
	"pg_catalog.array_to_string(ARRAY(SELECT a.attname FROM pg_catalog.pg_index i "
	"CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) "
	"WITH ORDINALITY AS p(attnum, place) JOIN pg_catalog.pg_attribute a "
	"ON a.attrelid = i.indrelid AND a.attnum = p.attnum "
	"WHERE i.indrelid = o.conrelid AND i.indisprimary ORDER BY p.place), E'\\x01'), "
	"child.attname, child.attnum, parent.attname, parent.attnum, "
	"(SELECT pg_catalog.quote_ident(s.nspname) || '.' || p.oprname FROM pg_catalog.pg_operator p "
	"JOIN pg_catalog.pg_namespace s ON s.oid = p.oprnamespace WHERE p.oid = k.pf), "
	"(SELECT pg_catalog.quote_ident(s.nspname) || '.' || p.oprname FROM pg_catalog.pg_operator p "
	"JOIN pg_catalog.pg_namespace s ON s.oid = p.oprnamespace WHERE p.oid = k.pp) "
	"FROM (SELECT $1::pg_catalog.text::pg_catalog.regclass::pg_catalog.oid) AS t(oid) "
	"JOIN pg_catalog.pg_constraint o ON o.contype = 'f' AND t.oid IN (o.conrelid, o.confrelid) "
	"CROSS JOIN LATERAL (VALUES (true), (false)) AS side(is_child) "
	"JOIN pg_catalog.pg_class c ON c.oid = CASE WHEN side.is_child THEN o.confrelid "
	"ELSE o.conrelid END "
	"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(o.conkey), pg_catalog.unnest(o.confkey), "
	"pg_catalog.unnest(o.conpfeqop), pg_catalog.unnest(o.conppeqop)) "
	"WITH ORDINALITY AS k(c, p, pf, pp, place) "
	"JOIN pg_catalog.pg_attribute child ON child.attrelid = o.conrelid AND child.attnum = k.c "
	"JOIN pg_catalog.pg_attribute parent ON parent.attrelid = o.confrelid AND parent.attnum = k.p "
	"WHERE t.oid = CASE WHEN side.is_child THEN o.conrelid ELSE o.confrelid END "
	"AND side.is_child = $2::pg_catalog.text::pg_catalog.bool "
	"AND coalesce((pg_catalog.to_jsonb(o) ->> 'conenforced')::pg_catalog.bool, true) "
	"AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint u WHERE u.oid = o.conparentid "
	"AND (u.conrelid = o.conrelid OR u.confrelid = o.confrelid)) "
	/* Whoever has disabled its triggers has it refuse nothing. */
	"AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = o.oid "
	"AND g.tgrelid = t.oid AND g.tgenabled = 'D') "
	"AND NOT pg_catalog.row_security_active(c.oid) "
	"ORDER BY o.conname, o.oid, k.place";

enum {
	OID,
	NAME,
	SELF,
	MATCH_FULL,
	ON_UPDATE,
	ON_DELETE,
	OTHER,
	OTHER_NAME,
	CHILD_KEY,
	CHILD,
	CHILD_NUMBER,
	PARENT,
	PARENT_NUMBER,
	PARENT_CHILD,
	PARENT_PARENT
};

/* One foreign key: rows `first` to `end` of the list. */
struct key {
	struct amend_postgres_asking *asking;
	const struct amend_rows *rows;
	size_t first, end;
	bool self;
};

static const char *cell(const struct key *key, size_t row, size_t column)
{
	return amend_postgres_cell(key->rows, row, column);
}

static enum amend_status ask(const struct key *key, struct amend_buffer *sql,
			     struct amend_rows *rows, bool *answered, struct amend_error *err)
{
	struct amend_postgres_asking *asking = key->asking;
	struct amend_error why;

	return amend_postgres_ask(asking, sql->failed ? NULL : sql->data, asking->params,
				  asking->n_params, rows, answered, &why, err);
}

/* The columns of this table that the key is about; false: the row's value of one is not known. */
static bool mark(const struct key *key, size_t number, bool *marked)
{
	bool known = true;

	for (size_t i = key->first; i < key->end; i++)
		known = amend_postgres_mark(key->asking, cell(key, i, number), marked) && known;
	return known;
}

static bool changes(const struct key *key, const bool *marked)
{
	const struct amend_postgres_asking *asking = key->asking;
	bool any = false;

	for (size_t i = 0; i < asking->wish->table->n_columns; i++)
		any = any ||
		      (marked[i] && (asking->generated[i] || amend_wish_changes(asking->wish, i)));
	return any;
}

/* `(SELECT "name" FROM row)` */
static void add_of(struct amend_buffer *sql, const char *name, const char *row)
{
	amend_buffer_text(sql, "(SELECT ");
	amend_postgres_name(sql, name);
	amend_buffer_printf(sql, " FROM %s)", row);
}

static void add_operator(struct amend_buffer *sql, const char *operator_)
{
	amend_buffer_printf(sql, " OPERATOR(%s) ", operator_);
}

/* The other table; where it is this one, without the row as it was, and with it as it is wanted. */
static void add_other(struct amend_buffer *sql, const struct key *key, size_t column,
		      const char *extra)
{
	const struct amend_postgres_asking *asking = key->asking;
	const char *sources[] = {asking->wish->table->sql, asking->new_row};

	if (!key->self) {
		amend_buffer_printf(sql, "%s AS other", cell(key, key->first, OTHER));
		return;
	}
	amend_buffer_text(sql, "(");
	for (size_t i = 0; i < 2 && sources[i]; i++) {
		amend_buffer_text(sql, i ? " UNION ALL SELECT " : "SELECT ");
		for (size_t j = key->first; j < key->end; j++) {
			amend_buffer_text(sql, j > key->first ? ", " : "");
			amend_postgres_name(sql, cell(key, j, column));
			amend_buffer_printf(sql, " AS key_%zu", j - key->first);
		}
		amend_buffer_printf(sql, "%s FROM %s", extra, sources[i]);
		amend_buffer_text(sql, i ? "" : " WHERE true");
		if (i == 0)
			amend_postgres_not_itself(sql, asking);
	}
	amend_buffer_text(sql, ") AS other");
}

/* A column of the other table's key. */
static void add_other_column(struct amend_buffer *sql, const struct key *key, size_t i,
			     size_t column)
{
	amend_buffer_text(sql, "other.");
	if (key->self)
		amend_buffer_printf(sql, "key_%zu", i - key->first);
	else
		amend_postgres_name(sql, cell(key, i, column));
}

/* ---- the parent ---- */

static void add_null_counts(struct amend_buffer *sql, const struct key *key)
{
	for (size_t which = 0; which < 2; which++) {
		amend_buffer_text(sql, which ? ", " : "");
		for (size_t i = key->first; i < key->end; i++) {
			amend_buffer_text(sql, i == key->first ? "(" : which ? " AND " : " OR ");
			add_of(sql, cell(key, i, CHILD), key->asking->new_row);
			amend_buffer_text(sql, " IS NULL");
		}
		amend_buffer_text(sql, ")");
	}
}

static enum amend_status parent(const struct key *key, struct amend_error *err)
{
	struct amend_postgres_asking *asking = key->asking;
	const struct amend_table *table = asking->wish->table;
	bool *marked = amend_arena_array(asking->arena, table->n_columns, sizeof(*marked));
	struct amend_violation violation = {.kind = AMEND_VIOLATES_PARENT};
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	bool answered = false, broken = false;
	enum amend_status status;

	if (!marked)
		return amend_no_memory(err);
	if (!mark(key, CHILD_NUMBER, marked) || !changes(key, marked))
		return AMEND_OK;
	amend_buffer_printf(&sql, "%s SELECT ", asking->with);
	add_null_counts(&sql, key);
	amend_buffer_text(&sql, ", EXISTS (SELECT FROM ");
	add_other(&sql, key, PARENT, "");
	for (size_t i = key->first; i < key->end; i++) {
		amend_buffer_text(&sql, i == key->first ? " WHERE " : " AND ");
		add_other_column(&sql, key, i, PARENT);
		add_operator(&sql, cell(key, i, PARENT_CHILD));
		add_of(&sql, cell(key, i, CHILD), asking->new_row);
	}
	amend_buffer_text(&sql, ")");
	status = ask(key, &sql, &rows, &answered, err);
	if (status == AMEND_OK && answered && rows.n_rows == 1) {
		bool any_null = *amend_postgres_cell(&rows, 0, 0) == 't';
		bool all_null = *amend_postgres_cell(&rows, 0, 1) == 't';
		bool full = *cell(key, key->first, MATCH_FULL) == 't';

		broken = any_null ? full && !all_null : *amend_postgres_cell(&rows, 0, 2) != 't';
	}
	if (broken) {
		violation.constraint = amend_arena_text(asking->arena, cell(key, key->first, NAME));
		violation.table = amend_arena_text(asking->arena, cell(key, key->first, OTHER_NAME));
		asking->list->failed = asking->list->failed || !violation.table;
		violation.columns = amend_violations_columns(asking->list, table, marked,
							     &violation.n_columns);
		amend_violations_add(asking->list, asking->wish, &violation, NULL);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

/* ---- children ---- */

static bool refuses(const struct key *key)
{
	const char *action = cell(key, key->first, key->asking->wish->after ? ON_UPDATE : ON_DELETE);

	return *action == 'a' || *action == 'r';
}

/* " WHERE old OP child AND ...", and of an update: and the key does not stay what it is. */
static void add_children_where(struct amend_buffer *sql, const struct key *key)
{
	const struct amend_postgres_asking *asking = key->asking;

	for (size_t i = key->first; i < key->end; i++) {
		amend_buffer_text(sql, i == key->first ? " WHERE " : " AND ");
		add_of(sql, cell(key, i, PARENT), asking->old_row);
		add_operator(sql, cell(key, i, PARENT_CHILD));
		add_other_column(sql, key, i, CHILD);
	}
	if (!asking->wish->after)
		return;
	amend_buffer_text(sql, " AND (true");
	for (size_t i = key->first; i < key->end; i++) {
		amend_buffer_text(sql, " AND ");
		add_of(sql, cell(key, i, PARENT), asking->old_row);
		add_operator(sql, cell(key, i, PARENT_PARENT));
		add_of(sql, cell(key, i, PARENT), asking->new_row);
	}
	amend_buffer_text(sql, ") IS NOT TRUE");
}

/* The child's primary key, its names between \1; their number. */
static size_t child_key(const struct key *key, const char **names, size_t room)
{
	const char *list = cell(key, key->first, CHILD_KEY);
	size_t n = 0;

	while (*list && n < room) {
		size_t size = strcspn(list, "\1");

		names[n] = amend_arena_text_n(key->asking->arena, list, size);
		if (!names[n])
			return 0;
		n++;
		list += size;
		list += *list == '\1';
	}
	return n;
}

static enum amend_status find_children(const struct key *key, struct amend_violation *violation,
				       struct amend_error *err)
{
	enum { MOST_KEYS = 32 };
	struct amend_postgres_asking *asking = key->asking;
	const char *names[MOST_KEYS];
	struct amend_buffer sql = AMEND_BUFFER_INIT, extra = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	size_t n_names = child_key(key, names, MOST_KEYS);
	bool answered = false;
	int64_t number = 0;
	enum amend_status status;

	for (size_t i = 0; i < n_names; i++) {
		amend_buffer_text(&extra, ", ");
		amend_postgres_name(&extra, names[i]);
		amend_buffer_printf(&extra, " AS name_%zu", i);
	}
	amend_buffer_printf(&sql, "%s, held AS (SELECT 1 AS one", asking->with);
	for (size_t i = 0; i < n_names; i++) {
		amend_buffer_text(&sql, ", other.");
		if (key->self)
			amend_buffer_printf(&sql, "name_%zu", i);
		else
			amend_postgres_name(&sql, names[i]);
		amend_buffer_printf(&sql, " AS name_%zu", i);
	}
	amend_buffer_text(&sql, " FROM ");
	add_other(&sql, key, CHILD, extra.data ? extra.data : "");
	add_children_where(&sql, key);
	amend_buffer_printf(&sql, " LIMIT %d) SELECT ", AMEND_VIOLATION_MOST);
	for (size_t i = 0; i < n_names; i++)
		amend_buffer_printf(&sql, "name_%zu, ", i);
	amend_buffer_text(&sql, "(SELECT pg_catalog.count(*) FROM held) FROM held LIMIT 1");
	sql.failed = sql.failed || extra.failed;
	status = ask(key, &sql, &rows, &answered, err);
	if (status == AMEND_OK && rows.n_rows == 1) {
		amend_value_number(amend_rows_at(&rows, 0, n_names), &number);
		amend_postgres_take_record(asking, &rows, names, n_names, violation);
	}
	violation->n_records = (uint64_t)number;
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	amend_buffer_release(&extra);
	return status;
}

static enum amend_status children(const struct key *key, struct amend_error *err)
{
	struct amend_postgres_asking *asking = key->asking;
	const struct amend_wish *wish = asking->wish;
	bool *marked = amend_arena_array(asking->arena, wish->table->n_columns, sizeof(*marked));
	struct amend_violation violation = {.kind = AMEND_VIOLATES_CHILDREN};
	enum amend_status status;

	if (!marked)
		return amend_no_memory(err);
	if (!refuses(key) ||
	    (wish->after && (!mark(key, PARENT_NUMBER, marked) || !changes(key, marked))))
		return AMEND_OK;
	if (!wish->after)
		(void)mark(key, PARENT_NUMBER, marked);
	status = find_children(key, &violation, err);
	if (status != AMEND_OK || violation.n_records == 0)
		return status;
	violation.constraint = amend_arena_text(asking->arena, cell(key, key->first, NAME));
	violation.table = amend_arena_text(asking->arena, cell(key, key->first, OTHER_NAME));
	asking->list->failed = asking->list->failed || !violation.table;
	violation.columns = amend_violations_columns(asking->list, wish->table, marked,
						     &violation.n_columns);
	amend_violations_add(asking->list, wish, &violation, NULL);
	return AMEND_OK;
}

/* ---- both ---- */

static enum amend_status side(struct amend_postgres_asking *asking, bool is_child,
			      struct amend_error *err)
{
	const struct amend_value values[] = {amend_text(asking->wish->table->sql),
					     amend_text(is_child ? "true" : "false")};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error why;
	bool answered;
	enum amend_status status = amend_postgres_ask(asking, keys_sql, values, 2, &rows, &answered,
						      &why, err);

	for (size_t i = 0, end; i < rows.n_rows && status == AMEND_OK; i = end) {
		struct key key = {.asking = asking, .rows = &rows, .first = i};

		end = i + 1;
		while (end < rows.n_rows && strcmp(amend_postgres_cell(&rows, end, OID),
						   amend_postgres_cell(&rows, i, OID)) == 0)
			end++;
		key.end = end;
		key.self = *amend_postgres_cell(&rows, i, SELF) == 't';
		status = is_child ? parent(&key, err) : children(&key, err);
	}
	amend_rows_release(&rows);
	return status;
}

enum amend_status amend_postgres_refers(struct amend_postgres_asking *asking,
					struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (asking->wish->after)
		status = side(asking, true, err);
	if (status == AMEND_OK && asking->wish->before)
		status = side(asking, false, err);
	return status;
}

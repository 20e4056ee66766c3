/*
 * The functions behind a guarded table's triggers.
 * Leaves the pieces they are made of to postgres_guard_text.c, and triggers to postgres_guard.c.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_POSTGRES

#include "sql/driver/postgres_guard.h"

static const struct amend_column *version_of(const struct amend_guard_spec *spec)
{
	return &spec->table->columns[spec->table->version];
}

/* --- versions ----------------------------------------------------------- */

static void add_versions(struct amend_sql *sql, const struct amend_guard_spec *spec,
			 const char *between, const char *behind)
{
	amend_pg_guard_column(sql, version_of(spec), "NEW.");
	amend_sql_text(sql, between);
	amend_pg_guard_column(sql, version_of(spec), "OLD.");
	amend_sql_text(sql, behind);
}

/* Who came first is looked up where history knows it. */
static void add_refusal(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	if (spec->history) {
		amend_sql_text(
			sql, "\t\tSELECT format(', changed by %s at %s UTC', "
			     "coalesce(nullif(r.who, ''), 'somebody'), \"left\"(r.at, 19)) INTO who "
			     "FROM amend.change c JOIN amend.revision r ON r.id = c.revision "
			     "WHERE c.tbl = ");
		amend_pg_guard_literal(sql, spec->table->qualified);
		amend_sql_text(sql, " AND c.pk = ");
		amend_pg_guard_pk(sql, spec, "OLD.");
		amend_sql_text(sql, " ORDER BY c.id DESC LIMIT 1;\n");
	}
	amend_sql_text(sql,
		       "\t\tRAISE EXCEPTION USING ERRCODE = '" AMEND_SQLSTATE_STALE "', MESSAGE = "
		       "pg_catalog.format('%s: version %s was written, %s is there%s', ");
	amend_pg_guard_literal(sql, spec->table->qualified);
	amend_sql_text(sql, ", NEW.");
	amend_sql_name(sql, version_of(spec)->name);
	amend_sql_text(sql, ", OLD.");
	amend_sql_name(sql, version_of(spec)->name);
	amend_sql_text(sql, spec->history ? ", who" : ", ''");
	amend_sql_text(sql, "), DETAIL = ");
	amend_pg_guard_pk(sql, spec, "OLD.");
	amend_sql_text(sql,
		       ", HINT = 'It was changed after it was read: read it again, and repeat what "
		       "is still wanted.'");
	/* A program that counts by itself is always refused then: it is told why. */
	if (spec->stale == AMEND_STALE_EQUAL) {
		amend_sql_text(sql, " || CASE WHEN ");
		add_versions(sql, spec, " = ",
			     " + 1 THEN ' Or: " AMEND_GUARD_COUNTS_HINT ".' ELSE '' END");
	}
	amend_sql_text(sql, ", SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = ");
	amend_pg_guard_literal(sql, version_of(spec)->name);
	amend_sql_text(sql, ";\n");
}

static void begin_version_body(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(sql, spec->history ? "DECLARE\n\twho text := '';\nBEGIN\n" : "BEGIN\n");
}

void amend_pg_guard_stale_body(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	begin_version_body(sql, spec);
	amend_sql_text(sql, "\tIF ");
	add_versions(sql, spec, " IS DISTINCT FROM ", " + 1 THEN\n");
	add_refusal(sql, spec);
	amend_sql_text(sql, "\tEND IF;\n\tRETURN NEW;\nEND");
}

void amend_pg_guard_version_body(struct amend_sql *sql, const struct amend_guard_spec *spec,
				 bool next)
{
	if (next) {
		amend_sql_text(sql, "BEGIN\n\tIF ");
		add_versions(sql, spec, " = ", " THEN\n\t\t");
		add_versions(sql, spec, " := ", " + 1;\n\tEND IF;\n\tRETURN NEW;\nEND");
		return;
	}
	begin_version_body(sql, spec);
	amend_sql_text(sql, "\tIF ");
	add_versions(sql, spec, " IS DISTINCT FROM ", "");
	if (spec->stale == AMEND_STALE_EITHER) {
		amend_sql_text(sql, " AND ");
		add_versions(sql, spec, " IS DISTINCT FROM ", " + 1");
	}
	amend_sql_text(sql, " THEN\n");
	add_refusal(sql, spec);
	amend_sql_text(sql, "\tEND IF;\n\t");
	add_versions(sql, spec, " := ", " + 1;\n\tRETURN NEW;\nEND");
}

/* --- history ------------------------------------------------------------ */

/*
 * Numbers of revisions and changes come from sequences, and what lastval() says is the writing
 * program's own: it is read before, and put back by way of a sequence that serves nothing else.
 */
static const char keep_lastval[] =
	"\tBEGIN\n"
	"\t\tkept := lastval();\n"
	"\tEXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN\n"
	"\t\tkept := NULL;\n"
	"\tEND;\n";

static const char put_lastval[] = "\tkept := nextval('amend.guard_lastval'::regclass) % 2 * 0 + kept;\n"
				  "\tkept := setval('amend.guard_lastval'::regclass, kept);\n";

static const char insert_change[] = "INSERT INTO amend.change (revision, tbl, pk, was, op, fields)";

/* `variable := ` the name of that row. */
static void add_name(struct amend_sql *sql, const char *variable, const char *row,
		     const struct amend_guard_spec *spec)
{
	amend_sql_text(sql, variable);
	amend_pg_guard_pk(sql, spec, row);
	amend_sql_text(sql, ";\n");
}

/* The same values as above from the rows as they are now, where a column of theirs is gone. */
static void add_fallback(struct amend_sql *sql, const struct amend_guard_spec *spec,
			 enum amend_pg_guard_event event)
{
	const char *from = event == AMEND_PG_GUARD_INSERT ? NULL : "o.";
	const char *to = event == AMEND_PG_GUARD_DELETE ? NULL : "n.";

	amend_sql_text(sql, "\t\tSELECT ");
	amend_pg_guard_pk(sql, spec, to ? "n." : "o.");
	if (event == AMEND_PG_GUARD_UPDATE) {
		amend_sql_text(sql, ", CASE WHEN ");
		amend_pg_guard_moved(sql, spec, "o.", "n.");
		amend_sql_text(sql, " THEN ");
		amend_pg_guard_pk(sql, spec, "o.");
		amend_sql_text(sql, " END,\n\t\t\t");
		amend_pg_guard_changed(sql, spec, AMEND_PG_GUARD_BEFORE, from, to);
		amend_sql_text(sql, ",\n\t\t\t");
		amend_pg_guard_changed(sql, spec, AMEND_PG_GUARD_AFTER, from, to);
		amend_sql_text(sql, ",\n\t\t\t");
		amend_pg_guard_version(sql, spec, from, to);
		amend_sql_text(sql, "\n\t\t\tINTO name, was, fields, behind, version\n");
	} else {
		amend_sql_text(sql, ",\n\t\t\t");
		amend_pg_guard_whole(sql, spec, from, to);
		amend_sql_text(sql, "\n\t\t\tINTO name, fields\n");
	}
	amend_sql_text(sql, "\t\t\tFROM ");
	if (from) {
		amend_pg_guard_present(sql, spec, "(SELECT (OLD).*) AS x", "o", false);
	}
	if (to) {
		amend_sql_text(sql, from ? ", " : "");
		amend_pg_guard_present(sql, spec, "(SELECT (NEW).*) AS x", "n", false);
	}
	amend_sql_text(sql, ";\n");
}

static void add_update(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(sql, "\t\t\tfields := ");
	amend_pg_guard_changed(sql, spec, AMEND_PG_GUARD_BEFORE, "OLD.", "NEW.");
	amend_sql_text(sql, ";\n\t\t\tbehind := ");
	amend_pg_guard_changed(sql, spec, AMEND_PG_GUARD_AFTER, "OLD.", "NEW.");
	amend_sql_text(sql, ";\n\t\t\tversion := ");
	amend_pg_guard_version(sql, spec, "OLD.", "NEW.");
	amend_sql_text(sql, ";\n");
	add_name(sql, "\t\t\tname := ", "NEW.", spec);
	amend_sql_text(sql, "\t\t\tIF ");
	amend_pg_guard_moved(sql, spec, "OLD.", "NEW.");
	amend_sql_text(sql, " THEN\n");
	add_name(sql, "\t\t\t\twas := ", "OLD.", spec);
	amend_sql_text(sql, "\t\t\tEND IF;\n");
}

/* A row at a time: the columns named, for that is what plpgsql is fast at. */
void amend_pg_guard_row_body(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(sql, "#variable_conflict use_column\nDECLARE\n"
			    "\tkept bigint;\n\tname text;\n\twas text;\n\tfields text;\n"
			    "\tbehind text := '';\n\tversion text := '';\n"
			    "BEGIN\n");
	amend_sql_text(sql, "\tBEGIN\n\t\tIF TG_OP = 'UPDATE' THEN\n");
	add_update(sql, spec);
	amend_sql_text(sql, "\t\tELSIF TG_OP = 'INSERT' THEN\n");
	add_name(sql, "\t\t\tname := ", "NEW.", spec);
	amend_sql_text(sql, "\t\t\tfields := ");
	amend_pg_guard_whole(sql, spec, NULL, "NEW.");
	amend_sql_text(sql, ";\n\t\tELSE\n");
	add_name(sql, "\t\t\tname := ", "OLD.", spec);
	amend_sql_text(sql, "\t\t\tfields := ");
	amend_pg_guard_whole(sql, spec, "OLD.", NULL);
	amend_sql_text(
		sql,
		";\n\t\tEND IF;\n"
		"\tEXCEPTION WHEN undefined_column THEN\n"
		"\t\t-- a column was dropped since: amend guard once more makes this fast again\n"
		"\t\tIF TG_OP = 'UPDATE' THEN\n");
	add_fallback(sql, spec, AMEND_PG_GUARD_UPDATE);
	amend_sql_text(sql, "\t\tELSIF TG_OP = 'INSERT' THEN\n");
	add_fallback(sql, spec, AMEND_PG_GUARD_INSERT);
	amend_sql_text(sql, "\t\tELSE\n");
	add_fallback(sql, spec, AMEND_PG_GUARD_DELETE);
	amend_sql_text(sql, "\t\tEND IF;\n\tEND;\n"
			    "\tIF TG_OP = 'UPDATE' AND fields = '' AND behind = '' THEN\n"
			    "\t\tRETURN NULL;\n\tEND IF;\n");
	amend_sql_text(sql, keep_lastval);
	amend_sql_text(sql, "\t");
	amend_sql_text(sql, insert_change);
	amend_sql_text(sql, " VALUES (amend.guard_revision(), ");
	amend_pg_guard_literal(sql, spec->table->qualified);
	amend_sql_text(sql,
		       ", name, was, CASE TG_OP WHEN 'INSERT' THEN 'create' ELSE lower(TG_OP) END, "
		       "'{' || substr(fields || version || behind, 2) || '}');\n");
	amend_sql_text(sql, put_lastval);
	amend_sql_text(sql, "\tRETURN NULL;\nEND");
}

static void add_insert_from(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    const char *op, const char *fields)
{
	amend_sql_text(sql, "\t");
	amend_sql_text(sql, insert_change);
	amend_sql_text(sql, "\n\t\tSELECT (SELECT amend.guard_revision()), ");
	amend_pg_guard_literal(sql, spec->table->qualified);
	amend_sql_printf(sql, ", name, was, '%s', '{' || substr(%s, 2) || '}'\n\t\tFROM (SELECT ",
			 op, fields);
}

/* `numbered`: old and new are paired by their places, for their names do not pair them. */
static void add_update_from(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    bool numbered)
{
	const struct amend_table *table = spec->table;

	add_insert_from(sql, spec, "update", "front || version || behind");
	amend_pg_guard_pk(sql, spec, "n.");
	amend_sql_text(sql, " AS name, CASE WHEN ");
	amend_pg_guard_moved(sql, spec, "o.", "n.");
	amend_sql_text(sql, " THEN ");
	amend_pg_guard_pk(sql, spec, "o.");
	amend_sql_text(sql, " END AS was,\n\t\t\t(");
	amend_pg_guard_changed(sql, spec, AMEND_PG_GUARD_BEFORE, "o.", "n.");
	amend_sql_text(sql, ") AS front,\n\t\t\t(");
	amend_pg_guard_changed(sql, spec, AMEND_PG_GUARD_AFTER, "o.", "n.");
	amend_sql_text(sql, ") AS behind,\n\t\t\t");
	amend_pg_guard_version(sql, spec, "o.", "n.");
	amend_sql_text(sql, " AS version\n\t\t\tFROM ");
	amend_pg_guard_present(sql, spec, "amend_old", "o", numbered);
	amend_sql_text(sql, "\n\t\t\tJOIN ");
	amend_pg_guard_present(sql, spec, "amend_new", "n", numbered);
	amend_sql_text(sql, " ON ");
	for (size_t i = 0; i < table->n_identity && !numbered; i++) {
		amend_sql_and(sql, i);
		amend_pg_guard_column(sql, &table->columns[table->identity[i]], "o.");
		amend_sql_text(sql, " = ");
		amend_pg_guard_column(sql, &table->columns[table->identity[i]], "n.");
	}
	amend_sql_text(sql, numbered ? "o.\"amend place\" = n.\"amend place\"" : "");
	amend_sql_text(sql, "\n\t\t\tWHERE true) AS w\n\t\tWHERE front <> '' OR behind <> '';\n");
}

/* Whether a name went that did not come: an update has moved it. */
static void add_names_moved(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	const struct amend_table *table = spec->table;

	amend_sql_text(sql,
		       "EXISTS (SELECT FROM amend_old o WHERE NOT EXISTS (SELECT FROM amend_new n "
		       "WHERE ");
	for (size_t i = 0; i < table->n_identity; i++) {
		amend_sql_and(sql, i);
		amend_pg_guard_column(sql, &table->columns[table->identity[i]], "o.");
		amend_sql_text(sql, " = ");
		amend_pg_guard_column(sql, &table->columns[table->identity[i]], "n.");
	}
	amend_sql_text(sql, "))");
}

/* All rows that came, or that went. */
static void add_whole_from(struct amend_sql *sql, const struct amend_guard_spec *spec,
			   const char *source, bool came)
{
	const char *from = came ? NULL : "o.", *to = came ? "o." : NULL;

	add_insert_from(sql, spec, came ? "create" : "delete", "fields");
	amend_pg_guard_pk(sql, spec, "o.");
	amend_sql_text(sql, " AS name, NULL::text AS was,\n\t\t\t");
	amend_pg_guard_whole(sql, spec, from, to);
	amend_sql_text(sql, " AS fields\n\t\t\tFROM ");
	amend_pg_guard_present(sql, spec, source, "o", false);
	amend_sql_text(sql, ") AS w;\n");
}

void amend_pg_guard_statement_body(struct amend_sql *sql, const struct amend_guard_spec *spec,
				   enum amend_pg_guard_event event)
{
	amend_sql_text(sql, "#variable_conflict use_column\nDECLARE\n\tkept bigint;\nBEGIN\n");
	amend_sql_text(sql, "\tIF NOT EXISTS (SELECT FROM ");
	amend_sql_text(sql, event == AMEND_PG_GUARD_INSERT ? "amend_new" : "amend_old");
	amend_sql_text(sql, ") THEN\n\t\tRETURN NULL;\n\tEND IF;\n");
	amend_sql_text(sql, keep_lastval);
	switch (event) {
	case AMEND_PG_GUARD_INSERT:
		add_whole_from(sql, spec, "amend_new", true);
		break;
	case AMEND_PG_GUARD_DELETE:
		add_whole_from(sql, spec, "amend_old", false);
		break;
	case AMEND_PG_GUARD_UPDATE:
		amend_sql_text(sql, "\tIF ");
		add_names_moved(sql, spec);
		amend_sql_text(sql, " THEN\n");
		add_update_from(sql, spec, true);
		amend_sql_text(sql, "\tELSE\n");
		add_update_from(sql, spec, false);
		amend_sql_text(sql, "\tEND IF;\n");
		break;
	}
	amend_sql_text(sql, put_lastval);
	amend_sql_text(sql, "\tRETURN NULL;\nEND");
}

/* TRUNCATE calls no trigger for its rows: they are read before it. */
void amend_pg_guard_truncate_body(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(
		sql,
		"#variable_conflict use_column\nDECLARE\n\tkept bigint;\nBEGIN\n\tIF NOT EXISTS (SELECT FROM ");
	amend_sql_text(sql, spec->table->sql);
	amend_sql_text(sql, ") THEN\n\t\tRETURN NULL;\n\tEND IF;\n");
	amend_sql_text(sql, keep_lastval);
	add_whole_from(sql, spec, spec->table->sql, false);
	amend_sql_text(sql, put_lastval);
	amend_sql_text(sql, "\tRETURN NULL;\nEND");
}

#endif

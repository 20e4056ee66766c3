/*
 * What the triggers of a guarded table do: refuse what is stale, move the version, record.
 * Leaves pieces of their text to sqlite_guard_text.c, and which there are to sqlite_guard.c.
 *
 * SQLite's triggers cannot assign NEW, so the version is moved by an UPDATE of their own, which
 * the trigger that refuses must let pass: it changes nothing but the version, by one.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_SQLITE

#include "sql/driver/sqlite_guard.h"

/* Milliseconds since 1970: the same all through one statement. */
#define CLOCK "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
#define NOW "strftime('%Y-%m-%d %H:%M:%f000', 'now')"

static const struct {
	const char *name, *when;
} kinds[] = {
	[AMEND_SQLITE_GUARD_STALE] = {"stale", "BEFORE UPDATE OF "},
	[AMEND_SQLITE_GUARD_UPDATED] = {"update", "AFTER UPDATE ON "},
	[AMEND_SQLITE_GUARD_INSERTING] = {"replace", "BEFORE INSERT ON "},
	[AMEND_SQLITE_GUARD_INSERTED] = {"insert", "AFTER INSERT ON "},
	[AMEND_SQLITE_GUARD_DELETED] = {"delete", "AFTER DELETE ON "},
};

char *amend_sqlite_guard_name(const struct amend_guard_spec *spec, enum amend_sqlite_guard_kind kind)
{
	return sqlite3_mprintf("amend_guard_%s_%s", kinds[kind].name, spec->table->name);
}

static const struct amend_column *version_of(const struct amend_guard_spec *spec)
{
	return &spec->table->columns[spec->table->version];
}

static void add_version(struct amend_sql *sql, const struct amend_guard_spec *spec,
			const char *prefix)
{
	amend_sqlite_guard_field(sql, version_of(spec), prefix);
}

static void add_name_of(struct amend_sql *sql, const struct amend_guard_spec *spec,
			enum amend_sqlite_guard_kind kind)
{
	char *name = amend_sqlite_guard_name(spec, kind);

	if (name)
		amend_sql_name(sql, name);
	else
		sql->text.failed = true;
	sqlite3_free(name);
}

static void add_tbl(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_literal(sql, spec->table->qualified);
}

/* --- versions ----------------------------------------------------------- */

static void add_raise_with(struct amend_sql *sql, const struct amend_guard_spec *spec,
			   const char *hint)
{
	char *text = sqlite3_mprintf(AMEND_SQLITE_STALE
				     "%s was changed after it was read: the version "
				     "that was written is not the one that is there%s",
				     spec->table->qualified, hint);

	amend_sql_text(sql, "RAISE(ABORT, ");
	if (text)
		amend_sql_literal(sql, text);
	else
		sql->text.failed = true;
	amend_sql_text(sql, ")");
	sqlite3_free(text);
}

/* A program that counts by itself is always refused where the rule is `equal`: it is told why. */
static void add_raise(struct amend_sql *sql, const struct amend_guard_spec *spec, const char *from,
		      const char *to)
{
	if (spec->stale != AMEND_STALE_EQUAL) {
		add_raise_with(sql, spec, "");
		return;
	}
	amend_sql_text(sql, "CASE WHEN ");
	amend_sql_text(sql, to);
	amend_sql_text(sql, " IS ");
	amend_sql_text(sql, from);
	amend_sql_text(sql, " + 1 THEN ");
	add_raise_with(sql, spec, " (hint: " AMEND_GUARD_COUNTS_HINT ")");
	amend_sql_text(sql, " ELSE ");
	add_raise_with(sql, spec, "");
	amend_sql_text(sql, " END");
}

/* Whether the version written, behind `to`, is none that the rule allows where `from` is there. */
static void add_is_stale(struct amend_sql *sql, const struct amend_guard_spec *spec,
			 const char *from, const char *to)
{
	if (spec->stale != AMEND_STALE_NEXT) {
		amend_sql_text(sql, to);
		amend_sql_text(sql, " IS NOT ");
		amend_sql_text(sql, from);
	}
	if (spec->stale == AMEND_STALE_EITHER)
		amend_sql_text(sql, " AND ");
	if (spec->stale != AMEND_STALE_EQUAL) {
		amend_sql_text(sql, to);
		amend_sql_text(sql, " IS NOT ");
		amend_sql_text(sql, from);
		amend_sql_text(sql, " + 1");
	}
}

/* What a creation that does not speak of the version is given by the column's default. */
static void add_is_default(struct amend_sql *sql, const struct amend_guard_spec *spec,
			   const char *version)
{
	if (!version_of(spec)->default_) {
		amend_sql_text(sql, "(0)");
		return;
	}
	amend_sql_text(sql, "(");
	amend_sql_text(sql, version);
	amend_sql_text(sql, " IS (");
	amend_sql_text(sql, version_of(spec)->default_);
	amend_sql_text(sql, "))");
}

static void add_stale(struct amend_sql *sql, const struct amend_guard_spec *spec, const char *old,
		      const char *new)
{
	bool has_default = version_of(spec)->default_ != NULL;

	add_name_of(sql, spec, AMEND_SQLITE_GUARD_STALE);
	amend_sql_text(sql, " ");
	amend_sql_text(sql, kinds[AMEND_SQLITE_GUARD_STALE].when);
	amend_sql_name(sql, version_of(spec)->name);
	amend_sql_text(sql, " ON ");
	amend_sql_name(sql, spec->table->name);
	amend_sql_text(sql, "\nWHEN ");
	add_is_stale(sql, spec, old, new);
	/* But not the triggers' own: nothing else changes then. */
	if (spec->stale == AMEND_STALE_EQUAL || has_default) {
		amend_sql_text(sql, " AND (");
		if (spec->stale == AMEND_STALE_EQUAL) {
			amend_sql_text(sql, new);
			amend_sql_text(sql, " IS NOT ");
			amend_sql_text(sql, old);
			amend_sql_text(sql, " + 1");
		}
		if (has_default) {
			amend_sql_text(sql, spec->stale == AMEND_STALE_EQUAL ? " AND NOT " : "NOT ");
			add_is_default(sql, spec, old);
		}
		amend_sql_text(sql, " OR ");
		amend_sqlite_guard_differs(sql, spec, false);
		amend_sql_text(sql, ")");
	}
	amend_sql_text(sql, "\nBEGIN\n\tSELECT ");
	add_raise(sql, spec, old, new);
	amend_sql_text(sql, ";\nEND");
}

static void add_set_version(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(sql, "\tUPDATE ");
	amend_sql_name(sql, spec->table->name);
	amend_sql_text(sql, " SET ");
	amend_sql_name(sql, version_of(spec)->name);
	amend_sql_text(sql, " = ");
}

/* --- history ------------------------------------------------------------ */

/* `changed` NULL: it always is. */
static void add_revision(struct amend_sql *sql, const char *changed)
{
	amend_sql_text(
		sql,
		"\tINSERT INTO amend_revision (at, who, why, program)\n\t\tSELECT " NOW ", "
		"coalesce((SELECT who FROM amend_session ORDER BY one DESC), ''), "
		"coalesce((SELECT why FROM amend_session ORDER BY one DESC), ''), "
		"coalesce((SELECT program FROM amend_session ORDER BY one DESC), '')\n"
		"\t\tWHERE NOT coalesce((SELECT revision IS NOT NULL FROM amend_session ORDER BY "
		"one DESC), EXISTS (SELECT 1 FROM amend_statement WHERE total = total_changes() "
		"AND at = " NOW "))");
	if (changed) {
		amend_sql_text(sql, "\n\t\tAND ");
		amend_sql_text(sql, changed);
	}
	amend_sql_text(sql, ";\n");
}

/* Directly behind add_revision: changes() says whether it made one. */
static void add_change_head(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(sql,
		       "\tINSERT INTO amend_change (revision, tbl, pk, was, op, fields)\n\t\tSELECT "
		       "CASE changes() WHEN 1 THEN last_insert_rowid() ELSE "
		       "coalesce((SELECT revision FROM amend_session ORDER BY one DESC), "
		       "(SELECT revision FROM amend_statement)) END, ");
	add_tbl(sql, spec);
	amend_sql_text(sql, ", ");
}

/* A named writer's revision, once it is made. */
static void add_session_mark(struct amend_sql *sql, const char *changed)
{
	amend_sql_text(sql,
		       "\tUPDATE amend_session SET revision = (SELECT revision FROM amend_change "
		       "ORDER BY id DESC) WHERE revision IS NULL AND one = (SELECT max(one) FROM "
		       "amend_session)");
	if (changed) {
		amend_sql_text(sql, " AND ");
		amend_sql_text(sql, changed);
	}
	amend_sql_text(sql, ";\n");
}

/* Behind everything: by it the next row of this statement finds the revision, past rows that did not change. */
static void add_statement_mark(struct amend_sql *sql, const char *changed)
{
	static const char last[] = "(SELECT revision FROM amend_change ORDER BY id DESC)";

	amend_sql_text(sql, "\tUPDATE amend_statement SET revision = ");
	if (changed) {
		amend_sql_text(sql, "CASE WHEN ");
		amend_sql_text(sql, changed);
		amend_sql_text(sql, " THEN ");
	}
	amend_sql_text(sql, last);
	if (changed)
		amend_sql_text(sql, " ELSE revision END");
	amend_sql_text(sql, ", total = total_changes() + 1, at = " NOW);
	if (changed) {
		amend_sql_text(sql, "\n\t\tWHERE ");
		amend_sql_text(sql, changed);
		amend_sql_text(sql, " OR total = total_changes() - changes() AND at = " NOW);
	}
	amend_sql_text(sql, ";\n");
}

static void add_head(struct amend_sql *sql, const struct amend_guard_spec *spec,
		     enum amend_sqlite_guard_kind kind)
{
	add_name_of(sql, spec, kind);
	amend_sql_text(sql, " ");
	amend_sql_text(sql, kinds[kind].when);
	amend_sql_name(sql, spec->table->name);
	amend_sql_text(sql, "\nBEGIN\n");
}

static void add_updated(struct amend_sql *sql, const struct amend_guard_spec *spec, const char *old,
			const char *new, struct amend_arena *arena)
{
	struct amend_sql part = {.dialect = sql->dialect};
	const char *changed = NULL, *version;

	amend_sqlite_guard_differs(&part, spec, true);
	changed = amend_buffer_string(&part.text);
	version = amend_arena_printf(arena, "CASE WHEN %s IS %s THEN %s + 1 ELSE %s END", new, old,
				     old, new);
	if (!changed || !version) {
		sql->text.failed = true;
		amend_sql_release(&part);
		return;
	}
	add_head(sql, spec, AMEND_SQLITE_GUARD_UPDATED);
	if (spec->history) {
		add_revision(sql, changed);
		add_change_head(sql, spec);
		amend_sqlite_guard_pk(sql, spec, "NEW.");
		amend_sql_text(sql, ", nullif(");
		amend_sqlite_guard_pk(sql, spec, "OLD.");
		amend_sql_text(sql, ", ");
		amend_sqlite_guard_pk(sql, spec, "NEW.");
		amend_sql_text(sql, "), 'update', '{' || substr(");
		amend_sqlite_guard_changed(sql, spec, version);
		amend_sql_text(sql, ", 2) || '}'\n\t\tWHERE ");
		amend_sql_text(sql, changed);
		amend_sql_text(sql, ";\n");
		add_session_mark(sql, changed);
	}
	add_set_version(sql, spec);
	amend_sql_text(sql, old);
	amend_sql_text(sql, " + 1 WHERE ");
	amend_sqlite_guard_this(sql, spec, "NEW.");
	amend_sql_text(sql, " AND ");
	amend_sql_text(sql, new);
	amend_sql_text(sql, " IS ");
	amend_sql_text(sql, old);
	amend_sql_text(sql, ";\n");
	if (spec->history)
		add_statement_mark(sql, changed);
	amend_sql_text(sql, "END");
	amend_sql_release(&part);
}

/* Unique keys by which INSERT OR REPLACE finds what it sweeps away. */
static void add_in_the_way(struct amend_sql *sql, const struct amend_table *table)
{
	size_t n = 0;

	amend_sql_text(sql, "(");
	for (size_t i = 0; i < table->n_keys; i++) {
		const struct amend_key *key = &table->keys[i];

		if (key->partial || key->expression)
			continue;
		amend_sql_text(sql, n++ ? " OR (" : "(");
		for (size_t j = 0; j < key->n_columns; j++) {
			amend_sql_and(sql, j);
			amend_sqlite_guard_field(sql, &table->columns[key->columns[j]], "");
			amend_sql_text(sql, " = ");
			amend_sqlite_guard_field(sql, &table->columns[key->columns[j]], "NEW.");
		}
		/* What a rowid that is not given yet looks like. */
		if (table->columns[key->columns[0]].type_id & AMEND_SQLITE_ROWID && key->primary) {
			amend_sql_text(sql, " AND ");
			amend_sqlite_guard_field(sql, &table->columns[key->columns[0]], "NEW.");
			amend_sql_text(sql, " <> -1");
		}
		amend_sql_text(sql, ")");
	}
	amend_sql_text(sql, n ? ")" : "0)");
}

/* Without recursive_triggers no trigger is called for a row that is replaced. */
static void add_inserting(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	add_head(sql, spec, AMEND_SQLITE_GUARD_INSERTING);
	amend_sql_text(sql, "\tDELETE FROM amend_stash WHERE tbl = ");
	add_tbl(sql, spec);
	amend_sql_text(sql, ";\n\tINSERT INTO amend_stash (tbl, pk, version, fields) SELECT ");
	add_tbl(sql, spec);
	amend_sql_text(sql, ", ");
	amend_sqlite_guard_pk(sql, spec, "");
	amend_sql_text(sql, ", ");
	add_version(sql, spec, "");
	amend_sql_text(sql, ", ");
	if (spec->history)
		amend_sqlite_guard_whole(sql, spec, "", NULL, NULL);
	else
		amend_sql_text(sql, "NULL");
	amend_sql_text(sql, "\n\t\tFROM ");
	amend_sql_name(sql, spec->table->name);
	amend_sql_text(sql, " WHERE ");
	add_in_the_way(sql, spec->table);
	amend_sql_text(sql, ";\nEND");
}

/* ` FROM amend_stash WHERE` it is the row that NEW has replaced, of the same name. */
static void add_from_stash(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(sql, " FROM amend_stash WHERE tbl = ");
	add_tbl(sql, spec);
	amend_sql_text(sql, " AND pk = ");
	amend_sqlite_guard_pk(sql, spec, "NEW.");
}

/* The version that a new row ends with. */
static const char *created_version(const struct amend_guard_spec *spec, const char *new,
				   struct amend_arena *arena)
{
	struct amend_sql sql = {.dialect = amend_driver_sqlite->dialect};
	const char *text;

	amend_sql_text(&sql, "CASE WHEN ");
	add_is_default(&sql, spec, new);
	amend_sql_text(&sql, spec->clock ? " THEN max(" CLOCK ", coalesce((SELECT version + 1"
					 : " THEN coalesce((SELECT version + 1");
	add_from_stash(&sql, spec);
	amend_sql_text(&sql, spec->clock ? "), 0)) WHEN " : "), ");
	if (!spec->clock) {
		amend_sql_text(&sql, new);
		amend_sql_text(&sql, ") WHEN ");
	}
	amend_sql_text(&sql, new);
	amend_sql_text(&sql, " = (SELECT version");
	add_from_stash(&sql, spec);
	amend_sql_text(&sql, ") THEN ");
	amend_sql_text(&sql, new);
	amend_sql_text(&sql, " + 1 ELSE ");
	amend_sql_text(&sql, new);
	amend_sql_text(&sql, " END");
	text = amend_buffer_string(&sql.text);
	text = text ? amend_arena_text(arena, text) : NULL;
	amend_sql_release(&sql);
	return text;
}

static void add_creation(struct amend_sql *sql, const struct amend_guard_spec *spec,
			 const char *version)
{
	add_revision(sql, NULL);
	/* Two changes may follow: the revision is noted first. */
	amend_sql_text(sql, "\tUPDATE amend_statement SET revision = CASE changes() WHEN 1 THEN "
			    "last_insert_rowid() ELSE coalesce((SELECT revision FROM amend_session "
			    "ORDER BY one DESC), revision) END;\n");
	for (int pass = 0; pass < 2; pass++) {
		amend_sql_text(sql,
			       "\tINSERT INTO amend_change (revision, tbl, pk, was, op, fields)\n"
			       "\t\tSELECT (SELECT revision FROM amend_statement), ");
		add_tbl(sql, spec);
		if (pass == 0) {
			amend_sql_text(sql,
				       ", pk, NULL, 'delete', '{' || substr(fields, 2) || '}' FROM "
				       "amend_stash WHERE fields IS NOT NULL AND tbl = ");
			add_tbl(sql, spec);
		} else {
			amend_sql_text(sql, ", ");
			amend_sqlite_guard_pk(sql, spec, "NEW.");
			amend_sql_text(sql, ", NULL, 'create', '{' || substr(");
			amend_sqlite_guard_whole(sql, spec, NULL, "NEW.", version);
			amend_sql_text(sql, ", 2) || '}'");
		}
		amend_sql_text(sql, ";\n");
	}
	add_session_mark(sql, NULL);
}

static void add_inserted(struct amend_sql *sql, const struct amend_guard_spec *spec,
			 const char *new, struct amend_arena *arena)
{
	const char *own = created_version(spec, new, arena);
	const char *version = own ? amend_arena_printf(arena, "(%s)", own) : NULL;

	if (!version) {
		sql->text.failed = true;
		return;
	}
	add_head(sql, spec, AMEND_SQLITE_GUARD_INSERTED);
	/* A stale row as a whole, unless it does not speak of the version. */
	amend_sql_text(sql, "\tSELECT ");
	add_raise(sql, spec, "version", new);
	add_from_stash(sql, spec);
	amend_sql_text(sql, " AND ");
	add_is_stale(sql, spec, "version", new);
	amend_sql_text(sql, " AND NOT ");
	add_is_default(sql, spec, new);
	amend_sql_text(sql, ";\n");
	if (spec->history)
		add_creation(sql, spec, version);
	add_set_version(sql, spec);
	amend_sql_text(sql, own);
	amend_sql_text(sql, " WHERE ");
	amend_sqlite_guard_this(sql, spec, "NEW.");
	amend_sql_text(sql, " AND ");
	amend_sql_text(sql, new);
	amend_sql_text(sql, " IS NOT ");
	amend_sql_text(sql, version);
	amend_sql_text(sql, ";\n");
	if (spec->history)
		add_statement_mark(sql, NULL);
	amend_sql_text(sql, "END");
}

static void add_deleted(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	add_head(sql, spec, AMEND_SQLITE_GUARD_DELETED);
	/* With recursive_triggers a row that is replaced comes by here. */
	amend_sql_text(sql, "\tUPDATE amend_stash SET fields = NULL WHERE tbl = ");
	add_tbl(sql, spec);
	amend_sql_text(sql, " AND pk = ");
	amend_sqlite_guard_pk(sql, spec, "OLD.");
	amend_sql_text(sql, ";\n");
	add_revision(sql, NULL);
	add_change_head(sql, spec);
	amend_sqlite_guard_pk(sql, spec, "OLD.");
	amend_sql_text(sql, ", NULL, 'delete', '{' || substr(");
	amend_sqlite_guard_whole(sql, spec, "OLD.", NULL, NULL);
	amend_sql_text(sql, ", 2) || '}';\n");
	add_session_mark(sql, NULL);
	add_statement_mark(sql, NULL);
	amend_sql_text(sql, "END");
}

static const char *quoted_version(const struct amend_guard_spec *spec, const char *prefix,
				  struct amend_arena *arena)
{
	struct amend_sql sql = {.dialect = amend_driver_sqlite->dialect};
	const char *text;

	amend_sqlite_guard_field(&sql, version_of(spec), prefix);
	text = amend_buffer_string(&sql.text);
	text = text ? amend_arena_text(arena, text) : NULL;
	amend_sql_release(&sql);
	return text;
}

void amend_sqlite_guard_body(struct amend_sql *sql, const struct amend_guard_spec *spec,
			     enum amend_sqlite_guard_kind kind, struct amend_arena *arena)
{
	const char *old = quoted_version(spec, "OLD.", arena);
	const char *new = quoted_version(spec, "NEW.", arena);

	if (!old || !new) {
		sql->text.failed = true;
		return;
	}
	switch (kind) {
	case AMEND_SQLITE_GUARD_STALE:
		add_stale(sql, spec, old, new);
		break;
	case AMEND_SQLITE_GUARD_UPDATED:
		add_updated(sql, spec, old, new, arena);
		break;
	case AMEND_SQLITE_GUARD_INSERTING:
		add_inserting(sql, spec);
		break;
	case AMEND_SQLITE_GUARD_INSERTED:
		add_inserted(sql, spec, new, arena);
		break;
	case AMEND_SQLITE_GUARD_DELETED:
		add_deleted(sql, spec);
		break;
	}
}

#endif

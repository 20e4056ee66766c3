/*
 * What the triggers of a guarded table do: refuse what is stale, move the version, record.
 * Leaves pieces of their text to mariadb_guard_text.c, and which there are to mariadb_guard.c.
 *
 * They stand alone, without stored functions, which a dump leaves out. Names of theirs are amend_..., for a
 * variable goes before a column of its name.
 */
#include "sql/driver/mariadb_guard.h"

enum { LONGEST_NAME = 40 /* of a table, in a message of 128 characters */ };

const char *amend_mariadb_guard_when(enum amend_mariadb_guard_kind kind)
{
	static const char *const when[] = {
		[AMEND_MA_GUARD_VERSION] = "BEFORE UPDATE",
		[AMEND_MA_GUARD_INSERTED] = "AFTER INSERT",
		[AMEND_MA_GUARD_DELETED] = "AFTER DELETE",
		[AMEND_MA_GUARD_UPDATED] = "AFTER UPDATE",
	};

	return when[kind];
}

static void add_tbl(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_mariadb_guard_literal(sql, spec->table->qualified);
}

/* --- versions ----------------------------------------------------------- */

static void add_version(struct amend_sql *sql, const struct amend_guard_spec *spec,
			const char *prefix)
{
	amend_mariadb_guard_field(sql, &spec->table->columns[spec->table->version], prefix);
}

static void add_versions(struct amend_sql *sql, const struct amend_guard_spec *spec,
			 const char *between, const char *behind)
{
	add_version(sql, spec, "NEW.");
	amend_sql_text(sql, between);
	add_version(sql, spec, "OLD.");
	amend_sql_text(sql, behind);
}

/* Who came first is looked up where history knows it; who counts by himself is told why he is always refused. */
static void add_why(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	if (spec->stale == AMEND_STALE_EQUAL) {
		amend_sql_text(sql, "CASE WHEN ");
		add_versions(sql, spec, " <=> ",
			     " + 1 THEN ' (hint: who counts it up needs amend guard --stale "
			     "either)' ELSE ");
	}
	if (spec->history) {
		amend_sql_text(
			sql, "coalesce((SELECT concat(', changed by ', coalesce(nullif(r.who, ''), "
			     "'somebody'), ' at ', left(r.at, 19), ' UTC') FROM amend_change c "
			     "JOIN amend_revision r ON r.id = c.revision WHERE c.tbl = ");
		add_tbl(sql, spec);
		amend_sql_text(sql, " AND c.pk = ");
		amend_mariadb_guard_pk(sql, spec, "OLD.");
		amend_sql_text(sql, " ORDER BY c.id DESC LIMIT 1), '')");
	} else {
		amend_sql_text(sql, "''");
	}
	amend_sql_text(sql, spec->stale == AMEND_STALE_EQUAL ? " END" : "");
}

static void add_moves(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(sql,
		       "BEGIN\n\tDECLARE amend_text longtext CHARACTER SET utf8mb4;\n\tIF NOT (");
	add_versions(sql, spec, " <=> ", ")");
	if (spec->stale == AMEND_STALE_EITHER) {
		amend_sql_text(sql, " AND NOT (");
		add_versions(sql, spec, " <=> ", " + 1)");
	}
	amend_sql_text(sql, " THEN\n\t\tSET amend_text = left(concat(left(");
	add_tbl(sql, spec);
	amend_sql_printf(sql, ", %d), ': version ', coalesce(", LONGEST_NAME);
	add_version(sql, spec, "NEW.");
	amend_sql_text(sql, ", 'NULL'), ' was written, ', ");
	add_version(sql, spec, "OLD.");
	amend_sql_text(sql, ", ' is there', ");
	add_why(sql, spec);
	amend_sql_text(sql, "), 128);\n\t\tSIGNAL SQLSTATE '" AMEND_SQLSTATE_STALE
			    "' SET MESSAGE_TEXT = amend_text;\n\tEND IF;\n\tSET ");
	add_versions(sql, spec, " = ", " + 1;\nEND");
}

/* --- history ------------------------------------------------------------ */

/*
 * The revision of the transaction, remembered by the session. It is believed where its row is there, for a
 * rollback, also to a savepoint, takes that away; and for the statement that found it (now() is when a statement
 * began, for all its rows), else where no transaction has ended since. What autocommits is a transaction.
 */
#define ACTOR "convert(@amend_actor USING utf8mb4) COLLATE utf8mb4_nopad_bin"
#define WHY "convert(@amend_why USING utf8mb4) COLLATE utf8mb4_nopad_bin"

#define REVISION_IS_THERE \
	"EXISTS (SELECT 1 FROM amend_revision WHERE id = @amend_revision AND xact = connection_id())"

static const char find_revision[] =
	"\tIF NOT (@amend_statement <=> now(6) AND " REVISION_IS_THERE ") THEN\n"
	"\t\tIF @@in_transaction = 1 THEN\n"
	"\t\t\tSET amend_ends = " AMEND_MA_GUARD_ENDS ";\n"
	"\t\tEND IF;\n"
	"\t\tIF amend_ends IS NULL OR NOT (@amend_ends <=> amend_ends) OR NOT " REVISION_IS_THERE
	" THEN\n"
	"\t\t\tINSERT INTO amend_revision (at, who, why, program, xact) VALUES ("
	"date_format(utc_timestamp(6), '%Y-%m-%d %H:%i:%s.%f'), coalesce(nullif(" ACTOR ", ''), "
	"substring_index(user(), '@', 1)), coalesce(" WHY ", ''), '', connection_id());\n"
	"\t\t\tSET @amend_revision = last_insert_id(), @amend_ends = amend_ends;\n"
	"\t\tEND IF;\n"
	"\t\tSET @amend_statement = now(6);\n"
	"\tEND IF;\n";

static void add_begin(struct amend_sql *sql)
{
	amend_sql_text(sql, "BEGIN\n\tDECLARE amend_ends double;\n");
}

static void add_insert(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	amend_sql_text(sql, find_revision);
	amend_sql_text(sql, "\tINSERT INTO amend_change (revision, tbl, pk, was, op, fields) VALUES "
			    "(@amend_revision, ");
	add_tbl(sql, spec);
	amend_sql_text(sql, ", ");
}

static void add_updated(struct amend_sql *sql, const struct amend_guard_spec *spec)
{
	add_begin(sql);
	amend_sql_text(sql, "\tDECLARE amend_front, amend_behind longtext CHARACTER SET utf8mb4;\n"
			    "\tSET amend_front = ");
	amend_mariadb_guard_changed(sql, spec, false);
	amend_sql_text(sql, ", amend_behind = ");
	amend_mariadb_guard_changed(sql, spec, true);
	amend_sql_text(sql, ";\n\tIF NOT (amend_front = '' AND amend_behind = '') THEN\n");
	add_insert(sql, spec);
	amend_mariadb_guard_pk(sql, spec, "NEW.");
	amend_sql_text(sql, ", CASE WHEN ");
	amend_mariadb_guard_moved(sql, spec);
	amend_sql_text(sql, " THEN ");
	amend_mariadb_guard_pk(sql, spec, "OLD.");
	amend_sql_text(sql, " END, 'update', concat('{', substr(concat(amend_front, ");
	amend_mariadb_guard_version(sql, spec);
	amend_sql_text(sql, ", amend_behind), 2), '}'));\n\tEND IF;\nEND");
}

static void add_whole(struct amend_sql *sql, const struct amend_guard_spec *spec, const char *from,
		      const char *to)
{
	add_begin(sql);
	add_insert(sql, spec);
	amend_mariadb_guard_pk(sql, spec, from ? from : to);
	amend_sql_printf(sql, ", NULL, '%s', concat('{', substr(", from ? "delete" : "create");
	amend_mariadb_guard_whole(sql, spec, from, to);
	amend_sql_text(sql, ", 2), '}'));\nEND");
}

void amend_mariadb_guard_body(struct amend_sql *sql, const struct amend_guard_spec *spec,
			      enum amend_mariadb_guard_kind kind)
{
	switch (kind) {
	case AMEND_MA_GUARD_VERSION:
		add_moves(sql, spec);
		break;
	case AMEND_MA_GUARD_UPDATED:
		add_updated(sql, spec);
		break;
	case AMEND_MA_GUARD_INSERTED:
		add_whole(sql, spec, NULL, "NEW.");
		break;
	case AMEND_MA_GUARD_DELETED:
		add_whole(sql, spec, "OLD.", NULL);
		break;
	}
}

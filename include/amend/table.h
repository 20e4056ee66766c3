/*
 * A table's description: what the road needs to know of it.
 *
 *	struct amend_table *table = NULL;
 *	status = amend_table_open(db, "public.country", &table, &err);
 *	...
 *	amend_table_close(table);
 *
 * It is read once; a description that outlives an ALTER TABLE leads to errors
 * of the engine, not to wrong writes; one that outlives amend_guard or amend_unguard to
 * INVALID, and nothing is written: open the table again. It does not depend on the connection
 * staying open, and may be used with any connection to the same database.
 */
#ifndef AMEND_TABLE_H
#define AMEND_TABLE_H

#include <amend/connection.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How values of a column are written in JSON, and which inputs have a canonical form. */
enum amend_class {
	AMEND_CLASS_TEXT,
	AMEND_CLASS_INTEGER,
	AMEND_CLASS_NUMBER, /* exact decimal */
	AMEND_CLASS_REAL,   /* binary floating point */
	AMEND_CLASS_BOOLEAN,
	AMEND_CLASS_BLOB,
	AMEND_CLASS_JSON,
	AMEND_CLASS_TIME, /* date, time, timestamp, with or without zone */
	AMEND_CLASS_ANY,  /* SQLite: NUMERIC or no affinity */
	AMEND_CLASS_OTHER,
};

struct amend_column {
	const char *name;
	const char *type; /* as declared: "varchar(3)", "INTEGER" */
	const char *cast; /* the type to cast a parameter to, quoted and qualified, without length; "" where the engine needs none */
	enum amend_class class_;
	bool not_null;
	bool generated; /* never written: GENERATED ALWAYS, SQLite's generated columns */
	bool identity;  /* the database gives a value when none is written */
	bool has_default;
	const char *default_;  /* the expression's text, or NULL */
	const char *collation; /* as the engine names it, "" where it is the default one */
	bool folds_ascii; /* its collation calls texts equal that differ in the case of ASCII letters alone, as far as the driver knows; NOCASE is told by its name */
	bool bytewise; /* its collation calls texts equal only byte for byte: BINARY, or a deterministic one */
	bool unsound; /* its text does not prove equality (xml, tsquery, ...): amend does not write it */
	const char *number_cast; /* what an amount to add, and a bound, is cast to: what a domain stands for; else `cast` */
	uint32_t number_id; /* PostgreSQL: its pg_type.oid */
	uint32_t type_id;   /* PostgreSQL: pg_type.oid; else the driver's own */
	bool numeric; /* SQLite: of NUMERIC affinity (DATE, BOOLEAN, DECIMAL, ...): a text that is a number is stored as one */
	char delimiter; /* PostgreSQL: between the elements of an array of this type; '\0': none that comes apart into values of this type */
};

struct amend_key {
	const char *name; /* the index's or constraint's */
	const uint32_t *columns;
	size_t n_columns;
	bool primary;
	bool partial;     /* has a WHERE: proves nothing for other rows */
	bool expression;  /* has an expression; `columns` then lacks it */
	bool deferrable;  /* checked at the end of the statement or transaction */
	bool nulls_equal; /* NULLS NOT DISTINCT */
};

struct amend_foreign_key {
	const char *name; /* "" where it has none */
	const uint32_t *columns;
	size_t n_columns;
	const char *schema, *table;    /* the table it refers to */
	const char *const *references; /* its columns */
};

enum amend_key_action {
	AMEND_KEY_REFUSES,  /* NO ACTION, RESTRICT */
	AMEND_KEY_CASCADES, /* they go too, or follow */
	AMEND_KEY_SETS,     /* SET NULL, SET DEFAULT */
};

/* A foreign key, of another table or of this one, by which rows go or change when one here is deleted or changed. */
struct amend_dependent {
	const char *schema, *table; /* whose it is */
	const char *const *columns; /* there */
	const uint32_t *references; /* here */
	size_t n_columns;
	enum amend_key_action on_delete, on_update; /* not both refuse */
};

struct amend_table {
	const char *schema; /* PostgreSQL: the schema; SQLite: "main" or an attached name */
	const char *name;
	const char *qualified; /* as the ledger names it: `country` in the default schema, else `shop.country`, quoted where needed */
	const char *sql;       /* quoted for use in SQL */
	const struct amend_column *columns;
	size_t n_columns;
	const uint32_t *
		identity; /* the columns that identify a row: the primary key, else a unique key that is NOT NULL */
	size_t n_identity; /* 0: `rowid` identifies the row */
	const char *rowid; /* SQLite, no key: the name under which the rowid is reached; else NULL */
	const struct amend_key *keys; /* the primary key first */
	size_t n_keys;
	const struct amend_foreign_key *foreign_keys;
	size_t n_foreign_keys;
	const struct amend_dependent
		*dependents; /* SQLite: they act where the connection enforces foreign keys */
	size_t n_dependents;
	int version; /* the version column, or -1 */
	bool version_is_time;
	bool settles_late; /* what a statement returns may not be what is stored in the end: AFTER triggers (SQLite: any), rules, partitions */
	bool has_triggers; /* triggers, rules, partitions or tables that inherit: what is stored may not be what was written */
	bool guard_version; /* amend guard: the database itself moves the version column, and refuses stale ones */
	bool guard_history;   /* amend guard: the database itself records what is changed */
	bool folds_case;      /* names of columns are compared without ASCII case */
	unsigned guard_state; /* the driver's: which of its triggers stood.. */
	int64_t schema_version; /* ..in which layout of the schema; 0 where the engine does not number them */
	void *owner;            /* private */
};

/*
 * `name` is NAME or SCHEMA.NAME, each part as stored, or quoted as in SQL
 * ("odd.name"). Without a schema the search path decides (SQLite: main).
 * NOT_FOUND names tables that are near; UNSUPPORTED: a view, or a table
 * without any key that identifies a row (the text shows the statement to add one).
 *
 * A column is taken for the version column when it is an integer, NOT NULL,
 * in no key, and named `version`, `lock_version` or `row_version`.
 */
AMEND_API enum amend_status amend_table_open(struct amend_conn *db, const char *name,
					     struct amend_table **out,
					     struct amend_error *err) AMEND_CHECK;

/*
 * The names of the tables that can be named without a schema, in order, a row of one value each; amend's own
 * are left out. The caller releases `out`.
 */
AMEND_API enum amend_status amend_table_names(struct amend_conn *db, struct amend_rows *out,
					      struct amend_error *err) AMEND_CHECK;

/*
 * As above, by the name that history and conflicts have for a table
 * (`qualified`): whatever the search path is, it is the same table.
 */
AMEND_API enum amend_status amend_table_open_recorded(struct amend_conn *db, const char *name,
						      struct amend_table **out,
						      struct amend_error *err) AMEND_CHECK;

/* Takes NULL. */
AMEND_API void amend_table_close(struct amend_table *table);

/*
 * Chooses the version column: an integer that amend increments with every
 * write, or a timestamp that it moves forward (PostgreSQL); NULL for none.
 */
AMEND_API enum amend_status amend_table_set_version(struct amend_table *table, const char *column,
						    struct amend_error *err) AMEND_CHECK;

/* The column's index, or -1. SQLite's names fold ASCII case, PostgreSQL's do not. */
AMEND_API int amend_table_column(const struct amend_table *table, const char *name);

/*
 * Whether a stored value is text where the column is for numbers or truth. A database without typed storage
 * (SQLite) takes it, and it is rarely meant: the command says so.
 */
AMEND_API bool amend_column_odd_text(const struct amend_conn *db, const struct amend_column *column,
				     const struct amend_value *stored);

#ifdef __cplusplus
}
#endif

#endif

/*
 * Statement text with the values bound to it. Literal SQL comes from amend's
 * own sources only; names go through amend_sql_name, values through
 * amend_sql_value. Sticky like a buffer: append freely, executing it fails
 * once with NO_MEMORY.
 *
 *	struct amend_sql sql;
 *
 *	amend_sql_init(&sql, db);
 *	amend_sql_text(&sql, "SELECT ");
 *	amend_sql_name(&sql, column->name);
 *	amend_sql_text(&sql, " FROM t WHERE id = ");
 *	amend_sql_value(&sql, &id);
 *	status = amend_exec(db, &sql, &rows, err);
 *	amend_sql_release(&sql);
 */
#ifndef AMEND_SQL_SQL_H
#define AMEND_SQL_SQL_H

#include "core/buffer.h"
#include "sql/driver.h"

/*
 * What a statement's text depends on, values aside. A text that comes again is
 * built once on a connection: the builder runs as ever, but only its values are taken.
 *
 *	struct amend_shape shape;
 *
 *	amend_shape_begin(&shape, "lookup", table);
 *	amend_shape_add(&shape, columns, n * sizeof(*columns));
 *	amend_sql_init_shape(&sql, db, &shape);
 *	...
 */
enum { AMEND_SHAPE_ROOM = 240 };

struct amend_shape {
	size_t size; /* above AMEND_SHAPE_ROOM: too much to remember, the text is built each time */
	unsigned char bytes[AMEND_SHAPE_ROOM];
};

/* `builder` names the code that builds the text; `table` NULL: it is about none. */
void amend_shape_begin(struct amend_shape *shape, const char *builder,
		       const struct amend_table *table);
/* Bytes without padding: what has any is added field by field. */
void amend_shape_add(struct amend_shape *shape, const void *bytes, size_t size);

struct amend_text; /* a text that a connection has kept */

struct amend_sql {
	const struct amend_dialect *dialect;
	const struct amend_shape *shape; /* borrowed until it has run; NULL: none */
	struct amend_text *known;        /* the text is this one, and none is built */
	struct amend_buffer text;
	struct amend_value *values; /* their bytes are borrowed until the statement has run */
	size_t n_values, room;
	struct amend_arena kept;      /* amend_sql_kept's copies */
	uint64_t binary;              /* as in amend_statement */
	bool once, raw, unless_there; /* likewise */
	const char *unless_key;       /* likewise; borrowed */
};

void amend_sql_init(struct amend_sql *sql, const struct amend_conn *db);
void amend_sql_init_shape(struct amend_sql *sql, struct amend_conn *db,
			  const struct amend_shape *shape);
void amend_sql_release(struct amend_sql *sql);
void amend_sql_text(struct amend_sql *sql, const char *text);
void amend_sql_printf(struct amend_sql *sql, const char *format, ...) AMEND_PRINTF(2, 3);

/* An identifier, quoted. */
void amend_sql_name(struct amend_sql *sql, const char *name);

/* A table of the ledger, by its plain name: amend_revision, "amend.revision". */
void amend_sql_ledger(struct amend_sql *sql, const char *table);

/* A placeholder for the value. Typed ones, below, let an engine keep the plan: prefer them. */
void amend_sql_value(struct amend_sql *sql, const struct amend_value *value);

/* A placeholder cast to the column's type where the engine needs to be told. */
void amend_sql_value_as(struct amend_sql *sql, const struct amend_column *column,
			const struct amend_value *value);
/* The same for an amount to add to the column, or a bound of it: a domain's own rules are not for these. */
void amend_sql_number_as(struct amend_sql *sql, const struct amend_column *column,
			 const struct amend_value *value);
void amend_sql_integer(struct amend_sql *sql, int64_t integer);
/* NULL, typed likewise. */
void amend_sql_no_integer(struct amend_sql *sql);
/* A placeholder for text; NULL is SQL NULL. PostgreSQL is told that it is text. */
void amend_sql_string(struct amend_sql *sql, const char *text);
/* A placeholder for bytes, typed likewise. */
void amend_sql_bytes(struct amend_sql *sql, const void *bytes, size_t size);

/* One column of many rows of parameters. */
struct amend_sql_array {
	const struct amend_column *column; /* whose type the values have; NULL: `type` says it */
	const char *type;                  /* dialect->text_type and the like */
	const struct amend_value *values;  /* of the first row */
	size_t stride;                     /* from one row's value to the next one's */
	bool lookup; /* of all of a set: each of its rows is to be looked up by a unique index */
};

/*
 * With ARRAYS: `ROWS FROM (unnest($1::t[]), unnest($2::u[]))`, a set of n_rows rows in their
 * order, one parameter a column; behind it goes ` AS name(column, ...)`, or first WITH ORDINALITY.
 * Columns of any type will do. The values are copied. An array is cast to the column's type without
 * length, as amend_sql_value_as casts one value.
 */
void amend_sql_unnest(struct amend_sql *sql, const struct amend_sql_array *arrays, size_t n_arrays,
		      size_t n_rows);

/*
 * Behind FROM: a set as a query reads it, on every engine that has some: its columns are ALIAS.c0, c1, ..., and
 * ALIAS.n, from 1 on, is a row's place in it. The values are copied. The query names the set before the tables that
 * are joined to it, behind dialect->in_order, and the key by which they are behind the table: amend_sql_by_key.
 * False: of these columns there is no set here.
 */
bool amend_sql_has_set(const struct amend_conn *db, const struct amend_sql_array *arrays, size_t n);
void amend_sql_set(struct amend_sql *sql, const struct amend_conn *db,
		   const struct amend_sql_array *arrays, size_t n_arrays, size_t n_rows,
		   const char *alias);
/* Behind a table's alias: rows are looked up by this key of it, also where so few are there that they might as well be read all. */
void amend_sql_by_key(struct amend_sql *sql, const char *key);

/* A string literal, for text that belongs to the statement's shape (names of columns in JSON): standard_conforming. */
void amend_sql_literal(struct amend_sql *sql, const char *text);
/* A literal, as `literal` writes it, of `before`, the name in JSON, and `after`. */
void amend_sql_json_name(struct amend_sql *sql, const char *before, const char *name,
			 const char *after,
			 void (*literal)(struct amend_sql *sql, const char *text));
/* As amend_sql_string, of a copy that the statement keeps. */
void amend_sql_kept(struct amend_sql *sql, const struct amend_buffer *text);

/* `COLUMN same VALUE`, NULL-safe. */
void amend_sql_same(struct amend_sql *sql, const struct amend_column *column,
		    const struct amend_value *value);

/*
 * Behind an INSERT's values. The first: nothing is done, and that is no failure, where the key (its columns,
 * unquoted) is there already. The second: these columns of that row are set to what was to be inserted instead.
 */
void amend_sql_unless_there(struct amend_sql *sql, const char *key);
void amend_sql_or_set(struct amend_sql *sql, const char *key, const char *const *columns);
/* The same for a key of a described table. */
void amend_sql_unless_key(struct amend_sql *sql, const struct amend_table *table,
			  const struct amend_key *key);

/* ", " before each but the first: pass the loop's index. */
void amend_sql_comma(struct amend_sql *sql, size_t index);
/* " AND " likewise. */
void amend_sql_and(struct amend_sql *sql, size_t index);

struct amend_statement amend_sql_statement(const struct amend_sql *sql);

/* Used by conn.c: keeps the text of a statement that has a shape; frees what a connection has kept. */
void amend_sql_keep(struct amend_conn *db, const struct amend_sql *sql);
void amend_texts_free(struct amend_conn *db);
/* Used by sql.c: lets go of the shape; the text, built or known (then with its hash, else 0), NULL without memory. */
void amend_sql_forget(struct amend_sql *sql);
const char *amend_sql_whole(const struct amend_sql *sql, uint64_t *hash);

/* As in amend_statement.hash. */
uint64_t amend_sql_hash(const char *text);

/* The ledger's spelling: quoted where a reader of `schema.name` could be misled. */
void amend_ledger_name(struct amend_buffer *buffer, const char *name);
/* Appends `name` quoted for `dialect`. */
void amend_quote_name(struct amend_buffer *buffer, const struct amend_dialect *dialect,
		      const char *name);

#endif

/*
 * Rows handed out as they come: COPY where a query has no values, else row by row.
 * Leaves statements whose rows are kept to postgres_run.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

struct scan {
	struct amend_session *session;
	amend_row_fn each;
	void *context;
	struct amend_value *values; /* of one row */
	size_t n_columns, room;
	bool raw, begun;          /* COPY's binary form; its header was read */
	enum amend_status status; /* the first failure's */
	bool own;                 /* ..which was that of `each` */
	struct amend_error *err;
};

/* What is left of the answer is then read and dropped. */
static void give_up(struct scan *scan)
{
	char text[256];

	PQcancel(scan->session->cancel, text, sizeof(text));
}

static void hand_out(struct scan *scan)
{
	scan->status = scan->each(scan->context, scan->values, scan->n_columns, scan->err);
	scan->own = scan->status != AMEND_OK;
	if (scan->own)
		give_up(scan);
}

static bool make_room(struct scan *scan, int n_columns)
{
	struct amend_value *values;

	scan->n_columns = (size_t)n_columns;
	if (scan->n_columns <= scan->room)
		return true;
	values = realloc(scan->values, scan->n_columns * sizeof(*values));
	if (!values) {
		scan->status = amend_no_memory(scan->err);
		give_up(scan);
		return false;
	}
	scan->values = values;
	scan->room = scan->n_columns;
	return true;
}

static void fail(struct scan *scan, const PGresult *result)
{
	if (scan->status == AMEND_OK)
		scan->status = amend_postgres_error(scan->session, result, scan->err);
}

/* --- COPY --------------------------------------------------------------- */

/* In place; returns the size. COPY writes no octal or hexadecimal escapes. */
static size_t unescape(char *text, const char *end)
{
	static const char letters[] = "bfnrtv", meanings[] = "\b\f\n\r\t\v";
	char *to = text;

	for (const char *from = text; from < end; from++) {
		const char *letter;

		if (*from != '\\' || from + 1 == end) {
			*to++ = *from;
			continue;
		}
		letter = strchr(letters, *++from);
		*to++ = letter && *letter ? meanings[letter - letters] : *from;
	}
	*to = '\0';
	return (size_t)(to - text);
}

/* Fields are parted by tabs; tabs and line ends inside them are escaped. False: their number is another. */
static bool split(struct scan *scan, char *line, size_t size)
{
	char *end = line + size - (size > 0 && line[size - 1] == '\n');
	char *escape = memchr(line, '\\', (size_t)(end - line));
	char *at = line;

	if (scan->n_columns == 0)
		return at == end;
	for (size_t i = 0; i < scan->n_columns; i++) {
		bool last = i + 1 == scan->n_columns;
		char *tab = memchr(at, '\t', (size_t)(end - at));
		char *stop = tab ? tab : end;

		if (last != !tab)
			return false;
		if (!escape || escape >= stop) {
			*stop = '\0';
			scan->values[i] = amend_text_n(at, (size_t)(stop - at));
		} else {
			char *next = last ? NULL : memchr(stop, '\\', (size_t)(end - stop));

			if (stop - at == 2 && at[0] == '\\' && at[1] == 'N')
				scan->values[i] = amend_null();
			else
				scan->values[i] = amend_text_n(at, unescape(at, stop));
			escape = next;
		}
		at = stop + 1;
	}
	return true;
}

/* --- COPY in its binary form: a number of columns, then each with its length --- */

enum { SIGNATURE = 11, HEADER = SIGNATURE + 4 + 4, TRAILER = 2 };

static uint32_t read_bits(const char *at, unsigned n_bytes)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < n_bytes; i++)
		bits = bits << 8 | (unsigned char)at[i];
	return bits;
}

/* Where a row begins: the first piece has the header before it. */
static char *row_begin(struct scan *scan, char *piece, size_t *size)
{
	size_t skip = 0;

	if (!scan->begun && *size >= HEADER)
		skip = HEADER + read_bits(piece + HEADER - 4, 4);
	scan->begun = true;
	skip = skip < *size ? skip : *size;
	*size -= skip;
	return piece + skip;
}

/* What stands behind a field is its NUL once its own length has been read. False: it is no such row. */
static bool split_binary(struct scan *scan, char *row, size_t size)
{
	const char *end = row + size;
	uint32_t length;

	if (size < 2 || read_bits(row, 2) != scan->n_columns)
		return false;
	row += 2;
	if (scan->n_columns > 0 && end - row < 4)
		return false;
	length = scan->n_columns > 0 ? read_bits(row, 4) : 0;
	for (size_t i = 0; i < scan->n_columns; i++) {
		size_t n = length == UINT32_MAX ? 0 : length;

		row += 4;
		if ((size_t)(end - row) < n)
			return false;
		scan->values[i] = length == UINT32_MAX ? amend_null() : amend_blob(row, n);
		row += n;
		if (i + 1 == scan->n_columns)
			continue;
		if (end - row < 4)
			return false;
		length = read_bits(row, 4);
		*row = '\0';
	}
	/* Behind the last one libpq has put a NUL. */
	return row == end;
}

static bool is_trailer(const char *row, size_t size)
{
	return size == 0 || (size == TRAILER && read_bits(row, 2) == UINT16_MAX);
}

static bool split_raw(struct scan *scan, char *piece, size_t size, bool *none)
{
	char *row = row_begin(scan, piece, &size);

	*none = is_trailer(row, size);
	return *none || split_binary(scan, row, size);
}

static void read_copy(struct scan *scan, const PGresult *result)
{
	bool going = make_room(scan, PQnfields(result));
	char *line = NULL;
	int size;

	while ((size = PQgetCopyData(scan->session->conn, &line, 0)) > 0) {
		bool none = false;

		if (going && !(scan->raw ? split_raw(scan, line, (size_t)size, &none)
					 : split(scan, line, (size_t)size))) {
			scan->status = amend_postgres_fail(scan->err, AMEND_INTERNAL, "",
							   "COPY gave a row of another width");
			give_up(scan);
		} else if (going && !none) {
			hand_out(scan);
		}
		going = going && scan->status == AMEND_OK;
		PQfreemem(line);
	}
	if (size == -2)
		fail(scan, NULL);
}

/* --- row by row --------------------------------------------------------- */

static void take_rows(struct scan *scan, const PGresult *result)
{
	if (!make_room(scan, PQnfields(result)))
		return;
	for (int row = 0; row < PQntuples(result) && scan->status == AMEND_OK; row++) {
		for (int i = 0; i < (int)scan->n_columns && scan->values; i++)
			scan->values[i] = PQgetisnull(result, row, i)
						  ? amend_null()
						  : amend_text_n(
							    PQgetvalue(result, row, i),
							    (size_t)PQgetlength(result, row, i));
		hand_out(scan);
	}
}

static bool send_values(struct scan *scan, const struct amend_statement *statement)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_postgres_params params;
	bool sent = amend_postgres_params(&arena, statement, &params);

	if (!sent)
		scan->status = amend_no_memory(scan->err);
	sent = sent &&
	       PQsendQueryParams(scan->session->conn, statement->sql, (int)statement->n_values,
				 NULL, params.values, params.lengths, params.formats, 0) == 1 &&
	       PQsetSingleRowMode(scan->session->conn) == 1;
	amend_arena_release(&arena);
	return sent;
}

/* --- the whole ---------------------------------------------------------- */

/* COPY takes no values, and one query: a semicolon, even in a literal, is not worth a parser. */
static bool can_copy(const struct amend_statement *statement)
{
	static const char *const queries[] = {"SELECT", "WITH", "VALUES", "TABLE", NULL};

	return statement->n_values == 0 && amend_postgres_begins(statement->sql, queries) &&
	       !strchr(statement->sql, ';');
}

static bool send_copy(struct scan *scan, const struct amend_statement *statement)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	bool sent;

	amend_buffer_text(&sql, "COPY (");
	amend_buffer_text(&sql, statement->sql);
	/* On a line of its own: the query may end in a comment. */
	amend_buffer_text(&sql, "\n) TO STDOUT");
	if (statement->raw)
		amend_buffer_text(&sql, " (FORMAT binary)");
	scan->raw = statement->raw;
	if (sql.failed)
		scan->status = amend_no_memory(scan->err);
	sent = !sql.failed && PQsendQuery(scan->session->conn, sql.data) == 1;
	amend_buffer_release(&sql);
	return sent;
}

static void receive(struct scan *scan)
{
	PGresult *result;

	while ((result = PQgetResult(scan->session->conn)) != NULL) {
		switch (PQresultStatus(result)) {
		case PGRES_COPY_OUT:
			read_copy(scan, result);
			break;
		case PGRES_SINGLE_TUPLE:
		case PGRES_TUPLES_OK:
			if (scan->status == AMEND_OK)
				take_rows(scan, result);
			break;
		case PGRES_COMMAND_OK:
			break;
		case PGRES_COPY_IN:
		case PGRES_COPY_BOTH:
			PQputCopyEnd(scan->session->conn, "amend does not copy");
			break;
		default:
			fail(scan, result);
			break;
		}
		PQclear(result);
		if (amend_postgres_lost(scan->session))
			break;
	}
	if (amend_postgres_lost(scan->session))
		fail(scan, NULL);
}

/* Giving up cancels the query, which an open transaction outlives by a savepoint only. */
enum amend_status amend_postgres_scan(struct amend_session *session,
				      const struct amend_statement *statement, amend_row_fn each,
				      void *context, struct amend_error *err)
{
	struct scan scan = {.session = session, .each = each, .context = context, .err = err};
	enum amend_tx before;
	struct amend_error ignored;
	bool sent;

	scan.status = amend_postgres_check_values(statement, err);
	if (scan.status == AMEND_OK)
		scan.status = amend_postgres_ready(session, err);
	if (scan.status != AMEND_OK)
		return scan.status;
	before = amend_postgres_state(session);
	if (before == AMEND_TX_ACTIVE)
		scan.status = amend_postgres_exec(session, "SAVEPOINT amend_scan", NULL, err);
	if (scan.status != AMEND_OK)
		return scan.status;
	amend_postgres_enter(session);
	sent = can_copy(statement) ? send_copy(&scan, statement) : send_values(&scan, statement);
	if (!sent)
		fail(&scan, NULL);
	receive(&scan);
	amend_postgres_leave(session);
	free(scan.values);
	if (before == AMEND_TX_ACTIVE && amend_postgres_state(session) == AMEND_TX_ACTIVE)
		(void)!amend_postgres_exec(session, "RELEASE SAVEPOINT amend_scan", NULL, &ignored);
	else if (before == AMEND_TX_ACTIVE && scan.own)
		(void)!amend_postgres_exec(session,
					   "ROLLBACK TO SAVEPOINT amend_scan; "
					   "RELEASE SAVEPOINT amend_scan",
					   NULL, &ignored);
	else if (scan.status != AMEND_OK && !scan.own)
		amend_postgres_judge_loss(session, statement, before, err);
	return scan.status == AMEND_OK || scan.own ? scan.status : err->status;
}

/* The unnamed statement: the next one takes its place. That nothing is written is the transaction's to see to. */
enum amend_status amend_postgres_columns(struct amend_session *session, const char *sql,
					 amend_name_fn each, void *context, struct amend_error *err)
{
	PGresult *result = NULL;
	enum amend_status status = amend_postgres_ready(session, err);

	if (status != AMEND_OK)
		return status;
	amend_postgres_enter(session);
	result = PQprepare(session->conn, "", sql, 0, NULL);
	if (PQresultStatus(result) == PGRES_COMMAND_OK) {
		PQclear(result);
		result = PQdescribePrepared(session->conn, "");
	}
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		status = amend_postgres_error(session, result, err);
	else if (PQnfields(result) == 0)
		status = amend_error_set(err, AMEND_INVALID,
					 "expected a query, found a statement that returns nothing");
	for (int i = 0; status == AMEND_OK && i < PQnfields(result); i++)
		status = each(context, PQfname(result, i), err);
	PQclear(result);
	amend_postgres_leave(session);
	return status;
}

/*
 * Inputs brought into the form in which their column would hand them back:
 * what postgres_local.c does not know is asked, many values in one SELECT.
 * Leaves comparing to the layers above.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

enum { CHUNK = 400 }; /* below the 1,664 columns of a SELECT; larger ones gain nothing */

struct question {
	struct amend_canon *item; /* whose answer it is; others that ask the same take it from there */
	const char *text;
};

struct asking {
	struct amend_session *session;
	struct amend_arena *arena;
	struct question *questions;
	size_t n;
	bool savepoint; /* inside a transaction, which an error must not harm */
};

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/*
 * The expression whose text is what an assignment would store. A cast is the
 * same as an assignment where the type is without length, and where it rounds
 * (numeric, time, interval). But a cast to char(n) or bit(n) cuts silently what
 * an assignment refuses; there the type's input function is called with the
 * length, by way of a record.
 */
static void add_expression(struct amend_buffer *sql, const struct amend_column *column,
			   size_t number)
{
	bool length = strchr(column->type, '(') != NULL;

	if (length && (begins(column->type, "character") || begins(column->type, "bit")))
		amend_buffer_printf(sql,
				    "(SELECT x.v FROM pg_catalog.json_to_record("
				    "pg_catalog.json_build_object('v', $%zu::pg_catalog.text)) "
				    "AS x(v %s))",
				    number, column->type);
	else if (length || begins(column->type, "interval"))
		amend_buffer_printf(sql, "$%zu::%s", number, column->type);
	else
		amend_buffer_printf(sql, "$%zu::%s", number, column->cast);
}

/* Runs it; in a transaction within a savepoint, and in one round trip all the same. */
static enum amend_status run_guarded(struct asking *asking, const struct amend_statement *statement,
				     struct amend_rows *rows, struct amend_error *err)
{
	const struct amend_statement guarded[] = {
		{.sql = "SAVEPOINT amend_canon", .once = true},
		*statement,
		{.sql = "RELEASE SAVEPOINT amend_canon", .once = true},
	};
	const struct amend_statement undo[] = {
		{.sql = "ROLLBACK TO SAVEPOINT amend_canon", .once = true},
		{.sql = "RELEASE SAVEPOINT amend_canon", .once = true},
	};
	struct amend_rows results[3];
	struct amend_error undo_error;
	size_t failed = 0;
	enum amend_status status;

	if (!asking->savepoint)
		return amend_postgres_run(asking->session, statement, 1, rows, NULL, false, err);
	status = amend_postgres_run(asking->session, guarded, 3, results, &failed, false, err);
	*rows = results[1];
	amend_rows_release(&results[0]);
	amend_rows_release(&results[2]);
	if (status == AMEND_OK)
		return AMEND_OK;
	amend_rows_release(rows);
	if (failed > 0 && amend_postgres_state(asking->session) == AMEND_TX_FAILED &&
	    amend_postgres_run(asking->session, undo, 2, NULL, NULL, false, &undo_error) != AMEND_OK)
		*err = undo_error;
	return err->status;
}

/*
 * timetz takes zones like "x26" or "z106", prints them as -26 and -106, and
 * then does not read those again, or reads something else: its one unsound corner.
 */
static const char *unreadable(const struct amend_canon *item)
{
	const char *zone;

	if (item->column->type_id != AMEND_PG_TIMETZ || item->out.kind != AMEND_TEXT)
		return NULL;
	zone = item->out.as.text + strcspn(item->out.as.text, "+-");
	return *zone && strtol(zone + 1, NULL, 10) > 15 ? "its offset from UTC is out of range"
							: NULL;
}

static enum amend_status ask(struct asking *asking, size_t from, size_t n, struct amend_error *err)
{
	struct question *questions = asking->questions + from;
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_value values[CHUNK];
	struct amend_statement statement = {.values = values, .n_values = n};
	enum amend_status status = AMEND_OK;

	amend_buffer_text(&sql, "SELECT ");
	for (size_t i = 0; i < n; i++) {
		values[i] = amend_text(questions[i].text);
		amend_buffer_text(&sql, i ? ", " : "");
		add_expression(&sql, questions[i].item->column, i + 1);
	}
	statement.sql = amend_buffer_string(&sql);
	if (statement.sql)
		status = run_guarded(asking, &statement, &rows, err);
	else
		status = amend_no_memory(err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (!amend_arena_value(asking->arena, amend_rows_at(&rows, 0, i),
				       &questions[i].item->out))
			status = amend_no_memory(err);
		else
			questions[i].item->problem = unreadable(questions[i].item);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

/* An error that tells of a value, not of the connection or the transaction. XX000 is what hstore and the like raise. */
static bool about_value(const struct amend_error *err)
{
	return err->status == AMEND_INVALID || err->status == AMEND_CONSTRAINT ||
	       err->status == AMEND_NOT_FOUND || err->status == AMEND_UNSUPPORTED ||
	       strcmp(err->sqlstate, "XX000") == 0;
}

/* Halves what failed until the bad values stand alone. */
static enum amend_status settle(struct asking *asking, size_t from, size_t n,
				struct amend_error *err)
{
	enum amend_status status = ask(asking, from, n, err);

	if (status == AMEND_OK || !about_value(err))
		return status;
	if (n == 1) {
		struct amend_canon *item = asking->questions[from].item;

		item->problem = amend_arena_text(asking->arena, err->text);
		return item->problem ? AMEND_OK : amend_no_memory(err);
	}
	status = settle(asking, from, n / 2, err);
	return status == AMEND_OK ? settle(asking, from + n / 2, n - n / 2, err) : status;
}

/* --- the same value of the same column is asked once -------------------- */

/* Who asked what, and where questions are found by it. Made when the first one is asked: most inputs ask nothing. */
struct book {
	struct {
		size_t item, question;
	} * asked;
	size_t n;
	size_t *slots; /* question + 1 */
	size_t mask;
};

static bool open_book(struct book *book, struct asking *asking, size_t n,
		      struct amend_arena *scratch)
{
	size_t room = 8;

	while (room < 2 * n)
		room *= 2;
	book->mask = room - 1;
	asking->questions = amend_arena_array(scratch, n, sizeof(*asking->questions));
	book->asked = amend_arena_array(scratch, n, sizeof(*book->asked));
	book->slots = amend_arena_array(scratch, room, sizeof(*book->slots));
	return asking->questions && book->asked && book->slots;
}

static void put_question(struct asking *asking, struct book *book, size_t item,
			 struct amend_canon *canon, const char *text)
{
	uint64_t hash = (uint64_t)(uintptr_t)canon->column;
	size_t slot, number;

	for (const char *c = text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	for (slot = (size_t)(hash ^ hash >> 29) & book->mask; (number = book->slots[slot]) != 0;
	     slot = (slot + 1) & book->mask) {
		const struct question *known = &asking->questions[number - 1];

		if (known->item->column == canon->column && strcmp(known->text, text) == 0)
			break;
	}
	if (number == 0) {
		asking->questions[asking->n] = (struct question){canon, text};
		number = book->slots[slot] = ++asking->n;
	}
	book->asked[book->n].item = item;
	book->asked[book->n++].question = number - 1;
}

/* --- the whole ---------------------------------------------------------- */

/* What no column can take, whatever its type. */
static const char *hopeless(const struct amend_canon *item)
{
	if (item->in.kind == AMEND_BLOB && item->column->type_id != AMEND_PG_BYTEA)
		return "expected text, found bytes";
	if (item->in.kind == AMEND_TEXT && item->in.size > 0 &&
	    memchr(item->in.as.text, '\0', item->in.size))
		return "it holds a NUL byte, which PostgreSQL cannot store in text";
	return NULL;
}

static enum amend_status one_item(struct asking *asking, bool utf8, struct amend_canon *item,
				  const char **question, struct amend_error *err)
{
	bool failed = false;
	const char *text;

	*question = NULL;
	item->out = item->in;
	item->problem = hopeless(item);
	if (item->problem || item->in.kind == AMEND_NULL || amend_postgres_as_is(utf8, item))
		return AMEND_OK;
	text = amend_postgres_text(asking->arena, &item->in, &failed);
	if (!text)
		return amend_no_memory(err);
	switch (amend_postgres_local(utf8, item, text, asking->arena)) {
	case AMEND_LOCAL_DONE:
	case AMEND_LOCAL_PROBLEM:
		return AMEND_OK;
	case AMEND_LOCAL_ASK:
		*question = text;
		return AMEND_OK;
	case AMEND_LOCAL_NO_MEMORY:
		break;
	}
	return amend_no_memory(err);
}

enum amend_status amend_postgres_canonicalise(struct amend_session *session,
					      struct amend_canon *items, size_t n,
					      struct amend_arena *arena, struct amend_error *err)
{
	struct amend_arena scratch = AMEND_ARENA_INIT;
	struct asking asking = {
		.session = session,
		.arena = arena,
		.savepoint = amend_postgres_state(session) == AMEND_TX_ACTIVE,
	};
	struct book book = {.n = 0};
	const char *encoding = PQparameterStatus(session->conn, "server_encoding");
	bool utf8 = encoding && strcmp(encoding, "UTF8") == 0;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		const char *question;

		status = one_item(&asking, utf8, &items[i], &question, err);
		if (status != AMEND_OK || !question)
			continue;
		if (asking.questions || open_book(&book, &asking, n - i, &scratch))
			put_question(&asking, &book, i, &items[i], question);
		else
			status = amend_no_memory(err);
	}
	for (size_t from = 0; from < asking.n && status == AMEND_OK; from += CHUNK)
		status = settle(&asking, from, asking.n - from < CHUNK ? asking.n - from : CHUNK,
				err);
	for (size_t i = 0; i < book.n && status == AMEND_OK; i++) {
		const struct amend_canon *answer = asking.questions[book.asked[i].question].item;

		items[book.asked[i].item].out = answer->out;
		items[book.asked[i].item].problem = answer->problem;
	}
	amend_arena_release(&scratch);
	return status;
}

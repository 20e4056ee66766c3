/*
 * Operations: what is done once under an id. Their rows, and the fate of a COMMIT that nobody answered.
 * Leaves running something under an id to once.c, and what an answer holds to its users.
 */
#include "ledger/operation.h"

#include <string.h>

#include <sodium.h>

#include "core/clock.h"
#include "core/json_text.h"
#include "core/rows.h"
#include "ledger/fate.h"
#include "ledger/state.h"

enum { LONGEST_ID = 200 };

enum amend_status amend_operation_check(const char *id, struct amend_error *err)
{
	size_t size = strlen(id);

	if (size == 0)
		return amend_error_set(err, AMEND_INVALID,
				       "expected the id of an operation, found nothing");
	if (size > LONGEST_ID)
		return amend_error_set(err, AMEND_INVALID,
				       "the id of an operation has %zu bytes: expected %d at most",
				       size, LONGEST_ID);
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)id[i] < ' ' || id[i] == 0x7f)
			return amend_error_set(err, AMEND_INVALID,
					       "the id of an operation holds a control character");
	}
	if (!amend_utf8_valid(id, size))
		return amend_error_set(err, AMEND_INVALID,
				       "the id of an operation is not UTF-8 text");
	return AMEND_OK;
}

static void hex(const unsigned char *bytes, size_t n, char *out)
{
	sodium_bin2hex(out, 2 * n + 1, bytes, n);
}

/* Time first, so that ids that are made one after another lie side by side in the index. */
void amend_operation_make_id(char id[static AMEND_OPERATION_ID])
{
	unsigned char bytes[16];
	uint64_t now = (uint64_t)amend_clock_now();

	randombytes_buf(bytes, sizeof(bytes));
	for (size_t i = 5; i-- > 0; now >>= 8)
		bytes[i] = now & 0xff;
	hex(bytes, sizeof(bytes), id);
}

void amend_operation_begin(struct amend_operation *operation)
{
	unsigned char bytes[8];

	randombytes_buf(bytes, sizeof(bytes));
	hex(bytes, sizeof(bytes), operation->maker);
}

enum amend_status amend_operation_claim(struct amend_conn *db,
					const struct amend_operation *operation, bool *claimed,
					struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "operation");
	amend_sql_text(&sql, " (id, digest, at, who, maker) VALUES (");
	amend_sql_string(&sql, operation->id);
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, operation->digest, sizeof(operation->digest));
	amend_sql_text(&sql, ", ");
	amend_sql_text(&sql, db->dialect->now);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, amend_author_who(db));
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, operation->maker);
	amend_sql_text(&sql, ")");
	amend_sql_unless_there(&sql, "id");
	status = amend_exec(db, &sql, &rows, err);
	*claimed = rows.changes > 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static bool keep_text(struct amend_arena *arena, const struct amend_value *value, const char **out)
{
	*out = value->kind == AMEND_TEXT ? amend_arena_text_n(arena, value->as.text, value->size)
					 : amend_arena_text(arena, "");
	return *out;
}

static bool keep_row(const struct amend_rows *rows, struct amend_arena *arena,
		     struct amend_operation_row *out)
{
	const struct amend_value *stored = amend_rows_at(rows, 0, 4);
	struct amend_value digest, answer = {.kind = AMEND_NULL};

	if (!amend_value_bytes(amend_rows_at(rows, 0, 0), arena, &digest) ||
	    (stored->kind != AMEND_NULL && !amend_value_bytes(stored, arena, &answer)))
		return false;
	if (digest.size == sizeof(out->digest))
		memcpy(out->digest, digest.as.blob, sizeof(out->digest));
	if (!keep_text(arena, amend_rows_at(rows, 0, 1), &out->at) ||
	    !keep_text(arena, amend_rows_at(rows, 0, 2), &out->who) ||
	    !keep_text(arena, amend_rows_at(rows, 0, 3), &out->maker))
		return false;
	if (!amend_value_number(amend_rows_at(rows, 0, 5), &out->revision))
		out->revision = 0;
	out->answer = answer.kind == AMEND_BLOB ? answer.as.blob : NULL;
	out->size = answer.kind == AMEND_BLOB ? answer.size : 0;
	return true;
}

enum amend_status amend_operation_find(struct amend_conn *db, const char *id,
				       struct amend_arena *arena, bool *found,
				       struct amend_operation_row *out, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	*out = (struct amend_operation_row){.at = NULL};
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT digest, at, who, maker, answer, revision FROM ");
	amend_sql_ledger(&sql, "operation");
	amend_sql_text(&sql, " WHERE id = ");
	amend_sql_string(&sql, id);
	status = amend_exec(db, &sql, &rows, err);
	*found = rows.n_rows == 1;
	if (status == AMEND_OK && *found && !keep_row(&rows, arena, out))
		status = amend_no_memory(err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_operation_answer(struct amend_conn *db,
					 const struct amend_operation *operation,
					 const struct amend_buffer *answer, struct amend_error *err)
{
	int64_t revision = amend_revision_current(db);
	struct amend_sql sql;
	enum amend_status status;

	if (answer->failed)
		return amend_no_memory(err);
	if (answer->size == 0 && revision == 0)
		return AMEND_OK;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "operation");
	amend_sql_text(&sql, " SET answer = ");
	if (answer->size > 0)
		amend_sql_bytes(&sql, answer->data, answer->size);
	else
		amend_sql_text(&sql, "NULL");
	amend_sql_text(&sql, ", revision = ");
	if (revision)
		amend_sql_integer(&sql, revision);
	else
		amend_sql_text(&sql, "NULL");
	amend_sql_text(&sql, " WHERE id = ");
	amend_sql_string(&sql, operation->id);
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

/* ---- the fate of a COMMIT ---- */

static enum amend_status look(struct amend_conn *db, void *context, bool *in,
			      struct amend_error *err)
{
	const struct amend_operation *operation = context;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_operation_row row = {.maker = NULL};
	bool claimed = false, found = false;
	enum amend_status status = amend_operation_claim(db, operation, &claimed, err);

	if (status == AMEND_OK && !claimed)
		status = amend_operation_find(db, operation->id, &arena, &found, &row, err);
	*in = found && row.maker && strcmp(row.maker, operation->maker) == 0;
	amend_arena_release(&arena);
	return status;
}

enum amend_status amend_operation_fate(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_operation *operation = context;

	if (!operation->until)
		operation->until = amend_clock_ms() + db->options.resolve_ms;
	return amend_fate_find_out(db, operation->until, look, operation, err);
}

/* ---- forgetting ---- */

enum amend_status amend_operation_forget(struct amend_conn *db, const char *before, int64_t *n,
					 struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "operation");
	amend_sql_text(&sql, " WHERE at < ");
	amend_sql_string(&sql, before);
	status = amend_exec(db, &sql, &rows, err);
	*n = rows.changes;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

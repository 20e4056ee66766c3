/*
 * The form in which a column hands a value back after storing it.
 *
 * What the value becomes depends on the column's affinity, or on its type in a
 * STRICT table, and on nothing else of the declaration. Where that is plain the
 * answer is given here; else SQLite is asked: the value is stored in a table of
 * that affinity in a private database in memory, and read back. The user's
 * database, its temporary tables included, is never touched for it.
 */
#include "sql/driver/sqlite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"
#include "core/rows.h"

/* One kind of column; the order is that of `kinds`. */
enum { N_KINDS = 11, LONGEST_SHOWN = 60 };

static const struct {
	const char *definition, *options, *expected;
} kinds[N_KINDS] = {
	{"TEXT", "", "text"},
	{"INTEGER", "", "integer"},
	{"REAL", "", "number"},
	{"BLOB", "", "blob"},
	{"NUMERIC", "", "number"},
	{"TEXT", "STRICT", "text"},
	{"INTEGER", "STRICT", "integer"},
	{"REAL", "STRICT", "number"},
	{"BLOB", "STRICT", "blob"},
	{"ANY", "STRICT", "value"},
	{"INTEGER PRIMARY KEY", "", "integer"},
};

struct amend_sqlite_scratch {
	sqlite3 *db;
	bool utf16; /* as the user's database is: text is then converted, and mended */
	struct {
		sqlite3_stmt *store, *read;
	} kinds[N_KINDS];
};

static bool contains(const char *text, const char *part)
{
	size_t size = strlen(part);

	for (; *text; text++) {
		if (strncasecmp(text, part, size) == 0)
			return true;
	}
	return false;
}

/* The rules of SQLite's manual, datatype3.html 3.1, in their order; a STRICT table's six types are exact. */
enum amend_sqlite_affinity amend_sqlite_affinity(const char *type, bool strict)
{
	if (contains(type, "INT"))
		return AMEND_SQLITE_AS_INTEGER;
	if (contains(type, "CHAR") || contains(type, "CLOB") || contains(type, "TEXT"))
		return AMEND_SQLITE_AS_TEXT;
	if (contains(type, "BLOB") || *type == '\0' || (strict && strcasecmp(type, "ANY") == 0))
		return AMEND_SQLITE_AS_BLOB;
	if (contains(type, "REAL") || contains(type, "FLOA") || contains(type, "DOUB"))
		return AMEND_SQLITE_AS_REAL;
	return AMEND_SQLITE_AS_NUMERIC;
}

static size_t kind_of(const struct amend_column *column)
{
	bool strict = (column->type_id & AMEND_SQLITE_STRICT) != 0;

	if (column->type_id & AMEND_SQLITE_ROWID)
		return 10;
	if (strict && strcasecmp(column->type, "ANY") == 0)
		return 9;
	return (size_t)amend_sqlite_affinity(column->type, strict) + (strict ? 5 : 0);
}

/* -?[1-9][0-9]{0,17} or 0: what SQLite reads and prints as the same 64-bit integer. */
static bool plain_integer(const struct amend_value *value, int64_t *out)
{
	const char *text = value->as.text;
	size_t size = value->size, i = 0;
	int64_t number = 0;
	bool negative = size > 0 && text[0] == '-';

	i += negative;
	if (size - i < 1 || size - i > 18 || (text[i] == '0' && size > 1))
		return false;
	for (; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (text[i] - '0');
	}
	*out = negative ? -number : number;
	return true;
}

/*
 * True when `out` is known without asking. REAL columns keep whole numbers as
 * integers (-0.0 becomes 0), so those are asked for; blobs are kept as they are outside STRICT.
 */
static bool known(size_t kind, bool utf16, const struct amend_value *in, struct amend_value *out)
{
	bool strict = kind >= 5;
	int64_t integer;

	*out = *in;
	if (in->kind == AMEND_NULL)
		return true;
	if (kind == 10)
		return in->kind == AMEND_INTEGER;
	if (in->kind == AMEND_BLOB)
		return !strict || kind == 8 || kind == 9;
	if (in->kind == AMEND_TEXT && utf16)
		return false;
	if (in->kind == AMEND_TEXT && !strict && kind != AMEND_SQLITE_AS_BLOB &&
	    amend_value_no_number(in))
		return true;
	switch ((enum amend_sqlite_affinity)(kind == 9 ? AMEND_SQLITE_AS_BLOB : kind % 5)) {
	case AMEND_SQLITE_AS_TEXT:
		return in->kind == AMEND_TEXT;
	case AMEND_SQLITE_AS_BLOB:
		return kind != 8;
	case AMEND_SQLITE_AS_REAL:
		return in->kind == AMEND_REAL && in->as.real > -1e15 && in->as.real < 1e15 &&
		       (double)(int64_t)in->as.real != in->as.real;
	case AMEND_SQLITE_AS_INTEGER:
	case AMEND_SQLITE_AS_NUMERIC:
		if (in->kind == AMEND_INTEGER)
			return true;
		if (in->kind != AMEND_TEXT || !plain_integer(in, &integer))
			return false;
		*out = amend_integer(integer);
		return true;
	}
	return false;
}

void amend_sqlite_scratch_close(struct amend_sqlite_scratch *scratch)
{
	if (!scratch)
		return;
	for (size_t i = 0; i < N_KINDS; i++) {
		sqlite3_finalize(scratch->kinds[i].store);
		sqlite3_finalize(scratch->kinds[i].read);
	}
	sqlite3_close(scratch->db);
	free(scratch);
}

static enum amend_status failed(sqlite3 *db, int rc, struct amend_error *err)
{
	if ((rc & 0xff) == SQLITE_NOMEM || !db)
		return amend_no_memory(err);
	return amend_error_set(err, AMEND_INTERNAL, "the private database for comparing failed: %s",
			       sqlite3_errmsg(db));
}

/* NULL, and `err`, when it fails. Text is stored in the user's encoding: what UTF-16 cannot hold is mended there, and must be here. */
static struct amend_sqlite_scratch *open_scratch(struct amend_session *session,
						 struct amend_error *err)
{
	const struct amend_statement ask = {.sql = "PRAGMA main.encoding"};
	struct amend_sqlite_scratch *scratch = calloc(1, sizeof(*scratch));
	struct amend_rows rows = AMEND_ROWS_INIT;
	char pragma[64];
	size_t ignored;
	enum amend_status status;
	int rc = SQLITE_OK;

	if (!scratch) {
		amend_no_memory(err);
		return NULL;
	}
	status = amend_sqlite_run(session, &ask, 1, &rows, &ignored, err);
	if (status != AMEND_OK)
		goto out;
	snprintf(pragma, sizeof(pragma), "PRAGMA encoding='%s'",
		 rows.n_rows ? amend_rows_at(&rows, 0, 0)->as.text : "UTF-8");
	scratch->utf16 = strstr(pragma, "UTF-16") != NULL;
	rc = sqlite3_open_v2(":memory:", &scratch->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
				     SQLITE_OPEN_MEMORY,
			     NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(scratch->db, pragma, NULL, NULL, NULL);
	/* One transaction for ever: nothing is to be committed. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(scratch->db, "BEGIN", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		status = failed(scratch->db, rc, err);
out:
	amend_rows_release(&rows);
	if (status == AMEND_OK)
		return scratch;
	amend_sqlite_scratch_close(scratch);
	return NULL;
}

static enum amend_status open_kind(struct amend_sqlite_scratch *scratch, size_t kind,
				   struct amend_error *err)
{
	char sql[128];
	int rc;

	snprintf(sql, sizeof(sql), "CREATE TABLE IF NOT EXISTS t%zu(v %s)%s", kind,
		 kinds[kind].definition, kinds[kind].options);
	rc = sqlite3_exec(scratch->db, sql, NULL, NULL, NULL);
	snprintf(sql, sizeof(sql), "DELETE FROM t%zu; INSERT INTO t%zu DEFAULT VALUES", kind, kind);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(scratch->db, sql, NULL, NULL, NULL);
	snprintf(sql, sizeof(sql), "UPDATE t%zu SET v = ?1", kind);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(scratch->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
					&scratch->kinds[kind].store, NULL);
	snprintf(sql, sizeof(sql), "SELECT v FROM t%zu", kind);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(scratch->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
					&scratch->kinds[kind].read, NULL);
	return rc == SQLITE_OK ? AMEND_OK : failed(scratch->db, rc, err);
}

/* "expected integer, found "abc"", cut to what fits a line. */
static const char *problem_of(size_t kind, const struct amend_value *in, struct amend_arena *arena)
{
	const char *expected = kinds[kind].expected;
	int size;

	switch (in->kind) {
	case AMEND_NULL:
		return amend_arena_printf(arena, "expected %s, found NULL", expected);
	case AMEND_INTEGER:
		return amend_arena_printf(arena, "expected %s, found %lld", expected,
					  (long long)in->as.integer);
	case AMEND_REAL:
		return amend_arena_printf(arena, "expected %s, found %.17g", expected, in->as.real);
	case AMEND_BLOB:
		return amend_arena_printf(arena, "expected %s, found a blob of %zu bytes", expected,
					  in->size);
	case AMEND_TEXT:
		break;
	}
	size = in->size > LONGEST_SHOWN ? LONGEST_SHOWN : (int)in->size;
	/* Not within a character. */
	while (size > 0 && (size_t)size < in->size &&
	       ((unsigned char)in->as.text[size] & 0xc0) == 0x80)
		size--;
	return amend_arena_printf(arena, "expected %s, found \"%.*s\"%s", expected, size,
				  in->as.text, (size_t)size < in->size ? "..." : "");
}

static enum amend_status ask(struct amend_sqlite_scratch *scratch, size_t kind,
			     struct amend_canon *item, struct amend_arena *arena,
			     struct amend_error *err)
{
	sqlite3_stmt *store, *read;
	enum amend_status status = AMEND_OK;
	int rc;

	if (!scratch->kinds[kind].read)
		status = open_kind(scratch, kind, err);
	if (status != AMEND_OK)
		return status;
	store = scratch->kinds[kind].store;
	read = scratch->kinds[kind].read;
	rc = amend_sqlite_bind(store, 1, &item->in);
	if (rc == SQLITE_OK)
		rc = amend_sqlite_step(store);
	sqlite3_clear_bindings(store);
	switch (rc & 0xff) {
	case SQLITE_OK:
		break;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		item->problem = problem_of(kind, &item->in, arena);
		return item->problem ? AMEND_OK : amend_no_memory(err);
	case SQLITE_TOOBIG:
		item->problem = "longer than SQLite can store";
		return AMEND_OK;
	default:
		return failed(scratch->db, rc, err);
	}
	rc = sqlite3_step(read);
	if (rc != SQLITE_ROW)
		status = failed(scratch->db, rc, err);
	else if (!amend_sqlite_column_value(read, 0, arena, &item->out))
		status = amend_no_memory(err);
	sqlite3_reset(read);
	return status;
}

enum amend_status amend_sqlite_canonicalise(struct amend_session *session,
					    struct amend_canon *items, size_t n,
					    struct amend_arena *arena, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (!session->scratch)
		session->scratch = open_scratch(session, err);
	if (!session->scratch)
		return err->status;
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		size_t kind = kind_of(items[i].column);

		items[i].problem = NULL;
		if (items[i].in.kind == AMEND_REAL && isnan(items[i].in.as.real)) {
			items[i].out = items[i].in;
			items[i].problem = problem_of(kind, &items[i].in, arena);
			if (!items[i].problem)
				status = amend_no_memory(err);
		} else if (!known(kind, session->scratch->utf16, &items[i].in, &items[i].out)) {
			status = ask(session->scratch, kind, &items[i], arena, err);
		}
	}
	return status;
}

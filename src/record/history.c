/*
 * History: of a record, a table, a revision, a run.
 * Leaves recording it to the ledger.
 */
#include "record/history.h"

#include <string.h>

#include "core/rows.h"
#include "record/request.h"

enum { PAGE = 500, DELETIONS = 10000 };
enum { CHANGE, REVISION, RUN, AT, WHO, WHY, PROGRAM, TBL, OP, PK, WAS, FIELDS };

static void select_history(struct amend_sql *sql, struct amend_conn *db)
{
	amend_sql_init(sql, db);
	amend_sql_text(sql, "SELECT c.id, c.revision, r.run, r.at, r.who, r.why, r.program, c.tbl, "
			    "c.op, c.pk, c.was, c.fields FROM ");
	amend_sql_ledger(sql, "change");
	amend_sql_text(sql, " c JOIN ");
	amend_sql_ledger(sql, "revision");
	amend_sql_text(sql, " r ON r.id = c.revision WHERE ");
}

static const char *keep(struct amend_arena *arena, const struct amend_rows *rows, size_t row,
			size_t column, bool *ok)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);
	const char *text;

	if (value->kind != AMEND_TEXT)
		return NULL;
	text = amend_arena_text_n(arena, value->as.text, value->size);
	*ok = *ok && text;
	return text;
}

static enum amend_status take(const struct amend_conn *db, const struct amend_rows *rows,
			      size_t row, struct amend_arena *arena, struct amend_history *out,
			      struct amend_error *err)
{
	bool ok = true;
	struct amend_change *changes = NULL;
	enum amend_status status;

	memset(out, 0, sizeof(*out));
	if (!amend_value_number(amend_rows_at(rows, row, CHANGE), &out->change) ||
	    !amend_value_number(amend_rows_at(rows, row, REVISION), &out->revision))
		return amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	if (!amend_value_number(amend_rows_at(rows, row, RUN), &out->run))
		out->run = 0;
	out->at = keep(arena, rows, row, AT, &ok);
	out->who = keep(arena, rows, row, WHO, &ok);
	out->why = keep(arena, rows, row, WHY, &ok);
	out->program = keep(arena, rows, row, PROGRAM, &ok);
	out->table = keep(arena, rows, row, TBL, &ok);
	out->op = keep(arena, rows, row, OP, &ok);
	out->pk = keep(arena, rows, row, PK, &ok);
	out->was = keep(arena, rows, row, WAS, &ok);
	if (!ok)
		return amend_no_memory(err);
	status = amend_fields_parse(amend_rows_at(rows, row, FIELDS)->as.text,
				    amend_has(db, AMEND_HAS_TYPED_STORAGE), arena, &changes,
				    &out->n_changes, err);
	out->changes = changes;
	return status;
}

void amend_history_last_sql(struct amend_sql *sql, struct amend_conn *db,
			    const struct amend_table *table, const char *pk)
{
	amend_sql_init(sql, db);
	amend_sql_text(sql, "SELECT coalesce(max(id), 0) FROM ");
	amend_sql_ledger(sql, "change");
	amend_sql_text(sql, " WHERE tbl = ");
	amend_sql_string(sql, table->qualified);
	amend_sql_text(sql, " AND pk = ");
	amend_sql_string(sql, pk);
}

/* One record, under one primary key: changes in (after, before), newest first. */
static enum amend_status read_record(struct amend_conn *db, const char *table, const char *pk,
				     int64_t after, int64_t before, size_t limit,
				     struct amend_rows *rows, struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	select_history(&sql, db);
	amend_sql_text(&sql, "c.tbl = ");
	amend_sql_string(&sql, table);
	amend_sql_text(&sql, " AND c.pk = ");
	amend_sql_string(&sql, pk);
	amend_sql_text(&sql, " AND c.id > ");
	amend_sql_integer(&sql, after);
	amend_sql_text(&sql, " AND c.id < ");
	amend_sql_integer(&sql, before);
	amend_sql_printf(&sql, " ORDER BY c.id DESC LIMIT %zu", limit);
	status = amend_exec(db, &sql, rows, err);
	amend_sql_release(&sql);
	return status;
}

/* Whether the record of this key got another one between the two: what is older then belongs to it, not to who has the key now. */
static enum amend_status moved_away(struct amend_conn *db, const char *table, const char *pk,
				    int64_t after, int64_t before, bool *moved,
				    struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT 1 FROM ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " WHERE tbl = ");
	amend_sql_string(&sql, table);
	amend_sql_text(&sql, " AND was = ");
	amend_sql_string(&sql, pk);
	amend_sql_text(&sql, " AND id > ");
	amend_sql_integer(&sql, after);
	amend_sql_text(&sql, " AND id < ");
	amend_sql_integer(&sql, before);
	amend_sql_text(&sql, " LIMIT 1");
	status = amend_exec(db, &sql, &rows, err);
	*moved = rows.n_rows > 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

typedef enum amend_status (*history_fn)(const struct amend_history *entry, void *context,
					struct amend_error *err);

/* Follows one record back through the keys it had. `arena` is the entries'; released a page at a time when `own`. */
static enum amend_status each_of_record(struct amend_conn *db, const struct amend_table *table,
					const char *pk, int64_t after, size_t limit,
					struct amend_arena *arena, history_fn each, void *context,
					struct amend_error *err)
{
	struct amend_buffer key = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;
	int64_t before = INT64_MAX;
	bool more = true, born = false; /* the entry before was a creation */

	amend_buffer_text(&key, pk);
	while (status == AMEND_OK && more && limit > 0 && !key.failed) {
		struct amend_rows rows = AMEND_ROWS_INIT;
		size_t page = limit < PAGE ? limit : PAGE;

		status = read_record(db, table->qualified, key.data, after, before, page, &rows,
				     err);
		more = status == AMEND_OK && rows.n_rows == page;
		for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
			struct amend_history entry;
			bool moved = false;

			status = take(db, &rows, i, arena, &entry, err);
			if (status == AMEND_OK && born && strcmp(entry.op, "delete") != 0)
				status = moved_away(db, table->qualified, key.data, entry.change,
						    before, &moved, err);
			if (status == AMEND_OK && moved)
				more = false;
			if (status != AMEND_OK || moved)
				break;
			status = each(&entry, context, err);
			born = strcmp(entry.op, "create") == 0;
			limit--;
			before = entry.change;
			if (entry.was) {
				amend_buffer_reset(&key);
				amend_buffer_text(&key, entry.was);
				more = true;
				break;
			}
		}
		amend_rows_release(&rows);
	}
	if (status == AMEND_OK && key.failed)
		status = amend_no_memory(err);
	amend_buffer_release(&key);
	return status;
}

struct list {
	struct amend_history *entries;
	size_t n, room;
	struct amend_arena *arena;
};

static enum amend_status add_to_list(const struct amend_history *entry, void *context,
				     struct amend_error *err)
{
	struct list *list = context;

	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 8;
		struct amend_history *entries = amend_arena_array(list->arena, room,
								  sizeof(*entries));

		if (!entries)
			return amend_no_memory(err);
		if (list->n > 0)
			memcpy(entries, list->entries, list->n * sizeof(*entries));
		list->entries = entries;
		list->room = room;
	}
	list->entries[list->n++] = *entry;
	return AMEND_OK;
}

enum amend_status amend_history_since(struct amend_conn *db, const struct amend_table *table,
				      const char *pk, int64_t after, size_t limit,
				      struct amend_arena *arena, struct amend_history **out,
				      size_t *n, struct amend_error *err)
{
	struct list list = {.arena = arena};
	bool present;
	enum amend_status status = amend_ledger_look(db, &present, err);

	if (status == AMEND_OK && present)
		status = each_of_record(db, table, pk, after, limit, arena, add_to_list, &list, err);
	*out = list.entries;
	*n = list.n;
	return status;
}

enum amend_status amend_history_deletions(struct amend_conn *db, const struct amend_table *table,
					  size_t limit, struct amend_arena *arena,
					  struct amend_history **out, size_t *n,
					  struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct list list = {.arena = arena};
	struct amend_sql sql;
	bool present;
	enum amend_status status = amend_ledger_look(db, &present, err);

	*out = NULL;
	*n = 0;
	if (status != AMEND_OK || !present)
		return status;
	select_history(&sql, db);
	amend_sql_text(&sql, "c.op = 'delete' AND c.tbl = ");
	amend_sql_string(&sql, table->qualified);
	amend_sql_printf(&sql, " ORDER BY c.id DESC LIMIT %zu", limit);
	status = amend_exec(db, &sql, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		struct amend_history entry;

		status = take(db, &rows, i, arena, &entry, err);
		if (status == AMEND_OK)
			status = add_to_list(&entry, &list, err);
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	*out = list.entries;
	*n = list.n;
	return status;
}

/* ---- amend_log ---- */

struct log {
	struct amend_conn *db;
	amend_log_fn each;
	void *context;
	const struct amend_log_filter *filter;
	uint64_t limit;
	uint64_t found, shown;
};

static enum amend_status show(const struct amend_history *history, void *context,
			      struct amend_error *err)
{
	struct log *log = context;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_field *key = NULL;
	struct amend_log_entry entry = {
		.change = history->change,
		.revision = history->revision,
		.run = history->run,
		.at = history->at,
		.who = history->who,
		.why = history->why,
		.program = history->program,
		.table = history->table,
		.op = history->op,
		.changes = history->changes,
		.n_changes = history->n_changes,
	};
	enum amend_status status = amend_pk_parse(history->pk,
						  amend_has(log->db, AMEND_HAS_TYPED_STORAGE),
						  &arena, &key, &entry.n_key, err);

	entry.key = key;
	if (status == AMEND_OK && log->shown < log->limit &&
	    amend_history_fits(log->filter, history, key, entry.n_key)) {
		log->shown++;
		status = log->each(&entry, log->context, err);
	}
	amend_arena_release(&arena);
	return status;
}

/* What stands before the newest `limit` entries, which are shown from the oldest of them on. */
static enum amend_status skip_older(struct amend_conn *db, const struct amend_log_filter *filter,
				    int64_t *last, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT c.id FROM ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " c JOIN ");
	amend_sql_ledger(&sql, "revision");
	amend_sql_text(&sql, " r ON r.id = c.revision WHERE 1 = 1");
	amend_history_where(&sql, filter);
	amend_sql_text(&sql, " ORDER BY c.id DESC LIMIT 1 OFFSET ");
	amend_sql_integer(&sql, filter->limit);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1 &&
	    !amend_value_number(amend_rows_at(&rows, 0, 0), last))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* Not one record: a table, a revision, a run, or all, in pages. */
static enum amend_status log_many(struct amend_conn *db, const struct amend_log_filter *filter,
				  struct log *log, struct amend_error *err)
{
	bool forward = filter->revision || filter->run;
	int64_t last = forward ? 0 : INT64_MAX;
	enum amend_status status = AMEND_OK;
	bool more = true;

	if (forward && filter->limit > 0)
		status = skip_older(db, filter, &last, err);
	while (status == AMEND_OK && more && log->shown < log->limit) {
		uint64_t left = log->limit - log->shown;
		size_t page = left < PAGE && !filter->text ? (size_t)left : PAGE;
		struct amend_arena arena = AMEND_ARENA_INIT;
		struct amend_rows rows = AMEND_ROWS_INIT;
		struct amend_sql sql;

		select_history(&sql, db);
		amend_sql_text(&sql, forward ? "c.id > " : "c.id < ");
		amend_sql_integer(&sql, last);
		amend_history_where(&sql, filter);
		amend_sql_printf(&sql, " ORDER BY c.id %s LIMIT %zu", forward ? "ASC" : "DESC",
				 page);
		status = amend_exec(db, &sql, &rows, err);
		more = status == AMEND_OK && rows.n_rows == page;
		for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
			struct amend_history entry;

			status = take(db, &rows, i, &arena, &entry, err);
			if (status == AMEND_OK)
				status = show(&entry, log, err);
			last = entry.change;
		}
		amend_arena_release(&arena);
		amend_rows_release(&rows);
		amend_sql_release(&sql);
	}
	return status;
}

static bool had_key(const struct amend_table *table, const struct amend_history *deletion,
		    const struct amend_put *key, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < deletion->n_changes; i++) {
		int at = amend_table_column(table, deletion->changes[i].column);

		for (size_t j = 0; j < n; j++)
			found += (int)key[j].column == at &&
				 amend_value_equal(&deletion->changes[i].before, &key[j].value);
	}
	return found == n;
}

enum amend_status amend_history_deleted(struct amend_conn *db, const struct amend_table *table,
					const struct amend_request_key *key,
					struct amend_arena *arena, const char **pk,
					struct amend_error *err)
{
	struct amend_put *puts = amend_arena_array(arena, key->n, sizeof(*puts));
	struct amend_history *deletions = NULL;
	size_t n = 0;
	enum amend_status status;

	*pk = NULL;
	if (!puts)
		return amend_no_memory(err);
	for (size_t i = 0; i < key->n; i++)
		puts[i] = (struct amend_put){.column = key->columns[i], .value = key->values[i]};
	status = amend_request_canonical(db, table, NULL, puts, key->n, arena, err);
	if (status == AMEND_OK)
		status = amend_history_deletions(db, table, DELETIONS, arena, &deletions, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK && !*pk; i++) {
		if (had_key(table, &deletions[i], puts, key->n))
			*pk = deletions[i].pk;
	}
	return status;
}

/*
 * The record's name: from its row while it lives, else from the key itself when that is the primary
 * key. `row->pk` NULL: nothing is known; `row->values` NULL: it does not live.
 */
static enum amend_status find_pk(struct amend_conn *db, const struct amend_table *table,
				 const struct amend_match *match, struct amend_arena *arena,
				 struct amend_row *row, struct amend_error *err)
{
	struct amend_request_key key;
	struct amend_row *rows;
	size_t n;
	enum amend_status status = amend_request_key(db, table, match, arena, &key, err);

	*row = (struct amend_row){0};
	if (status != AMEND_OK || key.blank)
		return status;
	status = amend_row_find(db, table, key.columns, key.values, key.n, NULL, 2, arena, &rows,
				&n, err);
	if (status != AMEND_OK)
		amend_request_key_refused(db, table, &key, err);
	if (status != AMEND_OK)
		return status;
	if (n > 1)
		return amend_request_several(table, &key, err);
	if (n == 1)
		*row = rows[0];
	else
		status = amend_request_pk(db, table, &key, arena, &row->pk, err);
	if (status == AMEND_OK && !row->pk)
		status = amend_history_deleted(db, table, &key, arena, &row->pk, err);
	return status;
}

static enum amend_status no_such_record(const struct amend_table *table, struct amend_error *err)
{
	return amend_error_set(err, AMEND_NOT_FOUND,
			       "no such record in %s, and none in its history", table->qualified);
}

enum amend_status amend_history_of(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_match *key, struct amend_arena *arena,
				   struct amend_row *row, struct amend_history **out, size_t *n,
				   struct amend_error *err)
{
	enum amend_status status = find_pk(db, table, key, arena, row, err);

	*out = NULL;
	*n = 0;
	if (status == AMEND_OK && row->pk)
		status = amend_history_since(db, table, row->pk, 0, SIZE_MAX, arena, out, n, err);
	if (status == AMEND_OK && *n == 0 && !row->values)
		status = no_such_record(table, err);
	return status;
}

static enum amend_status show_of_record(const struct amend_history *history, void *context,
					struct amend_error *err)
{
	struct log *log = context;

	log->found++;
	return show(history, context, err);
}

static enum amend_status log_record(struct amend_conn *db, const struct amend_log_filter *filter,
				    struct log *log, struct amend_error *err)
{
	bool narrow = filter->run || filter->by || filter->since || filter->until || filter->text;
	size_t limit = filter->limit > 0 && !narrow ? (size_t)filter->limit : SIZE_MAX;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_row row;
	enum amend_status status = find_pk(db, filter->table, filter->key, &arena, &row, err);

	if (status == AMEND_OK && row.pk)
		status = each_of_record(db, filter->table, row.pk, 0, limit, &arena, show_of_record,
					log, err);
	if (status == AMEND_OK && log->found == 0 && !row.values)
		status = no_such_record(filter->table, err);
	amend_arena_release(&arena);
	return status;
}

enum amend_status amend_log(struct amend_conn *db, const struct amend_log_filter *filter,
			    amend_log_fn each, void *context, struct amend_error *err)
{
	struct log log = {
		.db = db,
		.each = each,
		.context = context,
		.filter = filter,
		.limit = filter->limit > 0 ? (uint64_t)filter->limit : UINT64_MAX,
	};
	enum amend_status status = amend_enter(db, err);
	bool present;

	if (status != AMEND_OK)
		return status;
	status = amend_ledger_look(db, &present, err);
	if (status == AMEND_OK && filter->key && !filter->table)
		status = amend_error_set(err, AMEND_INVALID, "a key needs a table to look in");
	else if (status == AMEND_OK && present)
		status = filter->key ? log_record(db, filter, &log, err)
				     : log_many(db, filter, &log, err);
	if (status == AMEND_OK && log.shown == 0 && filter->revision)
		status = amend_error_set(err, AMEND_NOT_FOUND, "no revision %lld is known here",
					 (long long)filter->revision);
	else if (status == AMEND_OK && log.shown == 0 && filter->run)
		status = amend_run_known(db, filter->run, err);
	return amend_leave(db, status, err);
}

/*
 * Bases: what a source said of a record last time.
 * Leaves what follows from them to sync.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/state.h"

enum { PAGE = 2000, LOOKUPS = 500 };

struct wanted {
	const char *key;
	size_t index;
};

static int compare_wanted(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->key, ((const struct wanted *)b)->key);
}

static bool take_bytes(struct amend_arena *arena, const struct amend_value *value,
		       const unsigned char **bytes, size_t *size)
{
	struct amend_value blob;

	if (!amend_value_bytes(value, arena, &blob))
		return false;
	*bytes = blob.as.blob;
	*size = blob.size;
	return true;
}

/* Columns: pk, first_key, digest, pack. */
static enum amend_status take_base(const struct amend_rows *rows, size_t row, const char *source,
				   struct amend_arena *arena, struct amend_base *out,
				   struct amend_error *err)
{
	const unsigned char *digest, *pack;
	size_t digest_size;

	out->source = source;
	out->pk = amend_arena_text(arena, amend_rows_at(rows, row, 0)->as.text);
	out->first_key = amend_arena_text(arena, amend_rows_at(rows, row, 1)->as.text);
	if (!out->pk || !out->first_key ||
	    !take_bytes(arena, amend_rows_at(rows, row, 2), &digest, &digest_size) ||
	    !take_bytes(arena, amend_rows_at(rows, row, 3), &pack, &out->pack_size))
		return amend_no_memory(err);
	if (digest_size != AMEND_DIGEST_SIZE)
		return amend_error_set(err, AMEND_INTERNAL, "the base of %s is damaged", out->pk);
	memcpy(out->digest, digest, AMEND_DIGEST_SIZE);
	out->pack = pack;
	return AMEND_OK;
}

static void select_base(struct amend_sql *sql, struct amend_conn *db, const char *source,
			const struct amend_table *table)
{
	amend_sql_init(sql, db);
	amend_sql_text(sql, "SELECT pk, first_key, digest, pack FROM ");
	amend_sql_ledger(sql, "base");
	amend_sql_text(sql, " WHERE source = ");
	amend_sql_string(sql, source);
	amend_sql_text(sql, " AND tbl = ");
	amend_sql_string(sql, table->qualified);
}

/* Few keys: each looked up by the index, in one trip. */
static enum amend_status look_up(struct amend_conn *db, const char *source,
				 const struct amend_table *table, bool by_first_key,
				 const char *const *keys, size_t n, struct amend_base *out,
				 struct amend_arena *arena, struct amend_error *err)
{
	struct amend_sql *sqls = calloc(n, sizeof(*sqls));
	struct amend_statement *statements = calloc(n, sizeof(*statements));
	struct amend_rows *rows = calloc(n, sizeof(*rows));
	enum amend_status status = AMEND_OK;

	if (!sqls || !statements || !rows) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		select_base(&sqls[i], db, source, table);
		amend_sql_text(&sqls[i], by_first_key ? " AND first_key = " : " AND pk = ");
		amend_sql_string(&sqls[i], keys[i]);
		/* After a key was edited and taken by another record two may share a first key. */
		amend_sql_text(&sqls[i], " ORDER BY pk");
		statements[i] = amend_sql_statement(&sqls[i]);
	}
	status = amend_exec_many(db, statements, n, rows, NULL, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (rows[i].n_rows > 0)
			status = take_base(&rows[i], 0, source, arena, &out[i], err);
	}
out:
	for (size_t i = 0; i < n && rows; i++)
		amend_rows_release(&rows[i]);
	for (size_t i = 0; i < n && sqls; i++)
		amend_sql_release(&sqls[i]);
	free(sqls);
	free(statements);
	free(rows);
	return status;
}

/* All that want this base: keys may be equal. */
static enum amend_status give(const struct wanted *wanted, size_t n, const struct amend_rows *rows,
			      size_t row, bool by_first_key, const char *source,
			      struct amend_base *out, struct amend_arena *arena,
			      struct amend_error *err)
{
	const char *key = amend_rows_at(rows, row, by_first_key ? 1 : 0)->as.text;
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(wanted[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < n && strcmp(wanted[low].key, key) == 0; low++) {
		struct amend_base *base = &out[wanted[low].index];
		enum amend_status status;

		if (base->pack)
			continue;
		status = take_base(rows, row, source, arena, base, err);
		if (status != AMEND_OK)
			return status;
	}
	return AMEND_OK;
}

/* Many keys: the source's bases are read in pages by primary key, and matched here. */
static enum amend_status scan(struct amend_conn *db, const char *source,
			      const struct amend_table *table, bool by_first_key,
			      const char *const *keys, size_t n, struct amend_base *out,
			      struct amend_arena *arena, struct amend_error *err)
{
	struct wanted *wanted = calloc(n, sizeof(*wanted));
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_buffer last = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;
	struct amend_sql sql;
	bool more = true;

	if (!wanted)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++)
		wanted[i] = (struct wanted){keys[i], i};
	qsort(wanted, n, sizeof(*wanted), compare_wanted);
	while (more && status == AMEND_OK) {
		select_base(&sql, db, source, table);
		if (last.size > 0) {
			amend_sql_text(&sql, " AND pk > ");
			amend_sql_string(&sql, last.data);
		}
		amend_sql_printf(&sql, " ORDER BY pk LIMIT %d", PAGE);
		status = amend_exec(db, &sql, &rows, err);
		for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++)
			status = give(wanted, n, &rows, i, by_first_key, source, out, arena, err);
		more = rows.n_rows == PAGE;
		if (more) {
			amend_buffer_reset(&last);
			amend_buffer_text(&last, amend_rows_at(&rows, PAGE - 1, 0)->as.text);
			if (last.failed)
				status = amend_no_memory(err);
		}
		amend_rows_release(&rows);
		amend_sql_release(&sql);
	}
	amend_buffer_release(&last);
	free(wanted);
	return status;
}

enum amend_status amend_base_find(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool by_first_key,
				  const char *const *keys, size_t n, struct amend_base *out,
				  struct amend_arena *arena, struct amend_error *err)
{
	bool present;
	enum amend_status status = amend_ledger_look(db, &present, err);

	memset(out, 0, n * sizeof(*out));
	if (status != AMEND_OK || !present || n == 0)
		return status;
	if (n <= LOOKUPS)
		return look_up(db, source, table, by_first_key, keys, n, out, arena, err);
	return scan(db, source, table, by_first_key, keys, n, out, arena, err);
}

static enum amend_status hand_out(const struct amend_rows *rows, const char *source, bool packs,
				  amend_base_fn each, void *context, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < rows->n_rows && status == AMEND_OK; i++) {
		struct amend_arena arena = AMEND_ARENA_INIT;
		struct amend_base base;

		status = take_base(rows, i, source, &arena, &base, err);
		if (!packs) {
			base.pack = NULL;
			base.pack_size = 0;
		}
		if (status == AMEND_OK)
			status = each(context, &base, err);
		amend_arena_release(&arena);
	}
	return status;
}

enum amend_status amend_base_scan(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool packs, amend_base_fn each,
				  void *context, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_buffer last = AMEND_BUFFER_INIT;
	struct amend_sql sql;
	bool more;
	enum amend_status status = amend_ledger_look(db, &more, err);

	while (more && status == AMEND_OK) {
		select_base(&sql, db, source, table);
		if (last.size > 0) {
			amend_sql_text(&sql, " AND pk > ");
			amend_sql_string(&sql, last.data);
		}
		amend_sql_printf(&sql, " ORDER BY pk LIMIT %d", PAGE);
		status = amend_exec(db, &sql, &rows, err);
		if (status == AMEND_OK)
			status = hand_out(&rows, source, packs, each, context, err);
		more = rows.n_rows == PAGE;
		if (more) {
			amend_buffer_reset(&last);
			amend_buffer_text(&last, amend_rows_at(&rows, PAGE - 1, 0)->as.text);
			if (last.failed)
				status = amend_no_memory(err);
		}
		amend_rows_release(&rows);
		amend_sql_release(&sql);
	}
	amend_buffer_release(&last);
	return status;
}

static void where_base(struct amend_sql *sql, const struct amend_table *table,
		       const struct amend_base *seen)
{
	amend_sql_text(sql, " WHERE source = ");
	amend_sql_string(sql, seen->source);
	amend_sql_text(sql, " AND tbl = ");
	amend_sql_string(sql, table->qualified);
	amend_sql_text(sql, " AND pk = ");
	amend_sql_string(sql, seen->pk);
	amend_sql_text(sql, " AND digest = ");
	amend_sql_bytes(sql, seen->digest, AMEND_DIGEST_SIZE);
}

static enum amend_status exec_counting(struct amend_conn *db, const struct amend_sql *sql,
				       bool *moved, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_exec(db, sql, &rows, err);

	if (status == AMEND_OK)
		*moved = rows.changes != 1;
	amend_rows_release(&rows);
	return status;
}

static enum amend_status remove_base(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_base *seen, bool *moved,
				     struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "base");
	where_base(&sql, table, seen);
	status = exec_counting(db, &sql, moved, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status insert_base(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_base *base, bool *moved,
				     struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " (source, tbl, pk, first_key, digest, pack) VALUES (");
	amend_sql_string(&sql, base->source);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, table->qualified);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, base->pk);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, base->first_key);
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, base->digest, AMEND_DIGEST_SIZE);
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, base->pack, base->pack_size);
	amend_sql_text(&sql, ") ON CONFLICT (source, tbl, pk) DO NOTHING");
	status = exec_counting(db, &sql, moved, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status update_base(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_base *seen, const struct amend_base *base,
				     bool *moved, struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " SET first_key = ");
	amend_sql_string(&sql, base->first_key);
	amend_sql_text(&sql, ", digest = ");
	amend_sql_bytes(&sql, base->digest, AMEND_DIGEST_SIZE);
	amend_sql_text(&sql, ", pack = ");
	amend_sql_bytes(&sql, base->pack, base->pack_size);
	where_base(&sql, table, seen);
	status = exec_counting(db, &sql, moved, err);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_base_write(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_base *seen, const struct amend_base *base,
				   bool *moved, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	*moved = false;
	if (!base)
		return seen ? remove_base(db, table, seen, moved, err) : AMEND_OK;
	if (!seen)
		return insert_base(db, table, base, moved, err);
	if (strcmp(seen->pk, base->pk) == 0 && strcmp(seen->source, base->source) == 0)
		return update_base(db, table, seen, base, moved, err);
	status = remove_base(db, table, seen, moved, err);
	if (status == AMEND_OK && !*moved)
		status = insert_base(db, table, base, moved, err);
	return status;
}

enum amend_status amend_bases_write(struct amend_conn *db, const struct amend_table *table,
				    struct amend_base_bulk *items, size_t n, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = amend_base_write(db, table, items[i].seen, items[i].base, &items[i].moved,
					  err);
	return status;
}

/*
 * Bases written, each in place of what was seen: many in few trips.
 * Leaves finding them to base.c, and what they hold to sync.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/feed.h"
#include "ledger/state.h"

enum {
	SLICE = 4096, /* in a statement: packs may be sent as text twice their size */
	MANY = 64,    /* insertions that are worth a savepoint */
};

/* What a statement may be about; unused ones are NULL. */
enum { FEED, PK, SEEN, FIRST_KEY, DIGEST, PACK, WIDTH };

/* The part of the items that one statement is about, in the order of primary keys. */
struct part {
	struct amend_conn *db;
	struct amend_base_bulk **items;
	struct amend_value *values; /* n * WIDTH */
	size_t n;
	/* What the writes make of the feed's sum, as yet. */
	int64_t feed;
	struct amend_base_sum sum;
};

static const char *pk_of(const struct amend_base_bulk *item)
{
	return item->base ? item->base->pk : item->seen->pk;
}

/* Sorted they find their places in the index one beside the other, and two runs do not lock across. */
static int by_pk(const void *a, const void *b)
{
	const struct amend_base_bulk *const *x = a, *const *y = b;
	int names = strcmp(pk_of(*x), pk_of(*y));

	return names ? names : (*x > *y) - (*x < *y);
}

static struct amend_value digest_of(const struct amend_base *base)
{
	return amend_blob(base->digest, AMEND_BASE_DIGEST_SIZE);
}

static enum amend_status add_feed(struct part *part, const struct amend_table *table,
				  const char *source, struct amend_value *row,
				  struct amend_error *err)
{
	int64_t feed = 0;
	enum amend_status status = amend_feed_find(part->db, source, table, true, &feed, err);

	row[FEED] = amend_integer(feed);
	return status;
}

/* The old row of an item: its place, and what it must still be. */
static enum amend_status add_seen(struct part *part, const struct amend_table *table,
				  struct amend_base_bulk *item, struct amend_error *err)
{
	struct amend_value *row = part->values + part->n * WIDTH;

	part->items[part->n++] = item;
	row[PK] = amend_text(item->seen->pk);
	row[SEEN] = digest_of(item->seen);
	return add_feed(part, table, item->seen->source, row, err);
}

static void add_new(struct amend_value *row, const struct amend_base *base)
{
	row[FIRST_KEY] = amend_text(base->first_key);
	row[DIGEST] = digest_of(base);
	row[PACK] = amend_blob(base->pack, base->pack_size);
}

static bool same_place(const struct amend_base_bulk *item)
{
	return item->seen && item->base && strcmp(item->seen->pk, item->base->pk) == 0 &&
	       strcmp(item->seen->source, item->base->source) == 0;
}

static bool same_name(const struct amend_base_bulk *item)
{
	return strcmp(item->seen->first_key, item->base->first_key) == 0;
}

/* ---- one statement for many ---- */

static void add_set(struct amend_sql *sql, const struct part *part, const int *columns, size_t n)
{
	const struct amend_dialect *dialect = part->db->dialect;
	struct amend_sql_array arrays[WIDTH];

	for (size_t i = 0; i < n; i++)
		arrays[i] = (struct amend_sql_array){
			.type = columns[i] == FEED ? dialect->integer_type
				: columns[i] == PK || columns[i] == FIRST_KEY ? dialect->text_type
									      : dialect->bytes_type,
			.values = part->values + columns[i],
			.stride = WIDTH,
			.lookup = true,
		};
	amend_sql_unnest(sql, arrays, n, part->n);
}

/* What a statement returns are places in the set: those it had no effect on have moved. */
static enum amend_status run_places(struct part *part, const struct amend_sql *sql,
				    struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_exec(part->db, sql, &rows, err);

	for (size_t i = 0; i < part->n; i++)
		part->items[i]->moved = true;
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		int64_t place = 0;

		if (!amend_value_number(amend_rows_at(&rows, i, 0), &place) || place < 1 ||
		    (size_t)place > part->n)
			status = amend_error_set(err, AMEND_INTERNAL,
						 "the ledger returned no number");
		else
			part->items[place - 1]->moved = false;
	}
	amend_rows_release(&rows);
	return status;
}

static enum amend_status remove_arrays(struct part *part, struct amend_error *err)
{
	static const int columns[] = {FEED, PK, SEEN};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, part->db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " b USING ");
	add_set(&sql, part, columns, 3);
	amend_sql_text(&sql, " WITH ORDINALITY AS w (feed, pk, seen, i) WHERE b.feed = w.feed AND "
			     "b.pk = w.pk AND b.digest = w.seen RETURNING w.i");
	status = run_places(part, &sql, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status update_arrays(struct part *part, bool rename, struct amend_error *err)
{
	static const int columns[] = {FEED, PK, SEEN, DIGEST, PACK, FIRST_KEY};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, part->db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " b SET digest = w.digest, pack = w.pack");
	amend_sql_text(&sql, rename ? ", first_key = w.first_key FROM " : " FROM ");
	add_set(&sql, part, columns, rename ? 6 : 5);
	amend_sql_text(&sql, " WITH ORDINALITY AS w (feed, pk, seen, digest, pack, ");
	amend_sql_text(&sql, rename ? "first_key, i) " : "i) ");
	amend_sql_text(&sql, "WHERE b.feed = w.feed AND b.pk = w.pk AND b.digest = w.seen "
			     "RETURNING w.i");
	status = run_places(part, &sql, err);
	amend_sql_release(&sql);
	return status;
}

static void insert_set(struct amend_sql *sql, const struct part *part)
{
	static const int columns[] = {FEED, PK, FIRST_KEY, DIGEST, PACK};

	amend_sql_init(sql, part->db);
	amend_sql_text(sql, "INSERT INTO ");
	amend_sql_ledger(sql, "base");
	amend_sql_text(sql, " (feed, pk, first_key, digest, pack) SELECT w.* FROM ");
	add_set(sql, part, columns, 5);
	amend_sql_text(sql, " AS w");
}

/*
 * It cannot return places, but it inserts and returns in the order of the set:
 * what was there is left out, and the primary keys say which.
 */
static enum amend_status insert_new(struct part *part, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;
	size_t next = 0;

	insert_set(&sql, part);
	amend_sql_text(&sql, " ON CONFLICT (feed, pk) DO NOTHING RETURNING pk");
	status = amend_exec(part->db, &sql, &rows, err);
	for (size_t i = 0; i < part->n && status == AMEND_OK; i++) {
		struct amend_base_bulk *item = part->items[i];

		item->moved = next == rows.n_rows ||
			      strcmp(amend_rows_at(&rows, next, 0)->as.text, item->base->pk) != 0;
		next += !item->moved;
	}
	if (status == AMEND_OK && next < rows.n_rows)
		status = amend_error_set(err, AMEND_INTERNAL,
					 "the ledger returned a base that was not written");
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status insert_plainly(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	static const size_t columns[] = {FEED, PK, FIRST_KEY, DIGEST, PACK};
	const struct part *part = context;
	struct amend_load load = {
		.columns = columns,
		.n_columns = sizeof(columns) / sizeof(columns[0]),
		.values = part->values,
		.stride = WIDTH,
		.n = part->n,
	};
	enum amend_status status;
	struct amend_sql sql;

	if (!amend_loads(db)) {
		insert_set(&sql, part);
		status = amend_exec(db, &sql, NULL, err);
		amend_sql_release(&sql);
		return status;
	}
	amend_sql_init(&sql, db);
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " (feed, pk, first_key, digest, pack)");
	load.into = amend_buffer_string(&sql.text);
	status = load.into ? amend_load(db, &load, err) : amend_no_memory(err);
	amend_sql_release(&sql);
	return status;
}

/* Mostly none is there: without asking each time it is half the work, and undone if one was. */
static enum amend_status insert_arrays(struct part *part, struct amend_error *err)
{
	enum amend_status status;

	if (part->n < MANY || !amend_in_transaction(part->db))
		return insert_new(part, err);
	status = amend_atomic(part->db, NULL, insert_plainly, part, err);
	return status == AMEND_CONSTRAINT && strcmp(err->sqlstate, "23505") == 0
		       ? insert_new(part, err)
		       : status;
}

/* ---- one statement for each ---- */

/* `columns`: what is bound each time, in order. */
static enum amend_status repeat(struct part *part, const struct amend_sql *sql, const int *columns,
				size_t n, struct amend_error *err)
{
	struct amend_value *values = calloc(part->n * n, sizeof(*values));
	int64_t *changes = calloc(part->n, sizeof(*changes));
	struct amend_repeat times = {
		.sql = amend_buffer_string(&sql->text),
		.unless_there = sql->unless_there,
		.n_values = n,
		.values = values,
		.n = part->n,
		.changes = changes,
	};
	enum amend_status status = values && changes ? AMEND_OK : amend_no_memory(err);

	for (size_t i = 0; i < part->n && status == AMEND_OK; i++) {
		for (size_t j = 0; j < n; j++)
			values[i * n + j] = part->values[i * WIDTH + (size_t)columns[j]];
	}
	if (status == AMEND_OK)
		status = amend_repeat(part->db, &times, err);
	for (size_t i = 0; i < part->n && status == AMEND_OK; i++)
		part->items[i]->moved = changes[i] != 1;
	free(values);
	free(changes);
	return status;
}

static void add_where(struct amend_sql *sql)
{
	amend_sql_text(sql, " WHERE feed = ");
	amend_sql_integer(sql, 0);
	amend_sql_text(sql, " AND pk = ");
	amend_sql_string(sql, NULL);
	amend_sql_text(sql, " AND digest = ");
	amend_sql_bytes(sql, NULL, 0);
}

static enum amend_status remove_each(struct part *part, struct amend_error *err)
{
	static const int columns[] = {FEED, PK, SEEN};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, part->db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "base");
	add_where(&sql);
	status = repeat(part, &sql, columns, 3, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status update_each(struct part *part, bool rename, struct amend_error *err)
{
	static const int columns[] = {FIRST_KEY, DIGEST, PACK, FEED, PK, SEEN};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, part->db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " SET ");
	if (rename) {
		amend_sql_text(&sql, "first_key = ");
		amend_sql_string(&sql, NULL);
		amend_sql_text(&sql, ", ");
	}
	amend_sql_text(&sql, "digest = ");
	amend_sql_bytes(&sql, NULL, 0);
	amend_sql_text(&sql, ", pack = ");
	amend_sql_bytes(&sql, NULL, 0);
	add_where(&sql);
	status = rename ? repeat(part, &sql, columns, 6, err)
			: repeat(part, &sql, columns + 1, 5, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status insert_each(struct part *part, struct amend_error *err)
{
	static const int columns[] = {FEED, PK, FIRST_KEY, DIGEST, PACK};
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, part->db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " (feed, pk, first_key, digest, pack) VALUES (");
	amend_sql_integer(&sql, 0);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, NULL);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, NULL);
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, NULL, 0);
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, NULL, 0);
	amend_sql_text(&sql, ")");
	amend_sql_unless_there(&sql, "feed, pk");
	status = repeat(part, &sql, columns, 5, err);
	amend_sql_release(&sql);
	return status;
}

/* ---- the whole ---- */

/* RENAME: an update that changes the first key as well. */
enum effect { REMOVE = 1, INSERT = 2, UPDATE = REMOVE | INSERT, RENAME = UPDATE | 4 };

static enum amend_status add_up(struct part *part, struct amend_error *err)
{
	const struct amend_base_sum sum = part->sum;

	part->sum = (struct amend_base_sum){.known = true};
	return amend_feed_add(part->db, part->feed, &sum, err);
}

/* One base more, or one less. */
static enum amend_status count(struct part *part, const struct amend_table *table,
			       const struct amend_base *base, int64_t more, struct amend_error *err)
{
	int64_t feed = 0;
	enum amend_status status = amend_feed_find(part->db, base->source, table, true, &feed, err);

	if (status == AMEND_OK && feed != part->feed) {
		status = add_up(part, err);
		part->feed = feed;
	}
	if (status != AMEND_OK)
		return status;
	part->sum.n += more;
	part->sum.code ^= amend_base_code(part->db->ledger->feed_salt, base->pk, base->first_key,
					  base->digest);
	return AMEND_OK;
}

/* Runs what has been collected, and begins anew. */
static enum amend_status flush(struct part *part, const struct amend_table *table,
			       enum effect effect, struct amend_error *err)
{
	bool arrays = amend_has(part->db, AMEND_HAS_ARRAYS);
	enum amend_status status = AMEND_OK;

	if (part->n > 0) {
		switch (effect) {
		case REMOVE:
			status = arrays ? remove_arrays(part, err) : remove_each(part, err);
			break;
		case UPDATE:
		case RENAME:
			status = arrays ? update_arrays(part, effect == RENAME, err)
					: update_each(part, effect == RENAME, err);
			break;
		case INSERT:
			status = arrays ? insert_arrays(part, err) : insert_each(part, err);
			break;
		}
	}
	for (size_t i = 0; i < part->n && status == AMEND_OK; i++) {
		const struct amend_base_bulk *item = part->items[i];

		if (!item->moved && (effect & REMOVE))
			status = count(part, table, item->seen, -1, err);
		if (status == AMEND_OK && !item->moved && (effect & INSERT))
			status = count(part, table, item->base, 1, err);
	}
	part->n = 0;
	return status;
}

static enum amend_status remove_all(struct part *part, const struct amend_table *table,
				    struct amend_base_bulk **items, size_t n,
				    struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (!items[i]->seen || same_place(items[i]))
			continue;
		status = add_seen(part, table, items[i], err);
		if (status == AMEND_OK && part->n == SLICE)
			status = flush(part, table, REMOVE, err);
	}
	return status == AMEND_OK ? flush(part, table, REMOVE, err) : status;
}

/* One that names an indexed column has that index written anew, also where the value stays: SQLite does. */
static enum amend_status update_all(struct part *part, const struct amend_table *table,
				    struct amend_base_bulk **items, size_t n, enum effect effect,
				    struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (!same_place(items[i]) || same_name(items[i]) != (effect == UPDATE))
			continue;
		add_new(part->values + part->n * WIDTH, items[i]->base);
		status = add_seen(part, table, items[i], err);
		if (status == AMEND_OK && part->n == SLICE)
			status = flush(part, table, effect, err);
	}
	return status == AMEND_OK ? flush(part, table, effect, err) : status;
}

/* Also those that went from another place, if they were there. */
static enum amend_status insert_all(struct part *part, const struct amend_table *table,
				    struct amend_base_bulk **items, size_t n,
				    struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_value *row = part->values + part->n * WIDTH;

		if (!items[i]->base || same_place(items[i]) || items[i]->moved)
			continue;
		part->items[part->n++] = items[i];
		row[PK] = amend_text(items[i]->base->pk);
		add_new(row, items[i]->base);
		status = add_feed(part, table, items[i]->base->source, row, err);
		if (status == AMEND_OK && part->n == SLICE)
			status = flush(part, table, INSERT, err);
	}
	return status == AMEND_OK ? flush(part, table, INSERT, err) : status;
}

static enum amend_status write_all(struct part *part, const struct amend_table *table,
				   struct amend_base_bulk **sorted, size_t n,
				   struct amend_error *err)
{
	enum amend_status status = remove_all(part, table, sorted, n, err);

	if (status == AMEND_OK)
		status = update_all(part, table, sorted, n, UPDATE, err);
	if (status == AMEND_OK)
		status = update_all(part, table, sorted, n, RENAME, err);
	if (status == AMEND_OK)
		status = insert_all(part, table, sorted, n, err);
	return status == AMEND_OK ? add_up(part, err) : status;
}

struct writing {
	const struct amend_table *table;
	struct amend_base_bulk *items;
	size_t n;
};

static enum amend_status write_items(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct writing *writing = context;
	size_t n = writing->n, most = n < SLICE ? n : SLICE, count = 0;
	struct amend_base_bulk **sorted = calloc(n + 1, sizeof(struct amend_base_bulk *));
	struct part part = {
		.db = db,
		.items = calloc(most + 1, sizeof(struct amend_base_bulk *)),
		.values = calloc(most + 1, WIDTH * sizeof(*part.values)),
		.sum.known = true,
	};
	enum amend_status status = sorted && part.items && part.values ? AMEND_OK
								       : amend_no_memory(err);

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_base_bulk *item = &writing->items[i];

		item->moved = false;
		if (item->seen || item->base)
			sorted[count++] = item;
	}
	if (status == AMEND_OK) {
		qsort(sorted, count, sizeof(struct amend_base_bulk *), by_pk);
		status = write_all(&part, writing->table, sorted, count, err);
	}
	if (status == AMEND_OK)
		status = amend_tally_written(db, writing->items, n, err);
	free(sorted);
	free(part.items);
	free(part.values);
	return status;
}

/* Bases and their sum in one transaction. */
enum amend_status amend_bases_write(struct amend_conn *db, const struct amend_table *table,
				    struct amend_base_bulk *items, size_t n, struct amend_error *err)
{
	struct writing writing = {table, items, n};

	return amend_in_transaction(db) ? write_items(db, &writing, err)
					: amend_atomic(db, NULL, write_items, &writing, err);
}

enum amend_status amend_base_write(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_base *seen, const struct amend_base *base,
				   bool *moved, struct amend_error *err)
{
	struct amend_base_bulk item = {.seen = seen, .base = base};
	enum amend_status status = amend_bases_write(db, table, &item, 1, err);

	*moved = item.moved;
	return status;
}

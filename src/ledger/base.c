/*
 * Bases: what a source said of a record last time, found and read.
 * Leaves writing them to base_write.c, and what follows from them to sync.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/feed.h"
#include "ledger/state.h"

enum {
	SLICE = 4096,   /* keys in a statement */
	PAGE = 2000,    /* rows of a scan */
	ENOUGH = 65536, /* bytes decoded before their memory is used again */
};

void amend_base_digest(const void *pack, size_t size, unsigned char digest[AMEND_BASE_DIGEST_SIZE])
{
	unsigned char whole[AMEND_DIGEST_SIZE];

	amend_digest(pack, size, whole);
	memcpy(digest, whole, AMEND_BASE_DIGEST_SIZE);
}

/* ---- reading ---- */

/* Where the bases of a source and table are: in an older ledger under their names. */
struct place {
	const char *source;
	const struct amend_table *table;
	bool any;     /* there may be some */
	bool by_name; /* version 1 */
	bool blank;   /* a first key that is looked for is "" */
	int64_t feed;
};

static enum amend_status find_place(struct amend_conn *db, const char *source,
				    const struct amend_table *table, struct place *place,
				    struct amend_error *err)
{
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*place = (struct place){.source = source, .table = table};
	if (status != AMEND_OK || version == 0)
		return status;
	place->by_name = version == 1;
	if (!place->by_name)
		status = amend_feed_find(db, source, table, false, &place->feed, err);
	place->any = place->by_name || place->feed != 0;
	return status;
}

/*
 * By first key the feed is to be no reason to use the primary key's index: most
 * bases have the same one, which a database without statistics does not know.
 */
static void add_place(struct amend_sql *sql, const struct place *place, bool by_first_key)
{
	if (place->by_name) {
		amend_sql_text(sql, "b.source = ");
		amend_sql_string(sql, place->source);
		amend_sql_text(sql, " AND b.tbl = ");
		amend_sql_string(sql, place->table->qualified);
	} else {
		/* Not as a value: a query without any is the one that PostgreSQL can COPY. */
		amend_sql_printf(sql, "b.feed%s = %" PRId64, by_first_key ? " + 0" : "",
				 place->feed);
		/* The index has no others. */
		if (by_first_key && !place->blank)
			amend_sql_text(sql, " AND b.first_key <> ''");
	}
}

enum { PK, FIRST_KEY, DIGEST, PACK, COLUMNS };

static enum amend_status damaged(const struct amend_value *values, struct amend_error *err)
{
	amend_error_set(err, AMEND_INTERNAL, "the base of %.80s is damaged",
			values[PK].kind == AMEND_TEXT ? values[PK].as.text : "?");
	return AMEND_INTERNAL;
}

static bool is_text(const struct amend_value *value)
{
	return value->kind == AMEND_TEXT || value->kind == AMEND_BLOB;
}

/* Its texts and bytes stay where `values` are, or are decoded into the arena. */
static enum amend_status see_base(const struct amend_value *values, bool packs, const char *source,
				  struct amend_arena *arena, struct amend_base *out,
				  struct amend_error *err)
{
	struct amend_value digest, pack = amend_null();

	if (!amend_value_bytes(&values[DIGEST], arena, &digest) ||
	    (packs && !amend_value_bytes(&values[PACK], arena, &pack)))
		return amend_no_memory(err);
	/* A raw scan hands out everything as bytes. */
	if (digest.size < AMEND_BASE_DIGEST_SIZE || !is_text(&values[PK]) ||
	    !is_text(&values[FIRST_KEY]))
		return damaged(values, err);
	*out = (struct amend_base){
		.source = source,
		.pk = values[PK].as.text,
		.first_key = values[FIRST_KEY].as.text,
		.pack = !packs      ? NULL
			: pack.size ? pack.as.blob
				    : "",
		.pack_size = pack.size,
	};
	memcpy(out->digest, digest.as.blob, AMEND_BASE_DIGEST_SIZE);
	return AMEND_OK;
}

/* A copy that lives in the arena. */
static enum amend_status take_base(const struct amend_value *values, const char *source,
				   struct amend_arena *arena, struct amend_base *out,
				   struct amend_error *err)
{
	enum amend_status status = see_base(values, true, source, arena, out, err);

	if (status != AMEND_OK)
		return status;
	out->pk = amend_arena_text(arena, out->pk);
	out->first_key = amend_arena_text(arena, out->first_key);
	/* Decoded bytes are in the arena already. */
	if (values[PACK].kind == AMEND_BLOB)
		out->pack = amend_arena_text_n(arena, out->pack, out->pack_size);
	return out->pk && out->first_key && out->pack ? AMEND_OK : amend_no_memory(err);
}

struct finding {
	const char *source;
	struct amend_base *out;
	struct amend_arena *arena;
	/* Not NULL: only which of these there are, told by the index of first keys, where it holds what leads to the row. */
	const struct amend_base *wanted;
	bool *there;
};

static const char *columns_of(const struct finding *finding)
{
	return finding->there ? "b.pk" : "b.pk, b.first_key, b.digest, b.pack";
}

/* Of several the one with the least primary key. */
static enum amend_status take_found(void *context, size_t i, const struct amend_value *values,
				    size_t n_columns, struct amend_error *err)
{
	const struct finding *finding = context;
	struct amend_base *base;

	(void)n_columns;
	if (finding->there) {
		if (strcmp(finding->wanted[i].pk, values[PK].as.text) == 0)
			finding->there[i] = true;
		return AMEND_OK;
	}
	base = &finding->out[i];
	if (base->pack && strcmp(base->pk, values[PK].as.text) <= 0)
		return AMEND_OK;
	return take_base(values, finding->source, finding->arena, base, err);
}

static enum amend_status find_joined(struct amend_conn *db, const struct place *place,
				     bool by_first_key, const struct amend_value *keys, size_t n,
				     struct finding *finding, struct amend_error *err)
{
	const struct amend_sql_array array = {
		.type = db->dialect->text_type, .values = keys, .stride = 1, .lookup = true};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT ");
	amend_sql_text(&sql, db->dialect->in_order);
	amend_sql_text(&sql, columns_of(finding));
	amend_sql_text(&sql, ", w.n FROM ");
	amend_sql_set(&sql, db, &array, 1, n, "w");
	amend_sql_text(&sql, " JOIN ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " b");
	amend_sql_by_key(&sql, by_first_key ? "base_first_key" : "PRIMARY");
	amend_sql_text(&sql,
		       by_first_key ? " ON b.first_key = w.c0 WHERE " : " ON b.pk = w.c0 WHERE ");
	add_place(&sql, place, by_first_key);
	status = amend_exec(db, &sql, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		int64_t at = 0;

		if (!amend_value_number(amend_rows_at(&rows, i, rows.n_columns - 1), &at) ||
		    at < 1 || (size_t)at > n)
			status = damaged(amend_rows_at(&rows, i, 0), err);
		else
			status = take_found(finding, (size_t)at - 1, amend_rows_at(&rows, i, 0),
					    rows.n_columns - 1, err);
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status find_each(struct amend_conn *db, const struct place *place,
				   bool by_first_key, const struct amend_value *keys, size_t n,
				   struct finding *finding, struct amend_error *err)
{
	struct amend_repeat repeat = {.n = n, .each = take_found, .context = finding};
	struct amend_value *values = NULL;
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT ");
	amend_sql_text(&sql, columns_of(finding));
	amend_sql_text(&sql, " FROM ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " b WHERE ");
	add_place(&sql, place, by_first_key);
	amend_sql_text(&sql, " AND b.");
	amend_sql_text(&sql, by_first_key ? "first_key" : "pk");
	amend_sql_text(&sql, " = ");
	amend_sql_string(&sql, NULL);
	repeat.sql = amend_buffer_string(&sql.text);
	repeat.n_values = sql.n_values;
	values = calloc(n * sql.n_values + 1, sizeof(*values));
	status = values ? AMEND_OK : amend_no_memory(err);
	/* The key is the last of each time's values; what says where is the same each time. */
	for (size_t i = 0; i < n && values && sql.n_values > 0; i++) {
		memcpy(values + i * sql.n_values, sql.values, sql.n_values * sizeof(*values));
		values[(i + 1) * sql.n_values - 1] = keys[i];
	}
	repeat.values = values;
	if (status == AMEND_OK)
		status = amend_repeat(db, &repeat, err);
	free(values);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status find_all(struct amend_conn *db, const struct amend_table *table,
				  bool by_first_key, const char *const *keys, size_t n,
				  struct finding *finding, struct amend_error *err)
{
	const struct amend_sql_array anything = {.column = NULL};
	const char *source = finding->source;
	struct amend_value *values = NULL;
	struct place place;
	enum amend_status status;

	status = find_place(db, source, table, &place, err);
	if (status != AMEND_OK || !place.any)
		return status;
	values = calloc(n, sizeof(*values));
	if (!values)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++)
		values[i] = amend_text(keys[i]);
	for (size_t i = 0; i < n && by_first_key && !place.blank; i++)
		place.blank = !*keys[i];
	for (size_t at = 0; at < n && status == AMEND_OK; at += SLICE) {
		struct finding part = *finding;
		size_t size = n - at < SLICE ? n - at : SLICE;

		part.out = finding->out ? finding->out + at : NULL;
		part.there = finding->there ? finding->there + at : NULL;
		part.wanted = finding->wanted ? finding->wanted + at : NULL;
		status = amend_sql_has_set(db, &anything, 1)
				 ? find_joined(db, &place, by_first_key, values + at, size, &part,
					       err)
				 : find_each(db, &place, by_first_key, values + at, size, &part,
					     err);
	}
	free(values);
	return status;
}

enum amend_status amend_base_find(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool by_first_key,
				  const char *const *keys, size_t n, struct amend_base *out,
				  struct amend_arena *arena, struct amend_error *err)
{
	struct finding finding = {.source = source, .out = out, .arena = arena};

	if (n == 0)
		return AMEND_OK;
	memset(out, 0, n * sizeof(*out));
	return find_all(db, table, by_first_key, keys, n, &finding, err);
}

enum amend_status amend_base_there(struct amend_conn *db, const char *source,
				   const struct amend_table *table, const struct amend_base *bases,
				   size_t n, bool *there, struct amend_error *err)
{
	struct finding finding = {.source = source, .wanted = bases, .there = there};
	const char **keys = calloc(n + 1, sizeof(*keys));
	enum amend_status status;

	if (!keys)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		keys[i] = bases[i].first_key;
		there[i] = false;
	}
	status = n > 0 ? find_all(db, table, true, keys, n, &finding, err) : AMEND_OK;
	free(keys);
	return status;
}

enum amend_status amend_base_sources(struct amend_conn *db, const struct amend_table *table,
				     struct amend_arena *arena, const char ***out, size_t *n,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*n = 0;
	if (status != AMEND_OK || version == 0)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT DISTINCT source FROM ");
	amend_sql_ledger(&sql, version == 1 ? "base" : "feed");
	amend_sql_text(&sql, " WHERE tbl = ");
	amend_sql_string(&sql, table->qualified);
	status = amend_exec(db, &sql, &rows, err);
	*out = amend_arena_array(arena, rows.n_rows, sizeof(**out));
	if (status == AMEND_OK && !*out)
		status = amend_no_memory(err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		(*out)[i] = amend_arena_text(arena, amend_rows_at(&rows, i, 0)->as.text);
		if (!(*out)[(*n)++])
			status = amend_no_memory(err);
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* ---- all of them ---- */

struct scanning {
	const char *source;
	bool packs;
	amend_base_fn each;
	void *context;
	struct amend_arena arena;  /* what had to be decoded */
	size_t n;                  /* rows of this page */
	struct amend_buffer *last; /* the primary key of the page's last row */
};

static enum amend_status scan_one(void *context, const struct amend_value *values, size_t n_columns,
				  struct amend_error *err)
{
	struct scanning *scanning = context;
	struct amend_base base;
	enum amend_status status;

	(void)n_columns;
	if (scanning->arena.total > ENOUGH)
		amend_arena_release(&scanning->arena);
	status = see_base(values, scanning->packs, scanning->source, &scanning->arena, &base, err);
	if (status == AMEND_OK && ++scanning->n == PAGE) {
		amend_buffer_reset(scanning->last);
		amend_buffer_text(scanning->last, base.pk);
		if (scanning->last->failed)
			status = amend_no_memory(err);
	}
	return status == AMEND_OK ? scanning->each(scanning->context, &base, err) : status;
}

enum amend_status amend_base_none(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool *none,
				  struct amend_error *err)
{
	struct place place;
	enum amend_status status = find_place(db, source, table, &place, err);

	*none = status == AMEND_OK && !place.any;
	return status;
}

enum amend_status amend_base_example(struct amend_conn *db, const char *source,
				     const struct amend_table *table, struct amend_arena *arena,
				     const char **first_key, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	struct place place;
	enum amend_status status = find_place(db, source, table, &place, err);

	*first_key = NULL;
	if (status != AMEND_OK || !place.any)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT b.first_key FROM ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " b WHERE ");
	add_place(&sql, &place, false);
	amend_sql_text(&sql, " AND b.first_key <> '' ORDER BY b.pk LIMIT 1");
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		*first_key = amend_arena_text(arena, amend_rows_at(&rows, 0, 0)->as.text);
		if (!*first_key)
			status = amend_no_memory(err);
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_base_count(struct amend_conn *db, const char *source,
				   const struct amend_table *table, uint64_t most, uint64_t *n,
				   struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_base_sum sum;
	struct amend_sql sql;
	struct place place;
	int64_t number = 0;
	enum amend_status status = find_place(db, source, table, &place, err);

	*n = 0;
	if (status == AMEND_OK && place.any)
		status = amend_base_sum_read(db, source, table, &sum, err);
	if (status != AMEND_OK || !place.any)
		return status;
	if (sum.known && sum.n >= 0) {
		*n = (uint64_t)sum.n < most ? (uint64_t)sum.n : most;
		return AMEND_OK;
	}
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT count(*) FROM (SELECT 1 FROM ");
	amend_sql_ledger(&sql, "base");
	amend_sql_text(&sql, " b WHERE ");
	add_place(&sql, &place, false);
	amend_sql_printf(&sql, " LIMIT %lld) AS few",
			 (long long)(most < INT64_MAX ? most : INT64_MAX));
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK &&
	    (rows.n_rows != 1 || !amend_value_number(amend_rows_at(&rows, 0, 0), &number)))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	*n = (uint64_t)number;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_base_scan(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool packs, amend_base_fn each,
				  void *context, struct amend_error *err)
{
	/* Where writers hold the database, a read that stays open is in their way: see amend_row_scan. */
	bool pages = !amend_reads_freely(db, "main");
	struct amend_buffer last = AMEND_BUFFER_INIT;
	struct scanning scanning = {
		.source = source, .packs = packs, .each = each, .context = context, .last = &last};
	struct amend_sql sql;
	struct place place;
	enum amend_status status = find_place(db, source, table, &place, err);

	if (status != AMEND_OK || !place.any)
		return status;
	do {
		amend_sql_init(&sql, db);
		sql.raw = true;
		amend_sql_text(&sql, "SELECT b.pk, b.first_key, b.digest");
		amend_sql_text(&sql, packs ? ", b.pack FROM " : " FROM ");
		amend_sql_ledger(&sql, "base");
		amend_sql_text(&sql, " b WHERE ");
		add_place(&sql, &place, false);
		if (last.size > 0) {
			amend_sql_text(&sql, " AND b.pk > ");
			amend_sql_kept(&sql, &last);
		}
		if (pages)
			amend_sql_printf(&sql, " ORDER BY b.pk LIMIT %d", PAGE);
		scanning.n = 0;
		status = amend_scan(db, &sql, scan_one, &scanning, err);
		amend_sql_release(&sql);
	} while (pages && scanning.n == PAGE && status == AMEND_OK);
	amend_arena_release(&scanning.arena);
	amend_buffer_release(&last);
	return status;
}

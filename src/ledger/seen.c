/*
 * Which version of a remote document the bases of a source and table stand for; and all of them as
 * one sum, by which it can be told whether they still do.
 * Leaves asking the server to sync.
 */
#include <string.h>

#include "core/rows.h"
#include "ledger/feed.h"
#include "ledger/state.h"

/* ---- the sum: in no order, so that bases can be added and taken away ---- */

void amend_tally_add(struct amend_tally *tally, const struct amend_base *base, int times)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	unsigned char digest[AMEND_DIGEST_SIZE];

	/* With the NULs that end them: no two bases have the same text. */
	amend_buffer_add(&text, base->pk, strlen(base->pk) + 1);
	amend_buffer_add(&text, base->first_key, strlen(base->first_key) + 1);
	amend_buffer_add(&text, base->digest, AMEND_BASE_DIGEST_SIZE);
	tally->broken = tally->broken || text.failed;
	if (!text.failed)
		amend_digest(text.data, text.size, digest);
	for (size_t i = 0; i < AMEND_DIGEST_SIZE && !text.failed; i++)
		tally->sum[i] ^= digest[i];
	tally->n += times;
	amend_buffer_release(&text);
}

static enum amend_status add_one(void *context, const struct amend_base *base,
				 struct amend_error *err)
{
	struct amend_tally *tally = context;

	amend_tally_add(tally, base, 1);
	return tally->broken ? amend_no_memory(err) : AMEND_OK;
}

enum amend_status amend_tally_bases(struct amend_conn *db, const char *source,
				    const struct amend_table *table, struct amend_tally *out,
				    struct amend_error *err)
{
	*out = (struct amend_tally){0};
	return amend_base_scan(db, source, table, false, add_one, out, err);
}

bool amend_tally_same(const struct amend_tally *a, const struct amend_tally *b)
{
	return !a->broken && !b->broken && a->n == b->n &&
	       memcmp(a->sum, b->sum, sizeof(a->sum)) == 0;
}

/* ---- what this connection itself writes ---- */

enum amend_status amend_tally_begin(struct amend_conn *db, const struct amend_tally *tally,
				    struct amend_error *err)
{
	struct amend_ledger *ledger = amend_ledger_state(db, err);

	if (!ledger)
		return AMEND_NO_MEMORY;
	ledger->tally = *tally;
	ledger->tallying = true;
	return AMEND_OK;
}

bool amend_tally_end(struct amend_conn *db, struct amend_tally *out)
{
	bool tallying = db->ledger && db->ledger->tallying;

	if (tallying) {
		*out = db->ledger->tally;
		db->ledger->tallying = false;
	}
	return tallying;
}

/* What was undone is counted: then nothing can be said. */
static void unit_ended(struct amend_conn *db, void *context, bool committed)
{
	(void)context;
	db->ledger->tally.broken = db->ledger->tally.broken || !committed;
}

enum amend_status amend_tally_written(struct amend_conn *db, const struct amend_base_bulk *items,
				      size_t n, struct amend_error *err)
{
	struct amend_ledger *ledger = db->ledger;

	if (!ledger || !ledger->tallying || n == 0)
		return AMEND_OK;
	for (size_t i = 0; i < n; i++) {
		if (items[i].moved)
			continue;
		if (items[i].seen)
			amend_tally_add(&ledger->tally, items[i].seen, -1);
		if (items[i].base)
			amend_tally_add(&ledger->tally, items[i].base, 1);
	}
	return amend_on_end(db, unit_ended, NULL, err);
}

/* ---- the table ---- */

enum { ASKED, ETAG, MODIFIED, RECORDS, BASES, NAMES };

static bool take_bytes(const struct amend_value *value, size_t size, struct amend_arena *arena,
		       unsigned char *out)
{
	struct amend_value bytes;

	if (!amend_value_bytes(value, arena, &bytes) || bytes.size != size)
		return false;
	memcpy(out, bytes.as.blob, size);
	return true;
}

static bool take(const struct amend_rows *rows, struct amend_arena *arena,
		 struct amend_seen_version *out)
{
	const struct amend_value *etag = amend_rows_at(rows, 0, ETAG);
	const struct amend_value *modified = amend_rows_at(rows, 0, MODIFIED);
	struct amend_value names;

	if (etag->kind != AMEND_TEXT || modified->kind != AMEND_TEXT ||
	    !amend_value_number(amend_rows_at(rows, 0, RECORDS), &out->bases.n) ||
	    !take_bytes(amend_rows_at(rows, 0, ASKED), AMEND_DIGEST_SIZE, arena, out->asked) ||
	    !take_bytes(amend_rows_at(rows, 0, BASES), AMEND_DIGEST_SIZE, arena, out->bases.sum) ||
	    !amend_value_bytes(amend_rows_at(rows, 0, NAMES), arena, &names))
		return false;
	out->etag = amend_arena_text_n(arena, etag->as.text, etag->size);
	out->modified = amend_arena_text_n(arena, modified->as.text, modified->size);
	out->names = amend_arena_text_n(arena, names.size ? names.as.blob : "", names.size);
	out->names_size = names.size;
	return out->etag && out->modified && out->names;
}

enum amend_status amend_seen_find(struct amend_conn *db, const char *source,
				  const struct amend_table *table, struct amend_arena *arena,
				  struct amend_seen_version *out, bool *found,
				  struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	int version;
	int64_t feed = 0;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*found = false;
	*out = (struct amend_seen_version){.etag = ""};
	if (status == AMEND_OK && version >= AMEND_LEDGER_HAS_SUMS)
		status = amend_feed_find(db, source, table, false, &feed, err);
	if (status != AMEND_OK || feed == 0)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT asked, etag, modified, records, bases, names FROM ");
	amend_sql_ledger(&sql, "seen");
	amend_sql_text(&sql, " WHERE feed = ");
	amend_sql_integer(&sql, feed);
	status = amend_exec(db, &sql, &rows, err);
	/* What cannot be read is as good as none: then all is asked for. */
	*found = status == AMEND_OK && rows.n_rows == 1 && take(&rows, arena, out);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_seen_store(struct amend_conn *db, const char *source,
				   const struct amend_table *table,
				   const struct amend_seen_version *seen, struct amend_error *err)
{
	static const char *const set[] = {"asked", "etag",  "modified", "records",
					  "bases", "names", NULL};
	struct amend_sql sql;
	int64_t feed = 0;
	enum amend_status status = amend_feed_find(db, source, table, true, &feed, err);

	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "seen");
	amend_sql_text(&sql, " (feed, asked, etag, modified, records, bases, names) VALUES (");
	amend_sql_integer(&sql, feed);
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, seen->asked, AMEND_DIGEST_SIZE);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, seen->etag);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, seen->modified);
	amend_sql_text(&sql, ", ");
	amend_sql_integer(&sql, seen->bases.n);
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, seen->bases.sum, AMEND_DIGEST_SIZE);
	amend_sql_text(&sql, ", ");
	amend_sql_bytes(&sql, seen->names, seen->names_size);
	amend_sql_text(&sql, ")");
	amend_sql_or_set(&sql, "feed", set);
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

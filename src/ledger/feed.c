/*
 * Feeds: a number for a source and a table, and the sum of the bases that lie under it.
 * Leaves the bases themselves to base.c and base_write.c.
 */
#include "ledger/feed.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "core/rows.h"
#include "ledger/state.h"

enum { SUMS_MOST = 200 }; /* rows of one feed's sum before they are put together */

_Static_assert((int)AMEND_BASE_SALT_SIZE == (int)crypto_shorthash_KEYBYTES, "SipHash-2-4");

/* ---- numbers ---- */

static void forget_feed(struct amend_conn *db, void *context, bool committed)
{
	(void)context;
	if (!committed)
		db->ledger->feed = 0;
}

/* Known from now on, unless the transaction that may have made it is undone. */
static enum amend_status remember_feed(struct amend_conn *db, const char *source,
				       const struct amend_table *table, int64_t id,
				       struct amend_error *err)
{
	struct amend_ledger *ledger = db->ledger;
	char *source_copy = strdup(source), *table_copy = strdup(table->qualified);

	if (!source_copy || !table_copy) {
		free(source_copy);
		free(table_copy);
		return amend_no_memory(err);
	}
	free(ledger->feed_source);
	free(ledger->feed_table);
	ledger->feed_source = source_copy;
	ledger->feed_table = table_copy;
	ledger->feed = id;
	ledger->feed_anew = db->anew;
	return amend_in_transaction(db) ? amend_on_end(db, forget_feed, NULL, err) : AMEND_OK;
}

/* Two hexadecimal digits a byte; false: it is none. */
static bool take_salt(const struct amend_value *value, unsigned char salt[AMEND_BASE_SALT_SIZE])
{
	size_t size = 0;

	return value->kind == AMEND_TEXT && value->size >= 2 * (size_t)AMEND_BASE_SALT_SIZE &&
	       sodium_hex2bin(salt, AMEND_BASE_SALT_SIZE, value->as.text,
			      2 * (size_t)AMEND_BASE_SALT_SIZE, NULL, &size, NULL) == 0 &&
	       size == AMEND_BASE_SALT_SIZE;
}

/*
 * `salted`: its salt is wanted; false afterwards: it has none. An older ledger has none, nor has a feed
 * that an older program made which had the ledger open while it was brought up.
 */
static enum amend_status read_feed(struct amend_conn *db, const char *source,
				   const struct amend_table *table, bool *salted, int64_t *id,
				   unsigned char salt[AMEND_BASE_SALT_SIZE], struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, *salted ? "SELECT id, salt FROM " : "SELECT id FROM ");
	amend_sql_ledger(&sql, "feed");
	amend_sql_text(&sql, " WHERE source = ");
	amend_sql_string(&sql, source);
	amend_sql_text(&sql, " AND tbl = ");
	amend_sql_string(&sql, table->qualified);
	status = amend_exec(db, &sql, &rows, err);
	*id = 0;
	if (status == AMEND_OK && rows.n_rows > 0 &&
	    !amend_value_number(amend_rows_at(&rows, 0, 0), id))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	*salted = *id && *salted && take_salt(amend_rows_at(&rows, 0, 1), salt);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* Two may make it at once: the second waits for the first, and finds it. */
static enum amend_status make_feed(struct amend_conn *db, const char *source,
				   const struct amend_table *table, struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "feed");
	amend_sql_text(&sql, " (source, tbl, salt) VALUES (");
	amend_sql_string(&sql, source);
	amend_sql_text(&sql, ", ");
	amend_sql_string(&sql, table->qualified);
	amend_sql_text(&sql, ", ");
	amend_sql_text(&sql, db->dialect->random_secret);
	amend_sql_text(&sql, ")");
	amend_sql_unless_there(&sql, "source, tbl");
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

/* What its bases come to is then not known. */
static enum amend_status give_salt(struct amend_conn *db, int64_t feed, struct amend_error *err)
{
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_ledger(&sql, "feed");
	amend_sql_text(&sql, " SET salt = ");
	amend_sql_text(&sql, db->dialect->random_secret);
	amend_sql_text(&sql, " WHERE salt IS NULL AND id = ");
	amend_sql_integer(&sql, feed);
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "feed_sum");
	amend_sql_text(&sql, " (feed, n, code) VALUES (");
	amend_sql_integer(&sql, feed);
	amend_sql_text(&sql, ", NULL, 0)");
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_feed_find(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool make, int64_t *id,
				  struct amend_error *err)
{
	struct amend_ledger *ledger = amend_ledger_state(db, err);
	unsigned char salt[AMEND_BASE_SALT_SIZE];
	enum amend_status status;
	bool sums, salted;
	int version;

	*id = 0;
	if (!ledger)
		return AMEND_NO_MEMORY;
	/* Another server's number may be another feed's. */
	if (ledger->feed && ledger->feed_anew == db->anew &&
	    strcmp(ledger->feed_source, source) == 0 &&
	    strcmp(ledger->feed_table, table->qualified) == 0) {
		*id = ledger->feed;
		return AMEND_OK;
	}
	status = amend_ledger_version(db, &version, err);
	salted = sums = version >= AMEND_LEDGER_HAS_SUMS;
	if (status == AMEND_OK)
		status = read_feed(db, source, table, &salted, id, salt, err);
	if (status == AMEND_OK && make && (*id == 0 || salted != sums)) {
		status = *id ? give_salt(db, *id, err) : make_feed(db, source, table, err);
		salted = sums;
		if (status == AMEND_OK)
			status = read_feed(db, source, table, &salted, id, salt, err);
		if (status == AMEND_OK && *id == 0)
			status = amend_error_set(err, AMEND_RETRY,
						 "the ledger lost the source '%s'", source);
	}
	/* Without a salt it is asked for again: the ledger may be brought up in between. */
	if (status == AMEND_OK && *id && salted)
		status = remember_feed(db, source, table, *id, err);
	if (status == AMEND_OK && *id && salted)
		memcpy(ledger->feed_salt, salt, sizeof(salt));
	return status;
}

/* ---- sums ---- */

uint64_t amend_base_code(const unsigned char salt[AMEND_BASE_SALT_SIZE], const char *pk,
			 const char *first_key, const unsigned char digest[AMEND_BASE_DIGEST_SIZE])
{
	/* Of the two texts the codes, so that nothing is copied; each under a key of its own. */
	unsigned char mixed[3 * 8 + AMEND_BASE_DIGEST_SIZE] = {0}, key[AMEND_BASE_SALT_SIZE];
	uint64_t code;

	memcpy(key, salt, sizeof(key));
	crypto_shorthash(mixed, (const unsigned char *)pk, strlen(pk), key);
	key[0] ^= 1;
	crypto_shorthash(mixed + 8, (const unsigned char *)first_key, strlen(first_key), key);
	memcpy(mixed + 16, digest, AMEND_BASE_DIGEST_SIZE);
	key[0] ^= 3;
	crypto_shorthash((unsigned char *)&code, mixed, 16 + AMEND_BASE_DIGEST_SIZE, key);
	return code;
}

enum amend_status amend_base_salt(struct amend_conn *db, const char *source,
				  const struct amend_table *table,
				  unsigned char salt[AMEND_BASE_SALT_SIZE], bool *known,
				  struct amend_error *err)
{
	int64_t feed = 0;
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*known = false;
	if (status == AMEND_OK && version >= AMEND_LEDGER_HAS_SUMS)
		status = amend_feed_find(db, source, table, false, &feed, err);
	/* What has no salt is not remembered. */
	if (status != AMEND_OK || feed == 0 || db->ledger->feed != feed)
		return status;
	memcpy(salt, db->ledger->feed_salt, AMEND_BASE_SALT_SIZE);
	*known = true;
	return AMEND_OK;
}

/* Adds up what rows of (n, code) say; one without a number makes it unknown. */
static void add_up(const struct amend_rows *rows, struct amend_base_sum *sum)
{
	*sum = (struct amend_base_sum){.known = true};
	for (size_t i = 0; i < rows->n_rows; i++) {
		int64_t n = 0, code = 0;

		sum->known = sum->known && amend_value_number(amend_rows_at(rows, i, 0), &n) &&
			     amend_value_number(amend_rows_at(rows, i, 1), &code);
		sum->n += n;
		sum->code ^= (uint64_t)code;
	}
}

enum amend_status amend_base_sum_read(struct amend_conn *db, const char *source,
				      const struct amend_table *table, struct amend_base_sum *out,
				      struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	unsigned char salt[AMEND_BASE_SALT_SIZE];
	enum amend_status status;
	struct amend_sql sql;
	bool known;

	*out = (struct amend_base_sum){.known = false};
	status = amend_base_salt(db, source, table, salt, &known, err);
	if (status != AMEND_OK || !known)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT n, code FROM ");
	amend_sql_ledger(&sql, "feed_sum");
	amend_sql_text(&sql, " WHERE feed = ");
	amend_sql_integer(&sql, db->ledger->feed);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK) {
		add_up(&rows, out);
		db->ledger->n_sums = rows.n_rows;
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* What nobody else holds of them goes into one. */
static enum amend_status gather(struct amend_conn *db, int64_t feed, struct amend_base_sum *sum,
				struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_ledger(&sql, "feed_sum");
	amend_sql_text(&sql, " WHERE id IN (SELECT id FROM ");
	amend_sql_ledger(&sql, "feed_sum");
	amend_sql_text(&sql, " WHERE feed = ");
	amend_sql_integer(&sql, feed);
	if (amend_has(db, AMEND_HAS_ROW_LOCK)) {
		amend_sql_text(&sql, " ");
		amend_sql_text(&sql, db->dialect->for_update);
		amend_sql_text(&sql, " ");
		amend_sql_text(&sql, db->dialect->skip_locked);
	}
	amend_sql_text(&sql, ") RETURNING n, code");
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK)
		add_up(&rows, sum);
	db->ledger->n_sums = 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_feed_add(struct amend_conn *db, int64_t feed,
				 const struct amend_base_sum *difference, struct amend_error *err)
{
	struct amend_base_sum sum = {.known = true};
	enum amend_status status = AMEND_OK;
	struct amend_shape shape;
	struct amend_sql sql;

	if (difference->n == 0 && difference->code == 0)
		return AMEND_OK;
	if (db->ledger->feed == feed && db->ledger->n_sums > SUMS_MOST)
		status = gather(db, feed, &sum, err);
	if (status != AMEND_OK)
		return status;
	amend_shape_begin(&shape, "feed sum", NULL);
	amend_shape_add(&shape, &sum.known, sizeof(sum.known));
	amend_sql_init_shape(&sql, db, &shape);
	amend_sql_text(&sql, "INSERT INTO ");
	amend_sql_ledger(&sql, "feed_sum");
	amend_sql_text(&sql, " (feed, n, code) VALUES (");
	amend_sql_integer(&sql, feed);
	amend_sql_text(&sql, ", ");
	if (sum.known)
		amend_sql_integer(&sql, sum.n + difference->n);
	else
		amend_sql_text(&sql, "NULL");
	amend_sql_text(&sql, ", ");
	amend_sql_integer(&sql, (int64_t)(sum.code ^ difference->code));
	amend_sql_text(&sql, ")");
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

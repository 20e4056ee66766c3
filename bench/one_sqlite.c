/*
 * One record on SQLite by hand: prepared statements, and one transaction where there are two.
 * Leaves the order of calls and the clock to one.c.
 */
#include <stdlib.h>

#include "contender.h"
#include "lite.h"
#include "one.h"

struct client {
	sqlite3 *db;
	sqlite3_stmt *read, *update, *begin, *record, *commit;
};

static void *open_hand(const char *path)
{
	struct client *hand = calloc(1, sizeof(*hand));

	if (!hand)
		die("out of memory");
	hand->db = lite_open(path);
	hand->read = lite_prepare(hand->db,
				  "SELECT id, remote_id, slug, name, description, parent_slug, "
				  "position, updated_at FROM taxonomy WHERE slug = ?1");
	hand->update = lite_prepare(hand->db,
				    "UPDATE taxonomy SET position = ?2 WHERE slug = ?1 AND "
				    "position IS NOT ?2");
	hand->begin = lite_prepare(hand->db, "BEGIN IMMEDIATE");
	hand->record = lite_prepare(
		hand->db,
		"INSERT INTO history (record, b_remote_id, b_slug, b_name, b_description, "
		"b_parent_slug, b_position, a_remote_id, a_slug, a_name, a_description, "
		"a_parent_slug, a_position) SELECT id, remote_id, slug, name, description, "
		"parent_slug, position, remote_id, slug, name, description, parent_slug, ?2 FROM "
		"taxonomy WHERE slug = ?1 AND position IS NOT ?2");
	hand->commit = lite_prepare(hand->db, "COMMIT");
	return hand;
}

static void read_one(void *context, const char *slug)
{
	struct client *hand = context;
	volatile int bytes = 0;

	sqlite3_bind_text(hand->read, 1, slug, -1, SQLITE_STATIC);
	if (sqlite3_step(hand->read) != SQLITE_ROW)
		die("%s: %s", slug, sqlite3_errmsg(hand->db));
	for (int i = 0; i < 8; i++) {
		if (sqlite3_column_text(hand->read, i))
			bytes += sqlite3_column_bytes(hand->read, i);
	}
	sqlite3_reset(hand->read);
}

static void bind(sqlite3_stmt *statement, const char *slug, int position)
{
	sqlite3_bind_text(statement, 1, slug, -1, SQLITE_STATIC);
	sqlite3_bind_int(statement, 2, position);
}

static void update_one(void *context, const char *slug, int position)
{
	struct client *hand = context;

	bind(hand->update, slug, position);
	lite_step(hand->update);
}

static void record_one(void *context, const char *slug, int position)
{
	struct client *hand = context;

	lite_step(hand->begin);
	bind(hand->record, slug, position);
	lite_step(hand->record);
	bind(hand->update, slug, position);
	lite_step(hand->update);
	lite_step(hand->commit);
}

static void count(void *context, uint64_t *own, uint64_t *amend)
{
	struct client *hand = context;

	*own = lite_number(hand->db, "SELECT count(*) FROM history WHERE b_position <> a_position");
	*amend = lite_number(hand->db,
			     "SELECT count(*) FROM amend_change WHERE op = 'update' AND fields "
			     "->> '$.position[0]' <> fields ->> '$.position[1]'");
}

static void close_hand(void *context)
{
	struct client *hand = context;

	sqlite3_finalize(hand->read);
	sqlite3_finalize(hand->update);
	sqlite3_finalize(hand->begin);
	sqlite3_finalize(hand->record);
	sqlite3_finalize(hand->commit);
	sqlite3_close(hand->db);
	free(hand);
}

const struct hand sqlite_hand = {open_hand,  NULL,  read_one,  update_one,
				 record_one, count, close_hand};

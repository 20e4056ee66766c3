/*
 * One record on MariaDB by hand: prepared statements, and one transaction where there are two.
 * Leaves the order of calls and the clock to one.c.
 */
#include <stdlib.h>

#include "contender.h"
#include "maria.h"
#include "one.h"

struct client {
	MYSQL *db;
	MYSQL_STMT *read, *update, *record;
};

static void *open_hand(const char *url)
{
	struct client *hand = calloc(1, sizeof(*hand));

	if (!hand)
		die("out of memory");
	hand->db = maria_open(url);
	hand->read = maria_prepare(hand->db, "SELECT id, remote_id, slug, name, description, "
					     "parent_slug, position, updated_at FROM taxonomy "
					     "WHERE slug = ?");
	hand->update = maria_prepare(
		hand->db,
		"UPDATE taxonomy SET position = ? WHERE slug = ? AND NOT (position <=> ?)");
	/* The row is locked by being read for its history. */
	hand->record = maria_prepare(
		hand->db,
		"INSERT INTO history (record, b_remote_id, b_slug, b_name, b_description, "
		"b_parent_slug, b_position, a_remote_id, a_slug, a_name, a_description, "
		"a_parent_slug, a_position) SELECT id, remote_id, slug, name, description, "
		"parent_slug, position, remote_id, slug, name, description, parent_slug, ? FROM "
		"taxonomy WHERE slug = ? AND NOT (position <=> ?) FOR UPDATE");
	return hand;
}

static void read_one(void *context, const char *slug)
{
	struct client *hand = context;

	if (maria_with(hand->read, &(struct maria_value){slug, 0}) != 1)
		die("%s: not one row", slug);
}

static void write_one(MYSQL_STMT *statement, const char *slug, int position)
{
	maria_with(statement, (struct maria_value[]){{NULL, position}, {slug, 0}, {NULL, position}});
}

static void update_one(void *context, const char *slug, int position)
{
	struct client *hand = context;

	write_one(hand->update, slug, position);
}

static void record_one(void *context, const char *slug, int position)
{
	struct client *hand = context;

	maria_run(hand->db, "START TRANSACTION");
	write_one(hand->record, slug, position);
	write_one(hand->update, slug, position);
	maria_run(hand->db, "COMMIT");
}

static void count(void *context, uint64_t *own, uint64_t *amend)
{
	struct client *hand = context;

	*own = maria_number(hand->db, "SELECT count(*) FROM history WHERE b_position <> a_position");
	*amend = maria_number(hand->db, "SELECT count(*) FROM amend_change WHERE op = 'update' AND "
					"json_value(fields, '$.position[0]') <> json_value(fields, "
					"'$.position[1]')");
}

static void close_hand(void *context)
{
	struct client *hand = context;

	mysql_stmt_close(hand->read);
	mysql_stmt_close(hand->update);
	mysql_stmt_close(hand->record);
	mysql_close(hand->db);
	free(hand);
}

const struct hand mariadb_hand = {open_hand,  NULL,  read_one,  update_one,
				  record_one, count, close_hand};

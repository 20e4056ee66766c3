/*
 * Adding through the library: AMEND_ADD, recorded in amend's history, on each engine.
 * Leaves the clients to hot.c.
 */
#include <amend/amend.h>

#include <stdlib.h>

#include "contender.h"
#include "hot.h"

struct client {
	struct amend_conn *db;
	struct amend_table *table;
};

static void must(enum amend_status status, const struct amend_error *err)
{
	if (status != AMEND_OK)
		die("%s: %s", amend_status_name(status), err->text);
}

static void *open_client(const char *db, const char *setting)
{
	struct client *client = calloc(1, sizeof(*client));
	struct amend_error err;

	if (!client)
		die("out of memory");
	must(amend_open(db, NULL, &client->db, &err), &err);
	if (*setting)
		must(amend_query(client->db, setting, NULL, 0, NULL, &err), &err);
	must(amend_set_author(client->db, "bench", NULL, "contender", &err), &err);
	must(amend_table_open(client->db, "counter", &client->table, &err), &err);
	return client;
}

static void add(void *context, long id)
{
	struct client *client = context;
	const struct amend_field field = {"id", amend_integer(id)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign one = {"n", AMEND_ADD, amend_integer(1)};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	struct amend_error err;

	write.keys = &key, write.n_keys = 1;
	write.set = &one, write.n_set = 1;
	must(amend_write(client->db, client->table, &write, &result, &err), &err);
	amend_result_release(&result);
}

static void close_client(void *context)
{
	struct client *client = context;

	amend_table_close(client->table);
	amend_close(client->db);
	free(client);
}

const struct adder amend_adder = {"amend", open_client, add, close_client};

/*
 * `amend lease list`: who has what, and what became of leases.
 * Leaves the other verbs to lease.c.
 */
#include "lease.h"

#include <stdio.h>

#include "exit.h"
#include "plain.h"
#include "print.h"
#include "tables.h"

struct listing {
	struct cli_session *session;
	const struct amend_lease_name *only; /* NULL: all */
	struct cli_tables tables;
	struct json_object *array;
	const char **cells; /* of the text: COLUMNS in each row */
	size_t n, room;
};

enum { COLUMNS = 6 };

static const char **next_row(struct listing *listing)
{
	struct cli_pool *pool = listing->session->args->pool;

	if (listing->n == listing->room) {
		const char **more;

		listing->room = listing->room ? listing->room * 2 : 32;
		more = cli_alloc(pool, listing->room * COLUMNS, sizeof(*more));
		for (size_t i = 0; i < listing->n * COLUMNS; i++)
			more[i] = listing->cells[i];
		listing->cells = more;
	}
	return listing->cells + listing->n++ * COLUMNS;
}

static const char *show_name(struct cli_pool *pool, const char *name, const char *table,
			     const struct amend_field *key, size_t n_key)
{
	if (name)
		return cli_show_text(pool, name);
	return cli_format(pool, "%s %s", cli_plain(pool, table), cli_show_fields(pool, key, n_key));
}

/* ---- held ---- */

static enum amend_status add_held(const struct amend_held *held, void *context,
				  struct amend_error *err)
{
	struct listing *listing = context;
	struct cli_pool *pool = listing->session->args->pool;
	const char **row = next_row(listing);

	(void)err;
	row[0] = show_name(pool, held->name, held->table, held->key, held->n_key);
	row[1] = cli_format(pool, "%lld", (long long)held->lease.fence);
	row[2] = cli_show_text(pool, held->lease.holder);
	row[3] = cli_show_text(pool, held->lease.place);
	row[4] = cli_show_time(pool, held->lease.since);
	row[5] = cli_format(pool, "%s%s", cli_show_time(pool, held->lease.expires),
			    held->lease.mandatory ? " (mandatory)" : "");
	return AMEND_OK;
}

static void add_name(struct listing *listing, struct json_object *object, const char *name,
		     const char *table, const struct amend_field *key, size_t n_key)
{
	cli_json_add(object, "name", cli_json_text(name));
	cli_json_add(object, "table", cli_json_text(table));
	cli_json_add(object, "key",
		     table ? cli_json_fields(cli_tables_find(&listing->tables, table), key, n_key)
			   : NULL);
}

static enum amend_status add_held_json(const struct amend_held *held, void *context,
				       struct amend_error *err)
{
	struct listing *listing = context;
	struct json_object *object = json_object_new_object();

	(void)err;
	add_name(listing, object, held->name, held->table, held->key, held->n_key);
	cli_json_add(object, "fence", cli_json_id(held->lease.fence));
	cli_json_add(object, "holder", cli_json_text(held->lease.holder));
	cli_json_add(object, "place", cli_json_text(held->lease.place));
	cli_json_add(object, "mandatory", json_object_new_boolean(held->lease.mandatory));
	cli_json_add(object, "since", cli_json_time(held->lease.since));
	cli_json_add(object, "expires", cli_json_time(held->lease.expires));
	json_object_array_add(listing->array, object);
	return AMEND_OK;
}

static enum amend_status note_held(const struct amend_held *held, void *context,
				   struct amend_error *err)
{
	struct listing *listing = context;

	(void)err;
	if (held->table)
		cli_tables_note(&listing->tables, listing->session->args->pool, held->table);
	return AMEND_OK;
}

/* ---- history ---- */

static enum amend_status add_event(const struct amend_lease_event *event, void *context,
				   struct amend_error *err)
{
	struct listing *listing = context;
	struct cli_pool *pool = listing->session->args->pool;
	const char **row = next_row(listing);

	(void)err;
	row[0] = show_name(pool, event->name, event->table, event->key, event->n_key);
	row[1] = cli_format(pool, "%lld", (long long)event->fence);
	row[2] = cli_plain(pool, event->op);
	row[3] = cli_show_time(pool, event->at);
	row[4] = *event->place ? cli_format(pool, "%s (%s)", cli_show_text(pool, event->who),
					    cli_show_text(pool, event->place))
			       : cli_show_text(pool, event->who);
	row[5] = *event->why ? cli_show_text(pool, event->why) : "";
	return AMEND_OK;
}

static enum amend_status add_event_json(const struct amend_lease_event *event, void *context,
					struct amend_error *err)
{
	struct listing *listing = context;
	struct json_object *object = json_object_new_object();

	(void)err;
	add_name(listing, object, event->name, event->table, event->key, event->n_key);
	cli_json_add(object, "fence", cli_json_id(event->fence));
	cli_json_add(object, "op", cli_json_text(event->op));
	cli_json_add(object, "at", cli_json_time(event->at));
	cli_json_add(object, "by", cli_json_text(event->who));
	cli_json_add(object, "place", cli_json_text(*event->place ? event->place : NULL));
	cli_json_add(object, "because", cli_json_text(*event->why ? event->why : NULL));
	json_object_array_add(listing->array, object);
	return AMEND_OK;
}

static enum amend_status note_event(const struct amend_lease_event *event, void *context,
				    struct amend_error *err)
{
	struct listing *listing = context;

	(void)err;
	if (event->table)
		cli_tables_note(&listing->tables, listing->session->args->pool, event->table);
	return AMEND_OK;
}

/* ---- both ---- */

static enum amend_status list(struct listing *listing, bool history, amend_held_fn held,
			      amend_lease_event_fn event)
{
	struct cli_session *session = listing->session;

	return history ? amend_lease_events(session->db, listing->only, 0, event, listing,
					    &session->err)
		       : amend_leases(session->db, listing->only, held, listing, &session->err);
}

static int print_json(struct listing *listing, bool history)
{
	struct json_object *object = json_object_new_object();
	int code = CLI_DONE;

	listing->array = json_object_new_array();
	cli_json_add(object, history ? "events" : "leases", listing->array);
	if (list(listing, history, note_held, note_event) != AMEND_OK)
		code = cli_fail(listing->session);
	cli_tables_open(&listing->tables, listing->session);
	if (code == 0 && list(listing, history, add_held_json, add_event_json) != AMEND_OK)
		code = cli_fail(listing->session);
	if (code == 0)
		cli_json_print(json_object_get(object));
	json_object_put(object);
	cli_tables_close(&listing->tables);
	return code;
}

static int print_text(struct listing *listing, bool history)
{
	static const char *const held[COLUMNS] = {"lease", "fence", "holder",
						  "place", "since", "until"};
	static const char *const events[COLUMNS] = {"lease", "fence", "what", "when", "who", "why"};
	const char **head = next_row(listing);

	for (int i = 0; i < COLUMNS; i++)
		head[i] = history ? events[i] : held[i];
	if (list(listing, history, add_held, add_event) != AMEND_OK)
		return cli_fail(listing->session);
	if (listing->n == 1)
		printf(history ? "no lease was ever taken\n" : "no lease is held\n");
	else
		cli_table(stdout, "", listing->cells, listing->n, COLUMNS);
	return CLI_DONE;
}

int cli_lease_list(struct cli_session *session, const struct amend_lease_name *name, bool history)
{
	struct listing listing = {.session = session, .only = name, .tables = CLI_TABLES_INIT};

	return cli_has(session->args, "json") ? print_json(&listing, history)
					      : print_text(&listing, history);
}

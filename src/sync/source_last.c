/*
 * A remote source that has not changed: what it said last, out of its bases.
 * Leaves to the server whether it has; what the bases stand for to seen.c.
 *
 * What a sync makes of it is what it would make of the document itself: rows that were
 * edited or deleted here since, keys that clash, rows that are missing, all are looked at as ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/input_http.h"
#include "sync/sync.h"

struct last {
	struct amend_store store;
	struct amend_store_reader reader;
	struct amend_value *values;
	bool *absent;
	const char **columns; /* of the table, under whose names bases have the values */
	struct amend_tally tally;
	struct amend_arena arena;
};

static enum amend_status take_base(void *context, const struct amend_base *base,
				   struct amend_error *err)
{
	struct amend_source *source = context;
	struct last *last = source->state;

	amend_tally_add(&last->tally, base, 1);
	if (last->tally.broken)
		return amend_no_memory(err);
	for (size_t i = 0; i < source->n_names; i++) {
		if (!amend_pack_find(base->pack, base->pack_size, last->columns[i],
				     &last->values[i]))
			last->values[i] = (struct amend_value){.kind = AMEND_STORE_ABSENT};
	}
	return amend_store_add(&last->store, last->tally.n, NULL, last->values, source->n_names,
			       err);
}

static enum amend_status next_base(struct amend_source *source, struct amend_source_record *out,
				   bool *end, struct amend_error *err)
{
	struct last *last = source->state;
	const unsigned char *record = NULL;
	enum amend_status status = amend_store_next(&last->reader, &record, err);

	*end = status == AMEND_OK && !record;
	if (status != AMEND_OK || *end)
		return status;
	*out = (struct amend_source_record){.fields = last->values, .absent = last->absent};
	out->line = amend_store_decode(record, last->values, source->n_names, &out->problem);
	for (size_t i = 0; i < source->n_names; i++) {
		last->absent[i] = last->values[i].kind == AMEND_STORE_ABSENT;
		if (last->absent[i])
			last->values[i] = amend_null();
	}
	return AMEND_OK;
}

static void close_last(struct amend_source *source)
{
	struct last *last = source->state;

	amend_store_end(&last->reader);
	amend_store_release(&last->store);
	amend_arena_release(&last->arena);
	free(last->values);
	free(last->absent);
	free(last);
}

static const struct amend_source_ops last_ops = {next_base, close_last};

/* The source's names, and the table's for them. */
static enum amend_status take_names(struct amend_source *source,
				    const struct amend_seen_version *seen, struct amend_error *err)
{
	struct last *last = source->state;
	struct amend_pack_reader reader = {seen->names,
					   (const unsigned char *)seen->names + seen->names_size};
	enum amend_status status = AMEND_OK;
	struct amend_value value;
	const char *name;
	size_t size, n = 0;

	last->columns = amend_arena_array(&last->arena, AMEND_COLUMN_LIMIT, sizeof(*last->columns));
	if (!last->columns)
		return amend_no_memory(err);
	while (status == AMEND_OK && amend_pack_next(&reader, &name, &size, &value)) {
		status = amend_source_add_name(source, value.as.text, value.size, err);
		if (status == AMEND_OK)
			last->columns[n] = amend_arena_text_n(&last->arena, name, size);
		if (status == AMEND_OK && !last->columns[n++])
			status = amend_no_memory(err);
	}
	last->values = calloc(n + 1, sizeof(*last->values));
	last->absent = calloc(n + 1, sizeof(*last->absent));
	if (status == AMEND_OK && (!last->values || !last->absent))
		status = amend_no_memory(err);
	return status;
}

/* `*out` NULL: the bases are not what they were. */
static enum amend_status open_last(struct amend_conn *db, const char *feed,
				   const struct amend_table *table, const char *url,
				   const struct amend_seen_version *seen, struct amend_source **out,
				   struct amend_error *err)
{
	struct amend_source *source = calloc(1, sizeof(*source));
	struct last *last = calloc(1, sizeof(*last));
	enum amend_status status;

	*out = NULL;
	if (!source || !last) {
		free(source);
		free(last);
		return amend_no_memory(err);
	}
	source->ops = &last_ops;
	source->state = last;
	source->numbers_records = source->unmodified = source->remote = true;
	source->path = amend_http_shown(url);
	status = source->path ? take_names(source, seen, err) : amend_no_memory(err);
	if (status == AMEND_OK)
		status = amend_base_scan(db, feed, table, true, take_base, source, err);
	if (status == AMEND_OK && !amend_source_hash_names(source))
		status = amend_no_memory(err);
	if (status == AMEND_OK && amend_tally_same(&last->tally, &seen->bases)) {
		amend_store_begin(&last->store, &last->reader);
		*out = source;
		return AMEND_OK;
	}
	amend_source_close(source);
	return status;
}

/* ---- asking again ---- */

struct again {
	struct amend_conn *db;
	const struct amend_sync_options *sync;
	const char *feed; /* the source's name */
	struct amend_table *table;
	struct amend_arena arena;
	struct amend_seen_version seen;
	bool found;
};

/* What was seen, if it was asked for and understood in the same way. */
static enum amend_status look(struct again *again, const char *table, const char *url,
			      const struct amend_source_options *options, struct amend_error *err)
{
	unsigned char asked[AMEND_DIGEST_SIZE];
	bool found = false;
	enum amend_status status = amend_table_open(again->db, table, &again->table, err);

	if (status == AMEND_OK)
		status = amend_seen_find(again->db, again->feed, again->table, &again->arena,
					 &again->seen, &found, err);
	again->found = status == AMEND_OK && found && amend_source_asked(url, options, asked) &&
		       amend_seen_asked(again->sync, again->table, again->seen.names,
					again->seen.names_size, asked) &&
		       memcmp(asked, again->seen.asked, sizeof(asked)) == 0;
	return status;
}

static enum amend_status ask(struct again *again, const char *url,
			     const struct amend_source_options *options, struct amend_source **out,
			     struct amend_error *err)
{
	struct amend_validators since = {"", ""};
	enum amend_status status;

	/* They came from such a place: they fit. */
	snprintf(since.etag, sizeof(since.etag), "%s", again->seen.etag);
	snprintf(since.modified, sizeof(since.modified), "%s", again->seen.modified);
	status = amend_source_http(url, options, &since, out, err);
	if (status != AMEND_OK || *out)
		return status;
	status = amend_enter(again->db, err);
	if (status == AMEND_OK)
		status = amend_leave(again->db,
				     open_last(again->db, again->feed, again->table, url,
					       &again->seen, out, err),
				     err);
	/* The condition was met, and yet the bases stand for something else: all of it is needed. */
	if (status == AMEND_OK && !*out)
		status = amend_source_http(url, options, NULL, out, err);
	return status;
}

enum amend_status amend_source_open_again(struct amend_conn *db, const char *table,
					  const struct amend_sync_options *sync, const char *name,
					  const struct amend_source_options *given,
					  struct amend_source **out, struct amend_error *err)
{
	const struct amend_source_options usual = AMEND_SOURCE_OPTIONS_INIT;
	const struct amend_source_options *options = given ? given : &usual;
	struct again again = {
		.db = db,
		.sync = sync,
		.feed = sync->source_name ? sync->source_name : "default",
	};
	struct amend_error ignored;
	enum amend_status status;

	*out = NULL;
	/* A plan is bound to the input's own bytes, and rejects are kept in them. */
	if (!amend_is_http(name) || options->query || options->keep || sync->on_plan ||
	    !amend_seen_may(sync))
		return amend_source_open(name, options, out, err);
	/* A database that cannot say is no reason not to ask the server for everything. */
	if (amend_enter(db, &ignored) == AMEND_OK) {
		status = look(&again, table, name, options, &ignored);
		if (amend_leave(db, status, &ignored) != AMEND_OK)
			again.found = false;
	}
	status = again.found ? ask(&again, name, options, out, err)
			     : amend_source_open(name, options, out, err);
	amend_table_close(again.table);
	amend_arena_release(&again.arena);
	return status;
}

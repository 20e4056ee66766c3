/*
 * Another database as a source: the rows of a query are its records.
 * Leaves asking to src/sql, and what values mean to the columns they go to.
 *
 * The rows are read at once and kept, so that the database they come from is not
 * held while they are compared and written: it may be the one that is written to.
 */
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/json_text.h"
#include "sql/conn.h"
#include "sync/source.h"
#include "sync/store.h"

struct query {
	struct amend_source *source;
	const char *sql;
	struct amend_store store;
	struct amend_store_reader reader;
	struct amend_value *values;
	int64_t n; /* rows taken */
};

static enum amend_status take_name(void *context, const char *name, struct amend_error *err)
{
	struct query *query = context;
	struct amend_source *source = query->source;

	if (!*name || strcmp(name, "?column?") == 0 || !amend_utf8_valid(name, strlen(name)))
		return amend_error_set(err, AMEND_INVALID,
				       "query: column %zu has no name (hint: AS NAME gives it one)",
				       source->n_names + 1);
	for (size_t i = 0; i < source->n_names; i++) {
		if (strcmp(source->names[i], name) == 0)
			return amend_error_set(
				err, AMEND_INVALID,
				"query: columns %zu and %zu have one name, %s (hint: AS "
				"NAME gives another)",
				i + 1, source->n_names + 1, name);
	}
	return amend_source_add_name(source, name, strlen(name), err);
}

/* What a file could not hold either. */
static const char *find_problem(const struct query *query, const struct amend_value *values,
				struct amend_buffer *text)
{
	for (size_t i = 0; i < query->source->n_names; i++) {
		const struct amend_value *value = &values[i];
		const char *what = NULL;

		if ((value->kind == AMEND_TEXT || value->kind == AMEND_BLOB) &&
		    value->size > AMEND_FIELD_LIMIT)
			what = "is longer than 64 MiB";
		else if (value->kind == AMEND_TEXT && memchr(value->as.text, '\0', value->size))
			what = "holds a NUL byte";
		else if (value->kind == AMEND_TEXT && !amend_utf8_valid(value->as.text, value->size))
			what = "is not UTF-8";
		if (!what)
			continue;
		amend_buffer_printf(text, "column %s %s", query->source->names[i], what);
		return amend_buffer_string(text);
	}
	return NULL;
}

static enum amend_status take_row(void *context, const struct amend_value *values, size_t n_columns,
				  struct amend_error *err)
{
	struct query *query = context;
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status;
	const char *problem;

	if (n_columns != query->source->n_names)
		return amend_error_set(err, AMEND_INTERNAL, "query: %zu columns, and then %zu",
				       query->source->n_names, n_columns);
	problem = find_problem(query, values, &text);
	status = amend_store_add(&query->store, ++query->n, problem, values, n_columns, err);
	amend_buffer_release(&text);
	return status;
}

/* In one transaction: names and rows are of one moment, and nothing is written. */
static enum amend_status ask(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct query *query = context;
	struct amend_sql sql;
	enum amend_status status;

	status = amend_query_columns(db, query->sql, take_name, query, err);
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, query->sql);
	status = amend_scan(db, &sql, take_row, query, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status next_row(struct amend_source *source, struct amend_source_record *out,
				  bool *end, struct amend_error *err)
{
	struct query *query = source->state;
	const unsigned char *record = NULL;
	enum amend_status status = amend_store_next(&query->reader, &record, err);

	*end = status == AMEND_OK && !record;
	if (status != AMEND_OK || *end)
		return status;
	amend_source_hash_record(source, record);
	*out = (struct amend_source_record){.fields = query->values};
	out->line = amend_store_decode(record, query->values, source->n_names, &out->problem);
	return AMEND_OK;
}

static void close_query(struct amend_source *source)
{
	struct query *query = source->state;

	amend_store_end(&query->reader);
	amend_store_release(&query->store);
	free(query->values);
	free(query);
}

static const struct amend_source_ops query_ops = {next_row, close_query};

enum amend_status amend_source_query(struct amend_source *source, const char *url, const char *sql,
				     struct amend_error *err)
{
	struct amend_unit_options unit = AMEND_UNIT_OPTIONS_INIT;
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct query *query = calloc(1, sizeof(*query));
	struct amend_conn *db = NULL;
	enum amend_status status;

	if (!query)
		return amend_no_memory(err);
	source->ops = &query_ops;
	source->state = query;
	source->numbers_records = true;
	query->source = source;
	query->sql = sql;
	options.must_exist = options.read_only = true;
	/* Not a second time: what it took would be there twice. */
	unit.read_only = unit.no_rerun = true;
	status = amend_open(url, &options, &db, err);
	if (status == AMEND_OK)
		status = amend_atomic(db, &unit, ask, query, err);
	amend_close(db);
	if (status != AMEND_OK)
		return status;
	amend_store_begin(&query->store, &query->reader);
	query->values = calloc(source->n_names, sizeof(*query->values));
	return query->values && amend_source_hash_names(source) ? AMEND_OK : amend_no_memory(err);
}

/*
 * Requests from text, outcomes to text.
 * Leaves databases to tests/lib.
 */
#include "ask.h"

#include <stdlib.h>

#include <amend/mariadb.h>
#include <amend/postgres.h>
#include <amend/sqlite.h>

#include "core/buffer.h"
#include "sql/conn.h"

enum { MOST = 40 };

/* --- Connections --- */

static void close_road(void *thing)
{
	struct road *road = thing;

	amend_result_release(&road->result);
	amend_table_close(road->table);
	amend_close(road->db);
}

static struct road *open_road(struct engine *engine, const char *url,
			      const struct amend_open_options *options, unsigned hide,
			      const char *table)
{
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;
	struct road *road = amend_arena_alloc(engine_arena(engine), sizeof(*road));
	const struct amend_driver *driver = engine->driver;
	struct amend_session *session = NULL;

	assert_non_null(road);
	if (!options)
		options = &defaults;
	road->engine = engine;
	road->trace.hide = hide;
	expect_ok(driver->open(url ? url : engine->url, options, &session, &road->err), &road->err);
	expect_ok(amend_trace_wrap(driver, session, &road->trace, &driver, &session, &road->err),
		  &road->err);
	expect_ok(amend_conn_new(driver, session, options, false, &road->db, &road->err),
		  &road->err);
	/* As amend_open does it. */
	if (!amend_has(road->db, AMEND_HAS_DDL_ROLLBACK))
		road->db->url = strdup(url ? url : engine->url);
	engine_defer(engine, close_road, road);
	expect_ok(amend_set_author(road->db, "ada", NULL, NULL, &road->err), &road->err);
	if (table)
		road_table(road, table);
	return road;
}

struct road *road_open_with(struct engine *engine, const char *url,
			    const struct amend_open_options *options, const char *table)
{
	return open_road(engine, url, options, engine->driver->features & ~engine->features, table);
}

struct road *road_open_hiding(struct engine *engine, unsigned hide, const char *table)
{
	return open_road(engine, NULL, NULL, hide, table);
}

struct road *road_open(struct engine *engine, const char *table)
{
	return road_open_with(engine, NULL, NULL, table);
}

struct road *road_adopt(struct engine *engine, struct foreign *foreign, const char *table)
{
	struct road *road = amend_arena_alloc(engine_arena(engine), sizeof(*road));
	enum amend_status status;

	assert_non_null(road);
	road->engine = engine;
	if (engine_is(engine, "sqlite"))
		status = amend_adopt_sqlite(foreign_handle(foreign), NULL, &road->db, &road->err);
	else
		status = engine_is(engine, "mariadb")
				 ? amend_adopt_mariadb(foreign_handle(foreign), NULL, &road->db,
						       &road->err)
				 : amend_adopt_postgres(foreign_handle(foreign), NULL, &road->db,
							&road->err);
	expect_ok(status, &road->err);
	engine_defer(engine, close_road, road);
	if (table)
		road_table(road, table);
	return road;
}

void road_table(struct road *road, const char *table)
{
	amend_table_close(road->table);
	road->table = NULL;
	expect_ok(amend_table_open(road->db, table, &road->table, &road->err), &road->err);
}

void road_close(struct road *road)
{
	engine_end(road->engine, road);
}

void road_count(struct road *road)
{
	road->trace.operations = road->trace.statements = 0;
	memset(road->trace.by_op, 0, sizeof(road->trace.by_op));
}

enum amend_status road_atomic(struct road *road, amend_unit_fn fn, void *context)
{
	road->status = amend_atomic(road->db, NULL, fn, context, &road->err);
	return road->status;
}

/* --- Requests --- */

static char *copy_of(struct engine *engine, const char *text, size_t size)
{
	char *copy = amend_arena_text_n(engine_arena(engine), text, size);

	assert_non_null(copy);
	return copy;
}

/* One item behind another: its end, and where the next begins. */
static const char *next_part(const char *text, const char *separator, size_t *size)
{
	const char *end = strstr(text, separator);

	*size = end ? (size_t)(end - text) : strlen(text);
	return end ? end + strlen(separator) : NULL;
}

/* "name=ada": the sign's first character ends the column's name. */
static struct amend_value split(struct engine *engine, const char *item, size_t size,
				const char *signs, const char **column, const char **sign)
{
	char *text = copy_of(engine, item, size);
	char *at = strpbrk(text, signs);
	const char *value;

	if (!at)
		fail_at(__FILE__, __LINE__, "expected COLUMN%cVALUE, found %s", *signs, text);
	*sign = copy_of(engine, at, at[1] == '=' ? 2 : 1);
	value = at + strlen(*sign);
	*at = '\0';
	*column = text;
	return strcmp(value, "NULL") == 0 ? amend_null() : amend_text(value);
}

static size_t read_fields(struct engine *engine, const char *text, size_t size,
			  struct amend_field *fields)
{
	const char *list = copy_of(engine, text, size);
	size_t n = 0;

	while (list) {
		const char *item = list, *sign;

		list = next_part(item, ", ", &size);
		assert_true(n < MOST);
		fields[n].value = split(engine, item, size, "=", &fields[n].column, &sign);
		n++;
	}
	return n;
}

static size_t read_assigns(struct engine *engine, const char *list, struct amend_assign *assigns)
{
	size_t n = 0, size;

	while (list) {
		const char *item = list, *sign;
		struct amend_assign *assign = &assigns[n];

		list = next_part(item, ", ", &size);
		assert_true(n++ < MOST);
		assign->value = split(engine, item, size, "+-=", &assign->column, &sign);
		assign->op = *sign == '=' ? AMEND_SET : AMEND_ADD;
		if (*sign == '-' && assign->value.kind == AMEND_TEXT)
			assign->value = amend_text(
				engine_printf(engine, "-%s", assign->value.as.text));
	}
	return n;
}

static size_t read_bounds(struct engine *engine, const char *list, struct amend_bound *bounds)
{
	size_t n = 0, size;

	while (list) {
		const char *item = list, *sign;
		struct amend_value value;

		list = next_part(item, ", ", &size);
		assert_true(n < MOST);
		bounds[n] = (struct amend_bound){0};
		value = split(engine, item, size, "<>", &bounds[n].column, &sign);
		*(*sign == '>' ? &bounds[n].min : &bounds[n].max) = value;
		n++;
	}
	return n;
}

static size_t read_rules(struct engine *engine, const char *list, enum amend_merge_by by,
			 struct amend_merge_rule *rules, size_t n)
{
	size_t size;

	while (list) {
		const char *item = list;

		list = next_part(item, ", ", &size);
		assert_true(n < MOST);
		rules[n++] = (struct amend_merge_rule){copy_of(engine, item, size), by};
	}
	return n;
}

/* Room for what a call points to. */
struct request {
	struct amend_match keys[4];
	size_t n_keys;
	struct amend_field fields[MOST], originals[MOST];
	struct amend_assign set[MOST], on_create[MOST];
	struct amend_bound bounds[MOST];
	struct amend_merge_rule rules[MOST];
	struct amend_value version;
	struct amend_expect expect;
};

static void read_request(struct engine *engine, const struct asked *asked, struct request *request)
{
	const char *list = asked->keys;
	size_t used = 0, size;

	memset(request, 0, sizeof(*request));
	while (list) {
		const char *item = list;
		struct amend_match *key = &request->keys[request->n_keys++];

		assert_true(request->n_keys <= COUNT(request->keys));
		list = next_part(item, "; ", &size);
		key->fields = request->fields + used;
		key->n_fields = read_fields(engine, item, size, request->fields + used);
		used += key->n_fields;
		assert_true(used <= MOST);
	}
	request->expect.token = asked->token;
	request->expect.once = asked->once;
	request->expect.lease = asked->lease;
	request->expect.only_changed = asked->only_changed;
	if (asked->version) {
		request->version = amend_text(asked->version);
		request->expect.version = &request->version;
	}
	if (asked->originals) {
		request->expect.n_originals = read_fields(
			engine, asked->originals, strlen(asked->originals), request->originals);
		request->expect.originals = request->originals;
	}
}

enum amend_status road_write(struct road *road, const struct asked *asked)
{
	struct request request;
	struct amend_write write = AMEND_WRITE_INIT;

	read_request(road->engine, asked, &request);
	write.mode = asked->mode;
	write.keys = request.keys;
	write.n_keys = request.n_keys;
	write.set = request.set;
	write.n_set = read_assigns(road->engine, asked->set, request.set);
	write.on_create = request.on_create;
	write.n_on_create = read_assigns(road->engine, asked->on_create, request.on_create);
	write.bounds = request.bounds;
	write.n_bounds = read_bounds(road->engine, asked->bounds, request.bounds);
	write.compute = asked->compute;
	write.compute_context = asked->context;
	write.expect = request.expect;
	write.wait = asked->wait;
	write.want_token = asked->want_token;
	write.merge = asked->merge;
	write.rules = request.rules;
	write.n_rules = read_rules(road->engine, asked->additive, AMEND_MERGE_ADD, request.rules, 0);
	write.n_rules = read_rules(road->engine, asked->by_line, AMEND_MERGE_LINES, request.rules,
				   write.n_rules);
	write.n_rules = read_rules(road->engine, asked->by_key, AMEND_MERGE_KEYS, request.rules,
				   write.n_rules);
	amend_result_release(&road->result);
	road->status = amend_write(road->db, road->table, &write, &road->result, &road->err);
	return road->status;
}

enum amend_status road_delete(struct road *road, const struct asked *asked)
{
	struct request request;

	read_request(road->engine, asked, &request);
	amend_result_release(&road->result);
	road->status = amend_delete(road->db, road->table, request.keys, &request.expect,
				    asked->wait, &road->result, &road->err);
	return road->status;
}

static enum amend_status get(struct road *road, const char *key, bool want_token)
{
	struct request request;

	read_request(road->engine, ask(.keys = key), &request);
	amend_result_release(&road->result);
	road->status = amend_get(road->db, road->table, request.keys, want_token, &road->result,
				 &road->err);
	return road->status;
}

enum amend_status road_get(struct road *road, const char *key)
{
	return get(road, key, false);
}

const char *road_token(struct road *road, const char *key)
{
	expect_ok(get(road, key, true), &road->err);
	if (!road->result.token)
		fail_at(__FILE__, __LINE__, "no token: %s", road->result.no_token);
	return copy_of(road->engine, road->result.token, strlen(road->result.token));
}

enum amend_status road_hold(struct road *road, const char *key, enum amend_strength strength,
			    enum amend_wait wait)
{
	struct request request;

	read_request(road->engine, ask(.keys = key), &request);
	amend_result_release(&road->result);
	road->status = amend_hold(road->db, road->table, request.keys, strength, wait,
				  &road->result, &road->err);
	return road->status;
}

/* --- Outcomes --- */

static void add_value(struct amend_buffer *out, const struct amend_value *value)
{
	switch (value->kind) {
	case AMEND_NULL:
		amend_buffer_text(out, "NULL");
		break;
	case AMEND_INTEGER:
		amend_buffer_printf(out, "%lld", (long long)value->as.integer);
		break;
	case AMEND_REAL:
		amend_buffer_printf(out, "%.17gr", value->as.real);
		break;
	case AMEND_TEXT:
		if (value->size == 0)
			amend_buffer_text(out, "''");
		else
			amend_buffer_add(out, value->as.text, value->size);
		break;
	case AMEND_BLOB:
		amend_buffer_text(out, "x'");
		for (size_t i = 0; i < value->size; i++)
			amend_buffer_printf(out, "%02x", ((const unsigned char *)value->as.blob)[i]);
		amend_buffer_text(out, "'");
		break;
	}
}

static const char *keep(struct engine *engine, struct amend_buffer *text)
{
	const char *copy;

	assert_false(text->failed);
	copy = copy_of(engine, text->size ? text->data : "", text->size);
	amend_buffer_release(text);
	return copy;
}

const char *road_value(struct engine *engine, const struct amend_value *value)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	add_value(&text, value);
	return keep(engine, &text);
}

static void add_changes(struct amend_buffer *out, const struct amend_change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		amend_buffer_printf(out, "%s%s: ", i ? ", " : " ", changes[i].column);
		add_value(out, &changes[i].before);
		amend_buffer_text(out, " -> ");
		add_value(out, &changes[i].after);
	}
}

const char *road_said(struct road *road)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	amend_buffer_text(&text, amend_outcome_name(road->result.outcome));
	add_changes(&text, road->result.changes, road->result.n_changes);
	return keep(road->engine, &text);
}

const char *road_state(struct road *road, const struct amend_value *values)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	if (!values)
		return "unknown";
	for (size_t i = 0; i < road->table->n_columns; i++) {
		amend_buffer_printf(&text, "%s%s=", i ? " " : "", road->table->columns[i].name);
		add_value(&text, &values[i]);
	}
	return keep(road->engine, &text);
}

const char *road_record(struct road *road)
{
	return road->result.record ? road_state(road, road->result.record) : "";
}

static const char *text_of_fields(struct engine *engine, const struct amend_field *fields, size_t n)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < n; i++) {
		amend_buffer_printf(&text, "%s%s=", i ? " " : "", fields[i].column);
		add_value(&text, &fields[i].value);
	}
	return keep(engine, &text);
}

const char *road_incoming(struct road *road)
{
	return text_of_fields(road->engine, road->result.incoming, road->result.n_incoming);
}

const char *road_merge(struct road *road)
{
	struct amend_field fields[MOST];

	assert_true(road->result.n_merged <= MOST);
	for (size_t i = 0; i < road->result.n_merged; i++) {
		fields[i].column = road->result.merged[i].column;
		fields[i].value = amend_text(amend_merge_from_name(road->result.merged[i].from));
	}
	return text_of_fields(road->engine, fields, road->result.n_merged);
}

/* --- History --- */

struct lines {
	struct engine *engine;
	struct amend_buffer text;
};

static enum amend_status add_line(const struct amend_log_entry *entry, void *context,
				  struct amend_error *err)
{
	struct lines *lines = context;

	(void)err;
	amend_buffer_printf(&lines->text, "%s%s %s", lines->text.size ? "\n" : "", entry->op,
			    text_of_fields(lines->engine, entry->key, entry->n_key));
	add_changes(&lines->text, entry->changes, entry->n_changes);
	return AMEND_OK;
}

const char *road_history(struct road *road, const char *key)
{
	struct lines lines = {road->engine, AMEND_BUFFER_INIT};
	struct amend_log_filter filter = {.table = road->table};
	struct request request;
	struct amend_error err;

	if (key) {
		read_request(road->engine, ask(.keys = key), &request);
		filter.key = request.keys;
	}
	expect_ok(amend_log(road->db, &filter, add_line, &lines, &err), &err);
	return keep(road->engine, &lines.text);
}

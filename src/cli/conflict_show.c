/*
 * A conflict for people: base, current and incoming side by side, long texts line by line; and as JSON.
 * Leaves which conflicts are shown to the commands.
 */
#include "conflict_show.h"

#include <stdio.h>
#include <string.h>

#include "lines.h"
#include "plain.h"
#include "print.h"

enum { LONGEST = 40 };

const char *cli_take_name(enum amend_take take)
{
	switch (take) {
	case AMEND_TAKE_NOTHING:
		break;
	case AMEND_TAKE_CURRENT:
		return "current";
	case AMEND_TAKE_INCOMING:
		return "incoming";
	case AMEND_TAKE_BASE:
		return "base";
	}
	return "value";
}

static bool is_open(const struct amend_conflict *conflict)
{
	return strcmp(conflict->state, "open") == 0;
}

bool cli_is_long(const struct amend_value *value)
{
	return value->kind == AMEND_TEXT &&
	       (value->size > (size_t)4 * LONGEST || memchr(value->as.text, '\n', value->size));
}

static bool is_long(const struct amend_conflict_field *field)
{
	return (field->has_base && cli_is_long(&field->base)) || cli_is_long(&field->current) ||
	       cli_is_long(&field->incoming);
}

/* --- the fields --- */

static bool any_chosen(const struct amend_conflict *conflict)
{
	for (size_t i = 0; i < conflict->n_fields; i++) {
		if (conflict->more[i].chosen)
			return true;
	}
	return false;
}

static void print_table(struct cli_pool *pool, const struct amend_conflict *conflict)
{
	size_t columns = any_chosen(conflict) ? 5 : 4, rows = 1;
	const char **cells = cli_alloc(pool, (conflict->n_fields + 1) * columns, sizeof(*cells));

	cells[0] = "";
	cells[1] = "base";
	cells[2] = "current";
	cells[3] = "incoming";
	if (columns == 5)
		cells[4] = is_open(conflict) ? "decided" : "became";
	for (size_t i = 0; i < conflict->n_fields; i++) {
		const struct amend_conflict_field *field = &conflict->fields[i];
		const struct amend_conflict_more *more = &conflict->more[i];
		const char **row = cells + rows * columns;

		if (is_long(field))
			continue;
		row[0] = cli_plain(pool, field->column);
		row[1] = field->has_base ? cli_show(pool, &field->base, LONGEST) : "-";
		row[2] = is_open(conflict) && !conflict->there
				 ? "-"
				 : cli_show(pool, &field->current, LONGEST);
		row[3] = cli_show(pool, &field->incoming, LONGEST);
		if (columns == 5 && more->chosen)
			row[4] = cli_show(pool, &more->value, LONGEST);
		rows++;
	}
	if (rows > 1)
		cli_table(stdout, "  ", cells, rows, columns);
}

static struct cli_lines lines_of(struct cli_pool *pool, const struct amend_value *value)
{
	const char *text;

	if (value->kind == AMEND_NULL)
		return cli_lines_of(pool, "", 0);
	if (value->kind == AMEND_TEXT)
		return cli_lines_of(pool, value->as.text, value->size);
	text = cli_show(pool, value, 0);
	return cli_lines_of(pool, text, strlen(text));
}

static void print_side(struct cli_pool *pool, const char *name, const struct amend_value *from,
		       const char *from_name, const struct amend_value *to)
{
	struct cli_lines a = lines_of(pool, from), b = lines_of(pool, to);

	if (amend_value_equal(from, to)) {
		printf("    %s: as %s\n", name, from_name);
		return;
	}
	if (to->kind == AMEND_NULL) {
		printf("    %s: NULL\n", name);
		return;
	}
	printf("    %s, against %s:\n", name, from_name);
	cli_lines_print(pool, stdout, "      ", &a, &b);
}

/* What each side has made of it; without a base, what tells the two apart. */
static void print_long(struct cli_pool *pool, const struct amend_conflict *conflict, size_t i)
{
	const struct amend_conflict_field *field = &conflict->fields[i];
	const struct amend_conflict_more *more = &conflict->more[i];
	bool there = conflict->there || !is_open(conflict);

	printf("  %s:\n", cli_plain(pool, field->column));
	if (field->has_base) {
		if (there)
			print_side(pool, "current", &field->base, "base", &field->current);
		else
			printf("    current: -\n");
		print_side(pool, "incoming", &field->base, "base", &field->incoming);
	} else {
		print_side(pool, "incoming", &field->current, "current", &field->incoming);
	}
	if (more->chosen && more->take != AMEND_TAKE_NOTHING)
		printf("    %s: as %s\n", is_open(conflict) ? "decided" : "became",
		       cli_take_name(more->take));
	else if (more->chosen)
		print_side(pool, is_open(conflict) ? "decided" : "became", &field->current,
			   "current", &more->value);
}

/* What has happened to an open one since it was found. */
static void print_since(struct cli_pool *pool, const struct amend_conflict *conflict, size_t i)
{
	const struct amend_conflict_field *field = &conflict->fields[i];
	const struct amend_conflict_more *more = &conflict->more[i];
	const char *name = cli_plain(pool, field->column);

	if (conflict->there && !amend_value_equal(&more->found, &field->current))
		printf("  %s was %s when the conflict was found\n", name,
		       cli_show(pool, &more->found, LONGEST));
	if (more->chosen)
		printf("  %s is decided: %s, by %s\n", name, cli_take_name(more->take),
		       cli_show_text(pool, more->who));
}

const char *cli_conflict_terms(struct cli_pool *pool, const struct amend_conflict_more *more)
{
	const char *text = more->adds ? "what incoming adds to base is added to current" : "";

	if (more->min.kind)
		text = cli_format(pool, "%s%sat least %s", text, *text ? ", " : "",
				  cli_show(pool, &more->min, LONGEST));
	if (more->max.kind)
		text = cli_format(pool, "%s%sat most %s", text, *text ? ", " : "",
				  cli_show(pool, &more->max, LONGEST));
	return *text ? text : NULL;
}

const char *cli_conflict_number(struct cli_pool *pool, const struct amend_conflict *conflict)
{
	const char *id = cli_format(pool, "%lld", (long long)conflict->id);

	return is_open(conflict) && !conflict->as_found
		       ? cli_format(pool, "%s@%s", id, conflict->version)
		       : id;
}

/* --- around them --- */

/* By the key that the source has, and by the table's own where that is another. */
static void print_record(struct cli_pool *pool, const struct amend_conflict *conflict)
{
	const char *key = cli_show_fields(pool, conflict->key, conflict->n_key);

	printf(": %s %s", cli_plain(pool, conflict->table),
	       cli_show_text(pool, conflict->first_key));
	if (conflict->n_key && strcmp(key, conflict->first_key) != 0)
		printf(" (%s)", key);
	if (!is_open(conflict))
		printf(", %s", conflict->state);
	else if (!conflict->there && conflict->kind != AMEND_CONFLICT_DELETED && conflict->n_key)
		printf(", which is not there any more");
	printf("\n");
}

static void print_origin(struct cli_pool *pool, const struct amend_conflict *conflict)
{
	if (*conflict->source)
		printf("  from source %s", cli_show_text(pool, conflict->source));
	else
		printf("  from a save");
	if (conflict->line)
		printf(", line %lld", (long long)conflict->line);
	if (*conflict->who)
		printf(", by %s", cli_show_text(pool, conflict->who));
	printf(", %s", cli_show_time(pool, conflict->at));
	if (*conflict->why)
		printf(": %s", cli_show_text(pool, conflict->why));
	printf("\n");
}

static void print_end(struct cli_pool *pool, const struct amend_conflict *conflict)
{
	const char *by = conflict->ended_by ? conflict->ended_by : "";

	if (is_open(conflict))
		return;
	if (*conflict->taken)
		printf("  %s (%s)", conflict->state, conflict->taken);
	else
		printf("  %s: a sync found none any more", conflict->state);
	if (*by)
		printf(", by %s", cli_show_text(pool, by));
	if (conflict->ended_at)
		printf(", %s", cli_show_time(pool, conflict->ended_at));
	if (conflict->because && *conflict->because)
		printf(": %s", cli_show_text(pool, conflict->because));
	printf("\n");
}

void cli_conflict_print(struct cli_pool *pool, const struct amend_conflict *conflict)
{
	cli_ink(stdout, CLI_NOTE,
		cli_format(pool, "conflict %s", cli_conflict_number(pool, conflict)));
	print_record(pool, conflict);
	if (*conflict->note)
		printf("  %s: %s\n", amend_conflict_kind_name(conflict->kind),
		       cli_show_text(pool, conflict->note));
	print_table(pool, conflict);
	for (size_t i = 0; i < conflict->n_fields; i++) {
		if (is_long(&conflict->fields[i]))
			print_long(pool, conflict, i);
	}
	for (size_t i = 0; i < conflict->n_fields && is_open(conflict); i++) {
		const char *terms = cli_conflict_terms(pool, &conflict->more[i]);

		print_since(pool, conflict, i);
		if (terms)
			printf("  %s: %s\n", cli_plain(pool, conflict->fields[i].column), terms);
	}
	print_origin(pool, conflict);
	print_end(pool, conflict);
}

/* --- JSON --- */

static void add_more(struct json_object *fields, const struct amend_table *table,
		     const struct amend_conflict *conflict, size_t i)
{
	const struct amend_conflict_field *field = &conflict->fields[i];
	const struct amend_conflict_more *more = &conflict->more[i];
	struct json_object *sides = NULL, *decided;

	if (!json_object_object_get_ex(fields, field->column, &sides))
		return;
	if (is_open(conflict) && !conflict->there)
		cli_json_add(sides, "current", NULL);
	if (is_open(conflict) && conflict->there &&
	    !amend_value_equal(&more->found, &field->current))
		cli_json_add(sides, "found", cli_json_value(&more->found, table, field->column));
	if (more->adds)
		cli_json_add(sides, "adds", json_object_new_boolean(true));
	if (more->min.kind)
		cli_json_add(sides, "min", cli_json_value(&more->min, table, field->column));
	if (more->max.kind)
		cli_json_add(sides, "max", cli_json_value(&more->max, table, field->column));
	if (!more->chosen)
		return;
	decided = json_object_new_object();
	cli_json_add(decided, "take", cli_json_text(cli_take_name(more->take)));
	cli_json_add(decided, "value", cli_json_value(&more->value, table, field->column));
	cli_json_add(decided, "by", cli_json_text(more->who));
	cli_json_add(sides, "decided", decided);
}

struct json_object *cli_conflict_json(const struct amend_table *table,
				      const struct amend_conflict *conflict)
{
	struct json_object *object = json_object_new_object(), *fields, *end = NULL;

	cli_json_add(object, "id", cli_json_id(conflict->id));
	if (is_open(conflict))
		cli_json_add(object, "version", cli_json_text(conflict->version));
	cli_json_add(object, "table", cli_json_text(conflict->table));
	cli_json_add(object, "source", cli_json_text(conflict->source));
	cli_json_add(object, "kind", cli_json_text(amend_conflict_kind_name(conflict->kind)));
	cli_json_add(object, "state", cli_json_text(conflict->state));
	cli_json_add(object, "key",
		     conflict->n_key ? cli_json_fields(table, conflict->key, conflict->n_key)
				     : NULL);
	cli_json_add(object, "first_key", cli_json_text(conflict->first_key));
	if (is_open(conflict))
		cli_json_add(object, "there", json_object_new_boolean(conflict->there));
	fields = cli_json_conflict(table, conflict->fields, conflict->n_fields);
	for (size_t i = 0; i < conflict->n_fields; i++)
		add_more(fields, table, conflict, i);
	cli_json_add(object, "fields", fields);
	cli_json_add(object, "note", cli_json_text(conflict->note));
	cli_json_add(object, "line", json_object_new_int64(conflict->line));
	cli_json_add(object, "by", cli_json_text(conflict->who));
	cli_json_add(object, "at", cli_json_time(conflict->at));
	cli_json_add(object, "because", cli_json_text(conflict->why));
	if (!is_open(conflict)) {
		end = json_object_new_object();
		cli_json_add(end, "take", cli_json_text(conflict->taken));
		cli_json_add(end, "by", cli_json_text(conflict->ended_by));
		cli_json_add(end, "at", cli_json_time(conflict->ended_at));
		cli_json_add(end, "because", cli_json_text(conflict->because));
		cli_json_add(object, "ended", end);
	}
	return object;
}

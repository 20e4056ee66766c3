/*
 * A plan's file: read whole, proved to be what was written, its header understood.
 * Leaves the entries to plan_entry.c, for they speak of a table.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sync/plan.h"
#include "sync/source.h"

static const char seal_name[] = ",\"checksum\":\"";

enum amend_status amend_plan_malformed(const struct amend_plan *plan, int64_t number,
				       struct amend_error *err, const char *format, ...)
{
	char what[400];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return amend_error_set(err, AMEND_INVALID, "%s:%lld: %s", plan->path, (long long)number,
			       what);
}

struct json_object *amend_plan_json(const char *text, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(AMEND_PLAN_DEPTH);
	struct json_object *object;

	if (!tokener || size > INT32_MAX) {
		if (tokener)
			json_tokener_free(tokener);
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)size);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    json_tokener_get_parse_end(tokener) != size ||
	    !json_object_is_type(object, json_type_object)) {
		json_object_put(object);
		object = NULL;
	}
	json_tokener_free(tokener);
	return object;
}

const char *amend_plan_string(struct json_object *object, const char *name)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member) ||
	    !json_object_is_type(member, json_type_string))
		return NULL;
	return json_object_get_string(member);
}

/* A number of things: never negative. */
static bool read_count(struct json_object *object, const char *name, uint64_t *out)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member) ||
	    !json_object_is_type(member, json_type_int) || json_object_get_int64(member) < 0)
		return false;
	*out = (uint64_t)json_object_get_int64(member);
	return true;
}

static bool read_bool(struct json_object *object, const char *name)
{
	struct json_object *member;

	return json_object_object_get_ex(object, name, &member) &&
	       json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
}

/* In the plan's own memory; NULL also when it is missing. */
static const char *keep_string(struct amend_plan *plan, struct json_object *object, const char *name)
{
	const char *text = amend_plan_string(object, name);

	return text ? amend_arena_text(&plan->arena, text) : NULL;
}

/* ---- lines and their seal ---- */

static enum amend_status find_lines(struct amend_plan *plan, struct amend_error *err)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < plan->size; i++)
		n += plan->text[i] == '\n';
	if (plan->size == 0)
		return amend_error_set(err, AMEND_INVALID, "%s: expected a plan, found nothing",
				       plan->path);
	if (n < 2 || plan->text[plan->size - 1] != '\n')
		return amend_error_set(err, AMEND_INVALID,
				       "%s: expected a whole plan, found one that is cut off, or "
				       "none (hint: amend sync --plan writes them)",
				       plan->path);
	plan->lines = amend_arena_array(&plan->arena, n, sizeof(*plan->lines));
	if (!plan->lines)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		const char *end = memchr(plan->text + at, '\n', plan->size - at);
		size_t size = (size_t)(end - (plan->text + at));

		plan->lines[i] = (struct amend_plan_line){plan->text + at, size};
		at += size + 1;
	}
	plan->n_lines = n;
	return AMEND_OK;
}

static enum amend_status check_seal(const struct amend_plan *plan, struct amend_error *err)
{
	const struct amend_plan_line *last = &plan->lines[plan->n_lines - 1];
	enum { NAME = sizeof(seal_name) - 1, TAIL = NAME + AMEND_DIGEST_HEX - 1 + 2 };
	unsigned char said[AMEND_DIGEST_SIZE], is[AMEND_DIGEST_SIZE];
	const char *seal = last->size > TAIL ? last->text + last->size - TAIL : NULL;

	if (!seal || memcmp(seal, seal_name, NAME) != 0 ||
	    !amend_digest_parse(seal + NAME, AMEND_DIGEST_HEX - 1, said))
		return amend_error_set(err, AMEND_INVALID,
				       "%s: expected the checksum that ends a plan, found none: it "
				       "is cut off (hint: make it again with amend sync --plan)",
				       plan->path);
	amend_digest(plan->text, (size_t)(seal - plan->text), is);
	if (memcmp(said, is, sizeof(is)) != 0)
		return amend_error_set(err, AMEND_INVALID,
				       "%s: the plan is not what was written: it was edited or "
				       "damaged (hint: make it again with amend sync --plan)",
				       plan->path);
	return AMEND_OK;
}

/* The last line says how many entries there are; with it and the header gone, they are the lines left. */
static enum amend_status read_seal(struct amend_plan *plan, struct amend_error *err)
{
	const struct amend_plan_line *last = &plan->lines[plan->n_lines - 1];
	struct json_object *json = amend_plan_json(last->text, last->size);
	uint64_t entries = 0;
	bool ok = json && read_count(json, "entries", &entries);

	json_object_put(json);
	if (!ok || entries != plan->n_lines - 2)
		return amend_plan_malformed(plan, (int64_t)plan->n_lines, err,
					    "expected the number of entries, %zu",
					    plan->n_lines - 2);
	plan->lines++;
	plan->n_lines -= 2;
	return AMEND_OK;
}

/* ---- the header ---- */

static bool read_column(struct amend_plan *plan, struct json_object *json,
			struct amend_plan_column *out)
{
	out->name = keep_string(plan, json, "name");
	out->type = keep_string(plan, json, "type");
	out->key = read_bool(json, "key");
	out->update = read_bool(json, "update");
	return out->name && out->type;
}

static bool read_columns(struct amend_plan *plan, struct json_object *json)
{
	struct json_object *columns, *match;
	bool ok = json_object_object_get_ex(json, "columns", &columns) &&
		  json_object_is_type(columns, json_type_array) &&
		  json_object_object_get_ex(json, "match", &match) &&
		  json_object_is_type(match, json_type_array);

	if (!ok)
		return false;
	plan->n_columns = json_object_array_length(columns);
	plan->n_match = json_object_array_length(match);
	if (plan->n_columns == 0 || plan->n_columns > AMEND_COLUMN_LIMIT || plan->n_match == 0 ||
	    plan->n_match > AMEND_SYNC_KEYS)
		return false;
	plan->columns = amend_arena_array(&plan->arena, plan->n_columns, sizeof(*plan->columns));
	plan->match = amend_arena_array(&plan->arena, plan->n_match, sizeof(*plan->match));
	if (!plan->columns || !plan->match)
		return false;
	for (size_t i = 0; i < plan->n_columns && ok; i++)
		ok = read_column(plan, json_object_array_get_idx(columns, i), &plan->columns[i]);
	for (size_t i = 0; i < plan->n_match && ok; i++) {
		struct json_object *name = json_object_array_get_idx(match, i);

		ok = json_object_is_type(name, json_type_string);
		plan->match[i] = ok ? amend_arena_text(&plan->arena, json_object_get_string(name))
				    : NULL;
		ok = plan->match[i] != NULL;
	}
	return ok;
}

static bool read_input(struct amend_plan *plan, struct json_object *json)
{
	struct json_object *input;

	if (!json_object_object_get_ex(json, "input", &input) ||
	    !json_object_is_type(input, json_type_object))
		return false;
	plan->info.input = keep_string(plan, input, "name");
	plan->info.numbers_records = read_bool(input, "numbered");
	plan->info.input_digest = keep_string(plan, input, "blake2b");
	return plan->info.input_digest && read_count(input, "records", &plan->info.read);
}

static enum amend_status read_header(struct amend_plan *plan, struct amend_error *err)
{
	const struct amend_plan_line *line = &plan->lines[0];
	struct json_object *json = amend_plan_json(line->text, line->size);
	enum amend_status status = AMEND_OK;
	uint64_t format = 0;

	if (!json || !read_count(json, "amend_plan", &format)) {
		status = amend_plan_malformed(
			plan, 1, err, "expected the header of a plan, found something else");
		goto out;
	}
	if (format != AMEND_PLAN_FORMAT) {
		status = amend_plan_malformed(plan, 1, err,
					      "expected a plan of format %d, found format %llu "
					      "(hint: make it again with this version)",
					      AMEND_PLAN_FORMAT, (unsigned long long)format);
		goto out;
	}
	plan->info.table = keep_string(plan, json, "table");
	plan->info.engine = keep_string(plan, json, "engine");
	plan->info.source = keep_string(plan, json, "source");
	plan->info.at = keep_string(plan, json, "at");
	plan->info.who = keep_string(plan, json, "who");
	plan->info.why = keep_string(plan, json, "why");
	if (!plan->info.table || !plan->info.engine || !plan->info.source || !plan->info.at ||
	    !plan->info.who || !read_input(plan, json) || !read_columns(plan, json))
		status = amend_plan_malformed(plan, 1, err,
					      "expected table, engine, source, input, columns, "
					      "match, at and who; one is missing or malformed");
out:
	json_object_put(json);
	return status;
}

enum amend_status amend_plan_parse(char *text, size_t size, const char *path, bool sealed,
				   struct amend_plan **out, struct amend_error *err)
{
	struct amend_plan *plan = calloc(1, sizeof(*plan));
	enum amend_status status;

	*out = NULL;
	if (!plan) {
		free(text);
		return amend_no_memory(err);
	}
	plan->text = text;
	plan->size = size;
	plan->path = amend_arena_text(&plan->arena, path);
	status = plan->path ? find_lines(plan, err) : amend_no_memory(err);
	/* What is no plan at all is called that, before a checksum is missed. */
	if (status == AMEND_OK)
		status = read_header(plan, err);
	if (status == AMEND_OK && sealed)
		status = check_seal(plan, err);
	if (status == AMEND_OK)
		status = read_seal(plan, err);
	plan->info.entries = plan->n_lines;
	if (status == AMEND_OK)
		*out = plan;
	else
		amend_plan_close(plan);
	return status;
}

/* ---- files ---- */

static enum amend_status read_all(int fd, const char *path, struct amend_buffer *text,
				  struct amend_error *err)
{
	char bytes[1 << 16];
	ssize_t n;

	do {
		n = read(fd, bytes, sizeof(bytes));
		if (n > 0)
			amend_buffer_add(text, bytes, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return amend_input_failed(path, errno, err);
	return text->failed ? amend_no_memory(err) : AMEND_OK;
}

enum amend_status amend_plan_open(const char *path, struct amend_plan **out, struct amend_error *err)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	const char *name = standard ? "standard input" : path;
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status;

	*out = NULL;
	if (fd < 0)
		return amend_input_failed(path, errno, err);
	status = read_all(fd, name, &text, err);
	if (!standard)
		close(fd);
	if (status != AMEND_OK) {
		amend_buffer_release(&text);
		return status;
	}
	return amend_plan_parse(text.data, text.size, name, true, out, err);
}

void amend_plan_close(struct amend_plan *plan)
{
	if (!plan)
		return;
	amend_arena_release(&plan->arena);
	free(plan->text);
	free(plan);
}

const struct amend_plan_info *amend_plan_info(const struct amend_plan *plan)
{
	return &plan->info;
}

/*
 * Finds the records of a JSON or NDJSON text as its bytes come; all but one record is dropped.
 * Leaves what is inside a record to source_json.c.
 */
#include "sync/json_document.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "sync/json.h"

/* --- bytes --------------------------------------------------------------- */

static size_t left(const struct amend_json_document *json)
{
	return json->window.end - json->window.begin;
}

static char *here(const struct amend_json_document *json)
{
	return json->window.bytes + json->window.begin;
}

static enum amend_status more(struct amend_json_document *json, struct amend_error *err)
{
	return amend_window_more(&json->window, json->source->path, json->line, err);
}

/* Moves over `size` bytes; they have not been written to yet. */
static void pass(struct amend_json_document *json, size_t size)
{
	const char *at = here(json), *end = at + size, *line;

	while ((line = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		json->line++;
		json->column = 1;
		at = line + 1;
	}
	json->column += end - at;
	json->window.begin += size;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The next byte that is no white space; '\0' where the text ends. */
static enum amend_status peek(struct amend_json_document *json, char *c, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	*c = '\0';
	while (status == AMEND_OK) {
		size_t size = 0;

		while (size < left(json) && is_space(here(json)[size]))
			size++;
		pass(json, size);
		if (left(json) > 0) {
			*c = *here(json);
			return AMEND_OK;
		}
		if (json->window.at_end)
			return AMEND_OK;
		status = more(json, err);
	}
	return status;
}

/* `cut`: there is nothing more, where there should be. */
static enum amend_status fail(const struct amend_json_document *json, bool cut,
			      struct amend_error *err, const char *what)
{
	return amend_error_set(err, cut ? AMEND_UNREACHABLE : AMEND_INVALID, "%s:%lld:%lld: %s",
			       json->source->path, (long long)json->line, (long long)json->column,
			       what);
}

enum { WORD = 5 }; /* bytes by which what is found is told: "false" */

static enum amend_status expected(struct amend_json_document *json, const char *what,
				  const char *hint, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;
	struct amend_json at = {0};
	char room[16];

	while (status == AMEND_OK && left(json) < WORD && !json->window.at_end)
		status = more(json, err);
	if (status != AMEND_OK)
		return status;
	at.text = here(json);
	at.end = left(json);
	amend_buffer_printf(&text, "expected %s", what);
	if (json->place == AMEND_JSON_BEHIND)
		amend_buffer_printf(&text, " behind record %lld", (long long)json->number);
	amend_buffer_printf(&text, ", found %s%s",
			    at.end ? amend_json_found(&at, room) : "the end: the input is cut off",
			    hint);
	fail(json, at.end == 0, err, amend_buffer_string(&text) ? text.data : what);
	amend_buffer_release(&text);
	return err->status;
}

/* Reads until the value that begins here is in memory; its size. */
static enum amend_status whole_value(struct amend_json_document *json, size_t *size,
				     struct amend_error *err)
{
	struct amend_json_skip skip = {0};
	enum amend_status status = AMEND_OK;

	while (status == AMEND_OK && !amend_json_skip(&skip, here(json), left(json))) {
		if (json->window.at_end && skip.scalar)
			break;
		if (json->window.at_end)
			return fail(json, true, err,
				    "the input ends inside what begins here: it is cut off");
		status = more(json, err);
	}
	*size = skip.at;
	return status;
}

/* As whole_value, but nothing of it is kept. */
static enum amend_status skip_value(struct amend_json_document *json, struct amend_error *err)
{
	struct amend_json_skip skip = {0};
	enum amend_status status = AMEND_OK;
	bool ends = false;

	while (status == AMEND_OK && !ends) {
		ends = amend_json_skip(&skip, here(json), left(json));
		pass(json, skip.at);
		skip.at = 0;
		if (ends || (json->window.at_end && skip.scalar))
			break;
		if (json->window.at_end)
			return expected(json, "the end of a value", "", err);
		status = more(json, err);
	}
	return status;
}

/* --- the way to the array ------------------------------------------------- */

/* `c` or nothing else. */
static enum amend_status take(struct amend_json_document *json, char c, const char *what,
			      struct amend_error *err)
{
	char found;
	enum amend_status status = peek(json, &found, err);

	if (status == AMEND_OK && found != c)
		status = expected(json, what, "", err);
	if (status == AMEND_OK)
		pass(json, 1);
	return status;
}

/* "name":, and whether it is the one that is looked for */
static enum amend_status take_name(struct amend_json_document *json, const char *name, bool *same,
				   struct amend_error *err)
{
	struct amend_buffer copy = AMEND_BUFFER_INIT;
	struct amend_json in = {0};
	const char *text, *flaw;
	size_t size = 0;
	char c;
	enum amend_status status = peek(json, &c, err);

	if (status == AMEND_OK && c != '"')
		status = expected(json, "a member's name", "", err);
	if (status == AMEND_OK)
		status = whole_value(json, &size, err);
	if (status != AMEND_OK)
		return status;
	amend_buffer_add(&copy, here(json), size + 8);
	if (copy.failed)
		return amend_no_memory(err);
	in.text = copy.data;
	in.end = size;
	if (!amend_json_string_read(&in, &text, &size, &flaw))
		status = fail(json, false, err, in.problem);
	*same = status == AMEND_OK && strlen(name) == size && memcmp(name, text, size) == 0;
	if (status == AMEND_OK)
		pass(json, in.end);
	amend_buffer_release(&copy);
	return status == AMEND_OK ? take(json, ':', "':'", err) : status;
}

static enum amend_status lost(const struct amend_json_document *json, unsigned at,
			      struct amend_error *err)
{
	return amend_error_set(err, AMEND_INVALID,
			       "%s:%lld:%lld: expected \"%s\" of --path %s here, found none",
			       json->source->path, (long long)json->line, (long long)json->column,
			       json->levels[at].name, json->way);
}

static enum amend_status enter_object(struct amend_json_document *json, unsigned at,
				      struct amend_error *err)
{
	enum amend_status status;
	bool same = false;
	char c;

	pass(json, 1);
	status = peek(json, &c, err);
	if (status == AMEND_OK && c == '}')
		return lost(json, at, err);
	while (status == AMEND_OK) {
		status = take_name(json, json->levels[at].name, &same, err);
		if (status == AMEND_OK)
			status = peek(json, &c, err);
		if (status != AMEND_OK || same)
			break;
		status = skip_value(json, err);
		if (status == AMEND_OK)
			status = peek(json, &c, err);
		if (status == AMEND_OK && c == '}')
			return lost(json, at, err);
		if (status == AMEND_OK)
			status = take(json, ',', "',' or '}'", err);
	}
	return status;
}

static enum amend_status enter_array(struct amend_json_document *json, unsigned at,
				     struct amend_error *err)
{
	char *rest;
	unsigned long long index = strtoull(json->levels[at].name, &rest, 10);
	enum amend_status status;
	char c;

	if (*rest || rest == json->levels[at].name)
		return lost(json, at, err);
	pass(json, 1);
	status = peek(json, &c, err);
	for (; status == AMEND_OK && index > 0 && c != ']'; index--) {
		status = skip_value(json, err);
		if (status == AMEND_OK)
			status = peek(json, &c, err);
		if (status == AMEND_OK && c != ']')
			status = take(json, ',', "',' or ']'", err);
		if (status == AMEND_OK && c != ']')
			status = peek(json, &c, err);
	}
	return status == AMEND_OK && c == ']' ? lost(json, at, err) : status;
}

/* To behind the bracket of the array of records. */
static enum amend_status enter(struct amend_json_document *json, struct amend_error *err)
{
	enum amend_status status;
	char c;

	json->line = json->column = 1;
	status = amend_window_skip_mark(&json->window, json->source->path, err);
	for (unsigned at = 0; at < json->n_levels && status == AMEND_OK; at++) {
		status = peek(json, &c, err);
		if (status != AMEND_OK)
			break;
		json->levels[at].object = c == '{';
		if (c == '{')
			status = enter_object(json, at, err);
		else if (c == '[')
			status = enter_array(json, at, err);
		else
			status = expected(json, "the object or array that --path leads through", "",
					  err);
	}
	if (status == AMEND_OK)
		status = peek(json, &c, err);
	if (status == AMEND_OK && c != '[')
		return expected(json, "an array of objects",
				c != '{'         ? ""
				: json->n_levels ? " (hint: --path leads to it)"
						 : " (hint: --path NAME, if the array is in it; "
						   "--format ndjson, if each line is a record)",
				err);
	if (status == AMEND_OK)
		pass(json, 1);
	json->place = AMEND_JSON_FIRST;
	return status;
}

/* Behind the array: what it stands in has to end too, or the input is cut off. */
static enum amend_status leave_level(struct amend_json_document *json,
				     const struct amend_json_level *level, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	char close = level->object ? '}' : ']', c = '\0';

	while (status == AMEND_OK) {
		bool again = false;

		status = peek(json, &c, err);
		if (status != AMEND_OK || c == close)
			break;
		status = take(json, ',', level->object ? "',' or '}'" : "',' or ']'", err);
		if (status == AMEND_OK && level->object)
			status = take_name(json, level->name, &again, err);
		if (status == AMEND_OK && again)
			return fail(json, false, err, "the member that --path names stands twice");
		if (status == AMEND_OK)
			status = peek(json, &c, err);
		if (status == AMEND_OK)
			status = skip_value(json, err);
	}
	if (status == AMEND_OK)
		pass(json, 1);
	return status;
}

static enum amend_status leave(struct amend_json_document *json, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	char c = '\0';

	pass(json, 1);
	json->place = AMEND_JSON_DONE;
	for (unsigned at = json->n_levels; at-- > 0 && status == AMEND_OK;)
		status = leave_level(json, &json->levels[at], err);
	if (status == AMEND_OK)
		status = peek(json, &c, err);
	if (status == AMEND_OK && left(json) > 0)
		status = expected(json, "the end of the text", "", err);
	return status;
}

static enum amend_status bad_path(const char *path, struct amend_error *err)
{
	return amend_error_set(err, AMEND_INVALID,
			       "--path %s: expected NAME.NAME..., or a JSON Pointer (/NAME/NAME...), "
			       "of at most %d names",
			       path, AMEND_JSON_LEVELS);
}

/* a.b, or /a/b with ~1 for a slash and ~0 for a tilde (RFC 6901) */
static enum amend_status parse_path(struct amend_json_document *json, const char *path,
				    struct amend_error *err)
{
	bool pointer = *path == '/';
	const char *at = path + pointer;

	while (*path) {
		size_t size = strcspn(at, pointer ? "/" : "."), n = 0;
		char *name;

		if (json->n_levels == AMEND_JSON_LEVELS || (size == 0 && !pointer))
			return bad_path(path, err);
		json->levels[json->n_levels++].name = name = malloc(size + 1);
		if (!name)
			return amend_no_memory(err);
		for (size_t i = 0; i < size; i++) {
			bool tilde = pointer && at[i] == '~';

			if (tilde && at[i + 1] != '0' && at[i + 1] != '1')
				return bad_path(path, err);
			name[n++] = !tilde ? at[i] : at[++i] == '0' ? '~' : '/';
		}
		name[n] = '\0';
		if (!at[size])
			break;
		at += size + 1;
	}
	return AMEND_OK;
}

/* --- what is next --- */

static enum amend_status next_element(struct amend_json_document *json, struct amend_json_text *out,
				      bool *end, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	char c;

	*end = false;
	if (json->place == AMEND_JSON_BEFORE)
		status = enter(json, err);
	if (status == AMEND_OK)
		status = peek(json, &c, err);
	if (status == AMEND_OK && json->place != AMEND_JSON_DONE && c == ']')
		status = leave(json, err);
	*end = status == AMEND_OK && json->place == AMEND_JSON_DONE;
	if (status != AMEND_OK || *end)
		return status;
	if (json->place == AMEND_JSON_BEHIND) {
		status = take(json, ',', "',' or ']'", err);
		if (status == AMEND_OK)
			status = peek(json, &c, err);
	}
	if (status == AMEND_OK && left(json) == 0)
		status = expected(json, "an object", "", err);
	if (status == AMEND_OK)
		status = whole_value(json, &out->size, err);
	json->place = AMEND_JSON_BEHIND;
	return status;
}

static enum amend_status next_line(struct amend_json_document *json, struct amend_json_text *out,
				   bool *end, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	const char *newline = NULL;
	size_t looked = 0;
	char c;

	*end = false;
	if (json->place == AMEND_JSON_BEFORE)
		status = amend_window_skip_mark(&json->window, json->source->path, err);
	json->place = AMEND_JSON_BEHIND;
	if (status == AMEND_OK)
		status = peek(json, &c, err);
	if (status == AMEND_OK && left(json) == 0) {
		*end = true;
		return AMEND_OK;
	}
	while (status == AMEND_OK) {
		newline = memchr(here(json) + looked, '\n', left(json) - looked);
		if (newline || json->window.at_end)
			break;
		looked = left(json);
		status = more(json, err);
	}
	if (status != AMEND_OK)
		return status;
	out->size = newline ? (size_t)(newline - here(json)) : left(json);
	out->cut = !newline;
	return AMEND_OK;
}

/* `*end`: there is no other page. NDJSON counts its lines on. */
static enum amend_status turn_page(struct amend_json_document *json, bool *end,
				   struct amend_error *err)
{
	bool more = false;
	enum amend_status status = amend_source_next_text(
		json->source, json->number == json->earlier, &more, err);

	*end = status == AMEND_OK && !more;
	if (status != AMEND_OK || *end)
		return status;
	json->earlier = json->number;
	json->window.at_end = false;
	json->place = AMEND_JSON_BEFORE;
	return AMEND_OK;
}

enum amend_status amend_json_document_init(struct amend_json_document *json,
					   struct amend_source *source, const char *way, bool lines,
					   struct amend_error *err)
{
	*json = (struct amend_json_document){
		.source = source, .way = way, .line = 1, .column = 1, .lines = lines};
	amend_window_init(&json->window, source->input);
	return parse_path(json, way, err);
}

void amend_json_document_release(struct amend_json_document *json)
{
	for (unsigned i = 0; i < json->n_levels; i++)
		free(json->levels[i].name);
	amend_window_release(&json->window);
}

enum amend_status amend_json_document_next(struct amend_json_document *json,
					   struct amend_json_text *out, bool *end,
					   struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	bool none = true;

	*end = false;
	while (status == AMEND_OK && none && !*end) {
		out->cut = false;
		status = json->lines ? next_line(json, out, &none, err)
				     : next_element(json, out, &none, err);
		if (status == AMEND_OK && none)
			status = turn_page(json, end, err);
	}
	if (status != AMEND_OK || *end)
		return status;
	out->text = here(json);
	out->number = ++json->number;
	out->line = json->line;
	out->column = json->column;
	pass(json, out->size);
	return AMEND_OK;
}

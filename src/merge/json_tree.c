/*
 * Reading JSON so that every part of it can be written again as it stood.
 * Leaves what to do with it to json.c.
 */
#include "merge/json_tree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 200 };

struct reader {
	const char *at, *end;
	struct amend_arena *arena;
	unsigned depth;
	bool no_memory;
};

static struct amend_json_node *read_value(struct reader *reader);

static char peek(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
		reader->at++;
	return reader->at < reader->end ? *reader->at : '\0';
}

static void *room(struct reader *reader, size_t count, size_t size)
{
	void *memory = amend_arena_array(reader->arena, count, size);

	reader->no_memory = reader->no_memory || !memory;
	return memory;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits behind \u. */
static bool read_unit(const char *at, const char *end, unsigned *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++) {
		int digit = at + i < end ? hex(at[i]) : -1;

		if (digit < 0)
			return false;
		*unit = *unit * 16 + (unsigned)digit;
	}
	return true;
}

/* As UTF-8; half of a surrogate pair keeps its own code, so that it is equal to itself only. */
static char *write_code(char *out, unsigned code)
{
	if (code < 0x80) {
		*out++ = (char)code;
		return out;
	}
	if (code >= 0x10000) {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
	} else if (code >= 0x800) {
		*out++ = (char)(0xe0 | code >> 12);
	} else {
		*out++ = (char)(0xc0 | code >> 6);
	}
	if (code >= 0x800)
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
	*out++ = (char)(0x80 | (code & 0x3f));
	return out;
}

/* What stands behind a backslash at `at`. Returns how many bytes; 0: it is no escape. */
static size_t undo_escape(const char *at, const char *end, char **out)
{
	static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *name = at < end && *at ? strchr(names, *at) : NULL;
	unsigned code, low;

	if (name) {
		*(*out)++ = means[name - names];
		return 1;
	}
	if (at == end || *at != 'u' || !read_unit(at + 1, end, &code))
		return 0;
	if (code >= 0xd800 && code < 0xdc00 && end - at > 6 && at[5] == '\\' && at[6] == 'u' &&
	    read_unit(at + 7, end, &low) && low >= 0xdc00 && low < 0xe000) {
		*out = write_code(*out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
		return 11;
	}
	*out = write_code(*out, code);
	return 5;
}

/* At a quote; false: it does not end, or holds what no string does. */
static bool read_string(struct reader *reader, const char **value, size_t *size)
{
	const char *at = reader->at + 1, *end = at;
	char *out;

	while (end < reader->end && *end != '"')
		end += *end == '\\' && end + 1 < reader->end ? 2 : 1;
	if (end >= reader->end)
		return false;
	out = room(reader, 1, (size_t)(end - at) + 1);
	if (!out)
		return false;
	*value = out;
	while (at < end) {
		size_t escaped;

		if ((unsigned char)*at < ' ')
			return false;
		if (*at != '\\') {
			*out++ = *at++;
			continue;
		}
		escaped = undo_escape(at + 1, end, &out);
		if (escaped == 0)
			return false;
		at += 1 + escaped;
	}
	*size = (size_t)(out - *value);
	reader->at = end + 1;
	return true;
}

static size_t digits(const char *at, const char *end)
{
	size_t n = 0;

	while (at + n < end && at[n] >= '0' && at[n] <= '9')
		n++;
	return n;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)? */
static bool read_number(struct reader *reader)
{
	const char *at = reader->at, *end = reader->end;
	size_t n;

	at += at < end && *at == '-';
	n = digits(at, end);
	if (n == 0 || (n > 1 && *at == '0'))
		return false;
	at += n;
	if (at < end && *at == '.') {
		n = digits(++at, end);
		if (n == 0)
			return false;
		at += n;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		at += at < end && (*at == '-' || *at == '+');
		n = digits(at, end);
		if (n == 0)
			return false;
		at += n;
	}
	reader->at = at;
	return true;
}

static bool read_atom(struct reader *reader)
{
	static const char *const words[] = {"null", "true", "false"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t size = strlen(words[i]);

		if ((size_t)(reader->end - reader->at) >= size &&
		    memcmp(reader->at, words[i], size) == 0) {
			reader->at += size;
			return true;
		}
	}
	return read_number(reader);
}

static bool read_member(struct reader *reader, bool named, struct amend_json_member *out)
{
	char c = peek(reader);

	*out = (struct amend_json_member){.spelled = reader->at};
	if (named) {
		if (c != '"' || !read_string(reader, &out->name, &out->name_size))
			return false;
		out->spelled_size = (size_t)(reader->at - out->spelled);
		if (peek(reader) != ':')
			return false;
		reader->at++;
	}
	out->node = read_value(reader);
	return out->node != NULL;
}

static int compare(const struct amend_json_member *a, const struct amend_json_member *b)
{
	size_t size = a->name_size < b->name_size ? a->name_size : b->name_size;
	int order = size ? memcmp(a->name, b->name, size) : 0;

	if (order != 0 || a->name_size == b->name_size)
		return order;
	return a->name_size < b->name_size ? -1 : 1;
}

static int compare_places(const void *a, const void *b)
{
	const struct amend_json_member *const *x = a, *const *y = b;

	return compare(*x, *y);
}

static bool sort_members(struct reader *reader, struct amend_json_node *node)
{
	node->sorted = room(reader, node->n, sizeof(struct amend_json_member *));
	if (!node->sorted)
		return false;
	for (size_t i = 0; i < node->n; i++)
		node->sorted[i] = &node->members[i];
	if (node->n)
		qsort(node->sorted, node->n, sizeof(struct amend_json_member *), compare_places);
	for (size_t i = 1; i < node->n; i++) {
		if (compare(node->sorted[i - 1], node->sorted[i]) == 0)
			return false;
	}
	return true;
}

static bool grow(struct reader *reader, struct amend_json_node *node, size_t *has)
{
	size_t more = *has ? *has * 2 : 8;
	struct amend_json_member *members;

	if (node->n < *has)
		return true;
	members = room(reader, more, sizeof(*members));
	if (!members)
		return false;
	if (node->n)
		memcpy(members, node->members, node->n * sizeof(*members));
	node->members = members;
	*has = more;
	return true;
}

/* Behind the opening bracket. */
static bool read_members(struct reader *reader, struct amend_json_node *node)
{
	bool named = node->kind == AMEND_JSON_OBJECT;
	char close = named ? '}' : ']';
	size_t has = 0;

	reader->at++;
	while (peek(reader) != close) {
		if (node->n > 0) {
			if (peek(reader) != ',')
				return false;
			reader->at++;
		}
		if (!grow(reader, node, &has) || !node->members ||
		    !read_member(reader, named, &node->members[node->n]))
			return false;
		node->n++;
	}
	reader->at++;
	return !named || sort_members(reader, node);
}

static struct amend_json_node *read_value(struct reader *reader)
{
	struct amend_json_node *node = room(reader, 1, sizeof(*node));
	bool ok;

	if (!node || ++reader->depth > DEEPEST)
		return NULL;
	switch (peek(reader)) {
	case '{':
		node->kind = AMEND_JSON_OBJECT;
		node->text = reader->at;
		ok = read_members(reader, node);
		break;
	case '[':
		node->kind = AMEND_JSON_ARRAY;
		node->text = reader->at;
		ok = read_members(reader, node);
		break;
	case '"':
		node->kind = AMEND_JSON_STRING;
		node->text = reader->at;
		ok = read_string(reader, &node->value, &node->value_size);
		break;
	default:
		node->kind = AMEND_JSON_ATOM;
		node->text = reader->at;
		ok = read_atom(reader);
		break;
	}
	node->size = (size_t)(reader->at - node->text);
	reader->depth--;
	return ok ? node : NULL;
}

struct amend_json_node *amend_json_tree(const char *text, size_t size, struct amend_arena *arena,
					bool *no_memory)
{
	struct reader reader = {.at = text, .end = text + size, .arena = arena};
	struct amend_json_node *node = read_value(&reader);

	if (node && (peek(&reader) || reader.at != reader.end))
		node = NULL;
	*no_memory = reader.no_memory;
	return node;
}

const struct amend_json_member *amend_json_find(const struct amend_json_node *object,
						const struct amend_json_member *like)
{
	const struct amend_json_member *const *found = NULL;

	if (object->n)
		found = bsearch(&like, object->sorted, object->n,
				sizeof(struct amend_json_member *), compare_places);
	return found ? *found : NULL;
}

static bool same_members(const struct amend_json_node *a, const struct amend_json_node *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct amend_json_member *x = &a->members[i], *y = &b->members[i];

		if (a->kind == AMEND_JSON_OBJECT) {
			x = a->sorted[i];
			y = b->sorted[i];
			if (compare(x, y) != 0)
				return false;
		}
		if (!amend_json_same(x->node, y->node))
			return false;
	}
	return true;
}

bool amend_json_same(const struct amend_json_node *a, const struct amend_json_node *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case AMEND_JSON_ATOM:
		return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
	case AMEND_JSON_STRING:
		return a->value_size == b->value_size &&
		       (a->value_size == 0 || memcmp(a->value, b->value, a->value_size) == 0);
	case AMEND_JSON_ARRAY:
	case AMEND_JSON_OBJECT:
		return same_members(a, b);
	}
	return false;
}

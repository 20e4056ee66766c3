/*
 * Making and comparing values; releasing rows.
 * Leaves SQL's own equality to the databases.
 */
#include <amend/value.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"

struct amend_value amend_null(void)
{
	struct amend_value value = {.kind = AMEND_NULL};

	return value;
}

struct amend_value amend_integer(int64_t integer)
{
	struct amend_value value = {.kind = AMEND_INTEGER, .as.integer = integer};

	return value;
}

struct amend_value amend_real(double real)
{
	struct amend_value value = {.kind = AMEND_REAL, .as.real = real};

	return value;
}

struct amend_value amend_text_n(const char *text, size_t size)
{
	struct amend_value value = {.kind = AMEND_TEXT, .size = size, .as.text = text};

	return value;
}

struct amend_value amend_text(const char *text)
{
	return text ? amend_text_n(text, strlen(text)) : amend_null();
}

struct amend_value amend_blob(const void *blob, size_t size)
{
	struct amend_value value = {.kind = AMEND_BLOB, .size = size, .as.blob = blob};

	return value;
}

static uint64_t bits_of(double real)
{
	uint64_t bits;

	memcpy(&bits, &real, sizeof(bits));
	return bits;
}

bool amend_value_equal(const struct amend_value *a, const struct amend_value *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case AMEND_NULL:
		return true;
	case AMEND_INTEGER:
		return a->as.integer == b->as.integer;
	case AMEND_REAL:
		return bits_of(a->as.real) == bits_of(b->as.real);
	case AMEND_TEXT:
	case AMEND_BLOB:
		return a->size == b->size &&
		       (a->size == 0 || memcmp(a->as.blob, b->as.blob, a->size) == 0);
	}
	return false;
}

bool amend_value_blank(const struct amend_value *value)
{
	if (value->kind == AMEND_NULL)
		return true;
	if (value->kind != AMEND_TEXT)
		return false;
	for (size_t i = 0; i < value->size; i++) {
		if (value->as.text[i] > ' ' || !strchr(" \t\r\n\v\f", value->as.text[i]) ||
		    value->as.text[i] == '\0')
			return false;
	}
	return true;
}

bool amend_value_number(const struct amend_value *value, int64_t *out)
{
	char text[24], *end = NULL;

	if (value->kind == AMEND_INTEGER) {
		*out = value->as.integer;
		return true;
	}
	if (value->kind != AMEND_TEXT || value->size == 0 || value->size >= sizeof(text))
		return false;
	memcpy(text, value->as.text, value->size);
	text[value->size] = '\0';
	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno == 0 && end == text + value->size;
}

bool amend_value_no_number(const struct amend_value *value)
{
	const char *text = value->as.text;

	for (size_t i = 0; value->kind == AMEND_TEXT && i < value->size; i++) {
		bool sign = text[i] == '-' || text[i] == '+';

		if (sign && i > 0 && text[i - 1] >= '0' && text[i - 1] <= '9')
			return true;
		if (!sign && !(text[i] >= '0' && text[i] <= '9') &&
		    (text[i] == '\0' || !strchr(".eE \t\n\v\f\r", text[i])))
			return true;
	}
	return false;
}

/* 16: it is none. */
static unsigned hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A' + 10);
	return 16;
}

bool amend_value_bytes(const struct amend_value *value, struct amend_arena *arena,
		       struct amend_value *out)
{
	size_t size = value->size / 2;
	unsigned char *bytes;
	unsigned wrong = 0;

	if (value->kind == AMEND_BLOB)
		return amend_arena_value(arena, value, out);
	if (value->kind != AMEND_TEXT || value->size % 2 || value->size < 2 ||
	    memcmp(value->as.text, "\\x", 2) != 0)
		return false;
	bytes = amend_arena_alloc(arena, size);
	if (!bytes)
		return false;
	for (size_t i = 1; i < size; i++) {
		unsigned high = hex_digit(value->as.text[i * 2]);
		unsigned low = hex_digit(value->as.text[i * 2 + 1]);

		wrong |= high | low;
		bytes[i - 1] = (unsigned char)(high << 4 | low);
	}
	*out = amend_blob(bytes, size - 1);
	return !(wrong & 16);
}

void amend_real_text(char text[AMEND_REAL_TEXT], double real)
{
	char *point, *tail;

	if (isnan(real) || isinf(real)) {
		snprintf(text, AMEND_REAL_TEXT, "%s",
			 isnan(real) ? "NaN"
			 : real < 0  ? "-Infinity"
				     : "Infinity");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		double back;

		snprintf(text, AMEND_REAL_TEXT, "%.*g", digits, real);
		back = strtod(text, NULL);
		if (back == real)
			break;
	}
	/* The application's locale may print a comma, or more than one byte. */
	point = text + strspn(text, "0123456789+-");
	tail = point + strcspn(point, "0123456789e");
	if (tail > point) {
		*point = '.';
		memmove(point + 1, tail, strlen(tail) + 1);
	}
}

struct amend_rows_owner *amend_rows_owner_new(void)
{
	return calloc(1, sizeof(struct amend_rows_owner));
}

void amend_rows_release(struct amend_rows *rows)
{
	struct amend_rows_owner *owner = rows->owner;

	if (owner) {
		if (owner->release)
			owner->release(owner->extra);
		amend_arena_release(&owner->arena);
		free(owner);
	}
	*rows = (struct amend_rows)AMEND_ROWS_INIT;
}

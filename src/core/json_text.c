/*
 * JSON text of values, canonical.
 * Leaves reading JSON to json-c.
 */
#include "core/json_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool amend_utf8_valid(const char *text, size_t size)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + size;

	while (at < end) {
		unsigned char lead, low = 0x80, high = 0xbf;
		uint64_t eight;
		int more;

		/* ASCII, eight at a time. */
		while (end - at >= 8) {
			memcpy(&eight, at, 8);
			if (eight & 0x8080808080808080u)
				break;
			at += 8;
		}
		if (at == end)
			break;
		lead = *at++;
		if (lead < 0x80)
			continue;
		if (lead >= 0xc2 && lead <= 0xdf)
			more = 1;
		else if (lead >= 0xe0 && lead <= 0xef)
			more = 2;
		else if (lead >= 0xf0 && lead <= 0xf4)
			more = 3;
		else
			return false;
		/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF */
		if (lead == 0xe0)
			low = 0xa0;
		else if (lead == 0xed)
			high = 0x9f;
		else if (lead == 0xf0)
			low = 0x90;
		else if (lead == 0xf4)
			high = 0x8f;
		for (; more > 0; more--, low = 0x80, high = 0xbf) {
			if (at == end || *at < low || *at > high)
				return false;
			at++;
		}
	}
	return true;
}

/* A control character, a quote or a backslash in eight bytes; a byte behind one may seem to be one too. */
static bool has_escapes(const char *bytes)
{
	const uint64_t each = 0x0101010101010101u, top = 0x8080808080808080u;
	uint64_t eight, quote, slash;

	memcpy(&eight, bytes, sizeof(eight));
	quote = eight ^ each * '"';
	slash = eight ^ each * '\\';
	return (((eight - each * ' ') & ~eight) | ((quote - each) & ~quote) |
		((slash - each) & ~slash)) &
	       top;
}

/* How many bytes at the beginning certainly stand for themselves. */
static size_t plain_size(const char *text, size_t size)
{
	size_t i = 0;

	while (size - i >= 8 && !has_escapes(text + i))
		i += 8;
	/* The last eight again rather than each of the rest. */
	return size >= 8 && size - i < 8 && !has_escapes(text + size - 8) ? size : i;
}

void amend_json_string(struct amend_buffer *buffer, const char *text, size_t size)
{
	size_t start = 0;

	if (!amend_buffer_reserve(buffer, size + 2))
		return;
	amend_buffer_char(buffer, '"');
	for (size_t i = plain_size(text, size); i < size; i++) {
		unsigned char c = (unsigned char)text[i];
		const char *escape = NULL;

		if (c >= ' ' && c != '"' && c != '\\')
			continue;
		amend_buffer_add(buffer, text + start, i - start);
		start = i + 1;
		switch (c) {
		case '"':
			escape = "\\\"";
			break;
		case '\\':
			escape = "\\\\";
			break;
		case '\b':
			escape = "\\b";
			break;
		case '\f':
			escape = "\\f";
			break;
		case '\n':
			escape = "\\n";
			break;
		case '\r':
			escape = "\\r";
			break;
		case '\t':
			escape = "\\t";
			break;
		default:
			amend_buffer_printf(buffer, "\\u%04x", c);
			continue;
		}
		amend_buffer_text(buffer, escape);
	}
	amend_buffer_add(buffer, text + start, size - start);
	amend_buffer_char(buffer, '"');
}

/* Printable ASCII that stands for itself: most texts by far, and nothing is to be found out about them any more. */
static bool is_plain(const char *text, size_t size)
{
	const uint64_t top = 0x8080808080808080u;
	uint64_t eight, seen = 0;

	for (size_t i = 0; i + 8 <= size; i += 8) {
		memcpy(&eight, text + i, sizeof(eight));
		seen |= eight;
		if (has_escapes(text + i))
			return false;
	}
	if (size >= 8) {
		memcpy(&eight, text + size - 8, sizeof(eight));
		return ((seen | eight) & top) == 0 && !has_escapes(text + size - 8);
	}
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < ' ' || c >= 0x80 || c == '"' || c == '\\')
			return false;
	}
	return true;
}

static void add_plain(struct amend_buffer *buffer, const char *text, size_t size)
{
	char *at;

	if (!amend_buffer_reserve(buffer, size + 2))
		return;
	at = buffer->data + buffer->size;
	*at++ = '"';
	if (size > 0)
		memcpy(at, text, size);
	at += size;
	*at++ = '"';
	*at = '\0';
	buffer->size += size + 2;
}

static void add_hex(struct amend_buffer *buffer, const char *name, const void *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *at = bytes;

	amend_buffer_printf(buffer, "{\"%s\":\"", name);
	for (size_t i = 0; i < size; i++) {
		amend_buffer_char(buffer, digits[at[i] >> 4]);
		amend_buffer_char(buffer, digits[at[i] & 15]);
	}
	amend_buffer_text(buffer, "\"}");
}

static void add_real(struct amend_buffer *buffer, double real)
{
	char text[40];

	if (isnan(real) || isinf(real)) {
		amend_buffer_printf(buffer, "{\"real\":\"%s\"}",
				    isnan(real)  ? "NaN"
				    : real > 0.0 ? "Infinity"
						 : "-Infinity");
		return;
	}
	snprintf(text, sizeof(text), "%.17g", real);
	/* The application's locale may have another decimal sign. */
	for (char *at = text; *at; at++) {
		if (!strchr("0123456789+-e", *at))
			*at = '.';
	}
	amend_buffer_text(buffer, text);
	if (!strpbrk(text, ".e"))
		amend_buffer_text(buffer, ".0");
}

/* -?(0|[1-9][0-9]*), and short enough to be a 64-bit number. */
static bool is_bare_integer(const char *text, size_t size)
{
	size_t at = size > 0 && text[0] == '-';

	if (size == at || size > 20 || (text[at] == '0' && size > 1))
		return false;
	for (; at < size; at++) {
		if (text[at] < '0' || text[at] > '9')
			return false;
	}
	return true;
}

static void add_text(struct amend_buffer *buffer, const char *text, size_t size,
		     enum amend_class class_)
{
	if (class_ == AMEND_CLASS_INTEGER && is_bare_integer(text, size))
		amend_buffer_add(buffer, text, size);
	else if (class_ == AMEND_CLASS_BOOLEAN && size == 1 && (*text == 't' || *text == 'f'))
		amend_buffer_text(buffer, *text == 't' ? "true" : "false");
	else if (is_plain(text, size))
		add_plain(buffer, text, size);
	else if (memchr(text, '\0', size) || !amend_utf8_valid(text, size))
		add_hex(buffer, "text", text, size);
	else
		amend_json_string(buffer, text, size);
}

void amend_json_value(struct amend_buffer *buffer, const struct amend_value *value,
		      enum amend_class class_)
{
	switch (value->kind) {
	case AMEND_NULL:
		amend_buffer_text(buffer, "null");
		break;
	case AMEND_INTEGER:
		amend_buffer_integer(buffer, value->as.integer);
		break;
	case AMEND_REAL:
		add_real(buffer, value->as.real);
		break;
	case AMEND_TEXT:
		add_text(buffer, value->size ? value->as.text : "", value->size, class_);
		break;
	case AMEND_BLOB:
		add_hex(buffer, "blob", value->as.blob, value->size);
		break;
	}
}

/*
 * JSON, strictly, in place.
 * Leaves which values are records to source_json.c.
 */
#include "sync/json.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"

#define EACH_BYTE (~UINT64_C(0) / 255)
#define TOP_BITS (EACH_BYTE * 0x80)

static uint64_t zeros(uint64_t word)
{
	return (word - EACH_BYTE) & ~word & TOP_BITS;
}

/* The next quote or backslash (`control`: or control character) from `at` on; `end` when there is none before. */
static size_t find_in_string(char *text, size_t at, size_t end, bool control, uint64_t *seen)
{
	const uint64_t controls = control ? EACH_BYTE * ' ' : 0;
	char behind = text[end];

	text[end] = '"';
	for (;; at += 8) {
		uint64_t word, hits;

		memcpy(&word, text + at, sizeof(word));
		word = le64toh(word);
		hits = zeros(word ^ EACH_BYTE * '"') | zeros(word ^ EACH_BYTE * '\\') |
		       ((word - controls) & ~word & TOP_BITS);
		*seen |= word;
		if (hits) {
			text[end] = behind;
			return at + (size_t)__builtin_ctzll(hits) / 8;
		}
	}
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool skip_string(struct amend_json_skip *skip, char *text, size_t size)
{
	uint64_t seen = 0;

	while (skip->at < size) {
		if (skip->escape) {
			skip->escape = false;
			skip->at++;
			continue;
		}
		skip->at = find_in_string(text, skip->at, size, false, &seen);
		if (skip->at == size)
			return false;
		if (text[skip->at++] == '"') {
			skip->string = false;
			return true;
		}
		skip->escape = true;
	}
	return false;
}

bool amend_json_skip(struct amend_json_skip *skip, char *text, size_t size)
{
	while (skip->at < size) {
		char c = text[skip->at];

		if (skip->string) {
			if (!skip_string(skip, text, size))
				return false;
			if (skip->depth == 0)
				return true;
			continue;
		}
		if (skip->scalar) {
			if (is_space(c) || c == ',' || c == ']' || c == '}')
				return true;
		} else if (c == '"') {
			skip->string = true;
		} else if (c == '{' || c == '[') {
			skip->depth++;
		} else if ((c == '}' || c == ']') && skip->depth > 0) {
			skip->depth--;
			if (skip->depth == 0) {
				skip->at++;
				return true;
			}
		} else if (skip->depth == 0) {
			skip->scalar = true;
		}
		skip->at++;
	}
	return false;
}

int64_t amend_json_column(const struct amend_json *json)
{
	return (int64_t)(json->at - json->line_at) + 1;
}

char amend_json_space(struct amend_json *json)
{
	while (json->at < json->end && is_space(json->text[json->at])) {
		if (json->text[json->at++] == '\n') {
			json->line++;
			json->line_at = json->at;
		}
	}
	return json->at < json->end ? json->text[json->at] : '\0';
}

static bool begins_with(const struct amend_json *json, const char *text)
{
	size_t size = strlen(text);

	return json->end - json->at >= size && memcmp(json->text + json->at, text, size) == 0;
}

static const char *const words[] = {"true", "false", "null"};

const char *amend_json_found(struct amend_json *json, char room[16])
{
	unsigned char c;

	if (json->at >= json->end)
		return "the end";
	c = (unsigned char)json->text[json->at];
	switch (c) {
	case '{':
		return "an object";
	case '[':
		return "an array";
	case '"':
		return "a string";
	default:
		break;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (begins_with(json, words[i]))
			return words[i];
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		return "a number";
	snprintf(room, 16, c > ' ' && c < 0x7f ? "'%c'" : "byte 0x%02x", c);
	return room;
}

bool amend_json_expected(struct amend_json *json, const char *what)
{
	char room[16];

	snprintf(json->problem, sizeof(json->problem), "expected %s, found %s", what,
		 amend_json_found(json, room));
	return false;
}

static const char not_utf8[] = "is not UTF-8";

/* --- strings ------------------------------------------------------------ */

static bool read_hex(struct amend_json *json, size_t at, unsigned *out)
{
	*out = 0;
	for (size_t i = at; i < at + 4; i++) {
		char c = i < json->end ? json->text[i] : '\0';
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0) {
			json->at = i;
			return amend_json_expected(json, "four hexadecimal digits behind \\u");
		}
		*out = *out * 16 + (unsigned)digit;
	}
	return true;
}

static size_t put_utf8(char *to, unsigned point)
{
	if (point < 0x80) {
		to[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		to[0] = (char)(0xc0 | point >> 6);
		to[1] = (char)(0x80 | (point & 63));
		return 2;
	}
	if (point < 0x10000) {
		to[0] = (char)(0xe0 | point >> 12);
		to[1] = (char)(0x80 | (point >> 6 & 63));
		to[2] = (char)(0x80 | (point & 63));
		return 3;
	}
	to[0] = (char)(0xf0 | point >> 18);
	to[1] = (char)(0x80 | (point >> 12 & 63));
	to[2] = (char)(0x80 | (point >> 6 & 63));
	to[3] = (char)(0x80 | (point & 63));
	return 4;
}

/* \uXXXX, and its second half; `at` is behind the u. What it stands for is shorter than it. */
static bool read_unicode(struct amend_json *json, char out[4], size_t *size, const char **flaw)
{
	unsigned point, low;

	if (!read_hex(json, json->at, &point))
		return false;
	json->at += 4;
	if (point >= 0xd800 && point <= 0xdbff && json->at + 1 < json->end &&
	    json->text[json->at] == '\\' && json->text[json->at + 1] == 'u') {
		if (!read_hex(json, json->at + 2, &low))
			return false;
		if (low >= 0xdc00 && low <= 0xdfff) {
			json->at += 6;
			point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	if (point >= 0xd800 && point <= 0xdfff) {
		*flaw = "holds half of a surrogate pair";
		point = 0xfffd;
	} else if (point == 0) {
		*flaw = "holds the character NUL";
	}
	*size = put_utf8(out, point);
	return true;
}

static bool read_escape(struct amend_json *json, char out[4], size_t *size, const char **flaw)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = ++json->at < json->end ? json->text[json->at] : '\0';
	const char *found = c ? strchr(from, c) : NULL;

	if (c == 'u') {
		json->at++;
		return read_unicode(json, out, size, flaw);
	}
	if (!found)
		return amend_json_expected(json, "one of \"\\/bfnrtu behind a backslash");
	out[0] = to[found - from];
	*size = 1;
	json->at++;
	return true;
}

/*
 * `*end`: where the text ends that begins behind the opening quote. Not `decode`:
 * escapes are checked and stay as they are, nothing is written.
 */
static bool read_string(struct amend_json *json, bool decode, size_t *end, const char **flaw)
{
	size_t begin = ++json->at, out = begin;
	uint64_t seen = 0;

	for (;;) {
		size_t run = json->at, size;
		char c, decoded[4];

		json->at = find_in_string(json->text, run, json->end, true, &seen);
		if (decode && out != run)
			memmove(json->text + out, json->text + run, json->at - run);
		out += json->at - run;
		if (json->at == json->end)
			return amend_json_expected(json, "the string's closing quote");
		c = json->text[json->at];
		if (c == '"')
			break;
		if (c != '\\')
			return amend_json_expected(json, "control characters to be escaped");
		run = json->at;
		if (!read_escape(json, decoded, &size, flaw))
			return false;
		if (decode)
			memcpy(json->text + out, decoded, size);
		out += decode ? size : json->at - run;
	}
	json->at++;
	*end = out;
	if ((seen & TOP_BITS) != 0 && !amend_utf8_valid(json->text + begin, out - begin))
		*flaw = not_utf8;
	return true;
}

bool amend_json_string_read(struct amend_json *json, const char **text, size_t *size,
			    const char **flaw)
{
	size_t begin = json->at + 1, end;

	*flaw = NULL;
	if (!read_string(json, true, &end, flaw))
		return false;
	*text = json->text + begin;
	*size = end - begin;
	return true;
}

/* --- other values ------------------------------------------------------- */

static bool is_digit(const struct amend_json *json)
{
	return json->at < json->end && json->text[json->at] >= '0' && json->text[json->at] <= '9';
}

static bool digits(struct amend_json *json)
{
	if (!is_digit(json))
		return amend_json_expected(json, "a digit");
	while (is_digit(json))
		json->at++;
	return true;
}

static bool number(struct amend_json *json)
{
	if (json->text[json->at] == '-')
		json->at++;
	if (is_digit(json) && json->text[json->at] == '0') {
		json->at++;
		if (is_digit(json))
			return amend_json_expected(json, "no digit behind a leading 0");
	} else if (!digits(json)) {
		return false;
	}
	if (json->at < json->end && json->text[json->at] == '.') {
		json->at++;
		if (!digits(json))
			return false;
	}
	if (json->at < json->end && (json->text[json->at] == 'e' || json->text[json->at] == 'E')) {
		json->at++;
		if (json->at < json->end &&
		    (json->text[json->at] == '+' || json->text[json->at] == '-'))
			json->at++;
		return digits(json);
	}
	return true;
}

/* A number, true, false, null. */
static bool scalar(struct amend_json *json)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (begins_with(json, words[i])) {
			json->at += strlen(words[i]);
			return true;
		}
	}
	if (is_digit(json) || (json->at < json->end && json->text[json->at] == '-'))
		return number(json);
	return amend_json_expected(json, "a value");
}

/* A text being read and written again, without white space, in the same place. */
struct nested {
	struct amend_json *json;
	size_t out;
	unsigned depth;
	unsigned char is_object[AMEND_JSON_DEPTH / 8]; /* bit by depth */
	const char *flaw;
};

static void copy(struct nested *nested, size_t from, size_t to)
{
	char *text = nested->json->text;

	if (nested->out != from)
		memmove(text + nested->out, text + from, to - from);
	nested->out += to - from;
}

static void copy_byte(struct nested *nested)
{
	nested->json->text[nested->out++] = nested->json->text[nested->json->at++];
}

static bool in_object(const struct nested *nested)
{
	unsigned at = nested->depth - 1;

	return (nested->is_object[at / 8] >> at % 8 & 1) != 0;
}

static bool nested_string(struct nested *nested)
{
	size_t from = nested->json->at, end;
	const char *ignored = NULL;

	if (!read_string(nested->json, false, &end, &ignored))
		return false;
	copy(nested, from, nested->json->at);
	/* Escapes stay escapes: whether what they stand for is wanted is the column's to say. */
	if (ignored == not_utf8)
		nested->flaw = not_utf8;
	return true;
}

/* "name": in front of a member's value */
static bool nested_name(struct nested *nested)
{
	if (amend_json_space(nested->json) != '"')
		return amend_json_expected(nested->json, "a member's name");
	if (!nested_string(nested))
		return false;
	if (amend_json_space(nested->json) != ':')
		return amend_json_expected(nested->json, "':'");
	copy_byte(nested);
	return true;
}

/* Opens what begins here; `*closed`: it was empty, and is closed already. */
static bool nested_open(struct nested *nested, bool *closed)
{
	struct amend_json *json = nested->json;
	bool object = json->text[json->at] == '{';
	unsigned at = nested->depth++;

	*closed = false;
	nested->is_object[at / 8] &= (unsigned char)~(1u << at % 8);
	nested->is_object[at / 8] |= (unsigned char)(object << at % 8);
	copy_byte(nested);
	if (amend_json_space(json) == (object ? '}' : ']')) {
		copy_byte(nested);
		nested->depth--;
		*closed = true;
		return true;
	}
	return !object || nested_name(nested);
}

/* Behind a value: closes what ends here, and goes on to the next value of what does not. */
static bool nested_close(struct nested *nested)
{
	while (nested->depth > 0) {
		bool object = in_object(nested);
		char c = amend_json_space(nested->json);

		if (c == ',') {
			copy_byte(nested);
			return !object || nested_name(nested);
		}
		if (c != (object ? '}' : ']'))
			return amend_json_expected(nested->json,
						   object ? "',' or '}'" : "',' or ']'");
		copy_byte(nested);
		nested->depth--;
	}
	return true;
}

/* Too deep to be checked: to where it ends by its brackets. */
static bool skip_rest(struct nested *nested)
{
	struct amend_json *json = nested->json;
	struct amend_json_skip skip = {.depth = nested->depth};
	bool ends = amend_json_skip(&skip, json->text + json->at, json->end - json->at);

	json->at += skip.at;
	return ends || amend_json_expected(json, "a closing bracket");
}

static bool nested_value(struct nested *nested)
{
	struct amend_json *json = nested->json;

	do {
		char c = amend_json_space(json);
		size_t from = json->at;
		bool closed;

		if (c == '{' || c == '[') {
			if (nested->depth == AMEND_JSON_DEPTH) {
				nested->flaw = "is nested deeper than 512";
				return skip_rest(nested);
			}
			if (!nested_open(nested, &closed))
				return false;
			if (!closed)
				continue;
		} else if (c == '"') {
			if (!nested_string(nested))
				return false;
		} else {
			if (!scalar(json))
				return false;
			copy(nested, from, json->at);
		}
		if (!nested_close(nested))
			return false;
	} while (nested->depth > 0);
	return true;
}

bool amend_json_value_read(struct amend_json *json, struct amend_value *out, const char **flaw)
{
	char c = amend_json_space(json);
	size_t from = json->at, size;
	const char *text;

	*flaw = NULL;
	*out = amend_null();
	if (c == '"') {
		if (!amend_json_string_read(json, &text, &size, flaw))
			return false;
		*out = amend_text_n(text, size);
		return true;
	}
	if (c == '{' || c == '[') {
		struct nested nested = {.json = json, .out = from};

		if (!nested_value(&nested))
			return false;
		*flaw = nested.flaw;
		*out = amend_text_n(json->text + from, nested.out - from);
		return true;
	}
	if (!scalar(json))
		return false;
	if (c != 'n')
		*out = amend_text_n(json->text + from, json->at - from);
	return true;
}

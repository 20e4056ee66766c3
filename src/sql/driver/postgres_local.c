/*
 * Canonical forms that are known without asking the server: those of the
 * common spellings of the common types. Everything here, and in postgres_asis.c,
 * is held against the server by a randomised test (tests/driver/postgres_canon_test.c).
 * Leaves every other spelling, and every other type, to postgres_canon.c.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/driver/postgres.h"

enum { SHOWN = 60, LONGEST_NUMBER = 1000 };

static const char spaces[] = " \t\n\v\f\r";

static enum amend_postgres_local done(struct amend_canon *item, const char *text)
{
	if (!text)
		return AMEND_LOCAL_NO_MEMORY;
	item->out = amend_text(text);
	return AMEND_LOCAL_DONE;
}

static enum amend_postgres_local problem(struct amend_canon *item, const char *text)
{
	if (!text)
		return AMEND_LOCAL_NO_MEMORY;
	item->problem = text;
	return AMEND_LOCAL_PROBLEM;
}

static enum amend_postgres_local unexpected(struct amend_canon *item, const char *expected,
					    const char *text, struct amend_arena *arena)
{
	size_t size = strlen(text);
	bool cut = size > SHOWN;

	for (size = cut ? SHOWN : size;
	     cut && size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80;)
		size--;
	return problem(item, amend_arena_printf(arena, "expected %s, found \"%.*s%s\"", expected,
						(int)size, text, cut ? "..." : ""));
}

/* --- text --------------------------------------------------------------- */

/* varchar(n) and char(n) drop blanks that are too many, and refuse all else that is; char(n) is filled up. */
static enum amend_postgres_local local_text(struct amend_canon *item, const char *text,
					    struct amend_arena *arena)
{
	bool fixed = item->column->type_id == AMEND_PG_BPCHAR;
	size_t size = strlen(text), count, after, limit = SIZE_MAX;
	long modifiers[2];
	char *padded;

	if (item->column->type_id != AMEND_PG_TEXT &&
	    amend_postgres_modifiers(item->column->type, modifiers) == 1)
		limit = (size_t)modifiers[0];
	if (!amend_postgres_count(text, size, limit, &count, &after))
		return unexpected(item, "UTF-8", text, arena);
	if (count > limit) {
		if (strspn(text + after, " ") < size - after)
			return problem(item, amend_arena_printf(arena,
								"expected at most %zu characters, "
								"found %zu",
								limit, count));
		return done(item, amend_arena_text_n(arena, text, after));
	}
	if (!fixed || limit == SIZE_MAX || count == limit)
		return done(item, text);
	padded = amend_arena_alloc(arena, size + limit - count + 1);
	if (!padded)
		return AMEND_LOCAL_NO_MEMORY;
	memcpy(padded, text, size + 1);
	memset(padded + size, ' ', limit - count);
	return done(item, padded);
}

/* --- numbers ------------------------------------------------------------ */

static enum amend_postgres_local local_integer(struct amend_canon *item, const char *text,
					       struct amend_arena *arena)
{
	const char *from = text + strspn(text, spaces), *digits = from + strspn(from, "+-");
	size_t size = strspn(digits, "0123456789");
	const char *rest = digits + size + strspn(digits + size, spaces);
	bool negative = *from == '-', plain;
	uint64_t value = 0, most = INT64_MAX;
	const char *name = "bigint";

	if (digits - from > 1 || size == 0)
		return unexpected(item, "integer", text, arena);
	if (*rest) /* from version 16 on 0x1f and 1_000 are integers too */
		return strchr("xXoObB_", *rest) ? AMEND_LOCAL_ASK
						: unexpected(item, "integer", text, arena);
	if (item->column->type_id == AMEND_PG_OID)
		return AMEND_LOCAL_ASK;
	if (item->column->type_id == AMEND_PG_INT2) {
		most = INT16_MAX;
		name = "smallint";
	} else if (item->column->type_id == AMEND_PG_INT4) {
		most = INT32_MAX;
		name = "integer";
	}
	plain = from == text && *from != '+' && digits[size] == '\0' &&
		(*digits != '0' || (size == 1 && !negative));
	while (size > 1 && *digits == '0')
		digits++, size--;
	most += negative;
	for (size_t i = 0; i < size; i++) {
		unsigned digit = (unsigned)(digits[i] - '0');

		if (value > (most - digit) / 10)
			return problem(item,
				       amend_arena_printf(arena, "%.*s%s is out of the range of %s",
							  (int)(size < SHOWN ? size : SHOWN) +
								  (int)(digits - from),
							  from, size < SHOWN ? "" : "...", name));
		value = value * 10 + digit;
	}
	if (plain)
		return done(item, text);
	return done(item, amend_arena_printf(arena, "%s%.*s", negative && value ? "-" : "",
					     (int)size, digits));
}

/* [+-]digits[.digits], without leading zeros. */
struct decimal {
	bool negative, zero;
	const char *whole, *fraction;
	size_t n_whole, n_fraction;
};

static bool read_decimal(const char *text, struct decimal *out)
{
	const char *at = text + (*text == '+' || *text == '-');

	out->negative = *text == '-';
	out->whole = at;
	out->n_whole = strspn(at, "0123456789");
	at += out->n_whole;
	out->fraction = at + (*at == '.');
	out->n_fraction = *at == '.' ? strspn(at + 1, "0123456789") : 0;
	if (out->fraction[out->n_fraction] || out->n_whole + out->n_fraction == 0 ||
	    out->n_whole + out->n_fraction > LONGEST_NUMBER)
		return false;
	while (out->n_whole > 0 && *out->whole == '0')
		out->whole++, out->n_whole--;
	out->zero = out->n_whole == 0 && strspn(out->fraction, "0") >= out->n_fraction;
	return true;
}

static size_t without_zeros(const char *fraction, size_t size)
{
	while (size > 0 && fraction[size - 1] == '0')
		size--;
	return size;
}

static enum amend_postgres_local local_numeric(struct amend_canon *item, const char *text,
					       struct amend_arena *arena)
{
	struct decimal number;
	long modifiers[2] = {0, 0};
	size_t scale;
	char *out, *to;

	if (!read_decimal(text, &number))
		return AMEND_LOCAL_ASK;
	scale = number.n_fraction;
	if (amend_postgres_modifiers(item->column->type, modifiers) > 0) {
		if (modifiers[1] < 0 || modifiers[1] > modifiers[0] ||
		    number.n_whole > (size_t)(modifiers[0] - modifiers[1]) ||
		    without_zeros(number.fraction, number.n_fraction) > (size_t)modifiers[1])
			return AMEND_LOCAL_ASK; /* rounds, or does not fit */
		scale = (size_t)modifiers[1];
	}
	to = out = amend_arena_alloc(arena, number.n_whole + scale + 4);
	if (!out)
		return AMEND_LOCAL_NO_MEMORY;
	if (number.negative && !number.zero)
		*to++ = '-';
	if (number.n_whole == 0)
		*to++ = '0';
	memcpy(to, number.whole, number.n_whole);
	to += number.n_whole;
	if (scale > 0)
		*to++ = '.';
	for (size_t i = 0; i < scale; i++)
		*to++ = i < number.n_fraction ? number.fraction[i] : '0';
	return done(item, out);
}

/*
 * A decimal of at most 15 digits (6 for real) comes back from the nearest
 * double as it went in, so it is the shortest text for it; between 1e-4 and
 * 1e15 (1e6) PostgreSQL prints it without exponent.
 */
static enum amend_postgres_local local_float(struct amend_canon *item, const char *text,
					     struct amend_arena *arena)
{
	size_t most = item->column->type_id == AMEND_PG_FLOAT4 ? 6 : 15;
	struct decimal number;
	size_t small;

	if (!read_decimal(text, &number))
		return AMEND_LOCAL_ASK;
	number.n_fraction = without_zeros(number.fraction, number.n_fraction);
	small = number.n_whole ? 0 : strspn(number.fraction, "0");
	if (number.n_whole + number.n_fraction > most || (!number.zero && small > 3))
		return AMEND_LOCAL_ASK;
	return done(item, amend_arena_printf(arena, "%s%.*s%s%s%.*s", number.negative ? "-" : "",
					     (int)number.n_whole, number.whole,
					     number.n_whole ? "" : "0", number.n_fraction ? "." : "",
					     (int)number.n_fraction, number.fraction));
}

/* --- others ------------------------------------------------------------- */

static enum amend_postgres_local local_boolean(struct amend_canon *item, const char *text,
					       struct amend_arena *arena)
{
	static const struct {
		const char *word;
		size_t least; /* letters that must be there: "o" alone is neither on nor off */
		const char *value;
	} words[] = {
		{"true", 1, "t"}, {"false", 1, "f"}, {"yes", 1, "t"}, {"no", 1, "f"},
		{"on", 2, "t"},   {"off", 2, "f"},   {"1", 1, "t"},   {"0", 1, "f"},
	};
	const char *from = text + strspn(text, spaces);
	size_t size = strcspn(from, spaces);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (size >= words[i].least && size <= strlen(words[i].word) &&
		    strncasecmp(from, words[i].word, size) == 0 &&
		    from[size + strspn(from + size, spaces)] == '\0')
			return done(item, words[i].value);
	}
	return unexpected(item, "boolean", text, arena);
}

static char *lower_hex(struct amend_arena *arena, const char *text, size_t size)
{
	char *out = amend_arena_text_n(arena, text, size);

	for (char *c = out; c && *c; c++) {
		if (*c >= 'A' && *c <= 'F')
			*c = (char)(*c + 32);
	}
	return out;
}

static enum amend_postgres_local local_uuid(struct amend_canon *item, const char *text,
					    struct amend_arena *arena)
{
	char *out;

	if (strlen(text) != 36)
		return AMEND_LOCAL_ASK;
	for (size_t i = 0; i < 36; i++) {
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

		if (hyphen ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
			return AMEND_LOCAL_ASK;
	}
	out = lower_hex(arena, text, 36);
	return done(item, out);
}

static enum amend_postgres_local local_bytes(struct amend_canon *item, const char *text,
					     struct amend_arena *arena)
{
	size_t size = strlen(text);

	if (strncmp(text, "\\x", 2) != 0 || size % 2 != 0 ||
	    strspn(text + 2, "0123456789abcdefABCDEF") < size - 2)
		return AMEND_LOCAL_ASK;
	return done(item, lower_hex(arena, text, size));
}

/* HH:MM:SS[.ffffff]; its canonical size, without the fraction's closing zeros, and its size as given. */
static bool is_time(const char *text, size_t precision, size_t *canonical, size_t *given)
{
	size_t fraction = 0;

	if (!amend_postgres_two_digits(text, 0, 24) || text[2] != ':' ||
	    !amend_postgres_two_digits(text + 3, 0, 60) || text[5] != ':' ||
	    !amend_postgres_two_digits(text + 6, 0, 60))
		return false;
	*canonical = *given = 8;
	if (text[8] != '.')
		return true;
	fraction = strspn(text + 9, "0123456789");
	*given = 9 + fraction;
	fraction = without_zeros(text + 9, fraction);
	*canonical = fraction ? 9 + fraction : 8;
	return *given > 9 && fraction <= precision;
}

static enum amend_postgres_local local_time(struct amend_canon *item, const char *text,
					    struct amend_arena *arena)
{
	uint32_t type = item->column->type_id;
	const char *zone = type == AMEND_PG_TIMESTAMPTZ ? "+00" : "";
	const char *clock = type == AMEND_PG_TIME ? text : text + 11, *rest;
	size_t canonical, given, precision;
	long modifiers[2];

	if (type != AMEND_PG_TIME && (strlen(text) < 10 || !amend_postgres_is_date(text)))
		return AMEND_LOCAL_ASK;
	if (type == AMEND_PG_DATE)
		return text[10] ? AMEND_LOCAL_ASK : done(item, text);
	if (type != AMEND_PG_TIME && text[10] != ' ' && text[10] != 'T')
		return AMEND_LOCAL_ASK;
	precision = amend_postgres_modifiers(item->column->type, modifiers) ? (size_t)modifiers[0]
									    : 6;
	if (!is_time(clock, precision, &canonical, &given))
		return AMEND_LOCAL_ASK;
	rest = clock + given;
	if (type == AMEND_PG_TIMESTAMPTZ &&
	    (strcmp(rest, "Z") == 0 || strcmp(rest, "+00") == 0 || strcmp(rest, "+00:00") == 0))
		rest = "";
	if (*rest)
		return AMEND_LOCAL_ASK;
	if (type == AMEND_PG_TIME)
		return done(item, amend_arena_text_n(arena, text, canonical));
	return done(item,
		    amend_arena_printf(arena, "%.10s %.*s%s", text, (int)canonical, clock, zone));
}

enum amend_postgres_local amend_postgres_local(bool utf8, struct amend_canon *item,
					       const char *text, struct amend_arena *arena)
{
	switch (item->column->type_id) {
	case AMEND_PG_TEXT:
	case AMEND_PG_VARCHAR:
	case AMEND_PG_BPCHAR:
		return utf8 ? local_text(item, text, arena) : AMEND_LOCAL_ASK;
	case AMEND_PG_INT2:
	case AMEND_PG_INT4:
	case AMEND_PG_INT8:
	case AMEND_PG_OID:
		return local_integer(item, text, arena);
	case AMEND_PG_NUMERIC:
		return local_numeric(item, text, arena);
	case AMEND_PG_FLOAT4:
	case AMEND_PG_FLOAT8:
		return local_float(item, text, arena);
	case AMEND_PG_BOOL:
		return local_boolean(item, text, arena);
	case AMEND_PG_UUID:
		return local_uuid(item, text, arena);
	case AMEND_PG_BYTEA:
		return local_bytes(item, text, arena);
	case AMEND_PG_DATE:
	case AMEND_PG_TIME:
	case AMEND_PG_TIMESTAMP:
	case AMEND_PG_TIMESTAMPTZ:
		return local_time(item, text, arena);
	default:
		return AMEND_LOCAL_ASK;
	}
}

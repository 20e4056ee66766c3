/*
 * Canonical forms that need no server: whole numbers, decimals, reals, text, bytes, dates.
 * Leaves every other type, and all that is not plain, to mariadb_canon.c, which asks.
 */
#include "sql/driver/mariadb_local.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"
#include "sql/driver/mariadb.h"

enum { LONGEST_SHOWN = 60 };

static enum amend_mariadb_local wrong(struct amend_canon *item, struct amend_arena *arena,
				      const char *expected, const char *text)
{
	size_t size = strlen(text);

	item->problem = amend_arena_printf(arena, "expected %s, found \"%.*s%s\"", expected,
					   LONGEST_SHOWN, text, size > LONGEST_SHOWN ? "..." : "");
	return item->problem ? AMEND_MA_LOCAL_PROBLEM : AMEND_MA_LOCAL_NO_MEMORY;
}

static enum amend_mariadb_local done(struct amend_canon *item, const char *text, size_t size)
{
	if (!text)
		return AMEND_MA_LOCAL_NO_MEMORY;
	item->out = amend_text_n(text, size);
	return AMEND_MA_LOCAL_DONE;
}

/* The value as text, NUL-terminated; NULL: no memory. Of bytes, the bytes. */
static const char *text_of(const struct amend_value *value, struct amend_arena *arena)
{
	char real[AMEND_REAL_TEXT];

	switch (value->kind) {
	case AMEND_INTEGER:
		return amend_arena_integer(arena, value->as.integer);
	case AMEND_REAL:
		amend_real_text(real, value->as.real);
		return amend_arena_text(arena, real);
	case AMEND_TEXT:
		return amend_arena_text_n(arena, value->as.text, value->size);
	case AMEND_BLOB:
		return amend_arena_text_n(arena, value->as.blob, value->size);
	case AMEND_NULL:
		break;
	}
	return NULL;
}

/* The numbers of `(n)` or `(p,s)` behind a type's name; -1 where there is none. */
static void modifiers(const char *type, long out[2])
{
	const char *at = strchr(type, '(');
	char *end = NULL;

	out[0] = out[1] = -1;
	if (!at)
		return;
	out[0] = strtol(at + 1, &end, 10);
	if (*end == ',')
		out[1] = strtol(end + 1, NULL, 10);
}

/* ---- whole numbers ---- */

static enum amend_mariadb_local integer(struct amend_canon *item, const char *text,
					struct amend_arena *arena)
{
	static const struct {
		const char *name;
		int64_t least;
		uint64_t most, most_unsigned;
	} types[] = {
		{"tinyint", INT8_MIN, INT8_MAX, UINT8_MAX},
		{"smallint", INT16_MIN, INT16_MAX, UINT16_MAX},
		{"mediumint", -8388608, 8388607, 16777215},
		{"int", INT32_MIN, INT32_MAX, UINT32_MAX},
		{"bigint", INT64_MIN, INT64_MAX, UINT64_MAX},
	};
	const char *type = item->column->type, *digits = text;
	bool negative = *text == '-', is_unsigned = strstr(type, "unsigned") != NULL;
	size_t n;

	digits += *text == '-' || *text == '+';
	n = strspn(digits, "0123456789");
	if (n == 0 || digits[n] != '\0')
		return wrong(item, arena, "integer", text);
	while (n > 1 && *digits == '0')
		digits++, n--;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint64_t number, most;
		size_t name = strlen(types[i].name);

		if (strncmp(type, types[i].name, name) != 0 ||
		    (type[name] >= 'a' && type[name] <= 'z'))
			continue;
		errno = 0;
		number = n > 20 ? 0 : strtoull(digits, NULL, 10);
		most = is_unsigned ? types[i].most_unsigned : types[i].most;
		if (negative)
			most = is_unsigned ? 0 : types[i].most + 1;
		if (n > 20 || errno == ERANGE || number > most)
			return wrong(item, arena, type, text);
		if (negative && number > 0)
			digits = amend_arena_printf(arena, "-%" PRIu64, number);
		return done(item, digits, digits ? strlen(digits) : 0);
	}
	return AMEND_MA_LOCAL_ASK;
}

/* ---- decimals ---- */

struct decimal {
	bool negative;
	char digits[160]; /* without a point, leading zeros allowed */
	long n, point;    /* how many stand before the point */
};

/* [+-]digits[.digits][e[+-]digits]; false: malformed, or beyond what is worth doing here. */
static bool read_decimal(const char *text, struct decimal *out, bool *malformed)
{
	long exponent = 0;
	bool any = false;
	char *end;

	*out = (struct decimal){.negative = *text == '-'};
	*malformed = true;
	text += *text == '-' || *text == '+';
	for (int fraction = 0; fraction < 2; fraction++) {
		if (fraction && *text != '.')
			break;
		text += fraction;
		for (; *text >= '0' && *text <= '9'; text++) {
			any = true;
			if (out->n >= (long)sizeof(out->digits) - 1) {
				*malformed = false;
				return false;
			}
			out->digits[out->n++] = *text;
			out->point += !fraction;
		}
	}
	if (!any)
		return false;
	if (*text == 'e' || *text == 'E') {
		const char *from = ++text;

		from += *from == '+' || *from == '-';
		if (*from < '0' || *from > '9')
			return false;
		exponent = strtol(text, &end, 10);
		text = end;
	}
	if (*text != '\0')
		return false;
	*malformed = false;
	out->point += exponent;
	return exponent > -1000 && exponent < 1000;
}

/* The digit that stands `place` places behind the point (0: the first), or before it where negative. */
static int digit_at(const struct decimal *number, long place)
{
	long at = number->point + place;

	return at < 0 || at >= number->n ? 0 : number->digits[at] - '0';
}

static enum amend_mariadb_local decimal(struct amend_canon *item, const char *text,
					struct amend_arena *arena)
{
	struct decimal number;
	long sizes[2], whole;
	char out[160] = "";
	bool malformed, carry, zero = true;
	size_t at = 1, size;

	modifiers(item->column->type, sizes);
	if (!read_decimal(text, &number, &malformed))
		return malformed ? wrong(item, arena, "number", text) : AMEND_MA_LOCAL_ASK;
	if (sizes[0] < 1 || sizes[0] > 65 || sizes[1] < 0)
		return AMEND_MA_LOCAL_ASK;
	whole = sizes[0] - sizes[1];
	for (long i = whole + 1; i <= number.point; i++) {
		if (digit_at(&number, -i) != 0)
			return wrong(item, arena, item->column->type, text);
	}
	/* A place in front for what rounding carries over: half goes away from zero. */
	out[0] = '0';
	for (long i = -whole; i < sizes[1]; i++)
		out[at++] = (char)('0' + digit_at(&number, i));
	carry = digit_at(&number, sizes[1]) >= 5;
	for (size_t i = at; carry && i-- > 0;) {
		carry = out[i] == '9';
		out[i] = carry ? '0' : (char)(out[i] + 1);
	}
	if (out[0] != '0')
		return wrong(item, arena, item->column->type, text);
	for (size_t i = 0; i < at; i++)
		zero = zero && out[i] == '0';
	/* Also where nothing is left of it: -0.001. */
	if (number.negative && strspn(number.digits, "0") < (size_t)number.n &&
	    strstr(item->column->type, "unsigned"))
		return wrong(item, arena, item->column->type, text);
	size = 0;
	while (size < (size_t)whole && out[size] == '0')
		size++;
	text = sizes[1] > 0
		       ? amend_arena_printf(arena, "%s%.*s.%.*s",
					    number.negative && !zero ? "-" : "",
					    (int)((size_t)whole + 1 - size), out + size,
					    (int)sizes[1], out + whole + 1)
		       : amend_arena_printf(arena, "%s%.*s", number.negative && !zero ? "-" : "",
					    (int)((size_t)whole + 1 - size), out + size);
	return done(item, text, text ? strlen(text) : 0);
}

static enum amend_mariadb_local real(struct amend_canon *item, const char *text,
				     struct amend_arena *arena)
{
	struct decimal number;
	char out[AMEND_REAL_TEXT];
	bool malformed, small = item->column->type_id == AMEND_MA_FLOAT;
	double value;

	if (item->in.kind == AMEND_REAL) {
		value = item->in.as.real;
	} else {
		if (!read_decimal(text, &number, &malformed))
			return malformed ? wrong(item, arena, "number", text) : AMEND_MA_LOCAL_ASK;
		value = strtod(text, NULL);
	}
	/* Also what would be rounded down to the largest there is. */
	if (small && fabs(value) > (double)FLT_MAX)
		return wrong(item, arena, item->column->type, text);
	if (small)
		value = (double)(float)value;
	/* The server has one zero. */
	if (value == 0)
		value = 0;
	if (!isfinite(value))
		return wrong(item, arena, item->column->type, text);
	amend_real_text(out, value);
	text = amend_arena_text(arena, out);
	return done(item, text, text ? strlen(text) : 0);
}

/* ---- text and bytes ---- */

/* Bytes that the type without a length holds. */
static uint64_t bytes_of_type(const char *type)
{
	return strncmp(type, "tiny", 4) == 0     ? 255
	       : strncmp(type, "medium", 6) == 0 ? 16777215
	       : strncmp(type, "long", 4) == 0   ? UINT32_MAX
						 : 65535;
}

/* Where the first `limit` characters of UTF-8 end; `*count`: how many there are. */
static size_t end_of(const char *text, size_t size, size_t limit, size_t *count)
{
	size_t end = size;

	*count = 0;
	for (size_t i = 0; i < size; i++) {
		if (((unsigned char)text[i] & 0xc0) == 0x80)
			continue;
		if ((*count)++ == limit)
			end = i;
	}
	return end;
}

static enum amend_mariadb_local string(struct amend_canon *item, const char *text, size_t size,
				       struct amend_arena *arena)
{
	bool padded = item->column->type_id == AMEND_MA_CHAR;
	long sizes[2];
	size_t count, end;

	if (item->in.kind == AMEND_BLOB)
		return wrong(item, arena, "text", "bytes");
	if (!amend_utf8_valid(text, size))
		return wrong(item, arena, "text in UTF-8", "other bytes");
	modifiers(item->column->type, sizes);
	while (padded && size > 0 && text[size - 1] == ' ')
		size--;
	if (sizes[0] < 0 && !padded)
		return size <= bytes_of_type(item->column->type)
			       ? done(item, text, size)
			       : wrong(item, arena, item->column->type, text);
	end = end_of(text, size, sizes[0] < 0 ? 1 : (size_t)sizes[0], &count);
	/* Spaces that do not fit are dropped in silence. */
	for (size_t i = end; i < size; i++) {
		if (text[i] != ' ')
			return wrong(item, arena, item->column->type, text);
	}
	text = end < size ? amend_arena_text_n(arena, text, end) : text;
	return done(item, text, end);
}

static enum amend_mariadb_local bytes(struct amend_canon *item, const char *text, size_t size,
				      struct amend_arena *arena)
{
	long sizes[2];

	modifiers(item->column->type, sizes);
	if (size > (sizes[0] < 0 ? bytes_of_type(item->column->type) : (uint64_t)sizes[0]))
		return wrong(item, arena, item->column->type, "more bytes");
	item->out = amend_blob(text, size);
	return AMEND_MA_LOCAL_DONE;
}

/* ---- dates ---- */

static bool digits_at(const char *text, int n, int least, int most, int *out)
{
	*out = 0;
	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		*out = *out * 10 + (text[i] - '0');
	}
	return *out >= least && *out <= most;
}

static bool is_date(const char *text, size_t size)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;

	if (size < 10 || !digits_at(text, 4, 1, 9999, &year) || text[4] != '-' ||
	    !digits_at(text + 5, 2, 1, 12, &month) || text[7] != '-' ||
	    !digits_at(text + 8, 2, 1, 31, &day))
		return false;
	return day <= days[month - 1] ||
	       (month == 2 && day == 29 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)));
}

/* YYYY-MM-DD HH:MM:SS[.ffffff], with T for the space; the fraction as long as the column's. */
static enum amend_mariadb_local datetime(struct amend_canon *item, const char *text, size_t size,
					 struct amend_arena *arena)
{
	long sizes[2];
	int hour, minute, second;
	size_t fraction;
	char *out;

	modifiers(item->column->type, sizes);
	if (sizes[0] < 0)
		sizes[0] = 0;
	if (!is_date(text, size) || size < 19 || (text[10] != ' ' && text[10] != 'T') ||
	    !digits_at(text + 11, 2, 0, 23, &hour) || text[13] != ':' ||
	    !digits_at(text + 14, 2, 0, 59, &minute) || text[16] != ':' ||
	    !digits_at(text + 17, 2, 0, 59, &second) || sizes[0] > 6)
		return AMEND_MA_LOCAL_ASK;
	fraction = text[19] == '.' ? strspn(text + 20, "0123456789") : 0;
	if (size > 19 && (text[19] != '.' || fraction == 0 || text[20 + fraction] != '\0'))
		return AMEND_MA_LOCAL_ASK;
	/* More digits than there are microseconds: the server's own rounding. */
	if (fraction > 6)
		return AMEND_MA_LOCAL_ASK;
	out = amend_arena_alloc(arena, 32);
	if (!out)
		return AMEND_MA_LOCAL_NO_MEMORY;
	memcpy(out, text, 19);
	out[10] = ' ';
	if (sizes[0] > 0) {
		memcpy(out + 19, ".000000", 8);
		memcpy(out + 20, text + 20,
		       fraction < (size_t)sizes[0] ? fraction : (size_t)sizes[0]);
		out[20 + sizes[0]] = '\0';
	}
	return done(item, out, strlen(out));
}

enum amend_mariadb_local amend_mariadb_local(struct amend_canon *item, struct amend_arena *arena)
{
	const char *text = text_of(&item->in, arena);
	size_t size;

	if (!text)
		return AMEND_MA_LOCAL_NO_MEMORY;
	size = item->in.kind == AMEND_TEXT || item->in.kind == AMEND_BLOB ? item->in.size
									  : strlen(text);
	/* Numbers and dates hold no NUL. */
	if (item->column->type_id != AMEND_MA_CHAR && item->column->type_id != AMEND_MA_TEXT &&
	    item->column->type_id != AMEND_MA_BYTES && strlen(text) != size)
		return wrong(item, arena, item->column->type, text);
	switch ((enum amend_mariadb_type)item->column->type_id) {
	case AMEND_MA_INTEGER:
		return integer(item, text, arena);
	case AMEND_MA_DECIMAL:
		return decimal(item, text, arena);
	case AMEND_MA_DOUBLE:
	case AMEND_MA_FLOAT:
		return real(item, text, arena);
	case AMEND_MA_CHAR:
	case AMEND_MA_TEXT:
		return string(item, text, size, arena);
	case AMEND_MA_BYTES:
		return bytes(item, text, size, arena);
	case AMEND_MA_DATE:
		return size == 10 && is_date(text, size) ? done(item, text, size)
							 : AMEND_MA_LOCAL_ASK;
	case AMEND_MA_DATETIME:
		return datetime(item, text, size, arena);
	case AMEND_MA_OTHER:
		break;
	}
	return AMEND_MA_LOCAL_ASK;
}

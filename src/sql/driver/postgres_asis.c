/*
 * Inputs that are canonical as they stand, seen without a copy: a sync brings
 * them by the million. And what that takes: characters, dates, lengths.
 * Leaves making other spellings canonical to postgres_local.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

enum { LONGEST_NUMBER = 1000 };

int amend_postgres_modifiers(const char *type, long out[2])
{
	const char *open = strchr(type, '(');
	char *end;

	if (!open)
		return 0;
	out[0] = strtol(open + 1, &end, 10);
	if (*end != ',')
		return 1;
	out[1] = strtol(end + 1, NULL, 10);
	return 2;
}

/* The bytes of the character at `at`, 0 where there is none that UTF-8 allows (RFC 3629). */
static size_t character(const unsigned char *at, const unsigned char *end)
{
	static const struct {
		unsigned char from, to, second_from, second_to, size;
	} forms[] = {
		{0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t size = forms[i].size;

		if (*at < forms[i].from || *at > forms[i].to)
			continue;
		if ((size_t)(end - at) < size ||
		    (size > 1 && (at[1] < forms[i].second_from || at[1] > forms[i].second_to)))
			return 0;
		for (size_t k = 2; k < size; k++) {
			if ((at[k] & 0xc0) != 0x80)
				return 0;
		}
		return size;
	}
	return 0;
}

bool amend_postgres_count(const char *text, size_t size, size_t limit, size_t *count, size_t *after)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + size;

	*count = 0;
	*after = size;
	while (at < end) {
		uint64_t eight;
		size_t bytes;

		if (end - at >= 8 && limit - *count >= 8) { /* ASCII, eight at a time */
			memcpy(&eight, at, 8);
			if ((eight & 0x8080808080808080u) == 0) {
				*count += 8;
				at += 8;
				continue;
			}
		}
		bytes = *at - 1u < 0x7f ? 1 : character(at, end);
		if (bytes == 0)
			return false;
		if (*count == limit)
			*after = (size_t)(at - (const unsigned char *)text);
		(*count)++;
		at += bytes;
	}
	return true;
}

bool amend_postgres_two_digits(const char *text, int least, int limit)
{
	int value;

	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return false;
	value = (text[0] - '0') * 10 + text[1] - '0';
	return value >= least && value < limit;
}

bool amend_postgres_is_date(const char *text)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, leap;

	if (!amend_postgres_two_digits(text, 0, 100) ||
	    !amend_postgres_two_digits(text + 2, 0, 100) || text[4] != '-' ||
	    !amend_postgres_two_digits(text + 5, 1, 13) || text[7] != '-')
		return false;
	year = (text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 + text[3] - '0';
	month = (text[5] - '0') * 10 + text[6] - '0';
	leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return year > 0 && amend_postgres_two_digits(text + 8, 1, days[month - 1] + leap + 1);
}

/* text, varchar(n), char(n): UTF-8 that fits, char(n) exactly. */
static bool text_as_is(const struct amend_column *column, const char *text, size_t size)
{
	size_t count, after;
	long limit[2];

	if (column->type_id == AMEND_PG_TEXT || amend_postgres_modifiers(column->type, limit) == 0)
		return amend_postgres_count(text, size, SIZE_MAX, &count, &after);
	return amend_postgres_count(text, size, (size_t)limit[0], &count, &after) &&
	       (column->type_id == AMEND_PG_BPCHAR ? count == (size_t)limit[0]
						   : count <= (size_t)limit[0]);
}

static size_t count_digits(const char *text, size_t size)
{
	size_t n = 0;

	while (n < size && text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

/* So few digits that the range need not be looked at. */
static bool integer_as_is(uint32_t type, const char *text, size_t size)
{
	size_t most = type == AMEND_PG_INT2 ? 4 : type == AMEND_PG_INT4 ? 9 : 18;
	bool negative = size > 0 && *text == '-';

	text += negative;
	size -= negative;
	if (size == 0 || size > most || count_digits(text, size) < size)
		return false;
	return *text != '0' || (size == 1 && !negative);
}

/* digits.digits with all the places that the type has, without a zero too many in front, and no "-0". */
static bool numeric_as_is(const char *type, const char *text, size_t size)
{
	bool negative = size > 0 && *text == '-', nonzero = false;
	size_t whole, fraction = 0;
	long modifiers[2] = {0, 0};

	text += negative;
	size -= negative;
	whole = count_digits(text, size);
	if (whole == 0 || (*text == '0' && whole > 1) || size > LONGEST_NUMBER)
		return false;
	if (whole < size) {
		fraction = size - whole - 1;
		if (text[whole] != '.' || fraction == 0 ||
		    count_digits(text + whole + 1, fraction) < fraction)
			return false;
	}
	for (size_t i = 0; negative && i < size && !nonzero; i++)
		nonzero = text[i] >= '1' && text[i] <= '9';
	if (negative && !nonzero)
		return false;
	if (amend_postgres_modifiers(type, modifiers) == 0)
		return true;
	whole -= *text == '0';
	return modifiers[1] >= 0 && fraction == (size_t)modifiers[1] &&
	       modifiers[0] >= modifiers[1] && whole <= (size_t)(modifiers[0] - modifiers[1]);
}

static bool uuid_as_is(const char *text, size_t size)
{
	if (size != 36)
		return false;
	for (size_t i = 0; i < size; i++) {
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
		bool digit = (text[i] >= '0' && text[i] <= '9') ||
			     (text[i] >= 'a' && text[i] <= 'f');

		if (hyphen ? text[i] != '-' : !digit)
			return false;
	}
	return true;
}

bool amend_postgres_as_is(bool utf8, const struct amend_canon *item)
{
	const struct amend_column *column = item->column;
	const char *text = item->in.as.text;
	size_t size = item->in.size;

	if (item->in.kind != AMEND_TEXT)
		return false;
	switch (column->type_id) {
	case AMEND_PG_TEXT:
	case AMEND_PG_VARCHAR:
	case AMEND_PG_BPCHAR:
		return utf8 && text_as_is(column, text, size);
	case AMEND_PG_INT2:
	case AMEND_PG_INT4:
	case AMEND_PG_INT8:
		return integer_as_is(column->type_id, text, size);
	case AMEND_PG_NUMERIC:
		return numeric_as_is(column->type, text, size);
	case AMEND_PG_BOOL:
		return size == 1 && (*text == 't' || *text == 'f');
	case AMEND_PG_DATE:
		return size == 10 && amend_postgres_is_date(text);
	case AMEND_PG_UUID:
		return uuid_as_is(text, size);
	default:
		return false;
	}
}

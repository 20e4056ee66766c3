/*
 * Sums and differences of numbers, exact in decimal.
 * Leaves adding to what the database holds to the database.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "merge/merge.h"

/* More digits than any numeric of use has; exponents make numbers long. */
enum { MOST_DIGITS = 4000 };

/* Digits without the point, the least first; `scale` of them stand behind it. */
struct decimal {
	bool negative;
	unsigned char *digits;
	size_t n, scale;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "e-5": false where there is something else, or too much. */
static bool read_exponent(const char *at, const char *end, long *exponent)
{
	bool negative = at < end && *at == '-';

	*exponent = 0;
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	if (at == end)
		return false;
	for (; at < end && is_digit(*at) && *exponent <= MOST_DIGITS; at++)
		*exponent = *exponent * 10 + (*at - '0');
	*exponent = negative ? -*exponent : *exponent;
	return at == end && labs(*exponent) <= MOST_DIGITS;
}

/* -12.50, .5, 1e-7: what has another form is no number. */
static enum amend_merged read_decimal(const char *text, size_t size, struct amend_arena *arena,
				      struct decimal *out)
{
	const char *at = text, *end = text + size, *start;
	size_t whole, part = 0, zeros = 0;
	long exponent = 0;

	*out = (struct decimal){.negative = at < end && *at == '-'};
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	for (start = at; at < end && is_digit(*at);)
		at++;
	whole = (size_t)(at - start);
	if (at < end && *at == '.') {
		for (at++; at < end && is_digit(*at); at++)
			part++;
	}
	if (whole + part == 0 || whole + part > MOST_DIGITS)
		return AMEND_MERGED_CLASH;
	if (at < end && (*at == 'e' || *at == 'E')) {
		if (!read_exponent(at + 1, end, &exponent))
			return AMEND_MERGED_CLASH;
	} else if (at != end) {
		return AMEND_MERGED_CLASH;
	}
	/* The exponent moves the point: over digits that are there, or over zeros. */
	out->scale = part;
	if (exponent > 0 && (size_t)exponent > part)
		zeros = (size_t)exponent - part;
	out->scale = exponent > 0 ? part - (zeros ? part : (size_t)exponent)
				  : part + (size_t)-exponent;
	out->n = whole + part + zeros > out->scale ? whole + part + zeros : out->scale;
	out->digits = amend_arena_alloc(arena, out->n);
	if (!out->digits)
		return AMEND_MERGED_NO_MEMORY;
	for (size_t i = 0; i < whole + part; i++) {
		const char *digit = start + whole + part - i - (i < part ? 0 : 1);

		out->digits[zeros + i] = (unsigned char)(*digit - '0');
	}
	return AMEND_MERGED_CLEAN;
}

/* The fewest digits that give the same double; the application's locale may have another decimal sign. */
static size_t write_real(double real, char *text, size_t room)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, room, "%.*g", digits, real);
		if (strtod(text, NULL) == real)
			break;
	}
	for (char *at = text; *at; at++) {
		if (!strchr("0123456789+-e", *at))
			*at = '.';
	}
	return strlen(text);
}

static enum amend_merged take(const struct amend_value *value, struct amend_arena *arena,
			      struct decimal *out)
{
	char text[40];

	switch (value->kind) {
	case AMEND_TEXT:
		return value->size ? read_decimal(value->as.text, value->size, arena, out)
				   : AMEND_MERGED_CLASH;
	case AMEND_INTEGER:
		snprintf(text, sizeof(text), "%" PRId64, value->as.integer);
		return read_decimal(text, strlen(text), arena, out);
	case AMEND_REAL:
		if (!isfinite(value->as.real))
			return AMEND_MERGED_CLASH;
		return read_decimal(text, write_real(value->as.real, text, sizeof(text)), arena,
				    out);
	case AMEND_NULL:
	case AMEND_BLOB:
		break;
	}
	return AMEND_MERGED_CLASH;
}

static int digit_at(const struct decimal *number, size_t i)
{
	return i < number->n ? number->digits[i] : 0;
}

/* To `scale` digits behind the point, which are no fewer than it has. */
static bool rescale(struct decimal *number, size_t scale, struct amend_arena *arena)
{
	size_t more = scale - number->scale;
	unsigned char *digits = amend_arena_alloc(arena, number->n + more);

	if (!digits)
		return false;
	memcpy(digits + more, number->digits, number->n);
	number->digits = digits;
	number->n += more;
	number->scale = scale;
	return true;
}

static bool is_less(const struct decimal *a, const struct decimal *b)
{
	for (size_t i = a->n > b->n ? a->n : b->n; i-- > 0;) {
		if (digit_at(a, i) != digit_at(b, i))
			return digit_at(a, i) < digit_at(b, i);
	}
	return false;
}

static enum amend_merged add(struct decimal *a, struct decimal *b, struct amend_arena *arena,
			     struct decimal *out)
{
	size_t scale = a->scale > b->scale ? a->scale : b->scale;
	const struct decimal *high = a, *low = b;
	int carry = 0;

	if (!rescale(a, scale, arena) || !rescale(b, scale, arena))
		return AMEND_MERGED_NO_MEMORY;
	if (a->negative != b->negative && is_less(a, b)) {
		high = b;
		low = a;
	}
	*out = (struct decimal){.negative = high->negative, .scale = scale};
	out->n = (a->n > b->n ? a->n : b->n) + 1;
	out->digits = amend_arena_alloc(arena, out->n);
	if (!out->digits)
		return AMEND_MERGED_NO_MEMORY;
	for (size_t i = 0; i < out->n; i++) {
		int digit = digit_at(high, i) + carry +
			    (a->negative == b->negative ? digit_at(low, i) : -digit_at(low, i));

		carry = digit < 0 ? -1 : digit / 10;
		out->digits[i] = (unsigned char)((digit + 10) % 10);
	}
	return AMEND_MERGED_CLEAN;
}

static enum amend_merged write_decimal(const struct decimal *number, struct amend_arena *arena,
				       struct amend_value *out)
{
	size_t n = number->n, size = 0;
	bool zero = true;
	char *text;

	while (n > number->scale + 1 && number->digits[n - 1] == 0)
		n--;
	for (size_t i = 0; i < n; i++)
		zero = zero && number->digits[i] == 0;
	text = amend_arena_alloc(arena, n + 5);
	if (!text)
		return AMEND_MERGED_NO_MEMORY;
	if (number->negative && !zero)
		text[size++] = '-';
	for (size_t i = n > number->scale ? n : number->scale + 1; i-- > 0;) {
		text[size++] = (char)('0' + digit_at(number, i));
		if (i == number->scale && i > 0)
			text[size++] = '.';
	}
	*out = amend_text_n(text, size);
	return AMEND_MERGED_CLEAN;
}

static enum amend_merged combine(const struct amend_value *a, const struct amend_value *b,
				 bool subtract, struct amend_arena *arena, struct amend_value *out,
				 const char **why)
{
	struct decimal x = {0}, y = {0}, sum = {0};
	enum amend_merged merged;
	int64_t whole;

	*why = NULL;
	if (a->kind == AMEND_INTEGER && b->kind == AMEND_INTEGER) {
		if (subtract ? __builtin_sub_overflow(a->as.integer, b->as.integer, &whole)
			     : __builtin_add_overflow(a->as.integer, b->as.integer, &whole)) {
			*why = "the difference is too large";
			return AMEND_MERGED_CLASH;
		}
		*out = amend_integer(whole);
		return AMEND_MERGED_CLEAN;
	}
	merged = take(a, arena, &x);
	if (merged == AMEND_MERGED_CLEAN)
		merged = take(b, arena, &y);
	if (merged == AMEND_MERGED_CLASH)
		*why = "it is not a number on every side";
	if (merged != AMEND_MERGED_CLEAN)
		return merged;
	y.negative = y.negative != subtract;
	merged = add(&x, &y, arena, &sum);
	return merged == AMEND_MERGED_CLEAN ? write_decimal(&sum, arena, out) : merged;
}

enum amend_merged amend_merge_difference(const struct amend_value *base,
					 const struct amend_value *incoming,
					 struct amend_arena *arena, struct amend_value *out,
					 const char **why)
{
	return combine(incoming, base, true, arena, out, why);
}

enum amend_merged amend_merge_sum(const struct amend_value *value, const struct amend_value *amount,
				  struct amend_arena *arena, struct amend_value *out,
				  const char **why)
{
	return combine(value, amount, false, arena, out, why);
}

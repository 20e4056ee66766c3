/*
 * The narrowest type that holds all values of a column as they are written.
 * Conservative: what would lose a digit or a leading zero stays text.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sync.h"

enum shape {
	SHAPE_INTEGER = 1,
	SHAPE_DECIMAL = 2,
	SHAPE_DATE = 4,
	SHAPE_MOMENT = 8, /* date and time, without a zone */
	SHAPE_ALL = 15,
	SHAPE_NOTHING = 16, /* no value was seen */
};

static bool digits(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	return size > 0;
}

/* No "+1", "01", "-0", "1.", ".5", "1e3": those would come back in another spelling. */
static unsigned number_shape(const char *text, size_t size, size_t most_digits)
{
	const char *point;
	size_t whole;

	if (size > 0 && *text == '-') {
		text++;
		size--;
		if (size == 1 && *text == '0')
			return 0;
	}
	point = memchr(text, '.', size);
	whole = point ? (size_t)(point - text) : size;
	if (!digits(text, whole) || (whole > 1 && *text == '0'))
		return 0;
	if (!point)
		return (whole <= 18 ? SHAPE_INTEGER : 0) |
		       (whole <= most_digits ? SHAPE_DECIMAL : 0);
	if (!digits(point + 1, size - whole - 1) || size - 1 > most_digits)
		return 0;
	return SHAPE_DECIMAL;
}

static int number(const char *text, size_t size)
{
	int n = 0;

	while (size-- > 0)
		n = n * 10 + *text++ - '0';
	return n;
}

static bool is_date(const char *text, size_t size)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;
	bool leap;

	if (size != 10 || !digits(text, 4) || text[4] != '-' || !digits(text + 5, 2) ||
	    text[7] != '-' || !digits(text + 8, 2))
		return false;
	year = number(text, 4);
	month = number(text + 5, 2);
	day = number(text + 8, 2);
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return year > 0 && month >= 1 && month <= 12 && day >= 1 &&
	       day <= days[month - 1] + (month == 2 && leap);
}

static bool is_moment(const char *text, size_t size)
{
	return size == 19 && is_date(text, 10) && (text[10] == ' ' || text[10] == 'T') &&
	       digits(text + 11, 2) && text[13] == ':' && digits(text + 14, 2) && text[16] == ':' &&
	       digits(text + 17, 2) && number(text + 11, 2) < 24 && number(text + 14, 2) < 60 &&
	       number(text + 17, 2) < 60;
}

static unsigned shape_of(const struct amend_value *value, bool typed)
{
	const char *text = value->as.text;
	size_t size = value->size;

	/* Without typed storage a decimal is kept as a binary number: 15 digits survive, zeros at the end do not. */
	return number_shape(text, size, typed ? 100 : 15) |
	       (is_date(text, size) ? (unsigned)SHAPE_DATE : 0) |
	       (is_moment(text, size) ? (unsigned)SHAPE_MOMENT : 0);
}

static const char *type_of(const struct amend_dialect *dialect, unsigned shape, bool typed)
{
	if (shape & SHAPE_NOTHING)
		return dialect->text_type;
	if (shape & SHAPE_INTEGER)
		return dialect->integer_type;
	if (shape & SHAPE_DECIMAL)
		return "numeric";
	if ((shape & SHAPE_DATE) && typed)
		return "date";
	if ((shape & SHAPE_MOMENT) && typed)
		return "timestamp";
	return dialect->text_type;
}

enum amend_status amend_sync_detect(struct amend_sync *sync, const char **types,
				    struct amend_error *err)
{
	bool typed = amend_has(sync->db, AMEND_HAS_TYPED_STORAGE);
	struct amend_value *values = calloc(sync->n_used, sizeof(*values));
	unsigned *shapes = calloc(sync->n_used, sizeof(*shapes));
	struct amend_store_reader reader;
	enum amend_status status = AMEND_OK;

	amend_store_begin(&sync->store, &reader);
	if (!values || !shapes)
		status = amend_no_memory(err);
	for (uint32_t u = 0; u < sync->n_used && status == AMEND_OK; u++)
		shapes[u] = SHAPE_ALL | SHAPE_NOTHING;
	for (uint64_t i = 0; i < sync->store.n && status == AMEND_OK; i++) {
		const unsigned char *record;
		const char *problem;

		status = amend_store_next(&reader, &record, err);
		if (status != AMEND_OK)
			break;
		amend_store_decode(record, values, sync->n_used, &problem);
		for (uint32_t u = 0; u < sync->n_used && !problem; u++) {
			if (values[u].kind == AMEND_TEXT && shapes[u])
				shapes[u] &= shape_of(&values[u], typed);
		}
	}
	for (uint32_t u = 0; u < sync->n_used && status == AMEND_OK; u++)
		types[u] = type_of(sync->db->dialect, shapes[u], typed);
	amend_store_end(&reader);
	free(values);
	free(shapes);
	return status;
}

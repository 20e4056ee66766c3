/*
 * Values, and rows of them.
 *
 * A value is what an engine stores or prints. SQLite yields its five storage
 * classes. PostgreSQL yields NULL, or AMEND_TEXT holding the text that the
 * type's output function prints under the pinned settings (docs/decisions).
 * A value borrows its bytes: whoever hands one out says how long they live.
 */
#ifndef AMEND_VALUE_H
#define AMEND_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amend/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum amend_kind {
	AMEND_NULL,
	AMEND_INTEGER,
	AMEND_REAL,
	AMEND_TEXT, /* bytes as given, `size` of them; not terminated unless said so */
	AMEND_BLOB,
};

struct amend_value {
	enum amend_kind kind;
	size_t size; /* bytes, of TEXT and BLOB */
	union {
		int64_t integer;
		double real;
		const char *text;
		const void *blob;
	} as;
};

AMEND_API struct amend_value amend_null(void);
AMEND_API struct amend_value amend_integer(int64_t integer);
AMEND_API struct amend_value amend_real(double real);
AMEND_API struct amend_value amend_text(const char *text); /* NULL gives amend_null() */
AMEND_API struct amend_value amend_text_n(const char *text, size_t size);
AMEND_API struct amend_value amend_blob(const void *blob, size_t size);

/*
 * Same kind and same bytes (REAL: same bits). Two stored values for which this
 * holds are the same stored value; it is not SQL's `=`.
 */
AMEND_API bool amend_value_equal(const struct amend_value *a, const struct amend_value *b);

/* NULL, or text of nothing but white space: such a key never matches. */
AMEND_API bool amend_value_blank(const struct amend_value *value);

/*
 * What a statement returned: `n_rows` x `n_columns` values, row by row. TEXT in
 * it is NUL-terminated behind its `size` bytes. Everything lives until
 * amend_rows_release, which takes a zeroed struct too.
 */
struct amend_rows {
	size_t n_rows;
	size_t n_columns;
	const struct amend_value *values;
	int64_t changes; /* rows changed by INSERT, UPDATE, DELETE; 0 otherwise */
	void *owner;     /* private */
};

#define AMEND_ROWS_INIT             \
	{                           \
		0, 0, NULL, 0, NULL \
	}

static inline const struct amend_value *amend_rows_at(const struct amend_rows *rows, size_t row,
						      size_t column)
{
	return &rows->values[row * rows->n_columns + column];
}

AMEND_API void amend_rows_release(struct amend_rows *rows);

#ifdef __cplusplus
}
#endif

#endif

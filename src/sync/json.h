/*
 * JSON as RFC 8259 has it, read in place and strictly: where a value ends, and the
 * members of an object as fields. Numbers keep their text. No database, no allocation.
 */
#ifndef AMEND_SYNC_JSON_H
#define AMEND_SYNC_JSON_H

#include <amend/value.h>

enum { AMEND_JSON_DEPTH = 512 }; /* of arrays and objects within a field */

/*
 * Finds where a value ends by its brackets and quotes alone, over as many calls
 * as it takes. All zero before the value's first byte.
 */
struct amend_json_skip {
	size_t at; /* the next byte to look at, counted from the value's first */
	size_t depth;
	bool string, escape, scalar;
};

/*
 * True: the value is the first `at` bytes of `text`. A number's end is seen only
 * by what follows it. `text` has 8 bytes behind `size` that may be read and written.
 */
bool amend_json_skip(struct amend_json_skip *skip, char *text, size_t size);

/* A text being read. 8 bytes behind `end` may be read and written. */
struct amend_json {
	char *text;
	size_t at, end;
	int64_t line;   /* of `at`, from 1 */
	size_t line_at; /* where that line begins; may be "negative" where it began before `text` */
	/* What is wrong at `at`, once a function returned false: "expected ':', found 'x'". */
	char problem[96];
};

/* The number of the byte at `at` in its line, from 1. */
int64_t amend_json_column(const struct amend_json *json);

/* Moves to the next byte that is no white space; '\0' at the end. */
char amend_json_space(struct amend_json *json);

/* "an array", "a number", "the end", "'x'": what begins at `at`. */
const char *amend_json_found(struct amend_json *json, char room[16]);

/* Fails with "expected WHAT, found ...". */
bool amend_json_expected(struct amend_json *json, const char *what);

/*
 * Reads the string at `at` (its opening quote) in place. `*flaw`, for what is
 * well formed JSON and no text of ours: "is not UTF-8", "holds the character NUL", "holds half of a
 * surrogate pair"; else NULL.
 */
bool amend_json_string_read(struct amend_json *json, const char **text, size_t *size,
			    const char **flaw);

/*
 * Reads any value as a field: null is NULL; a string its text; a number, true and false
 * as they stand; an object or array its text without white space between its parts.
 */
bool amend_json_value_read(struct amend_json *json, struct amend_value *out, const char **flaw);

#endif

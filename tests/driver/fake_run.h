/*
 * A statement of the fake driver on its way: what its files that read SQL share among themselves.
 * Once one has failed they all do nothing more.
 */
#ifndef TESTS_DRIVER_FAKE_RUN_H
#define TESTS_DRIVER_FAKE_RUN_H

#include "fake.h"

enum { MOST_ITEMS = 16, NAME = 64 };

/* One statement on its way. */
struct run {
	const char *at; /* what is to be read next */
	struct fake_state *state;
	const struct amend_statement *statement;
	const struct fake_table *table; /* whose columns have a name; NULL: none has */
	struct amend_value *row;        /* theirs; NULL: what is read is only passed over */
	struct amend_rows rows;         /* the result */
	size_t n_values, room;          /* of it so far */
	char names[MOST_ITEMS][NAME];   /* of its columns */
	enum amend_status status;
	struct amend_error *err;
};

/* The first failure counts; what is read after it does nothing. */
#define FAIL(run, status_, ...)                                                      \
	do {                                                                         \
		if ((run)->status == AMEND_OK)                                       \
			(run)->status = fake_fail((run)->err, status_, __VA_ARGS__); \
	} while (0)

void fake_no_memory(struct run *run);
/* INVALID: what comes next was not expected. */
void fake_misread(struct run *run);

/* --- Words: whether it comes next; then it is passed --- */

const char *fake_skip(const char *at); /* white space and comments */
bool fake_sign(struct run *run, const char *text);
bool fake_word(struct run *run, const char *text);
/* A word or a sign; anything else is a failure. */
void fake_need(struct run *run, const char *text);
void fake_name(struct run *run, char out[NAME]);

/* --- Tables and values --- */

/* Where it is, or would be. */
struct fake_table **fake_find_table(struct run *run, const char *wanted);
/* By the name that comes next; NULL, and it has failed. */
struct fake_table *fake_table(struct run *run);
size_t fake_column(struct run *run, const struct fake_table *of);
int fake_compare(const struct amend_value *a, const struct amend_value *b);
/* Behind its opening quote. */
struct amend_value fake_quoted_text(struct run *run);
struct amend_value fake_expression(struct run *run);
/* Whether the row is meant by the WHERE that may stand at `where`; then run->at is behind it. */
bool fake_meant(struct run *run, const char *where, struct amend_value *row);

/* --- Statements, behind their first word --- */

void fake_query(struct run *run);
void fake_insert(struct run *run);
void fake_update(struct run *run);
void fake_delete(struct run *run);
void fake_create(struct run *run);
void fake_drop(struct run *run);

#endif

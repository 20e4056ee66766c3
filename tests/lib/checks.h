/* Checks whose failures say what was found, for tests with and without databases; cmocka included. */
#ifndef TESTS_LIB_CHECKS_H
#define TESTS_LIB_CHECKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <amend/error.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* That a call returned OK, or another status; `err` is what the call filled in. */
#define expect_ok(call, err) expect_status_at(AMEND_OK, NULL, call, err, #call, __FILE__, __LINE__)
#define expect_status(expected, call, err) \
	expect_status_at(expected, NULL, call, err, #call, __FILE__, __LINE__)
#define expect_text(actual, expected) expect_text_at(actual, expected, #actual, __FILE__, __LINE__)
/* That `needle` occurs. */
#define expect_contains(text, needle) expect_contains_at(text, needle, __FILE__, __LINE__)

void expect_status_at(enum amend_status expected, const char *sqlstate, enum amend_status status,
		      const struct amend_error *err, const char *what, const char *file, int line);
void expect_text_at(const char *actual, const char *expected, const char *what, const char *file,
		    int line);
void expect_contains_at(const char *text, const char *needle, const char *file, int line);

/* Milliseconds of a clock that never steps back. */
int64_t now_ms(void);
void sleep_ms(int ms);

/*
 * Says that a test is left out, for want of `what`: the test returns then. Not by cmocka's skip():
 * version 1.1 writes it as a failure in TAP.
 */
void say_left_out(const char *test, const char *what);

/* Fails the test, as if at `file`:`line`. */
_Noreturn void fail_at(const char *file, int line, const char *format, ...) AMEND_PRINTF(3, 4);

#endif

/*
 * Checks that say what was found, and small tools.
 * Leaves databases to the other files.
 */
#include "checks.h"

#include <time.h>

_Noreturn void fail_at(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprint_error(format, args);
	va_end(args);
	print_error("\n");
	_fail(file, line);
	__builtin_unreachable(); /* cmocka jumps out of _fail */
}

void say_left_out(const char *test, const char *what)
{
	printf("# SKIP %s: %s\n", test, what);
	fflush(stdout);
}

static void print_found(enum amend_status status, const struct amend_error *err)
{
	if (status == AMEND_OK)
		print_error("  found    OK\n");
	else
		print_error("  found    %s %s %s (native %d)\n", amend_status_name(status),
			    err->sqlstate, err->text, err->native);
}

void expect_status_at(enum amend_status expected, const char *sqlstate, enum amend_status status,
		      const struct amend_error *err, const char *what, const char *file, int line)
{
	bool same = status == expected;

	if (same && status != AMEND_OK)
		same = err->status == status && (!sqlstate || strcmp(err->sqlstate, sqlstate) == 0);
	if (same)
		return;
	print_error("%s\n  expected %s %s\n", what, amend_status_name(expected),
		    sqlstate ? sqlstate : "");
	print_found(status, err);
	_fail(file, line);
}

static void print_all(const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		int size = left > 1000 ? 1000 : (int)left;

		print_error("%.*s", size, text);
		text += size;
		left -= (size_t)size;
	}
}

void expect_text_at(const char *actual, const char *expected, const char *what, const char *file,
		    int line)
{
	if (actual && expected ? strcmp(actual, expected) == 0 : actual == expected)
		return;
	/* piece by piece, for cmocka cuts a message at 1,024 bytes */
	print_error("%s\n  expected ", what);
	print_all(expected ? expected : "(null)");
	print_error("\n  found    ");
	print_all(actual ? actual : "(null)");
	fail_at(file, line, "%s", "");
}

void expect_contains_at(const char *text, const char *needle, const char *file, int line)
{
	if (text && strstr(text, needle))
		return;
	fail_at(file, line, "expected a text that contains \"%s\"\n  found    %s", needle,
		text ? text : "(null)");
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) != 0)
		;
}

/*
 * The line that says how far a sync is: numbers, rate, time left, as much as has room.
 * Leaves the terminal to tests/cli/progress.py.
 */
#include "checks.h"
#include "progress.h"

static void expect_line(struct cli_progress *progress, const struct amend_progress *at, int64_t ms,
			size_t width, const char *expected)
{
	char line[CLI_PROGRESS_ROOM];

	cli_progress_line(progress, at, ms, width, line);
	expect_text(line, expected);
}

static void a_file_is_read(void **state)
{
	struct cli_progress progress = CLI_PROGRESS_INIT;

	(void)state;
	expect_line(&progress, &(struct amend_progress){"read", 0, 0, 0, 4000}, 1000, 79,
		    "reading 0 records, 0 %");
	expect_line(&progress, &(struct amend_progress){"read", 999, 0, 400, 4000}, 1900, 79,
		    "reading 999 records, 10 %");
	expect_line(&progress, &(struct amend_progress){"read", 20000, 0, 1000, 4000}, 11000, 79,
		    "reading 20,000 records, 25 %, 2,000 a second, 30 s left");
	/* A file that grew while it was read. */
	expect_line(&progress, &(struct amend_progress){"read", 1234567, 0, 4100, 4000}, 21000, 79,
		    "reading 1,234,567 records, 100 %, 61,728 a second, 0 s left");
}

static void what_is_not_known_is_not_said(void **state)
{
	struct cli_progress progress = CLI_PROGRESS_INIT;

	(void)state;
	expect_line(&progress, &(struct amend_progress){"read", 1000, 0, 5000, 0}, 1000, 79,
		    "reading 1,000 records");
	expect_line(&progress, &(struct amend_progress){"read", 5000, 0, 9000, 0}, 3000, 79,
		    "reading 5,000 records, 2,000 a second");
	/* Nothing moved: there is a rate, but no end in sight. */
	expect_line(&progress, &(struct amend_progress){"apply", 500, 1000, 0, 0}, 4000, 79,
		    "writing 500 of 1,000 records, 50 %");
	expect_line(&progress, &(struct amend_progress){"apply", 500, 1000, 0, 0}, 6000, 79,
		    "writing 500 of 1,000 records, 50 %, 0 a second");
}

/* The rate is the phase's own, and begins again where a phase begins again. */
static void phases(void **state)
{
	struct cli_progress progress = CLI_PROGRESS_INIT;

	(void)state;
	expect_line(&progress, &(struct amend_progress){"read", 9000, 0, 10, 20}, 1000, 79,
		    "reading 9,000 records, 50 %");
	expect_line(&progress, &(struct amend_progress){"compare", 100, 1000, 0, 0}, 5000, 79,
		    "comparing 100 of 1,000 records, 10 %");
	expect_line(&progress, &(struct amend_progress){"compare", 300, 1000, 0, 0}, 7000, 79,
		    "comparing 300 of 1,000 records, 30 %, 100 a second, 7 s left");
	expect_line(&progress, &(struct amend_progress){"compare", 100, 1000, 0, 0}, 8000, 79,
		    "comparing 100 of 1,000 records, 10 %");
	expect_line(&progress, &(struct amend_progress){"other", 1, 2, 0, 0}, 8100, 79,
		    "other 1 of 2 records, 50 %");
}

static void a_narrow_terminal(void **state)
{
	static const char *const lines[] = {
		"writing 12,345 of 100,000 records, 12 %, 1,234 a second, 1 min 11 s left",
		"writing 12,345 of 100,000 records, 12 %, 1,234 a second",
		"writing 12,345 of 100,000 records, 12 %",
		"writing 12,345 of 100,000 records",
		"writing 12,345 of 100,000",
		"writing 12,345",
		"writing",
		"",
	};
	const struct amend_progress begin = {"apply", 0, 100000, 0, 0},
				    at = {"apply", 12345, 100000};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		size_t width = strlen(lines[i]);
		struct cli_progress progress = CLI_PROGRESS_INIT;
		char line[CLI_PROGRESS_ROOM];

		cli_progress_line(&progress, &begin, 1000, width, line);
		expect_line(&progress, &at, 11000, width, lines[i]);
		if (i > 0)
			expect_line(&progress, &at, 11000, strlen(lines[i - 1]) - 1, lines[i]);
	}
}

static void hours_and_large_numbers(void **state)
{
	const struct amend_progress begin = {"apply", 0, UINT64_MAX, 0, 0};
	struct cli_progress progress = CLI_PROGRESS_INIT;
	char line[CLI_PROGRESS_ROOM];

	(void)state;
	cli_progress_line(&progress, &begin, 1000, 79, line);
	expect_line(&progress, &(struct amend_progress){"apply", UINT64_MAX / 2, UINT64_MAX},
		    1000 + 3700 * 1000, 200,
		    "writing 9,223,372,036,854,775,807 of 18,446,744,073,709,551,615 records, 50 %, "
		    "2,492,803,253,203,993 a second, 1 h 01 min left");
	expect_line(&progress, &(struct amend_progress){"apply", UINT64_MAX, UINT64_MAX}, INT64_MAX,
		    SIZE_MAX,
		    "writing 18,446,744,073,709,551,615 of 18,446,744,073,709,551,615 records, 100 "
		    "%, 2,000 a second, 0 s left");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read),
		cmocka_unit_test(what_is_not_known_is_not_said),
		cmocka_unit_test(phases),
		cmocka_unit_test(a_narrow_terminal),
		cmocka_unit_test(hours_and_large_numbers),
	};

	return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}

/*
 * Reverts from text, what became of them to text; for tests of src/history.
 *
 *	reverts(road, AMEND_OK, "updated t id=1 v: b -> a", .revision = 2);
 */
#ifndef TESTS_HISTORY_REVERT_H
#define TESTS_HISTORY_REVERT_H

#include "ask.h"

struct asked_revert {
	int64_t revision, run;
	const char *key; /* "id=1": only this record's part, in road->table */
	enum amend_revert_policy on_conflict;
	const char *ignore; /* a column */
	bool dry_run;
	bool (*confirm)(const struct amend_revert_report *report, void *context);
};

/* Its status; `*report` may be NULL. What was shown: a line each, "updated t id=1 v: b -> a; edited w: base|current|incoming; refused check w". */
const char *road_revert(struct road *road, const struct asked_revert *asked,
			enum amend_status *status, struct amend_revert_report *report);

#define reverts(road, expected, text, ...)                                                    \
	reverts_at(road, &(const struct asked_revert){__VA_ARGS__}, expected, text, __FILE__, \
		   __LINE__)
/* `text` NULL: whatever is shown. */
void reverts_at(struct road *road, const struct asked_revert *asked, enum amend_status expected,
		const char *text, const char *file, int line);

#endif

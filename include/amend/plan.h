/*
 * Saved plans: what a sync would do, written down (amend_sync_options.on_plan),
 * looked at, and carried out later.
 *
 *	struct amend_plan *plan = NULL;
 *	struct amend_apply_options options = AMEND_APPLY_OPTIONS_INIT;
 *	struct amend_sync_report report;
 *
 *	status = amend_plan_open("changes.plan", &plan, &err);
 *	status = amend_apply(db, plan, &options, &report, &err);
 *	... report.stale entries were left alone ...
 *	amend_sync_report_release(&report);
 *	amend_plan_close(plan);
 */
#ifndef AMEND_PLAN_H
#define AMEND_PLAN_H

#include <amend/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

struct amend_plan;

struct amend_plan_info {
	const char *table;  /* as the ledger names it */
	const char *engine; /* "sqlite", "postgresql" */
	const char *source; /* its name */
	const char *at, *who;
	const char *why; /* as its maker said; NULL: not at all */
	const char *input; /* the name of the file it was made from; NULL: it has none, or one that may hold a secret */
	bool numbers_records; /* the lines that are told count its records */
	const char *input_digest; /* BLAKE2b-256 of every byte that was read, in hexadecimal; of a query, of its records */
	uint64_t read;  /* records of the input */
	size_t entries; /* of them, those that change something */
};

/*
 * Reads a plan, "-" for standard input, and proves it to be whole and
 * untouched. INVALID says what is wrong with it, on which line, or that there is none; DENIED and UNREACHABLE why
 * it cannot be read.
 */
AMEND_API enum amend_status amend_plan_open(const char *path, struct amend_plan **out,
					    struct amend_error *err) AMEND_CHECK;
/* Takes NULL. */
AMEND_API void amend_plan_close(struct amend_plan *plan);

/* Lives as long as the plan. */
AMEND_API const struct amend_plan_info *amend_plan_info(const struct amend_plan *plan);

struct amend_apply_options {
	bool dry_run;
	bool skip_locked;
	/* As those of a sync; an entry that is left alone is told as op "stale". */
	void (*on_change)(void *context, const struct amend_sync_change *change);
	void (*on_reject)(void *context, int64_t line, const char *text);
	void (*on_progress)(void *context, const struct amend_progress *progress);
	void *context;
	enum amend_status (*on_confirm)(void *context, const struct amend_confirm *confirm,
					enum amend_answer *answer, struct amend_error *err);
};

#define AMEND_APPLY_OPTIONS_INIT                           \
	{                                                  \
		false, false, NULL, NULL, NULL, NULL, NULL \
	}

/*
 * Carries a plan out: each entry whose row, base and conflict are what the
 * plan saw; one that is done already counts as unchanged, any other is stale and left alone.
 * INVALID before the first write: the plan is for another engine, or the table has
 * changed its columns. NOT_FOUND: there is no such table. Otherwise as amend_sync.
 */
AMEND_API enum amend_status amend_apply(struct amend_conn *db, const struct amend_plan *plan,
					const struct amend_apply_options *options,
					struct amend_sync_report *report,
					struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

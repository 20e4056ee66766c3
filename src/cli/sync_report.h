/* What `amend sync` tells while it runs and when it is through. */
#ifndef CLI_SYNC_REPORT_H
#define CLI_SYNC_REPORT_H

#include "changes.h"
#include "confirm.h"
#include "rejects.h"
#include "progress.h"
#include "session.h"

struct cli_sync_output {
	struct cli_session *session;
	const char *source; /* the file as named, for FILE:LINE */
	const char *table;  /* as named */
	bool numbers;       /* the source numbers its records: it has no lines */
	bool remote;        /* the source is a URL */
	bool dry_run, quiet, json;
	bool apply; /* a saved plan, whose entries may be stale */
	struct cli_changes changes, plan;
	struct cli_confirm confirm;
	struct cli_rejects kept;     /* of --rejects */
	struct json_object *missing; /* keys, of a run that --max-missing refuses; NULL: none */
	uint64_t n_missing;
	uint64_t rejects, stale;
	struct cli_progress progress;
};

/* The library's callbacks; `context` is a struct cli_sync_output. */
void cli_sync_on_change(void *context, const struct amend_sync_change *change);
enum amend_status cli_sync_on_plan(void *context, const char *bytes, size_t size,
				   struct amend_error *err);
/* The same for amend_apply: also tells what is stale. */
void cli_apply_on_change(void *context, const struct amend_sync_change *change);
enum amend_status cli_sync_on_confirm(void *context, const struct amend_confirm *question,
				      enum amend_answer *answer, struct amend_error *err);
void cli_sync_on_reject(void *context, int64_t line, const char *text);
void cli_sync_on_notice(void *context, int64_t line, const char *text);
void cli_sync_on_missing(void *context, const struct amend_field *key, size_t n_key);
void cli_sync_on_progress(void *context, const struct amend_progress *progress);

/*
 * The report, and the error where the run failed (`status`; session->err); the
 * exit code: 1 before 3 before 6.
 */
int cli_sync_finish(struct cli_sync_output *output, enum amend_status status,
		    const struct amend_sync_report *report);

#endif

/*
 * The files of `sync --rejects FILE`: the rejected records as they stood in the source, to be mended
 * and fed again, and beside it FILE.reasons, a line of JSON for each.
 */
#ifndef CLI_REJECTS_H
#define CLI_REJECTS_H

#include "changes.h"

struct cli_reject {
	int64_t line;
	char *text;
};

struct cli_rejects {
	struct cli_changes records, reasons;
	struct cli_pool *pool; /* of what follows */
	struct cli_reject *all;
	size_t n, room;
	int64_t at; /* the line of FILE that comes next */
	bool whole; /* both are written */
};

/* Nothing where it is not asked for; 0, or the exit code after the complaint. */
int cli_rejects_open(struct cli_session *session, struct cli_rejects *rejects);
void cli_rejects_add(struct cli_rejects *rejects, int64_t line, const char *text);
/* Writes both, `keep` false: nothing came of the run. 0, or the exit code after the complaint. */
int cli_rejects_close(struct cli_session *session, struct cli_rejects *rejects,
		      struct amend_source *source, bool keep);

#endif

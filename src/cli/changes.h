/*
 * Where `sync --changes`, `sync --plan` and `apply --changes` write: to standard output, straight into what is no ordinary file, or to
 * a temporary file that takes its name when the run has ended. What stood under the name stays
 * until then, and stays for good when nothing came of the run.
 */
#ifndef CLI_CHANGES_H
#define CLI_CHANGES_H

#include <stdio.h>

#include "json.h"
#include "session.h"

struct cli_changes {
	FILE *file;       /* NULL: not wanted */
	const char *name; /* as given */
	const char *option;
	char *target; /* through links; NULL: it is written directly */
	char *temporary;
	uint64_t lines;
	int failure; /* errno of the first line that could not be written */
};

/* `option`: its name, "changes". */
bool cli_changes_to_stdout(const struct cli_args *args, const char *option);
/* That the file is neither the source nor of the database, nor what --json prints to. Nothing is opened; complains. */
bool cli_changes_allowed(const struct cli_args *args, const char *option, const char *source,
			 const char *database);
/* That two options name two files. */
bool cli_changes_apart(const struct cli_args *args, const char *one, const char *other);

/* 0, or the exit code after the complaint. */
int cli_changes_open(struct cli_session *session, struct cli_changes *changes, const char *option);
/* The same under a name of its own. */
int cli_changes_open_as(struct cli_session *session, struct cli_changes *changes,
			const char *option, const char *name);
/* A line; takes `object` over. */
void cli_changes_add(struct cli_changes *changes, struct json_object *object);
/* Bytes as they are; false: they could not be written. */
bool cli_changes_write(struct cli_changes *changes, const char *bytes, size_t size);
/* `keep` false: nothing came of the run. 0, or the exit code after the complaint. */
int cli_changes_close(struct cli_changes *changes, bool keep);

#endif

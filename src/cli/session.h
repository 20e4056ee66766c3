/*
 * What a command works on: a connection, opened as the options say, and a
 * table; signals that reach it; and how a failure ends the command.
 *
 * Functions return 0, or the exit code after the complaint was made.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <amend/amend.h>

#include "options.h"

struct cli_session {
	const struct cli_args *args;
	struct amend_conn *db;
	struct amend_table *table;
	struct amend_error err;
};

enum {
	CLI_READ_ONLY = 1,
	CLI_MAY_CREATE = 2, /* SQLite: the file */
};

/* Opens `url`; --timeout, --key-file, --as and --because count where the command has them. */
int cli_open(struct cli_session *session, const struct cli_args *args, const char *url, int flags);
/* Why it is done, where that is not what --because says: cli_open has seen to that. */
int cli_because(struct cli_session *session, const char *why);
int cli_open_table(struct cli_session *session, const char *name);
/* Takes one that was not opened. */
void cli_close(struct cli_session *session);

/* Complains of session->err; with --json the error is the object printed. */
int cli_fail(struct cli_session *session);
/* Complains, prints nothing: for commands that print their own object. */
int cli_complain_of(struct cli_session *session);

/* Whether a signal asked the command to end. */
bool cli_interrupted(void);
/* Before a database is open: from here a first signal is only noted, for who reads something that may take long. */
void cli_read_interruptibly(bool reads);

/* Ends what is printed: a full disk is a failure, a closed pipe is none. Returns `code` or CLI_FAILED. */
int cli_finish(int code);
/* Nobody reads any more, or it cannot be written. */
bool cli_output_gone(void);

/* A word as it can be typed into a shell; passwords hidden. */
char *cli_quote(struct cli_pool *pool, const char *word);

#endif

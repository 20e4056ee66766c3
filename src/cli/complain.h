/* Messages on standard error: one line each, `amend: ...`, never with a password. */
#ifndef CLI_COMPLAIN_H
#define CLI_COMPLAIN_H

#include <amend/error.h>

#include "pool.h"

void cli_complain(const char *format, ...) AMEND_PRINTF(1, 2);

/* A copy without passwords: those of `//user:...@` and `password=...` become `***`. */
char *cli_hide(struct cli_pool *pool, const char *text);
/* The same as one line for people: control characters are shown, not sent. */
char *cli_scrub(struct cli_pool *pool, const char *text);

#endif

/*
 * A pager for what may be long, as git has one: $PAGER, else less -FRX, and only where standard
 * output is a terminal. PAGER=cat, or an empty one, means none.
 */
#ifndef CLI_PAGER_H
#define CLI_PAGER_H

#include <stdbool.h>
#include <sys/types.h>

struct cli_pager {
	pid_t child; /* 0: none */
	int output;  /* where standard output went before */
};

/* What is printed from now on goes through it. */
void cli_pager_open(struct cli_pager *pager, bool wanted);
/* Waits until it has been read. */
void cli_pager_close(struct cli_pager *pager);

#endif

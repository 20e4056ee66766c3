/*
 * Standard output through a pager.
 * Leaves what is worth one to the commands.
 */
#include "pager.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "complain.h"
#include "print.h"

static const char *command(void)
{
	const char *pager = getenv("PAGER");

	if (!pager)
		return "less";
	return *pager && strcmp(pager, "cat") != 0 ? pager : NULL;
}

static void become(const char *pager, int input)
{
	dup2(input, STDIN_FILENO);
	/* Ends by itself on less than a screen, lets colours through, and leaves what was shown. */
	setenv("LESS", "FRX", 0);
	execl("/bin/sh", "sh", "-c", pager, (char *)NULL);
	_exit(127);
}

void cli_pager_open(struct cli_pager *pager, bool wanted)
{
	const char *name = command();
	int ends[2];

	*pager = (struct cli_pager){.child = 0, .output = -1};
	if (!wanted || !name || !isatty(STDOUT_FILENO) || pipe2(ends, O_CLOEXEC) != 0)
		return;
	fflush(stdout);
	cli_ink_anyway();
	pager->output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	pager->child = pager->output >= 0 ? fork() : -1;
	if (pager->child == 0)
		become(name, ends[0]);
	close(ends[0]);
	if (pager->child > 0) {
		dup2(ends[1], STDOUT_FILENO);
	} else {
		pager->child = 0;
		if (pager->output >= 0)
			close(pager->output);
	}
	close(ends[1]);
}

void cli_pager_close(struct cli_pager *pager)
{
	int status = 0;

	if (!pager->child)
		return;
	fflush(stdout);
	/* Whoever has read enough is not told that the rest could not be written. */
	clearerr(stdout);
	dup2(pager->output, STDOUT_FILENO);
	close(pager->output);
	while (waitpid(pager->child, &status, 0) < 0)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		cli_complain("the pager %s could not be run (hint: PAGER=cat is none)", command());
	pager->child = 0;
}

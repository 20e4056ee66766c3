/*
 * Asking on the terminal, for each change (y n a q ?) or once for all (y n). A no to all is not done: exit 1, and
 * said. A no to one of many changes is that one's answer, and the run is through: exit 0.
 *
 *	struct cli_confirm confirm;
 *
 *	code = cli_confirm_open(&confirm, args, from_stdin);
 *	if (confirm.wanted)
 *		options->on_confirm = ...cli_confirm_ask...
 *	cli_confirm_close(&confirm);
 */
#ifndef CLI_CONFIRM_H
#define CLI_CONFIRM_H

#include <stdio.h>

#include <amend/sync.h>

#include "options.h"

struct cli_confirm {
	bool wanted; /* --confirm without --yes */
	int in;      /* the terminal */
	FILE *out;
	bool ours_in, ours_out;
};

#define CLI_OPTION_CONFIRM \
	"confirm", NULL, "show each change on the terminal and ask: y n a q ?", false
#define CLI_OPTION_YES "yes", NULL, "with --confirm: yes to all, without asking", false

/*
 * Finds the terminal: standard input, or /dev/tty where that is read from (`stdin_taken`). 0, or the exit code
 * after the complaint that there is none. Opened or not, it is closed by cli_confirm_close.
 */
int cli_confirm_open(struct cli_confirm *confirm, const struct cli_args *args, bool stdin_taken);
void cli_confirm_close(struct cli_confirm *confirm);

/* Shows the changes and reads an answer; a signal, or the terminal's end, is INTERRUPTED or "q". */
enum amend_status cli_confirm_ask(struct cli_confirm *confirm, const struct amend_confirm *question,
				  enum amend_answer *answer, struct amend_error *err);

/*
 * Asks for all at once on standard input, which is a terminal. false: no, its end (Ctrl-D), or a signal. What else
 * is typed is asked again.
 */
bool cli_agree(const char *question);

#endif

/*
 * Finds the command and runs it.
 * Leaves the list of commands to help.c, and all that they do to their own files.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <amend/amend.h>

#include "commands.h"
#include "complain.h"
#include "exit.h"
#include "session.h"

/*
 * A closed descriptor 0, 1 or 2 would become the database's, and what is printed would go there.
 * Opened the other way round, so that using it stays the error that it is.
 */
static void hold_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) == -1 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(CLI_FAILED);
	}
}

static int run(const struct cli_command *command, int argc, char **argv)
{
	struct cli_pool pool = CLI_POOL_INIT;
	struct cli_args args;
	int code = cli_parse(command, argc, argv, &pool, &args);

	if (code == 0 && args.help)
		cli_print_help(command);
	else if (code == 0)
		code = command->run(&args);
	cli_pool_release(&pool);
	return code;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "help";
	const struct cli_command *command = cli_find_command(name);
	int code;

	hold_descriptors();
	setlocale(LC_CTYPE, "");
	/* A reader that goes away, or a file that grows too large, must not end a write half way. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (command) {
		code = run(command, argc - 2, argv + 2);
	} else if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 ||
		   strcmp(name, "-h") == 0) {
		code = cli_help(argc > 2 ? argc - 2 : 0, argv + 2);
	} else if (strcmp(name, "__complete") == 0) {
		code = cli_complete(argc - 2, argv + 2);
	} else if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
		printf("amend %s\n", AMEND_VERSION);
		code = CLI_DONE;
	} else if (name[0] == '-') {
		cli_complain("expected a command first, found \"%s\" (hint: amend help lists them)",
			     name);
		code = CLI_USAGE;
	} else {
		code = cli_no_command(name);
	}
	return cli_finish(code);
}

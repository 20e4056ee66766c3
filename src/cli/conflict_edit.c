/*
 * A file in the editor of whoever runs the command.
 * Leaves what is in it to conflict_file.c and conflict_read.c.
 */
#include "conflict_file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "complain.h"
#include "exit.h"
#include "session.h"

/* NULL: none is named. */
static const char *editor(void)
{
	static const char *const names[] = {"VISUAL", "EDITOR"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *name = getenv(names[i]);

		if (name && *name)
			return name;
	}
	return NULL;
}

bool cli_can_edit(void)
{
	return editor() || (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
}

static void become(const char *program, const char *path, const char *script)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};

	sigaction(SIGINT, &usual, NULL);
	sigaction(SIGQUIT, &usual, NULL);
	/* By the shell, for it may have arguments. */
	execl("/bin/sh", "sh", "-c", script, program, path, (char *)NULL);
	_exit(127);
}

int cli_edit(const struct cli_args *args, const char *path)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old_int, old_quit;
	const char *named = editor(), *program = named ? named : "vi";
	/* The shell lives as long as the editor, whatever keys that is sent. */
	const char *script = cli_format(args->pool, "trap : INT QUIT; %s \"$1\"", program);
	int status = 0;
	pid_t child;

	/* The terminal's signals are the editor's. */
	sigaction(SIGINT, &ignore, &old_int);
	sigaction(SIGQUIT, &ignore, &old_quit);
	fflush(stdout);
	child = fork();
	if (child == 0)
		become(program, path, script);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGQUIT, &old_quit, NULL);
	if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
		cli_complain("the editor %s could not be run (hint: $VISUAL or $EDITOR names one, or "
			     "--print and --file)",
			     program);
	else
		cli_complain("the editor %s failed: nothing was settled", program);
	return CLI_FAILED;
}

static bool write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		size -= (size_t)n;
	}
	return true;
}

int cli_conflict_edit(const struct cli_args *args, int64_t id, const char *text, size_t size,
		      const char **path)
{
	const char *folder = getenv("TMPDIR");
	char *name = cli_format(args->pool, "%s/amend-conflict-%lld-XXXXXX.txt",
				folder && *folder ? folder : "/tmp", (long long)id);
	int fd = mkstemps(name, 4);
	bool ok = fd >= 0 && write_all(fd, text, size);

	*path = NULL;
	if (fd >= 0 && close(fd) != 0)
		ok = false;
	if (!ok) {
		cli_complain("%s: the file could not be written: %s (hint: $TMPDIR names another "
			     "folder)",
			     name, strerror(errno));
		/* Half of it, and nothing in it is anybody's work. */
		if (fd >= 0)
			unlink(name);
		return CLI_FAILED;
	}
	*path = name;
	return cli_edit(args, name);
}

bool cli_slurp(const struct cli_args *args, const char *path, const char **text, size_t *size)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb"), *copy = NULL;
	char *memory = NULL, part[65536];
	int failure = file ? 0 : errno;
	size_t n;

	*text = "";
	*size = 0;
	if (file)
		copy = open_memstream(&memory, size);
	if (copy) {
		while ((n = fread(part, 1, sizeof(part), file)) > 0)
			fwrite(part, 1, n, copy);
		failure = ferror(file) ? (errno ? errno : EIO) : 0;
		if (fclose(copy) != 0)
			failure = ENOMEM;
	}
	if (file && file != stdin)
		fclose(file);
	if (memory) {
		cli_keep(args->pool, memory);
		*text = memory;
	}
	if (failure != 0 || !memory)
		cli_usage(args, "%s: the file could not be read: %s", path,
			  strerror(failure ? failure : ENOMEM));
	return failure == 0 && memory;
}

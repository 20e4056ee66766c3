/*
 * Starts a command and tells what it took: seconds from fork to exit, its largest memory, and the
 * most that files under tmp= held at once, also files that have no name any more.
 * Leaves what the command does to itself. This program is small, so that the memory a child has before exec
 * counts for nothing.
 */
#include "contender.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 10 };

/* The bytes of the open files of `pid` whose name, when they had one, began with `folder`. */
static double spooled(pid_t pid, const char *folder)
{
	char path[64], name[512], target[512];
	double bytes = 0;
	struct dirent *entry;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	if (!fds)
		return 0;
	while ((entry = readdir(fds)) != NULL) {
		struct stat file;
		ssize_t size;

		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		size = readlink(name, target, sizeof(target) - 1);
		if (size <= 0)
			continue;
		target[size] = '\0';
		if (strncmp(target, folder, strlen(folder)) == 0 && stat(name, &file) == 0 &&
		    S_ISREG(file.st_mode))
			bytes += (double)file.st_blocks * 512;
	}
	closedir(fds);
	return bytes;
}

int run_spawn(const struct words *words)
{
	const char *tmp = word(words, "tmp");
	char **command = words->argv, **end = words->argv + words->argc;
	double begun, ended, most = 0;
	struct rusage usage;
	int status;
	pid_t pid;

	while (command < end && strcmp(*command, "--") != 0)
		command++;
	if (command + 1 >= end)
		die("expected -- COMMAND");
	begun = seconds();
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* bench.py ends what takes too long */
		execvp(command[1], command + 1);
		die("%s: %s", command[1], strerror(errno));
	}
	if (*tmp) {
		const struct timespec pause = {0, LOOK_MS * 1000000L};
		siginfo_t info = {0};

		while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		       info.si_pid == 0) {
			double now = spooled(pid, tmp);

			if (now > most)
				most = now;
			nanosleep(&pause, NULL);
		}
		say("spool", most);
	}
	if (wait4(pid, &status, 0, &usage) != pid)
		die("wait4: %s", strerror(errno));
	ended = seconds();
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("%s failed: %s %d", command[1], WIFEXITED(status) ? "exit code" : "signal",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	say("total", ended - begun);
	say("seconds", ended - begun);
	say("cpu", (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
			   (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6);
	say("rss_kib", (double)usage.ru_maxrss);
	return 0;
}

/*
 * Another program, as a process of its own: a line to it is a step, a line from it what that came to.
 * Leaves what the lines mean to session.c, the programs to clients/.
 */
#include "scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 60000 };

struct client {
	pid_t pid;
	int in, out; /* as seen from here: its standard input, its standard output */
	char buffer[4096];
	size_t size, line; /* bytes in `buffer`; those of the line that was returned last */
	bool dead;
};

/* --- Starting and ending --- */

static void become(char *script, char *const *words, int in, int out)
{
	/* Debian's packages are those of Debian's own interpreter. */
	static char ruby[] = "ruby", debian[] = "/usr/bin/python3", python[] = "python3";
	char *program = access(debian, X_OK) == 0 ? debian : python;
	char *args[MAX_WORDS + 3];
	size_t n = 0;

	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	if (strcmp(script + strlen(script) - 3, ".rb") == 0)
		program = ruby;
	args[n++] = program;
	args[n++] = script;
	while (*words && n < COUNT(args) - 1)
		args[n++] = *words++;
	args[n] = NULL;
	execvp(program, args);
	/* An interpreter that is missing is a package that is. */
	dprintf(STDOUT_FILENO, "lacks %s\n", program);
	_exit(0);
}

struct client *client_start(const char *folder, const char *command)
{
	struct client *client = calloc(1, sizeof(*client));
	char script[1024], line[512], *words[MAX_WORDS + 1] = {NULL}, *rest = line;
	int in[2], out[2];
	size_t n = 0;

	if (!client || pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		fail_at(__FILE__, __LINE__, "no pipes for %s", command);
	snprintf(line, sizeof(line), "%s", command);
	for (char *word; (word = strsep(&rest, " ")) && n < MAX_WORDS;) {
		if (*word)
			words[n++] = word;
	}
	snprintf(script, sizeof(script), "%s/clients/%s", folder, n > 0 ? words[0] : "");
	client->pid = fork();
	if (client->pid == 0)
		become(script, words + 1, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	client->in = in[1];
	client->out = out[0];
	client->dead = client->pid < 0;
	return client;
}

void client_kill(struct client *client)
{
	if (!client->dead)
		kill(client->pid, SIGKILL);
}

void client_end(struct client *client)
{
	if (!client)
		return;
	close(client->in); /* at the end of its input it ends */
	close(client->out);
	while (waitpid(client->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	free(client);
}

/* --- Lines --- */

bool client_tell(struct client *client, const char *line)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	size_t at = 0;

	amend_buffer_printf(&text, "%s\n", line);
	while (!client->dead && at < text.size) {
		ssize_t n = write(client->in, text.data + at, text.size - at);

		if (n < 0 && errno == EINTR)
			continue;
		client->dead = n <= 0;
		at += n > 0 ? (size_t)n : 0;
	}
	amend_buffer_release(&text);
	return !client->dead;
}

/* Reads more into the buffer. */
static bool fill(struct client *client)
{
	struct pollfd wait = {.fd = client->out, .events = POLLIN};
	ssize_t n;

	if (client->size == sizeof(client->buffer) - 1 || poll(&wait, 1, ANSWER_MS) <= 0)
		return false;
	n = read(client->out, client->buffer + client->size,
		 sizeof(client->buffer) - 1 - client->size);
	if (n <= 0)
		return false;
	client->size += (size_t)n;
	return true;
}

const char *client_hear(struct client *client)
{
	char *end;

	client->size -= client->line;
	memmove(client->buffer, client->buffer + client->line, client->size);
	client->line = 0;
	while (!(end = memchr(client->buffer, '\n', client->size))) {
		if (client->dead || !fill(client)) {
			client->dead = true;
			return "done died, or said nothing for a minute";
		}
	}
	*end = '\0';
	client->line = (size_t)(end - client->buffer) + 1;
	return client->buffer;
}

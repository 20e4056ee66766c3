/*
 * Opens what a command works on, hands signals to it, and says how it failed.
 * Leaves what is done with it to the commands.
 */
#include "session.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "complain.h"
#include "exit.h"
#include "json.h"
#include "plain.h"

/* A signal handler gets no argument: these two are what it works on. */
static struct amend_conn *volatile running;
static volatile sig_atomic_t caught;
static volatile sig_atomic_t reading; /* a source, before a database is open */

static int64_t now_ms(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How far the command has been told to end. */
enum { GOING, STOPPING, ENDING };
static volatile sig_atomic_t stage;

/*
 * The first one lets a sync finish its chunk, for a second at most; anything else it ends with the
 * statement, as the next one does. What still comes then ends the program. One right behind
 * another is the same one: timeout(1) and shells send it to the process and to its group.
 */
static void on_signal(int number)
{
	enum { SAME_MS = 200 };
	static int64_t caught_ms; /* of this handler alone, which does not interrupt itself */
	bool same = caught && now_ms() - caught_ms <= SAME_MS;

	if ((running || reading) && same)
		return;
	/* No database is open yet: who reads looks. */
	if (!running && reading && !caught) {
		caught_ms = now_ms();
		caught = number;
		return;
	}
	if (!running || stage == ENDING) {
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	caught_ms = now_ms();
	if (stage == STOPPING) {
		stage = ENDING;
		amend_interrupt(running);
		return;
	}
	caught = number;
	stage = amend_stop(running) ? STOPPING : ENDING;
	if (stage == STOPPING)
		alarm(1);
}

static void on_alarm(int number)
{
	(void)number;
	if (!running || stage != STOPPING)
		return;
	stage = ENDING;
	amend_interrupt(running);
}

static void listen_to_signals(struct amend_conn *db)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal}, alarmed = {.sa_handler = on_alarm};

	running = db;
	sigfillset(&action.sa_mask);
	sigfillset(&alarmed.sa_mask);
	sigaction(SIGALRM, &alarmed, NULL);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction before;

		/* What the caller has us ignore (nohup) stays ignored. */
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

void cli_read_interruptibly(bool reads)
{
	reading = reads;
	if (reads)
		listen_to_signals(NULL);
}

bool cli_interrupted(void)
{
	return caught != 0;
}

static const char *author(const struct cli_args *args)
{
	const char *name = cli_value(args, "as");

	if (!name)
		name = getenv("AMEND_AS");
	return name && *name ? name : NULL;
}

/* A lease of the environment counts for every command that may write. */
static enum amend_status use_lease(struct cli_session *session)
{
	const char *token = getenv("AMEND_LEASE");

	if (!token || !*token)
		return AMEND_OK;
	if (amend_use_lease(session->db, token, &session->err) != AMEND_OK)
		return amend_error_wrap(&session->err, "$AMEND_LEASE");
	return AMEND_OK;
}

int cli_open(struct cli_session *session, const struct cli_args *args, const char *url, int flags)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;

	*session = (struct cli_session){.args = args};
	options.read_only = (flags & CLI_READ_ONLY) != 0;
	options.must_exist = (flags & CLI_MAY_CREATE) == 0;
	if (cli_takes(args, "key-file"))
		options.key_file = cli_value(args, "key-file");
	if (cli_takes(args, "timeout") && !cli_duration(args, "timeout", &options.lock_timeout_ms))
		return CLI_USAGE;
	/* Leases are held long: who has not said how long to wait is told at once. */
	if (cli_takes(args, "timeout") && cli_value(args, "timeout"))
		options.lease_wait_ms = options.lock_timeout_ms;
	if (amend_open(url, &options, &session->db, &session->err) != AMEND_OK) {
		int code = cli_fail(session);

		/* 4 says that a record or a table is missing, not that there was none to ask. */
		return code == CLI_MISSING ? CLI_FAILED : code;
	}
	listen_to_signals(session->db);
	if (!options.read_only && use_lease(session) != AMEND_OK)
		return cli_fail(session);
	return cli_takes(args, "as") ? cli_because(session, cli_value(args, "because")) : 0;
}

int cli_because(struct cli_session *session, const char *why)
{
	if (amend_set_author(session->db, author(session->args), why, "amend " AMEND_VERSION,
			     &session->err) != AMEND_OK)
		return cli_fail(session);
	return 0;
}

int cli_open_table(struct cli_session *session, const char *name)
{
	if (amend_table_open(session->db, name, &session->table, &session->err) != AMEND_OK)
		return cli_fail(session);
	return 0;
}

void cli_close(struct cli_session *session)
{
	amend_table_close(session->table);
	session->table = NULL;
	running = NULL;
	amend_close(session->db);
	session->db = NULL;
}

int cli_complain_of(struct cli_session *session)
{
	cli_complain("%s", session->err.text);
	if (caught && session->err.status == AMEND_INTERRUPTED)
		return CLI_SIGNAL + caught;
	return cli_exit_code(session->err.status);
}

/* The engine's own words for it ("canceling statement") are not what the person did. */
static void name_interruption(struct amend_error *err)
{
	struct amend_error why = *err;

	if (cli_interrupted() && err->status == AMEND_INTERRUPTED &&
	    !strstr(err->text, "interrupted") && !strstr(err->text, " are in"))
		amend_error_set(err, AMEND_INTERRUPTED, "interrupted: %s", why.text);
}

int cli_fail(struct cli_session *session)
{
	name_interruption(&session->err);
	if (cli_takes(session->args, "json") && cli_has(session->args, "json")) {
		struct json_object *object = json_object_new_object();

		cli_json_add(object, "error", cli_json_error(&session->err));
		cli_json_print(object);
	}
	return cli_complain_of(session);
}

bool cli_output_gone(void)
{
	return ferror(stdout) != 0;
}

int cli_finish(int code)
{
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};

	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	/* The reader went away, as head does. */
	if (poll(&output, 1, 0) == 1 && (output.revents & (POLLERR | POLLHUP)))
		return code;
	cli_complain("standard output could not be written, so what is printed is not whole");
	return code == CLI_DONE ? CLI_FAILED : code;
}

char *cli_quote(struct cli_pool *pool, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "@%_+=:,./-";
	const char *text = cli_hide(pool, word);
	bool harmless = strcmp(cli_plain(pool, text), text) == 0;
	char *quoted, *to;

	if (*text && text[strspn(text, plain)] == '\0')
		return cli_copy(pool, text, strlen(text));
	quoted = to = cli_alloc(pool, strlen(text) * 4 + 4, 1);
	to = stpcpy(to, harmless ? "'" : "$'");
	for (; *text; text++) {
		bool odd = (unsigned char)*text < ' ' || (unsigned char)*text > '~';

		if (!harmless && odd)
			to += snprintf(to, CLI_ESCAPE_ROOM, "\\x%02x", (unsigned char)*text);
		else if (!harmless && strchr("'\\", *text))
			to += snprintf(to, CLI_ESCAPE_ROOM, "\\%c", *text);
		else if (*text == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *text;
	}
	*to = '\'';
	return quoted;
}

/*
 * `amend lock`: holds a record's lease while a command runs.
 * Leaves what a lease is to lease.c.
 */
#include "lease.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "commands.h"
#include "complain.h"
#include "exit.h"
#include "result.h"

/* How long a command has to end after it was asked to; and how soon a renewal that failed is tried again. */
enum { GRACE_MS = 5000, AGAIN_MS = 500 };
/* What one variable of the environment may hold. */
enum { LARGEST_RECORD = 100000 };
enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

struct lock {
	struct cli_session *session;
	struct cli_lease lease;
	struct amend_lease held;
	char token[sizeof(((struct amend_lease *)0)->token)];
	int ttl_ms;
	int64_t ends_ms; /* when it ends at the earliest, by our own clock */

	sigset_t signals, before; /* those that are waited for; the mask that the command gets */
	pid_t child;
	bool own_group; /* the command and what it starts can be reached by themselves */
	bool lost;
	int64_t kill_ms; /* when it is not asked any more; 0: it was not asked to end */
};

static int64_t now_ms(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the command's environment ---- */

static void put(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

/* One within another: the command may write to both records. */
static const char *all_tokens(struct cli_pool *pool, const char *token)
{
	const char *outer = getenv("AMEND_LEASE");

	return outer && *outer ? cli_format(pool, "%s %s", outer, token) : token;
}

/* The record as it is now that it is ours. */
static int hand_over(struct lock *lock)
{
	struct cli_session *session = lock->session;
	struct cli_pool *pool = session->args->pool;
	struct amend_result result = AMEND_RESULT_INIT;
	struct json_object *record;
	const char *text;

	if (amend_get(session->db, session->table, &lock->lease.key.match, true, &result,
		      &session->err) != AMEND_OK) {
		amend_result_release(&result);
		return cli_fail(session);
	}
	record = cli_json_record(session->table, result.record);
	text = json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
	if (strlen(text) > LARGEST_RECORD) {
		cli_complain("the record is too large for $AMEND_RECORD, which is not set "
			     "(hint: the command can amend get it)");
		text = NULL;
	}
	put("AMEND_RECORD", text);
	put("AMEND_VERSION", result.token);
	put("AMEND_FENCE", cli_format(pool, "%lld", (long long)lock->held.fence));
	put("AMEND_LEASE", all_tokens(pool, lock->token));
	json_object_put(record);
	amend_result_release(&result);
	return 0;
}

/* ---- the command ---- */

static void run_command(const struct lock *lock, char **words, pid_t parent)
{
	int error;

	if (lock->own_group)
		setpgid(0, 0);
#ifdef __linux__
	/* Whoever is killed renews nothing more. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(CLI_FAILED);
#endif
	(void)parent;
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, &lock->before, NULL);
	execvp(words[0], words);
	error = errno;
	cli_complain("%s: %s", words[0], strerror(error));
	_exit(error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}

static bool start(struct lock *lock)
{
	const struct cli_args *args = lock->session->args;
	char **words = cli_alloc(args->pool, args->n_words, sizeof(*words));
	pid_t parent = getpid();

	for (size_t i = 3; i < args->n_words; i++)
		words[i - 3] = cli_copy(args->pool, args->words[i], strlen(args->words[i]));
	sigemptyset(&lock->signals);
	sigaddset(&lock->signals, SIGCHLD);
	sigaddset(&lock->signals, SIGINT);
	sigaddset(&lock->signals, SIGTERM);
	sigaddset(&lock->signals, SIGHUP);
	sigaddset(&lock->signals, SIGQUIT);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &lock->signals, &lock->before);
	/* In front of a terminal it stays where the keys reach it. */
	lock->own_group = tcgetpgrp(STDIN_FILENO) != getpgrp();
	fflush(NULL);
	lock->child = fork();
	if (lock->child == 0)
		run_command(lock, words, parent);
	if (lock->child < 0) {
		cli_complain("the command cannot be started: %s", strerror(errno));
		return false;
	}
	if (lock->own_group)
		setpgid(lock->child, lock->child);
	return true;
}

static void pass_on(const struct lock *lock, int number)
{
	kill(lock->own_group ? -lock->child : lock->child, number);
}

/* Also one that is stopped hears of it. */
static void ask_to_end(struct lock *lock)
{
	lock->lost = true;
	lock->kill_ms = now_ms() + GRACE_MS;
	pass_on(lock, SIGTERM);
	pass_on(lock, SIGCONT);
}

/* ---- keeping the lease ---- */

static int reopen(struct lock *lock)
{
	struct cli_session *session = lock->session;
	const struct cli_args *args = session->args;
	int code;

	cli_close(session);
	code = cli_open(session, args, args->words[0], 0);
	return code ? code : cli_lease_open(session, args->words[1], &lock->lease);
}

/* False: it is lost, or may be. What fails for another reason is tried again while there is time. */
static bool renew(struct lock *lock)
{
	struct cli_session *session = lock->session;
	struct amend_lease lease;
	int64_t begun = now_ms();
	enum amend_status status = AMEND_UNREACHABLE;

	if (session->db && session->table)
		status = amend_lease_renew(session->db, &lock->lease.name, lock->token,
					   lock->ttl_ms, &lease, &session->err);
	if (status == AMEND_OK) {
		lock->ends_ms = begun + lock->ttl_ms;
		return true;
	}
	if ((status == AMEND_LOCKED && !*session->err.sqlstate) || status == AMEND_INVALID ||
	    status == AMEND_NOT_FOUND) {
		cli_complain("%s: %s; the command is stopped", lock->lease.text, session->err.text);
		return false;
	}
	if (now_ms() >= lock->ends_ms) {
		cli_complain(
			"%s: the lease could not be renewed in time: %s; the command is stopped",
			lock->lease.text, session->err.text);
		return false;
	}
	if (status == AMEND_UNREACHABLE || status == AMEND_OUTCOME_UNKNOWN)
		reopen(lock);
	return true;
}

/* Waits for a signal until `until`: its number, 0 when there was none. */
static int await(const struct lock *lock, int64_t until, siginfo_t *info)
{
	int64_t left = until - now_ms();
	struct timespec time = {0};

	if (left > 0) {
		time.tv_sec = (time_t)(left / 1000);
		time.tv_nsec = (long)(left % 1000) * 1000000;
	}
	left = sigtimedwait(&lock->signals, info, &time);
	return left > 0 ? (int)left : 0;
}

/* Until the command has ended: what wait says of it. */
static int watch(struct lock *lock)
{
	int64_t next = now_ms() + lock->ttl_ms / 3;

	for (;;) {
		siginfo_t info = {0};
		int number = await(lock, lock->kill_ms ? lock->kill_ms : next, &info), status;

		/* What the terminal sent it sent to the command too. */
		if (number && number != SIGCHLD && (lock->own_group || info.si_code <= 0))
			pass_on(lock, number);
		if (waitpid(lock->child, &status, WNOHANG) == lock->child)
			return status;
		if (lock->kill_ms && now_ms() >= lock->kill_ms) {
			pass_on(lock, SIGKILL);
			lock->kill_ms += GRACE_MS;
		}
		if (lock->lost || now_ms() < next)
			continue;
		if (!renew(lock))
			ask_to_end(lock);
		next = lock->ends_ms - lock->ttl_ms * (int64_t)2 / 3;
		if (next <= now_ms())
			next = now_ms() +
			       (lock->ttl_ms < 3 * AGAIN_MS ? lock->ttl_ms / 6 : AGAIN_MS);
	}
}

static int finish(struct lock *lock, int status)
{
	struct cli_session *session = lock->session;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : CLI_SIGNAL + WTERMSIG(status);

	if (lock->lost)
		return CLI_LOCKED;
	if (!session->db || !session->table ||
	    amend_lease_release(session->db, &lock->lease.name, lock->token, &session->err) ==
		    AMEND_OK)
		return code;
	cli_complain("%s: %s", lock->lease.text, session->err.text);
	return code == CLI_DONE && session->err.status == AMEND_LOCKED ? CLI_LOCKED : code;
}

static int acquire(struct lock *lock, int wait_ms)
{
	struct cli_session *session = lock->session;
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
	int64_t begun = now_ms();

	options.ttl_ms = lock->ttl_ms;
	options.wait_ms = wait_ms;
	options.mandatory = true;
	if (amend_lease_acquire(session->db, &lock->lease.name, &options, &lock->held,
				&session->err) != AMEND_OK) {
		if (session->err.status == AMEND_LOCKED)
			amend_error_wrap(&session->err, "%s", lock->lease.text);
		return cli_fail(session);
	}
	/* What it waited for is not time that the lease has lived. */
	lock->ends_ms = (wait_ms ? now_ms() - lock->ttl_ms + lock->held.left_ms : begun) +
			lock->ttl_ms;
	memcpy(lock->token, lock->held.token, sizeof(lock->token));
	return 0;
}

static int run(const struct cli_args *args)
{
	struct cli_session session = {.args = args};
	struct lock lock = {.session = &session, .ttl_ms = 30000};
	int wait_ms = 0, code;

	if (!cli_lease_parse(args, args->words[1], args->words[2], &lock.lease) ||
	    !cli_duration(args, "ttl", &lock.ttl_ms) || !cli_duration(args, "wait", &wait_ms))
		return CLI_USAGE;
	code = cli_open(&session, args, args->words[0], 0);
	if (code == 0)
		code = cli_lease_open(&session, args->words[1], &lock.lease);
	if (code == 0)
		code = acquire(&lock, wait_ms);
	if (code == 0) {
		code = hand_over(&lock);
		if (code == 0)
			code = finish(&lock, start(&lock) ? watch(&lock) : CLI_FAILED << 8);
		else if (amend_lease_release(session.db, &lock.lease.name, lock.token,
					     &session.err) != AMEND_OK)
			cli_complain("%s", session.err.text);
	}
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"ttl", "TIME", "how long the lease outlives amend, should it be killed: 5s, 2m (30s)",
	 false},
	{"wait", "TIME", "wait this long while another has the record (not at all)", false},
	{CLI_OPTION_KEY},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{CLI_OPTION_KEY_FILE},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_lock = {
	.name = "lock",
	.words = "DB TABLE KEY=VALUE COMMAND...",
	.summary = "keep others out of a record while a command runs",
	.about =
		"Takes the record's lease, which every write to it then needs, runs the command, and\n"
		"gives the lease back. The command finds the record as JSON in $AMEND_RECORD, its version\n"
		"in $AMEND_VERSION, and the lease in $AMEND_LEASE, so that its own amend set passes.\n"
		"Nothing is locked in the database meanwhile. -- in front of the command ends the options.",
	.examples = "amend lock app.db stock sku=42 -- ./count-by-hand\n"
		    "amend lock app.db stock sku=42 --wait 10s -- sh -c 'amend set app.db stock sku=42 qty:=7'\n"
		    "amend lock app.db doc id=7 --ttl 5m --as anna -- ./edit-doc",
	.exits = "0 the command's own: it ends as the command does\n"
		 "1 failed  2 wrong use  4 no such record or table\n"
		 "5 another has the record, or the lease was lost and the command stopped\n"
		 "126 the command cannot be run  127 there is no such command",
	.options = options,
	.least = 4,
	.most = CLI_ANY_NUMBER,
	.run = run,
};

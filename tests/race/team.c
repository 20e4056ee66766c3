/*
 * Starting, killing and tallying the processes of a race.
 * Leaves what they do to racer.c.
 */
#include "team.h"

#include <sys/auxv.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *log_of(const struct team *team, int which)
{
	return engine_printf(team->engine, "%s/log-%s-%d", team->engine->folder, team->job, which);
}

/* Beside this program. */
static const char *racer_path(struct engine *engine)
{
	/* As the kernel was asked for it: a bare chroot has no /proc to look in. */
	const char *self = (const char *)getauxval(AT_EXECFN);

	assert_non_null(self);
	assert_non_null(strrchr(self, '/'));
	return engine_printf(engine, "%.*s/racer", (int)(strrchr(self, '/') - self), self);
}

static void start_one(struct team *team)
{
	int which = team->n++;
	const char *path = racer_path(team->engine), *log = log_of(team, which);
	const char *number = engine_printf(team->engine, "%d", which + 1);
	const char *seed = engine_printf(team->engine, "%u", team->seed);
	const char *url = team->urls[which % team->n_urls];
	const char *words[] = {path,      url,         log,         number, seed,
			       team->job, team->times, team->token, NULL};
	char *copies[COUNT(words)];
	pid_t pid;

	assert_true(team->n <= MOST_RACERS);
	for (size_t i = 0; i < COUNT(words); i++)
		copies[i] = words[i] ? strdup(words[i]) : NULL;
	pid = fork();
	if (pid == 0) {
		dup2(team->start[0], STDIN_FILENO);
		dup2(team->ready[1], STDOUT_FILENO);
		execv(path, copies);
		_exit(127);
	}
	for (size_t i = 0; i < COUNT(words); i++)
		free(copies[i]);
	assert_true(pid > 0);
	team->pids[which] = pid;
}

static void end(void *thing)
{
	struct team *team = thing;

	for (int i = 0; i < team->n; i++) {
		if (team->pids[i] == 0)
			continue;
		kill(team->pids[i], SIGKILL);
		waitpid(team->pids[i], NULL, 0);
	}
	for (int i = 0; i < 2; i++) {
		close(team->start[i]);
		close(team->ready[i]);
	}
}

struct team *team_open_at(struct engine *engine, const char *const *urls, int n_urls, int n,
			  unsigned seed, const char *job, const char *times, const char *token)
{
	struct team *team = amend_arena_alloc(engine_arena(engine), sizeof(*team));

	assert_non_null(team);
	team->engine = engine;
	team->urls = urls;
	team->n_urls = n_urls;
	team->job = job, team->times = times, team->token = token;
	team->seed = seed;
	assert_int_equal(pipe2(team->start, O_CLOEXEC), 0);
	assert_int_equal(pipe2(team->ready, O_CLOEXEC), 0);
	engine_defer(engine, end, team);
	while (team->n < n)
		start_one(team);
	return team;
}

struct team *team_open(struct engine *engine, int n, unsigned seed, const char *job,
		       const char *times, const char *token)
{
	return team_open_at(engine, &engine->url, 1, n, seed, job, times, token);
}

void team_start(struct team *team)
{
	char byte;

	close(team->ready[1]);
	team->ready[1] = -1;
	for (int i = 0; i < team->n; i++) {
		if (read(team->ready[0], &byte, 1) != 1)
			fail_at(__FILE__, __LINE__, "a racer did not come to the start");
	}
	team->begun = now_ms();
	close(team->start[1]);
	team->start[1] = -1;
}

void team_add(struct team *team)
{
	/* Nobody listens any more: let it say that it is ready to /dev/null. */
	if (team->ready[1] < 0)
		team->ready[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	start_one(team);
}

void team_kill(struct team *team, int which)
{
	int status;

	if (team->pids[which] == 0)
		return;
	kill(team->pids[which], SIGKILL);
	assert_int_equal(waitpid(team->pids[which], &status, 0), team->pids[which]);
	assert_true(WIFSIGNALED(status));
	team->pids[which] = 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* When all calls of all logs began and ended. */
struct calls {
	uint64_t *begun, *ended;
	size_t n, room;
};

static void add_call(struct calls *calls, const struct racer_entry *entry)
{
	if (calls->n == calls->room) {
		calls->room = calls->room ? 2 * calls->room : 4096;
		calls->begun = realloc(calls->begun, calls->room * sizeof(*calls->begun));
		calls->ended = realloc(calls->ended, calls->room * sizeof(*calls->ended));
		assert_non_null(calls->begun);
		assert_non_null(calls->ended);
	}
	calls->begun[calls->n] = entry->begun;
	calls->ended[calls->n++] = entry->ended;
}

/* How many of the sorted times come before `time`. */
static size_t before(const uint64_t *times, size_t n, uint64_t time)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (times[middle] < time)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/*
 * A machine that stands still makes all of them late and lets nobody overtake, so that a
 * test may judge by that where it does not know the machine.
 */
static void tell_waits(struct calls *calls, struct tally *tally)
{
	uint64_t *waits = calloc(calls->n, sizeof(*waits)), *ended = calls->ended;
	size_t n = calls->n;

	assert_non_null(waits);
	for (size_t i = 0; i < n; i++)
		waits[i] = ended[i] - calls->begun[i];
	qsort(ended, n, sizeof(*ended), compare);
	for (size_t i = 0; i < n; i++) {
		uint64_t begun = calls->begun[i];
		size_t others = before(ended, n, begun + waits[i]) - before(ended, n, begun);

		if (others > tally->overtaken)
			tally->overtaken = others;
	}
	qsort(waits, n, sizeof(*waits), compare);
	tally->longest = waits[n - 1];
	tally->late = waits[n - 1 - n / 1000];
	free(waits);
}

static void read_log(struct team *team, int which, struct tally *tally, struct calls *calls)
{
	FILE *file = fopen(log_of(team, which), "re");
	struct racer_entry entry;
	bool open_call = false;
	size_t nth = 0;

	while (file && fread(&entry, sizeof(entry), 1, file) == 1) {
		if (entry.before) {
			open_call = true;
			continue;
		}
		open_call = false;
		tally->calls++;
		if (team->each)
			team->each(team->context, which, nth, &entry);
		nth++;
		assert_true(entry.status < COUNT(tally->by_status));
		assert_true(entry.outcome < COUNT(tally->by_outcome));
		tally->by_status[entry.status]++;
		tally->by_outcome[entry.outcome]++;
		if (entry.status == AMEND_STALE)
			tally->told[entry.told <= MOST_RACERS ? entry.told : 0]++;
		add_call(calls, &entry);
	}
	tally->unknown += open_call;
	if (file)
		fclose(file);
}

struct tally *team_finish(struct team *team)
{
	struct tally *tally = amend_arena_alloc(engine_arena(team->engine), sizeof(*tally));
	struct calls calls = {0};

	assert_non_null(tally);
	for (int i = 0; i < team->n; i++) {
		int status;

		if (team->pids[i] == 0)
			continue;
		assert_int_equal(waitpid(team->pids[i], &status, 0), team->pids[i]);
		team->pids[i] = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_at(__FILE__, __LINE__, "racer %d ended with %d", i + 1, status);
	}
	tally->ms = now_ms() - team->begun;
	for (int i = 0; i < team->n; i++)
		read_log(team, i, tally, &calls);
	if (calls.n > 0)
		tell_waits(&calls, tally);
	free(calls.begun);
	free(calls.ended);
	return tally;
}

void team_say(struct team *team, const struct tally *tally, const char *what)
{
	double seconds = (double)tally->ms / 1000;

	print_message(
		"# %s: %s: seed %u, %llu calls in %.1f s (%.0f a second), longest wait %.0f ms, "
		"99.9 %% within %.0f ms, overtaken by %llu at most\n",
		team->engine->name, what, team->seed, (unsigned long long)tally->calls, seconds,
		(double)tally->calls / (seconds > 0 ? seconds : 1), (double)tally->longest / 1000,
		(double)tally->late / 1000, (unsigned long long)tally->overtaken);
}

/* Racers of a test: started together, killed, waited for, their logs read. */
#ifndef TESTS_RACE_TEAM_H
#define TESTS_RACE_TEAM_H

#include <sys/types.h>

#include "engines.h"
#include "racer.h"

enum { RACERS = 16, MOST_RACERS = 200 };

struct team {
	struct engine *engine;
	const char *job, *times, *token;
	const char *const *urls;
	int n_urls;
	unsigned seed;
	int start[2], ready[2]; /* pipes: closing start[1] is the start */
	pid_t pids[MOST_RACERS];
	int n;         /* started so far */
	int64_t begun; /* when they started; ms */
	/* For each call that returned, the n-th of its racer; NULL: nobody asks. */
	void (*each)(void *context, int which, size_t nth, const struct racer_entry *entry);
	void *context;
};

/* What the logs of a team say. */
struct tally {
	uint64_t calls;   /* returned */
	uint64_t unknown; /* begun, and the process was killed before they returned */
	uint64_t by_status[32];
	uint64_t by_outcome[32];
	uint64_t told[MOST_RACERS + 1]; /* STALE: by whom */
	uint64_t longest, late;         /* microseconds; late: 99.9 % took no longer */
	uint64_t overtaken;             /* the most calls of others that ended during one */
	int64_t ms;                     /* from the start to the end of all */
};

/* `n` racers, ready to start. `times` and `token` may be NULL. */
struct team *team_open(struct engine *engine, int n, unsigned seed, const char *job,
		       const char *times, const char *token);
/* The same at several places that show one database, in turn. */
struct team *team_open_at(struct engine *engine, const char *const *urls, int n_urls, int n,
			  unsigned seed, const char *job, const char *times, const char *token);
void team_start(struct team *team);
/* One more, which starts at once. */
void team_add(struct team *team);
void team_kill(struct team *team, int which);
/* Waits for all; each must end by itself with 0, or have been killed by team_kill. */
struct tally *team_finish(struct team *team);
/* "# postgresql: 32000 calls in 9 s (3555 a second), longest wait 80 ms, during which ...": for people. */
void team_say(struct team *team, const struct tally *tally, const char *what);

#endif

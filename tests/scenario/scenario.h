/*
 * Scenarios: several people and programs at one database, step by step, in every
 * order (README.md describes the files). What the runner's files share.
 */
#ifndef TESTS_SCENARIO_SCENARIO_H
#define TESTS_SCENARIO_SCENARIO_H

#include <pthread.h>
#include <stdatomic.h>

#include "engines_private.h"

#include <amend/amend.h>

/* In states: a column of which nothing is told, a record that is not there. */
#define UNTOLD "?"
#define NO_RECORD "none"
#define LEASED "1"

enum {
	MAX_SESSIONS = 6,
	MAX_STEPS = 24,
	MAX_TABLES = 4,
	MAX_LINES = 96,
	MAX_EDGES = 256,
	MAX_WORDS = 16
};

/* --- The file, parse.c --- */

struct step {
	const char *name; /* without its session's */
	const char *mark; /* NULL: everywhere */
	const char *text;
};

struct plan {
	const char *name;
	bool program;        /* not amend: its steps are SQL */
	const char *command; /* a client: a process of its own; else NULL */
	struct client *client;
	struct step steps[MAX_STEPS];
	size_t n_steps;
};

/* Lines, each for where its mark says, or (NULL) everywhere. */
struct lines {
	const char *mark[MAX_LINES];
	const char *text[MAX_LINES];
	size_t n;
};

struct order {
	const char *steps;   /* "ada.load bob.load", NULL: all interleavings */
	struct lines expect; /* none: only what holds in every order */
};

struct final {
	const char *sql;
	struct lines expect;
};

/* The table is guarded, with history: the file runs once with each of the rules. */
struct guarding {
	const char *table; /* NULL: none is */
	const char *version_column;
	const char *rules[3];
	size_t n_rules;
};

struct scenario {
	struct lines setup; /* SQL */
	struct guarding guard;
	const char *rule; /* of this run; "": nothing is guarded */
	const char *tables[MAX_TABLES];
	size_t n_tables;
	struct plan plans[MAX_SESSIONS];
	size_t n_plans;
	struct order orders[MAX_LINES];
	size_t n_orders;
	struct final finals[8];
	size_t n_finals;
};

/* Everything lives in the arena. Fails the test where the file is wrong. */
struct scenario *scenario_read(const char *path, struct amend_arena *arena);

/* Whether what has this mark, "sqlite", "next sqlite", "equal,either" (NULL: everything), is for this run. */
bool scenario_for(const struct scenario *scenario, const struct engine *engine, const char *mark);

/* --- Programs of their own, client.c --- */

/* `command`: a file of clients/ in the folder, and its words. Its first line is "ready", or "lacks PACKAGE". */
struct client *client_start(const char *folder, const char *command);
void client_end(struct client *client);
void client_kill(struct client *client);
bool client_tell(struct client *client, const char *line);
/* The next line, until the next call. One that has died says that for good. */
const char *client_hear(struct client *client);

/* --- What was acknowledged, facts.c --- */

/* One acknowledged write: a record's state before and after it, NO_RECORD where there was, or is, none; columns may be UNTOLD. */
struct edge {
	size_t table;
	char *key, *before, *after;
};

struct facts {
	pthread_mutex_t mutex;
	struct edge edges[MAX_EDGES]; /* committed */
	size_t n;
	struct amend_buffer wrong; /* lines: what must not be */
	size_t n_blind;            /* writes of programs that tell of them, but not on what */
	bool foreign;              /* programs write too: their edges are not known */
};

void facts_edge(struct edge *edge, size_t table, const char *key, const char *before,
		const char *after);
void facts_drop(struct edge *edges, size_t n);
/* Takes the edges over. */
void facts_add(struct facts *facts, const struct edge *edges, size_t n);
void facts_wrong(struct facts *facts, const char *format, ...) AMEND_PRINTF(2, 3);
/* The records of a table, "KEY\tSTATE" by line, in order. */
char *facts_dump(struct amend_conn *db, const struct amend_table *table);
/* Every acknowledged write is one link of a chain from the first state to the last. */
void facts_check(struct facts *facts, size_t table, const char *name, const char *first,
		 const char *last);
void facts_release(struct facts *facts);
struct run;
/* History has as many changes as were acknowledged, where all are known; the scenario's `final` queries. */
void facts_history(struct run *run);
void facts_finals(struct run *run);

/* "1|ada|NULL" and the identity's part of it. Freed by the caller. */
char *facts_state(const struct amend_table *table, const struct amend_value *record);
char *facts_key(const struct amend_table *table, const struct amend_value *record);
void facts_value(struct amend_buffer *out, const struct amend_value *value);

/* --- Sessions, session.c --- */

/* What a session saw last of a table. */
struct seen {
	char *state;
	char *token;
	char **values; /* by column; NULL: SQL NULL */
	size_t n;
};

struct session {
	struct run *run;
	const struct plan *plan;
	struct amend_conn *db; /* not of a program or client */
	void *handle;          /* of a program */
	atomic_bool waiting; /* SQLite: its busy handler was asked; a client asks for the write lock */
	struct foreign_result result;
	char pid[32]; /* PostgreSQL */
	pthread_t thread;
	bool started;
	struct seen seen[MAX_TABLES];
	char imported[256]; /* the input of its first sync */
	size_t n_imports;
	char lease[80];                       /* the token of the one that it took last; "": none */
	int64_t fence;                        /* and its number */
	char version[AMEND_CONFLICT_VERSION]; /* of the conflict, as a settlement that came too late was shown it */

	/* SQLite: its write lock, as the driver's trace tells of it */
	atomic_bool beginning, holds;

	/* under run->mutex: */
	const struct step *queue[MAX_STEPS];
	size_t n_queue, taken;
	const struct step *now; /* running; NULL: idle */
	bool finished;          /* and its output waits to be collected */
	bool said_waiting;
	struct amend_buffer output; /* lines */

	/* the thread's own: the unit that is open */
	size_t depth;
	const struct step *done[MAX_STEPS];
	bool reported[MAX_STEPS];
	size_t n_done, replay;
	struct edge pending[MAX_EDGES];
	size_t n_pending, n_blind;
	const struct step *ending;
};

/* One order of the steps on one engine. */
struct run {
	struct engine *engine;
	const struct scenario *scenario;
	struct session sessions[MAX_SESSIONS];
	size_t n;
	struct amend_table *tables[MAX_TABLES];
	struct facts facts;
	void *monitor;            /* asks who waits */
	atomic_bool asking;       /* whether it waits itself: of no interest */
	_Atomic int64_t conflict; /* of the last save that was not merged */
	_Atomic int64_t held;     /* the number of the lease that somebody has; 0: nobody */
	_Atomic int64_t fence;    /* the highest number that was given */
	atomic_bool mandatory;    /* the lease that is held */
	size_t acting;            /* the session whose step was handed out last */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool stop;
};

void session_start(struct session *session);
/* After run->stop is set and the condition is signalled. */
void session_stop(struct session *session);
/* The result of the step that now runs; in a rerun, of one that ran before. */
void session_say(struct session *session, size_t place, const struct step *step, const char *text);

/* --- One operation, operation.c --- */

/* Runs one step that is a call of amend's; appends what it came to. */
enum amend_status operation_run(struct session *session, const struct step *step,
				struct amend_buffer *said, struct amend_error *err);

/* --- Leases, lease.c; of a scenario the record that has LEASED as its key may be leased --- */

bool lease_is(const char *verb);
enum amend_status lease_run(struct session *session, const char *verb,
			    const struct amend_lease_name *name, bool mandatory,
			    struct amend_buffer *said, struct amend_error *err);

/* Around a write: who has the lease, and whether what was acknowledged may be. */
struct lease_look {
	int64_t held;
	bool mandatory;
};

struct lease_look lease_before(const struct session *session);
/* `key`: as in an edge. */
void lease_wrote(struct session *session, const struct step *step, const char *key,
		 struct lease_look before, bool carried);

/* --- Syncs, import.c --- */

bool import_is(const struct step *step);
enum amend_status import_run(struct session *session, const struct step *step,
			     struct amend_buffer *said, struct amend_error *err);

/* --- One order, run.c --- */

/* Runs it; the output, one line a step; false: something that holds in every order does not. */
bool run_order(struct engine *engine, const struct scenario *scenario, const char *order,
	       struct amend_buffer *output);

#endif

/*
 * A turn: fairness among amend's writers to one SQLite file.
 *
 * SQLite's busy handlers poll, so a writer that is unlucky may starve for many
 * seconds. Writers of amend therefore queue: whoever has the turn tries for
 * SQLite's write lock, the others sleep and are woken in the order in which
 * they came. The turn protects nothing. SQLite's own lock remains the
 * exclusion, so whatever goes wrong here costs fairness and nothing else, and
 * writers that know nothing of the turn compete as ever.
 *
 * The state is one page shared by all processes, in DATABASE-turn beside the
 * database, removed by the last one out. A participant owns one slot of it, proven by a
 * lock on a byte of the file that the kernel releases when its process dies:
 * no state can be stale after kill -9, power loss, or a copy of the file.
 *
 *	turn = amend_turn_open("/srv/app.db", &problem);
 *	got = amend_turn_take(turn, until, stopped, context);
 *	... BEGIN IMMEDIATE, with or without it; COMMIT ...
 *	if (got)
 *		amend_turn_give(turn);
 *
 * Linux only (futexes, OFD locks); elsewhere there is no turn.
 */
#ifndef AMEND_SQL_DRIVER_TURN_H
#define AMEND_SQL_DRIVER_TURN_H

#include <stdbool.h>
#include <stdint.h>

struct amend_turn;

/* Monotonic nanoseconds. */
int64_t amend_turn_clock(void);

/*
 * How long a living holder may keep the others from competing for SQLite's lock, in nanoseconds: half a second. Not
 * constant for the tests alone, which tell a stall from a slow machine by it.
 */
extern int64_t amend_turn_stall;

/* NULL when there is none to be had; `*problem` then says why. */
struct amend_turn *amend_turn_open(const char *database, const char **problem);
/* Takes NULL. Gives back what is held. */
void amend_turn_close(struct amend_turn *turn);

/*
 * Waits for the turn until `until` (INT64_MAX: without limit), or until
 * `stop(context)` says so (asked at least every 20 ms and after a signal). False:
 * go on without it. A turn that did not move for amend_turn_stall is taken from its holder.
 */
bool amend_turn_take(struct amend_turn *turn, int64_t until, bool (*stop)(void *context),
		     void *context);
/* Hands it on. Harmless when it was taken away meanwhile. */
void amend_turn_give(struct amend_turn *turn);

#endif

/* Time and chance. */
#ifndef AMEND_CORE_CLOCK_H
#define AMEND_CORE_CLOCK_H

#include <stdint.h>

/* Monotonic milliseconds: for limits, not for history. */
int64_t amend_clock_ms(void);
/* Seconds since 1970, UTC. */
int64_t amend_clock_now(void);
/*
 * Now, by two clocks: what a row with a time in it is compared with where the database has no
 * clock of its own. Nobody sets the first one, but it means something only where `id` is the same.
 */
enum { AMEND_CLOCK_ID = 80 };
struct amend_instant {
	char id[AMEND_CLOCK_ID]; /* of this machine since it was started; "": not known */
	int64_t running;         /* ms since then, sleep included; where id is "": wall */
	int64_t wall;            /* ms since 1970, UTC */
};
void amend_clock_instant(struct amend_instant *out);
void amend_clock_sleep_ms(int ms);
/* Unpredictable enough for jitter and names, not for secrets. */
uint32_t amend_clock_random(void);

#endif

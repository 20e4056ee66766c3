/* Time and chance. */
#ifndef AMEND_CORE_CLOCK_H
#define AMEND_CORE_CLOCK_H

#include <stdint.h>

/* Monotonic milliseconds: for limits, not for history. */
int64_t amend_clock_ms(void);
/* Seconds since 1970, UTC. */
int64_t amend_clock_now(void);
void amend_clock_sleep_ms(int ms);
/* Unpredictable enough for jitter and names, not for secrets. */
uint32_t amend_clock_random(void);

#endif

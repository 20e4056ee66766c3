/*
 * Clocks and jitter.
 * Leaves secrets to libsodium.
 */
#include "core/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

int64_t amend_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t amend_clock_now(void)
{
	return (int64_t)time(NULL);
}

void amend_clock_sleep_ms(int ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

uint32_t amend_clock_random(void)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number)) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		number = (uint32_t)now.tv_nsec * 2654435761u;
	}
	return number;
}

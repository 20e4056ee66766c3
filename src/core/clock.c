/*
 * Clocks and jitter.
 * Leaves secrets to libsodium.
 */
#include "core/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

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

static int64_t ms_of(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A container may have a clock of its own: its namespace is part of the name. */
static void name_clock(char id[AMEND_CLOCK_ID])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	char space[32];
	ssize_t size;

	id[0] = '\0';
	if (!file)
		return;
	if (!fgets(id, 40, file))
		id[0] = '\0';
	fclose(file);
	id[strcspn(id, "\n")] = '\0';
	size = readlink("/proc/self/ns/time", space, sizeof(space) - 1);
	if (size > 0 && id[0]) {
		space[size] = '\0';
		strncat(id, space, AMEND_CLOCK_ID - 1 - strlen(id));
	}
}

void amend_clock_instant(struct amend_instant *out)
{
	name_clock(out->id);
	out->wall = ms_of(CLOCK_REALTIME);
#ifdef CLOCK_BOOTTIME
	out->running = out->id[0] ? ms_of(CLOCK_BOOTTIME) : out->wall;
#else
	out->id[0] = '\0';
	out->running = out->wall;
#endif
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

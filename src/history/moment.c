/*
 * Moments as people write them: revisions and times.
 * Leaves what a moment means for a record to past.c.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <amend/history.h>

/* What was read of a time; `width`: how much of "2026-11-21 21:30:04.123456" was given. */
struct clock {
	int year, month, day, hour, minute, second;
	char fraction[8]; /* ".5", as given, at most six digits */
	size_t width;
	int offset; /* minutes east of UTC */
};

/* `n` digits at `*at`, which moves behind them. */
static bool digits(const char **at, int n, int least, int most, int *out)
{
	*out = 0;
	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char)(*at)[i]))
			return false;
		*out = *out * 10 + ((*at)[i] - '0');
	}
	*at += n;
	return *out >= least && *out <= most;
}

static bool sign(const char **at, const char *which)
{
	if (!**at || !strchr(which, **at))
		return false;
	++*at;
	return true;
}

static bool read_date(const char **at, struct clock *clock)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap;

	if (!digits(at, 4, 1, 9999, &clock->year) || !sign(at, "-") ||
	    !digits(at, 2, 1, 12, &clock->month) || !sign(at, "-") ||
	    !digits(at, 2, 1, 31, &clock->day))
		return false;
	clock->width = strlen("2026-11-21");
	leap = (clock->year % 4 == 0 && clock->year % 100 != 0) || clock->year % 400 == 0;
	return clock->day <= days[clock->month - 1] + (leap && clock->month == 2);
}

static bool read_fraction(const char **at, struct clock *clock)
{
	size_t n = 0;

	clock->fraction[n++] = '.';
	for (; isdigit((unsigned char)**at); ++*at) {
		if (n < 7)
			clock->fraction[n++] = **at;
	}
	clock->width += n;
	return n > 1;
}

static bool read_time(const char **at, struct clock *clock)
{
	if (!digits(at, 2, 0, 23, &clock->hour) || !sign(at, ":") ||
	    !digits(at, 2, 0, 59, &clock->minute))
		return false;
	clock->width = strlen("2026-11-21 21:30");
	if (!sign(at, ":"))
		return true;
	clock->width = strlen("2026-11-21 21:30:04");
	return digits(at, 2, 0, 59, &clock->second) && (!sign(at, ".") || read_fraction(at, clock));
}

static bool read_zone(const char **at, struct clock *clock)
{
	int hours = 0, minutes = 0;
	bool west;

	if (**at == ' ')
		++*at;
	if (strcmp(*at, "Z") == 0 || strcmp(*at, "UTC") == 0 || !**at) {
		*at += strlen(*at);
		return true;
	}
	west = **at == '-';
	if (!sign(at, "+-") || !digits(at, 2, 0, 15, &hours))
		return false;
	if (sign(at, ":") || **at) {
		if (!digits(at, 2, 0, 59, &minutes))
			return false;
	}
	clock->offset = (west ? -1 : 1) * (hours * 60 + minutes);
	return !**at;
}

static bool read_clock(const char *text, struct clock *clock)
{
	*clock = (struct clock){0};
	if (!read_date(&text, clock))
		return false;
	if (!*text)
		return true;
	return sign(&text, " T") && read_time(&text, clock) && read_zone(&text, clock);
}

static bool write_clock(const struct clock *clock, struct amend_moment *out)
{
	struct tm tm = {.tm_year = clock->year - 1900,
			.tm_mon = clock->month - 1,
			.tm_mday = clock->day,
			.tm_hour = clock->hour,
			.tm_min = clock->minute - clock->offset,
			.tm_sec = clock->second};
	time_t seconds = timegm(&tm);
	char text[64];
	int n;

	if (!gmtime_r(&seconds, &tm))
		return false;
	n = snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d%s", tm.tm_year + 1900,
		     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, clock->fraction);
	if (n < 0 || clock->width >= sizeof(out->time))
		return false;
	memcpy(out->time, text, clock->width);
	out->time[clock->width] = '\0';
	return true;
}

static bool read_revision(const char *text, struct amend_moment *out)
{
	char *end;
	long long number;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || number < 1)
		return false;
	out->revision = number;
	out->kind = *end == '^' ? AMEND_BEFORE_REVISION : AMEND_AT_REVISION;
	return strcmp(end, "") == 0 || strcmp(end, "^") == 0;
}

enum amend_status amend_moment_parse(const char *text, struct amend_moment *out,
				     struct amend_error *err)
{
	struct clock clock;

	*out = (struct amend_moment){.kind = AMEND_NOW};
	if (strcmp(text, "now") == 0 || read_revision(text, out))
		return AMEND_OK;
	*out = (struct amend_moment){.kind = AMEND_AT_TIME};
	if (read_clock(text, &clock) && write_clock(&clock, out))
		return AMEND_OK;
	return amend_error_set(err, AMEND_INVALID,
			       "expected a revision (7, or 7^ for just before it), a time in UTC "
			       "(2026-11-21 21:30) or now, found \"%.80s\"",
			       text);
}

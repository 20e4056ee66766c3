/*
 * The line that says how far a command is.
 * Leaves counting to the library, and when the line must go to who prints something else.
 */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
	DELAY_MS = 300,   /* what is through by then says nothing of how far it was */
	PAUSE_MS = 100,   /* between two lines */
	SETTLE_MS = 1000, /* of a phase: before, its rate says little */
	USUAL_WIDTH = 80, /* of a terminal that does not tell */
	NUMBER_ROOM = 32,
};

/* 1234567 as 1,234,567. */
static const char *with_separators(uint64_t number, char text[NUMBER_ROOM])
{
	char *to = text + NUMBER_ROOM - 1;

	*to = '\0';
	for (int digits = 0; digits == 0 || number > 0; number /= 10) {
		if (digits > 0 && digits % 3 == 0)
			*--to = ',';
		*--to = (char)('0' + number % 10);
		digits++;
	}
	return to;
}

/* The library's words are those of who wrote it. */
static const char *phase_name(const char *phase)
{
	static const char *const names[][2] = {{"read", "reading"},
					       {"compare", "comparing"},
					       {"match", "looking up"},
					       {"apply", "writing"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i][0], phase) == 0)
			return names[i][1];
	}
	return phase;
}

/* Which part of the whole is done; below 0: not known. */
static double part_of(const struct amend_progress *at)
{
	double done = at->total ? (double)at->records : (double)at->bytes;
	double whole = at->total ? (double)at->total : (double)at->size;

	if (whole <= 0)
		return -1;
	return done < whole ? done / whole : 1;
}

/* Adds it where it has room, whole or not at all; then nothing comes behind it either. */
static void add(char *line, size_t *width, const char *text)
{
	size_t used = strlen(line), size = strlen(text);

	if (used + size > *width)
		*width = used;
	else
		memcpy(line + used, text, size + 1);
}

static void add_time_left(char *line, size_t *width, double seconds)
{
	char text[NUMBER_ROOM * 2];
	uint64_t left = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 1000000000;

	if (left < 60)
		snprintf(text, sizeof(text), ", %" PRIu64 " s left", left);
	else if (left < 3600)
		snprintf(text, sizeof(text), ", %" PRIu64 " min %02" PRIu64 " s left", left / 60,
			 left % 60);
	else
		snprintf(text, sizeof(text), ", %" PRIu64 " h %02" PRIu64 " min left", left / 3600,
			 left / 60 % 60);
	add(line, width, text);
}

/* Another phase, or the same once more (for another key): what was before says nothing of it. */
static void note_phase(struct cli_progress *progress, const struct amend_progress *at,
		       int64_t now_ms)
{
	if (strncmp(progress->phase, at->phase, sizeof(progress->phase) - 1) != 0 ||
	    at->records < progress->last) {
		snprintf(progress->phase, sizeof(progress->phase), "%s", at->phase);
		progress->phase_ms = now_ms;
		progress->records = at->records;
		progress->part = part_of(at);
	}
	progress->last = at->records;
}

void cli_progress_line(struct cli_progress *progress, const struct amend_progress *at,
		       int64_t now_ms, size_t width, char line[CLI_PROGRESS_ROOM])
{
	char text[CLI_PROGRESS_ROOM], number[NUMBER_ROOM];
	double part = part_of(at), seconds;

	note_phase(progress, at, now_ms);
	if (width >= CLI_PROGRESS_ROOM)
		width = CLI_PROGRESS_ROOM - 1;
	line[0] = '\0';
	snprintf(text, sizeof(text), "%s", phase_name(at->phase));
	add(line, &width, text);
	snprintf(text, sizeof(text), " %s", with_separators(at->records, number));
	add(line, &width, text);
	if (at->total) {
		snprintf(text, sizeof(text), " of %s", with_separators(at->total, number));
		add(line, &width, text);
	}
	add(line, &width, " records");
	if (part >= 0) {
		snprintf(text, sizeof(text), ", %d %%", (int)(part * 100));
		add(line, &width, text);
	}
	if (now_ms - progress->phase_ms < SETTLE_MS)
		return;
	seconds = (double)(now_ms - progress->phase_ms) / 1000;
	snprintf(text, sizeof(text), ", %s a second",
		 with_separators((uint64_t)((double)(at->records - progress->records) / seconds),
				 number));
	add(line, &width, text);
	if (part > progress->part)
		add_time_left(line, &width, seconds * (1 - part) / (part - progress->part));
}

/* A terminal that understands that a line is taken back, and is not somebody else's at the moment. */
static bool has_terminal(void)
{
	const char *term = getenv("TERM");
	pid_t foreground;

	if (!isatty(STDERR_FILENO) || !term || strcmp(term, "dumb") == 0)
		return false;
	foreground = tcgetpgrp(STDERR_FILENO);
	return foreground < 0 || foreground == getpgrp();
}

void cli_progress_clear(struct cli_progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	fflush(stderr);
	progress->shown = false;
}

void cli_progress_show(struct cli_progress *progress, const struct amend_progress *at)
{
	char line[CLI_PROGRESS_ROOM];
	struct winsize size;
	struct timespec now;
	size_t width = USUAL_WIDTH;
	int64_t ms;

	if (progress->off)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (!progress->begun_ms)
		progress->begun_ms = ms;
	note_phase(progress, at, ms);
	if (ms - progress->begun_ms < DELAY_MS || ms - progress->shown_ms < PAUSE_MS)
		return;
	progress->shown_ms = ms;
	if (!has_terminal())
		return;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		width = size.ws_col;
	/* The last column is left alone: some terminals go on to the next line from there. */
	cli_progress_line(progress, at, ms, width - 1, line);
	fflush(stdout);
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
	progress->shown = true;
}

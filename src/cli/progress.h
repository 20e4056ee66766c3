/*
 * How far a command is, on one line of the terminal: phase, records, rate, time
 * left. Shown on standard error, only where that is a terminal and we are in
 * its foreground, not before DELAY, at most ten times a second; gone at the end.
 *
 *	struct cli_progress progress = CLI_PROGRESS_INIT;
 *	cli_progress_show(&progress, &so_far);     // as often as one likes
 *	cli_progress_clear(&progress);             // before anything else is printed, and at the end
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amend/sync.h>

struct cli_progress {
	bool off;         /* --quiet */
	bool shown;       /* a line of it stands on the terminal */
	int64_t begun_ms; /* the first call; 0: none yet */
	int64_t shown_ms; /* the last line */
	int64_t phase_ms; /* when the phase began, */
	uint64_t records; /* with how many records done, */
	double part;      /* and which part of the whole */
	uint64_t last;    /* records of the last call */
	char phase[32];
};

#define CLI_PROGRESS_INIT     \
	{                     \
		.off = false, \
	}

void cli_progress_show(struct cli_progress *progress, const struct amend_progress *at);
void cli_progress_clear(struct cli_progress *progress);

/*
 * What is shown at `now_ms`: as much of "writing 12,345 of 100,000 records, 12 %, 5,000 a second,
 * 17 s left" as has room in `width` columns. For cli_progress_show and its test.
 */
enum { CLI_PROGRESS_ROOM = 256 };
void cli_progress_line(struct cli_progress *progress, const struct amend_progress *at,
		       int64_t now_ms, size_t width, char line[CLI_PROGRESS_ROOM]);

#endif

/* What a racer writes to its log, one entry before and one after each call. */
#ifndef TESTS_RACE_RACER_H
#define TESTS_RACE_RACER_H

#include <stdint.h>

/* Job storm: each unit adds to so many of so many counters. */
enum { STORM_COUNTERS = 8, STORM_ADDS = 4 };

struct racer_entry {
	uint32_t before; /* 1: a call begins; 0: it has returned */
	uint32_t status; /* enum amend_status */
	uint32_t outcome;
	uint32_t told; /* STALE: whose write came first: N of "racer N", 1-based; 0: not told; job once: the revision; job storm: how often the unit was run */
	uint64_t begun, ended; /* us, on the clock that all processes of a machine have in common */
};

#endif

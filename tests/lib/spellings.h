/*
 * Spellings of values of every type, at random: see spellings.c.
 *
 * AMEND_TEST_SEED   another start of the random numbers, for example $RANDOM
 * AMEND_TEST_ROUNDS how many inputs a type
 */
#ifndef TESTS_SPELLINGS_H
#define TESTS_SPELLINGS_H

#include <stdint.h>

#include "engines.h"

struct spelled {
	const char *type; /* as it is declared */
	const char *seeds[16];
	int since; /* the server's version, as in server_version_num; 0: any */
	bool narrow; /* amend refuses some that the engine takes: 7.5 for an integer, a tab that does not fit */
};

/* Makes the types that are no engine's own. */
void spelled_prepare(struct engine *engine);
/* The engine's types, one after another: NULL before the first, and behind the last. */
const struct spelled *spelled_next(struct engine *engine, const struct spelled *last);

void spelled_begin(void);
size_t spelled_rounds(size_t usual);
uint64_t spelled_random(uint64_t below);
/* A seed with up to three bytes changed, or, if `plain`, as it is. */
const char *spelled_input(struct engine *engine, const struct spelled *kind, bool plain);

#endif

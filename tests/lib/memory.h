/*
 * Memory that runs out when a test says so, and a count of what is not freed.
 *
 * The program must be linked with memory_dep (tests/meson.build: its line in
 * the list says 'memory'), which puts these in the place of malloc, calloc,
 * realloc and free in all that is linked statically: the library, not the
 * engines' client libraries.
 *
 *	for (unsigned n = 1; ; n++) {
 *		memory_fail(n);
 *		status = operation();
 *		if (!memory_failed())
 *			break; // it makes fewer than n allocations: all of them have failed once
 *		assert_int_equal(status, AMEND_NO_MEMORY);
 *	}
 */
#ifndef TESTS_LIB_MEMORY_H
#define TESTS_LIB_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now fails, once; 0: none does. */
void memory_fail(unsigned n);
/* Whether it has; ends it. */
bool memory_failed(void);
/* Allocations not freed yet, by this program so far. */
long memory_live(void);

#endif

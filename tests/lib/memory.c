/*
 * Stands between the program and the allocator (ld --wrap).
 * Leaves threads alone: it counts for programs that have one.
 */
#include "memory.h"

#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *piece);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *piece);

static struct {
	unsigned left; /* allocations up to the failing one; 0: none fails */
	bool failed;
	long live;
} memory;

void memory_fail(unsigned n)
{
	memory.left = n;
	memory.failed = false;
}

bool memory_failed(void)
{
	bool failed = memory.failed;

	memory_fail(0);
	return failed;
}

long memory_live(void)
{
	return memory.live;
}

static bool refuse(void)
{
	if (memory.left == 0 || --memory.left > 0)
		return false;
	memory.failed = true;
	return true;
}

static void *count(void *piece)
{
	if (piece)
		memory.live++;
	return piece;
}

void *__wrap_malloc(size_t size)
{
	return refuse() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	void *piece;

	if (refuse())
		return NULL;
	piece = __real_realloc(old, size);
	return old ? piece : count(piece);
}

void __wrap_free(void *piece)
{
	if (piece)
		memory.live--;
	__real_free(piece);
}

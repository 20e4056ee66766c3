/*
 * Memory that lives as long as the command runs.
 * Leaves what the library hands out to the library's own release functions.
 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"

struct cli_block {
	struct cli_block *next;
	void *memory;
};

static enum amend_status done = AMEND_NO_MEMORY;

void cli_done(enum amend_status status)
{
	done = status;
}

void cli_no_memory(void)
{
	if (done == AMEND_OK)
		fputs("amend: out of memory for what is to be printed: what was asked for is done\n",
		      stderr);
	else if (done == AMEND_OUTCOME_UNKNOWN)
		fputs("amend: out of memory for what is to be printed: what was asked for may be done (hint: look)\n",
		      stderr);
	else
		fputs("amend: out of memory\n", stderr);
	exit(done == AMEND_OUTCOME_UNKNOWN ? CLI_UNKNOWN : CLI_FAILED);
}

static void *enough(void *memory)
{
	if (!memory)
		cli_no_memory();
	return memory;
}

void cli_keep(struct cli_pool *pool, void *memory)
{
	struct cli_block *block = enough(malloc(sizeof(*block)));

	block->memory = enough(memory);
	block->next = pool->blocks;
	pool->blocks = block;
}

void *cli_alloc(struct cli_pool *pool, size_t count, size_t size)
{
	void *memory = enough(calloc(count ? count : 1, size ? size : 1));

	cli_keep(pool, memory);
	return memory;
}

char *cli_copy(struct cli_pool *pool, const char *text, size_t size)
{
	char *copy = cli_alloc(pool, size + 1, 1);

	if (size)
		memcpy(copy, text, size);
	return copy;
}

char *cli_format_list(struct cli_pool *pool, const char *format, va_list list)
{
	char *text = NULL;

	if (vasprintf(&text, format, list) < 0)
		text = NULL;
	cli_keep(pool, text);
	return text;
}

char *cli_format(struct cli_pool *pool, const char *format, ...)
{
	char *text;
	va_list list;

	va_start(list, format);
	text = cli_format_list(pool, format, list);
	va_end(list);
	return text;
}

void cli_pool_release(struct cli_pool *pool)
{
	while (pool->blocks) {
		struct cli_block *next = pool->blocks->next;

		free(pool->blocks->memory);
		free(pool->blocks);
		pool->blocks = next;
	}
}

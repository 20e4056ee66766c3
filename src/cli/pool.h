/* Memory that lives as long as the command runs. Out of memory ends the program. */
#ifndef CLI_POOL_H
#define CLI_POOL_H

#include <stdarg.h>
#include <stddef.h>

#include <amend/error.h>

struct cli_pool {
	struct cli_block *blocks;
};

#define CLI_POOL_INIT \
	{             \
		NULL  \
	}

/* What the call that changes something came to, OUTCOME_UNKNOWN while it may be: if memory runs out then, no less is said. */
void cli_done(enum amend_status status);
_Noreturn void cli_no_memory(void);

/* Zeroed. */
void *cli_alloc(struct cli_pool *pool, size_t count, size_t size);
char *cli_copy(struct cli_pool *pool, const char *text, size_t size);
char *cli_format(struct cli_pool *pool, const char *format, ...) AMEND_PRINTF(2, 3);
char *cli_format_list(struct cli_pool *pool, const char *format, va_list list) AMEND_PRINTF(2, 0);
/* Takes over what malloc gave. */
void cli_keep(struct cli_pool *pool, void *memory);
void cli_pool_release(struct cli_pool *pool);

#endif

/* What stands behind amend_rows.owner: the memory of one result. */
#ifndef AMEND_CORE_ROWS_H
#define AMEND_CORE_ROWS_H

#include <amend/value.h>

#include "core/arena.h"

struct amend_rows_owner {
	struct amend_arena arena;
	void *extra;             /* e.g. the engine's own result that the values borrow from */
	void (*release)(void *extra); /* NULL when there is none */
};

/* A new owner on the heap, zeroed; NULL when there is no memory. amend_rows_release frees it. */
struct amend_rows_owner *amend_rows_owner_new(void);

#endif

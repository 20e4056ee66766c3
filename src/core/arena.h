/*
 * Memory that is released all at once: many small pieces of one result, table
 * or plan. Pieces are aligned for any type and never move.
 */
#ifndef AMEND_CORE_ARENA_H
#define AMEND_CORE_ARENA_H

#include <stddef.h>

#include <amend/value.h>

struct amend_arena_block;

struct amend_arena {
	struct amend_arena_block *last;
	size_t total; /* bytes handed out */
};

#define AMEND_ARENA_INIT \
	{                \
		NULL, 0  \
	}

/* NULL when there is no memory. Zeroed. */
void *amend_arena_alloc(struct amend_arena *arena, size_t size);
/* As above for `count` things of `size` bytes; NULL also on overflow. */
void *amend_arena_array(struct amend_arena *arena, size_t count, size_t size);
/* A NUL-terminated copy; NULL when there is no memory. */
char *amend_arena_text(struct amend_arena *arena, const char *text);
char *amend_arena_text_n(struct amend_arena *arena, const char *text, size_t size);
char *amend_arena_printf(struct amend_arena *arena, const char *format, ...) AMEND_PRINTF(2, 3);
char *amend_arena_integer(struct amend_arena *arena, int64_t integer);
/* Copies the bytes that `value` borrows (TEXT gets a NUL behind); false when there is no memory. */
bool amend_arena_value(struct amend_arena *arena, const struct amend_value *value,
		       struct amend_value *out);
void amend_arena_release(struct amend_arena *arena);

#endif

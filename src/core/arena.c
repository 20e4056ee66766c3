/*
 * A bump allocator in growing blocks.
 * Leaves errors to the caller: NULL means no memory.
 */
#include "core/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct amend_arena_block {
	struct amend_arena_block *before;
	size_t room, used;
	max_align_t data[];
};

/* With its head the first block is of a size that malloc hands out quickly: many arenas hold one record. */
enum { FIRST_ROOM = 960, LARGEST_ROOM = 1 << 20 };

static struct amend_arena_block *add_block(struct amend_arena *arena, size_t size)
{
	size_t room = arena->last ? arena->last->room * 2 : FIRST_ROOM;
	struct amend_arena_block *block;

	if (room > LARGEST_ROOM)
		room = LARGEST_ROOM;
	if (room < size)
		room = size;
	if (room > SIZE_MAX - sizeof(*block))
		return NULL;
	block = malloc(sizeof(*block) + room);
	if (!block)
		return NULL;
	block->before = arena->last;
	block->room = room;
	block->used = 0;
	arena->last = block;
	return block;
}

void *amend_arena_alloc(struct amend_arena *arena, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct amend_arena_block *block = arena->last;
	void *piece;

	if (size > SIZE_MAX - align)
		return NULL;
	size = (size + align - 1) / align * align;
	if (size == 0)
		size = align;
	if (!block || block->room - block->used < size) {
		block = add_block(arena, size);
		if (!block)
			return NULL;
	}
	piece = (char *)block->data + block->used;
	block->used += size;
	arena->total += size;
	return memset(piece, 0, size);
}

void *amend_arena_array(struct amend_arena *arena, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	return amend_arena_alloc(arena, count * size);
}

char *amend_arena_text_n(struct amend_arena *arena, const char *text, size_t size)
{
	char *copy = size == SIZE_MAX ? NULL : amend_arena_alloc(arena, size + 1);

	if (copy && size > 0)
		memcpy(copy, text, size);
	return copy;
}

char *amend_arena_text(struct amend_arena *arena, const char *text)
{
	return amend_arena_text_n(arena, text, strlen(text));
}

char *amend_arena_printf(struct amend_arena *arena, const char *format, ...)
{
	va_list args, again;
	char *text;
	int size;

	va_start(args, format);
	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = size < 0 ? NULL : amend_arena_alloc(arena, (size_t)size + 1);
	if (text)
		vsnprintf(text, (size_t)size + 1, format, again);
	va_end(again);
	return text;
}

/* Without printf: keys and numbers pass here once for each record. */
char *amend_arena_integer(struct amend_arena *arena, int64_t integer)
{
	char text[24], *at = text + sizeof(text);
	uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;

	do
		*--at = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (integer < 0)
		*--at = '-';
	return amend_arena_text_n(arena, at, (size_t)(text + sizeof(text) - at));
}

bool amend_arena_value(struct amend_arena *arena, const struct amend_value *value,
		       struct amend_value *out)
{
	*out = *value;
	if (value->kind == AMEND_TEXT || value->kind == AMEND_BLOB) {
		char *copy = amend_arena_text_n(arena, value->as.text, value->size);
		if (!copy)
			return false;
		out->as.text = copy;
	}
	return true;
}

void amend_arena_release(struct amend_arena *arena)
{
	while (arena->last) {
		struct amend_arena_block *block = arena->last;
		arena->last = block->before;
		free(block);
	}
	arena->total = 0;
}

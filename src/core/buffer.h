/*
 * A growing byte buffer that fails stickily: append freely, check `failed`
 * once. `data` is NUL-terminated behind `size` whenever it is not NULL.
 */
#ifndef AMEND_CORE_BUFFER_H
#define AMEND_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include <amend/error.h>

struct amend_buffer {
	char *data;
	size_t size, room;
	bool failed;
};

#define AMEND_BUFFER_INIT         \
	{                         \
		NULL, 0, 0, false \
	}

void amend_buffer_add(struct amend_buffer *buffer, const void *bytes, size_t size);
void amend_buffer_text(struct amend_buffer *buffer, const char *text);
void amend_buffer_char(struct amend_buffer *buffer, char c);
void amend_buffer_printf(struct amend_buffer *buffer, const char *format, ...) AMEND_PRINTF(2, 3);
/* Empties it and keeps the room; clears `failed`. */
void amend_buffer_reset(struct amend_buffer *buffer);
/* The text ("" when empty); NULL when it has failed. */
const char *amend_buffer_string(const struct amend_buffer *buffer);
void amend_buffer_release(struct amend_buffer *buffer);

/* AMEND_NO_MEMORY, filled in. */
enum amend_status amend_no_memory(struct amend_error *err);

#endif

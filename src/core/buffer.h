/*
 * A growing byte buffer that fails stickily: append freely, check `failed`
 * once. `data` is NUL-terminated behind `size` whenever it is not NULL.
 */
#ifndef AMEND_CORE_BUFFER_H
#define AMEND_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* Room for `more` bytes and a NUL; false when there is none. The calls below do it themselves. */
bool amend_buffer_reserve(struct amend_buffer *buffer, size_t more);

/* Inline: a row of the bulk path goes through dozens of these. */
static inline void amend_buffer_add(struct amend_buffer *buffer, const void *bytes, size_t size)
{
	if (buffer->failed || buffer->room <= size || buffer->size >= buffer->room - size) {
		if (!amend_buffer_reserve(buffer, size))
			return;
	}
	if (size > 0)
		memcpy(buffer->data + buffer->size, bytes, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

static inline void amend_buffer_text(struct amend_buffer *buffer, const char *text)
{
	amend_buffer_add(buffer, text, strlen(text));
}

static inline void amend_buffer_char(struct amend_buffer *buffer, char c)
{
	amend_buffer_add(buffer, &c, 1);
}

enum { AMEND_INTEGER_ROOM = 20 }; /* of INT64_MIN, without a NUL */
/* Writes its decimal digits, and returns how many bytes they are: a tenth of the time that printf takes. */
size_t amend_integer_digits(char digits[AMEND_INTEGER_ROOM], int64_t integer);
void amend_buffer_integer(struct amend_buffer *buffer, int64_t integer);
void amend_buffer_printf(struct amend_buffer *buffer, const char *format, ...) AMEND_PRINTF(2, 3);
/* Empties it and keeps the room; clears `failed`. */
void amend_buffer_reset(struct amend_buffer *buffer);
/* The text ("" when empty); NULL when it has failed. */
const char *amend_buffer_string(const struct amend_buffer *buffer);
void amend_buffer_release(struct amend_buffer *buffer);

/* AMEND_NO_MEMORY, filled in. Inline, so that whoever reads a caller, and the analyser too, sees that it is no success. */
static inline enum amend_status amend_no_memory(struct amend_error *err)
{
	amend_error_set(err, AMEND_NO_MEMORY, "out of memory");
	return AMEND_NO_MEMORY;
}

#endif

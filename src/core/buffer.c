/*
 * The growing buffer.
 * Leaves meaning to its users: it holds bytes, text or not.
 */
#include "core/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct amend_buffer *buffer, size_t more)
{
	size_t room = buffer->room ? buffer->room : 128;
	char *data;

	if (buffer->failed)
		return false;
	if (more < buffer->room && buffer->size < buffer->room - more)
		return true;
	if (more > SIZE_MAX / 4 - buffer->size) {
		buffer->failed = true;
		return false;
	}
	while (room <= buffer->size + more)
		room *= 2;
	data = realloc(buffer->data, room);
	if (!data) {
		buffer->failed = true;
		return false;
	}
	buffer->data = data;
	buffer->room = room;
	return true;
}

void amend_buffer_add(struct amend_buffer *buffer, const void *bytes, size_t size)
{
	if (!reserve(buffer, size))
		return;
	if (size > 0)
		memcpy(buffer->data + buffer->size, bytes, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

void amend_buffer_text(struct amend_buffer *buffer, const char *text)
{
	amend_buffer_add(buffer, text, strlen(text));
}

void amend_buffer_char(struct amend_buffer *buffer, char c)
{
	amend_buffer_add(buffer, &c, 1);
}

void amend_buffer_printf(struct amend_buffer *buffer, const char *format, ...)
{
	va_list args, again;
	int size;

	va_start(args, format);
	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size < 0)
		buffer->failed = true;
	else if (reserve(buffer, (size_t)size)) {
		vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
		buffer->size += (size_t)size;
	}
	va_end(again);
}

void amend_buffer_reset(struct amend_buffer *buffer)
{
	buffer->size = 0;
	buffer->failed = false;
	if (buffer->data)
		buffer->data[0] = '\0';
}

const char *amend_buffer_string(const struct amend_buffer *buffer)
{
	if (buffer->failed)
		return NULL;
	return buffer->data ? buffer->data : "";
}

void amend_buffer_release(struct amend_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct amend_buffer)AMEND_BUFFER_INIT;
}

enum amend_status amend_no_memory(struct amend_error *err)
{
	return amend_error_set(err, AMEND_NO_MEMORY, "out of memory");
}

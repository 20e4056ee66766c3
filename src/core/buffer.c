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

bool amend_buffer_reserve(struct amend_buffer *buffer, size_t more)
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

size_t amend_integer_digits(char digits[AMEND_INTEGER_ROOM], int64_t integer)
{
	uint64_t rest = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
	char backwards[AMEND_INTEGER_ROOM];
	size_t at = sizeof(backwards);

	do {
		backwards[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (integer < 0)
		backwards[--at] = '-';
	memcpy(digits, backwards + at, sizeof(backwards) - at);
	return sizeof(backwards) - at;
}

void amend_buffer_integer(struct amend_buffer *buffer, int64_t integer)
{
	char digits[AMEND_INTEGER_ROOM];
	size_t size = amend_integer_digits(digits, integer);

	amend_buffer_add(buffer, digits, size);
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
	else if (amend_buffer_reserve(buffer, (size_t)size)) {
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

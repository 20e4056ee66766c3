/*
 * Statuses by name, and filling in the caller's error.
 * Leaves exit codes and HTTP statuses to the front ends.
 */
#include <amend/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *amend_status_name(enum amend_status status)
{
	switch (status) {
	case AMEND_OK:
		return "OK";
	case AMEND_NOT_FOUND:
		return "NOT_FOUND";
	case AMEND_STALE:
		return "STALE";
	case AMEND_EXISTS:
		return "EXISTS";
	case AMEND_CONFLICT:
		return "CONFLICT";
	case AMEND_LOCKED:
		return "LOCKED";
	case AMEND_CONSTRAINT:
		return "CONSTRAINT";
	case AMEND_INVALID:
		return "INVALID";
	case AMEND_RETRY:
		return "RETRY";
	case AMEND_OUTCOME_UNKNOWN:
		return "OUTCOME_UNKNOWN";
	case AMEND_UNREACHABLE:
		return "UNREACHABLE";
	case AMEND_DENIED:
		return "DENIED";
	case AMEND_UNSUPPORTED:
		return "UNSUPPORTED";
	case AMEND_INTERRUPTED:
		return "INTERRUPTED";
	case AMEND_NO_MEMORY:
		return "NO_MEMORY";
	case AMEND_INTERNAL:
		return "INTERNAL";
	}
	return "?";
}

/* One line, cut between characters: a byte 10xxxxxx never starts one. */
static void tidy(char *text, size_t room)
{
	size_t size = strlen(text);

	if (size == room - 1) {
		while (size > 0 && ((unsigned char)text[size - 1] & 0xc0) == 0x80)
			size--;
		if (size > 0 && (unsigned char)text[size - 1] >= 0xc0)
			size--;
		text[size] = '\0';
	}
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
	}
}

enum amend_status amend_error_set(struct amend_error *err, enum amend_status status,
				  const char *format, ...)
{
	va_list args;

	err->status = status;
	err->native = 0;
	err->sqlstate[0] = '\0';
	va_start(args, format);
	if (vsnprintf(err->text, sizeof(err->text), format, args) < 0)
		err->text[0] = '\0';
	va_end(args);
	tidy(err->text, sizeof(err->text));
	return status;
}

enum amend_status amend_error_wrap(struct amend_error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;
	size_t size;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);
	size = strlen(text);
	if (size + 3 > sizeof(text))
		return err->status;
	memcpy(text + size, ": ", 3);
	strncat(text, err->text, sizeof(text) - size - 3);
	memcpy(err->text, text, sizeof(text));
	tidy(err->text, sizeof(err->text));
	return err->status;
}

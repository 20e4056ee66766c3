/*
 * One line on standard error for what went wrong, without passwords and control characters.
 * Leaves what to say to its callers, and the exit code to exit.c.
 */
#include "complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HIDDEN "***"
#define ENDS_WORD " \t\"'`&;)"

/* Puts HIDDEN in place of `size` bytes at `at`; the text stays within `room`. Returns what follows. */
static char *hide(char *text, size_t room, char *at, size_t size)
{
	const size_t hidden = sizeof(HIDDEN) - 1;
	size_t used = strlen(text) + 1;

	if (size == 0)
		return at;
	if (used - size + hidden > room) {
		memset(at, '*', size);
		return at + size;
	}
	memmove(at + hidden, at + size, used - (size_t)(at - text) - size);
	memcpy(at, HIDDEN, hidden);
	return at + hidden;
}

/* The last @ before what ends an authority: a password may hold one, though it should be escaped. */
static void hide_in_urls(char *text, size_t room)
{
	for (char *at = text; (at = strstr(at, "://")) != NULL;) {
		char *end, *colon, *sign;

		at += 3;
		end = at + strcspn(at, "/?#" ENDS_WORD);
		colon = memchr(at, ':', (size_t)(end - at));
		sign = memrchr(at, '@', (size_t)(end - at));
		if (colon && sign && colon < sign)
			at = hide(text, room, colon + 1, (size_t)(sign - colon - 1));
	}
}

static void hide_settings(char *text, size_t room)
{
	static const char name[] = "password=";

	for (char *at = text; (at = strcasestr(at, name)) != NULL;) {
		at += sizeof(name) - 1;
		if (*at == '\'')
			at = hide(text, room, at + 1, strcspn(at + 1, "'"));
		else
			at = hide(text, room, at, strcspn(at, ENDS_WORD));
	}
}

static void scrub(char *text, size_t room)
{
	hide_in_urls(text, room);
	hide_settings(text, room);
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
	}
}

char *cli_scrub(struct cli_pool *pool, const char *text)
{
	/* An empty password is left alone: each that is hidden has a byte at least, and grows by two. */
	size_t room = strlen(text) * 3 + 1;
	char *copy = cli_alloc(pool, room, 1);

	snprintf(copy, room, "%s", text);
	scrub(copy, room);
	return copy;
}

void cli_complain(const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);
	scrub(text, sizeof(text));
	fflush(stdout);
	fprintf(stderr, "amend: %s\n", text);
}

/*
 * One line on standard error for what went wrong, without passwords and control characters.
 * Leaves what to say to its callers, and the exit code to exit.c.
 */
#include "complain.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "plain.h"

#define HIDDEN "***"
#define ENDS_WORD " \t\n\"'`&;)"
#define ENDS_LONGEST_WORD " \t\n\""

/* Puts HIDDEN in place of `size` bytes at `at`. Returns what follows. */
static char *hide(char *at, size_t size)
{
	const size_t hidden = sizeof(HIDDEN) - 1;

	if (size == 0)
		return at;
	memmove(at + hidden, at + size, strlen(at + size) + 1);
	memcpy(at, HIDDEN, hidden);
	return at + hidden;
}

/* Where the part behind a scheme begins: after "scheme:", with two slashes, or by mistake one or none. */
static char *behind_scheme(const char *text, char *colon)
{
	static const char *const schemes[] = {"postgresql", "postgres", "mariadb", "mysql"};
	char *at = colon + 1 + strspn(colon + 1, "/");

	if (at > colon + 1)
		return at;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t size = strlen(schemes[i]);

		if ((size_t)(colon - text) >= size &&
		    strncasecmp(colon - size, schemes[i], size) == 0)
			return at;
	}
	return NULL;
}

/* The last @ before what ends an authority: a password may hold one, though it should be escaped. */
static char *hide_in_authority(char *at)
{
	char *end = at + strcspn(at, "/?#" ENDS_WORD);
	char *colon = memchr(at, ':', (size_t)(end - at)), *sign;

	/* A user's name may hold what ends a word, too. */
	if (!colon) {
		end = at + strcspn(at, "/?#" ENDS_LONGEST_WORD);
		colon = memchr(at, ':', (size_t)(end - at));
	}
	if (!colon)
		return at;
	sign = memrchr(at, '@', (size_t)(end - at));
	/* What is no port is a password, which may hold what should be escaped. */
	if (!sign && strspn(colon + 1, "0123456789") < (size_t)(end - colon - 1))
		sign = memrchr(at, '@', strcspn(at, ENDS_LONGEST_WORD));
	return sign && colon < sign ? hide(colon + 1, (size_t)(sign - colon - 1)) : at;
}

static void hide_in_urls(char *text)
{
	for (char *at = text; (at = strchr(at, ':')) != NULL;) {
		char *part = behind_scheme(text, at);

		at = part ? hide_in_authority(part) : at + 1;
	}
}

/* How much of a connection string is one value: 'quoted', or up to a blank, with \ before what is plain. */
static size_t value_size(const char *at)
{
	bool quoted = *at == '\'';
	size_t size = quoted;

	while (at[size] && !strchr(quoted ? "'" : ENDS_LONGEST_WORD, at[size]))
		size += at[size] == '\\' && at[size + 1] ? 2 : 1;
	return size + (quoted && at[size]);
}

/* password=... in a URL's query, and in a connection string, which lets blanks stand around the =. */
static void hide_settings(char *text)
{
	static const char name[] = "password";

	for (char *at = text; (at = strcasestr(at, name)) != NULL;) {
		char *from = at + sizeof(name) - 1;
		bool in_query = false;

		while (at > text && (isalpha((unsigned char)at[-1]) || at[-1] == '_'))
			at--;
		in_query = at > text && (at[-1] == '?' || at[-1] == '&');
		at = from + strspn(from, " \t");
		if (*at != '=') {
			at = from;
			continue;
		}
		at++;
		if (in_query) {
			at = hide(at, strcspn(at, ENDS_WORD));
		} else {
			at += strspn(at, " \t");
			at = hide(at, value_size(at));
		}
	}
}

char *cli_hide(struct cli_pool *pool, const char *text)
{
	/* An empty password is left alone: each that is hidden has a byte at least, and grows by two. */
	size_t room = strlen(text) * 3 + 1;
	char *copy = cli_alloc(pool, room, 1);

	stpcpy(copy, text);
	hide_in_urls(copy);
	hide_settings(copy);
	return copy;
}

char *cli_scrub(struct cli_pool *pool, const char *text)
{
	return cli_plain(pool, cli_hide(pool, text));
}

void cli_complain(const char *format, ...)
{
	struct cli_pool pool = CLI_POOL_INIT;
	va_list args;
	char *text;

	va_start(args, format);
	text = cli_format_list(&pool, format, args);
	va_end(args);
	text = cli_scrub(&pool, text);
	fflush(stdout);
	fprintf(stderr, "amend: %s\n", text);
	cli_pool_release(&pool);
}

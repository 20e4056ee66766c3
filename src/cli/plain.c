/*
 * Makes text harmless for a terminal.
 * Leaves quotes, and what a locale cannot show, to print.c.
 */
#include "plain.h"

#include <stdio.h>
#include <string.h>

size_t cli_utf8(const char *text, const char *end, uint32_t *point)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const unsigned char *at = (const unsigned char *)text;
	size_t more = *at < 0x80 ? 0 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;

	*point = more ? *at & (0x3fu >> more) : *at;
	if ((*at >= 0x80 && *at < 0xc2) || *at > 0xf4 || (size_t)(end - text) <= more)
		return 0;
	for (size_t i = 1; i <= more; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (at[i] & 0x3fu);
	}
	if (*point < least[more] || *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000))
		return 0;
	return more + 1;
}

bool cli_is_harmless(uint32_t point)
{
	bool control = point < ' ' || (point >= 0x7f && point < 0xa0);
	bool turns = (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);

	return !control && !turns;
}

char *cli_escape(char *to, const char *at, size_t size)
{
	static const struct {
		char byte;
		const char *text;
	} names[] = {{'\n', "\\n"}, {'\t', "\\t"}, {'\r', "\\r"}, {'"', "\\\""}, {'\\', "\\\\"}};
	uint32_t point;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (*at == names[i].byte)
			return stpcpy(to, names[i].text);
	}
	if (size < 2 || cli_utf8(at, at + size, &point) != size)
		point = (unsigned char)*at;
	return to + snprintf(to, CLI_ESCAPE_ROOM + 1,
			     size < 2          ? "\\x%02x"
			     : point <= 0xffff ? "\\u%04x"
					       : "\\U%08x",
			     (unsigned)point);
}

char *cli_plain(struct cli_pool *pool, const char *text)
{
	const char *end = text + strlen(text);
	char *plain = cli_alloc(pool, (size_t)(end - text) * CLI_ESCAPE_ROOM + 1, 1), *to = plain;

	while (text < end) {
		uint32_t point;
		size_t size = cli_utf8(text, end, &point);

		if (size && cli_is_harmless(point))
			to = (char *)mempcpy(to, text, size);
		else
			to = cli_escape(to, text, size ? size : 1);
		text += size ? size : 1;
	}
	return plain;
}

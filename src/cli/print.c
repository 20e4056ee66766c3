/*
 * Values, tables and colours on a terminal.
 * Leaves what is said to the commands, and JSON to json.c.
 */
#include "print.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <wchar.h>

#include "json.h"
#include "plain.h"

static bool through_pager; /* to a terminal all the same */

void cli_ink_anyway(void)
{
	through_pager = isatty(STDOUT_FILENO);
}

static bool coloured(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0) &&
	       (isatty(fileno(out)) || (out == stdout && through_pager));
}

void cli_ink(FILE *out, enum cli_ink ink, const char *text)
{
	static const char *const codes[] = {
		[CLI_PLAIN] = "",        [CLI_GOOD] = "\033[32m", [CLI_BAD] = "\033[31m",
		[CLI_NOTE] = "\033[33m", [CLI_FAINT] = "\033[2m",
	};

	if (ink == CLI_PLAIN || !coloured(out))
		fputs(text, out);
	else
		fprintf(out, "%s%s\033[0m", codes[ink], text);
}

/* --- values --- */

/* The character at `at`: how many bytes it has, and whether it may be shown. */
static size_t character(const char *at, const char *end, bool *harmless)
{
	wchar_t wide;
	mbstate_t state = {0};
	size_t size;

	if ((unsigned char)*at < 0x80) {
		*harmless = *at >= ' ' && *at != 0x7f;
		return 1;
	}
	size = mbrtowc(&wide, at, (size_t)(end - at), &state);
	*harmless = size != (size_t)-1 && size != (size_t)-2 && wcwidth(wide) >= 0 &&
		    cli_is_harmless((uint32_t)wide);
	return size == (size_t)-1 || size == (size_t)-2 ? 1 : size;
}

static bool needs_quotes(const char *text, size_t size)
{
	const char *end = text + size;

	if (size == 0 || *text == ' ' || end[-1] == ' ' || *text == '"' ||
	    (size == 4 && strncasecmp(text, "null", 4) == 0) || memmem(text, size, " -> ", 4))
		return true;
	while (text < end) {
		bool harmless;

		text += character(text, end, &harmless);
		if (!harmless)
			return true;
	}
	return false;
}

static char *hex(char *to, unsigned byte)
{
	static const char digits[] = "0123456789abcdef";

	*to++ = digits[byte >> 4];
	*to++ = digits[byte & 15];
	return to;
}

static char *show_text(struct cli_pool *pool, const char *text, size_t size, size_t limit)
{
	const char *end = text + size;
	bool quotes = needs_quotes(text, size);
	char *shown, *to;
	size_t n = 0;

	/* What will not be shown need not be copied: a character has four bytes at most. */
	if (limit && size > limit * 4)
		end = text + limit * 4;
	shown = to = cli_alloc(pool, (size_t)(end - text) * CLI_ESCAPE_ROOM + 8, 1);
	if (quotes)
		*to++ = '"';
	while (text < end && (!limit || n < limit)) {
		bool harmless;
		size_t bytes = character(text, end, &harmless);

		if (!harmless || (quotes && (*text == '"' || *text == '\\')))
			to = cli_escape(to, text, bytes);
		else
			to = (char *)mempcpy(to, text, bytes);
		text += bytes;
		n++;
	}
	if (limit && n == limit && text < end)
		to = stpcpy(to, "...");
	if (quotes)
		*to++ = '"';
	return shown;
}

static char *show_bytes(struct cli_pool *pool, const unsigned char *bytes, size_t size, size_t limit)
{
	size_t shown = limit && size > limit / 2 ? limit / 2 : size;
	char *text = cli_alloc(pool, shown * 2 + 32, 1), *to = stpcpy(text, "\\x");

	for (size_t i = 0; i < shown; i++)
		to = hex(to, bytes[i]);
	return shown < size ? cli_format(pool, "%s... (%zu bytes)", text, size) : text;
}

char *cli_show(struct cli_pool *pool, const struct amend_value *value, size_t limit)
{
	char number[64] = "NULL";

	switch (value->kind) {
	case AMEND_NULL:
		break;
	case AMEND_INTEGER:
		snprintf(number, sizeof(number), "%lld", (long long)value->as.integer);
		break;
	case AMEND_REAL:
		cli_json_real(value->as.real, number, sizeof(number));
		break;
	case AMEND_TEXT:
		return show_text(pool, value->as.text, value->size, limit);
	case AMEND_BLOB:
		return show_bytes(pool, value->as.blob, value->size, limit);
	}
	return cli_copy(pool, number, strlen(number));
}

char *cli_show_text(struct cli_pool *pool, const char *text)
{
	return show_text(pool, text, strlen(text), 0);
}

char *cli_show_time(struct cli_pool *pool, const char *at)
{
	return cli_format(pool, "%.19s UTC", at);
}

char *cli_show_fields(struct cli_pool *pool, const struct amend_field *fields, size_t n)
{
	char *text = cli_copy(pool, "", 0);

	for (size_t i = 0; i < n; i++)
		text = cli_format(pool, "%s%s%s=%s", text, i ? " " : "",
				  cli_plain(pool, fields[i].column),
				  cli_show(pool, &fields[i].value, 80));
	return text;
}

void cli_print_changes(struct cli_pool *pool, FILE *out, const char *indent,
		       const struct amend_change *changes, size_t n)
{
	enum { LONGEST = 200 };

	for (size_t i = 0; i < n; i++) {
		fprintf(out, "%s%s: ", indent, cli_plain(pool, changes[i].column));
		cli_ink(out, CLI_BAD, cli_show(pool, &changes[i].before, LONGEST));
		fputs(" -> ", out);
		cli_ink(out, CLI_GOOD, cli_show(pool, &changes[i].after, LONGEST));
		fputc('\n', out);
	}
}

/* --- tables --- */

size_t cli_width(const char *text)
{
	const char *end = text + strlen(text);
	size_t width = 0;

	while (text < end) {
		wchar_t wide = 0;
		mbstate_t state = {0};
		size_t size = mbrtowc(&wide, text, (size_t)(end - text), &state);
		int columns = size == (size_t)-1 || size == (size_t)-2 ? 1 : wcwidth(wide);

		width += columns < 0 ? 1 : (size_t)columns;
		text += size == (size_t)-1 || size == (size_t)-2 || size == 0 ? 1 : size;
	}
	return width;
}

void cli_table(FILE *out, const char *indent, const char *const *cells, size_t rows, size_t columns)
{
	for (size_t row = 0; row < rows; row++) {
		size_t owed = 0;

		fputs(indent, out);
		for (size_t column = 0; column < columns; column++) {
			const char *cell = cells[row * columns + column];
			size_t widest = 0;

			for (size_t i = 0; i < rows; i++) {
				const char *other = cells[i * columns + column];
				size_t width = other ? cli_width(other) : 0;

				widest = width > widest ? width : widest;
			}
			if (cell && *cell) {
				fprintf(out, "%*s", (int)owed, "");
				cli_ink(out, row == 0 ? CLI_FAINT : CLI_PLAIN, cell);
				owed = 0;
			}
			owed += widest + 2 - (cell ? cli_width(cell) : 0);
		}
		fputc('\n', out);
	}
}

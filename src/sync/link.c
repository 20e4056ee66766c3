/*
 * URLs as far as they need no libcurl: what of one may be shown, and the next page's in a Link header.
 * Leaves following them to input_http.c.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/input_http.h"

bool amend_is_http(const char *name)
{
	return strncasecmp(name, "http://", 7) == 0 || strncasecmp(name, "https://", 8) == 0;
}

char *amend_http_shown(const char *url)
{
	const char *host = strstr(url, "//"), *end, *at;
	size_t scheme, size;
	char *out;

	host = host ? host + 2 : url;
	scheme = (size_t)(host - url);
	end = host + strcspn(host, "/?#");
	/* The last @ of the authority: a password may hold others. */
	for (at = end; at > host && at[-1] != '@'; at--)
		;
	size = strcspn(at, "?#");
	out = malloc(scheme + size + sizeof("?..."));
	if (!out)
		return NULL;
	memcpy(out, url, scheme);
	memcpy(out + scheme, at, size);
	memcpy(out + scheme + size, at[size] == '?' ? "?..." : "", at[size] == '?' ? 5 : 1);
	return out;
}

/* --- Link ------------------------------------------------------------------ */

struct reader {
	const char *at, *end;
};

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
		reader->at++;
}

static bool take(struct reader *reader, char c)
{
	skip_space(reader);
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

/* Up to one of `ends`. */
static size_t word(struct reader *reader, const char *ends, const char **out)
{
	skip_space(reader);
	*out = reader->at;
	while (reader->at < reader->end && *reader->at && !strchr(ends, *reader->at))
		reader->at++;
	return (size_t)(reader->at - *out);
}

/* The value behind `=`: a word, or quoted; what a backslash protects is not looked into. */
static size_t value(struct reader *reader, const char **out)
{
	if (!take(reader, '"'))
		return word(reader, " \t;,", out);
	*out = reader->at;
	while (reader->at < reader->end && *reader->at != '"')
		reader->at += *reader->at == '\\' && reader->at + 1 < reader->end ? 2 : 1;
	if (reader->at < reader->end)
		return (size_t)(reader->at++ - *out);
	return (size_t)(reader->at - *out);
}

/* "prev next" has the relation "next". */
static bool has_next(const char *text, size_t size)
{
	struct reader reader = {text, text + size};
	const char *name;

	while (reader.at < reader.end) {
		if (word(&reader, " \t", &name) == 4 && strncasecmp(name, "next", 4) == 0)
			return true;
		if (reader.at < reader.end)
			reader.at++;
	}
	return false;
}

/* ; name=value ... of one link; whether one of them is rel=next. Only the first rel counts. */
static bool read_parameters(struct reader *reader)
{
	bool found = false, next = false;

	while (take(reader, ';')) {
		const char *name, *text;
		size_t size = word(reader, " \t=;,", &name);
		bool rel = size == 3 && strncasecmp(name, "rel", 3) == 0;

		if (!take(reader, '='))
			continue;
		size = value(reader, &text);
		if (rel && !found)
			next = has_next(text, size);
		found = found || rel;
	}
	return next;
}

bool amend_link_next(const char *text, size_t size, const char **url, size_t *url_size)
{
	struct reader reader = {text, text + size};

	while (take(&reader, '<')) {
		*url = reader.at;
		while (reader.at < reader.end && *reader.at != '>')
			reader.at++;
		if (reader.at == reader.end)
			return false;
		*url_size = (size_t)(reader.at++ - *url);
		if (read_parameters(&reader))
			return true;
		/* Empty elements of the list are allowed. */
		while (take(&reader, ','))
			;
	}
	return false;
}

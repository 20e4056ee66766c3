/*
 * What an http server says of its answer, and which answers are none.
 * Leaves the body to http_transfer.c.
 */
#include "sync/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static bool is_header(const char *line, size_t size, const char *name, const char **value,
		      size_t *value_size)
{
	size_t n = strlen(name);

	if (size <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	line += n + 1;
	size -= n + 1;
	while (size > 0 && strchr(" \t", *line))
		line++, size--;
	while (size > 0 && strchr(" \t\r\n", line[size - 1]))
		size--;
	*value = line;
	*value_size = size;
	return true;
}

static void copy_word(char *out, size_t room, const char *text, size_t size)
{
	size_t n = 0;

	while (n < size && n + 1 < room && text[n] > ' ' && text[n] != ';') {
		out[n] = text[n] >= 'A' && text[n] <= 'Z' ? (char)(text[n] - 'A' + 'a') : text[n];
		n++;
	}
	out[n] = '\0';
}

/* What is longer, or no plain text, is none: it goes back to the server as it came. */
static void copy_validator(char out[AMEND_VALIDATOR_ROOM], const char *text, size_t size)
{
	bool plain = size > 0 && size < AMEND_VALIDATOR_ROOM;

	for (size_t i = 0; i < size && plain; i++)
		plain = text[i] >= ' ' && text[i] <= '~';
	if (plain)
		memcpy(out, text, size);
	out[plain ? size : 0] = '\0';
}

/*
 * A time says which version it was only when the answer is well past it: it has no
 * fractions, and the clock that stamps files may be another.
 */
static bool is_past(const char *modified, const char *date)
{
	enum { PAST = 60 };
	time_t then = curl_getdate(modified, NULL), now = curl_getdate(date, NULL);

	return *modified && *date && then >= 0 && now >= 0 && now - then >= PAST;
}

bool amend_http_version(const struct amend_input *input, struct amend_validators *out)
{
	const struct http *http = (const struct http *)input;

	*out = http->says;
	/* Each page is a version of its own, and a list of pages has none. */
	if (http->page > 0 || http->has_next || http->unmodified)
		return false;
	if (!is_past(out->modified, http->date))
		out->modified[0] = '\0';
	return *out->etag || *out->modified;
}

void amend_http_forget(struct http *http)
{
	http->says.etag[0] = http->says.modified[0] = http->date[0] = '\0';
	http->has_length = http->chunked = http->has_next = false;
	http->retry_after = -1;
	http->type[0] = http->coding[0] = '\0';
	amend_buffer_reset(&http->next);
}

static void take_link(struct http *http, const char *value, size_t size)
{
	const char *url;
	size_t url_size;

	if (http->has_next || !amend_link_next(value, size, &url, &url_size))
		return;
	amend_buffer_add(&http->next, url, url_size);
	http->has_next = true;
	http->broken = http->broken || http->next.failed || url_size > HEADER_LIMIT;
}

size_t amend_http_take_header(char *line, size_t one, size_t n, void *context)
{
	struct http *http = context;
	size_t size = one * n, value_size;
	const char *value;

	/* Each answer, also a redirect's, begins with its status line. */
	if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0)
		amend_http_forget(http);
	else if (is_header(line, size, "Content-Type", &value, &value_size))
		copy_word(http->type, sizeof(http->type), value, value_size);
	else if (is_header(line, size, "Content-Encoding", &value, &value_size))
		copy_word(http->coding, sizeof(http->coding), value, value_size);
	else if (is_header(line, size, "Content-Length", &value, &value_size))
		http->has_length = true;
	else if (is_header(line, size, "Transfer-Encoding", &value, &value_size))
		http->chunked = true;
	else if (is_header(line, size, "Retry-After", &value, &value_size) && value_size < 10 &&
		 *value >= '0' && *value <= '9')
		http->retry_after = strtol(value, NULL, 10);
	else if (is_header(line, size, "ETag", &value, &value_size))
		copy_validator(http->says.etag, value, value_size);
	else if (is_header(line, size, "Last-Modified", &value, &value_size))
		copy_validator(http->says.modified, value, value_size);
	else if (is_header(line, size, "Date", &value, &value_size))
		copy_validator(http->date, value, value_size);
	else if (is_header(line, size, "Link", &value, &value_size))
		take_link(http, value, value_size);
	return size;
}

long amend_http_code(const struct http *http)
{
	long code = 0;

	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &code);
	return code;
}

enum amend_status amend_http_failed(const struct http *http, struct amend_error *err,
				    const char *what)
{
	return amend_error_set(err, AMEND_UNREACHABLE, "%s: %s", http->shown, what);
}

enum amend_status amend_http_interrupted(const struct http *http, struct amend_error *err)
{
	return amend_error_set(err, AMEND_INTERRUPTED, "interrupted while %s was read", http->shown);
}

/* What may go better another time. */
bool amend_http_passing(const struct http *http)
{
	long code = amend_http_code(http);

	if (http->broken)
		return false;
	switch (http->result) {
	case CURLE_OK:
		return code == 408 || code == 429 || (code >= 500 && code != 501 && code != 505);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

/* Why the transfer did not bring what was asked for. */
enum amend_status amend_http_complain(const struct http *http, struct amend_error *err)
{
	long code = amend_http_code(http);

	if (http->broken && http->received > http->options.max_bytes)
		return amend_error_set(err, AMEND_UNREACHABLE,
				       "%s: the answer is longer than %llu bytes", http->shown,
				       (unsigned long long)http->options.max_bytes);
	if (http->broken)
		return amend_no_memory(err);
	if (http->result == CURLE_PARTIAL_FILE || (http->result == CURLE_RECV_ERROR && code == 200))
		return amend_http_failed(
			http, err,
			"the answer ends too early: it is cut off, and nothing of it is used");
	if (http->result == CURLE_TOO_MANY_REDIRECTS)
		return amend_http_failed(http, err, "more than 10 redirects, one behind the other");
	if (http->result == CURLE_OPERATION_TIMEDOUT)
		return amend_error_set(err, AMEND_UNREACHABLE,
				       "%s: nothing came for %lld s (hint: --timeout)", http->shown,
				       (long long)http->options.stall_ms / 1000);
	if (http->result != CURLE_OK)
		return amend_http_failed(
			http, err, http->why[0] ? http->why : curl_easy_strerror(http->result));
	return amend_error_set(
		err, AMEND_UNREACHABLE, "%s: expected status 200, found %ld%s", http->shown, code,
		code == 401 || code == 403 ? " (hint: user and password in the URL, or in ~/.netrc)"
					   : "");
}

enum amend_status amend_http_check(struct http *http, struct amend_error *err)
{
	if (http->coding[0] && strcmp(http->coding, "gzip") != 0 &&
	    strcmp(http->coding, "x-gzip") != 0 && strcmp(http->coding, "identity") != 0)
		return amend_error_set(err, AMEND_UNREACHABLE,
				       "%s: expected content coding gzip or none, found %s",
				       http->shown, http->coding);
	if (http->page == 0)
		memcpy(http->first_type, http->type, sizeof(http->type));
	else if (strcmp(http->type, http->first_type) != 0)
		return amend_error_set(err, AMEND_INVALID,
				       "%s: expected %s as on the first page, found %s", http->shown,
				       http->first_type[0] ? http->first_type : "no type",
				       http->type[0] ? http->type : "no type");
	return AMEND_OK;
}

/*
 * http and https through libcurl: opening one, and what is set up for all its transfers.
 * Leaves what the bytes are to the formats, and unpacking to input_gzip.c: libcurl
 * would not tell a packed answer that is cut off.
 */
#include "sync/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/clock.h"

static void close_http(struct amend_input *input)
{
	struct http *http = (struct http *)input;

	amend_http_stop(http);
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers);
	curl_slist_free_all(http->conditional);
	amend_buffer_release(&http->body);
	amend_buffer_release(&http->next);
	amend_hash_release(&http->seen);
	amend_arena_release(&http->marks);
	if (http->password)
		sodium_memzero(http->password, strlen(http->password));
	curl_free(http->user);
	curl_free(http->password);
	free(http->origin);
	free(http->url);
	free(http->shown);
	free(http);
}

static char *origin_of(const char *url)
{
	const char *host = strstr(url, "//") + 2;

	return strndup(url, (size_t)(host - url) + strcspn(host, "/?#"));
}

/* The same headers, and what the document must no longer be. */
static bool set_condition(struct http *http, const struct amend_validators *since)
{
	const struct {
		const char *name, *value;
	} headers[] = {{"If-None-Match", since->etag}, {"If-Modified-Since", since->modified}};
	bool fine = true;

	for (const struct curl_slist *at = http->headers; at; at = at->next) {
		struct curl_slist *more = curl_slist_append(http->conditional, at->data);

		fine = fine && more;
		http->conditional = more ? more : http->conditional;
	}
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		char line[AMEND_VALIDATOR_ROOM + 32];
		struct curl_slist *more;

		if (!*headers[i].value)
			continue;
		snprintf(line, sizeof(line), "%s: %s", headers[i].name, headers[i].value);
		more = curl_slist_append(http->conditional, line);
		fine = fine && more;
		http->conditional = more ? more : http->conditional;
	}
	return fine;
}

static bool set_up(struct http *http)
{
	CURL *easy = http->easy;
	const char *schemes = http->secure ? "https" : "http,https";
	struct curl_slist *more;
	bool fine = true;

	/* Asked for here and unpacked by input_gzip.c. */
	http->headers = curl_slist_append(NULL, "Accept-Encoding: gzip");
	more = http->headers ? curl_slist_append(http->headers, "Accept: */*") : NULL;
	http->headers = more ? more : http->headers;
	fine = more != NULL;
#define SET(option, value) (fine = fine && curl_easy_setopt(easy, option, value) == CURLE_OK)
	SET(CURLOPT_USERAGENT, "amend");
	SET(CURLOPT_PROTOCOLS_STR, schemes);
	SET(CURLOPT_REDIR_PROTOCOLS_STR, schemes);
	SET(CURLOPT_FOLLOWLOCATION, 1L);
	SET(CURLOPT_MAXREDIRS, (long)REDIRECTS);
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC | CURLAUTH_DIGEST);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS,
	    http->options.stall_ms < CONNECT_MS ? (long)http->options.stall_ms : (long)CONNECT_MS);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, (long)((http->options.stall_ms + 999) / 1000));
	SET(CURLOPT_ERRORBUFFER, http->why);
	SET(CURLOPT_HEADERFUNCTION, amend_http_take_header);
	SET(CURLOPT_HEADERDATA, http);
	SET(CURLOPT_WRITEFUNCTION, amend_http_take_body);
	SET(CURLOPT_WRITEDATA, http);
	SET(CURLOPT_VERBOSE, 1L);
	SET(CURLOPT_DEBUGFUNCTION, amend_http_count);
	SET(CURLOPT_DEBUGDATA, http);
#undef SET
	return fine;
}

void amend_http_ends_itself(struct amend_input *input)
{
	((struct http *)input)->ends_itself = true;
}

enum amend_status amend_input_http(const char *url, const struct amend_source_options *options,
				   const struct amend_validators *since, struct amend_input **out,
				   char type[64], struct amend_error *err)
{
	struct http *http = NULL;
	char *page, *shown = amend_http_shown(url);
	enum amend_status status;

	*out = NULL;
	if (!shown)
		return amend_no_memory(err);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || sodium_init() < 0 ||
	    !(http = calloc(1, sizeof(*http)))) {
		free(shown);
		return amend_no_memory(err);
	}
	http->input = (struct amend_input){
		.read = amend_http_read, .next = amend_http_next, .close = close_http};
	http->options = *options;
	http->shown = shown;
	http->deadline = amend_clock_ms() + LONGEST_MS;
	http->secure = strncasecmp(url, "https:", 6) == 0;
	page = amend_http_resolve(NULL, url, &http->user, &http->password);
	if (!page) {
		status = amend_error_set(err, AMEND_INVALID, "%s: this is no URL", shown);
		goto out;
	}
	http->origin = origin_of(page);
	http->multi = curl_multi_init();
	http->easy = curl_easy_init();
	if (!http->origin || !http->multi || !http->easy || !set_up(http) ||
	    (since && !set_condition(http, since))) {
		free(page);
		status = amend_no_memory(err);
		goto out;
	}
	status = amend_http_go_to(http, page, err);
	if (status == AMEND_OK)
		memcpy(type, http->type, sizeof(http->type));
out:
	/* One page then is many now: what it was cannot be the whole. */
	if (status == AMEND_OK && http->unmodified && http->has_next) {
		close_http(&http->input);
		return amend_input_http(url, options, NULL, out, type, err);
	}
	if (status != AMEND_OK || http->unmodified)
		close_http(&http->input);
	else
		*out = &http->input;
	return status;
}

/*
 * One page behind the other, and that they come to an end.
 * Leaves reading Link headers to link.c.
 */
#include "sync/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* False: it was there before. */
static enum amend_status mark(struct http *http, const void *bytes, size_t size, bool *again,
			      struct amend_error *err)
{
	char *copy = amend_arena_text_n(&http->marks, bytes, size);
	void **slot = copy ? amend_hash_put(&http->seen, copy, size) : NULL;

	if (!slot)
		return amend_no_memory(err);
	*again = *slot != NULL;
	*slot = http;
	return AMEND_OK;
}

static enum amend_status looped(const struct http *http, struct amend_error *err, const char *what)
{
	return amend_error_set(err, AMEND_UNREACHABLE, "%s: page %d %s", http->shown,
			       http->page + 1, what);
}

/* A server that hands out the same page again, under whatever name, would never end. */
static enum amend_status mark_page(struct http *http, bool empty, struct amend_error *err)
{
	unsigned char digest[crypto_generichash_BYTES];
	bool again = false;
	enum amend_status status;

	crypto_generichash_final(&http->digest, digest, sizeof(digest));
	if (empty)
		return AMEND_OK;
	status = mark(http, digest, sizeof(digest), &again, err);
	if (status == AMEND_OK && again)
		return looped(http, err, "is the same as one before: the pages run in a circle");
	return status;
}

/* `link` as seen from the page that has it, without credentials. */
char *amend_http_resolve(const char *base, const char *link, char **user, char **password)
{
	CURLU *parts = curl_url();
	char *full = NULL, *copy;
	bool fine = parts && (!base || curl_url_set(parts, CURLUPART_URL, base, 0) == CURLUE_OK) &&
		    curl_url_set(parts, CURLUPART_URL, link, 0) == CURLUE_OK;

	if (fine && user)
		curl_url_get(parts, CURLUPART_USER, user, CURLU_URLDECODE);
	if (fine && password)
		curl_url_get(parts, CURLUPART_PASSWORD, password, CURLU_URLDECODE);
	if (fine) {
		curl_url_set(parts, CURLUPART_USER, NULL, 0);
		curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
		curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
		fine = curl_url_get(parts, CURLUPART_URL, &full, 0) == CURLUE_OK;
	}
	curl_url_cleanup(parts);
	copy = fine ? strdup(full) : NULL;
	curl_free(full);
	return copy;
}

enum amend_status amend_http_go_to(struct http *http, char *url, struct amend_error *err)
{
	bool again = false;
	enum amend_status status;

	free(http->url);
	free(http->shown);
	http->url = url;
	http->shown = amend_http_shown(url);
	if (!http->shown)
		return amend_no_memory(err);
	status = mark(http, url, strlen(url), &again, err);
	if (status == AMEND_OK && again)
		return looped(http, err, "was read before: the pages run in a circle");
	return status == AMEND_OK ? amend_http_open_page(http, err) : status;
}

enum amend_status amend_http_next(struct amend_input *input, bool empty, bool *more,
				  struct amend_error *err)
{
	struct http *http = (struct http *)input;
	enum amend_status status = mark_page(http, empty, err);
	char *base = NULL, *url;

	*more = status == AMEND_OK && http->has_next;
	if (!*more)
		return status;
	curl_easy_getinfo(http->easy, CURLINFO_EFFECTIVE_URL, &base);
	url = amend_http_resolve(base, http->next.data ? http->next.data : "", NULL, NULL);
	http->page++;
	if (!url || !amend_is_http(url) || (http->secure && strncasecmp(url, "https:", 6) != 0)) {
		free(url);
		return looped(http, err,
			      http->secure ? "was announced under no https URL"
					   : "was announced under no http URL");
	}
	if (http->page == PAGES) {
		free(url);
		return looped(http, err, "is one too many: 100000 are allowed");
	}
	return amend_http_go_to(http, url, err);
}

/*
 * Bytes by http or https, page after page.
 */
#ifndef AMEND_SYNC_INPUT_HTTP_H
#define AMEND_SYNC_INPUT_HTTP_H

#include "sync/source.h"

/* Whether the name is one: http://, https://. */
bool amend_is_http(const char *name);

/* For messages and reports: without user, password and the query, which may hold keys. NULL: no memory. */
char *amend_http_shown(const char *url);

enum { AMEND_VALIDATOR_ROOM = 512 };

/* By what a server tells one version of a document from another (RFC 9110, 8.8); "": it does not. */
struct amend_validators {
	char etag[AMEND_VALIDATOR_ROOM];
	char modified[AMEND_VALIDATOR_ROOM];
};

/*
 * Asks for the URL and waits for the answer's beginning. What the server calls its answer goes to
 * `type` ("" when it does not say). UNREACHABLE after the last try; INVALID: not a URL.
 * UNSUPPORTED in a build without libcurl. `since` (NULL: no condition): if the document
 * still is this version, nothing comes, and `*out` is NULL.
 */
enum amend_status amend_input_http(const char *url, const struct amend_source_options *options,
				   const struct amend_validators *since, struct amend_input **out,
				   char type[64], struct amend_error *err) AMEND_CHECK;

/*
 * The format ends by itself: it can be read from an answer whose end nobody
 * marked. Else such an answer is refused: it may be cut off.
 */
void amend_http_ends_itself(struct amend_input *input);

/* Of what has been read to its end: the version, by which all of it can be asked for again; false: there is none. */
bool amend_http_version(const struct amend_input *input, struct amend_validators *out);

/* Link: <url>; rel="next" (RFC 8288). The first such URL of a header's value; false: there is none. */
bool amend_link_next(const char *value, size_t size, const char **url, size_t *url_size);

#endif

/*
 * What the files of the http input share: http_answer.c (what a server says), http_transfer.c
 * (one transfer), http_pages.c (one behind the other), input_http.c (opening). For these alone.
 */
#ifndef AMEND_SYNC_HTTP_H
#define AMEND_SYNC_HTTP_H

#include <curl/curl.h>
#include <sodium.h>

#include "core/buffer.h"
#include "sync/hash.h"
#include "sync/input_http.h"

enum {
	AHEAD = 1 << 20, /* bytes waited for before the first is handed out: until then a failure is tried again */
	REDIRECTS = 10,
	FIRST_WAIT_MS = 500, /* doubled each time */
	LONGEST_WAIT_MS = 60000,
	LOOK_MS = 200,                 /* so often it is looked whether somebody wants an end */
	LONGEST_MS = 12 * 3600 * 1000, /* of all pages */
	PAGES = 100000,
	CONNECT_MS = 30000,
	HEADER_LIMIT = 1 << 16, /* bytes of Link headers */
};

struct http {
	struct amend_input input;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	struct curl_slist *conditional; /* of the first page's request, where it is one; else NULL */
	struct amend_source_options options;
	char *origin; /* scheme://host:port of the URL given: credentials are for it alone */
	char *user, *password;
	char *url;   /* of the page, without credentials */
	char *shown; /* of the page, for messages */
	bool secure; /* it began with https: it stays so */
	bool ends_itself;

	/* Of the transfer under way. */
	bool added, finished, handed_out, paused;
	CURLcode result;
	char why[CURL_ERROR_SIZE];
	struct amend_buffer body;
	size_t at;
	uint64_t received; /* of all pages */
	bool has_length, chunked, gzip;
	uint64_t wire; /* bytes that came of the body; more than were announced are not handed on by libcurl */
	long retry_after; /* seconds; -1: not said */
	char type[64];
	char coding[32];
	struct amend_validators says; /* of this answer */
	char date[AMEND_VALIDATOR_ROOM];
	struct amend_buffer next; /* the URL of the next page, as the header has it; "" for none */
	bool has_next, broken;    /* broken: for want of memory, or the header is too long */

	bool unmodified; /* 304, to a condition */
	char first_type[64];
	int page;
	int64_t deadline;       /* monotonic ms */
	struct amend_hash seen; /* URLs and digests of the pages so far, kept in `marks` */
	struct amend_arena marks;
	crypto_generichash_state digest;
};

/* http_transfer.c: for libcurl, which tells of bytes behind the end nowhere else */
int amend_http_count(CURL *easy, curl_infotype type, char *bytes, size_t size, void *context);

/* http_answer.c: what the server says, header by header, and what it means */
size_t amend_http_take_header(char *line, size_t one, size_t n, void *context);
void amend_http_forget(struct http *http);
long amend_http_code(const struct http *http);
/* UNREACHABLE, of the page. */
enum amend_status amend_http_failed(const struct http *http, struct amend_error *err,
				    const char *what);
enum amend_status amend_http_interrupted(const struct http *http, struct amend_error *err);
/* What may go better another time. */
bool amend_http_passing(const struct http *http);
/* Why the transfer did not bring what was asked for. */
enum amend_status amend_http_complain(const struct http *http, struct amend_error *err);
/* The beginning of an answer that brings something: of the type and coding that is understood. */
enum amend_status amend_http_check(struct http *http, struct amend_error *err) AMEND_CHECK;

/* http_transfer.c: one page */
size_t amend_http_take_body(char *bytes, size_t one, size_t n, void *context);
void amend_http_stop(struct http *http);
/* Asks for http->url, again where that may help, until the answer's beginning is there. */
enum amend_status amend_http_open_page(struct http *http, struct amend_error *err) AMEND_CHECK;
long amend_http_read(struct amend_input *input, void *bytes, size_t size, struct amend_error *err);

/* http_pages.c */
/* `link` as seen from the page that has it (NULL: none), without credentials; malloc's. */
char *amend_http_resolve(const char *base, const char *link, char **user, char **password);
/* Takes `url` over. */
enum amend_status amend_http_go_to(struct http *http, char *url,
				   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_http_next(struct amend_input *input, bool empty, bool *more,
				  struct amend_error *err) AMEND_CHECK;

#endif

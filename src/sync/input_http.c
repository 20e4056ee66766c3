/*
 * http and https through libcurl: one transfer at a time, read as it comes, page after page.
 * Leaves what the bytes are to the formats, and unpacking to input_gzip.c: libcurl
 * would not tell a packed answer that is cut off.
 */
#include "sync/input_http.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "sync/hash.h"

enum {
	AHEAD = 1 << 20, /* bytes waited for before the first is handed out: until then a failure is tried again */
	REDIRECTS = 10,
	FIRST_WAIT_MS = 500, /* doubled each time */
	LONGEST_WAIT_MS = 60000,
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
	long retry_after; /* seconds; -1: not said */
	char type[64];
	char coding[32];
	struct amend_buffer next; /* the URL of the next page, as the header has it; "" for none */
	bool has_next, broken;    /* broken: for want of memory, or the header is too long */

	char first_type[64];
	int page;
	int64_t deadline;       /* monotonic ms */
	struct amend_hash seen; /* URLs and digests of the pages so far, kept in `marks` */
	struct amend_arena marks;
	crypto_generichash_state digest;
};

/* --- what the server says -------------------------------------------------- */

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

static void forget_answer(struct http *http)
{
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

static size_t take_header(char *line, size_t one, size_t n, void *context)
{
	struct http *http = context;
	size_t size = one * n, value_size;
	const char *value;

	/* Each answer, also a redirect's, begins with its status line. */
	if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0)
		forget_answer(http);
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
	else if (is_header(line, size, "Link", &value, &value_size))
		take_link(http, value, value_size);
	return size;
}

static long answer(const struct http *http)
{
	long code = 0;

	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &code);
	return code;
}

static size_t take_body(char *bytes, size_t one, size_t n, void *context)
{
	struct http *http = context;
	size_t size = one * n;

	/* What comes with an error is for people, and is dropped. */
	if (answer(http) != 200)
		return size;
	if (http->body.size - http->at > AHEAD) {
		http->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (http->at > 0) {
		memmove(http->body.data, http->body.data + http->at, http->body.size - http->at);
		http->body.size -= http->at;
		http->at = 0;
	}
	amend_buffer_add(&http->body, bytes, size);
	http->received += size;
	if (http->body.failed || http->received > http->options.max_bytes) {
		http->broken = true;
		return 0;
	}
	return size;
}

/* --- one transfer ------------------------------------------------------------ */

static void stop(struct http *http)
{
	if (http->added)
		curl_multi_remove_handle(http->multi, http->easy);
	http->added = false;
}

static enum amend_status failed(const struct http *http, struct amend_error *err, const char *what)
{
	return amend_error_set(err, AMEND_UNREACHABLE, "%s: %s", http->shown, what);
}

/* Whether the credentials are meant for this URL: scheme, host and port are those of the first. */
static bool same_origin(const struct http *http, const char *url)
{
	size_t size = strlen(http->origin);

	return strncasecmp(url, http->origin, size) == 0 &&
	       (!url[size] || strchr("/?#", url[size]) != NULL);
}

static enum amend_status start(struct http *http, struct amend_error *err)
{
	CURL *easy = http->easy;
	bool ours = same_origin(http, http->url);
	CURLcode code = CURLE_OK;

	stop(http);
	forget_answer(http);
	amend_buffer_reset(&http->body);
	http->at = 0;
	http->finished = http->handed_out = http->paused = http->broken = false;
	http->why[0] = '\0';
	crypto_generichash_init(&http->digest, NULL, 0, crypto_generichash_BYTES);
	code = curl_easy_setopt(easy, CURLOPT_URL, http->url);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_USERNAME, ours ? http->user : NULL);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PASSWORD, ours ? http->password : NULL);
	if (code != CURLE_OK || curl_multi_add_handle(http->multi, easy) != CURLM_OK)
		return amend_no_memory(err);
	http->added = true;
	return AMEND_OK;
}

/* Lets the transfer go on until there is something to hand out, or it is through. */
static enum amend_status go_on(struct http *http, size_t wanted, struct amend_error *err)
{
	while (!http->finished && http->body.size - http->at < wanted) {
		int running = 0, left = 0;
		CURLMsg *message;

		if (amend_clock_ms() > http->deadline)
			return failed(http, err, "it takes too long: 12 hours are allowed");
		if (http->paused) {
			http->paused = false;
			curl_easy_pause(http->easy, CURLPAUSE_CONT);
		}
		if (curl_multi_perform(http->multi, &running) != CURLM_OK)
			return failed(http, err, "libcurl gave up");
		while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
			if (message->msg != CURLMSG_DONE)
				continue;
			http->finished = true;
			http->result = message->data.result;
		}
		if (!http->finished && !http->paused &&
		    curl_multi_poll(http->multi, NULL, 0, 1000, NULL) != CURLM_OK)
			return failed(http, err, "libcurl gave up");
		if (http->paused)
			break;
	}
	return AMEND_OK;
}

/* What may go better another time. */
static bool passing(const struct http *http)
{
	long code = answer(http);

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
static enum amend_status complain(const struct http *http, struct amend_error *err)
{
	long code = answer(http);

	if (http->broken && http->received > http->options.max_bytes)
		return amend_error_set(err, AMEND_UNREACHABLE,
				       "%s: the answer is longer than %llu bytes", http->shown,
				       (unsigned long long)http->options.max_bytes);
	if (http->broken)
		return amend_no_memory(err);
	if (http->result == CURLE_PARTIAL_FILE || (http->result == CURLE_RECV_ERROR && code == 200))
		return failed(http, err,
			      "the answer ends too early: it is cut off, and nothing of it is used");
	if (http->result == CURLE_TOO_MANY_REDIRECTS)
		return failed(http, err, "more than 10 redirects, one behind the other");
	if (http->result == CURLE_OPERATION_TIMEDOUT)
		return amend_error_set(err, AMEND_UNREACHABLE,
				       "%s: nothing came for %lld s (hint: --timeout)", http->shown,
				       (long long)http->options.stall_ms / 1000);
	if (http->result != CURLE_OK)
		return failed(http, err,
			      http->why[0] ? http->why : curl_easy_strerror(http->result));
	return amend_error_set(
		err, AMEND_UNREACHABLE, "%s: expected status 200, found %ld%s", http->shown, code,
		code == 401 || code == 403 ? " (hint: user and password in the URL, or in ~/.netrc)"
					   : "");
}

static void wait_ms(int64_t ms)
{
	struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

/* Between tries; false: the server asks for more patience than we have. */
static bool pause_for(const struct http *http, int tries)
{
	int64_t ms = (int64_t)FIRST_WAIT_MS << tries;

	if (http->retry_after * 1000 > LONGEST_WAIT_MS)
		return false;
	/* Half of it by chance, so that many do not come back at once. */
	ms = ms / 2 + (int64_t)randombytes_uniform((uint32_t)ms);
	if (http->retry_after * 1000 > ms)
		ms = http->retry_after * 1000;
	wait_ms(ms < LONGEST_WAIT_MS ? ms : LONGEST_WAIT_MS);
	return true;
}

static enum amend_status check_answer(struct http *http, struct amend_error *err)
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

/* A page is asked for, again where that may help, until its beginning is there. */
static enum amend_status open_page(struct http *http, struct amend_error *err)
{
	enum amend_status status;

	for (int tries = 0;; tries++) {
		status = start(http, err);
		if (status == AMEND_OK)
			status = go_on(http, AHEAD, err);
		if (status != AMEND_OK)
			return status;
		if (!http->finished || (http->result == CURLE_OK && answer(http) == 200))
			return check_answer(http, err);
		if (!passing(http) || tries == http->options.retries || !pause_for(http, tries))
			return complain(http, err);
	}
}

static bool is_packed(const struct http *http)
{
	return http->body.size >= 2 && memcmp(http->body.data, "\x1f\x8b", 2) == 0;
}

/*
 * The transfer is through. In HTTP/1 an answer without a length ends where the
 * connection does, and so does one that is cut off.
 */
static enum amend_status check_end(const struct http *http, struct amend_error *err)
{
	long version = 0;

	if (http->result != CURLE_OK)
		return complain(http, err);
	curl_easy_getinfo(http->easy, CURLINFO_HTTP_VERSION, &version);
	if (version > CURL_HTTP_VERSION_1_1 || http->has_length || http->chunked ||
	    http->ends_itself || http->gzip)
		return AMEND_OK;
	return failed(http, err,
		      "the server does not say how long its answer is, so whether it is whole "
		      "cannot be known (hint: download it and look)");
}

static long read_http(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct http *http = (struct http *)input;
	size_t left;

	if (go_on(http, 1, err) != AMEND_OK)
		return -1;
	left = http->body.size - http->at;
	if (left == 0)
		return check_end(http, err) == AMEND_OK ? 0 : -1;
	if (!http->handed_out)
		http->gzip = is_packed(http);
	http->handed_out = true;
	if (size > left)
		size = left;
	memcpy(bytes, http->body.data + http->at, size);
	crypto_generichash_update(&http->digest, bytes, size);
	input->taken += size;
	http->at += size;
	return (long)size;
}

/* --- pages --------------------------------------------------------------------- */

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
static char *resolve(const char *base, const char *link, char **user, char **password)
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

static enum amend_status go_to(struct http *http, char *url, struct amend_error *err)
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
	return status == AMEND_OK ? open_page(http, err) : status;
}

static enum amend_status next_http(struct amend_input *input, bool empty, bool *more,
				   struct amend_error *err)
{
	struct http *http = (struct http *)input;
	enum amend_status status = mark_page(http, empty, err);
	char *base = NULL, *url;

	*more = status == AMEND_OK && http->has_next;
	if (!*more)
		return status;
	curl_easy_getinfo(http->easy, CURLINFO_EFFECTIVE_URL, &base);
	url = resolve(base, http->next.data ? http->next.data : "", NULL, NULL);
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
	return go_to(http, url, err);
}

static void close_http(struct amend_input *input)
{
	struct http *http = (struct http *)input;

	stop(http);
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers);
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

/* --- opening ------------------------------------------------------------------- */

static char *origin_of(const char *url)
{
	const char *host = strstr(url, "//") + 2;

	return strndup(url, (size_t)(host - url) + strcspn(host, "/?#"));
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
	SET(CURLOPT_HTTPHEADER, http->headers);
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
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, http);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, http);
#undef SET
	return fine;
}

void amend_http_ends_itself(struct amend_input *input)
{
	((struct http *)input)->ends_itself = true;
}

enum amend_status amend_input_http(const char *url, const struct amend_source_options *options,
				   struct amend_input **out, char type[64], struct amend_error *err)
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
		.read = read_http, .next = next_http, .close = close_http};
	http->options = *options;
	http->shown = shown;
	http->deadline = amend_clock_ms() + LONGEST_MS;
	http->secure = strncasecmp(url, "https:", 6) == 0;
	page = resolve(NULL, url, &http->user, &http->password);
	if (!page) {
		status = amend_error_set(err, AMEND_INVALID, "%s: this is no URL", shown);
		goto out;
	}
	http->origin = origin_of(page);
	http->multi = curl_multi_init();
	http->easy = curl_easy_init();
	if (!http->origin || !http->multi || !http->easy || !set_up(http)) {
		free(page);
		status = amend_no_memory(err);
		goto out;
	}
	status = go_to(http, page, err);
	if (status == AMEND_OK)
		memcpy(type, http->type, sizeof(http->type));
out:
	if (status != AMEND_OK)
		close_http(&http->input);
	else
		*out = &http->input;
	return status;
}

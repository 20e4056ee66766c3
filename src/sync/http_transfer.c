/*
 * One transfer: asked for, again where that may help, and read as it comes.
 * Leaves what the answer says of itself to http_answer.c, what follows it to http_pages.c.
 */
#include "sync/http.h"

#include <string.h>
#include <strings.h>

#include "core/clock.h"

size_t amend_http_take_body(char *bytes, size_t one, size_t n, void *context)
{
	struct http *http = context;
	size_t size = one * n;

	/* What comes with an error is for people, and is dropped. */
	if (amend_http_code(http) != 200)
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

void amend_http_stop(struct http *http)
{
	if (http->added)
		curl_multi_remove_handle(http->multi, http->easy);
	http->added = false;
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

	amend_http_stop(http);
	amend_http_forget(http);
	amend_buffer_reset(&http->body);
	http->at = 0;
	http->finished = http->handed_out = http->paused = http->broken = false;
	http->why[0] = '\0';
	crypto_generichash_init(&http->digest, NULL, 0, crypto_generichash_BYTES);
	code = curl_easy_setopt(easy, CURLOPT_URL, http->url);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
					http->conditional && http->page == 0 ? http->conditional
									     : http->headers);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_USERNAME, ours ? http->user : NULL);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PASSWORD, ours ? http->password : NULL);
	if (code != CURLE_OK || curl_multi_add_handle(http->multi, easy) != CURLM_OK)
		return amend_no_memory(err);
	http->added = true;
	return AMEND_OK;
}

static bool is_interrupted(const struct http *http)
{
	return http->options.interrupted && http->options.interrupted();
}

int amend_http_count(CURL *easy, curl_infotype type, char *bytes, size_t size, void *context)
{
	struct http *http = context;

	(void)easy;
	(void)bytes;
	/* A redirect's own body goes before. */
	if (type == CURLINFO_HEADER_IN)
		http->wire = 0;
	else if (type == CURLINFO_DATA_IN)
		http->wire += size;
	return 0;
}

/* Lets the transfer go on until there is something to hand out, or it is through. */
static enum amend_status go_on(struct http *http, size_t wanted, struct amend_error *err)
{
	while (!http->finished && http->body.size - http->at < wanted) {
		int running = 0, left = 0;
		CURLMsg *message;

		if (is_interrupted(http))
			return amend_http_interrupted(http, err);
		if (amend_clock_ms() > http->deadline)
			return amend_http_failed(http, err,
						 "it takes too long: 12 hours are allowed");
		if (http->paused) {
			http->paused = false;
			curl_easy_pause(http->easy, CURLPAUSE_CONT);
		}
		if (curl_multi_perform(http->multi, &running) != CURLM_OK)
			return amend_http_failed(http, err, "libcurl gave up");
		while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
			if (message->msg != CURLMSG_DONE)
				continue;
			http->finished = true;
			http->result = message->data.result;
		}
		/* A signal may end the waiting. */
		if (!http->finished && !http->paused &&
		    curl_multi_poll(http->multi, NULL, 0, LOOK_MS, NULL) != CURLM_OK &&
		    !is_interrupted(http))
			return amend_http_failed(http, err, "libcurl gave up");
		if (http->paused)
			break;
	}
	return AMEND_OK;
}

/* In pieces: a signal that comes just before one of them ends it all the same. */
static void wait_ms(const struct http *http, int64_t ms)
{
	const int64_t until = amend_clock_ms() + ms;

	while (!is_interrupted(http) && (ms = until - amend_clock_ms()) > 0)
		amend_clock_sleep_ms(ms < LOOK_MS ? (int)ms : LOOK_MS);
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
	wait_ms(http, ms < LONGEST_WAIT_MS ? ms : LONGEST_WAIT_MS);
	return true;
}

/* A page is asked for, again where that may help, until its beginning is there. */
enum amend_status amend_http_open_page(struct http *http, struct amend_error *err)
{
	enum amend_status status;

	for (int tries = 0;; tries++) {
		status = start(http, err);
		if (status == AMEND_OK)
			status = go_on(http, AHEAD, err);
		if (status != AMEND_OK)
			return status;
		http->unmodified = http->finished && http->result == CURLE_OK &&
				   http->conditional && http->page == 0 &&
				   amend_http_code(http) == 304;
		if (http->unmodified)
			return AMEND_OK;
		if (!http->finished || (http->result == CURLE_OK && amend_http_code(http) == 200))
			return amend_http_check(http, err);
		if (!amend_http_passing(http) || tries == http->options.retries ||
		    !pause_for(http, tries))
			return amend_http_complain(http, err);
		if (is_interrupted(http))
			return amend_http_interrupted(http, err);
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
	curl_off_t length = -1;

	if (http->result != CURLE_OK)
		return amend_http_complain(http, err);
	curl_easy_getinfo(http->easy, CURLINFO_HTTP_VERSION, &version);
	curl_easy_getinfo(http->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	/* What comes in later reads than the end nobody sees: it is the next answer's, or nobody's. */
	if (version <= CURL_HTTP_VERSION_1_1 && http->has_length && !http->chunked && length >= 0 &&
	    http->wire > (uint64_t)length)
		return amend_http_failed(http, err,
					 "the server sends more than it announced, so what was "
					 "announced may not be all (hint: download it and look)");
	if (version > CURL_HTTP_VERSION_1_1 || http->has_length || http->chunked ||
	    http->ends_itself || http->gzip)
		return AMEND_OK;
	return amend_http_failed(
		http, err,
		"the server does not say how long its answer is, so whether it is whole "
		"cannot be known (hint: download it and look)");
}

long amend_http_read(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
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

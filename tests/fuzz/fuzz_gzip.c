/*
 * gzip from outside, with NDJSON in it: no bytes make it read outside of them, and the
 * same is read however they arrive. And the Link header of a server, likewise.
 */
#include <stdint.h>

#include "pieces.h"
#include "sync/input_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct amend_source_options options = {.format = AMEND_FORMAT_NDJSON};
	const char *url, *text = (const char *)data;
	size_t url_size;

	if (size > 0 && data[0] == '<') {
		if (amend_link_next(text, size, &url, &url_size))
			check(url > text && url + url_size < text + size && url[-1] == '<' &&
			      url[url_size] == '>');
	} else {
		read_in_pieces(data, size, &options, NULL, NULL);
	}
	return 0;
}

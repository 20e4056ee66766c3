/*
 * A build without libcurl: http is refused by name.
 * Leaves fetching to whatever pipes into standard input.
 */
#include <stdlib.h>

#include "sync/input_http.h"

void amend_http_ends_itself(struct amend_input *input)
{
	(void)input;
}

bool amend_http_version(const struct amend_input *input, struct amend_validators *out)
{
	(void)input;
	*out = (struct amend_validators){"", ""};
	return false;
}

enum amend_status amend_input_http(const char *url, const struct amend_source_options *options,
				   const struct amend_validators *since, struct amend_input **out,
				   char type[64], struct amend_error *err)
{
	char *shown = amend_http_shown(url);

	(void)options;
	(void)since;
	(void)type;
	*out = NULL;
	amend_error_set(
		err, AMEND_UNSUPPORTED,
		"%s: this amend was built without http (hint: curl -sS URL | amend sync - ... "
		"--format csv, tsv, json or ndjson)",
		shown ? shown : "http");
	free(shown);
	return err->status;
}

/*
 * Opening a source: which format, which bytes, and names that can be told apart.
 * Leaves the formats to source_*.c, and where bytes come from to input_*.c.
 */
#include "sync/source.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/buffer.h"
#include "core/digest.h"
#include "core/json_text.h"
#include "sync/input_http.h"

static bool ends_with(const char *name, size_t size, const char *end)
{
	size_t end_size = strlen(end);

	return size > end_size && strncasecmp(name + size - end_size, end, end_size) == 0;
}

static const struct {
	const char *end;
	enum amend_format format;
} endings[] = {
	{".csv", AMEND_FORMAT_CSV},       {".tsv", AMEND_FORMAT_TSV},
	{".tab", AMEND_FORMAT_TSV},       {".json", AMEND_FORMAT_JSON},
	{".ndjson", AMEND_FORMAT_NDJSON}, {".jsonl", AMEND_FORMAT_NDJSON},
};

static const struct {
	const char *type;
	enum amend_format format;
} types[] = {
	{"text/csv", AMEND_FORMAT_CSV},
	{"text/tab-separated-values", AMEND_FORMAT_TSV},
	{"application/json", AMEND_FORMAT_JSON},
	{"text/json", AMEND_FORMAT_JSON},
	{"application/x-ndjson", AMEND_FORMAT_NDJSON},
	{"application/ndjson", AMEND_FORMAT_NDJSON},
	{"application/jsonl", AMEND_FORMAT_NDJSON},
	{"application/x-jsonlines", AMEND_FORMAT_NDJSON},
	/* says nothing: the name does */
	{"", AMEND_FORMAT_AUTO},
	{"text/plain", AMEND_FORMAT_AUTO},
	{"application/octet-stream", AMEND_FORMAT_AUTO},
	{"application/gzip", AMEND_FORMAT_AUTO},
	{"application/x-gzip", AMEND_FORMAT_AUTO},
};

/* By the end of the first `size` bytes, behind which .gz may stand. AUTO: it tells nothing. */
static enum amend_format named_format(const char *name, size_t size)
{
	if (ends_with(name, size, ".gz"))
		size -= 3;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (ends_with(name, size, endings[i].end))
			return endings[i].format;
	}
	return AMEND_FORMAT_AUTO;
}

static enum amend_status choose_format(const char *path, enum amend_format *format,
				       struct amend_error *err)
{
	if (*format != AMEND_FORMAT_AUTO)
		return AMEND_OK;
	if (strcmp(path, "-") == 0)
		return amend_error_set(err, AMEND_INVALID,
				       "standard input has no name to tell its format from (hint: "
				       "--format csv, tsv, json or ndjson)");
	*format = named_format(path, strlen(path));
	if (*format == AMEND_FORMAT_AUTO)
		return amend_error_set(err, AMEND_INVALID,
				       "%s: expected a name that ends in .csv, .tsv, .json or "
				       ".ndjson (hint: --format csv, tsv, json or ndjson)",
				       path);
	return AMEND_OK;
}

/* What the server calls it counts; where that says nothing, its name. */
static enum amend_status choose_type(const char *url, const char *shown, const char *type,
				     enum amend_format *format, struct amend_error *err)
{
	size_t size = strlen(type), i, n = sizeof(types) / sizeof(types[0]);

	if (*format != AMEND_FORMAT_AUTO)
		return AMEND_OK;
	for (i = 0; i < n; i++) {
		if (strcmp(type, types[i].type) == 0)
			*format = types[i].format;
		if (strcmp(type, types[i].type) == 0)
			break;
	}
	if (i == n && ends_with(type, size, "+json"))
		*format = AMEND_FORMAT_JSON;
	else if (i < n && *format == AMEND_FORMAT_AUTO)
		*format = named_format(url, strcspn(url, "?#"));
	if (*format == AMEND_FORMAT_AUTO)
		return amend_error_set(err, AMEND_INVALID,
				       "%s: expected CSV, TSV, JSON or NDJSON, found %s (hint: "
				       "--format csv, tsv, json or ndjson)",
				       shown, *type ? type : "no type");
	return AMEND_OK;
}

static enum amend_status begin_format(struct amend_source *source,
				      const struct amend_source_options *options,
				      struct amend_error *err)
{
	if (options->path && options->format != AMEND_FORMAT_JSON)
		return amend_error_set(err, AMEND_INVALID,
				       "%s: --path names the array inside a JSON document, and this "
				       "is none (hint: --format json)",
				       source->path);
	switch (options->format) {
	case AMEND_FORMAT_AUTO:
	case AMEND_FORMAT_CSV:
		return amend_source_csv(source, ',', err);
	case AMEND_FORMAT_TSV:
		return amend_source_csv(source, '\t', err);
	case AMEND_FORMAT_JSON:
		return amend_source_json(source, false, options->path, err);
	case AMEND_FORMAT_NDJSON:
		return amend_source_json(source, true, NULL, err);
	}
	return AMEND_OK;
}

enum amend_status amend_source_new(struct amend_input *input, const char *path,
				   const struct amend_source_options *options,
				   struct amend_source **out, struct amend_error *err)
{
	struct amend_source *source = calloc(1, sizeof(*source));
	struct amend_input *unpacked;
	enum amend_status status;

	*out = NULL;
	if (source)
		source->input = source->hashed = amend_input_hashed(input);
	if (!source || !source->input) {
		input->close(input);
		free(source);
		return amend_no_memory(err);
	}
	source->json = options->format == AMEND_FORMAT_JSON ||
		       options->format == AMEND_FORMAT_NDJSON;
	source->way = options->path ? options->path : "";
	source->path = strdup(path);
	unpacked = amend_input_gzip(source->hashed, path);
	if (unpacked)
		source->input = unpacked;
	/* Put aside is what the format reads. */
	status = source->path && unpacked ? AMEND_OK : amend_no_memory(err);
	if (status == AMEND_OK && options->keep) {
		source->kept = amend_input_kept(unpacked, err);
		if (source->kept)
			source->input = source->kept;
		else
			status = err->status;
	}
	if (status == AMEND_OK)
		status = begin_format(source, options, err);
	if (status != AMEND_OK) {
		amend_source_close(source);
		return status;
	}
	*out = source;
	return AMEND_OK;
}

bool amend_source_asked(const char *url, const struct amend_source_options *options,
			unsigned char asked[AMEND_DIGEST_SIZE])
{
	const char *host = strstr(url, "//"), *path, *at, *colon;
	struct amend_buffer text = AMEND_BUFFER_INIT;
	bool fine;

	host = host ? host + 2 : url;
	path = host + strcspn(host, "/?#");
	for (at = path; at > host && at[-1] != '@'; at--)
		;
	colon = memchr(host, ':', (size_t)(at - host));
	amend_buffer_add(&text, url, (size_t)((colon ? colon : at) - url));
	amend_buffer_char(&text, '\0');
	amend_buffer_add(&text, at, strcspn(at, "#"));
	amend_buffer_char(&text, '\0');
	amend_buffer_integer(&text, options->format);
	amend_buffer_char(&text, '\0');
	amend_buffer_text(&text, options->path ? options->path : "");
	fine = !text.failed;
	if (fine)
		amend_digest(text.data, text.size, asked);
	amend_buffer_release(&text);
	return fine;
}

enum amend_status amend_source_http(const char *url, const struct amend_source_options *given,
				    const struct amend_validators *since, struct amend_source **out,
				    struct amend_error *err)
{
	struct amend_source_options chosen = *given, *options = &chosen;
	struct amend_input *input = NULL;
	char *shown = amend_http_shown(url), type[64] = "";
	enum amend_status status = shown ? AMEND_OK : amend_no_memory(err);

	*out = NULL;
	if (status == AMEND_OK &&
	    (options->retries < 0 || options->retries > 20 || options->stall_ms <= 0))
		status = amend_error_set(err, AMEND_INVALID,
					 "%s: expected 0 to 20 retries and a time above 0, found %d "
					 "and %lld ms",
					 shown, options->retries, (long long)options->stall_ms);
	if (status == AMEND_OK)
		status = amend_input_http(url, options, since, &input, type, err);
	if (status == AMEND_OK && !input) {
		free(shown);
		return AMEND_OK;
	}
	if (status == AMEND_OK)
		status = choose_type(url, shown, type, &options->format, err);
	if (status == AMEND_OK && options->format == AMEND_FORMAT_JSON)
		amend_http_ends_itself(input);
	if (status == AMEND_OK)
		status = amend_source_new(input, shown, options, out, err);
	else if (input)
		input->close(input);
	free(shown);
	if (status == AMEND_OK) {
		(*out)->remote = true;
		/* Without it is not asked for by version again. */
		(*out)->http = amend_source_asked(url, given, (*out)->asked) ? input : NULL;
	}
	return status;
}

static enum amend_status open_query(const char *url, const struct amend_source_options *options,
				    struct amend_source **out, struct amend_error *err)
{
	struct amend_source *source;
	enum amend_status status;

	if (options->format != AMEND_FORMAT_AUTO || options->path)
		return amend_error_set(err, AMEND_INVALID,
				       "--query asks a database: --format and --path are for files");
	source = calloc(1, sizeof(*source));
	if (!source)
		return amend_no_memory(err);
	source->path = strdup("query");
	status = source->path ? amend_source_query(source, url, options->query, err)
			      : amend_no_memory(err);
	if (status == AMEND_OK)
		*out = source;
	else
		amend_source_close(source);
	return status;
}

enum amend_status amend_source_open(const char *name, const struct amend_source_options *options,
				    struct amend_source **out, struct amend_error *err)
{
	struct amend_source_options chosen = AMEND_SOURCE_OPTIONS_INIT;
	struct amend_input *input;
	enum amend_status status;

	*out = NULL;
	if (options)
		chosen = *options;
	if (chosen.query)
		return open_query(name, &chosen, out, err);
	if (amend_is_http(name))
		return amend_source_http(name, &chosen, NULL, out, err);
	status = choose_format(name, &chosen.format, err);
	if (status != AMEND_OK)
		return status;
	input = amend_input_file(name, err);
	if (!input)
		return err->status;
	input->interrupted = chosen.interrupted;
	return amend_source_new(input, strcmp(name, "-") == 0 ? "standard input" : name, &chosen,
				out, err);
}

void amend_source_close(struct amend_source *source)
{
	if (!source)
		return;
	if (source->ops)
		source->ops->close(source);
	if (source->input)
		source->input->close(source->input);
	for (size_t i = 0; i < source->n_names; i++)
		free(source->names[i]);
	free(source->names);
	free(source->path);
	amend_hasher_free(source->hasher);
	free(source);
}

size_t amend_source_columns(const struct amend_source *source, const char *const **names)
{
	*names = (const char *const *)source->names;
	return source->n_names;
}

enum amend_status amend_source_add_name(struct amend_source *source, const char *name, size_t size,
					struct amend_error *err)
{
	char **names, *copy;

	if (source->n_names == AMEND_COLUMN_LIMIT)
		return amend_error_set(
			err, AMEND_INVALID, "%s: more than %d columns, the last of them %.*s",
			source->path, AMEND_COLUMN_LIMIT, size < 64 ? (int)size : 64, name);
	names = realloc(source->names, (source->n_names + 1) * sizeof(*names));
	if (!names)
		return amend_no_memory(err);
	source->names = names;
	copy = malloc(size + 1);
	if (!copy)
		return amend_no_memory(err);
	memcpy(copy, name, size);
	copy[size] = '\0';
	source->names[source->n_names++] = copy;
	return AMEND_OK;
}

enum amend_status amend_source_want(struct amend_source *source, const char *name,
				    struct amend_error *err)
{
	for (size_t i = 0; i < source->n_names; i++) {
		if (strcmp(source->names[i], name) == 0)
			return AMEND_OK;
	}
	return amend_source_add_name(source, name, strlen(name), err);
}

const char *amend_source_name_shown(const struct amend_source *source)
{
	return source->path;
}

bool amend_source_numbers_records(const struct amend_source *source)
{
	return source->numbers_records;
}

bool amend_source_unmodified(const struct amend_source *source)
{
	return source->unmodified;
}

const char *amend_source_unit(const struct amend_source *source)
{
	return source->numbers_records ? "record" : "line";
}

static enum amend_status bad_name(const struct amend_source *source, int64_t line, const char *why,
				  struct amend_error *err)
{
	return amend_error_set(err, AMEND_INVALID, "%s:%lld: column %zu of the header %s",
			       source->path, (long long)line, source->n_names + 1, why);
}

enum amend_status amend_source_name(struct amend_source *source, int64_t line, const char *name,
				    size_t size, struct amend_error *err)
{
	if (source->n_names == AMEND_COLUMN_LIMIT)
		return bad_name(source, line, "is one too many: 4096 are allowed", err);
	if (size == 0)
		return bad_name(source, line, "has no name", err);
	if (memchr(name, '\0', size) || !amend_utf8_valid(name, size))
		return bad_name(source, line, "is not UTF-8 text", err);
	for (size_t i = 0; i < source->n_names; i++) {
		if (strlen(source->names[i]) == size && memcmp(source->names[i], name, size) == 0)
			return amend_error_set(err, AMEND_INVALID,
					       "%s:%lld: columns %zu and %zu of the header have one "
					       "name, %s",
					       source->path, (long long)line, i + 1,
					       source->n_names + 1, source->names[i]);
	}
	return amend_source_add_name(source, name, size, err);
}

enum amend_status amend_source_next_text(struct amend_source *source, bool empty, bool *more,
					 struct amend_error *err)
{
	*more = false;
	return source->input->next ? source->input->next(source->input, empty, more, err) : AMEND_OK;
}

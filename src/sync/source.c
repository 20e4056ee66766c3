/*
 * Opening a source: which format, which bytes, and names that can be told apart.
 * Leaves the formats to source_*.c.
 */
#include "sync/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/json_text.h"

struct file_input {
	struct amend_input input;
	int fd;
	bool ours;
	char path[];
};

static long read_file(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct file_input *file = (struct file_input *)input;
	ssize_t n;

	do
		n = read(file->fd, bytes, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		amend_error_set(err, AMEND_INVALID, "%s: %s", file->path, strerror(errno));
	else
		input->taken += (uint64_t)n;
	return (long)n;
}

static void close_file(struct amend_input *input)
{
	struct file_input *file = (struct file_input *)input;

	if (file->ours)
		close(file->fd);
	free(file);
}

static struct amend_input *open_file(const char *path, struct amend_error *err)
{
	size_t size = strlen(path) + 1;
	struct file_input *file = malloc(sizeof(*file) + size);
	struct stat there;

	if (!file) {
		amend_no_memory(err);
		return NULL;
	}
	file->input = (struct amend_input){.read = read_file, .close = close_file};
	memcpy(file->path, path, size);
	file->ours = strcmp(path, "-") != 0;
	file->fd = file->ours ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (file->fd < 0) {
		amend_error_set(err, AMEND_INVALID, "%s: %s", path, strerror(errno));
		free(file);
		return NULL;
	}
	if (fstat(file->fd, &there) == 0 && S_ISREG(there.st_mode) && there.st_size > 0)
		file->input.size = (uint64_t)there.st_size;
	return &file->input;
}

struct memory_input {
	struct amend_input input;
	const char *bytes;
	size_t size;
};

static long read_memory(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct memory_input *memory = (struct memory_input *)input;

	(void)err;
	if (size > memory->size)
		size = memory->size;
	if (size > 0)
		memcpy(bytes, memory->bytes, size);
	memory->bytes += size;
	memory->size -= size;
	return (long)size;
}

static void close_memory(struct amend_input *input)
{
	free(input);
}

struct amend_input *amend_input_memory(const void *bytes, size_t size)
{
	struct memory_input *memory = malloc(sizeof(*memory));

	if (!memory)
		return NULL;
	*memory = (struct memory_input){{.read = read_memory, .close = close_memory}, bytes, size};
	return &memory->input;
}

static bool ends_with(const char *path, const char *end)
{
	size_t size = strlen(path), end_size = strlen(end);

	return size > end_size && strcasecmp(path + size - end_size, end) == 0;
}

static const struct {
	const char *end;
	enum amend_format format;
} endings[] = {
	{".csv", AMEND_FORMAT_CSV},       {".tsv", AMEND_FORMAT_TSV},
	{".tab", AMEND_FORMAT_TSV},       {".json", AMEND_FORMAT_JSON},
	{".ndjson", AMEND_FORMAT_NDJSON}, {".jsonl", AMEND_FORMAT_NDJSON},
};

static enum amend_status choose_format(const char *path, enum amend_format *format,
				       struct amend_error *err)
{
	if (*format != AMEND_FORMAT_AUTO)
		return AMEND_OK;
	if (strcmp(path, "-") == 0)
		return amend_error_set(err, AMEND_INVALID,
				       "standard input has no name to tell its format from (hint: "
				       "--format csv, tsv, json or ndjson)");
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (ends_with(path, endings[i].end))
			*format = endings[i].format;
	}
	if (*format == AMEND_FORMAT_AUTO)
		return amend_error_set(err, AMEND_INVALID,
				       "%s: expected a name that ends in .csv, .tsv, .json or "
				       ".ndjson (hint: --format csv, tsv, json or ndjson)",
				       path);
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
	enum amend_status status;

	*out = NULL;
	if (source)
		source->input = source->hashed = amend_input_hashed(input);
	if (!source || !source->input) {
		input->close(input);
		free(source);
		return amend_no_memory(err);
	}
	source->path = strdup(path);
	status = source->path ? begin_format(source, options, err) : amend_no_memory(err);
	if (status != AMEND_OK) {
		amend_source_close(source);
		return status;
	}
	*out = source;
	return AMEND_OK;
}

enum amend_status amend_source_open(const char *path, const struct amend_source_options *options,
				    struct amend_source **out, struct amend_error *err)
{
	struct amend_source_options chosen = AMEND_SOURCE_OPTIONS_INIT;
	struct amend_input *input;
	enum amend_status status;

	*out = NULL;
	if (options)
		chosen = *options;
	status = choose_format(path, &chosen.format, err);
	if (status != AMEND_OK)
		return status;
	input = open_file(path, err);
	if (!input)
		return err->status;
	return amend_source_new(input, strcmp(path, "-") == 0 ? "standard input" : path, &chosen,
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

bool amend_source_numbers_records(const struct amend_source *source)
{
	return source->numbers_records;
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

/*
 * Bytes from a file, from standard input, from memory.
 * Leaves what they are to the formats.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buffer.h"
#include "sync/source.h"

struct file_input {
	struct amend_input input;
	int fd;
	bool ours;
	char path[];
};

enum amend_status amend_input_failed(const char *path, int why, struct amend_error *err)
{
	enum amend_status status = why == ENOENT || why == ENOTDIR || why == EISDIR ? AMEND_INVALID
				   : why == EACCES                                  ? AMEND_DENIED
						   : AMEND_UNREACHABLE;

	return amend_error_set(err, status, "%s: %s", path, strerror(why));
}

static long read_file(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct file_input *file = (struct file_input *)input;
	ssize_t n;

	do {
		if (input->interrupted && input->interrupted()) {
			amend_error_set(err, AMEND_INTERRUPTED, "interrupted while %s was read",
					file->path);
			return -1;
		}
		n = read(file->fd, bytes, size);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		input->taken += (uint64_t)n;
	else
		(void)amend_input_failed(file->path, errno, err);
	return (long)n;
}

static void close_file(struct amend_input *input)
{
	struct file_input *file = (struct file_input *)input;

	if (file->ours)
		close(file->fd);
	free(file);
}

struct amend_input *amend_input_file(const char *path, struct amend_error *err)
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
		(void)amend_input_failed(path, errno, err);
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
	input->taken += size;
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
	*memory = (struct memory_input){
		{.read = read_memory, .close = close_memory, .size = size}, bytes, size};
	return &memory->input;
}

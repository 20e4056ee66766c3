/*
 * The bytes of a record, whole in memory, whatever pieces the input comes in.
 * Leaves finding the record's end to the formats.
 */
#include "sync/window.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"

enum { READ_SIZE = 1 << 17 };

void amend_window_init(struct amend_window *window, struct amend_input *input)
{
	*window = (struct amend_window){.input = input};
}

void amend_window_release(struct amend_window *window)
{
	free(window->bytes);
	window->bytes = NULL;
}

/* Room for one more piece: by moving what is kept to the front, by doubling where that is not enough. */
static bool make_room(struct amend_window *window)
{
	size_t kept = window->end - window->begin, room = window->room;
	char *bytes;

	if (kept > 0 && window->begin > 0)
		memmove(window->bytes, window->bytes + window->begin, kept);
	window->begin = 0;
	window->end = kept;
	if (room >= kept + READ_SIZE)
		return true;
	room = 2 * (kept + READ_SIZE);
	bytes = realloc(window->bytes, room + AMEND_WINDOW_SPARE);
	if (!bytes)
		return false;
	/* The spare bytes are looked at before they are written. */
	memset(bytes + window->room, 0, room + AMEND_WINDOW_SPARE - window->room);
	window->bytes = bytes;
	window->room = room;
	return true;
}

enum amend_status amend_window_more(struct amend_window *window, const char *path, int64_t line,
				    struct amend_error *err)
{
	long n;

	if (window->end - window->begin > AMEND_RECORD_LIMIT)
		return amend_error_set(
			err, AMEND_INVALID,
			"%s:%lld: the record that begins here is longer than %d bytes", path,
			(long long)line, AMEND_RECORD_LIMIT);
	if (!make_room(window))
		return amend_no_memory(err);
	if (window->at_end)
		return AMEND_OK;
	n = window->input->read(window->input, window->bytes + window->end, READ_SIZE, err);
	if (n < 0)
		return err->status;
	window->end += (size_t)n;
	window->at_end = n == 0;
	return AMEND_OK;
}

enum amend_status amend_window_skip_mark(struct amend_window *window, const char *path,
					 struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	const char *bytes;
	size_t size;

	while (window->end - window->begin < 3 && !window->at_end && status == AMEND_OK)
		status = amend_window_more(window, path, 1, err);
	if (status != AMEND_OK)
		return status;
	bytes = window->bytes + window->begin;
	size = window->end - window->begin;
	if (size >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0))
		return amend_error_set(
			err, AMEND_INVALID,
			"%s: expected UTF-8, found UTF-16 (hint: iconv -f UTF-16 -t UTF-8)", path);
	if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
		window->begin += 3;
	return AMEND_OK;
}

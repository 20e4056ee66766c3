/*
 * gzip (RFC 1952): unpacked where the bytes begin with its mark, passed on as they are where not.
 * Leaves where they come from to the input it reads from.
 *
 * Several members one behind the other are one text. An input that ends inside a
 * member is cut off; anything but a member behind a member is an error.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/buffer.h"
#include "sync/source.h"

enum { PIECE = 1 << 16 };

enum state { UNKNOWN, PLAIN, MEMBER, BETWEEN };

struct gzip {
	struct amend_input input;
	struct amend_input *from;
	char *path;
	enum state state;
	z_stream stream; /* next_in and avail_in: what has been read and not been used */
	bool set_up;     /* inflateEnd is due */
	unsigned char bytes[PIECE];
};

/* More bytes behind those that are left, which are few. `*end`: there are none. */
static enum amend_status fill(struct gzip *gzip, bool *end, struct amend_error *err)
{
	size_t left = gzip->stream.avail_in;
	long n;

	if (left > 0)
		memmove(gzip->bytes, gzip->stream.next_in, left);
	gzip->stream.next_in = gzip->bytes;
	n = gzip->from->read(gzip->from, gzip->bytes + left, PIECE - left, err);
	if (n < 0)
		return err->status;
	gzip->stream.avail_in += (unsigned)n;
	gzip->input.taken = gzip->from->taken;
	*end = n == 0;
	return AMEND_OK;
}

static enum amend_status begin_member(struct gzip *gzip, struct amend_error *err)
{
	gzip->state = MEMBER;
	if (gzip->set_up)
		return inflateReset(&gzip->stream) == Z_OK ? AMEND_OK : amend_no_memory(err);
	if (inflateInit2(&gzip->stream, MAX_WBITS + 16) != Z_OK)
		return amend_no_memory(err);
	gzip->set_up = true;
	return AMEND_OK;
}

static enum amend_status look(struct gzip *gzip, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	bool end = false;

	while (gzip->stream.avail_in < 2 && !end && status == AMEND_OK)
		status = fill(gzip, &end, err);
	if (status != AMEND_OK)
		return status;
	if (gzip->stream.avail_in >= 2 && memcmp(gzip->stream.next_in, "\x1f\x8b", 2) == 0)
		return begin_member(gzip, err);
	gzip->state = PLAIN;
	return AMEND_OK;
}

static long pass_on(struct gzip *gzip, void *bytes, size_t size, struct amend_error *err)
{
	size_t left = gzip->stream.avail_in;

	if (left == 0) {
		long n = gzip->from->read(gzip->from, bytes, size, err);

		gzip->input.taken = gzip->from->taken;
		return n;
	}
	if (size > left)
		size = left;
	memcpy(bytes, gzip->stream.next_in, size);
	gzip->stream.next_in += size;
	gzip->stream.avail_in -= (unsigned)size;
	return (long)size;
}

/* Between members: the end, or the next one. */
static enum amend_status next_member(struct gzip *gzip, bool *end, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	*end = false;
	while (gzip->stream.avail_in < 2 && !*end && status == AMEND_OK)
		status = fill(gzip, end, err);
	if (status != AMEND_OK || (*end && gzip->stream.avail_in == 0))
		return status;
	*end = false;
	if (gzip->stream.avail_in >= 2 && memcmp(gzip->stream.next_in, "\x1f\x8b", 2) == 0)
		return begin_member(gzip, err);
	return amend_error_set(err, AMEND_UNREACHABLE,
			       "%s: expected the end behind the gzip data, found other bytes",
			       gzip->path);
}

static enum amend_status unpack(struct gzip *gzip, struct amend_error *err)
{
	bool end = false;
	enum amend_status status = gzip->stream.avail_in == 0 ? fill(gzip, &end, err) : AMEND_OK;
	int code;

	if (status != AMEND_OK)
		return status;
	if (end)
		return amend_error_set(err, AMEND_UNREACHABLE,
				       "%s: the gzip data ends too early: the input is cut off",
				       gzip->path);
	code = inflate(&gzip->stream, Z_NO_FLUSH);
	if (code == Z_STREAM_END)
		gzip->state = BETWEEN;
	if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
		return AMEND_OK;
	if (code == Z_MEM_ERROR)
		return amend_no_memory(err);
	return amend_error_set(err, AMEND_UNREACHABLE, "%s: the gzip data is damaged: %s",
			       gzip->path,
			       gzip->stream.msg ? gzip->stream.msg : "a dictionary is asked for");
}

static long read_gzip(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct gzip *gzip = (struct gzip *)input;
	enum amend_status status = AMEND_OK;
	bool end = false;

	if (gzip->state == UNKNOWN)
		status = look(gzip, err);
	if (status == AMEND_OK && gzip->state == PLAIN)
		return pass_on(gzip, bytes, size, err);
	if (size > PIECE)
		size = PIECE;
	gzip->stream.next_out = bytes;
	gzip->stream.avail_out = (unsigned)size;
	while (status == AMEND_OK && !end && gzip->stream.avail_out == size)
		status = gzip->state == BETWEEN ? next_member(gzip, &end, err) : unpack(gzip, err);
	return status == AMEND_OK ? (long)(size - gzip->stream.avail_out) : -1;
}

static enum amend_status next_gzip(struct amend_input *input, bool empty, bool *more,
				   struct amend_error *err)
{
	struct gzip *gzip = (struct gzip *)input;

	*more = false;
	if (!gzip->from->next)
		return AMEND_OK;
	gzip->state = UNKNOWN;
	gzip->stream.avail_in = 0;
	return gzip->from->next(gzip->from, empty, more, err);
}

static void close_gzip(struct amend_input *input)
{
	struct gzip *gzip = (struct gzip *)input;

	if (gzip->set_up)
		inflateEnd(&gzip->stream);
	gzip->from->close(gzip->from);
	free(gzip->path);
	free(gzip);
}

struct amend_input *amend_input_gzip(struct amend_input *from, const char *path)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));
	char *copy = strdup(path);

	if (!gzip || !copy) {
		from->close(from);
		free(gzip);
		free(copy);
		return NULL;
	}
	gzip->input = (struct amend_input){
		.read = read_gzip, .next = next_gzip, .close = close_gzip, .size = from->size};
	gzip->from = from;
	gzip->path = copy;
	return &gzip->input;
}

/*
 * The packed list of named values, and its digest.
 * Leaves what the names and values mean to its users.
 */
#include "core/pack.h"

#include <string.h>

#include <sodium.h>

enum { LENGTH_MOST = 10 };

static size_t put_length(unsigned char *at, uint64_t length)
{
	size_t n = 0;

	do {
		at[n] = length & 0x7f;
		length >>= 7;
		if (length > 0)
			at[n] |= 0x80;
		n++;
	} while (length > 0);
	return n;
}

static size_t put_bits(unsigned char *at, uint64_t bits)
{
	for (int i = 0; i < 8; i++, bits >>= 8)
		at[i] = bits & 0xff;
	return 8;
}

void amend_pack_name(struct amend_buffer *names, const char *name)
{
	size_t size = strlen(name);

	if (!amend_buffer_reserve(names, LENGTH_MOST + size))
		return;
	names->size += put_length((unsigned char *)names->data + names->size, size);
	amend_buffer_add(names, name, size);
}

void amend_pack_add(struct amend_buffer *pack, const char *name, const struct amend_value *value)
{
	amend_pack_name(pack, name);
	amend_pack_value(pack, value);
}

void amend_pack_value(struct amend_buffer *pack, const struct amend_value *value)
{
	bool sized = value->kind == AMEND_TEXT || value->kind == AMEND_BLOB;
	uint64_t bits = 0;
	unsigned char *at;

	if (!amend_buffer_reserve(pack, LENGTH_MOST + 1 + (sized ? value->size : 0)))
		return;
	at = (unsigned char *)pack->data + pack->size;
	*at++ = (unsigned char)value->kind;
	switch (value->kind) {
	case AMEND_NULL:
		break;
	case AMEND_INTEGER:
		at += put_bits(at, (uint64_t)value->as.integer);
		break;
	case AMEND_REAL:
		memcpy(&bits, &value->as.real, sizeof(bits));
		at += put_bits(at, bits);
		break;
	case AMEND_TEXT:
	case AMEND_BLOB:
		at += put_length(at, value->size);
		if (value->size > 0)
			memcpy(at, value->as.blob, value->size);
		at += value->size;
		break;
	}
	*at = '\0';
	pack->size = (size_t)(at - (unsigned char *)pack->data);
}

static bool read_length(struct amend_pack_reader *reader, uint64_t *length)
{
	*length = 0;
	for (int shift = 0; shift < 63; shift += 7) {
		unsigned char byte;

		if (reader->at == reader->end)
			return false;
		byte = *reader->at++;
		*length |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static bool read_bytes(struct amend_pack_reader *reader, const char **bytes, size_t *size)
{
	uint64_t length;

	if (!read_length(reader, &length) || length > (uint64_t)(reader->end - reader->at))
		return false;
	*bytes = (const char *)reader->at;
	*size = (size_t)length;
	reader->at += length;
	return true;
}

static bool read_bits(struct amend_pack_reader *reader, uint64_t *bits)
{
	if (reader->end - reader->at < 8)
		return false;
	*bits = 0;
	for (int i = 7; i >= 0; i--)
		*bits = *bits << 8 | reader->at[i];
	reader->at += 8;
	return true;
}

bool amend_pack_next(struct amend_pack_reader *reader, const char **name, size_t *name_size,
		     struct amend_value *value)
{
	struct amend_pack_reader next = *reader;
	uint64_t bits = 0;

	memset(value, 0, sizeof(*value));
	if (!read_bytes(&next, name, name_size) || next.at == next.end)
		return false;
	switch (*next.at++) {
	case AMEND_NULL:
		value->kind = AMEND_NULL;
		break;
	case AMEND_INTEGER:
		if (!read_bits(&next, &bits))
			return false;
		*value = amend_integer((int64_t)bits);
		break;
	case AMEND_REAL:
		if (!read_bits(&next, &bits))
			return false;
		value->kind = AMEND_REAL;
		memcpy(&value->as.real, &bits, sizeof(bits));
		break;
	case AMEND_TEXT:
		value->kind = AMEND_TEXT;
		if (!read_bytes(&next, &value->as.text, &value->size))
			return false;
		break;
	case AMEND_BLOB:
		value->kind = AMEND_BLOB;
		if (!read_bytes(&next, &value->as.text, &value->size))
			return false;
		break;
	default:
		return false;
	}
	*reader = next;
	return true;
}

bool amend_pack_find(const void *pack, size_t size, const char *name, struct amend_value *value)
{
	struct amend_pack_reader reader = {pack, (const unsigned char *)pack + size};
	size_t wanted = strlen(name), found;
	const char *at;

	while (amend_pack_next(&reader, &at, &found, value)) {
		if (found == wanted && memcmp(at, name, found) == 0)
			return true;
	}
	return false;
}

void amend_digest(const void *bytes, size_t size, unsigned char digest[AMEND_DIGEST_SIZE])
{
	/* crypto_generichash is BLAKE2b (libsodium manual); it cannot fail at this output size. */
	crypto_generichash(digest, AMEND_DIGEST_SIZE, bytes, size, NULL, 0);
}

/*
 * Entries in a private file, block by block: each part has a list of its blocks.
 * Leaves what they stand for to codes.c and sift.c.
 */
#include "sync/parts.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "sync/store.h"

enum { BLOCK = 3072 }; /* bytes that are written together, at most */

struct amend_part {
	size_t n_last;    /* entries not yet written */
	uint32_t *blocks; /* of the file */
	size_t n_blocks, room;
};

static size_t block_entries(const struct amend_parts *parts)
{
	return BLOCK / parts->size;
}

static size_t block_bytes(const struct amend_parts *parts)
{
	return block_entries(parts) * parts->size;
}

enum amend_status amend_parts_init(struct amend_parts *parts, size_t size, struct amend_error *err)
{
	*parts = (struct amend_parts){.size = size};
	parts->of = calloc(AMEND_PARTS, sizeof(*parts->of));
	parts->last = malloc(AMEND_PARTS * block_bytes(parts));
	parts->block = malloc(block_bytes(parts));
	return parts->of && parts->last && parts->block ? AMEND_OK : amend_no_memory(err);
}

void amend_parts_release(struct amend_parts *parts)
{
	for (size_t i = 0; parts->of && i < AMEND_PARTS; i++)
		free(parts->of[i].blocks);
	free(parts->of);
	free(parts->last);
	free(parts->block);
	if (parts->file)
		fclose(parts->file);
	*parts = (struct amend_parts){0};
}

static unsigned char *last_of(const struct amend_parts *parts, size_t part)
{
	return parts->last + part * block_bytes(parts);
}

static enum amend_status write_block(struct amend_parts *parts, size_t which,
				     struct amend_error *err)
{
	struct amend_part *part = &parts->of[which];

	if (part->n_blocks == part->room) {
		size_t room = part->room ? part->room * 2 : 16;
		uint32_t *blocks = realloc(part->blocks, room * sizeof(*blocks));

		if (!blocks)
			return amend_no_memory(err);
		part->blocks = blocks;
		part->room = room;
	}
	if (!parts->file) {
		parts->file = amend_store_file(err);
		if (!parts->file)
			return err->status;
	}
	if (fseeko(parts->file, (off_t)(parts->n_blocks * block_bytes(parts)), SEEK_SET) != 0 ||
	    fwrite(last_of(parts, which), block_bytes(parts), 1, parts->file) != 1)
		return amend_store_failed("written", err);
	part->blocks[part->n_blocks++] = (uint32_t)parts->n_blocks++;
	part->n_last = 0;
	return AMEND_OK;
}

enum amend_status amend_parts_add(struct amend_parts *parts, size_t which, const void *entry,
				  struct amend_error *err)
{
	struct amend_part *part = &parts->of[which];
	enum amend_status status = AMEND_OK;

	if (part->n_last == block_entries(parts))
		status = write_block(parts, which, err);
	if (status != AMEND_OK)
		return status;
	memcpy(last_of(parts, which) + part->n_last++ * parts->size, entry, parts->size);
	return AMEND_OK;
}

size_t amend_parts_count(const struct amend_parts *parts, size_t part)
{
	return parts->of[part].n_blocks * block_entries(parts) + parts->of[part].n_last;
}

size_t amend_parts_blocks(const struct amend_parts *parts, size_t part)
{
	return parts->of[part].n_blocks + (parts->of[part].n_last > 0);
}

enum amend_status amend_parts_read(struct amend_parts *parts, size_t which, size_t block,
				   const unsigned char **entries, size_t *n, struct amend_error *err)
{
	const struct amend_part *part = &parts->of[which];

	if (block == part->n_blocks) {
		*entries = last_of(parts, which);
		*n = part->n_last;
		return AMEND_OK;
	}
	if (fseeko(parts->file, (off_t)(part->blocks[block] * (uint64_t)block_bytes(parts)),
		   SEEK_SET) != 0 ||
	    fread(parts->block, block_bytes(parts), 1, parts->file) != 1)
		return amend_store_failed("read", err);
	*entries = parts->block;
	*n = block_entries(parts);
	return AMEND_OK;
}

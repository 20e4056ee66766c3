/*
 * Parents and children across the slices of a large input: each record gets a level, above those of its
 * parents, and the slices of one level are written before those of the next.
 * Leaves what parents and children are to order.c, what is apart to slices.c.
 */
#include "sync/levels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/codes.h"
#include "sync/store.h"

enum {
	HIGHEST = 100, /* a higher one is apart, with all above it */
	PASSES = 200,  /* over the pairs, until no level rises; else all of them are apart */
};

struct pair {
	uint64_t parent, child;
};

struct amend_levels {
	struct amend_codes kin, leaving; /* of one planning pass */
	uint64_t n;                      /* records */
	unsigned char *level;            /* of each; NULL: none is above 0 */
	unsigned highest;
	FILE *pairs;
	uint64_t n_pairs;
	const struct amend_apart *apart; /* while a pass ends */
};

enum amend_status amend_levels_new(uint64_t n, struct amend_levels **out, struct amend_error *err)
{
	struct amend_levels *levels = calloc(1, sizeof(*levels));

	*out = levels;
	if (!levels)
		return amend_no_memory(err);
	levels->n = n;
	return AMEND_OK;
}

static void forget(struct amend_levels *levels)
{
	amend_codes_release(&levels->kin);
	amend_codes_release(&levels->leaving);
	if (levels->pairs)
		fclose(levels->pairs);
	levels->pairs = NULL;
	levels->n_pairs = 0;
}

void amend_levels_free(struct amend_levels *levels)
{
	if (!levels)
		return;
	forget(levels);
	free(levels->level);
	free(levels);
}

unsigned amend_levels_highest(const struct amend_levels *levels)
{
	return levels->highest;
}

unsigned amend_levels_of(const struct amend_levels *levels, uint64_t index)
{
	return levels->level ? levels->level[index] : 0;
}

enum amend_status amend_levels_begin(struct amend_levels *levels, struct amend_error *err)
{
	enum amend_status status;

	forget(levels);
	free(levels->level);
	levels->level = NULL;
	levels->highest = 0;
	status = amend_codes_init(&levels->kin, 0, err);
	return status == AMEND_OK ? amend_codes_init(&levels->leaving, 0, err) : status;
}

enum amend_status amend_levels_note(struct amend_levels *levels, enum amend_kinship kinship,
				    uint64_t index, bool is_parent,
				    const struct amend_buffer *value, struct amend_error *err)
{
	struct amend_codes *codes = kinship == AMEND_KIN_LEAVING ? &levels->leaving : &levels->kin;
	struct amend_code code = {.index = index, .gives = is_parent};

	if (value->failed)
		return amend_no_memory(err);
	code.code = amend_codes_of(codes, value->data, value->size);
	return amend_codes_add(codes, &code, err);
}

/* ---- a pass is through ---- */

static void put_apart(const struct amend_levels *levels, uint64_t index)
{
	levels->apart->put(levels->apart->context, index);
}

static bool is_apart(const struct amend_levels *levels, uint64_t index)
{
	return levels->apart->is(levels->apart->context, index);
}

/* Who is deleted, and who turns away from it, or to it. */
static enum amend_status part(void *context, uint64_t parent, uint64_t child, bool rivals,
			      struct amend_error *err)
{
	(void)rivals;
	(void)err;
	put_apart(context, parent);
	put_apart(context, child);
	return AMEND_OK;
}

static enum amend_status add_pair(void *context, uint64_t parent, uint64_t child, bool rivals,
				  struct amend_error *err)
{
	struct amend_levels *levels = context;
	const struct pair pair = {parent, child};

	/* Two that would be the same parent; one that is no record of the input. */
	if (rivals || parent >= levels->n || child >= levels->n)
		return part(context, parent, child, rivals, err);
	if (!levels->pairs) {
		levels->pairs = amend_store_file(err);
		if (!levels->pairs)
			return err->status;
	}
	/* Few tables refer to themselves: only theirs pay for it. */
	if (!levels->level)
		levels->level = calloc(levels->n, 1);
	if (!levels->level)
		return amend_no_memory(err);
	if (fwrite(&pair, sizeof(pair), 1, levels->pairs) != 1)
		return amend_store_failed("written", err);
	levels->n_pairs++;
	return AMEND_OK;
}

/* True: something is otherwise than before. Who is related to what is apart is decided with it. */
static bool raise(struct amend_levels *levels, const struct pair *pair)
{
	unsigned level = levels->level[pair->parent] + 1u;
	bool parent = is_apart(levels, pair->parent), child = is_apart(levels, pair->child);

	if (parent && child)
		return false;
	if (parent || child || level > HIGHEST) {
		put_apart(levels, pair->parent);
		put_apart(levels, pair->child);
		return true;
	}
	if (levels->level[pair->child] >= level)
		return false;
	levels->level[pair->child] = (unsigned char)level;
	if (level > levels->highest)
		levels->highest = level;
	return true;
}

static enum amend_status go_through(struct amend_levels *levels,
				    bool (*each)(struct amend_levels *levels,
						 const struct pair *pair),
				    bool *any, struct amend_error *err)
{
	struct pair pairs[1024];
	uint64_t left = levels->n_pairs;

	*any = false;
	if (left && fseeko(levels->pairs, 0, SEEK_SET) != 0)
		return amend_store_failed("read", err);
	while (left > 0) {
		size_t n = left < 1024 ? (size_t)left : 1024;

		if (fread(pairs, sizeof(*pairs), n, levels->pairs) != n)
			return amend_store_failed("read", err);
		for (size_t i = 0; i < n; i++)
			*any = each(levels, &pairs[i]) || *any;
		left -= n;
	}
	return AMEND_OK;
}

static bool give_up(struct amend_levels *levels, const struct pair *pair)
{
	put_apart(levels, pair->parent);
	put_apart(levels, pair->child);
	return true;
}

enum amend_status amend_levels_end(struct amend_levels *levels, const struct amend_apart *apart,
				   struct amend_error *err)
{
	enum amend_status status;
	bool again = true;

	levels->apart = apart;
	status = amend_codes_pairs(&levels->leaving, part, levels, err);
	if (status == AMEND_OK)
		status = amend_codes_pairs(&levels->kin, add_pair, levels, err);
	for (int pass = 0; status == AMEND_OK && again && pass < PASSES; pass++)
		status = go_through(levels, raise, &again, err);
	if (status == AMEND_OK && again)
		status = go_through(levels, give_up, &again, err);
	levels->apart = NULL;
	forget(levels);
	return status;
}

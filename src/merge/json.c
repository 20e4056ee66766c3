/*
 * Merging JSON documents key by key.
 * Leaves reading them to json_tree.c.
 */
#include <string.h>

#include "core/buffer.h"
#include "merge/json_tree.h"
#include "merge/merge.h"

struct merging {
	struct amend_buffer out;
	struct amend_buffer path; /* of the key that is looked at: "address.city" */
	bool clash;
};

/* One key: what base, current and incoming have under it; NULL: nothing. */
struct sides {
	const struct amend_json_member *base, *current, *incoming;
};

static bool same(const struct amend_json_member *a, const struct amend_json_member *b)
{
	return a && b ? amend_json_same(a->node, b->node) : a == b;
}

static bool is_object(const struct amend_json_member *member)
{
	return member && member->node->kind == AMEND_JSON_OBJECT;
}

static void merge_objects(struct merging *merging, const struct amend_json_node *base,
			  const struct amend_json_node *current,
			  const struct amend_json_node *incoming);

static void begin_member(struct merging *merging, const struct amend_json_member *member,
			 bool *first)
{
	amend_buffer_text(&merging->out, *first ? "" : ",");
	amend_buffer_add(&merging->out, member->spelled, member->spelled_size);
	amend_buffer_char(&merging->out, ':');
	*first = false;
}

static void keep(struct merging *merging, const struct amend_json_member *member, bool *first)
{
	if (!member)
		return;
	begin_member(merging, member, first);
	amend_buffer_add(&merging->out, member->node->text, member->node->size);
}

/* Stops at the first clash, with its path. */
static void merge_member(struct merging *merging, const struct sides *sides, bool *first)
{
	const struct amend_json_member *any = sides->current ? sides->current : sides->incoming;
	size_t before = merging->path.size;

	if (merging->clash || !any)
		return;
	amend_buffer_text(&merging->path, before ? "." : "");
	amend_buffer_add(&merging->path, any->name, any->name_size);
	if (same(sides->current, sides->incoming) || same(sides->base, sides->incoming)) {
		keep(merging, sides->current, first);
	} else if (same(sides->base, sides->current)) {
		keep(merging, sides->incoming, first);
	} else if (is_object(sides->base) && is_object(sides->current) &&
		   is_object(sides->incoming)) {
		begin_member(merging, any, first);
		merge_objects(merging, sides->base->node, sides->current->node,
			      sides->incoming->node);
	} else {
		merging->clash = true;
		return;
	}
	if (merging->clash || merging->path.failed || !merging->path.data)
		return;
	merging->path.size = before;
	merging->path.data[before] = '\0';
}

static void merge_objects(struct merging *merging, const struct amend_json_node *base,
			  const struct amend_json_node *current,
			  const struct amend_json_node *incoming)
{
	bool first = true;

	amend_buffer_char(&merging->out, '{');
	for (size_t i = 0; i < current->n; i++) {
		const struct amend_json_member *member = &current->members[i];
		const struct sides sides = {amend_json_find(base, member), member,
					    amend_json_find(incoming, member)};

		merge_member(merging, &sides, &first);
	}
	for (size_t i = 0; i < incoming->n; i++) {
		const struct amend_json_member *member = &incoming->members[i];
		const struct sides sides = {amend_json_find(base, member), NULL, member};

		if (!amend_json_find(current, member))
			merge_member(merging, &sides, &first);
	}
	amend_buffer_char(&merging->out, '}');
}

/* NULL with CLASH or NO_MEMORY in `merged`. */
static const struct amend_json_node *read(const struct amend_value *value, struct amend_arena *arena,
					  enum amend_merged *merged, const char **why)
{
	struct amend_json_node *node = NULL;
	bool no_memory = false;

	if (*merged != AMEND_MERGED_CLEAN)
		return NULL;
	if (value->kind == AMEND_TEXT && value->size > 0 && value->size <= AMEND_MERGE_MOST)
		node = amend_json_tree(value->as.text, value->size, arena, &no_memory);
	if (node && node->kind == AMEND_JSON_OBJECT)
		return node;
	*merged = no_memory ? AMEND_MERGED_NO_MEMORY : AMEND_MERGED_CLASH;
	*why = value->kind == AMEND_TEXT && value->size > AMEND_MERGE_MOST
		       ? "it is larger than 1 MiB"
		       : "it is not a JSON object on every side";
	return NULL;
}

static enum amend_merged take(struct merging *merging, struct amend_arena *arena,
			      struct amend_value *out, const char **why)
{
	const char *text;

	if (merging->out.failed || merging->path.failed)
		return AMEND_MERGED_NO_MEMORY;
	if (merging->clash) {
		text = amend_arena_printf(arena, "both changed %s",
					  amend_buffer_string(&merging->path));
		*why = text;
		return text ? AMEND_MERGED_CLASH : AMEND_MERGED_NO_MEMORY;
	}
	text = amend_arena_text_n(arena, merging->out.data, merging->out.size);
	*out = amend_text_n(text, merging->out.size);
	return text ? AMEND_MERGED_CLEAN : AMEND_MERGED_NO_MEMORY;
}

enum amend_merged amend_merge_json(const struct amend_value *base, const struct amend_value *current,
				   const struct amend_value *incoming, struct amend_arena *arena,
				   struct amend_value *out, const char **why)
{
	struct merging merging = {AMEND_BUFFER_INIT, AMEND_BUFFER_INIT, false};
	enum amend_merged merged = AMEND_MERGED_CLEAN;
	const struct amend_json_node *b, *c, *i;

	*why = NULL;
	b = read(base, arena, &merged, why);
	c = read(current, arena, &merged, why);
	i = read(incoming, arena, &merged, why);

	if (!b || !c || !i)
		return merged;
	merge_objects(&merging, b, c, i);
	merged = take(&merging, arena, out, why);
	amend_buffer_release(&merging.out);
	amend_buffer_release(&merging.path);
	return merged;
}

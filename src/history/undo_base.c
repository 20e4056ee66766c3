/*
 * The base that a record of a sync is to have once its change is undone: what the sync wrote becomes
 * what it was, what was written since stays. Leaves writing it to undo_write.c.
 */
#include <string.h>

#include "core/pack.h"
#include "history/revert.h"

/* A base as three places have it; `pack` NULL: there is none. */
struct side {
	const void *pack;
	size_t size;
	const char *first_key;
};

/* As history has it: the first key stands under no name. */
static bool side_of(struct undo *undo, const struct amend_value *value, struct side *out)
{
	struct amend_value key = amend_text("");

	*out = (struct side){NULL, 0, ""};
	if (!value)
		return true;
	out->pack = value->as.blob;
	out->size = value->size;
	if (amend_pack_find(out->pack, out->size, "", &key) && key.kind == AMEND_TEXT)
		out->first_key = amend_arena_text_n(undo->arena, key.as.text, key.size);
	return out->first_key != NULL;
}

static bool entry(const struct side *side, const char *name, struct amend_value *out)
{
	return side->pack && amend_pack_find(side->pack, side->size, name, out);
}

static bool same_entry(const struct side *a, const struct side *b, const char *name)
{
	struct amend_value x, y;
	bool in_a = entry(a, name, &x), in_b = entry(b, name, &y);

	return in_a == in_b && (!in_a || amend_value_equal(&x, &y));
}

/* The three of them: before the sync wrote, what it wrote, and as it is. */
struct sides {
	struct side before, wrote, now;
};

static void add_entry(struct amend_buffer *pack, const struct sides *sides, const char *name)
{
	const struct side *from = same_entry(&sides->wrote, &sides->now, name) ? &sides->before
									       : &sides->now;
	struct amend_value value;

	if (entry(from, name, &value))
		amend_pack_add(pack, name, &value);
}

/* What is no column's: marks and ties. Those that `other` (NULL: none) has are there already. */
static bool add_rest(struct undo *undo, struct amend_buffer *pack, const struct amend_table *table,
		     const struct sides *sides, const struct side *side, const struct side *other)
{
	const unsigned char *from = side->pack ? side->pack : "";
	struct amend_pack_reader reader = {from, from + side->size};
	struct amend_value value;
	const char *text;
	size_t size;

	while (side->pack && amend_pack_next(&reader, &text, &size, &value)) {
		const char *name = amend_arena_text_n(undo->arena, text, size);

		if (!name)
			return false;
		if (*name && amend_table_column(table, name) < 0 &&
		    !(other && entry(other, name, &value)))
			add_entry(pack, sides, name);
	}
	return true;
}

/* In the order in which a sync packs it: what is the same has the same bytes. */
static bool merge(struct undo *undo, struct amend_buffer *pack, const struct amend_table *table,
		  const struct sides *sides)
{
	for (size_t i = 0; i < table->n_columns; i++)
		add_entry(pack, sides, table->columns[i].name);
	return add_rest(undo, pack, table, sides, &sides->before, NULL) &&
	       add_rest(undo, pack, table, sides, &sides->now, &sides->before) && !pack->failed;
}

static enum amend_status take(struct undo *undo, const struct undo_record *record,
			      const struct side *before, const struct side *now,
			      const struct amend_buffer *pack, struct amend_base *out,
			      struct amend_error *err)
{
	const char *first_key = before->pack && (!now->pack ||
						 strcmp(before->first_key, now->first_key) != 0)
					? before->first_key
					: now->first_key;

	*out = (struct amend_base){.source = record->base.source,
				   .pk = record->after_pk ? record->after_pk : record->pk,
				   .first_key = first_key};
	/* Nothing to say of a record that there was nothing to say of. */
	if (pack->size == 0 && !before->pack)
		return AMEND_OK;
	out->pack = amend_arena_text_n(undo->arena, pack->size ? pack->data : "", pack->size);
	out->pack_size = pack->size;
	if (!out->pack)
		return amend_no_memory(err);
	amend_base_digest(out->pack, out->pack_size, out->digest);
	return AMEND_OK;
}

static bool same_base(const struct amend_base *a, const struct amend_base *b)
{
	if (!a->pack || !b->pack)
		return !a->pack && !b->pack;
	return strcmp(a->pk, b->pk) == 0 && strcmp(a->first_key, b->first_key) == 0 &&
	       a->pack_size == b->pack_size &&
	       (a->pack_size == 0 || memcmp(a->pack, b->pack, a->pack_size) == 0);
}

/* Written, or removed, as a whole since: that counts. So does what was kept of a record that had no base. */
static bool stays(const struct undo_record *record, const struct sides *sides)
{
	if (record->left ? !sides->now.pack : sides->wrote.pack || sides->now.pack)
		return true;
	return record->outcome == AMEND_IS_SKIPPED && !sides->before.pack;
}

enum amend_status amend_undo_base(struct undo *undo, struct undo_record *record,
				  struct amend_base *out, bool *same, struct amend_error *err)
{
	const struct amend_base *stored = &record->base.now;
	struct sides sides = {.now = {stored->pack, stored->pack_size, stored->first_key}};
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	*out = *stored;
	*same = true;
	if (!side_of(undo, record->base.before, &sides.before) ||
	    !side_of(undo, record->base.later, &sides.wrote))
		return amend_no_memory(err);
	if (!record->base.later_known)
		sides.wrote = sides.now;
	if (stays(record, &sides))
		return AMEND_OK;
	if (!merge(undo, &pack, record->table->table, &sides))
		status = amend_no_memory(err);
	if (status == AMEND_OK)
		status = take(undo, record, &sides.before, &sides.now, &pack, out, err);
	*same = status == AMEND_OK && same_base(out, stored);
	amend_buffer_release(&pack);
	return status;
}

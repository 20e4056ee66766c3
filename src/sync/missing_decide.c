/*
 * What becomes of a row whose record the input lacks; and how a mark is remembered.
 * Leaves finding such rows to missing.c.
 *
 * A mark lies in the base beside the source's values, with the value it took the place
 * of. So it is known from a local edit, and a record that returns finds the row as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "sync/sync.h"

/* ---- what a base remembers beside the source's values ---- */

static bool find_for(const struct amend_base *base, const char *prefix, const char *column,
		     struct amend_value *out)
{
	struct amend_pack_reader reader = {base->pack,
					   (const unsigned char *)base->pack + base->pack_size};
	size_t begin = strlen(prefix), size = strlen(column), name_size;
	const char *name;

	while (amend_pack_next(&reader, &name, &name_size, out)) {
		if (name_size == begin + size && memcmp(name, prefix, begin) == 0 &&
		    memcmp(name + begin, column, size) == 0)
			return true;
	}
	return false;
}

static bool begins_with(const char *name, size_t size, const char *prefix)
{
	return size >= strlen(prefix) && memcmp(name, prefix, strlen(prefix)) == 0;
}

bool amend_base_is_marked(const struct amend_base *base)
{
	struct amend_pack_reader reader = {base->pack,
					   (const unsigned char *)base->pack + base->pack_size};
	struct amend_value value;
	const char *name;
	size_t size;

	while (amend_pack_next(&reader, &name, &size, &value)) {
		if (begins_with(name, size, AMEND_BASE_MARK))
			return true;
	}
	return false;
}

struct amend_value amend_sync_unmarked(const struct amend_table *table,
				       const struct amend_base *base, const struct amend_value *row,
				       uint32_t column)
{
	const char *name = table->columns[column].name;
	struct amend_value mark, before;

	if (find_for(base, AMEND_BASE_MARK, name, &mark) && amend_value_equal(&mark, &row[column]) &&
	    find_for(base, AMEND_BASE_BEFORE, name, &before))
		return before;
	return row[column];
}

/* All that is in it but what is remembered of this column (NULL: of none). */
static void copy_pack(struct amend_buffer *pack, const struct amend_base *old, const char *column)
{
	struct amend_pack_reader reader = {old->pack,
					   (const unsigned char *)old->pack + old->pack_size};
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_value value;
	const char *name;
	size_t size;

	while (amend_pack_next(&reader, &name, &size, &value)) {
		amend_buffer_reset(&text);
		amend_buffer_add(&text, name, size);
		if (text.failed)
			break;
		name = amend_buffer_string(&text);
		if (column && ((begins_with(name, size, AMEND_BASE_MARK) &&
				strcmp(name + strlen(AMEND_BASE_MARK), column) == 0) ||
			       (begins_with(name, size, AMEND_BASE_BEFORE) &&
				strcmp(name + strlen(AMEND_BASE_BEFORE), column) == 0)))
			continue;
		amend_pack_add(pack, name, &value);
	}
	pack->failed = pack->failed || text.failed;
	amend_buffer_release(&text);
}

static void add_for(struct amend_buffer *pack, const char *prefix, const char *column,
		    const struct amend_value *value)
{
	struct amend_buffer name = AMEND_BUFFER_INIT;

	amend_buffer_text(&name, prefix);
	amend_buffer_text(&name, column);
	if (name.failed)
		pack->failed = true;
	else
		amend_pack_add(pack, amend_buffer_string(&name), value);
	amend_buffer_release(&name);
}

void amend_base_mark(struct amend_buffer *pack, const struct amend_base *old, const char *column,
		     const struct amend_value *mark, const struct amend_value *before)
{
	copy_pack(pack, old, column);
	add_for(pack, AMEND_BASE_MARK, column, mark);
	add_for(pack, AMEND_BASE_BEFORE, column, before);
}

void amend_base_absent(struct amend_buffer *pack, const struct amend_base *old)
{
	const struct amend_value yes = {.kind = AMEND_INTEGER, .as.integer = 1};
	struct amend_value before;

	copy_pack(pack, old, NULL);
	if (!amend_pack_find(old->pack, old->pack_size, AMEND_BASE_ABSENT, &before))
		amend_pack_add(pack, AMEND_BASE_ABSENT, &yes);
}

/* By this resolve.c and the next run tell what a conflict of kind missing would do: a mark has no base. */
static bool marks(const struct amend_conflict_row *conflict)
{
	return conflict->kind == AMEND_CONFLICT_MISSING && conflict->n_fields > 0 &&
	       !conflict->fields[0].has_base;
}

/* ---- is the row as the base? ---- */

static bool is_tied_to(const struct amend_sync *sync, const struct amend_record *record)
{
	const struct amend_base *base = record->seen;
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_value tied;
	bool same = false;

	if (!amend_pack_find(base->pack, base->pack_size, AMEND_BASE_TIED, &tied) ||
	    tied.kind != AMEND_TEXT)
		return false;
	for (uint32_t k = 0; k < sync->n_keys && !same; k++) {
		if (!amend_sync_key_text(&text, sync, k, NULL, record->row->values))
			amend_buffer_reset(&text);
		same = !text.failed && text.size == tied.size &&
		       (tied.size == 0 || memcmp(text.data, tied.as.text, tied.size) == 0);
	}
	amend_buffer_release(&text);
	return same;
}

/* A field that was edited, also one that marks: whoever took a mark back has decided something. */
static bool edited(const struct amend_sync *sync, const struct amend_record *record,
		   uint32_t column, bool tied, struct amend_value *base)
{
	const struct amend_column *described = &sync->table->columns[column];
	const struct amend_value *now = &record->row->values[column];
	struct amend_value mark;

	if (find_for(record->seen, AMEND_BASE_MARK, described->name, &mark)) {
		if (amend_value_equal(&mark, now))
			return false;
		if (!find_for(record->seen, "", described->name, base))
			(void)find_for(record->seen, AMEND_BASE_BEFORE, described->name, base);
		return true;
	}
	if (described->generated || !find_for(record->seen, "", described->name, base) ||
	    amend_value_equal(base, now))
		return false;
	return !amend_key_names(record->seen->first_key, described->name) ||
	       !(tied || amend_sync_same_key(described, base, now));
}

/* Nothing was ever known of it, which waits for somebody: what is there may be all that there is. */
static bool unknown(const struct amend_sync *sync, const struct amend_record *record,
		    uint32_t column)
{
	const struct amend_conflict_row *open = record->open;
	const char *name = sync->table->columns[column].name;
	struct amend_value base;

	if (!open || record->row->values[column].kind == AMEND_NULL ||
	    find_for(record->seen, "", name, &base) ||
	    find_for(record->seen, AMEND_BASE_MARK, name, &base))
		return false;
	for (size_t i = marks(open) ? 1 : 0; i < open->n_fields; i++) {
		if (strcmp(open->fields[i].column, name) == 0)
			return true;
	}
	return false;
}

/* ---- the verdict ---- */

static enum amend_status new_base(struct amend_sync *sync, const struct amend_record *record,
				  struct amend_action *action, const struct amend_buffer *pack,
				  struct amend_error *err)
{
	struct amend_base *base = &action->base;

	*base = *record->seen;
	base->pack = pack->failed ? NULL : amend_arena_text_n(&sync->arena, pack->data, pack->size);
	base->pack_size = pack->size;
	if (!base->pack)
		return amend_no_memory(err);
	amend_base_digest(base->pack, base->pack_size, base->digest);
	action->write_base = true;
	return AMEND_OK;
}

static enum amend_status mark_row(struct amend_sync *sync, struct amend_record *record,
				  struct amend_error *err)
{
	const struct amend_put *mark = &sync->mark;
	const struct amend_value *now = &record->row->values[mark->column];
	const char *column = sync->table->columns[mark->column].name;
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_action *action;
	enum amend_status status;

	if (amend_value_equal(now, &mark->value))
		return amend_sync_no_conflict(sync, record, "closed", "", err);
	action = amend_sync_action(sync, record);
	if (!action)
		return amend_no_memory(err);
	action->puts = &sync->mark;
	action->n_puts = 1;
	amend_base_mark(&pack, record->seen, column, &mark->value, now);
	status = new_base(sync, record, action, &pack, err);
	amend_buffer_release(&pack);
	return status == AMEND_OK ? amend_sync_no_conflict(sync, record, "closed", "", err) : status;
}

static enum amend_status drop(struct amend_sync *sync, struct amend_record *record, bool remove,
			      bool spared, struct amend_error *err)
{
	struct amend_action *action = amend_sync_action(sync, record);

	if (!action)
		return amend_no_memory(err);
	action->remove = remove && !spared;
	action->spared = remove && spared;
	action->write_base = action->drop_base = true;
	return amend_sync_no_conflict(sync, record, "closed", "", err);
}

/* "name, people" */
static const char *list(struct amend_sync *sync, const struct amend_conflict_field *fields, size_t n)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	for (size_t i = 0; i < n; i++)
		amend_buffer_printf(&text, "%s%s", i ? ", " : "", fields[i].column);
	copy = text.failed ? NULL : amend_arena_text_n(&sync->arena, text.data, text.size);
	amend_buffer_release(&text);
	return copy;
}

/* Behind the mark: what nothing is known of stays as it is, and the next run must know of it. */
static size_t keep_unknown(const struct amend_record *record, const char *mark,
			   struct amend_conflict_field *fields, size_t n)
{
	struct amend_value base;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!find_for(record->seen, "", fields[i].column, &base) &&
		    !find_for(record->seen, AMEND_BASE_MARK, fields[i].column, &base) &&
		    strcmp(fields[i].column, mark) != 0)
			fields[kept++] = fields[i];
	}
	memmove(fields + 1, fields, kept * sizeof(*fields));
	for (size_t i = 1; i <= kept; i++) {
		fields[i].has_base = false;
		fields[i].incoming = fields[i].current;
	}
	return kept + 1;
}

/*
 * Deleting asks about what was edited: base, current, and nothing incoming. Marking asks
 * about the mark, whose field has no base: by that the two are told apart (resolve.c).
 */
static enum amend_status conflict(struct amend_sync *sync, struct amend_record *record,
				  struct amend_conflict_field *fields, size_t n,
				  struct amend_error *err)
{
	bool marking = sync->options->missing == AMEND_MISSING_MARK;
	const char *names = list(sync, fields, n), *note;
	const struct amend_put *mark = &sync->mark;

	if (!names)
		return amend_no_memory(err);
	note = record->problem ? amend_arena_printf(&sync->arena,
						    "gone from the source, but it cannot be %s: %s",
						    marking ? "marked" : "deleted", record->problem)
			       : amend_arena_printf(&sync->arena,
						    "gone from the source, edited here: %s", names);
	if (!note)
		return amend_no_memory(err);
	if (marking) {
		n = keep_unknown(record, sync->table->columns[mark->column].name, fields, n);
		fields[0] = (struct amend_conflict_field){
			.column = sync->table->columns[mark->column].name,
			.base = amend_null(),
			.current = record->row->values[mark->column],
			.incoming = mark->value,
		};
	}
	return amend_sync_conflict(sync, record, AMEND_CONFLICT_MISSING, fields, n, note, err);
}

/* The database takes no such mark for the row: nobody can settle that here, and the row stays as it is. */
static enum amend_status refuse_mark(struct amend_sync *sync, struct amend_record *record,
				     struct amend_error *err)
{
	if (!record->refused)
		record->problem = amend_arena_printf(&sync->arena,
						     "%s is missing, and cannot be marked: %s",
						     record->key, record->problem);
	record->refused = true;
	if (!record->problem)
		return amend_no_memory(err);
	return amend_sync_no_conflict(sync, record, "closed", "", err);
}

enum amend_status amend_sync_decide_missing(struct amend_sync *sync, struct amend_record *record,
					    bool spared, struct amend_error *err)
{
	struct amend_conflict_field *fields;
	enum amend_status status = AMEND_OK;
	struct amend_value value;
	size_t n = 0;
	bool tied;

	if (!record->row)
		return drop(sync, record, false, false, err);
	if (find_for(record->seen, "", AMEND_BASE_ABSENT, &value))
		return amend_sync_no_conflict(sync, record, "closed", "", err);
	fields = calloc(sync->table->n_columns + 1, sizeof(*fields));
	if (!fields)
		return amend_no_memory(err);
	tied = is_tied_to(sync, record);
	for (uint32_t c = 0; c < sync->table->n_columns; c++) {
		value = amend_null();
		if (!edited(sync, record, c, tied, &value) && !unknown(sync, record, c))
			continue;
		fields[n++] = (struct amend_conflict_field){
			.column = sync->table->columns[c].name,
			.has_base = true,
			.base = value,
			.current = record->row->values[c],
			.incoming = amend_null(),
		};
	}
	if (record->problem && n == 0 && sync->options->missing == AMEND_MISSING_MARK)
		status = refuse_mark(sync, record, err);
	else if (n > 0 || record->problem)
		status = conflict(sync, record, fields, n, err);
	else if (sync->options->missing == AMEND_MISSING_MARK)
		status = mark_row(sync, record, err);
	else
		status = drop(sync, record, true, spared, err);
	free(fields);
	record->fate = AMEND_FATE_MISSING;
	return status;
}

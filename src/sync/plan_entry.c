/*
 * One line of a plan as what it says of a table's record.
 * Leaves whether that still holds to plan_prove.c. A line may say anything: what
 * makes no sense is refused here, before anything is written.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "ledger/json_read.h"
#include "sync/plan.h"

struct reader {
	struct amend_sync *sync;
	struct amend_arena *arena;
	bool typed;
	bool no_memory;
	const char *wrong; /* what is malformed */
};

static bool bad(struct reader *reader, const char *what)
{
	if (!reader->wrong)
		reader->wrong = what;
	return false;
}

static void *make(struct reader *reader, size_t n, size_t size)
{
	void *made = amend_arena_array(reader->arena, n, size);

	reader->no_memory = reader->no_memory || !made;
	return made;
}

static const char *text(struct reader *reader, const char *from)
{
	const char *copy = amend_arena_text(reader->arena, from);

	reader->no_memory = reader->no_memory || !copy;
	return copy;
}

/* A member of this type; NULL: there is none. */
static struct json_object *member(struct json_object *json, const char *name, enum json_type type)
{
	struct json_object *found;

	return json_object_object_get_ex(json, name, &found) && json_object_is_type(found, type)
		       ? found
		       : NULL;
}

static bool flag(struct json_object *json, const char *name)
{
	struct json_object *found = member(json, name, json_type_boolean);

	return found && json_object_get_boolean(found);
}

static bool read_value(struct reader *reader, struct json_object *json, struct amend_value *out)
{
	return amend_json_read(json, reader->typed, reader->arena, out) ||
	       bad(reader, "a value is malformed");
}

/* The table's column of this name, as written: it is named exactly so. */
static int column_of(struct reader *reader, const char *name)
{
	int at = amend_table_column(reader->sync->table, name);

	if (at < 0)
		bad(reader, "it names a column that the table lacks");
	return at;
}

static bool read_digest(struct reader *reader, struct json_object *json,
			unsigned char digest[AMEND_DIGEST_SIZE])
{
	const char *hex = amend_plan_string(json, "digest");

	return (hex && amend_digest_parse(hex, strlen(hex), digest)) ||
	       bad(reader, "a digest is malformed");
}

/* ---- keys ---- */

static bool is_key(const struct amend_sync *sync, const struct amend_sync_key *key,
		   struct json_object *json)
{
	if ((size_t)json_object_object_length(json) != key->n)
		return false;
	for (uint32_t i = 0; i < key->n; i++) {
		if (!json_object_object_get_ex(json, sync->table->columns[key->columns[i]].name,
					       NULL))
			return false;
	}
	return true;
}

static bool read_keys(struct reader *reader, struct json_object *json, struct amend_plan_entry *out)
{
	struct amend_sync *sync = reader->sync;
	struct json_object *key = member(json, "key", json_type_object);
	struct json_object *keys = member(json, "keys", json_type_object);
	struct amend_buffer name = AMEND_BUFFER_INIT;
	struct amend_record record = {0};

	out->first = -1;
	for (uint32_t k = 0; k < sync->n_keys && key && out->first < 0; k++) {
		if (is_key(sync, &sync->keys[k], key))
			out->first = (int8_t)k;
	}
	if (out->first < 0)
		return bad(reader, "\"key\" is none of the keys to match by");
	out->values = make(reader, sync->n_used, sizeof(*out->values));
	if (!out->values)
		return false;
	for (uint32_t u = 0; u < sync->n_used; u++) {
		const char *column = sync->table->columns[sync->used[u].column].name;
		struct json_object *value;

		out->values[u] = amend_null();
		if (sync->used[u].key &&
		    (json_object_object_get_ex(key, column, &value) ||
		     (keys && json_object_object_get_ex(keys, column, &value))) &&
		    !read_value(reader, value, &out->values[u]))
			return false;
	}
	record.values = out->values;
	if (!amend_sync_key_text(&name, sync, (uint32_t)out->first, &record, NULL)) {
		amend_buffer_release(&name);
		return bad(reader, "\"key\" is blank");
	}
	out->key = name.failed ? NULL : amend_arena_text_n(reader->arena, name.data, name.size);
	reader->no_memory = reader->no_memory || !out->key;
	amend_buffer_release(&name);
	return out->key != NULL;
}

/* The name is what counts; the key is for whoever reads it. */
static bool read_name(struct reader *reader, struct json_object *json, struct amend_plan_entry *out)
{
	const char *name = amend_plan_string(json, "name");

	if (!name)
		return bad(reader, "\"name\" is missing");
	out->first = -1;
	out->key = text(reader, name);
	out->spared = flag(json, "spared");
	return out->key != NULL;
}

static bool read_missed(struct reader *reader, struct json_object *json,
			struct amend_plan_entry *out)
{
	const struct amend_sync *sync = reader->sync;
	struct json_object *names;

	if (out->missing || !json_object_object_get_ex(json, "missed", &names))
		return true;
	if (!json_object_is_type(names, json_type_array))
		return bad(reader, "\"missed\" is no list");
	for (size_t i = 0; i < json_object_array_length(names); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(names, i));
		uint32_t k = 0;

		while (k < sync->n_keys && name && strcmp(sync->keys[k].name, name) != 0)
			k++;
		if (!name || k == sync->n_keys)
			return bad(reader, "\"missed\" names no key to match by");
		for (uint32_t j = 0; j < sync->keys[k].n; j++) {
			if (amend_value_blank(&out->values[sync->keys[k].used[j]]))
				return bad(reader, "\"missed\" names a key that is blank");
		}
		out->missed |= (uint32_t)1 << k;
	}
	return true;
}

/* ---- rows ---- */

static bool read_pk(struct reader *reader, struct json_object *json, struct amend_plan_row *out)
{
	const struct amend_table *table = reader->sync->table;
	size_t n = table->n_identity ? table->n_identity : 1;

	if ((size_t)json_object_object_length(json) != n)
		return bad(reader, "\"pk\" is not the table's primary key");
	out->identity = make(reader, n, sizeof(*out->identity));
	if (!out->identity)
		return false;
	json_object_object_foreach(json, name, value)
	{
		size_t at = 0;

		while (at < table->n_identity &&
		       amend_table_column(table, name) != (int)table->identity[at])
			at++;
		if (table->n_identity && at == table->n_identity)
			return bad(reader, "\"pk\" is not the table's primary key");
		if (!read_value(reader, value, &out->identity[at]))
			return false;
		if (out->identity[at].kind == AMEND_NULL)
			return bad(reader, "\"pk\" is NULL");
	}
	return true;
}

static bool read_row(struct reader *reader, struct json_object *json, struct amend_plan_row *out)
{
	struct json_object *pk = member(json, "pk", json_type_object);
	struct json_object *row = member(json, "row", json_type_object);
	size_t n = reader->sync->table->n_columns;

	if (!pk || !row)
		return !json_object_object_get_ex(json, "pk", NULL) &&
				       !json_object_object_get_ex(json, "row", NULL)
			       ? true
			       : bad(reader, "\"pk\" and \"row\" go together");
	out->values = make(reader, n, sizeof(*out->values));
	out->known = make(reader, n, sizeof(*out->known));
	if (!out->values || !out->known || !read_pk(reader, pk, out))
		return false;
	json_object_object_foreach(row, name, value)
	{
		int at = column_of(reader, name);

		if (at < 0 || !read_value(reader, value, &out->values[at]))
			return false;
		out->known[at] = true;
	}
	return true;
}

static bool may_write(struct reader *reader, int column)
{
	const struct amend_table *table = reader->sync->table;

	return !table->columns[column].generated && !table->columns[column].unsound &&
	       column != table->version;
}

static bool read_fields(struct reader *reader, struct json_object *json,
			struct amend_plan_entry *out)
{
	struct json_object *fields = member(json, "fields", json_type_object);

	if (!fields)
		return !out->create || bad(reader, "there are no fields to create it with");
	out->puts = make(reader, (size_t)json_object_object_length(fields), sizeof(*out->puts));
	if (!out->puts)
		return false;
	json_object_object_foreach(fields, name, sides)
	{
		struct amend_put *put = &out->puts[out->n_puts++];
		int at = column_of(reader, name);
		struct json_object *new, *old;

		if (at < 0)
			return false;
		if (!may_write(reader, at))
			return bad(reader, "it writes a column that the database writes");
		if (!json_object_is_type(sides, json_type_object) ||
		    !json_object_object_get_ex(sides, "new", &new))
			return bad(reader, "a field has no new value");
		*put = (struct amend_put){.column = (uint32_t)at,
					  .op = AMEND_SET,
					  .min = amend_null(),
					  .max = amend_null()};
		if (!read_value(reader, new, &put->value))
			return false;
		if (out->create)
			continue;
		if (!json_object_object_get_ex(sides, "old", &old))
			return bad(reader, "a field has no old value");
		if (!read_value(reader, old, &out->row.values[at]))
			return false;
		out->row.known[at] = true;
	}
	return true;
}

/* Without them nothing would be proved. */
static bool knows_all(struct reader *reader, const struct amend_plan_row *row)
{
	const struct amend_sync *sync = reader->sync;

	for (uint32_t u = 0; row->identity && u < sync->n_used; u++) {
		if (!row->known[sync->used[u].column])
			return bad(reader, "\"row\" lacks a column that was compared");
	}
	return true;
}

/* ---- bases and conflicts ---- */

static bool read_after(struct reader *reader, struct json_object *json, struct amend_plan_entry *out)
{
	struct json_object *fields = member(json, "fields", json_type_object);
	struct json_object *tied;

	out->write_base = true;
	out->base_over = flag(json, "over");
	out->marks = flag(json, "marks");
	out->base_values = make(reader, reader->sync->table->n_columns,
				sizeof(const struct amend_value *));
	if (!fields || (out->base_over && !out->has_base))
		return bad(reader, "\"base\" is malformed");
	if (!out->base_values || !read_digest(reader, json, out->after_digest))
		return false;
	json_object_object_foreach(fields, name, value)
	{
		struct amend_value *copy = make(reader, 1, sizeof(*copy));
		int at = column_of(reader, name);

		if (at < 0 || !copy || !read_value(reader, value, copy))
			return false;
		out->base_values[at] = copy;
	}
	if (!json_object_object_get_ex(json, "tied", &tied))
		return true;
	if (!json_object_is_type(tied, json_type_string))
		return bad(reader, "\"tied\" is no text");
	out->tied = text(reader, json_object_get_string(tied));
	return out->tied != NULL;
}

static bool read_base(struct reader *reader, struct json_object *json, struct amend_plan_entry *out)
{
	struct json_object *base = member(json, "base", json_type_object), *before, *after;

	if (!base || !json_object_object_get_ex(base, "before", &before))
		return bad(reader, "\"base\" is missing");
	if (before) {
		const char *pk = amend_plan_string(before, "pk");
		const char *key = amend_plan_string(before, "key");

		if (!pk || !key)
			return bad(reader, "\"base\" is malformed");
		out->has_base = true;
		out->base_pk = text(reader, pk);
		out->base_key = text(reader, key);
		if (!out->base_pk || !out->base_key ||
		    !read_digest(reader, before, out->base_digest))
			return false;
	}
	if (!json_object_object_get_ex(base, "after", &after))
		return true;
	if (!after && out->missing) {
		out->write_base = out->drop_base = true;
		return true;
	}
	if (!json_object_is_type(after, json_type_object))
		return bad(reader, "\"base\" is malformed");
	return read_after(reader, after, out);
}

static bool read_sides(struct reader *reader, struct json_object *json,
		       struct amend_conflict_field *out)
{
	struct json_object *base, *current, *incoming;

	if (!json_object_is_type(json, json_type_object) ||
	    !json_object_object_get_ex(json, "current", &current) ||
	    !json_object_object_get_ex(json, "incoming", &incoming))
		return bad(reader, "\"conflict\" is malformed");
	out->has_base = json_object_object_get_ex(json, "base", &base);
	return (!out->has_base || read_value(reader, base, &out->base)) &&
	       read_value(reader, current, &out->current) &&
	       read_value(reader, incoming, &out->incoming);
}

static bool read_conflict(struct reader *reader, struct json_object *json,
			  struct amend_plan_entry *out)
{
	struct json_object *conflict, *fields;
	struct amend_conflict_spec *spec;
	struct amend_conflict_field *sides;
	const char *kind, *note;

	if (!json_object_object_get_ex(json, "conflict", &conflict))
		return true;
	kind = amend_plan_string(conflict, "kind");
	note = amend_plan_string(conflict, "note");
	fields = member(conflict, "fields", json_type_object);
	spec = make(reader, 1, sizeof(*spec));
	if (!kind || !note || !fields)
		return bad(reader, "\"conflict\" is malformed");
	sides = make(reader, (size_t)json_object_object_length(fields), sizeof(*sides));
	if (!spec || !sides)
		return false;
	*spec = (struct amend_conflict_spec){
		.source = reader->sync->source_name,
		.table = reader->sync->table,
		.first_key = out->key,
		.note = text(reader, note),
		.fields = sides,
		.line = out->line,
	};
	if (!amend_conflict_kind_of(kind, &spec->kind))
		return bad(reader, "\"conflict\" is of a kind that is not known");
	json_object_object_foreach(fields, name, value)
	{
		int at = column_of(reader, name);

		if (at < 0 || !read_sides(reader, value, &sides[spec->n_fields]))
			return false;
		sides[spec->n_fields++].column = reader->sync->table->columns[at].name;
	}
	out->conflict = spec;
	out->store = flag(conflict, "store");
	out->is_new = flag(conflict, "new");
	return spec->note != NULL;
}

static bool read_open(struct reader *reader, struct json_object *json, struct amend_plan_entry *out)
{
	struct json_object *open;
	const char *end = amend_plan_string(json, "end"), *how = amend_plan_string(json, "how");

	out->has_open = json_object_object_get_ex(json, "open", &open);
	if (out->has_open && !read_digest(reader, open, out->open_digest))
		return false;
	out->settled = flag(json, "settled");
	if (!end)
		return true;
	if (!out->has_open || !how || (strcmp(end, "settled") != 0 && strcmp(end, "closed") != 0))
		return bad(reader, "\"end\" is malformed");
	out->end = text(reader, end);
	out->how = text(reader, how);
	return out->end && out->how;
}

/* ---- the whole ---- */

static bool read_fate(struct reader *reader, struct json_object *json, struct amend_plan_entry *out)
{
	static const struct {
		const char *name;
		enum amend_fate fate;
	} fates[] = {
		{"created", AMEND_FATE_CREATED},     {"updated", AMEND_FATE_UPDATED},
		{"merged", AMEND_FATE_MERGED},       {"kept", AMEND_FATE_KEPT},
		{"unchanged", AMEND_FATE_UNCHANGED}, {"conflicts", AMEND_FATE_CONFLICT},
		{"missing", AMEND_FATE_MISSING},
	};
	const char *name = amend_plan_string(json, "counts");

	for (size_t i = 0; name && i < sizeof(fates) / sizeof(fates[0]); i++) {
		if (strcmp(fates[i].name, name) == 0) {
			out->fate = fates[i].fate;
			return true;
		}
	}
	return bad(reader, "\"counts\" is none of the counters");
}

static bool check_missing(struct reader *reader, const struct amend_plan_entry *entry)
{
	if (entry->create || entry->missed || entry->other.identity || entry->tied ||
	    (entry->fate != AMEND_FATE_MISSING))
		return bad(reader, "a missing record is created, or counted as another");
	if (entry->remove && !(entry->row.identity && entry->drop_base && !entry->n_puts))
		return bad(reader, "a deletion names no row, or keeps its base");
	if (entry->write_base && !entry->has_base)
		return bad(reader, "it changes a base that it does not name");
	if ((entry->n_puts > 0) != entry->marks || entry->n_puts > 1 ||
	    (entry->write_base && !entry->drop_base && !entry->marks))
		return bad(reader, "a missing record is marked by one column");
	if (entry->spared && (entry->remove || !entry->drop_base))
		return bad(reader, "\"spared\" is malformed");
	if (entry->row.identity && !entry->has_base)
		return bad(reader, "it names a row, and no base of it");
	return knows_all(reader, &entry->row);
}

/* What the entry does, and what its operation promises, are one. */
static bool check(struct reader *reader, const char *op, const struct amend_plan_entry *entry)
{
	const char *is = entry->create      ? "create"
			 : entry->remove    ? "delete"
			 : entry->n_puts    ? "update"
			 : entry->conflict  ? "conflict"
			 : entry->drop_base ? "forget"
					    : "remember";

	if (strcmp(op, is) != 0)
		return bad(reader, "\"op\" is not what the entry does");
	if (entry->missing)
		return check_missing(reader, entry);
	if (entry->create && (entry->row.identity || entry->other.identity))
		return bad(reader, "a creation has no row yet");
	if (entry->create && !(entry->missed & (uint32_t)1 << entry->first))
		return bad(reader, "a creation's key was missed");
	if (!entry->row.identity && (entry->n_puts || entry->write_base) && !entry->create)
		return bad(reader, "it changes a row that it does not name");
	if (entry->fate == AMEND_FATE_MISSING)
		return bad(reader, "\"counts\" is not what the entry does");
	if ((entry->fate == AMEND_FATE_CONFLICT) != (entry->conflict != NULL))
		return bad(reader, "\"counts\" is not what the entry does");
	if (entry->create != (entry->fate == AMEND_FATE_CREATED))
		return bad(reader, "\"counts\" is not what the entry does");
	return knows_all(reader, &entry->row) && knows_all(reader, &entry->other);
}

static bool read_entry(struct reader *reader, struct json_object *json, struct amend_plan_entry *out)
{
	const char *op = amend_plan_string(json, "op");
	struct json_object *line = member(json, "line", json_type_int);
	struct json_object *other;

	if (!op || !line || json_object_get_int64(line) < 0)
		return bad(reader, "\"op\" or \"line\" is missing");
	out->line = json_object_get_int64(line);
	out->create = strcmp(op, "create") == 0;
	out->missing = flag(json, "missing");
	out->remove = out->missing && strcmp(op, "delete") == 0;
	if (!read_fate(reader, json, out) ||
	    !(out->missing ? read_name(reader, json, out) : read_keys(reader, json, out)) ||
	    !read_missed(reader, json, out) || !read_row(reader, json, &out->row))
		return false;
	if (json_object_object_get_ex(json, "other", &other) &&
	    (!json_object_is_type(other, json_type_object) ||
	     !read_row(reader, other, &out->other) || !out->other.identity))
		return bad(reader, "\"other\" is malformed");
	if (!out->create && !out->row.identity && member(json, "fields", json_type_object))
		return bad(reader, "it changes a row that it does not name");
	return read_fields(reader, json, out) && read_base(reader, json, out) &&
	       read_conflict(reader, json, out) && read_open(reader, json, out) &&
	       check(reader, op, out);
}

enum amend_status amend_plan_entry_read(struct amend_sync *sync, const struct amend_plan *plan,
					const struct amend_plan_line *line,
					struct amend_plan_entry *out, struct amend_error *err)
{
	struct reader reader = {
		.sync = sync,
		.arena = &sync->arena,
		.typed = amend_has(sync->db, AMEND_HAS_TYPED_STORAGE),
	};
	struct json_object *json = amend_plan_json(line->text, line->size);
	int64_t number = line - plan->lines + 2;
	bool ok;

	*out = (struct amend_plan_entry){.number = number};
	if (!json)
		return amend_plan_malformed(plan, number, err,
					    "expected an entry of a plan, found no JSON object");
	ok = read_entry(&reader, json, out);
	json_object_put(json);
	if (ok)
		return AMEND_OK;
	return reader.no_memory
		       ? amend_no_memory(err)
		       : amend_plan_malformed(plan, number, err, "%s",
					      reader.wrong ? reader.wrong : "a value is malformed");
}

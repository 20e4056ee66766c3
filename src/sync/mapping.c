/*
 * Which source column goes to which table column, and by which keys records are matched.
 * Leaves what the values are to the columns.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/json_text.h"
#include "sql/table.h"
#include "sync/sync.h"

static bool same_name(const struct amend_sync *sync, const char *a, const char *b)
{
	return sync->table && sync->table->folds_case ? strcasecmp(a, b) == 0 : strcmp(a, b) == 0;
}

static bool listed(const struct amend_sync *sync, const char *const *names, size_t n,
		   const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (same_name(sync, names[i], name))
			return true;
	}
	return false;
}

/* One part of "a,b"; moves `*text` behind it. */
static const char *key_part(struct amend_arena *arena, const char **text)
{
	size_t size = strcspn(*text, ",");
	const char *part = *text, *end = part + size;

	*text = *end ? end + 1 : end;
	while (part < end && *part == ' ')
		part++;
	while (end > part && end[-1] == ' ')
		end--;
	return amend_arena_text_n(arena, part, (size_t)(end - part));
}

static bool in_a_key(struct amend_sync *sync, const char *name)
{
	for (size_t i = 0; i < sync->options->n_match; i++) {
		const char *rest = sync->options->match[i];

		while (*rest) {
			const char *part = key_part(&sync->lasting, &rest);

			if (part && same_name(sync, part, name))
				return true;
		}
	}
	return false;
}

static int source_column(const struct amend_sync *sync, const char *name)
{
	for (size_t i = 0; i < sync->source->n_names; i++) {
		if (strcmp(sync->source->names[i], name) == 0)
			return (int)i;
	}
	return -1;
}

static int find_used(const struct amend_sync *sync, const char *name)
{
	for (uint32_t i = 0; i < sync->n_used; i++) {
		if (same_name(sync, sync->used[i].name, name))
			return (int)i;
	}
	return -1;
}

/* A header that is one name, of several parts. */
static const char *other_separator(const struct amend_source *source)
{
	const char *name = source->n_names == 1 && !source->json ? source->names[0] : "";

	if (strchr(name, '\t'))
		return " (hint: its fields are parted by tabs: --format tsv)";
	if (strchr(name, ';'))
		return " (hint: its fields are parted by semicolons: expected commas, or tabs with "
		       "--format tsv)";
	if (strchr(name, '|'))
		return " (hint: its fields are parted by bars: expected commas, or tabs with "
		       "--format tsv)";
	if (strchr(name, ','))
		return " (hint: its fields are parted by commas: --format csv)";
	return "";
}

static enum amend_status list_source(const struct amend_sync *sync, struct amend_error *err,
				     const char *what, const char *name)
{
	struct amend_buffer names = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < sync->source->n_names && i < 20; i++) {
		amend_buffer_text(&names, i ? ", " : "");
		amend_buffer_text(&names, sync->source->names[i]);
	}
	if (sync->source->n_names > 20)
		amend_buffer_text(&names, ", ...");
	amend_error_set(err, AMEND_INVALID, "%s: %s %s, found %s%s", sync->source->path, what, name,
			amend_buffer_string(&names) ? names.data : "?",
			other_separator(sync->source));
	amend_buffer_release(&names);
	return err->status;
}

static enum amend_status check_map(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;

	for (size_t i = 0; i < options->n_map; i++) {
		const char *left = options->map[i].left;

		if (source_column(sync, options->map[i].right) < 0)
			return list_source(sync, err, "expected the column that --map names,",
					   options->map[i].right);
		for (size_t j = 0; j < i; j++) {
			if (same_name(sync, options->map[j].left, left))
				return amend_error_set(
					err, AMEND_INVALID,
					"column %s is mapped twice, from %s and from %s", left,
					options->map[j].right, options->map[i].right);
		}
		if (options->n_columns &&
		    !listed(sync, options->columns, options->n_columns, left) &&
		    !in_a_key(sync, left))
			return amend_error_set(
				err, AMEND_INVALID,
				"column %s is mapped, but not among those of --columns", left);
	}
	return AMEND_OK;
}

static enum amend_status use(struct amend_sync *sync, const char *name, uint32_t source,
			     struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;
	bool key = in_a_key(sync, name);
	int before = find_used(sync, name);

	if (!key && options->n_columns && !listed(sync, options->columns, options->n_columns, name))
		return AMEND_OK;
	if (before >= 0)
		return amend_error_set(err, AMEND_INVALID,
				       "columns %s and %s of the source both go to column %s (hint: "
				       "--columns, --map)",
				       sync->source->names[sync->used[before].source],
				       sync->source->names[source], name);
	sync->used[sync->n_used++] = (struct amend_used){
		.name = name,
		.source = source,
		.key = key,
		.update = options->n_update == 0 ||
			  listed(sync, options->update, options->n_update, name),
	};
	return AMEND_OK;
}

/* A source column goes where --map sends it, else to the column of its name unless --map fills that. */
static enum amend_status use_source_column(struct amend_sync *sync, uint32_t source,
					   struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;
	const char *name = sync->source->names[source];
	bool mapped = false;

	for (size_t i = 0; i < options->n_map; i++) {
		enum amend_status status;

		mapped = mapped || same_name(sync, options->map[i].left, name) ||
			 strcmp(options->map[i].right, name) == 0;
		if (strcmp(options->map[i].right, name) != 0)
			continue;
		status = use(sync, options->map[i].left, source, err);
		if (status != AMEND_OK)
			return status;
	}
	return mapped ? AMEND_OK : use(sync, name, source, err);
}

enum amend_status amend_sync_add_key(struct amend_sync *sync, const char *text,
				     struct amend_error *err)
{
	struct amend_sync_key *key = &sync->keys[sync->n_keys];
	const char *rest = text;

	key->name = text;
	key->used = amend_arena_array(&sync->lasting, strlen(text) + 1, sizeof(*key->used));
	if (!key->used)
		return amend_no_memory(err);
	while (*rest) {
		const char *part = key_part(&sync->lasting, &rest);
		int used = part ? find_used(sync, part) : -1;

		if (!part)
			return amend_no_memory(err);
		if (used < 0 && !sync->source)
			return amend_error_set(err, AMEND_INVALID,
					       "the plan's key %s names column %s, which it does "
					       "not use",
					       text, part);
		if (used < 0)
			return list_source(sync, err, "expected the column to match by,", part);
		for (uint32_t i = 0; i < key->n; i++) {
			if (key->used[i] == (uint32_t)used)
				return amend_error_set(err, AMEND_INVALID,
						       "the key %s names column %s twice", text,
						       part);
		}
		key->used[key->n++] = (uint32_t)used;
	}
	if (key->n == 0)
		return amend_error_set(err, AMEND_INVALID, "a key to match by names no column");
	sync->n_keys++;
	return AMEND_OK;
}

static enum amend_status check_named(const struct amend_sync *sync, const char *const *names,
				     size_t n, const char *option, struct amend_error *err)
{
	struct amend_buffer lacking = AMEND_BUFFER_INIT;
	const char *last = NULL;
	size_t n_lacking = 0;

	for (size_t i = 0; i < n; i++) {
		if (find_used(sync, names[i]) >= 0)
			continue;
		last = names[i];
		amend_buffer_text(&lacking, n_lacking++ ? ", " : "");
		amend_buffer_text(&lacking, last);
	}
	if (n_lacking > 0)
		amend_error_set(err, AMEND_INVALID,
				"%s names column%s %s, which no column of %s goes to (hint: --map "
				"%s=SOURCECOL)",
				option, n_lacking == 1 ? "" : "s",
				amend_buffer_string(&lacking) ? lacking.data : "?",
				sync->source->path, n_lacking == 1 ? last : "COL");
	amend_buffer_release(&lacking);
	return n_lacking > 0 ? err->status : AMEND_OK;
}

static bool known(const struct amend_sync *sync, const char *name)
{
	for (size_t i = 0; i < sync->source->n_names; i++) {
		if (same_name(sync, sync->source->names[i], name))
			return true;
	}
	return false;
}

/* The source column that the table column `name` is filled from. */
static enum amend_status want(struct amend_sync *sync, const char *name, struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;

	for (size_t i = 0; i < options->n_map; i++) {
		if (same_name(sync, options->map[i].left, name))
			return AMEND_OK;
	}
	return known(sync, name) ? AMEND_OK : amend_source_want(sync->source, name, err);
}

/* Where the source's columns are known only as its records come, those that are named are some of them. */
static enum amend_status want_columns(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;
	enum amend_status status = AMEND_OK;

	sync->source->only_named = options->n_columns > 0;
	for (size_t i = 0; i < options->n_map && status == AMEND_OK; i++)
		status = amend_source_want(sync->source, options->map[i].right, err);
	for (size_t i = 0; i < options->n_columns && status == AMEND_OK; i++)
		status = want(sync, options->columns[i], err);
	for (size_t i = 0; i < options->n_update && status == AMEND_OK; i++)
		status = want(sync, options->update[i], err);
	for (size_t i = 0; i < options->n_match && status == AMEND_OK; i++) {
		const char *rest = options->match[i];

		while (*rest && status == AMEND_OK) {
			const char *part = key_part(&sync->lasting, &rest);

			status = part ? want(sync, part, err) : amend_no_memory(err);
		}
	}
	return status;
}

enum amend_status amend_sync_name_columns(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;
	enum amend_status status = AMEND_OK;
	size_t n_source;

	sync->n_used = sync->n_keys = 0;
	if (options->n_match == 0)
		return amend_error_set(
			err, AMEND_INVALID,
			"expected at least one key to match records by (hint: --match)");
	if (options->n_match > AMEND_SYNC_KEYS)
		return amend_error_set(err, AMEND_INVALID,
				       "expected at most %d keys to match by, found %zu",
				       AMEND_SYNC_KEYS, options->n_match);
	if (options->create_only && options->update_only)
		return amend_error_set(err, AMEND_INVALID,
				       "to create only and to update only leaves nothing to do");
	if (sync->source->open)
		status = want_columns(sync, err);
	if (status != AMEND_OK)
		return status;
	n_source = sync->source->n_names;
	sync->used = amend_arena_array(&sync->lasting, n_source + options->n_map,
				       sizeof(*sync->used));
	sync->keys = amend_arena_array(&sync->lasting, options->n_match, sizeof(*sync->keys));
	if (!sync->used || !sync->keys)
		return amend_no_memory(err);
	status = check_map(sync, err);
	for (uint32_t i = 0; i < n_source && status == AMEND_OK; i++)
		status = use_source_column(sync, i, err);
	if (status == AMEND_OK)
		status = check_named(sync, options->columns, options->n_columns, "--columns", err);
	if (status == AMEND_OK)
		status = check_named(sync, options->update, options->n_update, "--update", err);
	for (size_t i = 0; i < options->n_match && status == AMEND_OK; i++)
		status = amend_sync_add_key(sync, options->match[i], err);
	return status;
}

/* All of them at once, from the first on. */
static enum amend_status lacks_columns(const struct amend_sync *sync, uint32_t first,
				       struct amend_error *err)
{
	enum { SHOWN = 8 };
	const struct amend_table *table = sync->table;
	const struct amend_source *source = sync->source;
	struct amend_buffer names = AMEND_BUFFER_INIT;
	uint32_t n = 0;

	for (uint32_t i = first; i < sync->n_used; i++) {
		if (amend_table_column(table, sync->used[i].name) >= 0)
			continue;
		if (n++ >= SHOWN)
			continue;
		amend_buffer_text(&names, n > 1 ? ", " : "");
		amend_buffer_text(&names, sync->used[i].name);
	}
	if (n > SHOWN)
		amend_buffer_printf(&names, " and %u more", n - SHOWN);
	if (source->n_names == 1 && *other_separator(source))
		amend_error_set(err, AMEND_INVALID, "table %s has no column %s, which %s has%s",
				table->qualified, amend_buffer_string(&names) ? names.data : "?",
				source->path, other_separator(source));
	else
		amend_error_set(err, AMEND_INVALID,
				"table %s has no column%s %s, which the source has (hint: --map "
				"COL=%s sends %s elsewhere, --columns leaves %s out, --create-table "
				"makes a new table)",
				table->qualified, n == 1 ? "" : "s",
				amend_buffer_string(&names) ? names.data : "?",
				n == 1 ? source->names[sync->used[first].source] : "SOURCECOL",
				n == 1 ? "it" : "one", n == 1 ? "it" : "them");
	amend_buffer_release(&names);
	return err->status;
}

static enum amend_status bind_column(struct amend_sync *sync, uint32_t index,
				     struct amend_error *err)
{
	struct amend_used *used = &sync->used[index];
	const struct amend_table *table = sync->table;
	int at = amend_table_column(table, used->name);
	const struct amend_column *column;

	if (at < 0)
		return lacks_columns(sync, index, err);
	column = &table->columns[at];
	if (column->generated)
		return amend_error_set(
			err, AMEND_INVALID,
			"column %s of %s is generated by the database: it cannot be written "
			"(hint: --columns leaves it out)",
			column->name, table->qualified);
	if (column->unsound)
		return amend_error_set(
			err, AMEND_UNSUPPORTED,
			"column %s of %s is of type %s, whose text does not prove equality: "
			"amend does not write it (hint: --columns leaves it out)",
			column->name, table->qualified, column->type);
	if (at == table->version)
		return amend_error_set(err, AMEND_INVALID,
				       "column %s of %s is its version, which moves by itself (hint: "
				       "--columns leaves it out)",
				       column->name, table->qualified);
	if (sync->used_of[at] >= 0)
		return amend_error_set(err, AMEND_INVALID, "column %s is given twice", column->name);
	sync->used_of[at] = (int)index;
	used->column = (uint32_t)at;
	return AMEND_OK;
}

enum amend_status amend_sync_bind_key(struct amend_sync *sync, struct amend_sync_key *key,
				      struct amend_error *err)
{
	struct amend_buffer head = AMEND_BUFFER_INIT;
	bool ok;

	key->columns = amend_arena_array(&sync->lasting, key->n, sizeof(*key->columns));
	key->heads = amend_arena_array(&sync->lasting, key->n, sizeof(*key->heads));
	ok = key->columns && key->heads;
	for (uint32_t i = 0; i < key->n && ok; i++) {
		const char *name;

		key->columns[i] = sync->used[key->used[i]].column;
		name = sync->table->columns[key->columns[i]].name;
		amend_buffer_reset(&head);
		amend_buffer_char(&head, i ? ',' : '{');
		amend_json_string(&head, name, strlen(name));
		amend_buffer_char(&head, ':');
		key->heads[i] = head.failed ? NULL : amend_arena_text(&sync->lasting, head.data);
		ok = key->heads[i] != NULL;
	}
	amend_buffer_release(&head);
	if (!ok)
		return amend_no_memory(err);
	key->unique = amend_table_unique_key(sync->table, key->columns, key->n);
	return AMEND_OK;
}

static enum amend_status bind_on_create(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;
	struct amend_canon *canon = amend_arena_array(&sync->lasting, options->n_on_create,
						      sizeof(*canon));
	enum amend_status status = AMEND_OK;

	sync->n_on_create = 0;
	sync->on_create = amend_arena_array(&sync->lasting, options->n_on_create,
					    sizeof(*sync->on_create));
	if (!sync->on_create || !canon)
		return amend_no_memory(err);
	for (size_t i = 0; i < options->n_on_create && status == AMEND_OK; i++) {
		const struct amend_assign *assign = &options->on_create[i];
		size_t at = 0;

		status = amend_table_find(sync->table, assign->column, &at, err);
		if (status != AMEND_OK)
			return status;
		if (assign->op != AMEND_SET)
			return amend_error_set(err, AMEND_INVALID,
					       "--on-create %s: a value is set, not added to",
					       assign->column);
		if (sync->table->columns[at].generated || (int)at == sync->table->version)
			return amend_error_set(
				err, AMEND_INVALID,
				"--on-create %s: the column has its value from the database",
				assign->column);
		if (sync->used_of[at] >= 0 && sync->used[sync->used_of[at]].key)
			return amend_error_set(err, AMEND_INVALID,
					       "--on-create %s: records are matched by this column",
					       assign->column);
		sync->on_create[i].column = (uint32_t)at;
		canon[i].column = &sync->table->columns[at];
		canon[i].in = assign->value;
		sync->n_on_create++;
	}
	if (sync->n_on_create > 0)
		status = amend_canonicalise(sync->db, canon, sync->n_on_create, &sync->lasting, err);
	for (size_t i = 0; i < sync->n_on_create && status == AMEND_OK; i++) {
		if (canon[i].problem)
			return amend_error_set(err, AMEND_INVALID, "--on-create %s: %s",
					       canon[i].column->name, canon[i].problem);
		/* amend_canonicalise may hand back the caller's own bytes, which outlive the run. */
		sync->on_create[i].value = canon[i].out;
	}
	return status;
}

static enum amend_status bind_additive(struct amend_sync *sync, struct amend_error *err)
{
	const bool *additive;
	enum amend_status status = amend_guard_additive(sync->db, sync->table, &sync->lasting,
							&additive, err);

	for (uint32_t i = 0; i < sync->n_used && status == AMEND_OK && additive; i++)
		sync->used[i].additive = additive[sync->used[i].column];
	return status;
}

enum amend_status amend_sync_bind(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	sync->used_of = amend_arena_array(&sync->lasting, sync->table->n_columns,
					  sizeof(*sync->used_of));
	if (!sync->used_of)
		return amend_no_memory(err);
	for (size_t i = 0; i < sync->table->n_columns; i++)
		sync->used_of[i] = -1;
	for (uint32_t i = 0; i < sync->n_used && status == AMEND_OK; i++)
		status = bind_column(sync, i, err);
	for (uint32_t i = 0; i < sync->n_keys && status == AMEND_OK; i++)
		status = amend_sync_bind_key(sync, &sync->keys[i], err);
	if (status == AMEND_OK)
		status = bind_additive(sync, err);
	if (status == AMEND_OK)
		status = bind_on_create(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_bind_mark(sync, err);
	return status;
}

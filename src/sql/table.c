/*
 * Table descriptions: names, and what follows from what the driver read.
 * Leaves reading the catalogue to the drivers.
 */
#include <amend/table.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/pack.h"
#include "sql/conn.h"
#include "sql/table.h"

struct owner {
	struct amend_arena arena;
	unsigned char digest[AMEND_TABLE_DIGEST];
};

static bool is_quoted(const char *name, const struct amend_dialect *dialect)
{
	return *name == '"' || *name == dialect->quote;
}

/* The part at `*text`, unquoted; moves `*text` behind it. NULL when it is malformed. */
static char *read_part(struct amend_arena *arena, const struct amend_dialect *dialect,
		       const char **text, bool may_split)
{
	struct amend_buffer part = AMEND_BUFFER_INIT;
	const char *at = *text;
	char *copy = NULL;

	if (is_quoted(at, dialect)) {
		char quote = *at;

		for (at++; *at && (*at != quote || at[1] == quote); at++) {
			if (*at == quote)
				at++;
			amend_buffer_char(&part, *at);
		}
		if (*at != quote)
			goto out;
		at++;
	} else {
		while (*at && (*at != '.' || !may_split))
			amend_buffer_char(&part, *at++);
	}
	if (part.size > 0 && !part.failed)
		copy = amend_arena_text_n(arena, part.data, part.size);
	*text = at;
out:
	amend_buffer_release(&part);
	return copy;
}

/* False when `name` is not NAME or SCHEMA.NAME. */
static bool split_name(struct amend_arena *arena, const struct amend_dialect *dialect,
		       const char *name, const char **schema, const char **table)
{
	*schema = NULL;
	*table = read_part(arena, dialect, &name, true);
	if (!*table)
		return false;
	if (*name == '\0')
		return true;
	if (*name != '.')
		return false;
	name++;
	*schema = *table;
	*table = read_part(arena, dialect, &name, false);
	return *table && *name == '\0';
}

static bool is_plain_name(const char *name)
{
	if (*name == '\0' || (*name >= '0' && *name <= '9'))
		return false;
	for (; *name; name++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
			    *name))
			return false;
	}
	return true;
}

void amend_ledger_name(struct amend_buffer *buffer, const char *name)
{
	static const struct amend_dialect standard = {.quote = '"'};

	if (is_plain_name(name))
		amend_buffer_text(buffer, name);
	else
		amend_quote_name(buffer, &standard, name);
}

static const char *keep(struct amend_arena *arena, struct amend_buffer *buffer)
{
	const char *text = amend_buffer_string(buffer);

	text = text ? amend_arena_text(arena, text) : NULL;
	amend_buffer_release(buffer);
	return text;
}

static bool all_not_null(const struct amend_table *table, const struct amend_key *key)
{
	for (size_t i = 0; i < key->n_columns; i++) {
		if (!table->columns[key->columns[i]].not_null)
			return false;
	}
	return true;
}

/* The primary key, else the first plain unique key whose columns are never NULL. */
static void choose_identity(struct amend_table *table)
{
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < table->n_keys; i++) {
			const struct amend_key *key = &table->keys[i];

			if (key->primary != (pass == 0) || key->partial || key->expression ||
			    (pass == 1 && (key->deferrable || !all_not_null(table, key))))
				continue;
			table->identity = key->columns;
			table->n_identity = key->n_columns;
			table->rowid = NULL;
			return;
		}
	}
}

static bool in_a_key(const struct amend_table *table, uint32_t column)
{
	for (size_t i = 0; i < table->n_keys; i++) {
		for (size_t j = 0; j < table->keys[i].n_columns; j++) {
			if (table->keys[i].columns[j] == column)
				return true;
		}
	}
	return false;
}

static void choose_version(struct amend_table *table)
{
	static const char *const names[] = {"lock_version", "row_version", "version"};

	if (table->guard_version)
		return;
	table->version = -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && table->version < 0; i++) {
		int at = amend_table_column(table, names[i]);
		const struct amend_column *column = at < 0 ? NULL : &table->columns[at];

		if (column && column->class_ == AMEND_CLASS_INTEGER && column->not_null &&
		    !column->generated && !column->identity && !in_a_key(table, (uint32_t)at))
			table->version = at;
	}
}

static enum amend_status complete(struct amend_conn *db, bool visible, struct amend_table *table,
				  struct amend_arena *arena, struct amend_error *err)
{
	struct amend_buffer qualified = AMEND_BUFFER_INIT, sql = AMEND_BUFFER_INIT;

	if (!table->schema || !table->name)
		return amend_error_set(err, AMEND_INTERNAL, "the driver described no table");
	if (*db->dialect->default_schema ? strcmp(table->schema, db->dialect->default_schema) != 0
					 : !visible) {
		amend_ledger_name(&qualified, table->schema);
		amend_buffer_char(&qualified, '.');
	}
	amend_ledger_name(&qualified, table->name);
	table->qualified = keep(arena, &qualified);
	amend_quote_name(&sql, db->dialect, table->schema);
	amend_buffer_char(&sql, '.');
	amend_quote_name(&sql, db->dialect, table->name);
	table->sql = keep(arena, &sql);
	if (!table->qualified || !table->sql)
		return amend_no_memory(err);
	choose_identity(table);
	choose_version(table);
	if (table->n_identity == 0 && !table->rowid)
		return amend_error_set(
			err, AMEND_UNSUPPORTED,
			"table %s has no key that identifies a row (hint: ALTER TABLE %s ADD "
			"PRIMARY KEY (...))",
			table->qualified, table->sql);
	return AMEND_OK;
}

static enum amend_status describe(struct amend_conn *db, const char *name, bool recorded,
				  struct amend_arena *arena, struct amend_table *table,
				  bool *visible, struct amend_error *err)
{
	const char *schema, *bare;
	enum amend_status status;
	struct amend_error second;

	if (!split_name(arena, db->dialect, name, &schema, &bare))
		return amend_error_set(
			err, AMEND_INVALID,
			"expected TABLE or SCHEMA.TABLE, found '%s' (hint: put odd names "
			"in double quotes)",
			name);
	if (recorded && !schema && *db->dialect->default_schema)
		schema = db->dialect->default_schema;
	status = db->driver->describe(db->session, schema, bare, arena, table, visible, err);
	/* A dot in the table's own name, not quoted. */
	if (status == AMEND_NOT_FOUND && !recorded && schema && !is_quoted(name, db->dialect) &&
	    db->driver->describe(db->session, NULL, name, arena, table, visible, &second) ==
		    AMEND_OK)
		status = AMEND_OK;
	return status;
}

static void add_text(struct amend_buffer *all, const char *text)
{
	amend_buffer_add(all, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void add_column(struct amend_buffer *all, const struct amend_column *column)
{
	add_text(all, column->name);
	add_text(all, column->type);
	add_text(all, column->cast);
	add_text(all, column->number_cast);
	add_text(all, column->collation);
	amend_buffer_printf(all, "%d %d %d %d %d %u.", (int)column->class_, column->not_null,
			    column->generated, column->identity, column->has_default,
			    (unsigned)column->type_id);
}

static void add_columns(struct amend_buffer *all, const uint32_t *columns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		amend_buffer_printf(all, "%u ", (unsigned)columns[i]);
	amend_buffer_char(all, '.');
}

static enum amend_status make_digest(const struct amend_table *table,
				     unsigned char out[static AMEND_TABLE_DIGEST],
				     struct amend_error *err)
{
	struct amend_buffer all = AMEND_BUFFER_INIT;
	unsigned char digest[AMEND_DIGEST_SIZE];

	_Static_assert((int)AMEND_TABLE_DIGEST <= (int)AMEND_DIGEST_SIZE, "it is a part of one");
	add_text(&all, table->sql);
	add_text(&all, table->qualified);
	add_text(&all, table->rowid);
	amend_buffer_printf(&all, "%d%d%u.", table->settles_late, table->has_triggers,
			    table->guard_state);
	for (size_t i = 0; i < table->n_columns; i++)
		add_column(&all, &table->columns[i]);
	add_columns(&all, table->identity, table->n_identity);
	for (size_t i = 0; i < table->n_keys; i++) {
		const struct amend_key *key = &table->keys[i];

		amend_buffer_printf(&all, "%d %d %d:", key->partial, key->expression,
				    key->deferrable);
		add_columns(&all, key->columns, key->n_columns);
	}
	if (all.failed) {
		amend_buffer_release(&all);
		return amend_no_memory(err);
	}
	amend_digest(all.data, all.size, digest);
	memcpy(out, digest, AMEND_TABLE_DIGEST);
	amend_buffer_release(&all);
	return AMEND_OK;
}

static enum amend_status open_table(struct amend_conn *db, const char *name, bool recorded,
				    struct amend_table **out, struct amend_error *err)
{
	struct amend_table *table = calloc(1, sizeof(*table));
	struct owner *owner = calloc(1, sizeof(*owner));
	enum amend_status status;
	bool visible = false;

	*out = NULL;
	if (!table || !owner) {
		free(table);
		free(owner);
		return amend_no_memory(err);
	}
	table->owner = owner;
	status = amend_enter(db, err);
	if (status == AMEND_OK) {
		status = describe(db, name, recorded, &owner->arena, table, &visible, err);
		if (status == AMEND_OK)
			status = complete(db, visible, table, &owner->arena, err);
		if (status == AMEND_OK)
			status = make_digest(table, owner->digest, err);
		/* Not finding it harms no unit; what the engine did not survive does. */
		if (status != AMEND_OK && db->driver->state(db->session) != AMEND_TX_ACTIVE)
			amend_conn_fail(db, err);
		status = amend_leave(db, status, err);
	}
	if (status != AMEND_OK) {
		amend_table_close(table);
		return status;
	}
	*out = table;
	return AMEND_OK;
}

enum amend_status amend_table_open(struct amend_conn *db, const char *name,
				   struct amend_table **out, struct amend_error *err)
{
	return open_table(db, name, false, out, err);
}

enum amend_status amend_table_open_recorded(struct amend_conn *db, const char *name,
					    struct amend_table **out, struct amend_error *err)
{
	return open_table(db, name, true, out, err);
}

enum amend_status amend_table_names(struct amend_conn *db, struct amend_rows *out,
				    struct amend_error *err)
{
	return amend_query(db, db->dialect->tables, NULL, 0, out, err);
}

void amend_table_close(struct amend_table *table)
{
	if (!table)
		return;
	amend_arena_release(&((struct owner *)table->owner)->arena);
	free(table->owner);
	free(table);
}

const unsigned char *amend_table_digest(const struct amend_table *table)
{
	return ((const struct owner *)table->owner)->digest;
}

int amend_table_column(const struct amend_table *table, const char *name)
{
	int (*compare)(const char *, const char *) = table->folds_case ? strcasecmp : strcmp;

	for (size_t i = 0; i < table->n_columns; i++) {
		if (compare(table->columns[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

bool amend_column_odd_text(const struct amend_conn *db, const struct amend_column *column,
			   const struct amend_value *stored)
{
	bool counts = column->class_ == AMEND_CLASS_INTEGER || column->class_ == AMEND_CLASS_REAL;

	return !amend_has(db, AMEND_HAS_TYPED_STORAGE) && stored->kind == AMEND_TEXT &&
	       (counts || strncasecmp(column->type, "BOOL", 4) == 0);
}

enum amend_status amend_table_find(const struct amend_table *table, const char *name, size_t *out,
				   struct amend_error *err)
{
	struct amend_buffer names = AMEND_BUFFER_INIT;
	int at = amend_table_column(table, name);

	*out = at < 0 ? 0 : (size_t)at;
	if (at >= 0)
		return AMEND_OK;
	for (size_t i = 0; i < table->n_columns; i++) {
		amend_buffer_text(&names, i ? ", " : "");
		amend_buffer_text(&names, table->columns[i].name);
	}
	amend_error_set(err, AMEND_INVALID, "table %s has no column '%s' (hint: it has %s)",
			table->qualified, name, names.failed ? "..." : amend_buffer_string(&names));
	amend_buffer_release(&names);
	return AMEND_INVALID;
}

enum amend_status amend_table_set_version(struct amend_table *table, const char *column,
					  struct amend_error *err)
{
	size_t at = 0;
	enum amend_status status;

	if (!column) {
		table->version = -1;
		return AMEND_OK;
	}
	status = amend_table_find(table, column, &at, err);
	if (status != AMEND_OK)
		return status;
	if (table->guard_version && (int)at != table->version)
		return amend_error_set(err, AMEND_INVALID,
				       "%s is guarded, and its version column is %s",
				       table->qualified, table->columns[table->version].name);
	if (table->columns[at].class_ != AMEND_CLASS_INTEGER &&
	    !(table->columns[at].class_ == AMEND_CLASS_TIME && *table->columns[at].cast))
		return amend_error_set(err, AMEND_INVALID,
				       "a version column is an integer or a timestamp; %s.%s is %s",
				       table->qualified, column, table->columns[at].type);
	if (table->columns[at].generated || in_a_key(table, (uint32_t)at))
		return amend_error_set(
			err, AMEND_INVALID,
			"%s.%s is generated, or part of a key, and cannot be the version "
			"column",
			table->qualified, column);
	table->version = (int)at;
	table->version_is_time = table->columns[at].class_ == AMEND_CLASS_TIME;
	return AMEND_OK;
}

const struct amend_key *amend_table_unique_key(const struct amend_table *table,
					       const uint32_t *columns, size_t n)
{
	for (size_t i = 0; i < table->n_keys; i++) {
		const struct amend_key *key = &table->keys[i];
		size_t found = 0;

		if (key->partial || key->expression || key->deferrable || key->n_columns != n)
			continue;
		for (size_t j = 0; j < n; j++) {
			for (size_t k = 0; k < n; k++)
				found += key->columns[k] == columns[j];
		}
		if (found == n)
			return key;
	}
	return NULL;
}

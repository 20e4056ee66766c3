/*
 * The statement that makes the table, for --create-table.
 * Leaves running it to the unit of the first write.
 *
 * Columns of the source as TEXT (or as detected, or as given), UNIQUE for each
 * key. The primary key is a number from the database, `id`; where the source has
 * a column of that name: the source's, if it is the only key, else `row_id` or `amend_id`.
 */
#include <string.h>
#include <strings.h>

#include "sync/sync.h"

static const char *given_type(const struct amend_sync *sync, const char *name)
{
	for (size_t i = 0; i < sync->options->n_types; i++) {
		if (strcmp(sync->options->types[i].left, name) == 0)
			return sync->options->types[i].right;
	}
	return NULL;
}

static bool has_column(const struct amend_sync *sync, const char *name)
{
	for (uint32_t i = 0; i < sync->n_used; i++) {
		if (strcasecmp(sync->used[i].name, name) == 0)
			return true;
	}
	for (size_t i = 0; i < sync->options->n_on_create; i++) {
		if (strcasecmp(sync->options->on_create[i].column, name) == 0)
			return true;
	}
	return false;
}

/* A type is SQL text of the caller's: words, numbers, and what stands between them. */
static bool is_type(const char *text)
{
	return *text &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ (),."
			    "\"[]") == strlen(text);
}

static enum amend_status check_types(const struct amend_sync *sync, struct amend_error *err)
{
	for (size_t i = 0; i < sync->options->n_types; i++) {
		const struct amend_pair *type = &sync->options->types[i];

		if (!has_column(sync, type->left))
			return amend_error_set(err, AMEND_INVALID,
					       "--type names column %s, which is not used",
					       type->left);
		if (!is_type(type->right))
			return amend_error_set(
				err, AMEND_INVALID,
				"--type %s: expected the name of a type, found \"%s\"", type->left,
				type->right);
	}
	return AMEND_OK;
}

static void add_column(struct amend_sync *sync, struct amend_sql *sql, size_t *n, const char *name,
		       const char *type)
{
	amend_sql_comma(sql, (*n)++);
	amend_sql_name(sql, name);
	amend_sql_text(sql, " ");
	amend_sql_text(sql, type);
	(void)sync;
}

/* `types`: what the used columns hold, or NULL: nobody looked. */
static void add_columns(struct amend_sync *sync, const char *const *types, struct amend_sql *sql)
{
	static const char *const ids[] = {"id", "row_id", "amend_id"};
	const struct amend_sync_options *options = sync->options;
	const char *text = sync->db->dialect->text_type;
	bool own = sync->n_keys == 1 && sync->keys[0].n == 1 &&
		   strcasecmp(sync->used[sync->keys[0].used[0]].name, "id") == 0;
	size_t n = 0, i = 0;

	while (i < 2 && has_column(sync, ids[i]))
		i++;
	if (!own)
		add_column(sync, sql, &n, ids[i], sync->db->dialect->serial_type);
	for (uint32_t u = 0; u < sync->n_used; u++) {
		const char *type = given_type(sync, sync->used[u].name);

		if (!type)
			type = types ? types[u] : text;
		add_column(sync, sql, &n, sync->used[u].name, type);
		if (own && u == sync->keys[0].used[0])
			amend_sql_text(sql, " NOT NULL PRIMARY KEY");
	}
	for (i = 0; i < options->n_on_create; i++) {
		const char *name = options->on_create[i].column, *type = given_type(sync, name);
		bool there = false;

		for (uint32_t u = 0; u < sync->n_used; u++)
			there = there || strcmp(sync->used[u].name, name) == 0;
		if (!there)
			add_column(sync, sql, &n, name, type ? type : text);
	}
	for (uint32_t k = 0; k < sync->n_keys && !own; k++) {
		amend_sql_text(sql, ", UNIQUE (");
		for (uint32_t j = 0; j < sync->keys[k].n; j++) {
			amend_sql_comma(sql, j);
			amend_sql_name(sql, sync->used[sync->keys[k].used[j]].name);
		}
		amend_sql_text(sql, ")");
	}
}

/* The name as amend_table_open reads it: NAME or SCHEMA.NAME, each part plain or quoted. */
static void add_table_name(struct amend_sql *sql, const char *name)
{
	struct amend_buffer part = AMEND_BUFFER_INIT;
	bool more = true, first = true;

	while (more) {
		bool quoted = *name == '"';

		amend_buffer_reset(&part);
		if (quoted) {
			for (name++; *name && (*name != '"' || name[1] == '"'); name++) {
				if (*name == '"')
					name++;
				amend_buffer_char(&part, *name);
			}
			name += *name == '"';
		} else {
			while (*name && (*name != '.' || !first))
				amend_buffer_char(&part, *name++);
		}
		amend_sql_name(sql, part.size ? part.data : "");
		more = first && *name == '.';
		name += more;
		first = false;
		if (more)
			amend_sql_text(sql, ".");
	}
	amend_buffer_release(&part);
}

enum amend_status amend_sync_design(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = check_types(sync, err);
	const char **types = NULL;
	struct amend_sql sql;

	if (status == AMEND_OK && sync->options->detect_types) {
		types = amend_arena_array(&sync->lasting, sync->n_used, sizeof(const char *));
		status = types ? amend_sync_detect(sync, types, err) : amend_no_memory(err);
	}
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, sync->db);
	amend_sql_text(&sql, " (");
	add_columns(sync, types, &sql);
	amend_sql_text(&sql, ")");
	sync->create_columns = sql.text.failed ? NULL
					       : amend_arena_text(&sync->lasting, sql.text.data);
	amend_sql_release(&sql);
	return sync->create_columns ? amend_sync_name_table(sync, err) : amend_no_memory(err);
}

enum amend_status amend_sync_name_table(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_sql sql;

	amend_sql_init(&sql, sync->db);
	amend_sql_text(&sql, "CREATE TABLE ");
	if (sync->table)
		amend_sql_text(&sql, sync->table->sql);
	else
		add_table_name(&sql, sync->table_name);
	amend_sql_text(&sql, sync->create_columns);
	sync->create_sql = sql.text.failed ? NULL : amend_arena_text(&sync->lasting, sql.text.data);
	amend_sql_release(&sql);
	return sync->create_sql ? AMEND_OK : amend_no_memory(err);
}

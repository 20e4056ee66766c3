/*
 * Opens the tables that a listing names, so that its values can be typed.
 * Leaves a single table that a command works on to session.c.
 */
#include "tables.h"

#include <string.h>

struct cli_named_table {
	struct cli_named_table *next;
	const char *name;
	struct amend_table *table;
};

static struct cli_named_table *find(const struct cli_tables *tables, const char *name)
{
	struct cli_named_table *named = tables->first;

	while (named && strcmp(named->name, name) != 0)
		named = named->next;
	return named;
}

void cli_tables_note(struct cli_tables *tables, struct cli_pool *pool, const char *name)
{
	struct cli_named_table *named;

	if (find(tables, name))
		return;
	named = cli_alloc(pool, 1, sizeof(*named));
	named->name = cli_copy(pool, name, strlen(name));
	named->next = tables->first;
	tables->first = named;
}

void cli_tables_open(struct cli_tables *tables, struct cli_session *session)
{
	struct amend_error ignored; /* a table that was dropped has a history all the same */

	for (struct cli_named_table *named = tables->first; named; named = named->next) {
		if (amend_table_open_recorded(session->db, named->name, &named->table, &ignored) !=
		    AMEND_OK)
			named->table = NULL;
	}
}

const struct amend_table *cli_tables_find(const struct cli_tables *tables, const char *name)
{
	struct cli_named_table *named = find(tables, name);

	return named ? named->table : NULL;
}

void cli_tables_close(struct cli_tables *tables)
{
	for (struct cli_named_table *named = tables->first; named; named = named->next)
		amend_table_close(named->table);
	tables->first = NULL;
}

/*
 * Descriptions of the tables that a listing names: they type its JSON. Their
 * names are collected in a first pass, for no table is opened while the
 * listing itself runs on the connection.
 */
#ifndef CLI_TABLES_H
#define CLI_TABLES_H

#include "session.h"

struct cli_tables {
	struct cli_named_table *first;
};

#define CLI_TABLES_INIT \
	{               \
		NULL    \
	}

void cli_tables_note(struct cli_tables *tables, struct cli_pool *pool, const char *name);
void cli_tables_open(struct cli_tables *tables, struct cli_session *session);
/* NULL: it was not noted, or is no longer there. */
const struct amend_table *cli_tables_find(const struct cli_tables *tables, const char *name);
void cli_tables_close(struct cli_tables *tables);

#endif

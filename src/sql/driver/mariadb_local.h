/* The canonical form of a value where MariaDB's rule is plain. Needs no connection. */
#ifndef AMEND_SQL_DRIVER_MARIADB_LOCAL_H
#define AMEND_SQL_DRIVER_MARIADB_LOCAL_H

#include "sql/driver.h"

enum amend_mariadb_local {
	AMEND_MA_LOCAL_DONE,    /* `out` is set */
	AMEND_MA_LOCAL_PROBLEM, /* `problem` is set */
	AMEND_MA_LOCAL_ASK,     /* only the server knows */
	AMEND_MA_LOCAL_NO_MEMORY,
};

/* `in` is not NULL. */
enum amend_mariadb_local amend_mariadb_local(struct amend_canon *item, struct amend_arena *arena);

#endif

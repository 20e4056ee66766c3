/*
 * The SQLSTATEs amend looks at: ISO 9075-2 and PostgreSQL's appendix A, and
 * what each means for the caller. Drivers of engines without SQLSTATE set the
 * nearest of these.
 */
#ifndef AMEND_SQL_SQLSTATE_H
#define AMEND_SQL_SQLSTATE_H

#define AMEND_SQLSTATE_NOT_NULL "23502"      /* CONSTRAINT */
#define AMEND_SQLSTATE_FOREIGN_KEY "23503"   /* CONSTRAINT */
#define AMEND_SQLSTATE_UNIQUE "23505"        /* CONSTRAINT */
#define AMEND_SQLSTATE_CHECK "23514"         /* CONSTRAINT */
#define AMEND_SQLSTATE_CONSTRAINT "23000"    /* CONSTRAINT: any other of class 23 */
#define AMEND_SQLSTATE_DATA "22000"          /* INVALID: any other of class 22 */
#define AMEND_SQLSTATE_TOO_LONG "22001"      /* INVALID */
#define AMEND_SQLSTATE_OUT_OF_RANGE "22003"  /* INVALID */
#define AMEND_SQLSTATE_BAD_TEXT "22P02"      /* INVALID */
#define AMEND_SQLSTATE_BAD_ENCODING "22021"  /* INVALID */
#define AMEND_SQLSTATE_SERIALIZATION "40001" /* RETRY; SQLite: BUSY_SNAPSHOT */
#define AMEND_SQLSTATE_DEADLOCK "40P01"      /* RETRY */
#define AMEND_SQLSTATE_LOCKED "55P03"        /* LOCKED; SQLite: BUSY after the limit */
#define AMEND_SQLSTATE_INTERRUPTED "57014"   /* INTERRUPTED */
#define AMEND_SQLSTATE_DENIED "42501"        /* DENIED */
#define AMEND_SQLSTATE_READ_ONLY "25006"     /* DENIED */
#define AMEND_SQLSTATE_NO_TABLE "42P01"      /* NOT_FOUND */
#define AMEND_SQLSTATE_NO_SCHEMA "3F000"     /* NOT_FOUND */
#define AMEND_SQLSTATE_TABLE_EXISTS "42P07"  /* INVALID */
#define AMEND_SQLSTATE_DISK_FULL "53100"     /* INTERNAL */
#define AMEND_SQLSTATE_TOO_LARGE "54000"     /* INVALID: more than the engine takes at once */
#define AMEND_SQLSTATE_SYNTAX "42000"        /* INVALID: any other of class 42 */
#define AMEND_SQLSTATE_STALE "ZV409" /* STALE: a guarded table refused it; a state of amend's own */
#define AMEND_SQLSTATE_LOST "08006"  /* UNREACHABLE: nothing was being committed */
#define AMEND_SQLSTATE_UNKNOWN "08007" /* OUTCOME_UNKNOWN */

#endif

/*
 * amend: changes database records without losing anyone's work. Includes every
 * public header but those that adopt an engine's own handle
 * (amend/sqlite.h, amend/postgres.h, amend/mariadb.h).
 */
#ifndef AMEND_AMEND_H
#define AMEND_AMEND_H

#include <amend/combine.h>
#include <amend/connection.h>
#include <amend/error.h>
#include <amend/guard.h>
#include <amend/history.h>
#include <amend/ledger.h>
#include <amend/lease.h>
#include <amend/once.h>
#include <amend/plan.h>
#include <amend/record.h>
#include <amend/sync.h>
#include <amend/table.h>
#include <amend/unit.h>
#include <amend/value.h>
#include <amend/violation.h>

#define AMEND_VERSION "0.1.0"

#endif

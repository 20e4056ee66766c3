/* Operations of the library, each made to fail everywhere by faults_test.c: what an operation is there. */
#ifndef TESTS_RECORD_FAULTS_H
#define TESTS_RECORD_FAULTS_H

#include "engines.h"

#include <amend/amend.h>

/*
 * Where one works: t (id, name UNIQUE, qty NOT NULL, note) with records 1 to 3, c whose rows refer to it, and a history
 * of record 1. It allocates nothing by itself.
 */
struct faulted {
	struct amend_conn *db;
	const struct amend_table *table;
	const char *feed; /* the name of a CSV file of records of t */
	struct amend_error err;
};

struct faulted_operation {
	const char *name;
	enum amend_status (*run)(struct faulted *at);
	enum amend_status usual; /* what it comes to when nothing fails */
	bool several;            /* calls, each by itself: what failed may be done in part */
};

extern const struct faulted_operation faulted_operations[];
extern const size_t n_faulted_operations;

#endif

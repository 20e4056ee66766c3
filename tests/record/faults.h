/*
 * Operations of the library that are made to fail everywhere, by faults_test.c above the drivers and by beneath_test.c
 * below them: what an operation is there, the database that they work on, and what must be true of it afterwards.
 */
#ifndef TESTS_RECORD_FAULTS_H
#define TESTS_RECORD_FAULTS_H

#include "engines.h"

#include <amend/amend.h>

/* Where one works. `run` allocates nothing by itself. */
struct faulted {
	struct amend_conn *db;
	const struct amend_table *table; /* as the operation names it */
	const char *url;                 /* of the database */
	const char *feed, *later; /* names of CSV files of records of t, one after the other */
	const char *plan;         /* and of a saved plan */
	struct amend_error err;
	/* What `prepare` leaves for `run`: */
	struct engine *engine; /* for it alone */
	char token[1024];
	int64_t id;
};

struct faulted_operation {
	const char *name;
	enum amend_status (*run)(struct faulted *at);
	enum amend_status usual;                          /* what it comes to when nothing fails */
	const char *table;                                /* it works on; NULL: t */
	enum amend_status (*prepare)(struct faulted *at); /* goes before, and does not fail */
	bool several; /* transactions, each by itself: what failed may be done in part */
	bool guards;  /* it guards g */
	bool inside; /* it is also tried in the application's own transaction, on a connection that it hands over */
	const char *not_on; /* an engine's name, which does it otherwise */
};

/* Operations on one record, and on many, on the ledger and on guards. */
extern const struct faulted_operation faulted_records[], faulted_others[];
extern const size_t n_faulted_records, n_faulted_others;

/* --- The stage: one database, put back before each try --- */

struct stage {
	struct engine *engine;
	const struct faulted_operation *operation;
	const char *what; /* of messages */
	struct amend_trace trace;
	struct amend_table *table;
	bool inside;             /* the application's transaction.. */
	struct foreign *foreign; /* ..on this connection of its; else NULL */
	struct faulted at;
	bool refused;              /* the application's COMMIT was */
	long changes;              /* in history, before */
	const char *before, *done; /* what the database holds before, and after it was done */
};

void stage_make(struct stage *stage, struct engine *engine);
/* As it is before each try. */
void stage_set(struct stage *stage);
/* Opens the connection; `traced`: stage->trace is around its driver. Then the operation is run. */
void stage_open(struct stage *stage, bool traced);
enum amend_status stage_run(struct stage *stage);
void stage_close(struct stage *stage, enum amend_status status);
/*
 * That what the operation has said is so: all of it is in, or nothing. `unsure`: it may say that it does not know.
 * The connection is closed by then.
 */
void stage_judge(struct stage *stage, enum amend_status status, bool unsure);
/* Before that: that the connection is of use, or is known to be lost. */
void stage_use(struct stage *stage);

/* Each operation, as it usually is and then by `strike`, which lets it fail: what is done usually must be done whenever it says so. */
void stage_each(struct engine *engine, void (*strike)(struct stage *stage, unsigned nth));
/* $AMEND_TEST_STEP; 0: it is not set, for an ordinary run tries few. */
unsigned stage_step(void);

#endif

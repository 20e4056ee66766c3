/* Layer 3's own state of a connection; for src/ledger alone. */
#ifndef AMEND_LEDGER_STATE_H
#define AMEND_LEDGER_STATE_H

#include "ledger/ledger.h"
#include "ledger/lease.h"

struct amend_operation; /* operation.h */

/* The first version with it. */
enum {
	AMEND_LEDGER_HAS_OPERATIONS = 4,
	AMEND_LEDGER_HAS_GUARDS = 5,
	AMEND_LEDGER_HAS_SUMS = 6,
	AMEND_LEDGER_HAS_CHOICES = 7,  /* columns of conflict */
	AMEND_LEDGER_HAS_ADDITIVE = 8, /* a column of guard */
	AMEND_LEDGER_HAS_FOUND = 9,    /* a column of conflict */
	AMEND_LEDGER_HAS_MARKS = 10,   /* a column of revision */
};

/* steps.c: what brings the ledger from the version before to `version`, in order. */
struct amend_ledger_step {
	int version;
	const char *const *statements; /* NULL-ended; words in braces as in amend_ledger_expand */
};
extern const struct amend_ledger_step amend_ledger_steps[AMEND_LEDGER_VERSION];

/* A revision that this connection was told to be in, and what tells it from another of its number. */
struct amend_told {
	int64_t revision; /* 0: none */
	int64_t mark;     /* its `mark`; or its `xact`: */
	bool alone;       /* made outside of units */
};

struct amend_ledger {
	int version;     /* of the ledger, committed; 0: not looked yet, or there is none */
	bool installing; /* installed in the transaction that is open */
	bool numbers;    /* its numbers can be drawn by this role */

	int64_t revision;   /* of the open unit; 0: none */
	int64_t unit_mark;  /* that revision's */
	uint64_t mark_seed; /* of the next of either kind of mark; 0: none was drawn yet */
	int64_t mark;       /* of revisions made outside of units; 0: none */
	bool mark_sent;     /* with a statement, since it was begun; and no unit was lost since */
	int64_t latest;     /* a revision that there is; 0: none is known */
	struct amend_told told;
	const struct amend_run_spec *run_spec;
	struct amend_run_spec run_copy;
	int64_t run;
	/* The source and table whose number was asked for last; number 0: none. */
	char *feed_source, *feed_table;
	int64_t feed;
	unsigned feed_anew; /* amend_conn.anew when it was asked for */
	unsigned char feed_salt[AMEND_BASE_SALT_SIZE];
	size_t n_sums; /* rows of its sum when that was read */
	bool tallying; /* seen.c */
	struct amend_tally tally;
	struct amend_operation *operation; /* whose unit is open; NULL: none */
	char who[256];                     /* the operating system's user, read when it is needed */

	struct amend_claim claim; /* what writes carry */
	bool barred;              /* by another's mandatory lease, since it was last reset */

	struct amend_secret *secrets; /* newest first */
	size_t n_secrets;
	bool secrets_from_file;
};

/* Made on first use; NULL with `err` filled in when there is no memory. */
struct amend_ledger *amend_ledger_state(struct amend_conn *db, struct amend_error *err);
/* Which ledger there is: 0 none; older than ours may be read, amend_ledger_need brings it up. UNSUPPORTED: newer. */
enum amend_status amend_ledger_version(struct amend_conn *db, int *version,
				       struct amend_error *err) AMEND_CHECK;
/* Inside a transaction: waits for whoever installs the ledger, and keeps others from that. LOCKED. */
enum amend_status amend_ledger_await(struct amend_conn *db, struct amend_error *err) AMEND_CHECK;
/* seen.c: these bases have been written. */
enum amend_status amend_tally_written(struct amend_conn *db, const struct amend_base_bulk *items,
				      size_t n, struct amend_error *err) AMEND_CHECK;
void amend_ledger_free(struct amend_ledger *ledger);

/* The statement with its words in braces replaced: {ledger}, {text}, ..., {role}; install.c lists them. */
void amend_ledger_expand(struct amend_buffer *out, const struct amend_dialect *dialect,
			 const char *role, const char *text);

/* Inserts a new token key, or shows the statement that would. */
enum amend_status amend_secret_make(struct amend_conn *db, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_secret_emit(struct amend_conn *db,
				    void (*emit)(void *context, const char *statement),
				    void *context, struct amend_error *err) AMEND_CHECK;

#endif

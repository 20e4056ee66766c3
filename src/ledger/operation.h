/*
 * Operations: units of work that are done once under an id, whoever repeats
 * them and whatever becomes of the answer. include/amend/once.h is the public half.
 *
 * The id is a unique row that the unit writes before anything else. A repeat's
 * insert waits until the unit in flight has ended, and then finds the row with
 * its answer, or the id free again. A unit that fails leaves nothing.
 */
#ifndef AMEND_LEDGER_OPERATION_H
#define AMEND_LEDGER_OPERATION_H

#include "ledger/ledger.h"

enum { AMEND_OPERATION_ID = 33, AMEND_OPERATION_MAKER = 17 };

/* As it is stored. Lives in an arena. */
struct amend_operation_row {
	unsigned char digest[AMEND_DIGEST_SIZE];
	const char *at, *who;
	const char *maker;
	int64_t revision;   /* 0: none */
	const void *answer; /* NULL: none */
	size_t size;
};

/* One call under an id. */
struct amend_operation {
	const char *id;
	unsigned char digest[AMEND_DIGEST_SIZE]; /* of the request */
	struct amend_arena *arena;               /* for `found` */
	struct amend_buffer answer; /* what the function wants to be stored; the caller's to release */

	/* What amend_operation_run found out: */
	bool repeated; /* the id was taken by the same request: `found` is its answer; what the function did is undone */
	bool own;    /* ..by this very call, whose COMMIT was not answered */
	bool lookup; /* LOCKED: another one under this id has not ended yet */
	struct amend_operation_row found;

	/* private: */
	char maker[AMEND_OPERATION_MAKER]; /* tells this call's row from others' */
	int64_t until;                     /* when a lost COMMIT is given up; 0: none was lost */
};

/* INVALID: not an id (1 to 200 bytes of UTF-8 without control characters). */
enum amend_status amend_operation_check(const char *id, struct amend_error *err) AMEND_CHECK;
/* Makes one up: nobody else makes the same. */
void amend_operation_make_id(char id[static AMEND_OPERATION_ID]);

/*
 * Runs `fn` as a unit under the operation's id, unless it has been done. INVALID: it stands for
 * another request. Where nobody answers COMMIT: found out by amend_operation_fate; what remains
 * OUTCOME_UNKNOWN names the id.
 */
enum amend_status amend_operation_run(struct amend_conn *db,
				      const struct amend_unit_options *options,
				      struct amend_operation *operation, amend_unit_fn fn,
				      void *context, struct amend_error *err) AMEND_CHECK;

/*
 * amend_atomic under an id that is made up, so that a COMMIT that nobody answers is found out about whatever the
 * unit has written; "" where that cannot be. What `fn` leaves behind is of the run that counts.
 */
enum amend_status amend_operation_run_made_up(struct amend_conn *db,
					      char id[static AMEND_OPERATION_ID], amend_unit_fn fn,
					      void *context, struct amend_error *err) AMEND_CHECK;

/* ---- operation.c, for once.c ---- */

void amend_operation_begin(struct amend_operation *operation);
/* Inserts the id. `*claimed` false: it is there already, committed or this unit's own. */
enum amend_status amend_operation_claim(struct amend_conn *db,
					const struct amend_operation *operation, bool *claimed,
					struct amend_error *err) AMEND_CHECK;
enum amend_status amend_operation_find(struct amend_conn *db, const char *id,
				       struct amend_arena *arena, bool *found,
				       struct amend_operation_row *out,
				       struct amend_error *err) AMEND_CHECK;
/* Stores the answer, and the open unit's revision if it has one. */
enum amend_status amend_operation_answer(struct amend_conn *db,
					 const struct amend_operation *operation,
					 const struct amend_buffer *answer,
					 struct amend_error *err) AMEND_CHECK;
/* amend_fate_fn: reconnects, and asks by inserting the same id. */
enum amend_status amend_operation_fate(struct amend_conn *db, void *context,
				       struct amend_error *err) AMEND_CHECK;
/* Those of before `before` (UTC, as text). */
enum amend_status amend_operation_forget(struct amend_conn *db, const char *before, int64_t *n,
					 struct amend_error *err) AMEND_CHECK;

#endif

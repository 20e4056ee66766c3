/*
 * One call of the road under way; for src/record alone. match.c finds the
 * record, gather.c says what would be written, try.c writes it, and record.c tries until it is done.
 */
#ifndef AMEND_RECORD_CALL_H
#define AMEND_RECORD_CALL_H

#include "record/expect.h"
#include "record/write.h"

/* One call under way. Everything in it lives in the result's arena. */
struct amend_call {
	struct amend_conn *db;
	const struct amend_table *table;
	const struct amend_write *write;
	struct amend_outcome_work work;
	struct amend_seen seen;
	struct amend_request_key *keys;
	size_t n_keys;
	struct amend_put *set; /* as given */
	size_t n_set;
	struct amend_put *puts; /* what this try would write */
	size_t n_puts;
	bool deleting;
	unsigned char *rules; /* of each column: how it is merged; NULL where nothing is */

	struct amend_row row; /* the one found */
	bool found;
	size_t found_by;
	bool at_hand; /* `found` and `row` are of just now: the next match needs not look */
	bool moved;   /* this try came too late: try again */
	const struct amend_put
		*left; /* what a merge has left of them to write; NULL: nothing was merged */
	size_t n_left;
	/* A conflict is kept by the unit that finds it: the unit goes on as if all were well, and this is said behind its end. */
	bool clashed;
	struct amend_error clash;
	unsigned refused; /* tries in a row in which the table gave or made no row, for no reason seen */
};

/* Names, keys, assignments and expectations, resolved against the table. */
enum amend_status amend_call_resolve(struct amend_call *call, const struct amend_match *keys,
				     size_t n_keys, const struct amend_expect *expect,
				     struct amend_error *err) AMEND_CHECK;

/* Finds the record by its keys, in order. SKIPPED is an outcome without being an error: `*skip` ends the call. */
enum amend_status amend_call_match(struct amend_call *call, const struct amend_lock *lock,
				   bool *skip, struct amend_error *err) AMEND_CHECK;

/* Rivals that create and delete again can make some tries look as if the table itself refused. */
enum { AMEND_REFUSED_TRIES = 9 };

/*
 * One try. `call->moved`: nothing was written, the world was faster. `may_write` false: stops before the first write,
 * and `*wants_write` says whether there would be one.
 */
enum amend_status amend_call_try(struct amend_call *call, const struct amend_lock *lock,
				 bool may_write, bool *wants_write,
				 struct amend_error *err) AMEND_CHECK;

/* What the engine has refused may be a key: `err` says so then. */
void amend_call_name_key(const struct amend_call *call, struct amend_error *err);

/* The key, for messages. */
const char *amend_call_key(const struct amend_call *call);

/* One statement that changes the same columns as the last call like this one did; `*done` false: nothing is written, and `row` may be at hand. */
enum amend_status amend_call_try_guess(struct amend_call *call, bool *done,
				       struct amend_error *err) AMEND_CHECK;
/* What `puts` change of the record that was found: the next guess. */
void amend_call_remember(struct amend_call *call);

/* What earlier keys that missed teach the record that a later one found: puts, or CONFLICT. */
enum amend_status amend_call_learn(struct amend_call *call, struct amend_error *err) AMEND_CHECK;

/* Fills `puts`: the assignments, what keys teach, what the callback computes; canonical. */
enum amend_status amend_call_gather(struct amend_call *call, struct amend_error *err) AMEND_CHECK;

/* The bounds of the call, on the puts they are for. */
enum amend_status amend_call_bounds(struct amend_call *call, struct amend_error *err) AMEND_CHECK;

/* `+= 0`, in any spelling. */
bool amend_put_adds_nothing(const struct amend_put *put);

/* Whether what these puts lead to lies within their bounds; asked of the row as it is. */
enum amend_status amend_call_bounds_hold(struct amend_call *call, const struct amend_row *row,
					 const struct amend_put *puts, size_t n, bool *hold,
					 struct amend_error *err) AMEND_CHECK;

/* merge.c: what the call says of merging, resolved. INVALID: there is no base to merge from, or a rule that its column cannot have. */
enum amend_status amend_call_merge_resolve(struct amend_call *call,
					   struct amend_error *err) AMEND_CHECK;

/*
 * The record has moved since the caller saw it as result.base: makes of `puts` what is left to write, and says so
 * in the result. `clashed`: nothing is to be written, and the conflict is stored. STALE stays in `err` where
 * that is not known.
 */
enum amend_status amend_call_merge(struct amend_call *call, struct amend_error *err) AMEND_CHECK;

/* The record is gone, as amend_seen_missing has found: NOT_FOUND stays in `err`, or there is a conflict, and OK. */
enum amend_status amend_call_merge_gone(struct amend_call *call, struct amend_error *err);

/* merge_who.c: who last changed each field that clashes, where history knows it. */
enum amend_status amend_call_name_rivals(struct amend_call *call, struct amend_merge_field *fields,
					 size_t n, struct amend_error *err) AMEND_CHECK;
/* `clash`: that fields were changed by both, or that the record is gone, and where the submission is kept. */
void amend_call_say_clash(struct amend_call *call);
void amend_call_say_gone(struct amend_call *call);

/*
 * unanswered.c: a write outside of units was sent under this mark, and `err` says OUTCOME_UNKNOWN. OK: it is in, and the
 * result says what it did. RETRY: it is not.
 */
enum amend_status amend_call_unanswered(struct amend_call *call, const struct amend_mark *mark,
					struct amend_error *err) AMEND_CHECK;

/* Drops the puts that change nothing. */
void amend_call_keep_changes(struct amend_call *call);

/* CONSTRAINT where something is added to what is no number. */
enum amend_status amend_call_check_addends(const struct amend_call *call,
					   struct amend_error *err) AMEND_CHECK;

/* " is 2, adding -5 would break its bounds (at least 0)": of one put, behind its column's name. */
void amend_call_bound_text(const struct amend_call *call, const struct amend_put *put,
			   struct amend_buffer *text);

/* CONSTRAINT, naming the columns whose bounds are in the way, as far as that can be told. */
enum amend_status amend_call_out_of_bounds(const struct amend_call *call, struct amend_error *err);

/* Signs a token for `row` into the result; `change`: a position in its history that it includes, 0 if none is known. */
enum amend_status amend_call_sign(struct amend_call *call, const struct amend_row *row,
				  int64_t change, struct amend_error *err) AMEND_CHECK;

/* The outcome where nothing was written, and where something was. */
enum amend_status amend_call_as_it_is(struct amend_call *call, enum amend_outcome outcome,
				      struct amend_error *err) AMEND_CHECK;
enum amend_status amend_call_written(struct amend_call *call, const struct amend_written *what,
				     enum amend_outcome outcome,
				     struct amend_error *err) AMEND_CHECK;

#endif

/*
 * Exactly once: a signal, job or message that arrives twice is handled once.
 *
 *	static enum amend_status paid(struct amend_conn *db, void *context, struct amend_error *err)
 *	{ ... the handler's writes, amend's or the application's own ... }
 *
 *	struct amend_once_result done = AMEND_ONCE_RESULT_INIT;
 *
 *	status = amend_once(db, message->id, paid, message, NULL, &done, &err);
 *	... OK: it is done, now or, with done.repeated, before ...
 *	amend_once_result_release(&done);
 *
 * The id is a row that the handler's own unit writes first. Who comes second
 * with the same id waits for the first, and then is told that it is done. A
 * handler that fails is undone together with the id: the next one tries again.
 * On an adopted connection inside the application's transaction all of it is
 * a savepoint there: done when that transaction commits, else not.
 *
 * Where nobody answered COMMIT, amend finds out by itself what became of it: it opens the
 * connection again (not an adopted one) and writes the same id. If it was in, the call is done; if not, the unit
 * runs again. AMEND_OUTCOME_UNKNOWN remains only where no server was reached within
 * amend_open_options.resolve_ms; its text names the id, and a repeat under it settles the matter.
 *
 * Other units are found out about in the same way, by the revision that they recorded, if they did; and single writes.
 *
 * Single writes take an id in amend_expect.once. What has been done is kept
 * until amend_once_forget: what is repeated later than that is done again.
 */
#ifndef AMEND_ONCE_H
#define AMEND_ONCE_H

#include <amend/record.h>
#include <amend/unit.h>

#ifdef __cplusplus
extern "C" {
#endif

struct amend_once_options {
	const char *request; /* what is asked for: another text under the same id is refused, INVALID; NULL: the id says it all */
	enum amend_wait
		wait; /* for one under the same id that is under way: AMEND_WAIT, or AMEND_NOWAIT (LOCKED at once) */
};

/* What an operation came to. Its texts live until amend_once_result_release. */
struct amend_once_result {
	bool repeated;   /* another call had done it: `fn` did not run, or what it did is undone */
	const char *at;  /* UTC, when it was done, where `repeated` or looked up */
	const char *who; /* likewise */
	const char *answer;  /* amend_once_answer's text; NULL: it gave none */
	const char *outcome; /* looked up, of a single write: "updated", "stale" ...; else NULL */
	int64_t revision;    /* that recorded its changes; 0: it made none */
	void *owner;         /* private */
};

#define AMEND_ONCE_RESULT_INIT                          \
	{                                               \
		false, NULL, NULL, NULL, NULL, 0, NULL, \
	}

AMEND_API void amend_once_result_release(struct amend_once_result *result);

/*
 * Runs `fn` as amend_atomic does, unless it has been done under this id (1 to 200 bytes of UTF-8
 * without control characters). `options` and `result` may be NULL. INVALID: the id stands for another request;
 * LOCKED: it is under way elsewhere and has not ended in time.
 */
AMEND_API enum amend_status amend_once(struct amend_conn *db, const char *id, amend_unit_fn fn,
				       void *context, const struct amend_once_options *options,
				       struct amend_once_result *result,
				       struct amend_error *err) AMEND_CHECK;

/* Inside `fn`: the text that a repeat is given. Copied; the last one counts. INVALID elsewhere. */
AMEND_API enum amend_status amend_once_answer(struct amend_conn *db, const char *answer,
					      struct amend_error *err) AMEND_CHECK;

/* What was done under the id, without doing or waiting for anything. NOT_FOUND: nothing that is committed. */
AMEND_API enum amend_status amend_once_find(struct amend_conn *db, const char *id,
					    struct amend_once_result *result,
					    struct amend_error *err) AMEND_CHECK;

/*
 * Forgets what was done more than `age` seconds ago, by the database's clock. `n` (may be NULL): how
 * many. Whatever may still repeat an operation must have given up by then. INVALID: a negative age.
 */
AMEND_API enum amend_status amend_once_forget(struct amend_conn *db, int64_t age, int64_t *n,
					      struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

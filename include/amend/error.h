/*
 * Statuses and the error a call fills in.
 *
 * Every call that can fail returns an `enum amend_status` and takes a
 * `struct amend_error *` as its last parameter, never NULL. The struct is the
 * caller's, of fixed size, holds no pointers and needs no release; it works
 * when memory is exhausted. On AMEND_OK its content is unspecified.
 *
 *	struct amend_error err;
 *	if (amend_open("app.db", NULL, &db, &err) != AMEND_OK)
 *		fprintf(stderr, "%s\n", err.text);
 */
#ifndef AMEND_ERROR_H
#define AMEND_ERROR_H

#if defined(__GNUC__)
#define AMEND_API __attribute__((visibility("default")))
#define AMEND_CHECK __attribute__((warn_unused_result))
#define AMEND_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define AMEND_API
#define AMEND_CHECK
#define AMEND_PRINTF(f, a)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What programs branch on. Keep three apart: STALE (what you expected is gone:
 * show it or merge), RETRY (the engine undid the transaction: run the whole
 * unit again), OUTCOME_UNKNOWN (the connection died during COMMIT).
 */
enum amend_status {
	AMEND_OK,
	AMEND_NOT_FOUND,  /* no such record, table, conflict, revision */
	AMEND_STALE,      /* the record is no longer what the caller saw */
	AMEND_EXISTS,     /* it must not exist, and it does */
	AMEND_CONFLICT,   /* the record contradicts the request: keys that point to two records */
	AMEND_LOCKED,     /* held by another: nowait, or the wait limit passed */
	AMEND_CONSTRAINT, /* a bound, or a constraint of the database, would be broken */
	AMEND_INVALID, /* wrong use, or a value the column cannot hold; a token that is not ours */
	AMEND_RETRY,   /* the engine undid the transaction; nothing of it is in */
	AMEND_OUTCOME_UNKNOWN, /* the connection died during COMMIT: it is in, or it is not */
	AMEND_UNREACHABLE, /* no connection to the server, or it broke outside COMMIT: nothing is in */
	AMEND_DENIED,      /* the role, or the file's mode, does not allow it */
	AMEND_UNSUPPORTED, /* this engine, or this build, lacks it */
	AMEND_INTERRUPTED, /* amend_interrupt, or the time limit of the unit */
	AMEND_NO_MEMORY,
	AMEND_INTERNAL, /* a defect in amend, a damaged file, a full disk */
};

struct amend_error {
	enum amend_status status;
	int native;       /* the engine's own code, 0 where there is none */
	char sqlstate[6]; /* ISO 9075 / PostgreSQL appendix A; "" where unknown; set by every driver */
	char text[1018]; /* one line: what, where, expected, found; " (hint: ...)" at its end */
};

/* "OK", "NOT_FOUND", ...: the name without its prefix. Never NULL. */
AMEND_API const char *amend_status_name(enum amend_status status);

/* Fills `err` in and returns `status`. Overlong text is cut at a UTF-8 boundary; newlines become spaces. */
AMEND_API enum amend_status amend_error_set(struct amend_error *err, enum amend_status status,
					    const char *format, ...) AMEND_PRINTF(3, 4);

/* Puts "CONTEXT: " in front of the text; returns err->status. */
AMEND_API enum amend_status amend_error_wrap(struct amend_error *err, const char *format, ...)
	AMEND_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif

#endif

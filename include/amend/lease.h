/*
 * Leases: holds that outlive a transaction, for people and long jobs.
 *
 *	struct amend_lease_name name = {.name = "nightly import"};
 *	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
 *	struct amend_lease lease;
 *
 *	options.wait_ms = 10000;
 *	status = amend_lease_acquire(db, &name, &options, &lease, &err);
 *	...
 *	status = amend_use_lease(db, lease.token, &err);    what this connection writes now carries it
 *	status = amend_lease_renew(db, &name, lease.token, 0, &lease, &err);
 *	status = amend_lease_release(db, &name, lease.token, &err);
 *
 * A lease has one holder: a person (amend_set_author) and a place (a tab, a process), known by
 * the token alone. The same person elsewhere is somebody else. It ends by itself after its time to live, by the
 * database's clock (docs/leases.md), unless it is renewed. Who takes it next gets a higher number, its
 * fence; a write that carries a lease is made only while the lease is its own, which is tested in the
 * write's own transaction: a holder that was frozen and wakes up writes nothing.
 *
 * A lease outlives transactions: inside a unit these calls are INVALID.
 */
#ifndef AMEND_LEASE_H
#define AMEND_LEASE_H

#include <amend/record.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is leased: a plain name, or (name NULL) the record that the key finds. */
struct amend_lease_name {
	const char *name;
	const struct amend_table *table;
	const struct amend_match *key;
};

struct amend_lease_options {
	int64_t ttl_ms;  /* from 100 ms to 366 days */
	int64_t wait_ms; /* how long to wait while another has it; 0: LOCKED at once; -1: no limit */
	const char *place; /* where the holder is; NULL: this machine's name and the process's number */
	/*
	 * Of a record: while it is held, a write to the record that does not carry it is LOCKED, by
	 * whatever way of amend's. Writes that are under way are waited for first. Who creates a record needs no lease.
	 */
	bool mandatory;
};

#define AMEND_LEASE_OPTIONS_INIT      \
	{                             \
		30000, 0, NULL, false \
	}

struct amend_lease {
	char token[80];   /* of acquire and renew: who has it is the holder; else "" */
	int64_t fence;    /* rises with each holder; 0: nobody ever had it */
	int64_t left_ms;  /* until it ends, when the call was answered; 0: it has ended */
	char since[32];   /* UTC, "2026-11-21 21:30:04.123456" */
	char expires[32]; /* likewise: for people; left_ms is what counts */
	char holder[256]; /* cut where they are longer */
	char place[256];
	bool mandatory;
};

/*
 * LOCKED: another has it, and `out` says who (all but the token), or a write of its last holder is
 * under way. NOT_FOUND: there is no such record. Does not queue: of those who wait any may be next.
 */
AMEND_API enum amend_status amend_lease_acquire(struct amend_conn *db,
						const struct amend_lease_name *name,
						const struct amend_lease_options *options,
						struct amend_lease *out,
						struct amend_error *err) AMEND_CHECK;

/* Lives for `ttl_ms` from now (0: as long as before). LOCKED: it is lost, even where nobody has taken it since; `out` says who has it. INVALID: the token is none of this lease. */
AMEND_API enum amend_status amend_lease_renew(struct amend_conn *db,
					      const struct amend_lease_name *name, const char *token,
					      int64_t ttl_ms, struct amend_lease *out,
					      struct amend_error *err) AMEND_CHECK;

/* LOCKED: it was lost before. */
AMEND_API enum amend_status amend_lease_release(struct amend_conn *db,
						const struct amend_lease_name *name,
						const char *token,
						struct amend_error *err) AMEND_CHECK;

/* Takes it from its holder, whose next write is refused; `because` (not empty) is recorded. `out`: who had it. NOT_FOUND: nobody has it. */
AMEND_API enum amend_status amend_lease_break(struct amend_conn *db,
					      const struct amend_lease_name *name,
					      const char *because, struct amend_lease *out,
					      struct amend_error *err) AMEND_CHECK;

/*
 * From now on what this connection writes carries the lease; NULL: no more. Of a record's lease that is each
 * write to that record, of a plain name's each write. A write with a lease that is lost is LOCKED. For one
 * call alone: amend_expect.lease. Several, up to 8, are parted by a blank. INVALID: `token` is none.
 */
AMEND_API enum amend_status amend_use_lease(struct amend_conn *db, const char *token,
					    struct amend_error *err) AMEND_CHECK;

/* A lease that is held. Lives during the callback. */
struct amend_held {
	const char *name;              /* NULL: a record's */
	const char *table;             /* as history names it */
	const struct amend_field *key; /* its primary key */
	size_t n_key;
	struct amend_lease lease;
};

/* The connection may be used inside the callback; what it returns other than OK ends the listing. */
typedef enum amend_status (*amend_held_fn)(const struct amend_held *held, void *context,
					   struct amend_error *err);

/* Those that are held, by name, then by table and record; `name` NULL: all. */
AMEND_API enum amend_status amend_leases(struct amend_conn *db, const struct amend_lease_name *name,
					 amend_held_fn each, void *context,
					 struct amend_error *err) AMEND_CHECK;

/* What became of leases: "acquire", "release", "break". One that ended by itself leaves none. */
struct amend_lease_event {
	const char *name, *table; /* as in amend_held */
	const struct amend_field *key;
	size_t n_key;
	const char *op;
	int64_t fence;           /* of the holder that it is about */
	const char *at;          /* UTC */
	const char *who, *place; /* "break": who broke it, and place is "" */
	const char *why;         /* "" where not given */
};

typedef enum amend_status (*amend_lease_event_fn)(const struct amend_lease_event *event,
						  void *context, struct amend_error *err);

/* Newest first; `name` NULL: of all leases. `limit` 0: all. */
AMEND_API enum amend_status amend_lease_events(struct amend_conn *db,
					       const struct amend_lease_name *name, int64_t limit,
					       amend_lease_event_fn each, void *context,
					       struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

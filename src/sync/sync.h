/*
 * What the parts of a sync share. The order of a run:
 *
 *	input.c      reads every record, keeps what is used in store.c
 *	early.c      reads the table meanwhile, where it will be read as a whole
 *	sieve.c      settles what is plainly unchanged, by reading the table once
 *	             (sieve_scan.c), or by key (sieve_keys.c)
 *	mapping.c    which source column goes to which table column; the keys
 *	create_table.c, detect.c  makes the table where asked
 *	keys.c       canonical keys, their names; which records have the same
 *	match.c      rows by key, bases by row or key
 *	values.c     canonical values of what is not plainly equal
 *	decide.c     the tables of docs/sync.md; conflict.c, base.c help
 *	missing.c    rows that the input lacks; missing_decide.c what becomes of them
 *	unique.c     values that would stand twice
 *	order.c      what must be written before what
 *	first.c      bases of what is as the source says, where the source had none
 *	apply.c      chunk after chunk; chunk.c one of them; segment.c many at once; park.c swaps
 *	report.c     counting and telling
 *	seen.c       which version of a remote document is in
 *
 * "Used" columns are those that take part; an index into them is not one into the table's.
 */
#ifndef AMEND_SYNC_SYNC_H
#define AMEND_SYNC_SYNC_H

#include <amend/sync.h>

#include "ledger/lease.h"
#include "record/road.h"
#include "sync/hash.h"
#include "sync/missing.h"
#include "sync/sieve.h"
#include "sync/slices.h"
#include "sync/source.h"
#include "sync/store.h"

enum {
	AMEND_SYNC_KEYS = 32,    /* at most so many --match */
	AMEND_SYNC_BATCH = 2000, /* records looked up, or made canonical, at a time */
	AMEND_SYNC_CHUNK = 500,  /* records of the first chunk, and at most ... */
	AMEND_SYNC_CHUNK_MOST = 16000,
	AMEND_SYNC_CHUNK_MS = 200, /* ... which ends after this long: what others wait at most */
	AMEND_SYNC_ROUNDS = 20,    /* so often what moved is decided again */
	AMEND_SYNC_REFUSALS = 3, /* a creation that so often meets a row that nobody finds is refused */
};

/* What becomes of a record; the report's counters in order. */
enum amend_fate {
	AMEND_FATE_OPEN,
	AMEND_FATE_CREATED,
	AMEND_FATE_UPDATED,
	AMEND_FATE_MERGED,
	AMEND_FATE_KEPT,
	AMEND_FATE_UNCHANGED,
	AMEND_FATE_CONFLICT,
	AMEND_FATE_SKIPPED,
	AMEND_FATE_REJECTED,
	AMEND_FATE_DUPLICATE,
	AMEND_FATE_STALE, /* of a saved plan */
	AMEND_FATE_MISSING, /* no record of the input: a row, or a base, that none claims (missing.c) */
};

enum {
	AMEND_FOUND_NOT = -1,
	AMEND_FOUND_TIED = -2, /* by a base that a person tied to the row */
};

/* How a chunk left a record. */
enum amend_effect {
	AMEND_EFFECT_NONE,
	AMEND_EFFECT_DONE,
	AMEND_EFFECT_MOVED,   /* row or base is no longer what was seen: decide again */
	AMEND_EFFECT_SKIPPED, /* held by another */
	AMEND_EFFECT_REJECTED,
	AMEND_EFFECT_LEASED, /* another has a mandatory lease of it: it may be written later */
};

/* What is to be written for one record, all in one unit. */
struct amend_action {
	bool create;
	bool remove; /* the row is deleted; `write_base` and `drop_base` go with it */
	bool spared; /* it would be, but another source has a base of it */
	struct amend_put *puts;
	size_t n_puts;

	bool write_base;
	bool drop_base;         /* the base is removed, not written */
	struct amend_base base; /* of a creation: `pk` is known once the row is there */

	const struct amend_conflict_spec *conflict; /* the tables yield one; NULL: none */
	bool store;                                 /* it is not what is stored */
	bool is_new;
	bool settled; /* --on-conflict settled it */
	const char *end; /* the open conflict ends: "settled", "closed"; NULL: it stays, or there is none */
	const char *how;

	uint32_t *parks; /* table columns by which it makes way first */
	uint32_t n_parks;
	bool glued; /* must be in the chunk of what stands before it */

	/* Of the chunk under way. */
	struct amend_row now; /* the row, held and proved to be what was seen; values NULL: none */
	struct amend_row after; /* after the write; values NULL: nothing was written */
	bool parked;
	bool clashed;    /* a unique key refused it */
	bool adds_up;    /* a put is what the source added, on top of what is there */
	bool overflowed; /* and the database did not take that */
	bool refused; /* the database created nothing, and gave no reason: somebody else was first, or it never will */
};

struct amend_record {
	uint64_t index; /* in the store */
	int64_t line;
	int64_t place; /* with `placed`: the primary key of the row that had its first key when it was sieved */
	struct amend_value *values; /* of the used columns; trimmed keys; canonical once decided */
	const bool *absent; /* of the used columns: the source has no such member in this record; NULL: it has all */
	const char *problem;           /* why it is rejected */
	struct amend_record *leader;   /* the record with the same key that it is compared with */
	struct amend_record *next;     /* of the same leader */
	const char *key;               /* the first key that is not blank: {"code":"FR"} */
	const struct amend_row *row;   /* the row it is about, or NULL */
	const struct amend_row *other; /* no row, but its base's row stands, with another key */
	const struct amend_base *seen; /* the base under the row, or under the key; NULL: none */
	const struct amend_conflict_row *open; /* its open conflict */
	struct amend_action *action;           /* NULL: nothing is written */
	const struct amend_plan_entry *entry;  /* of a saved plan */
	const struct amend_stale *stale;       /* of a saved plan: why nothing is */
	size_t mark;                           /* order.c: visited; 1 + position */
	uint32_t missed;                       /* bit k: no row has its key k */
	uint32_t asked;   /* the used column that --adopt must say of, the first */
	int8_t first;     /* the first key that is not blank, or -1 */
	int8_t found_by;  /* a key, or AMEND_FOUND_... */
	bool placed;      /* see `place` */
	bool based;       /* `seen` is this record's: it counts */
	bool sieved;      /* row and base were read by the sieve */
	bool marked;      /* amend marked its row while it was missing */
	bool shared;      /* another record reaches the row by the same later key */
	bool asks;        /* --adopt must say */
	bool skipped;     /* of a missing one: answered no, or held by another */
	bool declined;    /* it waits for one that is not to be written */
	bool refused;     /* missing, and the database refuses the mark: `problem` */
	bool told;        /* counted and reported */
	bool clashed;     /* a unique key refused it once: it was decided again */
	bool overflowed;  /* a sum was not taken: it is a conflict */
	uint8_t refusals; /* so often `refused`, each time committed */
	uint8_t fate;     /* enum amend_fate */
	uint8_t effect;   /* enum amend_effect */
	const struct amend_record *rival; /* shared with, or duplicate of */
};

struct amend_used {
	const char *name; /* the table column's, as given */
	uint32_t source;  /* index of the source column */
	uint32_t column;  /* index of the table column */
	bool update;      /* written on existing records */
	bool key;         /* part of a key: trimmed */
	bool additive;    /* declared: what the source added counts */
	bool noticed;     /* on_notice was told of it */
};

struct amend_sync_key {
	uint32_t n;
	uint32_t *used;                 /* indices of the used columns */
	uint32_t *columns;              /* likewise of the table */
	const struct amend_key *unique; /* NULL: it never creates */
	const char *name;               /* "a,b" */
	const char **heads; /* what stands before each value in its text: {"a": and ,"b": */
};

/* This must be written before that. */
struct amend_edge {
	struct amend_record *before, *after;
	int park; /* the table column by whose parking `before` makes way; -1: it cannot */
};

struct amend_sync {
	struct amend_conn *db;
	struct amend_source *source;
	const struct amend_sync_options *options;
	struct amend_sync_report *report;
	const char *source_name, *table_name;
	struct amend_table *table;
	const char *create_columns; /* what follows the name in: */
	const char *create_sql; /* how the table is made, in the first chunk; NULL: it is there */
	struct amend_run_spec run;
	struct amend_arena lasting; /* what the whole run needs */
	struct amend_arena arena;   /* what is known of the records being decided */

	struct amend_used *used;
	uint32_t n_used;
	int *used_of; /* by table column; -1: not used */
	struct amend_sync_key *keys;
	uint32_t n_keys;
	struct amend_put *on_create;
	size_t n_on_create;

	struct amend_store store; /* every record of the input */
	struct amend_early *
		early; /* the table is being read (early.c), and the connection is its; NULL: not now */
	struct amend_sieve *sieve; /* which of them need no decision; NULL: it was not asked */
	uint64_t n_first;          /* of those, how many get their first base */
	uint64_t passed;           /* records of the store before the slice */
	struct amend_sift *
		sift; /* with slices, while the table is to be read once for all of them; else NULL */
	struct amend_slices *slices; /* the store is too large for memory; NULL: all are decided at once */
	struct amend_record **all; /* those that do, in the input's order, and those that joined them */
	size_t n_all, all_room;
	struct amend_record **list; /* those being decided, in this round */
	size_t n_list, list_room;

	struct amend_put mark;        /* --missing COL=VALUE */
	struct amend_record *missing; /* of fate MISSING; no values, `seen` is the base, `line` below 0 */
	size_t n_missing;
	uint64_t n_based;        /* rows that have this source's base */
	uint64_t n_gone;         /* those of them that are missing for the first time */
	char gone_examples[400]; /* ": {...}, {...}" */
	unsigned n_gone_examples;
	int64_t blind_line; /* the first rejected record that nobody can name; 0: there is none */
	char blind_problem[sizeof(((struct amend_error *)NULL)->text)];
	struct amend_hash leaving; /* primary keys to those of them whose row is deleted */

	struct amend_hash claims; /* primary key to the record that is about that row */
	struct amend_hash held;   /* primary keys whose base belongs to a record in conflict */
	struct amend_conflict_row *open;
	size_t n_open;
	struct amend_hash open_by_key;
	int64_t last_open; /* the newest that was open before the first write */
	struct amend_hash
		open_by_name; /* likewise, as the first key's columns compare it, where they ignore case */

	struct amend_edge *edges;
	size_t n_edges, edges_room;
	struct amend_record **todo; /* in order of writing */
	size_t n_todo;

	/* Phase 1 for `list`: amend_sync_plan, or plan_prove.c's for a saved plan. */
	enum amend_status (*prepare)(struct amend_sync *sync, struct amend_error *err);
	struct amend_plan_writer *plan_writer;
	struct amend_untold *untold; /* --atomic: what is told when it is committed; else NULL */

	enum amend_answer answered; /* plan_confirm.c: ALL or QUIT, once it was; else NO */
	struct amend_hash answers;  /* likewise: what was answered yes, or no */
	uint64_t n_questions;       /* likewise: asked so far, in all rounds ... */
	uint64_t n_to_ask;          /* ... of so many that were found */
	bool asked;                 /* likewise: all have been answered once */
	bool holds;    /* --atomic's unit is open: nobody is asked until it is undone ... */
	bool must_ask; /* ... which is why it was */
	bool baseless; /* there is no base of this source, or was none when rows were read; slice by slice it is asked for each */
	int64_t version; /* the data's when the records were decided ... */
	bool versioned;  /* ... where the engine tells */
	unsigned round;  /* 0: before the first write */
	bool committed;  /* a chunk was, with something in it */
	struct amend_patience patience;
	uint64_t n_leased;     /* left as they are, for others' leases did not end in time ... */
	char leased_why[1024]; /* ... the first of them, and who has it */
	size_t n_unknown;      /* records of the chunk whose COMMIT was not answered */
	size_t n_untold;       /* of the last chunk: it is in, and not all of it could be told */
	bool said;             /* a dry run has told everything */
	bool writing;          /* the thresholds are passed: it is too late to ask */
	int64_t n_asks, n_rejects;
	char examples[600]; /* of what must be asked */
	unsigned n_examples;
	int64_t reject_line; /* the first reject's */
	char reject_problem[sizeof(((struct amend_error *)NULL)->text)];
	int64_t open_delta; /* by how much the open conflicts grow */
	size_t n_open_before;
	unsigned parked; /* values used to park so far */
	int64_t begun;   /* monotonic ms */
};

/* mapping.c */
enum amend_status amend_sync_name_columns(struct amend_sync *sync,
					  struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sync_bind(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

/* "a,b": one more key, of the used columns; and, once the table is known, its columns. */
enum amend_status amend_sync_add_key(struct amend_sync *sync, const char *text,
				     struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sync_bind_key(struct amend_sync *sync, struct amend_sync_key *key,
				      struct amend_error *err) AMEND_CHECK;

/* seen.c: may a remote source be asked for by version, later; and what that depends on, into `asked`, which has the source's part. */
bool amend_seen_may(const struct amend_sync_options *options);
bool amend_seen_asked(const struct amend_sync_options *options, const struct amend_table *table,
		      const void *names, size_t size, unsigned char asked[AMEND_DIGEST_SIZE]);
/* From before the first base is read, with the table known, until the run is over; takes one that was not watched. */
enum amend_status amend_sync_watch(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
void amend_sync_remember(struct amend_sync *sync, bool ended_well);

/* input.c: names are known, the table need not be */
enum amend_status amend_sync_read(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* A record out of its stored bytes. */
enum amend_status amend_sync_load(struct amend_sync *sync, const unsigned char *bytes,
				  uint64_t index, struct amend_record **out,
				  struct amend_error *err) AMEND_CHECK;
/* It is decided in this round too, and belongs to `all`. */
enum amend_status amend_sync_enlist(struct amend_sync *sync, struct amend_record *record,
				    struct amend_error *err) AMEND_CHECK;

/* create_table.c, detect.c */
enum amend_status amend_sync_design(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/*
 * Once it has been made for rehearsal its schema is known, and the statement names
 * it: what the search path finds may change with the ledger's schema.
 */
enum amend_status amend_sync_name_table(struct amend_sync *sync,
					struct amend_error *err) AMEND_CHECK;
/* The type of each used column. */
enum amend_status amend_sync_detect(struct amend_sync *sync, const char **types,
				    struct amend_error *err) AMEND_CHECK;

/* The reason is kept, and told once the record's fate is final */
enum amend_status amend_sync_reject(struct amend_sync *sync, struct amend_record *record,
				    struct amend_error *err, const char *format, ...)
	AMEND_PRINTF(4, 5) AMEND_CHECK;

/* keys.c */
enum amend_status amend_sync_keys(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* A settled record after all: loaded, named and enlisted. */
enum amend_status amend_sync_recall(struct amend_sync *sync, uint64_t index,
				    struct amend_record **out, struct amend_error *err) AMEND_CHECK;
bool amend_sync_in_key(const struct amend_sync *sync, int key, uint32_t used);
/*
 * A column of a key is compared by a rule that only the database knows; and it is not citext's, of which is known here
 * what it may call equal.
 */
bool amend_sync_odd(const struct amend_sync *sync);
bool amend_sync_unknown_rule(const struct amend_sync *sync);
bool amend_sync_is_citext(const struct amend_sync *sync, uint32_t key);
/* Whether the key's columns are compared without ASCII case; without trailing blanks. */
bool amend_sync_folds(const struct amend_sync *sync, uint32_t key);
bool amend_sync_trims(const struct amend_sync *sync, uint32_t key);
/* The text of a key without ASCII case where the key's columns are compared so. Names fold with it: no harm. */
void amend_sync_fold_key(const struct amend_sync *sync, uint32_t key, char *text, size_t size);
/* {"code":"FR"}, from a record's values or from a row's; false when a part is blank. */
bool amend_sync_key_text(struct amend_buffer *buffer, const struct amend_sync *sync, uint32_t key,
			 const struct amend_record *record, const struct amend_value *row);
/* Appends the value as the column's rule compares it, self-delimiting. */
void amend_sync_fold(struct amend_buffer *buffer, const struct amend_column *column,
		     const struct amend_value *value);
bool amend_sync_same_key(const struct amend_column *column, const struct amend_value *a,
			 const struct amend_value *b);
/* `record` has the same first key as `leader`; what follows is decided for all of them at once. */
void amend_sync_duplicate(struct amend_record *leader, struct amend_record *record);
/* Collapses, chooses or rejects. */
enum amend_status amend_sync_settle_duplicates(struct amend_sync *sync,
					       struct amend_error *err) AMEND_CHECK;

/* match.c */
enum amend_status amend_sync_match(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

/* values.c */
/* Tells, once a column, what is stored though it hardly fits. */
void amend_sync_notice(struct amend_sync *sync, const struct amend_record *record, uint32_t used,
		       const struct amend_value *given, const struct amend_value *stored);
/* Storing this where `stored` is would change nothing: told by the bytes alone. */
bool amend_sync_plainly(const struct amend_sync *sync, const struct amend_column *column,
			const struct amend_value *value, const struct amend_value *stored);
/* Whether digits, as they are printed for an integer that it stores, are read as that integer again. */
bool amend_sync_reads_digits(const struct amend_column *column);
enum amend_status amend_sync_values(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

/* base.c */
/* Whether the key, as JSON, names this column; also one whose value is spelled like it does not. */
bool amend_key_names(const char *key, const char *column);
/*
 * INVALID where the source's records are known by a key that is none of this run's: their bases, and which of
 * them were deleted here, would not be found.
 */
enum amend_status amend_sync_known_by(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
#define AMEND_BASE_TIED \
	"\001tied" /* a name in a base's pack: the first key of the row it is tied to */
#define AMEND_BASE_GONE "gone:" /* begins the primary key of a base whose row is gone for good */
/* Whether the base is this record's: its first key agrees with record or row. */
enum amend_status amend_sync_base_agrees(const struct amend_sync *sync,
					 const struct amend_base *base,
					 const struct amend_record *record,
					 const struct amend_value *row, bool *agrees,
					 struct amend_error *err) AMEND_CHECK;
/* Whether the row has these values, by the columns' rules; of none it has not. */
bool amend_sync_row_holds(const struct amend_table *table, const struct amend_field *fields,
			  size_t n, const struct amend_value *row);
/* The base after the run; `take[u]`: used column u has the incoming value now. */
enum amend_status amend_sync_base(struct amend_sync *sync, struct amend_record *record,
				  const bool *take, struct amend_action *action,
				  struct amend_error *err) AMEND_CHECK;
/*
 * A pack in the table's order: `incoming[c]` where it is not NULL, else what
 * `old` (may be NULL) has. `tied` NULL: to no row. For resolve too.
 */
void amend_base_merge(struct amend_buffer *pack, const struct amend_table *table,
		      const struct amend_base *old, const struct amend_value *const *incoming,
		      const char *tied);

/* conflict.c */
enum amend_status amend_sync_open_conflicts(struct amend_sync *sync,
					    struct amend_error *err) AMEND_CHECK;
/* The open conflict under this first key, however it is spelled; NULL: none. */
const struct amend_conflict_row *amend_sync_open_of(const struct amend_sync *sync, const char *key,
						    size_t size);
/* Gives each record of the list its open conflict. */
enum amend_status amend_sync_find_open(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* Whether the column is one of those that wait in it. */
bool amend_sync_in_open(const struct amend_record *record, const char *column);
enum amend_status amend_sync_conflict(struct amend_sync *sync, struct amend_record *record,
				      enum amend_conflict_kind kind,
				      const struct amend_conflict_field *fields, size_t n_fields,
				      const char *note, struct amend_error *err) AMEND_CHECK;
/* The open conflict, if any, is over. */
enum amend_status amend_sync_no_conflict(struct amend_sync *sync, struct amend_record *record,
					 const char *end, const char *how,
					 struct amend_error *err) AMEND_CHECK;
/* Base, current (NULL without a row) and incoming of one used column. */
struct amend_conflict_field amend_sync_sides(const struct amend_sync *sync,
					     const struct amend_record *record,
					     const struct amend_value *row, uint32_t used);
struct amend_action *amend_sync_action(struct amend_sync *sync, struct amend_record *record);

/* decide.c */
enum amend_status amend_sync_decide(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

/* unique.c */
enum amend_status amend_sync_unique(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* The value of a table column once the record is written; NULL pointer: the database gives it. */
const struct amend_value *amend_sync_after(const struct amend_sync *sync,
					   const struct amend_record *record, uint32_t column);
enum amend_status amend_sync_edge(struct amend_sync *sync, struct amend_record *before,
				  struct amend_record *after, int park,
				  struct amend_error *err) AMEND_CHECK;

/* order.c */
bool amend_sync_key_refers_home(const struct amend_table *table,
				const struct amend_foreign_key *key);
/* The columns that the key refers to; false: the table has none of that name. */
bool amend_sync_references(const struct amend_table *table, const struct amend_foreign_key *key,
			   uint32_t *references);
/* A foreign key of the table leads to the table. */
bool amend_sync_refers_to_itself(const struct amend_table *table);
/*
 * Whether the record must be written after one that stands between todo[from] and
 * itself. Creations of parents and children can be made by one statement.
 */
bool amend_sync_waits(const struct amend_sync *sync, const struct amend_record *record, size_t from);
/* Whether one that it must be written after moved, and is decided again: so is the record. */
bool amend_sync_waits_in_vain(const struct amend_sync *sync, const struct amend_record *record);
enum amend_status amend_sync_order(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

/* order.c: likewise parents and children */
enum amend_status amend_sync_note_parents(struct amend_sync *sync,
					  struct amend_error *err) AMEND_CHECK;

/* sync.c: all of phase 1; what must hold before the first write; each slice, or all at once */
enum amend_status amend_sync_plan_all(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sync_check(const struct amend_sync *sync,
				   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sync_for_all(struct amend_sync *sync,
				     enum amend_status (*each)(struct amend_sync *sync,
							       struct amend_error *err),
				     struct amend_error *err) AMEND_CHECK;

/* atomic.c: all that is to be written, in one unit */
enum amend_status amend_sync_atomic(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* How many may be rejected; -1: any number. */
int64_t amend_sync_may_reject(const struct amend_sync_options *options);
/* Keeps what is to be told for when it is in. The first is an amend_show_fn. */
struct amend_untold;
void amend_untold_change(void *context, const struct amend_sync_change *change);
void amend_untold_reject(struct amend_untold *untold, int64_t line, const char *text);

/* sync.c: counts what must be known before the first write; anew: from nothing */
enum amend_status amend_sync_examine(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
void amend_sync_examine_anew(struct amend_sync *sync);

/* plan.c: what must be looked at before the first row is read */
enum amend_status amend_sync_look(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* plan.c: which records are to be decided, once the input is read and the table known */
enum amend_status amend_sync_sift(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* plan.c: all of the above for `list`, after the input is read and the table known */
enum amend_status amend_sync_plan(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

/*
 * plan_write.c: what phase 1 has decided, to options->on_plan. The writer is kept
 * in sync->plan_writer; `add` writes what is in todo, `end` the report's counts.
 */
enum amend_status amend_plan_begin(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_plan_add(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_plan_end(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
void amend_plan_writer_free(struct amend_plan_writer *writer);

/* plan_confirm.c: asks about what is to be written, and leaves out what was answered no */
enum amend_status amend_sync_confirm(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* How many questions there are in what is decided. */
uint64_t amend_sync_questions(const struct amend_sync *sync);

/* sync.c: the report's open conflicts, in the end */
void amend_sync_count_open(struct amend_sync *sync);

/*
 * first.c: a source that has no base yet. A record that is what its row says has nothing but its base to
 * write, which proves itself: it is not taken apart. Those whose base is there after all, or
 * where another source has a say, are enlisted, as if they had only been read.
 */
bool amend_sync_may_settle_firsts(const struct amend_sync *sync);
/* Writes them; or, `*out` not NULL: they are being written beside what the caller now does, and end_firsts is called. */
struct amend_firsts;
enum amend_status amend_sync_begin_firsts(struct amend_sync *sync, struct amend_firsts **out,
					  struct amend_error *err) AMEND_CHECK;
/* Waits, and enlists. `so_far` other than OK comes back, and what is not in stays so. */
enum amend_status amend_sync_end_firsts(struct amend_firsts *firsts, enum amend_status so_far,
					struct amend_error *err) AMEND_CHECK;

/* apply.c: writes what is in todo; between run_begin and run_end, which make its revisions one run */
/* The next chunk, after one of `size` that took so long: as much as others can well wait for. */
size_t amend_sync_next_size(size_t size, int64_t ms);
void amend_sync_run_begin(struct amend_sync *sync);
void amend_sync_run_end(struct amend_sync *sync);
enum amend_status amend_sync_apply(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

/* apply.c: LOCKED where others' leases kept records from being written */
enum amend_status amend_sync_check_leased(const struct amend_sync *sync,
					  struct amend_error *err) AMEND_CHECK;
/* apply.c: a dry run's: what --skip-locked would leave out for a lease */
enum amend_status amend_sync_skip_leased(struct amend_sync *sync,
					 struct amend_error *err) AMEND_CHECK;

/* chunk.c */
struct amend_chunk {
	struct amend_sync *sync;
	size_t from, to; /* of todo; `to` is where it ended */
	size_t limit;    /* at most so many, but what is glued stays together */
	bool careful;    /* a savepoint a record, or what is glued: finds out which one fails */
	bool proven; /* nobody has written since the records were decided: what they saw is what is there */
	bool again;       /* half of a record was done: run it carefully */
	bool complete;    /* all was written: what fails now is COMMIT */
	int64_t revision; /* 0: none */
	struct amend_arena arena;
	struct amend_record *culprit; /* being written */
	struct amend_error why;
	bool others; /* other sources have bases of the table: where this one takes up a row, it holds it */
};
/* Runs it once and commits; the effects of its records are known then. */
enum amend_status amend_sync_chunk(struct amend_chunk *chunk, struct amend_error *err) AMEND_CHECK;
/* The conflict that a record stores, or ends. */
enum amend_status amend_sync_write_conflict(struct amend_chunk *chunk, struct amend_record *record,
					    struct amend_error *err) AMEND_CHECK;
/* Another's lease is in the way of the record: it is left out, for good or for now. */
void amend_sync_bar(struct amend_sync *sync, struct amend_record *record, const char *why);
/* The base that was to be replaced is another by now. */
enum amend_status amend_sync_base_moved(struct amend_chunk *chunk, struct amend_record *record,
					struct amend_error *err) AMEND_CHECK;
/* Whether what failed is one record's fault: a constraint, a value. */
bool amend_sync_isolates(const struct amend_error *err);
/* What the engine stopped at; and all that is in the record's way, where that is more. NULL: no memory. */
const char *amend_sync_reason(struct amend_sync *sync, const struct amend_record *record,
			      const struct amend_error *why);

/*
 * half.c: writes the later half of what is left of todo, from `*middle` on, beside the caller; NULL where it cannot be
 * parted (`*middle` is then the end). `end` waits, soon where it shall `stop`, and returns where the half got to; the
 * chunks that are in have their memory, which the caller releases, as he does `*done`.
 */
struct amend_half;
struct amend_half *amend_half_begin(struct amend_sync *sync, size_t from, size_t size,
				    size_t *middle);
size_t amend_half_end(struct amend_half *half, struct amend_sync *sync, bool stop,
		      struct amend_chunk **done, size_t *n_done);

/* segment.c: where the records that can be written together end; `from` where there is none */
size_t amend_segment_end(const struct amend_chunk *chunk, size_t from);
enum amend_status amend_segment_write(struct amend_chunk *chunk, size_t from, size_t to,
				      struct amend_error *err) AMEND_CHECK;
/* Before records are written: those that wait in vain are moved. */
void amend_segment_skip_vain(struct amend_chunk *chunk, size_t from, size_t to);
/* After it: where others of the table follow what was written, those that come later are held, but not any more what they were. */
void amend_segment_forget_later(struct amend_chunk *chunk, size_t from, size_t to);

/* park.c: makes way for others; and writes the final values of what made way */
enum amend_status amend_sync_park(struct amend_sync *sync, struct amend_record *record,
				  struct amend_arena *arena, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sync_unpark(struct amend_sync *sync, struct amend_record *record,
				    struct amend_arena *arena, struct amend_error *err) AMEND_CHECK;

/* report.c */
typedef void (*amend_show_fn)(void *context, const struct amend_sync_change *change);
/* Its changes, to `each`, which may be none. */
enum amend_status amend_sync_show(struct amend_sync *sync, const struct amend_record *record,
				  amend_show_fn each, void *context,
				  struct amend_error *err) AMEND_CHECK;
/* Counts the record and tells the callbacks; once. */
enum amend_status amend_sync_tell(struct amend_sync *sync, struct amend_record *record,
				  struct amend_error *err) AMEND_CHECK;
/* `total`: of this phase; 0 where it is not known. */
void amend_sync_progress(const struct amend_sync *sync, const char *phase, uint64_t records,
			 uint64_t total);
enum amend_status amend_sync_revision(struct amend_sync *sync, int64_t revision,
				      struct amend_error *err) AMEND_CHECK;

#endif

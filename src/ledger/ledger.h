/*
 * What amend itself remembers, for the layers above: is it installed, the
 * revision of the open unit, changes, bases, conflicts, token keys.
 *
 * Tables (src/ledger/steps.c has them; docs/ledger.md explains them): meta,
 * revision, change, run, base, conflict, token_key. A record is named by the
 * table's `qualified` name and its primary key as JSON text, {"id":42}
 * (amend_pk_text).
 */
#ifndef AMEND_LEDGER_LEDGER_H
#define AMEND_LEDGER_LEDGER_H

#include <amend/ledger.h>

#include "core/pack.h"
#include "sql/conn.h"

/* What this program makes and writes to; steps.c has the steps to it. */
enum { AMEND_LEDGER_VERSION = 10 };

/*
 * The columns of the table in which what is added counts, as `amend guard --additive` has named them, by
 * index; NULL: there are none.
 */
enum amend_status amend_guard_additive(struct amend_conn *db, const struct amend_table *table,
				       struct amend_arena *arena, const bool **out,
				       struct amend_error *err) AMEND_CHECK;

/* Installed, be it an older one that can be read? Asks the database once, then remembers. */
enum amend_status amend_ledger_look(struct amend_conn *db, bool *present,
				    struct amend_error *err) AMEND_CHECK;

/* Installs it where it is missing or old; DENIED says what to hand to the administrator. */
enum amend_status amend_ledger_need(struct amend_conn *db, struct amend_error *err) AMEND_CHECK;

/* The numbers of revisions and changes can be drawn by a statement itself (dialect.next_revision, next_change). The ledger is there. */
bool amend_ledger_numbers(const struct amend_conn *db);

/* INVALID: the table is the ledger's own, whose records take no road but amend's. OK for any other. */
enum amend_status amend_ledger_refuse(const struct amend_conn *db, const struct amend_table *table,
				      struct amend_error *err) AMEND_CHECK;

/* {"id":42}: the record's name in the ledger, from its values in the table's column order. `rowid` where the table has no key, else NULL. */
void amend_pk_text(struct amend_buffer *buffer, const struct amend_table *table,
		   const struct amend_value *values, const struct amend_value *rowid);

/* Who writes: as the application said, else the operating system's user. The ledger has been looked at. */
const char *amend_author_who(struct amend_conn *db);
/* Why, as the application said; "" where it did not. */
const char *amend_author_why(const struct amend_conn *db);

/* ---- revisions: what committed together ---- */

/* The open unit's revision, 0 while it has none. Forgotten when the unit ends or its maker is undone. */
int64_t amend_revision_current(const struct amend_conn *db);

/* The open unit's revision, made if it has none. Inside a unit or transaction, with the ledger there. */
enum amend_status amend_revision_need(struct amend_conn *db, int64_t *id,
				      struct amend_error *err) AMEND_CHECK;

/* A statement has made the open unit's revision by itself (amend_revision_insert): remember it. */
enum amend_status amend_revision_made(struct amend_conn *db, int64_t id,
				      struct amend_error *err) AMEND_CHECK;

/*
 * Appends `INSERT INTO revision (...) SELECT ... FROM source RETURNING id`; `source` "": there is none.
 * `number`: what the source calls the number that it has drawn, and nothing is returned; "": none.
 * Draws the revision's mark: for a statement that is sent, once a revision.
 */
void amend_revision_insert(struct amend_sql *sql, struct amend_conn *db, const char *source,
			   const char *number);

/*
 * A write outside of units is one statement, whose revision nobody learns if the answer is lost: so it bears a mark,
 * and by that it is found out whether it is in. Where the connection is not opened again there is none.
 */
struct amend_mark {
	int64_t number; /* 0: none */
	int64_t peer;   /* the process that may still be at it */
};
/* revision.c */
enum amend_status amend_mark_begin(struct amend_conn *db, struct amend_mark *mark,
				   struct amend_error *err) AMEND_CHECK;
void amend_mark_end(struct amend_conn *db);
/* Whether a revision made now bears one. */
bool amend_marked(const struct amend_conn *db);
/* `err` is OUTCOME_UNKNOWN. OK: it is in, as `*revision`. RETRY: it is not, and never will be. Else it stays unknown. fate.c. */
enum amend_status amend_mark_fate(struct amend_conn *db, const struct amend_mark *mark,
				  int64_t *revision, struct amend_error *err) AMEND_CHECK;

/*
 * Groups the revisions made from now on under a run; 0 ends it. The run's row
 * is made with its first revision or conflict (amend_run_need), never before.
 */
struct amend_run_spec {
	const char *source, *table; /* borrowed while the run lasts */
};
void amend_run_begin(struct amend_conn *db, const struct amend_run_spec *spec);
void amend_run_end(struct amend_conn *db);
/* The same run as another connection's, whose row is committed. */
enum amend_status amend_run_join(struct amend_conn *db, const struct amend_run_spec *spec,
				 int64_t id, struct amend_error *err) AMEND_CHECK;
/* The run's id, its row made if there is none yet; 0 when no run has begun. Inside a unit. */
enum amend_status amend_run_need(struct amend_conn *db, int64_t *id,
				 struct amend_error *err) AMEND_CHECK;
/* The id if its row is made (and committed, or in the open unit), else 0. */
int64_t amend_run_current(const struct amend_conn *db);
/* A run has begun, and has no row yet: the next revision makes it. */
bool amend_run_pending(const struct amend_conn *db);
/* run.c: NOT_FOUND where there is no such run. */
enum amend_status amend_run_known(struct amend_conn *db, int64_t id,
				  struct amend_error *err) AMEND_CHECK;

/* ---- changes: old and new value of each changed field ---- */

struct amend_base;

/* One change to be recorded in the open unit's revision. */
struct amend_change_spec {
	const struct amend_table *table;
	const char *pk;
	const char *was;    /* the primary key before, where this change moves it; else NULL */
	const char *op;     /* "create", "update", "delete" */
	const char *fields; /* {"name":["old","new"]}: amend_fields_text */
	const char *source; /* of the sync whose change it is; else NULL */
	const struct amend_base *base; /* the base that went with it until now; NULL: there was none */
};

/* Appends what change.base holds: what can be restored. */
void amend_change_pack_base(struct amend_buffer *pack, const struct amend_base *base);

/* `*id`: its position in history. */
enum amend_status amend_change_record(struct amend_conn *db, const struct amend_change_spec *spec,
				      int64_t *id, struct amend_error *err) AMEND_CHECK;

/* Many in one trip; their order in history is theirs here. */
enum amend_status amend_changes_record(struct amend_conn *db, const struct amend_change_spec *specs,
				       size_t n, struct amend_error *err) AMEND_CHECK;

/*
 * Tables that record by themselves (amend_table.guard_history): around each write the open unit's
 * revision is handed to their triggers, for what they record to be in it. handover.c.
 */
enum amend_status amend_handover_begin(struct amend_conn *db, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_handover_end(struct amend_conn *db, struct amend_error *err) AMEND_CHECK;
/* The last change that they have recorded in it of this record; 0: none, for nothing was that they cover. */
enum amend_status amend_handover_change(struct amend_conn *db, const struct amend_table *table,
					const char *pk, int64_t *id,
					struct amend_error *err) AMEND_CHECK;
/* Adds `source` and `base` of each to the change that they have recorded of it; the rest is theirs. */
enum amend_status amend_handover_bases(struct amend_conn *db, const struct amend_change_spec *specs,
				       size_t n, struct amend_error *err) AMEND_CHECK;

/* A change in a revision of its own, with an author of its own. */
struct amend_series {
	const char *who, *why, *program; /* "" where not given */
	struct amend_change_spec change; /* `was` is NULL: no key moves */
	int64_t revision;                /* out */
};

/* Many of them in two trips, inside a unit; their order in history is theirs here. They belong to no run. */
enum amend_status amend_series_record(struct amend_conn *db, struct amend_series *series, size_t n,
				      struct amend_error *err) AMEND_CHECK;

/* The JSON of what differs between two rows' values (NULL: there is none); returns how many differ. Generated columns are left out. */
size_t amend_fields_text(struct amend_buffer *buffer, const struct amend_table *table,
			 const struct amend_value *before, const struct amend_value *after);

/* The way back: `typed` as in AMEND_HAS_TYPED_STORAGE (numbers come back as text). In the arena. */
enum amend_status amend_fields_parse(const char *text, bool typed, struct amend_arena *arena,
				     struct amend_change **out, size_t *n,
				     struct amend_error *err) AMEND_CHECK;

/* {"id":42} to fields. */
enum amend_status amend_pk_parse(const char *text, bool typed, struct amend_arena *arena,
				 struct amend_field **out, size_t *n,
				 struct amend_error *err) AMEND_CHECK;

/* ---- bases: what a source said last time ---- */

enum { AMEND_BASE_DIGEST_SIZE = 16 };

struct amend_base {
	const char *source;
	const char *pk;        /* the row's; where it is gone: the one it had */
	const char *first_key; /* JSON of the first key's columns, {"code":"FR"}; "" when it was blank */
	const void *pack;      /* amend_pack of the fields that have a base */
	size_t pack_size;
	unsigned char digest[AMEND_BASE_DIGEST_SIZE]; /* of the pack: amend_base_digest */
};

/* The first half of amend_digest: enough to tell one from another that nobody forges. */
void amend_base_digest(const void *pack, size_t size, unsigned char digest[AMEND_BASE_DIGEST_SIZE]);

/*
 * All by primary key (by_first_key false) or by first key, in few trips; out[i].pack is NULL where
 * there is none. Of several that share a first key, the one whose primary key's text is least. In the arena.
 */
enum amend_status amend_base_find(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool by_first_key,
				  const char *const *keys, size_t n, struct amend_base *out,
				  struct amend_arena *arena, struct amend_error *err) AMEND_CHECK;

/*
 * Whether there is one under each of these primary keys with that first key, which is not blank; what it says
 * is not read: a page of an index tells of many, a page of bases of few.
 */
enum amend_status amend_base_there(struct amend_conn *db, const char *source,
				   const struct amend_table *table, const struct amend_base *bases,
				   size_t n, bool *there, struct amend_error *err) AMEND_CHECK;

/* The sources that may have bases of the table. In the arena. */
enum amend_status amend_base_sources(struct amend_conn *db, const struct amend_table *table,
				     struct amend_arena *arena, const char ***out, size_t *n,
				     struct amend_error *err) AMEND_CHECK;

/*
 * Writes `base` in place of `seen` (NULL: there was none). `*moved`: it is no
 * longer what was seen, and nothing was written. `base` NULL removes it. When the pk or source differs from
 * seen's, the old row goes.
 */
enum amend_status amend_base_write(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_base *seen, const struct amend_base *base,
				   bool *moved, struct amend_error *err) AMEND_CHECK;

/*
 * All bases of the source and table, in no order, each living during the call; `pack` is
 * NULL unless `packs`. None where the ledger is not there.
 */
typedef enum amend_status (*amend_base_fn)(void *context, const struct amend_base *base,
					   struct amend_error *err);
/* Whether the source has certainly none of the table: without reading them. */
enum amend_status amend_base_none(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool *none,
				  struct amend_error *err) AMEND_CHECK;
/* The first key of one that has one, in the arena; NULL: none has. */
enum amend_status amend_base_example(struct amend_conn *db, const char *source,
				     const struct amend_table *table, struct amend_arena *arena,
				     const char **first_key, struct amend_error *err) AMEND_CHECK;
/* How many there are, or `most` if there are more: no more are read. */
enum amend_status amend_base_count(struct amend_conn *db, const char *source,
				   const struct amend_table *table, uint64_t most, uint64_t *n,
				   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_base_scan(struct amend_conn *db, const char *source,
				  const struct amend_table *table, bool packs, amend_base_fn each,
				  void *context, struct amend_error *err) AMEND_CHECK;

/*
 * What is known of all bases of a source and table without reading them: how many there are, and
 * the exclusive or of their codes. Each write of bases adds its difference in the same transaction,
 * as a row of its own, so that writers do not wait for each other.
 */
enum { AMEND_BASE_SALT_SIZE = 16 };
struct amend_base_sum {
	bool known; /* false in what an older ledger has left */
	int64_t n;
	uint64_t code;
};
enum amend_status amend_base_sum_read(struct amend_conn *db, const char *source,
				      const struct amend_table *table, struct amend_base_sum *out,
				      struct amend_error *err) AMEND_CHECK;
/* What the codes of this source and table are made with: no source knows it. `*known` false: there are no bases yet, or no sums. */
enum amend_status amend_base_salt(struct amend_conn *db, const char *source,
				  const struct amend_table *table,
				  unsigned char salt[AMEND_BASE_SALT_SIZE], bool *known,
				  struct amend_error *err) AMEND_CHECK;
/* A base's code: 64 bits of its name, its first key and its digest. */
uint64_t amend_base_code(const unsigned char salt[AMEND_BASE_SALT_SIZE], const char *pk,
			 const char *first_key, const unsigned char digest[AMEND_BASE_DIGEST_SIZE]);

/* One of many bases that are written together; as amend_base_write. */
struct amend_base_bulk {
	const struct amend_base *seen, *base;
	bool moved; /* out */
};
enum amend_status amend_bases_write(struct amend_conn *db, const struct amend_table *table,
				    struct amend_base_bulk *items, size_t n,
				    struct amend_error *err) AMEND_CHECK;

/* ---- seen: which version of a remote document the bases stand for ---- */

/* All bases of a source and table as one sum. Zero: none. */
struct amend_tally {
	int64_t n;
	unsigned char sum[AMEND_DIGEST_SIZE];
	bool broken; /* it says nothing */
};

/* Adds a base (times 1), or takes it away (-1). */
void amend_tally_add(struct amend_tally *tally, const struct amend_base *base, int times);
enum amend_status amend_tally_bases(struct amend_conn *db, const char *source,
				    const struct amend_table *table, struct amend_tally *out,
				    struct amend_error *err) AMEND_CHECK;
bool amend_tally_same(const struct amend_tally *a, const struct amend_tally *b);
/* From begin to end the connection's own writes of bases are reckoned in: what the sum is to be, if nobody else writes any. */
enum amend_status amend_tally_begin(struct amend_conn *db, const struct amend_tally *tally,
				    struct amend_error *err) AMEND_CHECK;
/* False: there was no begin. */
bool amend_tally_end(struct amend_conn *db, struct amend_tally *out);

struct amend_seen_version {
	unsigned char asked[AMEND_DIGEST_SIZE]; /* of what was asked for, and how it was understood */
	const char *etag, *modified;            /* what the server called it; "": nothing */
	struct amend_tally bases;               /* as they are where all of it has been applied */
	const void *names; /* amend_pack: under each table column the source's name for it */
	size_t names_size;
};

/* In the arena. */
enum amend_status amend_seen_find(struct amend_conn *db, const char *source,
				  const struct amend_table *table, struct amend_arena *arena,
				  struct amend_seen_version *out, bool *found,
				  struct amend_error *err) AMEND_CHECK;
/* In place of what was seen before. Inside a unit, with the ledger there. */
enum amend_status amend_seen_store(struct amend_conn *db, const char *source,
				   const struct amend_table *table,
				   const struct amend_seen_version *seen,
				   struct amend_error *err) AMEND_CHECK;

/* ---- conflicts ---- */

/* What a save asked of a field beside its value: it holds for who settles its conflict too. */
struct amend_conflict_terms {
	bool adds;                   /* what incoming adds to base is added to what is there */
	struct amend_value min, max; /* canonical; NULL: open */
};

struct amend_conflict_spec {
	const char *source;
	const struct amend_table *table;
	enum amend_conflict_kind kind;
	const char *pk; /* NULL: no row */
	const char *first_key; /* names the input record; never "" (a later key where the first is blank) */
	const struct amend_conflict_field *fields;
	const struct amend_conflict_terms *terms; /* one a field; NULL: none of any */
	size_t n_fields;
	const char *note;
	int64_t line;
};

/* What is decided of a field of a conflict. It counts while the field's incoming value is the one it was decided against. */
struct amend_conflict_choice {
	struct amend_value current; /* what the database held when it was decided */
	bool chosen;                /* it is decided.. */
	enum amend_take take;       /* ..as this side (NOTHING: a value of its own).. */
	struct amend_value value;   /* ..which is this.. */
	const char *who;            /* ..by whom */
};

/*
 * In a note, ahead of values that somebody had decided and that count no more, for they were decided against
 * what is there no longer: "decided before, and counts no more: name by ann: \"Czechia\"; ...".
 */
#define AMEND_NOTE_DECIDED "decided before, and counts no more: "

/* A conflict as it is stored, in the arena. */
struct amend_conflict_row {
	int64_t id; /* 0: there is none */
	const char *source, *table, *pk, *first_key, *note, *at, *who;
	const char *why;  /* the incoming values came with this reason; "" */
	const char *mark; /* no other conflict has it; "" of one that is older than marks */
	bool as_found;    /* kind, primary key and fields are what they were when it was found */
	const char *state, *taken, *ended_at, *ended_by, *because; /* NULL or "" while it is open */
	enum amend_conflict_kind kind;
	const struct amend_conflict_field *fields;
	const struct amend_conflict_choice *choices; /* one a field */
	const struct amend_conflict_terms *terms;    /* one a field; NULL: none of any */
	size_t n_fields;
	int64_t line;
};

/* The kind of this name; false: there is none. */
bool amend_conflict_kind_of(const char *name, enum amend_conflict_kind *out);

/* The open conflicts of a source and table, all of them (there are few). */
enum amend_status amend_conflict_open(struct amend_conn *db, const char *source,
				      const struct amend_table *table, struct amend_arena *arena,
				      struct amend_conflict_row **out, size_t *n,
				      struct amend_error *err) AMEND_CHECK;

/* Those of these first keys, in few trips: out[i].id is 0 where there is none. In the arena. */
enum amend_status amend_conflict_find(struct amend_conn *db, const char *source,
				      const struct amend_table *table,
				      const char *const *first_keys, size_t n,
				      struct amend_conflict_row *out, struct amend_arena *arena,
				      struct amend_error *err) AMEND_CHECK;

/* The open conflict of this id; NOT_FOUND says what became of it. With `hold` nobody else ends or changes it in the open unit. */
enum amend_status amend_conflict_by_id(struct amend_conn *db, int64_t id, bool hold,
				       struct amend_arena *arena, struct amend_conflict_row *out,
				       struct amend_error *err) AMEND_CHECK;

/* Oldest first: of a table (NULL: any), in a state (NULL: any), or the one of this id (0: any). */
enum amend_status amend_conflict_list(struct amend_conn *db, const char *table, const char *state,
				      int64_t id, struct amend_arena *arena,
				      struct amend_conflict_row **out, size_t *n,
				      struct amend_error *err) AMEND_CHECK;

/*
 * Stores it, or brings the open one of the same source and first key up to date. Source "" is a
 * save of one record: each is a conflict of its own. Inside a unit.
 */
enum amend_status amend_conflict_store(struct amend_conn *db, const struct amend_conflict_spec *spec,
				       int64_t *id, struct amend_error *err) AMEND_CHECK;

/*
 * An open one goes on: with this kind, primary key, fields and choices. `*moved`: it was not open any more.
 */
enum amend_status amend_conflict_change(struct amend_conn *db, const struct amend_conflict_row *row,
					const struct amend_table *table, bool *moved,
					struct amend_error *err) AMEND_CHECK;

/*
 * Ends it: "settled" by `how` (incoming, current, ...) for the author's reason, or "closed" by itself.
 * `*moved`: it was not open any more.
 */
enum amend_status amend_conflict_end(struct amend_conn *db, int64_t id, const char *state,
				     const char *how, bool *moved,
				     struct amend_error *err) AMEND_CHECK;

/* ---- token keys ---- */

enum { AMEND_SECRET_SIZE = 32 };

struct amend_secret {
	uint32_t id;
	int64_t created; /* seconds since 1970 */
	unsigned char bytes[AMEND_SECRET_SIZE];
};

/* The newest key (id 0), or the one of this id; NOT_FOUND. From the key file where there is one. */
enum amend_status amend_secret_get(struct amend_conn *db, uint32_t id, struct amend_secret *out,
				   struct amend_error *err) AMEND_CHECK;

#endif

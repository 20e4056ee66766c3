/*
 * Rows whose record the input lacks. Each becomes a record of fate MISSING, which has no values: `seen`
 * is the base that nobody claims, `key` its first key, `row` the row under it (NULL: gone), `line` is
 * below 0, each its own. What is to be done is its action, carried out like any other's.
 */
#ifndef AMEND_SYNC_MISSING_H
#define AMEND_SYNC_MISSING_H

#include "record/road.h"

struct amend_chunk;
struct amend_record;
struct amend_sync;

/* missing.c, missing_find.c */
/* Whether a record of the input is about the row of this primary key, by any key. */
enum amend_status amend_sync_claimed(struct amend_sync *sync, const char *pk, bool *claimed,
				     struct amend_error *err) AMEND_CHECK;
/* Finds what the input lacks, and joins it to `list`; later rounds decide again what of it is there. */
enum amend_status amend_sync_missing(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* --missing COL=VALUE fits the table. */
enum amend_status amend_sync_bind_mark(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* --max-missing, an empty input, keys that could not be read: INVALID. Before the first write. */
enum amend_status amend_sync_check_missing(const struct amend_sync *sync,
					   struct amend_error *err) AMEND_CHECK;
/* A rejected record of sync->all that nobody can name; once a slice. */
void amend_sync_note_blind(struct amend_sync *sync);
/* How many of so many rows --max-missing lets go; and whether that is exceeded. */
uint64_t amend_sync_may_miss(const struct amend_sync *sync, uint64_t n_based);
bool amend_sync_misses_too_many(const struct amend_sync *sync);
/* The record is one of those that are counted against it: to options->on_missing. */
enum amend_status amend_sync_tell_missing(struct amend_sync *sync, const struct amend_record *record,
					  struct amend_error *err) AMEND_CHECK;
/* The record that deletes this row, or NULL. */
struct amend_record *amend_sync_leaving(const struct amend_sync *sync, const char *pk);
/* The bases of the source that no record claims; the array is the caller's to free, its texts live in the arena. */
enum amend_status amend_sync_unclaimed(struct amend_sync *sync, struct amend_base **out, size_t *n,
				       struct amend_error *err) AMEND_CHECK;

/* Who hears which bases are claimed: by the names that records have, and by rows. */
struct amend_claimer {
	enum amend_status (*key)(void *context, const char *key, size_t size,
				 struct amend_error *err);
	enum amend_status (*pk)(void *context, const char *pk, struct amend_error *err);
	void *context;
};
/* What sync->all is about by name, and what of it was rejected before its row was looked up. */
enum amend_status amend_sync_claim(struct amend_sync *sync, const struct amend_claimer *claimer,
				   struct amend_error *err) AMEND_CHECK;

/*
 * missing_slices.c: the same for an input that is decided slice by slice. In the first pass all that its
 * records claim is noted; then the bases are read, and those that none claims kept in a
 * file. From the second pass on they are decided: first those that have something in common with
 * others, then the rest, a slice at a time.
 */
struct amend_lost;
enum amend_status amend_lost_new(struct amend_sync *sync, struct amend_lost **out,
				 struct amend_error *err) AMEND_CHECK;
void amend_lost_free(struct amend_lost *lost);
/* A slice has been decided in a planning pass. */
enum amend_status amend_lost_note(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* A planning pass is through. `*again`: another is needed. */
enum amend_status amend_lost_next(struct amend_sync *sync, bool *again,
				  struct amend_error *err) AMEND_CHECK;
/* There are some, or conflicts about some, to be decided. */
bool amend_lost_any(const struct amend_lost *lost);
/* A pass begins. */
void amend_lost_rewind(struct amend_sync *sync);
/* All but those apart have been taken; or, planning, so many that the others do not matter. */
bool amend_lost_done(struct amend_sync *sync, bool planning);
/* The next `most`, or all that are apart; of record index `*first` and on, in the arena. */
enum amend_status amend_lost_take(struct amend_sync *sync, bool apart, uint64_t most,
				  struct amend_base **out, uint64_t **which, size_t *n,
				  struct amend_error *err) AMEND_CHECK;
/* This one has something in common with others; true: that is new. */
bool amend_lost_put_apart(struct amend_lost *lost, uint64_t which);
/* A record of the input, or one that is missing, has this open conflict. */
bool amend_lost_attended(const struct amend_lost *lost, const char *first_key);
/* It is missing, and its row stays: then its conflict is over. */
enum amend_status amend_lost_stays(struct amend_lost *lost, const char *first_key,
				   struct amend_error *err) AMEND_CHECK;
/* There are conflicts of kind missing, which may be over. */
bool amend_lost_closes(const struct amend_lost *lost);
/* Under --missing keep: so many are missing that the input may be cut off. */
bool amend_lost_keeps_all(const struct amend_lost *lost);
/* Far more bases than records: they are not kept in memory. */
enum amend_status amend_lost_many(struct amend_sync *sync, bool *many,
				  struct amend_error *err) AMEND_CHECK;

/* Rows by their names in the ledger; n_found[i]: 0 or 1. */
enum amend_status amend_sync_rows_by_pk(struct amend_sync *sync, const char *const *pks, size_t n,
					struct amend_arena *arena, struct amend_row *rows,
					unsigned char *n_found, struct amend_error *err) AMEND_CHECK;

/* missing_decide.c */
#define AMEND_BASE_MARK "\001mark:"    /* + column: the value that marks a missing row ... */
#define AMEND_BASE_BEFORE "\001was:"   /* + column: ... and the one it took the place of */
#define AMEND_BASE_ABSENT "\001absent" /* a person settled that the row stays without its record */
/* What becomes of one missing row. `spared`: another source has a base of it. */
enum amend_status amend_sync_decide_missing(struct amend_sync *sync, struct amend_record *record,
					    bool spared, struct amend_error *err) AMEND_CHECK;
/* The row's value as it was before amend marked it; what was edited since is as it is. */
struct amend_value amend_sync_unmarked(const struct amend_table *table,
				       const struct amend_base *base, const struct amend_value *row,
				       uint32_t column);
bool amend_base_is_marked(const struct amend_base *base);
/* The base of a row that is marked from now on, or that a person lets stay (`absent`). */
void amend_base_mark(struct amend_buffer *pack, const struct amend_base *old, const char *column,
		     const struct amend_value *mark, const struct amend_value *before);
void amend_base_absent(struct amend_buffer *pack, const struct amend_base *old);

/* missing_twins.c */
/* Of several missing rows of one record one has its conflict; once all of a slice are decided. */
enum amend_status amend_sync_settle_twins(struct amend_sync *sync,
					  struct amend_error *err) AMEND_CHECK;
/* They are decided together: for amend_slices_note. */
enum amend_status amend_sync_note_twins(struct amend_sync *sync,
					struct amend_error *err) AMEND_CHECK;

/* missing_order.c */
/* Children are deleted, or turn to another parent, before their parent is deleted. */
enum amend_status amend_sync_order_missing(struct amend_sync *sync,
					   const struct amend_foreign_key *key,
					   struct amend_error *err) AMEND_CHECK;
/* Who turns away from a parent that is deleted, and who is deleted: for amend_slices_note. */
enum amend_status amend_sync_note_leaving(struct amend_sync *sync,
					  struct amend_error *err) AMEND_CHECK;
/* For each primary key: whether a source other than `source` has a base of the row. */
enum amend_status amend_sync_spared(struct amend_conn *db, const char *source,
				    const struct amend_table *table, const char *const *pks,
				    size_t n, struct amend_arena *arena, bool *out,
				    struct amend_error *err) AMEND_CHECK;
/* Deletions of the chunk are still right about other sources' bases; else the record has moved. */
enum amend_status amend_sync_prove_missing(struct amend_chunk *chunk,
					   struct amend_error *err) AMEND_CHECK;
/*
 * Again, of what has been deleted by now and is held: else the unit is undone. With it goes that a source
 * which takes up a row holds it, if there are others: one of the two then sees the other.
 */
enum amend_status amend_sync_prove_deleted(struct amend_chunk *chunk, size_t from, size_t to,
					   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sync_look_for_others(struct amend_chunk *chunk,
					     struct amend_error *err) AMEND_CHECK;

#endif

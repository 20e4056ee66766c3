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
/* The record that deletes this row, or NULL. */
struct amend_record *amend_sync_leaving(const struct amend_sync *sync, const char *pk);
/* The bases of the source that no record claims; the array is the caller's to free, its texts live in the arena. */
enum amend_status amend_sync_unclaimed(struct amend_sync *sync, struct amend_base **out, size_t *n,
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

/* missing_order.c */
/* Children are deleted, or turn to another parent, before their parent is deleted. */
enum amend_status amend_sync_order_missing(struct amend_sync *sync,
					   const struct amend_foreign_key *key,
					   struct amend_error *err) AMEND_CHECK;
/* For each primary key: whether a source other than `source` has a base of the row. */
enum amend_status amend_sync_spared(struct amend_conn *db, const char *source,
				    const struct amend_table *table, const char *const *pks,
				    size_t n, struct amend_arena *arena, bool *out,
				    struct amend_error *err) AMEND_CHECK;
/* Deletions of the chunk are still right about other sources' bases; else the record has moved. */
enum amend_status amend_sync_prove_missing(struct amend_chunk *chunk,
					   struct amend_error *err) AMEND_CHECK;

#endif

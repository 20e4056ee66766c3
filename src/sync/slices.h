/*
 * An input that is too large for memory, decided and written slice by slice.
 * What belongs together across slices (the same key twice, one row reached twice,
 * a unique value that changes hands, parents and children) is put apart, into
 * a slice of its own that goes first.
 */
#ifndef AMEND_SYNC_SLICES_H
#define AMEND_SYNC_SLICES_H

#include "core/buffer.h"
#include "sync/levels.h"

#include <amend/error.h>

struct amend_sync;
struct amend_slices;
struct amend_base;
struct amend_lost;
struct amend_record;
struct amend_row;

/*
 * Settles what is plainly unchanged, finds what belongs together, and decides
 * every slice once, to know before the first write what the run will meet:
 * asks, rejects and examples are in `sync`.
 */
enum amend_status amend_slices_plan(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;
/* Decides each slice again and hands it to `each`; its records are sync->all. */
enum amend_status amend_slices_each(struct amend_sync *sync,
				    enum amend_status (*each)(struct amend_sync *sync,
							      struct amend_error *err),
				    struct amend_error *err) AMEND_CHECK;
void amend_slices_free(struct amend_slices *slices);

/* What looks for missing records, or NULL; also of NULL. */
struct amend_lost *amend_slices_lost(const struct amend_slices *slices);
/* All missing ones have been decided: the slice at hand ends conflicts about others. */
bool amend_slices_over(const struct amend_slices *slices);
/* The missing ones that are decided with the slice at hand: see amend_lost_take. */
enum amend_status amend_slices_missing(struct amend_sync *sync, struct amend_base **out,
				       uint64_t **which, size_t *n,
				       struct amend_error *err) AMEND_CHECK;
/* Some records are apart. */
bool amend_slices_any_apart(const struct amend_slices *slices);

/* How many records needed no decision. */
uint64_t amend_slices_settled(const struct amend_slices *slices);

/* A record of the sieve's has this first key (folded). */
enum amend_status amend_slices_key(struct amend_slices *slices, uint64_t index, const char *key,
				   size_t size, struct amend_error *err) AMEND_CHECK;
/* A record that is settled is about this row. */
enum amend_status amend_slices_settled_row(struct amend_slices *slices, uint64_t index,
					   const char *pk, struct amend_error *err) AMEND_CHECK;
/* Whether a settled record is about the row, or has the key, of this code: asked fast in the order of codes. */
uint64_t amend_slices_row_code(const struct amend_slices *slices, const char *pk);
enum amend_status amend_slices_key_code(struct amend_sync *sync, const char *first_key,
					uint64_t *code, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_slices_has_row(struct amend_slices *slices, uint64_t code, bool *has,
				       struct amend_error *err) AMEND_CHECK;
enum amend_status amend_slices_has_key(struct amend_slices *slices, uint64_t code, bool *has,
				       struct amend_error *err) AMEND_CHECK;
/* Record `index` wants, or has and may give up, this thing: the first bytes tell kinds of things apart. */
enum amend_status amend_slices_note(struct amend_slices *slices, uint64_t index, bool gives,
				    const struct amend_buffer *thing,
				    struct amend_error *err) AMEND_CHECK;
/* The value that ties parents and children: who gives it, and who has it. */
enum amend_status amend_slices_note_kin(struct amend_sync *sync, enum amend_kinship kinship,
					const struct amend_record *record, bool is_parent,
					const struct amend_buffer *value,
					struct amend_error *err) AMEND_CHECK;
/* Whether a record anywhere in the input has this row's first key. */
enum amend_status amend_slices_claims(struct amend_sync *sync, const struct amend_row *row,
				      bool *claimed, struct amend_error *err) AMEND_CHECK;

#endif

/*
 * What needs no decision: records whose row and base are, byte for byte, what
 * the source says (docs/decisions has why equal bytes are enough). They are
 * counted and not looked at again. Everything else, and everything in doubt, is left to be decided.
 */
#ifndef AMEND_SYNC_SIEVE_H
#define AMEND_SYNC_SIEVE_H

#include "record/road.h"

struct amend_sync;
struct amend_sieve;

/*
 * Looks at the next `n` records, of which `first` is the first: they are 0 .. n - 1 in
 * what follows. Rows that were read and differ are kept for who decides. `*out` may be NULL: nothing
 * can be found out like this.
 */
struct amend_store_reader;
enum amend_status amend_sieve_run(struct amend_sync *sync, struct amend_store_reader *reader,
				  uint64_t first, uint64_t n, struct amend_sieve **out,
				  struct amend_error *err) AMEND_CHECK;
void amend_sieve_free(struct amend_sieve *sieve);

/* Which rows are read: those of each key, looked up; all; or all by the server, which hands out those of the keys. */
enum amend_sieve_way { AMEND_SIEVE_BY_KEY, AMEND_SIEVE_BY_SCAN, AMEND_SIEVE_BY_KEYED_SCAN };
/* What costs least for about so many records. */
enum amend_status amend_sieve_choose(struct amend_sync *sync, uint64_t n, enum amend_sieve_way *out,
				     struct amend_error *err) AMEND_CHECK;

/* Whether to read all rows costs no more than to look up those of so many records. */
enum amend_status amend_sieve_whole(struct amend_sync *sync, uint64_t n, bool *out,
				    struct amend_error *err) AMEND_CHECK;
/* Whether records may be compared with rows as they are: there is a table, whose rows count, and its first key is not trimmed. */
bool amend_sieve_may_compare(const struct amend_sync *sync);

/* What the ledger says of the source's bases before the table is read. */
struct amend_sieve_bases {
	bool known; /* their sum: */
	struct amend_base_sum sum;
	unsigned char salt[AMEND_BASE_SALT_SIZE];
};
/* And whether there are some, in sync->baseless. */
enum amend_status amend_sieve_look(struct amend_sync *sync, struct amend_sieve_bases *out,
				   struct amend_error *err) AMEND_CHECK;

/* NULL sieve: nothing was settled. */
bool amend_sieve_settled(const struct amend_sieve *sieve, uint64_t index);
uint64_t amend_sieve_count(const struct amend_sieve *sieve);

/* The row that was found for record `index` by its first key and differs from it, or NULL. */
const struct amend_row *amend_sieve_row(const struct amend_sieve *sieve, uint64_t index);

/* The base of that row with that first key, where it was read too. */
const struct amend_base *amend_sieve_base(const struct amend_sieve *sieve, uint64_t index);

/* The base that settled record `index` is to be given, for it has none; NULL: it has one. */
const struct amend_base *amend_sieve_first_base(const struct amend_sieve *sieve, uint64_t index);

/*
 * Bases whose first key no record has, without their packs, and how many others there are;
 * false: the bases were not all read.
 */
bool amend_sieve_strays(const struct amend_sieve *sieve, const struct amend_base **out, size_t *n,
			uint64_t *n_known);

/* Every one of those has the row that it lies under: it was read. */
bool amend_sieve_strays_stand(const struct amend_sieve *sieve);

/*
 * The settled record that has this first key (as amend_sync_key_text spells it),
 * or -1. It is no longer settled then: the caller decides it with its own.
 */
int64_t amend_sieve_pull_key(struct amend_sieve *sieve, const char *key, size_t size);

/* The settled record that is about this row, or -1. */
int64_t amend_sieve_claims(const struct amend_sync *sync, const struct amend_row *row);
void amend_sieve_pull(struct amend_sieve *sieve, int64_t index);

/* The stored bytes of a record (see sync/store.h). */
const unsigned char *amend_sieve_bytes(const struct amend_sieve *sieve, uint64_t index);
/*
 * The fields of a record that has a first key, until the next is asked for, and the code of this key as the database
 * spells it; NULL: it has none, or is to be decided anyway.
 */
const struct amend_value *amend_sieve_fresh(struct amend_sieve *sieve, uint64_t index,
					    uint64_t *code);
/* Slice by slice: where the one row lies that has its first key (amend_place_of); AMEND_NO_PLACE: there is none such. */
uint64_t amend_sieve_place(const struct amend_sieve *sieve, uint64_t index);

/* Whether a settled record is about the row with this name. */
enum amend_status amend_sieve_has_pk(struct amend_sieve *sieve, const char *pk, size_t size,
				     bool *has, struct amend_error *err) AMEND_CHECK;
/* Whether a settled record has this first key. */
bool amend_sieve_has_key(struct amend_sieve *sieve, const char *key, size_t size);

#endif

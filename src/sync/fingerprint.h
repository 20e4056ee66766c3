/*
 * What the sieve has to know of a row, and can be told by the row alone: so whoever reads it may find it out, in
 * another thread too. Leaves comparing to sieve.c.
 */
#ifndef AMEND_SYNC_FINGERPRINT_H
#define AMEND_SYNC_FINGERPRINT_H

#include <sodium.h>

#include "record/road.h"

struct amend_sync;

struct amend_fingerprint {
	uint64_t code; /* of its first key; 0: that is blank */
	uint64_t name; /* of its primary key */
	/* Of the base that it would have if a record said the same. */
	unsigned char digest[AMEND_BASE_DIGEST_SIZE];
	uint64_t sum; /* what that base adds to the source's sum; 0 without a salt */
};

/* One value, and where its head ends. */
struct amend_fingerprint_part {
	uint32_t column; /* of the table; AMEND_FINGERPRINT_ROWID */
	size_t end;
};
#define AMEND_FINGERPRINT_ROWID UINT32_MAX

/* Takes fingerprints, under a secret of its own. */
struct amend_fingerprinter {
	const struct amend_sync *sync;
	bool folds; /* the first key is compared without ASCII case */
	unsigned char secret[crypto_shorthash_KEYBYTES];
	bool salted;
	unsigned char salt[AMEND_BASE_SALT_SIZE]; /* of the source's bases */
	/* Of the last row: its first key as a base spells it, its primary key, and the pack. */
	struct amend_buffer key, name, pack;
	/* What stands before each value of the primary key, and then of the pack: the same for all rows. */
	struct amend_buffer heads;
	struct amend_fingerprint_part *parts; /* NULL: no memory */
	size_t n_name, n_parts;
};

/* `salt`: NULL where sums are of no use. */
void amend_fingerprinter_begin(struct amend_fingerprinter *printer, const struct amend_sync *sync,
			       const unsigned char *salt);
/* Another that comes to the same. */
void amend_fingerprinter_copy(struct amend_fingerprinter *printer,
			      const struct amend_fingerprinter *from);
void amend_fingerprinter_release(struct amend_fingerprinter *printer);

/* Never 0. */
uint64_t amend_fingerprint_code(const struct amend_fingerprinter *printer, const char *text,
				size_t size);
/* Of a first key; the text may be folded in place. */
uint64_t amend_fingerprint_key_code(const struct amend_fingerprinter *printer, char *text,
				    size_t size);

/* Its code alone; the rest is 0. */
enum amend_status amend_fingerprint_key(struct amend_fingerprinter *printer,
					const struct amend_row *row, struct amend_fingerprint *out,
					struct amend_error *err) AMEND_CHECK;
/* All of it; where the first key is blank nothing but that. */
enum amend_status amend_fingerprint(struct amend_fingerprinter *printer,
				    const struct amend_row *row, struct amend_fingerprint *out,
				    struct amend_error *err) AMEND_CHECK;

#endif

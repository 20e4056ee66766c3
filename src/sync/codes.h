/*
 * Which records of a large input have something in common: codes (keyed hashes,
 * 64 bits) of keys, rows and unique values, kept in a private file by
 * their first bits, so that equal ones are found a part at a time.
 *
 * Two different things with one code are taken for the same. That makes records be
 * looked at together that need not be: it costs a little, and it is never wrong.
 */
#ifndef AMEND_SYNC_CODES_H
#define AMEND_SYNC_CODES_H

#include <amend/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/parts.h"

struct amend_code {
	uint64_t code;
	uint64_t index; /* of the record */
	bool gives;     /* it has the thing now and may give it up; else it wants it */
};

struct amend_codes {
	struct amend_parts parts;
	struct amend_codes_loaded *loaded; /* the part last asked for, sorted */
	size_t n_loaded, loaded_room, loaded_part;
	uint64_t n;
	unsigned char *filter; /* may it be there? NULL: it may */
	uint64_t filter_bits;
	unsigned char secret[16];
};

/*
 * `expected`: about so many will be added; 0: there is no filter, for codes that are asked for in
 * order or not at all. All zero before.
 */
enum amend_status amend_codes_init(struct amend_codes *codes, uint64_t expected,
				   struct amend_error *err) AMEND_CHECK;
void amend_codes_release(struct amend_codes *codes);

/* Never 0. */
uint64_t amend_codes_of(const struct amend_codes *codes, const void *bytes, size_t size);

enum amend_status amend_codes_add(struct amend_codes *codes, const struct amend_code *code,
				  struct amend_error *err) AMEND_CHECK;

/* `each` gets every record that has a code in common with another one, if one of those wants it. */
enum amend_status amend_codes_shared(struct amend_codes *codes,
				     void (*each)(void *context, uint64_t index), void *context,
				     struct amend_error *err) AMEND_CHECK;

/* So that a code of `codes` says the same in `like`, to which nothing has been added. */
void amend_codes_like(struct amend_codes *like, const struct amend_codes *codes);
/* `each` gets every record of either that has a code in common with another one of the other. */
enum amend_status amend_codes_common(struct amend_codes *a, struct amend_codes *b,
				     void (*each)(void *context, uint64_t index), void *context,
				     struct amend_error *err) AMEND_CHECK;

/*
 * `each` gets every two records of which one gives what the other wants. `rivals`: more than one gives it; then
 * it gets the givers in pairs too.
 */
enum amend_status amend_codes_pairs(struct amend_codes *codes,
				    enum amend_status (*each)(void *context, uint64_t giver,
							      uint64_t other, bool rivals,
							      struct amend_error *err),
				    void *context, struct amend_error *err) AMEND_CHECK;

/* All of them, ordered by code; `each` may ask other codes, and whichever it asks it reads but once. */
enum amend_status amend_codes_each(struct amend_codes *codes,
				   enum amend_status (*each)(void *context,
							     const struct amend_code *code,
							     struct amend_error *err),
				   void *context, struct amend_error *err) AMEND_CHECK;

/* Whether a record has the code; `*index` is one of them. */
enum amend_status amend_codes_find(struct amend_codes *codes, uint64_t code, bool *found,
				   uint64_t *index, struct amend_error *err) AMEND_CHECK;

#endif

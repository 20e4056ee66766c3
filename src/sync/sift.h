/*
 * What is plainly unchanged in an input that does not fit memory, found out by reading the table once: records, rows and
 * bases are taken down as codes and digests, and those that have a first key in common are put together a part at a time.
 * Leaves what becomes of the others to slices.c.
 *
 * It says what the sieve would say slice by slice (sync/sieve.h), which looks up the rows of every record, and their
 * bases, all over two indexes. Equal digests stand for equal bytes: 128 bits, under a key that only this run has.
 */
#ifndef AMEND_SYNC_SIFT_H
#define AMEND_SYNC_SIFT_H

#include <amend/value.h>

#include "sync/fingerprint.h"
#include "sync/places.h"

struct amend_sift;

/*
 * `*out` is NULL where the table has many more rows than the input has records, or may not be compared like this, or where nothing
 * would be gained. `placing`: it is of use to know where rows lie.
 */
enum amend_status amend_sift_new(struct amend_sync *sync, bool placing, struct amend_sift **out,
				 struct amend_error *err) AMEND_CHECK;
void amend_sift_free(struct amend_sift *sift);

/* Its codes are those of the records. */
const struct amend_fingerprinter *amend_sift_printer(const struct amend_sift *sift);

/* A record that has a first key: `code` is this key's, as the database spells it; `place` says which, and where in the store. */
enum amend_status amend_sift_record(struct amend_sift *sift, const struct amend_place *place,
				    uint64_t code, const struct amend_value *fields,
				    struct amend_error *err) AMEND_CHECK;

/*
 * Reads the table, and then the bases: `each` gets every record, in no order, and where the one row lies that has its key.
 * `settled`: it is plainly unchanged; `row` is then what amend_slices_row_code says of its row's name.
 */
typedef enum amend_status (*amend_sift_fn)(void *context, const struct amend_place *place,
					   bool settled, uint64_t row, struct amend_error *err);
enum amend_status amend_sift_run(struct amend_sift *sift, amend_sift_fn each, void *context,
				 struct amend_error *err) AMEND_CHECK;

#endif

/*
 * In which order the records of a large input are decided and written: that of the rows they are about, so that
 * what lies together is read and written together. Records without a row come last, in the input's order.
 * Kept in a private file, in sorted pieces that are merged as they are read.
 */
#ifndef AMEND_SYNC_PLACES_H
#define AMEND_SYNC_PLACES_H

#include <amend/error.h>
#include <amend/table.h>

#include <stdint.h>

struct amend_places;
struct amend_row;

struct amend_place {
	uint64_t at; /* where the row lies among others, as far as its name tells; AMEND_NO_PLACE: no row */
	uint64_t index;  /* of the record */
	uint64_t offset; /* of the record in the store's file */
};

#define AMEND_NO_PLACE UINT64_MAX

/* Told by the first column of its primary key: a number, or how a text begins. */
uint64_t amend_place_of(const struct amend_table *table, const struct amend_row *row);

/* The primary key at this place, where the place tells it: a single number. */
bool amend_place_number(const struct amend_table *table, uint64_t at, int64_t *out);

enum amend_status amend_places_new(struct amend_places **out, struct amend_error *err) AMEND_CHECK;
void amend_places_free(struct amend_places *places);

enum amend_status amend_places_add(struct amend_places *places, const struct amend_place *place,
				   struct amend_error *err) AMEND_CHECK;

/* From the first one; nothing is added any more. */
enum amend_status amend_places_rewind(struct amend_places *places,
				      struct amend_error *err) AMEND_CHECK;
/* `found` is false at the end. */
enum amend_status amend_places_next(struct amend_places *places, struct amend_place *out,
				    bool *found, struct amend_error *err) AMEND_CHECK;

#endif

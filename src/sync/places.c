/*
 * Sorts what is too much for memory: pieces of it in memory, merged out of a file.
 * Leaves what is done in this order to slices.c.
 */
#include "sync/places.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/rows.h"
#include "record/road.h"
#include "sync/store.h"

enum {
	PIECE = 1 << 16, /* places sorted in memory at a time */
	AHEAD = 256,     /* of a piece read at a time */
};

/* A sorted part of the file, and what was read of it. */
struct piece {
	uint64_t next, begin, end; /* counted in places */
	struct amend_place *ahead;
	size_t n_ahead, at;
};

struct amend_places {
	struct amend_place *adding; /* PIECE of them, not yet in the file; NULL once it is read */
	size_t n_adding;
	FILE *file;
	struct piece *pieces;
	size_t n_pieces, room;
	size_t *heap; /* the piece with the first place is on top */
	size_t n_heap;
};

uint64_t amend_place_of(const struct amend_table *table, const struct amend_row *row)
{
	const struct amend_value *value = table->n_identity ? &row->values[table->identity[0]]
							    : &row->rowid;
	const unsigned char *bytes = value->as.blob;
	uint64_t at = 0;
	int64_t number;

	if (amend_value_number(value, &number))
		at = (uint64_t)number ^ (uint64_t)1 << 63;
	else if (value->kind == AMEND_TEXT || value->kind == AMEND_BLOB)
		for (size_t i = 0; i < sizeof(at); i++)
			at = at << 8 | (i < value->size ? bytes[i] : 0);
	return at == AMEND_NO_PLACE ? at - 1 : at;
}

bool amend_place_number(const struct amend_table *table, uint64_t at, int64_t *out)
{
	*out = (int64_t)(at ^ (uint64_t)1 << 63);
	return at != AMEND_NO_PLACE && table->n_identity == 1 &&
	       table->columns[table->identity[0]].class_ == AMEND_CLASS_INTEGER;
}

enum amend_status amend_places_new(struct amend_places **out, struct amend_error *err)
{
	struct amend_places *places = calloc(1, sizeof(*places));

	*out = places;
	if (!places)
		return amend_no_memory(err);
	places->adding = malloc(PIECE * sizeof(*places->adding));
	if (!places->adding)
		return amend_no_memory(err);
	places->file = amend_store_file(err);
	return places->file ? AMEND_OK : err->status;
}

void amend_places_free(struct amend_places *places)
{
	if (!places)
		return;
	for (size_t i = 0; i < places->n_pieces; i++)
		free(places->pieces[i].ahead);
	free(places->pieces);
	free(places->heap);
	free(places->adding);
	if (places->file)
		fclose(places->file);
	free(places);
}

static bool is_before(const struct amend_place *a, const struct amend_place *b)
{
	return a->at != b->at ? a->at < b->at : a->index < b->index;
}

static int compare(const void *a, const void *b)
{
	return is_before(b, a) - is_before(a, b);
}

/* What was added becomes a piece. */
static enum amend_status write_piece(struct amend_places *places, struct amend_error *err)
{
	uint64_t begin = places->n_pieces ? places->pieces[places->n_pieces - 1].end : 0;
	size_t n = places->n_adding;

	if (places->n_pieces == places->room) {
		size_t room = places->room ? places->room * 2 : 16;
		struct piece *pieces = realloc(places->pieces, room * sizeof(*pieces));

		if (!pieces)
			return amend_no_memory(err);
		places->pieces = pieces;
		places->room = room;
	}
	qsort(places->adding, n, sizeof(*places->adding), compare);
	if (fwrite(places->adding, sizeof(*places->adding), n, places->file) != n)
		return amend_store_failed("written", err);
	places->pieces[places->n_pieces++] = (struct piece){.begin = begin, .end = begin + n};
	places->n_adding = 0;
	return AMEND_OK;
}

enum amend_status amend_places_add(struct amend_places *places, const struct amend_place *place,
				   struct amend_error *err)
{
	places->adding[places->n_adding++] = *place;
	return places->n_adding == PIECE ? write_piece(places, err) : AMEND_OK;
}

static const struct amend_place *first_of(const struct amend_places *places, size_t heap_at)
{
	const struct piece *piece = &places->pieces[places->heap[heap_at]];

	return &piece->ahead[piece->at];
}

static void sift_down(struct amend_places *places, size_t from)
{
	for (size_t at = from, child; (child = 2 * at + 1) < places->n_heap; at = child) {
		size_t moved = places->heap[at];

		if (child + 1 < places->n_heap &&
		    is_before(first_of(places, child + 1), first_of(places, child)))
			child++;
		if (!is_before(first_of(places, child), first_of(places, at)))
			return;
		places->heap[at] = places->heap[child];
		places->heap[child] = moved;
	}
}

/* Those of a piece that come next; none at its end. */
static enum amend_status read_ahead(struct amend_places *places, struct piece *piece,
				    struct amend_error *err)
{
	uint64_t left = piece->end - piece->next;
	size_t n = left < AHEAD ? (size_t)left : AHEAD, size = n * sizeof(*piece->ahead);
	size_t done = 0;

	piece->at = 0;
	piece->n_ahead = n;
	while (done < size) {
		ssize_t got = pread(fileno(places->file), (char *)piece->ahead + done, size - done,
				    (off_t)(piece->next * sizeof(*piece->ahead) + done));

		if (got <= 0)
			return amend_store_failed("read", err);
		done += (size_t)got;
	}
	piece->next += n;
	return AMEND_OK;
}

/* All pieces are in the file. */
static enum amend_status finish(struct amend_places *places, struct amend_error *err)
{
	enum amend_status status = places->n_adding ? write_piece(places, err) : AMEND_OK;

	if (status == AMEND_OK && fflush(places->file) != 0)
		status = amend_store_failed("written", err);
	if (status != AMEND_OK)
		return status;
	places->heap = malloc((places->n_pieces + 1) * sizeof(*places->heap));
	for (size_t i = 0; i < places->n_pieces; i++) {
		places->pieces[i].ahead = malloc(AHEAD * sizeof(*places->pieces[i].ahead));
		if (!places->pieces[i].ahead)
			return amend_no_memory(err);
	}
	free(places->adding);
	places->adding = NULL;
	return places->heap ? AMEND_OK : amend_no_memory(err);
}

enum amend_status amend_places_rewind(struct amend_places *places, struct amend_error *err)
{
	enum amend_status status = places->adding ? finish(places, err) : AMEND_OK;

	places->n_heap = 0;
	for (size_t i = 0; i < places->n_pieces && status == AMEND_OK; i++) {
		places->pieces[i].next = places->pieces[i].begin;
		status = read_ahead(places, &places->pieces[i], err);
		places->heap[places->n_heap++] = i;
	}
	for (size_t i = places->n_heap / 2; i-- > 0 && status == AMEND_OK;)
		sift_down(places, i);
	return status;
}

enum amend_status amend_places_next(struct amend_places *places, struct amend_place *out,
				    bool *found, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	struct piece *piece;

	*found = places->n_heap > 0;
	if (!*found)
		return AMEND_OK;
	piece = &places->pieces[places->heap[0]];
	*out = piece->ahead[piece->at++];
	if (piece->at == piece->n_ahead)
		status = read_ahead(places, piece, err);
	if (status == AMEND_OK && piece->n_ahead == 0)
		places->heap[0] = places->heap[--places->n_heap];
	if (status == AMEND_OK && places->n_heap > 0)
		sift_down(places, 0);
	return status;
}

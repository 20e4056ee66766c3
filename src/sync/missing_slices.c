/*
 * What a large input lacks: which bases its records claim is known when every slice has been decided once.
 * Leaves what becomes of the rest to missing.c.
 *
 * What is claimed is kept as codes (codes.h): settled records' by slices.c, the others' here. A code
 * that is there by chance hides a missing row for this run; nothing is deleted by chance.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/codes.h"
#include "sync/early.h"
#include "sync/sync.h"

enum {
	CERTAIN = 1 << 22, /* more than this are not looked at when they are too many anyway */
	MANY = 50000,      /* so many more bases than records: slice by slice */
};

/* What is asked of one base; `index` of such a code is 4 * its place in the scan + this. */
enum question { ITS_ROW, ITS_NAME, ITS_FOLDED_NAME };

struct amend_lost {
	struct amend_arena arena;
	struct amend_codes rows, names; /* that records claim which are decided */
	struct amend_hash attended;     /* open conflicts of kind missing, and who has them */
	uint64_t n_clean;               /* records with a row and its base, surely one each */
	bool noted;                     /* the first pass is through */
	bool keeps_all;

	/* while bases are read */
	struct amend_sync *sync;
	struct amend_codes asked;
	uint64_t n_asked, n_known;
	unsigned char *known; /* bits, by place in the scan */
	uint64_t *codes;      /* of rows that none claims, sorted */
	size_t n_codes, codes_room;

	FILE *file; /* each: sizes of its name and its first key, and the two with a NUL */
	uint64_t n, n_unseen;
	unsigned char *apart; /* bits */
	uint64_t n_apart;
	uint64_t next; /* in the file */
	bool closes;   /* there are conflicts of kind missing: they may be over */
};

enum amend_status amend_lost_new(struct amend_sync *sync, struct amend_lost **out,
				 struct amend_error *err)
{
	struct amend_lost *lost = calloc(1, sizeof(*lost));
	enum amend_status status;

	*out = lost;
	if (!lost)
		return amend_no_memory(err);
	lost->sync = sync;
	status = amend_codes_init(&lost->rows, 0, err);
	return status == AMEND_OK ? amend_codes_init(&lost->names, 0, err) : status;
}

/* What was needed to find them. */
static void forget_questions(struct amend_lost *lost)
{
	amend_codes_release(&lost->rows);
	amend_codes_release(&lost->names);
	amend_codes_release(&lost->asked);
	free(lost->known);
	free(lost->codes);
	lost->known = NULL;
	lost->codes = NULL;
}

void amend_lost_free(struct amend_lost *lost)
{
	if (!lost)
		return;
	forget_questions(lost);
	amend_hash_release(&lost->attended);
	amend_arena_release(&lost->arena);
	if (lost->file)
		fclose(lost->file);
	free(lost->apart);
	free(lost);
}

enum amend_status amend_lost_many(struct amend_sync *sync, bool *many, struct amend_error *err)
{
	uint64_t most = sync->store.n + MANY, n = 0;
	enum amend_status status = AMEND_OK;

	if (sync->early)
		n = (uint64_t)amend_early_bases(sync->early)->sum.n;
	else
		status = amend_base_count(sync->db, sync->source_name, sync->table, most + 1, &n,
					  err);
	*many = n > most;
	return status;
}

/* ---- the first pass: what is claimed ---- */

static enum amend_status claim_name(void *context, const char *key, size_t size,
				    struct amend_error *err)
{
	struct amend_lost *lost = context;
	const struct amend_code code = {amend_codes_of(&lost->names, key, size), 0, false};

	return amend_codes_add(&lost->names, &code, err);
}

static enum amend_status claim_row(void *context, const char *pk, struct amend_error *err)
{
	struct amend_lost *lost = context;
	const struct amend_code code = {amend_slices_row_code(lost->sync->slices, pk), 0, false};

	return amend_codes_add(&lost->rows, &code, err);
}

static bool is_clean(const struct amend_record *record)
{
	return record->row && record->based && record->seen && !record->shared &&
	       record->fate != AMEND_FATE_REJECTED && record->fate != AMEND_FATE_DUPLICATE &&
	       strcmp(record->seen->pk, record->row->pk) == 0;
}

static enum amend_status note_claims(struct amend_sync *sync, struct amend_lost *lost,
				     struct amend_error *err)
{
	const struct amend_claimer claimer = {claim_name, claim_row, lost};
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_all && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->all[i];

		lost->n_clean += is_clean(record);
		if (record->row)
			status = claim_row(lost, record->row->pk, err);
	}
	return status == AMEND_OK ? amend_sync_claim(sync, &claimer, err) : status;
}

/* `who`: `lost`, a record of the input; &lost->n, a missing one; &lost->closes, nobody. */
static enum amend_status attend(struct amend_lost *lost, const char *first_key, void *who,
				struct amend_error *err)
{
	const char *key = amend_arena_text(&lost->arena, first_key);
	void **slot = key ? amend_hash_put(&lost->attended, key, strlen(key)) : NULL;

	if (!slot)
		return amend_no_memory(err);
	*slot = who;
	return AMEND_OK;
}

bool amend_lost_attended(const struct amend_lost *lost, const char *first_key)
{
	const void *who = amend_hash_get(&lost->attended, first_key, strlen(first_key));

	/* What is not known arose meanwhile. */
	return who != &lost->closes && !(who == &lost->n && lost->keeps_all);
}

enum amend_status amend_lost_stays(struct amend_lost *lost, const char *first_key,
				   struct amend_error *err)
{
	if (amend_hash_get(&lost->attended, first_key, strlen(first_key)) != &lost->n)
		return AMEND_OK;
	return attend(lost, first_key, &lost->closes, err);
}

enum amend_status amend_lost_note(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_lost *lost = amend_slices_lost(sync->slices);
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_all && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->all[i];

		if (record->fate != AMEND_FATE_MISSING && record->open &&
		    record->open->kind == AMEND_CONFLICT_MISSING)
			status = attend(lost, record->open->first_key, lost, err);
	}
	if (status == AMEND_OK)
		status = amend_sync_note_twins(sync, err);
	if (status != AMEND_OK || lost->noted)
		return status;
	return note_claims(sync, lost, err);
}

/* ---- the bases ---- */

static enum amend_status ask(struct amend_lost *lost, uint64_t code, enum question question,
			     struct amend_error *err)
{
	const struct amend_code asked = {code, lost->n_asked * 4 + question, false};

	return amend_codes_add(&lost->asked, &asked, err);
}

static enum amend_status add_questions(void *context, const struct amend_base *base,
				       struct amend_error *err)
{
	struct amend_lost *lost = context;
	size_t size = strlen(base->first_key);
	uint64_t folded;
	enum amend_status status = ask(lost, amend_slices_row_code(lost->sync->slices, base->pk),
				       ITS_ROW, err);

	if (status == AMEND_OK && size > 0) {
		status = ask(lost, amend_codes_of(&lost->names, base->first_key, size), ITS_NAME,
			     err);
		if (status == AMEND_OK)
			status = amend_slices_key_code(lost->sync, base->first_key, &folded, err);
		if (status == AMEND_OK)
			status = ask(lost, folded, ITS_FOLDED_NAME, err);
	}
	lost->n_asked++;
	return status;
}

static enum amend_status answer(void *context, const struct amend_code *asked,
				struct amend_error *err)
{
	struct amend_lost *lost = context;
	struct amend_slices *slices = lost->sync->slices;
	uint64_t place = asked->index / 4, index;
	enum amend_status status = AMEND_OK;
	bool has = false;

	switch ((enum question)(asked->index % 4)) {
	case ITS_ROW:
		status = amend_slices_has_row(slices, asked->code, &has, err);
		if (status == AMEND_OK && !has)
			status = amend_codes_find(&lost->rows, asked->code, &has, &index, err);
		break;
	case ITS_NAME:
		status = amend_codes_find(&lost->names, asked->code, &has, &index, err);
		break;
	case ITS_FOLDED_NAME:
		status = amend_slices_has_key(slices, asked->code, &has, err);
		break;
	}
	if (!has || lost->known[place / 8] & 1 << place % 8)
		return status;
	lost->known[place / 8] |= (unsigned char)(1 << place % 8);
	lost->n_known++;
	return status;
}

/* They come ordered. */
static enum amend_status keep_code(void *context, const struct amend_code *asked,
				   struct amend_error *err)
{
	struct amend_lost *lost = context;
	uint64_t place = asked->index / 4;

	if (asked->index % 4 != ITS_ROW || lost->known[place / 8] & 1 << place % 8)
		return AMEND_OK;
	if (lost->n_codes == lost->codes_room) {
		size_t room = lost->codes_room ? lost->codes_room * 2 : 1024;
		uint64_t *codes = realloc(lost->codes, room * sizeof(*codes));

		if (!codes)
			return amend_no_memory(err);
		lost->codes = codes;
		lost->codes_room = room;
	}
	lost->codes[lost->n_codes++] = asked->code;
	return AMEND_OK;
}

static int by_code(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static enum amend_status keep_base(void *context, const struct amend_base *base,
				   struct amend_error *err)
{
	struct amend_lost *lost = context;
	const struct amend_conflict_row *open;
	uint64_t code = amend_slices_row_code(lost->sync->slices, base->pk);
	const uint32_t sizes[] = {(uint32_t)strlen(base->pk), (uint32_t)strlen(base->first_key)};

	if (!bsearch(&code, lost->codes, lost->n_codes, sizeof(code), by_code))
		return AMEND_OK;
	if (fwrite(sizes, sizeof(sizes), 1, lost->file) != 1 ||
	    fwrite(base->pk, (size_t)sizes[0] + 1, 1, lost->file) != 1 ||
	    fwrite(base->first_key, (size_t)sizes[1] + 1, 1, lost->file) != 1)
		return amend_store_failed("written", err);
	lost->n++;
	open = amend_sync_open_of(lost->sync, base->first_key, sizes[1]);
	return open && open->kind == AMEND_CONFLICT_MISSING
		       ? attend(lost, open->first_key, &lost->n, err)
		       : AMEND_OK;
}

static bool all_may_go(const struct amend_sync *sync)
{
	return sync->options->max_missing_percent && sync->options->max_missing >= 100;
}

/* Of so many bases, whatever may be said of the rest. */
static bool too_many(const struct amend_sync *sync, uint64_t n, uint64_t n_bases)
{
	if (all_may_go(sync) || n == 0)
		return false;
	return sync->store.n == 0 || n > amend_sync_may_miss(sync, n_bases);
}

/* Each is one record's, and there are no others: nothing is missing. */
static enum amend_status all_are_claimed(struct amend_sync *sync, struct amend_lost *lost,
					 bool *all, struct amend_error *err)
{
	uint64_t clean = lost->n_clean + amend_slices_settled(sync->slices);
	enum amend_status status = amend_base_count(sync->db, sync->source_name, sync->table,
						    clean + 1, &lost->n_known, err);

	*all = lost->n_known == 0 ||
	       (lost->n_known == clean && !amend_slices_any_apart(sync->slices));
	if (!*all)
		lost->n_known = 0;
	return status;
}

static enum amend_status read_bases(struct amend_sync *sync, struct amend_lost *lost,
				    struct amend_error *err)
{
	enum amend_status status = amend_codes_init(&lost->asked, 0, err);
	uint64_t left;

	if (status == AMEND_OK)
		status = amend_base_scan(sync->db, sync->source_name, sync->table, false,
					 add_questions, lost, err);
	if (status != AMEND_OK)
		return status;
	lost->known = calloc(lost->n_asked / 8 + 1, 1);
	if (!lost->known)
		return amend_no_memory(err);
	status = amend_codes_each(&lost->asked, answer, lost, err);
	if (status != AMEND_OK || lost->n_known == lost->n_asked)
		return status;
	left = lost->n_asked - lost->n_known;
	if (left > CERTAIN && too_many(sync, left, lost->n_asked)) {
		lost->n_unseen = left;
		return AMEND_OK;
	}
	status = amend_codes_each(&lost->asked, keep_code, lost, err);
	amend_codes_release(&lost->asked);
	if (status != AMEND_OK)
		return status;
	lost->file = amend_store_file(err);
	if (!lost->file)
		return err->status;
	status = amend_base_scan(sync->db, sync->source_name, sync->table, false, keep_base, lost,
				 err);
	lost->apart = calloc(lost->n / 8 + 1, 1);
	return lost->apart ? status : amend_no_memory(err);
}

/* ---- passes ---- */

static enum amend_status find(struct amend_sync *sync, struct amend_lost *lost,
			      struct amend_error *err)
{
	bool all = false;
	enum amend_status status = amend_sync_open_conflicts(sync, err);

	for (size_t i = 0; i < sync->n_open && status == AMEND_OK; i++) {
		const char *key = sync->open[i].first_key;

		if (sync->open[i].kind != AMEND_CONFLICT_MISSING)
			continue;
		lost->closes = true;
		if (!amend_hash_get(&lost->attended, key, strlen(key)))
			status = attend(lost, key, &lost->closes, err);
	}
	if (status == AMEND_OK)
		status = all_are_claimed(sync, lost, &all, err);
	if (status == AMEND_OK && !all)
		status = read_bases(sync, lost, err);
	forget_questions(lost);
	lost->noted = true;
	return status;
}

enum amend_status amend_lost_next(struct amend_sync *sync, bool *again, struct amend_error *err)
{
	struct amend_lost *lost = amend_slices_lost(sync->slices);
	enum amend_status status = AMEND_OK;

	if (lost->noted) {
		/* Not yet while they are counted; in a pass that keeps all nothing is counted any more. */
		lost->keeps_all = lost->keeps_all || (sync->options->missing == AMEND_MISSING_KEEP &&
						      amend_sync_misses_too_many(sync));
		return AMEND_OK;
	}
	status = find(sync, lost, err);
	amend_lost_rewind(sync);
	*again = amend_lost_any(lost);
	return status;
}

bool amend_lost_any(const struct amend_lost *lost)
{
	return lost->noted && (lost->n > 0 || lost->n_unseen > 0 || lost->closes);
}

bool amend_lost_closes(const struct amend_lost *lost)
{
	return lost->closes;
}

bool amend_lost_keeps_all(const struct amend_lost *lost)
{
	return lost->keeps_all;
}

void amend_lost_rewind(struct amend_sync *sync)
{
	struct amend_lost *lost = amend_slices_lost(sync->slices);

	if (lost->file)
		rewind(lost->file);
	lost->next = 0;
	sync->n_gone = lost->n_unseen;
	sync->n_based = lost->n_known + lost->n_unseen;
	sync->n_gone_examples = 0;
	sync->gone_examples[0] = '\0';
}

bool amend_lost_put_apart(struct amend_lost *lost, uint64_t which)
{
	if (which >= lost->n || lost->apart[which / 8] & 1 << which % 8)
		return false;
	lost->apart[which / 8] |= (unsigned char)(1 << which % 8);
	lost->n_apart++;
	return true;
}

bool amend_lost_done(struct amend_sync *sync, bool planning)
{
	struct amend_lost *lost = amend_slices_lost(sync->slices);
	uint64_t left = lost->n - lost->next;

	if (left > 0 && planning && too_many(sync, sync->n_gone, lost->n_asked)) {
		/* The rest is not looked at: it can only be more. */
		sync->n_gone += left;
		sync->n_based += left;
		lost->next = lost->n;
	}
	return lost->next == lost->n || lost->keeps_all;
}

static enum amend_status read_text(struct amend_lost *lost, struct amend_arena *arena,
				   uint32_t size, const char **out, struct amend_error *err)
{
	char *text = amend_arena_alloc(arena, (size_t)size + 1);

	*out = text;
	if (!text)
		return amend_no_memory(err);
	return fread(text, (size_t)size + 1, 1, lost->file) == 1 ? AMEND_OK
								 : amend_store_failed("read", err);
}

/* The next of the file; NULL out: it is passed over. */
static enum amend_status read_base(struct amend_sync *sync, struct amend_lost *lost,
				   struct amend_base *out, struct amend_error *err)
{
	uint32_t sizes[2];
	enum amend_status status;

	lost->next++;
	if (fread(sizes, sizeof(sizes), 1, lost->file) != 1)
		return amend_store_failed("read", err);
	if (!out) {
		if (fseeko(lost->file, (off_t)sizes[0] + sizes[1] + 2, SEEK_CUR) != 0)
			return amend_store_failed("read", err);
		return AMEND_OK;
	}
	*out = (struct amend_base){.source = sync->source_name};
	status = read_text(lost, &sync->arena, sizes[0], &out->pk, err);
	return status == AMEND_OK ? read_text(lost, &sync->arena, sizes[1], &out->first_key, err)
				  : status;
}

enum amend_status amend_lost_take(struct amend_sync *sync, bool apart, uint64_t most,
				  struct amend_base **out, uint64_t **which, size_t *n,
				  struct amend_error *err)
{
	struct amend_lost *lost = amend_slices_lost(sync->slices);
	uint64_t room = apart ? lost->n_apart : most;
	enum amend_status status = AMEND_OK;

	*n = 0;
	*out = amend_arena_array(&sync->arena, (size_t)room, sizeof(**out));
	*which = amend_arena_array(&sync->arena, (size_t)room, sizeof(**which));
	if (!*out || !*which)
		return amend_no_memory(err);
	while (*n < room && lost->next < lost->n && status == AMEND_OK) {
		bool wanted = !(lost->apart[lost->next / 8] & 1 << lost->next % 8) == !apart;

		(*which)[*n] = lost->next;
		status = read_base(sync, lost, wanted ? &(*out)[*n] : NULL, err);
		*n += wanted;
	}
	if (apart && status == AMEND_OK) {
		if (lost->file)
			rewind(lost->file);
		lost->next = 0;
	}
	return status;
}

/*
 * Rows whose record the input lacks: what --missing makes of them, and how many may be.
 * Leaves finding them to missing_find.c, the verdict on each to missing_decide.c.
 *
 * Each is a record of fate MISSING that goes the way of the others: ordered, written in chunks,
 * proved there, decided again when it moved. `line` is below 0, each its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/table.h"
#include "sync/sync.h"

enum { EXAMPLES = 3 };

enum amend_status amend_sync_bind_mark(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_assign *mark = sync->options->mark;
	struct amend_canon canon;
	enum amend_status status;
	size_t at = 0;

	if (sync->options->missing != AMEND_MISSING_MARK)
		return AMEND_OK;
	if (!mark)
		return amend_error_set(err, AMEND_INVALID,
				       "expected what marks missing records, found nothing");
	status = amend_table_find(sync->table, mark->column, &at, err);
	if (status != AMEND_OK)
		return amend_error_wrap(err, "--missing");
	if (mark->op != AMEND_SET)
		return amend_error_set(err, AMEND_INVALID,
				       "--missing %s: a value is set, not added to", mark->column);
	if (sync->table->columns[at].generated || (int)at == sync->table->version)
		return amend_error_set(err, AMEND_INVALID,
				       "--missing %s: the column has its value from the database",
				       mark->column);
	if (sync->table->columns[at].unsound)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "--missing %s: the text of type %s does not prove equality: "
				       "amend does not write it",
				       mark->column, sync->table->columns[at].type);
	if (sync->used_of[at] >= 0 && sync->used[sync->used_of[at]].key)
		return amend_error_set(err, AMEND_INVALID,
				       "--missing %s: records are matched by this column",
				       mark->column);
	for (size_t i = 0; i < sync->table->n_identity; i++) {
		if (sync->table->identity[i] == at)
			return amend_error_set(err, AMEND_INVALID,
					       "--missing %s: the column identifies the record",
					       mark->column);
	}
	canon = (struct amend_canon){.column = &sync->table->columns[at], .in = mark->value};
	/* One slice after another marks with it. */
	status = amend_canonicalise(sync->db, &canon, 1, &sync->lasting, err);
	if (status == AMEND_OK && canon.problem)
		status = amend_error_set(err, AMEND_INVALID, "--missing %s: %s", mark->column,
					 canon.problem);
	/* The bytes may be the caller's, which outlive the run. */
	sync->mark = (struct amend_put){.column = (uint32_t)at,
					.op = AMEND_SET,
					.value = canon.out,
					.min = amend_null(),
					.max = amend_null()};
	return status;
}

static const struct amend_conflict_row *find_open(const struct amend_sync *sync, const char *key)
{
	return amend_sync_open_of(sync, key, strlen(key));
}

struct amend_record *amend_sync_leaving(const struct amend_sync *sync, const char *pk)
{
	struct amend_record *record = amend_hash_get(&sync->leaving, pk, strlen(pk));

	return record && !record->told && record->action && record->action->remove ? record : NULL;
}

/* ---- how many ---- */

/* What the limit allows, in rows. */
uint64_t amend_sync_may_miss(const struct amend_sync *sync, uint64_t n_based)
{
	uint64_t limit = (uint64_t)sync->options->max_missing;

	if (!sync->options->max_missing_percent)
		return limit;
	/* In two steps: the product may not fit. */
	return n_based / 100 * limit + n_based % 100 * limit / 100;
}

static bool all_may_go(const struct amend_sync *sync)
{
	return sync->options->max_missing_percent && sync->options->max_missing >= 100;
}

bool amend_sync_misses_too_many(const struct amend_sync *sync)
{
	if (sync->n_gone == 0)
		return false;
	return sync->store.n == 0 ? !all_may_go(sync)
				  : sync->n_gone > amend_sync_may_miss(sync, sync->n_based);
}

/* It is about to lose something, and was not found to be missing before. */
static bool newly_gone(const struct amend_record *record)
{
	const struct amend_action *action = record->action;

	if (!record->row || !action ||
	    (record->open && record->open->kind == AMEND_CONFLICT_MISSING))
		return false;
	return action->remove || action->n_puts || action->drop_base ||
	       (action->conflict && action->is_new);
}

enum amend_status amend_sync_tell_missing(struct amend_sync *sync,
					  const struct amend_record *record, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_field *fields = NULL;
	size_t n = 0;
	enum amend_status status = AMEND_OK;

	if (!newly_gone(record))
		return AMEND_OK;
	if (*record->key)
		status = amend_pk_parse(record->key, amend_has(sync->db, AMEND_HAS_TYPED_STORAGE),
					&arena, &fields, &n, err);
	if (status == AMEND_OK)
		sync->options->on_missing(sync->options->context, fields, n);
	amend_arena_release(&arena);
	return status;
}

/* A record that is rejected, and nobody can say which row it is about. */
static const struct amend_record *unreadable(const struct amend_sync *sync)
{
	for (size_t i = 0; i < sync->n_all; i++) {
		if (sync->all[i]->fate == AMEND_FATE_REJECTED && !sync->all[i]->key)
			return sync->all[i];
	}
	return NULL;
}

/* What is kept beyond the slice that holds it. */
void amend_sync_note_blind(struct amend_sync *sync)
{
	const struct amend_record *blind = unreadable(sync);

	if (!blind || (sync->blind_line && sync->blind_line < blind->line))
		return;
	sync->blind_line = blind->line;
	snprintf(sync->blind_problem, sizeof(sync->blind_problem), "%s", blind->problem);
}

static void note_examples(struct amend_sync *sync)
{
	char *text = sync->gone_examples;
	size_t room = sizeof(sync->gone_examples), size = strlen(text);

	for (size_t i = 0; i < sync->n_missing && sync->n_gone_examples < EXAMPLES; i++) {
		if (!newly_gone(&sync->missing[i]))
			continue;
		snprintf(text + size, room - size, "%s%.120s",
			 sync->n_gone_examples++ ? ", " : ": ", sync->missing[i].key);
		size += strlen(text + size);
	}
}

enum amend_status amend_sync_check_missing(const struct amend_sync *sync, struct amend_error *err)
{
	const char *path = sync->source->path, *more;
	uint64_t percent;

	if (sync->options->missing == AMEND_MISSING_KEEP)
		return AMEND_OK;
	if (sync->blind_line)
		return amend_error_set(
			err, AMEND_INVALID,
			"%s%s%lld: %s; nobody can say which record this is, so none can be called "
			"missing; nothing was written (hint: mend the line, or --missing keep)",
			path, sync->source->numbers_records ? ": record " : ":",
			(long long)sync->blind_line, sync->blind_problem);
	if (!amend_sync_misses_too_many(sync))
		return AMEND_OK;
	more = sync->n_gone_examples && sync->n_gone > sync->n_gone_examples ? ", ..." : "";
	percent = (sync->n_gone * 100 + sync->n_based - 1) / sync->n_based;
	if (sync->store.n == 0)
		amend_error_set(
			err, AMEND_INVALID,
			"%s holds no record, and that is not taken as \"all gone\": the %" PRIu64
			" that %s has of it stay; nothing was written%s%s (hint: if they "
			"are to go, --max-missing 100%%)",
			path, sync->n_gone, sync->table->qualified, sync->gone_examples, more);
	else
		amend_error_set(err, AMEND_INVALID,
				"%" PRIu64 " of the %" PRIu64
				" records that %s has of this source are missing from "
				"%s, and --max-missing allows %" PRIu64
				"%s; nothing was written%s%s (hint: if they are to go, --max-missing "
				"%" PRIu64 " or %" PRIu64 "%%)",
				sync->n_gone, sync->n_based, sync->table->qualified, path,
				(uint64_t)sync->options->max_missing,
				sync->options->max_missing_percent ? "%" : "", sync->gone_examples,
				more, sync->n_gone, percent);
	return err->status;
}

/* ---- the list ---- */

/* Under --missing keep a row stays whatever it is: only a base without a row goes. */
static bool stays(const struct amend_sync *sync, bool has_row)
{
	return sync->options->missing == AMEND_MISSING_KEEP && has_row;
}

/* The rows of a batch of bases; those that stay are left out. */
static enum amend_status add_batch(struct amend_sync *sync, const struct amend_base *bases,
				   const uint64_t *which, size_t n, struct amend_error *err)
{
	bool keeps = sync->options->missing == AMEND_MISSING_KEEP;
	struct amend_arena own = AMEND_ARENA_INIT;
	struct amend_arena *arena = keeps ? &own : &sync->arena;
	struct amend_row *rows = amend_arena_array(arena, n, sizeof(*rows));
	unsigned char *n_found = amend_arena_alloc(arena, n);
	const char **pks = amend_arena_array(arena, n, sizeof(*pks));
	enum amend_status status = rows && n_found && pks ? AMEND_OK : amend_no_memory(err);

	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		pks[i] = bases[i].pk;
	/* What stays is only counted. */
	if (status == AMEND_OK && keeps && amend_sieve_strays_stand(sync->sieve))
		memset(n_found, 1, n);
	else if (status == AMEND_OK)
		status = amend_sync_rows_by_pk(sync, pks, n, arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_record *record = &sync->missing[sync->n_missing];
		uint64_t place = which ? which[i] : sync->n_missing;

		sync->n_based += n_found[i] > 0;
		if (stays(sync, n_found[i] > 0)) {
			sync->n_gone++;
			if (sync->slices)
				status = amend_lost_stays(amend_slices_lost(sync->slices),
							  bases[i].first_key, err);
			continue;
		}
		sync->n_missing++;
		*record = (struct amend_record){
			.index = sync->store.n + place,
			.line = -(int64_t)place - 1,
			.key = bases[i].first_key,
			.seen = &bases[i],
			.row = n_found[i] ? &rows[i] : NULL,
			.based = true,
			.first = -1,
			.found_by = AMEND_FOUND_NOT,
			.fate = AMEND_FATE_MISSING,
		};
	}
	amend_arena_release(&own);
	return status;
}

/* The bases whole, and who else has one of these rows. */
static enum amend_status decide_batch(struct amend_sync *sync, struct amend_record **records,
				      size_t n, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	const char **pks = amend_arena_array(&arena, n, sizeof(*pks));
	bool *spared = amend_arena_array(&arena, n, sizeof(*spared));
	struct amend_base *bases = amend_arena_array(&sync->arena, n, sizeof(*bases));
	enum amend_status status = pks && spared && bases ? AMEND_OK : amend_no_memory(err);

	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		pks[i] = records[i]->seen->pk;
	if (status == AMEND_OK)
		status = amend_base_find(sync->db, sync->source_name, sync->table, false, pks, n,
					 bases, &sync->arena, err);
	if (status == AMEND_OK && sync->options->missing == AMEND_MISSING_DELETE)
		status = amend_sync_spared(sync->db, sync->source_name, sync->table, pks, n, &arena,
					   spared, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_record *record = records[i];
		void **slot;

		/* Another run removed it. */
		if (!bases[i].pack)
			continue;
		record->seen = &bases[i];
		record->key = bases[i].first_key;
		record->open = find_open(sync, record->key);
		status = amend_sync_decide_missing(sync, record, spared[i], err);
		if (status != AMEND_OK || !record->action || !record->action->remove)
			continue;
		slot = amend_hash_put(&sync->leaving, record->row->pk, strlen(record->row->pk));
		if (!slot)
			status = amend_no_memory(err);
		else
			*slot = record;
	}
	amend_arena_release(&arena);
	return status;
}

static enum amend_status decide(struct amend_sync *sync, struct amend_record **records, size_t n,
				struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i += AMEND_SYNC_BATCH)
		status = decide_batch(sync, records + i,
				      n - i < AMEND_SYNC_BATCH ? n - i : AMEND_SYNC_BATCH, err);
	return status;
}

/* Conflicts about rows that are not missing any more, by whatever way: they are over. */
static enum amend_status close_others(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_lost *lost = amend_slices_lost(sync->slices);
	bool *held = calloc(sync->n_open + 1, sizeof(*held));
	enum amend_status status = AMEND_OK;

	if (!held)
		return amend_no_memory(err);
	for (size_t i = 0; i < sync->n_all; i++) {
		if (sync->all[i]->open)
			held[sync->all[i]->open - sync->open] = true;
	}
	for (size_t i = 0; i < sync->n_missing; i++) {
		if (sync->missing[i].open)
			held[sync->missing[i].open - sync->open] = true;
	}
	for (size_t i = 0; i < sync->n_open && status == AMEND_OK; i++) {
		struct amend_record *record = &sync->missing[sync->n_missing];

		if (held[i] || sync->open[i].kind != AMEND_CONFLICT_MISSING ||
		    (lost && amend_lost_attended(lost, sync->open[i].first_key)))
			continue;
		sync->n_missing++;
		*record = (struct amend_record){
			.index = UINT64_MAX - i,
			.line = INT64_MIN + (int64_t)i,
			.key = sync->open[i].first_key,
			.open = &sync->open[i],
			.first = -1,
			.found_by = AMEND_FOUND_NOT,
			.fate = AMEND_FATE_MISSING,
		};
		status = amend_sync_no_conflict(sync, record, "closed", "", err);
	}
	free(held);
	return status;
}

static enum amend_status join_list(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_missing && status == AMEND_OK; i++)
		status = amend_sync_enlist(sync, &sync->missing[i], err);
	return status;
}

/* Bases that nobody claims; of a slice, those that come with it. In the arena. */
static enum amend_status find_bases(struct amend_sync *sync, struct amend_base **out,
				    uint64_t **which, size_t *n, struct amend_error *err)
{
	struct amend_base *found = NULL;
	enum amend_status status;

	*which = NULL;
	if (sync->slices)
		return amend_slices_missing(sync, out, which, n, err);
	sync->n_gone = 0;
	sync->n_gone_examples = 0;
	sync->gone_examples[0] = '\0';
	status = amend_sync_unclaimed(sync, &found, n, err);
	*out = amend_arena_array(&sync->arena, *n, sizeof(**out));
	if (status == AMEND_OK && !*out)
		status = amend_no_memory(err);
	if (status == AMEND_OK && *n > 0)
		memcpy(*out, found, *n * sizeof(**out));
	free(found);
	return status;
}

/* An input that lacks so much may be cut off: under --missing keep it says nothing of what is gone. */
static bool keeps_all(const struct amend_sync *sync)
{
	if (sync->options->missing != AMEND_MISSING_KEEP)
		return false;
	return sync->slices ? amend_lost_keeps_all(amend_slices_lost(sync->slices))
			    : amend_sync_misses_too_many(sync);
}

static enum amend_status find_all(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_record **records = NULL;
	struct amend_base *bases;
	uint64_t *which;
	size_t n = 0;
	enum amend_status status = find_bases(sync, &bases, &which, &n, err);

	sync->n_missing = 0;
	if (status != AMEND_OK)
		return status;
	records = calloc(n + 1, sizeof(struct amend_record *));
	sync->missing = amend_arena_array(&sync->arena, n + sync->n_open, sizeof(*sync->missing));
	if (!records || !sync->missing) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < n && status == AMEND_OK; i += AMEND_SYNC_BATCH)
		status = add_batch(sync, bases + i, which ? which + i : NULL,
				   n - i < AMEND_SYNC_BATCH ? n - i : AMEND_SYNC_BATCH, err);
	if (keeps_all(sync))
		sync->n_missing = 0;
	for (size_t i = 0; i < sync->n_missing; i++)
		records[i] = &sync->missing[i];
	if (status == AMEND_OK)
		status = decide(sync, records, sync->n_missing, err);
	if (status == AMEND_OK)
		status = amend_sync_settle_twins(sync, err);
	for (size_t i = 0; i < sync->n_missing && status == AMEND_OK; i++)
		sync->n_gone += newly_gone(&sync->missing[i]);
	note_examples(sync);
	if (status == AMEND_OK && sync->n_open > 0 &&
	    (!sync->slices || amend_slices_over(sync->slices)))
		status = close_others(sync, err);
	if (status == AMEND_OK)
		status = join_list(sync, err);
out:
	free(records);
	return status;
}

/* Those of the list: the row may have changed, or a record may be about it by now. */
static enum amend_status find_again(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_record **records = calloc(sync->n_list + 1, sizeof(struct amend_record *));
	const char **pks = calloc(sync->n_list + 1, sizeof(*pks));
	enum amend_status status = AMEND_OK;
	struct amend_row *rows;
	unsigned char *n_found;
	size_t n = 0;

	if (!records || !pks) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];
		bool claimed = true;

		if (record->fate == AMEND_FATE_MISSING && record->seen)
			status = amend_sync_claimed(sync, record->seen->pk, &claimed, err);
		if (claimed)
			continue;
		pks[n] = record->seen->pk;
		records[n++] = record;
	}
	if (n == 0 || status != AMEND_OK)
		goto out;
	rows = amend_arena_array(&sync->arena, n, sizeof(*rows));
	n_found = amend_arena_alloc(&sync->arena, n);
	if (!rows || !n_found) {
		status = amend_no_memory(err);
		goto out;
	}
	status = amend_sync_rows_by_pk(sync, pks, n, &sync->arena, rows, n_found, err);
	for (size_t i = 0; i < n; i++)
		records[i]->row = n_found[i] ? &rows[i] : NULL;
	if (status == AMEND_OK)
		status = decide(sync, records, n, err);
	if (status == AMEND_OK)
		status = amend_sync_settle_twins(sync, err);
out:
	free(records);
	free(pks);
	return status;
}

enum amend_status amend_sync_missing(struct amend_sync *sync, struct amend_error *err)
{
	amend_hash_release(&sync->leaving);
	if (!sync->slices && sync->round == 0)
		amend_sync_note_blind(sync);
	return sync->round == 0 ? find_all(sync, err) : find_again(sync, err);
}

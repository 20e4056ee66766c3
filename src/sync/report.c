/*
 * Counts what became of each record, and tells the caller.
 * Leaves when that is final to apply.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/plan.h"

void amend_sync_progress(const struct amend_sync *sync, const char *phase, uint64_t records,
			 uint64_t total)
{
	const struct amend_input *input = sync->source ? sync->source->input : NULL;
	struct amend_progress progress = {.phase = phase, .records = records, .total = total};

	if (!sync->options->on_progress)
		return;
	/* Of the whole input, not of the slice. */
	if (sync->slices && sync->store.n > 0 && strcmp(phase, "read") != 0) {
		progress.records += sync->passed;
		progress.total = sync->store.n;
	}
	if (input && strcmp(phase, "read") == 0) {
		progress.bytes = input->taken;
		progress.size = input->size;
	}
	sync->options->on_progress(sync->options->context, &progress);
}

/* Not one of the input's records: apart from their sum. */
static void count_missing(struct amend_sync_report *report, const struct amend_record *record)
{
	const struct amend_action *action = record->action;

	report->missing_skipped += record->skipped;
	report->missing_rejected += record->refused;
	if (!action)
		return;
	report->missing_refused += action->conflict && record->problem;
	report->deleted += action->remove;
	report->marked += action->n_puts > 0;
	report->missing_conflicts += action->conflict != NULL;
}

static void count(struct amend_sync *sync, const struct amend_record *record)
{
	struct amend_sync_report *report = sync->report;
	const struct amend_action *action = record->action;

	report->read += record->fate != AMEND_FATE_MISSING;
	switch ((enum amend_fate)record->fate) {
	case AMEND_FATE_OPEN:
		break;
	case AMEND_FATE_CREATED:
		report->created++;
		break;
	case AMEND_FATE_UPDATED:
		report->updated++;
		break;
	case AMEND_FATE_MERGED:
		report->merged++;
		break;
	case AMEND_FATE_KEPT:
		report->kept++;
		break;
	case AMEND_FATE_UNCHANGED:
		report->unchanged++;
		break;
	case AMEND_FATE_CONFLICT:
		report->conflicts++;
		break;
	case AMEND_FATE_SKIPPED:
		report->skipped++;
		return;
	case AMEND_FATE_REJECTED:
		report->rejected++;
		return;
	case AMEND_FATE_DUPLICATE:
		report->duplicates++;
		return;
	case AMEND_FATE_STALE:
		report->stale++;
		return;
	case AMEND_FATE_MISSING:
		count_missing(report, record);
		break;
	}
	if (!action)
		return;
	report->settled += action->settled;
	report->new_conflicts += action->conflict && action->is_new;
	/* Stored under another key than before, it ends and begins: together nothing. */
	if (action->end)
		sync->open_delta--;
	if (action->conflict && (!record->open || action->end))
		sync->open_delta++;
}

/* The first key that is not blank, as fields; of a missing record, what its base is called. */
static enum amend_status name_key(struct amend_sync *sync, const struct amend_record *record,
				  struct amend_arena *arena, struct amend_sync_change *change,
				  struct amend_error *err)
{
	const struct amend_sync_key *key;
	struct amend_field *fields;

	if (record->fate == AMEND_FATE_MISSING || (record->entry && record->entry->missing)) {
		enum amend_status status = AMEND_OK;

		fields = NULL;
		if (*record->key)
			status = amend_pk_parse(record->key,
						amend_has(sync->db, AMEND_HAS_TYPED_STORAGE), arena,
						&fields, &change->n_key, err);
		change->key = fields;
		return status;
	}
	key = &sync->keys[record->first];
	fields = amend_arena_array(arena, key->n, sizeof(*fields));
	if (!fields)
		return amend_no_memory(err);
	change->key = fields;
	change->n_key = key->n;
	for (uint32_t i = 0; i < key->n; i++) {
		fields[i].column = sync->table->columns[key->columns[i]].name;
		fields[i].value = record->values[key->used[i]];
	}
	return AMEND_OK;
}

/* The changed fields: as the database has them now, or, before it is written, as it would be told. */
static size_t changed_fields(const struct amend_sync *sync, const struct amend_record *record,
			     struct amend_conflict_field *fields)
{
	const struct amend_action *action = record->action;
	const struct amend_value *before = record->row ? record->row->values : NULL;
	size_t n = 0;

	for (size_t i = 0; action->remove && before && i < sync->table->n_columns; i++) {
		if (before[i].kind != AMEND_NULL)
			fields[n++] = (struct amend_conflict_field){
				.column = sync->table->columns[i].name,
				.current = before[i],
				.incoming = amend_null(),
			};
	}
	for (size_t i = 0; action->after.values && i < sync->table->n_columns; i++) {
		const struct amend_value old = before ? before[i] : amend_null();

		if (!amend_value_equal(&old, &action->after.values[i]))
			fields[n++] = (struct amend_conflict_field){
				.column = sync->table->columns[i].name,
				.current = old,
				.incoming = action->after.values[i],
			};
	}
	for (size_t i = 0; !action->after.values && i < action->n_puts; i++) {
		uint32_t column = action->puts[i].column;
		const struct amend_value old = before ? before[column] : amend_null();

		if (!amend_value_equal(&old, &action->puts[i].value))
			fields[n++] = (struct amend_conflict_field){
				.column = sync->table->columns[column].name,
				.current = old,
				.incoming = action->puts[i].value,
			};
	}
	return n;
}

enum amend_status amend_sync_show(struct amend_sync *sync, const struct amend_record *record,
				  amend_show_fn each, void *context, struct amend_error *err)
{
	const struct amend_action *action = record->action;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_conflict_field *fields = calloc(
		sync->table->n_columns + (action ? action->n_puts : 0), sizeof(*fields));
	struct amend_sync_change change = {.line = record->line > 0 ? record->line : 0,
					   .table = sync->table};
	enum amend_status status = name_key(sync, record, &arena, &change, err);

	if (status != AMEND_OK)
		goto out;
	if (!fields) {
		status = amend_no_memory(err);
		goto out;
	}
	if (record->stale) {
		change.op = "stale";
		change.fields = record->stale->fields;
		change.n_fields = record->stale->n_fields;
		change.note = record->stale->note;
		each(context, &change);
		goto out;
	}
	if (!action)
		goto out;
	if (action->create || action->n_puts || action->remove) {
		change.op = action->create ? "create" : action->remove ? "delete" : "update";
		change.fields = fields;
		change.n_fields = changed_fields(sync, record, fields);
		each(context, &change);
	}
	if (action->conflict) {
		change.op = "conflict";
		change.fields = action->conflict->fields;
		change.n_fields = action->conflict->n_fields;
		change.kind = amend_conflict_kind_name(action->conflict->kind);
		change.note = action->conflict->note;
		each(context, &change);
	}
out:
	amend_arena_release(&arena);
	free(fields);
	return status;
}

static void tell_reject(struct amend_sync *sync, const struct amend_record *record)
{
	int64_t line = record->line > 0 ? record->line : 0;

	if (sync->untold)
		amend_untold_reject(sync->untold, line, record->problem);
	else
		sync->options->on_reject(sync->options->context, line, record->problem);
}

enum amend_status amend_sync_tell(struct amend_sync *sync, struct amend_record *record,
				  struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;

	if (record->told)
		return AMEND_OK;
	record->told = true;
	count(sync, record);
	if ((record->fate == AMEND_FATE_REJECTED || record->refused) && options->on_reject)
		tell_reject(sync, record);
	if (record->fate == AMEND_FATE_REJECTED || record->fate == AMEND_FATE_SKIPPED ||
	    record->fate == AMEND_FATE_DUPLICATE || (!record->action && !record->stale) ||
	    !options->on_change)
		return AMEND_OK;
	return sync->untold
		       ? amend_sync_show(sync, record, amend_untold_change, sync->untold, err)
		       : amend_sync_show(sync, record, options->on_change, options->context, err);
}

enum amend_status amend_sync_revision(struct amend_sync *sync, int64_t revision,
				      struct amend_error *err)
{
	struct amend_sync_report *report = sync->report;
	int64_t *revisions;

	/* Chunks of one unit have one. */
	if (!revision ||
	    (report->n_revisions > 0 && report->revisions[report->n_revisions - 1] == revision))
		return AMEND_OK;
	revisions = realloc(report->revisions, (report->n_revisions + 1) * sizeof(*revisions));
	if (!revisions)
		return amend_no_memory(err);
	revisions[report->n_revisions++] = revision;
	report->revisions = revisions;
	return AMEND_OK;
}

void amend_sync_report_release(struct amend_sync_report *report)
{
	free(report->revisions);
	report->revisions = NULL;
	report->n_revisions = 0;
}

/*
 * amend_resolve: the values that a person chose, as a revision; the base becomes
 * what the source said; the conflict is over, or goes on with what is decided of it. All in one unit.
 * Leaves finding conflicts to the sync, and the parts of settling one to resolve_*.c.
 */
#include <string.h>

#include "ledger/operation.h"
#include "record/result.h"
#include "record/violations.h"
#include "sync/resolve.h"

static const struct amend_lock for_update = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

/* By the row, or where it bears another name by the record. */
static enum amend_status find_base(struct amend_conn *db, const struct amend_settlement *s,
				   const char *pk, struct amend_base **out, struct amend_error *err)
{
	enum amend_status status = amend_settle_find_base(db, s, false, pk, out, err);

	if (status == AMEND_OK && !*out)
		status = amend_settle_find_base(db, s, true, s->conflict.first_key, out, err);
	return status;
}

enum amend_status amend_settle_row(struct amend_conn *db, struct amend_settlement *s,
				   struct amend_row *row, struct amend_error *err)
{
	struct amend_base *seen = NULL;
	struct amend_value old_tie;
	const char *tied = NULL;
	enum amend_status status = amend_settle_decide(db, s, row->values, err);
	bool ours = false;

	if (status != AMEND_OK || s->waits != AMEND_OK)
		return status;
	if (!amend_settle_synced(s))
		return amend_settle_write_fields(db, s, NULL, row, err);
	status = find_base(db, s, row->pk, &seen, err);
	if (status == AMEND_OK)
		status = amend_settle_base_agrees(db, s, seen, row->values, &ours, err);
	if (status == AMEND_OK)
		status = amend_settle_write_fields(db, s, seen, row, err);
	if (status == AMEND_OK &&
	    (s->conflict.kind == AMEND_CONFLICT_IDENTITY ||
	     (seen && amend_pack_find(seen->pack, seen->pack_size, AMEND_BASE_TIED, &old_tie)))) {
		status = amend_settle_key_now(s, row->values, &tied, err);
		if (status == AMEND_OK && tied && strcmp(tied, s->conflict.first_key) == 0)
			tied = NULL;
	}
	return status == AMEND_OK ? amend_settle_write_base(db, s, seen, ours, row->pk, tied, err)
				  : status;
}

static const char *side(enum amend_take take)
{
	switch (take) {
	case AMEND_TAKE_NOTHING:
		break;
	case AMEND_TAKE_CURRENT:
		return "current";
	case AMEND_TAKE_INCOMING:
		return "incoming";
	case AMEND_TAKE_BASE:
		return "base";
	}
	return "values";
}

/* One side for all fields, or values. */
static const char *how(const struct amend_settlement *s)
{
	enum amend_take take = s->how->take;
	bool any = false;

	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		const struct amend_conflict_choice *choice = &s->conflict.choices[i];

		if (!choice->chosen)
			continue;
		if (any && choice->take != take)
			return "values";
		take = choice->take;
		any = true;
	}
	for (size_t i = 0; i < s->how->n_decisions; i++) {
		if (s->how->decisions[i].take != take)
			return "values";
	}
	return side(take);
}

/* What was decided and counts no more stays behind it. */
static enum amend_status set_note(struct amend_settlement *s, const char *text,
				  struct amend_error *err)
{
	const char *decided = strstr(s->conflict.note, AMEND_NOTE_DECIDED);
	const char *note = decided ? amend_arena_printf(s->arena, "%s%s%s", text, *text ? "; " : "",
							decided)
				   : text;

	if (!note)
		return amend_no_memory(err);
	s->conflict.note = note;
	return AMEND_OK;
}

/* What a file decides of a record that is not there may have been decided when it was. That the source moved is no such sign. */
static bool seen_gone(const struct amend_settlement *s)
{
	for (size_t i = 0; i < s->how->n_decisions; i++) {
		if (s->how->decisions[i].unseen)
			return false;
	}
	return true;
}

static enum amend_status say_gone(struct amend_settlement *s, struct amend_error *err)
{
	return amend_settle_stale(s, NULL, "the record was deleted since; nothing was written",
				  ": --take incoming brings it back, --take current leaves it so",
				  err);
}

/* It has no record any more: what was decided of one is void, except that it may stay as it is. */
static enum amend_status gone(struct amend_conn *db, struct amend_settlement *s,
			      struct amend_error *err)
{
	struct amend_conflict_field *fields = amend_arena_array(s->arena, s->conflict.n_fields,
								sizeof(*fields));
	enum amend_status status;

	if (!fields)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		fields[i] = s->conflict.fields[i];
		fields[i].current = amend_null();
	}
	s->conflict.kind = AMEND_CONFLICT_DELETED;
	s->conflict.fields = fields;
	status = set_note(s, "deleted since the conflict was found", err);
	if (status == AMEND_OK)
		status = amend_settle_void(s, err);
	if (status != AMEND_OK)
		return status;
	if ((s->shown && seen_gone(s)) ||
	    (s->how->take == AMEND_TAKE_CURRENT && s->how->n_decisions == 0))
		return amend_settle_absent(db, s, err);
	return say_gone(s, err);
}

/* The row under this primary key bears another key, and nobody has said that it is this record all the same. */
static enum amend_status is_strange(struct amend_conn *db, const struct amend_settlement *s,
				    const struct amend_row *row, bool *strange,
				    struct amend_error *err)
{
	struct amend_base *seen = NULL;
	struct amend_value tied;
	const char *key;
	enum amend_status status = amend_settle_key_now(s, row->values, &key, err);

	*strange = false;
	if (status != AMEND_OK || *key == '\0' || strcmp(key, s->conflict.first_key) == 0)
		return status;
	for (size_t i = 0; i < s->n_key && !*strange; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		*strange = at >= 0 && !amend_sync_same_key(&s->table->columns[at], &row->values[at],
							   &s->key[i].value);
	}
	if (!*strange)
		return AMEND_OK;
	status = amend_settle_find_base(db, s, false, row->pk, &seen, err);
	if (seen && amend_pack_find(seen->pack, seen->pack_size, AMEND_BASE_TIED, &tied) &&
	    tied.kind == AMEND_TEXT && tied.size == strlen(key) &&
	    memcmp(tied.as.text, key, tied.size) == 0)
		*strange = false;
	return status;
}

/* Its key was changed, or given up and the row is another's: that is to be decided too, and seen first. */
static enum amend_status other_key(struct amend_settlement *s, const struct amend_row *row,
				   struct amend_error *err)
{
	size_t n = s->conflict.n_fields;
	struct amend_conflict_field *fields = amend_arena_array(s->arena, n + s->n_key,
								sizeof(*fields));
	enum amend_status status;

	if (!fields)
		return amend_no_memory(err);
	if (n)
		memcpy(fields, s->conflict.fields, n * sizeof(*fields));
	for (size_t i = 0; i < n; i++)
		s->choices[i] = s->conflict.choices[i];
	for (size_t i = 0; i < s->n_key; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		if (at < 0 || amend_settle_field(s, (uint32_t)at))
			continue;
		s->choices[n] = (struct amend_conflict_choice){.who = ""};
		fields[n++] = (struct amend_conflict_field){.column = s->key[i].column,
							    .current = row->values[at],
							    .incoming = s->key[i].value};
	}
	s->conflict.kind = AMEND_CONFLICT_IDENTITY;
	s->conflict.fields = fields;
	s->conflict.choices = s->choices;
	s->conflict.n_fields = n;
	status = set_note(s, "the row has another key now: it may be another record", err);
	if (status != AMEND_OK)
		return status;
	return amend_settle_stale(s, row->values, "the row has another key now; nothing was written",
				  ": --take current lets the row keep its key and be this record",
				  err);
}

/* There is one again, or another has created it: the conflict is about its fields from now on. */
static enum amend_status came(struct amend_settlement *s, const struct amend_row *row,
			      struct amend_error *err)
{
	s->conflict.kind = amend_settle_synced(s) ? AMEND_CONFLICT_FIELDS : AMEND_CONFLICT_SAVE;
	s->conflict.pk = row->pk;
	return set_note(s, "", err);
}

/* The conflict, and its row, which is locked before it as a sync does it. */
static enum amend_status begin(struct amend_conn *db, struct amend_settlement *s,
			       struct amend_row *row, bool *found, struct amend_error *err)
{
	struct amend_conflict_row now = {.id = 0};
	enum amend_status status;
	size_t n;

	amend_result_reset(&s->work);
	amend_table_close(s->table);
	s->table = NULL;
	s->arena = s->work.arena;
	s->n_puts = 0;
	s->tried = false;
	s->waits = AMEND_OK;
	status = amend_conflict_by_id(db, s->how->id, false, s->arena, &s->conflict, err);
	if (status == AMEND_OK)
		status = amend_settle_open(db, s, err);
	if (status == AMEND_OK)
		status = amend_settle_find_row(db, s, &for_update, row, found, err);
	if (status == AMEND_OK)
		status = amend_conflict_by_id(db, s->how->id, true, s->arena, &now, err);
	if (status != AMEND_OK)
		return status;
	if (now.kind != s->conflict.kind || !now.pk != !s->conflict.pk ||
	    (now.pk && strcmp(now.pk, s->conflict.pk) != 0))
		return amend_error_set(err, AMEND_RETRY, "the conflict changed meanwhile");
	s->conflict = now;
	n = now.n_fields;
	s->incoming = amend_arena_array(s->arena, s->table->n_columns,
					sizeof(const struct amend_value *));
	s->puts = amend_arena_array(s->arena, s->table->n_columns, sizeof(*s->puts));
	s->choices = amend_arena_array(s->arena, n + s->table->n_columns, sizeof(*s->choices));
	s->plan = amend_arena_array(s->arena, n, sizeof(*s->plan));
	return s->incoming && s->puts && s->choices && s->plan ? AMEND_OK : amend_no_memory(err);
}

static enum amend_status by_kind(struct amend_conn *db, struct amend_settlement *s,
				 struct amend_row *row, bool found, struct amend_error *err)
{
	bool deleted = false, strange = false;
	enum amend_status status = AMEND_OK;

	if (s->conflict.kind == AMEND_CONFLICT_MISSING) {
		status = amend_settle_read_given(db, s, err);
		return status == AMEND_OK ? amend_settle_missing(db, s, found ? row : NULL, err)
					  : status;
	}
	if (found && amend_settle_synced(s) && s->conflict.kind != AMEND_CONFLICT_IDENTITY) {
		status = is_strange(db, s, row, &strange, err);
		if (status != AMEND_OK)
			return status;
	}
	if (found && amend_settle_is_absent(s))
		status = came(s, row, err);
	else
		deleted = !found && !amend_settle_is_absent(s);
	if (status == AMEND_OK)
		status = amend_settle_read_given(db, s, err);
	if (status != AMEND_OK)
		return status;
	if (deleted)
		return gone(db, s, err);
	if (strange)
		return other_key(s, row, err);
	if (found)
		return amend_settle_row(db, s, row, err);
	return seen_gone(s) ? amend_settle_absent(db, s, err) : say_gone(s, err);
}

/* Whoever decides has seen what the conflict is, or was when it was found: of anything else nothing is taken. */
static enum amend_status check_shown(struct amend_settlement *s, const struct amend_value *now,
				     struct amend_error *err)
{
	const char *version = amend_settle_version(s, now);

	if (!version)
		return amend_no_memory(err);
	s->shown = s->how->version && strcmp(s->how->version, version) == 0;
	if (s->how->version ? s->shown : s->conflict.as_found)
		return AMEND_OK;
	return amend_settle_stale(s, now,
				  s->how->version
					  ? "it is not what was shown any more; nothing was written"
					  : "it has changed since it was found; nothing was written",
				  ", what it is now", err);
}

static enum amend_status settle(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_settlement *s = context;
	struct amend_row row;
	bool found = false, moved = false;
	enum amend_status status = begin(db, s, &row, &found, err);

	s->now = status == AMEND_OK && found ? row : (struct amend_row){0};
	if (status == AMEND_OK)
		status = check_shown(s, found ? row.values : NULL, err);
	if (status != AMEND_OK || s->waits != AMEND_OK)
		return status;
	status = by_kind(db, s, &row, found, err);
	if (status == AMEND_OK)
		status = amend_conflict_change(db, &s->conflict, s->table, &moved, err);
	if (status == AMEND_OK && !moved && s->waits == AMEND_OK)
		status = amend_conflict_end(db, s->conflict.id, "settled", how(s), &moved, err);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_RETRY, "another settled the conflict meanwhile");
	return status;
}

/* All that is in the way of what was to be written, into the result. */
static void explain(struct amend_conn *db, struct amend_settlement *s, const struct amend_error *err)
{
	struct amend_violations list = {.arena = s->arena};
	struct amend_error ignored;

	if (!s->tried || !amend_violations_worth(err) ||
	    (db->depth > 0 && db->levels[db->depth - 1].failed))
		return;
	if (amend_row_violations(db, s->table, s->now.values ? &s->now : NULL, s->puts, s->n_puts,
				 &list, &ignored) != AMEND_OK ||
	    (!*err->sqlstate && !list.unfit))
		return;
	s->work.result->violations = list.all;
	s->work.result->n_violations = list.n;
}

enum amend_status amend_resolve(struct amend_conn *db, const struct amend_resolution *how_,
				struct amend_result *result, struct amend_error *err)
{
	struct amend_settlement s = {.how = how_};
	enum amend_status status = amend_result_begin(result, &s.work, err);
	struct amend_conflict_row ignored;
	char id[AMEND_OPERATION_ID] = "";

	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	/* Before a unit that may write: most wrong ids end here. */
	status = amend_conflict_by_id(db, how_->id, false, s.work.arena, &ignored, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(db, err);
	if (status == AMEND_OK)
		status = amend_operation_run_made_up(db, id, settle, &s, err);
	if (status == AMEND_OK && s.waits != AMEND_OK)
		status = amend_error_set(err, s.waits, "conflict %lld: %s", (long long)how_->id,
					 s.why);
	amend_result_status(result, status);
	if (status != AMEND_OK)
		explain(db, &s, err);
	if (status == AMEND_OUTCOME_UNKNOWN && *id)
		result->once = amend_arena_text(s.work.arena, id);
	amend_table_close(s.table);
	return amend_leave(db, status, err);
}

/*
 * Settling a conflict: what becomes of each field, given what was decided and what the database holds now.
 * Leaves writing it to resolve_write.c, and what remains to be decided to the conflict.
 */
#include <string.h>

#include "core/json_text.h"
#include "sync/resolve.h"

static enum amend_status wait_as(struct amend_settlement *s, const struct amend_value *now,
				 enum amend_status status, const char *why, struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_field *incoming = amend_arena_array(s->arena, s->conflict.n_fields,
							 sizeof(*incoming));

	if (!incoming || !why)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->conflict.n_fields; i++)
		incoming[i] = (struct amend_field){s->conflict.fields[i].column,
						   s->conflict.fields[i].incoming};
	result->outcome = status == AMEND_STALE ? AMEND_IS_STALE : AMEND_IS_CONFLICT;
	result->record = now;
	result->incoming = incoming;
	result->n_incoming = s->conflict.n_fields;
	s->waits = status;
	s->why = why;
	return AMEND_OK;
}

enum amend_status amend_settle_wait(struct amend_settlement *s, const struct amend_value *now,
				    const char *why, struct amend_error *err)
{
	return wait_as(s, now, AMEND_CONFLICT, why, err);
}

enum amend_status amend_settle_stale(struct amend_settlement *s, const struct amend_value *now,
				     const char *why, const char *hint, struct amend_error *err)
{
	const char *version = amend_settle_version(s, now);

	if (!why || !hint || !version)
		return amend_no_memory(err);
	why = amend_arena_printf(s->arena, "%s (hint: decide on %lld@%s%s)", why,
				 (long long)s->conflict.id, version, hint);
	return wait_as(s, now, AMEND_STALE, why, err);
}

/* A value that somebody had given counts no more: it is nowhere else, so the note has it. */
static enum amend_status forget(struct amend_settlement *s, size_t i, struct amend_error *err)
{
	const struct amend_conflict_choice *choice = &s->conflict.choices[i];
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *note = s->conflict.note;

	if (!choice->chosen || choice->take != AMEND_TAKE_NOTHING)
		return AMEND_OK;
	amend_buffer_printf(&text, "%s%s%s%s by %s: ", note, *note ? "; " : "",
			    strstr(note, AMEND_NOTE_DECIDED) ? "" : AMEND_NOTE_DECIDED,
			    s->conflict.fields[i].column,
			    *choice->who ? choice->who : "somebody else");
	amend_json_value(&text, &choice->value, AMEND_CLASS_TEXT);
	note = text.failed ? NULL : amend_arena_text_n(s->arena, text.data, text.size);
	amend_buffer_release(&text);
	if (!note)
		return amend_no_memory(err);
	s->conflict.note = note;
	return AMEND_OK;
}

enum amend_status amend_settle_void(struct amend_settlement *s, struct amend_error *err)
{
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		enum amend_status status = forget(s, i, err);

		if (status != AMEND_OK)
			return status;
		s->choices[i] = (struct amend_conflict_choice){.who = ""};
	}
	s->conflict.choices = s->choices;
	return AMEND_OK;
}

/* Which side or value, from whoever decided; false: nobody has. */
struct choosing {
	enum amend_take take;
	struct amend_value value, seen;
	bool unseen;   /* nobody knows what that was: it is not what is there */
	bool outdated; /* ..nor what it was decided against */
	bool sums;     /* it is added to what is there, whatever that is */
	const char *who;
};

/* `now` NULL: there is no record. */
static bool choose(struct amend_conn *db, const struct amend_settlement *s, size_t i,
		   uint32_t column, const struct amend_value *now, struct choosing *out)
{
	const struct amend_conflict_choice *choice = &s->conflict.choices[i];
	int given = amend_settle_given(s, column);

	/* Not what an earlier decision saw: who decides now may have seen no more than what was found. */
	*out = (struct choosing){.take = s->how->take,
				 .seen = s->shown && now ? *now : s->conflict.fields[i].current};
	if (given >= 0) {
		const struct amend_decision *decision = &s->how->decisions[given];

		out->take = decision->take;
		out->value = s->given[given];
		if (decision->seen)
			out->seen = *decision->seen;
		out->unseen = decision->unseen;
		out->outdated = decision->outdated;
	} else if (choice->chosen && !s->how->anew) {
		out->take = choice->take;
		out->value = choice->value;
		out->seen = choice->current;
		out->who = choice->who;
		return true;
	} else if (s->how->take == AMEND_TAKE_NOTHING) {
		return false;
	}
	out->who = amend_author_who(db);
	return true;
}

/* The value that it stands for; `now` NULL: there is no record. */
static enum amend_status valued(struct amend_conn *db, struct amend_settlement *s, size_t i,
				const struct amend_value *now, struct choosing *choosing,
				struct amend_error *err)
{
	const struct amend_conflict_field *field = &s->conflict.fields[i];

	switch (choosing->take) {
	case AMEND_TAKE_NOTHING:
		return AMEND_OK;
	case AMEND_TAKE_CURRENT:
		if (!now)
			return amend_error_set(err, AMEND_INVALID,
					       "current is that there is no record: it is all or "
					       "nothing (hint: --take current and no more)");
		choosing->value = *now;
		return AMEND_OK;
	case AMEND_TAKE_INCOMING:
		choosing->value = field->incoming;
		return amend_settle_sum(db, s, i, now, &choosing->value, &choosing->sums, err);
	case AMEND_TAKE_BASE:
		if (!field->has_base)
			return amend_error_set(
				err, AMEND_INVALID,
				"column %s has no base in conflict %lld: take current or "
				"incoming, or set it",
				field->column, (long long)s->conflict.id);
		choosing->value = field->base;
		return AMEND_OK;
	}
	return AMEND_OK;
}

/* A decision is a write over what its maker saw: the three-way rule, with that as the base. */
static enum amend_field_verdict judge(const struct choosing *choosing, const struct amend_value *now)
{
	if (choosing->outdated)
		return AMEND_FIELD_ANEW;
	/* Of what is not there nothing is written over. */
	if (!now)
		return AMEND_FIELD_WRITE;
	if (choosing->take == AMEND_TAKE_CURRENT || amend_value_equal(&choosing->value, now))
		return AMEND_FIELD_STAY;
	if (choosing->sums)
		return AMEND_FIELD_WRITE;
	if (choosing->unseen)
		return AMEND_FIELD_ANEW;
	if (amend_value_equal(&choosing->seen, now))
		return AMEND_FIELD_WRITE;
	/* It was to stay as it was, and somebody else has changed it since. */
	return choosing->take == AMEND_TAKE_NOTHING &&
			       amend_value_equal(&choosing->value, &choosing->seen)
		       ? AMEND_FIELD_STAY
		       : AMEND_FIELD_ANEW;
}

/*
 * What nobody has decided is decided where the sides do not clash (any more): both have it so, or of
 * a save, all of which is in its conflict, only one side has changed it.
 */
static enum amend_field_verdict undecided(const struct amend_settlement *s, size_t i,
					  const struct amend_value *now,
					  const struct amend_value *sum)
{
	const struct amend_conflict_field *field = &s->conflict.fields[i];

	if (!now)
		return AMEND_FIELD_OPEN;
	if (sum)
		return amend_value_equal(sum, now) ? AMEND_FIELD_STAY : AMEND_FIELD_WRITE;
	if (amend_value_equal(now, &field->incoming))
		return AMEND_FIELD_STAY;
	if (s->conflict.kind != AMEND_CONFLICT_SAVE || !field->has_base)
		return AMEND_FIELD_OPEN;
	if (amend_value_equal(&field->base, now))
		return AMEND_FIELD_WRITE;
	return amend_value_equal(&field->base, &field->incoming) ? AMEND_FIELD_STAY
								 : AMEND_FIELD_OPEN;
}

static enum amend_status leave_undecided(struct amend_conn *db, struct amend_settlement *s, size_t i,
					 const struct amend_value *now, struct amend_error *err)
{
	struct amend_field_plan *plan = &s->plan[i];
	enum amend_status status;
	bool sums, hold = true;

	plan->value = s->conflict.fields[i].incoming;
	status = amend_settle_sum(db, s, i, now, &plan->value, &sums, err);
	if (status != AMEND_OK)
		return status;
	plan->verdict = undecided(s, i, now, sums ? &plan->value : NULL);
	if (plan->verdict == AMEND_FIELD_WRITE)
		status = amend_settle_in_bounds(db, s, i, &plan->value, &hold, err);
	if (!hold)
		plan->verdict = AMEND_FIELD_OPEN;
	return status;
}

static enum amend_status decide_field(struct amend_conn *db, struct amend_settlement *s, size_t i,
				      const struct amend_value *now, struct amend_error *err)
{
	struct amend_conflict_choice *kept = &s->choices[i];
	struct amend_field_plan *plan = &s->plan[i];
	const struct amend_value held = now ? *now : amend_null();
	struct choosing choosing;
	enum amend_status status;
	bool hold = true;

	*kept = s->conflict.choices[i];
	if (s->how->anew)
		kept->chosen = false;
	if (!choose(db, s, i, plan->column, now, &choosing))
		return leave_undecided(db, s, i, now, err);
	status = valued(db, s, i, now, &choosing, err);
	if (status != AMEND_OK)
		return status;
	plan->value = choosing.value;
	plan->verdict = judge(&choosing, now);
	if (plan->verdict == AMEND_FIELD_WRITE)
		status = amend_settle_in_bounds(db, s, i, &plan->value, &hold, err);
	if (status != AMEND_OK)
		return status;
	if (!hold)
		return amend_settle_out_of_bounds(s, i, &plan->value, err);
	if (plan->verdict == AMEND_FIELD_ANEW)
		status = forget(s, i, err);
	if (status != AMEND_OK)
		return status;
	*kept = (struct amend_conflict_choice){
		.current = held,
		.chosen = plan->verdict != AMEND_FIELD_ANEW,
		.take = choosing.take,
		.value = choosing.value,
		.who = choosing.who,
	};
	return AMEND_OK;
}

/* "name, capital": the fields that became of that, or those that are decided. */
static const char *names(const struct amend_settlement *s, enum amend_field_verdict verdict,
			 bool decided)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		if (decided ? s->choices[i].chosen : s->plan[i].verdict == verdict)
			amend_buffer_printf(&text, "%s%s", text.size ? ", " : "",
					    s->conflict.fields[i].column);
	}
	copy = text.failed ? NULL
			   : amend_arena_text_n(s->arena, text.size ? text.data : "", text.size);
	amend_buffer_release(&text);
	return copy;
}

static enum amend_status wait_for_more(struct amend_settlement *s, const struct amend_value *now,
				       bool anew, struct amend_error *err)
{
	const char *open = names(s, AMEND_FIELD_OPEN, false), *kept = names(s, 0, true);
	const char *again = names(s, AMEND_FIELD_ANEW, false), *and;

	if (!open || !kept || !again)
		return amend_no_memory(err);
	and = *kept ? "; kept as decided: " : "";
	if (anew)
		return amend_settle_stale(
			s, now,
			amend_arena_printf(s->arena,
					   "changed since by another: %s; nothing was written%s%s",
					   again, *open ? ", and not decided yet: " : "", open),
			amend_arena_printf(s->arena, " anew%s%s", and, kept), err);
	return amend_settle_wait(s, now,
				 amend_arena_printf(s->arena,
						    "not decided yet: %s (hint: --take "
						    "current|incoming|base, or COL=VALUE%s%s)",
						    open, and, kept),
				 err);
}

enum amend_status amend_settle_decide(struct amend_conn *db, struct amend_settlement *s,
				      const struct amend_value *now, struct amend_error *err)
{
	bool given = s->how->n_decisions > 0 || s->how->take != AMEND_TAKE_NOTHING;
	size_t open = 0, anew = 0;

	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		const struct amend_conflict_field *field = &s->conflict.fields[i];
		int at = amend_table_column(s->table, field->column);
		enum amend_status status;

		if (at < 0)
			return amend_error_set(err, AMEND_INVALID, "%s has no column %s any more",
					       s->table->qualified, field->column);
		s->plan[i].column = (uint32_t)at;
		s->incoming[at] = &field->incoming;
		status = decide_field(db, s, i, now ? &now[at] : NULL, err);
		if (status != AMEND_OK)
			return status;
		open += s->plan[i].verdict == AMEND_FIELD_OPEN;
		anew += s->plan[i].verdict == AMEND_FIELD_ANEW;
	}
	s->conflict.choices = s->choices;
	if (open > 0 && !given) {
		const char *which = names(s, AMEND_FIELD_OPEN, false);

		return amend_error_set(err, AMEND_INVALID,
				       "not decided yet: %s (hint: --take current|incoming|base, or "
				       "COL=VALUE)",
				       which ? which : "?");
	}
	return open + anew > 0 ? wait_for_more(s, now, anew > 0, err) : AMEND_OK;
}

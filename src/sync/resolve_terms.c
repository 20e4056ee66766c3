/*
 * Settling a save's conflict: the bounds that the save was made with, and columns in which what it added counts.
 * Leaves what is decided of a field to resolve_decide.c.
 */
#include "core/json_text.h"
#include "core/rows.h"
#include "merge/merge.h"
#include "record/request.h"
#include "record/write.h"
#include "sync/resolve.h"

static const struct amend_conflict_terms *terms_of(const struct amend_settlement *s, size_t field)
{
	return s->conflict.terms ? &s->conflict.terms[field] : NULL;
}

enum amend_status amend_settle_sum(struct amend_conn *db, struct amend_settlement *s, size_t field,
				   const struct amend_value *now, struct amend_value *out,
				   bool *sums, struct amend_error *err)
{
	const struct amend_conflict_terms *terms = terms_of(s, field);
	const struct amend_conflict_field *sides = &s->conflict.fields[field];
	struct amend_put put = {.column = s->plan[field].column, .op = AMEND_SET};
	struct amend_value amount = amend_null();
	enum amend_merged merged;
	enum amend_status status;
	const char *why;

	*sums = false;
	if (!terms || !terms->adds || !sides->has_base || !now)
		return AMEND_OK;
	*sums = true;
	/* What was wanted, to the last bit: binary fractions added up may miss it. */
	if (amend_value_equal(&sides->base, now)) {
		*out = sides->incoming;
		return AMEND_OK;
	}
	merged = amend_merge_difference(&sides->base, &sides->incoming, s->arena, &amount, &why);
	if (merged == AMEND_MERGED_CLEAN)
		merged = amend_merge_sum(now, &amount, s->arena, &put.value, &why);
	if (merged == AMEND_MERGED_NO_MEMORY)
		return amend_no_memory(err);
	/* One of them is no number: then a side is a side. */
	*sums = merged == AMEND_MERGED_CLEAN;
	if (!*sums)
		return AMEND_OK;
	status = amend_request_canonical(db, s->table, NULL, &put, 1, s->arena, err);
	*out = put.value;
	return status;
}

enum amend_status amend_settle_in_bounds(struct amend_conn *db, const struct amend_settlement *s,
					 size_t field, const struct amend_value *value, bool *hold,
					 struct amend_error *err)
{
	const struct amend_conflict_terms *terms = terms_of(s, field);
	struct amend_put put = {.column = s->plan[field].column, .op = AMEND_SET, .value = *value};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;

	*hold = true;
	if (!terms || (!terms->min.kind && !terms->max.kind))
		return AMEND_OK;
	put.min = terms->min;
	put.max = terms->max;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT 1 WHERE 1 = 1");
	amend_write_bounds(&sql, s->table, &put, 1);
	status = amend_exec(db, &sql, &rows, err);
	*hold = rows.n_rows > 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_settle_out_of_bounds(const struct amend_settlement *s, size_t field,
					     const struct amend_value *value,
					     struct amend_error *err)
{
	const struct amend_conflict_terms *terms = terms_of(s, field);
	const struct amend_column *column = &s->table->columns[s->plan[field].column];
	struct amend_buffer text = AMEND_BUFFER_INIT;

	amend_json_value(&text, value, column->class_);
	if (terms && terms->min.kind) {
		amend_buffer_text(&text, ", expected at least ");
		amend_json_value(&text, &terms->min, column->class_);
	}
	if (terms && terms->max.kind) {
		amend_buffer_text(&text, terms->min.kind ? " and at most " : ", expected at most ");
		amend_json_value(&text, &terms->max, column->class_);
	}
	amend_error_set(err, AMEND_CONSTRAINT,
			"conflict %lld: %s would break the bounds of its save: found %s; nothing "
			"was written (hint: another value, or --take %s=current)",
			(long long)s->conflict.id, column->name, amend_buffer_string(&text),
			column->name);
	amend_buffer_release(&text);
	return AMEND_CONSTRAINT;
}

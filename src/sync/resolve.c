/*
 * amend_resolve: the values that a person chose, as a revision; the base becomes
 * what the source said; the conflict is over. All in one unit.
 * Leaves finding conflicts to the sync.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "record/result.h"
#include "sync/sync.h"

struct settlement {
	int64_t id;
	enum amend_take take;
	const struct amend_assign *set;
	size_t n_set;
	struct amend_outcome_work work;

	/* Of the try under way; in the result's arena. */
	struct amend_arena *arena;
	struct amend_conflict_row conflict;
	struct amend_table *table;
	struct amend_value *given; /* `set`, canonical */
	uint32_t *given_columns;
	struct amend_field *key; /* the first key's columns, as the source has them */
	size_t n_key;
	const struct amend_value **incoming; /* by table column; NULL: not in the conflict */
	struct amend_put *puts;
	size_t n_puts;
};

static const struct amend_lock for_update = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

/* ---- decisions ---- */

static int given_for(const struct settlement *s, uint32_t column)
{
	for (size_t i = 0; i < s->n_set; i++) {
		if (s->given_columns[i] == column)
			return (int)i;
	}
	return -1;
}

static const struct amend_conflict_field *field_of(const struct settlement *s, uint32_t column)
{
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		if (amend_table_column(s->table, s->conflict.fields[i].column) == (int)column)
			return &s->conflict.fields[i];
	}
	return NULL;
}

/* The row is not there (any more): whatever is set belongs to the new one. */
static bool absent(const struct settlement *s)
{
	return s->conflict.kind == AMEND_CONFLICT_DELETED || !s->conflict.pk;
}

static enum amend_status list_fields(const struct settlement *s, struct amend_error *err,
				     const char *before, const char *after)
{
	struct amend_buffer names = AMEND_BUFFER_INIT;
	bool any = false;

	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		int at = amend_table_column(s->table, s->conflict.fields[i].column);

		if (at >= 0 && given_for(s, (uint32_t)at) >= 0)
			continue;
		amend_buffer_printf(&names, "%s%s", any ? ", " : "", s->conflict.fields[i].column);
		any = true;
	}
	amend_error_set(err, AMEND_INVALID, "%s%s%s", before,
			amend_buffer_string(&names) ? names.data : "?", after);
	amend_buffer_release(&names);
	return err->status;
}

static enum amend_status read_given(struct amend_conn *db, struct settlement *s,
				    struct amend_error *err)
{
	struct amend_canon *canon = amend_arena_array(s->arena, s->n_set, sizeof(*canon));
	enum amend_status status = AMEND_OK;

	s->given = amend_arena_array(s->arena, s->n_set, sizeof(*s->given));
	s->given_columns = amend_arena_array(s->arena, s->n_set, sizeof(*s->given_columns));
	if (!canon || !s->given || !s->given_columns)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->n_set; i++)
		s->given_columns[i] = UINT32_MAX;
	for (size_t i = 0; i < s->n_set && status == AMEND_OK; i++) {
		int at = amend_table_column(s->table, s->set[i].column);

		if (s->set[i].op != AMEND_SET)
			return amend_error_set(err, AMEND_INVALID,
					       "%s: a conflict is settled by a value, not by a sum",
					       s->set[i].column);
		if (at < 0)
			return amend_error_set(err, AMEND_INVALID, "%s has no column %s",
					       s->table->qualified, s->set[i].column);
		if (given_for(s, (uint32_t)at) >= 0)
			return amend_error_set(err, AMEND_INVALID, "column %s is set twice",
					       s->set[i].column);
		if (s->table->columns[at].generated)
			return amend_error_set(err, AMEND_INVALID,
					       "column %s has its value from the database",
					       s->set[i].column);
		if (!absent(s) && !field_of(s, (uint32_t)at))
			return amend_error_set(err, AMEND_INVALID,
					       "column %s is not in conflict %lld (hint: `amend set` "
					       "changes it)",
					       s->set[i].column, (long long)s->id);
		s->given_columns[i] = (uint32_t)at;
		canon[i] = (struct amend_canon){.column = &s->table->columns[at],
						.in = s->set[i].value};
	}
	if (s->n_set)
		status = amend_canonicalise(db, canon, s->n_set, s->arena, err);
	for (size_t i = 0; i < s->n_set && status == AMEND_OK; i++) {
		if (canon[i].problem)
			return amend_error_set(err, AMEND_INVALID, "column %s: %s",
					       canon[i].column->name, canon[i].problem);
		s->given[i] = canon[i].out;
	}
	return status;
}

/* What a field of the conflict becomes. */
static enum amend_status decide(const struct settlement *s, const struct amend_conflict_field *field,
				uint32_t column, struct amend_value *out, struct amend_error *err)
{
	int given = given_for(s, column);

	if (given >= 0) {
		*out = s->given[given];
		return AMEND_OK;
	}
	switch (s->take) {
	case AMEND_TAKE_NOTHING:
		break;
	case AMEND_TAKE_CURRENT:
		*out = field->current;
		return AMEND_OK;
	case AMEND_TAKE_INCOMING:
		*out = field->incoming;
		return AMEND_OK;
	case AMEND_TAKE_BASE:
		if (!field->has_base)
			return amend_error_set(
				err, AMEND_INVALID,
				"column %s has no base in conflict %lld: take current or "
				"incoming, or set it",
				field->column, (long long)s->id);
		*out = field->base;
		return AMEND_OK;
	}
	return list_fields(
		s, err, "not decided yet: ", " (hint: --take current|incoming|base, or COL=VALUE)");
}

static void add_put(struct settlement *s, uint32_t column, const struct amend_value *value)
{
	s->puts[s->n_puts++] = (struct amend_put){.column = column,
						  .op = AMEND_SET,
						  .value = *value,
						  .min = amend_null(),
						  .max = amend_null()};
}

/* ---- bases ---- */

/* The row's values of the first key's columns, spelled as the key is; "" where one is blank. */
static enum amend_status key_now(const struct settlement *s, const struct amend_value *row,
				 const char **out, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	bool blank = false;

	amend_buffer_char(&text, '{');
	for (size_t i = 0; i < s->n_key; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		if (at < 0 || amend_value_blank(&row[at])) {
			blank = true;
			break;
		}
		amend_buffer_text(&text, i ? "," : "");
		amend_json_string(&text, s->table->columns[at].name,
				  strlen(s->table->columns[at].name));
		amend_buffer_char(&text, ':');
		amend_json_value(&text, &row[at], s->table->columns[at].class_);
	}
	amend_buffer_char(&text, '}');
	*out = blank ? "" : text.failed ? NULL : amend_arena_text_n(s->arena, text.data, text.size);
	amend_buffer_release(&text);
	return *out ? AMEND_OK : amend_no_memory(err);
}

static enum amend_status find_base(struct amend_conn *db, const struct settlement *s,
				   bool by_first_key, const char *key, struct amend_base **out,
				   struct amend_error *err)
{
	struct amend_base *base = amend_arena_alloc(s->arena, sizeof(*base));
	enum amend_status status;

	*out = NULL;
	if (!base)
		return amend_no_memory(err);
	status = amend_base_find(db, s->conflict.source, s->table, by_first_key, &key, 1, base,
				 s->arena, err);
	if (status == AMEND_OK && base->pack)
		*out = base;
	return status;
}

/* The base is the record's by its name, or the row's (NULL: none) as it stood: what a sync goes by. */
static enum amend_status base_agrees(struct amend_conn *db, const struct settlement *s,
				     const struct amend_base *seen, const struct amend_value *row,
				     bool *out, struct amend_error *err)
{
	struct amend_field *fields;
	enum amend_status status;
	size_t n = 0;

	*out = seen && strcmp(seen->first_key, s->conflict.first_key) == 0;
	if (*out || !seen || !row || !*seen->first_key)
		return AMEND_OK;
	status = amend_pk_parse(seen->first_key, amend_has(db, AMEND_HAS_TYPED_STORAGE), s->arena,
				&fields, &n, err);
	*out = status == AMEND_OK && n > 0;
	for (size_t i = 0; *out && i < n; i++) {
		int at = amend_table_column(s->table, fields[i].column);

		*out = at >= 0 &&
		       amend_sync_same_key(&s->table->columns[at], &row[at], &fields[i].value);
	}
	return status;
}

/* base := incoming, for the fields of the conflict; the others' stay if `ours`. `tied`: the key of a row that is to be this record's. */
static enum amend_status write_base(struct amend_conn *db, const struct settlement *s,
				    const struct amend_base *seen, bool ours, const char *pk,
				    const char *tied, struct amend_error *err)
{
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_base base = {
		.source = s->conflict.source, .pk = pk, .first_key = s->conflict.first_key};
	enum amend_status status;
	bool moved = false;

	amend_base_merge(&pack, s->table, ours ? seen : NULL, s->incoming, tied);
	base.pack = pack.data;
	base.pack_size = pack.size;
	if (pack.failed) {
		status = amend_no_memory(err);
	} else {
		amend_base_digest(pack.data, pack.size, base.digest);
		status = amend_base_write(db, s->table, seen, &base, &moved, err);
	}
	amend_buffer_release(&pack);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_RETRY, "a sync changed the base meanwhile");
	return status;
}

/* ---- the record is there ---- */

static enum amend_status find_row(struct amend_conn *db, const struct settlement *s,
				  struct amend_row *out, bool *found, struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	const struct amend_table *table = s->table;
	struct amend_value *values = amend_arena_array(s->arena, table->n_columns, sizeof(*values));
	struct amend_row row = {.values = values};
	struct amend_field *fields;
	enum amend_status status;
	size_t n = 0;

	if (!values)
		return amend_no_memory(err);
	status = amend_pk_parse(s->conflict.pk, typed, s->arena, &fields, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		int at = amend_table_column(table, fields[i].column);

		if (table->n_identity == 0)
			row.rowid = fields[i].value;
		else if (at >= 0)
			values[at] = fields[i].value;
	}
	if (status == AMEND_OK)
		status = amend_row_again(db, table, &row, &for_update, s->arena, out, found, err);
	out->held = status == AMEND_OK && *found;
	return status;
}

static enum amend_status stale(struct settlement *s, const struct amend_row *row, const char *what,
			       struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_field *incoming = amend_arena_array(s->arena, s->conflict.n_fields,
							 sizeof(*incoming));

	if (!incoming)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->conflict.n_fields; i++)
		incoming[i] = (struct amend_field){s->conflict.fields[i].column,
						   s->conflict.fields[i].incoming};
	result->outcome = AMEND_IS_STALE;
	result->record = row ? row->values : NULL;
	result->incoming = incoming;
	result->n_incoming = s->conflict.n_fields;
	return amend_error_set(
		err, AMEND_STALE,
		"%s since conflict %lld was found (hint: the next sync brings it up to "
		"date)",
		what, (long long)s->id);
}

/* They are as the conflict has them. */
static enum amend_status check_fields(struct settlement *s, const struct amend_row *row,
				      struct amend_error *err)
{
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		const struct amend_conflict_field *field = &s->conflict.fields[i];
		int at = amend_table_column(s->table, field->column);

		if (at < 0)
			return amend_error_set(err, AMEND_INVALID, "%s has no column %s any more",
					       s->table->qualified, field->column);
		if (!amend_value_equal(&row->values[at], &field->current))
			return stale(s, row, "the record changed", err);
	}
	return AMEND_OK;
}

static enum amend_status decide_fields(struct settlement *s, const struct amend_row *row,
				       struct amend_error *err)
{
	enum amend_status status = check_fields(s, row, err);

	for (size_t i = 0; i < s->conflict.n_fields && status == AMEND_OK; i++) {
		const struct amend_conflict_field *field = &s->conflict.fields[i];
		int at = amend_table_column(s->table, field->column);
		struct amend_value value;

		status = decide(s, field, (uint32_t)at, &value, err);
		if (status == AMEND_OK && !amend_value_equal(&value, &row->values[at]))
			add_put(s, (uint32_t)at, &value);
		s->incoming[at] = &field->incoming;
	}
	return status;
}

/* What was decided; `row` is as it is then. */
static enum amend_status write_fields(struct amend_conn *db, struct settlement *s,
				      struct amend_row *row, struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_written written;
	enum amend_status status;

	result->outcome = AMEND_IS_UNCHANGED;
	result->record = row->values;
	if (!s->n_puts)
		return AMEND_OK;
	status = amend_row_update(db, s->table, row, s->puts, s->n_puts, s->arena, &written, err);
	if (status != AMEND_OK)
		return status;
	if (written.moved)
		return amend_error_set(err, AMEND_RETRY, "the record moved while it was held");
	status = amend_result_changes(&s->work, s->table, row->values, written.row.values, err);
	result->outcome = AMEND_IS_UPDATED;
	result->record = written.row.values;
	result->revision = written.revision;
	*row = written.row;
	return status;
}

static enum amend_status settle_row(struct amend_conn *db, struct settlement *s,
				    struct amend_error *err)
{
	struct amend_base *seen;
	struct amend_row row;
	struct amend_value old_tie;
	const char *tied = NULL;
	enum amend_status status;
	bool found = false, ours = false;

	status = find_row(db, s, &row, &found, err);
	if (status != AMEND_OK)
		return status;
	if (!found)
		return stale(s, NULL, "the record was deleted", err);
	status = decide_fields(s, &row, err);
	if (status == AMEND_OK)
		status = find_base(db, s, false, s->conflict.pk, &seen, err);
	if (status == AMEND_OK)
		status = base_agrees(db, s, seen, row.values, &ours, err);
	if (status == AMEND_OK)
		status = write_fields(db, s, &row, err);
	if (status == AMEND_OK &&
	    (s->conflict.kind == AMEND_CONFLICT_IDENTITY ||
	     (seen && amend_pack_find(seen->pack, seen->pack_size, AMEND_BASE_TIED, &old_tie)))) {
		status = key_now(s, row.values, &tied, err);
		if (status == AMEND_OK && tied && strcmp(tied, s->conflict.first_key) == 0)
			tied = NULL;
	}
	return status == AMEND_OK ? write_base(db, s, seen, ours, row.pk, tied, err) : status;
}

/* ---- the source has no record of it any more ---- */

/* How missing_decide.c tells the two apart: the field of a mark has no base. */
static bool marks(const struct settlement *s)
{
	return s->conflict.n_fields > 0 && !s->conflict.fields[0].has_base;
}

/* Whoever lets it be deleted has seen what was edited: nothing else may have been, since. */
static bool edited_elsewhere(const struct settlement *s, const struct amend_base *seen,
			     const struct amend_row *row)
{
	for (uint32_t c = 0; c < s->table->n_columns; c++) {
		const struct amend_value now = amend_sync_unmarked(s->table, seen, row->values, c);
		struct amend_value base;

		if (!field_of(s, c) &&
		    amend_pack_find(seen->pack, seen->pack_size, s->table->columns[c].name, &base) &&
		    !amend_value_equal(&base, &now) &&
		    !amend_sync_same_key(&s->table->columns[c], &base, &now))
			return true;
	}
	return false;
}

/* The row goes, or where another source has it only this source's base. */
static enum amend_status remove_missing(struct amend_conn *db, struct settlement *s,
					const struct amend_base *seen, const struct amend_row *row,
					struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_written written;
	enum amend_status status;
	bool spared = false, moved = false;

	if (s->n_set)
		return amend_error_set(
			err, AMEND_INVALID,
			"incoming is that there is no record: nothing can be set in it");
	status = amend_sync_spared(db, s->conflict.source, s->table, &row->pk, 1, s->arena, &spared,
				   err);
	result->outcome = AMEND_IS_UNCHANGED;
	result->record = row->values;
	if (status == AMEND_OK && !spared) {
		status = amend_row_delete(db, s->table, row, s->arena, &written, err);
		if (status != AMEND_OK)
			return status;
		if (written.moved)
			return amend_error_set(err, AMEND_RETRY,
					       "the record moved while it was held");
		result->outcome = AMEND_IS_DELETED;
		result->record = NULL;
		result->revision = written.revision;
		status = amend_result_changes(&s->work, s->table, row->values, NULL, err);
	}
	if (status == AMEND_OK)
		status = amend_base_write(db, s->table, seen, NULL, &moved, err);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_RETRY, "a sync changed the base meanwhile");
	return status;
}

/* It stays, and the base remembers that: a sync leaves it alone until the record returns. */
static enum amend_status keep_missing(struct amend_conn *db, struct settlement *s,
				      const struct amend_base *seen, const struct amend_row *row,
				      struct amend_error *err)
{
	const struct amend_conflict_field *first = s->conflict.fields;
	bool marked = marks(s) && s->take == AMEND_TAKE_INCOMING && !s->n_set;
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_base base = *seen;
	enum amend_status status;
	bool moved = false;

	if (marked)
		amend_base_mark(&pack, seen, first->column, &first->incoming, &first->current);
	else
		amend_base_absent(&pack, seen);
	base.pk = row->pk;
	base.pack = pack.data;
	base.pack_size = pack.size;
	if (pack.failed) {
		status = amend_no_memory(err);
	} else {
		amend_base_digest(pack.data, pack.size, base.digest);
		status = amend_base_write(db, s->table, seen, &base, &moved, err);
	}
	amend_buffer_release(&pack);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_RETRY, "a sync changed the base meanwhile");
	return status;
}

static enum amend_status settle_missing(struct amend_conn *db, struct settlement *s,
					struct amend_error *err)
{
	struct amend_base *seen = NULL;
	struct amend_row row;
	bool found = false;
	enum amend_status status = find_row(db, s, &row, &found, err);

	if (status == AMEND_OK && !found)
		return stale(s, NULL, "the record was deleted", err);
	if (status == AMEND_OK)
		status = find_base(db, s, false, s->conflict.pk, &seen, err);
	if (status != AMEND_OK)
		return status;
	if (!seen || strcmp(seen->first_key, s->conflict.first_key) != 0 ||
	    (!marks(s) && edited_elsewhere(s, seen, &row)))
		return stale(s, &row, "the record changed", err);
	if (s->take == AMEND_TAKE_NOTHING && s->conflict.n_fields == 0)
		return list_fields(s, err, "not decided yet", " (hint: --take current|incoming)");
	if (!marks(s) && s->take == AMEND_TAKE_INCOMING) {
		status = check_fields(s, &row, err);
		return status == AMEND_OK ? remove_missing(db, s, seen, &row, err) : status;
	}
	for (size_t i = 0; i < s->conflict.n_fields && s->take == AMEND_TAKE_BASE; i++) {
		const char *column = s->conflict.fields[i].column;
		int at = amend_table_column(s->table, column);
		struct amend_value base;

		if (!marks(s) && at >= 0 && given_for(s, (uint32_t)at) < 0 &&
		    !amend_pack_find(seen->pack, seen->pack_size, column, &base))
			return amend_error_set(err, AMEND_INVALID,
					       "column %s has no base: take current or incoming, or "
					       "set it",
					       column);
	}
	status = decide_fields(s, &row, err);
	if (status == AMEND_OK)
		status = write_fields(db, s, &row, err);
	return status == AMEND_OK ? keep_missing(db, s, seen, &row, err) : status;
}

/* ---- there is no record ---- */

static enum amend_status find_by_key(struct amend_conn *db, const struct settlement *s,
				     uint32_t *columns, struct amend_row **rows, size_t *n,
				     struct amend_error *err)
{
	struct amend_value *values = amend_arena_array(s->arena, s->n_key, sizeof(*values));

	if (!values)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->n_key; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		if (at < 0)
			return amend_error_set(err, AMEND_INVALID, "%s has no column %s any more",
					       s->table->qualified, s->key[i].column);
		columns[i] = (uint32_t)at;
		values[i] = s->key[i].value;
	}
	return amend_row_find(db, s->table, columns, values, s->n_key, &for_update, 1, s->arena,
			      rows, n, err);
}

static enum amend_status create(struct amend_conn *db, struct settlement *s,
				const uint32_t *columns, const char **pk, struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_written written;
	enum amend_status status = AMEND_OK;

	for (uint32_t c = 0; c < s->table->n_columns && status == AMEND_OK; c++) {
		const struct amend_conflict_field *field = field_of(s, c);
		struct amend_value value = amend_null();
		int given = given_for(s, c);

		if (given >= 0)
			value = s->given[given];
		else if (!field)
			continue;
		else
			status = decide(s, field, c, &value, err);
		/* A number that the database gives is not asked for. */
		if (status == AMEND_OK &&
		    (value.kind != AMEND_NULL || !s->table->columns[c].identity))
			add_put(s, c, &value);
	}
	if (status != AMEND_OK)
		return status;
	status = amend_row_insert(db, s->table, amend_table_unique_key(s->table, columns, s->n_key),
				  s->puts, s->n_puts, s->arena, &written, err);
	if (status != AMEND_OK)
		return status;
	if (written.moved)
		return stale(s, NULL, "a record with this key was created", err);
	result->outcome = AMEND_IS_CREATED;
	result->record = written.row.values;
	result->revision = written.revision;
	*pk = written.row.pk;
	return amend_result_changes(&s->work, s->table, NULL, written.row.values, err);
}

static enum amend_status settle_absent(struct amend_conn *db, struct settlement *s,
				       struct amend_error *err)
{
	uint32_t *columns = amend_arena_array(s->arena, s->n_key, sizeof(*columns));
	struct amend_row *rows;
	struct amend_base *seen;
	const char *pk = NULL;
	enum amend_status status;
	size_t n = 0;

	if (!columns)
		return amend_no_memory(err);
	if (s->take == AMEND_TAKE_CURRENT && s->n_set)
		return amend_error_set(
			err, AMEND_INVALID,
			"current is that there is no record: nothing can be set in it");
	status = find_by_key(db, s, columns, &rows, &n, err);
	if (status != AMEND_OK)
		return status;
	if (n > 0)
		return stale(s, &rows[0], "a record with this key was created", err);
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		int at = amend_table_column(s->table, s->conflict.fields[i].column);

		if (at >= 0)
			s->incoming[at] = &s->conflict.fields[i].incoming;
	}
	status = find_base(db, s, true, s->conflict.first_key, &seen, err);
	if (status != AMEND_OK)
		return status;
	if (s->take == AMEND_TAKE_CURRENT) {
		s->work.result->outcome = AMEND_IS_UNCHANGED;
		pk = seen ? seen->pk
			  : amend_arena_printf(s->arena, AMEND_BASE_GONE "%s",
					       s->conflict.first_key);
		if (!pk)
			return amend_no_memory(err);
	} else {
		status = create(db, s, columns, &pk, err);
	}
	return status == AMEND_OK ? write_base(db, s, seen, seen, pk, NULL, err) : status;
}

/* ---- the unit ---- */

static const char *how(const struct settlement *s)
{
	if (s->n_set)
		return "values";
	switch (s->take) {
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

static enum amend_status begin(struct amend_conn *db, struct settlement *s, struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	enum amend_status status;

	amend_result_reset(&s->work);
	amend_table_close(s->table);
	s->table = NULL;
	s->arena = s->work.arena;
	s->n_puts = 0;
	status = amend_conflict_by_id(db, s->id, s->arena, &s->conflict, err);
	if (status == AMEND_OK)
		status = amend_table_open_recorded(db, s->conflict.table, &s->table, err);
	if (status == AMEND_OK)
		status = amend_pk_parse(s->conflict.first_key, typed, s->arena, &s->key, &s->n_key,
					err);
	if (status == AMEND_OK)
		status = read_given(db, s, err);
	if (status != AMEND_OK)
		return status;
	s->incoming = amend_arena_array(s->arena, s->table->n_columns,
					sizeof(const struct amend_value *));
	s->puts = amend_arena_array(s->arena, s->table->n_columns, sizeof(*s->puts));
	return s->incoming && s->puts ? AMEND_OK : amend_no_memory(err);
}

static enum amend_status settle(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct settlement *s = context;
	enum amend_status status = begin(db, s, err);
	bool moved = false;

	if (status == AMEND_OK)
		status = absent(s)                                    ? settle_absent(db, s, err)
			 : s->conflict.kind == AMEND_CONFLICT_MISSING ? settle_missing(db, s, err)
								      : settle_row(db, s, err);
	if (status == AMEND_OK)
		status = amend_conflict_end(db, s->id, "settled", how(s), &moved, err);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_NOT_FOUND,
					 "conflict %lld was settled by another meanwhile",
					 (long long)s->id);
	return status;
}

enum amend_status amend_resolve(struct amend_conn *db, int64_t id, enum amend_take take,
				const struct amend_assign *set, size_t n_set,
				struct amend_result *result, struct amend_error *err)
{
	struct settlement s = {.id = id, .take = take, .set = set, .n_set = n_set};
	enum amend_status status = amend_result_begin(result, &s.work, err);
	struct amend_conflict_row ignored;

	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	/* Before a unit that may write: most wrong ids end here. */
	status = amend_conflict_by_id(db, id, s.work.arena, &ignored, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(db, err);
	if (status == AMEND_OK)
		status = amend_atomic(db, NULL, settle, &s, err);
	amend_table_close(s.table);
	amend_result_status(result, status);
	return amend_leave(db, status, err);
}

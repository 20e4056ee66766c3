/*
 * Settling a conflict about a record that is not there: it is created, comes back, or stays away.
 * Leaves values to resolve_values.c, bases to resolve_base.c.
 */
#include <string.h>

#include "record/history.h"
#include "record/request.h"
#include "record/result.h"
#include "sync/missing.h"
#include "sync/resolve.h"

static const struct amend_lock for_update = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

/* The record as it was deleted, by column; what is not known is NULL. `known`: history has the deletion. */
struct past {
	const struct amend_value **values;
	bool known;
};

/* The column takes part in what comes back: the database gives the others. */
static bool comes_back(const struct amend_table *table, uint32_t column)
{
	return !table->columns[column].generated && table->version != (int)column;
}

static enum amend_status read_past(struct amend_conn *db, const struct amend_settlement *s,
				   const char *pk, const struct amend_base *seen, struct past *past,
				   struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	struct amend_history *entry = NULL;
	struct amend_field *name = NULL;
	struct amend_value *base;
	enum amend_status status;
	size_t n = 0;

	base = amend_arena_array(s->arena, s->table->n_columns, sizeof(*base));
	if (!base)
		return amend_no_memory(err);
	for (uint32_t c = 0; seen && c < s->table->n_columns; c++) {
		if (comes_back(s->table, c) && amend_pack_find(seen->pack, seen->pack_size,
							       s->table->columns[c].name, &base[c]))
			past->values[c] = &base[c];
	}
	status = amend_history_since(db, s->table, pk, 0, 1, s->arena, &entry, &n, err);
	if (status != AMEND_OK)
		return status;
	past->known = entry && n > 0 && strcmp(entry->op, "delete") == 0;
	for (size_t i = 0; past->known && i < entry->n_changes; i++) {
		int at = amend_table_column(s->table, entry->changes[i].column);

		if (at >= 0 && comes_back(s->table, (uint32_t)at))
			past->values[at] = &entry->changes[i].before;
	}
	status = amend_pk_parse(pk, typed, s->arena, &name, &n, err);
	for (size_t i = 0; i < n && s->table->n_identity > 0 && status == AMEND_OK; i++) {
		int at = amend_table_column(s->table, name[i].column);

		if (at >= 0 && comes_back(s->table, (uint32_t)at))
			past->values[at] = &name[i].value;
	}
	return status;
}

/* The key that it is looked for by, where nothing else tells its columns: it is never created without. */
static enum amend_status add_key(struct amend_conn *db, const struct amend_settlement *s,
				 struct past *past, struct amend_error *err)
{
	struct amend_put *puts = amend_arena_array(s->arena, s->n_key, sizeof(*puts));
	enum amend_status status;
	size_t n = 0;

	if (!puts)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->n_key; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		if (at >= 0 && comes_back(s->table, (uint32_t)at) && !past->values[at] &&
		    !amend_settle_field(s, (uint32_t)at) && amend_settle_given(s, (uint32_t)at) < 0)
			puts[n++] = (struct amend_put){.column = (uint32_t)at,
						       .value = s->key[i].value};
	}
	status = amend_request_canonical(db, s->table, NULL, puts, n, s->arena, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		past->values[puts[i].column] = &puts[i].value;
	return status;
}

/* Without it there is no such record: of the primary key, and no default stands for it. */
static bool must_be(const struct amend_settlement *s, uint32_t column)
{
	for (size_t i = 0; i < s->table->n_identity; i++) {
		if (s->table->identity[i] == column)
			return !s->table->columns[column].has_default;
	}
	return false;
}

/* It is what the record is found by, which tells nothing of the rest of it. */
static bool names_it(const struct amend_settlement *s, uint32_t column)
{
	for (size_t i = 0; i < s->table->n_identity; i++) {
		if (s->table->identity[i] == column)
			return true;
	}
	for (size_t i = 0; i < s->n_key; i++) {
		if (amend_table_column(s->table, s->key[i].column) == (int)column)
			return true;
	}
	return false;
}

/*
 * A save sent some columns of it, and history does not have the others: with these alone it is another record,
 * which is for a person to make, by a value at least.
 */
static enum amend_status check_rest(const struct amend_settlement *s, const struct past *past,
				    struct amend_error *err)
{
	struct amend_buffer unknown = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;
	bool some = false, nameless = false;

	if (past->known || amend_settle_synced(s))
		return AMEND_OK;
	for (uint32_t c = 0; c < s->table->n_columns; c++) {
		const struct amend_column *column = &s->table->columns[c];

		if (!comes_back(s->table, c) || column->identity || amend_settle_field(s, c))
			continue;
		if (amend_settle_given(s, c) >= 0 || past->values[c]) {
			some = some || !names_it(s, c);
			continue;
		}
		amend_buffer_printf(&unknown, "%s%s", unknown.size ? ", " : "", column->name);
		nameless = nameless || must_be(s, c);
	}
	if (unknown.failed)
		status = amend_no_memory(err);
	else if (unknown.size > 0 && (nameless || !some))
		status = amend_error_set(
			err, AMEND_INVALID,
			"conflict %lld: the record was deleted, and history does not have what it "
			"was: nothing is known of %s (hint: give them, COL=VALUE)",
			(long long)s->conflict.id, amend_buffer_string(&unknown));
	amend_buffer_release(&unknown);
	return status;
}

/* The name that it is to bear is another record's by now. */
static enum amend_status check_name(struct amend_conn *db, const struct amend_settlement *s,
				    const char *pk, struct amend_error *err)
{
	struct amend_row row;
	enum amend_status status;
	bool found = false;

	for (size_t i = 0; i < s->table->n_identity; i++) {
		if (amend_settle_given(s, s->table->identity[i]) >= 0)
			return AMEND_OK;
	}
	if (s->table->n_identity == 0)
		return AMEND_OK;
	status = amend_settle_row_of(db, s, pk, &for_update, &row, &found, err);
	if (status == AMEND_OK && found)
		status = amend_error_set(
			err, AMEND_CONSTRAINT,
			"the record cannot come back as %s: that is another record now (hint: "
			"give this one another key, COL=VALUE)",
			pk);
	return status;
}

static void put_all(struct amend_settlement *s, const struct past *past)
{
	for (uint32_t c = 0; c < s->table->n_columns; c++) {
		const struct amend_conflict_field *field = amend_settle_field(s, c);
		const struct amend_value *value = past->values[c];
		int given = amend_settle_given(s, c);

		if (field)
			value = &s->plan[field - s->conflict.fields].value;
		else if (given >= 0)
			value = &s->given[given];
		/* A number that the database gives is not asked for. */
		if (value && (value->kind != AMEND_NULL || !s->table->columns[c].identity))
			amend_settle_put(s, c, value);
	}
}

/* The unique key on which somebody else's creation is no clash, but the record. */
static const struct amend_key *unique_key(const struct amend_settlement *s, uint32_t *columns)
{
	for (size_t i = 0; i < s->n_key; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		if (at < 0)
			return NULL;
		columns[i] = (uint32_t)at;
	}
	return amend_table_unique_key(s->table, columns, s->n_key);
}

static enum amend_status create(struct amend_conn *db, struct amend_settlement *s,
				const struct amend_base *seen, const char **pk,
				struct amend_error *err)
{
	const char *name = s->conflict.pk ? s->conflict.pk : seen ? seen->pk : NULL;
	uint32_t *columns = amend_arena_array(s->arena, s->n_key, sizeof(*columns));
	struct amend_result *result = s->work.result;
	struct past past = {.known = false};
	struct amend_bulk written;
	enum amend_status status = AMEND_OK;

	past.values = amend_arena_array(s->arena, s->table->n_columns,
					sizeof(const struct amend_value *));
	if (!columns || !past.values)
		return amend_no_memory(err);
	if (s->conflict.kind == AMEND_CONFLICT_DELETED && name &&
	    strncmp(name, AMEND_BASE_GONE, strlen(AMEND_BASE_GONE)) != 0) {
		status = check_name(db, s, name, err);
		if (status == AMEND_OK)
			status = read_past(db, s, name, seen, &past, err);
	}
	if (status == AMEND_OK)
		status = add_key(db, s, &past, err);
	if (status == AMEND_OK)
		status = check_rest(s, &past, err);
	if (status != AMEND_OK)
		return status;
	put_all(s, &past);
	status = amend_settle_write(db, s, seen, NULL, unique_key(s, columns), &written, err);
	if (status != AMEND_OK)
		return status;
	if (written.moved)
		return amend_error_set(err, AMEND_RETRY, "another created the record meanwhile");
	result->outcome = AMEND_IS_CREATED;
	result->record = written.after.values;
	*pk = written.after.pk;
	return amend_result_changes(&s->work, s->table, NULL, written.after.values, err);
}

/* No row, and none is wanted: the base remembers what the source said. */
static enum amend_status stay_away(struct amend_settlement *s, const struct amend_base *seen,
				   const char **pk, struct amend_error *err)
{
	enum amend_status status;

	if (s->how->n_decisions > 0)
		return amend_error_set(
			err, AMEND_INVALID,
			"current is that there is no record: nothing can be set in it");
	status = amend_settle_void(s, err);
	if (status != AMEND_OK)
		return status;
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		int at = amend_table_column(s->table, s->conflict.fields[i].column);

		if (at >= 0)
			s->incoming[at] = &s->conflict.fields[i].incoming;
	}
	s->work.result->outcome = AMEND_IS_UNCHANGED;
	*pk = seen ? seen->pk
		   : amend_arena_printf(s->arena, AMEND_BASE_GONE "%s", s->conflict.first_key);
	return *pk ? AMEND_OK : amend_no_memory(err);
}

enum amend_status amend_settle_absent(struct amend_conn *db, struct amend_settlement *s,
				      struct amend_error *err)
{
	struct amend_base *seen = NULL;
	const char *pk = NULL;
	enum amend_status status = AMEND_OK;

	if (amend_settle_synced(s))
		status = amend_settle_find_base(db, s, true, s->conflict.first_key, &seen, err);
	if (status != AMEND_OK)
		return status;
	if (s->how->take == AMEND_TAKE_CURRENT) {
		status = stay_away(s, seen, &pk, err);
	} else {
		status = amend_settle_decide(db, s, NULL, err);
		if (status != AMEND_OK || s->waits != AMEND_OK)
			return status;
		status = create(db, s, seen, &pk, err);
	}
	if (status != AMEND_OK || !amend_settle_synced(s))
		return status;
	return amend_settle_write_base(db, s, seen, seen, pk, NULL, err);
}

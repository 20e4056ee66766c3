/*
 * amend_check's part on guarded tables: does what was asked for still stand?
 * Leaves mending to guard.c.
 */
#include <stdio.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/guard.h"
#include "sql/table.h"

struct finding {
	void (*each)(void *context, enum amend_level level, const char *topic, const char *text);
	void *context;
	const char *table;
	bool any;
};

static void tell(struct finding *finding, enum amend_level level, const struct amend_buffer *text)
{
	finding->any |= level != AMEND_LEVEL_OK;
	finding->each(finding->context, level, "guard",
		      text->failed ? finding->table : amend_buffer_string(text));
}

static void tell_names(struct finding *finding, enum amend_level level, const char *before,
		       const struct amend_buffer *names, const char *behind)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	if (names->size == 0)
		return;
	amend_buffer_printf(&text, "%s: %s %s%s", finding->table, before,
			    names->failed ? "" : names->data, behind);
	tell(finding, level, &text);
	amend_buffer_release(&text);
}

static void add_name(struct amend_buffer *names, const char *name)
{
	amend_buffer_text(names, names->size ? ", " : "");
	amend_buffer_text(names, name);
}

static bool holds(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* `fails`: a trigger that names a column which is gone. */
static void tell_columns(struct finding *finding, const struct amend_guarding *guarding, bool fails)
{
	const struct amend_guard_record *stood = &guarding->stood, *wanted = &guarding->wanted;
	struct amend_buffer added = AMEND_BUFFER_INIT, dropped = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < wanted->n_covered && wanted->history; i++) {
		if (!holds(stood->covered, stood->n_covered, wanted->covered[i]))
			add_name(&added, wanted->covered[i]);
	}
	for (size_t i = 0; i < stood->n_covered && wanted->history; i++) {
		if (!holds(wanted->covered, wanted->n_covered, stood->covered[i]))
			add_name(&dropped, stood->covered[i]);
	}
	tell_names(finding, AMEND_LEVEL_PROBLEM,
		   "history does not cover columns that were added since:", &added,
		   " (hint: amend guard once more)");
	tell_names(finding, fails ? AMEND_LEVEL_PROBLEM : AMEND_LEVEL_ADVICE,
		   "columns were dropped since:", &dropped,
		   fails ? ": writes fail (hint: amend guard once more)"
			 : ": writes cost more than they need to (hint: amend guard once more)");
	amend_buffer_release(&added);
	amend_buffer_release(&dropped);
}

/* `columns_changed`: that they are others is said already. */
static void tell_triggers(struct finding *finding, const struct amend_guarding *guarding,
			  bool columns_changed)
{
	struct amend_buffer gone = AMEND_BUFFER_INIT, other = AMEND_BUFFER_INIT,
			    left = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < guarding->n_parts; i++) {
		const char *name = guarding->parts[i].name;
		bool there = false;

		for (size_t j = 0; j < guarding->n_found; j++)
			there |= strcmp(guarding->found[j].name, name) == 0;
		if (!there)
			add_name(&gone, name);
		else if (!amend_guarding_stands(guarding, &guarding->parts[i]))
			add_name(&other, name);
	}
	for (size_t i = 0; i < guarding->n_found; i++) {
		struct amend_buffer text = AMEND_BUFFER_INIT;

		if (!amend_guarding_wanted(guarding, &guarding->found[i]))
			add_name(&left, guarding->found[i].name);
		if (!guarding->found[i].problem)
			continue;
		amend_buffer_printf(&text, "%s: trigger %s %s", finding->table,
				    guarding->found[i].name, guarding->found[i].problem);
		tell(finding, AMEND_LEVEL_PROBLEM, &text);
		amend_buffer_release(&text);
	}
	if (guarding->n_parts > 0 && guarding->n_found == 0)
		tell_names(
			finding, AMEND_LEVEL_PROBLEM,
			"NOT GUARDED ANY MORE: all its triggers are gone:", &gone,
			". A migration that makes the table anew does that (hint: amend guard once more)");
	else
		tell_names(finding, AMEND_LEVEL_PROBLEM, "triggers are gone:", &gone,
			   " (hint: amend guard once more)");
	if (!columns_changed)
		tell_names(finding, AMEND_LEVEL_PROBLEM,
			   "triggers are not as amend would make them now:", &other,
			   " (hint: amend guard once more)");
	tell_names(finding, AMEND_LEVEL_PROBLEM, "triggers belong to no guard:", &left,
		   " (hint: amend guard, with --off to be rid of them)");
	amend_buffer_release(&gone);
	amend_buffer_release(&other);
	amend_buffer_release(&left);
}

/*
 * Records that were created although history has them already. `was`, of an update, is a name that
 * became free.
 */
static enum amend_status tell_doubles(struct amend_conn *db, struct finding *finding,
				      const struct amend_guard_record *guard,
				      struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_sql sql;
	enum amend_status status;
	int64_t n = 0;

	if (!guard->history)
		return AMEND_OK;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql,
		       "SELECT count(*) FROM (SELECT op, lag(op) OVER (PARTITION BY pk ORDER BY "
		       "id) AS earlier FROM (SELECT id, pk, op FROM ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " WHERE tbl = ");
	amend_sql_string(&sql, guard->table);
	amend_sql_text(&sql, " UNION ALL SELECT id, was, 'delete' FROM ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " WHERE tbl = ");
	amend_sql_string(&sql, guard->table);
	amend_sql_text(&sql, " AND was IS NOT NULL) AS c) AS w WHERE op = 'create' AND earlier <> "
			     "'delete'");
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && !amend_value_number(amend_rows_at(&rows, 0, 0), &n))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	if (status == AMEND_OK && n > 0) {
		amend_buffer_printf(
			&text,
			"%s: history has %lld creation%s of what it had already: data was loaded on top of "
			"it (pg_restore --data-only without --disable-triggers), or rows went "
			"while the triggers were off",
			guard->table, (long long)n, n == 1 ? "" : "s");
		tell(finding, AMEND_LEVEL_ADVICE, &text);
	}
	amend_buffer_release(&text);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status == AMEND_DENIED ? AMEND_OK : status;
}

static void tell_guard(struct finding *finding, const struct amend_guard_record *guard)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;

	amend_buffer_printf(&text, "%s: version column %s, stale rule %s, %s", guard->table,
			    guard->version, amend_stale_rule_name(guard->stale),
			    !guard->history       ? "no history"
			    : guard->by_statement ? "history by statement"
						  : "history");
	tell(finding, AMEND_LEVEL_OK, &text);
	amend_buffer_release(&text);
}

static enum amend_status check_table(struct amend_conn *db, struct finding *finding,
				     const struct amend_guard_record *guard, struct amend_error *err)
{
	struct amend_guarding guarding;
	enum amend_status status = amend_guarding_open(db, guard->table, true, NULL, &guarding, err);

	finding->table = guard->table;
	finding->any = false;
	switch (status) {
	case AMEND_OK:
		tell_columns(finding, &guarding, db->dialect->guard_needs_columns);
		tell_triggers(finding, &guarding, finding->any);
		if (!finding->any)
			tell_guard(finding, guard);
		status = tell_doubles(db, finding, guard, err);
		break;
	case AMEND_NOT_FOUND:
	case AMEND_INVALID:
	case AMEND_UNSUPPORTED:
	case AMEND_DENIED: {
		struct amend_buffer text = AMEND_BUFFER_INIT;

		amend_buffer_printf(&text, "%s cannot be guarded as it was: %s", guard->table,
				    err->text);
		tell(finding, AMEND_LEVEL_PROBLEM, &text);
		amend_buffer_release(&text);
		status = AMEND_OK;
		break;
	}
	case AMEND_STALE:
	case AMEND_EXISTS:
	case AMEND_CONFLICT:
	case AMEND_LOCKED:
	case AMEND_CONSTRAINT:
	case AMEND_RETRY:
	case AMEND_OUTCOME_UNKNOWN:
	case AMEND_UNREACHABLE:
	case AMEND_NO_MEMORY:
	case AMEND_INTERNAL:
	case AMEND_INTERRUPTED:
		break;
	}
	amend_guarding_close(&guarding);
	return status;
}

enum amend_status amend_guard_check(struct amend_conn *db,
				    void (*each)(void *context, enum amend_level level,
						 const char *topic, const char *text),
				    void *context, struct amend_error *err)
{
	struct finding finding = {.each = each, .context = context};
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_guard_record *guards;
	size_t n;
	enum amend_status status = amend_guard_record_all(db, &arena, &guards, &n, err);

	/* Whoever may not look into the ledger has been told so. */
	if (status == AMEND_DENIED || status == AMEND_UNSUPPORTED)
		status = AMEND_OK;
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = check_table(db, &finding, &guards[i], err);
	amend_arena_release(&arena);
	return status;
}

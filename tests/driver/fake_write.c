/*
 * INSERT, UPDATE, DELETE, CREATE TABLE and DROP TABLE of the fake driver.
 * Leaves undoing what fails to fake_store.c: a statement works on a copy.
 */
#include "fake_run.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"
#include "core/rows.h"
#include "sql/sqlstate.h"

/* --- Writing --- */

static void check_row(struct run *run, const struct fake_table *of, size_t number)
{
	const struct amend_value *row = of->rows[number];

	for (size_t c = 0; c < of->n_columns; c++) {
		const struct fake_column *checked = &of->columns[c];

		if (row[c].kind == AMEND_NULL && checked->not_null)
			FAIL(run, AMEND_CONSTRAINT, AMEND_SQLSTATE_NOT_NULL, "%s.%s is NULL",
			     of->name, checked->name);
		for (size_t i = 0; checked->unique && i < of->n_rows; i++) {
			if (i != number && row[c].kind != AMEND_NULL &&
			    fake_compare(&of->rows[i][c], &row[c]) == 0)
				FAIL(run, AMEND_CONSTRAINT, AMEND_SQLSTATE_UNIQUE,
				     "not UNIQUE: another row has this %s.%s", of->name,
				     checked->name);
		}
	}
}

/* Of the affinity of SQLite, as far as tests need it: what is stored as text is text. */
static struct amend_value stored(struct run *run, const struct fake_column *in,
				 struct amend_value value)
{
	if (value.kind == AMEND_INTEGER && strcasecmp(in->type, "text") == 0) {
		const char *digits = amend_arena_integer(&run->state->arena, value.as.integer);

		value = amend_text(digits);
		if (!digits)
			fake_no_memory(run);
	}
	if (!amend_arena_value(&run->state->arena, &value, &value))
		fake_no_memory(run);
	return value;
}

static void add_row(struct run *run, struct fake_table *to, const size_t *columns, size_t n)
{
	struct amend_value *row = amend_arena_array(&run->state->arena, to->n_columns, sizeof(*row));

	if (row && to->n_rows == to->room) {
		struct amend_value **rows = amend_arena_array(&run->state->arena, to->room * 2,
							      sizeof(struct amend_value *));

		if (rows)
			memcpy(rows, to->rows, to->n_rows * sizeof(struct amend_value *));
		to->rows = rows ? rows : to->rows;
		to->room *= rows ? 2 : 1;
	}
	if (!row || to->n_rows == to->room) {
		fake_no_memory(run);
		return;
	}
	fake_need(run, "(");
	for (size_t i = 0; i < n && run->status == AMEND_OK; i++) {
		if (i > 0)
			fake_need(run, ",");
		row[columns[i]] = stored(run, &to->columns[columns[i]], fake_expression(run));
	}
	fake_need(run, ")");
	if (run->status != AMEND_OK)
		return;
	to->rows[to->n_rows++] = row;
	check_row(run, to, to->n_rows - 1);
	/* As it was: the statement as a whole does nothing where it must not fail. */
	if (run->status == AMEND_CONSTRAINT && run->statement->unless_there &&
	    strcmp(run->err->sqlstate, AMEND_SQLSTATE_UNIQUE) == 0) {
		run->status = AMEND_OK;
		to->n_rows--;
		return;
	}
	run->rows.changes++;
}

void fake_insert(struct run *run)
{
	struct fake_table *to;
	size_t columns[MOST_ITEMS], n = 0;

	fake_need(run, "INTO");
	to = fake_table(run);
	if (run->status != AMEND_OK || !to)
		return;
	if (fake_sign(run, "(")) {
		do
			columns[n++] = fake_column(run, to);
		while (n < MOST_ITEMS && fake_sign(run, ","));
		fake_need(run, ")");
	} else {
		for (; n < to->n_columns; n++)
			columns[n] = n;
	}
	fake_need(run, "VALUES");
	do
		add_row(run, to, columns, n);
	while (run->status == AMEND_OK && fake_sign(run, ","));
}

void fake_update(struct run *run)
{
	struct fake_table *of = fake_table(run);
	const char *set;
	char *changed = of ? calloc(of->n_rows + 1, 1) : NULL;

	fake_need(run, "SET");
	set = run->at;
	if (!of || !changed) {
		fake_no_memory(run);
		return;
	}
	run->table = of;
	/* One round more than there are rows: what is wrong is found where there is none. */
	for (size_t i = 0; run->status == AMEND_OK && i <= of->n_rows; i++) {
		struct amend_value *row = i < of->n_rows ? of->rows[i] : NULL;
		struct amend_value values[MOST_ITEMS];
		size_t columns[MOST_ITEMS], n = 0;

		run->at = set;
		run->row = row;
		do {
			columns[n] = fake_column(run, of);
			fake_need(run, "=");
			values[n++] = fake_expression(run);
		} while (n < MOST_ITEMS && fake_sign(run, ","));
		if (!fake_meant(run, run->at, row) || !row || run->status != AMEND_OK)
			continue;
		for (size_t k = 0; k < n; k++)
			row[columns[k]] = stored(run, &of->columns[columns[k]], values[k]);
		changed[i] = 1;
		run->rows.changes++;
	}
	for (size_t i = 0; run->status == AMEND_OK && i < of->n_rows; i++) {
		if (changed[i])
			check_row(run, of, i);
	}
	free(changed);
}

void fake_delete(struct run *run)
{
	struct fake_table *from;
	size_t kept = 0, n;
	const char *where;

	fake_need(run, "FROM");
	from = fake_table(run);
	where = run->at;
	run->table = from;
	if (!from)
		return;
	n = from->n_rows;
	for (size_t i = 0; i < n; i++) {
		if (fake_meant(run, where, from->rows[i]))
			run->rows.changes++;
		else
			from->rows[kept++] = from->rows[i];
	}
	from->n_rows = kept;
	fake_meant(run, where, NULL);
}

/* --- Definitions --- */

static void define_column(struct run *run, struct fake_table *of)
{
	struct fake_column *defined = &of->columns[of->n_columns++];
	char text[NAME];

	fake_name(run, text);
	defined->name = amend_arena_text(&run->state->arena, text);
	fake_name(run, text);
	defined->type = amend_arena_text(&run->state->arena, text);
	if (!defined->name || !defined->type)
		fake_no_memory(run);
	for (;;) {
		if (fake_word(run, "PRIMARY")) {
			fake_need(run, "KEY");
			defined->primary = defined->unique = defined->not_null = true;
		} else if (fake_word(run, "NOT")) {
			fake_need(run, "NULL");
			defined->not_null = true;
		} else if (fake_word(run, "UNIQUE")) {
			defined->unique = true;
		} else {
			return;
		}
	}
}

void fake_create(struct run *run)
{
	struct fake_table *made = amend_arena_alloc(&run->state->arena, sizeof(*made));
	char text[NAME];
	bool unless_there;

	fake_need(run, "TABLE");
	unless_there = fake_word(run, "IF");
	if (unless_there) {
		fake_need(run, "NOT");
		fake_need(run, "EXISTS");
	}
	fake_name(run, text);
	if (made) {
		made->room = 8;
		made->name = amend_arena_text(&run->state->arena, text);
		made->columns = amend_arena_array(&run->state->arena, MOST_ITEMS,
						  sizeof(*made->columns));
		made->rows = amend_arena_array(&run->state->arena, made->room,
					       sizeof(struct amend_value *));
	}
	if (!made || !made->name || !made->columns || !made->rows) {
		fake_no_memory(run);
		return;
	}
	fake_need(run, "(");
	do
		define_column(run, made);
	while (run->status == AMEND_OK && made->n_columns < MOST_ITEMS && fake_sign(run, ","));
	fake_need(run, ")");
	if (run->status != AMEND_OK)
		return;
	if (!*fake_find_table(run, text))
		*fake_find_table(run, text) = made;
	else if (!unless_there)
		FAIL(run, AMEND_INVALID, AMEND_SQLSTATE_TABLE_EXISTS, "there is a table %s", text);
}

void fake_drop(struct run *run)
{
	struct fake_table **place;
	char text[NAME];
	bool if_there;

	fake_need(run, "TABLE");
	if_there = fake_word(run, "IF");
	if (if_there)
		fake_need(run, "EXISTS");
	fake_name(run, text);
	place = fake_find_table(run, text);
	if (*place)
		*place = (*place)->next;
	else if (!if_there)
		FAIL(run, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_TABLE, "no table is named %s", text);
}

/*
 * SELECT of the fake driver: which rows, in which order, and what of them.
 * Leaves expressions to fake_words.c.
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

/* --- SELECT --- */

static void give(struct run *run, const struct amend_value *value)
{
	struct amend_rows_owner *owner = run->rows.owner;
	struct amend_value *values = owner->extra;

	if (run->n_values == run->room) {
		run->room = run->room ? run->room * 2 : 64;
		values = realloc(values, run->room * sizeof(*values));
		if (!values) {
			fake_no_memory(run);
			return;
		}
		owner->extra = values;
		owner->release = free;
	}
	if (!amend_arena_value(&owner->arena, value, &values[run->n_values++]))
		fake_no_memory(run);
}

/* What was found so far of one that counts or sums; false: it is none. A row NULL begins anew. */
static bool fold(struct run *run, struct amend_value *sum)
{
	static const char *const functions[] = {"count", "sum", "min", "max"};
	struct amend_value value = amend_integer(1);
	size_t i = 0;

	while (i < sizeof(functions) / sizeof(functions[0]) && !fake_word(run, functions[i]))
		i++;
	if (i == sizeof(functions) / sizeof(functions[0]))
		return false;
	fake_need(run, "(");
	if (!fake_sign(run, "*"))
		value = fake_expression(run);
	fake_need(run, ")");
	if (!run->row)
		*sum = i == 0 ? amend_integer(0) : amend_null();
	else if (value.kind == AMEND_NULL)
		return true;
	else if (sum->kind == AMEND_NULL || (i == 2 && fake_compare(&value, sum) < 0) ||
		 (i == 3 && fake_compare(&value, sum) > 0))
		*sum = value;
	else if (i < 2)
		sum->as.integer += i == 0 ? 1 : value.as.integer;
	return true;
}

/* All that is between SELECT and FROM, for one row; true: it counts, and nothing is given. */
static bool items(struct run *run, struct amend_value *sums)
{
	size_t n = 0;
	bool counts = false;

	do {
		const char *begin = fake_skip(run->at);
		struct amend_value value;

		if (n == MOST_ITEMS) {
			fake_misread(run);
			return false;
		}
		if (run->table && fake_sign(run, "*")) {
			for (size_t i = 0; i < run->table->n_columns; i++) {
				snprintf(run->names[n++], NAME, "%s", run->table->columns[i].name);
				if (run->row)
					give(run, &run->row[i]);
			}
			continue;
		}
		if (fold(run, &sums[n])) {
			counts = true;
		} else {
			value = fake_expression(run);
			if (run->row || !run->table)
				give(run, &value);
		}
		snprintf(run->names[n], NAME, "%.*s", (int)(run->at - begin), begin);
		if (fake_word(run, "AS"))
			fake_name(run, run->names[n]);
		n++;
	} while (run->status == AMEND_OK && fake_sign(run, ","));
	run->rows.n_columns = n;
	return counts;
}

/* Behind the FROM of the SELECT; NULL: it has none. */
static const char *behind_from(struct run *run)
{
	const char *begin = run->at, *found = NULL;

	while (!found && run->at && *run->at && *run->at != ';') {
		if (fake_word(run, "FROM"))
			found = run->at;
		else if (fake_sign(run, "'"))
			fake_quoted_text(run);
		else if (isalnum((unsigned char)*run->at) || *run->at == '_')
			run->at += strspn(run->at, "abcdefghijklmnopqrstuvwxyz_0123456789"
						   "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		else if (*run->at)
			run->at++;
	}
	run->at = begin;
	return found;
}

/* The rows that are meant, in their order; run->at is then behind all of the statement. */
static size_t choose(struct run *run, struct amend_value **rows)
{
	const char *where = run->at;
	char *number = NULL;
	size_t n = 0, by;

	for (size_t i = 0; i < run->table->n_rows; i++) {
		if (fake_meant(run, where, run->table->rows[i]))
			rows[n++] = run->table->rows[i];
	}
	fake_meant(run, where, NULL);
	if (!fake_word(run, "ORDER"))
		return n;
	fake_need(run, "BY");
	run->at = fake_skip(run->at);
	if (isdigit((unsigned char)*run->at))
		by = strtoul(run->at, &number, 10) - 1;
	else
		by = fake_column(run, run->table);
	run->at = number ? number : run->at;
	for (size_t i = 1; by < run->table->n_columns && i < n; i++) {
		struct amend_value *row = rows[i];
		size_t at = i;

		for (; at > 0 && fake_compare(&rows[at - 1][by], &row[by]) > 0; at--)
			rows[at] = rows[at - 1];
		rows[at] = row;
	}
	return n;
}

void fake_query(struct run *run)
{
	struct amend_value sums[MOST_ITEMS] = {{0}}, **rows = NULL;
	const char *list = run->at, *from = behind_from(run), *behind = list;
	size_t n = 0;
	bool counts;

	run->rows.owner = amend_rows_owner_new();
	if (!run->rows.owner) {
		fake_no_memory(run);
		return;
	}
	if (from == fake_skip(list) + strlen("FROM"))
		fake_misread(run);
	if (from && run->status == AMEND_OK) {
		run->at = from;
		run->table = fake_table(run);
		rows = run->table ? calloc(run->table->n_rows + 1, sizeof(struct amend_value *))
				  : NULL;
		if (!rows) {
			fake_no_memory(run);
			return;
		}
		n = choose(run, rows);
		behind = run->at;
	}
	/* Without a row, for its shape: that is all there is where there is no table. */
	run->at = list;
	run->row = NULL;
	counts = items(run, sums);
	if (!from)
		behind = run->at;
	else if (run->status == AMEND_OK && !fake_word(run, "FROM"))
		fake_misread(run);
	for (size_t i = 0; i < n && run->status == AMEND_OK; i++) {
		run->at = list;
		run->row = rows[i];
		items(run, sums);
	}
	for (size_t i = 0; counts && i < run->rows.n_columns; i++)
		give(run, &sums[i]);
	if (run->status == AMEND_OK)
		run->at = behind;
	free(rows);
}

/*
 * Words, names, values and conditions of the SQL that the fake driver understands, run while they are read.
 * Leaves whole statements to fake_query.c and fake_write.c.
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

void fake_no_memory(struct run *run)
{
	if (run->status == AMEND_OK)
		run->status = amend_no_memory(run->err);
}

/* --- Words --- */

const char *fake_skip(const char *at)
{
	for (;;) {
		at += strspn(at, " \t\r\n");
		if (strncmp(at, "--", 2) != 0)
			return at;
		at += strcspn(at, "\n");
	}
}

bool fake_at_end(const char *sql)
{
	return !*fake_skip(sql);
}

void fake_misread(struct run *run)
{
	run->at = fake_skip(run->at);
	FAIL(run, AMEND_INVALID, AMEND_SQLSTATE_SYNTAX, "not understood at \"%.20s\"", run->at);
}

/* Whether it comes next; then it is passed. */
bool fake_sign(struct run *run, const char *text)
{
	run->at = fake_skip(run->at);
	if (strncmp(run->at, text, strlen(text)) != 0)
		return false;
	run->at += strlen(text);
	return true;
}

bool fake_word(struct run *run, const char *text)
{
	size_t size = strlen(text);

	run->at = fake_skip(run->at);
	if (strncasecmp(run->at, text, size) != 0 || isalnum((unsigned char)run->at[size]) ||
	    run->at[size] == '_')
		return false;
	run->at += size;
	return true;
}

void fake_need(struct run *run, const char *text)
{
	if (!(isalpha((unsigned char)*text) ? fake_word(run, text) : fake_sign(run, text)))
		fake_misread(run);
}

void fake_name(struct run *run, char out[NAME])
{
	bool quoted = fake_sign(run, "\"");
	size_t size = quoted ? strcspn(run->at, "\"") : 0;

	while (!quoted && (isalnum((unsigned char)run->at[size]) || run->at[size] == '_'))
		size++;
	out[0] = '\0';
	if (size == 0 || size >= NAME) {
		fake_misread(run);
		return;
	}
	memcpy(out, run->at, size);
	out[size] = '\0';
	run->at += size + quoted;
}

/* --- Tables --- */

struct fake_table **fake_find_table(struct run *run, const char *wanted)
{
	struct fake_table **place = &run->state->tables;

	while (*place && strcmp((*place)->name, wanted) != 0)
		place = &(*place)->next;
	return place;
}

struct fake_table *fake_table(struct run *run)
{
	char wanted[NAME];
	struct fake_table *found;

	fake_name(run, wanted);
	if (strcmp(wanted, "main") == 0 && fake_sign(run, "."))
		fake_name(run, wanted);
	found = *fake_find_table(run, wanted);
	if (!found)
		FAIL(run, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_TABLE, "no table is named %s", wanted);
	return found;
}

size_t fake_column(struct run *run, const struct fake_table *of)
{
	char wanted[NAME];

	fake_name(run, wanted);
	for (size_t i = 0; of && i < of->n_columns; i++) {
		if (strcmp(of->columns[i].name, wanted) == 0)
			return i;
	}
	FAIL(run, AMEND_INVALID, "42703", "no column is named %s", wanted);
	return 0;
}

/* --- Values --- */

int fake_compare(const struct amend_value *a, const struct amend_value *b)
{
	size_t size = a->size < b->size ? a->size : b->size;
	int difference;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == AMEND_INTEGER)
		return (a->as.integer > b->as.integer) - (a->as.integer < b->as.integer);
	if (a->kind == AMEND_REAL)
		return (a->as.real > b->as.real) - (a->as.real < b->as.real);
	if (a->kind == AMEND_NULL)
		return 0;
	difference = size > 0 ? memcmp(a->as.blob, b->as.blob, size) : 0;
	return difference ? difference : (a->size > b->size) - (a->size < b->size);
}

struct amend_value fake_quoted_text(struct run *run)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_value value = amend_null();

	for (; *run->at && (run->at[0] != '\'' || run->at[1] == '\''); run->at++) {
		amend_buffer_char(&text, *run->at);
		run->at += *run->at == '\'';
	}
	fake_need(run, "'");
	value = amend_text_n(amend_buffer_string(&text), text.size);
	if (text.failed || !amend_arena_value(&run->state->arena, &value, &value))
		fake_no_memory(run);
	amend_buffer_release(&text);
	return value;
}

static struct amend_value parameter(struct run *run)
{
	char *end;
	unsigned long number = strtoul(run->at, &end, 10);

	run->at = end;
	if (number >= 1 && number <= run->statement->n_values)
		return run->statement->values[number - 1];
	FAIL(run, AMEND_INVALID, AMEND_SQLSTATE_SYNTAX, "there is no value ?%lu", number);
	return amend_null();
}

struct amend_value fake_expression(struct run *run);

static struct amend_value term(struct run *run)
{
	size_t i;

	run->at = fake_skip(run->at);
	if (isdigit((unsigned char)*run->at) ||
	    (*run->at == '-' && isdigit((unsigned char)run->at[1]))) {
		char *end;
		long long number = strtoll(run->at, &end, 10);

		run->at = end;
		return amend_integer(number);
	}
	if (fake_sign(run, "'"))
		return fake_quoted_text(run);
	if (fake_sign(run, "?"))
		return parameter(run);
	if (fake_word(run, "NULL"))
		return amend_null();
	if (fake_word(run, "length")) {
		struct amend_value of;

		fake_need(run, "(");
		of = fake_expression(run);
		fake_need(run, ")");
		return of.kind == AMEND_NULL ? of : amend_integer((int64_t)of.size);
	}
	i = fake_column(run, run->table);
	return run->status == AMEND_OK && run->row ? run->row[i] : amend_null();
}

struct amend_value fake_expression(struct run *run)
{
	struct amend_value value = term(run);

	for (;;) {
		bool plus = fake_sign(run, "+"), minus = !plus && fake_sign(run, "-");
		struct amend_value other;

		if (!plus && !minus && !fake_sign(run, "*"))
			return value;
		other = term(run);
		if (value.kind != AMEND_INTEGER || other.kind != AMEND_INTEGER)
			value = amend_null();
		else if (plus || minus)
			value.as.integer += plus ? other.as.integer : -other.as.integer;
		else
			value.as.integer *= other.as.integer;
	}
}

/* Comparisons joined by AND; what is compared with NULL is not so. */
static bool condition(struct run *run)
{
	static const char *const operators[] = {"<>", "<=", ">=", "=", "<", ">"};
	bool holds = true;

	do {
		struct amend_value a = fake_expression(run), b;
		int order;
		size_t i = 0;

		if (fake_word(run, "IS")) {
			bool not = fake_word(run, "NOT");

			b = fake_expression(run);
			holds = holds && (fake_compare(&a, &b) == 0) != not ;
			continue;
		}
		while (i < sizeof(operators) / sizeof(operators[0]) && !fake_sign(run, operators[i]))
			i++;
		if (i == sizeof(operators) / sizeof(operators[0]))
			fake_misread(run);
		b = fake_expression(run);
		order = fake_compare(&a, &b);
		holds = holds && a.kind != AMEND_NULL && b.kind != AMEND_NULL &&
			(i == 0   ? order != 0
			 : i == 1 ? order <= 0
			 : i == 2 ? order >= 0
			 : i == 3 ? order == 0
			 : i == 4 ? order < 0
				  : order > 0);
	} while (run->status == AMEND_OK && fake_word(run, "AND"));
	return holds;
}

bool fake_meant(struct run *run, const char *where, struct amend_value *row)
{
	run->at = where;
	run->row = row;
	return !fake_word(run, "WHERE") || condition(run);
}

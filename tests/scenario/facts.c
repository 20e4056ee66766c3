/*
 * What was acknowledged, and whether it is true: every acknowledged write is a
 * link of one chain from the first state of its record to the last.
 * Leaves collecting it to operation.c and session.c.
 */
#include "scenario.h"

#include <stdlib.h>

void facts_value(struct amend_buffer *out, const struct amend_value *value)
{
	switch (value->kind) {
	case AMEND_NULL:
		amend_buffer_text(out, "NULL");
		break;
	case AMEND_INTEGER:
		amend_buffer_printf(out, "%lld", (long long)value->as.integer);
		break;
	case AMEND_REAL:
		amend_buffer_printf(out, "%.17g", value->as.real);
		break;
	case AMEND_TEXT:
		amend_buffer_add(out, value->as.text, value->size);
		break;
	case AMEND_BLOB:
		amend_buffer_text(out, "(blob)");
		break;
	}
}

static char *take(struct amend_buffer *buffer)
{
	char *copy = strdup(amend_buffer_string(buffer));

	amend_buffer_release(buffer);
	return copy;
}

char *facts_state(const struct amend_table *table, const struct amend_value *record)
{
	struct amend_buffer out = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < table->n_columns; i++) {
		if (i > 0)
			amend_buffer_char(&out, '|');
		facts_value(&out, &record[i]);
	}
	return take(&out);
}

char *facts_key(const struct amend_table *table, const struct amend_value *record)
{
	struct amend_buffer out = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < table->n_identity; i++) {
		if (i > 0)
			amend_buffer_char(&out, '|');
		facts_value(&out, &record[table->identity[i]]);
	}
	return take(&out);
}

/* --- Edges --- */

void facts_edge(struct edge *edge, size_t table, const char *key, const char *before,
		const char *after)
{
	*edge = (struct edge){table, strdup(key), strdup(before), strdup(after)};
}

void facts_drop(struct edge *edges, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(edges[i].key);
		free(edges[i].before);
		free(edges[i].after);
	}
}

void facts_add(struct facts *facts, const struct edge *edges, size_t n)
{
	pthread_mutex_lock(&facts->mutex);
	for (size_t i = 0; i < n && facts->n < MAX_EDGES; i++)
		facts->edges[facts->n++] = edges[i];
	pthread_mutex_unlock(&facts->mutex);
}

void facts_wrong(struct facts *facts, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pthread_mutex_lock(&facts->mutex);
	amend_buffer_printf(&facts->wrong, "%s\n", text);
	pthread_mutex_unlock(&facts->mutex);
}

void facts_release(struct facts *facts)
{
	facts_drop(facts->edges, facts->n);
	amend_buffer_release(&facts->wrong);
}

/* --- States of tables --- */

char *facts_dump(struct amend_conn *db, const struct amend_table *table)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT, out = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;

	amend_buffer_text(&sql, "SELECT ");
	for (size_t i = 0; i < table->n_columns; i++)
		amend_buffer_printf(&sql, "%s%s", i ? ", " : "", table->columns[i].name);
	amend_buffer_printf(&sql, " FROM %s ORDER BY 1", table->sql);
	expect_ok(amend_query(db, amend_buffer_string(&sql), NULL, 0, &rows, &err), &err);
	for (size_t i = 0; i < rows.n_rows; i++) {
		char *key = facts_key(table, amend_rows_at(&rows, i, 0));
		char *state = facts_state(table, amend_rows_at(&rows, i, 0));

		amend_buffer_printf(&out, "%s\t%s\n", key, state);
		free(key);
		free(state);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return take(&out);
}

/* The state of one record in a dump, or "none". */
static char *state_in(const char *dump, const char *key)
{
	size_t size = strlen(key);

	for (; *dump; dump += strcspn(dump, "\n") + 1) {
		if (strncmp(dump, key, size) == 0 && dump[size] == '\t')
			return strndup(dump + size + 1, strcspn(dump + size + 1, "\n"));
	}
	return strdup(NO_RECORD);
}

/* --- The chain --- */

static bool untold(const char *column, size_t size)
{
	return size == strlen(UNTOLD) && strncmp(column, UNTOLD, size) == 0;
}

/* Whether the two may be the same: what is UNTOLD may be anything. */
static bool fits(const char *one, const char *other)
{
	if (strcmp(one, NO_RECORD) == 0 || strcmp(other, NO_RECORD) == 0)
		return strcmp(one, other) == 0;
	for (;;) {
		size_t n = strcspn(one, "|"), m = strcspn(other, "|");

		if ((n != m || strncmp(one, other, n) != 0) && !untold(one, n) && !untold(other, m))
			return false;
		if (!one[n] || !other[m])
			return one[n] == other[m];
		one += n + 1;
		other += m + 1;
	}
}

/* `after`, with what is UNTOLD in it as it was in `state`. */
static char *moved(const char *state, const char *after)
{
	struct amend_buffer out = AMEND_BUFFER_INIT;

	if (strcmp(state, NO_RECORD) == 0 || strcmp(after, NO_RECORD) == 0)
		return strdup(after);
	for (;;) {
		size_t n = strcspn(state, "|"), m = strcspn(after, "|");
		bool told = !untold(after, m);

		amend_buffer_add(&out, told ? after : state, told ? m : n);
		if (!state[n] || !after[m])
			return take(&out);
		amend_buffer_char(&out, '|');
		state += n + 1;
		after += m + 1;
	}
}

/* Whether all edges of the key not used yet lead, one after another, from `state` to `last`. */
static bool leads(const struct facts *facts, size_t table, const char *key, bool *used,
		  const char *state, const char *last)
{
	bool any = false;

	for (size_t i = 0; i < facts->n; i++) {
		const struct edge *edge = &facts->edges[i];
		char *next;
		bool done;

		if (used[i] || edge->table != table || strcmp(edge->key, key) != 0)
			continue;
		any = true;
		if (!fits(edge->before, state))
			continue;
		used[i] = true;
		next = moved(state, edge->after);
		done = leads(facts, table, key, used, next, last);
		free(next);
		if (done)
			return true;
		used[i] = false;
	}
	return !any && fits(state, last);
}

static void check_key(struct facts *facts, size_t table, const char *name, const char *key,
		      const char *first, const char *last)
{
	bool used[MAX_EDGES] = {false};
	char *from = state_in(first, key), *to = state_in(last, key);

	if (!leads(facts, table, key, used, from, to)) {
		facts_wrong(facts, "%s %s: what was acknowledged does not lead from %s to %s:", name,
			    key, from, to);
		for (size_t i = 0; i < facts->n; i++) {
			if (facts->edges[i].table == table && strcmp(facts->edges[i].key, key) == 0)
				facts_wrong(facts, "  %s -> %s", facts->edges[i].before,
					    facts->edges[i].after);
		}
	}
	free(from);
	free(to);
}

static void check_dump(struct facts *facts, size_t table, const char *name, const char *keys,
		       const char *first, const char *last)
{
	for (; *keys; keys += strcspn(keys, "\n") + 1) {
		char *key = strndup(keys, strcspn(keys, "\t"));

		check_key(facts, table, name, key, first, last);
		free(key);
	}
}

void facts_check(struct facts *facts, size_t table, const char *name, const char *first,
		 const char *last)
{
	if (facts->foreign)
		return;
	check_dump(facts, table, name, first, first, last);
	check_dump(facts, table, name, last, first, last);
	for (size_t i = 0; i < facts->n; i++) { /* and those that came and went */
		if (facts->edges[i].table == table)
			check_key(facts, table, name, facts->edges[i].key, first, last);
	}
}

/* --- What else holds in every order --- */

void facts_finals(struct run *run)
{
	for (size_t i = 0; i < run->scenario->n_finals; i++) {
		const struct final *final = &run->scenario->finals[i];
		struct foreign_result result = {.n_rows = 0};
		struct amend_buffer expected = AMEND_BUFFER_INIT;

		for (size_t k = 0; k < final->expect.n; k++) {
			if (scenario_for(run->scenario, run->engine, final->expect.mark[k]))
				amend_buffer_printf(&expected, "%s%s", expected.size ? "\n" : "",
						    final->expect.text[k]);
		}
		if (!run->engine->private_->ops->query(run->monitor, final->sql, &result) ||
		    strcmp(amend_buffer_string(&result.text), amend_buffer_string(&expected)) != 0)
			facts_wrong(&run->facts, "%s\n  expected %s\n  found    %s", final->sql,
				    amend_buffer_string(&expected),
				    amend_buffer_string(&result.text));
		result_release(&result);
		amend_buffer_release(&expected);
	}
}

void facts_history(struct run *run)
{
	struct foreign_result result = {.n_rows = 0};
	size_t expected = run->facts.n + run->facts.n_blind;

	/* A guarded table's history has the writes of programs too, and what those came to is not known. */
	for (size_t i = 0; i < run->n && run->scenario->guard.table; i++) {
		if (run->sessions[i].plan->program)
			return;
	}
	if (!run->engine->private_->ops->query(run->monitor,
					       engine_pick(run->engine,
							   "SELECT count(*) FROM amend_change",
							   "SELECT count(*) FROM amend.change"),
					       &result) ||
	    (size_t)atoi(amend_buffer_string(&result.text)) != expected)
		facts_wrong(&run->facts, "%zu writes were acknowledged, history has %s", expected,
			    amend_buffer_string(&result.text));
	result_release(&result);
}

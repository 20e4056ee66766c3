/*
 * Reads a scenario's file.
 * Leaves what a step says to operation.c.
 */
#include "scenario.h"

#include <stdlib.h>

struct reader {
	const char *path;
	struct amend_arena *arena;
	struct scenario *scenario;
	int line;
	struct lines *lines; /* where indented lines go; NULL: to steps */
	struct plan *plan;
};

/* One word of a mark: names parted by commas. */
static bool names(const char *word, size_t size, const char *name)
{
	while (size > 0) {
		size_t length = 0;

		while (length < size && word[length] != ',')
			length++;
		if (strlen(name) == length && strncmp(word, name, length) == 0)
			return true;
		word += length + (length < size);
		size -= length + (length < size);
	}
	return false;
}

bool scenario_for(const struct scenario *scenario, const struct engine *engine, const char *mark)
{
	while (mark && *mark) {
		size_t size = strcspn(mark, " ");

		if (!names(mark, size, engine->name) && !names(mark, size, engine->driver->name) &&
		    !(names(mark, size, "server") && !engine_is(engine, "sqlite")) &&
		    !names(mark, size, scenario->rule))
			return false;
		mark += size + strspn(mark + size, " ");
	}
	return true;
}

static _Noreturn void wrong(const struct reader *reader, const char *what)
{
	fail_at(reader->path, reader->line, "%s:%d: %s", reader->path, reader->line, what);
}

static const char *copy(struct reader *reader, const char *text)
{
	const char *kept = amend_arena_text(reader->arena, text);

	if (!kept)
		wrong(reader, "out of memory");
	return kept;
}

/* Takes "[mark] " off. */
static const char *take_mark(struct reader *reader, char **text)
{
	char *end = **text == '[' ? strchr(*text, ']') : NULL;
	char *name = *text + 1;

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1 + strspn(end + 1, " ");
	return copy(reader, name);
}

static void add_line(struct reader *reader, char *text)
{
	struct lines *lines = reader->lines;

	if (lines->n == MAX_LINES)
		wrong(reader, "too many lines");
	lines->mark[lines->n] = take_mark(reader, &text);
	lines->text[lines->n++] = copy(reader, text);
}

/* "save: set ...", "begin [sqlite]: BEGIN IMMEDIATE". */
static void add_step(struct reader *reader, char *text)
{
	struct plan *plan = reader->plan;
	char *colon = strchr(text, ':'), *mark;
	struct step *step;

	if (!plan || !colon)
		wrong(reader, "expected NAME: WHAT under a session or program");
	if (plan->n_steps == MAX_STEPS)
		wrong(reader, "too many steps");
	*colon = '\0';
	step = &plan->steps[plan->n_steps++];
	mark = strchr(text, '[');
	if (mark) {
		char *name = mark;

		step->mark = take_mark(reader, &name);
		*mark = '\0';
	}
	text[strcspn(text, " ")] = '\0';
	step->name = copy(reader, text);
	step->text = copy(reader, colon + 1 + strspn(colon + 1, " "));
}

static const char *rest_of(struct reader *reader, char *text)
{
	text += strcspn(text, " ");
	text += strspn(text, " ");
	return copy(reader, text);
}

static bool word_is(const char *text, const char *word)
{
	size_t size = strlen(word);

	return strncmp(text, word, size) == 0 && (text[size] == ' ' || !text[size]);
}

static void add_tables(struct reader *reader, const char *names)
{
	struct scenario *scenario = reader->scenario;

	while (*names) {
		size_t size = strcspn(names, " ");

		if (scenario->n_tables == MAX_TABLES)
			wrong(reader, "too many tables");
		scenario->tables[scenario->n_tables++] = amend_arena_text_n(reader->arena, names,
									    size);
		names += size + strspn(names + size, " ");
	}
}

/* "client bob django.py knowing". */
static void take_command(struct reader *reader, struct plan *plan)
{
	const char *words = strchr(plan->name, ' ');

	if (!words)
		wrong(reader, "expected client NAME FILE ...");
	plan->command = copy(reader, words + 1);
	plan->name = amend_arena_text_n(reader->arena, plan->name, (size_t)(words - plan->name));
}

static void add_plan(struct reader *reader, char *text, bool program)
{
	struct scenario *scenario = reader->scenario;

	if (scenario->n_plans == MAX_SESSIONS)
		wrong(reader, "too many sessions");
	reader->lines = NULL;
	reader->plan = &scenario->plans[scenario->n_plans++];
	reader->plan->name = rest_of(reader, text);
	reader->plan->program = program;
	if (word_is(text, "client"))
		take_command(reader, reader->plan);
}

static void add_order(struct reader *reader, const char *steps)
{
	struct scenario *scenario = reader->scenario;

	if (scenario->n_orders == MAX_LINES)
		wrong(reader, "too many orders");
	reader->lines = &scenario->orders[scenario->n_orders].expect;
	scenario->orders[scenario->n_orders++].steps = steps;
}

/* "guard person version=lock_version equal either". */
static void add_guard(struct reader *reader, const char *words)
{
	struct guarding *guard = &reader->scenario->guard;

	while (*words) {
		size_t size = strcspn(words, " ");
		const char *word = amend_arena_text_n(reader->arena, words, size);

		if (!guard->table)
			guard->table = word;
		else if (strncmp(word, "version=", 8) == 0)
			guard->version_column = word + 8;
		else if (guard->n_rules < COUNT(guard->rules))
			guard->rules[guard->n_rules++] = word;
		words += size + strspn(words + size, " ");
	}
	if (guard->n_rules == 0)
		wrong(reader, "expected guard TABLE RULE ...");
}

static void add_block(struct reader *reader, char *text)
{
	struct scenario *scenario = reader->scenario;

	if (word_is(text, "setup")) {
		reader->lines = &scenario->setup;
	} else if (word_is(text, "tables")) {
		add_tables(reader, rest_of(reader, text));
	} else if (word_is(text, "guard")) {
		add_guard(reader, rest_of(reader, text));
	} else if (word_is(text, "session") || word_is(text, "client")) {
		add_plan(reader, text, false);
	} else if (word_is(text, "program")) {
		add_plan(reader, text, true);
	} else if (word_is(text, "order")) {
		add_order(reader, rest_of(reader, text));
	} else if (word_is(text, "all")) {
		add_order(reader, NULL);
	} else if (word_is(text, "final") && scenario->n_finals < COUNT(scenario->finals)) {
		reader->lines = &scenario->finals[scenario->n_finals].expect;
		scenario->finals[scenario->n_finals++].sql = rest_of(reader, text);
	} else {
		wrong(reader,
		      "expected setup, tables, guard, session, program, client, order, all or final");
	}
}

static void read_line(struct reader *reader, char *text)
{
	size_t size = strlen(text);

	while (size > 0 && strchr(" \t\n", text[size - 1]))
		text[--size] = '\0';
	if (!*text || *text == '#')
		return;
	if (*text != '\t' && *text != ' ') {
		add_block(reader, text);
		return;
	}
	text += strspn(text, " \t");
	if (reader->lines)
		add_line(reader, text);
	else
		add_step(reader, text);
}

struct scenario *scenario_read(const char *path, struct amend_arena *arena)
{
	struct reader reader = {.path = path, .arena = arena};
	char text[1024];
	FILE *file = fopen(path, "re");

	reader.scenario = amend_arena_alloc(arena, sizeof(*reader.scenario));
	if (!file || !reader.scenario)
		fail_at(__FILE__, __LINE__, "cannot read %s", path);
	memset(reader.scenario, 0, sizeof(*reader.scenario));
	reader.scenario->rule = "";
	while (fgets(text, sizeof(text), file)) {
		reader.line++;
		read_line(&reader, text);
	}
	fclose(file);
	if (reader.scenario->n_orders == 0 || reader.scenario->n_plans == 0)
		wrong(&reader, "expected sessions, and orders of their steps");
	return reader.scenario;
}

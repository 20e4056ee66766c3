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

bool scenario_for(const struct engine *this, const char *engine)
{
	return !engine || strcmp(engine, this->name) == 0 || strcmp(engine, this->driver->name) == 0;
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

/* Takes "[engine] " off. */
static const char *take_engine(struct reader *reader, char **text)
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
	lines->engine[lines->n] = take_engine(reader, &text);
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

		step->engine = take_engine(reader, &name);
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

static void add_plan(struct reader *reader, char *text, bool program)
{
	struct scenario *scenario = reader->scenario;

	if (scenario->n_plans == MAX_SESSIONS)
		wrong(reader, "too many sessions");
	reader->lines = NULL;
	reader->plan = &scenario->plans[scenario->n_plans++];
	reader->plan->name = rest_of(reader, text);
	reader->plan->program = program;
}

static void add_order(struct reader *reader, const char *steps)
{
	struct scenario *scenario = reader->scenario;

	if (scenario->n_orders == MAX_LINES)
		wrong(reader, "too many orders");
	reader->lines = &scenario->orders[scenario->n_orders].expect;
	scenario->orders[scenario->n_orders++].steps = steps;
}

static void add_block(struct reader *reader, char *text)
{
	struct scenario *scenario = reader->scenario;

	if (word_is(text, "setup")) {
		reader->lines = &scenario->setup;
	} else if (word_is(text, "tables")) {
		add_tables(reader, rest_of(reader, text));
	} else if (word_is(text, "session")) {
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
		wrong(reader, "expected setup, tables, session, program, order, all or final");
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
	while (fgets(text, sizeof(text), file)) {
		reader.line++;
		read_line(&reader, text);
	}
	fclose(file);
	if (reader.scenario->n_orders == 0 || reader.scenario->n_plans == 0)
		wrong(&reader, "expected sessions, and orders of their steps");
	return reader.scenario;
}

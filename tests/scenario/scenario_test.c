/*
 * Runs a scenario file on every engine, in the orders that it lists:
 *
 *	scenario_test FILE [ORDER]
 *
 * With AMEND_SCENARIO_PRINT set it prints what each listed order came to, to be put into the file.
 */
#include "scenario.h"

#include <signal.h>
#include <stdlib.h>

static const char *path;
static struct {
	struct amend_arena arena;
	struct scenario *scenario;
} file;

/* The lines expected on this engine; NULL: none are, only what holds in every order. */
static bool expected(const struct scenario *scenario, const struct engine *engine,
		     const struct order *order, struct amend_buffer *out)
{
	for (size_t i = 0; i < order->expect.n; i++) {
		if (scenario_for(scenario, engine, order->expect.mark[i]))
			amend_buffer_printf(out, "%s\n", order->expect.text[i]);
	}
	return order->expect.n > 0;
}

/* True: as it should be. */
static bool check_order(struct engine *engine, const struct scenario *scenario,
			const struct order *order, const char *steps)
{
	struct amend_buffer output = AMEND_BUFFER_INIT, wanted = AMEND_BUFFER_INIT;
	bool compare = expected(scenario, engine, order, &wanted);
	bool fine = run_order(engine, scenario, steps, &output);
	char rule[16] = "";

	if (*scenario->rule)
		snprintf(rule, sizeof(rule), " %s", scenario->rule);

	if (getenv("AMEND_SCENARIO_PRINT") && order->steps)
		fprintf(stderr, "%s%s: order %s\n%s\n", engine->name, rule, steps,
			amend_buffer_string(&output));
	if (!fine)
		print_error("%s%s: order %s\n%s\n", engine->name, rule, steps,
			    amend_buffer_string(&output));
	else if (compare && strcmp(amend_buffer_string(&output), amend_buffer_string(&wanted)) != 0) {
		print_error("%s%s: order %s\n--- expected\n%s--- found\n%s\n", engine->name, rule,
			    steps, amend_buffer_string(&wanted), amend_buffer_string(&output));
		fine = false;
	}
	amend_buffer_release(&output);
	amend_buffer_release(&wanted);
	return fine;
}

/* --- All interleavings --- */

struct choice {
	struct engine *engine;
	const struct scenario *scenario;
	const struct order *order;
	size_t taken[MAX_SESSIONS];
	size_t n_bad, n_run;
};

static bool fits(const struct choice *choice, const struct step *step)
{
	return scenario_for(choice->scenario, choice->engine, step->mark);
}

static void choose(struct choice *choice, const char *steps)
{
	bool any = false;

	for (size_t i = 0; i < choice->scenario->n_plans; i++) {
		const struct plan *plan = &choice->scenario->plans[i];
		size_t before = choice->taken[i];
		char longer[1024];

		while (choice->taken[i] < plan->n_steps &&
		       !fits(choice, &plan->steps[choice->taken[i]]))
			choice->taken[i]++;
		if (choice->taken[i] < plan->n_steps) {
			any = true;
			snprintf(longer, sizeof(longer), "%s%s%s.%s", steps, *steps ? " " : "",
				 plan->name, plan->steps[choice->taken[i]++].name);
			choose(choice, longer);
		}
		choice->taken[i] = before;
	}
	if (any)
		return;
	choice->n_run++;
	choice->n_bad += !check_order(choice->engine, choice->scenario, choice->order, steps);
}

static size_t run_orders(struct engine *engine, struct scenario *scenario)
{
	size_t n_bad = 0;

	for (size_t i = 0; i < scenario->n_orders; i++) {
		const struct order *order = &scenario->orders[i];
		struct choice choice = {.engine = engine, .scenario = scenario, .order = order};

		if (order->steps) {
			n_bad += !check_order(engine, scenario, order, order->steps);
			continue;
		}
		choose(&choice, "");
		assert_true(choice.n_run > 1);
		n_bad += choice.n_bad;
	}
	return n_bad;
}

static void run_file(struct engine *engine)
{
	struct scenario *scenario = file.scenario;
	size_t n_bad = 0, n_rules = scenario->guard.n_rules;

	for (size_t i = 0; i < n_rules; i++) {
		scenario->rule = scenario->guard.rules[i];
		/* Its triggers cannot keep it: mariadb_triggers_test.c. */
		if (engine_is(engine, "mariadb") && strcmp(scenario->rule, "next") == 0)
			continue;
		n_bad += run_orders(engine, scenario);
	}
	if (n_rules == 0)
		n_bad = run_orders(engine, scenario);
	if (n_bad > 0)
		fail_at(__FILE__, __LINE__, "%s: %zu orders went wrong", path, n_bad);
}

/* Programs of their own live as long as the test. NULL: all have started; else which package lacks. */
static const char *start_clients(struct scenario *scenario, const char *folder)
{
	const char *lacks = NULL;

	for (size_t i = 0; i < scenario->n_plans; i++) {
		struct plan *plan = &scenario->plans[i];
		const char *line;

		if (!plan->command)
			continue;
		plan->client = client_start(folder, plan->command);
		line = client_hear(plan->client);
		if (strcmp(line, "ready") != 0)
			lacks = amend_arena_text(&file.arena, line);
	}
	return lacks;
}

static bool has_clients(void)
{
	for (size_t i = 0; i < file.scenario->n_plans; i++) {
		if (file.scenario->plans[i].command)
			return true;
	}
	return false;
}

static int run_with_clients(const char *folder, const char *name, char **argv)
{
	const struct engine_test tests[] = {{name, run_file}};
	const char *ci = getenv("CI"), *lacks = start_clients(file.scenario, folder);

	if (!lacks)
		return engine_main(tests, 1, has_clients() ? 0 : ENGINES_GENERIC, 1, argv);
	printf(ci && strcmp(ci, "true") == 0 ? "Bail out! %s\n" : "1..0 # SKIP %s\n", lacks);
	return ci && strcmp(ci, "true") == 0;
}

int main(int argc, char **argv)
{
	char folder[1024];
	const char *slash;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE [ORDER]\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* of a program that has died */
	path = argv[1];
	slash = strrchr(path, '/');
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1,
		 slash ? path : ".");
	file.scenario = scenario_read(path, &file.arena);
	if (argc > 2) {
		file.scenario->orders[0] = (struct order){.steps = argv[2]};
		file.scenario->n_orders = 1;
	}
	status = run_with_clients(folder, slash ? slash + 1 : path, argv);
	for (size_t i = 0; i < file.scenario->n_plans; i++)
		client_end(file.scenario->plans[i].client);
	amend_arena_release(&file.arena);
	return status;
}

/*
 * Runs a scenario file on every engine, in the orders that it lists:
 *
 *	scenario_test FILE [ORDER]
 *
 * With AMEND_SCENARIO_PRINT set it prints what each listed order came to, to be put into the file.
 */
#include "scenario.h"

#include <stdlib.h>

static const char *path, *only_order;

/* The lines expected on this engine; NULL: none are, only what holds in every order. */
static bool expected(const struct engine *engine, const struct order *order,
		     struct amend_buffer *out)
{
	for (size_t i = 0; i < order->expect.n; i++) {
		if (scenario_for(engine, order->expect.engine[i]))
			amend_buffer_printf(out, "%s\n", order->expect.text[i]);
	}
	return order->expect.n > 0;
}

/* True: as it should be. */
static bool check_order(struct engine *engine, const struct scenario *scenario,
			const struct order *order, const char *steps)
{
	struct amend_buffer output = AMEND_BUFFER_INIT, wanted = AMEND_BUFFER_INIT;
	bool compare = expected(engine, order, &wanted);
	bool fine = run_order(engine, scenario, steps, &output);

	if (getenv("AMEND_SCENARIO_PRINT") && order->steps)
		fprintf(stderr, "%s: order %s\n%s\n", engine->name, steps,
			amend_buffer_string(&output));
	if (!fine)
		print_error("%s: order %s\n%s\n", engine->name, steps, amend_buffer_string(&output));
	else if (compare && strcmp(amend_buffer_string(&output), amend_buffer_string(&wanted)) != 0) {
		print_error("%s: order %s\n--- expected\n%s--- found\n%s\n", engine->name, steps,
			    amend_buffer_string(&wanted), amend_buffer_string(&output));
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
	return scenario_for(choice->engine, step->engine);
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

static void run_file(struct engine *engine)
{
	struct scenario *scenario = scenario_read(path, engine_arena(engine));
	struct order given = {.steps = only_order};
	size_t n_bad = 0;

	if (only_order) {
		scenario->orders[0] = given;
		scenario->n_orders = 1;
	}
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
	if (n_bad > 0)
		fail_at(__FILE__, __LINE__, "%s: %zu orders went wrong", path, n_bad);
}

int main(int argc, char **argv)
{
	static struct engine_test tests[1];
	const char *slash;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE [ORDER]\n", argv[0]);
		return 2;
	}
	path = argv[1];
	only_order = argc > 2 ? argv[2] : NULL;
	slash = strrchr(path, '/');
	tests[0].name = slash ? slash + 1 : path;
	tests[0].run = run_file;
	return engine_main(tests, 1, ENGINES_GENERIC, 1, argv);
}

/*
 * Runs tests on each engine, gives each an empty database, and cleans up behind it.
 * Leaves the engines' own client libraries to engine_*.c.
 */
#include "engines_private.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* One test on one engine: cmocka's state. */
struct engine_case {
	const struct engine_test *test;
	struct engine *engine;
};

/* The program's private folder, and its child for the test now running. */
struct folders {
	char base[512];
	unsigned count;
};

static const unsigned generic_hides = AMEND_HAS_WRITE_CTE | AMEND_HAS_KEY_STRENGTHS |
				      AMEND_HAS_ROW_VERSION;

/* --- What lasts until the test ends --- */

void engine_defer(struct engine *engine, void (*undo)(void *thing), void *thing)
{
	struct engine_private *p = engine->private_;

	if (p->n_undos == p->room_undos) {
		size_t room = p->room_undos ? p->room_undos * 2 : 16;
		struct engine_undo *undos = realloc(p->undos, room * sizeof(*undos));

		if (!undos)
			fail_at(__FILE__, __LINE__, "out of memory");
		p->undos = undos;
		p->room_undos = room;
	}
	p->undos[p->n_undos++] = (struct engine_undo){undo, thing};
}

void engine_end(struct engine *engine, void *thing)
{
	struct engine_private *p = engine->private_;

	for (size_t i = p->n_undos; i-- > 0;) {
		struct engine_undo undo = p->undos[i];

		if (undo.thing != thing)
			continue;
		p->n_undos--;
		memmove(p->undos + i, p->undos + i + 1, (p->n_undos - i) * sizeof(*p->undos));
		undo.undo(thing);
		return;
	}
	fail_at(__FILE__, __LINE__, "engine_end of what was never deferred, or has ended");
}

static void undo_all(struct engine_private *p)
{
	while (p->n_undos > 0) {
		struct engine_undo undo = p->undos[--p->n_undos];

		undo.undo(undo.thing);
	}
	free(p->undos);
	p->undos = NULL;
	p->room_undos = 0;
	p->main = NULL;
	p->sessions = NULL;
	p->connections = NULL;
	amend_arena_release(&p->arena);
}

struct amend_arena *engine_arena(struct engine *engine)
{
	return &engine->private_->arena;
}

const char *engine_copy(struct engine *engine, const char *text)
{
	const char *copy = amend_arena_text(engine_arena(engine), text);

	if (!copy)
		fail_at(__FILE__, __LINE__, "out of memory");
	return copy;
}

/* --- Folders --- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)info, (void)kind, (void)where;
	return remove(path);
}

static void remove_folder(const char *path)
{
	if (path[0] && nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		print_error("could not remove %s: %s\n", path, strerror(errno));
}

static bool make_base(struct folders *folders)
{
	const char *parent = getenv("AMEND_TEST_TMP");

	if (!parent || !*parent)
		parent = getenv("TMPDIR");
	if (!parent || !*parent)
		parent = "/tmp";
	snprintf(folders->base, sizeof(folders->base), "%s/amend-test-XXXXXX", parent);
	if (mkdtemp(folders->base))
		return true;
	fprintf(stderr, "no folder for the tests in %s: %s\n", parent, strerror(errno));
	folders->base[0] = '\0';
	return false;
}

static void drop_folder(void *path)
{
	remove_folder(path);
}

static void make_folder(struct engine *engine, struct folders *folders)
{
	char *path = amend_arena_printf(engine_arena(engine), "%s/%u", folders->base,
					folders->count++);

	if (!path || mkdir(path, 0700) != 0)
		fail_at(__FILE__, __LINE__, "no folder %s: %s", path ? path : "?", strerror(errno));
	engine->folder = path;
	engine_defer(engine, drop_folder, path);
}

/* --- cmocka's side --- */

/* cmocka hands fixtures nothing but the case: the folders are the engine's server-independent part. */
struct case_state {
	struct engine_case what;
	struct folders *folders;
};

static int set_up(void **state)
{
	struct case_state *test = *state;
	struct engine *engine = test->what.engine;

	if (!engine->private_->server)
		return 0;
	make_folder(engine, test->folders);
	engine->url = engine->private_->ops->fresh(engine);
	engine->private_->dirty = true;
	return 0;
}

static int tear_down(void **state)
{
	struct case_state *test = *state;

	undo_all(test->what.engine->private_);
	return 0;
}

static bool in_ci(void)
{
	const char *ci = getenv("CI");

	return ci && strcmp(ci, "true") == 0;
}

static void run_case(void **state)
{
	struct case_state *test = *state;
	struct engine *engine = test->what.engine;

	if (engine->private_->server)
		test->what.test->run(engine);
	else if (in_ci())
		fail_at(__FILE__, __LINE__, "%s", engine->private_->reason);
	else
		skip();
}

static bool fits(const struct engine_test *test, const struct engine *engine)
{
	return (engine->features & test->needs) == test->needs &&
	       (engine->features & test->lacks) == 0 &&
	       (!test->only || engine_is(engine, test->only));
}

static size_t list_engines(struct engine *engines, struct engine_private *privates, unsigned flags)
{
	size_t n = 0;

	if (amend_driver_sqlite) {
#ifdef AMEND_WITH_SQLITE
		privates[n].ops = &engine_ops_sqlite;
		engines[n++].driver = amend_driver_sqlite;
#endif
	}
	if (amend_driver_postgres) {
#ifdef AMEND_WITH_POSTGRES
		privates[n].ops = &engine_ops_postgres;
		engines[n++].driver = amend_driver_postgres;
		if (flags & ENGINES_GENERIC) {
			privates[n].ops = &engine_ops_postgres;
			privates[n].hidden = generic_hides;
			engines[n++].driver = amend_driver_postgres;
		}
#endif
	}
	for (size_t i = 0; i < n; i++) {
		struct engine *engine = &engines[i];

		engine->private_ = &privates[i];
		engine->features = engine->driver->features & ~privates[i].hidden;
		engine->name = engine->driver->name;
		if (privates[i].hidden)
			engine->name = "postgresql-generic";
	}
	return n;
}

/* Starts the engines that some test uses; says once which ones are missing. */
static void start_engines(struct engine *engines, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct engine_private *p = engines[i].private_;

		if (!p->used)
			continue;
		p->server = p->ops->start(&p->reason);
		if (!p->server)
			fprintf(stderr, "%s: %s: %s\n", engines[i].name,
				in_ci() ? "its tests fail" : "its tests are skipped", p->reason);
	}
}

static int run_cases(const char *program, struct case_state *cases, size_t n)
{
	struct CMUnitTest *list = calloc(n ? n : 1, sizeof(*list));
	char *names = calloc(n ? n : 1, 256);
	int status = 1;

	if (!list || !names)
		goto out;
	for (size_t i = 0; i < n; i++) {
		snprintf(names + i * 256, 256, "%s: %s", cases[i].what.engine->name,
			 cases[i].what.test->name);
		list[i] = (struct CMUnitTest){names + i * 256, run_case, set_up, tear_down,
					      &cases[i]};
	}
	status = _cmocka_run_group_tests(program, list, n, NULL, NULL) != 0;
out:
	free(list);
	free(names);
	return status;
}

int engine_main(const struct engine_test *tests, size_t n, unsigned flags, int argc, char **argv)
{
	struct engine engines[3] = {{0}};
	struct engine_private privates[3] = {{0}};
	struct case_state *cases = calloc(n * COUNT(engines) + 1, sizeof(*cases));
	struct folders folders = {.base = ""};
	size_t n_engines = list_engines(engines, privates, flags), n_cases = 0;
	const char *slash = strrchr(argv[0], '/');
	int status = 1;

	if (!cases || !make_base(&folders))
		goto out;
	for (size_t e = 0; e < n_engines; e++) {
		for (size_t t = 0; t < n; t++) {
			if (!fits(&tests[t], &engines[e]))
				continue;
			cases[n_cases++] = (struct case_state){{&tests[t], &engines[e]}, &folders};
			privates[e].used = true;
		}
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	start_engines(engines, n_engines);
	status = run_cases(slash ? slash + 1 : argv[0], cases, n_cases);
	for (size_t e = 0; e < n_engines; e++) {
		if (privates[e].server)
			privates[e].ops->stop(privates[e].server);
	}
out:
	remove_folder(folders.base);
	free(cases);
	return status;
}

bool engine_is(const struct engine *engine, const char *driver)
{
	return strcmp(engine->driver->name, driver) == 0;
}

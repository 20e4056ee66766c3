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

#include "../driver/fake.h"

/* The program's private folder, and how many children it had: one a test. */
struct folders {
	char base[512];
	unsigned count;
};

/* One test on one engine: cmocka's state. */
struct engine_case {
	const struct engine_test *test;
	struct engine *engine;
	struct folders *folders;
};

/* What "postgresql-generic" lacks. */
enum {
	GENERIC_HIDES = AMEND_HAS_WRITE_CTE | AMEND_HAS_KEY_STRENGTHS | AMEND_HAS_ROW_VERSION |
			AMEND_HAS_ARRAYS | AMEND_HAS_UPDATE_RETURNING,
};

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

static int set_up(void **state)
{
	struct engine_case *c = *state;
	struct engine *engine = c->engine;

	if (!engine->private_->server)
		return 0;
	make_folder(engine, c->folders);
	engine->url = engine->private_->ops->fresh(engine);
	engine->private_->dirty = true;
	return 0;
}

static int tear_down(void **state)
{
	struct engine_case *c = *state;

	undo_all(c->engine->private_);
	return 0;
}

static bool in_ci(void)
{
	const char *ci = getenv("CI");

	return ci && strcmp(ci, "true") == 0;
}

static void run_case(void **state)
{
	struct engine_case *c = *state;
	struct engine *engine = c->engine;

	if (!engine->private_->server)
		fail_at(__FILE__, __LINE__, "%s", engine->private_->reason);
	c->test->run(engine);
}

static bool fits(const struct engine_test *test, const struct engine *engine)
{
	return (engine->features & test->needs) == test->needs &&
	       (engine->features & test->lacks) == 0 &&
	       (!test->only || engine_is(engine, test->only)) &&
	       !(test->real && engine_is(engine, "fake")) &&
	       (!test->not_on || !engine_is(engine, test->not_on));
}

/* Whether the name is among those that the variable holds, parted by spaces. */
static bool among(const char *list, const char *name)
{
	size_t size = strlen(name);

	for (const char *at = list; at && (at = strstr(at, name)) != NULL; at += size) {
		if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
			return true;
	}
	return false;
}

/* $AMEND_TEST_ENGINES: those that are asked for; without it all are. $AMEND_TEST_NOT_ON: those that a test leaves out. */
static bool asked_for(const char *name)
{
	const char *list = getenv("AMEND_TEST_ENGINES");

	return (!list || among(list, name)) && !among(getenv("AMEND_TEST_NOT_ON"), name);
}

/* Takes one in, if it is in this build, and asked for. */
static size_t add_engine(struct engine *engines, struct engine_private *privates, size_t n,
			 const struct amend_driver *driver, const struct engine_ops *ops,
			 unsigned hidden)
{
	const char *name = !driver ? NULL : hidden ? "postgresql-generic" : driver->name;

	if (!name || !asked_for(name))
		return n;
	privates[n].ops = ops;
	privates[n].hidden = hidden;
	engines[n].driver = driver;
	engines[n].private_ = &privates[n];
	engines[n].features = driver->features & ~hidden;
	engines[n].name = name;
	return n + 1;
}

static size_t list_engines(struct engine *engines, struct engine_private *privates, unsigned flags)
{
	size_t n = 0;

#ifdef AMEND_WITH_SQLITE
	n = add_engine(engines, privates, n, amend_driver_sqlite, &engine_ops_sqlite, 0);
#endif
#ifdef AMEND_WITH_POSTGRES
	n = add_engine(engines, privates, n, amend_driver_postgres, &engine_ops_postgres, 0);
	if (flags & ENGINES_GENERIC)
		n = add_engine(engines, privates, n, amend_driver_postgres, &engine_ops_postgres,
			       GENERIC_HIDES);
#endif
#ifdef AMEND_WITH_MARIADB
	n = add_engine(engines, privates, n, amend_driver_mariadb, &engine_ops_mariadb, 0);
#endif
	/* A fake one: where it is named, and only there. */
	if (getenv("AMEND_TEST_ENGINES"))
		n = add_engine(engines, privates, n, &amend_driver_fake, &engine_ops_fake, 0);
	(void)flags;
	return n;
}

static size_t count_fitting(const struct engine_test *tests, size_t n, const struct engine *engine)
{
	size_t fitting = 0;

	for (size_t i = 0; i < n; i++)
		fitting += fits(&tests[i], engine);
	return fitting;
}

/* Starts an engine that some test uses. Where its server is missing, its tests are skipped, or fail. */
static bool start_engine(struct engine *engine, size_t n_tests)
{
	struct engine_private *p = engine->private_;

	if (n_tests == 0)
		return false;
	p->server = p->ops->start(&p->reason);
	if (p->server || in_ci())
		return true;
	printf("# SKIP %zu tests on %s: %s\n", n_tests, engine->name, p->reason);
	fflush(stdout);
	return false;
}

static int run_cases(const char *program, struct engine_case *cases, size_t n)
{
	struct CMUnitTest *list = calloc(n, sizeof(*list));
	char *names = calloc(n, 256);
	int status = 1;

	if (!list || !names)
		goto out;
	for (size_t i = 0; i < n; i++) {
		snprintf(names + i * 256, 256, "%s: %s", cases[i].engine->name, cases[i].test->name);
		list[i] = (struct CMUnitTest){names + i * 256, run_case, set_up, tear_down,
					      &cases[i]};
	}
	status = _cmocka_run_group_tests(program, list, n, NULL, NULL) != 0;
out:
	free(list);
	free(names);
	return status;
}

/* As Automake and Meson understand it, in TAP or not. */
static int skip_all(void)
{
	const char *output = getenv("CMOCKA_MESSAGE_OUTPUT");

	if (!output || strcmp(output, "TAP") != 0)
		return 77;
	puts("1..0 # SKIP no engine for these tests");
	return 0;
}

int engine_main(const struct engine_test *tests, size_t n, unsigned flags, int argc, char **argv)
{
	struct engine engines[5] = {{0}};
	struct engine_private privates[5] = {{0}};
	struct engine_case *cases = calloc(n * COUNT(engines) + 1, sizeof(*cases));
	struct folders folders = {.base = ""};
	size_t n_engines = list_engines(engines, privates, flags), n_cases = 0;
	const char *slash = strrchr(argv[0], '/');
	int status = 1;

	if (!cases || !make_base(&folders))
		goto out;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	for (size_t e = 0; e < n_engines; e++) {
		if (!start_engine(&engines[e], count_fitting(tests, n, &engines[e])))
			continue;
		for (size_t t = 0; t < n; t++) {
			if (fits(&tests[t], &engines[e]))
				cases[n_cases++] = (struct engine_case){&tests[t], &engines[e],
									&folders};
		}
	}
	status = n_cases > 0 ? run_cases(slash ? slash + 1 : argv[0], cases, n_cases) : skip_all();
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

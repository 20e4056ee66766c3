/*
 * Every operation of the library with each of its allocations failing, and each of its calls of the driver: the failure is
 * told, what it says is so, nothing is leaked, and what comes next is well.
 * Leaves what fails beneath the driver to beneath_test.c; $AMEND_TEST_STEP=1 lets each of them fail, not every so many-th.
 */
#include "faults.h"
#include "memory.h"
#include "sql/conn.h"

/* --- Memory --- */

static void fail_memory(struct stage *stage, unsigned nth)
{
	bool server = !engine_is(stage->engine, "sqlite");
	unsigned step = stage_step() == 0   ? (server ? 397 : 37)
			: stage_step() == 1 ? 1
					    : stage_step() * (server ? 3 : 1);

	for (unsigned n = 1 + nth % step;; n += step) {
		enum amend_status status;
		bool failed;
		long live;

		stage->what = engine_printf(stage->engine, "%s%s, allocation %u",
					    stage->operation->name, stage->inside ? ", inside" : "",
					    n);
		stage_set(stage);
		live = memory_live();
		stage_open(stage, true);
		memory_fail(n);
		status = stage_run(stage);
		failed = memory_failed();
		if (failed)
			stage_use(stage);
		stage_close(stage, status);
		/* What strdup has given is freed here and was not counted. */
		if (memory_live() > live)
			fail_at(__FILE__, __LINE__, "%s: %s, %ld pieces are not freed", stage->what,
				amend_status_name(status), memory_live() - live);
		if (!failed)
			return;
		stage_judge(stage, status, false);
	}
}

/* --- Calls of the driver --- */

static void without(struct stage *stage, enum amend_status with, unsigned first, unsigned step)
{
	for (unsigned n = first;; n += step) {
		enum amend_status status;
		bool fired;

		stage->what = engine_printf(stage->engine, "%s%s, call %u of the driver %s",
					    stage->operation->name, stage->inside ? ", inside" : "",
					    n, amend_status_name(with));
		stage_set(stage);
		stage_open(stage, true);
		stage->trace.fault = (struct amend_trace_fault){
			.op = AMEND_TRACE_ANY, .nth = n, .status = with};
		status = stage_run(stage);
		fired = stage->trace.fault.fired;
		stage_close(stage, status);
		if (!fired)
			return;
		stage_judge(stage, status, false);
	}
}

static void fail_calls(struct stage *stage, unsigned nth)
{
	static const enum amend_status kinds[] = {
		AMEND_INTERNAL, AMEND_UNREACHABLE, AMEND_NO_MEMORY,  AMEND_LOCKED,
		AMEND_RETRY,    AMEND_DENIED,      AMEND_CONSTRAINT, AMEND_INTERRUPTED};
	bool asked = stage_step() > 0;
	unsigned step = asked                                ? (stage_step() + 6) / 7
			: engine_is(stage->engine, "sqlite") ? 5
							     : 29;
	/* In the ordinary run one of them, in a longer one two. */
	unsigned many = stage_step() == 1 ? COUNT(kinds) : asked ? 2 : 1;

	for (unsigned i = 0; i < many; i++)
		without(stage, kinds[(nth * many + i) % COUNT(kinds)], 1 + (nth + i) % step, step);
}

/* --- All of them --- */

static void memory_fails(struct engine *engine)
{
	stage_each(engine, fail_memory);
}

static void calls_fail(struct engine *engine)
{
	stage_each(engine, fail_calls);
}

static const struct engine_test tests[] = {
	{"each allocation fails: told, nothing done, nothing leaked", memory_fails},
	{"each call of the driver fails: told, nothing done", calls_fail},
};

ENGINE_MAIN(tests)

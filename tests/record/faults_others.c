/*
 * Units, operations under an id, leases, many records, the past, the ledger and guards, in their usual forms.
 * Leaves single records to faults_records.c, and making them fail to the tests.
 */
#include "faults.h"
#include "faults_values.h"

static const struct amend_field id_1 = {"id", INTEGER(1)}, id_3 = {"id", INTEGER(3)};
static const struct amend_match first = {&id_1, 1}, third = {&id_3, 1};

static enum amend_status add(struct faulted *at)
{
	static const struct amend_assign set = {"qty", AMEND_ADD, INTEGER(-3)};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;

	write.keys = &first, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	status = amend_write(at->db, at->table, &write, &result, &at->err);
	at->id = result.revision;
	amend_result_release(&result);
	return status;
}

static enum amend_status delete_one(struct faulted *at)
{
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_delete(at->db, at->table, &third, NULL, AMEND_WAIT,
						&result, &at->err);

	amend_result_release(&result);
	return status;
}

/* A save against what others have changed, in the same field. */
static enum amend_status conflict(struct faulted *at)
{
	static const struct amend_field originals[] = {{"name", TEXT("was")}, {"qty", INTEGER(7)}};
	static const struct amend_assign set[] = {{"name", AMEND_SET, TEXT("uno")},
						  {"qty", AMEND_SET, INTEGER(50)}};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;

	write.keys = &first, write.n_keys = 1;
	write.set = set, write.n_set = 2;
	write.expect.originals = originals, write.expect.n_originals = 2;
	write.merge = true;
	status = amend_write(at->db, at->table, &write, &result, &at->err);
	at->id = result.conflict;
	amend_result_release(&result);
	return status == AMEND_CONFLICT ? AMEND_OK : status;
}

/* --- Units, operations, leases --- */

static enum amend_status said(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)db;
	(void)context;
	err->status = AMEND_OK;
	return AMEND_OK;
}

static enum amend_status hold_and_write(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	struct faulted *at = context;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_hold(db, at->table, &first, AMEND_FOR_UPDATE, AMEND_WAIT,
					      &result, &at->err);

	amend_result_release(&result);
	if (status == AMEND_OK)
		status = amend_on_commit(db, said, NULL, false, &at->err);
	if (status == AMEND_OK)
		status = add(at);
	*err = at->err;
	return status;
}

static enum amend_status nest(struct amend_conn *db, void *context, struct amend_error *err)
{
	enum amend_status status = amend_atomic(db, NULL, hold_and_write, context, err);

	return status == AMEND_OK ? delete_one(context) == AMEND_OK
					    ? AMEND_OK
					    : (*err = ((struct faulted *)context)->err).status
				  : status;
}

static enum amend_status unit(struct faulted *at)
{
	struct amend_error err;
	enum amend_status status = amend_atomic(at->db, NULL, nest, at, &err);

	at->err = err;
	return status;
}

static enum amend_status answer(struct amend_conn *db, void *context, struct amend_error *err)
{
	enum amend_status status = hold_and_write(db, context, err);

	return status == AMEND_OK ? amend_once_answer(db, "an answer", err) : status;
}

static enum amend_status once(struct faulted *at)
{
	static const struct amend_once_options options = {.request = "the same"};
	struct amend_once_result result = AMEND_ONCE_RESULT_INIT;
	struct amend_error err;
	enum amend_status status = amend_once(at->db, "op-1", answer, at, &options, &result, &err);

	amend_once_result_release(&result);
	at->err = err;
	return status;
}

static enum amend_status find_once(struct faulted *at)
{
	struct amend_once_result result = AMEND_ONCE_RESULT_INIT;
	enum amend_status status = amend_once_find(at->db, "op-1", &result, &at->err);

	amend_once_result_release(&result);
	return status;
}

static enum amend_status forget(struct faulted *at)
{
	return amend_once_forget(at->db, 0, NULL, &at->err);
}

/* Done long ago. */
static enum amend_status once_then(struct faulted *at)
{
	enum amend_status status = once(at);

	engine_execf(at->engine, "UPDATE %soperation SET at = '2001-01-01 00:00:00.000000'",
		     engine_pick3(at->engine, "amend_", "amend.", "amend_"));
	return status;
}

/* The inner unit fails and is undone; the outer one goes on. */
static enum amend_status refuse(struct amend_conn *db, void *context, struct amend_error *err)
{
	enum amend_status status = hold_and_write(db, context, err);

	return status == AMEND_OK ? amend_error_set(err, AMEND_STALE, "not this") : status;
}

static enum amend_status go_on(struct amend_conn *db, void *context, struct amend_error *err)
{
	enum amend_status status = amend_atomic(db, NULL, refuse, context, err);

	if (status != AMEND_STALE)
		return status;
	status = delete_one(context);
	*err = ((struct faulted *)context)->err;
	return status;
}

static enum amend_status undone_inside(struct faulted *at)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct amend_error err;
	enum amend_status status;

	options.time_limit_ms = 60000;
	options.lock_timeout_ms = 2000;
	options.isolation = AMEND_SERIALIZABLE;
	status = amend_atomic(at->db, &options, go_on, at, &err);
	at->err = err;
	return status;
}

static enum amend_status hold_table(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct faulted *at = context;
	enum amend_status status = amend_hold_table(db, at->table, AMEND_FOR_UPDATE, AMEND_NOWAIT,
						    err);

	return status == AMEND_OK
		       ? amend_query(db, "UPDATE t SET note = 'held'", NULL, 0, NULL, err)
		       : status;
}

static enum amend_status hold_all(struct faulted *at)
{
	struct amend_error err;
	enum amend_status status = amend_atomic(at->db, NULL, hold_table, at, &err);

	at->err = err;
	return status;
}

static enum amend_status read_all(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_query(db, "SELECT * FROM w", NULL, 0, &rows, err);

	(void)context;
	amend_rows_release(&rows);
	return status;
}

static enum amend_status read_only(struct faulted *at)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;

	options.read_only = true;
	options.isolation = AMEND_REPEATABLE_READ;
	return amend_atomic(at->db, &options, read_all, at, &at->err);
}

static enum amend_status see_held(const struct amend_held *held, void *context,
				  struct amend_error *err)
{
	(void)held;
	(void)context;
	err->status = AMEND_OK;
	return AMEND_OK;
}

static enum amend_status see_event(const struct amend_lease_event *event, void *context,
				   struct amend_error *err)
{
	(void)event;
	(void)context;
	err->status = AMEND_OK;
	return AMEND_OK;
}

static enum amend_status acquire_as(struct faulted *at, const struct amend_lease_name *name)
{
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
	struct amend_lease held;
	enum amend_status status;

	options.mandatory = !name->name;
	status = amend_lease_acquire(at->db, name, &options, &held, &at->err);
	snprintf(at->token, sizeof(at->token), "%s", held.token);
	return status;
}

static enum amend_status acquire(struct faulted *at)
{
	return acquire_as(at, &(const struct amend_lease_name){NULL, at->table, &first});
}

static enum amend_status acquire_name(struct faulted *at)
{
	return acquire_as(at, &(const struct amend_lease_name){.name = "nightly"});
}

static enum amend_status renew(struct faulted *at)
{
	const struct amend_lease_name name = {NULL, at->table, &first};
	struct amend_lease held;

	return amend_lease_renew(at->db, &name, at->token, 0, &held, &at->err);
}

static enum amend_status release(struct faulted *at)
{
	const struct amend_lease_name name = {NULL, at->table, &first};

	return amend_lease_release(at->db, &name, at->token, &at->err);
}

static enum amend_status break_it(struct faulted *at)
{
	const struct amend_lease_name name = {NULL, at->table, &first};
	struct amend_lease other;

	return amend_lease_break(at->db, &name, "gone home", &other, &at->err);
}

static enum amend_status write_leased(struct faulted *at)
{
	enum amend_status status = amend_use_lease(at->db, at->token, &at->err);

	return status == AMEND_OK ? add(at) : status;
}

static enum amend_status list_leases(struct faulted *at)
{
	const struct amend_lease_name name = {NULL, at->table, &first};
	enum amend_status status = amend_leases(at->db, NULL, see_held, NULL, &at->err);

	if (status == AMEND_OK)
		status = amend_leases(at->db, &name, see_held, NULL, &at->err);
	return status == AMEND_OK ? amend_lease_events(at->db, &name, 0, see_event, NULL, &at->err)
				  : status;
}

/* --- Many records, and the past --- */

static enum amend_status see_conflict(const struct amend_conflict *found, void *context,
				      struct amend_error *err)
{
	int64_t *id = context;

	err->status = AMEND_OK;
	*id = found->id;
	return AMEND_OK;
}

static struct amend_sync_options sync_options(void)
{
	static const char *const match[] = {"id"};
	struct amend_sync_options options = AMEND_SYNC_OPTIONS_INIT;

	options.match = match, options.n_match = 1;
	options.adopt = AMEND_ADOPT_INCOMING;
	options.max_missing = 100;
	options.max_rejects = 0;
	return options;
}

static enum amend_status sync_as(struct faulted *at, const char *feed, const char *table,
				 const struct amend_sync_options *options)
{
	struct amend_sync_report report = {0};
	struct amend_source *source = NULL;
	enum amend_status status = amend_source_open(feed, NULL, &source, &at->err);

	if (status == AMEND_OK) {
		status = amend_sync(at->db, source, table, options, &report, &at->err);
		at->id = report.run;
		amend_sync_report_release(&report);
	}
	amend_source_close(source);
	return status;
}

/* Two records are changed, and one is new. */
static enum amend_status sync_feed(struct faulted *at)
{
	const struct amend_sync_options options = sync_options();

	return sync_as(at, at->feed, "t", &options);
}

/* One is edited, one is gone, one is new, one has another name. */
static enum amend_status sync_again(struct faulted *at)
{
	struct amend_sync_options options = sync_options();

	options.missing = AMEND_MISSING_DELETE;
	options.atomic = true;
	return sync_as(at, at->later, "t", &options);
}

static enum amend_status sync_and_add(struct faulted *at)
{
	enum amend_status status = sync_feed(at);

	return status == AMEND_OK ? add(at) : status;
}

/* From a query, into a table that is guarded. */
static enum amend_status sync_query(struct faulted *at)
{
	static const char *const columns[] = {"n"};
	struct amend_sync_options options = sync_options();
	struct amend_source_options asked = AMEND_SOURCE_OPTIONS_INIT;
	struct amend_sync_report report = {0};
	struct amend_source *source = NULL;
	enum amend_status status;

	asked.query = "SELECT id, n + 1 AS n FROM h";
	options.columns = columns, options.n_columns = 0;
	status = amend_source_open(at->url, &asked, &source, &at->err);
	if (status == AMEND_OK) {
		status = amend_sync(at->db, source, "h", &options, &report, &at->err);
		amend_sync_report_release(&report);
	}
	amend_source_close(source);
	return status;
}

static enum amend_status write_plan(void *context, const char *bytes, size_t size,
				    struct amend_error *err)
{
	if (fwrite(bytes, 1, size, context) != size)
		return amend_error_set(err, AMEND_INTERNAL, "the plan cannot be written");
	err->status = AMEND_OK;
	return AMEND_OK;
}

static enum amend_status plan(struct faulted *at)
{
	struct amend_sync_options options = sync_options();
	FILE *file = fopen(at->plan, "w");
	enum amend_status status;

	if (!file)
		return amend_error_set(&at->err, AMEND_NO_MEMORY, "no file");
	options.on_plan = write_plan;
	options.context = file;
	status = sync_as(at, at->feed, "t", &options);
	fclose(file);
	return status;
}

static enum amend_status apply(struct faulted *at)
{
	static const struct amend_apply_options options = AMEND_APPLY_OPTIONS_INIT;
	struct amend_sync_report report = {0};
	struct amend_plan *saved = NULL;
	enum amend_status status = amend_plan_open(at->plan, &saved, &at->err);

	if (status == AMEND_OK) {
		status = amend_apply(at->db, saved, &options, &report, &at->err);
		amend_sync_report_release(&report);
	}
	amend_plan_close(saved);
	return status;
}

static enum amend_status list_conflicts(struct faulted *at)
{
	const struct amend_conflict_filter open = {.table = "t"};

	return amend_conflicts(at->db, &open, see_conflict, &at->id, &at->err);
}

static enum amend_status settle_as(struct faulted *at, const struct amend_resolution *how)
{
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_resolve(at->db, how, &result, &at->err);

	amend_result_release(&result);
	return status;
}

static enum amend_status settle(struct faulted *at)
{
	return settle_as(
		at, &(const struct amend_resolution){.id = at->id, .take = AMEND_TAKE_INCOMING});
}

/* One field, and not the other. */
static enum amend_status settle_half(struct faulted *at)
{
	static const struct amend_decision half = {.column = "qty", .value = INTEGER(51)};

	return settle_as(at, &(const struct amend_resolution){
				     .id = at->id, .decisions = &half, .n_decisions = 1});
}

static bool agree(const struct amend_revert_report *report, void *context)
{
	(void)report;
	(void)context;
	return true;
}

static enum amend_status revert(struct faulted *at)
{
	struct amend_revert revert = AMEND_REVERT_INIT;
	struct amend_revert_report report;

	revert.revision = at->id;
	revert.on_conflict = AMEND_REVERT_INCOMING;
	return amend_revert(at->db, &revert, &report, &at->err);
}

static enum amend_status revert_run(struct faulted *at)
{
	struct amend_revert revert = AMEND_REVERT_INIT;
	struct amend_revert_report report;

	revert.run = at->id;
	revert.confirm = agree;
	return amend_revert(at->db, &revert, &report, &at->err);
}

static enum amend_status see_run(const struct amend_run *run, void *context, struct amend_error *err)
{
	(void)run;
	(void)context;
	err->status = AMEND_OK;
	return AMEND_OK;
}

static enum amend_status show_run(struct faulted *at)
{
	return amend_run_show(at->db, at->id, see_run, NULL, &at->err);
}

/* What is in history is old, and no token needs it: two changes of the first record. */
static enum amend_status age(struct faulted *at)
{
	const char *ledger = engine_pick3(at->engine, "amend_", "amend.", "amend_");
	enum amend_status status;

	engine_execf(at->engine, "DELETE FROM %schange; DELETE FROM %srevision", ledger, ledger);
	status = add(at);
	if (status == AMEND_OK)
		status = add(at);
	engine_execf(at->engine, "UPDATE %srevision SET at = '2001-01-01 00:00:00.000000'", ledger);
	return status;
}

static enum amend_status prune(struct faulted *at)
{
	struct amend_prune prune = AMEND_PRUNE_INIT;
	struct amend_pruned done;

	prune.keep = 1;
	return amend_prune(at->db, &prune, &done, &at->err);
}

/* --- The ledger and guards --- */

static void see_text(void *context, const char *text)
{
	(void)context;
	(void)text;
}

static void see_finding(void *context, enum amend_level level, const char *topic, const char *text)
{
	(void)context;
	(void)level;
	(void)topic;
	(void)text;
}

static enum amend_status look_at_ledger(struct faulted *at)
{
	enum amend_status status = amend_init(at->db, NULL, &at->err);

	if (status == AMEND_OK)
		status = amend_init_script(at->db, see_text, NULL, &at->err);
	if (status == AMEND_OK)
		status = amend_guard_script(at->db, see_text, NULL, &at->err);
	return status;
}

static enum amend_status check(struct faulted *at)
{
	return amend_check(at->db, see_finding, NULL, &at->err);
}

static enum amend_status rotate(struct faulted *at)
{
	return amend_rotate_key(at->db, &at->err);
}

static enum amend_status plan_guard(struct faulted *at)
{
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;
	enum amend_status status;

	options.history = true;
	status = amend_guard_plan(at->db, "t", &options, false, NULL, see_text, NULL, &at->err);
	return status == AMEND_OK ? amend_guard_plan(at->db, "h", &options, true, NULL, see_text,
						     NULL, &at->err)
				  : status;
}

static enum amend_status guard(struct faulted *at)
{
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;

	options.history = true;
	return amend_guard(at->db, "g", &options, NULL, &at->err);
}

static enum amend_status unguard(struct faulted *at)
{
	return amend_unguard(at->db, "g", NULL, &at->err);
}

/* The connection itself, and the first thing that is asked on it. */
static enum amend_status open_anew(struct faulted *at)
{
	struct amend_conn *db = NULL;
	struct amend_rows names = AMEND_ROWS_INIT;
	enum amend_status status = amend_open(at->url, NULL, &db, &at->err);

	if (status == AMEND_OK)
		status = amend_table_names(db, &names, &at->err);
	amend_rows_release(&names);
	amend_close(db);
	return status;
}

const struct faulted_operation faulted_others[] = {
	{"unit", unit},
	{"undone inside", undone_inside},
	{"hold a table", hold_all, .not_on = "mariadb"},
	{"read only", read_only},
	{"once", once},
	{"once more", once, .prepare = once},
	{"find once", find_once, .prepare = once},
	{"forget", forget, .prepare = once_then},
	{"acquire", acquire, .several = true},
	{"acquire a name", acquire_name},
	{"renew", renew, .prepare = acquire},
	{"release", release, .prepare = acquire},
	{"break", break_it, .prepare = acquire},
	{"write leased", write_leased, .prepare = acquire},
	{"write without the lease", add, AMEND_LOCKED, .prepare = acquire},
	{"list leases", list_leases, .prepare = acquire},
	{"sync", sync_feed, .several = true},
	{"sync again", sync_again, .prepare = sync_and_add},
	{"sync a query", sync_query, .table = "h", .several = true},
	{"plan", plan},
	{"apply", apply, .prepare = plan, .several = true},
	{"list conflicts", list_conflicts, .prepare = conflict},
	{"settle", settle, .prepare = conflict},
	{"settle half", settle_half, AMEND_CONFLICT, .prepare = conflict},
	{"revert", revert, .prepare = add},
	{"revert a run", revert_run, .prepare = sync_feed},
	{"show a run", show_run, .prepare = sync_feed},
	{"look at the ledger", look_at_ledger},
	{"check", check},
	{"rotate", rotate, .several = true},
	{"plan a guard", plan_guard},
	{"guard", guard, .guards = true},
	{"unguard", unguard, .prepare = guard, .guards = true},
	{"open", open_anew},
	{"prune", prune, .prepare = age, .several = true},
};
const size_t n_faulted_others = COUNT(faulted_others);

/*
 * Operations of the library, in their usual forms.
 * Leaves making them fail, and looking at what that does, to faults_test.c.
 */
#include "faults.h"

#include "sql/conn.h"

#define INTEGER(i)                                       \
	{                                                \
		.kind = AMEND_INTEGER, .as.integer = (i) \
	}
#define TEXT(t)                                                           \
	{                                                                 \
		.kind = AMEND_TEXT, .size = sizeof(t) - 1, .as.text = (t) \
	}

static const struct amend_field id_1 = {"id", INTEGER(1)}, id_2 = {"id", INTEGER(2)},
				id_3 = {"id", INTEGER(3)}, id_9 = {"id", INTEGER(9)},
				named = {"name", TEXT("two")}, unnamed = {"name", TEXT("none")};
static const struct amend_match first = {&id_1, 1}, second = {&id_2, 1}, third = {&id_3, 1},
				ninth = {&id_9, 1};
static const struct amend_assign new_qty = {"qty", AMEND_SET, INTEGER(50)};

/* --- Reading --- */

static enum amend_status get(struct faulted *at)
{
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_get(at->db, at->table, &first, true, &result, &at->err);

	amend_result_release(&result);
	return status;
}

static enum amend_status describe(struct faulted *at)
{
	struct amend_rows names = AMEND_ROWS_INIT;
	struct amend_table *table = NULL, *child = NULL;
	enum amend_status status = amend_table_open(at->db, "t", &table, &at->err);

	if (status == AMEND_OK)
		status = amend_table_open_recorded(at->db, "c", &child, &at->err);
	if (status == AMEND_OK)
		status = amend_table_set_version(table, "qty", &at->err);
	if (status == AMEND_OK)
		status = amend_table_names(at->db, &names, &at->err);
	amend_rows_release(&names);
	amend_table_close(child);
	amend_table_close(table);
	return status;
}

static enum amend_status see_entry(const struct amend_log_entry *entry, void *context,
				   struct amend_error *err)
{
	(void)entry;
	(void)context;
	err->status = AMEND_OK;
	return AMEND_OK;
}

static enum amend_status read_log(struct faulted *at)
{
	struct amend_moment since, until;
	struct amend_log_filter filter = {.table = at->table, .key = &first, .by = "ada"};
	enum amend_status status = amend_moment_parse("2020-01-01", &since, &at->err);

	if (status == AMEND_OK)
		status = amend_moment_parse("now", &until, &at->err);
	if (status == AMEND_OK)
		status = amend_log(at->db, &filter, see_entry, NULL, &at->err);
	filter = (struct amend_log_filter){
		.since = &since, .until = &until, .text = "on", .limit = 5};
	if (status == AMEND_OK)
		status = amend_log(at->db, &filter, see_entry, NULL, &at->err);
	filter = (struct amend_log_filter){.revision = 1};
	if (status == AMEND_OK)
		status = amend_log(at->db, &filter, see_entry, NULL, &at->err);
	return status;
}

static enum amend_status look_back(struct faulted *at)
{
	static const struct amend_moment now = {.kind = AMEND_NOW};
	struct amend_moment then;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_moment_parse("1", &then, &at->err);

	if (status == AMEND_OK)
		status = amend_get_at(at->db, at->table, &first, &then, &result, &at->err);
	amend_result_release(&result);
	if (status == AMEND_OK)
		status = amend_diff(at->db, at->table, &first, &then, &now, &result, &at->err);
	amend_result_release(&result);
	return status;
}

/* --- Writing one record --- */

static enum amend_status write_as(struct faulted *at, const struct amend_write *write)
{
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_write(at->db, at->table, write, &result, &at->err);

	amend_result_release(&result);
	return status;
}

static enum amend_status create(struct faulted *at)
{
	static const struct amend_assign set[] = {{"id", AMEND_SET, INTEGER(9)},
						  {"name", AMEND_SET, TEXT("nine")},
						  {"qty", AMEND_SET, INTEGER(9)}};
	struct amend_write write = AMEND_WRITE_INIT;

	write.mode = AMEND_CREATE;
	write.keys = &ninth, write.n_keys = 1;
	write.set = set, write.n_set = 3;
	write.want_token = true;
	return write_as(at, &write);
}

static enum amend_status add(struct faulted *at)
{
	static const struct amend_assign set[] = {{"qty", AMEND_ADD, INTEGER(-3)},
						  {"note", AMEND_SET, TEXT("sold")}};
	static const struct amend_bound bound = {"qty", INTEGER(0), INTEGER(1000)};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = set, write.n_set = 2;
	write.bounds = &bound, write.n_bounds = 1;
	write.expect.once = "";
	return write_as(at, &write);
}

static enum amend_status by_name(struct faulted *at, enum amend_mode mode,
				 const struct amend_match *keys, size_t n_keys)
{
	static const struct amend_assign on_create = {"id", AMEND_SET, INTEGER(9)};
	struct amend_write write = AMEND_WRITE_INIT;

	write.mode = mode;
	write.keys = keys, write.n_keys = n_keys;
	write.set = &new_qty, write.n_set = 1;
	write.on_create = &on_create, write.n_on_create = 1;
	return write_as(at, &write);
}

static enum amend_status update_or_create(struct faulted *at)
{
	static const struct amend_match key = {&named, 1};

	return by_name(at, AMEND_UPDATE_OR_CREATE, &key, 1);
}

static enum amend_status get_or_create(struct faulted *at)
{
	static const struct amend_match keys[] = {{&unnamed, 1}, {&id_9, 1}};

	return by_name(at, AMEND_GET_OR_CREATE, keys, 2);
}

static enum amend_status double_it(struct amend_compute *compute, const struct amend_value *current,
				   void *context, struct amend_error *err)
{
	static const struct amend_value doubled = INTEGER(20);

	(void)current;
	(void)context;
	return amend_compute_set(compute, "qty", &doubled, err);
}

static enum amend_status compute(struct faulted *at)
{
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.compute = double_it;
	return write_as(at, &write);
}

/* By the token of what is there. */
static enum amend_status by_token(struct faulted *at)
{
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result seen = AMEND_RESULT_INIT;
	enum amend_status status = amend_get(at->db, at->table, &first, true, &seen, &at->err);

	write.keys = &first, write.n_keys = 1;
	write.set = &new_qty, write.n_set = 1;
	write.expect.token = seen.token;
	write.want_token = true;
	if (status == AMEND_OK && !seen.token)
		status = amend_error_set(&at->err, AMEND_NO_MEMORY, "no token: %s",
					 seen.no_token ? seen.no_token : "?");
	if (status == AMEND_OK)
		status = write_as(at, &write);
	amend_result_release(&seen);
	return status;
}

static enum amend_status expecting(struct faulted *at, const struct amend_field *originals,
				   bool merge, bool adds)
{
	static const struct amend_assign set[] = {{"qty", AMEND_SET, INTEGER(50)},
						  {"note", AMEND_SET, TEXT("mine\ntwo\nthree\n")}};
	static const struct amend_merge_rule rule = {"qty", AMEND_MERGE_ADD};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = set, write.n_set = 2;
	write.expect.originals = originals, write.expect.n_originals = 3;
	write.merge = merge;
	write.rules = &rule, write.n_rules = adds ? 1 : 0;
	return write_as(at, &write);
}

/* What others are said to have changed since. */
static enum amend_status stale(struct faulted *at)
{
	static const struct amend_field originals[] = {
		{"name", TEXT("one")}, {"qty", INTEGER(7)}, {"note", TEXT("one\ntwo\nthree\n")}};

	return expecting(at, originals, false, false);
}

static enum amend_status merge(struct faulted *at)
{
	static const struct amend_field originals[] = {
		{"name", TEXT("was")}, {"qty", INTEGER(8)}, {"note", TEXT("one\ntwo\nthree\n")}};

	return expecting(at, originals, true, true);
}

static enum amend_status conflict(struct faulted *at)
{
	static const struct amend_field originals[] = {
		{"name", TEXT("one")}, {"qty", INTEGER(7)}, {"note", TEXT("one\ntwo\nthree\n")}};

	return expecting(at, originals, true, false);
}

static enum amend_status violate(struct faulted *at)
{
	static const struct amend_assign set[] = {{"name", AMEND_SET, TEXT("two")},
						  {"qty", AMEND_SET, {AMEND_NULL, 0, {0}}}};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = set, write.n_set = 2;
	return write_as(at, &write);
}

static enum amend_status delete_as(struct faulted *at, const struct amend_match *key)
{
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_delete(at->db, at->table, key, NULL, AMEND_WAIT, &result,
						&at->err);

	amend_result_release(&result);
	return status;
}

static enum amend_status delete_one(struct faulted *at)
{
	return delete_as(at, &third);
}

/* Its row in c refers to it. */
static enum amend_status delete_parent(struct faulted *at)
{
	return delete_as(at, &second);
}

static enum amend_status add_combined(struct faulted *at)
{
	static const struct amend_assign set = {"qty", AMEND_ADD, INTEGER(5)};
	struct amend_combiner *combiner = NULL;
	struct amend_result result = AMEND_RESULT_INIT;
	struct amend_write write = AMEND_WRITE_INIT;
	enum amend_status status = amend_combiner_new(&combiner, &at->err);

	write.keys = &first, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	if (status == AMEND_OK)
		status = amend_write_combined(combiner, at->db, at->table, &write, &result,
					      &at->err);
	amend_result_release(&result);
	amend_combiner_free(combiner);
	return status;
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
	enum amend_status status = AMEND_OK;

	for (int i = 0; i < 2 && status == AMEND_OK; i++) {
		status = amend_once(at->db, "op-1", answer, at, &options, &result, &err);
		amend_once_result_release(&result);
	}
	if (status == AMEND_OK)
		status = amend_once_find(at->db, "op-1", &result, &err);
	amend_once_result_release(&result);
	if (status == AMEND_OK)
		status = amend_once_forget(at->db, 0, NULL, &err);
	at->err = err;
	return status;
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

static enum amend_status lease(struct faulted *at)
{
	const struct amend_lease_name name = {NULL, at->table, &first};
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
	struct amend_lease held, other;
	enum amend_status status;

	options.mandatory = true;
	status = amend_lease_acquire(at->db, &name, &options, &held, &at->err);
	if (status == AMEND_OK)
		status = amend_lease_renew(at->db, &name, held.token, 0, &held, &at->err);
	if (status == AMEND_OK)
		status = amend_use_lease(at->db, held.token, &at->err);
	if (status == AMEND_OK)
		status = add(at);
	if (status == AMEND_OK)
		status = amend_use_lease(at->db, NULL, &at->err);
	if (status == AMEND_OK)
		status = amend_leases(at->db, NULL, see_held, NULL, &at->err);
	if (status == AMEND_OK)
		status = amend_lease_release(at->db, &name, held.token, &at->err);
	if (status == AMEND_OK)
		status = amend_lease_acquire(at->db, &name, &options, &held, &at->err);
	if (status == AMEND_OK)
		status = amend_lease_break(at->db, &name, "gone home", &other, &at->err);
	if (status == AMEND_OK)
		status = amend_lease_events(at->db, &name, 0, see_event, NULL, &at->err);
	return status;
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

/* Two records are changed, and one is new. */
static enum amend_status sync_feed(struct faulted *at)
{
	static const char *const match[] = {"id"};
	struct amend_sync_options options = AMEND_SYNC_OPTIONS_INIT;
	struct amend_sync_report report = {0};
	struct amend_source *source = NULL;
	enum amend_status status = amend_source_open(at->feed, NULL, &source, &at->err);

	options.match = match, options.n_match = 1;
	options.adopt = AMEND_ADOPT_INCOMING;
	if (status == AMEND_OK) {
		status = amend_sync(at->db, source, "t", &options, &report, &at->err);
		amend_sync_report_release(&report);
	}
	amend_source_close(source);
	return status;
}

static enum amend_status settle(struct faulted *at)
{
	const struct amend_conflict_filter open = {.table = "t"};
	struct amend_resolution how = {.take = AMEND_TAKE_INCOMING};
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = conflict(at);

	if (status == AMEND_CONFLICT)
		status = amend_conflicts(at->db, &open, see_conflict, &how.id, &at->err);
	if (status == AMEND_OK)
		status = amend_resolve(at->db, &how, &result, &at->err);
	amend_result_release(&result);
	return status;
}

static enum amend_status revert(struct faulted *at)
{
	struct amend_revert revert = AMEND_REVERT_INIT;
	struct amend_revert_report report;

	revert.revision = 1;
	revert.on_conflict = AMEND_REVERT_INCOMING;
	return amend_revert(at->db, &revert, &report, &at->err);
}

static enum amend_status prune(struct faulted *at)
{
	struct amend_prune prune = AMEND_PRUNE_INIT;
	struct amend_pruned done;

	prune.keep = 1;
	prune.dry_run = true;
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

static enum amend_status ledger(struct faulted *at)
{
	enum amend_status status = amend_init(at->db, NULL, &at->err);

	if (status == AMEND_OK)
		status = amend_init_script(at->db, see_text, NULL, &at->err);
	if (status == AMEND_OK)
		status = amend_rotate_key(at->db, &at->err);
	if (status == AMEND_OK)
		status = amend_check(at->db, see_finding, NULL, &at->err);
	return status;
}

static enum amend_status guard(struct faulted *at)
{
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;
	enum amend_status status;

	options.history = true;
	status = amend_guard_plan(at->db, "t", &options, false, NULL, see_text, NULL, &at->err);
	if (status == AMEND_OK)
		status = amend_guard(at->db, "g", &options, NULL, &at->err);
	if (status == AMEND_OK)
		status = amend_unguard(at->db, "g", NULL, &at->err);
	return status;
}

const struct faulted_operation faulted_operations[] = {
	{"get", get},
	{"describe", describe},
	{"log", read_log},
	{"look back", look_back},
	{"create", create},
	{"add", add},
	{"update or create", update_or_create},
	{"get or create", get_or_create},
	{"compute", compute},
	{"by token", by_token},
	{"stale", stale, AMEND_STALE},
	{"merge", merge},
	{"conflict", conflict, AMEND_CONFLICT},
	{"violations", violate, AMEND_CONSTRAINT},
	{"delete", delete_one},
	{"delete a parent", delete_parent, AMEND_CONSTRAINT},
	{"add combined", add_combined},
	{"unit", unit},
	{"once", once, .several = true},
	{"lease", lease, .several = true},
	{"sync", sync_feed, .several = true},
	{"settle", settle, .several = true},
	{"revert", revert},
	{"prune", prune},
	{"ledger", ledger, .several = true},
	{"guard", guard, .several = true},
};
const size_t n_faulted_operations = sizeof(faulted_operations) / sizeof(faulted_operations[0]);

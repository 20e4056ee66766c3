/*
 * Operations on one record, in their usual forms.
 * Leaves units, many records and the ledger to faults_others.c, and making them fail to the tests.
 */
#include "faults.h"
#include "faults_values.h"

static const struct amend_field id_1 = {"id", INTEGER(1)}, id_2 = {"id", INTEGER(2)},
				id_3 = {"id", INTEGER(3)}, id_9 = {"id", INTEGER(9)},
				named = {"name", TEXT("two")}, unnamed = {"name", TEXT("none")};
static const struct amend_match first = {&id_1, 1}, second = {&id_2, 1}, third = {&id_3, 1},
				ninth = {&id_9, 1};
static const struct amend_assign new_qty = {"qty", AMEND_SET, INTEGER(50)};

/* --- What goes before --- */

static enum amend_status write_as(struct faulted *at, const struct amend_write *write)
{
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_write(at->db, at->table, write, &result, &at->err);

	at->id = result.revision;
	amend_result_release(&result);
	return status;
}

/* A change of the first record, by ada. */
static enum amend_status change(struct faulted *at)
{
	static const struct amend_assign set = {"qty", AMEND_SET, INTEGER(12)};
	struct amend_write write = AMEND_WRITE_INIT;
	enum amend_status status = amend_set_author(at->db, "ada", "a reason", "test", &at->err);

	write.keys = &first, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	return status == AMEND_OK ? write_as(at, &write) : status;
}

/* Its token, which somebody has seen. */
static enum amend_status see(struct faulted *at)
{
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_get(at->db, at->table, &first, true, &result, &at->err);

	snprintf(at->token, sizeof(at->token), "%s", result.token ? result.token : "");
	amend_result_release(&result);
	return status;
}

static enum amend_status see_and_change(struct faulted *at)
{
	enum amend_status status = see(at);

	return status == AMEND_OK ? change(at) : status;
}

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
	filter = (struct amend_log_filter){.revision = at->id};
	if (status == AMEND_OK)
		status = amend_log(at->db, &filter, see_entry, NULL, &at->err);
	return status;
}

static enum amend_status look_back(struct faulted *at)
{
	static const struct amend_moment now = {.kind = AMEND_NOW};
	const struct amend_moment then = {.kind = AMEND_BEFORE_REVISION, .revision = at->id};
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = AMEND_OK;

	if (status == AMEND_OK)
		status = amend_get_at(at->db, at->table, &first, &then, &result, &at->err);
	amend_result_release(&result);
	if (status == AMEND_OK)
		status = amend_diff(at->db, at->table, &first, &then, &now, &result, &at->err);
	amend_result_release(&result);
	return status;
}

/* --- Writing one record --- */

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

static enum amend_status get_missing(struct faulted *at)
{
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_get(at->db, at->table, &ninth, false, &result, &at->err);

	amend_result_release(&result);
	return status;
}

/* Every kind of column, key and reference. */
static enum amend_status describe_all(struct faulted *at)
{
	struct amend_table *table = NULL;
	enum amend_status status = amend_table_open(at->db, "w", &table, &at->err);

	amend_table_close(table);
	table = NULL;
	if (status == AMEND_OK)
		status = amend_table_open(at->db, "h", &table, &at->err);
	amend_table_close(table);
	return status;
}

static enum amend_status describe_none(struct faulted *at)
{
	struct amend_table *table = NULL;
	enum amend_status status = amend_table_open(at->db, "ww", &table, &at->err);

	amend_table_close(table);
	return status;
}

/* Who has come since is told, with what he did. */
static enum amend_status stale_token(struct faulted *at)
{
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = &new_qty, write.n_set = 1;
	write.expect.token = at->token;
	write.want_token = true;
	return write_as(at, &write);
}

static enum amend_status merge_token(struct faulted *at)
{
	static const struct amend_assign set = {"note", AMEND_SET, TEXT("one\ntwo\nfour\n")};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	write.expect.token = at->token;
	write.merge = true;
	return write_as(at, &write);
}

static enum amend_status create_there(struct faulted *at)
{
	static const struct amend_assign set[] = {{"name", AMEND_SET, TEXT("one")},
						  {"qty", AMEND_SET, INTEGER(9)}};
	struct amend_write write = AMEND_WRITE_INIT;

	write.mode = AMEND_CREATE;
	write.keys = &first, write.n_keys = 1;
	write.set = set, write.n_set = 2;
	return write_as(at, &write);
}

static enum amend_status beyond(struct faulted *at)
{
	static const struct amend_assign set = {"qty", AMEND_ADD, INTEGER(-30)};
	static const struct amend_bound bound = {"qty", INTEGER(0), {AMEND_NULL, 0, {0}}};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	write.bounds = &bound, write.n_bounds = 1;
	return write_as(at, &write);
}

static enum amend_status unchanged(struct faulted *at)
{
	static const struct amend_assign set = {"qty", AMEND_SET, INTEGER(10)};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	return write_as(at, &write);
}

/* --- Tables with all that a table can have --- */

/* Each value is spelled otherwise than the database would. */
static enum amend_status create_wide(struct faulted *at)
{
	static const struct amend_assign set[] = {
		{"code", AMEND_SET, TEXT("new")},
		{"price", AMEND_SET, TEXT("1.50")},
		{"at", AMEND_SET, TEXT("2026-01-01 12:00:00")},
		{"day", AMEND_SET, TEXT("2026-1-5")},
		{"ok", AMEND_SET, TEXT("1")},
		{"tags", AMEND_SET, TEXT("{\"b\": 1, \"a\": [2]}")},
		{"raw", AMEND_SET, {.kind = AMEND_BLOB, .size = 2, .as.blob = "\0x"}},
		{"ratio", AMEND_SET, TEXT("2.50")},
		{"t", AMEND_SET, TEXT("1")}};
	struct amend_write write = AMEND_WRITE_INIT;

	write.mode = AMEND_CREATE;
	write.keys = &ninth, write.n_keys = 1;
	write.set = set, write.n_set = COUNT(set);
	return write_as(at, &write);
}

/* Against every rule that it has. */
static enum amend_status violate_wide(struct faulted *at)
{
	static const struct amend_assign set[] = {
		{"code", AMEND_SET, TEXT("b")},   {"price", AMEND_SET, TEXT("-2")},
		{"ratio", AMEND_SET, TEXT("11")}, {"day", AMEND_SET, TEXT("2026-01-02")},
		{"t", AMEND_SET, INTEGER(4)},     {"w", AMEND_SET, INTEGER(77)}};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = set, write.n_set = COUNT(set);
	return write_as(at, &write);
}

static enum amend_status hold_nothing(struct faulted *at)
{
	static const struct amend_assign set[] = {{"code", AMEND_SET, TEXT("too long a code")},
						  {"price", AMEND_SET, TEXT("dear")},
						  {"day", AMEND_SET, TEXT("yesterday")}};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = set, write.n_set = COUNT(set);
	return write_as(at, &write);
}

/* The record gets another number; those that refer to it follow. */
static enum amend_status move(struct faulted *at)
{
	static const struct amend_assign set = {"id", AMEND_SET, INTEGER(7)};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	return write_as(at, &write);
}

static enum amend_status delete_first(struct faulted *at)
{
	return delete_as(at, &first);
}

static enum amend_status write_guarded(struct faulted *at)
{
	static const struct amend_assign set = {"n", AMEND_ADD, INTEGER(5)};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &first, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	write.want_token = true;
	return write_as(at, &write);
}

const struct faulted_operation faulted_records[] = {
	{"get", get, .inside = true},
	{"get what is missing", get_missing, AMEND_NOT_FOUND},
	{"describe", describe},
	{"describe all", describe_all, .inside = true},
	{"describe none", describe_none, AMEND_NOT_FOUND},
	{"log", read_log, .prepare = change},
	{"look back", look_back, .prepare = change},
	{"create", create, .inside = true},
	{"create what is there", create_there, AMEND_EXISTS},
	{"add", add},
	{"add beyond", beyond, AMEND_CONSTRAINT},
	{"update or create", update_or_create, .inside = true},
	{"get or create", get_or_create, .inside = true},
	{"compute", compute},
	{"unchanged", unchanged},
	{"by token", by_token},
	{"stale", stale, AMEND_STALE},
	{"stale token", stale_token, AMEND_STALE, .prepare = see_and_change},
	{"merge", merge, .inside = true},
	{"merge by token", merge_token, .prepare = see_and_change},
	{"conflict", conflict, AMEND_CONFLICT},
	{"violations", violate, AMEND_CONSTRAINT, .inside = true},
	{"delete", delete_one, .inside = true},
	{"delete a parent", delete_parent, AMEND_CONSTRAINT},
	{"add combined", add_combined},
	{"create wide", create_wide, .table = "w", .inside = true},
	{"violate wide", violate_wide, AMEND_CONSTRAINT, .table = "w"},
	{"hold nothing", hold_nothing, AMEND_INVALID, .table = "w", .not_on = "sqlite"},
	{"write guarded", write_guarded, .table = "h", .inside = true},
	{"move", move, .table = "p", .not_on = "mariadb"},
	{"delete with others", delete_first, .table = "p", .not_on = "mariadb"},
};
const size_t n_faulted_records = COUNT(faulted_records);

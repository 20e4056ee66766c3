/*
 * Runs of a sync from text, and what they did as text.
 * Leaves databases to tests/lib.
 */
#include "feed.h"

#include <stdlib.h>

#include "core/json_text.h"
#include "core/pack.h"
#include "core/rows.h"
#include "ledger/ledger.h"
#include "sums.h"
#include "sync/plan.h"
#include "sync/source.h"

static void close_feed(void *thing)
{
	struct feed *feed = thing;

	amend_sync_report_release(&feed->report);
	amend_buffer_release(&feed->told);
	amend_buffer_release(&feed->plan);
}

static void add_value(struct amend_buffer *buffer, const struct amend_value *value)
{
	if (value->kind == AMEND_TEXT)
		amend_buffer_add(buffer, value->as.text, value->size);
	else if (value->kind == AMEND_NULL)
		amend_buffer_text(buffer, "NULL");
	else
		amend_json_value(buffer, value, AMEND_CLASS_TEXT);
}

static void add_key(struct amend_buffer *buffer, const struct amend_field *key, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		amend_buffer_printf(buffer, "%s%s=", i ? "," : " ", key[i].column);
		add_value(buffer, &key[i].value);
	}
}

static void add_sides(struct amend_buffer *buffer, const struct amend_conflict_field *fields,
		      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		amend_buffer_printf(buffer, "%s %s: ", i ? "," : "", fields[i].column);
		if (fields[i].has_base)
			add_value(buffer, &fields[i].base);
		else
			amend_buffer_char(buffer, '-');
		amend_buffer_char(buffer, '|');
		add_value(buffer, &fields[i].current);
		amend_buffer_char(buffer, '|');
		add_value(buffer, &fields[i].incoming);
	}
}

static void tell_change(void *context, const struct amend_sync_change *change)
{
	struct feed *feed = context;
	struct amend_buffer *told = &feed->told;

	if (feed->quiet)
		return;
	amend_buffer_printf(told, "%s%s %lld", told->size ? "\n" : "", change->op,
			    (long long)change->line);
	add_key(told, change->key, change->n_key);
	if (strcmp(change->op, "conflict") == 0 || strcmp(change->op, "stale") == 0) {
		amend_buffer_printf(told, " %s", change->kind ? change->kind : change->note);
		add_sides(told, change->fields, change->n_fields);
		return;
	}
	for (size_t i = 0; i < change->n_fields; i++) {
		amend_buffer_printf(told, "%s %s: ", i ? "," : "", change->fields[i].column);
		add_value(told, &change->fields[i].current);
		amend_buffer_text(told, " -> ");
		add_value(told, &change->fields[i].incoming);
	}
}

static void tell_reject(void *context, int64_t line, const char *text)
{
	struct feed *feed = context;

	if (!feed->quiet)
		amend_buffer_printf(&feed->told, "%sreject %lld %s", feed->told.size ? "\n" : "",
				    (long long)line, text);
}

static void tell_progress(void *context, const struct amend_progress *progress)
{
	struct feed *feed = context;
	const char *phase = progress->phase;
	uint64_t records = progress->records;
	void (*between)(struct feed *) = feed->between;

	if (!between)
		return;
	if (feed->when && strcmp(feed->when, "chunk") != 0) {
		if (strcmp(phase, feed->when) != 0)
			return;
	} else if (strcmp(phase, "apply") != 0) {
		return;
	} else if (feed->when && (!feed->applies || records == feed->applied)) {
		feed->applies = true;
		feed->applied = records;
		return;
	}
	feed->between = NULL;
	feed->when = NULL;
	between(feed);
}

void feed_match(struct feed *feed, const char *match)
{
	feed->options.n_match = 0;
	while (match) {
		const char *end = strstr(match, "; ");
		size_t size = end ? (size_t)(end - match) : strlen(match);

		assert_true(feed->options.n_match < FEED_KEYS);
		feed->match[feed->options.n_match] = amend_arena_text_n(engine_arena(feed->engine),
									match, size);
		assert_non_null(feed->match[feed->options.n_match]);
		feed->options.n_match++;
		match = end ? end + 2 : NULL;
	}
	feed->options.match = feed->match;
}

struct feed *feed_open(struct engine *engine, const char *table, const char *match)
{
	struct feed *feed = amend_arena_alloc(engine_arena(engine), sizeof(*feed));

	assert_non_null(feed);
	feed->engine = engine;
	feed->db = connect_open(engine);
	feed->table = table;
	feed->format = AMEND_FORMAT_CSV;
	feed->options = (struct amend_sync_options)AMEND_SYNC_OPTIONS_INIT;
	if (getenv("AMEND_FEED_MEMORY"))
		feed->options.memory = strtoul(getenv("AMEND_FEED_MEMORY"), NULL, 10);
	feed->options.on_change = tell_change;
	feed->options.on_reject = tell_reject;
	feed->options.on_progress = tell_progress;
	feed->options.context = feed;
	feed_match(feed, match);
	engine_defer(engine, close_feed, feed);
	return feed;
}

/* --- Plans --- */

static enum amend_status keep_plan(void *context, const char *bytes, size_t size,
				   struct amend_error *err)
{
	struct feed *feed = context;

	amend_buffer_add(&feed->plan, bytes, size);
	return feed->plan.failed ? amend_no_memory(err) : AMEND_OK;
}

static const char *keep_text(struct feed *feed)
{
	const char *text = amend_arena_text_n(engine_arena(feed->engine), feed->plan.data,
					      feed->plan.size);

	assert_non_null(text);
	return text;
}

bool feed_planned(void)
{
	return getenv("AMEND_FEED_PLANNED") != NULL;
}

/* Whatever a sync did, or left undone: what is known of its bases is true. */
static void check_sum(struct feed *feed, const char *source)
{
	struct amend_table *table = NULL;
	struct amend_error err;

	if (amend_enter(feed->db, &err) != AMEND_OK)
		return;
	if (amend_table_open(feed->db, feed->table, &table, &err) == AMEND_OK)
		expect_sum(feed->db, source ? source : "default", table);
	amend_table_close(table);
	(void)!amend_leave(feed->db, AMEND_OK, &err);
}

static enum amend_status run_sync(struct feed *feed, const struct amend_sync_options *options,
				  const char *csv, size_t size)
{
	struct amend_source_options source_options = AMEND_SOURCE_OPTIONS_INIT;
	struct amend_source *source = NULL;

	source_options.format = feed->format;
	source_options.path = feed->path;
	amend_sync_report_release(&feed->report);
	memset(&feed->report, 0, sizeof(feed->report));
	amend_buffer_reset(&feed->told);
	feed->applies = false;
	feed->status = amend_source_new(amend_input_memory(csv, size), "feed.csv", &source_options,
					&source, &feed->err);
	if (feed->status == AMEND_OK)
		feed->status = amend_sync(feed->db, source, feed->table, options, &feed->report,
					  &feed->err);
	amend_source_close(source);
	if (feed->status == AMEND_OK)
		check_sum(feed, options->source_name);
	return feed->status;
}

static enum amend_status run_plan(struct feed *feed, const char *csv, size_t size)
{
	struct amend_sync_options options = feed->options;

	amend_buffer_reset(&feed->plan);
	options.on_plan = keep_plan;
	options.on_change = NULL;
	return run_sync(feed, &options, csv, size);
}

const char *feed_plan(struct feed *feed, const char *csv)
{
	expect_ok(run_plan(feed, csv, strlen(csv)), &feed->err);
	return keep_text(feed);
}

static enum amend_status apply_plan(struct feed *feed, const char *plan, bool dry_run)
{
	struct amend_apply_options options = AMEND_APPLY_OPTIONS_INIT;
	struct amend_plan *read = NULL;

	amend_sync_report_release(&feed->report);
	memset(&feed->report, 0, sizeof(feed->report));
	options.dry_run = dry_run;
	options.skip_locked = feed->options.skip_locked;
	options.on_change = tell_change;
	options.on_reject = tell_reject;
	options.on_progress = tell_progress;
	options.context = feed;
	feed->status = amend_plan_parse(strdup(plan), strlen(plan), "feed.plan", true, &read,
					&feed->err);
	if (feed->status == AMEND_OK)
		feed->status = amend_apply(feed->db, read, &options, &feed->report, &feed->err);
	amend_plan_close(read);
	return feed->status;
}

enum amend_status feed_apply(struct feed *feed, const char *plan, bool dry_run)
{
	amend_buffer_reset(&feed->told);
	feed->applies = false;
	return apply_plan(feed, plan, dry_run);
}

/* What the plan foresees is what comes of it. */
static enum amend_status run_planned(struct feed *feed, const char *csv, size_t size)
{
	const char *before = feed_snapshot(feed->engine), *plan;
	enum amend_status status = run_plan(feed, csv, size);
	struct amend_sync_report foreseen = feed->report;

	expect_text(feed_snapshot(feed->engine), before);
	if (status != AMEND_OK || feed->options.dry_run)
		return status;
	plan = keep_text(feed);
	memset(&feed->report, 0, sizeof(feed->report));
	status = apply_plan(feed, plan, false);
	if (status != AMEND_OK)
		return status;
	assert_int_equal(feed->report.stale, 0);
	assert_int_equal(feed->report.settled, foreseen.settled);
	assert_int_equal(feed->report.new_conflicts, foreseen.new_conflicts);
	assert_int_equal(feed->report.open_conflicts, foreseen.open_conflicts);
	/* All but what the database refuses, which only writing can tell. */
	foreseen.created = feed->report.created;
	foreseen.updated = feed->report.updated;
	foreseen.merged = feed->report.merged;
	foreseen.rejected += feed->report.rejected;
	foreseen.run = feed->report.run;
	foreseen.revisions = feed->report.revisions;
	foreseen.n_revisions = feed->report.n_revisions;
	feed->report = foreseen;
	return status;
}

enum amend_status feed_run(struct feed *feed, const char *csv, size_t size)
{
	if (feed_planned() && !feed->between && !feed->options.create_table)
		return run_planned(feed, csv, size);
	return run_sync(feed, &feed->options, csv, size);
}

enum amend_status feed_text(struct feed *feed, const char *csv)
{
	return feed_run(feed, csv, strlen(csv));
}

const char *feed_report(struct feed *feed)
{
	const struct amend_sync_report *r = &feed->report;
	const struct {
		const char *name;
		uint64_t count;
	} counters[] = {
		{"created", r->created},
		{"updated", r->updated},
		{"merged", r->merged},
		{"kept", r->kept},
		{"unchanged", r->unchanged},
		{"conflicts", r->conflicts},
		{"skipped", r->skipped},
		{"rejected", r->rejected},
		{"duplicates", r->duplicates},
		{"stale", r->stale},
		{"deleted", r->deleted},
		{"marked", r->marked},
		{"missing_conflicts", r->missing_conflicts},
		{"new_conflicts", r->new_conflicts},
		{"open_conflicts", r->open_conflicts},
		{"settled", r->settled},
	};
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;
	uint64_t sum = 0;

	for (size_t i = 0; i < COUNT(counters); i++) {
		if (i < 10)
			sum += counters[i].count;
		if (counters[i].count)
			amend_buffer_printf(&text, "%s%s=%llu", text.size ? " " : "",
					    counters[i].name, (unsigned long long)counters[i].count);
	}
	assert_int_equal(sum, r->read);
	copy = engine_printf(feed->engine, "%s", text.data ? text.data : "");
	amend_buffer_release(&text);
	return copy;
}

void fed_at(struct feed *feed, const char *csv, const char *report, bool twice, const char *file,
	    int line)
{
	const char *before;

	expect_status_at(AMEND_OK, NULL, feed_text(feed, csv), &feed->err, "sync", file, line);
	expect_text_at(feed_report(feed), report, "report", file, line);
	if (twice) {
		struct amend_buffer kept = feed->told;
		struct amend_sync_report first = feed->report;

		feed->told = (struct amend_buffer)AMEND_BUFFER_INIT;
		memset(&feed->report, 0, sizeof(feed->report));
		before = feed_snapshot(feed->engine);
		expect_status_at(AMEND_OK, NULL, feed_text(feed, csv), &feed->err, "second sync",
				 file, line);
		expect_text_at(feed_snapshot(feed->engine), before, "database after a second run",
			       file, line);
		if (feed->report.run != 0 || feed->report.n_revisions != 0 ||
		    feed->report.new_conflicts != 0)
			expect_text_at("a run", "no run", "second run", file, line);
		amend_sync_report_release(&feed->report);
		amend_buffer_release(&feed->told);
		feed->told = kept;
		feed->report = first;
	}
}

void refused_at(struct feed *feed, enum amend_status status, const char *csv, const char *needle,
		const char *file, int line)
{
	const char *before = feed_snapshot(feed->engine);

	expect_status_at(status, NULL, feed_text(feed, csv), &feed->err, "refused sync", file, line);
	expect_contains_at(feed->err.text, needle, file, line);
	expect_text_at(feed_snapshot(feed->engine), before, "database after a refusal", file, line);
}

/* --- What is remembered --- */

static bool has_ledger(struct engine *engine)
{
	return atoi(engine_scalar(
		       engine,
		       engine_pick3(engine,
				    "SELECT count(*) FROM sqlite_master WHERE name = 'amend_base'",
				    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid "
				    "= relnamespace WHERE nspname = 'amend' AND relname = "
				    "'base'",
				    "SELECT count(*) FROM information_schema.tables WHERE "
				    "table_schema = DATABASE() AND table_name = 'amend_base'"))) > 0;
}

static const char *ledger(const struct engine *engine, const char *table)
{
	return engine_printf((struct engine *)(uintptr_t)engine, "%s%s",
			     engine->driver->dialect->ledger, table);
}

const char *feed_bases(struct feed *feed)
{
	const char *source = feed->options.source_name ? feed->options.source_name : "default";
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	const char *copy, *sql;

	if (!has_ledger(feed->engine))
		return "";
	sql = engine_printf(feed->engine,
			    "SELECT first_key, pack FROM %s WHERE feed IN (SELECT id FROM %s WHERE "
			    "source = '%s') ORDER BY first_key, pk",
			    ledger(feed->engine, "base"), ledger(feed->engine, "feed"), source);
	expect_ok(amend_query(feed->db, sql, NULL, 0, &rows, &feed->err), &feed->err);
	for (size_t i = 0; i < rows.n_rows; i++) {
		struct amend_value bytes, value;
		struct amend_pack_reader reader;
		size_t size;
		const char *name;

		amend_buffer_printf(&text, "%s%s", i ? "\n" : "",
				    amend_rows_at(&rows, i, 0)->as.text);
		assert_true(amend_value_bytes(amend_rows_at(&rows, i, 1),
					      engine_arena(feed->engine), &bytes));
		reader.at = bytes.as.blob;
		reader.end = reader.at + bytes.size;
		while (amend_pack_next(&reader, &name, &size, &value)) {
			amend_buffer_printf(&text, " %.*s=", (int)size, name);
			add_value(&text, &value);
		}
		assert_ptr_equal(reader.at, reader.end);
	}
	amend_rows_release(&rows);
	copy = engine_printf(feed->engine, "%s", text.data ? text.data : "");
	amend_buffer_release(&text);
	return copy;
}

struct listing {
	struct amend_buffer text;
	int64_t id;
	size_t n;
};

static enum amend_status list_conflict(const struct amend_conflict *conflict, void *context,
				       struct amend_error *err)
{
	struct listing *listing = context;

	(void)err;
	amend_buffer_printf(&listing->text, "%s%s %s", listing->n++ ? "\n" : "",
			    amend_conflict_kind_name(conflict->kind), conflict->first_key);
	add_sides(&listing->text, conflict->fields, conflict->n_fields);
	if (*conflict->note)
		amend_buffer_printf(&listing->text, " (%s)", conflict->note);
	listing->id = conflict->id;
	return AMEND_OK;
}

const char *feed_conflicts(struct feed *feed)
{
	const struct amend_conflict_filter open = {.table = feed->table, .state = "open"};
	struct listing listing = {AMEND_BUFFER_INIT, 0, 0};
	const char *copy;

	expect_ok(amend_conflicts(feed->db, &open, list_conflict, &listing, &feed->err), &feed->err);
	copy = engine_printf(feed->engine, "%s", listing.text.data ? listing.text.data : "");
	amend_buffer_release(&listing.text);
	return copy;
}

int64_t feed_conflict(struct feed *feed)
{
	const struct amend_conflict_filter open = {.table = feed->table, .state = "open"};
	struct listing listing = {AMEND_BUFFER_INIT, 0, 0};

	expect_ok(amend_conflicts(feed->db, &open, list_conflict, &listing, &feed->err), &feed->err);
	amend_buffer_release(&listing.text);
	assert_int_equal(listing.n, 1);
	return listing.id;
}

static enum amend_status copy_version(const struct amend_conflict *conflict, void *context,
				      struct amend_error *err)
{
	(void)err;
	snprintf(context, AMEND_CONFLICT_VERSION, "%s", conflict->version);
	return AMEND_OK;
}

const char *feed_version(struct feed *feed)
{
	const struct amend_conflict_filter filter = {.id = feed_conflict(feed)};
	char version[AMEND_CONFLICT_VERSION] = "";

	expect_ok(amend_conflicts(feed->db, &filter, copy_version, version, &feed->err), &feed->err);
	return engine_printf(feed->engine, "%s", version);
}

enum amend_status feed_resolve(struct feed *feed, int64_t id, enum amend_take take,
			       const struct amend_assign *set, size_t n, struct amend_result *result)
{
	struct amend_decision *decisions = amend_arena_array(engine_arena(feed->engine), n,
							     sizeof(*decisions));
	const struct amend_resolution how = {.id = id,
					     .take = take,
					     .decisions = decisions,
					     .n_decisions = n,
					     .version = feed->version};

	for (size_t i = 0; i < n; i++)
		decisions[i] = (struct amend_decision){.column = set[i].column,
						       .value = set[i].value};
	return amend_resolve(feed->db, &how, result, &feed->err);
}

int feed_changes(struct feed *feed)
{
	if (!has_ledger(feed->engine))
		return 0;
	return atoi(
		engine_scalar(feed->engine, engine_printf(feed->engine, "SELECT count(*) FROM %s",
							  ledger(feed->engine, "change"))));
}

/* --- Snapshots --- */

/* The file's bytes, once what is in the log has been moved into it. */
static const char *snapshot_file(struct engine *engine)
{
	const char *path = engine->url + (strncmp(engine->url, "sqlite:", 7) == 0 ? 7 : 0);
	unsigned char digest[AMEND_DIGEST_SIZE];
	struct amend_buffer bytes = AMEND_BUFFER_INIT;
	char chunk[65536], hex[2 * AMEND_DIGEST_SIZE + 1];
	size_t n;
	FILE *file;

	engine_exec(engine, "PRAGMA wal_checkpoint(TRUNCATE)");
	file = fopen(path, "rb");
	assert_non_null(file);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		amend_buffer_add(&bytes, chunk, n);
	fclose(file);
	assert_false(bytes.failed);
	amend_digest(bytes.data, bytes.size, digest);
	amend_buffer_release(&bytes);
	for (size_t i = 0; i < AMEND_DIGEST_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return engine_printf(engine, "%s", hex);
}

/* Every row's place and maker, of every table that is not the server's own; and the sequences. */
static const char *snapshot_rows(struct engine *engine)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	const char *tables = engine_rows(
		engine,
		"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN "
		"('pg_catalog', 'information_schema') UNION ALL SELECT format('%I.%I', schemaname, "
		"sequencename) FROM pg_sequences ORDER BY 1");
	const char *result;

	amend_buffer_text(&sql, "SELECT 'none'");
	while (*tables) {
		size_t size = strcspn(tables, "\n");

		amend_buffer_printf(
			&sql,
			" UNION ALL SELECT '%.*s ' || coalesce(string_agg(t.ctid::text || "
			"t.xmin::text || ROW(t.*)::text, ' ' ORDER BY ROW(t.*)::text), '') FROM %.*s t",
			(int)size, tables, (int)size, tables);
		tables += size + (tables[size] == '\n');
	}
	assert_false(sql.failed);
	result = engine_rows(engine, sql.data);
	amend_buffer_release(&sql);
	return result;
}

/* What is in every table, and the next number of each; where a row lies MariaDB shows to nobody. */
static const char *snapshot_sums(struct engine *engine)
{
	const char *tables = engine_scalar(
		engine, "SELECT group_concat(concat('`', table_name, '`') ORDER BY table_name) FROM "
			"information_schema.tables WHERE table_schema = DATABASE()");
	const char *numbers = engine_rows(engine, "SELECT table_name, auto_increment FROM "
						  "information_schema.tables WHERE table_schema = "
						  "DATABASE() ORDER BY table_name");

	return tables ? engine_printf(engine, "%s\n%s", numbers,
				      engine_rows(engine, engine_printf(engine, "CHECKSUM TABLE %s",
									tables)))
		      : "";
}

const char *feed_snapshot(struct engine *engine)
{
	return engine_is(engine, "sqlite")    ? snapshot_file(engine)
	       : engine_is(engine, "mariadb") ? snapshot_sums(engine)
					      : snapshot_rows(engine);
}

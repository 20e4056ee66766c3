/*
 * `amend log` and `amend show`: history, newest first, and one revision.
 * Leaves selecting to the library.
 */
#include <stdio.h>

#include "assign.h"
#include "commands.h"
#include "exit.h"
#include "json.h"
#include "pager.h"
#include "past.h"
#include "plain.h"
#include "print.h"
#include "tables.h"

struct listing {
	struct cli_session *session;
	const char *subject; /* "stock sku=42": the record that is asked for; NULL: none */
	struct cli_tables tables;
	bool with_program;
	int64_t revision;            /* whose heading was printed last */
	struct json_object *object;  /* show --json: what the revision says of itself */
	struct json_object *run;     /* log --run --json: its head */
	struct json_object *entries; /* --json: where they go */
};

static void print_heading(struct cli_pool *pool, const struct amend_log_entry *entry,
			  bool with_program)
{
	cli_ink(stdout, CLI_NOTE, cli_format(pool, "revision %lld", (long long)entry->revision));
	if (entry->run)
		printf(" (run %lld)", (long long)entry->run);
	printf(", %s", cli_show_time(pool, entry->at));
	if (*entry->who)
		printf(", %s", cli_show_text(pool, entry->who));
	if (with_program && *entry->program)
		printf(", with %s", cli_show_text(pool, entry->program));
	if (*entry->why)
		printf(": %s", cli_show_text(pool, entry->why));
	printf("\n");
}

static enum amend_status print_entry(const struct amend_log_entry *entry, void *context,
				     struct amend_error *err)
{
	struct listing *listing = context;
	struct cli_pool pool = CLI_POOL_INIT; /* a long history must not fill the memory */

	if (entry->revision != listing->revision) {
		if (listing->revision)
			printf("\n");
		print_heading(&pool, entry, listing->with_program);
		listing->revision = entry->revision;
	}
	printf("  %s %s %s\n", entry->op, cli_plain(&pool, entry->table),
	       cli_show_fields(&pool, entry->key, entry->n_key));
	cli_print_changes(&pool, stdout, "    ", entry->changes, entry->n_changes);
	cli_pool_release(&pool);
	if (cli_output_gone())
		return amend_error_set(err, AMEND_INTERRUPTED, "nobody reads the output any more");
	return AMEND_OK;
}

static void add_revision(struct json_object *object, const struct amend_log_entry *entry)
{
	cli_json_add(object, "revision", cli_json_id(entry->revision));
	cli_json_add(object, "run", cli_json_id(entry->run));
	cli_json_add(object, "at", cli_json_time(entry->at));
	cli_json_add(object, "who", cli_json_text(entry->who));
	cli_json_add(object, "why", cli_json_text(entry->why));
	cli_json_add(object, "program", cli_json_text(entry->program));
}

static enum amend_status note_table(const struct amend_log_entry *entry, void *context,
				    struct amend_error *err)
{
	struct listing *listing = context;

	(void)err;
	cli_tables_note(&listing->tables, listing->session->args->pool, entry->table);
	return AMEND_OK;
}

static enum amend_status add_entry(const struct amend_log_entry *entry, void *context,
				   struct amend_error *err)
{
	struct listing *listing = context;
	const struct amend_table *table = cli_tables_find(&listing->tables, entry->table);
	struct json_object *object = json_object_new_object();

	(void)err;
	cli_json_add(object, "change", cli_json_id(entry->change));
	if (!listing->object)
		add_revision(object, entry);
	else if (!listing->revision)
		add_revision(listing->object, entry);
	listing->revision = entry->revision;
	cli_json_add(object, "table", cli_json_text(entry->table));
	cli_json_add(object, "op", cli_json_text(entry->op));
	cli_json_add(object, "key", cli_json_fields(table, entry->key, entry->n_key));
	cli_json_add(object, "fields", cli_json_changes(table, entry->changes, entry->n_changes));
	json_object_array_add(listing->entries, object);
	return AMEND_OK;
}

/* Who, when and why it ran, from what, and how much it changed. */
static enum amend_status print_run(const struct amend_run *run, void *context,
				   struct amend_error *err)
{
	const struct {
		const char *name;
		uint64_t n;
	} counts[] = {{"create", run->created}, {"update", run->updated}, {"delete", run->deleted}};
	uint64_t n = run->created + run->updated + run->deleted;
	const char *before = " (";
	struct cli_pool *pool = context;

	(void)err;
	cli_ink(stdout, CLI_NOTE, cli_format(pool, "run %lld", (long long)run->id));
	printf(", %s, %s", cli_show_time(pool, run->at), cli_show_text(pool, run->who));
	if (*run->program)
		printf(", with %s", cli_show_text(pool, run->program));
	if (*run->why)
		printf(": %s", cli_show_text(pool, run->why));
	printf("\n  source %s into %s", cli_show_text(pool, run->source),
	       cli_plain(pool, run->table));
	/* Of history: a record that a sync calls merged, marked or in conflict may be among the updates. */
	if (n > 0)
		printf(": %llu change%s", (unsigned long long)n, n == 1 ? "" : "s");
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (!counts[i].n)
			continue;
		printf("%s%llu %s", before, (unsigned long long)counts[i].n, counts[i].name);
		before = ", ";
	}
	if (n > 0)
		printf(")");
	if (run->revisions > 1)
		printf(", in %llu revisions", (unsigned long long)run->revisions);
	printf(run->revisions ? "\n" : ": no record changed\n");
	if (run->reverted)
		printf("  reverted by revision %lld\n", (long long)run->reverted);
	if (run->revisions)
		printf("\n");
	return AMEND_OK;
}

static enum amend_status make_run(const struct amend_run *run, void *context,
				  struct amend_error *err)
{
	struct json_object **out = context, *object = json_object_new_object();
	struct json_object *changes = json_object_new_object();

	(void)err;
	cli_json_add(object, "id", cli_json_id(run->id));
	cli_json_add(object, "at", cli_json_time(run->at));
	cli_json_add(object, "source", cli_json_text(run->source));
	cli_json_add(object, "table", cli_json_text(run->table));
	cli_json_add(object, "who", cli_json_text(run->who));
	cli_json_add(object, "why", cli_json_text(run->why));
	cli_json_add(object, "program", cli_json_text(run->program));
	cli_json_add(object, "revisions", json_object_new_uint64(run->revisions));
	cli_json_add(changes, "create", json_object_new_uint64(run->created));
	cli_json_add(changes, "update", json_object_new_uint64(run->updated));
	cli_json_add(changes, "delete", json_object_new_uint64(run->deleted));
	cli_json_add(object, "changes", changes);
	cli_json_add(object, "reverted_by", cli_json_id(run->reverted));
	*out = object;
	return AMEND_OK;
}

/* `name`: what the entries are called in JSON. */
static int list(struct cli_session *session, const struct amend_log_filter *filter,
		struct listing *listing, const char *name)
{
	bool json = cli_has(session->args, "json");
	struct json_object *object = json ? json_object_new_object() : NULL;
	enum amend_status status = AMEND_OK;

	if (filter->run && json)
		status = amend_run_show(session->db, filter->run, make_run, &listing->run,
					&session->err);
	else if (filter->run)
		status = amend_run_show(session->db, filter->run, print_run, session->args->pool,
					&session->err);
	if (json && status == AMEND_OK) {
		listing->object = listing->object ? object : NULL;
		listing->entries = json_object_new_array();
		status = amend_log(session->db, filter, note_table, listing, &session->err);
		cli_tables_open(&listing->tables, session);
	}
	if (status == AMEND_OK)
		status = amend_log(session->db, filter, json ? add_entry : print_entry, listing,
				   &session->err);
	cli_tables_close(&listing->tables);
	if (listing->run)
		cli_json_add(object, "run", listing->run);
	if (listing->entries)
		cli_json_add(object, name, listing->entries);
	if (status == AMEND_NOT_FOUND && listing->subject)
		amend_error_wrap(&session->err, "%s", listing->subject);
	if (status != AMEND_OK) {
		json_object_put(object);
		return cli_output_gone() ? CLI_DONE : cli_fail(session);
	}
	if (json)
		cli_json_print(object);
	else if (!listing->revision && !filter->run)
		printf("no changes are recorded\n");
	return CLI_DONE;
}

static int show_log(struct cli_session *session, struct cli_key *key,
		    struct amend_log_filter *filter)
{
	const struct cli_args *args = session->args;
	struct listing listing = {.session = session, .tables = CLI_TABLES_INIT};
	int code = 0;

	if (args->n_words > 1)
		code = cli_open_table(session, args->words[1]);
	if (code != 0)
		return code;
	filter->table = session->table;
	if (args->n_words > 2) {
		if (!cli_key_make(args, key, session->table))
			return CLI_USAGE;
		filter->key = &key->match;
		listing.subject = cli_format(args->pool, "%s %s", args->words[1],
					     cli_key_text(args->pool, key));
	}
	return list(session, filter, &listing, "entries");
}

/* --since, --until: a moment, or none. */
static bool read_span(const struct cli_args *args, const char *option, struct amend_moment *moment,
		      const struct amend_moment **out)
{
	const char *word = cli_value(args, option);

	*out = word ? moment : NULL;
	return !word || cli_moment(args, word, moment);
}

static int run_log(const struct cli_args *args)
{
	struct amend_log_filter filter = {.table = NULL};
	struct amend_moment since, until;
	struct cli_pager pager;
	struct cli_session session;
	struct cli_key key;
	int code;

	if (!cli_count(args, "run", 1, &filter.run) || !cli_count(args, "limit", 1, &filter.limit))
		return CLI_USAGE;
	if (cli_has(args, "key") && args->n_words < 3)
		return cli_usage(args, "--key adds to KEY=VALUE, found none");
	if ((args->n_words > 2 && !cli_key_parse(args, args->words[2], &key)) ||
	    !read_span(args, "since", &since, &filter.since) ||
	    !read_span(args, "until", &until, &filter.until))
		return CLI_USAGE;
	filter.by = cli_value(args, "by");
	filter.text = cli_value(args, "grep");
	code = cli_open(&session, args, args->words[0], CLI_READ_ONLY);
	cli_pager_open(&pager, code == 0 && !cli_has(args, "json"));
	if (code == 0)
		code = show_log(&session, &key, &filter);
	cli_pager_close(&pager);
	cli_close(&session);
	return code;
}

static int run_show(const struct cli_args *args)
{
	struct amend_log_filter filter = {.table = NULL};
	struct cli_session session;
	int code;

	if (!cli_id(args->words[1], &filter.revision))
		return cli_usage(args, "expected a revision's number, found \"%s\"", args->words[1]);
	code = cli_open(&session, args, args->words[0], CLI_READ_ONLY);
	if (code == 0) {
		struct json_object *mark = json_object_new_object();
		struct listing listing = {.session = &session, .with_program = true, .object = mark};
		struct cli_pager pager;

		cli_pager_open(&pager, !cli_has(args, "json"));
		code = list(&session, &filter, &listing, "changes");
		cli_pager_close(&pager);
		json_object_put(mark);
	}
	cli_close(&session);
	return code;
}

static const struct cli_option log_options[] = {
	{"run", "ID", "only what this run of sync changed, and the run itself", false},
	{"by", "NAME", "only what this person did", false},
	{"since", "TIME|REVISION", "only from then on", false},
	{"until", "TIME|REVISION", "only up to then", false},
	{"grep", "TEXT", "only with this text in why, key, old or new value", false},
	{CLI_OPTION_KEY},
	{"limit", "N", "only the newest N changes", false},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_log = {
	.name = "log",
	.words = "DB [TABLE [KEY=VALUE]]",
	.summary = "what changed, when, by whom, from what",
	.about = "Shows the history of a database, a table or a record, newest first; also of a record\n"
		 "that was deleted.",
	.examples = "amend log app.db\n"
		    "amend log app.db stock sku=42\n"
		    "amend log app.db stock --limit 20\n"
		    "amend log app.db --by anna --since 2026-11-01 --grep Lamp\n"
		    "amend log app.db --run 3 --json",
	.exits = "0 done  4 no such record, table or run",
	.options = log_options,
	.least = 1,
	.most = 3,
	.run = run_log,
};

static const struct cli_option show_options[] = {
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_show = {
	.name = "show",
	.words = "DB REVISION",
	.summary = "one revision: all that committed together",
	.about = "Shows one revision: all changes that were committed together, oldest first.",
	.examples = "amend show app.db 7\n"
		    "amend show app.db 7 --json",
	.exits = "0 done  4 no such revision",
	.options = show_options,
	.least = 2,
	.most = 2,
	.run = run_show,
};

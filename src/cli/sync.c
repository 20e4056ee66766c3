/*
 * `amend sync`: reconciles a source into a table.
 * Leaves what is printed to sync_report.c, and all that a sync means to the library.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "assign.h"
#include "commands.h"
#include "exit.h"
#include "sync_report.h"

/* cli_choice gives the place among the choices, which stand in the table below. */
_Static_assert(AMEND_FORMAT_CSV == 1 && AMEND_FORMAT_TSV == 2 && AMEND_FORMAT_JSON == 3 &&
		       AMEND_FORMAT_NDJSON == 4 && AMEND_POLICY_STORE == 0 &&
		       AMEND_POLICY_INCOMING == 1 && AMEND_POLICY_CURRENT == 2 &&
		       AMEND_ADOPT_INCOMING == 1 && AMEND_ADOPT_CURRENT == 2 &&
		       AMEND_ADOPT_CONFLICT == 3 && AMEND_DUPLICATES_REJECT == 0 &&
		       AMEND_DUPLICATES_FIRST == 1 && AMEND_DUPLICATES_LAST == 2 &&
		       AMEND_MISSING_KEEP == 0 && AMEND_MISSING_DELETE == 1 &&
		       AMEND_MISSING_MARK == 2,
	       "the choices of the options follow the library's enums");

struct request {
	struct amend_sync_options options;
	struct amend_source_options source;
	struct cli_assignment *on_create, *mark;
};

/* The words of all --NAME A,B options. */
static bool split_lists(const struct cli_args *args, const char *name, const char *const **out,
			size_t *n)
{
	const char *const *lists;
	size_t n_lists = cli_values(args, name, &lists), room = 0;
	const char **parts;

	*n = 0;
	for (size_t i = 0; i < n_lists; i++)
		room += strlen(lists[i]) + 1;
	*out = parts = cli_alloc(args->pool, room, sizeof(*parts));
	for (size_t i = 0; i < n_lists; i++) {
		const char *at = lists[i];

		for (;;) {
			size_t size = strcspn(at, ",");

			if (size == 0) {
				cli_usage(args, "--%s: expected COL,COL..., found \"%s\"", name,
					  lists[i]);
				return false;
			}
			parts[(*n)++] = cli_copy(args->pool, at, size);
			if (!at[size])
				break;
			at += size + 1;
		}
	}
	return true;
}

static bool parse_pairs(const struct cli_args *args, const char *name, const char *form,
			const struct amend_pair **out, size_t *n)
{
	const char *const *words;
	const char *expected = cli_format(args->pool, "--%s %s", name, form);
	struct amend_pair *pairs;

	*n = cli_values(args, name, &words);
	*out = pairs = cli_alloc(args->pool, *n, sizeof(*pairs));
	for (size_t i = 0; i < *n; i++) {
		if (!cli_pair_parse(args, expected, words[i], &pairs[i]))
			return false;
	}
	return true;
}

static bool exclude(const struct cli_args *args, const char *one, const char *other)
{
	if (!cli_has(args, one) || !cli_has(args, other))
		return true;
	cli_usage(args, "--%s and --%s exclude each other", one, other);
	return false;
}

static bool needs(const struct cli_args *args, const char *one, const char *other)
{
	if (!cli_has(args, one) || cli_has(args, other))
		return true;
	cli_usage(args, "--%s is for --%s only", one, other);
	return false;
}

static bool parse_choices(const struct cli_args *args, struct request *request)
{
	struct amend_sync_options *options = &request->options;
	int format = -1, policy = AMEND_POLICY_STORE, adopt = -1, twice = AMEND_DUPLICATES_REJECT;

	if (!cli_choice(args, "format", &format) || !cli_choice(args, "on-conflict", &policy) ||
	    !cli_choice(args, "adopt", &adopt) || !cli_choice(args, "duplicates", &twice))
		return false;
	request->source.format = (enum amend_format)(format + 1);
	options->on_conflict = (enum amend_policy)policy;
	options->adopt = (enum amend_adopt)(adopt + 1);
	options->duplicates = (enum amend_duplicates)twice;
	return true;
}

static bool parse_limit(const struct cli_args *args, struct amend_sync_options *options)
{
	const char *word = cli_value(args, "max-missing");
	char *end = NULL;
	bool percent;

	if (!word)
		return true;
	errno = 0;
	options->max_missing = strtoll(word, &end, 10);
	percent = *end == '%';
	if (!isdigit((unsigned char)*word) || end[percent] || errno ||
	    (percent && options->max_missing > 100)) {
		cli_usage(args,
			  "--max-missing: expected a number of rows, or 0%% to 100%%, found \"%s\"",
			  word);
		return false;
	}
	options->max_missing_percent = percent;
	return true;
}

static bool parse_batch(const struct cli_args *args, struct amend_sync_options *options)
{
	enum { MOST = 100000 };
	int64_t batch = 0;

	if (!cli_count(args, "batch", 1, &batch))
		return false;
	if (batch > MOST) {
		cli_usage(args, "--batch: expected 1 to %d records, found %s", MOST,
			  cli_value(args, "batch"));
		return false;
	}
	options->batch = (size_t)batch;
	return true;
}

static bool parse_missing(const struct cli_args *args, struct request *request)
{
	struct amend_sync_options *options = &request->options;
	int missing = AMEND_MISSING_KEEP;
	const char *word = cli_value(args, "missing");

	if (!cli_choice(args, "missing", &missing) || !parse_limit(args, options))
		return false;
	options->missing = (enum amend_missing)missing;
	if (missing == AMEND_MISSING_KEEP && cli_value(args, "max-missing")) {
		cli_usage(args, "--max-missing limits --missing delete or COL=VALUE, which is not "
				"given");
		return false;
	}
	return missing != AMEND_MISSING_MARK ||
	       cli_assign_parse_all(args, "--missing keep, delete or COL=VALUE", &word, 1, true,
				    &request->mark);
}

static bool parse(const struct cli_args *args, struct request *request)
{
	struct amend_sync_options *options = &request->options;
	const char *const *on_create;
	int timeout = 0;

	*request = (struct request){.options = AMEND_SYNC_OPTIONS_INIT,
				    .source = AMEND_SOURCE_OPTIONS_INIT};
	options->n_match = cli_values(args, "match", &options->match);
	if (options->n_match == 0) {
		cli_usage(args,
			  "expected --match COL, found none: by what is a record found again?");
		return false;
	}
	if (!exclude(args, "create-only", "update-only") ||
	    !exclude(args, "update-only", "create-table") || !exclude(args, "atomic", "plan") ||
	    !exclude(args, "atomic", "batch") || !needs(args, "detect-types", "create-table") ||
	    !needs(args, "type", "create-table") || !parse_choices(args, request))
		return false;
	if (strcmp(args->words[0], "-") == 0 && request->source.format == AMEND_FORMAT_AUTO) {
		cli_usage(args, "standard input needs --format csv, tsv, json or ndjson");
		return false;
	}
	if (!exclude(args, "plan", "dry-run") || !exclude(args, "confirm", "dry-run") ||
	    !needs(args, "yes", "confirm") || !cli_changes_apart(args, "changes", "plan"))
		return false;
	if (cli_has(args, "rejects") && (cli_changes_to_stdout(args, "rejects") ||
					 !cli_changes_apart(args, "changes", "rejects") ||
					 !cli_changes_apart(args, "plan", "rejects"))) {
		if (cli_changes_to_stdout(args, "rejects"))
			cli_usage(args, "--rejects: expected a file, found standard output");
		return false;
	}
	request->source.keep = cli_has(args, "rejects");
	request->source.interrupted = cli_interrupted;
	request->source.path = cli_value(args, "path");
	request->source.query = cli_value(args, "query");
	if (!exclude(args, "query", "format") || !exclude(args, "query", "path") ||
	    !exclude(args, "query", "rejects"))
		return false;
	if (!cli_duration(args, "timeout", &timeout))
		return false;
	if (timeout > 0)
		request->source.stall_ms = timeout;
	options->create_only = cli_has(args, "create-only");
	options->update_only = cli_has(args, "update-only");
	options->create_table = cli_has(args, "create-table");
	options->detect_types = cli_has(args, "detect-types");
	options->dry_run = cli_has(args, "dry-run");
	options->skip_locked = cli_has(args, "skip-locked");
	options->atomic = cli_has(args, "atomic");
	options->source_name = cli_value(args, "source");
	options->n_on_create = cli_values(args, "on-create", &on_create);
	if (!parse_missing(args, request) || !parse_batch(args, options))
		return false;
	return parse_pairs(args, "map", "COL=SOURCECOL", &options->map, &options->n_map) &&
	       parse_pairs(args, "type", "COL=TYPE", &options->types, &options->n_types) &&
	       split_lists(args, "columns", &options->columns, &options->n_columns) &&
	       split_lists(args, "update", &options->update, &options->n_update) &&
	       cli_count(args, "max-rejects", 0, &options->max_rejects) &&
	       cli_assign_parse_all(args, "--on-create COL=VALUE", on_create, options->n_on_create,
				    true, &request->on_create);
}

/* The table types what is given and printed; one that is to be created has no description yet. */
static int open_table(struct cli_session *session, const char *name, bool may_lack)
{
	if (!may_lack)
		return cli_open_table(session, name);
	if (amend_table_open(session->db, name, &session->table, &session->err) != AMEND_OK) {
		session->table = NULL;
		if (session->err.status != AMEND_NOT_FOUND)
			return cli_fail(session);
	}
	return 0;
}

/* The engines have words of their own for it; of what is in the library tells. */
static void explain_interruption(struct cli_session *session)
{
	if (cli_interrupted() && session->err.status == AMEND_INTERRUPTED &&
	    !strstr(session->err.text, " are in"))
		amend_error_set(&session->err, AMEND_INTERRUPTED,
				"interrupted: nothing was written");
}

/* Of which a server says whether it has changed. */
static bool is_url(const char *name)
{
	return strncasecmp(name, "http://", 7) == 0 || strncasecmp(name, "https://", 8) == 0;
}

/* A failure of the run comes before one of the files beside it, and that before what was found. */
static int first_of(int run, int files)
{
	return run == CLI_DONE || ((run == CLI_STALE || run == CLI_REJECTED) && files) ? files : run;
}

static int sync_source(struct cli_session *session, struct request *request,
		       struct amend_source *source, const struct cli_confirm *confirm)
{
	const struct cli_args *args = session->args;
	struct amend_sync_options *options = &request->options;
	struct cli_sync_output output = {
		.session = session,
		.numbers = amend_source_numbers_records(source),
		.source = strcmp(args->words[0], "-") == 0 ? "<stdin>"
							   : amend_source_name_shown(source),
		.table = args->words[2],
		.dry_run = options->dry_run || cli_has(args, "plan"),
		.remote = is_url(args->words[0]),
		.quiet = cli_has(args, "quiet"),
		.json = cli_has(args, "json"),
	};
	struct amend_assign *on_create, *mark;
	struct amend_sync_report report;
	enum amend_status status;
	int code = open_table(session, args->words[2], options->create_table);

	if (code != 0)
		return code;
	if (!cli_assign_once(args, "on-create", request->on_create, options->n_on_create,
			     session->table) ||
	    !cli_assign_make_all(args, request->on_create, options->n_on_create, session->table,
				 &on_create) ||
	    !cli_assign_make_all(args, request->mark, request->mark ? 1 : 0, session->table, &mark))
		return CLI_USAGE;
	code = cli_changes_open(session, &output.changes, "changes");
	if (code == 0)
		code = cli_changes_open(session, &output.plan, "plan");
	if (code == 0)
		code = cli_rejects_open(session, &output.kept);
	if (code != 0) {
		cli_changes_close(&output.changes, false);
		cli_changes_close(&output.plan, false);
		cli_rejects_close(session, &output.kept, source, false);
		return code;
	}
	options->on_create = on_create;
	if (request->mark)
		options->mark = mark;
	options->on_change = cli_has(args, "changes") ? cli_sync_on_change : NULL;
	options->on_reject = cli_sync_on_reject;
	options->on_progress = cli_sync_on_progress;
	options->on_notice = cli_sync_on_notice;
	options->on_missing = cli_has(args, "json") ? cli_sync_on_missing : NULL;
	options->on_plan = output.plan.file ? cli_sync_on_plan : NULL;
	output.confirm = *confirm;
	options->on_confirm = confirm->wanted ? cli_sync_on_confirm : NULL;
	options->context = &output;
	memset(&report, 0, sizeof(report));
	status = amend_sync(session->db, source, args->words[2], options, &report, &session->err);
	cli_done(status);
	if (status != AMEND_OK)
		explain_interruption(session);
	/* Also of a refused run, whose rejects are the reason: never what another run left. */
	code = cli_rejects_close(session, &output.kept, source,
				 status == AMEND_OK || report.n_revisions || report.refused ||
					 output.kept.n > 0);
	code = first_of(cli_sync_finish(&output, status, &report), code);
	amend_sync_report_release(&report);
	return code;
}

/* A database file that could be made: nothing is there, in a folder that is. */
static bool is_new_file(const struct cli_args *args, const char *database)
{
	const char *path = strncmp(database, "sqlite:", 7) == 0 ? database + 7 : database;
	const char *slash = strrchr(path, '/');
	const char *folder = !slash          ? "."
			     : slash == path ? "/"
					     : cli_copy(args->pool, path, (size_t)(slash - path));
	struct stat there;

	return !strstr(database, "://") && *path && stat(path, &there) != 0 && errno == ENOENT &&
	       stat(folder, &there) == 0 && S_ISDIR(there.st_mode);
}

/* A dry run makes no file: what would be made in a new one is made in memory, and forgotten. */
static int open_database(struct cli_session *session, const struct request *request)
{
	const struct cli_args *args = session->args;
	const struct amend_sync_options *options = &request->options;
	bool makes = options->create_table && !cli_has(args, "plan");

	if (makes && options->dry_run && is_new_file(args, args->words[1]))
		return cli_open(session, args, ":memory:", CLI_MAY_CREATE);
	return cli_open(session, args, args->words[1],
			makes && !options->dry_run ? CLI_MAY_CREATE : 0);
}

/* A remote source is asked for only if it has changed: what was seen of it is looked up first. */
static enum amend_status open_source(const struct cli_args *args, const struct request *request,
				     struct amend_source **out, struct amend_error *err)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const char *name = args->words[0];
	struct amend_conn *db = NULL;
	enum amend_status status;

	cli_read_interruptibly(true);
	options.must_exist = options.read_only = true;
	/* What is wrong with the database is said when it is opened to be written. */
	if (!is_url(name) || cli_has(args, "plan") ||
	    amend_open(args->words[1], &options, &db, err) != AMEND_OK)
		return amend_source_open(name, &request->source, out, err);
	status = amend_source_open_again(db, args->words[2], &request->options, name,
					 &request->source, out, err);
	amend_close(db);
	return status;
}

/* The signal came when there was nothing left to read. */
static bool was_interrupted(struct amend_error *err)
{
	return cli_interrupted() &&
	       amend_error_set(err, AMEND_INTERRUPTED, "interrupted") != AMEND_OK;
}

static int run(const struct cli_args *args)
{
	struct cli_session session = {.args = args};
	struct amend_source *source = NULL;
	struct cli_confirm confirm;
	struct request request;
	int code;

	if (!parse(args, &request) ||
	    !cli_changes_allowed(args, "changes", args->words[0], args->words[1]) ||
	    !cli_changes_allowed(args, "plan", args->words[0], args->words[1]) ||
	    !cli_changes_allowed(args, "rejects", args->words[0], args->words[1]))
		return CLI_USAGE;
	code = cli_confirm_open(&confirm, args, strcmp(args->words[0], "-") == 0);
	if (code == 0 && (open_source(args, &request, &source, &session.err) != AMEND_OK ||
			  was_interrupted(&session.err))) {
		explain_interruption(&session);
		code = cli_fail(&session);
	}
	cli_read_interruptibly(false);
	if (code != 0) {
		amend_source_close(source);
		cli_confirm_close(&confirm);
		/* 4 says that a record or a table of DB is missing. */
		return code == CLI_MISSING ? CLI_FAILED : code;
	}
	code = open_database(&session, &request);
	if (code == 0)
		code = sync_source(&session, &request, source, &confirm);
	cli_close(&session);
	amend_source_close(source);
	cli_confirm_close(&confirm);
	return code;
}

static const struct cli_option options[] = {
	{"match", "COL[,COL...]",
	 "find records by these columns; a second one where the first misses", true},
	{"map", "COL=SOURCECOL", "a column that the source calls differently", true},
	{"columns", "COL,...", "use only these columns (default: all of the source)", true},
	{"update", "COL,...", "write only these on records that exist (default: all used)", true},
	{"on-create", "COL=VALUE", "one more value for records that are created", true},
	{"create-only", NULL, "leave records alone that exist", false},
	{"update-only", NULL, "create no records", false},
	{"create-table", NULL, "create the table where there is none, all columns text", false},
	{"detect-types", NULL, "with --create-table: look at the values first", false},
	{"type", "COL=TYPE", "with --create-table: this column's type", true},
	{"dry-run", NULL, "say what would happen and write nothing", false},
	{"on-conflict", "store|incoming|current",
	 "who wins where both sides changed (default: store, for a person to settle)", false},
	{"adopt", "incoming|current|conflict", "who wins where nothing is known of before", false},
	{"duplicates", "reject|first|last",
	 "which of the records with one key to take (default: reject, none)", false},
	{"rejects", "FILE", "write the rejected records here, and why to FILE.reasons", false},
	{"max-rejects", "N", "stop before the first write when more are rejected", false},
	{"atomic", NULL, "all or nothing: one transaction, and a rejected record undoes it", false},
	{"batch", "N", "commit at most so many records together", false},
	{"missing", "keep|delete|COL=VALUE",
	 "what becomes of records that the source no longer has (default: keep)", false},
	{"max-missing", "N|N%", "stop before the first write when more are missing (default: 10%)",
	 false},
	{CLI_OPTION_CONFIRM},
	{CLI_OPTION_YES},
	{"plan", "FILE", "write down what would be done, for amend apply, and do nothing", false},
	{"changes", "FILE", "write each change as a line of JSON (- for standard output)", false},
	{"skip-locked", NULL, "leave records alone that another holds", false},
	{"source", "NAME", "tell several sources of one table apart (default: default)", false},
	{"format", "csv|tsv|json|ndjson", "what the source is (default: by the file's name)", false},
	{"query", "SQL", "SOURCE is a database, and this asks it for the records", false},
	{"path", "PATH", "where in a JSON document the array of records is: a.b, or /a/b", false},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{"quiet", NULL, "no summary and no progress", false},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_sync = {
	.name = "sync",
	.words = "SOURCE DB TABLE --match COL[,COL...]",
	.summary = "reconcile a source into a table",
	.about = "Brings a table up to date with a list: a file or URL of CSV, TSV, JSON or NDJSON,\n"
		 "also packed with gzip (- is standard input). What the source changed since last time is\n"
		 "written; what was edited here stays; where both changed the same field, nothing is lost: it\n"
		 "waits in amend conflicts.",
	.examples = "amend sync countries.csv app.db country --match alpha2 --create-table\n"
		    "amend sync countries.csv app.db country --match alpha2 --dry-run --changes -\n"
		    "amend sync countries.csv app.db country --match alpha2 --plan countries.plan\n"
		    "amend sync feed.csv app.db article --match remote_id --match slug --map slug=permalink\n"
		    "amend sync https://example.org/feed.csv app.db article --match id",
	.exits = "0 done  1 failed: what is in is said  2 wrong use, or --adopt or --max-missing must decide\n"
		 "3 done, new conflicts wait  4 no such table  5 locked  6 done, some input was rejected\n"
		 "7 the connection died while committing",
	.options = options,
	.least = 3,
	.most = 3,
	.run = run,
};

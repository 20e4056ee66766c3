/*
 * `amend set`: changes or creates one record.
 * Leaves reading the assignments to assign.c, and printing the outcome to result.c.
 */
#include <stdlib.h>
#include <string.h>

#include "assign.h"
#include "commands.h"
#include "exit.h"
#include "json.h"
#include "result.h"

/* The command line, before there is a table to make values for. */
struct request {
	struct cli_key key;
	struct cli_assignment *set, *on_create, *min, *max, *was;
	size_t n_set, n_on_create, n_min, n_max, n_was;
};

/* How columns are merged, by the option that says so. */
static const struct {
	const char *option;
	enum amend_merge_by by;
} rules[] = {
	{"additive", AMEND_MERGE_ADD},
	{"merge-text", AMEND_MERGE_LINES},
	{"merge-json", AMEND_MERGE_KEYS},
};

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static bool parse_option(const struct cli_args *args, const char *name, struct cli_assignment **out,
			 size_t *n)
{
	const char *const *words;

	*n = cli_values(args, name, &words);
	return cli_assign_parse_all(args, cli_format(args->pool, "--%s COL=VALUE", name), words, *n,
				    true, out);
}

/* What can be no bound of any column. */
static bool parse_bounds(const struct cli_args *args, const char *name, struct cli_assignment **out,
			 size_t *n)
{
	if (!parse_option(args, name, out, n))
		return false;
	for (size_t i = 0; i < *n; i++) {
		const struct cli_assignment *bound = &(*out)[i];
		const char *text = bound->value;
		size_t size = bound->size;

		cli_json_trim(&text, &size);
		if (size > 0 && (bound->verb != CLI_JSON || cli_json_is_number(text, size) ||
				 (*text == '"' && size > 2)))
			continue;
		cli_usage(args, "--%s %s: expected a number, found %.*s", name, bound->column,
			  size ? (int)size : 7, size ? text : "nothing");
		return false;
	}
	return true;
}

static bool parse_merge(const struct cli_args *args)
{
	bool merges = cli_has(args, "merge");

	if (merges && !cli_has(args, "if-version") && !cli_has(args, "was")) {
		cli_usage(args, "--merge needs --if-version TOKEN, or --was COL=VALUE: what the "
				"record was when you saw it");
		return false;
	}
	for (size_t i = 0; i < RULES; i++) {
		if (!merges && cli_has(args, rules[i].option)) {
			cli_usage(args, "--%s needs --merge", rules[i].option);
			return false;
		}
	}
	return true;
}

static bool parse(const struct cli_args *args, struct request *request)
{
	bool creates = cli_has(args, "create") || cli_has(args, "create-only");

	*request = (struct request){.n_set = args->n_words - 3};
	if (cli_has(args, "create") && cli_has(args, "create-only")) {
		cli_usage(args, "--create and --create-only exclude each other");
		return false;
	}
	if (cli_has(args, "nowait") && cli_has(args, "skip-locked")) {
		cli_usage(args, "--nowait and --skip-locked exclude each other");
		return false;
	}
	if (cli_has(args, "on-create") && !creates) {
		cli_usage(args, "--on-create needs --create or --create-only");
		return false;
	}
	if (request->n_set == 0 && !creates) {
		cli_usage(args, "expected COL=VALUE behind the key, found nothing to set");
		return false;
	}
	return parse_merge(args) && cli_once_parse(args) &&
	       cli_key_parse(args, args->words[2], &request->key) &&
	       cli_assign_parse_all(args, "COL=VALUE", args->words + 3, request->n_set, false,
				    &request->set) &&
	       parse_option(args, "on-create", &request->on_create, &request->n_on_create) &&
	       parse_option(args, "was", &request->was, &request->n_was) &&
	       parse_bounds(args, "min", &request->min, &request->n_min) &&
	       parse_bounds(args, "max", &request->max, &request->n_max);
}

/* A number as a number; else (a date) as the column has it. */
static struct amend_value make_bound(struct cli_pool *pool, const struct cli_assignment *word,
				     const struct amend_table *table)
{
	struct amend_value value;

	if (word->verb == CLI_TEXT && cli_number(word->value, word->size, &value))
		return value;
	return cli_assign_make(pool, word, table).value;
}

static void make_bounds(struct cli_pool *pool, const struct request *request,
			const struct amend_table *table, struct amend_write *write)
{
	size_t n = request->n_min + request->n_max;
	struct amend_bound *bounds = cli_alloc(pool, n, sizeof(*bounds));

	for (size_t i = 0; i < n; i++) {
		bool is_min = i < request->n_min;
		const struct cli_assignment *word = is_min ? &request->min[i]
							   : &request->max[i - request->n_min];

		bounds[i] = (struct amend_bound){word->column, amend_null(), amend_null()};
		*(is_min ? &bounds[i].min : &bounds[i].max) = make_bound(pool, word, table);
	}
	write->bounds = bounds;
	write->n_bounds = n;
}

static void make_rules(const struct cli_args *args, struct amend_write *write)
{
	const char *const *columns[RULES];
	size_t n[RULES], total = 0, made = 0;
	struct amend_merge_rule *all;

	for (size_t i = 0; i < RULES; i++) {
		n[i] = cli_values(args, rules[i].option, &columns[i]);
		total += n[i];
	}
	all = cli_alloc(args->pool, total, sizeof(*all));
	for (size_t i = 0; i < RULES; i++) {
		for (size_t j = 0; j < n[i]; j++)
			all[made++] = (struct amend_merge_rule){columns[i][j], rules[i].by};
	}
	write->merge = cli_has(args, "merge");
	write->rules = all;
	write->n_rules = total;
}

static bool make(const struct cli_args *args, struct request *request,
		 const struct amend_table *table, struct amend_write *write)
{
	struct amend_assign *set, *on_create;
	struct amend_field *originals;

	if (!cli_key_make(args, &request->key, table) ||
	    !cli_assign_make_all(args, request->set, request->n_set, table, &set) ||
	    !cli_assign_make_all(args, request->on_create, request->n_on_create, table, &on_create) ||
	    !cli_assign_make_fields(args, request->was, request->n_was, table, &originals))
		return false;
	make_bounds(args->pool, request, table, write);
	write->mode = cli_has(args, "create-only") ? AMEND_GET_OR_CREATE
		      : cli_has(args, "create")    ? AMEND_UPDATE_OR_CREATE
						   : AMEND_UPDATE;
	write->wait = cli_has(args, "nowait")        ? AMEND_NOWAIT
		      : cli_has(args, "skip-locked") ? AMEND_SKIP_LOCKED
						     : AMEND_WAIT;
	write->keys = &request->key.match;
	write->n_keys = 1;
	write->set = set;
	write->n_set = request->n_set;
	write->on_create = on_create;
	write->n_on_create = request->n_on_create;
	make_rules(args, write);
	/* What the columns held when the caller saw them. */
	write->expect.originals = originals;
	write->expect.n_originals = request->n_was;
	write->expect.token = cli_value(args, "if-version");
	write->expect.once = cli_once(args);
	write->expect.lease = cli_value(args, "lease");
	write->want_token = true;
	return true;
}

/* The look at the record that a stale write needs before it is tried again. */
static const char *next(const struct cli_args *args)
{
	const char *const *keys;
	size_t n = cli_values(args, "key", &keys);
	char *text = cli_format(
		args->pool, "amend get %s %s %s", cli_quote(args->pool, args->words[0]),
		cli_quote(args->pool, args->words[1]), cli_quote(args->pool, args->words[2]));

	for (size_t i = 0; i < n; i++)
		text = cli_format(args->pool, "%s --key %s", text, cli_quote(args->pool, keys[i]));
	return cli_format(args->pool, "%s, then set again with --if-version and its token", text);
}

/* Where what was refused can be settled. */
static const char *settle(const struct cli_args *args)
{
	return cli_format(args->pool, "amend resolve %s", cli_quote(args->pool, args->words[0]));
}

static int set(struct cli_session *session, struct request *request)
{
	const struct cli_args *args = session->args;
	const struct cli_subject subject = {
		.table = args->words[1],
		.key = cli_key_text(args->pool, &request->key),
		.next = next(args),
		.settle = settle(args),
	};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;
	int code = cli_open_table(session, args->words[1]);

	if (code != 0)
		return code;
	if (!cli_assign_once(args, "on-create", request->on_create, request->n_on_create,
			     session->table) ||
	    !cli_assign_once(args, "was", request->was, request->n_was, session->table) ||
	    !make(args, request, session->table, &write))
		return CLI_USAGE;
	status = amend_write(session->db, session->table, &write, &result, &session->err);
	code = cli_print_result(session, &subject, status, &result);
	amend_result_release(&result);
	return code;
}

static int run(const struct cli_args *args)
{
	struct cli_session session;
	struct request request;
	int code;

	if (!parse(args, &request))
		return CLI_USAGE;
	code = cli_open(&session, args, args->words[0], 0);
	if (code == 0)
		code = set(&session, &request);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"if-version", "TOKEN", "only if the record is still what this token stands for", false},
	{"was", "COL=VALUE", "only if the column still holds what you saw", true},
	{"merge", NULL,
	 "where it has changed since, merge field by field; both changed one: exit 3", false},
	{"additive", "COLUMN", "a number: add what you added to what others made of it", true},
	{"merge-text", "COLUMN", "text: merge it line by line", true},
	{"merge-json", "COLUMN", "JSON objects: merge them key by key (a column of JSON always is)",
	 true},
	{CLI_OPTION_LEASE},
	{CLI_OPTION_KEY},
	{"create", NULL, "create the record where there is none", false},
	{"create-only", NULL, "create it, or return the existing one as it is", false},
	{"on-create", "COL=VALUE", "one more value when it is created", true},
	{"min", "COL=N", "refuse to go below: the record stays as it is", true},
	{"max", "COL=N", "refuse to go above", true},
	{"nowait", NULL, "do not wait when another holds the record (exit 5)", false},
	{"skip-locked", NULL, "leave it alone when another holds it (exit 0)", false},
	{CLI_OPTION_ONCE},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{CLI_OPTION_KEY_FILE},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_set = {
	.name = "set",
	.words = "DB TABLE KEY=VALUE [COL=VALUE]...",
	.summary = "change or create one record",
	.about = "Changes one record, and records who changed what, when and why. What already has\n"
		 "the value is not written. COL=TEXT sets text, COL= the empty text, COL:=JSON a number,\n"
		 "null, true or a document; COL+=N and COL-=N count in the database. @FILE as a value\n"
		 "reads a file, \\@ begins a plain @, \\= stands for a = in a name.",
	.examples = "amend set app.db stock sku=42 qty-=3 --min qty=0\n"
		    "amend set app.db stock sku=42 name='Blue lamp' note:=null --because 'renamed'\n"
		    "amend set app.db stock sku=43 name=Chair qty:=1 --create\n"
		    "amend set app.db stock sku=42 qty:=5 --if-version TOKEN   (of amend get)\n"
		    "amend set app.db stock sku=42 name=Lamp --if-version TOKEN --merge",
	.exits = "0 done  1 failed, also by --min, --max or a constraint\n"
		 "2 wrong use, or a token that is not ours\n"
		 "3 stale: it has changed since; with --merge: both changed a field, kept as a conflict\n"
		 "4 no such record or table  5 locked\n"
		 "7 the connection died while committing: run again with --once and the id shown",
	.options = options,
	.least = 3,
	.most = CLI_ANY_NUMBER,
	.run = run,
};

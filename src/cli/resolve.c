/*
 * `amend resolve`: settles one conflict, by sides, values, or a file.
 * Leaves the file to conflict_file.c and its kin, and printing what became of the record to result.c.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign.h"
#include "commands.h"
#include "complain.h"
#include "conflict_file.h"
#include "conflict_show.h"
#include "exit.h"
#include "result.h"

_Static_assert(AMEND_TAKE_INCOMING == AMEND_TAKE_CURRENT + 1 &&
		       AMEND_TAKE_BASE == AMEND_TAKE_CURRENT + 2,
	       "the choices of --take follow enum amend_take");

struct request {
	struct cli_session *session;
	struct amend_resolution how;
	struct amend_pair *sides; /* --take COL=SIDE */
	size_t n_sides;
	struct cli_assignment *set;
	size_t n_set;
	const char *table, *key, *state; /* of the conflict */
	/* its file */
	const char *path; /* NULL: there is none */
	bool ours;        /* made for the editor: to be removed when it is of no more use */
	const char *text;
	size_t size;
	char *made; /* as it is made of the conflict now; malloc */
	size_t made_size;
	const char *version; /* the conflict's then */
	struct cli_decisions read;
	bool refused;
	struct json_object *json; /* where the conflict goes */
};

static bool read_side(const char *word, enum amend_take *out)
{
	for (int take = AMEND_TAKE_CURRENT; take <= AMEND_TAKE_BASE; take++) {
		if (strcmp(word, cli_take_name((enum amend_take)take)) == 0) {
			*out = (enum amend_take)take;
			return true;
		}
	}
	return false;
}

/* Each --take is a side for all columns, or COL=SIDE. */
static bool read_takes(const struct cli_args *args, struct request *request)
{
	const char *const *words;
	size_t n = cli_values(args, "take", &words);

	request->sides = cli_alloc(args->pool, n, sizeof(*request->sides));
	for (size_t i = 0; i < n; i++) {
		struct amend_pair *pair = &request->sides[request->n_sides];
		enum amend_take take, before = request->how.take;

		if (read_side(words[i], &request->how.take)) {
			if (before == AMEND_TAKE_NOTHING || before == request->how.take)
				continue;
			cli_usage(args, "--take: expected one side for all columns, found %s and %s",
				  cli_take_name(before), words[i]);
			return false;
		}
		if (!strchr(words[i], '=') ||
		    !cli_pair_parse(args, "--take COL=SIDE", words[i], pair) ||
		    !read_side(pair->right, &take)) {
			cli_usage(args,
				  "--take: expected current, incoming, base, or COL= and one of "
				  "them, found \"%s\"",
				  words[i]);
			return false;
		}
		request->n_sides++;
	}
	return true;
}

/* --- the conflict as it is --- */

static enum amend_status note_conflict(const struct amend_conflict *conflict, void *context,
				       struct amend_error *err)
{
	struct request *request = context;
	struct cli_pool *pool = request->session->args->pool;

	(void)err;
	request->table = cli_copy(pool, conflict->table, strlen(conflict->table));
	request->key = cli_copy(pool, conflict->first_key, strlen(conflict->first_key));
	request->state = cli_copy(pool, conflict->state, strlen(conflict->state));
	return AMEND_OK;
}

static enum amend_status make_file(const struct amend_conflict *conflict, void *context,
				   struct amend_error *err)
{
	struct request *request = context;
	FILE *out;

	free(request->made);
	request->made = NULL;
	out = open_memstream(&request->made, &request->made_size);
	if (!out)
		return amend_error_set(err, AMEND_NO_MEMORY, "out of memory");
	request->refused = !cli_conflict_write(request->session->args, out, conflict);
	request->version = cli_copy(request->session->args->pool, conflict->version,
				    strlen(conflict->version));
	fclose(out);
	return AMEND_OK;
}

static enum amend_status read_file(const struct amend_conflict *conflict, void *context,
				   struct amend_error *err)
{
	struct request *request = context;

	struct cli_pool *pool = request->session->args->pool;

	(void)err;
	/* What has changed since the file was made is told field by field; what changes from now on by this. */
	request->how.version = cli_copy(pool, conflict->version, strlen(conflict->version));
	request->refused = !cli_conflict_read(request->session->args, request->path, request->text,
					      request->size, conflict, request->session->table,
					      &request->read);
	return AMEND_OK;
}

static enum amend_status show_conflict(const struct amend_conflict *conflict, void *context,
				       struct amend_error *err)
{
	struct request *request = context;

	(void)err;
	if (request->json)
		cli_json_add(request->json, "conflict",
			     cli_conflict_json(request->session->table, conflict));
	else
		cli_conflict_print(request->session->args->pool, conflict);
	return AMEND_OK;
}

/* Complains if it is over, or was never. */
static int with_conflict(struct request *request, amend_conflict_fn each)
{
	struct cli_session *session = request->session;
	const struct amend_conflict_filter filter = {.id = request->how.id};

	if (amend_conflicts(session->db, &filter, each, request, &session->err) != AMEND_OK)
		return cli_fail(session);
	return request->refused ? CLI_USAGE : 0;
}

/* The conflict and its table. */
static int look(struct request *request)
{
	struct cli_session *session = request->session;
	int code = with_conflict(request, note_conflict);

	/* Of one that is over the call says what became of it. */
	if (code == 0 && strcmp(request->state, "open") == 0 &&
	    amend_table_open_recorded(session->db, request->table, &session->table,
				      &session->err) != AMEND_OK)
		code = cli_fail(session);
	return code;
}

/* --- settling --- */

static bool make_decisions(struct request *request)
{
	struct cli_session *session = request->session;
	struct cli_pool *pool = session->args->pool;
	size_t n = request->n_sides + request->n_set;
	struct amend_decision *list = cli_alloc(pool, n, sizeof(*list));
	struct amend_assign *set;

	if (!cli_assign_make_all(session->args, request->set, request->n_set, session->table, &set))
		return false;
	for (size_t i = 0; i < request->n_sides; i++) {
		list[i].column = request->sides[i].left;
		read_side(request->sides[i].right, &list[i].take);
	}
	for (size_t i = 0; i < request->n_set; i++)
		list[request->n_sides + i] = (struct amend_decision){.column = set[i].column,
								     .value = set[i].value};
	request->how.decisions = list;
	request->how.n_decisions = n;
	return true;
}

/* It goes on: what is in it, and why. */
static int print_waiting(struct request *request, const struct amend_result *result)
{
	struct cli_session *session = request->session;
	const struct amend_conflict_filter filter = {.id = request->how.id};
	struct amend_error ignored;

	if (!cli_has(session->args, "json")) {
		if (amend_conflicts(session->db, &filter, show_conflict, request, &ignored) !=
		    AMEND_OK)
			return cli_fail(session);
		return cli_complain_of(session);
	}
	request->json = json_object_new_object();
	cli_json_add(request->json, "outcome", cli_json_text(amend_outcome_name(result->outcome)));
	cli_json_add(request->json, "record", cli_json_record(session->table, result->record));
	cli_json_add(request->json, "version", NULL);
	cli_json_add(request->json, "fields", json_object_new_object());
	cli_json_add(request->json, "revision", NULL);
	if (amend_conflicts(session->db, &filter, show_conflict, request, &ignored) != AMEND_OK)
		cli_json_add(request->json, "conflict", NULL);
	cli_json_add(request->json, "error", cli_json_error(&session->err));
	cli_json_print(request->json);
	return cli_complain_of(session);
}

static int settle(struct request *request)
{
	struct cli_session *session = request->session;
	struct cli_subject subject = {.table = request->table, .key = request->key};
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_resolve(session->db, &request->how, &result, &session->err);
	int code;

	if (status == AMEND_STALE || status == AMEND_CONFLICT)
		code = print_waiting(request, &result);
	else
		code = cli_print_result(session, &subject, status, &result);
	amend_result_release(&result);
	return code;
}

/* --- by a file --- */

static bool same_as_made(const struct request *request)
{
	return request->size == request->made_size &&
	       memcmp(request->text, request->made, request->size) == 0;
}

/* What is in the file, which has been read. */
static int settle_file(struct request *request)
{
	struct cli_session *session = request->session;
	int code;

	if (!cli_conflict_says(request->text, request->size) || same_as_made(request)) {
		amend_error_set(&session->err, AMEND_CONFLICT,
				"%s was %s: conflict %lld waits as before",
				request->ours ? "the file" : request->path,
				same_as_made(request) ? "not changed" : "left empty",
				(long long)request->how.id);
		/* Nothing in it is anybody's work. */
		if (request->ours)
			unlink(request->path);
		request->ours = false;
		return cli_fail(session);
	}
	/* Settled by somebody else while the file was written: the call says by whom. */
	if (strcmp(request->state, "open") != 0)
		return settle(request);
	code = with_conflict(request, read_file);
	if (code != 0)
		return code;
	request->how.decisions = request->read.list;
	request->how.n_decisions = request->read.n;
	return settle(request);
}

/* A file tells field by field what has changed since it was made; a version given beside it is of the whole, and now. */
static int check_version(struct request *request)
{
	struct cli_session *session = request->session;
	const struct amend_result result = {.outcome = AMEND_IS_STALE};
	const char *given = request->how.version;

	request->how.version = NULL;
	if (!given || strcmp(given, request->version) == 0)
		return 0;
	amend_error_set(
		&session->err, AMEND_STALE,
		"conflict %lld: it is not what was shown any more; nothing was written (hint: "
		"decide on %lld@%s, what it is now)",
		(long long)request->how.id, (long long)request->how.id, request->version);
	return print_waiting(request, &result);
}

/* No connection stays open while somebody thinks. */
static int edit(struct request *request)
{
	struct cli_session *session = request->session;
	const struct cli_args *args = session->args;
	const char *given = cli_value(args, "file");
	int code;

	cli_close(session);
	if (given)
		code = cli_edit(args, given);
	else
		code = cli_conflict_edit(args, request->how.id, request->made, request->made_size,
					 &request->path);
	request->ours = !given && request->path;
	if (code == 0)
		code = cli_slurp(args, request->path, &request->text, &request->size) ? 0
										      : CLI_FAILED;
	if (code == 0)
		code = cli_open(session, args, args->words[0], 0);
	return code == 0 ? look(request) : code;
}

static int by_file(struct request *request)
{
	const struct cli_args *args = request->session->args;
	int code = with_conflict(request, make_file);

	request->path = cli_value(args, "file");
	if (code == 0)
		code = check_version(request);
	if (code == 0 && cli_has(args, "print")) {
		fwrite(request->made, 1, request->made_size, stdout);
		return CLI_DONE;
	}
	if (code == 0 && cli_has(args, "edit"))
		code = edit(request);
	else if (code == 0)
		code = cli_slurp(args, request->path, &request->text, &request->size) ? 0
										      : CLI_USAGE;
	if (code == 0)
		code = settle_file(request);
	if (request->ours && code == CLI_DONE)
		unlink(request->path);
	else if (request->ours)
		cli_complain("what was written is kept in %s (hint: --edit --file goes on with it)",
			     request->path);
	return code;
}

/* --- the command --- */

/* ID, or as it was shown ID@VERSION. */
static bool read_number(const struct cli_args *args, struct request *request)
{
	const char *word = args->words[1], *at = strchr(word, '@');
	const char *id = at ? cli_copy(args->pool, word, (size_t)(at - word)) : word;

	if (cli_id(id, &request->how.id) &&
	    (!at || (strlen(at + 1) == AMEND_CONFLICT_VERSION - 1 &&
		     strspn(at + 1, "0123456789abcdef") == AMEND_CONFLICT_VERSION - 1))) {
		request->how.version = at ? at + 1 : NULL;
		return true;
	}
	cli_usage(args,
		  "expected a conflict's number, ID or ID@VERSION, found \"%s\" (hint: amend "
		  "conflicts lists them)",
		  word);
	return false;
}

static int check_use(const struct cli_args *args, const struct request *request)
{
	bool file = cli_has(args, "edit") || cli_has(args, "file") || cli_has(args, "print");
	bool given = cli_has(args, "take") || request->n_set > 0;

	if (file && given)
		return cli_usage(args, "expected --edit, --file or --print alone, found --take or "
				       "COL=VALUE beside it");
	if (cli_has(args, "print") && (cli_has(args, "edit") || cli_has(args, "file")))
		return cli_usage(args,
				 "--print only shows the file, found --edit or --file beside it");
	if (cli_has(args, "edit") && !cli_can_edit())
		return cli_usage(args, "--edit needs a terminal, or $VISUAL or $EDITOR: --print "
				       "writes the file, --file settles by it");
	if (!file && !given)
		return cli_usage(args, "expected --take current|incoming|base, COL=VALUE or --edit, "
				       "found none of them");
	return 0;
}

static int run(const struct cli_args *args)
{
	struct cli_session session;
	struct request request = {.session = &session, .n_set = args->n_words - 2};
	int code;

	if (!read_number(args, &request))
		return CLI_USAGE;
	code = check_use(args, &request);
	if (code != 0)
		return code;
	if (!read_takes(args, &request) || !cli_assign_parse_all(args, "COL=VALUE", args->words + 2,
								 request.n_set, true, &request.set))
		return CLI_USAGE;
	request.how.anew = cli_has(args, "anew");
	code = cli_open(&session, args, args->words[0], 0);
	if (code == 0)
		code = look(&request);
	if (code == 0 && strcmp(request.state, "open") != 0) {
		code = settle(&request);
	} else if (code == 0 && !cli_has(args, "take") && request.n_set == 0) {
		code = by_file(&request);
	} else if (code == 0) {
		code = make_decisions(&request) ? settle(&request) : CLI_USAGE;
	}
	free(request.made);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"take", "current|incoming|base|COL=SIDE",
	 "for every column that is not decided; or for one", true},
	{"anew", NULL, "what was decided before does not count", false},
	{"edit", NULL, "opens $VISUAL, $EDITOR or (on a terminal) vi on a file of the conflict",
	 false},
	{"file", "FILE", "settles it by such a file (- standard input)", false},
	{"print", NULL, "prints such a file, and settles nothing", false},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_resolve = {
	.name = "resolve",
	.words = "DB ID [COL=VALUE]...",
	.summary = "settle a conflict",
	.about = "Settles the conflict with this number (amend conflicts lists them): takes sides, and\n"
		 "the values given for single columns; or what a file of it has been edited to. When\n"
		 "every clashing column is decided, it is written; until then the conflict keeps what\n"
		 "was decided. What somebody has changed since is shown and asked about again: ID is the\n"
		 "conflict as it was found, ID@VERSION as it is shown since.",
	.examples = "amend resolve app.db 1 --take incoming\n"
		    "amend resolve app.db 1 name=Czechia --because 'the short name is official'\n"
		    "amend resolve app.db 1 --take current --take name=incoming\n"
		    "amend resolve app.db 1 --edit",
	.exits = "0 settled  1 failed  2 wrong use, a mark left in a file  3 stale: changed since by\n"
		 "another, or a column lacks a decision  4 no open conflict of this number  5 locked",
	.options = options,
	.least = 2,
	.most = CLI_ANY_NUMBER,
	.run = run,
};

/*
 * `amend prune`: removes old history, after it was said how much.
 * Leaves what may go to the library.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "confirm.h"
#include "exit.h"
#include "json.h"
#include "session.h"

static bool agreed(struct cli_pool *pool, uint64_t changes)
{
	return cli_agree(
		cli_format(pool, "%" PRIu64 " change%s would be removed for good. Remove %s?",
			   changes, changes == 1 ? "" : "s", changes == 1 ? "it" : "them"));
}

static void print_end(const struct cli_args *args, const struct amend_prune *prune,
		      const struct amend_pruned *pruned)
{
	struct json_object *object;

	if (!cli_has(args, "json")) {
		if (prune->dry_run)
			printf("%" PRIu64 " changes would be removed\n", pruned->changes);
		else
			printf("%" PRIu64 " changes removed, with %" PRIu64
			       " revisions and %" PRIu64 " runs that had no others\n",
			       pruned->changes, pruned->revisions, pruned->runs);
		return;
	}
	object = json_object_new_object();
	cli_json_add(object, "changes", json_object_new_uint64(pruned->changes));
	cli_json_add(object, "revisions", json_object_new_uint64(pruned->revisions));
	cli_json_add(object, "runs", json_object_new_uint64(pruned->runs));
	cli_json_add(object, "dry_run", json_object_new_boolean(prune->dry_run));
	cli_json_print(object);
}

static int prune(struct cli_session *session, struct amend_prune *what)
{
	const struct cli_args *args = session->args;
	struct amend_pruned pruned;
	enum amend_status status = AMEND_OK;

	if (!what->dry_run && !cli_has(args, "yes")) {
		what->dry_run = true;
		status = amend_prune(session->db, what, &pruned, &session->err);
		what->dry_run = false;
		if (status == AMEND_OK && pruned.changes > 0 && !agreed(args->pool, pruned.changes)) {
			amend_error_set(&session->err, AMEND_INTERRUPTED, "nothing was removed");
			return cli_fail(session);
		}
	}
	if (status == AMEND_OK)
		status = amend_prune(session->db, what, &pruned, &session->err);
	if (status != AMEND_OK)
		return cli_fail(session);
	print_end(args, what, &pruned);
	return CLI_DONE;
}

static int run(const struct cli_args *args)
{
	struct amend_prune what = AMEND_PRUNE_INIT;
	struct cli_session session;
	int code;

	if (!cli_age(args, "older-than", &what.older_than) ||
	    !cli_count(args, "keep", 1, &what.keep))
		return CLI_USAGE;
	if (!what.older_than && !what.keep)
		return cli_usage(args, "expected --older-than AGE, --keep N, or both");
	what.dry_run = cli_has(args, "dry-run");
	if (!what.dry_run && !cli_has(args, "yes") &&
	    (cli_has(args, "json") || !isatty(STDIN_FILENO)))
		return cli_usage(args,
				 "nothing is removed without a yes, and there is no terminal to "
				 "ask on (hint: --yes, or --dry-run to look first)");
	code = cli_open(&session, args, args->words[0], what.dry_run ? CLI_READ_ONLY : 0);
	if (code == 0 && args->n_words > 1)
		code = cli_open_table(&session, args->words[1]);
	what.table = session.table;
	if (code == 0)
		code = prune(&session, &what);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"older-than", "AGE", "changes of this age: 90d, 12w, 2y", false},
	{"keep", "N", "but for the newest N of each record", false},
	{"dry-run", NULL, "say how many, remove nothing", false},
	{"yes", NULL, "do not ask", false},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_prune = {
	.name = "prune",
	.words = "DB [TABLE]",
	.summary = "remove old history",
	.about = "Removes what history has of old changes: those of an age, or all but the newest of each\n"
		 "record. What a version token, an open conflict or a lease may need stays.",
	.examples = "amend prune app.db --older-than 2y --dry-run\n"
		    "amend prune app.db stock --older-than 90d --keep 10 --yes",
	.exits = "0 done  1 failed, or answered no  2 wrong use  4 no such table  5 locked",
	.options = options,
	.least = 1,
	.most = 2,
	.run = run,
};

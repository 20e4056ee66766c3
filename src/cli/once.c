/*
 * `amend once`: what was done under an operation's id; and forgetting what is old.
 * Leaves doing something under an id to the commands with --once.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "complain.h"
#include "exit.h"
#include "json.h"
#include "plain.h"
#include "print.h"
#include "session.h"

static int show(struct cli_session *session, const char *id)
{
	struct cli_pool *pool = session->args->pool;
	struct amend_once_result done = AMEND_ONCE_RESULT_INIT;

	if (amend_once_find(session->db, id, &done, &session->err) != AMEND_OK)
		return cli_fail(session);
	if (cli_has(session->args, "json")) {
		struct json_object *object = json_object_new_object();

		cli_json_add(object, "once", cli_json_text(id));
		cli_json_add(object, "outcome", cli_json_text(done.outcome));
		cli_json_add(object, "revision", cli_json_id(done.revision));
		cli_json_add(object, "at", cli_json_time(done.at));
		cli_json_add(object, "by", cli_json_text(done.who));
		cli_json_print(object);
	} else {
		printf("%s: %s", cli_show_text(pool, id), done.outcome ? done.outcome : "handled");
		if (done.revision)
			printf(" (revision %lld)", (long long)done.revision);
		printf(" by %s", cli_show_text(pool, done.who));
		printf(" at %s\n", cli_show_time(pool, done.at));
	}
	amend_once_result_release(&done);
	return CLI_DONE;
}

static int forget(struct cli_session *session, int64_t seconds)
{
	int64_t n = 0;

	if (amend_once_forget(session->db, seconds, &n, &session->err) != AMEND_OK)
		return cli_fail(session);
	if (cli_has(session->args, "json")) {
		struct json_object *object = json_object_new_object();

		cli_json_add(object, "forgotten", json_object_new_int64(n));
		cli_json_print(object);
	} else {
		printf("forgotten: %lld operation%s\n", (long long)n, n == 1 ? "" : "s");
	}
	return CLI_DONE;
}

/* DAYS, or an age with its unit as elsewhere. */
static bool read_age(const struct cli_args *args, int64_t *seconds)
{
	enum { SECONDS_A_DAY = 86400, MOST_DAYS = 1000000 };
	const char *word = cli_value(args, "forget");
	int64_t days = 0;

	if (word && strspn(word, "0123456789") > 0 && strpbrk(word, "hdwy"))
		return cli_age(args, "forget", seconds);
	if (!cli_count(args, "forget", 0, &days))
		return false;
	*seconds = (days < MOST_DAYS ? days : MOST_DAYS) * SECONDS_A_DAY;
	return true;
}

static int run(const struct cli_args *args)
{
	bool forgets = cli_has(args, "forget");
	struct cli_session session;
	int64_t seconds = 0;
	int code;

	if (forgets == (args->n_words == 2))
		return cli_usage(args, "expected either an ID to look up or --forget DAYS");
	if (forgets && !read_age(args, &seconds))
		return CLI_USAGE;
	code = cli_open(&session, args, args->words[0], forgets ? 0 : CLI_READ_ONLY);
	if (code == 0)
		code = forgets ? forget(&session, seconds) : show(&session, args->words[1]);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"forget", "DAYS", "forget what was done more than so many days ago (also 12h, 30d, 2y)",
	 false},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_once = {
	.name = "once",
	.words = "DB [ID]",
	.summary = "what was done under an operation's id",
	.about = "Shows what `amend set --once ID` and the like came to. Operations are kept until they are\n"
		 "forgotten: from then on the same id does it again.",
	.examples = "amend once app.db order-77\n"
		    "amend once app.db --forget 30d",
	.exits = "0 done  1 failed  2 wrong use  4 nothing that is committed was done under it",
	.options = options,
	.least = 1,
	.most = 2,
	.run = run,
};

/*
 * `amend lease`: holds that outlive a transaction, taken, renewed, given back, broken.
 * Leaves listing them to lease_list.c, and holding one around a command to lock.c.
 */
#include "lease.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "complain.h"
#include "exit.h"
#include "print.h"

enum verb { ACQUIRE, RENEW, RELEASE, LIST, BREAK, VERBS };

static const char *const verbs[VERBS] = {"acquire", "renew", "release", "list", "break"};

/* ---- which lease ---- */

bool cli_lease_parse(const struct cli_args *args, const char *table, const char *word,
		     struct cli_lease *out)
{
	*out = (struct cli_lease){.text = word};
	if (!table) {
		out->name.name = word;
		if (!*word)
			cli_usage(args, "expected a name for the lease, found nothing");
		return *word != '\0';
	}
	if (!cli_key_parse(args, word, &out->key))
		return false;
	out->text = cli_format(args->pool, "%s %s", table, cli_key_text(args->pool, &out->key));
	return true;
}

int cli_lease_open(struct cli_session *session, const char *table, struct cli_lease *lease)
{
	int code = table ? cli_open_table(session, table) : 0;

	if (code != 0 || !table)
		return code;
	if (!cli_key_make(session->args, &lease->key, session->table))
		return CLI_USAGE;
	lease->name.table = session->table;
	lease->name.key = &lease->key.match;
	return 0;
}

const char *cli_lease_place(struct cli_pool *pool)
{
	char host[64];

	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	return cli_format(pool, "%s:%ld", host[0] ? host : "?", (long)getppid());
}

/* ---- outcomes ---- */

struct json_object *cli_lease_json(const char *outcome, const struct amend_lease *lease)
{
	struct json_object *object = json_object_new_object();
	bool known = lease->fence != 0;

	cli_json_add(object, "outcome", cli_json_text(outcome));
	cli_json_add(object, "token", cli_json_text(*lease->token ? lease->token : NULL));
	cli_json_add(object, "fence", cli_json_id(lease->fence));
	cli_json_add(object, "expires", cli_json_time(known ? lease->expires : NULL));
	cli_json_add(object, "holder", cli_json_text(known ? lease->holder : NULL));
	cli_json_add(object, "place", cli_json_text(known ? lease->place : NULL));
	return object;
}

static int say(struct cli_session *session, const char *outcome, const char *text,
	       const struct amend_lease *lease)
{
	struct cli_pool *pool = session->args->pool;

	if (cli_has(session->args, "json")) {
		cli_json_print(cli_lease_json(outcome, lease));
		return CLI_DONE;
	}
	cli_ink(stdout, CLI_GOOD, outcome);
	printf(" %s", cli_show_text(pool, text));
	if (lease->fence)
		printf(" (fence %lld)", (long long)lease->fence);
	if (*lease->token)
		printf(" until %s\ntoken: %s", cli_show_time(pool, lease->expires), lease->token);
	printf("\n");
	return CLI_DONE;
}

/* Another has it, or has had it: with --json that is an outcome of its own. */
static int fail(struct cli_session *session, const char *outcome, const char *text,
		struct amend_lease *lease)
{
	*lease->token = '\0';
	if (session->err.status == AMEND_LOCKED)
		amend_error_wrap(&session->err, "%s", text);
	if (session->err.status != AMEND_LOCKED || !cli_has(session->args, "json"))
		return cli_fail(session);
	struct json_object *object = cli_lease_json(outcome, lease);

	cli_json_add(object, "error", cli_json_error(&session->err));
	cli_json_print(object);
	return cli_complain_of(session);
}

/* ---- the verbs ---- */

static int acquire(struct cli_session *session, const struct cli_lease *lease)
{
	const struct cli_args *args = session->args;
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
	struct amend_lease out;
	int ttl_ms = (int)options.ttl_ms, wait_ms = 0;

	if (!cli_duration(args, "ttl", &ttl_ms) || !cli_duration(args, "wait", &wait_ms))
		return CLI_USAGE;
	options.ttl_ms = ttl_ms;
	options.wait_ms = wait_ms;
	options.mandatory = cli_has(args, "mandatory");
	options.place = cli_value(args, "place");
	if (!options.place)
		options.place = cli_lease_place(args->pool);
	if (amend_lease_acquire(session->db, &lease->name, &options, &out, &session->err) !=
	    AMEND_OK)
		return fail(session, "locked", lease->text, &out);
	return say(session, "acquired", lease->text, &out);
}

static int renew(struct cli_session *session, const struct cli_lease *lease)
{
	const struct cli_args *args = session->args;
	struct amend_lease out;
	int ttl_ms = 0;

	if (!cli_duration(args, "ttl", &ttl_ms))
		return CLI_USAGE;
	if (amend_lease_renew(session->db, &lease->name, cli_value(args, "token"), ttl_ms, &out,
			      &session->err) != AMEND_OK)
		return fail(session, "lost", lease->text, &out);
	return say(session, "renewed", lease->text, &out);
}

static int release(struct cli_session *session, const struct cli_lease *lease)
{
	struct amend_lease none = {.fence = 0};

	if (amend_lease_release(session->db, &lease->name, cli_value(session->args, "token"),
				&session->err) != AMEND_OK)
		return fail(session, "lost", lease->text, &none);
	return say(session, "released", lease->text, &none);
}

static int break_it(struct cli_session *session, const struct cli_lease *lease)
{
	struct cli_pool *pool = session->args->pool;
	struct amend_lease was;
	int code;

	if (amend_lease_break(session->db, &lease->name, cli_value(session->args, "because"), &was,
			      &session->err) != AMEND_OK)
		return fail(session, "locked", lease->text, &was);
	code = say(session, "broken", lease->text, &was);
	if (!cli_has(session->args, "json"))
		printf("it was %s's (%s) since %s\n", cli_show_text(pool, was.holder),
		       cli_show_text(pool, was.place), cli_show_time(pool, was.since));
	return code;
}

static int run_verb(struct cli_session *session, enum verb verb, const struct cli_lease *lease)
{
	switch (verb) {
	case ACQUIRE:
		return acquire(session, lease);
	case RENEW:
		return renew(session, lease);
	case RELEASE:
		return release(session, lease);
	case LIST:
		return cli_lease_list(session, lease->text ? &lease->name : NULL,
				      cli_has(session->args, "history"));
	case BREAK:
		return break_it(session, lease);
	case VERBS:
		break;
	}
	return CLI_USAGE;
}

/* ---- the command line ---- */

/* An option that the verb does not take is a mistake, not something to pass over. */
static bool check_options(const struct cli_args *args, enum verb verb)
{
	static const struct {
		const char *name;
		unsigned verbs;
	} only[] = {
		{"ttl", 1 << ACQUIRE | 1 << RENEW},
		{"wait", 1 << ACQUIRE},
		{"place", 1 << ACQUIRE},
		{"token", 1 << RENEW | 1 << RELEASE},
		{"history", 1 << LIST},
	};

	for (size_t i = 0; i < sizeof(only) / sizeof(only[0]); i++) {
		if (cli_has(args, only[i].name) && !(only[i].verbs & 1U << verb)) {
			cli_usage(args, "--%s is not for %s", only[i].name, verbs[verb]);
			return false;
		}
	}
	if ((verb == RENEW || verb == RELEASE) && !cli_value(args, "token")) {
		cli_usage(args, "%s: expected --token TOKEN, which acquire printed", verbs[verb]);
		return false;
	}
	if (verb == BREAK && (!cli_value(args, "because") || !*cli_value(args, "because"))) {
		cli_usage(args, "break: expected --because TEXT: the reason is recorded");
		return false;
	}
	return true;
}

static bool parse(const struct cli_args *args, enum verb *verb, struct cli_lease *lease)
{
	const char *table = cli_value(args, "record"), *const * keys;

	for (*verb = ACQUIRE; *verb < VERBS && strcmp(verbs[*verb], args->words[0]) != 0;)
		++*verb;
	if (*verb == VERBS) {
		cli_usage(args, "expected acquire, renew, release, list or break, found \"%s\"",
			  args->words[0]);
		return false;
	}
	if (!check_options(args, *verb))
		return false;
	if (!table && cli_has(args, "mandatory")) {
		cli_usage(args, "--mandatory needs --record TABLE: a plain name has no writes");
		return false;
	}
	if (!table && cli_values(args, "key", &keys) > 0) {
		cli_usage(args, "--key needs --record TABLE");
		return false;
	}
	*lease = (struct cli_lease){.text = NULL};
	if (args->n_words == 3)
		return cli_lease_parse(args, table, args->words[2], lease);
	if (*verb == LIST && !table)
		return true;
	cli_usage(args, "%s: expected %s behind the database, found nothing", verbs[*verb],
		  table ? "KEY=VALUE" : "a NAME");
	return false;
}

static int run(const struct cli_args *args)
{
	struct cli_session session;
	struct cli_lease lease;
	enum verb verb;
	int code;

	if (!parse(args, &verb, &lease))
		return CLI_USAGE;
	code = cli_open(&session, args, args->words[1], verb == LIST ? CLI_READ_ONLY : 0);
	if (code == 0)
		code = cli_lease_open(&session, cli_value(args, "record"), &lease);
	if (code == 0)
		code = run_verb(&session, verb, &lease);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"record", "TABLE", "the lease of a record: KEY=VALUE stands in place of the name", false},
	{CLI_OPTION_KEY},
	{"ttl", "TIME", "how long it lives unless it is renewed: 30s, 5m (30s)", false},
	{"wait", "TIME", "acquire: wait this long while another has it (not at all)", false},
	{"place", "PLACE", "acquire: where the holder is (this machine, and what called amend)",
	 false},
	{"mandatory", NULL, "acquire: of a record: who writes to it without the token is refused",
	 false},
	{"token", "TOKEN", "renew, release: what acquire printed", false},
	{"history", NULL, "list: what became of leases, newest first", false},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_lease = {
	.name = "lease",
	.words = "acquire|renew|release|list|break DB [NAME]",
	.summary = "holds that outlive a transaction",
	.about = "Takes a lease on a name, or on a record (--record TABLE KEY=VALUE), for a person or a\n"
		 "job: nobody else gets it until it is released, is broken, or has lived its time.\n"
		 "The token that acquire prints is the holder's alone; its fence is a number that\n"
		 "rises with each holder.",
	.examples = "amend lease acquire app.db nightly --ttl 5m --wait 10s\n"
		    "amend lease acquire app.db --record stock sku=42 --mandatory --as anna\n"
		    "amend lease renew app.db nightly --token TOKEN\n"
		    "amend lease release app.db nightly --token TOKEN\n"
		    "amend lease list app.db\n"
		    "amend lease break app.db nightly --because 'its machine is gone'",
	.exits = "0 done  1 failed  2 wrong use, or a token that is not ours\n"
		 "4 no such record or table, or nobody has it\n"
		 "5 another has it, or the lease is lost\n"
		 "7 the connection died while committing",
	.options = options,
	.least = 2,
	.most = 3,
	.run = run,
};

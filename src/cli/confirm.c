/*
 * Asking on the terminal: whether all of it shall be done; and each change, as a small diff.
 * Leaves what follows from an answer to the library and the commands.
 */
#include "confirm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"
#include "exit.h"
#include "plain.h"
#include "print.h"
#include "session.h"

enum { LONGEST = 200 };

static const char explanation[] =
	"y  do this\n"
	"n  skip this, and what cannot be done without it\n"
	"a  do this and all that follow\n"
	"q  skip this and all that follow, as the end of input (Ctrl-D) does\n"
	"?  this\n";

/* --- the terminal --- */

int cli_confirm_open(struct cli_confirm *confirm, const struct cli_args *args, bool stdin_taken)
{
	*confirm = (struct cli_confirm){.in = STDIN_FILENO, .out = stderr};
	if (!cli_has(args, "confirm") || cli_has(args, "yes"))
		return 0;
	confirm->wanted = true;
	if (stdin_taken) {
		confirm->in = open("/dev/tty", O_RDONLY | O_CLOEXEC);
		confirm->ours_in = confirm->in >= 0;
	}
	if (confirm->in < 0 || !isatty(confirm->in))
		return cli_usage(args,
				 "--confirm asks on a terminal, and there is none (hint: --yes "
				 "answers all, --plan FILE is for looking first)");
	if (isatty(STDERR_FILENO))
		return 0;
	confirm->out = fopen("/dev/tty", "we");
	confirm->ours_out = confirm->out != NULL;
	if (confirm->out)
		return 0;
	confirm->out = stderr;
	return 0;
}

void cli_confirm_close(struct cli_confirm *confirm)
{
	if (confirm->ours_in)
		close(confirm->in);
	if (confirm->ours_out)
		fclose(confirm->out);
	confirm->ours_in = confirm->ours_out = false;
}

/* --- a change --- */

static void print_side(FILE *out, struct cli_pool *pool, enum cli_ink ink, const char *sign,
		       const char *column, const struct amend_value *value)
{
	cli_ink(out, ink,
		cli_format(pool, "  %s %s: %s", sign, cli_plain(pool, column),
			   cli_show(pool, value, LONGEST)));
	fputc('\n', out);
}

static void print_conflict(FILE *out, struct cli_pool *pool, const struct amend_sync_change *change)
{
	if (change->note && *change->note)
		fprintf(out, "  %s\n", cli_plain(pool, change->note));
	for (size_t i = 0; i < change->n_fields; i++) {
		const struct amend_conflict_field *field = &change->fields[i];

		if (field->has_base)
			print_side(out, pool, CLI_FAINT, "base    ", field->column, &field->base);
		print_side(out, pool, CLI_NOTE, "current ", field->column, &field->current);
		print_side(out, pool, CLI_NOTE, "incoming", field->column, &field->incoming);
	}
}

static void print_change(FILE *out, struct cli_pool *pool, const struct amend_sync_change *change)
{
	bool create = strcmp(change->op, "create") == 0, gone = strcmp(change->op, "delete") == 0;

	fprintf(out, "%s %s %s\n",
		strcmp(change->op, "conflict") == 0 ? "store a conflict" : change->op,
		cli_plain(pool, change->table->qualified),
		cli_show_fields(pool, change->key, change->n_key));
	if (strcmp(change->op, "conflict") == 0) {
		print_conflict(out, pool, change);
		return;
	}
	for (size_t i = 0; i < change->n_fields; i++) {
		const struct amend_conflict_field *field = &change->fields[i];

		if (!create)
			print_side(out, pool, CLI_BAD, "-", field->column, &field->current);
		if (!gone)
			print_side(out, pool, CLI_GOOD, "+", field->column, &field->incoming);
	}
}

/* --- an answer --- */

enum { NOTHING = '\n', ENDED = 0, BROKEN = -1 };

/* The first letter of the line that is typed. poll, since a signal ends it. */
static int read_letter(const struct cli_confirm *confirm)
{
	int letter = NOTHING;

	for (;;) {
		struct pollfd ready = {.fd = confirm->in, .events = POLLIN};
		unsigned char byte;
		ssize_t n;

		if (cli_interrupted() || (poll(&ready, 1, -1) < 0 && errno != EINTR))
			return BROKEN;
		if (!ready.revents)
			continue;
		n = read(confirm->in, &byte, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return letter == NOTHING ? ENDED : letter;
		if (byte == '\n' || byte == '\r')
			return letter;
		if (letter == NOTHING && byte != ' ' && byte != '\t')
			letter = byte;
	}
}

static enum amend_status read_answer(const struct cli_confirm *confirm,
				     const struct amend_confirm *question,
				     enum amend_answer *answer, struct amend_error *err)
{
	for (;;) {
		fprintf(confirm->out, "%" PRIu64 " of %" PRIu64 " [y,n,a,q,?] ", question->number,
			question->total);
		fflush(confirm->out);
		switch (read_letter(confirm)) {
		case 'y':
		case 'Y':
			*answer = AMEND_ANSWER_YES;
			return AMEND_OK;
		case 'n':
		case 'N':
			*answer = AMEND_ANSWER_NO;
			return AMEND_OK;
		case 'a':
		case 'A':
			*answer = AMEND_ANSWER_ALL;
			return AMEND_OK;
		case ENDED:
			fputc('\n', confirm->out);
			*answer = AMEND_ANSWER_QUIT;
			return AMEND_OK;
		case 'q':
		case 'Q':
			*answer = AMEND_ANSWER_QUIT;
			return AMEND_OK;
		case BROKEN:
			fputc('\n', confirm->out);
			return amend_error_set(err, AMEND_INTERRUPTED,
					       "interrupted while it was asked");
		case '?':
			fputs(explanation, confirm->out);
			break;
		default:
			fputs("expected y, n, a, q or ?: nothing is done without an answer\n",
			      confirm->out);
			fputs(explanation, confirm->out);
			break;
		}
	}
}

enum amend_status cli_confirm_ask(struct cli_confirm *confirm, const struct amend_confirm *question,
				  enum amend_answer *answer, struct amend_error *err)
{
	struct cli_pool pool = CLI_POOL_INIT;

	fflush(stdout);
	if (question->again)
		fputs("this has changed since it was asked about, and is asked again:\n",
		      confirm->out);
	/* Of one record there may be two changes: what is written, and what clashes. */
	if (question->n_changes > 1 &&
	    question->changes[0].line != question->changes[question->n_changes - 1].line)
		fputs("these go together:\n", confirm->out);
	for (size_t i = 0; i < question->n_changes; i++)
		print_change(confirm->out, &pool, &question->changes[i]);
	cli_pool_release(&pool);
	return read_answer(confirm, question, answer, err);
}

bool cli_agree(const char *question)
{
	const struct cli_confirm terminal = {.in = STDIN_FILENO, .out = stderr};

	fflush(stdout);
	for (;;) {
		fprintf(stderr, "%s [y,n] ", question);
		fflush(stderr);
		switch (read_letter(&terminal)) {
		case 'y':
		case 'Y':
			return true;
		case 'n':
		case 'N':
			return false;
		case ENDED:
		case BROKEN:
			fputc('\n', stderr);
			return false;
		default:
			fputs("expected y or n: nothing is done without an answer\n", stderr);
			break;
		}
	}
}

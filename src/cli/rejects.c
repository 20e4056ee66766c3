/*
 * `sync --rejects`: what was rejected, in the source's own words, and why.
 * Leaves finding the words to the library, files to changes.c.
 */
#include "rejects.h"

#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "exit.h"

int cli_rejects_open(struct cli_session *session, struct cli_rejects *rejects)
{
	const struct cli_args *args = session->args;
	const char *name = cli_value(args, "rejects");
	int code = cli_changes_open(session, &rejects->records, "rejects");

	rejects->pool = args->pool;
	if (code != 0 || !name)
		return code;
	rejects->at = 1;
	return cli_changes_open_as(session, &rejects->reasons, "rejects",
				   cli_format(args->pool, "%s.reasons", name));
}

void cli_rejects_add(struct cli_rejects *rejects, int64_t line, const char *text)
{
	if (!rejects->records.file)
		return;
	if (rejects->n == rejects->room) {
		size_t room = rejects->room ? rejects->room * 2 : 64;
		struct cli_reject *all = cli_alloc(rejects->pool, room, sizeof(*all));

		if (rejects->n)
			memcpy(all, rejects->all, rejects->n * sizeof(*all));
		rejects->all = all;
		rejects->room = room;
	}
	rejects->all[rejects->n].line = line;
	rejects->all[rejects->n].text = cli_copy(rejects->pool, text, strlen(text));
	rejects->n++;
}

static int by_line(const void *a, const void *b)
{
	const struct cli_reject *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

/* A record, or the header (line 0). */
static enum amend_status write_record(void *context, int64_t line, const char *text, size_t size,
				      struct amend_error *err)
{
	struct cli_rejects *rejects = context;
	const struct cli_reject key = {.line = line}, *found;
	struct json_object *object;

	if (!cli_changes_write(&rejects->records, text, size))
		return amend_error_set(err, AMEND_INTERNAL, "%s could not be written: %s",
				       rejects->records.name, strerror(rejects->records.failure));
	found = line && rejects->n ? bsearch(&key, rejects->all, rejects->n, sizeof(key), by_line)
				   : NULL;
	if (found) {
		object = json_object_new_object();
		cli_json_add(object, "line", json_object_new_int64(line));
		cli_json_add(object, "at", json_object_new_int64(rejects->at));
		cli_json_add(object, "reason", cli_json_text(found->text));
		cli_changes_add(&rejects->reasons, object);
	}
	for (size_t i = 0; i < size; i++)
		rejects->at += text[i] == '\n' ||
			       (text[i] == '\r' && (i + 1 == size || text[i + 1] != '\n'));
	return AMEND_OK;
}

int cli_rejects_close(struct cli_session *session, struct cli_rejects *rejects,
		      struct amend_source *source, bool keep)
{
	int64_t *lines = cli_alloc(session->args->pool, rejects->n + 1, sizeof(*lines));
	enum amend_status status = AMEND_OK;
	int code = 0, other;

	if (rejects->n)
		qsort(rejects->all, rejects->n, sizeof(*rejects->all), by_line);
	for (size_t i = 0; i < rejects->n; i++)
		lines[i] = rejects->all[i].line;
	if (rejects->records.file && keep)
		status = amend_source_texts(source, lines, rejects->n, write_record, rejects,
					    &session->err);
	if (status != AMEND_OK)
		code = CLI_FAILED;
	/* What could not be written is said when it is closed. */
	if (status != AMEND_OK && !rejects->records.failure)
		cli_complain("--rejects: %s", session->err.text);
	other = cli_changes_close(&rejects->records, keep && status == AMEND_OK);
	code = code ? code : other;
	other = cli_changes_close(&rejects->reasons, keep && status == AMEND_OK);
	code = code ? code : other;
	rejects->whole = code == 0;
	return code;
}

/*
 * An edit form, loaded by two people; the second save would overwrite the first.
 *
 *	cc -o form form.c $(pkg-config --cflags --libs amend)
 *	./form app.db
 *	./form postgresql://localhost/app
 *
 * The form carries a token: the record's version, signed. A web application
 * puts it into a hidden field (or an ETag). A save hands it back, and is
 * written only while the record is still what the form showed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amend/amend.h>

/* What a page holds between two requests: nothing but text. */
struct form {
	char *token;
	char title[80], body[80];
};

static struct amend_match article(const struct amend_field *id)
{
	const struct amend_match key = {id, 1};

	return key;
}

static void copy(char to[80], const struct amend_value *value)
{
	snprintf(to, 80, "%.*s", (int)value->size, value->kind == AMEND_TEXT ? value->as.text : "");
}

/* GET /article/1/edit */
static enum amend_status load(struct amend_conn *db, const struct amend_table *table,
			      struct form *form, struct amend_error *err)
{
	const struct amend_field id = {"id", amend_integer(1)};
	const struct amend_match key = article(&id);
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_get(db, table, &key, true, &result, err);

	/* Everything in a result lives until it is released: what the page needs is copied. */
	memset(form, 0, sizeof(*form));
	/* Without a key to sign with there is no token, and without a token no safe form. */
	if (status == AMEND_OK && !result.token)
		status = amend_error_set(err, AMEND_DENIED, "%s", result.no_token);
	if (status == AMEND_OK) {
		form->token = strdup(result.token);
		copy(form->title, &result.record[amend_table_column(table, "title")]);
		copy(form->body, &result.record[amend_table_column(table, "body")]);
	}
	amend_result_release(&result);
	return status;
}

static void show(const char *side, const struct amend_table *table, const struct amend_value *record)
{
	printf("  %-9s", side);
	if (!record)
		printf("  unknown");
	for (size_t i = 0; record && i < table->n_columns; i++) {
		if (record[i].kind == AMEND_TEXT && strcmp(table->columns[i].name, "id") != 0)
			printf("  %s=\"%s\"", table->columns[i].name, record[i].as.text);
	}
	printf("\n");
}

/*
 * A stale save is no failure to be logged but an answer for the person: what
 * the form showed (base), what is there now (current), what was to be written
 * (incoming), and who came between. The draft is not lost.
 */
static void show_clash(const struct amend_table *table, const struct amend_result *result)
{
	printf("  refused: %s changed it at %s%s%s\n", result->by ? result->by : "somebody",
	       result->at ? result->at : "an unknown time",
	       result->because && *result->because ? ": " : "",
	       result->because ? result->because : "");
	/* Taken from history, and shown only because its digest is the one in the token. */
	show("base", table, result->base);
	show("current", table, result->record);
	printf("  %-9s", "incoming");
	for (size_t i = 0; i < result->n_incoming; i++)
		printf("  %s=\"%.*s\"", result->incoming[i].column,
		       (int)result->incoming[i].value.size, result->incoming[i].value.as.text);
	printf("\n");
}

/* POST /article/1. When it is stale, the page comes back: the draft, and a token of what is there now. */
static enum amend_status save(struct amend_conn *db, const struct amend_table *table,
			      struct form *form, const char *who, const char *why,
			      struct amend_error *err)
{
	const struct amend_field id = {"id", amend_integer(1)};
	const struct amend_match key = article(&id);
	/* A form sends all its fields. Those that are equal are not written. */
	const struct amend_assign set[] = {
		{"title", AMEND_SET, amend_text(form->title)},
		{"body", AMEND_SET, amend_text(form->body)},
	};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_set_author(db, who, why, "form", err);

	if (status != AMEND_OK)
		return status;
	write.keys = &key;
	write.n_keys = 1;
	write.set = set;
	write.n_set = 2;
	write.expect.token = form->token;
	write.want_token = true;
	/* The check is part of the write itself: nothing can slip in between. */
	status = amend_write(db, table, &write, &result, err);
	printf("%s saves: %s\n", who, amend_outcome_name(result.outcome));
	for (size_t i = 0; i < result.n_changes; i++)
		printf("  %s is now \"%s\"\n", result.changes[i].column,
		       result.changes[i].after.as.text);
	if (status == AMEND_STALE)
		show_clash(table, &result);
	if (status == AMEND_STALE && result.token) {
		free(form->token);
		form->token = strdup(result.token);
	}
	amend_result_release(&result);
	return status;
}

/* Ann and Ben load the same page; Ann saves, then Ben; then Ben again, having seen what Ann wrote. */
static enum amend_status play(struct amend_conn *db, const struct amend_table *table,
			      struct form *ann, struct form *ben, struct amend_error *err)
{
	enum amend_status status = load(db, table, ann, err);

	if (status == AMEND_OK)
		status = load(db, table, ben, err);
	if (status == AMEND_OK) {
		snprintf(ann->title, sizeof(ann->title), "Tea and coffee");
		status = save(db, table, ann, "ann", "coffee was missing", err);
	}
	if (status != AMEND_OK)
		return status;
	snprintf(ben->body, sizeof(ben->body), "Three kinds.");
	status = save(db, table, ben, "ben", "one more", err);
	/* This is what the program is about: it must not have worked. */
	if (status == AMEND_OK)
		return amend_error_set(err, AMEND_INTERNAL, "ann's change was overwritten");
	if (status != AMEND_STALE)
		return status;
	/* Ben sees the three sides, leaves the title as ann has it, and saves again. */
	snprintf(ben->title, sizeof(ben->title), "%s", ann->title);
	return save(db, table, ben, "ben", "one more", err);
}

int main(int argc, char **argv)
{
	static const char *const statements[] = {
		"DROP TABLE IF EXISTS article",
		"CREATE TABLE article (id integer NOT NULL PRIMARY KEY, title text, body text)",
		"INSERT INTO article VALUES (1, 'Tea', 'Two kinds.')",
	};
	struct form ann = {.token = NULL}, ben = {.token = NULL};
	struct amend_conn *db = NULL;
	struct amend_table *table = NULL;
	struct amend_error err;
	enum amend_status status;

	if (argc != 2) {
		fprintf(stderr, "usage: form URL\n");
		return 2;
	}
	status = amend_open(argv[1], NULL, &db, &err);
	for (size_t i = 0; i < 3 && status == AMEND_OK; i++)
		status = amend_query(db, statements[i], NULL, 0, NULL, &err);
	if (status == AMEND_OK)
		status = amend_table_open(db, "article", &table, &err);
	if (status == AMEND_OK)
		status = play(db, table, &ann, &ben, &err);
	if (status != AMEND_OK)
		fprintf(stderr, "form: %s: %s\n", amend_status_name(status), err.text);
	free(ann.token);
	free(ben.token);
	amend_table_close(table);
	amend_close(db);
	return status == AMEND_OK ? 0 : 1;
}

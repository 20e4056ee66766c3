/*
 * A conflict's file, as an editor may leave it. Read, or refused with one line; what is read decides columns of the
 * table, each once. And whatever text a conflict holds: written to a file and read back it is the same.
 * Leaves what becomes of a decision to tests/sync.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "conflict_file.h"
#include "pool.h"

static struct amend_column columns[] = {
	{.name = "name", .type = "text", .cast = "", .class_ = AMEND_CLASS_TEXT},
	{.name = "note", .type = "text", .cast = "", .class_ = AMEND_CLASS_TEXT},
	{.name = "n=1", .type = "integer", .cast = "", .class_ = AMEND_CLASS_INTEGER},
	{.name = "meta", .type = "json", .cast = "", .class_ = AMEND_CLASS_JSON},
	{.name = "flag", .type = "blob", .cast = "", .class_ = AMEND_CLASS_BLOB},
	{.name = "other", .type = "text", .cast = "", .class_ = AMEND_CLASS_TEXT},
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]), FIELDS = 5 };

static const struct amend_table table = {.columns = columns, .n_columns = COLUMNS};

static void check(int ok)
{
	if (!ok)
		abort();
}

/* One of every kind of field; a file of it begins with the head that corpus_conflict/sides has. */
static struct amend_conflict conflict_of(struct amend_conflict_field fields[FIELDS],
					 struct amend_conflict_more more[FIELDS])
{
	const struct amend_conflict_field sides[FIELDS] = {
		{"name", true, amend_text("Czech Republic"), amend_text("Bohemia"),
		 amend_text("Czechia")},
		{"note", true, amend_text("one\ntwo\nthree\n"), amend_text("one\n2\nthree\n"),
		 amend_text("one\nTWO\r\nthree\nEND\n")},
		{"n=1", true, amend_integer(10), amend_integer(11), amend_integer(12)},
		{"meta", false, amend_null(), amend_null(), amend_text("{\"a\":1}")},
		{"flag", true, amend_blob("\0\1", 2), amend_blob("\2", 1), amend_null()},
	};
	const struct amend_conflict conflict = {
		.id = 3,
		.version = "5f0c9a3b7d2e",
		.mark = "a mark",
		.source = "feed",
		.table = "country",
		.kind = AMEND_CONFLICT_FIELDS,
		.first_key = "code=CZ",
		.fields = fields,
		.more = more,
		.n_fields = FIELDS,
		.there = true,
		.note = "",
		.at = "2026-01-01 00:00:00.000000",
		.who = "ada",
		.why = "",
		.state = "open",
		.taken = "",
	};

	memcpy(fields, sides, sizeof(sides));
	for (size_t i = 0; i < FIELDS; i++)
		more[i] = (struct amend_conflict_more){
			.found = fields[i].current, .seen = fields[i].current, .who = ""};
	more[2].adds = true;
	return conflict;
}

static bool read_back(const struct cli_args *args, const char *text, size_t size,
		      const struct amend_conflict *conflict, struct cli_decisions *out)
{
	if (!cli_conflict_read(args, "fuzz", text, size, conflict, &table, out))
		return false;
	check(out->n <= COLUMNS);
	for (size_t i = 0; i < out->n; i++) {
		check(amend_table_column(&table, out->list[i].column) >= 0);
		check(!out->list[i].unseen || !out->list[i].seen);
		for (size_t j = 0; j < i; j++)
			check(strcmp(out->list[i].column, out->list[j].column) != 0);
	}
	return true;
}

/* Decided so already, whatever else is in dispute: the file has it, and what is read is that. */
static void write_and_read(const struct cli_args *args, struct amend_conflict *conflict,
			   struct amend_conflict_field fields[FIELDS],
			   struct amend_conflict_more more[FIELDS], const struct amend_value *value)
{
	struct cli_decisions read;
	char *file = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&file, &size);

	check(out != NULL);
	/* What is beside it in the file is not to be in the way of it. */
	fields[0].incoming = *value;
	more[0].chosen = true;
	more[0].take = AMEND_TAKE_CURRENT;
	more[0].value = fields[0].current;
	more[1].chosen = true;
	more[1].value = *value;
	conflict->n_fields = 2;
	check(cli_conflict_write(args, out, conflict));
	fclose(out);
	check(read_back(args, file, size, conflict, &read));
	check(read.n == 2 && read.list[0].take == AMEND_TAKE_CURRENT);
	check(read.list[1].take == AMEND_TAKE_NOTHING &&
	      amend_value_equal(&read.list[1].value, value));
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *quiet;
	static const struct cli_option options[] = {{.name = NULL}};
	static const struct cli_command command = {.name = "fuzz", .words = "", .options = options};
	struct cli_pool pool = CLI_POOL_INIT;
	const struct cli_args args = {.command = &command, .pool = &pool};
	struct amend_conflict_field fields[FIELDS];
	struct amend_conflict_more more[FIELDS];
	struct amend_conflict conflict = conflict_of(fields, more);
	const struct amend_value value = amend_text_n((const char *)data, size);
	struct cli_decisions read;

	if (!quiet)
		quiet = freopen("/dev/null", "w", stderr); /* it complains, as it should */
	cli_conflict_says((const char *)data, size);
	read_back(&args, (const char *)data, size, &conflict, &read);
	/* No database gives out a text with a NUL. */
	if (size == 0 || !memchr(data, '\0', size))
		write_and_read(&args, &conflict, fields, more, &value);
	cli_pool_release(&pool);
	return 0;
}

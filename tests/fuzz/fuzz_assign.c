/*
 * Words of the command line, COL=VALUE and its kin, with all that JSON can
 * hold. Parsed or refused; what is parsed becomes a value of each class.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign.h"
#include "commands.h"
#include "pool.h"

static void make_values(struct cli_pool *pool, const struct cli_assignment *assignment)
{
	static const enum amend_class classes[] = {
		AMEND_CLASS_TEXT, AMEND_CLASS_INTEGER, AMEND_CLASS_BOOLEAN, AMEND_CLASS_BLOB,
		AMEND_CLASS_JSON, AMEND_CLASS_ANY,     AMEND_CLASS_OTHER};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		struct amend_column column = {
			.name = assignment->column, .type = "", .cast = "", .class_ = classes[i]};
		const struct amend_table table = {.columns = &column, .n_columns = 1};
		struct amend_assign made;

		if (cli_assign_problem(pool, assignment, &table))
			continue;
		made = cli_assign_make(pool, assignment, &table);
		if (!made.column)
			abort();
	}
	cli_assign_make(pool, assignment, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *quiet;
	static const struct cli_option options[] = {{.name = NULL}};
	static const struct cli_command command = {.name = "fuzz", .words = "", .options = options};
	struct cli_pool pool = CLI_POOL_INIT;
	struct cli_args args = {.command = &command, .pool = &pool};
	struct cli_assignment assignment;
	char *word = malloc(size + 1);

	if (!word)
		return 0;
	memcpy(word, data, size);
	word[size] = '\0';
	if (!quiet)
		quiet = freopen("/dev/null", "w", stderr); /* it complains, as it should */
	/* @FILE reads what lies on this machine: not here. */
	if (!strstr(word, "=@") && cli_assign_parse(&args, "COL=VALUE", word, &assignment))
		make_values(&pool, &assignment);
	cli_pool_release(&pool);
	free(word);
	return 0;
}

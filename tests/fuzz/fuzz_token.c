/*
 * Token text from outside. Whatever it is, it is refused, or it is the one
 * canonical spelling of a token that this key signed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "record/token.h"

static const char key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

static struct amend_conn *open_memory(void)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	char path[] = "/tmp/amend-fuzz-XXXXXX";
	struct amend_conn *db = NULL;
	struct amend_secret secret;
	struct amend_error err;
	int file = mkstemp(path);

	if (file < 0 || write(file, key, sizeof(key) - 1) != (ssize_t)sizeof(key) - 1)
		abort();
	close(file);
	options.key_file = path;
	/* The file is read once: it can go at once. */
	if (amend_open(":memory:", &options, &db, &err) != AMEND_OK ||
	    amend_secret_get(db, 0, &secret, &err) != AMEND_OK)
		abort();
	unlink(path);
	return db;
}

/* The target could refuse everything and look well: one of its own must pass. */
static void check_own(struct amend_conn *db, const struct amend_table *table)
{
	struct amend_token token = {.issued = time(NULL), .change = 7, .version = 3}, back;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_error err;
	const char *text;

	if (amend_token_write(db, table, &token, &arena, &text, &err) != AMEND_OK ||
	    amend_token_read(db, table, text, &back, &err) != AMEND_OK || back.change != 7)
		abort();
	amend_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct amend_conn *db;
	struct amend_table table = {.qualified = "item"};
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_token token;
	struct amend_error err;
	const char *again;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!db) {
		db = open_memory();
		check_own(db, &table);
	}
	if (amend_token_read(db, &table, text, &token, &err) == AMEND_OK) {
		/* Only what we would write ourselves is accepted. */
		if (amend_token_write(db, &table, &token, &arena, &again, &err) != AMEND_OK ||
		    strcmp(again, text) != 0)
			abort();
	}
	amend_arena_release(&arena);
	free(text);
	return 0;
}

/*
 * The ledger's JSON, which somebody may have edited: malformed is an error,
 * never a crash; and what was read is written back as it was.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "ledger/ledger.h"

static void check_value(const struct amend_value *value)
{
	struct amend_buffer text = AMEND_BUFFER_INIT, again = AMEND_BUFFER_INIT;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_field *field;
	struct amend_error err;
	size_t n;

	amend_buffer_text(&text, "{\"x\":");
	amend_json_value(&text, value, AMEND_CLASS_TEXT);
	amend_buffer_char(&text, '}');
	if (amend_pk_parse(text.data, false, &arena, &field, &n, &err) != AMEND_OK || n != 1)
		abort();
	amend_buffer_text(&again, "{\"x\":");
	amend_json_value(&again, &field[0].value, AMEND_CLASS_TEXT);
	amend_buffer_char(&again, '}');
	if (text.size != again.size || memcmp(text.data, again.data, text.size) != 0)
		abort();
	amend_buffer_release(&text);
	amend_buffer_release(&again);
	amend_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_change *changes;
	struct amend_field *fields;
	struct amend_error err;
	struct amend_value value;
	char *text = malloc(size + 1);
	size_t n;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (amend_fields_parse(text, size % 2, &arena, &changes, &n, &err) != AMEND_OK)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		check_value(&changes[i].before);
		check_value(&changes[i].after);
	}
	if (amend_pk_parse(text, size % 2, &arena, &fields, &n, &err) != AMEND_OK)
		n = 0;
	for (size_t i = 0; i < n; i++)
		check_value(&fields[i].value);
	/* Any bytes at all survive as text and as a blob. */
	value = amend_text_n(text, size);
	check_value(&value);
	value = amend_blob(text, size);
	check_value(&value);
	amend_arena_release(&arena);
	free(text);
	return 0;
}

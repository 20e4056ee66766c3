/*
 * Three documents, parted by the byte 0x1e, perhaps damaged: merged or refused alike whichever side comes first, and
 * what is merged is a document. The first two as numbers: base and difference make incoming.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "merge/json_tree.h"
#include "merge/merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const struct amend_value v[3], struct amend_arena *arena)
{
	struct amend_value out = amend_null(), mirror = amend_null();
	const struct amend_json_node *x, *y;
	const char *why = NULL;
	bool no_memory;

	if (amend_merge_json(&v[0], &v[1], &v[2], arena, &out, &why) !=
	    amend_merge_json(&v[0], &v[2], &v[1], arena, &mirror, &why))
		abort();
	if (out.kind == AMEND_NULL)
		return;
	x = amend_json_tree(out.as.text, out.size, arena, &no_memory);
	y = amend_json_tree(mirror.as.text, mirror.size, arena, &no_memory);
	if (!x || !y || !amend_json_same(x, y))
		abort();
}

static void check_numbers(const struct amend_value v[3], struct amend_arena *arena)
{
	struct amend_value difference, sum, zero;
	const char *why = NULL;

	if (amend_merge_difference(&v[0], &v[1], arena, &difference, &why) != AMEND_MERGED_CLEAN)
		return;
	if (amend_merge_sum(&v[0], &difference, arena, &sum, &why) != AMEND_MERGED_CLEAN)
		return; /* one digit too many */
	if (amend_merge_difference(&sum, &v[1], arena, &zero, &why) != AMEND_MERGED_CLEAN)
		return;
	for (size_t i = 0; i < zero.size; i++) {
		if (!strchr("0.", zero.as.text[i]))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct amend_value v[3] = {amend_null(), amend_null(), amend_null()};
	struct amend_arena arena = AMEND_ARENA_INIT;
	const char *at = (const char *)data, *end = at + size;

	for (size_t i = 0; i < 3 && at < end; i++) {
		const char *part = memchr(at, 0x1e, (size_t)(end - at));

		part = part ? part : end;
		v[i] = amend_text_n(at, (size_t)(part - at));
		at = part < end ? part + 1 : end;
	}
	check_json(v, &arena);
	check_numbers(v, &arena);
	amend_arena_release(&arena);
	return 0;
}

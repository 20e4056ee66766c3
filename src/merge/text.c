/*
 * Merging text line by line, by libgit2's merge.
 * Leaves what is to be merged so to whoever asks.
 */
#include <git2/global.h>
#include <git2/merge.h>
#include <string.h>

#include "merge/merge.h"

bool amend_merge_has_text(void)
{
	return true;
}

static bool fits(const struct amend_value *value, const char **why)
{
	if (value->kind != AMEND_TEXT)
		*why = value->kind == AMEND_NULL ? "it is NULL on one side" : "it is not text";
	else if (value->size > AMEND_MERGE_MOST)
		*why = "it is larger than 1 MiB";
	else if (value->size > 0 && memchr(value->as.text, '\0', value->size))
		*why = "it is not text";
	else
		return true;
	return false;
}

static git_merge_file_input input(const struct amend_value *value)
{
	return (git_merge_file_input){
		.version = GIT_MERGE_FILE_INPUT_VERSION,
		.ptr = value->size ? value->as.text : "",
		.size = value->size,
	};
}

static enum amend_merged merge(const struct amend_value *base, const struct amend_value *current,
			       const struct amend_value *incoming, struct amend_arena *arena,
			       struct amend_value *out)
{
	const git_merge_file_input sides[] = {input(base), input(current), input(incoming)};
	git_merge_file_result result = {0};
	enum amend_merged merged = AMEND_MERGED_CLASH;
	char *text;

	/* Its one failure here is want of memory. */
	if (git_merge_file(&result, &sides[0], &sides[1], &sides[2], NULL) != 0) {
		merged = AMEND_MERGED_NO_MEMORY;
	} else if (result.automergeable) {
		text = amend_arena_text_n(arena, result.len ? result.ptr : "", result.len);
		merged = text ? AMEND_MERGED_CLEAN : AMEND_MERGED_NO_MEMORY;
		*out = amend_text_n(text, result.len);
	}
	git_merge_file_result_free(&result);
	return merged;
}

enum amend_merged amend_merge_text(const struct amend_value *base, const struct amend_value *current,
				   const struct amend_value *incoming, struct amend_arena *arena,
				   struct amend_value *out, const char **why)
{
	enum amend_merged merged;

	if (!fits(base, why) || !fits(current, why) || !fits(incoming, why))
		return AMEND_MERGED_CLASH;
	/* Counted: the application may use libgit2 too. */
	if (git_libgit2_init() < 0)
		return AMEND_MERGED_NO_MEMORY;
	merged = merge(base, current, incoming, arena, out);
	git_libgit2_shutdown();
	*why = merged == AMEND_MERGED_CLASH ? "both changed the same lines" : NULL;
	return merged;
}

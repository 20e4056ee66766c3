/*
 * Merging text by line, in a build without libgit2: it cannot.
 * Leaves saying so before anything is asked of it to src/record/merge.c.
 */
#include "merge/merge.h"

bool amend_merge_has_text(void)
{
	return false;
}

enum amend_merged amend_merge_text(const struct amend_value *base, const struct amend_value *current,
				   const struct amend_value *incoming, struct amend_arena *arena,
				   struct amend_value *out, const char **why)
{
	(void)base, (void)current, (void)incoming, (void)arena, (void)out;
	*why = "this build does not merge text";
	return AMEND_MERGED_CLASH;
}

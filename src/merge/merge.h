/*
 * Three-way merge of values: pure functions of base (what it was when a writer looked), current
 * (what is there now) and incoming (what the writer wants). They know no database and no record:
 * docs/merge.md has the table of cases, src/record/merge.c goes by it.
 *
 * All but amend_merge_field mirror: with current and incoming swapped they come to the same.
 */
#ifndef AMEND_MERGE_MERGE_H
#define AMEND_MERGE_MERGE_H

#include <amend/value.h>

#include "core/arena.h"

/* What becomes of a field as a whole. */
enum amend_verdict {
	AMEND_VERDICT_SAME,    /* current and incoming hold the same */
	AMEND_VERDICT_CURRENT, /* only current has moved: it stays */
	AMEND_VERDICT_INCOMING, /* only incoming has moved, or nothing (NULL) would be lost: it is written */
	AMEND_VERDICT_CLASH,   /* both have moved, and differ */
	AMEND_VERDICT_UNKNOWN, /* there is no base, and what stands there would be lost */
};

/* `base` NULL: it is not known. With a base it mirrors: CURRENT and INCOMING change places. */
enum amend_verdict amend_merge_field(const struct amend_value *base,
				     const struct amend_value *current,
				     const struct amend_value *incoming);

/* What a merge within a field comes to. */
enum amend_merged {
	AMEND_MERGED_CLEAN, /* `out` is the merged value, in the arena */
	AMEND_MERGED_CLASH, /* `why` says in a few words what clashes, or why it cannot be merged */
	AMEND_MERGED_NO_MEMORY,
};

/*
 * Numbers: what the writer added, `incoming` - `base`, exact in decimal (INTEGER where both are,
 * else TEXT). The database adds it to what is there. CLASH: one is no number; or the difference
 * does not fit 64 bits, or has thousands of digits.
 */
enum amend_merged amend_merge_difference(const struct amend_value *base,
					 const struct amend_value *incoming,
					 struct amend_arena *arena, struct amend_value *out,
					 const char **why);

/* `value` + `amount`, likewise. */
enum amend_merged amend_merge_sum(const struct amend_value *value, const struct amend_value *amount,
				  struct amend_arena *arena, struct amend_value *out,
				  const char **why);

/* The largest text or document, in bytes, that is merged within. */
enum { AMEND_MERGE_MOST = 1024 * 1024 };

/*
 * Text, line by line, byte for byte: a line ends behind its newline, and the last one may have none.
 * As `git merge-file` does it. CLASH: both changed the same lines, or lines side by side; one is
 * NULL, bytes, holds a NUL, or is larger than AMEND_MERGE_MOST.
 */
enum amend_merged amend_merge_text(const struct amend_value *base, const struct amend_value *current,
				   const struct amend_value *incoming, struct amend_arena *arena,
				   struct amend_value *out, const char **why);

/* Whether this build can: without libgit2 every text is a CLASH. */
bool amend_merge_has_text(void);

/*
 * JSON objects, key by key and into objects that all three have; everything else as a whole. A key
 * that is not there, one that is null, and one that is empty are three things. Members keep the
 * text that they have, numbers too; the document is written without white space between its members, current's
 * first. CLASH: both changed a key differently (`why` names it), or one is no JSON object, or has a key twice.
 */
enum amend_merged amend_merge_json(const struct amend_value *base, const struct amend_value *current,
				   const struct amend_value *incoming, struct amend_arena *arena,
				   struct amend_value *out, const char **why);

#endif

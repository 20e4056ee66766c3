/*
 * A conflict as a file that a person edits, or a program:
 *
 *	#= conflict 3 5f0c...            which one it is, and what was shown of each field
 *	#= field 0011... 8899... 7 name
 *	<<<<<<< current
 *	name=Bohemia
 *	||||||| base
 *	name=Czech Republic
 *	=======
 *	name=Czechia
 *	>>>>>>> incoming
 *
 *	#= field 2233... 4455... 7 note
 *	#= decided 6677... note          which decision is shown: left as it is, it stays that
 *	note=a text
 *
 * What remains of a field is what it becomes: COL=TEXT, COL:=JSON, or COL<<END, a text line by line,
 * and END; its last newline is not part of it. A field of which nothing remains is not decided. Lines
 * that begin with # are comments; a mark that is left in is refused.
 */
#ifndef CLI_CONFLICT_FILE_H
#define CLI_CONFLICT_FILE_H

#include <stdio.h>

#include <amend/amend.h>

#include "options.h"

/* False: a column's name cannot stand in a file; the complaint has been made. */
bool cli_conflict_write(const struct cli_args *args, FILE *out,
			const struct amend_conflict *conflict);

/* What was decided, in the pool. */
struct cli_decisions {
	struct amend_decision *list;
	size_t n;
};

/*
 * Of the file's text, called `name` in complaints. `conflict` is as it is now: what has changed since the file was
 * made is not written over. False: the complaint has been made.
 */
bool cli_conflict_read(const struct cli_args *args, const char *name, const char *text, size_t size,
		       const struct amend_conflict *conflict, const struct amend_table *table,
		       struct cli_decisions *out);

/* Whether there is anything in it but comments and blank lines. */
bool cli_conflict_says(const char *text, size_t size);

/* conflict_file.c, for conflict_read.c: COL as it stands in the file; what tells one value from another. */
char *cli_conflict_column(struct cli_pool *pool, const char *column);
uint64_t cli_conflict_hash(const struct amend_value *value);
/* Likewise of a field's current; 0: there is no record, which is not a NULL in it. */
uint64_t cli_conflict_now(const struct amend_conflict *conflict, size_t i);
/* The line that a value is written as, `column` as above; NULL: it is a text that takes several. */
const char *cli_conflict_line(struct cli_pool *pool, const char *column,
			      const struct amend_value *value);
/* Whether a field is decided, and would be written so now: amend_resolve's rule, except that a value that was to stay does not. */
bool cli_conflict_stands(const struct amend_conflict *conflict, size_t i);
/* Of one that stands: the value in the file; and what tells the decision from another, 0: none stands. */
const struct amend_value *cli_conflict_decided(const struct amend_conflict *conflict, size_t i);
uint64_t cli_conflict_decision(const struct amend_conflict *conflict, size_t i);

/*
 * conflict_edit.c: lets a person edit `text`. `path`: a new file, which is the caller's to remove. Returns 0, or the
 * exit code after the complaint.
 */
int cli_conflict_edit(const struct cli_args *args, int64_t id, const char *text, size_t size,
		      const char **path);
/* Whether there is an editor, or a terminal for vi. */
bool cli_can_edit(void);
/* Opens $VISUAL, $EDITOR or vi on it, and waits. */
int cli_edit(const struct cli_args *args, const char *path);
/* The whole of a file, "-" standard input, in the pool; false: the complaint has been made. */
bool cli_slurp(const struct cli_args *args, const char *path, const char **text, size_t *size);

#endif

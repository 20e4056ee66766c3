/*
 * The words that name columns and values:
 *
 *	COL=TEXT   COL=   COL:=JSON   COL:=null   COL+=N   COL-=N
 *
 * In COL a backslash makes the next of = : + - \ plain (`a\=b=1`). A value of
 * @FILE is that file's content (@- standard input), 256 MiB at most; \@ begins a plain @.
 *
 * JSON becomes what the column holds: in a JSON column the document itself;
 * elsewhere a string its text, true and false what the column's class has for
 * them, {"base64": ...} in a column of bytes those bytes.
 *
 * Parsing complains by itself and returns false: wrong use. It comes before a
 * database is opened; making needs the table, and does the same where only the column shows what is wrong:
 * {"base64": ...} that is broken.
 */
#ifndef CLI_ASSIGN_H
#define CLI_ASSIGN_H

#include <amend/amend.h>

#include "options.h"

enum cli_verb { CLI_TEXT, CLI_JSON, CLI_ADD, CLI_SUBTRACT };

struct cli_assignment {
	const char *column;
	enum cli_verb verb;
	const char *value;
	size_t size;
	bool from_file;
	const char *word; /* as it was given: for messages */
};

/* `name`: what was expected ("KEY=VALUE"), for messages. */
bool cli_assign_parse(const struct cli_args *args, const char *name, const char *word,
		      struct cli_assignment *out);
/* What the column cannot be given so; NULL: nothing. */
const char *cli_assign_problem(struct cli_pool *pool, const struct cli_assignment *assignment,
			       const struct amend_table *table);
/* Of what has no problem. `table` NULL: its columns are not known, as if they held text. */
struct amend_assign cli_assign_make(struct cli_pool *pool, const struct cli_assignment *assignment,
				    const struct amend_table *table);

/* Several. With `plain` += and -= are refused. */
bool cli_assign_parse_all(const struct cli_args *args, const char *name, const char *const *words,
			  size_t n, bool plain, struct cli_assignment **out);
/* That no column is given twice. `option`: whose values these are, for the complaint. */
bool cli_assign_once(const struct cli_args *args, const char *option,
		     const struct cli_assignment *assignments, size_t n,
		     const struct amend_table *table);
bool cli_assign_make_all(const struct cli_args *args, const struct cli_assignment *assignments,
			 size_t n, const struct amend_table *table, struct amend_assign **out);
bool cli_assign_make_fields(const struct cli_args *args, const struct cli_assignment *assignments,
			    size_t n, const struct amend_table *table, struct amend_field **out);

/* A key: the word and the --key options. Parsed, then made into fields. */
struct cli_key {
	struct cli_assignment *parts;
	size_t n;
	struct amend_field *fields; /* those that `match` has */
	struct amend_match match;
};

bool cli_key_parse(const struct cli_args *args, const char *word, struct cli_key *out);
bool cli_key_make(const struct cli_args *args, struct cli_key *key, const struct amend_table *table);
/* "sku=42 place=3" */
const char *cli_key_text(struct cli_pool *pool, const struct cli_key *key);

/* COL=ANYTHING, split at its first plain =; the left side without backslashes. */
bool cli_pair_parse(const struct cli_args *args, const char *name, const char *word,
		    struct amend_pair *out);

/* As JSON has numbers: integers as such where they fit; else a real whose text is the same; else the text. */
bool cli_number(const char *text, size_t size, struct amend_value *out);

#endif

/*
 * A JSON or NDJSON input of any size, in which the texts of records are found one by one.
 */
#ifndef AMEND_SYNC_JSON_DOCUMENT_H
#define AMEND_SYNC_JSON_DOCUMENT_H

#include "sync/window.h"

enum { AMEND_JSON_LEVELS = 64 }; /* names of --path */

struct amend_json_level {
	char *name;  /* of a member, or the digits of an index */
	bool object; /* what the document has here */
};

/* Where in the text the next byte is. */
enum amend_json_place {
	AMEND_JSON_BEFORE, /* the document */
	AMEND_JSON_FIRST,  /* behind the array's bracket */
	AMEND_JSON_BEHIND, /* an element */
	AMEND_JSON_DONE,
};

struct amend_json_document {
	struct amend_window window; /* its `begin`: the next byte */
	const char *way;            /* --path, borrowed; "" for none */
	int64_t line, column;       /* of the next byte, from 1 */
	bool lines;                 /* NDJSON */
	enum amend_json_place place;
	int64_t number;              /* of records so far */
	int64_t earlier;             /* of those in the pages before this one */
	struct amend_source *source; /* whose text it is: it may have several pages */
	struct amend_json_level levels[AMEND_JSON_LEVELS];
	unsigned n_levels;
};

/* The text of a record. 8 bytes behind it may be read and written. */
struct amend_json_text {
	char *text; /* lives until the next one is asked for, and may be written to */
	size_t size;
	int64_t number, line, column; /* the record's, from 1; and where it begins */
	bool cut;                     /* NDJSON: the last line, and no newline behind it */
};

/* `way` is INVALID unless it is a.b, or /a/b with ~1 for a slash and ~0 for a tilde (RFC 6901). */
enum amend_status amend_json_document_init(struct amend_json_document *json,
					   struct amend_source *source, const char *way, bool lines,
					   struct amend_error *err) AMEND_CHECK;
void amend_json_document_release(struct amend_json_document *json);

/* `*end`: there is none left, and the input is whole. What stands between records is checked here, they are not. */
enum amend_status amend_json_document_next(struct amend_json_document *json,
					   struct amend_json_text *out, bool *end,
					   struct amend_error *err) AMEND_CHECK;

#endif

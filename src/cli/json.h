/*
 * JSON in and out.
 *
 * A value is written by its kind and its column's class: integers, numbers and
 * reals as numbers in the database's own digits; booleans as true and false;
 * JSON columns as the document; bytes, and text that is not UTF-8, as
 * {"base64": "..."}; NULL as null; everything else as a string, also what JSON
 * has no number for (NaN, Infinity). Times that amend notes are ISO 8601 in UTC.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>

#include <json-c/json.h>

#include <amend/amend.h>

#include "pool.h"

/* `column` NULL, or `table` NULL: the class is not known. */
struct json_object *cli_json_value(const struct amend_value *value, const struct amend_table *table,
				   const char *column);
/* {"column": value}: all columns of a record (NULL: null), or some fields. */
struct json_object *cli_json_record(const struct amend_table *table,
				    const struct amend_value *record);
struct json_object *cli_json_fields(const struct amend_table *table,
				    const struct amend_field *fields, size_t n);
/* {"column": {"old": ..., "new": ...}} */
struct json_object *cli_json_changes(const struct amend_table *table,
				     const struct amend_change *changes, size_t n);
/* {"column": {"base": ..., "current": ..., "incoming": ...}}; without a base there is none. */
struct json_object *cli_json_conflict(const struct amend_table *table,
				      const struct amend_conflict_field *fields, size_t n);
/* {"status": "INVALID", "text": "..."} */
struct json_object *cli_json_error(const struct amend_error *err);
struct json_object *cli_json_text(const char *text); /* NULL: null */
struct json_object *cli_json_time(const char *at);   /* NULL: null */
struct json_object *cli_json_id(int64_t id);         /* 0: null */

/* Takes `value` over. */
void cli_json_add(struct json_object *object, const char *name, struct json_object *value);
/* On a line of standard output; takes `object` over. */
void cli_json_print(struct json_object *object);

/* --- in --- */

void cli_json_trim(const char **text, size_t *size);
/* Of trimmed text; `out` NULL is null. False: `problem` at byte `at`. */
bool cli_json_parse(const char *text, size_t size, struct json_object **out, const char **problem,
		    size_t *at);
bool cli_json_is_number(const char *text, size_t size);
/* The fewest digits that give the same double; 2.0 is not 2, which the database tells apart. */
void cli_json_real(double real, char *text, size_t room);
/*
 * Bytes of {"base64": "..."}, with or without its padding. BROKEN: it has that member and is not just that, or
 * the text is not base64 to its last bit.
 */
enum cli_bytes { CLI_NO_BYTES, CLI_BYTES, CLI_BROKEN_BYTES };
enum cli_bytes cli_json_bytes(struct cli_pool *pool, struct json_object *object,
			      struct amend_value *out);

#endif

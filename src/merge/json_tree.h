/* A JSON text taken apart without losing a byte of it; for src/merge/json.c. */
#ifndef AMEND_MERGE_JSON_TREE_H
#define AMEND_MERGE_JSON_TREE_H

#include "core/arena.h"

enum amend_json_kind {
	AMEND_JSON_ATOM,   /* a number, true, false, null: its text tells it from others */
	AMEND_JSON_STRING, /* `value` is what it says, its escapes undone */
	AMEND_JSON_ARRAY,
	AMEND_JSON_OBJECT,
};

struct amend_json_member;

struct amend_json_node {
	enum amend_json_kind kind;
	const char *text; /* as it stands, without white space around it; borrowed from what is read */
	size_t size;
	const char *value; /* of a string */
	size_t value_size;
	struct amend_json_member *members; /* of an object, as they stand; of an array, without names */
	const struct amend_json_member **sorted; /* of an object, by name */
	size_t n;
};

struct amend_json_member {
	const char *spelled; /* the name as it stands, in its quotes */
	size_t spelled_size;
	const char *name; /* what it says */
	size_t name_size;
	struct amend_json_node *node;
};

/*
 * NULL: it is no JSON (RFC 8259), is nested 200 deep, or has an object with one name twice; or, with
 * `*no_memory`, there is none. Nodes live in the arena.
 */
struct amend_json_node *amend_json_tree(const char *text, size_t size, struct amend_arena *arena,
					bool *no_memory);

/* The member of this name; NULL: there is none (not the same as null). */
const struct amend_json_member *amend_json_find(const struct amend_json_node *object,
						const struct amend_json_member *like);

/* The same document, whatever the order of names, white space and escapes. Numbers are told apart by their text. */
bool amend_json_same(const struct amend_json_node *a, const struct amend_json_node *b);

#endif

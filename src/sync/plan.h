/*
 * Saved plans: what a sync would do, decided now and carried out later, by amend_apply.
 * docs/decisions/0013-plans.md says what the lines hold.
 *
 *	plan_write.c   lines of what phase 1 has decided
 *	plan_read.c    a file's lines, proved to be whole; its header
 *	plan_entry.c   one line as what it says of a table's record
 *	plan_prove.c   what each entry is about, as it is now: untouched, done already, or stale
 *	plan_missing.c the same for rows that the input lacks
 *	plan_apply.c   amend_apply
 *	plan_confirm.c asks before anything is written; of syncs and plans alike
 *
 * An entry is bound to what was seen: the row's values that took part, the
 * base, the open conflict. Each of the three may be as it was, or as the entry leaves it.
 */
#ifndef AMEND_SYNC_PLAN_H
#define AMEND_SYNC_PLAN_H

#include <amend/plan.h>
#include <json-c/json.h>

#include "core/digest.h"
#include "sync/sync.h"

enum { AMEND_PLAN_FORMAT = 1, AMEND_PLAN_DEPTH = 16 };

struct amend_plan_column {
	const char *name, *type;
	bool key, update;
};

struct amend_plan_line {
	const char *text;
	size_t size;
};

struct amend_plan {
	struct amend_arena arena;
	char *text; /* the whole file, as read */
	size_t size;
	const char *path;              /* for messages */
	struct amend_plan_line *lines; /* the entries' */
	size_t n_lines;
	struct amend_plan_column *columns; /* those that the sync used */
	size_t n_columns;
	const char **match;
	size_t n_match;
	struct amend_plan_info info;
};

/* Takes `text` (malloc's) over, also on failure. `sealed` false leaves the checksum out, to reach what lies behind it in tests. */
enum amend_status amend_plan_parse(char *text, size_t size, const char *path, bool sealed,
				   struct amend_plan **out, struct amend_error *err) AMEND_CHECK;

/* A row as the plan saw it. */
struct amend_plan_row {
	struct amend_value
		*identity; /* of its primary key's columns, or the rowid; NULL: there is no row */
	struct amend_value *values; /* by table column */
	bool *known;                /* by table column: it took part */
};

/* What is to be done for one record, and all that it is bound to. */
struct amend_plan_entry {
	int64_t line, number; /* of the input; of the plan */
	enum amend_fate fate;
	int8_t first;
	const char *key;
	struct amend_value *values; /* of the used columns: those of keys, the others NULL */
	uint32_t missed;
	struct amend_plan_row row, other;
	bool create;
	bool missing; /* what the input lacks: named by its base, or by a conflict about it */
	bool remove, spared;
	struct amend_put *puts;
	size_t n_puts;

	bool has_base;
	const char *base_pk, *base_key;
	unsigned char base_digest[AMEND_DIGEST_SIZE];
	bool write_base;
	bool drop_base, marks; /* of a missing one: it goes; the put is remembered as a mark */
	bool base_over;        /* over what it said before; else it says nothing but this */
	unsigned char after_digest[AMEND_DIGEST_SIZE];
	const struct amend_value *
		*base_values; /* by table column: what it says from now on; NULL: as before */
	const char *tied;

	bool has_open;
	unsigned char open_digest[AMEND_DIGEST_SIZE];
	const struct amend_conflict_spec *conflict; /* `pk` follows from the row */
	bool store, is_new, settled;
	const char *end, *how;
};

/* Why an entry is left alone: what its fields held, hold, and would have held. */
struct amend_stale {
	const char *note;
	struct amend_conflict_field *fields;
	size_t n_fields;
};

/* plan_entry.c: the table is known, and `used` and `keys` are bound. */
enum amend_status amend_plan_entry_read(struct amend_sync *sync, const struct amend_plan *plan,
					const struct amend_plan_line *line,
					struct amend_plan_entry *out,
					struct amend_error *err) AMEND_CHECK;
/* INVALID: which line of which file, and what is wrong with it. */
enum amend_status amend_plan_malformed(const struct amend_plan *plan, int64_t number,
				       struct amend_error *err, const char *format, ...)
	AMEND_PRINTF(4, 5);
/* A line as JSON: an object, nothing behind it. NULL: it is none, or is nested too deep. */
struct json_object *amend_plan_json(const char *text, size_t size);
/* A member that is a string; NULL: it is missing, or something else. */
const char *amend_plan_string(struct json_object *object, const char *name);

/* plan_write.c: what the open conflict says, as a digest. */
enum amend_status amend_plan_conflict_digest(enum amend_conflict_kind kind, const char *pk,
					     const char *first_key, const char *note,
					     const struct amend_conflict_field *fields,
					     size_t n_fields,
					     unsigned char digest[AMEND_DIGEST_SIZE],
					     struct amend_error *err) AMEND_CHECK;

/* plan_prove.c: as amend_sync_plan, for a plan's entries. */
enum amend_status amend_plan_prove(struct amend_sync *sync, struct amend_error *err) AMEND_CHECK;

/* One of the three things that an entry is bound to. */
enum amend_plan_state {
	AMEND_PLAN_AS_SEEN,
	AMEND_PLAN_DONE, /* as the entry leaves it */
	AMEND_PLAN_BOTH, /* it leaves it as it was, and so it is */
	AMEND_PLAN_ELSE,
};
enum amend_plan_state amend_plan_judge(bool changes, bool as_seen, bool done);
enum amend_status amend_plan_judge_conflict(const struct amend_record *record,
					    enum amend_plan_state *state,
					    struct amend_error *err) AMEND_CHECK;
/* The entry is stale. */
enum amend_status amend_plan_leave(struct amend_sync *sync, struct amend_record *record,
				   const char *note, struct amend_error *err) AMEND_CHECK;
/* What becomes of its conflict; what it stores is about the row as it is named now. */
enum amend_status amend_plan_make_conflict(struct amend_sync *sync,
					   const struct amend_record *record,
					   enum amend_plan_state state, struct amend_action *action,
					   struct amend_error *err) AMEND_CHECK;

/* plan_missing.c: bases of `list`'s missing entries, rows that were gone; and, open conflicts known, what becomes of them. */
enum amend_status amend_plan_find_missing(struct amend_sync *sync,
					  struct amend_error *err) AMEND_CHECK;
enum amend_status amend_plan_decide_missing(struct amend_sync *sync,
					    struct amend_error *err) AMEND_CHECK;

#endif

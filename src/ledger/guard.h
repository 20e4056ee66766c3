/* What the files of guarding share: a guard as the ledger remembers it, and the triggers that would make it so. */
#ifndef AMEND_LEDGER_GUARD_H
#define AMEND_LEDGER_GUARD_H

#include "ledger/ledger.h"
#include "sql/guard.h"

/* Everything lives in the arena it was read into. */
struct amend_guard_record {
	const char *table;   /* `qualified` */
	const char *version; /* NULL: there is no guard */
	enum amend_stale_rule stale;
	bool history, by_statement;
	const char **covered, **ignored, **additive;
	size_t n_covered, n_ignored, n_additive;
};

/* `version` NULL where there is none. The ledger may be missing. */
enum amend_status amend_guard_record_read(struct amend_conn *db, const char *table,
					  struct amend_arena *arena, struct amend_guard_record *out,
					  struct amend_error *err) AMEND_CHECK;
enum amend_status amend_guard_record_all(struct amend_conn *db, struct amend_arena *arena,
					 struct amend_guard_record **out, size_t *n,
					 struct amend_error *err) AMEND_CHECK;
enum amend_status amend_guard_record_write(struct amend_conn *db,
					   const struct amend_guard_record *record,
					   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_guard_record_delete(struct amend_conn *db, const char *table,
					    struct amend_error *err) AMEND_CHECK;

/* A table, what is to guard it, and what does. */
struct amend_guarding {
	struct amend_arena arena;
	struct amend_table *table;
	struct amend_table planned; /* with the version column, be it there or not yet */
	struct amend_guard_record stood, wanted;
	const char *column[AMEND_GUARD_STATEMENTS]; /* adds the version column; [0] NULL: it is there */
	struct amend_guard_part *parts;
	size_t n_parts;
	struct amend_guard_found *found;
	size_t n_found;
};

/*
 * `recorded`: the name is the ledger's. `options` NULL: as it stood, or nothing where it was not guarded;
 * amend_guard_nothing: nothing is wanted, and found out about, but what stands.
 */
extern const struct amend_guard_options amend_guard_nothing;
enum amend_status amend_guarding_open(struct amend_conn *db, const char *table, bool recorded,
				      const struct amend_guard_options *options,
				      struct amend_guarding *out,
				      struct amend_error *err) AMEND_CHECK;
void amend_guarding_close(struct amend_guarding *guarding);

/* The part that stands under this name as it should be; NULL: none does. */
const struct amend_guard_found *amend_guarding_stands(const struct amend_guarding *guarding,
						      const struct amend_guard_part *part);
/* Whether a trigger that was found is one of the parts, as it should be or not. */
bool amend_guarding_wanted(const struct amend_guarding *guarding,
			   const struct amend_guard_found *found);

/* guard_check.c: for amend_check. */
enum amend_status amend_guard_check(struct amend_conn *db,
				    void (*each)(void *context, enum amend_level level,
						 const char *topic, const char *text),
				    void *context, struct amend_error *err) AMEND_CHECK;

#endif

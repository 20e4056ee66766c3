/* The JSON that conflicts are stored in; for src/ledger/conflict*.c. */
#ifndef AMEND_LEDGER_CONFLICT_H
#define AMEND_LEDGER_CONFLICT_H

#include "ledger/ledger.h"

/* {"name":{"base":..,"current":..,"incoming":..}}; no base: the member is absent. With terms also "min", "max", "adds":true. */
void amend_conflict_fields_text(struct amend_buffer *buffer, const struct amend_table *table,
				const struct amend_conflict_field *fields,
				const struct amend_conflict_terms *terms, size_t n);
/* {"name":{"current":..,"incoming":..,"take":"value","value":..,"who":".."}} */
void amend_conflict_choices_text(struct amend_buffer *buffer, const struct amend_table *table,
				 const struct amend_conflict_row *row);

/* The way back, in the arena; choices come after fields. */
enum amend_status amend_conflict_fields_parse(const char *text, bool typed,
					      struct amend_arena *arena,
					      struct amend_conflict_row *out,
					      struct amend_error *err) AMEND_CHECK;
enum amend_status amend_conflict_choices_parse(const char *text, bool typed,
					       struct amend_arena *arena,
					       struct amend_conflict_row *out,
					       struct amend_error *err) AMEND_CHECK;

#endif

/*
 * Values as JSON text, in one canonical spelling: what history and primary
 * keys are written in, readable by people and by SQL. The strings are spelled exactly as
 * PostgreSQL's to_json(text) spells them, so that both sides agree byte by byte.
 */
#ifndef AMEND_CORE_JSON_TEXT_H
#define AMEND_CORE_JSON_TEXT_H

#include <amend/table.h>

#include "core/buffer.h"

void amend_json_string(struct amend_buffer *buffer, const char *text, size_t size);

/*
 * NULL: null. INTEGER: 42. REAL: with a point or exponent, all bits kept;
 * infinity as {"real":"Infinity"}. TEXT: "...", but digits alone of a column of
 * class INTEGER, and t/f of class BOOLEAN, are bare. BLOB, and TEXT that is not
 * UTF-8 or holds a NUL: {"blob":"hex"}, {"text":"hex"}.
 */
void amend_json_value(struct amend_buffer *buffer, const struct amend_value *value,
		      enum amend_class class_);

/* Whether the bytes are UTF-8 (RFC 3629). */
bool amend_utf8_valid(const char *text, size_t size);

#endif

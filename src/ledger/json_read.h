/* Reading the JSON that core/json_text.h writes: the ledger's, and that of saved plans. */
#ifndef AMEND_LEDGER_JSON_READ_H
#define AMEND_LEDGER_JSON_READ_H

#include <json-c/json.h>

#include "ledger/ledger.h"

/* What json_tokener_parse gives; amend_json_malformed then tells lack of memory from text that is no JSON. */
struct json_object *amend_json_parse(const char *text);

/* One value as amend_json_value wrote it; false when it is not one, or for want of memory. */
bool amend_json_read(struct json_object *json, bool typed, struct amend_arena *arena,
		     struct amend_value *out);

/* Of what amend_json_parse was given last. INTERNAL, with the beginning of the text; NO_MEMORY, where that was it. */
enum amend_status amend_json_malformed(struct amend_error *err, const char *text);

#endif

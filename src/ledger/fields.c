/*
 * Reading the JSON that history and keys are written in.
 * Leaves writing it to core/json_text.c, so that both engines spell it alike.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <sodium.h>

#include "ledger/json_read.h"

/* json-c 0.16 does not tell why it gives nothing; malloc does. */
struct json_object *amend_json_parse(const char *text)
{
	errno = 0;
	return json_tokener_parse(text);
}

enum amend_status amend_json_malformed(struct amend_error *err, const char *text)
{
	if (errno == ENOMEM)
		return amend_no_memory(err);
	return amend_error_set(err, AMEND_INTERNAL, "the ledger holds malformed JSON: %.80s", text);
}

static bool read_hex(struct amend_arena *arena, struct json_object *json, struct amend_value *out)
{
	const char *hex = json_object_get_string(json);
	size_t size = (size_t)json_object_get_string_len(json);
	unsigned char *bytes = amend_arena_alloc(arena, size / 2 + 1);

	if (!hex || !bytes ||
	    sodium_hex2bin(bytes, size / 2, hex, size, NULL, &out->size, NULL) != 0 ||
	    out->size != size / 2)
		return false;
	out->as.blob = bytes;
	return true;
}

/* {"blob":"hex"}, {"text":"hex"}, {"real":"Infinity"} */
static bool read_object(struct json_object *json, struct amend_arena *arena, struct amend_value *out)
{
	struct json_object *inner = NULL;

	if (json_object_object_get_ex(json, "blob", &inner)) {
		*out = amend_blob(NULL, 0);
		return read_hex(arena, inner, out);
	}
	if (json_object_object_get_ex(json, "text", &inner)) {
		*out = amend_text_n(NULL, 0);
		return read_hex(arena, inner, out);
	}
	if (json_object_object_get_ex(json, "real", &inner)) {
		const char *name = json_object_get_string(inner);

		*out = amend_real(*name == 'N'   ? (double)NAN
				  : *name == '-' ? -(double)INFINITY
						 : (double)INFINITY);
		return true;
	}
	return false;
}

bool amend_json_read(struct json_object *json, bool typed, struct amend_arena *arena,
		     struct amend_value *out)
{
	const char *text;

	switch (json_object_get_type(json)) {
	case json_type_null:
		*out = amend_null();
		return true;
	case json_type_boolean:
		*out = amend_text(json_object_get_boolean(json) ? "t" : "f");
		return true;
	case json_type_int:
		*out = amend_integer(json_object_get_int64(json));
		if (typed) {
			text = json_object_get_string(json);
			text = text ? amend_arena_text(arena, text) : NULL;
			*out = amend_text(text);
			return text != NULL;
		}
		return true;
	case json_type_double:
		*out = amend_real(json_object_get_double(json));
		return true;
	case json_type_string:
		text = amend_arena_text_n(arena, json_object_get_string(json),
					  (size_t)json_object_get_string_len(json));
		*out = amend_text_n(text, (size_t)json_object_get_string_len(json));
		return text != NULL;
	case json_type_object:
		return read_object(json, arena, out);
	case json_type_array:
		break;
	}
	return false;
}

enum amend_status amend_fields_parse(const char *text, bool typed, struct amend_arena *arena,
				     struct amend_change **out, size_t *n, struct amend_error *err)
{
	struct json_object *json = amend_json_parse(text);
	enum amend_status status = AMEND_OK;
	size_t i = 0;

	*out = NULL;
	*n = 0;
	if (!json_object_is_type(json, json_type_object)) {
		status = amend_json_malformed(err, text);
		goto out;
	}
	*out = amend_arena_array(arena, (size_t)json_object_object_length(json), sizeof(**out));
	if (!*out) {
		status = amend_no_memory(err);
		goto out;
	}
	json_object_object_foreach(json, name, pair)
	{
		struct amend_change *change = &(*out)[i++];

		change->column = amend_arena_text(arena, name);
		if (!change->column || !json_object_is_type(pair, json_type_array) ||
		    json_object_array_length(pair) != 2 ||
		    !amend_json_read(json_object_array_get_idx(pair, 0), typed, arena,
				     &change->before) ||
		    !amend_json_read(json_object_array_get_idx(pair, 1), typed, arena,
				     &change->after)) {
			status = amend_json_malformed(err, text);
			goto out;
		}
	}
	*n = i;
out:
	json_object_put(json);
	return status;
}

enum amend_status amend_pk_parse(const char *text, bool typed, struct amend_arena *arena,
				 struct amend_field **out, size_t *n, struct amend_error *err)
{
	struct json_object *json = amend_json_parse(text);
	enum amend_status status = AMEND_OK;
	size_t i = 0;

	*out = NULL;
	*n = 0;
	if (!json_object_is_type(json, json_type_object)) {
		status = amend_json_malformed(err, text);
		goto out;
	}
	*out = amend_arena_array(arena, (size_t)json_object_object_length(json), sizeof(**out));
	if (!*out) {
		status = amend_no_memory(err);
		goto out;
	}
	json_object_object_foreach(json, name, value)
	{
		struct amend_field *field = &(*out)[i++];

		field->column = amend_arena_text(arena, name);
		if (!field->column || !amend_json_read(value, typed, arena, &field->value)) {
			status = amend_json_malformed(err, text);
			goto out;
		}
	}
	*n = i;
out:
	json_object_put(json);
	return status;
}

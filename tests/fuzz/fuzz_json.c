/*
 * JSON and NDJSON from outside: the same records however the bytes arrive; and what is
 * taken, json-c takes too and finds the same in it.
 */
#include <json-c/json.h>
#include <stdint.h>

#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_object *parse(const char *text, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(600);
	struct json_object *json;

	check(tokener != NULL);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	json = json_tokener_parse_ex(tokener, text, (int)size);
	check(json_tokener_get_error(tokener) == json_tokener_success);
	json_tokener_free(tokener);
	return json;
}

struct other {
	struct json_object *array; /* NULL: the first time, when it is only counted */
	size_t n;
	bool deep; /* a field is too deep, and was looked at no closer than its brackets */
};

/* The record's fields against what json-c found. */
static void compare(void *context, const struct amend_source *source,
		    const struct amend_source_record *record)
{
	struct other *other = context;
	struct json_object *element, *member;

	other->n++;
	if (record->problem && strstr(record->problem, "deeper"))
		other->deep = true;
	if (record->problem || !other->array)
		return;
	element = json_object_array_get_idx(other->array, other->n - 1);
	for (size_t i = 0; i < source->n_names; i++) {
		const struct amend_value *value = &record->fields[i];

		check(json_object_object_get_ex(element, source->names[i], &member) ==
		      !record->absent[i]);
		if (record->absent[i])
			continue;
		check((value->kind == AMEND_NULL) == (member == NULL));
		if (json_object_is_type(member, json_type_string))
			check((size_t)json_object_get_string_len(member) == value->size &&
			      memcmp(json_object_get_string(member), value->as.text, value->size) ==
				      0);
		if (json_object_is_type(member, json_type_int) && value->size < 18) {
			char digits[18] = "";

			memcpy(digits, value->as.text, value->size);
			check(strtoll(digits, NULL, 10) == json_object_get_int64(member));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct amend_source_options options = {.format = AMEND_FORMAT_JSON};
	struct other other = {NULL, 0, false};
	bool lines = size > 0 && data[0] == '{' && memchr(data, '\n', size);
	const char *text = (const char *)data;

	if (lines)
		options.format = AMEND_FORMAT_NDJSON;
	else if (size > 0 && data[0] == '{')
		options.path = "a";
	if (!read_in_pieces(data, size, &options, compare, &other) || options.path || lines ||
	    other.deep)
		return 0;
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3, size -= 3;
	other.array = parse(text, size);
	check(json_object_array_length(other.array) == other.n);
	other.n = 0;
	read_in_pieces((const unsigned char *)text, size, &options, compare, &other);
	json_object_put(other.array);
	return 0;
}

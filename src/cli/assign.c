/*
 * COL=VALUE and its kin: into the values that the library takes.
 * Leaves judging whether a column can hold them to the library.
 */
#include "assign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* --- the word --- */

/*
 * The first plain = of `word`, or NULL; `name` gets what stands before it,
 * without backslashes, and `escaped` whether its last character had one.
 */
static const char *split(const char *word, char *name, bool *escaped)
{
	*escaped = false;
	for (; *word && *word != '='; word++) {
		*escaped = word[0] == '\\' && word[1] != '\0' && strchr("=:+-\\", word[1]);
		if (*escaped)
			word++;
		*name++ = *word;
	}
	*name = '\0';
	return *word ? word : NULL;
}

static FILE *open_value(const char *path)
{
	return strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
}

/* The whole of a file; NULL with errno. */
static char *slurp(const char *path, size_t *size)
{
	FILE *file = open_value(path), *copy;
	char *text = NULL, part[65536];
	int failure = 0;
	size_t n;

	*size = 0;
	if (!file)
		return NULL;
	copy = open_memstream(&text, size);
	if (copy) {
		while ((n = fread(part, 1, sizeof(part), file)) > 0)
			fwrite(part, 1, n, copy);
		failure = ferror(file) ? (errno ? errno : EIO) : 0;
		if (fclose(copy) != 0 && failure == 0)
			failure = ENOMEM;
	}
	if (file != stdin)
		fclose(file);
	if (failure != 0) {
		free(text);
		text = NULL;
		errno = failure;
	}
	return text;
}

/* @FILE, \@TEXT or TEXT. */
static bool take_value(const struct cli_args *args, const char *text, struct cli_assignment *out)
{
	const char *at = text + strspn(text, "\\");

	if (*text == '@') {
		char *content;

		errno = 0;
		content = slurp(text + 1, &out->size);
		if (!content) {
			cli_usage(args,
				  "%s: the file could not be read: %s (hint: \\@ begins a plain @)",
				  out->word, strerror(errno));
			return false;
		}
		cli_keep(args->pool, content);
		out->value = content;
		out->from_file = true;
		return true;
	}
	/* \@ is @, \\@ is \@, and so on. */
	out->value = at > text && *at == '@' ? text + 1 : text;
	out->size = strlen(out->value);
	return true;
}

bool cli_assign_parse(const struct cli_args *args, const char *name, const char *word,
		      struct cli_assignment *out)
{
	static const struct {
		char sign;
		enum cli_verb verb;
	} verbs[] = {{':', CLI_JSON}, {'+', CLI_ADD}, {'-', CLI_SUBTRACT}};
	char *column = cli_copy(args->pool, word, strlen(word));
	bool escaped;
	const char *sign = split(word, column, &escaped);
	size_t size = strlen(column);

	*out = (struct cli_assignment){.column = column, .verb = CLI_TEXT, .word = word};
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]) && sign; i++) {
		if (size > 0 && !escaped && column[size - 1] == verbs[i].sign) {
			out->verb = verbs[i].verb;
			column[--size] = '\0';
			break;
		}
	}
	if (!sign || size == 0) {
		cli_usage(args, "expected %s, found \"%s\"", name, word);
		return false;
	}
	return take_value(args, sign + 1, out);
}

bool cli_pair_parse(const struct cli_args *args, const char *name, const char *word,
		    struct amend_pair *out)
{
	char *left = cli_copy(args->pool, word, strlen(word));
	bool escaped;
	const char *sign = split(word, left, &escaped);

	if (!sign || !*left || !sign[1]) {
		cli_usage(args, "expected %s, found \"%s\"", name, word);
		return false;
	}
	*out = (struct amend_pair){left, sign + 1};
	return true;
}

/* --- its value --- */

static bool number_as(const char *text, size_t size, bool lossy, struct amend_value *out)
{
	char copy[512], shortest[64], *end;
	long long integer;
	double real;

	if (!cli_json_is_number(text, size))
		return false;
	*out = amend_text_n(text, size);
	if (size >= sizeof(copy))
		return true;
	memcpy(copy, text, size);
	copy[size] = '\0';
	errno = 0;
	integer = strtoll(copy, &end, 10);
	if (errno == 0 && *end == '\0') {
		*out = amend_integer(integer);
		return true;
	}
	real = strtod(copy, NULL);
	cli_json_real(real, shortest, sizeof(shortest));
	if (strcmp(shortest, copy) == 0 || (lossy && copy[strcspn(copy, ".eE")] != '\0'))
		*out = amend_real(real);
	return true;
}

bool cli_number(const char *text, size_t size, struct amend_value *out)
{
	return number_as(text, size, false, out);
}

static struct amend_value boolean_as(bool truth, enum amend_class class_)
{
	switch (class_) {
	case AMEND_CLASS_BOOLEAN:
	case AMEND_CLASS_INTEGER:
	case AMEND_CLASS_NUMBER:
	case AMEND_CLASS_REAL:
	case AMEND_CLASS_ANY:
		return amend_integer(truth);
	case AMEND_CLASS_TEXT:
	case AMEND_CLASS_BLOB:
	case AMEND_CLASS_JSON:
	case AMEND_CLASS_TIME:
	case AMEND_CLASS_OTHER:
		break;
	}
	return amend_text(truth ? "true" : "false");
}

/* What a JSON document is in a column that is not a JSON column. */
static bool json_as(const struct cli_args *args, struct json_object *document, const char *text,
		    size_t size, enum amend_class class_, struct amend_value *out)
{
	switch (json_object_get_type(document)) {
	case json_type_null:
		*out = amend_null();
		return true;
	case json_type_boolean:
		*out = boolean_as(json_object_get_boolean(document), class_);
		return true;
	case json_type_int:
	case json_type_double:
		/* These columns hold nothing finer than a double. */
		return number_as(text, size,
				 class_ == AMEND_CLASS_REAL || class_ == AMEND_CLASS_ANY, out);
	case json_type_string:
		size = (size_t)json_object_get_string_len(document);
		*out = amend_text_n(cli_copy(args->pool, json_object_get_string(document), size),
				    size);
		return true;
	case json_type_object:
		if (class_ == AMEND_CLASS_BLOB && cli_json_bytes(args->pool, document, out))
			return true;
		*out = amend_text_n(text, size);
		return true;
	case json_type_array:
		*out = amend_text_n(text, size);
		return true;
	}
	return false;
}

static bool make_json(const struct cli_args *args, const struct cli_assignment *assignment,
		      enum amend_class class_, struct amend_value *out)
{
	const char *text = assignment->value, *problem = NULL;
	size_t size = assignment->size, at = 0;
	struct json_object *document = NULL;
	bool made = false;

	cli_json_trim(&text, &size);
	if (cli_json_parse(text, size, &document, &problem, &at)) {
		if (class_ == AMEND_CLASS_JSON && document) {
			*out = amend_text_n(text, size);
			made = true;
		} else {
			made = json_as(args, document, text, size, class_, out);
		}
		json_object_put(document);
	}
	if (!made)
		cli_usage(args,
			  "%s: expected JSON, found \"%.*s\": %s at character %zu (hint: %s=TEXT "
			  "takes text as it stands)",
			  assignment->word, size < 40 ? (int)size : 40, text,
			  problem ? problem : "no number", at + 1, assignment->column);
	return made;
}

static bool make_step(const struct cli_args *args, const struct cli_assignment *assignment,
		      struct amend_value *out)
{
	const char *text = assignment->value;
	size_t size = assignment->size;
	bool minus = assignment->verb == CLI_SUBTRACT;

	if (minus && cli_json_is_number(text, size)) {
		bool negative = *text == '-';
		char *other = cli_format(args->pool, "-%.*s", (int)size, text);

		text = negative ? other + 2 : other;
		size = strlen(text);
	}
	if (cli_number(text, size, out))
		return true;
	cli_usage(args, "%s: expected a number, found \"%s\"", assignment->word, assignment->value);
	return false;
}

static enum amend_class class_of(const struct amend_table *table, const char *column)
{
	int i = table ? amend_table_column(table, column) : -1;

	return i < 0 ? AMEND_CLASS_OTHER : table->columns[i].class_;
}

bool cli_assign_make(const struct cli_args *args, const struct cli_assignment *assignment,
		     const struct amend_table *table, struct amend_assign *out)
{
	enum amend_class class_ = class_of(table, assignment->column);

	*out = (struct amend_assign){.column = assignment->column, .op = AMEND_SET};
	switch (assignment->verb) {
	case CLI_TEXT:
		out->value = assignment->from_file && class_ == AMEND_CLASS_BLOB
				     ? amend_blob(assignment->value, assignment->size)
				     : amend_text_n(assignment->value, assignment->size);
		return true;
	case CLI_JSON:
		return make_json(args, assignment, class_, &out->value);
	case CLI_ADD:
	case CLI_SUBTRACT:
		out->op = AMEND_ADD;
		return make_step(args, assignment, &out->value);
	}
	return false;
}

/* --- several --- */

bool cli_assign_parse_all(const struct cli_args *args, const char *name, const char *const *words,
			  size_t n, bool plain, struct cli_assignment **out)
{
	*out = cli_alloc(args->pool, n, sizeof(**out));
	for (size_t i = 0; i < n; i++) {
		struct cli_assignment *one = &(*out)[i];

		if (!cli_assign_parse(args, name, words[i], one))
			return false;
		if (plain && (one->verb == CLI_ADD || one->verb == CLI_SUBTRACT)) {
			cli_usage(args, "expected %s or COL:=JSON, found \"%s\"", name, words[i]);
			return false;
		}
	}
	return true;
}

bool cli_assign_make_all(const struct cli_args *args, const struct cli_assignment *assignments,
			 size_t n, const struct amend_table *table, struct amend_assign **out)
{
	*out = cli_alloc(args->pool, n, sizeof(**out));
	for (size_t i = 0; i < n; i++) {
		if (!cli_assign_make(args, &assignments[i], table, &(*out)[i]))
			return false;
	}
	return true;
}

bool cli_key_parse(const struct cli_args *args, const char *word, struct cli_key *out)
{
	const char *const *more;
	size_t n = cli_values(args, "key", &more);
	const char **words = cli_alloc(args->pool, n + 1, sizeof(*words));

	words[0] = word;
	for (size_t i = 0; i < n; i++)
		words[i + 1] = more[i];
	*out = (struct cli_key){.n = n + 1};
	return cli_assign_parse_all(args, "KEY=VALUE", words, n + 1, true, &out->parts);
}

bool cli_key_make(const struct cli_args *args, struct cli_key *key, const struct amend_table *table)
{
	struct amend_assign *made;

	if (!cli_assign_make_all(args, key->parts, key->n, table, &made))
		return false;
	key->fields = cli_alloc(args->pool, key->n, sizeof(*key->fields));
	for (size_t i = 0; i < key->n; i++)
		key->fields[i] = (struct amend_field){made[i].column, made[i].value};
	key->match = (struct amend_match){key->fields, key->n};
	return true;
}

const char *cli_key_text(struct cli_pool *pool, const struct cli_key *key)
{
	char *text = cli_copy(pool, "", 0);

	for (size_t i = 0; i < key->n; i++)
		text = cli_format(pool, "%s%s%s", text, i ? " " : "", key->parts[i].word);
	return text;
}

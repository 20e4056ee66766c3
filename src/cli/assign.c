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

enum { LARGEST_FILE = 256 * 1024 * 1024 };

/* The whole of a file; NULL with errno. */
static char *slurp(const char *path, size_t *size)
{
	FILE *file = open_value(path), *copy;
	char *text = NULL, part[65536];
	int failure = 0;
	size_t n, all = 0;

	*size = 0;
	if (!file)
		return NULL;
	copy = open_memstream(&text, size);
	if (copy) {
		while (all <= LARGEST_FILE && (n = fread(part, 1, sizeof(part), file)) > 0)
			all += fwrite(part, 1, n, copy);
		failure = ferror(file) ? (errno ? errno : EIO) : all > LARGEST_FILE ? EFBIG : 0;
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
		if (!content && errno == EFBIG) {
			cli_usage(args, "%s: expected a file of at most 256 MiB, found more",
				  out->word);
			return false;
		}
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

static void complain_of_json(const struct cli_args *args, const struct cli_assignment *assignment,
			     const char *problem, size_t at)
{
	enum { SHOWN = 40 };
	const char *text = assignment->value;
	size_t size = assignment->size;

	cli_json_trim(&text, &size);
	cli_usage(args,
		  "%s: expected JSON, found \"%.*s%s\": %s at character %zu (hint: %s=TEXT takes text "
		  "as it stands)",
		  assignment->from_file ? assignment->word : assignment->column,
		  size < SHOWN ? (int)size : SHOWN, text, size < SHOWN ? "" : "...", problem,
		  at + 1, assignment->column);
}

/* That the value is what its verb takes. */
static bool check_value(const struct cli_args *args, const struct cli_assignment *assignment)
{
	const char *text = assignment->value, *problem;
	struct json_object *document;
	size_t size = assignment->size, at;

	switch (assignment->verb) {
	case CLI_TEXT:
		return true;
	case CLI_JSON:
		cli_json_trim(&text, &size);
		if (cli_json_parse(text, size, &document, &problem, &at)) {
			json_object_put(document);
			return true;
		}
		complain_of_json(args, assignment, problem, at);
		return false;
	case CLI_ADD:
	case CLI_SUBTRACT:
		if (cli_json_is_number(text, size))
			return true;
		cli_usage(args, "%s: expected a number behind %s, found \"%s\"", assignment->column,
			  assignment->verb == CLI_ADD ? "+=" : "-=", text);
		return false;
	}
	return false;
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
	return take_value(args, sign + 1, out) && check_value(args, out);
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
static struct amend_value json_as(struct cli_pool *pool, struct json_object *document,
				  const char *text, size_t size, enum amend_class class_)
{
	struct amend_value value = amend_text_n(text, size);

	switch (json_object_get_type(document)) {
	case json_type_null:
		return amend_null();
	case json_type_boolean:
		return boolean_as(json_object_get_boolean(document), class_);
	case json_type_int:
	case json_type_double:
		/* These columns hold nothing finer than a double. */
		number_as(text, size, class_ == AMEND_CLASS_REAL || class_ == AMEND_CLASS_ANY,
			  &value);
		return value;
	case json_type_string:
		size = (size_t)json_object_get_string_len(document);
		return amend_text_n(cli_copy(pool, json_object_get_string(document), size), size);
	case json_type_object:
		/* Broken ones have been refused. */
		if (class_ == AMEND_CLASS_BLOB)
			(void)cli_json_bytes(pool, document, &value);
		return value;
	case json_type_array:
		break;
	}
	return value;
}

static struct amend_value make_json(struct cli_pool *pool, const struct cli_assignment *assignment,
				    enum amend_class class_)
{
	const char *text = assignment->value, *problem;
	size_t size = assignment->size, at;
	struct json_object *document;
	struct amend_value value;

	cli_json_trim(&text, &size);
	if (!cli_json_parse(text, size, &document, &problem, &at))
		return amend_null(); /* cannot be: it was parsed before */
	if (class_ == AMEND_CLASS_JSON && document)
		value = amend_text_n(text, size);
	else
		value = json_as(pool, document, text, size, class_);
	json_object_put(document);
	return value;
}

static struct amend_value make_step(struct cli_pool *pool, const struct cli_assignment *assignment)
{
	const char *text = assignment->value;
	size_t size = assignment->size;
	struct amend_value value = amend_text_n(text, size);

	if (assignment->verb == CLI_SUBTRACT) {
		text = *text == '-' ? text + 1 : cli_format(pool, "-%s", text);
		size = strlen(text);
	}
	cli_number(text, size, &value);
	return value;
}

static enum amend_class class_of(const struct amend_table *table, const char *column)
{
	int i = table ? amend_table_column(table, column) : -1;

	return i < 0 ? AMEND_CLASS_OTHER : table->columns[i].class_;
}

const char *cli_assign_problem(struct cli_pool *pool, const struct cli_assignment *assignment,
			       const struct amend_table *table)
{
	enum { SHOWN = 40 };
	const char *text = assignment->value, *problem = NULL, *why;
	size_t size = assignment->size, at;
	struct json_object *document = NULL;
	struct amend_value bytes;

	if (assignment->verb != CLI_JSON || class_of(table, assignment->column) != AMEND_CLASS_BLOB)
		return NULL;
	cli_json_trim(&text, &size);
	if (cli_json_parse(text, size, &document, &why, &at) &&
	    json_object_is_type(document, json_type_object) &&
	    cli_json_bytes(pool, document, &bytes) == CLI_BROKEN_BYTES)
		problem = cli_format(
			pool,
			"expected {\"base64\":\"...\"} with whole base64 and nothing else, "
			"found %.*s%s",
			size < SHOWN ? (int)size : SHOWN, text, size < SHOWN ? "" : "...");
	json_object_put(document);
	return problem;
}

struct amend_assign cli_assign_make(struct cli_pool *pool, const struct cli_assignment *assignment,
				    const struct amend_table *table)
{
	enum amend_class class_ = class_of(table, assignment->column);
	struct amend_assign made = {.column = assignment->column, .op = AMEND_SET};

	switch (assignment->verb) {
	case CLI_TEXT:
		made.value = assignment->from_file && class_ == AMEND_CLASS_BLOB
				     ? amend_blob(assignment->value, assignment->size)
				     : amend_text_n(assignment->value, assignment->size);
		break;
	case CLI_JSON:
		made.value = make_json(pool, assignment, class_);
		break;
	case CLI_ADD:
	case CLI_SUBTRACT:
		made.op = AMEND_ADD;
		made.value = make_step(pool, assignment);
		break;
	}
	return made;
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

bool cli_assign_once(const struct cli_args *args, const char *option,
		     const struct cli_assignment *assignments, size_t n,
		     const struct amend_table *table)
{
	for (size_t i = 0; i < n; i++) {
		const char *column = assignments[i].column;
		int at = table ? amend_table_column(table, column) : -1;

		for (size_t j = 0; j < i; j++) {
			const char *other = assignments[j].column;

			if (strcmp(column, other) != 0 &&
			    (at < 0 || at != amend_table_column(table, other)))
				continue;
			cli_usage(args, "--%s: column %s is given twice", option, column);
			return false;
		}
	}
	return true;
}

/* Complains. */
static bool make_one(const struct cli_args *args, const struct cli_assignment *assignment,
		     const struct amend_table *table, struct amend_assign *out)
{
	const char *problem = cli_assign_problem(args->pool, assignment, table);

	if (problem)
		cli_usage(args, "%s: %s (hint: %s=TEXT takes text as it stands)",
			  assignment->column, problem, assignment->column);
	else
		*out = cli_assign_make(args->pool, assignment, table);
	return !problem;
}

bool cli_assign_make_all(const struct cli_args *args, const struct cli_assignment *assignments,
			 size_t n, const struct amend_table *table, struct amend_assign **out)
{
	*out = cli_alloc(args->pool, n, sizeof(**out));
	for (size_t i = 0; i < n; i++) {
		if (!make_one(args, &assignments[i], table, &(*out)[i]))
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

bool cli_assign_make_fields(const struct cli_args *args, const struct cli_assignment *assignments,
			    size_t n, const struct amend_table *table, struct amend_field **out)
{
	struct amend_assign made;

	*out = cli_alloc(args->pool, n, sizeof(**out));
	for (size_t i = 0; i < n; i++) {
		if (!make_one(args, &assignments[i], table, &made))
			return false;
		(*out)[i] = (struct amend_field){made.column, made.value};
	}
	return true;
}

bool cli_key_make(const struct cli_args *args, struct cli_key *key, const struct amend_table *table)
{
	if (!cli_assign_make_fields(args, key->parts, key->n, table, &key->fields))
		return false;
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

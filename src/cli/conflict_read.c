/*
 * Reads a conflict's file back: what each field is to become.
 * Leaves writing it to conflict_file.c, and whether a value fits to the library.
 */
#include "conflict_file.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "assign.h"
#include "json.h"
#include "lines.h"

static const char conflict_line[] = "#= conflict", field_line[] = "#= field",
		  decided_line[] = "#= decided";

struct reading {
	const struct cli_args *args;
	const char *name; /* of the file */
	const struct amend_conflict *conflict;
	const struct amend_table *table;
	struct cli_lines lines;
	size_t at; /* the line that is read next */
	struct cli_decisions *out;
	bool bound;                   /* the line that says which conflict it is has been read */
	bool crlf;                    /* that line ends so: an editor has given it to every line */
	bool *shown;                  /* by field: what was shown of it has been read, .. */
	uint64_t *current, *incoming; /* ..this.. */
	uint64_t *decided;            /* ..and this decision; 0: none */
	int *mark;
};

static bool refuse(struct reading *r, const char *problem, const char *found, const char *hint)
{
	cli_usage(r->args, "%s:%zu: %s%s%s (hint: %s)", r->name, r->at, problem, *found ? ": " : "",
		  found, hint);
	return false;
}

static bool ends_in_crlf(const struct cli_line *line)
{
	return line->size > 1 && memcmp(line->text + line->size - 2, "\r\n", 2) == 0;
}

/* Without its newline, as a text; of a file that an editor gave CRLF, without that. */
static char *text_of(struct reading *r, const struct cli_line *line)
{
	size_t size = line->size;

	if (size > 0 && line->text[size - 1] == '\n')
		size--;
	if (size > 0 && line->text[size - 1] == '\r')
		size--;
	return cli_copy(r->args->pool, line->text, size);
}

static int field_of(const struct reading *r, const char *column)
{
	for (size_t i = 0; i < r->conflict->n_fields; i++) {
		if (strcmp(r->conflict->fields[i].column, column) == 0)
			return (int)i;
	}
	return -1;
}

/* --- what it is of --- */

/* A word of digits and what follows it; false: none. */
static bool read_number(const char **text, int base, uint64_t *out)
{
	char *end;

	*text += strspn(*text, " ");
	if (!isxdigit((unsigned char)**text))
		return false;
	*out = strtoull(*text, &end, base);
	if (*end != ' ' && *end != '\0')
		return false;
	*text = end;
	return true;
}

static bool read_conflict(struct reading *r, const char *text)
{
	const char *own = *r->conflict->mark ? r->conflict->mark : "-";
	const char *at = text + strlen(conflict_line);
	uint64_t id = 0;

	if (!read_number(&at, 10, &id) || *at != ' ')
		return refuse(r, "expected #= conflict ID MARK, found", text,
			      "make the file anew, with --edit or --print");
	if (id != (uint64_t)r->conflict->id || strcmp(at + 1, own) != 0)
		return refuse(r, "this is the file of another conflict",
			      cli_format(r->args->pool, "%" PRIu64, id),
			      "a file settles only the conflict that it was made of");
	r->bound = true;
	r->crlf = ends_in_crlf(&r->lines.at[r->at - 1]);
	return true;
}

/* The field of that name, as it stands in the file; -1: none, it may have left the conflict since. */
static int spelled_field(const struct reading *r, const char *column)
{
	for (size_t i = 0; i < r->conflict->n_fields; i++) {
		if (strcmp(cli_conflict_column(r->args->pool, r->conflict->fields[i].column),
			   column) == 0)
			return (int)i;
	}
	return -1;
}

static bool read_decided(struct reading *r, const char *text)
{
	const char *at = text + strlen(decided_line);
	uint64_t decided;
	int field;

	if (!read_number(&at, 16, &decided) || *at != ' ')
		return refuse(r, "expected #= decided SEEN COL, found", text,
			      "make the file anew, with --edit or --print");
	field = spelled_field(r, at + 1);
	if (field >= 0)
		r->decided[field] = decided;
	return true;
}

static bool read_field(struct reading *r, const char *text)
{
	const char *at = text + strlen(field_line);
	uint64_t current, incoming, mark;
	int field;

	if (!read_number(&at, 16, &current) || !read_number(&at, 16, &incoming) ||
	    !read_number(&at, 10, &mark) || mark < 7 || mark > INT_MAX || *at != ' ')
		return refuse(r, "expected #= field SEEN SEEN N COL, found", text,
			      "make the file anew, with --edit or --print");
	field = spelled_field(r, at + 1);
	if (field < 0)
		return true;
	r->shown[field] = true;
	r->current[field] = current;
	r->incoming[field] = incoming;
	r->mark[field] = (int)mark;
	return true;
}

/* --- values --- */

/* The column that a line begins with, and what follows its name; NULL: none. */
static const char *column_of(struct reading *r, const char *text, const char **rest)
{
	for (size_t i = 0; i < r->table->n_columns; i++) {
		const char *name = r->table->columns[i].name;
		const char *spelled = cli_conflict_column(r->args->pool, name);
		size_t size = strlen(spelled);

		if (strncmp(text, spelled, size) == 0 && strchr("=:<", text[size]) && text[size]) {
			*rest = text + size;
			return name;
		}
	}
	return NULL;
}

static bool has_crlf(const struct amend_value *value)
{
	return value->kind == AMEND_TEXT && value->size > 0 &&
	       memmem(value->as.text, value->size, "\r\n", 2);
}

/* Whether a text that the file was made of has CRLF: in a file of CRLF nobody can tell which are the editor's. */
static bool keeps_crlf(const struct reading *r, int i)
{
	const struct amend_conflict_field *field = i < 0 ? NULL : &r->conflict->fields[i];

	return field && (has_crlf(&field->current) || has_crlf(&field->incoming) ||
			 (field->has_base && has_crlf(&field->base)) ||
			 (r->conflict->more[i].chosen && has_crlf(&r->conflict->more[i].value)));
}

/* The lines up to `word`; their marks are the field's, -1: of a column that is not in the conflict. */
static bool read_block(struct reading *r, const char *word, int field, struct amend_value *out)
{
	const int mark = field >= 0 && r->shown[field] ? r->mark[field] : 7;
	const bool keeps = !r->crlf || keeps_crlf(r, field);
	size_t from = r->at, size = 0;
	char *text;

	for (;; r->at++) {
		const char *line;

		if (r->at == r->lines.n) {
			r->at = from;
			return refuse(r, "the text that begins here does not end", "",
				      cli_format(r->args->pool, "expected a line %s", word));
		}
		line = text_of(r, &r->lines.at[r->at]);
		if (strcmp(line, word) == 0)
			break;
		if (cli_lines_is_mark(line, strlen(line), mark)) {
			r->at++;
			return refuse(r, "a mark is left", line,
				      "leave one side of it, and no marks");
		}
		size += r->lines.at[r->at].size;
	}
	text = cli_alloc(r->args->pool, size + 1, 1);
	size = 0;
	for (size_t i = from; i < r->at; i++) {
		const struct cli_line *line = &r->lines.at[i];
		/* The newline before `word` is the file's own. */
		bool last = i + 1 == r->at, strip = ends_in_crlf(line) && (last ? r->crlf : !keeps);

		memcpy(text + size, line->text, line->size);
		size += line->size - (last ? 1 : 0) - (strip ? 1 : 0);
		if (strip && !last)
			text[size - 1] = '\n';
	}
	r->at++;
	*out = amend_text_n(text, size);
	return true;
}

static bool read_json(struct reading *r, const char *column, const char *text,
		      struct amend_value *out)
{
	struct cli_assignment assignment = {.column = column,
					    .verb = CLI_JSON,
					    .value = text,
					    .size = strlen(text),
					    .word = text};
	struct json_object *document;
	const char *problem;
	size_t size = assignment.size, at;

	cli_json_trim(&text, &size);
	if (!cli_json_parse(text, size, &document, &problem, &at))
		return refuse(r, "expected JSON",
			      cli_format(r->args->pool, "%s at character %zu", problem, at + 1),
			      "COL=TEXT takes text as it stands");
	json_object_put(document);
	problem = cli_assign_problem(r->args->pool, &assignment, r->table);
	if (problem)
		return refuse(r, column, problem, "COL=TEXT takes text as it stands");
	*out = cli_assign_make(r->args->pool, &assignment, r->table).value;
	return true;
}

/* The side, or the decision, that is written as this line: not every value has JSON that reads back as itself. */
static const struct amend_value *value_of(const struct reading *r, int i, const char *text)
{
	const struct amend_conflict_field *field = &r->conflict->fields[i];
	const struct amend_value *const all[] = {
		&field->current, &field->incoming, field->has_base ? &field->base : NULL,
		r->conflict->more[i].chosen ? &r->conflict->more[i].value : NULL};
	const char *column = cli_conflict_column(r->args->pool, field->column);

	for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++) {
		const char *line = all[j] ? cli_conflict_line(r->args->pool, column, all[j]) : NULL;

		if (line && strcmp(line, text) == 0)
			return all[j];
	}
	return NULL;
}

static struct amend_value *copy_value(struct cli_pool *pool, const struct amend_value *value)
{
	struct amend_value *copy = cli_alloc(pool, 1, sizeof(*copy));

	*copy = *value;
	if (value->kind == AMEND_TEXT)
		copy->as.text = cli_copy(pool, value->as.text, value->size);
	if (value->kind == AMEND_BLOB)
		copy->as.blob = cli_copy(pool, value->as.blob, value->size);
	return copy;
}

static bool read_value(struct reading *r, const char *column, const char *text, const char *rest,
		       struct amend_value *out)
{
	int field = field_of(r, column);
	const struct amend_value *side = field < 0 ? NULL : value_of(r, field, text);

	if (side) {
		*out = *copy_value(r->args->pool, side);
		return true;
	}
	if (rest[0] == '=') {
		*out = amend_text(rest + 1);
		return true;
	}
	if (rest[0] == ':' && rest[1] == '=')
		return read_json(r, column, rest + 2, out);
	if (rest[0] == '<' && rest[1] == '<' && rest[2])
		return read_block(r, rest + 2, field, out);
	return refuse(r, "expected COL=TEXT, COL:=JSON or COL<<END, found", rest,
		      "lines that begin with # are comments");
}

/* Also where a number has been given as text, as COL=8 does. */
static bool says(const struct reading *r, const struct amend_value *given,
		 const struct amend_value *value)
{
	const char *line = cli_conflict_line(r->args->pool, "", value);

	return amend_value_equal(given, value) ||
	       (given->kind == AMEND_TEXT &&
		(value->kind == AMEND_INTEGER || value->kind == AMEND_REAL) && line &&
		strcmp(line + strlen(":="), given->as.text) == 0);
}

/* What is decided of the field is not what the file shows of it, nor what it says. */
static bool decided_since(const struct reading *r, int i, const struct amend_value *value)
{
	const uint64_t now = cli_conflict_decision(r->conflict, (size_t)i);
	const struct amend_conflict_more *more = &r->conflict->more[i];

	if (r->decided[i] == now)
		return false;
	return r->decided[i] != 0 || (more->adds && more->take == AMEND_TAKE_INCOMING) ||
	       !says(r, value, &more->value);
}

/* The decision that the file shows, as it stands. */
static bool is_decision(const struct reading *r, int i, const struct amend_value *value)
{
	return r->conflict->there && r->conflict->kind != AMEND_CONFLICT_MISSING &&
	       r->decided[i] != 0 &&
	       amend_value_equal(value, cli_conflict_decided(r->conflict, (size_t)i));
}

/* A value that is a side is that side, for who reads later why it was settled so. */
static bool add(struct reading *r, const char *column, const struct amend_value *value)
{
	struct amend_decision *decision = &r->out->list[r->out->n];
	int i = field_of(r, column);
	const struct amend_conflict_field *field = i < 0 ? NULL : &r->conflict->fields[i];

	for (size_t j = 0; j < r->out->n; j++) {
		if (strcmp(r->out->list[j].column, column) == 0)
			return refuse(r, "a field is given twice", column, "leave one of its sides");
	}
	*decision = (struct amend_decision){
		.column = cli_copy(r->args->pool, column, strlen(column)), .value = *value};
	r->out->n++;
	if (!field)
		return true;
	if (!r->shown[i])
		return refuse(r, "the line #= field is missing for", column,
			      "make the file anew, with --edit or --print");
	decision->outdated = r->incoming[i] != cli_conflict_hash(&field->incoming) ||
			     decided_since(r, i, value);
	if (decision->outdated)
		return true;
	if (is_decision(r, i, value)) {
		const struct amend_conflict_more *more = &r->conflict->more[i];

		decision->take = more->take;
		decision->value = *copy_value(r->args->pool, &more->value);
		decision->seen = copy_value(r->args->pool, &more->seen);
		return true;
	}
	/* Unless it is as it was shown, nobody knows any more what that was. */
	decision->unseen = r->current[i] != cli_conflict_now(r->conflict, (size_t)i);
	if (!decision->unseen)
		decision->seen = copy_value(r->args->pool, &field->current);
	if (r->current[i] == cli_conflict_hash(value) && r->conflict->there)
		decision->take = AMEND_TAKE_CURRENT;
	else if (r->conflict->more[i].adds)
		return true; /* what stands in a file is what it becomes: it is not added up */
	else if (amend_value_equal(value, &field->incoming))
		decision->take = AMEND_TAKE_INCOMING;
	else if (field->has_base && amend_value_equal(value, &field->base))
		decision->take = AMEND_TAKE_BASE;
	return true;
}

/* --- the file --- */

static bool read_line(struct reading *r)
{
	const char *text = text_of(r, &r->lines.at[r->at++]), *rest = NULL, *column;
	struct amend_value value;

	if (strncmp(text, conflict_line, strlen(conflict_line)) == 0)
		return read_conflict(r, text);
	if (strncmp(text, field_line, strlen(field_line)) == 0)
		return read_field(r, text);
	if (strncmp(text, decided_line, strlen(decided_line)) == 0)
		return read_decided(r, text);
	if (text[strspn(text, " \t")] == '\0' || *text == '#')
		return true;
	if (cli_lines_is_mark(text, strlen(text), (int)strspn(text, "<|=>")) &&
	    strspn(text, "<|=>") >= 7)
		return refuse(r, "a mark is left", text, "leave one side of it, and no marks");
	if (!r->bound)
		return refuse(r, "expected the line #= conflict first, found", text,
			      "make the file anew, with --edit or --print");
	column = column_of(r, text, &rest);
	if (!column)
		return refuse(r, "expected COL=TEXT, COL:=JSON or COL<<END, found", text,
			      "lines that begin with # are comments");
	return read_value(r, column, text, rest, &value) && add(r, column, &value);
}

bool cli_conflict_read(const struct cli_args *args, const char *name, const char *text, size_t size,
		       const struct amend_conflict *conflict, const struct amend_table *table,
		       struct cli_decisions *out)
{
	struct cli_pool *pool = args->pool;
	struct reading r = {.args = args,
			    .name = name,
			    .conflict = conflict,
			    .table = table,
			    .lines = cli_lines_of(pool, text, size),
			    .out = out,
			    .shown = cli_alloc(pool, conflict->n_fields + 1, sizeof(bool)),
			    .current = cli_alloc(pool, conflict->n_fields + 1, sizeof(uint64_t)),
			    .incoming = cli_alloc(pool, conflict->n_fields + 1, sizeof(uint64_t)),
			    .decided = cli_alloc(pool, conflict->n_fields + 1, sizeof(uint64_t)),
			    .mark = cli_alloc(pool, conflict->n_fields + 1, sizeof(int))};

	*out = (struct cli_decisions){
		.list = cli_alloc(pool, table->n_columns + 1, sizeof(*out->list))};
	if (memchr(text, '\0', size)) {
		cli_usage(args, "%s: expected text, found a NUL byte", name);
		return false;
	}
	while (r.at < r.lines.n) {
		if (!read_line(&r))
			return false;
	}
	return true;
}

bool cli_conflict_says(const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *next = newline ? newline + 1 : end;

		bool comment = *text == '#';

		while (text < next && strchr(" \t\r\n", *text) && *text)
			text++;
		if (text < next && !comment)
			return true;
		text = next;
	}
	return false;
}

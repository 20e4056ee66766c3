/*
 * Requests resolved: names to columns, values to the form the database stores.
 * Leaves matching and writing to the road.
 */
#include "record/request.h"

#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"

enum amend_status amend_request_key(struct amend_conn *db, const struct amend_table *table,
				    const struct amend_match *match, struct amend_arena *arena,
				    struct amend_request_key *out, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	(void)db;
	memset(out, 0, sizeof(*out));
	if (match->n_fields == 0)
		return amend_error_set(err, AMEND_INVALID, "expected a key, found no column");
	out->columns = amend_arena_array(arena, match->n_fields, sizeof(*out->columns));
	out->values = amend_arena_array(arena, match->n_fields, sizeof(*out->values));
	if (!out->columns || !out->values)
		return amend_no_memory(err);
	for (size_t i = 0; i < match->n_fields && status == AMEND_OK; i++) {
		size_t at;

		status = amend_table_find(table, match->fields[i].column, &at, err);
		out->columns[i] = (uint32_t)at;
		for (size_t j = 0; j < i && status == AMEND_OK; j++) {
			if (out->columns[j] == at)
				status = amend_error_set(err, AMEND_INVALID,
							 "the key names column %s twice",
							 match->fields[i].column);
		}
		if (status == AMEND_OK &&
		    !amend_arena_value(arena, &match->fields[i].value, &out->values[i]))
			status = amend_no_memory(err);
		out->blank = out->blank || amend_value_blank(&match->fields[i].value);
	}
	out->n = match->n_fields;
	out->unique = amend_table_unique_key(table, out->columns, out->n);
	return status;
}

const char *amend_request_text(const struct amend_table *table, const struct amend_request_key *key,
			       struct amend_arena *arena)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	for (size_t i = 0; i < key->n; i++) {
		const struct amend_value *value = &key->values[i];

		amend_buffer_text(&text, i ? ", " : "");
		amend_buffer_text(&text, table->columns[key->columns[i]].name);
		amend_buffer_char(&text, '=');
		if (value->kind == AMEND_TEXT && value->size <= 80)
			amend_buffer_add(&text, value->as.text, value->size);
		else if (value->kind == AMEND_TEXT)
			amend_buffer_text(&text, "...");
		else
			amend_json_value(&text, value, AMEND_CLASS_TEXT);
	}
	copy = text.failed ? NULL : amend_arena_text_n(arena, text.data, text.size);
	amend_buffer_release(&text);
	return copy ? copy : "...";
}

enum amend_status amend_request_several(const struct amend_table *table,
					const struct amend_request_key *key, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;

	amend_error_set(err, AMEND_INVALID,
			"%s finds several records in %s (hint: use a key that names one)",
			amend_request_text(table, key, &arena), table->qualified);
	amend_arena_release(&arena);
	return AMEND_INVALID;
}

/* To what each engine has room for, between two characters. */
static void cut_name(struct amend_buffer *name)
{
	enum { MOST = 63 };

	if (name->failed || name->size <= MOST)
		return;
	name->size = MOST;
	while (((unsigned char)name->data[name->size] & 0xc0) == 0x80)
		name->size--;
	name->data[name->size] = '\0';
}

enum amend_status amend_request_not_unique(const struct amend_conn *db,
					   const struct amend_table *table,
					   const struct amend_request_key *key,
					   struct amend_error *err)
{
	struct amend_buffer name = AMEND_BUFFER_INIT, index = AMEND_BUFFER_INIT;
	struct amend_buffer columns = AMEND_BUFFER_INIT;
	bool failed;

	amend_buffer_text(&name, table->name);
	for (size_t i = 0; i < key->n; i++) {
		const char *column = table->columns[key->columns[i]].name;

		amend_buffer_printf(&name, "_%s", column);
		amend_buffer_text(&columns, i ? ", " : "");
		amend_quote_name(&columns, db->dialect, column);
	}
	amend_buffer_text(&name, "_key");
	cut_name(&name);
	failed = name.failed || columns.failed;
	if (!failed)
		amend_quote_name(&index, db->dialect, name.data);
	failed = failed || index.failed;
	amend_error_set(err, AMEND_INVALID,
			"no unique index of %s covers this key, so two could create the same record "
			"(hint: CREATE UNIQUE INDEX %s ON %s (%s))",
			table->qualified, failed ? "..." : index.data, table->qualified,
			failed ? "..." : columns.data);
	amend_buffer_release(&name);
	amend_buffer_release(&index);
	amend_buffer_release(&columns);
	return AMEND_INVALID;
}

void amend_request_key_refused(struct amend_conn *db, const struct amend_table *table,
			       const struct amend_request_key *key, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_put *puts = amend_arena_array(&arena, key->n, sizeof(*puts));
	struct amend_error why;

	/* 22: a value is at fault. */
	if (err->status != AMEND_INVALID || strncmp(err->sqlstate, "22", 2) != 0)
		goto out;
	if (db->depth > 0 && db->levels[db->depth - 1].failed) {
		amend_error_wrap(err, "%s %s", table->qualified,
				 amend_request_text(table, key, &arena));
		goto out;
	}
	for (size_t i = 0; puts && i < key->n; i++)
		puts[i] = (struct amend_put){.column = key->columns[i], .value = key->values[i]};
	if (puts &&
	    amend_request_canonical(db, table, NULL, puts, key->n, &arena, &why) == AMEND_INVALID)
		*err = why;
out:
	amend_arena_release(&arena);
}

enum amend_status amend_request_pk(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_request_key *key, struct amend_arena *arena,
				   const char **pk, struct amend_error *err)
{
	struct amend_value *values = amend_arena_array(arena, table->n_columns, sizeof(*values));
	struct amend_canon *items = amend_arena_array(arena, key->n, sizeof(*items));
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status;
	size_t found = 0;

	*pk = NULL;
	if (!values || !items)
		return amend_no_memory(err);
	for (size_t i = 0; i < key->n; i++) {
		items[i].column = &table->columns[key->columns[i]];
		items[i].in = key->values[i];
		for (size_t j = 0; j < table->n_identity; j++)
			found += table->identity[j] == key->columns[i];
	}
	if (key->blank || key->n != table->n_identity || found != key->n)
		return AMEND_OK;
	status = amend_canonicalise(db, items, key->n, arena, err);
	if (status != AMEND_OK)
		return status;
	for (size_t i = 0; i < key->n; i++) {
		if (items[i].problem)
			return AMEND_OK; /* no record can have it */
		values[key->columns[i]] = items[i].out;
	}
	amend_pk_text(&text, table, values, NULL);
	*pk = text.failed ? NULL : amend_arena_text_n(arena, text.data, text.size);
	amend_buffer_release(&text);
	return *pk ? AMEND_OK : amend_no_memory(err);
}

enum amend_status amend_request_writable(const struct amend_table *table, size_t at,
					 struct amend_error *err)
{
	const struct amend_column *column = &table->columns[at];

	if (column->generated)
		return amend_error_set(err, AMEND_INVALID,
				       "%s.%s is generated by the database and cannot be written",
				       table->qualified, column->name);
	if (column->unsound)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "%s.%s has type %s, whose text does not show every change: "
				       "amend does not write it",
				       table->qualified, column->name, column->type);
	return AMEND_OK;
}

static enum amend_status check_column(const struct amend_table *table, size_t at, enum amend_op op,
				      struct amend_error *err)
{
	const struct amend_column *column = &table->columns[at];
	enum amend_status status = amend_request_writable(table, at, err);

	if (status != AMEND_OK)
		return status;
	if ((int)at == table->version)
		return amend_error_set(err, AMEND_INVALID,
				       "%s.%s is the version column: amend moves it (hint: "
				       "--if-version says which state you saw)",
				       table->qualified, column->name);
	if (op != AMEND_ADD)
		return AMEND_OK;
	for (size_t i = 0; i < table->n_identity; i++) {
		if (table->identity[i] == at)
			return amend_error_set(err, AMEND_INVALID,
					       "%s.%s identifies the record: nothing is added to it "
					       "(hint: %s=VALUE)",
					       table->qualified, column->name, column->name);
	}
	switch (column->class_) {
	case AMEND_CLASS_INTEGER:
	case AMEND_CLASS_NUMBER:
	case AMEND_CLASS_REAL:
	case AMEND_CLASS_ANY:
		return AMEND_OK;
	case AMEND_CLASS_TEXT:
	case AMEND_CLASS_BOOLEAN:
	case AMEND_CLASS_BLOB:
	case AMEND_CLASS_JSON:
	case AMEND_CLASS_TIME:
	case AMEND_CLASS_OTHER:
		break;
	}
	return amend_error_set(err, AMEND_INVALID, "%s.%s has type %s: expected a number to add to",
			       table->qualified, column->name,
			       *column->type ? column->type : "none");
}

enum amend_status amend_request_puts(const struct amend_table *table,
				     const struct amend_assign *assigns, size_t n, bool replace,
				     struct amend_put *puts, size_t *n_puts, struct amend_error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct amend_put put = {.op = assigns[i].op, .value = assigns[i].value};
		enum amend_status status;
		size_t at, place;

		status = amend_table_find(table, assigns[i].column, &at, err);
		if (status == AMEND_OK)
			status = check_column(table, at, assigns[i].op, err);
		if (status != AMEND_OK)
			return status;
		put.column = (uint32_t)at;
		for (place = 0; place < *n_puts && puts[place].column != put.column; place++)
			;
		if (place < *n_puts && !replace)
			return amend_error_set(err, AMEND_INVALID, "column %s is assigned twice",
					       assigns[i].column);
		if (place == *n_puts)
			++*n_puts;
		puts[place] = put;
	}
	return AMEND_OK;
}

void amend_request_put(struct amend_put *puts, size_t *n_puts, uint32_t column,
		       const struct amend_value *value)
{
	for (size_t i = 0; i < *n_puts; i++) {
		if (puts[i].column == column)
			return;
	}
	puts[(*n_puts)++] = (struct amend_put){.column = column, .value = *value};
}

static enum amend_status refuse(const struct amend_table *table, const struct amend_canon *item,
				struct amend_error *err)
{
	return amend_error_set(err, AMEND_INVALID, "%s.%s: %s", table->qualified,
			       item->column->name, item->problem);
}

/* An amount to add must be of the column's own kind: 0.5 in an integer column would change what it holds. */
static enum amend_status check_amount(const struct amend_table *table,
				      const struct amend_canon *item, bool typed,
				      struct amend_error *err)
{
	bool whole = item->column->class_ != AMEND_CLASS_INTEGER || typed ||
		     item->out.kind == AMEND_INTEGER;

	if (item->out.kind != AMEND_NULL && whole &&
	    (typed || item->out.kind == AMEND_INTEGER || item->out.kind == AMEND_REAL))
		return AMEND_OK;
	return amend_error_set(err, AMEND_INVALID, "%s.%s: expected %s to add", table->qualified,
			       item->column->name, whole ? "a number" : "a whole number");
}

/* SQLite would store any bytes as text, and other programs could not read them. */
bool amend_request_is_no_text(const struct amend_value *value)
{
	return value->kind == AMEND_TEXT &&
	       (memchr(value->size ? value->as.text : "", '\0', value->size) ||
		!amend_utf8_valid(value->as.text, value->size));
}

static bool is_whole(const struct amend_value *value)
{
	size_t digits = 0;

	if (value->kind != AMEND_TEXT)
		return false;
	for (size_t i = 0; i < value->size; i++) {
		if (value->as.text[i] >= '0' && value->as.text[i] <= '9')
			digits++;
		else if (i > 0 || (value->as.text[i] != '-' && value->as.text[i] != '+'))
			return false;
	}
	return digits > 0;
}

/* A bound of a column of numbers that is none: where any value may stand anywhere it would always hold, or never. */
static bool is_bad_bound(const struct amend_canon *item, bool typed, const struct amend_put *puts,
			 size_t n, const struct amend_value *place)
{
	bool numbers = item->column->class_ == AMEND_CLASS_INTEGER ||
		       item->column->class_ == AMEND_CLASS_NUMBER ||
		       item->column->class_ == AMEND_CLASS_REAL;

	if (typed || !numbers || item->out.kind == AMEND_INTEGER || item->out.kind == AMEND_REAL)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (place == &puts[i].min || place == &puts[i].max)
			return true;
	}
	return false;
}

enum amend_status amend_request_canonical(struct amend_conn *db, const struct amend_table *table,
					  const struct amend_value *current, struct amend_put *puts,
					  size_t n, struct amend_arena *arena,
					  struct amend_error *err)
{
	struct amend_canon *items = amend_arena_array(arena, 3 * n, sizeof(*items));
	struct amend_value **places = amend_arena_array(arena, 3 * n, sizeof(struct amend_value *));
	struct amend_column *plain = amend_arena_array(arena, n, sizeof(*plain));
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	enum amend_status status;
	size_t count = 0;

	if (!items || !places || !plain)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		struct amend_value *values[] = {&puts[i].value, &puts[i].min, &puts[i].max};

		/* Amounts and bounds are not values of a domain: they need not keep its rules. */
		plain[i] = table->columns[puts[i].column];
		if (strcmp(plain[i].cast, plain[i].number_cast) != 0) {
			plain[i].type = plain[i].cast = plain[i].number_cast;
			plain[i].type_id = plain[i].number_id;
		}
		for (size_t j = 0; j < 3; j++) {
			if (values[j]->kind == AMEND_NULL ||
			    (j == 0 && puts[i].op == AMEND_SET && current &&
			     amend_value_equal(values[j], &current[puts[i].column])))
				continue;
			if (amend_request_is_no_text(values[j]))
				return amend_error_set(
					err, AMEND_INVALID,
					"%s.%s: expected UTF-8 text without NUL bytes",
					table->qualified, plain[i].name);
			items[count].column = j > 0 || puts[i].op == AMEND_ADD
						      ? &plain[i]
						      : &table->columns[puts[i].column];
			items[count].in = *values[j];
			places[count++] = values[j];
		}
	}
	status = amend_canonicalise(db, items, count, arena, err);
	for (size_t i = 0; i < count && status == AMEND_OK; i++) {
		if (items[i].problem)
			return refuse(table, &items[i], err);
		/* SQLite keeps a whole number beyond 64 bits as a real, without its last digits. */
		if (items[i].out.kind == AMEND_REAL &&
		    items[i].column->class_ != AMEND_CLASS_REAL && is_whole(&items[i].in))
			return amend_error_set(err, AMEND_INVALID,
					       "%s.%s: expected an integer of 64 bits",
					       table->qualified, items[i].column->name);
		*places[i] = items[i].out;
		if (is_bad_bound(&items[i], typed, puts, n, places[i]))
			return amend_error_set(err, AMEND_INVALID,
					       "%s.%s: expected a number as its bound",
					       table->qualified, items[i].column->name);
	}
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		const struct amend_canon item = {.column = &table->columns[puts[i].column],
						 .out = puts[i].value};

		if (puts[i].op == AMEND_ADD)
			status = check_amount(table, &item, typed, err);
	}
	return status;
}

/*
 * One step: a call of amend's about one record, as README.md spells it, and what it came to.
 * Leaves units and waiting to session.c, leases to lease.c, syncs to import.c.
 */
#include "scenario.h"

#include <stdlib.h>

/* A call under construction; its texts live in `line`. */
struct operation {
	struct session *session;
	size_t place; /* of the table */
	const struct amend_table *table;
	char line[512];
	char *words[MAX_WORDS];
	size_t n_words;
	struct amend_field fields[8], originals[8];
	struct amend_match keys[4];
	size_t n_fields, n_keys, n_originals;
	struct amend_assign set[8], on_create[8];
	size_t n_set, n_on_create;
	struct amend_bound bounds[4];
	size_t n_bounds;
	struct amend_value version;
	struct amend_expect expect;
	bool with_token, merge, mandatory;
	struct lease_look lease;
	bool as_shown;
	enum amend_take take;
	struct amend_decision decisions[8]; /* sides of single columns; `set` has the values */
	size_t n_decisions;
	enum amend_wait wait;
	enum amend_strength strength;
	char numbers[8][32]; /* computed values */
	size_t n_numbers;
};

static enum amend_status wrong(struct amend_error *err, const char *word)
{
	return amend_error_set(err, AMEND_INTERNAL, "this step is not understood: %s", word);
}

/* --- What the session saw --- */

static void forget(struct seen *seen)
{
	for (size_t i = 0; i < seen->n; i++)
		free(seen->values[i]);
	free(seen->values);
	free(seen->state);
	free(seen->token);
	*seen = (struct seen){.n = 0};
}

static void remember(struct operation *op, const struct amend_result *result)
{
	struct seen *seen = &op->session->seen[op->place];

	/* A hold gives no token: what was loaded before it is still what a save is based on. */
	if (strcmp(op->words[0], "hold") == 0 && seen->token)
		return;
	forget(seen);
	if (!result->record || result->outcome == AMEND_IS_DELETED)
		return;
	seen->state = facts_state(op->table, result->record);
	seen->token = result->token ? strdup(result->token) : NULL;
	seen->n = op->table->n_columns;
	seen->values = calloc(seen->n, sizeof(*seen->values));
	for (size_t i = 0; i < seen->n; i++) {
		struct amend_buffer text = AMEND_BUFFER_INIT;

		facts_value(&text, &result->record[i]);
		seen->values[i] = result->record[i].kind == AMEND_NULL
					  ? NULL
					  : strdup(amend_buffer_string(&text));
		amend_buffer_release(&text);
	}
}

static const char *saw(const struct operation *op, const char *column)
{
	const struct seen *seen = &op->session->seen[op->place];
	int at = amend_table_column(op->table, column);

	return at >= 0 && (size_t)at < seen->n ? seen->values[at] : NULL;
}

/* --- Words --- */

/* "NULL", "$n+1" (what the session saw, and 1), or text. */
static struct amend_value value_of(struct operation *op, char *text)
{
	char *place = op->numbers[op->n_numbers % COUNT(op->numbers)];
	size_t size;
	const char *base;
	char column[64];

	if (strcmp(text, "NULL") == 0)
		return amend_null();
	if (*text != '$')
		return amend_text(text);
	size = strcspn(text + 1, "+-");
	snprintf(column, sizeof(column), "%.*s", (int)size, text + 1);
	base = saw(op, column);
	op->n_numbers++;
	snprintf(place, sizeof(op->numbers[0]), "%d",
		 (base ? atoi(base) : 0) + atoi(text + 1 + size));
	return amend_text(place);
}

/* "id=1", "remote=7,slug=ada": keys in order; "a=1&b=2": one of two columns. */
static bool take_keys(struct operation *op, char *word)
{
	for (char *key; (key = strsep(&word, ","));) {
		struct amend_match *match = &op->keys[op->n_keys++];

		match->fields = &op->fields[op->n_fields];
		for (char *part; (part = strsep(&key, "&"));) {
			char *equals = strchr(part, '=');

			if (!equals || op->n_fields == COUNT(op->fields))
				return false;
			*equals = '\0';
			op->fields[op->n_fields].column = part;
			op->fields[op->n_fields++].value = value_of(op, equals + 1);
			match->n_fields++;
		}
	}
	return op->n_keys > 0;
}

static void take_bound(struct operation *op, bool min, char *word)
{
	struct amend_bound *bound = &op->bounds[op->n_bounds++];
	char *equals = strchr(word, '=');
	struct amend_value limit;

	*equals = '\0';
	limit = amend_integer(atoi(equals + 1));
	*bound = (struct amend_bound){word, min ? limit : amend_null(), min ? amend_null() : limit};
}

/* "name=Ada", "n+=1", "n-=1". */
static bool take_assignment(struct operation *op, struct amend_assign *assign, char *word)
{
	char *equals = strchr(word, '=');
	bool add = equals && equals > word && equals[-1] == '+';
	bool subtract = equals && equals > word && equals[-1] == '-';

	if (!equals)
		return false;
	*equals = '\0';
	assign->column = word;
	assign->op = AMEND_SET;
	assign->value = add || subtract ? amend_integer(atoi(equals + 1) * (add ? 1 : -1))
					: value_of(op, equals + 1);
	if (!add && !subtract)
		return true;
	equals[-1] = '\0';
	assign->op = AMEND_ADD;
	return true;
}

/* "take:incoming", "take:name=current". */
static bool take_side(struct operation *op, char *word)
{
	static const char *const sides[] = {"current", "incoming", "base"};
	char *equals = strchr(word, '=');
	const char *side = equals ? equals + 1 : word;

	for (size_t i = 0; i < COUNT(sides); i++) {
		enum amend_take take = (enum amend_take)(AMEND_TAKE_CURRENT + i);

		if (strcmp(side, sides[i]) != 0)
			continue;
		if (!equals) {
			op->take = take;
			return true;
		}
		*equals = '\0';
		op->decisions[op->n_decisions++] = (struct amend_decision){.column = word,
									   .take = take};
		return true;
	}
	return false;
}

static bool take_word(struct operation *op, char *word)
{
	const struct seen *seen = &op->session->seen[op->place];

	if (strcmp(word, "nowait") == 0)
		op->wait = AMEND_NOWAIT;
	else if (strcmp(word, "skip") == 0)
		op->wait = AMEND_SKIP_LOCKED;
	else if (strcmp(word, "share") == 0)
		op->strength = AMEND_FOR_SHARE;
	else if (strcmp(word, "merge") == 0)
		op->merge = true;
	else if (strcmp(word, "shown") == 0)
		op->as_shown = true;
	else if (strcmp(word, "mandatory") == 0)
		op->mandatory = true;
	else if (strcmp(word, "leased") == 0)
		op->expect.lease = *op->session->lease ? op->session->lease : NULL;
	else if (strncmp(word, "take:", 5) == 0)
		return take_side(op, word + 5);
	else if (strcmp(word, "seen") == 0) {
		op->with_token = true;
		op->expect.token = seen->token ? seen->token : "none";
	} else if (strcmp(word, "version") == 0) {
		const char *version = saw(op, op->table->columns[op->table->version].name);

		op->version = version ? amend_text(version) : amend_null();
		op->expect.version = &op->version;
	} else if (strncmp(word, "seen:", 5) == 0) {
		const char *value = saw(op, word + 5);

		op->originals[op->n_originals++] = (struct amend_field){word + 5, amend_text(value)};
	} else if (strncmp(word, "min:", 4) == 0)
		take_bound(op, true, word + 4);
	else if (strncmp(word, "max:", 4) == 0)
		take_bound(op, false, word + 4);
	else if (strncmp(word, "new:", 4) == 0)
		return take_assignment(op, &op->on_create[op->n_on_create++], word + 4);
	else
		return take_assignment(op, &op->set[op->n_set++], word);
	return true;
}

static enum amend_status prepare(struct operation *op, const struct step *step,
				 struct amend_error *err)
{
	const struct scenario *scenario = op->session->run->scenario;
	char *rest = op->line;

	snprintf(op->line, sizeof(op->line), "%s", step->text);
	for (char *word; (word = strsep(&rest, " ")) && op->n_words < MAX_WORDS;) {
		if (*word)
			op->words[op->n_words++] = word;
	}
	if (op->n_words < 2)
		return wrong(err, step->text);
	while (op->place < scenario->n_tables &&
	       strcmp(scenario->tables[op->place], op->words[1]) != 0)
		op->place++;
	if (op->place == scenario->n_tables)
		return wrong(err, step->text);
	op->table = op->session->run->tables[op->place];
	if (strcmp(op->words[0], "hold-table") != 0 &&
	    (op->n_words < 3 || !take_keys(op, op->words[2])))
		return wrong(err, step->text);
	for (size_t i = 3; i < op->n_words; i++) {
		if (!take_word(op, op->words[i]))
			return wrong(err, step->text);
	}
	op->expect.originals = op->originals;
	op->expect.n_originals = op->n_originals;
	return AMEND_OK;
}

/* --- What it came to --- */

static void say_record(const struct operation *op, const struct amend_value *record,
		       struct amend_buffer *said)
{
	for (size_t i = 0; record && i < op->table->n_columns; i++) {
		amend_buffer_printf(said, " %s=", op->table->columns[i].name);
		facts_value(said, &record[i]);
	}
}

static void say_changes(const struct amend_result *result, struct amend_buffer *said)
{
	for (size_t i = 0; i < result->n_changes; i++) {
		amend_buffer_printf(said, "%s %s: ", i ? "," : "", result->changes[i].column);
		facts_value(said, &result->changes[i].before);
		amend_buffer_text(said, " -> ");
		facts_value(said, &result->changes[i].after);
	}
}

/* Of the columns that the caller wanted to write: what it had seen, what is there. */
static void say_stale(const struct operation *op, const struct amend_result *result,
		      struct amend_buffer *said)
{
	for (size_t i = 0; i < result->n_incoming; i++) {
		int at = amend_table_column(op->table, result->incoming[i].column);

		amend_buffer_printf(said, " %s: base ", result->incoming[i].column);
		if (result->base)
			facts_value(said, &result->base[at]);
		else
			amend_buffer_text(said, "unknown");
		amend_buffer_text(said, ", current ");
		if (result->record)
			facts_value(said, &result->record[at]);
		else
			amend_buffer_text(said, "none");
		amend_buffer_text(said, ", incoming ");
		facts_value(said, &result->incoming[i].value);
	}
}

static void say(const struct operation *op, enum amend_status status,
		const struct amend_result *result, struct amend_buffer *said)
{
	amend_buffer_text(said, result->outcome == AMEND_IS_NOTHING
					? "failed"
					: amend_outcome_name(result->outcome));
	if (result->outcome == AMEND_IS_NOTHING || result->outcome == AMEND_IS_CONFLICT ||
	    result->outcome == AMEND_IS_REJECTED)
		amend_buffer_printf(said, " %s", amend_status_name(status));
	if (result->outcome == AMEND_IS_FOUND || result->outcome == AMEND_IS_CREATED)
		say_record(op, result->record, said);
	else if (result->outcome == AMEND_IS_UPDATED || result->outcome == AMEND_IS_MERGED)
		say_changes(result, said);
	else if (result->outcome == AMEND_IS_STALE)
		say_stale(op, result, said);
	if (result->by && *result->by)
		amend_buffer_printf(said, ", by %s", result->by);
}

/* --- What it acknowledged --- */

static char *state_before(const struct operation *op, const struct amend_result *result)
{
	struct amend_value *values = calloc(op->table->n_columns, sizeof(*values));
	char *state;

	memcpy(values, result->record, op->table->n_columns * sizeof(*values));
	for (size_t i = 0; i < result->n_changes; i++)
		values[amend_table_column(op->table, result->changes[i].column)] =
			result->changes[i].before;
	state = facts_state(op->table, values);
	free(values);
	return state;
}

static bool adds_to(const struct operation *op, const char *column)
{
	for (size_t i = 0; i < op->n_set; i++) {
		if (strcmp(op->set[i].column, column) == 0)
			return op->set[i].op == AMEND_ADD;
	}
	return false;
}

/* A merge writes on what others have written, but over no field that they have. */
static void check_merged(struct operation *op, const struct step *step,
			 const struct amend_result *result)
{
	for (size_t i = 0; i < result->n_changes; i++) {
		const struct amend_change *change = &result->changes[i];
		struct amend_buffer text = AMEND_BUFFER_INIT;
		const char *loaded = saw(op, change->column);

		facts_value(&text, &change->before);
		if (amend_table_column(op->table, change->column) != op->table->version &&
		    !adds_to(op, change->column) &&
		    strcmp(loaded ? loaded : "NULL", amend_buffer_string(&text)) != 0)
			facts_wrong(&op->session->run->facts,
				    "%s.%s overwrote %s unseen: it had seen %s, wrote on %s",
				    op->session->plan->name, step->name, change->column,
				    loaded ? loaded : "NULL", amend_buffer_string(&text));
		amend_buffer_release(&text);
	}
}

static void acknowledge(struct operation *op, const struct step *step,
			const struct amend_result *result)
{
	struct session *session = op->session;
	const struct seen *seen = &session->seen[op->place];
	bool deleted = result->outcome == AMEND_IS_DELETED;
	char *key, *before, *after;

	if (result->outcome != AMEND_IS_CREATED && result->outcome != AMEND_IS_UPDATED &&
	    result->outcome != AMEND_IS_MERGED && !deleted)
		return;
	key = facts_key(op->table, result->record);
	after = deleted ? strdup(NO_RECORD) : facts_state(op->table, result->record);
	if (deleted)
		before = facts_state(op->table, result->record);
	else if (result->outcome == AMEND_IS_CREATED)
		before = strdup(NO_RECORD);
	else
		before = state_before(op, result);
	if (op->merge)
		check_merged(op, step, result);
	else if (op->with_token && (!seen->state || strcmp(seen->state, before) != 0))
		facts_wrong(&session->run->facts,
			    "%s.%s overwrote unseen: it had seen %s, wrote on %s",
			    session->plan->name, step->name, seen->state ? seen->state : "nothing",
			    before);
	lease_wrote(session, step, key, op->lease, op->expect.lease != NULL);
	facts_edge(&session->pending[session->n_pending++], op->place, key, before, after);
	free(key);
	free(before);
	free(after);
}

/* --- Calls --- */

static enum amend_status write(struct operation *op, enum amend_mode mode,
			       struct amend_result *result, struct amend_error *err)
{
	struct amend_write write = AMEND_WRITE_INIT;

	write.mode = mode;
	write.keys = op->keys, write.n_keys = op->n_keys;
	write.set = op->set, write.n_set = op->n_set;
	write.on_create = op->on_create, write.n_on_create = op->n_on_create;
	write.bounds = op->bounds, write.n_bounds = op->n_bounds;
	write.expect = op->expect;
	write.wait = op->wait;
	write.want_token = true;
	write.merge = op->merge;
	return amend_write(op->session->db, op->table, &write, result, err);
}

static enum amend_status see_version(const struct amend_conflict *conflict, void *context,
				     struct amend_error *err)
{
	struct session *session = context;

	(void)err;
	snprintf(session->version, sizeof(session->version), "%s", conflict->version);
	return AMEND_OK;
}

/* The conflict that the last save left which was not merged. Whoever comes too late is shown it as it is. */
static enum amend_status settle(struct operation *op, struct amend_result *result,
				struct amend_error *err)
{
	const struct amend_conflict_filter filter = {.id = atomic_load(&op->session->run->conflict)};
	struct amend_error ignored;
	enum amend_status status;
	const struct amend_resolution how = {.id = atomic_load(&op->session->run->conflict),
					     .take = op->take,
					     .decisions = op->decisions,
					     .n_decisions = op->n_decisions + op->n_set,
					     .version = op->as_shown ? op->session->version : NULL};

	for (size_t i = 0; i < op->n_set; i++)
		op->decisions[op->n_decisions + i] = (struct amend_decision){
			.column = op->set[i].column, .value = op->set[i].value};
	status = amend_resolve(op->session->db, &how, result, err);
	if (status == AMEND_STALE && amend_conflicts(op->session->db, &filter, see_version,
						     op->session, &ignored) != AMEND_OK)
		return ignored.status;
	return status;
}

static enum amend_status hold_table(struct operation *op, struct amend_result *result,
				    struct amend_error *err)
{
	enum amend_status status = amend_hold_table(op->session->db, op->table, op->strength,
						    op->wait, err);

	if (status == AMEND_OK)
		result->outcome = AMEND_IS_FOUND;
	return status;
}

static enum amend_status call(struct operation *op, struct amend_result *result,
			      struct amend_error *err)
{
	static const struct {
		const char *verb;
		enum amend_mode mode;
	} writes[] = {{"set", AMEND_UPDATE},
		      {"put", AMEND_UPDATE_OR_CREATE},
		      {"find", AMEND_GET_OR_CREATE},
		      {"create", AMEND_CREATE}};
	struct amend_conn *db = op->session->db;
	const char *verb = op->words[0];

	for (size_t i = 0; i < COUNT(writes); i++) {
		if (strcmp(verb, writes[i].verb) == 0)
			return write(op, writes[i].mode, result, err);
	}
	if (strcmp(verb, "get") == 0)
		return amend_get(db, op->table, op->keys, true, result, err);
	if (strcmp(verb, "delete") == 0)
		return amend_delete(db, op->table, op->keys, &op->expect, op->wait, result, err);
	if (strcmp(verb, "hold") == 0)
		return amend_hold(db, op->table, op->keys, op->strength, op->wait, result, err);
	if (strcmp(verb, "settle") == 0)
		return settle(op, result, err);
	if (strcmp(verb, "hold-table") != 0)
		return wrong(err, verb);
	return hold_table(op, result, err);
}

enum amend_status operation_run(struct session *session, const struct step *step,
				struct amend_buffer *said, struct amend_error *err)
{
	struct operation *op;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;

	if (import_is(step))
		return import_run(session, step, said, err);
	op = calloc(1, sizeof(*op));
	op->session = session;
	op->lease = lease_before(session);
	status = prepare(op, step, err);
	if (status == AMEND_OK && lease_is(op->words[0])) {
		const struct amend_lease_name name = {.table = op->table, .key = op->keys};

		status = lease_run(session, op->words[0], &name, op->mandatory, said, err);
		goto out;
	}
	if (status == AMEND_OK)
		status = call(op, &result, err);
	if (result.conflict)
		atomic_store(&session->run->conflict, result.conflict);
	if (status == AMEND_INTERNAL)
		facts_wrong(&session->run->facts, "%s.%s: %s", session->plan->name, step->name,
			    err->text);
	else
		say(op, status, &result, said);
	if (status == AMEND_OK) {
		acknowledge(op, step, &result);
		remember(op, &result);
	}
out:
	amend_result_release(&result);
	free(op);
	return status;
}

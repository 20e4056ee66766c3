/*
 * A step that is a sync of a few records, and what it says it has changed, for the chain of writes.
 * Leaves the chain to facts.c.
 */
#include "scenario.h"

#include <stdlib.h>

#include "sync/source.h"

/* A sync under construction; its texts live in `line`. */
struct import {
	struct session *session;
	const struct step *step;
	size_t place; /* of the table */
	const struct amend_table *table;
	char line[512];
	struct amend_buffer csv;
	struct amend_sync_options options;
	const char *match[1];
	struct lease_look before;
};

static enum amend_status not_understood(struct import *import, struct amend_error *err)
{
	return amend_error_set(err, AMEND_INTERNAL, "this step is not understood: %s",
			       import->step->text);
}

/* "adopt:incoming", "take:current", "missing:delete", "atomic". */
static bool take_option(struct import *import, const char *word)
{
	struct amend_sync_options *options = &import->options;

	if (strcmp(word, "adopt:incoming") == 0)
		options->adopt = AMEND_ADOPT_INCOMING;
	else if (strcmp(word, "adopt:current") == 0)
		options->adopt = AMEND_ADOPT_CURRENT;
	else if (strcmp(word, "take:incoming") == 0)
		options->on_conflict = AMEND_POLICY_INCOMING;
	else if (strcmp(word, "take:current") == 0)
		options->on_conflict = AMEND_POLICY_CURRENT;
	else if (strcmp(word, "missing:delete") == 0)
		options->missing = AMEND_MISSING_DELETE;
	else if (strcmp(word, "atomic") == 0)
		options->atomic = true;
	else if (strcmp(word, "skip") == 0)
		options->skip_locked = true;
	else
		return false;
	return true;
}

/* "sync TABLE HEADER RECORD ...": the key comes first. */
static enum amend_status prepare(struct import *import, struct amend_error *err)
{
	const struct scenario *scenario = import->session->run->scenario;
	char *rest = import->line, *header = NULL;
	size_t n = 0;

	snprintf(import->line, sizeof(import->line), "%s", import->step->text);
	for (char *word; (word = strsep(&rest, " ")); n++) {
		if (n == 0 || !*word || (n > 2 && take_option(import, word)))
			continue;
		if (n == 1) {
			while (import->place < scenario->n_tables &&
			       strcmp(scenario->tables[import->place], word) != 0)
				import->place++;
			continue;
		}
		amend_buffer_printf(&import->csv, "%s\n", word);
		header = header ? header : word;
	}
	if (!header || import->place == scenario->n_tables)
		return not_understood(import, err);
	import->table = import->session->run->tables[import->place];
	header[strcspn(header, ",")] = '\0';
	import->match[0] = header;
	import->options.match = import->match, import->options.n_match = 1;
	import->options.max_missing = -1;
	return AMEND_OK;
}

/* --- What it says it has changed --- */

static const struct amend_value *value_in(const struct amend_sync_change *change,
					  const char *column, bool after)
{
	for (size_t i = 0; i < change->n_fields; i++) {
		if (strcmp(change->fields[i].column, column) == 0)
			return after ? &change->fields[i].incoming : &change->fields[i].current;
	}
	for (size_t i = 0; i < change->n_key; i++) {
		if (strcmp(change->key[i].column, column) == 0)
			return &change->key[i].value;
	}
	return NULL;
}

/* A state of which only some columns are known. */
static void put_state(const struct import *import, const struct amend_sync_change *change,
		      bool after, struct amend_buffer *out)
{
	for (size_t i = 0; i < import->table->n_columns; i++) {
		const struct amend_value *value = value_in(change, import->table->columns[i].name,
							   after);

		if (i > 0)
			amend_buffer_char(out, '|');
		if (value)
			facts_value(out, value);
		else
			amend_buffer_text(out, UNTOLD);
	}
}

/* Of what is deleted, and of what is created, one side has it. */
static void put_key(const struct amend_table *table, const struct amend_sync_change *change,
		    struct amend_buffer *out)
{
	for (size_t i = 0; i < table->n_identity; i++) {
		const char *column = table->columns[table->identity[i]].name;
		const struct amend_value *value = value_in(change, column, true);

		if (!value || value->kind == AMEND_NULL)
			value = value_in(change, column, false);
		if (i > 0)
			amend_buffer_char(out, '|');
		if (value)
			facts_value(out, value);
	}
}

/* What the file's line of that key says of the column, which its header names; nothing: `out` stays. */
static void said_of(const char *csv, const char *key, const char *column, char *out, size_t size)
{
	const char *header = csv;
	size_t at = 0, n = strlen(key);

	while (strncmp(header, column, strlen(column)) != 0 ||
	       !strchr(",\n", header[strlen(column)])) {
		header += strcspn(header, ",\n");
		if (*header++ != ',')
			return;
		at++;
	}
	for (csv += strcspn(csv, "\n"); *csv; csv += strcspn(csv, "\n")) {
		csv++;
		if (strncmp(csv, key, n) != 0 || csv[n] != ',')
			continue;
		for (; at > 0; at--)
			csv += strcspn(csv, ",\n") + 1;
		snprintf(out, size, "%.*s", (int)strcspn(csv, ",\n"), csv);
		return;
	}
}

/* What is written over is what this source said the last time, or NULL: what anybody else wrote meanwhile stays, or is asked about. */
static void check_seen(const struct import *import, const struct amend_sync_change *change)
{
	const struct session *session = import->session;
	struct amend_buffer key = AMEND_BUFFER_INIT;

	if (session->n_imports != 1 || import->options.on_conflict != AMEND_POLICY_STORE)
		return;
	facts_value(&key, &change->key[0].value);
	for (size_t i = 0; i < change->n_fields; i++) {
		struct amend_buffer current = AMEND_BUFFER_INIT;
		char told[64] = "NULL"; /* what it says for the first time fills in */

		facts_value(&current, &change->fields[i].current);
		said_of(session->imported, amend_buffer_string(&key), change->fields[i].column,
			told, sizeof(told));
		if (strcmp(told, amend_buffer_string(&current)) != 0)
			facts_wrong(
				&session->run->facts,
				"%s.%s overwrote %s unseen: its source had said %s, it wrote on %s",
				session->plan->name, import->step->name, change->fields[i].column,
				told, amend_buffer_string(&current));
		amend_buffer_release(&current);
	}
	amend_buffer_release(&key);
}

static void on_change(void *context, const struct amend_sync_change *change)
{
	struct import *import = context;
	struct session *session = import->session;
	const struct amend_table *table = import->table;
	struct amend_buffer key = AMEND_BUFFER_INIT, before = AMEND_BUFFER_INIT,
			    after = AMEND_BUFFER_INIT;

	if (strcmp(change->op, "conflict") == 0)
		return;
	put_key(table, change, &key);
	if (strcmp(change->op, "create") == 0)
		amend_buffer_text(&before, NO_RECORD);
	else
		put_state(import, change, false, &before);
	if (strcmp(change->op, "delete") == 0)
		amend_buffer_text(&after, NO_RECORD);
	else
		put_state(import, change, true, &after);
	lease_wrote(session, import->step, amend_buffer_string(&key), import->before, false);
	if (strcmp(change->op, "update") == 0)
		check_seen(import, change);
	if (session->n_pending < MAX_EDGES)
		facts_edge(&session->pending[session->n_pending++], import->place,
			   amend_buffer_string(&key), amend_buffer_string(&before),
			   amend_buffer_string(&after));
	amend_buffer_release(&key);
	amend_buffer_release(&before);
	amend_buffer_release(&after);
}

static void say_report(enum amend_status status, const struct amend_sync_report *report,
		       struct amend_buffer *said)
{
	const struct {
		const char *name;
		uint64_t n;
	} counts[] = {
		{"created", report->created},
		{"updated", report->updated},
		{"merged", report->merged},
		{"kept", report->kept},
		{"unchanged", report->unchanged},
		{"conflicts", report->conflicts},
		{"skipped", report->skipped},
		{"rejected", report->rejected},
		{"deleted", report->deleted},
		{"missing conflicts", report->missing_conflicts},
		{"missing skipped", report->missing_skipped},
	};

	amend_buffer_text(said, status == AMEND_OK ? "synced" : "failed ");
	if (status != AMEND_OK)
		amend_buffer_text(said, amend_status_name(status));
	for (size_t i = 0; i < COUNT(counts); i++) {
		if (counts[i].n > 0)
			amend_buffer_printf(said, ", %s %llu", counts[i].name,
					    (unsigned long long)counts[i].n);
	}
}

bool import_is(const struct step *step)
{
	return strncmp(step->text, "sync ", 5) == 0;
}

enum amend_status import_run(struct session *session, const struct step *step,
			     struct amend_buffer *said, struct amend_error *err)
{
	struct import import = {.session = session, .step = step, .csv = AMEND_BUFFER_INIT};
	struct amend_source_options format = AMEND_SOURCE_OPTIONS_INIT;
	struct amend_sync_report report = {.read = 0};
	struct amend_source *source = NULL;
	enum amend_status status;

	import.options = (struct amend_sync_options)AMEND_SYNC_OPTIONS_INIT;
	import.options.source_name = session->plan->name;
	import.options.on_change = on_change;
	import.options.context = &import;
	import.before = lease_before(session);
	format.format = AMEND_FORMAT_CSV;
	status = prepare(&import, err);
	if (status == AMEND_OK)
		status = amend_source_new(
			amend_input_memory(amend_buffer_string(&import.csv), import.csv.size),
			"import.csv", &format, &source, err);
	if (status == AMEND_OK)
		status = amend_sync(session->db, source,
				    session->run->scenario->tables[import.place], &import.options,
				    &report, err);
	if (status == AMEND_INTERNAL || status == AMEND_INVALID)
		facts_wrong(&session->run->facts, "%s.%s: %s", session->plan->name, step->name,
			    err->text);
	if (status == AMEND_OK && session->n_imports++ == 0)
		snprintf(session->imported, sizeof(session->imported), "%s",
			 amend_buffer_string(&import.csv));
	say_report(status, &report, said);
	amend_source_close(source);
	amend_sync_report_release(&report);
	amend_buffer_release(&import.csv);
	return status;
}

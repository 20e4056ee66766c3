/*
 * Which entries of history are asked for: whose, of when, with what text.
 * Leaves reading and showing them to history.c.
 */
#include <string.h>

#include "core/json_text.h"
#include "record/history.h"

#include <amend/history.h>

/* The whole of a time that is given in part: its first or its last microsecond, as digits compare. */
static void whole_time(const char *part, const char *pattern, char out[AMEND_MOMENT_TIME])
{
	size_t n = strlen(part);

	memcpy(out, pattern, AMEND_MOMENT_TIME);
	memcpy(out, part, n < AMEND_MOMENT_TIME ? n : AMEND_MOMENT_TIME - 1);
}

static const char first_time[AMEND_MOMENT_TIME] = "0000-00-00 00:00:00.000000";
static const char last_time[AMEND_MOMENT_TIME] = "9999-99-99 99:99:99.999999";

static void add_moment(struct amend_sql *sql, const struct amend_moment *moment, bool since)
{
	char time[AMEND_MOMENT_TIME];
	struct amend_buffer text = AMEND_BUFFER_INIT;

	switch (moment->kind) {
	case AMEND_NOW:
		return;
	case AMEND_AT_REVISION:
	case AMEND_BEFORE_REVISION:
		amend_sql_text(sql, since ? " AND c.revision >= " : " AND c.revision <= ");
		amend_sql_integer(sql, moment->revision - (moment->kind == AMEND_BEFORE_REVISION));
		return;
	case AMEND_AT_TIME:
		whole_time(moment->time, since ? first_time : last_time, time);
		amend_buffer_text(&text, time);
		/* Of one shape, so that any collation puts them in the order of their digits. */
		amend_sql_text(sql, since ? " AND r.at >= " : " AND r.at <= ");
		amend_sql_kept(sql, &text);
		amend_buffer_release(&text);
		return;
	}
}

static void add_text(struct amend_sql *sql, const char *column, const struct amend_buffer *text)
{
	amend_sql_text(sql, "replace(");
	amend_sql_text(sql, column);
	amend_sql_text(sql, ", ");
	amend_sql_kept(sql, text);
	amend_sql_text(sql, ", '') <> ");
	amend_sql_text(sql, column);
}

/* What holds it may hold it in a name or between two values as well: amend_history_fits looks closer. */
static void add_texts(struct amend_sql *sql, const char *wanted)
{
	struct amend_buffer plain = AMEND_BUFFER_INIT, json = AMEND_BUFFER_INIT;
	struct amend_buffer inner = AMEND_BUFFER_INIT;

	amend_buffer_text(&plain, wanted);
	amend_json_string(&json, wanted, strlen(wanted));
	if (!json.failed && json.size > 2)
		amend_buffer_add(&inner, json.data + 1, json.size - 2);
	amend_sql_text(sql, " AND (");
	add_text(sql, "r.why", &plain);
	amend_sql_text(sql, " OR ");
	add_text(sql, "c.pk", &inner);
	amend_sql_text(sql, " OR ");
	add_text(sql, "c.fields", &inner);
	amend_sql_text(sql, ")");
	amend_buffer_release(&plain);
	amend_buffer_release(&json);
	amend_buffer_release(&inner);
}

void amend_history_where(struct amend_sql *sql, const struct amend_log_filter *filter)
{
	if (filter->table) {
		amend_sql_text(sql, " AND c.tbl = ");
		amend_sql_string(sql, filter->table->qualified);
	}
	if (filter->revision) {
		amend_sql_text(sql, " AND c.revision = ");
		amend_sql_integer(sql, filter->revision);
	}
	if (filter->run) {
		amend_sql_text(sql, " AND r.run = ");
		amend_sql_integer(sql, filter->run);
	}
	if (filter->by) {
		amend_sql_text(sql, " AND r.who = ");
		amend_sql_string(sql, filter->by);
	}
	if (filter->since)
		add_moment(sql, filter->since, true);
	if (filter->until)
		add_moment(sql, filter->until, false);
	if (filter->text && *filter->text)
		add_texts(sql, filter->text);
}

static bool in_time(const struct amend_moment *moment, const struct amend_history *entry, bool since)
{
	char time[AMEND_MOMENT_TIME];
	int64_t revision = moment->revision - (moment->kind == AMEND_BEFORE_REVISION);

	switch (moment->kind) {
	case AMEND_NOW:
		return true;
	case AMEND_AT_REVISION:
	case AMEND_BEFORE_REVISION:
		return since ? entry->revision >= revision : entry->revision <= revision;
	case AMEND_AT_TIME:
		whole_time(moment->time, since ? first_time : last_time, time);
		return since ? strcmp(entry->at, time) >= 0 : strcmp(entry->at, time) <= 0;
	}
	return true;
}

/* In a text its bytes, in anything else as history spells it. */
static bool value_has(const struct amend_value *value, const char *wanted)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	bool has;

	if (value->kind == AMEND_NULL)
		return false;
	if (value->kind == AMEND_TEXT)
		return memmem(value->size ? value->as.text : "", value->size, wanted,
			      strlen(wanted)) != NULL;
	amend_json_value(&text, value, AMEND_CLASS_ANY);
	has = !text.failed && strstr(text.data, wanted);
	amend_buffer_release(&text);
	return has;
}

bool amend_history_fits(const struct amend_log_filter *filter, const struct amend_history *entry,
			const struct amend_field *key, size_t n_key)
{
	bool has = !filter->text || !*filter->text || strstr(entry->why, filter->text);

	for (size_t i = 0; i < n_key && !has; i++)
		has = value_has(&key[i].value, filter->text);
	for (size_t i = 0; i < entry->n_changes && !has; i++)
		has = value_has(&entry->changes[i].before, filter->text) ||
		      value_has(&entry->changes[i].after, filter->text);
	return has && (!filter->by || strcmp(entry->who, filter->by) == 0) &&
	       (!filter->run || entry->run == filter->run) &&
	       (!filter->since || in_time(filter->since, entry, true)) &&
	       (!filter->until || in_time(filter->until, entry, false));
}

/*
 * The lines of a plan: a header, one for each record that something is to be done
 * about, in the order of writing, and one that proves the rest to be whole.
 * Leaves what is to be done to decide.c, where the lines go to the caller.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/json_text.h"
#include "sync/plan.h"

struct amend_plan_writer {
	struct amend_sync *sync;
	struct amend_buffer line;
	struct amend_hasher *hasher;
	uint64_t n;
};

static void add_name(struct amend_buffer *line, const char *name)
{
	amend_json_string(line, name, strlen(name));
	amend_buffer_char(line, ':');
}

static void add_string(struct amend_buffer *line, const char *name, const char *text)
{
	add_name(line, name);
	amend_json_string(line, text, strlen(text));
}

static void add_digest(struct amend_buffer *line, const unsigned char digest[AMEND_DIGEST_SIZE])
{
	char hex[AMEND_DIGEST_HEX];

	amend_digest_hex(digest, hex);
	add_string(line, "digest", hex);
}

/* Of a base's pack, in full: the ledger keeps the first half. */
static void add_base_digest(struct amend_buffer *line, const struct amend_base *base)
{
	unsigned char digest[AMEND_DIGEST_SIZE];

	amend_digest(base->pack, base->pack_size, digest);
	add_digest(line, digest);
}

/* `"name":value` of a table's column. */
static void add_value(const struct amend_plan_writer *writer, struct amend_buffer *line,
		      uint32_t column, const struct amend_value *value)
{
	const struct amend_column *described = &writer->sync->table->columns[column];

	add_name(line, described->name);
	amend_json_value(line, value, described->class_);
}

/* Hands the line over. All that stands before the seal is under it. */
static enum amend_status emit(struct amend_plan_writer *writer, struct amend_error *err)
{
	const struct amend_sync_options *options = writer->sync->options;

	if (writer->line.failed)
		return amend_no_memory(err);
	amend_hasher_add(writer->hasher, writer->line.data, writer->line.size);
	return options->on_plan(options->context, writer->line.data, writer->line.size, err);
}

/* ---- the header ---- */

static void add_input(struct amend_plan_writer *writer)
{
	const struct amend_source *source = writer->sync->source;
	unsigned char digest[AMEND_DIGEST_SIZE];
	char hex[AMEND_DIGEST_HEX];
	uint64_t size;

	amend_buffer_text(&writer->line, ",\"input\":{");
	/* The address of a remote source may hold a secret. */
	if (!strstr(source->path, "://")) {
		add_string(&writer->line, "name", source->path);
		amend_buffer_char(&writer->line, ',');
	}
	amend_source_digest(source, &size, digest);
	amend_digest_hex(digest, hex);
	amend_buffer_printf(&writer->line, "\"bytes\":%llu,", (unsigned long long)size);
	add_string(&writer->line, "blake2b", hex);
	if (source->numbers_records)
		amend_buffer_text(&writer->line, ",\"numbered\":true");
	amend_buffer_printf(&writer->line, ",\"records\":%llu}",
			    (unsigned long long)writer->sync->store.n);
}

static void add_columns(struct amend_plan_writer *writer)
{
	const struct amend_sync *sync = writer->sync;

	amend_buffer_text(&writer->line, ",\"columns\":[");
	for (uint32_t u = 0; u < sync->n_used; u++) {
		const struct amend_used *used = &sync->used[u];
		const struct amend_column *column = &sync->table->columns[used->column];

		amend_buffer_text(&writer->line, u ? ",{" : "{");
		add_string(&writer->line, "name", column->name);
		amend_buffer_char(&writer->line, ',');
		add_string(&writer->line, "type", column->type);
		amend_buffer_printf(&writer->line, ",\"key\":%s,\"update\":%s}",
				    used->key ? "true" : "false", used->update ? "true" : "false");
	}
	amend_buffer_text(&writer->line, "],\"match\":[");
	for (uint32_t k = 0; k < sync->n_keys; k++) {
		amend_buffer_text(&writer->line, k ? "," : "");
		amend_json_string(&writer->line, sync->keys[k].name, strlen(sync->keys[k].name));
	}
	amend_buffer_char(&writer->line, ']');
}

/* What was chosen, for whoever reads it: the entries hold what follows from it. */
static void add_choices(struct amend_plan_writer *writer)
{
	static const char *const policies[] = {"store", "incoming", "current"};
	static const char *const adoptions[] = {NULL, "incoming", "current", "conflict"};
	static const char *const duplicates[] = {"reject", "first", "last"};
	static const char *const missing[] = {"keep", "delete", "mark"};
	const struct amend_sync_options *options = writer->sync->options;

	amend_buffer_text(&writer->line, ",\"options\":{");
	add_string(&writer->line, "on_conflict", policies[options->on_conflict]);
	if (adoptions[options->adopt]) {
		amend_buffer_char(&writer->line, ',');
		add_string(&writer->line, "adopt", adoptions[options->adopt]);
	}
	amend_buffer_char(&writer->line, ',');
	add_string(&writer->line, "duplicates", duplicates[options->duplicates]);
	amend_buffer_char(&writer->line, ',');
	add_string(&writer->line, "missing", missing[options->missing]);
	amend_buffer_printf(&writer->line, ",\"create_only\":%s,\"update_only\":%s}",
			    options->create_only ? "true" : "false",
			    options->update_only ? "true" : "false");
}

static enum amend_status write_header(struct amend_plan_writer *writer, struct amend_error *err)
{
	const struct amend_sync *sync = writer->sync;
	time_t now = (time_t)amend_clock_now();
	struct tm utc;
	char at[32];

	gmtime_r(&now, &utc);
	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &utc);
	amend_buffer_reset(&writer->line);
	amend_buffer_printf(&writer->line, "{\"amend_plan\":%d,", AMEND_PLAN_FORMAT);
	add_string(&writer->line, "table", sync->table->qualified);
	amend_buffer_char(&writer->line, ',');
	add_string(&writer->line, "engine", amend_engine(sync->db));
	amend_buffer_char(&writer->line, ',');
	add_string(&writer->line, "source", sync->source_name);
	add_input(writer);
	add_columns(writer);
	add_choices(writer);
	amend_buffer_char(&writer->line, ',');
	add_string(&writer->line, "at", at);
	amend_buffer_char(&writer->line, ',');
	add_string(&writer->line, "who", amend_author_who(sync->db));
	if (*amend_author_why(sync->db)) {
		amend_buffer_char(&writer->line, ',');
		add_string(&writer->line, "why", amend_author_why(sync->db));
	}
	amend_buffer_text(&writer->line, "}\n");
	return emit(writer, err);
}

/* ---- an entry ---- */

static const char *op_of(const struct amend_action *action)
{
	if (action->create)
		return "create";
	if (action->remove)
		return "delete";
	if (action->n_puts)
		return "update";
	if (action->conflict)
		return "conflict";
	return action->drop_base ? "forget" : "remember";
}

/* What the input lacks has no key of its own: it is named as its base, or as the conflict about it. */
static void add_missing(struct amend_plan_writer *writer, const struct amend_record *record)
{
	amend_buffer_printf(&writer->line, ",\"missing\":true,\"key\":%s,",
			    *record->key ? record->key : "{}");
	add_string(&writer->line, "name", record->key);
	if (record->action->spared)
		amend_buffer_text(&writer->line, ",\"spared\":true");
}

static void add_keys(struct amend_plan_writer *writer, const struct amend_record *record)
{
	const struct amend_sync *sync = writer->sync;
	bool first = true;

	amend_buffer_printf(&writer->line, ",\"key\":%s", record->key);
	if (sync->n_keys == 1)
		return;
	amend_buffer_text(&writer->line, ",\"keys\":{");
	for (uint32_t u = 0; u < sync->n_used; u++) {
		if (!sync->used[u].key)
			continue;
		amend_buffer_text(&writer->line, first ? "" : ",");
		add_value(writer, &writer->line, sync->used[u].column, &record->values[u]);
		first = false;
	}
	amend_buffer_text(&writer->line, "}");
}

static void add_missed(struct amend_plan_writer *writer, const struct amend_record *record)
{
	const struct amend_sync *sync = writer->sync;
	bool first = true;

	if (!record->missed)
		return;
	amend_buffer_text(&writer->line, ",\"missed\":[");
	for (uint32_t k = 0; k < sync->n_keys; k++) {
		if (!(record->missed & (uint32_t)1 << k))
			continue;
		amend_buffer_text(&writer->line, first ? "" : ",");
		amend_json_string(&writer->line, sync->keys[k].name, strlen(sync->keys[k].name));
		first = false;
	}
	amend_buffer_char(&writer->line, ']');
}

static const struct amend_put *put_of(const struct amend_action *action, uint32_t column)
{
	for (size_t i = 0; i < action->n_puts; i++) {
		if (action->puts[i].column == column)
			return &action->puts[i];
	}
	return NULL;
}

/* The used columns that are not written: with the old values of those that are, what the entry is bound to. */
static void add_row(struct amend_plan_writer *writer, const struct amend_row *row,
		    const struct amend_action *action)
{
	const struct amend_sync *sync = writer->sync;
	bool first = true;

	amend_buffer_printf(&writer->line, "\"pk\":%s,\"row\":{", row->pk);
	for (uint32_t u = 0; u < sync->n_used; u++) {
		uint32_t column = sync->used[u].column;

		if (action && put_of(action, column))
			continue;
		amend_buffer_text(&writer->line, first ? "" : ",");
		add_value(writer, &writer->line, column, &row->values[column]);
		first = false;
	}
	amend_buffer_char(&writer->line, '}');
}

/* Of a deletion all of it; else what was compared, with this input or another. */
static void add_missing_row(struct amend_plan_writer *writer, const struct amend_record *record)
{
	const struct amend_sync *sync = writer->sync;
	const struct amend_action *action = record->action;
	const struct amend_base *seen = record->seen;
	struct amend_value ignored;
	bool first = true;

	amend_buffer_printf(&writer->line, "\"pk\":%s,\"row\":{", record->row->pk);
	for (uint32_t c = 0; c < sync->table->n_columns; c++) {
		if (put_of(action, c) || (!action->remove && sync->used_of[c] < 0 &&
					  !amend_pack_find(seen->pack, seen->pack_size,
							   sync->table->columns[c].name, &ignored)))
			continue;
		amend_buffer_text(&writer->line, first ? "" : ",");
		add_value(writer, &writer->line, c, &record->row->values[c]);
		first = false;
	}
	amend_buffer_char(&writer->line, '}');
}

static void add_fields(struct amend_plan_writer *writer, const struct amend_record *record)
{
	const struct amend_sync *sync = writer->sync;
	const struct amend_action *action = record->action;

	if (action->n_puts == 0)
		return;
	amend_buffer_text(&writer->line, ",\"fields\":{");
	for (size_t i = 0; i < action->n_puts; i++) {
		const struct amend_put *put = &action->puts[i];
		const struct amend_column *column = &sync->table->columns[put->column];

		amend_buffer_text(&writer->line, i ? "," : "");
		add_name(&writer->line, column->name);
		amend_buffer_char(&writer->line, '{');
		if (!action->create) {
			amend_buffer_text(&writer->line, "\"old\":");
			amend_json_value(&writer->line, &record->row->values[put->column],
					 column->class_);
			amend_buffer_char(&writer->line, ',');
		}
		amend_buffer_text(&writer->line, "\"new\":");
		amend_json_value(&writer->line, &put->value, column->class_);
		amend_buffer_char(&writer->line, '}');
	}
	amend_buffer_char(&writer->line, '}');
}

/* What the base says from now on, where that is not what it said. */
static void add_base_fields(struct amend_plan_writer *writer, const struct amend_record *record)
{
	const struct amend_sync *sync = writer->sync;
	const struct amend_base *old = record->based ? record->seen : NULL;
	const struct amend_base *base = &record->action->base;
	struct amend_value was, is;
	bool first = true;

	amend_buffer_text(&writer->line, ",\"fields\":{");
	for (size_t c = 0; c < sync->table->n_columns; c++) {
		const char *name = sync->table->columns[c].name;

		if (!amend_pack_find(base->pack, base->pack_size, name, &is) ||
		    (old && amend_pack_find(old->pack, old->pack_size, name, &was) &&
		     amend_value_equal(&was, &is)))
			continue;
		amend_buffer_text(&writer->line, first ? "" : ",");
		add_value(writer, &writer->line, (uint32_t)c, &is);
		first = false;
	}
	amend_buffer_char(&writer->line, '}');
	if (old)
		amend_buffer_text(&writer->line, ",\"over\":true");
	if (record->fate == AMEND_FATE_MISSING)
		amend_buffer_text(&writer->line, ",\"marks\":true");
	if (amend_pack_find(base->pack, base->pack_size, AMEND_BASE_TIED, &is)) {
		amend_buffer_text(&writer->line, ",\"tied\":");
		amend_json_value(&writer->line, &is, AMEND_CLASS_TEXT);
	}
}

static void add_base(struct amend_plan_writer *writer, const struct amend_record *record)
{
	const struct amend_base *seen = record->seen;

	amend_buffer_text(&writer->line, ",\"base\":{\"before\":");
	if (seen) {
		amend_buffer_char(&writer->line, '{');
		add_string(&writer->line, "pk", seen->pk);
		amend_buffer_char(&writer->line, ',');
		add_string(&writer->line, "key", seen->first_key);
		amend_buffer_char(&writer->line, ',');
		add_base_digest(&writer->line, seen);
		amend_buffer_char(&writer->line, '}');
	} else {
		amend_buffer_text(&writer->line, "null");
	}
	if (record->action->drop_base) {
		amend_buffer_text(&writer->line, ",\"after\":null");
	} else if (record->action->write_base) {
		amend_buffer_text(&writer->line, ",\"after\":{");
		add_base_digest(&writer->line, &record->action->base);
		add_base_fields(writer, record);
		amend_buffer_char(&writer->line, '}');
	}
	amend_buffer_char(&writer->line, '}');
}

static void add_sides(struct amend_plan_writer *writer, const struct amend_conflict_spec *spec)
{
	amend_buffer_text(&writer->line, ",\"fields\":{");
	for (size_t i = 0; i < spec->n_fields; i++) {
		const struct amend_conflict_field *field = &spec->fields[i];
		int at = amend_table_column(spec->table, field->column);
		enum amend_class class_ = at < 0 ? AMEND_CLASS_TEXT
						 : spec->table->columns[at].class_;

		amend_buffer_text(&writer->line, i ? "," : "");
		add_name(&writer->line, field->column);
		amend_buffer_char(&writer->line, '{');
		if (field->has_base) {
			amend_buffer_text(&writer->line, "\"base\":");
			amend_json_value(&writer->line, &field->base, class_);
			amend_buffer_char(&writer->line, ',');
		}
		amend_buffer_text(&writer->line, "\"current\":");
		amend_json_value(&writer->line, &field->current, class_);
		amend_buffer_text(&writer->line, ",\"incoming\":");
		amend_json_value(&writer->line, &field->incoming, class_);
		amend_buffer_char(&writer->line, '}');
	}
	amend_buffer_char(&writer->line, '}');
}

enum amend_status amend_plan_conflict_digest(enum amend_conflict_kind kind, const char *pk,
					     const char *first_key, const char *note,
					     const struct amend_conflict_field *fields,
					     size_t n_fields,
					     unsigned char digest[AMEND_DIGEST_SIZE],
					     struct amend_error *err)
{
	const struct amend_value texts[] = {amend_integer(kind), amend_text(pk),
					    amend_text(first_key), amend_text(note ? note : "")};
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		amend_pack_add(&pack, "", &texts[i]);
	for (size_t i = 0; i < n_fields; i++) {
		const struct amend_conflict_field *field = &fields[i];

		amend_pack_add(&pack, field->column, &field->current);
		amend_pack_add(&pack, field->has_base ? "b" : "n", &field->incoming);
		if (field->has_base)
			amend_pack_add(&pack, "", &field->base);
	}
	if (pack.failed)
		status = amend_no_memory(err);
	else
		amend_digest(pack.data, pack.size, digest);
	amend_buffer_release(&pack);
	return status;
}

static enum amend_status add_conflict(struct amend_plan_writer *writer,
				      const struct amend_record *record, struct amend_error *err)
{
	const struct amend_action *action = record->action;
	const struct amend_conflict_row *open = record->open;
	unsigned char digest[AMEND_DIGEST_SIZE];
	enum amend_status status;

	if (action->conflict) {
		const struct amend_conflict_spec *spec = action->conflict;

		amend_buffer_text(&writer->line, ",\"conflict\":{");
		add_string(&writer->line, "kind", amend_conflict_kind_name(spec->kind));
		amend_buffer_printf(&writer->line, ",\"new\":%s,\"store\":%s,",
				    action->is_new ? "true" : "false",
				    action->store ? "true" : "false");
		add_string(&writer->line, "note", spec->note ? spec->note : "");
		add_sides(writer, spec);
		amend_buffer_char(&writer->line, '}');
	}
	if (action->settled)
		amend_buffer_text(&writer->line, ",\"settled\":true");
	if (action->end) {
		amend_buffer_char(&writer->line, ',');
		add_string(&writer->line, "end", action->end);
		amend_buffer_char(&writer->line, ',');
		add_string(&writer->line, "how", action->how ? action->how : "");
	}
	if (!open)
		return AMEND_OK;
	status = amend_plan_conflict_digest(open->kind, open->pk, open->first_key, open->note,
					    open->fields, open->n_fields, digest, err);
	if (status != AMEND_OK)
		return status;
	amend_buffer_printf(&writer->line, ",\"open\":{\"id\":%lld,", (long long)open->id);
	add_digest(&writer->line, digest);
	amend_buffer_char(&writer->line, '}');
	return AMEND_OK;
}

static const char *fate_name(enum amend_fate fate)
{
	switch (fate) {
	case AMEND_FATE_CREATED:
		return "created";
	case AMEND_FATE_UPDATED:
		return "updated";
	case AMEND_FATE_MERGED:
		return "merged";
	case AMEND_FATE_KEPT:
		return "kept";
	case AMEND_FATE_CONFLICT:
		return "conflicts";
	case AMEND_FATE_MISSING:
		return "missing";
	case AMEND_FATE_OPEN:
	case AMEND_FATE_UNCHANGED:
	case AMEND_FATE_SKIPPED:
	case AMEND_FATE_REJECTED:
	case AMEND_FATE_DUPLICATE:
	case AMEND_FATE_STALE:
		break;
	}
	return "unchanged";
}

static enum amend_status write_entry(struct amend_plan_writer *writer,
				     const struct amend_record *record, struct amend_error *err)
{
	const struct amend_action *action = record->action;
	bool missing = record->fate == AMEND_FATE_MISSING;
	enum amend_status status;

	amend_buffer_reset(&writer->line);
	amend_buffer_char(&writer->line, '{');
	add_string(&writer->line, "op", op_of(action));
	amend_buffer_printf(&writer->line, ",\"line\":%lld,",
			    record->line > 0 ? (long long)record->line : 0);
	add_string(&writer->line, "counts", fate_name((enum amend_fate)record->fate));
	if (missing)
		add_missing(writer, record);
	else
		add_keys(writer, record);
	add_fields(writer, record);
	if (record->row) {
		amend_buffer_char(&writer->line, ',');
		if (missing)
			add_missing_row(writer, record);
		else
			add_row(writer, record->row, action);
	}
	if (record->other) {
		amend_buffer_text(&writer->line, ",\"other\":{");
		add_row(writer, record->other, NULL);
		amend_buffer_char(&writer->line, '}');
	}
	add_missed(writer, record);
	add_base(writer, record);
	status = add_conflict(writer, record, err);
	if (status != AMEND_OK)
		return status;
	amend_buffer_text(&writer->line, "}\n");
	writer->n++;
	return emit(writer, err);
}

/* ---- the seal ---- */

static void add_counts(struct amend_buffer *line, const struct amend_sync_report *report)
{
	const struct {
		const char *name;
		uint64_t n;
	} shown[] = {
		{"created", report->created},
		{"updated", report->updated},
		{"merged", report->merged},
		{"kept", report->kept},
		{"unchanged", report->unchanged},
		{"conflicts", report->conflicts},
		{"skipped", report->skipped},
		{"rejected", report->rejected},
		{"duplicates", report->duplicates},
		{"deleted", report->deleted},
		{"marked", report->marked},
		{"missing_conflicts", report->missing_conflicts},
	};

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		amend_buffer_printf(line, ",\"%s\":%llu", shown[i].name,
				    (unsigned long long)shown[i].n);
}

static enum amend_status write_seal(struct amend_plan_writer *writer, struct amend_error *err)
{
	const struct amend_sync_options *options = writer->sync->options;
	unsigned char digest[AMEND_DIGEST_SIZE];
	char hex[AMEND_DIGEST_HEX];

	amend_buffer_reset(&writer->line);
	amend_buffer_printf(&writer->line, "{\"entries\":%llu", (unsigned long long)writer->n);
	add_counts(&writer->line, writer->sync->report);
	if (writer->line.failed)
		return amend_no_memory(err);
	amend_hasher_add(writer->hasher, writer->line.data, writer->line.size);
	amend_hasher_digest(writer->hasher, digest);
	amend_digest_hex(digest, hex);
	amend_buffer_printf(&writer->line, ",\"checksum\":\"%s\"}\n", hex);
	if (writer->line.failed)
		return amend_no_memory(err);
	return options->on_plan(options->context, writer->line.data, writer->line.size, err);
}

enum amend_status amend_plan_begin(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_plan_writer *writer = calloc(1, sizeof(*writer));
	enum amend_status status;
	bool present;

	sync->plan_writer = writer;
	if (!writer)
		return amend_no_memory(err);
	writer->sync = sync;
	writer->hasher = amend_hasher_new();
	status = writer->hasher ? amend_ledger_look(sync->db, &present, err) : amend_no_memory(err);
	return status == AMEND_OK ? write_header(writer, err) : status;
}

enum amend_status amend_plan_add(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_todo && status == AMEND_OK; i++)
		status = write_entry(sync->plan_writer, sync->todo[i], err);
	return status;
}

enum amend_status amend_plan_end(struct amend_sync *sync, struct amend_error *err)
{
	return write_seal(sync->plan_writer, err);
}

void amend_plan_writer_free(struct amend_plan_writer *writer)
{
	if (!writer)
		return;
	amend_hasher_free(writer->hasher);
	amend_buffer_release(&writer->line);
	free(writer);
}

/*
 * Which version of a remote document a sync has applied, remembered once all of it is in.
 * Leaves asking whether that is still the one to source_last.c.
 */
#include <string.h>

#include "sync/input_http.h"
#include "sync/sync.h"

bool amend_seen_may(const struct amend_sync_options *options)
{
	/* What --update leaves out has no base, or an old one: the bases are not the document. */
	return options->n_update == 0;
}

static void add_text(struct amend_buffer *text, const char *part, size_t size)
{
	amend_buffer_printf(text, "%zu:", size);
	amend_buffer_add(text, part, size);
}

bool amend_seen_asked(const struct amend_sync_options *options, const struct amend_table *table,
		      const void *names, size_t size, unsigned char asked[AMEND_DIGEST_SIZE])
{
	struct amend_pack_reader reader = {names, (const unsigned char *)names + size};
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_value value;
	const char *name;
	size_t name_size;
	bool fine = true;

	amend_buffer_add(&text, asked, AMEND_DIGEST_SIZE);
	for (size_t i = 0; i < options->n_match; i++)
		add_text(&text, options->match[i], strlen(options->match[i]));
	amend_buffer_text(&text, ";map");
	for (size_t i = 0; i < options->n_map; i++) {
		add_text(&text, options->map[i].left, strlen(options->map[i].left));
		add_text(&text, options->map[i].right, strlen(options->map[i].right));
	}
	amend_buffer_text(&text, ";columns");
	for (size_t i = 0; i < options->n_columns; i++)
		add_text(&text, options->columns[i], strlen(options->columns[i]));
	amend_buffer_text(&text, ";types");
	/* A column of another type would have made something else of the same text. */
	while (fine && amend_pack_next(&reader, &name, &name_size, &value)) {
		fine = false;
		for (size_t c = 0; c < table->n_columns && !fine; c++) {
			const struct amend_column *column = &table->columns[c];

			fine = strlen(column->name) == name_size &&
			       memcmp(column->name, name, name_size) == 0;
			if (fine)
				add_text(&text, column->type, strlen(column->type));
		}
		add_text(&text, name, name_size);
		add_text(&text, value.as.text, value.size);
	}
	fine = fine && reader.at == reader.end && !text.failed;
	if (fine)
		amend_digest(text.data, text.size, asked);
	amend_buffer_release(&text);
	return fine;
}

enum amend_status amend_sync_watch(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_validators version;
	struct amend_tally tally;
	enum amend_status status;

	if (!sync->source->http || sync->options->dry_run || sync->options->on_plan ||
	    !amend_seen_may(sync->options) || !amend_http_version(sync->source->http, &version))
		return AMEND_OK;
	status = amend_tally_bases(sync->db, sync->source_name, sync->table, &tally, err);
	return status == AMEND_OK ? amend_tally_begin(sync->db, &tally, err) : status;
}

/* Each record of the input has its base, and says what the base says. */
static bool is_whole(const struct amend_sync *sync)
{
	const struct amend_sync_report *report = sync->report;

	return report->created + report->updated + report->merged + report->kept +
			       report->unchanged ==
		       report->read &&
	       report->open_conflicts == 0 && report->missing_conflicts == 0;
}

struct remembering {
	struct amend_sync *sync;
	struct amend_seen_version seen;
};

static enum amend_status store(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct remembering *remembering = context;

	return amend_seen_store(db, remembering->sync->source_name, remembering->sync->table,
				&remembering->seen, err);
}

void amend_sync_remember(struct amend_sync *sync, bool ended_well)
{
	struct remembering remembering = {.sync = sync};
	struct amend_seen_version *seen = &remembering.seen;
	struct amend_buffer names = AMEND_BUFFER_INIT;
	struct amend_validators version;
	struct amend_tally expected, found;
	struct amend_error ignored;
	bool fine = amend_tally_end(sync->db, &expected) && ended_well && sync->committed &&
		    is_whole(sync) && amend_http_version(sync->source->http, &version);

	/* Equal: nobody else has written a base since the first was read. */
	fine = fine && (uint64_t)expected.n == sync->report->read &&
	       amend_tally_bases(sync->db, sync->source_name, sync->table, &found, &ignored) ==
		       AMEND_OK &&
	       amend_tally_same(&expected, &found);
	for (uint32_t u = 0; u < sync->n_used && fine; u++) {
		const char *name = sync->source->names[sync->used[u].source];
		const struct amend_value value = amend_text(name);

		amend_pack_add(&names, sync->table->columns[sync->used[u].column].name, &value);
	}
	if (fine && !names.failed) {
		seen->etag = version.etag;
		seen->modified = version.modified;
		seen->bases = found;
		seen->names = names.data;
		seen->names_size = names.size;
		memcpy(seen->asked, sync->source->asked, sizeof(seen->asked));
		fine = amend_seen_asked(sync->options, sync->table, names.data, names.size,
					seen->asked) &&
		       amend_atomic(sync->db, NULL, store, &remembering, &ignored) == AMEND_OK;
	}
	amend_buffer_release(&names);
	/* All that was to be done is in. Without this the next run reads it all: no reason to fail. */
	(void)fine;
}

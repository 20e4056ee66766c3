/*
 * Makes the records of workload A from their numbers.
 * Leaves what is done with them to the commands.
 */
#include "data.h"

#include <stdio.h>
#include <string.h>

/* Shares of a feed's lines, in percent, by a row's rank in a random order. */
enum {
	CHANGED_1 = 15, /* below: changed by version 1 */
	CHANGED_2 = 30, /* from CHANGED_1 to here: changed by version 2 */
	DROPPED = 90,   /* from here to SLUG_1: not in version 2 */
	SLUG_1 = 95,    /* from here: found by slug alone in version 1 .. */
	SLUG_2 = 97,    /* .. and from here in version 2, which are not in version 1 */
	OUTSIDE = 99,   /* from here on: in no feed */
	NEW = 3,        /* new records of each version */
	SLUG_ONLY = 2,  /* of each version */
};

static const char *const words[] = {
	"amber",   "anchor",  "birch",   "bridge", "canal",  "cedar",  "cellar",  "clover",
	"copper",  "dune",    "ember",   "fable",  "falcon", "ferry",  "flint",   "garden",
	"glacier", "granite", "harbour", "hazel",  "heron",  "ivory",  "jetty",   "kestrel",
	"lantern", "larch",   "linen",   "maple",  "marble", "meadow", "mill",    "mosaic",
	"nettle",  "oak",     "orchard", "otter",  "paper",  "pebble", "pine",    "plum",
	"quarry",  "quill",   "raven",   "reed",   "ridge",  "river",  "rowan",   "saddle",
	"sage",    "shale",   "sparrow", "spruce", "stone",  "swift",  "thistle", "timber",
	"tulip",   "velvet",  "walnut",  "weaver", "willow", "winter", "Größe",   "łąka",
};

uint64_t data_mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* A random order of 0 .. n - 1: a Feistel network over the next power of four, walked until it is inside. */
static uint64_t shuffle(uint64_t at, uint64_t n, uint64_t seed)
{
	unsigned half = 1;
	uint64_t mask;

	while (half < 31 && (uint64_t)1 << 2 * half < n)
		half++;
	mask = ((uint64_t)1 << half) - 1;
	do {
		uint64_t left = at >> half, right = at & mask;

		for (uint64_t round = 0; round < 4; round++) {
			uint64_t next = left ^ (data_mix(right ^ data_mix(seed + round)) & mask);

			left = right;
			right = next;
		}
		at = left << half | right;
	} while (at >= n);
	return at;
}

static uint64_t unshuffle(uint64_t at, uint64_t n, uint64_t seed)
{
	unsigned half = 1;
	uint64_t mask;

	while (half < 31 && (uint64_t)1 << 2 * half < n)
		half++;
	mask = ((uint64_t)1 << half) - 1;
	do {
		uint64_t left = at >> half, right = at & mask;

		for (uint64_t round = 4; round-- > 0;) {
			uint64_t before = right ^ (data_mix(left ^ data_mix(seed + round)) & mask);

			right = left;
			left = before;
		}
		at = left << half | right;
	} while (at >= n);
	return at;
}

bool data_init(struct data *data, uint64_t rows, uint64_t lines)
{
	*data = (struct data){.rows = rows, .lines = lines, .seed = 20};
	return lines >= 100 && lines % 100 == 0 && rows >= lines;
}

static uint64_t percent(const struct data *data, int share)
{
	return data->lines / 100 * (uint64_t)share;
}

static void write_slug(uint64_t number, char *out, size_t room)
{
	uint64_t z = data_mix(number);

	/* the two words beyond ASCII are for names and descriptions */
	snprintf(out, room, "%s-%s-%llu", words[z % 62], words[z / 64 % 62],
		 (unsigned long long)number);
}

/* About 110 bytes; one in eight has a comma, and so is quoted in CSV. */
static void write_description(uint64_t number, char *out, size_t room)
{
	uint64_t z = data_mix(number ^ 0x5555);
	size_t at = 0;

	for (int i = 0; at < 105 && at + 16 < room; i++) {
		at += (size_t)snprintf(out + at, room - at, "%s%s",
				       i == 0                 ? ""
				       : i == 4 && z % 8 == 0 ? ", "
							      : " ",
				       words[data_mix(z + (uint64_t)i) % 64]);
	}
}

/* The record as its source has it: `changed` is 0, or the version that changed one of its fields. */
static void write_record(uint64_t number, int changed, struct record *out)
{
	uint64_t z = data_mix(number * 3 + 1);
	int field = changed ? (int)(data_mix(number ^ 0xabcd) % 4) : -1;

	snprintf(out->remote_id, sizeof(out->remote_id), "%08x-%llu", (unsigned)(z >> 32),
		 (unsigned long long)number);
	write_slug(number, out->slug, sizeof(out->slug));
	snprintf(out->name, sizeof(out->name), "%s %s %llu%s", words[z % 64], words[z / 64 % 64],
		 (unsigned long long)number, field == 0 ? changed == 1 ? " (new)" : " (newer)" : "");
	write_description(field == 1 ? number + ((uint64_t)changed << 40) : number,
			  out->description, sizeof(out->description));
	write_slug(field == 2 ? number / 16 + (uint64_t)changed : number / 16, out->parent_slug,
		   sizeof(out->parent_slug));
	out->has_parent = field == 2 || number % 50 != 0;
	out->position = (int)(z % 9000) + (field == 3 ? changed : 0);
	out->has_remote_id = true;
}

/* The version that changed a row of this rank last, up to `version`. */
static int changed_by(const struct data *data, uint64_t rank, int version)
{
	if (rank < percent(data, CHANGED_1))
		return version >= 1 ? 1 : 0;
	return rank < percent(data, CHANGED_2) && version >= 2 ? 2 : 0;
}

void data_feed(const struct data *data, int version, uint64_t line, struct record *out)
{
	uint64_t at = shuffle(line, data->lines, data->seed + 10 + (uint64_t)version);
	uint64_t known = percent(data, SLUG_2), rank = at;

	if (version == 2) { /* closes the gap that the dropped ones leave */
		known = percent(data, SLUG_2 - NEW);
		if (at >= percent(data, DROPPED))
			rank = at + percent(data, SLUG_1 - DROPPED);
	}
	if (at < known)
		write_record(shuffle(rank, data->rows, data->seed), changed_by(data, rank, version),
			     out);
	else
		write_record(data->rows + (at - known), 0, out);
	out->id = 0;
}

uint64_t data_count(const struct data *data, int state)
{
	return data->rows + percent(data, NEW * state);
}

void data_row(const struct data *data, int state, uint64_t index, struct record *out)
{
	uint64_t rank;

	if (index >= data->rows) {
		write_record(index, 0, out);
		out->id = 0;
		return;
	}
	rank = unshuffle(index, data->rows, data->seed);
	write_record(index, changed_by(data, rank, state), out);
	out->id = index + 1;
	if (rank >= percent(data, SLUG_1) && rank < percent(data, SLUG_2))
		out->has_remote_id = state >= 1;
	else if (rank >= percent(data, SLUG_2) && rank < percent(data, OUTSIDE))
		out->has_remote_id = state >= 2;
}

uint64_t data_updates(const struct data *data, int state)
{
	return percent(data, (CHANGED_1 + SLUG_ONLY) * state);
}

uint64_t data_creations(const struct data *data, int state)
{
	return percent(data, NEW * state);
}

uint64_t data_bases(const struct data *data, int state)
{
	return state == 0 ? 0 : data->lines + percent(data, state == 2 ? NEW + SLUG_ONLY : 0);
}

size_t data_csv(const struct record *record, bool with_id, char *out, size_t room)
{
	const char *quote = strchr(record->description, ',') ? "\"" : "";
	int at = with_id ? snprintf(out, room, "%llu,", (unsigned long long)record->id) : 0;

	at += snprintf(out + at, room - (size_t)at, "%s,%s,%s,%s%s%s,%s,%d\n",
		       record->has_remote_id ? record->remote_id : "", record->slug, record->name,
		       quote, record->description, quote,
		       record->has_parent ? record->parent_slug : "", record->position);
	return (size_t)at;
}

static uint64_t digest_bytes(uint64_t hash, const char *bytes)
{
	for (; *bytes; bytes++)
		hash = (hash ^ (unsigned char)*bytes) * 0x100000001b3u;
	return hash;
}

uint64_t data_digest(uint64_t id, const char *const texts[DATA_COLUMNS])
{
	uint64_t hash = data_mix(id);

	for (int i = 0; i < DATA_COLUMNS; i++)
		hash = digest_bytes(data_mix(hash + (texts[i] ? 1 : 2)), texts[i] ? texts[i] : "");
	return data_mix(hash);
}

static void record_texts(const struct record *record, char position[16],
			 const char *texts[DATA_COLUMNS])
{
	snprintf(position, 16, "%d", record->position);
	texts[0] = record->has_remote_id ? record->remote_id : NULL;
	texts[1] = record->slug;
	texts[2] = record->name;
	texts[3] = record->description;
	texts[4] = record->has_parent ? record->parent_slug : NULL;
	texts[5] = position;
}

uint64_t data_record_digest(const struct record *record)
{
	char position[16];
	const char *texts[DATA_COLUMNS];

	record_texts(record, position, texts);
	return data_digest(record->id, texts);
}

uint64_t data_change_digest(uint64_t id, int column, const char *before, const char *after)
{
	const char *const texts[DATA_COLUMNS] = {before, after};

	return data_digest(data_mix(id) + (uint64_t)column, texts);
}

/* Whether version `version` had anything to do with the row: all others are the same before and after. */
static bool touched_by(const struct data *data, uint64_t rank, int version)
{
	int from = version == 1 ? 0 : CHANGED_1, to = version == 1 ? CHANGED_1 : CHANGED_2;
	int slug = version == 1 ? SLUG_1 : SLUG_2;

	return (rank >= percent(data, from) && rank < percent(data, to)) ||
	       (rank >= percent(data, slug) && rank < percent(data, slug + SLUG_ONLY));
}

static uint64_t changes_digest(const struct record *before, const struct record *after)
{
	char positions[2][16];
	const char *old[DATA_COLUMNS] = {NULL}, *new[DATA_COLUMNS];
	uint64_t digest = 0;

	if (before)
		record_texts(before, positions[0], old);
	record_texts(after, positions[1], new);
	for (int i = 0; i < DATA_COLUMNS; i++) {
		if (old[i] && new[i] ? strcmp(old[i], new[i]) != 0 : old[i] != new[i])
			digest += data_change_digest(after->id, i, old[i], new[i]);
	}
	return digest;
}

uint64_t data_history_digest(const struct data *data, int state)
{
	struct record before, after;
	uint64_t digest = 0;

	for (int version = 1; version <= state; version++) {
		for (uint64_t i = 0; i < data->rows; i++) {
			if (!touched_by(data, unshuffle(i, data->rows, data->seed), version))
				continue;
			data_row(data, version - 1, i, &before);
			data_row(data, version, i, &after);
			digest += changes_digest(&before, &after);
		}
	}
	for (uint64_t i = data->rows; i < data_count(data, state); i++) {
		data_row(data, state, i, &after);
		digest += changes_digest(NULL, &after);
	}
	return digest;
}

uint64_t data_state_digest(const struct data *data, int state)
{
	struct record record;
	uint64_t digest = 0;

	for (uint64_t i = 0; i < data_count(data, state); i++) {
		data_row(data, state, i, &record);
		digest += data_record_digest(&record);
	}
	return digest;
}

uint64_t data_feed_digest(const struct data *data, int version)
{
	struct record record;
	uint64_t digest = 0;

	for (uint64_t i = 0; i < data->lines; i++) {
		data_feed(data, version, i, &record);
		digest += data_record_digest(&record);
	}
	return digest;
}

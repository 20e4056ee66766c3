/*
 * A feed: CSV text synced into a table, one line a call; what became of it read as text.
 *
 *	struct feed *feed = feed_open(engine, "country", "code");
 *
 *	fed(feed, "code,name\nFR,France\n", "created=1");
 *	fed(feed, "code,name\nFR,La France\n", "updated=1");
 *	bases(feed, "{\"code\":\"FR\"} code=FR name=La France");
 *
 * `fed` runs the sync, checks the report's counters that are not 0 (`read` is left out, and checked to
 * be their sum), and then runs it again, which must change no byte of the
 * database. Options are those of feed->options, set between calls.
 *
 * With AMEND_FEED_PLANNED in the environment each run is a plan, saved and
 * applied: the same tests then hold for plans. What a run is interrupted by (`between`), and making
 * a table, is left out of that.
 */
#ifndef TESTS_SYNC_FEED_H
#define TESTS_SYNC_FEED_H

#include "engines.h"

#include <amend/amend.h>

#include "core/buffer.h"

enum { FEED_KEYS = 8 };

struct feed {
	struct engine *engine;
	struct amend_conn *db;
	const char *table;
	const char *match[FEED_KEYS];
	struct amend_sync_options options;
	enum amend_format format;
	const char *path;                /* --path */
	struct amend_sync_report report; /* of the last run */
	struct amend_error err;
	enum amend_status status;
	struct amend_buffer told;           /* what on_change and on_reject said, a line each */
	void (*between)(struct feed *feed); /* called once, between the phases, or: */
	/* A phase, e.g. "match": rows have been looked up, bases not yet, or "compare": the other way; "chunk": one has been committed. */
	const char *when;
	bool applies;     /* writing has begun, ... */
	uint64_t applied; /* ... with so many records passed */
	void *context;
	bool quiet; /* do not collect what is told */
	struct amend_buffer plan;
	const char *version; /* of the conflict that feed_resolve settles; NULL: as it was found */
};

/* `match`: keys parted by "; ", each "COL" or "COL,COL". */
struct feed *feed_open(struct engine *engine, const char *table, const char *match);
void feed_match(struct feed *feed, const char *match);

/* One run. */
enum amend_status feed_run(struct feed *feed, const char *csv, size_t size);
enum amend_status feed_text(struct feed *feed, const char *csv);
/* "created=1 updated=2": counters that are not 0. */
const char *feed_report(struct feed *feed);

/* The run succeeds with these counters. */
#define fed_once(feed, csv, report) fed_at(feed, csv, report, false, __FILE__, __LINE__)
/* And a second one writes nothing. */
#define fed(feed, csv, report) fed_at(feed, csv, report, true, __FILE__, __LINE__)
void fed_at(struct feed *feed, const char *csv, const char *report, bool twice, const char *file,
	    int line);

/* The run is refused with this status, the text holds `needle`, and nothing is written. */
#define refused(feed, status, csv, needle) refused_at(feed, status, csv, needle, __FILE__, __LINE__)
void refused_at(struct feed *feed, enum amend_status status, const char *csv, const char *needle,
		const char *file, int line);

/* The same in two steps: what would be done, as text that the engine keeps; and doing it. */
const char *feed_plan(struct feed *feed, const char *csv);
enum amend_status feed_apply(struct feed *feed, const char *plan, bool dry_run);

/* Whether AMEND_FEED_PLANNED is set: what is told comes in another order then. */
bool feed_planned(void);

/* What was told: "create 2 code=FR name: NULL -> France", "reject 3 text". */
#define told(feed, text)                                                              \
	expect_text_at((feed)->told.data && !feed_planned() ? (feed)->told.data : "", \
		       feed_planned() ? "" : (text), "told", __FILE__, __LINE__)

/* Bases of the feed's source, by first key: "{"code":"FR"} code=FR name=France". */
const char *feed_bases(struct feed *feed);
#define bases(feed, text) expect_text_at(feed_bases(feed), text, "bases", __FILE__, __LINE__)

/* Open conflicts: "fields {"id":1} code=FR name: B|C|I (note)". */
const char *feed_conflicts(struct feed *feed);
#define conflicts(feed, text) \
	expect_text_at(feed_conflicts(feed), text, "conflicts", __FILE__, __LINE__)
/* The id of the only one, and what it is shown as now. */
int64_t feed_conflict(struct feed *feed);
const char *feed_version(struct feed *feed);
/* amend_resolve, with values for single columns; what it says is in feed->err. */
enum amend_status feed_resolve(struct feed *feed, int64_t id, enum amend_take take,
			       const struct amend_assign *set, size_t n,
			       struct amend_result *result) AMEND_CHECK;

/* Everything in the database that a writer could change, as text. */
const char *feed_snapshot(struct engine *engine);

/* Changes recorded so far; 0 without a ledger. */
int feed_changes(struct feed *feed);

#endif

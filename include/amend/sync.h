/*
 * Reconciling a source into a table; docs/sync.md says what it means, case by case.
 *
 *	struct amend_source *source = NULL;
 *	struct amend_sync_options options = AMEND_SYNC_OPTIONS_INIT;
 *	struct amend_sync_report report;
 *
 *	status = amend_source_open("countries.csv", NULL, &source, &err);
 *	options.match = (const char *const[]){"alpha2"}, options.n_match = 1;
 *	status = amend_sync(db, source, "country", &options, &report, &err);
 *	amend_sync_report_release(&report);
 *	amend_source_close(source);
 */
#ifndef AMEND_SYNC_H
#define AMEND_SYNC_H

#include <amend/ledger.h>

#ifdef __cplusplus
extern "C" {
#endif

enum amend_format {
	AMEND_FORMAT_AUTO, /* by the name: .csv .tsv .tab .json .ndjson .jsonl */
	AMEND_FORMAT_CSV,
	AMEND_FORMAT_TSV,
	AMEND_FORMAT_JSON,   /* an array of objects */
	AMEND_FORMAT_NDJSON, /* an object a line */
};

struct amend_source;

struct amend_source_options {
	enum amend_format format;
	const char *path; /* JSON: where the array is, "data.items" or "/data/items" (RFC 6901); NULL: it is all */
	const char *query; /* the source is a database, and its records what this returns */
	/* http */
	uint64_t max_bytes; /* of all pages, as they are sent */
	int64_t stall_ms;   /* so long nothing may come */
	int retries;        /* so often a request is made again, with growing pauses: 0 to 20 */
	bool keep;          /* put the input aside, for amend_source_texts */
	/* Not NULL: asked before each read, and when a signal came while it waited; true: it ends INTERRUPTED. */
	bool (*interrupted)(void);
};

#define AMEND_SOURCE_OPTIONS_INIT                                                        \
	{                                                                                \
		AMEND_FORMAT_AUTO, NULL, NULL, (uint64_t)64 << 30, 60000, 4, false, NULL \
	}

/*
 * Opens a file; standard input for "-" (then the format must be named); what http:// or https://
 * names (in a build with libcurl); or with a query a database. NULL options are
 * AMEND_SOURCE_OPTIONS_INIT. docs/sources.md says what a record and a field is in
 * each format. INVALID with file:line, and :column in JSON, or that there is no such file; DENIED where its mode says so; UNREACHABLE
 * where it cannot be read to its end: a server that does not answer as it should, an input that is cut off.
 */
AMEND_API enum amend_status amend_source_open(const char *name,
					      const struct amend_source_options *options,
					      struct amend_source **out,
					      struct amend_error *err) AMEND_CHECK;
AMEND_API void amend_source_close(struct amend_source *source);

/* The source's columns, in order. Of JSON those of the first records. */
AMEND_API size_t amend_source_columns(const struct amend_source *source, const char *const **names);

/* Its name for people: a URL without user, password and query. Lives as long as the source. */
AMEND_API const char *amend_source_name_shown(const struct amend_source *source);

/* Whether the `line` of its records is their number, from 1: a JSON array has records, not lines. */
AMEND_API bool amend_source_numbers_records(const struct amend_source *source);

/* Line 0: the header, which comes first. Ends with a newline. Lives during the callback. */
typedef enum amend_status (*amend_source_text_fn)(void *context, int64_t line, const char *text,
						  size_t size, struct amend_error *err);
/*
 * After it has been read, opened with `keep`: these records (their `line`s,
 * rising) as they stood in it, such as those that on_reject told. Of JSON one line each.
 */
AMEND_API enum amend_status amend_source_texts(struct amend_source *source, const int64_t *lines,
					       size_t n, amend_source_text_fn each, void *context,
					       struct amend_error *err) AMEND_CHECK;

enum amend_policy { AMEND_POLICY_STORE, AMEND_POLICY_INCOMING, AMEND_POLICY_CURRENT };
enum amend_adopt {
	AMEND_ADOPT_ASK,
	AMEND_ADOPT_INCOMING,
	AMEND_ADOPT_CURRENT,
	AMEND_ADOPT_CONFLICT
};
/* What becomes of a row that has this source's base, when the input lacks its record. */
enum amend_missing { AMEND_MISSING_KEEP, AMEND_MISSING_DELETE, AMEND_MISSING_MARK };
enum amend_duplicates { AMEND_DUPLICATES_REJECT, AMEND_DUPLICATES_FIRST, AMEND_DUPLICATES_LAST };

struct amend_pair { /* COL=VALUE, COL=SOURCECOL, COL=TYPE */
	const char *left, *right;
};

/* One input record's effect. Lives during the callback. */
struct amend_sync_change {
	const char *op; /* "create", "update", "delete", "conflict"; of a saved plan "stale" */
	int64_t line;   /* 0: the input lacks the record */
	const struct amend_field *key; /* the first key that is not blank */
	size_t n_key;
	const struct amend_conflict_field *fields; /* an update: current is old, incoming is new */
	size_t n_fields;         /* stale: base is what the plan saw, incoming what it wanted */
	const char *kind, *note; /* of a conflict; the note also of what is stale */
	const struct amend_table *table; /* its description: how values are typed */
};

/* How far a sync is; a number that is not known is 0. Lives during the callback. */
struct amend_progress {
	const char *phase;       /* "read", "compare", "match", "apply" */
	uint64_t records, total; /* of this phase, done and in all */
	uint64_t bytes, size;    /* of the input, while it is read: of the file, packed as it is */
};

enum amend_answer {
	AMEND_ANSWER_NO,   /* not this one: it counts as skipped */
	AMEND_ANSWER_YES,  /* this one */
	AMEND_ANSWER_ALL,  /* this one and all that follow, without asking */
	AMEND_ANSWER_QUIT, /* neither this one nor any that follow */
};

/* A question: the changes of one record, or of several that stand and fall together (a swap). */
struct amend_confirm {
	const struct amend_sync_change *changes;
	size_t n_changes;
	uint64_t number,
		total; /* of the questions, from 1; what moves meanwhile is asked about again, as more of them */
	bool again; /* it was decided, and has moved since */
};

struct amend_sync_options {
	const char *const *match; /* each "COL" or "COL,COL"; in order */
	size_t n_match;
	const struct amend_pair *map; /* table column = source column */
	size_t n_map;
	const char *const *columns; /* table columns to use; none: all of the source */
	size_t n_columns;
	const char *const *update; /* columns to write on existing records; none: all used */
	size_t n_update;
	const struct amend_assign *on_create;
	size_t n_on_create;
	bool create_only, update_only;
	bool create_table, detect_types;
	const struct amend_pair *types; /* with create_table */
	size_t n_types;
	bool dry_run;
	enum amend_policy on_conflict;
	enum amend_adopt adopt;
	enum amend_duplicates duplicates;
	int64_t max_rejects; /* -1: no limit; more stop the run before its first write */
	bool atomic; /* one unit, one revision; a rejected record undoes all, beyond `max_rejects` (-1: none) */
	size_t batch; /* at most so many records are committed together; 0: what others can well wait for */
	bool skip_locked;
	/*
	 * Bytes of input that are kept in memory; a larger one goes to a private file in $TMPDIR and
	 * is decided slice by slice. 0: 24 MiB (and 120,000 records). In memory are in any case records that depend on
	 * each other across slices, the answers to on_confirm, and everything where a key's collation is the
	 * database's own, or where on_confirm is to be asked about a table that is yet to be made.
	 */
	size_t memory;
	enum amend_missing missing;
	const struct amend_assign *mark; /* with AMEND_MISSING_MARK: what is set in the row */
	int64_t max_missing; /* more rows missing stop the run before its first write; of 100 rows that have a base, if: */
	bool max_missing_percent;
	const char *source_name; /* NULL: "default" */
	/*
	 * Callbacks; NULL for none. All run in the thread of the call. The connection is the sync's until it returns:
	 * they may call amend_interrupt and amend_stop with it, and nothing else. Of a record on_change and
	 * on_reject are told once, when what became of it is final.
	 */
	void (*on_change)(void *context, const struct amend_sync_change *change);
	void (*on_reject)(void *context, int64_t line,
			  const char *text); /* line 0: a row that the input lacks */
	void (*on_progress)(void *context, const struct amend_progress *progress);
	void *context;
	/*
	 * Not NULL: nothing is written to the database; what would be is handed over
	 * line by line, for amend_apply (amend/plan.h). A status other than OK ends the run.
	 */
	enum amend_status (*on_plan)(void *context, const char *bytes, size_t size,
				     struct amend_error *err);
	/*
	 * Not NULL: asked before anything is written, while nothing is locked. A status
	 * other than OK ends the run; nothing that was not answered is written.
	 */
	enum amend_status (*on_confirm)(void *context, const struct amend_confirm *confirm,
					enum amend_answer *answer, struct amend_error *err);
	/* Not NULL: what is no reason to reject a record, and yet hardly meant; of a column once. Also of a dry run. */
	void (*on_notice)(void *context, int64_t line, const char *text);
	/* Not NULL: of a run that `max_missing` refuses, each record that would be lost, by its first key. */
	void (*on_missing)(void *context, const struct amend_field *key, size_t n_key);
};

#define AMEND_SYNC_OPTIONS_INIT                                                                   \
	{                                                                                         \
		NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, false, false, false, false, NULL, 0, \
			false, AMEND_POLICY_STORE, AMEND_ADOPT_ASK, AMEND_DUPLICATES_REJECT, -1,  \
			false, 0, false, 0, AMEND_MISSING_KEEP, NULL, 10, true, NULL, NULL, NULL, \
			NULL, NULL, NULL, NULL, NULL, NULL                                        \
	}

struct amend_sync_report {
	/* their sum is `read` */
	uint64_t created, updated, merged, kept, unchanged, conflicts, skipped, rejected, duplicates;
	uint64_t stale; /* entries of a saved plan, which are left alone; among the sum */
	uint64_t read;
	/* apart from the sum */
	uint64_t deleted, marked, missing_conflicts; /* of rows that the input lacks */
	uint64_t missing_refused; /* of missing_conflicts: not edited here, but the database keeps them */
	uint64_t missing_skipped; /* answered no, or held by another: left as they are */
	uint64_t missing_rejected; /* the database refuses the mark: left as they are, and told to on_reject as line 0 */
	uint64_t new_conflicts, open_conflicts, settled;
	uint64_t missing; /* of a run that `max_missing` refused: how many would be lost */
	bool refused; /* before the first write: nothing is in, and the counts are of what would have been done */
	int64_t run; /* 0: nothing was recorded */
	int64_t *revisions;
	size_t n_revisions;
	double seconds;
	bool unmodified; /* the server says that the source is what it was: see amend_source_open_again */
	char source[256]; /* its name */
	char table[256];  /* as the ledger names it */
};

AMEND_API void amend_sync_report_release(struct amend_sync_report *report);

/*
 * As amend_source_open. What http:// or https:// names, and was synced into this table with these
 * options before, is asked for only if it has changed since. If it has not, nothing is fetched: the source then is what
 * it said last, as the ledger has it, and a sync of it does what a sync of the document would. A
 * table, a ledger or a version that is not there is no failure: then all of it is asked for.
 */
AMEND_API enum amend_status amend_source_open_again(struct amend_conn *db, const char *table,
						    const struct amend_sync_options *sync,
						    const char *name,
						    const struct amend_source_options *options,
						    struct amend_source **out,
						    struct amend_error *err) AMEND_CHECK;
AMEND_API bool amend_source_unmodified(const struct amend_source *source);

/*
 * Runs one sync. Before the first write INVALID: wrong mapping, a needed decision (`adopt`), more missing records than
 * allowed; CONSTRAINT: more rejects than allowed. All rejects are told then, and the report holds what would have
 * been done. On a failure after some chunks it holds what is in, and the text says so; a
 * rerun finishes the rest. Must not be called inside a unit. A large one has a thread of its own, and on
 * PostgreSQL a second connection to the same server, until it returns; on an adopted or traced connection neither.
 */
AMEND_API enum amend_status amend_sync(struct amend_conn *db, struct amend_source *source,
				       const char *table, const struct amend_sync_options *options,
				       struct amend_sync_report *report,
				       struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif

/*
 * Where records come from: one function table a format. A new format (JSON,
 * a database) fills in `next`; a new transport (gzip, http) fills in `read`.
 */
#ifndef AMEND_SYNC_SOURCE_H
#define AMEND_SYNC_SOURCE_H

#include <amend/sync.h>

#include "core/arena.h"
#include "core/pack.h"

enum {
	AMEND_FIELD_LIMIT =
		64 << 20, /* bytes of one field; more is INVALID, so that memory stays bounded */
	AMEND_COLUMN_LIMIT = 4096,      /* names in a header */
	AMEND_RECORD_LIMIT = 256 << 20, /* bytes of one record */
};

/* One record as the source has it. Lives until the next one is asked for. */
struct amend_source_record {
	int64_t line;                     /* where it begins, or its number; from 1 */
	const struct amend_value *fields; /* one a column; of files NULL or TEXT */
	const char *problem; /* NULL, or why the record cannot be used: `fields` is then not whole */
	const bool *absent; /* one a column: the record does not have it, which is not NULL; NULL: it has all */
};

struct amend_hasher;

struct amend_source_ops {
	/* `*end`: there is none left, and the input is known to be whole. */
	enum amend_status (*next)(struct amend_source *source, struct amend_source_record *out,
				  bool *end, struct amend_error *err);
	void (*close)(struct amend_source *source);
};

/* Bytes: what a format reads from. */
struct amend_input {
	/* Returns how many; 0 at the end, of an input that is whole; -1 after an error (`err` filled in). */
	long (*read)(struct amend_input *input, void *bytes, size_t size, struct amend_error *err);
	/*
	 * At the end: goes on to the next text, where there is one; then `read` begins anew.
	 * `empty`: the text that ended had no record. NULL: there is one text alone.
	 */
	enum amend_status (*next)(struct amend_input *input, bool empty, bool *more,
				  struct amend_error *err);
	void (*close)(struct amend_input *input);
	bool (*interrupted)(void); /* NULL: it never is */
	/* For progress: bytes read, and in all where that is known (else 0). Of a file that is unpacked: its own. */
	uint64_t taken, size;
};

struct amend_source {
	const struct amend_source_ops *ops;
	struct amend_input *input;
	struct amend_input *
		hashed; /* source_hash.c: what `input` is, or reads from; NULL: no bytes are read */
	struct amend_hasher *hasher; /* source_hash.c: of records, where there are no bytes */
	uint64_t hashed_size;
	struct amend_input *http; /* likewise, of a URL; NULL: no URL, or it is unmodified */
	unsigned char asked[AMEND_DIGEST_SIZE]; /* of a URL: what was asked for, and to be read how */
	bool remote, unmodified;
	struct amend_input *kept; /* source_keep.c: likewise, where that is asked for; else NULL */
	bool json;                /* JSON or NDJSON */
	const char *way;          /* of JSON: --path; "" for none */
	char *path;               /* as given, for messages */
	char **names;             /* of the columns */
	size_t n_names;
	bool used;       /* it has been read: it cannot be read again */
	bool open;       /* records may have columns that are not named yet: amend_source_want */
	bool only_named; /* ... and the others are left out; else such a record has a problem */
	bool numbers_records; /* `line` is a record's number */
	void *state;          /* the format's */
};

/* Takes `input` over, also on failure: a digest is taken of what is read from it. `path` is for messages alone. */
enum amend_status amend_source_new(struct amend_input *input, const char *path,
				   const struct amend_source_options *options,
				   struct amend_source **out, struct amend_error *err) AMEND_CHECK;

/* At the end of a text: whether another follows, which is read in the same way; see amend_input.next. */
enum amend_status amend_source_next_text(struct amend_source *source, bool empty, bool *more,
					 struct amend_error *err) AMEND_CHECK;

/* What `line` counts: "line" or "record". */
const char *amend_source_unit(const struct amend_source *source);

/* Why a file cannot be opened or read, by errno: INVALID (it is not there, or a folder), DENIED, else UNREACHABLE. */
enum amend_status amend_input_failed(const char *path, int why, struct amend_error *err);

/* A file; "-" is standard input. NULL: `err` says why. */
struct amend_input *amend_input_file(const char *path, struct amend_error *err);

/* What `from` has, unpacked where it is gzip. Takes `from` over, also on failure (NULL: no memory). */
struct amend_input *amend_input_gzip(struct amend_input *from, const char *path);

/* source_hash.c: an input that takes a digest of what is read from `inner`; NULL: no memory, `inner` stays the caller's. */
struct amend_input *amend_input_hashed(struct amend_input *inner);
/* Whether the digest will be asked for: from its opening to this call it is taken in any case. */
void amend_source_hash(struct amend_source *source, bool wanted);
/* Of a source that reads no bytes: begins with its names (false: no memory), and adds a record, as it is stored. */
bool amend_source_hash_names(struct amend_source *source);
void amend_source_hash_record(struct amend_source *source, const unsigned char *record);
/* Of every byte read so far, and how many they were; of a source without them, of its names and records. */
void amend_source_digest(const struct amend_source *source, uint64_t *size,
			 unsigned char digest[AMEND_DIGEST_SIZE]);

/* source_keep.c: an input that puts aside what is read from `inner`; NULL: it cannot, `inner` stays the caller's. */
struct amend_input *amend_input_kept(struct amend_input *inner, struct amend_error *err);

/* Bytes in memory, borrowed until it is closed. For tests. */
struct amend_input *amend_input_memory(const void *bytes, size_t size);

/* The format's own: sets `ops` and `state`, and reads the header into `names`. */
enum amend_status amend_source_csv(struct amend_source *source, char delimiter,
				   struct amend_error *err) AMEND_CHECK;

enum amend_status amend_source_json(struct amend_source *source, bool lines, const char *path,
				    struct amend_error *err) AMEND_CHECK;

/*
 * source.c: a URL; `since` and an `*out` of NULL as those of amend_input_http. `asked` is a digest of what
 * the records depend on, beside the server: URL (without its password), format, path.
 */
struct amend_validators;
enum amend_status amend_source_http(const char *url, const struct amend_source_options *options,
				    const struct amend_validators *since, struct amend_source **out,
				    struct amend_error *err) AMEND_CHECK;
/* False: no memory. */
bool amend_source_asked(const char *url, const struct amend_source_options *options,
			unsigned char asked[AMEND_DIGEST_SIZE]);

/* source_last.c: what a source said last, from its bases: amend_source_open_again. */

/* Runs the query in the database of the URL, and keeps what it returns. */
enum amend_status amend_source_query(struct amend_source *source, const char *url, const char *sql,
				     struct amend_error *err) AMEND_CHECK;

/*
 * Of an `open` source, before its first record: there shall be a column of this
 * name, though no record has been seen to have it. Nothing where it is there already.
 */
enum amend_status amend_source_want(struct amend_source *source, const char *name,
				    struct amend_error *err) AMEND_CHECK;

/* Adds a column that is text and new; INVALID when it is one too many. */
enum amend_status amend_source_add_name(struct amend_source *source, const char *name, size_t size,
					struct amend_error *err) AMEND_CHECK;

/* Adds a name to the header; INVALID when it is empty, not text, or there already. */
enum amend_status amend_source_name(struct amend_source *source, int64_t line, const char *name,
				    size_t size, struct amend_error *err) AMEND_CHECK;

#endif

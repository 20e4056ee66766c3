/*
 * What the parts of the sieve share: sieve.c keeps the entries and answers for them,
 * sieve_scan.c reads the whole table, sieve_keys.c the rows of the input's keys; sieve_sum.c
 * tells by their sum which bases there are.
 */
#ifndef AMEND_SYNC_SIEVE_INSIDE_H
#define AMEND_SYNC_SIEVE_INSIDE_H

#include "sync/fingerprint.h"
#include "sync/sync.h"

enum {
	AMEND_SIEVE_PROGRESS = 10000, /* rows between two words of progress */
	AMEND_SIEVE_AHEAD = 64,       /* whose entries come from memory at one time */
};

static inline void amend_sieve_fetch(const void *at)
{
#if defined(__GNUC__)
	__builtin_prefetch(at);
#else
	(void)at;
#endif
}

enum amend_sieve_state {
	AMEND_SIEVE_FRESH,
	AMEND_SIEVE_EQUAL, /* one row has its key and is what the record says; its base is yet to be seen */
	AMEND_SIEVE_SEEN, /* one row has its key, and differs, or there is no base */
	AMEND_SIEVE_SETTLED,
	AMEND_SIEVE_OPEN, /* to be decided without help from here */
};

struct amend_sieve_entry {
	const unsigned char *bytes;
	const struct amend_row *row;
	const struct amend_base
		*base; /* of that row, where it was read with it; or its first, yet to be written */
	uint64_t code; /* of its first key; 0: it has none that counts here */
	uint64_t alias; /* the same as the database spells it, where that is another */
	uint64_t pk;    /* of the row's name */
	uint64_t at;    /* where its row lies: amend_place_of; slice by slice alone */
	unsigned char digest[AMEND_BASE_DIGEST_SIZE]; /* of the base that would settle it */
	unsigned char state;                          /* enum amend_sieve_state */
};

/* So small that looking for a code mostly stays within a line of the processor's cache. */
struct amend_sieve_slot {
	uint32_t entry; /* 1 + its index; 0: free */
	uint32_t mark;  /* the code's upper half */
};

struct amend_sieve {
	struct amend_sync *sync;
	struct amend_sieve_entry *entries;
	uint64_t first, n, n_settled;
	struct amend_arena bytes; /* copies of the records, where they do not stay in the store */
	struct amend_sieve_slot *slots; /* of entries, by code */
	uint32_t *by_name; /* the same of settled ones, by the code of their row's name; made when asked for */
	uint64_t mask;
	struct amend_fingerprinter printer;
	struct amend_value *fields; /* of the record looked at */
	struct amend_base *strays;  /* bases whose first key no record has */
	size_t n_strays, strays_room;
	uint64_t n_known;  /* bases whose first key one has */
	bool compares;     /* with rows; else keys alone are made canonical */
	bool keyed;        /* of the table only rows that have a record's key are read */
	bool scanned;      /* all bases were read, or need not be */
	bool strays_stand; /* the rows of the strays were read */
	bool firsts; /* the source has no bases: what is equal is settled, and gets its first one */
	uint64_t n_found; /* rows that have a record's key, so far */
	uint64_t n_seen;  /* those of them that differ and were kept */
	struct amend_buffer text;
	/* As long as it may tell enough: the sum that the bases have if they are those of all that is equal. */
	bool summed;
	int64_t n_equal;
	uint64_t sum;
	/* Whose bases are looked up for the sum: primary keys of rows that are no record's, of those that differ, and then first keys. */
	const char **rest;
	size_t n_rest, rest_most;
	struct amend_base *
		as_rows; /* the bases that rows which are no record's would have if they said the same */
	size_t n_as_rows;
};

struct amend_sieve_entry *amend_sieve_find(const struct amend_sieve *sieve, uint64_t code);
/* The first key of `row`, or (NULL) of `fields`, as a base spells it, in `text`; false where it is blank. */
bool amend_sieve_key_text(struct amend_sieve *sieve, const struct amend_value *row);
/* One row that has the entry's key. `print`: NULL where it is yet to be taken. */
enum amend_status amend_sieve_take_row(struct amend_sieve *sieve, struct amend_sieve_entry *entry,
				       const struct amend_row *row,
				       const struct amend_fingerprint *print,
				       struct amend_error *err) AMEND_CHECK;
void amend_sieve_settle(struct amend_sieve *sieve, struct amend_sieve_entry *entry);

/* sieve_sum.c: before rows are taken; a row that is nobody's, or nobody knows whose; after the last row */
enum amend_status amend_sieve_begin_sum(struct amend_sieve *sieve,
					const struct amend_sieve_bases *bases,
					struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sieve_set_aside(struct amend_sieve *sieve, const struct amend_row *row,
					struct amend_error *err) AMEND_CHECK;
/*
 * The sum that is kept is that of the bases that the equal entries would have, and of those that were looked up: then
 * there are no others, and all equal ones are settled.
 */
enum amend_status amend_sieve_by_sum(struct amend_sieve *sieve, bool *settled,
				     struct amend_error *err) AMEND_CHECK;
/* Every entry that is equal, whatever its base. */
void amend_sieve_settle_equal(struct amend_sieve *sieve);

/* sieve_scan.c: a base, and the entry of its first key or NULL */
enum amend_status amend_sieve_take_base(struct amend_sieve *sieve, struct amend_sieve_entry *entry,
					const struct amend_base *base,
					struct amend_error *err) AMEND_CHECK;

/* sieve_keys.c: rows that have the first key of some record */
enum amend_status amend_sieve_read_keys(struct amend_sieve *sieve, amend_row_scan_fn each,
					void *context, struct amend_error *err) AMEND_CHECK;

/* sieve_scan.c, sieve_keys.c */
enum amend_status amend_sieve_by_scan(struct amend_sieve *sieve,
				      struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sieve_by_key(struct amend_sieve *sieve, struct amend_error *err) AMEND_CHECK;

#endif

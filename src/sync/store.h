/*
 * The records of an input, compact and in order: in memory while they are
 * small, else in a private file that vanishes with the process.
 *
 * One record: its size (4 bytes), its line, and whether it is a problem, then each field: its
 * kind, and for INTEGER and REAL 8 bytes, for TEXT and BLOB its size, its bytes and a NUL.
 * A problem has its text instead of fields. Line and sizes take as many bytes as they need: most
 * of a spool would else be numbers that are small.
 */
#ifndef AMEND_SYNC_STORE_H
#define AMEND_SYNC_STORE_H

#include <stdio.h>

#include <amend/value.h>

struct amend_store_block;

struct amend_store {
	struct amend_store_block *first, *last; /* while it is in memory */
	size_t in_memory;                       /* bytes of the blocks */
	size_t limit; /* more than this, or many small records, go to the file; 0: AMEND_STORE_LIMIT */
	FILE *file;             /* NULL: all is in memory */
	unsigned char *scratch; /* with the file: the record that is being added */
	size_t scratch_room;
	uint64_t size; /* bytes of all records */
	uint64_t n;    /* records */
};

enum { AMEND_STORE_LIMIT = 24 << 20 };

/* What a field of a record is beside the kinds of a value: the source has no such member. */
#define AMEND_STORE_ABSENT ((enum amend_kind)0x7f)

/* All zero is an empty one. */
void amend_store_release(struct amend_store *store);

/* Whether `n` records like those that are in would stay in memory. */
bool amend_store_keeps(const struct amend_store *store, uint64_t n);

/* Copies the record; `problem` is its text, or NULL: then it has n fields. */
enum amend_status amend_store_add(struct amend_store *store, int64_t line, const char *problem,
				  const struct amend_value *fields, size_t n,
				  struct amend_error *err) AMEND_CHECK;

/* A private file without a name; NULL: `err` says why. And what is said when it cannot be "written" or "read". */
FILE *amend_store_file(struct amend_error *err);
enum amend_status amend_store_failed(const char *what, struct amend_error *err);

/* Reads the records in order, from the first. */
struct amend_store_reader {
	struct amend_store *store;
	const struct amend_store_block *block;
	size_t at;
	uint64_t offset; /* in the file */
	bool flushed;    /* for amend_store_at */
	unsigned char *buffer;
	size_t room;
};
void amend_store_begin(struct amend_store *store, struct amend_store_reader *reader);
/*
 * `*record` is NULL at the end. Out of memory it lives as long as the store, out
 * of a file until the next one is asked for.
 */
enum amend_status amend_store_next(struct amend_store_reader *reader, const unsigned char **record,
				   struct amend_error *err) AMEND_CHECK;
/* The record at that offset of the store's file, as amend_store_next; the one after it does not follow. */
enum amend_status amend_store_at(struct amend_store_reader *reader, uint64_t offset,
				 const unsigned char **record, struct amend_error *err) AMEND_CHECK;
void amend_store_end(struct amend_store_reader *reader);

/* Bytes that the record takes, for a copy of it. */
size_t amend_store_size(const unsigned char *record);
/* Its line. `*problem`: NULL, or why it cannot be used; then `fields` stay as they are. They point into the record. */
int64_t amend_store_decode(const unsigned char *record, struct amend_value *fields, size_t n,
			   const char **problem);

/*
 * Fields alone, as a record has them, for whoever keeps rows beside it: their bytes, and behind
 * them. What was taken points into the bytes.
 */
size_t amend_store_fields_size(const struct amend_value *fields, size_t n);
unsigned char *amend_store_put_fields(unsigned char *at, const struct amend_value *fields, size_t n);
const unsigned char *amend_store_take_fields(const unsigned char *at, struct amend_value *fields,
					     size_t n);

#endif

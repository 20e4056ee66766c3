/*
 * A connection and a table of a test, one line a call: writes spelled as text,
 * outcomes read as text. For tests of src/record and src/ledger.
 *
 *	struct road *road = road_open(engine, "stock");
 *
 *	ok(road, .keys = "sku=42", .set = "qty-=3, note=sold");
 *	said(road, "updated qty: 5 -> 2, note: NULL -> sold");
 *	refused(AMEND_CONSTRAINT, road, .keys = "sku=42", .set = "qty-=3", .bounds = "qty>=0");
 *
 * Lists are parted by ", ", keys (tried in order) by "; ". A value is the text
 * behind the sign; NULL stands for NULL. On "postgresql-generic" the road goes statement by
 * statement. All of it lasts until the test ends.
 */
#ifndef TESTS_RECORD_ASK_H
#define TESTS_RECORD_ASK_H

#include "engines.h"

#include <amend/amend.h>

struct road {
	struct engine *engine;
	struct amend_conn *db;
	struct amend_trace trace; /* counts round trips and statements */
	struct amend_table *table;
	struct amend_result result; /* of the last call */
	struct amend_error err;
	enum amend_status status;
};

/* `table` NULL: none yet. */
struct road *road_open(struct engine *engine, const char *table);
struct road *road_open_with(struct engine *engine, const char *url,
			    const struct amend_open_options *options, const char *table);
/* Without these feature bits, whatever the engine. */
struct road *road_open_hiding(struct engine *engine, unsigned hide, const char *table);
struct road *road_adopt(struct engine *engine, struct foreign *foreign, const char *table);
/* Reads the description (again). */
void road_table(struct road *road, const char *table);
void road_close(struct road *road); /* before the test's end */

struct asked {
	enum amend_mode mode; /* 0: AMEND_UPDATE */
	const char *keys;     /* "id=1", "remote=7; a=1, b=2" */
	const char *set;      /* "name=ada, qty+=3, qty-=3, note=NULL" */
	const char *on_create;
	const char *bounds; /* "qty>=0, qty<=9" */
	amend_compute_fn compute;
	void *context;
	const char *token, *version, *lease;
	const char *originals; /* "name=ada" */
	bool only_changed;
	enum amend_wait wait;
	bool want_token;
	const char *once;
	bool merge;
	const char *additive, *by_line, *by_key; /* "qty, n" */
};

enum amend_status road_write(struct road *road, const struct asked *asked);
enum amend_status road_delete(struct road *road, const struct asked *asked);
enum amend_status road_get(struct road *road, const char *key);
enum amend_status road_hold(struct road *road, const char *key, enum amend_strength strength,
			    enum amend_wait wait);
/* The record's token, in the engine's arena; fails the test when there is none. */
const char *road_token(struct road *road, const char *key);

#define ask(...) (&(const struct asked){__VA_ARGS__})
#define ok(road, ...) expect_ok(road_write(road, ask(__VA_ARGS__)), &(road)->err)
#define refused(expected, road, ...) \
	expect_status(expected, road_write(road, ask(__VA_ARGS__)), &(road)->err)

/* The last call's outcome and changed fields: "updated name: a -> b, qty: 1 -> 2". */
const char *road_said(struct road *road);
#define said(road, text) expect_text_at(road_said(road), text, #road, __FILE__, __LINE__)
/* Its record: "id=1 name=ada"; "" when there is none. */
const char *road_record(struct road *road);
/* A state of `road->table`, such as result.base, likewise; "unknown" for NULL. */
const char *road_state(struct road *road, const struct amend_value *values);
const char *road_incoming(struct road *road);
/* Of a merge: "title=incoming qty=conflict". */
const char *road_merge(struct road *road);

/* What amend_log shows, a line a change: "update id=1 name: a -> b". `key` NULL: all of the table. */
const char *road_history(struct road *road, const char *key);
#define history(road, key, text) \
	expect_text_at(road_history(road, key), text, #key, __FILE__, __LINE__)

/* Counts from now on. */
void road_count(struct road *road);

/* Runs `fn` as a unit of the road's connection. */
enum amend_status road_atomic(struct road *road, amend_unit_fn fn, void *context);

/* One value, as said() spells it. */
const char *road_value(struct engine *engine, const struct amend_value *value);

#endif

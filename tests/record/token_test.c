/*
 * Tokens that are not ours, not whole, not for this record, not of this time: none is accepted.
 * Leaves what a stale one shows to expect_test.c, and keys to key_test.c.
 */
#include "ask.h"

#include <stdlib.h>

#include <sodium.h>

#include "core/clock.h"
#include "record/token.h"

enum { BYTES = 69, PREFIX = 3 };

static struct road *open_docs(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE doc (id integer PRIMARY KEY, title text)");
	engine_exec(engine, "CREATE TABLE doc2 (id integer PRIMARY KEY, title text)");
	engine_exec(engine, "INSERT INTO doc VALUES (1, 'a'), (2, 'b')");
	engine_exec(engine, "INSERT INTO doc2 VALUES (1, 'a')");
	road = road_open(engine, "doc");
	return road;
}

/* Neither a write nor a deletion takes it, and nothing has happened. */
static void forged(struct road *road, const char *token)
{
	enum amend_status status = road_write(
		road, ask(.keys = "id=1", .set = "title=x", .token = token));

	if (status != AMEND_INVALID)
		fail_at(__FILE__, __LINE__, "%s: '%.200s'", amend_status_name(status), token);
	said(road, "rejected");
	expect_status(AMEND_INVALID, road_delete(road, ask(.keys = "id=1", .token = token)),
		      &road->err);
}

static void untouched(struct road *road)
{
	engine_expect(road->engine, "SELECT id, title FROM doc ORDER BY id", "1|a\n2|b");
	history(road, NULL, "");
}

static void decode(const char *token, unsigned char bytes[static BYTES])
{
	size_t size = 0;

	assert_int_equal(sodium_base642bin(bytes, BYTES, token + PREFIX, strlen(token + PREFIX),
					   NULL, &size, NULL,
					   sodium_base64_VARIANT_URLSAFE_NO_PADDING),
			 0);
	assert_int_equal(size, BYTES);
}

static const char *encode(struct engine *engine, const unsigned char *bytes, size_t size)
{
	char *text = amend_arena_alloc(engine_arena(engine), 2 * size + 16);

	memcpy(text, "a1.", PREFIX);
	sodium_bin2base64(text + PREFIX, 2 * size + 8, bytes, size,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return text;
}

static void every_bit(struct engine *engine)
{
	struct road *road = open_docs(engine);
	const char *token = road_token(road, "id=1");
	unsigned char bytes[BYTES];

	assert_int_equal(strlen(token), 95);
	for (size_t bit = 0; bit < 8 * BYTES; bit++) {
		decode(token, bytes);
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		forged(road, encode(engine, bytes, BYTES));
	}
	untouched(road);
	/* The one that they were made of is good. */
	decode(token, bytes);
	expect_text(encode(engine, bytes, BYTES), token);
	ok(road, .keys = "id=1", .set = "title=x", .token = token);
}

static void every_length(struct engine *engine)
{
	struct road *road = open_docs(engine);
	const char *token = road_token(road, "id=1");
	unsigned char bytes[BYTES + 3] = {0};

	for (size_t size = 0; size < strlen(token); size++)
		forged(road, engine_printf(engine, "%.*s", (int)size, token));
	for (int i = 1; i < 5; i++)
		forged(road, engine_printf(engine, "%s%.*s", token, i, "AAAA"));
	decode(token, bytes);
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		if (size != BYTES)
			forged(road, encode(engine, bytes, size));
	}
	forged(road, engine_printf(engine, "%s%s", token, token));
	forged(road, engine_printf(engine, "%s%s", token, token + PREFIX));
	untouched(road);
}

static void huge(struct engine *engine)
{
	struct road *road = open_docs(engine);
	char *text = malloc((1 << 20) + 1);

	assert_non_null(text);
	memset(text, 'A', 1 << 20);
	memcpy(text, "a1.", PREFIX);
	text[1 << 20] = '\0';
	forged(road, text);
	free(text);
	untouched(road);
}

/* Base64 has other spellings of the same bytes, and people have their own ways with quotes. */
static void other_spellings(struct engine *engine)
{
	static const char *const frames[] = {
		"%s=",     "%s==",        "%s\n",       "%s\r\n",
		" %s",     "%s ",         "\t%s",       "\"%s\"",
		"'%s'",    "W/%s",        "%s,%s",      "W/\"%s",
		"<%s>",    "%s\v",        "%s\xc2\xa0", "\xef\xbb\xbf%s",
		"%%%s",    "a1.%s",       "*",          "",
		" ",       "0",           "null",       "a1.",
		"a1",      "a1..",        "%s.",        "1",
		"a1.====", "-1",          "NULL",       "true",
		"{}",      "a1.\xff\xff", "%s\x01",
	};
	struct road *road = open_docs(engine);
	const char *token = road_token(road, "id=1"), *body = token + PREFIX;
	char copy[128];

	for (size_t i = 0; i < COUNT(frames); i++) {
		const char *at = strstr(frames[i], "%s");

		if (at)
			forged(road, engine_printf(engine, "%.*s%s%s", (int)(at - frames[i]),
						   frames[i], token, at + 2));
		else
			forged(road, frames[i]);
	}
	forged(road, body);
	forged(road, engine_printf(engine, "A1.%s", body));
	forged(road, engine_printf(engine, "a2.%s", body));
	forged(road, engine_printf(engine, "a1:%s", body));
	/* Other letters of the same length, at each place: case, +/ for -_, a blank, a sign. */
	for (size_t i = 0; i < strlen(token); i++) {
		for (const char *c = "Az09+/-_=. \n%\x7f"; *c; c++) {
			memcpy(copy, token, strlen(token) + 1);
			if (copy[i] == *c)
				continue;
			copy[i] = *c;
			forged(road, copy);
		}
		memcpy(copy, token, strlen(token) + 1);
		copy[i] ^= 0x20;
		forged(road, copy);
	}
	untouched(road);
}

/* A splice is one of the two where what it takes from the other is equal: as the last byte is in one of 256 runs. */
static void refused_spliced(struct road *road, const unsigned char *head, const unsigned char *tail,
			    size_t cut)
{
	unsigned char both[BYTES];

	memcpy(both, head, cut);
	memcpy(both + cut, tail + cut, BYTES - cut);
	if (memcmp(both, head, BYTES) != 0 && memcmp(both, tail, BYTES) != 0)
		forged(road, encode(road->engine, both, BYTES));
}

/* Halves of two good ones, cut anywhere. */
static void spliced(struct engine *engine)
{
	struct road *road = open_docs(engine);
	unsigned char one[BYTES], two[BYTES];
	const char *first = road_token(road, "id=1"), *second = road_token(road, "id=2");

	decode(first, one);
	decode(second, two);
	for (size_t cut = 1; cut < BYTES; cut++) {
		refused_spliced(road, one, two, cut);
		refused_spliced(road, two, one, cut);
	}
	untouched(road);
}

static void of_another_record_or_table(struct engine *engine)
{
	struct road *road = open_docs(engine);
	const char *token = road_token(road, "id=2");

	forged(road, token);
	expect_contains(road->err.text, "another record");
	/* The same name, key and values, in another table. */
	road_table(road, "doc2");
	token = road_token(road, "id=1");
	road_table(road, "doc");
	forged(road, token);
	expect_contains(road->err.text, "this table");
	untouched(road);
}

static void of_another_database(struct engine *engine)
{
	struct road *road = open_docs(engine);
	const char *token = road_token(road, "id=1");

	/* Another ledger, with its own key of the same number. */
	engine_exec(engine,
		    engine_pick3(
			    engine, "UPDATE amend_token_key SET secret = lower(hex(randomblob(32)))",
			    "UPDATE amend.token_key SET secret = md5(random()::text) || "
			    "md5(random()::text)",
			    "UPDATE amend_token_key SET secret = lower(hex(random_bytes(32)))"));
	road_close(road);
	road = road_open(engine, "doc");
	forged(road, token);
	untouched(road);
}

/* Signed with the right key, at another time. */
static const char *issued_at(struct road *road, int64_t when)
{
	struct amend_arena *arena = engine_arena(road->engine);
	struct amend_row row = {.pk = "{\"id\":1}"};
	struct amend_token token;
	const char *text;

	expect_ok(road_get(road, "id=1"), &road->err);
	row.values = road->result.record;
	expect_ok(amend_token_of(road->table, &row, 0, &token, &road->err), &road->err);
	token.issued = when;
	expect_ok(amend_token_write(road->db, road->table, &token, arena, &text, &road->err),
		  &road->err);
	return text;
}

static void expired_and_future(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct road *road = open_docs(engine), *brief;
	/* The time of issue is rounded down to a 16th of the lifetime: under two days. */
	int64_t now = amend_clock_now(), day = 86400, month = 30 * day;

	forged(road, issued_at(road, now - month - 10));
	expect_contains(road->err.text, "expired");
	forged(road, issued_at(road, 0));
	forged(road, issued_at(road, now + 3 * day));
	expect_contains(road->err.text, "future");
	forged(road, issued_at(road, (INT64_C(1) << 40) - 1));
	untouched(road);
	ok(road, .keys = "id=1", .set = "title=b", .token = issued_at(road, now - month + 2 * day));
	ok(road, .keys = "id=1", .set = "title=c", .token = issued_at(road, now + 60));
	options.token_lifetime = 60;
	brief = road_open_with(engine, NULL, &options, "doc");
	forged(brief, issued_at(brief, now - 100));
	ok(brief, .keys = "id=1", .set = "title=d", .token = issued_at(brief, now - 10));
}

/* Made by somebody who knows how, but has no key, or one that says it is number 0 or 2^32 - 1. */
static void made_up(struct engine *engine)
{
	static const uint32_t ids[] = {0, 1, 2, 255, 0x7fffffff, 0xffffffff};
	struct road *road = open_docs(engine);
	unsigned char bytes[BYTES];

	decode(road_token(road, "id=1"), bytes);
	for (size_t i = 0; i < COUNT(ids); i++) {
		for (size_t j = 0; j < 4; j++)
			bytes[1 + j] = (unsigned char)(ids[i] >> (24 - 8 * j));
		for (int k = 0; k < 3; k++) {
			if (k == 2)
				randombytes_buf(bytes + BYTES - 16, 16);
			else
				memset(bytes + BYTES - 16, k ? 0xff : 0, 16);
			forged(road, encode(engine, bytes, BYTES));
		}
	}
	memset(bytes, 0, BYTES);
	forged(road, encode(engine, bytes, BYTES));
	memset(bytes, 0xff, BYTES);
	forged(road, encode(engine, bytes, BYTES));
	untouched(road);
}

static enum amend_status write_and_fail(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	ok(road, .keys = "id=1", .set = "title=b", .want_token = true);
	return amend_error_set(err, AMEND_INVALID, "no");
}

/* The unit that made the ledger read the key that it made. The next one makes another, of the same number. */
static void key_of_a_ledger_that_was_undone(struct engine *engine)
{
	struct road *road = open_docs(engine), *other;

	expect_status(AMEND_INVALID, road_atomic(road, write_and_fail, road), &road->err);
	ok(road, .keys = "id=1", .set = "title=c", .want_token = true);
	other = road_open(engine, "doc");
	ok(other, .keys = "id=1", .set = "title=d",
	   .token = engine_printf(engine, "%s", road->result.token));
}

static const struct engine_test tests[] = {
	{"a token signed after the unit that made the ledger was undone",
	 key_of_a_ledger_that_was_undone, .needs = AMEND_HAS_DDL_ROLLBACK},
	{"a token with any bit flipped is refused", every_bit},
	{"a token of any other length is refused", every_length},
	{"a token of a megabyte is refused", huge},
	{"other spellings of a token are refused", other_spellings},
	{"a token spliced from two is refused", spliced},
	{"a token of another record, or another table, is refused", of_another_record_or_table},
	{"a token of another database is refused", of_another_database},
	{"a token expired, or from the future, is refused", expired_and_future},
	{"a token made up is refused", made_up},
};

ENGINE_MAIN(tests)

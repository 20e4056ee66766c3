/*
 * The pure merges: fields, sums, JSON, text: tables of cases, and random ones for what must hold of all.
 * Leaves the comparison with git to text_merge_test.c, records to tests/record.
 */
#include "checks.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "memory.h"
#include "merge/json_tree.h"
#include "merge/merge.h"

/* "NULL" is NULL. */
static struct amend_value value_of(const char *text)
{
	return strcmp(text, "NULL") == 0 ? amend_null() : amend_text(text);
}

/* A sequence that is the same each time. */
static unsigned next_random(uint64_t *state, unsigned below)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(*state >> 33) % below;
}

/* --- Fields --- */

static void fields_go_by_who_moved_them(void **state)
{
	static const struct {
		const char *base, *current, *incoming;
		enum amend_verdict verdict;
	} cases[] = {
		{"a", "a", "a", AMEND_VERDICT_SAME},    {"a", "b", "b", AMEND_VERDICT_SAME},
		{"a", "b", "a", AMEND_VERDICT_CURRENT}, {"a", "a", "b", AMEND_VERDICT_INCOMING},
		{"a", "b", "c", AMEND_VERDICT_CLASH},   {"NULL", "a", "b", AMEND_VERDICT_CLASH},
		{"", "NULL", "a", AMEND_VERDICT_CLASH}, {"NULL", "", "NULL", AMEND_VERDICT_CURRENT},
		{"a", "NULL", "", AMEND_VERDICT_CLASH}, {NULL, "a", "a", AMEND_VERDICT_SAME},
		{NULL, "", "a", AMEND_VERDICT_UNKNOWN}, {NULL, "NULL", "a", AMEND_VERDICT_INCOMING},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_value base = value_of(cases[i].base ? cases[i].base : "");
		struct amend_value current = value_of(cases[i].current);
		struct amend_value incoming = value_of(cases[i].incoming);

		if (amend_merge_field(cases[i].base ? &base : NULL, &current, &incoming) !=
		    cases[i].verdict)
			fail_msg("case %zu", i);
	}
}

static void fields_mirror(void **state)
{
	static const enum amend_verdict mirror[] = {
		[AMEND_VERDICT_SAME] = AMEND_VERDICT_SAME,
		[AMEND_VERDICT_CURRENT] = AMEND_VERDICT_INCOMING,
		[AMEND_VERDICT_INCOMING] = AMEND_VERDICT_CURRENT,
		[AMEND_VERDICT_CLASH] = AMEND_VERDICT_CLASH,
	};
	const struct amend_value values[] = {amend_null(),     amend_text(""),  amend_text("1"),
					     amend_integer(1), amend_real(1.0), amend_blob("1", 1)};

	(void)state;
	for (size_t i = 0; i < COUNT(values) * COUNT(values) * COUNT(values); i++) {
		const struct amend_value *b = &values[i % COUNT(values)];
		const struct amend_value *c = &values[i / COUNT(values) % COUNT(values)];
		const struct amend_value *x = &values[i / COUNT(values) / COUNT(values)];

		assert_int_equal(amend_merge_field(b, x, c), mirror[amend_merge_field(b, c, x)]);
	}
}

/* --- Numbers --- */

static void differences_are_exact_in_decimal(void **state)
{
	static const struct {
		const char *base, *incoming, *difference; /* NULL: there is none */
	} cases[] = {
		{"1.50", "1.60", "0.10"},
		{"1.60", "1.50", "-0.10"},
		{"0.1", "0.3", "0.2"},
		{"10", "7", "-3"},
		{"-5", "5", "10"},
		{"5", "-5", "-10"},
		{"-0.5", "-0.25", "0.25"},
		{"99", "100.001", "1.001"},
		{"0", "-0.0", "0.0"},
		{"1e3", "1001", "1"},
		{"1.5e-3", "0.002", "0.0005"},
		{"12e-1", "1.2", "0.0"},
		{".5", "1.", "0.5"},
		{"+1", "2", "1"},
		{"123456789012345678901234567890.12", "123456789012345678901234567891.13", "1.01"},
		{"9223372036854775808", "-1", "-9223372036854775809"},
		{"NaN", "1", NULL},
		{"1", "Infinity", NULL},
		{"", "1", NULL},
		{"1", "", NULL},
		{"NULL", "1", NULL},
		{"1", "NULL", NULL},
		{"1,5", "2", NULL},
		{"1e", "2", NULL},
		{"1e99999", "2", NULL},
		{".", "2", NULL},
		{"-", "2", NULL},
		{"0x10", "2", NULL},
		{" 1", "2", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_arena arena = AMEND_ARENA_INIT;
		struct amend_value base = value_of(cases[i].base), out = amend_null();
		struct amend_value incoming = value_of(cases[i].incoming);
		const char *why = NULL;
		enum amend_merged merged = amend_merge_difference(&base, &incoming, &arena, &out,
								  &why);

		assert_int_equal(merged == AMEND_MERGED_CLEAN, cases[i].difference != NULL);
		assert_int_equal(merged == AMEND_MERGED_CLASH, why != NULL);
		if (cases[i].difference)
			expect_text(amend_arena_text_n(&arena, out.as.text, out.size),
				    cases[i].difference);
		amend_arena_release(&arena);
	}
}

static void whole_numbers_stay_whole(void **state)
{
	const struct amend_value low = amend_integer(INT64_MIN), one = amend_integer(1);
	const struct amend_value tenth = amend_real(0.1), three = amend_real(0.3);
	const struct amend_value never = amend_real((double)INFINITY);
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_value out;
	const char *why = NULL;

	(void)state;
	assert_int_equal(amend_merge_difference(&one, &low, &arena, &out, &why), AMEND_MERGED_CLASH);
	expect_text(why, "the difference is too large");
	assert_int_equal(amend_merge_sum(&low, &one, &arena, &out, &why), AMEND_MERGED_CLEAN);
	assert_int_equal(out.as.integer, INT64_MIN + 1);
	/* Not 0.19999999999999998. */
	assert_int_equal(amend_merge_difference(&tenth, &three, &arena, &out, &why),
			 AMEND_MERGED_CLEAN);
	expect_text(out.as.text, "0.2");
	assert_int_equal(amend_merge_sum(&tenth, &never, &arena, &out, &why), AMEND_MERGED_CLASH);
	amend_arena_release(&arena);
}

static const char *decimal(struct amend_arena *arena, int64_t hundredths)
{
	return amend_arena_printf(arena, "%s%" PRId64 ".%02d", hundredths < 0 ? "-" : "",
				  (int64_t)llabs(hundredths) / 100, (int)(llabs(hundredths) % 100));
}

/* In any order the same comes out, and it is what whole numbers come to. */
static void differences_add_up_in_any_order(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct amend_arena arena = AMEND_ARENA_INIT;
		int64_t n[3];
		struct amend_value v[3], first, second, sum;
		const char *why = NULL;

		for (size_t k = 0; k < 3; k++) {
			n[k] = (int64_t)next_random(&random, 2000000) - 1000000;
			v[k] = amend_text(decimal(&arena, n[k]));
		}
		assert_int_equal(amend_merge_difference(&v[0], &v[1], &arena, &first, &why), 0);
		assert_int_equal(amend_merge_difference(&v[0], &v[2], &arena, &second, &why), 0);
		assert_int_equal(amend_merge_sum(&v[2], &first, &arena, &first, &why), 0);
		assert_int_equal(amend_merge_sum(&v[1], &second, &arena, &sum, &why), 0);
		expect_text(first.as.text, decimal(&arena, n[1] + n[2] - n[0]));
		expect_text(sum.as.text, first.as.text);
		amend_arena_release(&arena);
	}
}

/* --- JSON --- */

static bool same_document(struct amend_arena *arena, const struct amend_value *a,
			  const struct amend_value *b)
{
	bool no_memory;
	const struct amend_json_node *x = amend_json_tree(a->as.text, a->size, arena, &no_memory);
	const struct amend_json_node *y = amend_json_tree(b->as.text, b->size, arena, &no_memory);

	return x && y && amend_json_same(x, y);
}

static void documents_merge_by_key(void **state)
{
	static const struct {
		const char *base, *current, *incoming, *merged; /* "!why" */
	} cases[] = {
		{"{}", "{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}"},
		{"{\"a\":1,\"b\":2}", "{\"a\":1}", "{\"a\":3,\"b\":2}", "{\"a\":3}"},
		{"{\"a\":1}", "{\"a\":2}", "{\"a\":2}", "{\"a\":2}"},
		{"{\"a\":1}", "{\"a\":2}", "{\"a\":3}", "!both changed a"},
		{"{\"a\":1}", "{}", "{\"a\":3}", "!both changed a"},
		{"{\"a\":1}", "{}", "{}", "{}"},
		{"{}", "{\"a\":1}", "{\"a\":2}", "!both changed a"},
		/* Not there, null and empty are three things. */
		{"{\"a\":null}", "{}", "{\"a\":null,\"b\":1}", "{\"b\":1}"},
		{"{}", "{\"a\":null}", "{\"a\":\"\"}", "!both changed a"},
		{"{\"a\":\"\"}", "{\"a\":null}", "{\"a\":\"\",\"b\":{}}", "{\"a\":null,\"b\":{}}"},
		/* Into objects that all three have. */
		{"{\"o\":{\"x\":1,\"y\":1}}", "{\"o\":{\"x\":2,\"y\":1}}",
		 "{\"o\":{\"x\":1,\"y\":3}}", "{\"o\":{\"x\":2,\"y\":3}}"},
		{"{\"o\":{\"x\":1}}", "{\"o\":{\"x\":2}}", "{\"o\":{\"x\":3}}", "!both changed o.x"},
		{"{}", "{\"o\":{\"x\":2}}", "{\"o\":{\"y\":3}}", "!both changed o"},
		{"{\"o\":{}}", "{\"o\":[]}", "{\"o\":{\"y\":3}}", "!both changed o"},
		/* Arrays are one thing. */
		{"{\"l\":[1,2]}", "{\"l\":[1,2,3]}", "{\"l\":[1,2],\"k\":0}",
		 "{\"l\":[1,2,3],\"k\":0}"},
		{"{\"l\":[1]}", "{\"l\":[1,2]}", "{\"l\":[0,1]}", "!both changed l"},
		/* Numbers keep their text, and 1.0 is another text than 1. */
		{"{\"n\":1.50,\"m\":1}", "{\"n\":1.50,\"m\":9007199254740993}",
		 "{\"n\":1.500,\"m\":1}", "{\"n\":1.500,\"m\":9007199254740993}"},
		/* White space, order and escapes are no change. */
		{"{\"a\" : \"\\u00e9\", \"b\":1}", "{\"b\":1,\"a\":\"\xc3\xa9\"}",
		 "{\"a\":\"\\u00e9\",\"b\":2}", "{\"b\":2,\"a\":\"\xc3\xa9\"}"},
		{"{\"a\":\"\\ud83d\\ude00\\n\\/\"}", "{\"a\":\"\xf0\x9f\x98\x80\\u000a/\"}",
		 "{\"a\":\"\\ud83d\\ude00\\n\\/\",\"b\":[ ]}",
		 "{\"a\":\"\xf0\x9f\x98\x80\\u000a/\",\"b\":[ ]}"},
		/* What is no object is not merged. */
		{"{}", "[]", "{\"a\":1}", "!it is not a JSON object on every side"},
		{"NULL", "{\"a\":1}", "{\"b\":1}", "!it is not a JSON object on every side"},
		{"{}", "{\"a\":1}", "{\"b\":1", "!it is not a JSON object on every side"},
		{"{}", "{\"a\":1,\"a\":2}", "{\"b\":1}", "!it is not a JSON object on every side"},
		{"{}", "{\"a\":01}", "{\"b\":1}", "!it is not a JSON object on every side"},
		{"{}", "{\"a\":1,}", "{\"b\":1}", "!it is not a JSON object on every side"},
		{"{}", "{\"a\":\"\\x\"}", "{\"b\":1}", "!it is not a JSON object on every side"},
		{"{}", "{} {}", "{\"b\":1}", "!it is not a JSON object on every side"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_arena arena = AMEND_ARENA_INIT;
		const struct amend_value base = value_of(cases[i].base);
		const struct amend_value current = value_of(cases[i].current);
		const struct amend_value incoming = value_of(cases[i].incoming);
		struct amend_value out = amend_null(), mirror = amend_null();
		const char *why = NULL, *why_not = NULL;
		enum amend_merged merged = amend_merge_json(&base, &current, &incoming, &arena,
							    &out, &why);

		assert_int_equal(
			amend_merge_json(&base, &incoming, &current, &arena, &mirror, &why_not),
			merged);
		if (cases[i].merged[0] == '!') {
			assert_int_equal(merged, AMEND_MERGED_CLASH);
			expect_text(why, cases[i].merged + 1);
			expect_text(why_not, why);
		} else {
			assert_int_equal(merged, AMEND_MERGED_CLEAN);
			expect_text(out.as.text, cases[i].merged);
			assert_true(same_document(&arena, &out, &mirror));
		}
		amend_arena_release(&arena);
	}
}

static void deep_and_large_documents_are_left_alone(void **state)
{
	enum { DEEP = 5000, LARGE = AMEND_MERGE_MOST + 1 };
	struct amend_value base = amend_text("{}"), other = amend_text("{\"a\":1}"), out;
	struct amend_arena arena = AMEND_ARENA_INIT;
	char *text = malloc(LARGE);
	const char *why = NULL;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < DEEP; i++)
		memcpy(text + 5 * i, "{\"a\":", 5);
	out = amend_text_n(text, (size_t)5 * DEEP);
	assert_int_equal(amend_merge_json(&base, &out, &other, &arena, &out, &why),
			 AMEND_MERGED_CLASH);
	memset(text, ' ', LARGE);
	memcpy(text, "{}", 2);
	out = amend_text_n(text, LARGE);
	assert_int_equal(amend_merge_json(&base, &out, &other, &arena, &out, &why),
			 AMEND_MERGED_CLASH);
	expect_text(why, "it is larger than 1 MiB");
	free(text);
	amend_arena_release(&arena);
}

/* What each of eight keys holds, nested in twos: 0 is nothing. */
static const char *document(struct amend_arena *arena, const unsigned values[8])
{
	char *text = amend_arena_alloc(arena, 400), *at = text;

	at += sprintf(at, "{");
	for (int i = 0; i < 8; i++) {
		if (i % 2 == 0)
			at += sprintf(at, "%s\"o%d\":{", i ? "," : "", i / 2);
		if (values[i])
			at += sprintf(at, "%s\"k%d\":%u", at[-1] == '{' ? "" : ",", i, values[i]);
		if (i % 2 == 1)
			at += sprintf(at, "}");
	}
	sprintf(at, "}");
	return text;
}

/* Key by key it is the merge of fields: nothing agreed on is lost, nothing is invented. */
static void random_documents_merge_as_their_keys_do(void **state)
{
	uint64_t random = 7;
	int clean = 0;

	(void)state;
	for (int n = 0; n < 5000; n++) {
		struct amend_arena arena = AMEND_ARENA_INIT;
		unsigned sides[4][8];
		struct amend_value v[4], out = amend_null(), mirror = amend_null();
		const char *why = NULL;
		bool clash = false;

		for (int i = 0; i < 8; i++) {
			sides[0][i] = next_random(&random, 3);
			for (int s = 1; s < 3; s++)
				sides[s][i] = next_random(&random, 5) ? sides[0][i]
								      : next_random(&random, 4);
			sides[3][i] = sides[1][i] == sides[0][i] ? sides[2][i] : sides[1][i];
			clash = clash || (sides[1][i] != sides[0][i] &&
					  sides[2][i] != sides[0][i] && sides[1][i] != sides[2][i]);
		}
		for (int s = 0; s < 4; s++)
			v[s] = amend_text(document(&arena, sides[s]));
		assert_int_equal(amend_merge_json(&v[0], &v[1], &v[2], &arena, &out, &why),
				 clash ? AMEND_MERGED_CLASH : AMEND_MERGED_CLEAN);
		assert_int_equal(amend_merge_json(&v[0], &v[2], &v[1], &arena, &mirror, &why),
				 clash ? AMEND_MERGED_CLASH : AMEND_MERGED_CLEAN);
		if (!clash) {
			clean++;
			assert_true(same_document(&arena, &out, &v[3]));
			assert_true(same_document(&arena, &mirror, &v[3]));
		}
		amend_arena_release(&arena);
	}
	assert_true(clean > 1000 && clean < 4900);
}

/* --- Text --- */

static void text_merges_by_line(void **state)
{
	static const struct {
		const char *base, *current, *incoming, *merged; /* "!why" */
	} cases[] = {
		{"a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n", "A\nb\nc\nD\n"},
		{"a\nb\n", "a\nx\nb\n", "a\nx\nb\n", "a\nx\nb\n"},
		{"a\nb\n", "a\nx\nb\n", "a\ny\nb\n", "!both changed the same lines"},
		/* No final newline is invented, none is lost. */
		{"a\nb\nc\nd", "A\nb\nc\nd", "a\nb\nc\nD", "A\nb\nc\nD"},
		{"a\nb\nc\nd", "A\nb\nc\nd", "a\nb\nc\nd\n", "A\nb\nc\nd\n"},
		{"a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nd", "A\nb\nc\nd"},
		/* CRLF stays, where it is. */
		{"a\r\nb\r\nc\r\nd", "A\r\nb\r\nc\r\nd", "a\r\nb\r\nc\r\nD", "A\r\nb\r\nc\r\nD"},
		{"a\nb\nc\nd\n", "a\r\nb\nc\nd\n", "a\nb\nc\nD\n", "a\r\nb\nc\nD\n"},
		{"a\n\n\nd\n", "a\n\n\nd\ne\n", "\n\nd\n", "\n\nd\ne\n"},
		{"", "a\n", "a\n", "a\n"},
		{"", "a\n", "b\n", "!both changed the same lines"},
		{"a\n", "", "a\nb\n", "!both changed the same lines"},
		{"NULL", "a\n", "b\n", "!it is NULL on one side"},
		{"a\n", "NULL", "b\n", "!it is NULL on one side"},
	};

	(void)state;
	if (!amend_merge_has_text()) {
		say_left_out(__func__, "built without libgit2");
		return;
	}
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_arena arena = AMEND_ARENA_INIT;
		const struct amend_value base = value_of(cases[i].base);
		const struct amend_value current = value_of(cases[i].current);
		const struct amend_value incoming = value_of(cases[i].incoming);
		struct amend_value out = amend_null(), mirror = amend_null();
		const char *why = NULL;
		enum amend_merged merged = amend_merge_text(&base, &incoming, &current, &arena,
							    &mirror, &why);

		assert_int_equal(amend_merge_text(&base, &current, &incoming, &arena, &out, &why),
				 merged);
		if (cases[i].merged[0] == '!') {
			assert_int_equal(merged, AMEND_MERGED_CLASH);
			expect_text(why, cases[i].merged + 1);
		} else {
			assert_int_equal(merged, AMEND_MERGED_CLEAN);
			expect_text(out.as.text, cases[i].merged);
			assert_true(amend_value_equal(&out, &mirror));
		}
		amend_arena_release(&arena);
	}
}

static void bytes_and_large_texts_are_left_alone(void **state)
{
	const struct amend_value base = amend_text("a\n"), nul = amend_text_n("a\0\n", 3);
	const struct amend_value blob = amend_blob("a\n", 2);
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_value large, out;
	const char *why = NULL;
	char *text = malloc(AMEND_MERGE_MOST + 1);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', AMEND_MERGE_MOST + 1);
	large = amend_text_n(text, AMEND_MERGE_MOST + 1);
	if (amend_merge_has_text()) {
		assert_int_equal(amend_merge_text(&base, &nul, &base, &arena, &out, &why),
				 AMEND_MERGED_CLASH);
		expect_text(why, "it is not text");
		assert_int_equal(amend_merge_text(&base, &base, &blob, &arena, &out, &why),
				 AMEND_MERGED_CLASH);
		expect_text(why, "it is not text");
		assert_int_equal(amend_merge_text(&base, &large, &base, &arena, &out, &why),
				 AMEND_MERGED_CLASH);
		expect_text(why, "it is larger than 1 MiB");
		large.size--;
		assert_int_equal(amend_merge_text(&base, &large, &base, &arena, &out, &why),
				 AMEND_MERGED_CLEAN);
	}
	free(text);
	amend_arena_release(&arena);
}

/* --- Memory --- */

static enum amend_merged difference(struct amend_arena *arena)
{
	const struct amend_value base = amend_text("1.5"), incoming = amend_text("2e-3");
	struct amend_value out;
	const char *why;

	return amend_merge_difference(&base, &incoming, arena, &out, &why);
}

static enum amend_merged json(struct amend_arena *arena)
{
	const struct amend_value base = amend_text("{\"a\":{\"x\":\"1\",\"y\":[1,2]}}");
	const struct amend_value current = amend_text("{\"a\":{\"x\":\"2\",\"y\":[1,2]},\"b\":1}");
	const struct amend_value incoming = amend_text("{\"a\":{\"x\":\"1\",\"y\":[1]},\"c\":{}}");
	struct amend_value out;
	const char *why;

	return amend_merge_json(&base, &current, &incoming, arena, &out, &why);
}

static void each_survives_every_failed_allocation(void **state)
{
	enum amend_merged (*const cases[])(struct amend_arena *) = {difference, json};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (unsigned n = 1;; n++) {
			struct amend_arena arena = AMEND_ARENA_INIT;
			long live = memory_live();
			enum amend_merged merged;
			bool failed;

			memory_fail(n);
			merged = cases[i](&arena);
			failed = memory_failed();
			amend_arena_release(&arena);
			assert_int_equal(merged,
					 failed ? AMEND_MERGED_NO_MEMORY : AMEND_MERGED_CLEAN);
			assert_int_equal(memory_live(), live);
			if (!failed) {
				assert_true(n > 1);
				break;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_go_by_who_moved_them),
		cmocka_unit_test(fields_mirror),
		cmocka_unit_test(differences_are_exact_in_decimal),
		cmocka_unit_test(whole_numbers_stay_whole),
		cmocka_unit_test(differences_add_up_in_any_order),
		cmocka_unit_test(documents_merge_by_key),
		cmocka_unit_test(deep_and_large_documents_are_left_alone),
		cmocka_unit_test(random_documents_merge_as_their_keys_do),
		cmocka_unit_test(text_merges_by_line),
		cmocka_unit_test(bytes_and_large_texts_are_left_alone),
		cmocka_unit_test(each_survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Core: arenas, buffers, values, and that each survives every failed allocation.
 * Leaves errors to error_test.c, and what is made of all this to the layers' own tests.
 */
#include "checks.h"

#include <math.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/buffer.h"
#include "core/json_text.h"
#include "core/rows.h"
#include "memory.h"

/* --- Arenas --- */

static void arena_hands_out_aligned_zeroed_pieces(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 16, 17, 2047, 2048, 2049, 100000, 3u << 20, 1};
	struct amend_arena arena = AMEND_ARENA_INIT;
	unsigned char *pieces[COUNT(sizes)];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		pieces[i] = amend_arena_alloc(&arena, sizes[i]);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(pieces[i][k], 0);
		memset(pieces[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < COUNT(sizes); i++) { /* none has moved or was handed out twice */
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(pieces[i][k], i + 1);
	}
	amend_arena_release(&arena);
	assert_int_equal(arena.total, 0);
	amend_arena_release(&arena);
}

static void arena_refuses_sizes_that_overflow(void **state)
{
	static const struct {
		size_t count, size;
	} cases[] = {{SIZE_MAX, 2},
		     {SIZE_MAX / 2 + 1, 2},
		     {2, SIZE_MAX},
		     {1, SIZE_MAX},
		     {1, SIZE_MAX - 8}};
	struct amend_arena arena = AMEND_ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_null(amend_arena_array(&arena, cases[i].count, cases[i].size));
	assert_null(amend_arena_text_n(&arena, "", SIZE_MAX));
	assert_non_null(amend_arena_array(&arena, 0, SIZE_MAX));
	amend_arena_release(&arena);
}

static void arena_copies_texts(void **state)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	const char *copy;

	(void)state;
	expect_text(amend_arena_text(&arena, ""), "");
	expect_text(amend_arena_text(&arena, "Zürich"), "Zürich");
	expect_text(amend_arena_text_n(&arena, "abcdef", 3), "abc");
	expect_text(amend_arena_text_n(&arena, NULL, 0), "");
	copy = amend_arena_text_n(&arena, "a\0b", 3);
	assert_memory_equal(copy, "a\0b", 4);
	expect_text(amend_arena_printf(&arena, "%s-%d", "x", 7), "x-7");
	copy = amend_arena_printf(&arena, "%5000d", 1);
	assert_int_equal(strlen(copy), 5000);
	amend_arena_release(&arena);
}

/* --- Buffers --- */

static void buffer_grows_by_any_steps(void **state)
{
	static const size_t steps[] = {0, 1, 126, 127, 128, 129, 1000, 65536};

	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct amend_buffer buffer = AMEND_BUFFER_INIT;
		char *piece = calloc(1, steps[i] + 1);

		assert_non_null(piece);
		memset(piece, 'x', steps[i]);
		for (size_t k = 0; k < 9; k++) {
			amend_buffer_add(&buffer, piece, steps[i]);
			amend_buffer_char(&buffer, '.');
			assert_int_equal(buffer.size, (steps[i] + 1) * (k + 1));
			assert_int_equal(buffer.data[buffer.size - 1], '.');
			assert_int_equal(buffer.data[buffer.size], '\0');
		}
		assert_int_equal(strlen(amend_buffer_string(&buffer)), (steps[i] + 1) * 9);
		free(piece);
		amend_buffer_release(&buffer);
	}
}

static void buffer_is_text_and_starts_over(void **state)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	size_t room;

	(void)state;
	expect_text(amend_buffer_string(&buffer), "");
	amend_buffer_printf(&buffer, "%s", "");
	expect_text(amend_buffer_string(&buffer), "");
	amend_buffer_text(&buffer, "a");
	amend_buffer_printf(&buffer, "%300d|", 1);
	assert_int_equal(buffer.size, 302);
	room = buffer.room;
	amend_buffer_reset(&buffer);
	expect_text(amend_buffer_string(&buffer), "");
	assert_int_equal(buffer.room, room);
	amend_buffer_release(&buffer);
	amend_buffer_release(&buffer);
}

static void buffer_fails_stickily(void **state)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	volatile size_t huge = SIZE_MAX / 2; /* hidden from the compiler, which would warn */

	(void)state;
	amend_buffer_text(&buffer, "kept");
	amend_buffer_add(&buffer, "x", huge); /* nothing is read */
	assert_true(buffer.failed);
	assert_null(amend_buffer_string(&buffer));
	amend_buffer_text(&buffer, "more");
	amend_buffer_printf(&buffer, "%d", 1);
	amend_buffer_char(&buffer, 'c');
	assert_null(amend_buffer_string(&buffer));
	assert_int_equal(buffer.size, 4);
	amend_buffer_reset(&buffer);
	amend_buffer_text(&buffer, "again");
	expect_text(amend_buffer_string(&buffer), "again");
	amend_buffer_release(&buffer);
}

/* --- Values --- */

static const double not_a_number = (double)NAN;

static void values_are_equal_byte_by_byte(void **state)
{
	const struct {
		struct amend_value a, b;
		bool equal;
	} cases[] = {
		{amend_null(), amend_null(), true},
		{amend_null(), amend_text(""), false},
		{amend_text(NULL), amend_null(), true},
		{amend_integer(0), amend_integer(0), true},
		{amend_integer(INT64_MIN), amend_integer(INT64_MAX), false},
		{amend_integer(1), amend_text("1"), false},
		{amend_integer(1), amend_real(1), false},
		{amend_real(0.0), amend_real(-0.0), false},
		{amend_real(not_a_number), amend_real(not_a_number), true},
		{amend_real(0.1 + 0.2), amend_real(0.3), false},
		{amend_text("a"), amend_text("a"), true},
		{amend_text("a"), amend_text("A"), false},
		{amend_text("a"), amend_text("a "), false},
		{amend_text(""), amend_text_n(NULL, 0), true},
		{amend_text_n("a\0b", 3), amend_text_n("a\0c", 3), false},
		{amend_text_n("a\0b", 3), amend_text("a"), false},
		{amend_text("a"), amend_blob("a", 1), false},
		{amend_blob("\0", 1), amend_blob("\0", 1), true},
		{amend_blob(NULL, 0), amend_blob("", 0), true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (amend_value_equal(&cases[i].a, &cases[i].b) != cases[i].equal ||
		    amend_value_equal(&cases[i].b, &cases[i].a) != cases[i].equal)
			fail_msg("case %zu: expected %d", i, cases[i].equal);
	}
}

static void blank_values_never_match(void **state)
{
	const struct {
		struct amend_value value;
		bool blank;
	} cases[] = {
		{amend_null(), true},
		{amend_text(""), true},
		{amend_text(" "), true},
		{amend_text(" \t\r\n\v\f "), true},
		{amend_text(" x "), false},
		{amend_text("\xc2\xa0"), false}, /* a no-break space is the application's own */
		{amend_text_n("\0", 1), false},
		{amend_text_n(" \0", 2), false},
		{amend_text_n(NULL, 0), true},
		{amend_integer(0), false},
		{amend_real(0), false},
		{amend_blob("", 0), false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (amend_value_blank(&cases[i].value) != cases[i].blank)
			fail_msg("case %zu: expected %d", i, cases[i].blank);
	}
}

static void count_release(void *extra)
{
	++*(int *)extra;
}

static void rows_release_what_they_own(void **state)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_rows_owner *owner = amend_rows_owner_new();
	int released = 0;

	(void)state;
	amend_rows_release(&rows);
	assert_non_null(owner);
	assert_non_null(amend_arena_text(&owner->arena, "text"));
	owner->extra = &released;
	owner->release = count_release;
	rows.owner = owner;
	rows.n_rows = 3;
	amend_rows_release(&rows);
	assert_int_equal(released, 1);
	assert_int_equal(rows.n_rows, 0);
	amend_rows_release(&rows);
	assert_int_equal(released, 1);
}

/* --- Memory runs out --- */

/* Each returns false where it was told that there is no memory. */
static bool use_arena(void)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	bool done = true;

	for (size_t i = 0; done && i < 200; i++)
		done = amend_arena_alloc(&arena, i * 10) != NULL;
	amend_arena_release(&arena);
	return done;
}

static bool use_arena_array(void)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	bool done = amend_arena_array(&arena, 1000, 8) && amend_arena_array(&arena, 100000, 8);

	amend_arena_release(&arena);
	return done;
}

static bool use_arena_texts(void)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	bool done = true;

	for (size_t i = 0; done && i < 100; i++)
		done = amend_arena_text(&arena, "some text") &&
		       amend_arena_printf(&arena, "%*d", (int)i * 20, 7);
	amend_arena_release(&arena);
	return done;
}

static bool use_arena_value(void)
{
	static const char large[10000];
	struct amend_value value = amend_blob(large, sizeof(large)), copy;
	struct amend_arena arena = AMEND_ARENA_INIT;
	bool done = amend_arena_value(&arena, &value, &copy) && amend_value_equal(&value, &copy);

	amend_arena_release(&arena);
	return done;
}

/* A failure leaves the arena as it was: what came before stays, and it can go on. */
static bool use_arena_after_failure(void)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	const char *before = amend_arena_text(&arena, "before");
	bool done = before && amend_arena_alloc(&arena, 5000);

	if (before && !done) {
		expect_text(before, "before");
		expect_text(amend_arena_text(&arena, "behind"), "behind");
	}
	amend_arena_release(&arena);
	return done;
}

static bool use_buffer(void)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	bool done;

	for (int i = 0; i < 500; i++) {
		amend_buffer_text(&buffer, "text");
		amend_buffer_char(&buffer, '-');
		amend_buffer_printf(&buffer, "%*d", i, i);
	}
	done = amend_buffer_string(&buffer) != NULL;
	assert_int_equal(done, !buffer.failed);
	amend_buffer_release(&buffer);
	return done;
}

static bool use_rows(void)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_rows_owner *owner = amend_rows_owner_new();
	bool done = owner && amend_arena_array(&owner->arena, 100, sizeof(struct amend_value));

	rows.owner = owner;
	amend_rows_release(&rows);
	return done;
}

static void every_operation_survives_every_failed_allocation(void **state)
{
	static const struct {
		const char *name;
		bool (*use)(void);
		unsigned at_least; /* allocations: fewer and the case tests nothing */
	} cases[] = {
		{"arena", use_arena, 5},
		{"arena array", use_arena_array, 2},
		{"arena texts", use_arena_texts, 4},
		{"arena value", use_arena_value, 1},
		{"arena after failure", use_arena_after_failure, 2},
		{"buffer", use_buffer, 8},
		{"rows", use_rows, 2},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		long live = memory_live();
		unsigned n = 1;

		for (;; n++) {
			bool done, failed;

			memory_fail(n);
			done = cases[i].use();
			failed = memory_failed();
			if (done == failed)
				fail_msg("%s: allocation %u: %s", cases[i].name, n,
					 failed ? "its failure went unnoticed"
						: "failed without a reason");
			if (memory_live() != live)
				fail_msg("%s: allocation %u: %ld pieces leaked", cases[i].name, n,
					 memory_live() - live);
			if (!failed)
				break;
		}
		if (n - 1 < cases[i].at_least)
			fail_msg("%s: only %u allocations", cases[i].name, n - 1);
	}
}

/* At each place of texts of each length around the eight bytes that are looked at together. */
static void json_strings_escape_what_they_must(void **state)
{
	static const struct {
		char byte;
		const char *text;
	} cases[] = {{'"', "\\\""},     {'\\', "\\\\"},   {'\n', "\\n"},    {'\x1f', "\\u001f"},
		     {'\0', "\\u0000"}, {'\x7f', "\x7f"}, {'\xc3', "\xc3"}, {'!', "!"},
		     {'#', "#"},        {' ', " "}};
	struct amend_buffer buffer = AMEND_BUFFER_INIT;

	(void)state;
	for (size_t size = 0; size <= 27; size++) {
		for (size_t at = 0; at <= size; at++) {
			for (size_t i = 0; i < COUNT(cases); i++) {
				char text[32], expected[64];
				struct amend_value value;

				memset(text, 'a' + (int)(size % 26), size);
				if (at < size)
					text[at] = cases[i].byte;
				snprintf(expected, sizeof(expected), "\"%.*s%s%.*s\"", (int)at,
					 text, at < size ? cases[i].text : "",
					 (int)(at < size ? size - at - 1 : 0), text + at + 1);
				amend_buffer_reset(&buffer);
				amend_json_string(&buffer, text, size);
				expect_text(amend_buffer_string(&buffer), expected);
				/* What is no text at all is spelled otherwise. */
				if (at < size && (text[at] == '\0' || text[at] == '\xc3'))
					snprintf(expected, sizeof(expected), "{\"text\":\"");
				value = amend_text_n(text, size);
				amend_buffer_reset(&buffer);
				amend_json_value(&buffer, &value, AMEND_CLASS_TEXT);
				assert_memory_equal(amend_buffer_string(&buffer), expected,
						    strlen(expected));
			}
		}
	}
	amend_buffer_release(&buffer);
}

static void integers_have_all_their_digits(void **state)
{
	static const int64_t numbers[] = {0,   7,         -7,        10,           99,
					  100, INT64_MAX, INT64_MIN, INT64_MIN + 1};
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	char expected[32];

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		snprintf(expected, sizeof(expected), "%lld", (long long)numbers[i]);
		amend_buffer_reset(&buffer);
		amend_buffer_integer(&buffer, numbers[i]);
		expect_text(amend_buffer_string(&buffer), expected);
	}
	amend_buffer_release(&buffer);
}

static void no_memory_is_said_without_memory(void **state)
{
	struct amend_error err;

	(void)state;
	memory_fail(1);
	assert_int_equal(amend_no_memory(&err), AMEND_NO_MEMORY);
	assert_false(memory_failed());
	assert_int_equal(err.status, AMEND_NO_MEMORY);
	expect_text(err.text, "out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_hands_out_aligned_zeroed_pieces),
		cmocka_unit_test(arena_refuses_sizes_that_overflow),
		cmocka_unit_test(arena_copies_texts),
		cmocka_unit_test(buffer_grows_by_any_steps),
		cmocka_unit_test(buffer_is_text_and_starts_over),
		cmocka_unit_test(buffer_fails_stickily),
		cmocka_unit_test(values_are_equal_byte_by_byte),
		cmocka_unit_test(blank_values_never_match),
		cmocka_unit_test(rows_release_what_they_own),
		cmocka_unit_test(every_operation_survives_every_failed_allocation),
		cmocka_unit_test(json_strings_escape_what_they_must),
		cmocka_unit_test(integers_have_all_their_digits),
		cmocka_unit_test(no_memory_is_said_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

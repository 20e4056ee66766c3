/*
 * Errors: their names, one line each, cut between characters, wrapped.
 * Leaves who sets which to the others.
 */
#include "checks.h"

static void every_status_has_a_name(void **state)
{
	(void)state;
	for (int status = AMEND_OK; status <= AMEND_INTERNAL; status++) {
		const char *name = amend_status_name((enum amend_status)status);

		assert_non_null(name);
		assert_string_not_equal(name, "?");
		for (int other = AMEND_OK; other < status; other++)
			assert_string_not_equal(name, amend_status_name((enum amend_status)other));
	}
	expect_text(amend_status_name((enum amend_status)999), "?");
}

static void errors_are_one_line(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain", "plain"},
		{"a\nb\r\nc\td", "a b  c d"},
		{"bell \a, delete \x7f.", "bell  , delete  ."},
		{"Zürich 東京 \xf0\x9f\x90\x98", "Zürich 東京 \xf0\x9f\x90\x98"},
		{"", ""},
	};
	struct amend_error err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		memset(&err, 0xff, sizeof(err));
		assert_int_equal(amend_error_set(&err, AMEND_LOCKED, "%s", cases[i].in),
				 AMEND_LOCKED);
		assert_int_equal(err.status, AMEND_LOCKED);
		assert_int_equal(err.native, 0);
		expect_text(err.sqlstate, "");
		expect_text(err.text, cases[i].out);
	}
}

/* Whether it is whole UTF-8 characters of the kind these tests use. */
static bool whole(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	while (*c) {
		int more = *c < 0x80 ? 0 : *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : *c >= 0xc0 ? 1 : -1;

		if (more < 0)
			return false;
		for (c++; more > 0; more--, c++) {
			if ((*c & 0xc0) != 0x80)
				return false;
		}
	}
	return true;
}

static void errors_are_cut_between_characters(void **state)
{
	static const char *const characters[] = {"x", "ü", "東", "\xf0\x9f\x90\x98"};
	struct amend_error err;
	char text[3000];

	(void)state;
	for (size_t c = 0; c < COUNT(characters); c++) {
		size_t width = strlen(characters[c]);

		for (size_t before = 0; before < 8; before++) {
			memset(text, 'a', before);
			for (size_t at = before; at + width < sizeof(text); at += width)
				memcpy(text + at, characters[c], width + 1);
			amend_error_set(&err, AMEND_INVALID, "%s", text);
			assert_true(whole(err.text));
			assert_in_range(strlen(err.text), sizeof(err.text) - 1 - width,
					sizeof(err.text) - 1);
			amend_error_wrap(&err, "%s", "ctx");
			assert_true(whole(err.text));
			assert_memory_equal(err.text, "ctx: ", 5);
		}
	}
}

static void a_text_that_just_fits_is_kept_whole(void **state)
{
	struct amend_error err;
	char text[sizeof(err.text)];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text + sizeof(text) - 3, "ü", 2);
	amend_error_set(&err, AMEND_INVALID, "%s", text);
	/* the last character may go, for a cut cannot be told from a fit; half of it may not stay */
	assert_true(whole(err.text));
	assert_in_range(strlen(err.text), sizeof(text) - 3, sizeof(text) - 1);
}

static void wrapping_keeps_what_the_error_is(void **state)
{
	struct amend_error err;
	char context[sizeof(err.text) + 10];

	(void)state;
	amend_error_set(&err, AMEND_CONSTRAINT, "broken");
	err.native = 19;
	memcpy(err.sqlstate, "23505", 6);
	assert_int_equal(amend_error_wrap(&err, "table %s", "t"), AMEND_CONSTRAINT);
	expect_text(err.text, "table t: broken");
	expect_text(err.sqlstate, "23505");
	assert_int_equal(err.native, 19);
	amend_error_wrap(&err, "%s", "");
	expect_text(err.text, ": table t: broken");

	amend_error_set(&err, AMEND_CONSTRAINT, "broken");
	memset(context, 'c', sizeof(context) - 1);
	context[sizeof(context) - 1] = '\0';
	assert_int_equal(amend_error_wrap(&err, "%s", context), AMEND_CONSTRAINT);
	expect_text(err.text, "broken"); /* no room for both: the cause is what stays */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_a_name),
		cmocka_unit_test(errors_are_one_line),
		cmocka_unit_test(errors_are_cut_between_characters),
		cmocka_unit_test(a_text_that_just_fits_is_kept_whole),
		cmocka_unit_test(wrapping_keeps_what_the_error_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The order in which a large input is gone through: sorted by place, each record once, as often as it is asked for.
 * Leaves where a row lies, and what is done with the records, to tests/sync.
 */
#include "checks.h"

#include <stdlib.h>

#include "sync/places.h"

enum {
	MANY = 300000, /* several pieces, the last one not full */
	KINDS = 1000,  /* of places, so that there are equal ones */
};

static uint64_t place_of(uint64_t index)
{
	uint64_t kind = index * UINT64_C(2654435761) % KINDS;

	return kind == 0 ? AMEND_NO_PLACE : kind << 50;
}

static struct amend_places *places_of(uint64_t n)
{
	struct amend_error err = {0};
	struct amend_places *places;

	expect_ok(amend_places_new(&places, &err), &err);
	for (uint64_t i = 0; i < n; i++) {
		const struct amend_place place = {place_of(i), i, i * 100};

		expect_ok(amend_places_add(places, &place, &err), &err);
	}
	return places;
}

/* Goes through all of them, or only the first `most`. */
static void expect_sorted(struct amend_places *places, uint64_t n, uint64_t most)
{
	struct amend_error err = {0};
	struct amend_place before = {0}, place;
	uint64_t seen = 0, sum = 0;
	bool found;

	expect_ok(amend_places_rewind(places, &err), &err);
	while (seen < most) {
		expect_ok(amend_places_next(places, &place, &found, &err), &err);
		if (!found)
			break;
		assert_true(place.index < n);
		assert_int_equal(place.at, place_of(place.index));
		assert_int_equal(place.offset, place.index * 100);
		if (seen++ > 0)
			assert_true(before.at < place.at ||
				    (before.at == place.at && before.index < place.index));
		sum += place.index;
		before = place;
	}
	assert_int_equal(seen, n < most ? n : most);
	/* In rising order none comes twice, and so all have come. */
	if (seen == n && n > 0)
		assert_int_equal(sum, n * (n - 1) / 2);
}

static void sorted_each_time(void **state)
{
	(void)state;
	for (uint64_t n = 0; n <= MANY; n = n ? n * 7 : 1) {
		struct amend_places *places = places_of(n);

		expect_sorted(places, n, n / 2);
		expect_sorted(places, n, UINT64_MAX);
		expect_sorted(places, n, UINT64_MAX);
		amend_places_free(places);
	}
}

/* A file that cannot be made is said. */
static void without_a_folder(void **state)
{
	struct amend_error err = {0};
	struct amend_places *places = NULL;
	const char *folder = getenv("TMPDIR");
	char *kept = folder ? strdup(folder) : NULL;

	(void)state;
	setenv("TMPDIR", "/nowhere", 1);
	assert_int_not_equal(amend_places_new(&places, &err), AMEND_OK);
	expect_contains(err.text, "/nowhere");
	amend_places_free(places);
	if (kept)
		setenv("TMPDIR", kept, 1);
	else
		unsetenv("TMPDIR");
	free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorted_each_time),
		cmocka_unit_test(without_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Whether the sum that is kept of a source's bases is that of the bases there are.
 * Leaves what a sync makes of it to tests/sync.
 */
#include "sums.h"

#include "checks.h"

struct adding {
	const unsigned char *salt;
	int64_t n;
	uint64_t code;
};

static enum amend_status add_one(void *context, const struct amend_base *base,
				 struct amend_error *err)
{
	struct adding *adding = context;

	(void)err;
	adding->n++;
	adding->code ^= amend_base_code(adding->salt, base->pk, base->first_key, base->digest);
	return AMEND_OK;
}

void expect_sum(struct amend_conn *db, const char *source, const struct amend_table *table)
{
	unsigned char salt[AMEND_BASE_SALT_SIZE] = {0};
	struct adding adding = {.salt = salt};
	struct amend_base_sum sum;
	struct amend_error err;
	bool known;

	expect_ok(amend_base_salt(db, source, table, salt, &known, &err), &err);
	expect_ok(amend_base_scan(db, source, table, true, add_one, &adding, &err), &err);
	expect_ok(amend_base_sum_read(db, source, table, &sum, &err), &err);
	if (known && sum.known) {
		assert_int_equal(sum.n, adding.n);
		assert_int_equal(sum.code, adding.code);
	}
}

/*
 * Where token keys come from: the ledger, a key file, nowhere; and their rotation.
 * Leaves who may read the ledger's to tests/ledger/roles_test.c.
 */
#include "ask.h"

#include <stdlib.h>
#include <sys/stat.h>

#define KEY_1 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_2 "ffeeddccbbaa99887766554433221100FFEEDDCCBBAA99887766554433221100"

static void make_table(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE doc (id integer PRIMARY KEY, title text)");
	engine_exec(engine, "INSERT INTO doc VALUES (1, 'a')");
}

static const char *key_file(struct engine *engine, const char *name, const char *content,
			    mode_t mode)
{
	const char *path = engine_printf(engine, "%s/%s", engine->folder, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(content, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static struct road *open_with_key(struct engine *engine, const char *path)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;

	options.key_file = path;
	return road_open_with(engine, NULL, &options, "doc");
}

static void accepted(struct road *road, const char *token)
{
	ok(road, .keys = "id=1", .originals = "title=a", .token = token);
	said(road, "unchanged");
}

static void ledger_rotation(struct engine *engine)
{
	struct road *road, *other;
	const char *first, *second;

	make_table(engine);
	road = road_open(engine, "doc");
	other = road_open(engine, "doc");
	first = road_token(road, "id=1");
	accepted(other, first);
	expect_ok(amend_rotate_key(road->db, &road->err), &road->err);
	second = road_token(road, "id=1");
	/* Signed by another key, and both are good, on connections that know the new key and not. */
	assert_memory_not_equal(first + 3, second + 3, 7);
	accepted(road, first);
	accepted(road, second);
	accepted(other, second);
	accepted(other, first);
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_token_key",
				  "SELECT count(*) FROM amend.token_key"),
		      "2");
}

static void key_file_signs(struct engine *engine)
{
	struct road *road, *other, *none;
	const char *token;

	make_table(engine);
	road = open_with_key(engine, key_file(engine, "one", KEY_1 "\n", 0600));
	token = road_token(road, "id=1");
	other = open_with_key(engine, key_file(engine, "same", "# ours\n\n" KEY_1, 0400));
	accepted(other, token);
	other = open_with_key(engine, key_file(engine, "two", KEY_2 "\n", 0600));
	refused(AMEND_INVALID, other, .keys = "id=1", .set = "title=x", .token = token);
	none = road_open(engine, "doc");
	refused(AMEND_INVALID, none, .keys = "id=1", .set = "title=x", .token = token);
	/* And the other way round: the ledger's are not the file's. */
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "title=x",
		.token = road_token(none, "id=1"));
}

static void key_file_rotation(struct engine *engine)
{
	struct road *road;
	const char *old, *token;

	make_table(engine);
	old = road_token(open_with_key(engine, key_file(engine, "k", KEY_1 "\r\n", 0600)), "id=1");
	road = open_with_key(
		engine, key_file(engine, "k", "#new\r\n" KEY_2 "\r\n#old\r\n" KEY_1 "\r\n", 0600));
	token = road_token(road, "id=1");
	accepted(road, old);
	accepted(road, token);
	/* The first line signs. */
	accepted(open_with_key(engine, key_file(engine, "k2", KEY_2, 0600)), token);
	road = open_with_key(engine, key_file(engine, "k2", KEY_2, 0600));
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "title=x", .token = old);
}

/* Without a usable key the record is shown all the same, with the reason; and a write is not reported as failed. */
static void shown_without_a_key(struct engine *engine)
{
	static const struct {
		const char *content;
		mode_t mode;
		const char *reason;
	} cases[] = {
		{KEY_1 "\n", 0644, "chmod 600"},
		{KEY_1 "\n", 0620, "can be read by others"},
		{KEY_1 "\n", 0604, "can be read by others"},
		{"", 0600, "holds no key"},
		{"# nothing\n\n", 0600, "holds no key"},
		{"0011\n", 0600, ":1: expected 64 hexadecimal digits"},
		{"# a comment\n" KEY_1 "00\n", 0600, ":2: expected 64"},
		{KEY_1 "\nnonsense\n", 0600, ":2: expected 64"},
		{" " KEY_1 "\n", 0600, ":1: expected 64"},
		{KEY_1 " \n", 0600, ":1: expected 64"},
		{"g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 0600,
		 ":1: expected 64"},
	};

	make_table(engine);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *path = key_file(engine, engine_printf(engine, "k%zu", i),
					    cases[i].content, cases[i].mode);
		struct road *road = open_with_key(engine, path);
		struct amend_field field = {"id", amend_text("1")};
		struct amend_match key = {&field, 1};

		expect_ok(amend_get(road->db, road->table, &key, true, &road->result, &road->err),
			  &road->err);
		assert_null(road->result.token);
		expect_contains(road->result.no_token, cases[i].reason);
		expect_contains(road->result.no_token, path);
		expect_text(road_record(road),
			    engine_printf(engine, "id=1 title=a%.*zu", i ? 3 : 0, i ? i : 0));
		ok(road, .keys = "id=1", .set = engine_printf(engine, "title=a%03zu", i + 1),
		   .want_token = true);
		assert_int_equal(road->result.outcome, AMEND_IS_UPDATED);
		expect_contains(road->result.no_token, cases[i].reason);
		assert_true(road->result.revision > 0);
		road_close(road);
	}
}

static void no_such_file(struct engine *engine)
{
	struct road *road;

	make_table(engine);
	road = open_with_key(engine, engine_printf(engine, "%s/none", engine->folder));
	ok(road, .keys = "id=1", .set = "title=b", .want_token = true);
	expect_contains(road->result.no_token, "No such file");
	/* A token cannot be checked: it is not taken on trust. */
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "title=c",
		.token = "a1.AQAAAAEAawIdqAAAAAAA-gAAAAAAAAAAAHD2WJXZbMXdVVnbz1b1-"
			 "s8CP8UPLn4j6n9Z1vi3NhieKstfV3voq1-k9PcQ");
	engine_expect(engine, "SELECT title FROM doc", "b");
}

static void long_comments(struct engine *engine)
{
	char text[3000];

	make_table(engine);
	memset(text, 'x', sizeof(text));
	text[0] = '#';
	snprintf(text + 2000, sizeof(text) - 2000, "\n%s\n", KEY_1);
	road_token(open_with_key(engine, key_file(engine, "k", text, 0600)), "id=1");
}

static void unset_environment(void *nothing)
{
	(void)nothing;
	unsetenv("AMEND_KEY_FILE");
}

static void from_the_environment(struct engine *engine)
{
	const char *one, *two, *token;
	struct road *road;

	make_table(engine);
	one = key_file(engine, "one", KEY_1, 0600);
	two = key_file(engine, "two", KEY_2, 0600);
	engine_defer(engine, unset_environment, NULL);
	setenv("AMEND_KEY_FILE", one, 1);
	token = road_token(road_open(engine, "doc"), "id=1");
	/* The option wins. */
	road = open_with_key(engine, two);
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "title=x", .token = token);
	setenv("AMEND_KEY_FILE", "", 1);
	road = road_open(engine, "doc");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "title=x", .token = token);
	accepted(open_with_key(engine, one), token);
}

static const struct engine_test tests[] = {
	{"rotation in the ledger: old tokens stay good", ledger_rotation},
	{"a key file signs and verifies, and is not the ledger's", key_file_signs},
	{"rotation in a key file: the first line signs, all verify", key_file_rotation},
	{"without a usable key the record is shown, with the reason", shown_without_a_key},
	{"a key file that is not there", no_such_file},
	{"comments of any length in a key file", long_comments},
	{"$AMEND_KEY_FILE, and the option that wins over it", from_the_environment},
};

ENGINE_MAIN(tests)

/*
 * Merging text, held against `git merge-file`: random texts, random histories of real files, and the real
 * histories of this checkout's own files.
 * Leaves the cases that people read to three_way_test.c.
 *
 * The arguments are the checkout, and files to begin histories with. Without git the test is skipped, where $CI is
 * "true" it fails; what a checkout without its history (an archive, a shallow clone) cannot tell is left out.
 */
#include "checks.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/buffer.h"
#include "merge/merge.h"

enum { RANDOM = 1000, OF_A_FILE = 100, MOST_LINES = 4000, STEPS = 12 };
/* Of each file of the checkout: revisions looked at, cases made of them; and the cases that make a history of it. */
enum { REVISIONS = 24, OF_A_HISTORY = 60, ENOUGH = 300 };

static const char *checkout;
static char **files;
static int n_files;

/* A sequence that is the same each time. */
static uint64_t state_of_chance = 42;

static size_t chance(size_t below)
{
	state_of_chance = state_of_chance * UINT64_C(6364136223846793005) +
			  UINT64_C(1442695040888963407);
	return (size_t)(state_of_chance >> 33) % below;
}

/* --- Texts as lines; each ends as it stands, the last one maybe without a newline. --- */

struct text {
	const char *lines[MOST_LINES];
	size_t n;
};

static void insert(struct text *text, size_t at, const char *line)
{
	if (text->n == MOST_LINES)
		return;
	memmove(&text->lines[at + 1], &text->lines[at], (text->n - at) * sizeof(char *));
	text->lines[at] = line;
	text->n++;
}

static void take_out(struct text *text, size_t at)
{
	text->n--;
	memmove(&text->lines[at], &text->lines[at + 1], (text->n - at) * sizeof(char *));
}

static const char *random_line(void)
{
	static const char *const lines[] = {"a\n", "b\n", "c\n",   "d\n",  "\n",
					    "}\n", "e\n", "a\r\n", "\r\n", "longer line\n"};

	return lines[chance(COUNT(lines))];
}

/* One place: a few lines in, out, or others. */
static void edit(struct text *text)
{
	size_t at = chance(text->n + 1), n = 1 + chance(3), what = chance(4);

	for (size_t i = 0; i < n && what != 0 && at < text->n; i++)
		take_out(text, at);
	for (size_t i = 0; i < n && what != 1; i++)
		insert(text, at, random_line());
	if (text->n > 0 && chance(12) == 0)
		text->lines[text->n - 1] = chance(2) ? "end" : "end\n";
}

static void write_text(const char *folder, size_t number, const char *side, const struct text *text)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%zu.%s", folder, number, side);
	file = fopen(path, "wb");
	assert_non_null(file);
	for (size_t i = 0; i < text->n; i++)
		assert_true(fputs(text->lines[i], file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct amend_value read_text(const char *folder, size_t number, const char *side,
				    struct amend_arena *arena)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	struct amend_value value;
	char path[200], piece[4096];
	size_t got;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%zu.%s", folder, number, side);
	file = fopen(path, "rb");
	assert_non_null(file);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		amend_buffer_add(&buffer, piece, got);
	fclose(file);
	value = amend_text_n(amend_arena_text_n(arena, buffer.data, buffer.size), buffer.size);
	assert_non_null(value.as.text);
	amend_buffer_release(&buffer);
	return value;
}

/* --- Cases, each three files --- */

static void random_case(const char *folder, size_t number)
{
	static struct text sides[3];
	size_t n = chance(25);

	sides[0].n = 0;
	for (size_t i = 0; i < n; i++)
		insert(&sides[0], i, random_line());
	if (n > 0 && chance(3) == 0)
		sides[0].lines[n - 1] = "end";
	for (int side = 1; side < 3; side++) {
		sides[side] = sides[0];
		for (size_t i = chance(3) + 1; i > 0; i--)
			edit(&sides[side]);
	}
	/* Both may make the same change. */
	if (chance(10) == 0)
		sides[2] = sides[1];
	write_text(folder, number, "base", &sides[0]);
	write_text(folder, number, "current", &sides[1]);
	write_text(folder, number, "incoming", &sides[2]);
}

/* A file as it went through some edits, and two who went on from one of its versions. */
static void case_of_a_file(const char *folder, size_t number, const struct text *file)
{
	static struct text base, side;

	base = *file;
	for (size_t i = chance(STEPS); i > 0; i--)
		edit(&base);
	write_text(folder, number, "base", &base);
	for (int i = 0; i < 2; i++) {
		side = base;
		for (size_t k = chance(STEPS) + 1; k > 0; k--)
			edit(&side);
		write_text(folder, number, i ? "incoming" : "current", &side);
	}
}

static void read_lines(const char *path, struct text *text, struct amend_arena *arena)
{
	FILE *file = fopen(path, "rb");
	char *line = NULL;
	size_t room = 0;
	ssize_t got;

	if (!file)
		fail_msg("no file %s", path);
	text->n = 0;
	while ((got = getline(&line, &room, file)) > 0 && text->n < MOST_LINES)
		text->lines[text->n++] = amend_arena_text_n(arena, line, (size_t)got);
	free(line);
	fclose(file);
	assert_true(text->n > 50);
}

/* --- Both, compared --- */

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void compare(const char *folder, size_t n, size_t *clean)
{
	char command[600];
	int *codes = calloc(n, sizeof(*codes));
	char path[200];
	FILE *file;

	assert_non_null(codes);
	snprintf(command, sizeof(command),
		 "cd %s && i=0; while [ $i -lt %zu ]; do git merge-file -q -p $i.current $i.base "
		 "$i.incoming >$i.merged 2>/dev/null; echo $?; i=$((i + 1)); done >codes",
		 folder, n);
	run(command);
	snprintf(path, sizeof(path), "%s/codes", folder);
	file = fopen(path, "r");
	assert_non_null(file);
	for (size_t i = 0; i < n; i++) {
		if (fscanf(file, "%d", &codes[i]) != 1)
			fail_msg("git did not end for case %zu", i);
	}
	fclose(file);
	for (size_t i = 0; i < n; i++) {
		struct amend_arena arena = AMEND_ARENA_INIT;
		const struct amend_value base = read_text(folder, i, "base", &arena);
		const struct amend_value current = read_text(folder, i, "current", &arena);
		const struct amend_value incoming = read_text(folder, i, "incoming", &arena);
		const struct amend_value gits = read_text(folder, i, "merged", &arena);
		struct amend_value ours = amend_null(), mirror = amend_null();
		const char *why = NULL;
		enum amend_merged merged = amend_merge_text(&base, &current, &incoming, &arena,
							    &ours, &why);

		if (codes[i] > 127)
			fail_msg("git failed with %d at case %zu", codes[i], i);
		if ((merged == AMEND_MERGED_CLEAN) != (codes[i] == 0))
			fail_msg("case %zu: git has %d conflicts, we have %s", i, codes[i],
				 why ? why : "none");
		if (merged == AMEND_MERGED_CLEAN) {
			++*clean;
			assert_int_equal(ours.size, gits.size);
			assert_true(ours.size == 0 ||
				    memcmp(ours.as.text, gits.as.text, ours.size) == 0);
		}
		/* Swapped sides come to the same. */
		assert_int_equal(amend_merge_text(&base, &incoming, &current, &arena, &mirror, &why),
				 merged);
		assert_true(merged != AMEND_MERGED_CLEAN || amend_value_equal(&ours, &mirror));
		amend_arena_release(&arena);
	}
	free(codes);
}

static bool can_compare(void)
{
	const char *ci;

	if (system("git merge-file -h >/dev/null 2>&1") == 129 << 8)
		return true;
	ci = getenv("CI");
	if (ci && strcmp(ci, "true") == 0)
		fail_msg("there is no git");
	return false;
}

static void make_folder(char folder[100])
{
	const char *where = getenv("AMEND_TEST_TMP");

	where = where ? where : getenv("TMPDIR");
	snprintf(folder, 100, "%s/text_merge.XXXXXX", where ? where : "/tmp");
	assert_non_null(mkdtemp(folder));
}

static void remove_folder(const char *folder)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	run(command);
}

static void random_texts_merge_as_git_merges_them(void **state)
{
	char folder[100];
	size_t clean = 0;

	(void)state;
	if (!can_compare()) {
		say_left_out(__func__, "no git");
		return;
	}
	make_folder(folder);
	for (size_t i = 0; i < RANDOM; i++)
		random_case(folder, i);
	compare(folder, RANDOM, &clean);
	remove_folder(folder);
	assert_true(clean > RANDOM / 5 && clean < RANDOM - RANDOM / 5);
}

static void histories_of_files_merge_as_git_merges_them(void **state)
{
	static struct text text;

	(void)state;
	if (!can_compare()) {
		say_left_out(__func__, "no git");
		return;
	}
	assert_true(n_files > 0);
	for (int f = 0; f < n_files; f++) {
		struct amend_arena arena = AMEND_ARENA_INIT;
		char folder[100];
		size_t clean = 0;

		make_folder(folder);
		read_lines(files[f], &text, &arena);
		for (size_t i = 0; i < OF_A_FILE; i++)
			case_of_a_file(folder, i, &text);
		compare(folder, OF_A_FILE, &clean);
		remove_folder(folder);
		assert_true(clean > 0 && clean < OF_A_FILE);
		amend_arena_release(&arena);
	}
}

/* The newest revisions of a file, as FOLDER/revision.0 and on, the newest first; how many there are. */
static int take_revisions(const char *folder, const char *path)
{
	char command[1000], count[200];
	FILE *file;
	int n = 0;

	snprintf(command, sizeof(command),
		 "n=0; cd '%s' 2>/dev/null && for r in $(git log --format=%%H -n %d -- %s "
		 "2>/dev/null); do git show $r:%s >%s/revision.$n 2>/dev/null && n=$((n + 1)); "
		 "done; echo $n >%s/count",
		 checkout, REVISIONS, path, path, folder, folder);
	run(command);
	snprintf(count, sizeof(count), "%s/count", folder);
	file = fopen(count, "r");
	assert_non_null(file);
	if (fscanf(file, "%d", &n) != 1)
		n = 0;
	fclose(file);
	return n;
}

/*
 * Three revisions as three sides, in any order: who went on from the oldest in two steps; from the middle one, with what
 * was written since on one side, and what was written until then taken back on the other; or back from the newest.
 */
static void case_of_revisions(const char *folder, size_t number, int n)
{
	static const char *const names[] = {"base", "current", "incoming"};
	int revisions[3];

	for (int side = 0; side < 3;) {
		revisions[side] = (int)chance((size_t)n);
		if ((side < 1 || revisions[side] != revisions[0]) &&
		    (side < 2 || revisions[side] != revisions[1]))
			side++;
	}
	for (int side = 0; side < 3; side++) {
		char from[100], to[200];

		snprintf(from, sizeof(from), "revision.%d", revisions[side]);
		snprintf(to, sizeof(to), "%s/%zu.%s", folder, number, names[side]);
		assert_int_equal(symlink(from, to), 0);
	}
}

static void real_histories_merge_as_git_merges_them(void **state)
{
	static const char *const paths[] = {
		"HACKING.md",      "README.md",           "docs/ledger.md",   "docs/sync.md",
		"src/meson.build", "src/record/record.c", "src/sync/chunk.c", "src/sync/sync.h",
		"src/cli/sync.c",  "tests/meson.build"};
	size_t cases = 0, clean = 0;

	(void)state;
	if (!can_compare()) {
		say_left_out(__func__, "no git");
		return;
	}
	for (size_t i = 0; i < COUNT(paths); i++) {
		char folder[100];
		int n;

		make_folder(folder);
		n = take_revisions(folder, paths[i]);
		for (size_t k = 0; k < OF_A_HISTORY && n >= 3; k++)
			case_of_revisions(folder, k, n);
		if (n >= 3) {
			compare(folder, OF_A_HISTORY, &clean);
			cases += OF_A_HISTORY;
		}
		remove_folder(folder);
	}
	if (cases < ENOUGH) {
		say_left_out(__func__, "the checkout has not enough history");
		return;
	}
	printf("# %zu cases of real histories, %zu of them clean\n", cases, clean);
	assert_true(clean > 0 && clean < cases);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_texts_merge_as_git_merges_them),
		cmocka_unit_test(histories_of_files_merge_as_git_merges_them),
		cmocka_unit_test(real_histories_merge_as_git_merges_them),
	};

	if (argc < 2)
		return 2;
	checkout = argv[1];
	files = argv + 2;
	n_files = argc - 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

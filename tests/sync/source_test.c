/* The CSV and TSV reader: what is a record, on which line, and what is refused. */
#include "feed.h"

#include "sync/source.h"

/* "2:a|NULL|'' 4!expected 3 fields": records by line, rejected ones with their problem. */
static const char *read_all(struct engine *engine, enum amend_format format, const char *text,
			    size_t size, struct amend_error *err)
{
	struct amend_buffer out = AMEND_BUFFER_INIT;
	struct amend_source *source = NULL;
	struct amend_source_record record;
	const char *copy;
	bool end = false;
	enum amend_status status = amend_source_new(amend_input_memory(text, size), "f.csv", format,
						    &source, err);

	while (status == AMEND_OK) {
		status = source->ops->next(source, &record, &end, err);
		if (status != AMEND_OK || end)
			break;
		amend_buffer_printf(&out, "%s%lld", out.size ? " " : "", (long long)record.line);
		if (record.problem) {
			amend_buffer_printf(&out, "!%s", record.problem);
			continue;
		}
		for (size_t i = 0; i < source->n_names; i++) {
			amend_buffer_char(&out, i ? '|' : ':');
			if (record.fields[i].kind == AMEND_NULL)
				amend_buffer_text(&out, "NULL");
			else
				amend_buffer_add(&out, record.fields[i].as.text,
						 record.fields[i].size);
		}
	}
	if (status != AMEND_OK)
		amend_buffer_printf(&out, "%s%s", out.size ? " " : "", err->text);
	amend_source_close(source);
	copy = engine_printf(engine, "%s", out.data ? out.data : "");
	amend_buffer_release(&out);
	return copy;
}

struct reading {
	const char *text, *expected;
	size_t size; /* 0: that of the text */
	enum amend_format format;
};

static void readings(struct engine *engine)
{
	static const struct reading cases[] = {
		{"a,b\n1,2\n", "2:1|2"},
		{"a,b\r\n1,2\r\n3,4", "2:1|2 3:3|4"},
		{"a,b\r1,2\r3,4\r", "2:1|2 3:3|4"},
		{"\xef\xbb\xbf"
		 "a,b\n1,2\n",
		 "2:1|2"},
		{"\xef\xbb\xbf\"a\",b\n1,2\n", "2:1|2"},
		{"a,b\n,\n\"\",x\n", "2:NULL|NULL 3:|x"},
		{"a,b\n\n1,2\n\n\n3,4\n\n", "3:1|2 6:3|4"},
		/* Newlines within quotes count as lines, whatever they are. */
		{"a,b\n\"1\n\n2\",x\n3,y\n", "2:1\n\n2|x 5:3|y"},
		{"a,b\r\n\"1\r\n2\",x\r\n3,y\r\n", "2:1\r\n2|x 4:3|y"},
		/* Spaces are part of a field. */
		{"a,b\n 1 ,\t2\n", "2: 1 |\t2"},
		{"a,b\n\"1,\"\"2\"\"\",x\n", "2:1,\"2\"|x"},
		{"a\tb\n1,1\t\"2\t2\"\n", "2:1,1|2\t2", .format = AMEND_FORMAT_TSV},
		{"a,b\n", ""},
		{"a,b", ""},
		{"a\n1\n\n2\n", "2:1 4:2"},
		/* Records that cannot be used. */
		{"a,b\n1\n1,2,3\n1,2\n", "2!expected 2 fields as in the header, found 1 "
					 "3!expected 2 fields as in the header, found 3 4:1|2"},
		{"a,b\n1,\xff\n3,4\n", "2!column b is not UTF-8 3:3|4"},
		{"a,b\n1,\xed\xa0\x80\n", "2!column b is not UTF-8"},
		{"a,b\n1,x\0y\n3,4\n", "2!column b holds a NUL byte 3:3|4", 14},
		/* Inputs that cannot be used. */
		{"", "f.csv: expected a line with the columns' names, found nothing"},
		{"\n\n", "f.csv: expected a line with the columns' names, found nothing"},
		{"\xef\xbb\xbf", "f.csv: expected a line with the columns' names, found nothing"},
		{"a,,b\n", "f.csv:1: column 2 of the header has no name"},
		{"a,b,a\n", "f.csv:1: columns 1 and 3 of the header have one name, a"},
		{"a,\xff\n", "f.csv:1: column 2 of the header is not UTF-8 text"},
		{"\xff\xfe"
		 "a\0",
		 "f.csv: expected UTF-8, found UTF-16 (hint: iconv -f UTF-16 -t UTF-8)", 4},
		{"a,b\n1,2\n3,\"4\n5,6\n",
		 "2:1|2 f.csv:3: the input ends inside a quoted field of the "
		 "record that begins here: it is cut off, or a closing quote "
		 "is missing"},
		{"a,b\n1,\"",
		 "f.csv:2: the input ends inside a quoted field of the record that begins "
		 "here: it is cut off, or a closing quote is missing"},
		{"a,b\n1,2\nx\"y,2\n",
		 "2:1|2 f.csv:3: a quote in the middle of a field (hint: a field that "
		 "holds quotes is quoted as a whole, with each of them doubled)"},
		{"a,b\n\"x\"y,2\n",
		 "f.csv:2: a quote in the middle of a field (hint: a field that holds "
		 "quotes is quoted as a whole, with each of them doubled)"},
	};
	struct amend_error err;

	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t size = cases[i].size ? cases[i].size : strlen(cases[i].text);

		expect_text(read_all(engine, cases[i].format, cases[i].text, size, &err),
			    cases[i].expected);
	}
}

/* However the bytes arrive, the records are the same. */
struct dribble {
	struct amend_input input;
	const char *bytes;
	size_t size, step;
};

static long dribble_read(struct amend_input *input, void *bytes, size_t size,
			 struct amend_error *err)
{
	struct dribble *dribble = (struct dribble *)input;
	size_t n = dribble->size < dribble->step ? dribble->size : dribble->step;

	(void)err;
	if (n > size)
		n = size;
	memcpy(bytes, dribble->bytes, n);
	dribble->bytes += n;
	dribble->size -= n;
	return (long)n;
}

static void dribble_close(struct amend_input *input)
{
	(void)input;
}

static void dribbling(struct engine *engine)
{
	static const char text[] = "\xef\xbb\xbf"
				   "a,b\r\n\"x\r\ny\",1\r\n\r\nz,\"\"\"2\"\r\n";

	for (size_t step = 1; step < sizeof(text); step++) {
		struct dribble dribble = {
			{dribble_read, dribble_close}, text, sizeof(text) - 1, step};
		struct amend_source *source = NULL;
		struct amend_source_record record;
		struct amend_error err;
		bool end;

		expect_ok(amend_source_new(&dribble.input, "d", AMEND_FORMAT_CSV, &source, &err),
			  &err);
		expect_ok(source->ops->next(source, &record, &end, &err), &err);
		assert_int_equal(record.line, 2);
		assert_int_equal(record.fields[0].size, 4);
		expect_ok(source->ops->next(source, &record, &end, &err), &err);
		assert_int_equal(record.line, 5);
		assert_int_equal(record.fields[1].size, 2);
		expect_ok(source->ops->next(source, &record, &end, &err), &err);
		assert_true(end);
		amend_source_close(source);
	}
	(void)engine;
}

/* A field without end: memory stays bounded. */
static long endless_read(struct amend_input *input, void *bytes, size_t size,
			 struct amend_error *err)
{
	struct dribble *dribble = (struct dribble *)input;

	(void)err;
	memset(bytes, 'x', size);
	if (dribble->size == 0)
		memcpy(bytes, "a\n\"", 3);
	dribble->size += size;
	return (long)size;
}

static void gigabyte_field(struct engine *engine)
{
	struct dribble dribble = {{endless_read, dribble_close}, NULL, 0, 0};
	struct amend_source *source = NULL;
	struct amend_source_record record;
	struct amend_error err;
	bool end;

	expect_ok(amend_source_new(&dribble.input, "big.csv", AMEND_FORMAT_CSV, &source, &err),
		  &err);
	expect_status(AMEND_INVALID, source->ops->next(source, &record, &end, &err), &err);
	expect_contains(err.text,
			"big.csv:2: a field of the record that begins here is longer than");
	assert_true(dribble.size < (size_t)AMEND_FIELD_LIMIT + (1 << 20));
	amend_source_close(source);
	(void)engine;
}

/* A record of ever more fields: what is past the header's is not kept. */
static long commas_read(struct amend_input *input, void *bytes, size_t size, struct amend_error *err)
{
	struct dribble *dribble = (struct dribble *)input;

	(void)err;
	if (dribble->size > (size_t)300 << 20) {
		memcpy(bytes, "\n1,2\n", 5);
		dribble->step++;
		return dribble->step > 1 ? 0 : 5;
	}
	memset(bytes, ',', size);
	if (dribble->size == 0)
		memcpy(bytes, "a,b\n", 4);
	dribble->size += size;
	return (long)size;
}

static void endless_record(struct engine *engine)
{
	struct dribble dribble = {{commas_read, dribble_close}, NULL, 0, 0};
	struct amend_source *source = NULL;
	struct amend_source_record record;
	struct amend_error err;
	bool end;

	expect_ok(amend_source_new(&dribble.input, "big.csv", AMEND_FORMAT_CSV, &source, &err),
		  &err);
	expect_ok(source->ops->next(source, &record, &end, &err), &err);
	expect_contains(record.problem, "expected 2 fields as in the header, found 3");
	expect_ok(source->ops->next(source, &record, &end, &err), &err);
	assert_int_equal(record.line, 3);
	assert_null(record.problem);
	amend_source_close(source);
	(void)engine;
}

static void opening(struct engine *engine)
{
	struct amend_source *source = NULL;
	struct amend_error err;
	const char *path = engine_printf(engine, "%s/list.CSV", engine->folder);
	const char *const *names;
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs("code,name\nFR,France\n", file);
	fclose(file);
	expect_ok(amend_source_open(path, AMEND_FORMAT_AUTO, &source, &err), &err);
	assert_int_equal(amend_source_columns(source, &names), 2);
	expect_text(names[1], "name");
	amend_source_close(source);
	expect_status(AMEND_INVALID, amend_source_open("-", AMEND_FORMAT_AUTO, &source, &err), &err);
	expect_contains(err.text, "--format");
	expect_status(AMEND_INVALID, amend_source_open("x.dat", AMEND_FORMAT_AUTO, &source, &err),
		      &err);
	expect_status(AMEND_INVALID,
		      amend_source_open("/nowhere/x.csv", AMEND_FORMAT_AUTO, &source, &err), &err);
	expect_contains(err.text, "/nowhere/x.csv: No such file");
	expect_status(AMEND_INVALID,
		      amend_source_open(engine->folder, AMEND_FORMAT_CSV, &source, &err), &err);
	assert_null(source);
}

/* Nothing is written of an input that is not whole, or not readable. */
static void nothing_of_a_broken_input(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE country (code text PRIMARY KEY, name text)");
	feed = feed_open(engine, "country", "code");
	refused(feed, AMEND_INVALID, "code,name\nFR,France\nDE,\"Germ", "cut off");
	refused(feed, AMEND_INVALID, "code,name\nFR,France\nD\"E,x\n", "feed.csv:3:");
	refused(feed, AMEND_INVALID, "", "found nothing");
	fed_once(feed, "code,name\nFR,France\nDE\nIT,It\xffly\n", "created=1 rejected=2");
	engine_expect(engine, "SELECT code FROM country", "FR");
}

static const struct engine_test tests[] = {
	{"records, lines, NULL and ''", readings, .only = "sqlite"},
	{"bytes that arrive one by one", dribbling, .only = "sqlite"},
	{"a field without end is refused, memory stays bounded", gigabyte_field, .only = "sqlite"},
	{"a record of 300 million fields is rejected alone", endless_record, .only = "sqlite"},
	{"files, formats, what cannot be opened", opening, .only = "sqlite"},
	{"of an input that is cut off nothing is written", nothing_of_a_broken_input},
};

ENGINE_MAIN(tests)

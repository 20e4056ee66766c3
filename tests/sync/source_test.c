/* The readers of files: what is a record, on which line, and what is refused. */
#include "feed.h"

#include <stdlib.h>

#include "sync/input_http.h"
#include "sync/source.h"

/* "2:a|NULL|'' 4!expected 3 fields": records by line, rejected ones with their problem; absent is "-". */
static const char *read_all(struct engine *engine, enum amend_format format, const char *path,
			    const char *text, size_t size, struct amend_error *err)
{
	struct amend_buffer out = AMEND_BUFFER_INIT;
	struct amend_source_options options = {.format = format, .path = path};
	struct amend_source *source = NULL;
	struct amend_source_record record;
	const char *copy, *name = format >= AMEND_FORMAT_JSON ? "f.json" : "f.csv";
	bool end = false;
	enum amend_status status = amend_source_new(amend_input_memory(text, size), name, &options,
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
			if (record.absent && record.absent[i])
				amend_buffer_char(&out, '-');
			else if (record.fields[i].kind == AMEND_NULL)
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
	const char *path;
};

static void read_cases(struct engine *engine, const struct reading *cases, size_t n,
		       enum amend_format format)
{
	struct amend_error err;

	for (size_t i = 0; i < n; i++) {
		size_t size = cases[i].size ? cases[i].size : strlen(cases[i].text);

		expect_text(read_all(engine, cases[i].format ? cases[i].format : format,
				     cases[i].path, cases[i].text, size, &err),
			    cases[i].expected);
	}
}

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

	read_cases(engine, cases, COUNT(cases), AMEND_FORMAT_CSV);
}

static void json_readings(struct engine *engine)
{
	static const struct reading cases[] = {
		{"[{\"a\":1,\"b\":\"x\"},{\"b\":\"\",\"a\":null}]", "1:1|x 2:NULL|"},
		{"\xef\xbb\xbf [ {\"a\":1} ]\n", "1:1"},
		{"[]", ""},
		{" [ ] ", ""},
		/* Absent, null and empty are three things; columns are those of all records. */
		{"[{\"a\":1},{\"b\":null},{\"b\":\"\"},{}]", "1:1|- 2:-|NULL 3:-| 4:-|-"},
		/* Numbers keep their text. */
		{"[{\"a\":12345678901234567890.123},{\"a\":1e400},{\"a\":-0.0},{\"a\":1E+2},"
		 "{\"a\":100000000000000000000}]",
		 "1:12345678901234567890.123 2:1e400 3:-0.0 4:1E+2 5:100000000000000000000"},
		{"[{\"a\":true,\"b\":false}]", "1:true|false"},
		/* What is nested is its text, without white space between its parts. */
		{"[{\"a\":{ \"x\" : [ 1 , \"a b\\n\" , { } , [ ] ] , \"y\" : 1e400 }}]",
		 "1:{\"x\":[1,\"a b\\n\",{},[]],\"y\":1e400}"},
		{"[{\"a\":[]},{\"a\":\"[]\"}]", "1:[] 2:[]"},
		{"[{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"}]",
		 "1:\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"[{\"\\u0061\":1},{\"a\":2}]", "1:1 2:2"},
		/* The array inside a document. */
		{"{\"n\":1,\"data\":{\"x\":[{}],\"items\":[{\"a\":1}],\"y\":{\"a\":[\"]\"]}}}",
		 "1:1", .path = "data.items"},
		{"{\"data\":{\"items\":[{\"a\":1}]}}", "1:1", .path = "/data/items"},
		{"{\"a/b\":{\"~\":[{\"a\":1}]}}", "1:1", .path = "/a~1b/~0"},
		{"[[1,2],{\"x\":[{\"a\":1}]},3]", "1:1", .path = "1.x"},
		{"[{\"a\":1}]", "1:1", .path = ""},
		/* Records that cannot be used: the rest goes on. */
		{"[{\"a\":1,\"a\":1},{\"a\":2}]", "1!member a stands twice 2:2"},
		{"[{\"a\":\"\\u0000\"},{\"a\":2}]", "1!member a holds the character NUL 2:2"},
		{"[{\"a\":\"\\ud800x\"},{\"a\":\"\\udc00\\ud800\"},{\"a\":2}]",
		 "1!member a holds half of a surrogate pair 2!member a holds half of a surrogate "
		 "pair 3:2"},
		{"[{\"a\":\"\xff\"},{\"a\":[\"\xff\"]},{\"a\":2}]",
		 "1!member a is not UTF-8 2!member a is not UTF-8 3:2"},
		{"[1,\"x\",[{\"a\":1}],null,{\"a\":2}]",
		 "1!expected an object, found a number 2!expected an object, found a string "
		 "3!expected an object, found an array 4!expected an object, found null 5:2"},
		{"[{\"\":1},{\"\\u0000\":1},{\"\xff\":1},{\"a\":2}]",
		 "1!the name of a member is \"\" 2!the name of a member holds the character NUL 3!the "
		 "name of a member is not UTF-8 4:2"},
		/* Inputs that cannot be used. */
		{"",
		 "f.json:1:1: expected an array of objects, found the end: the input is cut off"},
		{"[", "f.json:1:2: expected an object, found the end: the input is cut off"},
		{"[{\"a\":1}",
		 "f.json:1:9: expected ',' or ']' behind record 1, found the end: the input is cut off"},
		{"[{\"a\":1},",
		 "f.json:1:10: expected an object behind record 1, found the end: the input is cut off"},
		{"[{\"a\":1},]", "f.json:1:10: record 2: expected a value, found ']'"},
		{"[{\"a\":1}\n,{\"a\":",
		 "f.json:2:2: the input ends inside what begins here: it is cut off"},
		{"[{\"a\":1}]x", "f.json:1:10: expected the end of the text, found 'x'"},
		{"[{\"a\":1}][]", "f.json:1:10: expected the end of the text, found an array"},
		{"[{\"a\":1} {\"a\":1}]",
		 "f.json:1:10: expected ',' or ']' behind record 1, found an object"},
		{"[{\"a\":1,}]", "f.json:1:9: record 1: expected a member's name, found '}'"},
		{"[{\"a\" 1}]", "f.json:1:7: record 1: expected ':', found a number"},
		{"[{a:1}]", "f.json:1:3: record 1: expected a member's name, found 'a'"},
		{"[{\"a\":01}]",
		 "f.json:1:8: record 1: expected no digit behind a leading 0, found a number"},
		{"[{\"a\":1.}]", "f.json:1:9: record 1: expected a digit, found '}'"},
		{"[{\"a\":-}]", "f.json:1:8: record 1: expected a digit, found '}'"},
		{"[{\"a\":1e}]", "f.json:1:9: record 1: expected a digit, found '}'"},
		{"[{\"a\":NaN}]", "f.json:1:7: record 1: expected a value, found 'N'"},
		{"[{\"a\":\"\\x\"}]",
		 "f.json:1:9: record 1: expected one of \"\\/bfnrtu behind a backslash, found 'x'"},
		{"[{\"a\":\"\\u12g4\"}]",
		 "f.json:1:12: record 1: expected four hexadecimal digits behind \\u, found 'g'"},
		{"[{\"a\":\"x\ny\"}]",
		 "f.json:1:9: record 1: expected control characters to be escaped, found byte 0x0a"},
		{"[\n{\n\"a\":[1,\n2 3]}]",
		 "f.json:4:3: record 1: expected ',' or ']', found a number"},
		{"[{\"a\":[1}]]", "f.json:1:9: record 1: expected ',' or ']', found '}'"},
		{"{\"a\":[]}",
		 "f.json:1:1: expected an array of objects, found an object (hint: --path NAME, if the array is in it; --format ndjson, if each line is a record)"},
		{"{\"a\":{}}",
		 "f.json:1:6: expected an array of objects, found an object (hint: --path leads to it)",
		 .path = "a"},
		{"{\"a\":[]}", "f.json:1:8: expected \"b\" of --path b here, found none",
		 .path = "b"},
		{"{\"a\":[{\"x\":1}],\"a\":[]}",
		 "f.json:1:20: the member that --path names stands twice", .path = "a"},
		{"{\"a\":[{\"x\":1}]",
		 "f.json:1:15: expected ',' or '}', found the end: the input is cut off",
		 .path = "a"},
		{"[{}]",
		 "--path a..b: expected NAME.NAME..., or a JSON Pointer (/NAME/NAME...), of at most 64 names",
		 .path = "a..b"},
		{"[{}]",
		 "f.json: --path names the array inside a JSON document, and this is none (hint: --format json)",
		 .path = "a", .format = AMEND_FORMAT_NDJSON},
		{"\xff\xfe[\0",
		 "f.json: expected UTF-8, found UTF-16 (hint: iconv -f UTF-16 -t UTF-8)", 4},
	};

	read_cases(engine, cases, COUNT(cases), AMEND_FORMAT_JSON);
}

static void ndjson_readings(struct engine *engine)
{
	static const struct reading cases[] = {
		{"{\"a\":1}\n{\"a\":2}\n", "1:1 2:2"},
		{"\xef\xbb\xbf{\"a\":1}\r\n\r\n \n{\"b\":2}", "1:1|- 4:-|2"},
		{"", ""},
		{"\n\n", ""},
		{"{\"a\":1}\n{\"a\":\n{\"a\":1}{\"a\":2}\n7\n{\"a\":\"x\n{\"a\":3}\n",
		 "1:1 2!column 6: expected a value, found the end 3!column 8: expected the end of the "
		 "line, found an object 4!expected an object, found a number 5!column 8: expected the "
		 "string's closing quote, found the end 6:3"},
		{"{\"a\":1}\n{\"a\":2",
		 "f.json:2:7: expected ',' or '}', found the end, in a last "
		 "line that does not end with a newline: the input is cut off"},
		{"[\n{\"a\":1}\n]\n", "f.json:1: expected an object in a line, found what looks like "
				      "a JSON document (hint: --format json)"},
		{"{ \r\n\"a\":1}\n",
		 "f.json:1: expected an object in a line, found what looks like a "
		 "JSON document (hint: --format json)"},
	};

	read_cases(engine, cases, COUNT(cases), AMEND_FORMAT_NDJSON);
}

/* Members that the records read ahead do not have. */
static struct amend_source *many(struct amend_buffer *text, enum amend_format format,
				 const char *last)
{
	const struct amend_source_options options = {.format = format};
	struct amend_source *source = NULL;
	struct amend_error err;

	amend_buffer_text(text, format == AMEND_FORMAT_JSON ? "[" : "");
	for (int i = 0; i < 1500; i++)
		amend_buffer_printf(text, "{\"a\":%d}%s\n", i,
				    format == AMEND_FORMAT_JSON ? "," : "");
	amend_buffer_text(text, last);
	amend_buffer_text(text, format == AMEND_FORMAT_JSON ? "]" : "\n");
	expect_ok(amend_source_new(amend_input_memory(text->data, text->size), "f", &options,
				   &source, &err),
		  &err);
	assert_true(source->open);
	return source;
}

static void last_of(struct amend_source *source, struct amend_source_record *record)
{
	struct amend_error err;
	bool end;

	for (int i = 0; i <= 1500; i++) {
		expect_ok(source->ops->next(source, record, &end, &err), &err);
		assert_false(end);
		assert_int_equal(record->line, i + 1);
		if (i < 1500) {
			assert_null(record->problem);
			assert_int_equal(atoi(record->fields[0].as.text), i);
		}
	}
}

static void members_that_come_late(struct engine *engine)
{
	static const enum amend_format formats[] = {AMEND_FORMAT_JSON, AMEND_FORMAT_NDJSON};
	struct amend_source_record record;
	struct amend_error err;

	for (size_t i = 0; i < COUNT(formats); i++) {
		struct amend_buffer text = AMEND_BUFFER_INIT;
		struct amend_source *source = many(&text, formats[i], "{\"a\":1,\"b\":2}");

		last_of(source, &record);
		expect_text(record.problem,
			    "member b is in none of the first 1000 records, from which the columns "
			    "are known (hint: --columns COL,... names those to use)");
		amend_source_close(source);
		amend_buffer_reset(&text);

		source = many(&text, formats[i], "{\"a\":1,\"b\":2}");
		expect_ok(amend_source_want(source, "b", &err), &err);
		last_of(source, &record);
		assert_null(record.problem);
		assert_int_equal(source->n_names, 2);
		assert_memory_equal(record.fields[1].as.text, "2", 1);
		amend_source_close(source);
		amend_buffer_reset(&text);

		source = many(&text, formats[i], "{\"a\":1,\"b\":2}");
		source->only_named = true;
		last_of(source, &record);
		assert_null(record.problem);
		amend_source_close(source);
		amend_buffer_release(&text);
	}
	(void)engine;
}

/* Brackets without end, and as many as a field may have. */
static void depth(struct engine *engine)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_error err;

	for (int deep = 512; deep <= 100000; deep = deep == 512 ? 513 : deep * 20) {
		amend_buffer_reset(&text);
		amend_buffer_text(&text, "[{\"a\":");
		for (int i = 0; i < deep; i++)
			amend_buffer_char(&text, '[');
		for (int i = 0; i < deep; i++)
			amend_buffer_char(&text, ']');
		amend_buffer_text(&text, "},{\"b\":2}]");
		if (deep == 512)
			expect_contains(read_all(engine, AMEND_FORMAT_JSON, NULL, text.data,
						 text.size, &err),
					"]]]|- 2:-|2");
		else
			expect_text(read_all(engine, AMEND_FORMAT_JSON, NULL, text.data, text.size,
					     &err),
				    "1!member a is nested deeper than 512 2:-|2");
	}
	amend_buffer_release(&text);
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

static const struct amend_source_options csv = {.format = AMEND_FORMAT_CSV};

static void dribbling(struct engine *engine)
{
	static const char text[] = "\xef\xbb\xbf"
				   "a,b\r\n\"x\r\ny\",1\r\n\r\nz,\"\"\"2\"\r\n";

	for (size_t step = 1; step < sizeof(text); step++) {
		struct dribble dribble = {{.read = dribble_read, .close = dribble_close},
					  text,
					  sizeof(text) - 1,
					  step};
		struct amend_source *source = NULL;
		struct amend_source_record record;
		struct amend_error err;
		bool end;

		expect_ok(amend_source_new(&dribble.input, "d", &csv, &source, &err), &err);
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
	struct dribble dribble = {{.read = endless_read, .close = dribble_close}, NULL, 0, 0};
	struct amend_source *source = NULL;
	struct amend_source_record record;
	struct amend_error err;
	bool end;

	expect_ok(amend_source_new(&dribble.input, "big.csv", &csv, &source, &err), &err);
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
	struct dribble dribble = {{.read = commas_read, .close = dribble_close}, NULL, 0, 0};
	struct amend_source *source = NULL;
	struct amend_source_record record;
	struct amend_error err;
	bool end;

	expect_ok(amend_source_new(&dribble.input, "big.csv", &csv, &source, &err), &err);
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
	expect_ok(amend_source_open(path, NULL, &source, &err), &err);
	assert_int_equal(amend_source_columns(source, &names), 2);
	expect_text(names[1], "name");
	amend_source_close(source);
	expect_status(AMEND_INVALID, amend_source_open("-", NULL, &source, &err), &err);
	expect_contains(err.text, "--format");
	expect_status(AMEND_INVALID, amend_source_open("x.dat", NULL, &source, &err), &err);
	expect_status(AMEND_INVALID, amend_source_open("/nowhere/x.csv", NULL, &source, &err), &err);
	expect_contains(err.text, "/nowhere/x.csv: No such file");
	expect_status(AMEND_INVALID, amend_source_open(engine->folder, &csv, &source, &err), &err);
	assert_null(source);
}

static void links(struct engine *engine)
{
	static const struct {
		const char *header, *next;
	} cases[] = {
		{"<https://h/x?page=2>; rel=\"next\"", "https://h/x?page=2"},
		{"</a>; rel=prev, </b>; rel=next", "/b"},
		{"</a>; rel=\"first next\"", "/a"},
		{"</a>;REL=NEXT", "/a"},
		{"</a> ; title=\"x; rel=next, <\" ; rel=\"prev\" , , </b> ; rel = next", "/b"},
		{"</a>; title=\"\\\"\"; rel=next", "/a"},
		{"<?page=2,3>; rel=next; title=x", "?page=2,3"},
		/* Only the first rel of a link counts (RFC 8288, 3.3). */
		{"</a>; rel=prev; rel=next", NULL},
		{"</a>; rel=nextt", NULL},
		{"</a>; title=next", NULL},
		{"</a", NULL},
		{"</a>", NULL},
		{"next", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *url = NULL;
		size_t size = 0;
		bool found = amend_link_next(cases[i].header, strlen(cases[i].header), &url, &size);

		expect_text(found ? engine_printf(engine, "%.*s", (int)size, url) : NULL,
			    cases[i].next);
	}
}

/* What of a URL may be seen. */
static void shown_urls(struct engine *engine)
{
	static const struct {
		const char *url, *shown;
	} cases[] = {
		{"https://h/x.csv", "https://h/x.csv"},
		{"http://me:pw@h:8080/x", "http://h:8080/x"},
		{"http://me:p@w@h/x@y", "http://h/x@y"},
		{"http://h/x?key=1", "http://h/x?..."},
		{"http://h?key=a@b/c", "http://h?..."},
		{"http://h/x#part", "http://h/x"},
		{"http://", "http://"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *shown = amend_http_shown(cases[i].url);

		expect_text(shown, cases[i].shown);
		free(shown);
	}
	(void)engine;
}

/* What gzip makes of the text: stored, not pressed, so that a test needs no zlib. */
static void pack(struct amend_buffer *out, const char *text)
{
	size_t size = strlen(text);
	unsigned char head[15] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1};
	unsigned char tail[8] = {0};
	uint32_t crc = 0xffffffff;

	head[11] = (unsigned char)size;
	head[12] = (unsigned char)(size >> 8);
	head[13] = (unsigned char)~head[11];
	head[14] = (unsigned char)~head[12];
	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned char)text[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	crc = ~crc;
	for (int i = 0; i < 4; i++) {
		tail[i] = (unsigned char)(crc >> 8 * i);
		tail[4 + i] = (unsigned char)(size >> 8 * i);
	}
	amend_buffer_add(out, head, sizeof(head));
	amend_buffer_add(out, text, size);
	amend_buffer_add(out, tail, sizeof(tail));
}

/* Packed: one member or several, whole or cut off anywhere, damaged, with something behind it. */
static void packed(struct engine *engine)
{
	struct amend_buffer bytes = AMEND_BUFFER_INIT;
	struct amend_error err;
	size_t one;

	pack(&bytes, "a,b\n1,2\n");
	one = bytes.size;
	expect_text(read_all(engine, AMEND_FORMAT_CSV, NULL, bytes.data, bytes.size, &err), "2:1|2");
	pack(&bytes, "");
	pack(&bytes, "3,4\n");
	expect_text(read_all(engine, AMEND_FORMAT_CSV, NULL, bytes.data, bytes.size, &err),
		    "2:1|2 3:3|4");
	/* Cut off between members it is whole: nothing tells. One byte alone is no gzip. */
	for (size_t size = 2; size < bytes.size; size++) {
		const char *read;

		if (size == one || size == one + 23)
			continue;
		read = read_all(engine, AMEND_FORMAT_CSV, NULL, bytes.data, size, &err);
		if (!strstr(read, "f.csv: the gzip data ends too early: the input is cut off") &&
		    !strstr(read, "f.csv: expected the end behind the gzip data"))
			fail_msg("cut after %zu bytes: %s", size, read);
	}
	amend_buffer_add(&bytes, "x", 1);
	expect_contains(read_all(engine, AMEND_FORMAT_CSV, NULL, bytes.data, bytes.size, &err),
			"f.csv: expected the end behind the gzip data, found other bytes");
	bytes.data[one - 8] ^= 1;
	expect_contains(read_all(engine, AMEND_FORMAT_CSV, NULL, bytes.data, bytes.size, &err),
			"f.csv: the gzip data is damaged: incorrect data check");
	amend_buffer_release(&bytes);
}

/* Nothing is written of an input that is not whole, or not readable. */
static void nothing_of_a_broken_input(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE country (code text PRIMARY KEY, name text)");
	feed = feed_open(engine, "country", "code");
	refused(feed, AMEND_UNREACHABLE, "code,name\nFR,France\nDE,\"Germ", "cut off");
	refused(feed, AMEND_INVALID, "code,name\nFR,France\nD\"E,x\n", "feed.csv:3:");
	refused(feed, AMEND_INVALID, "", "found nothing");
	fed_once(feed, "code,name\nFR,France\nDE\nIT,It\xffly\n", "created=1 rejected=2");
	engine_expect(engine, "SELECT code FROM country", "FR");
}

static const struct engine_test tests[] = {
	{"records, lines, NULL and ''", readings, .only = "sqlite"},
	{"JSON: records, fields, what is refused and where", json_readings, .only = "sqlite"},
	{"NDJSON: an object a line", ndjson_readings, .only = "sqlite"},
	{"members that come late are not dropped", members_that_come_late, .only = "sqlite"},
	{"brackets in brackets in brackets", depth, .only = "sqlite"},
	{"bytes that arrive one by one", dribbling, .only = "sqlite"},
	{"a field without end is refused, memory stays bounded", gigabyte_field, .only = "sqlite"},
	{"a record of 300 million fields is rejected alone", endless_record, .only = "sqlite"},
	{"the next page in a Link header", links, .only = "sqlite"},
	{"what of a URL is shown", shown_urls, .only = "sqlite"},
	{"gzip: members, and what is cut off or damaged", packed, .only = "sqlite"},
	{"files, formats, what cannot be opened", opening, .only = "sqlite"},
	{"of an input that is cut off nothing is written", nothing_of_a_broken_input},
};

ENGINE_MAIN(tests)

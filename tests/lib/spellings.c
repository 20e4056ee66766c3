/*
 * Spellings of values of every type: what people, programs and exports write, and what is nearly that.
 * Leaves what is to come of them to the tests.
 */
#include "spellings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct spelled postgres[] = {
	{"smallint", {"0", "-32768", "32767", "32768", " 7 ", "007", "+1", "1e2", "0x1F"}},
	{"integer",
	 {"0", "-2147483648", "2147483647", "2147483648", "\t12\n", "1_000", "- 1", "--1"}},
	{"bigint",
	 {"9223372036854775807", "-9223372036854775808", "9223372036854775808", "00", "-0"}},
	{"oid", {"0", "4294967295", "4294967296", "-1", "17", " 17"}},
	{"numeric",
	 {"1.50", "-0.00", "1e3", "1.2e-7", ".5", "5.", "NaN", "Infinity", "00012", "+3.10"}},
	{"numeric(6,2)",
	 {"1.5", "1234.567", "9999.995", "-0.001", "12345", "0012.300", "NaN", "1e3"}},
	{"numeric(3,3)", {"0.123", "0.1234", "1", ".9995", "-.5", "0", "0.10"}},
	{"numeric(3,-2)", {"12345", "99949", "99950", "1", "-150"}, 150000},
	{"real",
	 {"0.1", "1e10", "3.4028235e38", "1e39", "-0", "0.0001", "0.00001", "123456", "1234567",
	  "NaN", "16777217", "1.50"}},
	{"double precision",
	 {"0.1", "1e15", "123456789012345", "1234567890123456", "1e-5", "0.0001", "-0.0", "1e308",
	  "1e309", "inf", "0.30000000000000004", "00.10"}},
	{"money", {"$1.50", "-1", "1,000.00", "12.345"}},
	{"text",
	 {"", "a", " a ", "Z\303\274rich", "\360\237\230\200", "\355\240\200", "\300\200", "a\\b'"}},
	{"varchar", {"", "abc", "abc  "}},
	{"varchar(3)", {"abc", "abcd", "abc   ", "\303\274\303\274\303\274", "ab\303", "    "}},
	{"char(3)", {"a", "", "abc", "abcd", "abc   ", " \303\274", "    ", "ab\t"}},
	{"bpchar", {"a", "a  ", ""}},
	{"\"char\"", {"a", "", "ab", "\\101"}},
	{"name",
	 {"abc", "a b", "0123456789012345678901234567890123456789012345678901234567890123456"}},
	{"bytea", {"\\x00FF", "\\xabc", "\\x", "abc", "\\\\", "\\000a", "\\x 00", "\\xZZ"}},
	{"boolean", {"t", "TRUE", "y", "on", "of", "o", "1", " no ", "yess", "", "fal", "10"}},
	{"date",
	 {"2024-02-29", "2023-02-29", "0001-01-01", "0000-01-01", "9999-12-31", "infinity",
	  "20240229", "2024-060", "Jan 8, 1999", "10000-01-01", "2000-01-01 BC", "2024-2-9"}},
	{"time",
	 {"07:05", "07:05:06.5000", "24:00:00", "23:59:60", "23:59:59.9999999", "7:5", "07:05 PM"}},
	{"time(2)", {"07:05:06.125", "07:05:06.12", "23:59:59.999", "07:05:06.1"}},
	{"timetz", {"07:05:06+02", "07:05:06Z", "07:05:06", "07:05:06.5-03:30"}},
	{"timestamp",
	 {"2024-02-29T07:05", "2024-02-29 07:05:06.500", "2024-02-29", "infinity",
	  "2024-02-29 24:00:00", "2024-02-29 07:05:06+02", "2024-02-29T07:05:06Z",
	  "1999-12-31 23:59:59.9999999", "2024-02-29  07:05:06"}},
	{"timestamp(3)",
	 {"2024-02-29 07:05:06.1235", "2024-02-29 07:05:06.123000", "2024-02-29 07:05:06"}},
	{"timestamptz",
	 {"2024-01-01T00:30:00+02:00", "2024-01-01 00:30:00Z", "2024-01-01 00:30:00",
	  "2024-01-01 00:30:00.120+00", "2024-01-01 00:30:00 Europe/Berlin",
	  "0001-01-01 00:00:00+00", "2024-01-01 00:30:00+00:00", "2024-01-01"}},
	{"timestamptz(0)",
	 {"2024-01-01 00:30:00.5+00", "2024-01-01 00:30:00.0Z", "2024-01-01 23:59:59.7"}},
	{"interval",
	 {"90 minutes", "1 mon", "30 days", "1-2", "P1Y2M3DT4H", "-1 day +2:00", "1.5 days"}},
	{"interval(2)", {"1.239 seconds", "00:00:01.005", "1 day"}},
	{"interval year to month", {"1-2", "14 months", "3 days", "5"}},
	{"interval day to second(1)", {"1 12:00:00.55", "2 mons", "5"}},
	{"uuid",
	 {"0B5B6F5E2F2A4A3C9C7E7D1A5A1D9D10", "0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10",
	  "{0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9D10}", "0b5b"}},
	{"inet", {"10.0.0.1/32", "10.0.0.1", "10.0.0.0/8", "::1/128", "::FFFF:1.2.3.4"}},
	{"cidr", {"10.0.0.0/8", "10", "10.0.0.1/8", "::/0"}},
	{"macaddr", {"08:00:2b:01:02:03", "08002b010203", "08-00-2B-01-02-03"}},
	{"json", {"{\"a\":  1}", "[1, 2]", "{", "null", "1.0", "\"\\u0000\"", "{\"a\":1,\"a\":2}"}},
	{"jsonb",
	 {"{\"b\":1,\"a\":{ }, \"a\":9007199254740993}", "[1.0, 1e2]", "\"\\u0000\"", "\"\\u00fc\""}},
	{"integer[]", {"{1, 2,null}", "{}", "[0:1]={1,2}", "{{1},{2}}", "{1", "{1,x}"}},
	{"text[]", {"{a, \"b c\",\"null\",NULL}", "{\"\"}", "{a\\\\b}", "{{a},{b}}"}},
	{"varchar(3)[]", {"{abc,abcd}", "{abc  ,a}", "{\"abc  \",a}", "{a,NULL}"}},
	{"char(3)[]", {"{a,abc}", "{abcd}", "{\"abc  \"}", "{NULL}"}},
	{"bit(3)[]", {"{101,011}", "{1010}", "{1}"}},
	{"bit varying(3)[]", {"{101,01}", "{1010}"}},
	{"numeric(6,2)[]", {"{1,2.345}", "{99999}"}},
	{"timestamptz[]", {"{2024-01-01 00:30:00+02,NULL}"}},
	{"bit", {"1", "0", "10", "B1"}},
	{"bit(3)", {"101", "1", "1010", "b101", "X7", "xF"}},
	{"varbit(5)", {"101", "", "111111", "X1F", "b1"}},
	{"varbit", {"101", "xAB"}},
	{"mood", {"sad", "glad", "Glad", "glad ", "it's \"odd\""}},
	{"even", {"04", "3", " 2", "x"}},
	{"code", {"abc", "abcd", "a", "abc  ", "FR"}},
	{"fixed", {"abc", "abcd", "a", "abc  "}},
	{"price", {"1.005", "-1", "99999", "1"}},
	{"pair", {"(1,a)", "(01,\"a b\")", "(,)", "(1)", "(1,\"abcd\")"}},
	{"int4range", {"[1,5)", "(1,5]", "empty", "[5,1]", "[1,]"}},
	{"tstzrange", {"[2024-01-01,2024-01-02)", "(,2024-01-01 00:00:00+02]"}},
	{"point", {"(1,2)", "1, 2", "(1e400,0)", "(0.1,-0)"}},
	{"circle", {"<(1,2),3>", "((1,2),3)", "1,2,-3"}},
	{"polygon", {"((0,0),(1,1),(1,0))"}},
	{"tsvector", {"a b a", "'a':2 'b':1", "a:1A,2"}},
	{"pg_lsn", {"16/B374D848", "0/0", "16/b374d848"}},
	{"\"Odd \"\"type\"", {"one", "two", "ONE"}},
	{"citext", {"abc", "ABC", ""}},
	{"hstore", {"a=>1, b=>NULL", "\"a\"=>\"1\",\"a\"=>\"2\""}},
	{NULL, {NULL}, 0},
};

/* By affinity, the declared type's and its absence; the numbers at which SQLite changes its mind. */
#define NUMBERS                                                                                \
	"0", "007", "+1", "-0", "1e3", "1.50", " 7 ", "9223372036854775807",                   \
		"9223372036854775808", "9007199254740993.0", "0.1", ".5", "5.", "0x10", "abc", \
		"12345678901234567890"

static const struct spelled sqlite[] = {
	{"INTEGER", {NUMBERS}, 0},
	{"INT", {NUMBERS}, 0},
	{"REAL", {NUMBERS}, 0},
	{"DOUBLE PRECISION", {NUMBERS}, 0},
	{"FLOATING POINT", {NUMBERS}, 0},
	{"NUMERIC", {NUMBERS}, 0},
	{"DECIMAL(10,2)", {NUMBERS}, 0},
	{"BOOLEAN", {"true", "false", "1", "0", "01", "1.0"}, 0},
	{"DATE", {"2024-02-29", "2024-02-29 ", "20240229", "2024"}, 0},
	{"JSON", {"{\"a\":  1}", "[1, 2]", "1.0", "1", "null", "007"}, 0},
	{"UUID", {"0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10", "12345678", "1e5"}, 0},
	{"STRING", {NUMBERS}, 0},
	{"TEXT", {"", "a", " a ", "007", "1.50", "A", "Z\303\274rich"}, 0},
	{"TEXT COLLATE NOCASE", {"a", "A", "aB", "AB", "", "1.0"}, 0},
	{"TEXT COLLATE RTRIM", {"a", "a ", "a  ", " a", ""}, 0},
	{"VARCHAR(3)", {"abc", "abcd", "abc  ", "1", "01"}, 0},
	{"BLOB", {NUMBERS}, 0},
	{"", {NUMBERS}, 0},
	{"ANY", {NUMBERS}, 0},
	{NULL, {NULL}, 0},
};

#define WHOLE "0", "007", "+1", "-0", "-128", "127", "128", "255", "256", "1e2", "7.5", " 7 "
#define REALS                                                                                \
	"0", "0.1", "1e10", "3.4028235e38", "1e39", "-0", "0.00001", "16777216", "16777217", \
		"123456789012345678", "1.50", "1e308", "1e309", ".5", "5."

static const struct spelled mariadb[] = {
	{"tinyint", {WHOLE}, .narrow = true},
	{"tinyint unsigned", {WHOLE}, .narrow = true},
	{"smallint", {WHOLE, "-32768", "32767", "32768"}, .narrow = true},
	{"mediumint", {WHOLE, "8388607", "8388608"}, .narrow = true},
	{"int", {WHOLE, "-2147483648", "2147483648"}, .narrow = true},
	{"int(5) unsigned zerofill", {WHOLE, "00012", "123456"}, .narrow = true},
	{"bigint",
	 {"9223372036854775807", "-9223372036854775808", "9223372036854775808", "00", "-0"},
	 .narrow = true},
	{"bigint unsigned",
	 {"18446744073709551615", "18446744073709551616", "9007199254740993", "-1"},
	 .narrow = true},
	{"decimal(6,2)",
	 {"1.5", "1234.567", "9999.995", "-0.001", "12345", "0012.300", "1e3"},
	 .narrow = true},
	{"decimal(6,2) unsigned", {"1.5", "-0.001", "-1", "9999.994", "0"}, .narrow = true},
	{"decimal(3,3)", {"0.123", "0.1234", "1", ".9995", "-.5", "0", "0.10"}, .narrow = true},
	{"decimal(30,0)", {"123456789012345678901234567890", "0.5", "-0.5", "1e29"}, .narrow = true},
	{"double", {REALS}, .narrow = true},
	{"float", {REALS}, .narrow = true},
	{"double(7,2)", {"1.005", "99999.994", "99999.995", "-0.001", "1e3"}, .narrow = true},
	{"varchar(3)",
	 {"abc", "abcd", "abc   ", "\303\274\303\274\303\274", "ab\303", "    ", "a", "A", "a "},
	 .narrow = true},
	{"varchar(3) COLLATE utf8mb4_general_ci",
	 {"abc", "ABC", "abc  ", "\303\244", "a", ""},
	 .narrow = true},
	{"varchar(9) CHARACTER SET latin1", {"abc", "\303\274", "\360\237\230\200", ""}},
	{"varchar(9) CHARACTER SET utf16", {"abc", "\303\274", "\360\237\230\200", ""}},
	{"char(3)", {"a", "", "abc", "abcd", "abc   ", " \303\274", "    ", "ab\t"}, .narrow = true},
	{"mediumtext", {"", "a", " a ", "Z\303\274rich", "\360\237\230\200", "a\\b'"}},
	{"varbinary(3)", {"abc", "abcd", "a ", "", "\303\274"}},
	{"binary(3)", {"abc", "abcd", "a ", "", "\303\274"}},
	{"blob", {"abc", "", "\\x00", "\303\274"}},
	{"date",
	 {"2024-02-29", "2023-02-29", "0000-00-00", "2024-00-10", "9999-12-31", "20240229",
	  "24-2-9", "2024-2-9", "10000-01-01", "2024-02-29 07:05:06"}},
	{"time", {"07:05", "07:05:06.5000", "838:59:59", "839:00:00", "-1:00", "1 2:03", "7:5"}},
	{"time(2)", {"07:05:06.125", "07:05:06.12", "23:59:59.999", "07:05:06.1"}},
	{"datetime",
	 {"2024-02-29T07:05:06", "2024-02-29 07:05:06.500", "2024-02-29", "0000-00-00 00:00:00",
	  "2024-02-29 07:05:06+02:00", "2024-02-29T07:05:06Z", "1999-12-31 23:59:59.9999999"}},
	{"datetime(3)",
	 {"2024-02-29 07:05:06.1235", "2024-02-29 07:05:06.123000", "2024-02-29 07:05:06"}},
	{"timestamp NULL DEFAULT NULL",
	 {"2024-02-29 07:05:06", "2038-01-19 03:14:07", "2038-01-19 03:14:08",
	  "1970-01-01 00:00:01", "1970-01-01 00:00:00", "2024-02-29T07:05:06Z"}},
	{"timestamp(6) NULL DEFAULT NULL",
	 {"2024-02-29 07:05:06.1234567", "2024-02-29 07:05:06.5", "2024-02-29"}},
	{"year", {"2024", "24", "0", "00", "1901", "1900", "2155", "2156", "+7"}, .narrow = true},
	{"json", {"{\"a\":  1}", "[1, 2]", "{", "null", "1.0", "\"\\u0000\"", "{\"a\":1,\"a\":2}"}},
	{"enum('sad','glad','it''s \"odd\"')", {"sad", "glad", "Glad", "glad ", "1", "x", "3"}},
	{"set('a','b','c d')", {"a", "a,b", "b,a", "a,a", "", "c d", "3", "x"}},
	{"uuid",
	 {"0B5B6F5E2F2A4A3C9C7E7D1A5A1D9D10", "0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10",
	  "{0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9D10}", "0b5b"}},
	{"inet6", {"::1", "::FFFF:1.2.3.4", "fe80::0:1", "1.2.3.4", "::g"}},
	{NULL, {NULL}, 0},
};

static uint64_t random_state;

void spelled_begin(void)
{
	const char *seed = getenv("AMEND_TEST_SEED");

	random_state = seed ? strtoull(seed, NULL, 10) : 1;
	printf("# AMEND_TEST_SEED=%llu\n", (unsigned long long)random_state);
	fflush(stdout);
}

size_t spelled_rounds(size_t usual)
{
	const char *rounds = getenv("AMEND_TEST_ROUNDS");

	return rounds ? strtoul(rounds, NULL, 10) : usual;
}

/* splitmix64 */
uint64_t spelled_random(uint64_t below)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % below;
}

/* A seed with up to three bytes changed, by what makes new spellings rather than noise. */
const char *spelled_input(struct engine *engine, const struct spelled *kind, bool plain)
{
	static const char bytes[] = "0123456789000111999..--+ :TZtzeE,/(){}[]\"'\\axfX_\t";
	char text[128];
	size_t n = 0, size;

	while (n < COUNT(kind->seeds) && kind->seeds[n])
		n++;
	snprintf(text, sizeof(text), "%s", kind->seeds[spelled_random(n)]);
	for (uint64_t i = plain ? 0 : spelled_random(4); i > 0; i--) {
		char byte = bytes[spelled_random(sizeof(bytes) - 1)];
		size_t at;

		size = strlen(text);
		at = (size_t)spelled_random(size + 1);
		switch (spelled_random(4)) {
		case 0:
			if (size + 2 < sizeof(text)) {
				memmove(text + at + 1, text + at, size - at + 1);
				text[at] = byte;
			}
			break;
		case 1:
			if (at < size)
				memmove(text + at, text + at + 1, size - at);
			break;
		case 2: /* digits stay digits: that keeps dates dates */
			if (at < size)
				text[at] = text[at] >= '0' && text[at] <= '9'
						   ? (char)('0' + spelled_random(10))
						   : byte;
			break;
		default:
			if (at < size && text[at] >= '0' && text[at] <= '9')
				text[at] = (char)('0' + spelled_random(10));
			break;
		}
	}
	return engine_printf(engine, "%s", text);
}

void spelled_prepare(struct engine *engine)
{
	if (!engine_is(engine, "postgresql"))
		return;
	engine_exec(engine, "CREATE TYPE mood AS ENUM ('sad', 'glad', 'it''s \"odd\"');"
			    "CREATE DOMAIN even AS integer CHECK (VALUE % 2 = 0);"
			    "CREATE DOMAIN code AS varchar(3) CHECK (VALUE <> 'FR');"
			    "CREATE DOMAIN fixed AS char(3);"
			    "CREATE DOMAIN price AS numeric(6,2) CHECK (VALUE >= 0);"
			    "CREATE TYPE pair AS (a integer, b varchar(3));"
			    "CREATE TYPE \"Odd \"\"type\" AS ENUM ('one', 'two')");
	engine_exec(engine,
		    "DO $$ BEGIN CREATE EXTENSION citext; CREATE EXTENSION hstore; EXCEPTION WHEN "
		    "OTHERS THEN RAISE NOTICE 'no contrib'; END $$");
}

/* An extension that this server has not, or a type that came later. */
static bool lacks(struct engine *engine, const struct spelled *kind)
{
	bool extension = strcmp(kind->type, "citext") == 0 || strcmp(kind->type, "hstore") == 0;

	return (kind->since &&
		atoi(engine_scalar(engine, "SHOW server_version_num")) < kind->since) ||
	       (extension &&
		strcmp(engine_scalar(engine, engine_printf(engine,
							   "SELECT count(*) FROM pg_type WHERE "
							   "typname = '%s'",
							   kind->type)),
		       "0") == 0);
}

const struct spelled *spelled_next(struct engine *engine, const struct spelled *last)
{
	const struct spelled *kind = last                              ? last + 1
				     : engine_is(engine, "postgresql") ? postgres
				     : engine_is(engine, "mariadb")    ? mariadb
								       : sqlite;

	while (kind->type && lacks(engine, kind))
		kind++;
	return kind->type ? kind : NULL;
}

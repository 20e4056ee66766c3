/*
 * One process of a history: random operations through the public API, each logged before and after, until SIGTERM.
 * Leaves faults to histories.py, and judging to checker.py.
 *
 *	worker URL LOG NUMBER SEED WORKLOAD LEVEL
 *
 * WORKLOAD: register counter bank set list. LEVEL, of units: read-committed repeatable-read serializable.
 * A line of JSON says what is about to be done, the next one with its number what it came to. Values are told from
 * those of other processes by NUMBER.
 */
#include <amend/amend.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	NUMBERS = 10000000, /* a process's */
	PROCESSES = 8,      /* those that are looked at by the others */
	REGISTERS = 3,
	ACCOUNTS = 6,
	LISTS = 4,     /* at a time */
	LIST_MS = 150, /* then others: a list does not grow long */
	MOST_READS = 3,
	MOST_APPENDS = 2,
	PATIENCE_S = 30, /* to reach a server that is started again */
};

struct worker {
	const char *url;
	struct amend_conn *db;
	struct amend_table *table, *other; /* the workload's */
	struct amend_error err;
	struct amend_unit_options unit;
	enum amend_isolation level;
	enum amend_status status; /* of the last operation */
	int log, number;
	long n; /* of the operation, from 1 */
	uint64_t seed;
	char line[262144]; /* what is about to be logged */
	size_t size;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "worker: %s: %s\n", what, why);
	exit(1);
}

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* splitmix64; below `n` */
static long chance(struct worker *w, long n)
{
	uint64_t z = w->seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (long)(z % (uint64_t)n);
}

/* --- the log --- */

static void AMEND_PRINTF(2, 3) say(struct worker *w, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(w->line + w->size, sizeof(w->line) - w->size, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(w->line) - w->size)
		die("log", "a line is too long");
	w->size += (size_t)n;
}

/* In one write: a process that is killed leaves whole lines. */
static void end_line(struct worker *w)
{
	say(w, "}\n");
	if (write(w->log, w->line, w->size) != (ssize_t)w->size)
		die("log", strerror(errno));
	w->size = 0;
}

/* What is about to be done; the caller adds to it, and ends the line. */
static void begin(struct worker *w, const char *op)
{
	say(w, "{\"n\":%ld,\"begun\":%lld,\"op\":\"%s\"", ++w->n, now_us(), op);
}

/* What it came to. */
static void ended(struct worker *w, enum amend_status status)
{
	const char *state = status == AMEND_OK                ? "ok"
			    : status == AMEND_OUTCOME_UNKNOWN ? "unknown"
							      : "fail";

	w->status = status;
	say(w, "{\"n\":%ld,\"ended\":%lld,\"state\":\"%s\",\"status\":\"%s\"", w->n, now_us(),
	    state, amend_status_name(status));
	if (status != AMEND_OK) {
		say(w, ",\"text\":\"");
		for (const char *c = w->err.text; *c; c++) {
			if (*c == '"' || *c == '\\')
				say(w, "\\");
			say(w, "%c", (unsigned char)*c < ' ' ? ' ' : *c);
		}
		say(w, "\"");
	}
}

/* --- connections --- */

static void disconnect(struct worker *w)
{
	amend_table_close(w->table);
	amend_table_close(w->other);
	amend_close(w->db);
	w->db = NULL;
	w->table = w->other = NULL;
}

static void connect(struct worker *w, const char *table, const char *other)
{
	long long until = now_us() + (long long)PATIENCE_S * 1000000;
	const struct timespec pause = {0, 20000000};
	char who[32];

	snprintf(who, sizeof(who), "worker %d", w->number);
	while (amend_open(w->url, NULL, &w->db, &w->err) != AMEND_OK ||
	       amend_set_author(w->db, who, NULL, NULL, &w->err) != AMEND_OK ||
	       amend_table_open(w->db, table, &w->table, &w->err) != AMEND_OK ||
	       (other && amend_table_open(w->db, other, &w->other, &w->err) != AMEND_OK)) {
		disconnect(w);
		if (stopped)
			exit(0);
		if (now_us() > until)
			die("open", w->err.text);
		nanosleep(&pause, NULL);
	}
}

static long long number_of(const struct amend_value *value)
{
	char text[32];

	if (value->kind == AMEND_INTEGER)
		return value->as.integer;
	if (value->kind != AMEND_TEXT || value->size >= sizeof(text))
		die("value", "not a number");
	memcpy(text, value->as.text, value->size);
	text[value->size] = '\0';
	return strtoll(text, NULL, 10);
}

static long long column_of(const struct amend_table *table, const struct amend_value *record,
			   const char *name)
{
	int column = amend_table_column(table, name);

	if (!record || column < 0)
		die(name, "no such value");
	return number_of(&record[column]);
}

/* Of no other operation of any process. */
static long long fresh(const struct worker *w)
{
	return (long long)w->number * NUMBERS + w->n * 10;
}

/* A write of the record `id`; the pieces live in the caller. */
static struct amend_write write_of(const struct amend_match *key, enum amend_mode mode,
				   const struct amend_assign *set, size_t n_set)
{
	struct amend_write write = AMEND_WRITE_INIT;

	write.mode = mode;
	write.keys = key, write.n_keys = 1;
	write.set = set, write.n_set = n_set;
	return write;
}

/* --- register: a write expects the token of what was read --- */

static void do_register(struct worker *w)
{
	long id = 1 + chance(w, REGISTERS);
	const struct amend_field field = {"id", amend_integer(id)};
	const struct amend_match key = {&field, 1};
	struct amend_result seen = AMEND_RESULT_INIT, result = AMEND_RESULT_INIT;
	enum amend_status status;

	begin(w, "read");
	say(w, ",\"key\":%ld", id);
	end_line(w);
	status = amend_get(w->db, w->table, &key, true, &seen, &w->err);
	ended(w, status);
	if (status == AMEND_OK)
		say(w, ",\"value\":%lld", column_of(w->table, seen.record, "v"));
	end_line(w);
	if (status == AMEND_OK && chance(w, 4) > 0) {
		struct amend_assign set = {.column = "v"};
		struct amend_write write = write_of(&key, AMEND_UPDATE, &set, 1);
		long long value;

		begin(w, "write");
		value = fresh(w);
		set.value = amend_integer(value);
		write.expect.token = seen.token;
		say(w, ",\"key\":%ld,\"base\":%lld,\"value\":%lld", id,
		    column_of(w->table, seen.record, "v"), value);
		end_line(w);
		status = amend_write(w->db, w->table, &write, &result, &w->err);
		ended(w, status);
		end_line(w);
		amend_result_release(&result);
	}
	amend_result_release(&seen);
}

/* --- counter --- */

static void do_counter(struct worker *w)
{
	const struct amend_field field = {"id", amend_integer(1)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign one = {"n", AMEND_ADD, amend_integer(1)};
	const struct amend_write write = write_of(&key, AMEND_UPDATE, &one, 1);
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;

	if (chance(w, 4) == 0) {
		begin(w, "read");
		end_line(w);
		status = amend_get(w->db, w->table, &key, false, &result, &w->err);
		ended(w, status);
		if (status == AMEND_OK)
			say(w, ",\"value\":%lld", column_of(w->table, result.record, "n"));
	} else {
		begin(w, "add");
		end_line(w);
		status = amend_write(w->db, w->table, &write, &result, &w->err);
		ended(w, status);
		if (status == AMEND_OK && result.n_changes == 1)
			say(w, ",\"before\":%lld,\"after\":%lld",
			    number_of(&result.changes[0].before),
			    number_of(&result.changes[0].after));
	}
	end_line(w);
	amend_result_release(&result);
}

/* --- bank --- */

struct transfer {
	struct worker *worker;
	long long id;
	long from, to, amount;
};

static enum amend_status add_to(struct worker *w, long id, long amount, struct amend_error *err)
{
	const struct amend_field field = {"id", amend_integer(id)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign set = {"balance", AMEND_ADD, amend_integer(amount)};
	const struct amend_bound least = {"balance", amend_integer(0), amend_null()};
	struct amend_write write = write_of(&key, AMEND_UPDATE, &set, 1);
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;

	write.bounds = &least, write.n_bounds = 1;
	status = amend_write(w->db, w->table, &write, &result, err);
	amend_result_release(&result);
	return status;
}

static enum amend_status move_money(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct transfer *transfer = context;
	struct worker *w = transfer->worker;
	const struct amend_field field = {"id", amend_integer(transfer->id)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign set[] = {
		{"source", AMEND_SET, amend_integer(transfer->from)},
		{"target", AMEND_SET, amend_integer(transfer->to)},
		{"amount", AMEND_SET, amend_integer(transfer->amount)},
	};
	const struct amend_write row = write_of(&key, AMEND_CREATE, set, 3);
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = add_to(w, transfer->from, -transfer->amount, err);

	if (status == AMEND_OK)
		status = amend_write(db, w->other, &row, &result, err);
	amend_result_release(&result);
	if (status == AMEND_OK)
		status = add_to(w, transfer->to, transfer->amount, err);
	return status;
}

struct balances {
	struct worker *worker;
	long long values[ACCOUNTS];
};

/* Each by itself, in one snapshot. */
static enum amend_status get_balances(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct balances *balances = context;

	for (long i = 0; i < ACCOUNTS; i++) {
		const struct amend_field field = {"id", amend_integer(i + 1)};
		const struct amend_match key = {&field, 1};
		struct amend_result result = AMEND_RESULT_INIT;
		enum amend_status status = amend_get(db, balances->worker->table, &key, false,
						     &result, err);

		if (status == AMEND_OK)
			balances->values[i] = column_of(balances->worker->table, result.record,
							"balance");
		amend_result_release(&result);
		if (status != AMEND_OK)
			return status;
	}
	return AMEND_OK;
}

/* All in one statement. */
static enum amend_status ask_balances(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct balances *balances = context;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_query(db, "SELECT balance FROM account ORDER BY id", NULL,
					       0, &rows, err);

	for (size_t i = 0; status == AMEND_OK && i < ACCOUNTS; i++) {
		if (rows.n_rows != ACCOUNTS)
			die("account", "an account is missing");
		balances->values[i] = number_of(amend_rows_at(&rows, i, 0));
	}
	amend_rows_release(&rows);
	return status;
}

static void do_bank(struct worker *w)
{
	enum amend_status status;

	if (chance(w, 4) == 0) {
		struct balances balances = {.worker = w};
		bool snapshot = w->level != AMEND_READ_COMMITTED && chance(w, 2) == 0;

		begin(w, "sum");
		end_line(w);
		status = snapshot ? amend_atomic(w->db, &w->unit, get_balances, &balances, &w->err)
				  : ask_balances(w->db, &balances, &w->err);
		ended(w, status);
		for (int i = 0; status == AMEND_OK && i < ACCOUNTS; i++)
			say(w, "%s%lld", i ? "," : ",\"balances\":[", balances.values[i]);
		say(w, status == AMEND_OK ? "]" : "");
	} else {
		struct transfer transfer = {.worker = w, .amount = 1 + chance(w, 9)};

		transfer.from = 1 + chance(w, ACCOUNTS);
		transfer.to = 1 + (transfer.from + chance(w, ACCOUNTS - 1)) % ACCOUNTS;
		begin(w, "transfer");
		transfer.id = fresh(w);
		say(w, ",\"id\":%lld,\"from\":%ld,\"to\":%ld,\"amount\":%ld", transfer.id,
		    transfer.from, transfer.to, transfer.amount);
		end_line(w);
		status = amend_atomic(w->db, &w->unit, move_money, &transfer, &w->err);
		ended(w, status);
	}
	end_line(w);
}

/* --- set --- */

static void do_set(struct worker *w)
{
	enum amend_status status;

	if (chance(w, 12) == 0) {
		struct amend_rows rows = AMEND_ROWS_INIT;
		long long from = (1 + chance(w, PROCESSES)) * NUMBERS;
		char sql[128];

		begin(w, "all"); /* that one process has created */
		say(w, ",\"from\":%lld,\"to\":%lld", from, from + NUMBERS);
		end_line(w);
		snprintf(sql, sizeof(sql), "SELECT id FROM element WHERE id >= %lld AND id < %lld",
			 from, from + NUMBERS);
		status = amend_query(w->db, sql, NULL, 0, &rows, &w->err);
		ended(w, status);
		say(w, status == AMEND_OK ? ",\"values\":[" : "");
		for (size_t i = 0; status == AMEND_OK && i < rows.n_rows; i++)
			say(w, "%s%lld", i ? "," : "", number_of(amend_rows_at(&rows, i, 0)));
		say(w, status == AMEND_OK ? "]" : "");
		amend_rows_release(&rows);
	} else {
		struct amend_field field = {.column = "id"};
		const struct amend_match key = {&field, 1};
		const struct amend_write write = write_of(&key, AMEND_CREATE, NULL, 0);
		struct amend_result result = AMEND_RESULT_INIT;

		begin(w, "insert");
		field.value = amend_integer(fresh(w));
		say(w, ",\"value\":%lld", fresh(w));
		end_line(w);
		status = amend_write(w->db, w->table, &write, &result, &w->err);
		ended(w, status);
		amend_result_release(&result);
	}
	end_line(w);
}

/* --- list --- */

struct append {
	struct worker *worker;
	long key;
	long long value;
	char base[8192]; /* on which it was made */
};

struct list_unit {
	struct worker *worker;
	int n_reads, n_appends;
	long keys[MOST_READS];
	char reads[MOST_READS][8192];
	struct append appends[MOST_APPENDS];
};

/* The list of a record, "" where there is none. */
static void list_of(char *out, size_t size, const struct worker *w, const struct amend_value *record)
{
	const struct amend_value *items = record ? &record[amend_table_column(w->table, "items")]
						 : NULL;

	if (items && items->size >= size)
		die("list", "it is too long");
	snprintf(out, size, "%.*s", items ? (int)items->size : 0, items ? items->as.text : "");
}

static enum amend_status compute_append(struct amend_compute *compute,
					const struct amend_value *current, void *context,
					struct amend_error *err)
{
	struct append *append = context;
	char items[8300];
	struct amend_value value;

	list_of(append->base, sizeof(append->base), append->worker, current);
	snprintf(items, sizeof(items), "%s%s%lld", append->base, *append->base ? "," : "",
		 append->value);
	value = amend_text(items);
	return amend_compute_set(compute, "items", &value, err);
}

static enum amend_status list_fn(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct list_unit *unit = context;
	struct worker *w = unit->worker;
	enum amend_status status = AMEND_OK;

	for (int i = 0; i < unit->n_reads; i++) {
		const struct amend_field field = {"id", amend_integer(unit->keys[i])};
		const struct amend_match key = {&field, 1};
		struct amend_result result = AMEND_RESULT_INIT;

		status = amend_get(db, w->table, &key, false, &result, err);
		if (status == AMEND_OK || status == AMEND_NOT_FOUND)
			list_of(unit->reads[i], sizeof(unit->reads[i]), w,
				status == AMEND_OK ? result.record : NULL);
		amend_result_release(&result);
		if (status != AMEND_OK && status != AMEND_NOT_FOUND)
			return status;
	}
	for (int i = 0; i < unit->n_appends; i++) {
		struct append *append = &unit->appends[i];
		const struct amend_field field = {"id", amend_integer(append->key)};
		const struct amend_match key = {&field, 1};
		struct amend_write write = write_of(&key, AMEND_UPDATE_OR_CREATE, NULL, 0);
		struct amend_result result = AMEND_RESULT_INIT;

		write.compute = compute_append;
		write.compute_context = append;
		status = amend_write(db, w->table, &write, &result, err);
		amend_result_release(&result);
		if (status != AMEND_OK)
			return status;
	}
	return AMEND_OK;
}

static void do_list(struct worker *w)
{
	static struct list_unit unit;
	long first = (long)(now_us() / 1000 / LIST_MS % 100000000) * LISTS;
	enum amend_status status;

	memset(&unit, 0, sizeof(unit));
	unit.worker = w;
	unit.n_reads = (int)chance(w, MOST_READS + 1);
	unit.n_appends = (int)chance(w, MOST_APPENDS + 1);
	if (unit.n_reads + unit.n_appends == 0)
		unit.n_reads = 1;
	begin(w, "unit");
	for (int i = 0; i < unit.n_reads; i++)
		unit.keys[i] = first + chance(w, LISTS);
	for (int i = 0; i < unit.n_appends; i++) {
		unit.appends[i].worker = w;
		unit.appends[i].key = first + chance(w, LISTS);
		unit.appends[i].value = fresh(w) + i;
		say(w, "%s[%ld,%lld]", i ? "," : ",\"appends\":[", unit.appends[i].key,
		    unit.appends[i].value);
	}
	say(w, unit.n_appends ? "]" : ",\"appends\":[]");
	end_line(w);
	status = amend_atomic(w->db, &w->unit, list_fn, &unit, &w->err);
	ended(w, status);
	if (status == AMEND_OK) {
		say(w, ",\"reads\":[");
		for (int i = 0; i < unit.n_reads; i++)
			say(w, "%s[%ld,[%s]]", i ? "," : "", unit.keys[i], unit.reads[i]);
		say(w, "],\"bases\":[");
		for (int i = 0; i < unit.n_appends; i++)
			say(w, "%s[%s]", i ? "," : "", unit.appends[i].base);
		say(w, "]");
	}
	end_line(w);
}

static const struct workload {
	const char *name;
	void (*once)(struct worker *w);
	const char *table, *other;
} workloads[] = {
	{"register", do_register, "reg", NULL},   {"counter", do_counter, "counter", NULL},
	{"bank", do_bank, "account", "transfer"}, {"set", do_set, "element", NULL},
	{"list", do_list, "chain", NULL},
};

static const struct {
	const char *name;
	enum amend_isolation level;
} levels[] = {
	{"read-committed", AMEND_READ_COMMITTED},
	{"repeatable-read", AMEND_REPEATABLE_READ},
	{"serializable", AMEND_SERIALIZABLE},
};

int main(int argc, char **argv)
{
	static struct worker w;
	const struct workload *workload = NULL;
	const struct sigaction on_term = {.sa_handler = stop};

	if (argc != 7)
		die("usage", "worker URL LOG NUMBER SEED WORKLOAD LEVEL");
	sigaction(SIGTERM, &on_term, NULL);
	w.url = argv[1];
	w.log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	w.number = atoi(argv[3]);
	w.seed = (uint64_t)strtoull(argv[4], NULL, 10) * 1000 + (uint64_t)w.number;
	for (size_t i = 0; i < sizeof(workloads) / sizeof(*workloads); i++) {
		if (strcmp(workloads[i].name, argv[5]) == 0)
			workload = &workloads[i];
	}
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		if (strcmp(levels[i].name, argv[6]) == 0)
			w.level = levels[i].level;
	}
	if (w.log < 0)
		die(argv[2], strerror(errno));
	if (!workload || !w.level)
		die("usage", "no such workload or level");
	w.unit = (struct amend_unit_options)AMEND_UNIT_OPTIONS_INIT;
	w.unit.isolation = w.level;
	connect(&w, workload->table, workload->other);
	while (!stopped) {
		workload->once(&w);
		if (w.status == AMEND_UNREACHABLE || w.status == AMEND_OUTCOME_UNKNOWN) {
			disconnect(&w);
			connect(&w, workload->table, workload->other);
		}
	}
	disconnect(&w);
	close(w.log);
	return 0;
}

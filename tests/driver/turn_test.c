/*
 * The turn among amend's writers to one SQLite file: nobody starves, and whatever dies,
 * stops or lies in the file, writers go on. Figures: turn_test --measure (see measure()).
 */
#include "checks.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "sql/driver.h"
#include "sql/driver/turn.h"

/* Generous bounds: a machine under load must not fail what a stall of seconds would. */
enum { LONGEST_WAIT_US = 10000000, MAX_WRITERS = 32 };
/* Milliseconds. Who is not stalled needs less than STALL, however busy the machine. */
enum { STALL = 2000, NO_STALL = 1900, ONE_STALL = 6000 };

static char folder[256], path[300], turn_path[320];

static int make_folder(void **state)
{
	const char *tmp = getenv("AMEND_TEST_TMP");

	(void)state;
	if (!tmp)
		tmp = getenv("TMPDIR");
	snprintf(folder, sizeof(folder), "%s/turn.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/app.db", folder);
	snprintf(turn_path, sizeof(turn_path), "%s-turn", path);
	return 0;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"", "-wal", "-shm", "-journal", "-turn"};
	char name[340];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(name, sizeof(name), "%s%s", path, names[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct amend_session *open_session(int lock_timeout_ms)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session = NULL;
	struct amend_error err;

	options.lock_timeout_ms = lock_timeout_ms;
	expect_ok(amend_driver_sqlite->open(path, &options, &session, &err), &err);
	return session;
}

static enum amend_status exec(struct amend_session *session, const char *sql,
			      struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql};
	size_t failed;

	return amend_driver_sqlite->run(session, &statement, 1, NULL, &failed, err);
}

static enum amend_status begin(struct amend_session *session, int lock_timeout_ms,
			       struct amend_error *err)
{
	const struct amend_begin options = {.lock_timeout_ms = lock_timeout_ms};

	return amend_driver_sqlite->begin(session, &options, err);
}

static void close_session(struct amend_session *session)
{
	amend_driver_sqlite->close(session);
}

static void make_counter(void)
{
	struct amend_session *session = open_session(10000);
	struct amend_error err;

	expect_ok(exec(session, "CREATE TABLE IF NOT EXISTS t (n INTEGER)", &err), &err);
	expect_ok(exec(session, "DELETE FROM t", &err), &err);
	expect_ok(exec(session, "INSERT INTO t VALUES (0)", &err), &err);
	close_session(session);
}

static int64_t counter(void)
{
	struct amend_session *session = open_session(10000);
	const struct amend_statement statement = {.sql = "SELECT n FROM t"};
	struct amend_rows rows;
	struct amend_error err;
	size_t failed;
	int64_t n;

	expect_ok(amend_driver_sqlite->run(session, &statement, 1, &rows, &failed, &err), &err);
	n = amend_rows_at(&rows, 0, 0)->as.integer;
	amend_rows_release(&rows);
	close_session(session);
	return n;
}

/* What a writing process reports. */
struct report {
	volatile int go; /* the first report's counts */
	volatile int64_t commits, longest_us, failures;
	volatile int phase;
};

static struct report *shared_reports(void)
{
	struct report *reports = mmap(NULL, sizeof(*reports) * MAX_WRITERS, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(reports != MAP_FAILED);
	return reports;
}

static void add_one(struct amend_session *session, struct report *report)
{
	struct amend_error err;
	int64_t before = amend_turn_clock(), waited;

	if (begin(session, 20000, &err) != AMEND_OK) {
		report->failures++;
		return;
	}
	waited = (amend_turn_clock() - before) / 1000;
	if (waited > report->longest_us)
		report->longest_us = waited;
	if (exec(session, "UPDATE t SET n = n + 1", &err) != AMEND_OK ||
	    amend_driver_sqlite->commit(session, &err) != AMEND_OK)
		report->failures++;
	else
		report->commits++;
}

static pid_t start_writer(struct report *reports, int i, int commits, int ms)
{
	pid_t pid = fork();
	struct amend_session *session;
	int64_t end;

	if (pid != 0)
		return pid;
	session = open_session(20000);
	while (!reports[0].go)
		sleep_ms(1);
	end = now_ms() + ms;
	for (int n = 0; commits ? n < commits : now_ms() < end; n++)
		add_one(session, &reports[i]);
	close_session(session);
	_exit(0);
}

static void wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void many_processes_all_commit(void **state)
{
	enum { WRITERS = 8, COMMITS = 50 };
	struct report *reports = shared_reports();
	pid_t pids[WRITERS];

	(void)state;
	make_counter();
	for (int i = 0; i < WRITERS; i++)
		pids[i] = start_writer(reports, i, COMMITS, 0);
	reports[0].go = 1;
	for (int i = 0; i < WRITERS; i++)
		wait_for(pids[i]);
	assert_int_equal(counter(), WRITERS * COMMITS);
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(reports[i].failures, 0);
		assert_true(reports[i].longest_us < LONGEST_WAIT_US);
	}
	munmap(reports, sizeof(*reports) * MAX_WRITERS);
}

/* Under busy_timeout one of eight makes some thousand commits and another one. */
static void no_writer_starves(void **state)
{
	enum { WRITERS = 8, MS = 1500 };
	struct report *reports = shared_reports();
	int64_t fewest = INT64_MAX, most = 0;
	pid_t pids[WRITERS];

	(void)state;
	make_counter();
	for (int i = 0; i < WRITERS; i++)
		pids[i] = start_writer(reports, i, 0, MS);
	reports[0].go = 1;
	for (int i = 0; i < WRITERS; i++)
		wait_for(pids[i]);
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(reports[i].failures, 0);
		fewest = reports[i].commits < fewest ? reports[i].commits : fewest;
		most = reports[i].commits > most ? reports[i].commits : most;
	}
	if (fewest * 8 < most)
		fail_at(__FILE__, __LINE__, "one writer made %lld commits, another %lld",
			(long long)fewest, (long long)most);
	munmap(reports, sizeof(*reports) * MAX_WRITERS);
}

/* A child that begins, says so, and keeps the transaction open for ever. */
static pid_t start_holder(struct report *report)
{
	pid_t pid = fork();
	struct amend_session *session;
	struct amend_error err;

	if (pid == 0) {
		session = open_session(20000);
		report->phase = 1;
		if (begin(session, 20000, &err) == AMEND_OK)
			report->phase = 2;
		for (;;)
			pause();
	}
	return pid;
}

static void wait_phase(const struct report *report, int phase)
{
	int64_t end = now_ms() + 10000;

	while (report->phase < phase && now_ms() < end)
		sleep_ms(1);
	assert_true(report->phase >= phase);
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int64_t timed_unit(struct amend_session *session)
{
	int64_t before = now_ms();
	struct amend_error err;

	expect_ok(begin(session, 10000, &err), &err);
	expect_ok(exec(session, "UPDATE t SET n = n + 1", &err), &err);
	expect_ok(amend_driver_sqlite->commit(session, &err), &err);
	return now_ms() - before;
}

static void killed_holder_stalls_nobody(void **state)
{
	struct report *reports = shared_reports();
	struct amend_session *session;
	pid_t holder;

	(void)state;
	make_counter();
	session = open_session(10000);
	timed_unit(session);
	holder = start_holder(reports);
	wait_phase(reports, 2);
	end_child(holder);
	assert_true(timed_unit(session) < NO_STALL);
	close_session(session);
	munmap(reports, sizeof(*reports) * MAX_WRITERS);
}

/* A waiter in front of another is killed, or stopped: the other comes through all the same. */
static void waiter_goes(int signal_number, int64_t bound_ms)
{
	struct report *reports = shared_reports();
	struct amend_session *holder, *other;
	struct amend_error err;
	pid_t waiter;

	make_counter();
	holder = open_session(10000);
	other = open_session(10000);
	timed_unit(other); /* it has its own slot: it must not inherit the waiter's */
	expect_ok(begin(holder, 0, &err), &err);
	waiter = start_holder(reports);
	wait_phase(reports, 1);
	sleep_ms(100); /* it waits now, or will soon: both must do */
	kill(waiter, signal_number);
	if (signal_number == SIGKILL)
		waitpid(waiter, NULL, 0);
	expect_ok(amend_driver_sqlite->commit(holder, &err), &err);
	assert_true(timed_unit(other) < bound_ms);
	if (signal_number != SIGKILL)
		end_child(waiter);
	assert_true(timed_unit(holder) < NO_STALL);
	close_session(holder);
	close_session(other);
	munmap(reports, sizeof(*reports) * MAX_WRITERS);
}

static void killed_waiter_stalls_nobody(void **state)
{
	(void)state;
	waiter_goes(SIGKILL, NO_STALL);
}

/* It is handed the turn and does nothing with it: the next one takes it away after a while. */
static void stopped_waiter_stalls_for_a_while(void **state)
{
	(void)state;
	waiter_goes(SIGSTOP, ONE_STALL);
}

/* One thread, two connections: it ends with the limit, neither earlier nor never. */
static void deadlock_with_oneself_ends_with_the_limit(void **state)
{
	struct amend_session *first, *second;
	struct amend_error err;
	int64_t before;

	(void)state;
	make_counter();
	first = open_session(10000);
	second = open_session(10000);
	expect_ok(begin(first, 0, &err), &err);
	for (int ms = 0; ms <= 900; ms += 300) {
		before = now_ms();
		expect_status(AMEND_LOCKED, begin(second, ms, &err), &err);
		expect_text(err.sqlstate, "55P03");
		assert_in_range(now_ms() - before, ms > 0 ? ms - 5 : 0, ms + 5000);
	}
	expect_ok(amend_driver_sqlite->commit(first, &err), &err);
	assert_true(timed_unit(second) < NO_STALL);
	close_session(first);
	close_session(second);
}

struct thread {
	pthread_t id;
	struct amend_session *session;
	struct report report;
	struct amend_error err;
	enum amend_status status;
	int commits;
	atomic_int begun;
};

static void *run_thread(void *argument)
{
	struct thread *thread = argument;

	for (int i = 0; i < thread->commits; i++)
		add_one(thread->session, &thread->report);
	return NULL;
}

static void threads_of_one_process_take_turns(void **state)
{
	enum { THREADS = 4, COMMITS = 100 };
	static struct thread threads[THREADS];

	(void)state;
	make_counter();
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){.session = open_session(10000), .commits = COMMITS};
		assert_int_equal(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		assert_int_equal(threads[i].report.commits, COMMITS);
		close_session(threads[i].session);
	}
	assert_int_equal(counter(), THREADS * COMMITS);
}

static void *begin_thread(void *argument)
{
	struct thread *thread = argument;

	atomic_store(&thread->begun, 1);
	thread->status = begin(thread->session, -1, &thread->err);
	return NULL;
}

static void interrupt_ends_the_wait_for_the_turn(void **state)
{
	struct thread thread = {0};
	struct amend_session *holder;
	struct amend_error err;
	int64_t before;

	(void)state;
	make_counter();
	holder = open_session(10000);
	thread.session = open_session(10000);
	expect_ok(begin(holder, 0, &err), &err);
	assert_int_equal(pthread_create(&thread.id, NULL, begin_thread, &thread), 0);
	while (!atomic_load(&thread.begun))
		sleep_ms(1);
	sleep_ms(100);
	before = now_ms();
	amend_driver_sqlite->interrupt(thread.session);
	pthread_join(thread.id, NULL);
	expect_status(AMEND_INTERRUPTED, thread.status, &thread.err);
	assert_true(now_ms() - before < NO_STALL);
	expect_ok(amend_driver_sqlite->commit(holder, &err), &err);
	assert_true(timed_unit(thread.session) < NO_STALL);
	close_session(holder);
	close_session(thread.session);
}

static void write_turn_file(const void *bytes, size_t size)
{
	FILE *file = fopen(turn_path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* Whatever lies where the turn's file belongs: units run, and what is not ours stays as it is. */
static void foreign_files_are_left_alone(void **state)
{
	static const char note[] = "my own notes";
	static char page[4096];
	char back[4096];
	struct amend_session *session;
	FILE *file;

	(void)state;
	make_counter();
	for (int i = 0; i < 2; i++) {
		memset(page, 'x', sizeof(page));
		write_turn_file(i ? page : note, i ? sizeof(page) : sizeof(note));
		session = open_session(1000);
		assert_true(timed_unit(session) < NO_STALL);
		close_session(session);
		file = fopen(turn_path, "r");
		assert_non_null(file);
		assert_int_equal(fread(back, 1, sizeof(back), file),
				 i ? sizeof(page) : sizeof(note));
		fclose(file);
		assert_memory_equal(back, i ? page : note, i ? sizeof(page) : sizeof(note));
		assert_int_equal(unlink(turn_path), 0);
	}
	assert_int_equal(mkdir(turn_path, 0700), 0);
	session = open_session(1000);
	assert_true(timed_unit(session) < NO_STALL);
	close_session(session);
	assert_int_equal(rmdir(turn_path), 0);
}

/* A page as a crash of the machine leaves it: a holder and waiters that are no more, or bytes that mean nothing. */
static void stale_state_mends_itself(void **state)
{
	uint32_t page[1024];

	(void)state;
	make_counter();
	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct amend_session *first, *second;
		uint32_t random = seed * 2654435761u;

		memset(page, 0, sizeof(page));
		for (size_t i = 1; i < COUNT(page); i++) {
			random = random * 1664525u + 1013904223u;
			page[i] = seed == 1 ? 0 : seed % 2 ? random >> 16 & 0xff : random;
		}
		page[0] = 0x616d7431u;
		page[1] = seed < 3 ? 7 : page[1];
		write_turn_file(page, sizeof(page));
		first = open_session(5000);
		second = open_session(5000);
		assert_true(timed_unit(first) < ONE_STALL);
		assert_true(timed_unit(second) < ONE_STALL);
		assert_true(timed_unit(first) < NO_STALL);
		close_session(second);
		close_session(first);
	}
}

static void the_last_one_out_removes_the_file(void **state)
{
	struct amend_session *first, *second;
	struct stat database, file;

	(void)state;
	make_counter();
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_not_equal(access(turn_path, F_OK), 0);
	first = open_session(1000);
	assert_int_not_equal(access(turn_path, F_OK), 0); /* readers need none */
	second = open_session(1000);
	timed_unit(first);
	timed_unit(second);
	assert_int_equal(stat(path, &database), 0);
	assert_int_equal(stat(turn_path, &file), 0);
	assert_int_equal(file.st_mode, database.st_mode);
	close_session(first);
	assert_int_equal(access(turn_path, F_OK), 0);
	timed_unit(second);
	close_session(second);
	assert_int_not_equal(access(turn_path, F_OK), 0);
}

/* Come and go: each process opens, writes once and closes, so that the file is made and removed all the time. */
static void short_lived_processes_meet_too(void **state)
{
	enum { WRITERS = 6, ROUNDS = 25 };
	struct report *reports = shared_reports();
	pid_t pids[WRITERS];

	(void)state;
	make_counter();
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		for (int n = 0; n < ROUNDS; n++) {
			struct amend_session *session = open_session(20000);

			add_one(session, &reports[i]);
			close_session(session);
		}
		_exit(0);
	}
	for (int i = 0; i < WRITERS; i++)
		wait_for(pids[i]);
	assert_int_equal(counter(), WRITERS * ROUNDS);
	munmap(reports, sizeof(*reports) * MAX_WRITERS);
}

static void the_file_may_vanish_while_in_use(void **state)
{
	struct amend_session *first, *second;

	(void)state;
	make_counter();
	first = open_session(1000);
	timed_unit(first);
	assert_int_equal(unlink(turn_path), 0);
	second = open_session(1000);
	assert_true(timed_unit(second) < NO_STALL);
	assert_true(timed_unit(first) < NO_STALL);
	close_session(first);
	assert_int_equal(access(turn_path, F_OK), 0); /* the other's is not removed */
	close_session(second);
}

/* Plain SQLite with a busy timeout, among writers of amend: served as it would be among its like. */
static void foreign_writers_come_through(void **state)
{
	enum { WRITERS = 4, MS = 2000 };
	struct report *reports = shared_reports();
	pid_t pids[WRITERS];
	sqlite3 *db = NULL;
	int commits = 0;
	int64_t end;

	(void)state;
	make_counter();
	for (int i = 0; i < WRITERS; i++)
		pids[i] = start_writer(reports, i, 0, MS);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 20000);
	reports[0].go = 1;
	for (end = now_ms() + MS; now_ms() < end; commits++) {
		assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE; UPDATE t SET n = n + 1; COMMIT",
					      NULL, NULL, NULL),
				 SQLITE_OK);
		sleep_ms(1);
	}
	sqlite3_close(db);
	for (int i = 0; i < WRITERS; i++) {
		wait_for(pids[i]);
		assert_int_equal(reports[i].failures, 0);
	}
	assert_true(commits > 0);
	munmap(reports, sizeof(*reports) * MAX_WRITERS);
}

static void a_child_of_fork_does_not_use_the_connection(void **state)
{
	struct amend_session *session;
	struct amend_error err;
	pid_t pid;

	(void)state;
	make_counter();
	session = open_session(1000);
	timed_unit(session);
	pid = fork();
	if (pid == 0) {
		bool refused = begin(session, 0, &err) == AMEND_INVALID &&
			       exec(session, "UPDATE t SET n = 0", &err) == AMEND_INVALID;

		close_session(session);
		_exit(refused ? 0 : 1);
	}
	wait_for(pid);
	assert_int_equal(access(turn_path, F_OK), 0);
	assert_true(timed_unit(session) < NO_STALL);
	assert_int_equal(counter(), 2);
	close_session(session);
}

static void databases_in_memory_need_none(void **state)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session = NULL;
	struct amend_error err;

	(void)state;
	expect_ok(amend_driver_sqlite->open(":memory:", &options, &session, &err), &err);
	expect_ok(begin(session, 0, &err), &err);
	expect_ok(amend_driver_sqlite->commit(session, &err), &err);
	close_session(session);
	assert_int_not_equal(access(":memory:-turn", F_OK), 0);
}

/* --measure [WRITERS [SECONDS [raw]]]: figures of one hot row with synchronous=FULL, for PERFORMANCE B. */
static int measure(int argc, char **argv)
{
	int writers = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 8;
	int seconds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 5;
	bool raw = argc > 4;
	struct report *reports = shared_reports();
	int64_t sum = 0, fewest = INT64_MAX, longest = 0;

	if (writers < 1 || writers > MAX_WRITERS || make_folder(NULL) != 0)
		return 2;
	make_counter();
	for (int i = 0; i < writers; i++) {
		sqlite3 *db = NULL;

		if (!raw) {
			start_writer(reports, i, 0, seconds * 1000);
			continue;
		}
		if (fork() != 0)
			continue;
		sqlite3_open(path, &db);
		sqlite3_busy_timeout(db, 20000);
		while (!reports[0].go)
			sleep_ms(1);
		for (int64_t end = now_ms() + (int64_t)seconds * 1000; now_ms() < end;) {
			int64_t before = amend_turn_clock(), waited;

			sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
			waited = (amend_turn_clock() - before) / 1000;
			sqlite3_exec(db, "UPDATE t SET n = n + 1; COMMIT", NULL, NULL, NULL);
			reports[i].commits++;
			if (waited > reports[i].longest_us)
				reports[i].longest_us = waited;
		}
		_exit(0);
	}
	reports[0].go = 1;
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < writers; i++) {
		sum += reports[i].commits;
		fewest = reports[i].commits < fewest ? reports[i].commits : fewest;
		longest = reports[i].longest_us > longest ? reports[i].longest_us : longest;
	}
	printf("%s: %d writers, %.0f commits/s, fewest of one writer %lld, longest wait %.1f ms\n",
	       raw ? "busy_timeout" : "turn", writers, (double)sum / seconds, (long long)fewest,
	       (double)longest / 1000);
	return remove_folder(NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many_processes_all_commit, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(no_writer_starves, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(killed_holder_stalls_nobody, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(killed_waiter_stalls_nobody, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(stopped_waiter_stalls_for_a_while, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(deadlock_with_oneself_ends_with_the_limit,
						make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(threads_of_one_process_take_turns, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(interrupt_ends_the_wait_for_the_turn, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(foreign_files_are_left_alone, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(stale_state_mends_itself, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(the_last_one_out_removes_the_file, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(short_lived_processes_meet_too, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(the_file_may_vanish_while_in_use, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(foreign_writers_come_through, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(a_child_of_fork_does_not_use_the_connection,
						make_folder, remove_folder),
		cmocka_unit_test(databases_in_memory_need_none),
	};

	if (argc > 1 && strcmp(argv[1], "--measure") == 0)
		return measure(argc, argv);
	amend_turn_stall = STALL * INT64_C(1000000);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

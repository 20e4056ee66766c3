/*
 * Runs units of work that are written as a line (script.h).
 * Leaves what is right to the tables of cases.
 */
#include "script.h"

#include <stdlib.h>

struct script {
	char *said;
	size_t room;
	struct hook *hooks; /* all of the line's: those that were dropped are freed with it */
};

/* A function's part of the line, run from its beginning each time. */
struct part {
	struct script *script;
	const char *at;
};

/* A hook outlives the part that registered it. */
struct hook {
	struct hook *next;
	struct script *script;
	char word[16];
};

static void say(struct script *script, const char *format, ...) AMEND_PRINTF(2, 3);

static void say(struct script *script, const char *format, ...)
{
	size_t size = strlen(script->said);
	va_list args;

	if (size > 0 && size + 1 < script->room) {
		script->said[size++] = ' ';
		script->said[size] = '\0';
	}
	va_start(args, format);
	vsnprintf(script->said + size, script->room - size, format, args);
	va_end(args);
}

static enum amend_status insert(struct amend_conn *db, int64_t number, struct amend_error *err)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "INSERT INTO t VALUES (%lld)", (long long)number);
	return amend_query(db, sql, NULL, 0, NULL, err);
}

static enum amend_status see(struct amend_conn *db, struct script *script, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_query(db, "SELECT a FROM t WHERE a > 0", NULL, 0, &rows,
					       err);

	if (status == AMEND_OK)
		say(script, "n%zu", rows.n_rows);
	amend_rows_release(&rows);
	return status;
}

/* --- Hooks --- */

static enum amend_status register_hook(struct amend_conn *db, struct script *script,
				       const char *word, struct amend_error *err);

static enum amend_status insert_in_unit(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	struct hook *hook = context;
	char word[16];
	enum amend_status status = insert(db, atoi(hook->word + 1), err);

	snprintf(word, sizeof(word), "k%d0", atoi(hook->word + 1));
	return status == AMEND_OK ? register_hook(db, hook->script, word, err) : status;
}

static enum amend_status run_hook(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct hook hook = *(struct hook *)context;
	char word[16];
	int number = atoi(hook.word + 1);

	say(hook.script, "%d", number);
	if (amend_in_unit(db))
		say(hook.script, "in-unit");
	if (strchr(hook.word, '!'))
		return amend_error_set(err, AMEND_NOT_FOUND, "hook %d was told to fail", number);
	if (strchr(hook.word, '='))
		return amend_atomic(db, NULL, insert_in_unit, &hook, err);
	if (!strchr(hook.word, '+'))
		return AMEND_OK;
	snprintf(word, sizeof(word), "k%d0", number);
	return register_hook(db, hook.script, word, err);
}

static enum amend_status register_hook(struct amend_conn *db, struct script *script,
				       const char *word, struct amend_error *err)
{
	struct hook *hook = calloc(1, sizeof(*hook));
	size_t size = strcspn(word, " ");
	bool robust = size > 0 && word[size - 1] == '~';

	if (!hook)
		return amend_error_set(err, AMEND_NO_MEMORY, "out of memory");
	hook->script = script;
	hook->next = script->hooks;
	script->hooks = hook;
	memcpy(hook->word, word, size < sizeof(hook->word) ? size : sizeof(hook->word) - 1);
	return amend_on_commit(db, run_hook, hook, robust, err);
}

/* --- The line --- */

/* Behind the bracket that closes the one at `at`. */
static const char *behind(const char *at)
{
	int depth = 0;

	do {
		depth += strchr("([{", *at) ? 1 : 0;
		depth -= strchr(")]}", *at) ? 1 : 0;
		at++;
	} while (depth > 0 && *at);
	return at;
}

static enum amend_status run_part(struct amend_conn *db, void *context, struct amend_error *err);

static enum amend_status run_word(struct amend_conn *db, struct script *script, const char *at,
				  struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct part part = {script, at + 1};

	switch (*at) {
	case '[':
		options.durable = true;
		return amend_atomic(db, &options, run_part, &part, err);
	case '{':
		options.merged = true;
		return amend_atomic(db, &options, run_part, &part, err);
	case '(':
		return amend_atomic(db, NULL, run_part, &part, err);
	case 'b':
		return insert(db, 0, err);
	case 'f':
		return amend_error_set(err, AMEND_CONFLICT, "told to fail");
	case 'k':
		return register_hook(db, script, at, err);
	case 's':
		return see(db, script, err);
	default:
		return insert(db, atoi(at), err);
	}
}

static enum amend_status run_part(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct part *part = context;
	const char *at = part->at;

	for (;;) {
		struct amend_error word_error;
		enum amend_status status;
		const char *end;

		at += strspn(at, " ");
		if (!*at || strchr(")]}", *at))
			return AMEND_OK;
		end = strchr("([{", *at) ? behind(at) : at + strcspn(at, " ~");
		status = run_word(db, part->script, at, &word_error);
		if (*at == 'k')
			end = at + strcspn(at, " ");
		if (status != AMEND_OK && *end != '~') {
			*err = word_error;
			return status;
		}
		if (status != AMEND_OK)
			say(part->script, "%s", amend_status_name(status));
		at = end + (*end == '~');
	}
}

enum amend_status script_run(struct amend_conn *db, const char *line, char *said, size_t room,
			     struct amend_error *err)
{
	struct script script = {.said = said, .room = room};
	struct part part = {&script, line};
	enum amend_status status = run_part(db, &part, err);

	while (script.hooks) {
		struct hook *next = script.hooks->next;

		free(script.hooks);
		script.hooks = next;
	}
	return status;
}

/* --- Tables of cases --- */

void script_table(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY); INSERT INTO t VALUES (0)");
}

static void expect_case(struct engine *engine, struct amend_conn *db, const struct script_case *one)
{
	char said[512] = "";
	struct amend_error err = {.status = AMEND_OK};
	enum amend_status status = script_run(db, one->line, said, sizeof(said), &err);

	expect_status_at(one->status, NULL, status, &err,
			 engine_printf(engine, "%s: %s", one->name, one->line), __FILE__, __LINE__);
	expect_text_at(said, one->said ? one->said : "",
		       engine_printf(engine, "%s: %s: what was said", one->name, one->line),
		       __FILE__, __LINE__);
}

static void expect_rows(struct engine *engine, const struct script_case *one)
{
	const char *rows = engine_rows(engine, "SELECT a FROM t WHERE a <> 0 ORDER BY a");
	char *flat = amend_arena_text(engine_arena(engine), rows);

	for (char *c = flat; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	expect_text_at(flat, one->rows,
		       engine_printf(engine, "%s: %s: the rows", one->name, one->line), __FILE__,
		       __LINE__);
}

void script_check(struct engine *engine, const struct script_case *cases, size_t n)
{
	struct amend_conn *db = connect_open(engine);
	char said[64];

	for (size_t i = 0; i < n; i++) {
		struct amend_error err;

		engine_exec(engine, "DELETE FROM t WHERE a <> 0");
		expect_case(engine, db, &cases[i]);
		expect_rows(engine, &cases[i]);
		/* Nothing is left of it: no unit, no lock, no hook. */
		assert_false(amend_in_unit(db));
		engine_exec(engine, "DELETE FROM t WHERE a <> 0");
		said[0] = '\0';
		expect_ok(script_run(db, "( 98 k9 ) 99", said, sizeof(said), &err), &err);
		expect_text(said, "9");
		engine_expect(engine, "SELECT a FROM t WHERE a <> 0 ORDER BY a", "98\n99");
	}
}

void script_check_borrowed(struct engine *engine, const struct script_case *cases, size_t n)
{
	struct foreign *application = foreign_open(engine);
	struct amend_conn *db = connect_adopt(engine, application);

	for (size_t i = 0; i < n; i++) {
		engine_exec(engine, "DELETE FROM t WHERE a <> 0");
		foreign_exec(application, "BEGIN");
		expect_case(engine, db, &cases[i]);
		engine_expect(engine, "SELECT count(*) FROM t", "1");
		foreign_exec(application, "COMMIT");
		expect_rows(engine, &cases[i]);
	}
}

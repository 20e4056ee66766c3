/* What the files of the test library share among themselves; tests include engines.h alone. */
#ifndef TESTS_LIB_ENGINES_PRIVATE_H
#define TESTS_LIB_ENGINES_PRIVATE_H

#include "engines.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/arena.h"
#include "core/buffer.h"

/* What a query returned, or why it failed. Made in any thread. */
struct foreign_result {
	struct amend_buffer text; /* rows as engine_rows has them, or the message */
	size_t n_rows;
	size_t first_size; /* bytes of the first value in `text` */
	bool first_null;
};

/* One engine's client library. Only `start` and `fresh` may fail the test. */
struct engine_ops {
	const char *driver;
	/* Once a program, before the first test: NULL and the reason when there is no server. */
	void *(*start)(const char **reason);
	void (*stop)(void *server);
	/* An empty database; returns its URL. */
	const char *(*fresh)(struct engine *engine);
	/* NULL and the message in `result`. `waiting` is set while the connection waits, where
	 * the client can tell. */
	void *(*connect)(struct engine *engine, atomic_bool *waiting, struct foreign_result *result);
	void (*disconnect)(void *handle);
	bool (*query)(void *handle, const char *sql, struct foreign_result *result);
	void (*cancel)(void *handle); /* from another thread */
	/* Asked through another connection; NULL: `waiting` tells. */
	bool (*blocked)(struct engine *engine, void *handle);
	/* Whether the session with this number waits for a row's lock; NULL: a query tells. */
	bool (*waits_for_row)(void *handle, unsigned long number);
	/* Test SQL as this engine has it; NULL: as it is. */
	void (*translate)(struct amend_buffer *out, const char *sql);
	/* As engine_kill_sessions and engine_url_of_role; NULL where there are none. */
	void (*kill_sessions)(struct engine *engine);
	const char *(*url_of_role)(struct engine *engine, const char **role);
};

extern const struct engine_ops engine_ops_sqlite, engine_ops_postgres, engine_ops_mariadb,
	engine_ops_fake;

struct opened;
struct connected;

struct engine_undo {
	void (*undo)(void *thing);
	void *thing;
};

struct engine_private {
	const struct engine_ops *ops;
	unsigned hidden;               /* feature bits taken away */
	bool used;                     /* by any test of this run */
	void *server;                  /* of ops->start */
	const char *reason;            /* why there is no server */
	bool dirty;                    /* a test has run in the database */
	struct foreign *main;          /* engine_exec's connection */
	struct opened *sessions;       /* of session.c */
	struct connected *connections; /* of connect.c */
	struct amend_arena arena;
	struct engine_undo *undos;
	size_t n_undos, room_undos;
};

struct foreign {
	struct engine *engine;
	void *handle;
	atomic_bool waiting; /* for a lock */
	struct foreign_result result;
	pthread_t thread;
	bool started;
	int delay_ms;
	const char *sql;
	bool ok;
};

/* Appends one value and its separator as engine_rows has it; text NULL is NULL. */
void result_value(struct foreign_result *result, size_t row, size_t column, const char *text,
		  size_t size);
void result_fail(struct foreign_result *result, const char *message);
void result_release(struct foreign_result *result);

const char *engine_copy(struct engine *engine, const char *text);

#endif

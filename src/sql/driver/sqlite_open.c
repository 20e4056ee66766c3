/*
 * From a URL to an open handle with amend's settings, or to one clear line that says why not.
 * Leaves everything after that to the other files.
 */
#include "sql/driver/sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buffer.h"
#include "sql/sqlstate.h"

enum { PROGRESS_OPERATIONS = 4000, WAL_TRIES = 100, MAX_PATH = 4096 };

static const char scheme[] = "sqlite:";

/* A scheme is letters before "://"; "sqlite://" is taken so that it can be refused with a hint. */
bool amend_sqlite_accepts(const char *url)
{
	size_t letters = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+");

	return letters == 0 || strncmp(url + letters, "://", 3) != 0 ||
	       strncmp(url, scheme, sizeof(scheme) - 1) == 0;
}

struct amend_session *amend_sqlite_session_new(const struct amend_open_options *options)
{
	struct amend_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->pid = getpid();
	session->read_only = options->read_only;
	session->lock_timeout_ms = session->tx_lock_timeout_ms = options->lock_timeout_ms;
	return session;
}

/* The folder's part of `path`, in `folder`. */
static void folder_of(const char *path, char *folder)
{
	const char *slash = strrchr(path, '/');
	size_t size = slash ? (size_t)(slash - path) : 1;

	if (slash == path)
		size = 1;
	memcpy(folder, slash ? path : ".", size);
	folder[size] = '\0';
}

/*
 * What can be told before SQLite is asked, which says "unable to open database
 * file" to everything. The file is not opened for it: closing it again would
 * drop the POSIX locks of every other connection of this process.
 */
static enum amend_status check_path(const char *path, const struct amend_open_options *options,
				    bool *fresh, struct amend_error *err)
{
	char folder[MAX_PATH];
	struct stat file;

	*fresh = false;
	if (strlen(path) >= sizeof(folder))
		return amend_error_set(err, AMEND_INVALID, "the file's name is too long");
	if (stat(path, &file) == 0) {
		if (S_ISDIR(file.st_mode))
			return amend_error_set(err, AMEND_INVALID,
					       "%s is a folder, not a database file", path);
		if (!S_ISREG(file.st_mode))
			return amend_error_set(err, AMEND_INVALID,
					       "%s is not a file, and so no database", path);
		if (access(path, R_OK) != 0)
			return amend_sqlite_error(err, AMEND_DENIED, AMEND_SQLSTATE_DENIED,
						  "%s may not be read by this user", path);
		*fresh = file.st_size == 0 && !options->read_only;
		return AMEND_OK;
	}
	if (errno != ENOENT && errno != ENOTDIR)
		return amend_sqlite_error(err, errno == EACCES ? AMEND_DENIED : AMEND_INVALID,
					  errno == EACCES ? AMEND_SQLSTATE_DENIED : "",
					  "%s cannot be reached: %s", path, strerror(errno));
	folder_of(path, folder);
	if (stat(folder, &file) != 0 || !S_ISDIR(file.st_mode))
		return amend_error_set(err, AMEND_NOT_FOUND, "%s: there is no folder %s", path,
				       folder);
	if (options->must_exist || options->read_only)
		return amend_error_set(err, AMEND_NOT_FOUND, "there is no database %s", path);
	if (access(folder, W_OK | X_OK) != 0)
		return amend_sqlite_error(
			err, AMEND_DENIED, AMEND_SQLSTATE_DENIED,
			"%s cannot be made: the folder %s may not be written by this "
			"user",
			path, folder);
	*fresh = true;
	return AMEND_OK;
}

static enum amend_status open_handle(struct amend_session *session, const char *path, bool memory,
				     struct amend_error *err)
{
	int flags = SQLITE_OPEN_NOMUTEX |
		    (session->read_only && !memory ? SQLITE_OPEN_READONLY
						   : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	/* "./" keeps names such as ":memory:" and "file:x?mode=ro" what they are: names. */
	char *name = memory         ? sqlite3_mprintf("%s", path)
		     : *path == '/' ? sqlite3_mprintf("%s", path)
				    : sqlite3_mprintf("./%s", path);
	int rc;

	if (!name)
		return amend_no_memory(err);
	rc = sqlite3_open_v2(name, &session->db, flags, NULL);
	sqlite3_free(name);
	if (!session->db)
		return amend_no_memory(err);
	if (rc != SQLITE_OK) {
		amend_sqlite_fail(session, rc, AMEND_SQLITE_PREPARING, false, err);
		return amend_error_wrap(err, "%s cannot be opened", path);
	}
	sqlite3_extended_result_codes(session->db, 1);
	sqlite3_busy_handler(session->db, amend_sqlite_busy, session);
	sqlite3_progress_handler(session->db, PROGRESS_OPERATIONS, amend_sqlite_progress, session);
	return AMEND_OK;
}

static enum amend_status run_text(struct amend_session *session, const char *sql,
				  struct amend_rows *rows, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql, .once = true};
	size_t failed;

	return amend_sqlite_run(session, &statement, 1, rows, &failed, err);
}

/* The first look into the file: is it a database, and can it be read now? */
static enum amend_status read_header(struct amend_session *session, const char *path,
				     struct amend_error *err)
{
	enum amend_status status = run_text(session, "SELECT count(*) FROM sqlite_schema", NULL,
					    err);

	if (status == AMEND_OK)
		return status;
	if ((err->native & 0xff) == SQLITE_NOTADB)
		return amend_error_set(err, status, "%s is not an SQLite database", path);
	if ((err->native & 0xff) == SQLITE_CANTOPEN || (err->native & 0xff) == SQLITE_READONLY)
		return amend_sqlite_error(err, AMEND_DENIED, AMEND_SQLSTATE_DENIED,
					  "%s cannot be read: it is in WAL mode, or has a journal to "
					  "recover, and this user may not write in its folder",
					  path);
	return amend_error_wrap(err, "%s", path);
}

/*
 * WAL, for a file that is new. Two that make it at once may meet BUSY, which no
 * handler waits for here; whoever comes first, the file is in WAL mode after.
 * Where the file system does not allow it the default mode stays.
 */
static void set_wal(struct amend_session *session)
{
	struct amend_error ignored;

	for (int i = 0; i < WAL_TRIES; i++) {
		if (run_text(session, "PRAGMA journal_mode=WAL", NULL, &ignored) != AMEND_LOCKED)
			return;
		sqlite3_sleep(10);
	}
}

enum amend_status amend_sqlite_open(const char *url, const struct amend_open_options *options,
				    struct amend_session **out, struct amend_error *err)
{
	const char *path = url;
	struct amend_session *session = NULL;
	bool memory, fresh = false;
	enum amend_status status = AMEND_OK;

	*out = NULL;
	if (strncmp(url, scheme, sizeof(scheme) - 1) == 0)
		path = url + sizeof(scheme) - 1;
	memory = strcmp(path, ":memory:") == 0;
	if (path != url && strncmp(path, "//", 2) == 0)
		return amend_error_set(err, AMEND_INVALID,
				       "expected sqlite:FILE, found %s (hint: sqlite:app.db, or "
				       "sqlite:/srv/app.db)",
				       url);
	if (*path == '\0')
		return amend_error_set(err, AMEND_INVALID, "expected a file's name, found none");
	if (sqlite3_libversion_number() < 3037000)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "expected SQLite 3.37 or later, found %s",
				       sqlite3_libversion());
	if (!memory)
		status = check_path(path, options, &fresh, err);
	if (status != AMEND_OK)
		return status;
	session = amend_sqlite_session_new(options);
	if (!session)
		return amend_no_memory(err);
	status = open_handle(session, path, memory, err);
	if (status == AMEND_OK)
		status = read_header(session, path, err);
	if (status == AMEND_OK && fresh)
		set_wal(session);
	if (status == AMEND_OK)
		status = run_text(session, "PRAGMA foreign_keys=ON", NULL, err);
	/* A bulk write touches many pages of many indexes: 2 MB of them, the default, are read again and again. */
	if (status == AMEND_OK)
		status = run_text(session, AMEND_SQLITE_PAGES, NULL, err);
	/* And it would be copied into the file after nearly every chunk. In pages. */
	if (status == AMEND_OK)
		status = run_text(session, "PRAGMA wal_autocheckpoint=4000", NULL, err);
	if (status != AMEND_OK) {
		amend_sqlite_close(session);
		return status;
	}
	*out = session;
	return AMEND_OK;
}

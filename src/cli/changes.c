/*
 * The files of --changes and --plan: which ones they may be, and that they are whole or untouched.
 * Leaves what their lines say to sync_report.c and the library.
 */
#include "changes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "exit.h"

/* --- which file --- */

/* The folder's part with its slash, which may be nothing. */
static size_t folder_size(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Where `path` leads through links, whether there is a file or not. */
static char *follow(struct cli_pool *pool, const char *path)
{
	enum { MOST_LINKS = 40 };
	char *at = cli_copy(pool, path, strlen(path)), link[PATH_MAX];

	for (int i = 0; i < MOST_LINKS; i++) {
		ssize_t size = readlink(at, link, sizeof(link) - 1);

		if (size < 0)
			break;
		link[size] = '\0';
		at = *link == '/' ? cli_copy(pool, link, (size_t)size)
				  : cli_format(pool, "%.*s%s", (int)folder_size(at), at, link);
	}
	return at;
}

static bool is_one(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Also of files that are yet to be made: by their folder and name. */
static bool is_same(struct cli_pool *pool, const char *a, const char *b)
{
	const char *const paths[] = {a, b};
	const char *names[2];
	struct stat files[2], folders[2];
	int there = 0;

	for (int i = 0; i < 2; i++) {
		char *path = follow(pool, paths[i]);
		size_t size = folder_size(path);

		there += stat(paths[i], &files[i]) == 0;
		names[i] = path + size;
		if (stat(size ? cli_copy(pool, path, size) : ".", &folders[i]) != 0)
			return false;
	}
	if (there == 2)
		return is_one(&files[0], &files[1]);
	return there == 0 && strcmp(names[0], names[1]) == 0 && is_one(&folders[0], &folders[1]);
}

static bool is_of_database(struct cli_pool *pool, const char *file, const char *database)
{
	static const char scheme[] = "sqlite:";
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", "-turn"};
	const char *paths[2];

	if (strncmp(database, scheme, sizeof(scheme) - 1) == 0)
		database += sizeof(scheme) - 1;
	else if (strstr(database, "://"))
		return false;
	paths[0] = database;
	paths[1] = follow(pool, database);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		for (int j = 0; j < 2; j++) {
			if (is_same(pool, file, cli_format(pool, "%s%s", paths[j], suffixes[i])))
				return true;
		}
	}
	return false;
}

static bool is_stdout(const char *name)
{
	return strcmp(name, "-") == 0 || strcmp(name, "/dev/stdout") == 0;
}

bool cli_changes_to_stdout(const struct cli_args *args, const char *option)
{
	const char *name = cli_value(args, option);

	return name && is_stdout(name);
}

bool cli_changes_apart(const struct cli_args *args, const char *one, const char *other)
{
	const char *a = cli_value(args, one), *b = cli_value(args, other);

	if (!a || !b)
		return true;
	if (cli_changes_to_stdout(args, one) ? !cli_changes_to_stdout(args, other)
					     : !is_same(args->pool, a, b))
		return true;
	cli_usage(args, "--%s and --%s both name %s: expected two files", one, other, b);
	return false;
}

bool cli_changes_allowed(const struct cli_args *args, const char *option, const char *source,
			 const char *database)
{
	const char *name = cli_value(args, option);
	const char *file = cli_changes_to_stdout(args, option) ? "/dev/stdout" : name, *other = NULL;
	struct stat there;

	if (name && cli_has(args, "json") && cli_changes_to_stdout(args, option)) {
		cli_usage(args,
			  "--json and --%s %s would both print to standard output (hint: "
			  "--%s FILE)",
			  option, name, option);
		return false;
	}
	if (!name || (stat(file, &there) == 0 && !S_ISREG(there.st_mode)))
		return true;
	if (is_same(args->pool, file, strcmp(source, "-") == 0 ? "/dev/stdin" : source))
		other = cli_takes(args, "match") ? "the source" : "the plan";
	else if (is_of_database(args->pool, file, database))
		other = "of the database";
	if (!other)
		return true;
	cli_usage(args, "--%s: expected a file of its own, found %s, which is %s", option, name,
		  other);
	return false;
}

/* --- writing it --- */

/* What is open already, or is no ordinary file, is written as it is. */
static bool is_direct(const char *name, const struct stat *there)
{
	static const char *const opened[] = {"/dev/stderr", "/dev/fd/", "/proc/"};

	for (size_t i = 0; i < sizeof(opened) / sizeof(opened[0]); i++) {
		if (strncmp(name, opened[i], strlen(opened[i])) == 0)
			return true;
	}
	return there && !S_ISREG(there->st_mode);
}

/* As if the file itself were written: whoever could not do that gets an error here. */
static FILE *open_temporary(struct cli_pool *pool, struct cli_changes *changes,
			    const struct stat *there)
{
	size_t size;
	mode_t mask;
	FILE *file;
	int fd;

	changes->target = follow(pool, changes->name);
	size = folder_size(changes->target);
	if (!changes->target[size])
		errno = EISDIR;
	if (!changes->target[size] || (there && access(changes->name, W_OK) != 0))
		return NULL;
	changes->temporary = cli_format(pool, "%.*s.amend-changes-XXXXXX", (int)size,
					changes->target);
	fd = mkostemp(changes->temporary, O_CLOEXEC);
	if (fd < 0)
		return NULL;
	mask = umask(0);
	umask(mask);
	/* The owner is kept where that may be done; the mode can be set, for the file is ours. */
	if (there && there->st_uid != geteuid() && fchown(fd, there->st_uid, there->st_gid) != 0)
		errno = 0;
	file = fchmod(fd, there ? there->st_mode & 0777 : 0666 & ~mask) == 0 ? fdopen(fd, "w")
									     : NULL;
	if (!file) {
		close(fd);
		unlink(changes->temporary);
	}
	return file;
}

int cli_changes_open_as(struct cli_session *session, struct cli_changes *changes,
			const char *option, const char *name)
{
	struct stat file;
	const struct stat *there = NULL;

	*changes = (struct cli_changes){.name = name, .option = option};
	if (!name)
		return 0;
	if (stat(name, &file) == 0)
		there = &file;
	if (is_stdout(name))
		changes->file = stdout;
	else if (is_direct(name, there))
		changes->file = fopen(name, "ae");
	else
		changes->file = open_temporary(session->args->pool, changes, there);
	if (changes->file)
		return 0;
	amend_error_set(&session->err, AMEND_DENIED, "--%s: %s could not be opened: %s", option,
			name, strerror(errno));
	return cli_fail(session);
}

int cli_changes_open(struct cli_session *session, struct cli_changes *changes, const char *option)
{
	return cli_changes_open_as(session, changes, option, cli_value(session->args, option));
}

static void note_failure(struct cli_changes *changes)
{
	if (!changes->failure)
		changes->failure = errno ? errno : EIO;
}

void cli_changes_add(struct cli_changes *changes, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	changes->lines++;
	if (fputs(text ? text : "", changes->file) == EOF || fputc('\n', changes->file) == EOF)
		note_failure(changes);
	json_object_put(object);
}

bool cli_changes_write(struct cli_changes *changes, const char *bytes, size_t size)
{
	changes->lines++;
	if (fwrite(bytes, 1, size, changes->file) == size)
		return true;
	note_failure(changes);
	return false;
}

static void complain_of_failure(const struct cli_changes *changes)
{
	bool plan = strcmp(changes->option, "plan") == 0;
	const char *what = plan                                      ? "the plan"
			   : strcmp(changes->option, "rejects") == 0 ? "what was rejected"
								     : "the list of changes";

	cli_complain("--%s: %s could not be written, so %s is not whole: %s%s", changes->option,
		     changes->name, what, strerror(changes->failure),
		     plan ? "" : " (the sync itself is not concerned)");
}

int cli_changes_close(struct cli_changes *changes, bool keep)
{
	FILE *file = changes->file;

	if (!file)
		return 0;
	if (file == stdout) {
		fflush(stdout);
		return 0; /* main looks at that */
	}
	/* On the disk before it takes the name of what is there. */
	if (fflush(file) != 0 || (changes->target && keep && fsync(fileno(file)) != 0))
		note_failure(changes);
	if (fclose(file) != 0)
		note_failure(changes);
	changes->file = NULL;
	if (changes->target && !keep) {
		unlink(changes->temporary);
		return 0;
	}
	if (changes->target && rename(changes->temporary, changes->target) != 0) {
		cli_complain(
			"%s could not be put in place: %s (hint: what was to be in it is in %s)",
			changes->name, strerror(errno), changes->temporary);
		return CLI_FAILED;
	}
	if (!changes->failure)
		return 0;
	complain_of_failure(changes);
	return CLI_FAILED;
}

/*
 * Names of databases, as amend_open takes them: read or refused, and a password is in no text that a person sees.
 * Nobody is connected to: the clients' own functions for that are replaced (meson.build).
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <amend/amend.h>

#include "commands.h"
#include "complain.h"
#include "pool.h"

void *__wrap_PQconnectdbParams(const char *const *names, const char *const *values, int expand);
void *__wrap_mysql_real_connect(void *mysql, const char *host, const char *user,
				const char *password, const char *database, unsigned port,
				const char *socket, unsigned long flags);
int __wrap_sqlite3_open_v2(const char *name, void **db, int flags, const char *vfs);

void *__wrap_PQconnectdbParams(const char *const *names, const char *const *values, int expand)
{
	(void)names, (void)values, (void)expand;
	return NULL;
}

void *__wrap_mysql_real_connect(void *mysql, const char *host, const char *user,
				const char *password, const char *database, unsigned port,
				const char *socket, unsigned long flags)
{
	(void)mysql, (void)host, (void)user, (void)password, (void)database, (void)port;
	(void)socket, (void)flags;
	return NULL;
}

int __wrap_sqlite3_open_v2(const char *name, void **db, int flags, const char *vfs)
{
	(void)name, (void)flags, (void)vfs;
	*db = NULL;
	return 14; /* SQLITE_CANTOPEN */
}

/* Of a server's URL, one that stands there once, and could not be anything else; "" where there is none. */
static void password_of(const char *url, char password[64])
{
	static const char *const schemes[] = {"postgresql://", "postgres://", "mariadb://",
					      "mysql://"};
	const char *at = NULL, *colon;
	size_t size;

	password[0] = '\0';
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			at = url + strlen(schemes[i]);
	}
	colon = at ? at + strcspn(at, ":@/?#") : NULL;
	if (!colon || *colon != ':')
		return;
	size = strspn(colon + 1, "abcdefghijklmnopqrstuvwxyz0123456789");
	if (size < 6 || size >= 64 || colon[1 + size] != '@')
		return;
	memcpy(password, colon + 1, size);
	password[size] = '\0';
	if (strstr(strstr(url, password) + 1, password))
		password[0] = '\0';
}

static void expect_hidden(const char *text, const char *password)
{
	if (*password && strstr(text, password))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct cli_pool pool = CLI_POOL_INIT;
	struct amend_conn *db = NULL;
	struct amend_error err;
	char *url = malloc(size + 1), password[64];

	if (!url)
		return 0;
	memcpy(url, data, size);
	url[size] = '\0';
	password_of(url, password);
	options.must_exist = true;
	if (amend_open(url, &options, &db, &err) == AMEND_OK)
		abort();
	expect_hidden(err.text, password);
	/* In a text, a blank or a quote ends it. */
	if (!strpbrk(url, " \t\n\""))
		expect_hidden(cli_hide(&pool, url), password);
	cli_pool_release(&pool);
	free(url);
	return 0;
}

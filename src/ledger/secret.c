/*
 * Token keys: from a key file, or from the ledger.
 * Leaves signing to the token's own file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "core/rows.h"
#include "ledger/state.h"

static const char make_key[] =
	"INSERT INTO {ledger}token_key (created, secret) VALUES ({epoch}, {secret})";

enum amend_status amend_secret_make(struct amend_conn *db, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status;

	amend_ledger_expand(&text, db->dialect, "", make_key);
	status = text.failed ? amend_no_memory(err) : amend_exec_text(db, text.data, err);
	amend_buffer_release(&text);
	return status;
}

enum amend_status amend_secret_emit(struct amend_conn *db,
				    void (*emit)(void *context, const char *statement),
				    void *context, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	amend_ledger_expand(&text, db->dialect, "", make_key);
	if (text.failed)
		status = amend_no_memory(err);
	else
		emit(context, text.data);
	amend_buffer_release(&text);
	return status;
}

static bool decode_secret(const char *hex, size_t size, struct amend_secret *out)
{
	size_t decoded = 0;

	return size == (size_t)2 * AMEND_SECRET_SIZE &&
	       sodium_hex2bin(out->bytes, sizeof(out->bytes), hex, size, NULL, &decoded, NULL) ==
		       0 &&
	       decoded == AMEND_SECRET_SIZE;
}

static enum amend_status add_secret(struct amend_ledger *ledger, const struct amend_secret *secret,
				    struct amend_error *err)
{
	struct amend_secret *more = realloc(ledger->secrets,
					    (ledger->n_secrets + 1) * sizeof(*ledger->secrets));

	if (!more)
		return amend_no_memory(err);
	ledger->secrets = more;
	ledger->secrets[ledger->n_secrets++] = *secret;
	return AMEND_OK;
}

/* A key of a file has no number: four bytes of its digest serve. */
static uint32_t name_of(const struct amend_secret *secret)
{
	unsigned char digest[AMEND_DIGEST_SIZE];
	uint32_t id = 0;

	amend_digest(secret->bytes, sizeof(secret->bytes), digest);
	for (int i = 0; i < 4; i++)
		id = id << 8 | digest[i];
	return id ? id : 1;
}

/* One key a line, 64 hexadecimal digits, the newest first; `#` begins a comment. */
static enum amend_status read_file(struct amend_ledger *ledger, const char *path,
				   struct amend_error *err)
{
	FILE *file = fopen(path, "re");
	enum amend_status status = AMEND_OK;
	struct stat about;
	char *line = NULL;
	size_t room = 0;
	int number = 0;

	if (!file)
		return amend_error_set(err, errno == EACCES ? AMEND_DENIED : AMEND_INVALID,
				       "cannot read the key file %s: %s", path, strerror(errno));
	if (fstat(fileno(file), &about) == 0 && (about.st_mode & 077) != 0)
		status = amend_error_set(
			err, AMEND_DENIED,
			"the key file %s can be read by others (hint: chmod 600 %s)", path, path);
	while (status == AMEND_OK && getline(&line, &room, file) >= 0) {
		size_t size = strcspn(line, "\r\n");
		struct amend_secret secret = {0};

		number++;
		if (size == 0 || *line == '#')
			continue;
		if (!decode_secret(line, size, &secret)) {
			status = amend_error_set(
				err, AMEND_INVALID,
				"%s:%d: expected 64 hexadecimal digits (hint: head -c "
				"32 /dev/urandom | od -An -tx1 | tr -d ' \\n')",
				path, number);
			break;
		}
		secret.id = name_of(&secret);
		status = add_secret(ledger, &secret, err);
	}
	if (line)
		sodium_memzero(line, room);
	free(line);
	fclose(file);
	if (status == AMEND_OK && ledger->n_secrets == 0)
		status = amend_error_set(err, AMEND_INVALID, "the key file %s holds no key", path);
	return status;
}

static enum amend_status read_ledger(struct amend_conn *db, struct amend_ledger *ledger,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT id, created, secret FROM ");
	amend_sql_ledger(&sql, "token_key");
	amend_sql_text(&sql, " ORDER BY id DESC");
	status = amend_exec(db, &sql, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		const struct amend_value *hex = amend_rows_at(&rows, i, 2);
		struct amend_secret secret = {0};
		int64_t id = 0;

		if (!amend_value_number(amend_rows_at(&rows, i, 0), &id) || id <= 0 ||
		    !amend_value_number(amend_rows_at(&rows, i, 1), &secret.created) ||
		    hex->kind != AMEND_TEXT || !decode_secret(hex->as.text, hex->size, &secret)) {
			status = amend_error_set(err, AMEND_INTERNAL, "a token key is damaged");
			break;
		}
		secret.id = (uint32_t)id;
		status = add_secret(ledger, &secret, err);
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static void forget(struct amend_ledger *ledger)
{
	if (ledger->secrets)
		sodium_memzero(ledger->secrets, ledger->n_secrets * sizeof(*ledger->secrets));
	free(ledger->secrets);
	ledger->secrets = NULL;
	ledger->n_secrets = 0;
}

static enum amend_status load_from_ledger(struct amend_conn *db, void *context,
					  struct amend_error *err)
{
	enum amend_status status = amend_ledger_need(db, err);

	return status == AMEND_OK ? read_ledger(db, context, err) : status;
}

/* Drawn or made in what is undone, a key is none, and its number will be another's. */
static void read_in_unit_ended(struct amend_conn *db, void *context, bool committed)
{
	(void)context;
	if (!committed)
		forget(db->ledger);
}

static enum amend_status load(struct amend_conn *db, struct amend_ledger *ledger,
			      struct amend_error *err)
{
	const char *path = db->options.key_file ? db->options.key_file : getenv("AMEND_KEY_FILE");
	enum amend_status status;

	forget(ledger);
	ledger->secrets_from_file = path && *path;
	if (ledger->secrets_from_file)
		status = read_file(ledger, path, err);
	else {
		/* A role that may not read the keys, which is the rule, must not lose its unit by it. */
		status = amend_in_transaction(db)
				 ? amend_atomic(db, NULL, load_from_ledger, ledger, err)
				 : load_from_ledger(db, ledger, err);
		if (status == AMEND_OK && amend_in_transaction(db))
			status = amend_on_end(db, read_in_unit_ended, NULL, err);
		if (status == AMEND_DENIED)
			amend_error_wrap(err, "no key to sign tokens with (hint: --key-file, or "
					      "AMEND_KEY_FILE)");
	}
	if (status != AMEND_OK)
		forget(ledger);
	return status;
}

static const struct amend_secret *find(const struct amend_ledger *ledger, uint32_t id)
{
	for (size_t i = 0; i < ledger->n_secrets; i++) {
		if (id == 0 || ledger->secrets[i].id == id)
			return &ledger->secrets[i];
	}
	return NULL;
}

enum amend_status amend_secret_get(struct amend_conn *db, uint32_t id, struct amend_secret *out,
				   struct amend_error *err)
{
	struct amend_ledger *ledger = amend_ledger_state(db, err);
	const struct amend_secret *secret;
	enum amend_status status;

	if (!ledger)
		return AMEND_NO_MEMORY;
	secret = find(ledger, id);
	/* Not known: it may have been made since the keys were read. */
	if (!secret) {
		status = load(db, ledger, err);
		if (status != AMEND_OK)
			return status;
		secret = find(ledger, id);
	}
	if (!secret && id == 0)
		return amend_error_set(
			err, AMEND_DENIED,
			"the ledger holds no key to sign tokens with (hint: amend init DB "
			"--rotate-key makes one)");
	if (!secret)
		return amend_error_set(err, AMEND_NOT_FOUND, "there is no such token key");
	*out = *secret;
	return AMEND_OK;
}

static enum amend_status rotate(struct amend_conn *db, void *context, struct amend_error *err)
{
	enum amend_status status = amend_ledger_need(db, err);

	(void)context;
	return status == AMEND_OK ? amend_secret_make(db, err) : status;
}

enum amend_status amend_rotate_key(struct amend_conn *db, struct amend_error *err)
{
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = amend_atomic(db, NULL, rotate, NULL, err);
	/* Read again on next use: the newest signs. */
	if (db->ledger)
		forget(db->ledger);
	return amend_leave(db, status, err);
}

void amend_ledger_free(struct amend_ledger *ledger)
{
	if (!ledger)
		return;
	forget(ledger);
	free(ledger->feed_source);
	free(ledger->feed_table);
	free(ledger);
}

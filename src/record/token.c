/*
 * Version tokens: making, signing, reading.
 * Leaves the keys to the ledger, and what a stale one means to expect.c.
 */
#include "record/token.h"

#include <string.h>

#include <sodium.h>

#include "core/clock.h"

/*
 * "a1." and base64url, without padding, of: format, key (4 bytes), issued (5),
 * change (6), has version, version (8), record (12), state (16), MAC (16); big
 * endian. The MAC is keyed BLAKE2b over a fixed word, the table's name and all before it.
 */
static const char prefix[] = "a1.";
static const char purpose[] = "amend token 1";

enum { FORMAT = 1, MAC_SIZE = 16, BODY_SIZE = 1 + 4 + 5 + 6 + 1 + 8 + 12 + AMEND_STATE_SIZE };
enum { SIZE = BODY_SIZE + MAC_SIZE };

/* A token expires up to one part in this many early. */
enum { STEPS = 16 };
enum { CLOCKS_DIFFER = 300 }; /* seconds */

static unsigned char *put_number(unsigned char *at, uint64_t number, size_t size)
{
	for (size_t i = size; i-- > 0; number >>= 8)
		at[i] = number & 0xff;
	return at + size;
}

static const unsigned char *take_number(const unsigned char *at, uint64_t *number, size_t size)
{
	*number = 0;
	for (size_t i = 0; i < size; i++)
		*number = *number << 8 | at[i];
	return at + size;
}

static void name_record(const struct amend_table *table, const char *pk,
			unsigned char out[static 12])
{
	crypto_generichash_state state;
	unsigned char digest[16];

	/* The terminating zero of the name keeps the two apart: a name holds none. */
	crypto_generichash_init(&state, NULL, 0, sizeof(digest));
	crypto_generichash_update(&state, (const unsigned char *)table->qualified,
				  strlen(table->qualified) + 1);
	crypto_generichash_update(&state, (const unsigned char *)pk, strlen(pk));
	crypto_generichash_final(&state, digest, sizeof(digest));
	memcpy(out, digest, 12);
}

static uint64_t version_number(const struct amend_value *value)
{
	unsigned char digest[AMEND_DIGEST_SIZE];
	uint64_t number = 0;

	if (value->kind == AMEND_INTEGER)
		return (uint64_t)value->as.integer;
	if (value->kind != AMEND_TEXT)
		return 0;
	amend_digest(value->as.text, value->size, digest);
	take_number(digest, &number, 8);
	return number;
}

enum amend_status amend_token_of(const struct amend_table *table, const struct amend_row *row,
				 int64_t change, struct amend_token *out, struct amend_error *err)
{
	unsigned char digest[AMEND_DIGEST_SIZE];
	enum amend_status status = amend_row_digest(table, row->values, digest, err);

	memset(out, 0, sizeof(*out));
	out->issued = amend_clock_now();
	out->change = change;
	out->has_version = table->version >= 0;
	if (out->has_version)
		out->version = version_number(&row->values[table->version]);
	memcpy(out->state, digest, sizeof(out->state));
	name_record(table, row->pk, out->record);
	return status;
}

static void sign(const struct amend_secret *secret, const struct amend_table *table,
		 const unsigned char *body, unsigned char mac[static MAC_SIZE])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, secret->bytes, sizeof(secret->bytes), MAC_SIZE);
	crypto_generichash_update(&state, (const unsigned char *)purpose, sizeof(purpose));
	crypto_generichash_update(&state, (const unsigned char *)table->qualified,
				  strlen(table->qualified) + 1);
	crypto_generichash_update(&state, body, BODY_SIZE);
	crypto_generichash_final(&state, mac, MAC_SIZE);
}

enum amend_status amend_token_write(struct amend_conn *db, const struct amend_table *table,
				    const struct amend_token *token, struct amend_arena *arena,
				    const char **out, struct amend_error *err)
{
	unsigned char bytes[SIZE], *at = bytes;
	int64_t step = db->options.token_lifetime / STEPS;
	struct amend_secret secret;
	enum amend_status status = amend_secret_get(db, 0, &secret, err);
	char *text;
	size_t room = sizeof(prefix) +
		      sodium_base64_ENCODED_LEN(SIZE, sodium_base64_VARIANT_URLSAFE_NO_PADDING);

	if (status != AMEND_OK)
		return status;
	*at++ = FORMAT;
	at = put_number(at, secret.id, 4);
	/* Rounded down: the token of a record stays the same while the record does, and serves as its ETag. */
	at = put_number(
		at, (uint64_t)(step > 1 ? token->issued - token->issued % step : token->issued), 5);
	at = put_number(at, (uint64_t)token->change, 6);
	*at++ = token->has_version;
	at = put_number(at, token->version, 8);
	memcpy(at, token->record, sizeof(token->record));
	at += sizeof(token->record);
	memcpy(at, token->state, sizeof(token->state));
	at += sizeof(token->state);
	sign(&secret, table, bytes, at);
	sodium_memzero(&secret, sizeof(secret));
	text = amend_arena_alloc(arena, room);
	if (!text)
		return amend_no_memory(err);
	memcpy(text, prefix, sizeof(prefix));
	sodium_bin2base64(text + sizeof(prefix) - 1, room - sizeof(prefix) + 1, bytes,
			  sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	*out = text;
	return AMEND_OK;
}

static enum amend_status not_ours(struct amend_error *err)
{
	return amend_error_set(err, AMEND_INVALID,
			       "the token is not one that amend gave out for this table (hint: load "
			       "the record again and use the token it comes with)");
}

enum amend_status amend_token_read(struct amend_conn *db, const struct amend_table *table,
				   const char *text, struct amend_token *out,
				   struct amend_error *err)
{
	unsigned char bytes[SIZE], mac[MAC_SIZE];
	const unsigned char *at = bytes;
	struct amend_secret secret;
	enum amend_status status;
	uint64_t id, issued, change;
	size_t size = strlen(text), decoded = 0;

	memset(out, 0, sizeof(*out));
	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return not_ours(err);
	text += sizeof(prefix) - 1;
	size -= sizeof(prefix) - 1;
	/* libsodium refuses padding, other alphabets and loose bits in the last character. */
	if (sodium_base642bin(bytes, sizeof(bytes), text, size, NULL, &decoded, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    decoded != SIZE || *at++ != FORMAT)
		return not_ours(err);
	at = take_number(at, &id, 4);
	at = take_number(at, &issued, 5);
	at = take_number(at, &change, 6);
	out->has_version = *at++ == 1;
	at = take_number(at, &out->version, 8);
	memcpy(out->record, at, sizeof(out->record));
	at += sizeof(out->record);
	memcpy(out->state, at, sizeof(out->state));
	at += sizeof(out->state);
	if (id == 0)
		return not_ours(err);
	status = amend_secret_get(db, (uint32_t)id, &secret, err);
	if (status == AMEND_NOT_FOUND)
		return not_ours(err);
	if (status != AMEND_OK)
		return status;
	sign(&secret, table, bytes, mac);
	sodium_memzero(&secret, sizeof(secret));
	if (sodium_memcmp(mac, at, MAC_SIZE) != 0)
		return not_ours(err);
	out->issued = (int64_t)issued;
	out->change = (int64_t)change;
	/* Clocks differ a little; a token from a far future would never expire. */
	if (out->issued - amend_clock_now() > CLOCKS_DIFFER)
		return amend_error_set(
			err, AMEND_INVALID,
			"the token was given out in the future (hint: compare the clocks of "
			"the machines that give out tokens)");
	if (amend_clock_now() - out->issued > db->options.token_lifetime)
		return amend_error_set(err, AMEND_INVALID,
				       "the token has expired: it is older than %lld seconds (hint: "
				       "load the record again)",
				       (long long)db->options.token_lifetime);
	return AMEND_OK;
}

bool amend_token_names(const struct amend_token *token, const struct amend_table *table,
		       const char *pk)
{
	unsigned char record[sizeof(token->record)];

	name_record(table, pk, record);
	return memcmp(record, token->record, sizeof(record)) == 0;
}

bool amend_token_holds(const struct amend_token *seen, const struct amend_token *now)
{
	/* The version alone would take a record made anew, which begins at 1 again, for the old one. */
	return seen->has_version == now->has_version && seen->version == now->version &&
	       memcmp(seen->state, now->state, sizeof(seen->state)) == 0;
}

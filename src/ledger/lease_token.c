/*
 * A lease's token: whose it is, its number, and a secret that nobody guesses.
 * Leaves what is stored of it to lease.c.
 */
#include <string.h>

#include <sodium.h>

#include "ledger/lease.h"

/* "l1." and base64url, without padding, of: kind, fence (8 bytes, big endian), name, secret. */
static const char prefix[] = "l1.";

enum { FENCE_SIZE = 8 };
enum { SIZE = 1 + FENCE_SIZE + AMEND_LEASE_NAME_SIZE + AMEND_LEASE_SECRET_SIZE };
enum { VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

_Static_assert(sizeof(prefix) + ((size_t)SIZE + 2) / 3 * 4 <=
		       sizeof(((struct amend_lease *)0)->token),
	       "a token fits");

static void name_of(const struct amend_lease_at *at, unsigned char out[AMEND_LEASE_NAME_SIZE])
{
	crypto_generichash_state state;
	unsigned char digest[16];

	/* The terminating zero of the table's name keeps the two apart. */
	crypto_generichash_init(&state, NULL, 0, sizeof(digest));
	crypto_generichash_update(&state, (const unsigned char *)at->tbl, strlen(at->tbl) + 1);
	crypto_generichash_update(&state, (const unsigned char *)at->pk, strlen(at->pk));
	crypto_generichash_final(&state, digest, sizeof(digest));
	memcpy(out, digest, AMEND_LEASE_NAME_SIZE);
}

void amend_lease_token_new(const struct amend_lease_at *at, struct amend_lease_token *out)
{
	out->fence = 0;
	out->plain = *at->tbl == '\0';
	name_of(at, out->name);
	randombytes_buf(out->secret, sizeof(out->secret));
}

void amend_lease_token_write(const struct amend_lease_token *token, char out[80])
{
	unsigned char bytes[SIZE], *to = bytes;
	uint64_t fence = (uint64_t)token->fence;

	*to++ = token->plain;
	for (int i = FENCE_SIZE; i-- > 0;)
		*to++ = (unsigned char)(fence >> 8 * i);
	memcpy(to, token->name, sizeof(token->name));
	memcpy(to + sizeof(token->name), token->secret, sizeof(token->secret));
	memcpy(out, prefix, sizeof(prefix));
	sodium_bin2base64(out + sizeof(prefix) - 1, 80 - sizeof(prefix) + 1, bytes, sizeof(bytes),
			  VARIANT);
}

enum amend_status amend_lease_token_read(const char *text, struct amend_lease_token *out,
					 struct amend_error *err)
{
	unsigned char bytes[SIZE], *from = bytes;
	const char *end = NULL;
	uint64_t fence = 0;
	size_t size = 0;

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 ||
	    sodium_base642bin(bytes, sizeof(bytes), text + sizeof(prefix) - 1,
			      strlen(text) - sizeof(prefix) + 1, NULL, &size, &end, VARIANT) != 0 ||
	    size != sizeof(bytes) || *end || bytes[0] > 1)
		return amend_error_set(
			err, AMEND_INVALID,
			"expected the token of a lease, l1...., found \"%.40s\"%s", text,
			strncmp(text, "a1.", 3) == 0
				? " (hint: that is a record's version, for --if-version)"
				: "");
	out->plain = *from++ != 0;
	for (int i = 0; i < FENCE_SIZE; i++)
		fence = fence << 8 | *from++;
	out->fence = (int64_t)fence;
	memcpy(out->name, from, sizeof(out->name));
	memcpy(out->secret, from + sizeof(out->name), sizeof(out->secret));
	return AMEND_OK;
}

bool amend_lease_token_names(const struct amend_lease_token *token, const struct amend_lease_at *at)
{
	unsigned char name[AMEND_LEASE_NAME_SIZE];

	name_of(at, name);
	return token->plain == (*at->tbl == '\0') && memcmp(name, token->name, sizeof(name)) == 0;
}

void amend_lease_token_digest(const struct amend_lease_token *token, char out[AMEND_LEASE_DIGEST])
{
	crypto_generichash_state state;
	unsigned char digest[(AMEND_LEASE_DIGEST - 1) / 2];

	crypto_generichash_init(&state, NULL, 0, sizeof(digest));
	crypto_generichash_update(&state, token->name, sizeof(token->name));
	crypto_generichash_update(&state, token->secret, sizeof(token->secret));
	crypto_generichash_final(&state, digest, sizeof(digest));
	sodium_bin2hex(out, AMEND_LEASE_DIGEST, digest, sizeof(digest));
}

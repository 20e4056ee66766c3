/*
 * Many new rows by COPY in its binary form: nothing is spelled out, quoted or parsed.
 * Leaves which tables are loaded, and that their columns have these types, to the callers.
 */
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

enum { PIECE = 1 << 16 }; /* bytes handed over at a time */

struct loading {
	struct amend_session *session;
	struct amend_buffer bytes;
	bool sent; /* false: the connection takes no more; the result says why */
};

static void add_bits(struct amend_buffer *bytes, uint64_t bits, unsigned n_bytes)
{
	unsigned char out[8];

	for (unsigned i = 0; i < n_bytes; i++)
		out[i] = (unsigned char)(bits >> 8 * (n_bytes - 1 - i));
	amend_buffer_add(bytes, out, n_bytes);
}

static void add_value(struct amend_buffer *bytes, const struct amend_value *value)
{
	uint64_t bits = 0;

	switch (value->kind) {
	case AMEND_NULL:
		add_bits(bytes, UINT32_MAX, 4);
		break;
	case AMEND_INTEGER:
		add_bits(bytes, 8, 4);
		add_bits(bytes, (uint64_t)value->as.integer, 8);
		break;
	case AMEND_REAL:
		memcpy(&bits, &value->as.real, sizeof(bits));
		add_bits(bytes, 8, 4);
		add_bits(bytes, bits, 8);
		break;
	case AMEND_TEXT:
	case AMEND_BLOB:
		add_bits(bytes, value->size, 4);
		if (value->size > INT32_MAX)
			bytes->failed = true;
		else if (value->size > 0)
			amend_buffer_add(bytes, value->as.blob, value->size);
		break;
	}
}

static void hand_over(struct loading *loading)
{
	if (loading->bytes.failed || !loading->sent)
		return;
	loading->sent = PQputCopyData(loading->session->conn, loading->bytes.data,
				      (int)loading->bytes.size) == 1;
	amend_buffer_reset(&loading->bytes);
}

static void send_rows(struct loading *loading, const struct amend_load *load)
{
	static const char signature[] = "PGCOPY\n\377\r\n"; /* and its NUL */

	amend_buffer_add(&loading->bytes, signature, sizeof(signature));
	add_bits(&loading->bytes, 0, 8); /* no flags, no extension */
	for (size_t i = 0; i < load->n && loading->sent && !loading->bytes.failed; i++) {
		add_bits(&loading->bytes, load->n_columns, 2);
		for (size_t j = 0; j < load->n_columns; j++)
			add_value(&loading->bytes,
				  &load->values[i * load->stride + load->columns[j]]);
		if (loading->bytes.size >= PIECE)
			hand_over(loading);
	}
	add_bits(&loading->bytes, UINT16_MAX, 2);
	hand_over(loading);
}

/* The first failure's. */
static enum amend_status receive(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	PGresult *result;

	while ((result = PQgetResult(session->conn)) != NULL) {
		if (status == AMEND_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
			status = amend_postgres_error(session, result, err);
		PQclear(result);
		if (amend_postgres_lost(session))
			break;
	}
	if (status == AMEND_OK && amend_postgres_lost(session))
		status = amend_postgres_error(session, NULL, err);
	return status;
}

static enum amend_status copy(struct amend_session *session, const char *sql,
			      const struct amend_load *load, struct amend_error *err)
{
	struct loading loading = {.session = session, .sent = true};
	int nonblocking = PQisnonblocking(session->conn);
	PGresult *result = PQexec(session->conn, sql);
	enum amend_status status;
	bool failed;

	if (PQresultStatus(result) != PGRES_COPY_IN) {
		status = amend_postgres_error(session, result, err);
		PQclear(result);
		return status;
	}
	PQclear(result);
	/* An adopted connection may not wait: COPY would then be handed nothing. */
	PQsetnonblocking(session->conn, 0);
	send_rows(&loading, load);
	failed = loading.bytes.failed;
	PQputCopyEnd(session->conn, failed ? "amend has no memory" : NULL);
	amend_buffer_release(&loading.bytes);
	status = receive(session, err);
	PQsetnonblocking(session->conn, nonblocking);
	return failed && !amend_postgres_lost(session) ? amend_no_memory(err) : status;
}

enum amend_status amend_postgres_load(struct amend_session *session, const struct amend_load *load,
				      struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	enum amend_status status = amend_postgres_ready(session, err);
	const char *text;

	if (status != AMEND_OK)
		return status;
	amend_buffer_printf(&sql, "COPY %s FROM STDIN (FORMAT binary)", load->into);
	text = amend_buffer_string(&sql);
	if (text) {
		amend_postgres_enter(session);
		status = copy(session, text, load, err);
		amend_postgres_leave(session);
	} else {
		status = amend_no_memory(err);
	}
	amend_buffer_release(&sql);
	return status;
}

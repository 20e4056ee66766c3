/*
 * A connection that was lost, opened anew in its place.
 * Leaves what became of the transaction that was under way to the layers above.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "core/clock.h"
#include "sql/driver/postgres.h"

/* How often it is looked whether to stop. */
enum { LOOK_MS = 100 };

static enum amend_status given_up(bool stopped, struct amend_error *err)
{
	if (stopped)
		return amend_postgres_fail(err, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED,
					   "interrupted while the connection was opened again");
	return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
				   "the connection could not be opened again in time");
}

/* PQreset, but for its waiting without end. */
static enum amend_status reset(PGconn *conn, int limit_ms, bool (*stop)(const void *context),
			       const void *context, struct amend_error *err)
{
	const int64_t until = amend_clock_ms() + limit_ms;
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	if (PQresetStart(conn) != 1)
		return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					   "the connection could not be opened again");
	while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
		struct pollfd wait = {
			.fd = PQsocket(conn),
			.events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
		};
		int ready;

		if (stop(context) || amend_clock_ms() > until)
			return given_up(stop(context), err);
		ready = poll(&wait, 1, LOOK_MS);
		if (ready > 0)
			next = PQresetPoll(conn);
		else if (ready < 0 && errno != EINTR)
			next = PGRES_POLLING_FAILED;
	}
	if (next == PGRES_POLLING_OK)
		return AMEND_OK;
	return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
				   "the server does not take the connection again");
}

enum amend_status amend_postgres_reconnect(struct amend_session *session, int limit_ms,
					   bool (*stop)(const void *context), const void *context,
					   struct amend_error *err)
{
	enum amend_status status = reset(session->conn, limit_ms, stop, context, err);

	/* What failed stays lost, also where the socket is only half open. */
	session->broken = true;
	if (status != AMEND_OK)
		return status;
	/* An interrupt looks at `cancel` only while something runs; one that does already ends first. */
	while (atomic_load(&session->cancelling) > 0)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	PQfreeCancel(session->cancel);
	session->cancel = PQgetCancel(session->conn);
	if (!session->cancel)
		return amend_no_memory(err);
	amend_postgres_forget(session);
	session->process = 0;
	session->broken = false;
	return amend_postgres_pin_opened(session, err);
}

/*
 * A peer is a process of the n-th server that the session has met, n in the upper half: another server, or one that was
 * started anew, knows nothing of the lost one's processes, nor does a standby of its primary's. No row then, nor where
 * this connection's own process is not shown. No clock is asked: an id that is used again counts as the lost one's.
 */
const char amend_postgres_peer_there[] =
	"SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_stat_activity a "
	"WHERE a.pid = $1::pg_catalog.int8 & 4294967295 AND a.pid <> m.pid) THEN 1 ELSE 0 END "
	"FROM pg_catalog.pg_stat_activity m WHERE m.pid = pg_catalog.pg_backend_pid() "
	"AND m.pid = $2::pg_catalog.int8 & 4294967295 "
	"AND $1::pg_catalog.int8 >> 32 = $2::pg_catalog.int8 >> 32 "
	"AND NOT pg_catalog.pg_is_in_recovery()";

int64_t amend_postgres_peer(const struct amend_session *session)
{
	return session->process ? (int64_t)session->servers << 32 | session->process : 0;
}

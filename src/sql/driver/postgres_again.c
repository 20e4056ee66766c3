/*
 * A connection that was lost, opened anew in its place.
 * Leaves what became of the transaction that was under way to the layers above.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
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

/* Until it is open, or is not going to be. */
static enum amend_status await(PGconn *conn, int64_t until, bool (*stop)(const void *context),
			       const void *context, struct amend_error *err)
{
	PostgresPollingStatusType next = PQstatus(conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED
									  : PGRES_POLLING_WRITING;

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
			next = PQconnectPoll(conn);
		else if (ready < 0 && errno != EINTR)
			next = PGRES_POLLING_FAILED;
	}
	if (next == PGRES_POLLING_OK)
		return AMEND_OK;
	return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
				   "the server does not take the connection again");
}

/* What was being written can be written on, or looked for, on a primary alone: a standby may yet become one. */
static enum amend_status check_primary(const struct amend_session *session, const PGconn *conn,
				       struct amend_error *err)
{
	char text[256];

	if (session->read_only || !amend_postgres_is_standby(conn))
		return AMEND_OK;
	snprintf(text, sizeof(text), "%s:%s is a standby, and not promoted so far", PQhost(conn),
		 PQport(conn));
	return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST, text);
}

/* Whether the new server follows the lost one is asked over it, afterwards: the session is broken until that is known. */
static enum amend_status replace(struct amend_session *session, PGconn *conn,
				 struct amend_error *err)
{
	PGcancel *cancel = PQgetCancel(conn);

	if (!cancel) {
		PQfinish(conn);
		return amend_no_memory(err);
	}
	/* An interrupt looks at `cancel` only while something runs; one that does already ends first. */
	while (atomic_load(&session->cancelling) > 0)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	PQfreeCancel(session->cancel);
	PQfinish(session->conn);
	session->conn = conn;
	session->cancel = cancel;
	PQsetNoticeReceiver(conn, amend_postgres_notice, session);
	amend_postgres_forget(session);
	session->process = 0;
	session->broken = session->unconfirmed = false;
	return AMEND_OK;
}

/* By the server's own word whether it is the one, or follows the one, that was lost. */
static enum amend_status check_follows(struct amend_session *session, struct amend_error *err)
{
	struct amend_postgres_branch found = {.timeline = 0};
	enum amend_status status = AMEND_OK;

	if (session->hosts > 1)
		status = amend_postgres_branch(session, &found, err);
	if (status == AMEND_OK)
		status = amend_postgres_check_branch(session, &found, err);
	if (status != AMEND_OK)
		return status;
	if (session->branch.timeline > 0 && found.timeline > session->branch.timeline)
		session->oldest = found.oldest = session->branch.oldest;
	if (found.timeline > 0)
		session->branch = found;
	return AMEND_OK;
}

static enum amend_status try_host(struct amend_session *session, int host, int64_t until,
				  bool (*stop)(const void *context), const void *context,
				  struct amend_error *err)
{
	PGconn *conn = amend_postgres_connect_like(session, host, NULL, false);
	enum amend_status status;

	if (!conn)
		return amend_no_memory(err);
	PQsetNoticeReceiver(conn, amend_postgres_notice, NULL);
	status = await(conn, until, stop, context, err);
	if (status == AMEND_OK)
		status = check_primary(session, conn, err);
	if (status != AMEND_OK) {
		PQfinish(conn);
		return status;
	}
	status = replace(session, conn, err);
	if (status == AMEND_OK)
		status = amend_postgres_pin_opened(session, err);
	if (status == AMEND_OK)
		status = check_follows(session, err);
	session->broken = status != AMEND_OK;
	return status;
}

enum amend_status amend_postgres_reconnect(struct amend_session *session, int limit_ms,
					   bool (*stop)(const void *context), const void *context,
					   struct amend_error *err)
{
	const int64_t until = amend_clock_ms() + limit_ms;
	enum amend_status status = AMEND_UNREACHABLE;

	/* What failed stays lost, and the server shall know: its locks are in the way. */
	session->broken = true;
	if (PQsocket(session->conn) >= 0)
		shutdown(PQsocket(session->conn), SHUT_RDWR);
	for (int i = 0; i < session->hosts && status != AMEND_OK && status != AMEND_INTERRUPTED;
	     i++) {
		int64_t last = amend_clock_ms() + AMEND_PG_HOST_MS;

		/* One that does not answer keeps nobody from the next. */
		status = try_host(session, i, session->hosts > 1 && last < until ? last : until,
				  stop, context, err);
	}
	return status;
}

/*
 * A peer is a process of the n-th server that the session has met, n above its 32 bits: another server, or one that was
 * started anew, knows nothing of the lost one's processes, nor does a standby of its primary's. No row then, nor where
 * this connection's own process is not shown. But where each server since was promoted to follow the one before (the
 * first of those stands above n), what a lost process had not sent by then will never be in. No clock is asked: an id that is
 * used again counts as the lost one's.
 */
const char amend_postgres_peer_there[] =
	"SELECT CASE WHEN p.lost >> 32 & 65535 = p.own >> 32 & 65535 AND "
	"EXISTS (SELECT FROM pg_catalog.pg_stat_activity a "
	"WHERE a.pid = p.lost & 4294967295 AND a.pid <> m.pid) THEN 1 ELSE 0 END "
	"FROM (SELECT $1::pg_catalog.int8 AS lost, $2::pg_catalog.int8 AS own) p, "
	"pg_catalog.pg_stat_activity m WHERE m.pid = pg_catalog.pg_backend_pid() "
	"AND m.pid = p.own & 4294967295 "
	"AND p.lost >> 32 & 65535 BETWEEN p.own >> 48 AND p.own >> 32 & 65535 "
	"AND NOT pg_catalog.pg_is_in_recovery()";

int64_t amend_postgres_peer(const struct amend_session *session)
{
	enum { MOST_SERVERS = 32767 };

	if (!session->process || session->servers > MOST_SERVERS)
		return 0;
	return (int64_t)session->oldest << 48 | (int64_t)session->servers << 32 | session->process;
}

/*
 * The proxy that cuts connections: a thread that accepts, one for each connection.
 * Leaves what a cut must lead to to the tests.
 */
#include "proxy.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <libpq-fe.h>

struct proxy {
	char host[256], port[16], url[2300];
	bool mariadb; /* else PostgreSQL's protocol */
	int listener;
	pthread_t thread;
	pthread_mutex_t lock;
	/* with the lock: */
	struct proxy_cut cut;
	int64_t moment; /* of the cut, by now_us; 0: it is not by the clock */
	bool armed, fired, refusing, closing, hides_arrays;
	unsigned messages[2];
	size_t bytes[2];
	int connections;
};

/* One direction of a connection. */
struct stream {
	enum proxy_side side;
	int from, to;
	bool started; /* PostgreSQL's first message has no type */
	bool packets; /* MariaDB's: a size and a number, and none has a type */
	bool greeted; /* MariaDB's server has said who it is */
	char *data;
	size_t size, room;
	size_t whole; /* bytes of `data` that are whole messages seen already */
};

struct connection {
	struct proxy *proxy;
	int client, server;
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Whether the moment has come. `*wait`: until then, at most a tenth of a second. */
static bool is_time(struct proxy *proxy, struct timespec *wait)
{
	int64_t left = 100000;
	bool due = false;

	pthread_mutex_lock(&proxy->lock);
	if (proxy->armed && proxy->moment > 0) {
		int64_t until = proxy->moment - now_us();

		due = until <= 0;
		left = due ? 0 : until < left ? until : left;
	} else if (proxy->cut.after_us == 0 && proxy->cut.message == 0 && proxy->cut.byte == 0) {
		left = 1000; /* a cut by the clock may be asked for at any time */
	}
	if (due) {
		proxy->armed = false;
		proxy->fired = true;
		proxy->refusing = proxy->cut.refuses;
	}
	pthread_mutex_unlock(&proxy->lock);
	*wait = (struct timespec){.tv_nsec = left * 1000};
	return due;
}

static bool send_all(int to, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(to, data, size, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		data += sent;
		size -= (size_t)sent;
	}
	return true;
}

/* How long the message at `at` is; 0: not all of it is here. */
static size_t message_size(const struct stream *stream, size_t at)
{
	size_t head = stream->started && !stream->packets ? 1 : 0, size;
	const unsigned char *bytes;

	if (stream->size - at < head + 4)
		return 0;
	bytes = (const unsigned char *)stream->data + at + head;
	size = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
	if (stream->packets)
		size = 4 + ((size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16);
	size += head;
	return stream->size - at < size ? 0 : size;
}

/*
 * Counts what came; where the cut is in it, `*hold` is from where on nothing passes. With
 * a cut by messages only whole ones pass on.
 */
static bool strikes(struct proxy *proxy, struct stream *stream, size_t fresh, size_t *hold)
{
	bool struck = false;

	pthread_mutex_lock(&proxy->lock);
	*hold = stream->size;
	proxy->bytes[stream->side] += fresh;
	if (proxy->armed && proxy->cut.side == stream->side && proxy->cut.byte > 0 &&
	    proxy->bytes[stream->side] >= proxy->cut.byte) {
		size_t beyond = proxy->bytes[stream->side] - proxy->cut.byte;

		*hold = stream->size - (beyond < fresh ? beyond : fresh);
		struck = true;
	}
	for (size_t size; !struck && (size = message_size(stream, stream->whole)) > 0;) {
		proxy->messages[stream->side]++;
		if (proxy->armed && proxy->cut.side == stream->side && proxy->cut.message > 0 &&
		    proxy->messages[stream->side] == proxy->cut.message) {
			*hold = stream->whole + (proxy->cut.passes ? size : 0);
			struck = true;
		}
		stream->whole += size;
		stream->started = true;
	}
	if (struck) {
		proxy->armed = false;
		proxy->fired = true;
	}
	pthread_mutex_unlock(&proxy->lock);
	return struck;
}

/*
 * MariaDB's server says first, behind its version, what it can: its own abilities stand in four bytes that are MySQL's
 * to be zero. It comes as one piece.
 */
static void hide_arrays(struct stream *stream)
{
	enum { HEAD = 5, BEFORE = 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 6, ABILITIES = 4 };
	const char *version = stream->data + HEAD;
	const char *end = stream->size > HEAD ? memchr(version, '\0', stream->size - HEAD) : NULL;
	size_t at = end ? (size_t)(end + 1 - stream->data) + BEFORE : stream->size;

	if (at + ABILITIES <= stream->size)
		memset(stream->data + at, 0, ABILITIES);
}

/* False: the connection ends. `*cut`: because it is cut. */
static bool pass(struct proxy *proxy, struct stream *stream, bool *cut)
{
	size_t hold;
	ssize_t got;

	if (stream->room - stream->size < 65536) {
		char *more = realloc(stream->data, stream->room + 262144);

		if (!more)
			return false;
		stream->data = more;
		stream->room += 262144;
	}
	got = recv(stream->from, stream->data + stream->size, stream->room - stream->size, 0);
	if (got <= 0)
		return false;
	stream->size += (size_t)got;
	if (stream->packets && stream->side == PROXY_SERVER && !stream->greeted) {
		stream->greeted = true;
		pthread_mutex_lock(&proxy->lock);
		if (proxy->hides_arrays)
			hide_arrays(stream);
		pthread_mutex_unlock(&proxy->lock);
	}
	*cut = strikes(proxy, stream, (size_t)got, &hold);
	/* What has not passed yet is the last `got` bytes; a message whose begin has passed cannot be held back. */
	if (!send_all(stream->to, stream->data + stream->size - (size_t)got,
		      hold > stream->size - (size_t)got ? hold - (stream->size - (size_t)got) : 0))
		return false;
	if (*cut) {
		memmove(stream->data, stream->data + hold, stream->size - hold);
		stream->size -= hold;
		return false;
	}
	memmove(stream->data, stream->data + stream->whole, stream->size - stream->whole);
	stream->size -= stream->whole;
	stream->whole = 0;
	return true;
}

static void *relay(void *context)
{
	struct connection *connection = context;
	struct proxy *proxy = connection->proxy;
	int client = connection->client, server = connection->server, late = 0;
	struct stream streams[] = {
		{.side = PROXY_CLIENT, .from = client, .to = server, .packets = proxy->mariadb},
		{.side = PROXY_SERVER,
		 .from = server,
		 .to = client,
		 .started = true,
		 .packets = proxy->mariadb},
	};
	bool cut = false, going = true;

	free(connection);
	while (going) {
		struct pollfd wait[] = {{.fd = client, .events = POLLIN},
					{.fd = server, .events = POLLIN}};
		struct timespec most;

		if (is_time(proxy, &most) || (ppoll(wait, 2, &most, NULL) < 0 && errno != EINTR))
			break;
		for (size_t i = 0; i < 2 && going; i++) {
			if (wait[i].revents)
				going = pass(proxy, &streams[i], &cut);
		}
		pthread_mutex_lock(&proxy->lock);
		going = going && !proxy->closing;
		late = cut ? proxy->cut.late_ms : 0;
		pthread_mutex_unlock(&proxy->lock);
	}
	close(client);
	if (late > 0) {
		sleep_ms(late);
		if (send_all(server, streams[0].data, streams[0].size))
			sleep_ms(50);
	}
	close(server);
	free(streams[0].data);
	free(streams[1].data);
	pthread_mutex_lock(&proxy->lock);
	proxy->connections--;
	pthread_mutex_unlock(&proxy->lock);
	return NULL;
}

static int reach_server(const struct proxy *proxy)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	int fd = -1;

	if (proxy->host[0] == '/') {
		struct sockaddr_un name = {.sun_family = AF_UNIX};

		snprintf(name.sun_path, sizeof(name.sun_path), "%.80s%s%s", proxy->host,
			 proxy->mariadb ? "" : "/.s.PGSQL.", proxy->port);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
			return fd;
	} else if (getaddrinfo(proxy->host, proxy->port, &hints, &found) == 0) {
		fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0) {
			freeaddrinfo(found);
			return fd;
		}
		freeaddrinfo(found);
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static void *serve(void *context)
{
	struct proxy *proxy = context;
	int client;

	while ((client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct connection *connection = calloc(1, sizeof(*connection));
		int server = -1;
		pthread_t thread;
		bool refusing;

		if (connection)
			*connection = (struct connection){proxy, client, -1};
		pthread_mutex_lock(&proxy->lock);
		proxy->connections++;
		refusing = proxy->refusing;
		pthread_mutex_unlock(&proxy->lock);
		if (!refusing)
			server = reach_server(proxy);
		if (connection)
			connection->server = server;
		if (connection && server >= 0 &&
		    pthread_create(&thread, NULL, relay, connection) == 0) {
			pthread_detach(thread);
			continue;
		}
		pthread_mutex_lock(&proxy->lock);
		proxy->connections--;
		pthread_mutex_unlock(&proxy->lock);
		free(connection);
		close(client);
		if (server >= 0)
			close(server);
	}
	return NULL;
}

void proxy_hide_arrays(struct proxy *proxy)
{
	pthread_mutex_lock(&proxy->lock);
	proxy->hides_arrays = true;
	pthread_mutex_unlock(&proxy->lock);
}

void proxy_settle(struct proxy *proxy)
{
	for (int i = 0; i < 2000; i++) {
		int n;

		pthread_mutex_lock(&proxy->lock);
		n = proxy->connections;
		pthread_mutex_unlock(&proxy->lock);
		if (n == 0)
			return;
		sleep_ms(5);
	}
	fail_at(__FILE__, __LINE__, "a connection through the proxy does not end");
}

static void close_proxy(void *thing)
{
	struct proxy *proxy = thing;

	pthread_mutex_lock(&proxy->lock);
	proxy->closing = true;
	pthread_mutex_unlock(&proxy->lock);
	shutdown(proxy->listener, SHUT_RDWR);
	close(proxy->listener);
	pthread_join(proxy->thread, NULL);
	proxy_settle(proxy);
	pthread_mutex_destroy(&proxy->lock);
}

/* As tools/servers writes it: mariadb://USER@HOST/NAME?socket=PATH */
static void find_mariadb(struct engine *engine, struct proxy *proxy)
{
	if (sscanf(engine->url, "%*[^?]?socket=%255s", proxy->host) != 1)
		fail_at(__FILE__, __LINE__, "no socket in %s", engine->url);
	proxy->mariadb = true;
}

static void find_postgres(struct engine *engine, struct proxy *proxy)
{
	PGconn *direct = PQconnectdb(engine->url);

	if (PQstatus(direct) != CONNECTION_OK)
		fail_at(__FILE__, __LINE__, "no connection: %s", PQerrorMessage(direct));
	snprintf(proxy->host, sizeof(proxy->host), "%s", PQhost(direct));
	snprintf(proxy->port, sizeof(proxy->port), "%s", PQport(direct));
	PQfinish(direct);
}

static void write_url(struct engine *engine, struct proxy *proxy, unsigned port)
{
	const char *at = strchr(engine->url, '@'), *name = at ? strchr(at, '/') : NULL;

	if (!proxy->mariadb)
		snprintf(proxy->url, sizeof(proxy->url),
			 "%s%shost=127.0.0.1&port=%u&sslmode=disable&gssencmode=disable",
			 engine->url, strchr(engine->url, '?') ? "&" : "?", port);
	else if (name)
		snprintf(proxy->url, sizeof(proxy->url), "%.*s127.0.0.1:%u%.*s",
			 (int)(at + 1 - engine->url), engine->url, port, (int)strcspn(name, "?"),
			 name);
}

struct proxy *proxy_open(struct engine *engine)
{
	struct proxy *proxy = amend_arena_alloc(engine_arena(engine), sizeof(*proxy));
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t size = sizeof(name);

	if (!proxy)
		fail_at(__FILE__, __LINE__, "out of memory");
	if (engine_is(engine, "mariadb"))
		find_mariadb(engine, proxy);
	else
		find_postgres(engine, proxy);
	pthread_mutex_init(&proxy->lock, NULL);
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (proxy->listener < 0 || bind(proxy->listener, (struct sockaddr *)&name, size) != 0 ||
	    listen(proxy->listener, 16) != 0 ||
	    getsockname(proxy->listener, (struct sockaddr *)&name, &size) != 0 ||
	    pthread_create(&proxy->thread, NULL, serve, proxy) != 0)
		fail_at(__FILE__, __LINE__, "no proxy: %s", strerror(errno));
	write_url(engine, proxy, ntohs(name.sin_port));
	engine_defer(engine, close_proxy, proxy);
	return proxy;
}

const char *proxy_url(const struct proxy *proxy)
{
	return proxy->url;
}

void proxy_cut(struct proxy *proxy, struct proxy_cut cut)
{
	pthread_mutex_lock(&proxy->lock);
	proxy->cut = cut;
	proxy->armed = cut.message > 0 || cut.byte > 0 || cut.after_us > 0;
	proxy->moment = cut.after_us > 0 ? now_us() + cut.after_us : 0;
	proxy->fired = proxy->refusing = false;
	memset(proxy->messages, 0, sizeof(proxy->messages));
	memset(proxy->bytes, 0, sizeof(proxy->bytes));
	pthread_mutex_unlock(&proxy->lock);
}

bool proxy_fired(struct proxy *proxy)
{
	bool fired;

	pthread_mutex_lock(&proxy->lock);
	fired = proxy->fired;
	pthread_mutex_unlock(&proxy->lock);
	return fired;
}

unsigned proxy_messages(struct proxy *proxy, enum proxy_side side)
{
	unsigned n;

	pthread_mutex_lock(&proxy->lock);
	n = proxy->messages[side];
	pthread_mutex_unlock(&proxy->lock);
	return n;
}

size_t proxy_bytes(struct proxy *proxy, enum proxy_side side)
{
	size_t n;

	pthread_mutex_lock(&proxy->lock);
	n = proxy->bytes[side];
	pthread_mutex_unlock(&proxy->lock);
	return n;
}

/*
 * A proxy between amend and a server, PostgreSQL's or MariaDB's, that cuts a connection where a
 * test wants it: between two messages of the protocol, in the middle of one, or at a moment.
 * TCP on amend's side. Connections that are not cut pass as they are.
 *
 *	struct proxy *proxy = proxy_open(engine);
 *	db = ... amend_open(proxy_url(proxy)) ...
 *	proxy_cut(proxy, (struct proxy_cut){.side = PROXY_CLIENT, .message = 3});
 *	... what is done now breaks when amend has sent three messages, the third not arriving ...
 *	fired = proxy_fired(proxy);
 */
#ifndef TESTS_LIB_PROXY_H
#define TESTS_LIB_PROXY_H

#include "engines.h"

enum proxy_side {
	PROXY_CLIENT, /* what amend sends */
	PROXY_SERVER, /* what the server answers */
};

struct proxy_cut {
	enum proxy_side side;
	unsigned message; /* the n-th from now on; 0: */
	size_t byte;      /* ..so many bytes from now on; 0: */
	int64_t after_us; /* ..so long from now on, whatever is under way, of the oldest connection */
	bool refuses; /* and from then on no connection is let through, until the next proxy_cut */
	bool passes;  /* it is handed on before the cut; else it is lost */
	int late_ms; /* of amend's, lost: amend is cut off at once, the server gets it after so long, and only then the end */
};

struct proxy;

/* Lasts until the test ends. */
struct proxy *proxy_open(struct engine *engine);
/* The test's database, by way of the proxy. */
const char *proxy_url(const struct proxy *proxy);
/* Armed for one cut, of whichever connection gets there first. Counts begin anew. */
void proxy_cut(struct proxy *proxy, struct proxy_cut cut);
bool proxy_fired(struct proxy *proxy);
/* Messages and bytes since the last proxy_cut. */
unsigned proxy_messages(struct proxy *proxy, enum proxy_side side);
size_t proxy_bytes(struct proxy *proxy, enum proxy_side side);
/* To connections that come now MariaDB's server is one that takes no arrays: as behind a proxy that does not know them. */
void proxy_hide_arrays(struct proxy *proxy);
/* Returns when no connection goes through it any more: what was late has arrived. */
void proxy_settle(struct proxy *proxy);

#endif

/*
 * Steps that take and give back a lease of one record, and what must hold of it in every order: one holder, numbers that rise,
 * and no write past it.
 * Leaves words and keys to operation.c.
 */
#include "scenario.h"

#include <amend/lease.h>

enum { TTL_MS = 3600000 }; /* nothing ends by itself here */

static void wrong(struct session *session, const char *what)
{
	facts_wrong(&session->run->facts, "%s %s", session->plan->name, what);
}

static void say_lease(enum amend_status status, const struct amend_lease *lease,
		      struct amend_buffer *said)
{
	if (status == AMEND_OK)
		amend_buffer_printf(said, "fence %lld", (long long)lease->fence);
	else
		amend_buffer_printf(said, "failed %s", amend_status_name(status));
	if (status == AMEND_LOCKED && lease->left_ms > 0)
		amend_buffer_printf(said, ", held by %s", lease->holder);
}

static enum amend_status acquire(struct session *session, const struct amend_lease_name *name,
				 bool mandatory, struct amend_lease *lease, struct amend_error *err)
{
	struct run *run = session->run;
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
	enum amend_status status;

	options.ttl_ms = TTL_MS;
	options.mandatory = mandatory;
	options.place = "scenario";
	status = amend_lease_acquire(session->db, name, &options, lease, err);
	if (status != AMEND_OK)
		return status;
	if (atomic_load(&run->held) != 0)
		wrong(session, "took a lease that another has");
	if (lease->fence <= atomic_load(&run->fence))
		wrong(session, "took a lease whose number is no higher than the last one's");
	snprintf(session->lease, sizeof(session->lease), "%s", lease->token);
	session->fence = lease->fence;
	atomic_store(&run->mandatory, mandatory);
	atomic_store(&run->fence, lease->fence);
	atomic_store(&run->held, lease->fence);
	return status;
}

/* "renew", "release": of what this session took last. */
static enum amend_status keep(struct session *session, const struct amend_lease_name *name,
			      bool release, struct amend_lease *lease, struct amend_error *err)
{
	struct run *run = session->run;
	enum amend_status status;

	if (!*session->lease)
		return amend_error_set(err, AMEND_LOCKED, "it has none");
	status = release ? amend_lease_release(session->db, name, session->lease, err)
			 : amend_lease_renew(session->db, name, session->lease, 0, lease, err);
	lease->fence = session->fence;
	if (status != AMEND_OK)
		return status;
	if (atomic_load(&run->held) != session->fence)
		wrong(session, "keeps a lease that it has lost");
	if (release)
		atomic_store(&run->held, 0);
	return status;
}

bool lease_is(const char *verb)
{
	return strcmp(verb, "lease") == 0 || strcmp(verb, "renew") == 0 ||
	       strcmp(verb, "release") == 0 || strcmp(verb, "break") == 0;
}

enum amend_status lease_run(struct session *session, const char *verb,
			    const struct amend_lease_name *name, bool mandatory,
			    struct amend_buffer *said, struct amend_error *err)
{
	struct amend_lease lease = {.fence = 0};
	enum amend_status status;

	if (strcmp(verb, "lease") == 0) {
		status = acquire(session, name, mandatory, &lease, err);
	} else if (strcmp(verb, "break") == 0) {
		status = amend_lease_break(session->db, name, "asked", &lease, err);
		if (status == AMEND_OK && atomic_exchange(&session->run->held, 0) == 0)
			wrong(session, "broke a lease that nobody has");
	} else {
		status = keep(session, name, strcmp(verb, "release") == 0, &lease, err);
	}
	if (status == AMEND_INTERNAL)
		wrong(session, err->text);
	say_lease(status, &lease, said);
	return status;
}

struct lease_look lease_before(const struct session *session)
{
	return (struct lease_look){atomic_load(&session->run->held),
				   atomic_load(&session->run->mandatory)};
}

/* Who held it before a write and holds it still has held it all the while. */
void lease_wrote(struct session *session, const struct step *step, const char *key,
		 struct lease_look before, bool carried)
{
	int64_t held = atomic_load(&session->run->held);
	bool mine = held == session->fence;
	char what[256];

	if (held != before.held || (held != 0 && mine) || strcmp(key, LEASED) != 0)
		return;
	if (!carried && (held == 0 || !before.mandatory))
		return;
	snprintf(what, sizeof(what), "%s in %s",
		 carried ? "wrote with a lease that it had lost" : "wrote past the lease of another",
		 step->name);
	wrong(session, what);
}

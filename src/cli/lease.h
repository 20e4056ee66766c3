/* What `amend lease` and `amend lock` share: which lease, and how one is shown. */
#ifndef CLI_LEASE_H
#define CLI_LEASE_H

#include "assign.h"
#include "json.h"
#include "session.h"

/* A lease as the command line names it. */
struct cli_lease {
	struct cli_key key; /* of a record */
	struct amend_lease_name name;
	const char *text; /* "nightly", "stock sku=42" */
};

/* By `table` and the word of its key; `table` NULL: the word is a plain name. False after complaining. */
bool cli_lease_parse(const struct cli_args *args, const char *table, const char *word,
		     struct cli_lease *out);
/* Opens the table, if it is a record's. 0, or the exit code. */
int cli_lease_open(struct cli_session *session, const char *table, struct cli_lease *lease);

/* "host:1234", of the process that called this one. */
const char *cli_lease_place(struct cli_pool *pool);

/* {"outcome":..,"token":..,"fence":..,"expires":..,"holder":..,"place":..} */
struct json_object *cli_lease_json(const char *outcome, const struct amend_lease *lease);

/* `amend lease list`. */
int cli_lease_list(struct cli_session *session, const struct amend_lease_name *name, bool history);

#endif

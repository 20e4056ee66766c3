/*
 * A write of amend's inside a transaction of your own.
 *
 *	cc -o libpq libpq.c $(pkg-config --cflags --libs amend libpq)
 *	./libpq postgresql://localhost/app
 *
 * An order is placed by the application's own SQL; the stock is reduced by
 * amend, never below zero, and recorded. Both commit together, and the COMMIT
 * is the application's. (For SQLite: amend_adopt_sqlite, the same way.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include <amend/amend.h>
#include <amend/postgres.h>

/* The application's own statements, as it always ran them. */
static void sql(PGconn *conn, const char *text)
{
	PGresult *result = PQexec(conn, text);
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
		fprintf(stderr, "libpq: %s: %s", text, PQerrorMessage(conn));
		exit(1);
	}
	PQclear(result);
}

static int ask(PGconn *conn, const char *text)
{
	PGresult *result = PQexec(conn, text);
	int number = PQntuples(result) == 1 ? atoi(PQgetvalue(result, 0, 0)) : -1;

	PQclear(result);
	return number;
}

/* stock -= n, and not below 0: the database computes and checks it. */
static enum amend_status take(struct amend_conn *db, const struct amend_table *stock,
			      const char *sku, int n, struct amend_error *err)
{
	const struct amend_field field = {"sku", amend_text(sku)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign less = {"qty", AMEND_ADD, amend_integer(-n)};
	const struct amend_bound bound = {"qty", amend_integer(0), amend_null()};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;

	write.keys = &key;
	write.n_keys = 1;
	write.set = &less;
	write.n_set = 1;
	write.bounds = &bound;
	write.n_bounds = 1;
	status = amend_write(db, stock, &write, &result, err);
	printf("  amend: take %d of %s: %s\n", n, sku, amend_outcome_name(result.outcome));
	amend_result_release(&result);
	return status;
}

static void expect(PGconn *conn, const char *what, const char *query, int expected)
{
	int found = ask(conn, query);

	printf("  %s: %d\n", what, found);
	if (found != expected) {
		fprintf(stderr, "libpq: expected %d\n", expected);
		exit(1);
	}
}

static const char qty[] = "SELECT qty FROM stock WHERE sku = 'lamp'";
static const char orders[] = "SELECT count(*) FROM orders";
static const char history[] = "SELECT count(*) FROM amend.change WHERE tbl = 'stock'";

static void sell(PGconn *conn, struct amend_conn *db, const struct amend_table *stock)
{
	struct amend_error err;
	int before = ask(conn, history);

	printf("one transaction, committed by the application:\n");
	sql(conn, "BEGIN");
	sql(conn, "INSERT INTO orders (sku, n) VALUES ('lamp', 3)");
	/*
	 * Inside your transaction amend works within a savepoint of its own: it
	 * commits nothing, and a refusal leaves your transaction as it was.
	 */
	if (take(db, stock, "lamp", 3, &err) != AMEND_OK)
		exit(1);
	if (take(db, stock, "lamp", 99, &err) != AMEND_CONSTRAINT)
		exit(1);
	printf("  refused: %s\n", err.text);
	/* Your own savepoints work as ever: what amend wrote behind one goes with it, history too. */
	sql(conn, "SAVEPOINT gift");
	if (take(db, stock, "lamp", 1, &err) != AMEND_OK)
		exit(1);
	sql(conn, "ROLLBACK TO SAVEPOINT gift");
	/*
	 * AMEND_RETRY would mean: the engine undid the transaction. Then all of it
	 * must run again, and only you know what all of it is.
	 */
	sql(conn, "COMMIT");
	expect(conn, "left", qty, 7);
	expect(conn, "orders", orders, 1);
	expect(conn, "changes in history", history, before + 1);
}

static void change_your_mind(PGconn *conn, struct amend_conn *db, const struct amend_table *stock)
{
	struct amend_error err;
	int before = ask(conn, history);

	printf("another one, rolled back:\n");
	sql(conn, "BEGIN");
	sql(conn, "INSERT INTO orders (sku, n) VALUES ('lamp', 2)");
	if (take(db, stock, "lamp", 2, &err) != AMEND_OK)
		exit(1);
	sql(conn, "ROLLBACK");
	expect(conn, "left", qty, 7);
	expect(conn, "orders", orders, 1);
	expect(conn, "changes in history", history, before);
}

int main(int argc, char **argv)
{
	struct amend_conn *db = NULL;
	struct amend_table *stock = NULL;
	struct amend_error err;
	enum amend_status status;
	PGconn *conn;

	if (argc != 2) {
		fprintf(stderr, "usage: libpq postgresql://...\n");
		return 2;
	}
	conn = PQconnectdb(argv[1]);
	if (PQstatus(conn) != CONNECTION_OK) {
		fprintf(stderr, "libpq: %s", PQerrorMessage(conn));
		return 1;
	}
	sql(conn, "SET client_min_messages = warning");
	sql(conn, "DROP TABLE IF EXISTS orders, stock");
	sql(conn, "CREATE TABLE stock (sku text PRIMARY KEY, qty integer NOT NULL)");
	sql(conn,
	    "CREATE TABLE orders (id serial PRIMARY KEY, sku text NOT NULL, n integer NOT NULL)");
	sql(conn, "INSERT INTO stock VALUES ('lamp', 10)");

	/* The connection stays yours: amend_close lets go of it, and PQfinish is still yours to call. */
	status = amend_adopt_postgres(conn, NULL, &db, &err);
	if (status == AMEND_OK)
		status = amend_init(db, NULL, &err);
	if (status == AMEND_OK)
		status = amend_table_open(db, "stock", &stock, &err);
	if (status == AMEND_OK)
		status = amend_set_author(db, "shop", "an order", "libpq example", &err);
	if (status == AMEND_OK) {
		sell(conn, db, stock);
		change_your_mind(conn, db, stock);
	} else {
		fprintf(stderr, "libpq: %s\n", err.text);
	}
	amend_table_close(stock);
	amend_close(db);
	PQfinish(conn);
	return status == AMEND_OK ? 0 : 1;
}

"""Workload G: what a guard costs programs that are not amend: bulk updates, and updates of single rows.

In each pair the same statement runs on a table without a guard and on copies of it that have one. For history in bulk
the unguarded side also inserts the same history rows, ready made, into a table like amend's, in the same transaction."""

import sqlite3
import time

from figures import Figure

GUARDS = {"version": [], "row": ["--history"], "statement": ["--history", "--level", "statement"]}
# (bulk at most, single rows at least); of single rows once a statement nothing is claimed, and MariaDB has no such triggers
GOALS = {
    "postgresql": {"version": (None, 0.80), "row": (4.0, 0.55), "statement": (3.0, None)},
    "mariadb": {"version": (None, 0.80), "row": (4.0, 0.55)},
    "sqlite": {"version": (None, 0.80), "row": (4.0, 0.30)},
}
COLUMNS = "id integer PRIMARY KEY, sku {key} UNIQUE, name text, note text, qty integer, price {number}, changed text"
TYPES = {"postgresql": {"key": "text", "number": "numeric(10,2)"}, "mariadb": {"key": "varchar(40)", "number": "numeric(10,2)"},
         "sqlite": {"key": "text", "number": "real"}}
BULK = "UPDATE stock SET qty = qty + 1"


def rows_sql(engine, rows):
    fields = "'sku' || g, 'name ' || g, '{}', g, g * 1.5, '2026-01-01'".format("x" * 100)
    if engine == "postgresql":
        return f"INSERT INTO stock SELECT g, {fields} FROM generate_series(1, {rows}) g"
    if engine == "mariadb":
        return (f"INSERT INTO stock SELECT seq, concat('sku', seq), concat('name ', seq), repeat('x', 100), seq, "
                f"seq * 1.5, '2026-01-01' FROM seq_1_to_{rows}")
    return (f"WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < {rows}) "
            f"INSERT INTO stock SELECT g, {fields} FROM s")


class Postgres:
    """Statements by the contender, whose own start is taken off."""

    ledger = "amend."

    def __init__(self, place, url):
        self.place, self.url = place, url

    def run(self, *statements):
        sql = "; ".join(statements)
        start = time.monotonic()
        self.place.value("SELECT 1", self.url)
        between = time.monotonic()
        self.place.value(sql, self.url)
        return time.monotonic() - between - (between - start)

    def value(self, sql):
        return int(self.place.value(sql, self.url))

    def settle(self):
        self.place.value("VACUUM (ANALYZE) stock", self.url)
        self.place.value("CHECKPOINT", self.url)

    def singles(self, calls, rows):
        return self.run(f"DO $$ BEGIN FOR i IN 1..{calls} LOOP UPDATE stock SET qty = qty + 1 "
                        f"WHERE id = i * 7 % {rows} + 1; COMMIT; END LOOP; END $$")


class Mariadb(Postgres):
    """Likewise; a loop's statements commit each by itself."""

    ledger = "amend_"

    def run(self, *statements):
        if not statements[0].startswith("CREATE"):
            statements = ("BEGIN NOT ATOMIC START TRANSACTION", *statements, "COMMIT", "END")
            return super().run("; ".join(statements))
        return sum(super(Mariadb, self).run(sql) for sql in statements)

    def settle(self):
        self.place.value("ANALYZE TABLE stock", self.url)
        self.place.value("FLUSH TABLES stock FOR EXPORT", self.url)

    def singles(self, calls, rows):
        return super().run(f"BEGIN NOT ATOMIC FOR i IN 1..{calls} DO UPDATE stock SET qty = qty + 1 "
                           f"WHERE id = i * 7 % {rows} + 1; END FOR; END")


class Sqlite:
    ledger = "amend_"

    def __init__(self, place, url):
        self.db = sqlite3.connect(url, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")

    def run(self, *statements):
        start = time.monotonic()
        for sql in ("BEGIN IMMEDIATE", *statements, "COMMIT"):
            self.db.execute(sql)
        return time.monotonic() - start

    def value(self, sql):
        return self.db.execute(sql).fetchone()[0]

    def settle(self):
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def singles(self, calls, rows):
        start = time.monotonic()
        for i in range(1, calls + 1):
            self.db.execute("UPDATE stock SET qty = qty + 1 WHERE id = ?", (i * 7 % rows + 1,))
        return time.monotonic() - start


CLIENTS = {"postgresql": Postgres, "mariadb": Mariadb, "sqlite": Sqlite}


def prepare(run, place, guard, rows):
    """The guarded table, updated once in bulk, so that the history rows are there to be copied; and its client."""
    url = place.create(f"guard_{guard}")
    client = CLIENTS[place.name](place, url)
    client.run(f"CREATE TABLE stock ({COLUMNS.format(**TYPES[place.name])})", rows_sql(place.name, rows))
    run.command("guard", url, "stock", *GUARDS.get(guard, ["--history"]), "--yes")
    if guard == "none":
        client.run(BULK)
        if client.value(f"SELECT count(*) FROM {client.ledger}change") != rows:
            raise run.Failed("not every row was recorded")
        client.run(f"CREATE TABLE ready AS SELECT * FROM {client.ledger}change")
        run.command("guard", url, "stock", "--off", "--yes")
    client.settle()
    return client


def measure(run, book):
    for place in run.places:
        engine, goals = place.name, GOALS[place.name]
        rows, calls = (500, 50) if run.smoke else (100_000, 2000)
        bulk = {g: Figure("G", engine, f"{rows:,} rows at once, {g}", goal[0], "s",
                          theirs="UPDATE" if g == "version" else "UPDATE + INSERT of the history")
                for g, goal in goals.items()}
        single = {g: Figure("G", engine, f"single rows, {g}", goal[1], "1/s", most=False, theirs="UPDATE")
                  for g, goal in goals.items()}
        book.heading(f"G: guarded tables, {engine} {place.version}")
        copy = ("INSERT INTO {0}change (revision, tbl, pk, was, op, fields) "
                "SELECT revision, tbl, pk, was, op, fields FROM ready ORDER BY id")
        try:
            plain = prepare(run, place, "none", rows)
            guarded = {g: prepare(run, place, g, rows) for g in goals}
            for _ in range(run.pairs):
                for g, client in guarded.items():
                    extra = [] if g == "version" else [copy.format(plain.ledger)]
                    theirs = plain.run(BULK, *extra)
                    bulk[g].add(client.run(BULK), theirs)
                    plain.settle()
                    client.settle()
                    theirs = plain.singles(calls, rows)
                    single[g].add(calls / client.singles(calls, rows), calls / theirs)
                    plain.settle()
                    client.settle()
        except run.Failed as failure:
            for figure in (*bulk.values(), *single.values()):
                figure.problem = str(failure)
        for figure in (*bulk.values(), *single.values()):
            book.figure(figure)

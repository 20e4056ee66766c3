"""A database of its own for each history or fault, on each engine, and another client than amend that looks at it.

Leaves starting servers to tools/servers. `open_engine(name, folder)` gives one that has

    url          what amend opens
    ledger       what stands before the names of the ledger's tables
    ask(sql)     rows of texts, None for NULL; several statements are parted by semicolons, and the last one's rows count
    fresh()      an empty database, whatever was in the one before
    settle()     returns when no other connection works there any more
    relay()      (url, listening address, server's address) for a proxy between amend and its server; None: there is no server
    end()
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time

SERVERS = {"postgresql": "AMEND_TEST_POSTGRES", "mariadb": "AMEND_TEST_MARIADB"}


def skip_without_server(name):
    """Says so and ends where the engine has no server; a failure in continuous integration."""
    variable = SERVERS.get(name)
    if not variable or os.environ.get(variable):
        return
    if os.environ.get("CI") == "true":
        raise SystemExit(f"{variable} is not set (hint: tools/servers run --mariadb -- ...)")
    print(f"1..0 # SKIP {variable} is not set")
    sys.exit(0)


def open_engine(name, folder):
    return {"sqlite": Sqlite, "postgresql": Postgres, "mariadb": Mariadb}[name](folder)


class Engine:
    ledger = "amend_"
    client = None  # one for all that is asked

    def await_quiet(self, busy):
        until = time.monotonic() + 60
        while self.ask(busy) != [("0",)]:
            if time.monotonic() > until:
                raise SystemExit(f"the server still works for a client that is gone: {busy}")
            time.sleep(0.005)

    def start_client(self, words):
        self.client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop_client(self):
        if self.client:
            self.client.stdin.close()
            self.client.wait()
            self.client.stdout.close()
        self.client = None

    def say(self, sql, end):
        """What the client prints of it; `end` makes it print END."""
        self.client.stdin.write(sql + "\n;\n" + end + "\n")
        self.client.stdin.flush()
        lines = []
        while (line := self.client.stdout.readline()) != "END\n":
            if not line:
                raise SystemExit(f"the client ended: {sql}")
            lines.append(line.rstrip("\n"))
        return lines


class Sqlite(Engine):
    name = "sqlite"

    def __init__(self, folder):
        self.folder, self.number = folder, 0
        self.fresh()

    def fresh(self):
        self.end()
        self.number += 1
        self.url = os.path.join(self.folder, f"{self.number}.db")

    def ask(self, sql):
        connection = sqlite3.connect(self.url, timeout=30, isolation_level=None)
        try:
            for statement in filter(str.strip, sql.split(";")):
                rows = connection.execute(statement).fetchall()
            return [tuple(None if value is None else str(value) for value in row) for row in rows]
        finally:
            connection.close()

    def settle(self):
        if self.ask("PRAGMA integrity_check") != [("ok",)]:
            raise SystemExit(f"{self.url} is damaged: {self.ask('PRAGMA integrity_check')}")

    def relay(self):
        return None

    def end(self):
        for end in ("", "-wal", "-shm", "-journal"):
            if self.number and os.path.exists(self.url + end):
                os.unlink(self.url + end)


class Postgres(Engine):
    name = "postgresql"
    ledger = "amend."

    def __init__(self, folder):
        self.folder, self.database = folder, f"amend_rig_{os.getpid()}"
        self.server = os.environ["AMEND_TEST_POSTGRES"]
        self.url = self.url_with(self.server)
        self.fresh()

    def url_with(self, server, host=None):
        """The test's database, by way of another folder of sockets where one is given."""
        start, query = re.fullmatch(r"(\w+://[^/?]*)(?:/[^?]*)?(?:\?(.*))?", server).groups()
        if host:
            query = re.sub(r"host=[^&]*", f"host={host}", query)
        return f"{start}/{self.database}?{query or ''}".rstrip("?")

    def psql(self, url, sql):
        """In one client for all; `url` is where."""
        if not self.client or self.at != url:
            self.stop_client()
            self.start_client(["psql", "-X", "-Atq", "-w", "-v", "ON_ERROR_STOP=1", url])
            self.say("SET client_min_messages = warning", "\\echo END")
            self.at = url
        return self.say(sql, "\\echo END")

    def ask(self, sql):
        *before, last = [statement for statement in sql.split(";") if statement.strip()]
        if re.match(r"\s*SELECT\b", last):
            last = f"SELECT row_to_json(_r) FROM ({last}) _r"
        lines = self.psql(self.url, ";".join([*before, last]))
        return [tuple(None if value is None else str(value) for value in json.loads(line).values()) for line in lines]

    def fresh(self):
        self.psql(self.server, f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        self.psql(self.server, f"CREATE DATABASE {self.database}")
        # Units that lock each other out are many here.
        self.psql(self.server, f"ALTER DATABASE {self.database} SET deadlock_timeout = '20ms'")

    def settle(self):
        self.await_quiet("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")

    def relay(self):
        host = re.search(r"[?&]host=([^&]*)", self.server).group(1)
        return self.url_with(self.server, self.folder), os.path.join(self.folder, ".s.PGSQL.5432"), os.path.join(host, ".s.PGSQL.5432")

    def end(self):
        self.psql(self.server, f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        self.stop_client()


class Mariadb(Engine):
    name = "mariadb"

    def __init__(self, folder):
        self.folder, self.database = folder, f"amend_rig_{os.getpid()}"
        server = os.environ["AMEND_TEST_MARIADB"]
        self.user, self.socket = re.fullmatch(r"mariadb://([^@]*)@[^?]*\?socket=(.*)", server).groups()
        self.url = re.sub(r"/[^/?]*\?", f"/{self.database}?", server)
        self.fresh()

    def mariadb(self, sql):
        if not self.client:
            options = ["-n", "-N", "-B", "-u", self.user, "-S", self.socket, "--default-character-set=utf8mb4"]
            self.start_client(["mariadb", "--no-defaults", *options])
            self.say("SET sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'", "SELECT 'END';")
        return self.say(sql, "SELECT 'END';")

    def ask(self, sql):
        escapes = {"\\n": "\n", "\\t": "\t", "\\0": "\0", "\\\\": "\\"}

        def value(text):
            return None if text == "NULL" else re.sub(r"\\.", lambda found: escapes[found.group()], text)

        return [tuple(value(text) for text in line.split("\t")) for line in self.mariadb(f"USE {self.database}; {sql}")]

    def fresh(self):
        self.mariadb(f"DROP DATABASE IF EXISTS {self.database}; CREATE DATABASE {self.database}")

    def settle(self):
        self.await_quiet("SELECT count(*) FROM information_schema.processlist WHERE db = database() AND id <> connection_id()")

    def relay(self):
        listening = os.path.join(self.folder, "proxy.sock")
        return self.url.replace(self.socket, listening), listening, self.socket

    def end(self):
        self.mariadb(f"DROP DATABASE IF EXISTS {self.database}")
        self.stop_client()

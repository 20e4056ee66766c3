#!/usr/bin/env python3
"""kill -9 of a sync at any moment, then a rerun: equal to a run that was never killed. Speaks TAP.

    kill_sync.py AMEND SYNCER ENGINE

Each time the database is made anew from a prepared one, the sync is killed (by the
clock at a random moment of what a run takes, and by SYNCER in front of a chosen
statement), and what is left is looked at before and after a second run:

- before: each record is wholly as it was or wholly as it is to be, with its
  base, its open conflict and its history, each change once
- after: everything is as after a run that was never killed; a third run writes nothing

AMEND_TEST_KILLS says how often (default 20, on MariaDB 8; half as many statements, and at least those around COMMIT);
AMEND_TEST_SEED repeats the moments of another time, as far as a clock can.
"""

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../rig"))
import engines  # noqa: E402

SCHEMA = (
    "CREATE TABLE page (id {serial}, remote {text} UNIQUE, slug {text} UNIQUE, title {text}, note {text}, "
    "parent {text} REFERENCES page (slug))"
)
COLUMNS = ["id", "remote", "slug", "title", "note", "parent"]
MATCH = ["--match", "remote", "--match", "slug", "--adopt", "incoming", "--quiet"]

EXISTING = 900  # records of the first feed
LOCAL = 60  # rows that only the database has, until the second feed teaches them their remote key
NEW = 500


def first_feed():
    return [[f"r{i}", f"s{i}", f"title {i}", f"note {i}", ""] for i in range(EXISTING)]


def second_feed():
    """What a source does between two syncs: all of it in one feed, in an order of its own."""
    feed = []
    for remote, slug, title, note, parent in first_feed():
        number = int(remote[1:])
        if number % 3 == 0:
            title += " new"  # updated; a local edit of the note makes it merged, one of the title a conflict
        if number % 50 == 10:
            slug = f"s{number + 1}"  # two change names
        if number % 50 == 11:
            slug = f"s{number - 1}"
        if number % 90 in (20, 21, 22):
            slug = f"s{number + 1 if number % 90 < 22 else number - 2}"  # and three, in a circle
        if number % 7 == 0:
            parent = f"n{number % NEW}"  # which is created in this run
        feed.append([remote, slug, title, note, parent])
    for i in range(LOCAL):
        feed.append([f"l{i}", f"local{i}", f"local title {i}", "learned", ""])
    for i in range(NEW):
        # A parent comes later in the file than its child.
        feed.append([f"c{i}", f"n{i}", f"created {i}", "", f"n{i + 1}" if i % 5 < 4 else ""])
    feed.append(["r3", "s3", "twice", "different", ""])  # both are rejected
    feed.append(["", "", "no key", "", ""])
    feed.append(["x1", "s5", "", "", ""])  # another record has that name: a conflict of identity
    random.Random(1).shuffle(feed)
    return feed


LOCAL_EDITS = [
    "UPDATE page SET note = 'by hand ' || id WHERE id % 4 = 0",
    "UPDATE page SET title = 'by hand ' || id WHERE id % 31 = 0",
    "DELETE FROM page WHERE id % 97 = 0",
]


def write_feed(path, feed):
    with open(path, "w", encoding="utf-8") as file:
        file.write("remote,slug,title,note,parent\n")
        file.writelines(",".join(fields) + "\n" for fields in feed)


class Sqlite:
    """Each copy of the prepared file keeps its journal in another way."""

    kills = 20
    text = "text"
    serial = "integer PRIMARY KEY"
    ledger = "amend_"
    hex = "hex(digest)"

    def __init__(self, folder):
        self.folder, self.number, self.connection = folder, 0, None
        self.url = os.path.join(folder, "prepared.db")

    def prepared(self, statements):
        connection = sqlite3.connect(self.url)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def fresh(self):
        for end in ("", "-wal", "-shm", "-journal"):
            path = os.path.join(self.folder, "copy.db" + end)
            if os.path.exists(path):
                os.unlink(path)
        self.url = os.path.join(self.folder, "copy.db")
        shutil.copy(os.path.join(self.folder, "prepared.db"), self.url)
        self.number += 1
        if self.number % 2:
            connection = sqlite3.connect(self.url)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.close()

    def settle(self):
        connection = sqlite3.connect(self.url)
        found = connection.execute("PRAGMA integrity_check").fetchall()
        connection.close()
        if found != [("ok",)]:
            raise SystemExit(f"integrity_check: {found}")

    def rows(self, columns, table):
        connection = sqlite3.connect(self.url)
        try:
            return connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        finally:
            connection.close()

    def end(self):
        pass


class Postgres:
    """One psql for all: what is asked goes to the copy's database."""

    kills = 20
    text = "text"
    serial = "integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY"
    ledger = "amend."
    hex = "encode(digest, 'hex')"

    def __init__(self, _folder):
        self.server = os.environ["AMEND_TEST_POSTGRES"]
        self.name = f"amend_kill_{os.getpid()}"
        self.psql = subprocess.Popen(
            ["psql", "-X", "-Atq", "-w", "-v", "ON_ERROR_STOP=1", self.server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.home = self.ask("SELECT current_database()")[0]
        self.ask("SET client_min_messages = warning")
        self.ask(f"CREATE DATABASE {self.name}")
        self.url = self.url_of(self.name)

    def url_of(self, name):
        server, query = re.fullmatch(r"(\w+://[^/?]*)(?:/[^?]*)?(?:\?(.*))?", self.server).groups()
        return f"{server}/{name}?{query or ''}".rstrip("?")

    def ask(self, sql):
        self.psql.stdin.write(sql + "\n;\n\\echo END\n")
        self.psql.stdin.flush()
        lines = []
        while True:
            line = self.psql.stdout.readline()
            if not line:
                raise SystemExit(f"psql ended: {sql}")
            if line == "END\n":
                return lines
            lines.append(line.rstrip("\n"))

    def connect(self, name):
        self.ask(f"\\c {name}")
        self.ask("SET client_min_messages = warning")

    def prepared(self, statements):
        self.connect(self.name)
        for statement in statements:
            self.ask(statement)
        self.connect(self.home)

    def fresh(self):
        self.connect(self.home)
        self.ask(f"DROP DATABASE IF EXISTS {self.name}_copy WITH (FORCE)")
        self.ask(f"CREATE DATABASE {self.name}_copy TEMPLATE {self.name}")
        self.url = self.url_of(self.name + "_copy")
        self.connect(self.name + "_copy")

    def settle(self):
        """The server finds out by itself that its client is gone."""
        busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        until = time.monotonic() + 30
        while self.ask(busy) != ["0"]:
            if time.monotonic() > until:
                raise SystemExit("the server still works for a client that was killed")
            time.sleep(0.002)

    def rows(self, columns, table):
        return [
            tuple(json.loads(line))
            for line in self.ask(f"SELECT json_build_array({', '.join(columns)}) FROM {table}")
        ]

    def end(self):
        self.connect(self.home)
        self.ask(f"DROP DATABASE IF EXISTS {self.name}_copy WITH (FORCE)")
        self.ask(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        self.psql.stdin.close()
        self.psql.wait()


class Mariadb(engines.Mariadb):
    """A copy is made table by table."""

    kills = 8  # each is three syncs, and they take longer
    text = "varchar(60)"
    serial = "integer PRIMARY KEY AUTO_INCREMENT"
    hex = "lower(hex(digest))"
    numbers = ("id", "c.id", "r.id", "count(*)")
    home, copying = None, ()

    def point(self, database):
        self.url = self.url.replace(f"/{self.database}?", f"/{database}?")
        self.database = database

    def prepared(self, statements):
        self.home = self.home or self.database
        self.point(self.home)
        self.mariadb("SET sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,PIPES_AS_CONCAT'")
        for statement in statements:
            self.ask(statement)
        self.copying = ()

    def copied(self):
        """The statements that make a copy in the database that they run in."""
        yield "SET foreign_key_checks = 0"
        for (table,) in self.ask("SELECT table_name FROM information_schema.tables WHERE table_schema = database()"):
            stored = "table_schema = database() AND coalesce(generation_expression, '') = ''"
            columns = self.ask(f"SELECT column_name FROM information_schema.columns WHERE {stored} AND table_name = '{table}'")
            names = ", ".join(f'"{column}"' for (column,) in columns)
            yield self.ask(f"SHOW CREATE TABLE {table}")[0][1]
            yield f"INSERT INTO {table} ({names}) SELECT {names} FROM {self.home}.{table}"
        yield "SET foreign_key_checks = 1"

    def fresh(self):
        if self.home:
            self.point(self.home)
            self.copying = self.copying or list(self.copied())
            self.point(self.home + "_copy")
        super().fresh()
        for statement in self.copying:
            self.ask(statement)

    def rows(self, columns, table):
        found = self.ask(f"SELECT {', '.join(columns)} FROM {table}")
        return [tuple(int(value) if column in self.numbers else value for column, value in zip(columns, row)) for row in found]

    def end(self):
        if self.home and self.home != self.database:
            self.mariadb(f"DROP DATABASE {self.database}")
            self.point(self.home)
        super().end()


ENGINES = {"sqlite": Sqlite, "postgresql": Postgres, "mariadb": Mariadb}


def state(engine):
    """Everything that stands, by record: {name: (row, base, open conflicts, changes)}.

    A record that was there is named by its number; one that was created since by its
    slug, for its number depends on what was tried before.
    """
    first_new = EXISTING + LOCAL + 1
    name_of, found = {}, {}

    def entry(name):
        return found.setdefault(name, {"row": None, "base": [], "conflicts": [], "changes": []})

    for row in engine.rows(COLUMNS, "page"):
        name = row[0] if row[0] < first_new else row[2]
        name_of[f'{{"id":{row[0]}}}'] = name
        entry(name)["row"] = row[1:]
    ledger = engine.ledger
    for pk, first_key, digest in engine.rows(["pk", "first_key", engine.hex], ledger + "base"):
        entry(name_of.get(pk, pk))["base"].append((first_key, digest))
    for pk, first_key, kind, fields, note in engine.rows(
        ["pk", "first_key", "kind", "fields", "note"], f"{ledger}conflict WHERE state = 'open' ORDER BY first_key, kind"
    ):
        entry(name_of.get(pk, pk) or first_key)["conflicts"].append((first_key, kind, json.loads(fields), note))
    for pk, op, fields in engine.rows(["pk", "op", "fields"], ledger + "change ORDER BY id"):
        fields = json.loads(fields)
        if name_of.get(pk) and op == "create":
            fields.pop("id", None)
        entry(name_of.get(pk, pk))["changes"].append((op, fields))
    return found


def orphans(engine):
    """Revisions and runs that changes speak of, and that are not there."""
    ledger = engine.ledger
    return engine.rows(
        ["c.id"], f"{ledger}change c LEFT JOIN {ledger}revision r ON r.id = c.revision WHERE r.id IS NULL"
    ) + engine.rows(
        ["r.id"], f"{ledger}revision r LEFT JOIN {ledger}run u ON u.id = r.run WHERE r.run IS NOT NULL AND u.id IS NULL"
    )


def differences(found, *allowed):
    """Records that are as none of the allowed states has them."""
    faults = []
    for name in sorted(set(found).union(*allowed), key=str):
        empty = {"row": None, "base": [], "conflicts": [], "changes": []}
        mine = found.get(name, empty)
        if all(mine != one.get(name, empty) for one in allowed):
            faults.append(f"record {name}: {mine}, expected {[one.get(name, empty) for one in allowed]}")
    return faults


class Runs:
    def __init__(self, amend, syncer, engine, folder):
        self.amend, self.syncer, self.engine = amend, syncer, engine
        self.feed = os.path.join(folder, "second.csv")
        self.number = self.failed = self.cut = self.killed = 0

    def run(self):
        done = subprocess.run(
            [self.amend, "sync", self.feed, self.engine.url, "page", *MATCH], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    def prepare(self, folder):
        first = os.path.join(folder, "first.csv")
        write_feed(first, first_feed())
        write_feed(self.feed, second_feed())
        self.engine.prepared([SCHEMA.format(serial=self.engine.serial, text=self.engine.text)])
        subprocess.run([self.amend, "sync", first, self.engine.url, "page", *MATCH], check=True)
        local = [f"INSERT INTO page (slug, title) VALUES ('local{i}', 'mine {i}')" for i in range(LOCAL)]
        self.engine.prepared(LOCAL_EDITS + local)

    def reference(self):
        """The states before and after, what a run takes, and its statements."""
        self.engine.fresh()
        self.before = state(self.engine)
        took = []
        for _ in range(3):
            self.engine.fresh()
            begun = time.monotonic()
            code, text = self.run()
            took.append(time.monotonic() - begun)
            if code != 3:
                raise SystemExit(f"a run that is not killed: exit {code}, {text}")
        self.after = state(self.engine)
        self.engine.fresh()
        done = subprocess.run([self.syncer, self.engine.url, self.feed, "page", "0"], capture_output=True, text=True, check=True)
        if differences(state(self.engine), self.after):
            raise SystemExit("the syncer does something else than the command")
        self.commits = [int(number) for number in re.findall(r"commit (\d+)", done.stdout)]
        self.statements = int(re.search(r"statements (\d+)", done.stdout)[1])
        return sorted(took)[1]

    def look(self, what):
        self.engine.settle()
        found = state(self.engine)
        faults = differences(found, self.before, self.after)
        faults += [f"history without its revision or run: {row}" for row in orphans(self.engine)]
        done = sum(one == self.after.get(name) != self.before.get(name) for name, one in found.items())
        self.cut += 0 < done and found != self.after
        code, text = self.run()
        if code not in (0, 3, 6):
            faults.append(f"the second run: exit {code}, {text}")
        faults += ["after the second run: " + fault for fault in differences(state(self.engine), self.after)]
        revisions = self.engine.rows(["count(*)"], self.engine.ledger + "revision")
        code, text = self.run()
        if code not in (0, 6) or self.engine.rows(["count(*)"], self.engine.ledger + "revision") != revisions:
            faults.append(f"the third run wrote something: exit {code}, {text}")
        self.say(f"{what}: {done} records were in", faults)

    def say(self, what, faults):
        self.number += 1
        self.failed += bool(faults)
        print("not ok" if faults else "ok", self.number, "-", what, flush=True)
        for fault in faults[:5]:
            print("#", fault)
        if len(faults) > 5:
            print(f"# and {len(faults) - 5} more")

    def kill_after(self, seconds):
        self.engine.fresh()
        process = subprocess.Popen(
            [self.amend, "sync", self.feed, self.engine.url, "page", *MATCH],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.look(f"killed after {seconds * 1000:.1f} ms")

    def kill_before(self, number):
        self.engine.fresh()
        done = subprocess.run(
            [self.syncer, self.engine.url, self.feed, "page", str(number)], stdout=subprocess.DEVNULL, check=False
        )
        # Chunks end by time as well: another run has a few statements more or less.
        if done.returncode not in (0, -signal.SIGKILL):
            raise SystemExit(f"killed before statement {number}: exit {done.returncode}")
        self.killed += done.returncode != 0
        self.look(f"killed before statement {number}" if done.returncode else f"not killed, {number} was not reached")


def main():
    amend, syncer, name = sys.argv[1:4]
    engines.skip_without_server(name)
    kills = int(os.environ.get("AMEND_TEST_KILLS") or ENGINES[name].kills)
    seed = int(os.environ.get("AMEND_TEST_SEED") or time.time_ns() % 1000000)
    os.environ["AMEND_AS"] = "tester"
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        engine = ENGINES[name](folder)
        try:
            runs = Runs(os.path.abspath(amend), os.path.abspath(syncer), engine, folder)
            runs.prepare(folder)
            took = runs.reference()
            print(
                f"# {name}: seed {seed}, a run takes {took * 1000:.0f} ms, "
                f"{runs.statements} statements, {len(runs.commits)} commits",
                flush=True,
            )
            for i in range(kills):
                # One moment in each part of the run's time, so that none is left out.
                runs.kill_after(took * (i + chance.random()) / kills)
            at_commits = [number + after for number in runs.commits for after in (0, 1) if number < runs.statements]
            others = chance.sample(range(1, runs.statements + 1), min(runs.statements, kills))
            for number in sorted({*at_commits, *others[: max(0, kills // 2 - len(at_commits))]}):
                runs.kill_before(number)
            runs.say("some were killed between two chunks", [] if runs.cut else ["none was"])
            runs.say("some were killed in front of a statement", [] if runs.killed > 1 else [f"{runs.killed}"])
        finally:
            engine.end()
    print(f"1..{runs.number}")
    return runs.failed > 0


if __name__ == "__main__":
    sys.exit(main())

"""Commands that change something, one after the other on one database, to be run under faults. Used by kill_at.py, fail_at.py, cut_at.py,
denied_at.py and server_at.py.

Each of CHANGES is made ready with a number of its own, so that every run has something to do, and says what is there
once it is done. Leaves what goes wrong, and judging, to those.
"""

import json
import os
import subprocess
import tempfile

SCHEMA = "CREATE TABLE page (id {serial} PRIMARY KEY, code varchar(20) UNIQUE, title varchar(60), n integer NOT NULL)"
ROWS = 12
LEDGER = "revision change run feed base conflict operation seen"
ENVIRONMENT = {"AMEND_AS": "tester", "AMEND_BECAUSE": "", "MALLOC_ARENA_MAX": "1"}


class Stage:
    """A table with rows, and what amend has to say about it."""

    def __init__(self, amend, engine):
        self.amend, self.engine, self.prefix = amend, engine, []
        self.environment = {**os.environ, **ENVIRONMENT}
        engine.fresh()
        rows = ", ".join(f"('c{i}', 'title {i}', 0)" for i in range(1, ROWS + 1))
        engine.ask(f"{SCHEMA.format(serial=engine.serial)}; INSERT INTO page (code, title, n) VALUES {rows}")
        self.must("init")
        self.folder = tempfile.mkdtemp(dir=engine.folder)
        self.syncs = self.run("sync", self.feed("c1,title 1,0\n"), "page", "--match", "code")[0] == 0
        engine.settle()

    def feed(self, lines):
        """What a source says: of the database's records, or of new ones."""
        path = os.path.join(self.folder, "feed.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("code,title,n\n" + lines)
        return path

    def words(self, command, *rest):
        """`sync` has the source in front of the database."""
        if command == "sync":
            return [self.amend, command, rest[0], self.engine.url, *rest[1:]]
        return [self.amend, command, self.engine.url, *rest]

    def run(self, *words, **more):
        done = subprocess.run(
            self.prefix + self.words(*words), capture_output=True, text=True, errors="replace", check=False, timeout=40,
            env={**self.environment, **more}, stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout, done.stderr

    def must(self, *words, codes=(0,)):
        code, out, said = self.run(*words)
        if code not in codes:
            raise SystemExit(f"{words}: exit {code}, {said}")
        return out

    def state(self):
        """All that there is, to be compared with itself."""
        columns = "id, code, title, n"
        found = {"page": self.engine.ask(f"SELECT {columns} FROM page ORDER BY id")}
        for table in LEDGER.split():
            found[table] = sorted(map(repr, self.engine.ask(f"SELECT * FROM {self.engine.ledger}{table}")))
        return found


def differs(one, other):
    """The tables in which two states differ."""
    return [name for name in one if one[name] != other[name]]


# --- what is changed: (name, make ready, the words, what is then there) ---


class Set:
    name = "set"
    exit = 0

    def ready(self, stage, number):
        self.number = number
        return ["set", "page", "id=1", f"title=set {number}", "n+=1", "--once", f"set {number}"]

    def done(self, before, after):
        row, old = after["page"][0], before["page"][0]
        return row[2] == f"set {self.number}" and int(row[3]) == int(old[3]) + 1 and len(after["change"]) == len(before["change"]) + 1


class Sync:
    """Three records are updated, one is merged, one conflicts, two are created."""

    name = "sync"
    exit = 3  # there is a new conflict

    def ready(self, stage, number):
        self.number = number
        first = "".join(f"c{i},first {number},0\n" for i in range(2, 7))
        options = ["page", "--match", "code", "--source", f"source {number}"]
        stage.must("sync", stage.feed(first), *options, "--adopt", "incoming")
        stage.must("set", "page", "id=5", f"n={number + 1}")
        stage.must("set", "page", "id=6", f"title=by hand {number}")
        second = "".join(f"c{i},second {number},0\n" for i in range(2, 7)) + "".join(f"new{number}-{i},,{i}\n" for i in range(2))
        created = len(stage.engine.ask("SELECT id FROM page"))
        return ["sync", stage.feed(second.replace("new", f"{created}n")), *options]

    def done(self, before, after):
        titles = [row[2] for row in after["page"]]
        wanted = [f"second {self.number}"] * 4 + [f"by hand {self.number}"]
        new = len(after["page"]) - len(before["page"])
        return titles[1:6] == wanted and new == 2 and len(after["change"]) == len(before["change"]) + 6 and after["conflict"] != before["conflict"]


class Revert:
    name = "revert"
    exit = 0

    def ready(self, stage, number):
        self.number = number
        stage.must("set", "page", "id=7", f"title=kept {number}")
        out = json.loads(stage.must("set", "page", "id=7", f"title=wrong {number}", f"n={number + 1}", "--json"))
        return ["revert", str(out["revision"]), "--yes"]

    def done(self, before, after):
        return after["page"][6][2] == f"kept {self.number}" and len(after["revision"]) == len(before["revision"]) + 1


class Resolve:
    name = "resolve"
    exit = 0

    def ready(self, stage, number):
        self.number = number
        stage.must("set", "page", "id=8", f"title=seen {number}")
        stage.must("set", "page", "id=8", f"title=other {number}")
        out = json.loads(stage.must("set", "page", "id=8", f"title=mine {number}", "--was", f"title=seen {number}", "--merge", "--json", codes=(3,)))
        self.conflict = str(out["conflict"]["id"] if isinstance(out["conflict"], dict) else out["conflict"])
        return ["resolve", self.conflict, "--take", "incoming"]

    def done(self, before, after):
        return after["page"][7][2] == f"mine {self.number}" and after["conflict"] != before["conflict"]


CHANGES = [Set, Sync, Revert, Resolve]

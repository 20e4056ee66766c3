#!/usr/bin/env python3
"""`amend sync` from a server that answers well, badly, late or never. Speaks TAP.

    run.py AMEND [NAME]     NAME: only the cases whose name contains it

Each case has a database whose table was filled from the same list before, so
that what a bad answer would delete or change can be seen.
"""

import email.utils
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import server as lists

OLD = [("A", "bolt", 1), ("B", "nut", 2), ("C", "screw", 3)]
NEW = [("A", "BOLT", 1), ("B", "NUT", 2), ("C", "SCREW", 3), ("D", "new", 4)]
SECRETS = ("s3cret", "hush")


class Failure(Exception):
    pass


class Case:
    def __init__(self, amend, server, folder, missing):
        self.amend, self.server, self.folder = amend, server, folder
        self.missing = missing
        self.db = os.path.join(folder, "app.db")
        self.base = f"http://127.0.0.1:{server.server_port}"
        with sqlite3.connect(self.db) as db:
            db.execute("CREATE TABLE part (id integer PRIMARY KEY, code text UNIQUE, name text, qty integer)")
        first = os.path.join(folder, "first.csv")
        with open(first, "wb") as file:
            file.write(lists.CSV)
        self.run(first)

    def environment(self):
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return {**environment, "HOME": self.folder, "TMPDIR": self.folder}

    def run(self, url, *options):
        # A record that is not in an answer is to be deleted: so a cut one would show. Where it stays there is no limit to it.
        missing = [] if "keep" in options else self.missing
        done = subprocess.run([self.amend, "sync", url, self.db, "part", "--match", "code", *missing, *options],
                              capture_output=True, text=True, timeout=100, env=self.environment(), cwd=self.folder)
        for secret in SECRETS:
            if secret in done.stdout + done.stderr:
                raise Failure(f"a secret is shown: {done.stdout}{done.stderr}")
        return done

    def rows(self):
        with sqlite3.connect(self.db) as db:
            return db.execute("SELECT code, name, qty FROM part ORDER BY code").fetchall()

    def expect(self, path, code, rows, said="", *options):
        done = self.run(self.base + path if path.startswith("/") else path, *options)
        if done.returncode != code or said not in done.stderr:
            raise Failure(f"{path}: expected exit {code} and {said!r}, found {done.returncode} and {done.stderr!r}")
        if self.rows() != rows:
            raise Failure(f"{path}: expected {rows}, found {self.rows()}: {done.stdout} {done.stderr}")
        return done

    def good(self, path, *options):
        return self.expect(path, 0, NEW, "", *options)

    def bad(self, path, said, *options, code=1):
        return self.expect(path, code, OLD, said, *options)


CASES = []


def case(name):
    return lambda function: CASES.append((name, function))


def well(path, *options):
    case(f"{path} is read")(lambda c: c.good(path, *options))


def badly(path, said, *options, code=1):
    case(f"{path}: {said}")(lambda c: c.bad(path, said, *options, code=code))


for each in ("/csv", "/tsv", "/json", "/lines", "/list.csv", "/list.csv.gz", "/coded", "/chunked", "/moved",
             "/pages/csv", "/pages/json", "/pages/lines", "/endless/json", "/endless/packed", "/csv?x=y.json"):
    well(each)
well("/problem", "--path", "data")
well("/list.csv", "--format", "csv")

CUT = "the answer ends too early: it is cut off, and nothing of it is used"
badly("/cut", CUT)
badly("/cut/line", CUT)
badly("/cut/reset", CUT)
badly("/cut/chunked", CUT)
badly("/cut/json", "it is cut off")
badly("/cut/lines", "the input is cut off")
badly("/short", "it is cut off")
badly("/short/csv", "the server sends more than it announced")
badly("/cut/gzip", "the gzip data ends too early")
badly("/cut/gzip.csv.gz", "the gzip data ends too early")
badly("/endless", "whether it is whole cannot be known")
badly("/html", "expected CSV, TSV, JSON or NDJSON, found text/html", code=2)
badly("/brotli", "expected content coding gzip or none, found br")
badly("/type", "expected application/json as on the first page, found text/html", code=2)
badly("/type/same", "expected an array of objects, found '<'", code=2)
badly("/header", "expected the header of the first page, found another", code=2)
badly("/loop/self", "page 2 was read before: the pages run in a circle")
badly("/loop/two", "page 3 was read before: the pages run in a circle")
badly("/repeat", "is the same as one before: the pages run in a circle")
badly("/halfway", "expected status 200, found 500")
badly("/halfway/cut", CUT)
badly("/broken", "expected status 200, found 500")
badly("/denied", "found 401 (hint: user and password in the URL, or in ~/.netrc)")
badly("/nowhere", "expected status 200, found 404")
badly("/partial", "expected status 200, found 206")
badly("/empty", "expected status 200, found 204")
badly("/unmodified", "expected status 200, found 304")
badly("/circle", "more than 10 redirects")
badly("/elsewhere", "http")
badly("/hang", "nothing came for 1 s", "--timeout", "1s")
badly("/silent", "nothing came for 1 s", "--timeout", "1s")
badly("http://127.0.0.1:1/x.csv", "http://127.0.0.1:1/x.csv: ")
badly("http://", "this is no URL", code=2)
badly("http://user:s3cret@127.0.0.1:1/x.csv?key=hush", "http://127.0.0.1:1/x.csv?...: ")


@case("what fails for a while is asked for again")
def again(c):
    c.good("/soon")
    asked = len(c.server.of("/soon"))
    if asked != 3:
        raise Failure(f"expected 3 requests, found {asked}")


@case("an answer that was cut off once is asked for again, from its beginning")
def torn(c):
    c.good("/torn/once")


@case("Retry-After is waited for, but not for an hour")
def patience(c):
    c.good("/patience")
    c.expect("/busy", 1, NEW, "expected status 200, found 429")
    asked = len(c.server.of("/busy"))
    if asked != 1:
        raise Failure(f"expected 1 request, found {asked}")


@case("what is broken for good is given up after 5 times")
def given_up(c):
    c.bad("/fails", "found 404")
    if len(c.server.of("/fails")) != 1:
        raise Failure("what is not there was asked for again")


@case("user and password are for their server alone, and nowhere to be seen")
def secrets(c):
    url = c.base.replace("//", "//me:s3%63ret@") + "/secret?token=hush"
    done = c.expect(url, 0, NEW, "", "--json", "--because", "test")
    secret, other = c.server.of("/secret"), c.server.of("/other")
    if "Authorization" not in secret[-1][2] or secret[-1][1] != "token=hush":
        raise Failure(f"not sent: {secret}")
    if "Authorization" in other[-1][2]:
        raise Failure("the password went to another server, with the next page")
    c.expect(c.base.replace("//", "//me:s3%63ret@") + "/away", 0, NEW)
    away = [request for request in c.server.of("/json") if request[3].startswith("localhost")]
    if not away or any("Authorization" in request[2] for request in away):
        raise Failure("the password went to another server, with a redirect")
    for name in os.listdir(c.folder):
        with open(os.path.join(c.folder, name), "rb") as file:
            content = file.read()
        for word in SECRETS:
            if word.encode() in content:
                raise Failure(f"a secret is in {name}: {done.stdout}")


# --- interrupted ---

# Where a run is when the signal comes, and how many requests it has made by then.
MOMENTS = {
    "/silent": ("before the answer", 1),
    "/hang": ("in a body that goes no further", 1),
    "/slow": ("in a body of which some has been read", 1),
    "/page/hang": ("before the second page", 2),
    "/broken": ("between two tries", 2),
    "/later": ("while it waits as long as the server asked for", 1),
}


def interrupted(path, when, requests, number, *options):
    @case(f"{number.name} {when} {' '.join(options)}: it ends at once, and nothing is written")
    def run(c):
        files, before = sorted(os.listdir(c.folder)), dump(c.db)
        own = os.path.basename(c.folder)  # in its address: requests are counted by it
        child = subprocess.Popen([c.amend, "sync", f"{c.base}{path}?{own}", c.db, "part", "--match", "code", *c.missing,
                                  "--rejects", "r", "--changes", "c", *options], text=True, cwd=c.folder,
                                 env=c.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + 30
        while sum(own in query for _, query, _, _ in c.server.of(path)) < requests and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.3)
        begun = time.monotonic()
        child.send_signal(number)
        out, said = child.communicate(timeout=40)
        took = time.monotonic() - begun
        same((child.returncode, said.count("\n")), (128 + number, 1))
        if "interrupted" not in said or "nothing was written" not in said:
            raise Failure(f"it does not say so: {said}")
        if took > 20:
            raise Failure(f"it took {took:.1f} s to end")
        if "--json" in options:
            same(json.loads(out)["error"]["status"], "INTERRUPTED")
        else:
            same(out, "")
        same((dump(c.db), sorted(os.listdir(c.folder))), (before, files))


for path, (when, requests) in MOMENTS.items():
    interrupted(path, when, requests, signal.SIGINT)
    interrupted(path, when, requests, signal.SIGTERM, "--json")


# --- by version ---


class Versioned:
    """A document under a URL of its own, and what was asked of it."""

    def __init__(self, c, **state):
        self.c, self.key = c, f"v{len(c.folder)}{os.path.basename(c.folder)}"
        c.server.state[self.key] = state
        self.state, self.path = state, f"/versioned?{self.key}"

    def asked(self):
        """The conditions of the requests so far."""
        return [(headers.get("If-None-Match"), headers.get("If-Modified-Since"))
                for _, query, headers, _ in self.c.server.of("/versioned") if query.partition("&")[0] == self.key]

    def sync(self, *options, code=0):
        done = self.c.run(self.c.base + self.path, "--json", *options)
        if done.returncode != code:
            raise Failure(f"expected exit {code}, found {done.returncode}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)


def same(found, expected):
    if found != expected:
        raise Failure(f"expected {expected}, found {found}")


def versioned(name):
    return lambda function: case(name)(lambda c: function(c, lambda **state: Versioned(c, **state)))


@versioned("an ETag: what has not changed is not fetched again, and says so")
def etag(c, document):
    document = document(etag='"one"')
    same(document.sync()["unmodified"], False)
    report = document.sync()
    same([report[name] for name in ("unmodified", "read", "unchanged", "run")], [True, 4, 4, None])
    same(document.asked(), [(None, None), ('"one"', None)])
    done = c.run(c.base + document.path)
    same(done.stdout.splitlines()[1:], ["the source has not changed since it was last synced"])
    document.state.update(etag='"two"', body=lists.CSV)
    report = document.sync()
    same([report[name] for name in ("unmodified", "updated", "deleted")], [False, 3, 1])
    same(document.sync()["unmodified"], True)
    same(c.rows(), OLD)


@versioned("a weak ETag; a server that ignores conditions; one that knows no versions")
def weak(c, document):
    document = document(etag='W/"one"')
    document.sync()
    same(document.sync()["unmodified"], True)
    document.state["ignores"] = True
    report = document.sync()
    same([report["unmodified"], report["unchanged"]], [False, 4])
    del document.state["etag"]
    same(document.sync()["unmodified"], False)
    same(document.asked()[1:], [('W/"one"', None)] * 3)


@versioned("Last-Modified counts when it is well past")
def modified(c, document):
    document = document(modified="Sat, 01 Jan 2022 00:00:00 GMT")
    document.sync()
    same(document.sync()["unmodified"], True)
    document.state.update(modified=email.utils.formatdate(usegmt=True), body=lists.CSV)
    document.sync()
    document.sync()
    same([since for _, since in document.asked()],
         [None, "Sat, 01 Jan 2022 00:00:00 GMT", "Sat, 01 Jan 2022 00:00:00 GMT", "Sat, 01 Jan 2022 00:00:00 GMT"])
    same(c.rows(), OLD)


@versioned("304 where nothing was asked for by version is no answer: of other options, of another type")
def lies(c, document):
    document = document(etag='"one"')
    document.sync()
    document.state["lies"] = True
    for options in (["--columns", "code,name"], ["--map", "name=code", "--map", "code=name"], ["--format", "csv"],
                    ["--source", "other"], ["--match", "name"], ["--update", "name"], ["--plan", "p", "--quiet"],
                    ["--rejects", "r"]):
        done = c.run(c.base + document.path, *options)
        same((done.returncode, "expected status 200, found 304" in done.stderr), (1, True))
    with sqlite3.connect(c.db) as db:
        db.executescript("ALTER TABLE part RENAME TO old; CREATE TABLE part (id integer PRIMARY KEY, code text UNIQUE,"
                         "name text, qty text); INSERT INTO part SELECT * FROM old;")
    done = c.run(c.base + document.path)
    same((done.returncode, "expected status 200, found 304" in done.stderr), (1, True))
    same([asked for asked in document.asked() if asked[0]], [])


# What people and programs do to a table meanwhile: a run by version does what a run of the whole does.
MEANWHILE = {
    "nothing": "SELECT 1",
    "an edit": "UPDATE part SET name = 'ours' WHERE code = 'A'",
    "a field that was emptied": "UPDATE part SET name = NULL WHERE code = 'A'",
    "a key": "UPDATE part SET code = 'X' WHERE code = 'A'",
    "a swap of keys": "UPDATE part SET code = 'T' WHERE code = 'A'; UPDATE part SET code = 'A' WHERE code = 'B';"
                      "UPDATE part SET code = 'B' WHERE code = 'T'",
    "a record deleted here": "DELETE FROM part WHERE code = 'B'",
    "all of them": "DELETE FROM part",
    "one deleted and made again": "DELETE FROM part WHERE code = 'B'; INSERT INTO part VALUES (99, 'B', 'other', 7)",
    "one made again alike": "DELETE FROM part WHERE code = 'B'; INSERT INTO part VALUES (99, 'B', 'NUT', 2)",
    "its primary key given to another": "UPDATE part SET code = 'Z', name = 'z' WHERE code = 'B'",
    "a record of ours": "INSERT INTO part VALUES (99, 'OURS', 'ours', 7)",
    "a forgotten base": "DELETE FROM amend_base WHERE first_key LIKE '%\"C\"%'",
    "all bases": "DELETE FROM amend_base",
    "another base": "UPDATE amend_base SET first_key = replace(first_key, 'C', 'Q') WHERE first_key LIKE '%\"C\"%'",
}


def dump(path):
    ledger = {"amend_base": "pk, first_key, hex(pack)", "amend_conflict": "pk, first_key, kind, fields, note, state",
              "amend_change": "tbl, pk, op, fields"}
    with sqlite3.connect(path) as db:
        return [db.execute("SELECT * FROM part ORDER BY id").fetchall()] + [
            db.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}").fetchall() for table, columns in ledger.items()]


def meanwhile(name, statements):
    for options in ((), ("--missing", "keep"), ("--adopt", "incoming"), ("--on-conflict", "incoming"), ("--create-only",),
                    ("--dry-run",), ("--atomic",), ("--missing", "name=gone", "--adopt", "current")):

        @versioned(f"304, and meanwhile: {name} {' '.join(options)}")
        def run(c, document, options=options):
            document = document(etag='"one"')
            document.sync()
            with sqlite3.connect(c.db) as db:
                db.executescript(statements)
            copy = c.db + ".copy"
            shutil.copyfile(c.db, copy)
            told = []
            if "--missing" in options:
                c.missing = ["--max-missing", "100%"]
            for ignores in (True, False):
                document.state["ignores"] = ignores
                done = c.run(c.base + document.path, "--json", *options)
                report = json.loads(done.stdout)
                for key in ("seconds", "unmodified", "error"):
                    report.pop(key, None)
                told.append((done.returncode, report, dump(c.db)))
                if ignores:
                    shutil.copyfile(copy, c.db)
            same(told[1], told[0])
            same(document.asked()[2], ('"one"', None))


for each in MEANWHILE.items():
    meanwhile(*each)


@versioned("304, but another list was here: all of it is asked for, and applied")
def another(c, document):
    document = document(etag='"one"')
    document.sync()
    same(c.run(os.path.join(c.folder, "first.csv")).returncode, 0)
    same(c.rows(), OLD)
    report = document.sync()
    same([report["unmodified"], report["updated"], report["created"]], [False, 3, 1])
    same((c.rows(), document.asked()[1:]), (NEW, [('"one"', None), (None, None)]))


@versioned("what is not in as a whole is not remembered: rejects, conflicts, skipped, a dry run, a plan, a cut answer")
def not_whole(c, document):
    document = document(etag='"one"')
    document.sync("--dry-run")
    c.run(c.base + document.path, "--plan", os.path.join(c.folder, "p"))
    document.state["length"] = 500
    document.sync(code=1)
    del document.state["length"]
    document.state["body"] = lists.CHANGED + b"E,bad\n"
    document.sync("--missing", "keep", code=6)
    document.state["body"] = lists.CSV
    document.sync("--update-only", "--missing", "keep")
    with sqlite3.connect(c.db) as db:
        db.execute("UPDATE part SET name = 'ours' WHERE code = 'A'")
    document.state["body"] = lists.CHANGED
    document.sync(code=3)
    document.state["body"] = lists.CHANGED + b"D,new,4\nE,last,5\n"
    document.sync("--on-conflict", "incoming")
    same({asked for asked in document.asked()}, {(None, None)})


@versioned("a run that was killed is not remembered; nor is one whose end another run has seen to")
def killed(c, document):
    body = b"code,name,qty\n" + b"".join(b"K%d,x,%d\n" % (n, n) for n in range(20000))
    document = document(etag='"one"', body=body)
    child = subprocess.Popen([c.amend, "sync", c.base + document.path, c.db, "part", "--match", "code", "--batch", "50"],
                             env=c.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(2000):
        with sqlite3.connect(c.db, timeout=30) as db:
            if db.execute("SELECT count(*) FROM part").fetchone()[0] > 100 or child.poll() is not None:
                break
    child.kill()
    child.wait()
    document.sync("--missing", "keep")
    same(document.asked(), [(None, None)] * 2)


@versioned("a list of pages has no version; nor has one that has become a list of pages")
def pages(c, document):
    document = document(etag='"one"', next="/versioned2")
    c.server.state["page2"] = {"etag": '"page"', "body": b"code,name,qty\nE,page,5\n"}
    document.state["next"] = "/versioned?page2"
    document.sync()
    document.sync()
    same(document.asked(), [(None, None)] * 2)
    del document.state["next"]
    document.sync("--missing", "delete", "--max-missing", "100%")
    same(document.sync()["unmodified"], True)
    document.state["next"] = "/versioned?page2"
    same(document.sync()["created"], 1)
    same(document.asked()[-2:], [('"one"', None), (None, None)])


@versioned("a version is remembered without the URL's secrets, and sent to the same URL alone")
def hidden(c, document):
    document = document(etag='"one"')
    plain = document.path
    document.path += "&token=hush"
    document.sync()
    same(document.sync()["unmodified"], True)
    with open(c.db, "rb") as file:
        same(b"hush" in file.read(), False)
    document.path = plain
    document.sync()
    same(document.asked()[-1], (None, None))


def main():
    amend = os.path.abspath(sys.argv[1])
    cases = [each for each in CASES if len(sys.argv) < 3 or sys.argv[2] in each[0]]
    results = [None] * len(cases)
    server = lists.Server()
    words = subprocess.run([amend, "sync", "--help"], capture_output=True, text=True).stdout
    missing = ["--missing", "delete", "--max-missing", "100%"] if "--missing" in words else []
    places = iter(range(len(cases)))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                at = next(places, None)
            if at is None:
                return
            folder = tempfile.mkdtemp(prefix="amend-http-", dir=os.environ.get("AMEND_TEST_TMP"))
            try:
                cases[at][1](Case(amend, server, folder, missing))
            except Exception as error:
                results[at] = str(error) or repr(error)
            shutil.rmtree(folder, ignore_errors=True)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.over.set()
    print(f"1..{len(cases)}")
    for at, (name, _) in enumerate(cases):
        print(f"{'not ok' if results[at] else 'ok'} {at + 1} - {name}")
        for line in (results[at] or "").splitlines():
            print(f"# {line}")
    return any(results)


sys.exit(main())

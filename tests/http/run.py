#!/usr/bin/env python3
"""`amend sync` from a server that answers well, badly, late or never. Speaks TAP.

    run.py AMEND [NAME]     NAME: only the cases whose name contains it

Each case has a database whose table was filled from the same list before, so
that what a bad answer would delete or change can be seen.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading

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

    def run(self, url, *options):
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment["HOME"] = self.folder
        # A record that is not in an answer is to be deleted: so a cut one would show.
        done = subprocess.run([self.amend, "sync", url, self.db, "part", "--match", "code", *self.missing, *options],
                              capture_output=True, text=True, timeout=100, env=environment, cwd=self.folder)
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

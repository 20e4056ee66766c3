#!/usr/bin/env python3
"""What asks on a terminal, on one of its own: --confirm, revert, guard. Speaks TAP.

    confirm.py AMEND [-v]     -v: show what appears on the terminal

Each case types its answers as the questions come, and looks at what stood on
the terminal, at the exit status, and at what is in the database.
"""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile

from terminal import on_terminal

AMEND = os.path.abspath(sys.argv[1])
VERBOSE = "-v" in sys.argv
COLOUR = re.compile(r"\x1b\[[0-9;]*m|\r|\x1b\[K")
PROMPT = "[y,n,a,q,?] "

FIRST = "code,name\nCZ,Czech Republic\nDE,Germany\nFR,France\n"
SECOND = "code,name\nCZ,Czechia\nDE,Deutschland\nES,Spain\nFR,Francia\n"


def run(arguments, typed, stdin=None, env=None, prompt=PROMPT):
    """What appears; `typed` one by one, each once it is asked for."""
    answers = list(typed)

    def answer(shown):
        if not answers or shown.count(prompt) <= len(typed) - len(answers):
            return None
        next_one = answers.pop(0)
        return next_one if isinstance(next_one, bytes) else (next_one + "\n").encode()

    text, status = on_terminal([AMEND, *arguments], answer, stdin=stdin, env=env)
    if VERBOSE:
        print(text.replace("\r", ""), file=sys.stderr)
    return text, status


def names(path="app.db"):
    with sqlite3.connect(path) as db:
        return dict(db.execute("SELECT code, name FROM land ORDER BY code"))


class Cases:
    def __init__(self):
        self.done = self.failed = 0

    def check(self, name, case):
        with tempfile.TemporaryDirectory(dir=os.environ.get("AMEND_TEST_TMP")) as folder:
            os.chdir(folder)
            faults = self.faults(case)
            os.chdir("/")
        self.done += 1
        self.failed += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {self.done} - {name}")
        for fault in faults:
            for line in fault.splitlines():
                print(f"#   {line}")

    def faults(self, case):
        for file, text in (("one.csv", FIRST), ("two.csv", SECOND)):
            with open(file, "w", encoding="utf-8") as out:
                out.write(text)
        subprocess.run(
            [AMEND, "sync", "one.csv", "app.db", "land", "--match", "code", "--create-table", "--quiet"], check=True
        )
        try:
            case()
        except AssertionError as fault:
            return [str(fault) or repr(fault)]
        return []


SYNC = ["sync", "two.csv", "app.db", "land", "--match", "code", "--confirm"]
OLD = {"CZ": "Czech Republic", "DE": "Germany", "FR": "France"}


def equal(found, expected):
    assert found == expected, f"expected {expected!r}\nfound    {found!r}"


def holds(text, *parts):
    plain = COLOUR.sub("", text)
    for part in parts:
        assert part in plain, f"expected {part!r}\nfound    {plain!r}"


def yes_and_no():
    text, code = run(SYNC, ["y", "n", "y", "n"])
    holds(
        text,
        "update land code=CZ\n  - name: Czech Republic\n  + name: Czechia\n1 of 4 [y,n,a,q,?] y\n",
        "create land code=ES\n  + code: ES\n  + name: Spain\n3 of 4 ",
        "land: 4 read, 1 created, 1 updated, 2 skipped",
    )
    assert "\x1b[31m  - name: Czech Republic" in text and "\x1b[32m  + name: Czechia" in text, text
    equal(code, 0)
    equal(names(), {**OLD, "CZ": "Czechia", "ES": "Spain"})
    # What was skipped is asked again: it kept its base.
    text, code = run(SYNC, ["y", "y"])
    holds(text, "update land code=DE\n", "2 of 2", "2 updated, 2 unchanged")
    equal(names(), {"CZ": "Czechia", "DE": "Deutschland", "ES": "Spain", "FR": "Francia"})


def all_that_follow():
    text, _ = run(SYNC, ["n", "a"])
    holds(text, "2 of 4 [y,n,a,q,?] a\n", "1 created, 2 updated, 1 skipped")
    equal(COLOUR.sub("", text).count(PROMPT), 2)


def quit_asking():
    text, code = run(SYNC, ["y", "q"])
    holds(text, "1 updated, 3 skipped")
    equal(code, 0)
    equal(names(), {**OLD, "CZ": "Czechia"})


def quit_at_once():
    before = names()
    text, code = run(SYNC, ["q"])
    holds(text, "4 read, 4 skipped")
    equal((code, names()), (0, before))
    text, _ = run(SYNC, [b"\x04"])
    holds(text, "4 read, 4 skipped")


def explains():
    text, _ = run(SYNC, ["?", "what", "", "q"])
    equal(COLOUR.sub("", text).count("a  do this and all that follow"), 3)
    equal(COLOUR.sub("", text).count("1 of 4 "), 4)


def interrupted():
    text, code = run(SYNC, ["y", b"\x03"])
    holds(text, "nothing was written")
    assert code in (1, 130, -signal.SIGINT), code
    equal(names(), OLD)


def standard_input_is_the_source():
    arguments = ["sync", "-", "app.db", "land", "--match", "code", "--confirm", "--format", "csv"]
    text, code = run(arguments, ["n", "y", "n", "n"], stdin="two.csv")
    holds(text, "4 read, 1 updated, 3 skipped")
    equal((code, names()), (0, {**OLD, "DE": "Deutschland"}))


def no_colour():
    text, _ = run(SYNC, ["q"], env={"NO_COLOR": "1"})
    assert "\x1b[3" not in text, text


def conflicts():
    with sqlite3.connect("app.db") as db:
        db.execute("UPDATE land SET name = 'Bohemia' WHERE code = 'CZ'")
    text, code = run(SYNC, ["n", "q"])
    holds(
        text,
        "store a conflict land code=CZ\n  base     name: Czech Republic\n  current  name: Bohemia\n"
        "  incoming name: Czechia\n1 of 4 ",
    )
    equal(code, 0)
    text, code = run(SYNC, ["y", "q"])
    holds(text, "1 conflict, 3 skipped", "1 conflict is open (1 new)")
    equal(code, 3)


def swaps_together():
    with sqlite3.connect("app.db") as db:
        db.execute("CREATE TABLE seat (id INTEGER PRIMARY KEY, who TEXT UNIQUE, place TEXT UNIQUE)")
    for file, text in (("a.csv", "who,place\nann,1\nbob,2\n"), ("b.csv", "who,place\nann,2\nbob,1\n")):
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
    subprocess.run([AMEND, "sync", "a.csv", "app.db", "seat", "--match", "who", "--quiet"], check=True)
    arguments = ["sync", "b.csv", "app.db", "seat", "--match", "who", "--confirm"]
    text, _ = run(arguments, ["n"])
    holds(text, "these go together:\nupdate seat who=", "1 of 1 ", "2 read, 2 skipped")
    text, _ = run(arguments, ["y"])
    holds(text, "2 read, 2 updated")


def waits_for_another():
    with sqlite3.connect("app.db") as db:
        db.execute("CREATE TABLE seat (id INTEGER PRIMARY KEY, who TEXT UNIQUE, place TEXT UNIQUE)")
    for file, text in (("a.csv", "who,place\nann,1\nbob,2\n"), ("b.csv", "who,place\nann,2\nbob,3\n")):
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
    subprocess.run([AMEND, "sync", "a.csv", "app.db", "seat", "--match", "who", "--quiet"], check=True)
    # bob keeps his seat: ann cannot have it, and is not asked for it.
    text, code = run(["sync", "b.csv", "app.db", "seat", "--match", "who", "--confirm"], ["n"])
    holds(text, "update seat who=bob\n", "2 read, 2 skipped")
    equal((code, COLOUR.sub("", text).count(PROMPT)), (0, 1))


def into_a_plan():
    text, code = run([*SYNC, "--plan", "p"], ["y", "n", "n", "n"])
    holds(text, "planned, nothing is written: land: 4 read, 1 updated, 3 skipped")
    equal((code, names()), (0, OLD))
    text, code = run(["apply", "p", "app.db", "--confirm"], ["y"])
    holds(text, "update land code=CZ\n", "1 of 1 ", "1 read, 1 updated")
    equal(names(), {**OLD, "CZ": "Czechia"})


def edited_while_asked():
    """What moves is decided, and asked about, again: here it is a conflict by then."""
    asked = 0

    def answer(shown):
        nonlocal asked
        if shown.count(PROMPT) == asked:
            return None
        asked += 1
        if asked == 1:
            with sqlite3.connect("app.db", timeout=5) as db:
                db.execute("UPDATE land SET name = 'Bohemia' WHERE code = 'CZ'")
        return b"n\n" if "conflict" in shown else b"y\n"

    text, code = on_terminal([AMEND, *SYNC], answer)
    holds(text, "4 of 4 ", "store a conflict land code=CZ", "5 of 5 ", "1 created, 2 updated, 1 skipped")
    equal(code, 0)
    equal(names()["CZ"], "Bohemia")


def atomically():
    """It is asked before the one transaction begins, in which nobody else could write."""
    asked = 0

    def answer(shown):
        nonlocal asked
        if shown.count(PROMPT) == asked:
            return None
        asked += 1
        if asked == 3:
            with sqlite3.connect("app.db", timeout=1) as db:
                db.execute("INSERT INTO land (code, name) VALUES ('XX', 'meanwhile')")
        return b"n\n" if asked == 2 else b"y\n"

    text, code = on_terminal([AMEND, *SYNC, "--atomic"], answer)
    holds(text, "4 of 4 ", "1 created, 2 updated, 1 skipped", "revision")
    equal(code, 0)
    equal(names(), {**OLD, "CZ": "Czechia", "ES": "Spain", "FR": "Francia", "XX": "meanwhile"})


def no_terminal():
    def plain(*more, **options):
        return subprocess.run([AMEND, *SYNC, *more], capture_output=True, text=True, check=False, **options)

    done = plain(stdin=subprocess.DEVNULL, start_new_session=True)
    equal(done.returncode, 2)
    assert "--confirm asks on a terminal, and there is none (hint: --yes" in done.stderr, done.stderr
    equal(done.stderr.count("\n"), 1)
    with open("two.csv", encoding="utf-8") as source:
        done = subprocess.run(
            [AMEND, "sync", "-", "app.db", "land", "--match", "code", "--confirm", "--format", "csv"],
            stdin=source, capture_output=True, text=True, check=False, start_new_session=True,
        )  # fmt: skip
    equal((done.returncode, names()), (2, OLD))
    done = plain("--yes", stdin=subprocess.DEVNULL, start_new_session=True)
    equal((done.returncode, done.stderr), (0, ""))
    equal(len(names()), 4)


def one_question():
    """revert and guard ask alike, and a no ends both alike: not done, exit 1, and said."""
    subprocess.run([AMEND, "set", "app.db", "land", "code=CZ", "name=Bohemia"], check=True, capture_output=True)
    for command, question, said in (
        (["revert", "app.db", "2"], "Undo this? [y,n] ", "amend: nothing was undone\n"),
        (["guard", "app.db", "land"], "Install this? [y,n] ", "amend: nothing was changed\n"),
    ):
        for typed in ("n", "No", b"\x04"):
            text, code = run(command, [typed], prompt=question)
            holds(text, question, said)
            equal(code, 1)
        text, code = run(command, ["", "what", "n"], prompt=question)
        equal(COLOUR.sub("", text).count("expected y or n: nothing is done without an answer\n"), 2)
        text, code = run(command, [b"\x03"], prompt=question)
        holds(text, "amend: interrupted: " + said.split(": ")[1])
        assert code in (130, -signal.SIGINT), code
    equal(names()["CZ"], "Bohemia")
    # prune: of one it is said so too
    with sqlite3.connect("app.db") as db:
        db.execute("UPDATE amend_revision SET at = '2001-01-01 00:00:00.000000' WHERE id = 1")
    asked = "would be removed for good. Remove them? [y,n] "
    text, code = run(["prune", "app.db", "--older-than", "1y"], ["n"], prompt=asked)
    holds(text, "3 changes " + asked, "amend: nothing was removed\n")
    equal(code, 1)
    text, code = run(["revert", "app.db", "2"], ["y"], prompt="Undo this? [y,n] ")
    equal((code, names()["CZ"]), (0, "Czech Republic"))
    text, code = run(["guard", "app.db", "land"], ["yes"], prompt="Install this? [y,n] ")
    equal(code, 0)
    text, code = run(["guard", "app.db", "land", "--off"], ["n"], prompt="Take these triggers away? [y,n] ")
    equal(code, 1)


def main():
    cases = Cases()
    for name, case in (
        ("yes and no, in colour; what was skipped keeps its base", yes_and_no),
        ("a: all that follow", all_that_follow),
        ("q: neither this nor what follows", quit_asking),
        ("q, or the terminal's end, at once: nothing is written", quit_at_once),
        ("anything else explains, and asks again", explains),
        ("interrupted: nothing is written", interrupted),
        ("standard input is the source: /dev/tty is asked", standard_input_is_the_source),
        ("no colour with NO_COLOR", no_colour),
        ("a conflict is stored when it is answered yes", conflicts),
        ("a swap is one question", swaps_together),
        ("what waits for one that is skipped is skipped", waits_for_another),
        ("a plan of what was answered yes, which can be asked about as well", into_a_plan),
        ("what moves meanwhile is asked about again", edited_while_asked),
        ("--atomic: nothing is held while it asks", atomically),
        ("without a terminal: refused, unless --yes", no_terminal),
        ("one question for all: a no, the end and an interruption of revert and guard", one_question),
    ):
        cases.check(name, case)
    print(f"1..{cases.done}")
    return cases.failed > 0


sys.exit(main())

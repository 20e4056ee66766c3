#!/usr/bin/env python3
"""`resolve --edit` and `conflicts` on a terminal of their own. Speaks TAP.

    edit.py AMEND

The editor is a script: it looks at the file, at its own standard input and output, and at what
Ctrl-C does to it, then edits.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile

from terminal import on_terminal

AMEND = os.path.abspath(sys.argv[1])
EDITOR = r"""#!/usr/bin/env python3
import os, signal, sys, time
caught = []
signal.signal(signal.SIGINT, lambda *_: caught.append(1))
assert os.isatty(0) and os.isatty(1) and os.stat(sys.argv[1]).st_mode & 0o077 == 0
print("READY", flush=True)
end = time.monotonic() + 20
while not caught and time.monotonic() < end:
    time.sleep(0.05)
text = open(sys.argv[1]).read()
head, rest = text.split("<<<<<<< current\n")
middle, tail = rest.split("=======\n")
open(sys.argv[1], "w").write(head + tail.replace(">>>>>>> incoming\n", ""))
print("EDITED" if caught else "NO SIGNAL", flush=True)
"""


def show(arguments, answers=(), env=None):
    """What appears; each of `answers` is typed when its prompt has appeared. And the exit status."""
    left = list(answers)

    def answer(shown):
        return left.pop(0)[1] if left and left[0][0] in shown else None

    shown, code = on_terminal([AMEND, *arguments], answer, env=env)
    return shown.replace("\r", ""), code


def clash():
    for name, content in (("a.csv", "CZ,Czech Republic"), ("b.csv", "CZ,Czechia")):
        with open(name, "w", encoding="utf-8") as out:
            out.write("code,name\n" + content + "\n")
    sync = [AMEND, "sync", "a.csv", "app.db", "land", "--match", "code", "--quiet"]
    subprocess.run([*sync, "--create-table"], check=True)
    subprocess.run([AMEND, "set", "app.db", "land", "code=CZ", "name=Bohemia"], check=True, stdout=subprocess.DEVNULL)
    sync[2] = "b.csv"
    if subprocess.run(sync, check=False).returncode != 3:
        raise SystemExit("Bail out! no conflict")


def name():
    with sqlite3.connect("app.db") as db:
        return db.execute("SELECT name FROM land").fetchone()[0]


def failing_editor():
    """It has an argument of its own, which it takes for the file."""
    with open("editor", "w", encoding="utf-8") as out:
        out.write(EDITOR)
    os.chmod("editor", 0o755)
    shown, code = show(
        ["resolve", "app.db", "1", "--edit"],
        [("READY", b"\x03")],
        {"VISUAL": "./editor --", "EDITOR": "false", "TMPDIR": os.getcwd()},
    )
    return shown, code


def cases():
    yield "an editor that fails settles nothing, and the file is kept", lambda: (
        failing_editor()[1] == 1 and name() == "Bohemia" and any(f.endswith(".txt") for f in os.listdir("."))
    )

    def settled():
        with open("editor", "w", encoding="utf-8") as out:
            out.write(EDITOR)
        os.chmod("editor", 0o755)
        shown, code = show(
            ["resolve", "app.db", "1", "--edit", "--because", "seen"],
            [("READY", b"\x03")],
            {"VISUAL": "./editor", "TMPDIR": os.getcwd()},
        )
        left = [f for f in os.listdir(".") if f.endswith(".txt")]
        return "EDITED" in shown and code == 0 and name() == "Czechia" and not left

    yield "the editor has the terminal, and its Ctrl-C; the file goes when it has settled", settled

    def coloured():
        shown, code = show(["conflicts", "app.db"], env={"PAGER": "sed s/^/paged:/", "NO_COLOR": ""})
        return code == 0 and "paged:\x1b[33mconflict 1\x1b[0m: land code=CZ" in shown

    yield "conflicts go through the pager, in colour", coloured

    def plain():
        shown, code = show(["conflicts", "app.db"], env={"PAGER": "cat", "NO_COLOR": "1"})
        return code == 0 and "\x1b" not in shown and shown.startswith("conflict 1: land code=CZ")

    yield "or neither", plain


def main():
    failed = 0
    everything = list(cases())
    print(f"1..{len(everything)}")
    for i, (title, case) in enumerate(everything, 1):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            clash()
            good = case()
            os.chdir("/")
        failed += not good
        print(f"{'' if good else 'not '}ok {i} - {title}")
    sys.exit(failed > 0)


main()

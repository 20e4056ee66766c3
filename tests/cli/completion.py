#!/usr/bin/env python3
"""Completion in the shells themselves, keys pressed in a pseudo-terminal. Speaks TAP.

    completion.py AMEND

Each case is what is typed before TAB, and the words that must be offered, or the
one that the line is completed to. A shell that is not installed is skipped; bash
has to be there.
"""

import os
import pty
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

# (typed, what the shell is to offer; a word with a trailing space or = is the only one)
CASES = [
    ("amend conf", "conflicts "),
    ("amend s", ["sync", "set", "show"]),
    ("amend help co", ["conflicts", "completion"]),
    ("amend completion ", ["bash", "zsh", "fish"]),
    ("amend sync feed.csv app.db country --adopt ", ["incoming", "current", "conflict"]),
    ("amend sync feed.csv app.db country --adopt c", ["current", "conflict"]),
    ("amend sync feed.csv app.db country --on-conflict=in", "--on-conflict=incoming "),
    ("amend sync feed.csv app.db country --quiet --qui", None),
    ("amend sync feed.csv app.db country --dup", "--duplicates "),
    ("amend sync fe", "feed.csv "),
    ("amend sync --changes=fe", "--changes=feed.csv "),
    ("amend get ap", "app.db "),
    ("amend get app.db st", "stock "),
    ("amend get app.db ", ["country", "stock"]),
    ("amend get app.db stock s", "sku="),
    ("amend set app.db stock sku=42 q", "qty="),
    ("amend set --because 'a b' app.db stock sku=42 q", "qty="),
    ("amend set app.db stock sku=42 --min q", "qty="),
    ("amend sync feed.csv app.db stock --match sku,n", "sku,name "),
    ("amend get postgresql://localhost:1/none st", None),
    ("amend get none.db st", None),
    ("amend frobnicate ", None),
]

PROMPT = "READY>"


class Terminal:
    """A shell in a pseudo-terminal of 24 lines."""

    def __init__(self, command, environment, folder):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)

    def read_until(self, pattern, seconds):
        text, until = "", time.monotonic() + seconds
        while not re.search(pattern, text):
            ready, _, _ = select.select([self.fd], [], [], max(0, until - time.monotonic()))
            if not ready:
                return text, False
            try:
                text += os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError:
                return text, False
        return text, True

    def send(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def plain(text):
    """Without the terminal's own control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\x00\x07\x0e\x0f]", "", text)


def lacking(words, shown):
    return [word for word in words if not re.search(rf"(?:^|\s){word}(?:\s|$)", shown)]


class Interactive:
    """bash and zsh. The line as it stands is told by a command in front of it."""

    def __init__(self, name, command, setup, environment, folder):
        self.name = name
        self.terminal = Terminal(command, environment, folder)
        self.terminal.send(setup + "\n")
        self.ready()

    def ready(self):
        self.terminal.send("echo MA''RK\n")
        _, found = self.terminal.read_until("MARK\r?\n", 20)
        if not found:
            raise SystemExit(f"{self.name}: no prompt")

    def offers(self, typed, tabs, words=()):
        """Everything that appears when TAB is pressed, with these words in it after a while, and then the line itself."""
        self.terminal.send(typed + "\t" * tabs)
        # A list is not shown when more keys wait.
        shown, until = "", time.monotonic() + 20
        while True:
            shown += self.terminal.read_until("\x00", 0.5 if tabs > 1 else 0.05)[0]
            if not lacking(words, plain(shown)) or time.monotonic() > until:
                break
        # A letter behind it shows whether a space was put there; ^A and ^E: the line becomes an argument.
        self.terminal.send(("x" if tabs == 1 else "") + "\x01print_line '\x05'\n")
        line, found = self.terminal.read_until(r"LINE=<[^\n]*>", 5)
        self.ready()
        match = re.search(r"LINE=<(.*)>", plain(line))
        if not found or not match:
            raise SystemExit(f"{self.name}: the line was not printed: {line!r}")
        return plain(shown), match[1]

    def check(self, typed, expected):
        typed = typed.replace("'", '"')
        words = expected if isinstance(expected, list) else ()
        shown, line = self.offers(typed, 1 if isinstance(expected, str) else 2, words)
        if expected is None:
            listed = re.search(r"\n\S", shown)
            return [] if line == typed and not listed else [f"offers {shown!r}, {line!r}"]
        if isinstance(expected, str):
            want = typed[: typed.rindex(" ") + 1] + expected + "x"
            return [] if line == want else [f'the line is "{line}", not "{want}"']
        return [f"does not offer {word}: {shown!r}" for word in lacking(words, shown)]

    def close(self):
        self.terminal.send("exit\n")
        self.terminal.close()


class Fish:
    """fish tells by itself what it would offer."""

    def __init__(self, script, environment, folder):
        self.script, self.environment, self.folder = script, environment, folder

    def check(self, typed, expected):
        done = subprocess.run(
            ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", self.script, typed],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        found = sorted(line.split("\t")[0] for line in done.stdout.splitlines())
        if expected is None:
            want = []
        elif isinstance(expected, str):
            want = [expected.strip()]
        else:
            want = sorted(expected)
        ok = set(want) <= set(found) and (len(want) != 1 or found == want) and (want or not found)
        return [] if ok else [f"offers {found}, expected {want}: {done.stderr}"]

    def close(self):
        pass


def open_shell(name, amend, environment, folder):
    script = os.path.join(environment["HOME"], "script." + name)
    with open(script, "w", encoding="utf-8") as file:
        subprocess.run([amend, "completion", name], stdout=file, check=True)
    checked = subprocess.run([name, "-n", script], capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        raise SystemExit(f"{name} -n: {checked.stderr}")
    line = "print_line() { printf 'LINE=<%s>\\n' \"$1\"; }"
    if name == "bash":
        setup = f". {script}; bind 'set bell-style none'; {line}; PS1='{PROMPT}'"
        return Interactive(name, ["bash", "--norc", "--noprofile", "-i"], setup, environment, folder)
    if name == "zsh":
        setup = f"autoload -Uz compinit; compinit -u -D; . {script}; bindkey -e; {line}; PS1='{PROMPT}'"
        return Interactive(name, ["zsh", "-f", "-i"], setup, environment, folder)
    return Fish(script, environment, folder)


def main():
    amend = os.path.abspath(sys.argv[1])
    number = failed = 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        work = os.path.join(folder, "work")
        os.mkdir(work)
        connection = sqlite3.connect(os.path.join(work, "app.db"))
        connection.executescript(
            "CREATE TABLE stock (sku integer PRIMARY KEY, name text, qty integer); CREATE TABLE country (code text);"
        )
        connection.close()
        with open(os.path.join(work, "feed.csv"), "w", encoding="utf-8") as file:
            file.write("sku\n")
        path = os.path.dirname(amend) + ":" + os.environ["PATH"]
        environment = dict(os.environ, PATH=path, TERM="xterm", HOME=folder, COLUMNS="80", LC_ALL="C.UTF-8")
        for name in ("bash", "zsh", "fish"):
            missing = not shutil.which(name) or (name != "fish" and not os.path.exists("/dev/ptmx"))
            shell = None if missing else open_shell(name, amend, environment, work)
            for typed, expected in CASES:
                number += 1
                if not shell:
                    print(f"ok {number} - {name}: {typed} # SKIP no {name} here")
                    continue
                faults = shell.check(typed, expected)
                failed += bool(faults)
                print("not ok" if faults else "ok", f"{number} - {name}: {typed}", flush=True)
                for fault in faults:
                    print("#", fault)
            if shell:
                shell.close()
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())

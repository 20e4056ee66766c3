"""What the programs of scenarios share: a line in is a step, a line out what it came to.

The runner (tests/scenario/client.c) starts a program, which says "ready", or "lacks PACKAGE". Then
each line is a step: "open URL NAME" (answered with the server's process), "close", or what the program's
own class has as a method: "save name=Bob" calls save(name="Bob"). It is answered with "done TEXT",
or "held TEXT" where SQLite's write lock is still held. In front of it comes "writing" when the program
asks for that lock, and so may have to wait for another's.

A step that wrote says "updated BEFORE -> AFTER", states being "1|Bob|111|2": what the program
had seen and what it knows to be there now; the runner holds them against all others' writes. One that does
not know on what it wrote says "wrote".
"""

import sys

RECORD = ("id", "name", "phone", "version")


def state(values):
    return "|".join("NULL" if value is None else str(value) for value in values)


def lacks(package):
    print("lacks", package, flush=True)
    sys.exit(0)


class Refused(Exception):
    """What a step comes to instead: "refused" by the guard, "stale" as the program found out itself, "locked"."""


class Lock:
    """SQLite's write lock, as the statements tell that the program sends."""

    def __init__(self):
        self.unit = self.read = self.held = False

    def sees(self, sql):
        word = (sql.split() or [""])[0].upper()
        if word in ("BEGIN", "SAVEPOINT") and not self.unit:
            self.unit, self.read, self.held = True, False, False
            if "IMMEDIATE" in sql.upper():
                self.ask()
        elif word in ("SELECT", "WITH"):
            self.read = True
        elif word in ("INSERT", "UPDATE", "DELETE", "REPLACE") and not self.held:
            if self.unit and self.read:
                self.held = True  # or it fails at once: a snapshot does not wait
            else:
                self.ask()
        elif word in ("COMMIT", "ROLLBACK", "END") and "TO" not in sql.upper().split():
            self.unit = self.held = False

    def ask(self):
        print("writing", flush=True)
        self.held = True


class Program:
    """open(url, name) returns the server's process, or "-"; close(); a method a step."""

    def __init__(self):
        self.lock = Lock()

    def step(self, line):
        word, *words = line.split()
        if word == "open":
            self.lock = Lock()
            return self.open(*words)
        plain = [text for text in words if "=" not in text]
        named = dict(text.split("=", 1) for text in words if "=" in text)
        return getattr(self, word.replace("-", "_"))(*plain, **named) or word

    def live(self):
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                said = self.step(line.strip())
            except Refused as refused:
                said = str(refused)
                if said == "locked":
                    self.lock.held = False
            except Exception as error:  # told, and so seen in the test
                said = f"{type(error).__name__}: {error}".replace("\n", " / ")
            held = self.lock.held and self.lock.unit
            print("held" if held else "done", said, flush=True)

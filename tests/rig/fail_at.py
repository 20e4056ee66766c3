#!/usr/bin/env python3
"""Commands whose n-th allocation, I/O or write fails: no crash, no false success, nothing half done, one clear line. Speaks TAP.

    fail_at.py AMEND FAULT ENGINE

For each of set, sync, revert and resolve (commands.py), and each of

    memory   an allocation of amend's finds no memory: once, and from then on
    io       a write, sync or read fails, a connection is reset: once, and from then on
    full     (SQLite) a write finds no room: once, and from then on

the command runs with the n-th failing. What it then says must be so: what is said to be done is in; what failed left
everything (rows, history, bases, conflicts, operations) as it was before, with one line that begins "amend: "; exit 7, nobody
knows, is one of the two. And run again without faults it is done, once.

AMEND_TEST_FAILS  how many n of each, by chance (default 8; 0: every one); AMEND_TEST_SEED chooses them again
"""

import os
import random
import subprocess
import sys
import tempfile
import time

from commands import CHANGES, Stage, differs
from engines import open_engine, skip_without_server

UNKNOWN = 7
DONE = "what was asked for is done"  # and could not be printed
LAST = 3


class Fails:
    def __init__(self, stage, fault, folder):
        self.stage, self.fault = stage, fault
        self.says = os.path.join(folder, "says")
        self.number, self.told = 0, None

    def run(self, words, fault):
        """(exit, standard error, what the library said)"""
        if os.path.exists(self.says):
            os.unlink(self.says)
        try:
            code, _, said = self.stage.run(*words, LD_PRELOAD=self.fault, RIG_FAULT=fault, RIG_SAYS=self.says)
        except subprocess.TimeoutExpired:
            code, said = None, "it does not end"
        with open(self.says, encoding="utf-8") as file:
            return code, said, file.read().split()

    def count(self, change, kind):
        """How many there are to fail."""
        self.number += 1
        code, said, words = self.run(change.ready(self.stage, self.number), f"{kind} 0")
        if code != change.exit:
            raise SystemExit(f"{change.name} without a fault: exit {code}, {said}")
        return int(words[-1])

    def one(self, change, fault):
        """(whether something failed, what is wrong)"""
        self.number += 1
        words = change.ready(self.stage, self.number)
        before = self.stage.state()
        code, said, told = self.run(words, fault)
        self.told = code
        self.stage.engine.settle()
        failed = self.stage.state()
        again = self.stage.run(*words)
        after = self.stage.state()
        faults = []
        if code is None or code < 0 or code > 100:
            faults.append("a crash" if code else "a hang")
        elif (code == change.exit or DONE in said) and not change.done(before, failed):
            faults.append("a false success")
        elif code not in (change.exit, UNKNOWN) and DONE not in said and differs(failed, before):
            faults.append(f"a false failure: {differs(failed, before)} changed")
        elif code != change.exit and (said.count("\n") != 1 or not said.startswith("amend: ")):
            faults.append("not one clear line")
        if differs(failed, before) and differs(failed, after):
            faults.append(f"half done: {differs(failed, before)} changed, and {differs(failed, after)} when it was run again")
        if not change.done(before, after):
            faults.append(f"run again it is not done: {again}")
        return "fired" in told, [f"{fault}: exit {code}, {said.strip() or 'no word'}" for fault in faults]

    def some(self, change, kind, most, chance):
        """(how many failed, what is wrong with which)"""
        n = self.count(change, kind)
        fired, faults = 0, []
        for how in ("", "+"):
            by_chance = range(1, n + 1) if most == 0 else chance.sample(range(1, n + 1), min(most, n))
            # The last allocations are those of printing what is done.
            always = range(max(1, n - LAST + 1), n + 1) if (kind, how) == ("memory", "") else ()
            for at in sorted({*by_chance, *always}):
                if len(faults) > 9:
                    return fired, faults
                struck, wrong = self.one(change, f"{kind} {at}{how}")
                fired += struck
                faults += [f"{kind} {at}{how} of {n}: {fault}" for fault in wrong]
        return fired, faults


def main():
    amend, fault, name = (os.path.abspath(word) if i < 2 else word for i, word in enumerate(sys.argv[1:4]))
    skip_without_server(name)
    most = int(os.environ.get("AMEND_TEST_FAILS") or 8)
    seed = int(os.environ.get("AMEND_TEST_SEED") or time.time_ns() % 1000000)
    chance = random.Random(seed)
    number = failed = 0
    with tempfile.TemporaryDirectory(prefix="amend-fail-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        engine = open_engine(name, folder)
        try:
            stage = Stage(amend, engine)
            fails = Fails(stage, fault, folder)
            for change in [change() for change in CHANGES if stage.syncs or change.name != "sync"]:
                for kind in ("memory", "io", "full") if name == "sqlite" else ("memory", "io"):
                    begun = time.monotonic()
                    fired, faults = fails.some(change, kind, most, chance)
                    if fired < 2:
                        faults.append(f"only {fired} failed")
                    number += 1
                    failed += bool(faults)
                    print("not ok" if faults else "ok", number, "-", f"{name}: {change.name}, {kind}")
                    print(f"# seed {seed}: {fired} failed in {time.monotonic() - begun:.1f} s", flush=True)
                    for text in faults[:10]:
                        print("#", text.replace("\n", "\n#   "), flush=True)
        finally:
            engine.end()
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""kill -9 in front of the k-th write, sync, unlink or send of a command, k = 1, 2, 3 ... until it runs through. Speaks TAP.

    kill_at.py AMEND FAULT ENGINE [torn]

For each of set, sync, revert and resolve (commands.py): after the kill everything (rows, history, bases, conflicts, operations) is as it was
before, or as it is after the command has been run again; and then it is done, once. `torn`: half of the k-th is written
first. tests/crash/kill_sync.py kills large syncs, of many chunks, at moments of the clock.

AMEND_TEST_STEP  only every n-th k, from a random first (default 1); AMEND_TEST_SEED chooses it again.
"""

import os
import random
import signal
import sys
import tempfile
import time

from commands import CHANGES, Stage, differs
from engines import open_engine, skip_without_server

LIMIT = 2000  # no command here has so many


class Kills:
    def __init__(self, stage, fault, mode):
        self.stage, self.fault, self.mode = stage, fault, mode
        self.number = 0

    def one(self, change, k):
        """Killed at the k-th. (whether it was, what is wrong)"""
        self.number += 1
        words = change.ready(self.stage, self.number)
        before = self.stage.state()
        code, _, _ = self.stage.run(*words, LD_PRELOAD=self.fault, RIG_FAULT=f"{self.mode} {k}")
        if code not in (0, 3, -signal.SIGKILL):
            return False, [f"exit {code}"]
        self.stage.engine.settle()
        killed = self.stage.state()
        again, _, said = self.stage.run(*words)
        after = self.stage.state()
        faults = []
        if differs(killed, before) and differs(killed, after):
            faults.append(f"half done: {differs(killed, before)} are not as before, {differs(killed, after)} not as when it has been run again")
        if not change.done(before, after):
            faults.append(f"run again it is not done: exit {again}, {said}")
        if code != -signal.SIGKILL and differs(killed, after):
            faults.append("it ran through, and the same again changed something")
        return code == -signal.SIGKILL, faults

    def all_of(self, change, step, first):
        """(how many kills, what is wrong with which)"""
        faults, killed = [], 0
        for k in range(first, LIMIT, step):
            struck, wrong = self.one(change, k)
            faults += [f"at {k}: {fault}" for fault in wrong]
            killed += struck
            if not struck:
                return killed, faults
        return killed, [*faults, f"it does not run through after {LIMIT}"]


def main():
    amend, fault, name = (os.path.abspath(word) if i < 2 else word for i, word in enumerate(sys.argv[1:4]))
    mode = "torn" if "torn" in sys.argv else "kill"
    skip_without_server(name)
    step = int(os.environ.get("AMEND_TEST_STEP") or 1)
    seed = int(os.environ.get("AMEND_TEST_SEED") or time.time_ns() % 1000000)
    chance = random.Random(seed)
    failed = False
    with tempfile.TemporaryDirectory(prefix="amend-kill-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        engine = open_engine(name, folder)
        try:
            stage = Stage(amend, engine)
            changes = [change() for change in CHANGES if stage.syncs or change.name != "sync"]
            print(f"1..{len(changes)}", flush=True)
            for number, change in enumerate(changes, 1):
                begun = time.monotonic()
                killed, faults = Kills(stage, fault, mode).all_of(change, step, chance.randint(1, step))
                if killed < 2:
                    faults.append(f"only {killed} kills")
                failed = failed or bool(faults)
                print("not ok" if faults else "ok", number, "-", f"{name}: {change.name}, {mode}")
                print(f"# seed {seed}, every {step}: {killed} kills in {time.monotonic() - begun:.1f} s", flush=True)
                for text in faults[:10]:
                    print("#", text, flush=True)
        finally:
            engine.end()
    return failed


if __name__ == "__main__":
    sys.exit(main())

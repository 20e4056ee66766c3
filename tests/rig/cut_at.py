#!/usr/bin/env python3
"""Commands whose connection is cut in each kind of message, and commands at a slow server. Speaks TAP.

    cut_at.py AMEND ENGINE

For each of set, sync, revert and resolve (commands.py), and each kind of message that amend sends or is sent meanwhile: the connection is cut
in the message's head, in its middle or behind it (messages.py). The server is there again at once. What the command says then
must be so, as in fail_at.py; and as amend can ask the server what became of it, it must know. And at a server whose answers come byte by
byte, or late, the command does what it does otherwise.

AMEND_TEST_CUTS  how many messages of each kind, by chance (default 1, cut at one of the three places, of revert and resolve for half of the
                 kinds; 0: the first, the last and one between, at all three); AMEND_TEST_SEED chooses them again
"""

import os
import random
import subprocess
import sys
import tempfile
import time

from commands import CHANGES, Stage
from engines import open_engine, skip_without_server
from fail_at import UNKNOWN, Fails
from messages import WHERE, Cutter

SLOW = {"byte by byte": (1, 0), "each message 3 ms late": (0, 0.003)}


class Cuts(Fails):
    """A fault is "SIDE KIND NUMBER WHERE", or one of SLOW."""

    def __init__(self, stage):
        # pylint: disable=super-init-not-called # nothing is loaded into the command
        self.stage, self.number, self.told = stage, 0, None
        self.url, *sockets = stage.engine.relay()
        self.listening = sockets[0]
        self.relay = Cutter(stage.engine.name, *sockets)

    def close(self):
        self.relay.close()
        os.unlink(self.listening)

    def run(self, words, fault):
        """(exit, standard error, whether it was cut)"""
        self.relay.piece, self.relay.delay = SLOW.get(fault, (0, 0))
        self.relay.arm(None)
        if fault and fault not in SLOW:
            side, kind, number, where = fault.split()
            self.relay.arm((side, kind, int(number), where))
        direct, self.stage.engine.url = self.stage.engine.url, self.url
        try:
            code, _, said = self.stage.run(*words)
        except subprocess.TimeoutExpired:
            code, said = None, "it does not end"
        finally:
            self.stage.engine.url = direct
            self.relay.settle()
        return code, said, ["fired"] if self.relay.fired else []

    def count(self, change, kind=None):
        """How many messages there are of each kind, by side."""
        self.number += 1
        code, said, _ = self.run(change.ready(self.stage, self.number), kind)
        if code != change.exit:
            raise SystemExit(f"{change.name} without a fault: exit {code}, {said}")
        return dict(self.relay.counts)

    def one(self, change, fault):
        fired, faults = super().one(change, fault)
        if self.told == UNKNOWN:
            faults.append(f"{fault}: it does not know, and the server was there to be asked")
        return fired, faults

    def some(self, change, most, chance):
        """(how many were cut, what is wrong with which)"""
        fired, faults = 0, []
        counts = sorted(self.count(change).items())
        if most == 1 and change.name in ("revert", "resolve"):
            counts = chance.sample(counts, (len(counts) + 1) // 2)
        for (side, kind), n in counts:
            if most:
                cuts = [(chance.randint(1, n), chance.choice(WHERE)) for _ in range(most)]
            else:
                cuts = [(number, where) for number in sorted({1, n, chance.randint(1, n)}) for where in WHERE]
            for number, where in cuts:
                struck, wrong = self.one(change, f"{side} {kind} {number} {where}")
                fired += struck
                faults += wrong
        return fired, faults

    def slow(self, change):
        """What is wrong where nothing is cut, and all takes long."""
        faults = []
        for how in SLOW:
            faults += self.one(change, how)[1]
            if self.told != change.exit:
                faults.append(f"{how}: exit {self.told}")
        return faults


def main():
    amend, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    skip_without_server(name)
    most = int(os.environ.get("AMEND_TEST_CUTS") or 1)
    seed = int(os.environ.get("AMEND_TEST_SEED") or time.time_ns() % 1000000)
    chance = random.Random(seed)
    number = failed = 0

    def say(what, faults, note):
        nonlocal number, failed
        number += 1
        failed += bool(faults)
        print("not ok" if faults else "ok", number, "-", f"{name}: {what}")
        print(f"# seed {seed}: {note}", flush=True)
        for text in faults[:10]:
            print("#", text.replace("\n", "\n#   "), flush=True)

    with tempfile.TemporaryDirectory(prefix="amend-cut-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        engine = open_engine(name, folder)
        try:
            stage = Stage(amend, engine)
            cuts = Cuts(stage)
            for change in [change() for change in CHANGES if stage.syncs or change.name != "sync"]:
                begun = time.monotonic()
                fired, faults = cuts.some(change, most, chance)
                # There are ten kinds and more, and each is there again unless chance had chosen one that is not.
                if fired < 3:
                    faults.append(f"only {fired} were cut")
                say(f"{change.name}, cut", faults, f"{fired} cuts in {time.monotonic() - begun:.1f} s")
                begun = time.monotonic()
                faults = cuts.slow(change)
                say(f"{change.name} at a slow server", faults, f"{time.monotonic() - begun:.1f} s")
            cuts.close()
        finally:
            engine.end()
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())

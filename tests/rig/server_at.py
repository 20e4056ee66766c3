#!/usr/bin/env python3
"""Commands at a server that crashes under them and comes back, or is read-only as a whole. Speaks TAP.

    tools/servers run --mariadb -- server_at.py AMEND ENGINE

The server is this test's alone. For each of set, sync, revert and resolve (commands.py) it is killed in front of, in or behind some messages
chosen by chance (messages.py), and is up again by itself. What the command says is judged as in cut_at.py; that it does not know is no
fault here, for the server may be away for longer than amend asks. Then MariaDB's read_only. A standby is tried by
tests/cluster/standby_test.py, a role without rights by denied_at.py.

AMEND_TEST_CRASHES  how many of each command (default 2); AMEND_TEST_SEED chooses them again
"""

import contextlib
import os
import random
import sys
import tempfile
import time

from commands import CHANGES, Stage
from cut_at import Cuts
from denied_at import Role, Tap, try_all
from engines import open_engine, skip_without_server
from fail_at import Fails
from messages import WHERE


class Crashes(Cuts):
    """A message at which the server is killed, not only the connection."""

    def __init__(self, stage):
        super().__init__(stage)
        self.relay.struck = stage.engine.restart

    def one(self, change, fault):
        return Fails.one(self, change, fault)

    def some(self, change, most, chance):
        counts = self.count(change)
        fired, faults = 0, []
        for _ in range(most):
            (side, kind), n = chance.choice(sorted(counts.items()))
            struck, wrong = self.one(change, f"{side} {kind} {chance.randint(1, n)} {chance.choice(WHERE)}")
            fired += struck
            faults += wrong
        return fired, faults


class ReadOnly(Role):
    """For who has no leave to write all the same."""

    def __init__(self, engine):
        super().__init__(engine, "read_only", ["ledger", "page"])

    @contextlib.contextmanager
    def on(self, kind):
        with super().on(kind):
            self.engine.ask("SET GLOBAL read_only = 1")
            try:
                yield
            finally:
                self.engine.ask("SET GLOBAL read_only = 0")


def main():
    amend, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    skip_without_server(name)
    most = int(os.environ.get("AMEND_TEST_CRASHES") or 2)
    seed = int(os.environ.get("AMEND_TEST_SEED") or time.time_ns() % 1000000)
    chance = random.Random(seed)
    tap, crashed = Tap(name), 0
    with tempfile.TemporaryDirectory(prefix="amend-server-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        engine = open_engine(name, folder)
        try:
            stage = Stage(amend, engine)
            crashes = Crashes(stage)
            for change in [change() for change in CHANGES if stage.syncs or change.name != "sync"]:
                begun = time.monotonic()
                fired, faults = crashes.some(change, most, chance)
                crashed += fired
                tap.say(f"{change.name}, the server crashes", faults, f"seed {seed}: {fired} crashes in {time.monotonic() - begun:.1f} s")
            crashes.close()
            tap.say("it did crash", [] if crashed > 1 else [f"{crashed} crashes"], f"{crashed} crashes")
            if name == "mariadb":
                try_all(amend, ReadOnly(engine), tap)
        finally:
            engine.end()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())

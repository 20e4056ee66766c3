#!/usr/bin/env python3
"""The rig for as long as it is told, with seeds of its own: one table at the end, exit 1 where anything is lost or wrong.

    soak.py --build DIR [--minutes N] [--engine NAME]... [--figures FILE]

For each engine, N minutes: histories (histories.py) of some seconds, with crashes of the server, which comes up again by itself
(of PostgreSQL one process is killed; MariaDB's is started again by tools/servers), commands killed at a random write or send (kill_at.py), whole or torn, and
commands with a random allocation, I/O or write failing (fail_at.py), commands whose connection is cut in a random message (cut_at.py). What goes wrong is printed with its seed as it happens. Leaves
docs/reliability.md to report.py.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time

from commands import CHANGES, Stage
from cut_at import Cuts
from engines import SERVERS, open_engine
from fail_at import Fails
from histories import PLANS, History
from kill_at import Kills
from messages import WHERE

SECONDS = 6  # of a history
BATCH = 12  # commands under faults between two rounds of histories


class Table:
    def __init__(self):
        self.rows = {}

    def add(self, engine, test, operations, disturbed, unknown, lost, faults, repeat):
        row = self.rows.setdefault((engine, test), dict.fromkeys(("operations", "disturbed", "unknown", "lost", "wrong"), 0))
        for name, n in zip(row, (operations, disturbed, unknown, lost, len(faults) - lost)):
            row[name] += n
        for fault in faults[:5]:
            print(f"{engine}: {test}: {fault} ({repeat})", flush=True)

    def figures(self):
        return [{"engine": engine, "test": test, **row} for (engine, test), row in self.rows.items()]

    def print(self):
        head = ("test", "engine", "operations", "faults", "unknown", "lost", "wrong")
        lines = [head] + [
            (d["test"], d["engine"], *(f"{d[name]:,}" for name in ("operations", "disturbed", "unknown", "lost", "wrong")))
            for d in self.figures()
        ]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        for line in lines:
            print("  ".join(text.ljust(width) if i < 2 else text.rjust(width) for i, (text, width) in enumerate(zip(line, widths))))


class Soak:
    def __init__(self, build, folder, table):
        self.amend, self.worker = os.path.join(build, "amend"), os.path.join(build, "tests/rig/worker")
        self.fault = os.path.join(build, "tests/rig/fault.so")
        self.folder, self.table = folder, table
        self.chance = random.SystemRandom()

    def histories(self, engine):
        for workload, level in PLANS[engine.name]:
            seed = self.chance.randrange(1000000)
            history = History(self.worker, engine, workload, level, seed, engine.restart)
            figures = history.run(SECONDS)
            self.table.add(
                engine.name, f"{workload}, {level}", figures["operations"], figures["disturbed"], figures["unknown"],
                figures["lost"], history.faults, f"in seeds.txt: {engine.name} {workload} {level} {seed}",
            )

    def commands(self, engine, until):
        """A database for all of them: it grows."""
        stage = Stage(self.amend, engine)
        fails = Fails(stage, self.fault, self.folder)
        changes = [change() for change in CHANGES if stage.syncs or change.name != "sync"]
        kinds = ("memory", "io", "full") if engine.name == "sqlite" else ("memory", "io")
        counts = {}
        for change in changes:
            for kind in ("kill", *kinds):
                counts[change.name, kind] = fails.count(change, kind if kind != "kill" else "full")
        counts = {key: max(n, 1) for key, n in counts.items()}
        cuts = Cuts(stage) if engine.relay() else None
        try:
            self.batch(changes, counts, fails, cuts, until)
        finally:
            if cuts:
                cuts.close()

    def batch(self, changes, counts, fails, cuts, until):
        engine, stage = fails.stage.engine, fails.stage
        kinds = sorted({kind for _, kind in counts} - {"kill"})
        messages = {}
        for change in changes if cuts else ():
            cuts.number = fails.number
            messages[change.name] = sorted(cuts.count(change).items())
            fails.number = cuts.number
        for _ in range(BATCH):
            for change in changes:
                if time.monotonic() > until:
                    return
                # Sends and syncs are not counted by "full": some way beyond, and what is not reached is no fault.
                mode, k = self.chance.choice(("kill", "torn")), self.chance.randint(1, 2 * counts[change.name, "kill"] + 20)
                kills = Kills(stage, self.fault, mode)
                kills.number = fails.number = fails.number + 1
                killed, faults = kills.one(change, k)
                self.table.add(engine.name, f"{change.name}, killed", 1, killed, killed, 0, faults, f"{mode} {k}")
                kind = self.chance.choice(kinds)
                fault = f"{kind} {self.chance.randint(1, counts[change.name, kind])}{self.chance.choice(('', '+'))}"
                fails.number += 1
                struck, faults = fails.one(change, fault)
                self.table.add(engine.name, f"{change.name}, {kind} fails", 1, struck, 0, 0, faults, fault)
                if cuts:
                    (side, message), n = self.chance.choice(messages[change.name])
                    fault = f"{side} {message} {self.chance.randint(1, n)} {self.chance.choice(WHERE)}"
                    cuts.number = fails.number = fails.number + 1
                    struck, faults = cuts.one(change, fault)
                    self.table.add(engine.name, f"{change.name}, cut", 1, struck, 0, 0, faults, fault)

    def run(self, name, seconds):
        until = time.monotonic() + seconds
        engine = open_engine(name, self.folder)
        try:
            while time.monotonic() < until:
                self.histories(engine)
                self.commands(engine, until)
        finally:
            engine.end()


def about(minutes):
    commit = subprocess.run(["git", "log", "-1", "--format=%h %cs"], capture_output=True, text=True, check=False).stdout.strip()
    return {"commit": commit, "minutes": minutes, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--build", required=True)
    options.add_argument("--minutes", type=float, default=30)
    options.add_argument("--engine", action="append", choices=["sqlite", *SERVERS])
    options.add_argument("--figures")
    asked = options.parse_args()
    table, measured = Table(), about(asked.minutes)
    with tempfile.TemporaryDirectory(prefix="amend-soak-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        soak = Soak(os.path.abspath(asked.build), folder, table)
        for name in asked.engine or ["sqlite", *(name for name, variable in SERVERS.items() if os.environ.get(variable))]:
            soak.run(name, asked.minutes * 60)
    table.print()
    figures = table.figures()
    if asked.figures:
        with open(asked.figures, "w", encoding="utf-8") as file:
            json.dump({"about": measured, "figures": figures}, file, indent=1)
            file.write("\n")
    return any(d["lost"] or d["wrong"] for d in figures)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""`amend set --once` killed with SIGKILL at random moments, and run again until it answers. Speaks TAP.

    kill_once.py AMEND ENGINE

Every request has an id of its own and adds one; after each kill and at the end the counter and history must show each
answered request once, a request that was killed once or not at all, and its repetition
must answer, once. AMEND_TEST_KILLS says how often (default 40), AMEND_TEST_SEED repeats the moments of another time,
as far as a clock can. AMEND_TEST_POSTGRES, AMEND_TEST_MARIADB and AMEND_TEST_TMP are as for the other tests.
"""

import os
import random
import subprocess
import sys
import tempfile
import time

for folder in ("../crash", "../rig"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), folder))
import engines  # noqa: E402
from kill_sync import Postgres, Sqlite  # noqa: E402

KILLS = int(os.environ.get("AMEND_TEST_KILLS", "40"))
SEED = int(os.environ.get("AMEND_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)


class Mariadb(engines.Mariadb):
    """Made anew by the statements that prepared it: there are no copies."""

    def __init__(self, folder):
        self.statements = []
        super().__init__(folder)

    def prepared(self, statements):
        self.statements += statements

    def fresh(self):
        super().fresh()
        for statement in self.statements:
            self.ask(statement)

    def rows(self, columns, table):
        return [tuple(map(int, row)) for row in self.ask(f"SELECT {', '.join(columns)} FROM {table}")]


class Kills:
    def __init__(self, amend, engine, guarded):
        self.amend, self.engine, self.guarded = amend, engine, guarded
        self.faults, self.killed, self.answered, self.before = [], 0, 0, 0

    def command(self, *words):
        return [self.amend, words[0], self.engine.url, *words[1:]]

    def request(self, number):
        return self.command("set", "counter", "id=1", "n+=1", "--once", f"op {number}", "--json")

    def counted(self):
        self.engine.settle()
        n = self.engine.rows(["n"], "counter")[0][0]
        recorded = self.engine.rows(["count(*)"], self.engine.ledger + "change")[0][0]
        if recorded != n:
            self.faults.append(f"the counter is {n}, history has {recorded} additions")
        return n

    def time_of_one(self):
        took = []
        for number in range(5):
            begun = time.monotonic()
            subprocess.run(self.request(f"long {number}"), stdout=subprocess.DEVNULL, check=True)
            took.append(time.monotonic() - begun)
        return sorted(took)[2], len(took)

    def run(self):
        self.engine.fresh()
        if self.guarded:
            subprocess.run(self.command("guard", "counter", "--history", "--yes"), stdout=subprocess.DEVNULL, check=True)
        usual, n = self.time_of_one()
        moments = random.Random(SEED)
        for number in range(KILLS):
            process = subprocess.Popen(self.request(number), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            # Every other one near the end, where the COMMIT and its answer are.
            time.sleep(usual * (moments.random() * 1.1 if number % 2 else 0.7 + moments.random() * 0.4))
            process.kill()
            said = process.communicate()[0]
            answered = said.endswith("}\n")
            self.killed += process.returncode < 0
            # The machine's load changes: who came too late comes earlier from then on.
            usual *= 0.85 if process.returncode >= 0 else 1.04
            self.answered += answered
            there = self.counted()
            if there not in ((n + 1,) if answered else (n, n + 1)):
                self.faults.append(f"op {number}: {n} before, {there} after a kill, said {said!r}")
            self.before += there == n
            again = subprocess.run(self.request(number), capture_output=True, text=True, check=False)
            if again.returncode != 0 or '"updated"' not in again.stdout:
                self.faults.append(f"op {number}: repeated: {again.returncode} {again.stdout} {again.stderr}")
            if ('"repeated":null' not in again.stdout) != (there == n + 1):
                self.faults.append(f"op {number}: {there - n} times in, and its repetition says {again.stdout}")
            n += 1
            if self.counted() != n:
                self.faults.append(f"op {number}: not {n} after its repetition")
        if self.killed < KILLS // 4:
            self.faults.append(f"only {self.killed} of {KILLS} were hit")


def main():
    amend, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    engines.skip_without_server(name)
    failed = False
    print("1..2", flush=True)
    with tempfile.TemporaryDirectory(prefix="amend-once-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        engine = {"sqlite": Sqlite, "postgresql": Postgres, "mariadb": Mariadb}[name](folder)
        try:
            engine.prepared(["CREATE TABLE counter (id integer PRIMARY KEY, n integer)", "INSERT INTO counter VALUES (1, 0)"])
            for number, guarded in enumerate((False, True), 1):
                kills = Kills(amend, engine, guarded)
                kills.run()
                failed = failed or bool(kills.faults)
                what = "set --once, killed and repeated" + (", on a guarded table" if guarded else "")
                print("not ok" if kills.faults else "ok", number, "-", what)
                print(f"# seed {SEED}: {kills.killed} of {KILLS} killed, {kills.before} of all before it was in, {kills.answered} answered", flush=True)
                for fault in kills.faults[:10]:
                    print("#", fault)
        finally:
            engine.end()
    return failed


if __name__ == "__main__":
    sys.exit(main())

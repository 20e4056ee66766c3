#!/usr/bin/env python3
"""Random work of several processes under faults, and whether what they were told is what is there. Speaks TAP.

    histories.py WORKER ENGINE

Processes (worker.c) work on one table while others of them are killed with SIGKILL and replaced, frozen with SIGSTOP for a while,
cut off from the server, or slowed down (relay.py). Each logs what it asks for and what it was told; checker.py judges that and
what another client finds in the end. Seeds are printed. A seed that has failed is a line in seeds.txt, which every
run repeats; who meets whom is the machine's, so that a seed repeats the work and the faults, not each interleaving.

    python3 tests/rig/histories.py build/tests/rig/worker postgresql list repeatable-read 42 10    one of them, for ten seconds
    AMEND_TEST_SEED=42       other seeds than by the clock, for all
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

from checker import check
from engines import open_engine, skip_without_server
from relay import Relay

HERE = os.path.dirname(os.path.abspath(__file__))
WORKERS = 6
BY_RELAY = 2  # of them, where there is a server
SECONDS = 0.7
ENOUGH = 30000  # bytes of logs: on a busy machine it goes on until there is so much to judge
FIRST = 100  # in each account

TABLES = {
    "register": "CREATE TABLE reg (id integer NOT NULL PRIMARY KEY, v bigint NOT NULL); INSERT INTO reg VALUES (1, 0), (2, 0), (3, 0)",
    "counter": "CREATE TABLE counter (id integer NOT NULL PRIMARY KEY, n bigint NOT NULL); INSERT INTO counter VALUES (1, 0)",
    "bank": "CREATE TABLE account (id integer NOT NULL PRIMARY KEY, balance integer NOT NULL); "
    f"INSERT INTO account VALUES {', '.join(f'({i}, {FIRST})' for i in range(1, 7))}; "
    "CREATE TABLE transfer (id bigint NOT NULL PRIMARY KEY, source integer NOT NULL, target integer NOT NULL, amount integer NOT NULL)",
    "set": "CREATE TABLE element (id bigint NOT NULL PRIMARY KEY)",
    "list": "CREATE TABLE chain (id bigint NOT NULL PRIMARY KEY, items text)",
}
READ, REPEAT, SERIAL = "read-committed", "repeatable-read", "serializable"
# SQLite's units are always serializable.
PLANS = {
    "sqlite": [(workload, SERIAL) for workload in TABLES],
    "postgresql": [("register", READ), ("counter", READ), ("bank", REPEAT), ("set", READ), ("list", READ), ("list", REPEAT), ("list", SERIAL)],
}
PLANS["mariadb"] = PLANS["postgresql"]


def final_of(workload, engine):
    """What another client finds."""

    def numbers(sql):
        return [tuple(int(value) for value in row) for row in engine.ask(sql)]

    def changes(table):
        # Nobody may have come as far as to install the ledger.
        return numbers(f"SELECT count(*) AS n FROM {engine.ledger}change WHERE tbl = '{table}'")[0][0]

    if workload == "register":
        history = {}
        for pk, fields in engine.ask(f"SELECT pk, fields FROM {engine.ledger}change WHERE tbl = 'reg' ORDER BY id"):
            history.setdefault(json.loads(pk)["id"], []).append(tuple(int(value) for value in json.loads(fields)["v"]))
        return {"values": dict(numbers("SELECT id, v FROM reg")), "history": history}
    if workload == "counter":
        return {"n": numbers("SELECT n FROM counter")[0][0], "changes": changes("counter")}
    if workload == "bank":
        return {
            "first": FIRST,
            "balances": dict(numbers("SELECT id, balance FROM account")),
            "transfers": numbers("SELECT id, source, target, amount FROM transfer"),
            "changes": changes("account") + changes("transfer"),
        }
    if workload == "set":
        return {"elements": [row[0] for row in numbers("SELECT id FROM element")], "changes": changes("element")}
    rows = engine.ask("SELECT id, items FROM chain")
    return {"lists": {int(key): [int(n) for n in (items or "").split(",") if n] for key, items in rows}, "changes": changes("chain")}


def operations_of(folder):
    """Of all logs; what has no answer is unknown."""
    found = []
    for name in sorted(os.listdir(folder)):
        if not name.startswith("log-"):
            continue
        under_way = {}
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if "begun" in entry:
                    under_way[entry["n"]] = {"who": f"{name[4:]}:{entry['n']}", "state": "unknown", **entry}
                else:
                    found.append({**under_way.pop(entry["n"]), **entry})
        found += under_way.values()
    return found


class History:
    """One of them: starts, disturbs, ends, judges."""

    def __init__(self, worker, engine, workload, level, seed, restart=None):
        self.worker, self.engine, self.workload, self.level, self.seed = worker, engine, workload, level, seed
        self.restart = restart  # a function that starts the server again
        self.chance = random.Random(f"{workload} {level} {seed}")
        self.running, self.frozen, self.started = {}, [], 0
        self.done, self.faults = Counter(), []

    def start(self, url):
        self.started += 1
        words = [self.worker, url, os.path.join(self.folder, f"log-{self.started}"), str(self.started), str(self.seed)]
        with open(os.path.join(self.folder, "stderr"), "ab") as complaints:
            self.running[self.started] = (subprocess.Popen([*words, self.workload, self.level], stderr=complaints), url)

    def kill(self):
        number = self.chance.choice(sorted(self.running))
        process, url = self.running.pop(number)
        process.kill()
        process.wait()
        self.start(url)

    def freeze(self):
        process = self.running[self.chance.choice(sorted(self.running))][0]
        process.send_signal(signal.SIGSTOP)
        self.frozen.append((time.monotonic() + self.chance.uniform(0.02, 0.25), process))

    def thaw(self, all_of_them=False):
        for until, process in list(self.frozen):
            if all_of_them or until < time.monotonic():
                process.send_signal(signal.SIGCONT)
                self.frozen.remove((until, process))

    def disturb(self, relay):
        kinds = ["kill", "freeze"] + (["cut", "cut", "slow"] if relay else []) + (["restart"] if self.restart else [])
        kind = self.chance.choices(kinds, [1 if kind == "restart" else 6 for kind in kinds])[0]
        if kind == "cut" and not relay.cut(self.chance):
            return
        if kind == "kill":
            self.kill()
        elif kind == "freeze":
            self.freeze()
        elif kind == "slow":
            relay.delay = 0 if relay.delay else self.chance.uniform(0.001, 0.02)
        elif kind == "restart":
            self.restart()
        self.done[kind] += 1

    def logged(self):
        return sum(os.path.getsize(os.path.join(self.folder, name)) for name in os.listdir(self.folder))

    def end(self):
        self.thaw(all_of_them=True)
        for process, _ in self.running.values():
            process.terminate()
        for number, (process, _) in self.running.items():
            try:
                # One that has only just been started does not listen yet.
                if process.wait(timeout=90) not in (0, -signal.SIGTERM):
                    self.faults.append(("odd", f"worker {number} ended with {process.returncode}"))
            except subprocess.TimeoutExpired:
                self.faults.append(("odd", f"worker {number} does not end"))
                process.kill()
                process.wait()

    def run(self, seconds):
        with tempfile.TemporaryDirectory(dir=self.engine.folder) as self.folder:
            self.engine.fresh()
            self.engine.ask(TABLES[self.workload])
            by_relay, relay = self.engine.relay(), None
            if by_relay:
                relay = Relay(*by_relay[1:])
            try:
                for number in range(WORKERS):
                    self.start(by_relay[0] if by_relay and number < BY_RELAY else self.engine.url)
                until = time.monotonic() + seconds
                following = time.monotonic() + 0.1
                while time.monotonic() < until or (self.logged() < ENOUGH and time.monotonic() < until + 30):
                    time.sleep(0.01)
                    self.thaw()
                    if time.monotonic() >= following:
                        self.disturb(relay)
                        following = time.monotonic() + self.chance.uniform(0.02, 0.15)
                if relay:
                    relay.delay = 0
            finally:
                self.end()
                if relay:
                    relay.close()
                    os.unlink(by_relay[1])
            self.engine.settle()
            self.operations = operations_of(self.folder)
            with open(os.path.join(self.folder, "stderr"), encoding="utf-8") as file:
                # What libpq prints of a server that crashes while it is being connected to.
                libpq = ("WARNING:", "DETAIL:", "HINT:") if self.done["restart"] else ("\n",)
                self.faults += [("odd", line.strip()) for line in file if not line.startswith(libpq)]
            self.faults += check(self.workload, self.level, self.operations, final_of(self.workload, self.engine))
        # A run in which nothing was done, or nothing was disturbed, shows nothing.
        states = Counter(o["state"] for o in self.operations)
        if states["ok"] < 20 or not self.done:
            self.faults.append(("odd", f"hardly anything was done: {dict(states)}, {dict(self.done)}"))
        return self.figures(states)

    def figures(self, states):
        lost = sum(kind in ("lost", "lost update") for kind, _ in self.faults)
        return {
            "test": f"{self.workload}, {self.level}",
            "engine": self.engine.name,
            "seed": self.seed,
            "operations": len(self.operations),
            "disturbed": sum(self.done.values()),
            "unknown": states["unknown"],
            "lost": lost,
            "wrong": len(self.faults) - lost,
            "said": f"{states['ok']} ok, {states['fail']} fail, {states['unknown']} unknown; "
            + ", ".join(f"{n} {kind}" for kind, n in sorted(self.done.items())),
        }


def kept(name):
    """The lines of seeds.txt for this engine: (workload, level, seed)."""
    with open(os.path.join(HERE, "seeds.txt"), encoding="utf-8") as file:
        lines = [line.split("#")[0].split() for line in file]
    return [(workload, level, int(seed)) for engine, workload, level, seed in filter(None, lines) if engine == name]


def main():
    worker, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    skip_without_server(name)
    seed = int(os.environ.get("AMEND_TEST_SEED") or time.time_ns() % 1000000)
    plan, seconds = [(*what, seed) for what in PLANS[name]] + kept(name), SECONDS
    if len(sys.argv) > 3:
        plan, seconds = [(sys.argv[3], sys.argv[4], int(sys.argv[5]))], float(sys.argv[6])
    failed = False
    print(f"1..{len(plan)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="amend-rig-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        engine = open_engine(name, folder)
        try:
            for number, (workload, level, its_seed) in enumerate(plan, 1):
                history = History(worker, engine, workload, level, its_seed)
                figures = history.run(seconds)
                failed = failed or bool(history.faults)
                print("not ok" if history.faults else "ok", number, "-", f"{name}: {workload}, {level}")
                print(f"# seed {its_seed}: {figures['said']}", flush=True)
                for kind, text in history.faults[:10]:
                    print(f"# {kind}: {text}", flush=True)
        finally:
            engine.end()
    return failed


if __name__ == "__main__":
    sys.exit(main())

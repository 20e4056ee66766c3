#!/usr/bin/env python3
"""Sixteen who want one lease, frozen, killed and with clocks that jump. Speaks TAP.

    contend.py AMEND ENGINE

Each process takes the lease of one record, reads the record, thinks, and writes what follows from what it
read, with the lease. Some are stopped (SIGSTOP) while they think, longer than the lease lives; some are killed;
each call of amend has a time of day of its own, off by an hour either way (libfaketime; the clock since the start is left alone).
What must hold then: in the order of history fences never fall, a fence never has two holders, and no
acknowledged write is lost: the counter is what was acknowledged, and at most those whose process was killed on top.
"""

import contextlib
import glob
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

AMEND, ENGINE = sys.argv[1], sys.argv[2]
CONTENDERS, SECONDS, TTL_MS = 16, float(os.environ.get("AMEND_TEST_CONTEND", "12")), 1000
FAKETIME = sorted(glob.glob("/usr/lib/*/faketime/libfaketime.so.1"))


def call(*words):
    env = dict(os.environ)
    if FAKETIME:
        env |= {
            "LD_PRELOAD": FAKETIME[0],
            "FAKETIME": random.choice(["-3600s", "+0s", "+3600s"]),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
    done = subprocess.run([AMEND, *words, "--json"], capture_output=True, text=True, check=False, env=env)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


def contend(database, number, log):
    """One process: until it is told to end, or killed."""
    random.seed(number)
    name = ("--record", "counter", "id=1")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        code, lease = call("lease", "acquire", database, *name, "--ttl", f"{TTL_MS}ms", "--wait", "2s", "--as", f"c{number}")
        if code != 0:
            continue
        code, got = call("get", database, "counter", "id=1")
        n = got["record"]["n"]
        time.sleep(random.choice([0, 0, 0.05, 0.8, 1.5]))
        print("try", lease["fence"], file=log, flush=True)
        code, said = call("set", database, "counter", "id=1", f"n:={n + 1}", f"fence:={lease['fence']}", "--lease", lease["token"])
        print("done", lease["fence"], code, file=log, flush=True)
        if random.random() < 0.5:
            call("lease", "release", database, *name, "--token", lease["token"])


def make(folder):
    sql = "CREATE TABLE counter (id integer PRIMARY KEY, n integer NOT NULL, fence integer NOT NULL); INSERT INTO counter VALUES (1, 0, 0)"
    if ENGINE == "sqlite":
        database = os.path.join(folder, "contend.db")
        with sqlite3.connect(database) as db:
            db.executescript(sql)
        return database, None
    server = os.environ["AMEND_TEST_POSTGRES"]
    name = f"contend_{os.getpid()}"
    psql(server, f"CREATE DATABASE {name}")
    head, _, query = server.partition("?")
    base = head.split("://", 1)
    database = base[0] + "://" + base[1].split("/", 1)[0] + "/" + name + ("?" + query if query else "")
    for statement in sql.split("; "):
        psql(database, statement)
    return database, lambda: psql(server, f"DROP DATABASE {name} WITH (FORCE)")


def psql(database, sql):
    subprocess.run(["psql", "-XqAt", "-d", database, "-c", sql], check=True)


def main():
    if ENGINE == "postgresql" and not os.environ.get("AMEND_TEST_POSTGRES"):
        print("1..0 # SKIP no server")
        return 1 if os.environ.get("CI") == "true" else 0
    if not FAKETIME:
        print("# without libfaketime: the clocks agree")
        if os.environ.get("CI") == "true":
            return 1
    folder = tempfile.mkdtemp(dir=os.environ.get("AMEND_TEST_TMP"))
    undo = None
    try:
        database, undo = make(folder)
        code, _ = call("init", database)
        assert code == 0
        logs, children = [], {}
        for number in range(CONTENDERS):
            logs.append(os.path.join(folder, f"log{number}"))
            # One that is killed before it has begun leaves an empty one.
            with open(logs[-1], "w", encoding="utf-8"):
                pass
            pid = os.fork()
            if pid == 0:
                # All that a contender starts freezes and dies with it.
                os.setpgid(0, 0)
                with open(logs[-1], "w", encoding="utf-8") as log:
                    contend(database, number, log)
                os._exit(0)
            # Here too: whichever of the two is first, the group is there before it is asked for.
            with contextlib.suppress(PermissionError):
                os.setpgid(pid, pid)
            children[pid] = number
        return judge(database, logs, torment(children))
    finally:
        if undo:
            undo()
        shutil.rmtree(folder)


def torment(children):
    """Freezes some for longer than a lease lives, kills a few; the numbers of those killed."""
    random.seed(7)
    killed, frozen, froze = set(), {}, 0
    end = time.monotonic() + SECONDS
    alive = dict(children)
    while alive:
        for pid in list(alive):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                number = alive.pop(pid)
                frozen.pop(pid, None)
                assert os.WIFSIGNALED(status) == (number in killed), status
        now = time.monotonic()
        for pid in [p for p, until in frozen.items() if until < now]:
            os.killpg(pid, signal.SIGCONT)
            del frozen[pid]
        free = [p for p in alive if p not in frozen]
        if now < end - 2 and free and len(frozen) < 3:
            pid = random.choice(free)
            if random.random() < 0.08 and len(killed) < CONTENDERS // 3:
                killed.add(alive[pid])
                os.killpg(pid, signal.SIGKILL)
            else:
                os.killpg(pid, signal.SIGSTOP)
                frozen[pid] = now + TTL_MS / 1000 * random.uniform(1, 3)
                froze += 1
        time.sleep(0.1)
    print(f"# {froze} times frozen, {len(killed)} killed")
    return killed


def judge(database, logs, killed):
    done, unknown, refused, holders, faults = 0, 0, 0, {}, []
    for number, path in enumerate(logs):
        open_try = False
        for line in open(path, encoding="utf-8"):
            word, fence, *code = line.split()
            if word == "try":
                open_try = True
                if holders.setdefault(fence, number) != number:
                    faults.append(f"fence {fence} had two holders")
            else:
                open_try = False
                done += code == ["0"]
                refused += code == ["5"]
                if code[0] not in ("0", "5"):
                    faults.append(f"exit {code[0]} of a write")
        unknown += open_try
    code, got = call("get", database, "counter", "id=1")
    n = got["record"]["n"]
    code, log = call("log", database, "counter", "id=1")
    fences = [c["fields"]["fence"]["new"] for c in log["entries"] if "fence" in c["fields"]]
    fences.reverse()
    print(f"# {done} written, {refused} refused, {unknown} unknown, {len(holders)} holders, counter {n}")
    plan = [
        ("a write was made, and an old one refused", done > 0 and refused > 0),
        ("a fence has one holder, writes end well or are refused", not faults),
        ("fences never fall in history", fences == sorted(fences) and len(fences) == len(set(fences))),
        ("no acknowledged write is lost", done <= n <= done + unknown),
    ]
    print(f"1..{len(plan)}")
    for i, (name, good) in enumerate(plan):
        print("ok" if good else "not ok", i + 1, "-", name)
    for fault in faults[:10]:
        print("#", fault)
    return 0 if all(good for _, good in plan) else 1


sys.exit(main())

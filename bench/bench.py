#!/usr/bin/env python3
"""`make bench`: what docs/performance.md claims, measured again.

Workloads A (sync), B (hot rows), C (one record) and G (guarded tables), ours against what a good hand writes in C on the same
engine in the same run. Says what missed its goal; the exit code is 1 only where a contender failed or left wrong data.

Leaves measuring to contender (C), and the choice of contenders to workload_*.py."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import figures
import places
import workload_a
import workload_b
import workload_c
import workload_g

ENGINES = ["postgresql", "mariadb", "sqlite"]
WORKLOADS = {"A": workload_a, "B": workload_b, "C": workload_c, "G": workload_g}


class Failed(Exception):
    """A contender that failed, or whose result was wrong."""


class Run:
    """The options, and how programs are started."""

    Failed = Failed

    def __init__(self, args):
        self.source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.build = os.path.abspath(args.build)
        self.smoke = args.smoke
        self.pairs = args.pairs or (1 if args.smoke else 5)
        self.lines = 1000 if args.smoke else 100_000
        self.asked_rows = [1000] if args.smoke else args.rows
        self.long = args.long
        self.hot_ms = 100 if args.smoke else 1500
        self.orm_records = 100 if args.smoke else 2000
        self.pythons = {}
        self.calls = 50 if args.smoke else 2000
        self.postgres = os.environ.get("AMEND_TEST_POSTGRES")
        self.mariadb = os.environ.get("AMEND_TEST_MARIADB")
        self.folder = os.path.join(args.folder or self.build, f"bench.{os.getpid()}")
        self.tmp = os.path.join(self.folder, "tmp")
        os.makedirs(self.tmp)
        # what is built meanwhile does not change what is measured
        for name in ("amend", "bench/contender"):
            shutil.copy2(os.path.join(self.build, name), self.folder)
        self.limit = 60 if args.smoke else 1800
        self.places = []
        if "postgresql" in args.engine:
            if self.postgres:
                self.places.append(places.Postgres(self))
            else:
                print("bench: no server: PostgreSQL is left out (hint: make bench)", file=sys.stderr)
        if "mariadb" in args.engine:
            if self.mariadb:
                self.places.append(places.Mariadb(self))
            else:
                print("bench: no server: MariaDB is left out (hint: make bench)", file=sys.stderr)
        if "sqlite" in args.engine:
            self.places.append(places.Sqlite(self))

    def rows(self, place):
        """The sizes of the table that the same feed is read into."""
        return self.asked_rows or [n for n in (100_000, 1_000_000) if n <= place.most_rows or self.long]

    def growth(self, place):
        """The sizes of feed and table together."""
        if self.asked_rows:
            return []
        return [n for n in (10_000, 100_000, 1_000_000) if n <= place.most_rows or self.long] + [10_000_000] * self.long

    def program(self, name):
        return os.path.join(self.folder, name)

    def start(self, command):
        env = dict(os.environ, TMPDIR=self.tmp, SQLITE_TMPDIR=self.tmp)
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=self.limit,
                                  check=False)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{' '.join(command[1:3])}: not done after {self.limit} seconds") from late
        if done.returncode != 0:
            raise Failed(f"{' '.join(command[1:3])}: {(done.stderr or done.stdout).strip()[-300:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def contender(self, name, **words):
        """One measurement by our own program: {"seconds": ...} and what else it tells."""
        return self.start([self.program("contender"), name]
                          + [f"{key}={value}" for key, value in words.items()])

    def command(self, *words, watch=False):
        """The command amend, from its start to its end."""
        return self.start([self.program("contender"), "spawn", f"tmp={self.tmp if watch else ''}",
                           "--", self.program("amend"), *words])

    def python_for(self, what, engine):
        """An interpreter that has Django or sqlite-utils: ours, or the system's. None: that contender does not join."""
        module = ("sqlite_utils" if what == "sqlite-utils"
                  else "django, MySQLdb" if engine == "mariadb" else "django, psycopg2")
        if module not in self.pythons:
            self.pythons[module] = next(
                (python for python in (sys.executable, "/usr/bin/python3") if os.path.exists(python)
                 and subprocess.run([python, "-c", f"import {module}"], capture_output=True,
                                    check=False).returncode == 0), None)
        return self.pythons[module]

    def close(self):
        for place in self.places:
            place.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def arguments():
    parser = argparse.ArgumentParser(prog="make bench BENCH='...'", description=__doc__.split("\n\n")[1])
    parser.add_argument("--build", default="build", help="the build folder")
    parser.add_argument("--only", action="append", choices=sorted(WORKLOADS), help="a workload (default: all)")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: all")
    parser.add_argument("--rows", action="append", type=int, help="A: rows of the table, and no growth")
    parser.add_argument("--pairs", type=int, help="measurements of each figure (default: 5)")
    parser.add_argument("--long", action="store_true", help="A: growth up to 10,000,000 lines (half an hour)")
    parser.add_argument("--smoke", action="store_true", help="tiny, once: only whether all results are right")
    parser.add_argument("--folder", help="where databases are made: on a disk (default: the build folder)")
    parser.add_argument("--json", metavar="FILE", help="the figures, for bench/report.py")
    args = parser.parse_args()
    args.engine = args.engine or ENGINES
    return args


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was made is removed
    began = time.monotonic()
    run = Run(args)
    book = figures.Book(quiet=args.smoke)
    try:
        about = figures.machine(run)
        about["engines"] = {place.name: place.version for place in run.places}
        about["pairs"] = run.pairs
        for name in args.only or sorted(WORKLOADS):
            WORKLOADS[name].measure(run, book)
    finally:
        run.close()
    about["minutes"] = round((time.monotonic() - began) / 60, 1)
    if args.json:
        book.write(args.json, about)
    missed, failed = book.missed(), book.failed()
    if args.smoke:
        print(f"bench: {len(book.figures)} figures, {len(failed)} failed")
    else:
        print(f"\n{len(missed)} goals missed, {len(failed)} contenders failed; {about['minutes']} minutes, "
              f"load {about['load']} at the start")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

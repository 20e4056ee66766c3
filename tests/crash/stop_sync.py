#!/usr/bin/env python3
"""Ctrl-C of a sync at any moment: its chunk is finished, what is said to be in is in, a rerun does the rest.

    stop_sync.py AMEND ENGINE

Speaks TAP. Where another program holds what the chunk waits for, the chunk is given a second, or
until the next signal. AMEND_TEST_KILLS says how often at a moment by the clock (default 15, on MariaDB 8).
"""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from kill_sync import Mariadb, Postgres, Sqlite, engines

RECORDS = 12000
BATCH = 400
SCHEMA = "CREATE TABLE page (id {serial}, code {text} UNIQUE, title {text})"


class Stops:
    def __init__(self, amend, engine, folder):
        self.amend, self.engine = amend, engine
        self.feed = os.path.join(folder, "feed.csv")
        self.number = self.failed = self.cut = 0
        with open(self.feed, "w", encoding="utf-8") as file:
            file.write("code,title\n")
            file.writelines(f"c{i},title {i}\n" for i in range(RECORDS))
        engine.prepared([SCHEMA.format(serial=engine.serial, text=engine.text)])

    def start(self, *options):
        return subprocess.Popen(
            [self.amend, "sync", self.feed, self.engine.url, "page", "--match", "code", "--quiet", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self):
        self.engine.settle()
        return self.engine.rows(["count(*)"], "page")[0][0]

    def say(self, what, faults):
        self.number += 1
        self.failed += bool(faults)
        print("not ok" if faults else "ok", self.number, "-", what, flush=True)
        for fault in faults:
            print("#", fault)

    def ended(self, process, number, atomic):
        """What it says is what is; a rerun does the rest."""
        text = process.communicate()[1]
        rows, faults = self.rows(), []
        said = re.search(r"(\d+) of \d+ records are in", text)
        if process.returncode == 0:
            expected = RECORDS
        elif process.returncode == 128 + number:
            expected = int(said[1]) if said else 0
            self.cut += 0 < expected < RECORDS
            if not said and "nothing was written" not in text and "interrupted" not in text:
                faults.append(f"it does not say what is in: {text}")
        elif process.returncode == -number and not text:
            expected = rows  # so early that nothing listens yet, or so late that all is done
            if rows not in (0, RECORDS):
                faults.append(f"killed with {rows} rows in")
        else:
            return rows, [f"exit {process.returncode}: {text}"]
        if rows != expected or text.count("\n") > 1:
            faults.append(f"{rows} rows are in, it said: {text}")
        if atomic and rows not in (0, RECORDS):
            faults.append(f"{rows} rows are in, and it was to be all or nothing")
        again = self.start()
        text = again.communicate()[1]
        if again.returncode != 0 or self.rows() != RECORDS:
            faults.append(f"the second run: exit {again.returncode}, {self.rows()} rows: {text}")
        return rows, faults

    def took(self):
        self.engine.fresh()
        begun = time.monotonic()
        if self.start("--batch", str(BATCH)).wait() != 0:
            raise SystemExit("a run that is not stopped failed")
        return time.monotonic() - begun

    def stop_after(self, seconds, number, *options):
        self.engine.fresh()
        process = self.start(*options)
        time.sleep(seconds)
        process.send_signal(number)
        rows, faults = self.ended(process, number, "--atomic" in options)
        name = signal.Signals(number).name
        self.say(f"{name} after {seconds * 1000:.0f} ms {' '.join(options)}: {rows} records were in", faults)

    def stop_waiting(self, twice):
        """Another program holds what it waits for."""
        self.engine.fresh()
        self.start().communicate()
        self.engine.prepared_copy(["DELETE FROM page WHERE id > 1", "UPDATE page SET title = 'to be written'"])
        release = self.engine.hold("page")
        process = self.start("--adopt", "incoming", "--source", "other")
        self.engine.await_waiting()
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        if twice:
            time.sleep(0.4)
            process.send_signal(signal.SIGINT)
        text = process.communicate(timeout=20)[1]
        took = time.monotonic() - begun
        release()
        faults = []
        if process.returncode != 130 or self.rows() != 1:
            faults.append(f"exit {process.returncode}, {self.rows()} rows: {text}")
        if not (took < 0.95 if twice else 0.9 <= took < 5):
            faults.append(f"it took {took:.2f} s")
        self.say(f"waiting for a lock, {'a second signal' if twice else 'a second'} ends it", faults)


class HoldingSqlite(Sqlite):
    def await_waiting(self):
        """Nobody tells who waits for SQLite's lock: by then it does."""
        time.sleep(4)

    def prepared_copy(self, statements):
        connection = sqlite3.connect(self.url)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def hold(self, _table):
        connection = sqlite3.connect(self.url, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")

        def release():
            connection.execute("ROLLBACK")
            connection.close()

        return release


def until(waits):
    end = time.monotonic() + 60
    while not waits():
        if time.monotonic() > end:
            raise SystemExit("it does not come as far as to wait")
        time.sleep(0.15)  # InnoDB shows what it showed before to who asks again sooner


class HoldingPostgres(Postgres):
    def await_waiting(self):
        def waits():
            self.ask("SELECT pg_stat_clear_snapshot()")
            blocked = "cardinality(pg_blocking_pids(pid)) > 0"
            return self.ask(f"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {blocked}") != ["0"]

        until(waits)

    def prepared_copy(self, statements):
        for statement in statements:
            self.ask(statement)

    def hold(self, table):
        self.ask("BEGIN")
        self.ask(f"SELECT 1 FROM {table} FOR UPDATE")
        return lambda: self.ask("ROLLBACK")


class HoldingMariadb(Mariadb):
    def await_waiting(self):
        there = "information_schema.processlist p ON p.id = t.trx_mysql_thread_id AND p.db = database()"
        until(lambda: self.ask(f"SELECT count(*) FROM information_schema.innodb_trx t JOIN {there} WHERE t.trx_state = 'LOCK WAIT'") != [("0",)])

    def prepared_copy(self, statements):
        for statement in statements:
            self.ask(statement)

    def hold(self, table):
        self.ask(f"BEGIN; SELECT 1 FROM {table} FOR UPDATE")
        return lambda: self.ask("ROLLBACK")


ENGINES = {"sqlite": HoldingSqlite, "postgresql": HoldingPostgres, "mariadb": HoldingMariadb}


def main():
    amend, name = sys.argv[1:3]
    engines.skip_without_server(name)
    times = int(os.environ.get("AMEND_TEST_KILLS") or min(15, ENGINES[name].kills))
    seed = int(os.environ.get("AMEND_TEST_SEED") or time.time_ns() % 1000000)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        engine = ENGINES[name](folder)
        try:
            stops = Stops(os.path.abspath(amend), engine, folder)
            took = stops.took()
            print(f"# {name}: seed {seed}, a run takes {took * 1000:.0f} ms", flush=True)
            for i in range(times):
                number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[i % 3]
                options = ["--atomic"] if i % 5 == 4 else ["--batch", str(BATCH)]
                stops.stop_after(took * (i + chance.random()) / times, number, *options)
            stops.say("some were stopped between two chunks", [] if stops.cut else ["none was"])
            stops.stop_waiting(False)
            stops.stop_waiting(True)
        finally:
            engine.end()
    print(f"1..{stops.number}")
    return stops.failed > 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""How throughput grows with the number of databases that the work is spread over: docs/scale.md has the table.

    tools/servers run --durable -- python3 bench/partitions.py build/tests/racer

WRITERS processes add 1 to a record (one in each database, which has a ledger of its own); all databases are on one server, so what is
seen is what one record's lock costs, and where the processors end. A COMMIT that waits (for a standby, another region, a disk) is
simulated: a deferred trigger sleeps in it while the record is held. The model: a database does one after the other, so
rate(p) = p * rate(1), until the writers are fewer than what could be under way, or the processors are busy.
Leaves servers of their own, and networks, out.
"""

import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

WRITERS = 16
SECONDS = 3
WARM_S = 0.5
DATABASES = (1, 2, 4, 8, 16)
COMMIT_MS = (0, 5, 20)
ENTRY = struct.Struct("=IIIIQQ")  # tests/race/racer.h

SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({}); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON counter DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
"""


def psql(url, sql):
    subprocess.run(["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", url], input=sql, check=True, text=True, stdout=subprocess.DEVNULL)


def url_of(server, name):
    return re.sub(r"(//[^/]*/)[^?]*", rf"\g<1>{name}", server)


def measure(racer, server, n, commit_ms):
    urls = [url_of(server, f"part{i}") for i in range(n)]
    for i, url in enumerate(urls):
        psql(server, f"DROP DATABASE IF EXISTS part{i} WITH (FORCE)")
        psql(server, f"CREATE DATABASE part{i}")
        psql(url, "CREATE TABLE counter (id integer PRIMARY KEY, n bigint NOT NULL); INSERT INTO counter VALUES (1, 0)")
        psql(url, SLOW.format(commit_ms / 1000) if commit_ms else "")
    with tempfile.TemporaryDirectory() as folder:
        logs = [os.path.join(folder, str(i)) for i in range(WRITERS)]
        words = [[racer, urls[i % n], log, str(i + 1), "1", "add", "0"] for i, log in enumerate(logs)]
        writers = [subprocess.Popen(w, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for w in words]
        for writer in writers:
            if writer.stdout.read(1) != b"r":
                raise SystemExit("a writer did not come to the start")
        for writer in writers:
            writer.stdin.close()
        begun = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 + int(WARM_S * 1e6)
        time.sleep(WARM_S + SECONDS)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
        done = 0
        for log in logs:
            with open(log, "rb") as file:
                whole = file.read()
            for before, status, _, _, _, ended in ENTRY.iter_unpack(whole[: len(whole) // ENTRY.size * ENTRY.size]):
                done += not before and status == 0 and begun <= ended < begun + SECONDS * 1e6
    return done / SECONDS


def main():
    racer, server = os.path.abspath(sys.argv[1]), os.environ["AMEND_TEST_POSTGRES"]
    print(f"{WRITERS} writers, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print("| COMMIT takes | databases | writes a second | model | of the model |\n|---|---|---|---|---|", flush=True)
    for commit_ms in COMMIT_MS:
        one = None
        for n in DATABASES:
            rate = measure(racer, server, n, commit_ms)
            one = one or rate
            print(f"| {f'{commit_ms} ms longer' if commit_ms else 'what it takes'} | {n} | {rate:.0f} | {n * one:.0f} | {rate / (n * one):.2f} |", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A primary that dies and a standby that takes over, at the moments that matter, each brought about and not waited for. Speaks TAP.

    tools/servers run --standby -- standby_test.py AMEND RACER

Leaves many writers, and moments of chance, to standby_load.py.
"""

import os
import struct
import subprocess
import sys

from pair import contains, ended, interrupt, run, same, skip_without_servers, until

RACER = os.path.abspath(sys.argv[2])
UNKNOWN = 7
LIBRARY, SET = "a write of the library", "set"
ADDS_TO = {LIBRARY: 1, SET: 2}  # those without an id: a repetition may be one too many
READ_BACK = "SELECT string_agg(id || '=' || n, ' ' ORDER BY id) FROM counter"
CHANGES = "SELECT count(*) FROM amend.change WHERE tbl = 'counter'"


def prepare(pair, _):
    pair.sql(pair.primary, "CREATE TABLE counter (id integer PRIMARY KEY, n bigint NOT NULL)")
    pair.sql(pair.primary, "INSERT INTO counter SELECT g, 0 FROM generate_series(1, 4) g")
    same(pair.run(pair.url, "init {url}")[0], 0, "init")


def a_standby_refuses(pair, folder):
    url = pair.url_of(pair.standby)
    feed = os.path.join(folder, "feed.csv")
    with open(feed, "w", encoding="utf-8") as file:
        file.write("id,n\n1,7\n")
    for line in ("set {url} counter id=1 n+=1", "delete {url} counter id=1", "sync {feed} {url} counter --match id --adopt incoming", "set {url} counter id=1 n=3 --once x"):
        code, said = pair.run(url, line, feed=feed)
        same(code, 1, line)
        contains(said, "this server is a standby and takes no writes (hint: ")
        same(said.count("\n"), 1, f"lines of {said!r}")
    same(pair.run(url, "get {url} counter id=1")[0], 0, "reading from a standby")
    contains(pair.run(url, "check {url}")[1], "recovery: this server is a standby")
    contains(pair.run(pair.url, "check {url}")[1], "commits wait for a standby", "5431 is a primary, on timeline 1\n", "5432 is a standby")
    same(pair.sql(pair.primary, READ_BACK), "1=0 2=0 3=0 4=0", "what is there")


def the_primary_is_found(pair, _):
    """Wherever it stands among the hosts; and a standby alone is not it."""
    for more in ("", "&target_session_attrs=read-write"):
        for hosts in ((pair.primary, pair.standby), (pair.standby, pair.primary)):
            same(pair.run(pair.url_of(*hosts, more=more), "set {url} counter id=4 n+=1")[0], 0, f"{hosts} {more}")
    same(pair.sql(pair.primary, READ_BACK), "1=0 2=0 3=0 4=4", "what is there")
    code, said = pair.run(pair.url_of(pair.standby, more="&target_session_attrs=read-write"), "set {url} counter id=4 n+=1")
    same(code, 1, "a standby alone")
    contains(said, "session is read-only")


def an_interrupted_commit(pair, _):
    """It is in on the primary alone: were it called done, a standby that takes over would have lost it."""
    # Nor for a role that wants no warnings.
    pair.sql(pair.primary, "ALTER ROLE CURRENT_USER SET client_min_messages = error")
    pair.node(pair.standby, "freeze")
    try:
        setting = pair.start(pair.url, "set {url} counter id=4 n+=1 --once ctrl-c")
        pair.await_commits(1)
        code, said = interrupt(setting)
        # Nor is its answer given again, before the standby has it.
        again = pair.start(pair.url, "set {url} counter id=4 n+=1 --once ctrl-c")
        pair.await_commits(1)
    finally:
        pair.node(pair.standby, "thaw")
    pair.sql(pair.primary, "ALTER ROLE CURRENT_USER RESET client_min_messages")
    same(code, 7, said)
    contains(said, "the wait for its standby to have it too was interrupted")
    same(ended(again)[0], 0, "again")
    same(pair.sql(pair.primary, READ_BACK), "1=0 2=0 3=0 4=5", "what is there")


def at_once(pair, folder):
    """One of each kind of commit, under way: (name, process, how it is asked for again)."""
    log = os.path.join(folder, f"racer-{pair.primary}")
    feed = os.path.join(folder, f"new-{pair.primary}.csv")
    with open(feed, "w", encoding="utf-8") as file:
        file.write(f"id,n\n{100 + pair.primary},0\n")
    library = [RACER, pair.url, log, "1", "1", "add", "1"]
    yield LIBRARY, subprocess.Popen(library, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True), "set {url} counter id=1 n+=1"
    for name, line in (
        (SET, "set {url} counter id=2 n+=1"),
        ("set --once", f"set {{url}} counter id=3 n+=1 --once order-{pair.primary}"),
        ("sync", f"sync {feed} {{url}} counter --match id --quiet"),
    ):
        yield name, pair.start(pair.url, line), line


def added(pair):
    """What those without an id add to, by name."""
    return {name: pair.sql(pair.primary, f"SELECT n FROM counter WHERE id = {row}") for name, row in ADDS_TO.items()}


def all_resolved(pair, folder, under_way, log, before):
    """Each is done, once. Where it was late it may not be known: whoever asked looks whether it is in, and asks again if not."""
    for name, process, line in under_way:
        code, said = ended(process)
        if name == LIBRARY:
            same(code, 0, said)
            with open(os.path.join(folder, log), "rb") as file:
                entries = list(struct.iter_unpack("=IIIIQQ", file.read()))
            same([entry[0] for entry in entries], [1, 0], "calls of the library")
            code = entries[1][1] and (UNKNOWN if pair.late else -1)
        if pair.late and code == UNKNOWN:
            print(f"# {name}: nobody knew")
            code = 0
            if before.get(name) == added(pair).get(name):
                code, said = pair.run(pair.url, line)
        same((name, code), (name, 0), said)
    code, said = pair.run(pair.url, "set {url} counter id=3 n+=1 --once order-{n}", n=log[-1])
    same(code, 0, said)
    contains(said, "answered before")


def nothing_had_arrived(pair, folder):
    """Four commits hang for the standby, which has nothing of them: each is done once more, by whoever asked for it."""
    pair.node(pair.primary, "hold")
    log, before = f"racer-{pair.primary}", added(pair)
    processes = list(at_once(pair, folder))
    pair.await_commits(4)
    pair.kill()
    pair.take_over()
    all_resolved(pair, folder, processes, log, before)
    same(pair.sql(pair.primary, READ_BACK), "1=1 2=1 3=1 4=5 101=0", "what is there")
    same(pair.sql(pair.primary, CHANGES), "9", "changes in history")
    pair.rejoin()


def all_had_arrived(pair, folder):
    """The standby has got what hangs, and only the answers were lost: nothing is done twice."""
    pair.node(pair.standby, "freeze")
    log, before = f"racer-{pair.primary}", added(pair)
    processes = list(at_once(pair, folder))
    pair.await_commits(4)
    flushed = pair.sql(pair.primary, "SELECT pg_current_wal_flush_lsn()")
    pair.kill()
    pair.node(pair.standby, "thaw")
    until("the standby has all", lambda: pair.sql(pair.standby, f"SELECT pg_last_wal_receive_lsn() >= '{flushed}'") == "t")
    pair.take_over()
    all_resolved(pair, folder, processes, log, before)
    same(pair.sql(pair.primary, READ_BACK), "1=2 2=2 3=2 4=5 101=0 102=0", "what is there")
    same(pair.sql(pair.primary, CHANGES), "13", "changes in history")


if __name__ == "__main__":
    skip_without_servers()
    run(
        [
            ("a table, and the ledger, on both", prepare),
            ("a standby refuses to write, in one clear line", a_standby_refuses),
            ("of several hosts the primary is found", the_primary_is_found),
            ("a COMMIT that was not waited for to the end is not called done", an_interrupted_commit),
            ("the primary dies, its standby has nothing of four commits: each is done, once", nothing_had_arrived),
            ("the primary dies, its standby has all of four commits: each is done, once", all_had_arrived),
        ]
    )

#!/usr/bin/env python3
"""Commands where nothing may be written, or there is no room: one clear line, nothing is changed, and done once it may be. Speaks TAP.

    denied_at.py AMEND ENGINE

For each of set, sync, revert and resolve (commands.py), on

    sqlite      a file, a folder, a file system that is read-only; a disk that is full, or nearly (a small tmpfs); with a journal and with a WAL
    postgresql  a role that may not write the table, or the ledger; default_transaction_read_only, in spite of which amend writes
    mariadb     a user who may not write the table, or the ledger

What the command says is judged as in fail_at.py. A server that is read-only as a whole is tried by server_at.py.
"""

import contextlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

from commands import CHANGES, Stage
from engines import Sqlite, open_engine, skip_without_server
from fail_at import Fails

DENIED = 1
# Root, too, is to be told by a file's mode that it may not be written.
WITHOUT_POWER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
UNSHARED = "AMEND_TEST_UNSHARED"
NEARLY = (0, 4096, 8192, 20480, 40960, 65536)  # bytes that are left


class Situation:
    """`kinds`: what is tried in it, one after the other; `outcome`: the exit that must follow; None: any that is true."""

    kinds = ("",)
    outcome = DENIED
    prefix = []

    def __init__(self, engine):
        self.engine = engine

    @contextlib.contextmanager
    def on(self, _kind):
        yield


# --- SQLite ---


class File(Situation):
    name = "a file that is read-only"
    prefix = WITHOUT_POWER if os.getuid() == 0 else []

    def path(self):
        return self.engine.url

    @contextlib.contextmanager
    def on(self, _kind):
        mode = stat.S_IMODE(os.stat(self.path()).st_mode)
        os.chmod(self.path(), mode & ~0o222)
        try:
            yield
        finally:
            os.chmod(self.path(), mode)


class Folder(File):
    name = "a folder that is read-only"

    def path(self):
        return self.engine.folder


class FileSystem(Situation):
    name = "a file system that is read-only"

    @contextlib.contextmanager
    def on(self, _kind):
        subprocess.run(["mount", "-o", "remount,ro", self.engine.folder], check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", self.engine.folder], check=True)


class Full(Situation):
    name = "a disk that is full"
    kinds = NEARLY
    outcome = None

    @contextlib.contextmanager
    def on(self, kind):
        path = os.path.join(self.engine.folder, "filler")
        with open(path, "wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(bytes(4096)):
                    pass
            filler.truncate(max(0, filler.tell() - kind))
        try:
            yield
        finally:
            os.unlink(path)


class Wal(Sqlite):
    def fresh(self):
        super().fresh()
        self.ask("PRAGMA journal_mode = WAL")


def may_mount():
    """In a space of mounts of its own, where it has one."""
    if os.environ.get(UNSHARED):
        return True
    unshare = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False).returncode == 0:
        os.environ[UNSHARED] = "1"
        os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
    return False


@contextlib.contextmanager
def on_sqlite(folder):
    """(situation, why it is left out) for each."""

    def all_of_them():
        for kind in (Sqlite, Wal):
            for situation in (File, Folder):
                place = os.path.join(folder, f"{kind.__name__}-{situation.__name__}")
                os.mkdir(place)
                yield from one(situation, kind, place)
            for situation in (FileSystem, Full):
                yield from one(situation, kind, small)

    def one(situation, kind, place):
        if not place:
            yield situation(None), "no file system may be mounted here"
            return
        engine = kind(place)
        yield situation(engine), None
        engine.end()

    small = None
    if may_mount():
        small = os.path.join(folder, "small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        yield all_of_them()
    finally:
        if small:
            subprocess.run(["umount", small], check=True)


# --- servers ---


class Role(Situation):
    """Somebody with an account of his own: `tables` are those that he may write."""

    def __init__(self, engine, name, may_write):
        super().__init__(engine)
        self.name, self.may_write = name, may_write
        self.role = f"rig_{os.getpid()}_{'_'.join(may_write)}"[:30]

    def tables(self):
        """(name, whether he may write it)"""
        if self.engine.name == "postgresql":
            rows = self.engine.ask("SELECT format('%I.%I', schemaname, tablename) AS t FROM pg_tables WHERE schemaname IN ('public', 'amend')")
        else:
            rows = self.engine.ask("SELECT table_name FROM information_schema.tables WHERE table_schema = database()")
        for (table,) in rows:
            yield table, ("ledger" if "amend" in table else "page") in self.may_write

    @contextlib.contextmanager
    def on(self, _kind):
        direct = self.engine.url
        if self.engine.name == "postgresql":
            self.engine.ask(f"CREATE ROLE {self.role} LOGIN; GRANT USAGE ON SCHEMA amend TO {self.role}; "
                            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA amend TO {self.role}")
            url = direct.replace("user=amend", f"user={self.role}")
            who, undo = self.role, f"DROP OWNED BY {self.role}; DROP ROLE {self.role}"
        else:
            who = f"{self.role}@localhost"
            self.engine.ask(f"CREATE USER {who}")
            url = re.sub(r"//[^@]*@", f"//{self.role}@", direct)
            undo = f"DROP USER {who}"
        assert url != direct
        try:
            for table, writes in self.tables():
                self.engine.ask(f"GRANT {'SELECT, INSERT, UPDATE, DELETE' if writes else 'SELECT'} ON {table} TO {who}")
            self.engine.url = url
            yield
        finally:
            self.engine.url = direct
            self.engine.settle()
            self.engine.ask(undo)


class DefaultReadOnly(Situation):
    """docs: amend asks for writing where it writes."""

    name = "default_transaction_read_only"
    outcome = 0

    @contextlib.contextmanager
    def on(self, _kind):
        setting = f"ALTER DATABASE {self.engine.database} {{}} default_transaction_read_only"
        self.engine.ask(setting.format("SET") + " = on")
        try:
            yield
        finally:
            self.engine.ask("SET default_transaction_read_only = off; " + setting.format("RESET"))


@contextlib.contextmanager
def on_server(name, folder):
    engine = open_engine(name, folder)
    found = [
        (Role(engine, "a role that may not write the table", ["ledger"]), None),
        (Role(engine, "a role that may not write the ledger", ["page"]), None),
    ]
    if name == "postgresql":
        found.append((DefaultReadOnly(engine), None))
    try:
        yield found
    finally:
        engine.end()


# --- the test ---


class Denied(Fails):
    """A fault is a kind of the situation, which stands while the command runs."""

    def __init__(self, stage, situation):
        # pylint: disable=super-init-not-called # nothing is loaded into the command
        self.stage, self.situation, self.number, self.told = stage, situation, 0, None

    def run(self, words, fault):
        with self.situation.on(fault):
            self.stage.prefix = self.situation.prefix
            try:
                code, _, said = self.stage.run(*words)
            except subprocess.TimeoutExpired:
                code, said = None, "it does not end"
            finally:
                self.stage.prefix = []
            return code, said, []

    def all_of(self, change):
        """(how many were refused, what is wrong with which)"""
        refused, faults = 0, []
        expected = change.exit if self.situation.outcome == 0 else self.situation.outcome
        for kind in self.situation.kinds:
            _, wrong = self.one(change, kind)
            faults += wrong
            refused += self.told == DENIED
            if expected is not None and self.told != expected:
                faults.append(f"exit {self.told}")
        return refused, faults


class Tap:
    """Tests as they come; the plan is at the end."""

    def __init__(self, engine):
        self.engine, self.number, self.failed = engine, 0, False

    def say(self, what, faults, note, skip=None):
        self.number += 1
        if skip and os.environ.get("CI") == "true":
            faults = [skip]
        self.failed = self.failed or bool(faults)
        ok = "not ok" if faults else "ok"
        print(ok, self.number, "-", f"{self.engine}: {what}" + (f" # SKIP {skip}" if skip and not faults else ""))
        print(f"# {note}", flush=True)
        for text in faults[:10]:
            print("#", text.replace("\n", "\n#   "), flush=True)

    def end(self):
        print(f"1..{self.number}")
        return self.failed


def try_all(amend, situation, tap):
    stage = Stage(amend, situation.engine)
    try:
        for change in [change() for change in CHANGES if stage.syncs or change.name != "sync"]:
            begun = time.monotonic()
            refused, faults = Denied(stage, situation).all_of(change)
            if situation.outcome != 0 and refused == 0:
                faults.append("none was refused")
            tap.say(
                f"{change.name}: {situation.name}, {type(situation.engine).__name__.lower()}", faults,
                f"{refused} of {len(situation.kinds)} refused, {time.monotonic() - begun:.1f} s",
            )
    finally:
        shutil.rmtree(stage.folder)


def main():
    amend, name = os.path.abspath(sys.argv[1]), sys.argv[2]
    skip_without_server(name)
    if name == "sqlite":
        may_mount()
    tap = Tap(name)
    with tempfile.TemporaryDirectory(prefix="amend-denied-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        with on_sqlite(folder) if name == "sqlite" else on_server(name, folder) as situations:
            for situation, lacks in situations:
                if lacks:
                    tap.say(situation.name, [], "", lacks)
                else:
                    try_all(amend, situation, tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())

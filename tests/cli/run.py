#!/usr/bin/env python3
"""The command from outside: runs a file of cases on one engine. Speaks TAP.

    run.py AMEND ENGINE FILE [NAME]     NAME: only cases whose name contains it

A file of cases holds, in this order, comments, SQL that each case begins with,
and cases; each case has a database and a folder of its own:

    # comment
    == sql
    CREATE TABLE stock (sku integer PRIMARY KEY, qty integer);

    == what is promised
    $ amend get "$DB" stock sku=42      a shell command; below it what it must print:
    found stock sku=42                  standard output
    ! amend: ...                        standard error
    ? 4                                 exit status; 0 when it is not given
    sql> SELECT qty FROM stock          what another program does; below it its rows: 1|NULL
    hold> UPDATE stock SET qty = 0      the same, in a transaction that stays open until
    release>
    <<< in.csv                          a file in the case's folder, up to
    >>>

A line that begins with [sqlite], [postgresql] or [mariadb], or several as in [sqlite,mariadb], is for
those only; so is a case whose name ends that way. In what is expected:

    {any} {n} {seconds} {time} {token} {version}  stand for what they say (a conflict's version)
    {token:A}                           and makes it $A in the commands that follow
    {db}                                the database, quoted or not as a shell needs it

$DB is the database; $NOBODY in front of a command runs it without root's
rights; $DB_ROLE is the database as seen by a role without rights, $ROLE
(PostgreSQL). AMEND_TEST_POSTGRES, AMEND_TEST_MARIADB and AMEND_TEST_TMP are as for the other tests.
"""

import difflib
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import urllib.parse

PATTERNS = {
    "any": r".*",
    "n": r"\d+",
    "seconds": r"\d+(?:\.\d+)?(?:e-\d+)?",
    "time": r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?: UTC|Z)?",
    "token": r"[A-Za-z0-9._~+/=-]{16,}",
    "version": r"[0-9a-f]{12}",
}


class Failure(Exception):
    pass


# --- the file ---


class Step:
    def __init__(self, kind, text, number):
        self.kind, self.text, self.number = kind, text, number
        self.expected = []


class Case:
    def __init__(self, name):
        self.name, self.steps = name, []


ENGINES = r"\[((?:(?:sqlite|postgresql|mariadb),?)+)\]"


def for_engine(line, engine):
    """The line without its engine, or None when it is another's."""
    match = re.match(rf"{ENGINES} ?(.*)$", line, re.S)
    if not match:
        return line
    return match[2] if engine in match[1].split(",") else None


def read_cases(path, engine):
    setup, cases, block = [], [], None
    section = None
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    for number, line in enumerate(lines, 1):
        line = for_engine(line, engine)
        if line is None:
            continue
        if block is not None:
            if line == ">>>":
                block = None
            else:
                block.append(line)
        elif line.startswith("== "):
            name = line[3:].strip()
            match = re.match(rf"(.*?) *{ENGINES}$", name)
            section = Case(match[1] if match else name)
            if name == "sql":
                section = setup
            elif not match or engine in match[2].split(","):
                cases.append(section)
        elif section is None or section is setup:
            if section is setup:
                setup.append(line)
        elif line.startswith("<<< "):
            step = Step("file", line[4:], number)
            section.steps.append(step)
            block = step.expected
        elif re.match(r"\$ |sql> |hold> |release>", line):
            kind, _, text = line.partition(" ")
            section.steps.append(Step(kind.rstrip(">"), text, number))
        elif section.steps and section.steps[-1].kind != "file":
            section.steps[-1].expected.append(line)
        elif line and not line.startswith("#"):
            raise SystemExit(f"{path}:{number}: what is this line for? {line}")
    for case in cases:
        for step in case.steps:
            # blank lines and comments part the steps
            while step.kind != "file" and step.expected:
                last = step.expected[-1]
                if last and not last.startswith("# "):
                    break
                step.expected.pop()
    return "\n".join(setup), cases


# --- the engines, as another program uses them ---


def cell(value):
    if value is None:
        return "NULL"
    return value.hex() if isinstance(value, bytes) else str(value)


class Sqlite:
    def __init__(self):
        self.db, self.role_db, self.held = "app.db", "", None

    def begin(self, folder, setup):
        self.path = os.path.join(folder, "app.db")
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.executescript("PRAGMA journal_mode = WAL;" + setup)
        connection.close()

    def run(self, sql):
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        try:
            return ["|".join(map(cell, row)) for row in connection.execute(sql)]
        finally:
            connection.close()

    def hold(self, sql):
        self.held = sqlite3.connect(self.path, isolation_level=None)
        self.held.execute("BEGIN IMMEDIATE")
        self.held.execute(sql)

    def release(self):
        if self.held:
            self.held.execute("ROLLBACK")
            self.held.close()
        self.held = None

    def end(self):
        pass


class Postgres:
    def __init__(self, url):
        self.server, self.held = url, None
        self.name = f"amend_cli_{os.getpid()}"
        self.role = self.name + "_role"
        self.psql(url, f"CREATE DATABASE {self.name}")
        self.psql(url, f"CREATE ROLE {self.role} LOGIN")
        server, query = re.fullmatch(r"(\w+://[^/?]*)(?:/[^?]*)?(?:\?(.*))?", url).groups()
        self.db = f"{server}/{self.name}?{query or ''}".rstrip("?")
        server = re.sub(r"//.*@", "//", server)
        settings = [s for s in (query or "").split("&") if s and not s.startswith("user=")]
        self.role_db = f"{server}/{self.name}?" + "&".join(settings + ["user=" + self.role])

    @staticmethod
    def psql(url, sql):
        done = subprocess.run(
            ["psql", "-X", "-Atq", "-w", "-v", "ON_ERROR_STOP=1", "-P", "null=NULL", url],
            input="SET client_min_messages = warning;" + sql,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise Failure(f"{sql}\n{done.stderr}")
        return done.stdout.splitlines()

    def begin(self, _folder, setup):
        self.psql(
            self.db,
            "DROP SCHEMA IF EXISTS amend CASCADE; DROP SCHEMA public CASCADE;"
            "CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO public;" + setup,
        )

    def run(self, sql):
        return self.psql(self.db, sql)

    def hold(self, sql):
        self.held = subprocess.Popen(
            ["psql", "-X", "-Atq", "-w", self.db],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.held.stdin.write(f"BEGIN;\n{sql};\n\\echo held\n")
        self.held.stdin.flush()
        while self.held.stdout.readline() not in ("held\n", ""):
            pass

    def release(self):
        if self.held:
            self.held.communicate("ROLLBACK;\n")
        self.held = None

    def end(self):
        self.psql(self.server, f"DROP DATABASE {self.name} WITH (FORCE)")
        self.psql(self.server, f"DROP ROLE {self.role}")


class Mariadb:
    """Its own command, which is given standard SQL with a few words of it changed."""

    WORDS = [(r"\btext\b", "varchar(200)"), (r"\bamend\.(?=[a-z])", "amend_"), (r"\bbytea\b", "longblob"),
             (r"\bGENERATED BY DEFAULT AS IDENTITY\b", "AUTO_INCREMENT")]

    def words(self, sql):
        for word, here in self.WORDS:
            sql = re.sub(word, here, sql)
        return f"SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES'; {sql}"

    def __init__(self, url):
        self.name, self.role_db, self.held = f"amend_cli_{os.getpid()}", "", None
        place = urllib.parse.urlsplit(url)
        socket = urllib.parse.parse_qs(place.query)["socket"][0]
        self.command = ["mariadb", "--no-defaults", "-S", socket, "-u", place.username, "-N", "-B", "-n"]
        self.db = f"{place.scheme}://{place.netloc}/{self.name}?{place.query}"

    def ask(self, sql, *database):
        done = subprocess.run([*self.command, *database], input=self.words(sql), capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{sql}\n{done.stderr}")
        return [line.replace("\t", "|") for line in done.stdout.splitlines()]

    def begin(self, _folder, setup):
        self.ask(f"DROP DATABASE IF EXISTS {self.name}; CREATE DATABASE {self.name} CHARACTER SET utf8mb4")
        self.ask(setup, self.name)

    def run(self, sql):
        return self.ask(sql, self.name)

    def hold(self, sql):
        self.held = subprocess.Popen([*self.command, self.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.held.stdin.write(self.words(f"BEGIN;\n{sql};\nSELECT 'held';\n"))
        self.held.stdin.flush()
        while self.held.stdout.readline() not in ("held\n", ""):
            pass

    def release(self):
        if self.held:
            self.held.communicate("ROLLBACK;\n")
        self.held = None

    def end(self):
        self.ask(f"DROP DATABASE IF EXISTS {self.name}")


# --- one case ---


def pattern_of(line, db):
    """What a line of expected output matches, and the names that it captures."""
    pattern, names = "", []
    for part in re.split(r"(\{(?:any|n|seconds|time|token|version|db)(?::[A-Z]+)?\})", line):
        match = re.fullmatch(r"\{(\w+)(?::([A-Z]+))?\}", part)
        if match and match[1] == "db":
            pattern += f"(?:{re.escape(shlex.quote(db))}|{re.escape(db)})"
        elif match and match[1] in PATTERNS:
            pattern += f"({PATTERNS[match[1]]})" if match[2] else f"(?:{PATTERNS[match[1]]})"
            names += [match[2]] if match[2] else []
        else:
            pattern += re.escape(part)
    return pattern, names


def compare(expected, actual, db, environment):
    """A diff, or nothing; what matches is shown as it was expected."""
    shown = list(actual)
    for i, line in enumerate(actual[: len(expected)]):
        pattern, names = pattern_of(expected[i], db)
        match = re.fullmatch(pattern, line)
        if match:
            shown[i] = expected[i]
            environment.update(zip(names, match.groups()))
    return list(difflib.unified_diff(expected, shown, "expected", "found", lineterm="", n=20))


def run_command(step, folder, environment):
    done = subprocess.run(
        ["sh", "-c", step.text],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    lines = []
    for prefix, stream in (("", done.stdout), ("! ", done.stderr)):
        text = stream.decode("utf-8", "backslashreplace")
        lines += [prefix + line for line in text.removesuffix("\n").split("\n") if text]
    if done.returncode != 0:
        lines.append(f"? {done.returncode}")
    return lines


def needs_proc(case):
    return any(
        re.search(r"script -|/dev/(fd/|std)|sync - .*<", step.text) for step in case.steps
    )


def run_case(case, engine, setup, folder, environment):
    engine.begin(folder, setup)
    environment["DB"] = engine.db
    environment["DB_ROLE"] = engine.role_db
    environment["ROLE"] = getattr(engine, "role", "")
    try:
        for step in case.steps:
            text = step.text.replace("$ROLE", environment["ROLE"])
            if step.kind == "file":
                with open(os.path.join(folder, step.text), "w", encoding="utf-8") as file:
                    file.write("".join(line + "\n" for line in step.expected))
                continue
            if step.kind == "hold":
                engine.hold(text)
                continue
            if step.kind == "release":
                engine.release()
                continue
            if step.kind == "sql":
                found = engine.run(text)
            else:
                found = run_command(step, folder, environment)
            # standard error is compared behind standard output, the status last
            order = {"! ": 1, "? ": 2}
            expected = sorted(step.expected, key=lambda line: order.get(line[:2], 0))
            diff = compare(expected, found, engine.db, environment)
            if diff:
                raise Failure(f"line {step.number}: {step.text}\n" + "\n".join(diff))
    finally:
        engine.release()


# --- all cases ---


def nobody(folder):
    """A prefix that takes root's rights away, or None where that cannot be done."""
    if os.getuid() != 0:
        return ""
    prefix = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    works = shutil.which("setpriv") and subprocess.run(
        f"{prefix} sh -c 'cd {folder} && amend version'", shell=True, capture_output=True
    )
    return prefix if works and works.returncode == 0 else None


def main():
    amend, name, path = sys.argv[1:4]
    only = sys.argv[4] if len(sys.argv) > 4 else ""
    setup, cases = read_cases(path, name)
    cases = [case for case in cases if only in case.name]
    for variable in list(os.environ):
        if variable.startswith("PG") or variable in ("NO_COLOR", "AMEND_KEY_FILE"):
            del os.environ[variable]
    os.environ["PATH"] = os.path.dirname(os.path.abspath(amend)) + ":" + os.environ["PATH"]
    os.environ.update(AMEND_AS="tester", LC_ALL="C.UTF-8", TERM="xterm")

    servers = {"postgresql": ("AMEND_TEST_POSTGRES", Postgres), "mariadb": ("AMEND_TEST_MARIADB", Mariadb)}
    if name in servers:
        variable, kind = servers[name]
        url = os.environ.get(variable)
        if not url and os.environ.get("CI") == "true":
            raise SystemExit(f"{variable} is not set (hint: tools/servers run -- ...)")
        if not url:
            print(f"1..0 # SKIP {variable} is not set")
            return 0
        engine = kind(url)
    else:
        engine = Sqlite()

    print(f"1..{len(cases)}")
    failed = 0
    try:
        for number, case in enumerate(cases, 1):
            steps_down = any("$NOBODY" in step.text for step in case.steps)
            # the tests' own folder is root's alone
            place = None if steps_down else os.environ.get("AMEND_TEST_TMP")
            folder = tempfile.mkdtemp(prefix="cli.", dir=place)
            os.chmod(folder, 0o777 if steps_down else 0o700)
            # What a command leaves behind on purpose, as the file of an edit that was not accepted, goes with the case.
            kept = tempfile.mkdtemp(prefix="cli-kept.", dir=place)
            os.chmod(kept, 0o777 if steps_down else 0o700)
            environment = dict(os.environ, HOME=folder, TMPDIR=kept)
            without_root = nobody(folder)
            environment["NOBODY"] = without_root or ""
            what = f"{number} - {name}: {case.name}"
            try:
                if steps_down and without_root is None:
                    print(f"ok {what} # SKIP needs a user who is not root", flush=True)
                    continue
                # a bare chroot has neither descriptors by name nor pseudo-terminals
                if needs_proc(case) and not os.path.exists("/proc/self/fd"):
                    print(f"ok {what} # SKIP needs /proc", flush=True)
                    continue
                run_case(case, engine, setup, folder, environment)
                print(f"ok {what}", flush=True)
            except (Failure, sqlite3.Error, subprocess.TimeoutExpired) as failure:
                failed += 1
                print(f"not ok {what}")
                print("\n".join("# " + line for line in str(failure).split("\n")), flush=True)
            finally:
                for made in (folder, kept):
                    shutil.rmtree(made, ignore_errors=True)
    finally:
        engine.end()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

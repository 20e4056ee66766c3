"""Plain SQL in the engine's own command, psql, mariadb or sqlite3: the whole row is written back.

    sql_client.py as-read    ... version = 7 WHERE id = 1                     as it was read
    sql_client.py where      ... version = 7 + 1 WHERE id = 1 AND version = 7
    sql_client.py count      ... version = 7 + 1 WHERE id = 1
    sql_client.py blind      ... WHERE id = 1                                 it does not know the version
"""

import os
import shutil
import subprocess
import sys
import urllib.parse

from stage import RECORD, Program, Refused, lacks, state

STYLE = sys.argv[1]
for needed, package in (("sqlite3", "sqlite3"), ("psql", "postgresql-client"), ("stdbuf", "coreutils")):
    if not shutil.which(needed):
        lacks(package)


def literal(value):
    return "NULL" if value is None else value if value.isdigit() else "'" + value.replace("'", "''") + "'"


def mariadb(url):
    """Whatever fails, it goes on; rows are shown as they come."""
    place = urllib.parse.urlsplit(url)
    socket = urllib.parse.parse_qs(place.query)["socket"][0]
    return ["mariadb", "--no-defaults", "-S", socket, "-u", place.username, "-N", "-B", "-n", "-f", place.path[1:]]


class Command(Program):
    def open(self, url, name):
        self.postgres, self.mariadb, self.seen = url.startswith("postgresql:"), url.startswith("mariadb:"), None
        command = ["psql", "-X", "-q", "-A", "-t", "-P", "null=NULL", url]
        if self.mariadb:
            command = mariadb(url)
        elif not self.postgres:
            command = ["sqlite3", "-batch", "-list", "-nullvalue", "NULL", url]
        self.child = subprocess.Popen(
            ["stdbuf", "-oL", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PGOPTIONS": f"-c amend.actor={name}"},
        )
        if self.postgres:
            return self.ask("SELECT pg_backend_pid()")[0]
        if self.mariadb:
            self.ask(f"SET @amend_actor = '{name}'")
            return self.ask("SELECT connection_id()")[0]
        self.send(".timeout 20000")
        return "-"

    def close(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()

    def send(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def ask(self, sql):
        """What it prints; an error is raised."""
        if not self.postgres and not self.mariadb:
            self.lock.sees(sql)
        self.send(sql if sql.startswith("\\") else sql + ";")
        if self.mariadb and not sql.startswith("SELECT"):
            self.send("SET @changed = row_count();")
        self.send("\\echo end" if self.postgres else "SELECT 'end';" if self.mariadb else ".print end")
        lines = []
        for line in self.child.stdout:
            if line == "end\n":
                break
            lines.append(line.rstrip("\n").replace("\t", "|") if self.mariadb else line.rstrip("\n"))
        text = " ".join(lines)
        if "was changed after it was read" in text or "was written," in text:
            raise Refused("refused")
        if "is locked" in text:
            raise Refused("locked")
        if "rror" in text or "ERROR" in text:
            raise Refused("failed " + text)
        return lines

    def changed(self):
        return self.ask("\\echo :ROW_COUNT" if self.postgres else "SELECT @changed" if self.mariadb else "SELECT changes()")[0]

    # --- steps ---

    def load(self):
        rows = self.ask(f"SELECT {', '.join(RECORD)} FROM person WHERE id = 1")
        self.seen = dict(zip(RECORD, (None if value == "NULL" else value for value in rows[0].split("|")))) if rows else None
        return "found " + state(self.seen.values()) if rows else "missing"

    def save(self, **values):
        before = state(self.seen.values())
        now = {**self.seen, **values}
        version = int(self.seen["version"])
        sql = f"UPDATE person SET name = {literal(now['name'])}, phone = {literal(now['phone'])}"
        if STYLE != "blind":
            sql += f", version = {version if STYLE == 'as-read' else version + 1}"
        sql += " WHERE id = 1" + (f" AND version = {version}" if STYLE == "where" else "")
        self.ask(sql)
        if self.changed() == "0":
            return "stale" if STYLE == "where" else "missing"
        if STYLE in ("count", "blind"):
            return "wrote"  # on what it does not know
        self.seen = {**now, "version": str(version + 1)}
        return f"updated {before} -> {state(self.seen.values())}"

    def delete(self):
        version = "" if STYLE == "blind" else f" AND version = {self.seen['version']}"
        self.ask("DELETE FROM person WHERE id = 1" + version)
        if self.changed() == "0":
            return "stale" if version else "missing"
        return f"deleted {state(self.seen.values())}" if version else "wrote"

    def begin(self):
        self.ask("BEGIN")
        return "begun"

    def commit(self):
        if not self.postgres:
            self.ask("COMMIT")
            return "committed"
        self.send("COMMIT;")
        return "committed" if self.ask("\\echo :ERROR") == ["false"] else "failed"


Command().live()

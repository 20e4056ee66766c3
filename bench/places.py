"""Databases that can be kept and put back: a measurement begins from the very state that its pair began from.

Leaves what is in them to the contender."""

import os
import re
import shutil


class Postgres:
    """States are databases; one is put back by copying it, file by file, which begins and ends with a checkpoint."""

    name = "postgresql"
    most_rows = 1_000_000  # unless asked for more

    def __init__(self, run):
        self.run, self.uri, self.made = run, run.postgres, set()
        if self.value("SHOW fsync") != "on" and not run.smoke:
            raise SystemExit("bench: the server's fsync is off: tools/servers run --durable")
        self.version = self.value("SHOW server_version").split(" ")[0]
        # 13 and 14 know no other way
        self.strategy = " STRATEGY file_copy" if int(self.value("SHOW server_version_num")) >= 150000 else ""

    def value(self, sql, db=None):
        return self.run.contender("sql", db=db or self.uri, sql=sql).get("value")

    def url(self, name):
        return re.sub(r"///\w+", f"///{name}", self.uri)

    def create(self, name):
        self.drop(name)
        self.value(f"CREATE DATABASE {name}")
        self.made.add(name)
        return self.url(name)

    def drop(self, name):
        self.value(f"DROP DATABASE IF EXISTS {name}")
        self.made.discard(name)

    def restore(self, name, to="work"):
        self.drop(to)
        self.value(f"CREATE DATABASE {to} TEMPLATE {name}{self.strategy}")
        self.made.add(to)
        return self.url(to)

    def settle(self, name):
        """As a database that has been in use for a while: autovacuum is off here."""
        self.value("VACUUM (ANALYZE)", self.url(name))
        self.value("CHECKPOINT")

    def close(self):
        for name in list(self.made):
            self.drop(name)


class Mariadb:
    """States are databases; one is put back table by table, in the order of the keys, and what it wrote is flushed."""

    name = "mariadb"
    most_rows = 100_000  # a million take minutes to put back, row by row

    def __init__(self, run):
        self.run, self.uri, self.made = run, run.mariadb, set()
        if self.value("SELECT @@innodb_flush_log_at_trx_commit") != "1" and not run.smoke:
            raise SystemExit("bench: commits of the server are not durable: tools/servers run --durable")
        self.version = self.value("SELECT version()").split("-")[0]

    def value(self, sql, db=None):
        return self.run.contender("sql", db=db or self.uri, sql=sql).get("value")

    def url(self, name):
        return re.sub(r"localhost/\w+", f"localhost/{name}", self.uri)

    def create(self, name):
        self.drop(name)
        self.value(f"CREATE DATABASE {name}")
        self.made.add(name)
        return self.url(name)

    def drop(self, name):
        self.value(f"DROP DATABASE IF EXISTS {name}")
        self.made.discard(name)

    def tables(self, name):
        return self.value("SELECT group_concat(table_name) FROM information_schema.tables "
                          f"WHERE table_schema = '{name}'")

    def restore(self, name, to="work"):
        url = self.create(to)
        copy = "".join(f"CREATE TABLE {table} LIKE {name}.{table}; INSERT INTO {table} SELECT * FROM {name}.{table}; "
                       for table in self.tables(name).split(","))
        self.value(f"BEGIN NOT ATOMIC {copy} END", url)
        self.settle(to)
        return url

    def settle(self, name):
        self.value(f"ANALYZE TABLE {self.tables(name)}", self.url(name))
        self.value(f"FLUSH TABLES {self.tables(name)} FOR EXPORT", self.url(name))

    def close(self):
        for name in list(self.made):
            self.drop(name)


class Sqlite:
    """States are files, copied and flushed."""

    name = "sqlite"
    most_rows = 1_000_000

    def __init__(self, run):
        self.run, self.version = run, run.contender("sqlite_version")["value"]

    def url(self, name):
        return os.path.join(self.run.folder, name + ".db")

    def drop(self, name):
        for end in ("", "-wal", "-shm", "-turn"):
            if os.path.exists(self.url(name) + end):
                os.unlink(self.url(name) + end)

    def create(self, name):
        self.drop(name)
        return self.url(name)

    def restore(self, name, to="work"):
        self.drop(to)
        shutil.copyfile(self.url(name), self.url(to))
        with open(self.url(to), "rb+") as file:
            os.fsync(file.fileno())
        return self.url(to)

    def settle(self, name):
        pass

    def close(self):
        pass

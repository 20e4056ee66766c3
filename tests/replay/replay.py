#!/usr/bin/env python3
"""Real lists that change over the years, replayed version by version. Speaks TAP.

    replay.py AMEND ENGINE

Each version of a list is synced into one table, while records of it are edited
and deleted between two versions and conflicts are settled. A model beside it,
which knows only the rules of docs/sync.md and plain dictionaries, says what each
run must report, which changes it must name, and what the table holds then.

The lists come from npm, by its client, into a folder that is gone afterwards
(npm keeps a cache of its own); without npm or the network the test is skipped.
AMEND_TEST_SEED chooses other edits.
"""

import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile


def media_types(read):
    for name, entry in read("db.json").items():
        yield {
            "type": name,
            "source": entry.get("source"),
            "charset": entry.get("charset"),
            "compressible": str(entry["compressible"]).lower() if "compressible" in entry else None,
            "extensions": " ".join(entry["extensions"]) if "extensions" in entry else None,
        }


def licences(read):
    for name, entry in read("spdx.json").items():
        yield {"id": name, "name": entry["name"], "url": entry.get("url"), "osi": str(entry.get("osiApproved"))}


def countries(read):
    names = {language: read(f"langs/{language}.json")["countries"] for language in ("en", "de", "fr")}
    for alpha2, alpha3, number, *_ in read("codes.json"):
        # A name can be a list of names, of which the first is the usual one.
        said = {language: names[language].get(alpha2) for language in names}
        said = {language: name[0] if isinstance(name, list) else name for language, name in said.items()}
        yield {"alpha2": alpha2, "alpha3": alpha3, "number": number, **said}


def time_zones(read):
    for packed in read("data/packed/latest.json")["zones"]:
        name, abbreviations, offsets, _, changes, *rest = packed.split("|")
        yield {
            "zone": name,
            "abbreviations": abbreviations,
            "offsets": offsets,
            "changes": changes,
            "population": rest[0] if rest and rest[0] else None,
        }


# (package, versions in order, the key, what becomes of what vanishes, how its records are read)
LISTS = [
    (
        "mime-db",
        "1.20.0 1.24.0 1.27.0 1.30.0 1.33.0 1.36.0 1.40.0 1.43.0 1.46.0 1.49.0 1.51.0 1.52.0 1.53.0 1.54.0".split(),
        "type",
        "keep",
        media_types,
    ),
    ("spdx-license-list", "5.0.0 6.0.0 6.1.0 6.2.0 6.4.0 6.6.0 6.8.0 6.9.0 6.10.0 6.12.0".split(), "id", "keep", licences),
    (
        "i18n-iso-countries",
        "4.0.0 4.3.1 5.2.0 5.5.0 6.0.0 6.3.0 6.6.0 7.0.0 7.3.0 7.5.0 7.7.0 7.10.0 7.12.0 7.14.0".split(),
        "alpha2",
        "keep",
        countries,
    ),
    ("moment-timezone", "0.5.14 0.5.21 0.5.26 0.5.33 0.5.40 0.5.43 0.5.45 0.5.48 0.6.0 0.6.6".split(), "zone", "keep", time_zones),
]


def fetch(package, versions, folder):
    """The packages' files, or why there are none."""
    names = [f"{package}@{version}" for version in versions]
    try:
        done = subprocess.run(
            ["npm", "pack", "--silent", "--prefer-offline", "--ignore-scripts", *names],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    return None if done.returncode == 0 else (done.stderr.strip() or "npm failed").splitlines()[-1]


def read_version(package, version, convert, folder):
    with tarfile.open(os.path.join(folder, f"{package}-{version}.tgz")) as archive:
        return list(convert(lambda name: json.load(archive.extractfile("package/" + name))))


def write_csv(path, columns, records):
    """NULL is an empty field without quotes."""

    def cell(value):
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(",".join(columns) + "\n")
        for record in records:
            file.write(",".join(cell(record[column]) for column in columns) + "\n")


class Model:
    """A table and what its source said last, by the tables of docs/sync.md."""

    def __init__(self, key, columns, missing):
        self.missing_policy = missing
        self.key, self.columns = key, [column for column in columns if column != key]
        self.current, self.base, self.open = {}, {}, {}

    def sync(self, records):
        """What the run must count, and which changes it must name."""
        counts = dict.fromkeys(("created", "updated", "merged", "kept", "unchanged", "conflicts"), 0)
        changes = []
        seen = set()
        for record in records:
            name = record[self.key]
            incoming = {column: record[column] for column in self.columns}
            seen.add(name)
            counts[self.record(name, incoming, changes)] += 1
        counts["deleted"] = counts["missing_conflicts"] = 0
        for name in [name for name in self.base if name not in seen and self.missing_policy == "delete"]:
            self.missing(name, counts, changes)
        return counts, changes

    def record(self, name, incoming, changes):
        base, current = self.base.get(name), self.current.get(name)
        if base is None:
            self.base[name], self.current[name] = dict(incoming), dict(incoming)
            said = {self.key: [None, name], **{c: [None, v] for c, v in incoming.items() if v is not None}}
            changes.append(("create", name, said))
            return "created"
        if current is None:
            if base == incoming:
                self.open.pop(name, None)
                return "kept"
            self.open[name] = "deleted"
            changes.append(("conflict", name, "deleted"))
            return "conflicts"
        wrote, edited, clash = {}, False, {}
        for column in self.columns:
            b, c, i = base[column], current[column], incoming[column]
            if c == i:
                base[column] = i
            elif b == i:
                edited = True
            elif b == c:
                wrote[column] = [c, i]
                base[column] = current[column] = i
            else:
                clash[column] = [b, c, i]
        if wrote:
            changes.append(("update", name, wrote))
        self.open.pop(name, None)
        if clash:
            self.open[name] = clash
            changes.append(("conflict", name, clash))
            return "conflicts"
        return "merged" if wrote and edited else "updated" if wrote else "kept" if edited else "unchanged"

    def missing(self, name, counts, changes):
        """--missing delete."""
        current = self.current.get(name)
        if current is None:
            del self.base[name]
            self.open.pop(name, None)
        elif current == self.base[name]:
            del self.base[name], self.current[name]
            self.open.pop(name, None)
            counts["deleted"] += 1
            changes.append(("delete", name, {self.key: [name, None], **{c: [v, None] for c, v in current.items() if v is not None}}))
        else:
            self.open[name] = "missing"
            counts["missing_conflicts"] += 1
            changes.append(("conflict", name, "missing"))

    def settle(self, name, take):
        """resolve --take of a conflict of fields."""
        for column, (_, _, incoming) in self.open.pop(name).items():
            if take == "incoming":
                self.current[name][column] = incoming
            self.base[name][column] = incoming


class Database:
    """What another program sees."""

    def __init__(self, engine, folder):
        self.engine, self.server = engine, os.environ.get("AMEND_TEST_POSTGRES")
        self.url, self.name = os.path.join(folder, "app.db"), f"amend_replay_{os.getpid()}"
        if engine == "postgresql":
            self.psql(self.server, f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)", f"CREATE DATABASE {self.name}")
            server, query = re.fullmatch(r"(\w+://[^/?]*)(?:/[^?]*)?(?:\?(.*))?", self.server).groups()
            self.url = f"{server}/{self.name}?{query or ''}".rstrip("?")

    @staticmethod
    def psql(url, *statements):
        text = ";\n".join(("SET client_min_messages = warning",) + statements)
        command = ["psql", "-X", "-Atq", "-w", "-v", "ON_ERROR_STOP=1", url]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout

    def rows(self, columns):
        names = ", ".join(f'"{column}"' for column in columns)
        if self.engine == "postgresql":
            return [tuple(json.loads(line)) for line in self.psql(self.url, f"SELECT json_build_array({names}) FROM list").splitlines()]
        connection = sqlite3.connect(self.url)
        try:
            return connection.execute(f"SELECT {names} FROM list").fetchall()
        finally:
            connection.close()

    def drop(self):
        if self.engine == "postgresql":
            self.psql(self.server, f"DROP DATABASE {self.name} WITH (FORCE)")
        elif os.path.exists(self.url):
            for end in ("", "-wal", "-shm", "-turn"):
                if os.path.exists(self.url + end):
                    os.unlink(self.url + end)


class Replay:
    def __init__(self, amend, engine, package, key, missing, folder):
        self.amend, self.missing, self.package, self.key, self.folder = amend, missing, package, key, folder
        self.database = Database(engine, folder)
        self.chance = random.Random(os.environ.get("AMEND_TEST_SEED") or package)
        self.model = None

    def call(self, *words, codes=(0,)):
        done = subprocess.run([self.amend, *words], capture_output=True, text=True, check=False)
        if done.returncode not in codes:
            raise SystemExit(f"amend {' '.join(words)}: exit {done.returncode}, {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def sync(self, columns, records):
        """What the run reports and names differently than the model."""
        feed, changes = os.path.join(self.folder, "feed.csv"), os.path.join(self.folder, "changes.ndjson")
        write_csv(feed, columns, records)
        if not self.model:
            self.model = Model(self.key, columns, self.missing)
        was_open = set(self.model.open)
        counts, named = self.model.sync(records)
        words = ["sync", feed, self.database.url, "list", "--match", self.key, "--create-table", "--json"]
        words += ["--changes", changes]
        words += ["--missing", "delete", "--max-missing", "100%"] if self.missing == "delete" else []
        report = self.call(*words, codes=(0, 3))
        counts["open_conflicts"] = len(self.model.open)
        counts["read"] = len(records)
        faults = [f"{name}: {report[name]}, expected {n}" for name, n in counts.items() if report[name] != n]
        if report["new_conflicts"] < len(set(self.model.open) - was_open):
            faults.append(f"new_conflicts: {report['new_conflicts']}")
        with open(changes, encoding="utf-8") as file:
            found = [self.change(json.loads(line)) for line in file]
        faults += self.compare(found, named)
        return counts, faults + self.contents()

    def change(self, line):
        """A line of --changes as the model says it; the number that the database gave is not the source's."""
        name = line["key"].get(self.key)
        if line["op"] != "conflict":
            return line["op"], name, {c: [v["old"], v["new"]] for c, v in line["fields"].items() if c != "id" or c == self.key}
        if line["kind"] != "fields":
            return "conflict", name, line["kind"]
        return "conflict", name, {c: [v.get("base"), v["current"], v["incoming"]] for c, v in line["fields"].items()}

    @staticmethod
    def compare(found, expected):
        def order(change):
            return change[1], change[0]

        found, expected = sorted(found, key=order), sorted(expected, key=order)
        faults = [f"named, but is none: {one}" for one in found if one not in expected]
        faults += [f"not named: {one}" for one in expected if one not in found]
        return faults or ([] if len(found) == len(expected) else ["a change is named twice"])

    def contents(self):
        columns = [self.key, *self.model.columns]
        found = {row[0]: dict(zip(columns[1:], row[1:])) for row in self.database.rows(columns)}
        both = set(found) | set(self.model.current)
        return [
            f"{name} is {found.get(name)}, expected {self.model.current.get(name)}"
            for name in sorted(both)
            if found.get(name) != self.model.current.get(name)
        ]

    def settle_some(self):
        """Some conflicts are decided, others wait."""
        for conflict in self.call("conflicts", self.database.url, "--json")["conflicts"]:
            name = conflict["first_key"].partition("=")[2] if isinstance(conflict["first_key"], str) else None
            name = name or conflict["first_key"][self.key]
            if conflict["kind"] == "fields" and self.chance.random() < 0.5:
                take = self.chance.choice(("incoming", "current"))
                shown = f"{conflict['id']}@{conflict['version']}"
                self.call("resolve", self.database.url, shown, "--take", take, "--json")
                self.model.settle(name, take)

    def edit_some(self, following, always):
        """People edit what the source will change soon, and anything else; and delete what it keeps."""
        later = {record[self.key]: record for record in following}
        current = self.model.current
        moved = [n for n, r in current.items() if n in later and any(r[c] != later[n][c] for c in r)]
        gone = [n for n in current if n not in later]
        names = self.chance.sample(sorted(moved), min(3, len(moved))) + self.chance.sample(sorted(gone), min(1, len(gone)))
        names += self.chance.sample(sorted(current), 2)
        for name in dict.fromkeys(names):
            column = self.chance.choice(self.model.columns)
            value = self.chance.choice(["by hand", "", "Ö \"ü\", 東京", f"{name} by hand"])
            self.call("set", self.database.url, "list", self.word(name), f"{column}={value}", "--json")
            current[name][column] = value
        for name in self.chance.sample(sorted(always.intersection(current).difference(names)), 1):
            self.call("delete", self.database.url, "list", self.word(name), "--json")
            del current[name]
            self.model.open.pop(name, None)

    def word(self, name):
        return f"{self.key}={name}"


def main():
    amend, engine = os.path.abspath(sys.argv[1]), sys.argv[2]
    if engine == "postgresql" and not os.environ.get("AMEND_TEST_POSTGRES"):
        if os.environ.get("CI") == "true":
            raise SystemExit("AMEND_TEST_POSTGRES is not set (hint: tools/servers run -- ...)")
        print("1..0 # SKIP AMEND_TEST_POSTGRES is not set")
        return 0
    if not shutil.which("npm"):
        print("1..0 # SKIP no npm here to fetch the lists")
        return 0
    os.environ["AMEND_AS"] = "tester"
    number = failed = 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        for package, versions, key, missing, convert in LISTS:
            problem = fetch(package, versions, folder)
            if problem:
                number += 1
                print(f"ok {number} - {engine}: {package} # SKIP not to be had here: {problem}", flush=True)
                continue
            lists = [read_version(package, version, convert, folder) for version in versions]
            columns = list(lists[0][0])
            replay = Replay(amend, engine, package, key, missing, folder)
            for at, records in enumerate(lists):
                counts, faults = replay.sync(columns, records)
                again, more = replay.sync(columns, records)
                faults += [f"once more: {fault}" for fault in more]
                if again["created"] + again["updated"] + again["merged"] + again["deleted"]:
                    faults.append(f"the model is wrong: {again}")
                number += 1
                failed += bool(faults)
                said = ", ".join(f"{n} {what}" for what, n in counts.items() if n and what != "read")
                print("not ok" if faults else "ok", f"{number} - {engine}: {package} {versions[at]}: {said}", flush=True)
                for fault in faults[:5]:
                    print("#", fault)
                if faults:
                    break  # from here on model and table differ
                if at + 1 < len(lists):
                    replay.settle_some()
                    later = [{record[key] for record in one} for one in lists[at + 1 :]]
                    replay.edit_some(lists[at + 1], set.intersection(*later))
            replay.database.drop()
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())

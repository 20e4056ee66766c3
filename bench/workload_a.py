"""Workload A: sync. 100,000 records into a table of 100,000 or 1,000,000 rows, and growth.

After each measurement the table is compared with what it must hold, and so is its history:
a contender that does less than its work has no time."""

import os

from figures import Figure

MATCH = ["--match", "remote_id", "--match", "slug", "--adopt", "incoming", "--quiet"]
# (goal of the first run, of later runs, of a repeat) for each engine, by rows
GOALS = {("postgresql", 100_000): (0.80, 0.70, 2.0), ("postgresql", 1_000_000): (None, 0.40, None),
         ("mariadb", 100_000): (None, 0.40, 2.0), ("mariadb", 1_000_000): (None, None, None),
         ("sqlite", 100_000): (None, 0.70, 2.0), ("sqlite", 1_000_000): (None, None, None)}


def short(number):
    return f"{number // 1_000_000}M" if number >= 1_000_000 else f"{number // 1000}k"


class Sync:
    """One engine and one size."""

    def __init__(self, run, place, rows, lines):
        self.run, self.place, self.rows, self.lines = run, place, rows, lines
        self.size = {"rows": rows, "lines": lines}
        self.feeds, self.expected = {}, {}

    def prepare(self):
        run, place = self.run, self.place
        for version in (1, 2):
            self.feeds[version] = os.path.join(run.folder, f"feed{version}.csv")
            run.contender("feed", version=version, file=self.feeds[version], **self.size)
        run.contender("load", db=place.create("loaded"), **self.size)
        run.contender("load", db=place.create("empty"), empty=1, **self.size)
        self.check(place.url("loaded"), 0, "none")

    def check(self, db, state, history):
        """The table, and the history before and after, field by field; only digests are kept."""
        if state not in self.expected:
            self.expected[state] = self.run.contender("expect", state=state, **self.size)
        self.run.contender("check", db=db, state=state, history=history, **self.size, **self.expected[state])

    def check_copy(self, db):
        self.run.contender("check", db=db, copy=2, **self.size,
                           **self.run.contender("expect", copy=2, **self.size))

    def ours(self, db, version):
        """The command, its start included."""
        return self.run.command("sync", self.feeds[version], db, "taxonomy", *MATCH)

    def staging(self, db, version, history=1):
        return self.run.contender("staging", db=db, feed=self.feeds[version], history=history)

    def keep(self, name, work):
        """A state that later runs begin from."""
        db = self.place.restore("loaded", name)
        work(db)
        self.place.settle(name)

    def pair_first(self, first):
        db = self.place.restore("loaded")
        mine = self.ours(db, 1)
        self.check(db, 1, "amend")
        db = self.place.restore("loaded")
        theirs = self.staging(db, 1)
        self.check(db, 1, "own")
        first.add(mine["total"], theirs["total"])
        return mine

    def pair_library(self, library, theirs):
        """The same without the command's start."""
        db = self.place.restore("ours1")
        mine = self.run.contender("sync", db=db, feed=self.feeds[2])
        self.check(db, 2, "amend")
        library.add(mine["seconds"], theirs["seconds"])

    def pair_second(self, second, library, repeat, facts):
        run, place = self.run, self.place
        db = place.restore("ours1")
        mine = self.ours(db, 2)
        self.check(db, 2, "amend")
        for _ in range(2 if self.lines <= 100_000 else 1):
            again = self.ours(db, 2)
            read = run.contender("read", db=db)["seconds"]
            parse = run.contender("parse", feed=self.feeds[2])["seconds"]
            repeat.add(again["total"], read + parse)
            facts.setdefault("parse the feed, in place", []).append(parse)
            facts.setdefault("read the same columns", []).append(read)
        self.check(db, 2, "amend")
        db = place.restore("theirs1")
        theirs = self.staging(db, 2)
        self.check(db, 2, "own")
        second.add(mine["total"], theirs["total"])
        if library:
            self.pair_library(library, theirs)
        return mine

    def others(self, facts):
        """By hand, for comparison, without a goal."""
        db = self.place.restore("theirs1")
        facts.setdefault("staging without history", []).append(self.staging(db, 2, history=0)["total"])
        self.check(db, 2, "none")
        db = self.place.restore("empty")
        copy = {"postgresql": "COPY", "mariadb": "LOAD DATA", "sqlite": "INSERT"}[self.place.name]
        facts.setdefault(f"{copy} into an empty table with these indexes", []).append(
            self.run.contender("copy", db=db, feed=self.feeds[2])["seconds"])
        self.check_copy(db)

    def measure(self, book):
        run, engine = self.run, self.place.name
        goals = GOALS.get((engine, self.rows), (None, None, None))
        size = short(self.rows)
        what = "staging + history"
        first = Figure("A", engine, f"{size} rows, first run", goals[0], theirs=what)
        second = Figure("A", engine, f"{size} rows, second run", goals[1], theirs=what)
        library = Figure("A", engine, f"{size} rows, second, library", theirs=what)
        repeat = Figure("A", engine, f"{size} rows, nothing changed", goals[2], theirs="parse + read")
        facts, rss = {}, []
        if self.rows > self.lines:  # a start weighs little there
            library = None
        figures = [figure for figure in (first, second, library, repeat) if figure]
        try:
            self.prepare()
            for _ in range(run.pairs):
                rss.append(self.pair_first(first)["rss_kib"])
            self.keep("ours1", lambda db: self.ours(db, 1))
            self.keep("theirs1", lambda db: self.staging(db, 1))
            for _ in range(run.pairs):
                rss.append(self.pair_second(second, library, repeat, facts)["rss_kib"])
            for _ in range(min(run.pairs, 3)):
                self.others(facts)
        except run.Failed as failure:
            for figure in figures:
                if len(figure.ours) < run.pairs:
                    figure.problem = str(failure)
        for figure in figures:
            book.figure(figure)
        for name, values in facts.items():
            book.fact("A", engine, f"{size} rows: {name}", sorted(values)[len(values) // 2], "s")
        if rss:
            book.fact("A", engine, f"{size} rows: memory of the command, the most", max(rss) / 1024, "MiB")


# name, what orm.py calls it, which engines, the goal as "so many times as fast"
ORM = [("Django: a transaction a record", "django-loop", {"postgresql": 100, "mariadb": 100, "sqlite": 60}),
       ("Django: update_or_create", "django-update-or-create", {"postgresql": None, "mariadb": None, "sqlite": None}),
       ("sqlite-utils: upsert, one key", "sqlite-utils", {"sqlite": None})]


def orm(sync, book):
    """Fewer records than ours get, so that it ends: both are microseconds a record, and nothing is scaled up."""
    run, place = sync.run, sync.place
    for name, what, engines in ORM:
        if place.name not in engines or not run.python_for(what, place.name):
            continue
        times = engines[place.name]
        figure = Figure("A", place.name, name, 1 / times if times else None, "us/record",
                        theirs=f"over {run.orm_records:,} records, no history")
        try:
            for _ in range(min(run.pairs, 3)):
                mine = sync.ours(place.restore("loaded"), 1)
                db = place.restore("loaded")
                theirs = run.start([run.python_for(what, place.name), os.path.join(run.source, "bench", "orm.py"), what, db,
                                    sync.feeds[1], str(run.orm_records)])
                figure.add(mine["total"] * 1e6 / sync.lines, theirs["us"])
        except run.Failed as failure:
            figure.problem = str(failure)
        book.figure(figure)


def growth(run, book, place):
    """Lines, with a table of as many rows; one run each: time, memory and temporary files are of the command."""
    engine = place.name
    base = None
    for lines in run.growth(place):
        sync = Sync(run, place, lines, lines)
        try:
            sync.prepare()
            db = place.restore("loaded")
            took = run.command("sync", sync.feeds[1], db, "taxonomy", *MATCH, watch=True)
            sync.check(db, 1, "amend")
        except run.Failed as failure:
            figure = Figure("A", engine, f"growth: {lines:,} lines", goal=1)
            figure.problem = str(failure)
            book.figure(figure)
            return
        micro = took["total"] * 1e6 / lines
        feed = os.path.getsize(sync.feeds[1])
        # starting up weighs in short feeds: it is compared with 100,000 lines and more
        limit = base * 1.5 if base and lines > 100_000 else None
        base = micro if lines == 100_000 or base is None else base
        label = f"growth: {lines:,} lines"
        book.fact("A", engine, f"{label}: time a line", micro, "us", goal=limit)
        book.fact("A", engine, f"{label}: memory", took["rss_kib"] / 1024, "MiB",
                  goal=64 if lines >= 100_000 else None)
        book.fact("A", engine, f"{label}: temporary files / input", took["spool"] / feed, "x",
                  goal=2 if lines >= 100_000 else None)


def measure(run, book):
    for place in run.places:
        for rows in run.rows(place):
            lines = min(rows, run.lines)
            book.heading(f"A: sync, {lines:,} records, {place.name} {place.version}, {rows:,} rows")
            sync = Sync(run, place, rows, lines)
            sync.measure(book)
            if rows <= 100_000:
                orm(sync, book)
        if run.growth(place):
            book.heading(f"A: growth, {place.name}")
            growth(run, book, place)

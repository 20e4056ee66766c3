"""Workload B: hot rows. 16 clients (SQLite: 8 processes) add 1 to one row, or to 1,000.

After each run the counters' sum and every history must account for each commit."""

from figures import Figure

SQLITE = [("FULL", 0.60, 250), ("NORMAL", None, None)]


def race(run, db, who, rows, clients, setting="", **more):
    return run.contender("hot", db=db, who=who, rows=rows, clients=clients, ms=run.hot_ms,
                         setting=setting, **more)


def middle(values):
    return sorted(values)[len(values) // 2]


def server(run, book, place):
    by_hand = "one statement + history" if place.name == "postgresql" else "one transaction + history"
    db = place.create("hot")
    run.contender("counters", db=db, rows=1000)
    for rows in (1, 1000):
        name = f"16 clients, {rows:,} row{'s' if rows > 1 else ''}"
        figure = Figure("B", place.name, name, 0.85, "/s", most=False, theirs=by_hand)
        bare, waits = [], []
        try:
            for _ in range(run.pairs):
                mine = race(run, db, "amend", rows, 16)
                theirs = race(run, db, "recorded", rows, 16)
                bare.append(race(run, db, "bare", rows, 16)["per_second"])
                figure.add(mine["per_second"], theirs["per_second"])
                waits.append(mine["p999_ms"])
        except run.Failed as failure:
            figure.problem = str(failure)
        book.figure(figure)
        if bare:
            book.fact("B", place.name, f"{name}: UPDATE n = n + 1 alone", middle(bare), "/s")
            book.fact("B", place.name, f"{name}: ours, 99.9 % of waits", middle(waits), "ms")
    place.drop("hot")


def sqlite(run, book, place):
    db = place.create("hot")
    run.contender("counters", db=db, rows=1000)
    for mode, goal, limit in SQLITE:
        setting = f"PRAGMA synchronous = {mode}"
        for rows in (1, 1000) if mode == "FULL" else (1,):
            name = f"8 processes, {rows:,} row{'s' if rows > 1 else ''}, {mode}"
            figure = Figure("B", place.name, name, goal, "/s", most=False, theirs="hand + history")
            told = {"ours": [], "busy_timeout": [], "alone": [], "foreign": []}
            try:
                for _ in range(run.pairs):
                    mine = race(run, db, "amend", rows, 8, setting)
                    theirs = race(run, db, "recorded", rows, 8, setting)
                    figure.add(mine["per_second"], theirs["per_second"])
                    told["ours"].append(mine)
                    told["busy_timeout"].append(theirs)
                    told["alone"].append(race(run, db, "bare", rows, 8, setting))
                    if rows == 1:
                        told["foreign"].append(race(run, db, "recorded", rows, 8, setting, other="amend"))
            except run.Failed as failure:
                figure.problem = str(failure)
            book.figure(figure)
            if figure.problem:
                continue
            say = lambda text, value, unit, **more: book.fact("B", place.name, f"{name}: {text}", value,
                                                              unit, **more)
            say("UPDATE n = n + 1 alone", middle([t["per_second"] for t in told["alone"]]), "/s")
            say("ours, 99.9 % of waits", middle([t["p999_ms"] for t in told["ours"]]), "ms", goal=limit)
            say("busy_timeout, 99.9 % of waits", middle([t["p999_ms"] for t in told["busy_timeout"]]), "ms")
            say("ours, longest wait of all", max(t["longest_ms"] for t in told["ours"]), "ms")
            say("busy_timeout, longest wait of all", max(t["longest_ms"] for t in told["busy_timeout"]), "ms")
            say("ours, fewest commits of a process", min(t["fewest"] for t in told["ours"]), "")
            say("busy_timeout, fewest commits of a process",
                min(t["fewest"] for t in told["busy_timeout"]), "")
            if told["foreign"]:
                say("4 by hand among 4 of ours, 99.9 % of waits",
                    middle([t["p999_ms"] for t in told["foreign"]]), "ms")
                say("4 by hand among 4 of ours, commits",
                    middle([t["per_second"] for t in told["foreign"]]), "/s")
                say("4 of ours among 4 by hand, commits",
                    middle([t["other_per_second"] for t in told["foreign"]]), "/s")
    place.drop("hot")


def measure(run, book):
    for place in run.places:
        book.heading(f"B: hot rows, commits a second, {place.name} {place.version}")
        (sqlite if place.name == "sqlite" else server)(run, book, place)

"""Workload C: one record, update or create, through the library, call by call in turn with a hand's statements.

Each pair is one process that makes some thousand calls of each; p50 and p99 of a call, in microseconds."""

from figures import Figure

ROWS = 10_000
# (unchanged against a bare read, changed against a bare statement)
GOALS = {"postgresql": (1.20, 1.15), "mariadb": (1.20, 1.15), "sqlite": (2.0, 2.0)}


def measure(run, book):
    for place in run.places:
        engine = place.name
        goals = GOALS[engine]
        by_hand = "one statement + history" if engine == "postgresql" else "one transaction + history"
        unchanged = Figure("C", engine, "unchanged, p50", goals[0], "us", theirs="SELECT")
        unchanged99 = Figure("C", engine, "unchanged, p99", None, "us", theirs="SELECT")
        changed = Figure("C", engine, "changed, p50", goals[1], "us", theirs=by_hand)
        changed99 = Figure("C", engine, "changed, p99", None, "us", theirs=by_hand)
        alone = Figure("C", engine, "changed, p50, no history there", None, "us", theirs="UPDATE alone")
        figures = (unchanged, unchanged99, changed, changed99, alone)
        size = {"rows": 1000, "lines": 1000} if run.smoke else {"rows": ROWS, "lines": ROWS}
        book.heading(f"C: one record, microseconds a call, {engine} {place.version}")
        try:
            run.contender("load", db=place.create("one"), **size)
            for _ in range(run.pairs):
                t = run.contender("one", db=place.restore("one"), calls=run.calls, **size)
                unchanged.add(t["unchanged_p50"], t["read_p50"])
                unchanged99.add(t["unchanged_p99"], t["read_p99"])
                changed.add(t["changed_p50"], t["recorded_p50"])
                changed99.add(t["changed_p99"], t["recorded_p99"])
                alone.add(t["changed_p50"], t["update_p50"])
        except run.Failed as failure:
            for figure in figures:
                figure.problem = str(failure)
        for figure in figures:
            book.figure(figure)

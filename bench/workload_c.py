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

        def figure(what, goal, theirs):
            return Figure("C", engine, what, goal, "us", theirs=theirs)

        unchanged, changed = figure("unchanged, p50", goals[0], "SELECT"), figure("changed, p50", goals[1], by_hand)
        # (figure, ours, theirs)
        held = [
            (unchanged, "unchanged_p50", "read_p50"),
            (figure("unchanged, p99", None, "SELECT"), "unchanged_p99", "read_p99"),
            (changed, "changed_p50", "recorded_p50"),
            (figure("changed, p99", None, by_hand), "changed_p99", "recorded_p99"),
            (figure("changed, p50, no history there", None, "UPDATE alone"), "changed_p50", "update_p50"),
        ]
        free = []
        if engine == "postgresql":
            free = [
                (figure("unchanged, p50, not held", None, "SELECT"), "unchanged_p50", "read_p50"),
                (figure("changed, p50, not held", None, by_hand), "changed_p50", "recorded_p50"),
            ]
        size = {"rows": 1000, "lines": 1000} if run.smoke else {"rows": ROWS, "lines": ROWS}
        book.heading(f"C: one record, microseconds a call, {engine} {place.version}")
        try:
            run.contender("load", db=place.create("one"), **size)
            for _ in range(run.pairs):
                for is_held, figures in ((1, held), (0, free)):
                    if figures:
                        t = run.contender("one", db=place.restore("one"), calls=run.calls, held=is_held, **size)
                        for each, ours, theirs in figures:
                            each.add(t[ours], t[theirs])
        except run.Failed as failure:
            for each, _, _ in held + free:
                each.problem = str(failure)
        for each, _, _ in held + free:
            book.figure(each)

#!/usr/bin/env python3
"""That checker.py finds what it is for: histories by hand, each with the faults it has. Speaks TAP.

A history is made of few words here: `unit("a", reads, appends)` and the like; times count up by themselves.
"""

import itertools
import sys

from checker import CHECKS, check

clock = itertools.count(1)


def op(who, what, state="ok", **more):
    """Begun and ended before the next one begins, unless it says otherwise."""
    return {"who": who, "op": what, "state": state, "status": "OK" if state == "ok" else "RETRY",
            "begun": next(clock), "ended": next(clock), **more}


def write(who, base, value, state="ok", **more):
    return op(who, "write", state, key=1, base=base, value=value, **more)


def read(who, value, **more):
    return op(who, "read", key=1, value=value, **more)


def register(last, *operations, history=None):
    if history is None:
        history = [(o["base"], o["value"]) for o in operations if o["op"] == "write" and o["state"] == "ok"]
    return "register", operations, {"values": {1: last}, "history": {1: history}}


def add(who, before, state="ok", **more):
    return op(who, "add", state, before=before, after=before + 1, **more)


def counter(n, *operations, changes=None):
    return "counter", operations, {"n": n, "changes": n if changes is None else changes}


def transfer(number, state="ok"):
    return op(f"t{number}", "transfer", state, id=number, **{"from": 1, "to": 2, "amount": 10})


def bank(balances, transfers, *operations, changes=None):
    rows = [(number, 1, 2, 10) for number in transfers]
    return "bank", operations, {"first": 100, "balances": dict(enumerate(balances, 1)), "transfers": rows,
                                "changes": 3 * len(rows) if changes is None else changes}


def sums(*balances):
    return op("reader", "sum", balances=list(balances))


def insert(value, state="ok", **more):
    return op(f"i{value}", "insert", state, value=value, **more)


def elements(values, *operations, changes=None):
    return "set", operations, {"elements": values, "changes": len(values) if changes is None else changes}


def seen(*values, **more):
    return op("reader", "all", values=list(values), **{"from": 1, "to": 10}, **more)


def unit(who, reads, appends, state="ok"):
    """reads {key: values}; appends [(key, value, base)]."""
    return op(who, "unit", state, reads=list(reads.items()), appends=[(k, v) for k, v, _ in appends], bases=[b for _, _, b in appends])


def lists(there, *operations, changes=None):
    n = sum(len(values) for values in there.values())
    return "list", operations, {"lists": there, "changes": n if changes is None else changes}


# What is expected ("" for nothing), at which level, and the history.
CASES = [
    ("", register(2, read("a", 0), write("a", 0, 1), read("b", 1), write("b", 1, 2), write("a", 1, 3, "fail"))),
    ("", register(2, write("a", 0, 1, "unknown"), write("b", 1, 2), history=[(0, 1), (1, 2)])),  # it is in
    ("", register(2, write("a", 0, 1, "unknown"), write("b", 0, 2), history=[(0, 2)])),  # it is not
    ("lost update", register(2, write("a", 0, 1), write("b", 0, 2), history=[(0, 1), (1, 2)])),
    ("lost update", register(2, write("a", 0, 1, "unknown"), read("c", 1), write("b", 0, 2), history=[(0, 2)])),
    ("lost", register(0, write("a", 0, 1), history=[])),
    ("lost", register(1, write("a", 0, 1), write("b", 1, 2), history=[(0, 1)])),
    ("lost", register(5, write("a", 0, 1), write("c", 1, 3, "unknown"), write("b", 3, 5), write("d", 5, 6), history=[(0, 1), (1, 3), (3, 5)])),
    ("false fail", register(0, write("a", 0, 1, "fail"), read("b", 1))),
    ("false fail, lost", register(1, write("a", 0, 1, "fail"), history=[(0, 1)])),
    ("unwritten", register(0, read("b", 7))),
    ("stale", register(1, write("a", 0, 1), read("b", 0))),
    ("stale", register(1, write("a", 0, 1, begun=-9, ended=2000), read("b", 1, begun=3, ended=4), read("c", 0, begun=5, ended=6))),
    ("", register(1, write("a", 0, 1, begun=-9, ended=2000), read("b", 0, begun=3, ended=4), read("c", 1, begun=5, ended=6))),
    ("future, stale", register(1, read("b", 1), write("a", 0, 1))),
    ("history", register(1, write("a", 0, 1), history=[])),
    ("history", register(2, write("a", 0, 1), write("b", 1, 2), history=[(0, 1), (0, 2)])),
    ("odd", register(0, write("a", 0, 1, "fail", status="INTERNAL"))),
    ("odd", counter(0, add("a", 0, "fail", status="STALE"))),
    ("", counter(2, add("a", 0), add("b", 1), add("c", 0, "fail"), add("d", 0, "unknown"), op("r", "read", value=2))),
    ("", counter(1, add("a", 0, "unknown"))),
    ("lost, unwritten", counter(1, add("a", 0), add("b", 1))),
    ("lost update, stale", counter(2, add("a", 0), add("b", 0))),
    ("twice", counter(2, add("a", 0))),
    ("twice", counter(1, add("a", 0, "fail"))),
    ("unwritten, future", counter(1, add("a", 4))),
    ("stale", counter(1, add("a", 0), op("r", "read", value=0))),
    ("future", counter(1, op("r", "read", value=1), add("a", 0))),
    ("history", counter(1, add("a", 0), changes=2)),
    ("", bank([80, 120], [1, 2], transfer(1), transfer(2, "unknown"), transfer(3, "unknown"), transfer(4, "fail"), sums(90, 110))),
    ("lost", bank([90, 110], [1], transfer(1), transfer(2))),
    ("half", bank([90, 100], [1], transfer(1))),
    ("half", bank([90, 110], [], transfer(1, "unknown"))),
    ("half", bank([90, 110], [1], transfer(1), sums(90, 100))),
    ("half", bank([-10, 210], [], sums(-10, 210))),
    ("false fail", bank([90, 110], [1], transfer(1, "fail"))),
    ("unwritten", bank([90, 110], [1])),
    ("twice", bank([80, 120], [1, 1], transfer(1), changes=3)),
    ("history", bank([90, 110], [1], transfer(1), changes=2)),
    ("", elements([1, 2], insert(1), seen(1), insert(2, "unknown"), insert(3, "unknown"), insert(4, "fail"), seen(1, 2))),
    ("lost", elements([1], insert(1), insert(2))),
    ("false fail", elements([1], insert(1, "fail"))),
    ("false fail", elements([], insert(1, "fail"), seen(1))),
    ("unwritten", elements([1])),
    ("twice", elements([1, 1], insert(1), changes=1)),
    ("stale", elements([1], insert(1), seen())),
    ("", elements([11], insert(11), seen())),  # who reads 1 to 9
    ("future", elements([1], seen(1), insert(1))),
    ("history", elements([1], insert(1), changes=0)),
    ("", lists({1: [11, 12], 2: [21]}, unit("a", {2: []}, [(1, 11, [])]), unit("b", {1: [11]}, [(2, 21, []), (1, 12, [11])]))),
    ("", lists({1: [11]}, unit("a", {}, [(1, 11, [])], "unknown"), unit("b", {}, [(1, 12, [])], "unknown"))),
    ("lost", lists({1: []}, unit("a", {}, [(1, 11, [])]))),
    ("half", lists({1: [11], 2: []}, unit("a", {}, [(1, 11, []), (2, 21, [])]))),
    ("half", lists({1: [11], 2: []}, unit("a", {}, [(1, 11, []), (2, 21, [])], "unknown"))),
    ("false fail", lists({1: [11]}, unit("a", {}, [(1, 11, [])], "fail"))),
    ("false fail", lists({1: []}, unit("a", {}, [(1, 11, [])], "fail"), unit("b", {1: [11]}, []))),  # G1a
    ("unwritten", lists({1: [11]})),
    ("twice", lists({1: [11, 11]}, unit("a", {}, [(1, 11, [])]), changes=1)),
    ("lost", lists({1: [12]}, unit("a", {}, [(1, 11, [])], "unknown"), unit("b", {1: [11]}, []), unit("c", {}, [(1, 12, [])]))),
    ("lost update", lists({1: [11, 12]}, unit("a", {}, [(1, 11, [])]), unit("b", {}, [(1, 12, [])]))),
    ("history", lists({1: [11]}, unit("a", {}, [(1, 11, [])]), changes=0)),
    # two units over each other, in opposite orders
    ("G0", lists({1: [11, 12], 2: [22, 21]}, unit("a", {}, [(1, 11, []), (2, 21, [22])]), unit("b", {}, [(1, 12, [11]), (2, 22, [])]))),
    ("G1b", lists({1: [11, 12]}, unit("a", {}, [(1, 11, []), (1, 12, [11])]), unit("b", {1: [11]}, []))),
    ("G1c", lists({1: [11], 2: [21]}, unit("a", {2: [21]}, [(1, 11, [])]), unit("b", {1: [11]}, [(2, 21, [])]))),
    # b sees the one and not the other of what a wrote: allowed at READ COMMITTED
    ("G-single", lists({1: [11], 2: [21]}, unit("a", {}, [(1, 11, []), (2, 21, [])]), unit("b", {1: [], 2: [21]}, []))),
    # and by way of a third
    ("G-single", lists({1: [11], 2: [21]}, unit("a", {}, [(1, 11, [])]), unit("c", {1: [11]}, [(2, 21, [])]), unit("b", {1: [], 2: [21]}, []))),
    # write skew: allowed at REPEATABLE READ
    ("G2", lists({1: [11], 2: [21]}, unit("a", {1: []}, [(2, 21, [])]), unit("b", {2: []}, [(1, 11, [])]))),
]
LEVELS = {"G-single": ("read-committed", "repeatable-read"), "G2": ("repeatable-read", "serializable")}


def main():
    failed = number = 0
    kinds = {kind for kinds, _ in CASES for kind in kinds.split(", ") if kind}

    def say(good, what):
        nonlocal failed, number
        number += 1
        failed += not good
        print("ok" if good else "not ok", number, "-", what, flush=True)

    for kind, (workload, operations, final) in CASES:
        allowed, level = LEVELS.get(kind, (None, "serializable"))
        found = check(workload, level, list(operations), final)
        say({k for k, _ in found} == set(filter(None, kind.split(", "))), f"{workload}: {kind or 'nothing wrong'}")
        print("#", found)
        if allowed:
            found = check(workload, allowed, list(operations), final)
            say(not found, f"{workload}: {kind} is allowed at {allowed}: {found}")
    # Each kind that the checker can say is in a case above.
    with open(sys.modules["checker"].__file__, encoding="utf-8") as file:
        source = file.read()
    said = {kind for kind in "lost;lost update;false fail;half;twice;unwritten;stale;future;history;odd;G0;G1b;G1c;G-single;G2".split(";")}
    say(said == kinds, f"each kind is found here: {sorted(said ^ kinds)}")
    say(all(f'"{kind}"' in source for kind in said), "and they are the checker's")
    say({case[1][0] for case in CASES} == set(CHECKS), "and each workload")
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())

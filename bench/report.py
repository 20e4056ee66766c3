#!/usr/bin/env python3
"""`report.py FIGURES.json...`: writes docs/performance.md from the figures of one run of `make bench`, or of several parts.

Leaves what is said around them to performance.md.in."""

import json
import os
import re
import sys

from figures import ratio_of, text_of, verdict

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINES = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite"}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def figures(data, workload):
    rows = []
    for d in data["figures"]:
        if d["workload"] != workload:
            continue
        sign = "≤" if d["most"] else "≥"
        rows.append([
            ENGINES[d["engine"]], d["name"], text_of(d["ours"], d["unit"]), text_of(d["theirs"], d["unit"]),
            d["theirs_what"],
            f"**{ratio_of(d['ratio'])}** ({ratio_of(d['low'])} – {ratio_of(d['high'])})" if d["ratio"] else "failed",
            "" if d["goal"] is None else f"{sign} {ratio_of(d['goal'])}", verdict(d["ok"]),
        ])
    return table(["", "", "ours", "theirs", "theirs is", "ratio", "goal", ""], rows) if rows else "Not measured in this run."


def facts(data, workload, growth=False):
    rows = [[ENGINES[d["engine"]], d["name"], text_of(d["value"], d["unit"]),
             "" if d["goal"] is None else f"≤ {text_of(d['goal'], d['unit'])}", verdict(d["ok"])]
            for d in data["facts"] if d["workload"] == workload and d["name"].startswith("growth") == growth]
    return table(["", "", "", "goal", ""], rows) if rows else "Not measured in this run."


def read(paths):
    parts = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            parts.append(json.load(file))
    return {"abouts": [part["about"] for part in parts],
            "figures": [d for part in parts for d in part["figures"]],
            "facts": [d for part in parts for d in part["facts"]]}


def all_of(values):
    """Each once, in order: "A", or "A and B"."""
    return " and ".join(dict.fromkeys(str(value) for value in values))


def main(paths):
    data = read(paths)
    abouts = data["abouts"]
    about = abouts[0]
    judged = [d for d in data["figures"] + data["facts"] if d["goal"] is not None]
    missed = [d for d in judged if not d["ok"]]
    engines = all_of(f"{ENGINES[name]} {version}" for a in abouts for name, version in a["engines"].items())
    words = {
        "machine": f"{all_of(a['date'] for a in abouts)}, at commit {all_of(a['commit'].split(' ')[0] for a in abouts)}: "
                   f"{about['cores']} cores ({about['cpu']}), {about['memory_gib']} GiB, Linux {about['kernel']}, {engines}; "
                   f"load average {all_of(a['load'] for a in abouts)} when it began",
        "verdict": f"Of {len(judged)} goals {len(judged) - len(missed)} were met"
                   + (f" and {len(missed)} were missed." if missed else "."),
        "pairs": all_of(sorted({a["pairs"] for a in abouts})),
        "growth": facts(data, "A", growth=True),
    }
    for workload in "ABCG":
        words[f"figures {workload}"] = figures(data, workload)
        words[f"facts {workload}"] = facts(data, workload)
    with open(os.path.join(HERE, "performance.md.in"), encoding="utf-8") as file:
        text = re.sub(r"\{\{([\w ]+)\}\}", lambda match: words[match[1]], file.read())
    with open(os.path.join(os.path.dirname(HERE), "docs", "performance.md"), "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: report.py FIGURES.json...")
    main(sys.argv[1:])

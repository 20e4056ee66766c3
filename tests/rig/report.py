#!/usr/bin/env python3
"""`report.py FIGURES.json`: writes docs/reliability.md from the figures of one run of `make soak`.

Leaves what is said around them to reliability.md.in."""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def main(path):
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    about = data["about"]
    columns = ("operations", "disturbed", "unknown", "lost", "wrong")
    lines = ["| test | engine | operations | faults | unknown | lost | wrong |", "|---|---|--:|--:|--:|--:|--:|"]
    lines += [f"| {d['test']} | {ENGINES[d['engine']]} | " + " | ".join(f"{d[name]:,}" for name in columns) + " |" for d in data["figures"]]
    total = {name: sum(d[name] for d in data["figures"]) for name in columns}
    lines.append("| **all** | | " + " | ".join(f"**{total[name]:,}**" for name in columns) + " |")
    said = f"Measured on {about['commit']}: {about['minutes']:g} minutes an engine, {about['cores']} cores, {about['system']}."
    with open(os.path.join(HERE, "reliability.md.in"), encoding="utf-8") as file:
        text = file.read().replace("{about}", said).replace("{table}", "\n".join(lines))
    with open(os.path.join(HERE, "../../docs/reliability.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(f"docs/reliability.md: {total}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

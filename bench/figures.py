"""Figures: pairs of measurements, their ratio, the goal; as a table for people and as JSON.

Leaves measuring to the workloads, and the page to report.py."""

import json
import platform
import statistics
import subprocess


class Figure:
    """Ours against theirs. Each pair was measured one right after the other, and its ratio counts:
    what the machine does meanwhile hits both."""

    def __init__(self, workload, engine, name, goal=None, unit="s", most=True, theirs=""):
        self.workload, self.engine, self.name = workload, engine, name
        self.goal, self.unit, self.most, self.what = goal, unit, most, theirs
        self.ours, self.theirs, self.problem = [], [], None

    def add(self, ours, theirs):
        self.ours.append(ours)
        self.theirs.append(theirs)

    def ratios(self):
        return [a / b for a, b in zip(self.ours, self.theirs) if b > 0]

    def ok(self):
        if self.goal is None:
            return None
        if self.problem or not self.ratios():
            return False
        ratio = statistics.median(self.ratios())
        return ratio <= self.goal if self.most else ratio >= self.goal

    def data(self):
        ratios = self.ratios()
        return {
            "workload": self.workload, "engine": self.engine, "name": self.name,
            "theirs_what": self.what, "unit": self.unit, "pairs": len(ratios),
            "ours": statistics.median(self.ours) if self.ours else None,
            "theirs": statistics.median(self.theirs) if self.theirs else None,
            "ratio": statistics.median(ratios) if ratios else None,
            "low": min(ratios) if ratios else None, "high": max(ratios) if ratios else None,
            "goal": self.goal, "most": self.most, "ok": self.ok(), "problem": self.problem,
        }


class Fact:
    """One number with nothing of ours beside it, or with a limit."""

    def __init__(self, workload, engine, name, value, unit, goal=None):
        self.workload, self.engine, self.name = workload, engine, name
        self.value, self.unit, self.goal = value, unit, goal

    def ok(self):
        return None if self.goal is None else self.value <= self.goal

    def data(self):
        return {"workload": self.workload, "engine": self.engine, "name": self.name,
                "value": self.value, "unit": self.unit, "goal": self.goal, "ok": self.ok()}


def text_of(value, unit):
    if value is None:
        return "-"
    if unit == "MiB":
        return f"{value:.1f} MiB"
    if unit == "s":
        return f"{value:.3f} s"
    if unit in ("us", "us/record"):
        return f"{value:.1f} {unit}"
    if unit == "x":
        return f"{value:.2f} x"
    return f"{value:,.0f} {unit}"


def ratio_of(value):
    """0.70, and 0.010 where two digits say too little."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def verdict(ok):
    return "" if ok is None else "ok" if ok else "MISSED"


class Book:
    """All figures of a run, printed as they come."""

    def __init__(self, quiet=False):
        self.figures, self.facts, self.quiet = [], [], quiet

    def heading(self, text):
        if not self.quiet:
            print(f"\n{text}\n{'':40} {'ours':>14} {'theirs':>14}  ratio (spread)       goal", flush=True)

    def figure(self, figure):
        self.figures.append(figure)
        d = figure.data()
        if figure.problem:
            print(f"{figure.engine:10} {figure.name}: FAILED: {figure.problem}", flush=True)
            return
        goal = "" if d["goal"] is None else f"{'<=' if d['most'] else '>='} {ratio_of(d['goal'])}"
        if not self.quiet:
            print(f"{d['engine']:10} {d['name']:29} {text_of(d['ours'], d['unit']):>14} "
                  f"{text_of(d['theirs'], d['unit']):>14}  {ratio_of(d['ratio']):>5} "
                  f"({ratio_of(d['low'])}-{ratio_of(d['high'])})  {goal:>8} {verdict(d['ok'])}", flush=True)

    def fact(self, *args, **more):
        fact = Fact(*args, **more)
        self.facts.append(fact)
        d = fact.data()
        goal = "" if d["goal"] is None else f"<= {text_of(d['goal'], d['unit'])}"
        if not self.quiet:
            print(f"{d['engine']:10} {d['name']:58} {text_of(d['value'], d['unit']):>14}  "
                  f"{goal} {verdict(d['ok'])}", flush=True)

    def missed(self):
        return [f for f in self.figures + self.facts if f.ok() is False]

    def failed(self):
        return [f for f in self.figures if f.problem]

    def write(self, path, about):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"about": about, "figures": [f.data() for f in self.figures],
                       "facts": [f.data() for f in self.facts]}, file, indent=1)
            file.write("\n")


def machine(run):
    """What the figures depend on, for the page."""
    def first(command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return ""

    cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
           if line.startswith("model name")]
    memory = int(open("/proc/meminfo", encoding="utf-8").readline().split()[1]) / 2**20
    return {
        "date": first(["date", "-u", "+%Y-%m-%d %H:%M UTC"]),
        "commit": first(["git", "-C", run.source, "log", "-1", "--format=%h %s"]),
        "cpu": cpu[0] if cpu else platform.machine(), "cores": len(cpu), "memory_gib": round(memory, 1),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "load": open("/proc/loadavg", encoding="utf-8").read().split()[0],
    }

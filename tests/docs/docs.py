#!/usr/bin/env python3
"""Holds what is written against what is there. Speaks TAP.

    docs.py AMEND [SESSION]     AMEND: the command; SESSION: what examples/run.sh printed

- each command has a page; as docs/man.py makes it, it has the options and exit codes of --help; a page that
  says something of an option that is not there, or what is the table's to say, is refused
- each relative link in README, HACKING and docs/ leads somewhere
- the C code in them compiles
- each `src/FILE` and the like that they name exists
- each `tests/FILE`, "NAME" in README is a test of that name in that file
- the terminal session in README is what examples/run.sh prints, but for times, tokens, users and
  numbers of revisions
- the decisions are all in their list; HACKING has fewer than 200 lines
"""

import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MAN = os.path.join(TOP, "docs", "man")


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout


class Plan:
    def __init__(self):
        self.number = 0
        self.failed = 0

    def check(self, name, faults):
        self.number += 1
        print("not ok" if faults else "ok", self.number, "-", name)
        for fault in faults:
            print("#", fault)
        self.failed += bool(faults)


def render(amend, page):
    """The page as docs/man.py makes it, and what it complains of."""
    done = subprocess.run(
        [sys.executable, os.path.join(TOP, "docs", "man.py"), amend, page], capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr.strip().splitlines()[-1:]


def section(page, heading):
    part = re.search(rf"^# {heading}\n(.*?)(?=^# |\Z)", page, re.M | re.S)
    return part[1] if part else ""


def help_options(text):
    """{"--match COL[,COL...]", ...} of the options that --help lists."""
    part = re.search(r"^options:\n((?:  .*\n)*)", text, re.M)
    return set(re.findall(r"^  (--.*?)(?:  .*)?$", part[1], re.M)) if part else set()


def page_options(page):
    """The same of a page's section OPTIONS, without scdoc's marks; each must be described."""
    found = re.findall(r"^(\*--.*)\n\t\S", section(page, "OPTIONS"), re.M)
    return {re.sub(r"[*_]", "", line) for line in found}


def exit_codes(text):
    """The digits that stand in front of what they mean."""
    part = re.search(r"^exit status:\n(.*)", text, re.M | re.S)
    return set(re.findall(r"(?:^|  )(\d) ", part[1], re.M)) if part else set()


def check_pages(plan, amend):
    listed = re.findall(r"^  (\w+) {2,}", run(amend, "help"), re.M)
    plan.check("amend help lists commands", [] if len(listed) > 5 else [f"found {listed}"])
    main, faults = render(amend, os.path.join(MAN, "amend.1.scd"))
    pages = {page[len("amend-") : -len(".1.scd")] for page in os.listdir(MAN) if page.startswith("amend-")}
    faults += [f"no page amend-{name}.1.scd" for name in listed if name not in pages]
    faults += [f"amend-{name}.1.scd is of no command" for name in pages if name not in listed]
    faults += [f"amend.1.scd does not list {name}" for name in listed if f"\n*{name}*\n" not in main]
    built = read("docs", "meson.build")
    faults += [f"docs/meson.build does not build amend-{name}" for name in pages if f"'amend-{name}'" not in built]
    plan.check("each command has its page", faults)
    for name in listed:
        if name not in pages:
            continue
        text = run(amend, name, "--help")
        page, faults = render(amend, os.path.join(MAN, f"amend-{name}.1.scd"))
        said, written = help_options(text), page_options(page)
        faults += [f"in --help, not in the page: {option}" for option in sorted(said - written)]
        faults += [f"in the page, not in --help: {option}" for option in sorted(written - said)]
        codes = set(re.findall(r"^\*(\d)\*$", section(page, "EXIT STATUS"), re.M))
        if not codes or codes != exit_codes(text):
            faults.append(f"exit status: {sorted(exit_codes(text))} in --help, {sorted(codes)} in the page")
        faults += [f"no {part}" for part in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES") if not section(page, part)]
        plan.check(f"amend {name}: the page says what --help says", faults)


def check_faults(plan, amend):
    """What a page may not say is found: an option that is not there, and what is the table's."""
    page = read("docs", "man", "amend-log.1.scd")
    for name, text in (
        ("an option that is not there", page.replace("# OPTIONS\n", "# OPTIONS\n\n*--frobnicate*\n\tDo it.\n")),
        ("an argument it does not take", page.replace("*--run*\n", "*--run* _NAME_\n")),
        ("a section that is the table's", page + "\n# EXIT STATUS\n\n0 done\n"),
        ("another title", page.replace("amend-log(1)", "amend-show(1)", 1)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "amend-log.1.scd")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            found = text != page and not render(amend, path)[0]
        plan.check(f"a page with {name} is refused", [] if found else ["it is not"])


def documents():
    yield "README.md"
    yield "HACKING.md"
    for folder, _, files in os.walk(os.path.join(TOP, "docs")):
        for file in files:
            if file.endswith(".md"):
                yield os.path.relpath(os.path.join(folder, file), TOP)


def check_links(plan):
    for document in documents():
        text = re.sub(r"^(    |\t).*$", "", read(document), flags=re.M)
        faults = []
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            path = os.path.join(TOP, os.path.dirname(document), target.split("#")[0])
            if not os.path.exists(path):
                faults.append(f"{target} leads nowhere")
        plan.check(f"{document}: links lead somewhere", faults)


def check_paths(plan):
    """`src/core/error.c`; not `src/cli/NAME.c` or `tests/cli/cases/*.case`, which stand for others."""
    for document in documents():
        named = re.findall(r"`((?:src|include|tests|tools|docs|examples)/[a-z0-9_./-]+)`", read(document))
        faults = [f"there is no {path}" for path in named if not os.path.exists(os.path.join(TOP, path))]
        plan.check(f"{document}: the files it names exist", faults)


def check_tests(plan):
    faults, found = [], 0
    for path, name in re.findall(r'`(tests/[^`\s]+)`(?:, "([^"]+)")?', read("README.md")):
        if not os.path.exists(os.path.join(TOP, path)):
            faults.append(f"there is no {path}")
        elif name:
            found += 1
            if name not in read(path):
                faults.append(f'{path} has no test "{name}"')
    if found < 4:
        faults.append(f"expected a test for each of the four promises, found {found}")
    plan.check("README: its tests exist", faults)


def plain(text, build):
    """A session without what differs from run to run."""
    text = text.replace(build + "/", "build/") if build else text
    text = re.sub(r"a1\.[A-Za-z0-9_-]{92}", "a1.TOKEN", text)
    text = re.sub(r"a1\.[A-Za-z0-9_-]*…", "a1.TOKEN", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", "TIME", text)
    text = re.sub(r"\d+\.\d\d s\b", "SECONDS", text)
    # A slow machine writes in more chunks, each a revision.
    text = re.sub(r"^(run \d+), (revision \d+|\d+ revisions: .*)$", r"\1, REVISIONS", text, flags=re.M)
    text = re.sub(r"\brevision \d+", "revision NUMBER", text)
    text = re.sub(r"(?<=, by )\S+(?=, TIME)", "NAME", text)
    return re.sub(r"(?<=TIME UTC, )[^\s:]+$", "NAME", text, flags=re.M)


def check_code(plan):
    """The C in the documents compiles, given the names it does not declare."""
    frame = """#include <stdio.h>
#include <amend/amend.h>
void f(struct amend_conn *db, const struct amend_table *person, const struct amend_table *stock);
void f(struct amend_conn *db, const struct amend_table *person, const struct amend_table *stock)
{
	struct amend_error err;
	(void)db, (void)person, (void)stock, (void)err;
%s}
"""
    compiler = os.environ.get("CC", "cc").split() + ["-std=c11", "-Wall", "-Wno-unused", "-Werror", "-fsyntax-only"]
    compiler += ["-I", os.path.join(TOP, "include"), "-x", "c", "-"]
    for document in documents():
        for number, block in enumerate(re.findall(r"^```c\n(.*?)^```", read(document), re.M | re.S)):
            body = re.sub(r"^#include.*\n", "", block, flags=re.M)
            done = subprocess.run(compiler, input=frame % body, capture_output=True, text=True, check=False)
            plan.check(f"{document}: its code ({number + 1}) compiles", done.stderr.splitlines())


def check_session(plan, session):
    build = re.search(r"^\$ (\S+)/amend sync", session, re.M)
    lines = plain(session, build[1] if build else "").splitlines()
    blocks = re.findall(r"^```console\n(.*?)^```", read("README.md"), re.M | re.S)
    faults = [] if blocks else ["README has no ```console block"]
    for line in (line for block in blocks for line in plain(block, "").splitlines()):
        while lines and lines[0] != line:
            lines.pop(0)
        if line and not lines:
            faults.append(f"not printed by examples/run.sh, or not in this place: {line}")
            break
    plan.check("README: its session is what examples/run.sh prints", faults)


def main():
    amend = sys.argv[1]
    plan = Plan()
    check_pages(plan, amend)
    check_faults(plan, amend)
    check_links(plan)
    check_paths(plan)
    check_code(plan)
    check_tests(plan)
    if len(sys.argv) > 2:
        with open(sys.argv[2], encoding="utf-8") as file:
            check_session(plan, file.read())
    index = read("docs", "decisions", "README.md")
    files = [name for name in os.listdir(os.path.join(TOP, "docs", "decisions")) if name[0].isdigit()]
    plan.check("decisions: all are listed", [name for name in files if f"({name})" not in index])
    length = read("HACKING.md").count("\n")
    plan.check("HACKING.md has fewer than 200 lines", [f"it has {length}"] if length >= 200 else [])
    print(f"1..{plan.number}")
    return plan.failed > 0


if __name__ == "__main__":
    sys.exit(main())

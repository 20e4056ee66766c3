#!/usr/bin/env python3
"""Progress on a terminal, and nowhere else. Speaks TAP.

    progress.py AMEND

A sync reads a pipe that is fed with pauses, so that there is progress however
fast the machine is; its standard error is a pseudo-terminal.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

# Keys of records, with a pause of half a second at each None; 5500 is there twice.
FEED = [*range(2000), None, *range(2000, 3500), None, *range(3500, 5000), None, *range(5000, 6000), 5500]


def await_taken(pipe):
    """A pause begins when the command has taken what came before it, however late it started."""
    until = time.monotonic() + 20
    while time.monotonic() < until and struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]:
        time.sleep(0.01)
    time.sleep(0.5)


def feed(pipe, fast):
    with os.fdopen(pipe, "w", encoding="utf-8") as file:
        file.write("code,name\n")
        # Of few records nothing is told, however slow the machine.
        for number, code in enumerate(FEED[:1500] if fast else FEED):
            if code is None:
                file.flush()
                await_taken(file.fileno())
            else:
                file.write(f"{code},name {number}\n")


def run(amend, folder, *options, columns=80, term="xterm", terminal=True, fast=False):
    """What appears on standard error; standard output apart."""
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    source, sink = os.pipe()
    command = [amend, "sync", "-", "app.db", "land", "--match", "code", "--create-table", "--format", "csv", *options]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=slave if terminal else subprocess.PIPE,
        env=dict(os.environ, TERM=term),
    ) as process:
        os.close(slave)
        os.close(source)
        feeder = threading.Thread(target=feed, args=(sink, fast))
        feeder.start()
        shown = b""
        if not terminal:
            shown = process.stderr.read()
        while terminal:
            try:
                shown += os.read(master, 65536)
            except OSError:
                break
        process.stdout.read()
        feeder.join()
    os.close(master)
    return shown.decode(), process.returncode


def screen(text):
    """What stands on the terminal in the end: \\r goes to the line's begin, the sequence erases the rest."""
    lines, at = [""], 0
    for part in re.findall(r"\x1b\[K|\r|\n|[^\x1b\r\n]+", text):
        if part == "\x1b[K":
            lines[-1] = lines[-1][:at]
        elif part == "\r":
            at = 0
        elif part == "\n":
            lines.append("")
            at = 0
        else:
            lines[-1] = lines[-1][:at] + part + lines[-1][at + len(part) :]
            at += len(part)
    return [line for line in lines if line]


class Plan:
    number = failed = 0

    def check(self, name, ok, found):
        self.number += 1
        self.failed += not ok
        print("ok" if ok else "not ok", self.number, "-", name, flush=True)
        if not ok:
            print("#", repr(found))


def main():
    amend = os.path.abspath(sys.argv[1])
    plan = Plan()
    if not os.path.exists("/dev/ptmx"):
        print("1..0 # SKIP no pseudo-terminals here")
        return 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        shown, status = run(amend, folder)
        lines = re.findall(r"\r([^\r\n\x1b]+)\x1b\[K", shown)
        plan.check("phases and records are shown", status == 6 and any(line.startswith("reading 3,000 records") for line in lines), (status, shown))
        rates = [line for line in lines if re.fullmatch(r"reading [3-6],000 records, \d,\d\d\d a second", line)]
        plan.check("a rate once the phase has settled", rates, lines)
        left = screen(shown)
        plan.check(
            "nothing of it is left, and messages stand on lines of their own",
            len(left) == 2 and all(re.match(r"<stdin>:\d+: ", line) for line in left),
            left,
        )
        many = len(re.findall(r"\r[^\r\n\x1b]", shown))
        plan.check("at most ten lines a second, and more than two", 2 < many < 40, many)

        shown, _ = run(amend, folder, columns=24)
        widest = max(map(len, re.findall(r"\r([^\r\n\x1b]+)\x1b\[K", shown)), default=0)
        plan.check("no line is wider than the terminal", 0 < widest < 24, shown)

        shown, _ = run(amend, folder, "--quiet")
        plan.check("none with --quiet", "\x1b" not in shown and "records" not in shown, shown)
        shown, _ = run(amend, folder, term="dumb")
        plan.check("none on a terminal that cannot take it back", "\x1b" not in shown, shown)
        shown, _ = run(amend, folder, terminal=False)
        plan.check("none where it is no terminal", "\x1b" not in shown and "records" not in shown, shown)
        shown, _ = run(amend, folder, fast=True)
        first = re.search(r"reading", shown)
        plan.check("none of what is read at once", not first, shown)
    print(f"1..{plan.number}")
    return plan.failed > 0


if __name__ == "__main__":
    sys.exit(main())

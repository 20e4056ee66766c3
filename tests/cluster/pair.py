"""A primary and its synchronous standby, and the command against both: for standby_test.py and standby_load.py.

Leaves starting, killing and promoting servers to tools/standby. A test is a function in a list; `run` says what became of each.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

LONGEST_S = 6
PATIENCE = 60  # seconds, for what a loaded machine takes


def skip_without_servers():
    if "AMEND_TEST_STANDBY" not in os.environ:
        print("1..0 # SKIP AMEND_TEST_STANDBY is not set (hint: tools/servers run --standby -- ...)")
        sys.exit(os.environ.get("CI") == "true")


def until(what, condition):
    """Waits for it; a thing that does not come is a failure."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"in vain: {what}")
        time.sleep(0.005)
    return found


def same(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def contains(text, *words):
    for word in words:
        if word not in text:
            raise AssertionError(f"expected {word!r} in {text!r}")


class Pair:
    """
    `primary` and `standby` are the numbers of the nodes, and change when one takes over. `late`: it took a busy machine so long that
    amend, which looks for ten seconds what became of a COMMIT, may have to say that it does not know.
    """

    def __init__(self, amend):
        self.amend, self.primary, self.standby, self.late = amend, 1, 2, False
        self.url = os.environ["AMEND_TEST_STANDBY"]
        host, port, self.rest = re.search(r"\?host=([^&]*)&port=([^&]*)(&.*)", self.url).groups()
        self.hosts, self.ports = host.split(","), port.split(",")

    def node(self, number, action):
        subprocess.run([*os.environ["AMEND_TEST_STANDBY_NODE"].split(), str(number), action], check=True, stdout=subprocess.DEVNULL)

    def url_of(self, *numbers, more=""):
        """Of these nodes, in this order."""
        hosts, ports = (",".join(of[n - 1] for n in numbers) for of in (self.hosts, self.ports))
        return f"postgresql:///amend?host={hosts}&port={ports}{self.rest}{more}"

    def sql(self, number, text):
        words = ["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "-c", text, self.url_of(number)]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout.strip()

    def words(self, url, line, **values):
        return [self.amend, *(word.format(url=url, **values) for word in line.split())]

    def run(self, url, line, **values):
        """(exit status, all that it says)"""
        done = subprocess.run(self.words(url, line, **values), capture_output=True, text=True, check=False, timeout=PATIENCE)
        return done.returncode, done.stdout + done.stderr

    def start(self, url, line, **values):
        return subprocess.Popen(self.words(url, line, **values), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def await_commits(self, n):
        """So many hang in COMMIT on the primary, for their standby."""
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        until(f"{n} commits that wait", lambda: self.sql(self.primary, waiting) == str(n))

    def kill(self):
        self.killed = time.monotonic()
        self.node(self.primary, "kill")

    def take_over(self):
        """The standby is the primary from now on."""
        self.node(self.standby, "promote")
        self.primary, self.standby = self.standby, self.primary
        took = time.monotonic() - self.killed
        self.late = took > LONGEST_S
        print(f"# {took:.1f} s from the primary's death to a new one{', which is late' if self.late else ''}")

    def rejoin(self):
        """What was killed comes back as the standby."""
        self.node(self.standby, "follow")


def ended(process):
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, out


def interrupt(process):
    process.send_signal(signal.SIGINT)
    return ended(process)


def run(tests):
    """Each with the pair and a folder; TAP."""
    failed = False
    print(f"1..{len(tests)}", flush=True)
    pair = Pair(os.path.abspath(sys.argv[1]))
    # Its role is named as the ledger's schema is: tables are not to be made there.
    pair.sql(pair.primary, "ALTER DATABASE amend SET search_path = public")
    pair.sql(pair.primary, "ALTER DATABASE amend SET deadlock_timeout = '20ms'")
    with tempfile.TemporaryDirectory(prefix="amend-standby-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        for number, (name, test) in enumerate(tests, 1):
            begun = time.monotonic()
            try:
                test(pair, folder)
                print(f"ok {number} - {name}")
            except (AssertionError, subprocess.SubprocessError):
                failed = True
                print(f"not ok {number} - {name}")
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
            print(f"# {time.monotonic() - begun:.1f} s", flush=True)
    sys.exit(failed)

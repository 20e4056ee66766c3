"""The proxy of relay.py, which knows where PostgreSQL's and MariaDB's messages begin and end: a connection is cut in one of them.

A message is known by its side ("request", "answer"), its kind (below) and its number among those; `where` it is cut is

    head      after its second byte: how long it is has not arrived
    middle    a part of its body has arrived, the rest has not
    after     all of it has arrived, and nothing that follows

Kinds of PostgreSQL: the letter that a message begins with, and "startup". Of MariaDB: of requests the number of the command, of answers
their first byte where it tells them apart; see `mariadb`. Leaves choosing the cut, and what must be true then, to cut_at.py.
"""

import threading
import time
from collections import Counter

from relay import Pair, Relay

WHERE = ("head", "middle", "after")


def postgresql(data, side, number):
    """(size, kind) of the message that the bytes begin with, the connection's so-many-th of that side; None: more must come first."""
    first = side == "request" and number == 0
    if len(data) < (4 if first else 5):
        return None
    size = int.from_bytes(data[:4] if first else data[1:5], "big")
    return (size, "startup") if first else (size + 1, chr(data[0]))


ANSWERS = {0x00: "ok", 0xFB: "send", 0xFE: "eof", 0xFF: "error"}


def mariadb(data, side, number):
    if len(data) < 4:
        return None
    size, sequence = int.from_bytes(data[:3], "little"), data[3]
    if len(data) < 4 + min(size, 1):
        return None
    first = data[4] if size else None
    if number == 0:
        kind = "hello"
    elif side == "answer":
        kind = ANSWERS.get(first, "columns" if sequence == 1 else "row")
    elif sequence == 0:
        kind = f"command{first}"
    else:
        kind = "data" if size else "nodata"
    return 4 + size, kind


PROTOCOLS = {"postgresql": postgresql, "mariadb": mariadb}


class Messages(Pair):
    """One connection, message by message."""

    def pump(self, side):
        source, target = (self.client, self.server) if side == "request" else (self.server, self.client)
        data, number = b"", 0
        try:
            while more := source.recv(65536):
                data += more
                while (found := self.relay.protocol(data, side, number)) and len(data) >= found[0]:
                    size, kind = found
                    message, data, number = data[:size], data[size:], number + 1
                    passes = self.relay.passes(side, kind, size)
                    self.send(target, message[:passes])
                    if passes is not None:
                        self.relay.struck()
                        self.close()
                        return
            target.sendall(data)
        except OSError:
            pass
        self.close()

    def send(self, target, message):
        if self.relay.delay:
            time.sleep(self.relay.delay)
        piece = self.relay.piece or max(1, len(message))
        for start in range(0, len(message), piece):
            target.sendall(message[start : start + piece])


class Cutter(Relay):
    """Cuts one message at a time: `arm`, and then see what has `fired`."""

    pair = Messages

    def __init__(self, engine, listening, server):
        self.protocol = PROTOCOLS[engine]
        self.lock = threading.Lock()
        self.struck = lambda: None  # what else is done then
        self.piece = 0  # so many bytes are handed on at a time; 0: as they come
        self.arm(None)
        super().__init__(listening, server)

    def arm(self, cut):
        """`cut`: (side, kind, number, where), or None; counts begin anew."""
        with self.lock:
            self.cutting, self.fired, self.counts = cut, False, Counter()

    def settle(self):
        """Returns when no connection goes through it any more, and what was done because of a cut is done."""
        until = time.monotonic() + 60
        while any(thread.is_alive() for thread in self.threads):
            if time.monotonic() > until:
                raise SystemExit("a connection that nobody holds is still open")
            time.sleep(0.002)
        self.threads.clear()

    def passes(self, side, kind, size):
        """How much of this message is handed on before the connection is cut; None: all, and it is not."""
        with self.lock:
            self.counts[side, kind] += 1
            if self.fired or not self.cutting or self.cutting[:3] != (side, kind, self.counts[side, kind]):
                return None
            self.fired = True
            return {"head": 2, "middle": max(3, size // 2 + 2), "after": size}[self.cutting[3]]

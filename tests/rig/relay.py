"""A proxy between amend and a server, over unix sockets, that cuts connections and slows them down.

Knows no protocol: where in a conversation a cut falls is chance. messages.py knows, and cuts where a test of the command wants it, as
tests/lib/proxy.h does for the library.
"""

import random
import socket
import threading
import time

# How a connection ends: at once; with what the client sends next lost, whole or from a byte on; with the server's answer lost so.
CUTS = ("now", "request", "request torn", "answer", "answer torn")


class Pair:
    """One connection: two sockets, a thread for each direction."""

    def __init__(self, relay, client, server):
        self.relay, self.client, self.server = relay, client, server
        self.cut = None
        for side in ("request", "answer"):
            thread = threading.Thread(target=self.pump, args=(side,), daemon=True)
            relay.threads.append(thread)
            thread.start()

    def pump(self, side):
        source, target = (self.client, self.server) if side == "request" else (self.server, self.client)
        try:
            while data := source.recv(65536):
                if self.relay.delay:
                    time.sleep(self.relay.delay)
                if self.cut and self.cut.startswith(side):
                    if self.cut.endswith("torn"):
                        target.sendall(data[: len(data) // 2])
                    break
                target.sendall(data)
        except OSError:
            pass
        self.close()

    def close(self):
        for one in (self.client, self.server):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.relay.pairs.discard(self)


class Relay:
    pair = Pair

    def __init__(self, listening, server):
        self.server, self.pairs, self.threads, self.delay = server, set(), [], 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(listening)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.server)
            except OSError:
                client.close()
                continue
            pair = self.pair(self, client, server)
            self.pairs.add(pair)

    def cut(self, chance: random.Random):
        """Of one connection; False where there is none."""
        pairs = sorted(self.pairs, key=id)
        if not pairs:
            return False
        pair = chance.choice(pairs)
        pair.cut = chance.choice(CUTS)
        if pair.cut == "now":
            pair.close()
        return True

    def close(self):
        self.listener.close()
        for pair in list(self.pairs):
            pair.close()

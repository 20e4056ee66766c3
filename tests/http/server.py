"""A server of lists that answers as badly as servers do. Each path is a way to answer."""

import gzip
import http.server
import json
import socket
import struct
import threading
import time

CSV = b"code,name,qty\nA,bolt,1\nB,nut,2\nC,screw,3\n"
CHANGED = b"code,name,qty\nA,BOLT,1\nB,NUT,2\nC,SCREW,3\nD,new,4\n"
PACKED = gzip.compress(CHANGED)
RECORDS = [dict(zip(("code", "name", "qty"), line.split(","))) for line in CHANGED.decode().split()[1:]]


def as_json(records):
    return json.dumps(records).encode()


def as_lines(records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, kind="text/csv", status=200, length=None, headers=()):
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if length is not False:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def cut(self):
        """The connection is over, whatever was announced."""
        self.wfile.flush()
        self.close_connection = True

    def reset(self):
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def link(self, path):
        return [("Link", f'<{path}>; rel="next"')]

    def do_GET(self):
        path, _, query = self.path.partition("?")
        with self.server.lock:
            n = self.server.asked[path] = self.server.asked.get(path, 0) + 1
            self.server.requests.append((path, query, dict(self.headers), self.headers.get("Host")))
        way = getattr(self, "do_" + path.strip("/").replace("/", "_").replace(".", "_"), None)
        if way:
            way(n)
        else:
            self.answer(b"not here\n", "text/plain", 404)

    # --- as it should be ---

    def do_csv(self, n):
        self.answer(CHANGED, "text/csv; charset=utf-8; header=present")

    def do_tsv(self, n):
        self.answer(CHANGED.replace(b",", b"\t"), "text/tab-separated-values")

    def do_json(self, n):
        self.answer(as_json(RECORDS), "application/json")

    def do_problem(self, n):
        self.answer(as_json({"data": RECORDS}), "application/vnd.api+json")

    def do_lines(self, n):
        self.answer(as_lines(RECORDS), "application/x-ndjson")

    def do_list_csv(self, n):
        self.answer(CHANGED, "application/octet-stream")

    def do_list_csv_gz(self, n):
        self.answer(PACKED, "application/gzip")

    def do_coded(self, n):
        assert self.headers["Accept-Encoding"] == "gzip"
        self.answer(PACKED, headers=[("Content-Encoding", "gzip")])

    def do_chunked(self, n):
        self.answer(b"", length=False, headers=[("Transfer-Encoding", "chunked")])
        for at in range(0, len(CHANGED), 7):
            piece = CHANGED[at:at + 7]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def do_moved(self, n):
        self.answer(b"", status=302, headers=[("Location", "/csv")])

    def pages(self, path, bodies, kind):
        page = int(self.path.partition("=")[2] or 1)
        more = self.link(f"{path}?page={page + 1}") if page < len(bodies) else ()
        self.answer(bodies[page - 1], kind, headers=more)

    def do_pages_csv(self, n):
        head, *lines = CHANGED.splitlines(True)
        self.pages("/pages/csv", [head + b"".join(lines[:1]), head, head, head + b"".join(lines[1:])], "text/csv")

    def do_pages_json(self, n):
        self.pages("json", [as_json(RECORDS[:2]), b"[]", b"[]", as_json(RECORDS[2:])], "application/json")

    def do_pages_lines(self, n):
        self.pages("", [as_lines(RECORDS[:3]), as_lines(RECORDS[3:])], "application/x-ndjson")

    # --- by version: what it says and does is in server.state, under the query's first part ---

    def do_versioned(self, n):
        state = self.server.state[self.path.partition("?")[2].partition("&")[0]]
        headers = [(name, state[key]) for key, name in (("etag", "ETag"), ("modified", "Last-Modified")) if key in state]
        asked, since = self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")
        weak = lambda tag: tag and tag.removeprefix("W/")
        met = weak(asked) == weak(state.get("etag")) if asked else since and since == state.get("modified")
        if state.get("next"):
            headers += self.link(state["next"])
        if state.get("lies") or (met and not state.get("ignores")):
            self.send_response(304)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
        else:
            self.answer(state.get("body", CHANGED), length=state.get("length"), headers=headers)
            if "length" in state:
                self.cut()

    # --- better next time ---

    def do_soon(self, n):
        if n < 3:
            self.answer(b"wait\n", "text/plain", 503)
        else:
            self.answer(CHANGED)

    def do_patience(self, n):
        if n < 2:
            self.answer(b"", "text/plain", 429, headers=[("Retry-After", "1")])
        else:
            self.answer(CHANGED)

    def do_torn_once(self, n):
        self.answer(CHANGED[:-9] if n < 2 else CHANGED, length=len(CHANGED))
        self.cut()

    # --- as it should not be ---

    def do_cut(self, n):
        self.answer(CHANGED[:-9], length=len(CHANGED))
        self.cut()

    def do_cut_line(self, n):
        """Cut where a line ends: what came looks whole."""
        self.answer(CHANGED[:CHANGED.index(b"C,")], length=len(CHANGED))
        self.cut()

    def do_cut_reset(self, n):
        self.answer(CHANGED[:-9], length=len(CHANGED))
        self.reset()

    def do_cut_chunked(self, n):
        self.answer(b"", length=False, headers=[("Transfer-Encoding", "chunked")])
        piece = CHANGED[:CHANGED.index(b"C,")]
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.cut()

    def do_cut_json(self, n):
        """A length that is right for what is sent, which is not all."""
        self.answer(as_json(RECORDS)[:-40], "application/json")

    def do_cut_lines(self, n):
        self.answer(as_lines(RECORDS)[:-9], "application/x-ndjson")

    def do_short(self, n):
        """More is sent than is announced, so late that it is not read: the document ends too early."""
        self.answer(b"", "application/json", length=100)
        time.sleep(0.3)
        self.wfile.write(as_json(RECORDS))
        self.cut()

    def do_short_csv(self, n):
        """
        What is announced ends with a line: only the bytes behind it tell, and only if they come with the
        head: a client reads no further than what was announced.
        """
        length = CSV.index(b"B,nut")
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % length + CSV)
        self.cut()

    def do_cut_gzip(self, n):
        self.answer(PACKED[:-9], headers=[("Content-Encoding", "gzip")])

    def do_cut_gzip_csv_gz(self, n):
        self.answer(PACKED[:20], "application/gzip")

    def do_endless(self, n):
        self.answer(CHANGED, length=False, headers=[("Connection", "close")])
        self.cut()

    def do_endless_json(self, n):
        self.answer(as_json(RECORDS), "application/json", length=False, headers=[("Connection", "close")])
        self.cut()

    def do_endless_packed(self, n):
        self.answer(PACKED, length=False, headers=[("Connection", "close")])
        self.cut()

    def do_html(self, n):
        self.answer(b"<html>Please sign in</html>", "text/html")

    def do_brotli(self, n):
        self.answer(CHANGED, headers=[("Content-Encoding", "br")])

    def do_type(self, n):
        self.answer(as_json(RECORDS[:2]), "application/json", headers=self.link("/html"))

    def do_type_same(self, n):
        """Says it is JSON, and is not."""
        if "page" in self.path:
            self.answer(b"<html>Please sign in</html>", "application/json")
        else:
            self.answer(as_json(RECORDS[:2]), "application/json", headers=self.link("?page=2"))

    def do_header(self, n):
        if "page" in self.path:
            self.answer(b"code,qty,name\nD,4,new\n")
        else:
            self.answer(CSV, headers=self.link("?page=2"))

    def do_loop_self(self, n):
        self.answer(as_json(RECORDS), "application/json", headers=self.link("/loop/self"))

    def do_loop_two(self, n):
        more = "/loop/two" if "page" in self.path else "?page=2"
        self.answer(as_json([RECORDS["page" in self.path]]), "application/json", headers=self.link(more))

    def do_repeat(self, n):
        """The same page under ever new names."""
        self.answer(as_json(RECORDS), "application/json", headers=self.link(f"?page={n}"))

    def do_halfway(self, n):
        if "page" in self.path:
            self.answer(b"sorry\n", "text/plain", 500)
        else:
            self.answer(as_json(RECORDS[:2]), "application/json", headers=self.link("?page=2"))

    def do_halfway_cut(self, n):
        if "page" in self.path:
            self.answer(as_json(RECORDS[2:])[:-5], "application/json", length=5000)
            self.cut()
        else:
            self.answer(as_json(RECORDS[:2]), "application/json", headers=self.link("?page=2"))

    def do_broken(self, n):
        self.answer(b"sorry\n", "text/plain", 500)

    def do_busy(self, n):
        self.answer(b"", "text/plain", 429, headers=[("Retry-After", "3600")])

    def do_denied(self, n):
        self.answer(b"", "text/plain", 401)

    def do_partial(self, n):
        self.answer(CHANGED[:60], status=206)

    def do_empty(self, n):
        self.send_response(204)
        self.end_headers()

    def do_unmodified(self, n):
        self.send_response(304)
        self.end_headers()

    def do_circle(self, n):
        self.answer(b"", status=302, headers=[("Location", "/circle")])

    def do_elsewhere(self, n):
        self.answer(b"", status=302, headers=[("Location", "file:///etc/passwd")])

    def do_hang(self, n):
        self.answer(CHANGED[:30], length=len(CHANGED))
        self.wfile.flush()
        self.server.over.wait(30)
        self.close_connection = True

    def do_silent(self, n):
        self.server.over.wait(30)
        self.close_connection = True

    def do_slow(self, n):
        """More than is waited for before the first record is read, and then nothing."""
        body = CHANGED + b"".join(b"K%d,x,%d\n" % (i, i) for i in range(200000))
        self.answer(body, length=len(body) + 1)
        self.wfile.flush()
        self.server.over.wait(30)
        self.close_connection = True

    def do_page_hang(self, n):
        if "page=2" in self.path:
            self.server.over.wait(30)
            self.close_connection = True
        else:
            self.answer(as_json(RECORDS[:2]), "application/json", headers=self.link(self.path + "&page=2"))

    def do_later(self, n):
        self.answer(b"", "text/plain", 503, headers=[("Retry-After", "30")])

    # --- secrets ---

    def do_secret(self, n):
        if not self.headers["Authorization"]:
            self.answer(b"", "text/plain", 401, headers=[("WWW-Authenticate", 'Basic realm="x"')])
        else:
            self.answer(as_json(RECORDS[:2]), "application/json",
                        headers=self.link(f"http://localhost:{self.server.server_port}/other"))

    def do_other(self, n):
        self.answer(as_json(RECORDS[2:]), "application/json")

    def do_away(self, n):
        self.answer(b"", status=302, headers=[("Location", f"http://localhost:{self.server.server_port}/json")])

    def do_fails(self, n):
        self.answer(b"", "text/plain", 404)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.asked = {}
        self.requests = []
        self.state = {}
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # clients that go away are what is tested

    def of(self, path):
        with self.lock:
            return [request for request in self.requests if request[0] == path]

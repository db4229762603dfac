"""A web server on loopback that answers as a good source of facts does, and as bad ones do: real sockets, no mocks."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, str], bytes | Iterator[bytes]]
Query = dict[str, str]

HTML: Answer = (200, {"Content-Type": "text/html"}, b"<html>Please log in to this hotel's network</html>")
DOWN: Answer = (503, {}, b"down")
BUSY: Answer = (429, {"Retry-After": "7"}, b"slow down")
REFUSED: Answer = (403, {}, b"no")


def said(value: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


def redirect(to: str) -> Answer:
    return 302, {"Location": to}, b""


def endless() -> Answer:
    return 200, {}, iter(lambda: b"[" * 65_536, None)


def drip(stop: threading.Event) -> Answer:
    """A byte now and then, for ever."""

    def bytes_of() -> Iterator[bytes]:
        while not stop.is_set():
            yield b" "
            time.sleep(0.02)

    return 200, {}, bytes_of()


class LoopbackSource:
    """`faults` are answered first, one each; then `routes` by path, with the query."""

    def __init__(self) -> None:
        self.routes: dict[str, Callable[[Query], Answer]] = {}
        self.faults: deque[Answer] = deque()
        self.asked: list[tuple[str, Query]] = []
        self.url = ""
        self.stop = threading.Event()

    def answer(self, path: str, query: Query) -> Answer:
        self.asked.append((path, query))
        if self.faults:
            return self.faults.popleft()
        return self.routes[path](query) if path in self.routes else (404, {}, b"{}")


class _Handler(BaseHTTPRequestHandler):
    source: LoopbackSource

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        status, headers, body = self.source.answer(parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()})
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if isinstance(body, bytes):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for chunk in [body] if isinstance(body, bytes) else body:
                self.wfile.write(chunk)
        except OSError:
            self.close_connection = True  # the client had enough

    def log_message(self, *_told: object) -> None: ...


@contextmanager
def served() -> Iterator[LoopbackSource]:
    source = LoopbackSource()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"source": source}))
    server.daemon_threads = True
    source.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        source.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""A loopback stand-in for Telegram."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Bot(ThreadingHTTPServer):
    """`answers` are status codes, 200 once they are used up; `heard` is what was taken."""

    def __init__(self, answers: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.heard: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def texts(self) -> list[str]:
        return [str(message["text"]) for message in self.heard]


class _Handler(BaseHTTPRequestHandler):
    server: Bot

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = self.server.answers.pop(0) if self.server.answers else 200
        if code == 200:
            self.server.heard.append({"path": self.path, **body})
        self.send_response(code)
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


@contextmanager
def telegram(answers: list[int] | None = None) -> Iterator[Bot]:
    bot = Bot(answers or [])
    try:
        yield bot
    finally:
        bot.shutdown()
        bot.server_close()

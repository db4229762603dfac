"""A loopback Bot API server: getMe, getChat, getWebhookInfo, sendMessage and getUpdates as Telegram answers them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests import PATIENCE_S

_REASONS = {400: "Bad Request: chat not found", 401: "Unauthorized", 403: "Forbidden: bot was blocked by the user"}
_REASONS |= {409: "Conflict: terminated by other getUpdates request", 429: "Too Many Requests", 500: "Internal Server Error"}


class Bot(ThreadingHTTPServer):
    """`answers` are status codes of sendMessage, 200 once they are used up; `heard` is what was taken; `polls` those of getUpdates."""

    daemon_threads = True

    def __init__(self, answers: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.polls = answers, list[int]()
        self.heard: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.webhook, self.retry_after = "", 0
        self.known_chat, self.is_revoked, self.is_blocked, self.clock_off_s = True, False, False, 0.0
        self.is_over = False
        self._updates: list[dict[str, Any]] = []
        self._count = 0
        self._lock = threading.Condition()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def texts(self) -> list[str]:
        """Of messages, and below pictures."""
        return [str(message.get("text", message.get("caption"))) for message in self.heard]

    def say(self, text: str, *, chat: int = 42, age_s: float = 0.0) -> None:
        """Somebody writes to the bot."""
        with self._lock:
            self._count += 1
            sender = {"id": chat, "is_bot": False, "first_name": "somebody"}
            message = {"message_id": self._count, "date": int(time.time() - age_s), "chat": {"id": chat, "type": "private"}}
            self._updates.append({"update_id": self._count, "message": message | {"from": sender, "text": text}})
            self._lock.notify_all()

    def updates(self, offset: int, wait_s: float) -> list[dict[str, Any]]:
        """A negative offset counts from the end; what is before the offset is forgotten."""
        until = time.monotonic() + wait_s
        with self._lock:
            while True:
                found = self._updates[offset:] if offset < 0 else [u for u in self._updates if u["update_id"] >= offset]
                if offset:
                    self._updates = list(found)
                if found or self.is_over or time.monotonic() >= until:
                    return found
                self._lock.wait(max(0.0, min(0.1, until - time.monotonic())))

    def end(self) -> None:
        self.is_over = True
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Bot

    def do_POST(self) -> None:
        body, kind = self.rfile.read(int(self.headers.get("Content-Length", 0))), self.headers.get("Content-Type") or ""
        if kind.startswith("multipart/"):
            parts = BytesParser().parsebytes(f"Content-Type: {kind}\n\n".encode() + body).get_payload()
            given: dict[str, Any] = {str(part.get_param("name", header="content-disposition")): _plain(part) for part in parts}
        else:
            given = json.loads(body) if "json" in kind else dict(parse_qsl(body.decode()))
        method = self.path.rpartition("/")[2]
        self.server.asked.append(method)
        code, result = self._result(method, given)
        answer: dict[str, Any] = {"ok": True, "result": result} if code == 200 else {"ok": False, "error_code": code}
        if code != 200:
            answer["description"] = _REASONS.get(code, "trouble")
        if code == 429:
            answer["parameters"] = {"retry_after": self.server.retry_after}
        text = json.dumps(answer).encode()
        try:
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except OSError:  # the client has gone
            self.close_connection = True

    def _result(self, method: str, given: dict[str, Any]) -> tuple[int, Any]:
        bot = self.server
        if bot.is_revoked:
            return 401, None
        if method in ("sendMessage", "sendPhoto"):
            code = bot.answers.pop(0) if bot.answers else 200 if bot.known_chat else 400
            if code == 200:
                bot.heard.append({"path": self.path, **given})
            chat = {"id": int(given["chat_id"]), "type": "private"}
            return code, {"message_id": 1, "date": 0, "chat": chat, "text": given.get("text", "")}
        if method == "getUpdates":
            code = bot.polls.pop(0) if bot.polls else 200
            return code, bot.updates(int(given.get("offset", 0)), float(given.get("timeout", 0))) if code == 200 else None
        if method == "getMe":
            return (200, {"id": 1, "is_bot": True, "first_name": "bot", "username": "trader_bot"}) if ":" in self.path else (401, None)
        if method == "getChat" and not bot.known_chat:
            return 400, None
        if method == "sendChatAction":
            return (403, None) if bot.is_blocked else (200, True)
        if method == "getChat":
            chat = {"id": int(given["chat_id"]), "type": "private", "accent_color_id": 0, "max_reaction_count": 1}
            return 200, chat | {"accepted_gift_types": dict.fromkeys(_GIFTS, False)}
        return 200, {"url": bot.webhook, "has_custom_certificate": False, "pending_update_count": 0}

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((time.time() if timestamp is None else timestamp) - self.server.clock_off_s)

    def log_message(self, *args: Any) -> None: ...


_GIFTS = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")


def _plain(part: Any) -> str | bytes:
    """A field of a form; of a file its bytes."""
    content: bytes = part.get_payload(decode=True)
    return content if part.get_filename() else content.decode()


def until(happened: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def telegram(answers: list[int] | None = None) -> Iterator[Bot]:
    bot = Bot(answers or [])
    try:
        yield bot
    finally:
        bot.end()

"""Alerts by Telegram: sent by a thread of their own, at a bounded rate, and never waited for."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Mapping
from typing import Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from forwardtrader.core import environment as variables
from forwardtrader.core import log

_LOG: Final = log.logger("live")
_API: Final = "https://api.telegram.org"
_WAITING: Final = 100
_LEAST_BETWEEN_S: Final = 1.0  # Telegram takes about one message a second and chat
_TIMEOUT_S: Final = 10.0
_MARKS: Final = {"info": "", "warning": "! ", "error": "!! "}


class TelegramAlerts:
    """Queues texts and sends them from a thread.

    A message that cannot be sent is tried three times with exponential backoff and then dropped, with a line in the log: alerts must not
    pile up behind a dead network.

    Args:
        api: scheme and host of the bot API; a loopback server in tests.
    """

    def __init__(self, token: str, chat_id: str, *, name: str, api: str = _API, pause_s: float = _LEAST_BETWEEN_S) -> None:
        self._url = f"{api}/bot{quote(token, safe=':')}/sendMessage"
        self._chat_id = chat_id
        self._name = name
        self._pause_s = pause_s
        self._texts: queue.Queue[str | None] = queue.Queue(_WAITING)
        self.sent = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
        self._thread.start()

    def send(self, level: str, text: str) -> None:
        """Queue one message and return; it is dropped where the queue is full."""
        try:
            self._texts.put_nowait(f"{_MARKS.get(level, '')}{self._name}: {log.redact(text)}")
        except queue.Full:
            self.dropped += 1

    def close(self, wait_s: float = 5.0) -> None:
        """Send what is queued, for at most `wait_s`."""
        try:
            self._texts.put(None, timeout=wait_s)
        except queue.Full:
            return
        self._thread.join(wait_s)

    def _work(self) -> None:
        while (text := self._texts.get()) is not None:
            self._deliver(text)
            time.sleep(self._pause_s)

    def _deliver(self, text: str) -> None:
        body = json.dumps({"chat_id": self._chat_id, "text": text[:4000], "disable_notification": not text.startswith("!")}).encode()
        for attempt in range(3):
            try:
                request = Request(self._url, body, {"Content-Type": "application/json"})
                with urlopen(request, timeout=_TIMEOUT_S):
                    self.sent += 1
                    return
            except HTTPError as error:
                error.close()
                if error.code != 429 and error.code < 500:
                    break
                time.sleep(self._pause_s * 2**attempt)
            except OSError:
                time.sleep(self._pause_s * 2**attempt)
        self.dropped += 1
        log.event(_LOG, "alert_dropped", text=text[:80])


def alerts_from(environment: Mapping[str, str] | None = None, *, name: str, api: str = _API) -> TelegramAlerts | None:
    """The Telegram channel named by the environment or `.env`; None where there is none."""
    known = variables.environment() if environment is None else environment
    token, chat_id = known.get("TELEGRAM_BOT_TOKEN", ""), known.get("TELEGRAM_CHAT_ID", "")
    return TelegramAlerts(token, chat_id, name=name, api=known.get("TELEGRAM_API", "") or api) if token and chat_id else None

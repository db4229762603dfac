"""What arrives at an open page: one reader looks at the files, however many pages are open, and each page gets what is new.

Files are looked at a few times a second while somebody watches, and not at all otherwise. A page that does not take what it is sent is let
go; its browser asks again by itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from anyio import to_thread

from forwardtrader.core import log

_LOG: Final = log.logger("serve")
MOST_STREAMS: Final = 64
_EVERY_S: Final = 0.2
_WAITING: Final = 256  # updates that a page may be behind
_ENDS_WITHIN_S: Final = 0.5  # a stream, when the server ends
_SIGN_S: Final = 10.0  # of life, so that a connection that is gone is noticed


@dataclass(frozen=True)
class Update:
    """Something new: to which part of a page, and what."""

    event: str
    data: object

    @property
    def as_text(self) -> bytes:
        """As server-sent events are written, secrets struck out."""
        data = log.redact_values(json.dumps(self.data, separators=(",", ":")))
        return f"event: {self.event}\ndata: {data}\n\n".encode()


class Watched(Protocol):
    """Something that changes. Called in a thread, by one at a time."""

    def news(self) -> Iterable[Update]:
        """What changed since the last call."""

    def whole(self) -> Iterable[Update]:
        """What a page is told that opens now."""


class LiveUpdates:
    """Deals out what changes.

    Args:
        watched: looked at while somebody listens.
    """

    def __init__(self, watched: Iterable[Watched]) -> None:
        self._watched = tuple(watched)
        self._listening: set[asyncio.Queue[Update | None]] = set()
        self.is_ending: Callable[[], bool] = lambda: False

    @property
    def is_full(self) -> bool:
        """Whether as many pages listen as may."""
        return len(self._listening) >= MOST_STREAMS

    async def look(self) -> None:
        """Look for ever."""
        while True:
            began = time.monotonic()
            if self._listening:
                for update in await to_thread.run_sync(self._news):
                    self._deal_out(update)
            await asyncio.sleep(max(_EVERY_S - (time.monotonic() - began), 0.02))

    async def stream(self) -> AsyncIterator[bytes]:
        """What one page is sent, from how things stand now."""
        queue: asyncio.Queue[Update | None] = asyncio.Queue(_WAITING)
        self._listening.add(queue)
        try:
            yield b"retry: 1000\n\n" + Update("clock", time.time() * 1000).as_text
            for update in await to_thread.run_sync(self._whole):
                yield update.as_text
            while (sent := await self._next(queue)) is not None:
                yield sent
        finally:
            self._listening.discard(queue)

    async def _next(self, queue: asyncio.Queue[Update | None]) -> bytes | None:
        """What is to be sent next: an update, or a sign of life; None at the end."""
        until = time.monotonic() + _SIGN_S
        while not self.is_ending():
            try:
                async with asyncio.timeout(_ENDS_WITHIN_S):
                    update = await queue.get()
            except TimeoutError:
                if time.monotonic() > until:
                    return b": still there\n\n"
                continue
            return None if update is None else update.as_text
        return None

    def _news(self) -> list[Update]:
        found: list[Update] = []
        for each in self._watched:
            try:
                found += each.news()
            except Exception:  # noqa: BLE001 - what cannot be read now must not end what else is told
                log.event(_LOG, "updates_not_read", logging.ERROR, of=type(each).__name__)
                _LOG.error("updates not read", exc_info=True)
        return found

    def _whole(self) -> list[Update]:
        return [update for each in self._watched for update in each.whole()]

    def _deal_out(self, update: Update) -> None:
        for queue in list(self._listening):
            try:
                queue.put_nowait(update)
            except asyncio.QueueFull:  # nobody reads it: the stream ends once what was sent is taken
                self._listening.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

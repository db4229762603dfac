"""The channel to a chat: one thread sends alerts at a bounded rate and receives commands. Nobody ever waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from forwardtrader.core import log
from forwardtrader.core.errors import ConfigError, TelegramRefused, TelegramUnreachable
from forwardtrader.live.telegram.outbox import Message, Outbox
from forwardtrader.live.telegram.received import Received

if TYPE_CHECKING:  # the library takes half a second to import, and a session without a token needs none
    from forwardtrader.live.telegram.bot import TelegramBot

_LOG: Final = log.logger("live")
API: Final = "https://api.telegram.org"
_LEAST_BETWEEN_S: Final = 1.0  # Telegram takes about one message a second and chat
_MOST_BETWEEN_S: Final = 60.0
_ATTEMPTS: Final = 3  # at what is no error, and at anything once the channel closes
_LOOK_EVERY_S: Final = 1.0  # for counts of repeats that are due

React = Callable[[Received], Coroutine[Any, Any, None]]


class TelegramChannel:
    """Sends what any thread hands over, and receives once `listen` was called.

    A message that cannot be sent is tried again with exponential backoff: three times, an error until it is sent or the channel closes.

    Args:
        api: scheme and host of the bot API; a loopback server in tests.
        pause_s: between two messages, and after the first failure.
    """

    def __init__(self, token: str, chat_id: str, *, name: str, api: str = API, pause_s: float = _LEAST_BETWEEN_S) -> None:
        self._token, self._api = token, api
        self.chat_id = chat_id
        self._pause_s = pause_s
        self._outbox = Outbox(name)
        self.sent = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news, self._closing = asyncio.Event(), asyncio.Event()
        self._is_closing = self._is_over = False
        self._listener: tuple[React, Callable[[str], None]] | None = None
        self._reactions: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._work, name="telegram", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Messages that were never sent: the queue was full, the network was dead, or Telegram refused them."""
        return self._outbox.dropped

    def send(self, level: str, text: str) -> None:
        """Queue an alert and return."""
        if not self._is_over:
            self._outbox.add(level, log.redact(text), time.monotonic())
            self._wake()

    def answer(self, text: str) -> None:
        """Queue the answer to a command and return."""
        self._outbox.answer(log.redact(text))
        self._wake()

    def listen(self, react: React, failed: Callable[[str], None]) -> None:
        """Receive from now on; what was sent to the bot before is dropped.

        Args:
            react: called in the channel's thread with each message; what it awaits delays no other message.
            failed: called with the reason why nothing is received for now, or for good.
        """
        self._listener = react, failed
        self._wake()

    def close(self, wait_s: float = 5.0) -> None:
        """Send what is queued, and end; for at most `wait_s`."""
        self._is_closing = True
        self._wake(self._closing)
        self._wake()
        self._thread.join(wait_s)
        self._is_over = True
        for message in self._outbox.rest():
            self._drop(message, "the session ended first")

    def _wake(self, event: asyncio.Event | None = None) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it is over
                self._loop.call_soon_threadsafe((event or self._news).set)

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        except ConfigError as refusal:
            self._fail(str(refusal))
        except Exception:  # noqa: BLE001 - whatever becomes of the channel, the session goes on
            _LOG.error("telegram failed", exc_info=True)
        self._is_over = True

    async def _run(self) -> None:
        from forwardtrader.live.telegram.bot import TelegramBot

        self._loop, receiving = asyncio.get_running_loop(), None
        async with TelegramBot(self._token, api=self._api) as bot:
            while True:
                if receiving is None and self._listener is not None:
                    receiving = asyncio.create_task(self._receive(bot, *self._listener))
                self._news.clear()
                message = self._outbox.take(time.monotonic())
                if message is not None:
                    await self._deliver(bot, message)
                elif self._is_closing and not self._reactions:
                    break
                else:
                    await _wait(self._news, _LOOK_EVERY_S)
            if receiving is not None:
                receiving.cancel()
                with suppress(asyncio.CancelledError):
                    await receiving

    # Sending

    async def _deliver(self, bot: TelegramBot, message: Message) -> None:
        attempt = 0
        while True:
            try:
                await bot.send(self.chat_id, message.text, silent=message.is_silent)
                self.sent += 1
                await asyncio.sleep(self._pause_s)
                return
            except TelegramRefused as refusal:
                self._drop(message, str(refusal))
                return
            except TelegramUnreachable as trouble:
                attempt += 1
                if attempt >= _ATTEMPTS and (self._is_closing or not message.is_critical):
                    self._drop(message, str(trouble))
                    return
                await _wait(self._closing, max(trouble.wait_s, min(_MOST_BETWEEN_S, self._pause_s * 2**attempt)))

    def _drop(self, message: Message, reason: str) -> None:
        self._outbox.dropped += 1
        level = logging.ERROR if message.is_critical else logging.WARNING
        log.event(_LOG, "alert_dropped", level, text=message.text[:200], reason=reason)

    # Receiving

    async def _receive(self, bot: TelegramBot, react: React, failed: Callable[[str], None]) -> None:
        def take(received: Received) -> None:
            task = asyncio.ensure_future(react(received))
            self._reactions.add(task)
            task.add_done_callback(self._reacted)

        try:
            await bot.receive(take, failed, pause_s=self._pause_s)
        except TelegramRefused as refusal:
            self._fail(str(refusal))

    def _reacted(self, task: asyncio.Task[None]) -> None:
        self._reactions.discard(task)
        self._news.set()
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("telegram command failed", exc_info=task.exception())

    def _fail(self, reason: str) -> None:
        log.event(_LOG, "telegram_fails", logging.ERROR, reason=reason)
        if self._listener is not None:
            self._listener[1](reason)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)

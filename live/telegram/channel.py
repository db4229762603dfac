"""The channel to a chat: one thread sends alerts at a bounded rate and receives commands. Nobody ever waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from forwardtrader.core import log
from forwardtrader.core.errors import TelegramRefused, TelegramUnreachable, TradingError
from forwardtrader.live.telegram.alert_filter import SUMMARY, AlertFilter
from forwardtrader.live.telegram.outbox import Message, Outbox
from forwardtrader.live.telegram.received import Received
from forwardtrader.live.telegram.unsent import UnsentErrors

if TYPE_CHECKING:  # the library takes half a second to import, and a session without a token needs none
    from forwardtrader.live.telegram.bot import TelegramBot

_LOG: Final = log.logger("live")
API: Final = "https://api.telegram.org"
_LEAST_BETWEEN_S: Final = 1.0  # Telegram takes about one message a second and chat
_MOST_BETWEEN_S: Final = 60.0
_ATTEMPTS: Final = 3  # at what is no error, and at anything once the channel closes
_LOOK_EVERY_S: Final = 1.0  # for counts of repeats that are due, and for the end of a day

React = Callable[[Received], Coroutine[Any, Any, None]]


class Summary(Protocol):
    """The summary of a day; used in the channel's thread."""

    def is_due(self) -> bool:
        """Whether a day is over whose summary was not made."""

    def make(self) -> tuple[str, bytes]:
        """Text and picture (PNG; empty for none) of that day, once."""


class TelegramChannel:
    """Sends what any thread hands over, and receives once `listen` was called. Its thread starts with the first call.

    A message that cannot be sent is tried again with exponential backoff: three times, an error until it is sent or the channel closes.
    Errors that are left then are kept for the next process.

    Args:
        api: scheme and host of the bot API; a loopback server in tests.
        pause_s: between two messages, and after the first failure.
        alert_filter: which alerts are sent; all of them where None.
        folder: where errors that are left are kept; None where they are not.
    """

    def __init__(
        self, token: str, chat_id: str, *, name: str, api: str = API, pause_s: float = _LEAST_BETWEEN_S,
        alert_filter: AlertFilter | None = None, folder: Path | None = None,
    ) -> None:  # fmt: skip
        self._token, self._api = token, api
        self.chat_id = chat_id
        self._pause_s = pause_s
        self._filter = alert_filter or AlertFilter()
        self._outbox = Outbox(name)
        self._unsent = UnsentErrors(folder)
        self._left: list[Message] = []  # errors that were given up at the end
        self._in_flight: Message | None = None
        self._has_kept = False  # what an earlier process left, and is sent by now or waits
        self.sent = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = self._closing = asyncio.Event()
        self._shut = threading.Event()
        self._is_over = False
        self._listener: tuple[React, Callable[[str], None]] | None = None
        self._trouble: Callable[[str], None] | None = None
        self._summary: Summary | None = None
        self._reactions: set[asyncio.Task[None]] = set()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Messages that were never sent: the queue was full, the network was dead, or Telegram refused them."""
        return self._outbox.dropped

    def send(self, alert: str, level: str, text: str) -> None:
        """Queue an alert and return."""
        if not self._is_over and self._filter.passes(alert, level):
            self._outbox.add(level, log.redact(text), time.monotonic())
            self._wake()

    def answer(self, text: str) -> None:
        """Queue the answer to a command and return."""
        self._outbox.answer(log.redact(text))
        self._wake()

    def check(self, trouble: Callable[[str], None]) -> None:
        """Ask Telegram for bot, chat and time; `trouble` is called in the channel's thread, with one line, where nothing can be sent."""
        self._trouble = trouble
        self._wake()

    def listen(self, react: React, failed: Callable[[str], None]) -> None:
        """Receive from now on; what was sent to the bot before is dropped.

        Args:
            react: called in the channel's thread with each message; what it awaits delays no other message.
            failed: called with the reason why nothing is received for now, or for good.
        """
        self._listener = react, failed
        self._wake()

    def summarise(self, summary: Summary) -> None:
        """Send the summary of each day from now on, where the filter lets it pass."""
        if self._filter.passes(SUMMARY, "info"):
            self._summary = summary
            self._wake()

    def close(self, wait_s: float = 5.0) -> None:
        """Send what is queued, and end; for at most `wait_s`."""
        self._shut.set()
        if self._thread is not None:
            self._wake(closes=True)
            self._thread.join(wait_s)
        self._is_over = True
        in_flight = [self._in_flight] if self._in_flight is not None else []
        self._put_aside([*self._left, *in_flight, *self._outbox.rest()])

    def _put_aside(self, messages: list[Message]) -> None:
        errors = [message for message in messages if message.level == "error"]
        kept = errors if errors and self._unsent.keep([message.text for message in errors]) else []
        for message in messages:
            if message not in kept:
                self._drop(message, "the session ended first")

    # The thread

    def _wake(self, *, closes: bool = False) -> None:
        with self._starting:
            if self._thread is None and not self._shut.is_set():
                self._thread = threading.Thread(target=self._work, name="telegram", daemon=True)
                self._thread.start()
        if self._loop is not None:
            with suppress(RuntimeError):  # it is over
                self._loop.call_soon_threadsafe(self._news.set)
                if closes:
                    self._loop.call_soon_threadsafe(self._closing.set)

    def _work(self) -> None:
        while True:
            try:
                asyncio.run(self._run())
                break
            except Exception:  # noqa: BLE001 - whatever becomes of the channel, the session goes on, and so does what waits
                _LOG.error("telegram failed", exc_info=True)
            if self._shut.wait(_MOST_BETWEEN_S):
                break
        self._is_over = True

    async def _run(self) -> None:
        from forwardtrader.live.telegram.bot import TelegramBot

        self._news, self._closing = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._shut.is_set():
            self._closing.set()
        for text in self._unsent.read():
            self._outbox.again(text)
            self._has_kept = True
        async with TelegramBot(self._token, api=self._api) as bot:
            tasks: list[asyncio.Task[None]] = []
            try:
                await self._turns(bot, tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _turns(self, bot: TelegramBot, tasks: list[asyncio.Task[None]]) -> None:
        """Until the channel closes: check and listen in tasks of their own, send what waits, one after the other."""
        checking = receiving = summing_up = None
        while True:
            if checking is None and self._trouble is not None:
                checking = asyncio.create_task(self._check(bot, self._trouble))
                tasks.append(checking)
            if receiving is None and self._listener is not None:
                receiving = asyncio.create_task(self._receive(bot, *self._listener))
                tasks.append(receiving)
            self._news.clear()
            message = self._outbox.take(time.monotonic())
            if message is not None:
                await self._deliver(bot, message)
            elif self._shut.is_set() and not self._reactions and (checking is None or checking.done()):
                self._unsent.keep([message.text for message in self._left])
                return
            else:
                if self._has_kept:
                    self._has_kept = not self._unsent.keep([])
                if self._summary is not None and (summing_up is None or summing_up.done()) and self._summary.is_due():
                    summing_up = asyncio.create_task(self._sum_up(self._summary))
                    tasks.append(summing_up)
                await _wait(self._news, _LOOK_EVERY_S)

    async def _check(self, bot: TelegramBot, trouble: Callable[[str], None]) -> None:
        try:
            await bot.require_usable(self.chat_id)
        except TelegramUnreachable as later:
            log.event(_LOG, "telegram_unreachable", logging.WARNING, reason=str(later))
        except TradingError as refusal:
            trouble(str(refusal))

    async def _sum_up(self, summary: Summary) -> None:
        try:
            text, picture = await asyncio.to_thread(summary.make)
        except Exception:  # noqa: BLE001 - a day without its summary is no reason to end anything
            _LOG.error("summary not made", exc_info=True)
        else:
            self._outbox.summary(log.redact(text), picture)
            self._news.set()

    # Sending

    async def _deliver(self, bot: TelegramBot, message: Message) -> None:
        self._in_flight, attempt = message, 0
        while not await self._is_done_with(bot, message, attempt):
            attempt += 1
        self._in_flight = None

    async def _is_done_with(self, bot: TelegramBot, message: Message, attempt: int) -> bool:
        try:
            await bot.send(self.chat_id, message.text, silent=message.is_silent, picture=message.picture)
        except TelegramUnreachable as trouble:
            if attempt + 1 >= _ATTEMPTS and (self._shut.is_set() or not message.is_critical):
                self._give_up(message, str(trouble))
                return True
            await _wait(self._closing, max(trouble.wait_s, min(_MOST_BETWEEN_S, self._pause_s * 2 ** min(attempt + 1, 10))))
            return False
        except TelegramRefused as refusal:
            self._drop(message, str(refusal))
            return True
        except Exception as error:  # noqa: BLE001 - one message must not take those behind it with it
            _LOG.error("telegram message failed", exc_info=True)
            self._drop(message, type(error).__name__)
            return True
        self.sent += 1
        await _wait(self._closing, self._pause_s)  # once the channel closes, what is left goes as fast as it is taken
        return True

    def _give_up(self, message: Message, reason: str) -> None:
        if message.level == "error":
            self._left.append(message)
        else:
            self._drop(message, reason)

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

        while True:
            try:
                await bot.receive(take, failed, pause_s=self._pause_s)
            except TelegramRefused as refusal:
                failed(str(refusal))
                return
            except Exception as error:  # noqa: BLE001 - commands must not end with one that cannot be read
                _LOG.error("telegram receiving failed", exc_info=True)
                failed(f"something unexpected came ({type(error).__name__}), see the log; tried again in {_MOST_BETWEEN_S:.0f} s")
            await asyncio.sleep(_MOST_BETWEEN_S)

    def _reacted(self, task: asyncio.Task[None]) -> None:
        self._reactions.discard(task)
        self._news.set()
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("telegram command failed", exc_info=task.exception())


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)

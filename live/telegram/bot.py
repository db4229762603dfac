"""The door to Telegram's Bot API. No text of the library's errors leaves it: they quote the token."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final

import telegram
from telegram.constants import ChatAction
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from forwardtrader.core.errors import ConfigError, TelegramConflict, TelegramRefused, TelegramUnreachable
from forwardtrader.live.telegram.received import Received, for_bot

_LONGEST_TEXT: Final = 4000
_LONGEST_CAPTION: Final = 1000
_MOST_CLOCK_OFF_S: Final = 30.0  # beyond this, the age of a command could not be judged
LISTEN_S: Final = 3.0  # for another receiver
_LISTENS_AGAIN_S: Final = 0.5
_LONG_POLL_S: Final = 20
_TIMEOUT_S: Final = 10.0
_MOST_PAUSE_S: Final = 60.0
_CONFLICTS: Final = 2  # conflicts in a row: the look of --check at a running session is one
REMEDY: Final = "correct TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID, or set live.telegram=false"


class TelegramBot:
    """One bot; used within one event loop, as `async with`.

    Args:
        now: this machine's time, in epoch seconds.
    """

    def __init__(self, token: str, *, api: str, now: Callable[[], float] = time.time) -> None:
        for name in ("httpx", "httpcore", "telegram"):  # at their INFO and in their tracebacks stands the address, and in it the token
            logging.getLogger(name).setLevel(logging.CRITICAL)
        dated = {"event_hooks": {"response": [self._note_date]}}
        requests = (
            HTTPXRequest(4, *(_TIMEOUT_S,) * 4, httpx_kwargs=dated), HTTPXRequest(1, _LONG_POLL_S + _TIMEOUT_S, *(_TIMEOUT_S,) * 3),
        )  # fmt: skip
        self._bot = telegram.Bot(token, base_url=f"{api}/bot", request=requests[0], get_updates_request=requests[1])
        self._requests = requests
        self._now = now
        self._clock_off_s = 0.0
        self._offset: int | None = None
        self._username = ""

    async def _note_date(self, response: Any) -> None:
        try:
            self._clock_off_s = self._now() - parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError):  # a proxy that dates nothing: then the clock is not judged
            self._clock_off_s = 0.0

    async def __aenter__(self) -> TelegramBot:
        for request in self._requests:
            await request.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        for request in self._requests:
            await request.shutdown()

    async def send(self, chat_id: str, text: str, *, silent: bool = False, picture: bytes = b"") -> None:
        """Send a text, below a picture (PNG) where there is one, cut to what Telegram takes.

        Raises:
            TelegramUnreachable: it may do later.
            TelegramRefused: it will not.
        """
        try:
            if picture:
                await self._bot.send_photo(chat_id, picture, caption=text[:_LONGEST_CAPTION], disable_notification=silent)
            else:
                await self._bot.send_message(chat_id, text[:_LONGEST_TEXT], disable_notification=silent)
        except TelegramError as error:
            raise _translated(error) from None

    async def name(self) -> str:
        """The bot's user name, without the @. Raises as `send`."""
        try:
            return str((await self._bot.get_me()).username)
        except TelegramError as error:
            raise _translated(error) from None

    async def require_usable(self, chat_id: str) -> str:
        """The bot's user name, once the chat is one it may write to and the clock is right; nothing is sent. Raises as `send`.

        Raises:
            ConfigError: this machine's clock is off.
        """
        name = await self.name()
        try:
            await self._bot.get_chat(chat_id)
            await self._bot.send_chat_action(chat_id, ChatAction.TYPING)  # refused where the bot was blocked, which the chat does not say
        except TelegramError as error:
            raise _translated(error) from None
        if abs(self._clock_off_s) > _MOST_CLOCK_OFF_S:
            raise ConfigError(f"this machine's clock is {self._clock_off_s:+.0f} s off Telegram's, which dates commands; set it (NTP)")
        return name

    async def require_alone(self) -> None:
        """Listen for a moment: of two that listen, Telegram sends one away. Nothing that waits is taken or dropped.

        Raises:
            TelegramConflict: another process receives with the token, or a webhook does.
        """
        try:
            if (await self._bot.get_webhook_info()).url:
                raise TelegramConflict("a webhook receives what is sent to this bot; delete it, or set live.telegram_commands=false")
            until = time.monotonic() + LISTEN_S
            while (left := until - time.monotonic()) > 0:  # a message that waits ends a poll at once
                await self._bot.get_updates(timeout=max(1, round(left)), limit=1)
                await asyncio.sleep(min(_LISTENS_AGAIN_S, max(0.0, until - time.monotonic())))
        except TelegramError as error:
            raise _translated(error) from None

    async def receive(self, take: Callable[[Received], None], failed: Callable[[str], None], *, pause_s: float = 1.0) -> None:
        """Hand over messages as they come, until cancelled or refused for good. What waited at the start is dropped.

        Args:
            failed: called with the reason where another process takes the messages; once until they come again.
            pause_s: after a failed request; doubled with each that follows, to a minute.

        Raises:
            TelegramRefused: the token is refused.
        """
        in_a_row = conflicts = 0
        while True:
            try:
                for message in await self._next():
                    take(message)
                in_a_row = conflicts = 0
                continue
            except TelegramConflict as trouble:
                conflicts += 1
                if conflicts == _CONFLICTS:
                    failed(str(trouble))
                wait = trouble.wait_s
            except TelegramUnreachable as trouble:
                wait = trouble.wait_s
            await asyncio.sleep(max(wait, min(_MOST_PAUSE_S, pause_s * 2 ** min(in_a_row, 10))))
            in_a_row += 1

    async def _next(self) -> list[Received]:
        try:
            if self._offset is None:
                self._username = await self.name()
                waiting = await self._bot.get_updates(offset=-1, timeout=0)
                self._offset = waiting[-1].update_id + 1 if waiting else 0
                return []
            updates = await self._bot.get_updates(offset=self._offset, timeout=_LONG_POLL_S, allowed_updates=["message"])
        except TelegramError as error:
            raise _translated(error) from None
        if updates:
            self._offset = updates[-1].update_id + 1
        found = [update.message for update in updates if update.message is not None]
        return [Received(str(m.chat.id), for_bot(m.text, self._username), m.date.timestamp()) for m in found if m.text]


async def check_bot(token: str, chat_id: str, *, api: str, listens: bool) -> str:
    """The user name of a bot that may write to the chat. Raises as its methods.

    Args:
        listens: whether it must be alone with its token.
    """
    async with TelegramBot(token, api=api) as bot:
        name = await bot.require_usable(chat_id)
        if listens:
            await bot.require_alone()
        return name


def _translated(error: TelegramError) -> TelegramUnreachable | TelegramRefused:
    if isinstance(error, InvalidToken):
        return TelegramRefused(f"Telegram refuses the bot token; {REMEDY}")
    if isinstance(error, Forbidden | BadRequest | ChatMigrated):
        return TelegramRefused(f"Telegram refuses the chat or the message ({type(error).__name__}); {REMEDY}, and write to the bot once")
    if isinstance(error, Conflict):
        return TelegramConflict(
            "another process receives with this bot token; give each session a bot of its own, or set live.telegram_commands=false"
        )
    if isinstance(error, RetryAfter):
        after = error.retry_after
        return TelegramUnreachable("Telegram asks to wait", float(after) if isinstance(after, int) else after.total_seconds())
    return TelegramUnreachable(f"Telegram cannot be reached ({type(error).__name__})")

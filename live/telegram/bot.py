"""The door to Telegram's Bot API. No text of the library's errors leaves it: they quote the token."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Final

import telegram
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from forwardtrader.core.errors import ConfigError, TelegramConflict, TelegramRefused, TelegramUnreachable
from forwardtrader.live.telegram.received import Received, for_bot

_TOKEN: Final = re.compile(r"\d+:[\w-]+")
_LONGEST_TEXT: Final = 4000
_LONG_POLL_S: Final = 20
_TIMEOUT_S: Final = 10.0
_MOST_PAUSE_S: Final = 60.0
_CONFLICTS: Final = 2  # conflicts in a row: the look of --check at a running session is one
REMEDY: Final = "correct TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID, or set live.telegram=false"


class TelegramBot:
    """One bot; used within one event loop, as `async with`.

    Raises:
        ConfigError: the token has not the form of one.
    """

    def __init__(self, token: str, *, api: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise ConfigError("TELEGRAM_BOT_TOKEN has not the form NUMBER:TEXT that BotFather gives; copy it again")
        for name in ("httpx", "httpcore", "telegram"):  # at their INFO and in their tracebacks stands the address, and in it the token
            logging.getLogger(name).setLevel(logging.CRITICAL)
        requests = (HTTPXRequest(4, *(_TIMEOUT_S,) * 4), HTTPXRequest(1, _LONG_POLL_S + _TIMEOUT_S, *(_TIMEOUT_S,) * 3))
        self._bot = telegram.Bot(token, base_url=f"{api}/bot", request=requests[0], get_updates_request=requests[1])
        self._requests = requests
        self._offset: int | None = None
        self._username = ""

    async def __aenter__(self) -> TelegramBot:
        for request in self._requests:
            await request.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        for request in self._requests:
            await request.shutdown()

    async def send(self, chat_id: str, text: str, *, silent: bool = False) -> None:
        """Send a text, cut to what Telegram takes.

        Raises:
            TelegramUnreachable: it may do later.
            TelegramRefused: it will not.
        """
        try:
            await self._bot.send_message(chat_id, text[:_LONGEST_TEXT], disable_notification=silent)
        except TelegramError as error:
            raise _translated(error) from None

    async def name(self) -> str:
        """The bot's user name, without the @. Raises as `send`."""
        try:
            return str((await self._bot.get_me()).username)
        except TelegramError as error:
            raise _translated(error) from None

    async def require_chat(self, chat_id: str) -> None:
        """Raises as `send` where the bot may not write to the chat; nothing is sent."""
        try:
            await self._bot.get_chat(chat_id)
        except TelegramError as error:
            raise _translated(error) from None

    async def require_alone(self, listen_s: int = 3) -> None:
        """Listen for a moment: of two that listen, Telegram sends one away. Nothing that waits is taken or dropped.

        Raises:
            TelegramConflict: another process receives with the token, or a webhook does.
        """
        try:
            if (await self._bot.get_webhook_info()).url:
                raise TelegramConflict("a webhook receives what is sent to this bot; delete it, or set live.telegram_commands=false")
            await self._bot.get_updates(timeout=listen_s, limit=1)
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
        name = await bot.name()
        await bot.require_chat(chat_id)
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

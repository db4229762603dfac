"""Whether a chat is configured, and the channel to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from forwardtrader.core import environment as variables
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.settings import LiveSettings
from forwardtrader.live.telegram.alert_filter import AlertFilter
from forwardtrader.live.telegram.channel import API, TelegramChannel

_TOKEN: Final = re.compile(r"\d+:[\w-]+")
_CHAT: Final = re.compile(r"-?[1-9]\d{0,18}|@\w{4,}")


def is_configured(known: Mapping[str, str]) -> bool:
    """Whether token and chat are given. A token that is set to nothing turns the channel off.

    Raises:
        ConfigError: one is given without the other or has not the form of one, or the library is not installed.
    """
    given = {name: known.get(name, "") for name in ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID")}
    token, chat = given.values()
    if not (token or chat) or known.get("TELEGRAM_BOT_TOKEN") == "":
        return False
    for name, other in (tuple(given), tuple(given)[::-1]):
        if not given[other]:
            raise ConfigError(f"{name} is set and {other} is missing; set both, or set live.telegram=false")
    if not _CHAT.fullmatch(chat):
        raise ConfigError("TELEGRAM_CHAT_ID is neither a number nor the @name of a channel; correct it, or set live.telegram=false")
    if not _TOKEN.fullmatch(token):
        raise ConfigError("TELEGRAM_BOT_TOKEN has not the form NUMBER:TEXT that BotFather gives; copy it again, or set live.telegram=false")
    if find_spec("telegram") is None:
        raise ConfigError(
            "TELEGRAM_BOT_TOKEN is set, but python-telegram-bot is not installed; "
            "pip install 'forwardtrader[telegram]', or set live.telegram=false"
        )
    return True


def api_of(known: Mapping[str, str]) -> str:
    """Scheme and host of the bot API."""
    return known.get("TELEGRAM_API", "") or API


def alerts_from(
    environment: Mapping[str, str] | None = None, *, name: str, live: LiveSettings | None = None, folder: Path | None = None
) -> TelegramChannel | None:  # fmt: skip
    """The channel named by the environment or `.env`; None where there is none. Raises as `is_configured`.

    Args:
        live: which alerts are sent; all of them where None.
        folder: of the session, which keeps errors that could not be sent for the next process.
    """
    known = variables.environment() if environment is None else environment
    if not is_configured(known):
        return None
    return TelegramChannel(
        known["TELEGRAM_BOT_TOKEN"], known["TELEGRAM_CHAT_ID"], name=name, api=api_of(known),
        alert_filter=None if live is None else AlertFilter.of(live), folder=folder,
    )  # fmt: skip
